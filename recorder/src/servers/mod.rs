//! What a request to a server does, as far as its protocol tells: which rows or keys, whose locks.
//!
//! Model: a *connection* carries requests one way and answers the other. Its bytes are watched on their way; when a
//! request is complete, the server may act on it, so that is when it happens. What is not understood is said to be so
//! and conflicts with everything on its server.
//!
//! Module map: [`postgres`] the protocol of PostgreSQL, [`sql`] what a statement does, [`table`] what is known of the
//! tables that it names · [`redis`] the protocol of Redis, [`commands`] the keys that its commands name ·
//! [`inputs`] what servers have told a run, [`redaction`] without what nobody is to see, and [`reenactment`] telling it again.
//!
//! Not here: sockets, waiting, and the order of requests (crate `python`).

pub mod commands;
pub mod inputs;
pub mod postgres;
pub mod redaction;
pub mod redis;
pub mod reenactment;
pub mod sql;
pub mod table;
