//! The relay over real sockets, by a client that shares no code with it but the STUN crate.

pub mod client;
#[cfg(target_os = "linux")]
mod floods;
mod found;
#[cfg(target_os = "linux")]
mod house;
mod independent;
#[cfg(target_os = "linux")]
mod mutations;
#[path = "../fuzz/relay.rs"]
mod rules;
mod streams;
#[cfg(target_os = "linux")]
pub mod threads;
mod weaknesses;

use std::{
    io::ErrorKind,
    net::{SocketAddr, UdpSocket},
    sync::mpsc,
    thread,
    time::{Duration, SystemTime},
};

use sotto::{
    protocol::{CallId, RELAYED_ADDRESS, Side},
    relay::{self, Credentials, Handle, Secret, Threads},
};

use client::{Client, Received};

const CALL: CallId = CallId::from_u128(1);
const OTHER_CALL: CallId = CallId::from_u128(2);

/// A relay that stops when it is dropped.
struct Relay {
    handle: Handle,
    threads: Option<Threads>,
    address: SocketAddr,
}

impl Relay {
    fn start(address: &str) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        let address = socket.local_addr().unwrap();
        let (handle, threads) = relay::start(socket, Secret::random().unwrap()).unwrap();
        Self { handle, threads: Some(threads), address }
    }

    /// A client on this local address, with credentials, that contacts the relay there.
    fn client(&self, local: &str, call: CallId, side: Side) -> Client {
        let local: SocketAddr = local.parse().unwrap();
        let server = SocketAddr::new(local.ip(), self.address.port());
        Client::new(local, server, self.mint(call, side))
    }

    /// A client on 127.0.0.1 that contacts the relay at another address.
    #[cfg(target_os = "linux")]
    fn client_of(&self, server: &str, call: CallId, side: Side) -> Client {
        let server = SocketAddr::new(server.parse().unwrap(), self.address.port());
        let local = "127.0.0.1:0".parse().unwrap();
        Client::new(local, server, self.mint(call, side))
    }

    fn mint(&self, call: CallId, side: Side) -> Credentials {
        let unix = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        self.handle.mint(call, side, unix)
    }

    /// The same, with an allocation.
    fn allocated(&self, local: &str, call: CallId, side: Side) -> Client {
        let mut client = self.client(local, call, side);
        assert_eq!(client.allocate(), 0);
        client
    }

    fn pair(&self, call: CallId) -> (Client, Client) {
        let a = self.allocated("127.0.0.1:0", call, Side::A);
        let b = self.allocated("127.0.0.1:0", call, Side::B);
        assert_eq!(a.permit(b.relayed), 0);
        assert_eq!(b.permit(a.relayed), 0);
        (a, b)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.handle.stop();
        if let Some(threads) = self.threads.take() {
            assert!(thread::panicking() || !threads.have_failed());
            threads.join();
        }
    }
}

#[test]
pub fn two_sides_of_a_call_exchange_payloads() {
    let relay = Relay::start("127.0.0.1:0");
    let (a, b) = relay.pair(CALL);
    assert_eq!(a.relayed.ip(), RELAYED_ADDRESS);

    streams::exchange_payloads(&a, &b, (0..200_u8).map(|number| vec![number; usize::from(number) * 2]));
}

#[test]
pub fn a_dual_stack_relay_brings_both_families_together() {
    let relay = Relay::start("[::]:0");
    let a = relay.allocated("127.0.0.1:0", CALL, Side::A);
    let b = relay.allocated("[::1]:0", CALL, Side::B);
    for client in [&a, &b] {
        assert_eq!(client.mapped, client.local_address());
        assert_eq!(client.binding(), client.local_address());
    }
    assert_eq!(a.permit(b.relayed), 0);
    assert_eq!(b.permit(a.relayed), 0);
    a.send(b.relayed, b"from four to six");
    let expected = Received::from_peer(a.relayed, b"from four to six");
    assert_eq!(b.receive(), expected);
    b.send(a.relayed, b"from six to four");
    let expected = Received::from_peer(b.relayed, b"from six to four");
    assert_eq!(a.receive(), expected);
}

/// All of 127.0.0.0/8 is this machine on Linux, and what it answers from by itself is 127.0.0.1.
#[cfg(target_os = "linux")]
#[test]
pub fn what_is_sent_comes_from_the_address_that_was_contacted() {
    for address in ["0.0.0.0:0", "[::]:0", "127.0.0.2:0"] {
        let relay = Relay::start(address);
        let mut a = relay.client_of("127.0.0.2", CALL, Side::A);
        let mut b = relay.client_of("127.0.0.2", CALL, Side::B);
        // Their sockets are connected: what comes from elsewhere does not reach them.
        assert_eq!(a.allocate(), 0);
        assert_eq!(b.allocate(), 0);
        assert_eq!(a.permit(b.relayed), 0);
        assert_eq!(b.permit(a.relayed), 0);
        a.send(b.relayed, b"from where you asked");
        let expected = Received::from_peer(a.relayed, b"from where you asked");
        assert_eq!(b.receive(), expected);
    }
}

#[test]
pub fn a_revoked_call_hears_nothing_more() {
    let relay = Relay::start("127.0.0.1:0");
    let (a, b) = relay.pair(CALL);
    let (c, d) = relay.pair(OTHER_CALL);
    let mut late = relay.client("127.0.0.1:0", CALL, Side::A);
    relay.handle.revoke(CALL);

    a.send(b.relayed, b"too late");
    assert_eq!(a.refresh(600), 437);
    assert_eq!(b.refresh(600), 437, "and not the payload");
    assert_eq!(late.allocate(), 403);
    c.send(d.relayed, b"goes on");
    assert_eq!(d.receive(), Received::from_peer(c.relayed, b"goes on"));
}

#[test]
pub fn nothing_is_sent_anywhere_else() {
    let relay = Relay::start("127.0.0.1:0");
    let (a, b) = relay.pair(CALL);
    let (c, _) = relay.pair(OTHER_CALL);
    let victim = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = victim.local_addr().unwrap().port();
    for (peer, code) in [
        (format!("127.0.0.1:{port}"), 403),
        (format!("10.0.0.1:{port}"), 403),
        (format!("0.0.0.0:{port}"), 403),
        (format!("169.254.169.254:{port}"), 403),
        (format!("[::1]:{port}"), 443),
        (format!("[::ffff:127.0.0.1]:{port}"), 443),
        (relay.address.to_string(), 403),
    ] {
        let peer: SocketAddr = peer.parse().unwrap();
        assert_eq!(a.permit(peer), code, "{peer}");
        assert_eq!(a.bind(0x4000, peer), code, "{peer}");
        a.send(peer, b"to somebody else");
        a.send_on(0x4000, b"to somebody else");
    }
    // The port of another call is a name that leads nowhere in this one.
    assert_eq!(a.permit(c.relayed), 0);
    assert_eq!(a.bind(0x4001, c.relayed), 0);
    a.send(c.relayed, b"to another call");
    a.send_on(0x4001, b"to another call");

    // One thread handles everything in order: when these answers are there, the rest has been handled.
    for client in [&a, &b, &c] {
        assert_eq!(client.binding(), client.local_address());
    }
    victim.set_nonblocking(true).unwrap();
    let received = victim.recv(&mut [0; 64]).map_err(|error| error.kind());
    assert_eq!(received, Err(ErrorKind::WouldBlock));
}

#[test]
pub fn an_outsider_gets_in_nowhere() {
    let relay = Relay::start("127.0.0.1:0");
    let (a, b) = relay.pair(CALL);
    let outsider = relay.allocated("127.0.0.1:0", OTHER_CALL, Side::A);
    assert_eq!(outsider.permit(b.relayed), 0);
    outsider.send(b.relayed, b"from another call");

    let mut nobody = relay.client("127.0.0.1:0", CALL, Side::A);
    nobody.send(b.relayed, b"from nobody");
    nobody.send_on(0x4000, b"from nobody");
    nobody.set_password("guess");
    assert_eq!(nobody.allocate(), 401);

    let mut thief = relay.client("127.0.0.1:0", CALL, Side::A);
    thief.take_nonce(&a);
    assert_eq!(thief.refresh(0), 438);
    assert_eq!(b.binding(), b.local_address(), "and no payload before it");
}

#[test]
pub fn noise_is_not_answered_and_does_no_harm() {
    let relay = Relay::start("127.0.0.1:0");
    let (a, b) = relay.pair(CALL);
    let noise = UdpSocket::bind("127.0.0.1:0").unwrap();
    for length in (0..200).chain([1_500, 2_048, 2_049, 9_000, 60_000]) {
        for first in [0x00, 0x01, 0x40, 0x4F, 0x50, 0x80, 0xFF] {
            let mut bytes = vec![0xA5; length];
            if let Some(byte) = bytes.first_mut() {
                *byte = first;
            }
            noise.send_to(&bytes, relay.address).unwrap();
        }
        // So that the socket's buffer never overflows.
        assert_eq!(a.refresh(600), 0);
    }
    a.send(b.relayed, b"still here");
    assert_eq!(b.receive(), Received::from_peer(a.relayed, b"still here"));
    noise.set_nonblocking(true).unwrap();
    let received = noise.recv(&mut [0; 64]).map_err(|error| error.kind());
    assert_eq!(received, Err(ErrorKind::WouldBlock));
}

#[test]
pub fn a_flood_stops_at_its_limit_and_nobody_else_notices() {
    let relay = Relay::start("127.0.0.1:0");
    let (a, b) = relay.pair(CALL);
    let (c, d) = relay.pair(OTHER_CALL);
    for number in 0..200_u8 {
        for _ in 0..10 {
            a.send(b.relayed, &[number; 1_000]);
        }
        c.send(d.relayed, &[number; 100]);
        assert_eq!(d.receive(), Received::from_peer(c.relayed, &[number; 100]));
    }
    let counts = relay.handle.counts();
    assert!(counts.over_rate.get() > 1_900, "of 2,000 no more than the burst passes: {}", counts.over_rate.get());
    assert_eq!(counts.over_quota.get(), 0);
}

#[test]
pub fn a_client_that_is_gone_does_not_stop_the_others() {
    let relay = Relay::start("127.0.0.1:0");
    let (a, b) = relay.pair(CALL);
    let (c, d) = relay.pair(OTHER_CALL);
    let peer = b.relayed;
    drop(b);
    for _ in 0..100 {
        a.send(peer, b"to a closed port");
        assert_eq!(a.refresh(600), 0);
    }
    c.send(d.relayed, b"still here");
    assert_eq!(d.receive(), Received::from_peer(c.relayed, b"still here"));
}

#[test]
pub fn a_relay_stops_at_once() {
    for address in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
        let socket = UdpSocket::bind(address).expect("both families, which these tests need");
        let (handle, threads) = relay::start(socket, Secret::random().unwrap()).unwrap();
        handle.stop();
        let (done, is_done) = mpsc::channel();
        thread::spawn(move || {
            let has_failed = threads.have_failed();
            threads.join();
            done.send(has_failed)
        });
        assert_eq!(is_done.recv_timeout(Duration::from_secs(3)), Ok(false));
    }
}
