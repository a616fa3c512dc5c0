//! How often something may happen, for every network there is, in a fixed amount of memory.
//!
//! A token bucket (as the generic cell rate algorithm, one moment per bucket) would need an entry for each network, and
//! somebody with an IPv6 /32 has four billion of those: a table of entries would either grow, or forget somebody's limit
//! to make room for another's. So there are no entries. A network's [`Mark`] names four of the cells; the one of them
//! that is least used up counts, and whatever is taken is taken from all four (a count-min sketch with conservative
//! update). Nobody's limit can be reset by what others do, and nothing can be listed: a cell holds a moment and not
//! whose. The price is that somebody may share all four with others who have used theirs up. Which four is a secret of
//! the key, so nobody can aim at it, and it takes thousands of networks at their limit to happen to one in a hundred.

use std::time::{Duration, Instant};

use super::prefix::Mark;

/// With 500 networks at their limit one visitor in 5,000 is slowed down with them, with 5,000 one in four; 128 KiB,
/// twice for each kind of limit, of which the system gives as much as is used.
const CELLS: usize = 16 * 1024;

/// How often something may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// As many at once.
    pub burst: u32,
    /// Afterwards one as often as this.
    pub every: Duration,
}

impl Limit {
    /// So many times as much.
    pub const fn times(self, factor: u32) -> Self {
        Self { burst: self.burst * factor, every: Duration::from_nanos(self.every.as_nanos() as u64 / factor as u64) }
    }
}

/// The cells of one limit.
pub struct Sieve {
    start: Instant,
    /// When each is full again, in nanoseconds from the start.
    cells: Box<[u64]>,
    every: u64,
    depth: u64,
}

impl Sieve {
    /// Everybody has a whole burst.
    pub fn new(limit: Limit, now: Instant) -> Self {
        let every = nanoseconds(limit.every);
        Self { start: now, cells: vec![0; CELLS].into(), every, depth: every * u64::from(limit.burst) }
    }

    /// How long until it may happen; nothing when it may happen now.
    pub fn wait(&self, mark: Mark, now: Instant) -> Option<Duration> {
        let now = self.nanoseconds(now);
        let over = self.after(mark, now).saturating_sub(now + self.depth);
        (over > 0).then(|| Duration::from_nanos(over))
    }

    /// Takes one, if there is one.
    pub fn take(&mut self, mark: Mark, now: Instant) {
        if self.wait(mark, now).is_some() {
            return;
        }
        let after = self.after(mark, self.nanoseconds(now));
        for place in mark.places(CELLS) {
            self.cells[place] = self.cells[place].max(after);
        }
    }

    /// How many of a burst are used up.
    pub fn used(&self, mark: Mark, now: Instant) -> u32 {
        let now = self.nanoseconds(now);
        let after = self.after(mark, now) - self.every;
        u32::try_from((after - now).div_ceil(self.every)).unwrap_or(u32::MAX)
    }

    /// When the network's bucket is full again if one more is taken.
    fn after(&self, mark: Mark, now: u64) -> u64 {
        let least = mark.places(CELLS).into_iter().map(|place| self.cells[place]).min();
        least.unwrap_or_default().max(now) + self.every
    }

    fn nanoseconds(&self, now: Instant) -> u64 {
        nanoseconds(now.saturating_duration_since(self.start))
    }
}

/// Wraps after 584 years.
fn nanoseconds(time: Duration) -> u64 {
    time.as_nanos() as u64
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use proptest::prelude::*;

    use super::*;
    use crate::guard::prefix::Keys;

    const LIMIT: Limit = Limit { burst: 5, every: Duration::from_secs(2) };

    fn marks(start: Instant) -> impl FnMut(u32) -> Mark {
        let mut keys = Keys::new([3; 32], start);
        move |number| keys.home(IpAddr::V4(Ipv4Addr::from_bits(number)), start).rate.narrow
    }

    fn took(sieve: &mut Sieve, mark: Mark, now: Instant) -> bool {
        let free = sieve.wait(mark, now).is_none();
        sieve.take(mark, now);
        free
    }

    #[test]
    fn a_burst_and_then_a_pace_and_the_wait_is_as_long_as_said() {
        let start = Instant::now();
        let (mut sieve, mark) = (Sieve::new(LIMIT, start), marks(start)(1));
        let now = start + Duration::from_secs(100);
        assert_eq!((0..9).filter(|_| took(&mut sieve, mark, now)).count(), 5);
        assert_eq!(sieve.wait(mark, now), Some(LIMIT.every), "what is refused costs nothing");
        assert_eq!([0, 1, 2, 4, 5, 9].map(|paces| sieve.used(mark, now + LIMIT.every * paces)), [5, 4, 3, 1, 0, 0]);
        assert!(!took(&mut sieve, mark, now + LIMIT.every - Duration::from_nanos(1)));
        assert!(took(&mut sieve, mark, now + LIMIT.every));
        assert_eq!((0..9).filter(|_| took(&mut sieve, mark, now + LIMIT.every * 100)).count(), 5);
    }

    #[test]
    fn a_flood_from_everywhere_resets_nobody_and_hardly_slows_anybody() {
        let start = Instant::now();
        let (mut sieve, mut mark) = (Sieve::new(LIMIT, start), marks(start));
        let used_up = mark(0);
        (0..LIMIT.burst).for_each(|_| sieve.take(used_up, start));
        // As many networks as somebody has who has an IPv6 /48, one try each.
        (1..=65_536).for_each(|number| sieve.take(mark(number), start));
        assert!(!took(&mut sieve, used_up, start));
        let later = start + LIMIT.every * LIMIT.burst;
        let mut sieve = Sieve::new(LIMIT, start);
        for number in 1..=500 {
            (0..LIMIT.burst).for_each(|_| sieve.take(mark(number), later));
        }
        let slowed = (10_000..20_000).filter(|number| !took(&mut sieve, mark(*number), later)).count();
        assert!(slowed <= 30, "{slowed} of 10,000");
    }

    proptest! {
        /// Whatever others do: no network ever gets more than its burst and its pace, and one that keeps its pace
        /// waits no longer than it is told.
        #[test]
        fn nobody_gets_more_than_the_limit(steps in prop::collection::vec((0..40_u32, 0..3_000_u64), 1..400)) {
            let start = Instant::now();
            let (mut sieve, mut mark) = (Sieve::new(LIMIT, start), marks(start));
            let mut now = start;
            let mut taken: Vec<(u32, Instant)> = Vec::new();
            for (network, pause) in steps {
                now += Duration::from_millis(pause);
                let told = sieve.wait(mark(network), now);
                prop_assert_eq!(took(&mut sieve, mark(network), now), told.is_none());
                if let Some(wait) = told {
                    prop_assert!(wait <= LIMIT.every);
                    prop_assert!(sieve.wait(mark(network), now + wait).is_none());
                } else {
                    taken.push((network, now));
                }
            }
            for (index, (network, from)) in taken.iter().enumerate() {
                let own = taken[index..].iter().filter(|(other, _)| other == network);
                for (count, (_, until)) in own.enumerate() {
                    let most = u128::from(LIMIT.burst) + (*until - *from).as_nanos() / LIMIT.every.as_nanos();
                    prop_assert!((count as u128) < most);
                }
            }
        }
    }
}
