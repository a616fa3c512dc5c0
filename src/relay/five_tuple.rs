//! What tells one client's path to the relay from another's.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use crate::protocol::Transport;

/// Client address and port, server address and port, and the transport between them (RFC 8656 §6).
///
/// IPv4 is written as IPv4, also where a dual-stack socket says `::ffff:…`: it is what the client is told of
/// itself, and what it is counted by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FiveTuple {
    transport: Transport,
    client: SocketAddr,
    server: SocketAddr,
}

impl FiveTuple {
    /// As a socket gives them.
    pub fn new(transport: Transport, client: SocketAddr, server: SocketAddr) -> Self {
        Self { transport, client: plain(client), server: plain(server) }
    }

    /// How the client came.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Where the client is.
    pub fn client(&self) -> SocketAddr {
        self.client
    }

    /// The address of ours that the client contacted, which answers have to come from.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// The same bytes for the same 5-tuple, and others for every other one.
    pub(super) fn to_bytes(self) -> [u8; 37] {
        let mut bytes = [0; 37];
        bytes[0] = match self.transport {
            Transport::Udp => 17,
            Transport::Tcp => 6,
            // TCP as well; the highest bit tells it apart.
            Transport::Tls => 0x80 | 6,
        };
        bytes[1..19].copy_from_slice(&address_bytes(self.client));
        bytes[19..].copy_from_slice(&address_bytes(self.server));
        bytes
    }
}

/// Addresses are for sockets, not for logs.
impl fmt::Debug for FiveTuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FiveTuple(…)")
    }
}

fn plain(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

fn address_bytes(address: SocketAddr) -> [u8; 18] {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut bytes = [0; 18];
    bytes[..16].copy_from_slice(&ip.octets());
    bytes[16..].copy_from_slice(&address.port().to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_is_the_plain_one() {
        let five_tuple = |client: &str| {
            let server = "[::]:8080".parse().unwrap();
            FiveTuple::new(Transport::Udp, client.parse().unwrap(), server)
        };
        let mapped = five_tuple("[::ffff:198.51.100.7]:1234");
        assert!(mapped == five_tuple("198.51.100.7:1234"));
        assert_eq!(mapped.client().to_string(), "198.51.100.7:1234");
        assert!(mapped != five_tuple("198.51.100.7:1235"));
        assert_eq!(format!("{mapped:?}"), "FiveTuple(…)");
    }
}
