//! The UDP pump: what each of the relay's threads does, which is to receive, have each datagram handled, and send.

use std::{
    io::{self, ErrorKind},
    net::{SocketAddr, UdpSocket},
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use socket2::SockRef;

use super::{
    Action, Handle, batch,
    lane::Lane,
    load::{self, Load},
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

/// After so many errors in a row, receiving pauses between tries: what is broken must not take a whole core.
const ERRORS_IN_A_ROW: u32 = 16;
const ERROR_PAUSE: Duration = Duration::from_millis(50);

/// After so many, some five seconds of them, it is broken for good.
const TOO_MANY_ERRORS: u32 = ERRORS_IN_A_ROW + 100;

/// Sets a socket up for [`run`]. `bound` is where it is, or will be.
pub(super) fn prepare(socket: &UdpSocket, bound: SocketAddr) -> io::Result<()> {
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(SWEEP_INTERVAL))?;
    let options = SockRef::from(socket);
    // The system cuts this to its own limit (net.core.rmem_max), and we take what it gives.
    let _ = options.set_recv_buffer_size(RECEIVE_BUFFER);
    let bytes = options.recv_buffer_size()?;
    tracing::info!(bytes, "relay receive buffer");
    if let Err(error) = socket::prepare(socket, bound) {
        let kind = error.kind();
        tracing::warn!(?kind, "the relay answers from the address that the system chooses");
    }
    Ok(())
}

/// Pumps datagrams until the threads are to end. No error of a single datagram ends it. `is_first` among the relay's
/// threads.
///
/// # Errors
///
/// When nothing can be received any more.
pub(super) fn run(socket: UdpSocket, bound: SocketAddr, relay: &Handle, is_first: bool) -> io::Result<()> {
    let mut socket = Socket::new(socket, bound);
    let mut room = batch::room();
    let mut lane = Lane::new(Arc::clone(relay.counts()));
    let start = Instant::now();
    let mut pace = Pace::new(start);
    let mut next = Next::Block;
    let mut next_sweep = start + SWEEP_INTERVAL;
    let mut load = Load::new(start, relay.cpu());
    let mut next_look = start + load::LOOK_EVERY;
    let mut errors = 0;
    while !relay.crew_is_over().load(Ordering::Acquire) {
        let wait = match next {
            Next::Block => Wait::Yes,
            Next::After(time) => {
                thread::sleep(time);
                Wait::No
            }
        };
        let count = match socket.receive(&mut room, wait, relay.crew_is_over()) {
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
                if errors >= TOO_MANY_ERRORS {
                    return Err(error);
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
            if is_first {
                relay.server().sweep(now);
            }
            lane.sweep(now.instant);
            next_sweep = done + SWEEP_INTERVAL;
        }
        if done >= next_look {
            if load.is_full(done, relay.cpu(), relay.threads()) {
                relay.add_thread();
            }
            next_look = done + load::LOOK_EVERY;
        }
    }
    Ok(())
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
