//! `frontrun python` and `frontrun pytest`: the program itself, with the shim preloaded.
//!
//! The command becomes the program (exec): same process, terminal, signals and exit code.

use crate::Host;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use frontrun_replayer::spawn::with_preload;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Tells the program that it runs under frontrun.
const ACTIVE_VARIABLE: &str = "FRONTRUN_ACTIVE";

pub(super) fn run(words: &[&str], arguments: &[OsString], host: &Host) -> Result<ExitCode, CliError> {
    let mut command = Command::new(&host.python);
    command.args(words).args(arguments).env(ACTIVE_VARIABLE, "1");
    if let Some(shim) = &host.preload {
        command.env("LD_PRELOAD", with_preload(shim));
    }
    let source = command.exec();
    Err(CliError::Start { program: host.python.display().to_string(), source })
}
