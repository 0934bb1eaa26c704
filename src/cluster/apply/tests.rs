use super::*;

/// The engine runs these on a multi-threaded runtime.
#[allow(dead_code)]
fn futures_can_move_between_threads(cluster: &Cluster, plan: &MirrorPlan, workloads: &crate::policy::Workloads) {
    fn movable<T: Send>(_: T) {}
    movable(compare(cluster, plan));
    movable(apply(cluster, &plan.objects[0]));
    movable(release(cluster, plan.objects[0].object()));
    movable(super::super::inventory(cluster, cluster.served(), workloads));
    movable(super::super::workloads(cluster, &[]));
    movable(Cluster::connect("green", None));
}
