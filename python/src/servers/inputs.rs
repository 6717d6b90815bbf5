//! Recording what servers tell the program and the recorder, and telling it again without them.
//!
//! Not here: the order of what is told (recorder, `servers::inputs` and `servers::reenactment`), sockets (telling).

use super::exchange;
use super::with;
use crate::connections::Id;
use crate::run;
use crate::shim::{ELSEWHERE, IoEvent};
use crate::telling::{self, Telling};
use frontrun_formats::Input;
use frontrun_formats::file::read_file;
use frontrun_recorder::servers::inputs::{Inputs, question_of};
use frontrun_recorder::servers::redaction::Glob;
use frontrun_recorder::servers::reenactment::Departure;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What is not to be in a recording, if inputs are recorded.
static RECORDED: OnceLock<Vec<Glob>> = OnceLock::new();
/// What is told again.
static TOLD: OnceLock<Vec<Input>> = OnceLock::new();
static IS_TOLD: AtomicBool = AtomicBool::new(false);

/// How long a connection may take to be made.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long what this process itself has sent may take to arrive.
const ARRIVAL: Duration = Duration::from_millis(200);

/// Has the runs of this process record what servers tell them, without what the globs match.
#[pyfunction]
pub fn record_inputs(redact: Vec<String>) -> PyResult<()> {
    let understand = |text: &String| {
        let wrong = || PyValueError::new_err(format!("the glob {text:?} matches everything"));
        Glob::new(text).ok_or_else(wrong)
    };
    let globs: PyResult<Vec<Glob>> = redact.iter().map(understand).collect();
    let _ = RECORDED.set(globs?);
    Ok(())
}

/// Has the run of this process told what servers have told the one that a trace is a recording of.
#[pyfunction]
pub fn tell_inputs(trace: PathBuf) -> PyResult<()> {
    let recorded = read_file(&trace).map_err(|error| PyOSError::new_err(error.to_string()))?;
    let _ = TOLD.set(recorded.inputs);
    IS_TOLD.store(true, Ordering::Relaxed);
    Ok(())
}

/// What a run that begins records.
pub fn recorded() -> Option<Inputs> {
    RECORDED.get().map(|globs| Inputs::new(globs.clone()))
}

/// What a run that begins is told.
pub fn told() -> Option<Telling> {
    TOLD.get().map(|inputs| Telling::new(inputs.clone()))
}

/// Whether the run is told again what servers have said, so that there are none.
pub fn are_told() -> bool {
    IS_TOLD.load(Ordering::Relaxed)
}

/// Where what the program is told is written down, if it is.
fn inputs() -> Option<&'static mut Inputs> {
    // SAFETY: the calling thread holds the turn and the lock; callers let go of it before they call anything else.
    unsafe { run::get() }.and_then(|run| run.recording.inputs.as_mut())
}

/// The connections of a run that is told again.
fn telling() -> Option<&'static mut Telling> {
    // SAFETY: as above.
    unsafe { run::get() }.and_then(|run| run.telling.as_mut())
}

fn number(id: Id) -> Option<u32> {
    with(|servers, _| servers.get(id)?.number).flatten()
}

/// The result, or the end of a run that has gone another way than the recorded one.
fn followed<T>(result: Result<T, Departure>) -> T {
    match result {
        Ok(value) => value,
        Err(departure) => run::end_unfollowed(&departure.expected, &departure.found),
    }
}

/// Before the program connects to a server. Returns what the library is to be answered.
pub fn connects(id: Id, event: &IoEvent) -> Option<u32> {
    if !are_told()
        || number(id).is_some()
        || !exchange::is_stream(event.fd)
        || exchange::is_served_here(event)
    {
        return None;
    }
    let port = followed(telling()?.connects(event.fd, &server(event)));
    Some(ELSEWHERE | u32::from(port))
}

/// After the program has connected to a server, or tried to. Returns the number of the connection.
pub fn has_connected(id: Id, event: &IoEvent) -> Option<u32> {
    if let Some(known) = number(id) {
        return Some(known);
    }
    let told = telling().map(|telling| telling.has_connected(event.fd));
    let error = match event.error {
        libc::EINPROGRESS if inputs().is_some() => {
            let ready = telling::wait_for(event.fd, libc::POLLOUT, PATIENCE);
            if ready & libc::POLLOUT == 0 || ready & (libc::POLLERR | libc::POLLHUP) != 0 {
                libc::ECONNREFUSED
            } else {
                0
            }
        }
        error => error,
    };
    let recorded = inputs().map(|inputs| inputs.connected(&server(event), error));
    told.unwrap_or(recorded.filter(|_| error == 0))
}

fn server(event: &IoEvent) -> String {
    let name = event.resource();
    String::from_utf8_lossy(name.strip_prefix(b"socket:").unwrap_or(name)).into_owned()
}

/// Notes that something on a connection cannot be told again.
pub fn is_unrecorded(reason: &str) {
    if let Some(inputs) = inputs() {
        inputs.unrecorded(reason.to_owned());
    }
}

/// Right before the program sends something: what has arrived so far, has arrived before that.
pub fn note_arrivals() {
    if inputs().is_none() {
        return;
    }
    for (id, number) in with(|servers, _| servers.numbered()).unwrap_or_default() {
        let there = exchange::peek(id.fd);
        if let Some(inputs) = inputs() {
            inputs.arrived(number, &there);
        }
    }
}

/// After the program has sent something, whose bytes are not known if they are not in memory.
pub fn has_sent(id: Id, count: usize, bytes: Option<&[u8]>) {
    if count == 0 {
        return;
    }
    let Some(number) = number(id) else { return };
    match (inputs(), bytes) {
        (Some(inputs), Some(bytes)) => inputs.sent(number, bytes),
        (Some(_), None) => is_unrecorded("what the system has copied to a server (sendfile, splice)"),
        (None, _) => {}
    }
    if let Some(telling) = telling() {
        followed(telling.has_sent(number, count));
    }
}

/// Before the program reads.
pub fn reads(id: Id, event: &IoEvent) {
    let (Some(_), Some(telling)) = (number(id), telling()) else { return };
    telling.tell();
    if exchange::waits_for_bytes(event) && !exchange::is_readable_within(event.fd, ARRIVAL) {
        followed(telling.waits(false, true));
    }
}

/// After the program has received something.
pub fn has_received(id: Id, event: &IoEvent, bytes: Option<&[u8]>) {
    let Some(number) = number(id) else { return };
    if let Some(inputs) = inputs() {
        match bytes {
            None if event.result >= 0 => is_unrecorded("what the system has copied from a server"),
            Some([]) if event.result != 0 || event.length == 0 => {}
            Some(bytes) => inputs.read(number, bytes),
            None => {}
        }
    }
    if let Some(telling) = telling() {
        telling.tell();
        followed(telling.waits(event.result >= 0, false));
    }
}

/// Before the program waits for descriptors.
pub fn waits(event: &IoEvent) {
    let known = with(|servers, _| servers.numbered()).unwrap_or_default();
    let Some(telling) = telling() else { return };
    if known.is_empty() {
        return;
    }
    telling.tell();
    let is_readable = |(id, _): &(Id, u32)| exchange::is_readable_within(id.fd, Duration::ZERO);
    let asked = exchange::polled(event);
    let for_ever = asked
        .is_some_and(|(fds, waits)| waits && fds.iter().all(|fd| known.iter().any(|(id, _)| id.fd == *fd)));
    let is_ready = known.iter().any(is_readable)
        || for_ever && known.iter().any(|(id, _)| exchange::is_readable_within(id.fd, ARRIVAL));
    followed(telling.waits(is_ready, for_ever));
}

/// Before the program closes a connection.
pub fn closes(id: Id) {
    if let (Some(number), Some(telling)) = (number(id), telling()) {
        telling.closes(number);
    }
}

/// The answer to a question of the recorder, where servers are away.
pub fn told_answer(id: Id, question: &[u8]) -> Option<Vec<u8>> {
    let number = number(id)?;
    telling()?.answer(number, question_of(question))
}

/// Notes what a server has answered the recorder.
pub fn note_answer(id: Id, question: &[u8], answer: &[u8]) {
    if let (Some(number), Some(inputs)) = (number(id), inputs()) {
        inputs.answered(number, question_of(question), answer);
    }
}
