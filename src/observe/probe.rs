//! Questions of our own to both sides, one of each kind in every look. IO.
//!
//! They are asked by whoever drives the migration, from where that runs, and go past the planes: there is no agent inside the clusters yet.
//! So they tell that a side answers at all, not how its users fare, and they go on telling it while Prometheus is away. What is not
//! answered well in time is a bad one; that a name cannot be resolved is, too, because a user would fare no better.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use reqwest::Client;
use tokio::net::TcpStream;

use super::counters::History;
use crate::analysis::questions::Questions;
use crate::analysis::record;
use crate::http;
use crate::migration::snapshot::{Counters, MetricSample};
use crate::policy::metric::{ProbeSpec, ProbeWay};
use crate::policy::{Assignment, MetricSource, Name};

/// The probes of one migration, and what they came to.
#[derive(Default)]
pub(super) struct Probes {
    clients: Option<Clients>,
    counted: BTreeMap<Name, (Counters, Counters)>,
    history: History,
}

/// What a look's probes came to: whether source and target answered well.
pub(super) type Answered = BTreeMap<Name, (bool, bool)>;

impl Probes {
    /// Asks both sides whatever the policy's probes ask.
    pub(super) async fn ask(&mut self, assignment: &Assignment) -> Answered {
        let questions = Questions::of(assignment);
        let probes = assignment.policy.analysis.metrics.iter().filter_map(|spec| match &spec.source {
            MetricSource::Probe(probe) => Some((&spec.name, probe)),
            _ => None,
        });
        let probes: Vec<_> = probes.collect();
        if probes.is_empty() {
            return Answered::new();
        }
        let clients = match &mut self.clients {
            Some(clients) => &*clients,
            none => match Clients::new() {
                Ok(clients) => &*none.insert(clients),
                Err(error) => {
                    tracing::warn!(%error, "no probe can be made");
                    return Answered::new();
                }
            },
        };
        let asked = probes.into_iter().map(|(name, probe)| async {
            let mut sides = questions.for_both(probe.way.address());
            let (source, target) = (sides.next().unwrap_or_default(), sides.next().unwrap_or_default());
            let both = tokio::join!(clients.is_well(probe, &source), clients.is_well(probe, &target));
            (name.clone(), both)
        });
        join_all(asked).await.into_iter().collect()
    }

    /// Takes in what a look came to.
    pub(super) fn note(&mut self, now: Timestamp, window: SignedDuration, answered: &Answered) {
        for (name, (source, target)) in answered {
            let (before, after) = self.counted.entry(name.clone()).or_default();
            for (counters, well) in [(before, source), (after, target)] {
                counters.requests += 1;
                counters.failed += u64::from(!well);
            }
            self.history.note(now, name, self.counted.get(name).copied(), window);
        }
    }

    /// What one of them came to within the window.
    pub(super) fn of(&self, name: &Name) -> MetricSample {
        self.history.of(name)
    }

    /// The same since the first one.
    pub(super) fn since_start(&self, name: &Name) -> Option<record::Reading> {
        self.history.since_start(name)
    }
}

struct Clients {
    http: Client,
    grpc: Client,
}

impl Clients {
    fn new() -> reqwest::Result<Self> {
        // A new connection each time: one that was open before says little about who comes now. And no proxy: it would answer for us.
        let fresh = || http::client().pool_max_idle_per_host(0).no_proxy();
        Ok(Self { http: fresh().build()?, grpc: fresh().http2_prior_knowledge().build()? })
    }

    async fn is_well(&self, probe: &ProbeSpec, address: &str) -> bool {
        let timeout = Duration::try_from(probe.timeout).unwrap_or_default();
        let asked = async {
            match &probe.way {
                ProbeWay::Http(_) => {
                    let answer = self.http.get(address).send().await.ok()?;
                    (answer.status().as_u16() < 400).then_some(())
                }
                ProbeWay::Tcp(_) => TcpStream::connect(address).await.ok().map(|_| ()),
                ProbeWay::Grpc { service, .. } => {
                    let url = format!("{}/grpc.health.v1.Health/Check", address.trim_end_matches('/'));
                    let call = self.grpc.post(url).header("content-type", "application/grpc").header("te", "trailers");
                    let answer = call.body(check(service)).send().await.ok()?.bytes().await.ok()?;
                    is_serving(&answer).then_some(())
                }
            }
        };
        tokio::time::timeout(timeout, asked).await.is_ok_and(|answer| answer.is_some())
    }
}

/// A `HealthCheckRequest` as gRPC frames it: not compressed, its length, and `service` as field 1.
fn check(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if let Some(length) = u8::try_from(service.len()).ok().filter(|length| (1..128).contains(length)) {
        message.extend([0x0a, length]);
        message.extend(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or_default().to_be_bytes();
    [&[0][..], &length, &message].concat()
}

/// Whether a `HealthCheckResponse` says `SERVING`: field 1 is 1.
fn is_serving(answer: &[u8]) -> bool {
    answer == [0, 0, 0, 0, 2, 0x08, 1]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    use http_body_util::Full;
    use hyper::body::{Bytes, Incoming};
    use hyper::service::service_fn;
    use hyper::{Request, Response};
    use tokio::net::TcpListener;

    fn probe(way: ProbeWay) -> ProbeSpec {
        ProbeSpec { way, timeout: SignedDuration::from_millis(500) }
    }

    #[tokio::test]
    async fn http_and_tcp() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let serving = crate::listener::serve(listener, |_| {
            service_fn(|request: Request<Incoming>| async move {
                let status = request.uri().path().trim_start_matches('/').parse().unwrap();
                Ok::<_, Infallible>(Response::builder().status::<u16>(status).body(Full::new(Bytes::new())).unwrap())
            })
        })
        .unwrap();
        let (clients, address) = (Clients::new().unwrap(), serving.address().to_string());
        let http = probe(ProbeWay::Http(String::new()));
        for (status, well) in [(200, true), (302, true), (404, false), (503, false)] {
            assert_eq!(clients.is_well(&http, &format!("http://{address}/{status}")).await, well, "{status}");
        }
        let tcp = probe(ProbeWay::Tcp(String::new()));
        assert!(clients.is_well(&tcp, &address).await);
        drop(serving);
        assert!(!clients.is_well(&http, &format!("http://{address}/200")).await);
        assert!(!clients.is_well(&tcp, "nowhere.invalid:80").await);
    }

    #[tokio::test]
    async fn grpc_health() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service_fn(|request: Request<Incoming>| async move {
                    assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
                    let asked = http_body_util::BodyExt::collect(request.into_body()).await.unwrap().to_bytes();
                    let status = if asked == check("shop") { 1 } else { 2 };
                    let answer = vec![0, 0, 0, 0, 2, 0x08, status];
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(answer))))
                });
                let io = hyper_util::rt::TokioIo::new(stream);
                let executor = hyper_util::rt::TokioExecutor::new();
                tokio::spawn(hyper::server::conn::http2::Builder::new(executor).serve_connection(io, service));
            }
        });
        let clients = Clients::new().unwrap();
        let grpc = |service: &str| probe(ProbeWay::Grpc { url: String::new(), service: service.to_owned() });
        assert!(clients.is_well(&grpc("shop"), &url).await);
        assert!(!clients.is_well(&grpc("other"), &url).await);
        assert_eq!(check(""), [0, 0, 0, 0, 0]);
    }

    #[test]
    fn they_are_counted_within_the_window() {
        let (mut probes, name) = (Probes::default(), Name::new("alive").unwrap());
        let at = |second| Timestamp::from_second(second).unwrap();
        for (second, target) in [(0, true), (1, true), (2, false), (3, false)] {
            let answered = Answered::from([(name.clone(), (true, target))]);
            probes.note(at(second), SignedDuration::from_secs(10), &answered);
        }
        let counts = |bad| crate::migration::snapshot::SideSample::Counts { bad, total: 3.0 };
        assert_eq!((probes.of(&name).source, probes.of(&name).target), (counts(0.0), counts(2.0)));
        assert_eq!(probes.since_start(&name).unwrap().target, (2.0, 3.0));
    }

    /// Looks from the first lost question of the target on until it goes back, after so many good ones; one look a second.
    fn lost_until_proven(good: i64) -> i64 {
        use crate::analysis::record::{Record, Stage};
        use crate::gate::{Verdict, slo};
        use crate::policy::{SourceFile, load};
        let policy = r#"
apiVersion: crossfade.dev/v1alpha1
kind: ShiftPolicy
metadata: {name: p}
spec:
  steps: [{setWeight: 10}, {setWeight: 100}]
  analysis:
    interval: 1s
    window: 10s
    metrics:
      - {name: edge, planeErrors: {plane: edge}, max: 1%}
      - {name: alive, probe: {tcp: "{{ cluster }}:80"}, max: 1%}
"#;
        let definitions = load(&[SourceFile { name: "p".into(), text: policy.into() }]).unwrap();
        let analysis = &definitions.policies[0].analysis;
        let spec = &analysis.metrics[1];
        let (mut probes, mut record) = (Probes::default(), Record::new(spec, analysis.window));
        let at = |second| Timestamp::from_second(second).unwrap();
        let stage = Stage { step: 0, of: 2, since: at(0), settled: Some(at(0)) };
        let lost = (0..good + 60).find(|second| {
            probes.note(at(*second), analysis.window, &Answered::from([(spec.name.clone(), (true, *second <= good))]));
            let learnt = record.learn(at(*second), stage, probes.since_start(&spec.name));
            let finding = slo::judge(spec, &probes.of(&spec.name), Some(&learnt), analysis.proof(spec));
            finding.verdict == Verdict::Fail
        });
        lost.unwrap() - good
    }

    #[test]
    fn a_handful_of_lost_questions_is_proof() {
        assert_eq!(lost_until_proven(0), 4, "at the beginning of a step");
        let late = [13, 117, 1_006].map(lost_until_proven);
        assert!(late.iter().all(|lost| (4..=15).contains(lost)), "later on it may take a window more: {late:?}");
    }
}
