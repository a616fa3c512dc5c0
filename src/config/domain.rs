//! What belongs to a domain that has a certificate of its own: its name, the authority, and where plain HTTP is sent on.

use std::net::{AddrParseError, SocketAddr};
use std::path::Path;
use std::str::FromStr;

use thiserror::Error;

use super::split_host;

/// What it takes to get a certificate from an authority.
#[derive(Debug, Clone, Copy)]
pub struct Acme<'a> {
    /// What it is to be for.
    pub domains: &'a [Domain],
    /// Where the authority is.
    pub directory: &'a str,
    /// Who signs for the authority's own server, where browsers do not know that.
    pub root: Option<&'a Path>,
    /// Whom it may write to.
    pub contact: Option<&'a Contact>,
    /// Where it is kept.
    pub cache: Option<&'a Path>,
}

/// A name that the whole world can look up, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain(String);

/// Why a text is no [`Domain`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a domain is a name with a dot in it such as talk.example.org, not an address, not a URL, and without a port")]
pub struct NoDomain;

impl Domain {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Domain {
    type Err = NoDomain;

    fn from_str(text: &str) -> Result<Self, NoDomain> {
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let last = text.rsplit('.').next().unwrap_or_default();
        let fits = text.len() <= 253
            && text.contains('.')
            && text.split('.').all(is_label)
            // The last label of an IPv4 address.
            && !last.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| Self(text.to_ascii_lowercase())).ok_or(NoDomain)
    }
}

/// An address for mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact(String);

/// Why a text is no [`Contact`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a contact is one address for mail, such as admin@example.org")]
pub struct NoContact;

impl Contact {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Contact {
    type Err = NoContact;

    /// As a mailto URL takes it (RFC 8555 §7.3): without fields, and for one.
    fn from_str(text: &str) -> Result<Self, NoContact> {
        let (user, domain) = text.rsplit_once('@').ok_or(NoContact)?;
        let is_user = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$'*+-/=^_`{|}~.".contains(&byte);
        let fits = !user.is_empty() && user.bytes().all(is_user) && domain.parse::<Domain>().is_ok();
        fits.then(|| Self(text.to_owned())).ok_or(NoContact)
    }
}

/// Where an authority's directory is (RFC 8555 §7.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory(String);

/// Why a text is no [`Directory`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a directory is https://, a host, perhaps a port, and a path")]
pub struct NoDirectory;

impl Directory {
    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Directory {
    type Err = NoDirectory;

    fn from_str(text: &str) -> Result<Self, NoDirectory> {
        let rest = text.strip_prefix("https://").ok_or(NoDirectory)?;
        let (authority, path) = rest.split_at(rest.find('/').ok_or(NoDirectory)?);
        let fits = split_host(authority).is_some() && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        fits.then(|| Self(text.to_owned())).ok_or(NoDirectory)
    }
}

/// Where plain HTTP is sent on to HTTPS, if anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenHttp {
    /// Nowhere.
    None,
    /// There.
    At(SocketAddr),
}

impl ListenHttp {
    /// Where, if anywhere.
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Self::None => None,
            Self::At(address) => Some(address),
        }
    }
}

impl FromStr for ListenHttp {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" { Ok(Self::None) } else { text.parse().map(Self::At) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_a_name_that_the_world_can_look_up() {
        for (text, name) in [
            ("talk.example.org", "talk.example.org"),
            ("Talk.Example.ORG", "talk.example.org"),
            ("a.b", "a.b"),
            ("xn--4ca.example", "xn--4ca.example"),
            ("1.example", "1.example"),
        ] {
            assert_eq!(text.parse::<Domain>().map(|domain| domain.0), Ok(name.to_owned()), "{text}");
        }
        let long = format!("{}.example", "a".repeat(64));
        for text in [
            "",
            "localhost",
            "192.0.2.1",
            "[::1]",
            "::1",
            "a..b",
            ".a.b",
            "a.b.",
            "-a.b",
            "a-.b",
            "a_b.c",
            "https://a.b",
            "a.b:443",
            "a.b/c",
            "*.a.b",
            "ä.example",
            &long,
            "a b.c",
        ] {
            assert_eq!(text.parse::<Domain>(), Err(NoDomain), "{text}");
        }
    }

    #[test]
    fn a_contact_and_a_directory_are_what_an_authority_takes() {
        for text in ["admin@example.org", "a+b@talk.example.org"] {
            assert!(text.parse::<Contact>().is_ok(), "{text}");
        }
        for text in [
            "",
            "admin",
            "@example.org",
            "admin@",
            "a@b",
            "a,b@example.org",
            "a@example.org?cc=b",
            "a b@example.org",
            "mailto:a@example.org",
            "a%40b@example.org",
        ] {
            assert_eq!(text.parse::<Contact>(), Err(NoContact), "{text}");
        }
        for text in ["https://acme.example/directory", "https://127.0.0.1:14000/dir", "https://[::1]:14000/dir?a=b"] {
            assert!(text.parse::<Directory>().is_ok(), "{text}");
        }
        for text in [
            "",
            "acme.example/directory",
            "http://acme.example/directory",
            "https://acme.example",
            "https:///dir",
            "https://a b/dir",
            "https://u@a/dir",
            "https://a/d r",
            "https://a/dir#b",
        ] {
            assert_eq!(text.parse::<Directory>(), Err(NoDirectory), "{text}");
        }
    }
}
