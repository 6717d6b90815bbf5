//! Channels, concretely: the things that were put and not taken, and whether more can come.

use crate::program::Op;
use std::collections::BTreeMap;

/// One channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Channel {
    things: Vec<i64>,
    has_ended: bool,
    is_refused: bool,
}

/// All channels of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Channels(BTreeMap<u32, Channel>);

impl Channels {
    /// Whether who takes from this channel need not wait.
    pub fn is_ready(&self, number: &u32) -> bool {
        self.0.get(number).is_some_and(|channel| channel.has_ended || !channel.things.is_empty())
    }

    /// Executes the operation; gives what the thread observes and what the recorder reports.
    pub fn execute(&mut self, op: &Op) -> (i64, bool) {
        match op {
            Op::ChannelWait(of) => {
                let ready = of.iter().map(|number| i64::from(self.is_ready(number)));
                return (ready.fold(0, |sum, ready| sum * 2 + ready), true);
            }
            Op::ChannelClose(ended, refused) => {
                for number in ended {
                    self.0.entry(*number).or_default().has_ended = true;
                }
                for number in refused {
                    self.0.entry(*number).or_default().is_refused = true;
                }
                return (0, true);
            }
            _ => {}
        }
        let (Op::ChannelOpen(number)
        | Op::ChannelPut(number, ..)
        | Op::ChannelTake(number, _)
        | Op::ChannelTryTake(number, _)) = op
        else {
            unreachable!("{op:?}")
        };
        let channel = self.0.entry(*number).or_default();
        match op {
            Op::ChannelPut(_, value, count) if !channel.is_refused && !channel.has_ended => {
                channel.things.extend(vec![*value; *count as usize]);
                (1, true)
            }
            Op::ChannelPut(..) => (0, false),
            Op::ChannelTake(_, most) | Op::ChannelTryTake(_, most) => {
                let some = channel.things.len().min(*most as usize);
                let end = if channel.has_ended { -1 } else { -2 };
                let refused = channel.is_refused;
                let taken = channel.things.drain(..some).reduce(|digest, value| digest * 31 + value);
                let taken = taken.map(|digest| digest * 2 + i64::from(refused));
                (taken.unwrap_or(end - i64::from(refused) * 2), taken.is_some())
            }
            _ => {
                *channel = Channel { has_ended: channel.has_ended, ..Channel::default() };
                (0, true)
            }
        }
    }
}
