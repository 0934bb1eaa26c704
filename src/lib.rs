//! Crossfade moves the traffic of stateless workloads from one Kubernetes cluster to another.

pub mod cluster;
pub mod convert;
pub mod policy;
