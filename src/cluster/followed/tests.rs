//! Followed mirrors between servers that misbehave.

use std::future::Future;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::*;
use crate::cluster::double::{object, workloads};
use crate::cluster::relay::Relays;
use crate::cluster::{apply, on_source, remove, remove_gone, resume_target, scale_source, suspend_source};
use crate::embedded::{ApiFault, Embedded, Mishap, Options, Shape, Verb};
use crate::policy::{Name, NameMap};

/// Far more than anything here takes; a test that waits this long has failed.
const LONG: Duration = Duration::from_secs(20);

struct Pair {
    blue: Embedded,
    green: Embedded,
    source: Cluster,
    target: Cluster,
}

impl Pair {
    async fn start() -> Self {
        Self::start_with(|options| options).await
    }

    async fn start_with(change: impl Fn(Options) -> Options) -> Self {
        let blue = Embedded::start_with("blue", change(Options::new(Shape::V1_20))).await.unwrap();
        let green = Embedded::start_with("green", change(Options::new(Shape::V1_37))).await.unwrap();
        let source = Cluster::from_client("blue", blue.client().unwrap()).await.unwrap();
        let target = Cluster::from_client("green", green.client().unwrap()).await.unwrap();
        let pair = Self { blue, green, source, target };
        pair.put("v1", "Namespace", "shop", json!({"metadata": {"namespace": null}})).await;
        pair
    }

    /// Puts an object on the source as somebody else does.
    async fn put(&self, version: &str, kind: &str, name: &str, rest: Value) {
        let manifest = object(version, kind, name, rest);
        self.source.apply(&manifest, &kube::api::PatchParams::apply("tenant").force()).await.unwrap();
    }

    async fn map(&self, name: &str, value: &str) {
        let labels = json!({"part-of": "shop"});
        self.put("v1", "ConfigMap", name, json!({"metadata": {"labels": labels}, "data": {"key": value}})).await;
    }

    async fn delete(&self, version: &str, kind: &str, name: &str) {
        let resource = self.source.resource(version, kind).unwrap();
        let object = ObjectRef::new(kind, "shop", name);
        let call = super::super::Call::on("delete", resource, &object);
        let path = kube::core::Request::new(resource.path("shop"));
        self.source.send(&call, path.delete(name, &kube::api::DeleteParams::default())).await.unwrap();
    }

    /// The same clusters as the controller has them, for many migrations.
    fn for_many(self) -> Self {
        let for_many = |cluster: Cluster| Cluster { relays: Relays::for_many(), ..cluster };
        Self { source: for_many(self.source), target: for_many(self.target), ..self }
    }

    fn follow(&self) -> Followed {
        Followed::new(self.source.clone(), self.target.clone(), &workloads())
    }

    /// What carries this label.
    fn follow_part(&self, part: &str) -> Followed {
        let mut workloads = workloads();
        workloads.selector.match_labels.insert("part-of".to_owned(), part.to_owned());
        Followed::new(self.source.clone(), self.target.clone(), &workloads)
    }

    async fn is_on_target(&self, kind: &str, name: &str) -> bool {
        let resource = self.target.resource_of(kind).unwrap();
        self.target.get(resource, &ObjectRef::new(kind, "shop", name)).await.unwrap().is_some()
    }
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    timeout(LONG, future).await.expect("in time")
}

/// Catches up as often as it takes until what is pending is just this.
async fn until_pending(followed: &mut Followed, expected: &[&str]) {
    let mut seen = Err("nothing".to_owned());
    for _ in 0..400 {
        seen = in_time(followed.catch_up()).await.map(|()| pending(followed));
        if seen.as_ref().is_ok_and(|pending| pending == expected) {
            return;
        }
        // The server's word comes by itself.
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("expected {expected:?}, have {seen:?}");
}

fn pending(followed: &Followed) -> Vec<String> {
    followed.standing().pending().map(ToString::to_string).collect()
}

/// Applies what is pending, and hears of it.
async fn mirror(followed: &mut Followed) {
    in_time(followed.catch_up()).await.unwrap();
    let applied: Vec<_> = followed.standing().pending().cloned().collect();
    for object in &applied {
        apply(&followed.target, &followed.standing().desired(object).unwrap()).await.unwrap();
    }
    followed.await_echo(&applied).await;
}

fn deployment() -> Value {
    let containers = json!([{"name": "app", "image": "shop:1", "envFrom": [{"secretRef": {"name": "db"}}]}]);
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": containers}});
    let spec = json!({"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": template});
    json!({"metadata": {"labels": {"part-of": "shop"}}, "spec": spec})
}

#[tokio::test]
async fn what_changes_on_the_source_is_heard_of_and_applied_without_reading_anything_again() {
    let pair = Pair::start().await;
    pair.map("a", "1").await;
    let mut followed = pair.follow();
    until_pending(&mut followed, &["Namespace shop", "ConfigMap shop/a"]).await;
    mirror(&mut followed).await;
    until_pending(&mut followed, &[]).await;
    followed.standing.take_stirred();
    // From here on no list would be answered.
    pair.blue.inject(u32::MAX, ApiFault::any(Mishap::Refuse(503)).on(Verb::List));
    pair.green.inject(u32::MAX, ApiFault::any(Mishap::Refuse(503)).on(Verb::List));
    pair.map("a", "2").await;
    in_time(followed.stirred()).await;
    until_pending(&mut followed, &["ConfigMap shop/a"]).await;
    mirror(&mut followed).await;
    until_pending(&mut followed, &[]).await;
    pair.delete("v1", "ConfigMap", "a").await;
    pair.map("b", "1").await;
    until_pending(&mut followed, &["ConfigMap shop/b"]).await;
}

#[tokio::test]
async fn what_is_only_referred_to_is_followed_by_name_and_strangers_are_not_read() {
    let pair = Pair::start().await;
    pair.put("apps/v1", "Deployment", "web", deployment()).await;
    pair.put("v1", "Secret", "db", json!({"data": {"password": "aHVudGVyMg=="}})).await;
    pair.put("v1", "Secret", "strange", json!({"data": {"password": "c2VjcmV0"}})).await;
    let mut followed = pair.follow();
    let all = ["Namespace shop", "Secret shop/db", "Deployment shop/web"];
    until_pending(&mut followed, &all).await;
    mirror(&mut followed).await;
    until_pending(&mut followed, &[]).await;
    pair.put("v1", "Secret", "db", json!({"data": {"password": "aHVudGVyMw=="}})).await;
    until_pending(&mut followed, &["Secret shop/db"]).await;
    pair.put("v1", "Secret", "strange", json!({"data": {"password": "YW5vdGhlcg=="}})).await;
    pair.delete("v1", "Secret", "db").await;
    in_time(async {
        while followed.standing().blockers().is_empty() {
            followed.catch_up().await.unwrap();
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(followed.standing().blockers()[0].contains("needs Secret shop/db, which does not exist"));
    pair.put("v1", "Secret", "db", json!({"data": {"password": "aHVudGVyNA=="}})).await;
    until_pending(&mut followed, &["Secret shop/db"]).await;
    assert!(!format!("{:?}", followed.standing().stock(Side::Named)).contains("password"));
}

#[tokio::test]
async fn what_there_is_no_room_for_is_read_again_when_it_is_needed() {
    let pair = Pair::start().await;
    pair.map("a", "1").await;
    pair.put("apps/v1", "Deployment", "web", deployment()).await;
    pair.put("v1", "Secret", "db", json!({"data": {"password": "aHVudGVyMg=="}})).await;
    let mut followed = pair.follow();
    followed.standing.keep_within(0);
    mirror(&mut followed).await;
    until_pending(&mut followed, &[]).await;
    assert_eq!(followed.standing().stock(Side::Source).bytes(), 0, "nobody needs it");
    // The target loses what was there, and somebody else changes a value.
    let lost = ObjectRef::new("Secret", "shop", "db");
    remove(&pair.target, &lost).await.unwrap();
    let theirs = object("v1", "ConfigMap", "a", json!({"data": {"key": "another"}}));
    pair.target.apply(&theirs, &kube::api::PatchParams::apply("somebody").force()).await.unwrap();
    pair.blue.inject(1, ApiFault::any(Mishap::Refuse(503)).on(Verb::Get));
    until_pending(&mut followed, &["ConfigMap shop/a", "Secret shop/db"]).await;
    let desired = |name: &ObjectRef| followed.standing().desired(name).unwrap().manifest.into_value();
    assert_eq!(desired(&lost)["data"]["password"], "aHVudGVyMg==");
    assert_eq!(desired(&ObjectRef::new("ConfigMap", "shop", "a"))["data"]["key"], "1");
    // What changes on the source meanwhile is what is written.
    pair.put("v1", "Secret", "db", json!({"data": {"password": "aHVudGVyMw=="}})).await;
    pair.target
        .apply(&object("v1", "ConfigMap", "a", json!({})), &kube::api::PatchParams::apply("somebody"))
        .await
        .unwrap();
    let secrets = pair.target.resource_of("Secret").unwrap();
    in_time(async {
        let newest = Some(&Value::from("aHVudGVyMw=="));
        while pair
            .target
            .get(secrets, &lost)
            .await
            .unwrap()
            .and_then(|live| live.value().pointer("/data/password").cloned())
            .as_ref()
            != newest
        {
            mirror(&mut followed).await;
        }
    })
    .await;
    until_pending(&mut followed, &[]).await;
}

#[tokio::test]
async fn watches_go_on_over_breaks_and_forgotten_history_and_nothing_old_is_taken_for_new() {
    goes_on_over_everything(Pair::start().await).await;
}

#[tokio::test]
async fn shared_watches_do_too() {
    goes_on_over_everything(Pair::start().await.for_many()).await;
}

async fn goes_on_over_everything(pair: Pair) {
    for name in ["a", "b", "c"] {
        pair.map(name, "1").await;
    }
    let mut followed = pair.follow();
    until_pending(&mut followed, &["Namespace shop", "ConfigMap shop/a", "ConfigMap shop/b", "ConfigMap shop/c"]).await;
    mirror(&mut followed).await;
    for round in 0..3 {
        let value = format!("{round}");
        pair.blue.break_watches();
        pair.map("a", &value).await;
        until_pending(&mut followed, &["ConfigMap shop/a"]).await;
        mirror(&mut followed).await;
        // While the server refuses to be watched and read, the source is unknown; meanwhile it changes, and forgets.
        let refuse = |verb| ApiFault::any(Mishap::Refuse(503)).on(verb).of("configmaps");
        pair.blue.inject(3, refuse(Verb::Watch));
        pair.blue.inject(2, refuse(Verb::List));
        pair.blue.break_watches();
        in_time(async {
            while followed.catch_up().await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        pair.map("b", &value).await;
        if round == 1 {
            pair.delete("v1", "ConfigMap", "c").await;
        }
        pair.blue.compact();
        until_pending(&mut followed, &["ConfigMap shop/b"]).await;
        mirror(&mut followed).await;
    }
    until_pending(&mut followed, &[]).await;
    let names: Vec<_> = followed.standing().states().map(|(object, _)| object.name.clone()).collect();
    assert_eq!(names, ["shop", "a", "b"], "what was deleted while nobody could see is gone");
}

#[tokio::test]
async fn servers_that_answer_late_or_half_or_ask_for_patience_are_read_all_the_same() {
    let pair = Pair::start().await;
    for at in 0..1200 {
        pair.map(&format!("m{at:04}"), "1").await;
    }
    // Three pages: the second comes late, then one breaks off, then the history is gone between two pages.
    pair.blue.inject(1, ApiFault::any(Mishap::Throttle(1)).on(Verb::List).of("configmaps"));
    pair.blue.inject(1, ApiFault::any(Mishap::Delay(Duration::from_millis(50))).on(Verb::List).of("configmaps"));
    pair.blue.inject(1, ApiFault::any(Mishap::HalfAnswer).on(Verb::List).of("configmaps"));
    pair.blue.inject(1, ApiFault::any(Mishap::Compact).on(Verb::List).of("configmaps"));
    pair.blue.inject(1, ApiFault::any(Mishap::HalfAnswer).on(Verb::List).of("services"));
    let begun = Instant::now();
    let mut followed = pair.follow();
    in_time(async {
        while let Err(why) = followed.catch_up().await {
            assert!(why.starts_with("cluster blue: "), "{why}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert_eq!(pending(&followed).len(), 1201);
    assert!(begun.elapsed() >= Duration::from_secs(1), "a server that asks to be left alone is");
}

#[tokio::test]
async fn a_server_that_throttles_writes_is_waited_for_and_one_that_refuses_is_not() {
    let pair = Pair::start().await;
    pair.map("a", "1").await;
    let mut followed = pair.follow();
    in_time(followed.catch_up()).await.unwrap();
    pair.green.inject(2, ApiFault::any(Mishap::Throttle(1)).on(Verb::Patch));
    mirror(&mut followed).await;
    until_pending(&mut followed, &[]).await;
    pair.map("a", "2").await;
    until_pending(&mut followed, &["ConfigMap shop/a"]).await;
    pair.green.inject(1, ApiFault::any(Mishap::Refuse(503)).on(Verb::Patch));
    let desired = followed.standing().desired(&ObjectRef::new("ConfigMap", "shop", "a")).unwrap();
    assert!(apply(&pair.target, &desired).await.is_err(), "nobody knows how long that will last");
}

#[tokio::test]
async fn what_has_not_been_read_is_not_taken_for_empty() {
    let pair = Pair::start().await;
    pair.put("apps/v1", "Deployment", "web", deployment()).await;
    pair.put("v1", "Secret", "db", json!({})).await;
    let mut followed = pair.follow();
    let web = ObjectRef::new("Deployment", "shop", "web");
    for side in [Side::Source, Side::Target] {
        assert!(followed.replicas(side, [&web].into_iter()).await.is_err(), "{side:?}");
    }
    in_time(followed.catch_up()).await.unwrap();
    assert_eq!(followed.replicas(Side::Source, [&web].into_iter()).await.unwrap().len(), 1);
    assert_eq!(followed.replicas(Side::Target, [&web].into_iter()).await.unwrap().len(), 0);
}

#[tokio::test]
async fn watches_that_end_at_once_and_without_bookmarks_still_tell_everything() {
    let pair = Pair::start_with(|options| Options { bookmark_interval: LONG, ..options }).await;
    pair.map("a", "1").await;
    let mut followed = pair.follow();
    in_time(followed.catch_up()).await.unwrap();
    for value in 2..6 {
        for _ in 0..5 {
            pair.blue.break_watches();
            tokio::task::yield_now().await;
        }
        let before = followed.standing().digest(&ObjectRef::new("ConfigMap", "shop", "a")).unwrap();
        pair.map("a", &value.to_string()).await;
        in_time(async {
            while followed.standing().digest(&ObjectRef::new("ConfigMap", "shop", "a")) == Some(before) {
                followed.stirred().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn where_watching_is_forbidden_everything_is_read_again_and_again() {
    let pair = Pair::start().await;
    pair.map("a", "1").await;
    pair.blue.inject(u32::MAX, ApiFault::any(Mishap::Refuse(403)).on(Verb::Watch));
    let mut followed = pair.follow();
    in_time(followed.catch_up()).await.unwrap();
    pair.map("b", "1").await;
    until_pending(&mut followed, &["Namespace shop", "ConfigMap shop/a", "ConfigMap shop/b"]).await;
}

#[tokio::test]
async fn gone_is_what_the_source_has_lost_and_is_ours_alone_and_nobody_needs() {
    let pair = Pair::start().await;
    for name in ["kept", "lost", "left", "shared"] {
        pair.map(name, "1").await;
    }
    pair.put("apps/v1", "Deployment", "web", deployment()).await;
    pair.put("v1", "Secret", "db", json!({})).await;
    let mut followed = pair.follow();
    mirror(&mut followed).await;
    until_pending(&mut followed, &[]).await;
    let nothing = Applied::default();
    assert_eq!(followed.gone(&nothing).await.unwrap(), []);
    let theirs = object("v1", "ConfigMap", "shared", json!({"data": {"theirs": "1"}}));
    pair.target.apply(&theirs, &kube::api::PatchParams::apply("somebody")).await.unwrap();
    pair.put("v1", "ConfigMap", "left", json!({"data": {"key": "1"}})).await;
    for name in ["lost", "shared"] {
        pair.delete("v1", "ConfigMap", name).await;
    }
    pair.delete("v1", "Secret", "db").await;
    let lost = ObjectRef::new("ConfigMap", "shop", "lost");
    let all_heard = |followed: &Followed| followed.standing().left_behind(&Applied::default()).len() == 3;
    in_time(async {
        while followed.catch_up().await.is_err() || !all_heard(&followed) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // Who may not look has not seen that it is gone.
    pair.blue.inject(1, ApiFault::any(Mishap::Refuse(403)).on(Verb::List).of("configmaps"));
    assert!(followed.gone(&nothing).await.is_err());
    assert_eq!(followed.gone(&nothing).await.unwrap(), std::slice::from_ref(&lost));
    remove_gone(&pair.source, &pair.target, &workloads(), &lost).await.unwrap();
    remove_gone(&pair.source, &pair.target, &workloads(), &lost).await.unwrap();
    assert!(!pair.is_on_target("ConfigMap", "lost").await);
    for (kind, name) in [("ConfigMap", "left"), ("ConfigMap", "shared"), ("ConfigMap", "kept"), ("Secret", "db")] {
        let kept = ObjectRef::new(kind, "shop", name);
        if name != "db" {
            remove_gone(&pair.source, &pair.target, &workloads(), &kept).await.unwrap();
        }
        assert!(pair.is_on_target(kind, name).await, "{kept}");
    }
    let namespace = ObjectRef::new("Namespace", "", "shop");
    assert!(remove(&pair.target, &namespace).await.is_err(), "a namespace is never deleted");
}

#[tokio::test]
async fn what_was_lost_while_nobody_looked_is_gone_as_far_as_the_journal_tells() {
    let pair = Pair::start().await;
    pair.map("lost", "1").await;
    pair.map("kept", "1").await;
    mirror(&mut pair.follow()).await;
    pair.delete("v1", "ConfigMap", "lost").await;
    let mut followed = pair.follow();
    in_time(followed.catch_up()).await.unwrap();
    assert_eq!(followed.gone(&Applied::default()).await.unwrap(), [], "it may be somebody else's migration's");
    let lost = ObjectRef::new("ConfigMap", "shop", "lost");
    let applied = [&lost].into_iter().collect();
    assert_eq!(followed.gone(&applied).await.unwrap(), std::slice::from_ref(&lost));
    let memo = object("v1", "ConfigMap", "lost", json!({}));
    followed.keep_aside(crate::cluster::digested(memo.into_value()));
    assert_eq!(followed.gone(&applied).await.unwrap(), [], "what is kept aside comes from no source");
}

#[tokio::test]
async fn an_object_that_changes_between_reading_and_deleting_stays() {
    let pair = Pair::start().await;
    pair.map("a", "1").await;
    mirror(&mut pair.follow()).await;
    let a = ObjectRef::new("ConfigMap", "shop", "a");
    pair.green.inject(1, ApiFault::any(Mishap::Refuse(409)).on(Verb::Delete));
    assert!(matches!(remove(&pair.target, &a).await, Err(ClusterError::Changed { .. })));
    assert!(pair.is_on_target("ConfigMap", "a").await);
    remove(&pair.target, &a).await.unwrap();
    assert!(!pair.is_on_target("ConfigMap", "a").await);
}

#[tokio::test]
async fn what_is_called_otherwise_on_the_target_is_followed_under_both_names() {
    let pair = Pair::start().await;
    let mut mapped = workloads();
    let name = |text: &str| Name::new(text).unwrap();
    mapped.maps.namespaces.insert(name("shop"), name("store"));
    let rename = |kind: &str, from: &str, to: &str| NameMap { kind: kind.into(), from: from.into(), to: to.into() };
    mapped.maps.names = vec![rename("Deployment", "web", "front"), rename("Secret", "db", "database")];
    pair.put("apps/v1", "Deployment", "web", deployment()).await;
    pair.put("v1", "Secret", "db", json!({"data": {"password": "aHVudGVyMg=="}})).await;
    pair.map("a", "1").await;
    let mut followed = Followed::new(pair.source.clone(), pair.target.clone(), &mapped);
    let all = ["Namespace store", "ConfigMap store/a", "Secret store/database", "Deployment store/front"];
    until_pending(&mut followed, &all).await;
    assert_eq!(followed.standing().blockers(), [""; 0]);
    mirror(&mut followed).await;
    until_pending(&mut followed, &[]).await;
    let front = ObjectRef::new("Deployment", "store", "front");
    let live = pair.target.get(pair.target.resource_of("Deployment").unwrap(), &front).await.unwrap().unwrap();
    let secret = live.value().pointer("/spec/template/spec/containers/0/envFrom/0/secretRef/name").unwrap();
    assert_eq!(secret, "database", "references follow");
    for side in [Side::Source, Side::Target] {
        let counted = followed.replicas(side, std::iter::empty()).await.unwrap();
        assert_eq!(counted.keys().collect::<Vec<_>>(), [&front], "{side:?}: one name for both sides");
    }
    let mut strange = deployment();
    strange["metadata"]["labels"] = json!({});
    pair.put("apps/v1", "Deployment", "front", strange).await;
    scale_source(&pair.source, &front, &mapped, 2).await.unwrap();
    let replicas = |name: &'static str| {
        let web = ObjectRef::new("Deployment", "shop", name);
        let source = &pair.source;
        async move { crate::cluster::workloads(source, std::slice::from_ref(&web)).await.unwrap()[&web].desired }
    };
    assert_eq!((replicas("web").await, replicas("front").await), (2, 0), "not the one that is called so there");
    pair.delete("v1", "ConfigMap", "a").await;
    in_time(async {
        while followed.catch_up().await.is_err() || followed.standing().left_behind(&Applied::default()).is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let gone = followed.gone(&Applied::default()).await.unwrap();
    assert_eq!(gone, [ObjectRef::new("ConfigMap", "store", "a")]);
    remove_gone(&pair.source, &pair.target, &mapped, &gone[0]).await.unwrap();
    until_pending(&mut followed, &["Deployment store/front"]).await;
}

#[tokio::test]
async fn a_controller_that_becomes_a_deployment_is_scaled_as_what_it_is() {
    let pair = Pair::start().await;
    let template =
        json!({"metadata": {"labels": {"app": "old"}}, "spec": {"containers": [{"name": "app", "image": "shop:1"}]}});
    let spec = json!({"replicas": 3, "selector": {"app": "old"}, "template": template});
    pair.put("v1", "ReplicationController", "old", json!({"metadata": {"labels": {"part-of": "shop"}}, "spec": spec}))
        .await;
    let old = ObjectRef::new("Deployment", "shop", "old");
    let count =
        || async { on_source(&pair.source, std::slice::from_ref(&old), &workloads()).await.unwrap()[&old].desired };
    assert_eq!(count().await, 3);
    scale_source(&pair.source, &old, &workloads(), 0).await.unwrap();
    assert_eq!(count().await, 0);
    let missing = ObjectRef::new("Deployment", "shop", "none");
    assert!(matches!(scale_source(&pair.source, &missing, &workloads(), 0).await, Err(ClusterError::NotFound { .. })));
}

#[tokio::test]
async fn a_cron_job_passes_to_the_target_with_the_time_of_its_last_run() {
    let pair = Pair::start().await;
    let containers = json!([{"name": "app", "image": "shop:1"}]);
    let pods = json!({"spec": {"template": {"spec": {"containers": containers, "restartPolicy": "Never"}}}});
    let spec = json!({"schedule": "0 3 * * *", "jobTemplate": pods});
    let labels = json!({"part-of": "shop"});
    let body = json!({"metadata": {"labels": labels}, "spec": spec});
    pair.put("batch/v1beta1", "CronJob", "nightly", body).await;
    let nightly = ObjectRef::new("CronJob", "shop", "nightly");
    let ran = json!({"status": {"lastScheduleTime": "2026-01-01T03:00:00Z"}});
    let resource = pair.source.resource_of("CronJob").unwrap();
    let call = super::super::Call::on("patch", resource, &nightly);
    let path = kube::core::Request::new(resource.path("shop"));
    let params = kube::api::PatchParams::default();
    let patch = path.patch_subresource("status", "nightly", &params, &kube::api::Patch::Merge(ran));
    pair.source.send(&call, patch).await.unwrap();
    let mut followed = pair.follow();
    mirror(&mut followed).await;
    until_pending(&mut followed, &[]).await;
    let jobs =
        |followed: &Followed| followed.standing().jobs().map(|(_, here, there)| (here, there)).collect::<Vec<_>>();
    assert_eq!(jobs(&followed), [(false, true)]);
    let early = resume_target(&pair.source, &pair.target, &nightly, &workloads()).await;
    assert!(matches!(early, Err(ClusterError::Changed { .. })), "both would run");
    suspend_source(&pair.source, &nightly, &workloads()).await.unwrap();
    resume_target(&pair.source, &pair.target, &nightly, &workloads()).await.unwrap();
    let live = pair.target.get(pair.target.resource_of("CronJob").unwrap(), &nightly).await.unwrap().unwrap();
    assert_eq!(live.value()["status"]["lastScheduleTime"], "2026-01-01T03:00:00Z");
    in_time(async {
        while followed.catch_up().await.is_err() || jobs(&followed) != [(true, false)] {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

const PARTS: usize = 12;

#[tokio::test]
async fn many_migrations_share_one_watch_a_kind_and_each_hears_of_its_own_alone() {
    let pair = Pair::start().await.for_many();
    let part = |at: usize| format!("part{at}");
    let put = async |name: &str, part: &str, value: &str| {
        let labels = json!({"part-of": part});
        pair.put("v1", "ConfigMap", name, json!({"metadata": {"labels": labels}, "data": {"key": value}})).await;
    };
    let mut all = Vec::new();
    let mut watches = Vec::new();
    for at in 0..PARTS {
        put(&format!("map{at}"), &part(at), "1").await;
        let mut followed = pair.follow_part(&part(at));
        mirror(&mut followed).await;
        until_pending(&mut followed, &[]).await;
        all.push(followed);
        let blue = until_all_watched(&pair.blue, &pair.source).await;
        watches.push((blue, until_all_watched(&pair.green, &pair.target).await));
    }
    let (blue, green) = watches[0];
    assert!(blue > 10 && green > 10, "{watches:?}");
    let secrets_apart: Vec<_> = (0..PARTS).map(|more| (blue + more, green)).collect();
    assert_eq!(watches, secrets_apart, "Secrets alone are watched by labels");
    put("map3", &part(3), "2").await;
    until_pending(&mut all[3], &["ConfigMap shop/map3"]).await;
    mirror(&mut all[3]).await;
    until_pending(&mut all[3], &[]).await;
    // What leaves one selection comes to the other.
    put("map3", &part(4), "2").await;
    until_pending(&mut all[4], &["ConfigMap shop/map3"]).await;
    in_time(async {
        while all[3].catch_up().await.is_err() || all[3].standing().states().count() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    for at in (0..PARTS).filter(|at| ![3, 4].contains(at)) {
        in_time(all[at].catch_up()).await.unwrap();
        let known: Vec<_> = all[at].standing().states().map(|(object, _)| object.to_string()).collect();
        assert_eq!(known, ["Namespace shop".to_owned(), format!("ConfigMap shop/map{at}")]);
    }
    drop(all);
    in_time(async {
        while pair.blue.open_watches() + pair.green.open_watches() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// The number of a server's watches, once each of them has begun: a moment after what it tells of was read.
async fn until_all_watched(server: &Embedded, cluster: &Cluster) -> usize {
    in_time(async {
        while server.open_watches() != cluster.relays.live() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    server.open_watches()
}
