//! How one visitor's task is told something by another: a bounded queue and two decided failures.

use std::fmt;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::protocol::{CallId, Description, EndReason, Port, Pwd, Side, Transport, Ufrag};

/// How many mails may lie unread. A whole call set-up is under twenty; whoever has this many unread has
/// stopped reading.
pub const CAPACITY: usize = 64;

/// How much of it is kept free for what a visitor must not miss: a match, and that the partner is gone.
const RESERVED: usize = 8;

/// Names one visitor for as long as its task lives, never longer and never outside the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VisitorId(pub u64);

/// What a visitor's network is known by, so that somebody can be kept away who has reloaded the page: marks by the key of
/// this epoch and of the one before (see [`crate::guard`]). Leads back to no address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Whence {
    /// IPv4 /32, IPv6 /64.
    pub network: [u64; 2],
    /// IPv4 /32, IPv6 /48.
    pub site: [u64; 2],
}

impl Whence {
    /// Whether both are of one network.
    pub fn is_near(&self, other: &Self) -> bool {
        self.network.iter().any(|network| other.network.contains(network))
    }
}

impl fmt::Debug for Whence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Whence(…)")
    }
}

/// Somebody whom another is not to meet again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Person {
    /// By this they are known as long as the page's memory lasts.
    pub visitor: VisitorId,
    /// And by this after it.
    pub whence: Option<Whence>,
}

/// Names one wait in the queue. Increasing, so that it also settles who came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TicketId(pub u64);

/// What one visitor's task is told by the matchmaker or by its partner's task.
#[derive(Debug, Clone)]
pub enum Mail {
    /// The matchmaker has paired this visitor, whose wait this was; one that has moved on refuses it.
    Matched(TicketId, Match),
    /// The partner's description.
    Describe {
        /// The call it belongs to.
        call: CallId,
        /// As the partner sent it.
        description: Description,
    },
    /// One of the partner's candidates.
    Candidate {
        /// The call it belongs to.
        call: CallId,
        /// Its virtual port.
        port: Port,
    },
    /// The partner's new ICE credentials.
    Restart {
        /// The call it belongs to.
        call: CallId,
        /// The new username fragment.
        ufrag: Ufrag,
        /// The new password.
        pwd: Pwd,
    },
    /// The partner is out of the call.
    Gone {
        /// The call it belongs to.
        call: CallId,
        /// As the partner's side knows it.
        why: EndReason,
    },
    /// The partner's machine cannot be reached, so that there will be no description. A call that has begun goes on.
    Unreachable {
        /// The call it belongs to.
        call: CallId,
    },
}

/// One side's half of a match.
#[derive(Debug, Clone)]
pub struct Match {
    /// The new call.
    pub call: CallId,
    /// This side.
    pub side: Side,
    /// Whether this side makes the offer.
    pub offerer: bool,
    /// Who the partner is, so that the two can be kept apart afterwards; none where it is the server's own caller.
    pub partner: Option<Person>,
    /// Where the partner can be told something.
    pub mailbox: Mailbox,
    /// Where the call's relay is, for both sides alike; nothing where it is this process's.
    pub relay: Option<RelayAt>,
}

/// The relay of one machine among several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayAt {
    /// Host and perhaps port, as it goes into a TURN URI.
    pub host: String,
    /// How it can be reached, the best way first.
    pub transports: Vec<Transport>,
}

/// The sending end of a visitor's mailbox.
#[derive(Clone)]
pub struct Mailbox(Way);

#[derive(Clone)]
enum Way {
    /// Boxed, because tokio's channels come with room for 32 things, and most visitors wait and have no mail.
    Here(mpsc::Sender<Box<Mail>>),
    /// By another machine.
    Elsewhere(Arc<dyn Fn(Mail) -> bool + Send + Sync>),
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailbox(…)")
    }
}

/// The receiving end.
#[derive(Debug)]
pub struct Inbox(mpsc::Receiver<Box<Mail>>);

/// Makes a mailbox with its two ends.
pub fn mailbox() -> (Mailbox, Inbox) {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    (Mailbox(Way::Here(sender)), Inbox(receiver))
}

impl Mailbox {
    /// The mailbox of a visitor of another machine: where mail for it goes, and whether that can be sent.
    pub fn elsewhere(post: impl Fn(Mail) -> bool + Send + Sync + 'static) -> Self {
        Self(Way::Elsewhere(Arc::new(post)))
    }

    /// Puts a mail in, without waiting. False when nobody will read it: the visitor is gone, or has not read for so long
    /// that there is no room, and its socket's write deadline is about to end it. What the partner says of the call then
    /// is lost with the call; there is still room for its end.
    pub fn send(&self, mail: Mail) -> bool {
        let sender = match &self.0 {
            Way::Here(sender) => sender,
            Way::Elsewhere(post) => return post(mail),
        };
        let must_arrive = matches!(mail, Mail::Matched(..) | Mail::Gone { .. } | Mail::Unreachable { .. });
        (must_arrive || sender.capacity() > RESERVED) && sender.try_send(Box::new(mail)).is_ok()
    }
}

impl Inbox {
    /// The next mail. Never ends while a [`Mailbox`] exists; cancel-safe.
    pub async fn next(&mut self) -> Option<Mail> {
        self.0.recv().await.map(|mail| *mail)
    }

    /// The next mail, if there is one already.
    pub fn try_next(&mut self) -> Option<Mail> {
        self.0.try_recv().ok().map(|mail| *mail)
    }

    /// Closes the box, so that no more can be put in, and returns what lies unread.
    pub fn close(&mut self) -> Vec<Mail> {
        self.0.close();
        std::iter::from_fn(|| self.try_next()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_box_still_takes_the_end_of_a_call() {
        let (mailbox, mut inbox) = mailbox();
        let call = CallId::nil();
        let port = Port::new(50_000_u16).expect("a port");
        let sent = (0..CAPACITY).take_while(|_| mailbox.send(Mail::Candidate { call, port: port.clone() })).count();
        assert_eq!(sent, CAPACITY - RESERVED);
        assert!(mailbox.send(Mail::Gone { call, why: EndReason::Left }));
        assert!(matches!(inbox.close().last(), Some(Mail::Gone { .. })));
        assert!(!mailbox.send(Mail::Gone { call, why: EndReason::Left }));
    }
}
