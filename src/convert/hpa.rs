//! HorizontalPodAutoscaler `autoscaling/v1`, `v2beta1` and `v2beta2` → `autoscaling/v2`. PURE.
//!
//! `v2beta2` has the shape of `v2`. `v2beta1` writes metrics flat; `v1` has one CPU number, and its server
//! hides what `v1` cannot say in annotations: the other metrics in the flat shape, and the behaviour in
//! the server's internal spelling with capital letters. `v2beta1` hides the behaviour the same way.

use serde_json::{Map, Value, json};

use super::Converted;
use super::fields::{Fields, convert_object};
use super::finding::Finding;
use super::hpa_metric;

/// The version converted to.
pub const V2: &str = "autoscaling/v2";

/// Where old servers hide metrics that the version asked for cannot say.
pub const METRICS_ANNOTATION: &str = "autoscaling.alpha.kubernetes.io/metrics";
/// Where old servers hide the behaviour.
pub const BEHAVIOR_ANNOTATION: &str = "autoscaling.alpha.kubernetes.io/behavior";

/// The utilization that `autoscaling/v1` means when it names none (`DefaultCPUUtilization` of Kubernetes).
const DEFAULT_CPU_PERCENT: u32 = 80;

/// The autoscaler in `autoscaling/v2`, from `v2beta2`.
pub fn from_v2beta2(body: Value) -> Converted {
    convert(body, |old, new, _, _| {
        old.carry("metrics", new);
        old.carry("behavior", new);
    })
}

/// The autoscaler in `autoscaling/v2`, from `v2beta1`.
pub fn from_v2beta1(body: Value) -> Converted {
    convert(body, |old, new, hidden, findings| {
        if let Some(metrics) = old.list("metrics", findings) {
            new.insert("metrics".to_owned(), hpa_metric::nested(metrics, findings));
        }
        insert(new, "behavior", hidden.behavior(findings));
    })
}

/// The autoscaler in `autoscaling/v2`, from `v1`.
pub fn from_v1(body: Value) -> Converted {
    convert(body, |old, new, hidden, findings| {
        // The order is the server's own: hidden metrics first, the CPU number last.
        let mut metrics = hidden.metrics(findings);
        let cpu = old.take("targetCPUUtilizationPercentage");
        let cpu = cpu.or_else(|| metrics.is_empty().then(|| DEFAULT_CPU_PERCENT.into()));
        metrics.extend(cpu.map(cpu_utilization));
        new.insert("metrics".to_owned(), Value::Array(metrics));
        insert(new, "behavior", hidden.behavior(findings));
    })
}

/// Everything but metrics and behaviour is the same in all versions.
fn convert(
    body: Value,
    scaling: impl FnOnce(&mut Fields, &mut Map<String, Value>, &Hidden, &mut Vec<Finding>),
) -> Converted {
    let mut findings = Vec::new();
    let hidden = Hidden::of(&body);
    let body = convert_object(body, V2, &mut findings, |mut old, findings| {
        let mut new = Map::new();
        for key in ["scaleTargetRef", "minReplicas", "maxReplicas"] {
            old.carry(key, &mut new);
        }
        scaling(&mut old, &mut new, &hidden, findings);
        old.finish(findings);
        new
    });
    Converted { body: without_hidden(body), findings }
}

fn cpu_utilization(percent: Value) -> Value {
    let target = json!({"type": "Utilization", "averageUtilization": percent});
    json!({"type": "Resource", "resource": {"name": "cpu", "target": target}})
}

fn insert(map: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    map.extend(value.map(|value| (key.to_owned(), value)));
}

/// What an old server put into annotations.
struct Hidden {
    metrics: Option<String>,
    behavior: Option<String>,
}

impl Hidden {
    fn of(body: &Value) -> Self {
        let annotations = body.pointer("/metadata/annotations");
        let text = |key: &str| Some(annotations?.get(key)?.as_str()?.to_owned());
        Self { metrics: text(METRICS_ANNOTATION), behavior: text(BEHAVIOR_ANNOTATION) }
    }

    fn metrics(&self, findings: &mut Vec<Finding>) -> Vec<Value> {
        let Some(text) = &self.metrics else { return Vec::new() };
        let path = annotation_path(METRICS_ANNOTATION);
        let Ok(Value::Array(metrics)) = serde_json::from_str(text) else {
            findings.push(Finding::blocks(path, "is not a list of metrics"));
            return Vec::new();
        };
        let metrics = metrics.into_iter().enumerate().map(|(at, metric)| (format!("{path}[{at}]"), metric));
        match hpa_metric::nested(metrics.collect(), findings) {
            Value::Array(metrics) => metrics,
            _ => Vec::new(),
        }
    }

    fn behavior(&self, findings: &mut Vec<Finding>) -> Option<Value> {
        let text = self.behavior.as_ref()?;
        let Ok(behavior @ Value::Object(_)) = serde_json::from_str(text) else {
            findings.push(Finding::blocks(annotation_path(BEHAVIOR_ANNOTATION), "is not a behaviour"));
            return None;
        };
        Some(uncapitalized(behavior))
    }
}

fn annotation_path(key: &str) -> String {
    format!("metadata.annotations[{key}]")
}

/// The same JSON with every key's first letter small and no nulls.
fn uncapitalized(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let entries = map.into_iter().filter(|(_, value)| !value.is_null());
            entries.map(|(key, value)| (small_first(&key), uncapitalized(value))).collect()
        }
        Value::Array(entries) => entries.into_iter().map(uncapitalized).collect(),
        scalar => scalar,
    }
}

fn small_first(key: &str) -> String {
    let mut letters = key.chars();
    letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect()
}

/// The body without the annotations that are fields now.
fn without_hidden(mut body: Value) -> Value {
    if let Some(Value::Object(annotations)) = body.pointer_mut("/metadata/annotations") {
        annotations.remove(METRICS_ANNOTATION);
        annotations.remove(BEHAVIOR_ANNOTATION);
    }
    body
}
