//! What an exploration found, as text: the verdict in one line, then each failure, then what to do next.

use super::names::{self, base_name, counted, shell_word};
use super::own::is_of_the_library;
use super::style::Style;
use frontrun_replayer::analysis::{RaceAccess, RaceReport};
use frontrun_replayer::{BoundedBy, FoundFailure, Report, Verdict};
use std::fmt::Write;
use std::time::Duration;

/// A failure with what explains it.
#[derive(Clone, Debug)]
pub struct Explained<'a> {
    /// The failure.
    pub failure: &'a FoundFailure,
    /// Its interleaving, already drawn; empty when there is no readable recording.
    pub interleaving: String,
}

/// So many failures are explained; the others are listed.
pub const EXPLAINED: usize = 3;

/// And so many of those are.
const LISTED: usize = 20;

/// So many races are listed.
const RACES: usize = 5;

/// The first line of a report.
pub fn headline(report: &Report, style: Style) -> String {
    let others = [(report.redundant, "probe"), (report.drawn, "random execution")];
    let mut ran = others
        .iter()
        .filter(|(count, _)| *count > 0)
        .fold(counted(report.executions as usize, "execution"), |ran, (count, what)| {
            format!("{ran} and {}", counted(*count as usize, what))
        });
    if report.beyond_gil > 0 {
        ran = format!("{ran}, without {} that no GIL allows", report.beyond_gil);
    }
    let time = duration(report.elapsed);
    match report.verdict() {
        Verdict::Failed => {
            let failures = counted(report.failures.len(), "failure");
            format!("{} {failures} in {ran} ({time})", style.bad("failed:"))
        }
        Verdict::Exhausted if report.explored_nothing() => {
            format!("{} the program never had two threads", style.bold("nothing to explore:"))
        }
        Verdict::Exhausted => {
            format!(
                "{} every class of executions ran and none failed: {ran} ({time})",
                style.good("exhausted:")
            )
        }
        Verdict::Bounded => {
            format!("{} no failure in {ran} ({time}); {}", style.mark("bounded:"), bound(report))
        }
        Verdict::Diverged => {
            let runs = counted(report.diverged as usize, "run");
            format!("{} {runs} of {} did not follow the schedule", style.bad("diverged:"), report.executions)
        }
        Verdict::Error => {
            format!("{} {}", style.bad("error:"), report.errors.first().map_or("", String::as_str))
        }
    }
}

/// The whole report. `reproduced` is how often the first failure was confirmed, and of how many.
pub fn report(
    report: &Report,
    failures: &[Explained<'_>],
    reproduced: Option<(usize, usize)>,
    style: Style,
) -> String {
    let mut text = headline(report, style) + "\n";
    for (n, explained) in failures.iter().enumerate() {
        let failure = explained.failure;
        let title = format!("failure {}: {}", n + 1, names::failure(failure.kind, &failure.headline()));
        let _ = writeln!(text, "\n{}", style.bold(&title));
        if !explained.interleaving.is_empty() {
            let _ = writeln!(text, "{}", explained.interleaving.trim_end());
        }
        if let Some(gil) = failure.gil {
            let _ = writeln!(text, "{}", builds(gil));
        }
        if let Some(output) = &failure.output {
            let _ = writeln!(text, "output: {}", shell_word(output));
        }
        if let (0, Some((reproduced, times))) = (n, reproduced) {
            let line = format!("reproduced {reproduced}/{times} in fresh interpreters");
            let _ = writeln!(text, "{}", if reproduced == times { line } else { style.bad(&line) });
        }
        let _ = writeln!(text, "replay it: frontrun replay {}", shell_word(&failure.trace));
    }
    if report.failures.len() > failures.len() {
        let others = report.failures.len() - failures.len();
        let _ = writeln!(text, "\nand {}:", counted(others, "more failure"));
        for failure in report.failures.iter().skip(failures.len()).take(LISTED) {
            let line = names::failure(failure.kind, &failure.headline());
            let _ = writeln!(text, "  {}  {line}", shell_word(&failure.trace));
        }
        if others > LISTED {
            let _ = writeln!(text, "  … see verdict.json for the others");
        }
    }
    races(&mut text, report, style);
    remarks(&mut text, report);
    text
}

/// Which builds of CPython can have a failing execution.
pub fn builds(gil: bool) -> &'static str {
    match gil {
        true => "builds: with a GIL, too: CPython can switch threads at these places",
        false => "builds: free-threaded only: with a GIL, CPython does not switch threads at these places",
    }
}

fn remarks(text: &mut String, report: &Report) {
    if let Some(divergence) = &report.first_divergence {
        let _ = writeln!(text, "first divergence: {divergence}");
        let _ = writeln!(
            text,
            "the program does something else in the same order of steps (time, random numbers, files, or threads \
             that frontrun does not control), or what frontrun cannot follow"
        );
    }
    if report.verdict() != Verdict::Error || report.errors.len() > 1 {
        for error in &report.errors {
            let _ = writeln!(text, "fault: {error}");
        }
    }
    if report.verdict() == Verdict::Failed
        && report.bounded_by.is_some_and(|by| by != BoundedBy::FirstFailure)
    {
        let _ = writeln!(text, "not everything was run: {}", bound(report));
    }
    if report.bounded_by == Some(BoundedBy::FirstFailure) {
        let _ = writeln!(text, "stopped there; --keep-going looks for more");
    }
    if report.explored_nothing() {
        let _ =
            writeln!(text, "frontrun explores the threads that a program starts; is this the right target?");
    }
}

fn races(text: &mut String, report: &Report, style: Style) {
    if report.races.is_empty() {
        return;
    }
    let _ = writeln!(text, "{}", style.bold(&format!("{} seen:", counted(report.races.len(), "race"))));
    // Those among the standard library's own lines come last.
    let is_own = |race: &&RaceReport| race.accesses.iter().any(|at| !is_of_the_library(&at.file));
    let (own, others): (Vec<_>, Vec<_>) = report.races.iter().partition(is_own);
    for race in own.into_iter().chain(others).take(RACES) {
        let side = |at: &RaceAccess| format!("{} it at {}:{}", at.action, base_name(&at.file), at.line);
        let [one, other] = race.accesses.each_ref().map(side);
        let _ = writeln!(text, "  {}: one thread {one}, another {other}", style.mark(&race.location));
    }
    if report.races.len() > RACES {
        let _ = writeln!(text, "  … and {} more, see verdict.json", report.races.len() - RACES);
    }
}

/// Milliseconds below a second, because most explorations take no longer.
fn duration(elapsed: Duration) -> String {
    match elapsed.as_millis() {
        millis if millis < 1000 => format!("{millis} ms"),
        _ => format!("{:.1} s", elapsed.as_secs_f64()),
    }
}

/// Why not everything was run.
fn bound(report: &Report) -> String {
    let waiting = match report.waiting {
        0 => "before the first execution was complete".to_owned(),
        waiting => format!("at least {} not run", counted(waiting as usize, "more execution")),
    };
    match report.bounded_by {
        Some(BoundedBy::Executions) => format!("stopped by --max-executions, {waiting}"),
        Some(BoundedBy::Time) => format!("stopped by --max-time, {waiting}"),
        Some(BoundedBy::Interrupt) => format!("interrupted, {waiting}"),
        Some(BoundedBy::Attempts) => "drawn at random: other executions may fail".to_owned(),
        Some(BoundedBy::FirstFailure) => format!("stopped at the first failure, {waiting}"),
        Some(BoundedBy::Scope) => {
            "no code is in scope, so threads switched where they wait and nowhere else".to_owned()
        }
        Some(BoundedBy::Trust) => "code that was to be trusted (--trust) was not looked at".to_owned(),
        Some(BoundedBy::Preemptions) => format!(
            "{} left out by --preemption-bound",
            counted(report.beyond_preemption_bound as usize, "schedule")
        ),
        Some(BoundedBy::Memory) => format!(
            "at least {} left out for lack of memory: the program takes too many steps",
            counted(report.left_out as usize, "schedule")
        ),
        Some(BoundedBy::CutRuns) => {
            let runs = counted(report.cut_runs as usize, "run");
            format!("{runs} cut short (hang or crash): what else could follow there is not known")
        }
        Some(BoundedBy::LeftBehind) => {
            "threads that could have gone on were left behind at the end of the program (daemons that sleep and go \
             on, say): what they would have done, had it come later, is not known"
                .to_owned()
        }
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(of: &Report) -> String {
        report(of, &[], None, Style::plain())
    }

    #[test]
    fn a_bounded_search_says_by_what() {
        let bounded = Report {
            executions: 10,
            waiting: 3,
            most_threads: 2,
            bounded_by: Some(BoundedBy::Executions),
            elapsed: Duration::from_millis(1500),
            ..Report::default()
        };
        let expected = "bounded: no failure in 10 executions (1.5 s); stopped by --max-executions, at least 3 \
                        more executions not run\n";
        assert_eq!(lines(&bounded), expected);
    }

    #[test]
    fn an_exhausted_search_claims_it_and_an_empty_one_does_not() {
        let mut exhausted = Report { executions: 4, most_threads: 3, ..Report::default() };
        assert!(lines(&exhausted).starts_with("exhausted: every class of executions ran and none failed"));
        exhausted.most_threads = 1;
        assert!(lines(&exhausted).starts_with("nothing to explore: "));
    }
}
