//! Reading recordings: the one place of this crate that opens trace files.

use crate::error::ReplayError;
use frontrun_formats::file::ReadError;
use frontrun_formats::{Event, Execution, Operation, Schedule, ScheduleEntry};
use std::path::Path;

/// Reads a recording.
pub fn read(path: &Path) -> Result<Execution, ReplayError> {
    frontrun_formats::file::read_file(path).map_err(|error| refused(path, error))
}

/// The version of the format that a recording has.
pub fn version(path: &Path) -> Result<u32, ReplayError> {
    let header = frontrun_formats::file::read_header(path).map_err(|error| refused(path, error));
    header.map(|(version, _)| version)
}

fn refused(path: &Path, error: ReadError) -> ReplayError {
    match error {
        ReadError::Io { path, source } => ReplayError::Io { doing: "read", path, source },
        source => ReplayError::Trace { path: path.to_owned(), source },
    }
}

/// Writes a schedule to a file of its own, as a spawned interpreter reads it: MessagePack.
pub fn write_schedule(path: &Path, schedule: &Schedule) -> Result<(), ReplayError> {
    let bytes = rmp_serde::to_vec_named(schedule).map_err(std::io::Error::other);
    bytes.and_then(|bytes| std::fs::write(path, bytes)).map_err(ReplayError::io("write schedule", path))
}

/// The order that an execution took, as a schedule that enforces it, up to where one thread is left: there is no order
/// any more, and what a test runner does at its end may hang on what earlier runs have left.
///
/// The part that the execution was told keeps its step structure; each later event is a step of its own, as the
/// run rule has it. Of an execution that was cut off before all it was told was recorded, what it was told is the order.
pub fn schedule_of(execution: &Execution) -> Schedule {
    let told_more = execution.units().count() < execution.header.schedule.entries.len();
    if told_more || (execution.truncated && !execution.header.schedule.tail.is_lowest()) {
        return execution.header.schedule.clone();
    }
    let told = &execution.header.schedule.entries;
    let ordered = ordered_part(execution).len();
    let entries = execution.units().take_while(|unit| unit.start < ordered).enumerate().map(|(n, unit)| {
        let event = &execution.events[unit.start];
        let (head, opens_step) = told.get(n).map_or((true, true), |entry| (entry.head, entry.opens_step));
        let expect = execution.fingerprint(event);
        ScheduleEntry { thread: event.thread.0, expect, head, opens_step, touches: 0 }
    });
    Schedule {
        threads: execution.threads.iter().map(|info| info.path.clone()).collect(),
        entries: entries.collect(),
        ..Schedule::default()
    }
}

/// The events up to the last one that is not of the thread that was left in the end, if all others have ended.
fn ordered_part(execution: &Execution) -> &[Event] {
    let events = execution.events.as_slice();
    let Some(left) = events.last().map(|event| event.thread) else { return events };
    let ends =
        events.iter().filter(|event| event.thread != left && event.operation == Operation::End).count();
    let others = events.iter().rposition(|event| event.thread != left).map_or(0, |last| last + 1);
    if ends + 1 == execution.threads.len() { &events[..others] } else { events }
}
