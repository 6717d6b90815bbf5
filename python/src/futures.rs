//! Futures and tasks of asyncio under control, whoever made them.
//!
//! Model: the C functions behind their methods are replaced. That a future is done is a flag: what completes it sets the
//! flag, what asks for its state or result reads it. So does an `await` of a future, which need not suspend. That a task is
//! to be cancelled is a location of its own, and so is what a task waits for, which is cancelled in its place. A task
//! completes without a method; its loop says so (tasks).
//!
//! From 3.14 on it is C code, too, that tells which tasks of a loop are not done: the loop says what it reads.
//!
//! Not here: the subclasses that Python code may define, which call these methods in the end; futures written in Python.

use crate::replaced::{Object, Original, controlled, replace};
use crate::{flags, names, run, tasks};
use frontrun_formats::{Location, Operation, Part, ThreadId};
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::c_void;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Whether a future is done, as the original method says.
unsafe fn is_done(original: &Original, object: Object) -> bool {
    // SAFETY: `done` takes nothing, runs no Python code and returns a new reference to a bool.
    unsafe {
        let done = original.call(object, ptr::null_mut(), ptr::null_mut());
        ffi::Py_XDECREF(done);
        done == ffi::Py_True()
    }
}

unsafe fn flag(object: Object) -> frontrun_formats::ObjectId {
    // SAFETY: a live object; the calling thread holds the turn and the lock.
    unsafe {
        let id = names::number(object);
        run::initial_sync(id, Part::State, || i64::from(is_done(&FUTURE_DONE, object)));
        id
    }
}

unsafe fn note_read(me: ThreadId, object: Object) {
    // SAFETY: as for `flag`.
    let at = Location::new(unsafe { flag(object) }, Part::State);
    flags::step(me, Operation::Read { at }, 1);
}

unsafe fn note_cancellation(me: ThreadId, object: Object, writes: bool) {
    // SAFETY: as for `flag`.
    tasks::touch(me, unsafe { names::number(object) }, "_must_cancel", writes);
}

/// A replacement for the method `$name`, whose original is `$original`: it records by `$note` what it does.
macro_rules! replacement {
    ($name:ident, $original:ident, $note:expr) => {
        static $original: Original = Original::new();

        unsafe extern "C" fn $name(
            object: Object,
            a: *mut c_void,
            b: *mut c_void,
            c: *mut c_void,
            d: *mut c_void,
        ) -> Object {
            // SAFETY: called through the method's definition, with the arguments of its convention.
            unsafe {
                let call = || $original.call_all(object, a, b, c, d);
                match controlled(object) {
                    Some(me) => $note(me, object, &call),
                    None => call(),
                }
            }
        }
    };
}

type Call<'a> = &'a dyn Fn() -> Object;

/// Asks for the state of a future.
unsafe fn reads(me: ThreadId, object: Object, call: Call) -> Object {
    // SAFETY: as for `flag`.
    unsafe { note_read(me, object) };
    call()
}

/// May complete a future.
unsafe fn completes(me: ThreadId, object: Object, call: Call) -> Object {
    // SAFETY: as for `flag`; the future is alive while its method runs.
    unsafe {
        let id = flag(object);
        let was_done = is_done(&FUTURE_DONE, object);
        let result = call();
        if was_done {
            flags::step(me, Operation::Read { at: Location::new(id, Part::State) }, 1);
        } else if is_done(&FUTURE_DONE, object) {
            flags::note_set(me, id);
        }
        result
    }
}

/// Asks a task to cancel itself, or takes that back.
unsafe fn cancels(me: ThreadId, object: Object, call: Call) -> Object {
    // SAFETY: as for `flag`.
    unsafe {
        note_read(me, object);
        tasks::touch(me, names::number(object), "_fut_waiter", false);
        note_cancellation(me, object, true);
    }
    call()
}

/// Asks how often a task has been asked to cancel itself.
unsafe fn asks_cancelling(me: ThreadId, object: Object, call: Call) -> Object {
    // SAFETY: as for `flag`.
    unsafe { note_cancellation(me, object, false) };
    call()
}

replacement!(future_result, FUTURE_RESULT, reads);
replacement!(future_exception, FUTURE_EXCEPTION, reads);
replacement!(future_done, FUTURE_DONE, reads);
replacement!(future_cancelled, FUTURE_CANCELLED, reads);
replacement!(future_add_done_callback, FUTURE_ADD, reads);
replacement!(future_set_result, FUTURE_SET_RESULT, completes);
replacement!(future_set_exception, FUTURE_SET_EXCEPTION, completes);
replacement!(future_cancel, FUTURE_CANCEL, completes);
replacement!(task_result, TASK_RESULT, reads);
replacement!(task_exception, TASK_EXCEPTION, reads);
replacement!(task_done, TASK_DONE, reads);
replacement!(task_cancelled, TASK_CANCELLED, reads);
replacement!(task_add_done_callback, TASK_ADD, reads);
replacement!(task_cancel, TASK_CANCEL, cancels);
replacement!(task_uncancel, TASK_UNCANCEL, cancels);
replacement!(task_cancelling, TASK_CANCELLING, asks_cancelling);

/// The slot behind `await future`.
static AWAIT: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn future_await(object: Object) -> Object {
    // SAFETY: called through the slot, whose original was read from it.
    unsafe {
        if let Some(me) = controlled(object) {
            note_read(me, object);
        }
        let original: ffi::unaryfunc = std::mem::transmute(AWAIT.load(Ordering::Relaxed));
        original(object)
    }
}

/// Lets `await` of this type's instances be seen.
fn watch_await(class: &Bound<'_, PyAny>) {
    // SAFETY: a live type, whose table of slots is writable; subclasses that are made later inherit from it.
    unsafe {
        let methods = (*class.as_ptr().cast::<ffi::PyTypeObject>()).tp_as_async;
        if methods.is_null() {
            return;
        }
        let slot = (&raw mut (*methods).am_await).cast::<usize>();
        let with = future_await as *const () as usize;
        let known = AWAIT.load(Ordering::Relaxed);
        if *slot != with && (known == 0 || *slot == known) {
            AWAIT.store(*slot, Ordering::Relaxed);
            *slot = with;
        }
    }
}

static ALL_TASKS: Original = Original::new();

/// What records that all tasks of a loop are asked for.
static ASKED: OnceLock<Py<PyAny>> = OnceLock::new();

unsafe extern "C" fn all_tasks(
    module: Object,
    arguments: *mut c_void,
    count: *mut c_void,
    keywords: *mut c_void,
) -> Object {
    // SAFETY: called through the function's definition, by the convention of `METH_FASTCALL | METH_KEYWORDS`; its only argument is
    // the loop.
    unsafe {
        if controlled(module).is_some()
            && let Some(asked) = ASKED.get()
        {
            let named = if keywords.is_null() { 0 } else { ffi::PyTuple_Size(keywords.cast()) };
            let is_given = ffi::PyVectorcall_NARGS(count.addr()) + named > 0;
            let of = if is_given { arguments.cast::<Object>().read() } else { ffi::Py_None() };
            let told =
                ffi::PyObject_CallFunctionObjArgs(asked.as_ptr(), of, ptr::null_mut::<ffi::PyObject>());
            if told.is_null() {
                return told;
            }
            ffi::Py_DECREF(told);
        }
        ALL_TASKS.call_all(module, arguments, count, keywords, ptr::null_mut())
    }
}

/// Has `asked` called with the loop, or `None` for the one that runs, before `all_tasks` of `module` tells under control which
/// of its tasks are not done. The first such callable stays.
#[pyfunction]
pub fn watch_all_tasks(module: &Bound<'_, PyAny>, asked: Py<PyAny>) -> PyResult<()> {
    let _ = ASKED.set(asked);
    replace(module, "all_tasks", &ALL_TASKS, all_tasks as *const () as usize)
}

/// Replaces the C functions of futures and tasks, and of the subclasses of futures that exist, for the rest of this
/// process; what is not controlled is passed on.
#[pyfunction]
pub fn watch_futures(subclasses: Vec<Bound<'_, PyAny>>, module: &Bound<'_, PyAny>) -> PyResult<()> {
    let (future, task) = (module.getattr("Future")?, module.getattr("Task")?);
    let of_futures: [(&str, &Original, usize); 8] = [
        ("result", &FUTURE_RESULT, future_result as *const () as usize),
        ("exception", &FUTURE_EXCEPTION, future_exception as *const () as usize),
        ("done", &FUTURE_DONE, future_done as *const () as usize),
        ("cancelled", &FUTURE_CANCELLED, future_cancelled as *const () as usize),
        ("add_done_callback", &FUTURE_ADD, future_add_done_callback as *const () as usize),
        ("set_result", &FUTURE_SET_RESULT, future_set_result as *const () as usize),
        ("set_exception", &FUTURE_SET_EXCEPTION, future_set_exception as *const () as usize),
        ("cancel", &FUTURE_CANCEL, future_cancel as *const () as usize),
    ];
    let of_tasks: [(&str, &Original, usize); 8] = [
        ("result", &TASK_RESULT, task_result as *const () as usize),
        ("exception", &TASK_EXCEPTION, task_exception as *const () as usize),
        ("done", &TASK_DONE, task_done as *const () as usize),
        ("cancelled", &TASK_CANCELLED, task_cancelled as *const () as usize),
        ("add_done_callback", &TASK_ADD, task_add_done_callback as *const () as usize),
        ("cancel", &TASK_CANCEL, task_cancel as *const () as usize),
        ("uncancel", &TASK_UNCANCEL, task_uncancel as *const () as usize),
        ("cancelling", &TASK_CANCELLING, task_cancelling as *const () as usize),
    ];
    for (name, original, with) in of_futures {
        replace(&future, name, original, with)?;
    }
    for (name, original, with) in of_tasks {
        replace(&task, name, original, with)?;
    }
    [future, task].iter().chain(&subclasses).for_each(watch_await);
    Ok(())
}
