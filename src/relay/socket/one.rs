//! One datagram from any thread: for what came by TCP and leaves by UDP.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
};

use super::for_socket;
use crate::relay::five_tuple::FiveTuple;

/// Sends on the relay's socket, from the address of ours that the client contacted. Does not wait for room in the
/// socket's buffer.
#[cfg(target_os = "linux")]
pub(in crate::relay) fn send_one(
    socket: &UdpSocket,
    bound: SocketAddr,
    bytes: &[u8],
    to: &FiveTuple,
) -> io::Result<()> {
    use std::{io::IoSlice, net::IpAddr, os::fd::AsRawFd};

    use nix::{
        libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo},
        sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg},
    };

    let is_v6 = bound.is_ipv6();
    let client = SockaddrStorage::from(for_socket(to.client(), is_v6));
    let (fd, content, flags) = (socket.as_raw_fd(), [IoSlice::new(bytes)], MsgFlags::MSG_DONTWAIT);
    match (to.server().ip(), is_v6) {
        (IpAddr::V4(ip), false) => {
            let info = in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: in_addr { s_addr: u32::from_ne_bytes(ip.octets()) },
                ipi_addr: in_addr { s_addr: 0 },
            };
            sendmsg(fd, &content, &[ControlMessage::Ipv4PacketInfo(&info)], flags, Some(&client))?;
        }
        (ip, _) => {
            let octets = match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            let info = in6_pktinfo { ipi6_addr: in6_addr { s6_addr: octets }, ipi6_ifindex: 0 };
            sendmsg(fd, &content, &[ControlMessage::Ipv6PacketInfo(&info)], flags, Some(&client))?;
        }
    }
    Ok(())
}

/// Sends on the relay's socket, from the address that the system chooses.
#[cfg(not(target_os = "linux"))]
pub(in crate::relay) fn send_one(
    socket: &UdpSocket,
    bound: SocketAddr,
    bytes: &[u8],
    to: &FiveTuple,
) -> io::Result<()> {
    socket.send_to(bytes, for_socket(to.client(), bound.is_ipv6()))?;
    Ok(())
}
