//! DNS, by the address records of a name; messages of RFC 2136 write them. PowerDNS, which has weights, is in `powerdns`.
//!
//! Plain DNS has no weights. What it has is a set of addresses, of which a client uses any one, so a share here is a number of
//! addresses: three of the source and one of the target are 25 %. It is exact, and as fine as there are addresses; a share
//! between is refused, and whoever needs 1 % needs 99 addresses of the source in the answer, or a server with weights.
//! Rounding, or writing now this address and now that one, would be a share that nobody can read back. How clients choose is
//! theirs: resolvers turn the answer around, some clients sort it, and whoever asks one resolver shares its draw until the TTL
//! has run out. So the measured share decides, and it needs a query: DNS counts nothing.
//!
//! **Time.** A write is read back from every server named, within moments. But what clients were told before, they go by until
//! its TTL has run out. Until then the plane says so (`InFlight::Remembered`), a step is not done (`observe::in_force`), a drain
//! has not ended, and an abort deletes nothing on the target. A TTL that is longer than the migration allows is refused before the
//! first write, with the advice to lower it first: lowered at the same time as the addresses change, it would help nobody.
//!
//! **Two writers.** A message names the zone's version and all records of the name as they were seen (`update`), so of two
//! writers the second one is told, also one that was frozen in between. What else changes in the zone meanwhile costs a second
//! look, and no more. A message is all or nothing: there is no state in between to see.
//!
//! Ours are the A and AAAA records of one name, and their TTL is kept. Every other name and type stays. An address on neither
//! side is refused: its share would belong to nobody.
//!
//! What zero means: not one of the side's addresses. Whether somebody is behind an address DNS does not know, and connections
//! stay where they were made: to drain a side is to send nobody new there. A zone that is signed `inline` has another version
//! than the one that is updated; so has a name that only a wildcard answers for no records of its own. Either is refused by the
//! first write.
//!
//! Sources: RFC 2136, RFC 8945; tried with BIND 9.18.

mod key;
mod lua;
pub mod powerdns;
mod records;
mod remembered;
mod update;
mod wire;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::try_join_all;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, TSigner};

use self::records::{Records, Sides, addresses, ttl};
use self::remembered::{Former, Remembered, Told};
use self::wire::{Conversation, Names, Shown};
use super::sheet::{Affinity, Condition, Connections, InFlight, Known, Resolution, Restart, Sheet, Spread, Zero};
use super::{Plane, PlaneError, recorded};
use crate::fence::Fence;
use crate::migration::snapshot::{PlaneView, SideView};
use crate::observe::clock::{Clock, Moment};
use crate::policy::{DnsSpec, DnsWriter, UpdateSpec, Weight};

/// What address records can and cannot do.
pub const SHEET: Sheet = Sheet {
    resolution: Resolution::Addresses,
    spread: Spread::Drawn,
    zero: Zero::Nothing,
    delay: Duration::from_secs(30),
    connections: Connections::OnTheirSide,
    affinity: Affinity::None,
    counts: Known::No,
    in_flight: InFlight::Remembered,
    condition: Condition::Compared,
    restart: Restart::Keeps,
};

/// Time in which a message that was sent is taken or never will be: a connection that stands, and one answer.
const WRITE: Duration = Duration::from_secs(3);

/// Longest wait for all servers to show what the primary does. Secondaries are told at once; whoever takes longer is waited for
/// by those who look.
const AGREED: Duration = Duration::from_secs(2);

/// Between two looks at servers that do not agree yet.
const LOOK: Duration = Duration::from_millis(20);

/// How often a write is repeated because something else in the zone changed.
const TRIES: usize = 5;

/// The driver for a name. Contacts nobody.
pub fn connect(spec: DnsSpec) -> Box<dyn Plane> {
    match spec.writer.clone() {
        DnsWriter::Update(update) => Box::new(Dns::new(spec, update)),
        DnsWriter::Powerdns(api) => Box::new(powerdns::Powerdns::new(spec, api)),
    }
}

/// The names of a specification, as messages have them.
fn names(spec: &DnsSpec) -> Result<Names, PlaneError> {
    let name = |text: &str| {
        let name = Name::from_ascii(format!("{text}."));
        name.map_err(|error| PlaneError::Malformed { what: format!("the name {text} ({error})") })
    };
    Ok(Names { zone: name(&spec.zone)?, name: name(&spec.name)? })
}

/// Refuses addresses whose share could not be said, or that are remembered for too long.
fn judge<'a>(
    spec: &DnsSpec,
    sides: &Sides,
    shown: impl Iterator<Item = &'a IpAddr>,
    seconds: u32,
) -> Result<(), PlaneError> {
    let (name, most) = (&spec.name, spec.max_ttl);
    if let Some(stranger) = sides.stranger(shown) {
        return Err(PlaneError::Stranger { what: format!("{stranger}, an address of {name},") });
    }
    if seconds > most {
        return Err(PlaneError::Remembered { what: format!("an address of {name}"), seconds, most });
    }
    Ok(())
}

/// A sheet whose delay is the longest TTL of what is remembered, where anything is known of it.
fn delayed<T: Told>(sheet: Sheet, spec: &DnsSpec, remembered: &Mutex<Remembered<T>>) -> Sheet {
    let longest = remembered.lock().unwrap_or_else(PoisonError::into_inner).longest();
    Sheet { delay: Duration::from_secs(longest.unwrap_or(spec.max_ttl).into()), ..sheet }
}

/// Both sides, by the addresses that are shown and how many of each may be remembered beside them.
///
/// Whether somebody is behind an address is not known here. One of the target can be used at any weight; one of the source that is not
/// shown has been let go.
fn views<'a>(
    sides: &Sides,
    shown: impl Iterator<Item = &'a IpAddr>,
    (source, target): (u64, u64),
) -> (SideView, SideView) {
    let side =
        |usable, in_flight| SideView { usable: u32::try_from(usable).unwrap_or(u32::MAX), in_flight, counters: None };
    let (in_source, _) = sides.count(shown);
    (side(in_source, source), side(sides.target.len() as u64, target))
}

/// A driver for the address records of a name.
#[derive(Debug)]
pub struct Dns {
    spec: DnsSpec,
    update: UpdateSpec,
    sides: Sides,
    clock: Clock,
    remembered: Mutex<Remembered<Records>>,
}

/// All servers at a time.
struct Look {
    /// What the primary shows.
    primary: Shown,
    /// Servers that show something else.
    behind: Vec<SocketAddr>,
    former: Former<Records>,
}

impl Dns {
    /// A driver for the name of `spec`, whose records `update` takes. Contacts nobody.
    pub fn new(spec: DnsSpec, update: UpdateSpec) -> Self {
        let sides = Sides { source: spec.source.clone(), target: spec.target.clone() };
        Self { spec, update, sides, clock: Clock::start(), remembered: Mutex::default() }
    }

    fn primary(&self) -> SocketAddr {
        self.update.server
    }

    async fn signer(&self) -> Result<TSigner, PlaneError> {
        let key = &self.update.key;
        let is_missing = |why: &dyn std::fmt::Display| PlaneError::NotFound {
            what: format!("a key of TSIG in {}, which {why},", key.display()),
        };
        let text = tokio::fs::read_to_string(key).await;
        let text = text.map_err(|error| is_missing(&format!("cannot be read ({error})")))?;
        key::parse(&text).map_err(|why| is_missing(&why))
    }

    /// Looks at every server, all at the same time.
    async fn look(&self) -> Result<Look, PlaneError> {
        let (names, signer) = (names(&self.spec)?, self.signer().await?);
        let primary = self.primary();
        let others = self.spec.servers.iter().copied().filter(|server| *server != primary);
        let asked: Vec<SocketAddr> = std::iter::once(primary).chain(others).collect();
        let looks = asked.iter().map(|server| {
            let (names, signer) = (&names, (*server == primary).then_some(&signer));
            async move { Conversation::open(*server).await?.look(names, signer).await }
        });
        let mut shown = try_join_all(looks).await?;
        let seen: Vec<Records> = shown.iter().map(|shown| shown.records.clone()).collect();
        let behind = asked.iter().zip(&seen).filter(|(_, records)| **records != seen[0]).map(|(server, _)| *server);
        let behind = behind.collect();
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let former = remembered.note(&seen, &seen[0], self.clock.now());
        Ok(Look { primary: shown.swap_remove(0), behind, former })
    }

    /// Refuses records whose share could not be said, or that are remembered for too long.
    fn judge(&self, records: &Records) -> Result<(), PlaneError> {
        let name = &self.spec.name;
        if let Some(family) = self.sides.missing(records) {
            let kind = serde_json::to_value(family).unwrap_or_default();
            return Err(PlaneError::NotFound { what: format!("a record {} of {name}", kind.as_str().unwrap_or("A")) });
        }
        judge(&self.spec, &self.sides, addresses(records), ttl(records))
    }

    /// Brings the records to what `wanted` makes of those that are there, in one message; nothing is sent where they are so
    /// already.
    async fn write(
        &self,
        fence: &Fence,
        wanted: impl Fn(&Records) -> Result<Records, PlaneError>,
    ) -> Result<(), PlaneError> {
        let (names, signer) = (names(&self.spec)?, self.signer().await?);
        let mut last = None;
        for _ in 0..TRIES {
            // Nobody but the primary is asked: a secondary that is away holds up no rollback.
            let mut conversation = Conversation::open(self.primary()).await?;
            let Shown { soa, records } = conversation.look(&names, Some(&signer)).await?;
            let wanted = wanted(&records)?;
            if records == wanted {
                return Ok(());
            }
            if last.as_ref() == Some(&(soa.clone(), records.clone())) {
                let answer = "neither its version nor its records are what it shows: signed inline, or a wildcard";
                return Err(PlaneError::Refused { command: self.command(), answer: answer.to_owned() });
            }
            let message = update::message(&names.zone, &names.name, &soa, &records, &wanted);
            fence.check(WRITE)?;
            let answer = conversation.ask(message.clone(), Some(&signer)).await?;
            match answer.response_code {
                ResponseCode::NoError => {
                    // Whether they do is found by those who look.
                    let _ = self.agreed().await;
                    return Ok(());
                }
                ResponseCode::NXRRSet | ResponseCode::YXRRSet | ResponseCode::NXDomain | ResponseCode::YXDomain => {}
                code @ (ResponseCode::NotAuth | ResponseCode::NotZone) => {
                    return Err(conversation.knows_nothing_of(&names.zone, code));
                }
                code => return Err(conversation.refused(&message, &code.to_string())),
            }
            last = Some((soa, records));
        }
        let answer = format!("the zone changed under each of {TRIES} messages");
        Err(PlaneError::Refused { command: self.command(), answer })
    }

    fn command(&self) -> String {
        format!("update of {} at {}", self.spec.name, self.primary())
    }

    /// Looks until every server shows the same, for a moment.
    async fn agreed(&self) -> Result<Look, PlaneError> {
        let began = Moment::now();
        loop {
            let look = self.look().await?;
            let Some(server) = look.behind.first() else { return Ok(look) };
            if began.elapsed() >= AGREED {
                let (name, primary) = (&self.spec.name, self.primary());
                let what = format!("one answer for {name}: {server} does not show what {primary} does");
                return Err(PlaneError::Malformed { what });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// How many addresses of each side may be remembered beside those that are shown.
    fn remembered(&self, former: &Former<Records>) -> (u64, u64) {
        match former {
            Former::Unknown => self.sides.count(self.spec.source.iter().chain(&self.spec.target)),
            Former::Seen(answers) => self.sides.count(answers.iter().flat_map(addresses)),
        }
    }
}

#[async_trait]
impl Plane for Dns {
    fn sheet(&self) -> Sheet {
        delayed(SHEET, &self.spec, &self.remembered)
    }

    async fn observe(&self) -> Result<PlaneView, PlaneError> {
        let Look { primary: Shown { records, .. }, former, .. } = self.agreed().await?;
        self.judge(&records)?;
        let (source, target) = views(&self.sides, addresses(&records), self.remembered(&former));
        let setting = serde_json::to_value(&records).unwrap_or_default();
        Ok(PlaneView { weight: self.sides.weight(&records), setting, source, target })
    }

    fn propose(&self, _: &PlaneView, weight: Weight) -> Result<(), PlaneError> {
        self.sides.to(weight, &Records::new()).map(|_| ())
    }

    async fn shift(&self, fence: &Fence, from: Weight, to: Weight, _: &serde_json::Value) -> Result<(), PlaneError> {
        let wanted = |records: &Records| {
            self.judge(records)?;
            let wanted = self.sides.to(to, records)?;
            let observed = self.sides.weight(records);
            if observed.is_between(from, to) { Ok(wanted) } else { Err(PlaneError::Changed { from, to, observed }) }
        };
        self.write(fence, wanted).await
    }

    async fn restore(&self, fence: &Fence, setting: &serde_json::Value) -> Result<(), PlaneError> {
        let records: Records = recorded(setting)?;
        self.write(fence, |_| Ok(records.clone())).await
    }

    async fn drain_source(&self, fence: &Fence) -> Result<(), PlaneError> {
        self.write(fence, |records| self.sides.to(Weight::FULL, records)).await
    }
}
