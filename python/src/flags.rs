//! Flags of event loops: a future is done, a loop is idle, a descriptor is ready. Tasks wait for them as for events.
//!
//! Not here: who waits (tasks), which descriptors set them (watches).

use crate::observed::several;
use crate::{controlled, names, run};
use frontrun_formats::{Location, ObjectId, Operation, Part, ThreadId};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// The calling thread, which is controlled.
pub fn me() -> PyResult<ThreadId> {
    let me = controlled::controlled_thread();
    me.ok_or_else(|| PyRuntimeError::new_err("this thread is not controlled"))
}

/// The number of an object.
pub fn number(object: &Bound<'_, PyAny>) -> ObjectId {
    // SAFETY: a live object; the calling thread holds the turn and the lock.
    unsafe { names::number(object.as_ptr()) }
}

/// Records what the calling thread does at the place that it reached last.
pub fn step(me: ThreadId, operation: Operation, result: u8) {
    let site = controlled::last_site();
    run::announce(me, &operation);
    run::reach(me, site, None);
    run::execute(me, site, operation, result);
}

/// Tells gate and trace what a flag (a future that is done, a loop that is idle) was before the run touched it.
pub fn flag(object: &Bound<'_, PyAny>, before: i64) -> ObjectId {
    let id = number(object);
    run::initial_sync(id, Part::State, || before);
    id
}

/// Sets a flag: a future is done, a loop is idle.
#[pyfunction]
pub fn set_flag(object: &Bound<'_, PyAny>) -> PyResult<()> {
    let event = flag(object, 0);
    note_set(me()?, event);
    Ok(())
}

/// Clears a flag: a loop is not running any more.
#[pyfunction]
pub fn clear_flag(object: &Bound<'_, PyAny>) -> PyResult<()> {
    let event = flag(object, 0);
    step(me()?, Operation::EventClear { event }, 1);
    Ok(())
}

/// Reads a flag.
#[pyfunction]
pub fn read_flag(object: &Bound<'_, PyAny>) -> PyResult<()> {
    let at = Location::new(flag(object, 0), Part::State);
    step(me()?, Operation::Read { at }, 1);
    Ok(())
}

/// The number of the object that a flag belongs to.
#[pyfunction]
pub fn flag_number(object: &Bound<'_, PyAny>) -> u32 {
    flag(object, 0).0
}

/// Reads the flags of these objects at once.
#[pyfunction]
pub fn read_flags(numbers: Vec<u32>) -> PyResult<()> {
    let at = |number: &u32| Location::new(ObjectId(*number), Part::State);
    if let Some((operation, result)) = several(numbers.iter().map(at).collect(), false) {
        step(me()?, operation, result);
    }
    Ok(())
}

/// Records that the flag is set now; setting what is set only reads it, as does the gate's table.
pub fn note_set(me: ThreadId, event: ObjectId) {
    run::reach(me, controlled::last_site(), None);
    run::execute(me, controlled::last_site(), Operation::EventSet { event }, 1);
}
