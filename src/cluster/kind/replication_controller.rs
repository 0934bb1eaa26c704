//! ReplicationController, which is mirrored as a Deployment. PURE.

use super::{Kind, deployment};

/// The ReplicationController kind.
pub struct ReplicationController;

impl Kind for ReplicationController {
    fn name(&self) -> &'static str {
        "ReplicationController"
    }

    fn versions(&self) -> &'static [&'static str] {
        &["v1"]
    }

    fn becomes(&self) -> Option<&'static dyn Kind> {
        Some(&deployment::Deployment)
    }
}
