//! Floods over real sockets, from many addresses, while others visit and talk.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};
use stun_types::message::{Message, MessageWrite, MessageWriteVec};
use turn_types::message::ALLOCATE;

use super::{client::Received, house::House};
use crate::{browser::turn, server::DEADLINE};

/// What the server lets in of those it knows nothing of (`MAX_STRANGERS`, `MAX_GUESTS` in `src/door.rs`).
const STRANGERS: usize = 1_024;
const GUESTS: usize = 4_096;

/// What says nothing is shown out after this at the earliest, flood or not.
const SHOWN_OUT_AFTER: Duration = Duration::from_secs(10);

/// A connection to the server from one of many addresses.
fn connect(number: usize, to: SocketAddr) -> TcpStream {
    let [.., high, low] = (number as u32).to_be_bytes();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 1, high % 8, 1 + low % 200], 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

/// Whether the other end has closed this.
fn is_closed(mut socket: &TcpStream) -> bool {
    socket.set_nonblocking(true).unwrap();
    loop {
        match socket.read(&mut [0; 256]).map_err(|error| error.kind()) {
            Ok(0) | Err(ErrorKind::ConnectionReset) => return true,
            Ok(_) => {}
            Err(ErrorKind::WouldBlock) => return false,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Connections that say this and nothing more, twice as many as there is room for and more and more of them. The oldest
/// go, nobody else notices.
async fn half_open(said: &[u8], room: usize) {
    let _turn = turn().await;
    let house = House::start(&[]).await;
    let (turn, call) = (house.pair(1, true), house.pair(2, false));
    let before = house.memory();
    let start = Instant::now();
    let mut flood: Vec<TcpStream> = Vec::new();
    for number in 0..2 * room {
        let mut socket = connect(number, house.address);
        socket.write_all(said).unwrap();
        flood.push(socket);
    }
    let opened = start.elapsed();
    let mut kept: Vec<&TcpStream> = flood.iter().collect();
    while kept.len() > room {
        assert!(start.elapsed() < SHOWN_OUT_AFTER, "{} of {} are still there", kept.len(), flood.len());
        kept.retain(|socket| !is_closed(socket));
    }
    let closed = start.elapsed();
    let each = house.memory().saturating_sub(before) / kept.len();
    println!(
        "{:?}: {} connections in {opened:?}, {} closed after {closed:?}; {each} bytes for each of the others",
        String::from_utf8_lossy(said),
        flood.len(),
        flood.len() - kept.len(),
    );
    assert!(each < 48 * 1_024, "{each}");
    // And it goes on while others come.
    let stop = Arc::new(AtomicBool::new(false));
    let going_on = thread::spawn({
        let (stop, address, said) = (Arc::clone(&stop), house.address, said.to_vec());
        move || {
            let mut kept = Vec::new();
            while !stop.load(Ordering::Relaxed) && kept.len() < 8_000 {
                let mut socket = connect(kept.len(), address);
                let _ = socket.write_all(&said);
                kept.push(socket);
                thread::sleep(Duration::from_millis(1));
            }
            kept.len()
        }
    });
    house.meeting().await;
    tokio::task::block_in_place(|| {
        for round in 0..10 {
            house.page();
            let (a, b) = house.pair(10 + round, true);
            a.send(b.relayed, b"by TCP");
            assert_eq!(b.receive(), Received::from_peer(a.relayed, b"by TCP"));
        }
        // Those who were there before are still there, however long they have been.
        for (a, b) in [&turn, &call] {
            a.send(b.relayed, b"still here");
            assert_eq!(b.receive(), Received::from_peer(a.relayed, b"still here"));
        }
    });
    stop.store(true, Ordering::Relaxed);
    println!("and {} more while others visited", going_on.join().unwrap());
    drop(flood);
    house.server.stop().await;
}

fn challenge() -> Vec<u8> {
    Message::builder_request(ALLOCATE, MessageWriteVec::new()).finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_throw_themselves_out() {
    half_open(b"", STRANGERS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_never_allocate_throw_themselves_out() {
    half_open(&challenge(), STRANGERS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_requests_throw_themselves_out() {
    half_open(b"GET / HTTP/1.1\r\nHost: he", GUESTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_kept_alive_throw_themselves_out() {
    half_open(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n", GUESTS).await;
}

/// Requests without credentials from two thousand addresses cost a call nothing, and the server no memory.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_cost_a_call_nothing() {
    const SOURCES: usize = 2_000;
    const A_SECOND: u64 = 10_000;
    const PACKETS: u32 = 250;
    let _turn = turn().await;
    let house = House::start(&[]).await;
    let (a, b) = house.pair(1, false);
    let sources: Vec<UdpSocket> = (0..SOURCES)
        .map(|number| {
            let [.., high, low] = (number as u32).to_be_bytes();
            let socket = UdpSocket::bind(SocketAddr::from(([127, 2, high, 1 + low % 250], 0))).unwrap();
            socket.connect(house.address).unwrap();
            socket
        })
        .collect();
    // Every prefix is known once: from here on memory has no reason to grow.
    let request = challenge();
    for source in &sources {
        source.send(&request).unwrap();
        source.set_read_timeout(Some(DEADLINE)).unwrap();
        assert!(source.recv(&mut [0; 256]).unwrap() > request.len());
    }
    let before = house.memory();
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let flood = thread::spawn({
        let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
        move || {
            let start = Instant::now();
            for source in sources.iter().cycle() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                while sent.load(Ordering::Relaxed) > start.elapsed().as_micros() as u64 * A_SECOND / 1_000_000 {
                    thread::sleep(Duration::from_micros(200));
                }
                source.send(&request).unwrap();
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let mut slowest = Duration::ZERO;
    let start = Instant::now();
    tokio::task::block_in_place(|| {
        for number in 0..PACKETS {
            // The pace of a voice.
            thread::sleep((Duration::from_millis(20) * number).saturating_sub(start.elapsed()));
            let said = Instant::now();
            a.send(b.relayed, &number.to_be_bytes());
            assert_eq!(b.receive(), Received::from_peer(a.relayed, &number.to_be_bytes()));
            b.send(a.relayed, &number.to_be_bytes());
            assert_eq!(a.receive(), Received::from_peer(b.relayed, &number.to_be_bytes()));
            slowest = slowest.max(said.elapsed());
        }
    });
    stop.store(true, Ordering::Relaxed);
    flood.join().unwrap();
    let (sent, after) = (sent.load(Ordering::Relaxed), house.memory());
    println!(
        "{sent} requests of {SOURCES} strangers: none of {} packets lost, {slowest:?} there and back at the most, \
         memory {} -> {} KB",
        2 * PACKETS,
        before / 1_024,
        after / 1_024
    );
    assert!(sent > u64::from(PACKETS) * 100, "{sent}");
    assert!(after < before + 1_024 * 1_024, "memory grew from {before} to {after}");
    house.server.stop().await;
}
