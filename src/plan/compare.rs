//! Whether a plan still is what would be planned now. PURE.
//!
//! The target may have come closer meanwhile: what a first attempt wrote is no difference. Everything else is, and is named by
//! object and field.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::draw::{Plan, Planned, Step};
use crate::cluster::{ObjectRef, between};

/// One difference between what was planned and what is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// The object; none where a cluster or the selection as a whole is meant.
    pub object: Option<ObjectRef>,
    /// The field; empty for the whole object.
    pub field: String,
    /// What is different.
    pub what: String,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = self.object.as_ref().map(ToString::to_string);
        let parts = [object.as_deref().unwrap_or_default(), &self.field, &self.what];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        f.write_str(&parts.join(": "))
    }
}

/// Every difference between a plan and the one that would be made now.
pub fn changed(planned: &Plan, now: &Plan) -> Vec<Changed> {
    let mut found = Vec::new();
    for (side, was, is) in [
        ("source", &planned.source_version, &now.source_version),
        ("target", &planned.target_version, &now.target_version),
    ] {
        if was != is {
            found.push(Changed { object: None, field: format!("{side} version"), what: format!("was {was}, is {is}") });
        }
    }
    let by_name = |plan: &'_ Plan| -> BTreeMap<ObjectRef, Planned> {
        plan.objects.iter().map(|planned| (planned.object.clone(), planned.clone())).collect()
    };
    let (was, is) = (by_name(planned), by_name(now));
    for (object, was) in &was {
        match is.get(object) {
            Some(is) => one(was, is, &mut found),
            None => found.push(whole(object, "is not part of the selection any more")),
        }
    }
    let new = is.keys().filter(|object| !was.contains_key(object));
    found.extend(new.map(|object| whole(object, "is new in the selection")));
    let worse = now.blockers().filter(|problem| !planned.problems.contains(problem));
    found.extend(worse.map(|problem| Changed {
        object: problem.object.clone(),
        field: problem.field.clone(),
        what: format!("now stands in the way: {}", problem.message),
    }));
    found
}

fn whole(object: &ObjectRef, what: &str) -> Changed {
    Changed { object: Some(object.clone()), field: String::new(), what: what.to_owned() }
}

fn one(was: &Planned, is: &Planned, found: &mut Vec<Changed>) {
    let object = &was.object;
    let mut note = |field: &str, what: String| {
        found.push(Changed { object: Some(object.clone()), field: field.to_owned(), what });
    };
    let source: Vec<_> = between(&was.manifest, &is.manifest)
        .into_iter()
        // The fingerprint only sums the other fields up.
        .filter(|change| !change.field.contains("crossfade.dev/digest"))
        .collect();
    for change in &source {
        note(&change.field, "changed on the source".to_owned());
    }
    if was.secret_version != is.secret_version && source.is_empty() {
        note("data", "changed on the source".to_owned());
    }
    if is.step == Step::Keep || !source.is_empty() || was.secret_version != is.secret_version {
        return;
    }
    match (was.step, is.step) {
        (Step::Create, Step::Change) => note("", "exists on the target now, and is different".to_owned()),
        (Step::Change, Step::Create) | (Step::Keep, Step::Create) => note("", "is gone from the target".to_owned()),
        _ => {
            let new = is.changes.iter().filter(|change| !was.changes.contains(change));
            new.for_each(|change| note(&change.field, "changed on the target".to_owned()));
        }
    }
}
