//! Room on the target against what the source's pods ask for. PURE.

use std::fmt;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::estate::Side;
use crate::cluster::{entries, quantity};

/// CPU in thousandths of a core, memory in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Room {
    /// Thousandths of a core.
    pub cpu_millis: i64,
    /// Bytes.
    pub memory_bytes: i64,
}

impl Room {
    /// The two of a `requests` or `allocatable` mapping; what is not there is nothing.
    pub fn of(resources: Option<&Value>) -> Self {
        let billionths = |key: &str| resources.and_then(|all| quantity(all.get(key)?)).unwrap_or(0);
        let narrow = |value: i128| i64::try_from(value).unwrap_or(i64::MAX);
        Self {
            cpu_millis: narrow(billionths("cpu") / 1_000_000),
            memory_bytes: narrow(billionths("memory") / 1_000_000_000),
        }
    }

    /// What one pod of a specification asks for: its containers together, or its largest first one.
    pub fn of_pod(spec: &Value) -> Self {
        let all = |list: &str| entries(spec, list).map(|(_, one)| Self::of(one.pointer("/resources/requests")));
        let running = all("/containers").fold(Self::default(), Add::add);
        all("/initContainers").fold(running, |most, first| Self {
            cpu_millis: most.cpu_millis.max(first.cpu_millis),
            memory_bytes: most.memory_bytes.max(first.memory_bytes),
        })
    }

    /// So many times.
    pub fn times(self, count: u32) -> Self {
        let count = i64::from(count);
        Self {
            cpu_millis: self.cpu_millis.saturating_mul(count),
            memory_bytes: self.memory_bytes.saturating_mul(count),
        }
    }

    /// Whether `other` fits in.
    pub fn holds(self, other: Self) -> bool {
        self.cpu_millis >= other.cpu_millis && self.memory_bytes >= other.memory_bytes
    }

    /// Whether nothing is asked for.
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

impl Add for Room {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            cpu_millis: self.cpu_millis.saturating_add(other.cpu_millis),
            memory_bytes: self.memory_bytes.saturating_add(other.memory_bytes),
        }
    }
}

impl Sub for Room {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            cpu_millis: self.cpu_millis.saturating_sub(other.cpu_millis),
            memory_bytes: self.memory_bytes.saturating_sub(other.memory_bytes),
        }
    }
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mebibytes = self.memory_bytes / (1024 * 1024);
        write!(f, "{}.{:02} cores, {mebibytes} MiB", self.cpu_millis / 1000, (self.cpu_millis % 1000).abs() / 10)
    }
}

/// A node that takes new pods, and what is left on it.
#[derive(Debug)]
pub struct Node<'a> {
    /// The node.
    pub value: &'a Value,
    /// Allocatable minus the requests of its pods.
    pub free: Room,
}

/// The nodes of a cluster that take new pods; none where nodes or pods could not be read.
pub fn nodes(side: &Side) -> Option<Vec<Node<'_>>> {
    if !side.knows("nodes") || !side.knows("pods") {
        return None;
    }
    let takes = |node: &&Value| node.pointer("/spec/unschedulable") != Some(&Value::Bool(true));
    let nodes = side.of("Node").map(|manifest| manifest.value()).filter(takes);
    let mut used: std::collections::BTreeMap<&str, Room> = std::collections::BTreeMap::new();
    for pod in side.of("Pod").map(|pod| pod.value()) {
        let ended = matches!(pod.pointer("/status/phase").and_then(Value::as_str), Some("Succeeded" | "Failed"));
        if let (Some(node), false) = (pod.pointer("/spec/nodeName").and_then(Value::as_str), ended) {
            let entry = used.entry(node).or_default();
            *entry = *entry + Room::of_pod(&pod["spec"]);
        }
    }
    let room = |value: &Value| {
        let name = value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        Room::of(value.pointer("/status/allocatable")) - used.get(name).copied().unwrap_or_default()
    };
    Some(nodes.map(|value| Node { value, free: room(value) }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_asks_for_its_containers_or_its_largest_first_one() {
        let request = |cpu: &str, memory: &str| json!({"resources": {"requests": {"cpu": cpu, "memory": memory}}});
        let spec = json!({
            "containers": [request("100m", "64Mi"), request("1", "64Mi")],
            "initContainers": [request("2", "1Mi")],
        });
        let room = Room::of_pod(&spec);
        assert_eq!(room, Room { cpu_millis: 2000, memory_bytes: 128 * 1024 * 1024 });
        assert_eq!(room.times(2).to_string(), "4.00 cores, 256 MiB");
        assert!(!room.holds(room.times(2)) && room.times(2).holds(room));
    }
}
