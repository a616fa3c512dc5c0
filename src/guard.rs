//! What anybody gets, so that there is enough for everybody: limits by the network that a visitor comes from.
//!
//! A limit counts by IPv4 /32 or IPv6 /64, and with [`WIDE`] times as much by IPv6 /48. Many share one prefix: a family,
//! a school, everybody behind a provider's address translation. So the limits are what hundreds of people need at once,
//! and far below what would hurt the others. They depend on nothing that a visitor can set for somebody else: not on
//! names, tokens or headers, unless a proxy that the operator trusts has written them. Reports are what others say, and so
//! it takes several others.
//!
//! | file | what |
//! |---|---|
//! | `prefix.rs` | from an address to marks that do not lead back to it |
//! | `sieve.rs` | how often: a fixed amount of memory for all the networks there are |
//! | `crowd.rs` | how many at once |
//! | `reports.rs` | who has to stay out of conversations for a while |
//! | [`work`] | what a join takes when too many come at once |
//! | `network.rs` | a network as an operator writes it |
//! | this one | the limits themselves, one row each, and the counts of what was over them |

mod crowd;
mod network;
mod prefix;
mod reports;
mod sieve;
pub mod work;

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use self::{
    crowd::{Crowd, Room},
    prefix::{Keys, Marks},
    reports::Reports,
    sieve::{Limit, Sieve},
    work::{Done, Load, Puzzle, Puzzles},
};
pub use self::{
    network::{Network, NoNetwork},
    prefix::{EPOCH, Home},
};
use crate::{
    mailbox::Whence,
    protocol::{Category, Proof},
};

/// How much more an IPv6 /48 gets than one /64 of it: a household has one or two of them, a campus many.
const WIDE: u32 = 4;

/// What is limited in how often it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A TCP connection, with the TLS handshake that may follow.
    Connection,
    /// An HTTP request.
    Request,
    /// A WebSocket.
    Socket,
    /// A `join`.
    Join,
    /// A match that was left before there was a conversation, which somebody else had waited for.
    Drop,
    /// A report.
    Report,
    /// A call with the server's own caller.
    Echo,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::Connection, Self::Request, Self::Socket, Self::Join, Self::Drop, Self::Report, Self::Echo];

    /// The limits, one row each.
    fn limit(self) -> Limit {
        let (burst, per_minute) = match self {
            // A page opens up to seven: a lecture hall of 300 at once. A TLS handshake is a millisecond at most, so one
            // network takes a twentieth of a core for as long as it likes.
            Self::Connection => (2_048, 3_000),
            // A page asks for about twenty files: 200 people at once. Compressing one is some 100 µs.
            Self::Request => (4_096, 6_000),
            // One for each visitor, and one more when the line is lost; 1,000 who all lose it come back in a minute.
            Self::Socket => (1_024, 1_200),
            // Whoever goes from one conversation to the next asks every few minutes, whoever is restless every ten seconds.
            Self::Join => (512, 600),
            // Everybody leaves quickly now and then, which is nobody's fault. Whoever does nothing else keeps lonely
            // visitors busy, and soon does so only every five seconds.
            Self::Drop => (60, 12),
            // A bad evening has a few. What is more ends the call all the same, and is not counted.
            Self::Report => (20, 2),
            // Once before the first conversation, and some more until a headset works: a class of thirty at once, and then
            // about two at any time.
            Self::Echo => (30, 6),
        };
        Limit { burst, every: Duration::from_nanos(60_000_000_000 / per_minute) }
    }
}

/// What is limited in how many there are at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// TCP connections of every kind.
    Connection,
    /// Those that speak HTTP.
    Http,
    /// Those that have become a WebSocket.
    Socket,
    /// Calls with the server's own caller.
    Echo,
}

impl Place {
    const ALL: [Self; 4] = [Self::Connection, Self::Http, Self::Socket, Self::Echo];

    /// The limits, one row each; `descriptors` is how many sockets the system gives this process.
    fn room(self, descriptors: usize) -> Room {
        let most = descriptors.saturating_sub(RESERVED).max(1);
        let (all, narrow) = match self {
            // Without this, accepting would fail for everybody when the descriptors are used up.
            Self::Connection => (most, 2_048),
            // TURN clients, who are in a call, always find some left.
            Self::Http => (most - most / 8, 1_536),
            // 1,000 visitors of one network, who take 8 MB.
            Self::Socket => (most - most / 8, 1_024),
            // Each is a whole caller, with keys and a voice: 2 % of a core (debug build), and one of the reserved descriptors.
            Self::Echo => (16, 4),
        };
        Room { all, narrow, wide: narrow * WIDE as usize }
    }
}

/// Descriptors that are not for clients: listeners, the relay's sockets, the runtime, files while they are read.
const RESERVED: usize = 64;

/// What one network, an IPv6 /48 too, can add to how many joins there seem to be: as much as its own limit lets go on, so
/// that a crowd behind one address, or somebody who is many there, does not make work for everybody.
const CROWDING: Limit = Limit { burst: 32, every: Duration::from_millis(100) };

/// The fewest joins a second above which work is asked for. One network alone comes to 21: all that [`CROWDING`] lets count
/// of it at once, over three seconds, and what it lets go on.
pub const LEAST_CROWD: u32 = 30;

/// How many join, and what they have done for it.
struct Rush {
    load: Load,
    counted: Meter,
    done: Done,
}

/// What is counted of work, by [`WORK`]'s names.
#[derive(Clone, Copy)]
enum Work {
    Asked,
    Done,
    Refused,
}

/// As the log has it. Refused: too old, used before, of another network, or no solution at all.
const WORK: [&str; 3] = ["work asked for", "work done", "work refused"];

/// Why somebody cannot join now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Too many have from the same network; for how long.
    Wait(Duration),
    /// Too many do from everywhere: this has to be solved first.
    Work(Puzzle),
}

/// The rates of one kind, for both widths of prefix.
struct Meter {
    narrow: Sieve,
    wide: Sieve,
}

impl Meter {
    fn new(limit: Limit, now: Instant) -> Self {
        Self { narrow: Sieve::new(limit, now), wide: Sieve::new(limit.times(WIDE), now) }
    }

    fn wait(&self, marks: Marks, now: Instant) -> Option<Duration> {
        self.narrow.wait(marks.narrow, now).max(marks.wide.and_then(|wide| self.wide.wait(wide, now)))
    }

    /// How many are used up of a narrow prefix' burst; of the wide one's, so many times fewer.
    fn used(&self, marks: Marks, now: Instant) -> u32 {
        self.narrow.used(marks.narrow, now).max(marks.wide.map_or(0, |wide| self.wide.used(wide, now) / WIDE))
    }

    fn take(&mut self, marks: Marks, now: Instant) {
        self.narrow.take(marks.narrow, now);
        if let Some(wide) = marks.wide {
            self.wide.take(wide, now);
        }
    }
}

/// All limits of one server. Nothing in it names anybody.
pub struct Guard {
    /// Proxies that say for whom they speak.
    trusted: Vec<Network>,
    keys: Mutex<Keys>,
    meters: [Mutex<Meter>; Kind::ALL.len()],
    crowds: [Mutex<Crowd>; Place::ALL.len()],
    reports: Mutex<Reports>,
    reported: AtomicU64,
    puzzles: Puzzles,
    rush: Mutex<Rush>,
    work: [AtomicU64; WORK.len()],
    over_rate: [AtomicU64; Kind::ALL.len()],
    over_room: [AtomicU64; Place::ALL.len()],
}

impl Guard {
    /// A guard with all its chance from `seed`, for a process that may open so many descriptors, and which believes
    /// the proxies in `trusted`. It never asks for work.
    pub fn new(seed: [u8; 32], descriptors: usize, trusted: Vec<Network>, now: Instant) -> Self {
        let (load, done) = (Load::new(u32::MAX, now), Done::new(now));
        let counted = Meter { narrow: Sieve::new(CROWDING, now), wide: Sieve::new(CROWDING, now) };
        Self {
            trusted,
            keys: Mutex::new(Keys::new(seed, now)),
            meters: Kind::ALL.map(|kind| Mutex::new(Meter::new(kind.limit(), now))),
            crowds: Place::ALL.map(|place| Mutex::new(Crowd::new(place.room(descriptors)))),
            reports: Mutex::default(),
            reported: AtomicU64::new(0),
            puzzles: Puzzles::new(seed, now),
            rush: Mutex::new(Rush { load, counted, done }),
            work: Default::default(),
            over_rate: Default::default(),
            over_room: Default::default(),
        }
    }

    /// The same, but above so many joins a second, from all networks together, a join takes work; [`LEAST_CROWD`] or more.
    pub fn asking_for_work_above(self, joins: u32, now: Instant) -> Self {
        lock(&self.rush).load = Load::new(joins.max(LEAST_CROWD), now);
        self
    }

    /// Whether this is a proxy that is believed when it says for whom it speaks.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// Whether any proxy is believed.
    pub fn trusts_any(&self) -> bool {
        !self.trusted.is_empty()
    }

    /// Where somebody at this address comes from.
    pub fn home(&self, address: IpAddr, now: Instant) -> Home {
        lock(&self.keys).home(address, now)
    }

    /// What somebody at this address is known by to those who are not to meet them.
    pub fn whence(&self, address: IpAddr, now: Instant) -> Whence {
        lock(&self.keys).whence(address, now)
    }

    /// Counts a report, unless there are too many from there.
    pub fn report(&self, home: &Home, reporter: &Whence, reported: &Whence, category: Category, now: Instant) -> bool {
        let counts = self.take(Kind::Report, home, now).is_ok();
        if counts {
            self.reported.fetch_add(1, Ordering::Relaxed);
            lock(&self.reports).add(reporter, reported, category, now);
        }
        counts
    }

    /// Counts a report that was counted by another server, at `at`.
    pub fn learn(&self, reporter: &Whence, reported: &Whence, category: Category, at: Instant) {
        lock(&self.reports).add(reporter, reported, category, at);
    }

    /// Marks networks as other servers do, so that they are known to all of them: with this day's key and that of the one
    /// before, for what is left of the day.
    pub fn share_keys(&self, keys: [[u8; 32]; 2], left: Duration, now: Instant) {
        lock(&self.keys).share(keys, now + left);
    }

    /// How long somebody has to stay out of conversations, and for what was reported.
    pub fn cooling(&self, whence: &Whence, now: Instant) -> Option<(Duration, Category)> {
        lock(&self.reports).cooling(whence, now)
    }

    /// Drops the reports that no longer count, and a key whose day is over.
    pub fn fade(&self, now: Instant) {
        lock(&self.keys).turn(now);
        lock(&self.reports).fade(now);
        lock(&self.rush).done.fade(now);
    }

    /// Counts a join, unless it has to wait or to be worked for. A `proof` that holds lets it in: it has been counted when
    /// it was asked for. Of any other, nothing is known but that it is none.
    ///
    /// # Errors
    ///
    /// What it has to do first.
    pub fn join(&self, home: &Home, proof: Option<&Proof>, now: Instant) -> Result<(), Refusal> {
        if let Some(proof) = proof {
            let holds = lock(&self.rush).done.accept(&self.puzzles, home.rate.narrow, proof, now);
            self.note(if holds { Work::Done } else { Work::Refused });
            if holds {
                return Ok(());
            }
        }
        self.take(Kind::Join, home, now).map_err(Refusal::Wait)?;
        let mut rush = lock(&self.rush);
        if rush.counted.wait(home.rate, now).is_none() {
            rush.counted.take(home.rate, now);
            rush.load.count(now);
        }
        let Some(over) = rush.load.over(now) else {
            return Ok(());
        };
        drop(rush);
        self.note(Work::Asked);
        let joined = lock(&self.meters[Kind::Join as usize]).used(home.rate, now);
        Err(Refusal::Work(self.puzzles.make(home.rate.narrow, work::tries(over, joined), now)))
    }

    fn note(&self, work: Work) {
        self.work[work as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one more of a kind.
    ///
    /// # Errors
    ///
    /// How long it will be too much, when it is.
    pub fn take(&self, kind: Kind, home: &Home, now: Instant) -> Result<(), Duration> {
        let mut meter = lock(&self.meters[kind as usize]);
        if let Some(wait) = meter.wait(home.rate, now) {
            self.over_rate[kind as usize].fetch_add(1, Ordering::Relaxed);
            return Err(wait);
        }
        meter.take(home.rate, now);
        Ok(())
    }

    /// How long there has been too much of a kind, so that something else has to wait; nothing when there has not.
    pub fn wait(&self, kind: Kind, home: &Home, now: Instant) -> Option<Duration> {
        let wait = lock(&self.meters[kind as usize]).wait(home.rate, now)?;
        self.over_rate[kind as usize].fetch_add(1, Ordering::Relaxed);
        Some(wait)
    }

    /// A place for one more, for as long as the pass is held; without a home (for a proxy) whatever its network has.
    pub fn enter(self: &Arc<Self>, place: Place, home: Option<&Home>) -> Option<Pass> {
        let marks = home.map(|home| home.crowd);
        if lock(&self.crowds[place as usize]).enter(marks) {
            return Some(Pass { guard: Arc::clone(self), place, marks });
        }
        self.over_room[place as usize].fetch_add(1, Ordering::Relaxed);
        None
    }

    /// How often each limit was hit since the start, how many reports there were, and how often work was asked for, done
    /// and refused, with a name for each.
    pub fn counts(&self) -> Vec<(String, u64)> {
        let rates = Kind::ALL.iter().zip(&self.over_rate).map(|(kind, count)| (format!("{kind:?} rate"), count));
        let rooms = Place::ALL.iter().zip(&self.over_room).map(|(place, count)| (format!("{place:?} room"), count));
        let reports = [("reports counted".to_owned(), &self.reported)];
        let work = WORK.iter().map(|name| (*name).to_owned()).zip(&self.work);
        rates
            .chain(rooms)
            .chain(reports)
            .chain(work)
            .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
            .collect()
    }
}

/// A place that is given back when this is dropped.
pub struct Pass {
    guard: Arc<Guard>,
    place: Place,
    marks: Option<Marks>,
}

impl Drop for Pass {
    fn drop(&mut self) {
        lock(&self.guard.crowds[self.place as usize]).leave(self.marks);
    }
}

/// Held for microseconds. A panic under it would be a bug of ours; the counts are still the best there are.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(descriptors: usize) -> (Arc<Guard>, Instant) {
        let now = Instant::now();
        (Arc::new(Guard::new([5; 32], descriptors, Vec::new(), now)), now)
    }

    fn home(guard: &Guard, address: &str, now: Instant) -> Home {
        guard.home(address.parse().expect("an address"), now)
    }

    #[test]
    fn each_kind_and_each_network_has_its_own() {
        let (guard, now) = guard(20_000);
        let (one, other) = (home(&guard, "192.0.2.1", now), home(&guard, "192.0.2.2", now));
        for kind in Kind::ALL {
            let Limit { burst, every } = kind.limit();
            assert_eq!((0..burst + 9).filter(|_| guard.take(kind, &one, now).is_ok()).count(), burst as usize);
            assert_eq!(guard.wait(kind, &one, now), Some(every));
            assert_eq!(guard.wait(kind, &other, now), None);
            assert!(kind == Kind::Report || every <= Duration::from_secs(10), "nobody is asked to wait for long");
        }
        let counts: Vec<u64> = guard.counts().into_iter().map(|(_, count)| count).collect();
        assert_eq!(counts, [10, 10, 10, 10, 10, 10, 10, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_site_gets_more_than_one_of_its_networks_and_less_than_all() {
        let (guard, now) = guard(20_000);
        let burst = Kind::Drop.limit().burst;
        let taken = |subnet: u32| {
            let home = home(&guard, &format!("2001:db8:0:{subnet:x}::1"), now);
            (0..burst).filter(|_| guard.take(Kind::Drop, &home, now).is_ok()).count() as u32
        };
        assert_eq!((0..50).map(taken).sum::<u32>(), burst * WIDE);
        assert!(guard.take(Kind::Drop, &home(&guard, "2001:db8:1::1", now), now).is_ok());
    }

    #[test]
    fn there_is_room_for_so_many_and_it_is_given_back() {
        let (guard, now) = guard(RESERVED + 80);
        let homes: Vec<Home> = (0..99).map(|host| home(&guard, &format!("192.0.2.{host}"), now)).collect();
        let http: Vec<Pass> = homes.iter().filter_map(|home| guard.enter(Place::Http, Some(home))).collect();
        assert_eq!(http.len(), 70, "an eighth is left for those in a call");
        drop(http);
        assert!(guard.enter(Place::Http, Some(&homes[80])).is_some());
        let own: Vec<Pass> = (0..99).filter_map(|_| guard.enter(Place::Connection, Some(&homes[0]))).collect();
        assert_eq!(own.len(), 80);
        assert_eq!(
            guard.counts()[7..10],
            [("Connection room".to_owned(), 19), ("Http room".to_owned(), 29), ("Socket room".to_owned(), 0)]
        );
    }

    fn solution(refusal: Refusal) -> Proof {
        let Refusal::Work(Puzzle { challenge, target, most }) = refusal else { panic!("not work: {refusal:?}") };
        work::solve(&challenge, &target, &most).expect("a solution")
    }

    #[test]
    fn a_crowd_works_and_whoever_has_worked_joins() {
        let (_, now) = guard(20_000);
        let guard = Guard::new([5; 32], 20_000, Vec::new(), now).asking_for_work_above(100, now);
        let homes: Vec<Home> =
            (0..400_u32).map(|host| home(&guard, &format!("192.0.{}.{}", host / 200, host % 200), now)).collect();
        let asked = homes.iter().filter(|home| guard.join(home, None, now).is_err()).count();
        assert!((99..=101).contains(&asked), "{asked} of 400: 100 a second, counted over three");
        let proof = solution(guard.join(&homes[0], None, now).expect_err("work"));
        // Nobody else's, and once.
        assert!(matches!(guard.join(&homes[1], Some(&proof), now), Err(Refusal::Work(_))));
        assert_eq!(guard.join(&homes[0], Some(&proof), now), Ok(()));
        assert!(matches!(guard.join(&homes[0], Some(&proof), now), Err(Refusal::Work(_))));
        let later = now + Duration::from_secs(20);
        assert_eq!(guard.join(&homes[0], None, later), Ok(()), "it passes");
        assert_eq!(guard.join(&homes[0], Some(&proof), later), Ok(()), "and then nobody needs a proof");
        assert_eq!(
            guard.counts()[12..],
            [
                ("work asked for".to_owned(), asked as u64 + 3),
                ("work done".to_owned(), 1),
                ("work refused".to_owned(), 3)
            ]
        );
    }

    /// However many it is: they have their own limit, and the others do not work for them.
    #[test]
    fn one_network_makes_no_work_for_the_others() {
        // One address, one /64, and all that a /48 has.
        for (address, many) in [("192.0.2.1", 1), ("2001:db8::1", 1), ("2001:db8:0:", 5_000)] {
            let (_, start) = guard(20_000);
            let guard = Guard::new([5; 32], 20_000, Vec::new(), start).asking_for_work_above(0, start);
            let other = home(&guard, "192.0.2.2", start);
            for millisecond in 0..20_000 {
                let now = start + Duration::from_millis(millisecond);
                let subnet =
                    if many > 1 { format!("{address}{:x}::1", millisecond % many) } else { address.to_owned() };
                let one = home(&guard, &subnet, now);
                assert!(!matches!(guard.join(&one, None, now), Err(Refusal::Work(_))));
            }
            assert_eq!(guard.join(&other, None, start + Duration::from_secs(20)), Ok(()));
        }
    }

    /// Where many join behind one address, each of them works longer, and nobody elsewhere does.
    #[test]
    fn who_comes_often_works_longer() {
        let (_, now) = guard(20_000);
        let guard = Guard::new([5; 32], 20_000, Vec::new(), now).asking_for_work_above(30, now);
        (0..200).for_each(|host| drop(guard.join(&home(&guard, &format!("10.0.0.{host}"), now), None, now)));
        let (crowd, alone) = (home(&guard, "192.0.2.1", now), home(&guard, "192.0.2.2", now));
        let most = |home| match guard.join(home, None, now) {
            Err(Refusal::Work(puzzle)) => *puzzle.most.get(),
            other => panic!("not work: {other:?}"),
        };
        (0..100).for_each(|_| drop(guard.join(&crowd, None, now)));
        let (crowd, alone) = (most(&crowd), most(&alone));
        assert!(crowd > 5 * alone && crowd <= work::MOST, "{crowd} {alone}");
    }

    #[test]
    fn fifteen_thousand_wait_with_twenty_thousand_descriptors() {
        let (guard, now) = guard(20_000);
        let passes: Vec<Pass> = (0..15_000_u32)
            .filter_map(|number| {
                let home = home(&guard, &format!("10.0.{}.{}", number / 500, number % 250), now);
                guard.enter(Place::Http, Some(&home))
            })
            .collect();
        assert_eq!(passes.len(), 15_000);
    }
}
