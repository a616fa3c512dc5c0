//! STUN messages (RFC 8489), as the control part of the relay reads and writes them.
//!
//! The wire is `stun-types`' and `turn-types`' work. What is ours: nothing malformed gets through, nothing is
//! logged (those crates warn about every odd packet, and trace the bytes of good ones), and an answer says
//! no more than it must: no SOFTWARE, no reason phrases.

use std::net::SocketAddr;

use stun_types::{
    attribute::{AttributeType, ErrorCode, UnknownAttributes, XorMappedAddress},
    message::{
        IntegrityAlgorithm, IntegrityKey, Message, MessageHeader, MessageWrite, MessageWriteExt, MessageWriteVec,
        StunParseError,
    },
    prelude::{Attribute, AttributeFromRaw, AttributeStaticType, AttributeWrite},
};
use tracing::dispatcher::{self, Dispatch};

/// Runs `f` with all that it would log thrown away: strangers must not be able to fill a log, and what they
/// and others send has no place in one.
pub(super) fn unlogged<T>(f: impl FnOnce() -> T) -> T {
    dispatcher::with_default(&Dispatch::none(), f)
}

/// Reads a whole datagram as one STUN message. `None` when it is not exactly one: a length that does not
/// agree, an attribute that reaches over the end, a FINGERPRINT that is wrong.
pub(super) fn parse(datagram: &[u8]) -> Option<Message<'_>> {
    let header = MessageHeader::from_bytes(datagram).ok()?;
    let length = usize::from(header.data_length());
    if !length.is_multiple_of(4) || MessageHeader::LENGTH + length != datagram.len() {
        return None;
    }
    Message::from_bytes(datagram).ok()
}

/// An attribute that may be missing, but not be malformed.
pub(super) fn optional<'a, A>(message: &'a Message<'a>) -> Result<Option<A>, u16>
where
    A: AttributeFromRaw<'a> + AttributeStaticType,
{
    match message.attribute::<A>() {
        Ok(attribute) => Ok(Some(attribute)),
        Err(StunParseError::MissingAttribute(_)) => Ok(None),
        Err(_) => Err(ErrorCode::BAD_REQUEST),
    }
}

/// An attribute without which the request makes no sense.
pub(super) fn required<'a, A>(message: &'a Message<'a>) -> Result<A, u16>
where
    A: AttributeFromRaw<'a> + AttributeStaticType,
{
    optional(message)?.ok_or(ErrorCode::BAD_REQUEST)
}

/// Whether an attribute is comprehended, or need not be (RFC 8489 §14).
///
/// DONT-FRAGMENT (0x001A) is not: nothing here sets the DF bit for a client, and RFC 8656 §7.2 asks a server
/// to say so in this way. Nor are USERHASH and PASSWORD-ALGORITHM, which are for servers that offer them.
pub(super) fn comprehended(attribute: u16) -> bool {
    let known = matches!(
        attribute,
        0x0001       // MAPPED-ADDRESS
        | 0x0006     // USERNAME
        | 0x0008     // MESSAGE-INTEGRITY
        | 0x0009     // ERROR-CODE
        | 0x000A     // UNKNOWN-ATTRIBUTES
        | 0x000C     // CHANNEL-NUMBER
        | 0x000D     // LIFETIME
        | 0x0012     // XOR-PEER-ADDRESS
        | 0x0013     // DATA
        | 0x0014     // REALM
        | 0x0015     // NONCE
        | 0x0016     // XOR-RELAYED-ADDRESS
        | 0x0017     // REQUESTED-ADDRESS-FAMILY
        | 0x0018     // EVEN-PORT
        | 0x0019     // REQUESTED-TRANSPORT
        | 0x001C     // MESSAGE-INTEGRITY-SHA256
        | 0x0020     // XOR-MAPPED-ADDRESS
        | 0x0022 // RESERVATION-TOKEN
    );
    known || attribute >= 0x8000
}

/// The attributes of a request that would have to be comprehended and are not.
pub(super) fn not_comprehended(message: &Message<'_>) -> Vec<AttributeType> {
    let types = message.iter_attributes().map(|(_, raw)| raw.get_type());
    types.filter(|kind| !comprehended(kind.value())).collect()
}

/// A response on its way out.
pub(super) struct Response(MessageWriteVec);

impl Response {
    /// To a request only.
    pub fn success(request: &Message<'_>) -> Self {
        Self(Message::builder_success(request, MessageWriteVec::new()))
    }

    /// To a request only.
    pub fn error(request: &Message<'_>, code: u16) -> Self {
        let mut response = Self(Message::builder_error(request, MessageWriteVec::new()));
        if let Ok(code) = ErrorCode::new(code, "") {
            response = response.with(&code);
        }
        response
    }

    /// 420, naming what was not comprehended.
    pub fn unknown_attributes(request: &Message<'_>, unknown: &[AttributeType]) -> Self {
        Self::error(request, ErrorCode::UNKNOWN_ATTRIBUTE).with(&UnknownAttributes::new(unknown))
    }

    pub fn with(mut self, attribute: &dyn AttributeWrite) -> Self {
        let added = self.0.add_attribute(attribute);
        debug_assert!(added.is_ok());
        self
    }

    /// XOR-MAPPED-ADDRESS: what the client looks like from here.
    pub fn with_mapped_address(self, request: &Message<'_>, client: SocketAddr) -> Self {
        self.with(&XorMappedAddress::new(client, request.transaction_id()))
    }

    pub fn signed(mut self, key: &IntegrityKey) -> Self {
        let added = (self.0).add_message_integrity_with_key(key, IntegrityAlgorithm::Sha1);
        debug_assert!(added.is_ok());
        self
    }

    /// As it is now; a signature is 24 more.
    pub fn length(&self) -> usize {
        self.0.len()
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests;
