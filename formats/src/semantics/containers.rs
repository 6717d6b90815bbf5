//! Dictionaries, sets and lists.

use super::{Effect, State, Value};
use crate::id::{KeyId, ObjectId};
use crate::location::{Location, Part};
use crate::operation::Operation;

/// Updating an entry leaves the shape alone; inserting one changes it (insertion order is observable).
pub(super) fn dict_store(dict: ObjectId, key: KeyId, state: &impl State) -> Effect {
    let item = Location::new(dict, Part::Key(key));
    let shape = Location::new(dict, Part::Shape);
    let update = Effect::writes(item, 1);
    match state.value(item).known() {
        None => update.and_writes(shape, Value::Unknown).with_unknown_result(),
        Some(0) => update.and_writes(shape, Value::Unknown).with_result(false),
        Some(_) => update,
    }
}

/// Reads an entry that is there, or inserts it.
pub(super) fn dict_set_default(dict: ObjectId, key: KeyId, state: &impl State) -> Effect {
    let item = Location::new(dict, Part::Key(key));
    match state.value(item).known() {
        None | Some(0) => dict_store(dict, key, state),
        Some(_) => Effect::reads(item, true),
    }
}

pub(super) fn dict_remove(dict: ObjectId, key: KeyId, state: &impl State) -> Effect {
    let item = Location::new(dict, Part::Key(key));
    let shape = Location::new(dict, Part::Shape);
    let removal = Effect::writes(item, 0).and_writes(shape, Value::Unknown);
    match state.value(item).known() {
        None => removal.with_unknown_result(),
        Some(0) => Effect::reads(item, false),
        Some(_) => removal,
    }
}

/// A list's length is the abstract value of its shape; element `i` is present exactly when `i` is below it.
pub(super) fn list(operation: &Operation, list: ObjectId, state: &impl State) -> Effect {
    let shape = Location::new(list, Part::Shape);
    let element = |index: i64| Location::new(list, Part::Index(u32::try_from(index).unwrap_or(u32::MAX)));
    let Some(length) = state.value(shape).known() else {
        return list_of_unknown_length(operation, list);
    };
    // The initial value comes from a file, which may say anything.
    let n = length.clamp(0, u32::MAX.into());
    match *operation {
        Operation::ListAppend { .. } => Effect::writes(shape, n + 1).and_writes(element(n), Value::Int(1)),
        Operation::ListPop { .. } if n == 0 => Effect::reads(shape, false),
        Operation::ListPop { .. } => Effect::writes(shape, n - 1).and_writes(element(n - 1), Value::Int(0)),
        Operation::ListChange { delta, .. } => {
            let mut effect = Effect::whole(list, Value::Unknown);
            effect.values.push((shape, Value::Int((n + i64::from(delta)).max(0))));
            effect
        }
        Operation::ListGet { index, .. } | Operation::ListSet { index, .. } => {
            let at = if index < 0 { index + n } else { index };
            let inside = (0..n).contains(&at);
            let mut effect = match operation {
                Operation::ListSet { .. } if inside => Effect::writes(element(at), 1),
                _ => Effect::reads(element(at.max(0)), inside),
            };
            // Counting from the end looks at the length.
            if index < 0 {
                effect.reads.push(shape);
            }
            effect
        }
        _ => unreachable!("only list operations are passed here"),
    }
}

fn list_of_unknown_length(operation: &Operation, list: ObjectId) -> Effect {
    let effect = match operation {
        Operation::ListGet { .. } => Effect::reads(Location::new(list, Part::Whole), true),
        _ => Effect::whole(list, Value::Unknown),
    };
    effect.with_unknown_result()
}
