//! Tables, stories and properties of `decide`, in a world that is a few numbers.

mod actions;
mod adopt;
mod answers;
mod back;
mod clock;
mod drills;
mod mirrored;
mod promises;
mod properties;
mod reports;
mod silent;
mod situation;
mod tables;
mod windows;
mod world;
