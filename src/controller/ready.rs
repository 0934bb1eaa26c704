//! Whether a ShiftPolicy or a Cluster can be used, said on the object itself: its condition `Ready`. IO.
//!
//! A mistake is said where it was made, whether or not a Migration names the object yet. Nothing is decided by it: who drives a
//! migration reads for itself what it needs. An object is looked at when it was changed; a Cluster now and then besides, because its
//! Secret may come late, or go.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use kube::api::DynamicObject;
use kube::core::ApiResource;

use super::accept;
use super::crd::ReadyStatus;
use super::fleet::Watched;
use super::home::{Home, Key, PATIENCE};
use super::reach::Ways;
use super::status::{self, Word};
use crate::fence::Fence;
use crate::migration::snapshot::chain;
use crate::observe::clock::{Clock, Moment};

const READY: &str = "Ready";

/// How old the last look at a Cluster may become: one request to the home cluster, for its Secret.
const STALE: Duration = Duration::from_secs(30);

/// Says which objects are ready.
pub struct Ready {
    home: Home,
    ways: Ways,
    clock: Clock,
    /// The generation each object had when it was last looked at, and when that was.
    looked: BTreeMap<(String, Key), (Option<i64>, Moment)>,
}

impl Ready {
    /// Nothing was looked at yet.
    pub fn new(home: Home, ways: Ways) -> Self {
        Self { home, ways, clock: Clock::start(), looked: BTreeMap::new() }
    }

    /// Forgets what was looked at: another process may have said something else since.
    pub fn forget(&mut self) {
        self.looked.clear();
    }

    /// Looks at every object that is due.
    pub async fn round(&mut self, watched: &Watched, fence: &Fence) {
        let [_, policies, clusters] = Home::watched();
        for policy in watched.policies.state() {
            if self.is_due(&policies, &policy, Duration::MAX) {
                let word = word(accept::read_policy(&policy), "InvalidSpec", "it can be followed");
                self.say(&policies, &policy, &word, fence).await;
            }
        }
        for cluster in watched.clusters.state() {
            if self.is_due(&clusters, &cluster, STALE) {
                let word = word(self.ways.usable(&cluster).await, "ClusterUnusable", "its kubeconfig can be used");
                self.say(&clusters, &cluster, &word, fence).await;
            }
        }
    }

    fn is_due(&self, resource: &ApiResource, object: &DynamicObject, stale: Duration) -> bool {
        let looked = self.looked.get(&(resource.kind.clone(), Key::of(object)));
        looked.is_none_or(|(generation, at)| *generation != object.metadata.generation || at.elapsed() >= stale)
    }

    /// Says it, where that is news; what could not be said now is tried again in the next round.
    async fn say(&mut self, resource: &ApiResource, object: &DynamicObject, word: &Word, fence: &Fence) {
        let key = Key::of(object);
        if let Some(status) = told(object, word, self.clock.now()) {
            if fence.check(PATIENCE).is_err() {
                return;
            }
            if let Err(error) = self.home.patch_status(resource, &key, &status).await {
                tracing::debug!(kind = resource.kind, object = %key, error = chain(&error), "readiness not said yet");
                return;
            }
        }
        self.looked.insert((resource.kind.clone(), key), (object.metadata.generation, Moment::now()));
    }
}

fn word(read: Result<(), String>, reason: &str, good: &str) -> Word {
    match read {
        Ok(()) => Word::yes(READY, good),
        Err(why) => Word::no(reason, why),
    }
}

/// The status of an object that says so; `None` where it does already.
fn told(object: &DynamicObject, word: &Word, at: Timestamp) -> Option<ReadyStatus> {
    let before = object.data.get("status").cloned().unwrap_or_default();
    let mut status: ReadyStatus = serde_json::from_value(before).unwrap_or_default();
    let generation = object.metadata.generation;
    let news = status::set(&mut status.conditions, READY, word, generation, at);
    let is_news = news || status.observed_generation != generation;
    status.observed_generation = generation;
    is_news.then_some(status)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(weight: u32, status: serde_json::Value) -> DynamicObject {
        let metrics = json!([{"name": "errors", "planeErrors": {"plane": "edge"}, "max": "1%"}]);
        serde_json::from_value(json!({
            "apiVersion": "crossfade.dev/v1alpha1", "kind": "ShiftPolicy",
            "metadata": {"name": "careful", "namespace": "shop", "generation": 3},
            "spec": {"steps": [{"setWeight": weight}], "analysis": {"metrics": metrics}}, "status": status,
        }))
        .unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_mistake_is_said_once_on_the_object_and_taken_back_once_it_is_mended() {
        let broken = policy(90, json!({}));
        let no = word(accept::read_policy(&broken), "InvalidSpec", "");
        let status = told(&broken, &no, at(1)).unwrap();
        let condition = &status.conditions[0];
        assert_eq!((condition.type_.as_str(), condition.status.as_str()), ("Ready", "False"));
        assert!(condition.message.starts_with("spec.steps: never reach 100%"), "{}", condition.message);
        assert_eq!((condition.reason.as_str(), status.observed_generation), ("InvalidSpec", Some(3)));

        let said = policy(90, serde_json::to_value(&status).unwrap());
        assert_eq!(told(&said, &no, at(2)), None, "nothing new");

        let mended = policy(100, serde_json::to_value(&status).unwrap());
        let status = told(&mended, &word(accept::read_policy(&mended), "", "it can be followed"), at(3)).unwrap();
        assert_eq!(status.conditions.len(), 1);
        assert_eq!(
            (status.conditions[0].status.as_str(), status.conditions[0].last_transition_time.0),
            ("True", at(3))
        );
    }
}
