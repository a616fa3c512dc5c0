//! Which address of ours a datagram is sent from (ip(7), ipv6(7)).

use std::net::IpAddr;

use nix::{
    libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo},
    sys::socket::ControlMessage,
};

/// The control message that says it, for a socket of the one kind or the other.
pub(super) enum Source {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

impl Source {
    /// For a socket of IPv6, which may be dual-stack, or of IPv4; that one sends from no IPv6 address.
    pub fn new(address: IpAddr, is_v6: bool) -> Self {
        match address {
            IpAddr::V4(ip) if !is_v6 => Self::V4(in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: in_addr { s_addr: u32::from_ne_bytes(ip.octets()) },
                ipi_addr: in_addr { s_addr: 0 },
            }),
            IpAddr::V4(ip) => Self::v6(ip.to_ipv6_mapped().octets()),
            IpAddr::V6(ip) => Self::v6(ip.octets()),
        }
    }

    fn v6(s6_addr: [u8; 16]) -> Self {
        Self::V6(in6_pktinfo { ipi6_addr: in6_addr { s6_addr }, ipi6_ifindex: 0 })
    }

    /// To go along with a datagram.
    pub fn message(&self) -> ControlMessage<'_> {
        match self {
            Self::V4(info) => ControlMessage::Ipv4PacketInfo(info),
            Self::V6(info) => ControlMessage::Ipv6PacketInfo(info),
        }
    }
}
