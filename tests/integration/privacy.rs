//! What the page /privacy promises and no other test holds: each test here is named in its source.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use sotto::caller::signalling::{RawFrame, Signalling, Tap};
use sotto::caller::text::encode;
use sotto::caller::{Call, Caller, Options};
use sotto::protocol::{Languages, Role};
use tokio::net::UdpSocket;
use tokio::process::Command;
use tokio_tungstenite::tungstenite::Message;

use crate::browser::{Browser, turn};
use crate::http::get;
use crate::server::{DEADLINE, TestServer};
use crate::voice::tone;

async fn caller(server: &TestServer, languages: &[&str], role: Role, options: Options) -> Caller {
    let mut caller = Caller::connect(&server.ws(), options).await.expect("a welcome");
    let languages = Languages::new(languages.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>());
    caller.join(languages.expect("languages"), role, false).await.expect("a place in the queue");
    caller
}

fn tapped(hertz: u16, tap: &Tap) -> Options {
    Options { voice: tone(hertz), tap: Some(tap.clone()), ..Options::default() }
}

/// Two callers who hear each other, the first one with more to wish for than the second.
async fn talking(server: &TestServer, taps: [&Tap; 2]) -> (Call, Call) {
    let first = caller(server, &["xho", "en", "zul"], Role::Talk, tapped(440, taps[0])).await;
    let second = caller(server, &["en"], Role::Either, tapped(880, taps[1])).await;
    let (mut first, mut second) = tokio::try_join!(first.call(DEADLINE), second.call(DEADLINE)).expect("a partner");
    tokio::try_join!(first.connected(), second.connected()).expect("connected");
    tokio::try_join!(first.hear(10, DEADLINE), second.hear(10, DEADLINE)).expect("packets");
    (first, second)
}

/// Every name and every text in a frame, with the name that it stands under.
fn texts<'a>(name: &'a str, value: &'a Value, found: &mut Vec<(&'a str, &'a str)>) {
    match value {
        Value::String(text) => found.push((name, text)),
        Value::Array(values) => values.iter().for_each(|value| texts(name, value, found)),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| texts(name, value, found)),
        _ => found.push((name, "")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_of_the_log_tells_of_anybody() {
    // As much as it can be asked for, ours by its own option and the libraries' by theirs.
    let mut command = Command::new(env!("CARGO_BIN_EXE_sotto"));
    let command = command.arg("--allow-native").env("SOTTO_LISTEN", "127.0.0.1:0").env("RUST_LOG", "trace");
    let server = TestServer::start_as(command).await;
    let (tap, other_tap) = (Tap::default(), Tap::default());
    let (mut first, mut second) = talking(&server, [&tap, &other_tap]).await;
    let offerer = if first.offerer { &mut first } else { &mut second };
    offerer.restart(DEADLINE).await.expect("new credentials");

    // What goes wrong is what logs like to tell of: other sites, frames and datagrams of no kind, and no farewell.
    Signalling::connect(&server.ws(), Some("https://evil.example"), None).await.expect_err("refused");
    let strange = Tap::default();
    let mut stranger = Signalling::connect(&server.ws(), None, Some(strange.clone())).await.expect("let in");
    stranger.send_raw(Message::text(r#"{"type":"hello","resume":"somebody"}"#)).await.expect("sent");
    stranger.next().await.expect("a problem");
    stranger.send_raw(Message::text("\u{0}".repeat(9_000))).await.ok();
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    for noise in [&b"\x00\x03\x00\x00\x21\x12\xa4\x42twelve bytes"[..], b"\x40\x00\x00\x01x", b"GET / HTTP/1.1"] {
        socket.send_to(noise, ("127.0.0.1", server.port)).await.expect("sent");
    }
    get(&server, "/nothing?who=somebody", "Cookie: somebody=1\r\nReferer: https://somebody.example/\r\n").await;
    drop(first);
    server.said("away: the socket is lost").await;
    second.leave().await.expect("idle").close().await;

    let said = server.stop().await;
    assert!(said.contains("DEBUG sotto") && said.contains("INFO sotto"), "it says a good deal: {said}");
    for word in ["somebody", "evil", "127.0.0.1", "localhost"] {
        let mut lines = said.lines().filter(|line| !line.starts_with("listening on "));
        assert!(!lines.any(|line| line.contains(word)), "{word} in {said}");
    }
    let frames: Vec<Value> =
        [&tap, &other_tap].iter().flat_map(|tap| tap.frames()).filter_map(|raw| raw.text().parse().ok()).collect();
    let mut all = Vec::new();
    frames.iter().for_each(|frame| texts("", frame, &mut all));
    let secret = ["call", "resume", "ufrag", "pwd", "fingerprint", "username", "credential", "languages"];
    let secrets: BTreeSet<_> =
        all.into_iter().filter(|(name, text)| secret.contains(name) && text.len() > 2).map(|(_, text)| text).collect();
    assert!(secrets.len() > 12, "{secrets:?}");
    for secret in secrets {
        assert!(!said.contains(secret), "{secret} in {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_is_told_nothing_of_ones_wishes() {
    let server = TestServer::start().await;
    let (tap, other_tap) = (Tap::default(), Tap::default());
    let (first, second) = talking(&server, [&tap, &other_tap]).await;
    first.leave().await.expect("idle").close().await;
    second.leave().await.expect("idle").close().await;
    let received: Vec<Value> = (other_tap.frames().iter())
        .filter(|frame| matches!(frame, RawFrame::Received(_)))
        .map(|frame| frame.text().parse().expect("JSON"))
        .collect();
    let mut all = Vec::new();
    received.iter().for_each(|frame| texts("", frame, &mut all));
    let names: BTreeSet<_> = all.iter().map(|(name, _)| *name).collect();
    // One's own credentials, and of the partner what keys and a port say.
    let known = [
        "call",
        "credential",
        "fingerprint",
        "offerer",
        "payload_type",
        "port",
        "pwd",
        "resume",
        "setup",
        "side",
        "transports",
        "type",
        "ufrag",
        "username",
        "why",
    ];
    assert_eq!(names.into_iter().filter(|name| !known.contains(name)).collect::<Vec<_>>(), Vec::<&str>::new());
    assert!(all.iter().all(|(_, text)| !["xho", "zul", "en", "talk"].contains(text)), "{all:?}");
    server.stop().await;
}

/// Every datagram between callers and the relay, as whoever stands there sees it, the server among them.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<Vec<Vec<u8>>>>);

impl Wire {
    fn keep(&self, datagram: &[u8]) {
        self.0.lock().expect("no panic").push(datagram.to_vec());
    }

    fn len(&self) -> usize {
        self.0.lock().expect("no panic").len()
    }

    /// The sizes of what is larger than a packet of a voice, from this datagram on.
    fn large(&self, from: usize) -> BTreeSet<usize> {
        let datagrams = self.0.lock().expect("no panic");
        datagrams[from..].iter().map(Vec::len).filter(|size| *size > 400).collect()
    }

    /// Whether this passed, in the clear.
    fn has(&self, bytes: &[u8]) -> bool {
        holds(&self.0.lock().expect("no panic"), bytes)
    }

    /// Passes everything on between those who come to this socket and the relay on that port.
    async fn pass_on(self, socket: UdpSocket, port: u16) {
        let socket = Arc::new(socket);
        let mut clients: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
        let mut datagram = [0; 2_048];
        while let Ok((length, client)) = socket.recv_from(&mut datagram).await {
            self.keep(&datagram[..length]);
            let relay = match clients.get(&client) {
                Some(relay) => relay.clone(),
                None => {
                    let relay = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("a free port"));
                    relay.connect(("127.0.0.1", port)).await.expect("an address");
                    tokio::spawn(self.clone().pass_back(relay.clone(), socket.clone(), client));
                    clients.insert(client, relay.clone());
                    relay
                }
            };
            let _ = relay.send(&datagram[..length]).await;
        }
    }

    async fn pass_back(self, relay: Arc<UdpSocket>, socket: Arc<UdpSocket>, client: SocketAddr) {
        let mut datagram = [0; 2_048];
        while let Ok(length) = relay.recv(&mut datagram).await {
            self.keep(&datagram[..length]);
            let _ = socket.send_to(&datagram[..length], client).await;
        }
    }
}

fn holds(datagrams: &[impl AsRef<[u8]>], bytes: &[u8]) -> bool {
    datagrams.iter().any(|datagram| datagram.as_ref().windows(bytes.len()).any(|window| window == bytes))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_the_relay_is_sealed() {
    let between = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let host = between.local_addr().expect("an address").to_string();
    let server = TestServer::start_with(&["--allow-native", "--text-line", "--relay-host", &host]).await;
    let wire = Wire::default();
    let passing = tokio::spawn(wire.clone().pass_on(between, server.port));
    let (mut first, mut second) = talking(&server, [&Tap::default(), &Tap::default()]).await;
    let (heard, also_heard) =
        tokio::try_join!(first.hear(60, DEADLINE), second.hear(60, DEADLINE)).expect("a second and more");
    // What is typed, a little and a lot: not to be read, nor its length to be told.
    let (short, long) = ("a little that nobody else may read", &"and a lot of it, ".repeat(29)[..]);
    let mut sizes = Vec::new();
    for line in [short, long] {
        let before = wire.len();
        first.send(encode(line).expect("a line")).await;
        assert_eq!(second.line(DEADLINE).await.expect("a line"), line);
        sizes.push(wire.large(before));
    }
    // But for what SCTP may put beside it (an acknowledgement has 16 bytes): 459 more were typed.
    let same =
        |one: Option<&usize>, other: Option<&usize>| one.zip(other).is_some_and(|(one, it)| one.abs_diff(*it) < 64);
    assert!(same(sizes[0].first(), sizes[1].first()) && same(sizes[0].last(), sizes[1].last()), "{sizes:?}");
    for piece in [&short.as_bytes()[..12], &short.as_bytes()[20..], b"and a lot of it"] {
        assert!(!wire.has(piece), "{piece:?} is on the wire");
    }
    first.leave().await.expect("idle").close().await;
    passing.abort();
    assert!(wire.len() > 200, "{} datagrams", wire.len());
    for (heard, hertz) in [(heard, 880), (also_heard, 440)] {
        for packet in tone(hertz).iter() {
            // Twelve bytes are not twice the same by chance; from the inside of a frame, where the tone is.
            for part in packet.chunks_exact(12).skip(1) {
                assert!(!wire.has(part), "a piece of {hertz} Hz is on the wire");
            }
        }
        let arrived = tone(hertz).iter().filter(|packet| holds(&heard.last, &packet[12..24])).count();
        assert!(arrived > 40, "and is in what is heard: {arrived}");
    }
    server.stop().await;
}

#[tokio::test]
async fn no_answer_sets_a_cookie() {
    let server = TestServer::start_with(&[]).await;
    let list = String::from_utf8(get(&server, "/hashes.txt", "").await.body).expect("a text");
    let files = list.lines().filter_map(|line| line.split_once("  ")).map(|(hash, path)| (format!("/{path}"), hash));
    let others = ["/", "/privacy", "/rules", "/help", "/settings.json", "/hashes.txt", "/healthz", "/nothing", "/ws"]
        .map(|path| (path.to_owned(), ""));
    for (path, hash) in files.chain(others) {
        let answer = get(&server, &path, "Cookie: sotto=1\r\n").await;
        for header in ["set-cookie", "clear-site-data", "last-modified", "report-to", "nel", "link", "refresh"] {
            assert_eq!(answer.header(header), None, "{path}");
        }
        // A tag could mark a visitor as well: this one is the file's, and so everybody's.
        if let Some(tag) = answer.header("etag").map(|tag| tag.trim_start_matches("W/")) {
            assert!(tag.trim_matches('"').len() >= 32 && hash.starts_with(tag.trim_matches('"')) || hash.is_empty());
        }
        if answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html")) {
            let policy = answer.header("content-security-policy").expect("a policy");
            assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
            assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        }
    }
    server.stop().await;
}

/// Everything that a site can leave in a browser.
const KEPT: &str = r"
    const done = arguments[0];
    (async () => done({
        local: { ...localStorage },
        others: [
            document.cookie, ...Object.keys(sessionStorage), ...(await indexedDB.databases()).map(({ name }) => name),
            ...await caches.keys(), ...(await navigator.serviceWorker.getRegistrations()).map(({ scope }) => scope),
        ].filter(Boolean),
    }))();
";

#[tokio::test]
async fn a_whole_visit_asks_nobody_else_and_keeps_only_preferences() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let log = std::env::temp_dir().join(format!("sotto-requests-{}.json", uuid::Uuid::new_v4()));
    let log = Kept(log);
    let flag = format!("--log-net-log={}", log.0.display());
    let (visitor, partner) = (Browser::chromium_with(None, &[&flag]).await, Browser::chromium(None).await);
    visitor.open(&server.url()).await;
    visitor.press_link("/privacy").await;
    visitor.press_link("/").await;
    visitor.until("landing").await;
    assert_eq!(visitor.wait(KEPT, vec![]).await.expect("an answer"), json!({ "local": {}, "others": [] }));
    // A choice that is kept, and then a call from the first press to the end.
    visitor.run("document.querySelector('[data-part=muteKey]').click()", vec![]).await;
    partner.open(&server.url()).await;
    visitor.press("start").await;
    partner.press("start").await;
    visitor.until("talking").await;
    visitor.press("help").await;
    visitor.run("document.querySelector('dialog').close()", vec![]).await;
    visitor.press("end").await;
    visitor.until("ended").await;
    visitor.press("rest").await;
    visitor.until("resting").await;

    let kept = visitor.wait(KEPT, vec![]).await.expect("an answer");
    assert_eq!(kept["others"], json!([]));
    let local = kept["local"].as_object().expect("an object");
    assert_eq!(local.keys().collect::<Vec<_>>(), ["sotto"]);
    let preferences: Value = local["sotto"].as_str().and_then(|text| text.parse().ok()).expect("JSON");
    assert_eq!(preferences["muteKey"], json!(false));
    for (name, value) in preferences.as_object().expect("an object") {
        // Nothing in which a visitor could be numbered.
        let tags = |value: &Value| value.as_str().is_some_and(|tag| tag.len() <= 3);
        let plain = value.is_boolean() || value.is_null() || tags(value);
        assert!(plain || value.as_array().is_some_and(|all| all.iter().all(tags)), "{name}: {value}");
    }
    assert!(visitor.driver.get_all_cookies().await.expect("cookies").is_empty());

    partner.quit().await;
    visitor.quit().await;
    let origin = server.url().trim_end_matches('/').to_owned();
    let asked = log.asked(&origin);
    for path in ["/", "/privacy", "/js/talk.js", "/ws"] {
        assert!(asked.iter().any(|url| url.ends_with(&format!(":{}{path}", server.port))), "{path} in {asked:?}");
    }
    let here = [format!("{origin}/"), format!("{}/", origin.replace("http", "ws"))];
    let elsewhere: Vec<_> = asked.iter().filter(|url| !here.iter().any(|here| url.starts_with(here))).collect();
    assert_eq!(elsewhere, Vec::<&String>::new(), "asked by the page");
    server.stop().await;
}

/// Chromium's own record of all that goes over the network, removed when dropped.
struct Kept(PathBuf);

impl Kept {
    /// Every address that was asked for a page, or by a page of this origin; not what the browser does for itself.
    fn asked(&self, origin: &str) -> BTreeSet<String> {
        let text = std::fs::read_to_string(&self.0).expect("a record");
        let record: Value = text.parse().expect("a whole record");
        let start = &record["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"];
        assert!(start.is_number(), "the kind of event is known");
        let events = record["events"].as_array().expect("events").iter().filter(|event| event["type"] == *start);
        let of_page = |params: &Value| {
            params["initiator"] == origin || params["url"].as_str().is_some_and(|url| url.starts_with(origin))
        };
        let params = events.map(|event| &event["params"]).filter(|params| of_page(params));
        params.filter_map(|params| params["url"].as_str()).map(ToOwned::to_owned).collect()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Browser {
    /// Follows the link to this address that can be seen, and waits until it has been followed.
    pub async fn press_link(&self, address: &str) {
        let press =
            "[...document.querySelectorAll(`a[href='${arguments[0]}']`)].find(one => one.checkVisibility()).click()";
        self.run(press, vec![json!(address)]).await;
        let there = r"const [address, done] = arguments;
            const look = () => location.pathname === address && document.readyState === 'complete' ? done(true) : setTimeout(look, 20);
            look();";
        assert!(self.wait(there, vec![json!(address)]).await.is_some(), "{address} is not reached");
    }
}
