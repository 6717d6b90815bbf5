//! Telling a run again what servers have told one before.
//!
//! Model: the inputs of a trace are gone through in their order. What the program has sent is compared by its length with
//! what comes next; what has arrived then, arrives now, and not before everything that was sent before it.
//!
//! Not here: sockets (crate `python`).

use frontrun_formats::Input;
use std::collections::VecDeque;

/// What a connection is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// These bytes.
    Bytes(u32, Vec<u8>),
    /// That there is nothing more.
    End(u32),
}

/// Where a run went another way than the one that was recorded: what was expected and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// What the recording has.
    pub expected: String,
    /// What the run does.
    pub found: String,
}

#[derive(Debug, Default)]
struct Progress {
    /// Bytes that have been sent, and not been compared with the recording.
    sent: u64,
    /// Lengths of what is still to be sent.
    expected: VecDeque<u64>,
}

/// The inputs of a recorded run, and how far they have been told.
#[derive(Debug, Default)]
pub struct Reenactment {
    inputs: Vec<Input>,
    /// The number of the input that comes next.
    next: usize,
    connections: Vec<Progress>,
    /// Connections that the run has made.
    n_made: usize,
    /// Answers to questions of the recorder that have been given.
    given: Vec<usize>,
}

impl Reenactment {
    /// Tells these inputs.
    pub fn new(inputs: Vec<Input>) -> Self {
        let mut connections: Vec<Progress> = Vec::new();
        for input in &inputs {
            match input {
                Input::Connected { .. } => connections.push(Progress::default()),
                Input::Sent { connection, length } => {
                    if let Some(progress) = connections.get_mut(*connection as usize) {
                        progress.expected.push_back(*length);
                    }
                }
                _ => {}
            }
        }
        Reenactment { inputs, connections, ..Reenactment::default() }
    }

    /// The run connects to a server: the number of the connection, and the error that it meets, or 0.
    ///
    /// # Errors
    /// When the recorded run did not.
    pub fn connect(&mut self, server: &str) -> Result<(u32, i32), Departure> {
        let number = self.n_made;
        let mut connections = self.inputs.iter().filter_map(|input| match input {
            Input::Connected { server, error } => Some((server, *error)),
            _ => None,
        });
        let found = format!("a connection to {server}");
        match connections.nth(number) {
            Some((recorded, error)) if is_same(recorded, server) => {
                self.n_made += 1;
                Ok((number as u32, error))
            }
            Some((recorded, _)) => Err(Departure { expected: format!("a connection to {recorded}"), found }),
            None => Err(Departure { expected: "no further connection to a server".to_owned(), found }),
        }
    }

    /// The run has sent that much.
    ///
    /// # Errors
    /// When the recorded run has sent something of another length.
    pub fn send(&mut self, connection: u32, length: u64) -> Result<(), Departure> {
        let Some(progress) = self.connections.get_mut(connection as usize) else { return Ok(()) };
        progress.sent += length;
        let expected = progress.expected.iter().sum::<u64>();
        if progress.sent <= expected {
            return Ok(());
        }
        let text = |n: u64| if n == 0 { "nothing".to_owned() } else { format!("at most {n} bytes") };
        let expected = format!("{} to be sent to a server on connection {connection}", text(expected));
        Err(Departure { expected, found: format!("{} bytes are", progress.sent) })
    }

    /// Everything that is to be told now.
    pub fn due(&mut self) -> Vec<Told> {
        let mut due = Vec::new();
        let mut n_connected = self.n_connected();
        while let Some(input) = self.inputs.get(self.next) {
            match input {
                Input::Connected { .. } if n_connected >= self.n_made => break,
                Input::Connected { .. } => n_connected += 1,
                Input::Sent { connection, length } => {
                    let Some(progress) = self.connections.get_mut(*connection as usize) else { break };
                    if progress.sent < *length {
                        break;
                    }
                    progress.sent -= length;
                    progress.expected.pop_front();
                }
                Input::Received { connection, bytes } => due.push(Told::Bytes(*connection, bytes.clone())),
                Input::Ended { connection } => due.push(Told::End(*connection)),
                Input::Answered { .. } | Input::Unrecorded { .. } => {}
            }
            self.next += 1;
        }
        due
    }

    /// The answer to a question of the recorder, if the recorded run has got one by now.
    pub fn answer(&mut self, connection: u32, question: u64) -> Option<Vec<u8>> {
        let reached = self.inputs.iter().enumerate().take(self.next);
        let mut found = reached.filter_map(|(at, input)| match input {
            Input::Answered { connection: on, question: asked, answer } => {
                (*on == connection && *asked == question).then_some((at, answer))
            }
            _ => None,
        });
        let (at, answer) = found.find(|(at, _)| !self.given.contains(at))?;
        self.given.push(at);
        Some(answer.clone())
    }

    /// What is expected before anything more is told.
    pub fn awaited(&self) -> String {
        match self.inputs.get(self.next) {
            Some(Input::Connected { server, .. }) => format!("a connection to {server}"),
            Some(Input::Sent { connection, length }) => {
                format!("{length} bytes to be sent to a server on connection {connection}")
            }
            _ => "the end of what servers have told".to_owned(),
        }
    }

    fn n_connected(&self) -> usize {
        let passed = self.inputs.iter().take(self.next);
        passed.filter(|input| matches!(input, Input::Connected { .. })).count()
    }
}

/// Whether two addresses are of one server: the same port suffices, since a host may have another address here.
fn is_same(recorded: &str, found: &str) -> bool {
    let port = |server: &str| server.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    recorded == found || port(recorded).is_some() && port(recorded) == port(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded() -> Reenactment {
        let connected = |server: &str| Input::Connected { server: server.into(), error: 0 };
        Reenactment::new(vec![
            connected("10.0.0.1:5432"),
            Input::Sent { connection: 0, length: 10 },
            Input::Answered { connection: 0, question: 7, answer: b"yes".into() },
            connected("10.0.0.1:5432"),
            Input::Sent { connection: 1, length: 5 },
            Input::Received { connection: 0, bytes: b"late".into() },
            Input::Ended { connection: 1 },
        ])
    }

    #[test]
    fn nothing_is_told_before_what_came_before_it_was_sent() {
        let mut run = recorded();
        assert_eq!(run.connect("127.0.0.1:5432"), Ok((0, 0)));
        assert_eq!((run.send(0, 4), run.due(), run.answer(0, 7)), (Ok(()), vec![], None));
        assert_eq!((run.send(0, 6), run.due()), (Ok(()), vec![]));
        assert_eq!((run.answer(0, 7), run.answer(0, 7)), (Some(b"yes".to_vec()), None));
        assert_eq!(run.connect("127.0.0.1:5432"), Ok((1, 0)));
        assert_eq!(run.send(1, 5), Ok(()));
        assert_eq!(run.due(), [Told::Bytes(0, b"late".into()), Told::End(1)]);
    }

    #[test]
    fn another_server_or_another_length_is_a_departure() {
        let mut run = recorded();
        assert!(run.connect("127.0.0.1:6379").is_err());
        run.connect("127.0.0.1:5432").unwrap();
        let departure = run.send(0, 11).unwrap_err();
        assert!(departure.expected.contains("at most 10 bytes"), "{departure:?}");
        assert!(run.awaited().contains("5432") || run.awaited().contains("10 bytes"));
    }
}
