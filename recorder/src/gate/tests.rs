//! How the gate decides, step by step.

use super::*;
use frontrun_formats::{Sampler, Sampling, ScheduleEntry};

const LOCK: Operation = Operation::Acquire { lock: ObjectId(0) };

fn entry(thread: u32) -> ScheduleEntry {
    ScheduleEntry { thread, expect: 0, head: true, opens_step: true, touches: 0 }
}

fn spawned(gate: &mut Gate) -> ThreadId {
    let child = gate.seat(ThreadId(0));
    gate.execute(ThreadId(0), &Operation::Spawn { thread: child }, 1, Block::Alone, || 1).unwrap();
    child
}

#[test]
fn the_lowest_enabled_thread_goes_first() {
    let mut gate = Gate::new(Schedule::default());
    let child = spawned(&mut gate);
    assert_eq!(gate.decide(ThreadId(0), None, None), Decision::Go);
    assert_eq!(
        gate.decide(ThreadId(0), Some(Operation::Join { thread: child }), None),
        Decision::Switch(child)
    );
    gate.execute(child, &Operation::Start, 1, Block::Alone, || 1).unwrap();
    assert_eq!(gate.decide(child, None, None), Decision::Go);
    gate.execute(child, &Operation::End, 1, Block::Alone, || 1).unwrap();
    assert_eq!(gate.decide(child, None, None), Decision::Switch(ThreadId(0)));
}

#[test]
fn nobody_enabled_is_stuck() {
    let mut gate = Gate::new(Schedule::default());
    gate.execute(ThreadId(0), &LOCK, 1, Block::Alone, || 1).unwrap();
    assert_eq!(gate.decide(ThreadId(0), Some(LOCK), None), Decision::Stuck);
}

#[test]
fn a_prefix_is_followed_and_a_blocked_thread_diverges() {
    let schedule = Schedule {
        threads: vec![ThreadPath::main(), ThreadPath::main().child(0)],
        entries: vec![entry(0), entry(0), entry(1), entry(1)],
        ..Schedule::default()
    };
    let mut gate = Gate::new(schedule);
    let child = spawned(&mut gate);
    assert_eq!(gate.decide(ThreadId(0), Some(LOCK), None), Decision::Go);
    gate.execute(ThreadId(0), &LOCK, 1, Block::Alone, || 1).unwrap();
    assert_eq!(gate.decide(ThreadId(0), None, None), Decision::Switch(child));
    gate.execute(child, &Operation::Start, 1, Block::Alone, || 1).unwrap();
    let Decision::Diverged(divergence) = gate.decide(child, Some(LOCK), None) else { panic!("must diverge") };
    assert_eq!((divergence.step, divergence.actual), (3, Actual::Blocked));
}

#[test]
fn a_block_is_one_step_and_ends_where_a_decision_is_asked_for() {
    let schedule = Schedule {
        threads: vec![ThreadPath::main(), ThreadPath::main().child(0)],
        entries: vec![entry(0), entry(0), entry(1)],
        ..Schedule::default()
    };
    let mut gate = Gate::new(schedule);
    let child = spawned(&mut gate);
    assert_eq!(gate.decide(ThreadId(0), None, None), Decision::Go);
    gate.execute(ThreadId(0), &Operation::Pause, 1, Block::First, || 1).unwrap();
    assert!(gate.is_in_block(ThreadId(0)));
    gate.execute(ThreadId(0), &Operation::Pause, 1, Block::Later, || 1).unwrap();
    assert_eq!(gate.executed(), 2);
    assert_eq!(gate.decide(ThreadId(0), None, None), Decision::Switch(child));
    assert!(!gate.is_in_block(ThreadId(0)));
}

#[test]
fn a_wrong_fingerprint_diverges() {
    let mut schedule =
        Schedule { threads: vec![ThreadPath::main()], entries: vec![entry(0)], ..Schedule::default() };
    schedule.entries[0].expect = 7;
    let mut gate = Gate::new(schedule);
    let divergence = gate.execute(ThreadId(0), &Operation::Pause, 1, Block::Alone, || 8).unwrap_err();
    assert_eq!(divergence.actual, Actual::Elsewhere);
}

#[test]
fn a_sampled_tail_draws_from_the_enabled_threads_only() {
    for seed in 0..50 {
        let sampler = Sampler::Pos;
        let sampling = Sampling { sampler, seed, steps: 100, mirrored: false, ignored: vec![] };
        let mut gate = Gate::new(Schedule { tail: Tail::Sampled(sampling), ..Schedule::default() });
        let child = spawned(&mut gate);
        gate.execute(ThreadId(0), &LOCK, 1, Block::Alone, || 1).unwrap();
        let first = gate.decide(ThreadId(0), Some(Operation::Join { thread: child }), None);
        assert_eq!(first, Decision::Switch(child));
        gate.execute(child, &Operation::Start, 1, Block::Alone, || 1).unwrap();
        assert_eq!(gate.decide(child, Some(LOCK), None), Decision::Stuck);
    }
}

/// The main thread waits a second for a child that has taken the lock, with the operation in which it waits.
fn awaited_child(gate: &mut Gate) -> (ThreadId, Operation) {
    let child = spawned(gate);
    let join = Operation::Join { thread: child };
    let second = Some(Duration::from_secs(1));
    assert_eq!(gate.decide(ThreadId(0), Some(join.clone()), second), Decision::Switch(child));
    gate.execute(child, &Operation::Start, 1, Block::Alone, || 1).unwrap();
    gate.execute(child, &LOCK, 1, Block::Alone, || 1).unwrap();
    (child, join)
}

#[test]
fn a_patient_wait_elapses_only_when_nobody_is_enabled() {
    let mut gate = Gate::new(Schedule::default());
    let (child, join) = awaited_child(&mut gate);
    assert_eq!(gate.decide(child, Some(LOCK), None), Decision::Switch(ThreadId(0)));
    assert!(gate.has_elapsed(ThreadId(0)));
    gate.execute(ThreadId(0), &Operation::Elapse { of: Box::new(join) }, 1, Block::Alone, || 1).unwrap();
    assert_eq!(gate.decide(ThreadId(0), None, None), Decision::Go);
}

/// The gate knows what a thread waits for only when the thread has come to it.
fn given_up_beside_an_unknown_step() -> (Gate, ThreadId, Operation) {
    let entries = vec![entry(0), entry(1), entry(1), entry(0)];
    let threads = vec![ThreadPath::main(), ThreadPath::main().child(0)];
    let mut gate = Gate::new(Schedule { threads, entries, ..Schedule::default() });
    let (child, join) = awaited_child(&mut gate);
    assert_eq!(gate.decide(child, None, None), Decision::Go);
    (gate, child, join)
}

#[test]
fn who_has_to_wait_comes_to_its_wait_before_another_gives_up() {
    let (mut gate, child, join) = given_up_beside_an_unknown_step();
    assert_eq!(gate.decide(child, Some(LOCK), None), Decision::Switch(ThreadId(0)));
    assert!(gate.has_elapsed(ThreadId(0)));
    gate.execute(ThreadId(0), &Operation::Elapse { of: Box::new(join) }, 1, Block::Alone, || 1).unwrap();
}

#[test]
fn who_makes_a_step_where_another_was_to_give_up_diverges() {
    let (mut gate, child, _) = given_up_beside_an_unknown_step();
    let divergence = gate.execute(child, &Operation::Pause, 1, Block::Alone, || 1).unwrap_err();
    assert_eq!((divergence.thread, divergence.actual), (ThreadPath::main(), Actual::Blocked));
}

#[test]
fn who_waits_for_an_event_that_is_set_goes_before_it_is_cleared() {
    let mut gate = Gate::new(Schedule::default());
    let (child, event) = (spawned(&mut gate), ObjectId(7));
    let go = |gate: &mut Gate, thread, operation: &Operation| {
        gate.execute(thread, operation, 1, Block::Alone, || 1).unwrap();
    };
    let (wait, clear) = (Operation::EventWait { event }, Operation::EventClear { event });
    assert_eq!(
        gate.decide(ThreadId(0), Some(Operation::Join { thread: child }), None),
        Decision::Switch(child)
    );
    go(&mut gate, child, &Operation::Start);
    let other = gate.seat(child);
    go(&mut gate, child, &Operation::Spawn { thread: other });
    assert_eq!(gate.decide(child, Some(Operation::Join { thread: other }), None), Decision::Switch(other));
    go(&mut gate, other, &Operation::Start);
    assert_eq!(gate.decide(other, Some(wait.clone()), None), Decision::Stuck);
    gate.threads[child.index()].pending = None;
    go(&mut gate, child, &Operation::EventSet { event });
    gate.announce(child, &clear);
    assert_eq!(gate.decide(child, None, None), Decision::Switch(other));
    go(&mut gate, other, &wait);
    assert_eq!(gate.decide(other, None, None), Decision::Switch(child));
    go(&mut gate, child, &clear);
}

#[test]
fn who_began_to_wait_earlier_gives_up_before_one_that_waits_again_and_again() {
    let mut gate = Gate::new(Schedule::default());
    let child = spawned(&mut gate);
    let sleep = Operation::AwaitChange { of: Box::new([]) };
    let seconds = |count| Some(Duration::from_secs(count));
    assert_eq!(gate.decide(ThreadId(0), Some(sleep.clone()), seconds(5)), Decision::Switch(child));
    gate.execute(child, &Operation::Start, 1, Block::Alone, || 1).unwrap();
    for _ in 0..2 {
        assert_eq!(gate.decide(child, Some(sleep.clone()), seconds(2)), Decision::Go);
        assert!(gate.has_elapsed(child));
        assert_eq!(gate.time_until(child), Duration::from_secs(2));
        gate.execute(child, &Operation::Elapse { of: Box::new(sleep.clone()) }, 1, Block::Alone, || 1)
            .unwrap();
    }
    assert_eq!(gate.decide(child, Some(sleep.clone()), seconds(2)), Decision::Switch(ThreadId(0)));
    assert_eq!(gate.time_until(ThreadId(0)), Duration::from_secs(1));
}
