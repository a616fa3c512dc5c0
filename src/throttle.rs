//! How fast one connection is read: what somebody sends beyond that stays where it is until it is paid for.

use std::time::{Duration, Instant};

/// A token bucket in one value: the moment from which on nothing has been read that was not paid for.
pub struct Throttle {
    rate: u32,
    burst: Duration,
    paid: Instant,
}

impl Throttle {
    /// Lets so many bytes a second through, and of what comes at once as much as in `burst`.
    pub fn new(rate: u32, burst: Duration, now: Instant) -> Self {
        Self { rate, burst, paid: now }
    }

    /// Counts what was read, and says how long to read no more.
    pub fn take(&mut self, now: Instant, bytes: usize) -> Option<Duration> {
        let cost = Duration::from_secs(1) * u32::try_from(bytes).unwrap_or(u32::MAX) / self.rate;
        self.paid = self.paid.max(now) + cost;
        self.paid.checked_duration_since(now + self.burst).filter(|wait| !wait.is_zero())
    }
}
