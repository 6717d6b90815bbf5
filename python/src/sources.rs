//! The source files of a trace: their hash and text, so that a trace explains itself on another machine.

use frontrun_formats::Source;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Longest text that is embedded, in bytes.
const LONGEST: usize = 1 << 20;

/// Files read so far; a fork server's children inherit them.
static KNOWN: Mutex<Option<HashMap<String, Option<Source>>>> = Mutex::new(None);

/// Names the files that a server's runs will need, so that they are read once.
pub fn remember(paths: &[String]) {
    for path in paths {
        source(path);
    }
}

/// Makes the cache before the first fork.
pub fn prepare() {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default();
}

/// The file at `path`; `None` if it cannot be read as text (a shell's input, a frozen module).
pub fn source(path: &str) -> Option<Source> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    known.entry(path.to_owned()).or_insert_with(|| read(path)).clone()
}

fn read(path: &str) -> Option<Source> {
    let text = std::fs::read_to_string(path).ok()?;
    let hash = frontrun_formats::execution::content_hash(text.as_bytes());
    Some(Source { path: path.to_owned(), hash, text: (text.len() <= LONGEST).then_some(text) })
}
