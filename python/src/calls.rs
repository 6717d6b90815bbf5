//! Calls of C code: what a builtin function or method does to the containers that it is given.
//!
//! Model: one declarative table names each known callable and its action. A call of Python code is no operation
//! (its body is recorded); a C callable that is not in the table and receives a container is taken to write all of
//! it. What a C callable calls back into Python is recorded there.
//!
//! Not here: locks and other blocking calls, which are caught inside the call itself (locks).

use crate::interpreter::{self, Frame};
use crate::names::Name;
use crate::observed::Observed;
use crate::site::Site;
use crate::{attribute, container, iteration, names};
use frontrun_formats::{Location, Operation};
use frontrun_recorder::bytecode::SiteKind;
use pyo3::ffi;
use rustc_hash::FxHashMap;
use std::sync::OnceLock;

/// What a C callable does. The container is `self` of a method, or the first argument of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing that is shared, or something that is recorded elsewhere.
    Nothing,
    /// Reads all of the container, and of every other argument.
    ReadWhole,
    /// Writes all of the container, reads all of every other argument.
    WriteWhole,
    /// Reads how many elements there are, or which.
    ReadShape,
    /// Reads the entry that the first argument names.
    ReadKey,
    /// Stores the entry that the first argument names.
    StoreKey,
    /// Deletes the entry that the first argument names.
    DeleteKey,
    /// Asks for the element that the first argument is.
    Contains,
    /// `setdefault`.
    SetDefault,
    /// `pop(key)`, `discard`, `remove` of a dictionary or set.
    RemoveKey,
    /// `add` of a set.
    AddElement,
    /// Empties the container.
    Clear,
    /// `list.append`.
    Append,
    /// `list.pop`.
    Pop,
    /// `list.insert`.
    Insert,
    /// A list changes, its length does not.
    Permute,
    /// `next(iterator)`.
    Next,
    /// `getattr(object, name)` and `hasattr`.
    GetAttr,
    /// `setattr(object, name, value)` and `delattr`.
    SetAttr,
    /// `object.__setattr__` and `object.__delattr__`: the plain store, whatever the class overrides.
    PlainSetAttr,
    /// `object.__getattribute__`.
    PlainGetAttr,
    /// `vars(object)`.
    Vars,
}

#[allow(non_upper_case_globals)]
unsafe extern "C" {
    static mut PyMethod_Type: ffi::PyTypeObject;
}

/// Actions by the address of the `PyMethodDef`, or of the type for a constructor.
static TABLE: OnceLock<FxHashMap<usize, Action>> = OnceLock::new();

/// Installs the table: pairs of a callable's address (see [`address`]) and its action. Later calls do nothing.
pub fn install(table: FxHashMap<usize, Action>) {
    let _ = TABLE.set(table);
}

/// What identifies a C callable: its `PyMethodDef`, its slot wrapper's definition, or the type itself.
///
/// # Safety
/// `callable` is live.
pub unsafe fn address(callable: *mut ffi::PyObject) -> usize {
    // SAFETY: the type checks select the layout.
    unsafe {
        let class = ffi::Py_TYPE(callable);
        if class == &raw mut ffi::PyWrapperDescr_Type {
            return callable.cast::<u8>().add(40).cast::<usize>().read();
        }
        if ffi::PyType_Check(callable) != 0 {
            return callable as usize;
        }
        interpreter::method_def(callable) as usize
    }
}

struct Call<'a> {
    callable: *mut ffi::PyObject,
    receiver: *mut ffi::PyObject,
    arguments: &'a [*mut ffi::PyObject],
}

/// The operation of the call at `site`, if it is one.
///
/// # Safety
/// Called from the hook of `site`, with its frame.
pub unsafe fn observe(site: &Site, frame: Frame) -> Option<Observed> {
    // SAFETY: the site knows where callable and arguments lie.
    unsafe {
        let (below, count) = match site.kind {
            SiteKind::CallKw => (1, site.arg as usize),
            SiteKind::CallFunctionEx => return observe_spread(site, frame),
            _ => (0, site.arg as usize),
        };
        let end = site.top as usize - below;
        let first = frame.slot(end - count - 2);
        let second = frame.slot(end - count - 1);
        let arguments: smallvec::SmallVec<[*mut ffi::PyObject; 8]> =
            (end - count..end).map(|at| frame.slot(at)).collect();
        let (callable, receiver) =
            if cfg!(Py_3_13) || !first.is_null() { (first, second) } else { (second, std::ptr::null_mut()) };
        resolve(&Call { callable, receiver, arguments: &arguments })
    }
}

/// `f(*args)`: the arguments are a tuple, if it is already one.
unsafe fn observe_spread(site: &Site, frame: Frame) -> Option<Observed> {
    // SAFETY: as for `observe`; below the arguments lies the callable, on 3.13 with a null between.
    unsafe {
        let at = site.top as usize - 1 - (site.arg & 1) as usize;
        let callable = frame.slot(if cfg!(Py_3_13) { at - 2 } else { at - 1 });
        let tuple = frame.slot(at);
        if callable.is_null() || tuple.is_null() {
            return None;
        }
        if ffi::PyTuple_CheckExact(tuple) == 0 {
            return container::read_whole(tuple);
        }
        let arguments: Vec<_> =
            (0..ffi::PyTuple_Size(tuple)).map(|nth| ffi::PyTuple_GetItem(tuple, nth)).collect();
        resolve(&Call { callable, receiver: std::ptr::null_mut(), arguments: &arguments })
    }
}

/// Splits a callable into what identifies it and the object that it works on.
unsafe fn resolve(call: &Call<'_>) -> Option<Observed> {
    // SAFETY: as for `observe`.
    unsafe {
        let callable = call.callable;
        if callable.is_null() {
            return None;
        }
        let class = ffi::Py_TYPE(callable);
        if class == &raw mut ffi::PyFunction_Type || class == &raw mut PyMethod_Type {
            return None;
        }
        if ffi::PyType_Check(callable) != 0 {
            return construct(callable, call.arguments);
        }
        let address = address(callable);
        if address == 0 {
            return bound_slot(callable, call.arguments);
        }
        let action = TABLE.get().and_then(|table| table.get(&address)).copied();
        let is_function = ffi::PyCFunction_Check(callable) != 0;
        let bound = if is_function { interpreter::builtin_self(callable) } else { call.receiver };
        let is_method = !bound.is_null() && ffi::PyModule_Check(bound) == 0;
        match (is_method, call.arguments.split_first()) {
            (true, _) => act(action, bound, call.arguments),
            (false, Some((first, rest))) => act(action, *first, rest),
            (false, None) => None,
        }
    }
}

/// A slot method bound to its object, such as `super().__setattr__`.
unsafe fn bound_slot(callable: *mut ffi::PyObject, arguments: &[*mut ffi::PyObject]) -> Option<Observed> {
    // SAFETY: a method-wrapper holds its descriptor and its object behind the header.
    unsafe {
        let name = std::ffi::CStr::from_ptr((*ffi::Py_TYPE(callable)).tp_name).to_bytes();
        if name != b"method-wrapper" {
            return None;
        }
        let descriptor = callable.cast::<u8>().add(16).cast::<*mut ffi::PyObject>().read();
        let receiver = callable.cast::<u8>().add(24).cast::<*mut ffi::PyObject>().read();
        let action = TABLE.get().and_then(|table| table.get(&address(descriptor))).copied();
        act(Some(action.unwrap_or(Action::Nothing)), receiver, arguments)
    }
}

/// Calling a type: a builtin one that consumes its arguments reads them.
unsafe fn construct(class: *mut ffi::PyObject, arguments: &[*mut ffi::PyObject]) -> Option<Observed> {
    // SAFETY: as for `observe`.
    unsafe {
        let action = TABLE.get().and_then(|table| table.get(&(class as usize))).copied()?;
        let (first, rest) = arguments.split_first()?;
        act(Some(action), *first, rest)
    }
}

/// The operation of a known action, or of an unknown callable.
unsafe fn act(
    action: Option<Action>,
    object: *mut ffi::PyObject,
    arguments: &[*mut ffi::PyObject],
) -> Option<Observed> {
    // SAFETY: as for `observe`.
    unsafe {
        let argument = arguments.first().copied().filter(|argument| !argument.is_null());
        match action {
            Some(Action::SetDefault | Action::RemoveKey) if container::calls_overrides(object) => {
                several(&[object], object, arguments)
            }
            None => {
                // It may have advanced something that is not seen.
                crate::spinning::progress();
                unknown(object, arguments)
            }
            Some(Action::Nothing) => None,
            Some(Action::ReadWhole) => several(&[], object, arguments),
            Some(Action::WriteWhole) => several(&[object], object, arguments),
            Some(Action::ReadShape) => container::read_shape(object),
            Some(Action::ReadKey) => container::get(object, argument?),
            Some(Action::StoreKey) => container::set(object, argument?),
            Some(Action::DeleteKey) => container::delete(object, argument?),
            Some(Action::Contains) => container::contains(argument?, object),
            Some(Action::SetDefault) => container::set_default(object, argument?),
            Some(Action::RemoveKey) => {
                container::keyed(object, argument?, |dict, key| Operation::DictRemove { dict, key })
            }
            Some(Action::AddElement) => {
                container::keyed(object, argument?, |set, key| Operation::SetAdd { set, key })
            }
            Some(Action::Clear) => Some((Operation::Clear { container: names::number(object) }, 1)),
            Some(Action::Append) => {
                let list = names::number(object);
                container::note_length(object, list);
                Some((Operation::ListAppend { list }, 1))
            }
            Some(Action::Pop) => Some(pop(object, argument)),
            Some(Action::Insert) => Some(container::list_change(object, 1)),
            Some(Action::Permute) => Some(container::list_change(object, 0)),
            Some(Action::Next) => iteration::next(object),
            Some(Action::GetAttr) => attribute::load(object, exact_name(argument)?),
            Some(Action::SetAttr) => attribute::store(object, exact_name(argument)?),
            Some(Action::PlainSetAttr) => attribute::plain_store(object, exact_name(argument)?),
            Some(Action::PlainGetAttr) => attribute::load(object, exact_name(argument)?),
            Some(Action::Vars) => {
                attribute::alias_dict(object);
                Some(crate::observed::read(container::whole(names::number(object))))
            }
        }
    }
}

unsafe fn exact_name(argument: Option<*mut ffi::PyObject>) -> Option<Name<'static>> {
    // SAFETY: a live object.
    argument.filter(|name| unsafe { ffi::PyUnicode_CheckExact(*name) != 0 }).map(Name::passed)
}

/// `list.pop()` takes the last element; `list.pop(i)` moves the others.
unsafe fn pop(list: *mut ffi::PyObject, index: Option<*mut ffi::PyObject>) -> Observed {
    // SAFETY: as for `observe`.
    unsafe {
        if index.is_some() {
            return container::list_change(list, -1);
        }
        let id = names::number(list);
        let length = container::note_length(list, id);
        (Operation::ListPop { list: id }, u8::from(length > 0))
    }
}

/// Writes all of `written`, reads all of `object` and the arguments, as far as they are containers.
unsafe fn several(
    written: &[*mut ffi::PyObject],
    object: *mut ffi::PyObject,
    arguments: &[*mut ffi::PyObject],
) -> Option<Observed> {
    // SAFETY: as for `observe`.
    unsafe {
        let writes: Vec<Location> =
            written.iter().filter_map(|written| container::whole_of(*written)).collect();
        let mut reads: Vec<Location> = Vec::new();
        for read in std::iter::once(object).chain(arguments.iter().copied()) {
            if let Some(at) = container::whole_of(read)
                && !writes.contains(&at)
                && !reads.contains(&at)
            {
                reads.push(at);
            }
        }
        match (&reads[..], &writes[..]) {
            ([], []) => None,
            ([at], []) => Some(crate::observed::read(*at)),
            ([], [at]) => Some(crate::observed::write(*at)),
            _ => Some((Operation::Touch { reads: reads.into(), writes: writes.into() }, 1)),
        }
    }
}

/// A C callable that the table does not know: it may do anything to the containers that it is given.
unsafe fn unknown(object: *mut ffi::PyObject, arguments: &[*mut ffi::PyObject]) -> Option<Observed> {
    // SAFETY: as for `observe`.
    unsafe {
        let written: Vec<_> = std::iter::once(object).chain(arguments.iter().copied()).collect();
        several(&written, object, arguments)
    }
}
