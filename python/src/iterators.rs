//! The iterators of C code: those of built-in containers, each element of which can be a step, and those that take their
//! elements from other iterators.
//!
//! Not here: what a step touches (iteration), who makes it (free_threading).

use crate::handed;
use pyo3::ffi;
use pyo3::prelude::*;
use std::sync::OnceLock;

type Object = *mut ffi::PyObject;

/// Containers and views, one of each type that has iterators of its own.
const CONTAINERS: &std::ffi::CStr = c"[[], set(), bytearray(), __import__('collections').deque(),
    __import__('array').array('b'), *(view for of in ({}, __import__('collections').OrderedDict())
    for view in (of, of.keys(), of.values(), of.items()))]";

/// What C code iterates over.
struct Known {
    /// The iterators' types, with their own `tp_iternext`.
    iterators: Vec<(usize, ffi::iternextfunc)>,
    /// `tp_iter` of what makes them.
    makers: Vec<usize>,
}

static KNOWN: OnceLock<Known> = OnceLock::new();

/// Iterators that take each element from others, which they have made when they were made themselves.
const COMPOSITES: [&[u8]; 14] = [
    b"zip",
    b"map",
    b"filter",
    b"enumerate",
    b"itertools.islice",
    b"itertools.starmap",
    b"itertools.takewhile",
    b"itertools.dropwhile",
    b"itertools.filterfalse",
    b"itertools.compress",
    b"itertools.accumulate",
    b"itertools.zip_longest",
    b"itertools.pairwise",
    b"itertools.batched",
];

/// Those that hand elements on without looking at them.
const BLIND: [&[u8]; 6] = [
    b"zip",
    b"enumerate",
    b"itertools.islice",
    b"itertools.zip_longest",
    b"itertools.pairwise",
    b"itertools.batched",
];

/// Those that take at least one element of each of their iterators for each of their own, until one of these ends.
const IN_STEP: [&[u8]; 4] = [b"zip", b"map", b"filter", b"enumerate"];

/// Replaces `tp_iternext` of the iterators of built-in containers for the rest of this process.
///
/// # Errors
/// When a module cannot be imported.
pub fn replace(py: Python<'_>, with: ffi::iternextfunc) -> PyResult<()> {
    let builtins = py.import("builtins")?;
    let mut known = Known { iterators: Vec::new(), makers: Vec::new() };
    for container in py.eval(CONTAINERS, None, None)?.try_iter()? {
        let container = container?;
        // SAFETY: live types; the interpreter's lock is held.
        unsafe {
            let maker = (*ffi::Py_TYPE(container.as_ptr())).tp_iter;
            known.makers.extend(maker.map(|maker| maker as usize));
        }
        for direction in ["iter", "reversed"] {
            let Ok(iterator) = builtins.call_method1(direction, (&container,)) else { continue };
            // SAFETY: as above.
            unsafe {
                let class = ffi::Py_TYPE(iterator.as_ptr());
                let is_known = known.iterators.iter().any(|(known, _)| *known == class as usize);
                if let Some(original) = (*class).tp_iternext
                    && !is_known
                    && class != &raw mut ffi::PyReversed_Type
                {
                    known.iterators.push((class as usize, original));
                }
            }
        }
    }
    // What is replaced has to find its original at once.
    for (class, _) in &KNOWN.get_or_init(|| known).iterators {
        // SAFETY: the types of built-in iterators live as long as the process; their slots are writable.
        unsafe { (*(*class as *mut ffi::PyTypeObject)).tp_iternext = Some(with) };
    }
    Ok(())
}

/// Whether the slots are replaced.
pub fn are_replaced() -> bool {
    KNOWN.get().is_some()
}

/// The iterator's own `tp_iternext`, if it has been replaced.
///
/// # Safety
/// A live object.
pub unsafe fn original(iterator: Object) -> Option<ffi::iternextfunc> {
    // SAFETY: as the caller promises.
    let class = unsafe { ffi::Py_TYPE(iterator) } as usize;
    KNOWN.get()?.iterators.iter().find(|(known, _)| *known == class).map(|(_, original)| *original)
}

/// Whether each element of an iterable is a step: it is such an iterator, or makes one.
///
/// # Safety
/// A live object.
pub unsafe fn steps(iterable: Object) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        let maker = (*ffi::Py_TYPE(iterable)).tp_iter.map_or(0, |maker| maker as usize);
        original(iterable).is_some() || KNOWN.get().is_some_and(|known| known.makers.contains(&maker))
    }
}

/// Whether an object takes its elements from other iterators.
///
/// # Safety
/// A live object.
pub unsafe fn is_composite(object: Object) -> bool {
    // SAFETY: as the caller promises.
    COMPOSITES.contains(&unsafe { name_of(object) })
}

/// Whether every element of an iterable is behind a step.
///
/// # Safety
/// A live object.
pub unsafe fn always_steps(iterable: Object) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        let in_step = IN_STEP.contains(&name_of(iterable));
        steps(iterable) || in_step && sources(iterable).into_iter().any(|source| always_steps(source))
    }
}

/// Composite iterators behind this one that others hold, too.
///
/// # Safety
/// A live object.
pub unsafe fn shared_behind(iterable: Object) -> Vec<Object> {
    let mut shared = Vec::new();
    // SAFETY: as the caller promises; what an iterator holds is live.
    unsafe {
        if is_composite(iterable) {
            for source in sources(iterable).into_iter().filter(|source| is_composite(*source)) {
                if ffi::Py_REFCNT(source) > 1 {
                    shared.push(source);
                }
                shared.extend(shared_behind(source));
            }
        }
    }
    shared
}

/// Whether the C code behind an iterable looks at its elements before it hands them on.
///
/// # Safety
/// A live object.
pub unsafe fn looks_at_elements(iterable: Object) -> bool {
    // SAFETY: as the caller promises; what an iterator holds is live.
    unsafe {
        is_composite(iterable)
            && (!BLIND.contains(&name_of(iterable))
                || sources(iterable).into_iter().any(|source| looks_at_elements(source)))
    }
}

/// The functions that composite iterators apply to the elements.
///
/// # Safety
/// A live object.
pub unsafe fn applied(iterable: Object) -> Vec<Object> {
    // SAFETY: as the caller promises; what an iterator holds is live.
    unsafe {
        if !is_composite(iterable) {
            return Vec::new();
        }
        let behind = sources(iterable).into_iter().flat_map(|source| applied(source));
        let functions = handed::children(iterable).into_iter();
        functions.filter(|child| ffi::PyCallable_Check(*child) != 0).chain(behind).collect()
    }
}

/// The iterators that a composite one holds; those over several keep them in a tuple.
unsafe fn sources(iterator: Object) -> Vec<Object> {
    // SAFETY: as for `is_composite`.
    unsafe {
        let mut found = Vec::new();
        for child in handed::children(iterator) {
            if (*ffi::Py_TYPE(child)).tp_iternext.is_some() {
                found.push(child);
            } else if ffi::PyTuple_CheckExact(child) != 0 {
                let items = (0..ffi::PyTuple_Size(child)).map(|at| ffi::PyTuple_GetItem(child, at));
                found.extend(
                    items.filter(|item| !item.is_null() && (*ffi::Py_TYPE(*item)).tp_iternext.is_some()),
                );
            }
        }
        found
    }
}

unsafe fn name_of(object: Object) -> &'static [u8] {
    // SAFETY: a type's name lives as long as the type, which is at least until the caller has compared it.
    unsafe { std::ffi::CStr::from_ptr((*ffi::Py_TYPE(object)).tp_name) }.to_bytes()
}

/// Whether `iterable`, or an iterator that it takes from, takes apart what it is given, as `chain.from_iterable` does: by
/// `source`, if that is not null.
///
/// # Safety
/// Live objects, or null.
pub unsafe fn takes_apart(iterable: Object, source: Object) -> bool {
    // SAFETY: as the caller promises; a live object has a live type, whose name lives as long.
    unsafe {
        if iterable.is_null() || !handed::is_native_iterator(ffi::Py_TYPE(iterable)) {
            return false;
        }
        let behind = handed::children(iterable);
        let is_from = |giver: Option<&Object>| source.is_null() || giver == Some(&source);
        let does = match std::ffi::CStr::from_ptr((*ffi::Py_TYPE(iterable)).tp_name).to_bytes() {
            // What it is going through comes first, and it has nothing of that kind while it asks for more.
            b"itertools.chain" => is_from(behind.last()),
            b"itertools.starmap" => is_from(behind.iter().find(|child| **child == source)),
            _ => false,
        };
        does || behind.into_iter().any(|iterator| iterator != source && takes_apart(iterator, source))
    }
}
