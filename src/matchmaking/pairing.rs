//! The rule of who meets whom, without I/O.
//!
//! Two tickets fit when they share a language and their roles complement each other; once the older of
//! the two has waited [`WIDEN_AFTER`], the roles no longer count. Two visitors who have just talked do not fit for
//! [`RECENT_FOR`] unless both said that they do not mind. Two who are both struggling badly never fit. Among those
//! who fit, the one who waited longest comes first.
//!
//! The pool keeps one queue per language, role and whether they struggle, in the order of waiting. A join looks only at
//! the heads of the queues that could fit (at most eight languages times three roles times two), stepping over nobody but recent
//! partners and those whom reports keep apart, so its cost does not grow with the number waiting: only with how many
//! of a network wait that is barred from one's own.
//!
//! Between calls one thing always holds: no two tickets in the pool fit each other at the last moment that
//! was passed in. A pair can begin to fit only by a join, by the older ticket's widening or by a recent
//! meeting's fading; each of these is an event, and each event looks for its pair.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::bars::Bars;
use crate::mailbox::{Person, TicketId, VisitorId, Whence};
use crate::protocol::{Languages, Role, Struggling};

/// How long a wish to talk or to listen is held before anybody who shares a language will do. Where people come every
/// two seconds these ten seconds let an eighth more of the wishes come true, at the price of one visitor more in a
/// hundred who gives up; another ten would cost half as much again for two thirds of it. At night nothing is won by holding, and somebody
/// who is the only other one there is kept for these seconds and no longer (`cargo bench --bench market`).
pub const WIDEN_AFTER: Duration = Duration::from_secs(10);

/// How long two who have just talked are kept apart. Whoever presses again wants somebody else; after ten
/// minutes meeting again is a coincidence and no longer a refusal undone.
pub const RECENT_FOR: Duration = Duration::from_secs(10 * 60);

/// How many matches with one visitor anybody of a network may drop: lines fail, and people press the wrong button.
pub const DROPS: u32 = 3;

/// One visitor's wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Names this wait; later tickets have higher numbers.
    pub id: TicketId,
    /// Whose it is.
    pub visitor: VisitorId,
    /// Where they come from, where that is known.
    pub whence: Option<Whence>,
    /// What they want to talk in.
    pub languages: Languages,
    /// What they would rather do.
    pub role: Role,
    /// Whether they mind meeting a recent partner again.
    pub avoid_recent: bool,
    /// Whether they are struggling badly: then only with somebody who is not.
    pub struggling: Struggling,
    /// When the waiting began. Somebody put back after a vanished partner keeps the first moment.
    pub joined: Instant,
}

impl Ticket {
    /// The order of waiting: who joined first, and between equals who has the lower number.
    fn place(&self) -> Place {
        (self.joined, self.id)
    }
}

/// Two tickets that meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The one who waited longer.
    pub older: Ticket,
    /// The other.
    pub newer: Ticket,
}

impl Pair {
    fn of(one: Ticket, other: Ticket) -> Self {
        if one.place() <= other.place() { Self { older: one, newer: other } } else { Self { older: other, newer: one } }
    }
}

type Place = (Instant, TicketId);

/// A primary language subtag, padded with zeros.
type Tag = [u8; 3];

/// Everybody who waits, and who has just talked with whom.
#[derive(Debug)]
pub struct Pool {
    /// See [`WIDEN_AFTER`].
    widen_after: Duration,
    tickets: HashMap<TicketId, Ticket>,
    by_visitor: HashMap<VisitorId, TicketId>,
    queues: HashMap<(Tag, Role, Struggling), BTreeSet<Place>>,
    /// When each ticket's role stops counting. `Either` is never in it.
    widenings: BTreeSet<Place>,
    /// Until when each visitor is kept apart from whom; both directions.
    recent: HashMap<VisitorId, HashMap<VisitorId, Instant>>,
    /// The same by moment, each pair once, the lower visitor first.
    fadings: BTreeSet<(Instant, VisitorId, VisitorId)>,
    /// Who is not to meet at all, by reports that count.
    bars: Bars,
    /// The same by what costs nobody anything to do, so that it displaces none of these.
    lesser: Bars,
    /// How often somebody of a network has dropped a match with one visitor.
    drops: HashMap<(u64, VisitorId), u32>,
    /// The same by when it was first.
    dropped: VecDeque<(Instant, (u64, VisitorId))>,
}

impl Default for Pool {
    /// An empty pool that widens after [`WIDEN_AFTER`].
    fn default() -> Self {
        Self::widening_after(WIDEN_AFTER)
    }
}

impl Pool {
    /// An empty pool that holds wishes for another while: for the simulation that [`WIDEN_AFTER`] is chosen by.
    pub fn widening_after(widen_after: Duration) -> Self {
        Self {
            widen_after,
            tickets: HashMap::new(),
            by_visitor: HashMap::new(),
            queues: HashMap::new(),
            widenings: BTreeSet::new(),
            recent: HashMap::new(),
            fadings: BTreeSet::new(),
            bars: Bars::default(),
            lesser: Bars::default(),
            drops: HashMap::new(),
            dropped: VecDeque::new(),
        }
    }

    /// Lets time pass up to `now`, then puts a ticket in or pairs it at once; the last pair is the ticket's, if it
    /// is in one. A visitor has one ticket: an older one of the same visitor is dropped.
    pub fn join(&mut self, ticket: Ticket, now: Instant) -> Vec<Pair> {
        if let Some(&old) = self.by_visitor.get(&ticket.visitor) {
            self.take(old);
        }
        let mut pairs = self.advance(now);
        match self.oldest_fit(&ticket, now).and_then(|found| self.take(found)) {
            Some(partner) => pairs.push(Pair::of(partner, ticket)),
            None => self.insert(ticket, now),
        }
        pairs
    }

    /// Takes a ticket out. False when it was not there: its match is already on the way.
    pub fn leave(&mut self, ticket: TicketId) -> bool {
        self.take(ticket).is_some()
    }

    /// Notes that two visitors have talked, and keeps them apart from `now` on for [`RECENT_FOR`].
    pub fn keep_apart(&mut self, one: VisitorId, other: VisitorId, now: Instant) {
        if one == other {
            return;
        }
        let until = now + RECENT_FOR;
        for (visitor, partner) in [(one, other), (other, one)] {
            let before = self.recent.entry(visitor).or_default().insert(partner, until);
            if let Some(before) = before {
                self.fadings.remove(&(before, one.min(other), one.max(other)));
            }
        }
        self.fadings.insert((until, one.min(other), one.max(other)));
    }

    /// Keeps two people apart for a day, whatever they wish and also when they load the page anew. Whoever has a number
    /// from `newcomer` on has not come yet.
    pub fn never_again(&mut self, one: Person, other: Person, newcomer: VisitorId, now: Instant) {
        self.bars.never_again(one, other, newcomer, now);
    }

    /// Keeps two visitors apart for a day, whatever they wish, but not when they load the page anew.
    pub fn keep_strictly_apart(&mut self, one: VisitorId, other: VisitorId, now: Instant) {
        self.lesser.keep_apart(one, other, now);
    }

    /// Notes that a match was left before there was a conversation. From the third within [`RECENT_FOR`] on, nobody of
    /// that network is paired with the one who was left, who may be alone, and would be kept busy.
    pub fn drop_match(&mut self, left_by: Person, other: Person, now: Instant) {
        self.fade(now);
        let Some(whence) = left_by.whence else {
            return;
        };
        let key = (whence.network[0], other.visitor);
        let count = self.drops.entry(key).or_insert_with(|| {
            self.dropped.push_back((now, key));
            0
        });
        *count += 1;
        if *count >= DROPS {
            self.lesser.away_from(left_by, other, RECENT_FOR, now);
        }
    }

    /// Drops what no longer counts of reports and of matches that were left.
    pub fn fade(&mut self, now: Instant) {
        while let Some((_, over)) = self.dropped.pop_front_if(|(at, _)| *at + RECENT_FOR <= now) {
            self.drops.remove(&over);
        }
        self.bars.fade(now);
        self.lesser.fade(now);
    }

    fn are_barred(&self, one: &Ticket, other: &Ticket) -> bool {
        self.bars.stand(one, other) || self.lesser.stand(one, other)
    }

    /// Whether a visitor is being kept apart from somebody.
    pub fn has_met(&self, visitor: VisitorId) -> bool {
        self.recent.contains_key(&visitor)
    }

    /// From whom a visitor is being kept apart, and until when.
    pub fn met(&self, visitor: VisitorId) -> Vec<(VisitorId, Instant)> {
        let recent = self.recent.get(&visitor).into_iter().flatten();
        recent.map(|(partner, until)| (*partner, *until)).collect()
    }

    /// All who are being kept apart after a call, each pair once, and until when.
    pub fn recents(&self) -> impl Iterator<Item = (VisitorId, VisitorId, Instant)> {
        self.fadings.iter().map(|(until, one, other)| (*one, *other, *until))
    }

    /// Drops all that is known of a visitor who will not come back.
    pub fn forget(&mut self, visitor: VisitorId) {
        if let Some(&ticket) = self.by_visitor.get(&visitor) {
            self.take(ticket);
        }
        for (partner, until) in self.recent.remove(&visitor).unwrap_or_default() {
            self.fadings.remove(&(until, visitor.min(partner), visitor.max(partner)));
            if let Entry::Occupied(mut entry) = self.recent.entry(partner) {
                entry.get_mut().remove(&visitor);
                if entry.get().is_empty() {
                    entry.remove();
                }
            }
        }
    }

    /// Lets time pass up to `now`: the pairs that fit through waiting alone, in the order in which they came to fit.
    pub fn advance(&mut self, now: Instant) -> Vec<Pair> {
        let mut pairs = Vec::new();
        while let Some(at) = self.next_event().filter(|&at| at <= now) {
            let widening = self.widenings.first().copied().filter(|first| first.0 == at);
            if let Some((_, id)) = widening {
                self.widenings.pop_first();
                pairs.extend(self.pair_waiting(id, at));
            } else if let Some((_, one, other)) = self.fadings.pop_first() {
                self.part(one, other);
                let tickets = [one, other].map(|visitor| self.by_visitor.get(&visitor).copied());
                if let [Some(one), Some(other)] = tickets {
                    // Nobody else began to fit at this moment, so the older one's oldest fit is the other.
                    let older =
                        self.tickets.get(&one).map(Ticket::place) <= self.tickets.get(&other).map(Ticket::place);
                    pairs.extend(self.pair_waiting(if older { one } else { other }, at));
                }
            }
        }
        pairs
    }

    /// When [`Self::advance`] next has something to do.
    pub fn next_event(&self) -> Option<Instant> {
        let widening = self.widenings.first().map(|first| first.0);
        let fading = self.fadings.first().map(|first| first.0);
        widening.into_iter().chain(fading).min()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.tickets.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.tickets.is_empty()
    }

    /// Pairs a waiting ticket with its oldest fit.
    fn pair_waiting(&mut self, id: TicketId, now: Instant) -> Option<Pair> {
        let found = self.oldest_fit(self.tickets.get(&id)?, now)?;
        Some(Pair::of(self.take(id)?, self.take(found)?))
    }

    /// Who of those waiting fits `ticket` and has waited longest.
    fn oldest_fit(&self, ticket: &Ticket, now: Instant) -> Option<TicketId> {
        let widened = ticket.joined + self.widen_after <= now;
        let mut best: Option<Place> = None;
        for tag in tags(&ticket.languages) {
            for (role, struggling) in ROLES.iter().flat_map(|role| [(*role, false), (*role, true)]) {
                let Some(queue) = self.queues.get(&(tag, role, Struggling(struggling))) else {
                    continue;
                };
                if struggling && ticket.struggling.0 {
                    continue;
                }
                let any_age = widened || complement(ticket.role, role);
                let fit = queue
                    .iter()
                    .take_while(|place| any_age || place.0 + self.widen_after <= now)
                    .take_while(|place| best.is_none_or(|best| **place < best))
                    .find(|place| {
                        self.tickets
                            .get(&place.1)
                            .is_some_and(|other| other.visitor != ticket.visitor && !self.apart(ticket, other))
                    });
                best = fit.copied().or(best);
            }
        }
        best.map(|place| place.1)
    }

    /// Whether these two have just talked and are not to meet again yet.
    fn apart(&self, one: &Ticket, other: &Ticket) -> bool {
        let recent = || self.recent.get(&one.visitor).is_some_and(|recent| recent.contains_key(&other.visitor));
        (one.avoid_recent || other.avoid_recent) && recent() || self.are_barred(one, other)
    }

    fn part(&mut self, one: VisitorId, other: VisitorId) {
        for (visitor, partner) in [(one, other), (other, one)] {
            if let Entry::Occupied(mut entry) = self.recent.entry(visitor) {
                entry.get_mut().remove(&partner);
                if entry.get().is_empty() {
                    entry.remove();
                }
            }
        }
    }

    fn insert(&mut self, ticket: Ticket, now: Instant) {
        for tag in tags(&ticket.languages) {
            self.queues.entry((tag, ticket.role, ticket.struggling)).or_default().insert(ticket.place());
        }
        if ticket.role != Role::Either && ticket.joined + self.widen_after > now {
            self.widenings.insert((ticket.joined + self.widen_after, ticket.id));
        }
        self.by_visitor.insert(ticket.visitor, ticket.id);
        self.tickets.insert(ticket.id, ticket);
    }

    fn take(&mut self, id: TicketId) -> Option<Ticket> {
        let ticket = self.tickets.remove(&id)?;
        for tag in tags(&ticket.languages) {
            if let Entry::Occupied(mut entry) = self.queues.entry((tag, ticket.role, ticket.struggling)) {
                entry.get_mut().remove(&ticket.place());
                if entry.get().is_empty() {
                    entry.remove();
                }
            }
        }
        self.widenings.remove(&(ticket.joined + self.widen_after, id));
        self.by_visitor.remove(&ticket.visitor);
        Some(ticket)
    }
}

/// Every queue's.
const ROLES: [Role; 3] = [Role::Talk, Role::Listen, Role::Either];

/// Whether two roles fit at once.
fn complement(one: Role, other: Role) -> bool {
    one == Role::Either || other == Role::Either || one != other
}

fn tags(languages: &Languages) -> impl Iterator<Item = Tag> + '_ {
    languages.get().iter().map(|language| {
        let mut tag = Tag::default();
        for (to, from) in tag.iter_mut().zip(language.bytes()) {
            *to = from;
        }
        tag
    })
}

#[cfg(test)]
mod tests;
