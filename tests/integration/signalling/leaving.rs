//! A server that is asked to stop: nobody new is paired, those who wait are told, and calls go on for as long as they may.

use std::time::{Duration, Instant};

use sotto::caller::{Call, Caller, Options};
use sotto::protocol::Category;
use tokio::process::Command;

use super::*;
use crate::http::get_from;
use crate::tls::Identity;

/// Longer than a test takes.
const LONG: &str = "600";

async fn start(drain: &str) -> TestServer {
    TestServer::start_with(&["--allow-native", "--drain", drain]).await
}

impl Visitor {
    /// Is told that the server stops, and in how many seconds.
    async fn closing(&mut self) -> u32 {
        match self.next().await {
            ServerMessage::Closing { r#in } => r#in,
            other => panic!("not closing: {other:?}"),
        }
    }

    async fn shown_out(&mut self) {
        assert_eq!(self.closing().await, 0);
        assert_eq!(self.closed().await, Some(1001));
    }
}

/// Two in a call who hear each other's packets.
async fn two_who_hear_each_other(server: &TestServer) -> [Call; 2] {
    let mut callers = Vec::new();
    for _ in 0..2 {
        let mut caller = Caller::connect(&server.ws(), Options::default()).await.expect("a welcome");
        let languages = Languages::new(vec!["fr".to_owned()]).expect("a language");
        caller.join(languages, Role::Either, true).await.expect("a place in the queue");
        callers.push(caller.call(DEADLINE));
    }
    let mut calls = join_all(callers).await.into_iter().map(|call| call.expect("a partner"));
    let [mut one, mut other] = [calls.next(), calls.next()].map(|call| call.expect("two"));
    tokio::try_join!(one.connected(), other.connected()).expect("connected");
    [one, other]
}

async fn is_well(server: &TestServer) -> bool {
    let mut check = Command::new(env!("CARGO_BIN_EXE_sotto"));
    check.args(["healthcheck", "--listen", &format!("127.0.0.1:{}", server.port)]);
    check.status().await.expect("the binary runs").success()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_go_on_and_nobody_new_is_paired() {
    let server = start(LONG).await;
    let [mut first, mut second] = two_who_hear_each_other(&server).await;
    let (mut one, mut other, call) = talking(&server).await;
    let mut waiting = Visitor::waiting(&server).await;
    let mut idle = Visitor::arrive(&server).await;
    assert!(is_well(&server).await);

    server.ask_to_stop().await;
    waiting.shown_out().await;
    idle.shown_out().await;
    for visitor in [&mut one, &mut other] {
        let left = visitor.closing().await;
        assert!((500..=600).contains(&left), "{left} s");
    }
    assert!(!is_well(&server).await, "nobody is to be sent here");
    Visitor::arrive(&server).await.shown_out().await;

    // Whoever loses the socket of a call comes back to it.
    let token = one.token.clone();
    drop(one);
    let mut socket = Signalling::connect(&server.ws(), None, None).await.expect("a socket");
    let token = socket.hello(Some(token)).await.expect("a welcome");
    let mut one = Visitor { socket, token };
    assert!(one.closing().await > 500, "said once more, since it may not have been heard");
    one.send(ClientMessage::Candidate { call, port: sotto::protocol::Port::new(49_152_u16).expect("a port") }).await;
    assert!(matches!(other.next().await, ServerMessage::Candidate { .. }), "the call is still theirs");

    // What is said is heard.
    let before = [first.heard().count, second.heard().count];
    first.hear(before[0] + 50, DEADLINE).await.expect("a second of the other");
    second.hear(before[1] + 50, DEADLINE).await.expect("a second of the other");

    // A call that ends can be reported, and nothing comes after it.
    one.send(ClientMessage::Leave {}).await;
    assert_eq!(other.next().await, ServerMessage::Ended { call, why: EndReason::Left });
    other.send(ClientMessage::Report { call, category: Category::Other }).await;
    other.shown_out().await;
    one.join().await;
    one.shown_out().await;

    // With the last call the server goes, long before it would have to.
    let began = Instant::now();
    first.leave().await.expect("still there");
    second.ended().await;
    drop(second);
    server.ended().await;
    assert!(began.elapsed() < DEADLINE);
}

#[tokio::test]
async fn a_second_signal_ends_it() {
    let server = start(LONG).await;
    let (mut one, mut other, _) = talking(&server).await;
    server.ask_to_stop().await;
    assert!(one.closing().await > 500 && other.closing().await > 500);
    server.ask_to_stop().await;
    one.shown_out().await;
    other.shown_out().await;
    server.ended().await;
}

#[tokio::test]
async fn calls_end_when_their_time_is_over() {
    let server = start("2").await;
    let (mut one, mut other, _) = talking(&server).await;
    let began = Instant::now();
    server.ask_to_stop().await;
    assert!(one.closing().await <= 2 && other.closing().await <= 2);
    one.shown_out().await;
    other.shown_out().await;
    assert!(began.elapsed() >= Duration::from_secs(2));
    server.ended().await;
}

/// The server that comes next has the port before this one has ended.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_server_takes_over_and_calls_go_on() {
    for listen in ["127.0.0.1:0", "[::]:0"] {
        let shared = ["--allow-native", "--handover", "--drain", LONG];
        let old = TestServer::start_with(&[&shared[..], &["--listen", listen]].concat()).await;
        let here = listen.replace(":0", &format!(":{}", old.port));
        let [mut first, mut second] = two_who_hear_each_other(&old).await;
        let next = TestServer::start_with(&[&shared[..], &["--listen", &here]].concat()).await;
        assert_eq!(old.port, next.port);

        // As long as the old one is there it gets everything: whoever waits is met, and calls begin and go on.
        let mut waiting = Visitor::waiting(&old).await;
        for _ in 0..8 {
            let [one, other] = two_who_hear_each_other(&old).await;
            one.leave().await.expect("still there");
            drop(other);
        }
        let mut other = Visitor::arrive(&old).await;
        other.join().await;
        assert_eq!(waiting.matched().await.0, other.matched().await.0);
        other.send(ClientMessage::Leave {}).await;
        assert!(matches!(waiting.next().await, ServerMessage::Ended { .. }));
        assert_eq!(waiting.next().await, ServerMessage::Waiting { usual: None });
        let heard = [first.heard().count, second.heard().count];
        assert!(heard.iter().all(|count| *count > 0));

        old.ask_to_stop().await;
        waiting.shown_out().await;
        // Who comes now comes to the next one, and waits there.
        let mut waiting = Visitor::waiting(&next).await;
        let [mut third, mut fourth] = two_who_hear_each_other(&next).await;
        for call in [&mut first, &mut second, &mut third, &mut fourth] {
            let before = call.heard().count;
            call.hear(before + 100, DEADLINE).await.expect("two seconds of the other");
        }
        let mut other = Visitor::arrive(&next).await;
        other.join().await;
        assert_eq!(waiting.matched().await.0, other.matched().await.0);

        first.leave().await.expect("still there");
        assert_eq!(second.ended().await, sotto::caller::Ending::Server(EndReason::Left));
        drop(second);
        old.ended().await;
        let before = third.heard().count;
        third.hear(before + 50, DEADLINE).await.expect("a second of the other");
        drop((third, fourth, waiting, other));
        next.stop_at_once().await;
    }
}

/// And the port from which plain HTTP is sent on.
#[tokio::test]
async fn the_next_server_takes_over_what_is_sent_on_as_well() {
    let identity = Identity::new();
    let flags = [&identity.flags()[..], &["--handover", "--listen-http"]].concat();
    let old = TestServer::start_with(&[&flags[..], &["127.0.0.1:0"]].concat()).await;
    let line = old.said("plain HTTP is sent on to HTTPS").await;
    let http = line.rsplit_once("port=").and_then(|(_, port)| port.trim().parse().ok()).expect("a port in the line");
    let (listen, listen_http) = (format!("127.0.0.1:{}", old.port), format!("127.0.0.1:{http}"));
    let next = TestServer::start_with(&[&flags[..], &[&listen_http, "--listen", &listen]].concat()).await;
    let location = format!("https://localhost:{}/rules", old.port);
    assert_eq!(get_from(http, "/rules", "").await.header("location"), Some(&*location));
    old.stop().await;
    assert_eq!(get_from(http, "/rules", "").await.header("location"), Some(&*location));
    next.stop().await;
}
