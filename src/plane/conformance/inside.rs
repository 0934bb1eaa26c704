//! The planes of this process, ready to be examined: the one in memory, and the embedded balancer between backends. IO.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::backends::Backends;
use super::{Beyond, Client, Ground, Trouble};
use crate::balancer::{Balancer, Config, HealthCheck, Side};
use crate::fence::Fence;
use crate::migration::snapshot::PlaneView;
use crate::plane::embedded::Embedded;
use crate::plane::memory::Memory;
use crate::plane::sheet::Sheet;
use crate::plane::{Plane, PlaneError};
use crate::policy::Weight;

/// How long a lingering request to memory takes.
const LINGER: Duration = Duration::from_millis(100);

/// A plane in memory, and clients that ask it directly.
#[derive(Clone)]
pub struct Remembered(pub Arc<Memory>);

#[async_trait]
impl Plane for Remembered {
    fn sheet(&self) -> Sheet {
        self.0.sheet()
    }

    async fn observe(&self) -> Result<PlaneView, PlaneError> {
        self.0.observe().await
    }

    fn propose(&self, view: &PlaneView, weight: Weight) -> Result<(), PlaneError> {
        self.0.propose(view, weight)
    }

    async fn shift(
        &self,
        fence: &Fence,
        from: Weight,
        to: Weight,
        origin: &serde_json::Value,
    ) -> Result<(), PlaneError> {
        self.0.shift(fence, from, to, origin).await
    }

    async fn restore(&self, fence: &Fence, setting: &serde_json::Value) -> Result<(), PlaneError> {
        self.0.restore(fence, setting).await
    }

    async fn drain_source(&self, fence: &Fence) -> Result<(), PlaneError> {
        self.0.drain_source(fence).await
    }
}

#[async_trait]
impl Client for Remembered {
    async fn ask(&mut self) -> Option<Side> {
        tokio::task::yield_now().await;
        let side = self.0.begin();
        self.0.done(side);
        Some(side)
    }

    async fn linger(&mut self) -> Result<Option<Side>, Beyond> {
        let side = self.0.begin();
        tokio::time::sleep(LINGER).await;
        self.0.done(side);
        Ok(Some(side))
    }
}

#[async_trait]
impl Ground for Remembered {
    fn driver(&self) -> Box<dyn Plane> {
        Box::new(self.clone())
    }

    fn client(&self, _: bool) -> Box<dyn Client> {
        Box::new(self.clone())
    }

    async fn admit(&self) -> Result<(), Beyond> {
        self.0.admit();
        Ok(())
    }

    async fn meddle(&self, to: Weight) -> Result<(), Beyond> {
        self.0.drift(to);
        Ok(())
    }

    async fn restart(&self) -> Result<(), Beyond> {
        Err(Beyond("it ends with this process"))
    }

    async fn others(&self) -> Result<Option<String>, Beyond> {
        Ok(None)
    }

    fn has_backends(&self) -> bool {
        false
    }

    async fn lose_target(&self, _: bool) -> Result<(), Beyond> {
        Err(Beyond("it has no backends"))
    }

    fn too_fine(&self) -> Option<Weight> {
        None
    }

    async fn troubles(&self) -> Result<Vec<Trouble>, Beyond> {
        Ok(Vec::new())
    }
}

/// The embedded balancer between backends on loopback.
pub struct Balanced {
    balancer: Balancer,
    backends: Backends,
}

impl Balanced {
    /// Starts both, with so many backends on each side, all of them up.
    pub async fn start(source: usize, target: usize) -> io::Result<Self> {
        let health = HealthCheck { interval: Duration::from_millis(20), rise: 1, ..HealthCheck::default() };
        let config = Config { health, ..Config::new(([127, 0, 0, 1], 0).into()) };
        let (balancer, backends) = (Balancer::start(config).await?, Backends::start(source, target).await?);
        for (side, count) in [(Side::Source, source), (Side::Target, target)] {
            balancer.set_backends(side, backends.addresses(side));
            balancer.until_healthy(side, count).await;
        }
        Ok(Self { balancer, backends })
    }
}

#[async_trait]
impl Ground for Balanced {
    fn driver(&self) -> Box<dyn Plane> {
        Box::new(Embedded::new(self.balancer.clone()))
    }

    fn client(&self, keeps: bool) -> Box<dyn Client> {
        Backends::front(self.balancer.address()).client(keeps)
    }

    async fn admit(&self) -> Result<(), Beyond> {
        self.balancer.admit(Side::Source);
        Ok(())
    }

    async fn meddle(&self, to: Weight) -> Result<(), Beyond> {
        let changed = self.balancer.set_weight(self.balancer.weight(), to);
        changed.map_err(|_| Beyond("a third one changed it at the same time"))
    }

    async fn restart(&self) -> Result<(), Beyond> {
        Err(Beyond("it ends with this process"))
    }

    async fn others(&self) -> Result<Option<String>, Beyond> {
        Ok(None)
    }

    async fn lose_target(&self, back: bool) -> Result<(), Beyond> {
        let target = Side::Target;
        if back {
            self.backends.restart(target).await.map_err(|_| Beyond("the target's ports were taken meanwhile"))?;
            self.balancer.until_healthy(target, self.backends.addresses(target).len()).await;
        } else {
            self.backends.stop(target).await;
        }
        Ok(())
    }

    fn too_fine(&self) -> Option<Weight> {
        None
    }

    async fn troubles(&self) -> Result<Vec<Trouble>, Beyond> {
        Ok(Vec::new())
    }
}
