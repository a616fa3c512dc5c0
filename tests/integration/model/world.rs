//! Everybody, every socket, and one clock.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sotto::clock::Now;
use sotto::mailbox::{Inbox, Mail, Mailbox, Person, TicketId, VisitorId, Whence, mailbox};
use sotto::matchmaking::{self, Matchmaker, RECENT_FOR, Ticket, WIDEN_AFTER};
use sotto::protocol::{
    CallId, Category, ClientMessage, EndReason, Languages, Relay, ResumeToken, Role, ServerMessage, Side, Struggling,
    Transport,
};
use sotto::visitor::{AWAY_FOR, Effect, Input, Memory, Visitor, Wait};

use super::page::{Page, State, Wish};

/// Between two visits, on average; at night four times as long.
const BETWEEN_VISITS: f64 = 30.0;
/// How long one talks, and how long one waits, on average.
const TALK: f64 = 8.0 * 60.0;
const PATIENCE: f64 = 4.0 * 60.0;
/// How long a socket holds, on average.
const SOCKET: f64 = 10.0 * 60.0;
/// As `static/js/machine.js` has it.
const CONNECT_WITHIN: f64 = 45.0;
/// How long a socket can be dead before the server notices: `web/pulse.rs`.
const SILENT_FOR: f64 = 40.0;
/// How often everybody is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long two are kept apart after a report: `matchmaking/bars.rs`.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);
/// A match can be on its way for so long.
const UNREAD: Duration = Duration::from_secs(1);
/// Where a page has had a good socket for so long, page and server agree.
const SETTLED: Duration = Duration::from_secs(60);

#[derive(Debug)]
enum Event {
    Visit,
    Open(usize),
    Up(usize, ClientMessage),
    Down(usize, ServerMessage),
    Break(usize),
    PageNotices(usize),
    ServerNotices(usize),
    Deadline(usize),
    Mail(usize, Mail),
    Describe(usize, CallId),
    Connect(usize, CallId),
    ConnectTimeout(usize, CallId),
    HangUp(usize, CallId),
    GiveUp(usize, u64),
    Again(usize),
    Look,
}

/// What one visitor's task has: [`sotto::web`]'s line and pump in one.
struct Line {
    visitor: Visitor,
    id: VisitorId,
    /// Where the page is.
    network: u64,
    mailbox: Mailbox,
    inbox: Inbox,
    /// Taken out of the inbox and not read yet.
    late: usize,
    token: Option<ResumeToken>,
    matched: bool,
    socket: Option<usize>,
    unsent: Vec<ServerMessage>,
    /// What the rules have said last.
    waiting: Option<Wait>,
    /// When a match or a wish ended the last wait; the page hears of it a moment later.
    moved_on: Duration,
    ended: bool,
}

struct Socket {
    page: usize,
    line: usize,
    broken: bool,
    /// When the last frame arrives, each way: frames do not overtake each other.
    last: [Duration; 2],
    open_since: Duration,
}

enum Owner {
    Here(usize),
    Gone(VisitorId, Memory),
}

/// A page and what the model knows of it.
struct Guest {
    page: Page,
    network: u64,
    socket: Option<usize>,
    /// Counts the waits, so that one's patience does not end another.
    waits: u64,
    waits_since: Duration,
}

/// A report, and who is not to meet whom after it.
struct Report {
    at: Duration,
    /// Visitor and network, of both.
    sides: [(VisitorId, u64); 2],
    /// Whoever comes after it has a higher number.
    newest: VisitorId,
}

impl Report {
    /// Whether it keeps these two apart. Within one network it is about these two and who comes after it.
    fn parts(&self, one: (VisitorId, u64), other: (VisitorId, u64)) -> bool {
        [(one, other), (other, one)].iter().any(|(one, other)| {
            let [a, b] = self.sides;
            let after = |own: (VisitorId, u64)| one.0 == own.0 && other.1 == own.1 && other.0 > self.newest;
            (one.0, other.0) == (a.0, b.0)
                || if a.1 == b.1 { after(a) || after(b) } else { (one.1, other.1) == (a.1, b.1) }
        })
    }
}

/// One side as it was when the match was made.
struct Party {
    line: usize,
    side: Side,
    offerer: bool,
    wait: Wait,
}

#[derive(Debug, Default)]
pub struct Tally {
    pub visits: u64,
    pub matched: u64,
    pub begun: u64,
    pub vanished: u64,
    pub refused: u64,
    pub sockets_lost: u64,
    pub resumed: u64,
    /// How often somebody has come back to their place in the queue.
    pub kept: u64,
    pub crashes: u64,
    pub reported: u64,
    /// How often two who fit waited beside each other for a report's sake.
    pub parted: u64,
    /// How often somebody who is struggling badly was paired, with somebody who is not.
    pub struggling: u64,
    /// How often two of them waited beside each other, who fit in everything else.
    pub spared: u64,
}

pub struct World {
    random: StdRng,
    start: Now,
    now: Duration,
    events: BinaryHeap<Reverse<(Duration, u64)>>,
    due: HashMap<u64, Event>,
    number: u64,
    matchmaker: matchmaking::Memory,
    lines: Vec<Line>,
    /// Those whose task runs.
    running: Vec<usize>,
    sockets: Vec<Socket>,
    guests: Vec<Guest>,
    /// Those whose page is open.
    present: Vec<usize>,
    tokens: HashMap<ResumeToken, Owner>,
    calls: HashMap<CallId, Vec<Party>>,
    /// Until when two are not to meet again.
    apart: HashMap<(VisitorId, VisitorId), Duration>,
    /// Of the last day.
    reports: Vec<Report>,
    /// For how many looks somebody has been in a call alone.
    alone: BTreeMap<(usize, CallId), u32>,
    open: bool,
    tally: Tally,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut world = Self {
            random: StdRng::seed_from_u64(seed),
            start: Now { instant: Instant::now(), unix: 1_795_305_600 },
            now: Duration::ZERO,
            events: BinaryHeap::new(),
            due: HashMap::new(),
            number: 0,
            matchmaker: matchmaking::Memory::default(),
            lines: Vec::new(),
            running: Vec::new(),
            sockets: Vec::new(),
            guests: Vec::new(),
            present: Vec::new(),
            tokens: HashMap::new(),
            calls: HashMap::new(),
            apart: HashMap::new(),
            reports: Vec::new(),
            alone: BTreeMap::new(),
            open: true,
            tally: Tally::default(),
        };
        world.after(0.0, Event::Visit);
        world.after(0.0, Event::Look);
        world
    }

    /// Lets time pass.
    pub fn live(&mut self, long: Duration) {
        let until = self.now + long;
        while let Some(Reverse((at, _))) = self.events.peek().copied()
            && at <= until
        {
            let Some(Reverse((at, number))) = self.events.pop() else { break };
            self.now = at;
            self.matchmaker.advance(self.clock().instant);
            if let Some(event) = self.due.remove(&number) {
                self.handle(event);
            }
            self.post();
        }
        self.now = until;
    }

    /// Nobody comes any more and everybody goes, some of them without a word; nothing may be left of them.
    pub fn close(mut self) -> Tally {
        self.open = false;
        for guest in 0..self.guests.len() {
            if self.chance(0.5) {
                self.leave(guest);
            } else {
                self.crash(guest);
            }
        }
        self.live(AWAY_FOR * 2 + RECENT_FOR);
        self.matchmaker.advance(self.clock().instant);
        assert_eq!(self.matchmaker.waiting(), 0, "somebody waits for ever");
        assert!(self.running.is_empty(), "a task runs for ever");
        for line in &self.lines {
            assert!(!self.matchmaker.has_met(line.id), "something is remembered for ever");
        }
        self.tally
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Visit if self.open => self.visit(),
            Event::Open(guest) => self.connect(guest),
            Event::Up(socket, message) if !self.sockets[socket].broken => self.hear(socket, message),
            Event::Down(socket, frame) if !self.sockets[socket].broken => self.tell(socket, frame),
            Event::Break(socket) => self.lose(socket),
            Event::PageNotices(socket) => self.page_notices(socket),
            Event::ServerNotices(socket) => self.server_notices(socket),
            Event::Deadline(line) => self.deadline(line),
            Event::Mail(line, mail) => {
                self.lines[line].late -= 1;
                self.put(line, Input::Mail(mail));
            }
            Event::Describe(guest, call) => {
                for message in self.guests[guest].page.describe(call) {
                    self.send(guest, message);
                }
            }
            Event::Connect(guest, call) => self.connected(guest, call),
            Event::ConnectTimeout(guest, call) => {
                if self.guests[guest].page.call().is_some_and(|own| own.call == call && !own.connected) {
                    self.send(guest, ClientMessage::Leave {});
                    self.wait_again(guest);
                }
            }
            Event::HangUp(guest, call) => {
                if self.guests[guest].page.call().is_some_and(|own| own.call == call) {
                    // Some report it, and some a moment after the end.
                    let report = self.chance(0.1);
                    if !report || self.chance(0.5) {
                        self.send(guest, ClientMessage::Leave {});
                    }
                    if report {
                        self.send(guest, ClientMessage::Report { call, category: Category::Other });
                    }
                    self.guests[guest].page.state = State::Idle;
                    self.go_on(guest);
                }
            }
            Event::GiveUp(guest, wait) => {
                let it = &self.guests[guest];
                if it.waits == wait && it.page.state == State::Waiting {
                    self.leave(guest);
                }
            }
            Event::Again(guest) => {
                if self.guests[guest].page.state == State::Idle {
                    self.wait_again(guest);
                }
            }
            Event::Look if self.open => {
                self.look();
                self.after(LOOK_EVERY.as_secs_f64(), Event::Look);
            }
            // What arrives on a broken socket is lost; after closing time nobody comes.
            Event::Up(..) | Event::Down(..) | Event::Visit | Event::Look => {}
        }
    }

    // Visitors and their pages.

    fn visit(&mut self) {
        self.tally.visits += 1;
        let hour = self.now.as_secs() / 3600 % 24;
        let pace = if (1..7).contains(&hour) { 4.0 } else { 1.0 };
        let next = self.draw(BETWEEN_VISITS * pace);
        self.after(next, Event::Visit);
        let languages = [&["en"][..], &["de"], &["en", "de"], &["ar"]][self.pick(4)];
        let page = Page {
            state: State::Waiting,
            languages: Languages::new(languages.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>())
                .expect("languages"),
            role: [Role::Talk, Role::Listen, Role::Either][self.pick(3)],
            avoid_recent: self.chance(0.9),
            struggling: Struggling(self.chance(0.2)),
            token: None,
            up: false,
        };
        // Some share a network, and some are here again on one that the server knows.
        let network = match self.pick(4) {
            0 if !self.present.is_empty() => {
                let near = self.pick(self.present.len());
                self.guests[self.present[near]].network
            }
            1 if !self.guests.is_empty() => {
                let back = self.pick(self.guests.len().min(200));
                self.guests[self.guests.len() - 1 - back].network
            }
            _ => self.guests.len() as u64,
        };
        self.guests.push(Guest { page, network, socket: None, waits: 0, waits_since: self.now });
        self.present.push(self.guests.len() - 1);
        self.after(0.0, Event::Open(self.guests.len() - 1));
    }

    fn wait_again(&mut self, guest: usize) {
        let page = &mut self.guests[guest].page;
        page.state = State::Waiting;
        if page.up {
            let join = page.join();
            self.send(guest, join);
        }
        self.begin_wait(guest);
    }

    fn begin_wait(&mut self, guest: usize) {
        let patience = self.draw(PATIENCE);
        let it = &mut self.guests[guest];
        it.waits += 1;
        it.waits_since = self.now;
        let wait = it.waits;
        self.after(patience, Event::GiveUp(guest, wait));
    }

    /// After a call: once more, or enough for now.
    fn go_on(&mut self, guest: usize) {
        let pause = self.draw(20.0);
        match self.pick(10) {
            0 => self.crash(guest),
            1..5 => self.leave(guest),
            _ => self.after(pause, Event::Again(guest)),
        }
    }

    /// Closes the page as it should be done.
    fn leave(&mut self, guest: usize) {
        if self.guests[guest].page.state != State::Gone {
            self.send(guest, ClientMessage::Leave {});
            self.guests[guest].page.state = State::Gone;
            if let Some(socket) = self.guests[guest].socket {
                // The socket's close comes after what was sent.
                let after = self.sockets[socket].last[0].saturating_sub(self.now).as_secs_f64() + 0.01;
                self.after(after, Event::Break(socket));
            }
        }
    }

    /// The page is gone without a word.
    fn crash(&mut self, guest: usize) {
        if self.guests[guest].page.state != State::Gone {
            self.tally.crashes += 1;
            self.guests[guest].page.state = State::Gone;
            if let Some(socket) = self.guests[guest].socket {
                self.after(0.0, Event::Break(socket));
            }
        }
    }

    fn connected(&mut self, guest: usize, call: CallId) {
        if self.chance(0.03) {
            return; // This line never comes up.
        }
        let State::InCall(own) = &mut self.guests[guest].page.state else { return };
        if own.call != call {
            return;
        }
        own.connected = true;
        self.tally.begun += 1;
        self.send(guest, ClientMessage::Connected { call });
        let talk = self.draw(TALK);
        self.after(talk, Event::HangUp(guest, call));
    }

    fn tell(&mut self, socket: usize, frame: ServerMessage) {
        let guest = self.sockets[socket].page;
        if self.guests[guest].socket != Some(socket) || self.guests[guest].page.state == State::Gone {
            return;
        }
        for wish in self.guests[guest].page.hear(frame) {
            match wish {
                Wish::Send(message) => self.send(guest, message),
                Wish::Wait => self.begin_wait(guest),
                Wish::Ended => self.go_on(guest),
                Wish::Matched(call) => self.after(CONNECT_WITHIN, Event::ConnectTimeout(guest, call)),
                Wish::Describe(call) => {
                    // One in ten is not at this tab.
                    let mean = if self.chance(0.1) { 20.0 } else { 0.1 };
                    let after = self.draw(mean);
                    self.after(after, Event::Describe(guest, call));
                }
                Wish::Connect(call) => {
                    let after = self.draw(0.5);
                    self.after(after, Event::Connect(guest, call));
                }
            }
        }
    }

    // Sockets.

    fn connect(&mut self, guest: usize) {
        if self.guests[guest].page.state == State::Gone {
            return;
        }
        let (mailbox, inbox) = mailbox();
        let line = Line {
            visitor: Visitor::default(),
            id: self.matchmaker.new_visitor(),
            network: self.guests[guest].network,
            mailbox,
            inbox,
            late: 0,
            token: None,
            matched: false,
            socket: Some(self.sockets.len()),
            unsent: Vec::new(),
            waiting: None,
            moved_on: self.now,
            ended: false,
        };
        self.running.push(self.lines.len());
        self.lines.push(line);
        let line = self.lines.len() - 1;
        let last = [self.now; 2];
        self.sockets.push(Socket { page: guest, line, broken: false, last, open_since: self.now });
        let socket = self.sockets.len() - 1;
        let holds = self.draw(SOCKET);
        self.after(holds, Event::Break(socket));
        self.guests[guest].socket = Some(socket);
        let resume = self.guests[guest].page.token.take();
        self.send_on(socket, ClientMessage::Hello { resume });
    }

    fn send(&mut self, guest: usize, message: ClientMessage) {
        if let Some(socket) = self.guests[guest].socket
            && self.guests[guest].page.up
        {
            self.send_on(socket, message);
        }
    }

    fn send_on(&mut self, socket: usize, message: ClientMessage) {
        let after = self.travel(socket, 0);
        self.after(after, Event::Up(socket, message));
    }

    /// How long a frame takes, one of fifty for seconds; never less than the one before it.
    fn travel(&mut self, socket: usize, direction: usize) -> f64 {
        let mean = if self.chance(0.02) { 3.0 } else { 0.05 };
        let arrives = self.now + Duration::from_secs_f64(self.draw(mean));
        let last = &mut self.sockets[socket].last[direction];
        *last = arrives.max(*last + Duration::from_nanos(1));
        (*last - self.now).as_secs_f64()
    }

    fn lose(&mut self, socket: usize) {
        if std::mem::replace(&mut self.sockets[socket].broken, true) {
            return;
        }
        self.tally.sockets_lost += 1;
        let (page, server) = (self.draw(3.0), SILENT_FOR * self.random.random::<f64>());
        self.after(page, Event::PageNotices(socket));
        self.after(server, Event::ServerNotices(socket));
    }

    fn page_notices(&mut self, socket: usize) {
        let guest = self.sockets[socket].page;
        if self.guests[guest].socket == Some(socket) {
            self.guests[guest].socket = None;
            self.guests[guest].page.up = false;
            // Some are in a tunnel.
            let mean = if self.chance(0.05) { 300.0 } else { 1.0 };
            let after = self.draw(mean);
            self.after(after, Event::Open(guest));
        }
    }

    fn server_notices(&mut self, socket: usize) {
        let line = self.sockets[socket].line;
        if self.lines[line].socket == Some(socket) && !self.lines[line].ended {
            self.lines[line].socket = None;
            self.put(line, Input::Away { untold: false });
            self.end_unless_waited_for(line);
        }
    }

    // The server.

    fn hear(&mut self, socket: usize, message: ClientMessage) {
        let line = self.sockets[socket].line;
        if self.lines[line].ended || self.lines[line].socket != Some(socket) {
            return;
        }
        let ClientMessage::Hello { resume: Some(token) } = &message else {
            return self.put(line, Input::Frame(message));
        };
        match self.tokens.remove(token) {
            Some(Owner::Here(owner)) => {
                self.tally.resumed += 1;
                self.lines[line].socket = None;
                self.end(line);
                self.lines[owner].socket = Some(socket);
                self.sockets[socket].line = owner;
                self.put(owner, Input::Back);
                for frame in std::mem::take(&mut self.lines[owner].unsent) {
                    self.answer(owner, frame);
                }
            }
            owner => {
                if let Some(Owner::Gone(id, memory)) = owner {
                    self.lines[line].id = id;
                    self.lines[line].visitor.remember(memory);
                }
                self.put(line, Input::Frame(ClientMessage::Hello { resume: None }));
            }
        }
    }

    fn deadline(&mut self, line: usize) {
        if self.lines[line].ended {
            return;
        }
        let now = self.clock().instant;
        if self.lines[line].visitor.deadline().is_some_and(|due| due <= now) {
            self.put(line, Input::Deadline);
        }
        if self.lines[line].socket.is_none() {
            self.end_unless_waited_for(line);
        }
    }

    fn end_unless_waited_for(&mut self, line: usize) {
        if !self.lines[line].visitor.worth_waiting_for(self.clock()) {
            self.end(line);
        }
    }

    /// The task ends: what its `Drop` does.
    fn end(&mut self, line: usize) {
        if std::mem::replace(&mut self.lines[line].ended, true) {
            return;
        }
        self.running.retain(|running| *running != line);
        let unread = self.lines[line].inbox.close();
        self.apply(line, Input::End);
        for mail in unread {
            self.apply(line, Input::Mail(mail));
        }
        let it = &mut self.lines[line];
        let memory = it.visitor.take_memory();
        match it.token.take() {
            Some(token) if it.matched || self.matchmaker.has_met(it.id) || memory.has_place() => {
                self.tokens.insert(token, Owner::Gone(it.id, memory));
            }
            token => {
                token.map(|token| self.tokens.remove(&token));
                self.matchmaker.forget(it.id);
            }
        }
    }

    fn put(&mut self, line: usize, input: Input) {
        self.apply(line, input);
        if let Some(deadline) = self.lines[line].visitor.deadline() {
            let after = deadline.saturating_duration_since(self.clock().instant);
            self.after(after.as_secs_f64() + 0.001, Event::Deadline(line));
        }
    }

    /// Carries out what the rules want.
    fn apply(&mut self, line: usize, input: Input) {
        let now = self.clock();
        let matched = matches!(input, Input::Mail(Mail::Matched(..)));
        let joins = matches!(input, Input::Frame(ClientMessage::Join { .. }));
        let matchmaker = &self.matchmaker;
        let effects = self.lines[line].visitor.handle(input, now, || matchmaker.new_ticket());
        for effect in effects {
            match effect {
                Effect::Send(frame) => {
                    if matches!(frame, ServerMessage::Ended { why: EndReason::Vanished, .. }) {
                        self.tally.vanished += 1;
                    }
                    self.answer(line, frame);
                }
                Effect::Waiting => self.answer(line, ServerMessage::Waiting { usual: None }),
                Effect::Welcome(call) => {
                    let resume = ResumeToken::new(format!("{:032x}", self.random.random::<u128>())).expect("a token");
                    if let Some(old) = self.lines[line].token.replace(resume.clone()) {
                        self.tokens.remove(&old);
                    }
                    self.tokens.insert(resume.clone(), Owner::Here(line));
                    self.answer(line, ServerMessage::Welcome { resume, call });
                }
                Effect::Matched { call, side, offerer, .. } => {
                    self.lines[line].matched = true;
                    self.matched(line, call, side, offerer);
                }
                Effect::Join(wait) => {
                    assert!(self.lines[line].waiting.is_none(), "queued twice");
                    assert!(!self.lines[line].ended, "queued on behalf of somebody gone");
                    self.tally.kept += u64::from(joins && wait.joined < now.instant);
                    self.lines[line].waiting = Some(wait.clone());
                    let Wait { ticket, languages, role, avoid_recent, struggling, joined } = wait;
                    let ticket = Ticket {
                        id: ticket,
                        visitor: self.lines[line].id,
                        whence: Some(whence(self.lines[line].network)),
                        languages,
                        role,
                        avoid_recent,
                        struggling,
                        joined,
                    };
                    self.matchmaker.join(ticket, self.lines[line].mailbox.clone(), now.instant);
                }
                Effect::LeaveQueue(ticket) => {
                    self.left_queue(line, ticket);
                    self.matchmaker.leave(ticket);
                }
                Effect::Tell(mailbox, mail) => {
                    if matched {
                        self.tally.refused += 1;
                    }
                    mailbox.send(mail);
                }
                Effect::KeepApart(partner) => {
                    let id = self.lines[line].id;
                    self.matchmaker.keep_apart(id, partner, now.instant);
                    self.apart.insert((id.min(partner), id.max(partner)), self.now + RECENT_FOR);
                }
                Effect::Report(partner, _) => self.reported(line, partner),
                // What comes of dropping somebody again and again is in the pairing's own histories.
                // Nobody here asks for an echo.
                Effect::Revoke(_)
                | Effect::Dropped(_)
                | Effect::NotConnected(_)
                | Effect::Waited(..)
                | Effect::HearYourself => {}
            }
        }
    }

    fn reported(&mut self, line: usize, partner: Person) {
        self.tally.reported += 1;
        let Line { id, network, .. } = self.lines[line];
        let theirs = partner.whence.expect("everybody comes from somewhere").network[0];
        let own = Person { visitor: id, whence: Some(whence(network)) };
        let newest = self.matchmaker.new_visitor();
        self.matchmaker.never_again(own, partner, true, self.clock().instant);
        self.reports.retain(|report| self.now < report.at + NEVER * 2);
        self.reports.push(Report { at: self.now, sides: [(id, network), (partner.visitor, theirs)], newest });
    }

    /// Whether a report from before keeps two waits apart.
    fn parted(&self, one: &Line, own: &Wait, other: &Line, theirs: &Wait, before: Duration) -> bool {
        let later = own.joined.max(theirs.joined);
        self.reports.iter().any(|report| {
            report.at <= before
                && later < self.start.instant + report.at + NEVER
                && report.parts((one.id, one.network), (other.id, other.network))
        })
    }

    fn left_queue(&mut self, line: usize, ticket: TicketId) {
        let wait = self.lines[line].waiting.take();
        assert_eq!(wait.map(|wait| wait.ticket), Some(ticket), "another wait than the one that ends");
    }

    /// Who is paired with whom: the heart of what must hold.
    fn matched(&mut self, line: usize, call: CallId, side: Side, offerer: bool) {
        self.tally.matched += 1;
        let wait = self.lines[line].waiting.take().expect("matched only while waiting");
        self.lines[line].moved_on = self.now;
        let id = self.lines[line].id;
        let parties = self.calls.get(&call).map_or(&[][..], |parties| parties);
        if let Some(other) = parties.first() {
            let (own, theirs) = (&wait, &other.wait);
            assert_eq!(parties.len(), 1, "three in a call");
            assert!(other.line != line && self.lines[other.line].id != id, "paired with oneself");
            assert!(other.side != side && other.offerer != offerer, "two of one side");
            assert!(own.languages.get().iter().any(|it| theirs.languages.get().contains(it)), "no language in common");
            let waited = self.start.instant + self.now - own.joined.min(theirs.joined);
            let fits = own.role == Role::Either || theirs.role == Role::Either || own.role != theirs.role;
            assert!(fits || waited >= WIDEN_AFTER, "two of one role after {waited:?}");
            let pair = (id.min(self.lines[other.line].id), id.max(self.lines[other.line].id));
            // The match was made a moment before both have read of it.
            let apart = self.apart.get(&pair).is_some_and(|until| self.now < *until);
            assert!(!apart || !(own.avoid_recent || theirs.avoid_recent), "the same two again");
            assert!(!(own.struggling.0 && theirs.struggling.0), "two who are struggling badly");
            self.tally.struggling += u64::from(own.struggling.0 || theirs.struggling.0);
            let before = self.now.saturating_sub(UNREAD);
            let parted = self.parted(&self.lines[line], own, &self.lines[other.line], theirs, before);
            assert!(!parted, "reported, and paired again");
        }
        self.calls.entry(call).or_default().push(Party { line, side, offerer, wait });
        let relay =
            Relay { host: None, transports: vec![Transport::Udp], username: String::new(), credential: String::new() };
        self.answer(line, ServerMessage::Matched { call, side, offerer, relay, text_line: false });
    }

    fn answer(&mut self, line: usize, frame: ServerMessage) {
        match self.lines[line].socket {
            Some(socket) => {
                let after = self.travel(socket, 1);
                self.after(after, Event::Down(socket, frame));
            }
            None if self.lines[line].ended => {}
            None => self.lines[line].unsent.push(frame),
        }
    }

    /// Takes the mail out of all boxes. It is read a little later, in order: tasks wait for their turn.
    fn post(&mut self) {
        for index in 0..self.running.len() {
            let line = self.running[index];
            while let Some(mail) = self.lines[line].inbox.try_next() {
                let after = 0.01 * (self.lines[line].late + 1) as f64;
                self.lines[line].late += 1;
                self.after(after, Event::Mail(line, mail));
            }
        }
    }

    /// Looks at everybody: nobody may be lost.
    fn look(&mut self) {
        self.present.retain(|guest| self.guests[*guest].page.state != State::Gone);
        let mut waiting = Vec::new();
        for (number, guest) in self.present.iter().map(|number| (number, &self.guests[*number])) {
            let Some(socket) = guest.socket.map(|socket| &self.sockets[socket]) else { continue };
            let since = guest.waits_since.max(socket.open_since);
            if socket.broken || !guest.page.up || guest.page.state != State::Waiting || since + SETTLED > self.now {
                continue;
            }
            let line = &self.lines[socket.line];
            match &line.waiting {
                Some(wait) => waiting.push((line, wait)),
                None => {
                    assert!(line.moved_on + SETTLED > self.now, "page {number} waits, and the server knows nothing")
                }
            }
        }
        for (index, (one, own)) in waiting.iter().enumerate() {
            for (other, theirs) in &waiting[index + 1..] {
                let share = own.languages.get().iter().any(|it| theirs.languages.get().contains(it));
                if !share {
                    continue;
                }
                if own.struggling.0 && theirs.struggling.0 {
                    self.tally.spared += 1;
                    continue;
                }
                let pair = (one.id.min(other.id), one.id.max(other.id));
                let apart = self.apart.get(&pair).is_some_and(|until| self.now < *until + SETTLED);
                let parted = self.parted(one, own, other, theirs, self.now);
                assert!(apart || parted, "two who fit wait beside each other");
                self.tally.parted += u64::from(!apart);
            }
        }
        let mut alone = BTreeMap::new();
        for &guest in &self.present {
            let Some(call) = self.guests[guest].page.call().map(|own| own.call) else { continue };
            let Some(socket) = self.guests[guest].socket.map(|socket| &self.sockets[socket]) else { continue };
            let parties = self.calls.get(&call).map_or(&[][..], |parties| parties);
            let line = socket.line;
            let partner_is_there = parties.iter().any(|party| {
                party.line != line
                    && self.present.iter().map(|other| &self.guests[*other]).any(|other| {
                        other.page.call().is_some_and(|own| own.call == call)
                            && other.socket.is_none_or(|socket| self.sockets[socket].line == party.line)
                    })
            });
            if !socket.broken && self.guests[guest].page.up && !partner_is_there {
                let looks = self.alone.get(&(guest, call)).copied().unwrap_or(0) + 1;
                let long = LOOK_EVERY * looks;
                assert!(long < AWAY_FOR + SETTLED * 2, "page {guest} has been in a call alone for {long:?}");
                alone.insert((guest, call), looks);
            }
        }
        self.alone = alone;
    }

    // Time and chance.

    fn clock(&self) -> Now {
        self.start.after(self.now)
    }

    fn after(&mut self, seconds: f64, event: Event) {
        self.number += 1;
        self.events.push(Reverse((self.now + Duration::from_secs_f64(seconds), self.number)));
        self.due.insert(self.number, event);
    }

    /// With this mean, exponentially distributed.
    fn draw(&mut self, mean: f64) -> f64 {
        -(1.0 - self.random.random::<f64>()).ln() * mean
    }

    fn chance(&mut self, share: f64) -> bool {
        self.random.random::<f64>() < share
    }

    fn pick(&mut self, many: usize) -> usize {
        self.random.random_range(0..many)
    }
}

fn whence(network: u64) -> Whence {
    Whence { network: [network; 2], site: [network; 2] }
}
