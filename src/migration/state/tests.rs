//! What a state says of itself.

use super::*;

fn percent(percent: u16) -> Weight {
    Weight::percent_saturating(percent)
}

fn second(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
}

fn mark() -> Mark {
    Mark { by: "ada".into(), at: second(1) }
}

fn requested(why: &str) -> Cause {
    Cause::Requested { by: mark(), why: why.into() }
}

fn origin() -> Arc<Origin> {
    Arc::new(Origin { at: second(0), planes: BTreeMap::new(), replicas: BTreeMap::new() })
}

#[test]
fn what_was_left_on_a_plane_explains_itself_and_all_between_while_it_moves() {
    let moving = |from, to| Entry::Moving { from: percent(from), to: percent(to) };
    for (entry, desired, highest, explained, strange) in [
        (Entry::Settled(percent(10)), 10, 10, vec![10], vec![9, 11]),
        (moving(10, 50), 50, 50, vec![10, 30, 50], vec![9, 51]),
        (moving(50, 10), 10, 50, vec![10, 30, 50], vec![9, 51]),
    ] {
        assert_eq!((entry.desired(), entry.highest()), (percent(desired), percent(highest)), "{entry:?}");
        assert!(explained.into_iter().all(|shown| entry.explains(percent(shown))), "{entry:?}");
        assert!(!strange.into_iter().any(|shown| entry.explains(percent(shown))), "{entry:?}");
    }
}

#[test]
fn every_cause_has_a_name_and_a_sentence() {
    let (metric, workload) = (Name::new("errors").unwrap(), ObjectRef::new("Deployment", "shop", "web"));
    let (account, waiting) = ("9 of 10 requests bad".to_owned(), || "edge cannot be reached".to_owned());
    for (cause, name, told) in [
        (requested(""), "Requested", "ada asked for it"),
        (requested("enough"), "Requested", "ada asked for it: enough"),
        (
            Cause::MetricFailed { metric, account, weight: percent(10), basis: None },
            "MetricFailed",
            "errors failed at 10%: 9 of 10 requests bad",
        ),
        (
            Cause::TargetLost { workload, weight: percent(10) },
            "TargetLost",
            "Deployment shop/web had no ready pod left on the target at 10%",
        ),
        (
            Cause::MirrorDeadline { waiting: waiting() },
            "MirrorDeadline",
            "the target was not ready in time: edge cannot be reached",
        ),
        (
            Cause::StepDeadline { waiting: waiting() },
            "StepDeadline",
            "a step stayed half done past its deadline: edge cannot be reached",
        ),
    ] {
        assert_eq!((cause.name(), cause.to_string().as_str()), (name, told));
    }
}

/// Every phase, its name, whether there is a way back, and whether it is the end.
fn phases() -> Vec<(Phase, &'static str, bool, bool)> {
    let (since, origin) = (second(2), origin());
    let shifting = Shifting { origin: origin.clone(), step: 0, since, standing: Standing::Moving, passed: None };
    let (objects, jobs, stage) = (Arc::default(), Arc::default(), CommitStage::Draining);
    let (cause, way) = (requested(""), Way::Instant);
    vec![
        (Phase::Preparing { since }, "Preparing", false, false),
        (Phase::Mirroring { since, origin: origin.clone() }, "Mirroring", true, false),
        (Phase::Shifting(shifting), "Shifting", true, false),
        (Phase::Soaking { origin: origin.clone(), since }, "Soaking", true, false),
        (
            Phase::Committing { origin: origin.clone(), by: mark(), since, objects, jobs, stage },
            "Committing",
            false,
            false,
        ),
        (Phase::RollingBack { origin, cause: cause.clone(), since, way }, "RollingBack", true, false),
        (Phase::Completed { at: since }, "Completed", false, true),
        (Phase::RolledBack { cause, at: since }, "RolledBack", false, true),
    ]
}

#[test]
fn there_is_a_way_back_from_the_first_write_until_commit_and_no_way_on_from_an_end() {
    for (phase, name, way_back, ended) in phases() {
        assert_eq!((phase.name(), phase.origin().is_some(), phase.is_terminal()), (name, way_back, ended));
    }
}
