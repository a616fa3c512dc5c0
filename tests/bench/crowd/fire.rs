//! Everything that somebody can do who means harm, at once, from networks of their own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

/// Their part of 127.0.0.0/8.
const PART: u8 = 200;

/// How many networks each kind of them has.
const NETWORKS: usize = 8;

/// The kinds, in the order in which their counts are said.
pub const KINDS: [&str; 9] = [
    "silent connections",
    "sockets without hello",
    "flooded frames",
    "oversized frames",
    "malformed frames",
    "wrong states",
    "connections of a storm",
    "TURN datagrams",
    "HTTP requests",
];

fn home(kind: usize, number: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, PART, kind as u8, (number % NETWORKS) as u8 + 1)
}

async fn connect(server: SocketAddr, from: Ipv4Addr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect(server).await
}

async fn socket(server: SocketAddr, from: Ipv4Addr) -> Option<WebSocketStream<TcpStream>> {
    let stream = connect(server, from).await.ok()?;
    let request = format!("ws://{server}/ws").into_client_request().ok()?;
    Some(timeout(Duration::from_secs(10), client_async(request, stream)).await.ok()?.ok()?.0)
}

fn reset(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Sends these again and again until the server has had enough.
async fn flood(server: SocketAddr, from: Ipv4Addr, messages: &[Message], count: &AtomicU64) {
    let Some(mut socket) = socket(server, from).await else { return };
    let _ = socket.send(Message::text(r#"{"type":"hello"}"#)).await;
    'all: loop {
        for message in messages {
            // Whoever does not read is no better: the server's answers fill what the system keeps.
            if timeout(Duration::from_secs(2), socket.send(message.clone())).await.is_ok_and(|sent| sent.is_err()) {
                break 'all;
            }
            count.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    }
    reset(socket.get_ref());
}

/// Fires until asked to end; `scale` is how much, and then says how many there were of each kind.
pub async fn fire(server: SocketAddr, scale: f64) -> anyhow::Result<()> {
    let counts: Arc<[AtomicU64; KINDS.len()]> = Arc::default();
    let many = |count: f64| ((count * scale) as usize).max(1);
    for number in 0..many(512.0) {
        let counts = Arc::clone(&counts);
        tokio::spawn(async move {
            loop {
                if let Ok(mut stream) = connect(server, home(0, number)).await {
                    counts[0].fetch_add(1, Ordering::Relaxed);
                    let _ = stream.read_u8().await;
                }
                sleep(Duration::from_secs(1)).await;
            }
        });
    }
    for number in 0..many(256.0) {
        let counts = Arc::clone(&counts);
        tokio::spawn(async move {
            loop {
                if let Some(mut socket) = socket(server, home(1, number)).await {
                    counts[1].fetch_add(1, Ordering::Relaxed);
                    while let Some(Ok(_)) = socket.next().await {}
                }
                sleep(Duration::from_secs(1)).await;
            }
        });
    }
    let join = r#"{"type":"join","languages":["xyz"],"role":"either","avoid_recent":false}"#;
    let call = r#""call":"0b3d7c5e-8a53-4d0b-9a2f-6c1f0e2d4b5a""#;
    let kinds: [Vec<Message>; 4] = [
        vec![Message::text(join), Message::text(r#"{"type":"leave"}"#)],
        vec![Message::text("x".repeat(64 * 1024))],
        vec![
            Message::text("{"),
            Message::text("[]"),
            Message::text(r#"{"type":"join"}"#),
            Message::binary(vec![0; 64]),
        ],
        [r#"{"type":"connected",CALL}"#, r#"{"type":"candidate",CALL,"port":50000}"#, r#"{"type":"hello"}"#]
            .map(|text| Message::text(text.replace("CALL", call)))
            .to_vec(),
    ];
    for (kind, messages) in kinds.into_iter().enumerate() {
        let messages: Arc<[Message]> = messages.into();
        for number in 0..many(16.0) {
            let (counts, messages) = (Arc::clone(&counts), Arc::clone(&messages));
            tokio::spawn(async move {
                loop {
                    flood(server, home(2 + kind, number), &messages, &counts[2 + kind]).await;
                    sleep(Duration::from_millis(250)).await;
                }
            });
        }
    }
    let ticks = move |per_second: f64| {
        let mut ticks = interval(Duration::from_secs_f64(1.0 / (per_second * scale)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks
    };
    let storm = Arc::clone(&counts);
    tokio::spawn(async move {
        let mut ticks = ticks(500.0);
        for number in 0.. {
            ticks.tick().await;
            if let Ok(stream) = connect(server, home(6, number)).await {
                reset(&stream);
                storm[6].fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    for number in 0..NETWORKS {
        let counts = Arc::clone(&counts);
        let socket = UdpSocket::bind((home(7, number), 0)).await?;
        tokio::spawn(async move {
            let mut ticks = ticks(250.0);
            for round in 0_u64.. {
                ticks.tick().await;
                // Ten at a time: a Binding, an Allocate without credentials, ChannelData of nobody, and noise.
                for piece in 0..10_u8 {
                    let mut bytes = vec![0, [1, 3, 8, 4][usize::from(piece) % 4], 0, 0, 0x21, 0x12, 0xA4, 0x42];
                    bytes.extend(round.to_be_bytes());
                    bytes.extend([piece; 4]);
                    if piece % 4 == 1 {
                        bytes[3] = 8;
                        bytes.extend([0x00, 0x19, 0, 4, 17, 0, 0, 0]);
                    } else if piece % 4 == 2 {
                        bytes[0] = 0x40;
                    }
                    if socket.send_to(&bytes, server).await.is_ok() {
                        counts[7].fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
    }
    let requests = Arc::clone(&counts);
    tokio::spawn(async move {
        let mut ticks = ticks(200.0);
        let filler = "x-filler: ".to_owned() + &"y".repeat(4_000) + "\r\n";
        for number in 0.. {
            ticks.tick().await;
            let Ok(mut stream) = connect(server, home(8, number)).await else { continue };
            let request = format!("GET /{number} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n{filler}\r\n");
            let requests = Arc::clone(&requests);
            tokio::spawn(async move {
                if stream.write_all(request.as_bytes()).await.is_ok() {
                    requests[8].fetch_add(1, Ordering::Relaxed);
                    let _ = timeout(Duration::from_secs(2), stream.read(&mut [0; 4_096])).await;
                }
                reset(&stream);
            });
        }
    });
    println!("ready");
    let mut stdin = tokio::io::stdin();
    while stdin.read_u8().await.is_ok() {}
    let all: Vec<String> = counts.iter().map(|count| count.load(Ordering::Relaxed).to_string()).collect();
    println!("{}", all.join(" "));
    std::process::exit(0);
}
