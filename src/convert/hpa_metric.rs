//! Autoscaler metrics, flat as in `v2beta1` and in the annotations of `v1` → nested as in `v2`. PURE.
//!
//! The old shape says by the field it uses what the new one says with `target.type`.

use serde_json::{Map, Value};

use super::draft::Draft;

/// One metric in the nested shape; one that is not understood is reported, and what there is of it left behind.
pub fn nested(metric: &mut Draft<'_>) {
    let source_type = metric.take("type").unwrap_or_default();
    let (key, convert): (_, fn(&mut Draft<'_>)) = match source_type.as_str() {
        Some("Resource") => ("resource", resource),
        Some("ContainerResource") => ("containerResource", resource),
        Some("Pods") => ("pods", pods),
        Some("Object") => ("object", object),
        Some("External") => ("external", external),
        _ => return metric.blocks("type", "is no known type of metric"),
    };
    metric.put("type", source_type);
    match metric.peek(key) {
        Some(_) => metric.nested(key, convert),
        None => metric.blocks(key, "is missing"),
    }
}

/// `Resource` and `ContainerResource`, which has one more field.
fn resource(source: &mut Draft<'_>) {
    source.carry(&["name", "container"]);
    let target = match one_of(source, ["targetAverageUtilization", "targetAverageValue"]) {
        [Some(percent), _] => target("Utilization", "averageUtilization", Some(percent)),
        [None, average] => average_value(average),
    };
    source.put("target", target);
}

fn pods(source: &mut Draft<'_>) {
    let average = source.take("targetAverageValue");
    source.put("target", average_value(average));
    identify(source, "selector");
}

fn object(source: &mut Draft<'_>) {
    source.rename("target", "describedObject");
    // A mandatory field of the old version, and 0 where only the average counts; new servers refuse the 0.
    let total = source.take("targetValue").filter(|total| total != "0" && *total != 0);
    let mut target = match source.take("averageValue") {
        Some(average) => average_value(Some(average)),
        None => total_value(None),
    };
    target.extend(total.map(|total| ("value".to_owned(), total)));
    source.put("target", target);
    identify(source, "selector");
}

fn external(source: &mut Draft<'_>) {
    let target = match one_of(source, ["targetValue", "targetAverageValue"]) {
        [Some(value), _] => total_value(Some(value)),
        [None, average] => average_value(average),
    };
    source.put("target", target);
    identify(source, "metricSelector");
}

/// Two fields of which a server accepts only one; both together are reported.
fn one_of(source: &mut Draft<'_>, keys: [&str; 2]) -> [Option<Value>; 2] {
    let both = keys.map(|key| source.take(key));
    if let [Some(_), Some(_)] = both {
        source.blocks(keys[1], format!("cannot be combined with {}", keys[0]));
    }
    both
}

/// Writes the metric by name and selector.
fn identify(source: &mut Draft<'_>, selector_key: &str) {
    let named = [("name", source.take("metricName")), ("selector", source.take(selector_key))];
    let metric = named.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    source.put("metric", metric.collect::<Map<_, _>>());
}

fn average_value(value: Option<Value>) -> Map<String, Value> {
    target("AverageValue", "averageValue", value)
}

fn total_value(value: Option<Value>) -> Map<String, Value> {
    target("Value", "value", value)
}

fn target(target_type: &str, key: &str, value: Option<Value>) -> Map<String, Value> {
    let mut target = Map::from_iter([("type".to_owned(), Value::from(target_type))]);
    target.extend(value.map(|value| (key.to_owned(), value)));
    target
}
