//! The relay: a TURN server (RFC 8656) that cannot be misused, because it has nowhere to send to but the
//! partner.
//!
//! - Relayed addresses are names. No socket is opened for an allocation; its address is
//!   [`RELAYED_ADDRESS`](crate::protocol::RELAYED_ADDRESS) and a virtual port, and a payload goes from one
//!   client's 5-tuple to the partner's inside this process.
//! - Allocations belong to one side of one call, named by their credentials (`credentials`), and reach only
//!   those of the other side (`table`). Every other peer is refused, in `server/control` and once more in
//!   `server/forward`.
//! - Strangers get little: stateless nonces (`nonce`), a budget of answers (`budget`), no state.
//! - Callers get what voice needs (`bucket`, and the limits in `allocation` and `table`); `counts` has what was more.
//!
//! `server` is the rules, a state machine without I/O. `udp` is the thread that pumps datagrams through it, by the
//! `batch` and at a `pace` of its own; `tcp` the task that each connection has for itself. Either has a `lane` that
//! remembers each `route` a payload has gone; a packet goes from one kind of client to the other through `streams`.
//! `message` and `data` are the two halves of the wire: what the relay answers, and what it passes on.

mod allocation;
mod batch;
mod bucket;
mod budget;
mod counts;
mod credentials;
mod data;
mod five_tuple;
mod framing;
mod lane;
mod message;
mod nonce;
mod outbox;
mod pace;
mod packet;
mod random;
mod route;
mod server;
mod socket;
mod streams;
mod table;
mod tcp;
mod udp;

#[cfg(test)]
mod testing;

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use self::streams::Streams;
pub use self::{
    counts::{Count, Counts},
    credentials::{Credentials, REALM, Secret, VALIDITY},
    five_tuple::FiveTuple,
    framing::{Decoder, Malformed},
    packet::{MAX_DATAGRAM, Packet},
    server::{Action, Server},
};
use crate::{
    clock::Now,
    protocol::{CallId, Side},
};

/// Starts to relay on a bound socket, in a thread of its own that ends after [`Handle::stop`]. The socket
/// may be dual-stack.
///
/// # Errors
///
/// When there is no randomness to be had, or the socket or the thread cannot be set up.
pub fn start(socket: UdpSocket, secret: Secret) -> io::Result<(Handle, JoinHandle<()>)> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let bound = socket.local_addr()?;
    let server = Server::new(secret.clone(), seed, Now::read());
    let handle = Handle(Arc::new(Shared {
        counts: Arc::clone(server.counts()),
        server: Mutex::new(server),
        secret,
        stopped: AtomicBool::new(false),
        streams: Streams::default(),
        address: bound,
        waker: socket.try_clone()?,
    }));
    udp::prepare(&socket)?;
    let relay = handle.clone();
    let thread = thread::Builder::new().name("relay".to_owned()).spawn(move || udp::run(socket, bound, &relay))?;
    Ok((handle, thread))
}

/// A running relay, for those who match and end calls. Clones are the same relay.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

struct Shared {
    /// Held for one datagram at a time, and only for those that no thread remembers a route for; and for a moment
    /// by `revoke`, once a call. Nobody waits.
    server: Mutex<Server>,
    counts: Arc<Counts>,
    secret: Secret,
    stopped: AtomicBool,
    /// The clients that came by TCP.
    streams: Streams,
    address: SocketAddr,
    waker: UdpSocket,
}

impl Handle {
    /// Credentials for one side of a call, good for [`VALIDITY`] seconds from `unix` on.
    pub fn mint(&self, call: CallId, side: Side, unix: u64) -> Credentials {
        self.0.secret.mint(call, side, unix)
    }

    /// Ends a call. Nothing that comes after this has returned is forwarded for it, and its credentials are
    /// worth nothing. Blocks for microseconds, so it can be called from a task.
    pub fn revoke(&self, call: CallId) {
        self.server().revoke(Now::read(), call);
    }

    /// How often each limit was hit.
    pub fn counts(&self) -> &Arc<Counts> {
        &self.0.counts
    }

    /// Stops relaying and closes every TCP connection; the thread ends at once, or when it next looks around (a few
    /// seconds) where even
    /// loopback does not get through.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::Release);
        self.0.streams.close();
        udp::wake(&self.0.waker, self.0.address);
    }

    fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::Acquire)
    }

    fn streams(&self) -> &Streams {
        &self.0.streams
    }

    /// A panic in the relay's thread is a bug, but none of those who end calls: they go on.
    fn server(&self) -> MutexGuard<'_, Server> {
        self.0.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
