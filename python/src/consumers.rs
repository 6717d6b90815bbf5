//! The table of C code that takes its input from an iterator, element by element: which iterables it takes at once all the
//! same, and what it does with each element.
//!
//! # Source
//! "Thread Safety Guarantees", <https://docs.python.org/3/library/threadsafety.html>, says which operations of lists and
//! dictionaries lock their arguments; for sets, strings and `sorted` it is `Objects/setobject.c` (`set_update_internal`),
//! `PySequence_Fast` with `Py_BEGIN_CRITICAL_SECTION_SEQUENCE_FAST`, and `PySequence_List`, which extends a list, of CPython
//! 3.13 built with `--disable-gil`. Everything else calls `tp_iternext` again and again and holds no lock of the iterable
//! meanwhile: PEP 703 and that page promise nothing there ("iteration [is] never atomic"). The lock of a *target* may be
//! given up while another one is waited for (PEP 703, "Python Critical Sections"), so what is added to a target is added
//! element by element.
//!
//! Subclasses count where the C code takes them for the class itself. `OrderedDict` and its views never do.
//!
//! # Not here
//! How a call that is under way is found out to be of a row (`consumption`), where the steps are made (`free_threading`).

use crate::actions;
use pyo3::prelude::*;
use rustc_hash::FxHashMap;
use std::sync::OnceLock;

/// Which of the things that a callable works on it iterates over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The first argument of a function or class.
    First,
    /// The second one; the first one is used along with it.
    Second,
    /// The only argument of a method, whose object changes or is used along with it.
    Argument,
    /// The first argument, unless there are several to choose from.
    FirstAlone,
}

/// What is done with each element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// It is put into something new that nobody else has, or thrown away.
    Keeps,
    /// What it consists of is looked at.
    Looks,
    /// It is compared, as deep as it goes.
    Compares,
    /// It is appended to the target, a list.
    Appends,
    /// It is added to the target, a set.
    Adds,
    /// What it consists of goes into the target.
    Writes,
    /// What it consists of goes into something new.
    Unpacks,
}

/// Kinds of iterables, as flags.
pub mod kinds {
    /// A list, and of no subclass.
    pub const LIST: u8 = 1;
    /// A dictionary, and of no subclass.
    pub const DICT: u8 = 2;
    /// A dictionary, perhaps of a subclass that iterates like one.
    pub const DICT_LIKE: u8 = 4;
    /// A set, frozen or not, and of no subclass.
    pub const SET: u8 = 8;
    /// A set, frozen or not, perhaps of a subclass.
    pub const SET_LIKE: u8 = 16;
    /// A view of a dictionary, and of no subclass.
    pub const VIEW: u8 = 32;
}

use kinds::{DICT, DICT_LIKE, LIST, SET, SET_LIKE, VIEW};

/// What `list.extend` locks together with the list.
const OF_EXTEND: u8 = LIST | DICT | SET | VIEW;

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Consumer {
    pub over: Over,
    /// The iterables that it takes at once, because it locks them.
    pub at_once: u8,
    pub does: Does,
}

/// `[*iterable]`.
pub const LIST_DISPLAY: Consumer = row(Over::First, OF_EXTEND, Does::Keeps);
/// `{*iterable}`.
pub const SET_DISPLAY: Consumer = row(Over::First, SET_LIKE | DICT, Does::Keeps);
/// `a, b = iterable`: a list is locked by the instruction that its type selects.
pub const UNPACKING: Consumer = row(Over::First, LIST, Does::Keeps);
/// `list += iterable`.
pub const LIST_IN_PLACE: Consumer = row(Over::Argument, OF_EXTEND, Does::Appends);
/// `deque += iterable`.
pub const DEQUE_IN_PLACE: Consumer = row(Over::Argument, 0, Does::Writes);
/// `dict |= iterable`.
pub const DICT_IN_PLACE: Consumer = row(Over::Argument, DICT_LIKE, Does::Writes);
/// `for element in zip(…)`: one element of an iterator that takes several to make it.
pub const LOOP: Consumer = row(Over::First, 0, Does::Keeps);

const fn row(over: Over, at_once: u8, does: Does) -> Consumer {
    Consumer { over, at_once, does }
}

/// `(module, class or "" for the module's functions and classes, row, names)`.
const ROWS: &[(&str, &str, Consumer, &str)] = &[
    ("builtins", "", row(Over::First, OF_EXTEND, Does::Keeps), "list"),
    ("builtins", "", row(Over::First, OF_EXTEND, Does::Compares), "sorted"),
    // `PySequence_Tuple` locks a list, and iterates over everything else.
    ("builtins", "", row(Over::First, LIST, Does::Keeps), "tuple"),
    ("builtins", "", row(Over::First, SET_LIKE | DICT, Does::Keeps), "set frozenset"),
    // One that is not like `dict` is asked for its keys and then for each value.
    ("builtins", "", row(Over::First, DICT_LIKE, Does::Unpacks), "dict"),
    ("builtins", "", row(Over::First, 0, Does::Looks), "any all sum"),
    ("builtins", "", row(Over::FirstAlone, 0, Does::Compares), "min max"),
    ("_functools", "", row(Over::Second, 0, Does::Compares), "reduce"),
    ("builtins", "list", row(Over::Argument, OF_EXTEND, Does::Appends), "extend __iadd__"),
    ("builtins", "set", row(Over::Argument, SET_LIKE | DICT, Does::Adds), "update"),
    ("builtins", "dict", row(Over::Argument, DICT_LIKE, Does::Writes), "update __ior__"),
    ("builtins", "dict", row(Over::First, SET | DICT, Does::Keeps), "fromkeys"),
    ("builtins", "str", row(Over::Argument, OF_EXTEND, Does::Keeps), "join"),
    ("builtins", "bytes", row(Over::Argument, OF_EXTEND, Does::Looks), "join"),
    ("collections", "", row(Over::First, 0, Does::Keeps), "deque"),
    ("collections", "deque", row(Over::Argument, 0, Does::Writes), "extend extendleft __iadd__"),
    ("_collections", "", row(Over::Argument, 0, Does::Writes), "_count_elements"),
];

/// Rows by [`actions::address`].
static TABLE: OnceLock<FxHashMap<usize, Consumer>> = OnceLock::new();

/// Resolves the names of the rows.
///
/// # Errors
/// When a module cannot be imported.
pub fn install(py: Python<'_>) -> PyResult<()> {
    let mut table = FxHashMap::default();
    for (module, class, row, names) in ROWS {
        let module = py.import(*module)?;
        let holder = if class.is_empty() { module.into_any() } else { module.getattr(*class)? };
        for name in names.split_whitespace() {
            // SAFETY: a live object, with the interpreter's lock held.
            let address = unsafe { actions::address(holder.getattr(name)?.as_ptr()) };
            if address != 0 {
                table.insert(address, *row);
            }
        }
    }
    let _ = TABLE.set(table);
    Ok(())
}

/// The row of the callable at an address.
pub fn at(address: usize) -> Option<Consumer> {
    TABLE.get()?.get(&address).copied()
}
