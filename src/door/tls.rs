//! The certificate and the key, as the operator or an authority gives them, and as they are renewed.

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use anyhow::{Context, anyhow, bail};
use rustls_acme::acme::ACME_TLS_ALPN_NAME;
use tokio::{net::TcpStream, task::spawn_blocking, time::sleep};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ConfigBuilder, ServerConfig, WantsVerifier,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
    server::TlsStream,
};
use tracing::{info, warn};
use x509_parser::{
    certificate::{Validity, X509Certificate},
    extensions::GeneralName,
    prelude::FromDer,
    time::ASN1Time,
};

use super::authority::Authority;
use crate::config::Acme;

/// For clients that offer protocols at all: one of these is agreed to, and then the first byte counts all the same
/// (RFC 7443 for the second).
const PROTOCOLS: [&[u8]; 2] = [b"http/1.1", b"stun.turn"];

/// For the authority that looks whether this server has the name (RFC 8737): who offers it gets the certificate that
/// answers, and nothing else.
const CHALLENGE: &[u8] = ACME_TLS_ALPN_NAME;

/// How often it is seen whether the files have changed. Certificates are renewed weeks before they have to be.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What the server shows for itself. A new connection gets what the files held when they were last good, or what an
/// authority has given last; those that there are keep what they began with.
pub struct Identity {
    source: Source,
    acceptor: RwLock<TlsAcceptor>,
}

enum Source {
    Files {
        certificates: PathBuf,
        key: PathBuf,
        /// The files, before they were read for the first time.
        read: Stamps,
    },
    Authority(Authority),
}

impl Identity {
    /// Reads a chain of certificates and the key of the first one, both PEM.
    ///
    /// # Errors
    ///
    /// When one of the files cannot be read or has none in it, or the two do not belong together.
    pub fn read(certificates: &Path, key: &Path) -> anyhow::Result<Self> {
        let read = stamps([certificates, key]);
        let acceptor = RwLock::new(acceptor(certificates, key)?);
        Ok(Self {
            source: Source::Files { certificates: certificates.to_owned(), key: key.to_owned(), read },
            acceptor,
        })
    }

    /// Has one from an authority, as soon as it gives it: see [`Identity::follow`].
    ///
    /// # Errors
    ///
    /// As [`Authority::new`].
    pub fn from_authority(acme: Acme<'_>) -> anyhow::Result<Self> {
        let authority = Authority::new(acme)?;
        let mut config = builder()?.with_no_client_auth().with_cert_resolver(authority.resolver());
        config.alpn_protocols = PROTOCOLS.iter().chain([&CHALLENGE]).map(|name| name.to_vec()).collect();
        Ok(Self { source: Source::Authority(authority), acceptor: RwLock::new(TlsAcceptor::from(Arc::new(config))) })
    }

    /// Whether there is a certificate. Until an authority has given the first one every handshake fails, with an alert.
    pub fn is_there(&self) -> bool {
        match &self.source {
            Source::Files { .. } => true,
            Source::Authority(authority) => authority.has_certificate(),
        }
    }

    /// For a new connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Follows the files for ever: reads them whenever they have changed. When they are not good, nothing changes but
    /// the log. Or asks the authority, again and again.
    pub async fn follow(self: Arc<Self>) {
        let read = match &self.source {
            Source::Files { read, .. } => *read,
            Source::Authority(authority) => return authority.follow().await,
        };
        let mut changes = Changes::since(read);
        loop {
            sleep(LOOK_EVERY).await;
            let identity = Arc::clone(&self);
            let looked = spawn_blocking(move || {
                if let Source::Files { certificates, key, .. } = &identity.source
                    && changes.have_settled(stamps([certificates, key]))
                {
                    identity.renew(certificates, key);
                }
                changes
            });
            match looked.await {
                Ok(looked) => changes = looked,
                // The server stops.
                Err(_) => return,
            }
        }
    }

    fn renew(&self, certificates: &Path, key: &Path) {
        match acceptor(certificates, key) {
            Ok(acceptor) => {
                *self.acceptor.write().unwrap_or_else(PoisonError::into_inner) = acceptor;
                info!("the certificate has been renewed");
            }
            Err(error) => warn!("the certificate stays what it was: {error:#}"),
        }
    }
}

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The names and addresses that it is for (RFC 5280 §4.2.1.6).
    pub names: Vec<String>,
    /// From when on it is good.
    pub from: SystemTime,
    /// Until when.
    pub until: SystemTime,
    /// That day, in UTC, as people write it.
    pub last_day: String,
}

impl Certificate {
    /// Reads the first one of a file, PEM.
    ///
    /// # Errors
    ///
    /// When there is none, or it is none by X.509.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let whence = || format!("cannot read certificates from {}", file.display());
        let first = CertificateDer::from_pem_file(file).with_context(whence)?;
        Self::of(&first).with_context(whence)
    }

    /// Reads one, DER.
    ///
    /// # Errors
    ///
    /// When it is none by X.509.
    pub fn of(der: &[u8]) -> anyhow::Result<Self> {
        let (_, parsed) = X509Certificate::from_der(der).map_err(|_| anyhow!("not a certificate"))?;
        let names = match parsed.subject_alternative_name() {
            Ok(Some(names)) => names.value.general_names.iter().filter_map(name).collect(),
            _ => Vec::new(),
        };
        let moment = |time: ASN1Time| {
            let seconds = u64::try_from(time.timestamp()).unwrap_or_default();
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).context("a year that no clock knows")
        };
        let Validity { not_before, not_after } = *parsed.validity();
        Ok(Self {
            names,
            from: moment(not_before)?,
            until: moment(not_after)?,
            last_day: not_after.to_datetime().date().to_string(),
        })
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
        },
        _ => None,
    }
}

/// When each file was written, and its length; `None` where there is none. Links are followed: some renew by them.
type Stamps = [Option<(SystemTime, u64)>; 2];

fn stamps(files: [&Path; 2]) -> Stamps {
    files.map(|file| {
        let metadata = fs::metadata(file).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}

/// What has become of the files.
#[derive(Clone, Copy)]
struct Changes {
    /// When they were last read.
    read: Stamps,
    /// When they were last looked at.
    seen: Stamps,
}

impl Changes {
    fn since(read: Stamps) -> Self {
        Self { read, seen: read }
    }

    /// Whether the files are others than those that were read, and have been so for two looks: somebody may be about
    /// to write the second.
    fn have_settled(&mut self, stamps: Stamps) -> bool {
        let settled = stamps == self.seen && stamps != self.read;
        self.seen = stamps;
        if settled {
            self.read = stamps;
        }
        settled
    }
}

/// Whether it is the authority that has come, which wants nothing but the handshake.
pub fn is_of_authority(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(CHALLENGE)
}

fn builder() -> Result<ConfigBuilder<ServerConfig, WantsVerifier>, rustls::Error> {
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions()
}

fn acceptor(certificates: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(certificates)
            .and_then(Iterator::collect)
            .with_context(|| format!("cannot read certificates from {}", certificates.display()))?;
    if chain.is_empty() {
        bail!("no certificate in {}", certificates.display());
    }
    let key_of = PrivateKeyDer::from_pem_file(key);
    let private = key_of.with_context(|| format!("cannot read a private key from {}", key.display()))?;
    let mut config = builder()?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .with_context(|| format!("the key in {} is not of {}", key.display(), certificates.display()))?;
    config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_files_are_read_once_when_both_have_been_written() {
        let stamp = |seconds| Some((SystemTime::UNIX_EPOCH + Duration::from_secs(seconds), 1_000));
        let mut changes = Changes::since([stamp(1), stamp(1)]);
        for (stamps, read) in [
            ([stamp(1), stamp(1)], false),
            ([stamp(2), stamp(1)], false),
            ([stamp(2), stamp(2)], false),
            ([stamp(2), stamp(2)], true),
            ([stamp(2), stamp(2)], false),
            // Gone for a moment, and for longer.
            ([None, stamp(2)], false),
            ([stamp(2), stamp(2)], false),
            ([stamp(2), stamp(2)], false),
            ([None, stamp(2)], false),
            ([None, stamp(2)], true),
            ([None, stamp(2)], false),
            // The old ones are back: another change.
            ([stamp(1), stamp(1)], false),
            ([stamp(1), stamp(1)], true),
        ] {
            assert_eq!(changes.have_settled(stamps), read, "{stamps:?}");
        }
    }
}
