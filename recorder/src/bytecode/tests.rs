//! Small code objects, checked by hand.
//!
//! The bytes are what the interpreters compile, or that with a defect; opcodes used often have a name.

use super::*;

// 3.11 and 3.12 share most numbers.
const RESUME: [u8; 2] = [151, 0];
const LOAD_CONST: u8 = 100;
const LOAD_FAST: u8 = 124;
const LOAD_ATTR_12: [u8; 20] = [106, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const POP_TOP: [u8; 2] = [1, 0];
const DELETE_SUBSCR: [u8; 2] = [61, 0];
const RETURN_VALUE: [u8; 2] = [83, 0];
const EXTENDED_ARG: u8 = 144;

/// All but the beginnings and the ends of functions, which would only make the examples longer.
fn most_kinds() -> KindSet {
    let is_end = |kind: &SiteKind| matches!(kind, SiteKind::Enter | SiteKind::Return | SiteKind::Reraise);
    KindSet::of(&SiteKind::ALL.iter().copied().filter(|kind| !is_end(kind)).collect::<Vec<_>>())
}

fn view(code: &[u8], stack_size: u32) -> CodeView<'_> {
    CodeView { code, exception_table: &[], line_table: &[], first_line: 1, n_consts: 1, stack_size }
}

fn rewrite_all(version: PyVersion, code: &[u8], stack_size: u32) -> Rewritten {
    rewrite(version, view(code, stack_size), most_kinds()).unwrap().unwrap()
}

fn error(version: PyVersion, code: &[u8]) -> BytecodeError {
    rewrite(version, view(code, 10), most_kinds()).unwrap_err()
}

fn kinds(rewritten: &Rewritten) -> Vec<(SiteKind, u32)> {
    rewritten.sites.iter().map(|site| (site.kind, site.depth)).collect()
}

/// A hook with constants below 256.
fn hook(constant: u8) -> [u8; 6] {
    [LOAD_CONST, constant, LOAD_CONST, constant, DELETE_SUBSCR[0], DELETE_SUBSCR[1]]
}

#[test]
fn attribute_load_is_guarded_and_keeps_its_position() {
    // def f(o): return o.x
    let code = [&RESUME[..], &[LOAD_FAST, 0], &LOAD_ATTR_12, &RETURN_VALUE].concat();
    let line_table = [128, 0, 144, 17, 151, 19, 145, 19, 136, 42];
    let view = CodeView { line_table: &line_table, ..view(&code, 1) };
    let rewritten = rewrite(PyVersion::V3_12, view, most_kinds()).unwrap().unwrap();

    let expected = [&RESUME[..], &[LOAD_FAST, 0], &hook(1), &LOAD_ATTR_12, &RETURN_VALUE].concat();
    assert_eq!(rewritten.code, expected);
    assert_eq!(rewritten.stack_size, 3);
    // Three units more, in the entries that belong to the attribute: columns 17 to 20.
    assert_eq!(rewritten.line_table, [128, 0, 144, 17, 151, 19, 148, 19, 136, 42]);
    let site = SiteSpec {
        first: true,
        around: false,
        in_loop: false,
        kind: SiteKind::LoadAttr,
        arg: 0,
        method_form: false,
        keyword_names: None,
        depth: 1,
        original_unit: 2,
        line: 1,
        end_line: 1,
        column: 17,
        end_column: 20,
    };
    assert_eq!(rewritten.sites, [site]);
    let originals: Vec<u32> = (1..7).map(|unit| rewritten.original_units.original(unit)).collect();
    assert_eq!(originals, [1, 2, 2, 2, 2, 3]);
}

#[test]
fn keyword_call_is_guarded_before_its_keyword_names() {
    // g(i, k=1) on 3.11: PUSH_NULL, three loads, KW_NAMES, PRECALL, CALL.
    let loads = [2, 0, LOAD_FAST, 0, LOAD_FAST, 1, LOAD_CONST, 0];
    let call = [172, 2, 166, 2, 0, 0, 171, 2, 0, 0, 0, 0, 0, 0, 0, 0];
    let code = [&RESUME[..], &loads, &call, &RETURN_VALUE].concat();
    let rewritten = rewrite_all(PyVersion::V3_11, &code, 4);
    assert_eq!(rewritten.code, [&RESUME[..], &loads, &hook(1), &call, &RETURN_VALUE].concat());
    let site = rewritten.sites[0];
    assert_eq!((site.kind, site.arg, site.keyword_names), (SiteKind::Call, 2, Some(2)));
    assert_eq!((site.depth, site.original_unit), (4, 6));
}

#[test]
fn back_edge_and_protected_range_include_the_hook_of_their_first_instruction() {
    // for i in o: pass, on 3.13, with a range over the FOR_ITER alone whose handler raises again.
    let code = [
        149, 0, // RESUME
        85, 0, // LOAD_FAST
        19, 0, // GET_ITER
        72, 3, 0, 0, // FOR_ITER to END_FOR
        110, 1, // STORE_FAST
        77, 5, 0, 0, // JUMP_BACKWARD to FOR_ITER
        11, 0, 32, 0, 103, 0, // END_FOR, POP_TOP, RETURN_CONST
        102, 0, // RERAISE, the handler, at unit 11
    ];
    let mut entries = Vec::new();
    let entry = Entry { start: 3, end: 5, target: 11, depth: 1, lasti: false };
    exception_table::write(&mut entries, &entry).unwrap();
    let view = CodeView { exception_table: &entries, ..view(&code, 3) };
    let kinds = KindSet::of(&[SiteKind::ForIter]);
    let rewritten = rewrite(PyVersion::V3_13, view, kinds).unwrap().unwrap();

    let expected = [
        149, 0, 85, 0, 19, 0, //
        83, 1, 83, 1, 9, 0, // the hook, at unit 3
        72, 3, 0, 0, 110, 1, //
        77, 8, 0, 0, // back to the hook
        11, 0, 32, 0, 103, 0, 102, 0,
    ];
    assert_eq!(rewritten.code, expected);
    let moved = Entry { start: 3, end: 8, target: 14, ..entry };
    assert_eq!(exception_table::read(&rewritten.exception_table).unwrap(), [moved]);
}

#[test]
fn nothing_visible_means_no_rewriting() {
    let code = [&RESUME[..], &[LOAD_FAST, 0], &RETURN_VALUE].concat();
    assert_eq!(rewrite(PyVersion::V3_11, view(&code, 1), most_kinds()), Ok(None));
    assert_eq!(rewrite(PyVersion::V3_11, view(&[], 0), most_kinds()), Ok(None));
    let code = [&RESUME[..], &[LOAD_FAST, 0], &LOAD_ATTR_12, &RETURN_VALUE].concat();
    assert_eq!(rewrite(PyVersion::V3_12, view(&code, 1), KindSet::NONE), Ok(None));
}

#[test]
fn prologue_and_unreachable_code_have_no_hooks() {
    // LOAD_GLOBAL before RESUME, and after the return.
    let global = [116, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let code = [&global[..], &RESUME, &RETURN_VALUE, &global, &RETURN_VALUE].concat();
    assert_eq!(rewrite(PyVersion::V3_12, view(&code, 1), most_kinds()), Ok(None));
}

#[test]
fn jump_that_gets_too_far_gets_a_prefix() {
    // A jump over 25 attribute loads of eleven units each, 253 units with their POP_TOP.
    let statement = [&[LOAD_FAST, 0][..], &LOAD_ATTR_12, &POP_TOP].concat();
    let body = statement.repeat(21);
    let jump = [LOAD_FAST, 0, 128, (body.len() / 2) as u8]; // POP_JUMP_IF_NOT_NONE
    let code = [&RESUME[..], &jump, &body, &[121, 0]].concat();
    let rewritten = rewrite_all(PyVersion::V3_12, &code, 1);
    assert_eq!(rewritten.sites.len(), 21);
    let distance = 21 * 15;
    assert_eq!(
        rewritten.code[2..8],
        [LOAD_FAST, 0, EXTENDED_ARG, (distance >> 8) as u8, 128, distance as u8]
    );
    // The jump is at unit 2 of the original; its new prefix stands for it.
    assert_eq!(rewritten.original_units.original(2), 2);
    assert_eq!(rewritten.original_units.original(3), 2);
    assert_eq!(rewritten.original_units.original(4), 3);
}

#[test]
fn constants_from_256_on_need_a_prefix() {
    let code = [&RESUME[..], &[LOAD_FAST, 0], &LOAD_ATTR_12, &RETURN_VALUE].concat();
    let view = CodeView { n_consts: 0x1234, ..view(&code, 1) };
    let rewritten = rewrite(PyVersion::V3_12, view, most_kinds()).unwrap().unwrap();
    let load = [EXTENDED_ARG, 0x12, LOAD_CONST, 0x34];
    assert_eq!(rewritten.code[4..14], [&load[..], &load, &DELETE_SUBSCR].concat());
    let view = CodeView { n_consts: u32::MAX, ..view };
    assert_eq!(rewrite(PyVersion::V3_12, view, most_kinds()), Err(BytecodeError::TooLarge));
}

#[test]
fn truth_of_a_comparison_is_known_to_be_a_bool() {
    let compare = [LOAD_FAST, 0, LOAD_FAST, 1, 107, 0x20, 0, 0]; // COMPARE_OP <=
    let code = [&RESUME[..], &compare, &[114, 0], &[121, 0]].concat(); // POP_JUMP_IF_FALSE
    assert_eq!(kinds(&rewrite_all(PyVersion::V3_12, &code, 2)), [(SiteKind::Compare, 2)]);
    assert_eq!(rewrite_all(PyVersion::V3_12, &code, 2).sites[0].arg, 2);

    // COPY 1 in between changes nothing; a jump to the test, which may bring any object, does.
    let and = [&RESUME[..], &compare, &[120, 1, 114, 0], &RETURN_VALUE].concat();
    assert_eq!(kinds(&rewrite_all(PyVersion::V3_12, &and, 2)), [(SiteKind::Compare, 2)]);
    let joined = [
        &RESUME[..],
        &[LOAD_FAST, 0, LOAD_FAST, 0, 128, 5], // POP_JUMP_IF_NOT_NONE over POP_TOP and the comparison
        &POP_TOP,
        &compare,
        &[12, 0], // UNARY_NOT
        &RETURN_VALUE,
    ]
    .concat();
    let expected = [(SiteKind::Compare, 2), (SiteKind::IsTrue, 1)];
    assert_eq!(kinds(&rewrite_all(PyVersion::V3_12, &joined, 2)), expected);
}

#[test]
fn yield_of_a_delegating_generator_stays_beside_its_send() {
    // yield from: LOAD_CONST, SEND, YIELD_VALUE, RESUME, JUMP_BACKWARD_NO_INTERRUPT; then a plain yield.
    let code = [
        151, 0, 124, 0, 69, 0, // RESUME, LOAD_FAST, GET_YIELD_FROM_ITER
        100, 0, 123, 3, 86, 0, 151, 2, 134, 4, //
        86, 0, 83, 0, // YIELD_VALUE, RETURN_VALUE
    ];
    let rewritten = rewrite_all(PyVersion::V3_11, &code, 2);
    let expected = [(SiteKind::GetYieldFromIter, 1), (SiteKind::Send, 2), (SiteKind::YieldValue, 1)];
    assert_eq!(kinds(&rewritten), expected);
    let send = rewritten.code.iter().position(|&byte| byte == 123).unwrap();
    assert_eq!(rewritten.code[send..send + 4], [123, 3, 86, 0]);
}

#[test]
fn malformed_code_is_refused() {
    use BytecodeError::*;
    let v = PyVersion::V3_12;
    assert_eq!(error(v, &[151]), OddLength);
    assert_eq!(error(v, &[151, 0, 255, 0]), UnknownOpcode { unit: 1, opcode: 255 });
    assert_eq!(error(v, &[151, 0]), Truncated { unit: 0 });
    assert_eq!(error(v, &[151, 0, 106, 0, 0, 0]), Truncated { unit: 1 });
    assert_eq!(error(v, &[144, 0]), Truncated { unit: 0 });
    assert_eq!(error(v, &[144, 0].repeat(4)), ArgumentTooLong { unit: 0 });
    assert_eq!(error(v, &[110, 9, 121, 0]), NotAnInstruction { unit: 10 });
    assert_eq!(error(v, &[140, 9, 121, 0]), NotAnInstruction { unit: 0 });
    assert_eq!(error(v, &[110, 1, 23, 0, 121, 0]), UnknownOpcode { unit: 1, opcode: 23 });
    assert_eq!(error(v, &POP_TOP), DepthOutOfRange { unit: 0, limit: 10 });
    // A loop whose target is not END_FOR.
    assert_eq!(error(v, &[124, 0, 93, 0, 0, 0, 121, 0]), LoopEpilogue { unit: 1 });
    // Push and jump back.
    let endless = [124, 0, 140, 2];
    assert_eq!(error(v, &endless), DepthConflict { unit: 0, first: 0, second: 1 });
    // Exception table entries that start, end or are handled between two instructions or at the end.
    let code = [&RESUME[..], &[LOAD_FAST, 0], &LOAD_ATTR_12, &RETURN_VALUE].concat();
    for entry in [[0x80 | 3, 1, 12, 0], [0x80, 4, 12, 0], [0x80, 1, 60, 0], [0x80, 1, 13, 0]] {
        let view = CodeView { exception_table: &entry, ..view(&code, 4) };
        assert!(matches!(rewrite(v, view, most_kinds()), Err(NotAnInstruction { .. })), "{entry:?}");
    }
}

#[test]
fn versions_without_a_table_are_refused() {
    for (index, version) in PyVersion::ALL.into_iter().enumerate() {
        assert_eq!(PyVersion::try_from((3, 11 + index as u8)), Ok(version));
    }
    let error = BytecodeError::UnsupportedVersion { major: 3, minor: 15 };
    assert_eq!(PyVersion::try_from((3, 15)), Err(error));
    assert_eq!(error.to_string(), "no opcode table for CPython 3.15");
}

#[test]
fn the_body_of_a_function_begins_behind_its_prologue() {
    let code = [&RESUME[..], &[LOAD_CONST, 0], &RETURN_VALUE].concat();
    let kinds_of = KindSet::of(&[SiteKind::Enter]);
    let rewritten = rewrite(PyVersion::V3_12, view(&code, 1), kinds_of).unwrap().unwrap();
    assert_eq!(rewritten.code, [&RESUME[..], &hook(1), &[LOAD_CONST, 0], &RETURN_VALUE].concat());
    assert_eq!(kinds(&rewritten), [(SiteKind::Enter, 0)]);
}

#[test]
fn a_loop_that_takes_from_an_iterator_gets_on_each_time() {
    // for i in o: o.x
    let over = [LOAD_FAST, 0, 68, 0, 93, 14, 0, 0, 125, 1, LOAD_FAST, 0];
    let end = [140, 16, 4, 0, 121, 0];
    let taking = [&RESUME[..], &over, &LOAD_ATTR_12, &POP_TOP, &end].concat();
    // while True: o.x
    let endless = [&RESUME[..], &[LOAD_FAST, 0], &LOAD_ATTR_12, &POP_TOP, &[140, 13]].concat();
    for (code, expected) in [(taking, false), (endless, true)] {
        let sites = rewrite_all(PyVersion::V3_12, &code, 2).sites;
        let load = sites.iter().find(|site| site.kind == SiteKind::LoadAttr).unwrap();
        assert_eq!(load.in_loop, expected);
    }
}

#[test]
fn subscripts_and_spreads_of_3_14_are_told_by_their_arguments() {
    // o[o], then o(*o) with a NULL for the keywords.
    let subscript = [86, 0, 86, 0, 44, 26, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let spread = [86, 0, 33, 0, 86, 0, 33, 0, 4, 0];
    let code = [&[128, 0], &subscript[..], &[31, 0], &spread, &[35, 0]].concat();
    let rewritten = rewrite_all(PyVersion::V3_14, &code, 4);
    let found: Vec<_> = rewritten.sites.iter().map(|site| (site.kind, site.arg, site.depth)).collect();
    assert_eq!(found, [(SiteKind::BinarySubscr, 0, 2), (SiteKind::CallFunctionEx, 1, 4)]);
}

#[test]
fn end_of_an_asynchronous_loop_goes_on_naming_the_end_of_its_send() {
    // NOP stands for END_SEND at unit 1, then o.x, which gets a hook, a value more, and END_ASYNC_FOR.
    let load = [&[80, 0][..], &[0; 18]].concat();
    let code = [&[128, 0, 27, 0, 86, 0][..], &load, &[86, 0, 68, 13, 82, 0, 35, 0]].concat();
    let rewritten = rewrite_all(PyVersion::V3_14, &code, 2);
    assert_eq!(kinds(&rewritten), [(SiteKind::LoadAttr, 1)]);
    assert!(!rewritten.sites[0].in_loop);
    let end = rewritten.code.len();
    assert_eq!(rewritten.code[end - 6..end - 4], [68, 16]);
}
