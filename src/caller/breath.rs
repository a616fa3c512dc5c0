//! Taking a breath: what the two in a call tell each other of it over the data channel, once a second. The twin of
//! `static/js/breath.js`, which says why.
//!
//! ```text
//! | 5 | 1 while this side takes a breath, 0 otherwise |
//! ```

use std::time::Duration;

/// The first byte of a frame.
pub(super) const KIND: u8 = 5;

/// The size of every frame.
pub const FRAME_BYTES: usize = 2;

/// How often it is said: always, so that a press does not show on the line.
pub const BEAT: Duration = Duration::from_secs(1);

/// The frame that says whether this side takes a breath.
pub fn encode(on: bool) -> [u8; FRAME_BYTES] {
    [KIND, on.into()]
}

/// What a frame says; `None` when it is not what [`encode`] makes.
pub fn decode(frame: &[u8]) -> Option<bool> {
    match frame {
        [KIND, 0] => Some(false),
        [KIND, 1] => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_says_one_of_two_things_and_nothing_else_is_one() {
        for on in [true, false] {
            assert_eq!(decode(&encode(on)), Some(on));
        }
        for wrong in [&[][..], &[KIND], &[KIND, 2], &[KIND, 255], &[KIND, 1, 0], &[4, 1], &[0, 1]] {
            assert_eq!(decode(wrong), None, "{wrong:?}");
        }
    }
}
