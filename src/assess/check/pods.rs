//! Pods that are more than pods: tied to their node, their address, or a person at their keyboard. PURE.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Check;
use crate::assess::capacity::Room;
use crate::assess::rule::{Effort, Findings, Rule};
use crate::assess::sight::{Sight, Workload};
use crate::cluster::{ObjectRef, entries, text_at};

/// The check.
pub const CHECK: Check =
    Check { rules: &[&ROOT, &HOST_PATH, &HOST_NETWORK, &HOST_PORT, &POD_IP, &DEVELOPER, &BARE, &NO_REQUESTS], look };

const ROOT: Rule = Rule {
    id: "XF-U010",
    title: "may write to its root file system",
    effort: Effort::Ready,
    why: "What a container writes outside of volumes exists in that one container only, and does not move.",
    fix: "Set readOnlyRootFilesystem: true and mount volumes where it has to write.",
};
const HOST_PATH: Rule = Rule {
    id: "XF-U011",
    title: "files of the node",
    effort: Effort::NeedsChange,
    why: "A hostPath is another directory on every node, and on the target's nodes certainly.",
    fix: "Use an emptyDir, a ConfigMap or a claim.",
};
const HOST_NETWORK: Rule = Rule {
    id: "XF-U012",
    title: "network of the node",
    effort: Effort::NeedsChange,
    why: "Its address is the node's: clients that know it do not follow, and two of them do not fit on one node.",
    fix: "Give it a Service instead.",
};
const HOST_PORT: Rule = Rule {
    id: "XF-U013",
    title: "port of the node",
    effort: Effort::NeedsChange,
    why: "Clients that know a node's address and port do not follow to another cluster.",
    fix: "Give it a Service instead.",
};
const POD_IP: Rule = Rule {
    id: "XF-U014",
    title: "address of a pod written down",
    effort: Effort::NeedsChange,
    why: "A pod's address changes with every restart and belongs to the other cluster after the move.",
    fix: "Use the name of a Service.",
};
const DEVELOPER: Rule = Rule {
    id: "XF-U015",
    title: "somebody works inside of it",
    effort: Effort::NeedsChange,
    why: "A container that people log in to, or that does nothing by itself, holds state nobody wrote down.",
    fix: "Ask its owner; what is in it has to be copied by hand.",
};
const BARE: Rule = Rule {
    id: "XF-U016",
    title: "pod without a controller",
    effort: Effort::NeedsChange,
    why: "Nobody makes it again when its node goes away, and it is not mirrored.",
    fix: "Make it a Deployment.",
};
const NO_REQUESTS: Rule = Rule {
    id: "XF-U017",
    title: "asks for no resources",
    effort: Effort::Ready,
    why: "Nobody can tell whether it fits on the target, and it is the first to be evicted there.",
    fix: "Set requests from what it really uses.",
};

/// Programs that mean a person at a keyboard.
const WORKBENCHES: &[&str] =
    &["code-server", "coder", "jupyter", "rstudio", "sshd", "openssh-server", "devcontainer", "toolbox"];

fn look(sight: &Sight<'_>, found: &mut Findings) {
    let addresses = pod_addresses(sight);
    for workload in &sight.workloads {
        if workload.object.kind == "Pod" {
            found.on(&BARE, workload.object, "metadata.ownerReferences", "has no controller");
        }
        node(workload, found);
        containers(workload, found);
        if Room::of_pod(workload.spec()).is_nothing() {
            found.on(&NO_REQUESTS, workload.object, workload.field("containers"), "no container has requests");
        }
        for (field, _, text) in workload.texts() {
            note_addresses(workload.object, &field, text, &addresses, found);
        }
    }
    for map in sight.of("ConfigMap") {
        for (key, value) in map.value().get("data").and_then(Value::as_object).into_iter().flatten() {
            note_addresses(map.object(), &format!("data.{key}"), value.as_str().unwrap_or_default(), &addresses, found);
        }
    }
    by_hand(sight, &addresses, found);
}

fn node(workload: &Workload<'_>, found: &mut Findings) {
    for (at, volume) in entries(workload.spec(), "/volumes") {
        if let Some(path) = text_at(volume, "/hostPath/path") {
            found.on(&HOST_PATH, workload.object, workload.field(&format!("volumes[{at}].hostPath")), path);
        }
    }
    if workload.spec().get("hostNetwork") == Some(&Value::Bool(true)) {
        found.on(&HOST_NETWORK, workload.object, workload.field("hostNetwork"), "is true");
    }
}

fn containers(workload: &Workload<'_>, found: &mut Findings) {
    for container in workload.containers() {
        let field = |rest: &str| workload.field(&format!("{}.{rest}", container.path));
        if container.value.pointer("/securityContext/readOnlyRootFilesystem") != Some(&Value::Bool(true))
            && !container.init
        {
            found.on(&ROOT, workload.object, field("securityContext.readOnlyRootFilesystem"), "is not true");
        }
        let host_network = workload.spec().get("hostNetwork") == Some(&Value::Bool(true));
        for (at, port) in entries(container.value, "/ports") {
            if let Some(number) =
                port.get("hostPort").and_then(Value::as_u64).filter(|number| *number > 0 && !host_network)
            {
                found.on(&HOST_PORT, workload.object, field(&format!("ports[{at}].hostPort")), format!("is {number}"));
            }
            if port.get("containerPort") == Some(&Value::from(22)) {
                found.on(&DEVELOPER, workload.object, field(&format!("ports[{at}].containerPort")), "is that of ssh");
            }
        }
        if let Some(what) = workbench(container.value) {
            found.on(&DEVELOPER, workload.object, field("image"), what);
        }
    }
}

/// What makes a container look like a place to work in.
fn workbench(container: &Value) -> Option<String> {
    let image = text_at(container, "/image").unwrap_or_default();
    let words = ["/command", "/args"].into_iter().flat_map(|list| entries(container, list));
    let command = words.filter_map(|(_, word)| word.as_str()).collect::<Vec<_>>().join(" ");
    let name = image.rsplit('/').next().unwrap_or_default();
    if let Some(program) = WORKBENCHES.iter().find(|program| name.contains(**program) || command.contains(**program)) {
        return Some(format!("runs {program}"));
    }
    let idle = ["sleep infinity", "tail -f /dev/null", "sleep 99999", "while true"];
    idle.iter().find(|idle| command.contains(**idle)).map(|idle| format!("does nothing by itself: {idle}"))
}

/// The addresses of the source's pods now, by whose they are. Pods on the node's own network have none of their own.
fn pod_addresses<'a>(sight: &Sight<'a>) -> BTreeMap<&'a str, &'a ObjectRef> {
    let own = sight.source.of("Pod").filter(|pod| pod.value().pointer("/spec/hostNetwork") != Some(&Value::Bool(true)));
    own.filter_map(|pod| Some((text_at(pod.value(), "/status/podIP")?, pod.object()))).collect()
}

fn note_addresses(
    object: &ObjectRef,
    field: &str,
    text: &str,
    addresses: &BTreeMap<&str, &ObjectRef>,
    found: &mut Findings,
) {
    let words = text.split(|c: char| !c.is_ascii_digit() && c != '.').map(|word| word.trim_matches('.'));
    for word in words.filter(|word| word.len() >= 7).collect::<BTreeSet<_>>() {
        if let Some(pod) = addresses.get(word) {
            found.on(&POD_IP, object, field, format!("{word} is {pod} now"));
        }
    }
}

/// Endpoints that somebody wrote for a Service without a selector.
fn by_hand(sight: &Sight<'_>, addresses: &BTreeMap<&str, &ObjectRef>, found: &mut Findings) {
    for service in sight.of("Service").filter(|service| service.value().pointer("/spec/selector").is_none()) {
        let object = service.object();
        let endpoints = sight.source.get(&ObjectRef::new("Endpoints", &object.namespace, &object.name));
        let subsets = endpoints.into_iter().flat_map(|endpoints| entries(endpoints.value(), "/subsets"));
        for (at, subset) in subsets {
            for (_, address) in entries(subset, "/addresses") {
                let ip = text_at(address, "/ip").unwrap_or_default();
                let whose = addresses.get(ip).map_or("an address outside".to_owned(), ToString::to_string);
                let what = format!("its Endpoints are written by hand: {ip} is {whose}");
                found.on(&POD_IP, object, format!("subsets[{at}] of its Endpoints"), what);
            }
        }
    }
}
