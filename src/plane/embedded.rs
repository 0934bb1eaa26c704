//! The embedded balancer as a plane.
//!
//! It represents every weight, changes it for the next request, and counts. Zero is exact as long as the other side has a
//! backend that is up; draining closes a side to spilled requests too.

use std::time::Duration;

use async_trait::async_trait;

use super::sheet::{Affinity, Condition, Connections, InFlight, Known, Resolution, Restart, Sheet, Spread, Zero};
use super::{Plane, PlaneError, recorded};
use crate::balancer::{Balancer, Side};
use crate::fence::Fence;
use crate::migration::snapshot::{Counters, PlaneView, SideView};
use crate::policy::Weight;

/// What the embedded balancer can and cannot do.
pub const SHEET: Sheet = Sheet {
    resolution: Resolution::Every,
    // `balancer::pick`: at no prefix off by more than one.
    spread: Spread::Turns { within: 1 },
    zero: Zero::UnlessTheOtherIsDown,
    delay: Duration::ZERO,
    connections: Connections::Kept,
    affinity: Affinity::None,
    counts: Known::Yes,
    in_flight: InFlight::Counted,
    condition: Condition::Compared,
    restart: Restart::WithUs,
};

/// A balancer of this process.
#[derive(Debug, Clone)]
pub struct Embedded {
    balancer: Balancer,
}

impl Embedded {
    /// The plane of a balancer.
    pub fn new(balancer: Balancer) -> Self {
        Self { balancer }
    }

    fn side(&self, side: Side) -> SideView {
        let counted = self.balancer.counters(side);
        let usable = if self.balancer.is_drained(side) { 0 } else { counted.healthy };
        SideView {
            usable: u32::try_from(usable).unwrap_or(u32::MAX),
            in_flight: counted.in_flight,
            counters: Some(Counters { requests: counted.requests, failed: counted.failed }),
        }
    }

    fn change(&self, fence: &Fence, from: Weight, to: Weight, observed: Weight) -> Result<(), PlaneError> {
        fence.check(Duration::ZERO)?;
        self.balancer.set_weight(observed, to).map_err(|changed| PlaneError::Changed {
            from,
            to,
            observed: changed.current,
        })
    }
}

#[async_trait]
impl Plane for Embedded {
    fn sheet(&self) -> Sheet {
        SHEET
    }

    async fn observe(&self) -> Result<PlaneView, PlaneError> {
        let weight = self.balancer.weight();
        Ok(PlaneView {
            weight,
            setting: weight.basis_points().into(),
            source: self.side(Side::Source),
            target: self.side(Side::Target),
        })
    }

    fn propose(&self, _: &PlaneView, _: Weight) -> Result<(), PlaneError> {
        Ok(())
    }

    async fn shift(&self, fence: &Fence, from: Weight, to: Weight, _: &serde_json::Value) -> Result<(), PlaneError> {
        let observed = self.balancer.weight();
        if observed.is_between(from, to) {
            self.change(fence, from, to, observed)
        } else {
            Err(PlaneError::Changed { from, to, observed })
        }
    }

    async fn restore(&self, fence: &Fence, setting: &serde_json::Value) -> Result<(), PlaneError> {
        let recorded: Weight = recorded(setting)?;
        let observed = self.balancer.weight();
        self.change(fence, observed, recorded, observed)?;
        self.balancer.admit(Side::Source);
        Ok(())
    }

    async fn drain_source(&self, fence: &Fence) -> Result<(), PlaneError> {
        fence.check(Duration::ZERO)?;
        self.balancer.close(Side::Source);
        Ok(())
    }
}
