//! Planes: whatever splits traffic between source and target.
//!
//! A driver is five verbs behind one trait, a folder, a variant of `DriverSpec` and a line in `connect`. It refuses to round:
//! a weight the plane cannot represent is an error before the first write. Reading back is `observe`; no driver trusts the
//! answer to its own write. A write asks the `fence` it is handed as its last act before it is sent, with everything that may take time,
//! such as connecting, behind it.

pub mod balancer;
pub mod conformance;
pub mod contract;
pub mod dns;
pub mod embedded;
pub mod envoy;
pub mod exec;
pub mod haproxy;
pub mod memory;
pub mod nginx;
mod question;
mod replace;
pub mod sheet;
pub mod webhook;

use async_trait::async_trait;
use serde::de::DeserializeOwned;

use self::sheet::Sheet;
use crate::fence::{Fence, Fenced};
use crate::migration::snapshot::PlaneView;
use crate::policy::{DriverSpec, PlaneSpec, Weight};

/// What can be wrong with a plane, by meaning.
#[derive(Debug, thiserror::Error)]
pub enum PlaneError {
    /// Nobody answers. Worth another try.
    #[error("{address} cannot be reached")]
    Unreachable {
        /// Where it should be.
        address: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It did not answer in time. Worth another try.
    #[error("{address} did not answer within {seconds} s")]
    TimedOut {
        /// Where it is.
        address: String,
        /// How long was waited, in seconds.
        seconds: u64,
    },
    /// Something the migration names is not there.
    #[error("{what} does not exist")]
    NotFound {
        /// What.
        what: String,
    },
    /// It answered and said no.
    #[error("{command:?} was refused: {answer}")]
    Refused {
        /// What was asked.
        command: String,
        /// What it said.
        answer: String,
    },
    /// It answered something that cannot be read.
    #[error("cannot read {what}")]
    Malformed {
        /// What.
        what: String,
    },
    /// The weight is finer than the plane.
    #[error("{weight} cannot be represented; the nearest are {below} and {above}")]
    NotRepresentable {
        /// The weight.
        weight: Weight,
        /// The nearest one below.
        below: Weight,
        /// The nearest one above.
        above: Weight,
    },
    /// Something on it takes traffic and belongs to neither side.
    #[error("{what} takes traffic and is on neither side")]
    Stranger {
        /// What.
        what: String,
    },
    /// Clients may go by it for longer than anybody may wait.
    #[error(
        "{what} may be remembered for {seconds} s, more than the {most} s of maxTtl: \
         lower its TTL, wait {seconds} s, and begin then"
    )]
    Remembered {
        /// What.
        what: String,
        /// For how long, in seconds.
        seconds: u32,
        /// The most that is allowed, in seconds.
        most: u32,
    },
    /// Somebody else changed it since it was read.
    #[error("it shows {observed}, between neither {from} nor {to}")]
    Changed {
        /// The weight expected.
        from: Weight,
        /// The weight wanted.
        to: Weight,
        /// The weight seen.
        observed: Weight,
    },
    /// Somebody else may be writing by now.
    #[error(transparent)]
    Fenced(#[from] Fenced),
}

impl PlaneError {
    /// What it means, in one or two words.
    pub fn meaning(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::TimedOut { .. } => "timed out",
            Self::NotFound { .. } => "not found",
            Self::Refused { .. } => "refused",
            Self::Malformed { .. } => "malformed",
            Self::NotRepresentable { .. } => "not representable",
            Self::Stranger { .. } => "stranger",
            Self::Remembered { .. } => "remembered too long",
            Self::Changed { .. } => "changed",
            Self::Fenced(_) => "fenced",
        }
    }

    /// Whether waiting will not mend it: the plane is not as the migration describes it.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::NotFound { .. } | Self::NotRepresentable { .. } | Self::Stranger { .. } | Self::Remembered { .. } => {
                true
            }
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Refused { .. } => false,
            Self::Malformed { .. } | Self::Changed { .. } | Self::Fenced(_) => false,
        }
    }
}

/// Something that splits traffic between two sides.
#[async_trait]
pub trait Plane: Send + Sync {
    /// What it can and cannot do.
    fn sheet(&self) -> Sheet;

    /// What it reports of itself, now.
    async fn observe(&self) -> Result<PlaneView, PlaneError>;

    /// Whether `weight` can be represented exactly, given what was observed. Pure.
    fn propose(&self, view: &PlaneView, weight: Weight) -> Result<(), PlaneError>;

    /// The setting that `observe` would report if nobody had given anything on it a weight, for asking `propose` beforehand;
    /// null where that does not ask for a setting. Pure.
    fn untouched(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// Brings it to `to`, if it shows `from` or something on the way there. Every value it shows meanwhile lies between
    /// the two. `origin` is the setting `observe` reported before the first write: whatever a write that was cut short left
    /// behind, the same `to` means the same setting. Idempotent.
    async fn shift(
        &self,
        fence: &Fence,
        from: Weight,
        to: Weight,
        origin: &serde_json::Value,
    ) -> Result<(), PlaneError>;

    /// Restores a setting that `observe` reported. Idempotent.
    async fn restore(&self, fence: &Fence, setting: &serde_json::Value) -> Result<(), PlaneError>;

    /// Lets no new connection reach the source, whatever its sessions say. Idempotent.
    async fn drain_source(&self, fence: &Fence) -> Result<(), PlaneError>;
}

/// A setting that `observe` reported, in the driver's own form.
pub(crate) fn recorded<T: DeserializeOwned>(setting: &serde_json::Value) -> Result<T, PlaneError> {
    T::deserialize(setting).map_err(|_| PlaneError::Malformed { what: "the recorded setting".to_owned() })
}

/// The sheet of every driver.
pub const SHEETS: [(&str, Sheet); 10] = [
    ("memory", memory::SHEET),
    ("embedded", embedded::SHEET),
    ("balancer", balancer::SHEET),
    ("haproxy", haproxy::SHEET),
    ("nginx", nginx::SHEET),
    ("envoy", envoy::SHEET),
    ("dns", dns::SHEET),
    ("powerdns", dns::powerdns::SHEET),
    ("exec", contract::SHEET),
    ("webhook", contract::SHEET),
];

/// The driver for a plane; `None` for one that only the embedding program can hand over.
pub fn connect(spec: &PlaneSpec) -> Option<Box<dyn Plane>> {
    match &spec.driver {
        DriverSpec::Balancer(spec) => Some(Box::new(balancer::balancer(spec.clone()))),
        DriverSpec::Haproxy(spec) => Some(Box::new(haproxy::Haproxy::new(spec.clone()))),
        DriverSpec::Nginx(spec) => Some(Box::new(nginx::Nginx::new(spec.clone()))),
        DriverSpec::Envoy(spec) => Some(Box::new(envoy::Envoy::new(spec.clone()))),
        DriverSpec::Dns(spec) => Some(dns::connect(spec.clone())),
        DriverSpec::Exec(spec) => Some(Box::new(exec::exec(spec.clone()))),
        DriverSpec::Webhook(spec) => Some(Box::new(webhook::webhook(spec.clone()))),
        DriverSpec::Embedded => None,
    }
}
