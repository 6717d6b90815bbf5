//! What is written down: events, executions, schedules, outcomes, and the `.frz` trace file that holds them.
//!
//! The file is the only thing that recorder, analyzer and replayer share, so everything that two of them must
//! agree on is defined here, including what an [`Operation`] means ([`semantics`]).
//!
//! Module map: [`id`] newtypes · [`location`] the shared thing · [`operation`] the closed list of visible
//! operations · [`semantics`] what each does to the abstract state · [`event`] and [`execution`] one run ·
//! [`schedule`] what a run is told to do, with the generator of [`random`] ones · [`input`] what servers have told it · [`outcome`] how it ended · [`file`] the container.
//!
//! Not here: how an execution comes about (recorder), what else could have happened (analyzer), processes
//! (replayer). This crate performs no I/O except through the writers and paths that [`file`] is given.

pub mod event;
pub mod execution;
pub mod file;
pub mod id;
pub mod input;
pub mod location;
pub mod operation;
pub mod outcome;
pub mod random;
pub mod schedule;
pub mod semantics;

pub use event::{Block, Event, Pending};
pub use execution::{Environment, Execution, Header, ObjectInfo, Site, Source, Target, ThreadInfo};
pub use id::{KeyId, ObjectId, SiteId, StringId, ThreadId, ThreadPath};
pub use input::Input;
pub use location::{Location, Part};
pub use operation::Operation;
pub use outcome::{Failure, FailureKind, Outcome};
pub use schedule::{Sampler, Sampling, Schedule, ScheduleEntry, Tail};
pub use semantics::{Effect, State, Value};
