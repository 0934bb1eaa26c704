//! The demo, as the README's first command starts it.

use std::process::Command;

#[test]
fn the_demo_observes_what_it_claims() {
    let output = Command::new(env!("CARGO_BIN_EXE_crossfade")).args(["demo", "-o", "json"]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    let observed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mirrored = observed["mirrored"].as_array().unwrap();
    for object in
        ["PodDisruptionBudget policy/v1", "Ingress networking.k8s.io/v1", "HorizontalPodAutoscaler autoscaling/v2"]
    {
        assert!(mirrored.iter().any(|found| found == object), "{object} in {mirrored:?}");
    }
    let (fault, repaired) = (&observed["fault"], &observed["repaired"]);
    assert_eq!((&fault["weight"], &fault["cause"]["cause"]), (&2500.into(), &"metricFailed".into()));
    assert!(fault["failed"].as_u64() > Some(0) && fault["failed"].as_u64() < fault["requests"].as_u64());
    assert_eq!((&fault["afterwards"]["green"], &repaired["failed"]), (&0.into(), &0.into()));
    assert_eq!(repaired["afterwards"]["green"], repaired["afterwards"]["requests"]);
    assert_eq!(repaired["sourceReplicas"], 0);
}
