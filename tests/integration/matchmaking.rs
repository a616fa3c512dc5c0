//! What a matchmaker has to do, whichever it is: one suite over the pool in memory, over one node with a Redis, and over
//! two nodes that share one, where whoever is paired is of both in turn.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use sotto::guard::Guard;
use sotto::mailbox::{Inbox, Mail, Mailbox, Match, Person, RelayAt, TicketId, Whence, mailbox};
use sotto::matchmaking::redis::{Hooks, Settings};
use sotto::matchmaking::{Matchmaker, Memory, RECENT_FOR, Redis, Ticket, WIDEN_AFTER};
use sotto::protocol::{CallId, Category, EndReason, Languages, Port, Role, Side, Struggling, Transport};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::engine::Engine;
use crate::server::DEADLINE;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// More than all who join in one of these tests do after one another.
const A_MOMENT: Duration = Duration::from_secs(2);

/// More than two nodes' clocks differ by.
const NEXT: Duration = Duration::from_millis(20);

/// Matchmakers that are one.
struct House {
    makers: Vec<Arc<dyn Matchmaker>>,
    nodes: Vec<Arc<Redis>>,
    tasks: Vec<JoinHandle<()>>,
    /// How many have joined.
    joined: AtomicU32,
    _engine: Option<Engine>,
}

impl House {
    fn memory() -> Self {
        Self {
            makers: vec![Arc::new(Memory::default())],
            nodes: vec![],
            tasks: vec![],
            joined: AtomicU32::new(0),
            _engine: None,
        }
    }

    async fn redis(nodes: usize) -> Self {
        let engine = Engine::start().await;
        let nodes: Vec<Arc<Redis>> = (0..nodes).map(|number| Arc::new(node(&engine.url(), number))).collect();
        let run = |node: &Arc<Redis>| {
            let node = Arc::clone(node);
            tokio::spawn(async move { node.run().await })
        };
        let tasks = nodes.iter().map(run).collect();
        timeout(DEADLINE, online(&nodes)).await.expect("all are online");
        let makers = nodes.iter().map(|node| Arc::clone(node) as Arc<dyn Matchmaker>).collect();
        Self { makers, nodes, tasks, joined: AtomicU32::new(0), _engine: Some(engine) }
    }

    /// Until everything has come of what was asked for.
    async fn settle(&self) {
        for _ in 0..4 {
            for node in &self.nodes {
                timeout(DEADLINE, node.settled()).await.expect("an end");
            }
        }
    }

    async fn advance(&self, now: Instant) {
        self.makers.iter().for_each(|maker| maker.advance(now));
        self.settle().await;
    }

    fn waiting(&self) -> usize {
        self.makers.iter().map(|maker| maker.waiting()).sum()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn online(nodes: &[Arc<Redis>]) {
    while !nodes.iter().all(|node| node.is_online()) {
        sleep(Duration::from_millis(5)).await;
    }
}

fn settings(url: &str, number: usize) -> Settings {
    let relay = RelayAt { host: format!("relay{number}.example"), transports: vec![Transport::Udp, Transport::Tcp] };
    Settings::new(url, vec![7; 32], relay).expect("settings")
}

fn node(url: &str, number: usize) -> Redis {
    let hooks = Hooks { revoke: Box::new(|_| {}), reported: Box::new(|_| {}), keys: Box::new(|_, _| {}) };
    Redis::new(settings(url, number), hooks).expect("random bytes")
}

/// Two servers' guards, as far as they hear of each other: who is reported on one is kept out by the other, by marks that
/// both make alike, and that a third which comes later makes alike as well.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_reported_on_one_node_is_kept_out_by_all() {
    let engine = Engine::start().await;
    let now = Instant::now();
    let guards: Vec<Arc<Guard>> = (0..3).map(|seed| Arc::new(Guard::new([seed; 32], 1_000, Vec::new(), now))).collect();
    let begin = async |number: usize| {
        let (guard, keys) = (Arc::clone(&guards[number]), Arc::clone(&guards[number]));
        let (keyed, mut is_keyed) = mpsc::unbounded_channel();
        let hooks = Hooks {
            revoke: Box::new(|_| {}),
            reported: Box::new(move |report| {
                let [by, of] = [&report.by, &report.of].map(|person| person.whence.expect("known"));
                guard.learn(&by, &of, report.category, report.at);
            }),
            keys: Box::new(move |both, left| {
                assert!(left <= DAY);
                keys.share_keys(both, left, Instant::now());
                let _ = keyed.send(());
            }),
        };
        let node = Arc::new(Redis::new(settings(&engine.url(), number), hooks).expect("random bytes"));
        let task = tokio::spawn({
            let node = Arc::clone(&node);
            async move { node.run().await }
        });
        timeout(DEADLINE, is_keyed.recv()).await.expect("keys in time").expect("keys");
        timeout(DEADLINE, online(&[Arc::clone(&node)])).await.expect("it is online");
        (node, task)
    };
    let address = |last: u8| IpAddr::from([192, 0, 2, last]);
    let before = guards.iter().map(|guard| guard.whence(address(1), now)).collect::<Vec<_>>();
    assert!(!before[0].is_near(&before[1]), "each its own, as long as they do not know of each other");
    let (one, one_task) = begin(0).await;
    let (other, other_task) = begin(1).await;
    let marks = |number: usize, last: u8| guards[number].whence(address(last), now);
    assert_eq!(marks(0, 1), marks(1, 1));
    // Two networks have reported a third, one on each node.
    for (number, node, last) in [(0, &one, 1), (1, &other, 2)] {
        let [by, of] = [last, 9].map(|last| Person { visitor: node.new_visitor(), whence: Some(marks(number, last)) });
        guards[number].report(
            &guards[number].home(address(last), now),
            &by.whence.expect("known"),
            &of.whence.expect("known"),
            Category::Hateful,
            now,
        );
        node.share_report(by, of, Category::Hateful, now);
        timeout(DEADLINE, node.settled()).await.expect("an end");
    }
    for node in [&one, &other] {
        timeout(DEADLINE, node.settled()).await.expect("an end");
    }
    let (_third, third_task) = begin(2).await;
    for number in [0, 1, 2] {
        let cooling = guards[number].cooling(&marks(number, 9), now + A_MOMENT);
        assert_eq!(cooling.map(|(_, category)| category), Some(Category::Hateful), "{number}");
        assert!(guards[number].cooling(&marks(number, 8), now).is_none());
    }
    [one_task, other_task, third_task].iter().for_each(JoinHandle::abort);
}

/// One who waits or has waited.
struct Guest {
    maker: Arc<dyn Matchmaker>,
    person: Person,
    ticket: TicketId,
    inbox: Inbox,
}

/// What somebody wants.
#[derive(Clone)]
struct Wish {
    languages: &'static [&'static str],
    role: Role,
    avoid_recent: bool,
    struggling: bool,
    joined: Instant,
}

impl Wish {
    fn any(joined: Instant) -> Self {
        Self { languages: &["en"], role: Role::Either, avoid_recent: true, struggling: false, joined }
    }
}

fn whence(network: u64) -> Whence {
    Whence { network: [network, network + 1_000], site: [network, network + 1_000] }
}

impl House {
    /// Somebody new, of the next node in turn and of this network.
    fn guest(&self, number: usize, network: Option<u64>) -> Guest {
        let maker = Arc::clone(&self.makers[number % self.makers.len()]);
        // Two nodes' numbers of one millisecond are in no order.
        let newest = self.makers.iter().map(|maker| maker.new_visitor()).max();
        let later = std::iter::repeat_with(|| maker.new_visitor()).find(|visitor| Some(*visitor) > newest);
        let person = Person { visitor: later.expect("time goes on"), whence: network.map(whence) };
        let ticket = maker.new_ticket();
        Guest { maker, person, ticket, inbox: mailbox().1 }
    }

    /// Somebody joins, a little after whoever was before.
    async fn join(&self, guest: &mut Guest, wish: Wish, now: Instant) {
        let after = NEXT * self.joined.fetch_add(1, Ordering::Relaxed);
        guest.join(Wish { joined: wish.joined + after, ..wish }, now);
        self.settle().await;
    }

    /// Two guests of different nodes, if there are two, who wait for anybody.
    async fn two(&self, networks: [Option<u64>; 2], now: Instant) -> [Guest; 2] {
        let mut guests = [0, 1].map(|number| self.guest(number, networks[number]));
        for guest in &mut guests {
            self.join(guest, Wish::any(now), now).await;
        }
        guests
    }
}

impl Guest {
    fn join(&mut self, wish: Wish, now: Instant) {
        let (mailbox, inbox) = mailbox();
        self.inbox = inbox;
        self.join_with(mailbox, wish, now);
    }

    fn join_with(&mut self, mailbox: Mailbox, wish: Wish, now: Instant) {
        self.ticket = self.maker.new_ticket();
        let languages = Languages::new(wish.languages.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>());
        let ticket = Ticket {
            id: self.ticket,
            visitor: self.person.visitor,
            whence: self.person.whence,
            languages: languages.expect("languages"),
            role: wish.role,
            avoid_recent: wish.avoid_recent,
            struggling: Struggling(wish.struggling),
            joined: wish.joined,
        };
        self.maker.join(ticket, mailbox, now);
    }

    fn matched(&mut self) -> Option<Match> {
        match self.inbox.try_next() {
            Some(Mail::Matched(ticket, matched)) => {
                assert_eq!(ticket, self.ticket);
                Some(matched)
            }
            Some(other) => panic!("not a match: {other:?}"),
            None => None,
        }
    }
}

/// Fails unless these two are paired, the first being the older.
fn paired(older: &mut Guest, newer: &mut Guest) -> [Match; 2] {
    let both = [older.matched().expect("a match"), newer.matched().expect("a match")];
    assert_eq!(both[0].call, both[1].call);
    assert_eq!(both.each_ref().map(|one| (one.side, one.offerer)), [(Side::A, false), (Side::B, true)]);
    assert_eq!(both.each_ref().map(|one| one.partner), [Some(newer.person), Some(older.person)]);
    assert_eq!(both[0].relay, both[1].relay, "one relay for both");
    both
}

async fn both_are_told_and_can_tell_each_other(house: &House) {
    house.joined.store(0, Ordering::Relaxed);
    let now = Instant::now();
    let [mut one, mut other] = house.two([Some(1), None], now).await;
    let [to_other, to_one] = paired(&mut one, &mut other);
    assert_eq!(house.waiting(), 0);
    assert_eq!(to_one.relay.is_some(), house.makers.len() > 1);
    let call = to_one.call;
    let port = Port::new(50_000_u16).expect("a port");
    for (guest, mailbox) in [(&mut one, &to_one.mailbox), (&mut other, &to_other.mailbox)] {
        assert!(mailbox.send(Mail::Candidate { call, port: port.clone() }));
        house.settle().await;
        assert!(matches!(guest.inbox.try_next(), Some(Mail::Candidate { call: of, .. }) if of == call));
    }
    assert!(to_one.mailbox.send(Mail::Gone { call, why: EndReason::Left }));
    house.settle().await;
    assert!(matches!(one.inbox.try_next(), Some(Mail::Gone { call: of, why: EndReason::Left }) if of == call));
    assert!(other.inbox.try_next().is_none());
}

async fn whoever_waited_longest_comes_first(house: &House) {
    house.joined.store(0, Ordering::Relaxed);
    let now = Instant::now();
    let mut guests: Vec<Guest> = (0..4).map(|number| house.guest(number, None)).collect();
    let talk = |joined| Wish { role: Role::Talk, ..Wish::any(joined) };
    for (guest, second) in guests.iter_mut().zip([3, 2, 4]) {
        // They come in another order than they have waited in: put back.
        let joined = now + Duration::from_secs(second);
        house.join(guest, talk(joined), now + Duration::from_secs(4)).await;
    }
    let later = now + Duration::from_secs(5);
    let mut listener = guests.pop().expect("four");
    for first in [1, 0, 2] {
        house.join(&mut listener, Wish { role: Role::Listen, ..Wish::any(later) }, later).await;
        paired(&mut guests[first], &mut listener);
    }
    assert_eq!(house.waiting(), 0);
}

async fn language_is_needed_and_roles_complement_each_other_until_they_widen(house: &House) {
    house.joined.store(0, Ordering::Relaxed);
    let now = Instant::now();
    let mut guests: Vec<Guest> = (0..6).map(|number| house.guest(number, None)).collect();
    let wish = |languages, role| Wish { languages, role, ..Wish::any(now) };
    let [one, two, three, four, five, six] = &mut guests[..] else { unreachable!() };
    house.join(one, wish(&["fil", "de"], Role::Talk), now).await;
    house.join(two, wish(&["de"], Role::Talk), now).await;
    house.join(three, wish(&["en", "pt"], Role::Either), now).await;
    assert_eq!(house.waiting(), 3);
    house.join(four, wish(&["fr", "pt"], Role::Listen), now).await;
    paired(three, four);
    house.join(five, wish(&["de", "en"], Role::Listen), now).await;
    paired(one, five);
    house.join(six, wish(&["de"], Role::Talk), now + A_MOMENT).await;
    house.advance(now + WIDEN_AFTER - A_MOMENT).await;
    assert_eq!(house.waiting(), 2);
    house.advance(now + WIDEN_AFTER + A_MOMENT).await;
    paired(two, six);
}

async fn two_who_are_struggling_never_meet(house: &House) {
    house.joined.store(0, Ordering::Relaxed);
    let now = Instant::now();
    let mut guests: Vec<Guest> = (0..5).map(|number| house.guest(number, None)).collect();
    let wish = |role, struggling| Wish { role, struggling, ..Wish::any(now) };
    let [one, two, three, four, five] = &mut guests[..] else { unreachable!() };
    house.join(one, wish(Role::Talk, true), now).await;
    house.join(two, wish(Role::Listen, true), now).await;
    house.join(three, wish(Role::Either, true), now).await;
    house.advance(now + WIDEN_AFTER + A_MOMENT).await;
    assert_eq!(house.waiting(), 3, "however long they wait");
    let later = now + WIDEN_AFTER + A_MOMENT;
    house.join(four, Wish { joined: later, ..wish(Role::Talk, false) }, later).await;
    paired(one, four);
    house.join(five, Wish { joined: later, ..wish(Role::Listen, false) }, later).await;
    paired(two, five);
    // Whoever says so with a place in the queue already leaves that place.
    house.join(four, Wish { joined: later, languages: &["de"], ..wish(Role::Either, false) }, later).await;
    house.join(four, Wish { joined: later, languages: &["de", "en"], ..wish(Role::Either, true) }, later).await;
    assert_eq!(house.waiting(), 2);
    house.join(five, Wish { joined: later, ..wish(Role::Either, false) }, later).await;
    paired(three, five);
    house.join(five, Wish { joined: later, languages: &["de"], ..wish(Role::Talk, false) }, later).await;
    paired(four, five);
    assert_eq!(house.waiting(), 0);
}

async fn whoever_leaves_is_not_paired_and_nobody_has_two_places(house: &House) {
    house.joined.store(0, Ordering::Relaxed);
    let now = Instant::now();
    let mut guests: Vec<Guest> = (0..3).map(|number| house.guest(number, None)).collect();
    let [one, two, three] = &mut guests[..] else { unreachable!() };
    house.join(one, Wish::any(now), now).await;
    one.maker.leave(one.ticket);
    house.join(two, Wish { languages: &["de"], ..Wish::any(now) }, now).await;
    house.join(two, Wish { languages: &["en"], ..Wish::any(now) }, now).await;
    assert_eq!(house.waiting(), 1);
    house.join(three, Wish { languages: &["de"], ..Wish::any(now) }, now).await;
    assert_eq!(house.waiting(), 2);
    for guest in [&mut *one, two, three] {
        assert!(guest.matched().is_none());
        guest.maker.forget(guest.person.visitor);
    }
    house.settle().await;
    assert_eq!(house.waiting(), 0);
}

async fn those_who_have_just_talked_are_kept_apart_for_a_while(house: &House) {
    house.joined.store(0, Ordering::Relaxed);
    let now = Instant::now();
    let [mut one, mut other] = house.two([None, None], now).await;
    paired(&mut one, &mut other);
    for (guest, partner) in [(&one, &other), (&other, &one)] {
        guest.maker.keep_apart(guest.person.visitor, partner.person.visitor, now);
        assert!(guest.maker.has_met(guest.person.visitor));
    }
    for guest in [&mut one, &mut other] {
        house.join(guest, Wish { avoid_recent: false, ..Wish::any(now) }, now).await;
    }
    paired(&mut one, &mut other);
    for (guest, avoid_recent) in [(&mut one, false), (&mut other, true)] {
        house.join(guest, Wish { avoid_recent, ..Wish::any(now) }, now).await;
    }
    house.advance(now + RECENT_FOR - A_MOMENT).await;
    assert_eq!(house.waiting(), 2);
    house.advance(now + RECENT_FOR + A_MOMENT).await;
    paired(&mut one, &mut other);
    assert!(!one.maker.has_met(one.person.visitor));
}

async fn whoever_was_reported_is_not_met_again_whoever_reloads(house: &House) {
    house.joined.store(0, Ordering::Relaxed);
    let now = Instant::now();
    for (near, far) in [(Some(10), Some(20)), (Some(30), Some(30)), (Some(40), None)] {
        let [mut one, mut other] = house.two([near, far], now).await;
        paired(&mut one, &mut other);
        let mut before = house.guest(0, far);
        one.maker.never_again(one.person, other.person, true, now);
        house.settle().await;
        let mut reloaded = house.guest(1, far);
        for guest in [&mut one, &mut other] {
            house.join(guest, Wish { avoid_recent: false, ..Wish::any(now) }, now).await;
        }
        assert_eq!(house.waiting(), 2, "the two");
        other.maker.leave(other.ticket);
        house.join(&mut reloaded, Wish::any(now), now).await;
        if far.is_some() {
            assert_eq!(house.waiting(), 2, "who comes to that network afterwards");
            reloaded.maker.leave(reloaded.ticket);
            house.settle().await;
            house.join(&mut before, Wish::any(now), now).await;
            if near == far {
                paired(&mut one, &mut before);
            } else {
                assert_eq!(house.waiting(), 2, "who was of that network before");
                before.maker.leave(before.ticket);
            }
        } else {
            paired(&mut one, &mut reloaded);
        }
        house.settle().await;
        if house.waiting() == 1 {
            // A bar counts for as long as it stood when the later of the two waits began.
            house.join(&mut other, Wish::any(now + DAY - A_MOMENT), now + DAY).await;
            assert_eq!(house.waiting(), 2);
            house.join(&mut other, Wish::any(now + DAY + A_MOMENT), now + DAY + A_MOMENT).await;
            paired(&mut one, &mut other);
        }
    }
}

async fn a_report_that_does_not_count_parts_the_two_alone(house: &House) {
    house.joined.store(0, Ordering::Relaxed);
    let now = Instant::now();
    let [mut one, mut other] = house.two([Some(50), Some(60)], now).await;
    paired(&mut one, &mut other);
    other.maker.never_again(other.person, one.person, false, now);
    house.settle().await;
    for guest in [&mut one, &mut other] {
        house.join(guest, Wish { avoid_recent: false, ..Wish::any(now) }, now).await;
    }
    assert_eq!(house.waiting(), 2);
    other.maker.leave(other.ticket);
    let mut reloaded = house.guest(1, Some(60));
    house.join(&mut reloaded, Wish::any(now), now).await;
    paired(&mut one, &mut reloaded);
}

async fn whoever_drops_somebody_again_and_again_is_not_paired_with_them(house: &House) {
    house.joined.store(0, Ordering::Relaxed);
    let now = Instant::now();
    let mut lonely = house.guest(0, Some(70));
    house.join(&mut lonely, Wish::any(now), now).await;
    for number in 1..=3 {
        let mut dropper = house.guest(number, Some(80));
        house.join(&mut dropper, Wish::any(now), now).await;
        paired(&mut lonely, &mut dropper);
        dropper.maker.drop_match(dropper.person, lonely.person, now);
        house.settle().await;
        house.join(&mut lonely, Wish::any(now), now).await;
    }
    let mut dropper = house.guest(1, Some(80));
    house.join(&mut dropper, Wish::any(now), now).await;
    assert_eq!(house.waiting(), 2);
    let mut somebody = house.guest(1, Some(90));
    house.join(&mut somebody, Wish::any(now), now).await;
    paired(&mut lonely, &mut somebody);
    house.join(&mut lonely, Wish::any(now + RECENT_FOR + A_MOMENT), now + RECENT_FOR + A_MOMENT).await;
    paired(&mut dropper, &mut lonely);
}

async fn whoever_is_paired_with_somebody_gone_is_told_to_go_back(house: &House) {
    house.joined.store(0, Ordering::Relaxed);
    for gone in [0, 1] {
        let now = Instant::now();
        let mut guests = [0, 1].map(|number| house.guest(number, None));
        for (number, guest) in guests.iter_mut().enumerate() {
            let (mailbox, inbox) = mailbox();
            guest.inbox = inbox;
            // Its task ends before its ticket is taken out.
            if number == gone {
                guest.inbox.close();
            }
            guest.join_with(mailbox, Wish::any(now + NEXT * number as u32), now);
            house.settle().await;
        }
        let left = &mut guests[1 - gone];
        let call = left.matched().map(|matched| matched.call);
        let told = left.inbox.try_next();
        assert!(matches!((call, &told), (Some(call), Some(Mail::Gone { call: of, .. })) if *of == call), "{told:?}");
        assert_eq!(house.waiting(), 0);
    }
}

async fn contract(house: &House) {
    both_are_told_and_can_tell_each_other(house).await;
    whoever_waited_longest_comes_first(house).await;
    language_is_needed_and_roles_complement_each_other_until_they_widen(house).await;
    two_who_are_struggling_never_meet(house).await;
    whoever_leaves_is_not_paired_and_nobody_has_two_places(house).await;
    those_who_have_just_talked_are_kept_apart_for_a_while(house).await;
    whoever_was_reported_is_not_met_again_whoever_reloads(house).await;
    a_report_that_does_not_count_parts_the_two_alone(house).await;
    whoever_drops_somebody_again_and_again_is_not_paired_with_them(house).await;
    whoever_is_paired_with_somebody_gone_is_told_to_go_back(house).await;
}

#[tokio::test]
async fn the_pool_in_memory_keeps_the_contract() {
    contract(&House::memory()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_with_a_redis_keeps_the_contract() {
    contract(&House::redis(1).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_with_one_redis_keep_the_contract() {
    contract(&House::redis(2).await).await;
}

/// Two matches of one visitor, which scripts that are whole never make, but an engine that fails over may: what it had
/// said last is forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_match_is_refused_and_the_other_is_put_back_with_the_original_time() {
    let house = House::redis(2).await;
    let engine = house._engine.as_ref().expect("a Redis");
    let now = Instant::now();
    let mut guests: Vec<Guest> = (0..4).map(|number| house.guest(number, None)).collect();
    let [wanted, other, third, fourth] = &mut guests[..] else { unreachable!() };
    let wish = |language: &'static [&'static str]| Wish { languages: language, ..Wish::any(now) };
    house.join(wanted, wish(&["en"]), now).await;
    house.join(other, wish(&["de"]), now).await;
    let mut lie = BTreeMap::new();
    for key in engine.ask::<Vec<String>>(&["KEYS", "{sotto}:tickets:*"]).await {
        let session = key.rsplit(':').next().unwrap_or_default().to_owned();
        for (id, packed) in engine.ask::<BTreeMap<String, String>>(&["HGETALL", &key]).await {
            lie.insert(id.clone(), (format!("{id}@{session}"), packed));
        }
    }
    let found = |guest: &Guest| lie[&format!("{:016x}", guest.ticket.0)].clone();
    let ((member, packed), (other_member, other_packed)) = (found(wanted), found(other));
    let score = async || engine.ask::<Option<String>>(&["ZSCORE", "{sotto}:queue:de:e", &other_member]).await;
    let original = score().await.expect("waiting");
    // The first is with somebody of a node that says nothing any more.
    let silent = "00000000000000ff";
    let silent_packed = format!("{silent}|{silent}|en|e|1|1||0");
    let _: i64 = engine.ask(&["HSET", &format!("{{sotto}}:node:{silent}"), "node", silent]).await;
    let time: [String; 2] = engine.ask(&["TIME"]).await;
    let at = format!("{}{:0>6}", time[0], time[1]);
    let matches = [
        (CallId::from_u128(1), format!("{silent}@{silent}"), silent_packed, false),
        (CallId::from_u128(2), other_member.clone(), other_packed, true),
    ];
    // The second is, too, with somebody who has agreed, and so has no place in the queue.
    let _: i64 = engine.ask(&["ZREM", "{sotto}:queue:de:e", &other_member]).await;
    for (call, partner, partner_packed, agreed) in matches {
        let key = format!("{{sotto}}:match:{call}");
        let fields = ["a", &member, "packed_a", &packed, "b", &partner, "packed_b", &partner_packed, "at", &at];
        let _: i64 = engine.ask(&[&["HSET", &key], &fields[..]].concat()).await;
        if agreed {
            let _: i64 = engine.ask(&["HSET", &key, "yes_b", "1"]).await;
        }
        let offer = json!({
            "t": "offer", "call": call, "side": "a", "ticket": format!("{:016x}", wanted.ticket.0),
            "partner": partner_packed, "host": "a", "tls": false,
        });
        let node = packed.split('|').next().unwrap_or_default();
        let heard: i64 = engine.ask(&["PUBLISH", &format!("{{sotto}}:to:{node}"), &offer.to_string()]).await;
        assert_eq!(heard, 1);
        house.settle().await;
    }
    assert_eq!(score().await, Some(original));
    let agreed: Option<String> =
        engine.ask(&["HGET", &format!("{{sotto}}:match:{}", CallId::from_u128(1)), "yes_a"]).await;
    assert_eq!(agreed.as_deref(), Some("1"));
    // Nobody waits for a silent node for long.
    house.join(third, wish(&["de"]), now).await;
    paired(other, third);
    fourth.join(Wish::any(now + A_MOMENT), now + A_MOMENT);
    let matched = timeout(DEADLINE, async { (wanted.inbox.next().await, fourth.inbox.next().await) }).await;
    let (Some(Mail::Matched(_, one)), Some(Mail::Matched(_, two))) = matched.expect("in time") else {
        panic!("not a match");
    };
    assert_eq!((one.call, one.side), (two.call, Side::A));
    house.settle().await;
    assert!(guests.iter_mut().all(|guest| guest.inbox.try_next().is_none()), "and once each");
}

#[derive(Debug, Clone)]
enum Step {
    /// Somebody who is here joins; a number beyond them is somebody new.
    Join {
        guest: usize,
        languages: u8,
        role: Role,
        avoid_recent: bool,
        struggling: bool,
    },
    Leave {
        guest: usize,
    },
    Pass {
        millis: u64,
    },
    /// The oldest call ends after both have talked.
    End,
    /// The oldest call is reported by its newer side.
    Report {
        counts: bool,
    },
    /// In the oldest call the older side vanishes before it begins: the newer one goes back to its place.
    Vanish,
    Forget {
        guest: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let role = prop_oneof![Just(Role::Talk), Just(Role::Listen), Just(Role::Either)];
    let pass = prop_oneof![Just(0), Just(1), 1..20_000_u64, Just(10_000), 1..700_000_u64, Just(24 * 3_600_000)];
    prop_oneof![
        8 => (0..12_usize, 1..8_u8, role, prop::bool::weighted(0.7), prop::bool::weighted(0.3)).prop_map(
            |(guest, languages, role, avoid_recent, struggling)| Step::Join { guest, languages, role, avoid_recent, struggling }),
        2 => (0..12_usize).prop_map(|guest| Step::Leave { guest }),
        4 => pass.prop_map(|millis| Step::Pass { millis }),
        4 => Just(Step::End),
        2 => prop::bool::weighted(0.7).prop_map(|counts| Step::Report { counts }),
        3 => Just(Step::Vanish),
        1 => (0..12_usize).prop_map(|guest| Step::Forget { guest }),
    ]
}

/// One matchmaker's run through a history.
struct Run<'a> {
    house: &'a House,
    guests: Vec<Guest>,
    /// Networks of this history alone, so that none before it matters.
    first_network: u64,
    /// Since when each who waits does, and what they want.
    waits: BTreeMap<usize, Wish>,
    calls: Vec<(usize, usize, Wish)>,
}

const LANGUAGES: [&[&str]; 8] =
    [&[], &["en"], &["de"], &["en", "de"], &["fil"], &["en", "fil"], &["de", "fil"], &["en", "de", "fil"]];

impl Run<'_> {
    /// Does a step; returns who is paired by it, the older of each two first.
    async fn step(&mut self, step: &Step, now: &mut Instant) -> BTreeSet<(usize, usize)> {
        let busy =
            |run: &Self, guest: usize| run.calls.iter().any(|(older, newer, _)| [*older, *newer].contains(&guest));
        match *step {
            Step::Join { guest, languages, role, avoid_recent, struggling } => {
                let guest = guest.min(self.guests.len());
                if guest == self.guests.len() {
                    let network = (guest as u64 % 4).checked_sub(1).map(|network| self.first_network + network);
                    self.guests.push(self.house.guest(0, network));
                }
                if !busy(self, guest) && !self.waits.contains_key(&guest) {
                    let languages = LANGUAGES[usize::from(languages)];
                    self.join(guest, Wish { languages, role, avoid_recent, struggling, joined: *now }, *now);
                }
            }
            Step::Leave { guest } => self.leave(guest),
            Step::Pass { millis } => {
                *now += Duration::from_millis(millis);
                // Nobody waits for longer than bars are kept for their sake.
                let too_long = |wish: &Wish| wish.joined + DAY < *now;
                let over: Vec<usize> =
                    self.waits.iter().filter(|(_, wish)| too_long(wish)).map(|(guest, _)| *guest).collect();
                over.into_iter().for_each(|guest| self.leave(guest));
                self.calls.retain(|(.., wish)| !too_long(wish));
                self.house.makers[0].advance(*now);
            }
            Step::End => {
                if let Some((older, newer, _)) = self.next_call() {
                    let [one, other] = [older, newer].map(|guest| self.guests[guest].person.visitor);
                    self.house.makers[0].keep_apart(one, other, *now);
                    self.house.makers[0].keep_apart(other, one, *now);
                }
            }
            Step::Report { counts } => {
                if let Some((older, newer, _)) = self.next_call() {
                    let [one, other] = [newer, older].map(|guest| self.guests[guest].person);
                    self.house.makers[0].never_again(one, other, counts, *now);
                }
            }
            Step::Vanish => {
                if let Some((older, newer, wish)) = self.next_call() {
                    let [one, other] = [older, newer].map(|guest| self.guests[guest].person);
                    self.house.makers[0].drop_match(one, other, *now);
                    self.join(newer, wish, *now);
                }
            }
            Step::Forget { guest } => {
                if guest < self.guests.len() && !busy(self, guest) {
                    self.waits.remove(&guest);
                    self.house.makers[0].forget(self.guests[guest].person.visitor);
                }
            }
        }
        self.house.settle().await;
        self.read()
    }

    fn join(&mut self, guest: usize, wish: Wish, now: Instant) {
        self.waits.insert(guest, wish.clone());
        self.guests[guest].join(wish, now);
    }

    fn leave(&mut self, guest: usize) {
        if self.waits.remove(&guest).is_some() {
            self.guests[guest].maker.leave(self.guests[guest].ticket);
        }
    }

    fn next_call(&mut self) -> Option<(usize, usize, Wish)> {
        (!self.calls.is_empty()).then(|| self.calls.remove(0))
    }

    fn read(&mut self) -> BTreeSet<(usize, usize)> {
        let mut sides: BTreeMap<CallId, [Option<usize>; 2]> = BTreeMap::new();
        for (index, guest) in self.guests.iter_mut().enumerate() {
            if let Some(matched) = guest.matched() {
                sides.entry(matched.call).or_default()[usize::from(matched.side == Side::B)] = Some(index);
            }
        }
        let pairs: BTreeSet<(usize, usize)> =
            sides.into_values().map(|[older, newer]| (older.expect("both"), newer.expect("both"))).collect();
        for (older, newer) in &pairs {
            self.waits.remove(older).expect("paired while waiting");
            let wish = self.waits.remove(newer).expect("paired while waiting");
            self.calls.push((*older, *newer, wish));
        }
        pairs
    }

    async fn clear(&mut self) {
        for guest in &self.guests {
            guest.maker.forget(guest.person.visitor);
        }
        self.house.settle().await;
        assert_eq!(self.house.waiting(), 0);
    }
}

#[test]
fn redis_pairs_as_memory_does_in_every_history() {
    let runtime = Runtime::new().expect("a runtime");
    let _inside = runtime.enter();
    let redis = runtime.block_on(House::redis(1));
    let first_network = std::cell::Cell::new(0);
    let mut runner =
        TestRunner::new(Config { cases: 150, failure_persistence: None, max_shrink_iters: 200, ..Config::default() });
    let steps = prop::collection::vec(step(), 1..80);
    let done = runner.run(&steps, |steps| {
        // Above those of the other tests' marks.
        first_network.set(first_network.get() + 10_000);
        runtime.block_on(history(&steps, &redis, first_network.get()))
    });
    done.unwrap_or_else(|error| panic!("{error}"));
}

async fn history(steps: &[Step], redis: &House, first_network: u64) -> Result<(), TestCaseError> {
    let memory = House::memory();
    let run = |house| Run { house, guests: Vec::new(), first_network, waits: BTreeMap::new(), calls: Vec::new() };
    let (mut one, mut other) = (run(&memory), run(redis));
    let start = Instant::now();
    let (mut now, mut other_now) = (start, start);
    for (number, step) in steps.iter().enumerate() {
        let expected = one.step(step, &mut now).await;
        let found = other.step(step, &mut other_now).await;
        let same = found == expected;
        if !same {
            other.clear().await;
        }
        prop_assert!(same, "step {number} {step:?}: {found:?}, not {expected:?}");
        prop_assert_eq!(memory.waiting(), redis.waiting());
    }
    other.clear().await;
    Ok(())
}
