//! The rule against a slow twin that looks at everybody, over thousands of random histories.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::bars::{KEPT, NEVER};
use super::*;

/// The same rule without queues: every question is answered by looking at all pairs.
#[derive(Default)]
struct Twin {
    waiting: Vec<Ticket>,
    apart: BTreeMap<(VisitorId, VisitorId), Instant>,
    /// Who has reported whom, who was the first not to have come by then, and when.
    reports: Vec<(VisitorId, VisitorId, VisitorId, Instant)>,
    /// By network and who was dropped: when first, and how often.
    drops: BTreeMap<(u64, VisitorId), (Instant, u32)>,
    /// Whom nobody of which network meets, and until when.
    away: Vec<(VisitorId, u64, Instant)>,
}

/// Three networks, and somebody of whom none is known.
fn network(visitor: VisitorId) -> Option<u64> {
    (visitor.0 % 4).checked_sub(1)
}

fn person(visitor: VisitorId) -> Person {
    let whence =
        network(visitor).map(|network| Whence { network: [network, network + 10], site: [network, network + 10] });
    Person { visitor, whence }
}

impl Twin {
    fn fits(&self, one: &Ticket, other: &Ticket, now: Instant) -> bool {
        let shared = one.languages.get().iter().any(|tag| other.languages.get().contains(tag));
        let roles = !matches!((one.role, other.role), (Role::Talk, Role::Talk) | (Role::Listen, Role::Listen))
            || one.joined.min(other.joined) + WIDEN_AFTER <= now;
        let key = (one.visitor.min(other.visitor), one.visitor.max(other.visitor));
        let apart = self.apart.contains_key(&key) && (one.avoid_recent || other.avoid_recent);
        let both_struggle = one.struggling.0 && other.struggling.0;
        one.visitor != other.visitor && shared && roles && !apart && !both_struggle && !self.barred(one, other)
    }

    fn barred(&self, one: &Ticket, other: &Ticket) -> bool {
        let later = one.joined.max(other.joined);
        [(one.visitor, other.visitor), (other.visitor, one.visitor)].into_iter().any(|(one, other)| {
            let away = self
                .away
                .iter()
                .any(|(visitor, from, until)| *visitor == one && network(other) == Some(*from) && later < *until);
            away || self.reports.iter().any(|&(by, of, newcomer, at)| {
                let both = (one, other) == (by, of);
                let by_networks = network(by).is_some()
                    && network(of).is_some()
                    && if network(by) == network(of) {
                        [by, of].contains(&one) && network(other) == network(of) && other >= newcomer
                    } else {
                        (one == by || network(one) == network(by)) && (other == of || network(other) == network(of))
                    };
                later < at + NEVER && (both || by_networks)
            })
        })
    }

    fn drop_match(&mut self, by: VisitorId, other: VisitorId, now: Instant) {
        let Some(from) = network(by) else { return };
        let entry = self.drops.entry((from, other)).or_insert((now, 0));
        if entry.0 + RECENT_FOR <= now {
            *entry = (now, 0);
        }
        entry.1 += 1;
        if entry.1 >= DROPS && network(other).is_some_and(|network| network != from) {
            self.away.push((other, from, now + RECENT_FOR));
        }
    }

    fn oldest_fit(&self, ticket: &Ticket, now: Instant) -> Option<TicketId> {
        self.waiting
            .iter()
            .filter(|other| other.id != ticket.id && self.fits(ticket, other, now))
            .min_by_key(|other| other.place())
            .map(|other| other.id)
    }

    fn take(&mut self, id: TicketId) -> Option<Ticket> {
        let index = self.waiting.iter().position(|ticket| ticket.id == id)?;
        Some(self.waiting.swap_remove(index))
    }

    fn pair_waiting(&mut self, id: TicketId, now: Instant) -> Option<Pair> {
        let ticket = self.waiting.iter().find(|ticket| ticket.id == id)?.clone();
        let found = self.oldest_fit(&ticket, now)?;
        self.take(id);
        Some(Pair::of(ticket, self.take(found)?))
    }

    fn advance(&mut self, from: Instant, now: Instant) -> Vec<Pair> {
        let mut events = BTreeSet::new();
        for ticket in &self.waiting {
            let at = ticket.joined + WIDEN_AFTER;
            if ticket.role != Role::Either && from < at && at <= now {
                events.insert((at, 0, ticket.id.0, 0));
            }
        }
        for (pair, &until) in &self.apart {
            if until <= now {
                events.insert((until, 1, pair.0.0, pair.1.0));
            }
        }
        let mut pairs = Vec::new();
        for (at, kind, one, other) in events {
            if kind == 0 {
                pairs.extend(self.pair_waiting(TicketId(one), at));
            } else {
                self.apart.remove(&(VisitorId(one), VisitorId(other)));
                let mut two: Vec<_> = self
                    .waiting
                    .iter()
                    .filter(|ticket| [one, other].contains(&ticket.visitor.0))
                    .map(Ticket::place)
                    .collect();
                two.sort();
                if let [older, _] = two[..] {
                    pairs.extend(self.pair_waiting(older.1, at));
                }
            }
        }
        pairs
    }
}

#[derive(Debug, Clone)]
enum Step {
    Join {
        visitor: u64,
        languages: u8,
        role: Role,
        avoid_recent: bool,
        struggling: bool,
    },
    Leave {
        visitor: u64,
    },
    Pass {
        millis: u64,
    },
    /// The oldest call ends after both have talked.
    End,
    /// The oldest call is reported by its newer side, when visitors from this one on had not come yet.
    Report {
        newcomer: u64,
    },
    /// In the oldest call the older side vanishes before it begins: the newer one goes back to its place.
    Vanish,
    Forget {
        visitor: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let role = prop_oneof![Just(Role::Talk), Just(Role::Listen), Just(Role::Either)];
    prop_oneof![
        8 => (0..12_u64, 1..8_u8, role, prop::bool::weighted(0.7), prop::bool::weighted(0.3)).prop_map(
            |(visitor, languages, role, avoid_recent, struggling)| {
                Step::Join { visitor, languages, role, avoid_recent, struggling }
            }),
        2 => (0..12_u64).prop_map(|visitor| Step::Leave { visitor }),
        4 => prop_oneof![Just(0), Just(1), 1..20_000_u64, Just(15_000), 1..700_000_u64, Just(24 * 3_600_000)].prop_map(|millis| Step::Pass { millis }),
        4 => Just(Step::End),
        3 => Just(Step::Vanish),
        2 => (0..14_u64).prop_map(|newcomer| Step::Report { newcomer }),
        1 => (0..12_u64).prop_map(|visitor| Step::Forget { visitor }),
    ]
}

fn languages(bits: u8) -> Languages {
    let tags: Vec<String> = ["en", "de", "fil"]
        .into_iter()
        .enumerate()
        .filter(|(index, _)| bits & (1 << index) != 0)
        .map(|(_, tag)| tag.to_owned())
        .collect();
    Languages::new(tags).expect("one to three different tags")
}

fn ticket(id: u64, visitor: u64, bits: u8, role: Role, joined: Instant) -> Ticket {
    Ticket {
        id: TicketId(id),
        visitor: VisitorId(visitor),
        whence: person(VisitorId(visitor)).whence,
        languages: languages(bits),
        role,
        avoid_recent: true,
        struggling: Struggling(false),
        joined,
    }
}

fn history(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut now = Instant::now();
    let (mut pool, mut twin) = (Pool::default(), Twin::default());
    let mut calls: Vec<Pair> = Vec::new();
    let mut next = 0;
    for step in steps {
        let busy = |calls: &[Pair], visitor: u64| {
            calls.iter().any(|call| [call.older.visitor, call.newer.visitor].contains(&VisitorId(visitor)))
        };
        let (pairs, expected) = match step {
            Step::Join { visitor, languages: bits, role, avoid_recent, struggling } => {
                // The rules of one visitor (visitor.rs) allow a join only when idle.
                if busy(&calls, visitor) || twin.waiting.iter().any(|ticket| ticket.visitor.0 == visitor) {
                    continue;
                }
                next += 1;
                let struggling = Struggling(struggling);
                let ticket = Ticket { avoid_recent, struggling, ..ticket(next, visitor, bits, role, now) };
                let expected = twin.oldest_fit(&ticket, now);
                let expected = match expected.and_then(|found| twin.take(found)) {
                    Some(partner) => vec![Pair::of(partner, ticket.clone())],
                    None => {
                        twin.waiting.push(ticket.clone());
                        vec![]
                    }
                };
                (pool.join(ticket, now), expected)
            }
            Step::Leave { visitor } => {
                let found = twin.waiting.iter().find(|ticket| ticket.visitor.0 == visitor).map(|ticket| ticket.id);
                let Some(id) = found else { continue };
                twin.take(id);
                prop_assert!(pool.leave(id));
                prop_assert!(!pool.leave(id));
                (vec![], vec![])
            }
            Step::Pass { millis } => {
                let from = now;
                now += Duration::from_millis(millis);
                // Nobody waits for longer than bars are kept for their sake.
                let too_long = |ticket: &Ticket| ticket.joined + KEPT < now;
                for ticket in twin.waiting.extract_if(.., |ticket| too_long(ticket)) {
                    prop_assert!(pool.leave(ticket.id));
                }
                calls.retain(|call| !too_long(&call.older) && !too_long(&call.newer));
                (pool.advance(now), twin.advance(from, now))
            }
            Step::End => {
                if calls.is_empty() {
                    continue;
                }
                let call = calls.remove(0);
                let (one, other) = (call.older.visitor, call.newer.visitor);
                pool.keep_apart(one, other, now);
                pool.keep_apart(other, one, now);
                twin.apart.insert((one.min(other), one.max(other)), now + RECENT_FOR);
                (vec![], vec![])
            }
            Step::Report { newcomer } => {
                if calls.is_empty() {
                    continue;
                }
                let call = calls.remove(0);
                let (by, of) = (call.newer.visitor, call.older.visitor);
                pool.never_again(person(by), person(of), VisitorId(newcomer), now);
                twin.reports.push((by, of, VisitorId(newcomer), now));
                (vec![], vec![])
            }
            Step::Vanish => {
                if calls.is_empty() {
                    continue;
                }
                let call = calls.remove(0);
                pool.drop_match(person(call.older.visitor), person(call.newer.visitor), now);
                twin.drop_match(call.older.visitor, call.newer.visitor, now);
                next += 1;
                let back = Ticket { id: TicketId(next), ..call.newer };
                let expected = twin.oldest_fit(&back, now);
                let expected = match expected.and_then(|found| twin.take(found)) {
                    Some(partner) => vec![Pair::of(partner, back.clone())],
                    None => {
                        twin.waiting.push(back.clone());
                        vec![]
                    }
                };
                (pool.join(back, now), expected)
            }
            Step::Forget { visitor } => {
                if busy(&calls, visitor) {
                    continue;
                }
                pool.forget(VisitorId(visitor));
                twin.waiting.retain(|ticket| ticket.visitor.0 != visitor);
                twin.apart.retain(|pair, _| ![pair.0.0, pair.1.0].contains(&visitor));
                (vec![], vec![])
            }
        };
        // Symmetric, oldest first, and the same as looking at everybody.
        prop_assert_eq!(&pairs, &expected);
        for pair in pairs {
            prop_assert!(pair.older.place() < pair.newer.place());
            prop_assert_ne!(pair.older.visitor, pair.newer.visitor);
            prop_assert!(!(pair.older.struggling.0 && pair.newer.struggling.0), "both are struggling badly");
            for side in [&pair.older, &pair.newer] {
                prop_assert!(!busy(&calls, side.visitor.0), "in two calls");
                prop_assert!(!pool.tickets.contains_key(&side.id), "in a call and waiting");
            }
            calls.push(pair);
        }
        // Nobody lost, nobody left waiting beside somebody who fits.
        let ids: BTreeSet<_> = twin.waiting.iter().map(|ticket| ticket.id).collect();
        let held: BTreeSet<_> = pool.tickets.keys().copied().collect();
        prop_assert_eq!(ids, held);
        for one in &twin.waiting {
            prop_assert_eq!(twin.oldest_fit(one, now), None);
        }
        check_inside(&pool)?;
    }
    Ok(())
}

/// The pool's indices agree with one another, and nothing is left behind in them.
fn check_inside(pool: &Pool) -> Result<(), TestCaseError> {
    let queued: usize = pool.queues.values().map(BTreeSet::len).sum();
    let tags: usize = pool.tickets.values().map(|ticket| ticket.languages.get().len()).sum();
    prop_assert_eq!(queued, tags);
    prop_assert!(pool.queues.values().all(|queue| !queue.is_empty()));
    prop_assert_eq!(pool.by_visitor.len(), pool.tickets.len());
    prop_assert!(pool.widenings.iter().all(|place| pool.tickets.contains_key(&place.1)));
    let apart: usize = pool.recent.values().map(HashMap::len).sum();
    prop_assert_eq!(apart, 2 * pool.fadings.len());
    prop_assert!(pool.recent.values().all(|partners| !partners.is_empty()));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_is_fair(steps in prop::collection::vec(step(), 1..120)) {
        history(steps)?;
    }
}

#[test]
fn talk_meets_listen_at_once_and_talk_meets_talk_after_a_while() {
    let now = Instant::now();
    let mut pool = Pool::default();
    assert_eq!(pool.join(ticket(1, 1, 1, Role::Talk, now), now), []);
    assert_eq!(pool.join(ticket(2, 2, 1, Role::Talk, now), now), []);
    assert_eq!(pool.next_event(), Some(now + WIDEN_AFTER));
    assert_eq!(pool.advance(now + WIDEN_AFTER - Duration::from_millis(1)), []);
    let pairs = pool.join(ticket(3, 3, 1, Role::Listen, now), now);
    assert_eq!(pairs[0].older.id, TicketId(1));
    pool.join(ticket(4, 4, 1, Role::Talk, now), now);
    let pairs = pool.advance(now + WIDEN_AFTER);
    assert_eq!((pairs[0].older.id, pairs[0].newer.id), (TicketId(2), TicketId(4)));
    assert!(pool.is_empty());
    assert_eq!(pool.next_event(), None);
}

#[test]
fn two_who_are_struggling_badly_never_meet_and_anybody_else_meets_them_at_once() {
    let now = Instant::now();
    let (day, struggling) = (Duration::from_secs(24 * 3600), Struggling(true));
    let mut pool = Pool::default();
    for (id, role) in [(1, Role::Talk), (2, Role::Listen), (3, Role::Either)] {
        assert_eq!(pool.join(Ticket { struggling, ..ticket(id, id, 1, role, now) }, now), []);
    }
    // Not by waiting, and not by having met before and been apart for long enough.
    pool.keep_apart(VisitorId(1), VisitorId(2), now);
    assert_eq!(pool.advance(now + day), []);
    assert_eq!(pool.len(), 3);
    // Who is not is met at once, by the one who has waited longest whom the wishes let.
    for (id, role, older) in [(4, Role::Talk, 1), (5, Role::Talk, 2), (6, Role::Either, 3)] {
        let pairs = pool.join(ticket(id, id, 1, role, now + day), now + day);
        assert_eq!((pairs[0].older.id, pairs.len()), (TicketId(older), 1));
    }
    // And steps over nobody who waits longer for it: the first fit comes first, struggling or not.
    pool.join(ticket(7, 7, 1, Role::Talk, now + day), now + day);
    pool.join(Ticket { struggling, ..ticket(8, 8, 2, Role::Either, now + day) }, now + day);
    let both = Ticket { struggling, ..ticket(9, 9, 3, Role::Either, now + day) };
    assert_eq!(pool.join(both, now + day)[0].older.id, TicketId(7));
    assert!(pool.tickets.contains_key(&TicketId(8)));
}

#[test]
fn language_is_never_given_up() {
    let now = Instant::now();
    let mut pool = Pool::default();
    pool.join(ticket(1, 1, 0b001, Role::Either, now), now);
    assert_eq!(pool.join(ticket(2, 2, 0b010, Role::Either, now), now), []);
    assert_eq!(pool.advance(now + Duration::from_secs(3600)), []);
    let later = now + Duration::from_secs(3600);
    let pairs = pool.join(ticket(3, 3, 0b011, Role::Either, later), later);
    assert_eq!(pairs[0].older.id, TicketId(1));
    assert_eq!(pool.len(), 1);
}

#[test]
fn those_who_have_just_talked_wait_even_when_they_are_alone() {
    let now = Instant::now();
    let mut pool = Pool::default();
    pool.keep_apart(VisitorId(1), VisitorId(2), now);
    pool.join(ticket(1, 1, 1, Role::Either, now), now);
    assert_eq!(pool.join(ticket(2, 2, 1, Role::Either, now), now), []);
    assert_eq!(pool.advance(now + RECENT_FOR - Duration::from_secs(1)), []);
    assert_eq!(pool.advance(now + RECENT_FOR).len(), 1);
}

#[test]
fn those_who_have_just_talked_meet_at_once_when_both_ask_for_it() {
    let now = Instant::now();
    for both in [false, true] {
        let mut pool = Pool::default();
        pool.keep_apart(VisitorId(1), VisitorId(2), now);
        pool.join(Ticket { avoid_recent: false, ..ticket(1, 1, 1, Role::Either, now) }, now);
        let pairs = pool.join(Ticket { avoid_recent: !both, ..ticket(2, 2, 1, Role::Either, now) }, now);
        assert_eq!(pairs.len(), usize::from(both));
    }
}

#[test]
fn nothing_is_left_of_those_who_are_gone_and_of_what_has_faded() {
    let now = Instant::now();
    let mut pool = Pool::default();
    for visitor in 1..=3 {
        pool.join(ticket(visitor, visitor, 1 << (visitor - 1), Role::Talk, now), now);
    }
    pool.join(ticket(4, 4, 1, Role::Listen, now), now);
    pool.leave(TicketId(2));
    pool.forget(VisitorId(3));
    pool.leave(TicketId(3));
    pool.keep_apart(VisitorId(1), VisitorId(4), now);
    assert!(pool.has_met(VisitorId(1)));
    pool.advance(now + RECENT_FOR);
    assert!(!pool.has_met(VisitorId(1)) && !pool.has_met(VisitorId(4)));
    assert!(pool.tickets.is_empty() && pool.by_visitor.is_empty() && pool.queues.is_empty());
    assert!(pool.widenings.is_empty() && pool.recent.is_empty() && pool.fadings.is_empty());
}

#[test]
fn whoever_drops_somebody_again_and_again_is_not_paired_with_them_for_a_while() {
    let now = Instant::now();
    let mut pool = Pool::default();
    let (lonely, dropper) = (VisitorId(1), 2);
    let back =
        |number: u32, pool: &mut Pool| pool.join(ticket(u64::from(number) + 100, lonely.0, 1, Role::Either, now), now);
    back(0, &mut pool);
    for number in 1..=DROPS {
        // Another visitor each time, of the same network.
        let visitor = dropper + 4 * u64::from(number);
        let pairs = pool.join(ticket(u64::from(number), visitor, 1, Role::Either, now), now);
        assert_eq!(pairs.len(), 1, "{number}");
        pool.drop_match(person(VisitorId(visitor)), person(lonely), now);
        back(number, &mut pool);
    }
    assert_eq!(pool.join(ticket(50, 90, 1, Role::Either, now), now), []);
    pool.leave(TicketId(50));
    let later = now + RECENT_FOR;
    // Somebody else, and later anybody.
    assert_eq!(pool.join(ticket(51, 91, 1, Role::Either, now), now)[0].newer.visitor, lonely);
    back(9, &mut pool);
    assert_eq!(pool.join(ticket(52, 94, 1, Role::Either, later), later).len(), 1);
}

#[test]
fn somebody_put_back_is_first_again() {
    let now = Instant::now();
    let later = now + Duration::from_secs(5);
    let mut pool = Pool::default();
    pool.join(ticket(2, 2, 1, Role::Talk, later), later);
    pool.join(ticket(3, 1, 1, Role::Talk, now), later);
    let pairs = pool.join(ticket(4, 4, 1, Role::Listen, later), later);
    assert_eq!(pairs[0].older.visitor, VisitorId(1));
}
