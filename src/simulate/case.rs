//! What a seed means: how things are to begin with, and what goes wrong when. PURE.
//!
//! A case is data, so that it can be told, made shorter and played again. Troubles come where the migration is expected to be
//! busy: a moment is drawn by first drawing a step and then a time within it, so that a soak of a day does not swallow them.

use std::fmt;

use jiff::SignedDuration;

use crate::analysis::random::Random;
use crate::policy::{ShiftPolicy, Step, Weight};

/// Milliseconds since the beginning of a story.
pub type Moment = i64;

/// Later than anything happens.
pub const NEVER: Moment = Moment::MAX / 4;

/// A duration in milliseconds.
pub fn millis(duration: SignedDuration) -> Moment {
    Moment::try_from(duration.as_millis()).unwrap_or(NEVER).min(NEVER)
}

/// Everything a story depends on, besides the files.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Where all of it, and the chance within the story, comes from.
    pub seed: u64,
    /// When it begins, in milliseconds after the midnight, in UTC, before a Thursday.
    pub start: Moment,
    /// How things are to begin with.
    pub setting: Setting,
    /// What goes wrong, in the order of time.
    pub troubles: Vec<Trouble>,
}

/// How things are to begin with.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Pods of the workload on the source: what its traffic needs.
    pub demand: u32,
    /// Requests a second through each plane.
    pub rate: f64,
    /// Fraction of requests that fail on a healthy cluster.
    pub normal_errors: f64,
    /// Until the first pod on the target is ready, in milliseconds.
    pub startup: Moment,
    /// How much later a plane shows what was written to it, in milliseconds.
    pub lag: Moment,
    /// Until the last connection to a drained source ends, in milliseconds.
    pub drain: Moment,
    /// How soon a person does what the migration waits for, in milliseconds.
    pub reaction: Moment,
    /// Whether that person puts a plane back that somebody else changed; if not, the migration is aborted.
    pub mends: bool,
}

/// Something that goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Trouble {
    /// When it begins.
    pub at: Moment,
    /// What it is.
    pub kind: Kind,
}

/// What can go wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// The target fails requests once any plane is at `from` or above.
    TargetFails {
        /// From which weight on.
        from: Weight,
        /// The fraction that fails.
        rate: f64,
        /// For how long.
        lasts: Moment,
    },
    /// Both sides fail the same fraction: something behind them is broken.
    BothFail {
        /// The fraction that fails.
        rate: f64,
        /// For how long.
        lasts: Moment,
    },
    /// Pods of the target are not ready any more.
    PodsLost {
        /// How many stay.
        left: u32,
        /// For how long.
        lasts: Moment,
    },
    /// A cluster's API server is away.
    ClusterAway {
        /// Whether it is the target's.
        target: bool,
        /// For how long.
        lasts: Moment,
    },
    /// A plane cannot be reached; it goes on serving.
    PlaneAway {
        /// Its place in the order of names.
        plane: usize,
        /// For how long.
        lasts: Moment,
    },
    /// Writes to planes are carried out and their answers are lost.
    AnswersLost {
        /// For how long.
        lasts: Moment,
    },
    /// Writes are refused.
    WritesRefused {
        /// For how long.
        lasts: Moment,
    },
    /// Somebody else sets a plane's weight.
    Drift {
        /// Its place in the order of names.
        plane: usize,
        /// To what.
        to: Weight,
    },
    /// A plane restarts with the weights of its configuration, which are the origin's.
    PlaneRestarts {
        /// Its place in the order of names.
        plane: usize,
    },
    /// Prometheus does not tell how things are.
    Prometheus {
        /// What it does instead.
        lie: Lie,
        /// For how long.
        lasts: Moment,
    },
    /// Somebody changes an object on the source.
    SourceEdited,
    /// The controller is killed, and another one takes over.
    Crash {
        /// Where in a pass.
        point: CrashPoint,
        /// For how long nobody is in charge.
        down: Moment,
    },
    /// The controller is frozen. Past its lease another one takes over, and it wakes up to a fence.
    Freeze {
        /// Where in a pass.
        point: CrashPoint,
        /// For how long.
        lasts: Moment,
    },
    /// The disk with the journal is full.
    DiskFull {
        /// For how long.
        lasts: Moment,
    },
    /// A person asks for something nobody waited for.
    Asks(Wish),
}

/// What Prometheus does instead of answering truly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// It does not answer.
    Away,
    /// It has no series.
    Empty,
    /// It has no series of the target.
    Half,
    /// It goes on telling what was.
    Stale,
}

/// Where in a pass a controller is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    /// After deciding, before anything is on disk.
    BeforeRecord,
    /// The state is on disk, nobody was answered, nothing was done.
    AfterRecord,
    /// Everybody was answered, nothing was done.
    AfterAnswers,
    /// So many actions were carried out, the others were not.
    AfterActions(usize),
}

/// What a person can ask for, unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Pause.
    Pause,
    /// Resume.
    Resume,
    /// Approve.
    Approve,
    /// Abort.
    Abort,
    /// Commit.
    Commit,
}

/// What shall happen, where a person wants to know about something in particular.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scenario {
    /// When it begins; see [`Case::start`] and [`time_of_week`].
    pub at: Moment,
    /// The target fails a fifth of its requests from this weight on.
    pub fail_at: Option<Weight>,
    /// Prometheus is away for so long, at some time while traffic moves.
    pub prometheus_away: Option<SignedDuration>,
}

impl Scenario {
    /// Whether anything in particular is asked for.
    pub fn is_any(&self) -> bool {
        self.fail_at.is_some() || self.prometheus_away.is_some()
    }
}

impl Case {
    /// The case of a seed under a policy of a migration with so many planes.
    pub fn draw(seed: u64, policy: &ShiftPolicy, planes: usize, scenario: &Scenario) -> Self {
        let mut random = Random::new(seed);
        let setting = Setting::draw(&mut random);
        let mut draw = Draw { timeline: timeline(scenario.at, policy, &setting), policy, planes, random };
        let mut troubles = if scenario.is_any() { draw.particular(scenario) } else { draw.any(&setting) };
        troubles.sort_by_key(|trouble| trouble.at);
        Self { seed, start: scenario.at, setting, troubles }
    }
}

impl Setting {
    fn draw(random: &mut Random) -> Self {
        Self {
            demand: 1 + random.below(8) as u32,
            rate: random.spread(20, 2_000) as f64,
            normal_errors: if random.happens(70) { 0.0 } else { random.fraction() * 0.004 },
            startup: random.spread(500, 40_000),
            lag: if random.happens(70) { 0 } else { random.spread(50, 3_000) },
            drain: random.spread(100, 60_000),
            reaction: random.spread(2_000, 600_000),
            mends: random.happens(50),
        }
    }
}

/// When the phases and steps are expected, each with its length.
fn timeline(start: Moment, policy: &ShiftPolicy, setting: &Setting) -> Vec<(Moment, Moment)> {
    let (interval, window) = (millis(policy.analysis.interval), millis(policy.analysis.window));
    let steps = policy.steps.iter().map(|step| match step {
        Step::SetWeight(_) => window + 2 * interval + setting.lag,
        Step::Pause(Some(duration)) => millis(*duration),
        Step::Pause(None) | Step::Approval => setting.reaction,
        Step::Drill => window + 4 * interval + 2 * setting.lag,
    });
    let ends = [millis(policy.soak) + setting.reaction, setting.drain + 3 * interval];
    let mut at = start;
    let lengths = [setting.startup + interval].into_iter().chain(steps).chain(ends);
    let spans = lengths.map(|length| {
        at += length;
        (at - length, length.max(1))
    });
    spans.collect()
}

struct Draw<'p> {
    timeline: Vec<(Moment, Moment)>,
    policy: &'p ShiftPolicy,
    planes: usize,
    random: Random,
}

/// Most troubles of one story: enough for three to meet, few enough that most stories get to their end.
const MOST: u64 = 6;

impl Draw<'_> {
    fn particular(&mut self, scenario: &Scenario) -> Vec<Trouble> {
        let fails = scenario
            .fail_at
            .map(|from| Trouble { at: scenario.at, kind: Kind::TargetFails { from, rate: 0.2, lasts: NEVER } });
        let away = scenario.prometheus_away.map(|lasts| {
            let (at, kind) = (self.moment(), Kind::Prometheus { lie: Lie::Away, lasts: millis(lasts) });
            Trouble { at, kind }
        });
        fails.into_iter().chain(away).collect()
    }

    fn any(&mut self, setting: &Setting) -> Vec<Trouble> {
        let count = self.random.below(MOST + 1);
        (0..count).map(|_| Trouble { at: self.moment(), kind: self.kind(setting) }).collect()
    }

    /// Some time in some step, more often near its beginning.
    fn moment(&mut self) -> Moment {
        let (start, length) = self.timeline[self.random.index(self.timeline.len())];
        start
            + if self.random.happens(50) {
                self.random.spread(1, length)
            } else {
                self.random.below(length as u64) as i64
            }
    }

    /// How long something lasts: from a blink to many windows.
    fn lasts(&mut self) -> Moment {
        let analysis = &self.policy.analysis;
        self.random.spread(millis(analysis.interval) / 4, millis(analysis.window) * 6)
    }

    fn weight(&mut self) -> Weight {
        Weight::percent_saturating(self.random.below(101) as u16)
    }

    fn kind(&mut self, setting: &Setting) -> Kind {
        let lasts = self.lasts();
        let plane = self.random.index(self.planes);
        match self.random.below(30) {
            0..=3 => Kind::TargetFails { from: self.weight(), rate: 0.02 + self.random.fraction() * 0.9, lasts },
            4 => Kind::BothFail { rate: 0.02 + self.random.fraction() * 0.5, lasts },
            5 | 6 => Kind::PodsLost { left: self.random.below(u64::from(setting.demand)) as u32, lasts },
            7 | 8 => Kind::ClusterAway { target: self.random.happens(60), lasts },
            9..=11 => Kind::PlaneAway { plane, lasts },
            12 => Kind::AnswersLost { lasts },
            13 => Kind::WritesRefused { lasts },
            14 | 15 => Kind::Drift { plane, to: self.weight() },
            16 | 17 => Kind::PlaneRestarts { plane },
            18..=20 => {
                let lies = [Lie::Away, Lie::Empty, Lie::Half, Lie::Stale];
                Kind::Prometheus { lie: lies[self.random.index(lies.len())], lasts }
            }
            21 => Kind::SourceEdited,
            22..=24 => {
                let (point, lasts) = (self.crash_point(), self.random.spread(1, 120_000));
                // No further number is drawn, so that seeds keep their stories.
                if lasts % 3 == 0 { Kind::Freeze { point, lasts } } else { Kind::Crash { point, down: lasts } }
            }
            25 => Kind::DiskFull { lasts },
            _ => {
                let wishes = [Wish::Pause, Wish::Pause, Wish::Resume, Wish::Approve, Wish::Abort, Wish::Commit];
                Kind::Asks(wishes[self.random.index(wishes.len())])
            }
        }
    }

    fn crash_point(&mut self) -> CrashPoint {
        match self.random.below(6) {
            0 => CrashPoint::BeforeRecord,
            1 => CrashPoint::AfterRecord,
            2 => CrashPoint::AfterAnswers,
            _ => CrashPoint::AfterActions(self.random.index(self.planes + 1)),
        }
    }
}

const DAYS: [&str; 7] = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"];

/// Milliseconds from a Thursday's midnight to a time such as `02:00` or `Sat 02:00`, in UTC.
pub fn time_of_week(text: &str) -> Result<Moment, String> {
    let wrong = || format!("{text:?} is no time such as 02:00 or Sat 02:00");
    let (day, time) = text.rsplit_once(' ').unwrap_or(("thu", text));
    let day = DAYS.iter().position(|name| *name == day.to_lowercase()).ok_or_else(wrong)?;
    let (hour, minute) = time.split_once(':').ok_or_else(wrong)?;
    let number =
        |text: &str, below: i64| text.parse().ok().filter(|number| (0..below).contains(number)).ok_or_else(wrong);
    Ok(((day as Moment * 24 + number(hour, 24)?) * 60 + number(minute, 60)?) * 60_000)
}

/// A time span for people: the two largest units.
pub fn span(millis: Moment) -> String {
    let (hours, minutes, seconds) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1000 % 60);
    match (hours, minutes) {
        _ if millis >= NEVER => "for ever".to_owned(),
        (0, 0) => format!("{seconds}.{}s", millis % 1000 / 100),
        (0, _) => format!("{minutes}m{seconds:02}s"),
        _ => format!("{hours}h{minutes:02}m"),
    }
}

impl fmt::Display for CrashPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeforeRecord => f.write_str("before it records what it decided"),
            Self::AfterRecord => f.write_str("after recording the state"),
            Self::AfterAnswers => f.write_str("after answering"),
            Self::AfterActions(count) => write!(f, "after {count} actions"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |fraction: &f64| format!("{:.1}%", fraction * 100.0);
        match self {
            Self::TargetFails { from, rate, lasts } => {
                write!(f, "from {from} on the target fails {} of its requests, {}", percent(rate), span(*lasts))
            }
            Self::BothFail { rate, lasts } => {
                write!(f, "both sides fail {} of their requests, {}", percent(rate), span(*lasts))
            }
            Self::PodsLost { left, lasts } => write!(f, "{left} pods stay ready on the target, {}", span(*lasts)),
            Self::ClusterAway { target, lasts } => {
                write!(f, "the {}'s API server is away, {}", if *target { "target" } else { "source" }, span(*lasts))
            }
            Self::PlaneAway { plane, lasts } => write!(f, "plane {} cannot be reached, {}", plane + 1, span(*lasts)),
            Self::AnswersLost { lasts } => write!(f, "answers of planes are lost, {}", span(*lasts)),
            Self::WritesRefused { lasts } => write!(f, "writes are refused, {}", span(*lasts)),
            Self::Drift { plane, to } => write!(f, "somebody sets plane {} to {to}", plane + 1),
            Self::PlaneRestarts { plane } => write!(f, "plane {} restarts as it is configured", plane + 1),
            Self::Prometheus { lie, lasts } => {
                let what = match lie {
                    Lie::Away => "does not answer",
                    Lie::Empty => "has no data",
                    Lie::Half => "has no data of the target",
                    Lie::Stale => "goes on telling what was",
                };
                write!(f, "Prometheus {what}, {}", span(*lasts))
            }
            Self::SourceEdited => f.write_str("somebody changes an object on the source"),
            Self::Crash { point, down } => {
                write!(f, "the controller will be killed {point}, and nobody is in charge for {}", span(*down))
            }
            Self::Freeze { point, lasts } => write!(f, "the controller will be frozen {point}, {}", span(*lasts)),
            Self::DiskFull { lasts } => write!(f, "the disk with the journal is full, {}", span(*lasts)),
            Self::Asks(wish) => write!(f, "a person asks to {}", format!("{wish:?}").to_lowercase()),
        }
    }
}
