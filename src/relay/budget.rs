//! How many answers strangers get.
//!
//! A 401 and a Binding response go to whatever address a datagram claims to come from, so they could be
//! aimed at somebody else. Each network prefix therefore gets a burst and then a trickle.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::{Duration, Instant},
};

/// The trickle: 32 answers a second and prefix. Starting a call takes a browser up to eight, and a whole
/// school may be behind one IPv4 address; a victim of spoofing gets 2 kB/s from us, less than from a ping.
const INTERVAL: Duration = Duration::from_nanos(1_000_000_000 / 32);

/// The burst: 512 answers at once, for those who all press the button when the lesson is over.
const BURST: Duration = Duration::from_secs(512 / 32);

/// How many prefixes are counted one by one; 1 MB. Whoever comes when all are taken shares one budget, and a
/// prefix is forgotten when its burst is whole again, so this is reached under attack only.
const MAX_PREFIXES: usize = 16 * 1024;

/// The pause between two searches for prefixes to forget, which cost some 100 µs each.
const PURGE_INTERVAL: Duration = Duration::from_millis(100);

/// What is counted by: an IPv4 address, or the /64 that an IPv6 host can choose its addresses from.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Prefix {
    V4(Ipv4Addr),
    V6([u8; 8]),
}

impl Prefix {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6(network(address)),
        }
    }
}

fn network(address: Ipv6Addr) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = address.octets();
    [a, b, c, d, e, f, g, h]
}

/// A token bucket in one value: the moment at which it is full again.
type Full = Instant;

pub(super) struct Budget {
    prefixes: HashMap<Prefix, Full>,
    everybody_else: Full,
    next_purge: Instant,
}

impl Budget {
    pub fn new(now: Instant) -> Self {
        Self { prefixes: HashMap::new(), everybody_else: now, next_purge: now }
    }

    /// Whether a stranger at this address gets an answer; if so, it is counted.
    ///
    /// A loopback address always does: no datagram from outside can claim it (RFC 1122 §3.2.1.3), and where
    /// a proxy on this machine passes datagrams on, it stands for everybody.
    pub fn take(&mut self, now: Instant, address: IpAddr) -> bool {
        if address.is_loopback() {
            return true;
        }
        let prefix = Prefix::of(address);
        if self.prefixes.len() >= MAX_PREFIXES && !self.prefixes.contains_key(&prefix) {
            self.purge(now);
        }
        let has_room = self.prefixes.len() < MAX_PREFIXES;
        let full = match self.prefixes.get_mut(&prefix) {
            Some(full) => full,
            None if has_room => self.prefixes.entry(prefix).or_insert(now),
            None => &mut self.everybody_else,
        };
        let after = (*full).max(now) + INTERVAL;
        let allowed = after <= now + BURST;
        if allowed {
            *full = after;
        }
        allowed
    }

    /// Forgets who has not asked for a while.
    pub fn purge(&mut self, now: Instant) {
        if now >= self.next_purge {
            self.prefixes.retain(|_, full| *full > now);
            self.next_purge = now + PURGE_INTERVAL;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(budget: &mut Budget, now: Instant, address: &str) -> usize {
        let address = address.parse().unwrap();
        (0..2_000).filter(|_| budget.take(now, address)).count()
    }

    #[test]
    fn a_burst_then_a_trickle() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        assert_eq!(taken(&mut budget, now, "198.51.100.1"), 512);
        let later = now + Duration::from_secs(1);
        assert_eq!(taken(&mut budget, later, "198.51.100.1"), 32);
        let much_later = now + Duration::from_secs(60);
        assert_eq!(taken(&mut budget, much_later, "198.51.100.1"), 512);
    }

    #[test]
    fn every_prefix_has_its_own() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        assert_eq!(taken(&mut budget, now, "2001:db8:0:1::1"), 512);
        assert_eq!(taken(&mut budget, now, "2001:db8:0:1:ffff::2"), 0);
        assert_eq!(taken(&mut budget, now, "2001:db8:0:2::1"), 512);
        assert_eq!(taken(&mut budget, now, "198.51.100.1"), 512);
        assert_eq!(taken(&mut budget, now, "198.51.100.2"), 512);
    }

    #[test]
    fn a_loopback_address_stands_for_many() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        assert_eq!(taken(&mut budget, now, "127.0.0.1"), 2_000);
        assert_eq!(taken(&mut budget, now, "::1"), 2_000);
    }

    #[test]
    fn memory_is_bounded_and_comes_back() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        let spoofed = |number: usize| IpAddr::from(Ipv4Addr::from_bits(number as u32));
        let answered = (0..2 * MAX_PREFIXES).filter(|number| budget.take(now, spoofed(*number))).count();
        assert_eq!(budget.prefixes.len(), MAX_PREFIXES);
        assert_eq!(answered, MAX_PREFIXES + 512);
        budget.purge(now + Duration::from_secs(1));
        assert!(budget.prefixes.is_empty());
    }
}
