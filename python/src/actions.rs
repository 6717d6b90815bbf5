//! What a C callable is known to do: the kinds of action, and the table from callables to actions.
//!
//! Not here: the rows of the table (c_calls), what an action touches (calls).

use crate::interpreter;
use pyo3::ffi;
use rustc_hash::FxHashMap;
use std::sync::OnceLock;

/// What a C callable does. The object that it works on is `self` of a method, or the first argument of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing that is shared, or something that is recorded elsewhere.
    Nothing,
    /// Reads what the object and the arguments consist of, not what their elements consist of.
    ReadItems,
    /// Reads all that can be reached through the object and the arguments: compares, prints, adds.
    ReadWhole,
    /// Reads all that can be reached, through attributes as well.
    ReadEverything,
    /// Reads all attributes of the object.
    ReadObject,
    /// Makes an object of a type that is not known: reads what it is given, and attributes.
    Construct,
    /// Reads an array of NumPy, and writes those that it is given.
    ReadArray,
    /// Reads what the arguments consist of; what it does to the object is recorded elsewhere.
    ReadArguments,
    /// Writes the first argument; what it does to the object is recorded elsewhere.
    WriteArgument,
    /// Writes all of the object, reads all of every argument.
    WriteWhole,
    /// Reads what C code keeps in the object alone, such as the descriptor of a socket, and all of every argument.
    ReadState,
    /// Writes what C code keeps in the object alone.
    WriteState,
    /// Reads how many elements there are, or which, of every container that it is given.
    ReadShape,
    /// Asks whether the object is true.
    Truth,
    /// Reads the entry that the first argument names.
    ReadKey,
    /// Reads the entry that the first argument names, and makes none where it is missing.
    LookUp,
    /// Stores the entry that the first argument names.
    StoreKey,
    /// Deletes the entry that the first argument names.
    DeleteKey,
    /// `object[key]`, as a class may override it.
    GetItem,
    /// `object[key] = …`, as a class may override it.
    SetItem,
    /// `del object[key]`, as a class may override it.
    DeleteItem,
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
    /// `__get__` of a descriptor: reads what it describes of the first argument.
    Describe,
    /// `__set__` and `__delete__` of a descriptor.
    SetDescribed,
    /// Asks for the class of the object.
    ReadClass,
    /// `vars(object)`.
    Vars,
    /// Reads all that can be reached through the arguments, and which file is the standard output.
    Print,
    /// Asks for what a module of C code keeps for the whole process.
    ReadModule,
    /// Changes that.
    WriteModule,
}

impl Action {
    /// Whether the object that it works on stays as it is.
    pub fn only_reads(self) -> bool {
        use Action as A;
        matches!(
            self,
            A::Nothing
                | A::ReadItems
                | A::ReadWhole
                | A::ReadEverything
                | A::ReadObject
                | A::Construct
                | A::ReadArray
                | A::ReadArguments
                | A::ReadState
                | A::ReadShape
                | A::Truth
                | A::ReadKey
                | A::LookUp
                | A::GetItem
                | A::Contains
                | A::GetAttr
                | A::PlainGetAttr
                | A::Describe
                | A::ReadClass
                | A::Vars
                | A::ReadModule
                | A::Print
        )
    }

    /// Whether it looks into what functions return that it calls on the way, such as keys.
    pub fn looks_into_results(self) -> bool {
        matches!(self, Action::ReadWhole | Action::ReadEverything | Action::Permute | Action::Print)
    }
}

/// Whose callables a table is about.
#[derive(Clone, Copy)]
pub enum Library {
    /// The interpreter's, and those of modules that cost nothing to import.
    Standard,
    Asyncio,
    Numpy,
}

/// Actions by [`address`], for each [`Library`] that the program has.
static TABLES: [OnceLock<FxHashMap<usize, Action>>; 3] = [const { OnceLock::new() }; 3];

/// Whether the table is in place.
pub fn is_installed(library: Library) -> bool {
    TABLES[library as usize].get().is_some()
}

/// Installs a table. Later calls do nothing.
pub fn install(library: Library, table: FxHashMap<usize, Action>) {
    let _ = TABLES[library as usize].set(table);
}

/// The action of the callable at an [`address`].
pub fn at(address: usize) -> Option<Action> {
    TABLES.iter().find_map(|table| table.get()?.get(&address).copied())
}

/// What identifies a C callable: its `PyMethodDef`, slot and function of a slot wrapper, or the type itself. 0 for others.
///
/// # Safety
/// `callable` is live.
pub unsafe fn address(callable: *mut ffi::PyObject) -> usize {
    // SAFETY: the type checks select the layout.
    unsafe {
        let class = ffi::Py_TYPE(callable);
        if class == &raw mut ffi::PyWrapperDescr_Type {
            // The slot, which all types share, and the function that this type has there.
            let fields = callable.cast::<u8>().add(40).cast::<usize>();
            return fields.read().rotate_left(32) ^ fields.add(1).read();
        }
        if ffi::PyType_Check(callable) != 0 {
            return callable as usize;
        }
        interpreter::method_def(callable) as usize
    }
}
