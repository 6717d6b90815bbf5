//! The analysis of one execution as text: outcome, races, deadlock, schedules.

use super::lanes;
use super::names;
use super::style::Style;
use crate::findings::{Access, Findings};
use frontrun_formats::Execution;
use std::fmt::Write;

/// An execution with more alternatives lists this many.
const MOST_SCHEDULES: usize = 200;

/// The analysis of the execution in `trace` (as the user names it).
pub fn analysis(execution: &Execution, findings: &Findings, trace: &str, style: Style) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}: {}, {}",
        style.bold(trace),
        counted(execution.threads.len(), "thread"),
        counted(execution.events.len(), "step")
    );
    text.push_str(&lanes::ending(execution, style));
    if !findings.deadlock.is_empty() {
        deadlock(&mut text, execution, findings, style);
    }
    races(&mut text, execution, findings, style);
    schedules(&mut text, findings, style);
    if !findings.alternatives.is_empty() {
        let _ = writeln!(text, "\nnext: frontrun replay {trace} --schedule 1");
    }
    text
}

/// `1 race`, `2 races`.
pub fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn deadlock(text: &mut String, execution: &Execution, findings: &Findings, style: Style) {
    let _ = writeln!(text, "\n{}", style.bad("deadlock: each of these waits for the next"));
    for wait in &findings.deadlock {
        let thread = names::thread(execution, wait.thread);
        let held = wait.held_by.map(|by| format!(", held by {}", names::thread(execution, by)));
        let place = names::place(execution, wait.site);
        let _ = writeln!(text, "  {thread} waits to {}{}  {place}", wait.action, held.unwrap_or_default());
        source(text, execution, wait.site, style);
    }
}

fn races(text: &mut String, execution: &Execution, findings: &Findings, style: Style) {
    if findings.races.is_empty() {
        let _ = writeln!(text, "\nno races");
        return;
    }
    let _ = writeln!(text, "\n{}", style.bold(&counted(findings.races.len(), "race")));
    for (n, race) in findings.races.iter().enumerate() {
        let _ = writeln!(text, "{:>4}  {}", n + 1, style.mark(&race.location));
        for access in &race.accesses {
            side(text, execution, access, style);
        }
    }
}

fn side(text: &mut String, execution: &Execution, access: &Access, style: Style) {
    let thread = names::thread(execution, access.thread);
    let place = names::place(execution, access.site);
    let _ = writeln!(text, "      step {}: {thread} {}  {place}", access.event + 1, access.action);
    source(text, execution, access.site, style);
}

fn source(text: &mut String, execution: &Execution, site: frontrun_formats::SiteId, style: Style) {
    if let Some(line) = names::source_line(execution, site) {
        let _ = writeln!(text, "          {}", style.dim(line));
    }
}

fn schedules(text: &mut String, findings: &Findings, style: Style) {
    let count = findings.alternatives.len();
    if count == 0 {
        let _ = writeln!(text, "\nnothing else follows from this execution");
        return;
    }
    let heading = format!("could have happened instead: {}", counted(count, "schedule"));
    let _ = writeln!(text, "\n{}", style.bold(&heading));
    for (n, alternative) in findings.alternatives.iter().take(MOST_SCHEDULES).enumerate() {
        let _ = writeln!(text, "{:>4}  {}", n + 1, alternative.reason);
    }
    if count > MOST_SCHEDULES {
        let _ = writeln!(text, "      … and {} more, see --json", count - MOST_SCHEDULES);
    }
}
