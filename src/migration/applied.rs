//! What a migration has applied on the target and not deleted again, remembered in eight bytes an object. PURE.
//!
//! It is asked whether an object is among it, and only about one that carries our mark, is nobody else's and is gone from the source.
//! So a fingerprint does for the name: that a stranger's has the same is as likely as guessing 64 bits.

use std::collections::BTreeSet;

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use sha2::{Digest, Sha256};

use super::Action;
use crate::cluster::ObjectRef;

/// Objects by their fingerprints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied(BTreeSet<u64>);

impl Applied {
    /// Notes what is about to be done.
    pub fn intended(&mut self, action: &Action) {
        self.0.extend(action.applies().map(fingerprint));
    }

    /// Forgets what was deleted, or was found to be somebody else's by now.
    pub fn answered(&mut self, action: &Action, error: Option<&str>) {
        if let (Action::DeleteObject { object, .. }, None) = (action, error) {
            self.0.remove(&fingerprint(object));
        }
    }

    /// Whether an object is among it.
    pub fn contains(&self, object: &ObjectRef) -> bool {
        self.0.contains(&fingerprint(object))
    }

    /// All of it as text, eleven characters an object; nothing where there is nothing.
    pub fn text(&self) -> Option<String> {
        let bytes: Vec<u8> = self.0.iter().flat_map(|print| print.to_be_bytes()).collect();
        (!bytes.is_empty()).then(|| BASE64_STANDARD_NO_PAD.encode(bytes))
    }

    /// What such a text says; `None` where it is none.
    pub fn read(text: &str) -> Option<Self> {
        let bytes = BASE64_STANDARD_NO_PAD.decode(text).ok()?;
        let (prints, rest) = bytes.as_chunks();
        rest.is_empty().then(|| Self(prints.iter().map(|print| u64::from_be_bytes(*print)).collect()))
    }
}

impl<'a> FromIterator<&'a ObjectRef> for Applied {
    fn from_iter<I: IntoIterator<Item = &'a ObjectRef>>(objects: I) -> Self {
        Self(objects.into_iter().map(fingerprint).collect())
    }
}

fn fingerprint(object: &ObjectRef) -> u64 {
    let ObjectRef { kind, namespace, name } = object;
    // No name holds a line break.
    let digest: [u8; 32] = Sha256::digest(format!("{kind}\n{namespace}\n{name}")).into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::action::Deletion;

    fn map(at: usize) -> ObjectRef {
        ObjectRef::new("ConfigMap", "shop", format!("map-{at}"))
    }

    #[test]
    fn ten_thousand_objects_are_told_apart_and_survive_as_text_of_eleven_characters_each() {
        let objects: Vec<_> = (0..10_000).map(map).collect();
        let applied: Applied = objects.iter().collect();
        let text = applied.text().unwrap();
        assert!(text.len() <= 11 * objects.len(), "{}", text.len());
        let read = Applied::read(&text).unwrap();
        assert_eq!(read, applied);
        assert!(objects.iter().all(|object| read.contains(object)));
        assert!(!(10_000..20_000).any(|at| read.contains(&map(at))));
        let elsewhere = ObjectRef::new("ConfigMap", "shop2", "map-1");
        assert!(!read.contains(&elsewhere) && !read.contains(&ObjectRef::new("Secret", "shop", "map-1")));
    }

    #[test]
    fn what_was_deleted_is_forgotten_and_what_could_not_be_is_not() {
        let mut applied = Applied::default();
        assert_eq!(applied.text(), None);
        for at in 0..3 {
            applied.intended(&Action::ApplyObject { object: map(at) });
            applied.intended(&Action::Release { object: map(at + 10) });
        }
        let delete = |at| Action::DeleteObject { object: map(at), because: Deletion::Gone };
        applied.answered(&delete(0), None);
        applied.answered(&delete(1), Some("no"));
        applied.answered(&Action::ApplyObject { object: map(2) }, None);
        assert_eq!(applied, [map(1), map(2)].iter().collect());
    }

    #[test]
    fn what_is_no_such_text_is_not_believed() {
        for text in ["AAAA", "not base64", "AAAAAAAAAAA=", "AAAAAAAAAAAA"] {
            assert_eq!(Applied::read(text), None, "{text}");
        }
    }
}
