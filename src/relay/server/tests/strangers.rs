//! What somebody gets who is not meant to be here: refused, and nothing is sent anywhere else.

use std::{
    io,
    sync::{Arc, Mutex},
};

use stun_types::{
    attribute::ErrorCode,
    message::{MessageWrite, MessageWriteExt, MessageWriteVec},
};
use turn_types::{attribute::Data, message::SEND};

use crate::{
    protocol::{CallId, Side},
    relay::{
        credentials::Secret,
        packet::Packet,
        testing::{
            CALL, Client, OTHER_CALL, Outcome, START, Scene, binding_request, channel_data, from, peer,
            send_indication, udp, unsigned,
        },
    },
};

#[test]
fn there_is_no_way_into_another_call() {
    let mut scene = Scene::new();
    let (a, b) = scene.pair(CALL, 1);
    let (c, d) = scene.pair(OTHER_CALL, 2);
    for (port, number) in [(c.port, 0x4000), (d.port, 0x4001)] {
        // Virtual ports are names within one call: this one is bound, and leads nowhere.
        assert_eq!(a.permit(&mut scene, &[peer(port)]).code(), 0);
        assert_eq!(a.bind(&mut scene, number, peer(port)).code(), 0);
        assert_eq!(a.say(&mut scene, peer(port), b"x"), Outcome::Nothing);
        assert_eq!(a.say_on(&mut scene, number, b"x"), Outcome::Nothing);
    }
    let outcome = a.say(&mut scene, peer(b.port), b"x");
    assert_eq!(outcome.delivered().0, b.from);
}

#[test]
fn one_port_in_two_calls_is_two_peers() {
    // Ports are drawn at random; a few calls on, one has been given twice.
    let mut scene = Scene::new();
    let mut pairs: Vec<(Client, Client)> = Vec::new();
    for number in 0..2_000_u32 {
        let call = CallId::from_u128(u128::from(number));
        let address = |side| format!("[2001:db8:{side}:{number:x}::1]:1");
        let a = scene.allocated(&address("a"), call, Side::A);
        let b = scene.allocated(&address("b"), call, Side::B);
        assert_eq!(b.permit(&mut scene, &[peer(a.port)]).code(), 0);
        assert_eq!(a.permit(&mut scene, &[peer(b.port)]).code(), 0);
        pairs.push((a, b));
    }
    let twice = pairs.iter().enumerate().find_map(|(index, (_, b))| {
        let later = pairs[index + 1..].iter().find(|(_, other)| other.port == b.port);
        later.map(|other| (&pairs[index], other))
    });
    let ((a, b), (c, d)) = twice.unwrap();
    for (sender, receiver) in [(a, b), (c, d)] {
        let outcome = sender.say(&mut scene, peer(receiver.port), b"x");
        assert_eq!(outcome.delivered().0, receiver.from);
    }
}

#[test]
fn wrong_credentials_get_nothing() {
    let mut scene = Scene::new();
    let good = scene.secret.mint(CALL, Side::A, scene.now.unix);
    let old = scene.secret.mint(CALL, Side::A, scene.now.unix - 300);
    let foreign = Secret::new(b"another secret").mint(CALL, Side::A, scene.now.unix);
    let edited = |username: String| {
        let mut credentials = good.clone();
        credentials.username = username;
        credentials
    };
    let other_call = edited(good.username.replace(&CALL.to_string(), &OTHER_CALL.to_string()));
    let other_side = edited(good.username.replace(":a", ":b"));
    let later = edited(good.username.replacen("18", "19", 1));
    let no_user = edited("somebody".to_owned());
    let empty = edited(String::new());
    let mut no_password = good.clone();
    no_password.credential.clear();
    let mut password = good.clone();
    password.credential.replace_range(0..1, "_");

    let wrong = [old, foreign, other_call, other_side, later, no_user, empty, no_password, password];
    for (number, credentials) in wrong.into_iter().enumerate() {
        let mut client = scene.client("198.51.100.1:1000", CALL, Side::A);
        client.challenge(&mut scene);
        client.credentials = credentials;
        let outcome = client.allocate(&mut scene);
        assert_eq!(outcome.code(), ErrorCode::UNAUTHORIZED, "case {number}");
    }
    assert_eq!(scene.server.table.len(), 0);
}

#[test]
fn credentials_end_to_the_second() {
    let mut scene = Scene::new();
    let mut in_time = scene.client("198.51.100.1:1", CALL, Side::A);
    let mut too_late = scene.client("198.51.100.1:2", CALL, Side::B);
    in_time.challenge(&mut scene);
    too_late.challenge(&mut scene);
    scene.pass(299);
    assert_eq!(in_time.allocate(&mut scene).code(), 0);
    scene.pass(1);
    assert_eq!(too_late.allocate(&mut scene).code(), 401);
}

#[test]
fn whoever_is_in_the_call_may_come_from_another_network_at_any_time() {
    let mut scene = Scene::new();
    let at_home = scene.allocated("198.51.100.1:1", CALL, Side::A);
    for _ in 0..5 {
        scene.pass(500);
        assert_eq!(at_home.refresh(&mut scene, 600).code(), 0);
    }
    let mut on_the_road = scene.client("203.0.113.7:1", CALL, Side::A);
    on_the_road.credentials = at_home.credentials.clone();
    on_the_road.challenge(&mut scene);
    assert_eq!(on_the_road.allocate(&mut scene).code(), 0);
    // The other side has no allocation, and its credentials are as old.
    let mut stranger = scene.client("203.0.113.8:1", CALL, Side::B);
    stranger.credentials = scene.secret.mint(CALL, Side::B, START.unix);
    stranger.challenge(&mut scene);
    assert_eq!(stranger.allocate(&mut scene).code(), 401);
    // Nor are they good for anything once the call is over.
    scene.server.revoke(scene.now, CALL);
    on_the_road.from = from("203.0.113.9:1");
    on_the_road.challenge(&mut scene);
    assert_eq!(on_the_road.allocate(&mut scene).code(), 401);
}

#[test]
fn whoever_has_lost_a_connection_may_come_back_by_another() {
    let mut scene = Scene::new();
    let (a, _) = scene.pair(CALL, 1);
    scene.pass(500);
    assert_eq!(a.refresh(&mut scene, 600).code(), 0);
    scene.server.disconnect(scene.now, &a.from);
    let again = |scene: &mut Scene, address: &str| {
        let mut client = scene.client(address, CALL, Side::A);
        client.credentials = a.credentials.clone();
        client.challenge(scene);
        client.allocate(scene).code()
    };
    scene.pass(599);
    assert_eq!(again(&mut scene, "203.0.113.7:1"), 0);
    scene.server.revoke(scene.now, CALL);
    assert_eq!(again(&mut scene, "203.0.113.7:2"), 401);

    let (a, _) = scene.pair(OTHER_CALL, 2);
    scene.server.disconnect(scene.now, &a.from);
    scene.pass(600);
    let mut too_late = scene.client("203.0.113.7:3", OTHER_CALL, Side::A);
    too_late.credentials = a.credentials.clone();
    too_late.challenge(&mut scene);
    assert_eq!(too_late.allocate(&mut scene).code(), 401);
}

#[test]
fn a_nonce_is_good_for_its_own_client_only() {
    let mut scene = Scene::new();
    let victim = scene.allocated("198.51.100.1:1000", CALL, Side::A);
    let mut thief = victim.clone();
    for address in ["198.51.100.1:1001", "198.51.100.2:1000", "[2001:db8::1]:1000"] {
        thief.from = from(address);
        assert_eq!(thief.allocate(&mut scene).code(), ErrorCode::STALE_NONCE);
        let outcome = thief.refresh(&mut scene, 0);
        assert_eq!(outcome.code(), ErrorCode::STALE_NONCE);
    }
    assert_eq!(scene.server.table.len(), 1);
}

#[test]
fn what_was_overheard_is_worth_nothing_elsewhere() {
    let mut scene = Scene::new();
    let mut client = scene.client("198.51.100.1:1000", CALL, Side::A);
    client.challenge(&mut scene);
    let allocate = client.signed(turn_types::message::ALLOCATE, &[&udp()]);
    let elsewhere = scene.send(&from("198.51.100.66:1000"), &allocate);
    assert_eq!(elsewhere.code(), ErrorCode::STALE_NONCE);
    assert_eq!(scene.server.table.len(), 0);
}

#[test]
fn payloads_from_nobody_go_nowhere() {
    let mut scene = Scene::new();
    let (a, b) = scene.pair(CALL, 1);
    assert_eq!(a.bind(&mut scene, 0x4000, peer(b.port)).code(), 0);
    for stranger in ["198.51.100.1:1001", "198.51.100.66:1000", "[::1]:1000"] {
        let stranger = from(stranger);
        for port in [a.port, b.port] {
            let outcome = scene.send(&stranger, &send_indication(peer(port), b"x"));
            assert_eq!(outcome, Outcome::Nothing);
        }
        let outcome = scene.send(&stranger, &channel_data(0x4000, b"x"));
        assert_eq!(outcome, Outcome::Nothing);
    }
}

#[test]
fn answers_to_strangers_are_limited_and_others_are_not() {
    let mut scene = Scene::new();
    let friend = scene.allocated("198.51.100.1:1000", CALL, Side::A);
    let stranger = from("198.51.100.1:2000");
    let (mut sent, mut answered) = (0, 0);
    for _ in 0..2_000 {
        for request in [binding_request(), unsigned(turn_types::message::ALLOCATE, &[])] {
            sent += request.len();
            if let Outcome::Reply(answer) = scene.send(&stranger, &request) {
                answered += answer.len();
            }
        }
    }
    assert!(answered < sent * 2 / 3, "{answered} bytes for {sent}");
    assert!(scene.server.counts().unanswered.get() > 2_000);
    assert_eq!(scene.send(&from("198.51.100.2:1"), &binding_request()).code(), 0);
    // Somebody who signs speaks for his network, and gets his own answer whatever others have used up.
    while scene.send(&stranger, &binding_request()) != Outcome::Nothing {}
    assert_eq!(friend.refresh(&mut scene, 600).code(), 0);
    assert_eq!(scene.send(&stranger, &binding_request()).code(), 0);
}

#[test]
fn a_caller_whose_network_has_been_used_up_gets_in_by_repeating() {
    let mut scene = Scene::new();
    let stranger = from("198.51.100.1:2000");
    while scene.send(&stranger, &unsigned(turn_types::message::ALLOCATE, &[])) != Outcome::Nothing {}
    let caller = scene.client("198.51.100.1:1000", CALL, Side::A);
    let request = unsigned(turn_types::message::ALLOCATE, &[&udp()]);
    // Browsers send a request seven times (RFC 8489 §6.2.1).
    let answered = (0..7).any(|_| scene.send(&caller.from, &request) != Outcome::Nothing);
    assert!(answered);
}

#[test]
fn no_answer_is_longer_than_it_is_counted() {
    let mut scene = Scene::new();
    for client in ["198.51.100.1:1000", "[2001:db8::1]:1000"] {
        let client = from(client);
        let Outcome::Reply(refusal) = scene.send(&client, &unsigned(turn_types::message::ALLOCATE, &[])) else {
            panic!("no answer");
        };
        assert_eq!(refusal.len(), 60);
        let Outcome::Reply(binding) = scene.send(&client, &binding_request()) else { panic!("no answer") };
        assert!(binding.len() <= 44);
    }
}

#[test]
fn what_is_malformed_gets_no_answer() {
    let mut scene = Scene::new();
    let (a, b) = scene.pair(CALL, 1);
    assert_eq!(a.bind(&mut scene, 0x4000, peer(b.port)).code(), 0);
    let good = [
        binding_request(),
        a.signed(turn_types::message::REFRESH, &[]),
        send_indication(peer(b.port), b"payload"),
        channel_data(0x4000, b"payload"),
    ];
    for bytes in &good {
        assert_ne!(scene.send(&a.from, bytes), Outcome::Nothing);
        for length in 0..bytes.len() {
            let outcome = scene.send(&a.from, &bytes[..length]);
            assert_eq!(outcome, Outcome::Nothing, "cut to {length}");
        }
    }
    for bytes in &good[..3] {
        let mut longer = bytes.clone();
        longer.extend([0; 4]);
        assert_eq!(scene.send(&a.from, &longer), Outcome::Nothing);
        let mut cookie = bytes.clone();
        cookie[5] ^= 1;
        assert_eq!(scene.send(&a.from, &cookie), Outcome::Nothing);
    }
    let mut fingerprint =
        stun_types::message::Message::builder_request(stun_types::message::BINDING, MessageWriteVec::new());
    fingerprint.add_fingerprint().unwrap();
    let mut fingerprint = fingerprint.finish();
    assert_eq!(scene.send(&a.from, &fingerprint).code(), 0);
    *fingerprint.last_mut().unwrap() ^= 1;
    assert_eq!(scene.send(&a.from, &fingerprint), Outcome::Nothing);
}

#[test]
fn responses_and_indications_get_no_answer() {
    use stun_types::message::{BINDING, Message, MessageClass, MessageType};
    use turn_types::message::{ALLOCATE, DATA};
    let mut scene = Scene::new();
    let client = scene.allocated("198.51.100.1:1000", CALL, Side::A);
    for method in [BINDING, ALLOCATE, SEND, DATA] {
        for class in [MessageClass::Success, MessageClass::Error, MessageClass::Indication] {
            let kind = MessageType::from_class_method(class, method);
            let mut builder = Message::builder(kind, 1.into(), MessageWriteVec::new());
            builder.add_attribute(&Data::new(b"x")).unwrap();
            let outcome = scene.send(&client.from, &builder.finish());
            assert_eq!(outcome, Outcome::Nothing);
        }
    }
}

/// The crates that read STUN for us warn of odd packets and trace good ones; an address, a user name or a
/// flood of lines could get into a log by that.
#[test]
fn nothing_that_arrives_is_logged_at_any_level() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();

    let mut scene = Scene::new();
    let (a, b) = scene.pair(CALL, 1);
    assert_eq!(a.bind(&mut scene, 0x4000, peer(b.port)).code(), 0);
    let mut forged = a.clone();
    forged.credentials.credential.clear();
    let mut odd = binding_request();
    odd.extend([0x80, 0x28, 0, 4, 0, 0, 0, 0]);
    odd[3] = 8;
    let datagrams = [
        binding_request(),
        unsigned(turn_types::message::ALLOCATE, &[&udp()]),
        a.signed(turn_types::message::ALLOCATE, &[&udp()]),
        a.signed(turn_types::message::REFRESH, &[]),
        forged.signed(turn_types::message::REFRESH, &[]),
        send_indication(peer(b.port), b"x"),
        send_indication("127.0.0.1:1".parse().unwrap(), b"x"),
        channel_data(0x4000, b"x"),
        odd.clone(),
    ];
    tracing::subscriber::with_default(subscriber, || {
        assert!(crate::relay::message::parse(&odd).is_none());
        assert!(!log.take().is_empty(), "there is something to keep out");

        let mut packet = Packet::new();
        for datagram in &datagrams {
            for length in 0..=datagram.len() {
                packet.replace(&datagram[..length]);
                scene.lane.handle(scene.now, &a.from, &mut packet, || &mut scene.server);
            }
        }
        scene.server.revoke(scene.now, CALL);
        scene.server.sweep(scene.now);
    });
    assert_eq!(log.take(), "");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn take(&self) -> String {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8(bytes).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
