//! Runs a schedule on the abstract machine, by the run rule, and gives the execution that a recorder would.
//!
//! Threads and objects are numbered by first appearance, so two executions of one program number them
//! differently.

use crate::exploration;
use crate::memory::{self, Abstract, Memory};
use crate::program::{GAVE_UP, Op, Program};
use frontrun_formats::semantics::Effect;
use frontrun_formats::{
    Block, Event, Execution, Failure, FailureKind, Header, Location, ObjectId, ObjectInfo, Operation,
    Outcome, Part, Pending, Schedule, Site, SiteId, StringId, ThreadId, ThreadInfo, ThreadPath,
};
use std::collections::BTreeMap;

/// A finished run, also in the program's own numbers.
pub struct Run {
    pub execution: Execution,
    /// Thread, index, footprint.
    pub log: Vec<(usize, usize, Effect)>,
    pub results: Vec<Vec<i64>>,
    pub memory: Memory,
    pub done: bool,
}

struct Machine<'p> {
    program: &'p Program,
    memory: Memory,
    results: Vec<Vec<i64>>,
    next: Vec<Option<Op>>,
    paths: Vec<Option<ThreadPath>>,
    children: Vec<u32>,
    created: Vec<usize>,
    events: Vec<(usize, usize, Operation, u8, Block)>,
    log: Vec<(usize, usize, Effect)>,
}

/// Executes the program under the schedule. Panics when the schedule cannot be followed.
pub fn run(program: &Program, schedule: &Schedule) -> Run {
    let n = program.threads.len();
    let mut machine = Machine {
        program,
        memory: Memory::new(&program.initial),
        results: vec![Vec::new(); n],
        next: (0..n).map(|thread| program.next(thread, &[])).collect(),
        paths: vec![None; n],
        children: vec![0; n],
        created: Vec::new(),
        events: Vec::new(),
        log: Vec::new(),
    };
    for thread in (0..n).filter(|thread| !program.spawned[*thread]) {
        machine.paths[thread] = Some(ThreadPath(vec![thread as u32]));
        machine.created.push(thread);
    }
    for entry in &schedule.entries {
        let path = &schedule.threads[entry.thread as usize];
        let thread = machine.paths.iter().position(|p| p.as_ref() == Some(path)).expect("thread exists");
        if machine.enabled(thread) {
            machine.step(thread);
        } else {
            assert_eq!(machine.first_to_give_up(), Some(thread), "diverged: {path} in {schedule:?}");
            machine.give_up(thread);
        }
    }
    loop {
        let lowest =
            (0..n).filter(|thread| machine.enabled(*thread)).min_by_key(|t| machine.paths[*t].clone());
        let lowest = lowest.map(|thread| machine.first_to_notice(thread));
        match (lowest, machine.first_to_give_up()) {
            (Some(thread), _) => machine.step(thread),
            (None, Some(thread)) => machine.give_up(thread),
            (None, None) => break,
        }
    }
    machine.finish(schedule)
}

impl Machine<'_> {
    fn enabled(&self, thread: usize) -> bool {
        self.paths[thread].is_some()
            && self.next[thread].as_ref().is_some_and(|op| self.memory.enabled(thread, op))
    }

    fn step(&mut self, thread: usize) {
        let op = self.next[thread].take().expect("not ended");
        if let Op::Spawn(child) = op {
            let path = self.paths[thread].as_ref().expect("exists").child(self.children[thread]);
            self.children[thread] += 1;
            self.paths[child] = Some(path);
            self.created.push(child);
        }
        let (value, events, effect) = self.memory.execute(thread, &op);
        let index = self.results[thread].len();
        for (nth, (operation, result)) in events.into_iter().enumerate() {
            let block = match (&op, nth) {
                (Op::Block(..), 0) => Block::First,
                (Op::Block(..), _) => Block::Later,
                _ => Block::Alone,
            };
            self.events.push((thread, index, operation, result, block));
        }
        self.log.push((thread, index, effect));
        self.results[thread].push(value);
        self.next[thread] = self.program.next(thread, &self.results[thread]);
    }

    /// Who goes before the lowest thread if that clears an event: the lowest one that waits for it and is enabled.
    fn first_to_notice(&self, lowest: usize) -> usize {
        let next = |thread: usize| self.next[thread].as_ref().map(memory::operation);
        let Some(Operation::EventClear { event }) = next(lowest) else { return lowest };
        let waits =
            |thread: &usize| next(*thread) == Some(Operation::EventWait { event }) && self.enabled(*thread);
        let waiting = (0..self.next.len()).filter(waits);
        waiting.min_by_key(|thread| self.paths[*thread].clone()).unwrap_or(lowest)
    }

    /// Who gives up, if nobody is enabled.
    fn first_to_give_up(&self) -> Option<usize> {
        let n = self.next.len();
        let stuck = !(0..n).any(|thread| self.enabled(thread));
        let exists = |thread: usize| self.paths[thread].is_some();
        if stuck { Op::first_to_give_up(&self.next, exists) } else { None }
    }

    fn give_up(&mut self, thread: usize) {
        let Some(Op::Patiently(op)) = self.next[thread].take() else { panic!("not patient") };
        let index = self.results[thread].len();
        let operation = Operation::Elapse { of: Box::new(memory::operation(&op)) };
        self.events.push((thread, index, operation, 1, Block::Alone));
        self.log.push((thread, index, exploration::after_everything()));
        self.results[thread].push(GAVE_UP);
        self.next[thread] = self.program.next(thread, &self.results[thread]);
    }

    fn finish(self, schedule: &Schedule) -> Run {
        let existing: Vec<usize> = self.created.clone();
        let done = existing.iter().all(|thread| self.next[*thread].is_none());
        let mut names = Names::new(&existing);
        let mut execution = Execution {
            header: Header { schedule: schedule.clone(), ..Header::default() },
            outcome: Some(if done { Outcome::Passed } else { Outcome::Failed(deadlock()) }),
            ..Execution::default()
        };
        for (thread, index, op, result, block) in &self.events {
            let site = names.site(*thread, *index);
            execution.events.push(Event {
                thread: names.thread(*thread),
                site,
                operation: names.operation(op),
                result: *result,
                block: *block,
                gil_switch: true,
            });
        }
        for thread in &existing {
            if let Some(op) = &self.next[*thread] {
                let site = names.site(*thread, self.results[*thread].len());
                let operation = names.operation(&memory::operation(op));
                let block = if matches!(op, Op::Block(..)) { Block::First } else { Block::Alone };
                execution.pending.push(Pending { thread: names.thread(*thread), site, operation, block });
            }
        }
        execution.threads = existing
            .iter()
            .map(|thread| ThreadInfo {
                path: self.paths[*thread].clone().expect("exists"),
                name: format!("Thread-{thread}"),
            })
            .collect();
        for (at, value) in Abstract::initial(&self.program.initial) {
            if let Some(object) = names.objects.get(&at.object) {
                execution.initial.push((Location::new(*object, at.part), value));
            }
        }
        names.fill(&mut execution);
        Run { execution, log: self.log, results: self.results, memory: self.memory, done }
    }
}

fn deadlock() -> Failure {
    Failure { kind: FailureKind::Deadlock, message: "stuck".into(), thread: None, details: String::new() }
}

/// Numbers by first appearance.
struct Names {
    threads: BTreeMap<usize, ThreadId>,
    objects: BTreeMap<ObjectId, ObjectId>,
    sites: BTreeMap<(usize, usize), SiteId>,
    lines: Vec<(usize, usize)>,
}

impl Names {
    fn new(existing: &[usize]) -> Names {
        let threads =
            existing.iter().enumerate().map(|(id, thread)| (*thread, ThreadId(id as u32))).collect();
        Names { threads, objects: BTreeMap::new(), sites: BTreeMap::new(), lines: Vec::new() }
    }

    fn thread(&self, thread: usize) -> ThreadId {
        self.threads.get(&thread).copied().unwrap_or(ThreadId(10_000 + thread as u32))
    }

    fn site(&mut self, thread: usize, index: usize) -> SiteId {
        let next = SiteId(self.sites.len() as u32);
        *self.sites.entry((thread, index)).or_insert_with(|| {
            self.lines.push((thread, index));
            next
        })
    }

    fn object(&mut self, object: ObjectId) -> ObjectId {
        if object == ObjectId::THREADS {
            return object;
        }
        let next = ObjectId(self.objects.len() as u32);
        *self.objects.entry(object).or_insert(next)
    }

    fn location(&mut self, at: Location) -> Location {
        let part = match at.part {
            Part::Notified(thread) => Part::Notified(self.thread(thread.index())),
            part => part,
        };
        Location::new(self.object(at.object), part)
    }

    /// Renumbers; objects are found through the debug-free route of matching each kind that has them.
    fn operation(&mut self, operation: &Operation) -> Operation {
        let mut operation = operation.clone();
        match &mut operation {
            Operation::Read { at } | Operation::Write { at } => *at = self.location(*at),
            Operation::Touch { reads, writes } => {
                reads.iter_mut().chain(writes.iter_mut()).for_each(|at| *at = self.location(*at));
            }
            Operation::Spawn { thread } | Operation::Join { thread } => *thread = self.thread(thread.index()),
            Operation::Acquire { lock: object }
            | Operation::TryAcquire { lock: object }
            | Operation::Release { lock: object }
            | Operation::DictStore { dict: object, .. }
            | Operation::DictSetDefault { dict: object, .. }
            | Operation::DictRemove { dict: object, .. }
            | Operation::SetAdd { set: object, .. }
            | Operation::ListAppend { list: object }
            | Operation::ListPop { list: object }
            | Operation::ListGet { list: object, .. }
            | Operation::ListSet { list: object, .. }
            | Operation::ListChange { list: object, .. }
            | Operation::Clear { container: object }
            | Operation::SemaphoreAcquire { semaphore: object }
            | Operation::SemaphoreTry { semaphore: object }
            | Operation::SemaphoreRelease { semaphore: object, .. }
            | Operation::EventWait { event: object }
            | Operation::EventSet { event: object }
            | Operation::EventClear { event: object }
            | Operation::EventIsSet { event: object }
            | Operation::ConditionNotify { condition: object, .. }
            | Operation::BarrierArrive { barrier: object, .. }
            | Operation::BarrierLeave { barrier: object, .. }
            | Operation::QueuePut { queue: object, .. }
            | Operation::QueueGet { queue: object }
            | Operation::QueueTryPut { queue: object, .. }
            | Operation::QueueTryGet { queue: object }
            | Operation::ChannelOpen { channel: object }
            | Operation::ChannelPut { channel: object, .. }
            | Operation::ChannelTake { channel: object, .. }
            | Operation::ChannelTryTake { channel: object, .. } => *object = self.object(*object),
            Operation::ConditionWait { condition, lock }
            | Operation::ConditionWake { condition, lock }
            | Operation::ConditionWakeTimed { condition, lock } => {
                *condition = self.object(*condition);
                *lock = self.object(*lock);
            }
            Operation::AwaitChange { of }
            | Operation::ChannelWait { of }
            | Operation::ChannelClose { of } => of.iter_mut().for_each(|at| *at = self.location(*at)),
            Operation::ResumeOnChange { of, host } => {
                of.iter_mut().for_each(|at| *at = self.location(*at));
                *host = self.object(*host);
            }
            Operation::Elapse { of } => **of = self.operation(of),
            Operation::Resume { awaited, after, host } => {
                for object in [Some(host), awaited.as_mut(), after.as_mut()].into_iter().flatten() {
                    *object = self.object(*object);
                }
            }
            Operation::RunLoop { until: one, host: other, .. }
            | Operation::Enter { gate: one, place: other }
            | Operation::TryEnter { gate: one, place: other }
            | Operation::ReleaseAndSet { lock: one, event: other } => {
                *one = self.object(*one);
                *other = self.object(*other);
            }
            Operation::Start | Operation::End | Operation::Pause => {}
        }
        operation
    }

    fn fill(&self, execution: &mut Execution) {
        let text = |execution: &mut Execution, text: String| {
            execution.strings.push(text);
            StringId(execution.strings.len() as u32 - 1)
        };
        // Variables are attribute names 0.., which have to be the first texts.
        execution.strings = (0..64).map(|number| format!("x{number}")).collect();
        execution.keys = (0..8).map(|key| text(execution, format!("'k{key}'"))).collect();
        let file = text(execution, "/program.py".into());
        let function = text(execution, "run".into());
        for (thread, index) in &self.lines {
            execution.sites.push(Site {
                file,
                function,
                line: (thread * 100 + index) as u32 + 1,
                end_line: 0,
                column: 4,
                end_column: 8,
                unit: 0,
            });
        }
        let mut objects: Vec<(ObjectId, ObjectId)> =
            self.objects.iter().map(|(name, id)| (*id, *name)).collect();
        objects.sort();
        for (_, name) in objects {
            let type_name = text(execution, format!("Type{}", name.0 / 10_000));
            let label = text(execution, format!("Type{}#{}", name.0 / 10_000, name.0 % 10_000));
            execution.objects.push(ObjectInfo { type_name, label });
        }
    }
}
