//! Hear yourself: the server's own caller as somebody's partner, for a moment before they talk with others.
//!
//! It is a side of a call like any other: [`crate::visitor`]'s rules, the relay's credentials, a description, the six
//! emoji, and every packet by way of the relay. Only its socket is left out, since it would lead back to this process.
//! [`crate::caller`] says again what it hears a second later, and keeps nothing besides. The matchmaker never
//! knows of it: whoever hears themself is in a call, and nobody can meet an echo.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::sleep_until;
use uuid::Uuid;

use crate::caller::signalling::{Inside, Signalling};
use crate::caller::{Caller, Options};
use crate::clock::Now;
use crate::guard::Pass;
use crate::mailbox::{Inbox, Mailbox, Match, TicketId, mailbox};
use crate::protocol::{CallId, ClientMessage, Relay, ServerMessage, Side, Transport};
use crate::relay;
use crate::visitor::{Effect, Input, Visitor};

/// How long one lasts at the most: 15 s in which a line comes up or does not, some 8 s that a page listens, and time to
/// come back over a line that was lost.
pub const AT_MOST: Duration = Duration::from_secs(30);

/// Begins a call between the visitor with this mailbox and a caller of our own; returns the visitor's half. It ends when
/// the visitor leaves, after [`AT_MOST`], or with `closing`; the pass is held until then.
pub fn start(
    relay: relay::Handle,
    closing: impl Future<Output = ()> + Send + 'static,
    pass: Pass,
    visitor: Mailbox,
) -> Match {
    let call = Uuid::new_v4();
    let (own, inbox) = mailbox();
    // The page makes the offer, and so every ICE restart: it knows first when its network has changed.
    let half = |side, mailbox| Match { call, side, offerer: side == Side::A, partner: None, mailbox, relay: None };
    let (theirs, ours) = (half(Side::A, own), half(Side::B, visitor));
    tokio::spawn(async move {
        let _pass = pass;
        run(relay, closing, ours, inbox).await;
    });
    theirs
}

async fn run(relay: relay::Handle, closing: impl Future<Output = ()>, matched: Match, mut inbox: Inbox) {
    let over = Instant::now() + AT_MOST;
    let (signalling, Inside { mut from, to }) = Signalling::inside(within_reach(relay.address()));
    let mut echo = Echo { rules: Visitor::default(), relay, to };
    let caller = Caller::inside(signalling, Options { echo: true, keep: 0, ..Options::default() });
    let talk = async {
        if let Ok(mut call) = caller.call(AT_MOST).await {
            call.ended().await;
        }
    };
    tokio::pin!(talk, closing);
    echo.put(Input::Echo(matched));
    loop {
        let due = echo.rules.deadline().map_or(over, |deadline| deadline.min(over));
        tokio::select! {
            Some(message) = from.recv() => echo.put(Input::Frame(message)),
            Some(mail) = inbox.next() => echo.put(Input::Mail(mail)),
            () = &mut talk => break,
            () = sleep_until(due.into()) => {
                if due == over { break }
                echo.put(Input::Deadline);
            }
            () = &mut closing => break,
        }
    }
    // What the visitor is told at the end is that their partner has left, as by any other end.
    echo.put(Input::Frame(ClientMessage::Leave {}));
}

/// The caller's side of a call, without a socket's task.
struct Echo {
    rules: Visitor,
    relay: relay::Handle,
    to: mpsc::Sender<ServerMessage>,
}

impl Echo {
    fn put(&mut self, input: Input) {
        let now = Now::read();
        // It never waits, so no ticket is asked for, and of the effects these alone can come.
        for effect in self.rules.handle(input, now, || TicketId(0)) {
            match effect {
                Effect::Send(frame) => self.tell(frame),
                Effect::Matched { call, side, offerer, .. } => self.tell(self.matched(call, side, offerer, now)),
                Effect::Tell(mailbox, mail) => {
                    mailbox.send(mail);
                }
                Effect::Revoke(call) => self.relay.revoke(call),
                _ => {}
            }
        }
    }

    fn matched(&self, call: CallId, side: Side, offerer: bool, now: Now) -> ServerMessage {
        let credentials = self.relay.mint(call, side, now.unix);
        let relay = Relay {
            host: None,
            transports: vec![Transport::Udp],
            username: credentials.username,
            credential: credentials.credential,
        };
        ServerMessage::Matched { call, side, offerer, relay, text_line: false }
    }

    /// A caller that does not read its frames has ended, or is about to.
    fn tell(&self, frame: ServerMessage) {
        let _ = self.to.try_send(frame);
    }
}

/// Where this process reaches what listens at this address. A dual-stack socket is reached by IPv4, also on a machine
/// that has no IPv6 address.
fn within_reach(address: SocketAddr) -> SocketAddr {
    let ip = if address.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { address.ip() };
    SocketAddr::new(ip, address.port())
}
