//! A plan for people, in the manner of a diff. PURE.

use std::fmt::Write;

use serde_json::Value;

use super::draw::{Plan, Planned, Step};
use crate::cluster::Change;

/// The plan, as long as it has to be.
pub fn text(plan: &Plan) -> String {
    let mut out = String::new();
    let count = |step: Step| plan.objects.iter().filter(|planned| planned.step == step).count();
    let [source, target] = [&plan.migration.source, &plan.migration.target].map(|cluster| cluster.name());
    line(
        &mut out,
        format_args!(
            "Plan of {} from {source} ({}) to {target} ({})",
            plan.migration.name, plan.source_version, plan.target_version
        ),
    );
    let (create, change, keep) = (count(Step::Create), count(Step::Change), count(Step::Keep));
    line(&mut out, format_args!("{create} to create, {change} to change, {keep} as they should be, in this order:\n"));
    plan.objects.iter().for_each(|planned| one(planned, &mut out));
    if !plan.effects.is_empty() {
        line(&mut out, "\nOutside of the cluster:");
        plan.effects.iter().for_each(|effect| {
            line(&mut out, format_args!("  ! {}: {}: {}", effect.object, effect.field, effect.what))
        });
    }
    if let Some(room) = &plan.room {
        let fits = if room.fits { "which is free on the target" } else { "which is more than is free on the target" };
        line(&mut out, format_args!("\nThe pods ask for {}, {fits}.", room.asked));
    }
    for (blocks, title) in [(false, "\nWorth knowing:"), (true, "\nIn the way:")] {
        let problems: Vec<_> = plan.problems.iter().filter(|problem| problem.blocks == blocks).collect();
        if !problems.is_empty() {
            line(&mut out, title);
        }
        for problem in problems {
            line(&mut out, format_args!("  {} {problem}", if blocks { "✗" } else { "-" }));
        }
    }
    out
}

fn one(planned: &Planned, out: &mut String) {
    let sign = match planned.step {
        Step::Create => '+',
        Step::Change => '~',
        Step::Keep => '=',
    };
    line(out, format_args!("{sign} {}", planned.object));
    if let Some(from) = planned.from.as_ref().filter(|from| **from != planned.object) {
        line(out, format_args!("    is {from} on the source"));
    }
    let version = planned.manifest.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    if let Some(read) = planned.read_as.as_deref().filter(|read| *read != version) {
        line(out, format_args!("    converted: {read} → {version}"));
    }
    if let Some(replicas) = planned.initial_replicas {
        line(out, format_args!("    starts with {replicas} pods; its autoscaler decides from then on"));
    }
    for change in &planned.on_the_way {
        line(out, format_args!("    on the way: {}", changed(change)));
    }
    for change in &planned.changes {
        // The fingerprint alone means that something is no longer wanted.
        let fingerprint = change.field.contains("crossfade.dev/digest");
        match (fingerprint, planned.changes.len()) {
            (true, 1) => line(out, "    fields that are no longer wanted go"),
            (true, _) => {}
            (false, _) => line(out, format_args!("    on the target: {}", changed(change))),
        }
    }
}

fn changed(Change { field, from, to }: &Change) -> String {
    match (from, to) {
        (Some(from), Some(to)) => format!("{field}: {} → {}", short(from), short(to)),
        (Some(from), None) => format!("{field}: {} is left out", short(from)),
        (None, Some(to)) => format!("{field}: {} is added", short(to)),
        (None, None) => format!("{field}: differs (values of Secrets are not shown)"),
    }
}

/// A value on one line.
fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 { text } else { text.chars().take(59).chain(['…']).collect() }
}

fn line(out: &mut String, text: impl std::fmt::Display) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{text}");
}
