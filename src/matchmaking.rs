//! Who meets whom.
//!
//! [`pairing`] is the rule, pure: tickets in, pairs out, time passed in. [`bars`] is who is not to meet again. [`memory`] keeps one process's
//! pool under one short lock and tells both mailboxes after the lock is released. [`usual`] is how it usually is at an hour.

pub mod bars;
pub mod memory;
pub mod pairing;
pub mod usual;

pub use memory::Matchmaker;
pub use pairing::{RECENT_FOR, Ticket, WIDEN_AFTER};
