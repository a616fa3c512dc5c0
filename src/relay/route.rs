//! The ways that payloads take, as the thread that forwards them remembers them.
//!
//! Finding a way takes the relay's lock and several look-ups; going one that is remembered takes a single look-up
//! of the thread's own, and no lock. It cannot be gone wrongly: a route says until when it is good, and both of
//! its ends count their changes. One that has aged, or that a change has left behind, is found anew or not at all.

use std::{
    collections::{HashMap, hash_map::Entry},
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Instant,
};

use foldhash::fast::RandomState;

use super::{
    bucket::Bucket,
    counts::Counts,
    data::{self, Destination},
    five_tuple::FiveTuple,
    packet::Packet,
};

/// Routes that one thread remembers, some 250 bytes each: all that a machine can forward for, and only somebody
/// who has credentials for thousands of calls fills it up. Beyond, packets go the slower way.
const MAX_ROUTES: usize = 32 * 1024;

/// What forwarding needs of an allocation without its lock. Shared by the allocation and the routes that begin or
/// end there.
pub(super) struct Standing {
    /// How often something has changed that a route could have been found by.
    changes: AtomicU32,
    /// How many Data indications the client has been sent.
    indications: AtomicU64,
    /// What the client may still send.
    bucket: Bucket,
}

impl Standing {
    /// Of a new allocation.
    pub fn new(now: Instant) -> Self {
        Self { changes: AtomicU32::new(0), indications: AtomicU64::new(0), bucket: Bucket::new(now) }
    }

    /// Makes every route that was found before worthless.
    pub fn change(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }
}

/// One of a route's two allocations, as it was when the route was found.
struct End {
    standing: Arc<Standing>,
    changes: u32,
}

impl End {
    fn new(standing: &Arc<Standing>) -> Self {
        Self { standing: Arc::clone(standing), changes: standing.changes.load(Ordering::Acquire) }
    }

    fn is_unchanged(&self) -> bool {
        self.standing.changes.load(Ordering::Acquire) == self.changes
    }
}

/// How the receiver hears of a payload.
#[derive(Clone, Copy)]
pub(super) enum Framing {
    /// On the channel that it has bound to the sender.
    Channel(u16),
    /// In Data indications from the sender's virtual port, whose transactions begin with this tag.
    Indication { port: u16, tag: u32 },
}

/// The way from one client to one allocation of its partner.
pub(super) struct Route {
    sender: End,
    receiver: End,
    /// When the first of what it rests on expires: allocations, permissions, channels.
    until: Instant,
    to: FiveTuple,
    framing: Framing,
}

impl Route {
    /// Only for those who hold the lock that both allocations are changed under.
    pub fn new(
        sender: &Arc<Standing>,
        receiver: &Arc<Standing>,
        until: Instant,
        to: FiveTuple,
        framing: Framing,
    ) -> Self {
        Self { sender: End::new(sender), receiver: End::new(receiver), until, to, framing }
    }

    fn is_good(&self, now: Instant) -> bool {
        now < self.until && self.sender.is_unchanged() && self.receiver.is_unchanged()
    }

    /// Reframes a payload where it lies in the packet, and says where to send it. `None` drops it.
    pub fn forward(
        &self,
        now: Instant,
        packet: &mut Packet,
        payload: Range<usize>,
        counts: &Counts,
    ) -> Option<FiveTuple> {
        if !self.sender.standing.bucket.take(now, payload.len()) {
            counts.over_rate.add_one();
            return None;
        }
        match self.framing {
            Framing::Channel(number) => data::write_channel_data(packet, payload, number)?,
            Framing::Indication { port, tag } => {
                // A count of the receiver's own, so that nobody reads off it how busy others are.
                let count = self.receiver.standing.indications.fetch_add(1, Ordering::Relaxed);
                let mut transaction = [0; 12];
                transaction[..4].copy_from_slice(&tag.to_be_bytes());
                transaction[4..].copy_from_slice(&count.to_be_bytes());
                data::write_data_indication(packet, payload, transaction, port)?;
            }
        }
        Some(self.to)
    }
}

/// What a route is remembered by: who sends, and to which channel or peer.
type Key = (FiveTuple, Destination);

/// The routes that one thread remembers. Only good credentials get one in, so that the hash may be a fast one.
#[derive(Default)]
pub(super) struct Routes(HashMap<Key, Route, RandomState>);

impl Routes {
    /// The remembered route, or what `find` finds in its place.
    pub fn get_or_find(&mut self, now: Instant, key: Key, find: impl FnOnce() -> Option<Route>) -> Option<Kept<'_>> {
        let is_full = self.0.len() >= MAX_ROUTES;
        match self.0.entry(key) {
            Entry::Occupied(entry) if entry.get().is_good(now) => Some(Kept::Remembered(entry.into_mut())),
            Entry::Occupied(mut entry) => match find() {
                Some(route) => {
                    entry.insert(route);
                    Some(Kept::Remembered(entry.into_mut()))
                }
                None => {
                    entry.remove();
                    None
                }
            },
            Entry::Vacant(_) if is_full => find().map(Kept::Once),
            Entry::Vacant(entry) => find().map(|route| Kept::Remembered(entry.insert(route))),
        }
    }

    /// Forgets what is good no more.
    pub fn sweep(&mut self, now: Instant) {
        self.0.retain(|_, route| route.is_good(now));
    }

    /// How many are remembered.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// A route to be gone now, whether it stays or not.
pub(super) enum Kept<'a> {
    Remembered(&'a Route),
    Once(Route),
}

impl Kept<'_> {
    pub fn route(&self) -> &Route {
        match self {
            Self::Remembered(route) => route,
            Self::Once(route) => route,
        }
    }
}
