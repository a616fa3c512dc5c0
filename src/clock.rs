//! The moment, passed in: rules never ask the system for the time.

use std::time::{Duration, Instant, SystemTime};

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For durations and deadlines; never goes back.
    pub instant: Instant,
    /// Seconds since the Unix epoch, for what travels between machines (credential expiry).
    pub unix: u64,
}

impl Now {
    /// Reads both clocks. Only pumps call this.
    pub fn read() -> Self {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self { instant: Instant::now(), unix }
    }

    /// The moment that comes `by` later on both clocks.
    pub fn after(self, by: Duration) -> Self {
        Self { instant: self.instant + by, unix: self.unix + by.as_secs() }
    }
}

/// The CPU time that the calling thread has had. Nothing where the system does not tell.
pub fn thread_cpu() -> Duration {
    #[cfg(target_os = "linux")]
    {
        use nix::time::{ClockId, clock_gettime};

        clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
    }
    #[cfg(not(target_os = "linux"))]
    Duration::ZERO
}
