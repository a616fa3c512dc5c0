//! What an operator can set: by flag, by environment or in a file, read once and checked once.

mod domain;
mod manual;
mod sources;

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand, value_parser};
use rustls_acme::acme::LETS_ENCRYPT_PRODUCTION_DIRECTORY;
use thiserror::Error;
use tracing::level_filters::LevelFilter;

pub use self::domain::{Acme, Contact, Directory, Domain, ListenHttp, NoContact, NoDirectory, NoDomain};
pub use self::sources::{Refused, Stop};
use crate::guard::{LEAST_CROWD, Network};
use crate::hours::Hours;
use crate::print::Sheet;
use crate::protocol::Transport;

/// The default of [`Config::listen`]: every address of the machine, IPv6 and IPv4.
pub const DEFAULT_LISTEN: SocketAddr = everywhere(8080);

/// The same with [`Config::domains`].
const HTTPS_EVERYWHERE: SocketAddr = everywhere(443);

/// The default of [`Config::listen_http`] with [`Config::domains`].
const HTTP_EVERYWHERE: SocketAddr = everywhere(80);

const fn everywhere(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)
}

/// Whether nobody has to have named it: then a machine without IPv6 does without.
pub fn is_default(listen: SocketAddr) -> bool {
    [DEFAULT_LISTEN, HTTPS_EVERYWHERE, HTTP_EVERYWHERE].contains(&listen)
}

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
#[command(name = "sotto", version, about, long_about = manual::ABOUT, after_long_help = manual::AFTER)]
pub struct Cli {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// A file with options, TOML: the names are the flags', such as tls-cert = "fullchain.pem". Without it none is read
    #[arg(long = "config", id = "config", env = "SOTTO_CONFIG", value_name = "FILE",
        help_heading = manual::WHERE)]
    pub file: Option<PathBuf>,
    /// What serving can be told.
    #[command(flatten)]
    pub config: Config,
}

/// What the binary does besides serving.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Say what the server would do with these options, and whether it could: files, certificate, key, port. Exits with
    /// 0 if it could, with 1 if not, and with 2 if an option is wrong
    CheckConfig,
    /// Ask the server on this machine whether it is well; for HEALTHCHECK. Exits with 0 if it is
    Healthcheck,
    /// Print the SHA-256 of every file of the page, for sha256sum --check; the server has the same at /hashes.txt
    Hashes,
    /// Print a file for a program around the server, ready but for your name: a reverse proxy,
    /// a service, a container
    Print {
        /// Which one
        #[arg(value_name = "NAME")]
        sheet: Sheet,
    },
}

/// What serving can be told. Everything has a default that is right for one container.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Address and port for the page, the WebSocket and the relay, TCP and UDP alike; port 0 takes a free one. With
    /// --domain it is [::]:443 unless said otherwise
    #[arg(long, env = "SOTTO_LISTEN", value_name = "ADDRESS:PORT", default_value_t = DEFAULT_LISTEN, help_heading = manual::WHERE)]
    pub listen: SocketAddr,

    /// Where plain HTTP is sent on to HTTPS, TCP alone, and nothing else is served; or none. With --domain it is [::]:80
    /// unless said otherwise
    #[arg(long, env = "SOTTO_LISTEN_HTTP", value_name = "ADDRESS:PORT", help_heading = manual::WHERE)]
    pub listen_http: Option<ListenHttp>,

    /// The name that visitors type. Sotto gets a certificate for it from Let's Encrypt, whose terms you agree to by this,
    /// and renews it. The name has to lead here, and TCP port 443 of it to --listen. May be given more than once
    #[arg(long = "domain", env = "SOTTO_DOMAIN", value_name = "NAME", value_delimiter = ',', help_heading = manual::HTTPS)]
    pub domains: Vec<Domain>,

    /// Where the certificate of --domain, its key and the account are kept, in files that only this user can read.
    /// Without it they are in memory alone and asked for anew at every start: Let's Encrypt gives five a week for a name
    #[arg(long, env = "SOTTO_ACME_CACHE", value_name = "FOLDER", help_heading = manual::HTTPS)]
    pub acme_cache: Option<PathBuf>,

    /// Whom the authority writes to when something is wrong with the certificate of --domain; nobody without it
    #[arg(long, env = "SOTTO_ACME_CONTACT", value_name = "EMAIL", help_heading = manual::HTTPS)]
    pub acme_contact: Option<Contact>,

    /// Another authority than Let's Encrypt for --domain, by its directory (RFC 8555). To try things out without using
    /// the five up: https://acme-staging-v02.api.letsencrypt.org/directory
    #[arg(long, env = "SOTTO_ACME_DIRECTORY", value_name = "URL", help_heading = manual::HTTPS)]
    pub acme_directory: Option<Directory>,

    /// Whom to believe that they are that authority, PEM, when no browser would
    #[arg(long, env = "SOTTO_ACME_ROOT", value_name = "FILE", help_heading = manual::HTTPS)]
    pub acme_root: Option<PathBuf>,

    /// Certificates for TLS, PEM, the server's own first. The port then speaks HTTPS, WSS and TURN over TLS as well
    #[arg(long, env = "SOTTO_TLS_CERT", value_name = "FILE", help_heading = manual::HTTPS)]
    pub tls_cert: Option<PathBuf>,

    /// The private key of the first certificate, PEM
    #[arg(long, env = "SOTTO_TLS_KEY", value_name = "FILE", help_heading = manual::HTTPS)]
    pub tls_key: Option<PathBuf>,

    /// Origin that pages are served from, such as https://talk.example.org; may be given more than once. Without
    /// it, a page's Origin has to be the host that it talks to, over http or https
    #[arg(long = "origin", env = "SOTTO_ORIGIN", value_name = "ORIGIN", value_delimiter = ',',
        help_heading = manual::WHO)]
    pub origins: Vec<Origin>,

    /// Let callers in that send no Origin: programs, not browsers
    #[arg(long, env = "SOTTO_ALLOW_NATIVE",
        help_heading = manual::WHO)]
    pub allow_native: bool,

    /// Proxies that are believed when they say for whom they speak, in Forwarded or X-Forwarded-For, such as 10.0.0.0/8;
    /// may be given more than once. Without it, whoever connects is the visitor
    #[arg(long, env = "SOTTO_TRUSTED_PROXIES", value_name = "CIDR", value_delimiter = ',',
        help_heading = manual::PROXY)]
    pub trusted_proxies: Vec<Network>,

    /// Where pages reach the relay, when that is not the host and port they were loaded from (a proxy that
    /// passes no UDP stands in front)
    #[arg(long, env = "SOTTO_RELAY_HOST", value_name = "HOST[:PORT]", help_heading = manual::PROXY)]
    pub relay_host: Option<RelayHost>,

    /// What the relay's credentials are made with, at least 16 bytes: for several servers that share it, or for a
    /// program that makes its own. Random at every start without it
    #[arg(long, env = "SOTTO_SECRET_FILE", value_name = "FILE", help_heading = manual::WHO)]
    pub secret_file: Option<PathBuf>,

    /// Share who waits with other servers, by a Redis or Valkey such as redis://10.0.0.5 or rediss://:password@redis.example;
    /// with the same --secret-file on all of them, and a --relay-host for each
    #[arg(long, env = "SOTTO_REDIS", value_name = "URL", help_heading = manual::RUNNING)]
    pub redis: Option<RedisUrl>,

    /// Let the two in a call type to each other as well, end to end encrypted. In some countries the law treats a
    /// service that carries nothing but live speech differently
    #[arg(long, env = "SOTTO_TEXT_LINE",
        help_heading = manual::VISITORS)]
    pub text_line: bool,

    /// From which age on somebody may come, which the first page says: in years, 13 to 99
    #[arg(long, env = "SOTTO_AGE", value_name = "YEARS", default_value_t = 18, value_parser = value_parser!(u8).range(AGES),
        help_heading = manual::VISITORS)]
    pub age: u8,

    /// Ask visitors to tick a box before their first conversation, which says that they are old enough and will be kind
    #[arg(long, env = "SOTTO_ASK_RULES",
        help_heading = manual::VISITORS)]
    pub ask_rules: bool,

    /// When people come here, such as "20:00-23:00 Europe/Berlin" or "mon-fri 20:00-23:00 Europe/Berlin"; may be given more
    /// than once. Visitors are told, in their own time; nobody is kept out
    #[arg(long, env = "SOTTO_HOURS", value_name = "HOURS", value_delimiter = ',',
        help_heading = manual::VISITORS)]
    pub hours: Vec<Hours>,

    /// How many joins a second, from everywhere together, are too many: above it every browser has to work for a moment
    /// before it joins, the longer the more there are; 30 or more, which one network alone cannot be
    #[arg(long, env = "SOTTO_WORK_ABOVE", value_name = "JOINS", default_value_t = WORK_ABOVE,
        value_parser = value_parser!(u32).range(LEAST_CROWD as i64..), help_heading = manual::WHO)]
    pub work_above: u32,

    /// How long calls may go on when the server is asked to stop, in seconds; it ends as soon as none is left. Whoever
    /// stops it has to wait for longer: Docker does so for 10 seconds, unless told otherwise
    #[arg(long, env = "SOTTO_DRAIN", value_name = "SECONDS", default_value_t = 5,
        value_parser = value_parser!(u32).range(..=MAX_DRAIN), help_heading = manual::RUNNING)]
    pub drain: u32,

    /// Share the port with the server that is started before this one is asked to stop, and that has this option as well:
    /// then it gets everything, and the calls of this one go on. Linux only, and with one relay thread
    #[arg(long, env = "SOTTO_HANDOVER",
        help_heading = manual::RUNNING)]
    pub handover: bool,

    /// How much to log: off, error, warn, info, debug or trace. At no level is an address logged
    #[arg(long, env = "SOTTO_LOG", value_name = "LEVEL", default_value_t = LevelFilter::INFO,
        help_heading = manual::RUNNING)]
    pub log: LevelFilter,
}

/// Where the Redis is that several servers share. It may have a password in it, and is printed nowhere as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    url: String,
    at: String,
}

impl RedisUrl {
    /// The URL itself.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Its host and port, which may be printed.
    pub fn at(&self) -> &str {
        &self.at
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({})", self.at)
    }
}

/// Why a text is no [`RedisUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a Redis is at redis:// or rediss://, perhaps with :password@, a host, perhaps a port and /database")]
pub struct NoRedisUrl;

impl FromStr for RedisUrl {
    type Err = NoRedisUrl;

    fn from_str(text: &str) -> Result<Self, NoRedisUrl> {
        let speaks = ["redis://", "rediss://"].iter().any(|scheme| text.starts_with(scheme));
        let client = redis::Client::open(text).ok().filter(|_| speaks).ok_or(NoRedisUrl)?;
        Ok(Self { url: text.to_owned(), at: client.get_connection_info().addr().to_string() })
    }
}

/// What servers that share a Redis have to know.
pub struct Cluster {
    /// Where it is.
    pub url: RedisUrl,
    /// What all of them know and nobody else.
    pub secret: Vec<u8>,
    /// Where pages reach this one's relay.
    pub relay_host: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            listen_http: None,
            domains: Vec::new(),
            acme_cache: None,
            acme_contact: None,
            acme_directory: None,
            acme_root: None,
            origins: Vec::new(),
            allow_native: false,
            trusted_proxies: Vec::new(),
            relay_host: None,
            tls_cert: None,
            tls_key: None,
            secret_file: None,
            redis: None,
            text_line: false,
            age: 18,
            ask_rules: false,
            hours: Vec::new(),
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

    /// Whether the options go together.
    ///
    /// # Errors
    ///
    /// When one of them makes no sense without another, or with it.
    pub fn check(&self) -> Result<(), Refused> {
        self.tls().map_err(|error| Refused(error.to_string()))?;
        self.check_redis()?;
        let is_given = [
            ("--acme-cache", self.acme_cache.is_some()),
            ("--acme-contact", self.acme_contact.is_some()),
            ("--acme-directory", self.acme_directory.is_some()),
            ("--acme-root", self.acme_root.is_some()),
        ];
        if !self.domains.is_empty() && self.tls_cert.is_some() {
            return Err(Refused("--domain gets a certificate of its own, and goes without --tls-cert".to_owned()));
        }
        if let Some((name, _)) = is_given.into_iter().find(|(_, given)| *given && self.domains.is_empty()) {
            return Err(Refused(format!("{name} needs --domain")));
        }
        if matches!(self.listen_http, Some(ListenHttp::At(_))) && !self.has_tls() {
            return Err(Refused("--listen-http needs --domain or --tls-cert, to have HTTPS to send to".to_owned()));
        }
        Ok(())
    }

    /// Whether the port speaks TLS as well.
    pub fn has_tls(&self) -> bool {
        self.tls_cert.is_some() || !self.domains.is_empty()
    }

    /// What it takes to get a certificate, if that is what the operator wants.
    pub fn acme(&self) -> Option<Acme<'_>> {
        (!self.domains.is_empty()).then(|| Acme {
            domains: &self.domains,
            directory: self.acme_directory.as_ref().map_or(LETS_ENCRYPT_PRODUCTION_DIRECTORY, Directory::as_str),
            root: self.acme_root.as_deref(),
            contact: self.acme_contact.as_ref(),
            cache: self.acme_cache.as_deref(),
        })
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

    /// Whether there is what sharing a Redis takes.
    fn check_redis(&self) -> Result<(), Refused> {
        if self.redis.is_some() && self.relay_host.is_none() {
            let why = "--redis needs --relay-host: where pages reach the relay of this server, and of no other";
            return Err(Refused(why.to_owned()));
        }
        if self.redis.is_some() && self.secret_file.is_none() {
            return Err(Refused("--redis needs --secret-file: the same on all servers that share a Redis".to_owned()));
        }
        Ok(())
    }

    /// What there is to know of the other servers, if there are any.
    ///
    /// # Errors
    ///
    /// When something is missing, or the secret cannot be read.
    pub fn cluster(&self) -> anyhow::Result<Option<Cluster>> {
        self.check_redis()?;
        let (Some(url), Some(relay_host)) = (self.redis.clone(), self.relay_host()) else {
            return Ok(None);
        };
        Ok(self.secret()?.map(|secret| Cluster { url, secret, relay_host }))
    }

    /// Where pages reach the relay, as they are told.
    pub fn relay_host(&self) -> Option<String> {
        self.relay_host.as_ref().map(|host| host.as_str().to_owned())
    }

    /// Moves to the ports that visitors of a domain come to, those that nobody has named.
    fn move_to_domain(&mut self, listen_is_named: bool) {
        if self.domains.is_empty() {
            return;
        }
        if !listen_is_named {
            self.listen = HTTPS_EVERYWHERE;
        }
        self.listen_http.get_or_insert(ListenHttp::At(HTTP_EVERYWHERE));
    }

    /// How pages can reach the relay, the best way first.
    pub fn transports(&self) -> Vec<Transport> {
        let mut transports = vec![Transport::Udp, Transport::Tcp];
        transports.extend(self.has_tls().then_some(Transport::Tls));
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
pub fn split_host(text: &str) -> Option<(&str, Option<u16>)> {
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
    fn a_domain_moves_the_ports() {
        let config = read(&["sotto", "--domain", "talk.example.org"]).expect("valid");
        assert_eq!((config.listen, config.listen_http), (everywhere(443), Some(ListenHttp::At(everywhere(80)))));
        let config =
            read(&["sotto", "--domain", "a.b,c.d", "--listen", "[::]:8443", "--listen-http", "none"]).expect("valid");
        assert_eq!(
            (config.listen, config.listen_http, config.domains.len()),
            (everywhere(8443), Some(ListenHttp::None), 2)
        );
        let config = read(&["sotto"]).expect("valid");
        assert_eq!((config.listen, config.listen_http), (DEFAULT_LISTEN, None));
        for arguments in
            [&["sotto", "healthcheck", "--domain", "a.b"][..], &["sotto", "--domain", "a.b", "healthcheck"]]
        {
            let config = read(arguments).expect("valid");
            assert_eq!((config.listen, config.listen_http), (everywhere(443), Some(ListenHttp::At(everywhere(80)))));
        }
        let named = read(&["sotto", "--domain", "a.b", "healthcheck", "--listen", "[::]:8080"]).expect("valid");
        assert_eq!(named.listen, DEFAULT_LISTEN);
    }

    fn read(arguments: &[&str]) -> Result<Config, Stop> {
        let arguments = arguments.iter().map(Into::into).collect();
        Cli::read_from(arguments, |_| None).map(|cli| cli.config)
    }

    #[test]
    fn the_command_line_is_consistent() {
        sources::command().debug_assert();
        let config = read(&["sotto", "--origin", "https://a.example,https://b.example"]).expect("valid");
        assert_eq!(config.origins.len(), 2);
        let config = read(&["sotto", "--trusted-proxies", "10.0.0.0/8,::1"]).expect("valid");
        assert_eq!(config.trusted_proxies.len(), 2);
        let hours = "20:00-23:00 Europe/Berlin, sat-sun 14:00-18:00 Europe/Berlin";
        let config = read(&["sotto", "--hours", hours, "--hours", "mon 09:00-10:00 UTC"]).expect("valid");
        assert_eq!(config.hours.len(), 3);
        for wrong in [
            &["sotto", "--hours", "20:00-23:00"][..],
            &["sotto", "--hours", "20:00-23:00 Europe/Berlin,"],
            &["sotto", "--hours", "evenings"],
            &["sotto", "--listen", "nowhere"],
            &["sotto", "--origin", "a.example"],
            &["sotto", "--trusted-proxies", "10.0.0.1/8"],
            &["sotto", "--trusted-proxies", "proxy"],
            &["sotto", "--relay-host", "turn:a"],
            &["sotto", "--relay-host", "my_relay:8080"],
            &["sotto", "--relay-host", "relay:0"],
            &["sotto", "--log", "loud"],
            &["sotto", "--domain", "talk.example.org", "--tls-cert", "a.pem", "--tls-key", "a.key"],
            &["sotto", "--acme-cache", "/tmp"],
            &["sotto", "--listen-http", "[::]:80"],
            &["sotto", "--redis", "redis://a", "--secret-file", "a"],
            &["sotto", "--redis", "redis://a", "--relay-host", "a"],
            &["sotto", "--redis", "http://a", "--secret-file", "a", "--relay-host", "a"],
            &["sotto", "--age", "12"],
            &["sotto", "--age", "100"],
            &["sotto", "--age", "eighteen"],
            &["sotto", "--work-above", "29"],
            &["sotto", "--unknown"],
        ] {
            assert!(matches!(read(wrong), Err(Stop::Refused(_))), "{wrong:?}");
        }
    }
}
