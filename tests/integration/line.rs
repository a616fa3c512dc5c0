//! The line between the visitors and the relay, with a tap on it: what anybody on the way can see.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use sotto::protocol::{CallId, Side};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use crate::server::TestServer;

/// One datagram of a visitor to the relay.
#[derive(Clone)]
pub struct Datagram {
    /// When it came by.
    pub at: Instant,
    /// The visitor's socket.
    pub from: SocketAddr,
    /// As it was, with the framing of TURN.
    pub bytes: Vec<u8>,
}

/// What a datagram has for the partner (RFC 7983 tells them apart by the first byte).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inner<'a> {
    /// Connectivity checks.
    Stun(&'a [u8]),
    /// Keys and the data channel.
    Dtls(&'a [u8]),
    /// A packet of the voice, encrypted but for its header.
    Rtp(&'a [u8]),
    /// What the two tell each other of the voice's way, encrypted but for the first eight bytes.
    Rtcp(&'a [u8]),
}

impl Datagram {
    /// What it has for the partner; `None` when it is for the relay alone.
    pub fn inner(&self) -> Option<Inner<'_>> {
        let bytes = &self.bytes[..];
        let data = match bytes.first()? {
            0x40..=0x4F => {
                let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
                &bytes[4..4 + length]
            }
            // A Send indication and its DATA.
            0x00 if bytes[1] == 0x16 => attributes(bytes).find(|(kind, _)| *kind == 0x0013)?.1,
            _ => return None,
        };
        Some(match (data.first()?, data.get(1)?) {
            (0..=3, _) => Inner::Stun(data),
            (20..=63, _) => Inner::Dtls(data),
            (128..=191, 192..=223) => Inner::Rtcp(data),
            (128..=191, _) => Inner::Rtp(data),
            _ => return None,
        })
    }
}

/// The attributes of a STUN message (RFC 8489 §5).
pub fn attributes(message: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = message.get(20..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (head, after) = rest.split_at_checked(4)?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let value = after.get(..length)?;
        rest = after.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_be_bytes([head[0], head[1]]), value))
    })
}

/// A UDP forwarder that remembers what the visitors send.
pub struct Line {
    socket: Option<UdpSocket>,
    /// For `--relay-host`.
    pub host: String,
    seen: Arc<Mutex<Vec<Datagram>>>,
    task: Option<JoinHandle<()>>,
}

impl Line {
    /// Takes a port; nothing passes yet.
    pub async fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let host = socket.local_addr().expect("an address").to_string();
        Self { socket: Some(socket), host, seen: Arc::default(), task: None }
    }

    /// A server that has native callers in and its relay at the other end of this line.
    pub async fn server(&mut self) -> TestServer {
        let server = TestServer::start_with(&["--allow-native", "--relay-host", &self.host]).await;
        let socket = self.socket.take().expect("one server");
        self.task = Some(tokio::spawn(pass_on(socket, server.port, Arc::clone(&self.seen))));
        server
    }

    /// Everything so far, in order.
    pub fn seen(&self) -> Vec<Datagram> {
        self.seen.lock().expect("no panic").clone()
    }

    /// What this side of this call has sent so far. Its sockets are known by their credentials.
    pub fn sent_by(&self, call: CallId, side: Side) -> Vec<Datagram> {
        let seen = self.seen();
        let side = match side {
            Side::A => "a",
            Side::B => "b",
        };
        let name = format!(":{call}:{side}");
        let own: Vec<_> = seen
            .iter()
            .filter(|datagram| datagram.bytes.first() == Some(&0) && datagram.bytes.get(1) == Some(&3))
            .filter(|datagram| {
                attributes(&datagram.bytes).any(|(kind, value)| kind == 6 && value.ends_with(name.as_bytes()))
            })
            .map(|datagram| datagram.from)
            .collect();
        seen.into_iter().filter(|datagram| own.contains(&datagram.from)).collect()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// A socket of our own stands for each client's at the relay.
async fn pass_on(socket: UdpSocket, port: u16, seen: Arc<Mutex<Vec<Datagram>>>) {
    let socket = Arc::new(socket);
    let mut clients: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut buffer = [0; 2_048];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let at = Instant::now();
        let bytes = buffer[..length].to_vec();
        let out = match clients.get(&from) {
            Some(out) => Arc::clone(out),
            None => {
                let out = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("a free port"));
                out.connect(("127.0.0.1", port)).await.expect("a way");
                clients.insert(from, Arc::clone(&out));
                tokio::spawn(pass_back(Arc::clone(&out), Arc::clone(&socket), from));
                out
            }
        };
        let _ = out.send(&bytes).await;
        seen.lock().expect("no panic").push(Datagram { at, from, bytes });
    }
}

async fn pass_back(out: Arc<UdpSocket>, socket: Arc<UdpSocket>, client: SocketAddr) {
    let mut buffer = [0; 2_048];
    while let Ok(length) = out.recv(&mut buffer).await {
        let _ = socket.send_to(&buffer[..length], client).await;
    }
}
