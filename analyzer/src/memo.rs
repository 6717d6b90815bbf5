//! What a block would do at a cut, as far as something recorded tells.
//!
//! # Model
//! A block is determined by what its thread observed before and by the locations that it touches. So a record of the
//! same block, of a thread with the same past, is exact at every cut at which the same writes have been made to all of
//! these locations. Nothing is said otherwise: a record is never used unchecked.
//!
//! # Invariants
//! Forgetting a record costs a probe and changes no result. Records are of the execution itself and of its probes; a
//! location without a counterpart in the execution ([`Names`]) makes a record valid only where nothing else can be it.

use crate::cut::Cut;
use crate::locations::Access;
use crate::names::Names;
use crate::probe::{Deed, Deeds, Probed};
use crate::subject::Subject;
use crate::trace::Trace;
use frontrun_formats::Location;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// Which writes a location has seen: of every thread the last one, and that of the operation put in front.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Version {
    last: SmallVec<[u32; 8]>,
    by: Option<Author>,
}

/// The operation `a` at a cut, which is not a node of the trace there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Author {
    pub(crate) thread: usize,
    pub(crate) unit_index: u32,
    pub(crate) past: Cut,
}

/// A deed, and where it is valid.
pub(crate) struct Record {
    pub(crate) deed: Deed,
    /// The probe that saw it; `None` for the execution itself.
    pub(crate) probe: Option<usize>,
    /// Something that it touched is foreign.
    pub(crate) foreign: bool,
    cut: Cut,
    author: Option<Author>,
    /// `None` where something foreign makes it doubtful what it saw: then it is valid where it was made, and nowhere else.
    sees: Option<Vec<(Location, Access, Version)>>,
}

/// The records of one analysis, by thread and index of the unit.
pub(crate) struct Memo<'t, 'e> {
    trace: &'t Trace<'e>,
    pub(crate) names: &'t Names<'e>,
    records: FxHashMap<(usize, u32), Vec<Record>>,
}

impl<'t, 'e> Memo<'t, 'e> {
    pub(crate) fn new(trace: &'t Trace<'e>, names: &'t Names<'e>, deeds: Deeds) -> Memo<'t, 'e> {
        let mut memo = Memo { trace, names, records: FxHashMap::default() };
        for deed in deeds.own {
            let node = trace.of_thread[deed.thread].binary_search_by_key(&deed.unit_index, |node| {
                trace.nodes[*node as usize].subject.unit_index
            });
            // What is irrelevant is asked for by nobody.
            if let Ok(index) = node {
                let cut = Cut::from_slice(trace.before(trace.node_of(deed.thread, index as u32)));
                memo.add(deed, None, cut, None);
            }
        }
        for (number, Probed { behind, a, r }) in deeds.probed.into_iter().enumerate() {
            let cut: Cut =
                (0..trace.width()).map(|thread| nodes_below(trace, thread, behind[thread])).collect();
            let base = trace.base_at(a.thread, cut[a.thread]);
            let past = trace.past(&cut, &base, &memo.accesses(a.touched()));
            let author = Author { thread: a.thread, unit_index: a.unit_index, past };
            if let Some(r) = r {
                memo.add(r, Some(number), cut.clone(), Some((author, &a.writes[..])));
            }
            memo.add(a, Some(number), cut, None);
        }
        memo
    }

    /// The locations as accesses.
    pub(crate) fn accesses(&self, touched: impl Iterator<Item = (Location, bool)>) -> SmallVec<[Access; 4]> {
        touched.map(|(at, write)| self.trace.locations.access(at, write)).collect()
    }

    fn add(&mut self, deed: Deed, probe: Option<usize>, cut: Cut, behind: Option<(Author, &[Location])>) {
        let sees = deed
            .touched()
            .map(|(at, _)| {
                let access = self.trace.locations.access(at, false);
                let behind = behind.as_ref().map(|(author, writes)| (author, *writes));
                Some((at, access, self.version(at, access, &cut, behind)?))
            })
            .collect();
        let foreign = deed.touched().any(|(at, _)| self.names.is_foreign(at));
        let author = behind.map(|(author, _)| author);
        let key = (deed.thread, deed.unit_index);
        self.records.entry(key).or_default().push(Record { deed, probe, foreign, cut, author, sees });
    }

    /// Which writes have been made to the location behind the cut and `behind`; `None` where that cannot be said.
    fn version(
        &self,
        at: Location,
        access: Access,
        cut: &[u32],
        behind: Option<(&Author, &[Location])>,
    ) -> Option<Version> {
        let last = |thread: usize| {
            let last = self.trace.index.last_conflict(&[access], thread, cut[thread]);
            last.map_or(0, |index| index + 1)
        };
        let by = match behind {
            Some((author, writes)) if writes.iter().any(|write| write.overlaps(at)) => Some(author.clone()),
            Some((_, writes)) if writes.iter().any(|write| self.names.may_overlap(*write, at)) => {
                return None;
            }
            _ => None,
        };
        Some(Version { last: (0..self.trace.width()).map(last).collect(), by })
    }

    /// What `a` and `r` do right behind the cut, if a probe was made for just that: it is never in doubt.
    pub(crate) fn probed_pair(&self, a: &Subject, r: &Subject, cut: &[u32]) -> Option<(&Record, &Record)> {
        let records = |subject: &Subject| self.records.get(&(subject.thread, subject.unit_index));
        let behind_a = |author: &Author| author.thread == a.thread && author.unit_index == a.unit_index;
        records(r)?.iter().filter(|r| r.cut[..] == *cut && r.author.as_ref().is_some_and(behind_a)).find_map(
            |r| {
                let a = records(a)?.iter().find(|a| a.probe == r.probe && a.author.is_none())?;
                Some((a, r))
            },
        )
    }

    /// What the unit does right behind the cut, and behind the author's writes, if that is known.
    pub(crate) fn predict(
        &self,
        thread: usize,
        unit_index: u32,
        cut: &[u32],
        behind: Option<(&Author, &Behind)>,
    ) -> Option<&Record> {
        let records = self.records.get(&(thread, unit_index))?;
        let author = behind.map(|(author, _)| author);
        let exact = |record: &&Record| {
            record.probe.is_some() && record.cut[..] == *cut && record.author.as_ref() == author
        };
        // The probe that was made for this very cut is never in doubt.
        records.iter().find(exact).or_else(|| records.iter().find(|record| self.valid(record, cut, behind)))
    }

    fn valid(&self, record: &Record, cut: &[u32], behind: Option<(&Author, &Behind)>) -> bool {
        let author = behind.map(|(author, behind)| (author, &behind.writes[..]));
        let same = |(at, access, version): &(Location, Access, Version)| {
            self.version(*at, *access, cut, author).as_ref() == Some(version)
        };
        let foreign = |at: Location| self.names.is_foreign(at);
        record.sees.as_ref().is_some_and(|sees| sees.iter().all(same))
            && !record.deed.touched().filter(|(at, _)| foreign(*at)).any(|(at, _)| {
                self.touched_outside(at, record, cut)
                    || behind.is_some_and(|(_, behind)| {
                        behind.touched().any(|other| self.names.may_overlap(at, other))
                    })
            })
    }

    /// Whether an event inside the cut that the record's cut did not have may touch a foreign location.
    fn touched_outside(&self, at: Location, record: &Record, cut: &[u32]) -> bool {
        let trace = self.trace;
        (0..trace.width()).any(|thread| {
            (record.cut[thread]..cut[thread]).any(|index| {
                let subject = &trace.nodes[trace.node_of(thread, index)].subject;
                let names =
                    trace.accesses(subject).iter().map(|access| trace.locations.name(access.location));
                names.into_iter().any(|other| self.names.may_overlap(at, other))
            })
        })
    }
}

/// What the operation put in front reads and writes.
pub(crate) struct Behind {
    pub(crate) reads: SmallVec<[Location; 2]>,
    pub(crate) writes: SmallVec<[Location; 2]>,
}

impl Behind {
    fn touched(&self) -> impl Iterator<Item = Location> + '_ {
        self.reads.iter().chain(&self.writes).copied()
    }
}

/// How many nodes there are among the first units of a thread.
fn nodes_below(trace: &Trace, thread: usize, units: u32) -> u32 {
    let below = |node: &u32| trace.nodes[*node as usize].subject.unit_index < units;
    trace.of_thread[thread].partition_point(below) as u32
}
