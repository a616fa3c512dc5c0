//! What is said by way of Redis: tickets as the scripts read them, and what nodes tell each other. There is no field for an
//! address in it, nor one that could hold one.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::mailbox::{Mail, Person, TicketId, VisitorId, Whence};
use crate::matchmaking::Ticket;
use crate::protocol::{CallId, Category, EndReason, Role, ServerMessage, Side};

/// 64 bits as 16 hexadecimal digits, so that their order is that of the numbers, and Lua takes them for what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hex(pub u64);

impl From<Hex> for String {
    fn from(Hex(number): Hex) -> Self {
        format!("{number:016x}")
    }
}

impl TryFrom<String> for Hex {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = u64::from_str_radix(&text, 16).ok().filter(|_| fits);
        number.map(Self).ok_or("not 16 hexadecimal digits")
    }
}

/// What a node is told, by a script or by another node.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum Word {
    /// Two of this node's are paired.
    Both {
        /// The new call.
        call: CallId,
        /// The ticket of the one who waited longer.
        older: Hex,
        /// The other's.
        newer: Hex,
    },
    /// One of this node's could be paired with one of another's, if both nodes agree.
    Offer {
        /// The call that it would be.
        call: CallId,
        /// This node's side.
        side: Side,
        /// Whose match it is.
        ticket: Hex,
        /// The partner's ticket, as [`pack`] makes it.
        partner: String,
        /// Where the relay would be.
        host: String,
        /// Whether that is reached by TLS as well.
        tls: bool,
    },
    /// Both agree.
    Made {
        /// The new call.
        call: CallId,
        /// Whose match it is.
        ticket: Hex,
        /// The partner's node.
        peer: String,
    },
    /// It comes to nothing.
    Void {
        /// The call that it would have been.
        call: CallId,
        /// Whose match it was.
        ticket: Hex,
        /// Whether they are back in their place already.
        placed: bool,
    },
    /// Mail for somebody in a call with somebody of another node.
    Mail {
        /// That node.
        from: String,
        /// See [`super::link::Link`].
        epoch: u64,
        /// See [`super::link::Link`].
        number: u64,
        /// What their page is told of it.
        mail: ServerMessage,
    },
    /// Mail that has been read.
    Read {
        /// By which node.
        from: String,
        /// See [`super::link::Link`].
        epoch: u64,
        /// See [`super::link::Link`].
        next: u64,
    },
}

impl Word {
    /// What it is called in an inbox, if it can lie in one.
    pub fn field(&self) -> Option<String> {
        let (kind, call) = match self {
            Self::Both { call, .. } => ("both", call),
            Self::Offer { call, .. } => ("offer", call),
            Self::Made { call, .. } => ("made", call),
            Self::Void { call, .. } => ("void", call),
            Self::Mail { .. } | Self::Read { .. } => return None,
        };
        Some(format!("{kind}{call}"))
    }
}

/// Mail as it goes to another node. Nothing else is ever for a partner there.
pub fn to_frame(mail: Mail) -> Option<ServerMessage> {
    Some(match mail {
        Mail::Describe { call, description } => ServerMessage::Describe { call, description },
        Mail::Candidate { call, port } => ServerMessage::Candidate { call, port },
        Mail::Restart { call, ufrag, pwd } => ServerMessage::Restart { call, ufrag, pwd },
        Mail::Gone { call, why } => ServerMessage::Ended { call, why },
        Mail::Matched(..) | Mail::Unreachable { .. } => return None,
    })
}

/// And back, with the call that it belongs to.
pub fn from_frame(frame: ServerMessage) -> Option<(CallId, Mail)> {
    Some(match frame {
        ServerMessage::Describe { call, description } => (call, Mail::Describe { call, description }),
        ServerMessage::Candidate { call, port } => (call, Mail::Candidate { call, port }),
        ServerMessage::Restart { call, ufrag, pwd } => (call, Mail::Restart { call, ufrag, pwd }),
        ServerMessage::Ended { call, why } => (call, Mail::Gone { call, why }),
        _ => return None,
    })
}

/// The end of a call that never was.
pub fn vanished(call: CallId) -> ServerMessage {
    ServerMessage::Ended { call, why: EndReason::Vanished }
}

/// `node|visitor|languages|role|whether recent partners are avoided|microseconds|marks|whether they are struggling`,
/// as `rule.lua` takes it apart.
pub fn pack(ticket: &Ticket, node: &str, joined: u64) -> String {
    let role = match ticket.role {
        Role::Talk => 't',
        Role::Listen => 'l',
        Role::Either => 'e',
    };
    let (visitor, languages, avoid) =
        (hex(ticket.visitor.0), ticket.languages.get().join(","), u8::from(ticket.avoid_recent));
    let (marks, struggling) = (marks(ticket.whence), u8::from(ticket.struggling.0));
    format!("{node}|{visitor}|{languages}|{role}|{avoid}|{joined}|{marks}|{struggling}")
}

/// The node and the person of a packed ticket.
pub fn unpack(packed: &str) -> Option<(String, Person)> {
    let mut fields = packed.split('|');
    let (node, visitor) = (fields.next()?, fields.next()?);
    let whence = read_marks(fields.nth(4)?)?;
    let (Some("0" | "1"), None) = (fields.next(), fields.next()) else { return None };
    Some((node.to_owned(), Person { visitor: VisitorId(read_hex(visitor)?), whence }))
}

/// A number as the scripts have it.
pub fn hex(number: u64) -> String {
    Hex(number).into()
}

fn read_hex(text: &str) -> Option<u64> {
    Hex::try_from(text.to_owned()).ok().map(|Hex(number)| number)
}

fn marks(whence: Option<Whence>) -> String {
    let all = whence.map(|Whence { network, site }| [network, site].concat().into_iter().map(hex).collect::<Vec<_>>());
    all.unwrap_or_default().join(",")
}

/// `Some(None)` for somebody of whom it is not known.
fn read_marks(text: &str) -> Option<Option<Whence>> {
    if text.is_empty() {
        return Some(None);
    }
    let all: Vec<u64> = text.split(',').map(read_hex).collect::<Option<_>>()?;
    let [a, b, c, d] = all[..] else { return None };
    Some(Some(Whence { network: [a, b], site: [c, d] }))
}

/// A report that counted, for the other nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Who said it.
    pub by: Person,
    /// Of whom.
    pub of: Person,
    /// What.
    pub category: Category,
    /// The first visitor who had not come by then.
    pub newcomer: VisitorId,
    /// When.
    pub at: Instant,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    node: String,
    by: (Hex, String),
    of: (Hex, String),
    category: Category,
    newcomer: Hex,
    at: u64,
}

impl Report {
    /// As it lies in Redis, where its moment is microseconds of the engine's clock.
    pub fn write(&self, node: &str, at: u64) -> String {
        let person = |person: &Person| (Hex(person.visitor.0), marks(person.whence));
        let written = Written {
            node: node.to_owned(),
            by: person(&self.by),
            of: person(&self.of),
            category: self.category,
            newcomer: Hex(self.newcomer.0),
            at,
        };
        serde_json::to_string(&written).unwrap_or_default()
    }

    /// Reads what some node has written; its name as well.
    pub fn read(text: &str, at: impl FnOnce(u64) -> Instant) -> Option<(String, Self)> {
        let written: Written = serde_json::from_str(text).ok()?;
        let person = |(visitor, marks): (Hex, String)| {
            Some(Person { visitor: VisitorId(visitor.0), whence: read_marks(&marks)? })
        };
        let report = Self {
            by: person(written.by)?,
            of: person(written.of)?,
            category: written.category,
            newcomer: VisitorId(written.newcomer.0),
            at: at(written.at),
        };
        Some((written.node, report))
    }
}

/// A ticket's number as it comes.
pub fn ticket_id(Hex(number): Hex) -> TicketId {
    TicketId(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Languages, Struggling};

    fn person(visitor: u64, network: u64) -> Person {
        let whence = Whence { network: [network, network + 1], site: [network + 2, u64::MAX] };
        Person { visitor: VisitorId(visitor), whence: Some(whence) }
    }

    #[test]
    fn a_ticket_is_read_as_it_was_written() {
        let Person { visitor, whence } = person(u64::MAX, 77);
        let languages = Languages::new(vec!["en".to_owned(), "fil".to_owned()]).expect("languages");
        let ticket = Ticket {
            id: TicketId(1),
            visitor,
            whence,
            languages,
            role: Role::Talk,
            avoid_recent: true,
            struggling: Struggling(true),
            joined: Instant::now(),
        };
        let packed = pack(&ticket, "00ff", 12);
        assert!(packed.starts_with("00ff|ffffffffffffffff|en,fil|t|1|12|000000000000004d,"));
        assert!(packed.ends_with(",ffffffffffffffff|1"));
        assert_eq!(unpack(&packed), Some(("00ff".to_owned(), person(u64::MAX, 77))));
        let unknown = pack(&Ticket { whence: None, ..ticket }, "00ff", 12);
        assert_eq!(unpack(&unknown).expect("read").1.whence, None);
        for wrong in [
            "",
            "a|b",
            "a|ffffffffffffffff|en|t|1|12",
            "a|ffffffffffffffff|en|t|1|12|",
            "a|fffffffffffffff|en|t|1|12||0",
            "a|ffffffffffffffff|en|t|1|12|77|0",
            "a|ffffffffffffffff|en|t|1|12||2",
            "a|ffffffffffffffff|en|t|1|12||0|0",
        ] {
            assert_eq!(unpack(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let now = Instant::now();
        let report =
            Report { by: person(1, 10), of: person(2, 20), category: Category::Young, newcomer: VisitorId(3), at: now };
        let text = report.write("00ff", 5);
        let read = Report::read(&text, |at| {
            assert_eq!(at, 5);
            now
        });
        assert_eq!(read, Some(("00ff".to_owned(), report)));
        assert_eq!(Report::read(&text.replace("young", "rude"), |_| now), None);
        assert_eq!(Report::read("", |_| now), None);
    }
}
