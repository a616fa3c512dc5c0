//! What requests get for an answer (RFC 8656 §7 to §12, RFC 8489 §9.2).

use std::net::{IpAddr, SocketAddr};

use stun_types::{
    AddressFamily,
    attribute::{ErrorCode, MessageIntegrity, Nonce, Realm, Username},
    message::{BINDING, IntegrityKey, Message},
    prelude::{Attribute, AttributeStaticType},
};
use turn_types::{
    attribute::{
        AdditionalAddressFamily, AddressErrorCode, ChannelNumber, EvenPort, Lifetime, RequestedAddressFamily,
        RequestedTransport, ReservationToken, XorPeerAddress, XorRelayedAddress,
    },
    message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH},
};

use super::Server;
use crate::{
    clock::Now,
    protocol::{RELAYED_ADDRESS, Transport},
    relay::{
        allocation::Allocation,
        credentials::{REALM, User},
        five_tuple::FiveTuple,
        message::{Response, not_comprehended, optional, required},
        table::MAX_PER_SIDE,
    },
};

/// The range of virtual ports (RFC 8656 §7.2, and [`Port`](crate::protocol::Port)).
const FIRST_PORT: u16 = 49_152;
const PORTS: u16 = 16_384;

/// Bytes of a 401 or a 438: a header, ERROR-CODE, REALM and NONCE. (A 400 is shorter, and counted as this.)
const REFUSAL_LENGTH: usize = 20 + 8 + 12 + 20;

/// Why somebody is not who he would have to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refusal {
    BadRequest,
    Unauthorized,
    StaleNonce,
}

impl Server {
    /// Answers a request; `None` is no answer.
    pub(super) fn respond(&mut self, now: Now, from: &FiveTuple, request: &Message<'_>) -> Option<Response> {
        let method = request.method();
        if method == BINDING {
            let response = binding(from, request);
            return self.may_answer(now, from, request, response.length()).then_some(response);
        }
        if ![ALLOCATE, REFRESH, CREATE_PERMISSION, CHANNEL_BIND].contains(&method) {
            return None;
        }
        let (user, key) = match self.authenticate(now, from, request) {
            Ok(authenticated) => authenticated,
            Err(refusal) => {
                let may_answer = self.may_answer(now, from, request, REFUSAL_LENGTH);
                return may_answer.then(|| self.refuse(now, from, request, refusal));
            }
        };
        self.budget.fill_up(now.instant, from.client().ip());
        let unknown = not_comprehended(request);
        let response = if !unknown.is_empty() {
            Response::unknown_attributes(request, &unknown)
        } else if method == ALLOCATE {
            self.allocate(now, from, user, request).unwrap_or_else(|code| Response::error(request, code))
        } else {
            self.change(now, from, user, request).unwrap_or_else(|code| Response::error(request, code))
        };
        Some(response.signed(&key))
    }

    /// Whether the budget has an answer of so many bytes left for somebody who has not shown who and where he is. By
    /// TCP he has shown where.
    fn may_answer(&mut self, now: Now, from: &FiveTuple, request: &Message<'_>, answer: usize) -> bool {
        if from.transport() != Transport::Udp {
            return true;
        }
        let address = from.client().ip();
        self.budget.pay_in(now.instant, address, request.as_bytes().len());
        let allowed = self.budget.take_out(now.instant, address, answer);
        if !allowed {
            self.counts.unanswered.add_one();
        }
        allowed
    }

    fn refuse(&self, now: Now, from: &FiveTuple, request: &Message<'_>, refusal: Refusal) -> Response {
        let code = match refusal {
            Refusal::BadRequest => ErrorCode::BAD_REQUEST,
            Refusal::Unauthorized => ErrorCode::UNAUTHORIZED,
            Refusal::StaleNonce => ErrorCode::STALE_NONCE,
        };
        let response = Response::error(request, code);
        let nonce = self.nonces.make(now.instant, from);
        match (Realm::new(REALM), Nonce::new(&nonce)) {
            (Ok(realm), Ok(nonce)) if refusal != Refusal::BadRequest => {
                let response = response.with(&realm).with(&nonce);
                debug_assert_eq!(response.length(), REFUSAL_LENGTH);
                response
            }
            _ => response,
        }
    }

    /// The long-term credential mechanism (RFC 8489 §9.2.4). Nothing is kept of a request before this has
    /// said yes. The nonce comes first: it costs less to check than the signature, and whoever cannot
    /// receive at the address he sends from does not have one.
    fn authenticate(&self, now: Now, from: &FiveTuple, request: &Message<'_>) -> Result<(User, IntegrityKey), Refusal> {
        if !request.has_attribute(MessageIntegrity::TYPE) {
            return Err(Refusal::Unauthorized);
        }
        let username: Username = required(request).map_err(|_| Refusal::BadRequest)?;
        let nonce: Nonce = required(request).map_err(|_| Refusal::BadRequest)?;
        let _: Realm = required(request).map_err(|_| Refusal::BadRequest)?;
        if !self.nonces.check(now.instant, from, nonce.nonce()) {
            return Err(Refusal::StaleNonce);
        }
        let user = User::parse(username.username()).ok_or(Refusal::Unauthorized)?;
        let key = self.secret.key(&user);
        request.validate_integrity_with_key(&key).map_err(|_| Refusal::Unauthorized)?;
        // A retransmission gets the answer that the original got.
        let is_new = request.method() == ALLOCATE && self.table.of_client(now.instant, from).is_none();
        // An ICE restart allocates anew, from a new network perhaps: whoever has an allocation in the call is in it.
        if is_new && now.unix >= user.expiry && !self.is_in_call(now, &user) {
            return Err(Refusal::Unauthorized);
        }
        Ok((user, key))
    }

    /// RFC 8656 §7.2, in its order.
    fn allocate(&mut self, now: Now, from: &FiveTuple, user: User, request: &Message<'_>) -> Result<Response, u16> {
        if let Some(allocation) = self.table.of_client(now.instant, from) {
            let again = allocation.transaction == request.transaction_id();
            if again && allocation.user == user {
                return allocated(now, allocation, request);
            }
            return Err(ErrorCode::ALLOCATION_MISMATCH);
        }
        let even = check_allocate(request)?;
        if self.revoked.contains_key(&user.call) {
            return Err(ErrorCode::FORBIDDEN);
        }
        if self.table.count(now.instant, user.call, user.side) >= MAX_PER_SIDE {
            self.counts.over_quota.add_one();
            return Err(ErrorCode::ALLOCATION_QUOTA_REACHED);
        }
        if !self.table.has_room() {
            self.counts.over_quota.add_one();
            return Err(ErrorCode::INSUFFICIENT_CAPACITY);
        }
        let port = self.free_port(user, even).ok_or(ErrorCode::INSUFFICIENT_CAPACITY)?;
        let transaction = request.transaction_id();
        let tag = self.random.word();
        let end = self.table.end_of(now.instant, user.call);
        let allocation = Allocation::new(now.instant, *from, user, port, transaction, tag, end);
        let response = allocated(now, &allocation, request);
        self.table.insert(allocation);
        response
    }

    /// A virtual port that nobody in the call has, from a random one on, so that it says nothing about how
    /// many there are or were.
    fn free_port(&mut self, user: User, even: bool) -> Option<u16> {
        let first = self.random.word();
        let mut ports = (0..u32::from(PORTS)).map(|step| {
            let offset = first.wrapping_add(step) % u32::from(PORTS);
            FIRST_PORT + offset as u16
        });
        ports.find(|port| (port & 1 == 0 || !even) && !self.table.is_taken(user.call, *port))
    }

    /// Refresh, CreatePermission and ChannelBind: what an allocation's own user may do with it
    /// (RFC 8656 §5).
    fn change(&mut self, now: Now, from: &FiveTuple, user: User, request: &Message<'_>) -> Result<Response, u16> {
        let method = request.method();
        let peers: Vec<u16> = if method == CHANNEL_BIND {
            self.table.ports(now.instant, user.call, user.side.other()).collect()
        } else {
            Vec::new()
        };
        let allocation = self.table.of_client_mut(now.instant, from).ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        if allocation.user != user {
            return Err(ErrorCode::WRONG_CREDENTIALS);
        }
        if method == CREATE_PERMISSION {
            check_peers(request)?;
            allocation.permit(now.instant);
        } else if method == CHANNEL_BIND {
            let number: ChannelNumber = required(request)?;
            let peer: XorPeerAddress = required(request)?;
            let peer = peer.addr(request.transaction_id());
            check_peer(peer)?;
            let bound = allocation.bind(now.instant, number.channel(), peer.port(), &peers);
            if bound == Err(ErrorCode::INSUFFICIENT_CAPACITY) {
                self.counts.over_quota.add_one();
            }
            bound?;
        } else {
            if family(request)?.is_some_and(|family| family != AddressFamily::IPV4) {
                return Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH);
            }
            let lifetime: Option<Lifetime> = optional(request)?;
            if lifetime.is_some_and(|lifetime| lifetime.seconds() == 0) {
                self.table.remove(from);
                return Ok(Response::success(request).with(&Lifetime::new(0)));
            }
            allocation.refresh(now.instant);
            return Ok(Response::success(request).with(&lifetime_of(now, allocation)));
        }
        Ok(Response::success(request))
    }
}

/// Answers a Binding request with XOR-MAPPED-ADDRESS and nothing else (RFC 8489 §6.3.1).
fn binding(from: &FiveTuple, request: &Message<'_>) -> Response {
    let unknown = not_comprehended(request);
    if unknown.is_empty() {
        Response::success(request).with_mapped_address(request, from.client())
    } else {
        Response::unknown_attributes(request, &unknown)
    }
}

/// What an Allocate request asks for and may not get; else whether the port has to be even.
fn check_allocate(request: &Message<'_>) -> Result<bool, u16> {
    let transport: RequestedTransport = required(request)?;
    if transport.protocol() != RequestedTransport::UDP {
        return Err(ErrorCode::UNSUPPORTED_TRANSPORT_PROTOCOL);
    }
    let has_family = request.has_attribute(RequestedAddressFamily::TYPE);
    let additional: Option<AdditionalAddressFamily> = optional(request)?;
    let even_port: Option<EvenPort> = optional(request)?;
    let reserve = even_port.as_ref().is_some_and(EvenPort::requested);
    // A port beside this one is reserved for nobody, so that no token is a good one.
    if request.has_attribute(ReservationToken::TYPE) {
        return Err(if even_port.is_some() || has_family || additional.is_some() {
            ErrorCode::BAD_REQUEST
        } else {
            ErrorCode::INSUFFICIENT_CAPACITY
        });
    }
    if additional.is_some() && (has_family || reserve) {
        return Err(ErrorCode::BAD_REQUEST);
    }
    if family(request)?.is_some_and(|family| family != AddressFamily::IPV4) {
        return Err(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED);
    }
    if reserve {
        return Err(ErrorCode::INSUFFICIENT_CAPACITY);
    }
    Ok(even_port.is_some())
}

/// REQUESTED-ADDRESS-FAMILY; a family that nobody has heard of is one that is not supported.
fn family(request: &Message<'_>) -> Result<Option<AddressFamily>, u16> {
    let family: Result<Option<RequestedAddressFamily>, u16> = optional(request);
    let family = family.map_err(|_| ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED)?;
    Ok(family.map(|family| family.family()))
}

/// What an allocation has left.
fn lifetime_of(now: Now, allocation: &Allocation) -> Lifetime {
    let left = allocation.expires.saturating_duration_since(now.instant);
    Lifetime::new(left.as_secs() as u32)
}

/// The success response of an allocation (RFC 8656 §7.2), now or when it is asked for again.
fn allocated(now: Now, allocation: &Allocation, request: &Message<'_>) -> Result<Response, u16> {
    let transaction = request.transaction_id();
    let relayed = SocketAddr::from((RELAYED_ADDRESS, allocation.port));
    let mut response = Response::success(request)
        .with(&XorRelayedAddress::new(relayed, transaction))
        .with(&lifetime_of(now, allocation))
        .with_mapped_address(request, allocation.five_tuple.client());
    if request.has_attribute(AdditionalAddressFamily::TYPE) {
        let code = ErrorCode::new(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED, "");
        let code = code.map_err(|_| ErrorCode::SERVER_ERROR)?;
        response = response.with(&AddressErrorCode::new(AddressFamily::IPV6, code));
    }
    Ok(response)
}

/// All peers of a CreatePermission request; it is granted as a whole or not at all (RFC 8656 §10.2).
fn check_peers(request: &Message<'_>) -> Result<(), u16> {
    let mut peers = 0;
    for (_, attribute) in request.iter_attributes() {
        if attribute.get_type() == XorPeerAddress::TYPE {
            let peer = XorPeerAddress::try_from(&attribute).map_err(|_| ErrorCode::BAD_REQUEST)?;
            check_peer(peer.addr(request.transaction_id()))?;
            peers += 1;
        }
    }
    if peers == 0 {
        return Err(ErrorCode::BAD_REQUEST);
    }
    Ok(())
}

/// There is one address that peers have here. It is granted whatever the port: whether the partner is
/// there is seen when something is sent. (Firefox gives the whole relay up on any error but a 403.)
fn check_peer(peer: SocketAddr) -> Result<(), u16> {
    match peer.ip() {
        IpAddr::V4(address) if address == RELAYED_ADDRESS => Ok(()),
        IpAddr::V4(_) => Err(ErrorCode::FORBIDDEN),
        IpAddr::V6(_) => Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH),
    }
}
