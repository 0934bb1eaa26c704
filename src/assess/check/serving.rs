//! What makes a move without downtime possible: several pods, probes, a graceful end, spread, budgets that let go. PURE.

use serde_json::Value;

use super::Check;
use crate::assess::rule::{Effort, Findings, Rule};
use crate::assess::sight::{Sight, Workload};
use crate::cluster::{Manifest, entries, text_at};

/// The check.
pub const CHECK: Check =
    Check { rules: &[&SINGLE, &READINESS, &PRE_STOP, &GRACE, &SPREAD, &RECREATE, &BUDGET, &AFFINITY], look };

const SINGLE: Rule = Rule {
    id: "XF-U001",
    title: "single replica",
    effort: Effort::NeedsChange,
    why: "Whatever restarts the one pod is downtime, on the source and on the target.",
    fix: "Run at least two replicas while traffic moves.",
};
const READINESS: Rule = Rule {
    id: "XF-U002",
    title: "no readiness probe",
    effort: Effort::NeedsChange,
    why: "A pod counts as ready as soon as it is started; requests reach it before it can answer them.",
    fix: "Add a readinessProbe that is true only when requests can be served.",
};
const PRE_STOP: Rule = Rule {
    id: "XF-U003",
    title: "no preStop hook",
    effort: Effort::Ready,
    why: "Balancers hear a moment late that a pod ends. Unless the program keeps serving after SIGTERM, requests fail then.",
    fix: "Add a preStop hook that waits a few seconds, or make sure that the program waits itself.",
};
const GRACE: Rule = Rule {
    id: "XF-U004",
    title: "grace period too short to drain",
    effort: Effort::NeedsChange,
    why: "The kubelet kills the pod this long after it asked for the end, preStop hook included.",
    fix: "Set terminationGracePeriodSeconds to the hook's time plus the longest request, 10 s at least.",
};
const SPREAD: Rule = Rule {
    id: "XF-U005",
    title: "pods not spread over nodes",
    effort: Effort::Ready,
    why: "All pods may be on one node, which is drained or lost as a whole.",
    fix: "Add topologySpreadConstraints or a podAntiAffinity over kubernetes.io/hostname.",
};
const RECREATE: Rule = Rule {
    id: "XF-U006",
    title: "replaces its pods all at once",
    effort: Effort::Ready,
    why: "With the strategy Recreate every rollout is downtime; often it says that two copies may not run at the same time, and \
          while traffic moves they do.",
    fix: "Find out why; if two copies really may not run, it cannot be moved without downtime.",
};
const BUDGET: Rule = Rule {
    id: "XF-U007",
    title: "disruption budget that allows nothing",
    effort: Effort::NeedsChange,
    why: "No pod may ever be evicted: draining a node hangs, on both sides.",
    fix: "Allow at least one pod to be away.",
};
const AFFINITY: Rule = Rule {
    id: "XF-U008",
    title: "clients stick to one pod",
    effort: Effort::Ready,
    why: "sessionAffinity keeps users on one pod; their sessions end when they are moved to the other cluster.",
    fix: "Keep sessions outside of pods, or tell users.",
};

/// Seconds within which a balancer has heard of a pod's end and the last short request is done.
const LEAST_GRACE: u64 = 10;

fn look(sight: &Sight<'_>, found: &mut Findings) {
    for workload in sight.workloads.iter().filter(|workload| workload.is_serving() && workload.replicas > 0) {
        let serves = !sight.services_of(workload.object).is_empty();
        let many = !matches!(workload.object.kind.as_str(), "DaemonSet" | "Pod");
        if many && workload.replicas == 1 {
            let effort = if serves { SINGLE.effort } else { Effort::Ready };
            found.note(&SINGLE, effort, Some(workload.object), "spec.replicas".to_owned(), "is 1".to_owned());
        }
        if serves {
            ends(workload, found);
        }
        if many && workload.replicas > 1 && !is_spread(workload.spec()) {
            found.on(
                &SPREAD,
                workload.object,
                workload.field("topologySpreadConstraints"),
                "neither spread nor anti-affinity",
            );
        }
        if text_at(workload.manifest.value(), "/spec/strategy/type") == Some("Recreate") {
            found.on(&RECREATE, workload.object, "spec.strategy.type", "is Recreate");
        }
    }
    sight.of("PodDisruptionBudget").for_each(|budget| allows_nothing(sight, budget, found));
    for service in sight.of("Service") {
        if text_at(service.value(), "/spec/sessionAffinity") == Some("ClientIP") {
            found.on(&AFFINITY, service.object(), "spec.sessionAffinity", "is ClientIP");
        }
    }
}

/// How a pod that serves begins and ends.
fn ends(workload: &Workload<'_>, found: &mut Findings) {
    let grace = workload.spec().get("terminationGracePeriodSeconds").and_then(Value::as_u64).unwrap_or(30);
    let mut longest_hook = 0;
    for container in workload.containers().filter(|container| !container.init) {
        let field = |rest: &str| workload.field(&format!("{}.{rest}", container.path));
        if container.value.get("readinessProbe").is_none() {
            found.on(&READINESS, workload.object, field("readinessProbe"), "is missing");
        }
        match container.value.pointer("/lifecycle/preStop") {
            None => found.on(&PRE_STOP, workload.object, field("lifecycle.preStop"), "is missing"),
            Some(hook) => longest_hook = longest_hook.max(sleeps(hook)),
        }
    }
    if grace < LEAST_GRACE || grace <= longest_hook {
        let what = if longest_hook > 0 {
            format!("{grace} s, and its preStop hook takes {longest_hook} s")
        } else {
            format!("{grace} s")
        };
        found.on(&GRACE, workload.object, workload.field("terminationGracePeriodSeconds"), what);
    }
}

/// Seconds a hook certainly takes: the number after a `sleep` in its command, or its `sleep` action.
fn sleeps(hook: &Value) -> u64 {
    if let Some(seconds) = hook.pointer("/sleep/seconds").and_then(Value::as_u64) {
        return seconds;
    }
    let words: Vec<&str> = entries(hook, "/exec/command").filter_map(|(_, word)| word.as_str()).collect();
    let words: Vec<&str> = words.iter().flat_map(|word| word.split_whitespace()).collect();
    let after = words.windows(2).find(|pair| pair[0] == "sleep" || pair[0].ends_with("/sleep"));
    let number = after.map(|pair| pair[1].trim_end_matches(|c: char| !c.is_ascii_digit()));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn is_spread(spec: &Value) -> bool {
    let constrained = entries(spec, "/topologySpreadConstraints").next().is_some();
    constrained || spec.pointer("/affinity/podAntiAffinity").is_some()
}

fn allows_nothing(sight: &Sight<'_>, budget: &Manifest, found: &mut Findings) {
    let spec = &budget.value()["spec"];
    let selector = spec.get("selector").unwrap_or(&Value::Null);
    let pods = sight.selected(&budget.object().namespace, selector).map(|workload| u64::from(workload.replicas));
    let pods = pods.fold(0, u64::saturating_add);
    let nothing = |key: &str, zero: bool| {
        let value = spec.get(key)?;
        let is_zero = value == 0 || value == "0" || value == "0%";
        let is_all = value == "100%" || (pods > 0 && value.as_u64().is_some_and(|least| least >= pods));
        (if zero { is_zero } else { is_all }).then(|| format!("is {value} of {pods} pods"))
    };
    for (key, zero) in [("maxUnavailable", true), ("minAvailable", false)] {
        if let Some(what) = nothing(key, zero) {
            found.on(&BUDGET, budget.object(), format!("spec.{key}"), what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn knows_how_long_a_hook_takes() {
        for (hook, seconds) in [
            (json!({"exec": {"command": ["sleep", "15"]}}), 15),
            (json!({"exec": {"command": ["/bin/sh", "-c", "touch /tmp/x; sleep 20s; true"]}}), 20),
            (json!({"sleep": {"seconds": 5}}), 5),
            (json!({"httpGet": {"path": "/drain"}}), 0),
            (json!({"exec": {"command": ["sleep"]}}), 0),
        ] {
            assert_eq!(sleeps(&hook), seconds, "{hook}");
        }
    }
}
