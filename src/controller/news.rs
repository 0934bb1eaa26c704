//! Events on a Migration: what people are told when it happens. IO.
//!
//! An Event is said once, when a phase or what it waits for changes, and again never: what numbers come to later is in the
//! status. Those that a rollback or a wait stands on are said with it. Reasons are the names of phases, waits and causes. An
//! Event that cannot be said is lost; nothing depends on it.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::DynamicObject;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Resource, ResourceExt};

use super::crd::Migration;
use super::home::{Home, PATIENCE};
use crate::migration::{Report, note};

/// Says what happens to migrations.
#[derive(Clone)]
pub struct News {
    recorder: Recorder,
}

impl News {
    /// Said by this process.
    pub fn new(home: &Home, identity: &str) -> Self {
        let reporter =
            Reporter { controller: "crossfade.dev/controller".to_owned(), instance: Some(identity.to_owned()) };
        Self { recorder: Recorder::new(home.client(), reporter) }
    }

    /// Says what a report has that the one before had not.
    pub fn report(&self, about: &ObjectReference, last: Option<&Report>, report: &Report) {
        let phase = last.map(|last| &last.phase) != Some(&report.phase);
        if phase {
            let note = report.cause.as_ref().map(note::of_cause);
            let reason = report.cause.as_ref().map_or_else(|| report.phase.clone(), |cause| cause.name().to_owned());
            let note = note.or_else(|| report.message.clone()).unwrap_or_else(|| report.phase.clone());
            self.say(about, report.cause.is_some(), &reason, &report.phase, &note);
        }
        let Some(waiting) = report.waiting.as_ref().filter(|waiting| !waiting.is_brief()) else { return };
        let before = last.and_then(|last| last.waiting.as_ref()).map(|waiting| waiting.reason());
        if before != Some(waiting.reason()) || report.needs_human && !last.is_some_and(|last| last.needs_human) {
            self.say(about, report.needs_human, waiting.reason(), &report.phase, &note::of_wait(report, waiting));
        }
    }

    /// Says one thing.
    pub fn say(&self, about: &ObjectReference, warning: bool, reason: &str, action: &str, note: &str) {
        let type_ = if warning { EventType::Warning } else { EventType::Normal };
        let note = note::fitted(note, &[]);
        let event =
            Event { type_, reason: reason.to_owned(), note: Some(note), action: action.to_owned(), secondary: None };
        let (recorder, about) = (self.recorder.clone(), about.clone());
        tokio::spawn(async move {
            match tokio::time::timeout(PATIENCE, recorder.publish(&event, &about)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, reason = event.reason, "event not said"),
                Err(_) => tracing::debug!(reason = event.reason, "event not said in time"),
            }
        });
    }
}

/// What an Event about a Migration refers to.
pub fn about(object: &DynamicObject) -> ObjectReference {
    ObjectReference {
        api_version: Some(Migration::api_version(&()).into_owned()),
        kind: Some(Migration::kind(&()).into_owned()),
        name: Some(object.name_any()),
        namespace: object.namespace(),
        uid: object.uid(),
        ..ObjectReference::default()
    }
}
