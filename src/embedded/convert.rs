//! Showing an object in another version than it was written in. PURE.
//!
//! Most kinds look alike in every version served here and only change their `apiVersion`. Ingress and
//! HorizontalPodAutoscaler do not, and are rewritten through their stable form. What has no counterpart
//! in the version asked for is refused, never dropped.

use serde_json::{Value, json};

use super::failure::Failure;

/// Where `autoscaling/v1` keeps the metrics it has no fields for.
const METRICS_ANNOTATION: &str = "autoscaling.alpha.kubernetes.io/metrics";

/// The object as `api_version` shows it.
pub(super) fn show(object: &Value, api_version: &str) -> Result<Value, Failure> {
    let mut shown = object.clone();
    let written = object["apiVersion"].as_str().unwrap_or_default();
    if written != api_version {
        let kind = object["kind"].as_str().unwrap_or_default();
        match (kind, form(written), form(api_version)) {
            (_, from, to) if from == to => {}
            ("Ingress", _, to) => ingress(&mut shown, to == "v1"),
            ("HorizontalPodAutoscaler", from, to) => autoscaler(&mut shown, from, to)?,
            _ => {}
        }
        shown["apiVersion"] = api_version.into();
    }
    Ok(shown)
}

/// Versions of one form hold the same fields.
fn form(api_version: &str) -> &str {
    match api_version.rsplit('/').next().unwrap_or_default() {
        "v2beta2" => "v2",
        version => version,
    }
}

fn ingress(object: &mut Value, stable: bool) {
    let Some(spec) = object["spec"].as_object_mut() else { return };
    let (from, to) = if stable { ("backend", "defaultBackend") } else { ("defaultBackend", "backend") };
    if let Some(mut backend) = spec.remove(from) {
        ingress_backend(&mut backend, stable);
        spec.insert(to.to_owned(), backend);
    }
    for rule in spec.get_mut("rules").and_then(Value::as_array_mut).into_iter().flatten() {
        for path in rule.pointer_mut("/http/paths").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(backend) = path.get_mut("backend") {
                ingress_backend(backend, stable);
            }
        }
    }
}

fn ingress_backend(backend: &mut Value, stable: bool) {
    let Some(fields) = backend.as_object_mut() else { return };
    if stable {
        let (name, port) = (fields.remove("serviceName"), fields.remove("servicePort"));
        if let (Some(name), Some(port)) = (name, port) {
            let port = if port.is_number() { json!({ "number": port }) } else { json!({ "name": port }) };
            fields.insert("service".to_owned(), json!({"name": name, "port": port}));
        }
    } else if let Some(service) = fields.remove("service") {
        let (number, name) = (&service["port"]["number"], &service["port"]["name"]);
        let port = if number.is_null() { name } else { number };
        fields.insert("serviceName".to_owned(), service["name"].clone());
        fields.insert("servicePort".to_owned(), port.clone());
    }
}

/// Takes the metrics out in their stable form and puts them back in the other one.
fn autoscaler(object: &mut Value, from: &str, to: &str) -> Result<(), Failure> {
    let stable = match from {
        "v1" => {
            let others = take(object, "/metadata/annotations", METRICS_ANNOTATION);
            let others = others.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
            let cpu = take(object, "/spec", "targetCPUUtilizationPercentage");
            let cpu = (!cpu.is_null()).then(|| cpu_target(cpu));
            metrics_from_beta(others)?.into_iter().chain(cpu).collect()
        }
        "v2beta1" => metrics_from_beta(list(take(object, "/spec", "metrics")))?,
        _ => list(take(object, "/spec", "metrics")),
    };
    match to {
        "v1" => {
            let is_cpu = |metric: &Value| *metric == cpu_target(percent_of(metric));
            let (cpu, others): (Vec<Value>, Vec<Value>) = stable.into_iter().partition(is_cpu);
            if let Some(cpu) = cpu.first() {
                object["spec"]["targetCPUUtilizationPercentage"] = percent_of(cpu);
            }
            if !others.is_empty() {
                let others = Value::from(metrics_to_beta(others)?).to_string();
                object["metadata"]["annotations"][METRICS_ANNOTATION] = others.into();
            }
        }
        "v2beta1" => object["spec"]["metrics"] = metrics_to_beta(stable)?.into(),
        _ => object["spec"]["metrics"] = stable.into(),
    }
    Ok(())
}

/// Removes a field of the object at this place, and returns it.
fn take(object: &mut Value, at: &str, field: &str) -> Value {
    let Some(Value::Object(fields)) = object.pointer_mut(at) else { return Value::Null };
    let taken = fields.remove(field).unwrap_or_default();
    if fields.is_empty() && at.ends_with("/annotations") {
        take(object, "/metadata", "annotations");
    }
    taken
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

fn percent_of(metric: &Value) -> Value {
    metric["resource"]["target"]["averageUtilization"].clone()
}

fn cpu_target(percent: Value) -> Value {
    let target = json!({"type": "Utilization", "averageUtilization": percent});
    json!({"type": "Resource", "resource": {"name": "cpu", "target": target}})
}

fn metrics_from_beta(metrics: Vec<Value>) -> Result<Vec<Value>, Failure> {
    let convert = |metric: Value| {
        let resource = &metric["resource"];
        let target = match (&resource["targetAverageUtilization"], &resource["targetAverageValue"]) {
            (Value::Null, Value::Null) => return Err(no_counterpart("another version")),
            (Value::Null, value) => json!({"type": "AverageValue", "averageValue": value}),
            (percent, _) => json!({"type": "Utilization", "averageUtilization": percent}),
        };
        Ok(json!({"type": "Resource", "resource": {"name": resource["name"], "target": target}}))
    };
    metrics.into_iter().map(convert).collect()
}

fn metrics_to_beta(metrics: Vec<Value>) -> Result<Vec<Value>, Failure> {
    let convert = |metric: Value| {
        let (name, target) = (&metric["resource"]["name"], &metric["resource"]["target"]);
        let resource = match target["type"].as_str() {
            Some("Utilization") => json!({"name": name, "targetAverageUtilization": target["averageUtilization"]}),
            Some("AverageValue") => json!({"name": name, "targetAverageValue": target["averageValue"]}),
            _ => return Err(no_counterpart("autoscaling/v2beta1")),
        };
        Ok(json!({"type": "Resource", "resource": resource}))
    };
    metrics.into_iter().map(convert).collect()
}

fn no_counterpart(version: &str) -> Failure {
    Failure::internal(format!("the embedded server cannot show a metric of this type in {version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ingress_there_and_back() {
        let old = json!({"apiVersion": "extensions/v1beta1", "kind": "Ingress", "metadata": {"name": "web"}, "spec": {
            "backend": {"serviceName": "web", "servicePort": 80},
            "rules": [{"host": "a", "http": {"paths": [{"path": "/", "backend": {"serviceName": "web", "servicePort": "http"}}]}}]}});
        let new = show(&old, "networking.k8s.io/v1").unwrap();
        assert_eq!(new["spec"]["defaultBackend"], json!({"service": {"name": "web", "port": {"number": 80}}}));
        assert_eq!(
            new["spec"]["rules"][0]["http"]["paths"][0]["backend"],
            json!({"service": {"name": "web", "port": {"name": "http"}}})
        );
        assert_eq!(show(&new, "extensions/v1beta1").unwrap(), old);
        assert_eq!(show(&old, "networking.k8s.io/v1beta1").unwrap()["spec"], old["spec"]);
    }

    #[test]
    fn autoscaler_there_and_back() {
        let v1 = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
                        "spec": {"maxReplicas": 9, "targetCPUUtilizationPercentage": 70}});
        let beta = show(&v1, "autoscaling/v2beta1").unwrap();
        assert_eq!(beta["spec"]["metrics"][0]["resource"], json!({"name": "cpu", "targetAverageUtilization": 70}));
        let stable = show(&beta, "autoscaling/v2").unwrap();
        assert_eq!(stable["spec"]["metrics"], json!([cpu_target(70.into())]));
        assert_eq!(show(&stable, "autoscaling/v1").unwrap(), v1);
    }

    #[test]
    fn what_v1_has_no_field_for_is_kept_in_an_annotation() {
        let memory = json!({"type": "Resource", "resource": {"name": "memory", "targetAverageValue": "1Gi"}});
        let cpu = json!({"type": "Resource", "resource": {"name": "cpu", "targetAverageUtilization": 70}});
        let beta = json!({"apiVersion": "autoscaling/v2beta1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
                          "spec": {"metrics": [memory, cpu]}});
        let v1 = show(&beta, "autoscaling/v1").unwrap();
        assert_eq!(v1["spec"], json!({"targetCPUUtilizationPercentage": 70}));
        // As a real v1.20.15 server wrote it, but for the order of fields.
        let kept: Value =
            serde_json::from_str(v1["metadata"]["annotations"][METRICS_ANNOTATION].as_str().unwrap()).unwrap();
        assert_eq!(kept, json!([memory]));
        assert_eq!(show(&v1, "autoscaling/v2beta1").unwrap(), beta);
    }

    #[test]
    fn nothing_is_dropped_on_the_way() {
        let pods = json!({"type": "Pods", "pods": {"metric": {"name": "rps"}}});
        let stable =
            json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "spec": {"metrics": [pods]}});
        assert_eq!(show(&stable, "autoscaling/v1").unwrap_err().code, 500);
    }
}
