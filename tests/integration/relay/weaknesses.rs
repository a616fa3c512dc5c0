//! Published weaknesses of TURN servers that show at sockets alone: nothing is to come out of any but those that have
//! asked. The table of all others is in `src/relay/server/tests/weaknesses.rs`.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener, UdpSocket},
};

use sotto::protocol::{CallId, Side};

use super::{
    client::{Client, Received},
    streams::House,
};
use crate::tls::Identity;

/// Two calls by one way, and somebody who is in neither.
struct Stage {
    house: House,
    way: &'static str,
    a: Client,
    b: Client,
    other: Client,
    victim: (UdpSocket, TcpListener),
}

/// What was tried, where it was published, and an attempt that says what came back: an error code, or 0 for success or
/// for silence where no answer is due.
type Row = (&'static str, &'static str, u16, fn(&Stage) -> u16);

const TRIED: &[Row] = &[
    ("relaying to loopback", "CVE-2018-4058", 403, |it| it.reaches("127.0.0.1")),
    ("relaying to where the server is", "CVE-2020-26262", 403, |it| it.reaches("0.0.0.0")),
    ("relaying to loopback in IPv6", "CVE-2020-26262", 443, |it| it.reaches("::1")),
    ("relaying to where the server is, in IPv6", "CVE-2020-26262", 443, |it| it.reaches("::")),
    ("relaying to loopback, IPv4-mapped", "CVE-2026-27624", 443, |it| it.reaches("::ffff:127.0.0.1")),
    ("relaying to loopback, IPv4-compatible", "coturn #1945", 443, |it| it.reaches("::127.0.0.1")),
    ("relaying to loopback by NAT64", "coturn #1945", 443, |it| it.reaches("64:ff9b::7f00:1")),
    ("relaying to another call", "RFC 8656 §21.1.4", 0, |it| {
        assert_eq!(it.a.permit(it.other.relayed), 0);
        it.a.send(it.other.relayed, b"from another call");
        0
    }),
    ("a TCP connection to a peer", "RFC 6062", 0, |it| {
        // Connect, with XOR-PEER-ADDRESS for nobody: not even an answer.
        it.a.write(b"\0\x0A\0\0\x21\x12\xA4\x42a transactio").unwrap();
        0
    }),
    ("somebody else's nonce", "RFC 8656 §21.1.1", 438, |it| {
        let mut thief = it.stranger();
        thief.take_nonce(&it.a);
        thief.refresh(0)
    }),
    ("an end from another connection", "RFC 8656 §21.1.3", 437, |it| {
        let mut thief = it.stranger();
        let right = it.house.mint(CALL, Side::A).credential;
        thief.set_password("guessed");
        assert_eq!(thief.allocate(), 401);
        thief.set_password(&right);
        thief.refresh(0)
    }),
    ("an answer to an answer", "CVE-2024-2169", 0, |it| {
        it.a.write(b"\x01\x01\0\0\x21\x12\xA4\x42a transactio").unwrap();
        it.a.write(b"\x01\x13\0\0\x21\x12\xA4\x42a transactio").unwrap();
        0
    }),
    ("payloads without an allocation", "RFC 8656 §11.2", 0, |it| {
        it.stranger().send(it.b.relayed, b"from nobody");
        0
    }),
];

const CALL: CallId = CallId::from_u128(1);
const OTHER_CALL: CallId = CallId::from_u128(2);

impl Stage {
    fn new(way: &'static str, identity: &Identity) -> Self {
        let house = House::start("127.0.0.1:0", Some(identity));
        let (a, b) = house.pair([way, "udp"], ["127.0.0.1"; 2], CALL);
        let other = house.client(way, "127.0.0.1", OTHER_CALL, Side::B);
        // One port in both, so that whatever came would be seen.
        let victim = (0..32).find_map(|_| {
            let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
            let streams = TcpListener::bind(datagrams.local_addr().unwrap()).ok()?;
            Some((datagrams, streams))
        });
        let victim = victim.expect("a port");
        victim.0.set_nonblocking(true).unwrap();
        victim.1.set_nonblocking(true).unwrap();
        Self { house, way, a, b, other, victim }
    }

    /// Somebody with a's credentials, who has come the same way and has no allocation.
    fn stranger(&self) -> Client {
        let (server, credentials) = (self.house.at("127.0.0.1"), self.house.mint(CALL, Side::A));
        match self.way {
            "udp" => Client::new("127.0.0.1:0".parse().unwrap(), server, credentials),
            "tcp" => Client::tcp(server, credentials),
            _ => Client::tls(server, credentials, &[]),
        }
    }

    /// Tries every way to reach the victim by this address of its machine.
    fn reaches(&self, ip: &str) -> u16 {
        let port = self.victim.0.local_addr().unwrap().port();
        let peer = SocketAddr::new(ip.parse().unwrap(), port);
        let (permitted, bound) = (self.a.permit(peer), self.a.bind(0x4000, peer));
        assert_eq!(permitted, bound);
        self.a.send(peer, b"to somebody else");
        self.a.send_on(0x4000, b"to somebody else");
        permitted
    }

    /// Nothing came out anywhere; what was said before any of these answers has been handled.
    fn is_quiet(&self) {
        for client in [&self.a, &self.b, &self.other] {
            assert_eq!(client.binding(), client.local_address(), "and nothing before it");
        }
        let (datagrams, streams) = &self.victim;
        assert_eq!(datagrams.recv(&mut [0; 64]).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
        assert_eq!(streams.accept().map(drop).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
        self.a.send(self.b.relayed, b"still here");
        assert_eq!(self.b.receive(), Received::from_peer(self.a.relayed, b"still here"));
    }
}

#[test]
pub fn what_has_been_tried_on_others_reaches_nobody_by_any_way() {
    let identity = Identity::new();
    for way in ["udp", "tcp", "tls"] {
        for (weakness, source, back, attempt) in TRIED {
            let stage = Stage::new(way, &identity);
            assert_eq!(attempt(&stage), *back, "{weakness} ({source}) by {way}");
            stage.is_quiet();
        }
    }
}
