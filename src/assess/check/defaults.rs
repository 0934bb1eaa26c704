//! Defaults and built-in parts that changed in between. PURE.

use serde_json::Value;

use super::Check;
use crate::assess::rule::{Effort, Findings, Rule};
use crate::assess::sight::{Sight, Workload};
use crate::cluster::{Manifest, entries, text_at};

/// The check.
pub const CHECK: Check = Check { rules: &[&PATH_TYPE, &TTL, &TOKENS, &PROFILES, &DOCKER, &VOLUMES], look };

const PATH_TYPE: Rule = Rule {
    id: "XF-V020",
    title: "path whose matching is up to the controller",
    effort: Effort::Ready,
    why: "pathType was optional and meant ImplementationSpecific; it is kept, and the target's controller may match differently.",
    fix: "Say Prefix or Exact if the two controllers are not the same program.",
};
const TTL: Rule = Rule {
    id: "XF-V021",
    title: "finished jobs will be deleted",
    effort: Effort::Ready,
    why: "ttlSecondsAfterFinished had no effect before 1.21 unless a feature gate was on; on the target it deletes the job.",
    fix: "Remove the field if somebody reads finished jobs or their logs.",
};
const TOKENS: Rule = Rule {
    id: "XF-V022",
    title: "token secrets are not made any more",
    effort: Effort::NeedsChange,
    why: "Since 1.24 a ServiceAccount gets no token secret. Whoever uses this one from outside the cluster finds none there.",
    fix: "Make a Secret of type kubernetes.io/service-account-token on the target, or use kubectl create token.",
};
const PROFILES: Rule = Rule {
    id: "XF-V023",
    title: "seccomp or AppArmor profile in an annotation",
    effort: Effort::NeedsChange,
    why: "Annotations of seccomp have been ignored since 1.27; those of AppArmor became a field in 1.30.",
    fix: "Write securityContext.seccompProfile and securityContext.appArmorProfile; the mirror does it for seccomp.",
};
const DOCKER: Rule = Rule {
    id: "XF-V024",
    title: "uses the node's Docker",
    effort: Effort::Blocked,
    why: "The kubelet has had no Docker since 1.24: there is no such socket on the target.",
    fix: "Build images with a tool that needs no daemon, or ask the container runtime through its own interface.",
};
const VOLUMES: Rule = Rule {
    id: "XF-V025",
    title: "volume plugin that is gone",
    effort: Effort::Blocked,
    why: "The in-tree plugin was removed from Kubernetes; a pod with this volume never starts.",
    fix: "Use the CSI driver of that storage.",
};

/// In-tree volume plugins that newer versions removed, or only pass on to CSI drivers that have to be installed; and `gitRepo`,
/// which 1.33 switched off.
const REMOVED: &[&str] = &[
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "glusterfs",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
];

fn look(sight: &Sight<'_>, found: &mut Findings) {
    for ingress in sight.of("Ingress") {
        path_type(ingress, found);
    }
    for workload in &sight.workloads {
        ttl(sight, workload, found);
        profiles(workload, found);
        volumes(workload, found);
    }
    if sight.target.minor().is_some_and(|minor| minor >= 24) && sight.source.minor().is_some_and(|minor| minor < 24) {
        sight.of("ServiceAccount").for_each(|account| tokens(account, found));
    }
}

fn path_type(ingress: &Manifest, found: &mut Findings) {
    for (rule_at, rule) in entries(ingress.value(), "/spec/rules") {
        for (at, path) in entries(rule, "/http/paths") {
            if matches!(text_at(path, "/pathType"), None | Some("ImplementationSpecific")) {
                let field = format!("spec.rules[{rule_at}].http.paths[{at}].pathType");
                found.on(&PATH_TYPE, ingress.object(), field, "is ImplementationSpecific");
            }
        }
    }
}

fn ttl(sight: &Sight<'_>, workload: &Workload<'_>, found: &mut Findings) {
    let places = ["/spec/ttlSecondsAfterFinished", "/spec/jobTemplate/spec/ttlSecondsAfterFinished"];
    let place = places.into_iter().find(|place| workload.manifest.value().pointer(place).is_some());
    if let (Some(place), Some(0..21)) = (place, sight.source.minor()) {
        found.on(&TTL, workload.object, place[1..].replace('/', "."), "takes effect on the target");
    }
}

/// The `default` account's token is nobody's but the pods', which get their own from the kubelet.
fn tokens(account: &Manifest, found: &mut Findings) {
    if account.object().name == "default" {
        return;
    }
    for (at, secret) in entries(account.value(), "/secrets") {
        if text_at(secret, "/name").is_some_and(|name| name.contains("-token-")) {
            found.on(&TOKENS, account.object(), format!("secrets[{at}]"), "a token made by the source");
        }
    }
}

fn profiles(workload: &Workload<'_>, found: &mut Findings) {
    let annotations = workload.template.pointer("/metadata/annotations").and_then(Value::as_object);
    for key in annotations.into_iter().flatten().map(|(key, _)| key) {
        if key.contains("seccomp.security.alpha.kubernetes.io") || key.contains("apparmor.security.beta.kubernetes.io")
        {
            let path = if workload.path.is_empty() { String::new() } else { format!("{}.", workload.path) };
            found.on(&PROFILES, workload.object, format!("{path}metadata.annotations[{key}]"), "is a profile");
        }
    }
}

fn volumes(workload: &Workload<'_>, found: &mut Findings) {
    for (at, volume) in entries(workload.spec(), "/volumes") {
        let field = workload.field(&format!("volumes[{at}]"));
        if text_at(volume, "/hostPath/path")
            .is_some_and(|path| path.contains("docker.sock") || path.starts_with("/var/lib/docker"))
        {
            found.on(&DOCKER, workload.object, format!("{field}.hostPath.path"), "is Docker's");
        }
        let sources = volume.as_object().into_iter().flatten().map(|(key, _)| key);
        for plugin in sources.filter(|key| REMOVED.contains(&key.as_str())) {
            found.on(
                &VOLUMES,
                workload.object,
                format!("{field}.{plugin}"),
                format!("{plugin} was built into the kubelet"),
            );
        }
    }
}
