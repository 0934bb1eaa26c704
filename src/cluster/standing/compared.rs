//! How the desired objects compare with what the target holds. PURE.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Standing;
use crate::cluster::apply::ObjectState;
use crate::cluster::cover::covers;
use crate::cluster::digest::Print;
use crate::cluster::manifest::Manifest;
use crate::cluster::object::ObjectRef;
use crate::cluster::plan::Desired;

impl Standing {
    /// Notes whether the target holds an object as desired, as far as is known by now.
    pub(super) fn settle(&mut self, object: &ObjectRef) {
        match self.made_of.get_key_value(object) {
            Some((object, _)) if self.state(object) != Some(ObjectState::InSync) => {
                self.pending.insert(Arc::clone(object));
            }
            _ => _ = self.pending.remove(object),
        }
    }

    /// Compares what changed on the target with what is desired, and drops its JSON.
    pub(super) fn judge(&mut self) {
        for object in self.target.take_changed() {
            let covered = self.covered(&object, || self.target.get(&object)?.manifest());
            self.target.forget_body(&object);
            self.compared(&object, covered);
            self.stirred |= self.state(&object).is_some_and(|state| state != ObjectState::InSync);
        }
    }

    fn compared(&mut self, object: &ObjectRef, covered: Option<bool>) {
        if let Some(glimpse) = self.target.get_mut(object) {
            glimpse.compared(covered);
        }
        self.settle(object);
        if let Some(source) = self.made_of.get(object).filter(|_| covered == Some(true)).cloned() {
            self.make_room(&source);
        }
    }

    /// Whether an object of the target holds what is desired of it; `None` where the two cannot be compared.
    fn covered(&self, object: &ObjectRef, live: impl FnOnce() -> Option<Manifest>) -> Option<bool> {
        let digest = self.digest(object)?;
        if self.target.get(object)?.digest != Some(digest) {
            return None;
        }
        let (live, desired) = (live()?, self.desired(object)?);
        // What was told of the source since then is looked at later.
        let comparable = live.api_version() == desired.api_version() && Print::of(&desired.digest) == digest;
        comparable.then(|| covers(live.value(), desired.manifest.value()))
    }

    /// What has to be read from the target to be compared, in the version it is written in.
    pub fn unjudged(&self) -> Vec<(String, ObjectRef)> {
        let made = self.pending.iter().filter_map(|object| Some((object, self.sketch_of(object)?)));
        let unjudged = made.filter(|(object, sketch)| {
            let live = self.target.get(object).filter(|live| !live.deleting && live.covered.is_none());
            sketch.digest.is_some() && live.is_some_and(|live| live.digest == sketch.digest)
        });
        unjudged.map(|(object, sketch)| (sketch.api_version.to_string(), (**object).clone())).collect()
    }

    /// Compares an object that was read for that. One that is gone, or is another by now, is told about soon.
    pub fn judge_read(&mut self, object: &ObjectRef, live: Option<Manifest>) {
        let covered = self.covered(object, || live).unwrap_or(false);
        self.compared(object, Some(covered));
    }

    /// Of some desired objects, what of the source has to be read anew before they can be derived.
    pub fn without_body<'a>(&self, objects: impl Iterator<Item = &'a ObjectRef>) -> BTreeSet<ObjectRef> {
        let sources = objects.filter_map(|object| self.made_of.get(object));
        let bare = sources.filter(|source| self.seen(source).is_some_and(|seen| !seen.has_body()));
        bare.map(|source| (**source).clone()).collect()
    }

    /// How an object compares with what is desired of it; `None` where nothing is.
    pub fn state(&self, object: &ObjectRef) -> Option<ObjectState> {
        let digest = self.digest(object)?;
        Some(match self.target.get(object) {
            None => ObjectState::Missing,
            Some(live) if live.deleting || live.digest != Some(digest) => ObjectState::Differs,
            Some(live) if live.covered == Some(true) => ObjectState::InSync,
            Some(_) => ObjectState::Differs,
        })
    }

    /// The fingerprint of what is desired of an object.
    pub fn digest(&self, object: &ObjectRef) -> Option<Print> {
        self.sketch_of(object)?.digest
    }

    /// Notes how what is not followed is on the target.
    pub fn note_unfollowed(&mut self, states: &BTreeMap<ObjectRef, ObjectState>) {
        let desired = self.unfollowed();
        let state = |desired: &Desired| Some((desired.object().clone(), *states.get(desired.object())?));
        self.unfollowed = desired.iter().filter_map(state).collect();
    }

    /// Whether the namespace of an object is there already.
    pub fn has_home(&self, object: &ObjectRef) -> bool {
        let home = ObjectRef::new("Namespace", "", &object.namespace);
        self.unfollowed.iter().any(|(object, state)| *object == home && *state != ObjectState::Missing)
    }

    /// Every desired object in the order of writing, and how it compares.
    pub fn states(&self) -> impl Iterator<Item = (&ObjectRef, ObjectState)> {
        let unfollowed = self.unfollowed.iter().map(|(object, state)| (object, *state));
        unfollowed.chain(self.made().filter_map(|object| {
            let state = if self.pending.contains(object) { self.state(object)? } else { ObjectState::InSync };
            Some((object, state))
        }))
    }

    /// Those that the target does not hold as desired, in the order of writing.
    pub fn pending(&self) -> impl Iterator<Item = &ObjectRef> {
        let unfollowed = self.unfollowed.iter().filter(|(_, state)| *state != ObjectState::InSync);
        // Most of the time it is known at once that there is nothing.
        let made = self.made().filter(|object| self.pending.contains(*object)).take(self.pending.len());
        unfollowed.map(|(object, _)| object).chain(made)
    }
}
