//! The shape of the crate, held by a test: PURE modules import no IO.

use std::fs;
use std::path::{Path, PathBuf};

/// Words that give a clock, the environment, randomness, files, the network or a task away.
const IO_WORDS: &[&str] = &[
    "tokio",
    "kube::",
    "reqwest",
    "hyper",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::io",
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "Zoned::now",
    "async fn",
    "async move",
    ".await",
    "rand::",
    "println!",
];

/// Modules of this crate that do IO; nothing PURE may import them. PURE files inside them say so themselves.
const IO_MODULES: &[&str] = &[
    "crate::act",
    "crate::balancer",
    "crate::cli",
    "crate::controller::elect",
    "crate::controller::home",
    "crate::demo",
    "crate::drive",
    "crate::embedded",
    "crate::observe",
    "crate::plane",
    "crate::standalone",
];

/// Whole folders that must be PURE, whatever their files say.
const PURE_FOLDERS: &[&str] = &["policy", "migration", "gate", "convert"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    let relative = |path: &PathBuf| path.strip_prefix(&root).unwrap().display().to_string();
    let mut all: Vec<_> = found.iter().map(|path| (relative(path), fs::read_to_string(path).unwrap())).collect();
    all.sort();
    all
}

/// The module's own words at its top.
fn header(text: &str) -> String {
    text.lines().take_while(|line| line.starts_with("//!")).collect::<Vec<_>>().join("\n")
}

/// Code without comments and without the tests at its end.
fn code(text: &str) -> String {
    let production = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    production.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn is_test(path: &str) -> bool {
    path.ends_with("tests.rs") || path.contains("/tests/")
}

fn must_be_pure(path: &str, header: &str) -> bool {
    let by_folder =
        PURE_FOLDERS.iter().any(|folder| path == format!("{folder}.rs") || path.starts_with(&format!("{folder}/")));
    by_folder || header.contains("PURE") && !header.contains("(PURE)") && !header.contains("IO")
}

#[test]
fn pure_modules_import_no_io() {
    let mut pure = 0;
    let mut faults = Vec::new();
    for (path, text) in all_sources().iter().filter(|(path, _)| !is_test(path) && path != "lib.rs") {
        if !must_be_pure(path, &header(text)) {
            continue;
        }
        pure += 1;
        let code = code(text);
        for word in IO_WORDS.iter().chain(IO_MODULES) {
            faults.extend(code.contains(word).then(|| format!("src/{path} is PURE and has {word:?}")));
        }
    }
    assert!(pure > 25, "only {pure} PURE modules found: the test looks in the wrong place");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_module_says_what_it_is() {
    let silent = |(path, text): &(String, String)| !is_test(path) && header(text).is_empty();
    let silent: Vec<_> = all_sources().into_iter().filter(silent).map(|(path, _)| path).collect();
    assert!(silent.is_empty(), "no //! at the top of {silent:?}");
}

#[test]
fn pure_folders_say_so() {
    let silent =
        |(path, text): &(String, String)| !is_test(path) && must_be_pure(path, "") && !header(text).contains("PURE");
    let silent: Vec<_> = all_sources().into_iter().filter(silent).map(|(path, _)| path).collect();
    assert!(silent.is_empty(), "these are in PURE folders and do not say so: {silent:?}");
}

#[test]
fn files_stay_short() {
    let long = |(path, text): &(String, String)| !is_test(path) && code(text).lines().count() > 500;
    let long: Vec<_> = all_sources().into_iter().filter(long).map(|(path, _)| path).collect();
    assert!(long.is_empty(), "split these: {long:?}");
}
