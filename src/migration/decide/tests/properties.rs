//! The promises, under arbitrary trouble.

use proptest::prelude::*;

use super::world::*;
use crate::migration::command::Request;
use crate::migration::state::Phase;
use crate::policy::{Step, Weight};

/// Something that happens to the world between two passes.
#[derive(Debug, Clone)]
enum Trouble {
    Nothing,
    Bad(bool),
    Prometheus(u8),
    Clusters(bool),
    Plane(bool),
    Pods(u32),
    Lag(bool),
    Drift(u16),
    Ask(Request),
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let requests = vec![Request::Pause, Request::Resume, Request::Approve, Request::Commit];
    prop_oneof![
        12 => Just(Trouble::Nothing),
        1 => any::<bool>().prop_map(Trouble::Bad),
        2 => (0u8..3).prop_map(Trouble::Prometheus),
        2 => any::<bool>().prop_map(Trouble::Clusters),
        2 => any::<bool>().prop_map(Trouble::Plane),
        2 => (0u32..=4).prop_map(Trouble::Pods),
        2 => any::<bool>().prop_map(Trouble::Lag),
        1 => (0u16..=100).prop_map(Trouble::Drift),
        6 => proptest::sample::select(requests).prop_map(Trouble::Ask),
        1 => Just(Trouble::Ask(Request::Abort { why: "enough".into() })),
    ]
}

fn happen(world: &mut World, trouble: Trouble) {
    match trouble {
        Trouble::Nothing => {}
        Trouble::Bad(bad) => world.bad = if bad { 300.0 } else { 0.0 },
        Trouble::Prometheus(0) => world.prometheus = Err("refused".into()),
        Trouble::Prometheus(kind) => world.prometheus = Ok(kind == 1),
        Trouble::Clusters(up) => world.clusters = up,
        Trouble::Plane(up) => world.unreachable = if up { vec![] } else { vec![name("inner")] },
        Trouble::Pods(pods) => world.target_ready = pods,
        Trouble::Lag(lag) => world.lag = lag,
        Trouble::Drift(to) => {
            world.planes.insert(name("edge"), percent(to));
        }
        Trouble::Ask(request) => world.ask(request),
    }
}

fn heal(world: &mut World) {
    world.prometheus = Ok(true);
    world.clusters = true;
    world.unreachable.clear();
    world.lag = false;
    world.target_ready = 4;
}

/// Weights that may have been written by now: the origin's, and those of the steps up to the current one.
fn allowed(state: &crate::migration::State) -> Vec<Weight> {
    let steps = &state.assignment.policy.steps;
    let reached = match &state.phase {
        Phase::Shifting(shifting) => shifting.step + 1,
        _ => steps.len(),
    };
    let weights = steps.iter().take(reached).filter_map(|step| step.weight());
    let origin = state.phase.origin().into_iter().flat_map(|origin| origin.planes.values().map(|plane| plane.weight));
    origin.chain(weights).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn promises_hold_under_any_trouble(script in proptest::collection::vec(trouble(), 1..150)) {
        let (mut state, mut world) = fresh();
        for trouble in script {
            happen(&mut world, trouble);
            let (before, written) = (state.clone(), world.writes.len());
            let decision = pass(&mut state, &mut world);
            let writes = &world.writes[written..];

            // 1: between steps a weight never leaves the two of the step.
            for (_, weight) in writes {
                prop_assert!(allowed(&state).contains(weight), "{weight} in {:?}", state.phase);
            }
            // 3: nothing on the source shrinks before commit.
            let committed = matches!(state.phase, Phase::Committing { .. } | Phase::Completed { .. });
            prop_assert!(committed || (world.source == 4 && !world.drained && !world.released));
            // 5 and 6: without evidence nothing advances.
            if let (Phase::Shifting(was), Phase::Shifting(is)) = (&before.phase, &state.phase)
                && is.step > was.step
                && matches!(before.assignment.policy.steps[was.step], Step::SetWeight(_))
            {
                prop_assert!(decision.gates.metrics.iter().all(|(_, finding)| finding.verdict == crate::gate::Verdict::Pass));
                prop_assert!(world.prometheus == Ok(true));
            }
            // 5: missing data alone never goes back.
            if matches!(state.phase, Phase::RollingBack { .. }) && !matches!(before.phase, Phase::RollingBack { .. }) {
                let reason = world.bad > 0.0 || world.target_ready == 0 || !decision.replies.is_empty()
                    || matches!(before.phase, Phase::Mirroring { .. });
                prop_assert!(reason, "{:?}", state.phase);
            }
            // 10: whatever does not move says why.
            let quiet = decision.state == before && !state.phase.is_terminal();
            prop_assert!(!quiet || decision.waiting.is_some(), "{:?}", state.phase);
            if state.phase.is_terminal() {
                break;
            }
        }
        // 4: from every state before commit, rollback reaches the origin once the world is well, and says so truly.
        heal(&mut world);
        if !matches!(state.phase, Phase::Committing { .. } | Phase::Completed { .. }) {
            world.ask(Request::Abort { why: "the end".into() });
            let origin = state.phase.origin().cloned();
            until(&mut state, &mut world, in_phase("RolledBack"));
            for (plane, recorded) in origin.iter().flat_map(|origin| &origin.planes) {
                let written = world.writes.iter().any(|(written, _)| written == plane);
                prop_assert!(!written || world.planes[plane] == recorded.weight);
            }
        } else {
            // 100 % is where a commit left the planes; what somebody else did to them since holds it, and is undone here.
            world.planes.values_mut().for_each(|weight| *weight = Weight::FULL);
            until(&mut state, &mut world, in_phase("Completed"));
        }
    }
}
