//! Who meets whom.
//!
//! [`pairing`] is the rule, pure: tickets in, pairs out, time passed in. [`memory`] keeps one process's
//! pool under one short lock and tells both mailboxes after the lock is released.

pub mod memory;
pub mod pairing;

pub use memory::Matchmaker;
pub use pairing::{RECENT_FOR, Ticket, WIDEN_AFTER};
