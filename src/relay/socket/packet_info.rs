//! By IP_PKTINFO and its IPv6 twin (ip(7), ipv6(7)).

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket},
    os::fd::AsRawFd,
};

use nix::{
    cmsg_space,
    libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo},
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmsg, sendmmsg, setsockopt,
        sockopt,
    },
};

use super::{Received, for_socket};

/// Asks for the address that each datagram was sent to.
pub(in crate::relay) fn prepare(socket: &UdpSocket) -> io::Result<()> {
    if socket.local_addr()?.is_ipv6() {
        setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    } else {
        setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
    }
    Ok(())
}

pub(in crate::relay) struct Socket {
    socket: UdpSocket,
    bound: SocketAddr,
    received: Vec<u8>,
    headers: MultiHeaders<SockaddrStorage>,
}

impl Socket {
    /// A socket that has been prepared.
    pub fn new(socket: UdpSocket, bound: SocketAddr) -> Self {
        // To send, of the very length of the one message that goes along.
        let sent = if bound.is_ipv6() { cmsg_space!(in6_pktinfo) } else { cmsg_space!(in_pktinfo) };
        Self { socket, bound, received: cmsg_space!(in6_pktinfo), headers: MultiHeaders::preallocate(1, Some(sent)) }
    }

    /// Waits for a datagram.
    pub fn receive(&mut self, room: &mut [u8]) -> io::Result<Received> {
        let mut room = [IoSliceMut::new(room)];
        let control = Some(&mut self.received[..]);
        let received = recvmsg::<SockaddrStorage>(self.socket.as_raw_fd(), &mut room, control, MsgFlags::empty())?;
        let client = received.address.as_ref().and_then(plain);
        let client = client.ok_or(io::ErrorKind::InvalidData)?;
        let contacted = received.cmsgs()?.find_map(|message| match message {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                Some(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes()).into())
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into()),
            _ => None,
        });
        let contacted: IpAddr = contacted.unwrap_or(self.bound.ip());
        let server = SocketAddr::new(contacted, self.bound.port());
        Ok((received.bytes, client, server))
    }

    /// Sends to a client from the address of ours that it contacted. With `sendmmsg`, because that one takes
    /// its headers ready made: no allocation per datagram.
    pub fn send(&mut self, bytes: &[u8], client: SocketAddr, server: SocketAddr) -> io::Result<()> {
        let is_v6 = self.bound.is_ipv6();
        let to = Some(SockaddrStorage::from(for_socket(client, is_v6)));
        let (v4, v6) = match server.ip() {
            IpAddr::V4(ip) => (ip, ip.to_ipv6_mapped()),
            IpAddr::V6(ip) => (Ipv4Addr::UNSPECIFIED, ip),
        };
        let v4 = in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: in_addr { s_addr: u32::from_ne_bytes(v4.octets()) },
            ipi_addr: in_addr { s_addr: 0 },
        };
        let v6 = in6_pktinfo { ipi6_addr: in6_addr { s6_addr: v6.octets() }, ipi6_ifindex: 0 };
        let from = if is_v6 { ControlMessage::Ipv6PacketInfo(&v6) } else { ControlMessage::Ipv4PacketInfo(&v4) };
        sendmmsg(
            self.socket.as_raw_fd(),
            &mut self.headers,
            &[[IoSlice::new(bytes)]],
            [to],
            [from],
            MsgFlags::empty(),
        )?;
        Ok(())
    }
}

fn plain(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in();
    let v4 = v4.map(|address| SocketAddrV4::from(*address).into());
    v4.or_else(|| Some(SocketAddrV6::from(*address.as_sockaddr_in6()?).into()))
}
