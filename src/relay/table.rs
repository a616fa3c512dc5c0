//! All allocations, to be found by the client's 5-tuple and by the virtual port within a call.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{allocation::Allocation, five_tuple::FiveTuple};
use crate::protocol::{CallId, Side};

/// Allocations of one side of a call at a time. A browser makes one for each transport and network interface, up to
/// twelve (Firefox two for each: it gathers RTCP as well); those of a network that was lost stay until they expire,
/// over TCP until the connection does. So this is room for two gatherings of the richest kind within ten minutes, and
/// for many of the usual three to six.
pub(super) const MAX_PER_SIDE: usize = 32;

/// Allocations of this relay at a time, some 300 bytes each. Far over what one machine can forward for, so
/// that only a leaked secret would reach it.
pub(super) const MAX_ALLOCATIONS: usize = 100_000;

/// How long a call may last. Nobody talks for half a day; who has fallen asleep beside an open page is let go.
pub(super) const LONGEST_CALL: Duration = Duration::from_secs(12 * 60 * 60);

/// Where an allocation is kept. Given to another allocation when this one has ended.
type Slot = usize;

/// An allocation as its call sees it.
struct Relayed {
    side: Side,
    port: u16,
    slot: Slot,
}

/// A call that somebody has an allocation for.
struct Call {
    /// When it is over, whoever is still talking.
    end: Instant,
    relayed: Vec<Relayed>,
}

#[derive(Default)]
pub(super) struct Table {
    slots: Vec<Option<Allocation>>,
    free: Vec<Slot>,
    by_client: HashMap<FiveTuple, Slot>,
    calls: HashMap<CallId, Call>,
}

impl Table {
    /// The allocation of this client.
    pub fn of_client(&self, now: Instant, client: &FiveTuple) -> Option<&Allocation> {
        self.alive(now, *self.by_client.get(client)?)
    }

    /// Everybody who has one.
    pub fn clients(&self, now: Instant) -> impl Iterator<Item = FiveTuple> {
        let alive = move |(client, slot): (&FiveTuple, &Slot)| self.alive(now, *slot).map(|_| *client);
        self.by_client.iter().filter_map(alive)
    }

    /// The same, to be changed.
    pub fn of_client_mut(&mut self, now: Instant, client: &FiveTuple) -> Option<&mut Allocation> {
        let slot = *self.by_client.get(client)?;
        let allocation = self.slots.get_mut(slot)?.as_mut();
        allocation.filter(|allocation| allocation.is_alive(now))
    }

    /// The allocation with this virtual port on one side of a call. The only way there is to a peer.
    pub fn of_peer(&self, now: Instant, call: CallId, side: Side, port: u16) -> Option<&Allocation> {
        let relayed = &self.calls.get(&call)?.relayed;
        let found = relayed.iter().find(|it| it.side == side && it.port == port);
        self.alive(now, found?.slot)
    }

    fn alive(&self, now: Instant, slot: Slot) -> Option<&Allocation> {
        let allocation = self.slots.get(slot)?.as_ref();
        allocation.filter(|allocation| allocation.is_alive(now))
    }

    /// Whether another one fits.
    pub fn has_room(&self) -> bool {
        self.by_client.len() < MAX_ALLOCATIONS
    }

    /// How many allocations one side of a call has.
    pub fn count(&self, now: Instant, call: CallId, side: Side) -> usize {
        self.ports(now, call, side).count()
    }

    /// The virtual ports of one side of a call.
    pub fn ports(&self, now: Instant, call: CallId, side: Side) -> impl Iterator<Item = u16> {
        let of_side = self.relayed(call).filter(move |it| it.side == side);
        of_side.filter_map(move |it| self.alive(now, it.slot)).map(|allocation| allocation.port)
    }

    /// Whether a virtual port is taken, by either side.
    pub fn is_taken(&self, call: CallId, port: u16) -> bool {
        self.relayed(call).any(|it| it.port == port)
    }

    fn relayed(&self, call: CallId) -> impl Iterator<Item = &Relayed> {
        self.calls.get(&call).into_iter().flat_map(|call| &call.relayed)
    }

    /// When a call is over: some time after its first allocation, or after now when it has none.
    pub fn end_of(&self, now: Instant, call: CallId) -> Instant {
        self.calls.get(&call).map_or(now + LONGEST_CALL, |call| call.end)
    }

    /// The calls that have lasted long enough.
    pub fn calls_that_are_over(&self, now: Instant) -> Vec<CallId> {
        let over = self.calls.iter().filter(|(_, call)| now >= call.end);
        over.map(|(id, _)| *id).collect()
    }

    /// Keeps a new allocation, in place of what this client had.
    pub fn insert(&mut self, allocation: Allocation) {
        self.remove(&allocation.five_tuple);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.by_client.insert(allocation.five_tuple, slot);
        let end = allocation.end;
        let call = self.calls.entry(allocation.user.call).or_insert_with(|| Call { end, relayed: Vec::new() });
        call.relayed.push(Relayed { side: allocation.user.side, port: allocation.port, slot });
        self.slots[slot] = Some(allocation);
    }

    /// Ends the allocation of this client.
    pub fn remove(&mut self, client: &FiveTuple) -> Option<Allocation> {
        let slot = self.by_client.remove(client)?;
        let allocation = self.slots.get_mut(slot)?.take()?;
        self.free.push(slot);
        if let Some(call) = self.calls.get_mut(&allocation.user.call) {
            call.relayed.retain(|it| it.slot != slot);
            if call.relayed.is_empty() {
                self.calls.remove(&allocation.user.call);
            }
        }
        Some(allocation)
    }

    /// Ends all allocations of a call.
    pub fn remove_call(&mut self, call: CallId) -> Vec<Allocation> {
        let kept = self.relayed(call).filter_map(|it| self.slots.get(it.slot)?.as_ref());
        let clients = kept.map(|allocation| allocation.five_tuple).collect();
        self.remove_all(clients)
    }

    /// Ends what has expired.
    pub fn sweep(&mut self, now: Instant) {
        let expired = self.slots.iter().flatten().filter(|it| !it.is_alive(now));
        let clients = expired.map(|allocation| allocation.five_tuple).collect();
        self.remove_all(clients);
    }

    fn remove_all(&mut self, clients: Vec<FiveTuple>) -> Vec<Allocation> {
        let removed = clients.iter().filter_map(|client| self.remove(client));
        removed.collect()
    }

    /// How many allocations there are, and that everything about them agrees.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        let live = self.slots.iter().flatten().count();
        assert_eq!(live, self.by_client.len());
        assert_eq!(live, self.calls.values().flat_map(|call| &call.relayed).count());
        assert_eq!(live + self.free.len(), self.slots.len());
        assert!(self.calls.values().all(|call| !call.relayed.is_empty()));
        live
    }
}
