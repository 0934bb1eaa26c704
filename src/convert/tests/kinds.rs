//! What each kind becomes, one table per meaning that is not in the shape.

use serde_json::{Value, json};

use super::super::Severity::{Blocks, Notice};
use super::*;

/// What a kind of a version becomes, beside version, kind and metadata, and the findings as `severity field`.
fn outcome(kind: &str, from: &str, rest: Value) -> (Value, Vec<String>) {
    let mut converted = convert_as(kind, from, rest);
    let body = converted.body.as_object_mut().unwrap();
    ["apiVersion", "kind", "metadata"].iter().for_each(|key| drop(body.remove(*key)));
    let findings = converted.findings.iter().map(|finding| match finding.severity {
        Blocks => format!("blocks {}", finding.field),
        Notice => format!("notice {}", finding.field),
    });
    (converted.body, findings.collect())
}

fn template() -> Value {
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}})
}

#[test]
fn workloads_keep_what_their_old_version_meant_by_saying_nothing() {
    let never = i32::MAX;
    let rolling =
        |surge: u32| json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": 1}});
    let selector = json!({"matchLabels": {"app": "web"}});
    let forever = |strategy: Value| json!({"progressDeadlineSeconds": never, "revisionHistoryLimit": never, "strategy": strategy});
    for (kind, from, said, wanted) in [
        ("Deployment", "extensions/v1beta1", json!({}), forever(rolling(1))),
        (
            "Deployment",
            "extensions/v1beta1",
            json!({"strategy": {"rollingUpdate": {"maxSurge": 3}}}),
            forever(rolling(3)),
        ),
        (
            "Deployment",
            "extensions/v1beta1",
            json!({"strategy": {"type": "Recreate"}}),
            forever(json!({"type": "Recreate"})),
        ),
        ("Deployment", "apps/v1beta1", json!({}), json!({"revisionHistoryLimit": 2})),
        ("DaemonSet", "extensions/v1beta1", json!({}), json!({"updateStrategy": {"type": "OnDelete"}})),
        ("StatefulSet", "apps/v1beta1", json!({}), json!({"updateStrategy": {"type": "OnDelete"}})),
        ("ReplicaSet", "extensions/v1beta1", json!({}), json!({})),
        ("ReplicationController", "v1", json!({}), json!({})),
    ] {
        let mut spec = json!({"template": template()});
        json_patch::merge(&mut spec, &said);
        let mut wanted = json!({"spec": wanted});
        json_patch::merge(&mut wanted, &json!({"spec": {"template": template(), "selector": selector}}));
        let (body, findings) = outcome(kind, from, json!({"spec": spec}));
        assert_eq!(body, wanted, "{kind} {from} {said}");
        assert!(findings.iter().all(|finding| finding.starts_with("notice")), "{findings:?}");
    }
}

#[test]
fn the_object_gets_the_labels_its_old_server_would_have_given_it() {
    for (labels, wanted) in [
        (json!({}), json!({"app": "web"})),
        (Value::Null, json!({"app": "web"})),
        (json!({"own": "yes"}), json!({"own": "yes"})),
    ] {
        let rest = json!({"metadata": {"labels": labels}, "spec": {"template": template()}});
        assert_eq!(convert_as("Deployment", "extensions/v1beta1", rest).body["metadata"]["labels"], wanted);
    }
}

#[test]
fn a_workload_nobody_could_select_blocks() {
    for (kind, from) in [
        ("Deployment", "extensions/v1beta1"),
        ("Deployment", "apps/v1beta2"),
        ("DaemonSet", "apps/v1beta2"),
        ("ReplicaSet", "apps/v1beta2"),
        ("StatefulSet", "apps/v1beta2"),
        ("ReplicationController", "v1"),
    ] {
        let (_, findings) = outcome(kind, from, json!({"spec": {"template": {"spec": {}}}}));
        assert!(findings.contains(&"blocks spec.selector".to_owned()), "{kind} {from} {findings:?}");
    }
}

#[test]
fn a_replication_controller_becomes_a_deployment_that_selects_the_same_pods() {
    for (selector, wanted) in [
        (json!({"app": "web"}), json!({"app": "web"})),
        (json!({}), json!({"app": "web"})),
        (Value::Null, json!({"app": "web"})),
    ] {
        let spec = json!({"replicas": 3, "selector": selector, "template": template()});
        let converted = convert_as("ReplicationController", "v1", json!({"spec": spec}));
        let wanted = json!({"replicas": 3, "selector": {"matchLabels": wanted}, "template": template()});
        assert_eq!((&converted.body["kind"], &converted.body["spec"]), (&json!("Deployment"), &wanted));
    }
}

#[test]
fn small_kinds_say_what_they_said() {
    for (kind, from, rest, wanted, findings) in [
        (
            "Lease",
            "coordination.k8s.io/v1beta1",
            json!({"spec": {"holderIdentity": "a"}}),
            json!({"spec": {"holderIdentity": "a"}}),
            vec![],
        ),
        (
            "StorageClass",
            "storage.k8s.io/v1beta1",
            json!({"provisioner": "p", "speed": 1}),
            json!({"provisioner": "p"}),
            vec!["blocks speed"],
        ),
        (
            "RuntimeClass",
            "node.k8s.io/v1alpha1",
            json!({"spec": {"runtimeHandler": "kata", "overhead": {"podFixed": {"cpu": "1"}}}}),
            json!({"handler": "kata", "overhead": {"podFixed": {"cpu": "1"}}}),
            vec![],
        ),
        (
            "RoleBinding",
            "rbac.authorization.k8s.io/v1alpha1",
            json!({"roleRef": {"kind": "Role", "name": "r"}, "subjects": [
                {"kind": "User", "name": "*", "apiVersion": "rbac.authorization.k8s.io/v1alpha1"},
                {"kind": "ServiceAccount", "name": "a", "namespace": "n", "apiVersion": "v1"},
                {"kind": "Team", "name": "t", "apiVersion": "example.org/v1"},
            ]}),
            json!({"roleRef": {"kind": "Role", "name": "r"}, "subjects": [
                {"kind": "Group", "name": "system:authenticated", "apiGroup": "rbac.authorization.k8s.io"},
                {"kind": "ServiceAccount", "name": "a", "namespace": "n"},
                {"kind": "Team", "name": "t", "apiGroup": "example.org"},
            ]}),
            vec![],
        ),
        (
            "EndpointSlice",
            "discovery.k8s.io/v1beta1",
            json!({"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"], "topology": {
                "topology.kubernetes.io/zone": "a", "kubernetes.io/hostname": "n1", "topology.kubernetes.io/region": "r",
            }}]}),
            json!({"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"], "zone": "a", "nodeName": "n1"}]}),
            vec!["blocks endpoints[0].topology[topology.kubernetes.io/region]"],
        ),
        (
            "CronJob",
            "batch/v2alpha1",
            json!({"spec": {"schedule": "TZ=UTC 0 * * * *"}}),
            json!({"spec": {"schedule": "TZ=UTC 0 * * * *"}}),
            vec!["blocks spec.schedule"],
        ),
        (
            "CertificateSigningRequest",
            "certificates.k8s.io/v1beta1",
            json!({"spec": {"request": "eA==", "signerName": "example.org/a", "username": "u"}}),
            json!({"spec": {"request": "eA==", "signerName": "example.org/a", "usages": ["digital signature", "key encipherment"]}}),
            vec!["notice spec.username"],
        ),
        (
            "CertificateSigningRequest",
            "certificates.k8s.io/v1beta1",
            json!({"spec": {"signerName": "kubernetes.io/legacy-unknown", "usages": []}}),
            json!({"spec": {"signerName": "kubernetes.io/legacy-unknown", "usages": []}}),
            vec!["blocks spec.signerName"],
        ),
    ] {
        let (body, found) = outcome(kind, from, rest);
        assert_eq!((body, found), (wanted, findings.into_iter().map(str::to_owned).collect()), "{kind} {from}");
    }
}

#[test]
fn no_share_of_requests_is_the_default_unless_it_was_meant() {
    let (kind, group) = ("PriorityLevelConfiguration", "flowcontrol.apiserver.k8s.io");
    let zero = json!({"flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares": ""});
    for (version, field, shares, annotations, wanted) in [
        ("v1alpha1", "assuredConcurrencyShares", 7, json!({}), json!({"nominalConcurrencyShares": 7})),
        ("v1beta1", "assuredConcurrencyShares", 0, json!({}), json!({})),
        ("v1beta2", "assuredConcurrencyShares", 0, zero.clone(), json!({})),
        ("v1beta3", "nominalConcurrencyShares", 0, json!({}), json!({})),
        ("v1beta3", "nominalConcurrencyShares", 0, zero, json!({"nominalConcurrencyShares": 0})),
    ] {
        let rest =
            json!({"metadata": {"annotations": annotations}, "spec": {"type": "Limited", "limited": {field: shares}}});
        let (body, findings) = outcome(kind, &format!("{group}/{version}"), rest);
        assert_eq!((&body["spec"]["limited"], findings.len()), (&wanted, 0), "{version}");
    }
}

#[test]
fn a_webhook_keeps_its_defaults_and_has_to_name_its_side_effects() {
    let defaults = json!({
        "name": "a", "failurePolicy": "Ignore", "matchPolicy": "Exact", "timeoutSeconds": 30, "admissionReviewVersions": ["v1beta1"],
    });
    for (effects, blocked) in [(json!("None"), false), (json!("Some"), true), (Value::Null, true)] {
        let rest = json!({"webhooks": [{"name": "a", "sideEffects": effects}, {"name": "b", "sideEffects": "None", "timeoutSeconds": 5}]});
        let (body, findings) = outcome("ValidatingWebhookConfiguration", "admissionregistration.k8s.io/v1beta1", rest);
        assert!(body["webhooks"][0].as_object().unwrap().len() >= 5);
        for (key, value) in defaults.as_object().unwrap() {
            assert_eq!(&body["webhooks"][0][key], value);
        }
        assert_eq!(body["webhooks"][1]["timeoutSeconds"], 5);
        assert_eq!(findings, if blocked { vec!["blocks webhooks[0].sideEffects"] } else { vec![] });
    }
}

fn custom_resource(spec: Value) -> (Value, Vec<String>) {
    let mut whole = json!({"group": "example.org", "names": {"plural": "things", "kind": "Thing"}});
    json_patch::merge(&mut whole, &spec);
    outcome("CustomResourceDefinition", "apiextensions.k8s.io/v1beta1", json!({"spec": whole}))
}

#[test]
fn a_custom_resource_says_for_each_version_what_it_said_for_all() {
    let (body, findings) = custom_resource(json!({
        "version": "v1",
        "subresources": {"status": {}},
        "additionalPrinterColumns": [{"name": "Age", "type": "date", "JSONPath": ".metadata.creationTimestamp"}],
        "validation": {"openAPIV3Schema": {"properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}},
        "conversion": {"strategy": "Webhook", "webhookClientConfig": {"url": "https://a"}},
    }));
    let keeps = "x-kubernetes-preserve-unknown-fields";
    assert_eq!(
        body["spec"],
        json!({
            "group": "example.org", "names": {"plural": "things", "kind": "Thing"}, "scope": "Namespaced",
            "conversion": {"strategy": "Webhook", "webhook": {"clientConfig": {"url": "https://a"}, "conversionReviewVersions": ["v1beta1"]}},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "additionalPrinterColumns": [{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}],
                "schema": {"openAPIV3Schema": {"type": "object", keeps: true, "properties": {
                    "spec": {"type": "object", keeps: true, "properties": {"size": {"type": "integer"}}},
                }}},
            }],
        })
    );
    assert_eq!(findings, ["notice spec.preserveUnknownFields"]);
}

#[test]
fn versions_of_a_custom_resource_keep_what_is_their_own() {
    let own = json!({"openAPIV3Schema": {"type": "object", "properties": {"a": {"type": "string"}}}});
    let (body, findings) = custom_resource(json!({
        "version": "v1", "scope": "Cluster", "preserveUnknownFields": false,
        "versions": [
            {"name": "v1", "served": true, "storage": true, "schema": own},
            {"name": "v2", "served": true, "storage": false},
        ],
    }));
    assert_eq!(body["spec"]["scope"], "Cluster");
    assert_eq!(body["spec"]["versions"][0]["schema"], own);
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    assert_eq!(body["spec"]["versions"][1]["schema"], json!({"openAPIV3Schema": anything}));
    assert_eq!(findings, ["notice spec.versions[1].schema"]);
}

#[test]
fn what_no_structural_schema_can_say_is_named_all_at_once() {
    let (_, findings) =
        custom_resource(json!({"version": "v1", "preserveUnknownFields": false, "validation": {"openAPIV3Schema": {
            "properties": {
                "untyped": {"description": "a"},
                "either": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
                "conditional": {"type": "object", "oneOf": [{"type": "object", "required": ["a"]}]},
                "set": {"type": "array", "uniqueItems": true, "items": {"$ref": "#/a"}},
                "closed": {"type": "object", "additionalProperties": false},
                "open": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        }}}));
    let path = "blocks spec.validation.openAPIV3Schema.properties";
    assert_eq!(
        findings,
        [
            format!("{path}[closed].additionalProperties"),
            format!("{path}[conditional].oneOf[0].type"),
            format!("{path}[set].uniqueItems"),
            format!("{path}[set].items.type"),
            format!("{path}[set].items.$ref"),
            format!("{path}[untyped].type"),
        ]
    );
}

#[test]
fn the_level_of_a_policy_admits_what_the_policy_admits() {
    let restricted = json!({
        "allowPrivilegeEscalation": false, "requiredDropCapabilities": ["ALL"], "volumes": ["configMap", "secret"],
        "runAsUser": {"rule": "MustRunAsNonRoot"},
    });
    let confined = json!({"seccomp.security.alpha.kubernetes.io/defaultProfileName": "runtime/default"});
    for (change, annotations, wanted) in [
        (json!({}), confined.clone(), Level::Restricted),
        (json!({}), json!({}), Level::Baseline),
        (json!({"runAsUser": {"rule": "RunAsAny"}}), confined.clone(), Level::Baseline),
        (
            json!({"runAsUser": {"rule": "MustRunAs", "ranges": [{"min": 1, "max": 9}]}}),
            confined.clone(),
            Level::Restricted,
        ),
        (json!({"allowedCapabilities": ["CHOWN"]}), confined.clone(), Level::Baseline),
        (json!({"allowedCapabilities": ["*"]}), confined.clone(), Level::Privileged),
        (json!({"volumes": ["*"]}), confined.clone(), Level::Privileged),
        (json!({"volumes": ["nfs"]}), confined.clone(), Level::Baseline),
        (json!({"hostNetwork": true}), confined, Level::Privileged),
    ] {
        let mut spec = restricted.clone();
        json_patch::merge(&mut spec, &change);
        let needed = level(&json!({"metadata": {"annotations": annotations}, "spec": spec}));
        assert_eq!(needed.level, wanted, "{change} {:?}", needed.findings);
    }
    let needed = level(&json!({"spec": {"readOnlyRootFilesystem": true, "fsGroup": {"rule": "MustRunAs"}}}));
    let fields: Vec<_> = needed.findings.iter().map(|finding| finding.field.as_str()).collect();
    assert!(fields.contains(&"spec.readOnlyRootFilesystem") && fields.contains(&"spec.fsGroup"), "{fields:?}");
}

#[test]
fn an_autoscaler_follows_its_workload() {
    for (kind, version, wanted) in [
        ("ReplicationController", "v1", ("Deployment", "apps/v1")),
        ("Deployment", "extensions/v1beta1", ("Deployment", "apps/v1")),
        ("Deployment", "apps/v1", ("Deployment", "apps/v1")),
        ("Rollout", "argoproj.io/v1alpha1", ("Rollout", "argoproj.io/v1alpha1")),
    ] {
        let mut body = json!({"spec": {"scaleTargetRef": {"kind": kind, "apiVersion": version, "name": "web"}}});
        let mut findings = Vec::new();
        renew("HorizontalPodAutoscaler", &mut body, &mut findings);
        let wanted_ref = json!({"kind": wanted.0, "apiVersion": wanted.1, "name": "web"});
        assert_eq!(body["spec"]["scaleTargetRef"], wanted_ref);
        assert_eq!(findings.len(), usize::from((kind, version) != wanted));
    }
}

#[test]
fn the_table_has_one_line_for_each_version_and_no_way_back() {
    for (at, conversion) in CONVERSIONS.iter().enumerate() {
        let Conversion { kind, from, to, becomes, removed, since, .. } = conversion;
        let twice = CONVERSIONS[at + 1..].iter().any(|other| other.kind == *kind && other.from == *from);
        let gone = GONE.iter().any(|gone| gone.kind == *kind && gone.versions.contains(from));
        assert!(!twice && !gone, "{kind} {from}");
        assert!(conversion_of(becomes, to).is_none(), "{kind} {from} is converted twice");
        // Flow control went through four betas, the first of which left before v1 came.
        let late = from.starts_with("flowcontrol") && *since == 29;
        assert!(late || removed.is_none_or(|removed| removed >= *since), "{kind} {from} would leave a gap");
    }
}
