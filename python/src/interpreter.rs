//! What the recorder must know of CPython's memory layout, per minor version, in one place.
//!
//! Invariant: every function here only reads memory, never runs Python code, and is called with the
//! interpreter's lock held. The offsets are those of the public headers of 3.11.7, 3.12.1, 3.13.0 and 3.14.10 and are
//! stable within a minor version; [`built_for`] is asked before anything else.

use pyo3::ffi;

/// Offset of `localsplus` in `_PyInterpreterFrame`.
const LOCALSPLUS: usize = if cfg!(Py_3_14) { 80 } else { 72 };
/// What a slot of 3.14 says besides the object: whether it counts as a reference, and, if both bits are set, that it holds a
/// number. Without an object it is not zero.
const TAG: usize = if cfg!(Py_3_14) { 3 } else { 0 };

#[cfg(not(Py_3_12))]
const F_GLOBALS: usize = 8;
#[cfg(Py_3_12)]
const F_GLOBALS: usize = 24;
const F_BUILTINS: usize = F_GLOBALS + 8;
#[cfg(not(Py_3_12))]
const F_LOCALS: usize = 24;
#[cfg(Py_3_12)]
const F_LOCALS: usize = 40;
const CODE: usize = if cfg!(Py_3_12) { 0 } else { 32 };
const PREVIOUS: usize = if cfg!(Py_3_12) { 8 } else { 48 };
/// Whether C code called the frame, in 3.11; later a frame of its own stands between them.
const IS_ENTRY: usize = 68;
const OWNED_BY_C: u8 = 3;
/// Offsets in a code object.
const CO_CONSTS: usize = 24;
const CO_FLAGS: usize = 48;
const CO_NLOCALSPLUS: usize = if cfg!(Py_3_12) { 72 } else { 76 };
/// Offset of the instruction that a frame executes, in all versions.
const INSTRUCTION: usize = 56;
/// Who owns the frame: 1 for a generator or coroutine.
const OWNER: usize = if cfg!(Py_3_14) {
    74
} else if cfg!(Py_3_12) {
    70
} else {
    69
};
/// Offset of the frame in a generator or coroutine object.
const GENERATOR_FRAME: usize = if cfg!(Py_3_12) { 72 } else { 80 };

/// The interpreter's frame of the Python function that is running.
#[derive(Clone, Copy)]
pub struct Frame(*const u8);

impl Frame {
    /// The frame of the calling thread.
    ///
    /// # Safety
    /// The calling thread holds the interpreter's lock and was called directly from bytecode.
    pub unsafe fn current() -> Frame {
        // SAFETY: the thread state is valid while the lock is held; the offsets are those of the headers.
        unsafe {
            let thread = ffi::PyThreadState_Get().cast::<u8>();
            #[cfg(Py_3_13)]
            let frame = thread.add(72).cast::<*const u8>().read();
            #[cfg(not(Py_3_13))]
            let frame = {
                let cframe = thread.add(56).cast::<*const u8>().read();
                let offset = if cfg!(Py_3_12) { 0 } else { 8 };
                cframe.add(offset).cast::<*const u8>().read()
            };
            Frame(frame)
        }
    }

    unsafe fn pointer(self, offset: usize) -> *mut ffi::PyObject {
        // SAFETY: the caller passes the offset of a pointer field of a live frame.
        unsafe { self.0.add(offset).cast::<*mut ffi::PyObject>().read() }
    }

    /// The object in a slot; null where there is none, or a number without an object.
    unsafe fn object(self, offset: usize) -> *mut ffi::PyObject {
        // SAFETY: the caller passes the offset of a slot of a live frame.
        let tagged = unsafe { self.pointer(offset) };
        let tag = tagged.addr() & TAG;
        if tag != 0 && tag == TAG {
            return std::ptr::null_mut();
        }
        tagged.map_addr(|address| address & !TAG)
    }

    /// The frame of the caller; `None` at the bottom of the thread's stack.
    ///
    /// # Safety
    /// The frame is live.
    pub unsafe fn caller(self) -> Option<Frame> {
        // SAFETY: as the caller promises; callers of a live frame are live.
        let previous = unsafe { self.pointer(PREVIOUS) };
        (!previous.is_null()).then_some(Frame(previous.cast()))
    }

    /// A number for the frame, as long as it lives.
    pub fn address(self) -> usize {
        self.0 as usize
    }

    /// Where in its code the frame is, and how many slots its variables take.
    ///
    /// # Safety
    /// The frame is live.
    pub unsafe fn progress(self) -> (usize, usize) {
        // SAFETY: as the caller promises; the type check selects the layout.
        unsafe {
            let code = self.object(CODE);
            if code.is_null() || ffi::PyCode_Check(code) == 0 {
                return (0, 0);
            }
            let variables = code.cast::<u8>().add(CO_NLOCALSPLUS).cast::<i32>().read();
            (self.pointer(INSTRUCTION) as usize, usize::try_from(variables).unwrap_or(0))
        }
    }

    /// The frame whose instruction called the C code that called this one; `None` for the call of a Python function by
    /// another.
    ///
    /// # Safety
    /// The frame is live.
    pub unsafe fn caller_through_c(self) -> Option<Frame> {
        // SAFETY: as the caller promises; callers of a live frame are live.
        unsafe {
            let previous = self.caller()?;
            if cfg!(Py_3_12) {
                let is_entry = previous.0.add(OWNER).read() == OWNED_BY_C;
                return if is_entry { previous.caller() } else { None };
            }
            (self.0.add(IS_ENTRY).read() != 0).then_some(previous)
        }
    }

    /// Where in its code the frame is: the address of the instruction under way.
    ///
    /// # Safety
    /// The frame is live.
    pub unsafe fn instruction(self) -> usize {
        // SAFETY: as the caller promises.
        unsafe { self.pointer(INSTRUCTION) as usize }
    }

    /// The last constant of the frame's code, and whether that is the body of a function; `None` for the frame with
    /// which the interpreter's loop is entered from C.
    ///
    /// # Safety
    /// The frame is live.
    pub unsafe fn code(self) -> Option<(*mut ffi::PyObject, bool)> {
        // SAFETY: as the caller promises; the type check selects the layout.
        unsafe {
            let code = self.object(CODE);
            if code.is_null() || ffi::PyCode_Check(code) == 0 {
                return None;
            }
            let flags = code.cast::<u8>().add(CO_FLAGS).cast::<i32>().read();
            Some((last_constant(code), flags & ffi::CO_OPTIMIZED != 0))
        }
    }

    /// Whether the frame executes this code object.
    ///
    /// # Safety
    /// The frame is live.
    pub unsafe fn runs(self, code: *mut ffi::PyObject) -> bool {
        // SAFETY: as the caller promises.
        unsafe { self.object(CODE) == code }
    }

    /// A slot of the frame's locals, cells and value stack; may be null.
    ///
    /// # Safety
    /// `index` is below the code object's locals plus the current stack depth.
    pub unsafe fn slot(self, index: usize) -> *mut ffi::PyObject {
        // SAFETY: as the caller promises.
        unsafe { self.object(LOCALSPLUS + 8 * index) }
    }

    /// The globals dictionary.
    ///
    /// # Safety
    /// The frame is live.
    pub unsafe fn globals(self) -> *mut ffi::PyObject {
        // SAFETY: as the caller promises.
        unsafe { self.pointer(F_GLOBALS) }
    }

    /// The dictionary of the built-in names of the frame.
    ///
    /// # Safety
    /// The frame is live.
    pub unsafe fn builtins(self) -> *mut ffi::PyObject {
        // SAFETY: as the caller promises.
        unsafe { self.pointer(F_BUILTINS) }
    }

    /// The locals mapping of a module or class body; null in a function.
    ///
    /// # Safety
    /// The frame is live.
    pub unsafe fn locals(self) -> *mut ffi::PyObject {
        // SAFETY: as the caller promises.
        unsafe { self.pointer(F_LOCALS) }
    }

    /// The generator or coroutine that the frame belongs to; null for a function's frame.
    ///
    /// # Safety
    /// The frame is live.
    pub unsafe fn generator(self) -> *mut ffi::PyObject {
        // SAFETY: a frame that a generator owns lies inside the generator object.
        unsafe {
            if self.0.add(OWNER).read() == 1 {
                self.0.sub(GENERATOR_FRAME).cast_mut().cast()
            } else {
                std::ptr::null_mut()
            }
        }
    }
}

/// The last constant of a code object; null if there is none.
///
/// # Safety
/// `code` is a live code object.
pub unsafe fn last_constant(code: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: as the caller promises; the constants are a tuple.
    unsafe {
        let constants = code.cast::<u8>().add(CO_CONSTS).cast::<*mut ffi::PyObject>().read();
        match ffi::PyTuple_Size(constants) - 1 {
            last if last < 0 => std::ptr::null_mut(),
            last => ffi::PyTuple_GetItem(constants, last),
        }
    }
}

/// The hash of an exact `int` or `str`.
///
/// # Safety
/// `object` is live and of one of these types.
pub unsafe fn exact_hash(object: *mut ffi::PyObject) -> isize {
    // SAFETY: these types hash by their content and cannot fail.
    unsafe { ffi::PyObject_Hash(object) }
}

/// Where the memory block of an object starts: in front of it lie the collector's header and, for some types,
/// the pointers to attributes and weak references.
///
/// # Safety
/// `object` is a live object.
pub unsafe fn block(object: *mut ffi::PyObject) -> usize {
    // SAFETY: a live object has a live type.
    let flags = unsafe { ffi::PyType_GetFlags(ffi::Py_TYPE(object)) };
    const MANAGED: std::ffi::c_ulong = if cfg!(Py_3_12) { 0b11 << 3 } else { 1 << 4 };
    let collected = if flags & ffi::Py_TPFLAGS_HAVE_GC != 0 { 16 } else { 0 };
    let managed = if flags & MANAGED != 0 { 16 } else { 0 };
    object as usize - collected - managed
}

/// The `PyMethodDef` behind a builtin function, bound builtin method or method descriptor; null for others.
///
/// # Safety
/// `callable` is a live object.
pub unsafe fn method_def(callable: *mut ffi::PyObject) -> *mut ffi::PyMethodDef {
    // SAFETY: the type checks select the layout; both structs begin with the object header (and, for a
    // descriptor, its type, name and qualified name).
    unsafe {
        if ffi::PyCFunction_Check(callable) != 0 {
            callable.cast::<u8>().add(16).cast::<*mut ffi::PyMethodDef>().read()
        } else if ffi::Py_TYPE(callable) == &raw mut ffi::PyMethodDescr_Type {
            callable.cast::<u8>().add(40).cast::<*mut ffi::PyMethodDef>().read()
        } else {
            std::ptr::null_mut()
        }
    }
}

/// The `self` of a builtin method; null for a function.
///
/// # Safety
/// `callable` is a live builtin function or method.
pub unsafe fn builtin_self(callable: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: `m_self` follows `m_ml`.
    unsafe { callable.cast::<u8>().add(24).cast::<*mut ffi::PyObject>().read() }
}

/// A list iterator's list and position; the list is null when it is exhausted.
///
/// # Safety
/// `iterator` is a live `list_iterator`.
pub unsafe fn list_iterator(iterator: *mut ffi::PyObject) -> (*mut ffi::PyObject, isize) {
    // SAFETY: `seqiterobject`: header, index, sequence.
    unsafe {
        let index = iterator.cast::<u8>().add(16).cast::<isize>().read();
        (iterator.cast::<u8>().add(24).cast::<*mut ffi::PyObject>().read(), index)
    }
}

/// A dict iterator's dict, or a set iterator's set; null when it is exhausted.
///
/// # Safety
/// `iterator` is a live dict or set iterator.
pub unsafe fn hash_iterator(iterator: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: `dictiterobject` and `setiterobject`: header, container.
    unsafe { iterator.cast::<u8>().add(16).cast::<*mut ffi::PyObject>().read() }
}

/// The dict of a dict view, or the mapping of a proxy.
///
/// # Safety
/// `view` is a live `dict_keys`, `dict_values`, `dict_items` or `mappingproxy`.
pub unsafe fn view_dict(view: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: `_PyDictViewObject` and `mappingproxyobject`: header, dict.
    unsafe { view.cast::<u8>().add(16).cast::<*mut ffi::PyObject>().read() }
}

/// The object of ctypes that this one is a part of, if it is; borrowed, or null.
///
/// # Safety
/// A live object whose type is one of ctypes.
pub unsafe fn whole_of_ctypes(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // Behind the header: the memory, and whether it is the object's own.
    const BASE: usize = 32;
    // SAFETY: as the caller promises.
    unsafe { object.cast::<u8>().add(BASE).cast::<*mut ffi::PyObject>().read() }
}

/// What an object of ctypes that is no part of another one keeps alive; `None` where the memory is its own.
///
/// # Safety
/// As for [`whole_of_ctypes`].
pub unsafe fn kept_by_ctypes(object: *mut ffi::PyObject) -> Option<*mut ffi::PyObject> {
    const IS_OWN: usize = 24;
    // Behind the base: size, length, index.
    const KEPT: usize = 64;
    // SAFETY: as the caller promises.
    unsafe {
        let fields = object.cast::<u8>();
        (fields.add(IS_OWN).cast::<i32>().read() == 0)
            .then(|| fields.add(KEPT).cast::<*mut ffi::PyObject>().read())
    }
}

/// What a memory view shows, which names the object that the memory belongs to; `None` when the view has been released.
///
/// # Safety
/// `view` is a live `memoryview`, which outlives the result.
pub unsafe fn buffer<'a>(view: *mut ffi::PyObject) -> Option<&'a ffi::Py_buffer> {
    // `PyMemoryViewObject`: header of variable size, buffer manager, hash, flags, exports, buffer. The manager has flags
    // behind its header. In both, the lowest says that the memory was given back, and then the fields are stale.
    const MANAGER: usize = 24;
    const FLAGS: usize = 40;
    const BUFFER: usize = 56;
    const FLAGS_OF_MANAGER: usize = 16;
    // SAFETY: as the caller promises; a view keeps its manager.
    unsafe {
        let fields = view.cast::<u8>();
        let manager = fields.add(MANAGER).cast::<*const u8>().read();
        let flags =
            fields.add(FLAGS).cast::<i32>().read() | manager.add(FLAGS_OF_MANAGER).cast::<i32>().read();
        let buffer = &*fields.add(BUFFER).cast::<ffi::Py_buffer>();
        (flags & 1 == 0 && !buffer.obj.is_null()).then_some(buffer)
    }
}

/// How often a re-entrant lock is held.
///
/// # Safety
/// `lock` is a live `_thread.RLock`.
pub unsafe fn rlock_count(lock: *mut ffi::PyObject) -> u64 {
    // SAFETY: `rlockobject`: header, lock, owner, count. That of 3.14 counts from the second time on, and has no owner when
    // it is free.
    unsafe {
        let fields = lock.cast::<u8>().add(24).cast::<u64>();
        let (owner, count) = (fields.read(), fields.add(1).read());
        if cfg!(Py_3_14) { if owner == 0 { 0 } else { count + 1 } } else { count }
    }
}

/// The identifier of the thread that holds a re-entrant lock.
///
/// # Safety
/// `lock` is a live `_thread.RLock`.
pub unsafe fn rlock_owner(lock: *mut ffi::PyObject) -> Option<u64> {
    // SAFETY: `rlockobject`: header, lock, owner, count.
    unsafe { (rlock_count(lock) > 0).then(|| lock.cast::<u8>().add(24).cast::<u64>().read()) }
}

/// Whether this build's layout is that of the running interpreter: same minor version, or the name of the version that
/// it was built for.
pub fn built_for() -> Result<(), &'static str> {
    // SAFETY: returns a static C string.
    let running = unsafe { std::ffi::CStr::from_ptr(ffi::Py_GetVersion()) }.to_string_lossy();
    let built = if cfg!(Py_3_14) {
        "3.14"
    } else if cfg!(Py_3_13) {
        "3.13"
    } else if cfg!(Py_3_12) {
        "3.12"
    } else {
        "3.11"
    };
    if running.starts_with(&format!("{built}.")) { Ok(()) } else { Err(built) }
}

/// The UTF-8 text of a `str` object; empty for a null pointer or a text with lone surrogates.
pub fn text(object: *mut ffi::PyObject) -> &'static str {
    if object.is_null() {
        return "";
    }
    let mut length = 0;
    // SAFETY: a live `str` keeps its UTF-8 form for as long as it lives; callers use the text at once or pass
    // names and file names that code objects own.
    unsafe {
        let data = ffi::PyUnicode_AsUTF8AndSize(object, &raw mut length);
        if data.is_null() {
            ffi::PyErr_Clear();
            return "";
        }
        std::str::from_utf8_unchecked(std::slice::from_raw_parts(data.cast(), length as usize))
    }
}
