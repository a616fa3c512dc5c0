//! Native callers through the real server and the real relay.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use sotto::Server;
use sotto::caller::signalling::{RawFrame, Signalling, SignallingError, Tap};
use sotto::caller::{Call, Caller, Ending, Error, Options, PeerError};
use sotto::config::Config;
use sotto::protocol::{EndReason, Languages, Role};
use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::voice::{PACKET_BYTES, strength, tone};

/// For what takes milliseconds when it works.
const SOON: Duration = Duration::from_secs(10);

/// A server on a free port, which stops when this is dropped.
struct Running {
    url: String,
    _stop: oneshot::Sender<()>,
}

async fn serve(config: Config) -> Running {
    let server = Server::bind(config).await.expect("a free port");
    let url = server.url();
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    Running { url, _stop: stop }
}

fn native() -> Config {
    Config { allow_native: true, ..Config::default() }
}

fn english() -> Languages {
    Languages::new(vec!["en".to_owned()]).expect("a language")
}

async fn waiting(url: &str, options: Options) -> Caller {
    let mut caller = Caller::connect(url, options).await.expect("a welcome");
    caller.join(english(), Role::Either, false).await.expect("a place in the queue");
    caller
}

/// Two callers in one call, as soon as they are matched.
async fn pair(url: &str, first: Options, second: Options) -> (Call, Call) {
    let first = waiting(url, first).await;
    let second = waiting(url, second).await;
    tokio::try_join!(first.call(SOON), second.call(SOON)).expect("a partner")
}

/// A caller that says a tone, with a tap on its wire.
fn tapped(hertz: u16, tap: &Tap) -> Options {
    Options { voice: tone(hertz), tap: Some(tap.clone()), ..Options::default() }
}

/// Whether any address, IPv4 or IPv6, with a port or without, stands in a text.
fn has_address(text: &str) -> bool {
    text.split(|character: char| !character.is_ascii_hexdigit() && !matches!(character, ':' | '.')).any(|word| {
        [word, word.trim_matches(':'), word.trim_matches('.')]
            .into_iter()
            .any(|word| word.parse::<IpAddr>().is_ok() || word.parse::<SocketAddr>().is_ok())
    })
}

fn assert_nothing_private(tap: &Tap) {
    let frames = tap.frames();
    assert!(frames.iter().any(|frame| frame.text().contains("\"describe\"")), "the tap sees the wire");
    for frame in &frames {
        let text = frame.text();
        assert!(!has_address(text) && !text.contains("candidate:") && !text.contains("v=0"), "{text}");
    }
}

fn sent_and_received(tap: &Tap, word: &str) -> (usize, usize) {
    let frames = tap.frames();
    let count = |sent| {
        let which = |frame: &&RawFrame| matches!(frame, RawFrame::Sent(_)) == sent && frame.text().contains(word);
        frames.iter().filter(which).count()
    };
    (count(true), count(false))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_callers_hear_each_others_tone() {
    let server = serve(native()).await;
    let (tap, other_tap) = (Tap::default(), Tap::default());
    let first = waiting(&server.url, tapped(440, &tap)).await;
    let mut second = Caller::connect(&server.url, tapped(880, &other_tap)).await.expect("a welcome");

    let pressed = Instant::now();
    second.join(english(), Role::Either, false).await.expect("a place in the queue");
    let (mut first, mut second) = tokio::try_join!(first.call(SOON), second.call(SOON)).expect("a partner");
    let matched = pressed.elapsed();
    tokio::try_join!(first.connected(), second.connected()).expect("connected");
    let connected = pressed.elapsed();
    tokio::try_join!(first.hear(1, SOON), second.hear(1, SOON)).expect("a packet");
    let hearing = pressed.elapsed();
    println!("from the second join: matched {matched:?}, connected {connected:?}, both hearing {hearing:?}");

    assert_eq!(first.id, second.id);
    assert_eq!(first.side, second.side.other());
    assert_ne!(first.offerer, second.offerer);
    let (heard, also_heard) = tokio::try_join!(first.hear(60, SOON), second.hear(60, SOON)).expect("60 packets");
    for (heard, own, partners) in [(heard, 440, 880), (also_heard, 880, 440)] {
        assert_eq!(heard.last.len(), 50);
        assert!(heard.last.iter().all(|packet| packet.len() == PACKET_BYTES));
        let (own, partners) = (strength(&heard.last, own), strength(&heard.last, partners));
        assert!(partners > 0.1 && own < 0.02, "own {own}, partner's {partners}");
    }

    let first = first.leave().await.expect("an idle caller");
    assert_eq!(timeout(SOON, second.ended()).await.expect("an end"), Ending::Server(EndReason::Left));
    assert!(second.partner_said_bye());
    let second = second.leave().await.expect("an idle caller");
    tokio::join!(first.close(), second.close());

    for tap in [&tap, &other_tap] {
        assert_nothing_private(tap);
        assert_eq!(sent_and_received(tap, "\"connected\"").0, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ice_is_restarted_without_losing_the_call() {
    let server = serve(native()).await;
    let (tap, other_tap) = (Tap::default(), Tap::default());
    let (mut first, mut second) = pair(&server.url, tapped(440, &tap), tapped(880, &other_tap)).await;
    tokio::try_join!(first.hear(10, SOON), second.hear(10, SOON)).expect("packets");

    let before = [first.heard().count, second.heard().count];
    let offerer = if first.offerer { &mut first } else { &mut second };
    offerer.restart(SOON).await.expect("new credentials");
    tokio::try_join!(first.hear(before[0] + 100, SOON), second.hear(before[1] + 100, SOON)).expect("packets");
    for tap in [&tap, &other_tap] {
        assert_eq!(sent_and_received(tap, "\"restart\""), (1, 1));
        assert_nothing_private(tap);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_goes_from_one_call_into_the_next_on_one_socket() {
    let server = serve(native()).await;
    let (first, mut second) = pair(&server.url, Options::default(), Options::default()).await;
    let id = first.id;
    let mut first = first.leave().await.expect("an idle caller");
    timeout(SOON, second.ended()).await.expect("an end");
    let mut second = second.leave().await.expect("an idle caller");

    first.join(english(), Role::Either, false).await.expect("a place in the queue");
    second.join(english(), Role::Either, false).await.expect("a place in the queue");
    let (mut first, mut second) = tokio::try_join!(first.call(SOON), second.call(SOON)).expect("a partner");
    assert_ne!(first.id, id);
    tokio::try_join!(first.connected(), second.connected()).expect("connected");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_never_answers_is_tried_on_two_connections() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let host = silent.local_addr().expect("an address").to_string();
    let server = serve(Config { relay_host: Some(host.parse().expect("a host")), ..native() }).await;
    let (mut first, second) = pair(&server.url, Options::default(), Options::default()).await;
    let connections = tokio::spawn(async move {
        let mut from = HashSet::new();
        let mut packet = [0; 1_500];
        while from.len() < 4 {
            from.insert(silent.recv_from(&mut packet).await.expect("a packet").1);
        }
    });
    timeout(SOON, connections).await.expect("two connections each").expect("no panic");
    let ending = timeout(SOON, first.ended()).await.expect("an end");
    let gone = [Ending::Peer(PeerError::NoRelay), Ending::Server(EndReason::Vanished), Ending::Server(EndReason::Left)];
    assert!(gone.contains(&ending), "{ending}");
    drop(second);
}

#[tokio::test]
async fn whoever_brings_no_origin_is_let_in_only_where_the_operator_says_so() {
    let server = serve(Config::default()).await;
    let refused = Caller::connect(&server.url, Options::default()).await.err();
    assert_eq!(refused, Some(Error::Signalling(SignallingError::Refused(403))));
    let options = Options { origin: Some(server.url.clone()), ..Options::default() };
    Caller::connect(&server.url, options).await.expect("a welcome").close().await;
}

#[tokio::test]
async fn nobody_comes_and_nobody_is_there() {
    let server = serve(native()).await;
    let alone = waiting(&server.url, Options::default()).await;
    assert_eq!(alone.call(Duration::from_millis(50)).await.err(), Some(Error::Timeout("partner")));

    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address");
    let unreachable = Caller::connect(&format!("ws://{nowhere}"), Options::default()).await.err();
    let kind = std::io::ErrorKind::ConnectionRefused;
    assert_eq!(unreachable, Some(Error::Signalling(SignallingError::Unreachable(kind))));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_alone_is_a_visitor_too() {
    let server = serve(native()).await;
    let mut visitors = JoinSet::new();
    for _ in 0..20 {
        let url = server.url.clone();
        visitors.spawn(async move {
            let mut visitor = Signalling::connect(&url, None, None).await?;
            visitor.hello(None).await?;
            visitor.close().await;
            Ok::<_, SignallingError>(())
        });
    }
    while let Some(visitor) = visitors.join_next().await {
        visitor.expect("no panic").expect("a welcome and a close");
    }
}

#[test]
fn addresses_are_found_where_they_stand() {
    for text in
        ["192.0.2.1", r#"{"a":"192.0.2.1:80"}"#, "[2001:db8::1]:80", r#"{"a":"::1"}"#, "fe80::1%2", "at 10.0.0.1."]
    {
        assert!(has_address(text), "{text}");
    }
    for text in [r#"{"type":"leave"}"#, "1795305600:0b3d7c5e-8a53-4d0b-9a2f-6c1f0e2d4b5a:a", "1.2.3", "12:30:45"] {
        assert!(!has_address(text), "{text}");
    }
}
