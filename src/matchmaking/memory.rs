//! One process's pool: the rule of [`super::pairing`] under one lock, and the telling.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use tokio::sync::Notify;

use super::pairing::{Pair, Pool, Ticket};
use super::{Matchmaker, introduce};
use crate::mailbox::{Mailbox, Person, TicketId, VisitorId};

/// Pairs the visitors of this process.
///
/// The lock is held for one call of the rule, a few microseconds, and never while a mailbox is told. It is a
/// `std::sync::Mutex` because nothing awaits under it.
#[derive(Debug, Default)]
pub struct Memory {
    state: Mutex<State>,
    /// Rung when the next event of the pool may have changed.
    changed: Notify,
    next_ticket: AtomicU64,
    next_visitor: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    pool: Pool,
    mailboxes: HashMap<TicketId, Mailbox>,
}

impl State {
    /// Joins pairs with the mailboxes of their two sides.
    fn address(&mut self, pairs: Vec<Pair>) -> Vec<(Pair, Mailbox, Mailbox)> {
        let mut take = |ticket: &Ticket| self.mailboxes.remove(&ticket.id);
        pairs
            .into_iter()
            .filter_map(|pair| Some((take(&pair.older)?, take(&pair.newer)?, pair)))
            .map(|(older, newer, pair)| (pair, older, newer))
            .collect()
    }
}

#[async_trait]
impl Matchmaker for Memory {
    fn new_visitor(&self) -> VisitorId {
        VisitorId(self.next_visitor.fetch_add(1, Ordering::Relaxed))
    }

    fn new_ticket(&self) -> TicketId {
        TicketId(self.next_ticket.fetch_add(1, Ordering::Relaxed))
    }

    fn join(&self, ticket: Ticket, mailbox: Mailbox, now: Instant) {
        let told = {
            let mut state = self.lock();
            state.mailboxes.insert(ticket.id, mailbox);
            let pairs = state.pool.join(ticket, now);
            state.address(pairs)
        };
        self.changed.notify_one();
        Self::tell(told);
    }

    fn leave(&self, ticket: TicketId) {
        let mut state = self.lock();
        state.mailboxes.remove(&ticket);
        state.pool.leave(ticket);
    }

    fn keep_apart(&self, one: VisitorId, other: VisitorId, now: Instant) {
        self.lock().pool.keep_apart(one, other, now);
        self.changed.notify_one();
    }

    fn never_again(&self, one: Person, other: Person, counts: bool, now: Instant) {
        if !counts {
            return self.lock().pool.keep_strictly_apart(one.visitor, other.visitor, now);
        }
        let newcomer = VisitorId(self.next_visitor.load(Ordering::Relaxed));
        self.lock().pool.never_again(one, other, newcomer, now);
    }

    fn drop_match(&self, left_by: Person, other: Person, now: Instant) {
        self.lock().pool.drop_match(left_by, other, now);
    }

    fn fade(&self, now: Instant) {
        self.lock().pool.fade(now);
    }

    fn has_met(&self, visitor: VisitorId) -> bool {
        self.lock().pool.has_met(visitor)
    }

    fn forget(&self, visitor: VisitorId) {
        self.lock().pool.forget(visitor);
    }

    fn waiting(&self) -> usize {
        self.lock().pool.len()
    }

    async fn run(&self) {
        loop {
            let next = self.lock().pool.next_event();
            let changed = self.changed.notified();
            match next {
                Some(at) => tokio::select! {
                    () = tokio::time::sleep_until(at.into()) => self.advance(Instant::now()),
                    () = changed => {}
                },
                None => changed.await,
            }
        }
    }

    fn advance(&self, now: Instant) {
        let told = {
            let mut state = self.lock();
            let pairs = state.pool.advance(now);
            state.address(pairs)
        };
        Self::tell(told);
    }
}

impl Memory {
    fn tell(pairs: Vec<(Pair, Mailbox, Mailbox)>) {
        for (pair, older, newer) in pairs {
            introduce(&pair, &older, &newer);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock would be a bug of ours; the pool is still the best there is.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::{Inbox, Mail, mailbox};
    use crate::matchmaking::WIDEN_AFTER;
    use crate::protocol::{EndReason, Languages, Role, Side, Struggling};

    fn ticket(maker: &Memory, role: Role, joined: Instant) -> Ticket {
        Ticket {
            id: maker.new_ticket(),
            visitor: maker.new_visitor(),
            whence: None,
            languages: Languages::new(vec!["en".to_owned()]).expect("a language"),
            role,
            avoid_recent: true,
            struggling: Struggling(false),
            joined,
        }
    }

    fn read(inbox: &mut Inbox) -> Vec<Mail> {
        inbox.close()
    }

    #[test]
    fn both_are_told_and_can_tell_each_other() {
        let (maker, now) = (Memory::default(), Instant::now());
        let ((one, mut one_in), (two, mut two_in)) = (mailbox(), mailbox());
        maker.join(ticket(&maker, Role::Either, now), one, now);
        maker.join(ticket(&maker, Role::Either, now), two, now);
        let (one, two) = (read(&mut one_in), read(&mut two_in));
        let ([Mail::Matched(_, one)], [Mail::Matched(_, two)]) = (&one[..], &two[..]) else {
            panic!("one match each");
        };
        assert_eq!(one.call, two.call);
        assert_eq!((one.side, two.side), (Side::A, Side::B));
        assert!(!one.offerer && two.offerer);
        assert_eq!(maker.waiting(), 0);
    }

    #[test]
    fn whoever_is_paired_with_somebody_gone_is_told_to_go_back() {
        for older_is_gone in [true, false] {
            let (maker, now) = (Memory::default(), Instant::now());
            let ((older, mut older_in), (newer, mut newer_in)) = (mailbox(), mailbox());
            maker.join(ticket(&maker, Role::Either, now), older, now);
            // Its task ends before its ticket is taken out.
            drop(if older_is_gone { older_in.close() } else { newer_in.close() });
            maker.join(ticket(&maker, Role::Either, now), newer, now);
            let mails = read(if older_is_gone { &mut newer_in } else { &mut older_in });
            let [Mail::Matched(_, matched), Mail::Gone { call, why: EndReason::Vanished }] = &mails[..] else {
                panic!("a match that is taken back: {mails:?}");
            };
            assert_eq!(matched.call, *call);
            let state = maker.lock();
            assert!(state.pool.is_empty() && state.mailboxes.is_empty(), "nobody is queued on behalf of somebody else");
        }
    }

    #[test]
    fn two_talkers_are_told_when_time_has_passed() {
        let (maker, now) = (Memory::default(), Instant::now());
        let ((one, mut one_in), (two, mut two_in)) = (mailbox(), mailbox());
        maker.join(ticket(&maker, Role::Talk, now), one, now);
        maker.join(ticket(&maker, Role::Talk, now), two, now);
        assert_eq!(maker.waiting(), 2);
        maker.advance(now + WIDEN_AFTER);
        assert_eq!((read(&mut one_in).len(), read(&mut two_in).len()), (1, 1));
    }
}
