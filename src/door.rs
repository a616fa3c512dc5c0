//! The one TCP port: who knocks is a page or a TURN client, with TLS or without, and says which with the first
//! byte.
//!
//! | first byte      | what it begins                                    |
//! |-----------------|---------------------------------------------------|
//! | `0x00` – `0x03` | a STUN request: for the relay                     |
//! | `0x16`          | a TLS handshake; the same again inside            |
//! | an ASCII letter | an HTTP request: for [`web`](crate::web)          |
//!
//! No client begins with ChannelData, because it has no channel yet; that its first byte could be a letter as well
//! does not matter. ALPN and SNI say nothing here: many TURN clients send neither. Only an authority that looks whether this
//! server has a name says so by ALPN, and has all that it wants when the handshake is over ([`tls`]).
//!
//! Where the operator wants a port for plain HTTP as well, it is a second entrance to the same porch, for HTTP alone.

mod authority;
mod http;
mod strangers;
mod stream;
pub mod tls;

use std::{
    fmt,
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use socket2::{SockRef, Socket};
use tokio::{
    io::AsyncBufReadExt,
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
    time::{sleep, sleep_until, timeout},
};
use tracing::{debug, warn};

use self::{http::HttpStream, strangers::Strangers, stream::Stream};
use crate::{
    guard::{Guard, Home, Kind, Pass, Place},
    port::{self, Turn},
    protocol::Transport,
    relay::{self, FiveTuple},
};

/// How long a connection may take to its first byte, and through the TLS handshake where there is one: six round
/// trips of a bad network. Browsers open some connections before they need them, and open another when one was
/// closed.
const SPEAK_WITHIN: Duration = Duration::from_secs(10);

/// Connections of which nothing is known yet, and TURN clients without an allocation. When one more comes the
/// oldest of them is closed: an honest one is out of here within a second, so a flood throws itself out.
const MAX_STRANGERS: usize = 1_024;

/// HTTP connections that are no WebSocket. When one more comes the oldest of them is closed: a page is loaded within
/// seconds, and what a browser keeps open after that it opens again when it needs it. Some 20 KB each.
const MAX_GUESTS: usize = 4_096;

/// HTTP connections between here and axum, which takes them at once.
const MAX_HANDOVERS: usize = 64;

/// What a TURN client may leave unread in the system's buffer, in bytes (Linux doubles it): the system's own choice
/// would hold minutes of voice.
const SEND_BUFFER: usize = 16 * 1024;

/// How long those are waited for who have begun to connect when the port goes to the next server: three round trips of a
/// slow network.
const ON_THEIR_WAY: Duration = Duration::from_secs(1);

/// How long to wait when the system has no more sockets to give.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Where a request came from.
#[derive(Clone)]
pub struct Arrival {
    /// The other end of the connection: the visitor, or a proxy.
    pub address: SocketAddr,
    /// Whether the connection has TLS.
    pub encrypted: bool,
    /// The port that HTTPS is on, for whoever has come to another.
    pub https: Option<u16>,
    stay: Arc<Notify>,
}

impl Arrival {
    /// From there, with TLS or without.
    pub fn new(address: SocketAddr, encrypted: bool) -> Self {
        Self { address, encrypted, https: None, stay: Arc::default() }
    }

    /// Has the connection stay, however many others come: it is a visitor's WebSocket.
    pub fn stay(&self) {
        self.stay.notify_one();
    }
}

/// Addresses are for limits, not for logs.
impl fmt::Debug for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Arrival(…)")
    }
}

impl Connected<IncomingStream<'_, Door>> for Arrival {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.remote_addr().clone()
    }
}

/// Takes connections in, keeps those of TURN clients for the relay, and gives those of HTTP to axum.
pub struct Door {
    address: SocketAddr,
    /// Absent once the port has gone to the next server.
    listener: Option<TcpListener>,
    /// Where there is HTTP alone; absent as well when nobody wants it.
    http: Option<TcpListener>,
    locked: Arc<Notify>,
    /// When it closes to those who were on their way to it.
    closes: Option<Instant>,
    porch: Arc<Porch>,
    handed: mpsc::Receiver<(HttpStream, Arrival)>,
}

/// What the tasks of new connections share.
struct Porch {
    relay: relay::Handle,
    tls: Option<Arc<tls::Identity>>,
    guard: Arc<Guard>,
    strangers: Arc<Strangers>,
    guests: Arc<Strangers>,
    http: mpsc::Sender<(HttpStream, Arrival)>,
}

impl Door {
    /// A door on this listener, with TLS or without.
    pub fn new(
        listener: TcpListener,
        tls: Option<Arc<tls::Identity>>,
        relay: relay::Handle,
        guard: Arc<Guard>,
    ) -> io::Result<Self> {
        let (http, handed) = mpsc::channel(MAX_HANDOVERS);
        let strangers = Arc::new(Strangers::new(MAX_STRANGERS));
        let guests = Arc::new(Strangers::new(MAX_GUESTS));
        Ok(Self {
            address: listener.local_addr()?,
            listener: Some(listener),
            http: None,
            locked: Arc::default(),
            closes: None,
            porch: Arc::new(Porch { relay, tls, guard, strangers, guests, http }),
            handed,
        })
    }

    /// Opens a second entrance, for plain HTTP.
    #[must_use]
    pub fn with_http(self, http: Option<TcpListener>) -> Self {
        Self { http, ..self }
    }

    /// What locks it.
    ///
    /// # Errors
    ///
    /// When the system gives no handle on a listener.
    pub fn key(&self) -> io::Result<Key> {
        let listeners = [&self.listener, &self.http].into_iter().flatten();
        let listeners = listeners.map(|listener| SockRef::from(listener).try_clone()).collect::<io::Result<_>>()?;
        Ok(Key { listeners, locked: Arc::clone(&self.locked) })
    }

    /// Closes for good. Those who have just come would be turned away by the system, and are let in.
    fn close(&mut self) {
        for (listener, entrance) in [(self.listener.take(), Entrance::Main), (self.http.take(), self.for_http())] {
            let Some(Ok(listener)) = listener.map(TcpListener::into_std) else { continue };
            let _ = port::give_all_to(&SockRef::from(&listener), Turn::First);
            while let Ok((stream, client)) = listener.accept() {
                if stream.set_nonblocking(true).is_ok()
                    && let Ok(stream) = TcpStream::from_std(stream)
                {
                    self.admit(stream, client, entrance);
                }
            }
        }
    }

    fn for_http(&self) -> Entrance {
        Entrance::Http { https: self.address.port() }
    }

    fn admit(&self, stream: TcpStream, client: SocketAddr, entrance: Entrance) {
        let Some(caller) = self.porch.admit(client) else {
            debug!("a connection too many");
            // Nothing of it is left here: no handshake, and no TIME_WAIT.
            let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
            return;
        };
        let porch = Arc::clone(&self.porch);
        self.porch.strangers.admit(|seat| tokio::spawn(porch.receive(stream, entrance, caller, seat)));
    }
}

impl Listener for Door {
    type Io = HttpStream;
    type Addr = Arrival;

    async fn accept(&mut self) -> (HttpStream, Arrival) {
        loop {
            let (accepted, entrance) = tokio::select! {
                Some(handed) = self.handed.recv() => return handed,
                accepted = accept(self.listener.as_ref()) => (accepted, Entrance::Main),
                accepted = accept(self.http.as_ref()) => (accepted, self.for_http()),
                () = self.locked.notified() => {
                    self.closes = Some(Instant::now() + ON_THEIR_WAY);
                    continue;
                }
                () = until(self.closes) => {
                    self.closes = None;
                    self.close();
                    continue;
                }
            };
            match accepted {
                Ok((stream, client)) => self.admit(stream, client, entrance),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    warn!(kind = ?error.kind(), "no connection can be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Arrival> {
        Ok(Arrival::new(self.address, self.porch.tls.is_some()))
    }
}

/// Locks a door from inside: whoever comes from then on comes to the next server's.
pub struct Key {
    listeners: Vec<Socket>,
    locked: Arc<Notify>,
}

impl Key {
    /// Turns it.
    pub fn turn(self) {
        for listener in &self.listeners {
            if let Err(error) = port::give_all_to(listener, Turn::Second) {
                warn!(kind = ?error.kind(), "some who come now are turned away");
            }
        }
        self.locked.notify_one();
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

/// The next connection; never, without a listener. Cancel-safe.
async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// Which way somebody comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entrance {
    /// The one port.
    Main,
    /// The one for plain HTTP, which is sent on to HTTPS on this port.
    Http { https: u16 },
}

/// What a connection's first byte says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speech {
    Turn,
    Tls,
    Http,
}

impl Speech {
    fn of(first: u8) -> Option<Self> {
        match first {
            0x00..=0x03 => Some(Self::Turn),
            0x16 => Some(Self::Tls),
            b'A'..=b'Z' | b'a'..=b'z' => Some(Self::Http),
            _ => None,
        }
    }
}

/// Who has connected, and is within the limits.
struct Caller {
    address: SocketAddr,
    /// `None` for a proxy, whose limits are those of the people it speaks for.
    home: Option<Home>,
    pass: Pass,
}

impl Porch {
    /// Whether there is room for one more from there.
    fn admit(&self, address: SocketAddr) -> Option<Caller> {
        let now = Instant::now();
        let home = (!self.guard.trusts(address.ip())).then(|| self.guard.home(address.ip(), now));
        if let Some(home) = &home {
            self.guard.take(Kind::Connection, home, now).ok()?;
        }
        let pass = self.guard.enter(Place::Connection, home.as_ref())?;
        Some(Caller { address, home, pass })
    }

    /// Serves a TURN client to its end, or hands an HTTP connection over.
    async fn receive<S>(self: Arc<Self>, stream: TcpStream, entrance: Entrance, caller: Caller, seat: S) {
        let Caller { address: client, home, pass } = caller;
        let Ok(server) = stream.local_addr() else {
            return;
        };
        // Small writes are all there is, and must not wait for the last one's acknowledgement.
        let _ = stream.set_nodelay(true);
        let Ok(Some((stream, speech))) = timeout(SPEAK_WITHIN, self.listen(stream, entrance)).await else {
            return;
        };
        let encrypted = stream.is_encrypted();
        if speech == Speech::Http {
            let Some(room) = self.guard.enter(Place::Http, home.as_ref()) else {
                return;
            };
            let https = match entrance {
                Entrance::Main => None,
                Entrance::Http { https } => Some(https),
            };
            let arrival = Arrival { https, ..Arrival::new(client, encrypted) };
            let (stream, mut guest) = HttpStream::new(stream, home.is_none(), [pass, room]);
            let stay = Arc::clone(&arrival.stay);
            // An error would mean that the server stops.
            if self.http.send((stream, arrival)).await.is_ok() {
                self.guests.admit(|seat| {
                    tokio::spawn(async move {
                        let _seat = seat;
                        tokio::select! {
                            () = guest.closed() => {}
                            () = stay.notified() => drop(guest.send(())),
                        }
                    })
                });
            }
            return;
        }
        let transport = if encrypted { Transport::Tls } else { Transport::Tcp };
        let _ = SockRef::from(stream.socket()).set_send_buffer_size(SEND_BUFFER);
        self.relay.serve(stream, FiveTuple::new(transport, client, server), seat).await;
        drop(pass);
    }

    /// Waits for the first byte, and goes through the TLS handshake where that is what it begins. The byte stays
    /// where it is.
    async fn listen(&self, stream: TcpStream, entrance: Entrance) -> Option<(Stream, Speech)> {
        let mut first = [0];
        if stream.peek(&mut first).await.ok()? == 0 {
            return None;
        }
        let speech = Speech::of(first[0])?;
        if entrance != Entrance::Main && speech != Speech::Http {
            return None;
        }
        if speech != Speech::Tls {
            return Some((Stream::Plain(stream), speech));
        }
        let mut stream = self.tls.as_ref()?.acceptor().accept(stream).await.ok()?;
        if tls::is_of_authority(&stream) {
            return None;
        }
        let speech = Speech::of(*stream.fill_buf().await.ok()?.first()?)?;
        (speech != Speech::Tls).then(|| (Stream::Tls(Box::new(stream)), speech))
    }
}

/// Whether an error is only about the connection that was to be accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_tells_who_knocks() {
        for (first, speech) in [
            (0x00, Some(Speech::Turn)),
            (0x01, Some(Speech::Turn)),
            (0x03, Some(Speech::Turn)),
            (0x04, None),
            (0x16, Some(Speech::Tls)),
            (0x15, None),
            (0x40, None),
            (b'G', Some(Speech::Http)),
            (b'O', Some(Speech::Http)),
            (b'P', Some(Speech::Http)),
            (b' ', None),
            (b'\r', None),
            (0x80, None),
            (0xFF, None),
        ] {
            assert_eq!(Speech::of(first), speech, "{first:#04x}");
        }
    }
}
