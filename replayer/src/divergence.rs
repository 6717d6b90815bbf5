//! Where an execution left the schedule that it was to follow.
//!
//! A schedule names threads and fingerprints. What a fingerprint stands for is looked up in executions of the
//! same program, so the more of them are at hand the more a [`Divergence`] can name. A run normally notices by
//! itself and ends as diverged; this comparison is the second opinion from outside, from the recording alone.
//!
//! Not here: sentences. A divergence is data, its `Display` the one line that every caller wants.

use frontrun_formats::execution::outside::{DIRECTORY, FILE, KEY, TABLE};
use frontrun_formats::{
    Execution, Operation, Part, Schedule, SiteId, ThreadId, ThreadPath, Value, execution,
};
use rustc_hash::FxHashMap;
use std::fmt;

/// The first step at which an execution is not the one that its schedule describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// Index of the schedule's entry, from 0.
    pub step: u64,
    /// What the schedule wants there.
    pub expected: String,
    /// What happened instead.
    pub actual: String,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: expected {}, but {}", self.step + 1, self.expected, self.actual)
    }
}

/// Compares an execution with the schedule it was to follow; `known` are further executions of the same
/// program, used to say what was expected.
///
/// A recording that was cut off is compared as far as it goes.
pub fn compare(execution: &Execution, schedule: &Schedule, known: &[&Execution]) -> Option<Divergence> {
    let mut units = execution.units();
    for (step, entry) in schedule.entries.iter().enumerate() {
        let wanted = schedule.threads.get(entry.thread as usize);
        let Some(event) = units.next().map(|unit| &execution.events[unit.start]) else {
            if execution.truncated {
                return None;
            }
            return Some(Divergence {
                step: step as u64,
                expected: expectation(wanted, entry.expect, execution, known),
                actual: "the execution had ended".to_owned(),
            });
        };
        let follows = execution.path(event.thread) == wanted
            && (entry.expect == 0 || entry.expect == execution.fingerprint(event));
        if !follows {
            return Some(Divergence {
                step: step as u64,
                expected: expectation(wanted, entry.expect, execution, known),
                actual: describe(execution, event.thread, event.site, &event.operation),
            });
        }
    }
    None
}

/// Where an execution found files in another state than an earlier one did: nobody has put back what that one left.
pub fn other_start(execution: &Execution, earlier: &Execution) -> Option<Divergence> {
    let known: FxHashMap<(&str, Option<&str>), Found> = outside(earlier).collect();
    let (at, _) =
        outside(execution).find(|(at, found)| known.get(at).is_some_and(|known| known.differs(*found)))?;
    let name = at.1.map_or(at.0.to_owned(), |entry| format!("{}/{}", at.0, entry.trim_matches('\'')));
    Some(Divergence {
        step: 0,
        expected: format!("{name} to be what it was at the same point of the first execution"),
        actual: "an earlier execution has left it otherwise".to_owned(),
    })
}

/// What an execution has found outside.
#[derive(Clone, Copy)]
struct Found<'a> {
    value: &'a Value,
    /// Nothing hangs on it: it was overwritten.
    is_overwritten: bool,
}

impl Found<'_> {
    fn differs(self, other: Found<'_>) -> bool {
        self.value != other.value && !(self.is_overwritten && other.is_overwritten)
    }
}

/// The initial values of files and directory entries, by what these are called.
fn outside(execution: &Execution) -> impl Iterator<Item = ((&str, Option<&str>), Found<'_>)> {
    execution.initial.iter().filter_map(|(at, value)| {
        let object = execution.objects.get(at.object.index())?;
        let kind = execution.text(object.type_name);
        let entry = match at.part {
            Part::Key(key) => Some(execution.text(*execution.keys.get(key.index())?)),
            _ => None,
        };
        let is_outside = [FILE, DIRECTORY, TABLE, KEY].contains(&kind);
        let found = Found { value, is_overwritten: at.part == Part::Generation && kind == KEY };
        is_outside.then(|| ((execution.label(at.object), entry), found))
    })
}

/// The divergence at `step` at which a run itself found that it cannot go on, in the words of [`compare`] where the
/// recording or the `known` executions tell what was wanted and what came.
pub fn reported(
    execution: &Execution,
    schedule: &Schedule,
    known: &[&Execution],
    said: Divergence,
) -> Divergence {
    let Some(entry) = schedule.entries.get(said.step as usize) else { return said };
    let wanted = schedule.threads.get(entry.thread as usize);
    let next = execution.pending.iter().find(|pending| execution.path(pending.thread) == wanted);
    let actual = match next {
        Some(next) => describe(execution, next.thread, next.site, &next.operation),
        None => said.actual,
    };
    Divergence { step: said.step, expected: expectation(wanted, entry.expect, execution, known), actual }
}

fn expectation(
    thread: Option<&ThreadPath>,
    fingerprint: u32,
    execution: &Execution,
    known: &[&Execution],
) -> String {
    let Some(thread) = thread else { return "an unknown thread".to_owned() };
    let found = std::iter::once(&execution).chain(known).find_map(|execution| {
        let id = execution.threads.iter().position(|info| info.path == *thread)?;
        find(execution, ThreadId(id as u32), fingerprint)
    });
    match found {
        Some((execution, site, operation)) if fingerprint != 0 => {
            format!("{thread} to {}", action(execution, site, operation, Verb::Base))
        }
        _ => format!("a step of {thread}"),
    }
}

/// A step of the thread with this fingerprint, executed or pending.
fn find(
    execution: &Execution,
    thread: ThreadId,
    fingerprint: u32,
) -> Option<(&Execution, SiteId, &Operation)> {
    let events = execution.events.iter().map(|event| (event.thread, event.site, &event.operation));
    let pending = execution.pending.iter().map(|event| (event.thread, event.site, &event.operation));
    let (_, site, operation) = events.chain(pending).find(|(by, site, operation)| {
        *by == thread
            && execution.site(*site).is_some_and(|at| {
                execution::fingerprint(operation.kind(), execution.text(at.file), at) == fingerprint
            })
    })?;
    Some((execution, site, operation))
}

fn describe(execution: &Execution, thread: ThreadId, site: SiteId, operation: &Operation) -> String {
    let path = execution.path(thread).map_or_else(|| "an unknown thread".to_owned(), ThreadPath::to_string);
    format!("{path} {}", action(execution, site, operation, Verb::ThirdPerson))
}

fn action(execution: &Execution, site: SiteId, operation: &Operation, verb: Verb) -> String {
    let place = match execution.site(site) {
        Some(at) if at.line > 0 => format!(" ({}:{})", base_name(execution.text(at.file)), at.line),
        _ => String::new(),
    };
    format!("{}{}{place}", verb.of(operation), touched(execution, operation))
}

/// What code out of scope touches first, which tells what it is.
fn touched(execution: &Execution, operation: &Operation) -> String {
    let Operation::Touch { reads, writes } = operation else { return String::new() };
    let mut labels = writes.iter().chain(reads).map(|at| execution.label(at.object));
    let named = labels.find(|label| !label.is_empty());
    named.map_or_else(String::new, |label| format!(" that touches {label}"))
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

enum Verb {
    /// "t0 to read"
    Base,
    /// "t0 reads"
    ThirdPerson,
}

impl Verb {
    fn of(&self, operation: &Operation) -> String {
        let phrase = phrase(operation);
        match self {
            Verb::Base => phrase.to_owned(),
            Verb::ThirdPerson => {
                let (verb, rest) = phrase.split_once(' ').unwrap_or((phrase, ""));
                let ending = if verb.ends_with("sh") || verb.ends_with("ch") || verb.ends_with("o") {
                    "es"
                } else {
                    "s"
                };
                if rest.is_empty() { format!("{verb}{ending}") } else { format!("{verb}{ending} {rest}") }
            }
        }
    }
}

/// What an operation does, as a verb and its object.
pub fn phrase(operation: &Operation) -> &'static str {
    match operation {
        Operation::Read { .. } => "read",
        Operation::Write { .. } => "write",
        Operation::Touch { .. } => "execute code out of scope",
        Operation::Spawn { .. } => "start a thread",
        Operation::Start => "begin",
        Operation::End => "end",
        Operation::Join { .. } => "join a thread",
        Operation::Acquire { .. } => "acquire a lock",
        Operation::TryAcquire { .. } => "try a lock",
        Operation::Release { .. } => "release a lock",
        Operation::DictStore { .. } => "store a dictionary item",
        Operation::DictSetDefault { .. } => "set a dictionary default",
        Operation::DictRemove { .. } => "remove a dictionary item",
        Operation::SetAdd { .. } => "add to a set",
        Operation::ListAppend { .. } => "append to a list",
        Operation::ListPop { .. } => "pop from a list",
        Operation::ListGet { .. } => "read a list item",
        Operation::ListSet { .. } => "write a list item",
        Operation::ListChange { .. } => "change a list",
        Operation::Clear { .. } => "clear a container",
        Operation::SemaphoreAcquire { .. } => "acquire a semaphore",
        Operation::SemaphoreTry { .. } => "try a semaphore",
        Operation::SemaphoreRelease { .. } => "release a semaphore",
        Operation::EventWait { .. } => "wait for an event",
        Operation::EventSet { .. } => "set an event",
        Operation::EventClear { .. } => "clear an event",
        Operation::EventIsSet { .. } => "look at an event",
        Operation::ConditionWait { .. } => "wait on a condition",
        Operation::ConditionWake { .. } | Operation::ConditionWakeTimed { .. } => "wake on a condition",
        Operation::ConditionNotify { .. } => "notify a condition",
        Operation::BarrierArrive { .. } => "arrive at a barrier",
        Operation::BarrierLeave { .. } => "leave a barrier",
        Operation::QueuePut { .. } => "put into a queue",
        Operation::QueueGet { .. } => "get from a queue",
        Operation::QueueTryPut { .. } => "offer to a queue",
        Operation::QueueTryGet { .. } => "poll a queue",
        Operation::ChannelOpen { .. } => "open a channel",
        Operation::ChannelPut { .. } => "send",
        Operation::ChannelTake { .. } => "receive",
        Operation::ChannelTryTake { .. } => "try to receive",
        Operation::ChannelWait { .. } => "wait for something to receive",
        Operation::ChannelClose { .. } => "close a channel",
        Operation::AwaitChange { .. } => "wait for a change",
        Operation::Pause => "pause",
        Operation::Resume { .. } | Operation::ResumeOnChange { .. } => "go on in its event loop",
        Operation::RunLoop { .. } => "go on behind its event loop",
        Operation::Enter { .. } => "go in behind a gate",
        Operation::TryEnter { .. } => "try to go in behind a gate",
        Operation::ReleaseAndSet { .. } => "release a lock and open a gate",
        Operation::Elapse { .. } => "give up waiting",
    }
}
