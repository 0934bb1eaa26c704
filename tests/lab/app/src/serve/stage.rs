//! The stages of a pod's life. PURE.

/// Where the workload is between its start and its end; stages only ever go forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Not ready for traffic yet.
    Starting,
    /// Ready for traffic.
    Ready,
    /// Told to end: not ready any more, and still answering.
    Draining,
    /// Finishing what is in flight.
    Closing,
}

impl Stage {
    /// Whether a request that reaches the pod is served at all.
    pub(super) fn serves(self) -> bool {
        self >= Self::Ready
    }

    /// Whether connections are to be given up after the answer on them.
    pub(super) fn leaves(self) -> bool {
        self >= Self::Draining
    }
}
