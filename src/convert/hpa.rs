//! HorizontalPodAutoscaler `autoscaling/v1`, `v2beta1` and `v2beta2` → `autoscaling/v2`. PURE.
//!
//! `v2beta2` has the shape of `v2`. `v2beta1` writes metrics flat; `v1` has one CPU number, and its server
//! hides what `v1` cannot say in annotations: the other metrics in the flat shape, and the behaviour in
//! the server's internal spelling with capital letters. `v2beta1` hides the behaviour the same way.

use serde_json::{Value, json};

use super::draft::Draft;
use super::finding::Finding;
use super::hpa_metric;

/// Where old servers hide metrics that the version asked for cannot say.
pub const METRICS_ANNOTATION: &str = "autoscaling.alpha.kubernetes.io/metrics";
/// Where old servers hide the behaviour.
pub const BEHAVIOR_ANNOTATION: &str = "autoscaling.alpha.kubernetes.io/behavior";

/// The fields that are the same in all versions.
const SAME: &[&str] = &["scaleTargetRef", "minReplicas", "maxReplicas"];

/// The utilization that `autoscaling/v1` means when it names none (`DefaultCPUUtilization` of Kubernetes).
const DEFAULT_CPU_PERCENT: u32 = 80;

/// From `autoscaling/v2beta2`.
pub fn from_v2beta2(autoscaler: &mut Draft<'_>) {
    Hidden::take(autoscaler);
    autoscaler.nested("spec", |spec| {
        spec.carry(SAME);
        spec.carry(&["metrics", "behavior"]);
    });
}

/// From `autoscaling/v2beta1`.
pub fn from_v2beta1(autoscaler: &mut Draft<'_>) {
    let hidden = Hidden::take(autoscaler);
    autoscaler.nested("spec", |spec| {
        spec.carry(SAME);
        spec.each("metrics", hpa_metric::nested);
        hidden.put_behavior(spec);
    });
}

/// From `autoscaling/v1`.
pub fn from_v1(autoscaler: &mut Draft<'_>) {
    let hidden = Hidden::take(autoscaler);
    autoscaler.nested("spec", |spec| {
        spec.carry(SAME);
        // The order is the server's own: hidden metrics first, the CPU number last.
        let mut metrics = hidden.metrics(spec.findings());
        let cpu = spec.take("targetCPUUtilizationPercentage");
        let cpu = cpu.or_else(|| metrics.is_empty().then(|| DEFAULT_CPU_PERCENT.into()));
        metrics.extend(cpu.map(cpu_utilization));
        spec.put("metrics", metrics);
        hidden.put_behavior(spec);
    });
}

fn cpu_utilization(percent: Value) -> Value {
    let target = json!({"type": "Utilization", "averageUtilization": percent});
    json!({"type": "Resource", "resource": {"name": "cpu", "target": target}})
}

/// What an old server put into annotations.
struct Hidden {
    metrics: Option<String>,
    behavior: Option<String>,
}

impl Hidden {
    /// Takes the annotations off the new object: they are fields there.
    fn take(autoscaler: &mut Draft<'_>) -> Self {
        let metadata = autoscaler.new_mut().get_mut("metadata");
        let mut annotations = metadata.and_then(|metadata| metadata.get_mut("annotations")?.as_object_mut());
        let mut text = |key: &str| match annotations.as_mut()?.remove(key)? {
            Value::String(text) => Some(text),
            _ => None,
        };
        Self { metrics: text(METRICS_ANNOTATION), behavior: text(BEHAVIOR_ANNOTATION) }
    }

    fn metrics(&self, findings: &mut Vec<Finding>) -> Vec<Value> {
        let Some(text) = &self.metrics else { return Vec::new() };
        let path = annotation_path(METRICS_ANNOTATION);
        let Ok(Value::Array(metrics)) = serde_json::from_str(text) else {
            findings.push(Finding::blocks(path, "is not a list of metrics"));
            return Vec::new();
        };
        let metrics = metrics.into_iter().enumerate().map(|(at, metric)| {
            Value::Object(Draft::convert(format!("{path}[{at}]"), metric, findings, hpa_metric::nested))
        });
        metrics.collect()
    }

    fn put_behavior(&self, spec: &mut Draft<'_>) {
        let Some(text) = &self.behavior else { return };
        match serde_json::from_str(text) {
            Ok(behavior @ Value::Object(_)) => spec.put("behavior", uncapitalized(behavior)),
            _ => spec.findings().push(Finding::blocks(annotation_path(BEHAVIOR_ANNOTATION), "is not a behaviour")),
        }
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
