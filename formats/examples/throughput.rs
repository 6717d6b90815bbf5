//! How large events are in a file, and how fast they are written and read.
//!
//! `cargo run --release -p frontrun-formats --example throughput [events]`
//!
//! Three streams: `loops` repeats the bodies of a few loops over slowly changing objects, as programs do; `mixed`
//! does so with a tenth of its events at random; `random` takes everything at random, the worst that can be.

use frontrun_formats::file::{Delta, End, Writer, read};
use frontrun_formats::*;
use std::time::Instant;

const SITES: u32 = 2_000;
const OBJECTS: u32 = 20_000;
const NAMES: u32 = 300;
const KEYS: u32 = 5_000;
const THREADS: u32 = 4;
const PIECE: usize = 1 << 16;

/// A small generator of random numbers (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % u64::from(limit)) as u32
    }
}

/// What the `site`-th site does to an object, `turn` loops in.
fn operation(site: u32, object: u32, turn: u32, key: u32) -> Operation {
    let id = ObjectId(object);
    let name = Location::new(id, Part::Name(StringId(site % NAMES)));
    match site % 16 {
        0 => Operation::Acquire { lock: id },
        1 => Operation::Release { lock: id },
        2 => Operation::DictStore { dict: id, key: KeyId(key) },
        3 => Operation::Read { at: Location::new(id, Part::Key(KeyId(key))) },
        4 => Operation::ListAppend { list: id },
        5 => Operation::ListGet { list: id, index: i64::from(turn) },
        6 => Operation::Read { at: Location::new(id, Part::State) },
        7..=9 => Operation::Write { at: name },
        _ => Operation::Read { at: name },
    }
}

/// A stream of events, of which `noise` percent are random.
fn stream(count: usize, noise: u32) -> Vec<Event> {
    let random = &mut Random(7);
    let mut turns = [0u32; THREADS as usize];
    let mut events = Vec::with_capacity(count);
    while events.len() < count {
        // A thread goes on for some time, in the loop that it is in.
        let thread = random.below(THREADS);
        for _ in 0..=random.below(if noise == 100 { 2 } else { 60 }) {
            let turn = &mut turns[thread as usize];
            *turn += 1;
            let (body, round) = (10 + *turn / 5_000 % 40, *turn / 12);
            let (mut site, mut object, mut key) = (
                (*turn / 5_000 * 37 + *turn % body) % SITES,
                (round / 8 + *turn % body) % OBJECTS,
                round % KEYS,
            );
            if random.below(100) < noise {
                (site, object, key) = (random.below(SITES), random.below(OBJECTS), random.below(KEYS));
            }
            let operation = operation(site, object, round, key);
            let result = u8::from(random.below(100) >= noise / 10);
            events.push(Event {
                thread: ThreadId(thread),
                site: SiteId(site),
                operation,
                result,
                block: Block::Alone,
                gil_switch: true,
            });
        }
    }
    events.truncate(count);
    events
}

fn tables() -> Delta {
    let strings = (0..SITES.max(KEYS)).map(|n| format!("some/module_{n}.py")).collect();
    let site = |n| Site {
        file: StringId(n / 100),
        function: StringId(n / 10),
        line: n,
        end_line: n,
        column: 8,
        end_column: 20,
        unit: n % 100,
    };
    let thread = |n| ThreadInfo { path: ThreadPath(vec![0, n]), name: format!("Thread-{n}") };
    Delta {
        strings,
        keys: (0..KEYS).map(StringId).collect(),
        sites: (0..SITES).map(site).collect(),
        objects: (0..OBJECTS)
            .map(|n| ObjectInfo { type_name: StringId(n % 40), label: StringId(n % KEYS) })
            .collect(),
        threads: (0..THREADS).map(thread).collect(),
        ..Delta::default()
    }
}

fn measure(name: &str, events: &[Event]) {
    let pieces: Vec<Delta> =
        events.chunks(PIECE).map(|events| Delta { events: events.to_vec(), ..Delta::default() }).collect();
    let rows = tables();
    let mut writer = Writer::create(Vec::new(), &Header::default()).expect("a vector takes all");
    writer.append(&rows).expect("the rows are defined");
    let start = Instant::now();
    pieces.iter().for_each(|piece| writer.append(piece).expect("the events refer to the rows"));
    let written = start.elapsed().as_secs_f64();
    let end = End { pending: Vec::new(), sources: Vec::new(), observed: None, outcome: Outcome::Passed };
    let file = writer.finish(&end).expect("a vector takes all");
    let empty = Writer::create(Vec::new(), &Header::default()).and_then(|mut writer| {
        writer.append(&rows)?;
        writer.finish(&end)
    });
    let start = Instant::now();
    let execution = read(&file).expect("what was written");
    let reading = start.elapsed().as_secs_f64();
    assert_eq!(execution.events, events);
    let millions = events.len() as f64 / 1e6;
    let bytes = file.len() - empty.expect("a vector takes all").len();
    println!(
        "{name:8} {:6.2} bytes/event   write {:6.1} Mevents/s   read {:6.1} Mevents/s   ({} events, {} bytes)",
        bytes as f64 / events.len() as f64,
        millions / written,
        millions / reading,
        events.len(),
        file.len(),
    );
}

fn main() {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(5_000_000);
    println!("an event takes {} bytes in memory", size_of::<Event>());
    for (name, noise) in [("loops", 0), ("mixed", 10), ("random", 100)] {
        measure(name, &stream(count, noise));
    }
}
