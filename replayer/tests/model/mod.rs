//! A program that needs no Python: threads of loads, stores and locks, executed under a schedule.
//!
//! It stands for the interpreter at the other end of the protocol: it reads the same configuration, serves the
//! same requests and writes the same recordings, so what is tested around it is the real thing.

use frontrun_formats::{
    Block, Environment, Event, Execution, Failure, FailureKind, Header, Location, ObjectId, ObjectInfo,
    Operation, Outcome, Part, Pending, Schedule, Site, SiteId, StringId, Target, ThreadId, ThreadInfo,
    ThreadPath, execution,
};
use std::path::Path;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Reads a variable into the thread's register.
    Load(usize),
    /// Writes the register plus one to a variable.
    Store(usize),
    /// An opaque block: reads a variable, and another one, into the register, if the first is 0.
    Peek(usize, usize),
    Lock(usize),
    Unlock(usize),
    /// Does not come back if the register holds this value.
    HangIf(i64),
    /// Kills its own process if the register holds this value.
    DieIf(i64),
    /// Prints for ever.
    Flood,
}

/// The programs that tests can ask for by name.
pub fn program(name: &str, schedule: &Schedule) -> Vec<Vec<Act>> {
    use Act::{DieIf, Flood, HangIf, Load, Lock, Peek, Store, Unlock};
    match name {
        "counter" => vec![vec![Load(0), Store(0)]; 2],
        "counter3" => vec![vec![Load(0), Store(0)]; 3],
        "independent" => vec![vec![Load(0), Store(0)], vec![Load(1), Store(1)]],
        // Every order of the threads is a class: 120, and 5040.
        "five" => vec![vec![Lock(0), Load(0), Store(0), Unlock(0)]; 5],
        "seven" => vec![vec![Lock(0), Load(0), Store(0), Unlock(0)]; 7],
        "inversion" => {
            vec![vec![Lock(0), Lock(1), Unlock(1), Unlock(0)], vec![Lock(1), Lock(0), Unlock(0), Unlock(1)]]
        }
        "hanging" => vec![vec![Load(0), HangIf(1)], vec![Store(0)], vec![Store(0)]],
        "dying" => vec![vec![Load(0), DieIf(1)], vec![Store(0)], vec![Store(0)]],
        "flooding" => vec![vec![Flood], vec![]],
        // Replays do something else than the first execution did.
        "diverging" if !schedule.entries.is_empty() => vec![vec![Lock(0), Load(0), Store(0)]; 2],
        "diverging" => vec![vec![Load(0), Store(0)]; 2],
        // Replays touch another variable at the same places.
        "wandering" if !schedule.entries.is_empty() => {
            vec![vec![Load(0), Store(1)], vec![Load(2), Store(1)], vec![Store(0), Store(1), Store(2)]]
        }
        "wandering" => {
            vec![vec![Load(0), Store(0)], vec![Load(0), Store(0)], vec![Store(0), Store(1), Store(2)]]
        }
        // In the first execution the block never looks at variable 1.
        "opaque" => vec![vec![Store(1)], vec![Store(0)], vec![Peek(0, 1)]],
        "peeking" => vec![vec![Store(1)], vec![Store(0)], vec![Peek(0, 1), DieIf(1)]],
        "single" => vec![],
        other => panic!("no program {other}"),
    }
}

struct Thread {
    acts: Vec<Act>,
    /// Steps done: 0 is the start, then the acts, then the end. The main thread spawns, joins, ends.
    at: usize,
    register: i64,
}

/// Runs a program under a schedule and writes its recording; returns the exit code.
pub fn run(name: &str, schedule: &Schedule, parent: Option<u64>, trace: &Path) -> i32 {
    let acts = program(name, schedule);
    let mut model = Model::new(name, acts, schedule, parent);
    model.trace = trace.to_owned();
    let outcome = model.execute();
    let failed = matches!(outcome, Outcome::Failed(_));
    model.execution.outcome = Some(outcome);
    model.write();
    i32::from(failed)
}

struct Model {
    threads: Vec<Thread>,
    variables: [i64; 4],
    locks: [Option<usize>; 4],
    ended: Vec<bool>,
    spawned: usize,
    execution: Execution,
    trace: std::path::PathBuf,
}

impl Model {
    fn new(name: &str, acts: Vec<Vec<Act>>, schedule: &Schedule, parent: Option<u64>) -> Model {
        let mut execution = Execution {
            header: Header {
                target: Target { command: vec!["python".into(), "-m".into(), name.into()], call: None },
                environment: Environment { python_version: (3, 12, 0), ..Environment::default() },
                schedule: schedule.clone(),
                parent,
            },
            strings: ["model.py", "x", "lock", "int", "f"].map(str::to_owned).to_vec(),
            ..Execution::default()
        };
        let object = ObjectInfo { type_name: StringId(3), label: StringId(1) };
        let lock = ObjectInfo { type_name: StringId(3), label: StringId(2) };
        execution.objects = vec![
            object.clone(),
            object.clone(),
            object.clone(),
            object,
            lock.clone(),
            lock.clone(),
            lock.clone(),
            lock,
        ];
        let count = acts.len();
        let main = Thread { acts: vec![], at: 0, register: 0 };
        let others = acts.into_iter().map(|acts| Thread { acts, at: 0, register: 0 });
        let threads: Vec<Thread> = std::iter::once(main).chain(others).collect();
        for n in 0..=count {
            let path = if n == 0 { ThreadPath::main() } else { ThreadPath::main().child(n as u32 - 1) };
            execution.threads.push(ThreadInfo { path, name: format!("T{n}") });
        }
        // One site for each step of each thread.
        for line in 0..1000 {
            execution.sites.push(Site {
                file: StringId(0),
                function: StringId(4),
                line: line + 1,
                end_line: line + 1,
                column: 0,
                end_column: 1,
                unit: line,
            });
        }
        Model {
            ended: vec![false; threads.len()],
            threads,
            variables: [0; 4],
            locks: [None; 4],
            spawned: 0,
            execution,
            trace: Default::default(),
        }
    }

    /// The next operation of a thread.
    fn next(&self, thread: usize) -> Option<(SiteId, Operation)> {
        let at = self.threads[thread].at;
        let site = SiteId((thread * 100 + at) as u32);
        let others = self.threads.len() - 1;
        let operation = if thread == 0 {
            match at {
                _ if at < others => Operation::Spawn { thread: ThreadId(at as u32 + 1) },
                _ if at < 2 * others => Operation::Join { thread: ThreadId((at - others) as u32 + 1) },
                _ if at == 2 * others => Operation::End,
                _ => return None,
            }
        } else {
            let acts = &self.threads[thread].acts;
            match at {
                0 => Operation::Start,
                _ if at <= acts.len() => operation(acts[at - 1]),
                _ if at == acts.len() + 1 => Operation::End,
                _ => return None,
            }
        };
        Some((site, operation))
    }

    fn enabled(&self, thread: usize) -> bool {
        match self.next(thread) {
            None => false,
            Some((_, Operation::Start)) => thread <= self.spawned,
            Some((_, Operation::Join { thread })) => self.ended[thread.index()],
            Some((_, Operation::Acquire { lock })) => self.locks[lock.index() - 4].is_none(),
            Some(_) => thread == 0 || thread <= self.spawned,
        }
    }

    fn execute(&mut self) -> Outcome {
        let schedule = self.execution.header.schedule.clone();
        for (step, entry) in schedule.entries.iter().enumerate() {
            let path = &schedule.threads[entry.thread as usize];
            let thread = self.execution.threads.iter().position(|info| info.path == *path).unwrap();
            let file = "model.py";
            let announced = self.next(thread).map(|(site, operation)| {
                execution::fingerprint(operation.kind(), file, &self.execution.sites[site.index()])
            });
            if !self.enabled(thread) || (entry.expect != 0 && announced != Some(entry.expect)) {
                let actual = format!("{path} does something else");
                return Outcome::Diverged {
                    step: step as u64,
                    expected: format!("a step of {path}"),
                    actual,
                };
            }
            self.step(thread);
        }
        while let Some(thread) = (0..self.threads.len()).find(|thread| self.enabled(*thread)) {
            self.step(thread);
        }
        self.end()
    }

    fn step(&mut self, thread: usize) {
        let (site, operation) = self.next(thread).unwrap();
        match &operation {
            Operation::Spawn { thread } => self.spawned = thread.index(),
            Operation::End => self.ended[thread] = true,
            Operation::Acquire { lock } => self.locks[lock.index() - 4] = Some(thread),
            Operation::Release { lock } => self.locks[lock.index() - 4] = None,
            _ => {}
        }
        let id = ThreadId(thread as u32);
        let at = self.threads[thread].at;
        self.threads[thread].at += 1;
        let act = (thread > 0 && at > 0).then(|| self.threads[thread].acts.get(at - 1).copied()).flatten();
        let block = if matches!(act, Some(Act::Peek(..))) { Block::First } else { Block::Alone };
        self.execution.events.push(Event { thread: id, site, operation, result: 1, block, gil_switch: true });
        match act {
            Some(Act::Peek(n, other)) if self.variables[n] == 0 => {
                self.threads[thread].register = self.variables[other];
                let operation = self::operation(Act::Load(other));
                let block = Block::Later;
                self.execution.events.push(Event {
                    thread: id,
                    site,
                    operation,
                    result: 1,
                    block,
                    gil_switch: true,
                });
            }
            Some(Act::Load(n)) => self.threads[thread].register = self.variables[n],
            Some(Act::Store(n)) => self.variables[n] = self.threads[thread].register + 1,
            Some(Act::HangIf(value)) if self.threads[thread].register == value => {
                self.write();
                std::thread::sleep(std::time::Duration::from_secs(600));
            }
            // SAFETY: a signal to this process.
            Some(Act::DieIf(value)) if self.threads[thread].register == value => unsafe {
                self.write();
                libc::kill(libc::getpid(), libc::SIGKILL);
            },
            Some(Act::Flood) => loop {
                let text = [b'x'; 1 << 16];
                // SAFETY: the pointer and the length describe `text`.
                unsafe { libc::write(1, text.as_ptr().cast(), text.len()) };
            },
            _ => {}
        }
    }

    fn end(&mut self) -> Outcome {
        self.execution.observed = Some(format!("x={}", self.variables[0]));
        for thread in 0..self.threads.len() {
            if let Some((site, operation)) = self.next(thread) {
                self.execution.pending.push(Pending {
                    thread: ThreadId(thread as u32),
                    site,
                    operation,
                    block: Block::Alone,
                });
            }
        }
        let failed = |kind, message: &str| {
            Outcome::Failed(Failure {
                kind,
                message: message.to_owned(),
                thread: None,
                details: String::new(),
            })
        };
        if !self.execution.pending.is_empty() {
            return failed(FailureKind::Deadlock, "every thread waits");
        }
        let increments =
            self.threads.iter().flat_map(|t| &t.acts).filter(|act| **act == Act::Store(0)).count();
        let loads = self.threads.iter().flat_map(|t| &t.acts).filter(|act| **act == Act::Load(0)).count();
        if loads == increments && self.variables[0] != increments as i64 {
            return failed(FailureKind::Invariant, "an update was lost");
        }
        Outcome::Passed
    }

    fn write(&self) {
        frontrun_formats::file::write_file(&self.trace, &self.execution).unwrap();
    }
}

fn operation(act: Act) -> Operation {
    let variable = |n: usize| Location::new(ObjectId(n as u32), Part::Name(StringId(1)));
    match act {
        Act::Load(n) | Act::Peek(n, _) => Operation::Read { at: variable(n) },
        Act::Store(n) => Operation::Write { at: variable(n) },
        Act::Lock(n) => Operation::Acquire { lock: ObjectId(n as u32 + 4) },
        Act::Unlock(n) => Operation::Release { lock: ObjectId(n as u32 + 4) },
        Act::HangIf(_) | Act::DieIf(_) | Act::Flood => Operation::Pause,
    }
}
