//! What happened: rewriting bytecode, naming threads and objects, deciding whose turn it is, and writing one
//! execution down.
//!
//! Module map: [`bytecode`] where hooks go · [`gate`] who runs next, over [`sampling`] · [`parking`] where threads wait ·
//! [`identity`] and [`key`] which object and which key is which, [`hashes`] for those that have none, over [`blocks`] of memory · [`recording`] the trace being written · [`watch`] what a loop
//! has read · [`held`] what its state hangs on · [`servers`] what a request to a server does.
//!
//! Not here: the interpreter. This crate knows bytes, addresses and operations; what connects them to CPython
//! is the crate `python`.

pub mod blocks;
pub mod bytecode;
pub mod gate;
pub mod hashes;
pub mod held;
pub mod identity;
pub mod key;
pub mod parking;
pub mod recording;
pub mod sampling;
pub mod servers;
pub mod watch;
