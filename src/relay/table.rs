//! All allocations, to be found by the client's 5-tuple and by the virtual port within a call.

use std::{collections::HashMap, time::Instant};

use super::{allocation::Allocation, five_tuple::FiveTuple};
use crate::protocol::{CallId, Side};

/// Allocations of one side of a call at a time. A browser makes up to four, one for each network interface
/// (Firefox two for each: it gathers RTCP as well); those of a network that was lost stay until they expire, so
/// this is room for four gatherings within ten minutes.
pub(super) const MAX_PER_SIDE: usize = 16;

/// Allocations of this relay at a time, some 300 bytes each. Far over what one machine can forward for, so
/// that only a leaked secret would reach it.
pub(super) const MAX_ALLOCATIONS: usize = 100_000;

/// Where an allocation is kept. Given to another allocation when this one has ended.
type Slot = usize;

/// An allocation as its call sees it.
struct Relayed {
    side: Side,
    port: u16,
    slot: Slot,
}

#[derive(Default)]
pub(super) struct Table {
    slots: Vec<Option<Allocation>>,
    free: Vec<Slot>,
    by_client: HashMap<FiveTuple, Slot>,
    calls: HashMap<CallId, Vec<Relayed>>,
}

impl Table {
    /// The allocation of this client.
    pub fn of_client(&self, now: Instant, client: &FiveTuple) -> Option<&Allocation> {
        self.alive(now, *self.by_client.get(client)?)
    }

    /// The same, to be changed.
    pub fn of_client_mut(&mut self, now: Instant, client: &FiveTuple) -> Option<&mut Allocation> {
        let slot = *self.by_client.get(client)?;
        let allocation = self.slots.get_mut(slot)?.as_mut();
        allocation.filter(|allocation| allocation.is_alive(now))
    }

    /// The allocation with this virtual port on one side of a call. The only way there is to a peer.
    pub fn of_peer(&self, now: Instant, call: CallId, side: Side, port: u16) -> Option<&Allocation> {
        let relayed = self.calls.get(&call)?;
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
        let relayed = self.calls.get(&call).into_iter().flatten();
        let of_side = relayed.filter(|it| it.side == side);
        let kept = of_side.filter_map(|it| self.slots.get(it.slot)?.as_ref());
        kept.filter(|allocation| allocation.is_alive(now)).count()
    }

    /// Whether a virtual port is taken, by either side.
    pub fn is_taken(&self, call: CallId, port: u16) -> bool {
        let mut relayed = self.calls.get(&call).into_iter().flatten();
        relayed.any(|it| it.port == port)
    }

    /// Keeps a new allocation, in place of what this client had.
    pub fn insert(&mut self, allocation: Allocation) {
        self.remove(&allocation.five_tuple);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.by_client.insert(allocation.five_tuple, slot);
        let relayed = self.calls.entry(allocation.user.call).or_default();
        relayed.push(Relayed { side: allocation.user.side, port: allocation.port, slot });
        self.slots[slot] = Some(allocation);
    }

    /// Ends the allocation of this client.
    pub fn remove(&mut self, client: &FiveTuple) -> Option<Allocation> {
        let slot = self.by_client.remove(client)?;
        let allocation = self.slots.get_mut(slot)?.take()?;
        self.free.push(slot);
        if let Some(relayed) = self.calls.get_mut(&allocation.user.call) {
            relayed.retain(|it| it.slot != slot);
            if relayed.is_empty() {
                self.calls.remove(&allocation.user.call);
            }
        }
        Some(allocation)
    }

    /// Ends all allocations of a call.
    pub fn remove_call(&mut self, call: CallId) -> Vec<Allocation> {
        let relayed = self.calls.get(&call).into_iter().flatten();
        let kept = relayed.filter_map(|it| self.slots.get(it.slot)?.as_ref());
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
        assert_eq!(live, self.calls.values().flatten().count());
        assert_eq!(live + self.free.len(), self.slots.len());
        assert!(self.calls.values().all(|relayed| !relayed.is_empty()));
        live
    }
}
