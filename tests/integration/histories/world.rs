//! A few pages who share languages with nobody else, what they do at random, and what has to hold of every frame
//! that they get.
//!
//! A page's frames tell the server's mind: each is either the answer to something that was sent, in the order in which
//! it was sent, or news. News that comes before the answer is from before the server read what was sent. What the
//! server answers with silence is followed by a probe, which it always answers.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use sotto::matchmaking::WIDEN_AFTER;
use sotto::protocol::{CallId, EndReason, Languages, ProblemCode, Role, ServerMessage, Side};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::page::{Heard, Maybe, News, Page, Sent, Silent, Socket, State, Wish};
use crate::server::DEADLINE;

/// A call this old may have ended or begun by itself: half of what `visitor.rs` has.
const OLD: Duration = Duration::from_secs(10);

/// How many have left one visitor's matches before they may be kept apart: `matchmaking/pairing.rs`.
const DROPS: usize = 3;

/// One side of a call, as far as frames have told.
struct Half {
    page: usize,
    visitor: usize,
    network: Ipv4Addr,
    wish: Option<Wish>,
    offerer: bool,
    /// Whether it may describe itself.
    turn: Maybe,
    described: Maybe,
    negotiated: Maybe,
    begun: Maybe,
    /// Whether the server has this side out of the call.
    over: Maybe,
    /// Whether the other has to be told of that, however little the server has answered.
    doomed: bool,
    /// Whether it may have left by its own wish, and whether it may have been lost.
    meant: bool,
    broke: bool,
    reported: bool,
    /// What it has said, and what it was told of the other's.
    said: HashSet<String>,
    told: usize,
    since: Instant,
}

/// A report: whose, of whom, and when it had certainly been made, if it was.
struct Report {
    by: (usize, Ipv4Addr),
    of: (usize, Ipv4Addr),
    made: Option<Instant>,
}

/// What happened, over all worlds.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub frames: usize,
    pub matches: usize,
    pub begun: usize,
    pub vanished: usize,
    pub resumed: usize,
    pub reports: usize,
    pub cooled: usize,
    pub breaches: usize,
    pub echoes: usize,
}

impl Tally {
    pub fn add(&mut self, other: Self) {
        self.frames += other.frames;
        self.matches += other.matches;
        self.begun += other.begun;
        self.vanished += other.vanished;
        self.resumed += other.resumed;
        self.reports += other.reports;
        self.cooled += other.cooled;
        self.breaches += other.breaches;
        self.echoes += other.echoes;
    }
}

pub struct World {
    port: u16,
    number: u32,
    random: StdRng,
    pages: Vec<Page>,
    /// Where each visitor has ever been.
    homes: Vec<Vec<Ipv4Addr>>,
    addresses: u8,
    sockets: usize,
    names: u64,
    calls: HashMap<CallId, [Option<Half>; 2]>,
    reports: Vec<Report>,
    heard: (mpsc::UnboundedSender<News>, mpsc::UnboundedReceiver<News>),
    log: Vec<String>,
    began: Instant,
    pub tally: Tally,
}

impl World {
    /// The world of this number of a seed. No two of one server share an address, nor a language for long.
    pub fn new(port: u16, seed: u64, number: u32) -> Self {
        let random = StdRng::seed_from_u64(seed ^ (u64::from(number) << 32));
        Self {
            port,
            number,
            random,
            pages: Vec::new(),
            homes: Vec::new(),
            addresses: 0,
            sockets: 0,
            names: 0,
            calls: HashMap::new(),
            reports: Vec::new(),
            heard: mpsc::unbounded_channel(),
            log: Vec::new(),
            began: Instant::now(),
            tally: Tally::default(),
        }
    }

    /// Lives through one history.
    pub async fn live(&mut self) {
        for _ in 0..self.random.random_range(2..=5) {
            self.new_page();
        }
        let steps = self.random.random_range(20..60);
        for _ in 0..steps {
            self.read();
            let page = self.pick(self.pages.len());
            self.act(page).await;
            match self.pick(8) {
                0 => self.settle().await,
                1..3 => {
                    let pause = self.random.random_range(0..4);
                    sleep(Duration::from_millis(pause)).await;
                }
                3..5 => tokio::task::yield_now().await,
                _ => {}
            }
        }
        self.settle().await;
        // Everybody goes, so that nobody is left of this world when another has its languages.
        for page in 0..self.pages.len() {
            if self.pages[page].socket.is_some() {
                self.say(page, json!({ "type": "leave" }), Sent::May(Silent::Leave)).await;
            }
        }
        self.settle().await;
        for page in 0..self.pages.len() {
            match self.pages[page].socket.take() {
                Some(socket) if page % 2 == 0 => socket.end().await,
                Some(socket) => socket.reset().await,
                None => {}
            }
        }
    }

    // What pages do.

    async fn act(&mut self, page: usize) {
        let Some(socket) = &mut self.pages[page].socket else {
            return self.arrive(page).await;
        };
        if !socket.has_time_for(8) || self.pages[page].breach.is_some() {
            return;
        }
        match self.pick(100) {
            0..4 => return self.lose(page).await,
            4..6 => return self.break_rules(page).await,
            6..9 => return self.garble(page).await,
            9..10 => return self.thief(page).await,
            10..12 => return self.take_over(page).await,
            _ => {}
        }
        match self.pages[page].state.clone() {
            State::New | State::Unsure => {}
            State::Idle => match self.pick(20) {
                0 => self.hear_yourself(page).await,
                1 => self.leave(page).await,
                2..4 => self.about_the_past(page).await,
                _ => self.join(page).await,
            },
            State::Waiting(_) => match self.pick(10) {
                0 => {
                    self.leave(page).await;
                    self.join(page).await;
                }
                1 => self.leave(page).await,
                2 => self.join(page).await,
                _ => {}
            },
            State::Hearing(call) => {
                if self.pick(3) == 0 {
                    self.say_of(page, "candidate", call, json!({ "port": 50_000 })).await;
                }
                self.leave(page).await;
            }
            State::InCall(call) => match self.pick(20) {
                0 => self.leave(page).await,
                1 => self.report(page, call).await,
                2 if self.half(page, call).is_some_and(|half| half.begun == Maybe::Yes) => {
                    self.report(page, call).await;
                }
                3 => self.join(page).await,
                4 => self.hear_yourself(page).await,
                5 => self.candidate(page, call).await,
                6 => self.restart(page, call).await,
                7 => {
                    let setup = ["actpass", "active", "passive"][self.pick(3)];
                    self.describe(page, call, setup).await;
                }
                8 => self.about_the_past(page).await,
                _ => self.go_on(page, call).await,
            },
        }
    }

    /// What a good page would do next in a call.
    async fn go_on(&mut self, page: usize, call: CallId) {
        let Some(half) = self.half(page, call) else { return };
        let (offerer, turn, described, negotiated) = (half.offerer, half.turn, half.described, half.negotiated);
        if described == Maybe::No && turn == Maybe::Yes {
            self.describe(page, call, if offerer { "actpass" } else { "active" }).await;
        }
        if negotiated == Maybe::Yes || !offerer && self.half(page, call).is_some_and(|half| half.described != Maybe::No)
        {
            self.connected(page, call).await;
        }
    }

    async fn arrive(&mut self, page: usize) {
        let it = &self.pages[page];
        // A reload forgets who it was.
        let resumes = it.token.is_some() && self.pick(4) != 0;
        if self.pick(6) == 0 {
            self.pages[page].address = self.new_address();
        }
        let token = resumes.then(|| self.pages[page].token.take()).flatten();
        if token.is_none() {
            self.reborn(page);
        } else {
            let (visitor, address) = (self.pages[page].visitor, self.pages[page].address);
            self.homes[visitor].push(address);
        }
        self.connect(page).await;
        if self.pick(20) == 0 {
            self.say(page, json!({ "type": "leave" }), Sent::Probe).await;
        }
        let hello = match &token {
            Some(token) => json!({ "type": "hello", "resume": token }),
            None => json!({ "type": "hello" }),
        };
        self.say(page, hello, Sent::Hello(token)).await;
        if matches!(self.pages[page].state, State::Unsure) {
            self.say(page, json!({ "type": "leave" }), Sent::May(Silent::Leave)).await;
            self.probe(page).await;
        }
    }

    async fn connect(&mut self, page: usize) {
        let number = self.sockets;
        self.sockets += 1;
        let from = self.pages[page].address;
        self.note(page, format_args!("connects from {from} as socket {number}"));
        let socket = Socket::open(self.port, from, (page, number), self.heard.0.clone()).await;
        let it = &mut self.pages[page];
        it.socket = Some(socket);
        (it.breach, it.bad_frames) = (None, 0);
        it.owed = None;
    }

    /// This page is somebody new to the server.
    fn reborn(&mut self, page: usize) {
        let visitor = self.homes.len();
        self.homes.push(vec![self.pages[page].address]);
        let it = &mut self.pages[page];
        it.visitor = visitor;
        it.state = State::New;
        it.token = None;
        it.stale = None;
        it.sent.clear();
    }

    /// The socket goes, one way or another.
    async fn lose(&mut self, page: usize) {
        let how = self.pick(4);
        self.note(page, format_args!("loses its socket ({how})"));
        let Some(mut socket) = self.pages[page].socket.take() else { return };
        let torn = self.random.random_range(0..4) == 0;
        if torn {
            // In the middle of a frame, of which what follows is a part.
            socket.send_raw(&[0x81, 0xC0, 1, 2, 3, 4, b'{']);
        }
        let meant = how == 0 && !torn;
        match how {
            0 => {
                socket.send(close(1000)).await;
                socket.end().await;
            }
            1 => {
                socket.send(close(1001)).await;
                socket.end().await;
            }
            2 => socket.end().await,
            _ => socket.reset().await,
        }
        self.lost(page, meant);
    }

    /// What may have come of it.
    fn lost(&mut self, page: usize, meant: bool) {
        let it = &self.pages[page];
        let (visitor, settled, state) = (it.visitor, it.sent.is_empty() && it.owed.is_none(), it.state.clone());
        for half in self.calls.values_mut().flatten().flatten().filter(|half| half.visitor == visitor) {
            if half.over != Maybe::Yes {
                half.over = Maybe::Unknown;
                half.broke = true;
                half.meant |= meant;
                half.doomed |= settled && (meant || half.begun == Maybe::No);
            }
        }
        let keeps = match state {
            State::Idle => settled,
            State::InCall(call) => {
                settled && !meant && self.half(page, call).is_some_and(|half| half.begun == Maybe::Yes)
            }
            State::New | State::Waiting(_) | State::Hearing(_) | State::Unsure => false,
        };
        let it = &mut self.pages[page];
        it.sent.clear();
        it.owed = None;
        if !keeps {
            it.state = State::Unsure;
        }
    }

    /// Something for which the server closes a socket, each with a code.
    async fn break_rules(&mut self, page: usize) {
        let how = self.pick(5);
        self.note(page, format_args!("breaks the rules ({how})"));
        self.tally.breaches += 1;
        let code = [1003, 1009, 1002, 1002, 4001][how];
        self.pages[page].breach = Some(code);
        let visitor = self.pages[page].visitor;
        for half in self.calls.values_mut().flatten().flatten().filter(|half| half.visitor == visitor) {
            if half.over != Maybe::Yes {
                half.over = Maybe::Unknown;
                (half.broke, half.doomed) = (true, true);
            }
        }
        let Some(socket) = &mut self.pages[page].socket else { return };
        match how {
            0 => socket.send(Message::binary(vec![1, 2, 3])).await,
            1 => socket.send(Message::text("x".repeat(9_000))).await,
            // A reserved opcode, and a text that is not UTF-8; both masked with nothing.
            2 => socket.send_raw(&[0x83, 0x80, 0, 0, 0, 0]),
            3 => socket.send_raw(&[0x81, 0x82, 0, 0, 0, 0, 0xFF, 0xFE]),
            _ => {
                for _ in 0..90 {
                    socket.send(Message::Ping(Default::default())).await;
                }
            }
        }
    }

    /// Something that is not of the protocol.
    async fn garble(&mut self, page: usize) {
        if self.pages[page].bad_frames == 14 {
            return;
        }
        self.pages[page].bad_frames += 1;
        let text = [
            "",
            "{}",
            "hello",
            "[\"leave\"]",
            r#"{"type":"leave","now":true}"#,
            r#"{"type":"join","languages":[],"role":"either","avoid_recent":true}"#,
            r#"{"type":"matched"}"#,
            r#"{"type":"report","call":"00000000-0000-4000-8000-000000000000","category":"rude"}"#,
        ][self.pick(8)];
        self.send(page, Message::text(text), Sent::Garbage).await;
    }

    /// Somebody else comes with a token of this page that was used already: a stranger.
    async fn thief(&mut self, page: usize) {
        let Some(token) = self.pages[page].stale.clone() else { return };
        if self.pages.len() >= 8 {
            return;
        }
        let thief = self.new_page();
        self.note(thief, format_args!("tries a used token of page {page}"));
        self.connect(thief).await;
        self.say(thief, json!({ "type": "hello", "resume": token }), Sent::Hello(None)).await;
    }

    /// Another socket takes over while the server believes in this one.
    async fn take_over(&mut self, page: usize) {
        self.settle().await;
        if !matches!(self.pages[page].state, State::Idle | State::InCall(_))
            || self.pages[page].token.is_none()
            || self.pages[page].breach.is_some()
        {
            return;
        }
        let Some(old) = self.pages[page].socket.take() else { return };
        self.lost(page, false);
        let token = self.pages[page].token.take();
        self.connect(page).await;
        self.note(page, format_args!("takes over from socket {}", old.number));
        self.say(page, json!({ "type": "hello", "resume": token }), Sent::Hello(token)).await;
        if matches!(self.pages[page].state, State::Unsure) {
            self.say(page, json!({ "type": "leave" }), Sent::May(Silent::Leave)).await;
            self.probe(page).await;
        }
        // The old one is closed; its end is waited for, and says so, in `closed`.
        let number = old.number;
        let end = async {
            loop {
                self.heard_one().await;
                if self.replaced(number) {
                    return;
                }
            }
        };
        if timeout(DEADLINE, end).await.is_err() {
            self.fail(page, "the socket that was replaced is still open");
        }
        old.end().await;
    }

    fn replaced(&self, number: usize) -> bool {
        self.log.iter().rev().take(50).any(|line| line.ends_with(&format!("socket {number} closed with Some(4003)")))
    }

    async fn join(&mut self, page: usize) {
        let (mine, others) = (self.language(0), self.language(1));
        let languages = match self.pick(6) {
            0 => vec![others],
            1 => vec![others, mine],
            2 => vec![mine, others],
            _ => vec![mine],
        };
        let role = match self.pick(8) {
            0 => Role::Talk,
            1 => Role::Listen,
            _ => Role::Either,
        };
        let avoid_recent = self.pick(4) != 0;
        let frame = json!({ "type": "join", "languages": languages, "role": role, "avoid_recent": avoid_recent });
        let languages = Languages::new(languages).expect("languages");
        let reported = self.cooling(page).0;
        let wish = Wish { languages, role, avoid_recent, sent: Instant::now(), reported };
        self.say(page, frame, Sent::Join(wish)).await;
    }

    async fn hear_yourself(&mut self, page: usize) {
        if self.pick(4) == 0 {
            self.say(page, json!({ "type": "hear_yourself" }), Sent::Hear).await;
        }
    }

    async fn leave(&mut self, page: usize) {
        self.going(page);
        self.say(page, json!({ "type": "leave" }), Sent::May(Silent::Leave)).await;
        self.probe(page).await;
    }

    async fn report(&mut self, page: usize, call: CallId) {
        if self.current(page) == Some(call) {
            self.going(page);
        }
        let visitor = self.pages[page].visitor;
        let address = self.pages[page].address;
        if let Some(halves) = self.calls.get_mut(&call)
            && let [Some(one), Some(other)] = halves
        {
            let (own, partner) = if one.visitor == visitor { (one, other) } else { (other, one) };
            if own.visitor == visitor && own.begun != Maybe::No {
                let report = Report { by: (visitor, address), of: (partner.visitor, partner.network), made: None };
                self.reports.push(report);
            }
            own.meant |= own.visitor == visitor;
        }
        let category = ["sexual", "hateful", "asking", "young", "other"][self.pick(5)];
        let frame = json!({ "type": "report", "call": call, "category": category });
        self.say(page, frame, Sent::May(Silent::Report(call))).await;
        self.probe(page).await;
    }

    /// Says something of a call that is over, or that it was never in.
    async fn about_the_past(&mut self, page: usize) {
        let mut calls: Vec<CallId> = self.calls.keys().copied().filter(|call| self.is_past(page, *call)).collect();
        calls.sort();
        if calls.is_empty() {
            return;
        }
        let call = calls[self.pick(calls.len())];
        match self.pick(4) {
            0 => self.say_of(page, "connected", call, json!({})).await,
            1 => self.say_of(page, "candidate", call, json!({ "port": 49_152 })).await,
            _ => self.report(page, call).await,
        }
    }

    /// Whether a call is over for this page, or others'.
    fn is_past(&self, page: usize, call: CallId) -> bool {
        let halves = &self.calls[&call];
        let own = halves.iter().flatten().any(|half| half.visitor == self.pages[page].visitor);
        self.current(page) != Some(call) && (own || halves.iter().all(Option::is_some))
    }

    async fn describe(&mut self, page: usize, call: CallId, setup: &str) {
        let name = self.name();
        let Some(half) = self.half(page, call) else { return };
        let fits = (setup == "actpass") == half.offerer;
        let sure = fits && half.turn == Maybe::Yes && half.described == Maybe::No;
        if fits && half.described == Maybe::No {
            half.described = Maybe::Unknown;
        }
        half.said.insert(name.clone());
        let description = json!({
            "ufrag": name, "pwd": "abcdefghijklmnopqrstuv", "fingerprint": "0".repeat(64), "setup": setup,
            "payload_type": 111,
        });
        let frame = json!({ "type": "describe", "call": call, "description": description });
        self.say(page, frame, Sent::May(Silent::Describe(call, sure))).await;
        self.probe(page).await;
    }

    async fn connected(&mut self, page: usize, call: CallId) {
        if let Some(half) = self.half(page, call)
            && half.begun == Maybe::No
        {
            half.begun = Maybe::Unknown;
        }
        let frame = json!({ "type": "connected", "call": call });
        self.say(page, frame, Sent::May(Silent::Connected(call))).await;
        self.probe(page).await;
    }

    async fn candidate(&mut self, page: usize, call: CallId) {
        let port = self.random.random_range(49_152..=65_535_u16);
        if let Some(half) = self.half(page, call) {
            half.said.insert(port.to_string());
        }
        self.say_of(page, "candidate", call, json!({ "port": port })).await;
    }

    async fn restart(&mut self, page: usize, call: CallId) {
        let name = self.name();
        if let Some(half) = self.half(page, call) {
            half.said.insert(name.clone());
        }
        self.say_of(page, "restart", call, json!({ "ufrag": name, "pwd": "abcdefghijklmnopqrstuv" })).await;
    }

    async fn say_of(&mut self, page: usize, kind: &str, call: CallId, rest: Value) {
        let mut frame = json!({ "type": kind, "call": call });
        if let (Value::Object(frame), Value::Object(rest)) = (&mut frame, rest) {
            frame.extend(rest);
        }
        self.say(page, frame, Sent::May(Silent::Other)).await;
        self.probe(page).await;
    }

    /// From now on this side may be out of its call by its own wish.
    fn going(&mut self, page: usize) {
        let visitor = self.pages[page].visitor;
        for half in self.calls.values_mut().flatten().flatten() {
            if half.visitor == visitor && half.over != Maybe::Yes {
                half.over = Maybe::Unknown;
                half.meant = true;
            }
        }
    }

    async fn probe(&mut self, page: usize) {
        self.say(page, json!({ "type": "hello" }), Sent::Probe).await;
    }

    async fn say(&mut self, page: usize, frame: Value, sent: Sent) {
        if matches!(sent, Sent::May(Silent::Leave)) {
            self.going(page);
        }
        self.send(page, Message::text(frame.to_string()), sent).await;
    }

    async fn send(&mut self, page: usize, message: Message, sent: Sent) {
        self.note(page, format_args!("> {message}"));
        let it = &mut self.pages[page];
        it.sent.push_back(sent);
        if let Some(socket) = &mut it.socket {
            socket.send(message).await;
        }
    }

    // What has to hold of what they hear.

    /// Takes in what has come.
    fn read(&mut self) {
        while let Ok((page, socket, heard)) = self.heard.1.try_recv() {
            self.hear(page, socket, heard);
        }
    }

    async fn heard_one(&mut self) {
        if let Some((page, socket, heard)) = self.heard.1.recv().await {
            self.hear(page, socket, heard);
        }
    }

    fn hear(&mut self, page: usize, socket: usize, heard: Heard) {
        let current = self.pages[page].socket.as_ref().is_some_and(|it| it.number == socket);
        match heard {
            Heard::Frame(frame) => {
                self.note(
                    page,
                    format_args!("< {} (socket {socket})", serde_json::to_string(&frame).expect("a frame")),
                );
                self.tally.frames += 1;
                // What a socket brings that the page has given up.
                if current {
                    self.frame(page, frame);
                }
            }
            Heard::Closed(code) => {
                self.note(page, format_args!("socket {socket} closed with {code:?}"));
                if current {
                    self.closed(page, code);
                }
            }
        }
    }

    fn closed(&mut self, page: usize, code: Option<u16>) {
        let breach = self.pages[page].breach;
        // What lies unread in the server's socket when it closes has the system send an RST, which may overtake the code.
        if breach.is_none() || code.is_some() && code != breach {
            self.fail(page, format_args!("closed with {code:?} instead of {breach:?}"));
        }
        let visitor = self.pages[page].visitor;
        for half in self.calls.values_mut().flatten().flatten().filter(|half| half.visitor == visitor) {
            half.over = Maybe::Yes;
        }
        let it = &mut self.pages[page];
        it.socket = None;
        it.sent.clear();
        it.owed = None;
        it.state = State::Unsure;
    }

    fn frame(&mut self, page: usize, frame: ServerMessage) {
        if self.pages[page].breach.is_some() || matches!(self.pages[page].state, State::Unsure) {
            return self.frame_unsure(page, frame);
        }
        if self.pages[page].owed.is_some() && !matches!(frame, ServerMessage::Waiting { .. }) {
            self.fail(page, "an end before the call began, and no waiting after it");
        }
        match frame {
            ServerMessage::Welcome { resume, call } => self.welcome(page, resume, call),
            ServerMessage::Waiting { .. } => {
                if let Some(wish) = self.pages[page].owed.take() {
                    self.pages[page].state = State::Waiting(wish);
                } else {
                    let Sent::Join(wish) = self.answered(page, |sent| matches!(sent, Sent::Join(_))) else {
                        return;
                    };
                    if !matches!(self.pages[page].state, State::Idle) {
                        self.fail(page, "waits twice");
                    }
                    if wish.reported >= 2 {
                        self.fail(page, "waits in spite of a cool-down");
                    }
                    self.pages[page].state = State::Waiting(wish);
                }
            }
            ServerMessage::Matched { call, side, offerer, relay, .. } => {
                let username: Vec<&str> = relay.username.split(':').collect();
                let side_name = if side == Side::A { "a" } else { "b" };
                if username.get(1..) != Some(&[call.to_string().as_str(), side_name]) {
                    self.fail(page, "credentials of another call or side");
                }
                self.matched(page, call, side, offerer);
            }
            ServerMessage::Describe { call, description } => {
                self.told(page, call, description.ufrag.get());
                if let Some(half) = self.half(page, call) {
                    half.told += 1;
                    match half.offerer {
                        true => half.negotiated = Maybe::Yes,
                        false => half.turn = Maybe::Yes,
                    }
                    if half.told > 1 {
                        self.fail(page, "two descriptions");
                    }
                }
            }
            ServerMessage::Candidate { call, port } => self.told(page, call, &port.get().to_string()),
            ServerMessage::Restart { call, ufrag, .. } => self.told(page, call, ufrag.get()),
            ServerMessage::Ended { call, why } => self.ended(page, call, why),
            ServerMessage::SlowDown { .. } => {
                self.answered(page, |sent| matches!(sent, Sent::Hear));
            }
            ServerMessage::CoolDown { .. } => {
                let (_, possible) = self.cooling(page);
                self.answered(page, |sent| matches!(sent, Sent::Join(_)));
                if possible < 2 || !matches!(self.pages[page].state, State::Idle) {
                    self.fail(page, "a cool-down without reports");
                }
                self.tally.cooled += 1;
            }
            ServerMessage::Problem { code, .. } => self.problem(page, code),
            ServerMessage::Work { .. } => self.fail(page, "asks for work without a crowd"),
            ServerMessage::Closing { .. } => self.fail(page, "the server stops"),
        }
    }

    /// A frame to a page that is about to leave whatever it is in.
    fn frame_unsure(&mut self, page: usize, frame: ServerMessage) {
        match frame {
            ServerMessage::Welcome { resume, .. } => {
                self.pages[page].sent.pop_front();
                self.pages[page].token = Some(resume);
            }
            ServerMessage::Matched { call, side, offerer, .. } => self.meet(page, call, side, offerer, None),
            ServerMessage::Problem { code: ProblemCode::UnexpectedHello, .. } if self.pages[page].breach.is_none() => {
                // With a `leave` before it, or before the `hello`.
                let left = !self.pages[page].sent.iter().any(|sent| matches!(sent, Sent::Hello(_)));
                while let Some(sent) = self.pages[page].sent.pop_front() {
                    if matches!(sent, Sent::Probe) {
                        break;
                    }
                }
                if left {
                    let visitor = self.pages[page].visitor;
                    for half in self.calls.values_mut().flatten().flatten().filter(|half| half.visitor == visitor) {
                        half.over = Maybe::Yes;
                    }
                    self.pages[page].state = State::Idle;
                }
            }
            _ => {}
        }
    }

    fn welcome(&mut self, page: usize, token: sotto::protocol::ResumeToken, call: Option<CallId>) {
        let Sent::Hello(resumed) = self.answered(page, |sent| matches!(sent, Sent::Hello(_))) else { return };
        if resumed.as_ref() == Some(&token) {
            self.fail(page, "a token that works twice");
        }
        self.pages[page].stale = resumed;
        self.pages[page].token = Some(token);
        match (self.pages[page].state.clone(), call) {
            (State::New, None) => self.pages[page].state = State::Idle,
            (State::Idle, None) => self.tally.resumed += 1,
            (State::InCall(was), Some(is)) if was == is => {
                self.tally.resumed += 1;
                if let Some(half) = self.half(page, is) {
                    half.over = Maybe::No;
                }
            }
            (State::InCall(was), None) => {
                self.tally.resumed += 1;
                // The other has ended it meanwhile; an `ended` may follow.
                let visitor = self.pages[page].visitor;
                let others = self.calls.get(&was).into_iter().flatten().flatten();
                let gone = others.filter(|half| half.visitor != visitor).all(|half| half.over != Maybe::No);
                let old = self.half(page, was).is_some_and(|half| half.since.elapsed() > OLD);
                if !gone && !old {
                    self.fail(page, "a call that is not given back");
                }
                if let Some(half) = self.half(page, was) {
                    half.over = Maybe::Yes;
                }
                self.pages[page].state = State::Idle;
            }
            (state, call) => self.fail(page, format_args!("a welcome to {call:?} in {state:?}")),
        }
    }

    fn matched(&mut self, page: usize, call: CallId, side: Side, offerer: bool) {
        match self.pages[page].state.clone() {
            State::Idle => {
                self.answered(page, |sent| matches!(sent, Sent::Hear));
                if side != Side::A || !offerer {
                    self.fail(page, "an echo that makes the offer");
                }
                self.tally.echoes += 1;
                self.pages[page].state = State::Hearing(call);
            }
            State::Waiting(wish) => {
                if offerer != (side == Side::B) {
                    self.fail(page, "the wrong side makes the offer");
                }
                self.meet(page, call, side, offerer, Some(wish));
                self.pages[page].state = State::InCall(call);
            }
            state => self.fail(page, format_args!("matched in {state:?}")),
        }
    }

    fn meet(&mut self, page: usize, call: CallId, side: Side, offerer: bool, wish: Option<Wish>) {
        self.tally.matches += 1;
        let it = &self.pages[page];
        let waits = wish.is_some();
        let leaving = it.sent.iter().any(|sent| matches!(sent, Sent::May(Silent::Leave | Silent::Report(_))));
        let half = Half {
            page,
            visitor: it.visitor,
            network: it.address,
            wish,
            offerer,
            turn: if offerer { Maybe::Yes } else { Maybe::No },
            described: Maybe::No,
            negotiated: Maybe::No,
            begun: Maybe::No,
            over: if waits && !leaving { Maybe::No } else { Maybe::Unknown },
            doomed: !waits,
            meant: leaving || !waits,
            broke: !waits,
            reported: false,
            said: HashSet::new(),
            told: 0,
            since: Instant::now(),
        };
        let slots = self.calls.entry(call).or_default();
        let slot = if side == Side::A { 0 } else { 1 };
        if slots[slot].replace(half).is_some() {
            self.fail(page, "a side that somebody else has");
        }
        if let [Some(one), Some(other)] = &self.calls[&call]
            && let Some(wrong) = self.may_not_meet(call, one, other)
        {
            self.fail(page, wrong);
        }
    }

    /// Why these two should not have been paired, if that is certain.
    fn may_not_meet(&self, call: CallId, one: &Half, other: &Half) -> Option<&'static str> {
        if one.visitor == other.visitor {
            return Some("paired with oneself");
        }
        let (Some(first), Some(second)) = (&one.wish, &other.wish) else { return None };
        if !share(first, second) {
            return Some("paired without a language");
        }
        if !complement(first.role, second.role) && first.sent.min(second.sent).elapsed() < WIDEN_AFTER {
            return Some("paired against their wishes");
        }
        let minds = first.avoid_recent || second.avoid_recent;
        for halves in self.calls.iter().filter(|(id, _)| **id != call).map(|(_, halves)| halves) {
            let [Some(a), Some(b)] = halves else { continue };
            let same = |a: &Half, b: &Half| a.visitor == one.visitor && b.visitor == other.visitor;
            if !same(a, b) && !same(b, a) {
                continue;
            }
            if a.over == Maybe::No || b.over == Maybe::No {
                return Some("paired while still in another call with each other");
            }
            if minds && (a.begun == Maybe::Yes || b.begun == Maybe::Yes) {
                return Some("paired again although they have just talked");
            }
        }
        for report in &self.reports {
            let Some(made) = report.made else { continue };
            let about = |by: &Half, of: &Half| {
                report.by.0 == by.visitor && report.of.0 == of.visitor
                    || made < first.sent.max(second.sent)
                        && report.by.1 != report.of.1
                        && (report.by.0 == by.visitor || report.by.1 == by.network)
                        && (report.of.0 == of.visitor || report.of.1 == of.network)
            };
            if about(one, other) || about(other, one) {
                return Some("paired in spite of a report");
            }
        }
        None
    }

    /// Whether a report may keep these two apart.
    fn may_be_apart(&self, one: &Page, other: &Page) -> bool {
        let is = |who: &(usize, Ipv4Addr), page: &Page| {
            let homes = &self.homes[page.visitor];
            who.0 == page.visitor || homes.contains(&who.1) || page.address == who.1
        };
        let reported = self
            .reports
            .iter()
            .any(|report| is(&report.by, one) && is(&report.of, other) || is(&report.of, one) && is(&report.by, other));
        let near =
            |half: &Half, page: &Page| half.visitor == page.visitor || self.homes[page.visitor].contains(&half.network);
        let mut dropped = 0;
        let mut talked = false;
        for halves in self.calls.values() {
            match halves {
                [Some(a), Some(b)] => {
                    let both = near(a, one) && near(b, other) || near(b, one) && near(a, other);
                    dropped += usize::from(both);
                    let same = |a: &Half, b: &Half| a.visitor == one.visitor && b.visitor == other.visitor;
                    talked |= (same(a, b) || same(b, a)) && (a.begun != Maybe::No || b.begun != Maybe::No);
                }
                // One of them has never heard of it; it may have been left all the same.
                [Some(half), None] | [None, Some(half)] => {
                    dropped += usize::from(near(half, one) || near(half, other));
                }
                [None, None] => {}
            }
        }
        let minds = |page: &Page| matches!(&page.state, State::Waiting(wish) if wish.avoid_recent);
        reported || dropped >= DROPS || talked && (minds(one) || minds(other))
    }

    /// A frame of the other side: one that it has sent.
    fn told(&mut self, page: usize, call: CallId, what: &str) {
        if let State::Hearing(of) = self.pages[page].state
            && of == call
        {
            return;
        }
        if self.current(page) != Some(call) {
            // Kept for a page that was away, with the end.
            if self.half(page, call).is_some_and(|half| half.over == Maybe::Yes && half.broke) {
                return;
            }
            return self.fail(page, "told of a call that it is not in");
        }
        let visitor = self.pages[page].visitor;
        let said = self.calls.get(&call).into_iter().flatten().flatten();
        if !said.filter(|half| half.visitor != visitor).any(|half| half.said.contains(what)) {
            self.fail(page, "told what the other has not said");
        }
    }

    fn ended(&mut self, page: usize, call: CallId, why: EndReason) {
        match self.pages[page].state.clone() {
            State::Hearing(of) if of == call => {
                self.pages[page].state = State::Idle;
                return;
            }
            State::InCall(of) if of == call => {}
            // Kept for a page that was away.
            State::Idle if self.half(page, call).is_some_and(|half| half.over == Maybe::Yes && half.broke) => return,
            _ => return self.fail(page, "the end of a call that it is not in"),
        }
        let visitor = self.pages[page].visitor;
        let Some(halves) = self.calls.get_mut(&call) else { return };
        let slot = usize::from(halves[0].as_ref().is_none_or(|half| half.visitor != visitor));
        let other = halves[1 - slot].as_ref();
        let (gone, meant, broke) =
            other.map_or((true, true, true), |other| (other.over != Maybe::No, other.meant, other.broke));
        let Some(own) = &mut halves[slot] else { return };
        let old = own.since.elapsed() > OLD;
        own.over = Maybe::Yes;
        let wish = own.wish.clone();
        let begun = std::mem::replace(&mut own.begun, if why == EndReason::Vanished { Maybe::No } else { Maybe::Yes });
        if !gone && !old {
            return self.fail(page, "the end of a call in which the other still is");
        }
        let right = old
            || match why {
                EndReason::Vanished => begun != Maybe::Yes,
                EndReason::Left => begun != Maybe::No && meant,
                EndReason::Lost => begun != Maybe::No && broke,
            };
        if !right {
            self.fail(page, format_args!("not {why:?}: begun {begun:?}, left {meant}, lost {broke}"));
        }
        if why == EndReason::Vanished {
            self.tally.vanished += 1;
            self.pages[page].owed = wish;
        } else {
            self.tally.begun += 1;
        }
        self.pages[page].state = State::Idle;
    }

    fn problem(&mut self, page: usize, code: ProblemCode) {
        match code {
            ProblemCode::UnexpectedHello => {
                self.answered(page, |sent| matches!(sent, Sent::Probe));
            }
            ProblemCode::BadMessage => {
                self.answered(page, |sent| matches!(sent, Sent::Garbage));
            }
            ProblemCode::AlreadyWaiting | ProblemCode::AlreadyInCall => {
                self.answered(page, |sent| matches!(sent, Sent::Join(_) | Sent::Hear));
                let waits = matches!(self.pages[page].state, State::Waiting(_));
                let calls = matches!(self.pages[page].state, State::InCall(_) | State::Hearing(_));
                if !(if code == ProblemCode::AlreadyWaiting { waits } else { calls }) {
                    self.fail(page, "a problem with another state");
                }
            }
            ProblemCode::UnexpectedDescription | ProblemCode::TooMany => {
                let refusable = |sent: &Sent| matches!(sent, Sent::May(Silent::Describe(_, false) | Silent::Other));
                let silent = |sent: &&Sent| matches!(sent, Sent::May(_));
                let Some(index) = self.pages[page].sent.iter().take_while(silent).position(refusable) else {
                    return self.fail(page, "refuses what was in order");
                };
                for _ in 0..index {
                    if let Some(Sent::May(silent)) = self.pages[page].sent.pop_front() {
                        self.taken(page, silent);
                    }
                }
                // Another one that may be taken can be on its way.
                let refused = self.pages[page].sent.pop_front();
                let another = self.pages[page].sent.iter().any(|sent| matches!(sent, Sent::May(Silent::Describe(..))));
                if let Some(Sent::May(Silent::Describe(call, _))) = refused
                    && let Some(half) = self.half(page, call)
                    && half.described == Maybe::Unknown
                    && !another
                {
                    half.described = Maybe::No;
                }
            }
        }
    }

    /// What this is the answer to; what was sent before it has been read.
    fn answered(&mut self, page: usize, is: impl Fn(&Sent) -> bool) -> Sent {
        while let Some(sent) = self.pages[page].sent.pop_front() {
            match sent {
                Sent::May(silent) => self.taken(page, silent),
                sent if is(&sent) => return sent,
                sent => self.fail(page, format_args!("the answer to something else than {sent:?}")),
            }
        }
        self.fail(page, "an answer to nothing");
        Sent::Probe
    }

    /// The server has read this, and has not objected.
    fn taken(&mut self, page: usize, silent: Silent) {
        match silent {
            Silent::Leave => self.left(page),
            Silent::Connected(call) => {
                if self.current(page) == Some(call)
                    && let Some(half) = self.half(page, call)
                {
                    match half.negotiated {
                        Maybe::Yes => half.begun = Maybe::Yes,
                        Maybe::No if half.begun == Maybe::Unknown => half.begun = Maybe::No,
                        Maybe::No | Maybe::Unknown => {}
                    }
                }
            }
            Silent::Describe(call, _) => {
                if self.current(page) == Some(call)
                    && let Some(half) = self.half(page, call)
                {
                    half.described = Maybe::Yes;
                    if !half.offerer {
                        half.negotiated = Maybe::Yes;
                    }
                }
            }
            Silent::Report(call) => {
                if self.current(page) == Some(call) {
                    self.left(page);
                }
                let visitor = self.pages[page].visitor;
                let Some(half) = self.half(page, call) else { return };
                if half.begun == Maybe::Yes && !std::mem::replace(&mut half.reported, true) {
                    self.tally.reports += 1;
                    let partner = self.calls[&call].iter().flatten().find(|half| half.visitor != visitor);
                    let Some(of) = partner.map(|half| (half.visitor, half.network)) else { return };
                    let report = self.reports.iter_mut().rev().find(|it| it.by.0 == visitor && it.of == of);
                    if let Some(report) = report {
                        report.made = report.made.or(Some(Instant::now()));
                    }
                }
            }
            Silent::Other => {}
        }
    }

    fn left(&mut self, page: usize) {
        if let Some(call) = self.current(page)
            && let Some(half) = self.half(page, call)
        {
            half.over = Maybe::Yes;
            half.doomed = true;
        }
        if !matches!(self.pages[page].state, State::New) {
            self.pages[page].state = State::Idle;
        }
    }

    // What has to be once everybody has been answered.

    /// Waits until the server has answered everybody and nothing is left to be done, and fails when that takes long.
    async fn settle(&mut self) {
        let began = Instant::now();
        loop {
            // Twice: what one's answer has set off lies in the other's mailbox by then, which is read first.
            for _ in 0..2 {
                self.answer_all(began).await;
            }
            let Some((page, wrong)) = self.wrong() else { return };
            if began.elapsed() > DEADLINE {
                self.fail(page, wrong);
            }
            let _ = timeout(Duration::from_millis(20), self.heard_one()).await;
        }
    }

    async fn answer_all(&mut self, began: Instant) {
        for page in 0..self.pages.len() {
            self.read();
            while self.pages[page].breach.is_none()
                && let Some(socket) = &mut self.pages[page].socket
            {
                if socket.has_time_for(1) {
                    self.probe(page).await;
                    break;
                }
                sleep(Duration::from_millis(20)).await;
                self.read();
            }
        }
        let waits = |page: &Page| page.socket.is_some() && (page.breach.is_some() || !page.sent.is_empty());
        while let Some(page) = self.pages.iter().position(waits) {
            if timeout(DEADLINE.saturating_sub(began.elapsed()), self.heard_one()).await.is_err() {
                self.fail(page, "no answer");
            }
        }
    }

    /// What should have happened and has not.
    fn wrong(&self) -> Option<(usize, &'static str)> {
        for (index, page) in self.pages.iter().enumerate() {
            if page.socket.is_none() {
                continue;
            }
            match &page.state {
                State::Waiting(wish) => {
                    for other in self.pages[index + 1..].iter().filter(|other| other.socket.is_some()) {
                        let State::Waiting(second) = &other.state else { continue };
                        let fit = share(wish, second) && complement(wish.role, second.role);
                        if fit && !self.may_be_apart(page, other) {
                            return Some((index, "two who fit wait"));
                        }
                    }
                }
                State::InCall(call) => {
                    let halves = self.calls.get(call)?;
                    let other = halves.iter().flatten().find(|half| half.visitor != page.visitor);
                    let own = halves.iter().flatten().find(|half| half.visitor == page.visitor);
                    let Some(other) = other else { return Some((index, "a call with nobody")) };
                    if other.over == Maybe::Yes || other.doomed {
                        return Some((index, "not told that the other is gone"));
                    }
                    let there = other.over == Maybe::No && own.is_some_and(|own| own.over == Maybe::No);
                    if there && other.described == Maybe::Yes && own.is_some_and(|own| own.told == 0) {
                        return Some((index, "a description that did not arrive"));
                    }
                }
                _ => {}
            }
        }
        None
    }

    // Small things.

    fn new_page(&mut self) -> usize {
        // Some share a network.
        let address = match self.pages.last() {
            Some(page) if self.random.random_range(0..6) == 0 => page.address,
            _ => self.new_address(),
        };
        self.homes.push(vec![address]);
        self.pages.push(Page {
            address,
            visitor: self.homes.len() - 1,
            socket: None,
            token: None,
            stale: None,
            state: State::New,
            sent: Default::default(),
            owed: None,
            bad_frames: 0,
            breach: None,
        });
        self.pages.len() - 1
    }

    /// One that nobody has had: 127.0.0.0/8 has room for 32 in each of half a million worlds.
    fn new_address(&mut self) -> Ipv4Addr {
        let number = (self.number + 8) * 32 + u32::from(self.addresses) % 32;
        self.addresses += 1;
        Ipv4Addr::from(0x7F00_0000 | number)
    }

    /// One of this world's two languages, which no other has until long after.
    fn language(&self, which: u32) -> String {
        let number = self.number % 8_000 * 2 + which;
        let letter = |place: u32| char::from(b'a' + (number / 26_u32.pow(place) % 26) as u8);
        [letter(2), letter(1), letter(0)].iter().collect()
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("name{}", self.names)
    }

    fn current(&self, page: usize) -> Option<CallId> {
        match self.pages[page].state {
            State::InCall(call) => Some(call),
            _ => None,
        }
    }

    fn half(&mut self, page: usize, call: CallId) -> Option<&mut Half> {
        let visitor = self.pages[page].visitor;
        self.calls.get_mut(&call)?.iter_mut().flatten().find(|half| half.visitor == visitor)
    }

    /// By how many networks this page's has certainly been reported, and by how many it may have been.
    fn cooling(&self, page: usize) -> (usize, usize) {
        let network = self.pages[page].address;
        let count = |reports: Vec<Ipv4Addr>| reports.into_iter().collect::<HashSet<_>>().len();
        let sure = self.reports.iter().filter(|it| it.of.1 == network && it.made.is_some()).map(|it| it.by.1).collect();
        let reported = |it: &&Report| it.of.1 == network || self.homes[it.of.0].contains(&network);
        let possible =
            self.reports.iter().filter(reported).flat_map(|it| self.homes[it.by.0].iter().copied()).collect();
        (count(sure), count(possible))
    }

    fn pick(&mut self, of: usize) -> usize {
        self.random.random_range(0..of)
    }

    fn note(&mut self, page: usize, what: impl Display) {
        let at = self.began.elapsed().as_micros();
        self.log.push(format!("{at:>9} µs, page {page}: {what}"));
    }

    /// Ends the test with all that has happened in this world.
    fn fail(&mut self, page: usize, what: impl Display) {
        let state: Vec<String> = self
            .calls
            .iter()
            .flat_map(|(call, halves)| {
                halves.iter().flatten().map(move |half| {
                    format!(
                        "call {call}: page {} visitor {} begun {:?} over {:?} doomed {}",
                        half.page, half.visitor, half.begun, half.over, half.doomed
                    )
                })
            })
            .collect();
        panic!("world {}, page {page}: {what}\n{}\n{}", self.number, self.log.join("\n"), state.join("\n"));
    }
}

fn share(one: &Wish, other: &Wish) -> bool {
    one.languages.get().iter().any(|language| other.languages.get().contains(language))
}

fn complement(one: Role, other: Role) -> bool {
    one == Role::Either || other == Role::Either || one != other
}

fn close(code: u16) -> Message {
    Message::Close(Some(CloseFrame { code: code.into(), reason: Default::default() }))
}
