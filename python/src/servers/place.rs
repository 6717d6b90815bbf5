//! Which line of the program asks a server for something: that which called the packages that do it.
//!
//! Not here: sites themselves.

use crate::controlled;
use crate::site::{self, Seen, Site};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::ffi::c_int;

unsafe extern "C" {
    /// Where in the source the instruction at an offset is.
    fn PyCode_Addr2Location(
        code: *mut ffi::PyCodeObject,
        offset: c_int,
        line: *mut c_int,
        column: *mut c_int,
        end_line: *mut c_int,
        end_column: *mut c_int,
    ) -> c_int;
}

/// The site of the call under way in the innermost frame whose code is in scope and in a file; else the site that this
/// thread reached last. The calling thread holds the interpreter's lock.
pub fn here() -> Option<&'static Site> {
    // SAFETY: the interpreter's lock is held.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: the frame of this thread, borrowed, or null.
    let frame = unsafe { ffi::PyEval_GetFrame() };
    // SAFETY: as above.
    let mut frame = unsafe { Bound::from_borrowed_ptr_or_opt(py, frame.cast()) };
    while let Some(at) = frame {
        if let Some(found) = site_in(&at).ok().flatten() {
            return Some(found);
        }
        frame = at.getattr("f_back").ok().filter(|back| !back.is_none());
    }
    controlled::last_site()
}

/// The site of the call under way in a frame, if its code is in scope.
fn site_in(frame: &Bound<'_, PyAny>) -> PyResult<Option<&'static Site>> {
    let code = frame.getattr("f_code")?;
    let constants = code.getattr("co_consts")?.cast_into::<PyTuple>()?;
    let sites = || {
        // SAFETY: the frame is under way and keeps its code, until this thread has done what it does here.
        constants.iter_borrowed().rev().map_while(|constant| unsafe { site::of_constant(constant.as_ptr()) })
    };
    let Some(last) = sites().next().filter(|site| site.seen == Seen::InScope) else { return Ok(None) };
    // SAFETY: a text that lives as long as the site.
    let file = unsafe { Borrowed::from_ptr(frame.py(), last.file) };
    if file.extract::<&str>()?.starts_with('<') {
        return Ok(None);
    }
    let offset: c_int = frame.getattr("f_lasti")?.extract()?;
    let [mut line, mut column, mut end_line, mut end_column] = [0; 4];
    // SAFETY: a code object, and four places.
    unsafe {
        PyCode_Addr2Location(
            code.as_ptr().cast(),
            offset,
            &raw mut line,
            &raw mut column,
            &raw mut end_line,
            &raw mut end_column,
        )
    };
    let is_here = |site: &&Site| {
        let at = &site.position;
        (at.line as c_int, at.column, at.end_line as c_int, at.end_column)
            == (line, column, end_line, end_column)
    };
    let on_line = |site: &&Site| site.position.line as c_int == line;
    Ok(sites().find(is_here).or_else(|| sites().find(on_line)))
}
