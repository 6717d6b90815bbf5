//! Hooks for a process that is already running: the places where loaded objects keep the addresses of libc functions
//! are made to lead to the hooks.
//!
//! Model: an object calls a function of another one through a slot that the loader fills in. The object's dynamic
//! section lists its slots with the names of the functions. Objects are visited once: what the loader fills in later
//! (lazy binding) it fills in before the first call, and a slot that leads to a hook is never lazy again.
//!
//! Not reached, other than by `LD_PRELOAD`: addresses that a program asked `dlsym` for.

use crate::hooks;
use crate::lock::Lock;
use libc::{c_int, c_void, dl_phdr_info, size_t};
use std::ffi::CStr;

/// Objects whose slots have been seen.
static SEEN: Lock<Seen> = Lock::new(Seen { objects: [(0, 0); MOST_OBJECTS], count: 0 });

/// Further objects are visited each time.
const MOST_OBJECTS: usize = 1024;

struct Seen {
    /// Where an object is loaded, and where its names are: another one may be loaded there after it is gone.
    objects: [(usize, usize); MOST_OBJECTS],
    count: usize,
}

/// An entry of a dynamic section.
#[repr(C)]
struct Dynamic {
    tag: i64,
    value: usize,
}

/// A relocation with addend.
#[repr(C)]
#[derive(Clone, Copy)]
struct Relocation {
    offset: usize,
    info: u64,
    addend: i64,
}

const DT_PLTRELSZ: i64 = 2;
const DT_STRTAB: i64 = 5;
const DT_SYMTAB: i64 = 6;
const DT_RELA: i64 = 7;
const DT_RELASZ: i64 = 8;
const DT_JMPREL: i64 = 23;

/// Relocations that fill in a function's address: of a call slot, of a data slot, of a word.
#[cfg(target_arch = "x86_64")]
const ADDRESSES: [u32; 3] = [7, 6, 1];
#[cfg(target_arch = "aarch64")]
const ADDRESSES: [u32; 3] = [1026, 1025, 257];

/// Names of objects that must keep the real functions: libc itself, the loader, the kernel's.
const SPARED: [&[u8]; 4] = [b"libc.so", b"ld-linux", b"linux-vdso", b"libfrontrun_io"];

/// One loaded object.
struct Object {
    base: usize,
    strings: usize,
    symbols: usize,
    /// Start and size in bytes of its two tables of relocations.
    tables: [(usize, usize); 2],
    /// What the loader made read-only after it had filled it in.
    sealed: (usize, usize),
}

/// See [`crate::frontrun_shim_attach`].
pub fn attach() -> u32 {
    let mut changed: u32 = 0;
    // SAFETY: the callback gets the counter back that is passed here.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut changed).cast()) };
    changed
}

/// Visits one object.
unsafe extern "C" fn visit(info: *mut dl_phdr_info, _size: size_t, changed: *mut c_void) -> c_int {
    // SAFETY: the loader describes an object that stays loaded during the call.
    unsafe {
        let (info, changed) = (&*info, &mut *changed.cast::<u32>());
        let name = if info.dlpi_name.is_null() { &[][..] } else { CStr::from_ptr(info.dlpi_name).to_bytes() };
        let file = name.rsplit(|byte| *byte == b'/').next().unwrap_or(name);
        if SPARED.iter().any(|spared| file.starts_with(spared)) {
            return 0;
        }
        if let Some(object) = Object::of(info)
            && SEEN.with(|seen| seen.enter((object.base, object.strings)))
        {
            *changed += object.redirect();
        }
    }
    0
}

impl Seen {
    /// Notes an object; returns whether it is new.
    fn enter(&mut self, object: (usize, usize)) -> bool {
        if self.objects[..self.count].contains(&object) {
            return false;
        }
        if self.count < MOST_OBJECTS {
            self.objects[self.count] = object;
            self.count += 1;
        }
        true
    }
}

impl Object {
    /// Reads the dynamic section.
    unsafe fn of(info: &dl_phdr_info) -> Option<Object> {
        let base = info.dlpi_addr as usize;
        // SAFETY: the loader's description is right; its segments are mapped.
        unsafe {
            let headers = std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum as usize);
            let segment = |kind| headers.iter().find(|header| header.p_type == kind);
            let dynamic = segment(libc::PT_DYNAMIC)?;
            let sealed = segment(libc::PT_GNU_RELRO)
                .map_or((0, 0), |header| (base + header.p_vaddr as usize, header.p_memsz as usize));
            let mut object = Object { base, strings: 0, symbols: 0, tables: [(0, 0); 2], sealed };
            let mut entry = (base + dynamic.p_vaddr as usize) as *const Dynamic;
            while (*entry).tag != 0 {
                let Dynamic { tag, value } = *entry;
                // The loader has made most of these absolute.
                let address = if value < base { base + value } else { value };
                match tag {
                    DT_STRTAB => object.strings = address,
                    DT_SYMTAB => object.symbols = address,
                    DT_JMPREL => object.tables[0].0 = address,
                    DT_PLTRELSZ => object.tables[0].1 = value,
                    DT_RELA => object.tables[1].0 = address,
                    DT_RELASZ => object.tables[1].1 = value,
                    _ => {}
                }
                entry = entry.add(1);
            }
            (object.strings != 0 && object.symbols != 0).then_some(object)
        }
    }

    /// Makes every slot of a hooked function lead to the hook; returns how many there were.
    unsafe fn redirect(&self) -> u32 {
        let mut changed = 0;
        for (start, size) in self.tables {
            for index in 0..if start == 0 { 0 } else { size / size_of::<Relocation>() } {
                // SAFETY: an element of the object's own table.
                unsafe {
                    let relocation = *(start as *const Relocation).add(index);
                    if let Some(hook) = self.hook_for(relocation) {
                        self.store(self.base + relocation.offset, hook);
                        changed += 1;
                    }
                }
            }
        }
        changed
    }

    /// The hook of the function whose address the relocation fills in.
    unsafe fn hook_for(&self, relocation: Relocation) -> Option<usize> {
        if !ADDRESSES.contains(&(relocation.info as u32)) || relocation.addend != 0 {
            return None;
        }
        // SAFETY: the index and the offset of the name come from the object itself.
        unsafe {
            let symbol = &*(self.symbols as *const libc::Elf64_Sym).add((relocation.info >> 32) as usize);
            let is_import = symbol.st_shndx == 0 && symbol.st_name != 0;
            let name = || CStr::from_ptr((self.strings + symbol.st_name as usize) as *const libc::c_char);
            if is_import { hooks::hook_of(name()) } else { None }
        }
    }

    /// Writes a slot, which may be read-only by now.
    unsafe fn store(&self, slot: usize, address: usize) {
        let (from, size) = self.sealed;
        let is_sealed = (from..from + size).contains(&slot);
        // SAFETY: the slot belongs to the object and holds an address; the page is made writable for the moment.
        unsafe {
            let page = slot & !(PAGE - 1);
            let protect = |how| libc::mprotect(page as *mut c_void, PAGE, how);
            if is_sealed && protect(libc::PROT_READ | libc::PROT_WRITE) != 0 {
                return;
            }
            (*(slot as *const std::sync::atomic::AtomicUsize))
                .store(address, std::sync::atomic::Ordering::Relaxed);
            if is_sealed {
                protect(libc::PROT_READ);
            }
        }
    }
}

/// The smallest page there is; a larger one is changed as a whole.
const PAGE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_whose_names_lie_at_the_same_distance_are_different_ones() {
        let mut seen = Seen { objects: [(0, 0); MOST_OBJECTS], count: 0 };
        assert!(seen.enter((0x10000, 0x10960)));
        assert!(seen.enter((0x20000, 0x20960)));
        assert!(!seen.enter((0x10000, 0x10960)));
        assert!(seen.enter((0x10000, 0x10970)));
    }
}
