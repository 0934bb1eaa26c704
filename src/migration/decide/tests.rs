//! Tables, stories and properties of `decide`, in a world that is a few numbers.

mod actions;
mod adopt;
mod answers;
mod back;
mod clock;
mod commits;
mod drills;
mod evidence;
mod mirrored;
mod passes;
mod promises;
mod properties;
mod reports;
mod silent;
mod situation;
mod starts;
mod tables;
mod windows;
mod world;
