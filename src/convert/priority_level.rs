//! PriorityLevelConfiguration of `flowcontrol.apiserver.k8s.io/v1alpha1` to `v1beta3` → `v1`. PURE.
//!
//! `assuredConcurrencyShares` is called `nominalConcurrencyShares` since `v1beta3`. Up to then 0 meant the default, and in `v1`
//! it means none at all; `v1beta3` tells the two apart by an annotation.

use serde_json::Value;

use super::draft::Draft;

/// The annotation by which a 0 of `v1beta3` is meant as it is written.
const ZERO_IS_MEANT: &str = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares";

/// The fields that are the same in all versions.
const SAME: &[&str] = &["limitResponse", "lendablePercent", "borrowingLimitPercent"];

/// From the versions that say `assuredConcurrencyShares`.
pub fn from_assured(level: &mut Draft<'_>) {
    spec(level, "assuredConcurrencyShares", false);
}

/// From `v1beta3`.
pub fn from_v1beta3(level: &mut Draft<'_>) {
    let annotations = level.new_mut().get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations"));
    let meant = annotations.and_then(Value::as_object_mut).and_then(|annotations| annotations.remove(ZERO_IS_MEANT));
    spec(level, "nominalConcurrencyShares", meant.is_some());
}

fn spec(level: &mut Draft<'_>, shares: &str, zero_is_meant: bool) {
    level.nested("spec", |spec| {
        spec.carry(&["type", "exempt"]);
        spec.nested("limited", |limited| {
            limited.carry(SAME);
            if limited.peek(shares).is_some_and(|shares| *shares == 0) && !zero_is_meant {
                limited.take(shares);
            }
            limited.rename(shares, "nominalConcurrencyShares");
        });
    });
}
