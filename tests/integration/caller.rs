//! Native callers through the real server and the real relay.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use sotto::caller::signalling::{RawFrame, SignallingError, Tap};
use sotto::caller::{Call, Caller, Ending, Error, Options, PACKET_BYTES, PeerError};
use sotto::protocol::{EndReason, Languages, Role};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::server::{DEADLINE, TestServer};
use crate::voice::{strength, tone};
use crate::wire::check_frame;

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
    tokio::try_join!(first.call(DEADLINE), second.call(DEADLINE)).expect("a partner")
}

/// A caller that says a tone, with a tap on its wire.
fn tapped(hertz: u16, tap: &Tap) -> Options {
    Options { voice: tone(hertz), tap: Some(tap.clone()), ..Options::default() }
}

/// Nothing on this wire leads to a visitor.
fn check(tap: &Tap) {
    let frames = tap.frames();
    assert!(frames.iter().any(|frame| frame.text().contains("\"describe\"")), "the tap sees the wire");
    frames.iter().for_each(|frame| check_frame(frame.text()));
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
    let server = TestServer::start().await;
    let (tap, other_tap) = (Tap::default(), Tap::default());
    let first = waiting(&server.ws(), tapped(440, &tap)).await;
    let mut second = Caller::connect(&server.ws(), tapped(880, &other_tap)).await.expect("a welcome");

    let pressed = Instant::now();
    second.join(english(), Role::Either, false).await.expect("a place in the queue");
    let (mut first, mut second) = tokio::try_join!(first.call(DEADLINE), second.call(DEADLINE)).expect("a partner");
    let matched = pressed.elapsed();
    tokio::try_join!(first.connected(), second.connected()).expect("connected");
    let connected = pressed.elapsed();
    tokio::try_join!(first.hear(1, DEADLINE), second.hear(1, DEADLINE)).expect("a packet");
    let hearing = pressed.elapsed();
    println!("from the second join: matched {matched:?}, connected {connected:?}, both hearing {hearing:?}");

    let (emoji, partners_emoji) = tokio::try_join!(first.emoji(), second.emoji()).expect("six emoji");
    println!("six emoji after {:?}", pressed.elapsed());
    assert_eq!(emoji, partners_emoji, "nobody is in between");
    assert!(emoji.iter().all(|index| *index < 64));

    assert_eq!(first.id, second.id);
    assert_eq!(first.side, second.side.other());
    assert_ne!(first.offerer, second.offerer);
    let (heard, also_heard) =
        tokio::try_join!(first.hear(60, DEADLINE), second.hear(60, DEADLINE)).expect("60 packets");
    for (heard, own, partners) in [(heard, 440, 880), (also_heard, 880, 440)] {
        assert_eq!(heard.last.len(), 50);
        assert!(heard.last.iter().all(|packet| packet.len() == PACKET_BYTES));
        let (own, partners) = (strength(&heard.last, own), strength(&heard.last, partners));
        assert!(partners > 0.1 && own < 0.02, "own {own}, partner's {partners}");
    }

    let first = first.leave().await.expect("an idle caller");
    assert_eq!(timeout(DEADLINE, second.ended()).await.expect("an end"), Ending::Server(EndReason::Left));
    let second = second.leave().await.expect("an idle caller");
    tokio::join!(first.close(), second.close());

    for tap in [&tap, &other_tap] {
        check(tap);
        assert_eq!(sent_and_received(tap, "\"connected\"").0, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ice_is_restarted_without_losing_the_call() {
    let server = TestServer::start().await;
    let (tap, other_tap) = (Tap::default(), Tap::default());
    let (mut first, mut second) = pair(&server.ws(), tapped(440, &tap), tapped(880, &other_tap)).await;
    tokio::try_join!(first.hear(10, DEADLINE), second.hear(10, DEADLINE)).expect("packets");

    let before = [first.heard().count, second.heard().count];
    let offerer = if first.offerer { &mut first } else { &mut second };
    offerer.restart(DEADLINE).await.expect("new credentials");
    tokio::try_join!(first.hear(before[0] + 100, DEADLINE), second.hear(before[1] + 100, DEADLINE)).expect("packets");
    for tap in [&tap, &other_tap] {
        assert_eq!(sent_and_received(tap, "\"restart\""), (1, 1));
        check(tap);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_goes_from_one_call_into_the_next_on_one_socket() {
    let server = TestServer::start().await;
    let (first, mut second) = pair(&server.ws(), Options::default(), Options::default()).await;
    let id = first.id;
    let mut first = first.leave().await.expect("an idle caller");
    timeout(DEADLINE, second.ended()).await.expect("an end");
    let mut second = second.leave().await.expect("an idle caller");

    first.join(english(), Role::Either, false).await.expect("a place in the queue");
    second.join(english(), Role::Either, false).await.expect("a place in the queue");
    let (mut first, mut second) = tokio::try_join!(first.call(DEADLINE), second.call(DEADLINE)).expect("a partner");
    assert_ne!(first.id, id);
    tokio::try_join!(first.connected(), second.connected()).expect("connected");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_never_answers_is_tried_on_two_connections() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let host = silent.local_addr().expect("an address").to_string();
    let server = TestServer::start_with(&["--allow-native", "--relay-host", &host]).await;
    let (mut first, second) = pair(&server.ws(), Options::default(), Options::default()).await;
    let connections = tokio::spawn(async move {
        let mut from = HashSet::new();
        let mut packet = [0; 1_500];
        while from.len() < 4 {
            from.insert(silent.recv_from(&mut packet).await.expect("a packet").1);
        }
    });
    timeout(DEADLINE, connections).await.expect("two connections each").expect("no panic");
    let ending = timeout(DEADLINE, first.ended()).await.expect("an end");
    let gone = [Ending::Peer(PeerError::NoRelay), Ending::Server(EndReason::Vanished), Ending::Server(EndReason::Left)];
    assert!(gone.contains(&ending), "{ending}");
    drop(second);
}

#[tokio::test]
async fn whoever_brings_no_origin_is_let_in_only_where_the_operator_says_so() {
    let server = TestServer::start_with(&[]).await;
    let refused = Caller::connect(&server.ws(), Options::default()).await.err();
    assert_eq!(refused, Some(Error::Signalling(SignallingError::Refused(403))));
    let options = Options { origin: Some(format!("http://127.0.0.1:{}", server.port)), ..Options::default() };
    Caller::connect(&server.ws(), options).await.expect("a welcome").close().await;
}

#[tokio::test]
async fn nobody_comes_and_nobody_is_there() {
    let server = TestServer::start().await;
    let alone = waiting(&server.ws(), Options::default()).await;
    assert_eq!(alone.call(Duration::from_millis(50)).await.err(), Some(Error::Timeout("partner")));

    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address");
    let unreachable = Caller::connect(&format!("ws://{nowhere}"), Options::default()).await.err();
    let kind = std::io::ErrorKind::ConnectionRefused;
    assert_eq!(unreachable, Some(Error::Signalling(SignallingError::Unreachable(kind))));
}
