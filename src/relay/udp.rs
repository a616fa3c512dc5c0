//! The UDP pump: one thread that receives, has each datagram handled, and sends.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use socket2::SockRef;

use super::{
    Action, Handle, batch,
    lane::Lane,
    pace::{Next, Pace},
    socket::{self, Socket, Wait},
};
use crate::{clock::Now, protocol::Transport};

/// How often what has expired is forgotten. Nothing but memory depends on it, so it is rare enough not to
/// wake an idle machine for nothing.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// The receive buffer that is asked for: what 1,500 calls send in 100 ms, should this thread not be run for
/// that long (a packet takes some 1,300 bytes of it, headers and bookkeeping included).
const RECEIVE_BUFFER: usize = 16 * 1024 * 1024;

/// After so many errors in a row, receiving pauses between tries: what is broken for good must not take a
/// whole core.
const ERRORS_IN_A_ROW: u32 = 16;
const ERROR_PAUSE: Duration = Duration::from_millis(50);

/// Sets a socket up for [`run`].
pub(super) fn prepare(socket: &UdpSocket) -> io::Result<()> {
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(SWEEP_INTERVAL))?;
    let options = SockRef::from(socket);
    // The system cuts this to its own limit (net.core.rmem_max), and we take what it gives.
    let _ = options.set_recv_buffer_size(RECEIVE_BUFFER);
    let bytes = options.recv_buffer_size()?;
    tracing::info!(bytes, "relay receive buffer");
    if let Err(error) = socket::prepare(socket) {
        let kind = error.kind();
        tracing::warn!(?kind, "the relay answers from the address that the system chooses");
    }
    Ok(())
}

/// Pumps datagrams until the relay is stopped. No error of a single datagram ends it.
pub(super) fn run(socket: UdpSocket, bound: SocketAddr, relay: &Handle) {
    let mut socket = Socket::new(socket, bound);
    let mut room = batch::room();
    let mut lane = Lane::new(Arc::clone(relay.counts()));
    let start = Instant::now();
    let mut pace = Pace::new(start);
    let mut next = Next::Block;
    let mut next_sweep = start + SWEEP_INTERVAL;
    let mut errors = 0;
    while !relay.is_stopped() {
        let wait = match next {
            Next::Block => Wait::Yes,
            Next::After(time) => {
                thread::sleep(time);
                Wait::No
            }
        };
        let count = match socket.receive(&mut room, wait) {
            Ok(count) => {
                errors = 0;
                count
            }
            Err(error) if is_timeout(&error) => 0,
            Err(error) => {
                errors += 1;
                if errors == ERRORS_IN_A_ROW {
                    tracing::warn!(kind = ?error.kind(), "the relay cannot receive");
                }
                if errors >= ERRORS_IN_A_ROW {
                    thread::sleep(ERROR_PAUSE);
                }
                0
            }
        };
        let now = Now::read();
        pace.received(now.instant, count);
        let batch = &mut room[..count];
        for datagram in &mut *batch {
            if let Some(from) = datagram.path {
                datagram.path = match lane.handle(now, &from, &mut datagram.packet, || relay.server()) {
                    Action::Forward(to) if to.transport() != Transport::Udp => {
                        relay.streams().push(&to, datagram.packet.bytes());
                        None
                    }
                    Action::Nothing => None,
                    Action::Reply => Some(from),
                    Action::Forward(to) => Some(to),
                };
            }
        }
        socket.send(batch);
        let done = Instant::now();
        next = pace.next(done, count);
        if done >= next_sweep {
            relay.server().sweep(now);
            lane.sweep(now.instant);
            next_sweep = done + SWEEP_INTERVAL;
        }
    }
}

/// Makes a waiting [`run`] look around, by an empty datagram to itself.
pub(super) fn wake(socket: &UdpSocket, address: SocketAddr) {
    let loopback = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    // Where it does not arrive, the read timeout does the same, later.
    let _ = socket.send_to(&[], SocketAddr::new(loopback, address.port()));
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
