//! The task that owns a call: its socket and its peer.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until, timeout};
use tracing::debug;

use super::beat;
use super::call::{Command, Ending, State};
use super::peer::{Event, Heard, Peer, PeerError, Settings};
use super::sas::{self, Run, SasError, Transcript, Value};
use super::signalling::{Signalling, SignallingError};
use super::text;
use crate::protocol::{CallId, ClientMessage, Port, ServerMessage};

/// How long a call may take from the match until its transport is up: two gatherings, a description each way,
/// the checks, DTLS, and a slow line.
const CONNECT_DEADLINE: Duration = Duration::from_secs(15);

/// How long one step of a call may take. None waits for the partner: what takes this long hangs.
const STEP_DEADLINE: Duration = Duration::from_secs(5);

/// The task of a call.
pub(super) struct Conversation {
    pub(super) call: CallId,
    pub(super) offerer: bool,
    pub(super) signalling: Signalling,
    /// None until there is an offer to answer.
    pub(super) peer: Option<Peer>,
    pub(super) settings: Settings,
    pub(super) heard: Arc<Heard>,
    /// This side's candidates so far.
    pub(super) ports: Vec<Port>,
    /// The run of the six emoji, with whose certificates it is about (ours, the partner's); from when the data channel
    /// is open.
    pub(super) sas: Option<(Run<Transcript>, (Value, Value))>,
    /// Until when it has to be over; from when the line is up, and `None` once it is over.
    pub(super) sas_deadline: Option<Instant>,
    /// When the partner is told next what this side says over and over; from when the data channel is open.
    pub(super) beat: Option<Interval>,
    pub(super) state: watch::Sender<State>,
    /// What the partner types.
    pub(super) lines: mpsc::Sender<String>,
    pub(super) commands: mpsc::Receiver<Command>,
}

impl Conversation {
    /// Runs the call to its end; returns the socket if it is still good.
    pub(super) async fn run(mut self) -> Option<Signalling> {
        let Err(ending) = self.live().await;
        debug!(call = %self.call, %ending, "a native call is over");
        let mut socket_is_good = !matches!(ending, Ending::Signalling(_));
        if matches!(ending, Ending::Left | Ending::Sas(_))
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
                    Some(Command::Send(bytes)) => in_time(self.send(&bytes)).await?,
                    Some(Command::Breathe(on)) => {
                        self.state.send_modify(|state| state.own.breath = on);
                        self.hold();
                    }
                    Some(Command::Stretches(stretches)) => {
                        self.state.send_modify(|state| state.own.stretches = stretches);
                    }
                    Some(Command::Leave) => return Err(Ending::Left),
                    // The handle is gone: a crash, as far as anybody can tell.
                    None => return Err(Ending::Signalling(SignallingError::Closed(None))),
                },
                () = tick(&mut self.beat) => {
                    let frame = beat::encode(self.state.borrow().own);
                    in_time(self.send(&frame)).await?;
                }
                () = sleep_until(deadline), if connecting => return Err(Ending::NotConnected),
                () = until(self.sas_deadline) => return Err(SasError::Late.into()),
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
                if peer.is_asked_to_restart(&ufrag) {
                    return self.restart().await;
                }
                if let Some((ufrag, pwd)) = peer.restarted(ufrag, pwd).await? {
                    let restart = ClientMessage::Restart { call, ufrag, pwd };
                    self.signalling.send(&restart).await?;
                    self.send_candidates().await?;
                }
                self.same_fingerprints().await?;
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
                    self.sas_deadline = Some(Instant::now() + sas::DEADLINE);
                }
            }
            Event::Open => {
                self.begin_sas().await?;
                let mut beat = interval(beat::BEAT);
                beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
                self.beat = Some(beat);
            }
            Event::Bytes(bytes) => self.on_bytes(&bytes).await?,
            Event::Disconnected => debug!(%call, "the line is silent"),
            Event::Failed => return Err(Ending::LineLost),
            Event::Bye => self.state.send_modify(|state| state.bye = true),
        }
        Ok(())
    }

    /// The data channel is open, which it is once.
    async fn begin_sas(&mut self) -> Result<(), Ending> {
        let Some(peer) = &self.peer else {
            return Ok(());
        };
        let fingerprints = peer.fingerprints().await?;
        let (own, partners) = &fingerprints;
        let mut nonce: Value = Default::default();
        getrandom::fill(&mut nonce).map_err(|_| PeerError::Step("find a random number"))?;
        let run = if self.offerer {
            let (run, commitment) = Run::offer(Transcript::new(own, partners)?, nonce);
            peer.send(&commitment.bytes()).await?;
            run
        } else {
            Run::answer(Transcript::new(partners, own)?, nonce)
        };
        self.sas = Some((run, fingerprints));
        Ok(())
    }

    /// Bytes from the partner's data channel.
    async fn on_bytes(&mut self, bytes: &[u8]) -> Result<(), Ending> {
        if bytes.first() == Some(&text::KIND) {
            // A caller that does not read loses what it does not read; what is no line is nothing.
            if let Some(line) = text::decode(bytes) {
                let _ = self.lines.try_send(line);
            }
            return Ok(());
        }
        if bytes.first() == Some(&beat::KIND) {
            if let Some(theirs) = beat::decode(bytes) {
                let tell = |state: &mut State| std::mem::replace(&mut state.theirs, theirs) != theirs;
                self.state.send_if_modified(tell);
                self.hold();
            }
            return Ok(());
        }
        let (Some(peer), Some((run, _))) = (&self.peer, &mut self.sas) else {
            return Err(SasError::Order.into());
        };
        let step = run.receive(bytes)?;
        if let Some(frame) = step.send {
            peer.send(&frame.bytes()).await?;
        }
        if let Some(emoji) = step.emoji {
            self.sas_deadline = None;
            self.state.send_modify(|state| state.emoji = Some(emoji));
        }
        Ok(())
    }

    /// While one of the two takes a breath, this side says nothing, in packets of the same size and rhythm.
    fn hold(&self) {
        let State { own, theirs, .. } = *self.state.borrow();
        self.settings.spoken.hold(own.breath || theirs.breath);
    }

    /// Ends the call when a certificate is not the one that the emoji are about. On the wire an ICE restart has no
    /// room for another; this holds the rest of us to that.
    async fn same_fingerprints(&self) -> Result<(), Ending> {
        match (&self.peer, &self.sas) {
            (Some(peer), Some((_, fingerprints))) if peer.fingerprints().await? != *fingerprints => {
                Err(SasError::Fingerprint.into())
            }
            _ => Ok(()),
        }
    }

    async fn send(&self, bytes: &[u8]) -> Result<(), Ending> {
        match &self.peer {
            Some(peer) => Ok(peer.send(bytes).await?),
            None => Ok(()),
        }
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

/// Sleeps until then; for ever, where there is no such time.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The next beat; never, while there is none.
async fn tick(beat: &mut Option<Interval>) {
    match beat {
        Some(beat) => {
            beat.tick().await;
        }
        None => std::future::pending().await,
    }
}

/// The peer's next event; never, while there is no peer.
async fn next_event(peer: &mut Option<Peer>) -> Event {
    match peer {
        Some(peer) => peer.next().await,
        None => std::future::pending().await,
    }
}
