//! Session descriptions, both ways: the five values of our own SDP (RFC 8866) that travel, and a remote
//! SDP built from a partner's five values by one template. The Rust twin of the page's module.
//!
//! Nothing of the partner's making enters an SDP but a value that [`crate::protocol`] has checked, so a
//! partner cannot add a line, a codec, a header extension or an address.

use crate::protocol::{Description, Fingerprint, PayloadType, Pwd, RELAYED_ADDRESS, Setup, Ufrag};

/// What both sides ask of the other's Opus encoder (RFC 7587 §6.1): a constant rate without gaps, so that
/// packet sizes do not follow the speech; 32 kbit/s is exactly 80 bytes in 20 ms.
pub(crate) const OPUS_FMTP: &str = "minptime=10;cbr=1;usedtx=0;stereo=0;useinbandfec=1;maxaveragebitrate=32000";

/// The sizes of a data channel message and an SCTP port that everybody uses (RFC 8841 §5 and §6).
const SCTP_LINES: &str = "a=sctp-port:5000\r\na=max-message-size:16384\r\n";

/// What an SDP of ours has to contain and did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DescriptionError {
    /// No `ice-ufrag`, or one that is not 4 to 32 ice-chars.
    #[error("the session description has no usable ICE username fragment")]
    Ufrag,
    /// No `ice-pwd`, or one that is not 22 to 64 ice-chars.
    #[error("the session description has no usable ICE password")]
    Pwd,
    /// Not exactly one certificate: no `fingerprint` with SHA-256 and 32 bytes, or others besides.
    #[error("the session description has not exactly one SHA-256 fingerprint")]
    Fingerprint,
    /// No `setup`, or another value than `actpass`, `active` or `passive`.
    #[error("the session description has no DTLS role")]
    Setup,
    /// No audio section with Opus at 48 kHz under a dynamic payload type.
    #[error("the session description has no Opus")]
    PayloadType,
}

/// Takes the five values that travel out of an SDP that this side's own peer connection made.
///
/// Reads what is said first, at session level or in a media section: under BUNDLE (RFC 9143) all sections
/// carry the same values.
pub(crate) fn extract(sdp: &str) -> Result<Description, DescriptionError> {
    let ufrag = attribute(sdp, "ice-ufrag").and_then(Ufrag::new).ok_or(DescriptionError::Ufrag)?;
    let pwd = attribute(sdp, "ice-pwd").and_then(Pwd::new).ok_or(DescriptionError::Pwd)?;
    let setup = match attribute(sdp, "setup") {
        Some("actpass") => Setup::Actpass,
        Some("active") => Setup::Active,
        Some("passive") => Setup::Passive,
        _ => return Err(DescriptionError::Setup),
    };
    Ok(Description {
        ufrag,
        pwd,
        fingerprint: fingerprint(sdp).ok_or(DescriptionError::Fingerprint)?,
        setup,
        payload_type: opus_payload_type(sdp).ok_or(DescriptionError::PayloadType)?,
    })
}

/// Builds the SDP that stands for the partner: audio with Opus alone and one data channel, bundled, with
/// RTP and RTCP on one port, and no `extmap`, `msid`, `ssrc` or `cname`. Candidates come later, each by
/// [`remote_candidate`]. `version` grows with every description of a call (RFC 8866 §5.2).
pub(crate) fn remote(description: &Description, version: u32) -> String {
    let Description { ufrag, pwd, fingerprint, setup, payload_type } = description;
    let setup = match setup {
        Setup::Actpass => "actpass",
        Setup::Active => "active",
        Setup::Passive => "passive",
    };
    let transport = format!(
        "c=IN IP4 0.0.0.0\r\n\
         a=ice-ufrag:{}\r\n\
         a=ice-pwd:{}\r\n\
         a=fingerprint:sha-256 {}\r\n\
         a=setup:{setup}\r\n",
        ufrag.get(),
        pwd.get(),
        with_colons(fingerprint),
    );
    let opus = payload_type.get();
    format!(
        "v=0\r\n\
         o=- 1 {version} IN IP4 0.0.0.0\r\n\
         s=-\r\n\
         t=0 0\r\n\
         a=group:BUNDLE 0 1\r\n\
         a=ice-options:trickle\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF {opus}\r\n\
         {transport}\
         a=mid:0\r\n\
         a=sendrecv\r\n\
         a=rtcp-mux\r\n\
         a=rtpmap:{opus} opus/48000/2\r\n\
         a=fmtp:{opus} {OPUS_FMTP}\r\n\
         a=ptime:20\r\n\
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
         {transport}\
         a=mid:1\r\n\
         {SCTP_LINES}"
    )
}

/// Builds the candidate attribute (RFC 8839 §5.1) for one allocation of the partner: the relayed address is the same
/// for everybody, so a port is all there is to know. `index` is how many came before; earlier ones are preferred.
pub(crate) fn remote_candidate(port: u16, index: u16) -> String {
    // RFC 8445 §5.1.2.1 with the type preference of relayed candidates, 0.
    let priority = (u32::from(u16::MAX - index) << 8) + 255;
    let foundation = u32::from(index) + 1;
    format!("candidate:{foundation} 1 udp {priority} {RELAYED_ADDRESS} {port} typ relay raddr 0.0.0.0 rport 0")
}

/// The value of the first `a=NAME:` line.
fn attribute<'sdp>(sdp: &'sdp str, name: &str) -> Option<&'sdp str> {
    attributes(sdp, name).next()
}

/// The values of all `a=NAME:` lines, in order.
fn attributes<'sdp, 'name>(sdp: &'sdp str, name: &'name str) -> impl Iterator<Item = &'sdp str> + use<'sdp, 'name> {
    sdp.lines().filter_map(move |line| line.strip_prefix("a=")?.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

/// The one fingerprint (RFC 8122 §5) that every section names, SHA-256 with its bytes in hexadecimal of either case
/// between colons. None where there is none, or another besides: a second is a second certificate that would do.
pub(crate) fn fingerprint(sdp: &str) -> Option<Fingerprint> {
    let mut fingerprints = attributes(sdp, "fingerprint").map(|value| {
        let (hash, bytes) = value.split_once(' ')?;
        let bytes = hash.eq_ignore_ascii_case("sha-256").then_some(bytes)?;
        Fingerprint::new(bytes.trim().replace(':', "").to_ascii_lowercase())
    });
    let first = fingerprints.next()??;
    fingerprints.all(|other| other.as_ref() == Some(&first)).then_some(first)
}

/// The fingerprint as SDP writes it: upper case, with colons between the bytes.
fn with_colons(fingerprint: &Fingerprint) -> String {
    let digits = fingerprint.get();
    let mut out = String::with_capacity(digits.len() * 3 / 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && index % 2 == 0 {
            out.push(':');
        }
        out.push(digit.to_ascii_uppercase());
    }
    out
}

/// The payload type that the first audio section gives to Opus (RFC 7587 §7). Never taken for granted:
/// Chromium says 111, Firefox 109.
fn opus_payload_type(sdp: &str) -> Option<PayloadType> {
    let audio = sdp.split("\nm=").find(|section| section.starts_with("audio "))?;
    attributes(audio, "rtpmap").find_map(|value| {
        let (number, codec) = value.split_once(' ')?;
        let mut parts = codec.split('/');
        let opus = parts.next()?.eq_ignore_ascii_case("opus") && parts.next()? == "48000";
        let number: u8 = number.parse().ok()?;
        opus.then(|| PayloadType::new(number))?
    })
}

#[cfg(test)]
mod tests;
