//! Why an execution cannot be analyzed: it is not a whole run, or it contradicts the operation table.
//!
//! All of these mean that the alternatives of the execution are unknown. None may be ignored by an exploration
//! that claims to be exhaustive: the work item has to stay in the frontier as unfinished.

use frontrun_formats::{Operation, ThreadId, ThreadPath};

/// Why an execution was refused. Threads are printed as their paths, events by their position in the trace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnalyzeError {
    /// The recording has no end: what the threads would have done next is not known.
    #[error("the recording was cut off ({reason}): the alternatives of a partial run are not known")]
    Truncated {
        /// What is missing.
        reason: &'static str,
    },
    /// The run did not follow its schedule.
    #[error("the run diverged from its schedule at step {step}: expected {expected}, got {actual}")]
    Diverged {
        /// The first entry that could not be followed.
        step: u64,
        /// What the schedule wanted there.
        expected: String,
        /// What happened.
        actual: String,
    },
    /// The run ended before its schedule was completely executed.
    #[error("the schedule has {wanted} entries, but only {executed} were executed")]
    PrefixNotExecuted {
        /// Entries of the schedule.
        wanted: usize,
        /// Events of the run.
        executed: usize,
    },
    /// An event of the fixed prefix belongs to another thread, or is another operation, than the schedule says.
    #[error("event {position} is not what the schedule asked for: expected {expected}, got {actual}")]
    PrefixMismatch {
        /// Position in the trace.
        position: usize,
        /// What the schedule names.
        expected: String,
        /// What the trace has.
        actual: String,
    },
    /// A step of the fixed prefix touched something else than in the execution that the schedule was derived from: the
    /// program hangs on something that is not controlled.
    #[error("the step of {thread} at event {position} touched something else than it did before: {touched}")]
    TouchedOther {
        /// Position of its first event.
        position: usize,
        /// Who.
        thread: ThreadPath,
        /// What it touched this time, as a list.
        touched: String,
    },
    /// What the recorder saw differs from what the operation table predicts: a location was written without an
    /// event, or the table is wrong for this operation.
    #[error(
        "event {position}: {thread} executed {operation:?} with result {recorded}, the model predicts {predicted}"
    )]
    ModelMismatch {
        /// Position in the trace.
        position: usize,
        /// Who.
        thread: ThreadPath,
        /// What.
        operation: Box<Operation>,
        /// The recorded result.
        recorded: u8,
        /// The predicted one.
        predicted: u8,
    },
    /// An operation was executed in a state in which the table says that it has to wait.
    #[error("event {position}: {thread} executed {operation:?}, which the model says is blocked there")]
    NotEnabled {
        /// Position in the trace.
        position: usize,
        /// Who.
        thread: ThreadPath,
        /// What.
        operation: Box<Operation>,
    },
    /// A thread could have gone on at the end: the run was stopped early.
    #[error("{thread} could still have executed {operation:?} at the end: the run was stopped early")]
    StoppedEarly {
        /// Who.
        thread: ThreadPath,
        /// What it was about to do.
        operation: Box<Operation>,
    },
    /// A thread other than the one whose turn it is, mostly the lowest enabled one, went first, behind the fixed prefix.
    #[error("event {position}: {thread} went first although a lower thread was enabled")]
    NotLowest {
        /// Position in the trace.
        position: usize,
        /// Who went first.
        thread: ThreadPath,
    },
    /// The last step of the fixed prefix does not have the past that was predicted when its work item was made:
    /// a footprint of the operation table is wrong, or the program is not deterministic.
    #[error(
        "the forced step that ends at event {position} does not depend on exactly what was put before it"
    )]
    UnexpectedPast {
        /// Position of the last event of the step.
        position: usize,
    },
    /// A probe was run and analyzed, and the analysis wants it again: it did not execute what it was made for.
    #[error("the run of a wanted schedule did not tell what it was made for")]
    UselessProbe,
    /// The events of an opaque block are not one step of one thread.
    #[error("the opaque block at event {position} is not one step: it has no beginning, or waits midway")]
    BrokenBlock {
        /// Position of its first event.
        position: usize,
    },
    /// An event names a thread that the thread table does not have.
    #[error("thread number {0:?} is not in the thread table")]
    UnknownThread(ThreadId),
    /// The alternatives are more than memory should hold.
    #[error("more than {found} alternatives follow from this execution: too many to hold")]
    TooManyAlternatives {
        /// How many were found before the search was given up.
        found: usize,
    },
    /// Two threads have one path.
    #[error("two threads are called {0}")]
    DuplicateThread(ThreadPath),
}
