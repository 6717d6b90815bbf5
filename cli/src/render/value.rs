//! JSON: every object that a command prints with `--json`, and `verdict.json`.
//!
//! `schema` is 1. Keys may be added within a schema; a change of meaning raises it.

use super::names;
use crate::findings::{Access, Findings};
use frontrun_formats::{Execution, Header, Outcome, SiteId};
use frontrun_replayer::Report;
use frontrun_replayer::proof::{Proof, ProofRun};
use frontrun_replayer::classify::RunEnd;
use frontrun_replayer::state;
use serde_json::{Value, json};

const SCHEMA: u32 = 1;

/// The verdict of an exploration. `reproduced` is how often the first failure was confirmed, and of how many.
pub fn report(report: &Report, reproduced: Option<(usize, usize)>) -> Value {
    let failures = report.failures.iter().map(|failure| {
        json!({
            "kind": failure.kind.name(),
            "trace": failure.trace,
            "message": failure.message,
            "details": failure.details,
            "output": failure.output,
            "executions_before": failure.executions_before,
        })
    });
    let divergence = report.first_divergence.as_ref().map(|divergence| {
        json!({ "step": divergence.step, "expected": divergence.expected, "actual": divergence.actual })
    });
    json!({
        "schema": SCHEMA,
        "verdict": report.verdict().name(),
        "executions": report.executions,
        "failures": failures.collect::<Vec<_>>(),
        "bounded_by": report.bounded_by.map(|bound| bound.name()),
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
        "beyond_preemption_bound": report.beyond_preemption_bound,
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
pub fn analysis(execution: &Execution, findings: &Findings) -> Value {
    let access = |access: &Access| {
        let mut value = place(execution, access.site);
        value["step"] = json!(access.event + 1);
        value["thread"] = json!(names::thread(execution, access.thread));
        value["action"] = json!(access.action);
        value
    };
    let races = findings.races.iter().map(|race| {
        json!({ "location": race.location, "accesses": race.accesses.each_ref().map(access) })
    });
    let waits = findings.deadlock.iter().map(|wait| {
        let mut value = place(execution, wait.site);
        value["thread"] = json!(names::thread(execution, wait.thread));
        value["waits_to"] = json!(wait.action);
        value["held_by"] = json!(wait.held_by.map(|thread| names::thread(execution, thread)));
        value
    });
    let schedules = findings.alternatives.iter().enumerate().map(|(n, alternative)| {
        json!({
            "number": n + 1,
            "id": format!("{:016x}", alternative.schedule.id()),
            "steps": alternative.schedule.entries.len(),
            "reason": alternative.reason,
        })
    });
    json!({
        "schema": SCHEMA,
        "class": format!("{:016x}", findings.class),
        "outcome": outcome(execution),
        "threads": execution.threads.len(),
        "steps": execution.events.len(),
        "races": races.collect::<Vec<_>>(),
        "deadlock": waits.collect::<Vec<_>>(),
        "schedules": schedules.collect::<Vec<_>>(),
    })
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
    let threads = execution.threads.iter().map(|thread| {
        json!({ "path": thread.path.to_string(), "name": thread.name })
    });
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

/// How often a recording was reproduced.
pub fn proof(proof: &Proof) -> Value {
    let run = |run: &ProofRun| {
        let end = match &run.end {
            RunEnd::Passed => "passed".to_owned(),
            RunEnd::Failed(failure) => format!("failed: {}: {}", failure.kind.name(), failure.message),
            RunEnd::Diverged(divergence) => format!("diverged: {divergence}"),
            RunEnd::Unrecorded(reason) => format!("unrecorded: {reason}"),
        };
        json!({ "trace": run.trace, "end": end, "reproduced": run.reproduced })
    };
    json!({
        "schema": SCHEMA,
        "times": proof.runs.len(),
        "reproduced": proof.reproduced(),
        "runs": proof.runs.iter().map(run).collect::<Vec<_>>(),
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
