//! The commands of Redis: which keys each reads and writes.
//!
//! Model: one table says where in a command its keys are. A command that may change something, or not, counts as one that
//! changes it. What is not in the table, or is not as the table says, may touch anything; so may what looks at all keys.
//!
//! Invariant: a key's fields are parts of it only for the commands that cannot make the key go away or expire.
//!
//! Not here: transactions (redis).

use std::ops::Range;

/// A key, or one field of it.
pub type Key = (Vec<u8>, Option<Vec<u8>>);

/// What a command touches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// What is read.
    pub reads: Vec<Key>,
    /// What is changed.
    pub writes: Vec<Key>,
    /// Whether that is not known.
    pub anything: bool,
}

impl Touched {
    /// Adds what another command touches.
    pub fn add(&mut self, other: Touched) {
        self.reads.extend(other.reads);
        self.writes.extend(other.writes);
        self.anything |= other.anything;
    }
}

/// What a command means for its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Plain,
    /// It may wait until a key is there.
    Blocks,
    /// What follows is executed later.
    Multi,
    /// What has been queued is executed, unless what has been watched was changed.
    Exec,
    /// What has been queued is not executed.
    Discard,
    /// Keys are watched.
    Watch,
    /// Keys are not watched any more.
    Unwatch,
    /// The keys are those of this database.
    Select(i64),
    /// The version of the protocol.
    Hello(u8),
    /// There will be other answers than one a command.
    Unreadable,
}

/// Where the keys of a command are. The command itself is word 0.
#[derive(Clone, Copy)]
enum At {
    /// A word.
    Word(usize),
    /// All from a word on.
    From(usize),
    /// All from a word on but the last.
    ButLast(usize),
    /// Every other word from one on.
    Pairs(usize),
    /// As many as this word says, which they follow.
    Counted(usize),
    /// The key in word 1, and in it the field in word 2.
    Field,
    /// The key in word 1, and in it the fields from word 2 on.
    Fields,
    /// The key in word 1, and in it every other word from 2 on.
    FieldPairs,
}

use At::{ButLast, Counted, Field, FieldPairs, Fields, From, Pairs, Word};

/// Commands that touch the same: what they read, and what they write.
type Row = (&'static str, &'static [At], &'static [At]);

const FIRST: At = Word(1);

/// The table.
const TABLE: &[Row] = &[
    (
        "PING ECHO AUTH SELECT HELLO QUIT TIME COMMAND LASTSAVE MULTI EXEC DISCARD UNWATCH READONLY READWRITE",
        &[],
        &[],
    ),
    ("GET STRLEN GETRANGE SUBSTR GETBIT BITCOUNT BITPOS BITFIELD_RO TYPE DUMP", &[FIRST], &[]),
    ("TTL PTTL EXPIRETIME PEXPIRETIME", &[FIRST], &[]),
    ("LLEN LINDEX LRANGE LPOS SCARD SISMEMBER SMISMEMBER SMEMBERS SRANDMEMBER SSCAN", &[FIRST], &[]),
    ("HLEN HKEYS HVALS HGETALL HSCAN HRANDFIELD XLEN XRANGE XREVRANGE", &[FIRST], &[]),
    ("ZCARD ZSCORE ZMSCORE ZRANK ZREVRANK ZRANGE ZRANGEBYSCORE ZREVRANGE ZREVRANGEBYSCORE", &[FIRST], &[]),
    ("ZRANGEBYLEX ZREVRANGEBYLEX ZCOUNT ZLEXCOUNT ZRANDMEMBER ZSCAN", &[FIRST], &[]),
    ("GEOPOS GEODIST GEOHASH GEOSEARCH GEORADIUS_RO GEORADIUSBYMEMBER_RO", &[FIRST], &[]),
    ("EXISTS MGET TOUCH SINTER SUNION SDIFF WATCH", &[From(1)], &[]),
    ("LCS", &[Word(1), Word(2)], &[]),
    ("SINTERCARD ZUNION ZINTER ZDIFF ZINTERCARD", &[Counted(1)], &[]),
    ("HGET HEXISTS HSTRLEN", &[Field], &[]),
    ("HMGET", &[Fields], &[]),
    ("HSETNX HINCRBY HINCRBYFLOAT", &[], &[Field]),
    ("HSET HMSET", &[], &[FieldPairs]),
    ("SET SETNX SETEX PSETEX GETSET GETDEL GETEX APPEND SETRANGE SETBIT BITFIELD", &[], &[FIRST]),
    ("INCR DECR INCRBY DECRBY INCRBYFLOAT", &[], &[FIRST]),
    ("EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST RESTORE", &[], &[FIRST]),
    ("LPUSH RPUSH LPUSHX RPUSHX LPOP RPOP LSET LINSERT LREM LTRIM SADD SREM SPOP HDEL", &[], &[FIRST]),
    ("ZADD ZINCRBY ZREM ZPOPMIN ZPOPMAX ZREMRANGEBYSCORE ZREMRANGEBYRANK ZREMRANGEBYLEX", &[], &[FIRST]),
    ("XADD XDEL XTRIM XSETID XACK GEOADD PFADD", &[], &[FIRST]),
    // Counting a cardinality writes it into the key.
    ("DEL UNLINK PFCOUNT", &[], &[From(1)]),
    ("MSET MSETNX", &[], &[Pairs(1)]),
    ("RENAME RENAMENX RPOPLPUSH LMOVE SMOVE BLMOVE BRPOPLPUSH", &[], &[Word(1), Word(2)]),
    ("SINTERSTORE SUNIONSTORE SDIFFSTORE PFMERGE", &[From(2)], &[FIRST]),
    ("ZRANGESTORE GEOSEARCHSTORE", &[Word(2)], &[FIRST]),
    ("ZUNIONSTORE ZINTERSTORE ZDIFFSTORE", &[Counted(2)], &[FIRST]),
    ("BITOP", &[From(3)], &[Word(2)]),
    ("LMPOP ZMPOP", &[], &[Counted(1)]),
    ("BLPOP BRPOP BZPOPMIN BZPOPMAX", &[], &[ButLast(1)]),
    ("BLMPOP BZMPOP", &[], &[Counted(2)]),
];

/// Commands that wait: for which keys, and which word says how long, counted from the end where that is negative.
const BLOCKING: &[(&str, At, isize)] = &[
    ("BLPOP BRPOP BZPOPMIN BZPOPMAX", ButLast(1), -1),
    ("BLMOVE BRPOPLPUSH", FIRST, -1),
    ("BLMPOP BZMPOP", Counted(2), 1),
];

/// What is asked of a connection without touching a key or changing its answers.
const HARMLESS: &[&str] = &["SETNAME", "SETINFO", "GETNAME", "ID", "NO-EVICT", "NO-TOUCH"];

/// Commands after which answers are not one a command.
const OTHER_ANSWERS: &str =
    "SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE MONITOR SYNC PSYNC RESET";

fn is_in(names: &str, name: &str) -> bool {
    names.split(' ').any(|one| one == name)
}

fn name(words: &[Vec<u8>]) -> String {
    words.first().map_or_else(String::new, |word| String::from_utf8_lossy(word).to_uppercase())
}

fn row(name: &str) -> Option<&'static Row> {
    TABLE.iter().find(|(names, ..)| is_in(names, name))
}

/// Whether a command is one that Redis has.
pub fn is_known(words: &[Vec<u8>]) -> bool {
    let name = name(words);
    name == "CLIENT" || is_in(OTHER_ANSWERS, &name) || row(&name).is_some()
}

/// What a command means for its connection.
pub fn kind(words: &[Vec<u8>]) -> Kind {
    let number = |at: usize| std::str::from_utf8(words.get(at)?).ok()?.parse::<i64>().ok();
    let name = name(words);
    match name.as_str() {
        "MULTI" => Kind::Multi,
        "EXEC" => Kind::Exec,
        "DISCARD" => Kind::Discard,
        "WATCH" => Kind::Watch,
        "UNWATCH" => Kind::Unwatch,
        "SELECT" => number(1).map_or(Kind::Unreadable, Kind::Select),
        "HELLO" => match number(1) {
            Some(2) => Kind::Hello(2),
            Some(3) => Kind::Hello(3),
            _ => Kind::Plain,
        },
        "CLIENT" if words.get(1).is_some_and(|word| is_reply_control(word)) => Kind::Unreadable,
        name if is_in(OTHER_ANSWERS, name) => Kind::Unreadable,
        name if blocking(name).is_some() => Kind::Blocks,
        _ => Kind::Plain,
    }
}

fn is_reply_control(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"TRACKING") || word.eq_ignore_ascii_case(b"REPLY")
}

fn blocking(name: &str) -> Option<&'static (&'static str, At, isize)> {
    BLOCKING.iter().find(|(names, ..)| is_in(names, name))
}

/// The keys that a command touches.
pub fn touched(words: &[Vec<u8>]) -> Touched {
    let name = name(words);
    let subcommand = words.get(1).map(|word| String::from_utf8_lossy(word).to_uppercase());
    if name == "CLIENT" && subcommand.is_some_and(|word| HARMLESS.contains(&word.as_str())) {
        return Touched::default();
    }
    let keys = |places: &[At]| {
        let found: Option<Vec<Vec<Key>>> = places.iter().map(|at| keys(words, *at)).collect();
        found.map(|found| found.concat())
    };
    let known = row(&name).and_then(|(_, reads, writes)| {
        Some(Touched { reads: keys(reads)?, writes: keys(writes)?, anything: false })
    });
    known.unwrap_or(Touched { anything: true, ..Touched::default() })
}

/// Whether a command puts values in the place of whatever its keys have held, and says nothing of that.
pub fn overwrites(words: &[Vec<u8>]) -> bool {
    match name(words).as_str() {
        "MSET" => true,
        "SETEX" | "PSETEX" => words.len() == 4,
        // More words may say that it is to be done on some condition, or what was there is to be told.
        "SET" => words.len() == 3,
        _ => false,
    }
}

/// What a blocking command waits for; `None` if the server will not wait, since it is no such command.
pub fn awaited(words: &[Vec<u8>]) -> Option<super::redis::Awaited> {
    let (_, at, time) = blocking(&name(words))?;
    let found = keys(words, *at)?;
    let place = if *time < 0 { words.len().checked_add_signed(*time)? } else { *time as usize };
    let seconds: f64 = std::str::from_utf8(words.get(place)?).ok()?.parse().ok()?;
    let patience_ms = (seconds > 0.0).then_some((seconds * 1000.0).ceil() as u64);
    Some(super::redis::Awaited { keys: found.into_iter().map(|(key, _)| key).collect(), patience_ms })
}

/// The keys at a place; `None` if there are none, which is no command that the server executes.
fn keys(words: &[Vec<u8>], at: At) -> Option<Vec<Key>> {
    let all = words.len();
    let whole = |range: Range<usize>, step: usize| {
        let found: Vec<Key> =
            words.get(range)?.iter().step_by(step).map(|word| (word.clone(), None)).collect();
        (!found.is_empty()).then_some(found)
    };
    let fields = |range: Range<usize>, step: usize| {
        let (key, fields) = (words.get(1)?, words.get(range)?);
        let found: Vec<Key> =
            fields.iter().step_by(step).map(|field| (key.clone(), Some(field.clone()))).collect();
        (!found.is_empty()).then_some(found)
    };
    match at {
        Word(at) => whole(at..at + 1, 1),
        From(at) => whole(at..all, 1),
        ButLast(at) => whole(at..all.checked_sub(1)?, 1),
        Pairs(at) => whole(at..all, 2),
        Counted(at) => {
            let count: usize = std::str::from_utf8(words.get(at)?).ok()?.parse().ok()?;
            whole(at + 1..(at + 1).checked_add(count)?, 1)
        }
        Field => fields(2..3, 1),
        Fields => fields(2..all, 1),
        FieldPairs => fields(2..all, 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Vec<u8>> {
        text.split(' ').map(|word| word.as_bytes().to_vec()).collect()
    }

    fn shown(text: &str) -> String {
        let touched = touched(&words(text));
        if touched.anything {
            return "anything".to_owned();
        }
        let list = |keys: &[Key]| {
            let one = |(key, field): &Key| {
                let part = field.iter().map(|field| format!(".{}", String::from_utf8_lossy(field)));
                String::from_utf8_lossy(key).into_owned() + &part.collect::<String>()
            };
            keys.iter().map(one).collect::<Vec<_>>().join(" ")
        };
        format!("{} | {}", list(&touched.reads), list(&touched.writes))
    }

    #[test]
    fn the_table_says_where_keys_are() {
        assert_eq!(shown("get a"), "a | ");
        assert_eq!(shown("MSET a 1 b 2"), " | a b");
        assert_eq!(shown("HSET h f 1 g 2"), " | h.f h.g");
        assert_eq!(shown("HMGET h f g"), "h.f h.g | ");
        assert_eq!(shown("HDEL h f"), " | h");
        assert_eq!(shown("ZUNIONSTORE d 2 a b WEIGHTS 1 2"), "a b | d");
        assert_eq!(shown("BITOP AND d a b"), "a b | d");
        assert_eq!(shown("BLPOP a b 0"), " | a b");
        assert_eq!(shown("CLIENT SETINFO LIB-NAME x"), " | ");
    }

    #[test]
    fn what_is_not_understood_may_touch_anything() {
        for text in [
            "EVAL return 0",
            "KEYS *",
            "FLUSHALL",
            "GET",
            "ZUNIONSTORE d x a",
            "LMPOP 9 a LEFT",
            "CLIENT KILL x",
        ] {
            assert_eq!(shown(text), "anything", "{text}");
        }
    }

    #[test]
    fn a_blocking_command_says_for_what_and_how_long() {
        let awaited = awaited(&words("BLMPOP 0.5 2 a b LEFT")).unwrap();
        assert_eq!((awaited.keys, awaited.patience_ms), (words("a b"), Some(500)));
        assert_eq!(super::awaited(&words("BLPOP a 0")).unwrap().patience_ms, None);
    }

    #[test]
    fn no_command_has_two_rows() {
        let mut names: Vec<&str> = TABLE.iter().flat_map(|(names, ..)| names.split(' ')).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
