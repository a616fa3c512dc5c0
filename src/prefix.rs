//! What limits count by in place of an address.

use std::net::{IpAddr, Ipv6Addr};

/// A network's prefix: all of an IPv4 address, 64 bits of an IPv6 address (which is what a host can choose its addresses
/// from), or 48 (which is what a customer gets). An IPv4 address mapped into IPv6 is the IPv4 address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix {
    /// Tells the three kinds apart.
    bits: u8,
    bytes: [u8; 8],
}

impl Prefix {
    /// IPv4 /32, IPv6 /64.
    pub fn narrow(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, d] = address.octets();
                Self { bits: 32, bytes: [a, b, c, d, 0, 0, 0, 0] }
            }
            IpAddr::V6(address) => Self { bits: 64, bytes: network(address) },
        }
    }

    /// IPv6 /48; IPv4 has no wider one, since its addresses are handed out one by one.
    pub fn wide(address: IpAddr) -> Option<Self> {
        match address.to_canonical() {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, ..] = network(address);
                Some(Self { bits: 48, bytes: [a, b, c, d, e, f, 0, 0] })
            }
        }
    }

    /// Both, for a hash: two prefixes of different lengths have different bytes.
    pub fn to_bytes(self) -> [u8; 9] {
        let [a, b, c, d, e, f, g, h] = self.bytes;
        [self.bits, a, b, c, d, e, f, g, h]
    }
}

fn network(address: Ipv6Addr) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = address.octets();
    [a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_is_cut_to_what_somebody_can_choose_from() {
        for (one, other, narrow, wide) in [
            ("192.0.2.1", "192.0.2.1", true, true),
            ("192.0.2.1", "192.0.2.2", false, true),
            ("192.0.2.1", "::ffff:192.0.2.1", true, true),
            ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true, true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false, true),
            ("2001:db8:0:1::1", "2001:db8:1:1::1", false, false),
            // The same bytes in front, and not the same network.
            ("32.1.13.184", "2001:db8::1", false, false),
        ] {
            assert_eq!(Prefix::narrow(ip(one)) == Prefix::narrow(ip(other)), narrow, "{one} {other}");
            assert_eq!(Prefix::wide(ip(one)) == Prefix::wide(ip(other)), wide, "{one} {other}");
        }
        assert!(Prefix::narrow(ip("2001:db8::1")) != Prefix::wide(ip("2001:db8::1")).expect("a /48"));
    }
}
