//! The custom resources: their schemas, made from these types, and what a Migration's status holds. No IO.
//!
//! The types of a specification describe the format to API servers and to people with an editor; what an object means is read by
//! `policy::load`, the same for objects as for files, and a test holds the two to the same fields. The schema keeps fields it does
//! not know instead of dropping them: a misspelt `soak` that is dropped without a word makes a policy less careful than it was
//! written, one that is kept is reported on the object. Where a value can be written as a number or as text, as `1` or `1%`, the
//! schema says nothing and the reader judges.
//!
//! CEL refuses at once what a schema can see; everything else is refused in the condition `Accepted`.

#![expect(clippy::duplicated_attributes, reason = "each `printcolumn` is another column")]

mod migration;
mod policy;
mod status;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSONSchemaProps};
use kube::{CustomResource, CustomResourceExt};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

pub use migration::{Migration, MigrationSpec};
pub use policy::{ShiftPolicy, ShiftPolicySpec};
pub use status::{Kept, KeptError, MigrationStatus, ReadyStatus, Replied};

/// Group of all three.
pub const GROUP: &str = "crossfade.dev";
/// Version of all three.
pub const VERSION: &str = "v1alpha1";

/// A cluster that migrations of the same namespace can name instead of a context.
#[derive(CustomResource, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[kube(group = "crossfade.dev", version = "v1alpha1", kind = "Cluster", namespaced, status = "ReadyStatus")]
#[kube(printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[0].status"))]
#[kube(printcolumn(name = "Secret", type_ = "string", json_path = ".spec.kubeconfig.secretRef.name"))]
#[kube(printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"))]
#[serde(rename_all = "camelCase")]
pub struct ClusterSpec {
    /// How it is reached.
    pub kubeconfig: KubeconfigRef,
}

/// Where a kubeconfig is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubeconfigRef {
    /// The Secret that holds it, in the namespace of the Cluster; Secrets of other namespaces are never read.
    pub secret_ref: SecretRef,
    /// Context of the kubeconfig; the current one unless given.
    pub context: Option<String>,
}

/// One value of a Secret.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Key within it; `kubeconfig` unless given.
    pub key: Option<String>,
}

/// A value that is written as a number or as text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scalar(pub serde_json::Value);

impl JsonSchema for Scalar {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Scalar".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"x-kubernetes-preserve-unknown-fields": true})
    }
}

/// An object without fields, whose presence says everything.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Empty {}

/// The three definitions, as `deploy/crds.yaml` has them.
pub fn all() -> Vec<CustomResourceDefinition> {
    let mut all = vec![Migration::crd(), ShiftPolicy::crd(), Cluster::crd()];
    for version in all.iter_mut().flat_map(|definition| &mut definition.spec.versions) {
        let schema = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        let Some(schema) = schema else { continue };
        each(schema, &plain_format);
        schema.properties.iter_mut().flat_map(|parts| parts.get_mut("spec")).for_each(|spec| each(spec, &keep_unknown));
    }
    all
}

/// Every schema within a schema, itself included.
fn each(schema: &mut JSONSchemaProps, change: &impl Fn(&mut JSONSchemaProps)) {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaPropsOrArray as Items;
    change(schema);
    schema.properties.iter_mut().flatten().for_each(|(_, property)| each(property, change));
    if let Some(Items::Schema(item)) = &mut schema.items {
        each(item, change);
    }
}

/// Lets an object keep the fields it does not know.
fn keep_unknown(schema: &mut JSONSchemaProps) {
    if schema.type_.as_deref() == Some("object") && schema.additional_properties.is_none() {
        schema.x_kubernetes_preserve_unknown_fields = Some(true);
    }
}

/// API servers warn of formats they do not know; the bounds stay.
fn plain_format(schema: &mut JSONSchemaProps) {
    schema.format.take_if(|format| format.starts_with("uint"));
}

#[cfg(test)]
mod tests;
