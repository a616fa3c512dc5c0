//! A UDP socket that knows which of this machine's addresses a datagram was sent to, and answers from it.
//!
//! A socket bound to every address would leave the choice to the system, which takes the address that lies
//! nearest to the client. A client that has contacted another one (a browser its own 127.0.0.1 from a socket on
//! its network's address, a machine with two uplinks) takes such an answer for a stranger's.

mod one;
#[cfg(target_os = "linux")]
mod packet_info;
#[cfg(not(target_os = "linux"))]
mod plain;

use std::net::{IpAddr, SocketAddr};

pub(super) use one::send_one;
#[cfg(target_os = "linux")]
pub(super) use packet_info::{Socket, prepare};
#[cfg(not(target_os = "linux"))]
pub(super) use plain::{Socket, prepare};

/// The length of a datagram, where it came from, and the address of ours that it was sent to.
pub(super) type Received = (usize, SocketAddr, SocketAddr);

/// A dual-stack socket takes IPv4 addresses as `::ffff:…` only.
fn for_socket(address: SocketAddr, is_v6: bool) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if is_v6 => (ip.to_ipv6_mapped(), address.port()).into(),
        _ => address,
    }
}
