//! A certificate of a test's own, and clients that trust anybody.

use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};

/// A certificate and its key, in files that are gone when this is dropped.
pub struct Identity {
    folder: PathBuf,
    /// PEM.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
    /// Who has signed the certificate, PEM; itself when nobody else has.
    pub authority: PathBuf,
}

impl Identity {
    /// A new one for this machine, which nobody else has signed.
    pub fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]);
        let made = made.expect("a certificate");
        Self::keep(&made.cert, &made.signing_key, &made.cert)
    }

    /// One for this machine from the first day of a year to that of another.
    pub fn valid(from: i32, until: i32) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut server = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        (server.not_before, server.not_after) = (rcgen::date_time_ymd(from, 1, 1), rcgen::date_time_ymd(until, 1, 1));
        let certificate = server.self_signed(&key).expect("a certificate");
        Self::keep(&certificate, &key, &certificate)
    }

    /// A new one for the machine with this name or address, signed by an authority that is as new.
    pub fn signed(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut authority = CertificateParams::new([]).expect("no names");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        authority.distinguished_name.push(DnType::CommonName, "an authority for one test");
        let issuer = CertifiedIssuer::self_signed(authority, key).expect("a certificate");
        let key = KeyPair::generate().expect("a key");
        let mut server = CertificateParams::new([name.to_owned()]).expect("a name");
        server.use_authority_key_identifier_extension = true;
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = server.signed_by(&key, &issuer).expect("a certificate");
        Self::keep(&certificate, &key, issuer.as_ref())
    }

    fn keep(certificate: &Certificate, key: &KeyPair, authority: &Certificate) -> Self {
        let folder = std::env::temp_dir().join(format!("sotto-identity-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = |name, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).expect("a file");
            path
        };
        Self {
            certificate: file("certificate.pem", certificate.pem()),
            key: file("key.pem", key.serialize_pem()),
            authority: file("authority.pem", authority.pem()),
            folder,
        }
    }

    /// Puts another one, which nobody else has signed, in its place.
    pub fn renew(&self) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]);
        let made = made.expect("a certificate");
        std::fs::write(&self.certificate, made.cert.pem()).expect("a file");
        std::fs::write(&self.key, made.signing_key.serialize_pem()).expect("a file");
    }

    /// The flags that give it to a server.
    pub fn flags(&self) -> [&str; 4] {
        let (certificate, key) = (self.certificate.to_str(), self.key.to_str());
        ["--tls-cert", certificate.expect("a plain path"), "--tls-key", key.expect("a plain path")]
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What a client does that trusts anybody and offers these protocols.
pub fn config(protocols: &[&str]) -> Arc<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    // As TURN clients do that are given an address and no name.
    config.enable_sni = false;
    Arc::new(config)
}

/// Whom the client takes the server for.
pub fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("a name")
}

/// A connection that is not async.
pub fn connection(protocols: &[&str]) -> ClientConnection {
    ClientConnection::new(config(protocols), name()).expect("a connection")
}

/// The certificate that a server shows there, in DER.
pub fn shown(port: u16) -> Vec<u8> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    let mut connection = connection(&[]);
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).expect("a handshake");
    }
    connection.peer_certificates().and_then(<[_]>::first).expect("a certificate").to_vec()
}

#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
