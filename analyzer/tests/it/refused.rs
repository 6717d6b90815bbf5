//! Executions of a program that hangs on something that nobody controls: what they did is not what their schedule is for.

use crate::machine::run;
use crate::program::{Inner, Inner::*, Op::*, Program, seq};
use frontrun_analyzer::{AnalyzeError, children};
use frontrun_formats::Schedule;

fn program(first_step: &[Inner]) -> Program {
    Program::new(vec![seq([Block(None, first_step.to_vec()), Write(1, 1)]), seq([Write(1, 2)])])
}

/// What becomes of an alternative whose first step does something else than where the alternative was found.
fn replayed(found: &[Inner], replayed: &[Inner]) -> Result<usize, AnalyzeError> {
    let first = run(&program(found), &Schedule::default()).execution;
    let alternatives = children(&first).expect("a whole run");
    let [alternative] = &alternatives[..] else { panic!("{alternatives:?}") };
    assert_eq!(alternative.schedule.entries.len(), 3, "the first step, and two writes the other way round");
    children(&run(&program(replayed), &alternative.schedule).execution).map(|children| children.len())
}

#[test]
fn a_step_that_touches_what_it_touched_before_is_accepted() {
    let (twice, once) = (&[Do(Write(0, 1)), Do(Write(0, 2))], &[Do(Write(0, 3))]);
    assert_eq!(replayed(once, once).unwrap(), 0);
    assert_eq!(replayed(twice, once).unwrap(), 0);
}

#[test]
fn a_step_that_touches_something_else_is_refused() {
    let (one, two) = (&[Do(Write(0, 1))], &[Do(Write(0, 1)), Do(Read(7))]);
    for (found, other) in [(&one[..], &two[..]), (two, one), (one, &[Do(Read(0))])] {
        let refused = replayed(found, other);
        assert!(matches!(refused, Err(AnalyzeError::TouchedOther { position: 0, .. })), "{refused:?}");
    }
}
