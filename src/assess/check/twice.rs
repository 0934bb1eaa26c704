//! What happens twice, or is fought over, while both clusters run the same objects. PURE.

use serde_json::Value;

use super::Check;
use crate::assess::rule::{Effort, Findings, Rule};
use crate::assess::sight::{Sight, Workload};
use crate::cluster::{Manifest, text_at};

/// The check.
pub const CHECK: Check = Check { rules: &[&CRON, &CONSUMER, &DNS, &CERTIFICATE, &BALANCER, &REGISTRY], look };

const CRON: Rule = Rule {
    id: "XF-U040",
    title: "cron job that would run on both sides",
    effort: Effort::NeedsChange,
    why: "Once mirrored it runs at the same minute in both clusters: mails go out twice, tables are cleaned twice.",
    fix: "Suspend it on the target until commit, or make it harmless to run twice.",
};
const CONSUMER: Rule = Rule {
    id: "XF-U041",
    title: "works without being asked, so on both sides at once",
    effort: Effort::NeedsChange,
    why: "No Service leads to it, so no balancer decides how much it does: a consumer of a queue, a poller, an operator starts to \
          work on the target as soon as it is mirrored.",
    fix: "Make sure that two of it may work side by side, or mirror it with replicas: 0 and swap it by hand.",
};
const DNS: Rule = Rule {
    id: "XF-U042",
    title: "two external-dns would fight over a name",
    effort: Effort::NeedsChange,
    why: "The external-dns of the target sees the same annotation or host and writes the same record, without any step or weight.",
    fix: "Patch the annotation away for the target, or keep its external-dns from this name until commit.",
};
const CERTIFICATE: Rule = Rule {
    id: "XF-U043",
    title: "a certificate would be ordered twice",
    effort: Effort::NeedsChange,
    why: "The cert-manager of the target orders a certificate for the same name. An HTTP challenge is answered by whichever \
          cluster has the traffic, and authorities limit orders per name.",
    fix: "Bring the Secret along and remove the annotation for the target until commit, or use DNS challenges.",
};
const BALANCER: Rule = Rule {
    id: "XF-U044",
    title: "asks a controller for an address outside of the cluster",
    effort: Effort::NeedsChange,
    why: "Mirroring it makes the target's controller create a balancer, or take over the one of the same name: that costs money \
          and may move traffic before the first step.",
    fix: "Patch type or class for the target, or make sure that the two controllers share nothing.",
};
const REGISTRY: Rule = Rule {
    id: "XF-U045",
    title: "registers itself, or finds others, in a registry",
    effort: Effort::NeedsChange,
    why: "Its callers read addresses from the registry and pass the balancer by: they use the target as soon as its pods register.",
    fix: "Move it over a registry plane, and make sure that each cluster's pods are reachable from the other.",
};

/// What gives a registry away, in names and values of an environment.
const REGISTRIES: &[&str] = &["consul", "zookeeper", "nacos", "eureka", "dubbo", "etcd://"];

/// Annotations that make a controller do something outside of the cluster: prefix and the rule it falls under.
const OUTSIDE: &[(&str, &Rule)] = &[
    ("external-dns.alpha.kubernetes.io/", &DNS),
    ("cert-manager.io/", &CERTIFICATE),
    ("certmanager.k8s.io/", &CERTIFICATE),
    ("kubernetes.io/tls-acme", &CERTIFICATE),
    ("service.beta.kubernetes.io/aws-load-balancer", &BALANCER),
    ("alb.ingress.kubernetes.io/", &BALANCER),
    ("service.kubernetes.io/qcloud-loadbalancer", &BALANCER),
    ("cloud.google.com/load-balancer-type", &BALANCER),
    ("consul.hashicorp.com/", &REGISTRY),
];

/// What controllers outside would do about an object: what it means and the field that asks for it.
pub fn side_effects(manifest: &Manifest) -> Vec<(&'static str, String)> {
    outside(manifest).into_iter().map(|(rule, field, _)| (rule.title, field)).collect()
}

fn outside(manifest: &Manifest) -> Vec<(&'static Rule, String, String)> {
    let mut found = Vec::new();
    let annotations = manifest.value().pointer("/metadata/annotations").and_then(Value::as_object);
    for (key, _) in annotations.into_iter().flatten() {
        let known = OUTSIDE.iter().find(|(prefix, _)| key.starts_with(prefix));
        found.extend(
            known.map(|(_, rule)| (*rule, format!("metadata.annotations[{key}]"), "is acted upon outside".to_owned())),
        );
    }
    if manifest.object().kind == "Service" && text_at(manifest.value(), "/spec/type") == Some("LoadBalancer") {
        found.push((&BALANCER, "spec.type".to_owned(), "is LoadBalancer".to_owned()));
    }
    found
}

fn look(sight: &Sight<'_>, found: &mut Findings) {
    for manifest in sight.objects() {
        for (rule, field, what) in outside(manifest) {
            found.on(rule, manifest.object(), field, what);
        }
    }
    for workload in &sight.workloads {
        match workload.object.kind.as_str() {
            "CronJob" if workload.manifest.value().pointer("/spec/suspend") != Some(&Value::Bool(true)) => {
                let schedule = text_at(workload.manifest.value(), "/spec/schedule").unwrap_or("?");
                found.on(&CRON, workload.object, "spec.schedule", schedule);
            }
            "Deployment" | "ReplicationController" | "StatefulSet"
                if workload.replicas > 0 && sight.services_of(workload.object).is_empty() =>
            {
                found.on(&CONSUMER, workload.object, "", "no Service selects its pods");
            }
            _ => {}
        }
        registry(workload, found);
    }
}

fn registry(workload: &Workload<'_>, found: &mut Findings) {
    for (field, name, value) in workload.texts() {
        let text = format!("{name} {value}").to_ascii_lowercase();
        if let Some(registry) = REGISTRIES.iter().find(|registry| text.contains(**registry)) {
            found.on(&REGISTRY, workload.object, field, registry.trim_end_matches("://"));
        }
    }
}
