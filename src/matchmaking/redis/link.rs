//! One node's mail to another, in order and once each, over a channel that may lose any of it: what is not acknowledged is
//! sent again (go-back-N). Without I/O.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::protocol::ServerMessage;

/// How much may lie unacknowledged: more than all calls of one node have to say in a minute. What is more is lost, and with
/// it the calls that are about to begin, which end by their own deadlines.
const MAX_UNACKED: usize = 16 * 1024;

/// How much is sent before the first of it is acknowledged.
const WINDOW: usize = 512;

/// How long an acknowledgement may take.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Both directions between this node and one other.
#[derive(Debug)]
pub struct Link {
    /// Names this run of numbers. A later one is higher, and higher than those of links before this one.
    epoch: u64,
    /// The number of the first in `unacked`.
    first: u64,
    unacked: VecDeque<ServerMessage>,
    /// How many of them are under way.
    sent: usize,
    /// When something was last acknowledged, or sent while nothing else was.
    since: Instant,
    /// The other's run, and the number that comes next.
    theirs: (u64, u64),
    /// Since when the other node has had no lease.
    pub absent: Option<Instant>,
}

/// What to do about something that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Read it.
    Next,
    /// It has been read, or something before it has not.
    Not,
}

impl Link {
    /// A link to a node that is there; `epoch` is higher than that of any before it.
    pub fn new(epoch: u64, now: Instant) -> Self {
        Self { epoch, first: 0, unacked: VecDeque::new(), sent: 0, since: now, theirs: (0, 0), absent: None }
    }

    /// Takes something to be sent. False when there is too much already.
    pub fn push(&mut self, mail: ServerMessage) -> bool {
        let fits = self.unacked.len() < MAX_UNACKED;
        if fits {
            self.unacked.push_back(mail);
        }
        fits
    }

    /// What is to be sent now: the run, the number and the mail of each.
    pub fn unsent(&mut self, now: Instant) -> Vec<(u64, u64, ServerMessage)> {
        if self.sent == 0 {
            self.since = now;
        }
        let until = self.unacked.len().min(WINDOW);
        let from = std::mem::replace(&mut self.sent, until).min(until);
        let number = |index: usize| self.first + index as u64;
        (from..until).map(|index| (self.epoch, number(index), self.unacked[index].clone())).collect()
    }

    /// Whether something is to be sent.
    pub fn wants_to_send(&self) -> bool {
        self.sent < self.unacked.len().min(WINDOW)
    }

    /// Everything that is not acknowledged is to be sent again: the channel was lost.
    pub fn rewind(&mut self) {
        self.sent = 0;
    }

    /// The same if nothing has come back for a while. Returns whether it is so.
    pub fn is_overdue(&mut self, now: Instant) -> bool {
        let overdue = self.sent > 0 && self.since + AGAIN_AFTER <= now;
        if overdue {
            self.rewind();
        }
        overdue
    }

    /// The other has read everything before this number. Where it waits for one that it has read already, it knows no
    /// more of this run: then what is left begins a new one.
    pub fn acknowledged(&mut self, epoch: u64, next: u64, now: Instant) {
        if epoch != self.epoch {
            return;
        }
        let Some(read) = next.checked_sub(self.first) else {
            (self.epoch, self.first, self.sent) = (self.epoch + 1, 0, 0);
            return;
        };
        let read = usize::try_from(read).unwrap_or(usize::MAX).min(self.unacked.len());
        self.unacked.drain(..read);
        self.first += read as u64;
        self.sent = self.sent.saturating_sub(read);
        self.since = now;
    }

    /// Something has come, with this run and number.
    pub fn heard(&mut self, epoch: u64, number: u64) -> Heard {
        if epoch > self.theirs.0 {
            self.theirs = (epoch, 0);
        }
        if (epoch, number) != self.theirs {
            return Heard::Not;
        }
        self.theirs.1 += 1;
        Heard::Next
    }

    /// Which number of the other's run is to come next.
    pub fn awaits(&self) -> (u64, u64) {
        self.theirs
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.unacked.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mail(number: u32) -> ServerMessage {
        ServerMessage::Closing { r#in: number }
    }

    proptest! {
        /// Whatever is lost, doubled or late of mails and acknowledgements: all is read, in order, once.
        #[test]
        fn everything_arrives_once_and_in_order(
            count in 1..60_u32,
            fates in prop::collection::vec(0..4_u8, 0..400),
        ) {
            let mut now = Instant::now();
            let (mut here, mut there) = (Link::new(7, now), Link::new(3, now));
            let mut fates = fates.into_iter();
            let mut late = Vec::new();
            let mut read = Vec::new();
            let mut pushed = 0;
            while read.len() < count as usize || !here.is_idle() {
                if pushed < count {
                    prop_assert!(here.push(mail(pushed)));
                    pushed += 1;
                }
                let mut under_way: Vec<_> = std::mem::take(&mut late);
                for frame in here.unsent(now) {
                    match fates.next().unwrap_or(0) {
                        0 => under_way.push(frame),
                        1 => {}
                        2 => under_way.extend([frame.clone(), frame]),
                        _ => late.push(frame),
                    }
                }
                for (epoch, number, mail) in under_way {
                    if there.heard(epoch, number) == Heard::Next {
                        read.push(mail);
                    }
                    let (epoch, next) = there.awaits();
                    if fates.next().unwrap_or(0) != 1 {
                        here.acknowledged(epoch, next, now);
                    }
                }
                now += AGAIN_AFTER;
                here.is_overdue(now);
            }
            prop_assert_eq!(read, (0..count).map(mail).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_later_run_begins_anew_and_an_earlier_one_is_over() {
        let mut link = Link::new(1, Instant::now());
        assert_eq!([link.heard(5, 0), link.heard(5, 1), link.heard(5, 1)], [Heard::Next, Heard::Next, Heard::Not]);
        assert_eq!([link.heard(6, 1), link.heard(6, 0), link.heard(5, 2)], [Heard::Not, Heard::Next, Heard::Not]);
        assert_eq!(link.awaits(), (6, 1));
    }

    #[test]
    fn what_nobody_acknowledges_has_a_bound() {
        let now = Instant::now();
        let mut link = Link::new(1, now);
        assert_eq!((0..MAX_UNACKED as u32 + 9).filter(|number| link.push(mail(*number))).count(), MAX_UNACKED);
        assert_eq!(link.unsent(now).len(), WINDOW);
        assert!(!link.wants_to_send() && link.unsent(now).is_empty());
        link.acknowledged(1, 10, now);
        assert_eq!(link.unsent(now).len(), 10);
        link.acknowledged(2, 99, now);
        assert_eq!(link.first, 10);
    }

    #[test]
    fn whoever_has_forgotten_the_run_gets_another() {
        let now = Instant::now();
        let (mut here, mut there) = (Link::new(5, now), Link::new(9, now));
        for number in 0..3 {
            here.push(mail(number));
        }
        for (epoch, number, _) in here.unsent(now).into_iter().take(2) {
            assert_eq!(there.heard(epoch, number), Heard::Next);
        }
        let (epoch, next) = there.awaits();
        here.acknowledged(epoch, next, now);
        there = Link::new(10, now);
        here.rewind();
        for (epoch, number, _) in here.unsent(now) {
            assert_eq!(there.heard(epoch, number), Heard::Not);
        }
        let (epoch, next) = there.awaits();
        here.acknowledged(epoch, next, now);
        let sent = here.unsent(now);
        assert_eq!(sent, [(6, 0, mail(2))]);
        assert_eq!(there.heard(6, 0), Heard::Next);
    }
}
