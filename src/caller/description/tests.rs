//! Samples are what the crate, Chromium and Firefox really say; the JavaScript tests read the same files.

use super::*;

/// `webrtc` 0.21.1 as the offerer: the fingerprint at session level, upper case.
const CRATE_OFFER: &str = "v=0\r\n\
    o=- 2537515531643060656 749489482 IN IP4 0.0.0.0\r\n\
    s=-\r\n\
    t=0 0\r\n\
    a=fingerprint:sha-256 B5:32:9C:C5:31:49:09:8C:4C:3B:B6:37:F4:39:A1:61:87:CA:CF:49:EB:7B:A3:B7:FF:C9:FB:05:9B:B8:5D:E5\r\n\
    a=extmap-allow-mixed\r\n\
    a=group:BUNDLE 0 1\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n\
    c=IN IP4 0.0.0.0\r\n\
    a=setup:actpass\r\n\
    a=mid:0\r\n\
    a=ice-ufrag:maispWtTqWBMhCZf\r\n\
    a=ice-pwd:meTzzWPJFljRrDqPcERaSmDYHxIrentW\r\n\
    a=rtcp-mux\r\n\
    a=rtcp-rsize\r\n\
    a=rtpmap:111 opus/48000/2\r\n\
    a=fmtp:111 cbr=1;usedtx=0;stereo=0;useinbandfec=1;maxaveragebitrate=32000\r\n\
    a=msid:voice voice\r\n\
    a=ssrc:2475907006 cname:voice\r\n\
    a=sendrecv\r\n\
    m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
    c=IN IP4 0.0.0.0\r\n\
    a=setup:actpass\r\n\
    a=mid:1\r\n\
    a=sendrecv\r\n\
    a=sctp-port:5000\r\n\
    a=max-message-size:65536\r\n\
    a=ice-ufrag:maispWtTqWBMhCZf\r\n\
    a=ice-pwd:meTzzWPJFljRrDqPcERaSmDYHxIrentW\r\n";

const CHROMIUM_OFFER: &str = include_str!("../../../tests/fixtures/sdp/chromium-offer.sdp");
const CHROMIUM_ANSWER: &str = include_str!("../../../tests/fixtures/sdp/chromium-answer.sdp");
const FIREFOX_OFFER: &str = include_str!("../../../tests/fixtures/sdp/firefox-offer.sdp");
const FIREFOX_ANSWER: &str = include_str!("../../../tests/fixtures/sdp/firefox-answer.sdp");

const ALL: [&str; 5] = [CRATE_OFFER, CHROMIUM_OFFER, CHROMIUM_ANSWER, FIREFOX_OFFER, FIREFOX_ANSWER];

fn described(ufrag: &str, pwd: &str, fingerprint: &str, setup: Setup, payload_type: u8) -> Description {
    Description {
        ufrag: Ufrag::new(ufrag).unwrap(),
        pwd: Pwd::new(pwd).unwrap(),
        fingerprint: Fingerprint::new(fingerprint).unwrap(),
        setup,
        payload_type: PayloadType::new(payload_type).unwrap(),
    }
}

#[test]
fn the_five_values_of_the_crate_and_of_browsers_are_found() {
    for (sdp, ufrag, pwd, fingerprint, setup, payload_type) in [
        (
            CRATE_OFFER,
            "maispWtTqWBMhCZf",
            "meTzzWPJFljRrDqPcERaSmDYHxIrentW",
            "b5329cc53149098c4c3bb637f439a16187cacf49eb7ba3b7ffc9fb059bb85de5",
            Setup::Actpass,
            111,
        ),
        (
            CHROMIUM_OFFER,
            "JIi/",
            "azt+TrL/Z5aF5DuDUGJA8DaM",
            "b91dffdcf0d6a2047bd9b4e1a7b28988352080810df6d00b09b19e1ad07c25b7",
            Setup::Actpass,
            111,
        ),
        (
            CHROMIUM_ANSWER,
            "dTJp",
            "nmvr77w/8fW1w9kaC5+/ZCFq",
            "b4ab944a6caadce2c61d86214e2395fc9aefe75500a3f56956cd6bd5d2493fb9",
            Setup::Active,
            111,
        ),
        (
            FIREFOX_OFFER,
            "fdf4ad49",
            "44ca1a1aa769d6cd16eb15653b402ea6",
            "c7b12aba4363a17e8d694a00117ea29cfd8c9ac47c77578e2eb3703592983879",
            Setup::Actpass,
            109,
        ),
        (
            FIREFOX_ANSWER,
            "5206835b",
            "cf46afd0834c366e7901451241c9e732",
            "c6eda713f6a53fe6b98c666a2f0052d17c78d0b8fffbc9b3fddd1fb442730d70",
            Setup::Active,
            109,
        ),
    ] {
        assert_eq!(extract(sdp), Ok(described(ufrag, pwd, fingerprint, setup, payload_type)), "{ufrag}");
    }
}

#[test]
fn bare_line_feeds_and_hexadecimal_of_either_case_are_read() {
    let sdp = CRATE_OFFER.replace("\r\n", "\n").replace("B5:32:9C", "b5:32:9c");
    assert_eq!(extract(&sdp), extract(CRATE_OFFER));
}

#[test]
fn what_is_missing_or_out_of_bounds_is_named() {
    let without = |line: &str| {
        let lines = CRATE_OFFER.split_inclusive("\r\n");
        extract(&lines.filter(|it| !it.starts_with(line)).collect::<String>())
    };
    assert_eq!(without("a=ice-ufrag"), Err(DescriptionError::Ufrag));
    assert_eq!(without("a=ice-pwd"), Err(DescriptionError::Pwd));
    assert_eq!(without("a=fingerprint"), Err(DescriptionError::Fingerprint));
    assert_eq!(without("a=setup"), Err(DescriptionError::Setup));
    assert_eq!(without("a=rtpmap"), Err(DescriptionError::PayloadType));
    assert_eq!(without("m=audio"), Err(DescriptionError::PayloadType));
    assert_eq!(extract(""), Err(DescriptionError::Ufrag));

    let with = |from: &str, to: &str| extract(&CRATE_OFFER.replace(from, to));
    assert_eq!(with("maispWtTqWBMhCZf", "abc"), Err(DescriptionError::Ufrag));
    assert_eq!(with("maispWtTqWBMhCZf", "a b c d"), Err(DescriptionError::Ufrag));
    assert_eq!(with("meTzzWPJFljRrDqPcERaSmDYHxIrentW", "short"), Err(DescriptionError::Pwd));
    assert_eq!(with("sha-256", "sha-1"), Err(DescriptionError::Fingerprint));
    let line = CRATE_OFFER.lines().find(|line| line.starts_with("a=fingerprint")).unwrap();
    for (second, one_certificate) in [
        (line.to_owned(), true),
        (line.replace("sha-256 B5", "sha-256 B6"), false),
        (format!("a=fingerprint:sha-1 {}", vec!["00"; 20].join(":")), false),
    ] {
        let read = extract(&format!("{CRATE_OFFER}{second}\r\n"));
        assert_eq!(read.is_ok(), one_certificate, "{second}");
    }
    assert_eq!(with("B5:32:", ""), Err(DescriptionError::Fingerprint));
    assert_eq!(with("actpass", "holdconn"), Err(DescriptionError::Setup));
    assert_eq!(with("rtpmap:111", "rtpmap:11"), Err(DescriptionError::PayloadType));
    assert_eq!(with("rtpmap:111", "rtpmap:999"), Err(DescriptionError::PayloadType));
    assert_eq!(with("opus/48000/2", "PCMU/8000"), Err(DescriptionError::PayloadType));
}

#[test]
fn the_remote_description_is_the_template_and_the_five_values() {
    let firefox = extract(FIREFOX_ANSWER).unwrap();
    let transport = "c=IN IP4 0.0.0.0\r\n\
        a=ice-ufrag:5206835b\r\n\
        a=ice-pwd:cf46afd0834c366e7901451241c9e732\r\n\
        a=fingerprint:sha-256 C6:ED:A7:13:F6:A5:3F:E6:B9:8C:66:6A:2F:00:52:D1:7C:78:D0:B8:FF:FB:C9:B3:FD:DD:1F:B4:42:73:0D:70\r\n\
        a=setup:active\r\n";
    let expected = format!(
        "v=0\r\n\
        o=- 1 7 IN IP4 0.0.0.0\r\n\
        s=-\r\n\
        t=0 0\r\n\
        a=group:BUNDLE 0 1\r\n\
        a=ice-options:trickle\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 109\r\n\
        {transport}\
        a=mid:0\r\n\
        a=sendrecv\r\n\
        a=rtcp-mux\r\n\
        a=rtpmap:109 opus/48000/2\r\n\
        a=fmtp:109 minptime=10;cbr=1;usedtx=0;stereo=0;useinbandfec=1;maxaveragebitrate=32000\r\n\
        a=ptime:20\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
        {transport}\
        a=mid:1\r\n\
        a=sctp-port:5000\r\n\
        a=max-message-size:16384\r\n"
    );
    assert_eq!(remote(&firefox, 7), expected);
}

#[test]
fn nothing_of_the_partners_own_making_is_in_the_remote_description() {
    for sdp in ALL {
        let remote = remote(&extract(sdp).unwrap(), 1);
        for line in ["a=extmap", "a=msid", "a=ssrc", "cname", "a=candidate", "a=rtcp-fb", "red/", "PCMU"] {
            assert!(!remote.contains(line), "{line}");
        }
        assert_eq!(remote.matches("a=rtpmap").count(), 1);
    }
}

#[test]
fn a_description_survives_the_way_there_and_back() {
    for sdp in ALL {
        let description = extract(sdp).unwrap();
        assert_eq!(extract(&remote(&description, 1)), Ok(description));
    }
}

#[test]
fn a_candidate_is_the_constant_address_and_a_port() {
    assert_eq!(
        remote_candidate(49152, 0),
        "candidate:1 1 udp 16777215 192.0.2.1 49152 typ relay raddr 0.0.0.0 rport 0"
    );
    assert_eq!(
        remote_candidate(65535, 1),
        "candidate:2 1 udp 16776959 192.0.2.1 65535 typ relay raddr 0.0.0.0 rport 0"
    );
}
