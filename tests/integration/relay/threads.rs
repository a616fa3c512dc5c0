//! A relay that has been full: two threads with a socket each, and the two sides of a call on different ones.

use std::{
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    thread,
    time::{Duration, SystemTime},
};

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
use sotto::{
    protocol::{Side, Transport},
    relay::{self, Credentials, FiveTuple, Secret},
};
use tokio::runtime::Runtime;

use super::{
    CALL, OTHER_CALL, Relay,
    client::{Client, Received},
    streams::exchange,
};

/// Two sockets at one address, before there is a relay on them.
pub struct Shared {
    pub address: SocketAddr,
    sockets: [UdpSocket; 2],
    secret: Secret,
}

impl Shared {
    pub fn bind(address: &str) -> Self {
        let bind = |address: SocketAddr| {
            let domain = Domain::for_address(address);
            let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP)).unwrap();
            if domain == Domain::IPV6 {
                socket.set_only_v6(false).unwrap();
            }
            setsockopt(&socket, sockopt::ReusePort, &true).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket.bind(&address.into()).unwrap();
            UdpSocket::from(socket)
        };
        let first = bind(address.parse().unwrap());
        let address = first.local_addr().unwrap();
        Self { address, sockets: [first, bind(address)], secret: Secret::random().unwrap() }
    }

    fn mint(&self, side: Side) -> Credentials {
        let unix = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        self.secret.mint(CALL, side, unix)
    }

    /// A client that contacts this address and whose datagrams the system gives to that socket.
    fn client(&self, contacted: IpAddr, index: usize, side: Side) -> Client {
        let local = if contacted.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let server = SocketAddr::new(contacted, self.address.port());
        loop {
            let client = Client::new(local.parse().unwrap(), server, self.mint(side));
            client.write(b"which?").unwrap();
            // What goes to loopback is there when it has been sent.
            let got = [0, 1].map(|index| self.sockets[index].recv(&mut [0; 64]).is_ok());
            assert!(got[0] != got[1]);
            if got[index] {
                return client;
            }
        }
    }

    fn start(self) -> Relay {
        let (handle, threads) = relay::start_on(self.sockets.into(), self.secret).unwrap();
        Relay { handle, threads: Some(threads), address: self.address }
    }
}

fn talk(a: &mut Client, b: &mut Client) {
    for client in [&mut *a, &mut *b] {
        assert_eq!(client.allocate(), 0);
        assert_eq!(client.mapped, client.local_address());
    }
    assert_eq!(a.permit(b.relayed), 0);
    assert_eq!(b.permit(a.relayed), 0);
    exchange(a, b);
    a.send_on(0x4002, b"and the other way");
    assert_eq!(b.receive(), Received::on_channel(0x4001, b"and the other way"));
}

#[test]
pub fn sides_on_different_threads_hear_each_other_from_where_they_called() {
    for (listen, contacted) in [
        ("127.0.0.1:0", ["127.0.0.1", "127.0.0.1"]),
        ("0.0.0.0:0", ["127.0.0.2", "127.0.0.3"]),
        ("[::]:0", ["127.0.0.2", "::1"]),
    ] {
        for on in [[0, 1], [1, 0], [1, 1]] {
            let shared = Shared::bind(listen);
            let [mut a, mut b] = [(0, Side::A), (1, Side::B)]
                .map(|(at, side)| shared.client(contacted[at].parse().unwrap(), on[at], side));
            let _relay = shared.start();
            // Their sockets are connected: what comes from elsewhere does not reach them.
            talk(&mut a, &mut b);
        }
    }
}

#[test]
pub fn whoever_comes_by_tcp_meets_clients_of_either_thread() {
    for index in [0, 1] {
        let shared = Shared::bind("[::]:0");
        let mut b = shared.client("127.0.0.2".parse().unwrap(), index, Side::B);
        let credentials = shared.mint(Side::A);
        let relay = shared.start();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        let serving = thread::spawn({
            let handle = relay.handle.clone();
            move || {
                let (stream, client) = listener.accept().unwrap();
                stream.set_nonblocking(true).unwrap();
                Runtime::new().unwrap().block_on(async {
                    let stream = tokio::net::TcpStream::from_std(stream).unwrap();
                    handle.serve(stream, FiveTuple::new(Transport::Tcp, client, server), ()).await;
                });
            }
        });
        let mut a = Client::tcp(server, credentials);
        talk(&mut a, &mut b);
        drop(relay);
        serving.join().unwrap();
    }
}

#[test]
pub fn a_call_that_is_revoked_ends_on_both_threads() {
    let shared = Shared::bind("127.0.0.1:0");
    let ip = shared.address.ip();
    let [mut a, mut b] = [shared.client(ip, 0, Side::A), shared.client(ip, 1, Side::B)];
    let relay = shared.start();
    talk(&mut a, &mut b);
    let (c, d) = relay.pair(OTHER_CALL);
    relay.handle.revoke(CALL);
    a.send_on(0x4002, b"too late");
    b.send_on(0x4001, b"too late");
    // Each thread handles what it gets in order: what is answered here comes after that, on either side.
    for client in [&a, &b, &a, &b] {
        assert_eq!(client.binding(), client.local_address());
    }
    assert_eq!([a.refresh(600), b.refresh(600)], [437, 437]);
    assert_eq!([a.allocate(), b.allocate()], [403, 403]);
    c.send(d.relayed, b"still here");
    assert_eq!(d.receive(), Received::from_peer(c.relayed, b"still here"));
}

#[test]
pub fn sockets_that_are_not_one_address_are_refused() {
    let sockets = ["127.0.0.1:0", "127.0.0.1:0"].map(|address| UdpSocket::bind(address).unwrap());
    assert!(relay::start_on(sockets.into(), Secret::random().unwrap()).is_err());
    assert!(relay::start_on(Vec::new(), Secret::random().unwrap()).is_err());
}

/// Both threads wait for a datagram when they are stopped, and none of them may wait for its timeout.
#[test]
pub fn both_threads_stop_at_once() {
    for listen in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
        let relay = Shared::bind(listen).start();
        let start = std::time::Instant::now();
        drop(relay);
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    }
}
