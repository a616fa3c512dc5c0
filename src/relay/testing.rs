//! What the relay's tests share: clients that speak TURN to a [`Server`] without a network.

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};

use stun_types::{
    attribute::{ErrorCode, Nonce, Realm, Username},
    message::{
        BINDING, IntegrityAlgorithm, IntegrityKey, LongTermKeyCredentials, Message, MessageClass, MessageWrite,
        MessageWriteExt, MessageWriteVec, Method,
    },
    prelude::{AttributeFromRaw, AttributeStaticType, AttributeWrite},
};
use turn_types::{
    attribute::{ChannelNumber, Data, Lifetime, RequestedTransport, XorPeerAddress, XorRelayedAddress},
    channel::ChannelData,
    message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, DATA, REFRESH, SEND},
};

use super::{
    credentials::{Credentials, REALM, Secret},
    five_tuple::FiveTuple,
    lane::Lane,
    message,
    packet::Packet,
    server::{Action, Server},
};
use crate::{
    clock::Now,
    protocol::{CallId, RELAYED_ADDRESS, Side, Transport},
};

/// The moment at which every test begins.
pub static START: LazyLock<Now> = LazyLock::new(|| Now { instant: std::time::Instant::now(), unix: 1_800_000_000 });

pub const CALL: CallId = CallId::from_u128(0x67e5504410b1426f9247bb680e5fe0c8);
pub const OTHER_CALL: CallId = CallId::from_u128(0x67e5504410b1426f9247bb680e5fe0c9);

/// The 5-tuple of a client at this address.
pub fn from(client: &str) -> FiveTuple {
    let server = SocketAddr::from(([203, 0, 113, 1], 8080));
    FiveTuple::new(Transport::Udp, client.parse().unwrap(), server)
}

/// The address of the peer with this virtual port.
pub fn peer(port: u16) -> SocketAddr {
    (RELAYED_ADDRESS, port).into()
}

/// What came of a datagram.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    Nothing,
    Reply(Vec<u8>),
    Forward(FiveTuple, Vec<u8>),
}

impl Outcome {
    /// The error code of a reply; 0 for success.
    pub fn code(&self) -> u16 {
        let Self::Reply(bytes) = self else {
            panic!("no reply: {self:?}");
        };
        let reply = message::parse(bytes).unwrap();
        match reply.class() {
            MessageClass::Success => 0,
            MessageClass::Error => reply.attribute::<ErrorCode>().unwrap().code(),
            class => panic!("{class:?} is no response"),
        }
    }

    /// An attribute of a reply.
    pub fn attribute<A>(&self) -> A
    where
        A: for<'a> AttributeFromRaw<'a> + AttributeStaticType,
    {
        let Self::Reply(bytes) = self else {
            panic!("no reply: {self:?}");
        };
        message::parse(bytes).unwrap().attribute().unwrap()
    }

    /// What the receiver reads: to whom, on which channel or from which peer, and the payload.
    pub fn delivered(&self) -> (FiveTuple, Result<u16, SocketAddr>, Vec<u8>) {
        let Self::Forward(to, bytes) = self else {
            panic!("not forwarded: {self:?}");
        };
        if let Ok(data) = ChannelData::parse(bytes) {
            assert_eq!(bytes.len(), 4 + data.data().len());
            return (*to, Ok(data.id()), data.data().to_vec());
        }
        let indication = message::parse(bytes).unwrap();
        assert_eq!(indication.class(), MessageClass::Indication);
        assert_eq!(indication.method(), DATA);
        let peer: XorPeerAddress = indication.attribute().unwrap();
        let data: Data<'_> = indication.attribute().unwrap();
        let peer = peer.addr(indication.transaction_id());
        (*to, Err(peer), data.data().to_vec())
    }
}

/// A relay, and the time.
pub struct Scene {
    pub server: Server,
    pub lane: Lane,
    pub now: Now,
    pub secret: Secret,
}

impl Scene {
    pub fn new() -> Self {
        let secret = Secret::new(b"a secret of tests");
        let server = Server::new(secret.clone(), [42; 32], *START);
        let lane = Lane::new(Arc::clone(server.counts()));
        Self { server, lane, now: *START, secret }
    }

    pub fn pass(&mut self, seconds: u64) {
        self.now = self.now.after(Duration::from_secs(seconds));
    }

    pub fn send(&mut self, from: &FiveTuple, bytes: &[u8]) -> Outcome {
        let mut packet = Packet::new();
        packet.replace(bytes);
        match self.lane.handle(self.now, from, &mut packet, || &mut self.server) {
            Action::Nothing => Outcome::Nothing,
            Action::Reply => Outcome::Reply(packet.bytes().to_vec()),
            Action::Forward(to) => Outcome::Forward(to, packet.bytes().to_vec()),
        }
    }

    /// Somebody with fresh credentials.
    pub fn client(&self, address: &str, call: CallId, side: Side) -> Client {
        Client {
            from: from(address),
            credentials: self.secret.mint(call, side, self.now.unix),
            nonce: String::new(),
            port: 0,
        }
    }

    /// The same, with an allocation.
    pub fn allocated(&mut self, address: &str, call: CallId, side: Side) -> Client {
        let mut client = self.client(address, call, side);
        client.challenge(self);
        let outcome = client.allocate(self);
        assert_eq!(outcome.code(), 0);
        client.port = port_of(&outcome);
        client
    }

    /// Both sides of a call, each with an allocation and a permission.
    pub fn pair(&mut self, call: CallId, network: u8) -> (Client, Client) {
        let a = self.allocated(&format!("198.51.100.{network}:1000"), call, Side::A);
        let b = self.allocated(&format!("198.51.100.{network}:2000"), call, Side::B);
        assert_eq!(a.permit(self, &[peer(b.port)]).code(), 0);
        assert_eq!(b.permit(self, &[peer(a.port)]).code(), 0);
        (a, b)
    }
}

/// The virtual port in an Allocate success response.
pub fn port_of(outcome: &Outcome) -> u16 {
    let Outcome::Reply(bytes) = outcome else {
        panic!("no reply: {outcome:?}");
    };
    let reply = message::parse(bytes).unwrap();
    let relayed: XorRelayedAddress = reply.attribute().unwrap();
    let address = relayed.addr(reply.transaction_id());
    assert_eq!(address.ip(), RELAYED_ADDRESS);
    address.port()
}

/// Somebody who speaks TURN.
#[derive(Clone)]
pub struct Client {
    pub from: FiveTuple,
    pub credentials: Credentials,
    pub nonce: String,
    /// Its virtual port, once it has one.
    pub port: u16,
}

impl Client {
    /// Asks without credentials, and keeps the nonce.
    pub fn challenge(&mut self, scene: &mut Scene) {
        let outcome = scene.send(&self.from, &unsigned(ALLOCATE, &[&udp()]));
        assert_eq!(outcome.code(), ErrorCode::UNAUTHORIZED);
        assert_eq!(outcome.attribute::<Realm>().realm(), REALM);
        self.nonce = outcome.attribute::<Nonce>().nonce().to_owned();
    }

    pub fn key(&self) -> IntegrityKey {
        let Credentials { username, credential } = self.credentials.clone();
        LongTermKeyCredentials::new(username, credential, REALM.to_owned()).make_key(IntegrityAlgorithm::Sha1)
    }

    /// A request with these attributes, signed.
    pub fn signed(&self, method: Method, attributes: &[&dyn AttributeWrite]) -> Vec<u8> {
        let request = build(method, attributes);
        self.sign(request)
    }

    pub fn sign(&self, mut request: MessageWriteVec) -> Vec<u8> {
        let username = Username::new(&self.credentials.username).unwrap();
        request.add_attribute(&username).unwrap();
        request.add_attribute(&Realm::new(REALM).unwrap()).unwrap();
        request.add_attribute(&Nonce::new(&self.nonce).unwrap()).unwrap();
        let sha1 = IntegrityAlgorithm::Sha1;
        request.add_message_integrity_with_key(&self.key(), sha1).unwrap();
        request.finish()
    }

    pub fn request(&self, scene: &mut Scene, method: Method, attributes: &[&dyn AttributeWrite]) -> Outcome {
        let outcome = scene.send(&self.from, &self.signed(method, attributes));
        if let Outcome::Reply(bytes) = &outcome
            && ![400, 401, 438].contains(&outcome.code())
        {
            let reply = message::parse(bytes).unwrap();
            assert!(reply.validate_integrity_with_key(&self.key()).is_ok());
        }
        outcome
    }

    pub fn allocate(&self, scene: &mut Scene) -> Outcome {
        self.request(scene, ALLOCATE, &[&udp()])
    }

    pub fn refresh(&self, scene: &mut Scene, lifetime: u32) -> Outcome {
        self.request(scene, REFRESH, &[&Lifetime::new(lifetime)])
    }

    pub fn permit(&self, scene: &mut Scene, peers: &[SocketAddr]) -> Outcome {
        let mut request = build(CREATE_PERMISSION, &[]);
        for peer in peers {
            let peer = XorPeerAddress::new(*peer, request.transaction_id());
            request.add_attribute(&peer).unwrap();
        }
        let request = self.sign(request);
        scene.send(&self.from, &request)
    }

    pub fn bind(&self, scene: &mut Scene, number: u16, peer: SocketAddr) -> Outcome {
        scene.send(&self.from, &self.bind_request(number, peer))
    }

    pub fn bind_request(&self, number: u16, peer: SocketAddr) -> Vec<u8> {
        let mut request = build(CHANNEL_BIND, &[]);
        let peer = XorPeerAddress::new(peer, request.transaction_id());
        request.add_attribute(&ChannelNumber::new(number)).unwrap();
        request.add_attribute(&peer).unwrap();
        self.sign(request)
    }

    pub fn say(&self, scene: &mut Scene, peer: SocketAddr, payload: &[u8]) -> Outcome {
        scene.send(&self.from, &send_indication(peer, payload))
    }

    pub fn say_on(&self, scene: &mut Scene, number: u16, payload: &[u8]) -> Outcome {
        scene.send(&self.from, &channel_data(number, payload))
    }
}

pub fn udp() -> RequestedTransport {
    RequestedTransport::new(RequestedTransport::UDP)
}

pub fn build(method: Method, attributes: &[&dyn AttributeWrite]) -> MessageWriteVec {
    let mut request = Message::builder_request(method, MessageWriteVec::new());
    for attribute in attributes {
        request.add_attribute(*attribute).unwrap();
    }
    request
}

pub fn unsigned(method: Method, attributes: &[&dyn AttributeWrite]) -> Vec<u8> {
    build(method, attributes).finish()
}

pub fn binding_request() -> Vec<u8> {
    unsigned(BINDING, &[])
}

pub fn send_indication(peer: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut indication = Message::builder_indication(SEND, MessageWriteVec::new());
    let peer = XorPeerAddress::new(peer, indication.transaction_id());
    indication.add_attribute(&peer).unwrap();
    indication.add_attribute(&Data::new(payload)).unwrap();
    indication.finish()
}

pub fn channel_data(number: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 4 + payload.len()];
    ChannelData::new(number, payload).write_into_unchecked(&mut bytes);
    bytes
}
