//! Samples are what the crate, Chromium and Firefox really say, shortened where lines repeat. The addresses in
//! them are from RFC 5737.

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

/// Chromium as the offerer: everything at media level, other codecs beside Opus, candidates.
const CHROMIUM_OFFER: &str = "v=0\r\n\
    o=- 4611731400430051336 2 IN IP4 127.0.0.1\r\n\
    s=-\r\n\
    t=0 0\r\n\
    a=group:BUNDLE 0 1\r\n\
    a=extmap-allow-mixed\r\n\
    a=msid-semantic: WMS\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 63 111 9 0 8 13 110 126\r\n\
    c=IN IP4 0.0.0.0\r\n\
    a=rtcp:9 IN IP4 0.0.0.0\r\n\
    a=candidate:2896278100 1 udp 41885439 192.0.2.1 49152 typ relay raddr 198.51.100.7 rport 50123 generation 0 ufrag 1kTC network-id 1 network-cost 10\r\n\
    a=ice-ufrag:1kTC\r\n\
    a=ice-pwd:x+OqLe0eFH8/KyTiSaVTwPYM\r\n\
    a=ice-options:trickle\r\n\
    a=fingerprint:sha-256 7B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08\r\n\
    a=setup:actpass\r\n\
    a=mid:0\r\n\
    a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n\
    a=sendrecv\r\n\
    a=msid:- 26d8e2b3-6f4a-4a48-8c7d-0d1c7c1e2f0a\r\n\
    a=rtcp-mux\r\n\
    a=rtcp-rsize\r\n\
    a=rtpmap:63 red/48000/2\r\n\
    a=fmtp:63 111/111\r\n\
    a=rtpmap:111 opus/48000/2\r\n\
    a=rtcp-fb:111 transport-cc\r\n\
    a=fmtp:111 minptime=10;useinbandfec=1\r\n\
    a=rtpmap:9 G722/8000\r\n\
    a=rtpmap:0 PCMU/8000\r\n\
    a=ssrc:1399694169 cname:IJ0vGmyrGR7Jm8xN\r\n\
    m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
    c=IN IP4 0.0.0.0\r\n\
    a=ice-ufrag:1kTC\r\n\
    a=ice-pwd:x+OqLe0eFH8/KyTiSaVTwPYM\r\n\
    a=fingerprint:sha-256 7B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08\r\n\
    a=setup:actpass\r\n\
    a=mid:1\r\n\
    a=sctp-port:5000\r\n\
    a=max-message-size:262144\r\n";

/// Firefox as the answerer: fingerprint at session level, Opus as 109, its own order of lines.
const FIREFOX_ANSWER: &str = "v=0\r\n\
    o=mozilla...THIS_IS_SDPARTA-99.0 7306163013470812311 0 IN IP4 0.0.0.0\r\n\
    s=-\r\n\
    t=0 0\r\n\
    a=fingerprint:sha-256 3D:4A:1C:60:0D:B6:5B:5C:8A:4B:5D:67:7F:A5:AF:02:B5:8F:24:04:AB:4D:5E:53:B5:6A:28:F1:17:66:B9:4E\r\n\
    a=group:BUNDLE 0 1\r\n\
    a=ice-options:trickle\r\n\
    a=msid-semantic:WMS *\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 109\r\n\
    c=IN IP4 0.0.0.0\r\n\
    a=sendrecv\r\n\
    a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1\r\n\
    a=ice-pwd:9eb2a2a71b3aa4a24b3f2d6c1f7f5c0d\r\n\
    a=ice-ufrag:0a6e1f52\r\n\
    a=mid:0\r\n\
    a=msid:- {4f5c1d7e-3d6b-4a0e-9f0b-2f5a9a3f6f11}\r\n\
    a=rtcp-mux\r\n\
    a=rtpmap:109 opus/48000/2\r\n\
    a=setup:active\r\n\
    a=ssrc:2406842361 cname:{b7e8a1a5-5f3d-4d0c-8a3d-0e9f7c6b5a41}\r\n\
    m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
    c=IN IP4 0.0.0.0\r\n\
    a=sendrecv\r\n\
    a=ice-pwd:9eb2a2a71b3aa4a24b3f2d6c1f7f5c0d\r\n\
    a=ice-ufrag:0a6e1f52\r\n\
    a=mid:1\r\n\
    a=setup:active\r\n\
    a=sctp-port:5000\r\n\
    a=max-message-size:1073741823\r\n";

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
    assert_eq!(
        extract(CRATE_OFFER),
        Ok(described(
            "maispWtTqWBMhCZf",
            "meTzzWPJFljRrDqPcERaSmDYHxIrentW",
            "b5329cc53149098c4c3bb637f439a16187cacf49eb7ba3b7ffc9fb059bb85de5",
            Setup::Actpass,
            111,
        ))
    );
    assert_eq!(
        extract(CHROMIUM_OFFER),
        Ok(described(
            "1kTC",
            "x+OqLe0eFH8/KyTiSaVTwPYM",
            "7b8bf0655f78e2513bac6ff33f461b35dcb85f641a24c243f0a158d0a12c1908",
            Setup::Actpass,
            111,
        ))
    );
    assert_eq!(
        extract(FIREFOX_ANSWER),
        Ok(described(
            "0a6e1f52",
            "9eb2a2a71b3aa4a24b3f2d6c1f7f5c0d",
            "3d4a1c600db65b5c8a4b5d677fa5af02b58f2404ab4d5e53b56a28f11766b94e",
            Setup::Active,
            109,
        ))
    );
}

#[test]
fn bare_line_feeds_and_hexadecimal_of_either_case_are_read() {
    let sdp = CHROMIUM_OFFER.replace("\r\n", "\n").replace("7B:8B:F0", "7b:8b:f0");
    assert_eq!(extract(&sdp), extract(CHROMIUM_OFFER));
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
        a=ice-ufrag:0a6e1f52\r\n\
        a=ice-pwd:9eb2a2a71b3aa4a24b3f2d6c1f7f5c0d\r\n\
        a=fingerprint:sha-256 3D:4A:1C:60:0D:B6:5B:5C:8A:4B:5D:67:7F:A5:AF:02:B5:8F:24:04:AB:4D:5E:53:B5:6A:28:F1:17:66:B9:4E\r\n\
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
        a=fmtp:109 cbr=1;usedtx=0;stereo=0;useinbandfec=1;maxaveragebitrate=32000\r\n\
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
    for sdp in [CRATE_OFFER, CHROMIUM_OFFER, FIREFOX_ANSWER] {
        let remote = remote(&extract(sdp).unwrap(), 1);
        for line in ["a=extmap", "a=msid", "a=ssrc", "cname", "a=candidate", "a=rtcp-fb", "red/", "PCMU"] {
            assert!(!remote.contains(line), "{line}");
        }
        assert_eq!(remote.matches("a=rtpmap").count(), 1);
    }
}

#[test]
fn a_description_survives_the_way_there_and_back() {
    for sdp in [CRATE_OFFER, CHROMIUM_OFFER, FIREFOX_ANSWER] {
        let description = extract(sdp).unwrap();
        assert_eq!(extract(&remote(&description, 1)), Ok(description));
    }
}

#[test]
fn a_candidate_is_the_constant_address_and_a_port() {
    let address = crate::protocol::RELAYED_ADDRESS.into();
    assert_eq!(
        remote_candidate(address, 49152, 0),
        "candidate:1 1 udp 16777215 192.0.2.1 49152 typ relay raddr 0.0.0.0 rport 0"
    );
    assert_eq!(
        remote_candidate(address, 65535, 1),
        "candidate:2 1 udp 16776959 192.0.2.1 65535 typ relay raddr 0.0.0.0 rport 0"
    );
}
