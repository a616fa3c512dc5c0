//! A visitor's socket: a WebSocket client (RFC 6455) that speaks [`crate::protocol`].
//!
//! It is also a visitor of its own: `hello`, `join` and `leave` need no peer connection, so tests can
//! bring two hundred of these at once.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header::ORIGIN;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Uri};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::protocol::{self, ClientMessage, MAX_MESSAGE_BYTES, ResumeToken, ServerMessage};

/// How long a TCP connection and the WebSocket handshake may take together. A server that is slower than
/// this is not one to talk through.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// How long one frame may take to be handed to the kernel, and `welcome` to come back after `hello`.
const FRAME_DEADLINE: Duration = Duration::from_secs(5);

/// Read and write buffers of the socket, in bytes: frames are far smaller, and tungstenite's own default of
/// 128 KiB would be what many callers in one process cost most.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024;

/// How many frames may wait in each direction where there is no socket: more than a call has.
const INSIDE_FRAMES: usize = 64;

/// What can go wrong on a socket. No value of these carries an address or a frame's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignallingError {
    /// Not a URL of the form `ws://host[:port][/path]` (`http://` is taken for the same).
    #[error("not a ws:// URL")]
    Url,
    /// The origin to present is not a header value.
    #[error("not an origin")]
    Origin,
    /// The server could not be reached.
    #[error("the server cannot be reached: {0}")]
    Unreachable(io::ErrorKind),
    /// The server answered the handshake with another status than 101.
    #[error("the server refused the socket with status {0}")]
    Refused(u16),
    /// The socket is closed; the code is the server's (see [`crate::protocol::CloseCode`]), when it gave one.
    #[error("the socket is closed (code {0:?})")]
    Closed(Option<u16>),
    /// The server sent something that is not a frame of the protocol.
    #[error("a frame that is not of this protocol")]
    Protocol,
    /// Nothing happened in time.
    #[error("no {0} in time")]
    Timeout(&'static str),
}

/// One text frame as it was on the wire, and which way it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawFrame {
    /// From this visitor to the server.
    Sent(String),
    /// From the server to this visitor.
    Received(String),
}

impl RawFrame {
    /// The text of the frame.
    pub fn text(&self) -> &str {
        match self {
            Self::Sent(text) | Self::Received(text) => text,
        }
    }
}

/// Keeps every raw text frame of the sockets it is given to, for tests that read the wire. It grows without
/// bound: nothing but a test should hold one.
#[derive(Debug, Clone, Default)]
pub struct Tap(Arc<Mutex<Vec<RawFrame>>>);

impl Tap {
    /// All frames so far, in the order they passed.
    pub fn frames(&self) -> Vec<RawFrame> {
        self.lock().clone()
    }

    fn keep(&self, frame: RawFrame) {
        self.lock().push(frame);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<RawFrame>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One socket to the server.
#[derive(Debug)]
pub struct Signalling {
    way: Way,
    server: SocketAddr,
    tap: Option<Tap>,
}

/// How frames go.
#[derive(Debug)]
enum Way {
    Socket(Box<WebSocketStream<TcpStream>>),
    /// Within the server's own process.
    Inside(mpsc::Sender<ClientMessage>, mpsc::Receiver<ServerMessage>),
}

/// The server's end of a [`Signalling`] that has no socket.
pub(crate) struct Inside {
    /// What the caller says. Ends when the caller is gone.
    pub(crate) from: mpsc::Receiver<ClientMessage>,
    /// What the caller is told.
    pub(crate) to: mpsc::Sender<ServerMessage>,
}

impl Signalling {
    /// For a caller in the server's own process: the same frames, with no socket between. The relay is at `server`.
    pub(crate) fn inside(server: SocketAddr) -> (Self, Inside) {
        let (said, from) = mpsc::channel(INSIDE_FRAMES);
        let (to, told) = mpsc::channel(INSIDE_FRAMES);
        (Self { way: Way::Inside(said, told), server, tap: None }, Inside { from, to })
    }

    /// Opens the socket. An empty path stands for `/ws`. Without an `origin` there is no `Origin` header,
    /// which a server accepts only where its operator allows native callers.
    ///
    /// # Errors
    ///
    /// [`SignallingError::Url`], [`Origin`](SignallingError::Origin),
    /// [`Unreachable`](SignallingError::Unreachable), [`Refused`](SignallingError::Refused), or
    /// [`Timeout`](SignallingError::Timeout) after five seconds.
    pub async fn connect(url: &str, origin: Option<&str>, tap: Option<Tap>) -> Result<Self, SignallingError> {
        let (host, port, url) = parse(url)?;
        let mut request = url.into_client_request().map_err(|_| SignallingError::Url)?;
        if let Some(origin) = origin {
            let origin = HeaderValue::from_str(origin).map_err(|_| SignallingError::Origin)?;
            request.headers_mut().insert(ORIGIN, origin);
        }
        let config = WebSocketConfig::default()
            .read_buffer_size(SOCKET_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));

        let open = async {
            let stream = TcpStream::connect((host.as_str(), port))
                .await
                .map_err(|error| SignallingError::Unreachable(error.kind()))?;
            // A frame is a whole thought: waiting for more of them (RFC 896) only delays the call.
            stream.set_nodelay(true).map_err(|error| SignallingError::Unreachable(error.kind()))?;
            let server = stream.peer_addr().map_err(|error| SignallingError::Unreachable(error.kind()))?;
            let (socket, _) = client_async_with_config(request, stream, Some(config)).await.map_err(lost)?;
            Ok(Self { way: Way::Socket(Box::new(socket)), server, tap })
        };
        timeout(CONNECT_DEADLINE, open).await.map_err(|_| SignallingError::Timeout("handshake"))?
    }

    /// The address this socket is connected to, which is where the relay is unless the server names another.
    pub(crate) fn server(&self) -> SocketAddr {
        self.server
    }

    /// Sends one frame of the protocol.
    ///
    /// # Errors
    ///
    /// [`SignallingError::Closed`], or [`Timeout`](SignallingError::Timeout) when the other end has not
    /// read for five seconds.
    pub async fn send(&mut self, message: &ClientMessage) -> Result<(), SignallingError> {
        if let Way::Inside(said, _) = &self.way {
            return said.try_send(message.clone()).map_err(|_| SignallingError::Closed(None));
        }
        // Every message is made of strings, numbers and lists: there is nothing here that JSON cannot say.
        let text = serde_json::to_string(message).map_err(|_| SignallingError::Protocol)?;
        self.send_raw(Message::text(text)).await
    }

    /// Sends any WebSocket message, so that a test can be the visitor who does not keep to the protocol.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_raw(&mut self, message: Message) -> Result<(), SignallingError> {
        if let (Some(tap), Message::Text(text)) = (&self.tap, &message) {
            tap.keep(RawFrame::Sent(text.to_string()));
        }
        let Way::Socket(socket) = &mut self.way else {
            return Err(SignallingError::Closed(None));
        };
        timeout(FRAME_DEADLINE, socket.send(message))
            .await
            .map_err(|_| SignallingError::Timeout("room in the socket"))?
            .map_err(lost)
    }

    /// Waits for the next frame; pings are answered on the way. Has no deadline of its own, because a visitor
    /// may wait for as long as it takes, and may be dropped without losing a frame.
    ///
    /// # Errors
    ///
    /// [`SignallingError::Closed`] at the end of the socket, [`Protocol`](SignallingError::Protocol) for a
    /// frame that is not one of the protocol.
    pub async fn next(&mut self) -> Result<ServerMessage, SignallingError> {
        let socket = match &mut self.way {
            Way::Socket(socket) => socket,
            Way::Inside(_, told) => return told.recv().await.ok_or(SignallingError::Closed(None)),
        };
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    if let Some(tap) = &self.tap {
                        tap.keep(RawFrame::Received(text.to_string()));
                    }
                    return protocol::read(&text).map_err(|_| SignallingError::Protocol);
                }
                Some(Ok(Message::Close(frame))) => {
                    let code = frame.map(|frame| frame.code.into());
                    return Err(SignallingError::Closed(code));
                }
                Some(Ok(Message::Binary(_))) => return Err(SignallingError::Protocol),
                // A pong is sent by tungstenite itself when it is read from the next time.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => return Err(lost(error)),
                None => return Err(SignallingError::Closed(None)),
            }
        }
    }

    /// Says `hello` and waits for `welcome`; returns the token that brings a later socket back.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send) and [`next`](Self::next); [`Protocol`](SignallingError::Protocol) for any
    /// other answer, [`Timeout`](SignallingError::Timeout) for none within five seconds.
    pub async fn hello(&mut self, resume: Option<ResumeToken>) -> Result<ResumeToken, SignallingError> {
        self.send(&ClientMessage::Hello { resume }).await?;
        match timeout(FRAME_DEADLINE, self.next()).await.map_err(|_| SignallingError::Timeout("welcome"))?? {
            ServerMessage::Welcome { resume, .. } => Ok(resume),
            _ => Err(SignallingError::Protocol),
        }
    }

    /// Closes the socket with the closing handshake (RFC 6455 §7), as a tab does. Dropping it instead is what
    /// a killed process does.
    pub async fn close(self) {
        let Way::Socket(socket) = self.way else { return };
        let mut socket = *socket;
        let farewell = async {
            let _ = socket.close(None).await;
            while let Some(Ok(_)) = socket.next().await {}
        };
        let _ = timeout(FRAME_DEADLINE, farewell).await;
    }
}

/// Host, port and the URL to ask for.
fn parse(url: &str) -> Result<(String, u16, Uri), SignallingError> {
    let uri: Uri = url.parse().map_err(|_| SignallingError::Url)?;
    if !matches!(uri.scheme_str(), Some("ws" | "http")) {
        return Err(SignallingError::Url);
    }
    let authority = uri.authority().ok_or(SignallingError::Url)?;
    let host = authority.host();
    let port = authority.port_u16().unwrap_or(80);
    let path = match uri.path_and_query().map_or("/", |path| path.as_str()) {
        "/" => "/ws",
        path => path,
    };
    let request = format!("ws://{}{path}", authority.as_str());
    Ok((host.trim_matches(['[', ']']).to_owned(), port, request.parse().map_err(|_| SignallingError::Url)?))
}

/// What a socket's error means to somebody who only wants to know whether to try again.
fn lost(error: SocketError) -> SignallingError {
    match error {
        SocketError::Http(response) => SignallingError::Refused(response.status().as_u16()),
        SocketError::Capacity(_) | SocketError::Utf8(_) => SignallingError::Protocol,
        SocketError::Url(_) | SocketError::HttpFormat(_) => SignallingError::Url,
        _ => SignallingError::Closed(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_becomes_host_port_and_path() {
        let of = |url| parse(url).map(|(host, port, uri)| (host, port, uri.to_string()));
        let is = |host: &str, port, url: &str| Ok((host.to_owned(), port, url.to_owned()));
        for (url, expected) in [
            ("ws://localhost:8080/ws", is("localhost", 8080, "ws://localhost:8080/ws")),
            ("http://localhost:8080", is("localhost", 8080, "ws://localhost:8080/ws")),
            ("http://localhost:8080/", is("localhost", 8080, "ws://localhost:8080/ws")),
            ("ws://talk.example.org", is("talk.example.org", 80, "ws://talk.example.org/ws")),
            ("ws://[::1]:9/ws?x", is("::1", 9, "ws://[::1]:9/ws?x")),
        ] {
            let of: Result<_, SignallingError> = of(url);
            let expected: Result<_, SignallingError> = expected;
            assert_eq!(of.unwrap(), expected.unwrap());
        }
        for url in ["", "localhost", "/ws", "ftp://localhost/", "wss://localhost/ws", "ws://"] {
            assert!(matches!(parse(url), Err(SignallingError::Url)), "{url}");
        }
    }
}
