//! Tables, stories and properties of `decide`, in a world that is a few numbers.

mod properties;
mod tables;
mod world;
