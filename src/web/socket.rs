//! One visitor's task: it pumps between the socket, the mailbox and the rules, and decides nothing itself.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::{self, error::ProtocolError};
use tracing::debug;

use super::lobby::{Door, Owner, Reason};
use super::pulse::{Beat, Pulse};
use super::{House, Leaving};
use crate::clock::Now;
use crate::echo;
use crate::guard::work::Puzzle;
use crate::guard::{Home, Kind, Pass, Place, Refusal};
use crate::mailbox::{Inbox, Mail, Mailbox, Person, RelayAt, VisitorId, Whence, mailbox};
use crate::matchmaking::Ticket;
use crate::protocol::{
    self, ClientMessage, CloseCode, CoolDown, Pause, ProblemCode, Proof, Relay, ResumeToken, ServerMessage,
};
use crate::visitor::{Effect, Input, Visitor, Wait};

/// How long one frame may take to be written. Whoever reads slower than that has stopped reading.
const WRITE_WITHIN: Duration = Duration::from_secs(10);

/// How many frames that are not of this protocol a socket may send. A page sends none; a developer some.
const MAX_BAD_FRAMES: u8 = 16;

/// The shortest pause that anybody is asked for: shorter ones would only be more of them.
const SHORTEST_PAUSE: Duration = Duration::from_secs(9);

/// How long somebody whose call has ended may stay when the server is about to stop: to say that something was not right.
const LINGER: Duration = Duration::from_secs(15);

/// How many frames are kept for a page while its socket is lost.
const MAX_UNSENT: usize = 64;

/// The most characters of a parse error that go back: enough to say which field, never the whole frame.
const MAX_PROBLEM_CHARS: usize = 160;

/// A socket that was let in.
pub struct Guest {
    pub socket: WebSocket,
    /// Where it comes from, for limits.
    pub home: Home,
    /// And for meetings.
    pub whence: Whence,
    /// Its place among the sockets.
    pub _pass: Pass,
}

/// Lobbies are printed; who is in them is not.
impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guest(…)")
    }
}

/// Serves one socket until its visitor is gone, or until it is handed to a visitor who came back.
pub async fn serve(guest: Guest, house: Arc<House>) {
    Pump::new(guest, house).run().await;
}

/// Serves a socket whose `hello` has been read, with a token that has just led to nobody: the task it belonged to has
/// ended meanwhile, and may have left what is known of its visitor. (Boxed, because [`Pump::run`] comes here as well.)
fn serve_late(guest: Guest, token: ResumeToken, house: Arc<House>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let mut pump = Pump::new(guest, house);
        if pump.hello(&token).await == Next::Go {
            pump.run().await;
        }
    })
}

/// A visitor and everything that has to be undone when its task ends, however it ends.
struct Line {
    house: Arc<House>,
    id: VisitorId,
    /// Where the last socket came from, for limits and for meetings.
    home: Home,
    whence: Whence,
    visitor: Visitor,
    mailbox: Mailbox,
    inbox: Inbox,
    token: Option<ResumeToken>,
    /// Whether there has been a match.
    matched: bool,
    door: Door,
    leaving: watch::Receiver<Leaving>,
}

impl Line {
    /// Applies one input to the rules and carries its effects out. What is left to do is to send these.
    fn apply(&mut self, input: Input) -> Vec<ServerMessage> {
        let now = Now::read();
        let house = Arc::clone(&self.house);
        let mut frames = Vec::new();
        for effect in self.visitor.handle(input, now, || house.matchmaker.new_ticket()) {
            match effect {
                Effect::Send(frame) => frames.push(frame),
                Effect::Waiting => frames.push(ServerMessage::Waiting { usual: house.usual().usual(now.unix) }),
                Effect::Welcome(call) => {
                    let resume = self.new_token();
                    frames.extend(resume.map(|resume| ServerMessage::Welcome { resume, call }));
                }
                Effect::Matched { call, side, offerer, relay } => {
                    self.matched = true;
                    let credentials = house.relay.mint(call, side, now.unix);
                    let (host, transports) = match relay {
                        Some(RelayAt { host, transports }) => (Some(host), transports),
                        None => (house.config.relay_host(), house.config.transports()),
                    };
                    let relay =
                        Relay { host, transports, username: credentials.username, credential: credentials.credential };
                    let text_line = house.config.text_line;
                    frames.push(ServerMessage::Matched { call, side, offerer, relay, text_line });
                }
                Effect::HearYourself => match self.echo(now.instant) {
                    Ok(pass) => {
                        let mut leaving = self.leaving.clone();
                        let over = async move {
                            // An error would mean that the house is gone, which is as good.
                            let _ = leaving.wait_for(|leaving| *leaving != Leaving::No).await;
                        };
                        let matched = echo::start(house.relay.clone(), over, pass, self.mailbox.clone());
                        frames.extend(self.apply(Input::Echo(matched)));
                    }
                    Err(wait) => frames.push(slow_down(wait)),
                },
                // Nobody is paired any more, and who would wait is told so before anything else.
                Effect::Join(_) if *self.leaving.borrow() != Leaving::No => {}
                Effect::Join(Wait { ticket, languages, role, avoid_recent, struggling, joined }) => {
                    let ticket = Ticket {
                        id: ticket,
                        visitor: self.id,
                        whence: Some(self.whence),
                        languages,
                        role,
                        avoid_recent,
                        struggling,
                        joined,
                    };
                    house.matchmaker.join(ticket, self.mailbox.clone(), now.instant);
                }
                Effect::LeaveQueue(ticket) => house.matchmaker.leave(ticket),
                Effect::Waited(took, None) => house.usual().gave_up(took, &self.whence, now.unix),
                Effect::Waited(took, Some(partner)) => {
                    if let Some(whence) = partner.whence {
                        house.usual().found(took, &self.whence, &whence, now.unix);
                    }
                }
                Effect::Tell(mailbox, mail) => {
                    // A partner who cannot be told is gone, and its own task's end tells us.
                    mailbox.send(mail);
                }
                Effect::Dropped(partner) => {
                    house.matchmaker.drop_match(self.person(), partner, now.instant);
                    // What it comes to shows at the next join.
                    let _ = house.guard.take(Kind::Drop, &self.home, now.instant);
                }
                Effect::NotConnected(partner) => house.matchmaker.drop_match(partner, self.person(), now.instant),
                Effect::Report(partner, category) => {
                    let counts = partner.whence.is_some_and(|reported| {
                        house.guard.report(&self.home, &self.whence, &reported, category, now.instant)
                    });
                    house.matchmaker.never_again(self.person(), partner, counts, now.instant);
                    if counts {
                        house.matchmaker.share_report(self.person(), partner, category, now.instant);
                    }
                }
                Effect::KeepApart(partner) => house.matchmaker.keep_apart(self.id, partner, now.instant),
                Effect::Revoke(call) => house.relay.revoke(call),
            }
        }
        frames
    }

    fn person(&self) -> Person {
        Person { visitor: self.id, whence: Some(self.whence) }
    }

    /// Why a `join` has to wait: reports of this network, one too many from it, or too many in all. Counts it where it need
    /// not.
    fn refuses(&self, proof: Option<&Proof>, now: Instant) -> Option<ServerMessage> {
        if !self.visitor.is_idle() {
            return None;
        }
        let guard = &self.house.guard;
        if let Some((left, category)) = guard.cooling(&self.whence, now) {
            return Some(ServerMessage::CoolDown { retry_after: CoolDown::at_least(left), category });
        }
        if let Some(wait) = guard.wait(Kind::Drop, &self.home, now) {
            return Some(slow_down(wait));
        }
        Some(match guard.join(&self.home, proof, now).err()? {
            Refusal::Wait(wait) => slow_down(wait),
            Refusal::Work(Puzzle { challenge, target, most }) => ServerMessage::Work { challenge, target, most },
        })
    }

    /// A place for an echo, or how long there will be none.
    fn echo(&self, now: Instant) -> Result<Pass, Duration> {
        let guard = &self.house.guard;
        let pass = guard.enter(Place::Echo, Some(&self.home)).ok_or(echo::AT_MOST)?;
        guard.take(Kind::Echo, &self.home, now)?;
        Ok(pass)
    }

    /// Makes a resume token and forgets the one before. `None` when the system has no random bytes to give.
    fn new_token(&mut self) -> Option<ResumeToken> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).ok()?;
        let token = ResumeToken::new(bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}")))?;
        if let Some(old) = self.token.replace(token.clone()) {
            self.house.lobby.take(&old);
        }
        self.house.lobby.put(token.clone(), self.door.clone());
        Some(token)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // Nothing more can be put into the mailbox; a match that lies unread is refused by the rules.
        let unread = self.inbox.close();
        self.apply(Input::End);
        for mail in unread {
            self.apply(Input::Mail(mail));
        }
        let House { lobby, matchmaker, .. } = &*self.house;
        let memory = self.visitor.take_memory();
        let reason = if self.matched || matchmaker.has_met(self.id) {
            // Whoever has just talked stays somebody for a while, so as not to meet the same one again on the next socket.
            // So does whoever was matched: the partner may have said that the call has begun, and be about to find it over.
            Some(Reason::HasMet)
        } else {
            memory.has_place().then_some(Reason::HasWaited)
        };
        match (self.token.take(), reason) {
            (Some(token), Some(reason)) => lobby.leave(token, self.id, memory, reason, Instant::now()),
            (token, _) => {
                token.map(|token| lobby.take(&token));
                matchmaker.forget(self.id);
            }
        }
    }
}

struct Pump {
    line: Line,
    /// Absent while a visitor in a call has lost it.
    guest: Option<Guest>,
    knocks: mpsc::Receiver<Box<Guest>>,
    pulse: Pulse,
    /// For the page when it comes back.
    unsent: VecDeque<ServerMessage>,
    bad_frames: u8,
    /// Whether it has been said that the server is about to stop.
    told: bool,
}

enum Event {
    Received(Option<Result<Message, axum::Error>>),
    Mail(Option<Mail>),
    Knock(Option<Box<Guest>>),
    Time,
    /// The server has gone on on its way out.
    Leaving,
    /// Which is to be said: how much time there is left.
    Closing(Duration),
}

/// Whether the task goes on.
#[derive(PartialEq, Eq)]
enum Next {
    Go,
    Stop,
}

impl Pump {
    fn new(guest: Guest, house: Arc<House>) -> Box<Self> {
        let (door, knocks) = mpsc::channel(1);
        let (mailbox, inbox) = mailbox();
        let line = Line {
            id: house.matchmaker.new_visitor(),
            home: guest.home,
            whence: guest.whence,
            visitor: Visitor::default(),
            mailbox,
            inbox,
            token: None,
            matched: false,
            door,
            leaving: house.leaving.subscribe(),
            house,
        };
        Box::new(Self {
            line,
            guest: Some(guest),
            knocks,
            pulse: Pulse::new(Instant::now()),
            unsent: VecDeque::new(),
            bad_frames: 0,
            told: false,
        })
    }

    async fn run(mut self: Box<Self>) {
        loop {
            let event = self.event().await;
            // Boxed, since it is five times as large as what most visitors do most of the time, which is to wait.
            if Box::pin(self.handle(event)).await == Next::Stop {
                break;
            }
        }
        let Self { line, mut knocks, .. } = *self;
        let (house, token) = (Arc::clone(&line.house), line.token.clone());
        drop(line);
        // Whoever has knocked in this very moment is let in all the same.
        knocks.close();
        while let (Ok(guest), Some(token)) = (knocks.try_recv(), &token) {
            tokio::spawn(serve_late(*guest, token.clone(), Arc::clone(&house)));
        }
    }

    /// Waits for something to happen.
    async fn event(&mut self) -> Event {
        let leaving = *self.line.leaving.borrow_and_update();
        if let Some(after) = self.leaves(leaving) {
            return Event::Closing(after);
        }
        let pulse = self.guest.is_some().then(|| self.pulse.deadline());
        let visitor = &self.line.visitor;
        let lingers = leaving != Leaving::No && !visitor.is_in_call();
        let goes = visitor.has_talked_until().filter(|_| lingers).map(|end| end + LINGER);
        let deadline = visitor.deadline().into_iter().chain(pulse).chain(goes).min();
        tokio::select! {
            // First, so that a partner whose socket has closed already is not news.
            biased;
            _ = self.line.leaving.changed() => Event::Leaving,
            mail = self.line.inbox.next() => Event::Mail(mail),
            guest = self.knocks.recv() => Event::Knock(guest),
            () = until(deadline) => Event::Time,
            received = receive(&mut self.guest) => Event::Received(received),
        }
    }

    async fn handle(&mut self, event: Event) -> Next {
        // It may have come while the others were looked at, and is said first: a partner who was told before has gone by it.
        let leaving = *self.line.leaving.borrow();
        if !matches!(event, Event::Closing(_))
            && let Some(after) = self.leaves(leaving)
            && self.say_closing(after).await == Next::Stop
        {
            return Next::Stop;
        }
        match event {
            Event::Received(received) => self.received(received).await,
            Event::Mail(Some(mail)) => self.put(Input::Mail(mail)).await,
            Event::Knock(Some(guest)) => self.back(*guest).await,
            Event::Time => self.time().await,
            Event::Leaving => Next::Go,
            Event::Closing(after) => self.say_closing(after).await,
            // Unreachable while the line holds a sender of each.
            Event::Mail(None) | Event::Knock(None) => Next::Stop,
        }
    }

    /// What this visitor is to be told of the server's leaving: how much time there is left. Whoever is in a call has some;
    /// whoever has not said yet whether it is one has as well.
    fn leaves(&self, leaving: Leaving) -> Option<Duration> {
        match leaving {
            Leaving::No => None,
            Leaving::After(end) if self.line.visitor.is_in_call() => {
                (!self.told).then(|| end.saturating_duration_since(Instant::now()))
            }
            Leaving::After(_) if self.line.token.is_none() => None,
            Leaving::After(_)
                if self.line.visitor.has_talked_until().is_some_and(|end| Instant::now() < end + LINGER) =>
            {
                None
            }
            Leaving::After(_) | Leaving::Now => Some(Duration::ZERO),
        }
    }

    async fn say_closing(&mut self, after: Duration) -> Next {
        self.told = true;
        let seconds = u32::try_from(after.as_secs()).unwrap_or(u32::MAX);
        let next = self.send(vec![ServerMessage::Closing { r#in: seconds }]).await;
        if after.is_zero() { self.close(CloseCode::GoingAway).await } else { next }
    }

    async fn received(&mut self, received: Option<Result<Message, axum::Error>>) -> Next {
        let now = Instant::now();
        self.pulse.heard(now);
        let text = match received {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Binary(_))) => return self.close(CloseCode::Unsupported).await,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                // They count as well: a flood of them is a flood.
                return if self.pulse.frame(now) { Next::Go } else { self.close(CloseCode::TooFast).await };
            }
            Some(Ok(Message::Close(frame))) => {
                // A program that is done says 1000. A browser says 1001 for a page that goes, which has said `leave`
                // before, and for one that it lays to rest, which comes back. Anything else was not meant.
                let meant = frame.is_some_and(|frame| frame.code == 1000);
                if meant {
                    self.line.apply(Input::Frame(ClientMessage::Leave {}));
                    return Next::Stop;
                }
                return self.away();
            }
            Some(Err(error)) => match breach(&error) {
                Some(code) => return self.close(code).await,
                None => return self.away(),
            },
            None => return self.away(),
        };
        if !self.pulse.frame(now) {
            return self.close(CloseCode::TooFast).await;
        }
        match protocol::read(&text) {
            Ok(ClientMessage::Hello { resume: Some(token) }) if self.line.token.is_none() => self.hello(&token).await,
            Ok(message) => {
                let begins = matches!(message, ClientMessage::Join { .. } | ClientMessage::HearYourself {});
                if begins && *self.line.leaving.borrow() != Leaving::No {
                    return self.say_closing(Duration::ZERO).await;
                }
                let refusal = match &message {
                    ClientMessage::Join { proof, .. } => self.line.refuses(proof.as_ref(), now),
                    _ => None,
                };
                match refusal {
                    Some(refusal) => self.send(vec![refusal]).await,
                    None => self.put(Input::Frame(message)).await,
                }
            }
            Err(error) => {
                self.bad_frames += 1;
                if self.bad_frames == MAX_BAD_FRAMES {
                    return self.close(CloseCode::BadMessages).await;
                }
                let text = error.to_string().chars().take(MAX_PROBLEM_CHARS).collect();
                self.send(vec![ServerMessage::Problem { code: ProblemCode::BadMessage, text }]).await
            }
        }
    }

    /// Applies an input and sends what comes of it.
    async fn put(&mut self, input: Input) -> Next {
        let frames = self.line.apply(input);
        if self.line.token.is_some() {
            self.pulse.greeted();
        }
        self.send(frames).await
    }

    async fn time(&mut self) -> Next {
        if self.put(Input::Deadline).await == Next::Stop {
            return Next::Stop;
        }
        if self.guest.is_none() {
            return self.wait();
        }
        match self.pulse.beat(Instant::now()) {
            Beat::Wait => Next::Go,
            Beat::Ping => match self.write(Message::Ping(Default::default())).await {
                true => Next::Go,
                false => self.away(),
            },
            Beat::Silent => self.away(),
            Beat::NoHello => self.close(CloseCode::NoHello).await,
        }
    }

    /// Sends frames, or keeps them for a page that may come back.
    async fn send(&mut self, frames: Vec<ServerMessage>) -> Next {
        for frame in frames {
            if self.guest.is_none() {
                if self.keep(frame) == Next::Stop {
                    return Next::Stop;
                }
                continue;
            }
            let Ok(text) = serde_json::to_string(&frame) else {
                return Next::Stop;
            };
            if !self.write(Message::Text(text.into())).await {
                let is_end = matches!(frame, ServerMessage::Ended { .. });
                if self.keep(frame) == Next::Stop || self.lose(is_end) == Next::Stop {
                    return Next::Stop;
                }
            }
        }
        Next::Go
    }

    /// Keeps a frame for a page that may come back. New credentials make those before them worth nothing; what was wrong
    /// with a frame of the lost socket is nothing to the next one.
    fn keep(&mut self, frame: ServerMessage) -> Next {
        if matches!(frame, ServerMessage::Problem { .. }) {
            return Next::Go;
        }
        if matches!(frame, ServerMessage::Restart { .. }) {
            let is_over = |frame: &ServerMessage| {
                matches!(frame, ServerMessage::Restart { .. } | ServerMessage::Candidate { .. })
            };
            self.unsent.retain(|frame| !is_over(frame));
        }
        if self.unsent.len() == MAX_UNSENT {
            return Next::Stop;
        }
        self.unsent.push_back(frame);
        Next::Go
    }

    async fn write(&mut self, message: Message) -> bool {
        match &mut self.guest {
            Some(guest) => matches!(tokio::time::timeout(WRITE_WITHIN, guest.socket.send(message)).await, Ok(Ok(()))),
            None => false,
        }
    }

    /// The socket is gone without a word. A call waits for its visitor to come back with another.
    fn away(&mut self) -> Next {
        self.lose(false)
    }

    /// The same; with `untold`, of an end that the page was not told.
    fn lose(&mut self, untold: bool) -> Next {
        self.guest = None;
        debug!(visitor = self.line.id.0, "away: the socket is lost");
        self.line.apply(Input::Away { untold });
        self.wait()
    }

    /// Whether to go on without a socket.
    fn wait(&self) -> Next {
        if self.line.visitor.worth_waiting_for(Now::read()) { Next::Go } else { Next::Stop }
    }

    /// This visitor has come back with another socket; the old one, if the line still believes in it, is closed.
    async fn back(&mut self, guest: Guest) -> Next {
        if self.guest.is_some() {
            self.close(CloseCode::Replaced).await;
        }
        debug!(visitor = self.line.id.0, "back with another socket");
        (self.line.home, self.line.whence) = (guest.home, guest.whence);
        self.guest = Some(guest);
        self.pulse = Pulse::new(Instant::now());
        self.told = false;
        let next = self.put(Input::Back).await;
        if next == Next::Stop {
            return next;
        }
        let unsent = self.unsent.drain(..).collect();
        self.send(unsent).await
    }

    /// A page that says that it has been here before.
    async fn hello(&mut self, token: &ResumeToken) -> Next {
        let owner = match self.line.house.lobby.take(token) {
            Some(Owner::Here(door)) => match self.hand_over(door).await {
                Next::Stop => return Next::Stop,
                // That task has just ended, and has left what is to be known of its visitor.
                Next::Go => self.line.house.lobby.take(token),
            },
            owner => owner,
        };
        if let Some(Owner::Gone(visitor, memory)) = owner {
            self.line.id = visitor;
            self.line.visitor.remember(memory);
        }
        // Without an owner the server was restarted, or it is long ago: a visitor like any other.
        self.put(Input::Frame(ClientMessage::Hello { resume: None })).await
    }

    /// This socket belongs to another visitor's task.
    async fn hand_over(&mut self, door: Door) -> Next {
        if let Some(guest) = self.guest.take()
            && let Err(mpsc::error::SendError(guest)) = door.send(Box::new(guest)).await
        {
            self.guest = Some(*guest);
            return Next::Go;
        }
        Next::Stop
    }

    /// Closes the socket for a reason, with what belongs to the visitor: whoever breaks the protocol is not waited for.
    async fn close(&mut self, code: CloseCode) -> Next {
        debug!(visitor = self.line.id.0, ?code, "socket closed");
        if code != CloseCode::Replaced {
            // First, since writing may take its time, and nobody should be paired with somebody who is shown out.
            self.line.apply(Input::End);
        }
        let frame = CloseFrame { code: code.code(), reason: Default::default() };
        self.write(Message::Close(Some(frame))).await;
        self.guest = None;
        Next::Stop
    }
}

/// Asks for a pause of about this length.
fn slow_down(wait: Duration) -> ServerMessage {
    ServerMessage::SlowDown { retry_after: Pause::at_least(wait.max(SHORTEST_PAUSE)) }
}

/// The next message; never returns while there is no socket. Cancel-safe.
async fn receive(guest: &mut Option<Guest>) -> Option<Result<Message, axum::Error>> {
    match guest {
        Some(guest) => guest.socket.recv().await,
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// What the other end did wrong, when receiving failed because of that and not because the line is lost.
fn breach(error: &axum::Error) -> Option<CloseCode> {
    match std::error::Error::source(error).and_then(|inner| inner.downcast_ref())? {
        tungstenite::Error::Capacity(_) => Some(CloseCode::TooBig),
        // A line that ends without a closing handshake counts as an error of the protocol, but is one of the line.
        tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        tungstenite::Error::Protocol(_) | tungstenite::Error::Utf8(_) => Some(CloseCode::Broken),
        _ => None,
    }
}
