//! The bytecode rewriter behind a C interface, so that the Python tests can call it through ctypes.
//!
//! # Model
//! Every result is a buffer of little-endian 32-bit numbers and byte strings preceded by their length,
//! read by `recorder/tests/python/rewriting.py` and given back with [`frontrun_free`].

use std::{hint::black_box, ptr, slice};

use frontrun_recorder::bytecode::{
    BytecodeError, CodeView, KindSet, PyVersion, Rewritten, SiteKind, opcode_facts, rewrite,
};

/// A byte string owned by the caller of this library.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bytes {
    start: *const u8,
    length: usize,
}

impl Bytes {
    /// # Safety
    /// `start` must point to `length` readable bytes that outlive `'a`.
    unsafe fn as_slice<'a>(self) -> &'a [u8] {
        // SAFETY: guaranteed by the caller.
        unsafe { slice::from_raw_parts(self.start, self.length) }
    }
}

/// The parts of a code object.
#[repr(C)]
pub struct View {
    code: Bytes,
    exception_table: Bytes,
    line_table: Bytes,
    first_line: i32,
    n_consts: u32,
    stack_size: u32,
}

/// A buffer owned by this library.
#[repr(C)]
pub struct Buffer {
    start: *mut u8,
    length: usize,
}

impl Buffer {
    fn new(bytes: Vec<u8>) -> Buffer {
        let bytes = Box::leak(bytes.into_boxed_slice());
        Buffer { start: bytes.as_mut_ptr(), length: bytes.len() }
    }
}

/// Rewrites for CPython 3.`minor`: returns 0 for no site, 1 for rewritten code, 2 for an error text.
///
/// # Safety
/// The parts in `view` and `result` must be valid for reading and writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn frontrun_rewrite(
    minor: u8,
    view: *const View,
    kinds: u64,
    result: *mut Buffer,
) -> i32 {
    // SAFETY: the caller passes valid pointers.
    let (rewritten, result) = unsafe { (rewrite_view(minor, &*view, kinds), &mut *result) };
    let (status, bytes) = describe(rewritten);
    *result = Buffer::new(bytes);
    status
}

/// Frees a buffer filled by another function.
///
/// # Safety
/// `buffer` must come from this library and must not be used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn frontrun_free(buffer: Buffer) {
    // SAFETY: `Buffer::new` leaked exactly this box.
    drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(buffer.start, buffer.length)) });
}

/// Writes name and numbers of an opcode; returns 0 if the tables do not have it.
///
/// # Safety
/// `result` must be valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn frontrun_opcode_facts(minor: u8, opcode: u8, arg: u32, result: *mut Buffer) -> i32 {
    let facts = PyVersion::try_from((3, minor)).ok().and_then(|version| opcode_facts(version, opcode, arg));
    let mut bytes = Vec::new();
    if let Some(facts) = &facts {
        let numbers = [facts.caches.into(), facts.jumps.into(), facts.falls_through.into()];
        numbers.iter().for_each(|&number| push(&mut bytes, number));
        push(&mut bytes, facts.effect_next as u32);
        push(&mut bytes, facts.effect_target as u32);
        push_string(&mut bytes, facts.name.as_bytes());
    }
    // SAFETY: the caller passes a valid pointer.
    unsafe { *result = Buffer::new(bytes) };
    facts.is_some().into()
}

/// Writes the names of all kinds in the order of their bits.
///
/// # Safety
/// `result` must be valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn frontrun_kind_names(result: *mut Buffer) {
    let names: Vec<String> = SiteKind::ALL.iter().map(|kind| format!("{kind:?}")).collect();
    // SAFETY: the caller passes a valid pointer.
    unsafe { *result = Buffer::new(names.join(" ").into_bytes()) };
}

/// Rewrites the same code `rounds` times and drops the results, for measurements.
///
/// # Safety
/// The parts in `view` must be valid for reading.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn frontrun_rewrite_repeatedly(minor: u8, view: *const View, kinds: u64, rounds: u32) {
    for _ in 0..rounds {
        // SAFETY: guaranteed by the caller.
        let _ = black_box(unsafe { rewrite_view(minor, &*view, kinds) });
    }
}

/// # Safety
/// The parts in `view` must be valid for reading.
unsafe fn rewrite_view(minor: u8, view: &View, kinds: u64) -> Result<Option<Rewritten>, BytecodeError> {
    // SAFETY: guaranteed by the caller.
    let view = unsafe {
        CodeView {
            code: view.code.as_slice(),
            exception_table: view.exception_table.as_slice(),
            line_table: view.line_table.as_slice(),
            first_line: view.first_line,
            n_consts: view.n_consts,
            stack_size: view.stack_size,
        }
    };
    PyVersion::try_from((3, minor)).and_then(|version| rewrite(version, view, KindSet::from_bits(kinds)))
}

/// Status and contents of the result buffer.
fn describe(rewritten: Result<Option<Rewritten>, BytecodeError>) -> (i32, Vec<u8>) {
    let mut bytes = Vec::new();
    match rewritten {
        Ok(None) => (0, bytes),
        Err(error) => (2, error.to_string().into_bytes()),
        Ok(Some(rewritten)) => {
            push_string(&mut bytes, &rewritten.code);
            push_string(&mut bytes, &rewritten.exception_table);
            push_string(&mut bytes, &rewritten.line_table);
            push(&mut bytes, rewritten.stack_size);
            push(&mut bytes, rewritten.sites.len() as u32);
            for site in &rewritten.sites {
                let signed = [site.column as u32, site.end_column as u32];
                let names = site.keyword_names.unwrap_or(u32::MAX);
                let kind = site.kind as u32;
                push(&mut bytes, kind);
                push(&mut bytes, site.arg);
                push(&mut bytes, site.method_form.into());
                push(&mut bytes, names);
                push(&mut bytes, site.depth);
                push(&mut bytes, site.original_unit);
                push(&mut bytes, site.line);
                push(&mut bytes, site.end_line);
                push(&mut bytes, signed[0]);
                push(&mut bytes, signed[1]);
            }
            let n_units = rewritten.code.len() as u32 / 2;
            push(&mut bytes, n_units);
            for unit in 0..n_units {
                push(&mut bytes, rewritten.original_units.original(unit));
            }
            (1, bytes)
        }
    }
}

fn push(bytes: &mut Vec<u8>, number: u32) {
    bytes.extend(number.to_le_bytes());
}

fn push_string(bytes: &mut Vec<u8>, string: &[u8]) {
    push(bytes, string.len() as u32);
    bytes.extend(string);
}
