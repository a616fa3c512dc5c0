//! All the randomness of a relay, from one seed.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// An endless row of random values, HMAC-SHA256(seed, counter): unpredictable to whoever does not know the
/// seed, and the same again in a test that passes the same one.
pub(super) struct Random {
    key: Hmac<Sha256>,
    counter: u64,
}

impl Random {
    pub fn new(seed: [u8; 32]) -> Self {
        Self { key: Hmac::new_from_slice(&seed).expect("HMAC takes keys of every length"), counter: 0 }
    }

    pub fn bytes(&mut self) -> [u8; 32] {
        self.counter += 1;
        let mac = self.key.clone().chain_update(self.counter.to_be_bytes());
        mac.finalize().into_bytes().into()
    }

    pub fn word(&mut self) -> u32 {
        let [a, b, c, d, ..] = self.bytes();
        u32::from_be_bytes([a, b, c, d])
    }
}
