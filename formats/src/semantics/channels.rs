//! Channels: pipes, directions of connections, and the connections that wait at listening sockets.
//!
//! Model: a channel's state is the number of things that can be taken. Whether it has [ended], because nobody puts any more,
//! and whether it is [refused], because nobody takes any more, are parts of their own: who finds something does not care
//! for the end, and the two ends of a connection may be closed in any order.

use super::{Effect, State, Value, state_of};
use crate::id::ObjectId;
use crate::location::{Location, Part};

/// Whether nobody puts anything into the channel any more: 1 if so.
pub fn ended(channel: ObjectId) -> Location {
    Location::new(channel, Part::Shape)
}

/// Whether nobody takes anything from the channel any more: 1 if so.
pub fn refused(channel: ObjectId) -> Location {
    Location::new(channel, Part::Generation)
}

/// Whether who takes from the channel need not wait.
pub(super) fn is_ready(channel: ObjectId, state: &impl State) -> bool {
    let holds = |at| state.value(at).known().is_none_or(|value| value != 0);
    holds(state_of(channel)) || holds(ended(channel))
}

pub(super) fn open(channel: ObjectId) -> Effect {
    Effect::writes(state_of(channel), 0).and_writes(refused(channel), Value::Int(0))
}

pub(super) fn put(channel: ObjectId, count: u32, state: &impl State) -> Effect {
    let at = state_of(channel);
    let known = |at| state.value(at).known();
    let mut effect = match (known(refused(channel)), known(ended(channel)), known(at)) {
        (Some(0), Some(0), Some(there)) => {
            // The initial value comes from a file, which may say anything.
            Effect::writes(at, there.saturating_add(i64::from(count)))
        }
        (Some(0), Some(0), None) => Effect::nothing().and_writes(at, Value::Unknown),
        (Some(closed), _, _) | (_, Some(closed), _) if closed != 0 => Effect::reads(at, false),
        _ => Effect::unknown(at),
    };
    // Who puts something into a channel that it or another thread has closed fails, as it does where nobody takes it.
    effect.reads.extend([refused(channel), ended(channel)]);
    effect
}

pub(super) fn take(channel: ObjectId, most: u32, state: &impl State) -> Effect {
    let at = state_of(channel);
    let known = state.value(at).known();
    let mut effect = match known {
        Some(there) if there > 0 => Effect::writes(at, there.saturating_sub(i64::from(most)).max(0)),
        Some(_) => Effect::reads(at, false),
        None => Effect::unknown(at),
    };
    if known.is_none_or(|there| there <= 0) {
        effect.reads.push(ended(channel));
    }
    // Another thread may have closed the end at which it is taken.
    effect.reads.push(refused(channel));
    effect
}

/// What is only looked at: how much is there, and whether more can come.
pub(super) fn look(of: &[Location]) -> Effect {
    let mut effect = Effect::nothing();
    effect.reads = of.iter().flat_map(|at| [state_of(at.object), ended(at.object)]).collect();
    effect
}

/// What is closed already is read. What nobody will take stays: who wants to take it although the end is closed does not
/// wait for it, but fails.
pub(super) fn close(of: &[Location], state: &impl State) -> Effect {
    let mut effect = Effect::nothing();
    for at in of {
        if state.value(*at).known().is_some_and(|closed| closed != 0) {
            effect.reads.push(*at);
        } else {
            effect = effect.and_writes(*at, Value::Int(1));
        }
    }
    effect
}
