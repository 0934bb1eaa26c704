//! Which pods of a Deployment to make and which to end next. PURE.
//!
//! The rule of the real controllers, without their ReplicaSets: pods of the current template grow into
//! the room that `maxSurge` leaves above the wanted number, and pods of older templates go as far as
//! `maxUnavailable` allows ready ones to go; those that are not ready go first and freely.

use serde_json::Value;

/// What a Deployment asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) replicas: usize,
    /// Pods allowed above `replicas`.
    pub(super) surge: usize,
    /// Ready pods allowed to be missing.
    pub(super) unavailable: usize,
}

/// A pod that is not on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PodView {
    pub(super) name: String,
    /// Whether it was made from the current template.
    pub(super) current: bool,
    pub(super) ready: bool,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Step {
    /// How many pods of the current template to make.
    pub(super) create: usize,
    /// Names of the pods to end.
    pub(super) end: Vec<String>,
}

impl Wanted {
    /// Reads the numbers of a Deployment's `spec`, defaults filled in.
    pub(super) fn of(spec: &Value) -> Self {
        let replicas = spec["replicas"].as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or(1);
        if spec["strategy"]["type"] == "Recreate" {
            return Self { replicas, surge: 0, unavailable: replicas };
        }
        let rolling = &spec["strategy"]["rollingUpdate"];
        let surge = share(&rolling["maxSurge"], replicas, usize::div_ceil);
        let unavailable = share(&rolling["maxUnavailable"], replicas, |product, whole| product / whole);
        // With neither nothing could ever move; a real server then lets one pod be missing.
        let unavailable = if surge == 0 { unavailable.max(1) } else { unavailable };
        Self { replicas, surge, unavailable }
    }
}

/// The next step towards what is wanted; nothing where it is reached or pods have to get ready first.
pub(super) fn step(wanted: Wanted, pods: &[PodView]) -> Step {
    let Wanted { replicas, surge, unavailable } = wanted;
    let (mut current, mut old): (Vec<&PodView>, Vec<&PodView>) = pods.iter().partition(|pod| pod.current);
    for pods in [&mut current, &mut old] {
        pods.sort_by_key(|pod| (pod.ready, &pod.name));
    }
    let create = replicas.saturating_sub(current.len()).min((replicas + surge).saturating_sub(pods.len()));
    let excess = current.len().saturating_sub(replicas);
    let ready = pods.iter().filter(|pod| pod.ready).count() - current[..excess].iter().filter(|pod| pod.ready).count();
    let dispensable = ready.saturating_sub(replicas.saturating_sub(unavailable));
    let broken = old.iter().filter(|pod| !pod.ready).count();
    let ending = current[..excess].iter().chain(&old[..old.len().min(broken + dispensable)]);
    Step { create, end: ending.map(|pod| pod.name.clone()).collect() }
}

/// A number, or a percentage of `replicas` rounded by `divide`.
fn share(value: &Value, replicas: usize, divide: impl Fn(usize, usize) -> usize) -> usize {
    let number = |text: &str| text.parse::<usize>().unwrap_or_default();
    match value {
        Value::String(text) => match text.strip_suffix('%') {
            Some(percent) => divide(replicas * number(percent), 100),
            None => number(text),
        },
        value => value.as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// `cR` is a ready pod of the current template, `o-` an unready one of an older template.
    fn pods(text: &str) -> Vec<PodView> {
        let pods = text.split_whitespace().enumerate();
        pods.map(|(at, pod)| PodView { name: at.to_string(), current: pod.starts_with('c'), ready: pod.ends_with('R') })
            .collect()
    }

    #[test]
    fn one_step_at_a_time() {
        let wanted = Wanted { replicas: 2, surge: 1, unavailable: 0 };
        for (before, create, end) in [
            ("", 2, ""),
            ("cR cR", 0, ""),
            ("cR cR c- cR", 0, "2 0"),
            ("oR oR", 1, ""),
            ("oR oR c-", 0, ""),
            ("oR oR cR", 0, "0"),
            ("oR o- cR", 0, "1"),
            ("oR cR", 1, ""),
            ("oR cR cR", 0, "0"),
        ] {
            let step = step(wanted, &pods(before));
            assert_eq!((step.create, step.end.join(" ").as_str()), (create, end), "{before}");
        }
    }

    #[test]
    fn reads_a_deployment() {
        let rolling = |surge: Value, unavailable: Value| {
            json!({"replicas": 5, "strategy": {"type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}})
        };
        for (spec, surge, unavailable) in [
            (rolling("25%".into(), "25%".into()), 2, 1),
            (rolling(1.into(), 0.into()), 1, 0),
            (rolling(0.into(), 0.into()), 0, 1),
            (json!({"replicas": 5, "strategy": {"type": "Recreate"}}), 0, 5),
        ] {
            assert_eq!(Wanted::of(&spec), Wanted { replicas: 5, surge, unavailable });
        }
    }

    proptest! {
        /// Pods get ready one after the other, in any order; the promises hold at every moment and the
        /// rollout ends with exactly the wanted pods.
        #[test]
        fn a_rollout_keeps_its_promises_and_ends(
            replicas in 0usize..8, surge in 0usize..4, unavailable in 0usize..4,
            order in prop::collection::vec(0usize..8, 64),
        ) {
            let wanted = Wanted { replicas, surge, unavailable: if surge == 0 { unavailable.max(1) } else { unavailable } };
            let mut pods: Vec<PodView> = (0..replicas)
                .map(|at| PodView { name: format!("old-{at}"), current: false, ready: true }).collect();
            let mut made = 0;
            for choice in order {
                let step = step(wanted, &pods);
                pods.retain(|pod| !step.end.contains(&pod.name));
                for _ in 0..step.create {
                    made += 1;
                    pods.push(PodView { name: format!("new-{made}"), current: true, ready: false });
                }
                prop_assert!(pods.len() <= replicas + wanted.surge);
                prop_assert!(pods.iter().filter(|pod| pod.ready).count() + wanted.unavailable >= replicas);
                let waiting: Vec<usize> = (0..pods.len()).filter(|at| !pods[*at].ready).collect();
                if !waiting.is_empty() {
                    pods[waiting[choice % waiting.len()]].ready = true;
                }
            }
            prop_assert_eq!(pods.len(), replicas);
            prop_assert!(pods.iter().all(|pod| pod.current && pod.ready));
        }
    }
}
