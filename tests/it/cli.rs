//! The program as a stranger meets it: wrong input, and what it says about it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

pub fn crossfade(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
    command.args(arguments).env_remove("KUBECONFIG").env_remove("CROSSFADE_STATE_DIR").output().unwrap()
}

/// The same with something on standard input.
pub fn crossfade_with_input(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    output
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Every mistake in a file, one a line.
fn mistakes(file: &str) -> String {
    let output = crossfade(&["policy", "lint", file, "-o", "json"]);
    assert_eq!(output.status.code(), Some(2));
    let refused: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(refused["error"].as_str().unwrap().contains("nothing was contacted"));
    let problems = refused["problems"].as_array().unwrap();
    let line = |problem: &serde_json::Value| {
        let help = problem.get("help").map(|help| format!(" ({})", help.as_str().unwrap())).unwrap_or_default();
        format!(
            "{}:{} {}: {}{help}",
            problem["line"],
            problem["column"],
            problem["field"].as_str().unwrap(),
            problem["message"].as_str().unwrap()
        )
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn lint_reports_every_mistake_at_its_place() {
    insta::assert_snapshot!(mistakes("tests/bad/policy.yaml"));
}

#[test]
fn lint_refuses_metrics_that_cannot_be_evaluated() {
    insta::assert_snapshot!(mistakes("tests/bad/metrics.yaml"));
}

/// What lint says of a file that it accepts.
fn advice(arguments: &[&str]) -> String {
    let output = crossfade(&[&["policy", "lint"], arguments].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn lint_says_what_the_policies_we_ship_can_see() {
    let mut policies: Vec<_> =
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")).unwrap().collect();
    policies.sort_by_key(|entry| entry.as_ref().unwrap().path());
    let all = policies.into_iter().map(|entry| {
        let path = entry.unwrap().path();
        let rate = ["--rate", "200", "--healthy", "0.1%", "--scrape", "15s"];
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        format!("{name}\n{}", advice(&[&[path.to_str().unwrap()], &rate[..]].concat()))
    });
    insta::assert_snapshot!(all.collect::<Vec<_>>().join("\n"));
}

#[test]
fn lint_gives_advice_where_hopes_are_too_high() {
    insta::assert_snapshot!(advice(&["tests/bad/hopeful.yaml", "--scrape", "10s"]));
}

#[test]
fn lint_says_which_steps_a_plane_cannot_represent() {
    let lab = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/checkout.yaml")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fine.yaml");
    std::fs::write(&file, lab.replace("    - setWeight: 1\n", "    - setWeight: 0.01\n")).unwrap();
    let said = advice(&[file.to_str().unwrap()]);
    assert!(said.contains("step 1: on edge, if all behind it weigh alike"), "{said}");
}

#[test]
fn lint_reports_documents_that_contradict_each_other() {
    insta::assert_snapshot!(mistakes("tests/bad/disagreeing.yaml"));
}

#[test]
fn lint_shows_people_the_line() {
    let output = crossfade(&["policy", "lint", "tests/bad/policy.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    let shown = text(&output.stderr);
    assert!(shown.contains("selektor") && shown.contains("did you mean selector?"), "{shown}");
}

#[test]
fn run_refuses_the_same_and_contacts_nothing() {
    let state = tempfile::tempdir().unwrap();
    let directory = state.path().join("state");
    let output = crossfade(&["run", "-f", "tests/bad/policy.yaml", "--state-dir", directory.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("nothing was contacted"));
    assert!(!directory.exists(), "nothing may be written either");
}

#[test]
fn files_that_cannot_be_read_are_bad_input() {
    for arguments in [
        &["run", "-f", "no/such/file.yaml"][..],
        &["policy", "lint", "src"],
        &["run"],
        &["policy", "lint"],
        &["abort", "nobody", "--state-dir", "/nonexistent"],
    ] {
        let output = crossfade(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn a_context_that_does_not_exist_is_bad_input() {
    let state = tempfile::tempdir().unwrap();
    let kubeconfig = state.path().join("kubeconfig");
    std::fs::write(&kubeconfig, "apiVersion: v1\nkind: Config\nclusters: []\ncontexts: []\nusers: []\n").unwrap();
    let directory = state.path().join("state");
    let output = crossfade(&[
        "run",
        "-f",
        "tests/lab/checkout.yaml",
        "--state-dir",
        directory.to_str().unwrap(),
        "--kubeconfig",
        kubeconfig.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("blue"), "{}", text(&output.stderr));
}

/// A migration that has begun, as a process that is gone left it; its journal.
async fn begun(root: &Path) -> std::path::PathBuf {
    use crossfade::act::directory::{Directory, HeldDirectory};
    use crossfade::act::store::Store;
    use crossfade::migration::state::{Origin, Phase, State};
    use crossfade::observe::clock::Clock;
    let file = "tests/lab/checkout.yaml";
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let source = crossfade::policy::SourceFile { name: file.to_owned(), text };
    let definitions = crossfade::policy::load(&[source]).unwrap();
    let migration = definitions.migrations[0].clone();
    let policy = definitions.policy_of(&migration).unwrap().clone();
    let (directory, at) = (Directory::of(root, &migration), jiff::Timestamp::UNIX_EPOCH);
    let origin = Origin { at, planes: Default::default(), replicas: Default::default() };
    let mut state = State::new(crossfade::policy::Assignment { migration, policy }, at);
    state.phase = Phase::Mirroring { since: at, origin: origin.into() };
    let (mut store, _) = HeldDirectory::open(&directory, &Clock::at(at)).unwrap();
    store.decide(at, &state, Vec::new()).await.unwrap();
    directory.journal()
}

#[tokio::test]
async fn a_migration_that_has_begun_goes_on_without_its_files() {
    let state = tempfile::tempdir().unwrap();
    let (root, kubeconfig) = (state.path().to_str().unwrap(), state.path().join("kubeconfig"));
    std::fs::write(&kubeconfig, "apiVersion: v1\nkind: Config\nclusters: []\ncontexts: []\nusers: []\n").unwrap();
    let run = |name| {
        let config = kubeconfig.to_str().unwrap();
        let output = crossfade(&["run", "--migration", name, "--state-dir", root, "--kubeconfig", config]);
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let (code, said) = run("checkout");
    assert!(code == Some(2) && said.contains("no migration is called checkout"), "{said}");
    begun(state.path()).await;
    let (code, said) = run("checkout");
    // Its clusters are looked for as it was started; this kubeconfig has none.
    assert!(code == Some(2) && said.contains("going on where it was left") && said.contains("blue"), "{said}");
}

#[tokio::test]
async fn a_journal_that_somebody_edited_is_refused_and_left_as_it_is() {
    let state = tempfile::tempdir().unwrap();
    let journal = begun(state.path()).await;
    let edited = std::fs::read_to_string(&journal).unwrap().replacen("mirroring", "soaking", 1);
    std::fs::write(&journal, &edited).unwrap();
    let root = state.path().to_str().unwrap();
    let output = crossfade(&["run", "-f", "tests/lab/checkout.yaml", "--state-dir", root]);
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("journal.jsonl:2 is damaged"), "{said}");
    assert_eq!(std::fs::read_to_string(&journal).unwrap(), edited);
}

#[test]
fn the_files_we_ship_are_clean() {
    let policies = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")).unwrap();
    let policies: Vec<_> = policies.map(|entry| entry.unwrap().path().display().to_string()).collect();
    assert!(!policies.is_empty());
    // Both files have a migration of the same name, so each is checked by itself.
    for file in ["tests/lab/checkout.yaml", "src/demo/checkout.yaml"].map(str::to_owned).iter().chain(&policies) {
        let output = crossfade(&["policy", "lint", file]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
}

/// What the program comes to where nobody reads its answer: exit code, and what it says beside it.
fn unread(arguments: &[&str]) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR"))).args(arguments);
    let output = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    (output.status.code(), text(&output.stderr))
}

#[test]
fn a_closed_pipe_ends_what_only_shows() {
    for arguments in [
        &["policy", "lint", "src/demo/checkout.yaml"][..],
        &["completions", "bash"],
        &["status", "--watch", "--state-dir", "/nonexistent"],
        &["status", "-o", "json", "--state-dir", "/nonexistent"],
    ] {
        assert_eq!(unread(arguments), (Some(0), String::new()), "{arguments:?}");
    }
    assert_eq!(unread(&["policy", "lint", "tests/bad/policy.yaml", "-o", "json"]).0, Some(2));
}

#[test]
fn a_closed_pipe_does_not_end_what_drives() {
    assert_eq!(unread(&["demo"]), (Some(0), String::new()));
}

#[test]
fn status_tells_what_it_cannot_read() {
    let state = tempfile::tempdir().unwrap();
    let root = state.path().to_str().unwrap();
    let migration = state.path().join("shop.checkout");
    std::fs::create_dir(&migration).unwrap();
    std::fs::write(migration.join("journal.jsonl"), "").unwrap();
    assert_eq!(crossfade(&["status", "--state-dir", root]).status.code(), Some(0), "it has not reported yet");
    std::fs::write(migration.join("report.json"), "{").unwrap();
    let file = migration.join("report.json");
    for root in [root, file.to_str().unwrap()] {
        let output = crossfade(&["status", "--state-dir", root, "-o", "json"]);
        assert_eq!(output.status.code(), Some(1));
        let refused: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(refused["error"].as_str().unwrap().contains("report.json"), "{refused}");
    }
}

#[test]
fn scripts_are_told_of_bad_input_as_json() {
    for arguments in [
        &["run", "-o", "json", "-f", "no/such/file.yaml"][..],
        &["policy", "lint", "-o", "json", "no/such/file.yaml"],
        &["status", "nobody", "-o", "json", "--state-dir", "/nonexistent"],
    ] {
        let output = crossfade(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let refused: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(refused["error"].is_string(), "{arguments:?}: {refused}");
    }
}

#[test]
fn shells_can_complete_every_verb() {
    for shell in ["bash", "zsh", "fish"] {
        let output = crossfade(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0));
        let script = text(&output.stdout);
        assert!(["status", "approve", "completions"].iter().all(|verb| script.contains(verb)), "{script}");
    }
}

#[test]
fn a_plugin_of_kubectl_calls_itself_what_people_type() {
    let directory = tempfile::tempdir().unwrap();
    let plugin = directory.path().join("kubectl-crossfade");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_crossfade"), &plugin).unwrap();
    let output = Command::new(plugin).args(["run", "--help"]).output().unwrap();
    assert!(text(&output.stdout).contains("Usage: kubectl crossfade run"), "{}", text(&output.stdout));
    assert!(text(&crossfade(&["run", "--help"]).stdout).contains("Usage: crossfade run"));
}

#[test]
fn lint_says_what_a_policy_can_see() {
    let arguments =
        ["policy", "lint", "policies/careful.yaml", "--rate", "200", "--healthy", "0.2%", "--scrape", "60s"];
    let output = crossfade(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    for told in ["holds 2.0 scrapes", "step 1 goes on before errors could have seen 0.40%", "rolled back 0.10%"] {
        assert!(shown.contains(told), "{shown}");
    }
    assert!(!shown.contains("step 3 goes on before"), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    let output = crossfade(&[&arguments[..], &["-o", "json"]].concat());
    let clean: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(clean["forecasts"][0]["steps"].as_array().map(Vec::len), Some(4), "{clean}");
    for wrong in [&["--rate", "0"][..], &["--healthy", "2"], &["--rate", "9", "--healthy", "0"], &["--scrape", "soon"]]
    {
        let output = crossfade(&[&["policy", "lint", "policies/careful.yaml"], wrong].concat());
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}

/// A server that answers so many requests, each with what `answer` makes of its body.
fn prometheus(requests: usize, answer: fn(&str) -> String) -> (String, std::thread::JoinHandle<()>) {
    use std::io::{BufRead, BufReader, Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let serve = move || {
        for _ in 0..requests {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let answer = answer(&text(&body));
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", answer.len());
            stream.write_all((head + &answer).as_bytes()).unwrap();
        }
    };
    (address, std::thread::spawn(serve))
}

#[test]
fn explain_asks_once_and_says_why() {
    // As one query, in this order: bad and all of blue, of green, and how old the newest samples are.
    let (address, server) = prometheus(1, |asked| {
        assert!(asked.contains("timestamp"), "{asked}");
        let series = |(index, value): (usize, &&str)| serde_json::json!({"metric": {"crossfade_query": index.to_string()}, "value": [1, value]});
        let series: Vec<_> = ["2", "1000", "120", "1000", "3", "4.5"].iter().enumerate().map(series).collect();
        serde_json::json!({"status": "success", "data": {"resultType": "vector", "result": series}}).to_string()
    });
    let lab = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/checkout.yaml")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("checkout.yaml");
    std::fs::write(&file, lab.replace("http://10.213.0.22:9090", &address)).unwrap();
    let output = crossfade(&["policy", "explain", "-f", file.to_str().unwrap()]);
    server.join().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    for told in [
        "cluster=\"green\",code=~\"5..\"",
        "2.0 of 1000.0 requests bad",
        "120.0 of 1000.0 requests bad; newest sample 4.5 s old",
        "Fail",
        "proof",
    ] {
        assert!(shown.contains(told), "{told} in {shown}");
    }
}

#[test]
fn explain_counts_what_probes_and_planes_do_between_two_looks() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let lab = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/checkout.yaml")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (file, socket) = (directory.path().join("checkout.yaml"), directory.path().join("nobody.sock"));
    let metrics = lab.find("      - name: errors").unwrap()..lab.find("    share:").unwrap();
    let ours = format!(
        "      - {{name: alive, probe: {{tcp: \"{{{{ cluster }}}}:{port}\"}}, max: 1%, minSamples: 1}}\n      - {{name: edge, planeErrors: {{plane: edge}}, max: 1%}}\n"
    );
    let text_of_file = lab.replace(&lab[metrics], &ours).replace("{context: blue}", "{context: localhost}");
    let text_of_file = text_of_file.replace("{context: green}", "{context: nowhere.invalid}");
    std::fs::write(&file, text_of_file.replace("/run/crossfade-lab/haproxy.sock", socket.to_str().unwrap())).unwrap();
    let output = crossfade(&["policy", "explain", "-f", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    for told in [
        "asks      nowhere.invalid:",
        "source    0.0 of 1.0 requests bad",
        "target    1.0 of 1.0 requests bad",
        "edge has not been read twice yet",
    ] {
        assert!(shown.contains(told), "{told} in {shown}");
    }
}
