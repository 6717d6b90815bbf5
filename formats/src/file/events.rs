//! Events, pending operations and initial values to columns and back.
//!
//! The events of a delta are grouped by thread, in the order of thread ids, because a thread's next event
//! resembles its last one. How the threads took turns is a column of its own: pairs of (thread, count).

use super::columns::{Columns, Decoder, Encoder};
use super::error::Fault;
use super::operands;
use super::tables::Tables;
use super::varint::{Cursor, put};
use crate::event::{Block, Event, Pending};
use crate::id::ThreadId;
use crate::location::Location;
use crate::operation::Operation;
use crate::semantics::Value;

/// Consecutive events of one thread.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    thread: u32,
    start: usize,
    count: usize,
}

/// Writes events into `columns` and their order into `order`.
pub(super) fn put_events(
    columns: &mut Encoder,
    order: &mut Vec<u8>,
    tables: Tables,
    events: &[Event],
) -> Result<(), Fault> {
    columns.clear(tables);
    order.clear();
    let mut runs: Vec<Run> = Vec::new();
    for group in events.chunk_by(|one, next| one.thread == next.thread) {
        let thread = tables.thread(group[0].thread)?.0;
        let start = runs.last().map_or(0, |run| run.start + run.count);
        put(order, u64::from(thread));
        put(order, group.len() as u64);
        runs.push(Run { thread, start, count: group.len() });
    }
    runs.sort_unstable();
    let mut current = None;
    for run in runs {
        if current.replace(run.thread) != Some(run.thread) {
            columns.restart();
        }
        for event in &events[run.start..run.start + run.count] {
            columns.result(event.result);
            columns.site(event.site)?;
            operands::put(columns, &event.operation, event.block)?;
        }
    }
    Ok(())
}

/// Appends the events of `columns` to `events`, in the order that `order` gives.
pub(super) fn get_events(
    columns: &Columns<'_>,
    order: &[u8],
    tables: Tables,
    events: &mut Vec<Event>,
) -> Result<(), Fault> {
    let total = columns.kinds.len();
    let runs = runs(order, total, tables)?;
    let first = events.len();
    let blank = Event {
        thread: ThreadId::default(),
        site: Default::default(),
        operation: Operation::Pause,
        result: 0,
        block: Block::Alone,
        gil_switch: true,
    };
    // The runs cover every position once, so no blank remains. A row takes at least three bytes of its record.
    events.resize(first + total, blank);
    let mut decoder = Decoder::new(columns, tables);
    let mut current = None;
    for run in runs {
        if current.replace(run.thread) != Some(run.thread) {
            decoder.restart();
        }
        for event in &mut events[first + run.start..first + run.start + run.count] {
            event.thread = ThreadId(run.thread);
            event.result = decoder.result()?;
            event.site = decoder.site()?;
            (event.operation, event.block) = operands::get(&mut decoder)?;
        }
    }
    decoder.finish()
}

/// The runs of an order, by thread; together they cover `total` positions, each once.
fn runs(order: &[u8], total: usize, tables: Tables) -> Result<Vec<Run>, Fault> {
    let mut cursor = Cursor::new("order", order);
    let mut runs = Vec::with_capacity(order.len() / 2);
    let mut covered = 0usize;
    while cursor.left() > 0 {
        let thread = tables.thread(ThreadId(cursor.number32()?))?.0;
        let count = cursor.number32()? as usize;
        if count == 0 || count > total - covered {
            return Err(Fault::Number("order"));
        }
        runs.push(Run { thread, start: covered, count });
        covered += count;
    }
    if covered != total {
        return Err(Fault::Order { covered: covered as u64, events: total as u64 });
    }
    runs.sort_unstable();
    Ok(runs)
}

/// Writes which events have [`Event::gil_switch`]: a bit for each, in execution order, the lowest of a byte first.
pub(super) fn put_switches(switches: &mut Vec<u8>, events: &[Event]) {
    let byte =
        |events: &[Event]| events.iter().rev().fold(0, |byte, event| byte << 1 | u8::from(event.gil_switch));
    switches.clear();
    switches.extend(events.chunks(8).map(byte));
}

/// The inverse of [`put_switches`] for events that have been read otherwise.
pub(super) fn get_switches(switches: &[u8], events: &mut [Event]) -> Result<(), Fault> {
    let mut cursor = Cursor::new("switches", switches);
    for events in events.chunks_mut(8) {
        let byte = cursor.byte()?;
        if u32::from(byte) >> events.len() != 0 {
            return Err(Fault::Number("switches"));
        }
        for (place, event) in events.iter_mut().enumerate() {
            event.gil_switch = byte >> place & 1 != 0;
        }
    }
    cursor.finish()
}

/// Writes what unfinished threads were about to do.
pub(super) fn put_pending(columns: &mut Encoder, tables: Tables, pending: &[Pending]) -> Result<(), Fault> {
    columns.clear(tables);
    for Pending { thread, site, operation, block } in pending {
        columns.thread(*thread)?;
        columns.site(*site)?;
        operands::put(columns, operation, *block)?;
    }
    Ok(())
}

/// The inverse of [`put_pending`].
pub(super) fn get_pending(columns: &Columns<'_>, tables: Tables) -> Result<Vec<Pending>, Fault> {
    let mut decoder = Decoder::new(columns, tables);
    let mut pending = Vec::new();
    for _ in columns.kinds {
        let thread = decoder.thread()?;
        let site = decoder.site()?;
        let (operation, block) = operands::get(&mut decoder)?;
        pending.push(Pending { thread, site, operation, block });
    }
    decoder.finish()?;
    Ok(pending)
}

const INT: u8 = 0;
const WAITERS: u8 = 1;
const UNKNOWN: u8 = 2;

/// Writes the values of locations.
pub(super) fn put_values(
    columns: &mut Encoder,
    tables: Tables,
    values: &[(Location, Value)],
) -> Result<(), Fault> {
    columns.clear(tables);
    for (at, value) in values {
        columns.location(*at)?;
        match value {
            Value::Int(number) => {
                columns.kind(INT);
                columns.signed(*number);
            }
            Value::Waiters(threads) => {
                columns.kind(WAITERS);
                columns.number(u32::try_from(threads.len()).map_err(|_| Fault::Full("waiters"))?);
                threads.iter().try_for_each(|thread| columns.thread(*thread))?;
            }
            Value::Unknown => columns.kind(UNKNOWN),
        }
    }
    Ok(())
}

/// Appends the values of `columns` to `values`.
pub(super) fn get_values(
    columns: &Columns<'_>,
    tables: Tables,
    values: &mut Vec<(Location, Value)>,
) -> Result<(), Fault> {
    let mut decoder = Decoder::new(columns, tables);
    for _ in columns.kinds {
        let at = decoder.location()?;
        let value = match decoder.kind()? {
            INT => Value::Int(decoder.signed()?),
            WAITERS => {
                let count = decoder.count_of_threads()?;
                Value::Waiters((0..count).map(|_| decoder.thread()).collect::<Result<_, _>>()?)
            }
            UNKNOWN => Value::Unknown,
            other => return Err(Fault::Value(other)),
        };
        values.push((at, value));
    }
    decoder.finish()
}
