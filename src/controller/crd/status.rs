//! What a Migration's status holds. PURE.
//!
//! One object holds the state, the epoch, the journal and everything people read, so that one write with one precondition changes
//! them together: there is no moment at which a state is kept and its intent, its answer or its phase is not. A ConfigMap or
//! Events beside it would need a second write that can fail by itself.
//!
//! State and journal are text. Nobody but the controller reads them, an API server would keep one `managedFields` entry for every
//! leaf of theirs, and the checksum needs the very bytes. They are bounded far below etcd's limit of 1.5 MiB an object.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::migration::state::FORMAT;
use crate::migration::{Reply, Request, State};

/// Where a migration stands, and what must survive a crash.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MigrationStatus {
    /// Generation of the specification that the conditions speak of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Generation of the specification that the migration was started with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_generation: Option<i64>,
    /// The phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The weight every plane shows, or the range of weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// What it waits for, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
    /// The same in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Accepted, FollowsSpec, Progressing, NeedsHuman, Completed, RolledBack.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The newest report, as `crossfade run -o json` gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "anything")]
    pub report: Option<serde_json::Value>,
    /// Who drives it, and whoever drove it before is refused: a fencing token that every take-over raises.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// The last answers to people, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replies: Vec<Replied>,
    /// The state, for the controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Kept>,
    /// Fingerprints of the objects that were applied on the target and not deleted, for the controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied: Option<String>,
    /// The last records of the journal, one JSON object a line, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub journal: Vec<String>,
}

/// Whether a ShiftPolicy or a Cluster can be used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ReadyStatus {
    /// Generation of the specification that the condition speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// A command and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Replied {
    /// Who asked, by their own word.
    pub by: String,
    /// What was asked.
    #[schemars(schema_with = "anything")]
    pub request: Request,
    /// The command's id.
    pub id: String,
    /// Whether it was taken.
    pub accepted: bool,
    /// What happens now, or why it was refused.
    pub message: String,
}

impl Replied {
    /// The answer.
    pub fn reply(&self) -> Reply {
        let Self { by: _, request: _, id, accepted, message } = self.clone();
        Reply { id, accepted, message }
    }
}

/// A state as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Kept {
    /// Its form.
    pub format: u32,
    /// The state as JSON.
    pub json: String,
    /// Checksum of the JSON.
    pub sum: String,
}

/// Why a kept state is not taken up.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// It is of another form.
    #[error("status.state has form {0}, this version reads {FORMAT}")]
    Format(u32),
    /// It is not what was written.
    #[error("status.state is damaged: somebody else wrote it")]
    Damaged,
    /// It has the right checksum and is not understood.
    #[error("status.state was written by another version")]
    Unknown(#[from] serde_json::Error),
}

impl Kept {
    /// A state, to be kept.
    pub fn new(state: &State) -> Result<Self, serde_json::Error> {
        let json = serde_json::to_string(state)?;
        Ok(Self { format: FORMAT, sum: checksum(&json), json })
    }

    /// The state that was kept.
    pub fn state(&self) -> Result<State, KeptError> {
        if self.format != FORMAT {
            return Err(KeptError::Format(self.format));
        }
        if checksum(&self.json) != self.sum {
            return Err(KeptError::Damaged);
        }
        Ok(serde_json::from_str(&self.json)?)
    }
}

fn checksum(json: &str) -> String {
    Sha256::digest(json).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// A part that the API server keeps as it is.
fn anything(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-preserve-unknown-fields": true})
}
