//! Pipes and connections between threads of the program: who has nothing to read waits, in no time and for nobody outside.
//!
//! Model: a call puts something into one channel or takes something from it, and the table of operations says when it has
//! to wait: bytes, messages and connections are counted. The real call is made when the count says that it does not wait,
//! and what the system has not moved yet is waited for in real time, since it will come. So what a thread does hangs on the
//! order of calls alone.
//!
//! An end that a child process has, too, is waited for in real time, and its calls just conflict.
//!
//! Not here: which channel an end has (endpoints), waiting for several (readiness), writers that find a channel full, which
//! end the run as one that cannot be followed.

use crate::endpoints::{self, Channel, Endpoints, NOWHERE, address, flags, has_messages, inode, is_last};
use crate::outside::{Books, Outside};
use crate::shim::{AGAIN, DONE, IoEvent, WRITES, kind};
use crate::{controlled, run};
use frontrun_formats::location::distinct;
use frontrun_formats::semantics::State;
use frontrun_formats::semantics::channels::{ended, refused};
use frontrun_formats::{Location, ObjectId, Operation, Part, ThreadId};
use libc::c_int;
use pyo3::prelude::*;
use std::cell::Cell;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

/// How long the system may take to move what was sent.
const PATIENCE: Duration = Duration::from_secs(3);

/// What `poll` says of a descriptor at which nothing more will arrive, which may be one that has been closed.
const NOTHING_MORE: libc::c_short = libc::POLLHUP | libc::POLLERR | libc::POLLNVAL;

thread_local! {
    /// What the call under way will return, if it succeeds.
    static EXPECTED: Cell<Option<u64>> = const { Cell::new(None) };
    /// The descriptor that the call under way must not find blocking.
    static UNBLOCKED: Cell<Option<RawFd>> = const { Cell::new(None) };
}

/// What a call does to channels.
enum Step {
    /// One operation on them.
    Of(Operation),
    /// Anything, in an order with all else that happens there: somebody outside takes part.
    Shared(ObjectId),
}

/// Whether the call may be one on a pipe or socket.
pub fn concerns(event: &IoEvent) -> bool {
    event.resource().starts_with(b"socket")
        || event.resource() == b"pipe"
        || event.kind == kind::PAIR
        || copies(event)
        || is_on_nothing(event)
}

/// Whether the call is one on a descriptor that is not open, such as that of an end which another thread has closed.
fn is_on_nothing(event: &IoEvent) -> bool {
    matches!(event.kind, kind::READ | kind::WRITE | kind::ACCEPT)
        && event.resource().is_empty()
        && event.fd >= 0
        && inode(event.fd) == NOWHERE
}

/// Whether the call has the system move something from one descriptor to another.
fn copies(event: &IoEvent) -> bool {
    event.kind == kind::READ && event.access & WRITES != 0
}

/// Takes the step that comes before a call, if there is one: it returns when the call will not wait for another thread.
/// `None` if the call is on none of the ends that this run has made.
pub fn take_step(me: ThreadId, event: &IoEvent, granted: bool) -> Option<u32> {
    if !is_known(event) {
        return None;
    }
    if copies(event) {
        run::end_unfollowed("what is sent to be written", "the system copies it (sendfile, splice)");
    }
    let site = controlled::last_site();
    if !granted && run::is_recording() && run::reach(me, site, None) {
        return Some(AGAIN);
    }
    match step(event)? {
        Step::Of(operation) => {
            check_taker(me, &operation);
            if matches!(operation, Operation::ChannelTake { .. } | Operation::ChannelWait { .. }) {
                wait(me, &operation);
            }
            prepare(event, &operation);
            execute(me, operation);
        }
        Step::Shared(channel) => {
            let all = Location::new(channel, Part::Whole);
            execute(me, Operation::Touch { reads: Box::new([]), writes: Box::new([all]) });
        }
    }
    Some(DONE)
}

/// Waits until the operation is enabled and it is this thread's turn.
fn wait(me: ThreadId, operation: &Operation) {
    if run::is_recording() {
        run::reach(me, controlled::last_site(), Some(operation.clone()));
    }
}

/// Records an operation on channels; before there is a second thread, its effect is enough.
pub fn execute(me: ThreadId, operation: Operation) {
    if run::is_recording() {
        let result = u8::from(run::predict(me, &operation));
        run::execute(me, controlled::last_site(), operation.clone(), result);
    } else {
        with_endpoints(|endpoints| endpoints.tally.execute(me, &operation));
    }
    // SAFETY: the calling thread holds the turn and the lock; the borrow ends here.
    if let Some(run) = unsafe { run::get() } {
        run.watches.touch_channels(&operation);
    }
}

/// Whether the call is about an end or an address that this run may share among its threads.
fn is_known(event: &IoEvent) -> bool {
    let end = inode(event.fd);
    let knows = |fd: u64| with_endpoints(|endpoints| endpoints.knows(inode(fd as RawFd))).unwrap_or(false);
    match event.kind {
        kind::READ if copies(event) => (0..3).any(|at| at != 1 && knows(event.arguments[at])),
        kind::READ | kind::WRITE if end == NOWHERE => {
            with_endpoints(|endpoints| endpoints.at(event.fd).is_some()).unwrap_or(false)
        }
        kind::ACCEPT if end == NOWHERE => {
            with_endpoints(|endpoints| endpoints.accepts_at(event.fd).is_some()).unwrap_or(false)
        }
        kind::READ | kind::WRITE | kind::SHUTDOWN | kind::CLOSE | kind::ACCEPT => {
            with_endpoints(|endpoints| endpoints.knows(end)).unwrap_or(false)
        }
        kind::CONNECT => {
            let connected = with_endpoints(|endpoints| endpoints.sends(end).is_some()).unwrap_or(false);
            !connected && !has_messages(event.fd) && endpoints::is_here(event.resource())
        }
        kind::BIND | kind::LISTEN => !has_messages(event.fd),
        _ => false,
    }
}

/// A thread that waits for several channels is the only one that takes from them, or the table of operations does not hold.
pub fn check_taker(me: ThreadId, operation: &Operation) {
    let (channels, waits): (Vec<ObjectId>, bool) = match *operation {
        Operation::ChannelTake { channel, .. } | Operation::ChannelTryTake { channel, .. } => {
            (vec![channel], false)
        }
        Operation::ChannelWait { ref of } if of.len() > 1 => (of.iter().map(|at| at.object).collect(), true),
        _ => return,
    };
    if with_endpoints(|endpoints| endpoints.takers.conflict(me, &channels, waits)).unwrap_or(false) {
        run::end_unfollowed("what a thread polls to be read by it alone", "another thread reads it, too");
    }
}

/// What has been seen of the outside, and where new things get their numbers.
fn with_books<R>(body: impl FnOnce(&mut Outside, &mut Books<'_>) -> R) -> Option<R> {
    // SAFETY: the calling thread holds the turn and the lock; the borrows end here.
    let (run, identities) = unsafe { (run::get()?, run::identities()?) };
    Some(body(&mut run.outside, &mut Books { identities, recording: &mut run.recording }))
}

/// The ends that this run has made.
pub fn with_endpoints<R>(body: impl FnOnce(&mut Endpoints) -> R) -> Option<R> {
    with_books(|outside, _| body(&mut outside.endpoints))
}

/// Which step a call is that has not been made.
fn step(event: &IoEvent) -> Option<Step> {
    let end = inode(event.fd);
    let shared = with_endpoints(|endpoints| endpoints.is_shared(end))?;
    let on = |channel: Option<Channel>, make: &dyn Fn(ObjectId) -> Operation| {
        let channel = number(&channel?)?;
        Some(if shared { Step::Shared(channel) } else { Step::Of(make(channel)) })
    };
    match event.kind {
        kind::READ => {
            let (channel, _, manner) = with_endpoints(|endpoints| endpoints.at(event.fd))??;
            let most = if manner.has_messages { 1 } else { count(event.length) };
            on(Some(channel).filter(|_| most > 0), &|channel| receive(event, channel, most, manner.waits))
        }
        kind::WRITE => {
            let (_, channel, manner) = with_endpoints(|endpoints| endpoints.at(event.fd))??;
            let count = if manner.has_messages { 1 } else { count(event.length) };
            // Nothing can be written to a pipe at any time.
            let matters = count > 0 || manner.family.is_some();
            on(Some(channel).filter(|_| matters), &|channel| put(channel, count, manner.family))
        }
        kind::ACCEPT => {
            let (channel, manner) = with_endpoints(|endpoints| endpoints.accepts_at(event.fd))??;
            on(Some(channel), &|channel| receive(event, channel, 1, manner.waits))
        }
        kind::CONNECT => connect(event),
        kind::BIND => bind(event),
        kind::LISTEN => {
            let name = event.resource();
            with_endpoints(|endpoints| endpoints.listen(end, name));
            on(Some(Channel::Address(name.into())), &|channel| Operation::ChannelOpen { channel })
        }
        kind::CLOSE | kind::SHUTDOWN => close(event, shared),
        _ => None,
    }
}

/// Taking what is there, up to `most`, or looking whether anything is.
fn receive(event: &IoEvent, channel: ObjectId, most: u32, waits: bool) -> Operation {
    let how = match event.function() {
        "recv" | "recvfrom" => event.arguments[3] as c_int,
        "__recv_chk" | "__recvfrom_chk" => event.arguments[4] as c_int,
        "recvmsg" => event.arguments[2] as c_int,
        _ => 0,
    };
    let waits = waits && how & libc::MSG_DONTWAIT == 0;
    let state = Location::new(channel, Part::State);
    match (waits, how & libc::MSG_PEEK != 0) {
        (true, true) => Operation::ChannelWait { of: Box::new([state]) },
        (false, true) => Operation::Touch { reads: Box::new([state, ended(channel)]), writes: Box::new([]) },
        (true, false) => Operation::ChannelTake { channel, most },
        (false, false) => Operation::ChannelTryTake { channel, most },
    }
}

/// Putting something, or nothing: that fails all the same once this end of a connection is closed, or the other one of a
/// local socket.
fn put(channel: ObjectId, count: u32, family: Option<c_int>) -> Operation {
    if count > 0 {
        return Operation::ChannelPut { channel, count };
    }
    let closed = [Some(ended(channel)), (family == Some(libc::AF_UNIX)).then(|| refused(channel))];
    Operation::Touch { reads: closed.into_iter().flatten().collect(), writes: Box::new([]) }
}

/// Connecting to a socket of this run that listens, or finding that there is none.
fn connect(event: &IoEvent) -> Option<Step> {
    let listener = with_endpoints(|endpoints| endpoints.listener_at(event.resource()))?;
    let address = listener.unwrap_or_else(|| Channel::Address(event.resource().into()));
    Some(Step::Of(Operation::ChannelPut { channel: number(&address)?, count: 1 }))
}

/// The address that the program has chosen for a socket.
pub fn claim(event: &IoEvent) -> Option<Vec<u8>> {
    let length = event.arguments[2] as usize;
    // SAFETY: the arguments of a call that is about to be made.
    let asked = unsafe { std::slice::from_raw_parts(event.arguments[1] as *const u8, length.min(128)) };
    let family = c_int::from(u16::from_ne_bytes(asked.get(..2)?.try_into().ok()?));
    let has_port = matches!(family, libc::AF_INET | libc::AF_INET6);
    if has_port && asked.get(2..4)? == [0, 0] {
        return None;
    }
    // Who claims a port claims it for all hosts, which is more than needed.
    Some(if has_port { asked[..4].to_vec() } else { asked.to_vec() })
}

/// Claiming an address that the program has chosen.
fn bind(event: &IoEvent) -> Option<Step> {
    let claimed = claim(event)?;
    with_endpoints(|endpoints| endpoints.bind(inode(event.fd), &claimed));
    Some(Step::Of(Operation::ChannelOpen { channel: number(&Channel::Claim(claimed.into()))? }))
}

/// Closing one direction of a connection, or all that belongs to the last descriptor of an end.
fn close(event: &IoEvent, shared: bool) -> Option<Step> {
    let end = inode(event.fd);
    let (sends, receives) = with_endpoints(|endpoints| (endpoints.sends(end), endpoints.receives(end)))?;
    let listener = with_endpoints(|endpoints| endpoints.listener(end))?;
    if event.kind == kind::CLOSE {
        if !is_last(event.fd) {
            return None;
        }
        if !shared {
            with_endpoints(|endpoints| endpoints.leave(event.fd));
        }
    }
    let numbered = |channel: &Option<Channel>| channel.as_ref().and_then(number);
    let (sends, receives, listener) = (numbered(&sends), numbered(&receives), numbered(&listener));
    let of: Vec<Option<Location>> = match (event.kind, event.arguments[1] as c_int) {
        (kind::SHUTDOWN, libc::SHUT_WR) => vec![sends.map(ended)],
        (kind::SHUTDOWN, libc::SHUT_RD) => vec![receives.map(ended), receives.map(refused)],
        (kind::SHUTDOWN, _) => {
            let taken = [receives, listener].into_iter().flatten();
            let all = taken.flat_map(|channel| [ended(channel), refused(channel)]).chain(sends.map(ended));
            all.map(Some).collect()
        }
        _ if sends.is_some() && sends == receives => {
            let writes = flags(event.fd) & libc::O_ACCMODE != libc::O_RDONLY;
            vec![if writes { sends.map(ended) } else { receives.map(refused) }]
        }
        _ => {
            let given_up = with_endpoints(|endpoints| endpoints.give_up(end))?;
            let given_up = given_up.iter().filter_map(number).map(refused).map(Some);
            given_up.chain([sends.map(ended), receives.map(refused)]).collect()
        }
    };
    let of = distinct(of.into_iter().flatten());
    if shared {
        return of.first().map(|at| Step::Shared(at.object));
    }
    (!of.is_empty()).then_some(Step::Of(Operation::ChannelClose { of }))
}

fn count(length: u64) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Makes sure that the real call does what the operation says, and notes what that is.
fn prepare(event: &IoEvent, operation: &Operation) {
    match *operation {
        Operation::ChannelTake { channel, most } | Operation::ChannelTryTake { channel, most } => {
            let there = things(channel).min(u64::from(most));
            if there > 0 {
                let bytes = if event.kind == kind::ACCEPT || has_messages(event.fd) { 0 } else { there };
                settle(event.fd, bytes);
                EXPECTED.set((bytes > 0).then_some(bytes));
            } else if value(ended(channel)) != 0 {
                // The end takes its way, too.
                settle(event.fd, 0);
            }
        }
        Operation::ChannelWait { .. } => settle(event.fd, 0),
        Operation::ChannelPut { channel, count } if event.kind == kind::WRITE => {
            if value(refused(channel)) == 0 && value(ended(channel)) == 0 && !has_messages(event.fd) {
                EXPECTED.set(Some(u64::from(count)));
            }
            let before = flags(event.fd);
            if before & libc::O_NONBLOCK == 0 {
                // SAFETY: changes a flag of an open file, which `finish` changes back.
                unsafe { libc::fcntl(event.fd, libc::F_SETFL, before | libc::O_NONBLOCK) };
                UNBLOCKED.set(Some(event.fd));
            }
        }
        _ => {}
    }
}

/// After a call: notes the ends that it has made, and checks that it did what was expected.
pub fn finish(event: &IoEvent) {
    if let Some(fd) = UNBLOCKED.take() {
        // SAFETY: changes a flag of an open file back.
        unsafe { libc::fcntl(fd, libc::F_SETFL, flags(fd) & !libc::O_NONBLOCK) };
        if event.error == libc::EAGAIN {
            run::end_unfollowed("a channel to have room", "it is full");
        }
    }
    if let Some(expected) = EXPECTED.take()
        && event.error == 0
        && event.result as u64 != expected
    {
        let moved = format!("{} were", event.result);
        run::end_unfollowed(&format!("{expected} bytes to be moved"), &moved);
    }
    let succeeded = event.error == 0;
    match event.kind {
        kind::PAIR if succeeded => note_pair(event),
        kind::CONNECT if succeeded || event.error == libc::EINPROGRESS => {
            let (client, own) = (inode(event.fd), address(event.fd, true));
            with_endpoints(|endpoints| {
                if let Some(listener) = endpoints.listener_at(event.resource()) {
                    endpoints.connect(client, own, &listener);
                }
            });
        }
        kind::ACCEPT if succeeded => {
            let listener = with_endpoints(|endpoints| endpoints.listener(inode(event.arguments[0] as RawFd)));
            if let Some(Some(listener)) = listener {
                let (accepted, peer) = (inode(event.fd), address(event.fd, false));
                with_endpoints(|endpoints| endpoints.accept(accepted, &peer, &listener));
            }
        }
        _ => {}
    }
}

/// Notes a pair that was made.
fn note_pair(event: &IoEvent) {
    let at = event.arguments[if event.function() == "socketpair" { 3 } else { 0 }] as *const [RawFd; 2];
    if !at.is_null() {
        // SAFETY: the call has succeeded and stored two descriptors there.
        let ends = unsafe { *at };
        with_endpoints(|endpoints| endpoints.pair(ends.map(inode)));
    }
}

/// Waits in real time until the system has so many bytes to read there, or anything at all.
pub fn settle(fd: RawFd, bytes: u64) {
    let until = Instant::now() + PATIENCE;
    let mut question = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    loop {
        let (mut there, quick) = (0 as c_int, 1 as c_int);
        // SAFETY: one question, one number to be stored, and an option that has the receiver confirm what has come, so
        // that the sender goes on; sockets of other kinds refuse it.
        let ready = unsafe {
            libc::ioctl(fd, libc::FIONREAD, &raw mut there);
            let at = (&raw const quick).cast();
            libc::setsockopt(fd, libc::IPPROTO_TCP, libc::TCP_QUICKACK, at, size_of::<c_int>() as u32);
            libc::poll(&raw mut question, 1, 1)
        };
        if ready > 0 && there as u64 >= bytes || question.revents & NOTHING_MORE != 0 {
            return;
        }
        if Instant::now() > until {
            run::end_unfollowed("what was sent to arrive", "it has not come in three seconds");
        }
        if ready > 0 {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

/// The number of a channel, whose parts the gate knows.
pub fn number(channel: &Channel) -> Option<ObjectId> {
    let object = with_books(|outside, books| outside.channel(channel, books))?;
    for part in [Part::State, ended(object).part, refused(object).part] {
        let at = Location::new(object, part);
        let value = with_endpoints(|endpoints| endpoints.tally.begin(at, channel))?;
        if run::is_recording() {
            run::initial_sync(object, part, || value);
        }
    }
    Some(object)
}

/// The value of a part of a channel.
fn value(at: Location) -> i64 {
    if !run::is_recording() {
        return with_endpoints(|endpoints| endpoints.tally.value(at).int()).unwrap_or(0);
    }
    // SAFETY: the calling thread holds the turn and the lock.
    unsafe { run::get() }.map_or(0, |run| run.gate.state().value(at).int())
}

/// How much can be taken from a channel.
fn things(channel: ObjectId) -> u64 {
    value(Location::new(channel, Part::State)) as u64
}

/// Whether there is something to read in the channel, be it the end, at an end that is open.
pub fn is_ready(channel: ObjectId) -> bool {
    value(ended(channel)) != 0 || things(channel) > 0 && value(refused(channel)) == 0
}

/// Whether the call is one on a socket for which nobody has done what it waits for, in all the time that another process
/// is given: so it may well be a thread of this one, which cannot do it now.
pub fn waits_in_vain(event: &IoEvent) -> bool {
    if !event.resource().starts_with(b"socket:") || !matches!(event.kind, kind::READ | kind::ACCEPT) {
        return false;
    }
    let mut question = libc::pollfd { fd: event.fd, events: libc::POLLIN, revents: 0 };
    let patience = PATIENCE.as_millis() as c_int;
    // SAFETY: one question.
    flags(event.fd) & libc::O_NONBLOCK == 0 && unsafe { libc::poll(&raw mut question, 1, patience) } == 0
}

/// Notes that a child process is about to get these descriptors.
#[pyfunction]
pub fn note_inherited(fds: Vec<RawFd>) {
    with_endpoints(|endpoints| fds.into_iter().map(inode).for_each(|end| endpoints.inherit(end)));
}
