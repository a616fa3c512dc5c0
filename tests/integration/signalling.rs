//! Visitors without media: joining, leaving, coming back, and everything that is not of the protocol.

use std::collections::HashSet;
use std::time::Instant;

use futures_util::future::join_all;
use serde_json::Value;
use sotto::caller::signalling::{Signalling, SignallingError, Tap};
use sotto::protocol::{
    CallId, ClientMessage, Description, EndReason, Fingerprint, Languages, PayloadType, ProblemCode, Pwd, ResumeToken,
    Role, ServerMessage, Setup, Side, Struggling, Ufrag,
};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::server::{DEADLINE, TestServer};
use crate::wire::check_frame;

mod leaving;
mod place;

/// A visitor of whom only the socket is real.
struct Visitor {
    socket: Signalling,
    token: ResumeToken,
}

impl Visitor {
    async fn arrive(server: &TestServer) -> Self {
        let mut socket = Signalling::connect(&server.ws(), None, None).await.expect("a socket");
        let token = socket.hello(None).await.expect("a welcome");
        Self { socket, token }
    }

    async fn waiting(server: &TestServer) -> Self {
        let mut visitor = Self::arrive(server).await;
        visitor.join().await;
        assert_eq!(visitor.next().await, ServerMessage::Waiting { usual: None });
        visitor
    }

    async fn send(&mut self, message: ClientMessage) {
        self.socket.send(&message).await.expect("sent");
    }

    async fn raw(&mut self, message: Message) {
        self.socket.send_raw(message).await.expect("sent");
    }

    async fn join(&mut self) {
        self.send(join(&["en"], Role::Either)).await;
    }

    async fn try_next(&mut self) -> Result<ServerMessage, SignallingError> {
        timeout(DEADLINE, self.socket.next()).await.expect("a frame in time")
    }

    async fn next(&mut self) -> ServerMessage {
        self.try_next().await.expect("a frame")
    }

    async fn matched(&mut self) -> (CallId, Side, bool) {
        loop {
            match self.next().await {
                ServerMessage::Matched { call, side, offerer, .. } => return (call, side, offerer),
                ServerMessage::Waiting { .. } => {}
                other => panic!("not a match: {other:?}"),
            }
        }
    }

    async fn problem(&mut self) -> ProblemCode {
        match self.next().await {
            ServerMessage::Problem { code, .. } => code,
            other => panic!("not a problem: {other:?}"),
        }
    }

    async fn closed(&mut self) -> Option<u16> {
        loop {
            match self.try_next().await {
                Err(SignallingError::Closed(code)) => return code,
                Err(error) => panic!("not a close: {error}"),
                Ok(_) => {}
            }
        }
    }
}

fn join(languages: &[&str], role: Role) -> ClientMessage {
    let languages = languages.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
    let languages = Languages::new(languages).expect("languages");
    ClientMessage::Join { languages, role, avoid_recent: true, struggling: Struggling(false), proof: None }
}

/// A description that nobody made.
pub fn description(setup: Setup) -> Description {
    Description {
        ufrag: Ufrag::new("abcd").expect("a ufrag"),
        pwd: Pwd::new("abcdefghijklmnopqrstuv").expect("a pwd"),
        fingerprint: Fingerprint::new("0".repeat(64)).expect("a fingerprint"),
        setup,
        payload_type: PayloadType::new(111).expect("a payload type"),
    }
}

/// Two who are paired; the offerer first.
async fn matched(server: &TestServer) -> (Visitor, Visitor, CallId) {
    let mut older = Visitor::waiting(server).await;
    let mut newer = Visitor::arrive(server).await;
    newer.join().await;
    let (call, side, offerer) = newer.matched().await;
    assert_eq!((side, offerer), (Side::B, true));
    assert_eq!(older.matched().await, (call, Side::A, false));
    (newer, older, call)
}

/// Two who have described themselves to each other.
async fn negotiated(server: &TestServer) -> (Visitor, Visitor, CallId) {
    let (mut offerer, mut answerer, call) = matched(server).await;
    offerer.send(ClientMessage::Describe { call, description: description(Setup::Actpass) }).await;
    assert_eq!(answerer.next().await, ServerMessage::Describe { call, description: description(Setup::Actpass) });
    answerer.send(ClientMessage::Describe { call, description: description(Setup::Active) }).await;
    assert_eq!(offerer.next().await, ServerMessage::Describe { call, description: description(Setup::Active) });
    (offerer, answerer, call)
}

/// Two for whom the call has begun.
async fn talking(server: &TestServer) -> (Visitor, Visitor, CallId) {
    let (mut offerer, mut answerer, call) = negotiated(server).await;
    for side in [&mut offerer, &mut answerer] {
        side.send(ClientMessage::Connected { call }).await;
        // The answer to a frame that is not accepted shows that the one before it was read.
        side.join().await;
        assert_eq!(side.problem().await, ProblemCode::AlreadyInCall);
    }
    (offerer, answerer, call)
}

#[tokio::test]
async fn two_hundred_at_once_are_all_paired_and_none_twice() {
    let server = TestServer::start().await;
    let began = Instant::now();
    let arrivals = (0..200).map(|_| Visitor::arrive(&server));
    let mut visitors = join_all(arrivals).await;
    let matches = join_all(visitors.iter_mut().map(|visitor| async move {
        visitor.join().await;
        visitor.matched().await
    }))
    .await;
    println!("200 visitors arrived and paired in {:?}", began.elapsed());
    let sides: HashSet<_> = matches.iter().map(|(call, side, _)| (*call, *side)).collect();
    assert_eq!(sides.len(), 200, "every visitor is a side of their own");
    let calls: HashSet<_> = matches.iter().map(|(call, ..)| *call).collect();
    assert_eq!(calls.len(), 100, "two in each call");
    assert!(matches.iter().all(|(_, side, offerer)| *offerer == (*side == Side::B)));
    // Nobody is told of a second match: the next thing each hears is the answer to this.
    for visitor in &mut visitors {
        visitor.join().await;
        assert_eq!(visitor.problem().await, ProblemCode::AlreadyInCall);
    }
    server.stop().await;
}

#[tokio::test]
async fn only_those_who_share_a_language_meet() {
    let server = TestServer::start().await;
    let mut german = Visitor::arrive(&server).await;
    german.send(join(&["de"], Role::Either)).await;
    assert_eq!(german.next().await, ServerMessage::Waiting { usual: None });
    let mut french = Visitor::arrive(&server).await;
    french.send(join(&["fr"], Role::Either)).await;
    assert_eq!(french.next().await, ServerMessage::Waiting { usual: None });
    let mut both = Visitor::arrive(&server).await;
    both.send(join(&["fr", "de"], Role::Either)).await;
    let (call, ..) = both.matched().await;
    assert_eq!(german.matched().await.0, call, "who waited longest");
    server.stop().await;
}

#[tokio::test]
async fn descriptions_pass_between_the_two_and_nothing_else_does() {
    let server = TestServer::start().await;
    let tap = Tap::default();
    let (mut offerer, mut answerer, call) = talking(&server).await;
    let restart = ClientMessage::Restart {
        call,
        ufrag: Ufrag::new("wxyz").expect("a ufrag"),
        pwd: Pwd::new("abcdefghijklmnopqrstuv").expect("a pwd"),
    };
    offerer.send(restart).await;
    assert!(matches!(answerer.next().await, ServerMessage::Restart { call: of, .. } if of == call));
    let mut third = Signalling::connect(&server.ws(), None, Some(tap.clone())).await.expect("a socket");
    third.hello(None).await.expect("a welcome");
    // An outsider who knows the call's name.
    third.send(&ClientMessage::Describe { call, description: description(Setup::Actpass) }).await.expect("sent");
    third.send(&ClientMessage::Connected { call }).await.expect("sent");
    offerer.send(ClientMessage::Leave {}).await;
    assert_eq!(answerer.next().await, ServerMessage::Ended { call, why: EndReason::Left });
    tap.frames().iter().for_each(|frame| check_frame(frame.text()));
    server.stop().await;
}

#[tokio::test]
async fn a_leave_when_idle_and_when_waiting() {
    let server = TestServer::start().await;
    let mut idle = Visitor::arrive(&server).await;
    idle.send(ClientMessage::Leave {}).await;
    let mut waiting = Visitor::waiting(&server).await;
    waiting.send(ClientMessage::Leave {}).await;
    // That the leave was read is known once the same visitor waits again.
    waiting.join().await;
    assert_eq!(waiting.next().await, ServerMessage::Waiting { usual: None });
    idle.join().await;
    let (call, ..) = idle.matched().await;
    assert_eq!(waiting.matched().await.0, call);
    server.stop().await;
}

#[tokio::test]
async fn a_leave_before_the_call_began_puts_the_other_back() {
    let server = TestServer::start().await;
    let (mut leaves, mut stays, call) = matched(&server).await;
    let mut later = Visitor::arrive(&server).await;
    later.send(join(&["de"], Role::Either)).await;
    assert_eq!(later.next().await, ServerMessage::Waiting { usual: None });
    leaves.send(ClientMessage::Leave {}).await;
    assert_eq!(stays.next().await, ServerMessage::Ended { call, why: EndReason::Vanished });
    assert_eq!(stays.next().await, ServerMessage::Waiting { usual: None });
    // The old place: whoever fits both meets the one who joined first.
    leaves.send(join(&["en", "de"], Role::Either)).await;
    let (call, ..) = leaves.matched().await;
    assert_eq!(stays.matched().await.0, call);
    // Negotiated, but nobody heard anybody yet: the same.
    leaves.send(ClientMessage::Describe { call, description: description(Setup::Actpass) }).await;
    assert_eq!(stays.next().await, ServerMessage::Describe { call, description: description(Setup::Actpass) });
    stays.send(ClientMessage::Describe { call, description: description(Setup::Passive) }).await;
    stays.send(ClientMessage::Leave {}).await;
    assert!(matches!(leaves.next().await, ServerMessage::Describe { .. }));
    assert_eq!(leaves.next().await, ServerMessage::Ended { call, why: EndReason::Vanished });
    assert_eq!(leaves.next().await, ServerMessage::Waiting { usual: None });
    let (call, ..) = later.matched().await;
    assert_eq!(leaves.matched().await.0, call);
    server.stop().await;
}

#[tokio::test]
async fn a_leave_while_talking_ends_the_call_for_both() {
    for offerer_leaves in [true, false] {
        let server = TestServer::start().await;
        let (offerer, answerer, call) = talking(&server).await;
        let (mut leaves, mut stays) = if offerer_leaves { (offerer, answerer) } else { (answerer, offerer) };
        leaves.send(ClientMessage::Leave {}).await;
        assert_eq!(stays.next().await, ServerMessage::Ended { call, why: EndReason::Left });
        // Both can go on, and do not meet each other again at once.
        stays.join().await;
        assert_eq!(stays.next().await, ServerMessage::Waiting { usual: None });
        leaves.join().await;
        assert_eq!(leaves.next().await, ServerMessage::Waiting { usual: None });
        let mut third = Visitor::arrive(&server).await;
        third.join().await;
        let (call, ..) = third.matched().await;
        assert_eq!(stays.matched().await.0, call);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_vanished_socket_in_each_state() {
    let server = TestServer::start().await;
    // Before `hello`, idle and waiting: nobody is ever paired with them.
    let unheard = Signalling::connect(&server.ws(), None, None).await.expect("a socket");
    let idle = Visitor::arrive(&server).await;
    let waiting = Visitor::waiting(&server).await;
    drop((unheard, idle, waiting));
    server.said_times("away", 3).await;
    // Matched: the other goes back.
    let (one, mut other, call) = matched(&server).await;
    drop(one);
    assert_eq!(other.next().await, ServerMessage::Ended { call, why: EndReason::Vanished });
    assert_eq!(other.next().await, ServerMessage::Waiting { usual: None });
    drop(other);
    server.stop().await;
    // Talking, with a close that was meant; and one that a browser makes for a page that it only lays to rest.
    let server = TestServer::start().await;
    let (mut one, mut other, call) = talking(&server).await;
    let close = |code: u16| {
        let frame =
            tokio_tungstenite::tungstenite::protocol::CloseFrame { code: code.into(), reason: Default::default() };
        Message::Close(Some(frame))
    };
    one.raw(close(1000)).await;
    assert_eq!(other.next().await, ServerMessage::Ended { call, why: EndReason::Left });
    let (mut one, _other, call) = talking(&server).await;
    one.raw(close(1001)).await;
    server.said("away: the socket is lost").await;
    let mut back = Signalling::connect(&server.ws(), None, None).await.expect("a socket");
    back.send(&ClientMessage::Hello { resume: Some(one.token.clone()) }).await.expect("sent");
    let welcome = timeout(DEADLINE, back.next()).await.expect("in time").expect("a frame");
    assert!(matches!(welcome, ServerMessage::Welcome { call: Some(same), .. } if same == call), "{welcome:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_call_outlives_its_socket() {
    let server = TestServer::start().await;
    let (one, mut other, call) = talking(&server).await;
    let token = one.token.clone();
    drop(one);
    server.said("away").await;
    // What the partner says meanwhile is kept.
    let restart = ClientMessage::Restart {
        call,
        ufrag: Ufrag::new("wxyz").expect("a ufrag"),
        pwd: Pwd::new("abcdefghijklmnopqrstuv").expect("a pwd"),
    };
    other.send(restart).await;
    let mut socket = Signalling::connect(&server.ws(), None, None).await.expect("a socket");
    socket.send(&ClientMessage::Hello { resume: Some(token.clone()) }).await.expect("sent");
    let mut back = Visitor { socket, token: token.clone() };
    match back.next().await {
        ServerMessage::Welcome { resume, call: Some(same) } => {
            assert_eq!(same, call);
            assert_ne!(resume, token, "a token works once");
            back.token = resume;
        }
        other => panic!("not a welcome back: {other:?}"),
    }
    assert!(matches!(back.next().await, ServerMessage::Restart { call: of, .. } if of == call));

    // A second socket with the same token is a stranger.
    let mut thief = Signalling::connect(&server.ws(), None, None).await.expect("a socket");
    thief.send(&ClientMessage::Hello { resume: Some(token) }).await.expect("sent");
    let welcome = timeout(DEADLINE, thief.next()).await.expect("in time").expect("a frame");
    assert!(matches!(welcome, ServerMessage::Welcome { call: None, .. }));

    // Back while the server still believes in the old socket: that one is closed.
    let mut socket = Signalling::connect(&server.ws(), None, None).await.expect("a socket");
    socket.send(&ClientMessage::Hello { resume: Some(back.token.clone()) }).await.expect("sent");
    assert_eq!(back.closed().await, Some(4003));
    let mut back = Visitor { socket, token: back.token };
    assert!(matches!(back.next().await, ServerMessage::Welcome { call: Some(same), .. } if same == call));
    back.send(ClientMessage::Leave {}).await;
    assert_eq!(other.next().await, ServerMessage::Ended { call, why: EndReason::Left });
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_of_the_protocol_changes_nothing() {
    let server = TestServer::start().await;
    let refused: Vec<Value> =
        serde_json::from_str(include_str!("../fixtures/protocol/refused.json")).expect("a fixture");
    let (mut one, mut other, call) = talking(&server).await;
    let mut waiting = Visitor::waiting(&server).await;
    let mut fresh = Visitor::arrive(&server).await;
    for (index, row) in refused.iter().enumerate() {
        let text = row["text"].as_str().expect("a text");
        for visitor in [&mut one, &mut waiting, &mut fresh] {
            // Sixteen of them close a socket, so each visitor sends some.
            if index % 6 == 0 {
                visitor.raw(Message::text(text)).await;
                assert_eq!(visitor.problem().await, ProblemCode::BadMessage, "{}", row["name"]);
            }
        }
        if index % 6 != 0 {
            let mut visitor = Visitor::arrive(&server).await;
            visitor.raw(Message::text(text)).await;
            assert_eq!(visitor.problem().await, ProblemCode::BadMessage, "{}", row["name"]);
        }
    }
    // The states are what they were.
    one.join().await;
    assert_eq!(one.problem().await, ProblemCode::AlreadyInCall);
    waiting.join().await;
    assert_eq!(waiting.problem().await, ProblemCode::AlreadyWaiting);
    fresh.join().await;
    let (second, ..) = fresh.matched().await;
    assert_eq!(waiting.matched().await.0, second);
    one.send(ClientMessage::Leave {}).await;
    assert_eq!(other.next().await, ServerMessage::Ended { call, why: EndReason::Left });
    server.stop().await;
}

#[tokio::test]
async fn whoever_breaks_the_protocol_is_closed_and_nobody_else_notices() {
    let server = TestServer::start().await;
    let (mut one, mut other, call) = talking(&server).await;

    let mut binary = Visitor::waiting(&server).await;
    binary.raw(Message::binary(vec![0; 10])).await;
    assert_eq!(binary.closed().await, Some(1003));

    let mut large = Visitor::waiting(&server).await;
    // The server stops reading in the middle: sending may fail, and the code may be lost with it.
    let _ = large.socket.send_raw(Message::text("x".repeat(1_000_000))).await;
    assert!(matches!(large.closed().await, Some(1009) | None));

    let mut noisy = Visitor::waiting(&server).await;
    for _ in 0..16 {
        let _ = noisy.socket.send_raw(Message::text("null")).await;
    }
    assert_eq!(noisy.closed().await, Some(4000));

    let mut fast = Visitor::waiting(&server).await;
    let flood = ClientMessage::Connected { call };
    while fast.socket.send(&flood).await.is_ok() {}
    assert!(matches!(fast.closed().await, Some(4001) | None));

    // None of them is in the queue any more.
    let mut waiting = Visitor::waiting(&server).await;
    let mut newer = Visitor::arrive(&server).await;
    newer.join().await;
    assert_eq!(newer.matched().await.0, waiting.matched().await.0);
    // And the call has gone on.
    one.send(ClientMessage::Restart {
        call,
        ufrag: Ufrag::new("wxyz").expect("a ufrag"),
        pwd: Pwd::new("abcdefghijklmnopqrstuv").expect("a pwd"),
    })
    .await;
    assert!(matches!(other.next().await, ServerMessage::Restart { .. }));
    server.stop().await;
}

#[tokio::test]
async fn another_sites_page_is_not_let_in() {
    let server = TestServer::start_with(&[]).await;
    let here = format!("http://127.0.0.1:{}", server.port);
    for origin in [None, Some("null"), Some("https://evil.example"), Some("http://127.0.0.1")] {
        let refused = Signalling::connect(&server.ws(), origin, None).await.expect_err("refused");
        assert_eq!(refused, SignallingError::Refused(403));
    }
    let mut ours = Signalling::connect(&server.ws(), Some(&here), None).await.expect("let in");
    ours.hello(None).await.expect("a welcome");
    server.stop().await;
}

#[tokio::test]
async fn everybody_is_told_when_the_server_stops() {
    let server = TestServer::start().await;
    let (mut one, _other, _) = talking(&server).await;
    let mut waiting = Visitor::waiting(&server).await;
    server.stop().await;
    for visitor in [&mut one, &mut waiting] {
        assert_eq!(visitor.next().await, ServerMessage::Closing { r#in: 0 });
        assert_eq!(visitor.closed().await, Some(1001));
    }
}

#[tokio::test]
async fn whoever_has_just_talked_is_known_again_on_the_next_socket() {
    let server = TestServer::start().await;
    let (mut one, mut other, call) = talking(&server).await;
    one.send(ClientMessage::Leave {}).await;
    assert_eq!(other.next().await, ServerMessage::Ended { call, why: EndReason::Left });
    let token = one.token.clone();
    one.socket.close().await;
    other.join().await;
    assert_eq!(other.next().await, ServerMessage::Waiting { usual: None });
    let mut socket = Signalling::connect(&server.ws(), None, None).await.expect("a socket");
    let token = socket.hello(Some(token)).await.expect("a welcome");
    let mut one = Visitor { socket, token };
    one.join().await;
    assert_eq!(one.next().await, ServerMessage::Waiting { usual: None });
    // The one who is not known meets the one who has waited longest.
    let mut third = Visitor::arrive(&server).await;
    third.join().await;
    assert_eq!(third.matched().await.0, other.matched().await.0);
    server.stop().await;
}

#[tokio::test]
async fn those_who_do_not_mind_meet_again_at_once() {
    let server = TestServer::start().await;
    let (mut one, mut other, call) = talking(&server).await;
    one.send(ClientMessage::Leave {}).await;
    assert_eq!(other.next().await, ServerMessage::Ended { call, why: EndReason::Left });
    for visitor in [&mut one, &mut other] {
        let mut join = join(&["en"], Role::Either);
        if let ClientMessage::Join { avoid_recent, .. } = &mut join {
            *avoid_recent = false;
        }
        visitor.send(join).await;
    }
    assert_eq!(one.matched().await.0, other.matched().await.0);
    server.stop().await;
}
