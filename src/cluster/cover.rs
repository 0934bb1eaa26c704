//! Whether an object on a server holds everything that is desired of it. PURE.
//!
//! Servers add defaults, and other managers own fields of their own, so the question is never equality:
//! each desired field must be there with its value. Lists that Kubernetes merges by a key are compared by
//! that key, because others may add entries; all other lists belong to one owner and must be the same.

use serde_json::{Map, Value};

/// The lists that Kubernetes merges, by the name of their field, and the fields that tell entries apart
/// (`x-kubernetes-list-map-keys` of its OpenAPI document). Of several candidates those an entry has count.
const MERGED_LISTS: &[(&str, &[&str])] = &[
    ("containers", &["name"]),
    ("initContainers", &["name"]),
    ("volumes", &["name"]),
    ("env", &["name"]),
    ("imagePullSecrets", &["name"]),
    ("volumeMounts", &["mountPath"]),
    ("volumeDevices", &["devicePath"]),
    ("hostAliases", &["ip"]),
    ("ports", &["containerPort", "port", "protocol"]),
    ("topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"]),
];

/// Fields that hold quantities. Servers write them in a canonical form: `1000m` becomes `1`.
const QUANTITIES: &[&str] = &[
    "averageValue",
    "default",
    "defaultRequest",
    "divisor",
    "hard",
    "limits",
    "max",
    "maxLimitRequestRatio",
    "min",
    "requests",
    "sizeLimit",
];

/// Maps with keys of the user's choice.
const FREE_MAPS: &[&str] =
    &["annotations", "labels", "data", "binaryData", "matchLabels", "nodeSelector", "selector", "limits", "requests"];

/// Whether `live` holds everything that `desired` holds.
pub fn covers(live: &Value, desired: &Value) -> bool {
    covers_field("", live, desired)
}

/// The same for one field, whose name says how its value is compared.
pub fn covers_field(field: &str, live: &Value, desired: &Value) -> bool {
    match (live, desired) {
        (Value::Object(live), Value::Object(desired)) => covers_map(field, live, desired),
        (Value::Array(live), Value::Array(desired)) => covers_list(field, live, desired),
        (live, desired) => live == desired || (QUANTITIES.contains(&field) && same_quantity(live, desired)),
    }
}

fn covers_map(field: &str, live: &Map<String, Value>, desired: &Map<String, Value>) -> bool {
    desired.iter().all(|(key, wanted)| {
        // The entries of `limits` and `requests` are named after resources.
        let inner = if QUANTITIES.contains(&field) { field } else { key };
        match live.get(key) {
            Some(found) => covers_field(inner, found, wanted),
            None => is_left_out(key, wanted),
        }
    })
}

fn covers_list(field: &str, live: &[Value], desired: &[Value]) -> bool {
    match keys_of(field) {
        Some(keys) => desired.iter().all(|wanted| {
            let same = |found: &&Value| {
                keys.iter().all(|key| wanted.get(key).is_none_or(|value| found.get(key) == Some(value)))
            };
            live.iter().filter(same).any(|found| covers_field("", found, wanted))
        }),
        None => {
            live.len() == desired.len()
                && live.iter().zip(desired).all(|(found, wanted)| covers_field("", found, wanted))
        }
    }
}

/// The fields that tell the entries of a merged list apart, or `None` where one owner has the whole list.
pub fn keys_of(field: &str) -> Option<&'static [&'static str]> {
    MERGED_LISTS.iter().find(|(name, _)| *name == field).map(|(_, keys)| *keys)
}

/// Whether servers leave a value out for being empty. An empty object of a fixed shape is kept, and says
/// something: `emptyDir: {}` is a volume.
pub fn is_left_out(key: &str, value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty() && FREE_MAPS.contains(&key),
        Value::Array(entries) => entries.is_empty(),
        _ => false,
    }
}

fn same_quantity(a: &Value, b: &Value) -> bool {
    quantity(a).zip(quantity(b)).is_some_and(|(a, b)| a == b)
}

/// A quantity in billionths, or `None` where it is none or too large to matter.
pub fn quantity(value: &Value) -> Option<i128> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > 9 {
        return None;
    }
    let billionths: i128 = format!("{whole}{fraction:0<9}").parse().ok()?;
    let (multiplier, divisor) = scale_of(suffix)?;
    Some(billionths.checked_mul(multiplier)? / divisor)
}

/// What a suffix multiplies and divides by.
fn scale_of(suffix: &str) -> Option<(i128, i128)> {
    let binary = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let decimal = ["k", "M", "G", "T", "P", "E"];
    let small = ["m", "u", "n"];
    let power = |list: &[&str], base: i128| {
        let exponent = list.iter().position(|entry| *entry == suffix)?;
        base.checked_pow(u32::try_from(exponent).ok()? + 1)
    };
    match suffix {
        "" => Some((1, 1)),
        _ => power(&binary, 1024)
            .or_else(|| power(&decimal, 1000))
            .map(|multiplier| (multiplier, 1))
            .or_else(|| power(&small, 1000).map(|divisor| (1, divisor))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn allows_what_others_add_and_nothing_else() {
        let desired = json!({"spec": {"nodeSelector": {}, "tolerations": [], "containers": [{"name": "app", "image": "a:1", "args": ["x", "y"]}]}});
        for (live, covered) in [
            (json!([{"name": "app", "image": "a:1", "args": ["x", "y"], "terminationMessagePath": "/dev/log"}]), true),
            (json!([{"name": "sidecar"}, {"name": "app", "image": "a:1", "args": ["x", "y"]}]), true),
            (json!([{"name": "app", "image": "a:2", "args": ["x", "y"]}]), false),
            (json!([{"name": "app", "image": "a:1", "args": ["x", "y", "z"]}]), false),
            (json!([{"name": "app", "image": "a:1"}]), false),
            (json!([]), false),
        ] {
            assert_eq!(covers(&json!({"spec": {"containers": live}}), &desired), covered, "{live}");
        }
    }

    #[test]
    fn an_empty_volume_is_a_volume() {
        let desired = json!({"volumes": [{"name": "a", "emptyDir": {}}]});
        assert!(covers(&desired, &desired));
        assert!(!covers(&json!({"volumes": [{"name": "a", "hostPath": {"path": "/"}}]}), &desired));
    }

    #[test]
    fn tells_ports_apart_by_number_and_protocol() {
        let desired = json!({"ports": [{"port": 53, "protocol": "UDP", "name": "udp"}]});
        let live = json!({"ports": [{"port": 53, "protocol": "TCP", "name": "tcp"}, {"port": 53, "protocol": "UDP", "name": "udp"}]});
        assert!(covers(&live, &desired));
        assert!(!covers(&json!({"ports": [{"port": 53, "protocol": "TCP", "name": "udp"}]}), &desired));
    }

    #[test]
    fn knows_quantities_and_only_where_they_are() {
        for (a, b, same) in [
            (json!("1000m"), json!("1"), true),
            (json!(2), json!("2"), true),
            (json!("1Gi"), json!("1024Mi"), true),
            (json!("1G"), json!("1Gi"), false),
            (json!("0.5"), json!("500m"), true),
            (json!("a lot"), json!("1"), false),
        ] {
            let limits = |value: &Value| json!({"limits": {"cpu": value}});
            assert_eq!(covers(&limits(&a), &limits(&b)), same, "{a} {b}");
        }
        assert!(!covers(
            &json!({"env": [{"name": "A", "value": "1"}]}),
            &json!({"env": [{"name": "A", "value": "1000m"}]})
        ));
    }
}
