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
//! | `peer.rs` | the peer connection, and everything that is peculiar to the crate |
//! | this one | ties them together: one task owns a call, [`Call`] is the handle to it |

mod description;
mod peer;
pub mod signalling;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::lookup_host;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

pub use description::DescriptionError;
pub use peer::PeerError;
use peer::{Event, Heard, Peer, Settings};
use signalling::{Signalling, SignallingError, Tap};

use crate::protocol::{
    CallId, ClientMessage, EndReason, Languages, Port, ProblemCode, RELAYED_ADDRESS, Relay, Role, ServerMessage, Side,
    Transport,
};

/// How long the server may take to answer `join`.
const JOIN_DEADLINE: Duration = Duration::from_secs(5);

/// How long a call may take from the match until its transport is up: two gatherings, a description each way,
/// the checks, DTLS, and a slow line.
const CONNECT_DEADLINE: Duration = Duration::from_secs(15);

/// How long one step of a call may take. None waits for the partner: what takes this long hangs.
const STEP_DEADLINE: Duration = Duration::from_secs(5);

/// How a caller comes and what it says.
#[derive(Debug, Clone)]
pub struct Options {
    /// The `Origin` header of the socket; none when there is none, as for a native caller that the
    /// operator allows.
    pub origin: Option<String>,
    /// Keeps the raw frames of the socket, for tests.
    pub tap: Option<Tap>,
    /// Opus packets of 20 ms each, sent in a loop from when the line is up; 80 bytes each at 32 kbit/s.
    /// Without any, this caller is silent.
    pub voice: Arc<[Bytes]>,
    /// How many of the partner's last packets are kept for [`Call::heard`].
    pub keep: usize,
}

impl Default for Options {
    /// No origin, no tap, silent; keeps one second.
    fn default() -> Self {
        Self { origin: None, tap: None, voice: Arc::new([]), keep: 50 }
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
    /// The server offered no relay that this caller can use: no transport that it knows, or a host that
    /// cannot be resolved.
    #[error("there is no relay to use")]
    Relay,
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

/// How a call ended, as this side knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ending {
    /// This side left.
    #[error("left")]
    Left,
    /// The server said so. After [`EndReason::Vanished`] the caller waits again, at its old place.
    #[error("the server says {0:?}")]
    Server(EndReason),
    /// The transport was not up within fifteen seconds of the match.
    #[error("no connection in time")]
    NotConnected,
    /// The transport was up and gave up.
    #[error("the line was lost")]
    LineLost,
    /// The socket failed, which ends the call here; a page would come back with its token.
    #[error(transparent)]
    Signalling(#[from] SignallingError),
    /// The peer connection did not come about.
    #[error(transparent)]
    Peer(#[from] PeerError),
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

    /// Asks to be paired, and waits until the server has put this caller in the queue or paired it.
    ///
    /// # Errors
    ///
    /// [`Error::Problem`] when the server refuses, [`Error::Timeout`] when it says nothing for five
    /// seconds, [`Error::Signalling`].
    pub async fn join(&mut self, languages: Languages, role: Role, avoid_recent: bool) -> Result<(), Error> {
        self.signalling.send(&ClientMessage::Join { languages, role, avoid_recent }).await?;
        let answered = timeout(JOIN_DEADLINE, self.answer(true));
        self.matched = answered.await.map_err(|_| Error::Timeout("waiting"))??;
        Ok(())
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
            None => timeout(within, self.answer(false))
                .await
                .map_err(|_| Error::Timeout("partner"))??
                .ok_or(Error::Timeout("partner"))?,
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

    /// Waits for the match, or with `or_waiting` for being told to wait. What is still said about a call
    /// that is over does not count.
    async fn answer(&mut self, or_waiting: bool) -> Result<Option<Matched>, Error> {
        loop {
            match self.signalling.next().await? {
                ServerMessage::Matched { call, side, offerer, relay } => {
                    return Ok(Some(Matched { call, side, offerer, relay }));
                }
                ServerMessage::Waiting {} if or_waiting => return Ok(None),
                ServerMessage::Problem { code, .. } => return Err(Error::Problem(code)),
                ServerMessage::SlowDown { retry_after } => return Err(Error::SlowDown(*retry_after.get())),
                _ => {}
            }
        }
    }
}

/// What one has heard of the partner.
#[derive(Debug, Clone)]
pub struct Received {
    /// How many Opus packets have come in this call.
    pub count: u64,
    /// The last of them, oldest first; at most [`Options::keep`].
    pub last: Vec<Bytes>,
}

/// A call: the handle to the task that owns its socket and its peer connection. Dropping it is what a killed
/// process does: everything is closed and nothing is said.
pub struct Call {
    /// Names the call on the wire.
    pub id: CallId,
    /// Which side this caller is.
    pub side: Side,
    /// Whether this side made the offer.
    pub offerer: bool,
    options: Options,
    heard: Arc<Heard>,
    state: watch::Receiver<State>,
    commands: mpsc::Sender<Command>,
    task: JoinHandle<Option<Signalling>>,
}

/// What the task lets the handle know.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    connected: bool,
    bye: bool,
    restarts: u32,
    ending: Option<Ending>,
}

/// What the handle asks of the task.
#[derive(Debug, Clone, Copy)]
enum Command {
    Restart,
    Leave,
}

impl Call {
    fn start(caller: Caller, matched: Matched, relay: SocketAddr) -> Self {
        let heard = Heard::new(caller.options.keep);
        let (state_in, state) = watch::channel(State::default());
        let (commands, commands_out) = mpsc::channel(1);
        let conversation = Conversation {
            call: matched.call,
            offerer: matched.offerer,
            signalling: caller.signalling,
            peer: None,
            settings: Settings {
                relay,
                username: matched.relay.username,
                credential: matched.relay.credential,
                relayed_address: IpAddr::V4(RELAYED_ADDRESS),
                voice: caller.options.voice.clone(),
            },
            heard: heard.clone(),
            ports: Vec::new(),
            state: state_in,
            commands: commands_out,
        };
        Self {
            id: matched.call,
            side: matched.side,
            offerer: matched.offerer,
            options: caller.options,
            heard,
            state,
            commands,
            task: tokio::spawn(conversation.run()),
        }
    }

    /// Waits until the transport is up.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`] when the call ends before that, at the latest fifteen seconds after the match.
    pub async fn connected(&mut self) -> Result<(), Error> {
        self.until(|state| state.connected).await
    }

    /// Waits until the call is over, and says how it ended. There is no deadline to how long people talk.
    pub async fn ended(&mut self) -> Ending {
        match self.until(|_| false).await {
            Err(Error::Ended(ending)) => ending,
            _ => Ending::LineLost,
        }
    }

    /// What has been heard so far.
    pub fn heard(&self) -> Received {
        Received { count: *self.heard.count().borrow(), last: self.heard.last() }
    }

    /// Waits until at least `count` packets have come in this call.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] when they have not come `within` that time, [`Error::Ended`] when the call ended
    /// before.
    pub async fn hear(&mut self, count: u64, within: Duration) -> Result<Received, Error> {
        let mut heard = self.heard.count();
        let enough = heard.wait_for(|heard| *heard >= count);
        tokio::select! {
            biased;
            _ = enough => {}
            over = timeout(within, self.until(|_| false)) => {
                over.map_err(|_| Error::Timeout("packets"))??;
            }
        }
        Ok(self.heard())
    }

    /// Whether the partner has said `bye` on the data channel.
    pub fn partner_said_bye(&self) -> bool {
        self.state.borrow().bye
    }

    /// Restarts ICE, as after a change of network, and waits for the partner's part. Only the offerer can.
    ///
    /// # Errors
    ///
    /// [`Error::NotOfferer`]; [`Error::Timeout`] when the partner does not answer `within` that time;
    /// [`Error::Ended`].
    pub async fn restart(&mut self, within: Duration) -> Result<(), Error> {
        if !self.offerer {
            return Err(Error::NotOfferer);
        }
        let before = self.state.borrow().restarts;
        let _ = self.commands.send(Command::Restart).await;
        timeout(within, self.until(|state| state.restarts > before)).await.map_err(|_| Error::Timeout("restart"))?
    }

    /// Says `bye` to the partner and `leave` to the server, or neither if the call is over already, and closes
    /// the peer connection. Returns the caller, on the same socket.
    ///
    /// # Errors
    ///
    /// [`Error::Signalling`] when the socket is gone.
    pub async fn leave(self) -> Result<Caller, Error> {
        let _ = self.commands.send(Command::Leave).await;
        let signalling = self.task.await.ok().flatten();
        Ok(Caller {
            signalling: signalling.ok_or(SignallingError::Closed(None))?,
            options: self.options,
            matched: None,
        })
    }

    /// Waits until `is_so`, or until the call is over.
    async fn until(&mut self, is_so: impl Fn(&State) -> bool) -> Result<(), Error> {
        let state = self
            .state
            .wait_for(|state| is_so(state) || state.ending.is_some())
            .await
            .map_or_else(|_| Err(Error::Ended(Ending::LineLost)), |state| Ok(*state))?;
        match state.ending {
            Some(ending) if !is_so(&state) => Err(Error::Ended(ending)),
            _ => Ok(()),
        }
    }
}

/// The task of a call.
struct Conversation {
    call: CallId,
    offerer: bool,
    signalling: Signalling,
    /// None until there is an offer to answer.
    peer: Option<Peer>,
    settings: Settings,
    heard: Arc<Heard>,
    /// This side's candidates so far.
    ports: Vec<Port>,
    state: watch::Sender<State>,
    commands: mpsc::Receiver<Command>,
}

impl Conversation {
    /// Runs the call to its end; returns the socket if it is still good.
    async fn run(mut self) -> Option<Signalling> {
        let Err(ending) = self.live().await;
        debug!(call = %self.call, %ending, "a native call is over");
        let mut socket_is_good = !matches!(ending, Ending::Signalling(_));
        if ending == Ending::Left
            && let Some(peer) = &self.peer
        {
            peer.bye().await;
        }
        if socket_is_good && !matches!(ending, Ending::Server(_)) {
            let told = self.signalling.send(&ClientMessage::Leave {}).await;
            socket_is_good = told.is_ok();
        }
        self.state.send_modify(|state| state.ending = Some(ending));
        if let Some(peer) = self.peer.take() {
            peer.close().await;
        }
        socket_is_good.then_some(self.signalling)
    }

    async fn live(&mut self) -> Result<std::convert::Infallible, Ending> {
        let deadline = Instant::now() + CONNECT_DEADLINE;
        if self.offerer {
            in_time(self.offer()).await?;
        }
        loop {
            let connecting = !self.state.borrow().connected;
            tokio::select! {
                message = self.signalling.next() => in_time(self.on_message(message?)).await?,
                event = next_event(&mut self.peer) => in_time(self.on_event(event)).await?,
                command = self.commands.recv() => match command {
                    Some(Command::Restart) => in_time(self.restart()).await?,
                    Some(Command::Leave) => return Err(Ending::Left),
                    // The handle is gone: a crash, as far as anybody can tell.
                    None => return Err(Ending::Signalling(SignallingError::Closed(None))),
                },
                () = sleep_until(deadline), if connecting => return Err(Ending::NotConnected),
            }
        }
    }

    async fn offer(&mut self) -> Result<(), Ending> {
        let peer = Peer::offer(self.settings.clone(), self.heard.clone()).await?;
        self.introduce(peer).await
    }

    /// Sends the new peer's description and keeps it.
    async fn introduce(&mut self, peer: Peer) -> Result<(), Ending> {
        let description = peer.description().clone();
        self.peer = Some(peer);
        let call = self.call;
        Ok(self.signalling.send(&ClientMessage::Describe { call, description }).await?)
    }

    async fn on_message(&mut self, message: ServerMessage) -> Result<(), Ending> {
        match message {
            ServerMessage::Describe { call, description } if call == self.call => match &mut self.peer {
                Some(peer) => peer.accept(description).await?,
                None => {
                    let settings = self.settings.clone();
                    let peer = Peer::answer(settings, self.heard.clone(), description).await?;
                    self.introduce(peer).await?;
                }
            },
            ServerMessage::Candidate { call, port } if call == self.call => {
                // Frames keep their order, and the offer comes before its candidates.
                if let Some(peer) = &mut self.peer {
                    peer.add_candidate(&port).await?;
                }
            }
            ServerMessage::Restart { call, ufrag, pwd } if call == self.call => {
                let Some(peer) = &mut self.peer else {
                    return Ok(());
                };
                if let Some((ufrag, pwd)) = peer.restarted(ufrag, pwd).await? {
                    let restart = ClientMessage::Restart { call, ufrag, pwd };
                    self.signalling.send(&restart).await?;
                    self.send_candidates().await?;
                }
                self.state.send_modify(|state| state.restarts += 1);
            }
            ServerMessage::Ended { call, why } if call == self.call => {
                return Err(Ending::Server(why));
            }
            ServerMessage::Problem { code, .. } => {
                debug!(call = %self.call, ?code, "the server did not accept a frame");
            }
            // About another call, or nothing that changes this one.
            _ => {}
        }
        Ok(())
    }

    async fn on_event(&mut self, event: Event) -> Result<(), Ending> {
        let call = self.call;
        match event {
            Event::Candidate(port) => {
                // Another port than a virtual one is not from our relay, and the wire has no room for it.
                if let Some(port) = Port::new(port) {
                    self.ports.push(port.clone());
                    let candidate = ClientMessage::Candidate { call, port };
                    self.signalling.send(&candidate).await?;
                }
            }
            Event::NothingGathered => {
                debug!(%call, "the relay gave no address, gathering again");
                if let Some(peer) = &mut self.peer {
                    peer.gather_again().await?;
                }
            }
            Event::Connected => {
                let first = !self.state.borrow().connected;
                if first {
                    let connected = ClientMessage::Connected { call };
                    self.signalling.send(&connected).await?;
                    self.state.send_modify(|state| state.connected = true);
                }
            }
            Event::Disconnected => debug!(%call, "the line is silent"),
            Event::Failed => return Err(Ending::LineLost),
            Event::Bye => self.state.send_modify(|state| state.bye = true),
        }
        Ok(())
    }

    async fn restart(&mut self) -> Result<(), Ending> {
        let Some(peer) = self.peer.as_mut().filter(|_| self.offerer) else {
            return Ok(());
        };
        let (ufrag, pwd) = peer.restart().await?;
        let call = self.call;
        self.signalling.send(&ClientMessage::Restart { call, ufrag, pwd }).await?;
        self.send_candidates().await
    }

    /// After an ICE restart the partner has forgotten this side's candidates; the allocations are the same.
    async fn send_candidates(&mut self) -> Result<(), Ending> {
        let call = self.call;
        for port in self.ports.clone() {
            self.signalling.send(&ClientMessage::Candidate { call, port }).await?;
        }
        Ok(())
    }
}

/// Ends the call when one step of it hangs.
async fn in_time(step: impl Future<Output = Result<(), Ending>>) -> Result<(), Ending> {
    match timeout(STEP_DEADLINE, step).await {
        // What a partner sends out of turn changes nothing.
        Ok(Err(Ending::Peer(PeerError::OutOfTurn))) => Ok(()),
        Ok(done) => done,
        Err(_) => Err(Ending::Peer(PeerError::Step("go on"))),
    }
}

/// The peer's next event; never, while there is no peer.
async fn next_event(peer: &mut Option<Peer>) -> Event {
    match peer {
        Some(peer) => peer.next().await,
        None => std::future::pending().await,
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
