//! The operands of a call: what is called, with what. They lie on the stack as the instruction says.
//!
//! Not here: what the callee does to them (calls).

use crate::interpreter::{self, Frame};
use crate::site::Site;
use frontrun_recorder::bytecode::SiteKind;
use pyo3::ffi;

/// The operands of a call: what is called, the object whose method it is if that is apart, and all arguments.
pub struct Operands {
    pub callable: *mut ffi::PyObject,
    pub receiver: *mut ffi::PyObject,
    pub arguments: smallvec::SmallVec<[*mut ffi::PyObject; 8]>,
}

impl Operands {
    /// The object that the callable is a method of, if it is one.
    ///
    /// # Safety
    /// The instruction that the operands are of is under way.
    pub unsafe fn bound(&self) -> Option<*mut ffi::PyObject> {
        // SAFETY: as the caller promises.
        unsafe { bound(self.callable, self.receiver) }
    }
}

/// The operands of the call at `site`; `None` if it has yet to make a tuple of what it spreads.
///
/// # Safety
/// Called from the hook of `site`, with its frame, or while its instruction is under way.
pub unsafe fn operands(site: &Site, frame: Frame) -> Option<Operands> {
    // SAFETY: the site knows where callable and arguments lie.
    unsafe {
        if site.kind == SiteKind::CallFunctionEx {
            return spread_operands(site, frame);
        }
        let first = first_argument(site);
        let (callable, receiver) = called(site, frame);
        let arguments = (first..first + site.arg as usize).map(|at| frame.slot(at)).collect();
        Some(Operands { callable, receiver, arguments })
    }
}

/// Where the arguments of a call lie that spreads nothing.
fn first_argument(site: &Site) -> usize {
    let names = usize::from(site.kind == SiteKind::CallKw);
    site.top as usize - names - site.arg as usize
}

/// What such a call calls, and the object whose method it is if that is apart.
unsafe fn called(site: &Site, frame: Frame) -> (*mut ffi::PyObject, *mut ffi::PyObject) {
    // SAFETY: as for `operands`; both lie below the arguments.
    unsafe {
        let below = first_argument(site);
        let (first, second) = (frame.slot(below - 2), frame.slot(below - 1));
        if cfg!(Py_3_13) || !first.is_null() { (first, second) } else { (second, std::ptr::null_mut()) }
    }
}

/// What the call at `site` calls, unless that is a function of Python or not known yet.
///
/// # Safety
/// As for [`operands`].
pub unsafe fn called_c_code(site: &Site, frame: Frame) -> Option<*mut ffi::PyObject> {
    // SAFETY: as for `operands`.
    unsafe {
        let callable = match site.kind {
            SiteKind::Call | SiteKind::CallKw => called(site, frame).0,
            SiteKind::CallFunctionEx => spread_operands(site, frame)?.callable,
            _ => return None,
        };
        (!callable.is_null() && ffi::PyFunction_Check(callable) == 0).then_some(callable)
    }
}

/// `f(*args)`: the callable and what is spread. Below the arguments lies the callable, from 3.13 on with a null between.
///
/// # Safety
/// As for [`operands`].
pub unsafe fn spread(site: &Site, frame: Frame) -> Option<(*mut ffi::PyObject, *mut ffi::PyObject)> {
    // SAFETY: as the caller promises.
    unsafe {
        let at = site.top as usize - 1 - (site.arg & 1) as usize;
        let callable = frame.slot(if cfg!(Py_3_13) { at - 2 } else { at - 1 });
        let tuple = frame.slot(at);
        (!callable.is_null() && !tuple.is_null()).then_some((callable, tuple))
    }
}

/// `f(*args)`, where the arguments are a tuple already.
unsafe fn spread_operands(site: &Site, frame: Frame) -> Option<Operands> {
    // SAFETY: as for `operands`.
    unsafe {
        let (callable, tuple) = spread(site, frame)?;
        let is_tuple = ffi::PyTuple_CheckExact(tuple) != 0;
        is_tuple.then(|| Operands {
            callable,
            receiver: std::ptr::null_mut(),
            arguments: (0..ffi::PyTuple_Size(tuple)).map(|nth| ffi::PyTuple_GetItem(tuple, nth)).collect(),
        })
    }
}

/// The object that C code is called as a method of, if it is.
///
/// # Safety
/// Both are live, or null.
pub unsafe fn bound(
    callable: *mut ffi::PyObject,
    receiver: *mut ffi::PyObject,
) -> Option<*mut ffi::PyObject> {
    // SAFETY: as the caller promises.
    unsafe {
        let is_function = ffi::PyCFunction_Check(callable) != 0;
        let bound = if is_function { interpreter::builtin_self(callable) } else { receiver };
        let is_method = !bound.is_null() && ffi::PyModule_Check(bound) == 0 && ffi::PyType_Check(bound) == 0;
        is_method.then_some(bound)
    }
}
