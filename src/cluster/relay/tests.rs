//! Followers of one watch that are slow, late or gone.

use std::collections::BTreeMap;

use serde_json::json;
use tokio::time::timeout;

use super::*;
use crate::cluster::double::object;
use crate::cluster::follow::{Told, follow};
use crate::cluster::stock::Event;
use crate::embedded::{Embedded, Shape};

const LONG: Duration = Duration::from_secs(20);

/// Changes that are more than may wait for one who does not listen.
const CHANGES: usize = 3 * QUEUE;

async fn cluster(server: &Embedded) -> Cluster {
    let cluster = Cluster::from_client("blue", server.client().unwrap()).await.unwrap();
    let namespace = object("v1", "Namespace", "shop", json!({"metadata": {"namespace": null}}));
    cluster.apply(&namespace, &kube::api::PatchParams::apply("tenant")).await.unwrap();
    Cluster { relays: Relays::for_many(), ..cluster }
}

async fn put(cluster: &Cluster, name: &str, value: usize) {
    let map = object("v1", "ConfigMap", name, json!({"data": {"key": value.to_string()}}));
    cluster.apply(&map, &kube::api::PatchParams::apply("tenant")).await.unwrap();
}

fn maps(cluster: &Cluster) -> Collection {
    Collection::new(cluster.resource("v1", "ConfigMap").unwrap(), "shop", "")
}

/// What a follower tells, until an object has a value; gives how often it lost sight and what it held last.
async fn until(told: &mut mpsc::Receiver<Told<()>>, name: &str, value: usize) -> (usize, BTreeMap<String, String>) {
    let (mut lost, mut held) = (0, BTreeMap::new());
    let value = value.to_string();
    let take = |held: &mut BTreeMap<String, String>, glimpse: Glimpse| {
        let manifest = glimpse.manifest().unwrap();
        held.insert(glimpse.object.name.clone(), manifest.value()["data"]["key"].as_str().unwrap().to_owned());
    };
    let seen = async {
        while held.get(name) != Some(&value) {
            match told.recv().await.unwrap().2 {
                Event::Some(glimpses) => glimpses.into_iter().for_each(|glimpse| take(&mut held, glimpse)),
                Event::Whole(names) => held.retain(|name, _| names.contains(name)),
                Event::Put(glimpse) => take(&mut held, glimpse),
                Event::Gone(object) => _ = held.remove(&object.name),
                Event::Lost(_) => lost += 1,
                Event::Live => {}
            }
        }
    };
    timeout(LONG, seen).await.expect("in time");
    (lost, held)
}

#[tokio::test]
async fn one_that_does_not_listen_holds_nobody_up_and_reads_anew_what_it_missed() {
    let server = Embedded::start("blue", Shape::V1_20).await.unwrap();
    let cluster = cluster(&server).await;
    let mut followers = JoinSet::new();
    let [(quick, mut heard), (slow, mut unheard)] = [(); 2].map(|()| mpsc::channel(1));
    for tell in [quick, slow] {
        followers.spawn(follow(cluster.clone(), maps(&cluster), (), tell));
    }
    put(&cluster, "a", 0).await;
    until(&mut heard, "a", 0).await;
    until(&mut unheard, "a", 0).await;
    for value in 1..=CHANGES {
        put(&cluster, "a", value).await;
        let (lost, _) = until(&mut heard, "a", value).await;
        assert_eq!(lost, 0, "at {value}");
    }
    put(&cluster, "b", 1).await;
    let (lost, held) = until(&mut unheard, "b", 1).await;
    assert_eq!((lost, held["a"].as_str()), (1, CHANGES.to_string().as_str()));
    assert_eq!(server.open_watches(), 1);
}

#[tokio::test]
async fn one_that_listens_alone_is_waited_for() {
    let server = Embedded::start("blue", Shape::V1_20).await.unwrap();
    let cluster = cluster(&server).await;
    let (tell, mut told) = mpsc::channel(1);
    let _follower = tokio::spawn(follow(cluster.clone(), maps(&cluster), (), tell));
    put(&cluster, "a", 0).await;
    until(&mut told, "a", 0).await;
    for value in 1..=CHANGES {
        put(&cluster, "a", value).await;
    }
    assert_eq!(until(&mut told, "a", CHANGES).await.0, 0);
}

#[tokio::test]
async fn who_read_less_than_the_watch_began_with_reads_again_and_no_version_counts_twice() {
    let server = Embedded::start("blue", Shape::V1_20).await.unwrap();
    let cluster = cluster(&server).await;
    let relay = cluster.relays.of(&maps(&cluster));
    let mut words = relay.listen();
    let run = relay.begin(&cluster, "100000").unwrap();
    assert_eq!(relay.begin(&cluster, "100000"), Ok(run));
    assert_eq!(relay.begin(&cluster, "100001"), Ok(run), "what was read later is heard from the same watch");
    assert_eq!(relay.begin(&cluster, "99999"), Err(Unheard::Older));
    assert_eq!(relay.begin(&cluster, "abc"), Err(Unheard::NoNumber));
    drop(relay);
    assert!(timeout(LONG, words.recv()).await.expect("in time").is_none(), "a watch that nobody holds ends");
    assert!(cluster.relays.of(&maps(&cluster)).begin(&cluster, "abc").is_ok(), "alone any version will do");
}

#[tokio::test]
async fn labels_are_compared_as_the_server_would() {
    let server = Embedded::start("blue", Shape::V1_20).await.unwrap();
    let cluster = cluster(&server).await;
    let asked = Collection { labels: "a=1,b=2".to_owned(), ..maps(&cluster) };
    let labels = |value: Value| value.as_object().unwrap().clone();
    for (found, selected) in [
        (json!({"a": "1", "b": "2", "c": "3"}), true),
        (json!({"a": "1"}), false),
        (json!({"a": "1", "b": "3"}), false),
        (json!({}), false),
    ] {
        assert_eq!(asked.selects(&labels(found.clone())), selected, "{found}");
        assert!(maps(&cluster).selects(&labels(found)));
    }
    let secrets = Collection::new(cluster.resource("v1", "Secret").unwrap(), "shop", "a=1");
    assert_eq!((secrets.widened().labels.as_str(), asked.widened().labels.as_str()), ("a=1", ""));
}
