//! One of every mirrored kind, from the old server to the new one, under exactly the Roles of `deploy/`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crossfade::cluster::{self, Cluster, Desired, ObjectRef, ObjectState};
use crossfade::policy::{LabelSelector, Name, Workloads};
use tokio::runtime::Runtime;

use super::stage::Lab;

/// Long enough for a handful of pods to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the objects of `kinds-blue.yaml` are cleaned up by.
const LABEL: &str = "part-of=kinds";

/// The objects, as long as the test runs.
struct Kinds<'a>(&'a Lab);

impl<'a> Kinds<'a> {
    fn create(lab: &'a Lab) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/kinds-blue.yaml");
        kubectl(lab, &["--context", "blue-admin", "apply", "--validate=false", "-f", file.to_str().unwrap()]);
        Self(lab)
    }
}

impl Drop for Kinds<'_> {
    fn drop(&mut self) {
        let kinds = "hpa,pdb,service,cronjob,deployment,rc,statefulset,daemonset,networkpolicy,rolebinding,role,quota,limitrange,sa";
        for context in ["blue-admin", "green-admin"] {
            let arguments = ["--context", context, "--namespace", "shop", "delete", kinds, "--selector", LABEL];
            kubectl(self.0, &arguments);
        }
    }
}

fn kubectl(lab: &Lab, arguments: &[&str]) {
    let mut command = Command::new(lab.env("XF_KUBECTL"));
    let output = command.env("KUBECONFIG", lab.env("KUBECONFIG")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_mirrored_kind_arrives_and_is_counted() {
    let lab = Lab::reset();
    let kinds = Kinds::create(&lab);
    let runtime = Runtime::new().unwrap();
    let wait = |cluster: &Cluster, refs: &[ObjectRef]| {
        lab.until(&format!("{refs:?} run on {}", cluster.name()), PATIENCE, || {
            let counts = runtime.block_on(cluster::workloads(cluster, refs)).unwrap();
            (counts.len() == refs.len() && counts.values().all(|count| count.is_complete())).then_some(())
        });
    };
    let kubeconfig = Path::new(lab.env("KUBECONFIG"));
    let (source, target) = runtime.block_on(async {
        tokio::try_join!(Cluster::connect("blue", Some(kubeconfig)), Cluster::connect("green", Some(kubeconfig)))
            .unwrap()
    });
    let selection = Workloads {
        namespaces: vec![Name::new("shop").unwrap()],
        selector: LabelSelector { match_labels: [("part-of".to_owned(), "kinds".to_owned())].into() },
        keep: BTreeSet::new(),
        transforms: Vec::new(),
        waive: BTreeSet::new(),
        maps: Default::default(),
    };
    let plan = runtime.block_on(async {
        let inventory = cluster::inventory(&source, target.served(), &selection).await.unwrap();
        let plan = cluster::mirror(&inventory, target.served(), &selection);
        assert_eq!(plan.blockers().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
        let refused = cluster::rehearse(&target, &plan, &cluster::live(&target, &plan).await.unwrap()).await.unwrap();
        let refused: Vec<_> = refused.iter().filter(|problem| problem.blocks()).map(ToString::to_string).collect();
        assert_eq!(refused, [""; 0]);
        for desired in &plan.objects {
            cluster::apply(&target, desired).await.unwrap();
        }
        let states = cluster::compare(&target, &plan).await.unwrap();
        let differing: Vec<_> = states.iter().filter(|(_, state)| **state != ObjectState::InSync).collect();
        assert!(differing.is_empty(), "{differing:?}");
        plan
    });
    let arrived: BTreeSet<_> = plan.objects.iter().map(|desired| desired.object().kind.as_str()).collect();
    let all = "Namespace ServiceAccount Role RoleBinding LimitRange ResourceQuota NetworkPolicy Service Deployment StatefulSet \
               DaemonSet CronJob PodDisruptionBudget HorizontalPodAutoscaler";
    assert_eq!(arrived, all.split(' ').filter(|kind| !kind.is_empty()).collect());

    let sized: Vec<_> = plan.workloads().cloned().collect();
    let there: Vec<_> = sized.iter().map(|object| plan.on_source(object).clone()).collect();
    assert_eq!(there[0].to_string(), "ReplicationController shop/counter");
    wait(&source, &there);
    wait(&target, &sized);
    // What a commit does, under the same Roles.
    let job = plan.objects.iter().map(Desired::object).find(|object| object.kind == "CronJob").unwrap();
    runtime.block_on(async {
        for workload in &sized {
            cluster::scale_source(&source, workload, &selection, 0).await.unwrap();
        }
        assert!(cluster::resume_target(&source, &target, job, &selection).await.is_err(), "both would run");
        cluster::suspend_source(&source, job, &selection).await.unwrap();
        cluster::resume_target(&source, &target, job, &selection).await.unwrap();
    });
    for (side, asleep) in [("blue", true), ("green", false)] {
        assert_eq!(lab.object(side, "cronjob", &job.name)["spec"]["suspend"], asleep, "{side}");
    }
    wait(&source, &there);
    drop(kinds);
}
