//! How an execution ended, and why nobody can go on if it ended so.

use super::names;
use super::style::Style;
use frontrun_analyzer::{Deadlock, DeadlockKind, Deed, Wait};
use frontrun_formats::{Execution, Outcome, SiteId, ThreadPath};
use std::fmt::Write;

/// Who waits for whom in an execution that ended with unfinished threads, then its outcome.
pub fn ending(execution: &Execution, style: Style) -> String {
    let mut text = String::new();
    // What the analyzer refuses (a recording that was cut off) still has its pending operations.
    let deadlock = match execution.pending.is_empty() {
        true => None,
        false => frontrun_analyzer::analyze(execution).ok().and_then(|analysis| analysis.deadlock),
    };
    match deadlock {
        Some(deadlock) => text.push_str(&waits(execution, &deadlock, style)),
        None if execution.outcome == Some(Outcome::Passed) => {}
        None => pending(&mut text, execution),
    }
    text.push_str(&outcome(execution, style));
    text
}

/// The outcome with its details.
pub fn outcome(execution: &Execution, style: Style) -> String {
    let mut text = String::new();
    match &execution.outcome {
        Some(Outcome::Passed) => {
            let _ = writeln!(text, "{}", style.good("passed"));
        }
        Some(Outcome::Failed(failure)) => {
            let by = failure.thread.as_ref().map(|path| format!(" in {path}")).unwrap_or_default();
            let headline = format!("failed{by}: {}", names::failure(failure.kind, &failure.message));
            let _ = writeln!(text, "{}", style.bad(&headline));
            for line in failure.details.trim_end().lines() {
                let _ = writeln!(text, "{}", style.dim(format!("  {line}").trim_end()));
            }
        }
        Some(Outcome::Diverged { step, expected, actual }) => {
            let headline = format!("diverged at step {}: expected {expected}, but {actual}", step + 1);
            let _ = writeln!(text, "{}", style.bad(&headline));
        }
        None => {
            let _ =
                writeln!(text, "{}", style.bad("the recording was cut off here (killed, crashed, or hung)"));
        }
    }
    text
}

/// The threads of a deadlock and what each waits for: those of the circle in its order, then the others.
pub fn waits(execution: &Execution, deadlock: &Deadlock, style: Style) -> String {
    let mut text = String::new();
    let heading = match deadlock.kind {
        DeadlockKind::Cycle => "each of these threads waits for the next one, and the last for the first:",
        DeadlockKind::SelfDeadlock => "a thread waits for itself:",
        DeadlockKind::OrphanLock => "the thread that holds the lock ended without giving it back:",
        DeadlockKind::Livelock => "a thread loops for ever, since nobody is going to change what it reads:",
        DeadlockKind::LostWakeup => "lost wake-up: what is waited for came too early:",
        DeadlockKind::MissingWakeup => "nobody is going to give what is waited for:",
    };
    let _ = writeln!(text, "{}", style.bad(heading));
    let of = |path: &ThreadPath| deadlock.waits.iter().find(|wait| wait.thread == *path);
    for wait in deadlock.cycle.iter().filter_map(of) {
        one_wait(&mut text, execution, wait, style);
    }
    let others = deadlock.waits.iter().filter(|wait| !wait.in_cycle);
    if !deadlock.cycle.is_empty() && others.clone().next().is_some() {
        let _ = writeln!(text, "behind them:");
    }
    for wait in others {
        one_wait(&mut text, execution, wait, style);
    }
    text
}

fn one_wait(text: &mut String, execution: &Execution, wait: &Wait, style: Style) {
    let held = match (&wait.holders[..], wait.taken_at) {
        ([holder, ..], Some(site)) => format!(", which {holder} took at {}", names::place(execution, site)),
        // For the end of a thread, the thread itself has been named.
        ([holder, ..], None) if wait.object.is_some() => format!(", held by {holder}"),
        _ => String::new(),
    };
    let place = names::place(execution, wait.site);
    let waits = if wait.loops { "loops, for want of" } else { "waits for" };
    let _ = writeln!(text, "  {} {waits} {}{held}  {place}", wait.thread, wait.resource);
    source(text, execution, wait.site, style);
    for missed in &wait.missed {
        let place = names::place(execution, missed.site);
        let _ = writeln!(text, "    before: {} {}  {place}", missed.thread, deed(&missed.deed));
        source(text, execution, missed.site, style);
    }
}

fn source(text: &mut String, execution: &Execution, site: SiteId, style: Style) {
    if let Some(line) = names::source_line(execution, site) {
        let _ = writeln!(text, "      {}", style.dim(line));
    }
}

/// What somebody did that could have ended the wait.
fn deed(deed: &Deed) -> String {
    match deed {
        Deed::NotifiedNobody => "notified it when nobody waited".to_owned(),
        Deed::NotifiedOther(other) => format!("notified it, which woke {other}"),
        Deed::Set => "set it".to_owned(),
        Deed::Cleared => "cleared it".to_owned(),
        Deed::Took => "took the last one".to_owned(),
        Deed::Changed(location) => format!("changed {location}"),
    }
}

fn pending(text: &mut String, execution: &Execution) {
    for pending in &execution.pending {
        let thread = names::thread(execution, pending.thread);
        let place = names::place(execution, pending.site);
        let at = if place.is_empty() { place } else { format!(" at {place}") };
        let waits = names::operation(execution, &pending.operation);
        let _ = writeln!(text, "{thread} waits to {waits}{at}");
    }
}
