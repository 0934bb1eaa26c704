//! HorizontalPodAutoscaler. PURE.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::object::ObjectRef;
use super::super::served::group_of;
use super::{KINDS, Kind, Reference, Selection, text_at};
use crate::convert::Finding;
use crate::policy::Keep;

/// The HorizontalPodAutoscaler kind.
pub struct HorizontalPodAutoscaler;

/// Where `autoscaling/v1` servers write status that has no field there.
const STATUS_ANNOTATIONS: &[&str] =
    &["autoscaling.alpha.kubernetes.io/conditions", "autoscaling.alpha.kubernetes.io/current-metrics"];

impl Kind for HorizontalPodAutoscaler {
    fn name(&self) -> &'static str {
        "HorizontalPodAutoscaler"
    }

    /// `v1` is last although every server has it: what it cannot say hides in annotations there.
    fn versions(&self) -> &'static [&'static str] {
        &["autoscaling/v2", "autoscaling/v2beta2", "autoscaling/v2beta1", "autoscaling/v1"]
    }

    fn acts(&self) -> bool {
        true
    }

    fn acts_on(&self, body: &Value, selection: &Selection) -> bool {
        scaled_workload(body).is_some_and(|workload| selection.contains(&workload))
    }

    fn refers_to(&self, body: &Value) -> Vec<Reference> {
        let scaled = scaled_workload(body);
        let kind = scaled.as_ref().and_then(|workload| super::kind(&workload.kind)).map(Kind::name);
        let reference = kind.zip(scaled).map(|(kind, workload)| Reference {
            kind,
            name: workload.name,
            field: "spec.scaleTargetRef.name".to_owned(),
            optional: false,
            brings: false,
        });
        reference.into_iter().collect()
    }

    fn scrub(&self, body: &mut Value, _: &BTreeSet<Keep>, _: &mut Vec<Finding>) {
        if let Some(annotations) = body.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
            annotations.retain(|key, _| !STATUS_ANNOTATIONS.contains(&key.as_str()));
        }
        if let Some(Value::Array(metrics)) = body.pointer_mut("/spec/metrics") {
            metrics.iter_mut().for_each(remove_zero_total);
        }
    }
}

/// Old servers write a total of 0 beside the average of an object's metric, which new ones refuse.
fn remove_zero_total(metric: &mut Value) {
    if let Some(Value::Object(target)) = metric.pointer_mut("/object/target")
        && target.contains_key("averageValue")
        && target.get("value").is_some_and(|value| value == "0" || value == 0)
    {
        target.remove("value");
    }
}

/// The workload an autoscaler scales, where it is of a kind that is mirrored.
///
/// The group must fit too: other projects have Deployments and Services of their own.
pub fn scaled_workload(body: &Value) -> Option<ObjectRef> {
    let text = |key: &str| text_at(body, &format!("/spec/scaleTargetRef/{key}"));
    let (name, group) = (text("kind")?, group_of(text("apiVersion").unwrap_or_default()));
    let mirrored = KINDS.iter().find(|kind| kind.name() == name)?;
    let known = group.is_empty() || mirrored.versions().iter().any(|version| group_of(version) == group);
    let namespace = text_at(body, "/metadata/namespace").unwrap_or_default();
    known.then(|| Some(ObjectRef::new(name, namespace, text("name")?))).flatten()
}
