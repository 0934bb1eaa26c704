//! Crossfade moves the traffic of stateless workloads from one Kubernetes cluster to another.

pub mod act;
pub mod analysis;
pub mod cli;
pub mod cluster;
pub mod convert;
pub mod drive;
pub mod gate;
pub mod migration;
pub mod observe;
pub mod plane;
pub mod policy;
