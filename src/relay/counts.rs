//! What was dropped or refused because it was too much.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Default)]
pub struct Count(AtomicU64);

impl Count {
    pub(super) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often each limit was hit. Nobody else notices when one is.
#[derive(Default)]
pub struct Counts {
    /// Payloads over the rate of their allocation.
    pub over_rate: Count,
    /// Requests without credentials from a network that had its answers.
    pub unanswered: Count,
    /// Requests with good credentials for more than anybody gets.
    pub over_quota: Count,
}

impl Counts {
    /// All of them, by name.
    pub fn all(&self) -> [(&'static str, u64); 3] {
        [
            ("relay over rate", self.over_rate.get()),
            ("relay unanswered", self.unanswered.get()),
            ("relay over quota", self.over_quota.get()),
        ]
    }
}
