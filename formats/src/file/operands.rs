//! An operation's operands in columns: one match that writes them and, below, the one that reads them.
//!
//! The kinds are those of [`Operation::kind`]; the round-trip property of `tests/round_trip.rs` holds the two
//! matches and the numbers together.

use super::columns::{Decoder, Encoder};
use super::error::Fault;
use crate::event::Block;
use crate::location::Location;
use crate::operation::Operation;

/// The kind of [`Operation::Elapse`], whose operand is an operation.
const ELAPSE: u8 = 38;

/// How an event belongs to a block is in the upper bits of its kind's byte.
const BLOCK_SHIFT: u32 = 6;

const ALONE: u8 = 0;
const FIRST: u8 = 1;
const LATER: u8 = 2;

/// Writes kind and operands.
pub(super) fn put(columns: &mut Encoder, operation: &Operation, block: Block) -> Result<(), Fault> {
    let block = match block {
        Block::Alone => ALONE,
        Block::First => FIRST,
        Block::Later => LATER,
    };
    columns.kind(operation.kind() | block << BLOCK_SHIFT);
    if let Operation::Elapse { of } = operation {
        // The column of kinds has one row for each event.
        columns.number(u32::from(of.kind()));
        return put_operands(columns, of);
    }
    put_operands(columns, operation)
}

fn put_operands(columns: &mut Encoder, operation: &Operation) -> Result<(), Fault> {
    match *operation {
        Operation::Read { at } | Operation::Write { at } => columns.location(at)?,
        Operation::Touch { ref reads, ref writes } => {
            put_locations(columns, reads)?;
            put_locations(columns, writes)?;
        }
        Operation::AwaitChange { ref of }
        | Operation::ChannelWait { ref of }
        | Operation::ChannelClose { ref of } => put_locations(columns, of)?,
        Operation::ResumeOnChange { ref of, host } => {
            columns.object(host)?;
            put_locations(columns, of)?;
        }
        Operation::Start | Operation::End | Operation::Pause => {}
        Operation::Resume { awaited, after, host } => {
            columns.number(u32::from(awaited.is_some()) | u32::from(after.is_some()) << 1);
            [Some(host), awaited, after]
                .into_iter()
                .flatten()
                .try_for_each(|object| columns.object(object))?;
        }
        // What is given up is a wait, so this does not nest.
        Operation::Elapse { .. } => return Err(Fault::Kind(ELAPSE)),
        Operation::Spawn { thread } | Operation::Join { thread } => columns.thread(thread)?,
        Operation::Acquire { lock: object }
        | Operation::TryAcquire { lock: object }
        | Operation::Release { lock: object }
        | Operation::ListAppend { list: object }
        | Operation::ListPop { list: object }
        | Operation::Clear { container: object }
        | Operation::SemaphoreAcquire { semaphore: object }
        | Operation::SemaphoreTry { semaphore: object }
        | Operation::EventWait { event: object }
        | Operation::EventSet { event: object }
        | Operation::EventClear { event: object }
        | Operation::EventIsSet { event: object }
        | Operation::QueueGet { queue: object }
        | Operation::QueueTryGet { queue: object }
        | Operation::ChannelOpen { channel: object } => columns.object(object)?,
        Operation::DictStore { dict, key }
        | Operation::DictSetDefault { dict, key }
        | Operation::DictRemove { dict, key }
        | Operation::SetAdd { set: dict, key } => {
            columns.object(dict)?;
            columns.key(key)?;
        }
        Operation::ListGet { list, index } | Operation::ListSet { list, index } => {
            columns.object(list)?;
            columns.index(index);
        }
        Operation::ListChange { list, delta } => {
            columns.object(list)?;
            columns.signed(i64::from(delta));
        }
        Operation::SemaphoreRelease { semaphore, permits, bound } => {
            columns.object(semaphore)?;
            columns.number(permits);
            columns.number(bound);
        }
        Operation::ConditionWait { condition, lock }
        | Operation::ConditionWake { condition, lock }
        | Operation::ConditionWakeTimed { condition, lock } => {
            columns.object(condition)?;
            columns.object(lock)?;
        }
        Operation::Enter { gate: one, place: other }
        | Operation::TryEnter { gate: one, place: other }
        | Operation::ReleaseAndSet { lock: one, event: other } => {
            columns.object(one)?;
            columns.object(other)?;
        }
        Operation::RunLoop { until, host, leaves } => {
            columns.object(until)?;
            columns.object(host)?;
            columns.number(leaves.into());
        }
        Operation::ConditionNotify { condition: object, count: number }
        | Operation::BarrierArrive { barrier: object, parties: number }
        | Operation::BarrierLeave { barrier: object, generation: number }
        | Operation::QueuePut { queue: object, bound: number }
        | Operation::QueueTryPut { queue: object, bound: number }
        | Operation::ChannelPut { channel: object, count: number }
        | Operation::ChannelTake { channel: object, most: number }
        | Operation::ChannelTryTake { channel: object, most: number } => {
            columns.object(object)?;
            columns.number(number);
        }
    }
    Ok(())
}

/// Reads kind and operands.
pub(super) fn get(columns: &mut Decoder<'_>) -> Result<(Operation, Block), Fault> {
    let byte = columns.kind()?;
    let block = match byte >> BLOCK_SHIFT {
        ALONE => Block::Alone,
        FIRST => Block::First,
        LATER => Block::Later,
        _ => return Err(Fault::Kind(byte)),
    };
    let operation = match byte & ((1 << BLOCK_SHIFT) - 1) {
        ELAPSE => {
            let kind = u8::try_from(columns.number()?).map_err(|_| Fault::Kind(ELAPSE))?;
            Operation::Elapse { of: Box::new(operation(kind, columns)?) }
        }
        kind => operation(kind, columns)?,
    };
    Ok((operation, block))
}

/// Reads the operands of every kind but [`ELAPSE`].
fn operation(kind: u8, c: &mut Decoder<'_>) -> Result<Operation, Fault> {
    Ok(match kind {
        0 => Operation::Read { at: c.location()? },
        1 => Operation::Write { at: c.location()? },
        2 => Operation::Touch { reads: get_locations(c)?, writes: get_locations(c)? },
        3 => Operation::Spawn { thread: c.thread()? },
        4 => Operation::Start,
        5 => Operation::End,
        6 => Operation::Join { thread: c.thread()? },
        7 => Operation::Acquire { lock: c.object()? },
        8 => Operation::TryAcquire { lock: c.object()? },
        9 => Operation::Release { lock: c.object()? },
        10 => Operation::DictStore { dict: c.object()?, key: c.key()? },
        11 => Operation::DictSetDefault { dict: c.object()?, key: c.key()? },
        12 => Operation::DictRemove { dict: c.object()?, key: c.key()? },
        13 => Operation::SetAdd { set: c.object()?, key: c.key()? },
        14 => Operation::ListAppend { list: c.object()? },
        15 => Operation::ListPop { list: c.object()? },
        16 => Operation::ListGet { list: c.object()?, index: c.index()? },
        17 => Operation::ListSet { list: c.object()?, index: c.index()? },
        18 => Operation::SemaphoreAcquire { semaphore: c.object()? },
        19 => Operation::SemaphoreTry { semaphore: c.object()? },
        20 => {
            Operation::SemaphoreRelease { semaphore: c.object()?, permits: c.number()?, bound: c.number()? }
        }
        21 => Operation::EventWait { event: c.object()? },
        22 => Operation::EventSet { event: c.object()? },
        23 => Operation::EventClear { event: c.object()? },
        24 => Operation::EventIsSet { event: c.object()? },
        25 => Operation::ConditionWait { condition: c.object()?, lock: c.object()? },
        26 => Operation::ConditionWake { condition: c.object()?, lock: c.object()? },
        27 => Operation::ConditionWakeTimed { condition: c.object()?, lock: c.object()? },
        28 => Operation::ConditionNotify { condition: c.object()?, count: c.number()? },
        29 => Operation::BarrierArrive { barrier: c.object()?, parties: c.number()? },
        30 => Operation::BarrierLeave { barrier: c.object()?, generation: c.number()? },
        31 => Operation::QueuePut { queue: c.object()?, bound: c.number()? },
        32 => Operation::QueueGet { queue: c.object()? },
        33 => Operation::QueueTryPut { queue: c.object()?, bound: c.number()? },
        34 => Operation::QueueTryGet { queue: c.object()? },
        35 => Operation::Pause,
        36 => {
            let list = c.object()?;
            let delta = i32::try_from(c.signed()?).map_err(|_| Fault::Number("numbers"))?;
            Operation::ListChange { list, delta }
        }
        37 => Operation::Clear { container: c.object()? },
        39 => Operation::AwaitChange { of: get_locations(c)? },
        40 => Operation::ChannelOpen { channel: c.object()? },
        41 => Operation::ChannelPut { channel: c.object()?, count: c.number()? },
        42 => Operation::ChannelTake { channel: c.object()?, most: c.number()? },
        43 => Operation::ChannelTryTake { channel: c.object()?, most: c.number()? },
        44 => Operation::ChannelWait { of: get_locations(c)? },
        45 => Operation::ChannelClose { of: get_locations(c)? },
        46 => {
            let given = c.number()?;
            let host = c.object()?;
            let awaited = if given & 1 != 0 { Some(c.object()?) } else { None };
            let after = if given & 2 != 0 { Some(c.object()?) } else { None };
            Operation::Resume { awaited, after, host }
        }
        47 => Operation::RunLoop { until: c.object()?, host: c.object()?, leaves: c.number()? != 0 },
        48 => Operation::Enter { gate: c.object()?, place: c.object()? },
        49 => Operation::TryEnter { gate: c.object()?, place: c.object()? },
        50 => Operation::ReleaseAndSet { lock: c.object()?, event: c.object()? },
        51 => {
            let host = c.object()?;
            Operation::ResumeOnChange { of: get_locations(c)?, host }
        }
        other => return Err(Fault::Kind(other)),
    })
}

fn put_locations(columns: &mut Encoder, locations: &[Location]) -> Result<(), Fault> {
    columns.number(u32::try_from(locations.len()).map_err(|_| Fault::Full("locations"))?);
    locations.iter().try_for_each(|at| columns.location(*at))
}

fn get_locations(columns: &mut Decoder<'_>) -> Result<Box<[Location]>, Fault> {
    let count = columns.count_of_locations()?;
    (0..count).map(|_| columns.location()).collect()
}
