//! Where the system chooses the address that answers come from: right for a socket that is bound to one.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
};

use super::{Received, for_socket};

pub(in crate::relay) fn prepare(_: &UdpSocket) -> io::Result<()> {
    Ok(())
}

pub(in crate::relay) struct Socket {
    socket: UdpSocket,
    bound: SocketAddr,
}

impl Socket {
    pub fn new(socket: UdpSocket, bound: SocketAddr) -> Self {
        Self { socket, bound }
    }

    pub fn receive(&mut self, room: &mut [u8]) -> io::Result<Received> {
        let (length, client) = self.socket.recv_from(room)?;
        Ok((length, client, self.bound))
    }

    pub fn send(&mut self, bytes: &[u8], client: SocketAddr, _: SocketAddr) -> io::Result<()> {
        let to = for_socket(client, self.bound.is_ipv6());
        self.socket.send_to(bytes, to)?;
        Ok(())
    }
}
