//! The lab's own two programs: a workload that can be made to fail, and a load client that counts.
//!
//! They know nothing of Crossfade. What the tests conclude rests on these counts, so both are kept plain:
//! the workload counts what it answered, the client what it was answered, and neither ever retries.

pub mod duration;
pub mod load;
pub mod serve;
pub mod signals;
