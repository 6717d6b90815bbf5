//! What a statement does: which rows of which tables it reads, changes or locks, as far as its text tells.
//!
//! Invariant: what this does not understand is [`Meaning::Unknown`]. Rows are given by columns that are equal to values;
//! rows given by nothing are all.
//!
//! Not here: which columns are the key of a table (table), the order of statements (crate `python`).

use super::postgres::{Asked, Parameter};
use sqlparser::ast::{
    AssignmentTarget, BinaryOperator, Delete, Expr, FromTable, Ident, Insert, LockType, ObjectName, Query,
    Select, SetExpr, Statement, TableFactor, TableObject, TableWithJoins, UnaryOperator, Update, Value,
    visit_expressions, visit_relations,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use std::ops::ControlFlow;

/// What a statement does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing that another connection could see.
    Nothing,
    /// It begins a transaction.
    Begin,
    /// It ends one, whose changes are seen from then on.
    Commit,
    /// It ends one that has changed nothing.
    Rollback,
    /// It sets or releases a savepoint.
    Savepoint,
    /// It reads tables, all rows of those that are not narrowed down, and may change one.
    Access {
        /// What it reads.
        reads: Vec<Rows>,
        /// What it changes or locks.
        change: Option<Change>,
    },
    /// It may do anything.
    Unknown,
}

/// Rows of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// The table as the statement names it.
    pub table: String,
    /// Columns and what they are equal to.
    pub equal: Vec<(String, String)>,
    /// Whether nothing else narrows the rows down.
    pub only: bool,
}

/// What is done to rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They are made.
    Insert,
    /// They get other values.
    Update,
    /// They are removed.
    Delete,
    /// They are locked as if they were to be changed.
    Lock,
}

/// A change of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What is done.
    pub kind: Kind,
    /// To which rows.
    pub rows: Rows,
    /// The columns that get a value.
    pub assigned: Vec<String>,
}

/// Functions that do nothing but compute.
const PURE: &[&str] = &[
    "abs",
    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "btrim",
    "ceil",
    "ceiling",
    "char_length",
    "clock_timestamp",
    "coalesce",
    "concat",
    "count",
    "current_database",
    "current_date",
    "current_schema",
    "current_timestamp",
    "current_user",
    "date_trunc",
    "exp",
    "floor",
    "format",
    "greatest",
    "initcap",
    "json_agg",
    "json_build_object",
    "jsonb_agg",
    "jsonb_build_object",
    "least",
    "left",
    "length",
    "ln",
    "log",
    "lower",
    "lpad",
    "ltrim",
    "max",
    "md5",
    "min",
    "mod",
    "now",
    "nullif",
    "power",
    "random",
    "rank",
    "regexp_replace",
    "repeat",
    "replace",
    "right",
    "round",
    "row_number",
    "rpad",
    "rtrim",
    "sign",
    "split_part",
    "sqrt",
    "string_agg",
    "strpos",
    "substr",
    "sum",
    "to_char",
    "to_date",
    "to_number",
    "to_timestamp",
    "trim",
    "trunc",
    "upper",
    "version",
    "gen_random_uuid",
];

/// What a statement with its parameters does.
pub fn meaning(asked: &Asked) -> Meaning {
    if asked.sql.trim_matches(|c: char| c.is_whitespace() || c == ';').is_empty() {
        return Meaning::Nothing;
    }
    match Parser::parse_sql(&PostgreSqlDialect {}, &asked.sql).as_deref() {
        Ok([statement]) => of_statement(statement, &asked.parameters).unwrap_or(Meaning::Unknown),
        _ => Meaning::Unknown,
    }
}

fn of_statement(statement: &Statement, parameters: &[Parameter]) -> Option<Meaning> {
    match statement {
        Statement::StartTransaction { statements, .. } if statements.is_empty() => Some(Meaning::Begin),
        Statement::Commit { chain: false, .. } => Some(Meaning::Commit),
        Statement::Rollback { chain: false, savepoint: None } => Some(Meaning::Rollback),
        Statement::Savepoint { .. } | Statement::ReleaseSavepoint { .. } => Some(Meaning::Savepoint),
        Statement::ShowVariable { .. } | Statement::Set(_) | Statement::Deallocate { .. } => {
            Some(Meaning::Nothing)
        }
        _ if !is_pure(statement) => None,
        Statement::Query(query) => of_query(query, parameters),
        Statement::Insert(insert) => of_insert(statement, insert, parameters),
        Statement::Update(update) => of_update(statement, update, parameters),
        Statement::Delete(delete) => of_delete(statement, delete, parameters),
        _ => None,
    }
}

/// Whether all functions that are called do nothing but compute.
fn is_pure(statement: &Statement) -> bool {
    let found = visit_expressions(statement, |expression| match expression {
        Expr::Function(function) => {
            let name = function.name.0.last().map(|part| part.to_string().to_lowercase());
            if name.is_some_and(|name| PURE.contains(&name.as_str())) {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        }
        _ => ControlFlow::Continue(()),
    });
    found.is_continue()
}

/// The tables that are named anywhere, each as often as it is.
fn relations(statement: &impl sqlparser::ast::Visit) -> Vec<String> {
    let mut found = Vec::new();
    let _ = visit_relations(statement, |name| {
        found.push(name.to_string());
        ControlFlow::<()>::Continue(())
    });
    found
}

fn of_query(query: &Query, parameters: &[Parameter]) -> Option<Meaning> {
    if query.with.is_some() {
        return None;
    }
    let is_plain_select = |select: &Select| select.into.is_none();
    let SetExpr::Select(select) = &*query.body else {
        let is_read =
            query.locks.is_empty() && !matches!(&*query.body, SetExpr::Insert(_) | SetExpr::Update(_));
        return is_read.then(|| all_of(relations(query)));
    };
    if !is_plain_select(select) {
        return None;
    }
    let named = relations(query);
    let condition = select.selection.as_ref();
    let one = match (&select.from[..], named.len()) {
        ([from], 1) => rows(from, condition, parameters),
        _ => None,
    };
    let Some(lock) = query.locks.first() else {
        return Some(
            one.map_or_else(|| all_of(named), |rows| Meaning::Access { reads: vec![rows], change: None }),
        );
    };
    let mut rows = one?;
    // A statement that does not wait for locks, shares them, or stops at so many rows locks who knows which.
    if lock.lock_type != LockType::Update || lock.nonblock.is_some() || query.locks.len() > 1 {
        rows = Rows { equal: Vec::new(), only: false, ..rows };
    }
    rows.only &= query.limit_clause.is_none() && query.fetch.is_none();
    let change = Change { kind: Kind::Lock, rows: rows.clone(), assigned: Vec::new() };
    Some(Meaning::Access { reads: vec![rows], change: Some(change) })
}

fn all(table: String) -> Rows {
    Rows { table, equal: Vec::new(), only: true }
}

fn all_of(named: Vec<String>) -> Meaning {
    if named.is_empty() {
        return Meaning::Nothing;
    }
    Meaning::Access { reads: named.into_iter().map(all).collect(), change: None }
}

/// The rows of one table that fulfil a condition.
fn rows(from: &TableWithJoins, condition: Option<&Expr>, parameters: &[Parameter]) -> Option<Rows> {
    let TableFactor::Table { name, alias, args: None, sample: None, .. } = &from.relation else {
        return None;
    };
    if !from.joins.is_empty() {
        return None;
    }
    let short = name.0.last().and_then(|part| part.as_ident()).map(identifier)?;
    let alias = alias.as_ref().map_or(short, |alias| identifier(&alias.name));
    let mut rows = all(name.to_string());
    if let Some(condition) = condition {
        rows.only = narrow(condition, &alias, parameters, &mut rows.equal);
    }
    Some(rows)
}

/// Collects equalities that all have to hold; returns whether there is nothing else.
fn narrow(
    condition: &Expr,
    table: &str,
    parameters: &[Parameter],
    equal: &mut Vec<(String, String)>,
) -> bool {
    match condition {
        Expr::Nested(inner) => narrow(inner, table, parameters, equal),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            let left = narrow(left, table, parameters, equal);
            narrow(right, table, parameters, equal) && left
        }
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
            let sides = [(left, right), (right, left)];
            let found = sides
                .into_iter()
                .find_map(|(one, other)| Some((column(one, table)?, value(other, parameters)?)));
            let is_known = found.is_some();
            equal.extend(found);
            is_known
        }
        _ => false,
    }
}

fn column(expression: &Expr, table: &str) -> Option<String> {
    match expression {
        Expr::Identifier(name) => Some(identifier(name)),
        Expr::CompoundIdentifier(names) => match &names[..] {
            [of, name] if identifier(of) == table => Some(identifier(name)),
            _ => None,
        },
        _ => None,
    }
}

fn identifier(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

/// The text of a value that is there when the statement is executed.
fn value(expression: &Expr, parameters: &[Parameter]) -> Option<String> {
    match expression {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => value(inner, parameters),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => Some(format!("-{}", value(expr, parameters)?)),
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) | Value::SingleQuotedString(text) => Some(text.clone()),
            Value::Placeholder(name) => {
                let number: usize = name.strip_prefix('$')?.parse().ok()?;
                match parameters.get(number.checked_sub(1)?)? {
                    Parameter::Text(text) => Some(text.clone()),
                    _ => None,
                }
            }
            _ => None,
        },
        _ => None,
    }
}

/// A change of one table, and the reads of all others that are named.
fn changing(statement: &Statement, change: Change) -> Meaning {
    let mut named = relations(statement);
    if let Some(at) = named.iter().position(|name| *name == change.rows.table) {
        named.remove(at);
    }
    let mut reads: Vec<Rows> = named.into_iter().map(all).collect();
    if change.kind != Kind::Insert {
        reads.push(change.rows.clone());
    }
    Meaning::Access { reads, change: Some(change) }
}

fn of_insert(statement: &Statement, insert: &Insert, parameters: &[Parameter]) -> Option<Meaning> {
    let TableObject::TableName(name) = &insert.table else { return None };
    let columns: Vec<String> =
        insert.columns.iter().filter_map(|name| name.0.last()?.as_ident().map(identifier)).collect();
    let mut rows = all(name.to_string());
    let source = insert.source.as_deref();
    if source.is_some_and(|source| source.with.is_some()) {
        return None;
    }
    let is_upsert = insert.on.is_some();
    if let Some(SetExpr::Values(values)) = source.map(|source| &*source.body)
        && let [row] = &values.rows[..]
        && columns.len() == row.len()
    {
        let known = columns.iter().zip(row.iter());
        rows.equal =
            known.filter_map(|(name, given)| Some((name.clone(), value(given, parameters)?))).collect();
    }
    // What an upsert does hangs on the rows that are there.
    let kind = if is_upsert { Kind::Update } else { Kind::Insert };
    if is_upsert {
        rows = Rows { only: false, equal: Vec::new(), ..rows };
    }
    Some(changing(statement, Change { kind, rows, assigned: columns }))
}

fn of_update(statement: &Statement, update: &Update, parameters: &[Parameter]) -> Option<Meaning> {
    let mut assigned = Vec::new();
    for assignment in &update.assignments {
        let names: Vec<&ObjectName> = match &assignment.target {
            AssignmentTarget::ColumnName(name) => vec![name],
            AssignmentTarget::Tuple(names) => names.iter().collect(),
        };
        assigned.extend(names.iter().filter_map(|name| name.0.last()?.as_ident().map(identifier)));
    }
    let mut found = rows(&update.table, update.selection.as_ref(), parameters)?;
    if update.from.is_some() || relations(statement).len() > 1 {
        found.only = false;
    }
    Some(changing(statement, Change { kind: Kind::Update, rows: found, assigned }))
}

fn of_delete(statement: &Statement, delete: &Delete, parameters: &[Parameter]) -> Option<Meaning> {
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let [from] = &from[..] else { return None };
    let mut found = rows(from, delete.selection.as_ref(), parameters)?;
    if delete.using.is_some() || relations(statement).len() > 1 {
        found.only = false;
    }
    Some(changing(statement, Change { kind: Kind::Delete, rows: found, assigned: Vec::new() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sql: &str, parameters: &[&str]) -> Meaning {
        let parameters = parameters.iter().map(|text| Parameter::Text((*text).to_owned())).collect();
        meaning(&Asked { sql: sql.to_owned(), parameters })
    }

    fn change(sql: &str) -> Change {
        match of(sql, &["7"]) {
            Meaning::Access { change: Some(change), .. } => change,
            other => panic!("{sql}: {other:?}"),
        }
    }

    #[test]
    fn a_select_by_key_reads_one_row() {
        let sql = "SELECT account.id, account.balance FROM account WHERE account.id = $1::INTEGER";
        let rows = Rows { table: "account".into(), equal: vec![("id".into(), "7".into())], only: true };
        assert_eq!(of(sql, &["7"]), Meaning::Access { reads: vec![rows], change: None });
    }

    #[test]
    fn conditions_that_are_no_equalities_are_noted() {
        let change = change("UPDATE t AS a SET x = x + 1 WHERE a.id = $1 AND x > 3");
        assert_eq!(change.rows.equal, [("id".to_owned(), "7".to_owned())]);
        assert!(!change.rows.only);
        assert_eq!(change.assigned, ["x"]);
    }

    #[test]
    fn alternatives_narrow_nothing_down() {
        assert_eq!(change("DELETE FROM t WHERE id = 1 OR id = 2").rows.equal, []);
        assert_eq!(change("DELETE FROM t WHERE b.id = 1").rows.equal, []);
    }

    #[test]
    fn an_insertion_names_its_row() {
        let change = change("INSERT INTO t (id, name) VALUES ($1, 'x') RETURNING id");
        assert_eq!(change.rows.equal, [("id".into(), "7".into()), ("name".into(), "x".into())]);
        assert_eq!(change.kind, Kind::Insert);
    }

    #[test]
    fn a_lock_is_a_change() {
        assert_eq!(change("SELECT * FROM t WHERE id = 1 FOR UPDATE").kind, Kind::Lock);
        assert_eq!(change("SELECT * FROM t WHERE id = 1 FOR UPDATE SKIP LOCKED").rows.equal, []);
        assert!(!change("SELECT * FROM t WHERE id = 1 LIMIT 1 FOR UPDATE").rows.only);
    }

    #[test]
    fn tables_in_subqueries_are_read() {
        let Meaning::Access { reads, .. } = of("SELECT 1 WHERE EXISTS (SELECT * FROM u JOIN v ON true)", &[])
        else {
            panic!()
        };
        let named: Vec<&str> = reads.iter().map(|rows| rows.table.as_str()).collect();
        assert_eq!(named, ["u", "v"]);
    }

    #[test]
    fn transactions_begin_and_end() {
        assert_eq!(of("BEGIN", &[]), Meaning::Begin);
        assert_eq!(of("BEGIN ISOLATION LEVEL SERIALIZABLE", &[]), Meaning::Begin);
        assert_eq!(of("COMMIT", &[]), Meaning::Commit);
        assert_eq!(of("ROLLBACK", &[]), Meaning::Rollback);
        assert_eq!(of("SAVEPOINT s", &[]), Meaning::Savepoint);
        assert_eq!(of("ROLLBACK TO SAVEPOINT s", &[]), Meaning::Unknown);
    }

    #[test]
    fn what_is_not_understood_is_unknown() {
        for sql in [
            "SELECT pg_advisory_lock(1)",
            "CREATE TABLE t (id int)",
            "TRUNCATE t",
            "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
            "UPDATE t SET x = 1; UPDATE t SET x = 2",
            "SELECT nextval('s')",
            "COPY t FROM STDIN",
            "nonsense",
        ] {
            assert_eq!(of(sql, &[]), Meaning::Unknown, "{sql}");
        }
        assert_eq!(of("SELECT 1", &[]), Meaning::Nothing);
        assert_eq!(of("", &[]), Meaning::Nothing);
    }
}
