//! The controller between the two real clusters, with green as its home and no more rights than `deploy/` grants.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::scenarios::{RATE, WAY};
use super::stage::{Lab, lab as lab_command, root};

/// How long a lease lasts, and how much later somebody else has to lead.
const LEASE: Duration = Duration::from_secs(15);
const SOON: Duration = Duration::from_secs(1);

/// Green as a home: definitions, account, registered clusters, and nothing left of an earlier test.
struct Home<'l> {
    lab: &'l Lab,
    kubeconfig: PathBuf,
}

impl<'l> Home<'l> {
    fn set(lab: &'l Lab) -> Self {
        let home = Self { lab, kubeconfig: lab.state.path().join("home.kubeconfig") };
        home.clear();
        let deploy = |name: &str| std::fs::read_to_string(root().join("deploy").join(name)).unwrap();
        home.apply(&deploy("crds.yaml"));
        let crds = ["migrations", "shiftpolicies", "clusters"].map(|plural| format!("crd/{plural}.crossfade.dev"));
        let [a, b, c] = &crds;
        home.admin(&["wait", "--for=condition=Established", a, b, c, "--timeout=30s"]);
        // There is no image of it in the lab; what is asked for its pods has to be valid all the same.
        let controller = deploy("controller.yaml");
        let runs_pods =
            |document: &&str| document.contains("kind: Deployment") || document.contains("kind: PodDisruptionBudget");
        let (pods, rest): (Vec<&str>, Vec<&str>) = controller.split("\n---\n").partition(runs_pods);
        home.apply(&rest.join("\n---\n"));
        home.kubectl(&["apply", "--dry-run=server", "-f", "-"], &pods.join("\n---\n"));
        home.apply(&deploy("secrets-role.yaml"));
        home.account();
        for cluster in ["blue", "green"] {
            let file = home.kubeconfig(cluster).to_string();
            home.apply(
                &json!({
                    "apiVersion": "v1", "kind": "Secret", "metadata": {"name": cluster, "namespace": "shop"},
                    "stringData": {"kubeconfig": file},
                })
                .to_string(),
            );
            home.apply(
                &json!({
                    "apiVersion": "crossfade.dev/v1alpha1", "kind": "Cluster",
                    "metadata": {"name": cluster, "namespace": "shop"},
                    "spec": {"kubeconfig": {"secretRef": {"name": cluster}}},
                })
                .to_string(),
            );
        }
        home
    }

    /// A kubeconfig of the ServiceAccount in `deploy/controller.yaml`.
    fn account(&self) {
        let token = self.admin(&["create", "token", "crossfade", "--namespace", "crossfade-system"]);
        let mut file = self.kubeconfig("green");
        file["users"][0]["user"] = json!({"token": token.trim()});
        std::fs::write(&self.kubeconfig, file.to_string()).unwrap();
    }

    /// `kubectl` as an administrator: whether it succeeded, and what it said.
    fn tried(&self, arguments: &[&str], stdin: &str) -> (bool, String) {
        let mut command = Command::new(self.lab.env("XF_KUBECTL"));
        command.env("KUBECONFIG", self.lab.env("KUBECONFIG")).args(["--context", "green-admin"]).args(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = if output.status.success() { output.stdout } else { output.stderr };
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// The kubeconfig of Crossfade's own account on a cluster, by itself.
    fn kubeconfig(&self, context: &str) -> Value {
        let mut command = Command::new(self.lab.env("XF_KUBECTL"));
        command.env("KUBECONFIG", self.lab.env("KUBECONFIG"));
        command.args(["config", "view", "--raw", "--minify", "--context", context, "--output", "json"]);
        serde_json::from_slice(&command.output().unwrap().stdout).unwrap()
    }

    fn kubectl(&self, arguments: &[&str], stdin: &str) -> String {
        let (succeeded, said) = self.tried(arguments, stdin);
        assert!(succeeded, "kubectl {arguments:?}: {said}");
        said
    }

    fn admin(&self, arguments: &[&str]) -> String {
        self.kubectl(arguments, "")
    }

    fn apply(&self, document: &str) {
        self.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", "-"], document);
    }

    /// Takes away whatever a test brought, finalizers first.
    fn clear(&self) {
        let (_, names) = self.tried(&["get", "migrations", "-n", "shop", "-o", "name", "--ignore-not-found"], "");
        for name in names.lines().filter(|name| name.starts_with("migration")) {
            let patch = r#"{"metadata":{"finalizers":null}}"#;
            self.tried(&["patch", name, "-n", "shop", "--type=merge", "-p", patch], "");
        }
        let crds = ["migrations", "shiftpolicies", "clusters"].map(|plural| format!("{plural}.crossfade.dev"));
        let [a, b, c] = &crds;
        self.admin(&["delete", "crd", "--ignore-not-found", a, b, c]);
        self.admin(&["delete", "secret", "-n", "shop", "--ignore-not-found", "blue", "green"]);
        self.admin(&["delete", "lease", "-n", "crossfade-system", "--ignore-not-found", "crossfade"]);
    }

    fn object(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let arguments = ["get", kind, name, "--namespace", namespace, "--output", "json"];
        let (succeeded, said) = self.tried(&arguments, "");
        succeeded.then(|| serde_json::from_str(&said).unwrap())
    }

    fn status(&self, name: &str) -> Value {
        self.object("migration", "shop", name).map(|object| object["status"].clone()).unwrap_or_default()
    }

    fn until_status(&self, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let look = || Some(self.status(name)).filter(&holds);
        self.lab.until(
            &format!("{name} {what}; its status is {}", self.status(name)["conditions"]),
            Duration::from_secs(120),
            look,
        )
    }

    fn holder(&self) -> Option<String> {
        let lease = self.object("lease", "crossfade-system", "crossfade")?;
        lease["spec"]["holderIdentity"].as_str().map(str::to_owned)
    }

    /// Starts a controller that calls itself so.
    fn controller(&self, identity: &str) -> Controller {
        let log = self.lab.state.path().join(format!("controller-{identity}.log"));
        let errors = File::options().create(true).append(true).open(&log).unwrap();
        let mut command = self.lab.crossfade();
        command.env("KUBECONFIG", &self.kubeconfig).env("CROSSFADE_LOG", "warn,crossfade=info,kube_client=off");
        command.args(["controller", "--identity", identity]).stdout(Stdio::null()).stderr(errors);
        Controller { child: command.spawn().unwrap(), log }
    }

    /// The lab's migration over registered clusters, with its looks `window` long.
    fn migrate(&self, window: &str) {
        let text = std::fs::read_to_string(self.lab.file(window)).unwrap();
        let text = text
            .replace("{context: ", "{cluster: ")
            .replace("metadata: {name: lab}", "metadata: {name: lab, namespace: shop}");
        self.apply(&text);
    }
}

impl Drop for Home<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.clear();
        }
    }
}

struct Controller {
    child: Child,
    log: PathBuf,
}

impl Controller {
    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success(), "kill {signal}");
    }

    fn told(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn accepted(status: &Value) -> (&str, &str) {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let accepted = conditions.into_iter().find(|condition| condition["type"] == "Accepted");
    accepted.map_or(("", ""), |accepted| (accepted["reason"].as_str().unwrap(), accepted["message"].as_str().unwrap()))
}

fn waits(status: &Value, reason: &str, weight: &str) -> bool {
    status["waiting"] == reason && status["weight"] == weight
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how soon somebody takes over is measured by the wall")]
fn e_two_controllers_and_one_that_was_frozen_past_its_lease() {
    let lab = Lab::reset();
    let home = Home::set(&lab);
    let mut first = home.controller("first");
    lab.until("first leads", Duration::from_secs(20), || home.holder().filter(|holder| holder == "first"));
    let mut second = home.controller("second");
    let load = lab.load(RATE, "300s");
    load.answered(100);

    let (weights, ()) = lab.watched(&WAY, || {
        home.migrate("5s");
        home.until_status("checkout", "is at 1%", |status| waits(status, "Window", "1%"));
        others_are_told(&home);
        home.until_status("checkout", "is at 25%", |status| waits(status, "Window", "25%"));

        let epoch = home.status("checkout")["epoch"].as_u64();
        first.signal("-STOP");
        let frozen = Instant::now();
        lab.until("second leads", LEASE * 2, || home.holder().filter(|holder| holder == "second"));
        let took = frozen.elapsed();
        assert!(took <= LEASE + SOON, "it took {took:.1?}");
        let resumed = home.until_status("checkout", "is driven again", |status| status["epoch"].as_u64() > epoch);
        let again = frozen.elapsed();
        assert!(again <= LEASE + SOON * 3, "the first decision came after {again:.1?}");
        println!(
            "frozen; a standby led after {took:.1?} and had the migration after {again:.1?} ({})",
            resumed["weight"]
        );

        first.signal("-CONT");
        lab.until("first knows", Duration::from_secs(10), || first.told().contains("leads no longer").then_some(()));
        home.until_status("checkout", "is at 50%", |status| waits(status, "Window", "50%"));

        lab_command(&["stop", "green-apiserver"]);
        lab.until("second knows", Duration::from_secs(30), || {
            assert!(second.is_alive(), "it ended:\n{}", second.told());
            second.told().contains("leads no longer").then_some(())
        });
        assert_eq!(lab.weights(), (50, 50), "without its home nothing moves");
        lab_command(&["start", "green-apiserver"]);
        home.until_status("checkout", "waits for a commit", |status| waits(status, "Commit", "100%"));
    });
    assert_eq!(weights.reached, WAY, "each step once, by whomever");
    assert!(weights.outside.is_empty(), "no weight outside its step: {weights:?}");
    assert!(first.is_alive(), "a former leader stands by");

    let status = lab.say(&["status", "--context", "green-admin", "-o", "json"]);
    let told: Value = serde_json::from_slice(&status.stdout).unwrap();
    let entry = told.as_array().unwrap().iter().find(|entry| entry["name"] == "shop.checkout").unwrap();
    assert_eq!(entry["report"]["waiting"]["reason"], "Commit", "another terminal sees the same");
    let committed = lab.say(&["commit", "checkout", "--context", "green-admin", "--namespace", "shop"]);
    assert_eq!(committed.status.code(), Some(0), "{}", String::from_utf8_lossy(&committed.stderr));
    let status = home.until_status("checkout", "is completed", |status| status["phase"] == "Completed");
    let reply = status["replies"].as_array().unwrap().last().unwrap();
    assert_eq!((&reply["by"], &reply["request"]), (&json!("admin"), &json!("commit")));
    one_writer_an_epoch(&status);

    load.answered(200);
    let counts = load.end();
    lab.nobody_failed(&counts);
    assert_eq!(lab.weights(), (0, 100));
    assert_eq!(lab.object("blue", "deployment", "checkout")["spec"]["replicas"], 0);
    let events = home.admin(&["get", "events.events.k8s.io", "-n", "shop", "-o", "jsonpath={.items[*].reason}"]);
    for reason in ["Mirroring", "Window", "Commit", "Completed"] {
        assert!(events.split(' ').any(|event| event == reason), "{reason} in {events}");
    }
    home.admin(&["delete", "migration", "checkout", "-n", "shop", "--timeout=20s"]);
    assert!(home.object("migration", "shop", "checkout").is_none(), "what is completed goes at once");
    println!("0 of {} requests failed", counts.number("sent"));
}

/// What is wrong with one object is said on that object, and the others do not notice.
fn others_are_told(home: &Home<'_>) {
    let checkout = std::fs::read_to_string(home.lab.file("5s")).unwrap().replace("{context: ", "{cluster: ");
    let (migration, policy) = checkout.split_once("\n---\n").unwrap();
    let rival = migration.replace("{name: checkout,", "{name: rival,");
    home.apply(&rival);
    home.apply(&rival.replace("{name: rival,", "{name: odd,").replace("onCommit:", "onComit:"));
    let rival = home.until_status("rival", "is held", |status| accepted(status).0 == "Held");
    assert!(accepted(&rival).1.starts_with("shop/checkout moves the backend checkout"), "{rival}");
    let odd = home.until_status("odd", "is refused", |status| accepted(status).0 == "InvalidSpec");
    assert!(accepted(&odd).1.contains("spec.onComit: is not a field of this object"), "{odd}");
    home.admin(&["delete", "migration", "rival", "odd", "-n", "shop", "--timeout=20s"]);
    // What is wrong with a policy or a cluster is said on it, whether or not a migration names it.
    let broken =
        policy.replace("{name: lab}", "{name: short, namespace: shop}").replace("setWeight: 100", "setWeight: 90");
    home.apply(&broken);
    let lost = json!({
        "apiVersion": "crossfade.dev/v1alpha1", "kind": "Cluster", "metadata": {"name": "lost", "namespace": "shop"},
        "spec": {"kubeconfig": {"secretRef": {"name": "lost"}}},
    });
    home.apply(&lost.to_string());
    for (object, ready) in [
        ("shiftpolicy/lab", "True"),
        ("cluster/blue", "True"),
        ("cluster/green", "True"),
        ("shiftpolicy/short", "False"),
        ("cluster/lost", "False"),
    ] {
        home.admin(&["wait", "-n", "shop", &format!("--for=condition=Ready={ready}"), object, "--timeout=20s"]);
    }
    home.admin(&["delete", "shiftpolicy/short", "cluster/lost", "-n", "shop"]);
    // Its policy is edited under the migration, which goes on as it was begun.
    let patch = r#"{"spec":{"soak":"24h"}}"#;
    home.admin(&["patch", "shiftpolicy", "lab", "-n", "shop", "--type=merge", "-p", patch]);
    let follows = |status: &Value| {
        let conditions = status["conditions"].as_array().unwrap();
        conditions.iter().any(|condition| condition["type"] == "FollowsSpec" && condition["reason"] == "PolicyChanged")
    };
    home.until_status("checkout", "says that its policy was changed", follows);
    // Once somebody says so it follows the policy as it is then.
    let patch = r#"{"spec":{"soak":null,"stepDeadline":"25m"}}"#;
    home.admin(&["patch", "shiftpolicy", "lab", "-n", "shop", "--type=merge", "-p", patch]);
    home.lab.until("the policy is adopted", Duration::from_secs(60), || {
        let adopted = ["adopt-policy", "lab", "checkout", "--context", "green-admin", "--namespace", "shop"];
        home.lab.say(&adopted).status.success().then_some(())
    });
    let adopted = |status: &Value| {
        let conditions = status["conditions"].as_array().unwrap();
        conditions.iter().any(|condition| condition["type"] == "FollowsSpec" && condition["status"] == "True")
    };
    home.until_status("checkout", "follows its policy again", adopted);
}

/// Epochs in the journal only rise, and between two take-overs one process wrote.
fn one_writer_an_epoch(status: &Value) {
    let journal = status["journal"].as_array().unwrap();
    let lines: Vec<Value> = journal.iter().map(|line| serde_json::from_str(line.as_str().unwrap()).unwrap()).collect();
    let epochs: Vec<u64> = lines.iter().map(|line| line["epoch"].as_u64().unwrap()).collect();
    assert!(epochs.is_sorted(), "{epochs:?}");
    let mut opened: Vec<_> = lines.iter().filter(|line| line["record"] == "opened").map(|line| &line["by"]).collect();
    opened.dedup();
    assert_eq!(opened[..2], [&json!("first"), &json!("second")], "{opened:?}");
}

#[test]
fn f_a_deleted_migration_brings_traffic_back_before_it_goes() {
    let lab = Lab::reset();
    let home = Home::set(&lab);
    let controller = home.controller("only");
    let load = lab.load(RATE, "120s");
    load.answered(100);
    home.migrate("5s");
    home.until_status("checkout", "is at 25%", |status| waits(status, "Window", "25%"));
    home.admin(&["delete", "migration", "checkout", "-n", "shop", "--timeout=30s"]);
    assert_eq!(lab.weights(), (100, 0), "it went back first");
    // Ended in order it lets the lease go, and nobody has to wait.
    controller.signal("-TERM");
    lab.until("the lease is free", Duration::from_secs(10), || home.holder().filter(String::is_empty));
    let counts = load.end();
    lab.nobody_failed(&counts);
}

/// What the fence counts on: HAProxy ends a connection that was told to be brief, and what is sent on it afterwards changes nothing.
#[test]
fn g_haproxy_ends_the_connection_of_a_writer_that_was_frozen() {
    let lab = Lab::reset();
    let mut socket = UnixStream::connect(lab.env("XF_HAPROXY_SOCKET")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.write_all(b"prompt\nset timeout cli 2\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert_eq!(answer.matches("\n> ").count(), 2, "{answer:?}: two prompts, and then HAProxy hung up");
    // It stops answering a moment before the socket itself is gone; what is sent in between is not read either.
    let command = b"set server checkout/green weight 77\n";
    lab.until("the way is closed", Duration::from_secs(10), || socket.write_all(command).err());
    assert_eq!(lab.weights(), (100, 0));
}
