//! A rewriter that puts a hook before every visible instruction of a CPython code object.
//!
//! # Model
//! [`rewrite`] takes the parts of a code object as bytes and returns new parts and a list of sites.
//! The caller makes one native object for each site, appends them to `co_consts` in order, and builds a code
//! object from the parts; nested code objects are constants, which the caller rewrites on its own.
//! When the code runs, `LOAD_CONST site; LOAD_CONST site; DELETE_SUBSCR` calls `mp_ass_subscript` of the site
//! right before the instruction it guards.
//! The hook reads the operands from the value stack of the frame, whose depth there is
//! [`SiteSpec::depth`].
//!
//! The steps, one module each: `decode` the instructions, find the static `depth` of the stack, read the
//! `line_table`, `plan` the hooks and note how each is reached (`arrival`), `layout` the new code, and translate the `exception_table` and the line
//! table to it.
//!
//! # Invariants
//! Checked on the standard library by `recorder/tests/python/test_rewrite_stdlib.py`:
//! - without its hooks the new code is the old code, jumps and protected ranges included;
//! - each instruction keeps its `co_positions`, so tracebacks do not change;
//! - a hook is never placed where the interpreter looks at neighbouring instructions (see `plan`).
//!
//! Any input yields a result or a [`BytecodeError`], in time linear in its size.
//!
//! # Not here
//! Code objects, frames and the hook itself: this module knows bytes only, no interpreter.

mod arrival;
mod decode;
mod depth;
mod error;
mod exception_table;
mod layout;
mod line_table;
mod offset_map;
mod opcode;
mod plan;
mod site;
mod v3_11;
mod v3_12;
mod v3_13;
mod v3_14;
mod version;

pub use error::BytecodeError;
pub use offset_map::OffsetMap;
pub use opcode::{OpcodeFacts, opcode_facts};
pub use site::{KindSet, SiteKind, SiteSpec};
pub use version::PyVersion;

use decode::Program;
use exception_table::Entry;
use layout::Layout;
use line_table::Location;
use plan::Hook;

/// The parts of a code object that the rewriter reads.
#[derive(Debug, Clone, Copy)]
pub struct CodeView<'a> {
    /// `co_code`: not specialised, caches zero.
    pub code: &'a [u8],
    /// `co_exceptiontable`.
    pub exception_table: &'a [u8],
    /// `co_linetable`.
    pub line_table: &'a [u8],
    /// `co_firstlineno`.
    pub first_line: i32,
    /// `len(co_consts)`.
    pub n_consts: u32,
    /// `co_stacksize`.
    pub stack_size: u32,
}

/// The parts of the code object with hooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// The new `co_code`.
    pub code: Vec<u8>,
    /// The new `co_exceptiontable`.
    pub exception_table: Vec<u8>,
    /// The new `co_linetable`.
    pub line_table: Vec<u8>,
    /// The new `co_stacksize`, at most two more than before.
    pub stack_size: u32,
    /// The sites in the order of the code; number `i` is to be constant `n_consts + i`.
    pub sites: Vec<SiteSpec>,
    /// From units of the new code to units of the old.
    pub original_units: OffsetMap,
}

/// The code with a hook before each visible instruction of these kinds, or nothing if there is none.
pub fn rewrite(
    version: PyVersion,
    view: CodeView<'_>,
    kinds: KindSet,
) -> Result<Option<Rewritten>, BytecodeError> {
    let mut program = Program::decode(version.table(), view.code)?;
    let entries = exception_table::read(view.exception_table)?;
    let depths = depth::depths(&mut program, &entries, view.stack_size)?;
    let locations = line_table::read(view.line_table, view.first_line, &program.instructions)?;
    let hooks = plan::plan(&program, &entries, &depths, &locations, kinds);
    if hooks.is_empty() {
        return Ok(None);
    }
    let layout = Layout::new(&program, &hooks, view.n_consts)?;
    Ok(Some(Rewritten {
        code: layout.code(view.n_consts),
        exception_table: translate_entries(&program, &layout, &entries)?,
        line_table: translate_locations(&layout, &locations, &view),
        stack_size: stack_size(&hooks, view.stack_size),
        sites: hooks.iter().map(|hook| hook.site).collect(),
        original_units: layout.offset_map(),
    }))
}

/// The exception table for the new positions; a range that starts at an instruction includes its hook.
fn translate_entries(
    program: &Program,
    layout: &Layout<'_>,
    entries: &[Entry],
) -> Result<Vec<u8>, BytecodeError> {
    let mut table = Vec::with_capacity(8 * entries.len());
    for &entry in entries {
        let start = layout.start(program.index_of(entry.start)?);
        let end = layout.start(program.index_of(entry.end)?);
        let target = layout.start(program.index_of(entry.target)?);
        exception_table::write(&mut table, &Entry { start, end, target, ..entry })?;
    }
    Ok(table)
}

/// The line table for the new positions; a hook has the location of the instruction it is placed before.
fn translate_locations(layout: &Layout<'_>, locations: &[Location], view: &CodeView<'_>) -> Vec<u8> {
    let mut writer = line_table::Writer::new(view.first_line, 2 * view.line_table.len());
    for (index, &location) in (0..).zip(locations) {
        writer.push(location, layout.n_units(index));
    }
    writer.finish()
}

/// Room for the two values of a hook at the deepest place that has one.
fn stack_size(hooks: &[Hook], original: u32) -> u32 {
    let deepest = hooks.iter().map(|hook| hook.site.depth).max().unwrap_or(0);
    original.max(deepest.saturating_add(2))
}

#[cfg(test)]
mod tests;
