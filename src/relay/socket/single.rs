//! One datagram at a time, from the address that the system chooses: what every system can do, and right for a
//! socket that is bound to one address.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::atomic::AtomicBool,
};

use super::{Wait, for_socket};
use crate::{
    protocol::Transport,
    relay::{batch::Datagram, five_tuple::FiveTuple},
};

pub(in crate::relay) fn prepare(_: &UdpSocket, _: SocketAddr) -> io::Result<()> {
    Ok(())
}

/// What SO_REUSEPORT means differs between systems, so there is one socket and one thread.
#[cfg(not(target_os = "linux"))]
pub(in crate::relay) fn another(
    _: &UdpSocket,
    _: SocketAddr,
    _: impl FnOnce(&UdpSocket) -> io::Result<()>,
) -> io::Result<UdpSocket> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Has the thread that waits in [`Socket::receive`] return, by an empty datagram to itself.
pub(in crate::relay) fn wake(socket: &UdpSocket, bound: SocketAddr) {
    let loopback = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    // Where it does not arrive, the read timeout does the same, later.
    let _ = socket.send_to(&[], SocketAddr::new(loopback, bound.port()));
}

pub(in crate::relay) struct Socket {
    socket: UdpSocket,
    bound: SocketAddr,
    is_waiting: bool,
}

impl Socket {
    /// A socket that blocks.
    pub fn new(socket: UdpSocket, bound: SocketAddr) -> Self {
        Self { socket, bound, is_waiting: true }
    }

    /// Receives one datagram at most, and says how many it was.
    pub fn receive(&mut self, datagrams: &mut [Datagram], wait: Wait, _: &AtomicBool) -> io::Result<usize> {
        let Some(datagram) = datagrams.first_mut() else { return Ok(0) };
        let is_waiting = wait == Wait::Yes;
        if self.is_waiting != is_waiting {
            self.socket.set_nonblocking(!is_waiting)?;
            self.is_waiting = is_waiting;
        }
        let (length, client) = self.socket.recv_from(datagram.packet.room())?;
        datagram.packet.set_length(length);
        datagram.path = Some(FiveTuple::new(Transport::Udp, client, self.bound));
        Ok(1)
    }

    /// Sends each by its path. What cannot be sent is lost, as on any network.
    pub fn send(&mut self, datagrams: &[Datagram]) {
        for datagram in datagrams {
            if let Some(path) = &datagram.path {
                let to = for_socket(path.client(), self.bound.is_ipv6());
                let _ = self.socket.send_to(datagram.packet.bytes(), to);
            }
        }
    }
}
