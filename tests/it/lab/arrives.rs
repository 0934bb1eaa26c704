//! Everything arrives: a namespace of over sixty objects as old clusters hold them, assessed, planned and applied.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use super::stage::{Lab, root};

/// The namespace `bazaar` on blue, gone again in the end on both sides.
struct Bazaar {
    lab: Lab,
}

impl Bazaar {
    fn set_up() -> Self {
        let bazaar = Self { lab: Lab::as_it_is() };
        bazaar.clear();
        for file in ["tests/lab/bazaar-cluster.yaml", "tests/lab/bazaar.yaml"] {
            succeeded(&bazaar.kubectl("blue", &["apply", "--filename", file]));
        }
        let resource = "tests/lab/bazaar-stall.yaml";
        // A new kind is served a moment after its definition exists.
        bazaar.lab.until("blue serves stalls", Duration::from_secs(20), || {
            bazaar.kubectl("blue", &["apply", "--filename", resource]).status.success().then_some(())
        });
        bazaar
    }

    fn kubectl(&self, cluster: &str, arguments: &[&str]) -> Output {
        let here = ["--namespace", "bazaar", "--request-timeout", "60s"];
        self.lab.kubectl(cluster, &[&here, arguments].concat())
    }

    fn clear(&self) {
        for (cluster, what) in [
            ("blue", ["namespace/bazaar", "psp/bazaar", "crd/stalls.bazaar.example"].as_slice()),
            (
                "green",
                &[
                    "namespace/bazaar",
                    "clusterrole/crossfade-target-bazaar",
                    "clusterrolebinding/crossfade-target-bazaar",
                ],
            ),
        ] {
            let delete = ["delete", "--ignore-not-found", "--wait", "--timeout=60s"];
            succeeded(&self.kubectl(cluster, &[&delete, what].concat()));
        }
    }

    fn assess(&self, source: &str, target: &str, more: &[&str]) -> Output {
        self.lab.say(&[&["assess", "--source", source, "--target", target, "--namespace", "bazaar"], more].concat())
    }
}

impl Drop for Bazaar {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.clear();
        }
    }
}

fn succeeded(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}\n{told}", String::from_utf8_lossy(&output.stderr));
    told
}

/// Objects by the id of what was found on them.
fn found(report: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for finding in report["findings"].as_array().unwrap() {
        let object = finding["object"].as_str().unwrap_or_default().to_owned();
        found.entry(finding["id"].as_str().unwrap().to_owned()).or_default().insert(object);
    }
    found
}

#[test]
fn f_assess_finds_what_will_not_survive() {
    let bazaar = Bazaar::set_up();
    let report: Value =
        serde_json::from_str(&succeeded(&bazaar.assess("blue-admin", "green-admin", &["-o", "json"]))).unwrap();
    let found = found(&report);
    for (id, object) in [
        ("XF-V001", "PodDisruptionBudget bazaar/cart"),
        ("XF-V002", "Stall bazaar/carpets"),
        ("XF-V003", "HorizontalPodAutoscaler bazaar/search"),
        ("XF-V003", "Ingress bazaar/legacy"),
        ("XF-V004", ""),
        ("XF-V008", "Service bazaar/public"),
        ("XF-V010", "PodSecurityPolicy bazaar"),
        ("XF-V020", "Ingress bazaar/shopfront"),
        ("XF-V022", "ServiceAccount bazaar/robot"),
        ("XF-V023", "Deployment bazaar/search"),
        ("XF-V030", ""),
        ("XF-V032", ""),
        ("XF-V033", ""),
        ("XF-T001", "PersistentVolumeClaim bazaar/uploads"),
        ("XF-T002", "Ingress bazaar/search"),
        ("XF-T010", "Deployment bazaar/workbench"),
        ("XF-T011", "Deployment bazaar/workbench"),
        ("XF-U001", "Deployment bazaar/shopfront"),
        ("XF-U002", "Deployment bazaar/shopfront"),
        ("XF-U003", "Deployment bazaar/shopfront"),
        ("XF-U004", "Deployment bazaar/shopfront"),
        ("XF-U007", "PodDisruptionBudget bazaar/shopfront"),
        ("XF-U008", "Service bazaar/search"),
        ("XF-U010", "Deployment bazaar/mailer"),
        ("XF-U011", "Deployment bazaar/search"),
        ("XF-U012", "Deployment bazaar/workbench"),
        ("XF-U013", "Pod bazaar/tinkerer"),
        ("XF-U014", "Service bazaar/mainframe"),
        ("XF-U015", "Deployment bazaar/workbench"),
        ("XF-U016", "Pod bazaar/tinkerer"),
        ("XF-U017", "Deployment bazaar/cart"),
        ("XF-U020", "Deployment bazaar/search"),
        ("XF-U021", "Deployment bazaar/search"),
        ("XF-U030", "Deployment bazaar/uploads"),
        ("XF-U031", "StatefulSet bazaar/database"),
        ("XF-U040", "CronJob bazaar/nightly"),
        ("XF-U041", "Deployment bazaar/mailer"),
        ("XF-U042", "Service bazaar/public"),
        ("XF-U043", "Ingress bazaar/shopfront"),
        ("XF-U044", "Service bazaar/public"),
        ("XF-U045", "Deployment bazaar/rates"),
        ("XF-I002", "Deployment bazaar/ping"),
        ("XF-I004", "Service bazaar/payments"),
    ] {
        assert!(found.get(id).is_some_and(|objects| objects.contains(object)), "{id} {object}: {:?}", found.get(id));
    }
    assert!(!found.contains_key("XF-R001"), "an administrator may read everything: {:?}", found["XF-R001"]);
    assert!(!found["XF-U040"].contains("CronJob bazaar/monthly"), "it is suspended");
    let wave = |name: &str| {
        let waves = report["waves"].as_array().unwrap().iter();
        waves.clone().position(|wave| wave.as_array().unwrap().iter().any(|object| object == name)).unwrap()
    };
    let order = ["StatefulSet bazaar/database", "Deployment bazaar/cart", "Deployment bazaar/shopfront"].map(wave);
    assert_eq!(order, [0, 1, 2]);
    assert!(report["objects"].as_u64().unwrap() >= 60);
    assert_eq!(bazaar.assess("blue-admin", "green-admin", &["--fail-on", "blocked"]).status.code(), Some(4));
    least_rights(&bazaar);
    the_page(&bazaar);
}

/// An account that may read almost nothing gets a report of what it may not read.
fn least_rights(bazaar: &Bazaar) {
    let report: Value = serde_json::from_str(&succeeded(&bazaar.assess("blue", "green", &["-o", "json"]))).unwrap();
    let gaps: Vec<_> = report["findings"].as_array().unwrap().iter().filter(|one| one["id"] == "XF-R001").collect();
    assert!(gaps.iter().any(|gap| gap["field"] == "v1 nodes on green"), "{gaps:?}");
    assert_eq!(report["workloads"].as_array().unwrap().len(), 0, "it may not read there");
}

/// The page in a browser: it is what it says in the file, drawn, with nothing asked for from outside.
fn the_page(bazaar: &Bazaar) {
    let page = succeeded(&bazaar.assess("blue-admin", "green-admin", &["-o", "html"]));
    let directory = bazaar.lab.state.path();
    let file = directory.join("report.html");
    std::fs::write(&file, page).unwrap();
    let dom = browser(directory, &file, &["--dump-dom"]);
    for shown in ["<h1>From blue-admin to green-admin</h1>", "id=\"XF-U044\"", "<svg", "Deployment bazaar/shopfront"] {
        assert!(dom.contains(shown), "the browser has no {shown}");
    }
    // As on a telephone and on a desk.
    for width in [420, 1280] {
        let picture = directory.join(format!("report-{width}.png"));
        let taken = [&format!("--window-size={width},1600"), &format!("--screenshot={}", picture.display())];
        browser(directory, &file, &taken.map(String::as_str));
        assert!(std::fs::metadata(&picture).unwrap().len() > 20_000, "the picture {width} wide is empty");
    }
}

fn browser(directory: &Path, file: &Path, what: &[&str]) -> String {
    let quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"];
    let mut command = Command::new("chromium");
    command.args(quiet).args(["--disable-component-update", "--disable-sync"]).args(what);
    command.arg(format!("--user-data-dir={}", directory.join("browser").display()));
    succeeded(&command.arg(format!("file://{}", file.display())).output().unwrap())
}

/// The migration of the namespace, between contexts `blue…` and `green…`, with `more` replaced.
fn migration(bazaar: &Bazaar, rights: &str, more: &[(&str, &str)]) -> PathBuf {
    let mut text = std::fs::read_to_string(root().join("tests/lab/bazaar-migration.yaml")).unwrap();
    for side in ["blue", "green"] {
        text = text.replace(&format!("context: {side}"), &format!("context: {side}{rights}"));
    }
    for (old, new) in more {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    let path = bazaar.lab.state.path().join(format!("bazaar{rights}-{}.yaml", more.len()));
    std::fs::write(&path, text).unwrap();
    path
}

fn plan(bazaar: &Bazaar, file: &Path, more: &[&str]) -> Output {
    bazaar.lab.say(&[&["plan", "-f", file.to_str().unwrap()], more].concat())
}

/// Applies a plan; gives the exit code and what a script is told.
fn apply(bazaar: &Bazaar, plan: &Path) -> (Option<i32>, Value) {
    let output = bazaar.lab.say(&["apply", plan.to_str().unwrap(), "-o", "json"]);
    let told = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), told)
}

/// Name and version of everything whose version only a write changes.
fn versions(bazaar: &Bazaar) -> String {
    let kinds = "configmaps,secrets,serviceaccounts,services,ingresses";
    let columns = "custom-columns=KIND:.kind,NAME:.metadata.name,VERSION:.metadata.resourceVersion";
    succeeded(&bazaar.kubectl("green", &["get", kinds, "--output", columns]))
}

/// Each side gets exactly the roles that the plan prints, and nothing else in this namespace.
fn grant(bazaar: &Bazaar, file: &Path) {
    for (cluster, side) in [("blue", "source"), ("green", "target")] {
        let role = bazaar.lab.state.path().join(format!("{side}.yaml"));
        std::fs::write(&role, succeeded(&plan(bazaar, file, &["--role", side]))).unwrap();
        succeeded(&bazaar.kubectl(cluster, &["apply", "--filename", role.to_str().unwrap()]));
    }
}

#[test]
fn g_a_plan_is_applied_exactly_or_not_at_all() {
    let bazaar = Bazaar::set_up();
    succeeded(&bazaar.kubectl("green", &["create", "namespace", "bazaar"]));
    grant(&bazaar, &migration(&bazaar, "-admin", &[]));
    let file = migration(&bazaar, "", &[]);
    let saved = ["first.plan", "second.plan"].map(|name| bazaar.lab.state.path().join(name));
    for path in &saved {
        let output = plan(&bazaar, &file, &["--out", path.to_str().unwrap()]);
        let shown = succeeded(&output);
        for line in [
            "converted: policy/v1beta1 → policy/v1",
            "is ConfigMap bazaar/settings on the source",
            "mirror.bazaar.example/old/search:latest",
            "on the way: spec.loadBalancerIP: \"203.0.113.7\" is left out",
            "! Ingress bazaar/shopfront: metadata.annotations[cert-manager.io/cluster-issuer]",
        ] {
            assert!(shown.contains(line), "{line}\n{shown}");
        }
    }
    let [first, second] = saved.each_ref().map(|path| std::fs::read_to_string(path).unwrap());
    assert_eq!(first, second, "the same inputs give the same bytes");
    for secret in ["bazaar-database-password", "YmF6YWFyLWRhdGFiYXNlLXBhc3N3b3Jk"] {
        assert!(!first.contains(secret), "a secret is in the plan");
    }

    let (exit, told) = apply(&bazaar, &saved[0]);
    assert_eq!(exit, Some(0), "{told}");
    let written = told["written"].as_array().unwrap().len();
    let before = versions(&bazaar);
    let (exit, told) = apply(&bazaar, &saved[0]);
    assert_eq!((exit, &told["written"]), (Some(0), &serde_json::json!([])), "a second time there is nothing to write");
    assert_eq!(versions(&bazaar), before);
    let all = told["unchanged"].as_u64().unwrap();
    println!("{written} objects arrived by a plan, of {all}");
    assert!(all >= 60, "the namespace is to hold all that people have");

    refuses_what_changed(&bazaar, &saved[0]);
    refuses_what_would_collide(&bazaar);
    let cut = bazaar.lab.state.path().join("cut.plan");
    std::fs::write(&cut, &first[..first.len() / 2]).unwrap();
    let (exit, told) = apply(&bazaar, &cut);
    assert!(exit == Some(2) && told["error"].as_str().unwrap().contains("cut short"), "{told}");
    assert_eq!(versions(&bazaar), before, "nothing of all that was written");
}

fn refuses_what_changed(bazaar: &Bazaar, saved: &Path) {
    for (arguments, object, field) in [
        (
            ["set", "image", "deployment/cart", "app=crossfade.lab/app:2"].as_slice(),
            "Deployment bazaar/cart",
            "spec.template.spec.containers[0].image",
        ),
        (
            &["patch", "secret", "database", "--patch", r#"{"data":{"user":"ZWxzZQ=="}}"#],
            "Secret bazaar/database",
            "data",
        ),
        (&["delete", "service", "older"], "Service bazaar/older", ""),
    ] {
        succeeded(&bazaar.kubectl("blue", arguments));
        let (exit, told) = apply(bazaar, saved);
        let named = |one: &Value| one["object"] == object && one["field"] == field;
        assert_eq!(exit, Some(4), "{told}");
        assert!(told["changed"].as_array().unwrap().iter().any(named), "{object} {field}: {told}");
    }
}

fn refuses_what_would_collide(bazaar: &Bazaar) {
    let second = "to: shop-settings}\n      - {kind: ConfigMap, from: theme, to: shop-settings}";
    let file = migration(bazaar, "", &[("to: shop-settings}", second)]);
    let output = plan(bazaar, &file, &[]);
    assert_eq!(output.status.code(), Some(4));
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains("would both be ConfigMap bazaar/shop-settings"), "{shown}");
}
