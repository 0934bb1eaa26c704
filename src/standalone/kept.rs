//! The embedded balancer, whose weight is on disk before requests follow it. IO.
//!
//! A process that ends in between comes back with the weight that was being written, which its driver knows to be its own.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Mutex;

use super::StartError;
use crate::balancer::{Balancer, Side};
use crate::fence::Fence;
use crate::migration::snapshot::PlaneView;
use crate::plane::embedded::Embedded;
use crate::plane::sheet::Sheet;
use crate::plane::{Plane, PlaneError};
use crate::policy::Weight;

/// What survives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Remembered {
    pub weight: Weight,
    pub source_drained: bool,
}

/// What was kept; nothing yet where there is no file.
pub(super) fn read(path: &Path) -> Result<Remembered, StartError> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map_err(|_| StartError::Kept(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Remembered::default()),
        Err(error) => Err(StartError::at(path.display().to_string())(error)),
    }
}

/// As a whole, and on the disk itself.
fn write(path: &Path, remembered: Remembered) -> io::Result<()> {
    let partial = path.with_extension("partial");
    let mut file = File::create(&partial)?;
    file.write_all(&serde_json::to_vec(&remembered)?)?;
    file.sync_all()?;
    fs::rename(&partial, path)?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    File::open(directory)?.sync_all()
}

/// A balancer that remembers.
pub(super) struct Kept {
    balancer: Balancer,
    plane: Embedded,
    path: PathBuf,
    /// One write at a time.
    writing: Mutex<()>,
}

impl Kept {
    pub fn new(balancer: Balancer, path: PathBuf) -> Self {
        Self { plane: Embedded::new(balancer.clone()), balancer, path, writing: Mutex::new(()) }
    }

    fn now(&self) -> Remembered {
        Remembered { weight: self.balancer.weight(), source_drained: self.balancer.is_drained(Side::Source) }
    }

    fn keep(&self, remembered: Remembered) -> Result<(), PlaneError> {
        write(&self.path, remembered).map_err(|error| PlaneError::Refused {
            command: format!("keep the weight in {}", self.path.display()),
            answer: error.to_string(),
        })
    }
}

#[async_trait]
impl Plane for Kept {
    fn sheet(&self) -> Sheet {
        self.plane.sheet()
    }

    async fn observe(&self) -> Result<PlaneView, PlaneError> {
        self.plane.observe().await
    }

    fn propose(&self, view: &PlaneView, weight: Weight) -> Result<(), PlaneError> {
        self.plane.propose(view, weight)
    }

    async fn shift(&self, fence: &Fence, from: Weight, to: Weight, origin: &Value) -> Result<(), PlaneError> {
        let _writing = self.writing.lock().await;
        let now = self.now();
        if !now.weight.is_between(from, to) {
            return Err(PlaneError::Changed { from, to, observed: now.weight });
        }
        self.keep(Remembered { weight: to, ..now })?;
        self.plane.shift(fence, from, to, origin).await
    }

    async fn restore(&self, fence: &Fence, setting: &Value) -> Result<(), PlaneError> {
        let _writing = self.writing.lock().await;
        let weight = crate::plane::recorded(setting)?;
        self.keep(Remembered { weight, source_drained: false })?;
        self.plane.restore(fence, setting).await
    }

    async fn drain_source(&self, fence: &Fence) -> Result<(), PlaneError> {
        let _writing = self.writing.lock().await;
        self.keep(Remembered { source_drained: true, ..self.now() })?;
        self.plane.drain_source(fence).await
    }
}
