use stun_types::attribute::ErrorCode;

use crate::{
    protocol::Side,
    relay::{
        MAX_DATAGRAM,
        testing::{CALL, OTHER_CALL, Outcome, Scene, channel_data, peer},
    },
};

#[test]
fn all_four_ways_from_one_framing_to_the_other() {
    let mut scene = Scene::new();
    let (a, b) = scene.pair(CALL, 1);

    let outcome = a.say(&mut scene, peer(b.port), b"Send to Data");
    let expected = (b.from, Err(peer(a.port)), b"Send to Data".to_vec());
    assert_eq!(outcome.delivered(), expected);

    assert_eq!(b.bind(&mut scene, 0x4bbb, peer(a.port)).code(), 0);
    let outcome = a.say(&mut scene, peer(b.port), b"Send to ChannelData");
    let expected = (b.from, Ok(0x4bbb), b"Send to ChannelData".to_vec());
    assert_eq!(outcome.delivered(), expected);

    let outcome = b.say_on(&mut scene, 0x4bbb, b"ChannelData to Data");
    let expected = (a.from, Err(peer(b.port)), b"ChannelData to Data".to_vec());
    assert_eq!(outcome.delivered(), expected);

    assert_eq!(a.bind(&mut scene, 0x4aaa, peer(b.port)).code(), 0);
    let outcome = b.say_on(&mut scene, 0x4bbb, b"ChannelData both ways");
    let expected = (a.from, Ok(0x4aaa), b"ChannelData both ways".to_vec());
    assert_eq!(outcome.delivered(), expected);
}

#[test]
fn data_indications_differ_in_their_transaction() {
    let mut scene = Scene::new();
    let (a, b) = scene.pair(CALL, 1);
    let mut transactions = Vec::new();
    for _ in 0..100 {
        let outcome = a.say(&mut scene, peer(b.port), b"x");
        let Outcome::Forward(_, bytes) = outcome else {
            panic!("not forwarded");
        };
        transactions.push(bytes[8..20].to_vec());
    }
    transactions.sort_unstable();
    transactions.dedup();
    assert_eq!(transactions.len(), 100);
}

#[test]
fn every_size_arrives() {
    let mut scene = Scene::new();
    let (a, b) = scene.pair(CALL, 1);
    assert_eq!(a.bind(&mut scene, 0x4000, peer(b.port)).code(), 0);
    for length in (0..40).chain(1_195..1_205).chain([MAX_DATAGRAM - 4]) {
        let payload: Vec<u8> = (0..length).map(|index| index as u8).collect();
        let outcome = a.say_on(&mut scene, 0x4000, &payload);
        assert_eq!(outcome.delivered().2, payload);
        if length < MAX_DATAGRAM - 36 {
            let outcome = a.say(&mut scene, peer(b.port), &payload);
            assert_eq!(outcome.delivered().2, payload);
        }
    }
}

#[test]
fn the_receiver_must_have_given_permission() {
    let mut scene = Scene::new();
    let a = scene.allocated("198.51.100.1:1000", CALL, Side::A);
    let b = scene.allocated("198.51.100.1:2000", CALL, Side::B);
    assert_eq!(a.bind(&mut scene, 0x4000, peer(b.port)).code(), 0);
    assert_eq!(a.say(&mut scene, peer(b.port), b"x"), Outcome::Nothing);
    assert_eq!(a.say_on(&mut scene, 0x4000, b"x"), Outcome::Nothing);

    assert_eq!(b.permit(&mut scene, &[peer(1)]).code(), 0);
    assert_eq!(a.say_on(&mut scene, 0x4000, b"x").delivered().0, b.from);

    scene.pass(300);
    assert_eq!(a.say_on(&mut scene, 0x4000, b"x"), Outcome::Nothing);
    assert_eq!(b.bind(&mut scene, 0x4000, peer(a.port)).code(), 0);
    assert_eq!(a.say_on(&mut scene, 0x4000, b"x").delivered().0, b.from);
}

#[test]
fn a_sender_needs_permission_or_a_channel() {
    let mut scene = Scene::new();
    let a = scene.allocated("198.51.100.1:1000", CALL, Side::A);
    let b = scene.allocated("198.51.100.1:2000", CALL, Side::B);
    assert_eq!(b.permit(&mut scene, &[peer(a.port)]).code(), 0);
    assert_eq!(a.say(&mut scene, peer(b.port), b"x"), Outcome::Nothing);
    assert_eq!(a.say_on(&mut scene, 0x4000, b"x"), Outcome::Nothing);
    assert_eq!(a.permit(&mut scene, &[peer(b.port)]).code(), 0);
    assert_eq!(a.say(&mut scene, peer(b.port), b"x").delivered().0, b.from);
    assert_eq!(a.say_on(&mut scene, 0x4000, b"x"), Outcome::Nothing);

    // Data keeps neither a permission nor a channel alive (RFC 8656 §9, §12.6).
    scene.pass(299);
    assert_eq!(b.permit(&mut scene, &[peer(a.port)]).code(), 0);
    assert_eq!(a.say(&mut scene, peer(b.port), b"x").delivered().0, b.from);
    scene.pass(1);
    assert_eq!(a.say(&mut scene, peer(b.port), b"x"), Outcome::Nothing);
}

#[test]
fn a_channel_ends_after_ten_minutes() {
    let mut scene = Scene::new();
    let (a, b) = scene.pair(CALL, 1);
    assert_eq!(a.bind(&mut scene, 0x4000, peer(b.port)).code(), 0);
    scene.pass(599);
    for client in [&a, &b] {
        assert_eq!(client.refresh(&mut scene, 600).code(), 0);
    }
    assert_eq!(b.permit(&mut scene, &[peer(a.port)]).code(), 0);
    assert_eq!(a.say_on(&mut scene, 0x4000, b"x").delivered().0, b.from);
    scene.pass(1);
    assert_eq!(a.say_on(&mut scene, 0x4000, b"x"), Outcome::Nothing);
    assert_eq!(a.bind(&mut scene, 0x4001, peer(b.port)).code(), 0);
    assert_eq!(a.say_on(&mut scene, 0x4001, b"x").delivered().0, b.from);
}

#[test]
fn nothing_goes_to_an_allocation_that_has_ended() {
    let mut scene = Scene::new();
    let (a, b) = scene.pair(CALL, 1);
    assert_eq!(a.bind(&mut scene, 0x4000, peer(b.port)).code(), 0);
    assert_eq!(b.refresh(&mut scene, 0).code(), 0);
    assert_eq!(a.say_on(&mut scene, 0x4000, b"x"), Outcome::Nothing);
    assert_eq!(b.say(&mut scene, peer(a.port), b"x"), Outcome::Nothing);

    // Who gets its place is not mistaken for it, nor who gets its 5-tuple.
    let c = scene.allocated("198.51.100.1:2000", OTHER_CALL, Side::B);
    assert_eq!(c.permit(&mut scene, &[peer(a.port)]).code(), 0);
    assert_eq!(a.say_on(&mut scene, 0x4000, b"x"), Outcome::Nothing);
    assert_eq!(a.say(&mut scene, peer(c.port), b"x"), Outcome::Nothing);
}

#[test]
fn an_expired_allocation_neither_sends_nor_receives_before_the_sweep() {
    let mut scene = Scene::new();
    let (a, b) = scene.pair(CALL, 1);
    scene.pass(500);
    assert_eq!(a.refresh(&mut scene, 600).code(), 0);
    scene.pass(100);
    assert_eq!(a.permit(&mut scene, &[peer(b.port)]).code(), 0);
    assert_eq!(a.say(&mut scene, peer(b.port), b"x"), Outcome::Nothing);
    assert_eq!(b.say(&mut scene, peer(a.port), b"x"), Outcome::Nothing);
    assert_eq!(scene.server.table.len(), 2);
    scene.server.sweep(scene.now);
    assert_eq!(scene.server.table.len(), 1);
}

#[test]
fn several_allocations_of_a_side_are_told_apart() {
    let mut scene = Scene::new();
    let (a, b1) = scene.pair(CALL, 1);
    let b2 = scene.allocated("198.51.100.9:1", CALL, Side::B);
    assert_eq!(b2.permit(&mut scene, &[peer(a.port)]).code(), 0);
    for b in [&b1, &b2] {
        let outcome = a.say(&mut scene, peer(b.port), b"x");
        assert_eq!(outcome.delivered().0, b.from);
        let outcome = b.say(&mut scene, peer(a.port), b"x");
        assert_eq!(outcome.delivered().1, Err(peer(b.port)));
    }
    // One's own side is no peer, not even oneself.
    assert_eq!(b1.say(&mut scene, peer(b2.port), b"x"), Outcome::Nothing);
    assert_eq!(b1.say(&mut scene, peer(b1.port), b"x"), Outcome::Nothing);
}

#[test]
fn a_call_may_be_long() {
    let mut scene = Scene::new();
    let (a, b) = scene.pair(CALL, 1);
    for _ in 0..60 {
        scene.pass(240);
        scene.server.sweep(scene.now);
        for (client, partner) in [(&a, &b), (&b, &a)] {
            let mut client = client.clone();
            let outcome = client.refresh(&mut scene, 600);
            if outcome.code() == ErrorCode::STALE_NONCE {
                let nonce = outcome.attribute::<stun_types::attribute::Nonce>();
                client.nonce = nonce.nonce().to_owned();
                assert_eq!(client.refresh(&mut scene, 600).code(), 0);
            }
            let peer = peer(partner.port);
            assert_eq!(client.bind(&mut scene, 0x4000, peer).code(), 0);
        }
        let bytes = channel_data(0x4000, b"still here");
        let outcome = scene.send(&a.from, &bytes);
        let expected = (b.from, Ok(0x4000), b"still here".to_vec());
        assert_eq!(outcome.delivered(), expected);
    }
}
