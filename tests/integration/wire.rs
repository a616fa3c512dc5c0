//! What must not be found on a wire or in a log.

use std::net::{IpAddr, SocketAddr};

use sotto::protocol::{ClientMessage, ServerMessage, read};

/// The addresses in a text, IPv4 and IPv6, with and without a port.
pub fn addresses_in(text: &str) -> Vec<&str> {
    let between = |c: char| c.is_whitespace() || "\"'`{}[](),;=@?&/<>|".contains(c);
    text.split(between)
        // `turn:203.0.113.9` and `203.0.113.9.` as well.
        .flat_map(|token| {
            [
                token,
                token.trim_matches('.'),
                token.trim_end_matches([':', '.']),
                token.split_once(':').map_or("", |(_, rest)| rest),
            ]
        })
        .filter(|token| token.len() > 2)
        .filter(|token| token.parse::<IpAddr>().is_ok() || token.parse::<SocketAddr>().is_ok())
        .collect()
}

/// Fails when a frame is not of the protocol, or holds what could lead to a visitor.
pub fn check_frame(text: &str) {
    assert_eq!(addresses_in(text), Vec::<&str>::new(), "an address in {text}");
    for token in
        ["candidate:", "v=0", "c=IN", "a=", "raddr", "typ host", "typ srflx", ".local", "ssrc", "cname", "msid"]
    {
        assert!(!text.contains(token), "{token} in {text}");
    }
    let known = read::<ClientMessage>(text).is_ok() || read::<ServerMessage>(text).is_ok();
    assert!(known, "not a frame of the protocol: {text}");
}

#[test]
fn addresses_are_found_wherever_they_hide() {
    for text in [
        "peer 203.0.113.9 connected",
        "peer=203.0.113.9:4711",
        r#"{"a":"203.0.113.9"}"#,
        "candidate:1 1 udp 2122260223 192.168.1.7 50000 typ host",
        "[2001:db8::1]:443",
        "from ::1",
        "addr: ::ffff:10.0.0.1.",
        "turn:203.0.113.9?transport=udp from turn",
        "http://127.0.0.1/",
    ] {
        assert!(!addresses_in(text).is_empty(), "{text}");
    }
    for text in [
        "2026-11-22T02:51:56.670837Z  INFO sotto::web::socket: back visitor=7",
        r#"{"type":"candidate","call":"0b3d7c5e-8a53-4d0b-9a2f-6c1f0e2d4b5a","port":49152}"#,
        r#"{"username":"1795305600:0b3d7c5e-8a53-4d0b-9a2f-6c1f0e2d4b5a:a"}"#,
        "version 0.1.0",
    ] {
        assert_eq!(addresses_in(text), Vec::<&str>::new(), "{text}");
    }
}
