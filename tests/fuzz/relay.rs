//! What must hold of the relay whatever it is sent. The fuzzer's targets call this, and so does a test that replays
//! what the fuzzer has found.

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use sotto::{
    clock::Now,
    protocol::{CallId, RELAYED_ADDRESS, Side, Transport},
    relay::{Action, Credentials, Decoder, FiveTuple, Lane, MAX_DATAGRAM, Packet, REALM, Secret, Server},
};
use stun_types::{
    attribute::{AttributeType, Nonce, RawAttribute, Realm, Username},
    message::{
        IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageClass, MessageIntegrityCredentials, MessageWrite,
        MessageWriteExt, MessageWriteVec, Method,
    },
};
use turn_types::{
    attribute::{ChannelNumber, Data, RequestedTransport, XorPeerAddress, XorRelayedAddress},
    channel::ChannelData,
    message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH, SEND},
};

/// Two calls, two sides of each, and somebody without credentials that are any good.
const CLIENTS: usize = 5;
const OUTSIDER: usize = 4;

static START: LazyLock<Now> = LazyLock::new(|| Now { instant: Instant::now(), unix: 1_800_000_000 });

struct Client {
    from: FiveTuple,
    credentials: Credentials,
    nonce: String,
    port: u16,
}

/// A relay, its clients, and the time.
struct Scene {
    server: Server,
    /// Two threads, each with the routes that it remembers. Every client is handled by both in turn, as where the system
    /// moves half of the clients to a new one.
    lanes: [Lane; 2],
    turn: usize,
    secret: Secret,
    now: Now,
    clients: Vec<Client>,
}

fn call_of(client: usize) -> (CallId, Side) {
    let side = if client & 1 == 0 { Side::A } else { Side::B };
    (CallId::from_u128(1 + client as u128 / 2), side)
}

impl Scene {
    fn new() -> Self {
        let secret = Secret::new(b"the fuzzer's");
        let now = *START;
        let clients = (0..CLIENTS).map(|client| {
            let server = SocketAddr::from(([203, 0, 113, 1], 8080));
            let from = FiveTuple::new(Transport::Udp, ([198, 51, 100, client as u8], 1_000).into(), server);
            let minter = if client == OUTSIDER { &Secret::new(b"the outsider's") } else { &secret };
            let (call, side) = call_of(client);
            let credentials = minter.mint(call, side, now.unix);
            Client { from, credentials, nonce: String::new(), port: 0 }
        });
        let clients = clients.collect();
        let server = Server::new(secret.clone(), [9; 32], now);
        let lanes = [Arc::clone(server.counts()), Arc::clone(server.counts())].map(Lane::new);
        Self { server, lanes, turn: 0, secret, now, clients }
    }

    /// What a thread that remembers nothing would do.
    fn found_anew(&mut self, client: usize, bytes: &[u8]) -> Action {
        let mut packet = Packet::new();
        packet.replace(bytes);
        let mut lane = Lane::new(Arc::clone(self.server.counts()));
        lane.handle(self.now, &self.clients[client].from, &mut packet, || &mut self.server)
    }

    /// Sends as this client, and checks what comes of it. Returns the answer.
    fn send(&mut self, client: usize, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut packet = Packet::new();
        packet.replace(bytes);
        self.turn ^= 1;
        let lane = &mut self.lanes[self.turn];
        match lane.handle(self.now, &self.clients[client].from, &mut packet, || &mut self.server) {
            Action::Nothing => None,
            Action::Reply => {
                let answer = packet.bytes();
                let request = Message::from_bytes(bytes).expect("only whole messages are answered");
                let response = Message::from_bytes(answer).expect("answers are messages");
                assert!(request.has_class(MessageClass::Request));
                assert!(response.is_response());
                assert_eq!(response.transaction_id(), request.transaction_id());
                assert_eq!(response.method(), request.method());
                Some(answer.to_vec())
            }
            Action::Forward(to) => {
                assert!(client != OUTSIDER, "the outsider got in");
                assert!(to == self.clients[client ^ 1].from, "only ever to the partner");
                let dropped = self.server.counts().over_rate.get();
                let anew = self.found_anew(client, bytes);
                let is_over_rate = self.server.counts().over_rate.get() > dropped;
                assert!(anew == Action::Forward(to) || is_over_rate, "what is remembered is what is so");
                self.check_forwarded(client, bytes, packet.bytes());
                None
            }
        }
    }

    /// The payload is the one that went in, and who is named as its sender is.
    fn check_forwarded(&self, client: usize, sent: &[u8], forwarded: &[u8]) {
        let payload = match ChannelData::parse(sent) {
            Ok(data) => data.data().to_vec(),
            Err(_) => {
                let message = Message::from_bytes(sent).expect("ChannelData or a message");
                message.attribute::<Data<'_>>().expect("data").data().to_vec()
            }
        };
        match ChannelData::parse(forwarded) {
            Ok(data) => assert_eq!(data.data(), payload),
            Err(_) => {
                let message = Message::from_bytes(forwarded).expect("ChannelData or a message");
                assert_eq!(message.attribute::<Data<'_>>().expect("data").data(), payload);
                let peer = message.attribute::<XorPeerAddress>().expect("a peer");
                let peer = peer.addr(message.transaction_id());
                assert_eq!(peer, SocketAddr::from((RELAYED_ADDRESS, self.clients[client].port)));
            }
        }
    }

    fn challenge(&mut self, client: usize) {
        let request = Message::builder_request(ALLOCATE, MessageWriteVec::new()).finish();
        let Some(answer) = self.send(client, &request) else { return };
        let challenge = Message::from_bytes(&answer).expect("answers are messages");
        if let Ok(nonce) = challenge.attribute::<Nonce>() {
            self.clients[client].nonce = nonce.nonce().to_owned();
        }
    }

    /// A request with these attributes and a good signature.
    fn signed(&mut self, client: usize, mut request: MessageWriteVec) -> Option<Vec<u8>> {
        let Client { credentials, nonce, .. } = &self.clients[client];
        let Credentials { username, credential } = credentials.clone();
        let added = [
            request.add_attribute(&Username::new(&username).expect("a short name")),
            request.add_attribute(&Realm::new(REALM).expect("a short realm")),
            request.add_attribute(&Nonce::new(nonce).expect("a short nonce")),
        ];
        if added.iter().any(Result::is_err) {
            return None;
        }
        let key: MessageIntegrityCredentials =
            LongTermKeyCredentials::new(username, credential, REALM.to_owned()).into();
        request.add_message_integrity(&key, IntegrityAlgorithm::Sha1).ok()?;
        let request = request.finish();
        (request.len() <= MAX_DATAGRAM).then(|| self.send(client, &request))?
    }

    fn allocate(&mut self, client: usize) {
        self.challenge(client);
        let mut request = Message::builder_request(ALLOCATE, MessageWriteVec::new());
        request.add_attribute(&RequestedTransport::new(RequestedTransport::UDP)).expect("there is room");
        let Some(answer) = self.signed(client, request) else { return };
        let response = Message::from_bytes(&answer).expect("answers are messages");
        if let Ok(relayed) = response.attribute::<XorRelayedAddress>() {
            assert!(client != OUTSIDER, "the outsider got in");
            let relayed = relayed.addr(response.transaction_id());
            assert_eq!(relayed.ip(), RELAYED_ADDRESS);
            self.clients[client].port = relayed.port();
        }
    }

    fn bind(&mut self, client: usize, number: u16, whose: usize) {
        let mut request = Message::builder_request(CHANNEL_BIND, MessageWriteVec::new());
        let peer = SocketAddr::from((RELAYED_ADDRESS, self.clients[whose].port));
        let peer = XorPeerAddress::new(peer, request.transaction_id());
        request.add_attribute(&ChannelNumber::new(number)).expect("there is room");
        request.add_attribute(&peer).expect("there is room");
        self.signed(client, request);
    }

    fn say(&mut self, client: usize, whose: usize, payload: &[u8]) {
        let mut indication = Message::builder_indication(SEND, MessageWriteVec::new());
        let peer = SocketAddr::from((RELAYED_ADDRESS, self.clients[whose].port));
        let peer = XorPeerAddress::new(peer, indication.transaction_id());
        indication.add_attribute(&peer).expect("there is room");
        indication.add_attribute(&Data::new(payload)).expect("there is room");
        self.send(client, &indication.finish());
    }
}

/// The decoder: one datagram after the other from somebody who has a call, with a partner who hears him.
pub fn datagrams(bytes: &[u8]) {
    let mut scene = Scene::new();
    for client in 0..2 {
        scene.allocate(client);
    }
    scene.bind(0, 0x4000, 1);
    scene.bind(1, 0x4001, 0);
    let mut rest = bytes;
    while let [length, tail @ ..] = rest {
        let (datagram, tail) = tail.split_at(tail.len().min(usize::from(*length)));
        rest = tail;
        scene.send(0, datagram);
        scene.send(OUTSIDER, datagram);
    }
}

/// Reads what a sequence is made of off the fuzzer's bytes.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn client(&mut self) -> Option<usize> {
        Some(usize::from(self.byte()?) % CLIENTS)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.byte()?).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        Some(bytes)
    }
}

/// The control state machine: what several clients ask for in any order, well signed and otherwise.
pub fn sequences(bytes: &[u8]) {
    let mut script = Script(bytes);
    let mut scene = Scene::new();
    while step(&mut scene, &mut script).is_some() {}
}

fn step(scene: &mut Scene, script: &mut Script<'_>) -> Option<()> {
    match script.byte()? % 10 {
        0 => scene.allocate(script.client()?),
        1 => {
            let (client, number, whose) = (script.client()?, script.byte()?, script.client()?);
            scene.bind(client, 0x3FFF + u16::from(number) % 8, whose);
        }
        2 => {
            let (client, whose, payload) = (script.client()?, script.client()?, script.bytes()?);
            scene.say(client, whose, payload);
        }
        3 => {
            let (client, number, payload) = (script.client()?, script.byte()?, script.bytes()?);
            let mut bytes = vec![0; 4 + payload.len()];
            ChannelData::new(0x4000 + u16::from(number) % 8, payload).write_into_unchecked(&mut bytes);
            scene.send(client, &bytes);
        }
        4 => {
            let (client, method) = (script.client()?, script.byte()?);
            let method = match method % 5 {
                0 => ALLOCATE,
                1 => REFRESH,
                2 => CREATE_PERMISSION,
                3 => CHANNEL_BIND,
                _ => Method::new(u16::from(method)),
            };
            let mut request = Message::builder_request(method, MessageWriteVec::new());
            for _ in 0..script.byte()? % 6 {
                let kind = u16::from_be_bytes([script.byte()? & 0x80, script.byte()?]);
                let value = script.bytes()?;
                // The builder has ways of their own for these.
                if [0x0008, 0x001C, 0x8028].contains(&kind) {
                    continue;
                }
                let added = request.add_attribute(&RawAttribute::new(AttributeType::new(kind), value));
                if added.is_err() {
                    return Some(());
                }
            }
            scene.signed(client, request);
        }
        5 => {
            let (client, datagram) = (script.client()?, script.bytes()?);
            scene.send(client, datagram);
        }
        6 => scene.now = scene.now.after(Duration::from_secs(u64::from(script.byte()?) * 3)),
        7 => {
            scene.server.sweep(scene.now);
            for lane in &mut scene.lanes {
                lane.sweep(scene.now.instant);
            }
        }
        8 => {
            let (call, _) = call_of(script.client()?);
            scene.server.revoke(scene.now, call);
        }
        _ => {
            let client = script.client()?;
            let (call, side) = call_of(client);
            if client != OUTSIDER {
                scene.clients[client].credentials = scene.secret.mint(call, side, scene.now.unix);
            }
        }
    }
    Some(())
}

/// A stream is cut into the same messages however it arrives. The input begins with the lengths of the pieces.
pub fn framing(bytes: &[u8]) {
    let Some((&count, rest)) = bytes.split_first() else { return };
    let (pieces, stream) = rest.split_at(usize::from(count % 32).min(rest.len()));
    let (messages, malformed) = cut(stream, &[]);
    assert_eq!((&messages, malformed), (&cut(stream, pieces).0, cut(stream, pieces).1));
    let mut at = 0;
    for message in messages {
        assert!(message.len() <= MAX_DATAGRAM && stream[at..].starts_with(&message));
        at += message.len().next_multiple_of(4);
    }
}

/// The messages of a stream that comes in pieces of these lengths, over and over, and whether it broke off.
fn cut(mut stream: &[u8], pieces: &[u8]) -> (Vec<Vec<u8>>, bool) {
    let mut decoder = Decoder::new();
    let mut lengths = pieces.iter().cycle().map(|length| usize::from(*length).max(1));
    let mut messages = Vec::new();
    loop {
        loop {
            match decoder.message() {
                Ok(Some(message)) => messages.push(message.to_vec()),
                Ok(None) => break,
                Err(_) => return (messages, true),
            }
        }
        if stream.is_empty() {
            return (messages, false);
        }
        let room = decoder.room();
        let length = lengths.next().unwrap_or(usize::MAX).min(room.len()).min(stream.len());
        assert!(length > 0, "there is always room for what is missing");
        room[..length].copy_from_slice(&stream[..length]);
        decoder.filled(length);
        stream = &stream[length..];
    }
}
