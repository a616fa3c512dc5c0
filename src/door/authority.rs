//! The certificate that an authority gives to whoever answers at a name: asked for, shown, and renewed (ACME, RFC 8555,
//! by TLS-ALPN-01, RFC 8737, so that the one port is all that it takes).
//!
//! `rustls-acme` speaks to the authority. What is ours is when it is asked again after a failure, what is kept where, and
//! what is said of it: never where anybody is.

use std::{
    fmt, fs,
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use anyhow::{Context, bail};
use async_trait::async_trait;
use futures_util::StreamExt;
use rustls_acme::{
    AccountCache, AcmeConfig, CertCache, EventError, EventOk, OrderError, ResolvesServerCertAcme, is_tls_alpn_challenge,
};
use sha2::{Digest, Sha256};
use tokio::{
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tracing::{info, warn};

use super::tls::Certificate;
use crate::config::Acme;

/// How long an authority may take from the first question to the certificate. Its own limits are within this: half a
/// minute for each name, and some minutes for the signature.
const ORDER_WITHIN: Duration = Duration::from_secs(10 * 60);

/// How long to wait after the first failure. Mostly it is a hiccup, or the name has only just been given.
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// How much longer to wait after each further one: six tries in the first hour. Let's Encrypt bears five failed answers
/// for a name, and then one in twelve minutes.
const LONGER: u32 = 4;

/// The longest wait. Certificates are renewed when a third of their time is left: many tries are before it ends.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// The certificate of an authority, and all that it takes to have one.
#[derive(Debug)]
pub struct Authority {
    names: Vec<String>,
    contact: Option<String>,
    directory: String,
    client: Arc<ClientConfig>,
    shelf: Shelf,
    shown: Arc<Shown>,
}

impl Authority {
    /// Prepares to ask. Nobody is asked yet.
    ///
    /// # Errors
    ///
    /// When the folder for what is to be kept cannot be written to, or the authority's own root cannot be read.
    pub fn new(acme: Acme<'_>) -> anyhow::Result<Self> {
        let Acme { domains, directory, root, contact, cache } = acme;
        if let Some(folder) = cache {
            try_out(folder).with_context(|| format!("cannot keep certificates in {}", folder.display()))?;
        }
        let names: Vec<_> = domains.iter().map(|domain| domain.as_str().to_owned()).collect();
        Ok(Self {
            client: Arc::new(client(root)?),
            shelf: Shelf::new(cache, &names, directory),
            names,
            contact: contact.map(|contact| format!("mailto:{}", contact.as_str())),
            directory: directory.to_owned(),
            shown: Arc::default(),
        })
    }

    /// What chooses the certificate for each handshake.
    pub fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::clone(&self.shown) as _
    }

    /// Whether there is a certificate to show.
    pub fn has_certificate(&self) -> bool {
        read(&self.shown.visitors).is_some()
    }

    /// Gets the certificate and renews it, for ever.
    pub async fn follow(&self) {
        let mut failures = 0;
        loop {
            let why = self.try_once(&mut failures, ORDER_WITHIN).await;
            let wait = wait_after(failures);
            failures += 1;
            let seconds = wait.as_secs();
            if self.has_certificate() {
                warn!(seconds, "the certificate is not renewed yet, which is tried again: {why}");
            } else {
                warn!(seconds, "there is no certificate yet, which is tried again: {why}");
            }
            sleep(wait).await;
        }
    }

    /// Asks, and asks again whenever it is time to, until that fails, or takes longer than this. Returns why.
    async fn try_once(&self, failures: &mut u32, within: Duration) -> String {
        let mut state = AcmeConfig::new_with_client_config(&self.names, Arc::clone(&self.client))
            .directory(&self.directory)
            .contact(&self.contact)
            .cache(self.shelf.clone())
            .state();
        write(&self.shown.authority).replace(state.resolver());
        loop {
            // It sleeps until the certificate is to be renewed, and then asks.
            let due = self.shelf.renewal_in(SystemTime::now());
            let Ok(event) = timeout(due.saturating_add(within), state.next()).await else {
                return "the authority does not answer".to_owned();
            };
            match event {
                Some(Ok(event @ (EventOk::DeployedCachedCert | EventOk::DeployedNewCert))) => {
                    write(&self.shown.visitors).replace(state.resolver());
                    if matches!(event, EventOk::DeployedNewCert) {
                        *failures = 0;
                        info!("the certificate is new");
                    } else {
                        info!("the certificate is the one that was kept");
                    }
                }
                Some(Ok(EventOk::CertCacheStore | EventOk::AccountCacheStore)) => {}
                Some(Err(EventError::Order(error))) => return words(&error),
                Some(Err(EventError::NewCertParse(_))) => {
                    return "what the authority gave is no certificate".to_owned();
                }
                Some(Err(EventError::CachedCertParse(_))) => warn!("the certificate that was kept is none"),
                Some(Err(EventError::CertCacheLoad(error) | EventError::AccountCacheLoad(error))) => {
                    warn!(kind = ?error.kind(), "what was kept for the certificate cannot be read");
                }
                Some(Err(EventError::CertCacheStore(error) | EventError::AccountCacheStore(error))) => {
                    warn!(kind = ?error.kind(), "the certificate is in memory alone: it cannot be kept");
                }
                None => return "nothing more is asked".to_owned(),
            }
        }
    }
}

/// How long to wait after so many failures in a row, and one more.
fn wait_after(failures: u32) -> Duration {
    LONGER
        .checked_pow(failures)
        .and_then(|times| FIRST_WAIT.checked_mul(times))
        .unwrap_or(LONGEST_WAIT)
        .min(LONGEST_WAIT)
}

/// Who is believed to be the authority: whoever the web believes, or the one whose root the operator names.
fn client(root: Option<&Path>) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match root {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(file) => {
            let whence = || format!("cannot read the authority's root from {}", file.display());
            for certificate in CertificateDer::pem_file_iter(file).with_context(whence)? {
                roots.add(certificate.with_context(whence)?).with_context(whence)?;
            }
            if roots.is_empty() {
                bail!("no certificate in {}", file.display());
            }
        }
    }
    Ok(ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// Why an order has failed, without what the authority says in words of its own: those name addresses.
fn words(error: &OrderError) -> String {
    let kind = |text: &str| problem(text).map(|kind| format!(" ({kind})")).unwrap_or_default();
    match error {
        OrderError::BadAuth(auth) => {
            let kinds = auth.challenges.iter().filter_map(|challenge| challenge.error.as_ref()?.typ.as_deref());
            let kind = kinds.map(kind).find(|kind| !kind.is_empty()).unwrap_or_default();
            format!("the authority asked at the name, on TCP port 443, and did not find this server{kind}")
        }
        OrderError::TooManyAttemptsAuth(_) => "the authority could not make up its mind about the name".to_owned(),
        OrderError::ProcessingTimeout(_) => "the authority took too long to sign".to_owned(),
        OrderError::BadOrder(order) => {
            let why = order.error.as_ref().and_then(|problem| problem.typ.as_deref()).map(kind).unwrap_or_default();
            format!("the authority refused the order{why}")
        }
        OrderError::Rcgen(_) => "no key could be made".to_owned(),
        OrderError::Acme(error) => {
            let text = error.to_string();
            let kind = kind(&text);
            if !kind.is_empty() {
                format!("the authority refused{kind}")
            } else if text.contains("InvalidCertificate") {
                "the authority's own certificate is not believed".to_owned()
            } else if text.contains("failed to lookup address") {
                "the authority's name cannot be looked up".to_owned()
            } else if let Some(kind) = word_after(&text, "kind: ") {
                format!("the authority cannot be reached: {kind}")
            } else {
                "the authority cannot be understood".to_owned()
            }
        }
    }
}

/// The kind of problem in what an authority says (RFC 8555 §6.7), which is one word.
fn problem(text: &str) -> Option<&str> {
    word_after(text, "urn:ietf:params:acme:error:")
}

/// The one word behind these, if it is one. What `rustls-acme` says of the network is text, and has addresses in it.
fn word_after<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(words)?;
    let end = rest.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(rest.len());
    Some(&rest[..end]).filter(|word| (1..=40).contains(&word.len()))
}

/// Which certificate is for whom.
#[derive(Default)]
struct Shown {
    /// For the authority, while it looks whether this server has the name.
    authority: RwLock<Option<Arc<ResolvesServerCertAcme>>>,
    /// For everybody else; absent until there is one.
    visitors: RwLock<Option<Arc<ResolvesServerCertAcme>>>,
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown(…)")
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let whose = if is_tls_alpn_challenge(&hello) { &self.authority } else { &self.visitors };
        let resolver = read(whose).clone()?;
        resolver.resolve(hello)
    }
}

/// What is kept: the key of the account, and the certificate with its key. In memory, and in a folder where there is one.
#[derive(Debug, Clone)]
struct Shelf {
    files: Option<[PathBuf; 2]>,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    account: Option<Vec<u8>>,
    certificate: Option<Vec<u8>>,
}

/// There are keys in it.
impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept(…)")
    }
}

impl Shelf {
    /// The files are named after what they are of, so that another name or authority finds nothing there.
    fn new(folder: Option<&Path>, names: &[String], directory: &str) -> Self {
        let mark = |parts: &[&str]| {
            let hash = Sha256::digest(parts.join("\n"));
            hash.iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
        };
        let files = folder.map(|folder| {
            let account = folder.join(format!("account-{}.der", mark(&[directory])));
            let of: Vec<_> = std::iter::once(directory).chain(names.iter().map(String::as_str)).collect();
            [account, folder.join(format!("certificate-{}.pem", mark(&of)))]
        });
        Self { files, kept: Arc::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the certificate is good for before it is renewed: two thirds of its time, as `rustls-acme` reckons as
    /// well. Nothing where there is none.
    fn renewal_in(&self, now: SystemTime) -> Duration {
        let first = self.kept().certificate.as_deref().and_then(|pem| CertificateDer::from_pem_slice(pem).ok());
        let Some(Certificate { from, until, .. }) = first.and_then(|der| Certificate::of(&der).ok()) else {
            return Duration::ZERO;
        };
        let lasts = until.duration_since(from).unwrap_or_default();
        until.duration_since(now).unwrap_or_default().saturating_sub(lasts / 3)
    }

    async fn load(&self, which: usize) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.files.as_ref().map(|files| files[which].clone()) else { return Ok(None) };
        match spawn_blocking(move || fs::read(file)).await? {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn store(&self, which: usize, bytes: &[u8]) -> io::Result<()> {
        let Some(file) = self.files.as_ref().map(|files| files[which].clone()) else { return Ok(()) };
        let bytes = bytes.to_owned();
        spawn_blocking(move || put(&file, &bytes)).await?
    }
}

const ACCOUNT: usize = 0;
const CERTIFICATE: usize = 1;

#[async_trait]
impl AccountCache for Shelf {
    type EA = io::Error;

    async fn load_account(&self, _: &[String], _: &str) -> io::Result<Option<Vec<u8>>> {
        if let Some(account) = self.kept().account.clone() {
            return Ok(Some(account));
        }
        let account = self.load(ACCOUNT).await?;
        self.kept().account.clone_from(&account);
        Ok(account)
    }

    async fn store_account(&self, _: &[String], _: &str, account: &[u8]) -> io::Result<()> {
        self.kept().account = Some(account.to_owned());
        self.store(ACCOUNT, account).await
    }
}

#[async_trait]
impl CertCache for Shelf {
    type EC = io::Error;

    async fn load_cert(&self, _: &[String], _: &str) -> io::Result<Option<Vec<u8>>> {
        if let Some(certificate) = self.kept().certificate.clone() {
            return Ok(Some(certificate));
        }
        let certificate = self.load(CERTIFICATE).await?;
        self.kept().certificate.clone_from(&certificate);
        Ok(certificate)
    }

    async fn store_cert(&self, _: &[String], _: &str, certificate: &[u8]) -> io::Result<()> {
        self.kept().certificate = Some(certificate.to_owned());
        self.store(CERTIFICATE, certificate).await
    }
}

/// Writes a file that nobody else may read, and that is either the old one or the new one whenever the power goes.
fn put(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = file.with_extension("new");
    // One that is left from a time when it went wrong.
    let _ = fs::remove_file(&new);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut open = options.open(&new)?;
    open.write_all(bytes)?;
    open.sync_all()?;
    fs::rename(&new, file)
}

/// Makes the folder where there is none, for this user alone, and finds out whether files can be kept there.
///
/// # Errors
///
/// When they cannot.
pub fn try_out(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    let file = folder.join("try");
    put(&file, b"")?;
    fs::remove_file(file)
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_makes_the_wait_longer_up_to_an_hour() {
        let waits: Vec<_> = (0..8).map(|failures| wait_after(failures).as_secs()).collect();
        assert_eq!(waits, [5, 20, 80, 320, 1_280, 3_600, 3_600, 3_600]);
        assert_eq!(wait_after(u32::MAX), LONGEST_WAIT);
    }

    #[tokio::test]
    async fn an_authority_that_says_nothing_is_given_up() {
        // The system takes the connection, and nobody ever reads from it.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let directory = format!("https://{}/directory", listener.local_addr().expect("an address"));
        let domains = ["talk.example.org".parse().expect("a domain")];
        let acme = Acme { domains: &domains, directory: &directory, root: None, contact: None, cache: None };
        let authority = Authority::new(acme).expect("nothing to go wrong");
        let why = authority.try_once(&mut 0, Duration::from_millis(200)).await;
        assert_eq!(why, "the authority does not answer");
        assert!(!authority.has_certificate());
    }

    #[test]
    fn of_what_an_authority_says_one_word_is_taken() {
        for (text, kind) in [
            (
                r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"192.0.2.1 asks too often"}"#,
                Some("rateLimited"),
            ),
            ("urn:ietf:params:acme:error:connection", Some("connection")),
            ("urn:ietf:params:acme:error:", None),
            ("urn:ietf:params:acme:error:192.0.2.1", None),
            ("urn:ietf:params:oauth:error:dns", None),
            ("", None),
        ] {
            assert_eq!(problem(text), kind, "{text}");
        }
        let text = "http error: TcpConnect(Os { code: 111, kind: ConnectionRefused, message: \"to 192.0.2.1\" })";
        assert_eq!(word_after(text, "kind: "), Some("ConnectionRefused"));
        assert_eq!(problem(&format!("urn:ietf:params:acme:error:{}", "a".repeat(41))), None);
    }

    #[test]
    fn a_certificate_is_renewed_when_a_third_of_its_time_is_left() {
        let shelf = Shelf::new(None, &["talk.example.org".to_owned()], "https://authority.example");
        let now = SystemTime::now();
        assert_eq!(shelf.renewal_in(now), Duration::ZERO);
        let mut params = rcgen::CertificateParams::new(["talk.example.org".to_owned()]).expect("a name");
        (params.not_before, params.not_after) = (rcgen::date_time_ymd(2026, 1, 1), rcgen::date_time_ymd(2026, 3, 31));
        let key = rcgen::KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        shelf.kept().certificate = Some(format!("{}{pem}", key.serialize_pem()).into_bytes());
        let day = Duration::from_secs(24 * 60 * 60);
        // The first of January 2026 is day 20,454.
        let at = |days: u32| SystemTime::UNIX_EPOCH + day * (20_454 + days);
        let lasts = day * 89;
        assert_eq!(shelf.renewal_in(at(0)), lasts - lasts / 3);
        assert_eq!(shelf.renewal_in(at(50)), day * 39 - lasts / 3);
        assert_eq!(shelf.renewal_in(at(60)), Duration::ZERO);
        assert_eq!(shelf.renewal_in(at(100)), Duration::ZERO);
    }

    #[test]
    fn what_is_kept_is_for_one_user_and_of_one_name_and_authority() {
        let folder = std::env::temp_dir().join(format!("sotto-shelf-{}", uuid::Uuid::new_v4()));
        let name = ["a.example".to_owned()];
        try_out(&folder).expect("a folder");
        let files = |names: &[String], directory| Shelf::new(Some(&folder), names, directory).files.expect("files");
        let [account, certificate] = files(&name, "https://one.example");
        put(&certificate, b"old").expect("a file");
        put(&certificate, b"new").expect("a file");
        assert_eq!(fs::read(&certificate).expect("a file"), b"new");
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let mode = |path: &Path| fs::metadata(path).expect("there").mode() & 0o777;
            assert_eq!((mode(&folder), mode(&certificate)), (0o700, 0o600));
        }
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 1, "nothing else is left there");
        let other = ["b.example".to_owned()];
        assert_ne!(files(&other, "https://one.example")[CERTIFICATE], certificate);
        assert_eq!(files(&other, "https://one.example")[ACCOUNT], account);
        assert_ne!(files(&name, "https://two.example"), [account, certificate]);
        fs::remove_dir_all(&folder).expect("removed");
        assert!(try_out(Path::new("/proc/nowhere")).is_err());
    }
}
