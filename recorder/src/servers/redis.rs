//! The protocol of Redis, RESP 2 and 3: the commands in what a client sends, how many of them have been answered.
//!
//! Model: a server executes the commands of a connection one after the other, each atomically. Those between `MULTI` and
//! `EXEC` are executed by `EXEC`. Which keys a command touches hangs on the database that has been selected.
//!
//! Invariant: both sides can be fed bytes in pieces of any length. What is sent to a connection whose answers are no
//! longer one a command (subscriptions, tracking) is [`Dialogue::is_readable`] no more.
//!
//! Not here: which keys a command names (commands).

use super::commands::{self, Kind, Touched};
use redis_protocol::{resp2, resp3};
use std::collections::VecDeque;

/// The length of the longest command that is looked at.
const LONGEST: usize = 1 << 26;

/// What is to be done about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Where in the bytes that completed it the request ends.
    pub end: usize,
    /// The database that its keys are in.
    pub database: i64,
    /// The keys that it touches.
    pub touched: Touched,
    /// Whether it hangs on nothing that its keys have held.
    pub overwrites: bool,
    /// For one that waits until there is something at one of these keys: them, and for how long at most.
    pub awaited: Option<Awaited>,
}

/// What a blocking command waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// One of these is to be there.
    pub keys: Vec<Vec<u8>>,
    /// In milliseconds; `None` for as long as it takes.
    pub patience_ms: Option<u64>,
}

/// What an answer means for the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// Nothing.
    Anything,
    /// The version of the protocol, if it is no error.
    Hello(u8),
    /// The database is another one; an error would mean that it is not, which nobody has foreseen.
    Select,
}

/// What one connection has said so far, in both directions.
#[derive(Clone, Debug)]
pub struct Dialogue {
    sent: Vec<u8>,
    received: Vec<u8>,
    unreadable: bool,
    version: u8,
    database: i64,
    expected: VecDeque<Expected>,
    /// What the commands since `MULTI` touch.
    queued: Option<Touched>,
    watched: Touched,
    /// Answers are kept here as long as they are wanted.
    pub kept: Option<Vec<Answer>>,
}

/// An answer, as far as anybody here wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A text.
    Text(Vec<u8>),
    /// A number.
    Number(i64),
    /// Something else.
    Other,
}

/// Whether it is none to a command, what it is, whether it is an error, and how many bytes it has.
type Answered = (bool, Answer, bool, usize);

impl Default for Dialogue {
    fn default() -> Self {
        Dialogue {
            sent: Vec::new(),
            received: Vec::new(),
            unreadable: false,
            version: 2,
            database: 0,
            expected: VecDeque::new(),
            queued: None,
            watched: Touched::default(),
            kept: None,
        }
    }
}

/// Whether these bytes can begin a connection: a command that is known, or the beginning of one.
pub fn begins_connection(bytes: &[u8]) -> bool {
    matches!(command(bytes), Ok(Some((words, _))) if commands::is_known(&words))
}

/// The bytes of a command.
pub fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).into_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// The words of a command, and how many bytes it has.
type Command = (Vec<Vec<u8>>, usize);

/// The words of the first command in these bytes, and how long it is. `None` if it is not complete.
fn command(bytes: &[u8]) -> Result<Option<Command>, ()> {
    use resp2::types::RangeFrame;
    if bytes.first().is_some_and(|first| *first != b'*') {
        return Err(());
    }
    let Some((RangeFrame::Array(parts), length)) = resp2::decode::decode_range(bytes).map_err(|_| ())? else {
        return Ok(None);
    };
    let word = |part: &RangeFrame| match part {
        RangeFrame::BulkString((from, to)) => Ok(bytes[*from..*to].to_vec()),
        _ => Err(()),
    };
    Ok(Some((parts.iter().map(word).collect::<Result<_, _>>()?, length)))
}

impl Dialogue {
    /// Whether the messages can be read.
    pub fn is_readable(&self) -> bool {
        !self.unreadable
    }

    /// How many commands have not been answered.
    pub fn outstanding(&self) -> usize {
        self.expected.len()
    }

    /// The database that is selected.
    pub fn database(&self) -> i64 {
        self.database
    }

    /// Whether the connection can be asked something in between.
    pub fn is_at_rest(&self) -> bool {
        self.expected.is_empty() && self.queued.is_none() && self.sent.is_empty() && !self.unreadable
    }

    /// Takes note of bytes that the client sends; returns the requests that they complete and that touch something.
    pub fn send(&mut self, bytes: &[u8]) -> Vec<Request> {
        let mut requests = Vec::new();
        let before = self.sent.len();
        self.sent.extend_from_slice(bytes);
        let mut at = 0;
        while !self.unreadable && at < self.sent.len() {
            match command(&self.sent[at..]) {
                Ok(Some((words, length))) => {
                    at += length;
                    let request = self.execute(&words);
                    requests
                        .extend(request.map(|request| Request { end: at.saturating_sub(before), ..request }));
                }
                Ok(None) if self.sent.len() - at <= LONGEST => break,
                _ => self.unreadable = true,
            }
        }
        self.sent.drain(..at);
        requests
    }

    fn execute(&mut self, words: &[Vec<u8>]) -> Option<Request> {
        let kind = commands::kind(words);
        let mut touched = commands::touched(words);
        let mut awaited = None;
        let mut expected = Expected::Anything;
        match kind {
            Kind::Plain | Kind::Blocks if self.queued.is_some() => {
                self.queued.as_mut()?.add(touched);
                touched = Touched::default();
            }
            Kind::Plain => {}
            Kind::Blocks => awaited = commands::awaited(words),
            Kind::Multi => self.queued = Some(Touched::default()),
            Kind::Exec => {
                touched = self.queued.take().unwrap_or_default();
                touched.add(std::mem::take(&mut self.watched));
            }
            Kind::Discard => {
                self.queued = None;
                self.watched = Touched::default();
            }
            Kind::Watch => self.watched.add(touched.clone()),
            Kind::Unwatch => self.watched = Touched::default(),
            Kind::Select(database) => {
                self.database = database;
                expected = Expected::Select;
                // In a transaction it is not selected yet.
                self.unreadable |= self.queued.is_some();
            }
            Kind::Hello(version) => expected = Expected::Hello(version),
            Kind::Unreadable => self.unreadable = true,
        }
        self.expected.push_back(expected);
        let is_any = touched != Touched::default();
        let overwrites = kind == Kind::Plain && self.queued.is_none() && commands::overwrites(words);
        is_any.then_some(Request { end: 0, database: self.database, touched, overwrites, awaited })
    }

    /// Takes note of bytes that the server has sent.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
        let mut at = 0;
        while !self.unreadable && at < self.received.len() {
            match self.answer(&self.received[at..]) {
                Ok(Some((is_pushed, answer, is_error, length))) => {
                    at += length;
                    if !is_pushed {
                        self.note_answer(answer, is_error);
                    }
                }
                Ok(None) if self.received.len() - at <= LONGEST => break,
                _ => self.unreadable = true,
            }
        }
        self.received.drain(..at);
    }

    /// The first answer, if it is complete.
    fn answer(&self, bytes: &[u8]) -> Result<Option<Answered>, ()> {
        let greets = matches!(self.expected.front(), Some(Expected::Hello(3)));
        if self.version == 3 || greets { answer_of_3(bytes) } else { answer_of_2(bytes) }
    }

    fn note_answer(&mut self, answer: Answer, is_error: bool) {
        match (self.expected.pop_front(), is_error) {
            (Some(Expected::Hello(version)), false) => self.version = version,
            (Some(Expected::Select), true) => self.unreadable = true,
            _ => {}
        }
        if let Some(kept) = &mut self.kept {
            kept.push(answer);
        }
    }
}

fn answer_of_2(bytes: &[u8]) -> Result<Option<Answered>, ()> {
    use resp2::types::RangeFrame;
    let Some((frame, length)) = resp2::decode::decode_range(bytes).map_err(|_| ())? else { return Ok(None) };
    let is_error = matches!(frame, RangeFrame::Error(_));
    let answer = match frame {
        RangeFrame::SimpleString((from, to)) | RangeFrame::BulkString((from, to)) => {
            Answer::Text(bytes[from..to].to_vec())
        }
        RangeFrame::Integer(number) => Answer::Number(number),
        _ => Answer::Other,
    };
    Ok(Some((false, answer, is_error, length)))
}

fn answer_of_3(bytes: &[u8]) -> Result<Option<Answered>, ()> {
    use resp3::types::RangeFrame;
    let Some((frame, length)) = resp3::decode::complete::decode_range(bytes).map_err(|_| ())? else {
        return Ok(None);
    };
    let is_pushed = matches!(frame, RangeFrame::Push { .. });
    let is_error = matches!(frame, RangeFrame::SimpleError { .. } | RangeFrame::BlobError { .. });
    let answer = match frame {
        RangeFrame::SimpleString { data: (from, to), .. }
        | RangeFrame::BlobString { data: (from, to), .. } => Answer::Text(bytes[from..to].to_vec()),
        RangeFrame::Number { data, .. } => Answer::Number(data),
        _ => Answer::Other,
    };
    Ok(Some((is_pushed, answer, is_error, length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<u8> {
        request(&text.split(' ').map(str::as_bytes).collect::<Vec<_>>())
    }

    fn touched(reads: &[&str], writes: &[&str]) -> Touched {
        let keys = |names: &[&str]| names.iter().map(|name| (name.as_bytes().to_vec(), None)).collect();
        Touched { reads: keys(reads), writes: keys(writes), anything: false }
    }

    #[test]
    fn a_command_in_pieces_is_one_request() {
        let bytes = words("SET a 1");
        assert!(begins_connection(&bytes));
        let mut dialogue = Dialogue::default();
        for byte in &bytes[..bytes.len() - 1] {
            assert_eq!(dialogue.send(&[*byte]), []);
        }
        let requests = dialogue.send(b"\n");
        assert_eq!((requests[0].end, &requests[0].touched), (1, &touched(&[], &["a"])));
        assert_eq!(dialogue.outstanding(), 1);
        dialogue.receive(b"+OK\r");
        assert_eq!(dialogue.outstanding(), 1);
        dialogue.receive(b"\n");
        assert!(dialogue.is_at_rest());
    }

    #[test]
    fn a_transaction_is_executed_at_its_end() {
        let mut dialogue = Dialogue::default();
        assert_eq!(dialogue.send(&words("WATCH w")).len(), 1);
        assert_eq!(dialogue.send(&[words("MULTI"), words("SET a 1"), words("GET b")].concat()), []);
        let requests = dialogue.send(&words("EXEC"));
        assert_eq!(requests[0].touched, touched(&["b", "w"], &["a"]));
        dialogue.receive(b"+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n$-1\r\n");
        assert!(dialogue.is_at_rest());
    }

    #[test]
    fn what_is_discarded_touches_nothing() {
        let mut dialogue = Dialogue::default();
        dialogue.send(&[words("MULTI"), words("SET a 1"), words("DISCARD")].concat());
        assert_eq!(dialogue.send(&words("EXEC")), []);
    }

    #[test]
    fn keys_are_those_of_the_database_that_was_selected() {
        let mut dialogue = Dialogue::default();
        let requests = dialogue.send(&[words("SELECT 2"), words("GET a")].concat());
        assert_eq!(requests[0].database, 2);
        dialogue.receive(b"-ERR DB index is out of range\r\n");
        assert!(!dialogue.is_readable());
    }

    #[test]
    fn answers_of_version_3_are_counted_without_what_is_pushed() {
        let mut dialogue = Dialogue::default();
        dialogue.send(&words("HELLO 3"));
        dialogue.receive(b"%1\r\n$5\r\nproto\r\n:3\r\n");
        dialogue.send(&words("HGETALL h"));
        dialogue.receive(b">2\r\n+message\r\n+x\r\n");
        assert_eq!(dialogue.outstanding(), 1);
        dialogue.receive(b"%1\r\n+f\r\n_\r\n");
        assert!(dialogue.is_at_rest());
    }

    #[test]
    fn other_protocols_do_not_begin_a_connection() {
        assert!(!begins_connection(b"GET / HTTP/1.1\r\n\r\n"));
        assert!(!begins_connection(b"\x16\x03\x01\x02\x00"));
        assert!(!begins_connection(&words("FROBNICATE a")));
    }
}
