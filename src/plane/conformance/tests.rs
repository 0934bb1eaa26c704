//! The suite on planes of this process, and on planes that are wrong in every way it looks for.

use std::sync::Arc;
use std::time::Duration;

use super::inside::Balanced;
use super::*;
use crate::plane::memory::Memory;

/// A way in which a plane can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// A request of every hundred goes to the target, whatever the weight.
    Leaks,
    /// It shows the weight and serves one percent more.
    Off,
    /// It counts each request twice.
    Miscounts,
    /// It loses every request while the weight is 50 %.
    Loses,
    /// It follows a write one request late.
    Lags,
    /// It passes through 100 % on its way.
    Overshoots,
    /// A repeated write moves it further.
    Creeps,
    /// It does not look before it writes.
    Overwrites,
    /// It asks no fence.
    Unfenced,
    /// It restores nearly everything.
    Forgets,
    /// It writes what is not ours.
    Meddles,
    /// A drained side takes requests all the same.
    Leaves,
    /// What is in flight is never seen to end.
    Sticks,
}

/// A plane in memory with a fault.
#[derive(Clone)]
struct Faulty {
    memory: Memory,
    others: Arc<std::sync::Mutex<String>>,
    fault: Fault,
    asked: Arc<std::sync::atomic::AtomicU64>,
    lag: Arc<std::sync::atomic::AtomicBool>,
}

impl Faulty {
    fn new(fault: Fault) -> Self {
        let others = Arc::new(std::sync::Mutex::new("theirs".to_owned()));
        Self { memory: Memory::default(), others, fault, asked: Arc::default(), lag: Arc::default() }
    }

    fn fence<'f>(&self, fence: &'f Fence, open: &'f Fence) -> &'f Fence {
        if self.fault == Fault::Unfenced { open } else { fence }
    }
}

#[async_trait]
impl Plane for Faulty {
    fn sheet(&self) -> Sheet {
        self.memory.sheet()
    }

    async fn observe(&self) -> Result<PlaneView, PlaneError> {
        let mut view = self.memory.observe().await?;
        let counters = [&mut view.source.counters, &mut view.target.counters];
        match self.fault {
            Fault::Miscounts => counters.into_iter().flatten().for_each(|counters| counters.requests *= 2),
            Fault::Sticks => view.source.in_flight += 1,
            _ => {}
        }
        Ok(view)
    }

    fn propose(&self, view: &PlaneView, weight: Weight) -> Result<(), PlaneError> {
        self.memory.propose(view, weight)
    }

    async fn shift(
        &self,
        fence: &Fence,
        from: Weight,
        to: Weight,
        origin: &serde_json::Value,
    ) -> Result<(), PlaneError> {
        let open = Fence::lock();
        match self.fault {
            Fault::Meddles => self.others.lock().unwrap().push('!'),
            Fault::Lags => self.lag.store(true, std::sync::atomic::Ordering::SeqCst),
            Fault::Overshoots => {
                self.memory.drift(Weight::FULL);
                tokio::time::sleep(Duration::from_millis(5)).await;
                self.memory.drift(to);
            }
            Fault::Overwrites => self.memory.drift(to),
            Fault::Creeps => {
                let now = self.memory.observe().await?.weight;
                let further = Weight::from_basis_points(now.basis_points() + 1).unwrap_or(now);
                if now == to {
                    self.memory.drift(further);
                    return Ok(());
                }
            }
            _ => {}
        }
        self.memory.shift(self.fence(fence, &open), from, to, origin).await
    }

    async fn restore(&self, fence: &Fence, setting: &serde_json::Value) -> Result<(), PlaneError> {
        let open = Fence::lock();
        self.memory.restore(self.fence(fence, &open), setting).await?;
        if self.fault == Fault::Forgets {
            self.memory.drift(Weight::from_basis_points(1).unwrap());
        }
        Ok(())
    }

    async fn drain_source(&self, fence: &Fence) -> Result<(), PlaneError> {
        let open = Fence::lock();
        let drained = self.memory.drain_source(self.fence(fence, &open)).await;
        if self.fault == Fault::Leaves {
            self.memory.admit();
            self.memory.drift(Weight::HALF);
        }
        drained
    }
}

/// A session of a plane in memory; it is gone with its drop, and its request with it.
struct Session(Faulty);

impl Session {
    fn begin(&self) -> Side {
        use std::sync::atomic::Ordering::SeqCst;
        let Self(Faulty { memory, fault, asked, lag, .. }) = self;
        let turn = asked.fetch_add(1, SeqCst);
        let side = memory.begin();
        match fault {
            Fault::Leaks if turn.is_multiple_of(100) => Side::Target,
            Fault::Off if turn.is_multiple_of(50) => side.other(),
            Fault::Lags if lag.swap(false, SeqCst) => side.other(),
            _ => side,
        }
    }
}

#[async_trait]
impl Client for Session {
    async fn ask(&mut self) -> Option<Side> {
        tokio::task::yield_now().await;
        let side = self.begin();
        self.0.memory.done(side);
        let half = self.0.memory.observe().await.unwrap().weight == Weight::HALF;
        (self.0.fault != Fault::Loses || !half).then_some(side)
    }

    async fn linger(&mut self) -> Result<Option<Side>, Beyond> {
        let side = self.begin();
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.0.memory.done(side);
        Ok(Some(side))
    }
}

#[async_trait]
impl Ground for Faulty {
    fn driver(&self) -> Box<dyn Plane> {
        Box::new(self.clone())
    }

    fn client(&self, _: bool) -> Box<dyn Client> {
        Box::new(Session(self.clone()))
    }

    async fn admit(&self) -> Result<(), Beyond> {
        self.memory.admit();
        Ok(())
    }

    async fn meddle(&self, to: Weight) -> Result<(), Beyond> {
        self.memory.meddle(to).await
    }

    async fn restart(&self) -> Result<(), Beyond> {
        Err(Beyond("it is a number"))
    }

    async fn others(&self) -> Result<Option<String>, Beyond> {
        Ok(Some(self.others.lock().unwrap().clone()))
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

async fn failing(fault: Fault) -> Vec<Property> {
    let examined = examine(&Faulty::new(fault), &Property::ALL, Effort::SHORT).await.unwrap();
    let failed = examined.into_iter().filter(|(_, verdict)| matches!(verdict, Verdict::Fails(_)));
    failed.map(|(property, _)| property).collect()
}

#[tokio::test]
async fn a_sound_plane_fails_nothing_and_every_fault_is_found_by_its_property() {
    for (fault, property) in [
        (Fault::Leaks, Property::Zero),
        (Fault::Off, Property::Share),
        (Fault::Miscounts, Property::Share),
        (Fault::Loses, Property::Lossless),
        (Fault::Lags, Property::Follows),
        (Fault::Overshoots, Property::Between),
        (Fault::Creeps, Property::Idempotent),
        (Fault::Overwrites, Property::Drift),
        (Fault::Overwrites, Property::Writers),
        (Fault::Unfenced, Property::Fenced),
        (Fault::Forgets, Property::Restores),
        (Fault::Meddles, Property::Foreign),
        (Fault::Leaves, Property::Drained),
        (Fault::Sticks, Property::Drains),
    ] {
        let failing = failing(fault).await;
        assert!(failing.contains(&property), "{fault:?} is not found by {property:?}, only by {failing:?}");
    }
    assert_eq!(failing(Fault::None).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_balancer_conforms() {
    let (even, uneven) = (Balanced::start(2, 2).await.unwrap(), Balanced::start(1, 3).await.unwrap());
    let mut examined = examine(&even, &Property::ALL, Effort::SHORT).await.unwrap();
    examined.retain(|(property, _)| *property != Property::Sides);
    examined.extend(examine(&uneven, &[Property::Sides], Effort::SHORT).await.unwrap());
    let unheld = examined.iter().filter(|(_, verdict)| !matches!(verdict, Verdict::Yes(_)));
    let unheld: Vec<_> = unheld.map(|(property, verdict)| (*property, verdict.word())).collect();
    let expected =
        [(Property::Foreign, "no"), (Property::Restarted, "no"), (Property::Sessions, "no"), (Property::Errors, "no")];
    assert_eq!(unheld, expected, "{examined:#?}");
}
