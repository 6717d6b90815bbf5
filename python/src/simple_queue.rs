//! `queue.SimpleQueue`, which is written in C and waits there.

use crate::clock::{self, Wait};
use crate::observed::read;
use crate::replaced::{Object, Original, asked, await_turn, controlled, decide_wait, replace};
use crate::{joining, names, run};
use frontrun_formats::{Location, ObjectId, Operation, Part, ThreadId};
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::c_void;
use std::ptr;

static QUEUE_PUT: Original = Original::new();
static QUEUE_PUT_NOWAIT: Original = Original::new();
static QUEUE_GET: Original = Original::new();
static QUEUE_GET_NOWAIT: Original = Original::new();
static QUEUE_SIZE: Original = Original::new();
static QUEUE_EMPTY: Original = Original::new();

/// The number of a queue, whose length the gate has been told.
unsafe fn queue(object: Object) -> ObjectId {
    // SAFETY: the original `qsize` takes nothing and returns a new int.
    unsafe {
        let id = names::number(object);
        run::initial_sync(id, Part::State, || {
            let size = QUEUE_SIZE.call(object, ptr::null_mut(), ptr::null_mut());
            let length = if size.is_null() { 0 } else { ffi::PyLong_AsLongLong(size) };
            ffi::Py_XDECREF(size);
            length
        });
        id
    }
}

unsafe extern "C" fn queue_put(
    object: Object,
    a: *mut c_void,
    b: *mut c_void,
    c: *mut c_void,
    d: *mut c_void,
) -> Object {
    // SAFETY: called through the method's definition (vector call).
    unsafe {
        put(object);
        QUEUE_PUT.call_all(object, a, b, c, d)
    }
}

unsafe extern "C" fn queue_put_nowait(
    object: Object,
    a: *mut c_void,
    b: *mut c_void,
    c: *mut c_void,
    d: *mut c_void,
) -> Object {
    // SAFETY: as for `queue_put`.
    unsafe {
        put(object);
        QUEUE_PUT_NOWAIT.call_all(object, a, b, c, d)
    }
}

unsafe fn put(object: Object) {
    // SAFETY: the caller was called through a method's definition.
    unsafe {
        if let Some(me) = controlled(object) {
            let queue = queue(object);
            joining::reach(me);
            joining::execute(me, Operation::QueuePut { queue, bound: 0 }, 1);
        }
    }
}

/// `get(block=True, timeout=None)`, called with its class and a vector of arguments.
unsafe extern "C" fn queue_get(
    object: Object,
    class: *mut c_void,
    arguments: *mut c_void,
    count: *mut c_void,
    keywords: *mut c_void,
) -> Object {
    // SAFETY: called through the method's definition (vector call).
    unsafe {
        let original = || QUEUE_GET.call_all(object, class, arguments, count, keywords);
        let Some(me) = controlled(object) else { return original() };
        let (block, timeout) = asked(arguments, count, keywords);
        let Some(wait) = decide_wait(block, timeout) else { return original() };
        // Here -1 is no way to ask for a wait without a limit.
        if matches!(wait, Wait::Forever) && !timeout.is_null() && timeout != ffi::Py_None() {
            return original();
        }
        get_item(me, object, class, wait)
    }
}

unsafe extern "C" fn queue_get_nowait(
    object: Object,
    class: *mut c_void,
    arguments: *mut c_void,
    count: *mut c_void,
    keywords: *mut c_void,
) -> Object {
    // SAFETY: called through the method's definition.
    unsafe {
        match controlled(object) {
            Some(me) => get_item(me, object, class, clock::wait(Some(0.0))),
            None => QUEUE_GET_NOWAIT.call_all(object, class, arguments, count, keywords),
        }
    }
}

/// Takes an item; the real call does not wait, since one is there or none is asked for.
unsafe fn get_item(me: ThreadId, object: Object, class: *mut c_void, wait: Wait) -> Object {
    // SAFETY: the original takes no arguments beyond the class. When the time ran out it raises `Empty`.
    unsafe {
        let queue = queue(object);
        let operations = (Operation::QueueGet { queue }, Operation::QueueTryGet { queue });
        let operation = await_turn(me, wait, operations);
        let none = ptr::null_mut();
        let item = QUEUE_GET_NOWAIT.call_all(object, class, none, none, none);
        if let Some(operation) = operation {
            joining::execute_awaited(me, operation, u8::from(!item.is_null()));
        }
        item
    }
}

unsafe fn look_at_queue(object: Object) {
    // SAFETY: the caller was called through a method's definition.
    unsafe {
        if let Some(me) = controlled(object) {
            let queue = queue(object);
            joining::reach(me);
            joining::execute(me, read(Location::new(queue, Part::State)).0, 1);
        }
    }
}

unsafe extern "C" fn queue_size(object: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the method's definition.
    unsafe {
        look_at_queue(object);
        QUEUE_SIZE.call(object, a, b)
    }
}

unsafe extern "C" fn queue_empty(object: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the method's definition.
    unsafe {
        look_at_queue(object);
        QUEUE_EMPTY.call(object, a, b)
    }
}

/// Replaces the C functions of this process for good; while nothing is recorded they pass everything on.
///
/// # Errors
/// When a name that every supported interpreter has is missing.
pub fn install(py: Python<'_>) -> PyResult<()> {
    let queue = py.import("_queue")?.getattr("SimpleQueue")?;
    replace(&queue, "put", &QUEUE_PUT, queue_put as *const () as usize)?;
    replace(&queue, "put_nowait", &QUEUE_PUT_NOWAIT, queue_put_nowait as *const () as usize)?;
    replace(&queue, "get", &QUEUE_GET, queue_get as *const () as usize)?;
    replace(&queue, "get_nowait", &QUEUE_GET_NOWAIT, queue_get_nowait as *const () as usize)?;
    replace(&queue, "qsize", &QUEUE_SIZE, queue_size as *const () as usize)?;
    replace(&queue, "empty", &QUEUE_EMPTY, queue_empty as *const () as usize)
}
