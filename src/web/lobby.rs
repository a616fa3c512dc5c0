//! What a resume token leads to: the task of a visitor whose socket is lost, or the name of a visitor who has left
//! and is still kept apart from somebody, or whose place in the queue is kept.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use tokio::sync::mpsc;

use super::socket::Guest;
use crate::mailbox::VisitorId;
use crate::matchmaking::RECENT_FOR;
use crate::protocol::ResumeToken;
use crate::visitor::{Memory, PLACE_FOR};

/// Takes a socket over for the visitor it belongs to.
pub type Door = mpsc::Sender<Box<Guest>>;

/// Who a token belongs to.
#[derive(Debug)]
pub enum Owner {
    /// A visitor whose task runs.
    Here(Door),
    /// A visitor whose task has ended, and what is known of them.
    Gone(VisitorId, Memory),
}

/// For what a visitor who has left is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Somebody is not to meet them again yet, or may report them, or they somebody: for [`RECENT_FOR`].
    HasMet,
    /// Their place in the queue: for [`PLACE_FOR`].
    HasWaited,
}

impl Reason {
    fn lasts(self) -> Duration {
        match self {
            Self::HasMet => RECENT_FOR,
            Self::HasWaited => PLACE_FOR,
        }
    }
}

/// Every token that is good for something. Each is good once.
#[derive(Debug, Default)]
pub struct Lobby {
    owners: DashMap<ResumeToken, Owner>,
    /// Those of visitors who have left, for each reason in the order in which they lose their meaning.
    gone: [Mutex<VecDeque<(Instant, ResumeToken)>>; 2],
}

impl Lobby {
    /// Notes the token of a visitor whose task runs.
    pub fn put(&self, token: ResumeToken, door: Door) {
        self.owners.insert(token, Owner::Here(door));
    }

    /// Uses a token up.
    pub fn take(&self, token: &ResumeToken) -> Option<Owner> {
        self.owners.remove(token).map(|(_, owner)| owner)
    }

    /// Notes that a visitor has left but may come back while that means something, and drops those for whom it is over.
    pub fn leave(&self, token: ResumeToken, visitor: VisitorId, memory: Memory, reason: Reason, now: Instant) {
        self.owners.insert(token.clone(), Owner::Gone(visitor, memory));
        let mut gone = self.gone[reason as usize].lock().unwrap_or_else(PoisonError::into_inner);
        gone.push_back((now + reason.lasts(), token));
        drop(gone);
        self.fade(now);
    }

    /// Drops the tokens of those who have not come back.
    pub fn fade(&self, now: Instant) {
        for gone in &self.gone {
            let mut gone = gone.lock().unwrap_or_else(PoisonError::into_inner);
            while let Some((_, faded)) = gone.pop_front_if(|(until, _)| *until <= now) {
                self.owners.remove(&faded);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(digit: char) -> ResumeToken {
        ResumeToken::new(digit.to_string().repeat(32)).expect("a token")
    }

    #[test]
    fn a_token_is_good_once_and_not_for_ever() {
        let (lobby, now) = (Lobby::default(), Instant::now());
        let leave = |digit, number, reason, at| {
            lobby.leave(token(digit), VisitorId(number), Memory::default(), reason, at);
        };
        leave('a', 1, Reason::HasMet, now);
        assert!(matches!(lobby.take(&token('a')), Some(Owner::Gone(VisitorId(1), _))));
        assert!(lobby.take(&token('a')).is_none());
        leave('b', 2, Reason::HasMet, now);
        leave('c', 3, Reason::HasMet, now + RECENT_FOR - Duration::from_secs(1));
        assert_eq!(lobby.owners.len(), 2);
        leave('d', 4, Reason::HasMet, now + RECENT_FOR);
        assert!(lobby.take(&token('b')).is_none());
        assert!(lobby.take(&token('c')).is_some());
        assert_eq!(lobby.gone[0].lock().expect("no panic").len(), 2);
    }

    #[test]
    fn a_place_is_kept_for_less_long_than_a_meeting() {
        let (lobby, now) = (Lobby::default(), Instant::now());
        lobby.leave(token('a'), VisitorId(1), Memory::default(), Reason::HasMet, now);
        lobby.leave(token('b'), VisitorId(2), Memory::default(), Reason::HasWaited, now);
        lobby.fade(now + PLACE_FOR - Duration::from_secs(1));
        assert_eq!(lobby.owners.len(), 2);
        lobby.fade(now + PLACE_FOR);
        assert!(lobby.take(&token('b')).is_none() && lobby.take(&token('a')).is_some());
        assert!(lobby.gone[1].lock().expect("no panic").is_empty());
    }
}
