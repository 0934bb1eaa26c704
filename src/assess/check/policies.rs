//! Pod security: policies that are gone, and the standards that replaced them. PURE.
//!
//! The standards are those of the Kubernetes documentation ("Pod Security Standards"), as far as a template shows them.

use serde_json::Value;

use super::Check;
use crate::assess::rule::{Effort, Findings, Rule};
use crate::assess::sight::{Sight, Workload};
use crate::cluster::{ObjectRef, entries, text_at};
use crate::convert::{BASELINE_CAPABILITIES, Level, level};

/// The check.
pub const CHECK: Check = Check { rules: &[&PSP, &REFUSED, &UNLABELLED], look };

const PSP: Rule = Rule {
    id: "XF-V010",
    title: "pod security policy, which the target does not have",
    effort: Effort::NeedsChange,
    why: "PodSecurityPolicy was removed in 1.25. What it forbade is allowed on the target unless a namespace's label forbids it.",
    fix: "Label the target's namespaces pod-security.kubernetes.io/enforce with baseline or restricted; changes it made to pods \
          (defaults of capabilities, seccomp, users) go into the templates.",
};
const REFUSED: Rule = Rule {
    id: "XF-V011",
    title: "pods the target's namespace will refuse",
    effort: Effort::Blocked,
    why: "The namespace on the target enforces a pod security standard that this template does not meet: no pod is created.",
    fix: "Change the template, or the label of the namespace on the target.",
};
const UNLABELLED: Rule = Rule {
    id: "XF-V012",
    title: "a policy restricted these pods, nothing will on the target",
    effort: Effort::NeedsChange,
    why: "The source's server had the admission plugin PodSecurityPolicy; the namespace on the target enforces no standard.",
    fix: "Label the namespace on the target; the finding says the strictest standard that these pods meet already.",
};

fn look(sight: &Sight<'_>, found: &mut Findings) {
    let gone = !sight.target.served.resources().any(|resource| resource.kind == "PodSecurityPolicy");
    let policies: Vec<_> = sight.source.of("PodSecurityPolicy").collect();
    for policy in policies.iter().filter(|_| gone) {
        let needed = level(policy.value()).level;
        found.on(&PSP, policy.object(), "", format!("the strictest level that admits what it admits: {needed}"));
    }
    let admission = &sight.source.metrics.admission;
    // A policy without its plugin restricts nobody; whether the plugin is there, not every account may ask.
    let restricted = gone && (admission.contains("PodSecurityPolicy") || admission.is_empty() && !policies.is_empty());
    for workload in &sight.workloads {
        let broken = breaches(workload);
        let namespace = ObjectRef::new("Namespace", "", &workload.object.namespace);
        let label = "pod-security.kubernetes.io/enforce";
        let enforced = sight.target.get(&namespace).and_then(|there| there.labels()?.get(label)?.as_str());
        let enforced = match enforced {
            Some("restricted") => Level::Restricted,
            Some("baseline") => Level::Baseline,
            _ => Level::Privileged,
        };
        // A stricter level is a smaller one, and forbids what all larger ones forbid.
        for (by, field, what) in broken.iter().filter(|(by, ..)| *by >= enforced) {
            found.on(&REFUSED, workload.object, field, format!("{what}, which {by} forbids"));
        }
        if restricted && enforced == Level::Privileged {
            let met = match broken.iter().map(|(by, ..)| *by).max() {
                None => Level::Restricted,
                Some(Level::Restricted) => Level::Baseline,
                Some(Level::Baseline | Level::Privileged) => Level::Privileged,
            };
            found.on(&UNLABELLED, workload.object, workload.field("securityContext"), format!("meets {met}"));
        }
    }
}

type Breach = (Level, String, String);

/// Everything in a template that a standard forbids.
fn breaches(workload: &Workload<'_>) -> Vec<Breach> {
    let spec = workload.spec();
    let mut found = Vec::new();
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        if spec.get(key) == Some(&Value::Bool(true)) {
            found.push((Level::Baseline, workload.field(key), "is true".to_owned()));
        }
    }
    for (at, volume) in entries(spec, "/volumes") {
        if volume.get("hostPath").is_some() {
            found.push((
                Level::Baseline,
                workload.field(&format!("volumes[{at}].hostPath")),
                "is a host path".to_owned(),
            ));
        }
    }
    let pod = spec.get("securityContext");
    for container in workload.containers() {
        let own = container.value.get("securityContext");
        let field = |rest: &str| workload.field(&format!("{}.{rest}", container.path));
        container_breaches(container.value, own, &field, &mut found);
        let either = |key: &str| own.and_then(|own| own.get(key)).or_else(|| pod.and_then(|pod| pod.get(key)));
        if either("runAsNonRoot") != Some(&Value::Bool(true)) {
            found.push((Level::Restricted, field("securityContext.runAsNonRoot"), "is not true".to_owned()));
        }
        let profile = either("seccompProfile").and_then(|profile| text_at(profile, "/type"));
        if !matches!(profile, Some("RuntimeDefault" | "Localhost")) {
            found.push((Level::Restricted, field("securityContext.seccompProfile"), "is not set".to_owned()));
        }
    }
    found
}

fn container_breaches(value: &Value, own: Option<&Value>, field: &dyn Fn(&str) -> String, found: &mut Vec<Breach>) {
    let is = |key: &str, wanted: bool| own.and_then(|own| own.get(key)) == Some(&Value::Bool(wanted));
    if is("privileged", true) {
        found.push((Level::Baseline, field("securityContext.privileged"), "is true".to_owned()));
    }
    for (at, port) in entries(value, "/ports") {
        if port.get("hostPort").is_some_and(|port| port != 0) {
            found.push((Level::Baseline, field(&format!("ports[{at}].hostPort")), "is a port of the host".to_owned()));
        }
    }
    let capabilities = own.and_then(|own| own.get("capabilities")).unwrap_or(&Value::Null);
    for name in names(capabilities, "/add").filter(|name| !BASELINE_CAPABILITIES.contains(name)) {
        found.push((Level::Baseline, field("securityContext.capabilities.add"), format!("adds {name}")));
    }
    if !is("allowPrivilegeEscalation", false) {
        found.push((Level::Restricted, field("securityContext.allowPrivilegeEscalation"), "is not false".to_owned()));
    }
    if !names(capabilities, "/drop").any(|name| name == "ALL") {
        found.push((Level::Restricted, field("securityContext.capabilities.drop"), "does not have ALL".to_owned()));
    }
}

fn names<'a>(value: &'a Value, list: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    entries(value, list).filter_map(|(_, name)| name.as_str())
}
