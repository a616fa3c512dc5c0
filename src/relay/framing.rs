//! Where one message ends and the next begins in a stream of bytes (RFC 8656 §12.5, RFC 8489 §6.2.2): both kinds
//! say their length at the start, and ChannelData is padded to four bytes. Pure.

use thiserror::Error;

use super::packet::MAX_DATAGRAM;

/// What is read at once, and the most that lies unfinished: the longest message, and as much again so that
/// moving what is left to the front is rare.
const BUFFER: usize = 2 * MAX_DATAGRAM;

/// Bytes that say where a message ends.
const HEADER: usize = 4;

/// Both lengths are multiples of this in a stream.
const ALIGNMENT: usize = 4;

const STUN_HEADER: usize = 20;

/// The stream cannot be understood from here on: where a message ends is not known. There is nothing to do
/// but to close it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("neither STUN nor ChannelData, or too long a message")]
pub struct Malformed;

/// Whether this is the first byte of ChannelData (RFC 8656 §12).
pub(super) fn is_channel_data(first: u8) -> bool {
    (0x40..=0x4F).contains(&first)
}

/// How many zero bytes follow a message in a stream.
pub(super) fn padding(message: &[u8]) -> usize {
    message.len().next_multiple_of(ALIGNMENT) - message.len()
}

/// Cuts a stream into messages, however it arrives.
pub struct Decoder {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Decoder {
    /// At the beginning of a stream.
    pub fn new() -> Self {
        Self { buffer: vec![0; BUFFER].into(), start: 0, end: 0 }
    }

    /// Where what comes next is to be put; never empty once [`Self::message`] has said that there is no whole
    /// message.
    pub fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.buffer.len() - self.start < MAX_DATAGRAM + ALIGNMENT {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.buffer[self.end..]
    }

    /// Whether nothing lies here unfinished.
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Says how much of [`Self::room`] was filled.
    pub fn filled(&mut self, length: usize) {
        self.end = (self.end + length).min(self.buffer.len());
    }

    /// The next message, without padding; `None` when the rest of it has yet to come.
    ///
    /// # Errors
    ///
    /// When what has come cannot be the start of a message.
    pub fn message(&mut self) -> Result<Option<&[u8]>, Malformed> {
        let Some((message, padded)) = measure(&self.buffer[self.start..self.end])? else {
            return Ok(None);
        };
        if self.end - self.start < padded {
            return Ok(None);
        }
        let message = self.start..self.start + message;
        self.start += padded;
        Ok(Some(&self.buffer[message]))
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// How long the message that begins here is, without and with padding; `None` when that cannot be seen yet.
fn measure(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let Some(&first) = bytes.first() else {
        return Ok(None);
    };
    // The two kinds differ in their first two bits; RFC 8656 §12 leaves the others to nobody here.
    if first > 0x3F && !is_channel_data(first) {
        return Err(Malformed);
    }
    let Some(&[_, _, high, low]) = bytes.first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let message = if is_channel_data(first) { HEADER + length } else { STUN_HEADER + length };
    if message > MAX_DATAGRAM || !is_channel_data(first) && !message.is_multiple_of(ALIGNMENT) {
        return Err(Malformed);
    }
    Ok(Some((message, message.next_multiple_of(ALIGNMENT))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::relay::testing::{binding_request, channel_data, peer, send_indication};

    /// All messages of a stream that arrives in pieces of these lengths, the last one over and over.
    fn decode(mut stream: &[u8], pieces: &[usize]) -> (Vec<Vec<u8>>, Result<(), Malformed>) {
        let mut decoder = Decoder::new();
        let mut messages = Vec::new();
        let mut pieces = pieces.iter().copied().chain(std::iter::repeat(pieces.last().copied().unwrap_or(1)));
        while !stream.is_empty() {
            let room = decoder.room();
            assert!(!room.is_empty());
            let length = pieces.next().unwrap_or(1).clamp(1, room.len().min(stream.len()));
            let (piece, rest) = stream.split_at(length);
            room[..length].copy_from_slice(piece);
            decoder.filled(length);
            stream = rest;
            loop {
                match decoder.message() {
                    Ok(Some(message)) => messages.push(message.to_vec()),
                    Ok(None) => break,
                    Err(error) => return (messages, Err(error)),
                }
            }
        }
        (messages, Ok(()))
    }

    fn message() -> impl Strategy<Value = Vec<u8>> {
        let payload = || proptest::collection::vec(any::<u8>(), 0..1_400);
        prop_oneof![
            (0x4000..=0x4FFF_u16, payload()).prop_map(|(number, payload)| channel_data(number, &payload)),
            (any::<u16>(), payload()).prop_map(|(port, payload)| send_indication(peer(port), &payload)),
            Just(()).prop_map(|()| binding_request()),
        ]
    }

    fn stream_of(messages: &[Vec<u8>]) -> Vec<u8> {
        let padded = |message: &Vec<u8>| [message.clone(), vec![0; padding(message)]].concat();
        messages.iter().flat_map(padded).collect()
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in_however_they_are_cut(
            messages in proptest::collection::vec(message(), 0..12),
            pieces in proptest::collection::vec(1..3_000_usize, 1..20),
        ) {
            let (decoded, ended) = decode(&stream_of(&messages), &pieces);
            prop_assert_eq!(ended, Ok(()));
            prop_assert_eq!(decoded, messages);
        }

        #[test]
        fn noise_is_cut_the_same_way_however_it_arrives(
            noise in proptest::collection::vec(any::<u8>(), 0..6_000),
            first in 0..=0x4F_u8,
            pieces in proptest::collection::vec(1..3_000_usize, 1..20),
        ) {
            let noise = [vec![first, 0, 0, 0], noise].concat();
            let (decoded, ended) = decode(&noise, &pieces);
            prop_assert_eq!((&decoded, ended), (&decode(&noise, &[1]).0, decode(&noise, &[1]).1));
            for message in &decoded {
                prop_assert!(message.len() <= MAX_DATAGRAM);
            }
        }

        #[test]
        fn what_follows_a_damaged_message_is_never_looked_for(
            before in message(),
            first in 0x50..=0xFF_u8,
            after in message(),
        ) {
            let damaged = vec![first, 0, 0, 0];
            let (decoded, ended) = decode(&stream_of(&[before.clone(), damaged, after]), &[7]);
            prop_assert_eq!(ended, Err(Malformed));
            prop_assert_eq!(decoded, vec![before]);
        }
    }

    #[test]
    fn the_longest_message_fits_and_a_longer_one_does_not() {
        let longest = channel_data(0x4000, &[7; MAX_DATAGRAM - 4]);
        let (decoded, ended) = decode(&stream_of(&vec![longest.clone(); 5]), &[1_000]);
        assert_eq!(ended, Ok(()));
        assert_eq!(decoded, vec![longest; 5]);
        assert_eq!(decode(&channel_data(0x4000, &[7; MAX_DATAGRAM - 3]), &[4]).1, Err(Malformed));
    }

    #[test]
    fn what_can_be_no_message_is_seen_at_its_first_bytes() {
        for stream in [&b"GET / HTTP/1.1\r\n"[..], &[0x50], &[0x80], &[0xFF], &[0, 1, 0, 3], &[0, 1, 0xFF, 0xFC]] {
            let (decoded, ended) = decode(stream, &[1]);
            assert!(decoded.is_empty());
            assert_eq!(ended, Err(Malformed), "{stream:?}");
        }
    }

    #[test]
    fn padding_belongs_to_nobody() {
        let stream = [0x40, 0, 0, 1, b'x', 9, 9, 9, 0x40, 1, 0, 0];
        let (decoded, ended) = decode(&stream, &[5, 1]);
        assert_eq!(ended, Ok(()));
        assert_eq!(decoded, [&[0x40, 0, 0, 1, b'x'][..], &[0x40, 1, 0, 0]]);
    }
}
