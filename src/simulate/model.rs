//! Every story there is, within bounds: all interleavings of two controllers and one plane, a step at a time. PURE.
//!
//! Where `play` draws what goes wrong, this tries all of it, breadth first, against the very same `decide`: a controller that
//! ends between any two steps, one that is frozen at any point while another takes over and that wakes up later, writes that
//! are refused, whose answers are lost, or that land late, somebody else's hand on the plane, a restart of the plane, a target
//! that turns bad, people who abort and commit, and a clock that jumps past every deadline.
//!
//! **Finite** because time stands still: windows, pauses and intervals of the model's policies are nothing, so that whatever
//! waits for time has waited long enough, and each kind of trouble may come only so often ([`Bounds`]). `decide` is a
//! function, so it is asked once for each state and sight of the world.
//!
//! **Watched** in every state: promise 1 (the plane shows what the last recorded intent explains, unless somebody else wrote it),
//! 3 (the source is whole before commit), 7 (nothing is written over somebody else's hand before a rollback), and 4 (whoever
//! ends it there, and whatever is still on its way: a controller that finds the disk so and is told to abort brings the plane
//! back to its origin). Promise 9 is about registries, of which there are none yet.
//!
//! **Assumed:** writes reach a plane in the order in which they were sent, and nothing is sent by who has lost the lease.

mod node;
mod sight;
mod step;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use jiff::SignedDuration;

use self::node::{Node, Process};
use self::sight::{Interned, Sight};
use super::promise::{Broken, Promise};
use crate::migration::{Decision, Snapshot, State};
use crate::policy::{Assignment, InvalidInput, Step, Weight};

/// How often each kind of trouble may come in one story.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// A controller ends.
    pub crashes: u8,
    /// Another one takes over from one that is only frozen.
    pub takeovers: u8,
    /// A write is refused, or its answer is lost.
    pub lost: u8,
    /// A write lands after it was answered.
    pub late: u8,
    /// Somebody else sets the plane, or it restarts as it is configured.
    pub drifts: u8,
    /// The target turns bad.
    pub faults: u8,
    /// A person asks for something.
    pub asks: u8,
    /// The clock jumps past every deadline.
    pub jumps: u8,
}

impl Bounds {
    /// Nothing goes wrong but that controllers end and take over from one another, and that a person asks for something.
    const CONTROLLERS: Self =
        Self { crashes: 1, takeovers: 1, lost: 0, late: 0, drifts: 0, faults: 0, asks: 1, jumps: 0 };

    /// What a test can try in some seconds, one kind of trouble at a time.
    pub const SMALL: [Self; 5] = [
        Self { lost: 1, ..Self::CONTROLLERS },
        Self { late: 1, takeovers: 0, ..Self::CONTROLLERS },
        Self { drifts: 1, crashes: 0, ..Self::CONTROLLERS },
        Self { faults: 1, ..Self::CONTROLLERS },
        Self { jumps: 1, ..Self::CONTROLLERS },
    ];

    /// What a person waits for, a minute or two: two kinds of trouble at a time.
    pub const LARGE: [Self; 4] = [
        Self { lost: 1, faults: 1, jumps: 1, ..Self::CONTROLLERS },
        Self { lost: 1, drifts: 1, ..Self::CONTROLLERS },
        Self { late: 1, drifts: 1, ..Self::CONTROLLERS },
        Self { crashes: 2, takeovers: 2, lost: 1, faults: 1, asks: 2, ..Self::CONTROLLERS },
    ];
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { crashes, takeovers, lost, late, drifts, faults, asks, jumps } = self;
        write!(f, "{crashes} crashes, {takeovers} takeovers, {lost} writes lost, {late} late, {drifts} drifts, ")?;
        write!(f, "{faults} faults, {asks} requests of people, {jumps} jumps of the clock")
    }
}

/// One step of a story.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum Event {
    /// A controller takes the migration up.
    Starts,
    /// A controller takes it up while another one is only frozen.
    TakesOver,
    /// Somebody looks and decides.
    Decides(Who),
    /// Somebody records what was decided.
    Records(Who),
    /// Somebody records what was decided, and ends before anybody was answered.
    RecordsAndEnds,
    /// Somebody sends the next write.
    Sends(Who, Fate),
    /// Somebody ends.
    Ends(Who),
    /// A write lands.
    Lands,
    /// Somebody else sets the plane.
    Drifts(Weight),
    /// The plane restarts as it is configured.
    Restarts,
    /// The target turns bad.
    TurnsBad,
    /// A person asks to go back.
    AsksToAbort,
    /// A person asks to let the source go.
    AsksToCommit,
    /// The clock jumps past every deadline.
    ClockJumps,
}

/// Which controller: there is one that leads, and perhaps one that has lost the lease and does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum Who {
    /// The one that holds the lease.
    Leader,
    /// The one that held it.
    Former,
}

/// What becomes of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum Fate {
    /// It is done and answered.
    Done,
    /// It is done, and its answer is lost.
    AnswerLost,
    /// It is refused.
    Refused,
    /// It is answered, and lands later.
    Late,
}

/// What trying everything came to.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Found {
    /// Different states of the whole.
    pub states: usize,
    /// Steps between them.
    pub transitions: usize,
    /// Steps of the longest story, each the shortest way to where it ends.
    pub depth: usize,
    /// Different questions to `decide`.
    pub decisions: usize,
    /// The first broken promise, with the shortest story that breaks it.
    pub broken: Option<(Broken, Vec<Event>)>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, transitions, depth, decisions, broken } = self;
        write!(f, "{states} states, {transitions} transitions, {depth} deep, {decisions} decisions: ")?;
        match broken {
            None => f.write_str("no promise broken"),
            Some((broken, story)) => {
                write!(f, "{broken}")?;
                story.iter().try_for_each(|event| write!(f, "\n  {event:?}"))
            }
        }
    }
}

/// Whether what was sent by who has lost the lease is refused. Only a test lets it through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fence {
    /// It is.
    Up,
    /// It is not.
    #[cfg(test)]
    Down,
}

/// The migration that is tried where nobody brings another: one plane, two steps, and a source that is let go at the end.
pub fn sample() -> Result<Arc<Assignment>, InvalidInput> {
    let mut all = super::read("model.yaml", include_str!("model/policies.yaml"))?;
    all.iter_mut().for_each(|assignment| timeless(Arc::make_mut(assignment)));
    Ok(all.swap_remove(0))
}

/// Whatever waits for time has waited long enough.
fn timeless(assignment: &mut Assignment) {
    let policy = &mut assignment.policy;
    (policy.soak, policy.analysis.window, policy.analysis.interval) = Default::default();
    for step in &mut policy.steps {
        if let Step::Pause(Some(duration)) = step {
            *duration = SignedDuration::ZERO;
        }
    }
}

/// Tries everything that can happen within the bounds.
pub fn explore(
    assignment: &Arc<Assignment>,
    bounds: Bounds,
    fence: Fence,
    decide: impl Fn(&State, &Snapshot) -> Decision,
) -> Found {
    let mut model = Model::new(assignment, fence, decide);
    let first = Node::first(model.first, bounds);
    let mut known = HashMap::from([(first.clone(), 0_usize)]);
    let mut way: Vec<(usize, Option<Event>, usize)> = vec![(0, None, 0)];
    let mut open = VecDeque::from([first]);
    let mut found = Found { states: 1, transitions: 0, depth: 0, decisions: 0, broken: None };
    'all: while let Some(node) = open.pop_front() {
        let here = known.get(&node).copied().unwrap_or_default();
        for (event, next) in model.steps(&node) {
            found.transitions += 1;
            let next = match next.and_then(|next| model.hold(&next).map(|()| next)) {
                Ok(next) => next,
                Err(broken) => {
                    found.broken = Some((broken, story(&way, here, event)));
                    break 'all;
                }
            };
            if !known.contains_key(&next) {
                let depth = way[here].2 + 1;
                known.insert(next.clone(), way.len());
                way.push((here, Some(event), depth));
                found.depth = found.depth.max(depth);
                open.push_back(next);
            }
        }
    }
    (found.states, found.decisions) = (known.len(), model.asked.len());
    found
}

/// How a state was reached, and what came then.
fn story(way: &[(usize, Option<Event>, usize)], mut here: usize, last: Event) -> Vec<Event> {
    let mut story = vec![last];
    while let (before, Some(event), _) = way[here] {
        story.push(event);
        here = before;
    }
    story.reverse();
    story
}

/// The rules, and what `decide` has answered so far.
struct Model<'a, D> {
    assignment: &'a Arc<Assignment>,
    fence: Fence,
    decide: D,
    states: Interned<State>,
    decisions: Interned<Decision>,
    asked: HashMap<(usize, Sight), usize>,
    /// States from which the way back was walked already.
    walked: HashMap<Node, ()>,
    first: usize,
}

/// Passes in which a rollback or a commit must have ended once nothing goes wrong any more.
const WAY: usize = 60;

impl<'a, D: Fn(&State, &Snapshot) -> Decision> Model<'a, D> {
    fn new(assignment: &'a Arc<Assignment>, fence: Fence, decide: D) -> Self {
        let mut states = Interned::default();
        let first = states.id(sight::key(&State::new(Arc::clone(assignment), sight::time(0))), || {
            State::new(Arc::clone(assignment), sight::time(0))
        });
        let (decisions, asked, walked) = (Interned::default(), HashMap::new(), HashMap::new());
        Self { assignment, fence, decide, states, decisions, asked, walked, first }
    }

    /// What a process with this state decides on what it sees.
    fn decide(&mut self, state: usize, sight: Sight) -> usize {
        if let Some(decision) = self.asked.get(&(state, sight)) {
            return *decision;
        }
        let outcomes = sight.outcomes(&self.decisions);
        let decision = (self.decide)(self.states.get(state), &sight.snapshot(self.assignment, outcomes));
        let key = sight::decision_key(&decision);
        let id = self.decisions.id(key, || decision);
        self.asked.insert((state, sight), id);
        id
    }

    fn state_of(&mut self, decision: usize) -> usize {
        let state = &self.decisions.get(decision).state;
        self.states.id(sight::key(state), || state.clone())
    }

    /// Promises that hold in every state.
    fn hold(&mut self, node: &Node) -> Result<(), Broken> {
        let disk = self.states.get(node.disk).phase.clone();
        node.hold(&disk)?;
        self.hold_way_back(node)
    }

    /// Nobody is there, nothing goes wrong any more, and somebody comes and is told to go back.
    fn hold_way_back(&mut self, node: &Node) -> Result<(), Broken> {
        let mut node = node.abandoned();
        if self.walked.insert(node.clone(), ()).is_some() {
            return Ok(());
        }
        let committed = node::is_committed(&self.states.get(node.disk).phase);
        node.prepare_to_end(committed);
        node.leader = Some(Process::started(node.disk));
        for _ in 0..WAY {
            if self.states.get(node.disk).phase.is_terminal() {
                return node.hold(&self.states.get(node.disk).phase.clone());
            }
            node = self.whole_pass(node)?;
        }
        let account = format!("with nothing wrong any more it stays {}", self.states.get(node.disk).phase.name());
        Err(Broken { promise: Promise::WayBack, account })
    }
}

#[cfg(test)]
mod tests;
