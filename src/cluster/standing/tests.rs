//! Followed change by change, a mirror stands as it does when everything is read at once.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::closure::{Inventory, close};
use super::super::double::{newest, object, workloads};
use super::super::kind::Objects;
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
    let selected = source.iter().filter(|(object, _)| closure.selected.contains(object));
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
    standing.stock_mut(Side::Source).take(&place(object), event);
    if standing.stock(Side::Named).expects(&object.kind, &object.namespace) {
        let event = manifest.map_or_else(|| Event::Gone(object.clone()), |m| Event::Put(Glimpse::metadata(m)));
        standing.stock_mut(Side::Named).take(&place(object), event);
    }
}

/// Reads whatever it lacks.
fn bring_up_to_date(standing: &mut Standing, source: &Objects) {
    loop {
        match standing.update() {
            Lack::Nothing => return,
            Lack::Names(places) => places.into_iter().for_each(|place| {
                let of_place =
                    source.values().filter(|m| m.object().kind == place.0 && m.object().namespace == place.1);
                let names = of_place.map(Glimpse::metadata).collect();
                standing.stock_mut(Side::Named).take(&place, Event::Whole(names));
            }),
            Lack::Objects(objects) => objects.into_iter().for_each(|object| {
                let glimpse = source.get(&object).cloned().map(Glimpse::whole);
                standing.fetched(object, glimpse);
            }),
        }
    }
}

fn digests(standing: &Standing) -> BTreeMap<ObjectRef, String> {
    let states =
        standing.states().filter_map(|(object, _)| Some((object.clone(), standing.digest(&object)?.to_owned())));
    states.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn following_comes_to_what_reading_everything_comes_to(changes in vec(change(), 1..30)) {
        let (mut source, mut target) = (Objects::new(), Objects::new());
        let mut standing = Standing::new(workloads(), Arc::new(newest()));
        for (version, change) in changes.iter().enumerate() {
            let (object, manifest) = outcome(change, version);
            tell(&mut standing, &object, manifest.as_ref());
            match manifest {
                Some(manifest) => source.insert(object, manifest),
                None => source.remove(&object),
            };
            bring_up_to_date(&mut standing, &source);
            let (desired, blockers) = at_once(&source);
            prop_assert_eq!(digests(&standing), desired.clone());
            let said: BTreeSet<String> = standing.blockers().iter().cloned().collect();
            prop_assert_eq!(said, blockers);
            // Every other change is applied, so that the target lags behind.
            for object in desired.keys().filter(|_| version % 2 == 0) {
                let applied = standing.desired(object).unwrap().manifest;
                let event = Event::Put(Glimpse::whole(applied.clone()));
                standing.stock_mut(Side::Target).take(&place(object), event);
                target.insert(object.clone(), applied);
            }
            standing.judge();
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
            }
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
        standing.stock_mut(Side::Target).take(&place(&map), Event::Put(glimpse));
        standing.judge();
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
    let whole =
        |manifests: Vec<Option<Manifest>>| Event::Whole(manifests.into_iter().flatten().map(Glimpse::whole).collect());
    stock.take(&place, whole(vec![first.clone(), second]));
    assert_eq!((stock.sight(|_| true), stock.take_changed()), (Ok(()), [a.clone(), b.clone()].into()));
    stock.take(&place, Event::Lost("the line broke".into()));
    let why = "ConfigMap objects of namespace shop: the line broke";
    assert_eq!(stock.sight(|kind| kind == "ConfigMap"), Err(why.to_owned()));
    assert_eq!(stock.sight(|kind| kind == "Secret"), Ok(()));
    stock.take(&place, whole(vec![first]));
    assert_eq!((stock.sight(|_| true), stock.take_changed()), (Ok(()), [b].into()), "what came again did not change");
    assert!(stock.get(&a).is_some());
}
