//! Programs whose counts are known: the pitfalls of the algorithm, each the smallest program that catches the
//! rule it is named after, and classics of the field.

use crate::exploration::exhaust;
use crate::oracle;
use crate::program::{Body, Initial, Op::*, Program, body, seq};
use frontrun_analyzer::Tuning;

/// Complete and stuck executions, each class once; the trace sets and outcomes are those of brute force.
fn counts(program: &Program) -> (usize, usize) {
    let found = exhaust(program, 20_000, Tuning::default()).expect("few enough executions");
    if let Some(truth) = oracle::traces(program, 2_000, 60_000) {
        assert_eq!((&found.complete, &found.stuck), (&truth.complete, &truth.stuck));
        assert_eq!(found.outcomes, truth.outcomes);
    }
    found.counts()
}

fn threads(bodies: Vec<Body>) -> Program {
    Program::new(bodies)
}

fn list(values: &[i64]) -> impl FnOnce(&mut Initial) + use<'_> {
    move |initial| initial.lists = vec![(0, values.to_vec())]
}

/// A read and a write of variable 0, `times` times.
fn increments(times: usize) -> Body {
    body(move |context| {
        for _ in 0..times {
            let before = context.read(0)?;
            context.write(0, before + 1)?;
        }
        Ok(())
    })
}

#[test]
fn a_chunk_is_maximal() {
    assert_eq!(counts(&threads(vec![seq([Write(0, 1)]), seq([Write(0, 2)]), seq([Read(0)])])), (6, 0));
}

#[test]
fn the_overtaking_event_is_the_canonical_last_of_its_chunk() {
    assert_eq!(counts(&threads(vec![seq([Write(0, 1)]), seq([Read(0)]), seq([Read(0)])])), (4, 0));
}

#[test]
fn what_waits_at_the_end_has_alternatives() {
    assert_eq!(counts(&threads(vec![seq([Acquire(0)]), seq([Acquire(0)])])), (0, 2));
}

#[test]
fn a_chunk_is_exactly_the_new_past_of_its_head() {
    let bodies = vec![seq([Append(0, 1)]), seq([ListGet(0, 1), ListSet(0, 1, 1)]), seq([ListLen(0)])];
    assert_eq!(counts(&threads(bodies).with(list(&[]))).1, 0);
}

#[test]
fn the_head_of_the_fixed_schedule_is_new() {
    assert_eq!(counts(&threads(vec![seq([Read(0)]), seq([Write(0, 1)]), seq([Read(0)])])), (4, 0));
}

#[test]
fn optional_members_of_a_chunk_are_tried() {
    let bodies = vec![seq([DictGet(0, 1)]), seq([DictClear(0)]), seq([DictStore(0, 1, 2)])];
    counts(&threads(bodies));
}

#[test]
fn late_pairs_of_incoherent_operations_are_found() {
    let bodies = vec![seq([Pop(0)]), seq([Append(0, 1)]), seq([ListSet(0, 1, 2)])];
    assert_eq!(counts(&threads(bodies).with(list(&[7]))), (4, 0));
}

#[test]
fn an_incoherent_head_is_not_treated_as_coherent() {
    let bodies = vec![seq([Append(0, 2)]), seq([ListItems(0)]), seq([ListGet(0, 1)]), seq([Append(0, 2)])];
    assert_eq!(counts(&threads(bodies).with(list(&[]))), (12, 0));
}

#[test]
fn pops_and_appends_of_four_threads() {
    let bodies =
        vec![seq([Append(0, 1)]), seq([Append(0, 2), Pop(0)]), seq([Pop(0)]), seq([ListSet(0, 0, 7)])];
    assert_eq!(counts(&threads(bodies).with(list(&[]))), (43, 0));
}

#[test]
fn an_overtaking_operation_is_enabled_at_its_cut() {
    let bodies = vec![seq([Read(1), Spawn(1)]), seq([Acquire(0)])];
    assert_eq!(counts(&threads(bodies).spawning(&[1])), (1, 0));
}

#[test]
fn insertions_of_new_keys_do_not_commute_and_updates_of_old_ones_do() {
    let store = |key| seq([DictStore(0, key, 1)]);
    assert_eq!(counts(&threads(vec![store(1), store(2), store(3)])), (6, 0));
    let old =
        threads(vec![store(1), store(2), store(3)]).with(|initial| initial.dicts = vec![(0, vec![1, 2, 3])]);
    assert_eq!(counts(&old), (1, 0));
    assert_eq!(counts(&threads((0..3).map(|n| seq([DictSetDefault(0, 1, n)])).collect())), (3, 0));
}

#[test]
fn failing_trylocks_are_reads() {
    let attempt = || {
        body(|context| {
            if context.op(Try(0))? != 0 {
                context.unlock(0)?;
            }
            Ok(())
        })
    };
    assert_eq!(counts(&threads(vec![attempt(), attempt()])), (4, 0));
    assert_eq!(counts(&threads(vec![attempt(), attempt(), attempt()])), (21, 0));
}

#[test]
fn unprotected_counters() {
    for (threads_, times, classes) in [(2, 1, 4), (2, 2, 34), (2, 3, 328), (3, 1, 36), (3, 2, 7134)] {
        let program = threads((0..threads_).map(|_| increments(times)).collect());
        assert_eq!(counts(&program), (classes, 0), "{threads_} threads, {times} increments");
    }
}

#[test]
fn one_writer_and_readers_have_two_to_the_readers_classes() {
    for readers in 1..=8 {
        let mut bodies = vec![seq([Write(0, 1)])];
        bodies.extend((0..readers).map(|_| seq([Read(0)])));
        assert_eq!(counts(&threads(bodies)), (1 << readers, 0));
    }
}

#[test]
fn writers_have_factorially_many_classes() {
    for (writers, classes) in [(2, 2), (3, 6), (4, 24), (5, 120)] {
        let program = threads((0..writers).map(|n| seq([Write(0, n + 1)])).collect());
        assert_eq!(counts(&program), (classes, 0));
    }
}

#[test]
fn philosophers_deadlock_in_one_class() {
    for (seats, classes) in [(2, 3), (3, 7), (4, 15), (5, 31)] {
        let eat = |seat: u32| {
            body(move |context| {
                let (left, right) = (seat, (seat + 1) % seats);
                context.lock(left)?;
                context.lock(right)?;
                context.unlock(right)?;
                context.unlock(left)
            })
        };
        assert_eq!(counts(&threads((0..seats).map(eat).collect())), (classes - 1, 1));
    }
}

#[test]
fn searching_for_the_last_zero() {
    for (n, classes) in [(2, 5), (3, 12), (4, 28), (5, 64), (6, 144)] {
        let search = body(move |context| {
            let mut at = n;
            while context.read(at)? != 0 {
                at -= 1;
            }
            Ok(())
        });
        let mut bodies = vec![search];
        bodies.extend((1..=n).map(|at| {
            body(move |context| {
                let before = context.read(at - 1)?;
                context.write(at, before + 1)
            })
        }));
        assert_eq!(counts(&threads(bodies)), (classes, 0));
    }
}

#[test]
fn independent_reads_of_independent_writes() {
    let reader = |first, second| seq([Read(first), Read(second)]);
    let program = threads(vec![seq([Write(0, 1)]), seq([Write(1, 1)]), reader(0, 1), reader(1, 0)]);
    assert_eq!(counts(&program), (15, 0));
}

#[test]
fn an_account_that_is_checked_in_one_critical_section_and_changed_in_another() {
    let withdraw = || {
        body(|context| {
            context.lock(0)?;
            let seen = context.read(0)?;
            context.unlock(0)?;
            if seen >= 80 {
                context.lock(0)?;
                let balance = context.read(0)?;
                context.write(0, balance - 80)?;
                context.unlock(0)?;
            }
            Ok(())
        })
    };
    let program = threads(vec![withdraw(), withdraw()]).with(|initial| initial.variables = vec![(0, 100)]);
    assert_eq!(counts(&program), (6, 0));
}

#[test]
fn two_stages_under_two_locks() {
    let first = body(|context| {
        context.run(&[Acquire(0), Write(0, 1), Release(0), Acquire(1)])?;
        let seen = context.read(0)?;
        context.write(1, seen + 1)?;
        context.unlock(1)
    });
    let second = body(|context| {
        context.lock(0)?;
        let seen = context.read(0)?;
        context.unlock(0)?;
        if seen != 0 { context.run(&[Acquire(1), Read(1), Release(1)]) } else { Ok(()) }
    });
    assert_eq!(counts(&threads(vec![first, second])), (3, 0));
}

#[test]
fn peterson() {
    let enter = |mine: u32, theirs: u32, give: i64, keep: i64| {
        body(move |context| {
            context.run(&[Write(mine, 1), Write(2, give)])?;
            if context.read(theirs)? == 0 || context.read(2)? == keep {
                context.run(&[Write(3, i64::from(mine) + 1), Read(3), Write(mine, 0)])?;
            }
            Ok(())
        })
    };
    assert_eq!(counts(&threads(vec![enter(0, 1, 1, 0), enter(1, 0, 0, 1)])), (10, 0));
}

#[test]
fn a_notification_that_comes_too_early_is_lost() {
    let wait = seq([Acquire(0), CondWait(0, 0), CondWake(0, 0), Release(0)]);
    let notify = seq([Acquire(0), CondNotify(0, 1), Release(0)]);
    let (complete, stuck) = counts(&threads(vec![wait, notify]));
    assert_eq!((complete, stuck), (1, 1));
}

#[test]
fn what_was_sent_is_received_in_one_execution() {
    assert_eq!(counts(&threads(vec![seq([ChannelTake(0, 1)]), seq([ChannelPut(0, 1, 1)])])), (1, 0));
    let talk =
        vec![seq([ChannelPut(0, 1, 3), ChannelTake(1, 9)]), seq([ChannelTake(0, 9), ChannelPut(1, 2, 3)])];
    assert_eq!(counts(&threads(talk)), (1, 0));
}

#[test]
fn a_receiver_gets_what_is_there() {
    // The first receipt comes before the second thing or after it, and only who finds nothing looks for the end.
    let receive = [ChannelTake(0, 9), ChannelTake(0, 9)];
    let send = [ChannelPut(0, 1, 1), ChannelPut(0, 2, 1), ChannelClose(vec![0], vec![])];
    assert_eq!(counts(&threads(vec![seq(receive), seq(send)])), (2, 0));
}

#[test]
fn both_ends_are_closed_in_any_order() {
    let client = [ChannelPut(0, 1, 1), ChannelTake(1, 9), ChannelClose(vec![0], vec![1])];
    let server = [ChannelTake(0, 9), ChannelPut(1, 1, 1), ChannelClose(vec![1], vec![0])];
    assert_eq!(counts(&threads(vec![seq(client), seq(server)])), (1, 0));
}

#[test]
fn one_thread_waits_for_several_channels() {
    let serve = [ChannelWait(vec![0, 1]), ChannelTryTake(0, 1), ChannelTryTake(1, 1)];
    let bodies = vec![seq(serve), seq([ChannelPut(0, 1, 1)]), seq([ChannelPut(1, 1, 1)])];
    assert_eq!(counts(&threads(bodies)), (5, 0));
}

#[test]
fn two_receivers_of_one_thing_are_stuck() {
    let take = || seq([ChannelTake(0, 1)]);
    assert_eq!(counts(&threads(vec![take(), take(), seq([ChannelPut(0, 1, 1)])])), (0, 2));
}
