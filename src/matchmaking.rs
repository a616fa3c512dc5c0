//! Who meets whom.
//!
//! [`pairing`] is the rule, pure: tickets in, pairs out, time passed in. [`bars`] is who is not to meet again. [`memory`] keeps one process's
//! pool under one short lock and tells both mailboxes after the lock is released. [`redis`] has the pool of many machines,
//! by the same rule, in a Redis that they share, and a pool of its own for when that is gone. One suite holds both to one
//! contract (`tests/integration/matchmaking.rs`).
//! [`usual`] is how it usually is at an hour.

pub mod bars;
pub mod memory;
pub mod pairing;
pub mod redis;
pub mod usual;

use std::fmt;
use std::time::Instant;

use async_trait::async_trait;
use uuid::Uuid;

pub use self::memory::Memory;
pub use self::pairing::{RECENT_FOR, Ticket, WIDEN_AFTER};
pub use self::redis::Redis;
use crate::mailbox::{Mail, Mailbox, Match, Person, TicketId, VisitorId};
use crate::protocol::{Category, EndReason, Side};

use self::pairing::Pair;

/// Pairs those who wait. Nothing in it blocks for longer than microseconds; what comes of it comes by mail.
#[async_trait]
pub trait Matchmaker: fmt::Debug + Send + Sync {
    /// A name for a visitor whose task begins. Later ones are higher.
    fn new_visitor(&self) -> VisitorId;

    /// A name for a wait that begins. Later ones are higher.
    fn new_ticket(&self) -> TicketId;

    /// Puts a ticket in. The match comes as [`Mail::Matched`], perhaps before this returns.
    fn join(&self, ticket: Ticket, mailbox: Mailbox, now: Instant);

    /// Takes a ticket out. When its match is already on the way, the visitor refuses it on arrival.
    fn leave(&self, ticket: TicketId);

    /// Notes that two visitors have talked.
    fn keep_apart(&self, one: VisitorId, other: VisitorId, now: Instant);

    /// Keeps two people apart for a day; also when they load the page anew, if the report `counts`.
    fn never_again(&self, one: Person, other: Person, counts: bool, now: Instant);

    /// Notes what was reported, where that has to be known on other machines. Does nothing where there are none.
    fn share_report(&self, _by: Person, _of: Person, _category: Category, _now: Instant) {}

    /// Notes that somebody has left a match before there was a conversation.
    fn drop_match(&self, left_by: Person, other: Person, now: Instant);

    /// Drops what no longer counts of reports and of matches that were left.
    fn fade(&self, now: Instant);

    /// Whether a visitor is being kept apart from somebody.
    fn has_met(&self, visitor: VisitorId) -> bool;

    /// Drops all that is known of a visitor whose task ends.
    fn forget(&self, visitor: VisitorId);

    /// How many of this process wait.
    fn waiting(&self) -> usize;

    /// Pairs those who come to fit by waiting. Runs for as long as the server does.
    async fn run(&self);

    /// Lets time pass up to `now`.
    fn advance(&self, now: Instant);

    /// Sees to it that others know that this process is about to end. To be called once nobody is in a call any more.
    async fn close(&self) {}
}

/// Tells two visitors of this process of their match. Whoever was paired with somebody gone is told of the match and of
/// its end: their own rules lead back to the old place, or refuse it when they have moved on meanwhile.
fn introduce(pair: &Pair, older: &Mailbox, newer: &Mailbox) {
    let call = Uuid::new_v4();
    // The newer side is at its screen this very moment, so its offer is made without delay.
    let matched = |side: Side, own: &Ticket, partner: &Ticket, mailbox: &Mailbox| {
        let matched = Match {
            call,
            side,
            offerer: side == Side::B,
            partner: Some(Person { visitor: partner.visitor, whence: partner.whence }),
            mailbox: mailbox.clone(),
            relay: None,
        };
        Mail::Matched(own.id, matched)
    };
    let gone = Mail::Gone { call, why: EndReason::Vanished };
    let newer_is_there = newer.send(matched(Side::B, &pair.newer, &pair.older, older));
    let older_is_there = older.send(matched(Side::A, &pair.older, &pair.newer, newer));
    if !newer_is_there {
        older.send(gone);
    } else if !older_is_there {
        newer.send(gone);
    }
}
