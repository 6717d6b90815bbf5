//! The command `frontrun`: words in, text and an exit code out.
//!
//! Model: [`main`] is called by the Python console script with `sys.argv`, the path of the interpreter and that
//! of the shim. Each subcommand has a file in `command`, which decides; `render` turns data into text and decides
//! nothing; [`exit_code`] and [`error`] are complete lists.
//!
//! Not here: algorithms (analyzer), processes (replayer), the interpreter (python).

mod args;
mod command;
pub mod error;
pub mod exit_code;
mod progress;
pub mod render;
mod signal;

use clap::Parser;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

/// What the command knows about its installation.
#[derive(Clone, Debug)]
struct Host {
    /// The interpreter that frontrun is installed in.
    python: PathBuf,
    /// The shim, if this installation has one.
    preload: Option<PathBuf>,
}

/// Runs a command line and returns the exit code. `argv` begins with the name of the command, as `sys.argv` does;
/// `python` is the interpreter, `preload` the shim or empty.
pub fn main(argv: Vec<OsString>, python: OsString, preload: OsString) -> i32 {
    signal::restore_defaults();
    let cli = match args::Cli::try_parse_from(argv) {
        Ok(cli) => cli,
        Err(error) => {
            // What cannot be printed cannot be reported either.
            let _ = error.print();
            return error.exit_code();
        }
    };
    let host = Host { python: python.into(), preload: (!preload.is_empty()).then(|| preload.into()) };
    match command::run(cli.command, &host) {
        Ok(code) => code.number(),
        Err(error) => {
            eprintln!("frontrun: {error}");
            error.exit_code().number()
        }
    }
}

/// Prints to standard output. Into a closed pipe it ends the process by SIGPIPE; other errors leave nothing to
/// do that would help.
fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
}

/// Prints one JSON object.
fn print_json(value: &impl serde::Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print(&(text + "\n")),
        // Texts and numbers under textual keys cannot fail to be written.
        Err(error) => eprintln!("frontrun: {error}"),
    }
}
