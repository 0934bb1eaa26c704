//! The state is lost in the middle: it is made out anew, and the origin is reached exactly.

use std::fs;

use super::scenarios::{RATE, accepted, at_the_origin};
use super::stage::Lab;

#[test]
fn l_without_its_state_it_is_adopted_and_goes_back_to_the_same_origin() {
    let lab = Lab::reset();
    let load = lab.load(RATE, "600s");
    let file = lab.file("5s");
    let mut run = lab.run(&file);
    run.until_shows(50);
    run.kill();
    let (foreign, weights) = (lab.foreign(), lab.weights());
    let path = file.to_str().unwrap();

    let kept = lab.say(&["adopt", "-f", path, "--yes"]);
    assert_eq!(kept.status.code(), Some(4), "what is not lost is not made out: {kept:?}");
    fs::remove_dir_all(lab.states()).unwrap();
    let asked = lab.say(&["adopt", "-f", path]);
    assert_eq!(asked.status.code(), Some(4), "nobody said yes: {asked:?}");
    assert!(!lab.journal().exists());
    accepted(&lab, &["adopt", "-f", path, "--yes"]);
    assert_eq!(lab.weights(), weights, "adopting writes nothing to a plane");

    let mut run = lab.run(&file);
    run.until_ever("it goes on where it was", |report| report["step"]["number"] == 3);
    run.until_shows(100);
    accepted(&lab, &["abort"]);
    assert_eq!(run.exit(), 3);
    at_the_origin(&lab);
    assert_eq!(lab.foreign(), foreign);
    assert_eq!(lab.object("blue", "deployment", "checkout")["spec"]["replicas"], 3);
    let counts = load.end();
    lab.nobody_failed(&counts);
    println!("lost at {weights:?}, adopted, gone on to 100% and back: 0 of {} requests failed", counts.number("sent"));
}
