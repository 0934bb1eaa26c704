//! A plane in memory, for tests and for the conformance suite to check itself against.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{Plane, PlaneError};
use crate::fence::Fence;
use crate::migration::snapshot::{Counters, PlaneView, SideView};
use crate::policy::Weight;

/// A plane that is one number.
#[derive(Debug, Default)]
pub struct Memory {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    weight: Weight,
    source_drained: bool,
    writes: Vec<Weight>,
}

impl Memory {
    /// A plane at `weight`.
    pub fn new(weight: Weight) -> Self {
        Self { inner: Mutex::new(Inner { weight, ..Inner::default() }) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every weight ever written, in order.
    pub fn writes(&self) -> Vec<Weight> {
        self.inner().writes.clone()
    }

    /// Changes the weight behind everybody's back.
    pub fn drift(&self, weight: Weight) {
        self.inner().weight = weight;
    }
}

#[async_trait]
impl Plane for Memory {
    async fn observe(&self) -> Result<PlaneView, PlaneError> {
        let inner = self.inner();
        let side = SideView { usable: 1, in_flight: 0, counters: Some(Counters::default()) };
        let source = SideView { usable: u32::from(!inner.source_drained), ..side };
        Ok(PlaneView { weight: inner.weight, setting: inner.weight.basis_points().into(), source, target: side })
    }

    fn propose(&self, _: &PlaneView, _: Weight) -> Result<(), PlaneError> {
        Ok(())
    }

    async fn shift(&self, fence: &Fence, from: Weight, to: Weight, _: &serde_json::Value) -> Result<(), PlaneError> {
        let mut inner = self.inner();
        let observed = inner.weight;
        if !observed.is_between(from, to) {
            return Err(PlaneError::Changed { from, to, observed });
        }
        fence.check(Duration::ZERO)?;
        inner.weight = to;
        inner.writes.push(to);
        Ok(())
    }

    async fn restore(&self, fence: &Fence, setting: &serde_json::Value) -> Result<(), PlaneError> {
        let weight = serde_json::from_value(setting.clone());
        let weight: Weight = weight.map_err(|_| PlaneError::Malformed { what: "the recorded setting".to_owned() })?;
        let mut inner = self.inner();
        fence.check(Duration::ZERO)?;
        inner.weight = weight;
        inner.writes.push(weight);
        Ok(())
    }

    async fn drain_source(&self, fence: &Fence) -> Result<(), PlaneError> {
        fence.check(Duration::ZERO)?;
        self.inner().source_drained = true;
        Ok(())
    }
}
