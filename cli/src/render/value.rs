//! JSON: every object that a command prints with `--json`, and `verdict.json`.
//!
//! `schema` is 1. Keys may be added within a schema; a change of meaning raises it.

use super::names;
use frontrun_analyzer::{Access, Analysis, Deadlock, DeadlockKind, Deed, Missed};
use frontrun_formats::{Execution, Header, Outcome, SiteId, ThreadPath};
use frontrun_replayer::{BoundedBy, Report, Verdict, state};
use serde::Serialize;
use serde_json::{Value, json};
use std::path::Path;

const SCHEMA: u32 = 1;

/// What `explore --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct VerdictLine<'a> {
    schema: u32,
    verdict: &'static str,
    executions: u64,
    failures: Vec<FailureLine<'a>>,
    bounded_by: Option<&'static str>,
    /// What went wrong, where the verdict is `diverged` or `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct FailureLine<'a> {
    kind: &'static str,
    trace: &'a Path,
    message: String,
    gil_reachable: Option<bool>,
}

/// The verdict of an exploration: what a script needs.
pub fn verdict(report: &Report) -> VerdictLine<'_> {
    let failures = report.failures.iter();
    let failures = failures.map(|failure| FailureLine {
        kind: failure.kind.name(),
        trace: &failure.trace,
        message: failure.headline(),
        gil_reachable: failure.gil,
    });
    VerdictLine {
        schema: SCHEMA,
        verdict: report.verdict().name(),
        executions: report.executions,
        failures: failures.collect(),
        bounded_by: report.bounded_by.map(BoundedBy::name),
        reason: match report.verdict() {
            Verdict::Diverged => report.first_divergence.as_ref().map(ToString::to_string),
            Verdict::Error => report.errors.first().cloned(),
            Verdict::Failed | Verdict::Exhausted | Verdict::Bounded => None,
        },
    }
}

/// `verdict.json`: all that is known. `reproduced` is how often the first failure was confirmed, of how many.
pub fn report(report: &Report, reproduced: Option<(usize, usize)>) -> Value {
    let failures = report.failures.iter().map(|failure| {
        json!({
            "kind": failure.kind.name(),
            "trace": failure.trace,
            "message": failure.headline(),
            "deadlock": failure.standstill.map(DeadlockKind::name),
            "details": failure.details,
            "output": failure.output,
            "executions_before": failure.executions_before,
            "gil_reachable": failure.gil,
        })
    });
    let divergence = report.first_divergence.as_ref().map(|divergence| {
        json!({ "step": divergence.step + 1, "expected": divergence.expected, "actual": divergence.actual })
    });
    json!({
        "schema": SCHEMA,
        "verdict": report.verdict().name(),
        "executions": report.executions,
        "redundant": report.redundant,
        "drawn": report.drawn,
        "beyond_gil": report.beyond_gil,
        "failures": failures.collect::<Vec<_>>(),
        "bounded_by": report.bounded_by.map(BoundedBy::name),
        "nothing_to_explore": report.explored_nothing(),
        "first_trace": report.first_trace,
        "outcomes": report.outcomes,
        "reproduced": reproduced.map(|(reproduced, times)| json!({ "runs": times, "reproduced": reproduced })),
        "diverged": report.diverged,
        "divergence": divergence,
        "errors": report.errors,
        "classes": report.classes,
        "waiting": report.waiting,
        "cut_runs": report.cut_runs,
        "left_behind": report.left_behind,
        "beyond_preemption_bound": report.beyond_preemption_bound,
        "left_out": report.left_out,
        "races": races_of_report(report),
        "seconds": report.elapsed.as_secs_f64(),
    })
}

fn races_of_report(report: &Report) -> Vec<Value> {
    let races = report.races.iter().map(|race| {
        let accesses = race.accesses.each_ref();
        let accesses = accesses.map(|at| json!({ "action": at.action, "file": at.file, "line": at.line }));
        json!({ "location": race.location, "accesses": accesses })
    });
    races.collect()
}

/// The analysis of one execution.
pub fn analysis(execution: &Execution, analysis: &Analysis) -> Value {
    let races = analysis.races.iter().map(|race| {
        let accesses = [&race.first, &race.second].map(|side| access(execution, side));
        json!({ "location": race.location_text, "accesses": accesses, "occurrences": race.occurrences })
    });
    let schedules = analysis.alternatives.iter().enumerate().map(|(n, alternative)| {
        json!({
            "number": n + 1,
            "id": format!("{:016x}", alternative.schedule.id()),
            "steps": alternative.schedule.entries.len(),
            "reason": alternative.reason.line(execution),
        })
    });
    json!({
        "schema": SCHEMA,
        "class": format!("{:016x}", analysis.class),
        "outcome": outcome(execution),
        "threads": execution.threads.len(),
        "steps": execution.events.len(),
        "races": races.collect::<Vec<_>>(),
        "deadlock": analysis.deadlock.as_ref().map(|deadlock| self::deadlock(execution, deadlock)),
        "schedules": schedules.collect::<Vec<_>>(),
        "complete": analysis.complete,
    })
}

fn access(execution: &Execution, access: &Access) -> Value {
    let locks: Vec<String> = access.locks.iter().map(|lock| names::object(execution, *lock)).collect();
    let mut value = place(execution, access.site);
    value["step"] = json!(access.event + 1);
    value["thread"] = json!(access.thread.to_string());
    value["action"] = json!(access.action);
    value["writes"] = json!(access.writes);
    value["locks"] = json!(locks);
    value
}

fn deadlock(execution: &Execution, deadlock: &Deadlock) -> Value {
    let text = |paths: &[ThreadPath]| -> Vec<String> { paths.iter().map(ToString::to_string).collect() };
    let waits = deadlock.waits.iter().map(|wait| {
        let mut value = place(execution, wait.site);
        value["thread"] = json!(wait.thread.to_string());
        value["waits_for"] = json!(wait.resource);
        value["held_by"] = json!(text(&wait.holders));
        value["missed"] = wait.missed.iter().map(|missed| self::missed(execution, missed)).collect();
        value["taken_at"] = wait.taken_at.map_or(Value::Null, |site| place(execution, site));
        value
    });
    json!({ "kind": deadlock.kind.name(), "cycle": text(&deadlock.cycle), "waits": waits.collect::<Vec<_>>() })
}

fn missed(execution: &Execution, missed: &Missed) -> Value {
    let mut value = place(execution, missed.site);
    value["thread"] = json!(missed.thread.to_string());
    let (deed, of) = match &missed.deed {
        Deed::NotifiedNobody => ("notified_nobody", None),
        Deed::NotifiedOther(other) => ("notified", Some(other.to_string())),
        Deed::Set => ("set", None),
        Deed::Cleared => ("cleared", None),
        Deed::Took => ("took", None),
        Deed::Changed(location) => ("changed", Some(location.clone())),
    };
    value["deed"] = json!(deed);
    value["of"] = json!(of);
    value
}

/// A whole execution.
pub fn execution(execution: &Execution) -> Value {
    let effects = state::effects(execution);
    let events = execution.events.iter().zip(&effects).enumerate().map(|(n, (event, effect))| {
        let list = |locations: &[frontrun_formats::Location]| -> Vec<String> {
            locations.iter().map(|at| names::location(execution, *at)).collect()
        };
        let mut value = place(execution, event.site);
        value["step"] = json!(n + 1);
        value["thread"] = json!(names::thread(execution, event.thread));
        value["operation"] = json!(names::operation(execution, &event.operation));
        value["reads"] = json!(list(&effect.reads));
        value["writes"] = json!(list(&effect.writes));
        value["result"] = json!(event.result);
        value
    });
    let pending = execution.pending.iter().map(|pending| {
        let mut value = place(execution, pending.site);
        value["thread"] = json!(names::thread(execution, pending.thread));
        value["operation"] = json!(names::operation(execution, &pending.operation));
        value
    });
    let threads = execution
        .threads
        .iter()
        .map(|thread| json!({ "path": thread.path.to_string(), "name": thread.name }));
    json!({
        "schema": SCHEMA,
        "threads": threads.collect::<Vec<_>>(),
        "events": events.collect::<Vec<_>>(),
        "pending": pending.collect::<Vec<_>>(),
        "outcome": outcome(execution),
        "observed": execution.observed,
        "truncated": execution.truncated,
    })
}

/// What a trace is a recording of.
pub fn info(header: &Header, version: u32, execution: &Execution) -> Value {
    let environment = &header.environment;
    let sources = execution.sources.iter().map(|source| {
        json!({
            "path": source.path,
            "xxh3": format!("{:016x}", source.hash),
            "embedded": source.text.is_some(),
        })
    });
    json!({
        "schema": SCHEMA,
        "format": version,
        "tool": environment.tool,
        "command": header.target.command,
        "call": header.target.call,
        "directory": environment.directory,
        "python": environment.python,
        "python_version": [environment.python_version.0, environment.python_version.1, environment.python_version.2],
        "executable": environment.executable,
        "flags": environment.flags,
        "hash_seed": environment.hash_seed,
        "platform": environment.platform,
        "schedule_steps": header.schedule.entries.len(),
        "parent": header.parent.map(|id| format!("{id:016x}")),
        "threads": execution.threads.len(),
        "steps": execution.events.len(),
        "outcome": outcome(execution),
        "truncated": execution.truncated,
        "sources": sources.collect::<Vec<_>>(),
    })
}

fn outcome(execution: &Execution) -> Value {
    match &execution.outcome {
        None => Value::Null,
        Some(Outcome::Passed) => json!({ "kind": "passed" }),
        Some(Outcome::Failed(failure)) => json!({
            "kind": failure.kind.name(),
            "message": failure.message,
            "thread": failure.thread.as_ref().map(ToString::to_string),
            "details": failure.details,
        }),
        Some(Outcome::Diverged { step, expected, actual }) => {
            json!({ "kind": "diverged", "step": step + 1, "expected": expected, "actual": actual })
        }
    }
}

fn place(execution: &Execution, site: SiteId) -> Value {
    let Some(at) = execution.site(site).filter(|at| at.line > 0) else {
        return json!({ "file": null, "line": null });
    };
    json!({
        "file": execution.text(at.file),
        "line": at.line,
        "column": at.column,
        "function": execution.text(at.function),
        "source": names::source_line(execution, site),
    })
}
