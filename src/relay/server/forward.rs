//! Where a payload goes through: a way is found for it, it is reframed where it lies, and sent on.

use std::time::Instant;

use super::Server;
use crate::{
    protocol::RELAYED_ADDRESS,
    relay::{
        data::{self, Destination},
        five_tuple::FiveTuple,
        packet::Packet,
        route::{Framing, Route},
    },
};

impl Server {
    /// Takes ChannelData or a Send indication to the allocation it is for, which is the partner's or none,
    /// and says where that is. `None` drops it: nobody is told why (RFC 8656 §11.2, §12.6).
    pub(super) fn forward(&mut self, now: Instant, from: &FiveTuple, packet: &mut Packet) -> Option<FiveTuple> {
        let outgoing = data::read(packet.bytes())?;
        self.route(now, from, outgoing.destination)?.forward(now, packet, outgoing.payload, &self.counts)
    }

    /// The way from a client to an allocation of its partner: the only ways there are.
    ///
    /// To the partner with a channel for this peer payloads become ChannelData, else Data indications; Firefox
    /// never binds channels.
    pub(in crate::relay) fn route(&self, now: Instant, from: &FiveTuple, destination: Destination) -> Option<Route> {
        let sender = self.table.of_client(now, from)?;
        let (to, sent_until) = match destination {
            Destination::Channel(number) => sender.peer_of(now, number)?,
            Destination::Peer(peer) if *peer.ip() == RELAYED_ADDRESS => (peer.port(), sender.permitted(now)?),
            Destination::Peer(_) => return None,
        };

        let partner = sender.user.side.other();
        let receiver = self.table.of_peer(now, sender.user.call, partner, to)?;
        let heard_until = receiver.permitted(now)?;
        let (framing, framed_until) = match receiver.channel_of(now, sender.port) {
            Some((number, until)) => (Framing::Channel(number), until),
            None => (Framing::Indication { port: sender.port, tag: receiver.tag }, receiver.expires),
        };
        let until = [sender.expires, receiver.expires, sent_until, heard_until, framed_until].into_iter().min()?;
        Some(Route::new(&sender.standing, &receiver.standing, until, receiver.five_tuple, framing))
    }
}
