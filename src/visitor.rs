//! One visitor's rules, without I/O: `(state, input, now) -> effects`.
//!
//! ```text
//! New --hello--> Idle --join--> Waiting --matched--> InCall --leave, partner gone--> Idle
//!                                  ^                   |
//!                                  +-- partner gone before the call began
//!          Idle --hear yourself--> InCall, with the server's own caller
//! ```
//!
//! A call is two of these, one on each side; nobody else keeps anything of it. Whatever arrives for a call that is
//! over is ignored. The socket's pump ([`crate::web`]) carries the effects out in order.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::clock::Now;
use crate::mailbox::{Mail, Mailbox, Match, Person, RelayAt, TicketId, VisitorId};
use crate::protocol::{
    CallId, Category, ClientMessage, EndReason, Languages, ProblemCode, Role, ServerMessage, Setup, Side, Struggling,
};

/// How long a side may take to describe itself once it is its turn: the 20 s in which a visitor whose tab was
/// hidden can accept, and some for the line. Past it that side counts as vanished.
pub const DESCRIBE_WITHIN: Duration = Duration::from_secs(25);

/// When a call counts as begun although nobody said `connected`: later than any page still tries to connect (15 s).
pub const BEGUN_AFTER: Duration = Duration::from_secs(20);

/// How long a visitor in a call may be without a socket before the call is lost. The voices do not need the socket, and
/// a page whose line is really gone says so itself within a minute; this is for two pages that are both gone.
pub const AWAY_FOR: Duration = Duration::from_secs(10 * 60);

/// How long the place in the queue is kept of a visitor whose line was lost. A page tries again within 15 s of having a
/// network, and a hidden one may be woken once a minute; somebody who is away for longer does not wait, and would come
/// before those who did.
pub const PLACE_FOR: Duration = Duration::from_secs(2 * 60);

/// How long the end of a call is kept for a page that is away.
pub const TOLD_WITHIN: Duration = Duration::from_secs(60);

/// Whoever leaves a match sooner than this has not talked: a greeting takes longer.
pub const QUICK: Duration = Duration::from_secs(10);

/// For how long after its end a call can be reported.
pub const REPORT_WITHIN: Duration = Duration::from_secs(10 * 60);

/// How many past calls are kept for that: more than anybody has in ten minutes who listens.
const MAX_PAST: usize = 16;

/// How many candidates one side may send per call and ICE generation. Browsers make three to twelve: one for each
/// transport and network interface.
pub const MAX_CANDIDATES: u8 = 32;

/// How many ICE restarts one side may send per call: one every minute of a long evening, and a flapping line.
pub const MAX_RESTARTS: u16 = 500;

/// How many restarts may follow each other within [`RESTART_PACE`]: more of them are not a line that flaps.
const RESTART_BURST: u16 = 10;

/// See [`RESTART_BURST`].
const RESTART_PACE: Duration = Duration::from_secs(30);

/// What happens to a visitor.
#[derive(Debug)]
pub enum Input {
    /// A frame from the page.
    Frame(ClientMessage),
    /// A mail from the matchmaker or the partner.
    Mail(Mail),
    /// The call that [`Effect::HearYourself`] asked for; for the other side of it, the first input there is.
    Echo(Match),
    /// The moment that [`Visitor::deadline`] named has come.
    Deadline,
    /// The socket is gone without a `leave`.
    Away {
        /// Whether a call has just ended, and the page has not been told.
        untold: bool,
    },
    /// Another socket has come with this visitor's resume token.
    Back,
    /// The visitor's task ends, for whatever reason. The last input there is.
    End,
}

/// What is to be done about it, in order.
#[derive(Debug)]
pub enum Effect {
    /// Send to the page.
    Send(ServerMessage),
    /// Answer `hello` with a fresh resume token.
    Welcome(Option<CallId>),
    /// Send `matched`, with credentials made for this side.
    Matched {
        /// The new call.
        call: CallId,
        /// This side.
        side: Side,
        /// Whether this side makes the offer.
        offerer: bool,
        /// Where the relay is, if it is not here.
        relay: Option<RelayAt>,
    },
    /// Find the server's own caller for this visitor, and give it to [`Input::Echo`]; or send that there is none now.
    HearYourself,
    /// Send `waiting`, with how it usually is at this hour.
    Waiting,
    /// Put this wait into the queue.
    Join(Wait),
    /// Take it out again.
    LeaveQueue(TicketId),
    /// Count how a wait has ended: with somebody, or by leaving.
    Waited(Duration, Option<Person>),
    /// Tell the partner.
    Tell(Mailbox, Mail),
    /// Keep these two apart for a while.
    KeepApart(VisitorId),
    /// Count that this visitor has left a match with somebody before there was a conversation.
    Dropped(Person),
    /// Count that a match with somebody never became a call, and that it need not be this visitor's doing.
    NotConnected(Person),
    /// Keep these two apart, and count the report.
    Report(Person, Category),
    /// End the call's allocations on the relay.
    Revoke(CallId),
}

/// A wait as the visitor asked for it.
#[derive(Debug, Clone)]
pub struct Wait {
    /// Names it.
    pub ticket: TicketId,
    /// What they want to talk in.
    pub languages: Languages,
    /// What they would rather do.
    pub role: Role,
    /// Whether they mind meeting a recent partner again.
    pub avoid_recent: bool,
    /// Whether they are struggling badly.
    pub struggling: Struggling,
    /// When the waiting began.
    pub joined: Instant,
}

#[derive(Debug)]
enum Phase {
    New,
    Idle,
    Waiting(Wait),
    InCall(Box<Call>),
}

/// One side's half of a call.
#[derive(Debug)]
struct Call {
    matched: Match,
    /// For going back to one's place; whoever hears themself has none.
    wait: Option<Wait>,
    /// When the match was.
    since: Instant,
    /// When it became this side's turn to describe itself.
    turn: Option<Instant>,
    described: bool,
    /// Whether another socket has come since, whose page may know nothing of the match.
    unsure: bool,
    /// When both descriptions had passed.
    negotiated: Option<Instant>,
    connected: bool,
    candidates: u8,
    restarts: u16,
    /// The first restart of the current run of them, and how many there were.
    run: (Option<Instant>, u16),
}

impl Call {
    fn new(matched: Match, wait: Option<Wait>, now: Instant) -> Box<Self> {
        Box::new(Self {
            turn: matched.offerer.then_some(now),
            matched,
            wait,
            since: now,
            described: false,
            unsure: false,
            negotiated: None,
            connected: false,
            candidates: 0,
            restarts: 0,
            run: (None, 0),
        })
    }

    /// Whether there was time to say anything.
    fn has_lasted(&self, now: Instant) -> bool {
        self.since + QUICK <= now
    }

    /// Whether it is this side that the other waits for.
    fn owes_a_description(&self) -> bool {
        self.turn.is_some() && !self.described
    }

    fn begun(&self, now: Instant) -> bool {
        self.connected || self.negotiated.is_some_and(|at| at + BEGUN_AFTER <= now)
    }
}

/// The calls that can still be reported, oldest first.
#[derive(Debug, Default)]
pub struct Past(VecDeque<(Instant, CallId, Person)>);

impl Past {
    fn push(&mut self, call: CallId, partner: Person, now: Instant) {
        self.0.retain(|(end, ..)| now < *end + REPORT_WITHIN);
        if self.0.len() == MAX_PAST {
            self.0.pop_front();
        }
        self.0.push_back((now, call, partner));
    }

    /// Who it was with, once.
    fn take(&mut self, call: CallId, now: Instant) -> Option<Person> {
        let index = self.0.iter().position(|(end, of, _)| *of == call && now < *end + REPORT_WITHIN)?;
        self.0.remove(index).map(|(.., partner)| partner)
    }
}

/// A place in the queue that nobody stands in while its owner is away.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// When the waiting began.
    joined: Instant,
    /// Until when it is kept.
    until: Instant,
}

/// What is known of a visitor beyond one socket: for whoever comes back with its resume token.
#[derive(Debug, Default)]
pub struct Memory {
    past: Past,
    place: Option<Place>,
}

impl Memory {
    /// Whether a place in the queue is kept, at the longest for [`PLACE_FOR`].
    pub fn has_place(&self) -> bool {
        self.place.is_some()
    }
}

/// One visitor, from the first frame to the end of its task.
#[derive(Debug)]
pub struct Visitor {
    phase: Phase,
    away: Option<Instant>,
    memory: Memory,
}

impl Default for Visitor {
    fn default() -> Self {
        Self { phase: Phase::New, away: None, memory: Memory::default() }
    }
}

impl Visitor {
    /// Applies one input. `ticket` names a wait, should one begin.
    pub fn handle(&mut self, input: Input, now: Now, ticket: impl FnOnce() -> TicketId) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Frame(message) => self.frame(message, now, ticket, &mut effects),
            Input::Mail(mail) => self.mail(mail, now, ticket, &mut effects),
            Input::Echo(matched) => self.meet(matched, None, now, &mut effects),
            Input::Deadline => self.overdue(now, &mut effects),
            Input::Away { untold } => {
                // Only a call waits for somebody: the queue has others to pair, and keeps no more than the place.
                let waited_for = match &self.phase {
                    Phase::InCall(call) => call.begun(now.instant),
                    Phase::Idle => untold,
                    Phase::New | Phase::Waiting(_) => false,
                };
                if waited_for {
                    self.away = Some(now.instant);
                } else {
                    self.lose_line(now, &mut effects);
                }
            }
            Input::Back => {
                self.away = None;
                let call = match &mut self.phase {
                    Phase::InCall(call) => {
                        call.unsure = true;
                        Some(call.matched.call)
                    }
                    // It was lost without a sign. The page joins again, as after any welcome.
                    Phase::Waiting(_) => {
                        self.lose_line(now, &mut effects);
                        None
                    }
                    Phase::New | Phase::Idle => None,
                };
                effects.push(Effect::Welcome(call));
            }
            Input::End => self.leave(EndReason::Lost, now, &mut effects),
        }
        effects
    }

    /// When [`Input::Deadline`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.describe_by().into_iter().chain(self.back_by()).min()
    }

    /// When the last call ended that can still be reported.
    pub fn has_talked_until(&self) -> Option<Instant> {
        self.memory.past.0.back().map(|(end, ..)| *end)
    }

    /// Whether there is a call, or one about to be.
    pub fn is_in_call(&self) -> bool {
        matches!(self.phase, Phase::InCall(_))
    }

    /// Whether the task should go on although the socket is gone: a call goes on, or its end is still to be told.
    pub fn worth_waiting_for(&self, now: Now) -> bool {
        self.back_by().is_some_and(|by| now.instant < by)
    }

    /// What is to be kept of a visitor who may come back with another socket.
    pub fn take_memory(&mut self) -> Memory {
        std::mem::take(&mut self.memory)
    }

    /// This is a visitor who has come back.
    pub fn remember(&mut self, memory: Memory) {
        self.memory = memory;
    }

    /// Whether a `join` would begin a wait.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    fn describe_by(&self) -> Option<Instant> {
        match &self.phase {
            Phase::InCall(call) if !call.described => call.turn.map(|turn| turn + DESCRIBE_WITHIN),
            _ => None,
        }
    }

    fn back_by(&self) -> Option<Instant> {
        let patience = if matches!(self.phase, Phase::InCall(_)) { AWAY_FOR } else { TOLD_WITHIN };
        self.away.map(|since| since + patience)
    }

    fn frame(
        &mut self,
        message: ClientMessage,
        now: Now,
        ticket: impl FnOnce() -> TicketId,
        effects: &mut Vec<Effect>,
    ) {
        let first = matches!(self.phase, Phase::New);
        let hello = matches!(message, ClientMessage::Hello { .. });
        if first != hello {
            return effects.push(problem(ProblemCode::UnexpectedHello, "the first frame is hello, once"));
        }
        match message {
            ClientMessage::Hello { .. } => {
                self.phase = Phase::Idle;
                effects.push(Effect::Welcome(None));
            }
            // Whether it has been worked for is not for the rules to say.
            ClientMessage::Join { languages, role, avoid_recent, struggling, proof: _ } => match self.phase {
                Phase::Waiting(_) => effects.push(problem(ProblemCode::AlreadyWaiting, "already waiting")),
                Phase::InCall(_) => effects.push(problem(ProblemCode::AlreadyInCall, "already in a call")),
                Phase::New | Phase::Idle => {
                    // Taken, so that nobody stands in one place twice; other wishes are no other place.
                    let place = self.memory.place.take().filter(|place| now.instant < place.until);
                    let joined = place.map_or(now.instant, |place| place.joined);
                    self.wait(Wait { ticket: ticket(), languages, role, avoid_recent, struggling, joined }, effects);
                }
            },
            ClientMessage::HearYourself {} => match self.phase {
                Phase::Waiting(_) => effects.push(problem(ProblemCode::AlreadyWaiting, "already waiting")),
                Phase::InCall(_) => effects.push(problem(ProblemCode::AlreadyInCall, "already in a call")),
                Phase::New | Phase::Idle => {
                    self.memory.place = None;
                    effects.push(Effect::HearYourself);
                }
            },
            ClientMessage::Leave {} => match &self.phase {
                // A page that has come back gives up a match that it was never told of, and goes on waiting.
                Phase::InCall(call) if call.unsure && !call.described => self.lose_line(now, effects),
                phase => {
                    if let Phase::Waiting(wait) = phase {
                        let waited = now.instant.saturating_duration_since(wait.joined);
                        effects.push(Effect::Waited(waited, None));
                    }
                    self.memory.place = None;
                    self.leave(EndReason::Left, now, effects);
                }
            },
            ClientMessage::Describe { call, description } => {
                let Some(side) = self.call(call) else { return };
                let setup = if side.matched.offerer {
                    description.setup == Setup::Actpass
                } else {
                    description.setup != Setup::Actpass
                };
                if side.described || side.turn.is_none() || !setup {
                    return effects
                        .push(problem(ProblemCode::UnexpectedDescription, "not this side's turn, or not its setup"));
                }
                side.described = true;
                if !side.matched.offerer {
                    side.negotiated = Some(now.instant);
                }
                effects.push(Effect::Tell(side.matched.mailbox.clone(), Mail::Describe { call, description }));
            }
            ClientMessage::Candidate { call, port } => {
                let Some(side) = self.call(call) else { return };
                if side.candidates == MAX_CANDIDATES {
                    return effects.push(problem(ProblemCode::TooMany, "more candidates than a call needs"));
                }
                side.candidates += 1;
                effects.push(Effect::Tell(side.matched.mailbox.clone(), Mail::Candidate { call, port }));
            }
            ClientMessage::Restart { call, ufrag, pwd } => {
                let Some(side) = self.call(call) else { return };
                let (began, count) = match side.run {
                    (Some(began), count) if now.instant < began + RESTART_PACE => (began, count),
                    _ => (now.instant, 0),
                };
                if side.negotiated.is_none() {
                    return effects.push(problem(ProblemCode::UnexpectedDescription, "nothing to restart yet"));
                }
                if side.restarts == MAX_RESTARTS || count == RESTART_BURST {
                    return effects.push(problem(ProblemCode::TooMany, "more restarts than a call needs"));
                }
                side.run = (Some(began), count + 1);
                side.restarts += 1;
                side.candidates = 0;
                effects.push(Effect::Tell(side.matched.mailbox.clone(), Mail::Restart { call, ufrag, pwd }));
            }
            ClientMessage::Report { call, category } => {
                if self.call(call).is_some() {
                    self.leave(EndReason::Left, now, effects);
                }
                if let Some(partner) = self.memory.past.take(call, now.instant) {
                    effects.push(Effect::Report(partner, category));
                }
            }
            ClientMessage::Connected { call } => {
                let Some(side) = self.call(call) else { return };
                if side.negotiated.is_some() && !side.connected {
                    side.connected = true;
                    // There is no way back to one's place any more.
                    if let (Some(wait), Some(partner)) = (side.wait.take(), side.matched.partner) {
                        let waited = side.since.saturating_duration_since(wait.joined);
                        effects.push(Effect::Waited(waited, Some(partner)));
                    }
                }
            }
        }
    }

    fn mail(&mut self, mail: Mail, now: Now, ticket: impl FnOnce() -> TicketId, effects: &mut Vec<Effect>) {
        match mail {
            Mail::Matched(ticket, matched) => match std::mem::replace(&mut self.phase, Phase::Idle) {
                Phase::Waiting(wait) if wait.ticket == ticket && self.away.is_none() => {
                    self.meet(matched, Some(wait), now, effects);
                }
                // The match of a wait that was given up in the same moment.
                phase => {
                    self.phase = phase;
                    effects.push(Effect::Tell(
                        matched.mailbox,
                        Mail::Gone { call: matched.call, why: EndReason::Vanished },
                    ));
                }
            },
            Mail::Describe { call, description } => {
                let Some(side) = self.call(call) else { return };
                if side.matched.offerer {
                    side.negotiated = Some(now.instant);
                } else {
                    side.turn = Some(now.instant);
                }
                effects.push(Effect::Send(ServerMessage::Describe { call, description }));
            }
            Mail::Candidate { call, port } => {
                if self.call(call).is_some() {
                    effects.push(Effect::Send(ServerMessage::Candidate { call, port }));
                }
            }
            Mail::Restart { call, ufrag, pwd } => {
                if self.call(call).is_some() {
                    effects.push(Effect::Send(ServerMessage::Restart { call, ufrag, pwd }));
                }
            }
            Mail::Unreachable { call } => {
                let Some(side) = self.call(call) else { return };
                if !side.begun(now.instant) {
                    // Should the partner be there after all, they go back to their place as well.
                    let gone = Mail::Gone { call, why: EndReason::Vanished };
                    effects.push(Effect::Tell(side.matched.mailbox.clone(), gone.clone()));
                    self.mail(gone, now, ticket, effects);
                }
            }
            Mail::Gone { call, why } => {
                let Some(side) = self.call(call) else { return };
                let place = side.wait.clone().filter(|_| !side.begun(now.instant));
                if let Some(wait) = place {
                    effects.push(Effect::Revoke(call));
                    effects.push(Effect::Send(ServerMessage::Ended { call, why: EndReason::Vanished }));
                    self.wait(Wait { ticket: ticket(), ..wait }, effects);
                } else {
                    let partner = side.matched.partner;
                    let why = if why == EndReason::Vanished { EndReason::Lost } else { why };
                    self.phase = Phase::Idle;
                    self.away = self.away.map(|_| now.instant);
                    if let Some(partner) = partner {
                        self.memory.past.push(call, partner, now.instant);
                        effects.push(Effect::KeepApart(partner.visitor));
                    }
                    effects.push(Effect::Revoke(call));
                    effects.push(Effect::Send(ServerMessage::Ended { call, why }));
                }
            }
        }
    }

    /// A deadline has passed: this side never described itself, or has been away for too long.
    fn overdue(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let over = self.deadline().is_some_and(|deadline| deadline <= now.instant);
        if let Phase::InCall(side) = &self.phase
            && over
        {
            let call = side.matched.call;
            self.leave(EndReason::Lost, now, effects);
            effects.push(Effect::Send(ServerMessage::Ended { call, why: EndReason::Lost }));
        }
    }

    /// Out of the queue or the call, the partner told, the relay closed.
    fn leave(&mut self, why: EndReason, now: Now, effects: &mut Vec<Effect>) {
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::New | Phase::Idle => {}
            Phase::Waiting(wait) => effects.push(Effect::LeaveQueue(wait.ticket)),
            Phase::InCall(side) => {
                let call = side.matched.call;
                let begun = side.begun(now.instant);
                if let Some(partner) = side.matched.partner {
                    if begun {
                        self.memory.past.push(call, partner, now.instant);
                        effects.push(Effect::KeepApart(partner.visitor));
                    }
                    if !side.has_lasted(now.instant) || side.owes_a_description() {
                        effects.push(Effect::Dropped(partner));
                    } else if !begun {
                        effects.push(Effect::NotConnected(partner));
                    }
                }
                effects.push(Effect::Revoke(call));
                effects.push(Effect::Tell(side.matched.mailbox, Mail::Gone { call, why }));
            }
        }
    }

    /// The same for somebody who did not mean to go: the place of a wait is kept, and of a match that was no call yet.
    fn lose_line(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let joined = match &self.phase {
            Phase::Waiting(wait) => Some(wait.joined),
            Phase::InCall(call) if !call.begun(now.instant) => call.wait.as_ref().map(|wait| wait.joined),
            Phase::New | Phase::Idle | Phase::InCall(_) => None,
        };
        self.leave(EndReason::Lost, now, effects);
        let place = joined.map(|joined| Place { joined, until: now.instant + PLACE_FOR });
        self.memory.place = place.or(self.memory.place);
    }

    fn meet(&mut self, matched: Match, wait: Option<Wait>, now: Now, effects: &mut Vec<Effect>) {
        let (call, side, offerer, relay) = (matched.call, matched.side, matched.offerer, matched.relay.clone());
        self.phase = Phase::InCall(Call::new(matched, wait, now.instant));
        effects.push(Effect::Matched { call, side, offerer, relay });
    }

    fn wait(&mut self, wait: Wait, effects: &mut Vec<Effect>) {
        // Told before the match can be, so that a page sees the two in this order.
        effects.push(Effect::Waiting);
        effects.push(Effect::Join(wait.clone()));
        self.phase = Phase::Waiting(wait);
    }

    /// This side's half of the call, if it is the one of that name.
    fn call(&mut self, call: CallId) -> Option<&mut Call> {
        match &mut self.phase {
            Phase::InCall(side) if side.matched.call == call => Some(side),
            _ => None,
        }
    }
}

fn problem(code: ProblemCode, text: &str) -> Effect {
    Effect::Send(ServerMessage::Problem { code, text: text.to_owned() })
}

#[cfg(test)]
mod tests;
