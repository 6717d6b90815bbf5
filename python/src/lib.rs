//! The Python face: the only crate that knows the interpreter.
//!
//! Module map: [`site`] the hook object · [`rewriting`] code objects · [`visible`] which operation an instruction is,
//! on whose behalf ([`behalf`]), with [`attribute`], [`container`], [`iteration`], [`operators`], [`calls`], with the
//! [`actions`] of its table [`c_calls`] and what C code is [`handed`] and does after [`callbacks`] · [`spinning`] loops
//! that wait by reading, and [`polling`] tasks, in the same state of their [`frames`] · [`switching`] where a GIL lets threads switch, with its table [`switches`] · [`names`] objects
//! and keys · [`loading`] code that is executed later · [`freed`] when an address becomes another object · [`hashes`] that do not hang on addresses · [`made`] where
//! a lock was made · [`locks`] with [`lock_waits`], [`simple_queue`], [`time_calls`] over [`replaced`],
//! [`clock`] and [`threads`] with their [`seating`] blocking, time and threads · [`tasks`] event loops, with their
//! [`futures`] and [`attempts`] · [`database`] databases, [`io`] files,
//! with their [`footprint`], its [`extent`] and [`status`], [`file_locks`], [`channels`] between
//! [`endpoints`] with their [`readiness`] and [`buffered`] files, named by [`outside`], told by [`shim`] ·
//! [`worker`] processes, the [`workers`] that stand for them, their [`messages`], what is [`behind`] their descriptors, their
//! sockets as the run has them ([`distant`]), and
//! the end of [`processes`] ·
//! requests to [`servers`] on [`connections`]
//! · [`run`] the execution of this process, one of several by [`epoch`] · [`serving`] forking runs · [`exploring`] the
//! loop for Python callers · [`sources`]
//! files for the trace · [`interpreter`] memory layout per CPython version.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::ffi::OsString;

mod actions;
mod attempts;
mod attribute;
mod behalf;
mod behind;
mod block;
mod buffered;
mod c_calls;
mod callbacks;
mod calls;
mod channels;
mod class;
mod clock;
mod connections;
mod consumers;
mod consumption;
mod container;
mod controlled;
mod database;
mod dates;
mod distant;
mod endpoints;
mod epoch;
mod exits;
mod exploring;
mod extent;
mod file_locks;
mod flags;
mod footprint;
mod frames;
mod free_threading;
mod freed;
mod futures;
mod handed;
mod hash_table;
mod hashes;
mod interpreter;
mod io;
mod iteration;
mod iterators;
mod joining;
mod loading;
mod lock_waits;
mod locks;
mod made;
mod messages;
mod names;
mod ndarray;
mod observed;
mod operands;
mod operators;
mod outside;
mod polling;
mod process_locks;
mod processes;
mod readiness;
mod replaced;
mod reporter;
mod results;
mod rewriting;
mod run;
mod scouting;
mod seating;
mod servers;
mod serving;
mod shim;
mod simple_queue;
mod site;
mod sources;
mod spinning;
mod status;
mod streams;
mod switches;
mod switching;
mod tasks;
mod telling;
mod threads;
mod time_calls;
mod views;
mod visible;
mod watched;
mod watches;
mod worker;
mod workers;

/// Runs the command line; returns the exit code. `argv` is `sys.argv`, `python` `sys.executable`, `preload` the path
/// of the LD_PRELOAD library.
#[pyfunction]
fn cli_main(py: Python<'_>, argv: Vec<OsString>, python: OsString, preload: OsString) -> i32 {
    py.detach(|| frontrun_cli::main(argv, python, preload))
}

/// Returns a code object with a hook before every visible instruction.
#[pyfunction]
fn rewrite<'py>(code: Bound<'py, PyAny>, seen: &str) -> PyResult<Bound<'py, PyAny>> {
    let named = site::Seen::named(seen);
    let seen = named.ok_or_else(|| PyValueError::new_err(format!("no way to see code: {seen}")))?;
    rewriting::rewrite(&code, seen)
}

/// Names source files that the runs to come will need.
#[pyfunction]
fn remember_sources(paths: Vec<String>) {
    sources::remember(&paths);
}

/// Takes note of where locks are made from now on.
#[pyfunction]
fn note_makers(py: Python<'_>) -> PyResult<()> {
    made::install(py)
}

#[pymodule(gil_used = true)]
mod _core {
    #[pymodule_export]
    use super::c_calls::install as know_calls;
    #[pymodule_export]
    use super::channels::note_inherited;
    #[pymodule_export]
    use super::clock::set_clock;
    #[pymodule_export]
    use super::database::{
        database_access, database_await, database_enter, database_leave, database_lock, database_open,
        database_reopen, database_shut, database_unlock, thread_path,
    };
    #[pymodule_export]
    use super::exploring::{confirm_served, describe_builds, explain, explore_served, socket_pairs, turns};
    #[pymodule_export]
    use super::flags::{clear_flag, flag_number, read_flag, read_flags, set_flag};
    #[pymodule_export]
    use super::free_threading::set_free_threaded;
    #[pymodule_export]
    use super::futures::{watch_all_tasks, watch_futures};
    #[pymodule_export]
    use super::io::{leave_files, note_change, watch_io, write_io_to};
    #[pymodule_export]
    use super::loading::instrument_exec;
    #[pymodule_export]
    use super::lock_waits::{lock_holder, locks_taken};
    #[pymodule_export]
    use super::locks::{is_lock_free, observe_lock_waits};
    #[pymodule_export]
    use super::polling::{await_change_in_task, come_to_sleep, wake_from_sleep};
    #[pymodule_export]
    use super::scouting::{changed_outside, scout_outside};
    #[pymodule_export]
    use super::servers::inputs::{record_inputs, tell_inputs};
    #[pymodule_export]
    use super::serving::{
        Request, abort_run, begin_run, end_unfollowed, finish_run, has_begun, import_early, number_objects,
        observe, remember_output, serve, take_failure,
    };
    #[pymodule_export]
    use super::streams::note_streams;
    #[pymodule_export]
    use super::tasks::{
        advance_clock, await_in_task, become_thread, begin_task_step, end_step, host_tasks, next_in_loop,
        resume_in_loop, run_until, spawn_task, suspend_task, virtual_time,
    };
    #[pymodule_export]
    use super::threads::{
        abandon, adopt, await_arrival, begin, current, depart, end, has_ended, ignore_lock, is_concurrent,
        is_in_scope, join, loud, pause, primitive, quiet, report_exception, report_failure, spawn,
    };
    #[pymodule_export]
    use super::watches::{refresh_watch, take_ready, unwatch, watch};
    #[pymodule_export]
    use super::worker::ask_run;
    #[pymodule_export]
    use super::workers::{answer_worker, end_worker, fork_worker, next_question};
    #[pymodule_export]
    use super::{cli_main, note_makers, remember_sources, rewrite};
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        if let Err(built) = crate::interpreter::built_for() {
            let message =
                format!("this frontrun was built for CPython {built}: reinstall it for this interpreter");
            return Err(pyo3::exceptions::PyImportError::new_err(message));
        }
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
