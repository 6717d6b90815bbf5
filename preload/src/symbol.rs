//! The real functions behind the hooks: `dlsym(RTLD_NEXT)`, once each.
//!
//! All are looked up by our constructor; a call that comes earlier looks up its own. `dlsym` may allocate and take
//! the loader's lock, which is one reason to be early: afterwards hooks are safe in signal handlers.

use crate::raw;
use libc::c_void;
use std::ffi::CStr;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The next definition of a function after ours, as a function pointer of type `F`.
pub struct Symbol<F> {
    name: &'static CStr,
    address: AtomicPtr<c_void>,
    of: PhantomData<F>,
}

impl<F: Copy> Symbol<F> {
    /// Not yet looked up.
    pub const fn new(name: &'static CStr) -> Self {
        Symbol { name, address: AtomicPtr::new(std::ptr::null_mut()), of: PhantomData }
    }

    /// Its name.
    pub fn name(&self) -> &'static CStr {
        self.name
    }

    /// The function, or None when this libc does not have it.
    #[inline]
    pub fn get(&self) -> Option<F> {
        let address = self.address.load(Ordering::Relaxed);
        let address = if address.is_null() { self.resolve() } else { address };
        // SAFETY: `F` is a function pointer type (`hooks!` is the only maker of symbols), so it has the size of a
        // pointer and `Option<F>` has null as its None; the address is the one of the function of that name,
        // whose signature `hooks!` repeats from the C header.
        unsafe { std::mem::transmute_copy::<*mut c_void, Option<F>>(&address) }
    }

    /// Looks the name up again: two threads may do it at once, with one result.
    #[cold]
    pub fn resolve(&self) -> *mut c_void {
        let saved = raw::errno();
        // SAFETY: the name is terminated; `RTLD_NEXT` asks for the definition after this library's.
        let address = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
        self.address.store(address, Ordering::Relaxed);
        raw::set_errno(saved);
        address
    }
}
