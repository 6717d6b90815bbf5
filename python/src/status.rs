//! Who asks for the status of an open file, and not only for its size while it is read.
//!
//! Model: reading a file begins with a question for its status, of which only the size is used. A program that asks sees how
//! many names the file has, too. Both are the same system call, so the functions of Python that ask are noted.

use crate::replaced::{Object, Original, replace};
use pyo3::prelude::*;
use std::cell::Cell;
use std::ffi::c_void;

thread_local! {
    static IS_ASKED_FOR: Cell<bool> = const { Cell::new(false) };
}

/// Whether the program is asking for a status.
pub fn is_asked_for() -> bool {
    IS_ASKED_FOR.get()
}

/// Sets whether a process on whose behalf the calling thread is here asks for a status.
pub fn set_asked_for(is: bool) {
    IS_ASKED_FOR.set(is);
}

macro_rules! functions {
    ($($name:ident, $original:ident;)*) => {
        $(
            static $original: Original = Original::new();

            unsafe extern "C" fn $name(
                module: Object,
                a: *mut c_void,
                b: *mut c_void,
                c: *mut c_void,
                d: *mut c_void,
            ) -> Object {
                let before = IS_ASKED_FOR.replace(true);
                // SAFETY: called through the function's definition, whose arguments are handed on as they came.
                let result = unsafe { $original.call_all(module, a, b, c, d) };
                IS_ASKED_FOR.set(before);
                result
            }
        )*

        /// Replaces the C functions of this process for good.
        ///
        /// # Errors
        /// When a name that every supported interpreter has is missing.
        pub fn install(py: Python<'_>) -> PyResult<()> {
            let module = py.import("posix")?;
            $(replace(module.as_any(), stringify!($name), &$original, $name as *const () as usize)?;)*
            Ok(())
        }
    };
}

functions! {
    stat, STAT;
    fstat, FSTAT;
}
