//! The vectors of RFC 5769, through the crate as this relay uses it.

use stun_types::{
    attribute::{Nonce, Realm, Software, Username, XorMappedAddress},
    message::{
        BINDING, LongTermKeyCredentials, Message, MessageClass, MessageIntegrityCredentials, ShortTermCredentials,
    },
};

use super::*;

/// §2.1
const REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae\
    802200105354554e207465737420636c69656e74\
    002400046e0001ff\
    80290008932ff9b151263b36\
    000600096576746a3a68367659202020\
    000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2\
    80280004e57a3bcf";

/// §2.2
const RESPONSE_V4: &str = "0101003c2112a442b7e7a701bc34d686fa87dfae\
    8022000b7465737420766563746f7220\
    002000080001a147e112a643\
    000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7\
    80280004c07d4c96";

/// §2.3
const RESPONSE_V6: &str = "010100482112a442b7e7a701bc34d686fa87dfae\
    8022000b7465737420766563746f7220\
    002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9\
    00080014a382954e4be67bf11784c97c8292c275bfe3ed41\
    80280004c8fb0b4c";

/// §2.4
const LONG_TERM: &str = "000100602112a44278ad3433c6ad72c029da412e\
    00060012e3839ee38388e383aae38383e382afe382b90000\
    0015001c662f2f3439396b39353464364f4c33346f4c394653547679363473410014000b\
    6578616d706c652e6f726700\
    00080014f67024656dd64a3e02b8e0712e85c9a28ca89666";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

fn password() -> MessageIntegrityCredentials {
    ShortTermCredentials::new("VOkJxbRl1RmTxUk/WvJxBt".to_owned()).into()
}

#[test]
fn rfc_5769_request() {
    let bytes = bytes(REQUEST);
    let message = parse(&bytes).unwrap();
    assert!(message.has_class(MessageClass::Request));
    assert_eq!(message.method(), BINDING);
    let transaction = 0xb7e7_a701_bc34_d686_fa87_dfae.into();
    assert_eq!(message.transaction_id(), transaction);
    let software: Software = required(&message).unwrap();
    assert_eq!(software.software(), "STUN test client");
    let username: Username = required(&message).unwrap();
    assert_eq!(username.username(), "evtj:h6vY");
    assert!(message.validate_integrity(&password()).is_ok());
    assert_eq!(not_comprehended(&message), [0x0024.into()], "PRIORITY");
}

#[test]
fn rfc_5769_responses() {
    for (hex, address) in
        [(RESPONSE_V4, "192.0.2.1:32853"), (RESPONSE_V6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853")]
    {
        let bytes = bytes(hex);
        let message = parse(&bytes).unwrap();
        assert!(message.has_class(MessageClass::Success));
        let mapped: XorMappedAddress = required(&message).unwrap();
        let mapped = mapped.addr(message.transaction_id());
        assert_eq!(mapped, address.parse::<SocketAddr>().unwrap());
        assert!(message.validate_integrity(&password()).is_ok());
    }
}

#[test]
fn rfc_5769_long_term_credentials() {
    let bytes = bytes(LONG_TERM);
    let message = parse(&bytes).unwrap();
    let username: Username = required(&message).unwrap();
    let realm: Realm = required(&message).unwrap();
    let nonce: Nonce = required(&message).unwrap();
    assert_eq!(nonce.nonce(), "f//499k954d6OL34oL9FSTvy64sA");
    // The password is "The<U+00AD>M<U+00AA>tr<U+2168>" after SASLprep.
    let credentials = |password: &str| {
        let username = username.username().to_owned();
        LongTermKeyCredentials::new(username, password.to_owned(), realm.realm().to_owned())
            .make_key(IntegrityAlgorithm::Sha1)
    };
    let key = credentials("TheMatrIX");
    assert!(message.validate_integrity_with_key(&key).is_ok());
    let wrong = credentials("TheMatrIXX");
    assert!(message.validate_integrity_with_key(&wrong).is_err());
}

#[test]
fn every_changed_bit_is_noticed() {
    for hex in [REQUEST, RESPONSE_V4, RESPONSE_V6] {
        let good = bytes(hex);
        // The type of the last attribute is nobody's to protect: whatever comes after MESSAGE-INTEGRITY and
        // is not FINGERPRINT is ignored (RFC 8489 §14.5).
        let last = (good.len() - 8) * 8;
        for bit in (0..last).chain(last + 16..good.len() * 8) {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let noticed = parse(&bad).is_none_or(|it| it.validate_integrity(&password()).is_err());
            assert!(noticed, "bit {bit}");
        }
    }
}

#[test]
fn a_response_is_what_the_rfc_says_it_is() {
    let bytes = bytes(REQUEST);
    let request = parse(&bytes).unwrap();
    let client = "192.0.2.1:32853".parse().unwrap();
    let response = Response::success(&request).with_mapped_address(&request, client);
    let expected = "0101000c2112a442b7e7a701bc34d686fa87dfae002000080001a147e112a643";
    assert_eq!(response.into_bytes(), super::tests::bytes(expected));
}

#[test]
fn a_datagram_is_one_whole_message() {
    let good = bytes(REQUEST);
    for length in 0..good.len() {
        assert!(parse(&good[..length]).is_none(), "cut to {length}");
    }
    let mut two = good.clone();
    two.extend(&good);
    assert!(parse(&two).is_none());
    let unpadded = bytes("000100012112a442b7e7a701bc34d686fa87dfae00");
    assert!(parse(&unpadded).is_none());
}

#[test]
fn optional_is_not_malformed() {
    let request = bytes("000100082112a442b7e7a701bc34d686fa87dfae0020000400010000");
    let request = parse(&request).unwrap();
    assert!(optional::<Username>(&request).unwrap().is_none());
    assert_eq!(required::<Username>(&request).unwrap_err(), 400);
    assert_eq!(optional::<XorMappedAddress>(&request).unwrap_err(), 400);
    let _: &Message<'_> = &request;
}
