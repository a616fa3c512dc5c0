//! How many answers strangers get.
//!
//! A 401 and a Binding response go to whatever address a datagram claims to come from, so they could be aimed at
//! somebody else. So each network prefix has an account in bytes: a stranger's request pays in half its length, an
//! answer takes its whole length out, and there is none on credit. Over time nobody is sent more than half of what
//! is sent in his name.
//!
//! A signed request proves that a client is where it claims to be, since the nonce that it needs was sent there, and
//! fills the account up. So callers never see its limit; and a prefix in whose name somebody else has emptied it
//! still gets every few requests answered, which is less than the times that clients repeat theirs.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    time::{Duration, Instant},
};

use crate::prefix::Prefix;

/// What is in a full account, in bytes: some 90 answers before the first caller has signed something, which a whole
/// school behind one address does not ask for within one round trip.
const FULL: usize = 4_096;

/// How long a prefix is remembered after it was last heard of. Then its account is full again: somebody in whose name
/// others ask once a minute gets 70 bytes a second.
const MEMORY: Duration = Duration::from_secs(60);

/// How many prefixes are counted one by one; 1 MB. Whoever comes when all are taken shares one account; that happens
/// under attack only.
const MAX_PREFIXES: usize = 16 * 1024;

/// The pause between two searches for prefixes to forget, which cost some 100 µs each.
const PURGE_INTERVAL: Duration = Duration::from_millis(100);

/// What one prefix may still be sent.
struct Account {
    bytes: usize,
    /// When it was last heard of.
    used: Instant,
}

impl Account {
    fn new(now: Instant) -> Self {
        Self { bytes: FULL, used: now }
    }
}

pub(super) struct Budget {
    prefixes: HashMap<Prefix, Account>,
    everybody_else: Account,
    next_purge: Instant,
}

impl Budget {
    pub fn new(now: Instant) -> Self {
        Self { prefixes: HashMap::new(), everybody_else: Account::new(now), next_purge: now }
    }

    /// Counts a stranger's request of so many bytes.
    pub fn pay_in(&mut self, now: Instant, address: IpAddr, request: usize) {
        let account = self.account(now, address);
        account.bytes = FULL.min(account.bytes + request / 2);
    }

    /// Whether the stranger gets an answer of so many bytes; if so, it is counted.
    pub fn take_out(&mut self, now: Instant, address: IpAddr, answer: usize) -> bool {
        let account = self.account(now, address);
        match account.bytes.checked_sub(answer) {
            Some(left) => {
                account.bytes = left;
                true
            }
            None => false,
        }
    }

    /// Somebody at this address is no stranger.
    pub fn fill_up(&mut self, now: Instant, address: IpAddr) {
        self.account(now, address).bytes = FULL;
    }

    fn account(&mut self, now: Instant, address: IpAddr) -> &mut Account {
        let prefix = Prefix::narrow(address);
        if self.prefixes.len() >= MAX_PREFIXES && !self.prefixes.contains_key(&prefix) {
            self.purge(now);
        }
        let has_room = self.prefixes.len() < MAX_PREFIXES;
        let account = match self.prefixes.entry(prefix) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) if has_room => entry.insert(Account::new(now)),
            Entry::Vacant(_) => &mut self.everybody_else,
        };
        account.used = now;
        account
    }

    /// Forgets who has not asked for a while.
    pub fn purge(&mut self, now: Instant) {
        if now >= self.next_purge {
            self.prefixes.retain(|_, account| now < account.used + MEMORY);
            self.next_purge = now + PURGE_INTERVAL;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// Bytes sent for so many requests of 20 bytes, where each would get 60.
    fn sent(budget: &mut Budget, now: Instant, address: &str, requests: usize) -> usize {
        let address = address.parse().unwrap();
        let answered = (0..requests).filter(|_| {
            budget.pay_in(now, address, 20);
            budget.take_out(now, address, 60)
        });
        60 * answered.count()
    }

    #[test]
    fn over_time_less_comes_out_than_goes_in() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        let out = sent(&mut budget, now, "198.51.100.1", 50);
        assert_eq!(out, 50 * 60, "the first ones are answered");
        let out = sent(&mut budget, now, "198.51.100.1", 1_000);
        assert!(out < 1_000 * 20, "{out}");
        let out = sent(&mut budget, now, "198.51.100.1", 6_000);
        assert!(out <= 6_000 * 20 / 2 + 60 && out > 6_000 * 20 / 3, "{out}");
    }

    #[test]
    fn the_pace_does_not_matter() {
        let mut now = Instant::now();
        let mut budget = Budget::new(now);
        let mut out = 0;
        for _ in 0..1_000 {
            now += Duration::from_secs(10);
            budget.purge(now);
            out += sent(&mut budget, now, "198.51.100.1", 1);
        }
        assert!(out < 1_000 * 20, "{out}");
    }

    #[test]
    fn whoever_signs_is_no_stranger() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        let address = "198.51.100.1".parse().unwrap();
        for _ in 0..10_000 {
            assert_eq!(sent(&mut budget, now, "198.51.100.1", 1), 60);
            budget.fill_up(now, address);
        }
    }

    #[test]
    fn every_prefix_has_its_own() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        let all = sent(&mut budget, now, "2001:db8:0:1::1", 82);
        assert_eq!(all, 81 * 60);
        assert_eq!(sent(&mut budget, now, "2001:db8:0:1:ffff::2", 1), 0);
        assert_eq!(sent(&mut budget, now, "2001:db8:0:2::1", 82), all);
        assert_eq!(sent(&mut budget, now, "198.51.100.1", 82), all);
        assert_eq!(sent(&mut budget, now, "198.51.100.2", 82), all);
    }

    #[test]
    fn memory_is_bounded_and_comes_back() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        let spoofed = |number: usize| IpAddr::from(Ipv4Addr::from_bits(number as u32));
        let answered = (0..2 * MAX_PREFIXES).filter(|number| budget.take_out(now, spoofed(*number), 60)).count();
        assert_eq!(budget.prefixes.len(), MAX_PREFIXES);
        assert_eq!(answered, MAX_PREFIXES + FULL / 60);
        budget.purge(now + Duration::from_secs(59));
        assert_eq!(budget.prefixes.len(), MAX_PREFIXES);
        budget.purge(now + Duration::from_secs(60));
        assert!(budget.prefixes.is_empty());
    }
}
