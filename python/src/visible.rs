//! From an instruction that is about to execute to the operation that it is.
//!
//! Model: [`reached`] is the whole life of a hook: find the operation, wait for the turn, find it again if others
//! ran meanwhile, record it. An instruction that touches nothing shared (an immutable operand, a Python
//! function's call) is no operation and no switch point.
//!
//! Not here: attributes, containers and calls, which have modules of their own.

use crate::callbacks::Steps;
use crate::consumption::Consumption;
use crate::handed::{Handed, Look};
use crate::interpreter::Frame;
use crate::names::Name;
use crate::observed::{Observed, read, several, write};
use crate::site::{Seen, Site};
use crate::{
    attribute, behalf, callbacks, calls, class, container, controlled, epoch, free_threading, iteration,
    names, operators, results, run, spinning, switching, worker,
};
use frontrun_formats::{Location, Operation, Part};
use frontrun_recorder::bytecode::SiteKind;
use frontrun_recorder::gate::only_reads;
use pyo3::ffi;
use std::ffi::c_int;

/// The hook: the `mp_ass_subscript` slot of the type of sites.
///
/// # Safety
/// Called from bytecode with a site.
pub unsafe extern "C" fn hook(
    site: *mut ffi::PyObject,
    _key: *mut ffi::PyObject,
    _value: *mut ffi::PyObject,
) -> c_int {
    if run::is_recording() {
        // SAFETY: the slot belongs to the type of sites, and bytecode called it.
        unsafe { reached(&*site.cast::<Site>()) }
    } else if worker::is_active() {
        // SAFETY: as above.
        unsafe { passed(&*site.cast::<Site>()) };
        0
    } else if epoch::has_advanced() && controlled::is_stale() {
        controlled::refuse()
    } else {
        0
    }
}

/// Notes where a worker process is. What it does to its memory nobody shares.
///
/// # Safety
/// As for [`reached`].
unsafe fn passed(site: &'static Site) {
    let Some(me) = controlled::visible_thread() else { return };
    // SAFETY: bytecode called the hook, so the current frame is that of the site.
    if unsafe { behalf::counts(me, Frame::current(), site.seen) }.is_some() {
        controlled::set_last_site(site, 0);
    }
}

/// Whether something moves on that only its next step tells. A coroutine is awaited once, and its frame is one of the
/// thread's as long as it goes on.
///
/// # Safety
/// As for [`reached`].
unsafe fn advances(site: &Site, frame: Frame) -> bool {
    match site.kind {
        SiteKind::ForIter | SiteKind::YieldValue => true,
        // SAFETY: what is awaited lies below the value that is sent.
        SiteKind::Send => unsafe { ffi::PyCoro_CheckExact(frame.slot(site.top as usize - 2)) == 0 },
        _ => false,
    }
}

/// Handles the hook of `site`: returns 0, or -1 with an exception set when the run is over.
///
/// # Safety
/// Called from bytecode, right before the instruction of `site`.
#[inline(never)] // Or the hook would save registers that it does not need where nothing is recorded.
unsafe fn reached(site: &'static Site) -> c_int {
    let Some(me) = controlled::visible_thread() else { return 0 };
    // SAFETY: bytecode called the hook, so the current frame is the one that holds the operands.
    unsafe {
        let frame = Frame::current();
        switching::pass(site, frame);
        let Some(seen) = behalf::counts(me, frame, site.seen) else { return 0 };
        if seen == Seen::InScope && controlled::whole_step().is_none() {
            run::leave_block(me);
        }
        controlled::set_last_site(site, frame.address());
        if advances(site, frame) {
            spinning::progress();
        }
        let whole = seen != Seen::InScope || run::is_in_block(me);
        let look = || look(site, frame, whole);
        let (observed, mut steps) = look();
        let Some(mut observed) = observed else {
            if steps != Steps::None || results::are_used(site, frame) {
                callbacks::enter(site, frame, steps);
            }
            return 0;
        };
        if site.in_loop && site.kind != SiteKind::Return && only_reads(&observed.0) {
            if spinning::await_change(me, site, frame) {
                callbacks::enter(site, frame, steps);
                return if controlled::is_stale() { controlled::refuse() } else { 0 };
            }
            if let Operation::ListGet { .. } = observed.0 {
                // A watch that has begun here has to be told the length.
                observed = look().0.unwrap_or(observed);
            }
        }
        if run::is_in_block(me) {
            switching::at_hook(|| run::execute_in_block(me, site, observed.0, observed.1));
            callbacks::enter(site, frame, Steps::None);
            return 0;
        }
        run::announce(me, &observed.0);
        if run::reach(me, Some(site), None) {
            if controlled::is_stale() {
                return controlled::refuse();
            }
            controlled::set_last_site(site, frame.address());
            let (again, split) = look();
            (observed, steps) = (again.unwrap_or((Operation::Pause, 1)), split);
        } else if controlled::is_stale() {
            return controlled::refuse();
        }
        switching::at_hook(|| match seen {
            Seen::Atomic => run::execute_in_block(me, site, observed.0, observed.1),
            _ => run::execute(me, Some(site), observed.0, observed.1),
        });
        callbacks::enter(site, frame, steps);
    }
    0
}

/// The operation of the instruction at `site`, in the present state, and whether its C code has steps of its own, which
/// that of a block (`whole`) never has.
///
/// # Safety
/// As for [`reached`].
unsafe fn look(site: &Site, frame: Frame, whole: bool) -> (Option<Observed>, Steps) {
    // SAFETY: as the caller promises.
    unsafe {
        match if whole { None } else { free_threading::split(site, frame) } {
            Some((consumption, steps)) => (consumption.begin(steps), steps),
            None => (observe(site, frame), Steps::None),
        }
    }
}

/// The operation of the instruction at `site`, in the present state.
///
/// # Safety
/// As for [`reached`].
unsafe fn observe(site: &Site, frame: Frame) -> Option<Observed> {
    use SiteKind as K;
    // SAFETY: the site knows how many operands its instruction has; they lie below `top`.
    unsafe {
        let operand = |from_top: u32| frame.slot((site.top - from_top) as usize);
        match site.kind {
            K::LoadAttr | K::LoadMethod | K::ImportFrom => attribute::load(operand(1), name_of(site)),
            K::StoreAttr | K::DeleteAttr => attribute::store(operand(1), name_of(site)),
            K::LoadSuperAttr => attribute::load_super(operand(2), operand(1), name_of(site)),
            K::LoadGlobal | K::LoadFromDictOrGlobals => global(frame, site, false),
            K::StoreGlobal | K::DeleteGlobal => global(frame, site, true),
            K::LoadName => name(frame, site, false),
            K::StoreName | K::DeleteName => name(frame, site, true),
            K::LoadDeref | K::LoadClassDeref => cell(frame, site, false),
            K::StoreDeref | K::DeleteDeref => cell(frame, site, true),
            K::BinarySubscr => container::get(operand(2), operand(1)),
            K::StoreSubscr => operators::assign(operand(2), operand(1), operand(3)),
            K::DeleteSubscr => container::delete(operand(2), operand(1)),
            K::BinarySlice => operators::slice(operand(3)),
            K::StoreSlice => operators::assign_slice(operand(3), (operand(2), operand(1)), operand(4)),
            K::Contains => operators::contains(operand(1), operand(2)),
            K::Compare => operators::compare(operand(2), operand(1)),
            K::BinaryOp => operators::binary(site.arg, operand(2), operand(1)),
            K::UnaryOp => operators::unary(operand(1)),
            K::InplaceOp => operators::in_place(site.arg, operand(2), operand(1)),
            K::IsTrue => container::truth(operand(1)),
            K::MatchKeys => container::get_several(operand(2), operand(1)),
            K::GetIter | K::GetYieldFromIter | K::GetLen => container::read_shape(operand(1)),
            K::ForIter => iteration::next(operand(1)),
            K::UnpackSequence | K::UnpackEx | K::ListExtend | K::SetUpdate | K::DictUpdate | K::DictMerge => {
                operators::items(operand(1))
            }
            K::FormatValue => operators::format(operand(if site.arg & 4 != 0 { 2 } else { 1 })),
            K::Call | K::CallKw | K::CallFunctionEx => calls::observe(site, frame),
            K::MatchClass => attribute::load_several(operand(3), operand(2), operand(1), site.arg),
            K::Enter => enter(site, frame),
            K::YieldValue | K::Return | K::Reraise => leave(site, frame),
            K::Send => iteration::send(operand(2)),
            _ => None,
        }
    }
}

/// A frame gives control back: that of a generator which others may hold, or of a function that C code has called.
///
/// # Safety
/// As for [`reached`].
unsafe fn leave(site: &Site, frame: Frame) -> Option<Observed> {
    // SAFETY: the frame is live, and an instruction that is under way has its operands where its site says.
    unsafe {
        let pause = iteration::pause(frame.generator());
        let behind = callbacks::instruction_behind(frame);
        let given = results::given(site, frame);
        let iterator = if iteration::is_of_container(given) { given } else { std::ptr::null_mut() };
        if behind.is_none() && iterator.is_null() {
            return pause;
        }
        let mut handed = Handed::default();
        let operation = match behind {
            None => None,
            // What it makes is advanced by instructions of their own.
            Some((instruction, _)) if (*instruction.site).kind == SiteKind::GetIter => return pause,
            Some((instruction, caller)) if callbacks::is_last(&instruction, frame, caller) => return pause,
            Some((instruction, caller)) if instruction.steps != Steps::None => {
                if let Some(consumption) = Consumption::at(&*instruction.site, caller) {
                    consumption.between(instruction.steps, &mut handed);
                }
                None
            }
            Some((instruction, caller)) => {
                results::read(given, frame.generator(), &instruction, caller, &mut handed);
                observe(&*instruction.site, caller)
            }
        };
        let takes_at_once = |(instruction, caller): (callbacks::Instruction, Frame)| {
            instruction.steps == Steps::None && !results::makes_iterator(&*instruction.site, caller)
        };
        if site.kind == SiteKind::Return && behind.is_none_or(takes_at_once) {
            handed.read(iterator, Look::Deep);
        }
        if operation.is_none() && handed.is_empty() {
            return pause;
        }
        let (me, run) = (controlled::visible_thread()?, run::get()?);
        for (operation, _) in pause.into_iter().chain(operation) {
            callbacks::again(operation, me, run.gate.state(), &mut handed);
        }
        handed.observed()
    }
}

/// A function that counts as C code begins: it may change what it is handed, as C code may that nothing is known of.
///
/// # Safety
/// As for [`reached`].
unsafe fn enter(site: &Site, frame: Frame) -> Option<Observed> {
    let mut handed = Handed::default();
    // SAFETY: the arguments are the first of the frame's slots; one that an inner function uses is in a cell.
    unsafe {
        for slot in 0..site.arg as usize {
            let argument = frame.slot(slot);
            if !argument.is_null() && ffi::Py_TYPE(argument) == &raw mut ffi::PyCell_Type {
                handed.write_content(argument);
            } else {
                handed.write(argument, Look::Attributes);
            }
        }
    }
    handed.observed()
}

fn name_of(site: &Site) -> Name<'_> {
    Name::kept(site.name, &site.name_key)
}

fn access(at: Location, is_write: bool) -> Observed {
    if is_write { write(at) } else { read(at) }
}

/// A global variable: an entry of the globals dictionary. A name that is missing there is read there and among the built-in
/// ones.
unsafe fn global(frame: Frame, site: &Site, is_write: bool) -> Option<Observed> {
    // SAFETY: the frame is live.
    unsafe {
        let globals = frame.globals();
        if globals.is_null() {
            return None;
        }
        let part = Part::Key(name_of(site).key());
        let at = Location::new(names::number(globals), part);
        let builtins = frame.builtins();
        if is_write || builtins.is_null() || class::dict_has(globals, site.name) {
            return Some(access(at, is_write));
        }
        several(vec![at, Location::new(names::number(builtins), part)], false)
    }
}

/// A name in a module or class body, or in a text that is executed with variables of its own. A class body's own names are
/// not shared before the class exists.
unsafe fn name(frame: Frame, site: &Site, is_write: bool) -> Option<Observed> {
    // SAFETY: the frame is live; `f_locals` of a class body is a dictionary unless a metaclass says otherwise.
    unsafe {
        let (locals, globals) = (frame.locals(), frame.globals());
        if locals == globals || (!is_write && !class::dict_has(locals, site.name)) {
            return global(frame, site, is_write);
        }
        let is_class_body = crate::interpreter::text(site.function) != "<module>";
        (!is_class_body && ffi::PyDict_CheckExact(locals) != 0)
            .then(|| access(Location::new(names::number(locals), Part::Key(name_of(site).key())), is_write))
    }
}

/// A variable that functions share through a cell.
unsafe fn cell(frame: Frame, site: &Site, is_write: bool) -> Option<Observed> {
    // SAFETY: the argument is an index into `localsplus`.
    unsafe {
        let cell = frame.slot(site.arg as usize);
        if cell.is_null() || ffi::Py_TYPE(cell) != &raw mut ffi::PyCell_Type {
            return None;
        }
        Some(access(Location::new(names::number(cell), Part::State), is_write))
    }
}
