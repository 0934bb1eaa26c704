//! The `Status` bodies of refused requests. PURE.
//!
//! Clients decide by `reason` and `code` and people read `message`; all are what a v1.37.2 server
//! answers to the same mistake.

use serde_json::{Value, json};

use super::ownership::Conflict;

/// A refused request.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failure {
    /// HTTP status.
    pub(super) code: u16,
    reason: &'static str,
    message: String,
    details: Option<Value>,
}

/// One field that has no acceptable value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cause {
    field: &'static str,
    reason: &'static str,
    why: String,
}

impl<W: Into<String>> From<(&'static str, &'static str, W)> for Cause {
    fn from((field, reason, why): (&'static str, &'static str, W)) -> Self {
        Self { field, reason, why: why.into() }
    }
}

/// The resource a request is about, as messages write it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) group: &'a str,
    pub(super) plural: &'a str,
    pub(super) name: &'a str,
}

impl Subject<'_> {
    /// The subject, as the details of a `Status` name it.
    pub(super) fn details(&self) -> Value {
        let mut details = json!({"name": self.name, "kind": self.plural});
        if !self.group.is_empty() {
            details["group"] = self.group.into();
        }
        details
    }

    fn resource(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }
}

impl Failure {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    fn about(self, details: Value) -> Self {
        Self { details: Some(details), ..self }
    }

    /// The body, as its own document.
    pub(super) fn to_json(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        });
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        status
    }

    /// The object does not exist.
    pub(super) fn not_found(subject: Subject<'_>) -> Self {
        let message = format!("{} {:?} not found", subject.resource(), subject.name);
        Self::new(404, "NotFound", message).about(subject.details())
    }

    /// The kind is not served here.
    pub(super) fn not_served() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource").about(json!({}))
    }

    /// The object exists.
    pub(super) fn already_exists(subject: Subject<'_>) -> Self {
        let message = format!("{} {:?} already exists", subject.resource(), subject.name);
        Self::new(409, "AlreadyExists", message).about(subject.details())
    }

    /// The object is not the one the writer had read.
    pub(super) fn stale(subject: Subject<'_>) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::cannot_fulfil(subject, why)
    }

    /// The object breaks a precondition of its deletion.
    pub(super) fn precondition(subject: Subject<'_>, field: &str, wanted: &str, found: &str) -> Self {
        let (what, guess) = match field {
            "uid" => ("UID", "The object might have been deleted and then recreated"),
            _ => ("ResourceVersion", "The object might have been modified"),
        };
        let why =
            format!("the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). {guess}");
        Self::cannot_fulfil(subject, &why)
    }

    fn cannot_fulfil(subject: Subject<'_>, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {:?}: {why}", subject.resource(), subject.name);
        Self::new(409, "Conflict", message).about(subject.details())
    }

    /// An apply names fields of other managers.
    pub(super) fn conflicts(conflicts: &[Conflict]) -> Self {
        let mut lines: Vec<String> = Vec::new();
        let mut owners: Vec<&str> = conflicts.iter().map(|conflict| conflict.owner.as_str()).collect();
        owners.dedup();
        for owner in owners {
            let fields: Vec<&str> =
                conflicts.iter().filter(|conflict| conflict.owner == owner).map(|c| c.field.as_str()).collect();
            match fields.as_slice() {
                [field] if conflicts.len() == 1 => lines.push(format!("conflict with {owner}: {field}")),
                fields => lines.push(format!("conflicts with {owner}:\n- {}", fields.join("\n- "))),
            }
        }
        let count = match conflicts.len() {
            1 => "1 conflict".to_owned(),
            count => format!("{count} conflicts"),
        };
        let causes: Vec<Value> = conflicts
            .iter()
            .map(|conflict| {
                let message = format!("conflict with {}", conflict.owner);
                json!({"reason": "FieldManagerConflict", "message": message, "field": conflict.field})
            })
            .collect();
        let message = format!("Apply failed with {count}: {}", lines.join("\n"));
        Self::new(409, "Conflict", message).about(json!({"causes": causes}))
    }

    /// The request makes no sense.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// Fields of the object have no acceptable value.
    pub(super) fn invalid(kind: &str, group: &str, name: &str, causes: &[Cause]) -> Self {
        let kind_group = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let reasons: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.why)).collect();
        let reasons = match reasons.as_slice() {
            [reason] => reason.clone(),
            reasons => format!("[{}]", reasons.join(", ")),
        };
        let causes: Vec<Value> = causes
            .iter()
            .map(|Cause { field, reason, why }| json!({"reason": reason, "message": why, "field": field}))
            .collect();
        let mut details = json!({"kind": kind, "causes": causes});
        for (field, text) in [("group", group), ("name", name)] {
            if !text.is_empty() {
                details[field] = text.into();
            }
        }
        Self::new(422, "Invalid", format!("{kind_group} {name:?} is invalid: {reasons}")).about(details)
    }

    /// The patch cannot be carried out on this object.
    pub(super) fn unfit_patch() -> Self {
        let message = "the server rejected our request due to an error in our request";
        Self::new(422, "Invalid", message).about(json!({}))
    }

    /// An apply that does not say who applies.
    pub(super) fn no_manager() -> Self {
        let why = "Required value: is required for apply patch";
        let cause = ("fieldManager", "FieldValueRequired", why).into();
        Self::invalid("PatchOptions", "meta.k8s.io", "", &[cause])
    }

    /// The verb is not one of this path.
    pub(super) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message).about(json!({}))
    }

    /// The body is of a kind this path does not read.
    pub(super) fn unsupported_media_type() -> Self {
        Self::new(415, "UnsupportedMediaType", "415: Unsupported Media Type").about(json!({}))
    }

    /// A version so old that its history is gone.
    pub(super) fn expired(version: u64, oldest: u64) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {version} ({oldest})"))
    }

    /// A continue token so old that its history is gone.
    pub(super) fn expired_token() -> Self {
        let message = "The provided continue parameter is too old to display a consistent list result. \
                       You can start a new list without the continue parameter.";
        Self::new(410, "Expired", message)
    }

    /// A version that does not exist yet.
    pub(super) fn too_new(version: u64, current: u64) -> Self {
        let cause = json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
        Self::new(504, "Timeout", format!("Timeout: Too large resource version: {version}, current: {current}"))
            .about(json!({"causes": [cause], "retryAfterSeconds": 1}))
    }

    /// Something the embedded server cannot do although a real one could.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "InternalError", message)
    }

    /// An answer made up by an injected fault.
    pub(super) fn injected(code: u16) -> Self {
        let reason = match code {
            401 => "Unauthorized",
            403 => "Forbidden",
            409 => "Conflict",
            429 => "TooManyRequests",
            500 => "InternalError",
            503 => "ServiceUnavailable",
            504 => "Timeout",
            _ => "",
        };
        Self::new(code, reason, "injected fault")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflicts_read_as_the_real_server_writes_them() {
        let conflict = |owner: &str, field: &str| Conflict { owner: owner.into(), field: field.into() };
        let one = Failure::conflicts(&[conflict("\"m3\" using apps/v1", ".spec.replicas")]);
        assert_eq!(one.message, "Apply failed with 1 conflict: conflict with \"m3\" using apps/v1: .spec.replicas");
        let two = Failure::conflicts(&[conflict("\"m1\"", ".a"), conflict("\"m1\"", ".b")]);
        assert_eq!(two.message, "Apply failed with 2 conflicts: conflicts with \"m1\":\n- .a\n- .b");
        assert_eq!(two.to_json()["details"]["causes"][1]["field"], ".b");
    }

    #[test]
    fn names_the_resource_with_its_group() {
        let failure = Failure::not_found(Subject { group: "apps", plural: "deployments", name: "web" });
        assert_eq!(failure.message, "deployments.apps \"web\" not found");
        let failure = Failure::stale(Subject { group: "", plural: "namespaces", name: "shop" });
        assert!(failure.message.starts_with("Operation cannot be fulfilled on namespaces \"shop\": "));
    }
}
