//! The whole server on one port: TURN over UDP, TCP and TLS, and HTTP beside it.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::mpsc,
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use sotto::{
    Server,
    config::Config,
    protocol::{CallId, Side},
    relay::{Credentials, Secret},
};

use tokio_rustls::rustls::{
    StreamOwned,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::client::{Client, Received};
use crate::{
    server::TestServer,
    tls::{self, Identity},
};

const CALL: CallId = CallId::from_u128(1);
const OTHER_CALL: CallId = CallId::from_u128(2);

/// A moment in which nothing comes that will not come at all.
const QUIET: Duration = Duration::from_millis(200);

/// A server in this process, stopped when dropped.
pub(super) struct House {
    address: SocketAddr,
    secret: Secret,
    stop: Option<tokio::sync::mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl House {
    pub fn start(listen: &str, identity: Option<&Identity>) -> Self {
        let file = std::env::temp_dir().join(format!("sotto-secret-{}", uuid::Uuid::new_v4()));
        std::fs::write(&file, "\n a secret of the tests \n").unwrap();
        let config = Config {
            listen: listen.parse().unwrap(),
            secret_file: Some(file.clone()),
            tls_cert: identity.map(|it| it.certificate.clone()),
            tls_key: identity.map(|it| it.key.clone()),
            ..Config::default()
        };
        let (stop, asked) = tokio::sync::mpsc::channel(1);
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let server = Server::bind(config).await.unwrap();
                tell.send(server.address()).unwrap();
                server.run(asked).await.unwrap();
            });
        });
        let address = told.recv().unwrap();
        std::fs::remove_file(&file).unwrap();
        let secret = Secret::new(b"a secret of the tests");
        Self { address, secret, stop: Some(stop), thread: Some(thread) }
    }

    pub fn at(&self, ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().unwrap(), self.address.port())
    }

    pub fn mint(&self, call: CallId, side: Side) -> Credentials {
        let unix = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        self.secret.mint(call, side, unix)
    }

    /// Somebody who has come this way, with an allocation.
    pub fn client(&self, way: &str, ip: &str, call: CallId, side: Side) -> Client {
        let (server, credentials) = (self.at(ip), self.mint(call, side));
        let mut client = match way {
            "udp" => Client::new(SocketAddr::new(server.ip(), 0), server, credentials),
            "tcp" => Client::tcp(server, credentials),
            "tls" => Client::tls(server, credentials, &[]),
            _ => Client::tls(server, credentials, &[way]),
        };
        assert_eq!(client.allocate(), 0, "{way}");
        assert_eq!(client.mapped, client.local_address(), "{way}");
        client
    }

    pub fn pair(&self, ways: [&str; 2], ips: [&str; 2], call: CallId) -> (Client, Client) {
        let a = self.client(ways[0], ips[0], call, Side::A);
        let b = self.client(ways[1], ips[1], call, Side::B);
        assert_eq!(a.permit(b.relayed), 0);
        assert_eq!(b.permit(a.relayed), 0);
        (a, b)
    }

    /// What HTTP says to this, and whether there is TLS around it.
    fn http(&self, encrypted: bool, request: &str) -> String {
        let mut socket = TcpStream::connect(self.at("127.0.0.1")).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut answer = String::new();
        if encrypted {
            let mut stream = StreamOwned::new(tls::connection(&["h2", "http/1.1"]), socket);
            stream.write_all(request.as_bytes()).unwrap();
            let _ = stream.read_to_string(&mut answer);
        } else {
            socket.write_all(request.as_bytes()).unwrap();
            let _ = socket.read_to_string(&mut answer);
        }
        answer
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Payloads in each direction, by indications and by channels, a hundred of them.
pub fn exchange(a: &Client, b: &Client) {
    exchange_payloads(a, b, (0..100_u8).map(|number| vec![number; usize::from(number) * 11]));
}

/// The same with these payloads.
pub fn exchange_payloads(a: &Client, b: &Client, payloads: impl Iterator<Item = Vec<u8>>) {
    a.send(b.relayed, b"indications");
    assert_eq!(b.receive(), Received::from_peer(a.relayed, b"indications"));
    assert_eq!(b.bind(0x4001, a.relayed), 0);
    a.send(b.relayed, b"to a channel");
    assert_eq!(b.receive(), Received::on_channel(0x4001, b"to a channel"));
    b.send_on(0x4001, b"from a channel");
    assert_eq!(a.receive(), Received::from_peer(b.relayed, b"from a channel"));
    assert_eq!(a.bind(0x4002, b.relayed), 0);
    for payload in payloads {
        b.send_on(0x4001, &payload);
        assert_eq!(a.receive(), Received::on_channel(0x4002, &payload));
    }
}

#[test]
pub fn every_transport_meets_every_other() {
    let identity = Identity::new();
    let house = House::start("127.0.0.1:0", Some(&identity));
    let mut number = 0;
    for one in ["udp", "tcp", "tls"] {
        for other in ["udp", "tcp", "tls", "stun.turn", "http/1.1"] {
            number += 1;
            let (a, b) = house.pair([one, other], ["127.0.0.1"; 2], CallId::from_u128(number));
            exchange(&a, &b);
        }
    }
}

#[test]
pub fn both_families_meet_over_streams() {
    let house = House::start("[::]:0", None);
    for (number, ways) in (1..).zip([["tcp", "tcp"], ["tcp", "udp"], ["udp", "tcp"]]) {
        let (a, b) = house.pair(ways, ["127.0.0.1", "::1"], CallId::from_u128(number));
        exchange(&a, &b);
    }
}

/// What leaves by UDP comes from the address that was contacted, also when it came by TCP.
#[cfg(target_os = "linux")]
#[test]
pub fn what_came_by_tcp_leaves_from_the_address_that_was_contacted() {
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let house = House::start(listen, None);
        let a = house.client("tcp", "127.0.0.1", CALL, Side::A);
        let local = "127.0.0.1:0".parse().unwrap();
        let mut b = Client::new(local, house.at("127.0.0.2"), house.mint(CALL, Side::B));
        assert_eq!(b.allocate(), 0);
        assert_eq!(a.permit(b.relayed), 0);
        assert_eq!(b.permit(a.relayed), 0);
        a.send(b.relayed, b"from where you asked");
        assert_eq!(b.receive(), Received::from_peer(a.relayed, b"from where you asked"));
    }
}

#[test]
pub fn http_and_turn_share_a_port_without_tls() {
    let house = House::start("127.0.0.1:0", None);
    let (a, b) = house.pair(["tcp", "udp"], ["127.0.0.1"; 2], CALL);
    for _ in 0..3 {
        let answer = house.http(false, "GET /healthz HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        exchange_again(&a, &b);
    }
}

fn exchange_again(a: &Client, b: &Client) {
    a.send(b.relayed, b"still here");
    assert_eq!(b.receive(), Received::from_peer(a.relayed, b"still here"));
}

#[test]
pub fn with_tls_there_are_three_on_one_port_and_pages_come_by_https() {
    let identity = Identity::new();
    let house = House::start("127.0.0.1:0", Some(&identity));
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: talk.example.org:8443\r\nConnection: close\r\n\r\n");
    let page = house.http(true, &get("/"));
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.contains("<!doctype html>") || page.contains("<!DOCTYPE html>"), "{page}");
    let moved = house.http(false, &get("/a?b=c"));
    assert!(moved.starts_with("HTTP/1.1 308"), "{moved}");
    assert!(moved.contains("location: https://talk.example.org:8443/a?b=c\r\n"), "{moved}");
    for encrypted in [true, false] {
        let well = house.http(encrypted, &get("/healthz"));
        assert!(well.starts_with("HTTP/1.1 200"), "{well}");
    }
    sotto::healthcheck(house.address).unwrap();
    // Nobody without TLS gets to the signalling.
    let socket = house.http(
        false,
        "GET /ws HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    );
    assert!(socket.starts_with("HTTP/1.1 308"), "{socket}");
    let (a, b) = house.pair(["tcp", "tls"], ["127.0.0.1"; 2], CALL);
    exchange(&a, &b);
}

/// Who is connected stays so, and who comes is shown the new certificate; unless it is none.
#[tokio::test]
pub async fn a_renewed_certificate_is_shown_from_then_on() {
    let identity = Identity::new();
    let secret = identity.key.with_file_name("secret");
    std::fs::write(&secret, "a secret of the tests").unwrap();
    let mut flags = identity.flags().to_vec();
    flags.extend(["--secret-file", secret.to_str().unwrap()]);
    let server = TestServer::start_with(&flags).await;
    let address = SocketAddr::from(([127, 0, 0, 1], server.port));
    let client = |side| {
        let unix = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let credentials = Secret::new(b"a secret of the tests").mint(CALL, side, unix);
        let mut client = Client::tls(address, credentials, &[]);
        assert_eq!(client.allocate(), 0);
        client
    };
    let (a, b) = (client(Side::A), client(Side::B));
    assert_eq!(a.permit(b.relayed), 0);
    assert_eq!(b.permit(a.relayed), 0);
    exchange_again(&a, &b);
    let old = tls::shown(server.port);

    std::fs::write(&identity.certificate, "half of a certif").unwrap();
    let line = server.said("the certificate stays what it was").await;
    assert!(line.contains("no certificate in"), "{line}");
    assert_eq!(tls::shown(server.port), old);

    identity.renew();
    server.said("the certificate has been renewed").await;
    let new = tls::shown(server.port);
    assert_ne!(new, old);
    assert_eq!(new, *CertificateDer::from_pem_file(&identity.certificate).unwrap());
    exchange(&a, &b);
    client(Side::A);
    server.stop().await;
}

#[test]
pub fn a_closed_connection_takes_its_allocation_along() {
    let identity = Identity::new();
    let house = House::start("127.0.0.1:0", Some(&identity));
    for (number, way) in (100..).zip(["tcp", "tls"]) {
        let call = CallId::from_u128(number);
        let client = || match way {
            "tcp" => Client::tcp(house.address, house.mint(call, Side::A)),
            _ => Client::tls(house.address, house.mint(call, Side::A), &[]),
        };
        // As many as one side may have.
        let mut clients = Vec::new();
        let refused = loop {
            let mut client = client();
            match client.allocate() {
                0 => clients.push(client),
                code => break code,
            }
        };
        assert_eq!(refused, 486);
        let most = clients.len();
        assert!(most >= 16, "{most}");
        drop(clients);
        // And then as many again, as soon as it has been seen that the first ones are gone.
        let give_up = Instant::now() + Duration::from_secs(20);
        let mut again = Vec::new();
        while again.len() < most {
            let mut client = client();
            match client.allocate() {
                0 => again.push(client),
                code => assert!(code == 486 && Instant::now() < give_up, "{code} after {} of {most}", again.len()),
            }
        }
    }
}

#[test]
pub fn a_revoked_call_ends_over_streams_as_well() {
    let identity = Identity::new();
    let house = House::start("127.0.0.1:0", Some(&identity));
    let (a, b) = house.pair(["tcp", "tls"], ["127.0.0.1"; 2], CALL);
    assert_eq!(a.refresh(0), 0);
    b.send(a.relayed, b"to nobody");
    a.wait_at_most(QUIET);
    assert!(a.read().is_err());
    // Without an allocation it is closed in time.
    a.wait_at_most(Duration::from_secs(30));
    let start = Instant::now();
    assert_eq!(a.read().unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert!(start.elapsed() < Duration::from_secs(25), "{:?}", start.elapsed());
    // The other one goes on.
    assert_eq!(b.refresh(600), 0);
}

#[test]
pub fn what_cannot_be_understood_is_closed_at_once() {
    let house = House::start("127.0.0.1:0", None);
    let (a, b) = house.pair(["tcp", "tcp"], ["127.0.0.1"; 2], CALL);
    for noise in
        [&b"\x40\0\0\0"[..], b"\x16\x03\x01", b"\x80", b"\xFF", b"\x04", b" GET /", b"\0\x01\xFF\xFF", b"\0\x01\0\x01"]
    {
        let mut socket = TcpStream::connect(house.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.write_all(noise).unwrap();
        // A reset is as good an end.
        let end = socket.read(&mut [0; 64]).map_err(|error| error.kind());
        assert!(matches!(end, Ok(0) | Err(ErrorKind::ConnectionReset)), "{noise:?} {end:?}");
    }
    // In the middle of a stream that had made sense, it ends the allocation too.
    a.write(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(a.read().is_err());
    assert_eq!(b.refresh(600), 0);
}

#[test]
pub fn whoever_says_nothing_is_shown_out() {
    let identity = Identity::new();
    let house = House::start("127.0.0.1:0", Some(&identity));
    let mute = |said: &[u8]| {
        let mut socket = TcpStream::connect(house.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
        socket.write_all(said).unwrap();
        socket
    };
    // Nothing at all; the beginning of a handshake, of a STUN message, of a request.
    let start = Instant::now();
    for (mut socket, within) in [
        (mute(b""), 12),
        (mute(b"\x16\x03\x01\x02\x00"), 12),
        (mute(b"\0\x03\0\x10"), 12),
        (mute(b"GET / HTTP/1.1\r\nHost: he"), 25),
    ] {
        let end = socket.read(&mut [0; 64]).map_err(|error| error.kind());
        assert!(matches!(end, Ok(0) | Err(ErrorKind::ConnectionReset)), "{end:?}");
        assert!(start.elapsed() < Duration::from_secs(within), "{:?} of {within} s", start.elapsed());
    }
}

#[test]
pub fn a_client_that_does_not_read_holds_nobody_up() {
    let identity = Identity::new();
    let house = House::start("127.0.0.1:0", Some(&identity));
    for (number, ways) in (10..).zip([["tcp", "tcp"], ["udp", "tls"]]) {
        let (loud, stuck) = house.pair(ways, ["127.0.0.1"; 2], CallId::from_u128(number));
        stuck.take_little();
        let (a, b) = house.pair(["tcp", "udp"], ["127.0.0.1"; 2], OTHER_CALL);
        let start = Instant::now();
        let mut slowest = Duration::ZERO;
        // Far more than there is room for on the way to somebody who takes nothing of it.
        for _ in 0..1_500 {
            loud.send(stuck.relayed, &[7; 1_000]);
            let sent = Instant::now();
            exchange_again(&a, &b);
            exchange_again(&b, &a);
            slowest = slowest.max(sent.elapsed());
        }
        println!("{ways:?}: 1.5 MB to nobody, others' slowest two packets {slowest:?}, all {:?}", start.elapsed());
        assert!(slowest < Duration::from_secs(1), "{slowest:?}");
        assert_eq!(a.refresh(0), 0);
        assert_eq!(b.refresh(0), 0);
    }
}

#[test]
pub fn a_client_that_never_reads_is_shown_out() {
    let identity = Identity::new();
    let house = House::start("127.0.0.1:0", Some(&identity));
    let (loud, stuck) = house.pair(["udp", "tls"], ["127.0.0.1"; 2], CALL);
    stuck.take_little();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(14) {
        for _ in 0..20 {
            loud.send(stuck.relayed, &[7; 1_000]);
        }
        thread::sleep(Duration::from_millis(100));
    }
    stuck.wait_at_most(Duration::from_secs(20));
    let mut read = 0;
    let end = loop {
        match stuck.read() {
            Ok(_) => read += 1,
            Err(error) => break error.kind(),
        }
    };
    assert!(matches!(end, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset), "{end:?} after {read} packets");
    println!("a stuck client got {read} packets of a kilobyte");
}
