//! Which locations a statement of PostgreSQL touches.
//!
//! Model: a table has rows, and the existence of rows; both by key where the statement names one, else as a whole. A
//! change by key touches its row when it is committed, having locked it; any other change touches what it may reach when
//! it is executed, too, since others may make it wait or be made to wait.
//!
//! Not here: when the step happens (postgres).

use super::questions::ask;
use super::with;
use crate::connections::{Id, Plan, Servers, part};
use crate::outside::Books;
use frontrun_formats::{Location, ObjectId};
use frontrun_recorder::servers::postgres::{Asked, Dialogue, Request, Status};
use frontrun_recorder::servers::sql::{self, Change, Kind, Meaning, Rows};
use frontrun_recorder::servers::table::{self, Insight, Table};
use std::rc::Rc;

/// A row that a statement locks if it is there.
pub struct Locked {
    pub lock: ObjectId,
    pub anything: Location,
    pub presence: Location,
    /// What asks the server whether it is there.
    pub question: String,
}

/// Adds what a statement touches; returns the row that has to be locked before.
pub fn add(id: Id, asked: &Asked, plan: &mut Plan) -> Option<Locked> {
    let meaning = sql::meaning(asked);
    // What comes after an end in one request is committed with it.
    plan.commits |= plan.ends || meaning == Meaning::Commit;
    match meaning {
        Meaning::Nothing => forget_isolation(id, asked),
        Meaning::Begin => reset_isolation(id),
        Meaning::Commit | Meaning::Rollback => plan.ends = true,
        // What is locked from now on may be given back before the end.
        Meaning::Savepoint => make_opaque(id),
        Meaning::Unknown => add_anything(id, plan),
        Meaning::Access { reads, change } => return add_access(id, &reads, change.as_ref(), plan),
    }
    None
}

/// Adds what a request touches that may do anything.
pub fn add_anything(id: Id, plan: &mut Plan) {
    let _ = with(|servers, books| {
        servers.forget_tables();
        let connection = servers.get(id)?;
        connection.transaction.is_opaque = true;
        connection.transaction.is_used = true;
        let server = connection.server.clone();
        let anything = servers.anything(&server, books);
        plan.writes.push(anything);
        servers.get(id)?.transaction.written.push(anything);
        Some(())
    });
}

/// Adds what the end of the transaction touches, if the request ends it.
pub fn complete(id: Id, plan: &mut Plan) {
    let _ = with(|servers, books| {
        let connection = servers.get(id)?;
        let is_alone = connection.dialogue.status == Status::Idle;
        if connection.transaction.is_used && (is_alone || plan.ends || plan.goodbye) {
            let server = connection.server.clone();
            let is_taken_back = plan.ends && !plan.commits;
            plan.writes.extend(&connection.transaction.written);
            let seen = if is_taken_back { &mut plan.reads } else { &mut plan.writes };
            seen.extend(&connection.transaction.changed);
            plan.reads.extend(&connection.transaction.held);
            plan.reads.push(servers.anything(&server, books));
        }
        Some(())
    });
}

/// Whether a request touches what the end of the transaction on another connection writes or gives back.
pub fn is_ordered(other: Id, plan: &Plan) -> bool {
    let ordered = with(|servers, _| {
        let transaction = &servers.get(other)?.transaction;
        let overlaps = |mine: &[Location], theirs: &[Location]| {
            mine.iter().any(|mine| theirs.iter().any(|theirs| mine.overlaps(*theirs)))
        };
        let touches = |theirs: &[Location]| overlaps(&plan.reads, theirs) || overlaps(&plan.writes, theirs);
        let seen = touches(&transaction.written) || touches(&transaction.changed);
        Some(seen || overlaps(&plan.writes, &transaction.held))
    });
    ordered.flatten() == Some(true)
}

/// Takes note of requests that are no steps.
pub fn note_unseen(servers: &mut Servers, id: Id, requests: &[Request], books: &mut Books<'_>) {
    let Some(server) = servers.get(id).map(|connection| connection.server.clone()) else { return };
    let anything = servers.anything(&server, books);
    let Some(connection) = servers.get(id) else { return };
    let changes = |asked: &Asked| match sql::meaning(asked) {
        Meaning::Nothing | Meaning::Begin | Meaning::Commit | Meaning::Rollback => false,
        Meaning::Access { change, .. } => change.is_some(),
        Meaning::Savepoint | Meaning::Unknown => true,
    };
    let is_change = |request: &Request| match request {
        Request::Statements(asked) => asked.iter().any(changes),
        _ => false,
    };
    let ends = |request: &Request| match request {
        Request::Statements(asked) => {
            asked.iter().any(|asked| matches!(sql::meaning(asked), Meaning::Commit | Meaning::Rollback))
        }
        _ => false,
    };
    if requests.iter().any(ends) {
        connection.transaction = Default::default();
    } else if connection.dialogue.status == Status::Within && requests.iter().any(is_change) {
        let transaction = &mut connection.transaction;
        (transaction.is_used, transaction.is_opaque) = (true, true);
        transaction.written.push(anything);
    }
}

fn make_opaque(id: Id) {
    let _ = with(|servers, _| servers.get(id).map(|connection| connection.transaction.is_opaque = true));
}

fn reset_isolation(id: Id) {
    let _ =
        with(|servers, _| servers.get(id).map(|connection| connection.transaction.is_read_committed = None));
}

fn forget_isolation(id: Id, asked: &Asked) {
    if asked.sql.trim_start().get(..3).is_some_and(|word| word.eq_ignore_ascii_case("set")) {
        reset_isolation(id);
    }
}

fn add_access(id: Id, reads: &[Rows], change: Option<&Change>, plan: &mut Plan) -> Option<Locked> {
    let names = reads.iter().map(|rows| &rows.table).chain(change.map(|change| &change.rows.table));
    let tables: Option<Vec<Rc<Table>>> = names.map(|name| table_of(id, name)).collect();
    let Some(tables) =
        tables.filter(|tables| can_be_told(id, tables, change.map(|change| change.kind != Kind::Lock)))
    else {
        add_anything(id, plan);
        return None;
    };
    with(|servers, books| {
        let connection = servers.get(id)?;
        connection.transaction.is_used = true;
        let (server, database) = (connection.server.clone(), connection.database());
        plan.reads.push(servers.anything(&server, books));
        for (rows, table) in reads.iter().zip(&tables) {
            if !table.is_catalog {
                let row = table.row(rows);
                let objects =
                    [servers.rows(&database, table, books), servers.presence(&database, table, books)];
                plan.reads.extend(objects.map(|object| part(object, row.as_deref(), books)));
            }
        }
        let (change, table) = (change?, tables.last()?);
        add_change(servers, id, change, table, plan, books)
    })
    .flatten()
}

/// Whether the statement does what its text tells.
fn can_be_told(id: Id, tables: &[Rc<Table>], changes: Option<bool>) -> bool {
    let plain = tables.iter().all(|table| table.is_plain || table.is_catalog);
    let reaches =
        changes == Some(true) && tables.last().is_some_and(|table| table.insight == Insight::Beyond);
    plain && !reaches && is_read_committed(id)
}

/// Adds a change.
fn add_change(
    servers: &mut Servers,
    id: Id,
    change: &Change,
    table: &Table,
    plan: &mut Plan,
    books: &mut Books<'_>,
) -> Option<Locked> {
    let (server, database) = (servers.get(id)?.server.clone(), servers.get(id)?.database());
    let (rows, presence) = (servers.rows(&database, table, books), servers.presence(&database, table, books));
    let moves = change.kind == Kind::Update && change.assigned.iter().any(|column| table.has_in_key(column));
    let is_lock = change.kind == Kind::Lock;
    let by_key = is_lock || table.insight == Insight::Rows && !moves;
    let row = table.row(&change.rows).filter(|_| by_key);
    let at = part(rows, row.as_deref(), books);
    let exists = part(presence, row.as_deref(), books);
    let mut written = vec![at];
    if matches!(change.kind, Kind::Insert | Kind::Delete) || moves {
        written.push(exists);
    }
    let transaction = &mut servers.get(id)?.transaction;
    let is_free = !transaction.is_opaque && !transaction.locked.contains(&table.name);
    let condition = table.condition(&change.rows).filter(|_| row.is_some() && is_free);
    if let (Some(condition), Some(row), true) = (condition, &row, change.kind != Kind::Insert) {
        if is_lock { &mut transaction.held } else { &mut transaction.changed }.extend(&written);
        let lock = servers.lock(&database, table, row, books);
        if servers.get(id)?.transaction.locks.contains(&lock) {
            return None;
        }
        let question = format!("SELECT 1 FROM {} WHERE {condition}", change.rows.table);
        let anything = servers.anything(&server, books);
        return Some(Locked { lock, anything, presence: exists, question });
    }
    let transaction = &mut servers.get(id)?.transaction;
    let is_numbered =
        !change.assigned.is_empty() && !change.assigned.iter().any(|column| table.has_in_key(column));
    if change.kind == Kind::Insert && is_numbered && table.insight == Insight::Rows {
        transaction.written.extend(&written);
        plan.writes.push(servers.numbering(&database, table, books));
        return None;
    }
    if change.kind != Kind::Insert {
        transaction.locked.insert(table.name.clone());
    }
    transaction.written.extend(&written);
    plan.writes.extend(&written);
    None
}

/// What is known of a table; asks the server if nothing is.
fn table_of(id: Id, name: &str) -> Option<Rc<Table>> {
    let (database, idle, known) = with(|servers, _| {
        let connection = servers.get(id)?;
        let (database, idle) = (connection.database(), connection.dialogue.clone());
        let known = servers.table(&database, name);
        Some((database, idle, known))
    })
    .flatten()?;
    if let Some(known) = known {
        return known;
    }
    if !is_at_rest(&idle) {
        return None;
    }
    let facts = ask(id, &idle, &table::question(name))?;
    let table = facts.first().and_then(|facts| Table::from_facts(facts));
    let is_compared = table.as_ref().is_some_and(|table| table.is_plain && !table.is_catalog);
    let is_first = with(|servers, _| !servers.is_unknown).unwrap_or(false);
    let digest = (is_compared && is_first && is_read_committed(id)).then(|| {
        let rows = ask(id, &idle, &table::digest_question(name))?;
        rows.first()?.first()?.as_ref()?.parse().ok()
    });
    with(|servers, books| {
        servers.learn(&database, name, table, digest.flatten(), books);
        servers.table(&database, name)
    })??
}

fn is_at_rest(dialogue: &Dialogue) -> bool {
    dialogue.outstanding == 0 && dialogue.status != Status::Failed
}

/// Whether each statement sees what has been committed before it.
fn is_read_committed(id: Id) -> bool {
    let state = with(|servers, _| {
        let connection = servers.get(id)?;
        Some((connection.transaction.is_read_committed, connection.dialogue.clone()))
    });
    match state.flatten() {
        Some((Some(known), _)) => known,
        Some((None, idle)) if is_at_rest(&idle) => {
            let rows = ask(id, &idle, "SHOW transaction_isolation").unwrap_or_default();
            let level = rows.first().and_then(|row| row.first()?.clone()).unwrap_or_default();
            let is_so = level == "read committed" || level == "read uncommitted";
            let _ = with(|servers, _| {
                servers.get(id).map(|connection| connection.transaction.is_read_committed = Some(is_so))
            });
            is_so
        }
        _ => false,
    }
}
