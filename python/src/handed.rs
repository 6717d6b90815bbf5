//! What C code gets at through the objects that it is handed.
//!
//! Model: a container and, as far as the callee looks, what it contains; the dictionary behind a view; an iterator's
//! position and what it iterates over; the object of a bound C method. References are followed as the garbage
//! collector follows them, so no Python code runs. An instance of a Python class is looked into only where nothing is
//! known of the callee: what known callees do with it is Python code, which is recorded itself.

use crate::actions::{self, Action};
use crate::attribute;
use crate::container;
use crate::names::Name;
use crate::observed::{Observed, read, write};
use crate::{class, interpreter, names, ndarray, views};
use frontrun_formats::{Location, Operation, Part};
use pyo3::ffi;
use rustc_hash::FxHashSet;
use std::ffi::{c_int, c_void};

/// How far a callee looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// At what a container consists of.
    Items,
    /// At everything that can be reached through containers.
    Deep,
    /// At attributes, too; through one container or instance to the next, and no further.
    Attributes,
    /// At everything that can be reached, through attributes as well.
    Everything,
}

/// The locations of one step of C code.
#[derive(Default)]
pub struct Handed {
    reads: Vec<Location>,
    writes: Vec<Location>,
    seen: FxHashSet<(usize, bool)>,
    /// What gets attributes of everything that is read.
    getters: Vec<*mut ffi::PyObject>,
}

impl Handed {
    /// The callee reads `object`.
    ///
    /// # Safety
    /// `object` is live or null; the caller holds the turn and the lock.
    pub unsafe fn read(&mut self, object: *mut ffi::PyObject, look: Look) {
        // SAFETY: as the caller promises.
        unsafe { self.visit(object, false, look, levels(look)) }
    }

    /// Whatever is read from now on is handed to `function`, too, if that is an `operator.attrgetter`.
    ///
    /// # Safety
    /// As for [`Handed::read`].
    pub unsafe fn apply(&mut self, function: *mut ffi::PyObject) {
        // SAFETY: as the caller promises.
        if !function.is_null() && unsafe { gets_attributes(ffi::Py_TYPE(function)) } {
            self.getters.push(function);
        }
    }

    /// Whether there is such a function.
    pub fn applies(&self) -> bool {
        !self.getters.is_empty()
    }

    /// The callee gets attributes of `object` by an `operator.attrgetter`.
    ///
    /// # Safety
    /// As for [`Handed::read`].
    pub unsafe fn get(&mut self, getter: *mut ffi::PyObject, object: *mut ffi::PyObject) {
        // SAFETY: as the caller promises; a getter holds a tuple of names, each of which is a tuple if it has dots.
        unsafe {
            let is_names = |child: &*mut ffi::PyObject| ffi::PyTuple_CheckExact(*child) != 0;
            for names in children(getter).into_iter().filter(is_names) {
                for at in 0..ffi::PyTuple_Size(names) {
                    let name = ffi::PyTuple_GetItem(names, at);
                    if ffi::PyUnicode_CheckExact(name) == 0 {
                        self.visit(object, false, Look::Everything, levels(Look::Everything));
                    } else {
                        let reads = attribute::loaded(object, Name::passed(name));
                        reads.into_iter().for_each(|at| self.add(at, false));
                    }
                }
            }
        }
    }

    /// The callee writes `object`.
    ///
    /// # Safety
    /// As for [`Handed::read`].
    pub unsafe fn write(&mut self, object: *mut ffi::PyObject, look: Look) {
        // SAFETY: as the caller promises.
        unsafe { self.visit(object, true, look, levels(look)) }
    }

    /// The callee writes what a sequence or a cell contains.
    ///
    /// # Safety
    /// As for [`Handed::read`].
    pub unsafe fn write_content(&mut self, holder: *mut ffi::PyObject) {
        // SAFETY: as the caller promises.
        unsafe { self.visit_children(holder, true, Look::Attributes, 1) }
    }

    /// An object that C code defines is called: what it holds may be changed, and its own state.
    ///
    /// # Safety
    /// As for [`Handed::read`].
    pub unsafe fn call(&mut self, callable: *mut ffi::PyObject) {
        // SAFETY: as the caller promises.
        unsafe {
            let class = class::native(ffi::Py_TYPE(callable));
            if is_compiled_function(class) {
                return;
            }
            if !is_stateless(class) {
                self.add(Location::new(names::number(callable), Part::State), true);
            }
            self.visit_children(callable, true, Look::Items, 1);
        }
    }

    /// The callee touches one location.
    pub fn add(&mut self, at: Location, is_write: bool) {
        let locations = if is_write { &mut self.writes } else { &mut self.reads };
        if !locations.contains(&at) {
            locations.push(at);
        }
    }

    /// Whether nothing is touched so far.
    pub fn is_empty(&self) -> bool {
        self.reads.is_empty() && self.writes.is_empty()
    }

    /// What is read so far.
    pub fn reads(&self) -> &[Location] {
        &self.reads
    }

    /// The operation, if anything is touched.
    pub fn observed(self) -> Option<Observed> {
        let Handed { mut reads, writes, .. } = self;
        reads.retain(|at| !writes.contains(at));
        match (&reads[..], &writes[..]) {
            ([], []) => None,
            ([at], []) => Some(read(*at)),
            ([], [at]) if !matches!(at.part, Part::Shape) => Some(write(*at)),
            _ => Some((Operation::Touch { reads: reads.into(), writes: writes.into() }, 1)),
        }
    }

    unsafe fn visit(&mut self, object: *mut ffi::PyObject, is_write: bool, look: Look, levels: u32) {
        // SAFETY: as the caller of `read` promises.
        unsafe {
            if object.is_null() || is_atom(object) || (is_write && is_value(object)) {
                return;
            }
            if !self.seen.insert((object as usize, is_write)) {
                return;
            }
            for getter in std::mem::take(&mut self.getters) {
                self.get(getter, object);
                self.getters.push(getter);
            }
            let (class, native) = (ffi::Py_TYPE(object), class::native(ffi::Py_TYPE(object)));
            if !is_write && ffi::PyExceptionInstance_Check(object) != 0 {
                // Its text is made of fields that can be assigned to.
                self.add(container::whole(names::number(object)), false);
            }
            if ndarray::is_array(object) {
                ndarray::all(object, views::behind(object)).into_iter().for_each(|at| self.add(at, is_write));
            } else if let Some(at) = container::whole_of(object) {
                self.add(at, is_write);
                if is_write && ffi::PyMemoryView_Check(object) != 0 {
                    // Whoever finds a view released looks at nothing else.
                    self.add(container::whole(names::number(object)), true);
                }
                if levels > 0 {
                    self.visit_children(object, is_write, look, levels - 1);
                }
            } else if is_native_iterator(class) {
                self.visit_iterator(object, look, levels);
            } else if ffi::PyCFunction_Check(object) != 0 {
                let action = actions::at(actions::address(object));
                if action != Some(Action::Nothing) {
                    let reads = action.is_some_and(Action::only_reads);
                    self.visit(interpreter::builtin_self(object), !reads, look, levels);
                }
            } else if ffi::PyTuple_Check(object) != 0 || ffi::PyFrozenSet_Check(object) != 0 {
                // Of a class of the program, too, such as a named tuple.
                if levels > 0 {
                    self.visit_children(object, is_write, look, levels - 1);
                }
            } else if class::is_primitive(class) {
                // What it holds changes by its methods, which are steps of their own.
            } else if is_partial(native) {
                self.visit_children(object, is_write, look, levels);
            } else if class::is_written_in_python(class) || class::is_namespace(class) {
                let by_c_code = look == Look::Deep && class::is_namespace(native);
                if by_c_code || matches!(look, Look::Attributes | Look::Everything) {
                    self.add(container::whole(names::number(object)), is_write);
                    if levels > 0 {
                        self.visit_children(object, is_write, look, levels - 1);
                    }
                }
            } else if levels > 0 {
                // Immutable itself: a tuple, or an object of C code that holds others.
                self.visit_children(object, is_write, look, levels);
            }
        }
    }

    /// An iterator that nobody else holds has no position that others could see.
    unsafe fn visit_iterator(&mut self, iterator: *mut ffi::PyObject, look: Look, levels: u32) {
        // SAFETY: as the caller of `read` promises.
        unsafe {
            if ffi::Py_REFCNT(iterator) > 1 {
                self.add(Location::new(names::number(iterator), Part::State), true);
            }
            if ffi::Py_TYPE(iterator) == &raw mut ffi::PyGen_Type {
                return;
            }
            let look = if applies_code(class::native(ffi::Py_TYPE(iterator))) { Look::Deep } else { look };
            let levels = levels.max(self::levels(look));
            let getters = self.getters.len();
            children(iterator).into_iter().for_each(|child| self.apply(child));
            for child in children(iterator) {
                // Iterators over several iterables keep them in a tuple.
                if ffi::PyTuple_CheckExact(child) != 0 {
                    self.visit_children(child, false, look, levels);
                } else {
                    self.visit(child, false, look, levels);
                }
            }
            self.getters.truncate(getters);
        }
    }

    unsafe fn visit_children(&mut self, object: *mut ffi::PyObject, is_write: bool, look: Look, levels: u32) {
        // SAFETY: as the caller of `read` promises.
        for child in unsafe { children(object) } {
            // SAFETY: the parent holds the child, and nothing runs meanwhile.
            unsafe { self.visit(child, is_write, look, levels) };
        }
    }
}

fn levels(look: Look) -> u32 {
    match look {
        Look::Items => 0,
        Look::Deep | Look::Everything => u32::MAX,
        Look::Attributes => 1,
    }
}

/// What the garbage collector reaches from an object in one step.
///
/// # Safety
/// A live object; the caller holds the lock.
pub unsafe fn children(object: *mut ffi::PyObject) -> Vec<*mut ffi::PyObject> {
    unsafe extern "C" fn collect(child: *mut ffi::PyObject, found: *mut c_void) -> c_int {
        // SAFETY: `children` passes its vector.
        unsafe { (*found.cast::<Vec<*mut ffi::PyObject>>()).push(child) };
        0
    }
    let mut found = Vec::new();
    // SAFETY: traversing a live object calls nothing but `collect`.
    unsafe {
        if let Some(traverse) = (*ffi::Py_TYPE(object)).tp_traverse
            && ffi::PyType_IS_GC(ffi::Py_TYPE(object)) != 0
        {
            traverse(object, collect, (&raw mut found).cast());
        }
    }
    found
}

/// Whether an object neither changes nor leads to one that C code would look at.
unsafe fn is_atom(object: *mut ffi::PyObject) -> bool {
    // SAFETY: a live object.
    unsafe {
        ffi::PyUnicode_CheckExact(object) != 0
            || ffi::PyLong_CheckExact(object) != 0
            || ffi::PyFloat_CheckExact(object) != 0
            || ffi::PyBytes_CheckExact(object) != 0
            || object == ffi::Py_None()
            || ffi::PyType_Check(object) != 0
            || ffi::PyModule_Check(object) != 0
            || ffi::PyFunction_Check(object) != 0
            || ffi::PyCode_Check(object) != 0
            || is_compiled_function(ffi::Py_TYPE(object))
    }
}

/// Whether an object is a number or a text, perhaps of a class of its own such as an enumeration: C code changes none.
///
/// # Safety
/// A live object.
pub unsafe fn is_value(object: *mut ffi::PyObject) -> bool {
    // SAFETY: a live object.
    unsafe {
        ffi::PyLong_Check(object) != 0
            || ffi::PyUnicode_Check(object) != 0
            || ffi::PyFloat_Check(object) != 0
            || ffi::PyBytes_Check(object) != 0
    }
}

/// Whether C code advances the iterators of a class. A generator counts: its frame is recorded, its position is not.
pub unsafe fn is_native_iterator(class: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: a live type; the name is interned for the look-up only.
    unsafe {
        if (*class).tp_iternext.is_none() {
            return false;
        }
        if ffi::PyType_GetFlags(class) & ffi::Py_TPFLAGS_HEAPTYPE == 0 {
            return true;
        }
        let method = class::lookup_text(class, c"__next__");
        !method.is_null() && ffi::Py_TYPE(method) == &raw mut ffi::PyWrapperDescr_Type
    }
}

unsafe fn name_of(class: *mut ffi::PyTypeObject) -> &'static [u8] {
    // SAFETY: a type's name lives as long as the type, which is at least until the caller has compared it.
    unsafe { std::ffi::CStr::from_ptr((*class).tp_name) }.to_bytes()
}

/// Whether an iterator does more with the elements than to hand them on.
unsafe fn applies_code(class: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: a live type.
    let name = unsafe { name_of(class) };
    matches!(name, b"map" | b"filter") || name.starts_with(b"itertools.")
}

/// Whether an object holds a function and arguments for it.
unsafe fn is_partial(class: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: a live type.
    unsafe { name_of(class) == b"functools.partial" }
}

/// Whether an object is a function of an extension that Cython has compiled, which has a class of its own for them. As for
/// other functions of C code, what its module keeps for itself is not seen.
unsafe fn is_compiled_function(class: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: a live type.
    let name = unsafe { name_of(class) };
    // Since version 3 the name follows that of the module that all extensions of one version share.
    name.ends_with(b"cython_function_or_method") || name.ends_with(b"fused_cython_function")
}

/// Whether calling an object of C code leaves the object itself as it is.
unsafe fn is_stateless(class: *mut ffi::PyTypeObject) -> bool {
    const NAMES: [&[u8]; 5] = [
        b"functools.partial",
        b"operator.methodcaller",
        b"weakref.ReferenceType",
        b"classmethod_descriptor",
        b"numpy._ArrayFunctionDispatcher",
    ];
    // SAFETY: a live type.
    NAMES.contains(&unsafe { name_of(class) })
}

/// Whether an object of this class is an `operator.attrgetter`.
///
/// # Safety
/// A live type.
pub unsafe fn gets_attributes(class: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: as the caller promises.
    unsafe { name_of(class) == b"operator.attrgetter" }
}

/// How far calling an object of this class looks at the argument, if it is one that only gets something from it.
///
/// # Safety
/// A live type.
pub unsafe fn getter(class: *mut ffi::PyTypeObject) -> Option<Look> {
    // SAFETY: as the caller promises.
    match unsafe { name_of(class) } {
        b"operator.itemgetter" | b"_json.Scanner" => Some(Look::Items),
        b"_json.Encoder" => Some(Look::Everything),
        _ => None,
    }
}
