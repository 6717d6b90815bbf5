//! The bag of work: schedules that are still to be run, each at most once.
//!
//! Any order of taking finds the same executions. Most failures need few preemptions, and those are the easiest to
//! understand, so an item with the fewest is taken, the latest of them; when much waits, the latest of all, which keeps
//! the bag small. In a search that goes on, every second item is the latest, too, and every fourth comes from anywhere: what
//! is alike in all executions with few preemptions may be what no failure has.
//!
//! The bag is shared by the worker threads, knows how many of its items are being worked on, and so knows when nothing can
//! be added any more. An item that a worker could not run comes back with [`Bag::put_back`]. An item for which memory has
//! no room is refused, and whoever adds it has to say so in the report.
//!
//! Not here: why an exploration stops before the bag is empty (explore).

use crate::probing::Made;
use frontrun_formats::Schedule;
use rustc_hash::{FxBuildHasher, FxHashSet};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;

/// How many schedule entries may wait together; one takes 12 bytes.
pub const MOST_ENTRIES: usize = 64 << 20;

/// Above so many waiting items the latest is taken, whatever its preemptions.
const MANY: usize = 4096;

/// So many items are taken by their preemptions alone.
const IN_ORDER: u64 = 128;

/// A schedule to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkItem {
    /// The prefix to enforce.
    pub schedule: Schedule,
    /// How many preemptions it has.
    pub preemptions: u32,
    /// [`Schedule::id`] of the item whose execution this one was derived from.
    pub parent: Option<u64>,
    /// Its run, where that was made as a probe.
    pub made: Option<Made>,
    /// Whether it was made as a probe and failed, and need not be the alternative that its schedule describes: only the
    /// failure is of interest.
    pub for_failure: bool,
    /// Which of the executions it is that are drawn at random beside the search, if it is one.
    pub drawn: Option<usize>,
}

/// What became of an item that was to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It waits, or was added before.
    Yes,
    /// There is no room for it.
    NoRoom,
}

/// The items that are waiting, and the number of those in work.
#[derive(Debug)]
pub struct Bag {
    /// By the order in which they were added.
    waiting: BTreeMap<u64, WorkItem>,
    /// Preemptions and place of the waiting items.
    by_preemptions: BTreeSet<(u32, Reverse<u64>)>,
    added: u64,
    taken: u64,
    /// Schedule entries of the waiting items, and how many they may become.
    entries: usize,
    room: usize,
    /// Of every item that was ever added: delivering one twice is harmless.
    seen: FxHashSet<u64>,
    in_work: usize,
}

impl Default for Bag {
    fn default() -> Bag {
        Bag::with_room(MOST_ENTRIES)
    }
}

impl Bag {
    /// An empty bag whose items may have so many schedule entries together.
    pub fn with_room(room: usize) -> Bag {
        Bag {
            waiting: BTreeMap::new(),
            by_preemptions: BTreeSet::new(),
            added: 0,
            taken: 0,
            entries: 0,
            room,
            seen: FxHashSet::default(),
            in_work: 0,
        }
    }

    /// Adds an item, unless it was added before or there is no room for it.
    pub fn add(&mut self, item: WorkItem) -> Added {
        let id = item.schedule.id();
        if self.seen.contains(&id) {
            return Added::Yes;
        }
        if self.entries + item.schedule.entries.len() > self.room {
            return Added::NoRoom;
        }
        self.seen.insert(id);
        self.push(item);
        Added::Yes
    }

    fn push(&mut self, item: WorkItem) {
        self.entries += item.schedule.entries.len();
        self.by_preemptions.insert((item.preemptions, Reverse(self.added)));
        self.waiting.insert(self.added, item);
        self.added += 1;
    }

    /// Takes the item whose turn it is. Each item taken is to be [`Bag::finish`]ed or put back.
    pub fn take(&mut self) -> Option<WorkItem> {
        self.taken += 1;
        let much = self.waiting.len() > MANY || self.entries > self.room / 4;
        let goes_on = self.taken > IN_ORDER;
        if much || (goes_on && self.taken % 2 == 1) {
            self.take_latest()
        } else if goes_on && self.taken.is_multiple_of(4) && !self.waiting.is_empty() {
            // The hash scatters the count over the items, the same ones whenever the exploration is made.
            let nth = FxBuildHasher.hash_one(self.taken) % self.waiting.len() as u64;
            let place = *self.waiting.keys().nth(nth as usize)?;
            self.take_from(place)
        } else {
            let place = self.by_preemptions.first()?.1.0;
            self.take_from(place)
        }
    }

    /// Takes the item that was added last.
    pub fn take_latest(&mut self) -> Option<WorkItem> {
        let place = *self.waiting.last_key_value()?.0;
        self.take_from(place)
    }

    fn take_from(&mut self, place: u64) -> Option<WorkItem> {
        let item = self.waiting.remove(&place)?;
        self.by_preemptions.remove(&(item.preemptions, Reverse(place)));
        self.entries -= item.schedule.entries.len();
        self.in_work += 1;
        Some(item)
    }

    /// Begins the work on an item that has not waited.
    pub fn begin(&mut self) {
        self.in_work += 1;
    }

    /// Returns an item that was taken and could not be run.
    pub fn put_back(&mut self, item: WorkItem) {
        self.in_work -= 1;
        self.push(item);
    }

    /// Ends the work on an item that was taken.
    pub fn finish(&mut self) {
        self.in_work -= 1;
    }

    /// Lets the runs of waiting items be made again, and gives those that were made as probes.
    pub fn forget_made(&mut self) -> Vec<Made> {
        self.waiting.values_mut().filter_map(|item| item.made.take()).collect()
    }

    /// How many items wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many items are taken and not finished.
    pub fn in_work(&self) -> usize {
        self.in_work
    }

    /// Whether nothing waits and nothing that is in work could add more.
    pub fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.in_work == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrun_formats::{ScheduleEntry, ThreadPath};

    fn item(length: usize) -> WorkItem {
        let entry = ScheduleEntry { thread: 0, expect: 0, head: true, opens_step: true, touches: 0 };
        let schedule = Schedule {
            threads: vec![ThreadPath::main()],
            entries: vec![entry; length],
            ..Schedule::default()
        };
        WorkItem { schedule, ..WorkItem::default() }
    }

    #[test]
    fn an_item_is_delivered_once_however_often_it_is_added() {
        let mut bag = Bag::default();
        bag.add(item(1));
        bag.add(item(2));
        bag.add(item(1));
        assert_eq!(bag.take(), Some(item(2)));
        assert_eq!(bag.take(), Some(item(1)));
        bag.add(item(2));
        assert_eq!(bag.take(), None);
        assert!(!bag.is_done(), "what is in work may still add items");
        bag.finish();
        bag.put_back(item(2));
        assert_eq!(bag.take(), Some(item(2)));
        bag.finish();
        assert!(bag.is_done());
    }

    #[test]
    fn few_preemptions_come_first_unless_much_waits() {
        let mut bag = Bag::default();
        let numbered = |preemptions, number| {
            let mut item = WorkItem { preemptions, ..item(1) };
            item.schedule.entries[0].thread = number;
            item
        };
        for (preemptions, number) in [(1, 1), (0, 2), (0, 3), (2, 4)] {
            bag.add(numbered(preemptions, number));
        }
        let taken = |bag: &mut Bag| bag.take().map(|item| item.schedule.entries[0].thread);
        assert_eq!([(); 4].map(|()| taken(&mut bag)), [3, 2, 1, 4].map(Some));
        let last = 5 + MANY as u32;
        for number in 5..=last {
            bag.add(numbered(0, number));
        }
        bag.add(numbered(9, last + 1));
        assert_eq!([(); 3].map(|()| taken(&mut bag)), [last + 1, last, last - 1].map(Some));
    }

    #[test]
    fn a_long_search_takes_some_items_from_anywhere_and_each_once() {
        let mut bag = Bag::default();
        for length in 0..300 {
            bag.add(item(length));
        }
        let taken: Vec<usize> =
            std::iter::from_fn(|| bag.take()).map(|item| item.schedule.entries.len()).collect();
        let in_order: Vec<usize> = (0..300).rev().collect();
        let end = IN_ORDER as usize;
        assert_eq!(taken[..end], in_order[..end]);
        assert!(taken[end..end + 40].iter().any(|length| *length < 100));
        let mut sorted = taken;
        sorted.sort_unstable_by_key(|length| std::cmp::Reverse(*length));
        assert_eq!(sorted, in_order);
    }

    #[test]
    fn what_there_is_no_room_for_is_refused_until_there_is() {
        let mut bag = Bag::with_room(5);
        assert_eq!(bag.add(item(3)), Added::Yes);
        assert_eq!(bag.add(item(4)), Added::NoRoom);
        assert_eq!(bag.add(item(2)), Added::Yes);
        assert_eq!(bag.add(item(3)), Added::Yes, "it was added before");
        assert_eq!((bag.take(), bag.take()), (Some(item(2)), Some(item(3))));
        assert_eq!(bag.add(item(4)), Added::Yes);
    }
}
