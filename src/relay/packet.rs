//! One datagram in a buffer that has room in front of it, so that its framing can be changed in place.

use std::ops::Range;

/// The longest datagram that is looked at, in bytes. Everything a caller sends fits an Ethernet frame of
/// 1500; what is longer is not voice and is dropped.
pub const MAX_DATAGRAM: usize = 2048;

/// What a payload can need in front of the datagram that it came in: the header of a Data indication is 36
/// bytes long, that of ChannelData 4. Rounded up to a cache line.
const HEADROOM: usize = 64;

/// One byte by which a datagram shows that it was too long, or three of padding behind a payload.
const TAILROOM: usize = 4;

/// A datagram, and after [`Lane::handle`](super::Lane::handle) what is to be sent in its place. Made once
/// per thread and used for every packet.
pub struct Packet {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Packet {
    /// An empty packet; the only allocation there is.
    pub fn new() -> Self {
        Self { buffer: vec![0; HEADROOM + MAX_DATAGRAM + TAILROOM].into(), start: HEADROOM, end: HEADROOM }
    }

    /// Where the next datagram is to be received. One byte longer than [`MAX_DATAGRAM`], so that a longer
    /// datagram can be told from one that just fits.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[HEADROOM..HEADROOM + MAX_DATAGRAM + 1]
    }

    /// Makes the first `length` bytes of [`Self::room`] the content; none of them when that is too long.
    pub fn set_length(&mut self, length: usize) {
        let length = if length > MAX_DATAGRAM { 0 } else { length };
        self.start = HEADROOM;
        self.end = HEADROOM + length;
    }

    /// The content.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Puts other content in place of this one, cut to [`MAX_DATAGRAM`].
    pub fn replace(&mut self, content: &[u8]) {
        let length = content.len().min(MAX_DATAGRAM);
        self.buffer[HEADROOM..HEADROOM + length].copy_from_slice(&content[..length]);
        self.set_length(length);
    }

    /// Keeps `payload`, a range of [`Self::bytes`], where it lies; puts `header` right before it and
    /// `padding` (0 to 3) zero bytes after it. `None`, and nothing changed, when there is no room for that.
    pub(super) fn reframe(&mut self, payload: Range<usize>, header: &[u8], padding: usize) -> Option<()> {
        let (first, last) = (self.start + payload.start, self.start + payload.end);
        let start = first.checked_sub(header.len())?;
        let end = last.checked_add(padding)?;
        self.buffer.get_mut(last..end)?.fill(0);
        self.buffer.get_mut(start..first)?.copy_from_slice(header);
        (self.start, self.end) = (start, end);
        Some(())
    }
}

impl Default for Packet {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_long_a_datagram_is_an_empty_one() {
        let mut packet = Packet::new();
        packet.room().fill(1);
        packet.set_length(MAX_DATAGRAM);
        assert_eq!(packet.bytes().len(), MAX_DATAGRAM);
        packet.set_length(MAX_DATAGRAM + 1);
        assert!(packet.bytes().is_empty());
    }

    #[test]
    fn a_payload_stays_where_it_is_between_a_new_header_and_padding() {
        let mut packet = Packet::new();
        packet.replace(b"oldpayload...");
        packet.reframe(3..10, b"a longer header:", 1).unwrap();
        assert_eq!(packet.bytes(), b"a longer header:payload\0");
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let mut packet = Packet::new();
        packet.replace(b"payload");
        assert!(packet.reframe(0..7, &[1; HEADROOM + 1], 0).is_none());
        assert_eq!(packet.bytes(), b"payload");
    }

    #[test]
    fn the_longest_datagram_can_become_a_data_indication() {
        let mut packet = Packet::new();
        packet.set_length(MAX_DATAGRAM);
        assert!(packet.reframe(4..MAX_DATAGRAM, &[1; 36], 3).is_some());
    }
}
