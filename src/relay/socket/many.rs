//! By recvmmsg and sendmmsg, and on a socket that is bound to every address by IP_PKTINFO and its IPv6 twin
//! (ip(7), ipv6(7)).

use std::{
    array,
    io::{self, IoSlice, IoSliceMut},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket},
    os::fd::AsRawFd,
    sync::atomic::{AtomicBool, Ordering},
};

use nix::{
    cmsg_space,
    libc::{in_pktinfo, in6_pktinfo},
    sys::socket::{
        ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, Shutdown, SockaddrStorage, getsockopt, recvmmsg,
        sendmmsg, setsockopt, shutdown, sockopt,
    },
};
use socket2::{Domain, Protocol, SockRef, Type};

use super::{Wait, for_socket, source::Source};
use crate::{
    protocol::Transport,
    relay::{
        batch::{BATCH, Datagram},
        five_tuple::FiveTuple,
    },
};

/// Asks for the address that each datagram was sent to, where there are several. `bound` is where the socket is, or
/// will be.
pub(in crate::relay) fn prepare(socket: &UdpSocket, bound: SocketAddr) -> io::Result<()> {
    match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
        IpAddr::V6(ip) if ip.is_unspecified() => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?,
        _ => {}
    }
    Ok(())
}

/// Makes another socket for the address where the first one is, `prepare`s it, and binds it: from then on the system
/// gives each client to one of them, by a hash of addresses and ports that nobody outside knows (SO_REUSEPORT,
/// socket(7)).
///
/// A first one that is alone has its address to itself: a second server that is started by mistake cannot take half of
/// its clients, nor can any other program of the same user. So it gets the option only now, when it needs company. (The
/// manual wants it before the bind; the kernel's `reuseport_add_sock` makes a group of two then as well.)
pub(in crate::relay) fn another(
    first: &UdpSocket,
    bound: SocketAddr,
    prepare: impl FnOnce(&UdpSocket) -> io::Result<()>,
) -> io::Result<UdpSocket> {
    let domain = Domain::for_address(bound);
    let socket = socket2::Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(SockRef::from(first).only_v6()?)?;
    }
    let socket = UdpSocket::from(socket);
    // Before it is bound: what comes is then marked by these options.
    prepare(&socket)?;
    let was_alone = !getsockopt(first, sockopt::ReusePort)?;
    setsockopt(first, sockopt::ReusePort, &true)?;
    setsockopt(&socket, sockopt::ReusePort, &true)?;
    let done = SockRef::from(&socket).bind(&bound.into());
    if done.is_err() && was_alone {
        setsockopt(first, sockopt::ReusePort, &false)?;
    }
    done.map(|()| socket)
}

/// Has the thread that waits in [`Socket::receive`] return. The socket receives nothing more.
pub(in crate::relay) fn wake(socket: &UdpSocket, _: SocketAddr) {
    // Said to fail, since it is not connected; those who wait are woken all the same.
    let _ = shutdown(socket.as_raw_fd(), Shutdown::Read);
}

pub(in crate::relay) struct Socket {
    socket: UdpSocket,
    bound: SocketAddr,
    received: MultiHeaders<SockaddrStorage>,
    sent: MultiHeaders<SockaddrStorage>,
    /// Which datagrams of a batch are to be sent, and where to.
    order: Vec<usize>,
    addresses: Vec<Option<SockaddrStorage>>,
}

impl Socket {
    /// A socket that has been prepared.
    pub fn new(socket: UdpSocket, bound: SocketAddr) -> Self {
        // To send, of the very length of the one message that goes along.
        let source = match bound.ip() {
            ip if !ip.is_unspecified() => None,
            IpAddr::V4(_) => Some(cmsg_space!(in_pktinfo)),
            IpAddr::V6(_) => Some(cmsg_space!(in6_pktinfo)),
        };
        Self {
            socket,
            bound,
            received: received_headers(bound),
            sent: MultiHeaders::preallocate(BATCH, source),
            order: Vec::with_capacity(BATCH),
            addresses: Vec::with_capacity(BATCH),
        }
    }

    /// Receives what there is, or waits for one, and says how many they are: none once it is `stopped`.
    pub fn receive(&mut self, datagrams: &mut [Datagram], wait: Wait, stopped: &AtomicBool) -> io::Result<usize> {
        let flags = match wait {
            Wait::Yes => MsgFlags::MSG_WAITFORONE,
            Wait::No => MsgFlags::MSG_DONTWAIT,
        };
        let mut came = [(0, None); BATCH];
        let mut count = 0;
        let mut is_whole = true;
        {
            let mut rooms = datagrams.iter_mut().map(|datagram| datagram.packet.room());
            let mut rooms: [_; BATCH] = array::from_fn(|_| [IoSliceMut::new(rooms.next().unwrap_or_default())]);
            let received = recvmmsg(self.socket.as_raw_fd(), &mut self.received, &mut rooms, flags, None)?;
            if stopped.load(Ordering::Acquire) {
                // What woke it is no datagram, and has no address to be read.
                return Ok(0);
            }
            for (came, message) in came.iter_mut().zip(received) {
                let contacted = contacted(&message, self.bound);
                is_whole &= contacted.is_some();
                *came = (message.bytes, path(&message, contacted.unwrap_or(self.bound)));
                count += 1;
            }
        }
        for (datagram, (length, path)) in datagrams.iter_mut().zip(came).take(count) {
            datagram.packet.set_length(length);
            datagram.path = path;
        }
        if !is_whole {
            // A header that has come back without the address would have no room for the next one's.
            self.received = received_headers(self.bound);
        }
        Ok(count)
    }

    /// Sends each by its path: to a client, from the address of ours that it has contacted. What cannot be sent is
    /// lost, as on any network.
    pub fn send(&mut self, datagrams: &[Datagram]) {
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        order.extend((0..datagrams.len()).filter(|index| datagrams[*index].path.is_some()));
        let source = |index: &usize| datagrams[*index].path.map(|path| path.server().ip());
        if self.bound.ip().is_unspecified() {
            // One call sends from one address, and two clients have seldom contacted different ones.
            if !order.is_sorted_by_key(source) {
                order.sort_unstable_by_key(|index| (source(index), *index));
            }
            for same in order.chunk_by(|one, other| source(one) == source(other)) {
                self.send_from(same.first().and_then(source), datagrams, same);
            }
        } else {
            self.send_from(None, datagrams, &order);
        }
        self.order = order;
    }

    fn send_from(&mut self, source: Option<IpAddr>, datagrams: &[Datagram], order: &[usize]) {
        let is_v6 = self.bound.is_ipv6();
        self.addresses.clear();
        let paths = order.iter().filter_map(|index| datagrams[*index].path);
        self.addresses.extend(paths.map(|path| Some(for_socket(path.client(), is_v6).into())));
        let mut contents = order.iter().map(|index| datagrams[*index].packet.bytes());
        let contents: [_; BATCH] = array::from_fn(|_| [IoSlice::new(contents.next().unwrap_or_default())]);

        let source = source.map(|ip| Source::new(ip, is_v6));
        let control = source.as_ref().map(Source::message);

        let mut done = 0;
        while done < order.len() {
            let contents = contents[done..order.len()].iter();
            let addresses = &self.addresses[done..];
            let fd = self.socket.as_raw_fd();
            let sent = sendmmsg(fd, &mut self.sent, contents, addresses, control.as_slice(), MsgFlags::empty());
            // It stops at the first that cannot be sent, and says so if that is the first of all.
            done += sent.map_or(1, |sent| sent.count().max(1));
        }
    }
}

fn received_headers(bound: SocketAddr) -> MultiHeaders<SockaddrStorage> {
    let contacted = bound.ip().is_unspecified().then(|| cmsg_space!(in6_pktinfo));
    MultiHeaders::preallocate(BATCH, contacted)
}

/// The address of ours that a datagram was sent to; `None` when it does not say.
fn contacted(message: &RecvMsg<'_, '_, SockaddrStorage>, bound: SocketAddr) -> Option<SocketAddr> {
    if !bound.ip().is_unspecified() {
        return Some(bound);
    }
    let ip = message.cmsgs().ok()?.find_map(|message| match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(IpAddr::from(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes())))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into()),
        _ => None,
    });
    Some(SocketAddr::new(ip?, bound.port()))
}

fn path(message: &RecvMsg<'_, '_, SockaddrStorage>, server: SocketAddr) -> Option<FiveTuple> {
    let address = message.address.as_ref()?;
    let v4 = address.as_sockaddr_in().map(|address| SocketAddrV4::from(*address).into());
    let client: SocketAddr = v4.or_else(|| Some(SocketAddrV6::from(*address.as_sockaddr_in6()?).into()))?;
    Some(FiveTuple::new(Transport::Udp, client, server))
}
