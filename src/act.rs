//! Acting and remembering: the journal, the stores that keep it, and the executor.
//!
//! An intent is on disk before its action is sent, and the outcome after. Whether an action took effect is read from the
//! next snapshot, never from its answer; the journal says what was tried, by whom and when.

pub mod directory;
pub mod executor;
pub mod journal;
pub mod store;
