//! One migration, from taking it over to its end: the loop of `drive` with an object as its memory. IO.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::DynamicObject;
use kube::runtime::reflector;
use tokio::sync::{Semaphore, watch};

use super::accept::Refusal;
use super::health::Health;
use super::home::{Home, Key};
use super::news::News;
use super::reach::Ways;
use super::record::Record;
use crate::act::store::StoreError;
use crate::drive::{Attempt, Driver, Seat, StartError};
use crate::fence::Fence;
use crate::migration::Report;
use crate::migration::snapshot::chain;
use crate::policy::Assignment;

/// What every migration of this process shares.
#[derive(Clone)]
pub struct Wheel {
    /// Where the objects are.
    pub home: Home,
    /// Whether this process may write.
    pub fence: Fence,
    /// The objects as they are watched.
    pub migrations: reflector::Store<DynamicObject>,
    /// The policies likewise.
    pub policies: reflector::Store<DynamicObject>,
    /// What leads to clusters.
    pub ways: Ways,
    /// This process.
    pub identity: String,
    /// Passes at a time.
    pub passes: Arc<Semaphore>,
    /// Where people hear of it.
    pub news: News,
    /// Where machines do.
    pub health: Health,
    /// Whether this process is to end.
    pub stop: watch::Receiver<bool>,
}

/// Why a migration is not driven any more, short of its end.
#[derive(Debug, thiserror::Error)]
pub enum SteerError {
    /// It cannot be carried out as it is.
    #[error("{}", .0.message)]
    Refused(Refusal),
    /// It could not be taken up.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Another process drives it, or this one may not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Wheel {
    /// Drives one migration until it ends, or somebody else does.
    pub async fn steer(mut self, key: Key, about: ObjectReference, assignment: Assignment) -> Result<(), SteerError> {
        let world = self.ways.world(&assignment).await.map_err(SteerError::Refused)?;
        let record = Record::open(&self, key.clone()).await?;
        let Some((record, left, clock)) = record else { return Ok(()) };
        // One that went back comes here only where its specification was changed since.
        let seat = Seat::take(assignment, clock, Box::new(record), left, Attempt::Another).await?;
        let driver = seat.drive(world)?;
        let outcome = self.drive(driver, &key, &about).await;
        self.health.forget(&key);
        outcome
    }

    async fn drive(&mut self, mut driver: Driver, key: &Key, about: &ObjectReference) -> Result<(), SteerError> {
        let mut last: Option<Report> = None;
        let mut told = None;
        while !*self.stop.borrow() {
            let permit = self.passes.acquire().await;
            let pass = driver.pass().await;
            drop(permit);
            let (moved, trouble) = match pass {
                Ok(pass) => {
                    self.news.report(about, last.as_ref(), &pass.report);
                    self.health.told(key, &pass.report);
                    last = Some(pass.report);
                    (pass.moved, pass.unrecorded)
                }
                Err(error) => (false, Some(error)),
            };
            if let Some(error @ (StoreError::Superseded(_) | StoreError::Fenced(_))) = trouble {
                return Err(error.into());
            }
            let trouble = trouble.map(|error| chain(&error));
            if trouble != told {
                trouble.iter().for_each(|error| tracing::warn!(migration = %key, error, "cannot be recorded"));
                told = trouble;
            }
            // The end counts once people can read it.
            if driver.state().phase.is_terminal() && told.is_none() {
                return Ok(());
            }
            if !moved {
                tokio::select! {
                    () = driver.rest() => {}
                    _ = self.stop.changed() => {}
                }
            }
        }
        Ok(())
    }
}
