//! A place in the queue, and a line that drops while its owner waits.

use super::*;

/// Comes back with the token of an earlier socket.
async fn back(server: &TestServer, token: ResumeToken) -> Visitor {
    let mut socket = Signalling::connect(&server.ws(), None, None).await.expect("a socket");
    let token = socket.hello(Some(token)).await.expect("a welcome");
    Visitor { socket, token }
}

async fn waits_for(visitor: &mut Visitor, languages: &[&str]) {
    visitor.send(join(languages, Role::Either)).await;
    assert_eq!(visitor.next().await, ServerMessage::Waiting { usual: None });
}

/// Somebody who has joined, and that they wait.
async fn arrives(server: &TestServer, languages: &[&str]) -> Visitor {
    let mut visitor = Visitor::arrive(server).await;
    waits_for(&mut visitor, languages).await;
    visitor
}

#[tokio::test]
async fn whoever_loses_the_line_while_waiting_meets_the_next_one_before_those_who_came_later() {
    let server = TestServer::start().await;
    let first = arrives(&server, &["en"]).await;
    let mut second = arrives(&server, &["de"]).await;
    let token = first.token.clone();
    drop(first);
    server.said("away: the socket is lost").await;
    // Not paired while away: whoever would fit waits as well.
    let mut third = arrives(&server, &["en"]).await;
    third.send(ClientMessage::Leave {}).await;
    let mut first = back(&server, token).await;
    waits_for(&mut first, &["en"]).await;
    // Twice, and with another wish.
    let token = first.token.clone();
    drop(first);
    server.said_times("away: the socket is lost", 2).await;
    let mut first = back(&server, token).await;
    waits_for(&mut first, &["fr"]).await;
    let mut newer = Visitor::arrive(&server).await;
    newer.send(join(&["de", "fr"], Role::Either)).await;
    assert_eq!(newer.matched().await.0, first.matched().await.0);
    // The next one meets the second, who was next.
    let mut newer = Visitor::arrive(&server).await;
    newer.send(join(&["de", "fr"], Role::Either)).await;
    assert_eq!(newer.matched().await.0, second.matched().await.0);
    server.stop().await;
}

#[tokio::test]
async fn a_place_is_one_place_and_whoever_leaves_has_none() {
    let server = TestServer::start().await;
    let first = arrives(&server, &["en"]).await;
    let mut second = arrives(&server, &["de"]).await;
    let token = first.token.clone();
    drop(first);
    server.said("away: the socket is lost").await;
    // The token works once: who has it as well comes last.
    let mut first = back(&server, token.clone()).await;
    let mut thief = back(&server, token).await;
    waits_for(&mut thief, &["fr"]).await;
    // Nor does the place last beyond a leave.
    waits_for(&mut first, &["en"]).await;
    first.send(ClientMessage::Leave {}).await;
    waits_for(&mut first, &["en"]).await;
    // Whoever leaves would put the other back.
    let mut stay = Vec::new();
    for expected in [&mut second, &mut thief, &mut first] {
        let mut newer = Visitor::arrive(&server).await;
        newer.send(join(&["de", "en", "fr"], Role::Either)).await;
        assert_eq!(newer.matched().await.0, expected.matched().await.0);
        stay.push(newer);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_socket_that_the_server_still_believes_in_gives_its_place_to_the_next() {
    let server = TestServer::start().await;
    let mut old = arrives(&server, &["en"]).await;
    let mut second = arrives(&server, &["de"]).await;
    let mut first = back(&server, old.token.clone()).await;
    assert_eq!(old.closed().await, Some(4003));
    waits_for(&mut first, &["en"]).await;
    let mut stay = Vec::new();
    for expected in [&mut first, &mut second] {
        let mut newer = Visitor::arrive(&server).await;
        newer.send(join(&["de", "en"], Role::Either)).await;
        assert_eq!(newer.matched().await.0, expected.matched().await.0);
        stay.push(newer);
    }
    server.stop().await;
}
