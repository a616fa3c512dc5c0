//! The TURN server (RFC 8656) without sockets: a datagram and the time go in, what is to be sent comes out.
//!
//! A [`Lane`](super::Lane) is the one way in, whatever a datagram came by. It tells payloads from requests, and asks here for
//! the way that a payload takes (`way`) and for the answer to a request (`control`).

mod control;
mod way;

use std::{collections::HashMap, sync::Arc, time::Instant};

use stun_types::message::MessageClass;

use super::{
    allocation::Allocation,
    budget::Budget,
    counts::Counts,
    credentials::{Secret, User, VALIDITY},
    five_tuple::FiveTuple,
    message::{self, unlogged},
    nonce::Nonces,
    packet::Packet,
    random::Random,
    table::Table,
};
use crate::{
    clock::Now,
    protocol::{CallId, Side, Transport},
};

/// For how many seconds longer than credentials can be good a revoked call stays so: they may have been
/// minted on another machine, whose clock need not agree.
const REVOCATION_MARGIN: u64 = 60;

/// What is to be done after a datagram has been handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing; it gets no answer.
    Nothing,
    /// Send the packet, which now is the answer, back on the 5-tuple it came by.
    Reply,
    /// Send the packet, reframed, on this 5-tuple: the partner's.
    Forward(FiveTuple),
}

/// All there is to know of a relay.
pub struct Server {
    secret: Secret,
    nonces: Nonces,
    random: Random,
    budget: Budget,
    table: Table,
    counts: Arc<Counts>,
    /// Sides of calls whose connection has ended, and until when they may come back with the credentials they have: as
    /// long as a vanished UDP client's allocation would have stayed.
    disconnected: HashMap<(CallId, Side), Instant>,
    /// Calls that are over, and the Unix seconds at which none of their credentials can be good any more.
    /// As many as have ended in the last minutes, at about 50 bytes each.
    revoked: HashMap<CallId, u64>,
}

impl Server {
    /// A server without allocations. All its randomness comes out of `seed`, which must be unpredictable.
    pub fn new(secret: Secret, seed: [u8; 32], now: Now) -> Self {
        let mut random = Random::new(seed);
        Self {
            secret,
            nonces: Nonces::new(random.bytes(), now.instant),
            random,
            budget: Budget::new(now.instant),
            table: Table::default(),
            counts: Arc::default(),
            disconnected: HashMap::new(),
            revoked: HashMap::new(),
        }
    }

    /// How often each limit was hit.
    pub fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// Answers what is no payload. The answer, if there is one, is in `packet` afterwards.
    pub(super) fn answer(&mut self, now: Now, from: &FiveTuple, packet: &mut Packet) -> Action {
        let response = unlogged(|| {
            let message = message::parse(packet.bytes())?;
            let is_request = message.has_class(MessageClass::Request);
            is_request.then(|| self.respond(now, from, &message))?
        });
        match response {
            Some(response) => {
                packet.replace(&response.into_bytes());
                Action::Reply
            }
            None => Action::Nothing,
        }
    }

    /// Ends a call: its allocations are gone when this returns, and its credentials make no new ones.
    pub fn revoke(&mut self, now: Now, call: CallId) {
        let removed = self.table.remove_call(call);
        for side in [Side::A, Side::B] {
            self.disconnected.remove(&(call, side));
        }
        let seen = removed.iter().map(|allocation| allocation.user.expiry);
        let minted = now.unix.saturating_add(VALIDITY);
        let last = seen.fold(minted, u64::max);
        (self.revoked).insert(call, last.saturating_add(REVOCATION_MARGIN));
    }

    /// Whether this client has an allocation.
    pub fn has_allocation(&mut self, now: Now, client: &FiveTuple) -> bool {
        self.table.of_client(now.instant, client).is_some()
    }

    /// Those who have an allocation and came by UDP.
    pub fn clients_by_udp(&self, now: Now) -> Vec<FiveTuple> {
        self.table.clients(now.instant).filter(|client| client.transport() == Transport::Udp).collect()
    }

    /// Ends the allocation of a client whose connection has ended.
    pub fn disconnect(&mut self, now: Now, client: &FiveTuple) {
        if let Some(Allocation { user, expires, .. }) = self.table.remove(client)
            && now.instant < expires
        {
            self.disconnected.insert((user.call, user.side), expires);
        }
    }

    /// Whether somebody of this side is in the call, or would be if the connection had not ended.
    fn is_in_call(&self, now: Now, user: &User) -> bool {
        self.table.count(now.instant, user.call, user.side) > 0
            || self.disconnected.get(&(user.call, user.side)).is_some_and(|until| now.instant < *until)
    }

    /// Forgets what has expired. Nothing depends on when this is called but memory.
    pub fn sweep(&mut self, now: Now) {
        for call in self.table.calls_that_are_over(now.instant) {
            self.revoke(now, call);
        }
        self.table.sweep(now.instant);
        self.disconnected.retain(|_, until| now.instant < *until);
        self.budget.purge(now.instant);
        self.revoked.retain(|_, until| now.unix < *until);
    }
}

#[cfg(test)]
mod tests;
