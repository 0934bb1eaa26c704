//! ResourceClaim, ResourceClaimTemplate and DeviceClass → `resource.k8s.io/v1`. PURE.
//!
//! A request names the devices it wants under `exactly` since `v1beta2`; before, these fields stood beside its name. One that
//! takes the first of several has them under `firstAvailable` in every version. The claims of `v1alpha2` and before named a
//! driver's own parameters, which nothing takes the place of.

use serde_json::Map;

use super::draft::Draft;

/// What a request says of the devices it wants.
const EXACTLY: &[&str] = &[
    "deviceClassName",
    "selectors",
    "allocationMode",
    "count",
    "adminAccess",
    "tolerations",
    "capacity",
    "derivedAttributes",
];

/// A claim whose requests are flat. What `v1alpha3` called `controller` has no place: nobody answers it any more.
pub fn from_flat(object: &mut Draft<'_>) {
    object.nested("spec", claim);
}

/// A template of such claims.
pub fn template_from_flat(object: &mut Draft<'_>) {
    object.nested("spec", |template| {
        template.carry(&["metadata"]);
        template.nested("spec", claim);
    });
}

/// A class; the nodes that `v1alpha3` could bind one to have no place.
pub fn class_from_alpha(object: &mut Draft<'_>) {
    object.nested("spec", |class| class.carry(&["selectors", "config"]));
}

fn claim(spec: &mut Draft<'_>) {
    spec.nested("devices", |devices| {
        devices.each("requests", request);
        devices.carry(&["constraints", "config"]);
    });
}

fn request(request: &mut Draft<'_>) {
    request.carry(&["name", "firstAvailable"]);
    let wanted = EXACTLY.iter().filter_map(|key| Some(((*key).to_owned(), request.take(key)?)));
    let wanted: Map<_, _> = wanted.collect();
    if !wanted.is_empty() {
        request.put("exactly", wanted);
    }
}
