//! What an operator can set: by flag or by environment, read once and checked once.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail};
use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand, value_parser};
use thiserror::Error;
use tracing::level_filters::LevelFilter;

use crate::guard::{LEAST_CROWD, Network};
use crate::protocol::Transport;

/// The default of [`Config::listen`]: every address of the machine, IPv6 and IPv4.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::UNSPECIFIED), 8080);

/// What [`Config::age`] can be, in years. Below it the law asks a parent first nearly everywhere; above, it is a slip of
/// the finger.
const AGES: std::ops::RangeInclusive<i64> = 13..=99;

/// The fewest bytes of a secret in [`Config::secret_file`]: 128 bits, which nobody guesses.
const MIN_SECRET_BYTES: usize = 16;

/// The longest of [`Config::drain`]: a day. A longer call is a mistake in a number.
const MAX_DRAIN: i64 = 24 * 60 * 60;

/// The default of [`Config::work_above`], a second: twice what a hundred thousand people come to who each begin another
/// conversation every two minutes.
const WORK_ABOVE: u32 = 2_000;

/// Anonymous one-on-one voice: one button, one stranger, nothing kept.
#[derive(Debug, Parser)]
#[command(name = "sotto", version, about)]
pub struct Cli {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What serving can be told.
    #[command(flatten)]
    pub config: Config,
}

/// What the binary does besides serving.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Ask the server on this machine whether it is well; for HEALTHCHECK. Exits with 0 if it is
    Healthcheck,
    /// Print the SHA-256 of every file of the page, for sha256sum --check; the server has the same at /hashes.txt
    Hashes,
}

/// What serving can be told. Everything has a default that is right for one container.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Address and port for the page, the WebSocket and the relay, TCP and UDP alike; port 0 takes a free one
    #[arg(long, env = "SOTTO_LISTEN", value_name = "ADDRESS:PORT", default_value_t = DEFAULT_LISTEN, global = true)]
    pub listen: SocketAddr,

    /// Origin that pages are served from, such as https://talk.example.org; may be given more than once. Without
    /// it, a page's Origin has to be the host that it talks to, over http or https
    #[arg(long = "origin", env = "SOTTO_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    pub origins: Vec<Origin>,

    /// Let callers in that send no Origin: programs, not browsers
    #[arg(long, env = "SOTTO_ALLOW_NATIVE", value_parser = FalseyValueParser::new())]
    pub allow_native: bool,

    /// Proxies that are believed when they say for whom they speak, in Forwarded or X-Forwarded-For, such as 10.0.0.0/8;
    /// may be given more than once. Without it, whoever connects is the visitor
    #[arg(long, env = "SOTTO_TRUSTED_PROXIES", value_name = "CIDR", value_delimiter = ',')]
    pub trusted_proxies: Vec<Network>,

    /// Where pages reach the relay, when that is not the host and port they were loaded from (a proxy that
    /// passes no UDP stands in front)
    #[arg(long, env = "SOTTO_RELAY_HOST", value_name = "HOST[:PORT]")]
    pub relay_host: Option<RelayHost>,

    /// Certificates for TLS, PEM, the server's own first. The port then speaks HTTPS, WSS and TURN over TLS as well
    #[arg(long, env = "SOTTO_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// The private key of the first certificate, PEM
    #[arg(long, env = "SOTTO_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// What the relay's credentials are made with, at least 16 bytes: for several servers that share it, or for a
    /// program that makes its own. Random at every start without it
    #[arg(long, env = "SOTTO_SECRET_FILE", value_name = "FILE")]
    pub secret_file: Option<PathBuf>,

    /// Let the two in a call type to each other as well, end to end encrypted. In some countries the law treats a
    /// service that carries nothing but live speech differently
    #[arg(long, env = "SOTTO_TEXT_LINE", value_parser = FalseyValueParser::new())]
    pub text_line: bool,

    /// From which age on somebody may come, which the first page says: in years, 13 to 99
    #[arg(long, env = "SOTTO_AGE", value_name = "YEARS", default_value_t = 18, value_parser = value_parser!(u8).range(AGES))]
    pub age: u8,

    /// Ask visitors to tick a box before their first conversation, which says that they are old enough and will be kind
    #[arg(long, env = "SOTTO_ASK_RULES", value_parser = FalseyValueParser::new())]
    pub ask_rules: bool,

    /// How many joins a second, from everywhere together, are too many: above it every browser has to work for a moment
    /// before it joins, the longer the more there are; 30 or more, which one network alone cannot be
    #[arg(long, env = "SOTTO_WORK_ABOVE", value_name = "JOINS", default_value_t = WORK_ABOVE,
        value_parser = value_parser!(u32).range(LEAST_CROWD as i64..))]
    pub work_above: u32,

    /// How long calls may go on when the server is asked to stop, in seconds; it ends as soon as none is left. Whoever
    /// stops it has to wait for longer: Docker does so for 10 seconds, unless told otherwise
    #[arg(long, env = "SOTTO_DRAIN", value_name = "SECONDS", default_value_t = 5,
        value_parser = value_parser!(u32).range(..=MAX_DRAIN))]
    pub drain: u32,

    /// Share the port with the server that is started before this one is asked to stop, and that has this option as well:
    /// then it gets everything, and the calls of this one go on. Linux only, and with one relay thread
    #[arg(long, env = "SOTTO_HANDOVER", value_parser = FalseyValueParser::new())]
    pub handover: bool,

    /// How much to log: off, error, warn, info, debug or trace. At no level is an address logged
    #[arg(long, env = "SOTTO_LOG", value_name = "LEVEL", default_value_t = LevelFilter::INFO)]
    pub log: LevelFilter,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            origins: Vec::new(),
            allow_native: false,
            trusted_proxies: Vec::new(),
            relay_host: None,
            tls_cert: None,
            tls_key: None,
            secret_file: None,
            text_line: false,
            age: 18,
            ask_rules: false,
            work_above: WORK_ABOVE,
            drain: 0,
            handover: false,
            log: LevelFilter::INFO,
        }
    }
}

impl Config {
    /// The certificates' file and the key's.
    ///
    /// # Errors
    ///
    /// When there is one without the other.
    pub fn tls(&self) -> anyhow::Result<Option<(&Path, &Path)>> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(certificates), Some(key)) => Ok(Some((certificates, key))),
            (None, None) => Ok(None),
            (Some(_), None) => bail!("--tls-cert needs --tls-key"),
            (None, Some(_)) => bail!("--tls-key needs --tls-cert"),
        }
    }

    /// What the relay's credentials are made with, if the operator has said so.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or holds too little.
    pub fn secret(&self) -> anyhow::Result<Option<Vec<u8>>> {
        let Some(path) = &self.secret_file else {
            return Ok(None);
        };
        let bytes = fs::read(path).with_context(|| format!("cannot read a secret from {}", path.display()))?;
        let secret = bytes.trim_ascii();
        if secret.len() < MIN_SECRET_BYTES {
            bail!("the secret in {} is shorter than {MIN_SECRET_BYTES} bytes", path.display());
        }
        Ok(Some(secret.to_vec()))
    }

    /// How pages can reach the relay, the best way first.
    pub fn transports(&self) -> Vec<Transport> {
        let mut transports = vec![Transport::Udp, Transport::Tcp];
        transports.extend(self.tls_cert.is_some().then_some(Transport::Tls));
        transports
    }
}

/// The serialisation of a web origin (RFC 6454 §6.2), in lower case and without a default port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: &'static str,
    authority: String,
}

/// Why a text is no [`Origin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an origin is http:// or https://, a host, perhaps a port, and nothing after it")]
pub struct NoOrigin;

impl Origin {
    /// Whether its pages come by HTTPS.
    pub fn is_secure(&self) -> bool {
        self.scheme == "https"
    }

    /// Whether a request that names `host` in its Host header is one to this origin's own server.
    pub fn is_of_host(&self, host: &str) -> bool {
        authority(self.scheme, host).is_some_and(|authority| authority == self.authority)
    }
}

impl FromStr for Origin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        let (scheme, rest) = text.split_once("://").ok_or(NoOrigin)?;
        let scheme = ["http", "https"].into_iter().find(|known| known.eq_ignore_ascii_case(scheme)).ok_or(NoOrigin)?;
        Ok(Self { scheme, authority: authority(scheme, rest).ok_or(NoOrigin)? })
    }
}

/// A host and perhaps a port, in lower case and without the scheme's default port.
fn authority(scheme: &str, text: &str) -> Option<String> {
    let (host, port) = split_host(text)?;
    let host = host.to_ascii_lowercase();
    let default = if scheme == "https" { 443 } else { 80 };
    Some(match port {
        Some(port) if port != default => format!("{host}:{port}"),
        _ => host,
    })
}

/// Takes `host`, `host:port`, `[v6]` and `[v6]:port` apart; `None` for anything else.
fn split_host(text: &str) -> Option<(&str, Option<u16>)> {
    let end = if text.starts_with('[') { text.find(']')? + 1 } else { text.find(':').unwrap_or(text.len()) };
    let (host, rest) = text.split_at(end);
    let port = match rest.strip_prefix(':') {
        // Digits alone: `u16::from_str` would take a plus sign as well.
        Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok()?)
        }
        Some(_) => return None,
        None if rest.is_empty() => None,
        None => return None,
    };
    let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let numbered = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let fits = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inside) => !inside.is_empty() && inside.bytes().all(numbered),
        None => !host.is_empty() && host.bytes().all(named),
    };
    fits.then_some((host, port))
}

/// A host and perhaps a port, as a TURN URI takes them (RFC 7065).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayHost(String);

/// Why a text is no [`RelayHost`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a relay host is a name or an address (IPv6 in brackets) and perhaps a port")]
pub struct NoRelayHost;

impl RelayHost {
    /// As it goes into a TURN URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RelayHost {
    type Err = NoRelayHost;

    fn from_str(text: &str) -> Result<Self, NoRelayHost> {
        // As the page checks it: an underscore is in no name that a browser would look up for TURN.
        let fits = |(host, port): &(&str, Option<u16>)| !host.contains('_') && *port != Some(0);
        split_host(text).filter(fits).map(|_| Self(text.to_owned())).ok_or(NoRelayHost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Option<Origin> {
        text.parse().ok()
    }

    #[test]
    fn an_origin_is_of_its_own_host_and_of_no_other() {
        for (text, host) in [
            ("http://localhost:8080", "localhost:8080"),
            ("http://localhost", "localhost:80"),
            ("http://localhost:80", "localhost"),
            ("https://Talk.example.org", "talk.EXAMPLE.org"),
            ("https://talk.example.org", "talk.example.org:443"),
            ("http://[::1]:8080", "[::1]:8080"),
        ] {
            assert!(origin(text).is_some_and(|origin| origin.is_of_host(host)), "{text} {host}");
        }
        for (text, host) in [
            ("http://localhost:8080", "localhost:8081"),
            ("http://localhost:8080", "localhost"),
            ("https://talk.example.org", "talk.example.org:80"),
            ("https://talk.example.org.evil.example", "talk.example.org"),
            ("https://evil-talk.example.org", "talk.example.org"),
            ("https://talk.example.org", "talk.example.org, evil.example"),
            ("http://localhost:8080", ""),
        ] {
            assert!(origin(text).is_some_and(|origin| !origin.is_of_host(host)), "{text} {host}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in [
            "",
            "null",
            "localhost:8080",
            "http://",
            "http://a/",
            "http://a/b",
            "http://a b",
            "http://u@a",
            "http://a:",
            "http://a:x",
            "http://a:+80",
            "http://a:65536",
            "ftp://a",
            "file://",
            "http://[::1",
            "http://[]",
            "http://a?b",
            "chrome-extension://abcdef",
            "http://a:80:80",
            "http://a\r\nb",
        ] {
            assert_eq!(origin(text), None, "{text}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
        let cli = Cli::try_parse_from(["sotto", "--origin", "https://a.example,https://b.example"]).expect("valid");
        assert_eq!(cli.config.origins.len(), 2);
        let cli = Cli::try_parse_from(["sotto", "--trusted-proxies", "10.0.0.0/8,::1"]).expect("valid");
        assert_eq!(cli.config.trusted_proxies.len(), 2);
        for wrong in [
            &["sotto", "--listen", "nowhere"][..],
            &["sotto", "--origin", "a.example"],
            &["sotto", "--trusted-proxies", "10.0.0.1/8"],
            &["sotto", "--trusted-proxies", "proxy"],
            &["sotto", "--relay-host", "turn:a"],
            &["sotto", "--relay-host", "my_relay:8080"],
            &["sotto", "--relay-host", "relay:0"],
            &["sotto", "--log", "loud"],
            &["sotto", "--age", "12"],
            &["sotto", "--age", "100"],
            &["sotto", "--age", "eighteen"],
            &["sotto", "--work-above", "29"],
            &["sotto", "--unknown"],
        ] {
            assert!(Cli::try_parse_from(wrong).is_err(), "{wrong:?}");
        }
    }
}
