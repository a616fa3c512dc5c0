//! The wire between a page and the server: every frame on `/ws`, and the codes a socket closes with.
//!
//! One JSON object per text frame, told apart by `type`, at most [`MAX_MESSAGE_BYTES`]. Unknown types,
//! unknown fields and values out of bounds are errors. The path names the version: `/ws` is version 1,
//! and a change that an older page could not read takes a new path.
//!
//! A conversation in frames (`>` page to server, `<` server to page):
//!
//! ```text
//! > {"type":"hello"}                            the first frame of a socket
//! < {"type":"welcome","resume":"…"}             a token for the next socket's hello
//! > {"type":"join","languages":["en"],"role":"either","avoid_recent":true}
//! < {"type":"waiting","usual":"soon"}          or {"type":"slow_down","retry_after":10}, and one is idle still
//!                                              or {"type":"work",…}: join once more, with a proof
//! < {"type":"matched","call":"…","side":"a","offerer":true,"relay":{…}}
//! > {"type":"describe","call":"…","description":{…}}     the offerer first, the answerer after it
//! < {"type":"describe","call":"…","description":{…}}
//! > {"type":"candidate","call":"…","port":49152}         a virtual port on the relay, one per allocation
//! < {"type":"candidate","call":"…","port":49153}
//! > {"type":"connected","call":"…"}             this side hears the line: the call has begun
//! > {"type":"leave"}                            ends the wait or the call; back to idle
//! < {"type":"ended","call":"…","why":"left"}
//! > {"type":"report","call":"…","category":"other"}       in the call, or within ten minutes after it
//! > {"type":"hear_yourself"}                    or this in place of join: matched with the server's own caller
//! ```
//!
//! There is no field here in which an address could stand: a description carries keys and one payload
//! type, a candidate one port. The relayed address is [`crate::protocol::RELAYED_ADDRESS`] for everybody.
//!
//! This file imports nothing of ours. `tests/fixtures/protocol/` holds golden frames that the Rust and the
//! JavaScript tests both read.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

/// The most bytes a frame may have, either way. A description is under 400; the rest is room to grow.
pub const MAX_MESSAGE_BYTES: usize = 8 * 1024;

/// The relayed transport address of every allocation: a name, not a place (RFC 5737, TEST-NET-1). Only
/// the virtual port tells two allocations of a call apart, so the address tells a partner nothing.
pub const RELAYED_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// The most languages one visitor may bring: more than anybody speaks well enough for a talk, and a
/// bound on what one join costs.
pub const MAX_LANGUAGES: usize = 8;

/// The most numbers that anybody is asked to try: a slow phone's seconds, and no more of anybody's battery than that.
pub const MAX_TRIES: u32 = 1_000_000;

/// Names one call. Made at the match, known to its two sides and to nobody else.
pub type CallId = Uuid;

/// What a page or a native caller sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ClientMessage {
    /// The first frame of every socket.
    Hello {
        /// The token of the last `welcome`. It brings this socket back to a call whose own was lost; after the visitor
        /// has left, it lets the server keep two who have just talked apart. Single use.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resume: Option<ResumeToken>,
    },
    /// Asks to be paired. Only when idle.
    Join {
        /// What one wants to talk in, at least one; a partner shares at least one of them.
        languages: Languages,
        /// Whether one would rather talk or listen. A wish, given up after a while.
        role: Role,
        /// False lets somebody met a moment ago be met again, if they say so as well.
        avoid_recent: bool,
        /// Whether one is struggling badly: two who are do not meet. Not on the wire where one is not.
        #[serde(default, skip_serializing_if = "Struggling::is_not")]
        struggling: Struggling,
        /// That the work is done which the server has asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proof: Option<Proof>,
    },
    /// Asks for a call with the server's own caller, which says again what it hears. Only when idle. It is a call like any
    /// other, with `matched` to begin with, but that nobody has to be waited for, that it lasts for half a minute at the
    /// most, and that it can neither be reported nor keeps anybody apart.
    HearYourself {},
    /// Ends the wait or the call and goes back to idle. Harmless when idle.
    Leave {},
    /// This side's session description. Once per call; the offerer's comes first.
    Describe {
        /// The call it belongs to; ignored when that call is over.
        call: CallId,
        /// What the partner's page needs to build the remote description from its own template.
        description: Description,
    },
    /// One relay candidate of this side.
    Candidate {
        /// The call it belongs to; ignored when that call is over.
        call: CallId,
        /// The virtual port of one of this side's allocations.
        port: Port,
    },
    /// New ICE credentials for an ICE restart (RFC 8839 §4.4.1.1). The fingerprint cannot change. From the answerer,
    /// credentials that are in force already ask for a restart.
    Restart {
        /// The call it belongs to; ignored when that call is over.
        call: CallId,
        /// The new username fragment.
        ufrag: Ufrag,
        /// The new password.
        pwd: Pwd,
    },
    /// Says that something was not right with the partner: in a call, which it ends, or within ten minutes after it. Once
    /// per call, and without a word of one's own. The two do not meet again for a day.
    Report {
        /// The call it is about; ignored when that is too long ago.
        call: CallId,
        /// What it was.
        category: Category,
    },
    /// This side's transport is up: from here on the call counts as begun, and an end is an end.
    Connected {
        /// The call it belongs to; ignored when that call is over.
        call: CallId,
    },
}

/// What the server sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ServerMessage {
    /// Answers `hello`.
    Welcome {
        /// For the `hello` of this visitor's next socket. To be kept in memory only.
        resume: ResumeToken,
        /// The call that the presented token brought this socket back to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call: Option<CallId>,
    },
    /// In the queue: after `join`, and again after `ended` with `vanished`.
    Waiting {
        /// How it usually is at this hour; not there where too little is known of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usual: Option<Usual>,
    },
    /// Paired.
    Matched {
        /// Names the call in every frame about it.
        call: CallId,
        /// Which of the two this visitor is.
        side: Side,
        /// Whether this side makes the offer (RFC 8829), now and at every ICE restart.
        offerer: bool,
        /// How to reach the relay.
        relay: Relay,
        /// Whether the two may type to each other, which is the operator's to say. Not on the wire where they may not,
        /// so that there is one way to say it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        text_line: bool,
    },
    /// The partner's description.
    Describe {
        /// The call it belongs to.
        call: CallId,
        /// As the partner sent it.
        description: Description,
    },
    /// A relay candidate of the partner.
    Candidate {
        /// The call it belongs to.
        call: CallId,
        /// A virtual port on the relay.
        port: Port,
    },
    /// The partner's new ICE credentials; or those in force, with which an answerer asks for a restart.
    Restart {
        /// The call it belongs to.
        call: CallId,
        /// The new username fragment.
        ufrag: Ufrag,
        /// The new password.
        pwd: Pwd,
    },
    /// The call is over.
    Ended {
        /// The call that is over.
        call: CallId,
        /// As much as is known of how it ended.
        why: EndReason,
    },
    /// A `join` or a `hear_yourself` was not accepted, because too many have come from the same network, or the server
    /// has no more callers to give: one is idle, and may ask again later. How much later is told as a duration, since the page's clock may be wrong.
    SlowDown {
        /// Seconds, as in HTTP's Retry-After.
        retry_after: Pause,
    },
    /// A `join` was not accepted, because too many come at once, from wherever: one is idle, and may join once more when
    /// this is solved. It takes a number below `most` with which SHA-256(challenge ‖ number), the challenge as its 32
    /// bytes and the number as four in network order, is the target. Good once, for a minute, and for this network.
    Work {
        /// To be given back as it is. What is in it is the server's.
        challenge: Challenge,
        /// What the number has to come to.
        target: Target,
        /// How many numbers there are to try, half of them on average.
        most: Tries,
    },
    /// A `join` was not accepted, because several people have reported conversations with somebody of the same network.
    CoolDown {
        /// Seconds until it may be tried again.
        retry_after: CoolDown,
        /// What was reported most.
        category: Category,
    },
    /// Something was not accepted; nothing else changed.
    Problem {
        /// For programs.
        code: ProblemCode,
        /// For developers, in English; the page has words of its own.
        text: String,
    },
    /// The server is about to stop.
    Closing {
        /// Seconds until this socket closes.
        r#in: u32,
    },
}

/// Which of the two sides of a call, as the relay credentials name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The one who waited longer.
    A,
    /// The one who came later.
    B,
}

impl Side {
    /// The partner's side.
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Whether a visitor would rather talk or listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Would rather talk.
    Talk,
    /// Would rather listen.
    Listen,
    /// Both are fine.
    Either,
}

/// How waits usually end at this hour of the day, as far as the server has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Usual {
    /// Most people find somebody within a minute.
    Soon,
    /// Most find somebody within ten.
    Minutes,
    /// Most leave, or wait for longer.
    Quiet,
}

/// Whether a visitor has said that they are struggling badly. Told to nobody, and printed nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Struggling(pub bool);

impl Struggling {
    /// Whether there is nothing to be said on the wire.
    pub fn is_not(&self) -> bool {
        !self.0
    }
}

/// The solution of a `work`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// As the server gave it.
    pub challenge: Challenge,
    /// What was found.
    pub number: u32,
}

/// What a report says. Few and plain, so that nobody has to think about which it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Sexual words or sounds that were not wanted.
    Sexual,
    /// Hate, or a threat.
    Hateful,
    /// Asks for money, a name or a way of contact.
    Asking,
    /// Seems to be a child.
    Young,
    /// Something else.
    Other,
}

/// How a call ended, as far as the server knows. Who ended it is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndReason {
    /// One side left.
    Left,
    /// The line to one side was lost, and did not come back.
    Lost,
    /// The partner was gone before the call had begun. A `waiting` follows: one is back at one's old place.
    Vanished,
}

/// What was wrong with a frame. None of these changes the state of the visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// Not a frame of this protocol: no JSON, an unknown type or field, a value out of bounds.
    BadMessage,
    /// The first frame was not `hello`, or `hello` came twice.
    UnexpectedHello,
    /// `join` or `hear_yourself` while waiting already.
    AlreadyWaiting,
    /// `join` or `hear_yourself` while in a call.
    AlreadyInCall,
    /// A description that is not this side's to give now: twice, too early, or with the wrong `setup`.
    UnexpectedDescription,
    /// More candidates or restarts than a call can need.
    TooMany,
}

/// A session description (RFC 8866) reduced to what the partner's page cannot know: everything else is a
/// constant of the page's own template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// ICE username fragment (RFC 8839 §5.4).
    pub ufrag: Ufrag,
    /// ICE password (RFC 8839 §5.4).
    pub pwd: Pwd,
    /// SHA-256 fingerprint of the DTLS certificate (RFC 8122), fixed for the life of the call.
    pub fingerprint: Fingerprint,
    /// DTLS role (RFC 8842): `actpass` from the offerer, `active` or `passive` from the answerer.
    pub setup: Setup,
    /// RTP payload type of Opus; it has to travel because Firefox takes 109 and Chromium 111.
    pub payload_type: PayloadType,
}

/// The DTLS role of a description (RFC 8842 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Setup {
    /// Either; what an offerer says.
    Actpass,
    /// Will send the ClientHello.
    Active,
    /// Waits for the ClientHello.
    Passive,
}

/// How to reach the relay, for one side of one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relay {
    /// `host` or `host:port` of the relay where the operator set one; otherwise the page uses the host and
    /// port that it was loaded from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The transports to try, in this order.
    pub transports: Vec<Transport>,
    /// `expiry:call:side`, the TURN username.
    pub username: String,
    /// The TURN password for it.
    pub credential: String,
}

/// How TURN messages travel between a page and the relay (RFC 8656 §2.1, RFC 7065).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// `turn:HOST:PORT?transport=udp`
    Udp,
    /// `turn:HOST:PORT?transport=tcp`
    Tcp,
    /// `turns:HOST:PORT?transport=tcp`
    Tls,
}

/// A value that is bound to a rule when it is read, so that no other code needs to check it again.
macro_rules! checked {
    ($(#[$meta:meta])* $name:ident($inner:ty), $expects:literal, |$value:ident| $rule:expr) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name($inner);

        impl $name {
            /// Checks the value; `None` when it breaks the rule.
            pub fn new(value: impl Into<$inner>) -> Option<Self> {
                let value = value.into();
                let holds = { let $value = &value; $rule };
                holds.then_some(Self(value))
            }

            /// The value itself.
            pub fn get(&self) -> &$inner {
                &self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                Self::new(<$inner>::deserialize(from)?).ok_or_else(|| serde::de::Error::custom($expects))
            }
        }
    };
}

checked! {
    /// ICE username fragment: 4 to 32 ice-chars. (RFC 8839 allows 256; the longest in use is 16.)
    Ufrag(String), "a ufrag is 4 to 32 ice-chars", |value| is_ice_chars(value, 4, 32)
}

checked! {
    /// ICE password: 22 to 64 ice-chars. (RFC 8839 allows 256; the longest in use is 32.)
    Pwd(String), "a pwd is 22 to 64 ice-chars", |value| is_ice_chars(value, 22, 64)
}

checked! {
    /// 32 bytes as 64 lower-case hexadecimal digits.
    Fingerprint(String), "a fingerprint is 64 lower-case hexadecimal digits", |value| is_hex(value, 64)
}

checked! {
    /// A dynamic RTP payload type (RFC 3551 §6).
    PayloadType(u8), "a payload type is 96 to 127", |value| (96..=127).contains(value)
}

checked! {
    /// A virtual port of the relay: the dynamic range (RFC 6335 §6).
    Port(u16), "a port is 49152 to 65535", |value| *value >= 49152
}

checked! {
    /// Seconds to wait, at most a minute: a limit that lasts longer would need other words.
    Pause(u32), "a pause is 1 to 60 seconds", |value| (1..=60).contains(value)
}

impl Pause {
    /// As long as this or a little longer, as far as the bounds allow.
    pub fn at_least(time: Duration) -> Self {
        Self(seconds(time).clamp(1, 60))
    }
}

checked! {
    /// Seconds to stay away, at most a day.
    CoolDown(u32), "a cool-down is 1 to 86400 seconds", |value| (1..=86_400).contains(value)
}

impl CoolDown {
    /// As long as this or a little longer, as far as the bounds allow.
    pub fn at_least(time: Duration) -> Self {
        Self(seconds(time).clamp(1, 86_400))
    }
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX).saturating_add(1)
}

checked! {
    /// 16 random bytes as 32 lower-case hexadecimal digits.
    ResumeToken(String), "a resume token is 32 lower-case hexadecimal digits", |value| is_hex(value, 32)
}

checked! {
    /// 32 bytes that are the server's, as 64 lower-case hexadecimal digits.
    Challenge(String), "a challenge is 64 lower-case hexadecimal digits", |value| is_hex(value, 64)
}

impl Challenge {
    /// For these bytes.
    pub fn of(bytes: [u8; 32]) -> Self {
        Self(to_hex(&bytes))
    }

    /// The bytes of it.
    pub fn bytes(&self) -> [u8; 32] {
        from_hex(&self.0)
    }
}

checked! {
    /// What SHA-256 has to give, as 64 lower-case hexadecimal digits.
    Target(String), "a target is 64 lower-case hexadecimal digits", |value| is_hex(value, 64)
}

impl Target {
    /// For these bytes.
    pub fn of(bytes: [u8; 32]) -> Self {
        Self(to_hex(&bytes))
    }

    /// The bytes of it.
    pub fn bytes(&self) -> [u8; 32] {
        from_hex(&self.0)
    }
}

checked! {
    /// How many numbers there are to try, at most [`MAX_TRIES`].
    Tries(u32), "tries are 1 to 1000000", |value| (1..=MAX_TRIES).contains(value)
}

impl Tries {
    /// So many, or as near to it as the bounds allow.
    pub fn about(tries: u32) -> Self {
        Self(tries.clamp(1, MAX_TRIES))
    }
}

checked! {
    /// Primary language subtags (RFC 5646 §2.2.1) in lower case, one to [`MAX_LANGUAGES`], each once.
    Languages(Vec<String>), "languages are 1 to 8 different primary subtags in lower case", |value| {
        (1..=MAX_LANGUAGES).contains(&value.len())
            && value.iter().all(|tag| (2..=3).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_lowercase()))
            && value.iter().enumerate().all(|(index, tag)| !value[..index].contains(tag))
    }
}

/// These carry secrets or could mark a visitor: their values stay out of every log line.
macro_rules! silent {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )*};
}

impl Fingerprint {
    /// The bytes of it.
    pub fn bytes(&self) -> [u8; 32] {
        from_hex(&self.0)
    }
}

silent!(Ufrag, Pwd, Fingerprint, PayloadType, Port, ResumeToken, Languages, Pause, CoolDown);
silent!(Struggling, Challenge, Target, Tries);

fn is_ice_chars(value: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&value.len())
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
}

fn is_hex(value: &str, digits: usize) -> bool {
    value.len() == digits && value.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The bytes that 64 hexadecimal digits stand for.
fn from_hex(digits: &str) -> [u8; 32] {
    let digit = |digit: u8| char::from(digit).to_digit(16).map_or(0, |value| value as u8);
    let digits = digits.as_bytes();
    std::array::from_fn(|index| digit(digits[2 * index]) << 4 | digit(digits[2 * index + 1]))
}

fn to_hex(bytes: &[u8; 32]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// Reads one frame, strictly: what is read has to be what [`serde_json`] would write. Its own reading is kinder than
/// ours may be, and takes arrays for objects, and other spellings of a UUID.
///
/// # Errors
///
/// Says what is wrong and where, without quoting more of the frame than a name.
pub fn read<T: Serialize + for<'de> Deserialize<'de>>(text: &str) -> Result<T, serde_json::Error> {
    let message: T = serde_json::from_str(text)?;
    if serde_json::to_value(&message)? != serde_json::from_str::<serde_json::Value>(text)? {
        return Err(serde::de::Error::custom("not spelled as this protocol spells it"));
    }
    Ok(message)
}

/// Why the server closes a socket (RFC 6455 §7.4; 4000 to 4999 are ours).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseCode {
    /// 1001: the server stops.
    GoingAway,
    /// 1002: not a WebSocket frame (RFC 6455 §5), or text that is not UTF-8.
    Broken,
    /// 1003: a binary frame; the protocol has only text.
    Unsupported,
    /// 1009: a frame over [`MAX_MESSAGE_BYTES`].
    TooBig,
    /// 4000: too many frames that were not of this protocol.
    BadMessages,
    /// 4001: frames came faster than any page sends them.
    TooFast,
    /// 4002: no `hello` in time.
    NoHello,
    /// 4003: another socket has taken this visitor over with its resume token.
    Replaced,
}

impl CloseCode {
    /// The number on the wire.
    pub fn code(self) -> u16 {
        match self {
            Self::GoingAway => 1001,
            Self::Broken => 1002,
            Self::Unsupported => 1003,
            Self::TooBig => 1009,
            Self::BadMessages => 4000,
            Self::TooFast => 4001,
            Self::NoHello => 4002,
            Self::Replaced => 4003,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn rows(text: &str) -> Vec<Value> {
        serde_json::from_str(text).expect("a fixture")
    }

    /// Every golden frame is read, and written again as it was.
    fn holds<T: Serialize + for<'de> Deserialize<'de>>(text: &str) {
        for row in rows(text) {
            let message: T =
                serde_json::from_value(row["frame"].clone()).unwrap_or_else(|error| panic!("{row}: {error}"));
            let written = serde_json::to_string(&message).expect("a frame");
            assert_eq!(serde_json::from_str::<Value>(&written).expect("JSON"), row["frame"], "{}", row["name"]);
            assert!(written.len() <= MAX_MESSAGE_BYTES / 16, "there is room to grow");
        }
    }

    #[test]
    fn the_golden_frames_hold() {
        holds::<ClientMessage>(include_str!("../tests/fixtures/protocol/client.json"));
        holds::<ServerMessage>(include_str!("../tests/fixtures/protocol/server.json"));
    }

    #[test]
    fn what_is_not_of_the_protocol_is_refused() {
        for row in rows(include_str!("../tests/fixtures/protocol/refused.json")) {
            let text = row["text"].as_str().expect("a text");
            assert!(read::<ClientMessage>(text).is_err(), "{}", row["name"]);
        }
        // What is off is left out, and not said.
        let matched = rows(include_str!("../tests/fixtures/protocol/server.json"))
            .into_iter()
            .find(|row| row["frame"]["text_line"] == true)
            .expect("a match where the two may type");
        let off = matched["frame"].to_string().replace("\"text_line\":true", "\"text_line\":false");
        assert!(off.contains("false") && read::<ServerMessage>(&off).is_err());
        // What is not known is left out as well, and is nothing else than it may be.
        for text in ["null", "\"busy\"", "1", "\"Soon\""] {
            assert!(read::<ServerMessage>(&format!(r#"{{"type":"waiting","usual":{text}}}"#)).is_err(), "{text}");
        }
        // Neither end takes the other's frames, but for those that are the same both ways.
        for row in rows(include_str!("../tests/fixtures/protocol/server.json")) {
            let both = ["describe", "candidate", "restart"].map(Value::from).contains(&row["frame"]["type"]);
            assert_eq!(serde_json::from_value::<ClientMessage>(row["frame"].clone()).is_ok(), both, "{row}");
        }
    }

    #[test]
    fn nothing_that_marks_a_visitor_is_printed() {
        for row in rows(include_str!("../tests/fixtures/protocol/client.json")) {
            let message: ClientMessage = serde_json::from_value(row["frame"].clone()).expect("a frame");
            let printed = format!("{message:?}");
            for secret in ["true)", "a1b2c3", "abcd", "wxyz", "abcdefghij", "000102", "49152", "\"en\"", "001122"] {
                assert!(!printed.contains(secret), "{printed}");
            }
        }
    }
}
