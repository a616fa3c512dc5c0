use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use super::{Wait, single};
use crate::{
    protocol::Transport,
    relay::{
        batch::{self, Datagram},
        five_tuple::FiveTuple,
    },
};

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
    single::prepare(&socket).unwrap();
    let mut socket = single::Socket::new(socket, address);
    let mut room = batch::room();
    assert!(socket.receive(&mut room, Wait::No).is_err(), "nothing is there");
    for text in [b"one", b"two"] {
        client.send_to(text, address).unwrap();
        assert_eq!(socket.receive(&mut room, Wait::Yes).unwrap(), 1);
        assert_eq!(received(&room[..1]), [(from, address, text.to_vec())]);
        socket.send(&room[..1]);
        assert_eq!(receive(&client), text);
    }
}

#[cfg(target_os = "linux")]
mod by_the_batch {
    use super::*;
    use crate::relay::{
        batch::BATCH,
        socket::many::{self, Socket},
    };

    fn relay(address: &str) -> (Socket, SocketAddr) {
        let (socket, address) = bound(address);
        many::prepare(&socket).unwrap();
        (Socket::new(socket, address), address)
    }

    /// Until so many are there: a datagram to loopback is there when it has been sent.
    fn receive_all(socket: &mut Socket, room: &mut [Datagram], count: usize) {
        assert_eq!(socket.receive(room, Wait::Yes).unwrap(), count);
    }

    #[test]
    fn a_whole_batch_and_then_the_rest() {
        let (mut socket, address) = relay("127.0.0.1:0");
        let (client, from) = bound("127.0.0.1:0");
        let mut room = batch::room();
        assert!(socket.receive(&mut room, Wait::No).is_err(), "nothing is there");
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
}
