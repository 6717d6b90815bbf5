//! Which descriptors event loops wait for, and what of that a step has touched.
//!
//! Not here: looking whether they are ready (watches).

use crate::connections::Id;
use frontrun_formats::{ObjectId, Operation, ThreadId};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::RawFd;

/// What a callback waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// Something to read in a channel of this run.
    Channel(ObjectId),
    /// What a server outside sends.
    Server(Id),
    /// Room to write.
    Room(RawFd),
}

/// A descriptor that is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// What is set as long as it is ready.
    pub flag: ObjectId,
    pub of: Watched,
}

/// The descriptors that the event loops of a run wait for, by the threads that do.
#[derive(Debug, Default)]
pub struct Watches {
    all: BTreeMap<u32, Watch>,
    /// Those at which something may have changed.
    touched: BTreeSet<u32>,
    /// Those that have left what is there.
    stalled: BTreeSet<u32>,
    /// Something has been moved since the step under way began.
    has_moved: bool,
    /// What stands for what is said on a connection that has been waited for, whether it still is or not.
    said: BTreeMap<Id, ObjectId>,
}

impl Watches {
    /// The thread `number` waits for a descriptor.
    pub fn add(&mut self, number: u32, watch: Watch) {
        self.all.insert(number, watch);
        if let Watched::Server(id) = watch.of {
            self.said.entry(id).or_insert(watch.flag);
        }
        self.touched.insert(number);
    }

    /// It waits no more; what it has waited for.
    pub fn remove(&mut self, number: u32) -> Option<Watch> {
        self.touched.remove(&number);
        self.stalled.remove(&number);
        self.all.remove(&number)
    }

    /// What the thread `number` waits for.
    pub fn get(&self, number: u32) -> Option<Watch> {
        self.all.get(&number).copied()
    }

    /// All that is waited for.
    pub fn all(&self) -> Vec<Watch> {
        self.all.values().copied().collect()
    }

    /// The threads at whose descriptors something may have changed since this was asked last.
    pub fn take_touched(&mut self) -> BTreeSet<u32> {
        std::mem::take(&mut self.touched)
    }

    /// What stands for what is said on a connection.
    pub fn said(&self, id: Id) -> Option<ObjectId> {
        self.said.get(&id).copied()
    }

    /// Whether somebody has left what is there.
    pub fn is_any_stalled(&self) -> bool {
        !self.stalled.is_empty()
    }

    /// The connections to servers that are waited for.
    pub fn servers(&self) -> impl Iterator<Item = Id> {
        self.all.values().filter_map(|watch| match watch.of {
            Watched::Server(id) => Some(id),
            Watched::Channel(_) | Watched::Room(_) => None,
        })
    }

    /// Whether the step of `me` that ends is one of a callback that has left what is there. Others have it go on.
    pub fn stalls(&mut self, me: ThreadId) -> Option<Watch> {
        let has_moved = std::mem::take(&mut self.has_moved);
        let mine = self.all.get(&me.0).copied();
        if let Some(watch) = mine
            && !has_moved
            && !self.touched.contains(&me.0)
        {
            self.stalled.insert(me.0);
            return Some(watch);
        }
        self.touched.append(&mut self.stalled);
        None
    }

    /// Notes an operation on channels.
    pub fn touch_channels(&mut self, operation: &Operation) {
        if self.all.is_empty() {
            return;
        }
        match *operation {
            Operation::ChannelOpen { channel }
            | Operation::ChannelPut { channel, .. }
            | Operation::ChannelTake { channel, .. }
            | Operation::ChannelTryTake { channel, .. } => self.touch(|of| of == Watched::Channel(channel)),
            Operation::ChannelClose { ref of } => self.touch(
                |watched| matches!(watched, Watched::Channel(channel) if of.iter().any(|at| at.object == channel)),
            ),
            _ => {}
        }
    }

    /// Notes that something has been said on a connection.
    pub fn touch_server(&mut self, id: Id) {
        self.touch(|of| of == Watched::Server(id));
    }

    /// Notes that the step under way has touched what some wait for.
    fn touch(&mut self, is_changed: impl Fn(Watched) -> bool) {
        self.has_moved = true;
        let changed = self.all.iter().filter(|(_, watch)| is_changed(watch.of));
        self.touched.extend(changed.map(|(number, _)| *number));
    }
}
