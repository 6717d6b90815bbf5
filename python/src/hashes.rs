//! Gives objects that have no hash of their own one that does not hang on their address.
//!
//! Model: the classes whose hash is that of `object` get another function for it, and so do bound methods. The objects that
//! were there before, and those that are first hashed outside a run, keep the hash that they have had: they may be in sets
//! and dictionaries. So do those that the collector does not know, since nobody can list which of them were there.
//!
//! Invariants: only memory is read; no code of the program runs. Once it is in place this stays for as long as the process:
//! objects with such a hash may outlive the run.
//!
//! Not here: the numbers (recorder), how frees are noticed (freed).

use crate::class::slot;
use crate::{controlled, interpreter, run};
use frontrun_formats::{ThreadId, ThreadPath};
use frontrun_recorder::hashes::Hashes;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::cell::UnsafeCell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

struct Slot(UnsafeCell<Option<Hashes>>);

// SAFETY: every access happens with the interpreter's lock held, and none runs Python code.
unsafe impl Sync for Slot {}

static HASHES: Slot = Slot(UnsafeCell::new(None));
/// The functions of `object` and of bound methods.
static BY_ADDRESS: OnceLock<ffi::hashfunc> = OnceLock::new();
static OF_METHOD: OnceLock<ffi::hashfunc> = OnceLock::new();
/// The whole process is a run, which has begun for its main thread before others are there.
static WHOLE_PROCESS: AtomicBool = AtomicBool::new(false);

#[allow(non_upper_case_globals)]
unsafe extern "C" {
    static mut PyMethod_Type: ffi::PyTypeObject;
    fn PyMethod_Function(method: *mut ffi::PyObject) -> *mut ffi::PyObject;
    fn PyMethod_Self(method: *mut ffi::PyObject) -> *mut ffi::PyObject;
}

/// A method of `object` that stands for a C function: the part of the descriptor in front of that.
#[repr(C)]
struct WrapperDescriptor {
    head: ffi::PyObject,
    class: *mut ffi::PyTypeObject,
    name: *mut ffi::PyObject,
    qualified_name: *mut ffi::PyObject,
    base: *mut std::ffi::c_void,
    wrapped: ffi::hashfunc,
}

/// # Safety
/// The caller holds the interpreter's lock and drops the borrow before anything can run Python code.
unsafe fn hashes() -> Option<&'static mut Hashes> {
    // SAFETY: as the caller promises.
    unsafe { (*HASHES.0.get()).as_mut() }
}

/// Notes that the memory at `block` has been freed.
#[inline]
pub fn forget(block: usize) {
    // SAFETY: objects are freed with the interpreter's lock held; the borrow ends here.
    if let Some(hashes) = unsafe { hashes() } {
        hashes.forget(block);
    }
}

/// A run begins.
pub fn begin_run() {
    // SAFETY: the caller holds the lock; the borrow ends here.
    if let Some(hashes) = unsafe { hashes() } {
        hashes.begin_run();
    }
}

/// From now on the main thread gives numbers, too, before the run begins.
pub fn begin_process() {
    WHOLE_PROCESS.store(true, Ordering::Relaxed);
}

/// Whose sequence an object gets its number from.
fn thread() -> Option<ThreadId> {
    controlled::controlled_thread().or_else(|| {
        // SAFETY: nothing is touched; without a run there is no turn.
        let before = WHOLE_PROCESS.load(Ordering::Relaxed) && unsafe { run::get() }.is_none();
        before.then_some(ThreadId(0))
    })
}

fn by_address(object: *mut ffi::PyObject) -> ffi::Py_hash_t {
    // SAFETY: the function of `object`, which only looks at the address.
    BY_ADDRESS.get().map_or(0, |original| unsafe { original(object) })
}

/// What the collector does not know keeps the address, see above.
///
/// # Safety
/// A live object; the caller holds the lock.
unsafe fn is_collected(object: *mut ffi::PyObject) -> bool {
    // SAFETY: as the caller promises; the second question is only asked of what has the collector's header.
    unsafe {
        ffi::PyType_GetFlags(ffi::Py_TYPE(object)) & ffi::Py_TPFLAGS_HAVE_GC != 0
            && ffi::PyObject_GC_IsTracked(object) != 0
    }
}

unsafe extern "C" fn hash(object: *mut ffi::PyObject) -> ffi::Py_hash_t {
    // SAFETY: whoever asks an object for its hash holds the lock and a reference.
    let (known, block) = unsafe {
        let block = interpreter::block(object);
        (hashes().and_then(|hashes| hashes.known(block)), block)
    };
    if let Some(known) = known {
        return known;
    }
    // SAFETY: as above.
    if !unsafe { is_collected(object) } {
        return by_address(object);
    }
    let thread = thread();
    // SAFETY: a controlled thread that runs holds the turn and the lock; nothing here runs Python code.
    unsafe {
        let Some(hashes) = hashes() else { return by_address(object) };
        match thread {
            Some(thread) => hashes.number(block, thread, || {
                run::get().map_or_else(ThreadPath::main, |run| run.gate.path(thread).clone())
            }),
            None => {
                let address = by_address(object);
                hashes.keep(block, address);
                address
            }
        }
    }
}

/// Bound methods are equal if they are those of one object, so they hash by its address.
unsafe extern "C" fn method_hash(method: *mut ffi::PyObject) -> ffi::Py_hash_t {
    // SAFETY: called with a bound method, which has both; the function's hash runs no code of the program, as its class is
    // that of functions, or the hash is left to the interpreter.
    unsafe {
        let (function, owner) = (PyMethod_Function(method), PyMethod_Self(method));
        let by_number = |object| slot((*ffi::Py_TYPE(object)).tp_hash) == hash as *const () as usize;
        if by_number(owner) && by_number(function) {
            return match hash(owner) ^ hash(function) {
                -1 => -2,
                both => both,
            };
        }
        OF_METHOD.get().map_or(0, |original| original(method))
    }
}

/// Puts this in place, once a process.
pub fn install(py: Python<'_>) -> PyResult<()> {
    if BY_ADDRESS.get().is_some() {
        return Ok(());
    }
    let collector = py.import("gc")?;
    // What is frozen would not be listed.
    collector.call_method0("unfreeze")?;
    let subclasses = py.get_type::<pyo3::types::PyType>().getattr("__subclasses__")?;
    let descriptor = py.get_type::<PyAny>().getattr("__hash__")?;
    let all = collector.call_method0("get_objects")?.cast_into::<PyList>()?;
    // SAFETY: the types and the descriptor are live and the lock is held; `object` has a hash, and classes that inherit it
    // have a copy.
    unsafe {
        let Some(original) = ffi::PyBaseObject_Type.tp_hash else { return Ok(()) };
        let inherits = |class: *mut ffi::PyTypeObject| slot((*class).tp_hash) == slot(Some(original));
        let mut hashes = Hashes::default();
        for object in
            all.iter().map(|object| object.as_ptr()).filter(|object| inherits(ffi::Py_TYPE(*object)))
        {
            hashes.keep(interpreter::block(object), original(object));
        }
        *HASHES.0.get() = Some(hashes);
        let _ = BY_ADDRESS.set(original);
        let mut classes = vec![py.get_type::<PyAny>().into_any()];
        while let Some(class) = classes.pop() {
            let its_type = class.as_ptr().cast::<ffi::PyTypeObject>();
            if inherits(its_type) {
                (*its_type).tp_hash = Some(hash);
            }
            classes.extend(subclasses.call1((class,))?.cast_into::<PyList>()?);
        }
        if ffi::Py_TYPE(descriptor.as_ptr()) == &raw mut ffi::PyWrapperDescr_Type {
            (*descriptor.as_ptr().cast::<WrapperDescriptor>()).wrapped = hash;
        }
        if let Some(of_method) = PyMethod_Type.tp_hash {
            let _ = OF_METHOD.set(of_method);
            PyMethod_Type.tp_hash = Some(method_hash);
        }
    }
    Ok(())
}
