//! Crossfade moves the traffic of stateless workloads from one Kubernetes cluster to another, and back by itself.
//!
//! # Shape
//!
//! One pass, again and again, for each migration:
//!
//! ```text
//!  clusters ┐                                                          ┌ clusters
//!  planes   ├─▶ observe ─▶ Snapshot ─▶ decide ─▶ Decision ─▶ act ─────▶┤ planes
//!  metrics  ┘     IO                    PURE        │         IO       └
//!                                                   └─▶ record (journal, report)
//! ```
//!
//! - [`policy`] reads what an operator wrote and refuses what is wrong, all of it at once. PURE.
//! - [`migration`] is the heart: the state, what can be observed, and [`migration::decide()`]. PURE.
//! - [`gate`] says what the numbers of a snapshot mean. PURE.
//! - [`convert`] turns objects of old API versions into new ones. PURE.
//! - [`observe`] looks at the world; what cannot be seen is unknown, never healthy.
//! - [`act`] remembers intents and outcomes, and carries actions out.
//! - [`cluster`] reads and writes Kubernetes; [`plane`] reads and writes whatever splits traffic; [`analysis`] asks for numbers.
//! - [`drive`] makes passes of all this, behind a [`fence`], for one migration or, in [`controller`], for many; [`cli`] is how
//!   people meet it.
//! - [`telemetry`] is what machines are told of all this.
//! - [`balancer`] and [`embedded`] are a balancer and clusters inside this process; [`demo`] shows the whole with them.
//!
//! PURE modules read no clock, file, socket or environment and import no module that does; a test holds them to it. Time is a
//! field of the snapshot, effects are data, and everything a crash must not lose is on disk before it is acted upon.

pub mod act;
pub mod analysis;
pub mod assess;
pub mod balancer;
pub mod cli;
pub mod cluster;
pub mod controller;
pub mod convert;
pub mod demo;
pub mod drive;
pub mod embedded;
pub mod fence;
pub mod gate;
mod http;
pub mod listener;
pub mod migration;
pub mod observe;
pub mod plan;
pub mod plane;
pub mod policy;
pub mod simulate;
pub mod standalone;
pub mod telemetry;
