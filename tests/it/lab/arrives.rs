//! Everything arrives: a namespace of over sixty objects as old clusters hold them, assessed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use super::stage::{Lab, until};

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
        until("blue serves stalls", Duration::from_secs(20), || {
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
            ("green", ["namespace/bazaar"].as_slice()),
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
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
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
    let picture = directory.join("report.png");
    browser(directory, &file, &["--window-size=1200,1600", &format!("--screenshot={}", picture.display())]);
    assert!(std::fs::metadata(&picture).unwrap().len() > 20_000, "the picture is empty");
}

fn browser(directory: &Path, file: &Path, what: &[&str]) -> String {
    let quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"];
    let mut command = Command::new("chromium");
    command.args(quiet).args(["--disable-component-update", "--disable-sync"]).args(what);
    command.arg(format!("--user-data-dir={}", directory.join("browser").display()));
    succeeded(&command.arg(format!("file://{}", file.display())).output().unwrap())
}
