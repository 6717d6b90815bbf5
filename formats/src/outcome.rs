//! How an execution ended.

use crate::id::ThreadPath;
use serde::{Deserialize, Serialize};

/// How an execution ended. A trace without an outcome was cut off (killed, crashed).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Every thread ended and nothing failed.
    Passed,
    /// The program failed, or nothing could go on.
    Failed(Failure),
    /// The run could not follow its schedule.
    Diverged {
        /// The first schedule entry that could not be followed.
        step: u64,
        /// What the schedule wanted there.
        expected: String,
        /// What happened instead.
        actual: String,
    },
}

/// What failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The class of failure.
    pub kind: FailureKind,
    /// One line that a person can act on.
    pub message: String,
    /// The thread it happened in, where there is one.
    pub thread: Option<ThreadPath>,
    /// Formatted traceback or the stacks of the waiting threads; may be empty.
    pub details: String,
}

/// The class of a failure; the names are those of the JSON output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// An exception that no code of a thread caught.
    Exception,
    /// The invariant of an exploration did not hold.
    Invariant,
    /// A failing assertion of a test.
    Assertion,
    /// No thread is enabled and some are unfinished.
    Deadlock,
    /// The program exited with a code other than 0.
    ExitCode,
    /// The process was ended by a signal.
    Crash,
    /// The run did not end within its time limit.
    Hang,
    /// A data race, where any one is to count as a failure. It is found in the recording and never written there.
    Race,
    /// No thread can get anywhere, and some go on for ever reading what nobody is going to change.
    Livelock,
}

impl FailureKind {
    /// The name used in reports and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            FailureKind::Exception => "exception",
            FailureKind::Invariant => "invariant",
            FailureKind::Assertion => "assertion",
            FailureKind::Deadlock => "deadlock",
            FailureKind::ExitCode => "exit_code",
            FailureKind::Crash => "crash",
            FailureKind::Hang => "hang",
            FailureKind::Race => "race",
            FailureKind::Livelock => "livelock",
        }
    }
}
