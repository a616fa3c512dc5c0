//! Whose limits are whose, without keeping whose they are: an address is cut to its network's prefix, and the prefix to
//! a [`Mark`], HMAC-SHA256(key, purpose ‖ prefix), of which only whoever has the key could find the prefix again.
//! The keys are in memory alone. The one that marks outlive their connection by is replaced every [`EPOCH`].

use std::{
    fmt,
    net::IpAddr,
    time::{Duration, Instant},
};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{mailbox::Whence, prefix::Prefix};

/// How long one key marks networks. Its successor cannot be turned back into it. Somebody whose allowance is used up
/// has it anew with the new key, once in that time.
pub const EPOCH: Duration = Duration::from_secs(24 * 60 * 60);

/// For what lasts longer than a connection: rates.
const RATE: &[u8] = b"sotto rate";

/// For what ends with the connection: how many there are.
const CROWD: &[u8] = b"sotto crowd";

/// For who is not to meet, and who was reported.
const WHENCE: &[u8] = b"sotto whence";

/// Makes the next key of the one before.
const NEXT: &[u8] = b"sotto next";

/// What a prefix is known by, under one key and for one purpose.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark(u64);

impl Mark {
    /// As a part of what only this process reads.
    pub fn bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// Four places in a table of 65,536 or fewer, a power of two.
    pub fn places(self, table: usize) -> [usize; 4] {
        [0, 16, 32, 48].map(|shift| (self.0 >> shift) as usize & 0xFFFF & (table - 1))
    }
}

/// A network's two prefixes, marked for one purpose.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// IPv4 /32, IPv6 /64.
    pub narrow: Mark,
    /// IPv6 /48.
    pub wide: Option<Mark>,
}

/// Where a visitor comes from, as far as limits need to know. Holds no address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Home {
    /// Whose rates.
    pub(super) rate: Marks,
    /// Whose connections.
    pub(super) crowd: Marks,
}

/// Marks are for limits, not for logs.
impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Home(…)")
    }
}

/// The two keys of a process.
pub struct Keys {
    /// Nothing that is marked with it outlives its connection.
    lasting: Hmac<Sha256>,
    epoch: Hmac<Sha256>,
    /// The epoch's before, for what has to last for a whole one.
    before: Hmac<Sha256>,
    until: Instant,
    /// For [`WHENCE`], this epoch's and the one's before, where several servers have it in common.
    shared: Option<Shared>,
}

/// Keys that several servers have in common, until when there are others.
struct Shared {
    epoch: Hmac<Sha256>,
    before: Hmac<Sha256>,
    until: Instant,
}

impl Keys {
    /// Both come out of `seed`, which must be unpredictable and is not kept.
    pub fn new(seed: [u8; 32], now: Instant) -> Self {
        let seed = key(&seed);
        let (lasting, epoch, before) = (derive(&seed, CROWD), derive(&seed, NEXT), derive(&seed, WHENCE));
        Self { lasting: key(&lasting), epoch: key(&epoch), before: key(&before), until: now + EPOCH, shared: None }
    }

    /// The marks of whoever has this address.
    pub fn home(&mut self, address: IpAddr, now: Instant) -> Home {
        self.turn(now);
        Home { rate: marks(&self.epoch, RATE, address), crowd: marks(&self.lasting, CROWD, address) }
    }
}

impl Keys {
    /// What whoever has this address is known by to those who are not to meet them, for an epoch at least.
    pub fn whence(&mut self, address: IpAddr, now: Instant) -> Whence {
        self.turn(now);
        let keys = self.shared.as_ref().map_or([&self.epoch, &self.before], |shared| [&shared.epoch, &shared.before]);
        let both = keys.map(|key| marks(key, WHENCE, address));
        Whence {
            network: both.map(|marks| marks.narrow.0),
            site: both.map(|marks| marks.wide.unwrap_or(marks.narrow).0),
        }
    }

    /// Takes keys for [`Self::whence`] from elsewhere, this epoch's and the one's before. Where no others come in time, the
    /// next ones are made of them.
    pub fn share(&mut self, keys: [[u8; 32]; 2], until: Instant) {
        let [epoch, before] = keys.map(|bytes| key(&bytes));
        self.shared = Some(Shared { epoch, before, until });
    }

    /// Takes the next key when it is time.
    pub fn turn(&mut self, now: Instant) {
        while self.until <= now {
            let next = derive(&self.epoch, NEXT);
            self.before = std::mem::replace(&mut self.epoch, key(&next));
            self.until += EPOCH;
        }
        while let Some(shared) = self.shared.as_mut().filter(|shared| shared.until <= now) {
            let next = derive(&shared.epoch, NEXT);
            shared.before = std::mem::replace(&mut shared.epoch, key(&next));
            shared.until += EPOCH;
        }
    }
}

fn key(bytes: &[u8; 32]) -> Hmac<Sha256> {
    Hmac::new_from_slice(bytes).expect("HMAC takes keys of every length")
}

fn derive(key: &Hmac<Sha256>, what: &[u8]) -> [u8; 32] {
    key.clone().chain_update(what).finalize().into_bytes().into()
}

fn marks(key: &Hmac<Sha256>, purpose: &[u8], address: IpAddr) -> Marks {
    let mark = |prefix: Prefix| {
        let mac = key.clone().chain_update(purpose).chain_update(prefix.to_bytes());
        let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = mac.finalize().into_bytes().into();
        Mark(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    };
    Marks { narrow: mark(Prefix::narrow(address)), wide: Prefix::wide(address).map(mark) }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_day_later_nobody_has_the_same_mark() {
        let start = Instant::now();
        let mut keys = Keys::new([7; 32], start);
        let before = keys.home(ip("192.0.2.1"), start);
        assert_eq!(keys.home(ip("192.0.2.1"), start + EPOCH - Duration::from_secs(1)), before);
        let after = keys.home(ip("192.0.2.1"), start + EPOCH);
        assert!(after.rate.narrow != before.rate.narrow);
        assert!(after.crowd == before.crowd, "those who are here are still counted");
        assert!(keys.home(ip("192.0.2.1"), start + 9 * EPOCH).rate.narrow != after.rate.narrow);
        assert_eq!(format!("{before:?}"), "Home(…)");
    }

    #[test]
    fn who_comes_back_is_known_for_a_day_and_not_for_three() {
        let start = Instant::now();
        let mut keys = Keys::new([7; 32], start);
        let first = keys.whence(ip("2001:db8:0:1::1"), start);
        assert!(first.is_near(&keys.whence(ip("2001:db8:0:1::2"), start)));
        assert!(!first.is_near(&keys.whence(ip("2001:db8:0:2::1"), start)));
        assert_eq!(first.site, keys.whence(ip("2001:db8:0:2::1"), start).site);
        let whence = |keys: &mut Keys, days| keys.whence(ip("2001:db8:0:1::1"), start + days * EPOCH);
        let next = whence(&mut keys, 1);
        assert!(next.network[0] != first.network[0] && next.network[1] == first.network[0]);
        assert!(first.is_near(&next));
        assert!(!first.is_near(&whence(&mut keys, 2)));
        assert_eq!(format!("{first:?}"), "Whence(…)");
    }

    #[test]
    fn servers_with_the_same_keys_know_the_same_networks_and_forget_them() {
        let start = Instant::now();
        let (mut one, mut other) = (Keys::new([7; 32], start), Keys::new([8; 32], start));
        let address = ip("192.0.2.1");
        assert!(!one.whence(address, start).is_near(&other.whence(address, start)));
        let rate = one.home(address, start).rate;
        let until = start + Duration::from_secs(60);
        for keys in [&mut one, &mut other] {
            keys.share([[1; 32], [2; 32]], until);
        }
        let before = one.whence(address, start);
        assert_eq!(before, other.whence(address, start));
        assert!(
            one.home(address, start).rate == rate && rate != other.home(address, start).rate,
            "limits are one's own"
        );
        // Nobody has brought others.
        let after = one.whence(address, until);
        assert_eq!(after, other.whence(address, until));
        assert_eq!(after.network[1], before.network[0]);
        assert!(!before.is_near(&one.whence(address, until + EPOCH)));
    }

    proptest! {
        #[test]
        fn the_same_key_and_network_give_the_same_mark_and_others_another(
            seed: [u8; 32], other_seed: [u8; 32], one: u128, other: u128, host: u64,
        ) {
            let now = Instant::now();
            let (mut keys, mut other_keys) = (Keys::new(seed, now), Keys::new(other_seed, now));
            let at = |bits: u128| IpAddr::V6(Ipv6Addr::from_bits(bits));
            let neighbour = at(one >> 64 << 64 | u128::from(host));
            // Mapped addresses have their bits in the other half.
            prop_assume!(one >> 64 != 0 && other >> 64 != 0);
            prop_assert_eq!(keys.home(at(one), now), keys.home(neighbour, now));
            if one >> 64 != other >> 64 {
                prop_assert!(keys.home(at(one), now).rate.narrow != keys.home(at(other), now).rate.narrow);
            }
            if seed != other_seed {
                prop_assert!(keys.home(at(one), now).rate.narrow != other_keys.home(at(one), now).rate.narrow);
            }
            prop_assert!(keys.home(at(one), now).rate.narrow != keys.home(at(one), now).crowd.narrow);
        }
    }
}
