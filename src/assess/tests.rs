//! An assessment of a small estate: what it finds, how it shows it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::cluster::{Manifest, Served, ServerVersion};
use crate::policy::{Name, Workloads};

fn served(kinds: &[(&str, &str, &str, bool)]) -> Served {
    let mut served = Served::default();
    for (version, kind, plural, namespaced) in kinds {
        let resource = json!({"name": plural, "kind": kind, "namespaced": namespaced, "verbs": ["list"]});
        served.add(serde_json::from_value(json!({"groupVersion": version, "resources": [resource]})).unwrap());
    }
    served
}

fn side(name: &str, minor: u32, kinds: &[(&str, &str, &str, bool)]) -> Side {
    Side::new(name, ServerVersion::new(&format!("v1.{minor}.0"), "1", &minor.to_string()), served(kinds))
}

fn object(version: &str, kind: &str, name: &str, rest: Value) -> Manifest {
    let mut value = json!({"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "shop"}});
    json_patch::merge(&mut value, &rest);
    Manifest::new(value).unwrap()
}

fn deployment(name: &str, replicas: u32, container: Value) -> Manifest {
    let mut full = json!({"name": "app", "image": "registry.example/app:1.0"});
    json_patch::merge(&mut full, &container);
    let template = json!({"metadata": {"labels": {"app": name}}, "spec": {"containers": [full]}});
    let spec = json!({"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template});
    object("apps/v1", "Deployment", name, json!({"spec": spec}))
}

fn service(name: &str) -> Manifest {
    object("v1", "Service", name, json!({"spec": {"selector": {"app": name}, "ports": [{"port": 80}]}}))
}

const BOTH: &[(&str, &str, &str, bool)] = &[
    ("apps/v1", "Deployment", "deployments", true),
    ("v1", "Service", "services", true),
    ("v1", "ConfigMap", "configmaps", true),
    ("v1", "Namespace", "namespaces", false),
];

fn estate(objects: Vec<Manifest>) -> Estate {
    let old = [
        ("policy/v1beta1", "PodDisruptionBudget", "poddisruptionbudgets", true),
        ("old.example/v1", "Thing", "things", true),
    ];
    let new = [("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", true)];
    let mut source = side("blue", 20, &[BOTH, &old].concat());
    objects.into_iter().for_each(|object| source.add(object));
    let workloads = Workloads { namespaces: vec![Name::new("shop").unwrap()], ..Workloads::default() };
    let mut target = side("green", 37, &[BOTH, &new].concat());
    let allocatable = json!({"cpu": "8", "memory": "16Gi"});
    target.add(object("v1", "Node", "one", json!({"status": {"allocatable": allocatable}})));
    Estate { source, target, scope: Scope::Selection(Box::new(workloads)) }
}

/// `id object` of everything found with this id.
fn found(report: &Report, id: &str) -> Vec<String> {
    let on = report.findings.iter().filter(|finding| finding.id == id);
    on.map(|finding| finding.object.as_ref().map(ToString::to_string).unwrap_or_default()).collect()
}

#[test]
fn every_rule_has_its_own_id_and_stands_in_the_documentation() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/assess.md");
    let text = std::fs::read_to_string(path).unwrap();
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `XF-")?.split(" | ");
        let id = format!("XF-{}", cells.next()?.trim_end_matches('`'));
        Some((id, cells.next()?.to_owned(), cells.next()?.trim_end_matches(" |").to_owned()))
    };
    let documented: Vec<_> = text.lines().filter_map(row).collect();
    let known: Vec<_> =
        rules().iter().map(|rule| (rule.id.to_owned(), rule.title.to_owned(), rule.effort.to_string())).collect();
    assert_eq!(known.iter().map(|(id, ..)| id).collect::<BTreeSet<_>>().len(), known.len(), "an id is used twice");
    let mut documented_sorted = documented.clone();
    documented_sorted.sort();
    assert_eq!(documented_sorted, known);
}

#[test]
fn workloads_take_the_worst_of_what_is_around_them() {
    let ready = json!({"readinessProbe": {}, "lifecycle": {"preStop": {}}, "resources": {"requests": {"cpu": "1"}}});
    let budget = json!({"spec": {"maxUnavailable": 0, "selector": {"matchLabels": {"app": "web"}}}});
    let report = assess(&estate(vec![
        deployment("web", 2, ready.clone()),
        service("web"),
        object("policy/v1beta1", "PodDisruptionBudget", "web", budget),
        deployment("fine", 2, ready),
        service("fine"),
        object("old.example/v1", "Thing", "thing", json!({})),
    ]));
    let effort = |name: &str| report.workloads.iter().find(|one| one.object.name == name).unwrap().effort;
    assert_eq!((effort("web"), effort("fine")), (Effort::NeedsChange, Effort::Ready));
    assert_eq!(found(&report, "XF-U007"), ["PodDisruptionBudget shop/web"]);
    assert_eq!(found(&report, "XF-V001"), ["PodDisruptionBudget shop/web"]);
    assert_eq!(found(&report, "XF-V002"), ["Thing shop/thing"]);
    assert_eq!(report.effort, Effort::Blocked);
}

#[test]
fn waves_follow_what_workloads_name() {
    let env = |name: &str, value: &str| json!({"env": [{"name": name, "value": value}]});
    let settings = object("v1", "ConfigMap", "settings", json!({"data": {"db": "postgres://db:5432/shop"}}));
    let uses = json!({"envFrom": [{"configMapRef": {"name": "settings"}}]});
    let report = assess(&estate(vec![
        deployment("web", 2, env("API_URL", "http://api.shop.svc:80/v1")),
        deployment("api", 2, uses),
        deployment("db", 2, env("NAME", "web")),
        deployment("ping", 2, env("PONG_HOST", "pong")),
        deployment("pong", 2, env("PEER", "http://ping")),
        service("web"),
        service("api"),
        service("db"),
        service("ping"),
        service("pong"),
        settings,
    ]));
    let waves: Vec<Vec<_>> =
        report.waves.iter().map(|wave| wave.iter().map(|object| object.name.as_str()).collect()).collect();
    assert_eq!(waves, [vec!["db", "ping", "pong"], vec!["api"], vec!["web"]]);
    assert_eq!(found(&report, "XF-I002"), ["Deployment shop/ping", "Deployment shop/pong"]);
}

#[test]
fn who_still_writes_an_old_version_is_named() {
    let entry =
        |manager: &str, version: &str| json!({"manager": manager, "operation": "Update", "apiVersion": version});
    let managed = json!([entry("helm", "policy/v1beta1"), entry("kube-controller-manager", "policy/v1beta1")]);
    let budget = json!({"metadata": {"managedFields": managed}, "spec": {"selector": {}}});
    let mut estate = estate(vec![object("policy/v1beta1", "PodDisruptionBudget", "web", budget)]);
    estate.source.metrics = metrics::Metrics::parse(
        "apiserver_requested_deprecated_apis{group=\"policy\",removed_release=\"1.25\",resource=\"poddisruptionbudgets\",version=\"v1beta1\"} 1",
    );
    let report = assess(&estate);
    let what: Vec<_> = report.findings.iter().filter(|one| one.id == "XF-V003").map(|one| one.what.as_str()).collect();
    assert_eq!(what, ["helm writes policy/v1beta1"]);
    assert_eq!(found(&report, "XF-V004").len(), 1);
}

#[test]
fn what_cannot_be_read_is_a_finding_and_silences_its_rules() {
    let mut estate = estate(vec![deployment("web", 2, json!({}))]);
    estate.target.objects.remove("Node");
    let gap = crate::cluster::Gap { what: "v1 nodes".to_owned(), why: "not allowed".to_owned() };
    let before = assess(&estate);
    assert_eq!(found(&before, "XF-T010"), ["Deployment shop/web"], "a target without nodes has no place");
    estate.target.gaps.push(gap);
    let report = assess(&estate);
    assert_eq!(found(&report, "XF-T010").len(), 0);
    assert_eq!(found(&report, "XF-R001").len(), 1);
}

/// What everybody sees of a cluster's own texts must not become markup.
#[test]
fn the_page_escapes_everything_and_asks_for_nothing() {
    let evil = "<script>alert(1)</script>\"'&";
    let mut web = deployment("web", 1, json!({"image": evil, "env": [{"name": "A_URL", "value": "http://api"}]}));
    let mut value = web.into_value();
    value["metadata"]["annotations"] = json!({"external-dns.alpha.kubernetes.io/<b>": "x"});
    web = Manifest::new(value).unwrap();
    let estate = estate(vec![web, deployment("api", 2, json!({})), service("api"), service("web")]);
    let page = html(&assess(&estate));
    assert!(!page.contains("<script") && !page.contains("<b>\""), "{page}");
    assert!(page.contains("&lt;script&gt;"));
    for outside in ["src=", "http-equiv=\"refresh", "@import", "url(h", "<link"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("<svg role=\"img\"") && page.contains("id=\"XF-U020\""));
}

#[test]
fn the_text_fits_eighty_columns() {
    let names = ["a-rather-long-name-of-a-deployment-that-somebody-chose-for-good-reasons", "api"];
    let estate = estate(names.iter().flat_map(|name| [deployment(name, 1, json!({})), service(name)]).collect());
    let shown = text(&assess(&estate), 80);
    let words =
        |line: &&str| line.chars().count() > 80 && line.split_whitespace().all(|word| word.chars().count() < 60);
    let long: Vec<_> = shown.lines().filter(words).collect();
    assert!(long.is_empty(), "{long:?}");
    assert!(shown.starts_with("From blue to green: 4 objects, 2 workloads, "), "{shown}");
}
