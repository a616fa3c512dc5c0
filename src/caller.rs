//! A visitor without a browser, on the `webrtc` crate: joins over the real WebSocket, describes itself in the
//! protocol's own types, goes through the relay, sends ready-made Opus packets and hears the partner's.
//!
//! ```no_run
//! # use std::time::Duration;
//! # use sotto::caller::{Caller, Options};
//! # use sotto::protocol::{Languages, Role};
//! # async fn talk(languages: Languages, voice: Vec<bytes::Bytes>) -> Result<(), sotto::caller::Error> {
//! let options = Options { voice: voice.into(), ..Options::default() };
//! let mut caller = Caller::connect("ws://localhost:8080/ws", options).await?;
//! caller.join(languages, Role::Either, true).await?;
//! let mut call = caller.call(Duration::from_secs(60)).await?;
//! call.connected().await?;
//! let heard = call.hear(50, Duration::from_secs(5)).await?;
//! println!("{} packets, the last of {} bytes", heard.count, heard.last.last().map_or(0, |last| last.len()));
//! let caller = call.leave().await?; // idle again, on the same socket
//! # Ok(())
//! # }
//! ```
//!
//! | file | what |
//! |---|---|
//! | [`signalling`] | the socket; with `hello`, `join` and `leave` a visitor of its own |
//! | `description.rs` | our SDP to five values, the partner's five values to SDP |
//! | [`sas`] | the six emoji |
//! | [`text`] | what the two type to each other |
//! | [`beat`] | what they tell each other over and over: whether one takes a breath, how long they would like to talk |
//! | `peer.rs` and under it | the peer connection, and everything that is peculiar to the crate |
//! | `delay.rs` | what is heard, said again a second later |
//! | `padding.rs` | packets of one size, whatever is said |
//! | `conversation.rs` | the task that owns a call and ties these together |
//! | `call.rs` | [`Call`], the handle to it |
//! | this one | from `hello` to the match |

pub mod beat;
mod call;
mod conversation;
mod delay;
mod description;
mod padding;
mod peer;
pub mod sas;
pub mod signalling;
pub mod text;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::lookup_host;
use tokio::time::timeout;

pub use call::{Call, Ending, Received};
pub use description::DescriptionError;
pub use padding::PACKET_BYTES;
pub use peer::PeerError;
use signalling::{Signalling, SignallingError, Tap};

use crate::guard::work;
use crate::protocol::{
    CallId, Challenge, ClientMessage, Languages, ProblemCode, Relay, Role, ServerMessage, Side, Struggling, Target,
    Transport, Tries,
};

/// How long the server may take to answer `join`.
const JOIN_DEADLINE: Duration = Duration::from_secs(5);

/// How often a `join` may be answered with work: the first may have taken longer than it was good for.
const WORK_ATTEMPTS: usize = 3;

/// How a caller comes and what it says.
#[derive(Debug, Clone)]
pub struct Options {
    /// The `Origin` header of the socket; none when there is none, as for a native caller that the
    /// operator allows.
    pub origin: Option<String>,
    /// Keeps the raw frames of the socket, for tests.
    pub tap: Option<Tap>,
    /// Opus packets of 20 ms each, sent in a loop from when the line is up, all padded to one size. Without any, this
    /// caller says nothing, in packets of the same size and rhythm.
    pub voice: Arc<[Bytes]>,
    /// Says again what it hears, a second later and for some seconds, in place of `voice`.
    pub echo: bool,
    /// How many of the partner's last packets are kept for [`Call::heard`].
    pub keep: usize,
}

impl Default for Options {
    /// No origin, no tap, silent; keeps one second.
    fn default() -> Self {
        Self { origin: None, tap: None, voice: Arc::new([]), echo: false, keep: 50 }
    }
}

/// What can go wrong for a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The socket.
    #[error(transparent)]
    Signalling(#[from] SignallingError),
    /// The server did not accept what was asked.
    #[error("the server did not accept it: {0:?}")]
    Problem(ProblemCode),
    /// Too many have come from this network; it may be tried again after so many seconds.
    #[error("to be tried again after {0} seconds")]
    SlowDown(u32),
    /// Several have reported conversations with somebody of this network; it may be tried again after so many seconds.
    #[error("to be tried again after {0} seconds, because of reports")]
    CoolDown(u32),
    /// The server offered no relay that this caller can use: no transport that it knows, or a host that
    /// cannot be resolved.
    #[error("there is no relay to use")]
    Relay,
    /// The server asked for work before a `join`, again and again, or for some that cannot be done.
    #[error("the work that the server asks for cannot be done")]
    Work,
    /// The call is over.
    #[error("the call is over: {0}")]
    Ended(Ending),
    /// An ICE restart is the offerer's to begin.
    #[error("this side is not the offerer")]
    NotOfferer,
    /// Nothing happened in time.
    #[error("no {0} in time")]
    Timeout(&'static str),
}

/// A visitor who is not in a call: idle or waiting.
#[derive(Debug)]
pub struct Caller {
    signalling: Signalling,
    options: Options,
    /// A match that came in place of `waiting`.
    matched: Option<Matched>,
}

/// What `matched` said.
#[derive(Debug)]
struct Matched {
    call: CallId,
    side: Side,
    offerer: bool,
    relay: Relay,
}

/// What a `join` comes to.
enum Answer {
    Matched(Matched),
    Waiting,
    /// Once more, when this is solved.
    Work {
        challenge: Challenge,
        target: Target,
        most: Tries,
    },
}

impl Caller {
    /// Opens the socket (see [`Signalling::connect`]) and says hello.
    ///
    /// # Errors
    ///
    /// [`Error::Signalling`].
    pub async fn connect(url: &str, options: Options) -> Result<Self, Error> {
        let origin = options.origin.as_deref();
        let mut signalling = Signalling::connect(url, origin, options.tap.clone()).await?;
        signalling.hello(None).await?;
        Ok(Self { signalling, options, matched: None })
    }

    /// A caller in the server's own process, whom the server has for a partner already: [`call`](Self::call) is next.
    pub(crate) fn inside(signalling: Signalling, options: Options) -> Self {
        Self { signalling, options, matched: None }
    }

    /// Asks for the server's own caller, to hear oneself: [`call`](Self::call) is next.
    ///
    /// # Errors
    ///
    /// [`Error::SlowDown`] when it cannot be had now; otherwise as [`join`](Self::join).
    pub async fn hear_yourself(&mut self) -> Result<(), Error> {
        self.signalling.send(&ClientMessage::HearYourself {}).await?;
        let answered = timeout(JOIN_DEADLINE, self.matched_at_last());
        self.matched = Some(answered.await.map_err(|_| Error::Timeout("match"))??);
        Ok(())
    }

    /// Asks to be paired, and waits until the server has put this caller in the queue or paired it. Works for it where
    /// that is asked.
    ///
    /// # Errors
    ///
    /// [`Error::Work`], [`Error::Problem`] when the server refuses, [`Error::Timeout`] when it says nothing for five
    /// seconds, [`Error::Signalling`].
    pub async fn join(&mut self, languages: Languages, role: Role, avoid_recent: bool) -> Result<(), Error> {
        let struggling = Struggling(false);
        let mut proof = None;
        for _ in 0..WORK_ATTEMPTS {
            let languages = languages.clone();
            self.signalling
                .send(&ClientMessage::Join { languages, role, avoid_recent, struggling, proof: proof.take() })
                .await?;
            let answered = timeout(JOIN_DEADLINE, self.answer(true));
            match answered.await.map_err(|_| Error::Timeout("waiting"))?? {
                Answer::Waiting => return Ok(()),
                Answer::Matched(matched) => {
                    self.matched = Some(matched);
                    return Ok(());
                }
                Answer::Work { challenge, target, most } => {
                    // On a thread of its own: others may share this one with us.
                    let solving = tokio::task::spawn_blocking(move || work::solve(&challenge, &target, &most));
                    proof = Some(solving.await.ok().flatten().ok_or(Error::Work)?);
                }
            }
        }
        Err(Error::Work)
    }

    /// Waits for a partner, and returns as soon as there is one; the call connects by itself from then on.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] when nobody has come `within` that time, which also leaves the queue with the
    /// socket; [`Error::Relay`]; [`Error::Signalling`].
    pub async fn call(mut self, within: Duration) -> Result<Call, Error> {
        let matched = match self.matched.take() {
            Some(matched) => matched,
            None => timeout(within, self.matched_at_last()).await.map_err(|_| Error::Timeout("partner"))??,
        };
        let relay = relay_address(self.signalling.server(), &matched.relay).await?;
        Ok(Call::start(self, matched, relay))
    }

    /// Leaves the queue, and is idle again.
    ///
    /// # Errors
    ///
    /// [`Error::Signalling`].
    pub async fn leave(&mut self) -> Result<(), Error> {
        self.matched = None;
        Ok(self.signalling.send(&ClientMessage::Leave {}).await?)
    }

    /// Closes the socket as a tab does.
    pub async fn close(self) {
        self.signalling.close().await;
    }

    async fn matched_at_last(&mut self) -> Result<Matched, Error> {
        match self.answer(false).await? {
            Answer::Matched(matched) => Ok(matched),
            Answer::Waiting | Answer::Work { .. } => Err(SignallingError::Protocol.into()),
        }
    }

    /// Waits for the match, or with `or_waiting` for being told to wait or to work. What is still said about a call
    /// that is over does not count.
    async fn answer(&mut self, or_waiting: bool) -> Result<Answer, Error> {
        loop {
            match self.signalling.next().await? {
                ServerMessage::Matched { call, side, offerer, relay, .. } => {
                    return Ok(Answer::Matched(Matched { call, side, offerer, relay }));
                }
                ServerMessage::Waiting { .. } if or_waiting => return Ok(Answer::Waiting),
                ServerMessage::Work { challenge, target, most } if or_waiting => {
                    return Ok(Answer::Work { challenge, target, most });
                }
                ServerMessage::Problem { code, .. } => return Err(Error::Problem(code)),
                ServerMessage::SlowDown { retry_after } => return Err(Error::SlowDown(*retry_after.get())),
                ServerMessage::CoolDown { retry_after, .. } => return Err(Error::CoolDown(*retry_after.get())),
                _ => {}
            }
        }
    }
}

/// Where the relay is: where the server is, on the same port number, unless it names a host.
async fn relay_address(server: SocketAddr, relay: &Relay) -> Result<SocketAddr, Error> {
    if !relay.transports.contains(&Transport::Udp) {
        return Err(Error::Relay);
    }
    let Some(host) = &relay.host else {
        return Ok(server);
    };
    let (host, port) = host_and_port(host, server.port());
    let found =
        timeout(JOIN_DEADLINE, lookup_host((host, port))).await.map_err(|_| Error::Relay)?.map_err(|_| Error::Relay)?;
    // The family that has led to the server will lead to the relay, if there is a choice.
    let mut found: Vec<SocketAddr> = found.collect();
    found.sort_by_key(|address| address.is_ipv4() != server.is_ipv4());
    found.first().copied().ok_or(Error::Relay)
}

/// Splits `host`, `host:port`, `[v6]` or `[v6]:port`; without a port it is the server's own, as for the page.
fn host_and_port(host: &str, own: u16) -> (&str, u16) {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
        _ => (host, None),
    };
    (name.trim_start_matches('[').trim_end_matches(']'), port.unwrap_or(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_host_has_the_servers_port_unless_it_names_one() {
        for (host, name, port) in [
            ("relay.example.org", "relay.example.org", 8080),
            ("relay.example.org:443", "relay.example.org", 443),
            ("[2001:db8::1]", "2001:db8::1", 8080),
            ("[2001:db8::1]:443", "2001:db8::1", 443),
        ] {
            assert_eq!(host_and_port(host, 8080), (name, port));
        }
    }

    #[tokio::test]
    async fn the_relay_is_where_the_server_is_unless_it_names_a_host() {
        let server: SocketAddr = "127.0.0.1:8080".parse().unwrap();
        let mut relay =
            Relay { host: None, transports: vec![Transport::Udp], username: String::new(), credential: String::new() };
        assert_eq!(relay_address(server, &relay).await, Ok(server));
        relay.host = Some("127.0.0.2:9".to_owned());
        let named = "127.0.0.2:9".parse().unwrap();
        assert_eq!(relay_address(server, &relay).await, Ok(named));
        relay.transports.clear();
        assert_eq!(relay_address(server, &relay).await, Err(Error::Relay));
    }
}
