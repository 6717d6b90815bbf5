//! Sentences about operations: who does what to what, where.
//!
//! # Not here
//! Layout, colours, lists: `cli/render`.

use frontrun_formats::execution::outside;
use frontrun_formats::{Execution, Location, ObjectId, Operation, Part, SiteId, ThreadId};

/// The path of a thread as text.
pub(crate) fn thread(execution: &Execution, id: ThreadId) -> String {
    execution.path(id).map_or_else(|| format!("thread {}", id.0), ToString::to_string)
}

/// `file.py:12`, or `?` for an unknown site.
pub(crate) fn site(execution: &Execution, id: SiteId) -> String {
    let Some(site) = execution.site(id).filter(|site| site.line > 0) else { return "?".to_string() };
    let file = execution.text(site.file);
    format!("{}:{}", file.rsplit('/').next().unwrap_or(file), site.line)
}

/// The label of an object, or its number.
pub(crate) fn object(execution: &Execution, id: ObjectId) -> String {
    match execution.label(id) {
        "" => format!("object {}", id.0),
        label => label.to_string(),
    }
}

/// How a report calls a location, e.g. `Counter#1.value` or `the keys of dict#2`.
pub fn location(execution: &Execution, at: Location) -> String {
    let name = || match object(execution, at.object) {
        key if type_name(execution, at.object) == outside::KEY => format!("the key {key}"),
        other => other,
    };
    match at.part {
        Part::Whole | Part::State => name(),
        Part::Shape => format!("the shape of {}", name()),
        Part::Name(id) => format!("{}.{}", name(), execution.text(id)),
        Part::Key(id) => {
            let key = execution.keys.get(id.index()).map_or("?", |text| execution.text(*text));
            if type_name(execution, at.object) == outside::DIRECTORY {
                return format!("the entry {}/{}", name().trim_end_matches('/'), key.trim_matches('\''));
            }
            if [outside::TABLE, outside::KEY].contains(&type_name(execution, at.object)) {
                return format!("{}[{}]", name(), key.trim_matches('\''));
            }
            match attribute(key).filter(|_| !is_container(execution, at.object)) {
                Some(attribute) => format!("{}.{attribute}", name()),
                None => format!("{}[{key}]", name()),
            }
        }
        Part::Index(index) => format!("{}[{index}]", name()),
        Part::Generation => format!("the generation of {}", name()),
        Part::Notified(waiter) => format!("the wake-up of {} by {}", thread(execution, waiter), name()),
        Part::Started(id) => format!("the start of {}", thread(execution, id)),
        Part::Ended(id) => format!("the end of {}", thread(execution, id)),
    }
}

/// The name in the printable form of a key, if the key can be the name of an attribute.
fn attribute(key: &str) -> Option<&str> {
    let name = key.strip_prefix('\'')?.strip_suffix('\'')?;
    let start = |c: char| c.is_alphabetic() || c == '_';
    let identifier = name.starts_with(start) && name.chars().all(|c| start(c) || c.is_numeric());
    identifier.then_some(name)
}

fn type_name(execution: &Execution, id: ObjectId) -> &str {
    execution.objects.get(id.index()).map_or("", |object| execution.text(object.type_name))
}

/// Whether an object is a key of a server, or all of what the server keeps.
pub(crate) fn is_served(execution: &Execution, id: ObjectId) -> bool {
    [outside::KEY, outside::SERVER].contains(&type_name(execution, id))
}

/// Whether the keys of an object are those of its items. An attribute of an object is recorded as a key, too.
fn is_container(execution: &Execution, id: ObjectId) -> bool {
    matches!(
        type_name(execution, id),
        "dict"
            | "list"
            | "set"
            | "frozenset"
            | "tuple"
            | "bytearray"
            | "array"
            | "deque"
            | "defaultdict"
            | "OrderedDict"
            | "mappingproxy"
    )
}

/// Whether a name is stored, which reads it where else it is looked for: in classes.
fn is_store(reads: &[Location], writes: &[Location]) -> bool {
    let is_name = |at: &Location| matches!(at.part, Part::Key(_) | Part::Name(_));
    matches!(writes, [at] if is_name(at) && reads.iter().all(|read| read.part == at.part))
}

/// What an operation does, in the third person and without its object.
pub(crate) fn verb(operation: &Operation) -> &'static str {
    match operation {
        Operation::Read { .. } | Operation::ListGet { .. } | Operation::EventIsSet { .. } => "reads",
        Operation::Write { .. } | Operation::DictStore { .. } | Operation::ListSet { .. } => "writes",
        Operation::Touch { writes, .. } if writes.is_empty() => "reads",
        Operation::Touch { reads, writes } if is_store(reads, writes) => "writes",
        Operation::Touch { .. } => "updates",
        Operation::Spawn { .. } => "spawns",
        Operation::Start => "starts",
        Operation::End => "ends",
        Operation::Join { .. } => "joins",
        Operation::Acquire { .. } => "takes",
        Operation::TryAcquire { .. } => "tries to take",
        Operation::Release { .. } => "releases",
        Operation::DictSetDefault { .. } => "sets a default in",
        Operation::DictRemove { .. } => "removes",
        Operation::SetAdd { .. } => "adds",
        Operation::ListAppend { .. } => "appends to",
        Operation::ListPop { .. } => "pops from",
        Operation::ListChange { .. } => "changes",
        Operation::Clear { .. } => "clears",
        Operation::SemaphoreAcquire { .. } => "takes a permit of",
        Operation::SemaphoreTry { .. } => "tries to take a permit of",
        Operation::SemaphoreRelease { .. } => "gives a permit back to",
        Operation::EventWait { .. } => "waits for",
        Operation::EventSet { .. } => "sets",
        Operation::EventClear { .. } => "clears",
        Operation::ConditionWait { .. } => "starts to wait for",
        Operation::ConditionWake { .. } | Operation::ConditionWakeTimed { .. } => "wakes up from",
        Operation::ConditionNotify { .. } => "notifies",
        Operation::BarrierArrive { .. } => "arrives at",
        Operation::BarrierLeave { .. } => "leaves",
        Operation::QueuePut { .. } => "puts into",
        Operation::QueueGet { .. } => "gets from",
        Operation::QueueTryPut { .. } => "tries to put into",
        Operation::QueueTryGet { .. } => "tries to get from",
        Operation::ChannelOpen { .. } => "opens",
        Operation::ChannelPut { .. } => "puts into",
        Operation::ChannelTake { .. } => "takes from",
        Operation::ChannelTryTake { .. } => "tries to take from",
        Operation::ChannelWait { .. } => "has waited for",
        Operation::ChannelClose { .. } => "closes",
        Operation::AwaitChange { .. } | Operation::ResumeOnChange { .. } => "has waited for a change of",
        Operation::Pause => "pauses at",
        Operation::Resume { .. } => "goes on in",
        Operation::RunLoop { .. } => "goes on behind",
        Operation::Enter { .. } => "goes in behind",
        Operation::TryEnter { .. } => "tries to go in behind",
        Operation::ReleaseAndSet { .. } => "releases",

        Operation::Elapse { .. } => "gives up waiting at",
    }
}

/// One event without its thread, e.g. `writes Counter#1.value (bank.py:12)`.
pub(crate) fn event(execution: &Execution, position: usize) -> String {
    let event = &execution.events[position];
    let object = match event.operation {
        Operation::Read { at } | Operation::Write { at } => location(execution, at),
        Operation::Touch { ref reads, ref writes } => {
            let all: Vec<String> = reads.iter().chain(writes).map(|at| location(execution, *at)).collect();
            all.join(", ")
        }
        Operation::AwaitChange { ref of }
        | Operation::ResumeOnChange { ref of, .. }
        | Operation::ChannelWait { ref of }
        | Operation::ChannelClose { ref of } => {
            let all: Vec<String> = of.iter().map(|at| location(execution, *at)).collect();
            all.join(", ")
        }
        Operation::Spawn { thread: other } | Operation::Join { thread: other } => thread(execution, other),
        ref other => match crate::kind::tracked(other).first() {
            Some(id) if *id != ObjectId::THREADS => object(execution, *id),
            _ => String::new(),
        },
    };
    let space = if object.is_empty() { "" } else { " " };
    format!("{}{space}{object} ({})", verb(&event.operation), site(execution, event.site))
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrun_formats::{KeyId, ObjectInfo, StringId};

    #[test]
    fn a_key_of_an_instance_is_an_attribute_and_one_of_a_container_is_an_item() {
        let strings = ["Counter", "Counter#1", "dict", "dict#1", "'value'", "'no name'", "7"];
        let object = |at: u32| ObjectInfo { type_name: StringId(at), label: StringId(at + 1) };
        let execution = Execution {
            strings: strings.map(str::to_owned).to_vec(),
            objects: vec![object(0), object(2)],
            keys: vec![StringId(4), StringId(5), StringId(6)],
            ..Execution::default()
        };
        let text = |object, key| location(&execution, Location::new(ObjectId(object), Part::Key(KeyId(key))));
        assert_eq!(text(0, 0), "Counter#1.value");
        assert_eq!(text(0, 1), "Counter#1['no name']");
        assert_eq!(text(0, 2), "Counter#1[7]");
        assert_eq!(text(1, 0), "dict#1['value']");
    }
}
