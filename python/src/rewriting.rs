//! Rewrites code objects: calls the rewriter and builds the new code object with its site constants.
//!
//! Not here: where hooks go (recorder::bytecode), which code is in scope (the Python side decides).

use crate::site::{self, Place, Seen};
use crate::visible;
use frontrun_recorder::bytecode::{self, CodeView, KindSet, PyVersion, SiteKind, SiteSpec};
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCode, PyDict, PyList, PyString, PyTuple};

/// The kinds of instructions that can touch what threads share.
const VISIBLE: KindSet = KindSet::of(&[
    SiteKind::LoadAttr,
    SiteKind::LoadMethod,
    SiteKind::StoreAttr,
    SiteKind::DeleteAttr,
    SiteKind::LoadSuperAttr,
    SiteKind::LoadGlobal,
    SiteKind::StoreGlobal,
    SiteKind::DeleteGlobal,
    SiteKind::LoadName,
    SiteKind::StoreName,
    SiteKind::DeleteName,
    SiteKind::LoadDeref,
    SiteKind::StoreDeref,
    SiteKind::DeleteDeref,
    SiteKind::LoadClassDeref,
    SiteKind::LoadFromDictOrGlobals,
    SiteKind::BinarySubscr,
    SiteKind::StoreSubscr,
    SiteKind::DeleteSubscr,
    SiteKind::BinarySlice,
    SiteKind::StoreSlice,
    SiteKind::Contains,
    SiteKind::Compare,
    SiteKind::IsTrue,
    SiteKind::GetIter,
    SiteKind::ForIter,
    SiteKind::Send,
    SiteKind::UnpackSequence,
    SiteKind::UnpackEx,
    SiteKind::ListExtend,
    SiteKind::SetUpdate,
    SiteKind::DictUpdate,
    SiteKind::DictMerge,
    SiteKind::Call,
    SiteKind::CallKw,
    SiteKind::CallFunctionEx,
    SiteKind::UnaryOp,
    SiteKind::BinaryOp,
    SiteKind::InplaceOp,
    SiteKind::FormatValue,
    SiteKind::ImportFrom,
    SiteKind::MatchSequence,
    SiteKind::MatchMapping,
    SiteKind::MatchKeys,
    SiteKind::GetLen,
    SiteKind::MatchClass,
    SiteKind::YieldValue,
    SiteKind::BeforeWith,
    SiteKind::WithExceptStart,
    SiteKind::Return,
]);

/// A generator that ends is one that can be resumed again, by whoever else holds it.
const VISIBLE_IN_GENERATOR: KindSet = VISIBLE.with(SiteKind::Reraise);

/// What is seen of code that counts as C code.
const OF_NATIVE: KindSet = KindSet::of(&[SiteKind::Enter]);

/// The interpreter's version as the rewriter names it.
pub fn version(py: Python<'_>) -> PyResult<PyVersion> {
    let info = py.version_info();
    PyVersion::try_from((info.major, info.minor)).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// Returns `code` with a hook before every visible instruction, in nested code objects too. Code without such
/// instructions, or with hooks already, comes back as it is.
///
/// # Errors
/// When the code object is malformed.
pub fn rewrite<'py>(code: &Bound<'py, PyAny>, seen: Seen) -> PyResult<Bound<'py, PyAny>> {
    let py = code.py();
    let old_consts = code.getattr("co_consts")?.cast_into::<PyTuple>()?;
    let consts = PyList::empty(py);
    // SAFETY: borrowed constants of a live code object, with the lock held.
    if old_consts.iter().any(|constant| unsafe { site::of_constant(constant.as_ptr()) }.is_some()) {
        return Ok(code.clone());
    }
    let mut nested_changed = false;
    for constant in &old_consts {
        if constant.is_instance_of::<PyCode>() {
            let inner = rewrite(&constant, if is_annotation(&constant)? { Seen::Hidden } else { seen })?;
            nested_changed |= !inner.is(&constant);
            consts.append(inner)?;
        } else {
            consts.append(constant)?;
        }
    }
    if matches!(seen, Seen::Hidden | Seen::Driving) {
        consts.append(mark(code, seen)?)?;
        let changes = PyDict::new(py);
        changes.set_item("co_consts", consts.to_tuple())?;
        return code.call_method("replace", (), Some(&changes));
    }
    let bytes = |name: &str| -> PyResult<Bound<'py, PyBytes>> { Ok(code.getattr(name)?.cast_into()?) };
    let (body, exceptions, lines) = (bytes("co_code")?, bytes("co_exceptiontable")?, bytes("co_linetable")?);
    let view = CodeView {
        code: body.as_bytes(),
        exception_table: exceptions.as_bytes(),
        line_table: lines.as_bytes(),
        first_line: code.getattr("co_firstlineno")?.extract()?,
        n_consts: old_consts.len() as u32,
        stack_size: code.getattr("co_stacksize")?.extract()?,
    };
    let is_generator = code.getattr("co_flags")?.extract::<i32>()? & ffi::CO_GENERATOR != 0;
    let kinds = match seen {
        Seen::Native => OF_NATIVE,
        _ if is_generator => VISIBLE_IN_GENERATOR,
        _ => VISIBLE,
    };
    let rewritten = bytecode::rewrite(version(py)?, view, kinds)
        .map_err(|error| PyValueError::new_err(format!("cannot instrument {code}: {error}")))?;
    let changes = PyDict::new(py);
    if let Some(rewritten) = rewritten {
        append_sites(code, &rewritten.sites, seen, &consts)?;
        changes.set_item("co_code", PyBytes::new(py, &rewritten.code))?;
        changes.set_item("co_exceptiontable", PyBytes::new(py, &rewritten.exception_table))?;
        changes.set_item("co_linetable", PyBytes::new(py, &rewritten.line_table))?;
        changes.set_item("co_stacksize", rewritten.stack_size)?;
    } else if !nested_changed {
        return Ok(code.clone());
    }
    changes.set_item("co_consts", consts.to_tuple())?;
    code.call_method("replace", (), Some(&changes))
}

/// Whether code evaluates annotations. From 3.14 on whoever asks first for them runs it, and what it gives is kept for the others:
/// who that is makes no difference.
fn is_annotation(code: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(cfg!(Py_3_14) && code.getattr("co_name")?.extract::<&str>()? == "__annotate__")
}

/// The constant by which code without hooks is told.
fn mark<'py>(code: &Bound<'py, PyAny>, seen: Seen) -> PyResult<Bound<'py, PyAny>> {
    let file = code.getattr("co_filename")?;
    let function = code.getattr("co_qualname")?;
    let place = Place { file: file.as_ptr(), function: function.as_ptr(), n_localsplus: 0, seen };
    // SAFETY: the lock is held, the pointers are live, and a new reference is handed over.
    unsafe { Bound::from_owned_ptr_or_err(code.py(), site::mark(&place, visible::hook)) }
}

fn append_sites(
    code: &Bound<'_, PyAny>,
    sites: &[SiteSpec],
    seen: Seen,
    consts: &Bound<'_, PyList>,
) -> PyResult<()> {
    let py = code.py();
    let names = code.getattr("co_names")?.cast_into::<PyTuple>()?;
    let file = code.getattr("co_filename")?;
    let function = code.getattr("co_qualname")?;
    let place =
        Place { file: file.as_ptr(), function: function.as_ptr(), n_localsplus: n_localsplus(code)?, seen };
    let cells = cell_names(code)?;
    for spec in sites {
        let arg = if spec.kind == SiteKind::Enter { n_arguments(code)? } else { spec.arg };
        let spec = &SiteSpec { arg, ..*spec };
        let name = match spec.kind {
            SiteKind::LoadDeref | SiteKind::StoreDeref | SiteKind::DeleteDeref | SiteKind::LoadClassDeref => {
                let index = (place.n_localsplus as usize).checked_sub(spec.arg as usize);
                index.and_then(|from_end| cells.len().checked_sub(from_end)).map(|at| cells[at].clone())
            }
            kind if has_name(kind) => Some(names.get_item(spec.arg as usize)?.cast_into::<PyString>()?),
            _ => None,
        };
        let name = name.map_or(std::ptr::null_mut(), |name| name.as_ptr());
        // SAFETY: the lock is held, the pointers are live, and a new reference is handed over.
        let site = unsafe { Bound::from_owned_ptr_or_err(py, site::new(spec, &place, name, visible::hook))? };
        consts.append(site)?;
    }
    Ok(())
}

/// How many arguments a function has, those that it collects included.
fn n_arguments(code: &Bound<'_, PyAny>) -> PyResult<u32> {
    let number = |name: &str| -> PyResult<u32> { code.getattr(name)?.extract() };
    let flags = code.getattr("co_flags")?.extract::<i32>()?;
    let collects = |flag: i32| u32::from(flags & flag != 0);
    let collected = collects(ffi::CO_VARARGS) + collects(ffi::CO_VARKEYWORDS);
    Ok(number("co_argcount")? + number("co_kwonlyargcount")? + collected)
}

fn has_name(kind: SiteKind) -> bool {
    use SiteKind as K;
    matches!(
        kind,
        K::LoadAttr
            | K::LoadMethod
            | K::StoreAttr
            | K::DeleteAttr
            | K::LoadSuperAttr
            | K::LoadGlobal
            | K::StoreGlobal
            | K::DeleteGlobal
            | K::LoadName
            | K::StoreName
            | K::DeleteName
            | K::LoadFromDictOrGlobals
            | K::ImportName
            | K::ImportFrom
    )
}

/// Names of the cells that are not arguments, then of the free variables: the end of `localsplus`.
fn cell_names<'py>(code: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyString>>> {
    let locals = code.getattr("co_varnames")?.cast_into::<PyTuple>()?;
    let mut names = Vec::new();
    for cell in code.getattr("co_cellvars")?.cast_into::<PyTuple>()? {
        if !locals.contains(&cell)? {
            names.push(cell.cast_into()?);
        }
    }
    for free in code.getattr("co_freevars")?.cast_into::<PyTuple>()? {
        names.push(free.cast_into()?);
    }
    Ok(names)
}

/// Locals, then cells that are not arguments, then free variables.
fn n_localsplus(code: &Bound<'_, PyAny>) -> PyResult<u32> {
    let locals: u32 = code.getattr("co_nlocals")?.extract()?;
    Ok(locals + cell_names(code)?.len() as u32)
}
