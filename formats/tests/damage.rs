//! Files that end early, are damaged, lie, or are something else: each is refused by name or read up to there.

mod sample;

use frontrun_formats::file::{
    Delta, End, FORMAT_VERSION, FRAME_LIMIT, ReadError, WriteError, Writer, read, read_file, read_header,
    read_index,
};
use frontrun_formats::*;
use std::io::{self, Write};

const PREFIX: usize = 20;
const HEAD: usize = 40;

#[track_caller]
fn check_corrupt(input: &[u8], expected_offset: usize, expected: &str) {
    match read(input) {
        Err(ReadError::Corrupt { offset, what }) => {
            assert!(what.contains(expected), "{what}");
            assert_eq!(offset, expected_offset as u64, "{what}");
        }
        other => panic!("{other:?}"),
    }
}

fn index_of(file: &[u8]) -> file::Index {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("whole.frz");
    std::fs::write(&path, file).unwrap();
    read_index(&path).unwrap().unwrap()
}

/// One frame, sealed as the module documentation of `file` says.
fn seal(kind: u32, ordinal: u32, record: &[u8]) -> Vec<u8> {
    seal_with(kind, ordinal, record.len() as u32, &zstd::bulk::compress(record, 1).unwrap())
}

fn seal_with(kind: u32, ordinal: u32, length: u32, packed: &[u8]) -> Vec<u8> {
    let mut frame = b"\x51\x2A\x4D\x18".to_vec();
    for word in [32, kind, ordinal, length, packed.len() as u32] {
        frame.extend_from_slice(&word.to_le_bytes());
    }
    frame.extend_from_slice(&xxhash_rust::xxh3::xxh3_64(packed).to_le_bytes());
    frame.extend_from_slice(&xxhash_rust::xxh3::xxh3_64(&frame).to_le_bytes());
    frame.extend_from_slice(packed);
    frame
}

#[test]
fn a_file_cut_at_any_byte_reads_up_to_its_last_whole_frame() {
    let whole = sample::execution();
    let file = sample::file(&whole, 7);
    let frames = index_of(&file).frames;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cut.frz");
    let end_of = |frame: usize| frames.get(frame + 1).map(|next| next.offset as usize);
    let header_end = end_of(0).unwrap();
    // The end record is the last frame, and the footer follows it.
    let footer = (0..file.len() - 4).rfind(|at| file[*at..*at + 4] == *b"\x52\x2A\x4D\x18").unwrap();
    for cut in 0..=file.len() {
        let input = &file[..cut];
        std::fs::write(&path, input).unwrap();
        let indexed = read_index(&path);
        if cut < header_end {
            assert!(
                matches!(read(input), Err(ReadError::TruncatedHeader { length }) if length == cut as u64)
            );
            assert!(
                matches!(read_header(&path), Err(ReadError::TruncatedHeader { length }) if length == cut as u64)
            );
            continue;
        }
        assert_eq!(read_header(&path).unwrap(), (FORMAT_VERSION, whole.header.clone()));
        assert_eq!(indexed.unwrap().is_some(), cut == file.len());
        let execution = read_file(&path).unwrap();
        if cut >= footer {
            assert_eq!(execution, whole);
            continue;
        }
        let is_whole = |frame: &usize| end_of(*frame).unwrap_or(footer) <= cut;
        let events: u32 = (0..frames.len()).filter(is_whole).map(|frame| frames[frame].events).sum();
        assert!(execution.truncated && execution.outcome.is_none() && execution.pending.is_empty());
        assert_eq!(execution.header, whole.header);
        assert_eq!(execution.events, whole.events[..events as usize]);
    }
}

#[test]
fn other_files_and_versions_are_refused_by_name() {
    assert!(matches!(read(b"PK\x03\x04"), Err(ReadError::NotATrace)));
    assert!(matches!(read(&[0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0, 0]), Err(ReadError::NotATrace)));
    let mut file = sample::file(&sample::execution(), 100);
    file[16] = 9;
    let error = read(&file).unwrap_err();
    assert!(matches!(error, ReadError::UnsupportedVersion { found: 9, supported: 6 }));
    assert_eq!(
        error.to_string(),
        "trace needs format 9, this frontrun reads formats up to 6: install a frontrun that reads it \
         (pip install -U frontrun)"
    );
    let missing = read_file(std::path::Path::new("/no/such.frz")).unwrap_err();
    assert_eq!(missing.to_string(), "cannot read `/no/such.frz`");
}

#[test]
fn every_flipped_bit_behind_the_prefix_is_noticed() {
    let whole = sample::execution();
    let file = sample::file(&whole, 40);
    for at in PREFIX..file.len() {
        for bit in 0..8 {
            let mut damaged = file.clone();
            damaged[at] ^= 1 << bit;
            // The size of the footer is the one number that has no checksum: it may seem to be cut off.
            match read(&damaged) {
                Ok(execution) => assert_eq!(execution, whole, "bit {bit} of byte {at}"),
                Err(ReadError::Corrupt { .. } | ReadError::TooLarge { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn misplaced_frames_are_refused() {
    let file = sample::file(&sample::execution(), 40);
    let frames = index_of(&file).frames;
    let frame = |n: usize| &file[frames[n].offset as usize..frames[n + 1].offset as usize];
    let (prefix, header, delta) = (&file[..PREFIX], frame(0), frame(1));
    let behind_header = PREFIX + header.len();
    check_corrupt(&[prefix, delta].concat(), PREFIX, "frame 1, but frame 0");
    check_corrupt(&[prefix, &seal(2, 0, &[])].concat(), PREFIX, "not the header");
    check_corrupt(&[prefix, header, header].concat(), behind_header, "frame 0, but frame 1");
    check_corrupt(&[prefix, header, frame(2)].concat(), behind_header, "frame 2, but frame 1");
    check_corrupt(&[prefix, header, b"\0\0\0\0"].concat(), behind_header, "no frame starts here");
    check_corrupt(&[prefix, header, &seal(9, 1, b"x")].concat(), behind_header, "kind");
    let again = zstd::bulk::decompress(&header[HEAD..], 1 << 20).unwrap();
    check_corrupt(&[prefix, header, &seal(1, 1, &again)].concat(), behind_header, "second header");
    check_corrupt(
        &[prefix, &seal(1, 0, &[&again[..], b"\0"].concat())].concat(),
        PREFIX,
        "follows the record",
    );
    check_corrupt(&[&file[..], b"x"].concat(), footer_offset(&file), "follows the footer");
}

fn footer_offset(file: &[u8]) -> usize {
    (0..file.len() - 4).rfind(|at| file[*at..*at + 4] == *b"\x52\x2A\x4D\x18").unwrap()
}

#[test]
fn lies_about_sizes_are_refused_before_memory_is_asked_for() {
    let file = sample::file(&sample::execution(), 40);
    let frames = index_of(&file).frames;
    let start = file[..frames[1].offset as usize].to_vec();
    let with = |frame: Vec<u8>| [start.clone(), frame].concat();
    let offset = start.len();
    let packed = zstd::bulk::compress(&[7; 1000], 1).unwrap();
    check_corrupt(&with(seal_with(2, 1, FRAME_LIMIT, &packed)), offset, "sizes are impossible");
    check_corrupt(&with(seal_with(2, 1, 999, &packed)), offset, "another length");
    check_corrupt(&with(seal_with(2, 1, 0, &packed)), offset, "another length");
    let large = with(seal_with(2, 1, FRAME_LIMIT + 1, &packed));
    assert!(
        matches!(read(&large), Err(ReadError::TooLarge { limit, .. }) if limit == u64::from(FRAME_LIMIT))
    );
    // Arrays that claim four billion rows.
    check_corrupt(&with(seal(2, 1, b"\x98\xdd\xff\xff\xff\xff")), offset, "not what its kind says");
    check_corrupt(&with(seal(3, 1, b"\xdd\xff\xff\xff\xff")), offset, "not what its kind says");
    check_corrupt(&with(seal(2, 1, b"\x91\x91\xdb\xff\xff\xff\xff")), offset, "not what its kind says");
}

/// A writer that takes so many bytes and then fails, as a full disk does.
struct Full(Vec<u8>, usize);

impl Write for &mut Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.1.saturating_sub(self.0.len()).min(bytes.len());
        self.0.extend_from_slice(&bytes[..room]);
        if room == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(room) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_breaks_the_writer_and_leaves_a_readable_file() {
    let execution = sample::execution();
    let end = End { pending: vec![], sources: vec![], observed: None, outcome: Outcome::Passed };
    let pause = Event {
        thread: ThreadId(0),
        site: SiteId(0),
        operation: Operation::Pause,
        result: 1,
        block: Block::Alone,
        gil_switch: true,
    };
    let first = Delta {
        strings: execution.strings.clone(),
        sites: execution.sites.clone(),
        threads: execution.threads.clone(),
        ..Delta::default()
    };
    let size = {
        let mut disk = Full(Vec::new(), 1 << 20);
        Writer::create(&mut disk, &execution.header).unwrap().append(&first).unwrap();
        disk.0.len()
    };
    let mut disk = Full(Vec::new(), size + 50);
    let mut writer = Writer::create(&mut disk, &execution.header).unwrap();
    writer.append(&first).unwrap();
    let delta = Delta { events: vec![pause; 9], ..Delta::default() };
    assert!(matches!(writer.append(&delta), Err(WriteError::Io(_))));
    assert!(matches!(writer.append(&delta), Err(WriteError::Broken)));
    assert!(matches!(writer.finish(&end), Err(WriteError::Broken)));
    let read = read(&disk.0).unwrap();
    assert!(read.truncated && read.events.is_empty());
    assert_eq!(read.strings, execution.strings);
}

#[test]
fn undefined_ids_are_refused_and_the_trace_goes_on() {
    let execution = sample::execution();
    let mut writer = Writer::create(Vec::new(), &Header::default()).unwrap();
    let rows = || Delta {
        strings: execution.strings.clone(),
        keys: execution.keys.clone(),
        sites: execution.sites.clone(),
        objects: execution.objects.clone(),
        threads: execution.threads.clone(),
        ..Delta::default()
    };
    let with = |operation: Operation| Delta {
        events: vec![Event {
            thread: ThreadId(0),
            site: SiteId(0),
            operation,
            result: 1,
            block: Block::Alone,
            gil_switch: true,
        }],
        ..rows()
    };
    let read = |object, part| Operation::Read { at: Location::new(object, part) };
    let bad = [
        with(Operation::Acquire { lock: ObjectId(4) }),
        with(Operation::Acquire { lock: ObjectId::THREADS }),
        with(Operation::Spawn { thread: ThreadId(3) }),
        with(Operation::SetAdd { set: ObjectId(0), key: KeyId(2) }),
        with(read(ObjectId(0), Part::Name(StringId(6)))),
        with(read(ObjectId(0), Part::Key(KeyId(2)))),
        with(read(ObjectId(0), Part::Started(ThreadId(0)))),
        with(read(ObjectId::THREADS, Part::State)),
        with(read(ObjectId::THREADS, Part::Ended(ThreadId(3)))),
        Delta { keys: vec![StringId(6)], ..rows() },
        Delta { initial: vec![(Location::new(ObjectId(4), Part::State), Value::Int(0))], ..rows() },
    ];
    for delta in bad {
        assert!(matches!(writer.append(&delta), Err(WriteError::Invalid { .. })), "{delta:?}");
    }
    writer.append(&with(Operation::Pause)).unwrap();
    let end = End { pending: vec![], sources: vec![], observed: None, outcome: Outcome::Passed };
    let bytes = writer.finish(&end).unwrap();
    let found = file::read(&bytes).unwrap();
    assert_eq!((found.strings, found.events.len()), (execution.strings, 1));
}
