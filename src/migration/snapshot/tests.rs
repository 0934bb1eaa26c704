//! How errors become what could not be seen.

use super::*;

#[derive(Debug, thiserror::Error)]
#[error("{told}")]
struct Trouble {
    told: &'static str,
    source: Option<Box<Trouble>>,
}

fn trouble(told: &'static str, source: Option<Trouble>) -> Trouble {
    Trouble { told, source: source.map(Box::new) }
}

#[test]
fn an_error_is_told_with_everything_behind_it_and_nothing_twice() {
    let refused = || trouble("refused", None);
    for (error, told) in [
        (refused(), "refused"),
        (trouble("no answer", Some(refused())), "no answer: refused"),
        (trouble("no answer", Some(trouble("socket", Some(refused())))), "no answer: socket: refused"),
        // Libraries that repeat their source are told once.
        (trouble("no answer: refused", Some(refused())), "no answer: refused"),
        (
            trouble("no answer: refused", Some(trouble("refused", Some(trouble("os error 111", None))))),
            "no answer: refused: os error 111",
        ),
    ] {
        assert_eq!(chain(&error), told);
        assert_eq!(Observed::<()>::from(Err(error)), Observed::Unknown(told.to_owned()));
    }
}

#[test]
fn only_what_was_seen_is_known() {
    assert_eq!(Observed::from(Ok::<_, Trouble>(3)).known(), Some(&3));
    assert_eq!(Observed::<u8>::Unknown("refused".into()).known(), None);
}
