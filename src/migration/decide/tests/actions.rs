//! What every action says of itself, and when what it presupposes holds.

use super::situation::{nightly, web};
use super::world::*;
use crate::migration::Action;
use crate::migration::action::{Deletion, Inverse, Precondition, Terms};
use crate::migration::snapshot::Observed;
use crate::policy::{Name, Weight};

#[test]
fn every_action_says_what_it_does_where_how_it_is_undone_and_what_it_presupposes() {
    let (edge, ten, setting) = (|| name("edge"), percent(10), serde_json::Value::Null);
    let gone = |because| Action::DeleteObject { object: web(), because };
    let set = Action::SetWeight { plane: edge(), from: Weight::ZERO, to: ten, origin: setting.clone() };
    let between = Precondition::Between { plane: edge(), from: Weight::ZERO, to: ten };
    let restore = Action::RestorePlane { plane: edge(), setting };
    let past = || Inverse::PastCommit;
    let nothing = || Precondition::Nothing;
    let rows: [(&str, Action, Option<Name>, Inverse, Precondition); 10] = [
        (
            "apply Deployment shop/web",
            Action::ApplyObject { object: web() },
            None,
            Inverse::Kept,
            Precondition::Unclaimed(web()),
        ),
        (
            "delete Deployment shop/web, gone from the source",
            gone(Deletion::Gone),
            None,
            Inverse::Mirrored,
            Precondition::Ours(web()),
        ),
        ("delete Deployment shop/web", gone(Deletion::Aborted), None, Inverse::Mirrored, Precondition::Ours(web())),
        ("set edge from 0% to 10%", set, Some(edge()), Inverse::Origin(edge()), between),
        ("restore edge to its origin", restore, Some(edge()), Inverse::Origin(edge()), nothing()),
        (
            "drain the source on edge",
            Action::DrainSource { plane: edge() },
            Some(edge()),
            past(),
            Precondition::AllOnTarget(edge()),
        ),
        (
            "scale the source's Deployment shop/web from 4 to 0",
            Action::ScaleSource { workload: web(), from: 4 },
            None,
            past(),
            Precondition::SourceUnused,
        ),
        (
            "suspend the source's CronJob shop/nightly",
            Action::SuspendSource { job: nightly() },
            None,
            past(),
            nothing(),
        ),
        (
            "resume CronJob shop/nightly",
            Action::ResumeTarget { job: nightly() },
            None,
            past(),
            Precondition::Asleep(nightly()),
        ),
        ("release Deployment shop/web", Action::Release { object: web() }, None, past(), nothing()),
    ];
    for (told, action, plane, inverse, precondition) in rows {
        assert_eq!((action.to_string().as_str(), action.plane()), (told, plane.as_ref()));
        assert_eq!(action.terms(), Terms { inverse, precondition, idempotent: true }, "{told}");
        let applied = matches!(action, Action::ApplyObject { .. }).then(web);
        assert_eq!(action.applies(), applied.as_ref(), "{told}");
    }
}

/// A world in which edge shows a weight.
fn showing(weight: u16) -> World {
    let mut world = World::new();
    world.planes.insert(name("edge"), percent(weight));
    world
}

/// One in which nothing is seen, and all would be well.
fn unseen() -> World {
    let unreachable = vec![name("edge"), name("inner")];
    World { clusters: false, unreachable, job: (true, true), drained: true, ..showing(100) }
}

#[test]
fn a_precondition_holds_where_a_snapshot_shows_it_and_not_where_nothing_was_seen() {
    let between = |plane| Precondition::Between { plane: name(plane), from: percent(10), to: percent(50) };
    let on_target = || Precondition::AllOnTarget(name("edge"));
    let asleep = || Precondition::Asleep(nightly());
    let sleeping = |on_source| World { job: (on_source, true), ..World::new() };
    let drained = || World { drained: true, ..World::new() };
    for (precondition, world, holds) in [
        (Precondition::Nothing, unseen(), true),
        (Precondition::Unclaimed(web()), unseen(), true),
        (Precondition::Ours(web()), unseen(), true),
        (between("edge"), showing(9), false),
        (between("edge"), showing(10), true),
        (between("edge"), showing(30), true),
        (between("edge"), showing(50), true),
        (between("edge"), showing(51), false),
        (between("edge"), World { unreachable: vec![name("edge")], ..showing(30) }, false),
        (between("another"), showing(30), false),
        (on_target(), showing(100), true),
        (on_target(), showing(99), false),
        (on_target(), unseen(), false),
        (asleep(), sleeping(false), false),
        (asleep(), sleeping(true), true),
        (asleep(), unseen(), false),
        (Precondition::Asleep(web()), sleeping(true), false),
        (Precondition::SourceUnused, World::new(), false),
        (Precondition::SourceUnused, drained(), true),
        (Precondition::SourceUnused, World { unreachable: vec![name("edge")], ..drained() }, false),
    ] {
        assert_eq!(precondition.holds(&world.clone().snapshot()), holds, "{precondition:?} in {world:?}");
    }
}

#[test]
fn the_source_is_used_while_one_plane_leads_to_it() {
    let mut snapshot = World { drained: true, ..World::new() }.snapshot();
    if let Some(Observed::Known(view)) = snapshot.planes.get_mut(&name("inner")) {
        view.source.usable = 1;
    }
    assert!(!Precondition::SourceUnused.holds(&snapshot));
}
