//! The analysis of one execution as text: outcome, races, deadlock, schedules.

use super::ending;
use super::names::{self, counted};
use super::style::Style;
use frontrun_analyzer::{Access, Analysis, Race};
use frontrun_formats::{Execution, SiteId};
use std::fmt::Write;

/// An execution with more alternatives lists this many.
const MOST_SCHEDULES: usize = 200;

/// The analysis of the execution in `trace` (as the user names it).
pub fn analysis(execution: &Execution, analysis: &Analysis, trace: &str, style: Style) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}: {}, {}",
        style.bold(trace),
        counted(execution.threads.len(), "thread"),
        counted(execution.events.len(), "step")
    );
    text.push_str(&ending::outcome(execution, style));
    if let Some(deadlock) = &analysis.deadlock {
        let _ = write!(text, "\n{}", ending::waits(execution, deadlock, style));
    }
    races(&mut text, execution, &analysis.races, style);
    schedules(&mut text, execution, analysis, style);
    if !analysis.alternatives.is_empty() {
        let _ = writeln!(text, "\nnext: frontrun replay {trace} --schedule 1");
    }
    text
}

fn races(text: &mut String, execution: &Execution, races: &[Race], style: Style) {
    if races.is_empty() {
        let _ = writeln!(text, "\nno races");
        return;
    }
    let _ = writeln!(text, "\n{}", style.bold(&counted(races.len(), "race")));
    for (n, race) in races.iter().enumerate() {
        let often = match race.occurrences {
            0 | 1 => String::new(),
            times => format!("  ({times} times)"),
        };
        let _ = writeln!(text, "{:>4}  {}{often}", n + 1, style.mark(&race.location_text));
        side(text, execution, &race.first, style);
        side(text, execution, &race.second, style);
    }
}

fn side(text: &mut String, execution: &Execution, access: &Access, style: Style) {
    let place = names::place(execution, access.site);
    let locks: Vec<String> = access.locks.iter().map(|lock| names::object(execution, *lock)).collect();
    let holding = if locks.is_empty() { String::new() } else { format!(", holding {}", locks.join(", ")) };
    let _ = writeln!(
        text,
        "      step {}: {} {} it{holding}  {place}",
        access.event + 1,
        access.thread,
        access.action
    );
    source(text, execution, access.site, style);
}

fn source(text: &mut String, execution: &Execution, site: SiteId, style: Style) {
    if let Some(line) = names::source_line(execution, site) {
        let _ = writeln!(text, "          {}", style.dim(line));
    }
}

fn schedules(text: &mut String, execution: &Execution, analysis: &Analysis, style: Style) {
    let count = analysis.alternatives.len();
    if count == 0 {
        let _ = writeln!(text, "\nnothing else follows from this execution");
        return;
    }
    let heading = format!("could have happened instead: {}", counted(count, "schedule"));
    let _ = writeln!(text, "\n{}", style.bold(&heading));
    for (n, alternative) in analysis.alternatives.iter().take(MOST_SCHEDULES).enumerate() {
        let _ = writeln!(text, "{:>4}  {}", n + 1, alternative.reason.line(execution));
    }
    if count > MOST_SCHEDULES {
        let _ = writeln!(text, "      … and {} more, see --json", count - MOST_SCHEDULES);
    }
    if !analysis.complete {
        let _ = writeln!(text, "      … and more than can be listed: `frontrun explore` runs them all");
    }
}
