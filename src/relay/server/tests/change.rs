use stun_types::{
    AddressFamily,
    attribute::{ErrorCode, RawAttribute},
    message::Method,
    prelude::AttributeStaticType,
};
use turn_types::{
    attribute::{ChannelNumber, Lifetime, RequestedAddressFamily, XorPeerAddress},
    message::{CHANNEL_BIND, CREATE_PERMISSION, REFRESH},
};

use crate::{
    protocol::Side,
    relay::{
        table::MAX_PER_SIDE,
        testing::{CALL, Client, OTHER_CALL, Outcome, START, Scene, peer, unsigned},
    },
};

#[test]
fn a_refresh_keeps_an_allocation_alive_beyond_its_credentials() {
    let mut scene = Scene::new();
    let client = scene.allocated("198.51.100.1:1000", CALL, Side::A);
    for _ in 0..5 {
        scene.pass(599);
        scene.server.sweep(scene.now);
        let outcome = client.refresh(&mut scene, 3_600);
        assert_eq!(outcome.attribute::<Lifetime>().seconds(), 600);
    }
    scene.pass(600);
    let code = client.refresh(&mut scene, 600).code();
    assert_eq!(code, ErrorCode::ALLOCATION_MISMATCH);
}

#[test]
fn a_refresh_to_nothing_ends_it() {
    let mut scene = Scene::new();
    let client = scene.allocated("198.51.100.1:1000", CALL, Side::A);
    let outcome = client.refresh(&mut scene, 0);
    assert_eq!(outcome.attribute::<Lifetime>().seconds(), 0);
    assert_eq!(scene.server.table.len(), 0);
    let again = client.refresh(&mut scene, 0).code();
    assert_eq!(again, ErrorCode::ALLOCATION_MISMATCH);
    assert_eq!(client.allocate(&mut scene).code(), 0);
}

#[test]
fn a_refresh_of_another_family_is_refused() {
    let mut scene = Scene::new();
    let client = scene.allocated("198.51.100.1:1000", CALL, Side::A);
    let family = |family| RequestedAddressFamily::new(family);
    let six = client.request(&mut scene, REFRESH, &[&family(AddressFamily::IPV6)]);
    assert_eq!(six.code(), ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH);
    let four = client.request(&mut scene, REFRESH, &[&family(AddressFamily::IPV4)]);
    assert_eq!(four.code(), 0);
}

#[test]
fn a_stale_nonce_is_replaced() {
    let mut scene = Scene::new();
    let mut client = scene.allocated("198.51.100.1:1000", CALL, Side::A);
    for _ in 0..6 {
        scene.pass(590);
        assert_eq!(client.refresh(&mut scene, 600).code(), 0);
    }
    scene.pass(61);
    let outcome = client.refresh(&mut scene, 600);
    assert_eq!(outcome.code(), ErrorCode::STALE_NONCE);
    client.nonce = outcome.attribute::<stun_types::attribute::Nonce>().nonce().to_owned();
    assert_eq!(client.refresh(&mut scene, 600).code(), 0);
}

#[test]
fn nothing_can_be_changed_where_nothing_is() {
    let mut scene = Scene::new();
    let mut client = scene.client("198.51.100.1:1000", CALL, Side::A);
    client.challenge(&mut scene);
    let mismatch = ErrorCode::ALLOCATION_MISMATCH;
    assert_eq!(client.refresh(&mut scene, 600).code(), mismatch);
    let permitted = client.permit(&mut scene, &[peer(50_000)]);
    assert_eq!(permitted.code(), mismatch);
    let bound = client.bind(&mut scene, 0x4000, peer(50_000));
    assert_eq!(bound.code(), mismatch);
}

#[test]
fn another_user_may_not_change_it() {
    let mut scene = Scene::new();
    let owner = scene.allocated("198.51.100.1:1000", CALL, Side::A);
    for (call, side) in [(CALL, Side::B), (OTHER_CALL, Side::A)] {
        let mut other = scene.client("198.51.100.1:1000", call, side);
        other.nonce = owner.nonce.clone();
        let wrong = ErrorCode::WRONG_CREDENTIALS;
        assert_eq!(other.refresh(&mut scene, 0).code(), wrong);
        assert_eq!(other.permit(&mut scene, &[peer(50_000)]).code(), wrong);
        assert_eq!(other.bind(&mut scene, 0x4000, peer(50_000)).code(), wrong);
        let mismatch = other.allocate(&mut scene).code();
        assert_eq!(mismatch, ErrorCode::ALLOCATION_MISMATCH);
    }
    assert_eq!(scene.server.table.len(), 1);
}

#[test]
fn what_is_missing_or_malformed_is_a_bad_request() {
    let mut scene = Scene::new();
    let client = scene.allocated("198.51.100.1:1000", CALL, Side::A);
    let number = ChannelNumber::new(0x4000);
    let short = RawAttribute::new(XorPeerAddress::TYPE, &[0, 1, 2, 3]).into_owned();
    let odd = RawAttribute::new(XorPeerAddress::TYPE, &[0, 7, 0, 0, 0, 0, 0, 0]).into_owned();
    let long = RawAttribute::new(Lifetime::TYPE, &[0; 8]).into_owned();
    let mut bad = |method: Method, attributes: &[&dyn stun_types::prelude::AttributeWrite]| {
        let outcome = client.request(&mut scene, method, attributes);
        assert_eq!(outcome.code(), ErrorCode::BAD_REQUEST);
    };
    bad(CREATE_PERMISSION, &[]);
    bad(CREATE_PERMISSION, &[&short]);
    bad(CREATE_PERMISSION, &[&odd]);
    bad(CHANNEL_BIND, &[]);
    bad(CHANNEL_BIND, &[&number]);
    bad(CHANNEL_BIND, &[&odd]);
    bad(CHANNEL_BIND, &[&number, &short]);
    bad(REFRESH, &[&long]);
}

#[test]
fn a_channel_has_one_peer_and_a_peer_one_channel() {
    let mut scene = Scene::new();
    let client = scene.allocated("198.51.100.1:1000", CALL, Side::A);
    let bad = ErrorCode::BAD_REQUEST;
    let mut bind = |number, port| client.bind(&mut scene, number, peer(port)).code();
    assert_eq!(bind(0x4000, 50_000), 0);
    assert_eq!(bind(0x4000, 50_000), 0, "binding again refreshes");
    assert_eq!(bind(0x4000, 50_001), bad);
    assert_eq!(bind(0x4001, 50_000), bad);
    assert_eq!(bind(0x4FFF, 50_001), 0);
    for number in [0, 0x3FFF, 0x5000, 0x7FFF, 0xFFFF] {
        assert_eq!(bind(number, 50_002), bad, "{number:#x}");
    }

    scene.pass(599);
    assert_eq!(client.refresh(&mut scene, 600).code(), 0);
    let taken = client.bind(&mut scene, 0x4000, peer(50_001)).code();
    assert_eq!(taken, bad);
    scene.pass(1);
    let free = client.bind(&mut scene, 0x4000, peer(50_001)).code();
    assert_eq!(free, 0);
}

#[test]
fn there_is_a_channel_for_every_allocation_of_the_partner() {
    let mut scene = Scene::new();
    let client = scene.allocated("198.51.100.1:1000", CALL, Side::A);
    let mut number = 0x4000;
    let mut bind = |scene: &mut Scene, port| {
        number += 1;
        (number, client.bind(scene, number, peer(port)).code())
    };
    // Names that nobody has, or has any more, take no room from those that somebody has.
    for port in 0..200 {
        assert_eq!(bind(&mut scene, port).1, 0);
    }
    let mut address = 0;
    for _ in 0..5 {
        let partners = (0..MAX_PER_SIDE).map(|_| {
            address += 1;
            scene.allocated(&format!("198.51.100.2:{address}"), CALL, Side::B)
        });
        let partners: Vec<Client> = partners.collect();
        for partner in &partners {
            let (number, code) = bind(&mut scene, partner.port);
            assert_eq!(code, 0);
            assert_eq!(partner.permit(&mut scene, &[peer(client.port)]).code(), 0);
            assert_eq!(client.say_on(&mut scene, number, b"x").delivered().0, partner.from);
        }
        // There is none left for a name alone; and whoever is refused one talks without.
        let full = ErrorCode::INSUFFICIENT_CAPACITY;
        assert_eq!(bind(&mut scene, 1).1, full);
        let last = partners.last().unwrap();
        assert_eq!(client.say(&mut scene, peer(last.port), b"x").delivered().0, last.from);
        for partner in &partners {
            assert_eq!(partner.refresh(&mut scene, 0).code(), 0);
        }
    }
}

#[test]
fn peers_elsewhere_are_refused_as_a_whole() {
    let mut scene = Scene::new();
    let (a, b) = scene.pair(CALL, 1);
    scene.pass(300);
    let forbidden = a.permit(&mut scene, &[peer(b.port), "10.0.0.1:5000".parse().unwrap()]);
    assert_eq!(forbidden.code(), ErrorCode::FORBIDDEN);
    assert_eq!(a.say(&mut scene, peer(b.port), b"x"), Outcome::Nothing);
    let granted = a.permit(&mut scene, &[peer(1), peer(b.port), peer(0)]);
    assert_eq!(granted.code(), 0);
}

#[test]
fn a_revoked_call_is_over_at_once_and_stays_so() {
    let mut scene = Scene::new();
    let (a, b) = scene.pair(CALL, 1);
    let (c, d) = scene.pair(OTHER_CALL, 2);
    let mut late = scene.client("198.51.100.3:1", CALL, Side::B);
    scene.server.revoke(scene.now, CALL);
    assert_eq!(scene.server.table.len(), 2);
    assert_eq!(a.say(&mut scene, peer(b.port), b"x"), Outcome::Nothing);
    let mismatch = b.refresh(&mut scene, 600).code();
    assert_eq!(mismatch, ErrorCode::ALLOCATION_MISMATCH);

    for _ in 0..10 {
        scene.server.sweep(scene.now);
        late.challenge(&mut scene);
        let code = late.allocate(&mut scene).code();
        let expired = scene.now.unix >= START.unix + 300;
        assert_eq!(code, if expired { 401 } else { 403 });
        scene.pass(37);
    }
    scene.server.sweep(scene.now);
    assert!(scene.server.revoked.is_empty());

    assert_eq!(c.permit(&mut scene, &[peer(d.port)]).code(), 0);
    assert_eq!(d.permit(&mut scene, &[peer(c.port)]).code(), 0);
    let outcome = c.say(&mut scene, peer(d.port), b"x");
    assert_eq!(outcome.delivered().0, d.from);
}

#[test]
fn a_revoked_call_stays_so_as_long_as_any_credentials_that_were_seen() {
    let mut scene = Scene::new();
    let tomorrow = scene.now.unix + 24 * 3_600;
    let mut client = scene.client("198.51.100.1:1000", CALL, Side::A);
    client.credentials = scene.secret.mint(CALL, Side::A, tomorrow);
    client.challenge(&mut scene);
    assert_eq!(client.allocate(&mut scene).code(), 0);
    scene.server.revoke(scene.now, CALL);
    scene.pass(23 * 3_600);
    scene.server.sweep(scene.now);
    client.challenge(&mut scene);
    assert_eq!(client.allocate(&mut scene).code(), ErrorCode::FORBIDDEN);
}

#[test]
fn a_method_that_is_not_ours_gets_no_answer() {
    let mut scene = Scene::new();
    let client = scene.allocated("198.51.100.1:1000", CALL, Side::A);
    // Connect and ConnectionBind (RFC 6062), Send and Data as requests, and one that nobody knows.
    for method in [0x00a, 0x00b, 0x006, 0x007, 0x0ff, 0x000] {
        let method = Method::new(method);
        let outcome = client.request(&mut scene, method, &[]);
        assert_eq!(outcome, Outcome::Nothing);
        let outcome = scene.send(&client.from, &unsigned(method, &[]));
        assert_eq!(outcome, Outcome::Nothing);
    }
}
