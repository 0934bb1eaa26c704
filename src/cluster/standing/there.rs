//! What a migration has brought to the target, what the source has no more use for, and CronJobs on both sides. PURE.

use std::collections::BTreeSet;

use super::{Standing, rank};
use crate::cluster::mapping::target_of;
use crate::cluster::object::ObjectRef;
use crate::migration::Applied;

impl Standing {
    /// What the target holds of this migration, as far as its fingerprint and `applied` tell: what it applied, and what was in
    /// sync with the source while it was followed. In the order of writing.
    pub fn brought<'a>(&'a self, applied: &'a Applied) -> Vec<&'a ObjectRef> {
        let mut brought: Vec<_> = self.marked(applied).collect();
        brought.sort_by_cached_key(|object| rank(object));
        brought
    }

    /// The same in the order of their names.
    fn marked<'a>(&'a self, applied: &'a Applied) -> impl Iterator<Item = &'a ObjectRef> {
        let marked = self.target.glimpses().filter(|live| live.digest.is_some() && !live.deleting);
        let brought = marked.filter(|live| live.was_in_sync || applied.contains(&live.object));
        brought.map(|live| live.object.as_ref())
    }

    /// Of that, what nothing of the source becomes any more and nothing that is mirrored refers to. Whether the source really has
    /// lost it is to be asked: what was only taken out of the selection stays.
    pub fn left_behind(&self, applied: &Applied) -> Vec<ObjectRef> {
        let is_aside = |object: &ObjectRef| self.aside.as_ref().is_some_and(|aside| aside.object() == object);
        // Both are in the order of their names, so that nothing has to be looked up.
        let mut made = self.made_of.keys().map(AsRef::as_ref).peekable();
        let mut is_made = |object: &ObjectRef| {
            while made.next_if(|next| *next < object).is_some() {}
            made.peek().is_some_and(|next| *next == object)
        };
        let left = self.marked(applied).filter(|object| !is_made(object) && !is_aside(object));
        let mut left: Vec<ObjectRef> = left.cloned().collect();
        if !left.is_empty() {
            let named: BTreeSet<ObjectRef> = self.made_of.values().flat_map(|source| self.named_by(source)).collect();
            left.retain(|object| !named.contains(object));
            left.sort_by_cached_key(rank);
        }
        left
    }

    /// What an object of the source refers to, as it is called on the target.
    fn named_by(&self, source: &ObjectRef) -> impl Iterator<Item = ObjectRef> {
        let namespace = source.namespace.clone();
        let references = self.sketches.get(source).into_iter().flat_map(|sketch| &sketch.references);
        let named = references.map(move |reference| ObjectRef::new(reference.kind, &namespace, &reference.name));
        named.map(|named| target_of(&named, &self.workloads.maps))
    }

    /// The desired CronJobs that are on both sides, and whether each sleeps on the source and on the target.
    pub fn jobs(&self) -> impl Iterator<Item = (&ObjectRef, bool, bool)> {
        let made = self.made().filter(|object| object.kind == "CronJob");
        made.filter_map(|object| {
            let source = self.seen(self.made_of.get(object)?)?.asleep?;
            Some((object, source, self.target.get(object)?.asleep?))
        })
    }
}
