//! Every wait by its name, its sentence, and whose doing it takes.

use super::*;
use Sort::{Other, Patient, Plane};

fn object(kind: &str, name: &str) -> ObjectRef {
    ObjectRef::new(kind, "shop", name)
}

fn gone(gone: usize) -> WaitingOn {
    let some = ["a", "b"].map(|name| object("ConfigMap", name)).into();
    WaitingOn::ManyGone { gone, all: 9, some }
}

fn failed(failures: u32) -> WaitingOn {
    let (action, error) = ("set edge from 0% to 10%".to_owned(), "refused".to_owned());
    WaitingOn::ActionFailed { action, error, failures, again: noon() }
}

fn noon() -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(12)
}

fn overdue(waiting: WaitingOn) -> WaitingOn {
    WaitingOn::Overdue { deadline: noon(), waiting: Box::new(waiting) }
}

#[test]
fn every_wait_has_a_name_a_sentence_and_somebody_whose_doing_ends_it() {
    use WaitingOn::*;
    let web = || object("Deployment", "web");
    let edge = || Name::new("edge").unwrap();
    let both = || vec![edge(), Name::new("inner").unwrap()];
    let metric = || Name::new("errors").unwrap();
    let why = || "refused".to_owned();
    let (ten, half) = (Weight::percent_saturating(10), Weight::percent_saturating(50));
    let (until, took, deadline) = (noon(), SignedDuration::from_secs(40), SignedDuration::from_secs(30));
    #[rustfmt::skip]
    let rows: Vec<(WaitingOn, &str, &str, Sort)> = vec![
        (Unobserved { what: "the source".into(), why: why() }, "Unobserved", "the source cannot be observed: refused", Other),
        (Blocked { problems: vec!["a".into(), "b".into()] }, "Blocked", "a; b", Other),
        (Mirror { pending: 2, all: 9 }, "Mirror", "2 of 9 objects still to be written", Other),
        (gone(2), "ManyGone",
            "2 of 9 mirrored objects are gone from the source (ConfigMap shop/a, ConfigMap shop/b): approve to delete them on the target \
             too, or bring them back", Patient),
        (gone(3), "ManyGone",
            "3 of 9 mirrored objects are gone from the source (ConfigMap shop/a, ConfigMap shop/b, …): approve to delete them on the \
             target too, or bring them back", Patient),
        (Clearing { left: 3 }, "Clearing", "3 objects that were brought to the target are left there", Other),
        (failed(1), "ActionFailed", "set edge from 0% to 10% failed and is tried again: refused", Other),
        (failed(2), "ActionFailed",
            "set edge from 0% to 10% failed 2 times and is tried again at 1970-01-01T12:00:00Z: refused", Other),
        (overdue(PlaneBackends { plane: edge() }), "Overdue",
            "edge sees no usable backend on the target; this should have ended by 1970-01-01T12:00:00Z", Plane),
        (WorkloadReady { workload: web(), ready: 1, wanted: 4 }, "WorkloadReady",
            "Deployment shop/web has 1 of 4 pods ready on the target", Other),
        (Capacity { workload: web(), weight: half, ready: 1, needed: 2 }, "Capacity",
            "Deployment shop/web needs 2 ready pods on the target to carry 50%, has 1", Other),
        (SourceCapacity { workload: web(), weight: half, ready: 1, needed: 2 }, "SourceCapacity",
            "the source's Deployment shop/web needs 2 ready pods to have all but 50%, has 1", Other),
        (SourceShrank { workload: web(), now: 3, origin: 4 }, "SourceShrank",
            "the source's Deployment shop/web has 3 of the 4 replicas it began with; scale it back to go on", Other),
        (NoWayBack { workload: web(), cause: "errors failed".into() }, "NoWayBack",
            "errors failed; and the source's Deployment shop/web has no ready pod to go back to", Other),
        (PlaneUnreachable { plane: edge(), why: why() }, "PlaneUnreachable", "edge cannot be reached: refused", Plane),
        (PlaneBackends { plane: edge() }, "PlaneBackends", "edge sees no usable backend on the target", Plane),
        (PlaneMoving { plane: edge(), observed: ten, desired: half }, "PlaneMoving", "edge shows 10%, was told 50%", Plane),
        (Drift { plane: edge(), expected: ten, observed: half }, "Drift",
            "edge shows 50% where 10% was left: somebody else changed it", Other),
        (Window { until }, "Window", "the step is judged from 1970-01-01T12:00:00Z on", Other),
        (MetricNoData { metric: metric(), why: why() }, "MetricNoData", "errors has too little evidence: refused", Other),
        (MetricError { metric: metric(), why: why() }, "MetricError", "errors cannot be asked: refused", Other),
        (MetricFailing { metric: metric(), why: why() }, "MetricFailing", "errors fails before the first step: refused", Other),
        (Share { why: why() }, "Share", "measured share: refused", Other),
        (Paused { by: "ada".into() }, "Paused", "paused by ada; resume to go on", Patient),
        (WindowClosed { opens: until }, "WindowClosed", "the policy's windows are closed until 1970-01-01T12:00:00Z", Patient),
        (PauseStep { until: Some(until) }, "PauseStep", "the policy pauses until 1970-01-01T12:00:00Z", Patient),
        (PauseStep { until: None }, "PauseStep", "the policy pauses; resume to go on", Patient),
        (Approval, "Approval", "the policy asks for an approval", Patient),
        (Soak { until }, "Soak", "soaking at 100% until 1970-01-01T12:00:00Z", Patient),
        (Commit, "Commit", "all traffic is on the target; commit to let the source go", Patient),
        (Drill { planes: both() }, "Drill", "a drill: edge, inner on the way to the origin", Other),
        (DrillLate { took, deadline }, "DrillLate",
            "the drill took 40s, a rollback may take 30s; everything is at its origin: approve to go on all the same, or abort", Patient),
        (Drain { plane: edge(), connections: 3 }, "Drain", "3 connections left on edge to the side that is let go", Other),
        (Jobs { left: 2 }, "Jobs", "2 CronJobs are being suspended on the source, then resumed on the target", Other),
        (SourceScaling { workload: web(), left: 2 }, "SourceScaling", "2 pods of the source's Deployment shop/web left", Other),
        (Rollback { planes: both(), via: None }, "Rollback", "edge, inner on the way back to the origin", Other),
        (Rollback { planes: both(), via: Some(ten) }, "Rollback", "edge, inner on the way back to the origin, by way of 10%", Other),
    ];
    for (waiting, reason, told, sort) in rows {
        assert_eq!((waiting.reason(), waiting.to_string().as_str(), waiting.sort()), (reason, told, sort));
        let late = overdue(overdue(waiting.clone()));
        assert_eq!((late.sort(), late.plain()), (sort, waiting.plain()), "it is the same wait, however late");
    }
}

#[test]
fn only_what_ends_by_itself_within_a_pass_or_two_is_brief() {
    let edge = || Name::new("edge").unwrap();
    let planes = || vec![edge()];
    for (waiting, brief) in [
        (WaitingOn::Mirror { pending: 1, all: 2 }, true),
        (WaitingOn::Clearing { left: 1 }, true),
        (WaitingOn::PlaneMoving { plane: edge(), observed: Weight::ZERO, desired: Weight::FULL }, true),
        (WaitingOn::Drain { plane: edge(), connections: 1 }, true),
        (WaitingOn::Drill { planes: planes() }, true),
        (WaitingOn::Jobs { left: 1 }, true),
        (WaitingOn::Rollback { planes: planes(), via: None }, true),
        (WaitingOn::Rollback { planes: planes(), via: Some(Weight::FULL) }, false),
        (WaitingOn::Approval, false),
        (failed(1), false),
        (gone(2), false),
        (overdue(WaitingOn::Jobs { left: 1 }), false),
    ] {
        assert_eq!(waiting.is_brief(), brief, "{waiting}");
    }
}
