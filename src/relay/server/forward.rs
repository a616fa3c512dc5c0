//! Where a payload goes through: looked up, reframed where it lies, sent on.

use std::time::Instant;

use super::Server;
use crate::{
    protocol::RELAYED_ADDRESS,
    relay::{
        data::{self, Destination},
        five_tuple::FiveTuple,
        packet::Packet,
    },
};

impl Server {
    /// Takes ChannelData or a Send indication to the allocation it is for, which is the partner's or none,
    /// and says where that is. `None` drops it: nobody is told why (RFC 8656 §11.2, §12.6).
    ///
    /// Allocates nothing. To the partner with a channel for this peer it becomes ChannelData, else a Data
    /// indication; Firefox never binds channels.
    pub(super) fn forward(&mut self, now: Instant, from: &FiveTuple, packet: &mut Packet) -> Option<FiveTuple> {
        let outgoing = data::read(packet.bytes())?;
        let sender = self.table.of_client(now, from)?;
        let to = match outgoing.destination {
            Destination::Channel(number) => sender.peer_of(now, number)?,
            Destination::Peer(peer) if *peer.ip() == RELAYED_ADDRESS && sender.permits(now) => peer.port(),
            Destination::Peer(_) => return None,
        };
        let (user, port) = (sender.user, sender.port);

        let partner = user.side.other();
        let receiver = self.table.of_peer(now, user.call, partner, to)?;
        if !receiver.permits(now) {
            return None;
        }
        match receiver.channel_of(now, port) {
            Some(number) => data::write_channel_data(packet, outgoing.payload, number)?,
            None => {
                let transaction = receiver.next_indication();
                data::write_data_indication(packet, outgoing.payload, transaction, port)?;
            }
        }
        Some(receiver.five_tuple)
    }
}
