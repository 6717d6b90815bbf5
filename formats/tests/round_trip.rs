//! What is written is what is read.

mod arbitrary;

use frontrun_formats::file::{
    Delta, End, FORMAT_VERSION, Writer, read, read_file, read_header, read_index, write_file,
};
use frontrun_formats::*;
use proptest::prelude::*;

/// Writes an execution the way a recorder does: rows as they come up, events in pieces.
fn in_pieces(execution: &Execution, piece: usize) -> Vec<u8> {
    let mut writer = Writer::create(Vec::new(), &execution.header).unwrap();
    let rows = Delta {
        strings: execution.strings.clone(),
        keys: execution.keys.clone(),
        sites: execution.sites.clone(),
        objects: execution.objects.clone(),
        threads: execution.threads.clone(),
        inputs: execution.inputs.clone(),
        ..Delta::default()
    };
    writer.append(&rows).unwrap();
    for initial in execution.initial.chunks(1) {
        writer.append(&Delta { initial: initial.to_vec(), ..Delta::default() }).unwrap();
    }
    for events in execution.events.chunks(piece) {
        writer.append(&Delta { events: events.to_vec(), ..Delta::default() }).unwrap();
    }
    let end = End {
        pending: execution.pending.clone(),
        sources: execution.sources.clone(),
        observed: execution.observed.clone(),
        outcome: execution.outcome.clone().unwrap_or(Outcome::Passed),
    };
    writer.finish(&end).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_file_gives_back_the_execution(execution in arbitrary::execution()) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.frz");
        write_file(&path, &execution).unwrap();
        prop_assert_eq!(&read_file(&path).unwrap(), &execution);
        prop_assert_eq!(read_header(&path).unwrap(), (FORMAT_VERSION, execution.header.clone()));
        let index = read_index(&path).unwrap();
        prop_assert_eq!(index.is_some(), !execution.truncated);
        if let Some(index) = index {
            prop_assert_eq!(index.events, execution.events.len() as u64);
            prop_assert_eq!(index.threads as usize, execution.threads.len());
        }
    }

    #[test]
    fn pieces_give_back_the_execution(execution in arbitrary::execution(), piece in 1..9usize) {
        let mut execution = execution;
        if execution.outcome.is_none() {
            execution.outcome = Some(Outcome::Passed);
            execution.truncated = false;
        }
        prop_assert_eq!(read(&in_pieces(&execution, piece)).unwrap(), execution);
    }
}
