use proptest::prelude::*;

use super::*;

const BOTH: Clusters<'_> = Clusters { source: "blue", target: "green" };

const JSON: &str = r#"{
	"version_info": "7",
	"resources": [{"@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration", "name": "checkout",
	  "virtual_hosts": [{"name": "a\"b\\c é 🙂", "domains": ["*"], "routes": [
	    {"match": {"prefix": "/pay"}, "route":{"weighted_clusters":{"clusters":
	[{"name":"blue","weight":100},{"weight":0,"name":"green"}]},"timeout":"3s"}},
	    {"match": {"prefix": "/new"}, "route": {"cluster": "green"}},
	    {"match": {"prefix": "/old"}, "route": {"weighted_clusters": {"clusters":
	      [{"name": "x", "weight": 3}, {"name": "y", "weight": 1}]}}},
	    {"match": {"prefix": "/"}, "route": {"weightedClusters": {"clusters": [
	      {"name": "spare", "weight": 0}, {"name": "green", "weight": 0, "request_headers_to_add": []},
	      {"name": "blue", "weight": 1}]}}}
	  ]}]}]
}
"#;

const YAML: &str = r#"# Ours.
resources:
- "@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
  name: checkout
  virtual_hosts:
  - name: all
    domains: ['*']
    routes:
    - match: {prefix: /}
      route:
        weighted_clusters:
          clusters:
          - name: blue   # the old one: 100
            weight: 1000
          - {name: green, weight: 0}  # é
          total_weight: 1000
"#;

fn read(text: &str) -> Routes {
    Routes::in_file(text, BOTH).unwrap()
}

fn split(source: u32, target: u32) -> Split {
    Split { source, target, total: None }
}

#[test]
fn reads_every_split_between_the_two_and_no_other() {
    let routes = read(JSON);
    assert_eq!((routes.name.as_str(), routes.weight), ("checkout", Weight::ZERO));
    assert_eq!(routes.splits, [split(100, 0), split(1, 0)]);
    assert_eq!(read(YAML).splits, [Split { source: 1000, target: 0, total: Some(1000) }]);
}

#[test]
fn writes_the_weights_alone_and_the_way_back_is_the_same_text() {
    for text in [JSON, YAML] {
        let origin = read(text);
        let wanted = origin.at(Weight::percent_saturating(25)).unwrap();
        let moved = origin.with(text, &wanted);
        assert_eq!(read(&moved).splits, wanted, "{moved}");
        assert_eq!(read(&moved).weight, Weight::percent_saturating(25));
        let without_digits = |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
        assert_eq!(without_digits(&moved), without_digits(text));
        assert_eq!(read(&moved).with(&moved, &origin.splits), text);
    }
    let moved = read(JSON).with(JSON, &read(JSON).at(Weight::percent_saturating(1)).unwrap());
    assert!(moved.contains(r#"{"name":"blue","weight":9900},{"weight":100,"name":"green"}"#), "{moved}");
    assert!(moved.contains(r#"{"name": "green", "weight": 100, "request_headers_to_add": []}"#), "{moved}");
}

#[test]
fn a_total_that_is_given_says_how_fine_a_weight_may_be() {
    let of = |total| Split { source: total, target: 0, total: Some(total) };
    let (tenth, half) = ("0.1".parse().unwrap(), "0.5".parse().unwrap());
    assert_eq!(of(100).at(tenth), Err((Weight::ZERO, Weight::percent_saturating(1))));
    assert_eq!(of(1000).at(tenth), Ok(Split { source: 999, target: 1, total: Some(1000) }));
    // Of 128 parts, 0.5 % is none, and the next that is exact to 0.01 % is 6.25 %.
    assert_eq!(of(128).at(half), Err((Weight::ZERO, "6.25".parse().unwrap())));
}

#[test]
fn reads_what_runs() {
    let dump = |routes: &str| format!(r#"{{"configs": [{{"version_info": "1", "route_config": {routes}}}]}}"#);
    let routes = |name: &str, target: u32| {
        format!(
            r#"{{"name": "{name}", "virtual_hosts": [{{"routes": [{{"route": {{"weighted_clusters": {{"clusters":
               [{{"name": "blue", "weight": {}}}, {{"name": "green", "weight": {target}}}]}}}}}}]}}]}}"#,
            100 - target
        )
    };
    let running = |text: &str| Routes::in_dump(text, "checkout", BOTH);
    assert_eq!(running(&dump(&routes("checkout", 25))).unwrap().splits, [split(75, 25)]);
    for nothing in ["{}\n", &dump(&routes("other", 25)), r#"{"configs": [{"version_info": "1"}]}"#] {
        assert!(matches!(running(nothing), Err(Fault::Missing(_))), "{nothing}");
    }
    let two = format!("{}}}, {{\"route_config\": {}", routes("checkout", 25), routes("checkout", 50));
    assert!(matches!(running(&dump(&two)), Err(Fault::Malformed(why)) if why.contains("disagree")));
    assert!(matches!(running("<html>"), Err(Fault::Malformed(_))));
}

#[test]
fn says_what_is_wrong_with_a_file() {
    let blue = r#"{"name":"blue","weight":100}"#;
    for (from, to, expected) in [
        (r#"{"cluster": "green"}"#, r#"{"cluster": "blue"}"#, "Stranger: a route to blue alone, line 7,"),
        (r#""name": "spare", "weight": 0"#, r#""name": "spare", "weight": 5"#, "Stranger: cluster spare, line 10,"),
        (r#""name": "spare""#, r#""name": "green""#, "Malformed: line 11: cluster green is there twice"),
        (r#""name": "y""#, r#""name": "blue""#, "Stranger: a route to blue without green, line 8,"),
        (blue, r#"{"name":"blue","weight":"100"}"#, "Malformed: line 6: weight is not a plain whole number"),
        (blue, r#"{"name":"blue","weight":1e2}"#, "Malformed: line 6: weight is not a plain whole number"),
        (blue, r#"{"name":"blue","weight":-1}"#, "Malformed: line 6: weight is not a plain whole number"),
        (blue, r#"{"name":"blue"}"#, "Malformed: line 6: cluster blue has no weight"),
        (blue, r#"{"name":"blue","weight":0}"#, "Malformed: all weights of a split are 0"),
        (blue, r#"{"name":"blue","weight":1,"weight":2}"#, "Malformed: line 6 has weight a second time"),
        (
            r#"{"weighted_clusters":{"#,
            r#"{"weighted_clusters":{"runtime_key_prefix":"x","#,
            "Malformed: line 5: a runtime_key_prefix",
        ),
        (
            r#"{"weight":0,"name":"green"}"#,
            r#"{"weight":100,"name":"green"}"#,
            "Malformed: its splits disagree: one has 50%",
        ),
        (r#""name": "checkout","#, "", "Malformed: its route configuration has no name"),
        ("\"resources\": [", "\"resources\": [{}, ", "Malformed: it has 2 resources"),
        ("\"resources\"", "\"resourses\"", "Malformed: it has no list of resources"),
        ("]}]}]\n}", "", "Malformed: line "),
    ] {
        let text = JSON.replacen(from, to, 1);
        assert_ne!(text, JSON, "{from} is not in the sample");
        let said = match Routes::in_file(&text, BOTH).unwrap_err() {
            Fault::Malformed(why) => format!("Malformed: {why}"),
            Fault::Missing(what) => format!("Missing: {what}"),
            Fault::Stranger(what) => format!("Stranger: {what}"),
        };
        assert!(said.starts_with(expected), "{to}: {said}");
    }
    let other = Clusters { source: "red", target: "white" };
    assert!(
        matches!(Routes::in_file(JSON, other), Err(Fault::Missing(what)) if what.contains("clusters red and white"))
    );
    assert!(matches!(Routes::in_file("", BOTH), Err(Fault::Malformed(_))));
    let anchored = YAML.replace("weight: 1000\n          -", "weight: &w 1000\n          -");
    for text in
        [anchored.clone(), YAML.replace("total_weight: 1000", "total_weight: *w"), anchored.replace("t: 1000", "t: *w")]
    {
        assert!(matches!(Routes::in_file(&text, BOTH), Err(Fault::Malformed(_))), "{text}");
    }
}

proptest! {
    #[test]
    fn every_weight_is_exact(points in 0u16..=10_000, source in 1u32..1000) {
        let weight = Weight::from_basis_points(points).unwrap();
        let at = split(source, 0).at(weight).unwrap();
        prop_assert_eq!(at.weight(), Some(weight));
        prop_assert_eq!((at.source == 0, at.target == 0), (weight == Weight::FULL, weight == Weight::ZERO));
    }

    #[test]
    fn of_a_total_a_weight_is_exact_or_lies_between_two_that_are(points in 0u16..=10_000, total in 1u32..2000) {
        let weight = Weight::from_basis_points(points).unwrap();
        let whole = Split { source: total, target: 0, total: Some(total) };
        match whole.at(weight) {
            Ok(at) => prop_assert_eq!(u64::from(at.target) * 10_000, u64::from(points) * u64::from(total)),
            Err((below, above)) => {
                prop_assert!(below < weight && weight < above);
                prop_assert!(whole.at(below).is_ok() && whole.at(above).is_ok());
            }
        }
    }

    #[test]
    fn nothing_that_is_read_breaks_it(text in "[\\x00-\\x7f]{0,80}") {
        let _ = Routes::in_file(&text, BOTH);
        let _ = Routes::in_dump(&text, "checkout", BOTH);
    }
}
