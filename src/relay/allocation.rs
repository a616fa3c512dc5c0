//! One allocation (RFC 8656 §6): a client's 5-tuple, its virtual port, and what it has asked to hear from.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use stun_types::{attribute::ErrorCode, message::TransactionId};

use super::{credentials::User, five_tuple::FiveTuple, route::Standing, table::MAX_PER_SIDE};

/// Lifetime of an allocation after Allocate and after every Refresh: the default of RFC 8656 §3.2, which
/// browsers count on. It is the longest as well, so that nothing outlives a vanished client for long
/// (RFC 8656 §7.2 allows it).
pub(super) const LIFETIME: Duration = Duration::from_secs(600);

/// RFC 8656 §9 leaves no choice.
const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);

/// RFC 8656 §12 leaves no choice.
const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);

/// Channels of one allocation at a time: one for each allocation that the partner can have. A channel outlives the
/// allocation that it leads to, for ten minutes; so when there is no room, those that lead nowhere go (RFC 8656 §12
/// would have them stay, but nothing could be sent on them). What leads to an allocation that there is therefore
/// always finds room, however often the partner has come by another network.
///
/// There is no such number of permissions: all peers have one address, so that there is one to be had. Whoever is
/// refused a channel has it all the same, and talks by Send indications.
pub(super) const MAX_CHANNELS: usize = MAX_PER_SIDE;

/// The numbers that may be bound (RFC 8656 §12).
const CHANNEL_NUMBERS: std::ops::RangeInclusive<u16> = 0x4000..=0x4FFF;

pub(super) struct Allocation {
    pub five_tuple: FiveTuple,
    /// Whose credentials made it; nobody else's may change it.
    pub user: User,
    /// The virtual port, unique within the call.
    pub port: u16,
    /// Of the Allocate request that made it, to know that one again.
    pub transaction: TransactionId,
    pub expires: Instant,
    /// When its call is over, and it with it.
    pub end: Instant,
    /// Until when the one address that peers can have is permitted.
    permitted: Option<Instant>,
    channels: Vec<Channel>,
    /// The random part of the transaction ids of Data indications.
    pub tag: u32,
    /// What the routes that begin or end here need to know without a lock.
    pub standing: Arc<Standing>,
}

struct Channel {
    number: u16,
    port: u16,
    expires: Instant,
}

impl Allocation {
    pub fn new(
        now: Instant,
        five_tuple: FiveTuple,
        user: User,
        port: u16,
        transaction: TransactionId,
        tag: u32,
        end: Instant,
    ) -> Self {
        Self {
            five_tuple,
            user,
            port,
            transaction,
            expires: end.min(now + LIFETIME),
            end,
            permitted: None,
            channels: Vec::new(),
            tag,
            standing: Arc::new(Standing::new(now)),
        }
    }

    pub fn is_alive(&self, now: Instant) -> bool {
        now < self.expires
    }

    pub fn refresh(&mut self, now: Instant) {
        self.expires = self.end.min(now + LIFETIME);
    }

    /// Installs or refreshes the permission for [`RELAYED_ADDRESS`](crate::protocol::RELAYED_ADDRESS).
    ///
    /// Permissions are by IP address, and here all peers share one: a permission admits every allocation of
    /// the partner. That it admits nobody else is because only the partner's can be looked up.
    pub fn permit(&mut self, now: Instant) {
        self.permitted = Some(now + PERMISSION_LIFETIME);
    }

    /// Until when it is permitted, if it is.
    pub fn permitted(&self, now: Instant) -> Option<Instant> {
        self.permitted.filter(|until| now < *until)
    }

    /// Binds a channel, or refreshes its binding, and with it the permission (RFC 8656 §12.2). `peers` are the ports
    /// that the partner has.
    pub fn bind(&mut self, now: Instant, number: u16, port: u16, peers: &[u16]) -> Result<(), u16> {
        if !CHANNEL_NUMBERS.contains(&number) {
            return Err(ErrorCode::BAD_REQUEST);
        }
        self.channels.retain(|channel| now < channel.expires);
        let expires = now + CHANNEL_LIFETIME;
        let taken = |channel: &&mut Channel| channel.number == number || channel.port == port;
        if let Some(channel) = self.channels.iter_mut().find(taken) {
            if (channel.number, channel.port) != (number, port) {
                return Err(ErrorCode::BAD_REQUEST);
            }
            channel.expires = expires;
        } else {
            if self.channels.len() >= MAX_CHANNELS {
                self.channels.retain(|channel| peers.contains(&channel.port));
            }
            if self.channels.len() >= MAX_CHANNELS {
                return Err(ErrorCode::INSUFFICIENT_CAPACITY);
            }
            self.channels.push(Channel { number, port, expires });
        }
        self.permit(now);
        self.standing.change();
        Ok(())
    }

    /// The virtual port that a channel is bound to, and until when.
    pub fn peer_of(&self, now: Instant, number: u16) -> Option<(u16, Instant)> {
        let mut live = self.channels.iter().filter(|channel| now < channel.expires);
        live.find(|channel| channel.number == number).map(|channel| (channel.port, channel.expires))
    }

    /// The channel that is bound to a virtual port, and until when.
    pub fn channel_of(&self, now: Instant, port: u16) -> Option<(u16, Instant)> {
        let mut live = self.channels.iter().filter(|channel| now < channel.expires);
        live.find(|channel| channel.port == port).map(|channel| (channel.number, channel.expires))
    }
}

/// However an allocation ends, nothing goes to it or comes from it any more.
impl Drop for Allocation {
    fn drop(&mut self) {
        self.standing.change();
    }
}
