//! What the target shall hold, and what stands in the way. PURE.

use std::fmt;

use super::kind::{Kind, kind};
use super::manifest::Manifest;
use super::object::ObjectRef;
use crate::convert::{Finding, Severity};

/// What the mirror wants of the target.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MirrorPlan {
    /// Objects in the order in which they have to be applied.
    pub objects: Vec<Desired>,
    /// What stands in the way, and what is worth knowing.
    pub problems: Vec<MirrorProblem>,
}

impl MirrorPlan {
    /// The objects that run pods, and so have to become ready.
    pub fn workloads(&self) -> impl Iterator<Item = &ObjectRef> {
        self.objects.iter().map(Desired::object).filter(|object| kind(&object.kind).is_some_and(Kind::is_sized))
    }

    /// The object of the source that becomes this one; the same, unless its kind changes on the way.
    pub fn on_source<'a>(&'a self, object: &'a ObjectRef) -> &'a ObjectRef {
        let made = self.objects.iter().find(|desired| desired.object() == object);
        made.map_or(object, |desired| &desired.made_of)
    }

    /// The problems that forbid to apply anything.
    pub fn blockers(&self) -> impl Iterator<Item = &MirrorProblem> {
        self.problems.iter().filter(|problem| problem.blocks())
    }
}

/// One object as the target shall hold it.
#[derive(Clone, PartialEq)]
pub struct Desired {
    /// The object of the source it is made of.
    pub made_of: ObjectRef,
    /// The object, in the version to be written and with its fingerprint.
    pub manifest: Manifest,
    /// The fingerprint. Of a Secret it is a hash of the values: not for eyes.
    pub digest: String,
    /// The size to start with where an autoscaler decides about the size from then on.
    ///
    /// `spec.replicas` is not part of such an object: whoever applies a field owns it, and the mirror
    /// would undo the autoscaler at every pass. The source's own size is only the first guess.
    pub initial_replicas: Option<u32>,
}

impl Desired {
    /// Which object.
    pub fn object(&self) -> &ObjectRef {
        self.manifest.object()
    }

    /// The version it is written in.
    pub fn api_version(&self) -> &str {
        self.manifest.api_version()
    }
}

impl fmt::Debug for Desired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { made_of, manifest, digest: _, initial_replicas } = self;
        f.debug_struct("Desired")
            .field("made_of", made_of)
            .field("manifest", manifest)
            .field("initial_replicas", initial_replicas)
            .finish_non_exhaustive()
    }
}

/// Something about one object, or about the selection as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorProblem {
    /// The object; none where a part of the Migration itself is meant.
    pub object: Option<ObjectRef>,
    /// What is the matter, and how much it matters.
    pub finding: Finding,
}

impl MirrorProblem {
    /// Whether it forbids to apply anything.
    pub fn blocks(&self) -> bool {
        self.finding.severity == Severity::Blocks
    }
}

impl fmt::Display for MirrorProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.object {
            Some(object) => write!(f, "{object}: {}", self.finding),
            None => write!(f, "{}", self.finding),
        }
    }
}
