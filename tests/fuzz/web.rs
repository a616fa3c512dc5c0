//! What must hold of the web side whatever it is sent: frames of pages, and what proxies say in headers. The fuzzer's
//! targets call this, and so does a test that replays what the fuzzer has found.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use sotto::clock::Now;
use sotto::config::Origin;
use sotto::door::Arrival;
use sotto::guard::{Guard, Network};
use sotto::mailbox::{Inbox, Mail, Mailbox, Match, Person, VisitorId, mailbox};
use sotto::matchmaking::{Matchmaker, Memory, Ticket};
use sotto::protocol::{CallId, ClientMessage, EndReason, MAX_MESSAGE_BYTES, ServerMessage, Side, read};
use sotto::visitor::{Effect, Input, Visitor, Wait};
use sotto::web::forwarded;

/// Those whose frames are sent.
const VISITORS: usize = 4;

/// What stands in a frame for the name of the visitor's own call, which nobody can guess.
const CALL: &str = "CALL";

static START: LazyLock<Now> = LazyLock::new(|| Now { instant: Instant::now(), unix: 1_800_000_000 });

/// One visitor and what its frames have told so far.
struct Line {
    rules: Visitor,
    id: VisitorId,
    mailbox: Mailbox,
    inbox: Inbox,
    greeted: bool,
    away: bool,
    waits: bool,
    call: Option<CallId>,
    /// The last one, for frames about it.
    last: CallId,
}

/// Everybody, and the time.
struct House {
    matchmaker: Memory,
    lines: Vec<Line>,
    now: Now,
    /// Who has which side.
    calls: HashMap<CallId, Vec<(VisitorId, Side)>>,
}

impl House {
    fn new() -> Self {
        let mut house = Self { matchmaker: Memory::default(), lines: Vec::new(), now: *START, calls: HashMap::new() };
        house.lines = (0..VISITORS).map(|_| house.line()).collect();
        house
    }

    fn line(&self) -> Line {
        let (mailbox, inbox) = mailbox();
        Line {
            rules: Visitor::default(),
            id: self.matchmaker.new_visitor(),
            mailbox,
            inbox,
            greeted: false,
            away: false,
            waits: false,
            call: None,
            last: CallId::nil(),
        }
    }

    /// Applies an input as `web/socket.rs` does, and checks what comes of it.
    fn put(&mut self, line: usize, input: Input) {
        let ticket = || self.matchmaker.new_ticket();
        let effects = self.lines[line].rules.handle(input, self.now, ticket);
        for effect in effects {
            let person = Person { visitor: self.lines[line].id, whence: None };
            let now = self.now.instant;
            match effect {
                Effect::Send(frame) => self.send(line, &frame),
                Effect::Welcome(call) => {
                    self.lines[line].greeted = true;
                    assert_eq!(call, self.lines[line].call, "brought back to another call");
                }
                Effect::Matched { call, side, offerer, .. } => self.matched(line, call, side, offerer),
                Effect::HearYourself => {
                    let (mailbox, _) = mailbox();
                    let call = CallId::from_u128(self.calls.len() as u128 + 1);
                    let matched = Match { call, side: Side::A, offerer: true, partner: None, mailbox, relay: None };
                    self.put(line, Input::Echo(matched));
                }
                Effect::Join(Wait { ticket, languages, role, avoid_recent, struggling, joined }) => {
                    let it = &mut self.lines[line];
                    assert!(it.waits && it.call.is_none() && !it.away);
                    let (visitor, mailbox) = (it.id, it.mailbox.clone());
                    let ticket =
                        Ticket { id: ticket, visitor, whence: None, languages, role, avoid_recent, struggling, joined };
                    self.matchmaker.join(ticket, mailbox, now);
                }
                Effect::LeaveQueue(ticket) => {
                    self.lines[line].waits = false;
                    self.matchmaker.leave(ticket);
                }
                Effect::Tell(mailbox, mail) => {
                    if let Mail::Gone { call, .. } = mail
                        && self.lines[line].call == Some(call)
                    {
                        self.lines[line].call = None;
                    }
                    mailbox.send(mail);
                }
                Effect::Dropped(partner) => self.matchmaker.drop_match(person, partner, now),
                Effect::NotConnected(partner) => self.matchmaker.drop_match(partner, person, now),
                Effect::Report(partner, _) => {
                    assert!(partner.visitor != person.visitor, "a report of oneself");
                    self.matchmaker.never_again(person, partner, true, now);
                }
                Effect::KeepApart(partner) => self.matchmaker.keep_apart(person.visitor, partner, now),
                Effect::Waiting => self.send(line, &ServerMessage::Waiting { usual: None }),
                Effect::Waited(..) | Effect::Revoke(_) => {}
            }
        }
    }

    fn send(&mut self, line: usize, frame: &ServerMessage) {
        let text = serde_json::to_string(frame).expect("a frame");
        assert!(text.len() <= MAX_MESSAGE_BYTES / 2, "{} bytes", text.len());
        assert_eq!(&read::<ServerMessage>(&text).expect("what is written can be read"), frame);
        let it = &mut self.lines[line];
        match frame {
            ServerMessage::Waiting { .. } => {
                assert!(!it.waits && it.call.is_none(), "waits twice");
                it.waits = true;
            }
            // Its own end is said after it has left.
            ServerMessage::Ended { call, .. } => {
                assert!(it.call.is_none_or(|own| own == *call), "the end of another call");
                it.call = None;
            }
            ServerMessage::Describe { call, .. }
            | ServerMessage::Candidate { call, .. }
            | ServerMessage::Restart { call, .. } => assert_eq!(it.call, Some(*call), "told of another call"),
            _ => {}
        }
    }

    fn matched(&mut self, line: usize, call: CallId, side: Side, offerer: bool) {
        let it = &mut self.lines[line];
        assert!(it.call.is_none() && !it.away, "two calls");
        it.waits = false;
        (it.call, it.last) = (Some(call), call);
        let sides = self.calls.entry(call).or_default();
        assert!(sides.iter().all(|of| of.0 != it.id && of.1 != side), "a side of somebody else");
        sides.push((it.id, side));
        // Whoever hears themself makes the offer, and is alone.
        assert!(offerer == (side == Side::B) || sides.len() == 1);
    }

    fn text(&mut self, line: usize, text: &str) {
        let own = self.lines[line].last.to_string();
        let text = text.replace(CALL, &own);
        match read::<ClientMessage>(&text) {
            Ok(message) => {
                let written = serde_json::to_string(&message).expect("a frame");
                assert_eq!(read::<ClientMessage>(&written).expect("what is written can be read"), message);
                // Tokens are the socket's affair.
                let message = match message {
                    ClientMessage::Hello { .. } => ClientMessage::Hello { resume: None },
                    message => message,
                };
                let greets = matches!(message, ClientMessage::Hello { .. });
                let was = self.lines[line].greeted;
                self.put(line, Input::Frame(message));
                assert_eq!(self.lines[line].greeted, was || greets);
            }
            // What is wrong is told, in a few words.
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }

    fn end(&mut self, line: usize) {
        let unread = self.lines[line].inbox.close();
        self.put(line, Input::End);
        for mail in unread {
            self.put(line, Input::Mail(mail));
        }
        let it = &self.lines[line];
        assert!(it.call.is_none() && !it.rules.is_in_call(), "in a call for ever");
        self.matchmaker.forget(it.id);
        self.lines[line] = self.line();
    }

    fn deliver(&mut self, line: usize) -> bool {
        let Some(mail) = self.lines[line].inbox.try_next() else { return false };
        // Nobody is told of the end of a call that has not been.
        if let Mail::Gone { why, .. } = &mail {
            assert!(matches!(why, EndReason::Left | EndReason::Lost | EndReason::Vanished));
        }
        self.put(line, Input::Mail(mail));
        true
    }
}

/// Lines of a text: the first byte of each says whose it is, and the second what happens: `{` begins a frame, `a` loses the
/// socket, `b` comes back, `e` ends the task, `m` reads a mail, `t` and a letter let so many seconds pass.
pub fn visits(bytes: &[u8]) {
    let mut house = House::new();
    for step in bytes.split(|byte| *byte == b'\n').take(64) {
        let [who, what, rest @ ..] = step else { continue };
        let line = usize::from(*who) % VISITORS;
        let (away, greeted) = (house.lines[line].away, house.lines[line].greeted);
        match what {
            b'a' if !away => {
                house.lines[line].away = true;
                house.put(line, Input::Away { untold: rest.first() == Some(&b'u') });
                if !house.lines[line].rules.worth_waiting_for(house.now) {
                    house.end(line);
                }
            }
            b'b' if greeted => {
                house.lines[line].away = false;
                house.put(line, Input::Back);
            }
            b'e' => house.end(line),
            b'm' => {
                house.deliver(line);
            }
            b't' => {
                let seconds = rest.first().map_or(0, |letter| u64::from(letter & 0x7F));
                house.now = house.now.after(Duration::from_secs(seconds * seconds));
                house.matchmaker.advance(house.now.instant);
                for line in 0..VISITORS {
                    let due = house.lines[line].rules.deadline();
                    if due.is_some_and(|due| due <= house.now.instant) {
                        house.put(line, Input::Deadline);
                    }
                    if house.lines[line].away && !house.lines[line].rules.worth_waiting_for(house.now) {
                        house.end(line);
                    }
                }
            }
            _ if !away => {
                let text = String::from_utf8_lossy(&step[1..]);
                house.text(line, &text);
            }
            _ => {}
        }
    }
    // Whoever is told everything and whoever goes: nothing is left of anybody.
    while (0..VISITORS).any(|line| house.deliver(line)) {}
    for (line, it) in house.lines.iter().enumerate() {
        if let Some(call) = it.call
            && house.calls[&call].len() == 2
        {
            let mut sides = house.lines.iter().enumerate().filter(|(other, _)| *other != line);
            assert!(sides.any(|(_, other)| other.call == Some(call)), "in a call with nobody");
        }
    }
    for line in 0..VISITORS {
        house.end(line);
    }
    while (0..VISITORS).any(|line| house.deliver(line)) {}
    assert_eq!(house.matchmaker.waiting(), 0, "somebody waits for ever");
}

const PROXY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const VISITOR: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);

/// The header lines that a visitor has sent, on each of the headers that matter, through a proxy and without one. Also
/// whatever else is written about addresses: networks and origins.
pub fn heads(bytes: &[u8]) {
    static GUARD: LazyLock<Guard> = LazyLock::new(|| {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().expect("a network"));
        Guard::new([7; 32], 1_024, trusted.to_vec(), START.instant)
    });
    let names =
        [header::FORWARDED, HeaderName::from_static("x-forwarded-for"), HeaderName::from_static("x-forwarded-proto")];
    let mut sent = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(16) {
        let [which, value @ ..] = line else { continue };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            sent.append(&names[usize::from(*which) % names.len()], value);
        }
        let Ok(text) = std::str::from_utf8(line) else { continue };
        if let Ok(network) = text.parse::<Network>() {
            let (address, _) = text.split_once('/').unwrap_or((text, ""));
            assert!(network.contains(address.parse().expect("the network's address")));
            assert!(!(network.contains(PROXY.into()) && network.contains(VISITOR.into())) || text.contains('/'));
        }
        if let Ok(origin) = text.parse::<Origin>()
            && let Some((_, host)) = text.split_once("://")
        {
            assert!(origin.is_of_host(host), "{text} is not of {host}");
            assert!(!origin.is_of_host(&format!("{host}.evil.example")));
        }
    }
    let ask = |from: IpAddr, headers: &HeaderMap| {
        forwarded::asker(&Arrival::new(SocketAddr::new(from, 4_711), false), headers, &GUARD)
    };
    // Without a proxy, nobody is believed about himself.
    let own = IpAddr::from([198, 51, 100, 1]);
    let asker = ask(own, &sent);
    assert!(asker.address == own && !asker.encrypted);
    // A proxy that adds the truth: it is believed, or where the whole can no longer be read, the proxy is all that is known.
    for (name, truth) in [(&names[0], "for=203.0.113.9;proto=http"), (&names[1], "203.0.113.9")] {
        let mut added = sent.clone();
        added.append(name, HeaderValue::from_static(truth));
        let mut joined = sent.clone();
        let last = joined.get_all(name).iter().next_back().cloned();
        if let Some(last) = last {
            let mut value = last.as_bytes().to_vec();
            value.extend(format!(", {truth}").bytes());
            let others: Vec<HeaderValue> = joined.get_all(name).iter().cloned().collect();
            joined.remove(name);
            for other in &others[..others.len() - 1] {
                joined.append(name, other.clone());
            }
            joined.append(name, HeaderValue::from_bytes(&value).expect("a value"));
        }
        for headers in [&added, &joined] {
            if headers.contains_key(name) && (headers == &added || sent.contains_key(name)) {
                let address = ask(PROXY.into(), headers).address;
                assert!([IpAddr::from(VISITOR), PROXY.into()].contains(&address), "{address} by {headers:?}");
            }
        }
    }
}
