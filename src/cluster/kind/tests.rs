//! What is special about each kind.

use serde_json::json;

use super::super::double::{newest, object, oldest, served};
use super::*;

fn version_read(name: &str, source: &Served, target: &Served) -> Option<String> {
    read_as(kind(name).unwrap(), source, target).map(|resource| resource.api_version.clone())
}

#[test]
fn reads_the_version_both_servers_share_and_else_the_best_that_converts() {
    let ingress_both = served([("extensions/v1beta1", "Ingress"), ("networking.k8s.io/v1", "Ingress")]);
    for (name, source, target, version) in [
        ("Ingress", &oldest(), &newest(), Some("extensions/v1beta1")),
        ("Ingress", &ingress_both, &newest(), Some("networking.k8s.io/v1")),
        ("Ingress", &ingress_both, &oldest(), Some("extensions/v1beta1")),
        ("PodDisruptionBudget", &oldest(), &newest(), Some("policy/v1beta1")),
        ("HorizontalPodAutoscaler", &oldest(), &newest(), Some("autoscaling/v2beta2")),
        ("ConfigMap", &oldest(), &newest(), Some("v1")),
        // Nothing fits: it is read all the same, so that the objects can be named.
        ("Ingress", &newest(), &oldest(), Some("networking.k8s.io/v1")),
        ("Ingress", &served([]), &newest(), None),
    ] {
        assert_eq!(version_read(name, source, target).as_deref(), version, "{name}");
    }
}

#[test]
fn every_kind_can_be_written_where_it_is_read_in_its_best_version() {
    for kind in KINDS {
        let best = kind.versions()[0];
        let written = written_kind(*kind).versions()[0];
        assert_eq!(written_as(*kind, best, &newest()), Some(written));
        assert_eq!(written_as(*kind, "example.org/v1", &newest()), None);
    }
}

#[test]
fn finds_everything_a_pod_template_needs() {
    let manifest = object(
        "apps/v1",
        "Deployment",
        "web",
        json!({"spec": {"template": {"spec": {
            "serviceAccountName": "account",
            "priorityClassName": "gold",
            "imagePullSecrets": [{"name": "pull"}],
            "initContainers": [{"envFrom": [{"secretRef": {"name": "init"}}]}],
            "containers": [{
                "env": [
                    {"name": "A", "value": "x"},
                    {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "map", "key": "b"}}},
                    {"name": "C", "valueFrom": {"secretKeyRef": {"name": "maybe", "key": "c", "optional": true}}},
                    {"name": "D", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                ],
                "envFrom": [{"configMapRef": {"name": "maps"}}],
            }],
            "volumes": [
                {"name": "a", "secret": {"secretName": "mounted"}},
                {"name": "b", "projected": {"sources": [{"configMap": {"name": "part"}}, {"downwardAPI": {}}]}},
                {"name": "c", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "csi"}}},
                {"name": "d", "persistentVolumeClaim": {"claimName": "disk"}},
                {"name": "e", "emptyDir": {}},
            ],
        }}}}),
    );
    let references = kind("Deployment").unwrap().refers_to(manifest.value());
    let found: Vec<_> =
        references.iter().map(|one| (one.kind, one.name.as_str(), one.field.as_str(), one.optional)).collect();
    assert_eq!(
        found,
        [
            ("ServiceAccount", "account", "spec.template.spec.serviceAccountName", false),
            ("Secret", "pull", "spec.template.spec.imagePullSecrets[0].name", true),
            ("Secret", "init", "spec.template.spec.initContainers[0].envFrom[0].secretRef.name", false),
            ("ConfigMap", "map", "spec.template.spec.containers[0].env[1].valueFrom.configMapKeyRef.name", false),
            ("Secret", "maybe", "spec.template.spec.containers[0].env[2].valueFrom.secretKeyRef.name", true),
            ("ConfigMap", "maps", "spec.template.spec.containers[0].envFrom[0].configMapRef.name", false),
            ("Secret", "mounted", "spec.template.spec.volumes[0].secret.secretName", false),
            ("ConfigMap", "part", "spec.template.spec.volumes[1].projected.sources[0].configMap.name", false),
            ("Secret", "csi", "spec.template.spec.volumes[2].csi.nodePublishSecretRef.name", false),
            ("PersistentVolumeClaim", "disk", "spec.template.spec.volumes[3].persistentVolumeClaim.claimName", false),
            ("PriorityClass", "gold", "spec.template.spec.priorityClassName", false),
        ]
    );
}

#[test]
fn a_selector_means_what_kubernetes_means() {
    let labels = json!({"app": "web", "tier": "front"});
    let labels = labels.as_object().unwrap();
    let expression = |operator: &str, key: &str, values: &[&str]| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
    for (selector, matches) in [
        (json!({}), true),
        (json!({"matchLabels": {"app": "web"}}), true),
        (json!({"matchLabels": {"app": "web", "tier": "back"}}), false),
        (expression("In", "app", &["web", "api"]), true),
        (expression("In", "zone", &["a"]), false),
        (expression("NotIn", "app", &["web"]), false),
        (expression("NotIn", "zone", &["a"]), true),
        (expression("Exists", "tier", &[]), true),
        (expression("DoesNotExist", "tier", &[]), false),
        (expression("Gt", "tier", &["1"]), false),
        (json!({"matchLabels": 7}), false),
    ] {
        assert_eq!(labels_match(&selector, labels), matches, "{selector}");
    }
}

#[test]
fn an_autoscaler_of_somebody_else_s_kind_is_not_ours() {
    for (version, kind, scaled) in [
        ("apps/v1", "Deployment", true),
        ("extensions/v1beta1", "Deployment", true),
        ("argoproj.io/v1alpha1", "Rollout", false),
        ("example.org/v1", "Deployment", false),
    ] {
        let reference = json!({"spec": {"scaleTargetRef": {"apiVersion": version, "kind": kind, "name": "web"}}});
        let manifest = object("autoscaling/v2", "HorizontalPodAutoscaler", "web", reference);
        let wanted = scaled.then(|| ObjectRef::new("Deployment", "shop", "web"));
        assert_eq!(scaled_workload(manifest.value()), wanted, "{version} {kind}");
    }
}

fn scrubbed(manifest: Manifest, keep: &[Keep]) -> (Value, Vec<Finding>) {
    let (mut body, mut findings) = (manifest.value().clone(), Vec::new());
    let keep = keep.iter().copied().collect();
    kind(&manifest.object().kind).unwrap().scrub(&mut body, &keep, &mut findings);
    (body["spec"].take(), findings)
}

#[test]
fn a_service_loses_what_its_cluster_gave_and_keeps_what_its_user_wrote() {
    let given = json!({"spec": {
        "type": "LoadBalancer", "clusterIP": "10.0.0.7", "clusterIPs": ["10.0.0.7"], "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack", "healthCheckNodePort": 30001, "externalTrafficPolicy": "Local",
        "loadBalancerIP": "192.0.2.1", "ports": [{"port": 80, "nodePort": 30080}],
    }});
    let (spec, findings) = scrubbed(object("v1", "Service", "web", given.clone()), &[]);
    assert_eq!(spec, json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]}));
    assert_eq!(findings.len(), 1);
    let (spec, _) = scrubbed(object("v1", "Service", "web", given), &[Keep::NodePort]);
    assert_eq!((&spec["ports"][0]["nodePort"], &spec["healthCheckNodePort"]), (&json!(30080), &json!(30001)));
    let headless = json!({"spec": {"clusterIP": "None", "clusterIPs": ["None"], "ipFamilyPolicy": "PreferDualStack"}});
    let (spec, _) = scrubbed(object("v1", "Service", "web", headless), &[]);
    assert_eq!(spec, json!({"clusterIP": "None", "ipFamilyPolicy": "PreferDualStack"}));
}

fn check(manifest: &Manifest) -> Vec<(String, crate::convert::Severity)> {
    let mut findings = Vec::new();
    kind(&manifest.object().kind).unwrap().check(manifest.value(), &mut findings);
    findings.into_iter().map(|finding| (finding.field, finding.severity)).collect()
}

#[test]
fn sees_what_the_target_would_refuse_or_never_finish() {
    use crate::convert::Severity::{Blocks, Notice};
    let class = "metadata.annotations[kubernetes.io/ingress.class]";
    let annotated = json!({"annotations": {"kubernetes.io/ingress.class": "nginx"}});
    for (version, kind, rest, field, severity) in [
        ("v1", "Secret", json!({"stringData": {"a": "b"}}), "stringData", Blocks),
        ("v1", "Service", json!({"spec": {"topologyKeys": ["*"]}}), "spec.topologyKeys", Blocks),
        ("apps/v1", "Deployment", json!({"spec": {"paused": true}}), "spec.paused", Blocks),
        (
            "apps/v1",
            "StatefulSet",
            json!({"spec": {"volumeClaimTemplates": [{}]}}),
            "spec.volumeClaimTemplates",
            Blocks,
        ),
        (
            "networking.k8s.io/v1",
            "NetworkPolicy",
            json!({"spec": {"egress": [{"to": [{"podSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}}),
            "spec.egress[0].to[1].ipBlock",
            Notice,
        ),
        ("networking.k8s.io/v1", "Ingress", json!({"metadata": annotated}), class, Notice),
        (
            "networking.k8s.io/v1",
            "Ingress",
            json!({"metadata": annotated, "spec": {"ingressClassName": "x"}}),
            class,
            Blocks,
        ),
    ] {
        assert_eq!(check(&object(version, kind, "web", rest)), [(field.to_owned(), severity)]);
    }
}
