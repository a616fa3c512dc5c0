//! The handle to a call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::beat::Said;
use super::conversation::Conversation;
use super::peer::{Echo, Heard, PeerError, Settings, Spoken};
use super::sas::{Emoji, SasError};
use super::signalling::{Signalling, SignallingError};
use super::{Caller, Error, Matched, Options};
use crate::protocol::{CallId, EndReason, Side};

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
    /// No six emoji, or a fingerprint that has changed: somebody may have come between.
    #[error(transparent)]
    Sas(#[from] SasError),
    /// The socket failed, which ends the call here; a page would come back with its token.
    #[error(transparent)]
    Signalling(#[from] SignallingError),
    /// The peer connection did not come about.
    #[error(transparent)]
    Peer(#[from] PeerError),
}

/// What one has heard of the partner.
#[derive(Debug, Clone)]
pub struct Received {
    /// How many Opus packets have come in this call.
    pub count: u64,
    /// The last of them, oldest first; at most [`Options::keep`].
    pub last: Vec<Bytes>,
}

/// How many lines of the partner's are kept for [`Call::line`]; further ones are lost.
const MAX_LINES: usize = 64;

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
    spoken: Arc<Spoken>,
    state: watch::Receiver<State>,
    lines: mpsc::Receiver<String>,
    commands: mpsc::Sender<Command>,
    task: JoinHandle<Option<Signalling>>,
}

/// What the task lets the handle know.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct State {
    pub(super) connected: bool,
    pub(super) bye: bool,
    pub(super) emoji: Option<Emoji>,
    pub(super) restarts: u32,
    /// What this side says over and over, and what the partner has said last.
    pub(super) own: Said,
    pub(super) theirs: Said,
    pub(super) ending: Option<Ending>,
}

/// What the handle asks of the task.
#[derive(Debug, Clone)]
pub(super) enum Command {
    Restart,
    Send(Bytes),
    Breathe(bool),
    Stretches(u8),
    Leave,
}

impl Call {
    pub(super) fn start(caller: Caller, matched: Matched, relay: SocketAddr) -> Self {
        let heard = Heard::new(caller.options.keep);
        let spoken = Arc::new(Spoken::default());
        let (state_in, state) = watch::channel(State::default());
        let (commands, commands_out) = mpsc::channel(1);
        let (lines_in, lines) = mpsc::channel(MAX_LINES);
        let conversation = Conversation {
            call: matched.call,
            offerer: matched.offerer,
            signalling: caller.signalling,
            peer: None,
            settings: Settings {
                relay,
                username: matched.relay.username,
                credential: matched.relay.credential,
                spoken: spoken.clone(),
                echo: caller.options.echo.then(|| Arc::new(Echo::default())),
                voice: caller.options.voice.clone(),
            },
            heard: heard.clone(),
            ports: Vec::new(),
            sas: None,
            sas_deadline: None,
            beat: None,
            state: state_in,
            lines: lines_in,
            commands: commands_out,
        };
        Self {
            id: matched.call,
            side: matched.side,
            offerer: matched.offerer,
            options: caller.options,
            heard,
            spoken,
            state,
            lines,
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

    /// Waits until the six emoji are there: the same ones as on the partner's side, unless somebody has put themselves
    /// between. (The short authentication string of RFC 6189 §4.3.)
    ///
    /// # Errors
    ///
    /// [`Error::Ended`] when the call ends before that, at the latest twenty seconds after
    /// [`connected`](Self::connected).
    pub async fn emoji(&mut self) -> Result<Emoji, Error> {
        self.until(|state| state.emoji.is_some()).await?;
        let emoji = self.state.borrow().emoji;
        emoji.ok_or(Error::Ended(Ending::LineLost))
    }

    /// Sends bytes over the data channel: a frame of [`text`](super::text::encode), or anything else, so that a test can
    /// be the partner who does not keep to the protocol. Lost when the call is over or the channel not open.
    pub async fn send(&self, bytes: Bytes) {
        let _ = self.commands.send(Command::Send(bytes)).await;
    }

    /// Waits for the next line that the partner has typed.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] when there is none `within` that time.
    pub async fn line(&mut self, within: Duration) -> Result<String, Error> {
        timeout(within, self.lines.recv()).await.ok().flatten().ok_or(Error::Timeout("line"))
    }

    /// Takes a breath, or comes back: the partner is told within [`BEAT`](super::beat::BEAT), and hears nothing in between.
    pub async fn breathe(&self, on: bool) {
        let _ = self.commands.send(Command::Breathe(on)).await;
    }

    /// Waits until the partner takes a breath, or until they are back.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] when that is not so `within` that time, [`Error::Ended`] when the call ended before.
    pub async fn their_breath(&mut self, on: bool, within: Duration) -> Result<(), Error> {
        let so = timeout(within, self.until(|state| state.theirs.breath == on));
        so.await.map_err(|_| Error::Timeout("breath"))?
    }

    /// Says for how many [stretches of ten minutes](super::beat::Said::stretches) this side would like to talk, from the
    /// next [`BEAT`](super::beat::BEAT) on.
    pub async fn stretches(&self, stretches: u8) {
        let _ = self.commands.send(Command::Stretches(stretches)).await;
    }

    /// Waits until the partner would like to talk for so many of them.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] when that is not so `within` that time, [`Error::Ended`] when the call ended before.
    pub async fn their_stretches(&mut self, stretches: u8, within: Duration) -> Result<(), Error> {
        let so = timeout(within, self.until(|state| state.theirs.stretches == stretches));
        so.await.map_err(|_| Error::Timeout("stretches"))?
    }

    /// Waits until the call is over, and says how it ended. There is no deadline to how long people talk.
    pub async fn ended(&mut self) -> Ending {
        match self.until(|_| false).await {
            Err(Error::Ended(ending)) => ending,
            _ => Ending::LineLost,
        }
    }

    /// Says one Opus packet of 20 ms, once and at its turn, in place of the next of [`Options::voice`]. No more than a
    /// fifth of a second waits; what is older is dropped.
    pub fn say(&self, packet: Bytes) {
        self.spoken.push(packet);
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
