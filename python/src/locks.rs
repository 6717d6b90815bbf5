//! Blocking C primitives: locks, re-entrant locks, `SimpleQueue`, `sleep`.
//!
//! Model: the C function behind a method (its `PyMethodDef`) is replaced, so every lock there is obeys, whoever made
//! it, under whatever name it is called, and whenever it was created. The replacement asks the gate for the turn,
//! and then performs the real operation, which cannot block: the abstract state says that it is enabled.
//!
//! Invariant: a thread that is not controlled, and code that must stay invisible, get the original function.
//!
//! Not here: primitives that the standard library writes in Python (package `frontrun._primitives`).

use crate::observed::read;
use crate::{controlled, interpreter, names, run};
use frontrun_formats::{Location, ObjectId, Operation, Part, ThreadId};
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::c_void;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

type Object = *mut ffi::PyObject;

/// A C function with as many arguments as any calling convention has; the surplus is ignored.
type Function = unsafe extern "C" fn(Object, *mut c_void, *mut c_void, *mut c_void, *mut c_void) -> Object;

/// The original of one replaced function.
struct Original(AtomicUsize);

impl Original {
    const fn new() -> Self {
        Original(AtomicUsize::new(0))
    }

    unsafe fn call(&self, object: Object, a: *mut c_void, b: *mut c_void) -> Object {
        // SAFETY: as for `call_all`.
        unsafe { self.call_all(object, a, b, ptr::null_mut(), ptr::null_mut()) }
    }

    unsafe fn call_all(
        &self,
        object: Object,
        a: *mut c_void,
        b: *mut c_void,
        c: *mut c_void,
        d: *mut c_void,
    ) -> Object {
        // SAFETY: the address was read from the method's definition; the arguments are those of its convention.
        unsafe {
            let function: Function = std::mem::transmute::<usize, Function>(self.0.load(Ordering::Relaxed));
            function(object, a, b, c, d)
        }
    }
}

static LOCK_ACQUIRE: Original = Original::new();
static LOCK_RELEASE: Original = Original::new();
static LOCK_LOCKED: Original = Original::new();
static RLOCK_ACQUIRE: Original = Original::new();
static RLOCK_RELEASE: Original = Original::new();
static RLOCK_IS_OWNED: Original = Original::new();
static RLOCK_SAVE: Original = Original::new();
static RLOCK_RESTORE: Original = Original::new();
static QUEUE_PUT: Original = Original::new();
static QUEUE_GET: Original = Original::new();
static QUEUE_GET_NOWAIT: Original = Original::new();
static QUEUE_SIZE: Original = Original::new();
static QUEUE_EMPTY: Original = Original::new();
static SLEEP: Original = Original::new();

/// Locks of the interpreter's own bookkeeping, which are no part of the program.
static IGNORED: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// The calling thread, if this operation on `object` is one to control.
unsafe fn controlled(object: Object) -> Option<ThreadId> {
    if !run::is_recording() {
        return None;
    }
    let me = controlled::visible_thread()?;
    let ignored = IGNORED.lock().is_ok_and(|ignored| ignored.contains(&(object as usize)));
    (!ignored).then_some(me)
}

/// Leaves a lock out of control.
pub fn ignore(object: Object) {
    if let Ok(mut ignored) = IGNORED.lock() {
        ignored.push(object as usize);
    }
}

/// Waits for the turn and records a step at the site that the thread reached last.
fn step(me: ThreadId, operation: Operation, may_block: bool, result: u8) {
    let site = controlled::last_site();
    run::reach(me, site, may_block.then(|| operation.clone()));
    run::execute(me, site, operation, result);
}

/// Whether `acquire` was asked to wait for as long as it takes.
unsafe fn waits_forever(arguments: Object, keywords: Object) -> Option<bool> {
    // SAFETY: a tuple and a dictionary or null, as the calling convention has it; references are borrowed.
    unsafe {
        let argument = |at: isize, name: &std::ffi::CStr| {
            if !arguments.is_null() && ffi::PyTuple_Size(arguments) > at {
                ffi::PyTuple_GetItem(arguments, at)
            } else if keywords.is_null() {
                ptr::null_mut()
            } else {
                ffi::PyDict_GetItemString(keywords, name.as_ptr())
            }
        };
        decide_wait(argument(0, c"blocking"), argument(1, c"timeout"))
    }
}

/// `None` for arguments that the original function has to refuse.
unsafe fn decide_wait(blocking: Object, timeout: Object) -> Option<bool> {
    // SAFETY: borrowed live objects or null; numbers of exact types run no user code.
    unsafe {
        let blocks = blocking.is_null() || ffi::PyObject_IsTrue(blocking) == 1;
        if timeout.is_null() || timeout == ffi::Py_None() {
            return Some(blocks);
        }
        let seconds = ffi::PyFloat_AsDouble(timeout);
        if !ffi::PyErr_Occurred().is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        let has_timeout = seconds != -1.0;
        if has_timeout && (seconds < 0.0 || !blocks) { None } else { Some(blocks && !has_timeout) }
    }
}

/// `(False,)`: the arguments of an acquisition that must not wait.
unsafe fn no_wait() -> Object {
    // SAFETY: makes a new tuple with a new reference to `False`.
    unsafe { ffi::PyTuple_Pack(1, ffi::Py_False()) }
}

unsafe fn try_original(original: &Original, object: Object) -> Object {
    // SAFETY: the tuple lives across the call.
    unsafe {
        let arguments = no_wait();
        let result = original.call(object, arguments.cast(), ptr::null_mut());
        ffi::Py_XDECREF(arguments);
        result
    }
}

unsafe fn acquire(
    me: ThreadId,
    original: &Original,
    object: Object,
    arguments: *mut c_void,
    keywords: *mut c_void,
    is_held: impl FnOnce() -> bool,
) -> Object {
    // SAFETY: the caller holds the lock of the interpreter and the turn.
    unsafe {
        let Some(forever) = waits_forever(arguments.cast(), keywords.cast()) else {
            return original.call(object, arguments, keywords);
        };
        let lock = names::number(object);
        run::initial_sync(lock, Part::State, || if is_held() { i64::from(u32::MAX) } else { 0 });
        let site = controlled::last_site();
        let operation = if forever { Operation::Acquire { lock } } else { Operation::TryAcquire { lock } };
        run::reach(me, site, forever.then(|| operation.clone()));
        let taken = try_original(original, object);
        run::execute(me, site, operation, u8::from(taken == ffi::Py_True()));
        taken
    }
}

unsafe extern "C" fn lock_acquire(object: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the method's definition.
    unsafe {
        match controlled(object) {
            Some(me) => acquire(me, &LOCK_ACQUIRE, object, a, b, || is_locked(object)),
            None => LOCK_ACQUIRE.call(object, a, b),
        }
    }
}

unsafe fn is_locked(object: Object) -> bool {
    // SAFETY: the original `locked` takes nothing and returns a new reference to a bool.
    unsafe {
        let held = LOCK_LOCKED.call(object, ptr::null_mut(), ptr::null_mut());
        ffi::Py_XDECREF(held);
        held == ffi::Py_True()
    }
}

unsafe fn release(me: ThreadId, object: Object, is_held: bool) {
    // SAFETY: the caller holds the turn and the lock of the interpreter.
    let lock = unsafe { names::number(object) };
    run::initial_sync(lock, Part::State, || if is_held { i64::from(u32::MAX) } else { 0 });
    step(me, Operation::Release { lock }, false, u8::from(is_held));
}

unsafe extern "C" fn lock_release(object: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the method's definition. Whether the lock is held is asked again after the turn
    // came, since another thread may release it first.
    unsafe {
        if let Some(me) = controlled(object) {
            let site = controlled::last_site();
            let lock = names::number(object);
            run::initial_sync(lock, Part::State, || if is_locked(object) { i64::from(u32::MAX) } else { 0 });
            run::reach(me, site, None);
            run::execute(me, site, Operation::Release { lock }, u8::from(is_locked(object)));
        }
        LOCK_RELEASE.call(object, a, b)
    }
}

unsafe extern "C" fn lock_locked(object: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the method's definition.
    unsafe {
        if let Some(me) = controlled(object) {
            let lock = names::number(object);
            run::initial_sync(lock, Part::State, || if is_locked(object) { i64::from(u32::MAX) } else { 0 });
            step(me, read(Location::new(lock, Part::State)).0, false, 1);
        }
        LOCK_LOCKED.call(object, a, b)
    }
}

unsafe fn is_owned(object: Object) -> bool {
    // SAFETY: as for `is_locked`.
    unsafe {
        let owned = RLOCK_IS_OWNED.call(object, ptr::null_mut(), ptr::null_mut());
        ffi::Py_XDECREF(owned);
        owned == ffi::Py_True()
    }
}

unsafe extern "C" fn rlock_acquire(object: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the method's definition. Only the outermost acquisition is a step.
    unsafe {
        match controlled(object) {
            Some(me) if !is_owned(object) => {
                acquire(me, &RLOCK_ACQUIRE, object, a, b, || interpreter::rlock_count(object) > 0)
            }
            _ => RLOCK_ACQUIRE.call(object, a, b),
        }
    }
}

unsafe extern "C" fn rlock_release(object: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the method's definition.
    unsafe {
        if let Some(me) = controlled(object)
            && is_owned(object)
            && interpreter::rlock_count(object) == 1
        {
            release(me, object, true);
        }
        RLOCK_RELEASE.call(object, a, b)
    }
}

unsafe extern "C" fn rlock_save(object: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the method's definition.
    unsafe {
        if let Some(me) = controlled(object)
            && is_owned(object)
        {
            release(me, object, true);
        }
        RLOCK_SAVE.call(object, a, b)
    }
}

unsafe extern "C" fn rlock_restore(object: Object, a: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the method's definition; after the step the lock is free.
    unsafe {
        if let Some(me) = controlled(object) {
            let lock = names::number(object);
            let held = || if interpreter::rlock_count(object) > 0 { i64::from(u32::MAX) } else { 0 };
            run::initial_sync(lock, Part::State, held);
            step(me, Operation::Acquire { lock }, true, 1);
        }
        RLOCK_RESTORE.call(object, a, b)
    }
}

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
        if let Some(me) = controlled(object) {
            let queue = queue(object);
            step(me, Operation::QueuePut { queue, bound: 0 }, false, 1);
        }
        QUEUE_PUT.call_all(object, a, b, c, d)
    }
}

/// `get(block=True, timeout=None)`, called with its class and a vector of arguments.
unsafe extern "C" fn queue_get(
    object: Object,
    class: *mut c_void,
    arguments: *mut c_void,
    count: *mut c_void,
    names_of_keywords: *mut c_void,
) -> Object {
    // SAFETY: called through the method's definition: `arguments` holds the positional and then the keyword
    // arguments.
    unsafe {
        let original = || QUEUE_GET.call_all(object, class, arguments, count, names_of_keywords);
        let Some(me) = controlled(object) else { return original() };
        let (vector, positional) = (arguments.cast::<Object>(), count as usize);
        let keywords: Object = names_of_keywords.cast();
        let mut values = [ptr::null_mut(); 2];
        for (at, value) in values.iter_mut().enumerate().take(positional) {
            *value = *vector.add(at);
        }
        if !keywords.is_null() {
            for nth in 0..ffi::PyTuple_Size(keywords) {
                let slot = usize::from(interpreter::text(ffi::PyTuple_GetItem(keywords, nth)) == "timeout");
                values[slot] = *vector.add(positional + nth as *const () as usize);
            }
        }
        let Some(forever) = decide_wait(values[0], values[1]) else { return original() };
        get_item(me, object, class, forever)
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
            Some(me) => get_item(me, object, class, false),
            None => QUEUE_GET_NOWAIT.call_all(object, class, arguments, count, keywords),
        }
    }
}

/// Takes an item; the real call does not wait, since one is there or none is asked for.
unsafe fn get_item(me: ThreadId, object: Object, class: *mut c_void, forever: bool) -> Object {
    // SAFETY: the original takes no arguments beyond the class.
    unsafe {
        let queue = queue(object);
        let operation =
            if forever { Operation::QueueGet { queue } } else { Operation::QueueTryGet { queue } };
        let site = controlled::last_site();
        run::reach(me, site, forever.then(|| operation.clone()));
        let none = ptr::null_mut();
        let item = QUEUE_GET_NOWAIT.call_all(object, class, none, none, none);
        run::execute(me, site, operation, u8::from(!item.is_null()));
        item
    }
}

unsafe fn look_at_queue(object: Object) {
    // SAFETY: the caller was called through a method's definition.
    unsafe {
        if let Some(me) = controlled(object) {
            let queue = queue(object);
            step(me, read(Location::new(queue, Part::State)).0, false, 1);
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

/// Sleeping is a switch point that takes no time; a negative duration is refused as ever.
unsafe extern "C" fn sleep(module: Object, seconds: *mut c_void, b: *mut c_void) -> Object {
    // SAFETY: called through the function's definition with one argument.
    unsafe {
        let Some(me) = controlled(module) else { return SLEEP.call(module, seconds, b) };
        let duration = ffi::PyFloat_AsDouble(seconds.cast());
        if duration < 0.0 || !ffi::PyErr_Occurred().is_null() {
            ffi::PyErr_Clear();
            return SLEEP.call(module, seconds, b);
        }
        step(me, Operation::Pause, false, 1);
        ffi::Py_NewRef(ffi::Py_None())
    }
}

/// Replaces the C function behind the method or function `name` of `holder`.
fn replace(holder: &Bound<'_, PyAny>, name: &str, original: &Original, with: usize) -> PyResult<()> {
    let found = holder.getattr(name)?;
    // SAFETY: a live callable; method definitions of the interpreter are static and writable.
    unsafe {
        let definition = interpreter::method_def(found.as_ptr());
        if definition.is_null() {
            return Ok(());
        }
        let slot = (&raw mut (*definition).ml_meth).cast::<usize>();
        if *slot != with {
            original.0.store(*slot, Ordering::Relaxed);
            *slot = with;
        }
    }
    Ok(())
}

/// Replaces the C functions of this process for good; while nothing is recorded they pass everything on.
///
/// # Errors
/// When a module or name that every supported interpreter has is missing.
pub fn install(py: Python<'_>) -> PyResult<()> {
    let thread = py.import("_thread")?;
    let lock = thread.getattr("LockType")?;
    for name in ["acquire", "acquire_lock", "__enter__"] {
        replace(&lock, name, &LOCK_ACQUIRE, lock_acquire as *const () as usize)?;
    }
    for name in ["release", "release_lock", "__exit__"] {
        replace(&lock, name, &LOCK_RELEASE, lock_release as *const () as usize)?;
    }
    for name in ["locked", "locked_lock"] {
        replace(&lock, name, &LOCK_LOCKED, lock_locked as *const () as usize)?;
    }
    let rlock = thread.getattr("RLock")?;
    for name in ["acquire", "__enter__"] {
        replace(&rlock, name, &RLOCK_ACQUIRE, rlock_acquire as *const () as usize)?;
    }
    for name in ["release", "__exit__"] {
        replace(&rlock, name, &RLOCK_RELEASE, rlock_release as *const () as usize)?;
    }
    keep(&rlock, "_is_owned", &RLOCK_IS_OWNED)?;
    replace(&rlock, "_release_save", &RLOCK_SAVE, rlock_save as *const () as usize)?;
    replace(&rlock, "_acquire_restore", &RLOCK_RESTORE, rlock_restore as *const () as usize)?;
    let queue = py.import("_queue")?.getattr("SimpleQueue")?;
    replace(&queue, "put", &QUEUE_PUT, queue_put as *const () as usize)?;
    replace(&queue, "get", &QUEUE_GET, queue_get as *const () as usize)?;
    replace(&queue, "get_nowait", &QUEUE_GET_NOWAIT, queue_get_nowait as *const () as usize)?;
    replace(&queue, "qsize", &QUEUE_SIZE, queue_size as *const () as usize)?;
    replace(&queue, "empty", &QUEUE_EMPTY, queue_empty as *const () as usize)?;
    replace(py.import("time")?.as_any(), "sleep", &SLEEP, sleep as *const () as usize)
}

/// Notes a function without replacing it.
fn keep(holder: &Bound<'_, PyAny>, name: &str, original: &Original) -> PyResult<()> {
    let found = holder.getattr(name)?;
    // SAFETY: a live callable of the interpreter.
    let function = unsafe {
        let definition = interpreter::method_def(found.as_ptr());
        (&raw const (*definition).ml_meth).cast::<usize>().read()
    };
    original.0.store(function, Ordering::Relaxed);
    Ok(())
}
