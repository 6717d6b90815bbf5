//! Calls of C code: what a builtin function or method does to the containers that it is given.
//!
//! Model: one declarative table names each known callable and its action. A call of Python code is no operation
//! (its body is recorded); a C callable that is not in the table is taken to write all of the containers and objects
//! that it receives, and of those one level inside. What a C callable calls back into Python is recorded there.
//!
//! Not here: the table (c_calls), locks and other blocking calls, which are caught inside the call itself (locks).

use crate::actions::{self, Action, address};
use crate::handed::{self, Handed, Look};
use crate::interpreter::{self, Frame};
use crate::names::Name;
use crate::observed::Observed;
use crate::operands::{Operands, bound, operands, spread};
use crate::site::Site;
use crate::{attribute, class, container, iteration, names, ndarray, operators};
use frontrun_formats::{Location, Operation, Part};
use pyo3::ffi;

#[allow(non_upper_case_globals)]
unsafe extern "C" {
    static mut PyMethod_Type: ffi::PyTypeObject;
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
    // SAFETY: as the caller promises; the arguments of a spread are the topmost operand but for keywords.
    unsafe {
        match operands(site, frame) {
            Some(Operands { callable, receiver, arguments }) => {
                resolve(&Call { callable, receiver, arguments: &arguments })
            }
            None => {
                let (callable, arguments) = spread(site, frame)?;
                spread_later(callable, arguments)
            }
        }
    }
}

/// `f(*arguments)`, where the instruction itself makes the tuple: reads what is spread. What C code then does to it is
/// not told apart.
unsafe fn spread_later(callable: *mut ffi::PyObject, arguments: *mut ffi::PyObject) -> Option<Observed> {
    let mut handed = Handed::default();
    // SAFETY: as for `observe`.
    unsafe {
        handed.read(arguments, Look::Items);
        if ffi::PyCFunction_Check(callable) != 0 {
            handed.read(callable, Look::Items);
            handed.write_content(arguments);
        }
    }
    handed.observed()
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
            return call_object(call);
        }
        let action = actions::at(address);
        if let Some(Action::ReadModule | Action::WriteModule) = action {
            return module_state(callable, action == Some(Action::WriteModule));
        }
        match (bound(callable, call.receiver), call.arguments.split_first()) {
            (Some(bound), _) => act(action, bound, call.arguments),
            (None, Some((first, rest))) => act(action, *first, rest),
            (None, None) => None,
        }
    }
}

/// What a module's function does to that which the module keeps for the whole process.
unsafe fn module_state(function: *mut ffi::PyObject, is_write: bool) -> Option<Observed> {
    // SAFETY: as for `observe`.
    unsafe {
        let module = interpreter::builtin_self(function);
        let at = || Location::new(names::number(module), Part::State);
        (!module.is_null())
            .then(|| if is_write { crate::observed::write(at()) } else { crate::observed::read(at()) })
    }
}

/// The operation of `list.append`.
///
/// # Safety
/// A live list; the caller holds the turn and the lock.
pub unsafe fn append(object: *mut ffi::PyObject) -> Observed {
    // SAFETY: as the caller promises.
    unsafe {
        let list = names::number(object);
        container::note_length(object, list);
        (Operation::ListAppend { list }, 1)
    }
}

/// Calling an object: a slot method that is bound to its object, such as `super().__setattr__`, or one that C code
/// defines, such as `functools.partial`. A `__call__` that a Python class defines is recorded in its body.
unsafe fn call_object(call: &Call<'_>) -> Option<Observed> {
    // SAFETY: a method-wrapper holds its descriptor and its object behind the header.
    unsafe {
        let (callable, class) = (call.callable, class::native(ffi::Py_TYPE(call.callable)));
        if !class::inherits(ffi::Py_TYPE(callable), class, c"__call__") {
            return None;
        }
        if std::ffi::CStr::from_ptr((*class).tp_name).to_bytes() == b"method-wrapper" {
            let descriptor = callable.cast::<u8>().add(16).cast::<*mut ffi::PyObject>().read();
            let receiver = callable.cast::<u8>().add(24).cast::<*mut ffi::PyObject>().read();
            return act(actions::at(address(descriptor)), receiver, call.arguments);
        }
        if handed::gets_attributes(ffi::Py_TYPE(callable)) {
            let mut handed = Handed::default();
            handed.get(callable, *call.arguments.first()?);
            return handed.observed();
        }
        if let Some(look) = handed::getter(class) {
            let (first, rest) = call.arguments.split_first()?;
            return read(*first, rest, look);
        }
        if let Some(n_inputs) = ndarray::inputs(callable) {
            return universal(call.arguments, n_inputs);
        }
        let mut handed = Handed::default();
        handed.call(callable);
        let receiver = (!call.receiver.is_null()).then_some(call.receiver);
        for argument in receiver.iter().chain(call.arguments) {
            handed.write(*argument, Look::Attributes);
        }
        handed.observed()
    }
}

/// Calling a universal function of NumPy: it reads its inputs, and writes where it is told to.
unsafe fn universal(arguments: &[*mut ffi::PyObject], n_inputs: usize) -> Option<Observed> {
    let (inputs, outputs) = arguments.split_at(n_inputs.min(arguments.len()));
    let mut handed = Handed::default();
    // SAFETY: as for `observe`.
    unsafe {
        inputs.iter().for_each(|input| handed.read(*input, Look::Items));
        outputs.iter().for_each(|output| handed.write(*output, Look::Attributes));
    }
    handed.observed()
}

/// Calling a type. One that Python code makes an instance of is recorded there; one that is not known reads all.
unsafe fn construct(class: *mut ffi::PyObject, arguments: &[*mut ffi::PyObject]) -> Option<Observed> {
    // SAFETY: as for `observe`.
    unsafe {
        let (first, rest) = arguments.split_first()?;
        let class = class.cast::<ffi::PyTypeObject>();
        let action = if class::is_written_in_python(class) {
            inherited_action(class)?
        } else if let Some(action) = actions::at(class as usize) {
            action
        } else if handed::is_native_iterator(class) {
            Action::ReadShape
        } else if ffi::PyType_IsSubtype(class, ffi::PyExc_BaseException.cast()) != 0 {
            Action::Nothing
        } else {
            Action::Construct
        };
        act(Some(action), *first, rest)
    }
}

/// What making an instance does to the arguments when a Python class leaves it to a builtin base.
unsafe fn inherited_action(class: *mut ffi::PyTypeObject) -> Option<Action> {
    // SAFETY: live types; the resolution order is a tuple of types.
    unsafe {
        let own = [c"__new__", c"__init__"];
        if own.iter().any(|name| ffi::PyFunction_Check(unwrapped(class::lookup_text(class, name))) != 0) {
            return None;
        }
        let order = (*class).tp_mro;
        (0..ffi::PyTuple_Size(order)).find_map(|at| actions::at(ffi::PyTuple_GetItem(order, at) as usize))
    }
}

/// The function in a static method, which `__new__` is.
unsafe fn unwrapped(method: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: a live object or null; a static method holds its function behind the header.
    unsafe {
        if !method.is_null() && std::ffi::CStr::from_ptr((*ffi::Py_TYPE(method)).tp_name) == c"staticmethod" {
            return method.cast::<u8>().add(16).cast::<*mut ffi::PyObject>().read();
        }
        method
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
                write(object, arguments)
            }
            None => {
                // It may have advanced something that is not seen.
                crate::spinning::progress();
                unknown(object, arguments)
            }
            Some(Action::Nothing | Action::ReadModule | Action::WriteModule) => None,
            Some(Action::ReadItems) => read(object, arguments, Look::Items),
            Some(Action::ReadWhole) => read(object, arguments, Look::Deep),
            Some(Action::ReadEverything) => read(object, arguments, Look::Everything),
            Some(Action::Construct) => read(object, arguments, Look::Attributes),
            Some(Action::ReadArray) => read_array(object, arguments),
            Some(Action::ReadObject) => read_object(object),
            Some(Action::Print) => print(object, arguments),
            Some(Action::WriteWhole) => write(object, arguments),
            Some(Action::ReadArguments) => read(argument?, &arguments[1..], Look::Items),
            Some(Action::WriteArgument) => write(argument?, &[]),
            Some(Action::ReadState) => own_state(object, arguments, false),
            Some(Action::WriteState) => own_state(object, arguments, true),
            Some(Action::ReadShape) => read_shapes(object, arguments),
            Some(Action::Truth) => container::truth(object),
            Some(Action::ReadKey) => container::plain_get(object, argument?),
            Some(Action::LookUp) => container::contains_key(object, argument?),
            Some(Action::StoreKey) => operators::assigned(
                container::plain_set(object, argument?)?,
                object,
                argument?,
                second(arguments),
            ),
            Some(Action::DeleteKey) => container::plain_delete(object, argument?),
            Some(Action::GetItem) => container::get(object, argument?),
            Some(Action::SetItem) => operators::assign(object, argument?, second(arguments)),
            Some(Action::DeleteItem) => container::delete(object, argument?),
            Some(Action::Contains) => operators::contains(object, argument?),
            Some(Action::SetDefault) => container::set_default(object, argument?),
            Some(Action::RemoveKey) => {
                container::keyed(object, argument?, |dict, key| Operation::DictRemove { dict, key })
            }
            Some(Action::AddElement) => {
                container::keyed(object, argument?, |set, key| Operation::SetAdd { set, key })
            }
            Some(Action::Clear) => Some((Operation::Clear { container: names::number(object) }, 1)),
            Some(Action::Append) => Some(append(object)),
            Some(Action::Pop) => Some(pop(object, argument)),
            Some(Action::Insert) => Some(container::list_change(object, 1)),
            Some(Action::Permute) => permute(object, arguments),
            Some(Action::Next) => iteration::next(object),
            Some(Action::GetAttr) => attribute::load(object, exact_name(argument)?),
            Some(Action::SetAttr) => attribute::store(object, exact_name(argument)?),
            Some(Action::PlainSetAttr) => attribute::plain_store(object, exact_name(argument)?),
            Some(Action::PlainGetAttr) => attribute::load(object, exact_name(argument)?),
            Some(Action::Describe) => attribute::described(object, argument?, false),
            Some(Action::SetDescribed) => attribute::described(object, argument?, true),
            Some(Action::ReadClass) => attribute::load_class(object),
            Some(Action::Vars) => {
                attribute::alias_dict(object);
                None
            }
        }
    }
}

/// The second argument, or null.
fn second(arguments: &[*mut ffi::PyObject]) -> *mut ffi::PyObject {
    arguments.get(1).copied().unwrap_or(std::ptr::null_mut())
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

/// Puts a list in order, perhaps by a key.
unsafe fn permute(list: *mut ffi::PyObject, arguments: &[*mut ffi::PyObject]) -> Option<Observed> {
    let mut handed = Handed::default();
    // SAFETY: as for `observe`.
    unsafe {
        arguments.iter().for_each(|argument| handed.apply(*argument));
        if !handed.applies() {
            return Some(container::list_change(list, 0));
        }
        handed.read(list, Look::Deep);
        handed.write(list, Look::Items);
    }
    handed.observed()
}

/// Reads the object and the arguments.
unsafe fn read(object: *mut ffi::PyObject, arguments: &[*mut ffi::PyObject], look: Look) -> Option<Observed> {
    let mut handed = Handed::default();
    // SAFETY: as for `observe`.
    unsafe {
        arguments.iter().for_each(|argument| handed.apply(*argument));
        handed.read(object, look);
        for argument in arguments {
            handed.read(*argument, look);
        }
    }
    handed.observed()
}

/// `print`, with an argument at least.
unsafe fn print(first: *mut ffi::PyObject, others: &[*mut ffi::PyObject]) -> Option<Observed> {
    let mut handed = Handed::default();
    // SAFETY: as for `observe`; the module is there as long as the interpreter, the name is interned for the look-up only.
    unsafe {
        handed.read(first, Look::Deep);
        others.iter().for_each(|argument| handed.read(*argument, Look::Deep));
        let name = ffi::PyUnicode_InternFromString(c"stdout".as_ptr());
        let output = attribute::loaded(ffi::PyImport_AddModule(c"sys".as_ptr()), Name::passed(name));
        output.into_iter().for_each(|at| handed.add(at, false));
        ffi::Py_XDECREF(name);
    }
    handed.observed()
}

/// Writes the object, reads the arguments.
unsafe fn write(object: *mut ffi::PyObject, arguments: &[*mut ffi::PyObject]) -> Option<Observed> {
    let mut handed = Handed::default();
    // SAFETY: as for `observe`.
    unsafe {
        handed.write(object, Look::Items);
        for argument in arguments {
            handed.read(*argument, Look::Deep);
        }
    }
    handed.observed()
}

/// Touches what C code keeps in the object, reads the arguments.
unsafe fn own_state(
    object: *mut ffi::PyObject,
    arguments: &[*mut ffi::PyObject],
    writes: bool,
) -> Option<Observed> {
    let mut handed = Handed::default();
    // SAFETY: as for `observe`.
    unsafe {
        handed.add(Location::new(names::number(object), Part::State), writes);
        for argument in arguments {
            handed.read(*argument, Look::Deep);
        }
    }
    handed.observed()
}

/// Reads an array, and writes the arrays that it is given: they may be where the result goes.
unsafe fn read_array(array: *mut ffi::PyObject, arguments: &[*mut ffi::PyObject]) -> Option<Observed> {
    let mut handed = Handed::default();
    // SAFETY: as for `observe`.
    unsafe {
        handed.read(array, Look::Items);
        arguments.iter().for_each(|argument| handed.write(*argument, Look::Attributes));
    }
    handed.observed()
}

/// Reads all attributes of an instance of a Python class, or which there are.
unsafe fn read_object(object: *mut ffi::PyObject) -> Option<Observed> {
    // SAFETY: as for `observe`.
    unsafe {
        // What is returned may be the dictionary of its attributes itself.
        attribute::alias_dict(object);
        (class::is_written_in_python(ffi::Py_TYPE(object)) || class::is_namespace(ffi::Py_TYPE(object)))
            .then(|| crate::observed::read(container::whole(names::number(object))))
    }
}

/// Asks every container for its shape only, as a lazy iterator does when it is made.
unsafe fn read_shapes(object: *mut ffi::PyObject, arguments: &[*mut ffi::PyObject]) -> Option<Observed> {
    let mut handed = Handed::default();
    for object in std::iter::once(&object).chain(arguments) {
        // SAFETY: as for `observe`.
        if let Some(at) = unsafe { container::shape_of(*object) } {
            handed.add(at, false);
        }
    }
    handed.observed()
}

/// A C callable that the table does not know: it may do anything to what it is given.
unsafe fn unknown(object: *mut ffi::PyObject, arguments: &[*mut ffi::PyObject]) -> Option<Observed> {
    let mut handed = Handed::default();
    for object in std::iter::once(&object).chain(arguments) {
        // SAFETY: as for `observe`.
        unsafe { handed.write(*object, Look::Attributes) };
    }
    handed.observed()
}
