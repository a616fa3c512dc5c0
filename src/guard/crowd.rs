//! How many there are at once, in all and of each network. An entry ends with its network's last connection, so there
//! are never more of them than connections.

use std::collections::HashMap;

use super::prefix::{Mark, Marks};

/// How many there may be at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// In all.
    pub all: usize,
    /// Of one network: IPv4 /32 or IPv6 /64.
    pub narrow: usize,
    /// Of one IPv6 /48.
    pub wide: usize,
}

/// Who is in a room.
pub struct Crowd {
    room: Room,
    all: usize,
    by: HashMap<Mark, usize>,
}

impl Crowd {
    /// Nobody yet.
    pub fn new(room: Room) -> Self {
        Self { room, all: 0, by: HashMap::new() }
    }

    /// Counts one more, if there is room; without marks (for a proxy, which speaks for many) only in all.
    pub fn enter(&mut self, marks: Option<Marks>) -> bool {
        let full = |mark: Option<Mark>, most| mark.is_some_and(|mark| self.by.get(&mark).is_some_and(|it| *it >= most));
        let refused = self.all >= self.room.all
            || full(marks.map(|marks| marks.narrow), self.room.narrow)
            || full(marks.and_then(|marks| marks.wide), self.room.wide);
        if refused {
            return false;
        }
        self.all += 1;
        for mark in each(marks) {
            *self.by.entry(mark).or_default() += 1;
        }
        true
    }

    /// Counts one fewer.
    pub fn leave(&mut self, marks: Option<Marks>) {
        self.all -= 1;
        for mark in each(marks) {
            if let Some(count) = self.by.get_mut(&mark) {
                *count -= 1;
                if *count == 0 {
                    self.by.remove(&mark);
                }
            }
        }
    }
}

fn each(marks: Option<Marks>) -> impl Iterator<Item = Mark> {
    marks.into_iter().flat_map(|marks| [Some(marks.narrow), marks.wide]).flatten()
}

#[cfg(test)]
mod tests {
    use std::{
        net::{IpAddr, Ipv6Addr},
        time::Instant,
    };

    use proptest::prelude::*;

    use super::*;
    use crate::guard::prefix::Keys;

    const ROOM: Room = Room { all: 12, narrow: 3, wide: 5 };

    proptest! {
        /// Against a list of those who are in it.
        #[test]
        fn the_counts_are_those_of_who_is_there(steps in prop::collection::vec((0..3_u128, 0..4_u128, any::<bool>()), 1..200)) {
            let now = Instant::now();
            let mut keys = Keys::new([1; 32], now);
            let mut crowd = Crowd::new(ROOM);
            let mut there: Vec<(u128, u128)> = Vec::new();
            for (site, subnet, comes) in steps {
                let address = Ipv6Addr::from_bits(0x2001_0db8 << 96 | site << 80 | subnet << 64 | 1);
                let marks = keys.home(IpAddr::V6(address), now).crowd;
                if comes {
                    let room = there.len() < ROOM.all
                        && there.iter().filter(|one| **one == (site, subnet)).count() < ROOM.narrow
                        && there.iter().filter(|one| one.0 == site).count() < ROOM.wide;
                    prop_assert_eq!(crowd.enter(Some(marks)), room);
                    there.extend(room.then_some((site, subnet)));
                } else if let Some(at) = there.iter().position(|one| *one == (site, subnet)) {
                    there.swap_remove(at);
                    crowd.leave(Some(marks));
                }
                prop_assert_eq!(crowd.all, there.len());
                prop_assert!(crowd.by.len() <= 2 * there.len());
            }
        }
    }

    #[test]
    fn a_proxy_is_counted_with_all_and_not_by_itself() {
        let mut crowd = Crowd::new(ROOM);
        assert!((0..ROOM.all).all(|_| crowd.enter(None)));
        assert!(!crowd.enter(None));
        crowd.leave(None);
        assert!(crowd.enter(None) && crowd.by.is_empty());
    }
}
