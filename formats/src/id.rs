//! Newtypes for the indices of a trace's tables, so that a site can never be passed for an object.

use serde::{Deserialize, Serialize};

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl $name {
            /// The position in its table.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

index!(
    /// A thread of one execution: an index into [`crate::Execution::threads`]. Two executions may number the
    /// same thread differently; what names a thread across executions is its [`ThreadPath`].
    ThreadId
);
index!(
    /// A Python object that was named in an event: numbered by first appearance in the execution.
    ObjectId
);
index!(
    /// An index into [`crate::Execution::keys`]: a dictionary key or set element, equal as Python compares.
    KeyId
);
index!(
    /// An index into [`crate::Execution::strings`].
    StringId
);
index!(
    /// An index into [`crate::Execution::sites`]: a place in the source.
    SiteId
);

impl ObjectId {
    /// The pseudo object that holds the started and ended flags of threads.
    pub const THREADS: ObjectId = ObjectId(u32::MAX);
}

/// The schedule-independent name of a thread: the main thread is `[0]`, its second child is `[0, 1]`.
///
/// The lexicographic order of paths is the fixed total order that "lowest thread" refers to everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ThreadPath(pub Vec<u32>);

impl ThreadPath {
    /// The main thread's path.
    pub fn main() -> Self {
        ThreadPath(vec![0])
    }

    /// The path of this thread's `nth` child (counted from 0 in program order).
    pub fn child(&self, nth: u32) -> Self {
        let mut path = self.0.clone();
        path.push(nth);
        ThreadPath(path)
    }
}

impl std::fmt::Display for ThreadPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("t")?;
        for (depth, part) in self.0.iter().enumerate() {
            write!(f, "{}{part}", if depth == 0 { "" } else { "." })?;
        }
        Ok(())
    }
}
