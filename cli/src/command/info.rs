//! `frontrun info`: what a trace is a recording of.

use crate::args::Info;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::render::ending::ending;
use crate::render::names::counted;
use crate::render::style::Style;
use crate::render::value;
use frontrun_formats::{Execution, Tail};
use frontrun_replayer::trace_file;
use std::fmt::Write;

pub(super) fn run(args: &Info) -> Result<ExitCode, CliError> {
    let execution = trace_file::read(&args.trace)?;
    let format = trace_file::version(&args.trace)?;
    if args.json {
        crate::print_json(&value::info(&execution.header, format, &execution));
    } else {
        crate::print(&text(&execution, format));
    }
    Ok(ExitCode::NoFailure)
}

fn text(execution: &Execution, format: u32) -> String {
    let header = &execution.header;
    let environment = &header.environment;
    let version = environment.python_version;
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "{name:<12}{value}");
        }
    };
    line("command", &header.target.command.join(" "));
    line("call", header.target.call.as_deref().unwrap_or_default());
    line("directory", &environment.directory);
    line("python", &format!("{}.{}.{} {}", version.0, version.1, version.2, environment.executable));
    for (name, value) in &environment.flags {
        line("flag", &format!("{name} {value}"));
    }
    line("hash seed", &environment.hash_seed);
    line("platform", &environment.platform);
    line("frontrun", &format!("{}, format {format}", environment.tool));
    let tail = match &header.schedule.tail {
        Tail::Lowest => String::new(),
        Tail::Sampled(sampling) => {
            format!(", then drawn at random: {:?}, seed {}", sampling.sampler, sampling.seed)
        }
        Tail::Turns(turns) => format!(", then {} by the caller's list", counted(turns.len(), "step")),
    };
    line("schedule", &format!("{}{tail}", counted(header.schedule.entries.len(), "fixed step")));
    let recorded = format!(
        "{}, {}{}",
        counted(execution.threads.len(), "thread"),
        counted(execution.events.len(), "step"),
        if execution.truncated { ", cut off" } else { "" }
    );
    line("recorded", &recorded);
    line("observed", execution.observed.as_deref().unwrap_or_default());
    for source in &execution.sources {
        let embedded = if source.text.is_some() { "" } else { " (text not embedded)" };
        line("source", &format!("{} xxh3:{:016x}{embedded}", source.path, source.hash));
    }
    text.push_str(&ending(execution, Style::plain()));
    text
}
