//! `frontrun show`: the interleaving.

use crate::args::Show;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::render::lanes::{self, LaneOptions, Rows};
use crate::render::style::{self, Style};
use crate::render::value;
use frontrun_replayer::trace_file;

pub(super) fn run(args: &Show) -> Result<ExitCode, CliError> {
    let execution = trace_file::read(&args.trace)?;
    if args.json {
        crate::print_json(&value::execution(&execution));
        return Ok(ExitCode::NoFailure);
    }
    let rows = if args.events { Rows::Steps } else { Rows::SourceLines };
    let options = LaneOptions { rows, width: style::width(), style: Style::of_stdout() };
    crate::print(&lanes::lanes(&execution, options));
    Ok(ExitCode::NoFailure)
}
