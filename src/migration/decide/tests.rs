//! Tables, stories and properties of `decide`, in a world that is a few numbers.

mod clock;
mod properties;
mod tables;
mod windows;
mod world;
