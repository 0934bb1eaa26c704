//! One suite that holds every plane to its sheet and to the promises, with real requests. IO.
//!
//! A [`Ground`] is a plane with clients before it and backends behind it. [`examine`] plays every [`Property`] on it and says of
//! each: yes, no (the plane cannot, and its sheet says so), fails, or untried because nobody could do what the check needs. Who
//! answered a request is told by the backends, never by the plane under test. The same suite is run by our tests, by `make planes`
//! and by `crossfade plane verify` for a plane of somebody's own.

pub mod backends;
mod drain;
pub mod front;
pub mod inside;
mod moves;
mod share;
mod writers;

use std::fmt;

use async_trait::async_trait;
use serde::Serialize;

pub use self::front::{Answers, Tunnel};
use super::sheet::Sheet;
use super::{Plane, PlaneError};
use crate::balancer::Side;
use crate::fence::Fence;
use crate::migration::snapshot::{PlaneView, chain};
use crate::policy::Weight;

/// What is asked of a plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Property {
    /// The measured share is the weight.
    Share,
    /// So it is where the sides have different numbers of backends.
    Sides,
    /// At 0 % and 100 % the other side gets not one request.
    Zero,
    /// The first request after a write follows it.
    Follows,
    /// While it moves, it shows no weight outside of the two.
    Between,
    /// No request is lost while it moves.
    Lossless,
    /// A weight that it cannot represent is refused before anything is written.
    Exact,
    /// The same write twice changes nothing the second time.
    Idempotent,
    /// A restored origin is the origin, byte for byte.
    Restores,
    /// Nothing but what is ours is changed.
    Foreign,
    /// What somebody else changed is seen, and not overwritten.
    Drift,
    /// What a restart or a reload changed is seen.
    Restarted,
    /// Of two writers at a time one wins, and the other is told.
    Writers,
    /// Who may not lead any more writes nothing.
    Fenced,
    /// Clients that it keeps on a side stay there until it is drained.
    Sessions,
    /// What is in flight ends well after a drain, kept connections move, and the end is seen.
    Drains,
    /// A WebSocket stays through a shift and a drain, and its end is seen.
    Tunnels,
    /// A drained side gets nothing, even when the other is gone.
    Drained,
    /// Trouble on the way is an error with a meaning.
    Errors,
}

impl Property {
    /// All of them, in the order they are played.
    pub const ALL: [Self; 19] = [
        Self::Share,
        Self::Sides,
        Self::Zero,
        Self::Follows,
        Self::Between,
        Self::Lossless,
        Self::Exact,
        Self::Idempotent,
        Self::Restores,
        Self::Foreign,
        Self::Drift,
        Self::Restarted,
        Self::Writers,
        Self::Fenced,
        Self::Sessions,
        Self::Drains,
        Self::Tunnels,
        Self::Drained,
        Self::Errors,
    ];

    /// The property in a few words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Share => "measured share is the weight",
            Self::Sides => "also with unequal numbers of backends",
            Self::Zero => "0 % and 100 % are exact",
            Self::Follows => "the next request follows a write",
            Self::Between => "moves only between the two weights",
            Self::Lossless => "no request lost while it moves",
            Self::Exact => "what it cannot represent is refused",
            Self::Idempotent => "a repeated write changes nothing",
            Self::Restores => "the origin comes back as it was",
            Self::Foreign => "what is not ours stays, byte for byte",
            Self::Drift => "somebody else's change is seen and kept",
            Self::Restarted => "a restart or reload is seen",
            Self::Writers => "of two writers one wins, one is told",
            Self::Fenced => "a former leader writes nothing",
            Self::Sessions => "kept clients stay until drained",
            Self::Drains => "what is in flight ends well, and is seen to",
            Self::Tunnels => "a WebSocket ends when it likes, and is seen to",
            Self::Drained => "drained means none, come what may",
            Self::Errors => "trouble is an error with a meaning",
        }
    }
}

/// What became of a property on one plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "verdict", content = "why")]
pub enum Verdict {
    /// It holds, and by which numbers.
    Yes(String),
    /// The plane cannot have it, as its sheet says.
    No(String),
    /// It should hold and does not.
    Fails(String),
    /// Nobody could do what the check needs, and what that was.
    Untried(String),
}

impl Verdict {
    /// In one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Yes(_) => "yes",
            Self::No(_) => "no",
            Self::Fails(_) => "FAILS",
            Self::Untried(_) => "untried",
        }
    }

    /// The numbers or the reason.
    pub fn why(&self) -> &str {
        match self {
            Self::Yes(why) | Self::No(why) | Self::Fails(why) | Self::Untried(why) => why,
        }
    }
}

/// What a check ends with instead of a yes.
#[derive(Debug)]
enum Short {
    No(String),
    Fails(String),
    Untried(String),
}

/// What a check comes to: the numbers behind a yes, or less than that.
type Checked = Result<String, Short>;

impl From<PlaneError> for Short {
    fn from(error: PlaneError) -> Self {
        Self::Fails(format!("unexpected: {}", chain(&error)))
    }
}

impl From<Beyond> for Short {
    fn from(Beyond(why): Beyond) -> Self {
        Self::Untried(why.to_owned())
    }
}

fn fails<T>(why: impl Into<String>) -> Result<T, Short> {
    Err(Short::Fails(why.into()))
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), Short> {
    if holds { Ok(()) } else { fails(why()) }
}

/// Something that a ground cannot do, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beyond(pub &'static str);

/// A driver that meets trouble.
pub struct Trouble {
    /// What the trouble is.
    pub what: &'static str,
    /// Who meets it.
    pub plane: Box<dyn Plane>,
    /// What the error must mean, as [`PlaneError::meaning`] says it.
    pub means: &'static str,
}

/// A client of a plane: one session on one connection.
#[async_trait]
pub trait Client: Send {
    /// One request: whose backend answered; `None` where none did, or not well.
    async fn ask(&mut self) -> Option<Side>;

    /// One request whose answer takes long after its beginning; returns when it is whole.
    async fn linger(&mut self) -> Result<Option<Side>, Beyond>;

    /// A connection that is left for WebSocket; `None` where the plane does not let it.
    async fn tunnel(&mut self) -> Result<Option<Tunnel>, Beyond> {
        Err(Beyond("such clients open none"))
    }
}

/// A plane with clients before it and backends behind it.
#[async_trait]
pub trait Ground: Send + Sync {
    /// A driver for the plane, as another process would have one.
    fn driver(&self) -> Box<dyn Plane>;

    /// A new client; one that `keeps` cookies, and what it was told by DNS for as long as it may, is the same session at each request, any
    /// other a new one.
    fn client(&self, keeps: bool) -> Box<dyn Client>;

    /// Opens the source again after a drain, which no driver does.
    async fn admit(&self) -> Result<(), Beyond>;

    /// Changes the weight as another program would, whatever it is now.
    async fn meddle(&self, to: Weight) -> Result<(), Beyond>;

    /// Restarts or reloads the plane; returns when it serves again.
    async fn restart(&self) -> Result<(), Beyond>;

    /// Everything the plane holds that is not the migration's; `None` where it can hold nothing else.
    async fn others(&self) -> Result<Option<String>, Beyond>;

    /// Whether there are backends, and not just a plane that answers for them.
    fn has_backends(&self) -> bool {
        true
    }

    /// Ends all backends of the target; with `back`, starts them again.
    async fn lose_target(&self, back: bool) -> Result<(), Beyond>;

    /// A weight outside of what the plane can represent, where there is one.
    fn too_fine(&self) -> Option<Weight>;

    /// Drivers that meet trouble.
    async fn troubles(&self) -> Result<Vec<Trouble>, Beyond>;
}

/// How thoroughly a plane is examined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Requests at each weight.
    pub requests: u64,
    /// How often a plane is moved up and down again, and four times as often two writers meet.
    pub turns: u32,
    /// Whether the source may be drained: somebody has to open it again.
    pub drain: bool,
}

impl Effort {
    /// As `make planes` does it.
    pub const WHOLE: Self = Self { requests: 20_000, turns: 5, drain: true };
    /// Enough to find what is wrong, in seconds.
    pub const SHORT: Self = Self { requests: 500, turns: 1, drain: true };
}

/// A plane under examination.
struct Run<'g> {
    ground: &'g dyn Ground,
    plane: Box<dyn Plane>,
    sheet: Sheet,
    origin: PlaneView,
    effort: Effort,
    fence: Fence,
}

impl Run<'_> {
    async fn weight(&self) -> Result<Weight, PlaneError> {
        Ok(self.plane.observe().await?.weight)
    }

    /// Brings it to a weight and reads that back.
    async fn go(&self, to: Weight) -> Result<(), Short> {
        let from = self.weight().await?;
        self.plane.shift(&self.fence, from, to, &self.origin.setting).await?;
        let shown = self.weight().await?;
        ensure(shown == to, || format!("brought from {from} to {to}, it shows {shown}"))
    }

    /// The weight itself, or where the plane cannot represent it the nearest one it can.
    async fn nearest(&self, weight: Weight) -> Result<Weight, PlaneError> {
        match self.plane.propose(&self.plane.observe().await?, weight) {
            Ok(()) => Ok(weight),
            Err(PlaneError::NotRepresentable { below, above, .. }) => {
                let near = |end: &Weight| end.basis_points().abs_diff(weight.basis_points());
                // The ends are other properties: nothing is near to them but themselves.
                let inside = [below, above].into_iter().filter(|end| *end != Weight::ZERO && *end != Weight::FULL);
                Ok(inside.min_by_key(near).unwrap_or(below))
            }
            Err(error) => Err(error),
        }
    }

    /// Puts everything back to where it was found, as far as a driver can.
    async fn home(&self) -> Result<(), PlaneError> {
        self.plane.restore(&self.fence, &self.origin.setting).await
    }

    async fn check(&self, property: Property) -> Checked {
        match property {
            Property::Share => share::share(self).await,
            Property::Sides => share::sides(self).await,
            Property::Zero => share::zero(self).await,
            Property::Follows => moves::follows(self).await,
            Property::Between => moves::between(self).await,
            Property::Lossless => moves::lossless(self).await,
            Property::Exact => writers::exact(self).await,
            Property::Idempotent => writers::idempotent(self).await,
            Property::Restores => writers::restores(self).await,
            Property::Foreign => writers::foreign(self).await,
            Property::Drift => writers::drift(self).await,
            Property::Restarted => share::restarted(self).await,
            Property::Writers => writers::two(self).await,
            Property::Fenced => writers::fenced(self).await,
            Property::Sessions => drain::sessions(self).await,
            Property::Drains => drain::drains(self).await,
            Property::Tunnels => drain::tunnels(self).await,
            Property::Drained => drain::drained(self).await,
            Property::Errors => writers::errors(self).await,
        }
    }
}

/// Plays `properties` on a ground, each from its origin, and leaves it there.
pub async fn examine(
    ground: &dyn Ground,
    properties: &[Property],
    effort: Effort,
) -> Result<Vec<(Property, Verdict)>, PlaneError> {
    let plane = ground.driver();
    // What a sheet says of a plane is by what was last seen there.
    let origin = plane.observe().await?;
    let sheet = plane.sheet();
    let run = Run { ground, plane, sheet, origin, effort, fence: Fence::lock() };
    let mut found = Vec::new();
    for property in properties {
        let verdict = match run.check(*property).await {
            Ok(numbers) => Verdict::Yes(numbers),
            Err(Short::No(why)) => Verdict::No(why),
            Err(Short::Fails(why)) => Verdict::Fails(why),
            Err(Short::Untried(why)) => Verdict::Untried(why),
        };
        found.push((*property, verdict));
        run.home().await?;
    }
    Ok(found)
}

/// What planes came to, side by side: a row a property.
pub struct Matrix<'a>(pub &'a [(&'a str, Vec<(Property, Verdict)>)]);

impl fmt::Display for Matrix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|(name, _)| *name).collect();
        writeln!(f, "| | {} |", names.join(" | "))?;
        writeln!(f, "|---|{}", "---|".repeat(names.len()))?;
        for property in Property::ALL {
            let cell = |found: &[(Property, Verdict)]| {
                let verdict = found.iter().find(|(of, _)| *of == property);
                verdict.map_or("untried", |(_, verdict)| verdict.word()).to_owned()
            };
            let cells: Vec<String> = self.0.iter().map(|(_, found)| cell(found)).collect();
            writeln!(f, "| {} | {} |", property.title(), cells.join(" | "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
