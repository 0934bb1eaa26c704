//! Mutating- and ValidatingWebhookConfiguration `admissionregistration.k8s.io/v1beta1` → `v1`. PURE.
//!
//! Four defaults are others, and are written down. Two fields became mandatory: whether a webhook has side effects is known only
//! to those who wrote it, so an answer that `v1` does not take blocks.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::draft::Draft;

/// A MutatingWebhookConfiguration.
pub fn mutating(configuration: &mut Draft<'_>) {
    webhooks(configuration, &["reinvocationPolicy"]);
}

/// A ValidatingWebhookConfiguration.
pub fn validating(configuration: &mut Draft<'_>) {
    webhooks(configuration, &[]);
}

fn webhooks(configuration: &mut Draft<'_>, own: &[&str]) {
    let mut names = BTreeSet::new();
    configuration.each("webhooks", |webhook| {
        let name = webhook.peek("name").and_then(Value::as_str).map(str::to_owned);
        if name.is_some_and(|name| !names.insert(name)) {
            webhook.blocks("name", "is the name of another webhook of this configuration too, which v1 refuses");
        }
        webhook.carry(&["name", "clientConfig", "rules", "namespaceSelector", "objectSelector", "matchConditions"]);
        webhook.carry(&["failurePolicy", "matchPolicy", "timeoutSeconds", "sideEffects", "admissionReviewVersions"]);
        webhook.carry(own);
        webhook.put_default("failurePolicy", "Ignore");
        webhook.put_default("matchPolicy", "Exact");
        webhook.put_default("timeoutSeconds", 30);
        webhook.put_default("admissionReviewVersions", json!(["v1beta1"]));
        let harmless =
            webhook.new_mut().get("sideEffects").is_some_and(|effects| effects == "None" || effects == "NoneOnDryRun");
        if !harmless {
            webhook.blocks("sideEffects", "has to be None or NoneOnDryRun: only who wrote the webhook knows");
        }
    });
}
