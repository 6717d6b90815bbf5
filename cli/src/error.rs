//! What ends a command early, with what to do about it.

use crate::exit_code::ExitCode;
use crate::render::names::shell_word;
use frontrun_analyzer::AnalyzeError;
use frontrun_formats::file::ReadError;
use frontrun_replayer::ReplayError;
use std::path::{Path, PathBuf};

/// Why a command could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The machinery of runs.
    #[error("{}", replay_text(.0))]
    Replay(#[from] ReplayError),
    /// A file that would be overwritten.
    #[error("`{}` exists already: pass -f to overwrite it, or name another file with -o", .0.display())]
    Exists(PathBuf),
    /// A folder that is missing.
    #[error("`{}` is not a directory: create it first", .0.display())]
    NoDirectory(PathBuf),
    /// The analyzer refuses the trace.
    #[error("`{}` cannot be analyzed: {reason}{}", path.display(), analysis_hint(reason, path))]
    Analysis {
        /// Of which trace.
        path: PathBuf,
        /// Why.
        reason: AnalyzeError,
    },
    /// There is no schedule of this number.
    #[error("there is no schedule {wanted}: `frontrun analyze {}` lists {}", path.display(), count_text(*available))]
    NoSchedule {
        /// Of which trace.
        path: PathBuf,
        /// As asked for, from 1.
        wanted: u32,
        /// How many there are.
        available: usize,
    },
    /// The trace was recorded with another Python.
    #[error(
        "`{}` was recorded with Python {}.{}, and this is {}.{}: install frontrun for the former, and run \
         `{executable} -m frontrun replay {}`",
        path.display(), recorded.0, recorded.1, own.0, own.1, path.display()
    )]
    OtherPython {
        /// Which trace.
        path: PathBuf,
        /// Version that recorded it.
        recorded: (u8, u8),
        /// Version that would replay it.
        own: (u8, u8),
        /// The interpreter that recorded it.
        executable: String,
    },
    /// The trace does not tell what servers have told.
    #[error(
        "`{}` does not hold what servers have told the program, so it cannot be replayed without them: record it with \
         --record-io, as in `frontrun explore --record-io python app.py`; explorations that a program calls have no such \
         recordings",
        .0.display()
    )]
    NoInputs(PathBuf),
    /// The trace does not tell all of it.
    #[error("`{}` cannot be replayed without servers: {reason}", path.display())]
    Unrecorded {
        /// Which trace.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A file could not be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A program could not be started.
    #[error("cannot start `{program}`: {source}")]
    Start {
        /// Which.
        program: String,
        /// Why.
        source: std::io::Error,
    },
}

impl CliError {
    /// The exit code for it.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            CliError::Replay(error) => match error {
                ReplayError::Trace { .. } | ReplayError::Io { doing: "read", .. } => ExitCode::Trace,
                ReplayError::TargetNotFound { .. } => ExitCode::NotFound,
                ReplayError::OtherInterpreter { .. }
                | ReplayError::NoTarget(_)
                | ReplayError::UnknownOption(_)
                | ReplayError::NotUnicode(_)
                | ReplayError::DirectoryBusy(_)
                | ReplayError::Io { .. } => ExitCode::Usage,
                ReplayError::Interrupted => ExitCode::Interrupted,
                _ => ExitCode::Internal,
            },
            CliError::Analysis { reason, .. } => match reason {
                AnalyzeError::Truncated { .. } => ExitCode::Trace,
                reason if is_divergence(reason) => ExitCode::Diverged,
                _ => ExitCode::Internal,
            },
            CliError::OtherPython { .. } => ExitCode::Trace,
            CliError::Start { .. } => ExitCode::NotFound,
            CliError::Exists(_)
            | CliError::NoDirectory(_)
            | CliError::NoSchedule { .. }
            | CliError::Write { .. }
            | CliError::NoInputs(_)
            | CliError::Unrecorded { .. } => ExitCode::Usage,
        }
    }
}

fn count_text(count: usize) -> String {
    match count {
        0 => "none: every order of this execution's steps comes to the same".to_owned(),
        1 => "one".to_owned(),
        count => format!("1 to {count}"),
    }
}

/// Whether the trace is of a run that did not do what its schedule says.
fn is_divergence(error: &AnalyzeError) -> bool {
    matches!(
        error,
        AnalyzeError::Diverged { .. }
            | AnalyzeError::PrefixMismatch { .. }
            | AnalyzeError::PrefixNotExecuted { .. }
            | AnalyzeError::UnexpectedPast { .. }
    )
}

fn analysis_hint(error: &AnalyzeError, path: &Path) -> String {
    match error {
        AnalyzeError::Truncated { .. } => {
            format!("; see what there is with `frontrun show {}`", shell_word(path))
        }
        error if is_divergence(error) => String::new(),
        _ => ": please report this".to_owned(),
    }
}

/// What the replayer says, with the next thing to do where it cannot know it.
fn replay_text(error: &ReplayError) -> String {
    let hint = match error {
        ReplayError::DirectoryBusy(_) => ": wait for it, or name another directory with -o",
        ReplayError::OtherInterpreter { .. } => ": install frontrun there, or write `python`",
        ReplayError::Trace { source: ReadError::NotATrace, .. } => {
            ": traces are written by `frontrun record` and `frontrun explore`"
        }
        ReplayError::WorkerLost(_) | ReplayError::Analysis(_) => ": please report this",
        _ => "",
    };
    format!("{error}{hint}")
}
