//! Showing an object in another version than it was written in. PURE.
//!
//! Most kinds look alike in every version served here and only change their `apiVersion`. Ingress and
//! HorizontalPodAutoscaler do not, and are rewritten through their stable form. What has no counterpart
//! in the version asked for is refused, never dropped.

use serde_json::{Map, Value, json};

use super::failure::Failure;

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

fn autoscaler(object: &mut Value, from: &str, to: &str) -> Result<(), Failure> {
    let Some(spec) = object["spec"].as_object_mut() else { return Ok(()) };
    let stable: Vec<Value> = match from {
        "v1" => spec.remove("targetCPUUtilizationPercentage").map(cpu_target).into_iter().collect(),
        "v2beta1" => metrics(spec).into_iter().map(metric_to_stable).collect::<Result<_, _>>()?,
        _ => metrics(spec),
    };
    match to {
        "v1" => match stable.as_slice() {
            [] => {}
            [metric] if *metric == cpu_target(metric["resource"]["target"]["averageUtilization"].clone()) => {
                let percent = metric["resource"]["target"]["averageUtilization"].clone();
                spec.insert("targetCPUUtilizationPercentage".to_owned(), percent);
            }
            _ => return Err(no_counterpart("metrics beside the use of CPU", "autoscaling/v1")),
        },
        "v2beta1" => {
            let old = stable.into_iter().map(metric_to_beta).collect::<Result<Vec<_>, _>>()?;
            spec.insert("metrics".to_owned(), old.into());
        }
        _ => {
            spec.insert("metrics".to_owned(), stable.into());
        }
    }
    Ok(())
}

fn metrics(spec: &mut Map<String, Value>) -> Vec<Value> {
    match spec.remove("metrics") {
        Some(Value::Array(metrics)) => metrics,
        _ => Vec::new(),
    }
}

fn cpu_target(percent: Value) -> Value {
    let target = json!({"type": "Utilization", "averageUtilization": percent});
    json!({"type": "Resource", "resource": {"name": "cpu", "target": target}})
}

fn metric_to_stable(metric: Value) -> Result<Value, Failure> {
    let resource = &metric["resource"];
    let target = match (&resource["targetAverageUtilization"], &resource["targetAverageValue"]) {
        (Value::Null, Value::Null) => return Err(no_counterpart("this metric", "another version")),
        (Value::Null, value) => json!({"type": "AverageValue", "averageValue": value}),
        (percent, _) => json!({"type": "Utilization", "averageUtilization": percent}),
    };
    Ok(json!({"type": "Resource", "resource": {"name": resource["name"], "target": target}}))
}

fn metric_to_beta(metric: Value) -> Result<Value, Failure> {
    let (name, target) = (&metric["resource"]["name"], &metric["resource"]["target"]);
    let resource = match target["type"].as_str() {
        Some("Utilization") => json!({"name": name, "targetAverageUtilization": target["averageUtilization"]}),
        Some("AverageValue") => json!({"name": name, "targetAverageValue": target["averageValue"]}),
        _ => return Err(no_counterpart("this metric", "autoscaling/v2beta1")),
    };
    Ok(json!({"type": "Resource", "resource": resource}))
}

fn no_counterpart(what: &str, version: &str) -> Failure {
    Failure::internal(format!("the embedded server cannot show {what} in {version}"))
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
    fn nothing_is_dropped_on_the_way() {
        let memory = json!({"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 70}}});
        let stable =
            json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "spec": {"metrics": [memory]}});
        assert_eq!(show(&stable, "autoscaling/v1").unwrap_err().code, 500);
    }
}
