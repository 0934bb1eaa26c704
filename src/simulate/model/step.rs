//! Everything that can happen next. PURE.

use super::node::{Left, Letter, Node, Process};
use super::sight::Tried;
use super::{Event, Fate, Fence, Model, Who, node};
use crate::migration::state::Phase;
use crate::migration::{Action, Decision, Snapshot, State};
use crate::policy::Weight;
use crate::simulate::promise::{Broken, Promise, hold};

/// Where somebody else sets the plane: between two steps, and to the end.
const ELSEWHERE: [Weight; 2] = [Weight::percent_saturating(25), Weight::FULL];

type Next = (Event, Result<Node, Broken>);

impl<D: Fn(&State, &Snapshot) -> Decision> Model<'_, D> {
    /// Every step from here.
    pub(super) fn steps(&mut self, node: &Node) -> Vec<Next> {
        let mut steps = Vec::new();
        self.starts(node, &mut steps);
        for (who, process) in [(Who::Leader, node.leader), (Who::Former, node.former)] {
            match process {
                Some(Process::Idle { state, .. }) if self.states.get(state).phase.is_terminal() => {}
                Some(Process::Idle { .. }) => steps.push((Event::Decides(who), self.decides(node.clone(), who))),
                Some(Process::Decided { .. }) => steps.push((Event::Records(who), Ok(self.records(node.clone(), who)))),
                Some(Process::Acting { .. }) => self.sendings(node, who, &mut steps),
                None => {}
            }
        }
        self.ends(node, &mut steps);
        self.world_turns(node, &mut steps);
        steps
    }

    fn starts(&self, node: &Node, steps: &mut Vec<Next>) {
        if self.states.get(node.disk).phase.is_terminal() {
            return;
        }
        let mut next = node.clone();
        next.leader = Some(Process::started(node.disk));
        match node.leader {
            None => steps.push((Event::Starts, Ok(next))),
            Some(_) if node.former.is_none() && spend(&mut next.budget.takeovers) => {
                next.former = node.leader;
                steps.push((Event::TakesOver, Ok(next)));
            }
            Some(_) => {}
        }
    }

    fn ends(&mut self, node: &Node, steps: &mut Vec<Next>) {
        let mut next = node.clone();
        if next.leader.take().is_none() || !spend(&mut next.budget.crashes) {
            return;
        }
        if let Some(Process::Decided { .. }) = node.leader {
            let mut recorded = self.records(node.clone(), Who::Leader);
            (recorded.leader, recorded.budget, recorded.letter) = (None, next.budget, node.letter);
            steps.push((Event::RecordsAndEnds, Ok(recorded)));
        }
        steps.push((Event::Ends(Who::Leader), Ok(next)));
    }

    /// What happens without a controller.
    fn world_turns(&self, node: &Node, steps: &mut Vec<Next>) {
        let phase = &self.states.get(node.disk).phase;
        let mut happens = |event, change: &dyn Fn(&mut Node) -> bool| {
            let mut next = node.clone();
            if change(&mut next) {
                steps.push((event, Ok(next)));
            }
        };
        happens(Event::Lands, &|next| {
            let landed = !next.flying.is_empty();
            if landed {
                let weight = next.flying.remove(0);
                next.land(weight);
            }
            landed
        });
        for weight in ELSEWHERE {
            happens(Event::Drifts(weight), &|next| {
                (next.foreign, next.shown) = (true, weight);
                spend(&mut next.budget.drifts)
            });
        }
        happens(Event::Restarts, &|next| {
            (next.foreign, next.shown, next.drained) = (true, Weight::ZERO, false);
            next.flying.clear();
            spend(&mut next.budget.drifts)
        });
        happens(Event::TurnsBad, &|next| !std::mem::replace(&mut next.bad, true) && spend(&mut next.budget.faults));
        happens(Event::ClockJumps, &|next| {
            next.jumped += 1;
            spend(&mut next.budget.jumps)
        });
        let mut asks = |event, letter: fn(u8) -> Letter| {
            happens(event, &|next| {
                let free = next.letter.is_none() && !phase.is_terminal();
                next.letter = Some(letter(next.budget.asks));
                free && spend(&mut next.budget.asks)
            });
        };
        asks(Event::AsksToAbort, Letter::Abort);
        if matches!(phase, Phase::Soaking { .. }) {
            asks(Event::AsksToCommit, Letter::Commit);
        }
    }

    /// Looks, and decides. What need not be recorded is acted upon at once.
    fn decides(&mut self, mut node: Node, who: Who) -> Result<Node, Broken> {
        let Some(Process::Idle { state, tried }) = *seat(&mut node, who) else { return Ok(node) };
        let decision = self.decide(state, node.sight(tried));
        let after = self.state_of(decision);
        let decided = self.decisions.get(decision);
        if who == Who::Leader {
            judge(&node, decided)?;
        }
        let arrived = node.shown == node.left.told && node.flying.is_empty();
        let tried = Tried { decision, done: 0, failed: 0 };
        *seat(&mut node, who) = Some(match decided {
            decided if after != state || !decided.replies.is_empty() => Process::Decided { decision, arrived },
            decided if decided.actions.is_empty() => Process::started(after),
            _ => Process::Acting { state: after, tried },
        });
        Ok(node)
    }

    /// The disk takes what its leader records, and nothing from anybody else: who is refused ends.
    fn records(&mut self, mut node: Node, who: Who) -> Node {
        let Some(Process::Decided { decision, arrived }) = *seat(&mut node, who) else { return node };
        let state = self.state_of(decision);
        let Decision { actions, replies, .. } = self.decisions.get(decision);
        let tried = Tried { decision, done: 0, failed: 0 };
        let goes_on = if actions.is_empty() { Process::started(state) } else { Process::Acting { state, tried } };
        *seat(&mut node, who) = (who == Who::Leader).then_some(goes_on);
        if who == Who::Leader {
            node.disk = state;
            // What was seen and not recorded is forgotten with whoever saw it.
            if arrived {
                node.left = Left::at(node.left.told);
            }
            let recorded = self.states.get(state).phase.origin().filter(|_| node.origin.is_none());
            recorded
                .into_iter()
                .flat_map(|origin| origin.planes.values())
                .for_each(|plane| node.begin_at(plane.weight));
            actions.iter().filter_map(weight_of).for_each(|weight| node.left.tell(weight));
            if !replies.is_empty() {
                node.letter = None;
            }
        }
        node
    }

    fn sendings(&self, node: &Node, who: Who, steps: &mut Vec<Next>) {
        let Some(Process::Acting { tried, .. }) = (if who == Who::Leader { node.leader } else { node.former }) else {
            return;
        };
        let action = &self.decisions.get(tried.decision).actions[usize::from(tried.done)];
        for fate in [Fate::Done, Fate::AnswerLost, Fate::Refused, Fate::Late] {
            let mut next = node.clone();
            let may = match fate {
                Fate::Done => true,
                Fate::AnswerLost | Fate::Refused => spend(&mut next.budget.lost),
                Fate::Late => weight_of(action).is_some() && spend(&mut next.budget.late),
            };
            if may {
                steps.push((Event::Sends(who, fate), Ok(self.sends(next, who, fate))));
            }
        }
    }

    /// Sends the next write. Who has lost the lease sends nothing and ends.
    fn sends(&self, mut node: Node, who: Who, fate: Fate) -> Node {
        let Some(Process::Acting { state, mut tried }) = *seat(&mut node, who) else { return node };
        if who == Who::Former && self.fence == Fence::Up {
            node.former = None;
            return node;
        }
        let actions = &self.decisions.get(tried.decision).actions;
        let done = fate != Fate::Refused && carry_out(&mut node, &actions[usize::from(tried.done)], fate);
        tried.failed |= u32::from(!done || fate == Fate::AnswerLost) << tried.done;
        tried.done += 1;
        let more = usize::from(tried.done) < actions.len();
        let idle = Process::Idle { state, tried: Some(tried) };
        *seat(&mut node, who) = Some(if more { Process::Acting { state, tried } } else { idle });
        node
    }

    /// A pass of the leader in which nothing goes wrong.
    pub(super) fn whole_pass(&mut self, node: Node) -> Result<Node, Broken> {
        let mut node = self.decides(node, Who::Leader)?;
        node = self.records(node, Who::Leader);
        while let Some(Process::Acting { .. }) = node.leader {
            node = self.sends(node, Who::Leader, Fate::Done);
        }
        Ok(node)
    }
}

fn seat(node: &mut Node, who: Who) -> &mut Option<Process> {
    match who {
        Who::Leader => &mut node.leader,
        Who::Former => &mut node.former,
    }
}

/// One of what may come only so often; `false` where it has come that often.
fn spend(budget: &mut u8) -> bool {
    let left = budget.checked_sub(1);
    *budget = left.unwrap_or_default();
    left.is_some()
}

/// The weight that an action writes.
fn weight_of(action: &Action) -> Option<Weight> {
    match action {
        Action::SetWeight { to, .. } => Some(*to),
        Action::RestorePlane { setting, .. } => {
            let points = setting.as_u64().and_then(|points| u16::try_from(points).ok())?;
            Weight::from_basis_points(points).ok()
        }
        Action::ApplyObject { .. }
        | Action::DeleteObject { .. }
        | Action::SuspendSource { .. }
        | Action::ResumeTarget { .. }
        | Action::DrainSource { .. }
        | Action::ScaleSource { .. }
        | Action::Release { .. } => None,
    }
}

/// The effect of an action; `false` where its precondition does not hold.
fn carry_out(node: &mut Node, action: &Action, fate: Fate) -> bool {
    match action {
        Action::SetWeight { from, to, .. } if !node.shown.is_between(*from, *to) => return false,
        Action::SetWeight { .. } | Action::RestorePlane { .. } => {
            weight_of(action).into_iter().for_each(|weight| node.send(weight, fate == Fate::Late));
        }
        Action::ApplyObject { .. } => node.applied = true,
        Action::DrainSource { .. } => node.drained = true,
        Action::ScaleSource { .. } => node.shrunk = true,
        Action::DeleteObject { .. } | Action::Release { .. } => {}
        Action::SuspendSource { .. } | Action::ResumeTarget { .. } => {}
    }
    true
}

/// Promises 3, 4 and 7 of a decision.
fn judge(node: &Node, decision: &Decision) -> Result<(), Broken> {
    let phase = &decision.state.phase;
    let back = matches!(phase, Phase::RollingBack { .. } | Phase::RolledBack { .. });
    let abort = matches!(node.letter, Some(Letter::Abort(_)));
    hold(!abort || back || node::is_committed(phase), Promise::WayBack, || {
        format!("an abort leaves it {}", phase.name())
    })?;
    for action in &decision.actions {
        let lets_go =
            matches!(action, Action::DrainSource { .. } | Action::ScaleSource { .. } | Action::Release { .. });
        hold(!lets_go || node::is_committed(phase), Promise::SourceKept, || {
            format!("{action} while it is {}", phase.name())
        })?;
        let blind = matches!(action, Action::SetWeight { .. }) && !node.left.explains(node.shown);
        hold(!blind, Promise::Drift, || format!("{action} while somebody else set it to {}", node.shown))?;
    }
    Ok(())
}
