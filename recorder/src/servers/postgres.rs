//! The protocol of PostgreSQL, version 3: the statements in what a client sends, the state in what a server answers.
//!
//! Invariant: both sides can be fed bytes in pieces of any length. Encrypted connections are [`Dialogue::is_readable`]
//! no more.
//!
//! Not here: what a statement does (sql).

use rustc_hash::FxHashMap;

/// A parameter of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// NULL.
    Null,
    /// A value as text.
    Text(String),
    /// A value in a form that only its type can read.
    Opaque,
}

/// One statement that a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its text, which may hold `$1`.
    pub sql: String,
    /// What is bound to these.
    pub parameters: Vec<Parameter>,
}

/// What the server said last about the transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// There is none.
    #[default]
    Idle,
    /// There is one.
    Within,
    /// There was one, which failed: only its end is left to be said.
    Failed,
}

/// The length of the longest message whose text is looked at.
const LONGEST: usize = 1 << 24;

/// What begins a connection.
const VERSION_3: i32 = 196_608;
const CANCEL: i32 = 80_877_102;
const ENCRYPTION: [i32; 2] = [80_877_103, 80_877_104];

/// A statement that has been prepared: its text and the types of its parameters.
type Prepared = (String, Vec<u32>);

/// What one connection has said so far, in both directions.
#[derive(Clone, Debug, Default)]
pub struct Dialogue {
    sent: Vec<u8>,
    received: Vec<u8>,
    began: bool,
    unreadable: bool,
    /// A request for encryption has not been answered.
    asks_to_encrypt: bool,
    prepared: FxHashMap<String, Prepared>,
    portals: FxHashMap<String, Asked>,
    /// What has been asked since the last complete request.
    asked: Vec<Asked>,
    /// How many requests have not been answered.
    pub outstanding: u32,
    /// What the server said last about the transaction.
    pub status: Status,
    /// The server process that serves this connection.
    pub process: i32,
    /// The database, or the user if none was named.
    pub database: String,
    /// How many rows the last statement that was completed is said to have touched.
    pub rows: Option<u64>,
    /// Rows of the answer, fields as text, while [`Dialogue::keep_rows`].
    pub data: Vec<Vec<Option<String>>>,
    /// Whether rows are kept.
    pub keep_rows: bool,
    /// The text of an error in the last answer.
    pub error: Option<String>,
}

/// A request that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Statements.
    Statements(Vec<Asked>),
    /// The client says goodbye.
    Goodbye,
    /// Something that is part of making a connection.
    Handshake,
    /// Something else.
    Other,
}

/// Whether these bytes say who the client is, which begins the session.
pub fn is_startup(bytes: &[u8]) -> bool {
    let word = |at: usize| Some(i32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    // The minor version is whatever the client knows.
    word(0).is_some_and(|length| length as usize == bytes.len())
        && word(4).is_some_and(|version| version >> 16 == VERSION_3 >> 16)
}

/// Whether these bytes can begin a connection.
pub fn begins_connection(bytes: &[u8]) -> bool {
    let word = |at: usize| Some(i32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let is_length = word(0).is_some_and(|length| (8..10_000).contains(&length));
    is_length && word(4).is_some_and(|code| code == VERSION_3 || code == CANCEL || ENCRYPTION.contains(&code))
}

impl Dialogue {
    /// Whether the messages can be read.
    pub fn is_readable(&self) -> bool {
        !self.unreadable
    }

    /// Takes note of bytes that the client sends; returns the requests that they complete.
    pub fn send(&mut self, bytes: &[u8]) -> Vec<Request> {
        let mut requests = Vec::new();
        if self.unreadable {
            return requests;
        }
        self.sent.extend_from_slice(bytes);
        while let Some(message) = self.next_sent() {
            let request = if self.began { self.message(&message) } else { self.greeting(&message) };
            requests.extend(request);
        }
        requests
    }

    /// The next whole message of the client: with its kind in front, after the greeting.
    fn next_sent(&mut self) -> Option<Vec<u8>> {
        let head = usize::from(self.began);
        let length = usize::try_from(i32_at(&self.sent, head)?).ok()? + head;
        self.unreadable |= length > LONGEST;
        (!self.unreadable && self.sent.len() >= length).then(|| self.sent.drain(..length).collect())
    }

    fn greeting(&mut self, message: &[u8]) -> Option<Request> {
        match i32_at(message, 4)? {
            VERSION_3 => {
                self.began = true;
                self.database = database(&message[8..]);
                // The answer ends with the server being ready.
                self.outstanding += 1;
            }
            code if ENCRYPTION.contains(&code) => self.asks_to_encrypt = true,
            CANCEL => return Some(Request::Other),
            _ => self.unreadable = true,
        }
        Some(Request::Handshake)
    }

    fn message(&mut self, message: &[u8]) -> Option<Request> {
        let body = &message[5..];
        match message[0] {
            b'Q' => {
                let (sql, _) = text(body)?;
                let asked = vec![Asked { sql, parameters: Vec::new() }];
                Some(self.complete(Request::Statements(asked)))
            }
            b'S' => {
                let asked = std::mem::take(&mut self.asked);
                Some(self.complete(Request::Statements(asked)))
            }
            b'P' => self.prepare(body),
            b'B' => self.bind(body),
            b'E' => {
                let (portal, _) = text(body)?;
                self.asked.extend(self.portals.get(&portal).cloned());
                None
            }
            b'C' if body.first() == Some(&b'S') => {
                let (name, _) = text(&body[1..])?;
                self.prepared.remove(&name);
                None
            }
            b'F' => Some(self.complete(Request::Other)),
            b'X' => Some(Request::Goodbye),
            b'p' => Some(Request::Handshake),
            // What is copied into a table, and a wish for answers before the request is complete.
            b'd' | b'c' | b'f' | b'H' => Some(Request::Other),
            _ => None,
        }
    }

    fn complete(&mut self, request: Request) -> Request {
        self.outstanding += 1;
        self.rows = None;
        self.error = None;
        request
    }

    fn prepare(&mut self, body: &[u8]) -> Option<Request> {
        let (name, rest) = text(body)?;
        let (sql, rest) = text(rest)?;
        let count = u16_at(rest, 0)? as usize;
        let types = (0..count).filter_map(|n| Some(i32_at(rest, 2 + 4 * n)? as u32)).collect();
        self.prepared.insert(name, (sql, types));
        None
    }

    fn bind(&mut self, body: &[u8]) -> Option<Request> {
        let (portal, rest) = text(body)?;
        let (name, rest) = text(rest)?;
        let n_formats = u16_at(rest, 0)? as usize;
        let format = |n: usize| match n_formats {
            0 => Some(0),
            1 => u16_at(rest, 2),
            _ => u16_at(rest, 2 + 2 * n),
        };
        let mut at = 2 + 2 * n_formats;
        let count = u16_at(rest, at)? as usize;
        at += 2;
        let (sql, types) = self.prepared.get(&name)?.clone();
        let mut parameters = Vec::new();
        for n in 0..count {
            let length = i32_at(rest, at)?;
            at += 4;
            let Ok(length) = usize::try_from(length) else {
                parameters.push(Parameter::Null);
                continue;
            };
            let value = rest.get(at..at + length)?;
            at += length;
            parameters.push(parameter(value, format(n)? == 1, types.get(n).copied().unwrap_or(0)));
        }
        self.portals.insert(portal, Asked { sql, parameters });
        None
    }

    /// Takes note of bytes that the server has sent.
    pub fn receive(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        if self.asks_to_encrypt
            && let Some((answer, rest)) = bytes.split_first()
        {
            self.asks_to_encrypt = false;
            match answer {
                b'N' => bytes = rest,
                b'S' | b'G' => self.unreadable = true,
                _ => {}
            }
        }
        if self.unreadable {
            return;
        }
        self.received.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(length) = i32_at(&self.received, at + 1) {
            let Some(end) = usize::try_from(length).ok().and_then(|length| at.checked_add(1 + length)) else {
                self.unreadable = true;
                return;
            };
            if self.received.len() < end {
                break;
            }
            let (kind, body) = (self.received[at], self.received[at + 5..end].to_vec());
            self.answer(kind, &body);
            at = end;
        }
        self.received.drain(..at);
    }

    fn answer(&mut self, kind: u8, body: &[u8]) {
        match kind {
            b'Z' => {
                self.outstanding = self.outstanding.saturating_sub(1);
                self.status = match body.first() {
                    Some(b'T') => Status::Within,
                    Some(b'E') => Status::Failed,
                    _ => Status::Idle,
                };
            }
            b'K' => self.process = i32_at(body, 0).unwrap_or(0),
            b'C' => self.rows = text(body).and_then(|(tag, _)| tag.rsplit(' ').next()?.parse().ok()),
            b'E' => self.error = Some(String::from_utf8_lossy(body).into_owned()),
            // The server waits for what is to be copied, or sends it.
            b'G' | b'H' | b'W' => self.outstanding = 0,
            b'D' if self.keep_rows => self.data.push(fields(body).unwrap_or_default()),
            _ => {}
        }
    }
}

/// The fields of a row in text format.
fn fields(body: &[u8]) -> Option<Vec<Option<String>>> {
    let mut at = 2;
    let mut fields = Vec::new();
    for _ in 0..u16_at(body, 0)? {
        let length = i32_at(body, at)?;
        at += 4;
        let Ok(length) = usize::try_from(length) else {
            fields.push(None);
            continue;
        };
        fields.push(Some(String::from_utf8_lossy(body.get(at..at + length)?).into_owned()));
        at += length;
    }
    Some(fields)
}

/// The numbers of the types that are integers, by their lengths in bytes.
const INTEGERS: [(u32, usize); 3] = [(21, 2), (23, 4), (20, 8)];
/// The numbers of the types whose binary form is their text.
const TEXTS: [u32; 4] = [25, 1043, 19, 705];

fn parameter(value: &[u8], is_binary: bool, type_number: u32) -> Parameter {
    let as_text = || std::str::from_utf8(value).ok().map(|text| Parameter::Text(text.to_owned()));
    let found = if !is_binary || TEXTS.contains(&type_number) {
        as_text()
    } else if INTEGERS.contains(&(type_number, value.len())) {
        let sign = if value[0] & 0x80 == 0 { 0 } else { 0xFF };
        let mut wide = [sign; 8];
        wide[8 - value.len()..].copy_from_slice(value);
        Some(Parameter::Text(i64::from_be_bytes(wide).to_string()))
    } else {
        None
    };
    found.unwrap_or(Parameter::Opaque)
}

/// The database in the parameters of a greeting.
fn database(parameters: &[u8]) -> String {
    let words: Vec<&[u8]> = parameters.split(|byte| *byte == 0).collect();
    let value = |name: &[u8]| {
        let pair = words.chunks(2).find(|pair| pair[0] == name && pair.len() == 2)?;
        Some(String::from_utf8_lossy(pair[1]).into_owned())
    };
    value(b"database").or_else(|| value(b"user")).unwrap_or_default()
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// A text that ends with 0, and what follows it.
fn text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((String::from_utf8_lossy(&bytes[..end]).into_owned(), &bytes[end + 1..]))
}

/// A request for one statement without parameters.
pub fn query(sql: &str) -> Vec<u8> {
    let length = (sql.len() + 5) as i32;
    [b"Q", &length.to_be_bytes()[..], sql.as_bytes(), &[0]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeted() -> Dialogue {
        let mut dialogue = Dialogue::default();
        let parameters = b"user\0ann\0database\0bank\0\0";
        let length = (8 + parameters.len()) as i32;
        let greeting = [&length.to_be_bytes()[..], &VERSION_3.to_be_bytes(), parameters].concat();
        assert!(begins_connection(&greeting));
        assert_eq!(dialogue.send(&greeting), [Request::Handshake]);
        dialogue.receive(b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\x07\0\0\0\x01Z\0\0\0\x05I");
        dialogue
    }

    #[test]
    fn the_greeting_names_the_database_and_the_process() {
        let dialogue = greeted();
        assert_eq!((dialogue.database.as_str(), dialogue.process, dialogue.outstanding), ("bank", 7, 0));
    }

    #[test]
    fn a_simple_query_in_two_pieces_is_one_request() {
        let mut dialogue = greeted();
        let bytes = query("SELECT 1");
        assert_eq!(dialogue.send(&bytes[..6]), []);
        let asked = Asked { sql: "SELECT 1".to_owned(), parameters: vec![] };
        assert_eq!(dialogue.send(&bytes[6..]), [Request::Statements(vec![asked])]);
        assert_eq!(dialogue.outstanding, 1);
        dialogue.receive(b"C\0\0\0\x0dSELECT 3\0Z\0\0\0\x05T");
        assert_eq!((dialogue.outstanding, dialogue.status, dialogue.rows), (0, Status::Within, Some(3)));
    }

    #[test]
    fn bound_parameters_are_read_by_their_types() {
        let mut dialogue = greeted();
        let bytes = b"P\0\0\x005\0SELECT balance FROM account WHERE id = $1\0\0\x01\0\0\0\x15\
            B\0\0\0\x16\0\0\0\x01\0\x01\0\x01\0\0\0\x02\xff\xfe\0\x01\0\0D\0\0\0\x06P\0E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04";
        let requests = dialogue.send(bytes);
        let [Request::Statements(asked)] = &requests[..] else { panic!("{requests:?}") };
        assert_eq!(asked[0].parameters, [Parameter::Text("-2".to_owned())]);
    }

    #[test]
    fn an_encrypted_connection_cannot_be_read() {
        let mut dialogue = Dialogue::default();
        dialogue.send(b"\0\0\0\x08\x04\xd2\x16\x2f");
        dialogue.receive(b"S");
        assert!(!dialogue.is_readable());
    }
}
