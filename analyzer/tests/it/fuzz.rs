//! Random programs against brute force: trace sets and outcome sets are equal, nothing is explored twice.
//!
//! `FRONTRUN_FUZZ_PROGRAMS` sets how many programs each test compares (default: a few hundred).

use crate::exploration::exhaust;
use crate::oracle;
use crate::random::{ALL, Feature, Script};
use frontrun_analyzer::Tuning;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::Cell;

const COHERENT: Tuning = Tuning { everything_incoherent: false };
const INCOHERENT: Tuning = Tuning { everything_incoherent: true };

fn programs(default: u32) -> u32 {
    std::env::var("FRONTRUN_FUZZ_PROGRAMS").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// How many traces a comparison went over, and how many runs were redundant; `None` when the program is too large.
fn compare(script: &Script, tuning: Tuning) -> Result<Option<(usize, usize)>, String> {
    let program = script.program();
    let Some(truth) = oracle::traces(&program, 300, 5_000) else { return Ok(None) };
    let total = truth.complete.len() + truth.stuck.len();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        exhaust(&program, 60 * total + 300, tuning)
    }));
    let found = match result {
        Ok(Some(found)) => found,
        Ok(None) => return Err(format!("far more runs than the {total} traces")),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            return Err(format!("panic: {text}"));
        }
    };
    let missing =
        truth.complete.difference(&found.complete).count() + truth.stuck.difference(&found.stuck).count();
    let extra =
        found.complete.difference(&truth.complete).count() + found.stuck.difference(&truth.stuck).count();
    if missing + extra + found.duplicates > 0 {
        return Err(format!("of {total} traces missing {missing} extra {extra} twice {}", found.duplicates));
    }
    if found.classes.len() != total {
        return Err(format!("{} class ids for {total} traces", found.classes.len()));
    }
    if found.outcomes != truth.outcomes {
        return Err("other outcomes than the trace oracle".into());
    }
    match oracle::outcomes(&program, 20_000) {
        Some(outcomes) if outcomes != found.outcomes => Err("other outcomes than the state oracle".into()),
        _ => Ok(Some((total, found.redundant))),
    }
}

/// The smallest script that still fails.
fn shrink(mut script: Script, tuning: Tuning) -> (Script, String) {
    let mut message = compare(&script, tuning).err().unwrap_or_default();
    while let Some((smaller, text)) =
        script.smaller().into_iter().find_map(|s| compare(&s, tuning).err().map(|text| (s, text)))
    {
        (script, message) = (smaller, text);
    }
    (script, message)
}

fn check(name: &str, features: &[Feature], tuning: Tuning, cases: u32) {
    let mut runner = TestRunner::new(Config {
        cases: programs(cases),
        max_shrink_iters: 0,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(
            std::env::var("FRONTRUN_FUZZ_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1),
        ),
        ..Config::default()
    });
    let (traces, large, stuck) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let (redundant, worst) = (Cell::new(0), Cell::new(0.0));
    let result = runner.run(&any::<u64>(), |seed| {
        let script = Script::random(seed, features);
        match compare(&script, tuning) {
            Ok(Some((count, more))) => {
                traces.set(traces.get() + count);
                redundant.set(redundant.get() + more);
                worst.set(f64::max(worst.get(), more as f64 / count as f64));
            }
            Ok(None) => large.set(large.get() + 1),
            Err(_) => {
                let (script, message) = shrink(script, tuning);
                return Err(TestCaseError::fail(format!("seed {seed}: {message}\n{script:#?}")));
            }
        }
        stuck.set(stuck.get() + 1);
        Ok(())
    });
    println!(
        "{name}: {} programs, {} traces, {} redundant runs (at worst {:.2} for a trace), {} too large",
        stuck.get() - large.get(),
        traces.get(),
        redundant.get(),
        worst.get(),
        large.get()
    );
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn data_locks_and_trylocks() {
    use Feature::{Data, Lock, Rmw, Touch, Try};
    check("data", &[Data, Rmw, Touch, Lock, Try], COHERENT, 400);
}

#[test]
fn containers() {
    use Feature::{Data, Dict, List, Lock, TwoDicts, WildList};
    check("containers", &[Dict, TwoDicts, List, WildList, Data, Lock], COHERENT, 500);
}

#[test]
fn blocking_operations() {
    use Feature::{Barrier, Condition, Data, Event, Lock, Queue, Semaphore};
    check("blocking", &[Semaphore, Event, Queue, Barrier, Condition, Lock, Data], COHERENT, 500);
}

#[test]
fn channels() {
    use Feature::{Channel, Data, Lock, Patience};
    check("channels", &[Channel, Channel, Channel, Data, Lock, Patience], COHERENT, 500);
}

#[test]
fn lists_alone() {
    use Feature::{Data, List, WildList};
    check("lists", &[List, WildList, Data], COHERENT, 400);
}

#[test]
fn waits_that_are_given_up() {
    use Feature::{Data, Event, Lock, Patience, Queue, Semaphore, Try};
    check("patience", &[Patience, Patience, Data, Event, Lock, Queue, Semaphore, Try], COHERENT, 600);
}

#[test]
fn gates() {
    use Feature::{Data, Gate, Lock, Patience};
    check("gates", &[Gate, Gate, Gate, Data, Lock, Patience], COHERENT, 600);
}

#[test]
fn loops_that_wait_for_a_change() {
    use Feature::{Data, Event, List, Lock, Patience, Rmw, Spin, Touch, WildList};
    let features = [Spin, Spin, Spin, Spin, Data, Rmw, Touch, Lock, Event, Patience, List, WildList];
    check("changes", &features, COHERENT, 600);
}

#[test]
fn everything() {
    check("everything", ALL, COHERENT, 500);
}

#[test]
fn everything_marked_incoherent() {
    check("incoherent", ALL, INCOHERENT, 300);
}

#[test]
fn blocks_of_data() {
    use Feature::{Blocks, Data, Rmw, Touch};
    check("blocks of data", &[Data, Data, Rmw, Touch, Blocks(60)], COHERENT, 150);
}

#[test]
fn blocks_of_containers() {
    use Feature::{Blocks, Data, Dict, List, Lock, TwoDicts, WildList};
    check("blocks of containers", &[Dict, TwoDicts, List, WildList, Data, Lock, Blocks(70)], COHERENT, 150);
}

#[test]
fn blocks_that_wait() {
    use Feature::{Blocks, Condition, Data, Event, Lock, Queue, Semaphore, Try};
    let features = [Semaphore, Event, Queue, Condition, Lock, Try, Data, Blocks(80)];
    check("blocks that wait", &features, COHERENT, 150);
}

#[test]
fn blocks_among_everything() {
    let features: Vec<Feature> = ALL.iter().copied().chain([Feature::Blocks(60)]).collect();
    check("blocks among everything", &features, COHERENT, 150);
    check("blocks among everything, incoherent", &features, INCOHERENT, 50);
}
