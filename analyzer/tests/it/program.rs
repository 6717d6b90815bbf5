//! Test programs: threads as functions from the results seen so far to the next operation.
//!
//! # Model
//! A thread's body asks its [`Context`] for operations; the context answers from the results that are known and
//! stops the body with the first operation that has not been executed yet. So a body is an ordinary function,
//! with loops and branches on what it observed, and still can be resumed anywhere.

use std::rc::Rc;

/// What a thread does next, with its concrete values. Numbers name variables, dictionaries, locks, and so on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    Read(u32),
    Write(u32, i64),
    /// Atomically adds to a variable; the result is the old value.
    Add(u32, i64),
    /// Reads some variables and writes a constant to others, in one step.
    Touch(Vec<u32>, Vec<u32>, i64),
    DictGet(u32, u32),
    DictStore(u32, u32, i64),
    DictSetDefault(u32, u32, i64),
    DictRemove(u32, u32),
    DictLen(u32),
    DictItems(u32),
    DictClear(u32),
    /// `d.update(e)`.
    DictUpdate(u32, u32),
    /// `if k in d: d[k] += 1` in one step, which the table only knows as a write of the entry.
    DictBump(u32, u32),
    SetAdd(u32, u32),
    Append(u32, i64),
    Pop(u32),
    ListGet(u32, i64),
    ListSet(u32, i64, i64),
    ListLen(u32),
    ListItems(u32),
    /// `l.insert(0, v)`.
    Insert(u32, i64),
    /// `l.pop(0)`.
    PopFront(u32),
    Reverse(u32),
    ListClear(u32),
    /// `l[:] = l[1:] + l[:1] + [v]` with a length that the table does not follow.
    Rotate(u32, i64),
    Acquire(u32),
    Try(u32),
    Release(u32),
    Locked(u32),
    SemAcquire(u32),
    SemTry(u32),
    SemRelease(u32, u32, u32),
    EventWait(u32),
    EventSet(u32),
    EventClear(u32),
    EventIsSet(u32),
    /// Waits until both events are set, and clears the second.
    Enter(u32, u32),
    TryEnter(u32, u32),
    /// Frees a lock and sets an event.
    ReleaseAndSet(u32, u32),
    /// Condition, lock.
    CondWait(u32, u32),
    CondWake(u32, u32),
    CondWakeTimed(u32, u32),
    CondNotify(u32, u32),
    BarrierArrive(u32, u32),
    BarrierLeave(u32, u32),
    QueuePut(u32, i64, u32),
    QueueGet(u32),
    QueueTryPut(u32, i64, u32),
    QueueTryGet(u32),
    ChannelOpen(u32),
    /// Puts so many equal things.
    ChannelPut(u32, i64, u32),
    ChannelTake(u32, u32),
    ChannelTryTake(u32, u32),
    /// Observes which of these channels are ready.
    ChannelWait(Vec<u32>),
    /// Nobody puts into the first ones any more, and nobody takes from the second ones.
    ChannelClose(Vec<u32>, Vec<u32>),
    Spawn(usize),
    Join(usize),
    Start,
    End,
    Pause,
    /// Waits until one of these variables has been written since the thread last touched it; observes the first.
    AwaitChange(Vec<u32>),
    /// The same, and until the event is set.
    ResumeOnChange(Vec<u32>, u32),
    /// The same for an element of a list.
    AwaitItem(u32, u32),
    /// Waits for this operation until no thread is enabled; then, if no thread with a lower number is as patient, gives
    /// up with [`GAVE_UP`].
    Patiently(Box<Op>),
    /// An opaque block: waits for the operation, if any, and goes on without a switch.
    Block(Option<Box<Op>>, Vec<Inner>),
}

/// A line of an opaque block.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Inner {
    Do(Op),
    /// Writes a value that hangs on the last one observed.
    WriteLast(u32),
    /// Goes one way when the last value has this property, or the other way.
    If(u8, Vec<Inner>, Vec<Inner>),
}

/// Gives the operations of a block to `run`, which says what each observed, and digests what was observed.
pub fn drive(gate: Option<&Op>, body: &[Inner], run: &mut dyn FnMut(&Op) -> i64) -> i64 {
    fn go(body: &[Inner], run: &mut dyn FnMut(&Op) -> i64, last: &mut i64, digest: &mut i64) {
        for line in body {
            match line {
                Inner::Do(op) => *last = run(op),
                Inner::WriteLast(x) => *last = run(&Op::Write(*x, 1 + last.rem_euclid(3))),
                Inner::If(test, then, otherwise) => {
                    let holds = match test {
                        0 => *last != 0,
                        1 => *last % 2 == 0,
                        _ => *last > 1,
                    };
                    go(if holds { then } else { otherwise }, run, last, digest);
                    continue;
                }
            }
            *digest = digest.wrapping_mul(31).wrapping_add(*last);
        }
    }
    let (mut last, mut digest) = (0, 1);
    if let Some(gate) = gate {
        last = run(gate);
        digest += last;
    }
    go(body, run, &mut last, &mut digest);
    digest
}

/// The result of an operation that was given up.
pub const GAVE_UP: i64 = -99;

impl Op {
    /// The thread that gives up waiting when none is enabled: the lowest of those that are patient.
    pub fn first_to_give_up(next: &[Option<Op>], exists: impl Fn(usize) -> bool) -> Option<usize> {
        let patient = |thread: &usize| matches!(next[*thread], Some(Op::Patiently(_)));
        (0..next.len()).filter(|thread| exists(*thread)).find(patient)
    }
}

/// A body stops with the operation that is to be executed next.
pub type Flow = Result<(), Op>;

/// Answers the operations of a body from the results that are known.
pub struct Context<'r> {
    results: &'r [i64],
    at: usize,
}

impl Context<'_> {
    pub fn op(&mut self, op: Op) -> Result<i64, Op> {
        let result = *self.results.get(self.at).ok_or(op)?;
        self.at += 1;
        Ok(result)
    }

    pub fn read(&mut self, variable: u32) -> Result<i64, Op> {
        self.op(Op::Read(variable))
    }

    pub fn write(&mut self, variable: u32, value: i64) -> Flow {
        self.op(Op::Write(variable, value)).map(|_| ())
    }

    pub fn lock(&mut self, lock: u32) -> Flow {
        self.op(Op::Acquire(lock)).map(|_| ())
    }

    pub fn unlock(&mut self, lock: u32) -> Flow {
        self.op(Op::Release(lock)).map(|_| ())
    }

    pub fn run(&mut self, ops: &[Op]) -> Flow {
        ops.iter().try_for_each(|op| self.op(op.clone()).map(|_| ()))
    }
}

pub type Body = Rc<dyn Fn(&mut Context) -> Flow>;

/// Values before the first operation.
#[derive(Clone, Debug, Default)]
pub struct Initial {
    pub variables: Vec<(u32, i64)>,
    pub dicts: Vec<(u32, Vec<u32>)>,
    pub lists: Vec<(u32, Vec<i64>)>,
    pub semaphores: Vec<(u32, i64)>,
}

#[derive(Clone)]
pub struct Program {
    pub threads: Vec<Body>,
    /// Threads that exist only once another one has spawned them.
    pub spawned: Vec<bool>,
    pub initial: Initial,
}

impl Program {
    pub fn new(threads: Vec<Body>) -> Program {
        let spawned = vec![false; threads.len()];
        Program { threads, spawned, initial: Initial::default() }
    }

    pub fn with(mut self, change: impl FnOnce(&mut Initial)) -> Program {
        change(&mut self.initial);
        self
    }

    pub fn spawning(mut self, threads: &[usize]) -> Program {
        threads.iter().for_each(|thread| self.spawned[*thread] = true);
        self
    }

    /// The next operation of a thread with these results; `None` when it has ended.
    pub fn next(&self, thread: usize, results: &[i64]) -> Option<Op> {
        let mut rest = results;
        if self.spawned[thread] {
            let Some((_, behind)) = results.split_first() else { return Some(Op::Start) };
            rest = behind;
        }
        let mut context = Context { results: rest, at: 0 };
        match (self.threads[thread])(&mut context) {
            Err(op) => Some(op),
            Ok(()) if context.at == rest.len() => Some(Op::End),
            Ok(()) => None,
        }
    }
}

/// A body without control flow.
pub fn seq(ops: impl Into<Vec<Op>>) -> Body {
    let ops = ops.into();
    Rc::new(move |context| context.run(&ops))
}

/// A body.
pub fn body(function: impl Fn(&mut Context) -> Flow + 'static) -> Body {
    Rc::new(function)
}
