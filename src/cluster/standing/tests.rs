//! Followed change by change, a mirror stands as it does when everything is read at once.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::closure::{Inventory, close};
use super::super::double::{newest, object, workloads};
use super::super::kind::Objects;
use super::super::manifest::Manifest;
use super::super::mirror::mirror;
use super::super::stock::Event;
use super::*;

/// Something that happens on the source.
#[derive(Debug, Clone)]
enum Change {
    /// A workload of this number is there, with or without the labels, in this revision; it refers to two ConfigMaps.
    Workload { at: u8, labelled: bool, revision: u8, maps: (u8, u8) },
    /// A ConfigMap, likewise.
    Map { at: u8, labelled: bool, revision: u8 },
    /// A Service that acts on a workload.
    Service { at: u8, on: u8 },
    /// An autoscaler of a workload.
    Scaler { at: u8, on: u8 },
    /// It is there no more.
    Gone { kind: usize, at: u8 },
}

const KINDS_HERE: [(&str, &str); 4] =
    [("apps/v1", "Deployment"), ("v1", "ConfigMap"), ("v1", "Service"), ("autoscaling/v2", "HorizontalPodAutoscaler")];

fn change() -> impl Strategy<Value = Change> {
    let few = || 0..4u8;
    prop_oneof![
        (few(), any::<bool>(), few(), (few(), few())).prop_map(|(at, labelled, revision, maps)| Change::Workload {
            at,
            labelled,
            revision,
            maps
        }),
        (few(), any::<bool>(), few()).prop_map(|(at, labelled, revision)| Change::Map { at, labelled, revision }),
        (few(), few()).prop_map(|(at, on)| Change::Service { at, on }),
        (few(), few()).prop_map(|(at, on)| Change::Scaler { at, on }),
        (0..4usize, few()).prop_map(|(kind, at)| Change::Gone { kind, at }),
    ]
}

fn labels(labelled: bool) -> Value {
    if labelled { json!({"part-of": "shop"}) } else { json!({}) }
}

/// The object a change leaves, or the one it takes away.
fn outcome(change: &Change, version: usize) -> (ObjectRef, Option<Manifest>) {
    let name = |at: u8| format!("o{at}");
    let (kind, at, rest) = match change {
        Change::Gone { kind, at } => return (ObjectRef::new(KINDS_HERE[*kind].1, "shop", name(*at)), None),
        Change::Workload { at, labelled, revision, maps } => {
            let from = |at: u8| json!({"configMapRef": {"name": name(at)}});
            let containers =
                json!([{"name": "app", "image": format!("a:{revision}"), "envFrom": [from(maps.0), from(maps.1)]}]);
            let template = json!({"metadata": {"labels": {"app": name(*at)}}, "spec": {"containers": containers}});
            let spec = json!({"replicas": 2, "template": template});
            (0, at, json!({"metadata": {"labels": labels(*labelled)}, "spec": spec}))
        }
        Change::Map { at, labelled, revision } => {
            (1, at, json!({"metadata": {"labels": labels(*labelled)}, "data": {"revision": revision.to_string()}}))
        }
        Change::Service { at, on } => (2, at, json!({"spec": {"selector": {"app": name(*on)}}})),
        Change::Scaler { at, on } => {
            let scaled = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": name(*on)});
            (3, at, json!({"spec": {"scaleTargetRef": scaled}}))
        }
    };
    let (api_version, kind) = KINDS_HERE[kind];
    let mut manifest = object(api_version, kind, &name(*at), rest).into_value();
    manifest["metadata"]["resourceVersion"] = version.to_string().into();
    let manifest = Manifest::new(manifest).unwrap();
    (manifest.object().clone(), Some(manifest))
}

/// What is read at once: the digests of everything desired, and what stands in the way.
fn at_once(source: &Objects) -> (BTreeMap<ObjectRef, String>, BTreeSet<String>) {
    let mut missing = BTreeSet::new();
    let closure = loop {
        let closure = close(source, &missing, &workloads().selector);
        if closure.wanted.is_empty() {
            break closure;
        }
        missing.extend(closure.wanted);
    };
    let selected = source.iter().filter(|(object, _)| closure.selected.contains(*object));
    let objects = selected.map(|(object, manifest)| (object.clone(), manifest.clone())).collect();
    let inventory = Inventory { objects, left_out: closure.left_out, ..Inventory::default() };
    let plan = mirror(&inventory, &newest(), &workloads());
    let blockers = plan.blockers().map(ToString::to_string).collect();
    let desired = plan.objects.into_iter().map(|desired| (desired.object().clone(), desired.digest));
    (desired.filter(|(object, _)| object.kind != "Namespace").collect(), blockers)
}

fn place(object: &ObjectRef) -> Place {
    (object.kind.clone(), object.namespace.clone())
}

/// What the followers of a source tell: what carries the labels or acts, and the names of what is referred to.
fn tell(standing: &mut Standing, object: &ObjectRef, manifest: Option<&Manifest>) {
    let carries = |manifest: &&Manifest| {
        let labelled = manifest.labels().is_some_and(|labels| labels.contains_key("part-of"));
        labelled || kind(&object.kind).is_some_and(|kind| kind.acts())
    };
    let event = match manifest.filter(carries) {
        Some(manifest) => Event::Put(Glimpse::whole(manifest.clone())),
        None => Event::Gone(object.clone()),
    };
    standing.take(Side::Source, &place(object), event);
    if standing.stock(Side::Named).expects(&object.kind, &object.namespace) {
        let event = manifest.map_or_else(|| Event::Gone(object.clone()), |m| Event::Put(Glimpse::metadata(m)));
        standing.take(Side::Named, &place(object), event);
    }
}

/// What a follower tells when it has read everything.
fn whole(glimpses: Vec<Glimpse>) -> (Event, Event) {
    let names = glimpses.iter().map(|glimpse| glimpse.object.name.clone()).collect();
    (Event::Some(glimpses), Event::Whole(names))
}

/// Reads whatever it lacks.
fn bring_up_to_date(standing: &mut Standing, source: &Objects) {
    loop {
        match standing.update() {
            Lack::Nothing => return,
            Lack::Names(places) => places.into_iter().for_each(|place| {
                let of_place =
                    source.values().filter(|m| m.object().kind == place.0 && m.object().namespace == place.1);
                let (all, names) = whole(of_place.map(Glimpse::metadata).collect());
                standing.expect(Side::Named, place.clone());
                standing.take(Side::Named, &place, all);
                standing.take(Side::Named, &place, names);
            }),
            Lack::Objects(objects) => objects.into_iter().for_each(|object| {
                let glimpse = source.get(&object).cloned().map(Glimpse::whole);
                standing.fetched(object, glimpse);
            }),
        }
    }
}

fn digests(standing: &Standing) -> BTreeMap<ObjectRef, Print> {
    standing.states().filter_map(|(object, _)| Some((object.clone(), standing.digest(object)?))).collect()
}

/// Reads what is needed to derive some objects, and is kept no more.
fn recall<'a>(standing: &mut Standing, source: &Objects, objects: impl Iterator<Item = &'a ObjectRef>) {
    for bare in standing.without_body(objects) {
        let glimpse = source.get(&bare).cloned().map(Glimpse::whole);
        standing.fetched(bare, glimpse);
    }
}

/// Room for everything, for a few objects, and for none.
fn room() -> impl Strategy<Value = usize> {
    prop_oneof![Just(usize::MAX), Just(1000), Just(0)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn following_comes_to_what_reading_everything_comes_to(changes in vec(change(), 1..30), room in room()) {
        let (mut source, mut target) = (Objects::new(), Objects::new());
        let mut standing = Standing { room, ..Standing::new(workloads(), Arc::new(newest())) };
        for (version, change) in changes.iter().enumerate() {
            let (object, manifest) = outcome(change, version);
            tell(&mut standing, &object, manifest.as_ref());
            match manifest {
                Some(manifest) => source.insert(object, manifest),
                None => source.remove(&object),
            };
            bring_up_to_date(&mut standing, &source);
            let (desired, blockers) = at_once(&source);
            let prints: BTreeMap<_, _> = desired.iter().map(|(object, digest)| (object.clone(), Print::of(digest))).collect();
            prop_assert_eq!(digests(&standing), prints);
            let said: BTreeSet<String> = standing.blockers().iter().cloned().collect();
            prop_assert_eq!(said, blockers);
            // Every other change is applied, so that the target lags behind.
            let kept = standing.source.glimpses().chain(standing.fetched.glimpses()).filter(|seen| seen.has_body());
            let idle = kept.filter(|seen| !kind(&seen.object.kind).unwrap().acts()).count();
            prop_assert!(room > 0 || idle == 0, "what there is no room for is not kept");
            let due: Vec<_> = standing.pending().filter(|_| version % 2 == 0).cloned().collect();
            for object in &due {
                recall(&mut standing, &source, std::iter::once(object));
                let applied = standing.desired(object).unwrap().manifest;
                let event = Event::Put(Glimpse::whole(applied.clone()));
                standing.take(Side::Target, &place(object), event);
                target.insert(object.clone(), applied);
            }
            for (object, digest) in &desired {
                let live = target.get(object).and_then(|live| live.annotation("crossfade.dev/digest"));
                let expected = match live {
                    None => ObjectState::Missing,
                    Some(live) if live == digest => ObjectState::InSync,
                    Some(_) => ObjectState::Differs,
                };
                // What came back to an earlier state may have to be compared first.
                let unjudged = standing.unjudged().iter().any(|(_, unjudged)| unjudged == object);
                prop_assert!(standing.state(object) == Some(expected) || unjudged, "{object}: {expected:?}");
                if unjudged {
                    recall(&mut standing, &source, std::iter::once(object));
                    standing.judge_read(object, target.get(object).cloned());
                    prop_assert_eq!(standing.state(object), Some(expected));
                }
            }
            let pending: Vec<_> = standing.states().filter(|(_, state)| *state != ObjectState::InSync).collect();
            let by_state = standing.states().map(|(object, _)| (object, standing.state(object)));
            let by_state: Vec<_> = by_state.filter(|(_, state)| *state != Some(ObjectState::InSync)).collect();
            prop_assert_eq!(pending.len(), by_state.len());
            prop_assert!(standing.pending().eq(by_state.iter().map(|(object, _)| *object)));
        }
    }
}

#[test]
fn what_others_do_to_a_mirrored_object_stirs_and_what_nobody_desires_does_not() {
    let mut standing = Standing::new(workloads(), Arc::new(newest()));
    let (map, manifest) = outcome(&Change::Map { at: 0, labelled: true, revision: 1 }, 1);
    tell(&mut standing, &map, manifest.as_ref());
    assert_eq!(standing.update(), Lack::Nothing);
    assert!(standing.take_stirred(), "there is something to do");
    let applied = standing.desired(&map).unwrap().manifest;
    let mut told = |value: &Value| {
        let glimpse = Glimpse::whole(Manifest::new(value.clone()).unwrap());
        standing.take(Side::Target, &place(&map), Event::Put(glimpse));
        (standing.state(&map), standing.take_stirred())
    };
    let mut live = applied.into_value();
    assert_eq!(told(&live), (Some(ObjectState::InSync), false));
    live["data"]["others"] = "add what nobody desires".into();
    assert_eq!(told(&live), (Some(ObjectState::InSync), false));
    live["data"]["revision"] = "9".into();
    assert_eq!(told(&live), (Some(ObjectState::Differs), true));
    live["metadata"]["name"] = "strange".into();
    assert_eq!(told(&live), (Some(ObjectState::Differs), false));
}

#[test]
fn a_collection_out_of_sight_says_why_and_keeps_nothing_that_is_gone() {
    let mut stock = Stock::default();
    let place: Place = ("ConfigMap".into(), "shop".into());
    stock.expect(place.clone());
    assert!(stock.is_unread() && stock.sight(|_| true).is_err());
    let (a, first) = outcome(&Change::Map { at: 0, labelled: true, revision: 0 }, 1);
    let (b, second) = outcome(&Change::Map { at: 1, labelled: true, revision: 0 }, 1);
    let tell = |stock: &mut Stock, manifests: Vec<Option<Manifest>>| {
        let (all, names) = whole(manifests.into_iter().flatten().map(Glimpse::whole).collect());
        stock.take(&place, all);
        assert!(stock.sight(|_| true).is_err(), "not before all of it was told");
        stock.take(&place, names);
    };
    let changed = |stock: &mut Stock| stock.take_changed().iter().map(|object| (**object).clone()).collect::<Vec<_>>();
    tell(&mut stock, vec![first.clone(), second]);
    assert_eq!((stock.sight(|_| true), changed(&mut stock)), (Ok(()), vec![a.clone(), b.clone()]));
    stock.take(&place, Event::Lost("the line broke".into()));
    let why = "ConfigMap objects of namespace shop: the line broke";
    assert_eq!(stock.sight(|kind| kind == "ConfigMap"), Err(why.to_owned()));
    assert_eq!(stock.sight(|kind| kind == "Secret"), Ok(()));
    tell(&mut stock, vec![first]);
    assert_eq!((stock.sight(|_| true), changed(&mut stock)), (Ok(()), vec![b]), "what came again did not change");
    assert!(stock.get(&a).is_some());
    let kept = stock.bytes();
    stock.forget_body(&a);
    assert_eq!((stock.bytes(), stock.get(&a).unwrap().manifest()), (0, None));
    let (_, again) = outcome(&Change::Map { at: 0, labelled: true, revision: 0 }, 1);
    stock.refill(Glimpse::whole(again.unwrap()));
    assert_eq!((stock.bytes(), changed(&mut stock)), (kept, vec![]), "read again, it has its JSON and has not changed");
    stock.retain(|_| false);
    assert_eq!((stock.bytes(), stock.get(&a).is_none()), (0, true));
}
