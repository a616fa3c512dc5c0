//! Proof of work: what a join takes when too many come at once, from too many networks for the other limits to hold them.
//!
//! A visitor's browser has to find a number by trying (a client puzzle, Juels and Brainard 1999, as ALTCHA has it): below
//! `most` numbers, and half of them on average, so that nobody is unlucky for long, as one is with leading zeros. Making
//! a puzzle takes one HMAC and one SHA-256, and checking a solution one HMAC. Nothing is kept of a puzzle that is not
//! solved: what it is about is in it, under a key of this process's, and the number comes out of the same HMAC.
//!
//! ```text
//! mac       = HMAC-SHA256(key, "sotto puzzle" ‖ the network's mark ‖ expiry ‖ most ‖ salt)
//! challenge = expiry (4 bytes) ‖ most (4) ‖ salt (8) ‖ mac[0..16]
//! number    = mac[16..24] mod most
//! target    = SHA-256(challenge ‖ number (4 bytes))
//! ```
//!
//! It asks for a second of a visitor, and for a core of whoever would be thousands. Somebody with graphics cards is
//! not stopped by SHA-256; the limits by network hold whoever is stopped by nothing else.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::prefix::Mark;
use crate::protocol::{Challenge, MAX_TRIES, Proof, Target, Tries};

/// For how long a puzzle may be solved: a slow phone takes seconds, one that is busy or asleep in between some more.
pub const LIFETIME: Duration = Duration::from_secs(60);

/// What is asked for at the least, in numbers to try: a tenth of a second of a slow phone, nothing that anybody notices.
const LEAST: u32 = 25_000;

/// And at the most, whoever asks: five seconds of a slow phone at the worst, half of them on average.
pub const MOST: u32 = 600_000;

const _: () = assert!(MOST <= MAX_TRIES);

/// So many joins of one network at once cost nobody there more than one does: a family, a few friends.
const FREE: u32 = 16;

/// The time over which joins are counted. Shorter, and a group that comes together is a flood; longer, and a flood has
/// been let in before it is one.
const OVER: Duration = Duration::from_secs(3);

/// Below this part of what it takes to begin, it ends: those who had to work and went would otherwise switch it on and off.
const CALM: f64 = 0.5;

/// How many solutions are remembered, in the time in which they could come again: more joins than any one process takes
/// (4,000 a second). In the worst case that is 10 MB.
const MAX_DONE: usize = 256 * 1024;

/// For making puzzles.
const PUZZLE: &[u8] = b"sotto puzzle";

/// For telling them apart.
const SALT: &[u8] = b"sotto salt";

/// What a visitor is asked to solve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Puzzle {
    /// To be given back.
    pub challenge: Challenge,
    /// What is to be found comes to this.
    pub target: Target,
    /// How many numbers there are.
    pub most: Tries,
}

/// Makes puzzles and knows their solutions; keeps nothing.
pub struct Puzzles {
    key: Hmac<Sha256>,
    start: Instant,
    made: AtomicU64,
}

impl Puzzles {
    /// With a key that comes out of `seed`, which must be unpredictable and is not kept.
    pub fn new(seed: [u8; 32], now: Instant) -> Self {
        let seed: Hmac<Sha256> = Hmac::new_from_slice(&seed).expect("HMAC takes keys of every length");
        let key = seed.chain_update(PUZZLE).finalize().into_bytes();
        let key = Hmac::new_from_slice(&key).expect("HMAC takes keys of every length");
        Self { key, start: now, made: AtomicU64::new(0) }
    }

    /// A puzzle for the network with this mark.
    pub fn make(&self, mark: Mark, tries: u32, now: Instant) -> Puzzle {
        let tries = tries.clamp(1, MAX_TRIES);
        let mut front = [0; 16];
        front[..4].copy_from_slice(&(self.seconds(now) + LIFETIME.as_secs() as u32).to_be_bytes());
        front[4..8].copy_from_slice(&tries.to_be_bytes());
        front[8..].copy_from_slice(&self.salt());
        let (tag, number) = self.seal(mark, front, tries);
        let mut challenge = [0; 32];
        challenge[..16].copy_from_slice(&front);
        challenge[16..].copy_from_slice(&tag);
        Puzzle {
            challenge: Challenge::of(challenge),
            target: Target::of(digest(&challenge, number)),
            most: Tries::about(tries),
        }
    }

    /// What a solution is to be remembered by, if it is one: of a puzzle for this network that is not too old.
    fn solved(&self, mark: Mark, proof: &Proof, now: Instant) -> Option<u64> {
        let challenge = proof.challenge.bytes();
        let (front, tag): ([u8; 16], [u8; 16]) =
            (std::array::from_fn(|index| challenge[index]), std::array::from_fn(|index| challenge[16 + index]));
        let word = |from: usize| u32::from_be_bytes(std::array::from_fn(|index| front[from + index]));
        let (expiry, tries) = (word(0), word(4));
        if expiry <= self.seconds(now) || tries == 0 {
            return None;
        }
        let (own, number) = self.seal(mark, front, tries);
        let holds = bool::from(own.ct_eq(&tag) & number.ct_eq(&proof.number));
        holds.then(|| u64::from_be_bytes(std::array::from_fn(|index| tag[index])))
    }

    /// What nobody else can make: the tag of a puzzle, and its solution.
    fn seal(&self, mark: Mark, front: [u8; 16], tries: u32) -> ([u8; 16], u32) {
        let mac = self.key.clone().chain_update(PUZZLE).chain_update(mark.bytes()).chain_update(front);
        let bytes: [u8; 32] = mac.finalize().into_bytes().into();
        let number = u64::from_be_bytes(std::array::from_fn(|index| bytes[16 + index])) % u64::from(tries);
        (std::array::from_fn(|index| bytes[index]), number as u32)
    }

    /// Another each time, and it does not tell how many there were.
    fn salt(&self) -> [u8; 8] {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let bytes = self.key.clone().chain_update(SALT).chain_update(number.to_be_bytes()).finalize().into_bytes();
        std::array::from_fn(|index| bytes[index])
    }

    /// Wraps after 136 years.
    fn seconds(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.start).as_secs() as u32
    }
}

/// SHA-256 of a challenge and a number.
fn digest(challenge: &[u8; 32], number: u32) -> [u8; 32] {
    Sha256::new().chain_update(challenge).chain_update(number.to_be_bytes()).finalize().into()
}

/// Finds the number, for callers that are no browsers. Takes as long as it takes; nothing when there is none.
pub fn solve(challenge: &Challenge, target: &Target, most: &Tries) -> Option<Proof> {
    let (bytes, target) = (challenge.bytes(), target.bytes());
    let number = (0..*most.get()).find(|number| digest(&bytes, *number) == target)?;
    Some(Proof { challenge: challenge.clone(), number })
}

/// How many joins there are, of how many there should be.
pub struct Load {
    /// A second: where it begins.
    above: f64,
    /// A second, as of `at`: what came lately counts more.
    rate: f64,
    at: Instant,
    on: bool,
}

impl Load {
    /// Nobody so far. Above so many joins a second it is too much.
    pub fn new(above: u32, now: Instant) -> Self {
        Self { above: f64::from(above), rate: 0.0, at: now, on: false }
    }

    /// One more.
    pub fn count(&mut self, now: Instant) {
        self.pass(now);
        self.rate += 1.0 / OVER.as_secs_f64();
    }

    /// How many times too many there are; nothing while it is not too much. Above 1 it begins, and ends below [`CALM`].
    pub fn over(&mut self, now: Instant) -> Option<f64> {
        self.pass(now);
        let over = self.rate / self.above;
        self.on = over > if self.on { CALM } else { 1.0 };
        self.on.then_some(over)
    }

    fn pass(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at);
        self.rate *= (-passed.as_secs_f64() / OVER.as_secs_f64()).exp();
        self.at = self.at.max(now);
    }
}

/// How many numbers are to be tried by somebody of whose network so many have joined lately, when there are so many
/// times too many in all.
pub fn tries(over: f64, joined: u32) -> u32 {
    let own = f64::from(joined.max(FREE)) / f64::from(FREE);
    // The cast saturates.
    ((f64::from(LEAST) * over * own) as u32).clamp(LEAST, MOST)
}

/// The solutions that could be tried once more.
pub struct Done {
    current: HashSet<u64>,
    /// Of the minute before, until none of its puzzles is good any more.
    before: HashSet<u64>,
    turn: Instant,
}

impl Done {
    /// None yet.
    pub fn new(now: Instant) -> Self {
        Self { current: HashSet::new(), before: HashSet::new(), turn: now + LIFETIME }
    }

    /// Notes a solution; false when it has been noted before, or when there are too many to remember another.
    fn put(&mut self, solution: u64, now: Instant) -> bool {
        self.fade(now);
        self.current.len() < MAX_DONE && !self.before.contains(&solution) && self.current.insert(solution)
    }

    /// Forgets those that are too old to be tried.
    pub fn fade(&mut self, now: Instant) {
        if now < self.turn {
            return;
        }
        let is_next = now < self.turn + LIFETIME;
        self.before = std::mem::take(&mut self.current);
        if !is_next {
            self.before = HashSet::new();
        }
        self.turn = now + LIFETIME;
    }

    /// Takes a proof, once.
    pub fn accept(&mut self, puzzles: &Puzzles, mark: Mark, proof: &Proof, now: Instant) -> bool {
        puzzles.solved(mark, proof, now).is_some_and(|solution| self.put(solution, now))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use proptest::prelude::*;

    use super::*;
    use crate::guard::prefix::Keys;

    const SECOND: Duration = Duration::from_secs(1);

    fn mark(number: u32, start: Instant) -> Mark {
        Keys::new([3; 32], start).home(IpAddr::V4(Ipv4Addr::from_bits(number)), start).rate.narrow
    }

    /// What a browser sends back.
    fn solution(puzzle: &Puzzle) -> Proof {
        solve(&puzzle.challenge, &puzzle.target, &puzzle.most).expect("every puzzle has a solution")
    }

    #[test]
    fn a_solution_holds_once_for_its_network_and_for_its_time() {
        let start = Instant::now();
        let (own, other) = (mark(1, start), mark(2, start));
        let (puzzles, mut done) = (Puzzles::new([5; 32], start), Done::new(start));
        let now = start + 1_000 * SECOND;
        let proof = solution(&puzzles.make(own, 2_000, now));
        assert!(!done.accept(&puzzles, other, &proof, now), "another network");
        assert!(!done.accept(&Puzzles::new([6; 32], start), own, &proof, now), "another server");
        assert!(!done.accept(&puzzles, own, &proof, now + LIFETIME), "too late");
        assert!(!done.accept(&puzzles, own, &Proof { number: proof.number ^ 1, ..proof.clone() }, now));
        assert!(done.accept(&puzzles, own, &proof, now + LIFETIME - SECOND), "and none of that has used it up");
        for later in [LIFETIME - SECOND, LIFETIME, 9 * LIFETIME] {
            assert!(!done.accept(&puzzles, own, &proof, now + later), "once");
        }
        // Two of the same moment are two.
        let [one, two] = [0; 2].map(|_| puzzles.make(own, 2_000, now));
        assert_ne!(one.challenge.bytes(), two.challenge.bytes());
        assert!(done.accept(&puzzles, own, &solution(&one), now) && done.accept(&puzzles, own, &solution(&two), now));
    }

    /// The golden `work` frame is a puzzle as this makes them, and the golden `join` its solution.
    #[test]
    fn the_golden_puzzle_is_solved() {
        let golden = |text: &str, field: &str| -> serde_json::Value {
            let rows: Vec<serde_json::Value> = serde_json::from_str(text).expect("a fixture");
            rows.into_iter().map(|row| row["frame"].clone()).find(|frame| !frame[field].is_null()).expect("a row")
        };
        let work = golden(include_str!("../../tests/fixtures/protocol/server.json"), "most");
        let Ok(crate::protocol::ServerMessage::Work { challenge, target, most }) = serde_json::from_value(work) else {
            panic!("not work");
        };
        let proof = solve(&challenge, &target, &most);
        let join = golden(include_str!("../../tests/fixtures/protocol/client.json"), "proof");
        assert_eq!(serde_json::to_value(proof).expect("JSON"), join["proof"]);
    }

    #[test]
    fn what_it_takes_follows_the_load_and_ones_own_part_of_it_and_has_an_end() {
        assert_eq!(tries(1.0, 0), LEAST);
        assert_eq!(tries(1.0, FREE), LEAST, "a family");
        assert_eq!(tries(2.0, FREE), 2 * LEAST);
        assert_eq!(tries(1.0, 4 * FREE), 4 * LEAST, "a crowd behind one address");
        for (over, joined) in [(1e9, 0), (1.0, u32::MAX), (f64::INFINITY, u32::MAX), (1e300, 512)] {
            assert_eq!(tries(over, joined), MOST);
        }
        assert_eq!(tries(CALM, 1), LEAST, "never nothing");
    }

    #[test]
    fn it_begins_above_the_limit_and_ends_well_below_it() {
        let start = Instant::now();
        let mut load = Load::new(100, start);
        let mut now = start;
        let mut go = |load: &mut Load, per_second: u32, seconds: u32| {
            for _ in 0..per_second * seconds {
                now += SECOND / per_second;
                load.count(now);
            }
            load.over(now)
        };
        assert_eq!(go(&mut load, 95, 60), None);
        let over = go(&mut load, 300, 60).expect("too much");
        assert!((2.9..3.1).contains(&over), "{over}");
        assert!(go(&mut load, 60, 60).is_some(), "it would begin again at once");
        assert_eq!(go(&mut load, 40, 60), None);
        assert_eq!(go(&mut load, 95, 60), None, "and begins only above the limit again");
        assert!(go(&mut load, 200, 60).is_some());
        assert_eq!(load.over(start + Duration::from_secs(9_999)), None, "when nobody comes");
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten() {
        let start = Instant::now();
        let mut done = Done::new(start);
        assert_eq!((0..MAX_DONE as u64 + 9).filter(|number| done.put(*number, start)).count(), MAX_DONE);
        assert!(done.put(u64::MAX, start + LIFETIME), "there is room again");
        assert!(!done.put(7, start + LIFETIME), "and what could come again is known");
        assert!(done.put(7, start + 2 * LIFETIME));
        done.fade(start + 4 * LIFETIME);
        assert_eq!((done.current.len(), done.before.len()), (0, 0));
    }

    #[test]
    fn checking_costs_next_to_nothing_beside_solving() {
        const ROUNDS: u32 = 20;
        let start = Instant::now();
        let (puzzles, own) = (Puzzles::new([5; 32], start), mark(1, start));
        let many: Vec<Puzzle> = (0..ROUNDS).map(|_| puzzles.make(own, LEAST, start)).collect();
        let began = Instant::now();
        let proofs: Vec<Proof> = many.iter().map(solution).collect();
        let solving = began.elapsed() / ROUNDS;
        let began = Instant::now();
        for proof in std::iter::repeat_n(&proofs, 100).flatten() {
            assert!(puzzles.solved(own, std::hint::black_box(proof), start).is_some());
        }
        let checking = began.elapsed() / (100 * ROUNDS);
        println!("{solving:?} to solve the least there is, {checking:?} to check it");
        assert!(checking * 100 < solving, "{checking:?}, {solving:?}");
    }

    proptest! {
        /// Whatever is changed of a proof, by whomever: it is none.
        #[test]
        fn nothing_else_is_a_proof(
            byte in 0..32_usize, bit in 0..8_u8, number: u32, tries in 1..3_000_u32, noise: [u8; 32], wait in 0..200_u32,
        ) {
            let start = Instant::now();
            let own = mark(1, start);
            let (puzzles, mut done) = (Puzzles::new([5; 32], start), Done::new(start));
            let puzzle = puzzles.make(own, tries, start);
            let proof = solution(&puzzle);
            prop_assert!(proof.number < *puzzle.most.get() && *puzzle.most.get() == tries);
            // Another difficulty, another time, another salt or another tag.
            let mut challenge = proof.challenge.bytes();
            challenge[byte] ^= 1_u8 << bit;
            let forged = Proof { challenge: Challenge::of(challenge), number: proof.number };
            prop_assert!(!done.accept(&puzzles, own, &forged, start));
            let garbage = Proof { challenge: Challenge::of(noise), number };
            prop_assert!(!done.accept(&puzzles, own, &garbage, start));
            if number != proof.number {
                let other = Proof { number, ..proof.clone() };
                prop_assert!(!done.accept(&puzzles, own, &other, start));
            }
            prop_assert_eq!(done.accept(&puzzles, own, &proof, start + wait * SECOND), wait < 60);
        }

        /// However they come: nothing is taken twice, and nothing refused that has not been taken.
        #[test]
        fn every_solution_is_taken_exactly_once(steps in prop::collection::vec((0..30_u64, 0..40_u32), 1..200)) {
            let start = Instant::now();
            let (mut now, mut done) = (start, Done::new(start));
            let mut taken = std::collections::HashMap::new();
            for (solution, seconds) in steps {
                now += seconds * SECOND;
                let before = taken.get(&solution).copied();
                // As long as it could come again, which is a lifetime from when it was made.
                let again = before.is_some_and(|at| now < at + LIFETIME);
                let is_taken = done.put(solution, now);
                prop_assert!(!(again && is_taken), "twice");
                prop_assert!(is_taken || before.is_some_and(|at| now < at + 3 * LIFETIME));
                if is_taken {
                    taken.insert(solution, now);
                }
            }
        }
    }
}
