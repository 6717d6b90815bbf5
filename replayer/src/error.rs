//! Everything that can go wrong in this crate and is not an outcome of the program under test.

use std::io;
use std::path::PathBuf;

/// Why something could not be run, read or concluded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// A file or process operation failed.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was being done, as in "create directory".
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A recording could not be read.
    #[error("{}: {source}", path.display())]
    Trace {
        /// Which.
        path: PathBuf,
        /// Why.
        source: frontrun_formats::file::ReadError,
    },
    /// The analyzer refused a recording.
    #[error("analysis: {0}")]
    Analysis(frontrun_analyzer::AnalyzeError),
    /// The user stopped it before there was anything to report.
    #[error("interrupted before an execution was complete")]
    Interrupted,
    /// A fork server is gone or does not answer.
    #[error("the fork server {0}")]
    WorkerLost(String),
    /// There is no such program.
    #[error("`{name}`: {reason}")]
    TargetNotFound {
        /// As it was given.
        name: String,
        /// What was looked for.
        reason: &'static str,
    },
    /// The target names an interpreter that frontrun is not installed in.
    #[error("`{named}` is not the interpreter that frontrun runs in ({})", own.display())]
    OtherInterpreter {
        /// As it was given.
        named: String,
        /// The interpreter of this installation.
        own: PathBuf,
    },
    /// The target is empty or cannot be understood.
    #[error("no program to run: {0}")]
    NoTarget(&'static str),
    /// Where the target should begin is an option that is not one of this command.
    #[error(
        "`{0}` is no option of this command, which `--help` lists; those of the interpreter follow `python`, as in \
         `python -O script.py`"
    )]
    UnknownOption(String),
    /// The directory is in use by another exploration.
    #[error("{}: another exploration is writing there", .0.display())]
    DirectoryBusy(PathBuf),
    /// A path or an argument is not valid UTF-8, which the recording's header needs.
    #[error("`{0}` is not valid UTF-8")]
    NotUnicode(String),
}

impl ReplayError {
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> ReplayError {
        let path = path.into();
        move |source| ReplayError::Io { doing, path, source }
    }
}
