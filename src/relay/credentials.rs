//! Who may allocate: user names that name one side of one call, and passwords that follow from them.
//!
//! `expiry:call:side` and base64(HMAC-SHA1(secret, username)), as in draft-uberti-behave-turn-rest. Nobody
//! keeps a list: whoever has the secret can mint, and the relay can check.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use stun_types::message::{IntegrityAlgorithm, IntegrityKey, LongTermKeyCredentials};

use crate::protocol::{CallId, Side};

/// The realm of the long-term credential mechanism (RFC 8489 §9.2).
pub const REALM: &str = "sotto";

/// Seconds for which new credentials may make the first allocation of their side. Pages do so at once. With an
/// allocation in the call they are good for more of any age, so that a call may be long and change its network (an ICE
/// restart allocates anew), while what leaks out of it is worth nothing once it is over.
pub const VALIDITY: u64 = 5 * 60;

/// The HMAC key that credentials are made and checked with.
#[derive(Clone)]
pub struct Secret(Hmac<Sha1>);

impl Secret {
    /// A secret given by the operator; 16 bytes or more cannot be guessed.
    pub fn new(bytes: &[u8]) -> Self {
        let key = Hmac::new_from_slice(bytes);
        Self(key.expect("HMAC takes keys of every length"))
    }

    /// A secret of this process alone.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self::new(&bytes))
    }

    /// Credentials for one side of a call, good for [`VALIDITY`] seconds from `unix` on.
    pub fn mint(&self, call: CallId, side: Side, unix: u64) -> Credentials {
        let user = User { expiry: unix.saturating_add(VALIDITY), call, side };
        let username = user.to_string();
        Credentials { credential: self.password(&username), username }
    }

    /// The key that signs this user's messages (RFC 8489 §9.2.2).
    pub(super) fn key(&self, user: &User) -> IntegrityKey {
        let username = user.to_string();
        let password = self.password(&username);
        LongTermKeyCredentials::new(username, password, REALM.to_owned()).make_key(IntegrityAlgorithm::Sha1)
    }

    fn password(&self, username: &str) -> String {
        let mac = self.0.clone().chain_update(username.as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What a page puts into its `RTCIceServer`.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `expiry:call:side`
    pub username: String,
    /// The password for it.
    pub credential: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// What a user name says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct User {
    /// Unix seconds from which on these credentials allocate no more.
    pub expiry: u64,
    pub call: CallId,
    pub side: Side,
}

impl User {
    /// Reads a user name. There is exactly one spelling of each; everything else is `None`.
    pub fn parse(username: &str) -> Option<Self> {
        let (expiry, rest) = username.split_once(':')?;
        let (call, side) = rest.split_once(':')?;
        let user = Self {
            expiry: expiry.parse().ok()?,
            call: CallId::try_parse(call).ok()?,
            side: match side {
                "a" => Side::A,
                "b" => Side::B,
                _ => return None,
            },
        };
        (user.to_string() == username).then_some(user)
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.side {
            Side::A => 'a',
            Side::B => 'b',
        };
        write!(f, "{}:{}:{side}", self.expiry, self.call.hyphenated())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: CallId = CallId::from_u128(0x67e5504410b1426f9247bb680e5fe0c8);

    #[test]
    fn a_user_name_reads_back_as_what_was_minted() {
        let minted = Secret::new(b"secret").mint(CALL, Side::B, 1_000);
        assert_eq!(minted.username, "1300:67e55044-10b1-426f-9247-bb680e5fe0c8:b");
        let user = User::parse(&minted.username).unwrap();
        assert_eq!((user.expiry, user.call), (1_300, CALL));
        assert_eq!(user.side, Side::B);
    }

    /// Made with `openssl dgst -sha1 -hmac secret -binary | base64`.
    #[test]
    fn a_password_is_what_other_implementations_make() {
        let password = Secret::new(b"secret").password("1300:67e55044-10b1-426f-9247-bb680e5fe0c8:b");
        assert_eq!(password, "H+r4xYUGuzb+dE+iuVwh1eqULL8=");
    }

    #[test]
    fn only_the_one_spelling_is_a_user_name() {
        for username in [
            "",
            ":",
            "::",
            "1300",
            "1300:67e55044-10b1-426f-9247-bb680e5fe0c8",
            "1300:67e55044-10b1-426f-9247-bb680e5fe0c8:",
            "1300:67e55044-10b1-426f-9247-bb680e5fe0c8:c",
            "1300:67e55044-10b1-426f-9247-bb680e5fe0c8:A",
            "1300:67e55044-10b1-426f-9247-bb680e5fe0c8:a:",
            "1300:67e55044-10b1-426f-9247-bb680e5fe0c8:a ",
            "1300:67E55044-10B1-426F-9247-BB680E5FE0C8:a",
            "1300:67e5504410b1426f9247bb680e5fe0c8:a",
            "1300:{67e55044-10b1-426f-9247-bb680e5fe0c8}:a",
            "1300:urn:uuid:67e55044-10b1-426f-9247-bb680e5fe0c8:a",
            "+1300:67e55044-10b1-426f-9247-bb680e5fe0c8:a",
            "01300:67e55044-10b1-426f-9247-bb680e5fe0c8:a",
            "-1:67e55044-10b1-426f-9247-bb680e5fe0c8:a",
            " 1300:67e55044-10b1-426f-9247-bb680e5fe0c8:a",
            "18446744073709551616:67e55044-10b1-426f-9247-bb680e5fe0c8:a",
        ] {
            assert!(User::parse(username).is_none(), "{username}");
        }
    }

    #[test]
    fn debugging_shows_no_secret() {
        let secret = Secret::new(b"secret");
        let minted = secret.mint(CALL, Side::A, 1_000);
        assert_eq!(format!("{secret:?} {minted:?}"), "Secret(…) Credentials(…)");
    }
}
