//! What a run was told by servers outside its process, in the order in which it was: enough to tell it again without them.

use serde::{Deserialize, Serialize};

/// One thing that happened on a connection to a server. Connections are numbered in the order of [`Input::Connected`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// The program connected to a server, or tried to.
    Connected {
        /// Where the server is, as in `127.0.0.1:5432`.
        server: String,
        /// The system's number for why this failed; 0 if it did not.
        error: i32,
    },
    /// The program has sent something, of which nothing but the length is kept.
    Sent {
        /// On which connection.
        connection: u32,
        /// How many bytes.
        length: u64,
    },
    /// Something has arrived from the server.
    Received {
        /// On which connection.
        connection: u32,
        /// What it was, redacted if that was asked for.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    },
    /// The server has ended the connection.
    Ended {
        /// Which one.
        connection: u32,
    },
    /// The recorder itself has asked the server something between two requests of the program.
    Answered {
        /// On which connection.
        connection: u32,
        /// A hash of the question.
        question: u64,
        /// What the server answered.
        #[serde(with = "serde_bytes")]
        answer: Vec<u8>,
    },
    /// Something could not be recorded, so that the run cannot be told everything again.
    Unrecorded {
        /// What, and why.
        reason: String,
    },
}
