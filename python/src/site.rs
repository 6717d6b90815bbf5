//! The hook object: a constant of a rewritten code object whose `mp_ass_subscript` slot is the hook.
//!
//! Model: `LOAD_CONST site; LOAD_CONST site; DELETE_SUBSCR` calls the slot right before the instruction that the
//! site guards, without a Python call, an argument vector or an eval-breaker check. The site knows statically
//! where the instruction's operands lie in the frame.
//!
//! Invariant: the hook runs no Python code of the program and leaves its reference counts as they were.

use crate::epoch::Numbered;
use crate::interpreter;
use frontrun_formats::SiteId;
use frontrun_recorder::bytecode::{SiteKind, SiteSpec};
use pyo3::ffi;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// How code with hooks is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is in scope: threads may switch at every access.
    InScope,
    /// It counts as done by its caller (behalf).
    OnBehalf,
    /// Its accesses are seen, but threads do not switch between them: what it does from one wait to the next is one
    /// opaque block.
    Atomic,
    /// The same, and its locks are its own: it is a place to switch only where it really waits.
    Closed,
    /// It was made from a text: it counts as atomic where atomic code has called it, and else as in scope.
    Made,
    /// It counts as C code: each call from outside is a step that may change what the function is handed.
    Native,
    /// It is not seen, nor is what it calls, unless that is in scope: it has no hooks, and is told by a mark.
    Hidden,
    /// The same, and what it calls is what an event loop is to run.
    Driving,
}

impl Seen {
    /// The names that the Python side gives them.
    pub fn named(name: &str) -> Option<Seen> {
        match name {
            "in scope" => Some(Seen::InScope),
            "on behalf" => Some(Seen::OnBehalf),
            "atomic" => Some(Seen::Atomic),
            "closed" => Some(Seen::Closed),
            "made" => Some(Seen::Made),
            "native" => Some(Seen::Native),
            "hidden" => Some(Seen::Hidden),
            "driving" => Some(Seen::Driving),
            _ => None,
        }
    }
}

/// The site with number 0: an operation that no source position is known for.
pub const NOWHERE: frontrun_formats::Site = frontrun_formats::Site {
    file: frontrun_formats::StringId(0),
    function: frontrun_formats::StringId(0),
    line: 0,
    end_line: 0,
    column: -1,
    end_column: -1,
    unit: 0,
};

/// A guarded instruction.
#[repr(C)]
pub struct Site {
    header: ffi::PyObject,
    /// What the instruction does.
    pub kind: SiteKind,
    /// How the code is seen.
    pub seen: Seen,
    /// See [`SiteSpec::in_loop`].
    pub in_loop: bool,
    /// See [`SiteSpec::first`].
    pub first: bool,
    /// See [`SiteSpec::around`].
    pub around: bool,
    /// Its decoded argument.
    pub arg: u32,
    /// Index in `localsplus` of the first slot above the operands.
    pub top: u32,
    /// The name it refers to; null where it has none. Owned.
    pub name: *mut ffi::PyObject,
    /// `co_filename`. Owned.
    pub file: *mut ffi::PyObject,
    /// `co_qualname`. Owned.
    pub function: *mut ffi::PyObject,
    /// Source position and original offset.
    pub position: frontrun_formats::Site,
    /// The number in the trace.
    pub number: Numbered,
    /// The number of `name` as a key.
    pub name_key: Numbered,
}

static TYPE: AtomicPtr<ffi::PyTypeObject> = AtomicPtr::new(ptr::null_mut());

unsafe extern "C" fn dealloc(object: *mut ffi::PyObject) {
    // SAFETY: the last reference is gone; the fields are owned; the type is a heap type.
    unsafe {
        let site = &*object.cast::<Site>();
        ffi::Py_XDECREF(site.name);
        ffi::Py_XDECREF(site.file);
        ffi::Py_XDECREF(site.function);
        let class = ffi::Py_TYPE(object);
        ffi::PyObject_Free(object.cast::<c_void>());
        ffi::Py_DECREF(class.cast());
    }
}

/// The type of sites, made with `hook` as its slot by the first caller.
fn class(hook: ffi::objobjargproc) -> *mut ffi::PyTypeObject {
    let known = TYPE.load(Ordering::Acquire);
    if !known.is_null() {
        return known;
    }
    let mut slots = [
        ffi::PyType_Slot { slot: ffi::Py_mp_ass_subscript, pfunc: hook as *mut c_void },
        ffi::PyType_Slot { slot: ffi::Py_tp_dealloc, pfunc: dealloc as *mut c_void },
        ffi::PyType_Slot { slot: 0, pfunc: ptr::null_mut() },
    ];
    let mut spec = ffi::PyType_Spec {
        name: c"frontrun._core.Site".as_ptr(),
        basicsize: size_of::<Site>() as c_int,
        itemsize: 0,
        flags: (ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION) as u32,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: the spec is complete and the interpreter copies what it needs; the lock is held by every caller.
    let made = unsafe { ffi::PyType_FromSpec(&raw mut spec) }.cast::<ffi::PyTypeObject>();
    assert!(!made.is_null(), "the site type can be created");
    TYPE.store(made, Ordering::Release);
    made
}

/// The site that a constant is; the sites of a code object are its last constants.
///
/// # Safety
/// `constant` is null or outlives the result.
pub unsafe fn of_constant<'a>(constant: *mut ffi::PyObject) -> Option<&'a Site> {
    // SAFETY: the type check says that it is a site.
    unsafe {
        let is_site = !constant.is_null() && ffi::Py_TYPE(constant) == TYPE.load(Ordering::Relaxed);
        is_site.then(|| &*constant.cast::<Site>())
    }
}

/// What the sites of one code object have in common.
pub struct Place {
    /// `co_filename`, borrowed.
    pub file: *mut ffi::PyObject,
    /// `co_qualname`, borrowed.
    pub function: *mut ffi::PyObject,
    /// Slots of locals and cells below the value stack.
    pub n_localsplus: u32,
    /// See [`Site::seen`].
    pub seen: Seen,
}

/// Makes the site object of one instruction; a new reference, null with an exception set when out of memory.
///
/// # Safety
/// The interpreter's lock is held; the pointers are live objects (`name` may be null).
pub unsafe fn new(
    spec: &SiteSpec,
    place: &Place,
    name: *mut ffi::PyObject,
    hook: ffi::objobjargproc,
) -> *mut ffi::PyObject {
    let class = class(hook);
    // SAFETY: the block has the type's size; every field is written before the object is visible; references
    // that are stored are owned.
    unsafe {
        let site = ffi::PyObject_Malloc(size_of::<Site>()).cast::<Site>();
        if site.is_null() {
            return ffi::PyErr_NoMemory();
        }
        ffi::Py_XINCREF(name);
        ffi::Py_INCREF(place.file);
        ffi::Py_INCREF(place.function);
        (&raw mut (*site).kind).write(spec.kind);
        (&raw mut (*site).seen).write(place.seen);
        (&raw mut (*site).in_loop).write(spec.in_loop);
        (&raw mut (*site).first).write(spec.first);
        (&raw mut (*site).around).write(spec.around);
        (&raw mut (*site).arg).write(spec.arg);
        (&raw mut (*site).top).write(place.n_localsplus + spec.depth);
        (&raw mut (*site).name).write(name);
        (&raw mut (*site).file).write(place.file);
        (&raw mut (*site).function).write(place.function);
        (&raw mut (*site).number).write(Numbered::new());
        (&raw mut (*site).name_key).write(Numbered::new());
        (&raw mut (*site).position).write(frontrun_formats::Site {
            file: frontrun_formats::StringId(0),
            function: frontrun_formats::StringId(0),
            line: spec.line,
            end_line: spec.end_line,
            column: spec.column,
            end_column: spec.end_column,
            unit: spec.original_unit,
        });
        // Takes a reference to the heap type, as `dealloc` expects.
        ffi::PyObject_Init(site.cast(), class)
    }
}

/// Makes a site that is the mark of a code object without hooks; a new reference, or null with an exception set.
///
/// # Safety
/// As for [`new`].
pub unsafe fn mark(place: &Place, hook: ffi::objobjargproc) -> *mut ffi::PyObject {
    let nothing = SiteSpec {
        first: false,
        around: false,
        in_loop: false,
        kind: SiteKind::Return,
        arg: 0,
        method_form: false,
        keyword_names: None,
        depth: 0,
        original_unit: 0,
        line: 0,
        end_line: 0,
        column: -1,
        end_column: -1,
    };
    // SAFETY: as the caller promises.
    unsafe { new(&nothing, place, ptr::null_mut(), hook) }
}

impl Site {
    /// The site's number in the trace, if it has been used there.
    pub fn known_number(&self) -> Option<SiteId> {
        self.number.get().map(SiteId)
    }

    /// Whether it is in the standard library's queues, which look at a clock to wait for no longer than they were told.
    pub fn is_of_waits(&self) -> bool {
        self.seen == Seen::Closed && interpreter::text(self.file).ends_with("/queue.py")
    }
}
