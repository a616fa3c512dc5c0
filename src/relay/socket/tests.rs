use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::atomic::AtomicBool,
    thread,
    time::{Duration, Instant},
};

use super::{Wait, single};
use crate::{
    protocol::Transport,
    relay::{
        batch::{self, Datagram},
        five_tuple::FiveTuple,
    },
};

/// Of a socket that goes on.
static GOES_ON: AtomicBool = AtomicBool::new(false);

fn bound(address: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn received(datagrams: &[Datagram]) -> Vec<(SocketAddr, SocketAddr, Vec<u8>)> {
    let read = |datagram: &Datagram| {
        let path = datagram.path.unwrap();
        (path.client(), path.server(), datagram.packet.bytes().to_vec())
    };
    datagrams.iter().map(read).collect()
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut bytes = vec![0; 4_096];
    let (length, _) = socket.recv_from(&mut bytes).unwrap();
    bytes.truncate(length);
    bytes
}

#[test]
fn one_at_a_time_does_as_well() {
    let (socket, address) = bound("127.0.0.1:0");
    let (client, from) = bound("127.0.0.1:0");
    single::prepare(&socket, address).unwrap();
    let mut socket = single::Socket::new(socket, address);
    let mut room = batch::room();
    assert!(socket.receive(&mut room, Wait::No, &GOES_ON).is_err(), "nothing is there");
    for text in [b"one", b"two"] {
        client.send_to(text, address).unwrap();
        assert_eq!(socket.receive(&mut room, Wait::Yes, &GOES_ON).unwrap(), 1);
        assert_eq!(received(&room[..1]), [(from, address, text.to_vec())]);
        socket.send(&room[..1]);
        assert_eq!(receive(&client), text);
    }
}

#[test]
fn one_who_waits_for_one_can_be_woken() {
    let (socket, address) = bound("0.0.0.0:0");
    let waker = socket.try_clone().unwrap();
    let mut socket = single::Socket::new(socket, address);
    let start = Instant::now();
    let waiting = thread::spawn(move || socket.receive(&mut batch::room(), Wait::Yes, &GOES_ON).unwrap());
    single::wake(&waker, address);
    assert_eq!(waiting.join().unwrap(), 1, "it is an empty datagram");
    assert!(start.elapsed() < Duration::from_secs(4));
}

#[cfg(target_os = "linux")]
mod by_the_batch {
    use nix::sys::socket::{getsockopt, sockopt};

    use super::*;
    use crate::relay::{
        batch::BATCH,
        socket::many::{self, Socket},
    };

    fn relay(address: &str) -> (Socket, SocketAddr) {
        let (socket, address) = bound(address);
        many::prepare(&socket, address).unwrap();
        (Socket::new(socket, address), address)
    }

    /// Until so many are there: a datagram to loopback is there when it has been sent.
    fn receive_all(socket: &mut Socket, room: &mut [Datagram], count: usize) {
        assert_eq!(socket.receive(room, Wait::Yes, &GOES_ON).unwrap(), count);
    }

    #[test]
    fn a_whole_batch_and_then_the_rest() {
        let (mut socket, address) = relay("127.0.0.1:0");
        let (client, from) = bound("127.0.0.1:0");
        let mut room = batch::room();
        assert!(socket.receive(&mut room, Wait::No, &GOES_ON).is_err(), "nothing is there");
        let texts: Vec<Vec<u8>> = (0..BATCH + 10).map(|number| vec![number as u8; number * 20]).collect();
        for text in &texts {
            client.send_to(text, address).unwrap();
        }
        for texts in texts.chunks(BATCH) {
            receive_all(&mut socket, &mut room, texts.len());
            let expected: Vec<_> = texts.iter().map(|text| (from, address, text.clone())).collect();
            assert!(received(&room[..texts.len()]) == expected);
            socket.send(&room[..texts.len()]);
        }
        for text in texts {
            assert!(receive(&client) == text);
        }
    }

    #[test]
    fn everybody_is_answered_from_the_address_that_he_contacted() {
        for wildcard in ["0.0.0.0:0", "[::]:0"] {
            let Ok(probe) = UdpSocket::bind(wildcard) else {
                eprintln!("skipped: this machine has no {wildcard}");
                continue;
            };
            drop(probe);
            let (mut socket, address) = relay(wildcard);
            let port = address.port();
            let mut room = batch::room();
            let clients: Vec<_> = (0..20)
                .map(|number| {
                    let (client, _) = bound("127.0.0.1:0");
                    let contacted = Ipv4Addr::new(127, 0, 0, 1 + number % 3);
                    // Connected, so that it hears that address alone.
                    client.connect((contacted, port)).unwrap();
                    client.send(&[number]).unwrap();
                    client
                })
                .collect();
            receive_all(&mut socket, &mut room, 20);
            let servers: Vec<SocketAddr> = received(&room[..20]).iter().map(|(_, server, _)| *server).collect();
            assert_eq!(servers[4], SocketAddr::from(([127, 0, 0, 2], port)));
            socket.send(&room[..20]);
            for (number, client) in clients.iter().enumerate() {
                assert_eq!(receive(client), [number as u8]);
            }
        }
    }

    #[test]
    fn what_cannot_be_sent_takes_nobody_with_it() {
        let (mut socket, address) = relay("127.0.0.1:0");
        let (client, _) = bound("127.0.0.1:0");
        let mut room = batch::room();
        for number in 0..10 {
            client.send_to(&[number], address).unwrap();
        }
        receive_all(&mut socket, &mut room, 10);
        for unreachable in [0, 4, 5, 9] {
            let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
            room[unreachable].path = Some(FiveTuple::new(Transport::Udp, nowhere, address));
        }
        room[6].path = None;
        socket.send(&room[..10]);
        let heard: Vec<Vec<u8>> = (0..5).map(|_| receive(&client)).collect();
        assert_eq!(heard, [[1], [2], [3], [7], [8]]);
    }

    #[test]
    fn two_sockets_share_the_clients_of_one_address_and_nobody_else_gets_in() {
        for wildcard in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
            let Ok((first, address)) = UdpSocket::bind(wildcard).map(|first| {
                let address = first.local_addr().unwrap();
                many::prepare(&first, address).unwrap();
                (first, address)
            }) else {
                eprintln!("skipped: this machine has no {wildcard}");
                continue;
            };
            let sharing = |first: &UdpSocket| many::another(first, address, |socket| many::prepare(socket, address));
            let stranger = UdpSocket::bind((address.ip(), 0)).unwrap();
            assert_eq!(sharing(&stranger).unwrap_err().kind(), ErrorKind::AddrInUse, "while it is alone");
            assert!(!getsockopt(&stranger, sockopt::ReusePort).unwrap(), "and alone it stays");
            let second = sharing(&first).unwrap();
            assert_eq!(UdpSocket::bind(address).unwrap_err().kind(), ErrorKind::AddrInUse);
            assert_eq!(second.local_addr().unwrap(), address);

            let mut sockets = [first, second].map(|socket| Socket::new(socket, address));
            let mut room = batch::room();
            let mut taken = [0; 2];
            for number in 0..64_u8 {
                let (client, from) = bound("127.0.0.1:0");
                let contacted = if address.ip().is_unspecified() { [127, 0, 0, 2] } else { [127, 0, 0, 1] };
                let contacted = SocketAddr::from((contacted, address.port()));
                client.connect(contacted).unwrap();
                for again in 0..3 {
                    client.send(&[number, again]).unwrap();
                    let got = [0, 1].map(|index| sockets[index].receive(&mut room, Wait::No, &GOES_ON).is_ok());
                    assert!(got[0] != got[1], "one of them takes it");
                    taken[usize::from(got[1])] += 1;
                    let (came_from, came_to, _) = &received(&room[..1])[0];
                    assert_eq!((came_from.port(), *came_to), (from.port(), contacted));
                    sockets[usize::from(got[1])].send(&room[..1]);
                    assert_eq!(receive(&client), [number, again]);
                }
            }
            assert!(taken.iter().all(|count| *count > 0 && count % 3 == 0), "each client stays with one: {taken:?}");
        }
    }
}
