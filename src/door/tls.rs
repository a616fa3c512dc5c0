//! The certificate and the key, as the operator gives them.

use std::{path::Path, sync::Arc};

use anyhow::{Context, bail};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

/// For clients that offer protocols at all: one of these is agreed to, and then the first byte counts all the same
/// (RFC 7443 for the second).
const PROTOCOLS: [&[u8]; 2] = [b"http/1.1", b"stun.turn"];

/// Reads a chain of certificates and the key of the first one, both PEM.
///
/// # Errors
///
/// When one of the files cannot be read or has none in it, or the two do not belong together.
pub fn acceptor(certificates: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(certificates)
            .and_then(Iterator::collect)
            .with_context(|| format!("cannot read certificates from {}", certificates.display()))?;
    if chain.is_empty() {
        bail!("no certificate in {}", certificates.display());
    }
    let key_of = PrivateKeyDer::from_pem_file(key);
    let private = key_of.with_context(|| format!("cannot read a private key from {}", key.display()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .with_context(|| format!("the key in {} is not of {}", key.display(), certificates.display()))?;
    config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
    Ok(TlsAcceptor::from(Arc::new(config)))
}
