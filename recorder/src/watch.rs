//! What each thread has read since it last changed anything, and whether somebody has written it since.
//!
//! Model: a thread that goes round a loop without changing anything has, at the same place again, nothing to do before
//! one of the locations that it has read is written. The watch begins where the thread says that it may be going round,
//! gathers what it reads, and ends when the thread writes. A lock that the thread takes and gives back in a round is as it
//! was, so that is no change.
//!
//! Invariant: of a gathered location it is known whether it was written since the thread last touched it.
//!
//! Not here: whether the thread is at the same place in the same state (the interpreter's side knows its frames).

use frontrun_formats::{Location, ObjectId, Operation, Part, ThreadId};

/// A loop that reads more than this is not waited for.
const MOST_LOCATIONS: usize = 64;

/// The watches of all threads.
#[derive(Debug, Default)]
pub struct Watches {
    by_thread: Vec<Option<Watch>>,
    /// How many there are.
    active: usize,
}

#[derive(Debug, Default)]
struct Watch {
    /// What the one who has begun it knows it by.
    mark: u64,
    /// Each with whether it was written since.
    read: Vec<(Location, bool)>,
    /// The locks that the thread has taken since and not given back.
    taken: Vec<ObjectId>,
    /// The thread waits for a change, so that what it does until it goes on is no part of a round.
    rests: bool,
}

impl Watches {
    /// Whether any thread watches.
    pub fn any(&self) -> bool {
        self.active > 0
    }

    /// Begins a watch that has gathered nothing, and is known by `mark`.
    pub fn begin(&mut self, thread: ThreadId, mark: u64) {
        if self.by_thread.len() <= thread.index() {
            self.by_thread.resize_with(thread.index() + 1, || None);
        }
        let watch = &mut self.by_thread[thread.index()];
        self.active += usize::from(watch.is_none());
        *watch = Some(Watch { mark, ..Watch::default() });
    }

    /// What the thread's watch is known by; `None` when it does not watch.
    pub fn mark(&self, thread: ThreadId) -> Option<u64> {
        self.by_thread.get(thread.index())?.as_ref().map(|watch| watch.mark)
    }

    /// The thread waits for a change of what it has read: its watch goes on until another one begins, whatever it does.
    pub fn rest(&mut self, thread: ThreadId) {
        if let Some(Some(watch)) = self.by_thread.get_mut(thread.index()) {
            watch.rests = true;
        }
    }

    /// Ends the watch of a thread that has changed something.
    pub fn end(&mut self, thread: ThreadId) {
        let watch = self.by_thread.get_mut(thread.index());
        let watch = watch.and_then(|watch| watch.take_if(|watch| !watch.rests));
        self.active -= usize::from(watch.is_some());
    }

    /// What the thread has read, each with whether it was written since; `None` when it does not watch.
    pub fn gathered(&self, thread: ThreadId) -> Option<&[(Location, bool)]> {
        self.by_thread.get(thread.index())?.as_ref().map(|watch| &watch.read[..])
    }

    /// Whether a thread that watches takes a lock by this operation, which has changed the lock, or gives back one that it
    /// has taken since its watch began. Who waits for a condition gives its lock back, and has it again when the wait is over;
    /// `result` says whether that came of a notification, which is a change.
    pub fn balances(&mut self, thread: ThreadId, operation: &Operation, result: u8) -> bool {
        let Some(Some(watch)) = self.by_thread.get_mut(thread.index()) else { return false };
        match *operation {
            Operation::Acquire { lock } | Operation::TryAcquire { lock } => watch.take(lock),
            Operation::ConditionWakeTimed { lock, .. } if result == 0 => watch.take(lock),
            Operation::Release { lock } | Operation::ConditionWait { lock, .. } => {
                let Some(at) = watch.taken.iter().rposition(|taken| *taken == lock) else { return false };
                watch.taken.swap_remove(at);
            }
            _ => return false,
        }
        true
    }

    /// Whether the thread has a lock that it has taken since its watch began.
    pub fn has_taken(&self, thread: ThreadId) -> bool {
        self.by_thread
            .get(thread.index())
            .and_then(Option::as_ref)
            .is_some_and(|watch| !watch.taken.is_empty())
    }

    /// Notes that a thread that watches has read a location.
    pub fn read(&mut self, thread: ThreadId, at: Location) {
        let Some(Some(watch)) = self.by_thread.get_mut(thread.index()) else { return };
        if watch.rests {
            return;
        }
        if let Some(known) = watch.read.iter_mut().find(|(known, _)| *known == at) {
            known.1 = false;
        } else if watch.read.len() < MOST_LOCATIONS {
            watch.read.push((at, false));
        } else {
            self.end(thread);
        }
    }

    /// Notes an event of `writer` that has written the locations which `hits` tells.
    pub fn written(&mut self, writer: ThreadId, hits: impl Fn(Location) -> bool) {
        for (thread, watch) in self.by_thread.iter_mut().enumerate() {
            if let Some(watch) = watch.as_mut().filter(|_| thread != writer.index()) {
                watch.read.iter_mut().for_each(|(at, written)| *written |= hits(*at));
            }
        }
    }

    /// Whether a gathered location has been written since the thread last touched it.
    pub fn has_changed(&self, at: Location, thread: ThreadId) -> bool {
        self.gathered(thread).is_some_and(|read| read.contains(&(at, true)))
    }
}

impl Watch {
    /// The thread has the lock now, so that it does not matter any more who had it when it looked.
    fn take(&mut self, lock: ObjectId) {
        self.read.retain(|(at, _)| *at != Location::new(lock, Part::State));
        self.taken.push(lock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: ThreadId = ThreadId(1);
    const OTHER: ThreadId = ThreadId(0);

    #[test]
    fn a_location_changes_when_another_thread_writes_it() {
        let at = Location::new(ObjectId(3), Part::Shape);
        let mut watches = Watches::default();
        watches.read(ME, at);
        assert!(watches.gathered(ME).is_none());
        watches.begin(ME, 0);
        watches.read(ME, at);
        assert!(!watches.has_changed(at, ME));
        watches.written(ME, |_| true);
        assert!(!watches.has_changed(at, ME));
        watches.written(OTHER, |written| written == at);
        assert!(watches.has_changed(at, ME));
        watches.read(ME, at);
        assert!(!watches.has_changed(at, ME));
        watches.end(ME);
        assert!(!watches.any());
    }

    #[test]
    fn a_lock_that_is_given_back_is_no_change() {
        let (lock, mut watches) = (ObjectId(3), Watches::default());
        assert!(!watches.balances(ME, &Operation::Acquire { lock }, 1));
        watches.begin(ME, 0);
        assert!(watches.balances(ME, &Operation::Acquire { lock }, 1) && watches.has_taken(ME));
        assert!(watches.balances(ME, &Operation::Release { lock }, 1) && !watches.has_taken(ME));
        assert!(!watches.balances(ME, &Operation::Release { lock }, 1));
    }

    #[test]
    fn a_loop_that_reads_too_much_is_not_watched() {
        let mut watches = Watches::default();
        watches.begin(ME, 0);
        (0..=MOST_LOCATIONS as u32).for_each(|n| watches.read(ME, Location::new(ObjectId(n), Part::State)));
        assert!(watches.gathered(ME).is_none());
    }
}
