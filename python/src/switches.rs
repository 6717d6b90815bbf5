//! What the instruction at a site can do, as far as it decides where threads switch (`switching`).

use crate::class::{self, slot};
use crate::interpreter::{self, Frame};
use crate::site::{self, Seen, Site};
use frontrun_recorder::bytecode::SiteKind;
use pyo3::ffi;
use std::ffi::CStr;

#[allow(non_upper_case_globals, non_snake_case)]
unsafe extern "C" {
    static mut PyMethod_Type: ffi::PyTypeObject;
    fn PyMethod_Function(method: *mut ffi::PyObject) -> *mut ffi::PyObject;
}

/// The methods that instructions call.
const ITEMS: &[&CStr] =
    &[c"__getitem__", c"__setitem__", c"__delitem__", c"__missing__", c"__hash__", c"__eq__", c"__index__"];
const MEMBERSHIP: &[&CStr] = &[c"__contains__", c"__iter__", c"__getitem__", c"__hash__", c"__eq__"];
const COMPARISON: &[&CStr] = &[c"__eq__", c"__ne__", c"__lt__", c"__le__", c"__gt__", c"__ge__"];
const TRUTH: &[&CStr] = &[c"__bool__", c"__len__"];
const ITERATION: &[&CStr] = &[c"__iter__", c"__next__", c"__getitem__", c"keys"];
const TEXT: &[&CStr] = &[c"__format__", c"__str__", c"__repr__"];
/// The methods of the binary operators, in the order of their numbers: those of the left and the right operand, and the one that
/// changes the left one. The numbers of the operators that assign come behind the others, in the same order.
const BINARY: [[&CStr; 3]; 13] = [
    [c"__add__", c"__radd__", c"__iadd__"],
    [c"__and__", c"__rand__", c"__iand__"],
    [c"__floordiv__", c"__rfloordiv__", c"__ifloordiv__"],
    [c"__lshift__", c"__rlshift__", c"__ilshift__"],
    [c"__matmul__", c"__rmatmul__", c"__imatmul__"],
    [c"__mul__", c"__rmul__", c"__imul__"],
    [c"__mod__", c"__rmod__", c"__imod__"],
    [c"__or__", c"__ror__", c"__ior__"],
    [c"__pow__", c"__rpow__", c"__ipow__"],
    [c"__rshift__", c"__rrshift__", c"__irshift__"],
    [c"__sub__", c"__rsub__", c"__isub__"],
    [c"__truediv__", c"__rtruediv__", c"__itruediv__"],
    [c"__xor__", c"__rxor__", c"__ixor__"],
];
/// What an operator's C code calls of an operand: it iterates over what it adds, counts how often, looks up keys, and writes
/// text with what comes behind `%`.
const OPERANDS: &[&CStr] = &[
    c"__iter__",
    c"__next__",
    c"__getitem__",
    c"__len__",
    c"__contains__",
    c"keys",
    c"items",
    c"__index__",
    c"__hash__",
    c"__eq__",
    c"__str__",
    c"__repr__",
    c"__int__",
    c"__float__",
];
const UNARY: &[&CStr] = &[c"__neg__", c"__pos__", c"__invert__", c"__bool__", c"__len__"];

/// What comes between the hook of an instruction and the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing where threads could switch, unless a function begins that has hooks.
    Nothing,
    /// A Python function may begin. If it has hooks, it has told so by itself, and there is nothing else.
    Python,
    /// The eval breaker is looked at in the end, or the GIL may be released.
    Check,
}

impl After {
    /// The same, or what another look says if this is nothing.
    fn or(self, other: impl FnOnce() -> Self) -> Self {
        if self == Self::Nothing { other() } else { self }
    }
}

/// What the instruction of `site` can do.
///
/// # Safety
/// Called from the hook of `site`, with its frame.
pub unsafe fn after(site: &Site, frame: Frame) -> After {
    use SiteKind as K;
    // SAFETY: the site knows how many operands its instruction has; they lie below `top`.
    unsafe {
        let operand = |from_top: u32| frame.slot((site.top - from_top) as usize);
        let all = |count: u32, methods: &[&CStr]| {
            let each = (1..=count).map(|nth| of_object(operand(nth), methods));
            each.max_by_key(|after| *after as u8).unwrap_or(After::Nothing)
        };
        match site.kind {
            K::LoadAttr | K::LoadMethod | K::ImportFrom => attribute(operand(1), site.name, false),
            K::StoreAttr | K::DeleteAttr => attribute(operand(1), site.name, true),
            K::LoadGlobal
            | K::StoreGlobal
            | K::DeleteGlobal
            | K::LoadName
            | K::StoreName
            | K::DeleteName
            | K::LoadDeref
            | K::StoreDeref
            | K::DeleteDeref
            | K::LoadClassDeref
            | K::LoadFromDictOrGlobals
            | K::Return
            | K::YieldValue
            | K::Reraise => After::Nothing,
            K::BinarySubscr | K::DeleteSubscr | K::StoreSubscr => all(2, ITEMS),
            K::BinarySlice => all(3, ITEMS),
            K::StoreSlice => all(4, ITEMS),
            K::Contains => all(2, MEMBERSHIP),
            K::Compare => all(2, COMPARISON),
            K::BinaryOp | K::InplaceOp => {
                all(2, &BINARY[site.arg as usize % BINARY.len()]).or(|| all(2, OPERANDS))
            }
            K::UnaryOp => all(1, UNARY),
            K::IsTrue | K::GetLen => all(1, TRUTH),
            K::GetIter | K::ForIter | K::UnpackSequence | K::UnpackEx | K::ListExtend => all(1, ITERATION),
            K::SetUpdate | K::DictUpdate | K::DictMerge => all(1, ITERATION),
            K::FormatValue => all(if site.arg & 4 != 0 { 2 } else { 1 }, TEXT),
            K::MatchSequence | K::MatchMapping => After::Nothing,
            K::BeforeWith => manager(operand(1)),
            K::Call | K::CallKw | K::CallFunctionEx => call(site, frame),
            K::MatchKeys
            | K::MatchClass
            | K::Send
            | K::GetAiter
            | K::GetAnext
            | K::GetAwaitable
            | K::GetYieldFromIter => After::Python,
            K::LoadSuperAttr => super_attribute(operand(3), operand(1), site.name),
            _ => After::Check,
        }
    }
}

/// The call at `site`: what is no Python function, or the method of one, is C code, and is looked behind.
unsafe fn call(site: &Site, frame: Frame) -> After {
    // SAFETY: the callable lies where the kind says.
    unsafe {
        let top = site.top as usize;
        let (first, second) = match site.kind {
            // 3.11 calls it through C code.
            SiteKind::CallFunctionEx if !cfg!(Py_3_12) => return After::Check,
            SiteKind::CallFunctionEx => {
                let at = top - 1 - (site.arg & 1) as usize;
                let callable = frame.slot(if cfg!(Py_3_13) { at - 2 } else { at - 1 });
                (callable, std::ptr::null_mut())
            }
            kind => {
                let end = top - usize::from(kind == SiteKind::CallKw) - site.arg as usize;
                (frame.slot(end - 2), frame.slot(end - 1))
            }
        };
        let callable = if cfg!(Py_3_13) || !first.is_null() { first } else { second };
        if callable.is_null() {
            return After::Check;
        }
        let class = ffi::Py_TYPE(callable);
        let is_python = class == &raw mut ffi::PyFunction_Type
            || class == &raw mut PyMethod_Type && {
                let function = PyMethod_Function(callable);
                ffi::Py_TYPE(function) == &raw mut ffi::PyFunction_Type
            };
        if is_python { After::Python } else { After::Check }
    }
}

/// Reading or writing an attribute.
unsafe fn attribute(object: *mut ffi::PyObject, name: *mut ffi::PyObject, is_store: bool) -> After {
    // SAFETY: live objects have live types, and the name is a `str`; the look-up runs no code.
    unsafe {
        if object.is_null() {
            return After::Nothing;
        }
        let class = ffi::Py_TYPE(object);
        let base = if ffi::PyType_Check(object) != 0 {
            &raw mut ffi::PyType_Type
        } else {
            &raw mut ffi::PyBaseObject_Type
        };
        let is_plain = match is_store {
            true => slot((*class).tp_setattro) == slot((*base).tp_setattro),
            false => slot((*class).tp_getattro) == slot((*base).tp_getattro),
        };
        if ffi::PyModule_Check(object) != 0 {
            let is_there = class::dict_has(ffi::PyModule_GetDict(object), name);
            return if is_there || is_store { After::Nothing } else { After::Python };
        }
        if !is_plain && !tells_of_attributes(class, is_store) {
            return After::Python;
        }
        let descriptor = descriptor(class::lookup(class, name));
        if ffi::PyType_Check(object) == 0 || is_store {
            return descriptor;
        }
        match descriptor {
            After::Nothing => self::descriptor(class::lookup(object.cast(), name)),
            other => other,
        }
    }
}

/// Whether the methods with which a class written in Python makes attributes what they are tell by themselves that they begin.
unsafe fn tells_of_attributes(class: *mut ffi::PyTypeObject, is_store: bool) -> bool {
    let methods: &[&CStr] = match is_store {
        true => &[c"__setattr__", c"__delattr__"],
        false => &[c"__getattribute__", c"__getattr__"],
    };
    // SAFETY: a live type.
    unsafe {
        class::is_written_in_python(class)
            && !methods.iter().any(|name| is_silent(class::lookup_text(class, name)))
    }
}

/// `super().name`, where what the object's own class has under the name is taken to be of the kind that its bases have.
unsafe fn super_attribute(
    super_class: *mut ffi::PyObject,
    object: *mut ffi::PyObject,
    name: *mut ffi::PyObject,
) -> After {
    // SAFETY: null or live objects.
    unsafe {
        if super_class != (&raw mut ffi::PySuper_Type).cast() || object.is_null() {
            return After::Check;
        }
        let is_class = ffi::PyType_Check(object) != 0;
        let class = if is_class { object.cast() } else { ffi::Py_TYPE(object) };
        descriptor(class::lookup(class, name))
    }
}

/// What a class has under a name: only a descriptor that is written in Python, and a property, run Python code.
unsafe fn descriptor(found: *mut ffi::PyObject) -> After {
    // SAFETY: null or a live object.
    unsafe {
        if found.is_null() {
            return After::Nothing;
        }
        let class = ffi::Py_TYPE(found);
        let is_descriptor = (*class).tp_descr_get.is_some() || (*class).tp_descr_set.is_some();
        if class == &raw mut ffi::PyProperty_Type {
            // `propertyobject`: header, the functions that get, set and delete.
            let function =
                |at: usize| found.cast::<u8>().add(16 + 8 * at).cast::<*mut ffi::PyObject>().read();
            return if (0..3).all(|at| tells(function(at))) { After::Nothing } else { After::Python };
        }
        if is_descriptor && class::is_heap(class) { After::Python } else { After::Nothing }
    }
}

/// Whether a function has hooks, so that it tells by itself that it begins; so does one that there is not.
unsafe fn tells(function: *mut ffi::PyObject) -> bool {
    // SAFETY: null or a live object; code objects have a tuple of constants.
    unsafe {
        if function.is_null() || ffi::Py_TYPE(function) != &raw mut ffi::PyFunction_Type {
            return function.is_null();
        }
        let last = interpreter::last_constant(ffi::PyFunction_GetCode(function));
        site::of_constant(last).is_some_and(|site| !matches!(site.seen, Seen::Hidden | Seen::Driving))
    }
}

/// Entering a `with` statement: the interpreter does not look at its eval breaker there.
unsafe fn manager(object: *mut ffi::PyObject) -> After {
    // SAFETY: null or a live object.
    unsafe {
        if object.is_null() || is_lock(ffi::Py_TYPE(object)) {
            return After::Nothing;
        }
        if class::is_written_in_python(ffi::Py_TYPE(object)) { After::Python } else { After::Check }
    }
}

/// Its methods are watched, and say what they do.
unsafe fn is_lock(class: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: a type's name lives as long as the type.
    unsafe { matches!(CStr::from_ptr((*class).tp_name).to_bytes(), b"_thread.lock" | b"_thread.RLock") }
}

/// What an instruction that calls these methods can do with this operand.
unsafe fn of_object(object: *mut ffi::PyObject, methods: &[&CStr]) -> After {
    // SAFETY: null or a live object.
    unsafe {
        if object.is_null() {
            return After::Nothing;
        }
        let class = ffi::Py_TYPE(object);
        if class == &raw mut ffi::PyGen_Type || class == &raw mut ffi::PyCoro_Type {
            return After::Python;
        }
        if is_quiet(class) {
            return After::Nothing;
        }
        if !class::is_written_in_python(class) {
            return After::Check;
        }
        if methods.iter().any(|name| is_silent(class::lookup_text(class, name))) {
            return After::Python;
        }
        of_base(class)
    }
}

/// Whether a method is Python code that does not tell when it begins.
unsafe fn is_silent(method: *mut ffi::PyObject) -> bool {
    // SAFETY: null or a live object.
    unsafe {
        if method.is_null() || method == ffi::Py_None() {
            return false;
        }
        let class = ffi::Py_TYPE(method);
        if class == &raw mut ffi::PyFunction_Type { !tells(method) } else { class::is_heap(class) }
    }
}

/// What objects of a class written in Python do that leaves all operators to the class of C code that it comes from.
unsafe fn of_base(class: *mut ffi::PyTypeObject) -> After {
    // SAFETY: bases live as long as what is derived from them.
    unsafe { if is_quiet(class::native(class)) { After::Nothing } else { After::Check } }
}

/// Whether the C code of the class neither releases the GIL nor runs code that nobody sees: it is of the interpreter's core,
/// or one of the containers of the standard library.
unsafe fn is_quiet(class: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: a type's name lives as long as the type.
    unsafe {
        let name = CStr::from_ptr((*class).tp_name).to_bytes();
        let of = |module: &[u8]| name.starts_with(module);
        let is_core = !class::is_heap(class) && !name.contains(&b'.');
        is_core || of(b"collections.") || of(b"_collections.") || of(b"itertools.") || of(b"array.")
    }
}
