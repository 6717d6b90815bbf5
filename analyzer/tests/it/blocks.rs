//! Programs with opaque blocks whose counts are known: the pitfalls of section 14 of the algorithm, each the smallest
//! program that catches a rule, and blocks in the place of classics.

use crate::exploration::{Found, exhaust};
use crate::oracle;
use crate::program::{Body, Inner, Inner::*, Op::*, Program, seq};
use frontrun_analyzer::Tuning;

/// Each class once, as brute force has them. The number of classes, and of redundant runs.
fn counts(bodies: Vec<Body>) -> (usize, usize) {
    let program = Program::new(bodies);
    let found: Found = exhaust(&program, 20_000, Tuning::default()).expect("few enough executions");
    let truth = oracle::traces(&program, 2_000, 60_000).expect("small enough");
    assert_eq!((&found.complete, &found.stuck), (&truth.complete, &truth.stuck));
    assert_eq!(found.outcomes, truth.outcomes);
    let (complete, stuck) = found.counts();
    (complete + stuck, found.redundant)
}

fn classes(bodies: Vec<Body>) -> usize {
    counts(bodies).0
}

fn block(lines: impl Into<Vec<Inner>>) -> Body {
    seq([Block(None, lines.into())])
}

#[test]
fn a_block_may_touch_what_nobody_has_seen_it_touch() {
    let peek = block([Do(Read(0)), If(0, vec![], vec![Do(Read(1))])]);
    assert_eq!(classes(vec![seq([Write(1, 1)]), seq([Write(0, 1)]), peek]), 3);
}

#[test]
fn what_a_block_was_seen_to_do_is_not_what_it_does_elsewhere() {
    let peek = block([Do(Read(0)), If(0, vec![Do(Read(2))], vec![])]);
    assert_eq!(classes(vec![seq([Write(0, 1)]), peek]), 2);
}

#[test]
fn an_event_of_a_new_step_may_come_between_older_ones() {
    let write = block([Do(Read(1)), If(0, vec![], vec![Do(Write(0, 1))])]);
    assert_eq!(classes(vec![seq([Write(1, 1)]), write, seq([Read(0)])]), 3);
}

#[test]
fn a_late_cut_has_an_event_of_the_new_step() {
    assert_eq!(classes(vec![block([Do(Write(1, 1))]), seq([Write(1, 2)]), seq([Write(2, 1)])]), 2);
}

#[test]
fn a_cut_at_which_the_block_has_to_wait_is_grown() {
    let waits = seq([Block(Some(Box::new(EventWait(0))), vec![Do(Read(2))])]);
    assert_eq!(classes(vec![seq([Write(2, 1)]), seq([EventSet(0)]), waits]), 2);
}

#[test]
fn what_the_overtaken_block_looks_at_is_offered() {
    let first = block([Do(Read(1)), If(0, vec![Do(Write(0, 1))], vec![])]);
    assert_eq!(classes(vec![first, seq([Read(0)]), block([Do(Write(1, 1))])]), 3);
}

#[test]
fn no_cut_is_reached_on_two_branches() {
    let second = seq([Block(None, vec![Do(Read(1))]), Read(1)]);
    assert_eq!(classes(vec![seq([Read(1)]), second, seq([Write(1, 1)])]), 6);
}

#[test]
fn a_redundant_run_has_no_children() {
    assert_eq!(classes(vec![seq([Read(0)]), seq([Write(0, 1)]), block([Do(Read(0))])]), 4);
}

#[test]
fn increments_in_blocks_have_an_order_and_lose_nothing() {
    for (threads, orders) in [(2, 2), (3, 6), (4, 24)] {
        let increment = || block([Do(Read(0)), WriteLast(0)]);
        let (classes, redundant) = counts((0..threads).map(|_| increment()).collect());
        assert_eq!(classes, orders);
        assert!(redundant <= orders, "{redundant} redundant runs for {orders} classes");
    }
}

#[test]
fn blocks_that_share_nothing_need_no_probe() {
    let own = |n: u32| block([Do(Read(n * 2)), Do(Write(n * 2 + 1, 1))]);
    assert_eq!(counts((0..8).map(own).collect()), (1, 0));
}

#[test]
fn one_writer_and_readers_in_blocks() {
    let readers = (0..5).map(|_| block([Do(Read(0))]));
    assert_eq!(classes(std::iter::once(seq([Write(0, 1)])).chain(readers).collect()), 32);
}

#[test]
fn who_comes_first_inserts_and_the_others_only_look() {
    let insert = |n: i64| block([Do(DictGet(0, 1)), If(2, vec![], vec![Do(DictStore(0, 1, n))])]);
    assert_eq!(classes((2..5).map(insert).collect()), 3);
}

#[test]
fn what_a_block_waits_for_matters_although_nobody_else_touches_it() {
    let waits = Block(Some(Box::new(EventWait(0))), vec![Do(Read(1))]);
    assert_eq!(classes(vec![seq([EventSet(0), waits]), block([Do(Write(1, 1))])]), 2);
}

#[test]
fn both_blocks_of_a_probe_may_touch_what_the_execution_does_not_name() {
    let clears = Block(Some(Box::new(Acquire(1))), vec![Do(ListClear(0))]);
    assert_eq!(classes(vec![seq([clears]), block([Do(Read(2)), Do(Pop(0))])]), 2);
}

/// Each class once, as brute force has them.
fn compare(program: &Program) {
    let found = exhaust(program, 1_000, Tuning::default()).expect("few enough executions");
    let truth = oracle::traces(program, 2_000, 60_000).expect("small enough");
    assert_eq!((&found.complete, &found.stuck), (&truth.complete, &truth.stuck));
    assert_eq!((found.duplicates, &found.outcomes), (0, &truth.outcomes));
}

#[test]
fn a_wait_that_was_given_up_goes_before_a_block() {
    let releases = Block(None, vec![Do(Write(1, 1)), Do(Release(0))]);
    let patient = seq([Patiently(Box::new(Acquire(0)))]);
    compare(&Program::new(vec![seq([Spawn(1), releases, Acquire(0)]), patient]).spawning(&[1]));
}

#[test]
fn giving_up_itself_goes_before_nothing() {
    let put = block([Do(QueueTryPut(0, 1, 1))]);
    let puts = seq([Patiently(Box::new(QueuePut(0, 1, 2))), QueueGet(0)]);
    compare(&Program::new(vec![put, puts, seq([Patiently(Box::new(QueueGet(0)))])]));
}
