//! What the exploration and a fork server say to each other over a unix stream socket.
//!
//! Model: the server greets once with [`Hello`]; then each [`RunRequest`] is answered by one [`RunReply`],
//! strictly in turn. A message is a 32-bit little-endian length and a MessagePack body. The end of the stream
//! means that the other side is gone, and is not an error.
//!
//! Not here: processes (server), timeouts of the client (worker).

use frontrun_formats::Schedule;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// Raised with every change of a message, so that a stale extension module is named and not misread.
pub const PROTOCOL_VERSION: u32 = 2;

/// A schedule of some ten million entries; whatever claims to be longer is not one of our messages.
const LONGEST_MESSAGE: u32 = 256 << 20;

/// The first message of a server: it has reached its checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`] of the server.
    pub version: u32,
    /// Process id of the server.
    pub pid: u32,
}

/// One run that a server is to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRequest {
    /// Copied into the reply.
    pub id: u64,
    /// The order to enforce.
    pub schedule: Schedule,
    /// Where the run writes its recording.
    pub trace: PathBuf,
    /// Where standard output and standard error of the run go; they are inherited when there is none.
    pub output: Option<PathBuf>,
    /// After this long the run is killed.
    pub timeout_ms: u64,
    /// After this long, a thread that goes on alone although others could gives way to them; never if there is none.
    pub give_way_ms: Option<u64>,
    /// For the header of the recording: the item that this run's item was derived from.
    pub parent: Option<u64>,
}

/// How a run ended, as the operating system tells it; what the program did is in the recording.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReply {
    /// Of the request.
    pub id: u64,
    /// The exit code, if it exited.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// Whether it was killed because its time was up.
    pub timed_out: bool,
    /// Wall-clock time of the run.
    pub micros: u64,
    /// Why no run took place at all, for example when there was no memory for another process.
    pub error: Option<String>,
}

/// Sends one message. A peer that is gone is an error, never a signal: the command line restores the default
/// action of SIGPIPE, which would end the process.
pub fn send<T: Serialize>(stream: &UnixStream, message: &T) -> io::Result<()> {
    let body = rmp_serde::to_vec_named(message).map_err(io::Error::other)?;
    let length = u32::try_from(body.len()).ok().filter(|length| *length <= LONGEST_MESSAGE);
    let length = length.ok_or_else(|| io::Error::other("the message is too long"))?;
    let mut frame = length.to_le_bytes().to_vec();
    frame.extend_from_slice(&body);
    let mut rest = frame.as_slice();
    while !rest.is_empty() {
        // SAFETY: the pointer and the length describe `rest`, which lives through the call.
        let sent =
            unsafe { libc::send(stream.as_raw_fd(), rest.as_ptr().cast(), rest.len(), libc::MSG_NOSIGNAL) };
        match usize::try_from(sent) {
            Ok(sent) => rest = &rest[sent..],
            Err(_) => match io::Error::last_os_error() {
                interrupted if interrupted.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
    }
    Ok(())
}

/// Receives one message; `None` at the end of the stream.
pub fn receive<T: DeserializeOwned>(stream: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    let mut filled = 0;
    while filled < length.len() {
        match stream.read(&mut length[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A peer that was killed with unread bytes resets the connection; for us it is simply gone.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset && filled == 0 => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let length = u32::from_le_bytes(length);
    if length > LONGEST_MESSAGE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a message of impossible length"));
    }
    // The buffer grows with what arrives, not with what the length claims.
    let mut body = Vec::new();
    stream.take(length.into()).read_to_end(&mut body)?;
    if body.len() != length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    rmp_serde::from_slice(&body).map(Some).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrun_formats::{ScheduleEntry, ThreadPath};

    fn request() -> RunRequest {
        let entry = ScheduleEntry { thread: 0, expect: 7, head: true, opens_step: true, touches: 0 };
        RunRequest {
            id: 3,
            schedule: Schedule {
                threads: vec![ThreadPath::main()],
                entries: vec![entry],
                ..Schedule::default()
            },
            trace: "/tmp/x.frz".into(),
            output: None,
            timeout_ms: 5,
            give_way_ms: Some(4),
            parent: Some(9),
        }
    }

    #[test]
    fn messages_arrive_as_sent_and_the_end_is_not_an_error() {
        let (left, mut right) = UnixStream::pair().unwrap();
        send(&left, &request()).unwrap();
        drop(left);
        assert_eq!(receive::<RunRequest>(&mut right).unwrap(), Some(request()));
        assert_eq!(receive::<RunRequest>(&mut right).unwrap(), None);
    }

    #[test]
    fn a_cut_or_lying_message_is_an_error() {
        for bytes in [&[4, 0][..], &[4, 0, 0, 0, 1][..], &[255, 255, 255, 255][..], &[1, 0, 0, 0, 0xc1][..]] {
            assert!(receive::<RunReply>(&mut &*bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn sending_to_a_closed_peer_is_an_error_and_no_signal() {
        let (left, right) = UnixStream::pair().unwrap();
        drop(right);
        assert!(send(&left, &request()).is_err());
    }
}
