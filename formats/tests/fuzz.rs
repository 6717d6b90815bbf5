//! Mutated files: the reader neither panics nor asks for memory that the file does not justify, and what it does
//! accept can be written again. `FRONTRUN_FUZZ_CASES` sets how many files (default 6,000).
//!
//! Half of the files are damaged as they lie on the disk, where checksums catch nearly all of it; the other half
//! are damaged inside their records and sealed again, as a liar would.

mod sample;

use frontrun_formats::file::{ReadError, read, read_header, read_index, write_file};
use frontrun_formats::semantics::{effect, enabled};
use frontrun_formats::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Counts what the one test of this binary has allocated, and the most it ever had.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is passed on to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(LIVE.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`, and the memory came from the same allocator.
        unsafe { System.dealloc(at, layout) }
    }
}

/// The most that reading one of these files (below 64 KiB) may take. serde starts each vector with up to 1 MiB,
/// and columns become events of about 50 bytes.
const MEMORY: usize = 16 << 20;

/// A small generator of random numbers (splitmix64), so that a case is named by its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn range(&mut self, length: usize, most: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        start..(start + self.below(most + 1)).min(length)
    }
}

/// Bytes that mean something to MessagePack, to varints or to the container.
const TELLING: [&[u8]; 12] = [
    b"\xdd\xff\xff\xff\xff",
    b"\xdb\x7f\xff\xff\xff",
    b"\xc6\xff\xff\xff\xf0",
    b"\xdf\x00\xff\xff\xff",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xff\xff\xff\xff\x0f",
    b"\x80",
    b"\xc0",
    b"\x90",
    b"\x51\x2A\x4D\x18\x20\x00\x00\x00",
    b"\x28\xb5\x2f\xfd",
    b"FRONTRUN",
];

/// Changes some bytes, one to four times; pieces may come from `other`.
fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(7) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 if !bytes.is_empty() => bytes[at] = random.next() as u8,
            2 => drop(bytes.drain(random.range(bytes.len(), 40))),
            3 => {
                let piece = bytes[random.range(bytes.len(), 60)].to_vec();
                bytes.splice(at..at, piece);
            }
            4 => {
                let piece = other[random.range(other.len(), 60)].to_vec();
                let range = random.range(bytes.len(), 60);
                bytes.splice(range, piece);
            }
            5 => {
                let piece = TELLING[random.below(TELLING.len())];
                let end = (at + piece.len()).min(bytes.len());
                bytes.splice(at..end, piece.iter().copied());
            }
            _ => {
                let piece = random.next().to_le_bytes();
                let end = (at + random.below(9)).min(bytes.len());
                let length = end - at;
                bytes[at..end].copy_from_slice(&piece[..length]);
            }
        }
    }
}

/// A file taken apart: (kind, record) of each frame.
type Frames = Vec<(u32, Vec<u8>)>;

fn word(file: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(file[at..at + 4].try_into().unwrap())
}

fn take_apart(file: &[u8]) -> Frames {
    let mut frames = Vec::new();
    let mut at = 20;
    while word(file, at) == 0x184D_2A51 {
        let packed = &file[at + 40..at + 40 + word(file, at + 20) as usize];
        frames.push((word(file, at + 8), zstd::bulk::decompress(packed, 1 << 24).unwrap()));
        at += 40 + packed.len();
    }
    frames
}

/// Seals frames into a file; sometimes the sizes in a head are lies with the right checksum.
fn put_together(frames: &Frames, random: &mut Random) -> Vec<u8> {
    let mut file = b"\x50\x2A\x4D\x18\x0c\0\0\0FRONTRUN\x01\0\0\0".to_vec();
    for (ordinal, (kind, record)) in frames.iter().enumerate() {
        let packed = zstd::bulk::compress(record, 1).unwrap();
        let start = file.len();
        let mut sizes = [record.len() as u32, packed.len() as u32];
        if random.below(60) == 0 {
            let lies = [0, 1, 255, 1 << 16, 64 << 20, (64 << 20) + 1, u32::MAX, sizes[0] + 1];
            sizes[random.below(2)] = lies[random.below(lies.len())];
        }
        file.extend_from_slice(b"\x51\x2A\x4D\x18");
        for word in [32, *kind, ordinal as u32, sizes[0], sizes[1]] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(&xxhash_rust::xxh3::xxh3_64(&packed).to_le_bytes());
        let checksum = xxhash_rust::xxh3::xxh3_64(&file[start..]);
        file.extend_from_slice(&checksum.to_le_bytes());
        file.extend_from_slice(&packed);
    }
    file
}

/// Damages the records of a file, or their order, and seals them again.
fn forge(frames: &Frames, others: &Frames, random: &mut Random) -> Vec<u8> {
    let mut frames = frames.clone();
    let at = random.below(frames.len());
    match random.below(12) {
        0 => drop(frames.remove(at)),
        1 => frames.insert(at, others[random.below(others.len())].clone()),
        2 => frames[at].0 = random.below(6) as u32,
        3 => frames.swap(at, random.below(others.len()).min(at)),
        _ => {
            let other = &others[random.below(others.len())].1;
            mutate(&mut frames[at].1, other, random);
        }
    }
    put_together(&frames, random)
}

/// A state in which every number is as bad as numbers get.
struct Extreme;

impl State for Extreme {
    fn value(&self, at: Location) -> Value {
        match at.object.0 % 5 {
            0 => Value::Int(i64::MAX),
            1 => Value::Int(i64::MIN),
            2 => Value::Unknown,
            3 => Value::Int(-1),
            _ => Value::Waiters(vec![ThreadId(0), ThreadId(u32::MAX)]),
        }
    }

    fn has_changed(&self, at: Location, _: ThreadId) -> bool {
        at.object.0.is_multiple_of(2)
    }
}

/// Whatever was accepted can be understood, and written and read again.
fn check_accepted(execution: &Execution, seed: u64, path: &std::path::Path) {
    for event in &execution.events {
        enabled(&event.operation, event.thread, &Extreme);
        effect(&event.operation, event.thread, &Extreme);
        execution.fingerprint(event);
    }
    execution.header.schedule.id();
    write_file(path, execution).unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
    assert_eq!(&file::read_file(path).unwrap(), execution, "seed {seed}");
}

#[test]
fn mutated_files_are_read_or_refused() {
    let cases: u64 = std::env::var("FRONTRUN_FUZZ_CASES").map_or(6_000, |cases| cases.parse().unwrap());
    let whole = sample::execution();
    let small = Execution { events: whole.events[..9].to_vec(), ..whole.clone() };
    let files: Vec<Vec<u8>> =
        [(&whole, 200), (&whole, 11), (&small, 4)].map(|(e, n)| sample::file(e, n)).into();
    let parts: Vec<Frames> = files.iter().map(|file| take_apart(file)).collect();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mutated.frz");
    let mut results: BTreeMap<&str, u64> = BTreeMap::new();
    let mut most = 0;
    for seed in 0..cases {
        let random = &mut Random(seed);
        let (one, other) = (random.below(files.len()), random.below(files.len()));
        let input = if seed % 2 == 0 {
            let mut file = files[one].clone();
            mutate(&mut file, &files[other], random);
            file
        } else {
            forge(&parts[one], &parts[other], random)
        };
        let before = LIVE.load(Relaxed);
        PEAK.store(before, Relaxed);
        let result = read(&input);
        let used = PEAK.load(Relaxed) - before;
        assert!(used <= MEMORY, "seed {seed}: {used} bytes for a file of {}", input.len());
        most = most.max(used);
        let name = match &result {
            Ok(execution) if execution.truncated => "read as cut off",
            Ok(_) => "read",
            Err(ReadError::NotATrace) => "not a trace",
            Err(ReadError::UnsupportedVersion { .. }) => "other version",
            Err(ReadError::TruncatedHeader { .. }) => "truncated header",
            Err(ReadError::Corrupt { .. }) => "corrupt",
            Err(ReadError::TooLarge { .. }) => "too large",
            Err(error) => panic!("seed {seed}: {error:?}"),
        };
        *results.entry(name).or_default() += 1;
        if let Ok(execution) = &result {
            check_accepted(execution, seed, &path);
        }
        if seed % 16 < 2 {
            std::fs::write(&path, &input).unwrap();
            let header = read_header(&path);
            assert!(result.is_err() || header.is_ok(), "seed {seed}");
            let _ = read_index(&path);
        }
    }
    println!("{cases} files: {results:?}; at most {} KiB for one", most >> 10);
}
