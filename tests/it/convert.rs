//! `crossfade convert`: each kind in each version, whole directories, and files that are not what they should be.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Output;

use crossfade::convert::offline::{Outcome, Release, convert_all};
use crossfade::convert::{CONVERSIONS, GONE, manifests};
use crossfade::policy::SourceFile;
use proptest::prelude::*;
use serde_json::Value;

use super::cli::{crossfade, crossfade_with_input, text};

/// The files with an object for each version of a kind, by name.
pub fn fixtures() -> Vec<SourceFile> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/convert");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| SourceFile {
        name: path.file_name().unwrap().to_str().unwrap().to_owned(),
        text: fs::read_to_string(path).unwrap(),
    };
    files.iter().map(read).collect()
}

fn converted(file: SourceFile, release: &str) -> Outcome {
    convert_all(&manifests::read(&[file]).unwrap(), release.parse::<Release>().unwrap(), |_| false)
}

fn of(text: &str) -> SourceFile {
    SourceFile { name: "in.yaml".to_owned(), text: text.to_owned() }
}

#[test]
fn every_kind_in_every_version_becomes_what_is_written_down() {
    for file in fixtures() {
        let name = file.name.trim_end_matches(".yaml").to_owned();
        let outcome = converted(file, "1.37");
        let yaml: String = outcome.objects.iter().map(|body| manifests::to_yaml(body).unwrap()).collect();
        let remarks: String = outcome.remarks.iter().map(|remark| format!("# {remark}\n")).collect();
        insta::assert_snapshot!(name, format!("{remarks}{yaml}"));
    }
}

#[test]
fn no_line_of_the_table_is_without_an_object() {
    let manifests = manifests::read(&fixtures()).unwrap();
    let there: BTreeSet<_> = manifests.iter().map(|manifest| (manifest.kind(), manifest.api_version())).collect();
    let removed = CONVERSIONS.iter().filter(|conversion| conversion.from != "autoscaling/v1");
    let missing: Vec<_> = removed.map(|row| (row.kind, row.from)).filter(|row| !there.contains(row)).collect();
    assert_eq!(missing, []);
}

#[test]
fn what_was_converted_stays_as_it_is() {
    for file in fixtures() {
        let once = converted(file, "1.37");
        let yaml: String = once.objects.iter().map(|body| manifests::to_yaml(body).unwrap()).collect();
        let twice = converted(of(&yaml), "1.37");
        assert_eq!((twice.objects, twice.converted, twice.left), (once.objects, 0, 0), "{yaml}");
    }
}

/// The cells of a table of the documentation, by the heading above it.
fn documented(heading: &str) -> Vec<Vec<String>> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/convert.md")).unwrap();
    let section = page.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let lines = section.lines().filter(|line| line.starts_with('|')).skip(2);
    lines.map(|line| line.split('|').skip(1).map(|cell| cell.trim().to_owned()).collect()).collect()
}

#[test]
fn the_documentation_has_every_line_of_the_table_and_no_other() {
    let mut documented: Vec<String> = documented("What is converted")
        .iter()
        .flat_map(|cells| {
            let from: Vec<_> = cells[1].split(", ").collect();
            let lines = cells[0].split(", ").flat_map(move |kind| {
                from.clone().into_iter().map(move |from| format!("{kind} {from} → {}", cells[2]))
            });
            lines.collect::<Vec<_>>()
        })
        .collect();
    let mut table: Vec<String> = CONVERSIONS
        .iter()
        .map(|row| {
            let removed = row.removed.map(|minor| format!(" (1.{minor})")).unwrap_or_default();
            let becomes = if row.becomes == row.kind { String::new() } else { format!("{} of ", row.becomes) };
            format!("{} {}{removed} → {becomes}{} (1.{})", row.kind, row.from, row.to, row.since)
        })
        .collect();
    documented.sort();
    table.sort();
    assert_eq!(documented, table);
}

#[test]
fn the_documentation_names_every_kind_that_is_gone() {
    let lines = documented("What is not converted");
    let documented: BTreeSet<_> = lines.iter().flat_map(|cells| cells[0].split(", ")).collect();
    assert_eq!(documented, GONE.iter().map(|gone| gone.kind).collect());
}

#[test]
fn a_release_gets_what_it_needs_and_no_more() {
    let budget =
        "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: a}\nspec: {minAvailable: 1}\n";
    for (release, version, converted_count) in [("1.24", "policy/v1beta1", 0), ("v1.25.3", "policy/v1", 1)] {
        let outcome = converted(of(budget), release);
        assert_eq!((outcome.objects[0]["apiVersion"].as_str(), outcome.converted), (Some(version), converted_count));
    }
    let levels = "apiVersion: flowcontrol.apiserver.k8s.io/v1beta1\nkind: FlowSchema\nmetadata: {name: a}\n";
    let outcome = converted(of(levels), "1.27");
    assert_eq!((outcome.objects.len(), outcome.left), (0, 1), "1.27 has neither");
    let policies = fixtures().into_iter().find(|file| file.name == "pod_security.yaml").unwrap();
    let of_kind =
        |outcome: &Outcome, kind: &str| outcome.objects.iter().filter(|object| object["kind"] == kind).count();
    for (release, policies_left, namespaces) in [("1.24", 3, 2), ("1.25", 0, 3)] {
        let outcome = converted(policies.clone(), release);
        let (policies, labelled) = (of_kind(&outcome, "PodSecurityPolicy"), of_kind(&outcome, "Namespace"));
        assert_eq!((policies, labelled), (policies_left, namespaces), "{release}");
    }
    assert!("2.0".parse::<Release>().is_err() && "1".parse::<Release>().is_err());
}

const DEPLOYMENT: &str = "apiVersion: extensions/v1beta1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  rollbackTo: {revision: 3}
  template: {metadata: {labels: {app: web}}}
";

fn convert(arguments: &[&str], input: &str) -> Output {
    crossfade_with_input(&[&["convert", "-f", "-"], arguments].concat(), input)
}

#[test]
fn what_blocks_is_left_out_and_named_at_its_place() {
    let output = convert(&[], &format!("{DEPLOYMENT}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\n"));
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(text(&output.stdout), "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n");
    let said = text(&output.stderr);
    let place = "-:5:3: blocks: Deployment shop/web: spec.rollbackTo: ";
    assert!(said.contains(place) && said.contains("[Deployment:spec.rollbackTo]"), "{said}");
}

#[test]
fn what_is_waived_by_name_is_converted() {
    let output = convert(&["--waive", "Deployment:spec.rollbackTo", "-o", "json"], DEPLOYMENT);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&list["kind"], &list["items"][0]["apiVersion"]), (&"List".into(), &"apps/v1".into()));
    assert!(list["items"][0]["spec"].get("rollbackTo").is_none());
    let output = convert(&["--waive", "Deployment:spec.paused"], DEPLOYMENT);
    assert!(text(&output.stderr).contains("nothing is called Deployment:spec.paused"));
}

#[test]
fn every_place_that_cannot_be_read_is_named_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("deep")).unwrap();
    fs::write(folder.path().join("a.yaml"), "apiVersion: v1\nkind: ConfigMap\ndata:\n  a: 1\n  a: 2\n").unwrap();
    fs::write(folder.path().join("deep/b.yml"), "apiVersion: v1\nkind: ConfigMap\ndata: [1, 2\n").unwrap();
    fs::write(folder.path().join("deep/c.json"), "{\"kind\": \"ConfigMap\"}").unwrap();
    fs::write(folder.path().join("deep/ignored.txt"), "a: [").unwrap();
    let output = crossfade(&["convert", "-f", folder.path().to_str().unwrap()]);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(2), ""));
    let said = text(&output.stderr);
    for place in ["a.yaml:5:3: data.a: is written twice", "b.yml:", "c.json:1:1: is no object of Kubernetes"] {
        assert!(said.contains(place), "{said}");
    }
    assert!(!said.contains("ignored"));
}

#[test]
fn lists_anchors_octal_numbers_and_big_values_arrive() {
    let big = "x".repeat(1 << 20);
    let input = format!(
        "apiVersion: v1
kind: List
items:
  - &map # a comment
    apiVersion: v1
    kind: ConfigMap
    metadata: {{name: a}}
    data: {{big: {big}}}
  - <<: *map
    metadata: {{name: b}}
---
apiVersion: networking.k8s.io/v1beta1
kind: IngressList
items:
  - metadata: {{name: c, uid: '1', resourceVersion: '7'}}
    spec: {{backend: {{serviceName: web, servicePort: 80}}}}
    status: {{loadBalancer: {{}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: d}}
spec: {{volumes: [{{secret: {{defaultMode: 0644}}}}]}}
---
apiVersion: example.org/v1
kind: Thing
metadata: {{name: e, uid: '1'}}
"
    );
    let output = convert(&["-o", "json"], &input);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect::<String>(), "abcde");
    assert_eq!(items[1]["data"]["big"].as_str().unwrap().len(), big.len());
    let ingress = serde_json::json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "c"},
        "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}},
    });
    assert_eq!(items[2], ingress);
    assert_eq!(items[3]["spec"]["volumes"][0]["secret"]["defaultMode"], 0o644);
    assert_eq!(items[4]["metadata"]["uid"], "1", "what is not Kubernetes' own stays as it is");
    assert!(text(&output.stderr).contains("Thing e: example.org/v1 is not Kubernetes' own"));
}

#[test]
fn what_no_server_would_take_is_left_out_and_named_all_at_once() {
    let map = |name: &str, size: usize| {
        let big = "x".repeat(size);
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{big: {big}}}\n---\n")
    };
    let service =
        format!("apiVersion: v1\nkind: Service\nmetadata: {{name: c, labels: {{a: {}}}}}\n---\n", "x".repeat(2 << 20));
    let unknown = "apiVersion: apps/v1\nkind: Deploymnet\nmetadata: {name: d}\n---\n";
    let never = "apiVersion: apps/v1beta3\nkind: Deployment\nmetadata: {name: e}\n---\n";
    let input = [map("a", 1 << 20), map("b", 5 << 20), service, unknown.to_owned(), never.to_owned()].concat();
    let output = convert(&[], &input);
    assert_eq!(output.status.code(), Some(4));
    let (kept, said) = (text(&output.stdout), text(&output.stderr));
    assert_eq!((kept.matches("kind: ").count(), kept.contains("name: a")), (1, true));
    for place in [
        ":9:1: blocks: ConfigMap b: data: holds 5242880 bytes, and servers take 1048576 [ConfigMap:data]",
        "blocks: Service c: has 2097",
        "blocks: Deploymnet d: kind: apps/v1 has no kind Deploymnet that is known here [Deploymnet:kind]",
        "blocks: Deployment e: apiVersion: apps/v1beta3 is no version of Deployment that is known here",
    ] {
        assert!(said.contains(place), "{place}\n{said}");
    }
    let output = convert(&["--waive", "Deploymnet:kind"], unknown);
    assert_eq!((output.status.code(), text(&output.stdout).contains("Deploymnet")), (Some(0), true));
}

#[test]
fn a_name_that_is_taken_already_blocks() {
    let input = "apiVersion: v1
kind: ReplicationController
metadata: {name: web}
spec: {template: {metadata: {labels: {app: web}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
";
    let outcome = converted(of(input), "1.37");
    assert_eq!((outcome.objects.len(), outcome.left), (1, 1));
    assert_eq!(outcome.objects[0]["apiVersion"], "apps/v1");
    assert!(outcome.remarks.iter().any(|remark| remark.to_string().contains("would become Deployment web")));
}

#[test]
fn a_replica_set_that_would_be_adopted_blocks() {
    let controller = "apiVersion: v1
kind: ReplicationController
metadata: {name: web}
spec: {template: {metadata: {labels: {app: web}}}}
---
apiVersion: apps/v1
kind: ReplicaSet
";
    for (metadata, left) in [
        ("{name: a, labels: {app: web, tier: front}}", 1),
        ("{name: a, labels: {app: web}, ownerReferences: [{kind: Deployment, name: b}]}", 0),
        ("{name: a, labels: {app: web}, namespace: elsewhere}", 0),
        ("{name: a, labels: {app: db}}", 0),
    ] {
        let outcome = converted(of(&format!("{controller}metadata: {metadata}\n")), "1.37");
        assert_eq!(outcome.left, left, "{metadata}");
    }
}

#[test]
fn a_file_that_would_fill_the_memory_is_refused() {
    let mut laughs = "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        laughs.push_str(&format!("b{level}: &a{level} [{}]\n", before.trim_end_matches(", ")));
    }
    let deep = "a: ".to_owned() + &"[".repeat(100_000);
    for input in [laughs, deep] {
        let output = convert(&[], &input);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{}", text(&output.stderr));
    }
}

#[test]
fn text_that_looks_like_something_else_is_quoted() {
    for tricky in [
        "yes",
        "No",
        "on",
        "y",
        "n",
        "0644",
        "0x1f",
        "1_000",
        "12:30:45",
        "~",
        "null",
        "1e3",
        ".5",
        "=",
        "",
        " a",
        "a: b",
        "- a",
        "# a",
        "2001-01-01",
        "a\nb\n",
        "\u{85}x",
    ] {
        let body = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": tricky}});
        let yaml = manifests::to_yaml(&body).unwrap();
        assert_eq!(converted(of(&yaml), "1.37").objects, [body], "{yaml}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever bytes a file holds, reading it ends, and what it gives can be written and read again.
    #[test]
    fn any_text_is_read_or_refused(text in "(\\PC|\n|[-:{}\\[\\]&*!|>'\"#%@, ]){0,200}") {
        if let Ok(manifests) = manifests::read(&[of(&text)]) {
            convert_all(&manifests, "1.37".parse().unwrap(), |_| true);
        }
    }

    /// A file in which something was cut out, doubled or replaced is read or refused, never half of it.
    #[test]
    fn a_damaged_file_is_read_or_refused(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), length in 0_usize..40, put in "[-:{}\\[\\]&*!|>'\"#\n a0]{0,6}") {
        let files = fixtures();
        let mut damaged: Vec<char> = which.get(&files).text.chars().collect();
        let at = at.index(damaged.len());
        let end = (at + length).min(damaged.len());
        damaged.splice(at..end, put.chars());
        let damaged: String = damaged.into_iter().collect();
        if let Ok(manifests) = manifests::read(&[of(&damaged)]) {
            let outcome = convert_all(&manifests, "1.37".parse().unwrap(), |_| false);
            // A policy becomes labels of any number of namespaces.
            let policies = manifests.iter().filter(|manifest| manifest.kind() == "PodSecurityPolicy").count();
            let there = outcome.objects.len() + outcome.left;
            prop_assert!(there == manifests.len() || policies > 0 && there >= manifests.len() - policies);
            for body in &outcome.objects {
                let yaml = manifests::to_yaml(body).unwrap();
                let again = manifests::read(&[of(&yaml)]).unwrap();
                prop_assert_eq!(&again[0].body, body);
            }
        }
    }
}
