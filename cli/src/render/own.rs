//! Which steps of an execution are the program's own, and which the standard library takes on its behalf.
//!
//! Model: a report of a program leaves out what the standard library does among itself. It keeps the steps of the
//! program, and those of the library that touch what the program has touched and threads conflict on; where there is no
//! such thing, those that touch whatever threads conflict on. A search that was told which modules to look into
//! (`--include`) may be about the library: nothing is left out there.
//!
//! Not here: what conflicts (lanes).

use frontrun_formats::{Event, Execution, Location, Operation};
use std::collections::BTreeSet;

/// Whether the file belongs to the standard library of the interpreter.
pub fn is_of_the_library(path: &str) -> bool {
    path.contains("/lib/python3.") && !path.contains("-packages/") || path.starts_with("<frozen ")
}

/// For each event, whether a report shows it. `touched` are the locations of each that threads conflict on, and how
/// it touches them.
pub fn shown<How>(execution: &Execution, touched: &[Vec<(Location, How)>]) -> Vec<bool> {
    let flags = &execution.header.environment.flags;
    let all = vec![true; execution.events.len()];
    if flags.iter().any(|(name, _)| name == "include") {
        return all;
    }
    let drives =
        |operation: &Operation| matches!(operation, Operation::RunLoop { .. } | Operation::Resume { .. });
    let has_loops = execution.events.iter().any(|event| drives(&event.operation));
    let is_own = |event: &Event| match execution.site(event.site).filter(|site| site.line > 0) {
        Some(site) => !is_of_the_library(execution.text(site.file)),
        // What has no place in the source is what loops do, where there are any.
        None => !has_loops,
    };
    let own: Vec<bool> = execution.events.iter().map(is_own).collect();
    let by_program = own.iter().zip(touched).filter(|(own, _)| **own);
    let of_program: BTreeSet<Location> =
        by_program.flat_map(|(_, at)| at.iter().map(|(at, _)| *at)).collect();
    let concerns = |at: &[(Location, How)]| {
        !at.is_empty() && (of_program.is_empty() || at.iter().any(|(at, _)| of_program.contains(at)))
    };
    let shown: Vec<bool> = own.iter().zip(touched).map(|(own, at)| *own || concerns(at)).collect();
    if shown.contains(&true) { shown } else { all }
}
