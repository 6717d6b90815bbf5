//! What things are called: locations, operations, places, threads, files, numbers.

use frontrun_formats::{Execution, FailureKind, Location, ObjectId, Operation, Part, SiteId, ThreadId};
use frontrun_replayer::divergence::phrase;
use std::path::Path;

/// `1 race`, `2 races`.
pub fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// A failure in one line. Some messages begin with the name of the kind.
pub fn failure(kind: FailureKind, message: &str) -> String {
    let name = kind.name();
    match message.strip_prefix(name) {
        Some(rest) if rest.starts_with(':') => message.to_owned(),
        _ => format!("{name}: {message}"),
    }
}

/// A path as it is typed at a shell, in quotes where it needs them.
pub fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// A location as a person would write it, as in `Counter#1.value`.
pub fn location(execution: &Execution, at: Location) -> String {
    frontrun_analyzer::location_text(execution, at)
}

/// An object by its label, or by its number.
pub fn object(execution: &Execution, id: ObjectId) -> String {
    match execution.label(id) {
        "" => format!("object {}", id.0),
        label => label.to_owned(),
    }
}

/// A thread by its path, as in `t0.1`.
pub fn thread(execution: &Execution, id: ThreadId) -> String {
    execution.path(id).map_or_else(|| format!("thread {}", id.0), ToString::to_string)
}

/// The last part of a path.
pub fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A place as `file.py:12`; empty when it is not known.
pub fn place(execution: &Execution, site: SiteId) -> String {
    match execution.site(site) {
        Some(site) if site.line > 0 => format!("{}:{}", base_name(execution.text(site.file)), site.line),
        _ => String::new(),
    }
}

/// The source line of a place, without its indentation, if the recording has the text.
pub fn source_line(execution: &Execution, site: SiteId) -> Option<&str> {
    let site = execution.site(site).filter(|site| site.line > 0)?;
    let path = execution.text(site.file);
    let text = execution.sources.iter().find(|source| source.path == path)?.text.as_ref()?;
    text.lines().nth(site.line as usize - 1).map(str::trim).filter(|line| !line.is_empty())
}

/// An operation with what it works on, as in `acquire a lock: lock made at app.py:3`.
pub fn operation(execution: &Execution, operation: &Operation) -> String {
    let named = |id: ObjectId| format!("{} {}", short_phrase(operation), object(execution, id));
    match operation {
        Operation::Read { at } => format!("read {}", location(execution, *at)),
        Operation::Write { at } => format!("write {}", location(execution, *at)),
        Operation::Touch { reads, writes } => {
            let list = |locations: &[Location]| {
                let names: Vec<String> =
                    locations.iter().take(3).map(|at| location(execution, *at)).collect();
                format!("{}{}", names.join(", "), if locations.len() > 3 { ", …" } else { "" })
            };
            match (reads.is_empty(), writes.is_empty()) {
                (true, true) => "one step out of scope".to_owned(),
                (false, true) => format!("read {}", list(reads)),
                (true, false) => format!("write {}", list(writes)),
                (false, false) => format!("read {} and write {}", list(reads), list(writes)),
            }
        }
        Operation::Spawn { thread: id } => format!("start {}", thread(execution, *id)),
        Operation::Join { thread: id } => format!("join {}", thread(execution, *id)),
        Operation::DictStore { dict, key }
        | Operation::DictSetDefault { dict, key }
        | Operation::DictRemove { dict, key }
        | Operation::SetAdd { set: dict, key } => {
            format!(
                "{} {}",
                short_phrase(operation),
                location(execution, Location::new(*dict, Part::Key(*key)))
            )
        }
        Operation::ListGet { list, index } | Operation::ListSet { list, index } => {
            format!("{} {}[{index}]", short_phrase(operation), object(execution, *list))
        }
        _ => subject(operation).map_or_else(|| phrase(operation).to_owned(), named),
    }
}

/// The object that an operation works on, where it is one object as a whole.
fn subject(operation: &Operation) -> Option<ObjectId> {
    match *operation {
        Operation::Acquire { lock } | Operation::TryAcquire { lock } | Operation::Release { lock } => {
            Some(lock)
        }
        Operation::ListAppend { list } | Operation::ListPop { list } | Operation::ListChange { list, .. } => {
            Some(list)
        }
        Operation::Clear { container } => Some(container),
        Operation::SemaphoreAcquire { semaphore }
        | Operation::SemaphoreTry { semaphore }
        | Operation::SemaphoreRelease { semaphore, .. } => Some(semaphore),
        Operation::RunLoop { until, .. } => Some(until),
        Operation::Enter { gate, .. } | Operation::TryEnter { gate, .. } => Some(gate),
        Operation::ReleaseAndSet { lock, .. } => Some(lock),
        Operation::Resume { awaited, host, .. } => Some(awaited.unwrap_or(host)),
        Operation::EventWait { event }
        | Operation::EventSet { event }
        | Operation::EventClear { event }
        | Operation::EventIsSet { event } => Some(event),
        Operation::ConditionWait { condition, .. }
        | Operation::ConditionWake { condition, .. }
        | Operation::ConditionWakeTimed { condition, .. }
        | Operation::ConditionNotify { condition, .. } => Some(condition),
        Operation::BarrierArrive { barrier, .. } | Operation::BarrierLeave { barrier, .. } => Some(barrier),
        Operation::QueuePut { queue, .. }
        | Operation::QueueGet { queue }
        | Operation::QueueTryPut { queue, .. }
        | Operation::QueueTryGet { queue } => Some(queue),
        Operation::ChannelOpen { channel }
        | Operation::ChannelPut { channel, .. }
        | Operation::ChannelTake { channel, .. }
        | Operation::ChannelTryTake { channel, .. } => Some(channel),
        Operation::ChannelWait { ref of } | Operation::ChannelClose { ref of } => {
            of.first().map(|at| at.object)
        }
        _ => None,
    }
}

/// The verb of an operation in front of its object's name.
fn short_phrase(operation: &Operation) -> &'static str {
    match operation {
        Operation::Acquire { .. } | Operation::SemaphoreAcquire { .. } => "acquire",
        Operation::TryAcquire { .. } | Operation::SemaphoreTry { .. } => "try to acquire",
        Operation::Release { .. } | Operation::SemaphoreRelease { .. } => "release",
        Operation::DictStore { .. } | Operation::ListSet { .. } => "store",
        Operation::DictSetDefault { .. } => "set default",
        Operation::DictRemove { .. } => "remove",
        Operation::SetAdd { .. } => "add",
        Operation::ListAppend { .. } => "append to",
        Operation::ListPop { .. } => "pop from",
        Operation::ListGet { .. } => "read",
        Operation::ListChange { .. } => "change",
        Operation::Clear { .. } => "clear",
        Operation::Resume { awaited: None, .. } => "go on in",
        Operation::Resume { .. } => "go on after",
        Operation::RunLoop { leaves: false, .. } => "go on after",
        Operation::RunLoop { .. } => "leave the loop after",
        Operation::Enter { .. } => "go in behind",
        Operation::TryEnter { .. } => "try to go in behind",
        Operation::ReleaseAndSet { .. } => "release",
        Operation::EventWait { .. } => "wait for",
        Operation::EventSet { .. } => "set",
        Operation::EventClear { .. } => "clear",
        Operation::EventIsSet { .. } => "look at",
        Operation::ConditionWait { .. } => "wait on",
        Operation::ConditionWake { .. } | Operation::ConditionWakeTimed { .. } => "wake on",
        Operation::ConditionNotify { .. } => "notify",
        Operation::BarrierArrive { .. } => "arrive at",
        Operation::BarrierLeave { .. } => "leave",
        Operation::QueuePut { .. } | Operation::QueueTryPut { .. } => "put into",
        Operation::QueueGet { .. } | Operation::QueueTryGet { .. } => "get from",
        Operation::ChannelOpen { .. } => "open",
        Operation::ChannelPut { .. } => "send into",
        Operation::ChannelTake { .. } => "receive from",
        Operation::ChannelTryTake { .. } => "try to receive from",
        Operation::ChannelWait { .. } => "wait for",
        Operation::ChannelClose { .. } => "close",
        other => phrase(other),
    }
}

/// Whether an operation touches the program's data, as opposed to coordinating threads.
pub fn is_data(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::Read { .. }
            | Operation::Write { .. }
            | Operation::Touch { .. }
            | Operation::DictStore { .. }
            | Operation::DictSetDefault { .. }
            | Operation::DictRemove { .. }
            | Operation::SetAdd { .. }
            | Operation::ListAppend { .. }
            | Operation::ListPop { .. }
            | Operation::ListGet { .. }
            | Operation::ListSet { .. }
            | Operation::ListChange { .. }
            | Operation::Clear { .. }
    )
}
