//! The published weaknesses of TURN and STUN servers, gone through once: what is sent, and what must come back.
//!
//! Sources: the RFCs' own security considerations; the CVEs of coturn and of others; "ES" are Enable Security's
//! reports (the open relay of Slack, 2020; TURN security threats, 2026); "coturn #" are its pull requests. After each
//! row the call that it was tried on goes on as before. Those that need sockets are in `tests/integration/relay`:
//! `weaknesses.rs` by UDP, TCP and TLS, `streams.rs` with slow and stuck peers, `floods.rs` with half-open connections
//! and requests from everywhere.

use std::net::SocketAddr;

use stun_types::{
    attribute::{Fingerprint, MessageIntegrity, MessageIntegritySha256},
    prelude::{AttributeStaticType, AttributeWrite},
};

use crate::protocol::{RELAYED_ADDRESS, Side};
use crate::relay::{
    allocation::MAX_CHANNELS,
    five_tuple::FiveTuple,
    lane::Lane,
    packet::Packet,
    server::Action,
    table::MAX_PER_SIDE,
    testing::{CALL, Client, OTHER_CALL, Outcome, Scene, channel_data, from, peer, send_indication},
};

/// What must come back.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Back {
    /// Not a byte, to anybody.
    Silence,
    /// An answer to the sender with this error code; 0 is success.
    Code(u16),
    /// A payload, and to the partner: what was tried had no effect.
    Partner,
}

use Back::{Code, Partner, Silence};

/// Where nothing must ever go, and who has got there elsewhere.
const PEERS: &[(&str, &str)] = &[
    ("10.0.0.1:22", "private; ES 2020"),
    ("172.16.0.1:443", "private; ES 2020"),
    ("192.168.0.1:80", "private; ES 2020"),
    ("169.254.169.254:80", "the cloud's metadata; ES 2020"),
    ("100.64.0.1:5000", "a provider's own network"),
    ("127.0.0.1:5766", "loopback, where coturn's telnet is; CVE-2018-4058, CVE-2018-4059"),
    ("127.8.8.8:5000", "the rest of loopback"),
    ("0.0.0.0:5000", "unspecified, which is loopback; CVE-2020-26262"),
    ("0.1.2.3:5000", "this network; CVE-2020-26262"),
    ("198.18.0.1:5000", "benchmarks"),
    ("224.0.0.1:5000", "multicast; ES 2020"),
    ("255.255.255.255:5000", "broadcast; ES 2020"),
    ("240.0.0.1:5000", "nobody's"),
    ("8.8.8.8:53", "a resolver that answers with more; RFC 8656 §21.3.2"),
    ("203.0.113.1:8080", "the relay itself, a loop; RFC 8656 §21.1.7"),
    ("198.51.100.1:1000", "the client itself"),
    ("198.51.100.1:2000", "the partner by his own address"),
    ("198.51.100.2:1000", "somebody else who is here"),
    ("192.0.2.2:50000", "beside the relayed address"),
    ("[::]:5000", "unspecified; CVE-2020-26262"),
    ("[::1]:5000", "loopback; CVE-2020-26262"),
    ("[::ffff:127.0.0.1]:5000", "IPv4-mapped; CVE-2026-27624"),
    ("[::ffff:0.0.0.0]:5000", "IPv4-mapped; CVE-2026-27624"),
    ("[::ffff:10.0.0.1]:5000", "IPv4-mapped; CVE-2026-27624"),
    ("[::ffff:192.0.2.1]:50000", "the relayed address, IPv4-mapped"),
    ("[::127.0.0.1]:5000", "IPv4-compatible; coturn #1945"),
    ("[::192.0.2.1]:50000", "the relayed address, IPv4-compatible"),
    ("[2002:7f00:1::]:5000", "6to4; coturn #1945"),
    ("[64:ff9b::7f00:1]:5000", "NAT64; coturn #1945"),
    ("[64:ff9b:1::a00:1]:5000", "NAT64 for local use; RFC 8215"),
    ("[2001:0:7f00:1::]:5000", "Teredo"),
    ("[fe80::1]:5000", "of one link; ES 2020"),
    ("[fec0::1]:5000", "of one site"),
    ("[fd00::1]:5000", "private"),
    ("[ff02::1]:5000", "multicast"),
    ("[2001:db8::1]:5000", "anybody at all"),
];

type Row = (&'static str, &'static str, Back, fn(&mut Stage) -> Outcome);

/// What else has been tried on others.
const TRIED: &[Row] = &[
    // Who is asking.
    ("no credentials", "RFC 8656 §21.1.1", Code(401), |it| it.fresh().send(it, ALLOCATE, &[UDP])),
    ("no signature to change anything", "RFC 8656 §21.1.1", Code(401), |it| it.a().send(it, REFRESH, &[GONE])),
    ("a password guessed", "RFC 8656 §21.1.1", Code(401), |it| {
        let mut client = it.fresh();
        client.credentials.credential.push('=');
        client.signs(it, ALLOCATE, &[UDP])
    }),
    ("SQL in the name", "CVE-2018-4056", Code(401), |it| it.fresh().named("' OR 1=1; --").signs(it, ALLOCATE, &[UDP])),
    ("a name with an end in it", "CWE-158", Code(401), |it| {
        let mut client = it.fresh();
        client.credentials.username.push('\0');
        client.signs(it, ALLOCATE, &[UDP])
    }),
    ("a name longer than names are", "RFC 8489 §14.3", Code(400), |it| {
        it.fresh().named(&"n".repeat(1_000)).signs(it, ALLOCATE, &[UDP])
    }),
    ("an expiry that overflows", "CWE-190", Code(401), |it| {
        let client = it.fresh();
        let later = client.credentials.username.replacen("18", "99999999999999999918", 1);
        client.named(&later).signs(it, ALLOCATE, &[UDP])
    }),
    ("credentials of yesterday", "draft-uberti-behave-turn-rest §5", Code(401), |it| {
        let mut client = it.fresh();
        client.credentials = it.scene.secret.mint(THIRD_CALL, Side::A, it.scene.now.unix - 24 * 3_600);
        client.signs(it, ALLOCATE, &[UDP])
    }),
    ("the name of the other side", "RFC 8656 §21.3.3", Code(401), |it| {
        let client = it.fresh();
        let other = client.credentials.username.replace(":a", ":b");
        client.named(&other).signs(it, ALLOCATE, &[UDP])
    }),
    ("two names, the second one's key", "RFC 8489 §14", Code(401), |it| {
        let fresh = it.fresh();
        let (name, a) = (fresh.credentials.username.clone(), it.a());
        a.sends(it, sealed(&a, write(REFRESH, &[&[(USERNAME, name.as_bytes())][..], &a.proof()].concat())))
    }),
    ("two names, the first one's key", "RFC 8489 §14", Code(0), |it| {
        let (name, a) = (it.fresh().credentials.username, it.a());
        a.sends(it, sealed(&a, write(REFRESH, &[&a.proof(), &[(USERNAME, name.as_bytes())][..]].concat())))
    }),
    ("signed for another realm", "RFC 8489 §9.2.2", Code(401), |it| {
        let a = it.a();
        let elsewhere = stun_types::message::LongTermKeyCredentials::new(
            a.credentials.username.clone(),
            a.credentials.credential.clone(),
            "elsewhere".to_owned(),
        );
        let key = elsewhere.make_key(stun_types::message::IntegrityAlgorithm::Sha1);
        a.sends(it, sealed_with(&key, write(REFRESH, &a.proof())))
    }),
    ("a token of OAuth with a length of its own", "CVE-2026-43994", Code(401), |it| {
        it.fresh().send(it, ALLOCATE, &[UDP, (0x001B, &[0xFF; 1_000])])
    }),
    ("the same, signed", "CVE-2026-43994", Code(420), |it| {
        it.fresh().signs(it, ALLOCATE, &[UDP, (0x001B, &[0xFF; 1_000])])
    }),
    // The signature.
    ("a signature of nothing but zeros", "RFC 8489 §14.5", Code(401), |it| {
        let a = it.a();
        a.sends(it, write(REFRESH, &[&a.proof(), &[(INTEGRITY, &[0; 20][..])][..]].concat()))
    }),
    ("a signature cut short", "RFC 8489 §14.5", Code(401), |it| {
        let a = it.a();
        let whole = sealed(&a, write(REFRESH, &a.proof()));
        let short = whole[whole.len() - 20..whole.len() - 16].to_vec();
        a.sends(it, write(REFRESH, &[&a.proof(), &[(INTEGRITY, &short[..])][..]].concat()))
    }),
    ("a signature of no length", "RFC 8489 §14.5", Code(401), |it| {
        let a = it.a();
        a.sends(it, write(REFRESH, &[&a.proof(), &[(INTEGRITY, &[][..])][..]].concat()))
    }),
    ("an end of the allocation behind the signature", "RFC 8489 §14.5", Code(0), |it| {
        let a = it.a();
        a.sends(it, behind(sealed(&a, write(REFRESH, &a.proof())), GONE))
    }),
    ("the peer behind the signature", "RFC 8489 §14.5", Code(400), |it| {
        let (a, to) = (it.a(), peer_value(peer(it.b().port)));
        a.sends(it, behind(sealed(&a, write(CREATE_PERMISSION, &a.proof())), (PEER, &to)))
    }),
    ("what must be understood, behind the signature", "RFC 8489 §14.5", Code(0), |it| {
        let a = it.a();
        a.sends(it, behind(sealed(&a, write(REFRESH, &a.proof())), (0x7777, b"odd")))
    }),
    ("a fingerprint that is wrong", "RFC 8489 §14.7", Silence, |it| {
        let a = it.a();
        a.sends(it, behind(sealed(&a, write(REFRESH, &a.proof())), (FINGERPRINT, &[1; 4])))
    }),
    ("a signature behind the fingerprint", "RFC 8489 §14.7", Code(401), |it| {
        let a = it.a();
        let mut whole = write(REFRESH, &[&a.proof(), &[(FINGERPRINT, &[0; 4][..])][..]].concat());
        let end = whole.len() - 8;
        let print = Fingerprint::new(Fingerprint::compute(&[&whole[..end]]));
        whole.truncate(end);
        let whole = behind(whole, (FINGERPRINT, &print.to_raw().value));
        assert_eq!(it.fresh().sends(it, whole.clone()).code(), 401, "it is right as far as it goes");
        a.sends(it, sealed(&a, whole))
    }),
    ("SHA-256 where it was not offered", "RFC 8489 §14.6", Code(401), |it| {
        let a = it.a();
        let whole = write(REFRESH, &[&a.proof(), &[(INTEGRITY_SHA256, &[7; 32][..])][..]].concat());
        a.sends(it, whole)
    }),
    ("a wrong SHA-256 before a right SHA-1", "RFC 8489 §14.6", Code(401), |it| {
        let a = it.a();
        a.sends(it, sealed(&a, write(REFRESH, &[&a.proof(), &[(INTEGRITY_SHA256, &[7; 32][..])][..]].concat())))
    }),
    ("an algorithm chosen where none was offered", "bid-down; RFC 8489 §9.2.1", Code(420), |it| {
        it.a().signs(it, REFRESH, &[(0x001D, &[0, 1, 0, 0])])
    }),
    ("algorithms repeated that were not offered", "bid-down; RFC 8489 §9.2.1", Code(0), |it| {
        it.a().signs(it, REFRESH, &[(0x8002, &[0, 1, 0, 0])])
    }),
    ("a name as a hash", "RFC 8489 §14.4", Code(420), |it| it.a().signs(it, REFRESH, &[(0x001E, &[7; 32])])),
    // The nonce.
    ("somebody else's nonce", "RFC 8656 §21.1.1", Code(438), |it| {
        let mut client = it.fresh();
        client.nonce = it.a().nonce;
        client.signs(it, ALLOCATE, &[UDP])
    }),
    ("a request overheard, from elsewhere", "replay; RFC 8656 §21.1.3", Code(438), |it| {
        let (a, fresh) = (it.a(), it.fresh());
        fresh.sends(it, sealed(&a, write(REFRESH, &[&[GONE][..], &a.proof()].concat())))
    }),
    ("the same with TCP under it", "replay; RFC 8656 §21.1.3", Code(438), |it| {
        let a = it.a();
        let tcp = FiveTuple::new(crate::protocol::Transport::Tcp, a.from.client(), a.from.server());
        let bytes = sealed(&a, write(REFRESH, &[&[GONE][..], &a.proof()].concat()));
        it.scene.send(&tcp, &bytes)
    }),
    ("a nonce of an hour ago", "RFC 8656 §5", Code(438), |it| {
        let fresh = it.fresh();
        it.keep(3_600);
        fresh.signs(it, ALLOCATE, &[UDP])
    }),
    ("a nonce that was guessed", "CVE-2025-69217", Code(438), |it| {
        let mut client = it.fresh();
        client.nonce = "AAAAAAAAAAAAAAAA".to_owned();
        client.signs(it, ALLOCATE, &[UDP])
    }),
    ("a nonce that says what is secure", "RFC 8489 §9.2", Code(438), |it| {
        let mut client = it.fresh();
        client.nonce = format!("obMatJos2AAAA{}", client.nonce);
        client.signs(it, ALLOCATE, &[UDP])
    }),
    // Somebody else's allocation.
    ("an end by the partner", "RFC 8656 §5", Code(441), |it| it.as_if(Side::B, CALL).signs(it, REFRESH, &[GONE])),
    ("an end by another call", "RFC 8656 §5", Code(441), |it| {
        it.as_if(Side::A, OTHER_CALL).signs(it, REFRESH, &[GONE])
    }),
    ("a channel by another call", "RFC 8656 §5", Code(441), |it| {
        let to = peer_value(peer(it.b().port));
        it.as_if(Side::A, OTHER_CALL).signs(it, CHANNEL_BIND, &[(CHANNEL, &[0x40, 9, 0, 0]), (PEER, &to)])
    }),
    ("a permission by another call", "RFC 8656 §5", Code(441), |it| {
        let to = peer_value(peer(it.b().port));
        it.as_if(Side::A, OTHER_CALL).signs(it, CREATE_PERMISSION, &[(PEER, &to)])
    }),
    ("an end from another 5-tuple", "RFC 8656 §5", Code(437), |it| {
        let (mut thief, a) = (it.fresh(), it.a());
        thief.credentials = a.credentials;
        thief.signs(it, REFRESH, &[GONE])
    }),
    ("a ticket to move an allocation", "RFC 8016; coturn #1969", Code(437), |it| {
        let (mut thief, a) = (it.fresh(), it.a());
        thief.credentials = a.credentials;
        thief.signs(it, REFRESH, &[(0x8030, &[7; 16])])
    }),
    ("a second allocation over the first", "RFC 8656 §7.2", Code(437), |it| it.a().signs(it, ALLOCATE, &[UDP])),
    ("somebody else's over the first", "RFC 8656 §7.2", Code(437), |it| {
        it.as_if(Side::A, OTHER_CALL).signs(it, ALLOCATE, &[UDP])
    }),
    ("payloads on somebody else's channel", "RFC 8656 §12.6", Silence, |it| {
        it.fresh().sends(it, channel_data(0x4000, b"x"))
    }),
    ("payloads to a port of another call", "RFC 8656 §21.1.4", Silence, |it| {
        let (a, d) = (it.a(), it.d());
        assert_eq!(a.permit(&mut it.scene, &[peer(d.port)]).code(), 0);
        a.say(&mut it.scene, peer(d.port), b"x")
    }),
    ("a channel to a port of another call", "RFC 8656 §21.1.4", Silence, |it| {
        let (a, d) = (it.a(), it.d());
        assert_eq!(a.bind(&mut it.scene, 0x4009, peer(d.port)).code(), 0);
        a.say_on(&mut it.scene, 0x4009, b"x")
    }),
    ("payloads to oneself", "a loop; RFC 8656 §21.1.7", Silence, |it| {
        let a = it.a();
        a.say(&mut it.scene, peer(a.port), b"x")
    }),
    ("the 5-tuple of somebody who has gone", "RFC 8656 §5", Silence, |it| {
        let (c, d) = (it.c(), it.d());
        assert_eq!(c.refresh(&mut it.scene, 0).code(), 0);
        let again = it.scene.allocated("198.51.100.2:1000", THIRD_CALL, Side::A);
        assert_eq!(again.permit(&mut it.scene, &[peer(d.port)]).code(), 0);
        let heard = d.say(&mut it.scene, peer(c.port), b"for whoever was here before");
        assert_eq!(again.refresh(&mut it.scene, 0).code(), 0);
        heard
    }),
    // What is asked for.
    ("a relay to TCP", "RFC 6062; ES 2020", Code(442), |it| {
        it.fresh().signs(it, ALLOCATE, &[(TRANSPORT, &[6, 0, 0, 0])])
    }),
    ("a relay to ICMP", "RFC 8656 §7.2", Code(442), |it| {
        it.fresh().signs(it, ALLOCATE, &[(TRANSPORT, &[1, 0, 0, 0])])
    }),
    ("a TCP connection to a peer", "RFC 6062 §4.3; ES 2020", Silence, |it| {
        let to = peer_value("127.0.0.1:22".parse().unwrap());
        it.a().signs(it, 0x000A, &[(PEER, &to)])
    }),
    ("a TCP connection to be joined", "RFC 6062 §4.4", Silence, |it| {
        it.a().signs(it, 0x000B, &[(0x002A, &[0, 0, 0, 1])])
    }),
    ("a port that somebody has reserved", "RFC 8656 §7.2", Code(508), |it| {
        it.fresh().signs(it, ALLOCATE, &[UDP, (0x0022, &[7; 8])])
    }),
    ("a port to be reserved", "RFC 8656 §7.2", Code(508), |it| {
        it.fresh().signs(it, ALLOCATE, &[UDP, (0x0018, &[0x80])])
    }),
    ("an address of IPv6", "RFC 8656 §7.2", Code(440), |it| {
        it.fresh().signs(it, ALLOCATE, &[UDP, (0x0017, &[2, 0, 0, 0])])
    }),
    ("another family for what there is", "RFC 8656 §8.2", Code(443), |it| {
        it.a().signs(it, REFRESH, &[(0x0017, &[2, 0, 0, 0])])
    }),
    ("what must be understood and is not", "RFC 8489 §6.3.1", Code(420), |it| {
        it.a().signs(it, REFRESH, &[(0x7777, b"?")])
    }),
    ("no fragments", "RFC 8656 §18.9", Code(420), |it| it.fresh().signs(it, ALLOCATE, &[UDP, (0x001A, b"")])),
    ("no fragments, in an indication", "RFC 8656 §18.9", Silence, |it| {
        let to = peer_value(peer(it.b().port));
        it.a().sends(it, write(SEND, &[(PEER, &to), (0x001A, b""), (DATA, b"x")]))
    }),
    ("another server, in a request", "RFC 8489 §10", Code(0), |it| {
        it.a().signs(it, REFRESH, &[(0x8023, &[0, 1, 0, 80, 10, 0, 0, 1])])
    }),
    ("an origin of one's own", "draft-ietf-tram-stun-origin", Code(0), |it| {
        it.a().signs(it, REFRESH, &[(0x802F, b"https://elsewhere.example")])
    }),
    ("a lifetime of a century", "CWE-190; RFC 8656 §7.2", Code(0), |it| {
        let a = it.a();
        let outcome = a.signs(it, REFRESH, &[(LIFETIME, &[0xFF; 4])]);
        assert_eq!(outcome.attribute::<turn_types::attribute::Lifetime>().seconds(), 600);
        outcome
    }),
    ("a lifetime of no length", "RFC 8656 §18.2", Code(400), |it| it.a().signs(it, REFRESH, &[(LIFETIME, b"")])),
    ("a lifetime twice, ending second", "RFC 8489 §14", Code(0), |it| {
        it.a().signs(it, REFRESH, &[(LIFETIME, &[0, 0, 2, 0x58]), GONE])
    }),
    ("peers here and elsewhere in one request", "RFC 8656 §10.2", Code(403), |it| {
        let (here, there) = (peer_value(peer(it.b().port)), peer_value("127.0.0.1:22".parse().unwrap()));
        it.a().signs(it, CREATE_PERMISSION, &[(PEER, &here), (PEER, &there)])
    }),
    ("a channel to a peer elsewhere, then one here", "RFC 8489 §14", Code(403), |it| {
        let (here, there) = (peer_value(peer(it.b().port)), peer_value("127.0.0.1:22".parse().unwrap()));
        it.a().signs(it, CHANNEL_BIND, &[(CHANNEL, &[0x40, 9, 0, 0]), (PEER, &there), (PEER, &here)])
    }),
    ("a payload to a peer elsewhere, then one here", "RFC 8489 §14", Silence, |it| {
        let (here, there) = (peer_value(peer(it.b().port)), peer_value("127.0.0.1:22".parse().unwrap()));
        it.a().sends(it, write(SEND, &[(PEER, &there), (PEER, &here), (DATA, b"x")]))
    }),
    ("a payload to a peer here, then one elsewhere", "RFC 8489 §14", Partner, |it| {
        let (here, there) = (peer_value(peer(it.b().port)), peer_value("127.0.0.1:22".parse().unwrap()));
        it.a().sends(it, write(SEND, &[(PEER, &here), (PEER, &there), (DATA, b"x")]))
    }),
    ("a permission by address used for another port", "RFC 8656 §9", Partner, |it| {
        // There is one address, and nobody but the partner behind it.
        it.keep(400);
        let (c, d) = (it.c(), it.d());
        assert_eq!(c.say(&mut it.scene, peer(d.port), b"x"), Outcome::Nothing, "what there was has expired");
        for client in [&c, &d] {
            assert_eq!(client.permit(&mut it.scene, &[peer(1)]).code(), 0);
        }
        c.say(&mut it.scene, peer(d.port), b"x")
    }),
    // Channels.
    ("a channel below the range", "RFC 8656 §12", Code(400), |it| it.binds(0x3FFF)),
    ("a channel above the range", "RFC 8656 §12; coturn #2006", Code(400), |it| it.binds(0x5000)),
    ("a channel of the old range", "RFC 5766 §11; coturn #2006", Code(400), |it| it.binds(0x7FFE)),
    ("one channel for two peers", "confusion; RFC 8656 §12.2", Code(400), |it| {
        let (a, b) = (it.a(), it.b());
        a.bind(&mut it.scene, 0x4000, peer(b.port ^ 1))
    }),
    ("two channels for one peer", "confusion; RFC 8656 §12.2", Code(400), |it| it.binds(0x4009)),
    ("payloads on a channel that is not bound", "RFC 8656 §12.6", Silence, |it| {
        it.a().sends(it, channel_data(0x4FFF, b"x"))
    }),
    ("payloads on a channel of the old range", "RFC 5766 §11", Silence, |it| {
        it.a().sends(it, channel_data(0x5000, b"x"))
    }),
    ("a payload longer than its datagram", "an over-read; CWE-126", Silence, |it| {
        it.a().sends(it, vec![0x40, 0, 0xFF, 0xFF, b'x'])
    }),
    ("a payload shorter than its datagram", "RFC 8656 §12.5", Partner, |it| {
        let outcome = it.a().sends(it, vec![0x40, 0, 0, 1, b'x', b'y', b'z', 0]);
        assert_eq!(outcome.delivered().2, b"x");
        outcome
    }),
    ("what was in the buffer before, as padding", "CVE-2020-4067", Partner, |it| {
        let (a, b) = (it.c(), it.d());
        let mut packet = Packet::new();
        let mut forward = |payload: &[u8]| {
            packet.replace(&send_indication(peer(b.port), payload));
            let mut lane = Lane::new(std::sync::Arc::clone(it.scene.server.counts()));
            let action = lane.handle(it.scene.now, &a.from, &mut packet, || &mut it.scene.server);
            (action, packet.bytes().to_vec())
        };
        forward(&[0xEE; 1_200]);
        let (action, bytes) = forward(b"x");
        assert!(bytes.ends_with(b"x\0\0\0"), "{bytes:?}");
        let Action::Forward(to) = action else { panic!("{action:?}") };
        Outcome::Forward(to, bytes)
    }),
    // Answers to where nobody has asked.
    ("a challenge, aimed at somebody", "amplification; ES 2026, coturn issue 1687", Silence, |it| {
        it.reflects(&write(ALLOCATE, &[]))
    }),
    ("an address, aimed at somebody", "amplification; RFC 8489 §16.2", Silence, |it| {
        it.reflects(&write(BINDING, &[]))
    }),
    ("a complaint, aimed at somebody", "amplification; ES 2026", Silence, |it| {
        it.reflects(&write(BINDING, &[(0x0777, b""), (0x0778, b""), (0x0779, b""), (0x077A, b"")]))
    }),
    ("an answer to an answer", "loops; CVE-2024-2169", Silence, |it| it.a().sends(it, write(BINDING | 0x0100, &[]))),
    ("an answer to an error", "loops; CVE-2024-2169", Silence, |it| it.a().sends(it, write(ALLOCATE | 0x0110, &[]))),
    ("an answer to an indication", "RFC 8489 §6.3.2", Silence, |it| it.a().sends(it, write(BINDING | 0x0010, &[]))),
    ("a payload as if from the relay", "RFC 8656 §11.4", Silence, |it| {
        let to = peer_value(peer(it.b().port));
        it.a().sends(it, write(0x0017, &[(PEER, &to), (DATA, b"x")]))
    }),
    ("an error as if from a peer", "RFC 8656 §11.5", Silence, |it| {
        let to = peer_value(peer(it.b().port));
        it.a().sends(it, write(0x0017, &[(PEER, &to), (0x8004, &[0, 0, 3, 1, 0, 0, 0, 0])]))
    }),
    ("an answer to another address", "RFC 3489 §11.2.2", Code(420), |it| {
        it.a().send(it, BINDING, &[(0x0002, &[0, 1, 0, 80, 10, 0, 0, 1])])
    }),
    ("an answer from another address", "RFC 5780 §7.2", Code(420), |it| {
        it.a().send(it, BINDING, &[(0x0003, &[0, 0, 0, 6])])
    }),
    ("an answer to another port", "RFC 5780 §7.5", Code(420), |it| {
        it.a().send(it, BINDING, &[(0x0027, &[0, 53, 0, 0])])
    }),
    ("a longer answer by padding", "RFC 5780 §7.6", Code(420), |it| {
        it.a().send(it, BINDING, &[(0x0026, &[0; 1_400])])
    }),
    ("STUN without its cookie", "RFC 3489", Silence, |it| {
        let mut bytes = write(BINDING, &[]);
        bytes[4..8].fill(7);
        it.a().sends(it, bytes)
    }),
    // What is malformed.
    ("an attribute longer than its message", "an over-read; CWE-126", Silence, |it| {
        let mut bytes = write(BINDING, &[(0x8000, b"1234")]);
        bytes[22..24].fill(0xFF);
        it.a().sends(it, bytes)
    }),
    ("half an attribute's head", "an over-read; CWE-126", Silence, |it| {
        let mut bytes = write(BINDING, &[]);
        bytes.extend([0x80, 0]);
        bytes[3] = 2;
        it.a().sends(it, bytes)
    }),
    ("a message longer than its datagram", "an over-read; CWE-126", Silence, |it| {
        let mut bytes = write(BINDING, &[]);
        bytes[3] = 8;
        it.a().sends(it, bytes)
    }),
    ("a message shorter than its datagram", "RFC 8489 §6.3", Silence, |it| {
        let mut bytes = write(BINDING, &[]);
        bytes.extend([0x80, 0, 0, 0]);
        it.a().sends(it, bytes)
    }),
    ("a peer of no length", "an over-read; CWE-126", Code(400), |it| {
        it.a().signs(it, CREATE_PERMISSION, &[(PEER, b"")])
    }),
    ("a peer of IPv6's length and IPv4's name", "CWE-843", Code(400), |it| {
        let mut long = [7; 20];
        long[..2].copy_from_slice(&[0, 1]);
        it.a().signs(it, CREATE_PERMISSION, &[(PEER, &long)])
    }),
    ("a payload to nobody", "RFC 8656 §11.2", Silence, |it| it.a().sends(it, write(SEND, &[(DATA, b"x")]))),
    ("no payload for somebody", "RFC 8656 §11.2", Silence, |it| {
        let to = peer_value(peer(it.b().port));
        it.a().sends(it, write(SEND, &[(PEER, &to)]))
    }),
    // Too much.
    ("allocations without end", "exhaustion; RFC 8656 §5", Code(486), |it| {
        let clients: Vec<_> =
            (2..=MAX_PER_SIDE).map(|port| it.scene.allocated(&format!("198.51.100.3:{port}"), CALL, Side::A)).collect();
        let mut one_more = it.scene.client("198.51.100.3:999", CALL, Side::A);
        one_more.challenge(&mut it.scene);
        let refused = one_more.allocate(&mut it.scene);
        for client in clients {
            assert_eq!(client.refresh(&mut it.scene, 0).code(), 0);
        }
        refused
    }),
    ("channels without end", "exhaustion; RFC 8656 §12.2", Code(0), |it| {
        // Those that lead nowhere make room for each other.
        let a = it.a();
        for number in 0x4100..0x4FFF {
            assert_eq!(a.bind(&mut it.scene, number, peer(number)).code(), 0);
        }
        let bound = (0x4001..0x4FFF).filter(|number| a.peer_of(it, *number)).count();
        assert!(bound < MAX_CHANNELS, "{bound}");
        a.bind(&mut it.scene, 0x4FFF, peer(65_535))
    }),
    ("permissions without end", "exhaustion; RFC 8656 §10.2", Code(0), |it| {
        // There is one to be had, whichever port it is asked for.
        let a = it.a();
        let peers = (1..=100).map(peer).collect::<Vec<_>>();
        a.permit(&mut it.scene, &peers)
    }),
    ("a call that was over, by what has leaked of it", "draft-uberti-behave-turn-rest §5", Code(403), |it| {
        it.scene.server.revoke(it.scene.now, THIRD_CALL);
        it.fresh().signs(it, ALLOCATE, &[UDP])
    }),
];

const THIRD_CALL: crate::protocol::CallId = crate::protocol::CallId::from_u128(3);

const BINDING: u16 = 0x0001;
const ALLOCATE: u16 = 0x0003;
const REFRESH: u16 = 0x0004;
const CREATE_PERMISSION: u16 = 0x0008;
const CHANNEL_BIND: u16 = 0x0009;
const SEND: u16 = 0x0016;

const USERNAME: u16 = 0x0006;
const INTEGRITY: u16 = 0x0008;
const CHANNEL: u16 = 0x000C;
const LIFETIME: u16 = 0x000D;
const PEER: u16 = 0x0012;
const DATA: u16 = 0x0013;
const FINGERPRINT: u16 = 0x8028;
const TRANSPORT: u16 = 0x0019;
const INTEGRITY_SHA256: u16 = 0x001C;

type Attribute<'a> = (u16, &'a [u8]);

const UDP: Attribute<'static> = (TRANSPORT, &[17, 0, 0, 0]);
const GONE: Attribute<'static> = (LIFETIME, &[0; 4]);

/// A message written by hand: what no library would write, among others.
fn write(kind: u16, attributes: &[Attribute<'_>]) -> Vec<u8> {
    let mut bytes = [&kind.to_be_bytes()[..], &[0, 0], &0x2112_A442_u32.to_be_bytes(), b"a transactio"].concat();
    for attribute in attributes {
        bytes = behind(bytes, *attribute);
    }
    bytes
}

/// With an attribute more.
fn behind(mut bytes: Vec<u8>, (kind, value): Attribute<'_>) -> Vec<u8> {
    bytes.extend(kind.to_be_bytes());
    bytes.extend((value.len() as u16).to_be_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let length = bytes.len() as u16 - 20;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

fn sealed(client: &Client, bytes: Vec<u8>) -> Vec<u8> {
    sealed_with(&client.key(), bytes)
}

fn sealed_with(key: &stun_types::message::IntegrityKey, bytes: Vec<u8>) -> Vec<u8> {
    let mut sealed = behind(bytes, (INTEGRITY, &[0; 20]));
    let end = sealed.len() - 24;
    let signature = MessageIntegrity::compute(&[&sealed[..end]], key).unwrap();
    sealed[end + 4..].copy_from_slice(&signature);
    sealed
}

/// The value of XOR-PEER-ADDRESS, for the transaction that all are.
fn peer_value(address: SocketAddr) -> Vec<u8> {
    let SocketAddr::V4(address) = address else { panic!("written for IPv4") };
    let port = (address.port() ^ 0x2112).to_be_bytes();
    let ip = (address.ip().to_bits() ^ 0x2112_A442).to_be_bytes();
    [&[0, 1][..], &port, &ip].concat()
}

impl Client {
    /// USERNAME, REALM and NONCE.
    fn proof(&self) -> Vec<Attribute<'_>> {
        vec![(USERNAME, self.credentials.username.as_bytes()), (0x0014, b"sotto"), (0x0015, self.nonce.as_bytes())]
    }

    /// Whether it has bound this channel.
    fn peer_of(&self, stage: &Stage, number: u16) -> bool {
        let now = stage.scene.now.instant;
        stage.scene.server.table.of_client(now, &self.from).unwrap().peer_of(now, number).is_some()
    }

    fn named(mut self, username: &str) -> Self {
        username.clone_into(&mut self.credentials.username);
        self
    }

    fn sends(&self, stage: &mut Stage, bytes: Vec<u8>) -> Outcome {
        stage.scene.send(&self.from, &bytes)
    }

    fn send(&self, stage: &mut Stage, kind: u16, attributes: &[Attribute<'_>]) -> Outcome {
        self.sends(stage, write(kind, attributes))
    }

    fn signs(&self, stage: &mut Stage, kind: u16, attributes: &[Attribute<'_>]) -> Outcome {
        self.sends(stage, sealed(self, write(kind, &[attributes, &self.proof()].concat())))
    }
}

/// Two calls: a with b, who have channels, and c with d, who have none.
struct Stage {
    scene: Scene,
    clients: [Client; 4],
    fresh: u16,
}

impl Stage {
    fn new() -> Self {
        let mut scene = Scene::new();
        let (a, b) = scene.pair(CALL, 1);
        let (c, d) = scene.pair(OTHER_CALL, 2);
        assert_eq!(a.bind(&mut scene, 0x4000, peer(b.port)).code(), 0);
        assert_eq!(b.bind(&mut scene, 0x4001, peer(a.port)).code(), 0);
        Self { scene, clients: [a, b, c, d], fresh: 0 }
    }

    fn a(&self) -> Client {
        self.clients[0].clone()
    }

    fn b(&self) -> Client {
        self.clients[1].clone()
    }

    fn c(&self) -> Client {
        self.clients[2].clone()
    }

    fn d(&self) -> Client {
        self.clients[3].clone()
    }

    /// Somebody with good credentials of a call of his own and a nonce, and nothing else yet.
    fn fresh(&mut self) -> Client {
        self.fresh += 1;
        let mut client = self.scene.client(&format!("198.51.100.4:{}", self.fresh), THIRD_CALL, Side::A);
        client.challenge(&mut self.scene);
        client
    }

    /// Somebody who sends from a's address, with a's nonce and good credentials of his own.
    fn as_if(&self, side: Side, call: crate::protocol::CallId) -> Client {
        let mut client = self.a();
        client.credentials = self.scene.secret.mint(call, side, self.scene.now.unix);
        client
    }

    /// Has a bind a channel to b.
    fn binds(&mut self, number: u16) -> Outcome {
        let (a, b) = (self.a(), self.b());
        a.bind(&mut self.scene, number, peer(b.port))
    }

    /// Lets time pass in which everybody keeps what they have.
    fn keep(&mut self, seconds: u64) {
        for passed in (0..seconds).step_by(200) {
            self.scene.pass(200.min(seconds - passed));
            for client in &mut self.clients {
                client.challenge(&mut self.scene);
                assert_eq!(client.refresh(&mut self.scene, 600).code(), 0);
            }
            let [a, b, ..] = &self.clients;
            for (number, one, other) in [(0x4000, a, b), (0x4001, b, a)] {
                assert_eq!(one.bind(&mut self.scene, number, peer(other.port)).code(), 0);
            }
        }
    }

    /// Sends this again and again from where somebody is who has not asked. Less comes out than went in, and nothing
    /// more when nothing more was paid for.
    fn reflects(&mut self, request: &[u8]) -> Outcome {
        let victim = from("192.0.2.77:53");
        let (mut sent, mut answered) = (0, 0);
        for _ in 0..20_000 {
            sent += request.len();
            if let Outcome::Reply(answer) = self.scene.send(&victim, request) {
                answered += answer.len();
            }
        }
        assert!(answered <= sent / 2 + 4_096, "{answered} bytes for {sent}");
        while self.scene.send(&victim, request) != Outcome::Nothing {}
        // A short one does not pay for a longer answer.
        self.scene.send(&victim, &write(ALLOCATE, &[]))
    }

    /// Nothing has changed for those who were there.
    fn goes_on(&mut self) {
        let [a, b, c, d] = self.clients.clone();
        for client in [&a, &b] {
            assert_eq!(client.refresh(&mut self.scene, 600).code(), 0);
        }
        for (from, to) in [(&a, &b), (&b, &a)] {
            assert_eq!(from.permit(&mut self.scene, &[peer(to.port)]).code(), 0);
        }
        let heard = a.say_on(&mut self.scene, 0x4000, b"still here").delivered();
        assert_eq!(heard.0, b.from);
        let heard = b.say(&mut self.scene, peer(a.port), b"still here").delivered();
        assert_eq!((heard.0, heard.2), (a.from, b"still here".to_vec()));
        let others = [&c, &d].map(|it| usize::from(self.scene.server.has_allocation(self.scene.now, &it.from)));
        assert_eq!(self.scene.server.table.len(), 2 + others.iter().sum::<usize>(), "and nobody has come");
    }
}

#[test]
fn nothing_goes_to_a_peer_elsewhere() {
    for (address, source) in PEERS {
        let mut stage = Stage::new();
        let (a, address) = (stage.a(), address.parse::<SocketAddr>().unwrap());
        assert_ne!(address.ip(), std::net::IpAddr::from(RELAYED_ADDRESS));
        let code = if address.is_ipv4() { 403 } else { 443 };
        assert_eq!(a.permit(&mut stage.scene, &[address]).code(), code, "{address}: {source}");
        assert_eq!(a.bind(&mut stage.scene, 0x4009, address).code(), code, "{address}: {source}");
        assert_eq!(a.say(&mut stage.scene, address, b"x"), Outcome::Nothing, "{address}: {source}");
        assert_eq!(a.say_on(&mut stage.scene, 0x4009, b"x"), Outcome::Nothing, "{address}: {source}");
        stage.goes_on();
    }
}

#[test]
fn what_has_been_tried_on_others_is_of_no_use_here() {
    assert_eq!((MessageIntegrity::TYPE.value(), MessageIntegritySha256::TYPE.value()), (INTEGRITY, INTEGRITY_SHA256));
    for (weakness, source, back, attempt) in TRIED {
        println!("{weakness} ({source})");
        let mut stage = Stage::new();
        let outcome = attempt(&mut stage);
        let came = match &outcome {
            Outcome::Nothing => Silence,
            Outcome::Reply(_) => Code(outcome.code()),
            Outcome::Forward(to, _) => {
                let partners = [stage.b().from, stage.d().from];
                assert!(partners.contains(to), "{weakness} ({source}) went to {to:?}");
                Partner
            }
        };
        assert_eq!(came, *back, "{weakness} ({source})");
        stage.goes_on();
    }
}
