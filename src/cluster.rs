//! The two clusters: what they hold, what they serve, and writing to them.

pub mod object;

pub use object::ObjectRef;
