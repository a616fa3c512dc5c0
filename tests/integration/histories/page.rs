//! A page of which only the socket is real, and what it can know of the server's mind.

use std::collections::VecDeque;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream as StdStream};
use std::time::{Duration, Instant};

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use socket2::SockRef;
use sotto::protocol::{CallId, Languages, ResumeToken, Role, ServerMessage, read};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::server::DEADLINE;
use crate::wire::check_frame;

/// How fast frames may come: a little slower than `web/pulse.rs` allows, and a burst that is a little smaller.
const FRAME_EVERY: Duration = Duration::from_millis(60);
const FRAME_BURST: u32 = 40;

/// What a socket brings.
#[derive(Debug)]
pub enum Heard {
    Frame(ServerMessage),
    /// The end, with the server's code where it gave one.
    Closed(Option<u16>),
}

/// What a socket brings, with its page and its number.
pub type News = (usize, usize, Heard);

/// One socket, with a second handle for what no WebSocket library sends.
pub struct Socket {
    pub number: usize,
    sink: SplitSink<WebSocketStream<TcpStream>, Message>,
    raw: StdStream,
    reader: JoinHandle<()>,
    /// When the frames sent so far would have been in order.
    paid: Instant,
}

impl Socket {
    /// Connects from this address. Whatever comes is put into `heard`, as of this page and this socket.
    pub async fn open(
        port: u16,
        from: Ipv4Addr,
        (page, number): (usize, usize),
        heard: mpsc::UnboundedSender<News>,
    ) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from((from, 0))).expect("a loopback address");
        let stream = timeout(DEADLINE, socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
        let stream = stream.await.expect("a connection in time").expect("a connection");
        stream.set_nodelay(true).expect("an option");
        let stream = stream.into_std().expect("a socket");
        let raw = stream.try_clone().expect("a second handle");
        let stream = TcpStream::from_std(stream).expect("a socket");
        let request = format!("ws://127.0.0.1:{port}/ws").into_client_request().expect("a request");
        let (socket, _) = timeout(DEADLINE, client_async(request, stream)).await.expect("in time").expect("let in");
        let (sink, source) = socket.split();
        let reader = tokio::spawn(hear(source, page, number, heard));
        let paid = Instant::now() - FRAME_EVERY * FRAME_BURST;
        Self { number, sink, raw, reader, paid }
    }

    /// Whether so many frames more would not be too fast.
    pub fn has_time_for(&mut self, frames: u32) -> bool {
        let now = Instant::now();
        self.paid = self.paid.max(now - FRAME_EVERY * FRAME_BURST);
        self.paid + FRAME_EVERY * frames <= now
    }

    /// Sends a message. A socket that the server has closed meanwhile says so by what is heard.
    pub async fn send(&mut self, message: Message) {
        self.paid += FRAME_EVERY;
        let _ = timeout(DEADLINE, self.sink.send(message)).await.expect("room in the socket");
    }

    /// Sends bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        let _ = self.raw.write_all(bytes);
    }

    /// Ends it with a FIN, after everything that was sent.
    pub async fn end(self) {
        self.close().await;
    }

    /// Ends it with an RST, which may overtake what was sent.
    pub async fn reset(self) {
        let _ = SockRef::from(&self.raw).set_linger(Some(Duration::ZERO));
        self.close().await;
    }

    async fn close(self) {
        self.reader.abort();
        let _ = self.reader.await;
    }
}

async fn hear(
    mut source: SplitStream<WebSocketStream<TcpStream>>,
    page: usize,
    number: usize,
    heard: mpsc::UnboundedSender<News>,
) {
    let code = loop {
        match source.next().await {
            Some(Ok(Message::Text(text))) => {
                check_frame(&text);
                let frame = read(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
                let _ = heard.send((page, number, Heard::Frame(frame)));
            }
            Some(Ok(Message::Close(frame))) => break frame.map(|frame| frame.code.into()),
            Some(Ok(Message::Binary(_) | Message::Frame(_))) => panic!("the server sent something that is not text"),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Err(tungstenite::Error::Protocol(error)))
                if error != tungstenite::error::ProtocolError::ResetWithoutClosingHandshake =>
            {
                panic!("the server broke the protocol: {error}")
            }
            Some(Err(_)) | None => break None,
        }
    };
    let _ = heard.send((page, number, Heard::Closed(code)));
}

/// Whether something holds, where it depends on what the server has read already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maybe {
    No,
    Unknown,
    Yes,
}

/// A wish for somebody, as it was sent.
#[derive(Debug, Clone)]
pub struct Wish {
    pub languages: Languages,
    pub role: Role,
    pub avoid_recent: bool,
    /// The server took it later.
    pub sent: Instant,
    /// By how many networks this one had certainly been reported when it was sent.
    pub reported: usize,
}

/// What the server thinks of a visitor, as far as its frames have told, and but for what it has not answered.
#[derive(Debug, Clone)]
pub enum State {
    /// No `hello` has been answered.
    New,
    Idle,
    Waiting(Wish),
    InCall(CallId),
    /// In a call with the server's own caller.
    Hearing(CallId),
    /// A socket was lost with something on its way, so that nothing is certain until a `leave` is answered.
    Unsure,
}

/// What was sent and not yet answered, in order.
#[derive(Debug, Clone)]
pub enum Sent {
    /// Answered by `unexpected_hello`, always: what was sent before it has been read.
    Probe,
    Hello(Option<ResumeToken>),
    Join(Wish),
    Hear,
    /// Something that is not of the protocol.
    Garbage,
    /// Answered by a problem or not at all.
    May(Silent),
}

#[derive(Debug, Clone)]
pub enum Silent {
    Leave,
    Connected(CallId),
    /// With whether it has to be taken.
    Describe(CallId, bool),
    Report(CallId),
    /// Candidates, restarts, and all that is about calls that are over.
    Other,
}

/// One page.
pub struct Page {
    pub address: Ipv4Addr,
    /// Who the server takes it for.
    pub visitor: usize,
    pub socket: Option<Socket>,
    pub token: Option<ResumeToken>,
    /// One that has been used.
    pub stale: Option<ResumeToken>,
    pub state: State,
    pub sent: VecDeque<Sent>,
    /// A `waiting` follows the `ended` that has just come, for this wish.
    pub owed: Option<Wish>,
    pub bad_frames: u32,
    /// How the server has to close this socket; anything else is a fault.
    pub breach: Option<u16>,
}
