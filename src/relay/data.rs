//! The four shapes that a payload has on its way: in as ChannelData or a Send indication, out as ChannelData
//! or a Data indication (RFC 8656 §11, §12). Read without a copy, written around the payload where it lies.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    ops::Range,
};

use super::{framing::is_channel_data, message, packet::Packet};
use crate::protocol::RELAYED_ADDRESS;

/// First two bytes of a Send and of a Data indication (RFC 8656 §17).
const SEND_INDICATION: u16 = 0x0016;
const DATA_INDICATION: u16 = 0x0017;

const MAGIC_COOKIE: u32 = 0x2112_A442;
const XOR_PEER_ADDRESS: u16 = 0x0012;
const DATA: u16 = 0x0013;

/// Whom a client has sent a payload to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Destination {
    /// What it has bound to this channel.
    Channel(u16),
    /// This peer.
    Peer(SocketAddrV4),
}

/// Something to forward.
pub(super) struct Outgoing {
    pub destination: Destination,
    /// Where in the packet the payload is.
    pub payload: Range<usize>,
}

/// Whether the bytes are meant to be a payload for a peer, and not a request to the relay.
pub(super) fn is_data(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| is_channel_data(*first)) || read_u16(bytes, 0) == Some(SEND_INDICATION)
}

/// Reads ChannelData or a Send indication; `None` when it is malformed.
pub(super) fn read(bytes: &[u8]) -> Option<Outgoing> {
    if is_channel_data(*bytes.first()?) { read_channel_data(bytes) } else { read_send_indication(bytes) }
}

/// What lies behind the payload is padding (RFC 8656 §12.5).
fn read_channel_data(bytes: &[u8]) -> Option<Outgoing> {
    let payload = 4..4 + usize::from(read_u16(bytes, 2)?);
    bytes.get(payload.clone())?;
    Some(Outgoing { destination: Destination::Channel(read_u16(bytes, 0)?), payload })
}

fn read_send_indication(bytes: &[u8]) -> Option<Outgoing> {
    let length = usize::from(read_u16(bytes, 2)?);
    if bytes.len() != 20 + length
        || !length.is_multiple_of(4)
        || read_u16(bytes, 0) != Some(SEND_INDICATION)
        || read_u32(bytes, 4) != Some(MAGIC_COOKIE)
    {
        return None;
    }
    let (mut peer, mut payload) = (None, None);
    let mut offset = 20;
    while offset < bytes.len() {
        let kind = read_u16(bytes, offset)?;
        let length = usize::from(read_u16(bytes, offset + 2)?);
        let value = offset + 4..offset + 4 + length;
        bytes.get(value.clone())?;
        offset = value.end.next_multiple_of(4);
        // Of an attribute that comes twice, the first one counts (RFC 8489 §14).
        match kind {
            XOR_PEER_ADDRESS if peer.is_none() => peer = Some(read_peer(bytes, &value)?),
            DATA if payload.is_none() => payload = Some(value),
            kind if !message::comprehended(kind) => return None,
            _ => {}
        }
    }
    Some(Outgoing { destination: Destination::Peer(peer?), payload: payload? })
}

/// An IPv4 address; there are no others to send to.
fn read_peer(bytes: &[u8], value: &Range<usize>) -> Option<SocketAddrV4> {
    if value.len() != 8 || bytes.get(value.start + 1) != Some(&0x01) {
        return None;
    }
    let port = read_u16(bytes, value.start + 2)? ^ (MAGIC_COOKIE >> 16) as u16;
    let address = read_u32(bytes, value.start + 4)? ^ MAGIC_COOKIE;
    Some(SocketAddrV4::new(Ipv4Addr::from_bits(address), port))
}

/// Makes the packet ChannelData.
pub(super) fn write_channel_data(packet: &mut Packet, payload: Range<usize>, channel: u16) -> Option<()> {
    let [c0, c1] = channel.to_be_bytes();
    let [l0, l1] = u16::try_from(payload.len()).ok()?.to_be_bytes();
    packet.reframe(payload, &[c0, c1, l0, l1], 0)
}

/// Makes the packet a Data indication from the peer with this virtual port.
pub(super) fn write_data_indication(
    packet: &mut Packet,
    payload: Range<usize>,
    transaction: [u8; 12],
    port: u16,
) -> Option<()> {
    let padding = payload.len().next_multiple_of(4) - payload.len();
    let length = 12 + 4 + payload.len() + padding;
    let xor_port = port ^ (MAGIC_COOKIE >> 16) as u16;
    let xor_address = RELAYED_ADDRESS.to_bits() ^ MAGIC_COOKIE;

    let mut header = [0; 36];
    header[0..2].copy_from_slice(&DATA_INDICATION.to_be_bytes());
    header[2..4].copy_from_slice(&u16::try_from(length).ok()?.to_be_bytes());
    header[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    header[8..20].copy_from_slice(&transaction);
    header[20..22].copy_from_slice(&XOR_PEER_ADDRESS.to_be_bytes());
    header[22..24].copy_from_slice(&8u16.to_be_bytes());
    header[25] = 0x01;
    header[26..28].copy_from_slice(&xor_port.to_be_bytes());
    header[28..32].copy_from_slice(&xor_address.to_be_bytes());
    header[32..34].copy_from_slice(&DATA.to_be_bytes());
    header[34..36].copy_from_slice(&u16::try_from(payload.len()).ok()?.to_be_bytes());
    packet.reframe(payload, &header, padding)
}

fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stun_types::{
        message::{Message, MessageClass, MessageWrite, MessageWriteExt, MessageWriteVec},
        prelude::AttributeStaticType,
    };
    use turn_types::{
        attribute::{Data, DontFragment, XorPeerAddress},
        channel::ChannelData,
        message::{DATA, SEND},
    };

    use super::*;

    fn send_indication(peer: &str, payload: &[u8], peer_first: bool) -> Vec<u8> {
        let mut builder = Message::builder_indication(SEND, MessageWriteVec::new());
        let peer = XorPeerAddress::new(peer.parse().unwrap(), builder.transaction_id());
        if peer_first {
            builder.add_attribute(&peer).unwrap();
        }
        builder.add_attribute(&Data::new(payload)).unwrap();
        if !peer_first {
            builder.add_attribute(&peer).unwrap();
        }
        builder.add_fingerprint().unwrap();
        builder.finish()
    }

    fn channel_data(number: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 4 + payload.len()];
        ChannelData::new(number, payload).write_into_unchecked(&mut bytes);
        bytes
    }

    fn packet(bytes: &[u8]) -> Packet {
        let mut packet = Packet::new();
        packet.replace(bytes);
        packet
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn all_four_conversions_keep_the_payload(
            payload in proptest::collection::vec(any::<u8>(), 0..1_400),
            peer_first: bool,
            channel in 0x4000..=0x4FFF_u16,
            port: u16,
            transaction: [u8; 12],
        ) {
            let send = send_indication("192.0.2.1:50000", &payload, peer_first);
            for incoming in [send, channel_data(channel, &payload)] {
                prop_assert!(is_data(&incoming));

                let mut out = packet(&incoming);
                let read_back = read(out.bytes()).unwrap();
                write_channel_data(&mut out, read_back.payload, channel).unwrap();
                let parsed = ChannelData::parse(out.bytes()).unwrap();
                prop_assert_eq!((parsed.id(), parsed.data()), (channel, &payload[..]));
                prop_assert_eq!(out.bytes().len(), 4 + payload.len());

                let mut out = packet(&incoming);
                let read_back = read(out.bytes()).unwrap();
                write_data_indication(&mut out, read_back.payload, transaction, port).unwrap();
                let parsed = message::parse(out.bytes()).unwrap();
                prop_assert_eq!(parsed.class(), MessageClass::Indication);
                prop_assert_eq!(parsed.method(), DATA);
                prop_assert_eq!(&out.bytes()[8..20], transaction);
                let peer: XorPeerAddress = parsed.attribute().unwrap();
                let address = peer.addr(parsed.transaction_id());
                prop_assert_eq!(address, std::net::SocketAddr::from((RELAYED_ADDRESS, port)));
                let data: Data<'_> = parsed.attribute().unwrap();
                prop_assert_eq!(data.data(), &payload[..]);
            }
        }

        #[test]
        fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            read(&bytes);
        }

        #[test]
        fn a_damaged_indication_never_panics(
            at in 0..64_usize,
            value: u8,
            cut in 0..64_usize,
        ) {
            let mut bytes = send_indication("192.0.2.1:50000", b"payload", true);
            let at = at % bytes.len();
            bytes[at] = value;
            bytes.truncate(bytes.len() - cut % bytes.len());
            if let Some(outgoing) = read(&bytes) {
                prop_assert!(bytes.get(outgoing.payload).is_some());
            }
        }
    }

    #[test]
    fn destinations_are_read_as_they_are_written() {
        let bytes = send_indication("192.0.2.1:50000", b"x", true);
        let peer = Destination::Peer("192.0.2.1:50000".parse().unwrap());
        assert_eq!(read(&bytes).unwrap().destination, peer);
        let bytes = channel_data(0x4abc, b"x");
        let channel = Destination::Channel(0x4abc);
        assert_eq!(read(&bytes).unwrap().destination, channel);
    }

    #[test]
    fn channel_data_may_be_padded_and_may_be_empty() {
        let outgoing = read(&[0x40, 0, 0, 1, b'x', 0, 0, 0]).unwrap();
        assert_eq!(outgoing.payload, 4..5);
        assert_eq!(read(&[0x40, 0, 0, 0]).unwrap().payload, 4..4);
    }

    #[test]
    fn what_is_malformed_is_not_forwarded() {
        for bytes in
            [&[][..], &[0x40], &[0x40, 0, 0], &[0x40, 0, 0, 1], &[0x50, 0, 0, 0], &[0x00, 0x16], &[0x00, 0x16, 0, 0]]
        {
            assert!(read(bytes).is_none(), "{bytes:?}");
        }
        let good = send_indication("192.0.2.1:50000", b"payload", true);
        for length in 0..good.len() {
            assert!(read(&good[..length]).is_none(), "cut to {length}");
        }
        let mut longer = good.clone();
        longer.extend([0; 4]);
        assert!(read(&longer).is_none());
        let mut cookie = good;
        cookie[4] ^= 1;
        assert!(read(&cookie).is_none());
    }

    #[test]
    fn an_indication_needs_an_ipv4_peer_and_data() {
        assert!(read(&send_indication("[2001:db8::1]:50000", b"x", true)).is_none());

        let without_peer = {
            let mut builder = Message::builder_indication(SEND, MessageWriteVec::new());
            builder.add_attribute(&Data::new(b"x")).unwrap();
            builder.finish()
        };
        assert!(read(&without_peer).is_none());

        let without_data = {
            let mut builder = Message::builder_indication(SEND, MessageWriteVec::new());
            let peer = "192.0.2.1:50000".parse().unwrap();
            let peer = XorPeerAddress::new(peer, builder.transaction_id());
            builder.add_attribute(&peer).unwrap();
            builder.finish()
        };
        assert!(read(&without_data).is_none());
    }

    #[test]
    fn an_attribute_that_must_be_comprehended_stops_an_indication() {
        let mut builder = Message::builder_indication(SEND, MessageWriteVec::new());
        let peer = "192.0.2.1:50000".parse().unwrap();
        let peer = XorPeerAddress::new(peer, builder.transaction_id());
        builder.add_attribute(&peer).unwrap();
        builder.add_attribute(&DontFragment::new()).unwrap();
        builder.add_attribute(&Data::new(b"x")).unwrap();
        let bytes = builder.finish();
        assert_eq!(DontFragment::TYPE.value(), 0x001A);
        assert!(read(&bytes).is_none());
    }
}
