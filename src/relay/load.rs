//! How much of its time a thread has worked, and whether that is too much for one.
//!
//! A second thread makes each packet dearer: two find smaller batches than one. So there is one until it is full.
//! None is ever taken away again: what lies in its socket would be lost, its callers would move once more, and it
//! costs only where there is time to spare.

use std::time::{Duration, Instant};

/// The share of its time that a full thread has worked. A socket's buffer gets over a tenth of a second of too much;
/// the rest of the core is for those who come while this is found out.
const FULL: f64 = 0.7;

/// How fast the measured share follows the load, in seconds: who suddenly has all he can do is full after four, and a
/// moment's crowd is over by then.
const MEMORY: f64 = 3.0;

/// How often it is worth looking.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The load of one thread, as it sees it itself: by its CPU time, since one that waits for a core would have to share
/// that core with the next.
pub(super) struct Load {
    /// The share of its time that it has worked, lately.
    share: f64,
    looked: Instant,
    /// The CPU time that it had had by then.
    spent: Duration,
    /// How many threads shared the work.
    threads: usize,
}

impl Load {
    /// Of a thread that has had so much CPU time and begins at `now`.
    pub fn new(now: Instant, spent: Duration) -> Self {
        Self { share: 0.0, looked: now, spent, threads: 0 }
    }

    /// Whether the thread is full at `now`, when it has had `spent` of CPU time and there are so many `threads`.
    ///
    /// Begins anew with each thread that comes: what one carried before says nothing of what it carries now, and so
    /// there are some seconds between two of them.
    pub fn is_full(&mut self, now: Instant, spent: Duration, threads: usize) -> bool {
        let elapsed = now.saturating_duration_since(self.looked).as_secs_f64();
        let worked = spent.saturating_sub(self.spent).as_secs_f64();
        (self.looked, self.spent) = (now, spent);
        if self.threads != threads {
            (self.threads, self.share) = (threads, 0.0);
        } else if elapsed > 0.0 {
            let kept = (-elapsed / MEMORY).exp();
            self.share = self.share * kept + worked / elapsed * (1.0 - kept);
        }
        self.share >= FULL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thread whose time passes by the second.
    struct Thread {
        load: Load,
        now: Instant,
        spent: Duration,
        threads: usize,
    }

    impl Thread {
        fn new() -> Self {
            let now = Instant::now();
            let mut load = Load::new(now, Duration::ZERO);
            assert!(!load.is_full(now, Duration::ZERO, 1));
            Self { load, now, spent: Duration::ZERO, threads: 1 }
        }

        /// Works for so much of each second; says after how many it is full, if it ever is.
        fn work(&mut self, share: f64, seconds: usize) -> Option<usize> {
            (1..=seconds).find(|_| {
                self.now += LOOK_EVERY;
                self.spent += LOOK_EVERY.mul_f64(share);
                self.load.is_full(self.now, self.spent, self.threads)
            })
        }
    }

    #[test]
    fn who_has_time_to_spare_is_not_full() {
        let mut thread = Thread::new();
        assert_eq!(thread.work(0.65, 10_000), None);
    }

    #[test]
    fn the_more_there_is_to_do_the_sooner_it_is_full() {
        assert_eq!(Thread::new().work(1.0, 60), Some(4));
        assert_eq!(Thread::new().work(0.8, 60), Some(7));
        let mut busy = Thread::new();
        assert_eq!(busy.work(0.6, 60), None);
        assert_eq!(busy.work(1.0, 60), Some(1));
    }

    #[test]
    fn a_crowd_of_a_moment_does_not_fill_it() {
        let mut thread = Thread::new();
        for _ in 0..1_000 {
            assert_eq!(thread.work(1.0, 2), None);
            assert_eq!(thread.work(0.2, 4), None);
        }
    }

    #[test]
    fn with_another_thread_it_begins_anew() {
        let mut thread = Thread::new();
        assert_eq!(thread.work(1.0, 60), Some(4));
        assert_eq!(thread.work(1.0, 60), Some(1), "nobody has come");
        thread.threads = 2;
        assert_eq!(thread.work(1.0, 4), None);
        assert_eq!(thread.work(0.6, 1_000), None, "half of it has gone to the other");
    }

    #[test]
    fn an_idle_thread_that_has_not_looked_for_long_is_not_full() {
        let mut thread = Thread::new();
        assert_eq!(thread.work(1.0, 3), None);
        thread.now += Duration::from_secs(5);
        assert!(!thread.load.is_full(thread.now, thread.spent, 1));
        assert!(!thread.load.is_full(thread.now, thread.spent, 1), "no time has passed");
    }
}
