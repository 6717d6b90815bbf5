//! Notices when the memory of an object is freed, so that its address can stand for another object.
//!
//! Model: objects of most types are freed through the interpreter's object allocator, whose `free` is wrapped. Lists,
//! dictionaries, and from 3.14 on some iterators and bound methods, may be kept by the interpreter for reuse without being
//! freed, so the deallocators of those types are wrapped too. Nothing is kept alive and no reference count changes.
//!
//! Invariant: the hooks touch the identities and hashes only, for addresses that the filter knows.

use crate::{hashes, interpreter, run};
use pyo3::ffi;
use std::ffi::c_void;
use std::sync::OnceLock;

static ALLOCATOR: OnceLock<Allocator> = OnceLock::new();
/// The deallocators that the types of [`kept`] had before.
static DEALLOCS: [OnceLock<ffi::destructor>; N_KEPT] = [const { OnceLock::new() }; N_KEPT];

const N_KEPT: usize = if cfg!(Py_3_14) { 8 } else { 2 };

/// The types whose objects the interpreter keeps for reuse, as far as they get numbers, each with its wrapper.
fn kept() -> [(*mut ffi::PyTypeObject, ffi::destructor); N_KEPT] {
    [
        (&raw mut ffi::PyList_Type, dealloc::<0>),
        (&raw mut ffi::PyDict_Type, dealloc::<1>),
        #[cfg(Py_3_14)]
        (&raw mut ffi::PyListIter_Type, dealloc::<2>),
        #[cfg(Py_3_14)]
        (&raw mut PyTupleIter_Type, dealloc::<3>),
        #[cfg(Py_3_14)]
        (&raw mut ffi::PyRange_Type, dealloc::<4>),
        #[cfg(Py_3_14)]
        (&raw mut ffi::PyRangeIter_Type, dealloc::<5>),
        #[cfg(Py_3_14)]
        (&raw mut PyMethod_Type, dealloc::<6>),
        #[cfg(Py_3_14)]
        (&raw mut ffi::PyCFunction_Type, dealloc::<7>),
    ]
}

#[cfg(Py_3_14)]
#[allow(non_upper_case_globals)]
unsafe extern "C" {
    static mut PyTupleIter_Type: ffi::PyTypeObject;
    static mut PyMethod_Type: ffi::PyTypeObject;
}

struct Allocator(ffi::PyMemAllocatorEx);

// SAFETY: a table of function pointers and a context pointer that the interpreter owns for good.
unsafe impl Send for Allocator {}
// SAFETY: as above; it is never written after it was set.
unsafe impl Sync for Allocator {}

#[inline]
fn forget(block: usize) {
    hashes::forget(block);
    // SAFETY: objects are freed with the interpreter's lock held; the borrow ends here.
    if let Some(identities) = unsafe { run::identities() } {
        identities.forget(block);
    }
}

extern "C" fn free(context: *mut c_void, memory: *mut c_void) {
    forget(memory as usize);
    // The call is passed on to the allocator that was installed before.
    if let Some(original) = ALLOCATOR.get().and_then(|Allocator(original)| original.free) {
        original(context, memory);
    }
}

unsafe extern "C" fn dealloc<const NTH: usize>(object: *mut ffi::PyObject) {
    // SAFETY: a dying object still has its type.
    forget(unsafe { interpreter::block(object) });
    if let Some(original) = DEALLOCS[NTH].get() {
        // SAFETY: the deallocator that the type had before.
        unsafe { original(object) }
    }
}

/// Wraps the allocator and these deallocators, once a process.
///
/// # Safety
/// The interpreter's lock is held.
pub unsafe fn install() {
    if ALLOCATOR.get().is_some() {
        return;
    }
    // SAFETY: the interpreter allows the allocator to be wrapped at any time, as long as the wrapper passes memory
    // on to the one that made it; the types are static and writable.
    unsafe {
        let mut current = std::mem::MaybeUninit::<ffi::PyMemAllocatorEx>::uninit();
        ffi::PyMem_GetAllocator(ffi::PyMemAllocatorDomain::PYMEM_DOMAIN_OBJ, current.as_mut_ptr());
        let original = current.assume_init();
        let mut wrapped = ffi::PyMemAllocatorEx { free: Some(free), ..original };
        let _ = ALLOCATOR.set(Allocator(original));
        ffi::PyMem_SetAllocator(ffi::PyMemAllocatorDomain::PYMEM_DOMAIN_OBJ, &raw mut wrapped);
        for ((class, wrapper), slot) in kept().into_iter().zip(&DEALLOCS) {
            if let Some(original) = (*class).tp_dealloc {
                let _ = slot.set(original);
                (*class).tp_dealloc = Some(wrapper);
            }
        }
    }
}
