//! Crossfade moves the traffic of stateless workloads from one Kubernetes cluster to another.

pub mod balancer;
pub mod cluster;
pub mod embedded;
pub mod listener;
pub mod policy;
