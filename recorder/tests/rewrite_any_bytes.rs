//! No input makes the rewriter panic or loop, and what it returns is well-formed again.

use frontrun_recorder::bytecode::{
    CodeView, KindSet, OpcodeFacts, PyVersion, Rewritten, SiteKind, opcode_facts, rewrite,
};
use proptest::prelude::*;

fn version() -> impl Strategy<Value = PyVersion> {
    proptest::sample::select(PyVersion::ALL.to_vec())
}

/// Opcodes that the tables know, with their facts for small arguments.
fn known_opcodes(version: PyVersion) -> Vec<(u8, OpcodeFacts)> {
    (0..=u8::MAX).filter_map(|opcode| Some((opcode, opcode_facts(version, opcode, 0)?))).collect()
}

fn opcode_named(version: PyVersion, name: &str) -> u8 {
    let known = known_opcodes(version);
    known.iter().find(|(_, facts)| facts.name == name).expect("the opcode exists in all versions").0
}

/// Decodes, follows and lays out the result once more, without hooks.
fn check_well_formed(version: PyVersion, rewritten: &Rewritten) {
    let view = CodeView {
        code: &rewritten.code,
        exception_table: &rewritten.exception_table,
        line_table: &rewritten.line_table,
        first_line: 1,
        n_consts: 1 << 20,
        stack_size: rewritten.stack_size,
    };
    assert_eq!(rewrite(version, view, KindSet::NONE), Ok(None));
    // Every hook is itself a visible DELETE_SUBSCR, two values above the depth of its site.
    let deletions = rewrite(version, view, KindSet::of(&[SiteKind::DeleteSubscr]))
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(deletions.map_or(0, |again| again.sites.len()) >= rewritten.sites.len());
}

/// Statements that leave the stack empty; jumps go from one statement to another.
#[derive(Debug, Clone)]
enum Statement {
    Attribute { name: u8 },
    JumpIfTrue { over: u16 },
    JumpIfNone { over: u16 },
}

fn statement() -> impl Strategy<Value = Statement> {
    prop_oneof![
        3 => any::<u8>().prop_map(|name| Statement::Attribute { name }),
        1 => (0..600u16).prop_map(|over| Statement::JumpIfTrue { over }),
        1 => (0..600u16).prop_map(|over| Statement::JumpIfNone { over }),
    ]
}

fn extended_arg(version: PyVersion) -> u8 {
    match version {
        PyVersion::V3_11 | PyVersion::V3_12 => 144,
        PyVersion::V3_13 => 71,
        PyVersion::V3_14 => 69,
    }
}

/// A function body of these statements; each takes the same number of units, jumps padded with NOPs.
fn assemble(version: PyVersion, statements: &[Statement]) -> Vec<u8> {
    let opcode = |name: &str| opcode_named(version, name);
    let (load_fast, nop, extended) = (opcode("LOAD_FAST"), opcode("NOP"), extended_arg(version));
    let forward = |name: &str| match version {
        PyVersion::V3_11 => opcode(&name.replace("JUMP", "JUMP_FORWARD")),
        _ => opcode(name),
    };
    let store_attr = opcode("DELETE_ATTR");
    let caches = |number| usize::from(opcode_facts(version, number, 0).map_or(0, |facts| facts.caches));
    let units_each = 5;
    let mut code = vec![opcode("RESUME"), 0];
    for (index, statement) in statements.iter().enumerate() {
        let end = code.len() + 2 * units_each;
        code.extend([load_fast, 0]);
        match statement {
            Statement::Attribute { name } => code.extend([store_attr, *name]),
            Statement::JumpIfTrue { over } | Statement::JumpIfNone { over } => {
                let jump = match statement {
                    Statement::JumpIfTrue { .. } => forward("POP_JUMP_IF_TRUE"),
                    _ => forward("POP_JUMP_IF_NONE"),
                };
                let over = usize::from(*over).min(statements.len() - index - 1);
                let after_jump = code.len() + 4 + 2 * caches(jump);
                let distance = (end - after_jump) / 2 + over * units_each;
                code.extend([extended, (distance >> 8) as u8, jump, distance as u8]);
                code.resize(after_jump, 0);
            }
        }
        while code.len() < end {
            code.extend([nop, 0]);
        }
    }
    code.extend([load_fast, 0, opcode("RETURN_VALUE"), 0]);
    code
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_rewritten_or_refused(
        version in version(),
        code in proptest::collection::vec(any::<u8>(), 0..200),
        exception_table in proptest::collection::vec(any::<u8>(), 0..40),
        line_table in proptest::collection::vec(any::<u8>(), 0..80),
        first_line in any::<i32>(),
        n_consts in any::<u32>(),
        stack_size in any::<u32>(),
        kinds in any::<u64>(),
    ) {
        let view = CodeView {
            code: &code, exception_table: &exception_table, line_table: &line_table,
            first_line, n_consts, stack_size,
        };
        let _ = rewrite(version, view, KindSet::from_bits(kinds));
    }

    #[test]
    fn known_opcodes_in_any_order_are_rewritten_or_refused(
        version in version(),
        picks in proptest::collection::vec((any::<proptest::sample::Index>(), 0..6u8), 0..60),
        marked in proptest::collection::vec(any::<u8>(), 0..12),
    ) {
        let known = known_opcodes(version);
        let mut code = vec![opcode_named(version, "RESUME"), 0];
        for (pick, arg) in picks {
            let (opcode, facts) = pick.get(&known);
            code.extend([*opcode, arg]);
            code.resize(code.len() + 2 * usize::from(facts.caches), 0);
        }
        code.extend([opcode_named(version, "RETURN_VALUE"), 0]);
        // Small numbers, marked as the interpreter expects, so that some tables are well-formed.
        let exception_table: Vec<u8> =
            marked.iter().enumerate().map(|(i, b)| b & 15 | if i % 4 == 0 { 0x80 } else { 0 }).collect();
        let line_table: Vec<u8> = marked.iter().map(|byte| byte | 0x80).collect();
        for exception_table in [&[][..], &exception_table] {
            let view = CodeView {
                code: &code, exception_table, line_table: &line_table,
                first_line: 1, n_consts: 250, stack_size: 40,
            };
            if let Ok(Some(rewritten)) = rewrite(version, view, KindSet::ALL) {
                check_well_formed(version, &rewritten);
            }
        }
    }

    #[test]
    fn jumps_of_any_length_stay_well_formed(
        version in version(),
        statements in proptest::collection::vec(statement(), 1..700),
        n_consts in 0..100_000u32,
    ) {
        let code = assemble(version, &statements);
        let view = CodeView {
            code: &code, exception_table: &[], line_table: &[], first_line: 1, n_consts, stack_size: 1,
        };
        let kinds = KindSet::of(&[SiteKind::DeleteAttr, SiteKind::IsTrue]);
        let expected = statements.iter().filter(|statement| match statement {
            Statement::Attribute { .. } => true,
            Statement::JumpIfTrue { .. } => matches!(version, PyVersion::V3_11 | PyVersion::V3_12),
            Statement::JumpIfNone { .. } => false,
        });
        match rewrite(version, view, kinds).expect("the code is valid") {
            Some(rewritten) => {
                assert_eq!(rewritten.sites.len(), expected.count());
                assert!(rewritten.sites.iter().all(|site| site.depth == 1));
                check_well_formed(version, &rewritten);
            }
            None => assert_eq!(expected.count(), 0),
        }
    }
}
