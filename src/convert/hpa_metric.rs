//! Autoscaler metrics, flat as in `v2beta1` and in the annotations of `v1` → nested as in `v2`. PURE.
//!
//! The old shape says by the field it uses what the new one says with `target.type`.

use serde_json::{Map, Value, json};

use super::fields::Fields;
use super::finding::Finding;

/// Turns the source of one type of metric.
type ConvertSource = fn(&mut Fields, &mut Vec<Finding>) -> Map<String, Value>;

/// All metrics in the nested shape; one that is not understood is reported and left out.
pub fn nested(metrics: Vec<(String, Value)>, findings: &mut Vec<Finding>) -> Value {
    metrics.into_iter().filter_map(|(path, entry)| metric(Fields::new(path, entry, findings), findings)).collect()
}

fn metric(mut old: Fields, findings: &mut Vec<Finding>) -> Option<Value> {
    let source_type = old.take("type").unwrap_or_default();
    let (key, convert): (_, ConvertSource) = match source_type.as_str() {
        Some("Resource") => ("resource", resource),
        Some("ContainerResource") => ("containerResource", resource),
        Some("Pods") => ("pods", pods),
        Some("Object") => ("object", object),
        Some("External") => ("external", external),
        _ => {
            findings.push(Finding::blocks(old.path_of("type"), "is no known type of metric"));
            return None;
        }
    };
    let Some(mut source) = old.object(key, findings) else {
        findings.push(Finding::blocks(old.path_of(key), "is missing"));
        return None;
    };
    let new = convert(&mut source, findings);
    source.finish(findings);
    old.finish(findings);
    Some(json!({"type": source_type, key: new}))
}

/// `Resource` and `ContainerResource`, which has one more field.
fn resource(old: &mut Fields, findings: &mut Vec<Finding>) -> Map<String, Value> {
    let mut new = Map::new();
    old.carry("name", &mut new);
    old.carry("container", &mut new);
    let target = match one_of(old, ["targetAverageUtilization", "targetAverageValue"], findings) {
        [Some(percent), _] => typed_target("Utilization", "averageUtilization", Some(percent)),
        [None, average] => average_value(average),
    };
    new.insert("target".to_owned(), Value::Object(target));
    new
}

fn pods(old: &mut Fields, _: &mut Vec<Finding>) -> Map<String, Value> {
    let target = average_value(old.take("targetAverageValue"));
    identified(old, "selector", target)
}

fn object(old: &mut Fields, _: &mut Vec<Finding>) -> Map<String, Value> {
    let described = old.take("target");
    // A mandatory field of the old version, and 0 where only the average counts; new servers refuse the 0.
    let total = old.take("targetValue").filter(|total| total != "0" && *total != 0);
    let mut target = match old.take("averageValue") {
        Some(average) => average_value(Some(average)),
        None => total_value(None),
    };
    target.extend(total.map(|total| ("value".to_owned(), total)));
    let mut new = identified(old, "selector", target);
    new.extend(described.map(|described| ("describedObject".to_owned(), described)));
    new
}

fn external(old: &mut Fields, findings: &mut Vec<Finding>) -> Map<String, Value> {
    let target = match one_of(old, ["targetValue", "targetAverageValue"], findings) {
        [Some(value), _] => total_value(Some(value)),
        [None, average] => average_value(average),
    };
    identified(old, "metricSelector", target)
}

/// Two fields of which a server accepts only one; both together are reported.
fn one_of(old: &mut Fields, keys: [&str; 2], findings: &mut Vec<Finding>) -> [Option<Value>; 2] {
    let both = keys.map(|key| old.take(key));
    if let [Some(_), Some(_)] = both {
        findings.push(Finding::blocks(old.path_of(keys[1]), format!("cannot be combined with {}", keys[0])));
    }
    both
}

/// The metric by name and selector, with its target.
fn identified(old: &mut Fields, selector_key: &str, target: Map<String, Value>) -> Map<String, Value> {
    let mut metric = Map::new();
    old.rename("metricName", "name", &mut metric);
    old.rename(selector_key, "selector", &mut metric);
    Map::from_iter([("metric".to_owned(), Value::Object(metric)), ("target".to_owned(), Value::Object(target))])
}

fn average_value(value: Option<Value>) -> Map<String, Value> {
    typed_target("AverageValue", "averageValue", value)
}

fn total_value(value: Option<Value>) -> Map<String, Value> {
    typed_target("Value", "value", value)
}

fn typed_target(target_type: &str, key: &str, value: Option<Value>) -> Map<String, Value> {
    let mut target = Map::from_iter([("type".to_owned(), Value::from(target_type))]);
    target.extend(value.map(|value| (key.to_owned(), value)));
    target
}
