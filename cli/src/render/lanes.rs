//! An execution as source lines, one column (lane) a thread, time running downwards.
//!
//! Model: steps are grouped into rows, a row being what one thread did on one source line without being
//! interrupted (or a single step, on request). A location that two threads touch, one of them writing, gets a
//! letter; a row that touches it carries the letter and how, as in `[W a]`. The legend under the lanes says what
//! the letters stand for. Of a long execution only the surroundings of marked rows are shown, and of a very long one
//! only the last of those; what the standard library does among itself is left out (own). On request, each step has a
//! line of its own and nothing is left out.

use super::ending::ending;
use super::names::{self, counted};
use super::own;
use super::style::Style;
use frontrun_formats::{Execution, Location, Operation, SiteId, ThreadId};
use frontrun_replayer::state;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// How to draw.
#[derive(Clone, Copy, Debug)]
pub struct LaneOptions {
    /// One row for each step, or for each source line.
    pub rows: Rows,
    /// Columns of the terminal.
    pub width: usize,
    /// Emphasis.
    pub style: Style,
}

/// What a row is, and how much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// The uninterrupted steps of a thread on one source line.
    SourceLines,
    /// One step; all of them, as a list.
    Steps,
}

/// An execution with more rows than this is shown in extracts.
const LONG: usize = 120;

/// How many rows around a marked one an extract shows.
const CONTEXT: usize = 2;

/// How many rows an extract shows at most, counted from the end.
const MOST: usize = 300;

/// The narrowest lane that still shows something.
const NARROWEST: usize = 24;

/// Draws an execution, with its legend and how it ended.
pub fn lanes(execution: &Execution, options: LaneOptions) -> String {
    let conflicting = conflicting(execution);
    let shown = match options.rows {
        Rows::SourceLines => own::shown(execution, &conflicting),
        Rows::Steps => vec![true; execution.events.len()],
    };
    let conflicts = Conflicts::of(&conflicting, &shown);
    let rows = rows(execution, &conflicts, &shown, options.rows);
    let columns = used_threads(execution, &rows);
    let lane = (options.width.saturating_sub(7) / columns.len().max(1)).clamp(NARROWEST, 100);
    let paths = columns.iter().map(|id| names::thread(execution, *id).len()).max().unwrap_or(0);
    let mut text = String::new();
    let heading = |id: &ThreadId| {
        let name = execution.threads.get(id.index()).map_or("", |info| info.name.as_str());
        fit(&format!("{} {name}", names::thread(execution, *id)), lane - 2)
    };
    let headings: Vec<String> = columns.iter().map(|id| pad(&heading(id), lane)).collect();
    if !rows.is_empty() {
        let headings = match options.rows {
            Rows::SourceLines => headings.concat(),
            Rows::Steps => "thread".to_owned(),
        };
        let _ = writeln!(text, "{:>5}  {}", "step", options.style.bold(headings.trim_end()));
    }
    let extract = extract(&rows, options.rows);
    let mut skipped = 0;
    let gap = |text: &mut String, skipped: usize| {
        if skipped > 0 {
            let _ = writeln!(
                text,
                "       {}",
                options.style.dim(&format!("… {}", counted(skipped, "more row")))
            );
        }
    };
    for (row, show) in rows.iter().zip(extract) {
        if !show {
            skipped += 1;
            continue;
        }
        gap(&mut text, std::mem::take(&mut skipped));
        match options.rows {
            Rows::SourceLines => {
                let column = columns.iter().position(|id| *id == row.thread).unwrap_or(0);
                draw(&mut text, row, column, lane, options.style);
            }
            Rows::Steps => {
                let thread = names::thread(execution, row.thread);
                let mark = options.style.mark(&row.mark());
                let _ = writeln!(text, "{:>5}  {thread:<paths$}  {}{mark}", row.first, row.text);
            }
        }
    }
    gap(&mut text, skipped);
    text.push_str(&conflicts.legend(execution, options.style));
    let left_out = shown.iter().filter(|show| !**show).count();
    if left_out > 0 {
        let steps = counted(left_out, "step");
        let note =
            format!("       {steps} of the standard library left out: frontrun show --events has them");
        let _ = writeln!(text, "{}", options.style.dim(&note));
    }
    text.push_str(&ending(execution, options.style));
    text
}

/// What one thread did on one source line without being interrupted.
struct Row {
    thread: ThreadId,
    /// Steps, from 1.
    first: usize,
    site: SiteId,
    text: String,
    /// Letters, with how they were touched.
    marks: BTreeMap<String, Access>,
    /// Operations of a row of one step, or of a row without source text.
    operations: Vec<String>,
}

impl Row {
    /// As in ` [R a, W b]`; empty without a conflict.
    fn mark(&self) -> String {
        let one = |(letter, how): (&String, &Access)| format!("{} {letter}", how.name());
        let marks: Vec<String> = self.marks.iter().map(one).collect();
        if marks.is_empty() { String::new() } else { format!(" [{}]", marks.join(", ")) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Access {
    Read,
    Write,
    Both,
}

impl Access {
    fn and(self, other: Access) -> Access {
        if self == other { self } else { Access::Both }
    }

    fn name(self) -> &'static str {
        match self {
            Access::Read => "R",
            Access::Write => "W",
            Access::Both => "RW",
        }
    }
}

/// For each event, the locations that it touches and that threads conflict on.
fn conflicting(execution: &Execution) -> Vec<Vec<(Location, Access)>> {
    let effects = state::effects(execution);
    let touched = |n: usize| {
        let data = names::is_data(&execution.events[n].operation);
        let reads = effects[n].reads.iter().map(|at| (*at, Access::Read));
        let writes = effects[n].writes.iter().map(|at| (*at, Access::Write));
        reads.chain(writes).filter(move |_| data)
    };
    let mut users: BTreeMap<Location, (BTreeSet<ThreadId>, BTreeSet<ThreadId>)> = BTreeMap::new();
    for (n, event) in execution.events.iter().enumerate() {
        for (at, access) in touched(n) {
            let (all, writers) = users.entry(at).or_default();
            all.insert(event.thread);
            if access == Access::Write {
                writers.insert(event.thread);
            }
        }
    }
    let shared =
        |at: &Location| users.get(at).is_some_and(|(all, writers)| all.len() > 1 && !writers.is_empty());
    (0..execution.events.len()).map(|n| touched(n).filter(|(at, _)| shared(at)).collect()).collect()
}

/// The locations that have letters, and who touches them.
struct Conflicts {
    /// With their letters, in the order of first touch.
    letters: Vec<(Location, String)>,
    /// For each event; none for those that are not shown.
    touches: Vec<Vec<(usize, Access)>>,
}

impl Conflicts {
    /// Gives letters to what the events touch that are `shown`.
    fn of(conflicting: &[Vec<(Location, Access)>], shown: &[bool]) -> Conflicts {
        let mut letters: Vec<(Location, String)> = Vec::new();
        let mut numbers: BTreeMap<Location, usize> = BTreeMap::new();
        let mut number = |at: Location| {
            *numbers.entry(at).or_insert_with(|| {
                letters.push((at, letter(letters.len())));
                letters.len() - 1
            })
        };
        let touches = conflicting.iter().zip(shown).map(|(here, shown)| {
            let here = here.iter().filter(|_| *shown);
            here.map(|(at, access)| (number(*at), *access)).collect()
        });
        let touches = touches.collect();
        Conflicts { letters, touches }
    }

    fn legend(&self, execution: &Execution, style: Style) -> String {
        let line = |(at, letter): &(Location, String)| {
            format!("{:>5}  {}\n", style.mark(letter), names::location(execution, *at))
        };
        self.letters.iter().take(52).map(line).collect()
    }
}

/// a to z, then aa, ab, and so on.
fn letter(number: usize) -> String {
    let last = char::from(b'a' + (number % 26) as u8);
    if number < 26 { last.to_string() } else { format!("{}{last}", letter(number / 26 - 1)) }
}

fn rows(execution: &Execution, conflicts: &Conflicts, shown: &[bool], kind: Rows) -> Vec<Row> {
    let line = |site: SiteId| execution.site(site).map_or((0, 0), |site| (site.file.0, site.line));
    let events = || execution.events.iter().zip(shown).enumerate().filter(|(_, (_, show))| **show);
    let places = events().map(|(_, (event, _))| line(event.site)).filter(|(_, line)| *line > 0);
    let files: BTreeSet<u32> = places.map(|(file, _)| file).collect();
    let mut rows: Vec<Row> = Vec::new();
    for (n, (event, _)) in events() {
        // Beginning and end of a thread have no source line that would help.
        if kind == Rows::SourceLines && matches!(event.operation, Operation::Start | Operation::End) {
            continue;
        }
        let same = |row: &&mut Row| {
            kind == Rows::SourceLines && row.thread == event.thread && line(row.site) == line(event.site)
        };
        let operation = names::operation(execution, &event.operation);
        let row = match rows.last_mut().filter(same) {
            Some(row) => row,
            None => {
                let text = match (kind, names::source_line(execution, event.site)) {
                    (Rows::SourceLines, Some(text)) => numbered(execution, event.site, text, files.len() > 1),
                    _ => String::new(),
                };
                let (first, site, thread) = (n + 1, event.site, event.thread);
                rows.push(Row { thread, first, site, text, marks: BTreeMap::new(), operations: Vec::new() });
                let last = rows.len() - 1;
                &mut rows[last]
            }
        };
        row.operations.push(operation);
        for (number, access) in &conflicts.touches[n] {
            let letter = conflicts.letters[*number].1.clone();
            row.marks.entry(letter).and_modify(|before| *before = before.and(*access)).or_insert(*access);
        }
    }
    for row in rows.iter_mut().filter(|row| row.text.is_empty()) {
        let place = names::place(execution, row.site);
        let done = row.operations.join("; ");
        row.text = if place.is_empty() { done } else { format!("{done}  ({place})") };
    }
    rows
}

fn numbered(execution: &Execution, site: SiteId, text: &str, with_file: bool) -> String {
    let place = names::place(execution, site);
    let line = execution.site(site).map_or(0, |site| site.line);
    if with_file { format!("{place}: {text}") } else { format!("{line}: {text}") }
}

/// Which rows are shown.
fn extract(rows: &[Row], kind: Rows) -> Vec<bool> {
    if rows.len() <= LONG || kind == Rows::Steps {
        return vec![true; rows.len()];
    }
    let mut shown = vec![false; rows.len()];
    for (n, _) in rows.iter().enumerate().filter(|(_, row)| !row.marks.is_empty()) {
        shown[n.saturating_sub(CONTEXT)..(n + CONTEXT + 1).min(rows.len())].fill(true);
    }
    let tail = rows.len() - 8;
    shown[tail..].fill(true);
    // What led to the end is nearer to it than to the beginning.
    let mut most = MOST;
    for show in shown.iter_mut().rev().filter(|show| **show) {
        *show = most > 0;
        most = most.saturating_sub(1);
    }
    shown[..4].fill(true);
    shown
}

fn draw(text: &mut String, row: &Row, column: usize, lane: usize, style: Style) {
    let mark = row.mark();
    let room = (lane - 2).saturating_sub(mark.chars().count()).max(8);
    let cell = format!("{}{}", fit(&row.text, room), style.mark(&mark));
    let _ = writeln!(text, "{:>5}  {}{cell}", row.first, " ".repeat(column * lane));
}

fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.chars().count())))
}

/// The threads that have rows, and those that have not ended.
fn used_threads(execution: &Execution, rows: &[Row]) -> Vec<ThreadId> {
    let mut used: Vec<ThreadId> = rows.iter().map(|row| row.thread).collect();
    used.extend(execution.pending.iter().map(|pending| pending.thread));
    used.sort_by(|a, b| execution.path(*a).cmp(&execution.path(*b)));
    used.dedup();
    used
}
