//! What is known of a table: its key, and how much of what happens to it can be told from a statement.
//!
//! Not here: asking the server (crate `python`).

use super::sql::Rows;

/// How much of the effect of a change can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insight {
    /// The rows that a statement names are the ones that it changes and locks.
    Rows,
    /// The table has unique columns besides its key: changes of different rows may hold each other up.
    Table,
    /// It has triggers, rules, references or partitions: a change may reach further.
    Beyond,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name with its schema, unless that is `public`.
    pub name: String,
    /// The columns of its key, with the names of their types. Empty for a table without.
    pub key: Vec<(String, String)>,
    /// What can be told of a change.
    pub insight: Insight,
    /// Whether what is read is the rows of this table. It is not for a view.
    pub is_plain: bool,
    /// Whether it belongs to the server's own catalog.
    pub is_catalog: bool,
}

/// What asks the server for the facts that [`Table::from_facts`] wants. The table's name is quoted as SQL quotes text.
pub fn question(name: &str) -> String {
    let name = name.replace('\'', "''");
    format!(
        "SELECT n.nspname, c.relname, \
         c.relkind = 'r' AND NOT c.relispartition AND NOT c.relhassubclass AND NOT c.relrowsecurity \
         AND NOT c.relhasrules AND has_table_privilege(c.oid, 'SELECT'), \
         EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid), \
         EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND NOT i.indisprimary AND \
         (i.indisunique OR i.indisexclusion)), \
         (SELECT string_agg(a.attname || ' ' || t.typname || \
         CASE WHEN l.oid IS NULL OR l.collisdeterministic THEN '' ELSE '?' END, ',' ORDER BY k.place) \
         FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY k(number, place) \
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number \
         JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_collation l ON l.oid = a.attcollation \
         WHERE i.indrelid = c.oid AND i.indisprimary) \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass('{name}')"
    )
}

/// What asks for a number that tells different contents of a table apart, as far as they are few.
pub fn digest_question(name: &str) -> String {
    format!(
        "SELECT coalesce(sum(hashtextextended(row_.*::text, 0) % 1000000000)::bigint, 0) \
         FROM (SELECT * FROM {name} LIMIT {LARGEST_COMPARED}) AS row_"
    )
}

/// Of larger tables only so many rows are compared.
const LARGEST_COMPARED: u32 = 10_000;

impl Table {
    /// A table from the answer to [`question`]. Columns whose names are not plain words are left out of keys by making
    /// the table one without.
    pub fn from_facts(facts: &[Option<String>]) -> Option<Table> {
        let [Some(schema), Some(name), plain, triggers, unique, key] = facts else { return None };
        let is = |fact: &Option<String>| fact.as_deref() == Some("t");
        let insight = match (is(triggers) || !is(plain), is(unique)) {
            (true, _) => Insight::Beyond,
            (_, true) => Insight::Table,
            _ => Insight::Rows,
        };
        let columns = key.iter().flat_map(|key| key.split(','));
        let pairs: Option<Vec<_>> = columns
            .map(|column| column.split_once(' ').map(|(name, of)| (name.to_owned(), of.to_owned())))
            .collect();
        let is_catalog = schema == "pg_catalog" || schema == "information_schema";
        let name = if schema == "public" { name.clone() } else { format!("{schema}.{name}") };
        Some(Table { name, key: pairs.unwrap_or_default(), insight, is_plain: is(plain), is_catalog })
    }

    /// The row that is meant, as a report calls it; `None` if it may be another one or more.
    pub fn row(&self, rows: &Rows) -> Option<String> {
        let mut parts = Vec::new();
        for (column, of) in &self.key {
            let (_, text) = rows.equal.iter().find(|(name, _)| name == column)?;
            parts.push(format!("{column}={}", canonical(text, of)?));
        }
        (!parts.is_empty()).then(|| parts.join(","))
    }

    /// What the condition of a statement that means this row alone says.
    pub fn condition(&self, rows: &Rows) -> Option<String> {
        let mut parts = Vec::new();
        for (column, of) in &self.key {
            let (_, text) = rows.equal.iter().find(|(name, _)| name == column)?;
            let text = canonical(text, of)?.replace('\'', "''");
            parts.push(format!("\"{}\" = '{text}'", column.replace('"', "\"\"")));
        }
        let is_exact = rows.only && rows.equal.len() == self.key.len() && !parts.is_empty();
        is_exact.then(|| parts.join(" AND "))
    }

    /// Whether a column is part of the key.
    pub fn has_in_key(&self, column: &str) -> bool {
        self.key.iter().any(|(name, _)| name == column)
    }
}

/// The one text of a value of a type; `None` if equal values may have several.
fn canonical(text: &str, of: &str) -> Option<String> {
    match of {
        "int2" | "int4" | "int8" => text.trim().parse::<i64>().ok().map(|number| number.to_string()),
        "text" | "varchar" => (!text.contains('\\')).then(|| text.to_owned()),
        "uuid" => {
            let digits: String = text.chars().filter(|c| *c != '-').collect::<String>().to_lowercase();
            let is_uuid = digits.len() == 32 && digits.chars().all(|c| c.is_ascii_hexdigit());
            is_uuid.then_some(digits)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(key: &str) -> Table {
        let facts = ["public", "t", "t", "f", "f", key].map(|text| Some(text.to_owned()));
        Table::from_facts(&facts).unwrap()
    }

    fn rows(equal: &[(&str, &str)]) -> Rows {
        let equal = equal.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Rows { table: "t".to_owned(), equal, only: true }
    }

    #[test]
    fn a_row_has_one_name() {
        let table = table("id int4");
        assert_eq!(table.row(&rows(&[("id", " 07")])), Some("id=7".to_owned()));
        assert_eq!(table.row(&rows(&[("id", "7.0")])), None);
        assert_eq!(table.row(&rows(&[("x", "7")])), None);
    }

    #[test]
    fn a_key_of_two_columns_needs_both() {
        let table = table("a int4,b text");
        assert_eq!(table.row(&rows(&[("b", "x"), ("a", "1")])), Some("a=1,b=x".to_owned()));
        assert_eq!(table.row(&rows(&[("a", "1")])), None);
    }

    #[test]
    fn texts_that_other_texts_equal_name_no_row() {
        assert_eq!(table("id text?").row(&rows(&[("id", "x")])), None);
        assert_eq!(table("id numeric").row(&rows(&[("id", "1")])), None);
    }

    #[test]
    fn a_condition_is_exact_or_none() {
        let table = table("id text");
        assert_eq!(table.condition(&rows(&[("id", "it's")])).as_deref(), Some("\"id\" = 'it''s'"));
        assert_eq!(table.condition(&rows(&[("id", "a"), ("x", "1")])), None);
    }
}
