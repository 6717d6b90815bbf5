//! Locks, semaphores, queues, events, conditions and barriers.

use super::{Effect, State, Value, owner, state_of};
use crate::id::{ObjectId, ThreadId};
use crate::location::{Location, Part};
use crate::operation::Operation;

/// A lock's state is its owner, 0 when it is free.
pub(super) fn lock(operation: &Operation, lock: ObjectId, thread: ThreadId, state: &impl State) -> Effect {
    let at = state_of(lock);
    let holder = state.value(at).known();
    match (operation, holder) {
        (Operation::Acquire { .. }, _) | (Operation::TryAcquire { .. }, Some(0)) => {
            Effect::writes(at, owner(thread))
        }
        (Operation::TryAcquire { .. }, None) => Effect::unknown(at),
        (Operation::TryAcquire { .. }, Some(_)) => Effect::reads(at, false),
        (Operation::Release { .. }, None) => Effect::writes(at, 0).with_unknown_result(),
        (Operation::Release { .. }, Some(0)) => Effect::reads(at, false),
        (Operation::Release { .. }, Some(_)) => Effect::writes(at, 0),
        _ => unreachable!("only lock operations are passed here"),
    }
}

/// The state of a semaphore is its permits, that of a queue its items.
pub(super) fn counter(operation: &Operation, object: ObjectId, state: &impl State) -> Effect {
    let at = state_of(object);
    let (step, limit) = match *operation {
        Operation::SemaphoreAcquire { .. } | Operation::QueueGet { .. } => (-1, None),
        Operation::SemaphoreTry { .. } | Operation::QueueTryGet { .. } => (-1, Some(0)),
        Operation::SemaphoreRelease { permits, bound, .. } => (i64::from(permits), bounded(bound)),
        Operation::QueuePut { .. } => (1, None),
        Operation::QueueTryPut { bound, .. } => (1, bounded(bound)),
        _ => unreachable!("only operations on counters are passed here"),
    };
    let Some(count) = state.value(at).known() else {
        // What waited for its turn has got it; what did not may have failed.
        let effect = Effect::unknown(at);
        return if limit.is_none() { effect.with_result(true) } else { effect };
    };
    // The initial value comes from a file, which may say anything.
    let sum = count.saturating_add(step);
    match limit {
        Some(least) if step < 0 && sum < least => Effect::reads(at, false),
        Some(most) if step >= 0 && sum > most => Effect::reads(at, false),
        _ => Effect::writes(at, sum),
    }
}

/// A bound of 0 is none.
fn bounded(bound: u32) -> Option<i64> {
    (bound > 0).then_some(i64::from(bound))
}

/// An event's state is its flag. Setting what is set only reads it.
pub(super) fn event(operation: &Operation, event: ObjectId, state: &impl State) -> Effect {
    let at = state_of(event);
    match (operation, state.value(at).known()) {
        (Operation::EventWait { .. }, _) => Effect::reads(at, true),
        (Operation::EventIsSet { .. }, None) => Effect::reads(at, true).with_unknown_result(),
        (Operation::EventIsSet { .. }, Some(flag)) => Effect::reads(at, flag != 0),
        (Operation::EventSet { .. }, Some(0) | None) => Effect::writes(at, 1),
        (Operation::EventClear { .. }, Some(0)) => Effect::reads(at, true),
        (Operation::EventClear { .. }, _) => Effect::writes(at, 0),
        (Operation::EventSet { .. }, Some(_)) => Effect::reads(at, true),
        _ => unreachable!("only event operations are passed here"),
    }
}

/// Gate and place are events: places are taken by clearing their flags.
pub(super) fn enter(gate: ObjectId, place: ObjectId) -> Effect {
    let mut effect = Effect::writes(state_of(place), 0);
    effect.reads.push(state_of(gate));
    effect
}

/// Who finds the gate shut has not looked at the place.
pub(super) fn try_enter(gate: ObjectId, place: ObjectId, state: &impl State) -> Effect {
    let at = state_of(place);
    let mut effect = match (state.value(state_of(gate)).known(), state.value(at).known()) {
        (Some(0), _) => return Effect::reads(state_of(gate), false),
        (Some(_), Some(0)) => Effect::reads(at, false),
        (Some(_), Some(_)) => Effect::writes(at, 0),
        _ => Effect::unknown(at),
    };
    effect.reads.push(state_of(gate));
    effect
}

fn notified(condition: ObjectId, thread: ThreadId) -> Location {
    Location::new(condition, Part::Notified(thread))
}

/// A condition's state is its waiters, first come first served.
pub(super) fn condition_wait(
    condition: ObjectId,
    lock: ObjectId,
    thread: ThreadId,
    state: &impl State,
) -> Effect {
    let waiters = state.value(state_of(condition)).waiters().map(|mut waiters| {
        waiters.push(thread);
        waiters
    });
    Effect::writes(state_of(lock), 0)
        .and_writes(state_of(condition), waiters.map_or(Value::Unknown, Value::Waiters))
}

pub(super) fn condition_wake(condition: ObjectId, lock: ObjectId, thread: ThreadId) -> Effect {
    Effect::writes(state_of(lock), owner(thread)).and_writes(notified(condition, thread), Value::Int(0))
}

/// Not notified, the thread leaves the waiters itself.
pub(super) fn condition_wake_timed(
    condition: ObjectId,
    lock: ObjectId,
    thread: ThreadId,
    state: &impl State,
) -> Effect {
    let flag = notified(condition, thread);
    let wake = Effect::writes(state_of(lock), owner(thread));
    let waiters = state.value(state_of(condition)).waiters().map(|mut waiters| {
        waiters.retain(|waiter| *waiter != thread);
        waiters
    });
    let waiters = waiters.map_or(Value::Unknown, Value::Waiters);
    match state.value(flag).known() {
        None => wake
            .and_writes(flag, Value::Int(0))
            .and_writes(state_of(condition), waiters)
            .with_unknown_result(),
        Some(0) => {
            let mut late = wake.and_writes(state_of(condition), waiters).with_result(false);
            late.reads.push(flag);
            late
        }
        Some(_) => wake.and_writes(flag, Value::Int(0)),
    }
}

pub(super) fn condition_notify(condition: ObjectId, count: u32, state: &impl State) -> Effect {
    let Some(mut waiters) = state.value(state_of(condition)).waiters() else {
        return Effect::whole(condition, Value::Unknown).with_unknown_result();
    };
    if waiters.is_empty() || count == 0 {
        return Effect::reads(state_of(condition), false);
    }
    let rest = waiters.split_off(waiters.len().min(count as usize));
    let effect = Effect::nothing().and_writes(state_of(condition), Value::Waiters(rest));
    let notify = |effect: Effect, waiter| effect.and_writes(notified(condition, waiter), Value::Int(1));
    waiters.into_iter().fold(effect, notify)
}

/// A barrier's state is how many have arrived; the last one opens the next generation.
pub(super) fn barrier_arrive(barrier: ObjectId, parties: u32, state: &impl State) -> Effect {
    let at = state_of(barrier);
    let generation = Location::new(barrier, Part::Generation);
    let now = state.value(generation).known();
    let Some(count) = state.value(at).known() else {
        return Effect::unknown(at).and_writes(generation, Value::Unknown);
    };
    let arrived = count.saturating_add(1);
    if arrived == i64::from(parties) {
        let next = now.map_or(Value::Unknown, |now| Value::Int(now.saturating_add(1)));
        return Effect::writes(at, 0).and_writes(generation, next);
    }
    let mut effect = Effect::writes(at, arrived).with_result(false);
    effect.reads.push(generation);
    effect
}
