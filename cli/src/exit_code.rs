//! Every exit code of the command, once.
//!
//! They are an interface: scripts and CI tell "a bug was found" from "the budget ran out" by them. `record`,
//! `python` and `pytest` return the code of the program that they run instead.

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// No failure; for an exploration: every class of executions ran.
    NoFailure,
    /// A failure was found or reproduced.
    Failure,
    /// The command line is wrong, or a file could not be written where it says.
    Usage,
    /// A trace cannot be read, has another version, or is of another Python.
    Trace,
    /// A run did not follow its schedule.
    Diverged,
    /// The program has nothing to explore.
    NothingExplored,
    /// A fault of frontrun itself.
    Internal,
    /// The budget was used up without a failure.
    Bounded,
    /// The target does not exist.
    NotFound,
    /// Ctrl-C.
    Interrupted,
    /// The code of the program that was run.
    OfProgram(u8),
}

impl ExitCode {
    /// The number that the process exits with.
    pub fn number(self) -> i32 {
        match self {
            ExitCode::NoFailure => 0,
            ExitCode::Failure => 1,
            ExitCode::Usage => 2,
            ExitCode::Trace => 3,
            ExitCode::Diverged => 4,
            ExitCode::NothingExplored => 5,
            ExitCode::Internal => 70,
            ExitCode::Bounded => 124,
            ExitCode::NotFound => 127,
            ExitCode::Interrupted => 130,
            ExitCode::OfProgram(code) => code.into(),
        }
    }
}

/// The table of `--help`.
pub const HELP: &str = "\
Exit codes:
    0  no failure (explore: every class of executions ran)
    1  a failure was found or reproduced
    2  wrong usage
    3  a trace cannot be read, or is of another version
    4  a run diverged from its schedule
    5  nothing could be explored: the program never had two threads
   70  a fault of frontrun itself: please report it
  124  the budget was used up without a failure
  127  the target was not found
  130  interrupted by Ctrl-C
`record`, `python` and `pytest` exit as the program does.";
