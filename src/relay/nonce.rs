//! Nonces that nobody has to remember: `ts‖HMAC(key, ts‖5-tuple)`.
//!
//! They prove that a client receives what is sent to the address it sends from, and tie what it signs to
//! its own 5-tuple. That a message is signed by the right user is MESSAGE-INTEGRITY's part.

use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::five_tuple::FiveTuple;

/// How long a nonce is good: the longest that RFC 8656 §5 recommends. Shorter would gain little, since
/// nonces are bound to their 5-tuple, and every 438 is a round trip in the middle of a call.
const LIFETIME: Duration = Duration::from_secs(60 * 60);

/// Seconds since the start, and as much of the HMAC as makes guessing hopeless over a network; together 16
/// characters of base64, because a 401 to a spoofed address should be short.
const TIME_BYTES: usize = 4;
const MAC_BYTES: usize = 8;

pub(super) struct Nonces {
    key: Hmac<Sha256>,
    start: Instant,
}

impl Nonces {
    pub fn new(key: [u8; 32], start: Instant) -> Self {
        Self { key: Hmac::new_from_slice(&key).expect("HMAC takes keys of every length"), start }
    }

    /// A nonce for requests from this 5-tuple.
    pub fn make(&self, now: Instant, from: &FiveTuple) -> String {
        let time = self.seconds(now).to_be_bytes();
        let mut bytes = [0; TIME_BYTES + MAC_BYTES];
        bytes[..TIME_BYTES].copy_from_slice(&time);
        bytes[TIME_BYTES..].copy_from_slice(&self.mac(time, from));
        STANDARD.encode(bytes)
    }

    /// Whether this nonce was made here, for this 5-tuple, and not too long ago.
    pub fn check(&self, now: Instant, from: &FiveTuple, nonce: &str) -> bool {
        let mut bytes = [0; TIME_BYTES + MAC_BYTES];
        if STANDARD.decode_slice(nonce, &mut bytes) != Ok(bytes.len()) {
            return false;
        }
        let [t0, t1, t2, t3, mac @ ..] = bytes;
        let time = [t0, t1, t2, t3];
        let genuine: bool = self.mac(time, from).ct_eq(&mac).into();
        let age = self.seconds(now).checked_sub(u32::from_be_bytes(time));
        genuine && age.is_some_and(|age| u64::from(age) < LIFETIME.as_secs())
    }

    fn mac(&self, time: [u8; TIME_BYTES], from: &FiveTuple) -> [u8; MAC_BYTES] {
        let mac = self.key.clone().chain_update(time);
        let mac = mac.chain_update(from.to_bytes()).finalize().into_bytes();
        let mut short = [0; MAC_BYTES];
        short.copy_from_slice(&mac[..MAC_BYTES]);
        short
    }

    /// Wraps after 136 years.
    fn seconds(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.start).as_secs() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::testing::{START, from};

    fn nonces() -> Nonces {
        Nonces::new([7; 32], START.instant)
    }

    #[test]
    fn good_for_an_hour() {
        let made = nonces().make(START.instant, &from("198.51.100.1:1"));
        let check = |after| {
            let now = START.instant + Duration::from_secs(after);
            nonces().check(now, &from("198.51.100.1:1"), &made)
        };
        assert_eq!(made.len(), 16);
        assert!(check(0));
        assert!(check(3_599));
        assert!(!check(3_600));
    }

    #[test]
    fn good_for_its_own_client_only() {
        let made = nonces().make(START.instant, &from("198.51.100.1:1"));
        assert!(!nonces().check(START.instant, &from("198.51.100.1:2"), &made));
        assert!(!nonces().check(START.instant, &from("198.51.100.2:1"), &made));
        let other_key = Nonces::new([8; 32], START.instant);
        assert!(!other_key.check(START.instant, &from("198.51.100.1:1"), &made));
    }

    #[test]
    fn not_one_from_the_future_nor_anything_else() {
        let client = from("198.51.100.1:1");
        let later = START.instant + Duration::from_secs(5);
        let made = nonces().make(later, &client);
        assert!(!nonces().check(START.instant, &client, &made));
        let mut made = nonces().make(START.instant, &client);
        made.replace_range(15.., if made.ends_with('A') { "B" } else { "A" });
        for nonce in ["", "A", "AAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAA", "é", &made] {
            assert!(!nonces().check(START.instant, &client, nonce), "{nonce}");
        }
    }
}
