//! Tables, stories and properties of `decide`, in a world that is a few numbers.

mod adopt;
mod back;
mod clock;
mod drills;
mod mirrored;
mod promises;
mod properties;
mod silent;
mod situation;
mod tables;
mod windows;
mod world;
