//! `frontrun record`: one execution, with the user's terminal.
//!
//! The program runs in the foreground of the terminal and gets its signals; frontrun waits beside it and exits
//! with its code. If frontrun is killed, so is the program; the trace is readable as far as it was written.

use super::{Overwrite, check_output};
use crate::Host;
use crate::args::Record;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::render::names::{counted, shell_word};
use crate::signal;
use frontrun_formats::file::read_index;
use frontrun_replayer::spawn::{self, Mode};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) fn run(args: &Record, host: &Host) -> Result<ExitCode, CliError> {
    let target = super::target(&args.target, &args.scope, host)?;
    let default = || PathBuf::from(format!("frontrun-{}.{}.frz", target.slug(), std::process::id()));
    let trace = args.output.clone().unwrap_or_else(default);
    check_output(&trace, Overwrite::from_flag(args.force))?;
    if trace.exists() {
        // A run that fails to record must not leave an old trace that looks like its own.
        std::fs::remove_file(&trace).map_err(|source| CliError::Write { path: trace.clone(), source })?;
    }
    let mut command = spawn::command(&target, Mode::Record { trace: &trace }, None)?;
    let code = run_in_foreground(&mut command)?;
    tell(&trace);
    Ok(ExitCode::OfProgram(code))
}

/// Waits for the program and returns its exit code, that of a shell where a signal ended it.
fn run_in_foreground(command: &mut Command) -> Result<u8, CliError> {
    let parent = std::process::id() as libc::pid_t;
    // SAFETY: between fork and exec only async-signal-safe calls are made.
    unsafe {
        command.pre_exec(move || {
            libc::signal(libc::SIGINT, libc::SIG_DFL);
            libc::signal(libc::SIGQUIT, libc::SIG_DFL);
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
            if libc::getppid() != parent {
                libc::_exit(1);
            }
            Ok(())
        });
    }
    signal::ignore_interrupts();
    let status = command.status();
    signal::restore_defaults();
    let program = command.get_program().to_string_lossy().into_owned();
    let status = status.map_err(|source| CliError::Start { program, source })?;
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    Ok(code as u8)
}

/// Says what was written and what to do with it, on standard error: standard output is the program's.
fn tell(trace: &Path) {
    let word = shell_word(trace);
    match read_index(trace) {
        Ok(Some(index)) => {
            let threads = counted(index.threads as usize, "thread");
            eprintln!("frontrun: recorded {word} ({threads}, {})", counted(index.events as usize, "step"));
        }
        Ok(None) => {
            eprintln!("frontrun: recorded {word}, which was cut off: the program was killed or crashed")
        }
        Err(_) if !trace.exists() => {
            eprintln!("frontrun: nothing was recorded: the program ended before it began, see above");
            return;
        }
        Err(error) => {
            eprintln!("frontrun: {word}: {error}");
            return;
        }
    }
    eprintln!("next: frontrun analyze {word}");
}
