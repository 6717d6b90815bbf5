//! The analyzer against an abstract machine, brute force, and counts that are known.
//!
//! `program` the test programs' language · `memory` (and `channel`) what they do, concretely · `machine` runs a schedule and
//! gives an execution · `exploration` the loop over `children` · `oracle` all interleavings ·
//! `random` programs · then the tests.

mod channel;
mod exploration;
mod machine;
mod memory;
mod oracle;
mod program;
mod random;

mod blocks;
mod fuzz;
mod gil;
mod known;
mod refused;
