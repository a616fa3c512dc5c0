//! Who floods, dawdles or lies, from one address of 127.0.0.0/8, and somebody from another who does not notice.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::browser::{Browser, turn};
use crate::server::{DEADLINE, TestServer};
use crate::states::{inspect, with_axe};
use crate::tls::Identity;

const HONEST: u8 = 200;

/// A connection from 127.0.0.`host`, which is a network of its own.
async fn connect(server: &TestServer, host: u8) -> TcpStream {
    try_connect(server, host).await.expect("a connection")
}

/// The same, where it may be turned away.
async fn try_connect(server: &TestServer, host: u8) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0))).expect("a loopback address");
    socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, server.port))).await
}

/// What is said on a connection until it ends, or until these words have come so many times.
async fn hear(stream: &mut TcpStream, words: &str, times: usize) -> String {
    let mut heard = Vec::new();
    let done = timeout(DEADLINE, async {
        while String::from_utf8_lossy(&heard).matches(words).count() < times {
            let mut piece = [0; 4_096];
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(length) => heard.extend(&piece[..length]),
            }
        }
    });
    done.await.expect("an answer in time");
    String::from_utf8_lossy(&heard).into_owned()
}

/// The first line and the headers of the answer to a request for `path`; nothing when the connection was closed.
async fn ask(server: &TestServer, host: u8, path: &str, headers: &str) -> String {
    let Ok(mut stream) = try_connect(server, host).await else {
        return String::new();
    };
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Connection: close\r\n\r\n");
    let _ = stream.write_all(request.as_bytes()).await;
    hear(&mut stream, "\r\n\r\n", 1).await
}

/// A visitor of whom only the socket is real.
pub struct Visitor(WebSocketStream<TcpStream>);

impl Visitor {
    async fn try_arrive(server: &TestServer, host: u8, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        let mut request = server.ws().into_client_request().expect("a request");
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a value"));
        }
        match timeout(DEADLINE, client_async(request, connect(server, host).await)).await.expect("in time") {
            Ok((socket, _)) => {
                let mut visitor = Self(socket);
                visitor.say(json!({ "type": "hello" })).await;
                assert_eq!(visitor.next().await["type"], "welcome");
                Ok(visitor)
            }
            Err(tungstenite::Error::Http(response)) => {
                assert!(response.headers().contains_key("retry-after"), "{response:?}");
                Err(response.status().as_u16())
            }
            Err(_) => Err(0),
        }
    }

    /// Somebody from 127.0.0.`host`, whom the server has welcomed.
    pub async fn arrive(server: &TestServer, host: u8) -> Self {
        Self::try_arrive(server, host, &[]).await.expect("let in")
    }

    /// Sends a frame.
    pub async fn say(&mut self, frame: Value) {
        self.0.send(Message::text(frame.to_string())).await.expect("sent");
    }

    /// The next frame.
    pub async fn next(&mut self) -> Value {
        let next = async {
            loop {
                match self.0.next().await.expect("a socket").expect("a frame") {
                    Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
                    Message::Close(frame) => panic!("closed: {frame:?}"),
                    _ => {}
                }
            }
        };
        timeout(DEADLINE, next).await.expect("a frame in time")
    }

    /// The answer.
    pub async fn join(&mut self, language: &str) -> Value {
        self.say(json!({ "type": "join", "languages": [language], "role": "either", "avoid_recent": true })).await;
        self.next().await
    }

    pub async fn leave(&mut self) {
        self.say(json!({ "type": "leave" })).await;
    }

    /// The answer.
    async fn hear_yourself(&mut self) -> Value {
        self.say(json!({ "type": "hear_yourself" })).await;
        self.next().await
    }
}

/// Two who have nothing to do with the flood meet.
async fn others_are_served(server: &TestServer) {
    let began = Instant::now();
    let (mut one, mut other) = (Visitor::arrive(server, HONEST).await, Visitor::arrive(server, HONEST + 1).await);
    assert_eq!(one.join("eo").await["type"], "waiting");
    other.join("eo").await;
    assert_eq!(other.next().await["type"], "matched");
    assert_eq!(one.next().await["type"], "matched");
    assert!(ask(server, HONEST, "/", "").await.starts_with("HTTP/1.1 200"));
    println!("two others met within {:?}", began.elapsed());
}

/// As many sockets as the tests open.
fn raise_file_limit() {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
        setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("the limit");
    }
}

#[tokio::test]
async fn a_storm_of_connections_is_turned_away_and_nobody_else_is() {
    let server = TestServer::start().await;
    for _ in 0..2_200 {
        drop(try_connect(&server, 2).await);
    }
    let mut turned_away = 0;
    for _ in 0..20 {
        turned_away += usize::from(ask(&server, 2, "/healthz", "").await.is_empty());
    }
    assert!(turned_away >= 10, "{turned_away} of 20");
    others_are_served(&server).await;
    server.said("a connection too many").await;
    server.stop().await;
}

#[tokio::test]
async fn a_flood_of_requests_is_told_to_wait_whatever_it_says_of_itself() {
    let server = TestServer::start().await;
    let flood = (0..12_u32).map(|connection| {
        let server = &server;
        async move {
            let mut stream = connect(server, 2).await;
            let requests: String = (0..400)
                .map(|number| format!("HEAD /no HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.{connection}.{number}\r\nForwarded: for=198.51.{connection}.1\r\n\r\n"))
                .collect();
            stream.write_all(requests.as_bytes()).await.expect("sent");
            hear(&mut stream, "\r\n\r\n", 400).await
        }
    });
    let answers = join_all(flood).await.concat();
    let count = |words| answers.matches(words).count();
    let (served, refused) = (count("HTTP/1.1 404"), count("HTTP/1.1 429"));
    println!("{served} served, {refused} told to wait");
    assert_eq!(served + refused, 4_800);
    assert!((4_096..4_700).contains(&served) && count("retry-after: 1") == refused);
    // Whether the server is well may always be asked.
    assert!(ask(&server, 2, "/healthz", "").await.starts_with("HTTP/1.1 200"));
    server.said_times("a proxy seems to stand in front", 1).await;
    others_are_served(&server).await;
    let output = server.stop().await;
    assert_eq!(output.matches("a proxy seems to stand in front").count(), 1);
}

#[tokio::test]
async fn one_network_has_a_thousand_sockets_and_gets_them_back() {
    raise_file_limit();
    let server = TestServer::start().await;
    let mut visitors = Vec::new();
    for _ in 0..64 {
        visitors.extend(join_all((0..16).map(|_| Visitor::arrive(&server, 2))).await);
    }
    assert_eq!(Visitor::try_arrive(&server, 2, &[]).await.err(), Some(429));
    others_are_served(&server).await;
    drop(visitors.split_off(512));
    server.said_times("away", 512).await;
    // The pace is one in 50 ms, and there is room again.
    let mut back = 0;
    let began = Instant::now();
    while back < 5 && began.elapsed() < DEADLINE {
        match Visitor::try_arrive(&server, 2, &[]).await {
            Ok(visitor) => {
                visitors.push(visitor);
                back += 1;
            }
            Err(status) => assert_eq!(status, 429),
        }
    }
    assert_eq!(back, 5);
    server.stop().await;
}

#[tokio::test]
async fn too_many_joins_are_asked_to_pause_and_others_are_not() {
    let server = TestServer::start().await;
    // What a socket may say at once is counted, too.
    let joins = (0..50_u8).map(|number| {
        let server = &server;
        async move {
            let mut visitor = Visitor::arrive(server, 2).await;
            // Each a language of its own, so that nobody is matched.
            let language: String = [number / 26, number % 26].map(|letter| char::from(b'a' + letter)).iter().collect();
            let mut answers = HashMap::<String, u32>::new();
            for _ in 0..20 {
                let answer = visitor.join(&language).await;
                let kind = answer["type"].as_str().expect("a type").to_owned();
                if kind == "slow_down" {
                    assert_eq!(answer, json!({ "type": "slow_down", "retry_after": 10 }));
                }
                *answers.entry(kind).or_default() += 1;
                visitor.leave().await;
            }
            answers
        }
    });
    let mut sums = HashMap::<String, u32>::new();
    for (kind, count) in join_all(joins).await.into_iter().flatten() {
        *sums.entry(kind).or_default() += count;
    }
    println!("{sums:?}");
    assert_eq!(sums.values().sum::<u32>(), 1_000);
    assert!(sums["waiting"] >= 512 && sums["slow_down"] > 0);
    others_are_served(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn a_lonely_visitor_is_dropped_three_times_by_one_network_and_then_left_in_peace() {
    let server = TestServer::start().await;
    let mut lonely = Visitor::arrive(&server, HONEST).await;
    assert_eq!(lonely.join("en").await["type"], "waiting");
    for drops in 0..6 {
        // Another socket each time, without a token: a visitor whom nobody knows.
        let mut dropper = Visitor::arrive(&server, 2).await;
        assert_eq!(dropper.join("en").await["type"], "waiting");
        if drops >= 3 {
            assert!(timeout(Duration::from_millis(100), dropper.0.next()).await.is_err(), "matched again");
            dropper.leave().await;
            continue;
        }
        assert_eq!(dropper.next().await["type"], "matched");
        dropper.leave().await;
        for kind in ["matched", "ended", "waiting"] {
            assert_eq!(lonely.next().await["type"], kind);
        }
    }
    // Somebody else who comes is met at once.
    let mut other = Visitor::arrive(&server, HONEST + 1).await;
    other.join("en").await;
    assert_eq!(other.next().await["type"], "matched");
    assert_eq!(lonely.next().await["type"], "matched");
    server.stop().await;
}

/// Somebody at this address leaves every match until asked to pause. (Whom it leaves is of the same network, which nobody
/// is kept away from.)
async fn drop_until_paused(server: &TestServer, host: u8, headers: &[(&'static str, &str)]) -> u32 {
    let mut lonely = Visitor::try_arrive(server, host, headers).await.expect("let in");
    assert_eq!(lonely.join("en").await["type"], "waiting");
    let mut drops = 0;
    loop {
        let mut dropper = Visitor::try_arrive(server, host, headers).await.expect("let in");
        for _ in 0..10 {
            if dropper.join("en").await["type"] == "slow_down" {
                return drops;
            }
            assert_eq!(dropper.next().await["type"], "matched");
            dropper.leave().await;
            for kind in ["matched", "ended", "waiting"] {
                assert_eq!(lonely.next().await["type"], kind);
            }
            drops += 1;
        }
    }
}

/// Each is a caller of the server's own.
#[tokio::test(flavor = "multi_thread")]
async fn sixteen_hear_themselves_at_once_and_four_of_one_network() {
    let server = TestServer::start_with(&["--allow-native"]).await;
    let mut hearing = Vec::new();
    for host in 20..24 {
        for _ in 0..4 {
            let mut visitor = Visitor::arrive(&server, host).await;
            assert_eq!(visitor.hear_yourself().await["type"], "matched");
            hearing.push(visitor);
        }
        let refusal = Visitor::arrive(&server, host).await.hear_yourself().await;
        assert_eq!(refusal, json!({ "type": "slow_down", "retry_after": 31 }), "a fifth of one network");
    }
    let mut visitor = Visitor::arrive(&server, 24).await;
    assert_eq!(visitor.hear_yourself().await["type"], "slow_down", "a seventeenth");
    // One is idle still, and may talk with others.
    others_are_served(&server).await;
    assert_eq!(visitor.join("eo").await["type"], "waiting");
    visitor.leave().await;
    // A place is free again a moment after it is left, by whichever way.
    for gone in [true, false] {
        let mut one = hearing.pop().expect("one of them");
        if gone {
            drop(one);
        } else {
            one.leave().await;
            hearing.insert(0, one);
        }
        let give_up = Instant::now() + Duration::from_secs(5);
        while visitor.hear_yourself().await["type"] == "slow_down" {
            assert!(Instant::now() < give_up, "no place is given back");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        hearing.insert(0, std::mem::replace(&mut visitor, Visitor::arrive(&server, 25).await));
    }
    server.stop().await;
}

/// Whoever begins one after the other is asked to pause, and only for these.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_hears_themself_again_and_again_is_asked_to_pause() {
    let server = TestServer::start_with(&["--allow-native"]).await;
    let mut visitor = Visitor::arrive(&server, 20).await;
    let mut heard = 0;
    let pause = loop {
        let answer = visitor.hear_yourself().await;
        if answer["type"] == "slow_down" && answer["retry_after"] != 31 {
            break answer;
        }
        heard += i32::from(answer["type"] == "matched");
        visitor.leave().await;
    };
    assert_eq!(pause, json!({ "type": "slow_down", "retry_after": 10 }));
    println!("{heard} before the pause");
    assert_eq!(visitor.join("eo").await["type"], "waiting");
    assert_eq!(Visitor::arrive(&server, 21).await.hear_yourself().await["type"], "matched");
    server.stop().await;
}

#[tokio::test]
async fn a_page_that_is_asked_to_pause_says_so_and_goes_on_by_itself() {
    let _turn = turn().await;
    let server = TestServer::start().await;
    let page = Browser::chromium(None).await;
    page.open(&server.url()).await;
    with_axe(&page).await;
    // Somebody at the page's own address.
    let drops = drop_until_paused(&server, 1, &[]).await;
    assert!((60..=65).contains(&drops), "{drops}");
    let mut lonely = Visitor::arrive(&server, HONEST).await;
    assert_eq!(lonely.join("en").await["type"], "waiting");
    page.press("start").await;
    page.until("paused").await;
    let words = page.text("section:not([hidden])").await;
    assert!(words.contains("Let’s pause for a moment. You can try again at "), "{words}");
    inspect(&page, "paused").await;
    page.until("connecting").await;
    assert_eq!(lonely.next().await["type"], "matched");
    page.quit().await;
    server.stop().await;
}

#[tokio::test]
async fn a_trusted_proxy_speaks_for_many_and_nobody_else_does() {
    let server = TestServer::start_with(&["--allow-native", "--trusted-proxies", "127.0.0.2,127.0.0.3/32"]).await;
    let by_proxy = |visitor: &'static str| [("x-forwarded-for", visitor)];
    // 3,000 connections of a proxy are not a storm.
    for _ in 0..3_000 {
        drop(connect(&server, 2).await);
    }
    // One visitor behind it is asked to pause: a proxy in front of the proxy, and an address of the visitor's invention.
    drop_until_paused(&server, 2, &by_proxy("198.51.100.9, 198.51.100.1, 127.0.0.3")).await;
    // Whom it named as well, and who names itself so without being a proxy, are others.
    for (host, visitor) in [(2, "198.51.100.9"), (2, "198.51.100.2"), (4, "198.51.100.1")] {
        let mut other = Visitor::try_arrive(&server, host, &by_proxy(visitor)).await.expect("let in");
        assert_eq!(other.join("de").await["type"], "waiting");
        other.leave().await;
    }
    let mut same = Visitor::try_arrive(&server, 2, &by_proxy("198.51.100.1")).await.expect("let in");
    assert_eq!(same.join("de").await["type"], "slow_down");
    others_are_served(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_tls_is_where_the_visitor_has_it() {
    let identity = Identity::new();
    let mut arguments = identity.flags().to_vec();
    arguments.extend(["--trusted-proxies", "127.0.0.2"]);
    let server = TestServer::start_with(&arguments).await;
    let secure = "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Proto: https\r\n";
    assert!(ask(&server, 2, "/", secure).await.starts_with("HTTP/1.1 200"));
    for (host, headers) in [(2, ""), (2, "X-Forwarded-Proto: http\r\n"), (4, secure)] {
        assert!(ask(&server, host, "/", headers).await.starts_with("HTTP/1.1 308"), "{host} {headers}");
    }
    server.stop().await;
}

fn description(setup: &str) -> Value {
    json!({ "ufrag": "abcd", "pwd": "abcdefghijklmnopqrstuv", "fingerprint": "00".repeat(32), "setup": setup, "payload_type": 111 })
}

/// Two who talk with each other; the one who has waited, and then the other.
async fn talking(server: &TestServer, hosts: [u8; 2], language: &str) -> (Visitor, Visitor, Value) {
    let mut older = Visitor::arrive(server, hosts[0]).await;
    assert_eq!(older.join(language).await["type"], "waiting");
    let newer = Visitor::arrive(server, hosts[1]).await;
    talk(older, newer, language).await
}

/// The same, where the one waits already.
async fn talk(mut older: Visitor, mut newer: Visitor, language: &str) -> (Visitor, Visitor, Value) {
    newer.join(language).await;
    let call = newer.next().await["call"].clone();
    assert_eq!(older.next().await["call"], call);
    newer.say(json!({ "type": "describe", "call": call, "description": description("actpass") })).await;
    assert_eq!(older.next().await["type"], "describe");
    older.say(json!({ "type": "describe", "call": call, "description": description("active") })).await;
    assert_eq!(newer.next().await["type"], "describe");
    for side in [&mut older, &mut newer] {
        side.say(json!({ "type": "connected", "call": call })).await;
        // The answer to a frame that is not accepted shows that the one before it was read.
        assert_eq!(side.join(language).await["code"], "already_in_call");
    }
    (older, newer, call)
}

impl Visitor {
    async fn report(&mut self, call: &Value, category: &str) {
        self.say(json!({ "type": "report", "call": call, "category": category })).await;
    }

    /// Fails when anything is said to this visitor soon.
    pub async fn is_left_alone(&mut self) {
        let said = timeout(Duration::from_millis(200), self.0.next()).await;
        assert!(said.is_err(), "{said:?}");
    }
}

#[tokio::test]
async fn whoever_was_reported_is_never_met_again_in_a_pool_of_two_and_after_a_reload() {
    // On two networks, and on one.
    for hosts in [[10, 11], [12, 12]] {
        let server = TestServer::start().await;
        let (mut reporter, mut reported, call) = talking(&server, hosts, "en").await;
        reporter.report(&call, "hateful").await;
        assert_eq!(
            reported.next().await,
            json!({ "type": "ended", "call": call, "why": "left" }),
            "not by whom, nor why"
        );
        assert_eq!(reporter.join("en").await["type"], "waiting");
        assert_eq!(reported.join("en").await["type"], "waiting");
        reporter.is_left_alone().await;
        // The other is gone and comes back as somebody whom nobody knows; and then the one who has reported.
        drop(reported);
        let mut reported = Visitor::arrive(&server, hosts[1]).await;
        assert_eq!(reported.join("en").await["type"], "waiting");
        reported.is_left_alone().await;
        reporter.is_left_alone().await;
        if hosts[0] != hosts[1] {
            drop(reporter);
            reporter = Visitor::arrive(&server, hosts[0]).await;
            assert_eq!(reporter.join("en").await["type"], "waiting");
            reporter.is_left_alone().await;
            reported.is_left_alone().await;
        }
        // Somebody else who comes is met at once by one of the two, and the next one by the other.
        let mut others = Vec::new();
        for host in [HONEST, HONEST + 1] {
            let mut other = Visitor::arrive(&server, host).await;
            other.join("en").await;
            assert_eq!(other.next().await["type"], "matched");
            others.push(other);
        }
        assert_eq!(reporter.next().await["type"], "matched");
        assert_eq!(reported.next().await["type"], "matched");
        server.stop().await;
    }
}

#[tokio::test]
async fn it_takes_two_networks_to_cool_somebody_down_and_not_one_with_many_tabs() {
    let server = TestServer::start().await;
    // One person, again and again, the one who is reported always somebody new to them; after the first time they are
    // not paired any more, so another reports from elsewhere.
    let (mut reporter, mut reported, call) = talking(&server, [20, 30], "en").await;
    for _ in 0..5 {
        reporter.report(&call, "sexual").await;
    }
    assert_eq!(reported.next().await["type"], "ended");
    assert_eq!(reported.join("en").await["type"], "waiting");
    for _ in 0..3 {
        let mut tab = Visitor::arrive(&server, 20).await;
        assert_eq!(tab.join("en").await["type"], "waiting");
        tab.is_left_alone().await;
        tab.leave().await;
    }
    // Being left quickly is not a report.
    for host in 40..50 {
        let mut quick = Visitor::arrive(&server, host).await;
        quick.join("en").await;
        assert_eq!(quick.next().await["type"], "matched");
        quick.leave().await;
        for kind in ["matched", "ended", "waiting"] {
            assert_eq!(reported.next().await["type"], kind);
        }
    }
    // The second network, after the end of the call.
    let second = Visitor::arrive(&server, 21).await;
    let (mut reported, mut second, call) = talk(reported, second, "en").await;
    second.leave().await;
    assert_eq!(reported.next().await["type"], "ended");
    second.report(&call, "sexual").await;
    // That it was read is known once the same visitor waits again.
    assert_eq!(second.join("fr").await["type"], "waiting");
    let expected = json!({ "type": "cool_down", "retry_after": 600, "category": "sexual" });
    assert_eq!(reported.join("en").await, expected);
    // Whoever reloads is still there, and nobody else is concerned.
    let mut reloaded = Visitor::arrive(&server, 30).await;
    let told = reloaded.join("en").await;
    assert_eq!((&told["type"], &told["category"]), (&json!("cool_down"), &json!("sexual")));
    assert!((590..=600).contains(&told["retry_after"].as_u64().expect("seconds")), "{told}");
    others_are_served(&server).await;
    let output = server.stop().await;
    assert!(!output.contains("sexual"), "the log says nothing of it");
}

#[tokio::test]
async fn a_page_reports_and_a_page_is_told_to_stay_away() {
    let _turn = turn().await;
    let server = TestServer::start().await;
    let (one, other) = (Browser::chromium(Some(440.0)).await, Browser::chromium(Some(880.0)).await);
    for page in [&one, &other] {
        page.open(&server.url()).await;
        with_axe(page).await;
        page.press("start").await;
    }
    one.until("talking").await;
    other.until("talking").await;
    one.press("report").await;
    let open = "return document.querySelector('[data-part=report]').open";
    assert_eq!(one.run(open, vec![]).await, json!(true));
    inspect(&one, "talking").await;
    // Not meant after all; then meant.
    one.run("document.querySelector('[data-part=report-close]').click()", vec![]).await;
    assert_eq!((one.run(open, vec![]).await, one.state().await.as_str()), (json!(false), "talking"));
    one.press("report").await;
    one.run("document.querySelector('[data-category=hateful]').click()", vec![]).await;
    one.until("ended").await;
    assert!(one.text("section:not([hidden])").await.contains("Thank you for telling us."));
    other.until("ended").await;
    assert!(other.text("section:not([hidden])").await.contains("People leave for all kinds of reasons."));
    // After the end there is something to report for the other as well, and they never meet again.
    inspect(&other, "ended").await;
    for page in [&one, &other] {
        page.press("again").await;
        page.until("waiting").await;
    }
    let mut third = Visitor::arrive(&server, HONEST).await;
    third.join("en").await;
    assert_eq!(third.next().await["type"], "matched");
    drop(third);
    other.quit().await;

    // A second network reports somebody of this one.
    let (mut by, _of, call) = talking(&server, [60, 1], "eo").await;
    by.report(&call, "asking").await;
    assert_eq!(by.join("fr").await["type"], "waiting");
    one.open(&server.url()).await;
    with_axe(&one).await;
    one.press("start").await;
    one.until("cooling").await;
    let words = one.text("section:not([hidden])").await;
    for part in ["You can’t join conversations here until ", "asking for money or contact", "It may not have been you."]
    {
        assert!(words.contains(part), "{words}");
    }
    inspect(&one, "cooling").await;
    one.press("stop").await;
    one.until("landing").await;
    one.quit().await;
    server.stop().await;
}

/// A WebSocket without a library, which reads nothing that it does not want to.
async fn raw_socket(server: &TestServer, host: u8) -> TcpStream {
    let mut stream = connect(server, host).await;
    let request = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("sent");
    assert!(hear(&mut stream, "\r\n\r\n", 1).await.starts_with("HTTP/1.1 101"));
    stream
}

/// One masked frame (RFC 6455 §5.2) of fewer than 126 bytes; the mask is zero.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a short frame");
    [&[first, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

/// Waits until the other end has closed, and says after how long.
async fn closed(mut stream: TcpStream, within: Duration) -> Duration {
    let began = Instant::now();
    let mut rest = Vec::new();
    let _ = timeout(within, stream.read_to_end(&mut rest)).await.expect("closed in time");
    began.elapsed()
}

#[tokio::test]
async fn who_is_slow_is_let_go_of() {
    let (server, identity) = (TestServer::start().await, Identity::new());
    let encrypted = TestServer::start_with(&identity.flags()).await;
    let silent = async { closed(connect(&server, 2).await, Duration::from_secs(20)).await };
    let half_a_handshake = async {
        let mut stream = connect(&encrypted, 2).await;
        // A ClientHello's header, and not all that it announces.
        stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC]).await.expect("sent");
        closed(stream, Duration::from_secs(20)).await
    };
    let half_a_request = async {
        let mut stream = connect(&server, 2).await;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n").await.expect("sent");
        let began = Instant::now();
        // A header every second, for ever.
        while began.elapsed() < Duration::from_secs(40) && stream.write_all(b"X-Slow: 1\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        began.elapsed()
    };
    let no_hello = async { closed(raw_socket(&server, 2).await, Duration::from_secs(20)).await };
    let no_pong = async {
        let mut stream = raw_socket(&server, 2).await;
        stream.write_all(&frame(0x81, br#"{"type":"hello"}"#)).await.expect("sent");
        // Everything is read and nothing is answered: half of the other end is gone.
        closed(stream, Duration::from_secs(60)).await
    };
    let never_reads = async {
        let mut stream = connect(&server, 2).await;
        // Far more than fits between the two, and of what it is told nothing is read.
        let requests = "GET /privacy HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(900);
        stream.write_all(requests.as_bytes()).await.expect("sent");
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(100) && stream.write_all(b"G").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        began.elapsed()
    };
    let (silent, handshake, request, hello, pong, reader) =
        tokio::join!(silent, half_a_handshake, half_a_request, no_hello, no_pong, never_reads);
    println!("silent {silent:?}, handshake {handshake:?}, request {request:?}, hello {hello:?}, pong {pong:?}");
    println!("who never reads {reader:?}");
    assert!(reader < Duration::from_secs(75));
    assert!(silent < Duration::from_secs(15) && handshake < Duration::from_secs(15) && hello < Duration::from_secs(15));
    assert!(request < Duration::from_secs(30) && pong < Duration::from_secs(50));
    others_are_served(&server).await;
    server.stop().await;
    encrypted.stop().await;
}

/// Heads of HTTP as somebody writes them who looks for a way in: pieces that belong there and some that do not, in any
/// order, cut, doubled and with single bytes changed.
fn head(random: &mut StdRng) -> Vec<u8> {
    const PIECES: [&[u8]; 46] = [
        b"GET / HTTP/1.1\r\n",
        b"GET /ws HTTP/1.1\r\n",
        b"POST /settings.json HTTP/1.1\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\n",
        b"CONNECT localhost:25 HTTP/1.1\r\n",
        b"OPTIONS * HTTP/1.1\r\n",
        b"GET /../../etc/passwd HTTP/1.1\r\n",
        b"GET /%2e%2e/%00 HTTP/1.0\r\n",
        b"GET / HTTP/9.9\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\r\n",
        b"\n",
        b"\0",
        b"\x80\xff\xfe",
        b" ",
        b"\t",
        b":",
        b",",
        b"\"",
        b"\\",
        b"Host: localhost\r\n",
        b"Host: localhost\r\n evil.example\r\n",
        b"Host: [::1\r\n",
        b"Connection: upgrade, keep-alive\r\n",
        b"Connection: close\r\n",
        b"Upgrade: websocket\r\n",
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
        b"Sec-WebSocket-Version: 13\r\n",
        b"Sec-WebSocket-Version: 8\r\n",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Content-Length: -1\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"ffffffffffffffff\r\n",
        b"0\r\n\r\n",
        b"Origin: null\r\n",
        b"Expect: 100-continue\r\n",
        b"Accept-Encoding: br;q=1e99, gzip;q=-1\r\n",
        b"If-None-Match: W/\"\"\"\r\nRange: bytes=5-1\r\n",
        b"X-Forwarded-For: 203.0.113.9, 127.0.0.2\r\n",
        b"X-Forwarded-For: ::ffff:203.0.113.9, unknown, [2001:db8::1]:99999\r\nX-Forwarded-Proto: https,\r\n",
        b"Forwarded: for=\"[2001:db8::1\\\"]\";proto=https, for=_x;for=203.0.113.9\r\n",
        b"X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
    ];
    let mut head = Vec::new();
    if random.random_bool(0.3) {
        // All that is needed to be let in, and then what comes.
        [1, 20, 23, 25, 27, 29].into_iter().for_each(|piece: usize| head.extend(PIECES[piece]));
    } else if random.random_bool(0.7) {
        head.extend(PIECES[random.random_range(0..10)]);
    }
    for _ in 0..random.random_range(0..14) {
        let piece = PIECES[random.random_range(0..PIECES.len())];
        head.extend(piece.repeat(if random.random_bool(0.02) { 300 } else { 1 }));
    }
    for _ in 0..random.random_range(0..3) {
        if let Some(length) = std::num::NonZero::new(head.len()) {
            let at = random.random_range(0..length.get());
            if random.random_bool(0.5) {
                head[at] = random.random();
            } else {
                head.truncate(at);
            }
        }
    }
    if random.random_bool(0.6) {
        head.extend(b"\r\n\r\n");
    }
    head
}

/// From a proxy that is believed and from somebody who is not: whatever they write, there is an answer of HTTP's or none,
/// and never a mistake of the server's own.
#[tokio::test(flavor = "multi_thread")]
async fn heads_of_every_kind_are_answered_or_shown_the_door() {
    let server = TestServer::start_with(&["--allow-native", "--trusted-proxies", "127.0.0.2"]).await;
    let mut random = StdRng::seed_from_u64(6);
    let mut answers = HashMap::<String, u32>::new();
    for _ in 0..60 {
        let heads: Vec<_> = (0..50_u8).map(|number| (2 + number % 8, head(&mut random))).collect();
        let talks = heads.into_iter().map(|(host, head)| {
            let server = &server;
            async move {
                let mut stream = connect(server, host).await;
                let mut heard = Vec::new();
                // Some are shown the door before they have done.
                let _ = stream.write_all(&head).await;
                let _ = stream.shutdown().await;
                let rest = timeout(DEADLINE, stream.read_to_end(&mut heard)).await;
                assert!(rest.is_ok(), "neither an answer nor an end: {}", head.escape_ascii());
                (head, heard)
            }
        });
        for (head, heard) in join_all(talks).await {
            let kind = heard.get(..12).map(String::from_utf8_lossy).unwrap_or_default().into_owned();
            let is_http =
                kind.is_empty() && heard.is_empty() || kind.starts_with("HTTP/1.1 ") || kind.starts_with("HTTP/1.0 ");
            // A STUN or a TLS message may begin by chance as well; to those there is no answer.
            assert!(is_http && !kind.ends_with("500"), "{} to {}", heard.escape_ascii(), head.escape_ascii());
            *answers.entry(kind).or_default() += 1;
        }
    }
    println!("{answers:?}");
    assert!(
        answers.contains_key("HTTP/1.1 101") && answers.len() > 5 && answers.values().sum::<u32>() == 3_000,
        "{answers:?}"
    );
    others_are_served(&server).await;
    server.stop().await;
}

/// Seconds of CPU that a process has taken.
#[cfg(target_os = "linux")]
pub fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let fields: Vec<&str> = stat.rsplit_once(") ").expect("a name").1.split(' ').collect();
    let ticks: f64 = [11, 12].iter().map(|field| fields[*field].parse::<f64>().expect("a number")).sum();
    ticks / 100.0
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn frames_that_say_nothing_cost_next_to_nothing() {
    let server = TestServer::start().await;
    let mut stream = raw_socket(&server, 2).await;
    stream.write_all(&frame(0x81, br#"{"type":"hello"}"#)).await.expect("sent");
    // The first piece of a text that never ends.
    stream.write_all(&frame(0x01, b"")).await.expect("sent");
    let flood = frame(0x00, b"").repeat(1_000);
    let mut sent = 0_u64;
    let (before, began) = (cpu(server.pid()), Instant::now());
    let flooding = async {
        loop {
            stream.write_all(&flood).await.expect("nobody is thrown out for being slow to be read");
            sent += 1_000;
        }
    };
    let _ = timeout(Duration::from_secs(10), flooding).await;
    let (taken, passed) = (cpu(server.pid()) - before, began.elapsed().as_secs_f64());
    println!("{sent} frames into the socket, {:.1} % of a core", 100.0 * taken / passed);
    assert!(taken / passed < 0.1, "{taken} s of CPU in {passed} s");
    others_are_served(&server).await;
    drop(stream);
    server.stop().await;
}
