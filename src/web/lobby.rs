//! What a resume token leads to: the task of a visitor whose socket is lost, or the name of a visitor who has left
//! and is still kept apart from somebody.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use dashmap::DashMap;
use tokio::sync::mpsc;

use super::socket::Guest;
use crate::mailbox::VisitorId;
use crate::matchmaking::RECENT_FOR;
use crate::protocol::ResumeToken;
use crate::visitor::Past;

/// Takes a socket over for the visitor it belongs to.
pub type Door = mpsc::Sender<Box<Guest>>;

/// Who a token belongs to.
#[derive(Debug)]
pub enum Owner {
    /// A visitor whose task runs.
    Here(Door),
    /// A visitor whose task has ended, and whom they can still report.
    Gone(VisitorId, Past),
}

/// Every token that is good for something. Each is good once.
#[derive(Debug, Default)]
pub struct Lobby {
    owners: DashMap<ResumeToken, Owner>,
    /// Those of visitors who have left, in the order in which they lose their meaning.
    gone: Mutex<VecDeque<(Instant, ResumeToken)>>,
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

    /// Notes that a visitor has left but may come back before what keeps it apart from somebody has faded, and drops
    /// those for whom it has.
    pub fn leave(&self, token: ResumeToken, visitor: VisitorId, past: Past, now: Instant) {
        self.owners.insert(token.clone(), Owner::Gone(visitor, past));
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        gone.push_back((now + RECENT_FOR, token));
        drop(gone);
        self.fade(now);
    }

    /// Drops the tokens of those who have not come back.
    pub fn fade(&self, now: Instant) {
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((_, faded)) = gone.pop_front_if(|(until, _)| *until <= now) {
            self.owners.remove(&faded);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn token(digit: char) -> ResumeToken {
        ResumeToken::new(digit.to_string().repeat(32)).expect("a token")
    }

    #[test]
    fn a_token_is_good_once_and_not_for_ever() {
        let (lobby, now) = (Lobby::default(), Instant::now());
        lobby.leave(token('a'), VisitorId(1), Past::default(), now);
        assert!(matches!(lobby.take(&token('a')), Some(Owner::Gone(VisitorId(1), _))));
        assert!(lobby.take(&token('a')).is_none());
        lobby.leave(token('b'), VisitorId(2), Past::default(), now);
        lobby.leave(token('c'), VisitorId(3), Past::default(), now + RECENT_FOR - Duration::from_secs(1));
        assert_eq!(lobby.owners.len(), 2);
        lobby.leave(token('d'), VisitorId(4), Past::default(), now + RECENT_FOR);
        assert!(lobby.take(&token('b')).is_none());
        assert!(lobby.take(&token('c')).is_some());
        assert_eq!(lobby.gone.lock().expect("no panic").len(), 2);
    }
}
