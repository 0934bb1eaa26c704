//! Watches.

use std::pin::pin;

use futures::{StreamExt, TryStreamExt};
use kube::api::{DeleteParams, WatchEvent, WatchParams};

use super::*;

/// Kind of event and name of the object.
fn text(event: &WatchEvent<DynamicObject>) -> String {
    let name = |object: &DynamicObject| object.metadata.name.clone().unwrap();
    match event {
        WatchEvent::Added(object) => format!("+{}", name(object)),
        WatchEvent::Modified(object) => format!("~{}", name(object)),
        WatchEvent::Deleted(object) => format!("-{}", name(object)),
        WatchEvent::Bookmark(_) => "bookmark".to_owned(),
        WatchEvent::Error(status) => format!("{} {}", status.code, status.reason),
    }
}

async fn put(client: &Client, name: &str, label: &str) {
    let object = json!({"metadata": {"name": name, "labels": {"l": label}}});
    apply(client, "v1", "ConfigMap", "shop", object).await.unwrap();
}

#[tokio::test]
async fn a_watch_tells_what_enters_and_leaves_its_selector() {
    let (cluster, client) = cluster("green", Shape::V1_37).await;
    let maps = api(&client, "v1", "ConfigMap", "shop");
    put(&client, "a", "1").await;
    let params = WatchParams::default().labels("l=1");
    let mut events = pin!(maps.watch(&params, "0").await.unwrap());
    assert_eq!(text(&events.try_next().await.unwrap().unwrap()), "+a");
    put(&client, "b", "2").await;
    put(&client, "b", "1").await;
    put(&client, "a", "2").await;
    maps.delete("b", &DeleteParams::default()).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(text(&events.try_next().await.unwrap().unwrap()));
    }
    assert_eq!(seen, ["+b", "-a", "-b"]);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_watch_goes_on_where_another_was_broken_off() {
    let (cluster, client) = cluster("green", Shape::V1_37).await;
    let maps = api(&client, "v1", "ConfigMap", "shop");
    put(&client, "a", "1").await;
    let version = maps.get("a").await.unwrap().metadata.resource_version.unwrap();
    let mut events = pin!(maps.watch(&WatchParams::default(), &version).await.unwrap());
    put(&client, "b", "1").await;
    assert_eq!(text(&events.try_next().await.unwrap().unwrap()), "+b");
    cluster.break_watches();
    assert!(events.try_next().await.unwrap().is_none());
    put(&client, "c", "1").await;
    let events = maps.watch(&WatchParams::default(), &version).await.unwrap();
    let seen: Vec<String> = events.take(2).map_ok(|event| text(&event)).try_collect().await.unwrap();
    assert_eq!(seen, ["+b", "+c"]);
}

#[tokio::test]
async fn forgotten_history_is_gone() {
    let (cluster, client) = cluster("green", Shape::V1_37).await;
    let maps = api(&client, "v1", "ConfigMap", "shop");
    put(&client, "a", "1").await;
    cluster.compact();
    let mut events = pin!(maps.watch(&WatchParams::default(), "1").await.unwrap());
    assert_eq!(text(&events.try_next().await.unwrap().unwrap()), "410 Expired");
    assert!(events.try_next().await.unwrap().is_none());
}

#[tokio::test]
async fn an_idle_watch_gets_bookmarks_and_ends_in_time() {
    let options = Options { bookmark_interval: Duration::from_millis(10), ..Options::new(Shape::V1_37) };
    let cluster = Embedded::start_with("green", options).await.unwrap();
    let client = cluster.client().unwrap();
    let maps = api(&client, "v1", "ConfigMap", "");
    let mut events = pin!(maps.watch(&WatchParams::default().timeout(1), "0").await.unwrap());
    for _ in 0..2 {
        assert_eq!(text(&events.try_next().await.unwrap().unwrap()), "bookmark");
    }
    while let Some(event) = events.try_next().await.unwrap() {
        assert_eq!(text(&event), "bookmark");
    }
}
