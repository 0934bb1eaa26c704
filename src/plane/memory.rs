//! A plane in memory, for tests and for the conformance suite to check itself against.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::sheet::{Affinity, Condition, Connections, InFlight, Known, Resolution, Restart, Sheet, Spread, Zero};
use super::{Plane, PlaneError, recorded};
use crate::balancer::{Side, Split};
use crate::fence::Fence;
use crate::migration::snapshot::{Counters, PlaneView, SideView};
use crate::policy::Weight;

/// What a plane in memory can and cannot do.
pub const SHEET: Sheet = Sheet {
    resolution: Resolution::Every,
    spread: Spread::Turns { within: 1 },
    zero: Zero::Nothing,
    delay: Duration::ZERO,
    connections: Connections::Kept,
    affinity: Affinity::None,
    counts: Known::Yes,
    in_flight: InFlight::Counted,
    condition: Condition::Compared,
    restart: Restart::WithUs,
};

/// A plane that is one number. Copies are the same plane.
#[derive(Debug, Clone)]
pub struct Memory {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    split: Split,
    source_drained: bool,
    source: Counted,
    target: Counted,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counted {
    requests: u64,
    in_flight: u64,
}

impl Inner {
    fn counted(&mut self, side: Side) -> &mut Counted {
        match side {
            Side::Source => &mut self.source,
            Side::Target => &mut self.target,
        }
    }

    fn write(&mut self, weight: Weight) {
        self.split = self.split.with_weight(weight);
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(Weight::ZERO)
    }
}

impl Memory {
    /// A plane at `weight`.
    pub fn new(weight: Weight) -> Self {
        let (source, target) = Default::default();
        let split = Split::new(weight);
        let inner = Inner { split, source_drained: false, source, target };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the weight behind everybody's back.
    pub fn drift(&self, weight: Weight) {
        let mut inner = self.inner();
        inner.split = inner.split.with_weight(weight);
    }

    /// Opens the source again.
    pub fn admit(&self) {
        self.inner().source_drained = false;
    }

    /// Gives a request to a side, which is answering it until [`Self::done`] is called.
    pub fn begin(&self) -> Side {
        let mut inner = self.inner();
        let (mut side, after) = inner.split.next();
        inner.split = after;
        if inner.source_drained {
            side = Side::Target;
        }
        inner.counted(side).requests += 1;
        inner.counted(side).in_flight += 1;
        side
    }

    /// A request was answered.
    pub fn done(&self, side: Side) {
        let mut inner = self.inner();
        let counted = inner.counted(side);
        counted.in_flight = counted.in_flight.saturating_sub(1);
    }
}

#[async_trait]
impl Plane for Memory {
    fn sheet(&self) -> Sheet {
        SHEET
    }

    async fn observe(&self) -> Result<PlaneView, PlaneError> {
        let inner = self.inner();
        let side = |counted: Counted, usable: bool| SideView {
            usable: u32::from(usable),
            in_flight: counted.in_flight,
            counters: Some(Counters { requests: counted.requests, failed: 0 }),
        };
        let weight = inner.split.weight();
        let (source, target) = (side(inner.source, !inner.source_drained), side(inner.target, true));
        Ok(PlaneView { weight, setting: weight.basis_points().into(), source, target })
    }

    fn propose(&self, _: &PlaneView, _: Weight) -> Result<(), PlaneError> {
        Ok(())
    }

    async fn shift(&self, fence: &Fence, from: Weight, to: Weight, _: &serde_json::Value) -> Result<(), PlaneError> {
        let mut inner = self.inner();
        let observed = inner.split.weight();
        if !observed.is_between(from, to) {
            return Err(PlaneError::Changed { from, to, observed });
        }
        fence.check(Duration::ZERO)?;
        inner.write(to);
        Ok(())
    }

    async fn restore(&self, fence: &Fence, setting: &serde_json::Value) -> Result<(), PlaneError> {
        let weight = recorded(setting)?;
        let mut inner = self.inner();
        fence.check(Duration::ZERO)?;
        inner.write(weight);
        Ok(())
    }

    async fn drain_source(&self, fence: &Fence) -> Result<(), PlaneError> {
        fence.check(Duration::ZERO)?;
        self.inner().source_drained = true;
        Ok(())
    }
}
