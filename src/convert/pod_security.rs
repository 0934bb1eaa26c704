//! PodSecurityPolicy → the Pod Security level of the namespaces that used it. PURE.
//!
//! No object takes a policy's place: since 1.25 a label of each namespace names one of three levels. The level found here is the
//! strictest that admits every pod the policy admits, so that nothing that ran is refused. What the policy demanded or changed
//! beyond it is reported, because no level does that any more. Which namespaces these were is in `namespaces`.

use std::fmt;

use serde_json::Value;

use super::finding::Finding;

mod namespaces;

pub use namespaces::{ENFORCE, Users};

/// The levels of the Pod Security Standards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Only what every pod can do.
    Restricted,
    /// Nothing that is known to lead out of a pod.
    Baseline,
    /// Everything.
    Privileged,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Restricted => "restricted",
            Self::Baseline => "baseline",
            Self::Privileged => "privileged",
        })
    }
}

/// What the namespaces of a policy need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// The level that admits what the policy admits.
    pub level: Level,
    /// What kept it from a stricter level, and what no level does any more.
    pub findings: Vec<Finding>,
}

/// Capabilities that `baseline` lets a container add.
pub const BASELINE_CAPABILITIES: &[&str] = &[
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
/// Volumes that `restricted` lets a pod have.
const RESTRICTED_VOLUMES: &[&str] =
    &["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"];

/// Fields that changed pods or narrowed them further than any level does.
const BEYOND: &[(&str, &str)] = &[
    ("readOnlyRootFilesystem", "demanded a read-only root file system, and no level does"),
    ("allowedHostPaths", "narrowed host paths, and no level does"),
    ("allowedFlexVolumes", "narrowed FlexVolume drivers, and no level does"),
    ("allowedCSIDrivers", "narrowed CSI drivers, and no level does"),
    ("forbiddenSysctls", "forbade sysctls of its own choice"),
    ("allowedUnsafeSysctls", "allowed unsafe sysctls, which baseline and restricted refuse"),
    ("runtimeClass", "narrowed or defaulted runtime classes, and no level does"),
    ("defaultAddCapabilities", "added capabilities to pods that did not ask; they have to ask now"),
    ("defaultAllowPrivilegeEscalation", "wrote allowPrivilegeEscalation into pods; they have to say it themselves now"),
];
/// Fields whose `MustRunAs` chose or narrowed an identity.
const IDENTITIES: &[&str] = &["runAsUser", "runAsGroup", "supplementalGroups", "fsGroup", "seLinux"];
/// Annotations by which policies wrote profiles into pods.
const PROFILE_ANNOTATIONS: &[&str] = &[
    "seccomp.security.alpha.kubernetes.io/defaultProfileName",
    "apparmor.security.beta.kubernetes.io/defaultProfileName",
];

/// The level the namespaces of a policy need, and why.
pub fn level(policy: &Value) -> Needed {
    let mut needed = Needed { level: Level::Restricted, findings: Vec::new() };
    for (level, field, message) in loosening(policy) {
        needed.level = needed.level.max(level);
        needed.findings.push(Finding::notice(format!("spec.{field}"), format!("{message}: {level}")));
    }
    needed.findings.extend(beyond(policy));
    needed
}

/// What keeps a policy from a stricter level.
fn loosening(policy: &Value) -> Vec<(Level, &'static str, &'static str)> {
    use Level::{Baseline, Privileged};
    let spec = |key: &str| policy.get("spec").and_then(|spec| spec.get(key));
    let is = |key: &str, wanted: bool| spec(key).and_then(Value::as_bool) == Some(wanted);
    let names = |key: &str| spec(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let volumes_beyond = |allowed: &[&str]| names("volumes").any(|volume| !allowed.contains(&volume));
    let adds = |key: &str, allowed: &[&str]| names(key).any(|capability| !allowed.contains(&capability));
    let adds_any = |allowed: &[&str]| adds("allowedCapabilities", allowed) || adds("defaultAddCapabilities", allowed);
    let checks = [
        (is("privileged", true), Privileged, "privileged", "allows privileged containers"),
        (is("hostNetwork", true), Privileged, "hostNetwork", "allows the host's network"),
        (is("hostPID", true), Privileged, "hostPID", "allows the host's processes"),
        (is("hostIPC", true), Privileged, "hostIPC", "allows the host's IPC"),
        (
            spec("hostPorts").and_then(Value::as_array).is_some_and(|ports| !ports.is_empty()),
            Privileged,
            "hostPorts",
            "allows host ports",
        ),
        (
            names("volumes").any(|volume| volume == "*" || volume == "hostPath"),
            Privileged,
            "volumes",
            "allows host paths",
        ),
        (adds_any(BASELINE_CAPABILITIES), Privileged, "allowedCapabilities", "allows more capabilities"),
        (
            names("allowedProcMountTypes").any(|mount| mount != "Default"),
            Privileged,
            "allowedProcMountTypes",
            "allows an unmasked /proc",
        ),
        (volumes_beyond(RESTRICTED_VOLUMES), Baseline, "volumes", "allows more kinds of volumes"),
        (!is("allowPrivilegeEscalation", false), Baseline, "allowPrivilegeEscalation", "allows privilege escalation"),
        (!never_root(spec("runAsUser")), Baseline, "runAsUser", "allows root"),
        (
            names("requiredDropCapabilities").all(|dropped| dropped != "ALL"),
            Baseline,
            "requiredDropCapabilities",
            "does not drop ALL",
        ),
        (
            adds_any(&["NET_BIND_SERVICE"]),
            Baseline,
            "allowedCapabilities",
            "allows more capabilities than NET_BIND_SERVICE",
        ),
        (!confines(policy), Baseline, "seccomp", "does not confine pods by seccomp"),
    ];
    checks
        .into_iter()
        .filter(|(applies, ..)| *applies)
        .map(|(_, level, field, message)| (level, field, message))
        .collect()
}

fn never_root(user: Option<&Value>) -> bool {
    let Some(user) = user else { return false };
    let ranges = || user.get("ranges").and_then(Value::as_array);
    let above_root = |range: &Value| range.get("min").and_then(Value::as_u64).is_some_and(|min| min > 0);
    match user.get("rule").and_then(Value::as_str) {
        Some("MustRunAsNonRoot") => true,
        Some("MustRunAs") => ranges().is_some_and(|ranges| !ranges.is_empty() && ranges.iter().all(above_root)),
        _ => false,
    }
}

/// Whether pods were confined by default, so that those of the policy are.
fn confines(policy: &Value) -> bool {
    let annotations = policy.pointer("/metadata/annotations");
    let default = annotations.and_then(|annotations| annotations.get(PROFILE_ANNOTATIONS[0])?.as_str());
    matches!(default, Some("runtime/default" | "docker/default"))
}

/// What the policy did that no level does.
fn beyond(policy: &Value) -> Vec<Finding> {
    let is_set =
        |value: &Value| !matches!(value, Value::Null | Value::Bool(false)) && *value != Value::Array(Vec::new());
    let spec = |key: &str| policy.get("spec").and_then(|spec| spec.get(key)).filter(|value| is_set(value));
    let notice = |field: String, message: &str| Finding::notice(field, message);
    let fields = BEYOND.iter().filter(|(key, _)| spec(key).is_some());
    let mut found: Vec<_> = fields.map(|(key, message)| notice(format!("spec.{key}"), message)).collect();
    let chosen = |key: &&&str| spec(key).and_then(|rule| rule.get("rule")).is_some_and(|rule| rule == "MustRunAs");
    let message = "chose or narrowed an identity; pods have to say theirs now";
    found.extend(IDENTITIES.iter().filter(chosen).map(|key| notice(format!("spec.{key}"), message)));
    let annotations = policy.pointer("/metadata/annotations");
    let written = PROFILE_ANNOTATIONS.iter().filter(|key| annotations.and_then(|all| all.get(**key)).is_some());
    let message = "wrote a profile into pods; they have to say theirs now";
    found.extend(written.map(|key| notice(format!("metadata.annotations[{key}]"), message)));
    found
}
