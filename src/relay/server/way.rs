//! Where a payload may go: to an allocation of the partner's, or nowhere.

use std::time::Instant;

use super::Server;
use crate::{
    protocol::RELAYED_ADDRESS,
    relay::{
        data::Destination,
        five_tuple::FiveTuple,
        route::{Framing, Route},
    },
};

impl Server {
    /// The way from a client to an allocation of its partner: the only ways there are. `None` drops what was to take it: nobody is told why
    /// (RFC 8656 §11.2, §12.6).
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
