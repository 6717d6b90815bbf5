//! What the recorder itself asks servers, on connections that are at rest.
//!
//! Not here: bytes (exchange), where the answers come from when the servers are away (inputs).

use super::exchange::converse;
use super::inputs;
use crate::connections::Id;
use frontrun_recorder::servers::postgres::{Dialogue, query};
use frontrun_recorder::servers::redis;

/// Rows of an answer, fields as text.
pub type Rows = Vec<Vec<Option<String>>>;

/// Asks PostgreSQL something; returns the rows, or `None` if there is no answer.
pub fn ask(id: Id, idle: &Dialogue, sql: &str) -> Option<Rows> {
    ask_for(id, idle, sql, |_| true)
}

/// Asks PostgreSQL something that may be asked again until the answer says what it is asked for: only that one `matters`,
/// since how often it is asked hangs on time.
pub fn ask_for(id: Id, idle: &Dialogue, sql: &str, matters: impl Fn(&Rows) -> bool) -> Option<Rows> {
    let mut dialogue = idle.clone();
    dialogue.keep_rows = true;
    let bytes = query(sql);
    dialogue.send(&bytes);
    let answer = put(id, &bytes, |answer| {
        dialogue.receive(answer);
        dialogue.outstanding <= idle.outstanding
    })?;
    if matters(&dialogue.data) {
        inputs::note_answer(id, &bytes, &answer);
    }
    dialogue.error.is_none().then_some(dialogue.data)
}

/// Asks Redis something; returns the answer, or `None` if there is none.
pub fn ask_redis(id: Id, idle: &redis::Dialogue, words: &[&[u8]]) -> Option<redis::Answer> {
    let mut dialogue = idle.clone();
    dialogue.kept = Some(Vec::new());
    let bytes = redis::request(words);
    dialogue.send(&bytes);
    let answer = put(id, &bytes, |answer| {
        dialogue.receive(answer);
        dialogue.outstanding() == 0
    })?;
    inputs::note_answer(id, &bytes, &answer);
    dialogue.kept?.pop()
}

/// Puts a question and returns the answer, in whose bytes `ends` finds the end.
fn put(id: Id, bytes: &[u8], mut ends: impl FnMut(&[u8]) -> bool) -> Option<Vec<u8>> {
    if inputs::are_told() {
        return inputs::told_answer(id, bytes).filter(|answer| ends(answer));
    }
    converse(id.fd, bytes, ends)
}
