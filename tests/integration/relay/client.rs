//! A small TURN client (RFC 8656) over UDP, TCP and TLS.

use std::{
    cell::RefCell,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
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
use tokio_rustls::rustls::StreamOwned;
use turn_types::{
    attribute::{ChannelNumber, Data, Lifetime, RequestedTransport, XorPeerAddress, XorRelayedAddress},
    channel::ChannelData,
    message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, DATA, REFRESH, SEND},
};

use crate::tls;

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

enum Wire {
    Datagrams(UdpSocket),
    /// The socket, and what is spoken on it.
    Stream(TcpStream, RefCell<Box<dyn ReadWrite>>),
}

trait ReadWrite: Read + Write {}

impl<T: Read + Write> ReadWrite for T {}

fn connect(server: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(server).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.set_write_timeout(Some(DEADLINE)).unwrap();
    socket
}

pub struct Client {
    wire: Wire,
    local: SocketAddr,
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
        Self::over(Wire::Datagrams(socket), credentials)
    }

    /// A client that comes by TCP.
    pub fn tcp(server: SocketAddr, credentials: Credentials) -> Self {
        let socket = connect(server);
        let again = socket.try_clone().unwrap();
        Self::over(Wire::Stream(again, RefCell::new(Box::new(socket))), credentials)
    }

    /// A client that comes by TLS, offers these protocols and trusts whoever is there.
    pub fn tls(server: SocketAddr, credentials: Credentials, protocols: &[&str]) -> Self {
        let socket = connect(server);
        let again = socket.try_clone().unwrap();
        let stream = StreamOwned::new(tls::connection(protocols), socket);
        Self::over(Wire::Stream(again, RefCell::new(Box::new(stream))), credentials)
    }

    fn over(wire: Wire, credentials: Credentials) -> Self {
        let local = match &wire {
            Wire::Datagrams(socket) => socket.local_addr().unwrap(),
            Wire::Stream(socket, _) => socket.local_addr().unwrap(),
        };
        Self {
            wire,
            local,
            credentials,
            realm: "sotto".to_owned(),
            nonce: "none yet".to_owned(),
            mapped: local,
            relayed: local,
        }
    }

    pub fn local_address(&self) -> SocketAddr {
        self.local
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
        self.write(&indication.finish()).unwrap();
    }

    /// Sends in ChannelData.
    pub fn send_on(&self, number: u16, payload: &[u8]) {
        let mut bytes = vec![0; 4 + payload.len()];
        ChannelData::new(number, payload).write_into_unchecked(&mut bytes);
        self.write(&bytes).unwrap();
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
        self.write(&request.finish()).unwrap();
        let bytes = self.next_datagram();
        let response = Message::from_bytes(&bytes).unwrap();
        assert!(response.is_response());
        assert_eq!(response.method(), method);
        assert_eq!(response.transaction_id(), transaction);
        bytes
    }

    fn next_datagram(&self) -> Vec<u8> {
        self.read().unwrap()
    }

    /// Sends a message as it is.
    pub fn write(&self, message: &[u8]) -> io::Result<()> {
        match &self.wire {
            Wire::Datagrams(socket) => socket.send(message).map(drop),
            Wire::Stream(_, stream) => {
                let padding = message.len().next_multiple_of(4) - message.len();
                stream.borrow_mut().write_all(&[message, &[0; 3][..padding]].concat())
            }
        }
    }

    /// Waits for the next message.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        match &self.wire {
            Wire::Datagrams(socket) => {
                let mut buffer = vec![0; 4_096];
                let length = socket.recv(&mut buffer)?;
                buffer.truncate(length);
                Ok(buffer)
            }
            Wire::Stream(_, stream) => {
                let mut stream = stream.borrow_mut();
                let mut message = vec![0; 4];
                stream.read_exact(&mut message)?;
                let length = usize::from(u16::from_be_bytes([message[2], message[3]]));
                let is_data = message[0] & 0xC0 == 0x40;
                let whole = if is_data { 4 + length } else { 20 + length };
                message.resize(whole.next_multiple_of(4), 0);
                stream.read_exact(&mut message[4..])?;
                message.truncate(whole);
                Ok(message)
            }
        }
    }

    /// Has the system take in as little as it can before this is read.
    pub fn take_little(&self) {
        if let Wire::Stream(socket, _) = &self.wire {
            socket2::SockRef::from(socket).set_recv_buffer_size(4_096).unwrap();
        }
    }

    /// How long [`Self::read`] waits.
    pub fn wait_at_most(&self, time: Duration) {
        match &self.wire {
            Wire::Datagrams(socket) => socket.set_read_timeout(Some(time)).unwrap(),
            Wire::Stream(socket, _) => socket.set_read_timeout(Some(time)).unwrap(),
        }
    }
}

/// The error code of a response; 0 for success.
fn code(response: &Message<'_>) -> u16 {
    match response.class() {
        MessageClass::Success => 0,
        _ => response.attribute::<ErrorCode>().unwrap().code(),
    }
}
