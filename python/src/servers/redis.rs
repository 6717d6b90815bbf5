//! Commands of Redis as steps.
//!
//! Model: a command is one step on the keys that it names, and so is a transaction, where it is executed. Several that are
//! sent together are sent one after the other, since the server may execute those of other connections in between. One
//! that would wait for a key is not sent before the key is there: a thread that finds none waits until one of the keys
//! has been written, and looks again.
//!
//! Not here: which keys a command touches (recorder, `servers::commands`).

use super::exchange::{self, deadline, is_readable_within, peek};
use super::inputs;
use super::place::here;
use super::questions::ask_redis;
use super::with;
use super::{are_taken, note_change, touch, unknown};
use crate::connections::{Id, Speech};
use crate::{controlled, run};
use frontrun_formats::execution::content_hash;
use frontrun_formats::location::distinct;
use frontrun_formats::{Location, Operation, Part, ThreadId, Value};
use frontrun_recorder::servers::redis::{Answer, Awaited, Dialogue, Request};
use std::time::{Duration, Instant};

/// Before bytes are sent: takes the step of the first request that they complete. If the call is `divisible`, what follows
/// that is another step: returns how many bytes are to be sent in this one.
pub fn sends(me: ThreadId, id: Id, bytes: &[u8], divisible: bool) -> Option<usize> {
    let mut dialogue = dialogue(id)?;
    let requests = dialogue.send(bytes);
    if !dialogue.is_readable() {
        let _ = with(|servers, _| servers.set_speech(id, Speech::Unknown));
        unknown::sends(me, id);
        return None;
    }
    if requests.is_empty() || !are_taken() {
        return None;
    }
    settle(id);
    let n_now = if divisible { 1 } else { requests.len() };
    let (mut reads, mut writes) = (Vec::new(), Vec::new());
    for request in &requests[..n_now] {
        add(id, request, &mut reads, &mut writes);
    }
    if !writes.is_empty() {
        note_change();
    }
    match &requests[0].awaited {
        Some(awaited) if n_now == 1 && controlled::step().is_some() => {
            if !is_there(id, awaited) {
                run::end_unfollowed("a command of a task not to wait", "it waits for a key");
            }
            touch(me, &reads, &writes);
        }
        Some(awaited) if n_now == 1 => take_when_there(me, id, awaited, &reads, &writes),
        _ => touch(me, &reads, &writes),
    }
    (requests.len() > n_now).then_some(requests[0].end)
}

/// After bytes have been sent: waits until the server has done what it was asked for.
pub fn has_sent(id: Id) {
    if are_taken() {
        await_answers(id);
    }
}

fn dialogue(id: Id) -> Option<Dialogue> {
    with(|servers, _| servers.get(id).map(|connection| connection.redis.clone())).flatten()
}

/// Adds what a request touches.
fn add(id: Id, request: &Request, reads: &mut Vec<Location>, writes: &mut Vec<Location>) {
    if !request.touched.anything {
        learn(id, request);
    }
    let _ = with(|servers, books| {
        let server = servers.get(id)?.server.clone();
        let anything = servers.anything(&server, books);
        if request.touched.anything {
            servers.is_unknown = true;
            writes.push(anything);
            return Some(());
        }
        reads.push(anything);
        for (keys, locations) in [(&request.touched.reads, &mut *reads), (&request.touched.writes, writes)] {
            for key in keys {
                locations.push(servers.key(&server, request.database, key, books).0);
            }
        }
        Some(())
    });
}

/// Notes what the keys of a request hold that no step has touched yet, apart if the request hangs on nothing of it. Where what a server has told is told again, nobody
/// can have left it in another state, and what was redacted would look like one.
fn learn(id: Id, request: &Request) {
    if inputs::are_told() {
        return;
    }
    let Some(idle) = dialogue(id).filter(Dialogue::is_at_rest) else { return };
    if with(|servers, _| servers.is_unknown) != Some(false) {
        return;
    }
    // The bytes of the request may select another database first.
    if idle.database() != request.database {
        return;
    }
    for (key, _) in request.touched.reads.iter().chain(&request.touched.writes) {
        let met = with(|servers, books| {
            let server = servers.get(id)?.server.clone();
            Some(servers.key(&server, request.database, &(key.clone(), None), books))
        });
        let Some(Some((at, true))) = met else { continue };
        let Some(digest) = digest(id, &idle, key) else { continue };
        let _ = with(|_, books| {
            let part = if request.overwrites { Part::Generation } else { Part::State };
            books.recording.initial(Location::new(at.object, part), || Value::Int(digest));
        });
    }
}

/// A number that tells different values of a key apart, as far as that costs little.
fn digest(id: Id, idle: &Dialogue, key: &[u8]) -> Option<i64> {
    let Answer::Text(of) = ask_redis(id, idle, &[b"TYPE", key])? else { return None };
    let look: &[u8] = match &of[..] {
        b"none" => return Some(0),
        b"string" => b"GET",
        b"list" => b"LLEN",
        b"set" => b"SCARD",
        b"hash" => b"HLEN",
        b"zset" => b"ZCARD",
        b"stream" => b"XLEN",
        _ => return None,
    };
    let found = match ask_redis(id, idle, &[look, key])? {
        Answer::Text(text) => text,
        Answer::Number(number) => number.to_string().into_bytes(),
        Answer::Other => return None,
    };
    Some(content_hash(&[&of[..], b" ", &found].concat()) as i64)
}

/// Takes the step of a request that waits for a key, when there is one or the time has run out.
fn take_when_there(me: ThreadId, id: Id, awaited: &Awaited, reads: &[Location], writes: &[Location]) {
    let patience = awaited.patience_ms.map(Duration::from_millis);
    let of = distinct(reads.iter().chain(writes).copied());
    loop {
        watch(|gate| gate.begin_watch(me, 0));
        touch(me, &of, &[]);
        while !is_there(id, awaited) {
            let wait = Operation::AwaitChange { of: of.clone() };
            if run::reach_patiently(me, here(), wait.clone(), patience) {
                watch(|gate| gate.end_watch(me));
                return touch(me, &of, &[]);
            }
            run::execute(me, here(), wait, 1);
        }
        touch(me, reads, writes);
        if is_there(id, awaited) {
            return;
        }
    }
}

fn watch(body: impl FnOnce(&mut frontrun_recorder::gate::Gate)) {
    // SAFETY: the calling thread holds the turn and the lock; the borrow ends here.
    if let Some(run) = unsafe { run::get() } {
        body(&mut run.gate);
    }
}

/// Whether one of the keys is there. If that cannot be asked, the server is left to wait.
fn is_there(id: Id, awaited: &Awaited) -> bool {
    let Some(idle) = dialogue(id).filter(Dialogue::is_at_rest) else { return true };
    let words: Vec<&[u8]> =
        std::iter::once(&b"EXISTS"[..]).chain(awaited.keys.iter().map(|key| &key[..])).collect();
    ask_redis(id, &idle, &words) != Some(Answer::Number(0))
}

/// How long another look at the answer is put off.
const AGAIN: Duration = Duration::from_millis(1);

/// Waits until every command that was sent has been answered, or the answers are too long to see their end.
fn await_answers(id: Id) {
    let end = deadline();
    while Instant::now() < end {
        let Some(mut dialogue) = dialogue(id) else { return };
        let there = peek(id.fd);
        dialogue.receive(&there);
        if dialogue.outstanding() == 0 || !dialogue.is_readable() || there.len() >= exchange::PEEKED {
            return;
        }
        if there.is_empty() {
            is_readable_within(id.fd, end.saturating_duration_since(Instant::now()));
            if is_readable_within(id.fd, Duration::ZERO) && peek(id.fd).is_empty() {
                // The connection has ended.
                return;
            }
        } else {
            std::thread::sleep(AGAIN);
        }
    }
}

/// Waits until every other command at the server has been answered.
fn settle(id: Id) {
    for other in with(|servers, _| servers.others(id)).unwrap_or_default() {
        if with(|servers, _| servers.speech(other)).flatten() == Some(Speech::Redis) {
            await_answers(other);
        }
    }
}
