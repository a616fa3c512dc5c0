//! The text line: what the two in a call type to each other over the data channel. The twin of `static/js/text.js`,
//! which has more of it: how fast lines may follow each other, and what is made of what somebody has typed.
//!
//! ```text
//! | 4 | length, 2 bytes | that many bytes of UTF-8 | zeros up to 2,000 bytes |
//! ```

use bytes::Bytes;

/// The first byte of a frame.
pub(super) const KIND: u8 = 4;

/// The most characters (Unicode scalar values) of a line.
pub const MAX_CHARACTERS: usize = 500;

/// What they take at most, in UTF-8.
const MAX_BYTES: usize = 4 * MAX_CHARACTERS;

const HEADER_BYTES: usize = 3;

/// The size of every frame, so that the size tells nobody how much was typed.
pub const FRAME_BYTES: usize = HEADER_BYTES + MAX_BYTES;

/// The frame of a line; `None` when it is empty, too long, or holds a control character.
pub fn encode(line: &str) -> Option<Bytes> {
    if !is_line(line) {
        return None;
    }
    let length = u16::try_from(line.len()).ok()?.to_be_bytes();
    let mut frame = [&[KIND], &length[..], line.as_bytes()].concat();
    frame.resize(FRAME_BYTES, 0);
    Some(frame.into())
}

/// The line in a frame; `None` when it is not what [`encode`] makes of one.
pub fn decode(frame: &[u8]) -> Option<String> {
    let [KIND, high, low, text @ ..] = frame else {
        return None;
    };
    if text.len() != MAX_BYTES {
        return None;
    }
    let (line, padding) = text.split_at_checked(u16::from_be_bytes([*high, *low]).into())?;
    let line = std::str::from_utf8(line).ok().filter(|line| is_line(line))?;
    padding.iter().all(|byte| *byte == 0).then(|| line.to_owned())
}

fn is_line(line: &str) -> bool {
    !line.is_empty() && line.chars().count() <= MAX_CHARACTERS && !line.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_survives_the_way_there_and_back() {
        for line in ["hello", "שלום 👋🏽", &"😀".repeat(MAX_CHARACTERS)] {
            let frame = encode(line).expect("a line");
            assert_eq!((frame.len(), frame[0]), (FRAME_BYTES, KIND));
            assert_eq!(decode(&frame).as_deref(), Some(line));
        }
    }

    #[test]
    fn what_is_no_line_is_none() {
        for line in ["", "two\nlines", "\u{7}", &"x".repeat(MAX_CHARACTERS + 1)] {
            assert_eq!(encode(line), None);
        }
        let frame = encode("hello").expect("a line");
        let with = |at: usize, byte: u8| {
            let mut other = frame.to_vec();
            other[at] = byte;
            other
        };
        for other in [
            vec![],
            vec![KIND],
            frame[..FRAME_BYTES - 1].to_vec(),
            [&frame[..], &[0]].concat(),
            with(0, 3),
            with(1, 0xFF),
            with(2, 0),
            with(2, 4),
            with(2, 6),
            with(3, 0xFF),
            with(3, b'\n'),
            with(FRAME_BYTES - 1, 1),
        ] {
            assert_eq!(decode(&other), None, "{:?}", other.get(..8));
        }
    }
}
