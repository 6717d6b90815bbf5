//! `frontrun analyze`: what could have happened instead.

use super::shell_word;
use crate::args::{Analyze, AnalyzeFormat};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::findings;
use crate::render::style::Style;
use crate::render::{self, value};
use frontrun_formats::Outcome;
use frontrun_replayer::trace_file;

pub(super) fn run(args: &Analyze) -> Result<ExitCode, CliError> {
    let execution = trace_file::read(&args.trace)?;
    let refused =
        |error: frontrun_analyzer::AnalyzeError| CliError::Analysis { path: args.trace.clone(), reason: error.to_string() };
    let format = if args.json { AnalyzeFormat::Json } else { args.format };
    if format == AnalyzeFormat::Dot {
        crate::print(&findings::dot(&execution).map_err(refused)?);
        return Ok(ExitCode::NoFailure);
    }
    let findings = findings::of(&execution).map_err(refused)?;
    match format {
        AnalyzeFormat::Json => crate::print_json(&value::analysis(&execution, &findings)),
        _ => {
            let name = shell_word(&args.trace);
            crate::print(&render::analysis::analysis(&execution, &findings, &name, Style::of_stdout()));
        }
    }
    Ok(ExitCode::from(matches!(execution.outcome, Some(Outcome::Failed(_)))))
}
