//! A UDP socket that receives and sends by the batch, and that answers from the address of this machine that a
//! datagram was sent to.
//!
//! A socket bound to every address would leave that choice to the system, which takes the address that lies
//! nearest to the client. A client that has contacted another one (a browser its own 127.0.0.1 from a socket on
//! its network's address, a machine with two uplinks) takes such an answer for a stranger's.

#[cfg(target_os = "linux")]
mod many;
mod one;
#[cfg(any(test, not(target_os = "linux")))]
mod single;
#[cfg(target_os = "linux")]
mod source;

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
};

use socket2::{Domain, Protocol, Type};

use super::five_tuple::FiveTuple;

#[cfg(target_os = "linux")]
pub(super) use many::{Socket, another, prepare, wake};
pub(super) use one::send_one;
#[cfg(not(target_os = "linux"))]
pub(super) use single::{Socket, another, prepare, wake};

/// Whether to receive what there is, or to wait until there is something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    No,
    Yes,
}

/// A socket at the address that this client has contacted, which gets what it sends. The address is `bound` to others as
/// well, all by SO_REUSEADDR.
pub(super) fn connected(bound: SocketAddr, client: &FiveTuple) -> io::Result<UdpSocket> {
    let domain = Domain::for_address(bound);
    let socket = socket2::Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    // What comes from others in between is for whoever binds most exactly, which is this one: it has to be handled.
    socket.bind(&for_socket(client.server(), bound.is_ipv6()).into())?;
    socket.connect(&for_socket(client.client(), bound.is_ipv6()).into())?;
    Ok(socket.into())
}

/// A dual-stack socket takes IPv4 addresses as `::ffff:…` only.
fn for_socket(address: SocketAddr, is_v6: bool) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if is_v6 => (ip.to_ipv6_mapped(), address.port()).into(),
        _ => address,
    }
}

#[cfg(test)]
mod tests;
