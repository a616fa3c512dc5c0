//! Whatever several clients do in whatever order, a payload only ever reaches the partner.

use std::sync::Arc;

use proptest::{collection::vec, prelude::*, sample::select};

use crate::{
    protocol::{CallId, Side},
    relay::{
        five_tuple::FiveTuple,
        lane::Lane,
        packet::Packet,
        server::Action,
        testing::{CALL, Client, OTHER_CALL, Outcome, Scene, channel_data, peer, port_of, send_indication},
    },
};

/// Two calls, two sides, two clients each.
const CLIENTS: usize = 8;

#[derive(Debug, Clone)]
enum Step {
    Allocate(usize),
    Refresh(usize, bool),
    /// A client, and whose port; 8 is nobody's.
    Permit(usize, usize),
    Bind(usize, u16, usize),
    Say(usize, usize),
    SayOn(usize, u16),
    Pass(u64),
    Revoke(bool),
    Sweep,
    Noise(usize, Vec<u8>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let client = || 0..CLIENTS;
    let whose = || 0..=CLIENTS;
    let channel = || 0x3FFE..0x4004_u16;
    let step = prop_oneof![
        6 => client().prop_map(Step::Allocate),
        1 => (client(), any::<bool>()).prop_map(|(who, end)| Step::Refresh(who, end)),
        6 => (client(), whose()).prop_map(|(who, whose)| Step::Permit(who, whose)),
        6 => (client(), channel(), whose())
            .prop_map(|(who, number, whose)| Step::Bind(who, number, whose)),
        8 => (client(), whose()).prop_map(|(who, whose)| Step::Say(who, whose)),
        8 => (client(), channel()).prop_map(|(who, number)| Step::SayOn(who, number)),
        1 => (0..200_u64).prop_map(Step::Pass),
        1 => Just(Step::Sweep),
        2 => (client(), vec(any::<u8>(), 0..80)).prop_map(|(who, noise)| Step::Noise(who, noise)),
    ];
    let all = (0..CLIENTS).flat_map(|who| [Step::Allocate(who), Step::Permit(who, who)]);
    let start = Just(all.collect::<Vec<_>>());
    let revoked = prop_oneof![Just(vec![]), any::<bool>().prop_map(|first| vec![Step::Revoke(first)])];
    (start, vec(step.clone(), 1..80), revoked, vec(step, 1..40))
        .prop_map(|(start, before, revoked, after)| [start, before, revoked, after].concat())
}

fn owner(client: usize) -> (CallId, Side) {
    let call = if client & 4 == 0 { CALL } else { OTHER_CALL };
    let side = if client & 2 == 0 { Side::A } else { Side::B };
    (call, side)
}

fn port(clients: &[Client], whose: usize) -> u16 {
    clients.get(whose).map_or(50_000, |client| client.port)
}

/// Where a payload would go, and how it would begin, if nothing were remembered.
fn found_anew(scene: &mut Scene, sender: &Client, bytes: &[u8]) -> Option<(FiveTuple, Vec<u8>)> {
    let mut packet = Packet::new();
    packet.replace(bytes);
    let mut lane = Lane::new(Arc::clone(scene.server.counts()));
    match lane.handle(scene.now, &sender.from, &mut packet, || &mut scene.server) {
        Action::Forward(to) => Some((to, packet.bytes()[..4].to_vec())),
        _ => None,
    }
}

/// Returns how many payloads were forwarded.
fn play(steps: Vec<Step>) -> Result<usize, TestCaseError> {
    let mut scene = Scene::new();
    let mut clients: Vec<Client> = (0..CLIENTS)
        .map(|index| {
            let (call, side) = owner(index);
            scene.client(&format!("127.0.0.{}:1000", index + 1), call, side)
        })
        .collect();
    let mut forwarded = 0;
    for step in steps {
        let mut found = None;
        let (sender, payload, outcome) = match step {
            Step::Allocate(who) => {
                let (call, side) = owner(who);
                let client = &mut clients[who];
                client.challenge(&mut scene);
                let outcome = client.allocate(&mut scene);
                match outcome.code() {
                    0 => client.port = port_of(&outcome),
                    401 => client.credentials = scene.secret.mint(call, side, scene.now.unix),
                    _ => {}
                }
                (who, None, outcome)
            }
            Step::Refresh(who, end) => {
                let lifetime = if end { 0 } else { 600 };
                (who, None, clients[who].refresh(&mut scene, lifetime))
            }
            Step::Permit(who, whose) => {
                let peer = peer(port(&clients, whose));
                (who, None, clients[who].permit(&mut scene, &[peer]))
            }
            Step::Bind(who, number, whose) => {
                let peer = peer(port(&clients, whose));
                (who, None, clients[who].bind(&mut scene, number, peer))
            }
            Step::Say(who, whose) => {
                let bytes = send_indication(peer(port(&clients, whose)), b"said");
                found = Some(found_anew(&mut scene, &clients[who], &bytes));
                (who, Some(&b"said"[..]), scene.send(&clients[who].from, &bytes))
            }
            Step::SayOn(who, number) => {
                let bytes = channel_data(number, b"on a channel");
                found = Some(found_anew(&mut scene, &clients[who], &bytes));
                let outcome = scene.send(&clients[who].from, &bytes);
                (who, Some(&b"on a channel"[..]), outcome)
            }
            Step::Noise(who, noise) => {
                let outcome = scene.send(&clients[who].from, &noise);
                prop_assert!(!matches!(outcome, Outcome::Reply(_)));
                (who, None, outcome)
            }
            Step::Pass(seconds) => {
                scene.pass(seconds);
                continue;
            }
            Step::Revoke(first) => {
                let call = if first { CALL } else { OTHER_CALL };
                scene.server.revoke(scene.now, call);
                continue;
            }
            Step::Sweep => {
                scene.server.sweep(scene.now);
                continue;
            }
        };
        scene.server.table.len();
        if let Some(found) = found {
            let gone = match &outcome {
                Outcome::Forward(to, bytes) => Some((*to, bytes[..4].to_vec())),
                _ => None,
            };
            prop_assert_eq!(gone, found, "a remembered route is the one that would be found now");
        }
        if let Outcome::Forward(to, _) = &outcome {
            let receiver = clients.iter().position(|client| client.from == *to);
            let (call, side) = owner(receiver.unwrap());
            prop_assert_eq!(owner(sender), (call, side.other()));
            let (_, by, received) = outcome.delivered();
            prop_assert!(payload.is_none_or(|payload| payload == received));
            if let Err(peer_address) = by {
                prop_assert_eq!(peer_address, peer(clients[sender].port));
            }
            forwarded += 1;
        }
    }
    Ok(forwarded)
}

/// So many of them. What failed is printed, and kept nowhere.
fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(count) }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn a_payload_only_ever_reaches_the_partner(steps in steps()) {
        play(steps)?;
    }

    #[test]
    fn bytes_of_any_kind_make_nobody_answer_or_fall(bytes in vec(any::<u8>(), 0..120)) {
        let mut scene = Scene::new();
        let (a, _) = scene.pair(CALL, 1);
        let outcome = scene.send(&a.from, &bytes);
        prop_assert_eq!(outcome, Outcome::Nothing);
    }

    #[test]
    fn a_damaged_request_changes_nothing(
        at in 0..200_usize,
        bit in 0..8_u8,
        kind in 0..4_usize,
    ) {
        let mut scene = Scene::new();
        let (a, b) = scene.pair(CALL, 1);
        let mut request = match kind {
            0 => a.signed(turn_types::message::REFRESH, &[&turn_types::attribute::Lifetime::new(0)]),
            1 => a.signed(turn_types::message::ALLOCATE, &[]),
            2 => a.signed(turn_types::message::CREATE_PERMISSION, &[]),
            _ => a.signed(turn_types::message::CHANNEL_BIND, &[]),
        };
        let at = at % request.len();
        request[at] ^= 1 << bit;
        // One bit makes an Allocate request a Binding request, which needs no signature.
        prop_assume!(request[..2] != [0, 1]);
        let outcome = scene.send(&a.from, &request);
        prop_assert!(!matches!(outcome, Outcome::Forward(..)));
        prop_assert!(matches!(outcome, Outcome::Nothing) || outcome.code() != 0);
        prop_assert_eq!(scene.server.table.len(), 2);
        let said = a.say(&mut scene, peer(b.port), b"x");
        prop_assert_eq!(said.delivered().0, b.from);
    }
}

/// An attribute of any type, those that mean something more often, of any length, its own more often.
fn attribute() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let kind = prop_oneof![
        3 => select(vec![0x0008_u16, 0x001C, 0x8028]),
        3 => select(vec![
            0x0006, 0x000C, 0x000D, 0x0012, 0x0013, 0x0014, 0x0015, 0x0017, 0x0018, 0x0019, 0x0022,
            0x8000,
        ]),
        1 => any::<u16>(),
    ];
    let length = prop_oneof![
        6 => select(vec![0_usize, 1, 4, 8, 16, 20, 32]),
        1 => 0..40_usize,
    ];
    let value = length.prop_flat_map(|length| vec(any::<u8>(), length));
    (kind, value)
}

proptest! {
    #![proptest_config(cases(2_000))]

    /// With a good nonce and a user name that reads well, so that it gets as far as it can.
    #[test]
    fn attributes_in_any_order_change_nothing_without_a_signature(
        method in select(vec![1_u8, 3, 4, 8, 9]),
        before in vec(attribute(), 0..4),
        after in vec(attribute(), 0..6),
        has_integrity: bool,
    ) {
        let mut scene = Scene::new();
        let (a, _) = scene.pair(CALL, 1);
        let username = a.credentials.username.clone().into_bytes();
        let named = [
            (0x0006, username),
            (0x0014, b"sotto".to_vec()),
            (0x0015, a.nonce.clone().into_bytes()),
        ];
        let integrity = has_integrity.then(|| (0x0008, vec![7; 20]));
        let mut bytes = vec![0, method, 0, 0, 0x21, 0x12, 0xA4, 0x42];
        bytes.extend([9; 12]);
        for (kind, value) in before.into_iter().chain(named).chain(integrity).chain(after) {
            bytes.extend(u16::to_be_bytes(kind));
            bytes.extend((value.len() as u16).to_be_bytes());
            bytes.extend(&value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        let length = (bytes.len() - 20) as u16;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        let outcome = scene.send(&a.from, &bytes);
        let is_binding = method == 1;
        prop_assert!(is_binding || outcome == Outcome::Nothing || outcome.code() != 0);
        prop_assert_eq!(scene.server.table.len(), 2);
    }
}

/// The first property would hold of a relay that forwards nothing; this one does forward.
#[test]
fn the_sequences_are_not_empty() {
    use proptest::{
        strategy::ValueTree,
        test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let forwarded: usize = (0..200).map(|_| play(steps().new_tree(&mut runner).unwrap().current()).unwrap()).sum();
    assert!(forwarded > 300, "{forwarded}");
}
