use stun_types::{
    AddressFamily,
    attribute::{ErrorCode, Nonce, RawAttribute, Realm, Software, UnknownAttributes, Username, XorMappedAddress},
    message::{MessageWrite, MessageWriteExt},
    prelude::{AttributeStaticType, AttributeWrite},
};
use turn_types::{
    attribute::{
        AdditionalAddressFamily, AddressErrorCode, DontFragment, EvenPort, Lifetime, RequestedAddressFamily,
        RequestedTransport, ReservationToken,
    },
    message::ALLOCATE,
};

use crate::{
    protocol::Side,
    relay::{
        message,
        table::MAX_PER_SIDE,
        testing::{CALL, OTHER_CALL, Outcome, Scene, binding_request, build, from, port_of, udp, unsigned},
    },
};

#[test]
fn a_binding_request_is_told_its_address_and_nothing_else() {
    let mut scene = Scene::new();
    for client in ["198.51.100.1:1000", "[2001:db8::1]:1000"] {
        let outcome = scene.send(&from(client), &binding_request());
        assert_eq!(outcome.code(), 0);
        let Outcome::Reply(bytes) = outcome else { unreachable!() };
        let reply = message::parse(&bytes).unwrap();
        assert_eq!(reply.iter_attributes().count(), 1);
        let mapped: XorMappedAddress = reply.attribute().unwrap();
        assert_eq!(mapped.addr(reply.transaction_id()), client.parse::<std::net::SocketAddr>().unwrap());
    }
}

#[test]
fn a_mapped_client_is_told_its_plain_address() {
    let mut scene = Scene::new();
    let outcome = scene.send(&from("[::ffff:198.51.100.1]:1000"), &binding_request());
    let Outcome::Reply(bytes) = outcome else {
        panic!("no reply");
    };
    let reply = message::parse(&bytes).unwrap();
    let mapped: XorMappedAddress = reply.attribute().unwrap();
    let plain: std::net::SocketAddr = "198.51.100.1:1000".parse().unwrap();
    assert_eq!(mapped.addr(reply.transaction_id()), plain);
}

#[test]
fn without_credentials_there_is_a_challenge_and_no_state() {
    let mut scene = Scene::new();
    let outcome = scene.send(&from("198.51.100.1:1000"), &unsigned(ALLOCATE, &[&udp()]));
    assert_eq!(outcome.code(), ErrorCode::UNAUTHORIZED);
    assert_eq!(outcome.attribute::<Realm>().realm(), "sotto");
    assert_eq!(outcome.attribute::<Nonce>().nonce().len(), 16);
    let Outcome::Reply(bytes) = outcome else { unreachable!() };
    assert_eq!(bytes.len(), 60, "a challenge is as short as it can be");
    assert!(!message::parse(&bytes).unwrap().has_attribute(Software::TYPE));
    assert_eq!(scene.server.table.len(), 0);
}

#[test]
fn with_credentials_there_is_an_allocation() {
    let mut scene = Scene::new();
    let mut client = scene.client("198.51.100.1:1000", CALL, Side::A);
    client.challenge(&mut scene);
    let outcome = client.allocate(&mut scene);
    assert_eq!(outcome.code(), 0);
    assert!(port_of(&outcome) >= 49_152);
    assert_eq!(outcome.attribute::<Lifetime>().seconds(), 600);
    let Outcome::Reply(bytes) = outcome else { unreachable!() };
    let reply = message::parse(&bytes).unwrap();
    let mapped: XorMappedAddress = reply.attribute().unwrap();
    assert_eq!(mapped.addr(reply.transaction_id()), client.from.client());
    assert_eq!(reply.iter_attributes().count(), 4);
    assert_eq!(scene.server.table.len(), 1);
}

#[test]
fn a_retransmission_gets_the_same_allocation_and_another_request_none() {
    let mut scene = Scene::new();
    let mut client = scene.client("198.51.100.1:1000", CALL, Side::A);
    client.challenge(&mut scene);
    let request = client.signed(ALLOCATE, &[&udp()]);
    let first = scene.send(&client.from, &request);
    assert_eq!(first, scene.send(&client.from, &request));
    scene.pass(400);
    let later = scene.send(&client.from, &request);
    assert_eq!(port_of(&first), port_of(&later), "credentials have expired since");
    assert_eq!(later.attribute::<Lifetime>().seconds(), 200);

    let mismatch = client.allocate(&mut scene).code();
    assert_eq!(mismatch, ErrorCode::ALLOCATION_MISMATCH);
    assert_eq!(scene.server.table.len(), 1);

    scene.pass(200);
    let expired = scene.send(&client.from, &request).code();
    assert_eq!(expired, ErrorCode::UNAUTHORIZED);
}

#[test]
fn a_lifetime_asked_for_is_not_more_nor_less_than_the_default() {
    for (number, lifetime) in [0, 1, 600, 3_600, u32::MAX].into_iter().enumerate() {
        let mut scene = Scene::new();
        let mut client = scene.client(&format!("198.51.100.{number}:1"), CALL, Side::A);
        client.challenge(&mut scene);
        let outcome = client.request(&mut scene, ALLOCATE, &[&udp(), &Lifetime::new(lifetime)]);
        assert_eq!(outcome.attribute::<Lifetime>().seconds(), 600);
    }
}

#[test]
fn what_cannot_be_had_is_refused_with_its_own_code() {
    let tcp = RequestedTransport::new(RequestedTransport::TCP);
    let family_4 = RequestedAddressFamily::new(AddressFamily::IPV4);
    let family_6 = RequestedAddressFamily::new(AddressFamily::IPV6);
    let family_9 = RawAttribute::new(RequestedAddressFamily::TYPE, &[9, 0, 0, 0]).into_owned();
    let additional = AdditionalAddressFamily::new(AddressFamily::IPV6);
    let additional_4 = RawAttribute::new(AdditionalAddressFamily::TYPE, &[1, 0, 0, 0]).into_owned();
    let token = ReservationToken::new(1);
    let (even, reserve) = (EvenPort::new(false), EvenPort::new(true));
    let short = RawAttribute::new(RequestedTransport::TYPE, &[17, 0]).into_owned();
    let unheard_of = RawAttribute::new(0x7777.into(), &[1, 2, 3]).into_owned();

    let cases: &[(u16, &[&dyn AttributeWrite])] = &[
        (400, &[]),
        (400, &[&short]),
        (442, &[&tcp]),
        (440, &[&udp(), &family_6]),
        (440, &[&udp(), &family_9]),
        (508, &[&udp(), &token]),
        (400, &[&udp(), &token, &even]),
        (400, &[&udp(), &token, &family_4]),
        (400, &[&udp(), &token, &additional]),
        (400, &[&udp(), &additional, &family_4]),
        (400, &[&udp(), &additional, &reserve]),
        (400, &[&udp(), &additional_4]),
        (508, &[&udp(), &reserve]),
        (420, &[&udp(), &DontFragment::new()]),
        (420, &[&udp(), &unheard_of]),
        (0, &[&udp(), &family_4]),
    ];
    for (number, (code, attributes)) in cases.iter().enumerate() {
        let mut scene = Scene::new();
        let mut client = scene.client("198.51.100.1:1000", CALL, Side::A);
        client.challenge(&mut scene);
        let outcome = client.request(&mut scene, ALLOCATE, attributes);
        assert_eq!(outcome.code(), *code, "case {number}");
        assert_eq!(scene.server.table.len(), usize::from(*code == 0), "case {number}");
    }
}

#[test]
fn what_is_not_comprehended_is_named() {
    let mut scene = Scene::new();
    let mut client = scene.client("198.51.100.1:1000", CALL, Side::A);
    client.challenge(&mut scene);
    let outcome = client.request(&mut scene, ALLOCATE, &[&udp(), &DontFragment::new()]);
    let unknown = outcome.attribute::<UnknownAttributes>();
    assert!(unknown.has_attribute(DontFragment::TYPE));

    let priority = RawAttribute::new(0x0024.into(), &[0; 4]).into_owned();
    let binding = unsigned(stun_types::message::BINDING, &[&priority]);
    let outcome = scene.send(&client.from, &binding);
    assert_eq!(outcome.code(), ErrorCode::UNKNOWN_ATTRIBUTE);
    let unknown = outcome.attribute::<UnknownAttributes>();
    assert!(unknown.has_attribute(0x0024.into()));
}

#[test]
fn an_even_port_is_even_and_a_second_family_is_declined() {
    for number in 0..20 {
        let mut scene = Scene::new();
        let mut client = scene.client(&format!("198.51.100.{number}:1"), CALL, Side::A);
        client.challenge(&mut scene);
        let even = EvenPort::new(false);
        let outcome = client.request(&mut scene, ALLOCATE, &[&udp(), &even]);
        assert_eq!(port_of(&outcome) % 2, 0);
    }
    let mut scene = Scene::new();
    let mut client = scene.client("198.51.100.1:1", CALL, Side::A);
    client.challenge(&mut scene);
    let both = AdditionalAddressFamily::new(AddressFamily::IPV6);
    let outcome = client.request(&mut scene, ALLOCATE, &[&udp(), &both]);
    assert_eq!(outcome.code(), 0);
    let declined = outcome.attribute::<AddressErrorCode>();
    assert_eq!(declined.error().code(), 440);
}

#[test]
fn ports_are_unique_within_a_call_and_sides_have_quotas() {
    let mut scene = Scene::new();
    let mut ports = Vec::new();
    for side in [Side::A, Side::B] {
        for number in 0..MAX_PER_SIDE {
            let address = format!("198.51.100.{}:{}", side as u8, 1_000 + number);
            ports.push(scene.allocated(&address, CALL, side).port);
        }
        let mut one_more = scene.client(&format!("198.51.100.{}:1", side as u8), CALL, side);
        one_more.challenge(&mut scene);
        let code = one_more.allocate(&mut scene).code();
        assert_eq!(code, ErrorCode::ALLOCATION_QUOTA_REACHED);
    }
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 2 * MAX_PER_SIDE);
    scene.allocated("198.51.100.9:1", OTHER_CALL, Side::A);

    // What has expired counts no more, swept or not.
    scene.pass(600);
    scene.allocated("198.51.100.0:1", CALL, Side::A);
    scene.server.sweep(scene.now);
    assert_eq!(scene.server.table.len(), 1);
}

#[test]
fn a_half_signed_request_is_a_bad_one() {
    let mut scene = Scene::new();
    let mut client = scene.client("198.51.100.1:1000", CALL, Side::A);
    client.challenge(&mut scene);
    let username = Username::new(&client.credentials.username).unwrap();
    let realm = Realm::new("sotto").unwrap();
    let nonce = Nonce::new(&client.nonce).unwrap();
    let partial: [[&dyn AttributeWrite; 2]; 3] = [[&realm, &nonce], [&username, &nonce], [&username, &realm]];
    for attributes in partial {
        let mut request = build(ALLOCATE, &[&udp()]);
        for attribute in attributes {
            request.add_attribute(attribute).unwrap();
        }
        let sha1 = stun_types::message::IntegrityAlgorithm::Sha1;
        request.add_message_integrity_with_key(&client.key(), sha1).unwrap();
        let outcome = scene.send(&client.from, &request.finish());
        assert_eq!(outcome.code(), ErrorCode::BAD_REQUEST);
    }
    assert_eq!(scene.server.table.len(), 0);
}
