//! For whom a proxy speaks: `Forwarded` (RFC 7239) and `X-Forwarded-For`, believed from proxies that the operator has
//! named and from nobody else.
//!
//! Each proxy adds whom it was asked by on the right. So the headers are walked from the right, from the connection's
//! own peer on, for as long as whoever is named is a trusted proxy too: the first who is not is the visitor. What stands
//! further left is that visitor's own invention and is not looked at. Where something cannot be read, the last proxy
//! that was named is taken for the visitor: nobody gets away from limits by writing nonsense.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header};

use crate::door::Arrival;
use crate::guard::Guard;

/// More proxies than stand in a row.
const MAX_HOPS: usize = 16;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// The visitor's address, or the last proxy's that could be told.
    pub address: IpAddr,
    /// Whether the visitor's own connection has TLS, wherever that ends.
    pub encrypted: bool,
}

/// Whether somebody says to speak for others.
pub fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key(header::FORWARDED) || headers.contains_key(X_FORWARDED_FOR)
}

/// Who asks, by a connection and the headers that came on it.
pub fn asker(arrival: &Arrival, headers: &HeaderMap, guard: &Guard) -> Asker {
    let peer = arrival.address.ip().to_canonical();
    let own = Asker { address: peer, encrypted: arrival.encrypted };
    if !guard.trusts(peer) {
        return own;
    }
    let standard = headers.contains_key(header::FORWARDED).then(|| {
        let hops = lines(headers, header::FORWARDED).flat_map(|line| elements(line).into_iter().rev());
        walk(peer, hops.map(|element| (element.address, element.encrypted)), guard)
    });
    let custom = headers.contains_key(X_FORWARDED_FOR).then(|| {
        let hops = lines(headers, X_FORWARDED_FOR).flat_map(|line| line.unwrap_or("?").rsplit(','));
        walk(peer, hops.map(|text| (node(text.trim_matches([' ', '\t'])), None)), guard)
    });
    let (address, encrypted) = match (standard, custom) {
        (Some(one), None) | (None, Some(one)) => one,
        // A proxy writes one of them and may pass the other on as it came. Who is named by one alone is not known.
        (Some(one), Some(other)) if one.0 == other.0 => one,
        _ => (peer, None),
    };
    // The nearest proxy's word: those further away have said theirs to it.
    let scheme = lines(headers, X_FORWARDED_PROTO).next().flatten().and_then(|line| line.rsplit(',').next());
    let scheme = scheme.map(|scheme| scheme.trim().eq_ignore_ascii_case("https"));
    Asker { address, encrypted: encrypted.or(scheme).unwrap_or(own.encrypted) }
}

/// From the peer to whoever is the first that is not trusted, and what was said of that one's connection.
fn walk(
    peer: IpAddr,
    hops: impl Iterator<Item = (Option<IpAddr>, Option<bool>)>,
    guard: &Guard,
) -> (IpAddr, Option<bool>) {
    let mut last = (peer, None);
    for (address, encrypted) in hops.take(MAX_HOPS) {
        let Some(address) = address else {
            break;
        };
        last = (address, encrypted);
        if !guard.trusts(address) {
            break;
        }
    }
    last
}

/// The lines of a header, the last one first; `None` for one that is no text.
fn lines(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = Option<&str>> {
    headers.get_all(name).iter().rev().map(|value| value.to_str().ok())
}

/// What one proxy says in `Forwarded`.
#[derive(Default)]
struct Element {
    address: Option<IpAddr>,
    encrypted: Option<bool>,
}

/// The elements of one line of `Forwarded` (RFC 7239 §4), or one that says nothing when it is not of that form.
fn elements(line: Option<&str>) -> Vec<Element> {
    line.and_then(parse).unwrap_or_else(|| vec![Element::default()])
}

fn parse(line: &str) -> Option<Vec<Element>> {
    let mut elements = vec![Element::default()];
    let mut named = false;
    let mut rest = line.trim_matches([' ', '\t']);
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = after.find([',', ';', ' ', '\t']).unwrap_or(after.len());
                (after[..end].to_owned(), &after[end..])
            }
        };
        let element = elements.last_mut()?;
        if name.eq_ignore_ascii_case("for") {
            if std::mem::replace(&mut named, true) {
                return None;
            }
            element.address = node(&value);
        } else if name.eq_ignore_ascii_case("proto") {
            element.encrypted = Some(value.eq_ignore_ascii_case("https"));
        } else if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
            return None;
        }
        let after = after.trim_start_matches([' ', '\t']);
        rest = match after.as_bytes().first() {
            None => return Some(elements),
            Some(b';') => after[1..].trim_start_matches([' ', '\t']),
            Some(b',') => {
                elements.push(Element::default());
                named = false;
                after[1..].trim_start_matches([' ', '\t'])
            }
            Some(_) => return None,
        };
    }
}

/// A quoted-string (RFC 9110 §5.6.4) without its first quotation mark, and what comes after it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// An address, with or without a port; IPv6 in brackets, or bare where there is no port. `unknown` and names that are
/// made up (RFC 7239 §6.2, §6.3) are none.
fn node(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = match bare {
        Some(inside) => inside.parse().ok().map(IpAddr::V6),
        None => text.parse().ok().or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip())),
    };
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn guard() -> Guard {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().expect("a network"));
        Guard::new([0; 32], 1_024, trusted.to_vec(), Instant::now())
    }

    fn ask(peer: &str, headers: &[(&str, &str)]) -> (String, bool) {
        let address = SocketAddr::new(peer.parse().expect("an address"), 4711);
        let map = headers.iter().fold(HeaderMap::new(), |mut map, (name, value)| {
            map.append(
                HeaderName::from_bytes(name.as_bytes()).expect("a name"),
                HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
            );
            map
        });
        let asker = asker(&Arrival::new(address, false), &map, &guard());
        (asker.address.to_string(), asker.encrypted)
    }

    const XFF: &str = "x-forwarded-for";
    const RFC: &str = "forwarded";
    const PROTO: &str = "x-forwarded-proto";

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        for headers in
            [[(XFF, "203.0.113.9"), (PROTO, "https")], [(RFC, "for=203.0.113.9;proto=https"), (PROTO, "https")]]
        {
            assert_eq!(ask("198.51.100.1", &headers), ("198.51.100.1".to_owned(), false));
            assert_eq!(ask("10.0.0.1", &headers), ("203.0.113.9".to_owned(), true));
            assert_eq!(ask("::ffff:10.0.0.1", &headers), ("203.0.113.9".to_owned(), true));
        }
        assert_eq!(ask("10.0.0.1", &[]), ("10.0.0.1".to_owned(), false));
    }

    #[test]
    fn the_first_from_the_right_who_is_not_trusted_is_the_visitor() {
        for (headers, visitor) in [
            (&[(XFF, "192.0.2.1, 203.0.113.9")][..], "203.0.113.9"),
            (&[(XFF, "192.0.2.1,203.0.113.9:4711 ,10.0.0.2")], "203.0.113.9"),
            (&[(XFF, "192.0.2.1"), (XFF, "203.0.113.9"), (XFF, "10.0.0.2")], "203.0.113.9"),
            (&[(XFF, "::ffff:203.0.113.9")], "203.0.113.9"),
            (&[(XFF, "[2001:db8::1]:4711")], "2001:db8::1"),
            (&[(XFF, "2001:db8::1")], "2001:db8::1"),
            (&[(XFF, "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
            (&[(RFC, "for=192.0.2.1, For=\"203.0.113.9:80\"; by=10.0.0.1 ,FOR=\"[fd00::2]\"")], "203.0.113.9"),
            (&[(RFC, "for=192.0.2.1"), (RFC, "host=\"a,b;for=192.0.2.1\";for=\"[2001:db8::1]\"")], "2001:db8::1"),
            // What cannot be read: the last proxy that was named.
            (&[(XFF, "192.0.2.1, unknown, 10.0.0.2")], "10.0.0.2"),
            (&[(XFF, "192.0.2.1, ")], "10.0.0.1"),
            (&[(XFF, "192.0.2.1;203.0.113.9")], "10.0.0.1"),
            (&[(XFF, "192.0.2.1"), (XFF, "ä")], "10.0.0.1"),
            (&[(XFF, "203.0.113.999")], "10.0.0.1"),
            (&[(RFC, "for=_hidden")], "10.0.0.1"),
            (&[(RFC, "for=192.0.2.1;for=203.0.113.9")], "10.0.0.1"),
            (&[(RFC, "for=\"192.0.2.1")], "10.0.0.1"),
            (&[(RFC, "proto=https")], "10.0.0.1"),
            // A quotation mark that a visitor opened does not swallow what a proxy wrote after it.
            (&[(RFC, "for=192.0.2.1;x=\", for=203.0.113.9")], "10.0.0.1"),
            (&[(RFC, "for=192.0.2.1;x=\", for=\"203.0.113.9\"")], "10.0.0.1"),
            // The two agree, or neither is believed.
            (&[(RFC, "for=203.0.113.9"), (XFF, "192.0.2.1, 203.0.113.9")], "203.0.113.9"),
            (&[(RFC, "for=203.0.113.9"), (XFF, "192.0.2.1")], "10.0.0.1"),
        ] {
            assert_eq!(ask("10.0.0.1", headers).0, visitor, "{headers:?}");
        }
        assert_eq!(ask("10.0.0.1", &[(XFF, &["10.0.0.2"; 40].join(","))]).0, "10.0.0.2");
    }

    #[test]
    fn tls_is_where_the_visitor_has_it() {
        for (headers, encrypted) in [
            (&[(XFF, "203.0.113.9"), (PROTO, "https")][..], true),
            (&[(XFF, "203.0.113.9"), (PROTO, "https, http")], false),
            (&[(XFF, "203.0.113.9")], false),
            (&[(RFC, "for=203.0.113.9;proto=HTTPS, for=10.0.0.2;proto=http")], true),
            (&[(RFC, "for=192.0.2.1;proto=https, for=203.0.113.9;proto=http")], false),
        ] {
            assert_eq!(ask("10.0.0.1", headers).1, encrypted, "{headers:?}");
        }
    }

    proptest! {
        /// Whatever a visitor writes, in whichever header, a proxy that adds the truth on the right is believed or,
        /// where the whole can no longer be read, nobody is: the visitor never chooses whose limits count.
        #[test]
        fn nobody_writes_himself_another_address(
            invented in "[ -~\t]{0,60}|(for=\"?192\\.0\\.2\\.1[;,\" ]*|192\\.0\\.2\\.1|10\\.0\\.0\\.9|[ ,;=\"\\\\x]){0,8}",
            quoted: bool, own_line: bool, both: bool, standard: bool,
        ) {
            let value = if quoted { "for=\"203.0.113.9\"".to_owned() } else { "for=203.0.113.9;proto=https".to_owned() };
            let (name, other, truth) = if standard { (RFC, XFF, value.as_str()) } else { (XFF, RFC, "203.0.113.9") };
            let joined = format!("{invented}, {truth}");
            let mut headers = if own_line { vec![(name, invented.as_str()), (name, truth)] } else { vec![(name, joined.as_str())] };
            if both {
                headers.push((other, invented.as_str()));
            }
            let (address, _) = ask("10.0.0.1", &headers);
            prop_assert!(["203.0.113.9", "10.0.0.1"].contains(&address.as_str()), "{address} by {headers:?}");
            if own_line && !both {
                prop_assert_eq!(address, "203.0.113.9");
            }
            prop_assert_eq!(ask("198.51.100.1", &headers).0, "198.51.100.1");
        }
    }
}
