//! What is made of a world whose state is lost.

use serde_json::json;

use super::*;
use crate::migration::snapshot::SideView;
use crate::migration::state::{PlaneOrigin, Standing};
use crate::policy::{SourceFile, load};

const FILE: &str = r#"
apiVersion: crossfade.dev/v1alpha1
kind: Migration
metadata: {name: checkout, namespace: shop}
spec:
  source: {context: blue}
  target: {context: green}
  workloads: {namespaces: [shop]}
  planes:
    - name: edge
      haproxy: {address: "unix:/a", backend: web, source: [blue], target: [green]}
    - name: inner
      haproxy: {address: "unix:/b", backend: web, source: [blue], target: [green]}
  policy: {name: careful}
---
apiVersion: crossfade.dev/v1alpha1
kind: ShiftPolicy
metadata: {name: careful}
spec:
  steps: [{setWeight: 10}, {pause: {}}, {setWeight: 50}, {approval: {}}, {setWeight: 100}]
  analysis:
    interval: 1s
    window: 10s
    metrics: [{name: errors, planeErrors: {plane: edge}, max: 1%}]
"#;

fn percent(weight: u16) -> Weight {
    Weight::percent_saturating(weight)
}

fn web() -> ObjectRef {
    ObjectRef::new("Deployment", "shop", "web")
}

fn view(green: u16) -> PlaneView {
    let side = SideView::default();
    PlaneView { weight: percent(green), setting: json!({"green": green}), source: side, target: side }
}

fn memo() -> Memo {
    let definitions = load(&[SourceFile { name: "test.yaml".into(), text: FILE.into() }]).unwrap();
    let migration = definitions.migrations[0].clone();
    let assignment = Assignment { policy: definitions.policy_of(&migration).unwrap().clone(), migration };
    let planes = assignment.migration.planes.iter().map(|plane| (plane.name.clone(), PlaneOrigin::from(&view(0))));
    let origin = Origin { at: Timestamp::UNIX_EPOCH, planes: planes.collect(), replicas: [(web(), 3)].into() };
    Memo { assignment: Arc::new(assignment), origin: Arc::new(origin) }
}

/// Adopts a world with so many replicas on the source and such weights.
fn adopted(replicas: u32, edge: Observed<PlaneView>, inner: Observed<PlaneView>) -> Result<State, Vec<String>> {
    let pods = Replicas { desired: replicas, ready: replicas, updated: replicas, available: replicas, current: true };
    let name = |text: &str| Name::new(text).unwrap();
    let planes = BTreeMap::from([(name("edge"), edge), (name("inner"), inner)]);
    adopt(memo(), &[(web(), pods)].into(), &planes, Timestamp::UNIX_EPOCH)
}

fn at(edge: u16, inner: u16) -> Result<State, Vec<String>> {
    adopted(3, Observed::Known(view(edge)), Observed::Known(view(inner)))
}

#[test]
fn it_goes_on_at_the_step_the_planes_show() {
    for (edge, inner, step) in [(10, 10, 0), (50, 50, 2), (100, 100, 4), (10, 0, 0), (50, 10, 2), (30, 30, 2)] {
        let state = at(edge, inner).unwrap();
        let Phase::Shifting(shifting) = &state.phase else { panic!("{:?}", state.phase) };
        assert_eq!(
            (shifting.step, shifting.standing, &shifting.passed),
            (step, Standing::Moving, &None),
            "{edge} {inner}"
        );
        assert_eq!(shifting.origin, memo().origin);
        let left: Vec<_> = state.ledger.values().copied().collect();
        assert_eq!(left, [Entry::Settled(percent(edge)), Entry::Settled(percent(inner))], "nothing is drift");
    }
}

#[test]
fn where_no_weight_was_moved_it_goes_on_with_mirroring() {
    assert!(matches!(at(0, 0).unwrap().phase, Phase::Mirroring { .. }));
}

#[test]
fn it_refuses_to_guess_and_says_every_reason() {
    let unseen = || Observed::Unknown("no answer".to_owned());
    assert!(adopted(3, Observed::Known(view(50)), unseen()).unwrap_err()[0].contains("inner cannot be seen"));
    assert_eq!(adopted(2, unseen(), unseen()).unwrap_err().len(), 3);
    let gone = adopt(memo(), &BTreeMap::new(), &BTreeMap::new(), Timestamp::UNIX_EPOCH).unwrap_err();
    assert!(gone[0].contains("0 replicas on the source and began with 3"), "{gone:?}");
}

#[test]
fn a_memo_is_read_as_it_was_written() {
    let memo = memo();
    let text = serde_json::to_string(&memo).unwrap();
    assert_eq!(serde_json::from_str::<Memo>(&text).unwrap(), memo);
}

#[test]
fn what_was_started_and_where_to_go_back_to_is_kept_from_the_first_write_until_commit() {
    let (memo, mut state) = (memo(), at(50, 50).unwrap());
    assert_eq!(Memo::of(&state).as_ref(), Some(&memo));
    state.phase = Phase::Completed { at: Timestamp::UNIX_EPOCH };
    assert_eq!(Memo::of(&state), None);
    assert_eq!(Memo::of(&State::new(memo.assignment, Timestamp::UNIX_EPOCH)), None);
}
