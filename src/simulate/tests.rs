//! Thousands of stories, and proof that the watcher would say so.

use super::*;

fn stage() -> Stage {
    Stage::new(samples().unwrap(), Scenario::default()).unwrap()
}

#[test]
fn no_promise_is_broken_in_thousands_of_stories() {
    let stage = stage();
    let mut tally = Tally::default();
    for seed in 0..3_000 {
        let ending = stage.play(seed);
        tally.add(seed, &ending);
    }
    if let Some(seed) = tally.first_broken() {
        let (assignment, case) = stage.case(seed);
        let case = shrink(assignment, &case, decide);
        let (story, _) = tell(assignment, &case, decide);
        panic!("seed {seed} of {:?}\n{:?}\n{}", tally.broken, case.setting, story.text());
    }
    println!("{tally:?}");
}
