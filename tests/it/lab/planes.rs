//! Every driver on the real thing, through the one conformance suite: `make planes`, and a short form of it in `make test`.
//!
//! They need no cluster: each plane is started here, in a directory of its own, between backends on loopback.

mod dns;
mod envoy;
mod forgotten;
mod haproxy;
mod hooks;
mod nginx;
mod part;
mod powerdns;
mod several;
mod standalone;

use crossfade::plane::conformance::inside::Balanced;
use crossfade::plane::conformance::{Effort, Ground, Matrix, Property, Verdict, examine};
use crossfade::plane::memory::Memory;
use crossfade::plane::sheet::Sheets;
use crossfade::plane::{PlaneError, SHEETS};

use super::stage::root;

/// What a driver came to.
type Examined = (&'static str, Vec<(Property, Verdict)>);

/// Whether `make planes` wants it whole.
#[expect(clippy::disallowed_methods, reason = "whoever starts the tests says how much they want")]
fn effort() -> Effort {
    let whole = std::env::var("CROSSFADE_PLANES").is_ok_and(|word| word == "whole");
    if whole { Effort::WHOLE } else { Effort::SHORT }
}

/// All properties on a plane with as many backends on each side, but for the one that is about unequal sides.
async fn examined(even: &dyn Ground, uneven: &dyn Ground) -> Result<Vec<(Property, Verdict)>, PlaneError> {
    let (unequal, rest): (Vec<_>, Vec<_>) =
        Property::ALL.into_iter().partition(|property| *property == Property::Sides);
    let mut found = examine(even, &rest, effort()).await?;
    found.extend(examine(uneven, &unequal, effort()).await?);
    found.sort_by_key(|(property, _)| *property);
    Ok(found)
}

fn told(name: &str, examined: &[(Property, Verdict)]) {
    for (property, verdict) in examined {
        println!("{name:9} {:42} {:8} {}", property.title(), verdict.word(), verdict.why());
    }
}

/// What docs/planes.md has between two marks.
fn kept(mark: &str) -> String {
    let page = std::fs::read_to_string(root().join("docs/planes.md")).unwrap();
    let (begin, end) = (format!("<!-- {mark} -->\n"), format!("<!-- end of {mark} -->"));
    let after = page.split_once(&begin).unwrap_or_else(|| panic!("docs/planes.md has no {begin}")).1;
    after.split_once(&end).unwrap_or_else(|| panic!("docs/planes.md has no {end}")).0.to_owned()
}

async fn remembered() -> Vec<(Property, Verdict)> {
    let memory = Memory::default();
    examined(&memory, &memory).await.unwrap()
}

async fn embedded() -> Vec<(Property, Verdict)> {
    let (even, uneven) = (Balanced::start(2, 2).await.unwrap(), Balanced::start(1, 3).await.unwrap());
    examined(&even, &uneven).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_driver_conforms_on_the_real_thing() {
    // All at the same time: they mostly wait.
    let examining = [
        ("memory", tokio::spawn(remembered())),
        ("embedded", tokio::spawn(embedded())),
        ("balancer", tokio::spawn(standalone::examined())),
        ("haproxy", tokio::spawn(haproxy::examined())),
        ("nginx", tokio::spawn(nginx::examined())),
        ("envoy", tokio::spawn(envoy::examined())),
        ("dns", tokio::spawn(dns::examined())),
        ("powerdns", tokio::spawn(powerdns::examined())),
        ("exec", tokio::spawn(hooks::examined_program())),
        ("webhook", tokio::spawn(hooks::examined_server())),
    ];
    let mut all: Vec<Examined> = Vec::new();
    for (name, found) in examining {
        all.push((name, found.await.unwrap()));
    }
    for (name, found) in &all {
        told(name, found);
    }
    let matrix = Matrix(&all).to_string();
    println!("{matrix}");
    let wrong = all.iter().flat_map(|(name, found)| found.iter().map(move |(of, verdict)| (name, of, verdict)));
    let wrong: Vec<_> = wrong.filter(|(_, _, verdict)| matches!(verdict, Verdict::Fails(_))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(kept("matrix"), matrix, "docs/planes.md has another matrix");
}

#[test]
fn the_page_has_the_sheets() {
    let sheets = Sheets(&SHEETS).to_string();
    println!("{sheets}");
    assert_eq!(kept("sheets"), sheets, "docs/planes.md has other sheets");
}
