//! The fixed total order of threads: the lexicographic order of their paths.
//!
//! Inside the analyzer a thread is its *rank* in that order, so that "lowest" is `<`. Ranks of two executions
//! differ when one of them has more threads, but the order of two given threads never does.

use crate::error::AnalyzeError;
use frontrun_formats::{Execution, ThreadId, ThreadPath};

/// Ranks of the threads of one execution.
#[derive(Debug)]
pub(crate) struct Threads {
    ranks: Vec<u32>,
    ids: Vec<ThreadId>,
}

impl Threads {
    pub(crate) fn new(execution: &Execution) -> Result<Threads, AnalyzeError> {
        let threads = &execution.threads;
        let mut ids: Vec<ThreadId> = (0..threads.len() as u32).map(ThreadId).collect();
        ids.sort_by(|a, b| threads[a.index()].path.cmp(&threads[b.index()].path));
        if let Some(pair) =
            ids.windows(2).find(|pair| threads[pair[0].index()].path == threads[pair[1].index()].path)
        {
            return Err(AnalyzeError::DuplicateThread(threads[pair[0].index()].path.clone()));
        }
        let mut ranks = vec![0; ids.len()];
        for (rank, id) in ids.iter().enumerate() {
            ranks[id.index()] = rank as u32;
        }
        Ok(Threads { ranks, ids })
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn rank(&self, id: ThreadId) -> Result<usize, AnalyzeError> {
        self.ranks.get(id.index()).map(|rank| *rank as usize).ok_or(AnalyzeError::UnknownThread(id))
    }

    pub(crate) fn id(&self, rank: usize) -> ThreadId {
        self.ids[rank]
    }

    pub(crate) fn rank_of_path(&self, execution: &Execution, path: &ThreadPath) -> Option<usize> {
        self.ids.binary_search_by(|id| execution.threads[id.index()].path.cmp(path)).ok()
    }
}
