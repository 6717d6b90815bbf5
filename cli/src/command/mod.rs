//! One file a subcommand: what it does, in which order, and how it ends.

mod analyze;
mod explore;
mod info;
mod record;
mod replay;
mod run;
mod show;

use crate::Host;
use crate::args::{Cli, Command, Scope, ScopeName};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use clap::CommandFactory;
use frontrun_replayer::{Target, spawn};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Runs a subcommand.
pub(crate) fn run(command: Command, host: &Host) -> Result<ExitCode, CliError> {
    match command {
        Command::Record(args) => record::run(&args, host),
        Command::Analyze(args) => analyze::run(&args),
        Command::Replay(args) => replay::run(&args, host),
        Command::Explore(args) => explore::run(&args, host),
        Command::Show(args) => show::run(&args),
        Command::Info(args) => info::run(&args),
        Command::Python(args) => run::run(&[], &args.arguments, host),
        Command::Pytest(args) => run::run(&["-m", "pytest"], &args.arguments, host),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "frontrun", &mut script);
            crate::print(&String::from_utf8_lossy(&script));
            Ok(ExitCode::NoFailure)
        }
    }
}

/// What a command line names, found before anything is started or written.
fn target(words: &[OsString], scope: &Scope, host: &Host) -> Result<Target, CliError> {
    let mut target = Target::parse(words, &host.python, None)?;
    target.preload = host.preload.clone();
    target.include = scope.include.clone();
    if scope.scope == ScopeName::All {
        target.include.push("*".to_owned());
    }
    target.exclude = scope.exclude.clone();
    target.trust = scope.trust.clone();
    target.record_io = scope.record_io;
    target.redact = scope.redact.clone();
    target.clock = scope.clock.name().to_owned();
    target.spurious_wakeups = scope.spurious_wakeups;
    target.free_threaded = scope.free_threaded;
    spawn::find_module(&target)?;
    Ok(target)
}

/// Whether an existing file may be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overwrite {
    Refuse,
    Allow,
}

impl Overwrite {
    fn from_flag(force: bool) -> Overwrite {
        if force { Overwrite::Allow } else { Overwrite::Refuse }
    }
}

/// Checks, before any work is done, that a file can be written.
fn check_output(path: &Path, overwrite: Overwrite) -> Result<(), CliError> {
    if overwrite == Overwrite::Refuse && path.exists() {
        return Err(CliError::Exists(path.to_owned()));
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match parent {
        Some(parent) if !parent.is_dir() => Err(CliError::NoDirectory(parent.to_owned())),
        _ => Ok(()),
    }
}

/// `stem.N.frz` beside `trace`.
fn beside(trace: &Path, number: u32) -> PathBuf {
    let stem = trace.file_stem().unwrap_or_default().to_string_lossy();
    trace.with_file_name(format!("{stem}.{number}.frz"))
}
