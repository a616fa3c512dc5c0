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
    use std::{io::IoSlice, os::fd::AsRawFd};

    use nix::sys::socket::{MsgFlags, SockaddrStorage, sendmsg};

    use super::source::Source;

    let is_v6 = bound.is_ipv6();
    let client = SockaddrStorage::from(for_socket(to.client(), is_v6));
    let source = Source::new(to.server().ip(), is_v6);
    let content = [IoSlice::new(bytes)];
    sendmsg(socket.as_raw_fd(), &content, &[source.message()], MsgFlags::MSG_DONTWAIT, Some(&client))?;
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
