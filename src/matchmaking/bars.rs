//! Who is not to meet whom again, although both are there: without I/O.
//!
//! After a report, two people are kept apart by what is known of each: the visitor, and the network, by which somebody
//! is still known who has reloaded the page. Within one network that would part everybody from everybody; there a visitor
//! is kept from the other, and from whoever comes to that network after the report, one of whom may be the other again.
//!
//! A bar is about two waits: it counts for as long as it stood when the later of them began. So between two who wait
//! nothing changes with time, and no pair has to be looked for when a bar is over.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::pairing::Ticket;
use crate::mailbox::{Person, VisitorId};

/// How long "never again" is: as long as a network can be known by at least (see [`crate::guard::EPOCH`]).
pub const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

/// A bar that is over is kept for as long as somebody could have been waiting since before.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// More bars than honest reports make in a day; the oldest goes.
const MAX_BARS: usize = 64 * 1024;

/// Who somebody is to those who are not to meet them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Name {
    Visitor(VisitorId),
    /// Everybody of a network.
    Network(u64),
    /// Everybody of a network who came later than all visitors before this one.
    Newcomer(u64, VisitorId),
}

/// To whom not, and until when.
#[derive(Debug, Default)]
struct Barred {
    exactly: HashMap<Name, Instant>,
    /// Those who came to a network later than some visitor; a few for each visitor.
    newcomers: Vec<(u64, VisitorId, Instant)>,
}

impl Barred {
    fn put(&mut self, to: Name, until: Instant) {
        match to {
            Name::Newcomer(network, first) => self.newcomers.push((network, first, until)),
            exactly => drop(self.exactly.insert(exactly, until)),
        }
    }

    /// Takes a bar out, unless it has been put again since.
    fn remove(&mut self, to: Name, until: Instant) {
        match to {
            Name::Newcomer(network, first) => {
                let index = self.newcomers.iter().position(|bar| *bar == (network, first, until));
                index.map(|index| self.newcomers.remove(index));
            }
            exactly => {
                if self.exactly.get(&exactly) == Some(&until) {
                    self.exactly.remove(&exactly);
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.exactly.is_empty() && self.newcomers.is_empty()
    }

    /// Whether somebody is among them, for a wait that began `later`.
    fn fits(&self, ticket: &Ticket, later: Instant) -> bool {
        let networks = ticket.whence.into_iter().flat_map(|whence| whence.network);
        let mut names = networks.clone().map(Name::Network).chain([Name::Visitor(ticket.visitor)]);
        let newcomer = |(network, first, until): &(u64, VisitorId, Instant)| {
            later < *until && ticket.visitor >= *first && networks.clone().any(|of| of == *network)
        };
        names.any(|name| self.exactly.get(&name).is_some_and(|until| later < *until))
            || self.newcomers.iter().any(newcomer)
    }
}

/// All bars that stand.
#[derive(Debug, Default)]
pub struct Bars {
    /// From a visitor or a network.
    from: HashMap<Name, Barred>,
    /// By the moment at which they can be forgotten: from whom, to whom, and until when.
    order: VecDeque<(Instant, Name, Name, Instant)>,
}

impl Bars {
    /// Keeps two visitors apart, and nobody else.
    pub fn keep_apart(&mut self, one: VisitorId, other: VisitorId, now: Instant) {
        self.put(Name::Visitor(one), Name::Visitor(other), now + NEVER, now);
    }

    /// Keeps two people apart for [`NEVER`]. Whoever has a number from `newcomer` on has not come yet.
    pub fn never_again(&mut self, one: Person, other: Person, newcomer: VisitorId, now: Instant) {
        let until = now + NEVER;
        self.keep_apart(one.visitor, other.visitor, now);
        let (Some(near), Some(far)) = (one.whence, other.whence) else {
            return;
        };
        if near.is_near(&far) {
            for (person, network) in [(one, far.network[0]), (other, near.network[0])] {
                self.put(Name::Visitor(person.visitor), Name::Newcomer(network, newcomer), until, now);
            }
        } else {
            let (near, far) = (Name::Network(near.network[0]), Name::Network(far.network[0]));
            self.put(Name::Visitor(one.visitor), far, until, now);
            self.put(Name::Visitor(other.visitor), near, until, now);
            self.put(near, far, until, now);
        }
    }

    /// Keeps everybody of somebody's network away from one visitor for so long. Does nothing within one network.
    pub fn away_from(&mut self, whose: Person, from: Person, time: Duration, now: Instant) {
        if let (Some(near), Some(far)) = (whose.whence, from.whence)
            && !near.is_near(&far)
        {
            self.put(Name::Visitor(from.visitor), Name::Network(near.network[0]), now + time, now);
        }
    }

    /// Whether a bar stands between these two.
    pub fn stand(&self, one: &Ticket, other: &Ticket) -> bool {
        !self.from.is_empty() && (self.keep(one, other) || self.keep(other, one))
    }

    fn keep(&self, one: &Ticket, other: &Ticket) -> bool {
        let later = one.joined.max(other.joined);
        let networks = one.whence.into_iter().flat_map(|whence| whence.network.map(Name::Network));
        let mut names = networks.chain([Name::Visitor(one.visitor)]);
        names.any(|name| self.from.get(&name).is_some_and(|barred| barred.fits(other, later)))
    }

    /// Drops what nobody can have been waiting since.
    pub fn fade(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(at, ..)| *at <= now) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some((_, from, to, until)) = self.order.pop_front() else { return };
        if let Some(barred) = self.from.get_mut(&from) {
            barred.remove(to, until);
            if barred.is_empty() {
                self.from.remove(&from);
            }
        }
    }

    fn put(&mut self, from: Name, to: Name, until: Instant, now: Instant) {
        self.fade(now);
        if self.order.len() >= MAX_BARS {
            self.drop_oldest();
        }
        self.from.entry(from).or_default().put(to, until);
        // The longest there is for all of them, so that the order is that of their making.
        self.order.push_back((now + NEVER + KEPT, from, to, until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::{TicketId, Whence};
    use crate::protocol::{Languages, Role, Struggling};

    fn person(visitor: u64, network: u64) -> Person {
        let whence = Whence { network: [network, network + 1_000], site: [network, network + 1_000] };
        Person { visitor: VisitorId(visitor), whence: Some(whence) }
    }

    fn ticket(person: Person, joined: Instant) -> Ticket {
        Ticket {
            id: TicketId(person.visitor.0),
            visitor: person.visitor,
            whence: person.whence,
            languages: Languages::new(vec!["en".to_owned()]).expect("a language"),
            role: Role::Either,
            avoid_recent: false,
            struggling: Struggling(false),
            joined,
        }
    }

    /// Whether these two may not meet if both come now.
    fn barred(bars: &Bars, one: Person, other: Person, now: Instant) -> bool {
        let (one, other) = (ticket(one, now), ticket(other, now));
        assert_eq!(bars.stand(&one, &other), bars.stand(&other, &one), "both ways");
        bars.stand(&one, &other)
    }

    #[test]
    fn two_never_meet_again_whoever_reloads() {
        let (mut bars, now) = (Bars::default(), Instant::now());
        bars.never_again(person(1, 10), person(2, 20), VisitorId(5), now);
        for (one, other, stands) in [
            ((1, 10), (2, 20), true),
            ((7, 10), (2, 20), true),
            ((1, 10), (8, 20), true),
            ((7, 10), (8, 20), true),
            // Elsewhere, as long as the page's memory lasts.
            ((1, 11), (2, 21), true),
            ((1, 11), (8, 20), true),
            ((1, 10), (3, 30), false),
            ((2, 20), (3, 30), false),
            ((7, 10), (6, 10), false),
            ((7, 20), (6, 20), false),
        ] {
            assert_eq!(barred(&bars, person(one.0, one.1), person(other.0, other.1), now), stands, "{one:?} {other:?}");
        }
        // The key has changed since: what was this epoch's mark is the last one's.
        let later = Person { whence: Some(Whence { network: [99, 20], site: [99, 20] }), ..person(8, 0) };
        assert!(barred(&bars, person(1, 10), later, now));
        assert!(!barred(&bars, person(1, 10), person(2, 20), now + NEVER));
    }

    #[test]
    fn within_one_network_only_these_two_and_who_comes_after() {
        let (mut bars, now) = (Bars::default(), Instant::now());
        bars.never_again(person(1, 10), person(2, 10), VisitorId(5), now);
        for (one, other, stands) in
            [(1, 2, true), (1, 7, true), (2, 7, true), (1, 3, false), (2, 3, false), (3, 7, false), (6, 7, false)]
        {
            assert_eq!(barred(&bars, person(one, 10), person(other, 10), now), stands, "{one} {other}");
        }
        assert!(!barred(&bars, person(1, 10), person(7, 20), now));
    }

    #[test]
    fn between_two_who_wait_nothing_changes() {
        let (mut bars, now) = (Bars::default(), Instant::now());
        bars.away_from(person(1, 10), person(2, 20), Duration::from_secs(60), now);
        let waits = ticket(person(2, 20), now);
        assert!(bars.stand(&waits, &ticket(person(7, 10), now + Duration::from_secs(59))));
        assert!(!bars.stand(&waits, &ticket(person(7, 10), now + Duration::from_secs(60))));
        assert!(!bars.stand(&waits, &ticket(person(7, 30), now)));
        bars.away_from(person(1, 10), person(3, 10), Duration::from_secs(60), now);
        assert!(!barred(&bars, person(1, 10), person(3, 10), now));
    }

    #[test]
    fn memory_is_bounded_and_comes_back() {
        let (mut bars, now) = (Bars::default(), Instant::now());
        for number in 0..MAX_BARS as u64 {
            bars.never_again(person(number, number), person(number + 1, number + 1), VisitorId(0), now);
        }
        assert_eq!(bars.order.len(), MAX_BARS);
        let standing = |bars: &Bars| bars.from.values().map(|it| it.exactly.len() + it.newcomers.len()).sum::<usize>();
        assert_eq!(standing(&bars), MAX_BARS);
        bars.never_again(person(1, 10), person(2, 20), VisitorId(0), now + NEVER + KEPT);
        assert_eq!((bars.order.len(), standing(&bars)), (4, 4));
        // The same once more is the same, for longer.
        bars.never_again(person(1, 10), person(2, 20), VisitorId(0), now + NEVER + KEPT + Duration::from_secs(1));
        assert_eq!((bars.order.len(), standing(&bars)), (8, 4));
        bars.fade(now + NEVER + KEPT + NEVER + KEPT);
        assert_eq!((bars.order.len(), standing(&bars)), (4, 4));
    }

    #[test]
    fn nothing_is_left_two_days_after_a_report() {
        let (mut bars, now) = (Bars::default(), Instant::now());
        bars.never_again(person(1, 10), person(2, 20), VisitorId(5), now);
        bars.away_from(person(1, 10), person(3, 30), Duration::from_secs(60), now);
        bars.fade(now + NEVER);
        assert!(!bars.from.is_empty(), "somebody may have been waiting since before");
        bars.fade(now + NEVER + KEPT);
        assert!(bars.from.is_empty() && bars.order.is_empty());
    }
}
