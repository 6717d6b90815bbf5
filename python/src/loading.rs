//! Code that is executed later: imports, scripts, `exec`, `eval`, and raw thread starts.
//!
//! Model: every module body runs through the builtin `exec`, whatever loader compiled it, so its C function is
//! replaced by one that rewrites the code object first. `_thread.start_new_thread` is replaced in the same way: the
//! new thread then runs the Python model of a thread around the function.
//!
//! Not here: which file is in scope (package `frontrun._instrument`).

use crate::site::Seen;
use crate::{controlled, interpreter, rewriting};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyCode, PyString};
use std::ffi::c_void;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

type Object = *mut ffi::PyObject;
type Vector = unsafe extern "C" fn(Object, *const Object, isize, Object) -> Object;
type Tuple = unsafe extern "C" fn(Object, Object) -> Object;

static EXEC: AtomicUsize = AtomicUsize::new(0);
static EVAL: AtomicUsize = AtomicUsize::new(0);
static START: AtomicUsize = AtomicUsize::new(0);
static SCOPE: OnceLock<Py<PyAny>> = OnceLock::new();

/// Longest argument list that is copied.
const MOST_ARGUMENTS: usize = 8;

/// `exec(code, …)`: code that gets hooks is rewritten first.
unsafe extern "C" fn exec(
    module: Object,
    arguments: *const Object,
    count: isize,
    keywords: Object,
) -> Object {
    // SAFETY: called by the interpreter with its vector convention.
    unsafe { run_instrumented(&EXEC, "exec", module, arguments, count, keywords) }
}

/// `eval(code, …)`: code that gets hooks is rewritten first.
unsafe extern "C" fn eval(
    module: Object,
    arguments: *const Object,
    count: isize,
    keywords: Object,
) -> Object {
    // Before 3.13 it takes no keywords, and nothing is passed for them.
    let keywords = if cfg!(Py_3_13) { keywords } else { ptr::null_mut() };
    // SAFETY: called by the interpreter with its vector convention.
    unsafe { run_instrumented(&EVAL, "eval", module, arguments, count, keywords) }
}

unsafe fn run_instrumented(
    original: &AtomicUsize,
    mode: &str,
    module: Object,
    arguments: *const Object,
    count: isize,
    keywords: Object,
) -> Object {
    // SAFETY: as the callers promise; the copy of the arguments lives across the call.
    unsafe {
        let original: Vector = std::mem::transmute::<usize, Vector>(original.load(Ordering::Relaxed));
        let named = if keywords.is_null() { 0 } else { ffi::PyTuple_Size(keywords) as usize };
        let total = count as usize + named;
        if count < 1 || total > MOST_ARGUMENTS {
            return original(module, arguments, count, keywords);
        }
        let py = Python::assume_attached();
        let Some(code) = instrumented(py, *arguments, mode) else {
            return original(module, arguments, count, keywords);
        };
        let mut copy = [ptr::null_mut(); MOST_ARGUMENTS];
        copy[..total].copy_from_slice(std::slice::from_raw_parts(arguments, total));
        copy[0] = code.as_ptr();
        original(module, copy.as_ptr(), count, keywords)
    }
}

/// The rewritten form of code that gets hooks; `None` when the original is to run.
unsafe fn instrumented<'py>(py: Python<'py>, object: Object, mode: &str) -> Option<Bound<'py, PyAny>> {
    // SAFETY: a borrowed argument of a call under way.
    let object = unsafe { Bound::from_borrowed_ptr(py, object) };
    let scope = SCOPE.get()?;
    controlled::quiet();
    let result = compiled(object, mode).and_then(|code| {
        let Some(code) = code else { return Ok(None) };
        let seen: Option<String> = scope.bind(py).call1((code.getattr("co_filename")?,))?.extract()?;
        let seen = seen.as_deref().and_then(Seen::named);
        seen.map(|seen| rewriting::rewrite(&code, seen)).transpose()
    });
    controlled::loud();
    // Code that cannot be instrumented runs as it is, and source with an error is refused once more.
    result.unwrap_or_default()
}

/// A code object, or source text made one as the builtin itself does; `None` for anything else.
fn compiled<'py>(object: Bound<'py, PyAny>, mode: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    if object.is_instance_of::<PyCode>() {
        return Ok(Some(object));
    }
    if !object.is_exact_instance_of::<PyString>() {
        return Ok(None);
    }
    let source = if mode == "eval" { object.call_method1("lstrip", (" \t",))? } else { object };
    source.py().import("builtins")?.getattr("compile")?.call1((source, "<string>", mode)).map(Some)
}

/// `start_new_thread(function, args, kwargs)` by a controlled thread: the model of a thread runs the function.
unsafe extern "C" fn start(module: Object, arguments: Object) -> Object {
    // SAFETY: called by the interpreter with a tuple.
    unsafe {
        let original: Tuple = std::mem::transmute::<usize, Tuple>(START.load(Ordering::Relaxed));
        if controlled::visible_thread().is_none() {
            return original(module, arguments);
        }
        let py = Python::assume_attached();
        let tuple = Bound::from_borrowed_ptr(py, arguments);
        match start_controlled(&tuple, |arguments| original(module, arguments)) {
            Ok(result) => result.into_ptr(),
            Err(error) => {
                error.restore(py);
                ptr::null_mut()
            }
        }
    }
}

fn start_controlled<'py>(
    arguments: &Bound<'py, PyAny>,
    original: impl FnOnce(Object) -> Object,
) -> PyResult<Bound<'py, PyAny>> {
    let py = arguments.py();
    let model = py.import("frontrun._threads")?;
    let (new_arguments, number) =
        model.call_method1("wrap_raw", (arguments,))?.extract::<(Bound<'_, PyAny>, u32)>()?;
    // SAFETY: a new reference, or null with an exception set.
    let result = unsafe { Bound::from_owned_ptr_or_err(py, original(new_arguments.as_ptr()))? };
    crate::threads::await_arrival(py, number);
    Ok(result)
}

/// Replaces `exec`, `eval` and `start_new_thread` for the rest of this process. `scope` tells for a file name how its
/// code is seen ([`Seen::named`]); `None` when it gets no hooks.
#[pyfunction]
pub fn instrument_exec(scope: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = scope.py();
    if SCOPE.set(scope.clone().unbind()).is_err() {
        return Ok(());
    }
    let builtins = py.import("builtins")?;
    replace(&builtins.getattr("exec")?, &EXEC, exec as *const () as usize);
    replace(&builtins.getattr("eval")?, &EVAL, eval as *const () as usize);
    let thread = py.import("_thread")?;
    for name in ["start_new_thread", "start_new"] {
        replace(&thread.getattr(name)?, &START, start as *const () as usize);
    }
    Ok(())
}

fn replace(function: &Bound<'_, PyAny>, original: &AtomicUsize, with: usize) {
    // SAFETY: a live builtin, whose definition is static and writable.
    unsafe {
        let definition = interpreter::method_def(function.as_ptr());
        if definition.is_null() {
            return;
        }
        let slot = (&raw mut (*definition).ml_meth).cast::<c_void>().cast::<usize>();
        if *slot != with {
            original.store(*slot, Ordering::Relaxed);
            *slot = with;
        }
    }
}
