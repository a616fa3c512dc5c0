//! The datagrams that are received in one go, handled one by one, and sent in one go.

use super::{five_tuple::FiveTuple, packet::Packet};

/// Datagrams in one batch, at the most. Twice as many are no cheaper each, and the first would have to wait for
/// twice as many others.
pub(super) const BATCH: usize = 64;

/// One datagram on its way through.
pub(super) struct Datagram {
    pub packet: Packet,
    /// The 5-tuple that it came by; once it is handled, the one that it leaves by. `None` goes nowhere.
    pub path: Option<FiveTuple>,
}

/// Room for a batch: all the memory that a thread forwards with.
pub(super) fn room() -> Vec<Datagram> {
    let mut room = Vec::with_capacity(BATCH);
    room.resize_with(BATCH, || Datagram { packet: Packet::new(), path: None });
    room
}
