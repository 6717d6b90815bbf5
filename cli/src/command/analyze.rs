//! `frontrun analyze`: what could have happened instead.

use crate::args::{Analyze, AnalyzeFormat};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::render::names::shell_word;
use crate::render::style::Style;
use crate::render::{self, value};
use frontrun_formats::Outcome;
use frontrun_replayer::trace_file;

pub(super) fn run(args: &Analyze) -> Result<ExitCode, CliError> {
    let execution = trace_file::read(&args.trace)?;
    let analysis = frontrun_analyzer::analyze(&execution)
        .map_err(|reason| CliError::Analysis { path: args.trace.clone(), reason })?;
    match if args.json { AnalyzeFormat::Json } else { args.format } {
        AnalyzeFormat::Dot => crate::print(&analysis.happens_before.to_dot(&execution)),
        AnalyzeFormat::Json => crate::print_json(&value::analysis(&execution, &analysis)),
        AnalyzeFormat::Text => {
            let name = shell_word(&args.trace);
            crate::print(&render::analysis::analysis(&execution, &analysis, &name, Style::of_stdout()));
        }
    }
    Ok(match execution.outcome {
        Some(Outcome::Failed(_)) => ExitCode::Failure,
        _ => ExitCode::NoFailure,
    })
}
