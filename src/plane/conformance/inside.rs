//! The planes of this process, ready to be examined: the one in memory, and the embedded balancer between backends. IO.

use std::io;
use std::time::Duration;

use async_trait::async_trait;

use super::backends::Backends;
use super::{Beyond, Client, Ground, Trouble};
use crate::balancer::{Balancer, Config, HealthCheck, Side};
use crate::plane::Plane;
use crate::plane::embedded::Embedded;
use crate::plane::memory::Memory;
use crate::policy::Weight;

/// How long a lingering request to memory takes.
const LINGER: Duration = Duration::from_millis(100);

#[async_trait]
impl Client for Memory {
    async fn ask(&mut self) -> Option<Side> {
        tokio::task::yield_now().await;
        let side = self.begin();
        self.done(side);
        Some(side)
    }

    async fn linger(&mut self) -> Result<Option<Side>, Beyond> {
        let side = self.begin();
        tokio::time::sleep(LINGER).await;
        self.done(side);
        Ok(Some(side))
    }
}

#[async_trait]
impl Ground for Memory {
    fn driver(&self) -> Box<dyn Plane> {
        Box::new(self.clone())
    }

    fn client(&self, _: bool) -> Box<dyn Client> {
        Box::new(self.clone())
    }

    async fn admit(&self) -> Result<(), Beyond> {
        Memory::admit(self);
        Ok(())
    }

    async fn meddle(&self, to: Weight) -> Result<(), Beyond> {
        self.drift(to);
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
