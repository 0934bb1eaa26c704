//! Where the numbers of a metric come from. PURE.

use jiff::SignedDuration;

use super::Asking;
use crate::analysis::template::TemplateError;
use crate::analysis::{promql, template};
use crate::policy::cursor::{Cursor, Fields};
use crate::policy::metric::*;

pub(super) fn source(fields: &mut Fields<'_>, asking: Asking<'_>) -> Option<MetricSource> {
    const KINDS: &[&str] = &["errorRate", "slowRate", "planeErrors", "probe", "quantile", "value", "alerts"];
    let (kind, at) = fields.variant(KINDS)?;
    let asks = !matches!(kind, "planeErrors" | "probe");
    if asks && asking.prometheus == Some(&None) {
        let _: Option<()> = at.refuse("needs a Prometheus to ask", Some("add analysis.prometheus.address"));
    }
    Some(match kind {
        "errorRate" => {
            let (errors, total, strata) = queries(&at, "errors")?;
            MetricSource::ErrorRate { errors, total, strata }
        }
        "slowRate" => {
            let (within, total, strata) = queries(&at, "within")?;
            MetricSource::SlowRate { within, total, strata }
        }
        "planeErrors" => {
            let mut fields = at.fields()?;
            let plane = fields.require("plane").and_then(|at| at.name());
            fields.finish();
            MetricSource::PlaneErrors { plane: plane? }
        }
        "probe" => MetricSource::Probe(probe(&at)?),
        "quantile" => MetricSource::Value(quantile(&at, asking)?),
        "value" => MetricSource::Value(value(&at, asking)?),
        _ => MetricSource::Value(alerts(&at)?),
    })
}

/// A query that counts some requests, called `some`, one that counts all, and the label that tells kinds of them apart.
fn queries(at: &Cursor<'_>, some: &'static str) -> Option<(String, String, Option<Box<Strata>>)> {
    let mut fields = at.fields()?;
    let counted = fields.require(some).and_then(|at| query(&at));
    let total = fields.require("total").and_then(|at| query(&at));
    let label = fields.get("strata");
    fields.finish();
    let (counted, total) = (counted?, total?);
    let strata = match label {
        Some(label) => Some(Box::new(strata(&label, &counted, &total)?)),
        None => None,
    };
    Some((counted, total, strata))
}

fn strata(at: &Cursor<'_>, counted: &str, total: &str) -> Option<Strata> {
    let label = at.text()?;
    match (promql::by(counted, &label), promql::by(total, &label)) {
        (Ok(counted), Ok(total)) => Some(Strata { label, counted, total }),
        (Err(why), _) | (_, Err(why)) => at.refuse(why.to_string(), Some(why.help())),
    }
}

fn probe(at: &Cursor<'_>) -> Option<ProbeSpec> {
    let mut fields = at.fields()?;
    let http = fields.get("http").map(|at| url(&at).map(ProbeWay::Http));
    let tcp = fields.get("tcp").map(|at| host_and_port(&at).map(ProbeWay::Tcp));
    let grpc = fields.get("grpc").map(|at| grpc(&at));
    let timeout = fields.or("timeout", SignedDuration::from_secs(1), |at| {
        match at.duration(SignedDuration::from_millis(10))? {
            timeout if timeout <= SignedDuration::from_secs(10) => Some(timeout),
            _ => at.refuse("is longer than 10s, and every pass would wait as long", None),
        }
    });
    fields.finish();
    let mut ways = [http, tcp, grpc].into_iter().flatten();
    let way = match (ways.next(), ways.next()) {
        (Some(way), None) => way,
        _ => return at.refuse("needs exactly one of http, tcp, grpc", None),
    };
    Some(ProbeSpec { way: way?, timeout: timeout? })
}

fn grpc(at: &Cursor<'_>) -> Option<ProbeWay> {
    let mut fields = at.fields()?;
    let url = fields.require("url").and_then(|at| url(&at));
    let service = fields.or("service", String::new(), |at| at.text());
    fields.finish();
    Some(ProbeWay::Grpc { url: url?, service: service? })
}

/// Where a probe names the cluster.
const HOST: &str = "write {{ cluster }} in its host name";

fn url(at: &Cursor<'_>) -> Option<String> {
    let text = both_sides(at, Some(HOST))?;
    let known = text.starts_with("http://") || text.starts_with("https://");
    if known { Some(text) } else { at.refuse("is not a URL", Some("write http://shop.{{ cluster }}.example/healthz")) }
}

fn host_and_port(at: &Cursor<'_>) -> Option<String> {
    let text = both_sides(at, Some(HOST))?;
    let port = text.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
    let is_port = matches!(port, Some(Ok(port)) if port > 0);
    if is_port { Some(text) } else { at.refuse("is not host:port", Some("write shop.{{ cluster }}.example:443")) }
}

/// A template that tells the two clusters apart.
fn both_sides(at: &Cursor<'_>, help: Option<&str>) -> Option<String> {
    let text = at.text()?;
    match template::check(&text) {
        Ok(()) | Err(TemplateError::NoWindow) => Some(text),
        Err(error @ TemplateError::NoCluster) => at.refuse(error.to_string(), help.or(Some(error.help()))),
        Err(error) => at.refuse(error.to_string(), Some(error.help())),
    }
}

fn quantile(at: &Cursor<'_>, asking: Asking<'_>) -> Option<ValueSpec> {
    let mut fields = at.fields()?;
    let buckets = fields.require("buckets").and_then(|at| query(&at));
    let q_at = fields.require("q");
    let q = q_at.as_ref().and_then(|at| at.fraction());
    let range_and_time = range(&mut fields, asking.window);
    fields.finish();
    if let (Some(at), Some(0.0 | 1.0)) = (&q_at, q) {
        return at.refuse("is the least or the greatest of all, which buckets do not tell", Some("write 0.99"));
    }
    let (buckets, q, (range, lasting)) = (buckets?, q?, range_and_time?);
    Some(ValueSpec {
        kind: ValueKind::Quantile,
        query: format!("histogram_quantile({q}, {buckets})"),
        // Each bucket counts those below it too, so the greatest one counts all.
        total: Some(format!("max({buckets})")),
        range,
        lasting,
    })
    .filter(|value| reads(at, &value.query))
}

fn value(at: &Cursor<'_>, asking: Asking<'_>) -> Option<ValueSpec> {
    let mut fields = at.fields()?;
    let query = fields.require("query").and_then(|at| {
        let text = both_sides(&at, None)?;
        reads(&at, &text).then_some(text)
    });
    let range_and_time = range(&mut fields, asking.window);
    fields.finish();
    let (range, lasting) = range_and_time?;
    Some(ValueSpec { kind: ValueKind::Value, query: query?, total: None, range, lasting })
}

fn alerts(at: &Cursor<'_>) -> Option<ValueSpec> {
    let mut fields = at.fields()?;
    let matching = fields.require("matching").and_then(|at| {
        let text = at.text()?;
        let inner = text
            .trim()
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
            .map(|inner| inner.trim().trim_end_matches(','));
        let Some(inner) = inner.filter(|inner| !inner.is_empty()) else {
            return at.refuse("is not a selector", Some(r#"write '{severity="page",cluster="{{ cluster }}"}'"#));
        };
        let query = format!(r#"count(ALERTS{{alertstate="firing",{inner}}}) or vector(0)"#);
        match template::check(&query) {
            Err(error @ (TemplateError::Unknown(_) | TemplateError::Unclosed)) => {
                at.refuse(error.to_string(), Some(error.help()))
            }
            _ => reads(&at, &query).then_some(query),
        }
    });
    fields.finish();
    let range = Range { min: None, max: Some(0.0) };
    // Rules have a time of their own before they fire.
    let lasting = SignedDuration::ZERO;
    Some(ValueSpec { kind: ValueKind::Alerts, query: matching?, total: None, range, lasting })
}

/// `min`, `max` and `for`.
fn range(fields: &mut Fields<'_>, window: SignedDuration) -> Option<(Range, SignedDuration)> {
    let min = fields.or("min", None, |at| at.number().map(Some));
    let max_at = fields.get("max");
    let max = max_at.as_ref().map_or(Some(None), |at| at.number().map(Some));
    let lasting = fields.or("for", window, |at| at.duration(SignedDuration::ZERO));
    let range = Range { min: min?, max: max? };
    match (range, max_at) {
        (Range { min: None, max: None }, _) => fields.refuse("needs min, max or both, or it can never fail"),
        (Range { min: Some(min), max: Some(max) }, Some(at)) if min > max => {
            at.refuse(format!("is below min, which is {min}, so it can never pass"), None)
        }
        _ => Some((range, lasting?)),
    }
}

/// A query that tells the two clusters apart and follows the window.
pub(in crate::policy::decode) fn query(at: &Cursor<'_>) -> Option<String> {
    let text = at.text()?;
    if let Err(error) = template::check(&text) {
        return at.refuse(error.to_string(), Some(error.help()));
    }
    reads(at, &text).then_some(text)
}

/// Whether it is PromQL that gives numbers.
fn reads(at: &Cursor<'_>, text: &str) -> bool {
    match promql::read(text) {
        Ok(_) => true,
        Err(why) => at.refuse::<()>(why, None).is_some(),
    }
}
