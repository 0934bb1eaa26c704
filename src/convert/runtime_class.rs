//! RuntimeClass `node.k8s.io/v1alpha1` → `v1`. PURE.
//!
//! What stood in `spec` stands in the object itself since `v1beta1`.

use super::draft::Draft;

/// From `v1alpha1`.
pub fn from_v1alpha1(class: &mut Draft<'_>) {
    class.unwrapped("spec", |spec| {
        spec.rename("runtimeHandler", "handler");
        spec.carry(&["overhead", "scheduling"]);
    });
}
