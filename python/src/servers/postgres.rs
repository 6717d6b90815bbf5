//! Statements and transactions of PostgreSQL as steps.
//!
//! Model: what a transaction has changed is written where it is committed; a statement reads what it reads when it is
//! executed. A row that one statement changes or locks by its key has a lock, which the transaction takes before the
//! statement and gives back after its end, so waiting for it is no request at all. Everything else that waits for another
//! transaction waits in the server, which says for whom.
//!
//! Invariant: what may wait for, or see, a transaction touches what the end of that transaction writes.
//!
//! Not here: which locations a statement touches (plan).

use super::exchange::{self, deadline, is_readable_within, peek, say_goodbye};
use super::inputs;
use super::place::here;
use super::plan::{self, Locked};
use super::questions::{Rows, ask, ask_for};
use super::with;
use super::{are_taken, note_change, touch};
use crate::connections::{Id, Plan, Transaction};
use crate::{controlled, run};
use frontrun_formats::{ObjectId, Operation, Part, ThreadId};
use frontrun_recorder::servers::postgres::{Dialogue, Request, Status};
use std::time::{Duration, Instant};

/// Before bytes are sent: takes the steps of the request that they complete.
pub fn sends(me: ThreadId, id: Id, bytes: &[u8]) {
    let Some(mut dialogue) = dialogue(id) else { return };
    let requests = dialogue.send(bytes);
    if requests.iter().all(|request| *request == Request::Handshake) {
        return;
    }
    if !are_taken() {
        let _ = with(|servers, books| plan::note_unseen(servers, id, &requests, books));
        return;
    }
    settle(id);
    let mut plan = Plan::default();
    for request in &requests {
        match request {
            Request::Statements(asked) => {
                for asked in asked {
                    if let Some(locked) = plan::add(id, asked, &mut plan) {
                        lock(me, id, &locked, &mut plan);
                    }
                }
            }
            Request::Goodbye => plan.goodbye = true,
            Request::Handshake => {}
            Request::Other => plan::add_anything(id, &mut plan),
        }
    }
    plan::complete(id, &mut plan);
    if !plan.reads.is_empty() || !plan.writes.is_empty() {
        if !plan.writes.is_empty() {
            note_change();
        }
        touch(me, &plan.reads, &plan.writes);
    }
    let _ = with(|servers, _| servers.get(id).map(|connection| connection.plan = Some(plan)));
}

/// Takes the lock of a row, if the row is there.
fn lock(me: ThreadId, id: Id, locked: &Locked, plan: &mut Plan) {
    touch(me, &[locked.anything, locked.presence], &[]);
    let found = dialogue(id).and_then(|idle| ask(id, &idle, &locked.question));
    if found.is_none_or(|rows| rows.is_empty()) {
        return;
    }
    let site = here();
    let wait = Operation::Acquire { lock: locked.lock };
    run::initial_sync(locked.lock, Part::State, || 0);
    refuse_to_wait(me, &wait);
    run::reach(me, site, Some(wait.clone()));
    run::execute(me, site, wait, 1);
    plan.taken.push(locked.lock);
    let _ =
        with(|servers, _| servers.get(id).map(|connection| connection.transaction.locks.push(locked.lock)));
}

/// After bytes have been sent: waits for the answer, and takes the steps that come after the request.
pub fn has_sent(me: ThreadId, id: Id) {
    let Some(plan) = with(|servers, _| servers.get(id)?.plan.take()).flatten() else { return };
    if plan.goodbye {
        await_end(id);
        end_transaction(me, id);
        return;
    }
    let Some(answered) = await_answer(me, id, &plan) else { return };
    if answered.rows == Some(0) {
        let _ = with(|servers, _| {
            servers
                .get(id)
                .map(|connection| connection.transaction.locks.retain(|lock| !plan.taken.contains(lock)))
        });
        give_back(me, &plan.taken);
    }
    if answered.status != Status::Within || plan.ends {
        end_transaction(me, id);
    }
}

/// Before a connection is closed without a word.
pub fn closes(me: ThreadId, id: Id) {
    let used = with(|servers, _| servers.get(id).is_some_and(|connection| connection.transaction.is_used));
    if used != Some(true) || !are_taken() {
        return;
    }
    let mut plan = Plan { goodbye: true, ..Plan::default() };
    plan::complete(id, &mut plan);
    touch(me, &plan.reads, &plan.writes);
    say_goodbye(id.fd);
    await_end(id);
    end_transaction(me, id);
}

/// Waits for the server to end the connection, if it is there.
fn await_end(id: Id) {
    if !inputs::are_told() {
        exchange::await_end(id.fd);
    }
}

/// What the connection has said so far.
fn dialogue(id: Id) -> Option<Dialogue> {
    with(|servers, _| servers.get(id).map(|connection| connection.dialogue.clone())).flatten()
}

/// Gives back what a transaction held, and lets those look again who waited for it.
fn end_transaction(me: ThreadId, id: Id) {
    let ended = with(|servers, _| {
        let connection = servers.get(id)?;
        Some((std::mem::take(&mut connection.transaction), std::mem::take(&mut connection.left)))
    });
    let Some((Transaction { locks, .. }, left)) = ended.flatten() else { return };
    give_back(me, &locks);
    for event in left {
        let site = here();
        run::reach(me, site, None);
        run::execute(me, site, Operation::EventSet { event }, 1);
    }
}

fn give_back(me: ThreadId, locks: &[ObjectId]) {
    for lock in locks {
        let site = here();
        run::reach(me, site, None);
        run::execute(me, site, Operation::Release { lock: *lock }, 1);
    }
}

/// What is known of the answer to a request, from what there is to read.
fn answer(id: Id) -> Option<Dialogue> {
    let mut dialogue = dialogue(id)?;
    if dialogue.outstanding > 0 {
        dialogue.receive(&peek(id.fd));
    }
    Some(dialogue)
}

/// How long an answer is waited for before the server is asked what it waits for.
const SOON: Duration = Duration::from_millis(5);
/// How long another look at the answer is put off.
const AGAIN: Duration = Duration::from_millis(1);

/// Waits for the answer to a request, as a thread that is not enabled while the request waits for a transaction of
/// another connection. `None` if there is none within a time, or it is too long to see its end.
fn await_answer(me: ThreadId, id: Id, plan: &Plan) -> Option<Dialogue> {
    let end = deadline();
    let mut looked = Instant::now();
    loop {
        let answer = answer(id)?;
        if answer.outstanding == 0 {
            return Some(answer);
        }
        if Instant::now() >= end || is_readable_within(id.fd, SOON) && looked.elapsed() > SOON * 100 {
            return None;
        }
        if is_readable_within(id.fd, Duration::ZERO) {
            std::thread::sleep(AGAIN);
        } else if let Some(other) = holder(id)
            && are_taken()
        {
            if !plan::is_ordered(other, plan) {
                run::end_unfollowed(
                    "a statement to wait for nobody",
                    "it waits for what it was not seen to touch",
                );
            }
            wait_for(me, other);
            touch(me, &plan.reads, &plan.writes);
            looked = Instant::now();
        }
    }
}

/// Waits until a transaction of another connection has ended.
fn wait_for(me: ThreadId, other: Id) {
    let Some(event) = with(|servers, books| servers.leave_event(other, books)).flatten() else { return };
    let site = here();
    let wait = Operation::EventWait { event };
    refuse_to_wait(me, &wait);
    run::reach(me, site, Some(wait.clone()));
    run::execute(me, site, wait, 1);
}

/// A task does not wait with its loop, which would go on meanwhile.
fn refuse_to_wait(me: ThreadId, wait: &Operation) {
    if controlled::step().is_some() && !run::is_possible(me, wait) {
        run::end_unfollowed("a statement of a task not to wait", "it waits for a transaction");
    }
}

/// The connection whose transaction the request under way on `id` waits for, as the server tells on a third one, or on
/// that one itself.
fn holder(id: Id) -> Option<Id> {
    let process = dialogue(id)?.process;
    let others = with(|servers, _| servers.others(id)).unwrap_or_default();
    let sql = format!("SELECT unnest(pg_blocking_pids({process}))");
    let among = |rows: &Rows| {
        let processes: Vec<i32> = rows.iter().filter_map(|row| row.first()?.as_ref()?.parse().ok()).collect();
        let holds = |other: &Id| dialogue(*other).is_some_and(|held| processes.contains(&held.process));
        others.iter().copied().find(holds)
    };
    let rows = others.iter().find_map(|other| {
        let idle = dialogue(*other)?;
        let is_at_rest = idle.outstanding == 0 && idle.status != Status::Failed && idle.process != 0;
        if is_at_rest { ask_for(*other, &idle, &sql, |rows| among(rows).is_some()) } else { None }
    })?;
    among(&rows)
}

/// Waits until every other request at the server has been answered, or waits there for a transaction.
fn settle(id: Id) {
    let end = deadline();
    for other in with(|servers, _| servers.others(id)).unwrap_or_default() {
        while Instant::now() < end {
            let Some(dialogue) = answer(other) else { break };
            if dialogue.outstanding == 0 || dialogue.process == 0 {
                break;
            }
            if !is_readable_within(other.fd, SOON) && holder(other).is_some() {
                break;
            }
        }
    }
}
