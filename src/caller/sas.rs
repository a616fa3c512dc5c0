//! The short authentication string: six emoji that both sides of a call see, and that are the same only if nobody has
//! put their own DTLS certificates between them. The idea, a hash commitment before a string short enough to be read
//! aloud, is ZRTP's (RFC 6189 §4.3); the emoji are those of the Matrix specification. The Rust twin of the page's
//! module, and as pure: what comes in is bytes, what goes out is bytes, chance and time are passed in.
//!
//! ```text
//! L      = "sotto-sas-v1"
//! T      = L ‖ 00 ‖ fingerprint of the offerer ‖ fingerprint of the answerer     (32 bytes each, SHA-256)
//! commit = SHA-256(01 ‖ T ‖ nonce of the offerer)                                (nonces: 32 random bytes)
//! okm    = HKDF-SHA-256(ikm  = nonce of the offerer ‖ nonce of the answerer,
//!                       salt = SHA-256(02 ‖ T ‖ commit), info = L ‖ " emoji", 6 bytes)
//! emoji  = the first 36 bits of okm, six at a time
//!
//!   offerer               answerer
//!      │ ── 01 ‖ commit ────▶ │        before it knows the answerer's nonce
//!      │ ◀── 02 ‖ nonce ───── │        before it knows the offerer's
//!      │ ── 03 ‖ nonce ─────▶ │        which has to be what was committed to
//! ```
//!
//! Whoever sits in the middle has to fix one nonce in each half before the honest one of that half is known to it, so
//! that the two halves show the same emoji by one guess in 2³⁶. Everything that is not exactly this ends the call.

use std::time::Duration;

use hkdf::Hkdf;
use sha2::{Digest, Sha256};

/// How many emoji there are to compare.
pub const EMOJI_COUNT: usize = 6;

/// Numbers from 0 to 63, each of one emoji in the list of the Matrix specification (`static/js/emoji.js`).
pub type Emoji = [u8; EMOJI_COUNT];

/// Bytes of a fingerprint, a nonce and a commitment.
pub(super) const VALUE_BYTES: usize = 32;

/// One of these.
pub(super) type Value = [u8; VALUE_BYTES];

/// How long a run may take, from when the line is up; it is two round trips.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// Keeps these strings apart from those of every other protocol and of every other version of this one.
const LABEL: &[u8] = b"sotto-sas-v1";

/// The first byte of a frame: what follows is the offerer's commitment to its nonce.
const COMMITMENT: u8 = 1;
/// What follows is the answerer's nonce.
const ANSWER: u8 = 2;
/// What follows is the offerer's nonce, which opens the commitment.
const OPENING: u8 = 3;

/// Why there is no string to compare. Each of these ends the call: somebody may have come between the two, or the line
/// or a program is faulty, and which of them it is cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SasError {
    /// A description in force does not name exactly one SHA-256 fingerprint, both sides have the same, or one has
    /// changed during the call.
    #[error("not one fingerprint for each side")]
    Fingerprint,
    /// The partner's certificate is not the one whose fingerprint is in its description.
    #[error("another certificate than was described")]
    Certificate,
    /// A frame that does not hold exactly one value.
    #[error("a frame of the wrong length")]
    Length,
    /// Bytes during the run that are of no kind that is known.
    #[error("bytes of an unknown kind")]
    Kind,
    /// A frame that is not the one which comes next: early, twice, the other side's, or after the end.
    #[error("a frame out of order")]
    Order,
    /// The value came back that this side has sent.
    #[error("an echo")]
    Echo,
    /// The nonce is not the one that had been committed to.
    #[error("the commitment does not fit")]
    Commitment,
    /// The run was not over in time.
    #[error("no emoji in time")]
    Late,
}

/// The values of a run and what is made of them. [`Transcript`] is the one; the model in the tests has another, whose
/// values are so short that all of them can be tried.
pub(super) trait Values {
    /// A nonce or a commitment.
    type Value: Copy + Eq + AsRef<[u8]> + for<'bytes> TryFrom<&'bytes [u8]>;
    /// What is compared aloud.
    type Emoji;

    fn commitment(&self, offerers_nonce: &Self::Value) -> Self::Value;

    fn emoji(
        &self,
        commitment: &Self::Value,
        offerers_nonce: &Self::Value,
        answerers_nonce: &Self::Value,
    ) -> Self::Emoji;
}

/// Whose certificates this side sees: `T` above.
pub(super) struct Transcript([u8; LABEL.len() + 1 + 2 * VALUE_BYTES]);

impl Transcript {
    /// Of the two fingerprints.
    ///
    /// # Errors
    ///
    /// [`SasError::Fingerprint`] when they are the same: then this side would talk to itself.
    pub(super) fn new(offerer: &Value, answerer: &Value) -> Result<Self, SasError> {
        if offerer == answerer {
            return Err(SasError::Fingerprint);
        }
        let mut bytes = [0; _];
        let (label, rest) = bytes.split_at_mut(LABEL.len());
        label.copy_from_slice(LABEL);
        rest[1..=VALUE_BYTES].copy_from_slice(offerer);
        rest[1 + VALUE_BYTES..].copy_from_slice(answerer);
        Ok(Self(bytes))
    }

    fn hash(&self, purpose: u8, value: &Value) -> Value {
        Sha256::new().chain_update([purpose]).chain_update(self.0).chain_update(value).finalize().into()
    }
}

impl Values for Transcript {
    type Value = Value;
    type Emoji = Emoji;

    fn commitment(&self, offerers_nonce: &Value) -> Value {
        self.hash(1, offerers_nonce)
    }

    fn emoji(&self, commitment: &Value, offerers_nonce: &Value, answerers_nonce: &Value) -> Emoji {
        let salt = self.hash(2, commitment);
        let secret = [offerers_nonce.as_slice(), answerers_nonce].concat();
        let mut okm = [0; 6];
        Hkdf::<Sha256>::new(Some(&salt), &secret)
            .expand_multi_info(&[LABEL, b" emoji"], &mut okm)
            .expect("six bytes are fewer than HKDF has to give");
        let bits = okm.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        std::array::from_fn(|index| (bits >> (42 - 6 * index) & 63) as u8)
    }
}

/// What comes next.
enum Next<V> {
    /// The answerer's nonce.
    Answer { commitment: V },
    /// The offerer's commitment.
    Commitment,
    /// The offerer's nonce.
    Opening { commitment: V },
    /// Nothing: the emoji are there, or never will be.
    Nothing,
}

/// One side of a run; there is one for each connection.
pub(super) struct Run<V: Values> {
    values: V,
    nonce: V::Value,
    next: Next<V::Value>,
}

/// What a frame has led to.
pub(super) struct Step<V: Values> {
    /// A frame for the partner.
    pub(super) send: Option<Frame<V::Value>>,
    /// What is to be compared; the run is over.
    pub(super) emoji: Option<V::Emoji>,
}

/// A frame of the run: what it is, and one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<V>(u8, V);

impl<V: AsRef<[u8]>> Frame<V> {
    /// As it goes over the data channel.
    pub(super) fn bytes(&self) -> Vec<u8> {
        [&[self.0], self.1.as_ref()].concat()
    }
}

impl<V: Values> Run<V> {
    /// Begins as the offerer, with the frame to be sent. `nonce` comes from a secure source and is used once.
    pub(super) fn offer(values: V, nonce: V::Value) -> (Self, Frame<V::Value>) {
        let commitment = values.commitment(&nonce);
        (Self { values, nonce, next: Next::Answer { commitment } }, Frame(COMMITMENT, commitment))
    }

    /// Begins as the answerer. `nonce` comes from a secure source and is used once.
    pub(super) fn answer(values: V, nonce: V::Value) -> Self {
        Self { values, nonce, next: Next::Commitment }
    }

    /// Whether there is something to come that has not come.
    pub(super) fn is_under_way(&self) -> bool {
        !matches!(self.next, Next::Nothing)
    }

    /// Takes bytes that the partner has sent. After the run, bytes of an unknown kind are nothing.
    ///
    /// # Errors
    ///
    /// [`SasError::Length`], [`Kind`](SasError::Kind), [`Order`](SasError::Order), [`Echo`](SasError::Echo) and
    /// [`Commitment`](SasError::Commitment); the call is to be ended then.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<Step<V>, SasError> {
        let was_under_way = self.is_under_way();
        // Whatever goes wrong, this run does not go on.
        let next = std::mem::replace(&mut self.next, Next::Nothing);
        let (kind, value) = match bytes {
            [kind @ (COMMITMENT | ANSWER | OPENING), value @ ..] => (*kind, value),
            _ if was_under_way => return Err(SasError::Kind),
            _ => return Ok(Step { send: None, emoji: None }),
        };
        let value = V::Value::try_from(value).map_err(|_| SasError::Length)?;
        match (next, kind) {
            (Next::Answer { commitment }, ANSWER) => {
                if value == self.nonce || value == commitment {
                    return Err(SasError::Echo);
                }
                let emoji = self.values.emoji(&commitment, &self.nonce, &value);
                Ok(Step { send: Some(Frame(OPENING, self.nonce)), emoji: Some(emoji) })
            }
            (Next::Commitment, COMMITMENT) => {
                if value == self.nonce {
                    return Err(SasError::Echo);
                }
                self.next = Next::Opening { commitment: value };
                Ok(Step { send: Some(Frame(ANSWER, self.nonce)), emoji: None })
            }
            (Next::Opening { commitment }, OPENING) => {
                if value == self.nonce {
                    return Err(SasError::Echo);
                }
                // Both are known to whoever sent them: there is nothing that the time of this could tell.
                if self.values.commitment(&value) != commitment {
                    return Err(SasError::Commitment);
                }
                Ok(Step { send: None, emoji: Some(self.values.emoji(&commitment, &value, &self.nonce)) })
            }
            _ => Err(SasError::Order),
        }
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
