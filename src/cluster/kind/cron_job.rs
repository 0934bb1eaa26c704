//! CronJob. PURE.
//!
//! It would run on both sides, so it is mirrored asleep. A commit wakes it, once the source's one was put to sleep; where nothing but a
//! plan was applied, that is left to a person.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Kind;
use crate::convert::Finding;
use crate::policy::Keep;

/// The CronJob kind.
pub struct CronJob;

impl Kind for CronJob {
    fn name(&self) -> &'static str {
        "CronJob"
    }

    fn versions(&self) -> &'static [&'static str] {
        &["batch/v1", "batch/v1beta1", "batch/v2alpha1"]
    }

    fn scrub(&self, body: &mut Value, _: &BTreeSet<Keep>, findings: &mut Vec<Finding>) {
        let Some(Value::Object(spec)) = body.get_mut("spec") else { return };
        let asleep = spec.insert("suspend".to_owned(), true.into()).is_some_and(|before| before == true);
        if !asleep {
            let message = "is true on the target, or the job would run twice: a commit suspends the source's and resumes this \
                           one, after `apply` that is yours to do; or patch it to false to run both";
            findings.push(Finding::notice("spec.suspend", message));
        }
    }
}
