//! Everything that a partner can receive of somebody, side by side for two calls of one browser and a call of another of
//! the same make: what is the same in the first two and different in the third would lead from one call to the next.
//! The partner is a native caller, whose DTLS 1.2 leaves the handshake in the open.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sotto::caller::signalling::{RawFrame, Tap};
use sotto::caller::{Caller, Options};
use sotto::protocol::{Languages, Role};

use crate::browser::{Browser, turn};
use crate::line::{Datagram, Inner, Line, attributes};
use crate::server::{DEADLINE, TestServer};

/// What one call shows, by name.
type Shown = BTreeMap<&'static str, String>;

/// New in every call, whoever makes it.
const OF_THE_CALL: [&str; 14] = [
    "description: ufrag",
    "description: pwd",
    "description: fingerprint",
    "STUN: tie-breaker",
    "STUN: transactions",
    "DTLS: random",
    "certificate: serial number",
    "certificate: key",
    "RTP: SSRC",
    "RTP: first sequence number",
    "RTP: first timestamp",
    "RTCP: SSRC",
    "RTCP: CNAME",
    "the track's name",
];

/// What the browser itself says of the call it is in.
const OWN_WORDS: &str = r"
    const [connection] = window.connections.slice(-1);
    const sdp = connection.localDescription.sdp;
    return [
        sdp.match(/^a=ssrc:[0-9]+ cname:(.*?)\r?$/m)?.[1] ?? '',
        connection.getSenders()[0].track.id,
        window.connections.length,
    ];
";

/// Resolves once the server has said so many times that it waits.
const UNTIL_IN_THE_QUEUE: &str = r#"
    const [times, done] = arguments;
    const look = () => window.frames_seen.filter(frame => frame.includes('"waiting"')).length >= times
        ? done(true) : setTimeout(look, 10);
    look();
"#;

async fn call(line: &Line, server: &TestServer, browser: &Browser) -> Shown {
    let tap = Tap::default();
    let options = Options { tap: Some(tap.clone()), ..Options::default() };
    let mut caller = Caller::connect(&server.ws(), options).await.expect("a welcome");
    caller.join(Languages::new(vec!["en".to_owned()]).expect("a language"), Role::Either, true).await.expect("a place");
    let mut call = caller.call(DEADLINE).await.expect("a partner");
    call.connected().await.expect("connected");
    browser.until("talking").await;
    // Reports of RTCP come every five seconds or so.
    call.hear(300, DEADLINE).await.expect("six seconds of the browser's voice");
    let own = browser.run(OWN_WORDS, vec![]).await;
    let mut shown = Shown::new();
    described(&tap, &mut shown);
    seen(&line.sent_by(call.id, call.side.other()), &mut shown);
    shown.insert("RTCP: CNAME", own[0].as_str().expect("a name").to_owned());
    shown.insert("RTCP: length of the CNAME", own[0].as_str().expect("a name").len().to_string());
    shown.insert("the track's name", own[1].as_str().expect("a name").to_owned());
    call.leave().await.expect("idle").close().await;
    browser.until("ended").await;
    shown
}

/// What signalling brought of the partner.
fn described(tap: &Tap, shown: &mut Shown) {
    let received: Vec<Value> = tap
        .frames()
        .iter()
        .filter(|frame| matches!(frame, RawFrame::Received(_)))
        .map(|frame| serde_json::from_str(frame.text()).expect("JSON"))
        .collect();
    let description = received.iter().find(|frame| frame["type"] == "describe").expect("a description");
    let description = description["description"].as_object().expect("an object");
    let names: BTreeSet<&str> = description.keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["fingerprint", "payload_type", "pwd", "setup", "ufrag"]));
    for (name, key) in
        [("description: ufrag", "ufrag"), ("description: pwd", "pwd"), ("description: fingerprint", "fingerprint")]
    {
        shown.insert(name, description[key].as_str().expect("text").to_owned());
    }
    let length = |key: &str| description[key].as_str().map_or(0, str::len).to_string();
    shown.insert("description: length of ufrag", length("ufrag"));
    shown.insert("description: length of pwd", length("pwd"));
    shown.insert("description: payload type", description["payload_type"].to_string());
    shown.insert("description: setup", description["setup"].to_string());
    let candidate = received.iter().find(|frame| frame["type"] == "candidate").expect("a candidate");
    let names: BTreeSet<&str> = candidate.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["call", "port", "type"]));
}

/// What the relay brought of them.
fn seen(datagrams: &[Datagram], shown: &mut Shown) {
    let (mut requests, mut stun, mut rtp, mut rtcp, mut handshake) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Handshake::default());
    for datagram in datagrams {
        match datagram.inner() {
            Some(Inner::Stun(message)) => {
                stun.push(message);
                if message[..2] == [0, 1] {
                    requests.push(message);
                }
            }
            Some(Inner::Dtls(records)) => handshake.take(records),
            Some(Inner::Rtp(packet)) => rtp.push(packet),
            Some(Inner::Rtcp(packet)) => rtcp.push(packet),
            None => {}
        }
    }
    let of = |message: &[u8], wanted: u16| {
        attributes(message).find(|(kind, _)| *kind == wanted).map(|(_, value)| hex(value))
    };
    let all = |messages: &[&[u8]], wanted: u16| -> BTreeSet<String> {
        messages.iter().filter_map(|message| of(message, wanted)).collect()
    };
    let kinds: BTreeSet<String> =
        stun.iter().flat_map(|message| attributes(message)).map(|(kind, _)| format!("{kind:04x}")).collect();
    shown.insert("STUN: attributes", list(&kinds));
    assert!(!kinds.contains("8022"), "SOFTWARE");
    shown
        .insert("STUN: tie-breaker", list(&all(&requests, 0x8029).into_iter().chain(all(&requests, 0x802A)).collect()));
    shown.insert("STUN: priorities", list(&all(&requests, 0x0024)));
    // Its id and its cost: none, and the highest, which Chromium says when it does not know. Wi-Fi would be 10, mobile 900.
    let networks = all(&requests, 0xC057);
    assert!(networks.iter().all(|network| network == "000003e7"), "the kind of network shows: {networks:?}");
    shown.insert("STUN: network id and cost (GOOG-NETWORK-INFO)", list(&networks));
    shown.insert("STUN: transactions", requests.iter().map(|message| hex(&message[8..20])).take(2).collect());

    // Of the client it has all that it knows, of the server what it has chosen.
    let (is_client, hello) = match handshake.message(1) {
        Some(hello) => (true, hello),
        None => (false, handshake.message(2).expect("a hello")),
    };
    shown.insert("DTLS: role", if is_client { "client" } else { "server" }.to_owned());
    shown.insert("DTLS: random", hex(&hello[2..34]));
    let (suites, extensions) = hello_lists(&hello, is_client);
    shown.insert("DTLS: cipher suites", suites);
    shown.insert("DTLS: extensions", extensions);
    let certificate = handshake.message(11).expect("a certificate");
    let certificate = Certificate::read(&certificate[6..]);
    shown.insert("certificate: serial number", hex(certificate.serial));
    shown.insert("certificate: key", hex(certificate.key));
    shown.insert("certificate: kind of name", certificate.kind_of_name());
    shown.insert("certificate: its length", (certificate.length / 8 * 8).to_string());

    let first = rtp.first().expect("RTP");
    assert!(rtp.iter().all(|packet| packet[0] == 0x80), "no extension, no sources");
    shown.insert("RTP: SSRC", hex(&first[8..12]));
    shown.insert("RTP: first sequence number", hex(&first[2..4]));
    shown.insert("RTP: first timestamp", hex(&first[4..8]));
    let sources: BTreeSet<String> = rtp.iter().map(|packet| hex(&packet[8..12])).collect();
    assert_eq!(sources.len(), 1, "one source of sound");
    let types: BTreeSet<String> = rtp.iter().map(|packet| (packet[1] & 0x7F).to_string()).collect();
    shown.insert("RTP: payload types", list(&types));
    let sources: BTreeSet<String> = rtcp.iter().map(|packet| hex(&packet[4..8])).collect();
    shown.insert("RTCP: SSRC", list(&sources));
    let kinds: BTreeSet<String> = rtcp.iter().map(|packet| packet[1].to_string()).collect();
    shown.insert("RTCP: first packets", list(&kinds));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn list(set: &BTreeSet<String>) -> String {
    set.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// Handshake messages in the open (RFC 6347 §4.2), put together from their fragments.
#[derive(Default)]
struct Handshake {
    messages: BTreeMap<(u16, u8), (Vec<u8>, usize)>,
}

impl Handshake {
    fn take(&mut self, mut records: &[u8]) {
        while let Some((head, rest)) = records.split_at_checked(13) {
            // The upper bits of the first byte are those of the encrypted records of DTLS 1.3 (RFC 9147 §4).
            if !(20..=26).contains(&head[0]) {
                return;
            }
            let length = usize::from(u16::from_be_bytes([head[11], head[12]]));
            let Some((mut body, after)) = rest.split_at_checked(length) else { return };
            records = after;
            let in_the_open = head[0] == 22 && head[3..5] == [0, 0];
            while in_the_open && body.len() >= 12 {
                let three = |at: usize| {
                    usize::from(body[at]) << 16 | usize::from(body[at + 1]) << 8 | usize::from(body[at + 2])
                };
                let (whole, from, length) = (three(1), three(6), three(9));
                let key = (u16::from_be_bytes([body[4], body[5]]), body[0]);
                let Some(fragment) = body.get(12..12 + length) else { break };
                let (message, have) = self.messages.entry(key).or_insert_with(|| (vec![0; whole], 0));
                if let Some(place) = message.get_mut(from..from + length) {
                    place.copy_from_slice(fragment);
                    *have += length;
                }
                body = &body[12 + length..];
            }
        }
    }

    /// The first whole one of this type.
    fn message(&self, kind: u8) -> Option<Vec<u8>> {
        let whole = self.messages.iter().find(|((_, of), (message, have))| *of == kind && *have >= message.len());
        whole.map(|(_, (message, _))| message.clone())
    }
}

/// The cipher suites, in order, and the extensions of a hello (RFC 5246 §7.4.1, RFC 6347 §4.2.1), by number. The order of
/// extensions is left out: a browser may draw it anew every time.
fn hello_lists(hello: &[u8], is_client: bool) -> (String, String) {
    let two = |at: usize| u16::from_be_bytes([hello[at], hello[at + 1]]);
    let mut at = 34;
    at += 1 + usize::from(hello[at]);
    let suites = if is_client {
        at += 1 + usize::from(hello[at]);
        let suites = at + 2..at + 2 + usize::from(two(at));
        at = suites.end;
        at += 1 + usize::from(hello[at]);
        suites
    } else {
        at += 3;
        at - 3..at - 1
    };
    let cipher = suites.step_by(2).map(|at| format!("{:04x}", two(at))).collect::<Vec<_>>().join(" ");
    let end = at + 2 + usize::from(two(at));
    at += 2;
    let mut extensions = BTreeSet::new();
    while at + 4 <= end {
        extensions.insert(format!("{:04x}", two(at)));
        at += 4 + usize::from(two(at + 2));
    }
    (cipher, list(&extensions))
}

/// What is in an X.509 certificate (RFC 5280 §4.1).
struct Certificate<'a> {
    serial: &'a [u8],
    subject: &'a [u8],
    issuer: &'a [u8],
    key: &'a [u8],
    length: usize,
}

impl<'a> Certificate<'a> {
    fn read(bytes: &'a [u8]) -> Self {
        let (whole, _) = element(bytes);
        let (mut rest, _) = element(whole);
        let mut next = || {
            let (value, after) = element(rest);
            rest = after;
            value
        };
        let _version = next();
        let serial = next();
        let (_algorithm, issuer, _validity, subject, key) = (next(), next(), next(), next(), next());
        Self { serial, subject, issuer, key, length: bytes.len() }
    }

    /// Whom it names: nobody, or something of random characters.
    fn kind_of_name(&self) -> String {
        assert_eq!(self.subject, self.issuer, "signed by itself");
        let text: String = self.subject.iter().map(|byte| char::from(*byte)).collect();
        let name: String =
            text.chars().rev().take_while(char::is_ascii_graphic).collect::<Vec<_>>().into_iter().rev().collect();
        if name.len() >= 16 { "random".to_owned() } else { name }
    }
}

/// One element of DER (X.690): its contents, and what follows.
fn element(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (length, head) = match bytes[1] {
        short @ 0..=0x7F => (usize::from(short), 2),
        long => {
            let count = usize::from(long & 0x7F);
            (bytes[2..2 + count].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), 2 + count)
        }
    };
    (&bytes[head..head + length], &bytes[head + length..])
}

/// Two calls of one and a call of another, each the answerer.
async fn three_calls(line: &Line, server: &TestServer, one: &Browser, other: &Browser) -> [Shown; 3] {
    let mut calls = Vec::new();
    for (browser, again) in [(one, false), (one, true), (other, false)] {
        if again {
            browser.press("again").await;
        } else {
            browser.open(&server.url()).await;
            browser.press("start").await;
        }
        // By the server's word, so that it is always the native caller who comes second, and offers.
        let waits = 1 + usize::from(again);
        assert!(browser.wait(UNTIL_IN_THE_QUEUE, vec![json!(waits)]).await.is_some(), "not in the queue");
        calls.push(call(line, server, browser).await);
        if again || std::ptr::eq(browser, other) {
            browser.press("rest").await;
            browser.until("resting").await;
        }
    }
    calls.try_into().expect("three")
}

fn check(make: &str, [first, second, other]: &[Shown; 3]) {
    for (name, value) in first {
        let (again, elsewhere) = (&second[name], &other[name]);
        assert!(
            !(value == again && value != elsewhere),
            "{make}: {name} leads from call to call: {value}, not {elsewhere}"
        );
        if OF_THE_CALL.contains(name) {
            assert!(value != again && value != elsewhere && !value.is_empty(), "{make}: {name} is {value} again");
        } else {
            assert!(value == again, "{make}: {name} changes from call to call: {value}, then {again}");
        }
    }
    assert!(OF_THE_CALL.iter().all(|name| first.contains_key(name)));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_partner_receives_leads_from_one_call_to_the_next() {
    let _turn = turn().await;
    let mut line = Line::new().await;
    let server = line.server().await;
    let (one, other) = (Browser::chromium(None).await, Browser::chromium(None).await);
    let chromium = three_calls(&line, &server, &one, &other).await;
    one.kill();
    other.kill();
    let (one, other) = (Browser::firefox().await, Browser::firefox().await);
    let firefox = three_calls(&line, &server, &one, &other).await;
    one.kill();
    other.kill();
    check("Chromium", &chromium);
    check("Firefox", &firefox);
    println!("new in every call: {}", json!(OF_THE_CALL));
    println!("the same for all of one make:");
    for (name, value) in &chromium[0] {
        if OF_THE_CALL.contains(name) {
            continue;
        }
        let of_firefox = &firefox[0][name];
        if value == of_firefox {
            println!("  {name}: {value}");
        } else {
            println!("  {name}: Chromium {value}; Firefox {of_firefox}");
        }
    }
    server.stop().await;
}
