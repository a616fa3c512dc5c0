//! The TCP connections that packets can be sent on, each by its 5-tuple.

use std::sync::Arc;

use dashmap::{DashMap, Entry};

use super::{five_tuple::FiveTuple, outbox::Outbox};

#[derive(Default)]
pub(super) struct Streams(DashMap<FiveTuple, Arc<Outbox>>);

impl Streams {
    /// A place for a new connection; `None` while an older one with this 5-tuple is still being put away.
    pub fn open(&self, client: FiveTuple) -> Option<Arc<Outbox>> {
        match self.0.entry(client) {
            Entry::Occupied(_) => None,
            Entry::Vacant(place) => Some(Arc::clone(&place.insert(Arc::default()))),
        }
    }

    /// Gives a packet to the connection's own task. Never waits; false when it is dropped.
    pub fn push(&self, to: &FiveTuple, message: &[u8]) -> bool {
        self.0.get(to).is_some_and(|outbox| outbox.push(message))
    }

    pub fn remove(&self, client: &FiveTuple) {
        self.0.remove(client);
    }

    /// Has every connection closed.
    pub fn close(&self) {
        self.0.iter().for_each(|outbox| outbox.close());
    }
}
