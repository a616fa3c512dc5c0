//! The relay: a TURN server (RFC 8656) that cannot be misused, because it has nowhere to send to but the
//! partner.
//!
//! - Relayed addresses are names. No socket is opened for an allocation; its address is
//!   [`RELAYED_ADDRESS`](crate::protocol::RELAYED_ADDRESS) and a virtual port, and a payload goes from one
//!   client's 5-tuple to the partner's inside this process.
//! - Allocations belong to one side of one call, named by their credentials (`credentials`), and reach only
//!   those of the other side (`table`). Every other peer is refused, in `server/control` and once more in
//!   `server/way`.
//! - Strangers get little: stateless nonces (`nonce`), a budget of answers (`budget`), no state.
//! - Callers get what voice needs (`bucket`, and the limits in `allocation` and `table`); `counts` has what was more.
//!
//! `server` is the rules, a state machine without I/O. `udp` is what a thread does that pumps datagrams through it, by
//! the `batch` and at a `pace` of its own; there is one, and `crew` adds another when its `load` is too much. `tcp` is
//! the task that each connection has for itself, and `stays` the one that each client by UDP has once the port has gone to
//! the next server. Each has a `lane` that remembers each `route` a payload has gone; a
//! packet goes from one kind of client to the other through `streams`.
//! `message` and `data` are the two halves of the wire: what the relay answers, and what it passes on.

mod allocation;
mod batch;
mod bucket;
mod budget;
mod counts;
mod credentials;
mod crew;
mod data;
mod five_tuple;
mod framing;
mod lane;
mod load;
mod message;
mod nonce;
mod outbox;
mod pace;
mod packet;
mod random;
mod route;
mod server;
mod socket;
mod stays;
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
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

pub use self::{
    counts::{Count, Counts},
    credentials::{Credentials, REALM, Secret, VALIDITY},
    crew::Threads,
    five_tuple::FiveTuple,
    framing::{Decoder, Malformed},
    lane::Lane,
    packet::{MAX_DATAGRAM, Packet},
    server::{Action, Server},
};
use self::{
    crew::{Crew, Terms},
    stays::Stays,
    streams::Streams,
};
use crate::{
    clock::Now,
    protocol::{CallId, Side},
};

/// Starts to relay on a bound socket, which may be dual-stack: in a thread of its own, and in more of them when one is
/// full. They end after [`Handle::stop`].
///
/// # Errors
///
/// When there is no randomness to be had, or the socket or the thread cannot be set up.
pub fn start(socket: UdpSocket, secret: Secret) -> io::Result<(Handle, Threads)> {
    start_on(vec![socket], secret)
}

/// Starts on a socket that is to go to the next server once ([`Handle::hand_over`]), if `hands_over`. Then there is one
/// thread: what lets the next server wait gives everything to one socket.
///
/// # Errors
///
/// As [`start`].
pub fn start_as(socket: UdpSocket, secret: Secret, hands_over: bool) -> io::Result<(Handle, Threads)> {
    let terms = Terms::of_machine();
    let most = if hands_over { 1 } else { terms.most };
    start_with(vec![socket], secret, Terms { most, ..terms })
}

/// Starts with as many threads as there are sockets, all bound to one address by SO_REUSEPORT: as if the relay had been
/// full already.
///
/// # Errors
///
/// As [`start`], and when there is no socket or they are not at one address.
pub fn start_on(sockets: Vec<UdpSocket>, secret: Secret) -> io::Result<(Handle, Threads)> {
    start_with(sockets, secret, Terms::of_machine())
}

fn start_with(sockets: Vec<UdpSocket>, secret: Secret, terms: Terms) -> io::Result<(Handle, Threads)> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let first = sockets.first().ok_or(io::ErrorKind::InvalidInput)?;
    let address = first.local_addr()?;
    let server = Server::new(secret.clone(), seed, Now::read());
    let handle = Handle(Arc::new(Shared {
        counts: Arc::clone(server.counts()),
        server: Mutex::new(server),
        secret,
        stopped: AtomicBool::new(false),
        streams: Streams::default(),
        address,
        socket: RwLock::new(Some(Arc::new(first.try_clone()?))),
        crew: Crew::new(terms),
        stays: Stays::default(),
    }));
    for socket in &sockets {
        if socket.local_addr()? != address {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        udp::prepare(socket, address)?;
    }
    for socket in sockets {
        if let Err(error) = handle.start_thread(socket) {
            handle.stop();
            return Err(error);
        }
    }
    Ok((handle.clone(), Threads(handle)))
}

/// A running relay, for those who match and end calls. Clones are the same relay.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

struct Shared {
    /// Held for one datagram at a time, and only for those that no thread remembers a route for; and for a moment
    /// by `revoke`, once a call. Nobody waits for longer than that.
    server: Mutex<Server>,
    counts: Arc<Counts>,
    secret: Secret,
    stopped: AtomicBool,
    /// The clients that came by TCP.
    streams: Streams,
    address: SocketAddr,
    /// The first thread's, for those who are none; or that of somebody who has stayed.
    socket: RwLock<Option<Arc<UdpSocket>>>,
    crew: Crew,
    stays: Stays,
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

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// How often each limit was hit.
    pub fn counts(&self) -> &Arc<Counts> {
        &self.0.counts
    }

    /// Stops relaying and closes every TCP connection; the threads end at once, or when they next look around (a few
    /// seconds) where they cannot be woken.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::Release);
        self.0.streams.close();
        self.0.stays.end();
        self.end_threads();
    }

    fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::Acquire)
    }

    /// A socket to send on.
    fn socket(&self) -> Option<Arc<UdpSocket>> {
        self.0.socket.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn streams(&self) -> &Streams {
        &self.0.streams
    }

    /// A panic in a thread of the relay's is a bug, but none of those who end calls: they go on.
    fn server(&self) -> MutexGuard<'_, Server> {
        self.0.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
