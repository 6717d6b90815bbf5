//! The abstract state of an execution, replayed from its operations; what each event read and wrote.
//!
//! It follows [`frontrun_formats::semantics`] and adds nothing to it.

use frontrun_formats::semantics::changes::Changes;
use frontrun_formats::{
    Effect, Execution, Location, ObjectId, Operation, Part, State, ThreadId, Value, semantics,
};
use rustc_hash::FxHashMap;

/// The values at some point of an execution.
#[derive(Clone, Debug, Default)]
pub struct AbstractState {
    values: FxHashMap<Location, Value>,
    /// What a write of a whole object left in each of its parts that was not written since, and is not awaited.
    whole: FxHashMap<ObjectId, Value>,
    changes: Changes,
}

impl AbstractState {
    /// The state before the first event.
    pub fn of(execution: &Execution) -> AbstractState {
        let changes = Changes::of(execution.awaited());
        let mut state = AbstractState { changes, ..AbstractState::default() };
        for (at, value) in &execution.initial {
            state.store(*at, value.clone());
        }
        state
    }

    /// Executes an operation that is enabled.
    pub fn execute(&mut self, operation: &Operation, thread: ThreadId) -> Effect {
        let effect = semantics::effect(operation, thread, self);
        self.changes.executed(thread, &effect);
        for (at, value) in &effect.values {
            self.store(*at, value.clone());
        }
        effect
    }

    fn store(&mut self, at: Location, value: Value) {
        if at.part == Part::Whole {
            self.values.retain(|location, _| location.object != at.object || location.part.is_awaited());
            self.whole.insert(at.object, value);
        } else {
            self.values.insert(at, value);
        }
    }
}

impl State for AbstractState {
    fn value(&self, at: Location) -> Value {
        let whole = || self.whole.get(&at.object).filter(|_| !at.part.is_awaited());
        self.values.get(&at).or_else(whole).cloned().unwrap_or(Value::Int(0))
    }

    fn has_changed(&self, at: Location, thread: ThreadId) -> bool {
        self.changes.has_changed(at, thread)
    }
}

/// What each event of an execution read and wrote.
pub fn effects(execution: &Execution) -> Vec<Effect> {
    let mut state = AbstractState::of(execution);
    execution.events.iter().map(|event| state.execute(&event.operation, event.thread)).collect()
}
