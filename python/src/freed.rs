//! Notices when the memory of an object is freed, so that its address can stand for another object.
//!
//! Model: objects of most types are freed through the interpreter's object allocator, whose `free` is wrapped. Lists
//! and dictionaries may be kept by the interpreter for reuse without being freed, so the deallocators of those two
//! types are wrapped too. Nothing is kept alive and no reference count changes.
//!
//! Invariant: the hooks touch the identities only, for addresses that the filter knows.

use crate::{interpreter, run};
use pyo3::ffi;
use std::ffi::c_void;
use std::sync::OnceLock;

static ALLOCATOR: OnceLock<Allocator> = OnceLock::new();
static LIST_DEALLOC: OnceLock<ffi::destructor> = OnceLock::new();
static DICT_DEALLOC: OnceLock<ffi::destructor> = OnceLock::new();

struct Allocator(ffi::PyMemAllocatorEx);

// SAFETY: a table of function pointers and a context pointer that the interpreter owns for good.
unsafe impl Send for Allocator {}
// SAFETY: as above; it is never written after it was set.
unsafe impl Sync for Allocator {}

#[inline]
fn forget(block: usize) {
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

unsafe extern "C" fn list_dealloc(object: *mut ffi::PyObject) {
    // SAFETY: a dying list still has its type.
    forget(unsafe { interpreter::block(object) });
    if let Some(original) = LIST_DEALLOC.get() {
        // SAFETY: the deallocator that the type had before.
        unsafe { original(object) }
    }
}

unsafe extern "C" fn dict_dealloc(object: *mut ffi::PyObject) {
    // SAFETY: a dying dictionary still has its type.
    forget(unsafe { interpreter::block(object) });
    if let Some(original) = DICT_DEALLOC.get() {
        // SAFETY: the deallocator that the type had before.
        unsafe { original(object) }
    }
}

/// Wraps the allocator and the two deallocators, once a process.
///
/// # Safety
/// The interpreter's lock is held.
pub unsafe fn install() {
    if ALLOCATOR.get().is_some() {
        return;
    }
    // SAFETY: the interpreter allows the allocator to be wrapped at any time, as long as the wrapper passes memory
    // on to the one that made it; the two types are static and writable.
    unsafe {
        let mut current = std::mem::MaybeUninit::<ffi::PyMemAllocatorEx>::uninit();
        ffi::PyMem_GetAllocator(ffi::PyMemAllocatorDomain::PYMEM_DOMAIN_OBJ, current.as_mut_ptr());
        let original = current.assume_init();
        let mut wrapped = ffi::PyMemAllocatorEx { free: Some(free), ..original };
        let _ = ALLOCATOR.set(Allocator(original));
        ffi::PyMem_SetAllocator(ffi::PyMemAllocatorDomain::PYMEM_DOMAIN_OBJ, &raw mut wrapped);
        for (class, slot, wrapper) in [
            (&raw mut ffi::PyList_Type, &LIST_DEALLOC, list_dealloc as ffi::destructor),
            (&raw mut ffi::PyDict_Type, &DICT_DEALLOC, dict_dealloc as ffi::destructor),
        ] {
            if let Some(original) = (*class).tp_dealloc {
                let _ = slot.set(original);
                (*class).tp_dealloc = Some(wrapper);
            }
        }
    }
}
