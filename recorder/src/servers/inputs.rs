//! What servers tell a run, as it is written into the trace.
//!
//! Model: one sequence for all connections, in the order of what the program has sent and what has arrived. What has
//! arrived is noted no later than anything that is sent after it, whether or not the program has read it by then. Of what
//! is sent only lengths are kept, and nothing of how a client proves to PostgreSQL who it is: it is let in without proof
//! when the run is told the same again.
//!
//! Not here: sockets (crate `python`), telling a run the same again (reenactment).

use super::postgres;
use super::redaction::{Form, Glob, message_length, redact};
use frontrun_formats::Input;
use frontrun_formats::execution::content_hash;

/// How far a connection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Nothing of PostgreSQL has been said.
    #[default]
    Raw,
    /// The client of PostgreSQL proves who it is.
    Authenticating,
    /// Whole messages of PostgreSQL follow.
    Messages,
}

#[derive(Debug, Default)]
struct Progress {
    stage: Stage,
    has_sent: bool,
    has_ended: bool,
    /// How many bytes have been noted that the program has not read.
    ahead: usize,
    /// A message that has not arrived as a whole.
    partial: Vec<u8>,
}

/// The inputs of a run that have not been written.
#[derive(Debug, Default)]
pub struct Inputs {
    globs: Vec<Glob>,
    waiting: Vec<Input>,
    connections: Vec<Progress>,
}

/// The number under which a question of the recorder is found again.
pub fn question_of(bytes: &[u8]) -> u64 {
    content_hash(bytes)
}

impl Inputs {
    /// Notes inputs from now on, without what the globs match.
    pub fn new(globs: Vec<Glob>) -> Self {
        Inputs { globs, ..Inputs::default() }
    }

    /// Notes a connection, or that there is none; returns its number.
    pub fn connected(&mut self, server: &str, error: i32) -> u32 {
        self.waiting.push(Input::Connected { server: server.to_owned(), error });
        self.connections.push(Progress::default());
        self.connections.len() as u32 - 1
    }

    /// Notes what the program has sent.
    pub fn sent(&mut self, connection: u32, bytes: &[u8]) {
        let Some(progress) = self.connections.get_mut(connection as usize) else { return };
        let was_authenticating = progress.stage == Stage::Authenticating;
        if progress.stage == Stage::Raw && bytes.starts_with(&[0x16, 3]) {
            return self.unrecorded("a connection to a server is encrypted".to_owned());
        }
        if progress.stage == Stage::Raw && postgres::is_startup(bytes) {
            progress.stage = Stage::Authenticating;
        }
        progress.has_sent = true;
        if !was_authenticating && !bytes.is_empty() {
            self.waiting.push(Input::Sent { connection, length: bytes.len() as u64 });
        }
    }

    /// Notes what lies there for the program to read, and what of it has not been noted.
    pub fn arrived(&mut self, connection: u32, there: &[u8]) {
        let Some(progress) = self.connections.get_mut(connection as usize) else { return };
        let new = there.get(progress.ahead..).unwrap_or_default();
        progress.ahead += new.len();
        self.note(connection, new);
    }

    /// Notes what the program has read; nothing for the end.
    pub fn read(&mut self, connection: u32, bytes: &[u8]) {
        let Some(progress) = self.connections.get_mut(connection as usize) else { return };
        if bytes.is_empty() {
            if !std::mem::replace(&mut progress.has_ended, true) {
                self.waiting.push(Input::Ended { connection });
            }
            return;
        }
        let new = bytes.get(progress.ahead..).unwrap_or_default();
        progress.ahead = progress.ahead.saturating_sub(bytes.len());
        self.note(connection, new);
    }

    /// Notes what the server has answered to a question of the recorder.
    pub fn answered(&mut self, connection: u32, question: u64, answer: &[u8]) {
        self.waiting.push(Input::Answered { connection, question, answer: answer.to_vec() });
    }

    /// Notes that something cannot be told again.
    pub fn unrecorded(&mut self, reason: String) {
        self.waiting.push(Input::Unrecorded { reason });
    }

    /// What has been noted and may not grow any more; all of it at the `end`.
    pub fn take(&mut self, end: bool) -> Vec<Input> {
        let is_settled = |input: &Input| !matches!(input, Input::Received { .. });
        let last = self.waiting.iter().rposition(is_settled).map_or(0, |at| at + 1);
        let n = if end { self.waiting.len() } else { last };
        let mut taken: Vec<Input> = self.waiting.drain(..n).collect();
        for input in &mut taken {
            if let Input::Received { connection, bytes } | Input::Answered { connection, answer: bytes, .. } =
                input
            {
                let stage = self.connections.get(*connection as usize).map(|progress| progress.stage);
                let form = if stage == Some(Stage::Messages) { Form::Messages } else { Form::Lines };
                redact(&self.globs, form, bytes);
            }
        }
        taken
    }

    fn note(&mut self, connection: u32, new: &[u8]) {
        let Some(progress) = self.connections.get_mut(connection as usize) else { return };
        let bytes = match progress.stage {
            Stage::Raw => new.to_vec(),
            Stage::Authenticating | Stage::Messages => progress.messages(new),
        };
        if bytes.is_empty() {
            return;
        }
        // What arrives on different connections without anything being sent in between has no order.
        let arrivals =
            self.waiting.iter_mut().rev().take_while(|input| matches!(input, Input::Received { .. }));
        let same = arrivals.filter_map(|input| match input {
            Input::Received { connection: at, bytes } if *at == connection => Some(bytes),
            _ => None,
        });
        match same.last() {
            Some(before) => before.extend(bytes),
            None => self.waiting.push(Input::Received { connection, bytes }),
        }
    }
}

impl Progress {
    /// Whole messages, without those that ask for a proof.
    fn messages(&mut self, new: &[u8]) -> Vec<u8> {
        self.partial.extend(new);
        let mut kept = Vec::new();
        while let Some(length) = message_length(&self.partial).filter(|length| *length <= self.partial.len())
        {
            let message: Vec<u8> = self.partial.drain(..length).collect();
            let is_about_proof = message[0] == b'R' && self.stage == Stage::Authenticating;
            let is_let_in = is_about_proof && message.get(5..9) == Some(&[0; 4]);
            if is_let_in || message[0] == b'E' {
                self.stage = Stage::Messages;
            }
            if !is_about_proof || is_let_in {
                kept.extend(message);
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTUP: &[u8] = b"\0\0\0\x11\0\x03\0\0user\0me\0\0";

    #[test]
    fn what_has_arrived_is_noted_once_and_in_one_piece() {
        let mut inputs = Inputs::new(Vec::new());
        let at = inputs.connected("server:1", 0);
        inputs.sent(at, b"GET x");
        inputs.arrived(at, b"ab");
        inputs.arrived(at, b"abc");
        inputs.read(at, b"a");
        inputs.read(at, b"bcd");
        assert_eq!(inputs.take(false).len(), 2);
        inputs.read(at, b"");
        let rest = [Input::Received { connection: 0, bytes: b"abcd".into() }, Input::Ended { connection: 0 }];
        assert_eq!(inputs.take(true), rest);
    }

    #[test]
    fn a_proof_of_who_a_client_is_leaves_no_trace() {
        let mut inputs = Inputs::new(Vec::new());
        let at = inputs.connected("server:1", 0);
        inputs.sent(at, STARTUP);
        inputs.read(at, b"R\0\0\0\x0c\0\0\0\x05salt");
        inputs.sent(at, b"p\0\0\0\x0asecret");
        inputs.read(at, b"R\0\0\0\x08\0\0\0\0Z\0\0\0");
        inputs.read(at, b"\x05I");
        let noted = inputs.take(true);
        let expected = [
            Input::Connected { server: "server:1".into(), error: 0 },
            Input::Sent { connection: 0, length: STARTUP.len() as u64 },
            Input::Received { connection: 0, bytes: b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I".into() },
        ];
        assert_eq!(noted, expected);
    }

    #[test]
    fn what_the_recorder_has_asked_is_redacted_too() {
        let mut inputs = Inputs::new(Glob::new("*@*.org").into_iter().collect());
        let at = inputs.connected("server:6379", 0);
        inputs.answered(at, 7, b"$9\r\nbob@x.org\r\n");
        inputs.read(at, b"+bob@x.org\r\n");
        let noted = inputs.take(true);
        let answer = b"$9\r\nxxxxxxxxx\r\n".into();
        assert_eq!(noted[1], Input::Answered { connection: 0, question: 7, answer });
        assert_eq!(noted[2], Input::Received { connection: 0, bytes: b"+xxxxxxxxx\r\n".into() });
    }

    #[test]
    fn an_encrypted_connection_cannot_be_told_again() {
        let mut inputs = Inputs::new(Vec::new());
        let at = inputs.connected("server:1", 0);
        inputs.sent(at, &[0x16, 3, 1]);
        assert!(
            matches!(&inputs.take(true)[1], Input::Unrecorded { reason } if reason.contains("encrypted"))
        );
    }
}
