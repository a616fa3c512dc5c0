//! What the two in a call tell each other over the data channel, once a second: whether this side takes a breath, and for
//! how many stretches of ten minutes it would like to talk. The twin of `static/js/beat.js`, which says why.
//!
//! ```text
//! | 5 | 1 while this side takes a breath, 0 otherwise | stretches, 0 where it has said nothing of them |
//! ```

use std::time::Duration;

/// The first byte of a frame.
pub(super) const KIND: u8 = 5;

/// The size of every frame.
pub const FRAME_BYTES: usize = 3;

/// How often it is said: always, so that a press does not show on the line.
pub const BEAT: Duration = Duration::from_secs(1);

/// What a side says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Said {
    /// Whether it takes a breath.
    pub breath: bool,
    /// For how many stretches of ten minutes it would like to talk: 1 with the wish for them, and one more for each time
    /// that it would like to go on. 0 where it has said nothing of them.
    pub stretches: u8,
}

/// The frame that says this.
pub fn encode(said: Said) -> [u8; FRAME_BYTES] {
    [KIND, said.breath.into(), said.stretches]
}

/// What a frame says; `None` when it is not what [`encode`] makes.
pub fn decode(frame: &[u8]) -> Option<Said> {
    match *frame {
        [KIND, breath @ (0 | 1), stretches] => Some(Said { breath: breath == 1, stretches }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_says_two_things_and_nothing_else_is_one() {
        for breath in [true, false] {
            for stretches in [0, 1, 2, 255] {
                let said = Said { breath, stretches };
                assert_eq!(decode(&encode(said)), Some(said));
            }
        }
        let wrong = [&[][..], &[KIND], &[KIND, 1], &[KIND, 2, 0], &[KIND, 255, 0], &[KIND, 1, 0, 0], &[4, 1, 0]];
        for wrong in wrong {
            assert_eq!(decode(wrong), None, "{wrong:?}");
        }
    }
}
