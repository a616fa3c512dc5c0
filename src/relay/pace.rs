//! When the thread that forwards looks for datagrams again.
//!
//! Being woken costs more than forwarding. A thread that is woken by every datagram spends most of its time on that
//! at the loads that most relays have; one that looks around by itself every few hundred microseconds finds several
//! at once. That delays each a little, so it is done only while it pays: not when so few come that a wait would
//! find one, nor when so many come that batches form anyhow.

use std::time::{Duration, Instant};

use super::batch::BATCH;

/// The longest wait, and so about the longest that a datagram is delayed: nobody hears 0.75 ms, and the 99th
/// percentile stays under one. (Microseconds of CPU per packet, without a wait and with 100, 250, 500 and 800 µs:
/// at 50 calls 17, 15, 15, 9 and 7; at 200 calls 6.7, 5.6, 4.6, 3.8 and 3.4; at 1,000 calls about 2.5 with any.)
const LONGEST: Duration = Duration::from_micros(750);

/// Datagrams worth waiting for. With more, being woken is a small part of the cost of each, so that a shorter wait
/// does as well.
const ENOUGH: f64 = BATCH as f64 / 2.0;

/// Fewer are not worth it: waking up by a clock costs as much as being woken.
const TOO_FEW: f64 = 2.0;

/// How fast the measured rate follows the load, in seconds.
const MEMORY: f64 = 0.1;

/// What to do before receiving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Wait until something comes.
    Block,
    /// Wait for so long, then take what is there.
    After(Duration),
}

/// The load, as seen by one thread.
pub(super) struct Pace {
    /// Datagrams a second, lately.
    rate: f64,
    /// When datagrams were last received.
    last: Instant,
}

impl Pace {
    pub fn new(now: Instant) -> Self {
        Self { rate: 0.0, last: now }
    }

    /// Counts what was received at `now`.
    pub fn received(&mut self, now: Instant, count: usize) {
        let elapsed = now.saturating_duration_since(self.last).as_secs_f64();
        self.rate = (self.rate * MEMORY + count as f64) / (MEMORY + elapsed);
        self.last = now;
    }

    /// What to do after `count` datagrams have been received and handled, at `now`.
    pub fn next(&self, now: Instant, count: usize) -> Next {
        let worthwhile = self.rate * LONGEST.as_secs_f64() >= TOO_FEW;
        if count == 0 || count == BATCH || !worthwhile {
            return Next::Block;
        }
        let wait = LONGEST.min(Duration::from_secs_f64(ENOUGH / self.rate));
        match (self.last + wait).checked_duration_since(now) {
            Some(left) => Next::After(left),
            None => Next::Block,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second in which so many datagrams come every so many microseconds.
    fn after_a_second(start: Instant, count: usize, every: u64) -> (Pace, Instant) {
        let mut pace = Pace::new(start);
        let mut now = start;
        for _ in 0..1_000_000 / every {
            now += Duration::from_micros(every);
            pace.received(now, count);
        }
        (pace, now)
    }

    #[test]
    fn a_single_call_is_not_delayed() {
        let (pace, now) = after_a_second(Instant::now(), 1, 10_000);
        assert_eq!(pace.next(now, 1), Next::Block);
    }

    #[test]
    fn a_hundred_calls_are_forwarded_in_batches() {
        let (pace, now) = after_a_second(Instant::now(), 1, 100);
        assert_eq!(pace.next(now, 1), Next::After(LONGEST));
        let handled = now + Duration::from_micros(100);
        assert_eq!(pace.next(handled, 1), Next::After(LONGEST - Duration::from_micros(100)));
    }

    #[test]
    fn a_thousand_calls_wait_less() {
        let (pace, now) = after_a_second(Instant::now(), 10, 100);
        let Next::After(wait) = pace.next(now, 10) else { panic!("no batch forms") };
        assert!(wait < LONGEST, "{wait:?}");
        assert!(wait.as_secs_f64() * 100_000.0 > 25.0, "{wait:?}");
    }

    #[test]
    fn whoever_is_behind_does_not_wait() {
        let (pace, now) = after_a_second(Instant::now(), 10, 100);
        assert_eq!(pace.next(now, BATCH), Next::Block);
        assert_eq!(pace.next(now + LONGEST, 10), Next::Block);
    }

    #[test]
    fn the_wait_ends_with_the_load() {
        let (mut pace, now) = after_a_second(Instant::now(), 1, 100);
        assert_eq!(pace.next(now, 0), Next::Block, "nothing has come while it waited");
        let later = now + Duration::from_secs(1);
        pace.received(later, 1);
        assert_eq!(pace.next(later, 1), Next::Block);
    }
}
