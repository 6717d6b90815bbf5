//! Buffered files: the lock that each of them has in C, and holds while it reads or writes.
//!
//! Model: a call of a method takes the object's lock and gives it back, as the C code does. A thread may have to wait for its
//! turn right before the system call, inside such a call; another one that uses the same object then waits for the lock, and
//! not in C.
//!
//! Not here: iterating over lines of a binary file, which passes no method.

use crate::outside::Books;
use crate::replaced::{Object, Original, controlled, replace, step};
use crate::{names, run};
use frontrun_formats::{ObjectId, Operation};
use pyo3::ffi;
use pyo3::prelude::*;
use std::cell::RefCell;
use std::ffi::c_void;

thread_local! {
    /// The locks that this thread holds: a method that calls another one takes no second time.
    static HELD: RefCell<Vec<ObjectId>> = const { RefCell::new(Vec::new()) };
}

/// The object's lock; `None` when nothing is recorded any more. It is an object of its own, because all of the file may be
/// written in the eyes of the recorder, where something unknown is handed it.
unsafe fn lock_of(object: Object) -> Option<ObjectId> {
    // SAFETY: a live object; the calling thread holds the turn and the lock of the interpreter; the borrows end here.
    unsafe {
        let buffer = names::number(object);
        let (run, identities) = (run::get()?, run::identities()?);
        let mut books = Books { identities, recording: &mut run.recording };
        Some(run.outside.buffer_lock(buffer, &names::type_name(ffi::Py_TYPE(object)), &mut books))
    }
}

/// Calls a method with the object's lock.
unsafe fn locked(original: &Original, object: Object, rest: [*mut c_void; 4]) -> Object {
    let [a, b, c, d] = rest;
    // SAFETY: the arguments are handed on as they came; the calling thread holds the lock of the interpreter.
    unsafe {
        let Some(me) = controlled(object) else { return original.call_all(object, a, b, c, d) };
        let Some(lock) = lock_of(object) else { return original.call_all(object, a, b, c, d) };
        if HELD.with_borrow(|held| held.contains(&lock)) {
            return original.call_all(object, a, b, c, d);
        }
        run::initial_lock(lock, || false);
        step(me, Operation::Acquire { lock }, true, 1);
        HELD.with_borrow_mut(|held| held.push(lock));
        let result = original.call_all(object, a, b, c, d);
        HELD.with_borrow_mut(|held| held.retain(|other| *other != lock));
        // An exception that the method raised must not be in the way of others.
        let py = Python::assume_attached();
        let raised = PyErr::take(py);
        step(me, Operation::Release { lock }, false, 1);
        if let Some(raised) = raised {
            raised.restore(py);
        }
        result
    }
}

macro_rules! methods {
    ($($name:ident, $original:ident: $($class:literal),*;)*) => {
        $(
            static $original: Original = Original::new();

            unsafe extern "C" fn $name(
                object: Object,
                a: *mut c_void,
                b: *mut c_void,
                c: *mut c_void,
                d: *mut c_void,
            ) -> Object {
                // SAFETY: called through the method's definition.
                unsafe { locked(&$original, object, [a, b, c, d]) }
            }
        )*

        /// Replaces the C functions of this process for good; while nothing is recorded they pass everything on.
        ///
        /// # Errors
        /// When a name that every supported interpreter has is missing.
        pub fn install(py: Python<'_>) -> PyResult<()> {
            let module = py.import("_io")?;
            $($(
                let class = module.getattr($class)?;
                if class.getattr("__dict__")?.contains(stringify!($name))? {
                    replace(&class, stringify!($name), &$original, $name as *const () as usize)?;
                }
            )*)*
            Ok(())
        }
    };
}

// The classes named in one row have one C function for the method.
methods! {
    read, READ: "BufferedReader", "BufferedRandom";
    read1, READ1: "BufferedReader", "BufferedRandom";
    readinto, READINTO: "BufferedReader", "BufferedRandom";
    readinto1, READINTO1: "BufferedReader", "BufferedRandom";
    readline, READLINE: "BufferedReader", "BufferedRandom";
    peek, PEEK: "BufferedReader", "BufferedRandom";
    write, WRITE: "BufferedWriter", "BufferedRandom";
    flush, FLUSH: "BufferedWriter", "BufferedRandom";
    seek, SEEK: "BufferedReader", "BufferedWriter", "BufferedRandom";
    tell, TELL: "BufferedReader", "BufferedWriter", "BufferedRandom";
    truncate, TRUNCATE: "BufferedWriter", "BufferedRandom";
    close, CLOSE: "BufferedReader", "BufferedWriter", "BufferedRandom";
}
