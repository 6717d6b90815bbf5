//! Sites: the instructions that get a hook, and where the hook finds their operands.
//!
//! # Model
//! A hook runs right before the instruction it guards.
//! The operands are still on the value stack of the frame; [`SiteSpec::depth`] values are there (some may be
//! NULL), so slot `depth - 1`, counted from the base of the stack, holds the top.
//! In CPython the base is `localsplus[nlocalsplus]`.
//!
//! In the list of [`SiteKind`] the operands are written as they lie on the stack, the top last, and `argc`
//! stands for [`SiteSpec::arg`].
//!
//! # Not here
//! Which opcode has which kind: the table of the version. Which of its instructions get a hook: `plan`.

/// Declares the kinds once, for the enum and for the list of all.
macro_rules! site_kinds {
    ($($(#[$doc:meta])* $kind:ident,)*) => {
        /// A visible operation, whatever opcode this version of the interpreter has for it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum SiteKind {
            $($(#[$doc])* $kind,)*
        }

        impl SiteKind {
            /// Every kind, in the order of the enum.
            pub const ALL: &[SiteKind] = &[$(SiteKind::$kind,)*];
        }
    };
}

site_kinds! {
    /// `object`; `arg` is the index of the name.
    LoadAttr,
    /// `object`; `arg` is the index of the name. The attribute is fetched only to be called.
    LoadMethod,
    /// `value object`; `arg` is the index of the name.
    StoreAttr,
    /// `object`; `arg` is the index of the name.
    DeleteAttr,
    /// `super class self`, where `super` is the builtin; `arg` is the index of the name. From 3.12 on.
    LoadSuperAttr,
    /// No operands; `arg` is the index of the name.
    LoadGlobal,
    /// `value`; `arg` is the index of the name.
    StoreGlobal,
    /// No operands; `arg` is the index of the name.
    DeleteGlobal,
    /// No operands; `arg` is the index of the name.
    LoadName,
    /// `value`; `arg` is the index of the name.
    StoreName,
    /// No operands; `arg` is the index of the name.
    DeleteName,
    /// No operands; `arg` is the index of the cell in `localsplus`.
    LoadDeref,
    /// `value`; `arg` is the index of the cell in `localsplus`.
    StoreDeref,
    /// No operands; `arg` is the index of the cell in `localsplus`.
    DeleteDeref,
    /// `mapping` from 3.12 on, no operands before (the mapping is the frame's `f_locals`); `arg` is the
    /// index of the cell in `localsplus`, which is read if the mapping has no such key.
    LoadClassDeref,
    /// `mapping`; `arg` is the index of the name. From 3.12 on.
    LoadFromDictOrGlobals,
    /// `container key`.
    BinarySubscr,
    /// `value container key`.
    StoreSubscr,
    /// `container key`.
    DeleteSubscr,
    /// `container start stop`. From 3.12 on.
    BinarySlice,
    /// `value container start stop`. From 3.12 on.
    StoreSlice,
    /// `element container`; `arg` is 1 for `not in`.
    Contains,
    /// `left right`; `arg` is the index of the operator in `dis.cmp_op`.
    Compare,
    /// `object`, whose truth is asked for.
    IsTrue,
    /// `iterable`.
    GetIter,
    /// `iterable`, which is kept as it is if it is a generator.
    GetYieldFromIter,
    /// `iterator`.
    ForIter,
    /// `receiver value`.
    Send,
    /// `iterable` of an `async for`.
    GetAiter,
    /// `iterator` of an `async for`.
    GetAnext,
    /// `sequence`; `arg` is the number of targets.
    UnpackSequence,
    /// `sequence`; `arg & 0xff` targets before the star, `arg >> 8` after it.
    UnpackEx,
    /// `list ... iterable`; the list is `arg` slots below the iterable.
    ListExtend,
    /// `set ... iterable`; the set is `arg` slots below the iterable.
    SetUpdate,
    /// `dict ... mapping`; the dict is `arg` slots below the mapping.
    DictUpdate,
    /// `dict ... mapping`; the dict is `arg` slots below the mapping.
    DictMerge,
    /// `callable self-or-NULL argument*argc` from 3.13 on.
    /// Before: `NULL callable argument*argc`, or `method self argument*argc` if the first is not NULL.
    /// Keyword arguments are the last of the arguments, see [`SiteSpec::keyword_names`].
    Call,
    /// `callable self-or-NULL argument*argc names`, where `names` is a tuple. From 3.13 on.
    CallKw,
    /// `NULL callable arguments`, from 3.13 on `callable NULL arguments`; then `keywords` if `arg & 1`, which may be NULL.
    CallFunctionEx,
    /// `left right`; `arg` is the argument of `BINARY_OP`, below 13.
    BinaryOp,
    /// `left right`; `arg` is the argument of `BINARY_OP`, 13 (`NB_INPLACE_ADD`) or more.
    InplaceOp,
    /// `operand` of unary plus, minus or invert.
    UnaryOp,
    /// `object`, then `specification` if `arg & 4`; `arg & 3` asks for `str`, `repr` or `ascii` first.
    FormatValue,
    /// `manager`. Up to 3.13.
    BeforeWith,
    /// `manager`. Up to 3.13.
    BeforeAsyncWith,
    /// `exit last-instruction previous-exception exception`, from 3.14 on with `self-or-NULL` behind `exit`, which is about to
    /// be called.
    WithExceptStart,
    /// `level fromlist`; `arg` is the index of the name.
    ImportName,
    /// `module`; `arg` is the index of the name.
    ImportFrom,
    /// `module`; its names are stored in the frame's `f_locals`.
    ImportStar,
    /// `subject`.
    MatchMapping,
    /// `subject`.
    MatchSequence,
    /// `subject keys`.
    MatchKeys,
    /// `subject class names`; `arg` is the number of positional patterns.
    MatchClass,
    /// `object`.
    GetLen,
    /// `value`. Not for the `yield` inside an `await` or `yield from`, which belongs to its `Send`.
    /// `arg` is the instruction's own, of no use here.
    YieldValue,
    /// `object`; `arg` is 1 for the result of `__aenter__`, 2 for that of `__aexit__`.
    GetAwaitable,
    /// `value`, or no operand where a constant is returned. `arg` is of no use here.
    Return,
    /// `exception`, which may leave the frame; under it `arg` says what.
    Reraise,
    /// No operands: the body of a function begins, and its arguments are in place. It is no instruction, and
    /// takes the place of the hook of the first one.
    Enter,
}

impl SiteKind {
    /// The bit of this kind in a [`KindSet`].
    const fn bit(self) -> u64 {
        1 << self as u8
    }
}

/// A set of kinds: which visible operations get a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindSet(u64);

impl KindSet {
    /// No kind.
    pub const NONE: KindSet = KindSet(0);

    /// Every kind.
    pub const ALL: KindSet = KindSet((1 << SiteKind::ALL.len()) - 1);

    /// The set with these kinds.
    pub const fn of(kinds: &[SiteKind]) -> KindSet {
        let mut set = KindSet::NONE;
        let mut next = 0;
        while next < kinds.len() {
            set = set.with(kinds[next]);
            next += 1;
        }
        set
    }

    /// The set whose bit `kind as u8` says whether `kind` is in it; other bits are ignored.
    pub const fn from_bits(bits: u64) -> KindSet {
        KindSet(bits & KindSet::ALL.0)
    }

    /// The inverse of [`KindSet::from_bits`].
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// This set and one more kind.
    pub const fn with(self, kind: SiteKind) -> KindSet {
        KindSet(self.0 | kind.bit())
    }

    /// This set without one kind.
    pub const fn without(self, kind: SiteKind) -> KindSet {
        KindSet(self.0 & !kind.bit())
    }

    /// Whether the kind is in the set.
    pub const fn contains(self, kind: SiteKind) -> bool {
        self.0 & kind.bit() != 0
    }
}

/// What a hook has to know about the instruction it guards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SiteSpec {
    /// Whether the instruction, or another one for the same piece of source, can be executed again without leaving the
    /// frame or taking from an iterator. (The compiler writes the condition of a `while` loop twice.)
    pub in_loop: bool,
    /// Whether no other hook may come before it in a frame that begins.
    pub first: bool,
    /// Whether it may be the next one after a hook that stands before it, by way of a jump backwards.
    pub around: bool,
    /// The operation.
    pub kind: SiteKind,
    /// The decoded argument; its meaning is given with the kind. Zero if the kind says nothing.
    pub arg: u32,
    /// The instruction asks for a method to be called: the result will take two slots.
    pub method_form: bool,
    /// For a `Call` with keyword arguments before 3.13: the index of the constant that names them.
    pub keyword_names: Option<u32>,
    /// Number of values, NULLs included, on the stack when the hook is entered with its own two popped.
    pub depth: u32,
    /// Unit of the opcode, prefixes skipped, in the original code: half of `f_lasti` when it executes there.
    pub original_unit: u32,
    /// First line of the expression, or 0 if the instruction has none.
    pub line: u32,
    /// Last line of the expression, or 0 if the instruction has none.
    pub end_line: u32,
    /// Column of the expression in UTF-8 bytes, or -1 if unknown.
    pub column: i32,
    /// Column after the expression in UTF-8 bytes, or -1 if unknown.
    pub end_column: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_fit_the_set_and_are_numbered_in_order() {
        assert!(SiteKind::ALL.len() < 64);
        for (number, &kind) in SiteKind::ALL.iter().enumerate() {
            assert_eq!(kind as usize, number);
            assert!(KindSet::ALL.contains(kind));
            assert!(!KindSet::ALL.without(kind).contains(kind));
            assert_eq!(KindSet::of(&[kind]), KindSet::NONE.with(kind));
        }
        assert_eq!(KindSet::from_bits(u64::MAX), KindSet::ALL);
    }
}
