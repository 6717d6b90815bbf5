//! Makes it happen: fresh processes that follow a schedule, and the exploration of all of them.
//!
//! Model: a *run* is one process that executes a program under a [`Schedule`](frontrun_formats::Schedule) and
//! writes a recording. A [`Runner`] makes runs: a [`Worker`] by asking a fork server (an interpreter at its
//! checkpoint, [`server`]), a [`SpawnRunner`] with a fresh interpreter. [`explore`](explore::explore) runs one
//! schedule after the other and lets the analyzer name the next ones, until nothing is left or a budget is.
//!
//! Invariants: nothing of a run outlives it except its files; what is not run is counted and reported; an
//! unexpected execution is data, an error is ours.
//!
//! Module map, bottom up: [`error`] · [`protocol`] between explorer and server · [`pin`], `reap`, `output`
//! processes · [`server`] inside the interpreter · [`worker`] its client · [`trace_file`], [`analysis`] the
//! seams to the neighbours · [`divergence`], [`classify`],
//! [`state`], [`preemption`], `examination` judging a run · [`sampling`] random schedules · `probing` runs for an
//! analysis · [`bag`], `books`, [`workspace`], [`report`], [`progress`], [`explore`] the loop · [`target`], [`spawn`]
//! fresh interpreters ·
//! [`session`] a whole program · [`proof`] doing it again.
//!
//! Not here: the interpreter (python), text for people (cli), what else could have happened (analyzer).

pub mod analysis;
pub mod bag;
mod books;
pub mod classify;
pub mod descriptors;
pub mod divergence;
mod drawing;
pub mod error;
mod examination;
pub mod explore;
mod output;
pub mod pin;
pub mod preemption;
pub mod probing;
pub mod progress;
pub mod proof;
pub mod protocol;
mod reap;
pub mod report;
pub mod sampling;
pub mod server;
pub mod session;
pub mod spawn;
pub mod state;
pub mod target;
pub mod trace_file;
pub mod worker;
pub mod workspace;

pub use error::ReplayError;
pub use explore::{AfterFailure, ExploreConfig};
pub use protocol::{RunReply, RunRequest};
pub use report::{BoundedBy, FoundFailure, Report, Verdict};
pub use sampling::{Plan, SamplerKind};
pub use server::{Served, serve, serve_many};
pub use session::{Startup, explore_program};
pub use spawn::SpawnRunner;
pub use target::Target;
pub use worker::{Runner, Worker};
pub use workspace::KeepTraces;
