//! CronJob of `batch/v1beta1` and `batch/v2alpha1` → `batch/v1`. PURE.
//!
//! Shape and defaults are the same. A time zone inside the schedule was never official, worked by accident, and is refused now.

use super::draft::Draft;

/// From either old version.
pub fn from_beta(job: &mut Draft<'_>) {
    job.nested("spec", |spec| {
        let zoned = spec
            .peek("schedule")
            .and_then(|schedule| schedule.as_str())
            .is_some_and(|schedule| schedule.contains("TZ"));
        if zoned {
            spec.blocks("schedule", "names a time zone, which batch/v1 refuses here: write it into timeZone");
        }
        spec.carry(&["schedule", "timeZone", "startingDeadlineSeconds", "concurrencyPolicy", "suspend", "jobTemplate"]);
        spec.carry(&["successfulJobsHistoryLimit", "failedJobsHistoryLimit"]);
    });
}
