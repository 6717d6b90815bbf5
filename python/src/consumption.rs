//! C code that is about to take elements from an iterator, or is at it: what it touches before, between and besides the
//! steps of the iterator.
//!
//! # Model
//! On a free-threaded build a call such as `sum(d.values())` is what the same loop in Python is: it makes an iterator, which
//! reads the shape of what it is over (*begin*), and then each element is a step of its own (`free_threading`). What the
//! C code does with an element (*taken*), such as appending it to a list, is another one, if anybody can see it.
//!
//! # Invariants
//! Everything is read off the operands while the instruction is under way, as in `callbacks`. An instruction is split only if
//! all that the C code touches is touched by these steps: what cannot be told apart stays one step. So does what compares
//! elements that can change, since those from earlier steps are compared, too.

use crate::callbacks::Steps;
use crate::calls;
use crate::consumers::{self, Consumer, Does, Over, kinds};
use crate::container::{self, Family};
use crate::handed::{self, Handed, Look};
use crate::interpreter::Frame;
use crate::observed::Observed;
use crate::operands::{self, Operands};
use crate::site::Site;
use crate::{actions, class, iterators, names, views};
use frontrun_formats::{Location, Operation, Part};
use frontrun_recorder::bytecode::SiteKind;
use pyo3::ffi;
use smallvec::SmallVec;
use std::ptr;

type Object = *mut ffi::PyObject;

/// An instruction whose C code iterates.
pub struct Consumption {
    does: Does,
    kind: Kind,
    iterable: Object,
    /// What each element changes; null if that is nothing that others can have.
    target: Object,
    /// What is used along with each element.
    others: SmallVec<[Object; 4]>,
}

/// What an iterable is, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A container, a view, or an iterator over one.
    Stepping,
    /// An iterator that takes its elements from others.
    Composite,
    /// A class written in Python says how to iterate over it; what that gives may be an iterator of C code.
    Python,
}

impl Consumption {
    /// The consumption at `site`, if its instruction is one that is not atomic.
    ///
    /// # Safety
    /// Called from the hook of `site` with its frame, or while its instruction is under way.
    pub unsafe fn at(site: &Site, frame: Frame) -> Option<Consumption> {
        use SiteKind as K;
        // SAFETY: the site knows where its operands lie.
        unsafe {
            let operand = |from_top: u32| frame.slot((site.top - from_top) as usize);
            let simple =
                |consumer, iterable| Consumption::of(consumer, iterable, ptr::null_mut(), SmallVec::new());
            match site.kind {
                K::Call | K::CallKw | K::CallFunctionEx => of_call(&operands::operands(site, frame)?),
                K::ListExtend => simple(consumers::LIST_DISPLAY, operand(1)),
                K::SetUpdate => simple(consumers::SET_DISPLAY, operand(1)),
                K::UnpackSequence | K::UnpackEx => simple(consumers::UNPACKING, operand(1)),
                K::ForIter if kind(operand(1)) == Some(Kind::Composite) => {
                    simple(consumers::LOOP, operand(1))
                }
                K::InplaceOp => in_place(operand(2), operand(1)),
                _ => None,
            }
        }
    }

    /// That of a row of the table.
    unsafe fn of(
        consumer: Consumer,
        iterable: Object,
        target: Object,
        others: SmallVec<[Object; 4]>,
    ) -> Option<Consumption> {
        // SAFETY: operands of an instruction are live or null.
        unsafe {
            let kind = kind(iterable)?;
            let at_once = kind == Kind::Stepping && is_taken_at_once(iterable, consumer.at_once);
            (!at_once).then_some(Consumption { does: consumer.does, kind, iterable, target, others })
        }
    }

    /// How the instruction is to be split, seen from its hook.
    ///
    /// # Safety
    /// As for [`Consumption::at`].
    pub unsafe fn steps(&self) -> Steps {
        // SAFETY: as the caller promises.
        unsafe {
            if self.does == Does::Compares
                && (self.kind == Kind::Composite || holds_containers(self.iterable))
            {
                // What is compared with a later element can have changed since it was taken.
                return Steps::None;
            }
            let is_shared = self.kind == Kind::Composite && ffi::Py_REFCNT(self.iterable) > 1;
            if is_shared { Steps::Shared } else { Steps::Own }
        }
    }

    /// What the C code touches before it takes the first element.
    ///
    /// # Safety
    /// As for [`Consumption::at`].
    pub unsafe fn begin(&self, steps: Steps) -> Option<Observed> {
        let mut handed = Handed::default();
        // SAFETY: as the caller promises.
        unsafe {
            if let Some(at) = container::shape_of(self.iterable) {
                handed.add(at, false);
            }
            match iterators::always_steps(self.iterable) {
                true => {
                    self.share(steps, &mut handed);
                    self.read_others(&mut handed);
                }
                // There may be elements that come without a step.
                false => self.between(steps, &mut handed),
            }
        }
        handed.observed()
    }

    /// What the C code touches between two steps, whatever the element is.
    ///
    /// # Safety
    /// As for [`Consumption::at`].
    pub unsafe fn between(&self, steps: Steps, handed: &mut Handed) {
        // SAFETY: as the caller promises.
        unsafe {
            self.share(steps, handed);
            self.read_others(handed);
            if matches!(self.does, Does::Appends | Does::Adds | Does::Writes) {
                handed.write(self.target, Look::Items);
            }
            if self.asks_for_values() {
                handed.read(self.iterable, Look::Items);
            }
        }
    }

    /// Whether the iterable is a dictionary that is not like `dict`: it is asked for a list of its keys, and then for the
    /// value of each of these.
    unsafe fn asks_for_values(&self) -> bool {
        matches!(self.does, Does::Writes | Does::Unpacks)
            // SAFETY: as for `at`.
            && unsafe { container::family(self.iterable) } == Family::Dict
    }

    /// What the C code does once `iterator` has given it `element`.
    ///
    /// # Safety
    /// As for [`Consumption::at`]; the objects are live.
    pub unsafe fn taken(&self, iterator: Object, element: Object, steps: Steps) -> Option<Observed> {
        let mut handed = Handed::default();
        // SAFETY: as the caller promises.
        unsafe {
            if self.asks_for_values() {
                // The list of keys is its own.
                let is_of_list = ffi::Py_TYPE(iterator) == &raw mut ffi::PyListIter_Type;
                match (is_of_list, self.does) {
                    (false, _) => return None,
                    (true, Does::Unpacks) => return container::get(self.iterable, element),
                    (true, _) => {}
                }
            }
            if self.kind == Kind::Stepping {
                // It is this element, and no other, that is put into the target.
                match self.does {
                    Does::Appends => return Some(calls::append(self.target)),
                    Does::Adds => {
                        let add = |set, key| Operation::SetAdd { set, key };
                        return container::keyed(self.target, element, add);
                    }
                    _ => {}
                }
            }
            self.read_element(element, &mut handed);
            self.between(steps, &mut handed);
        }
        handed.observed()
    }

    /// The positions that others can see besides that of the iterator which makes the step.
    ///
    /// # Safety
    /// As for [`Consumption::at`].
    pub unsafe fn share(&self, steps: Steps, handed: &mut Handed) {
        // SAFETY: as the caller promises.
        unsafe {
            let whole = (steps == Steps::Shared).then_some(self.iterable);
            for iterator in whole.into_iter().chain(iterators::shared_behind(self.iterable)) {
                handed.add(Location::new(names::number(iterator), Part::State), true);
            }
        }
    }

    /// Reads what is used along with the elements, such as the function of `reduce` or of a `map` that is iterated over.
    unsafe fn read_others(&self, handed: &mut Handed) {
        let look = if self.does == Does::Compares { Look::Deep } else { Look::Items };
        // SAFETY: as for `at`.
        unsafe {
            for other in &self.others {
                handed.read(*other, look);
            }
            for function in iterators::applied(self.iterable) {
                handed.read(function, Look::Items);
            }
        }
    }

    unsafe fn read_element(&self, element: Object, handed: &mut Handed) {
        // SAFETY: as for `taken`.
        unsafe {
            if self.does == Does::Compares || iterators::looks_at_elements(self.iterable) {
                handed.read(element, Look::Deep);
            } else if matches!(self.does, Does::Looks | Does::Writes | Does::Unpacks) {
                handed.read(element, Look::Items);
            }
        }
    }
}

/// A call.
unsafe fn of_call(call: &Operands) -> Option<Consumption> {
    // SAFETY: as for `Consumption::at`.
    unsafe {
        if call.callable.is_null() || call.arguments.iter().any(|argument| argument.is_null()) {
            return None;
        }
        let consumer = consumers::at(actions::address(call.callable))?;
        let (target, arguments) = match (consumer.over, call.bound()) {
            (Over::Argument, Some(bound)) => (bound, &call.arguments[..]),
            (Over::Argument, None) => (*call.arguments.first()?, &call.arguments[1..]),
            _ => (ptr::null_mut(), &call.arguments[..]),
        };
        let at = usize::from(consumer.over == Over::Second);
        let iterable = *arguments.get(at)?;
        let mut others: SmallVec<[Object; 4]> = SmallVec::from_slice(arguments);
        others.remove(at);
        let is_alone = match consumer.over {
            // Several are iterated over one after the other, and keywords are something else.
            Over::Argument => others.is_empty(),
            Over::FirstAlone => !others.iter().any(|other| may_be_chosen(*other)),
            Over::First | Over::Second => true,
        };
        if is_alone { Consumption::of(consumer, iterable, target, others) } else { None }
    }
}

/// Whether an argument of `min` and `max` besides the first one can be one of those to choose from: a function is a key, and
/// nothing that can be iterated over is compared with a number or a text.
unsafe fn may_be_chosen(argument: Object) -> bool {
    // SAFETY: as for `Consumption::at`.
    unsafe {
        !argument.is_null()
            && ffi::PyCallable_Check(argument) == 0
            && argument != ffi::Py_None()
            && !handed::is_value(argument)
    }
}

/// `target += iterable` and `target |= iterable`.
unsafe fn in_place(target: Object, iterable: Object) -> Option<Consumption> {
    // SAFETY: as for `Consumption::at`.
    unsafe {
        if target.is_null() {
            return None;
        }
        let class = ffi::Py_TYPE(target);
        let consumer = if class == &raw mut ffi::PyList_Type {
            consumers::LIST_IN_PLACE
        } else if class == &raw mut ffi::PyDict_Type {
            consumers::DICT_IN_PLACE
        } else if std::ffi::CStr::from_ptr((*class).tp_name) == c"collections.deque" {
            consumers::DEQUE_IN_PLACE
        } else {
            return None;
        };
        Consumption::of(consumer, iterable, target, SmallVec::new())
    }
}

unsafe fn kind(iterable: Object) -> Option<Kind> {
    // SAFETY: as for `Consumption::at`.
    unsafe {
        if iterable.is_null() {
            return None;
        }
        let class = ffi::Py_TYPE(iterable);
        if iterators::steps(iterable) {
            Some(Kind::Stepping)
        } else if iterators::is_composite(iterable) {
            Some(Kind::Composite)
        } else {
            let iter = class::lookup_text(class, c"__iter__");
            let is_python = !iter.is_null() && ffi::PyFunction_Check(iter) != 0;
            (is_python && class::is_written_in_python(class)).then_some(Kind::Python)
        }
    }
}

/// Whether an iterable is of one of the kinds that the C code locks as a whole, by the test that the C code makes.
unsafe fn is_taken_at_once(iterable: Object, at_once: u8) -> bool {
    // SAFETY: as for `Consumption::at`.
    unsafe {
        let class = ffi::Py_TYPE(iterable);
        let is_view = class == &raw mut ffi::PyDictKeys_Type
            || class == &raw mut ffi::PyDictValues_Type
            || class == &raw mut ffi::PyDictItems_Type;
        let iterates_as_dict = ffi::PyDict_Check(iterable) != 0
            && (*class).tp_iter.map(|iter| iter as usize)
                == ffi::PyDict_Type.tp_iter.map(|iter| iter as usize);
        let kinds = [
            (kinds::LIST, ffi::PyList_CheckExact(iterable) != 0),
            (kinds::DICT, ffi::PyDict_CheckExact(iterable) != 0),
            (kinds::DICT_LIKE, iterates_as_dict),
            (kinds::SET, ffi::PyAnySet_CheckExact(iterable) != 0),
            (kinds::SET_LIKE, ffi::PyAnySet_Check(iterable) != 0),
            (kinds::VIEW, is_view),
        ];
        kinds.iter().any(|(kind, is)| *is && at_once & kind != 0)
    }
}

/// Whether elements of a container, or of what an iterator is over, can change: they are containers, or hold some.
unsafe fn holds_containers(iterable: Object) -> bool {
    // SAFETY: as for `Consumption::at`; what an iterator or a container holds is live.
    unsafe {
        let mut containers = vec![views::behind(iterable)];
        if container::family(iterable) == Family::Other {
            containers = handed::children(iterable);
        }
        containers.into_iter().flat_map(|container| handed::children(container)).any(|element| {
            let mut content = Handed::default();
            content.read(element, Look::Deep);
            content.observed().is_some()
        })
    }
}
