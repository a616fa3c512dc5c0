//! A small TURN client (RFC 8656) over UDP.

use std::{
    net::{SocketAddr, UdpSocket},
    time::Duration,
};

use sotto::relay::Credentials;
use stun_types::{
    attribute::{ErrorCode, Nonce, Realm, Username, XorMappedAddress},
    message::{
        BINDING, IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageClass, MessageIntegrityCredentials,
        MessageWrite, MessageWriteExt, MessageWriteVec, Method,
    },
    prelude::AttributeWrite,
};
use turn_types::{
    attribute::{ChannelNumber, Data, Lifetime, RequestedTransport, XorPeerAddress, XorRelayedAddress},
    channel::ChannelData,
    message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, DATA, REFRESH, SEND},
};

/// How long anything that must come may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// What came through the relay.
#[derive(Debug, PartialEq)]
pub struct Received {
    by: Result<u16, SocketAddr>,
    payload: Vec<u8>,
}

impl Received {
    pub fn on_channel(number: u16, payload: &[u8]) -> Self {
        let payload = payload.to_vec();
        Self { by: Ok(number), payload }
    }

    pub fn from_peer(peer: SocketAddr, payload: &[u8]) -> Self {
        let payload = payload.to_vec();
        Self { by: Err(peer), payload }
    }
}

pub struct Client {
    socket: UdpSocket,
    credentials: Credentials,
    realm: String,
    nonce: String,
    /// What the relay said this client looks like.
    pub mapped: SocketAddr,
    /// What peers know it by.
    pub relayed: SocketAddr,
}

impl Client {
    pub fn new(local: SocketAddr, server: SocketAddr, credentials: Credentials) -> Self {
        let socket = UdpSocket::bind(local).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self {
            socket,
            credentials,
            realm: "sotto".to_owned(),
            nonce: "none yet".to_owned(),
            mapped: local,
            relayed: local,
        }
    }

    pub fn local_address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    pub fn set_password(&mut self, password: &str) {
        self.credentials.credential = password.to_owned();
    }

    pub fn take_nonce(&mut self, other: &Self) {
        self.nonce = other.nonce.clone();
    }

    /// Allocates as a browser does: asks, is challenged, asks again. Returns the error code, 0 for success.
    pub fn allocate(&mut self) -> u16 {
        let udp = RequestedTransport::new(RequestedTransport::UDP);
        let mut first = Message::builder_request(ALLOCATE, MessageWriteVec::new());
        first.add_attribute(&udp).unwrap();
        let challenge = self.exchange(first);
        let challenge = Message::from_bytes(&challenge).unwrap();
        assert_eq!(code(&challenge), 401);
        let realm: Realm = challenge.attribute().unwrap();
        let nonce: Nonce = challenge.attribute().unwrap();
        self.realm = realm.realm().to_owned();
        self.nonce = nonce.nonce().to_owned();

        let response = self.request(ALLOCATE, &[&udp], None);
        let response = Message::from_bytes(&response).unwrap();
        if code(&response) == 0 {
            let transaction = response.transaction_id();
            let mapped: XorMappedAddress = response.attribute().unwrap();
            let relayed: XorRelayedAddress = response.attribute().unwrap();
            self.mapped = mapped.addr(transaction);
            self.relayed = relayed.addr(transaction);
        }
        code(&response)
    }

    pub fn refresh(&self, lifetime: u32) -> u16 {
        self.code_of(REFRESH, &[&Lifetime::new(lifetime)], None)
    }

    pub fn permit(&self, peer: SocketAddr) -> u16 {
        self.code_of(CREATE_PERMISSION, &[], Some(peer))
    }

    pub fn bind(&self, number: u16, peer: SocketAddr) -> u16 {
        self.code_of(CHANNEL_BIND, &[&ChannelNumber::new(number)], Some(peer))
    }

    /// A Binding request; returns what the relay said this client looks like.
    pub fn binding(&self) -> SocketAddr {
        let request = Message::builder_request(BINDING, MessageWriteVec::new());
        let response = self.exchange(request);
        let response = Message::from_bytes(&response).unwrap();
        let mapped: XorMappedAddress = response.attribute().unwrap();
        mapped.addr(response.transaction_id())
    }

    /// Sends in a Send indication.
    pub fn send(&self, peer: SocketAddr, payload: &[u8]) {
        let mut indication = Message::builder_indication(SEND, MessageWriteVec::new());
        let peer = XorPeerAddress::new(peer, indication.transaction_id());
        indication.add_attribute(&peer).unwrap();
        indication.add_attribute(&Data::new(payload)).unwrap();
        self.socket.send(&indication.finish()).unwrap();
    }

    /// Sends in ChannelData.
    pub fn send_on(&self, number: u16, payload: &[u8]) {
        let mut bytes = vec![0; 4 + payload.len()];
        ChannelData::new(number, payload).write_into_unchecked(&mut bytes);
        self.socket.send(&bytes).unwrap();
    }

    /// The next payload that comes through the relay.
    pub fn receive(&self) -> Received {
        let bytes = self.next_datagram();
        if let Ok(data) = ChannelData::parse(&bytes) {
            return Received::on_channel(data.id(), data.data());
        }
        let message = Message::from_bytes(&bytes).unwrap();
        assert_eq!(message.class(), MessageClass::Indication);
        assert_eq!(message.method(), DATA);
        let peer: XorPeerAddress = message.attribute().unwrap();
        let data: Data<'_> = message.attribute().unwrap();
        Received::from_peer(peer.addr(message.transaction_id()), data.data())
    }

    fn code_of(&self, method: Method, attributes: &[&dyn AttributeWrite], peer: Option<SocketAddr>) -> u16 {
        let response = self.request(method, attributes, peer);
        code(&Message::from_bytes(&response).unwrap())
    }

    fn request(&self, method: Method, attributes: &[&dyn AttributeWrite], peer: Option<SocketAddr>) -> Vec<u8> {
        let mut request = Message::builder_request(method, MessageWriteVec::new());
        for attribute in attributes {
            request.add_attribute(*attribute).unwrap();
        }
        if let Some(peer) = peer {
            let peer = XorPeerAddress::new(peer, request.transaction_id());
            request.add_attribute(&peer).unwrap();
        }
        let Credentials { username, credential } = self.credentials.clone();
        let user = Username::new(&username).unwrap();
        request.add_attribute(&user).unwrap();
        request.add_attribute(&Realm::new(&self.realm).unwrap()).unwrap();
        request.add_attribute(&Nonce::new(&self.nonce).unwrap()).unwrap();
        let credentials: MessageIntegrityCredentials =
            LongTermKeyCredentials::new(username, credential, self.realm.clone()).into();
        request.add_message_integrity(&credentials, IntegrityAlgorithm::Sha1).unwrap();
        let bytes = self.exchange(request);
        let response = Message::from_bytes(&bytes).unwrap();
        if ![401, 438].contains(&code(&response)) {
            assert!(response.validate_integrity(&credentials).is_ok());
        }
        bytes
    }

    /// Sends a request; the next datagram has to be its response.
    fn exchange(&self, request: MessageWriteVec) -> Vec<u8> {
        let (method, transaction) = (request.method(), request.transaction_id());
        self.socket.send(&request.finish()).unwrap();
        let bytes = self.next_datagram();
        let response = Message::from_bytes(&bytes).unwrap();
        assert!(response.is_response());
        assert_eq!(response.method(), method);
        assert_eq!(response.transaction_id(), transaction);
        bytes
    }

    fn next_datagram(&self) -> Vec<u8> {
        let mut buffer = vec![0; 4_096];
        let length = self.socket.recv(&mut buffer).unwrap();
        buffer.truncate(length);
        buffer
    }
}

/// The error code of a response; 0 for success.
fn code(response: &Message<'_>) -> u16 {
    match response.class() {
        MessageClass::Success => 0,
        _ => response.attribute::<ErrorCode>().unwrap().code(),
    }
}
