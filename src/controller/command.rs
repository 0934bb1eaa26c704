//! What people ask of a Migration object: an annotation with one command in it, and the object's deletion. No IO.
//!
//! An annotation and not a field of the specification: a command is said once and answered once, by its id, and nothing that
//! keeps applying a file may say it again. There is room for one at a time; whoever finds another one unanswered waits. The answer
//! is in `status.replies`. Who asked is what the asker's own client learned of itself from the API server; who may write
//! annotations is a matter of RBAC, and the API server's audit log has the last word.

use kube::ResourceExt;
use kube::api::DynamicObject;

use crate::migration::{Command, Request};

/// The annotation that holds a command, as JSON with `id`, `at`, `by` and `request`.
pub const ANNOTATION: &str = "crossfade.dev/command";

/// Begins the id of a command that nobody said: the object was deleted.
const DELETION: &str = "deletion-";

/// Whether a command is an object's deletion, which no new beginning makes undone.
pub fn is_deletion(command: &Command) -> bool {
    command.id.starts_with(DELETION)
}

/// What is asked of an object. Its deletion is a request to go back, and comes before anything else.
pub fn of(object: &DynamicObject) -> Option<Command> {
    if let Some(at) = &object.metadata.deletion_timestamp {
        let id = format!("{DELETION}{}", object.uid().unwrap_or_default());
        let request = Request::Abort { why: "the Migration was deleted".to_owned() };
        return Some(Command { id, at: at.0, by: "whoever deleted it".to_owned(), request });
    }
    serde_json::from_str(object.annotations().get(ANNOTATION)?).ok()
}
