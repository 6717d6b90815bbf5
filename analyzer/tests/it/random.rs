//! Random programs: 2 to 4 threads of a few operations, with branches on what they observed.

use crate::program::{Body, Context, Flow, Initial, Inner, Op, Program, body};

/// A line of a random thread.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    Do(Op),
    /// Leaves out the next line when the last observed value has this remainder.
    SkipIf(i64),
    /// Reads a variable and writes something that depends on it.
    Increment(u32),
    /// Tries to take a lock, and does something under it.
    TryDo(u32, Op),
    Wait(u32, u32),
    /// The same at the end of a block and at the beginning of another one.
    WaitInBlocks(Vec<Inner>, Vec<Inner>),
    WaitTimed(u32, u32),
    Meet(u32, u32),
    /// Reads a variable until it has this value, waiting for a change in between.
    Spin(u32, i64),
}

/// A random program as text, which can be made smaller.
#[derive(Clone, Debug, Default)]
pub struct Script {
    pub threads: Vec<Vec<Line>>,
    pub spawned: Vec<usize>,
    pub initial: Initial,
}

/// What the threads of a program may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    Data,
    Rmw,
    Touch,
    Lock,
    Try,
    Dict,
    TwoDicts,
    List,
    WildList,
    Semaphore,
    Event,
    /// Places behind gates, which are opened and shut.
    Gate,
    Condition,
    Queue,
    Channel,
    Barrier,
    /// Some waits are patient, others have no limit.
    Patience,
    /// Loops that read until something changes.
    Spin,
    /// So many percent of the operations become opaque blocks. Not in [`ALL`].
    Blocks(u8),
}

/// All of them.
pub const ALL: &[Feature] = &[
    Feature::Data,
    Feature::Rmw,
    Feature::Touch,
    Feature::Lock,
    Feature::Try,
    Feature::Dict,
    Feature::TwoDicts,
    Feature::List,
    Feature::WildList,
    Feature::Semaphore,
    Feature::Event,
    Feature::Condition,
    Feature::Queue,
    Feature::Channel,
    Feature::Barrier,
    Feature::Patience,
    Feature::Spin,
    Feature::Gate,
];

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

impl Script {
    /// A random script.
    pub fn random(seed: u64, features: &[Feature]) -> Script {
        let mut random = Random(seed);
        let n = random.pick(&[2, 2, 3, 3, 4]);
        let mut used: Vec<Feature> = Vec::new();
        for _ in 0..random.pick(&[1, 2, 2, 3]) {
            used.push(random.pick(features));
        }
        used.retain(|feature| !matches!(feature, Feature::Blocks(_)));
        if used.is_empty() {
            used.push(Feature::Data);
        }
        let mut script =
            Script { threads: (0..n).map(|_| thread(&mut random, &used, n)).collect(), ..Script::default() };
        if used.contains(&Feature::Semaphore) {
            script.initial.semaphores.push((0, random.below(3) as i64));
        }
        if used.iter().any(|f| matches!(f, Feature::Dict | Feature::TwoDicts)) && random.chance(60) {
            script.initial.dicts.push((0, random.pick(&[vec![0], vec![0, 1], vec![1]])));
        }
        if used.contains(&Feature::TwoDicts) && random.chance(50) {
            script.initial.dicts.push((1, vec![0]));
        }
        if used.iter().any(|f| matches!(f, Feature::List | Feature::WildList | Feature::Spin))
            && random.chance(60)
        {
            script.initial.lists.push((0, random.pick(&[vec![7], vec![7, 8], vec![7, 8, 9]])));
        }
        if let Some(Feature::Blocks(share)) = features.iter().find(|f| matches!(f, Feature::Blocks(_))) {
            script.add_blocks(&mut random, &used, *share);
        }
        script.add_threads(&mut random);
        if used.contains(&Feature::Patience) {
            script.add_patience(&mut random);
        }
        script
    }

    /// Replaces operations by blocks.
    fn add_blocks(&mut self, random: &mut Random, used: &[Feature], share: u8) {
        for line in self.threads.iter_mut().flatten() {
            if let Line::Do(op) = line
                && !is_gated(op)
                && !matches!(op, Op::Release(_) | Op::Pause)
                && random.chance(share.into())
            {
                *line = Line::Do(block(random, used));
            } else if let Line::Wait(condition, lock) = *line
                && random.chance(share.into())
            {
                let length = 1 + random.below(2);
                let mut before = lines_of_block(random, &[Feature::Data], 1, length);
                before.push(Inner::Do(Op::CondWait(condition, lock)));
                let after = lines_of_block(random, &[Feature::Data], 1, length);
                *line = Line::WaitInBlocks(before, after);
            }
        }
    }

    /// Makes half of the waits patient.
    fn add_patience(&mut self, random: &mut Random) {
        for line in self.threads.iter_mut().flatten() {
            if let Line::Do(op) = line
                && matches!(
                    op,
                    Op::Acquire(_)
                        | Op::SemAcquire(_)
                        | Op::EventWait(_)
                        | Op::Enter(..)
                        | Op::QueueGet(_)
                        | Op::ChannelTake(..)
                        | Op::ChannelWait(_)
                        | Op::QueuePut(..)
                        | Op::Join(_)
                        | Op::AwaitChange(_)
                        | Op::ResumeOnChange(..)
                        | Op::AwaitItem(..)
                )
                && random.chance(50)
            {
                *line = Line::Do(Op::Patiently(Box::new(op.clone())));
            }
        }
    }

    fn add_threads(&mut self, random: &mut Random) {
        let n = self.threads.len();
        if random.chance(35) {
            for child in (1..n).filter(|_| random.chance(60)).collect::<Vec<_>>() {
                let parent = random.below(child);
                let at = random.below(self.threads[parent].len() + 1);
                self.threads[parent].insert(at, Line::Do(Op::Spawn(child)));
                self.spawned.push(child);
                if random.chance(70) {
                    // Only its parent surely knows the child's name.
                    self.threads[parent].push(Line::Do(Op::Join(child)));
                    self.threads[parent].push(Line::Do(Op::Read(0)));
                }
            }
        } else if random.chance(30) {
            let waiter = random.below(n);
            let other = (waiter + 1 + random.below(n - 1)) % n;
            let at = random.below(self.threads[waiter].len() + 1);
            self.threads[waiter].insert(at, Line::Do(Op::Join(other)));
        }
    }

    pub fn program(&self) -> Program {
        let threads = self.threads.iter().map(|lines| interpret(lines.clone())).collect();
        let mut program = Program::new(threads).spawning(&self.spawned);
        program.initial = self.initial.clone();
        program
    }

    /// The same with one line less, in all ways.
    pub fn smaller(&self) -> Vec<Script> {
        let mut all = Vec::new();
        for thread in 0..self.threads.len() {
            for line in 0..self.threads[thread].len() {
                let mut script = self.clone();
                if let Line::Do(Op::Spawn(_)) = script.threads[thread].remove(line) {
                    continue;
                }
                all.push(script);
                if let Line::Do(Op::Block(gate, body)) = &self.threads[thread][line] {
                    for smaller in smaller_bodies(body) {
                        let mut script = self.clone();
                        script.threads[thread][line] = Line::Do(Op::Block(gate.clone(), smaller));
                        all.push(script);
                    }
                }
            }
        }
        all
    }
}

fn thread(random: &mut Random, features: &[Feature], n: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut held: Vec<u32> = Vec::new();
    let most = match n {
        2 => 6,
        3 => 4,
        _ => 3,
    };
    for _ in 0..1 + random.below(most) {
        let feature = random.pick(features);
        match feature {
            Feature::Condition if held.last() == Some(&0) => lines.push(random.pick(&[
                Line::Wait(0, 0),
                Line::WaitTimed(0, 0),
                Line::Do(Op::CondNotify(0, 1)),
                Line::Do(Op::CondNotify(0, u32::MAX)),
            ])),
            Feature::Lock | Feature::Condition => {
                if !held.is_empty() && random.chance(50) {
                    let at = random.below(held.len());
                    lines.push(Line::Do(Op::Release(held.remove(at))));
                } else {
                    let wanted = if feature == Feature::Lock { random.below(2) as u32 } else { 0 };
                    if !held.contains(&wanted) {
                        held.push(wanted);
                        lines.push(Line::Do(Op::Acquire(wanted)));
                    }
                }
            }
            _ => {
                lines.push(line(random, feature));
                if random.chance(30) {
                    lines.push(Line::SkipIf(random.below(3) as i64));
                }
            }
        }
    }
    // Now and then a lock is never given back.
    if random.chance(90) {
        while !held.is_empty() {
            let at = random.below(held.len());
            lines.push(Line::Do(Op::Release(held.remove(at))));
        }
    }
    lines
}

fn line(random: &mut Random, feature: Feature) -> Line {
    let x = random.below(2) as u32;
    let value = 1 + random.below(2) as i64;
    let key = random.below(2) as u32;
    Line::Do(match feature {
        Feature::Data => random.pick(&[Op::Read(x), Op::Write(x, value)]),
        Feature::Rmw => return random.pick(&[Line::Increment(x), Line::Do(Op::Add(x, value))]),
        Feature::Touch => {
            let y = random.below(3) as u32;
            random.pick(&[
                Op::Touch(vec![x], vec![y], value),
                Op::Touch(vec![0, 1], vec![], 0),
                Op::Touch(vec![], vec![x, 2], value),
                Op::Read(y),
                Op::Write(y, value),
            ])
        }
        Feature::Try => {
            if random.chance(60) {
                return Line::TryDo(x, Op::Write(0, value));
            }
            random.pick(&[Op::Try(x), Op::Release(x), Op::Locked(x)])
        }
        Feature::Dict => random.pick(&[
            Op::DictStore(0, key, value),
            Op::DictStore(0, key, value),
            Op::DictGet(0, key),
            Op::DictLen(0),
            Op::DictItems(0),
            Op::DictClear(0),
            Op::DictSetDefault(0, key, value),
            Op::DictRemove(0, key),
            Op::SetAdd(0, key),
        ]),
        Feature::TwoDicts => random.pick(&[
            Op::DictUpdate(0, 1),
            Op::DictStore(1, key, value),
            Op::DictRemove(1, key),
            Op::DictGet(0, key),
            Op::DictLen(0),
            Op::DictStore(0, key, 3),
            Op::DictBump(0, key),
            Op::DictRemove(0, key),
        ]),
        Feature::List => random.pick(&[
            Op::Append(0, value),
            Op::Append(0, value),
            Op::ListLen(0),
            Op::Pop(0),
            Op::ListGet(0, x.into()),
            Op::ListSet(0, x.into(), value),
            Op::ListItems(0),
        ]),
        Feature::WildList => random.pick(&[
            Op::ListGet(0, -1),
            Op::ListSet(0, -1 - i64::from(x), value),
            Op::Insert(0, value),
            Op::PopFront(0),
            Op::Reverse(0),
            Op::ListClear(0),
            Op::Rotate(0, value),
            Op::Append(0, value),
            Op::ListSet(0, x.into(), value),
            Op::ListGet(0, x.into()),
            Op::Pop(0),
        ]),
        Feature::Semaphore => random.pick(&[
            Op::SemAcquire(0),
            Op::SemTry(0),
            Op::SemRelease(0, 1, 0),
            Op::SemRelease(0, 1 + x, 2),
        ]),
        Feature::Event => {
            random.pick(&[Op::EventSet(0), Op::EventClear(0), Op::EventWait(0), Op::EventIsSet(0)])
        }
        Feature::Gate => random.pick(&[
            Op::EventSet(1),
            Op::EventClear(1),
            Op::Enter(1, 2 + x),
            Op::Enter(1, 2 + x),
            Op::TryEnter(1, 2 + x),
            Op::EventSet(2 + x),
            Op::EventSet(2 + x),
            Op::EventWait(2 + x),
            Op::EventIsSet(2 + x),
            Op::TryEnter(2, 3),
            Op::Try(0),
            Op::ReleaseAndSet(0, 1),
            Op::Write(x, value),
        ]),
        Feature::Queue => {
            let bound = random.pick(&[1, 1, 2]);
            random.pick(&[
                Op::QueuePut(0, value, bound),
                Op::QueueGet(0),
                Op::QueueTryGet(0),
                Op::QueueTryPut(0, value, bound),
            ])
        }
        Feature::Channel => random.pick(&[
            Op::ChannelPut(0, value, 1 + x),
            Op::ChannelPut(0, value, 1),
            Op::ChannelTake(0, 1),
            Op::ChannelTake(0, 2),
            Op::ChannelTryTake(0, 1 + x),
            Op::ChannelWait(vec![0]),
            Op::ChannelClose(vec![0], vec![]),
            Op::ChannelClose(vec![1], vec![0]),
            Op::ChannelPut(1, value, 1),
            Op::ChannelOpen(0),
        ]),
        Feature::Spin => {
            return random.pick(&[
                Line::Spin(x, value),
                Line::Spin(x, value),
                Line::Do(Op::AwaitChange(vec![x])),
                Line::Do(Op::AwaitChange(vec![0, 1])),
                Line::Do(Op::ResumeOnChange(vec![x], 0)),
                Line::Do(Op::EventSet(0)),
                Line::Do(Op::AwaitItem(0, x)),
                Line::Do(Op::ListGet(0, x.into())),
                Line::Do(Op::ListSet(0, x.into(), value)),
                Line::Do(Op::Append(0, value)),
                Line::Do(Op::Write(x, value)),
                Line::Do(Op::Write(x, value)),
                Line::Do(Op::Read(x)),
                Line::Increment(x),
            ]);
        }
        Feature::Barrier => return Line::Meet(0, 2),
        Feature::Patience => random.pick(&[
            Op::EventWait(0),
            Op::EventSet(0),
            Op::QueueGet(0),
            Op::Acquire(0),
            Op::Release(0),
            Op::Read(x),
            Op::Write(x, value),
        ]),
        Feature::Lock | Feature::Condition | Feature::Blocks(_) => Op::Pause,
    })
}

/// Whether the operation may have to wait.
fn is_gated(op: &Op) -> bool {
    matches!(
        op,
        Op::Acquire(_)
            | Op::SemAcquire(_)
            | Op::EventWait(_)
            | Op::Enter(..)
            | Op::CondWait(..)
            | Op::QueueGet(_)
            | Op::QueuePut(..)
            | Op::ChannelTake(..)
            | Op::ChannelWait(_)
            | Op::Join(_)
            | Op::AwaitChange(_)
            | Op::ResumeOnChange(..)
            | Op::AwaitItem(..)
    )
}

/// A block of operations of these features.
fn block(random: &mut Random, used: &[Feature]) -> Op {
    let mut gates = vec![None, None, None, None];
    for feature in used {
        match feature {
            Feature::Event => gates.push(Some(Op::EventWait(0))),
            Feature::Spin => {
                gates.push(Some(Op::AwaitChange(vec![0, 1])));
                gates.push(Some(Op::ResumeOnChange(vec![0], 0)));
            }
            Feature::Gate => gates.push(Some(Op::Enter(1, 2))),
            Feature::Queue => gates.push(Some(Op::QueueGet(0))),
            Feature::Semaphore => gates.push(Some(Op::SemAcquire(0))),
            Feature::Lock => gates.push(Some(Op::Acquire(1))),
            _ => {}
        }
    }
    let gate = random.pick(&gates);
    let length = 1 + random.below(4);
    let mut lines = lines_of_block(random, used, 0, length);
    if let Some(Op::Acquire(lock)) = gate {
        lines.push(Inner::Do(Op::Release(lock)));
    }
    Op::Block(gate.map(Box::new), lines)
}

fn lines_of_block(random: &mut Random, used: &[Feature], depth: u32, length: usize) -> Vec<Inner> {
    let mut lines = Vec::new();
    while lines.len() < length {
        if depth < 2 && !lines.is_empty() && random.chance(45) {
            let (test, one, two) = (random.below(3) as u8, 1 + random.below(2), 1 + random.below(2));
            let then = lines_of_block(random, used, depth + 1, one);
            let otherwise =
                if random.chance(50) { lines_of_block(random, used, depth + 1, two) } else { Vec::new() };
            lines.push(Inner::If(test, then, otherwise));
            continue;
        }
        if random.chance(15) {
            lines.push(Inner::WriteLast(random.pick(&[0, 1, 2, 4, 8])));
            continue;
        }
        let feature = random.pick(used);
        // Attributes of one name of several objects, which another execution may confuse.
        let x = random.pick(&[0, 1, 2, 4, 8]);
        let plain = random.pick(&[Op::Read(x), Op::Read(x), Op::Write(x, 1)]);
        lines.push(Inner::Do(match line(random, feature) {
            Line::Do(op) if !is_gated(&op) && op != Op::Pause && random.chance(80) => op,
            _ => plain,
        }));
    }
    lines
}

/// The bodies with one line less, in all ways, which still begin with an operation.
fn smaller_bodies(body: &[Inner]) -> Vec<Vec<Inner>> {
    let mut all = Vec::new();
    for at in 0..body.len() {
        let mut without = body.to_vec();
        let line = without.remove(at);
        all.push(without.clone());
        if let Inner::If(test, then, otherwise) = line {
            for (branch, first) in [(&then, true), (&otherwise, false)] {
                let mut flat = without.clone();
                flat.splice(at..at, branch.clone());
                all.push(flat);
                for smaller in smaller_bodies(branch) {
                    let mut same = without.clone();
                    let (then, otherwise) =
                        if first { (smaller, otherwise.clone()) } else { (then.clone(), smaller) };
                    same.insert(at, Inner::If(test, then, otherwise));
                    all.push(same);
                }
            }
        }
    }
    all.retain(|body| !matches!(body.first(), None | Some(Inner::If(..))));
    all
}

fn interpret(lines: Vec<Line>) -> Body {
    body(move |context| {
        let mut last: i64 = 0;
        let mut skip = false;
        for line in &lines {
            if let Line::SkipIf(remainder) = line {
                skip = (last + 1).rem_euclid(3) == *remainder;
                continue;
            }
            let always = matches!(
                line,
                Line::TryDo(..) | Line::Do(Op::Acquire(_) | Op::Release(_) | Op::Spawn(_) | Op::Join(_))
            );
            if skip && !always {
                skip = false;
                continue;
            }
            execute(context, line, &mut last)?;
        }
        Ok(())
    })
}

fn execute(context: &mut Context, line: &Line, last: &mut i64) -> Flow {
    match line {
        Line::SkipIf(_) => {}
        Line::Do(op) => {
            let value = context.op(op.clone())?;
            if !matches!(op, Op::Acquire(_) | Op::Release(_) | Op::Write(..)) {
                *last = value;
            }
        }
        Line::Increment(x) => {
            *last = context.read(*x)?;
            context.write(*x, *last + 1)?;
        }
        Line::TryDo(lock, op) => {
            if context.op(Op::Try(*lock))? == 1 {
                context.op(op.clone())?;
                context.unlock(*lock)?;
            }
        }
        Line::Wait(condition, lock) => {
            context.op(Op::CondWait(*condition, *lock))?;
            context.op(Op::CondWake(*condition, *lock))?;
        }
        Line::WaitInBlocks(before, after) => {
            context.op(Op::Block(None, before.clone()))?;
            let gate = Box::new(Op::CondWake(0, 0));
            context.op(Op::Block(Some(gate), after.clone()))?;
        }
        Line::WaitTimed(condition, lock) => {
            context.op(Op::CondWait(*condition, *lock))?;
            *last = context.op(Op::CondWakeTimed(*condition, *lock))?;
        }
        Line::Spin(x, value) => {
            *last = context.read(*x)?;
            while *last != *value {
                *last = context.op(Op::AwaitChange(vec![*x]))?;
            }
        }
        Line::Meet(barrier, parties) => {
            let generation = context.op(Op::BarrierArrive(*barrier, *parties))?;
            context.op(Op::BarrierLeave(*barrier, generation as u32))?;
        }
    }
    Ok(())
}
