//! A certificate from an authority: pebble, Let's Encrypt's own server for tests, which looks up the name and asks at the
//! server's port whether it answers.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use sotto::caller::{Call, Caller, Options};
use sotto::protocol::{Languages, Role};
use tokio::io::copy_bidirectional;
use tokio::process::{Child, Command};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio_rustls::rustls::{AlertDescription, ClientConfig, ClientConnection, Error, RootCertStore, Stream};

use crate::http::{Answer, get, get_from};
use crate::server::{DEADLINE, TestServer};
use crate::tls::{self, Identity};
use crate::voice::{strength, tone};

const NAME: &str = "talk.example.org";

/// How long a certificate is good for, in seconds, so that it is renewed within a test: after two thirds of it.
const VALID_FOR: u64 = 24;

/// A port that is free at the moment, TCP.
fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

/// A folder that is gone when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("sotto-authority-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Where the authority will be, and who it is. Nobody is there yet.
struct Place {
    folder: Folder,
    identity: Identity,
    port: u16,
    management: u16,
    /// Of the server that it asks.
    asks: u16,
}

/// The authority, and who tells it where names are; both end when this is dropped.
struct Pebble {
    _names: Child,
    authority: Child,
    /// Who signs what it gives.
    root: CertificateDer<'static>,
}

impl Place {
    /// An authority's that asks at this port.
    fn new(asks: u16) -> Self {
        Self { folder: Folder::new(), identity: Identity::signed("localhost"), port: free(), management: free(), asks }
    }

    /// The options of a server that has its certificate from there.
    fn options(&self) -> Vec<String> {
        let root = self.identity.authority.display();
        let asks = self.asks;
        format!(
            "--domain {NAME} --listen 127.0.0.1:{asks} --listen-http none --acme-directory https://localhost:{}/dir \
             --acme-root {root} --acme-contact admin@example.org --allow-native --relay-host 127.0.0.1:{asks}",
            self.port
        )
        .split(' ')
        .map(ToOwned::to_owned)
        .collect()
    }

    /// Has it open. It finds the name at this address, and rejects so many nonces of a hundred.
    async fn open(&self, found_at: &str, rejects: u8) -> Pebble {
        let names = free();
        let mut resolver = Command::new("pebble-challtestsrv");
        resolver.args(["-dns01", &format!("127.0.0.1:{names}"), "-management", &format!("127.0.0.1:{}", free())]);
        resolver.args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", "", "-defaultIPv4", found_at]);
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{}", self.port),
            "managementListenAddress": format!("127.0.0.1:{}", self.management),
            "certificate": self.identity.certificate,
            "privateKey": self.identity.key,
            "httpPort": free(),
            "tlsPort": self.asks,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "certificateValidityPeriod": VALID_FOR,
        } });
        let file = self.folder.0.join("pebble.json");
        std::fs::write(&file, config.to_string()).expect("a file");
        let mut authority = Command::new("pebble");
        authority.arg("-config").arg(&file).args(["-dnsserver", &format!("127.0.0.1:{names}")]);
        authority.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", rejects.to_string());
        let start = |command: &mut Command| {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
            command.spawn().expect("pebble is installed")
        };
        let (names, authority) = (start(&mut resolver), start(&mut authority));
        let port = self.management;
        let root = timeout(DEADLINE, async {
            loop {
                if let Some(root) = spawn_blocking(move || root(port)).await.expect("no panic") {
                    return root;
                }
                sleep(Duration::from_millis(50)).await;
            }
        });
        Pebble { _names: names, authority, root: root.await.expect("it opens") }
    }
}

/// Who signs what the authority gives, by its management port; new whenever it starts.
fn root(port: u16) -> Option<CertificateDer<'static>> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let mut connection = tls::connection(&[]);
    let mut stream = Stream::new(&mut connection, &mut socket);
    stream.write_all(b"GET /roots/0 HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    // Some close without a word of TLS, which is as good here.
    let _ = stream.read_to_end(&mut answer);
    CertificateDer::from_pem_slice(&answer).ok()
}

impl Pebble {
    /// A client that believes this authority and nobody else.
    fn believer(&self, protocols: &[&str], says_name: bool) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).expect("a root");
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config.enable_sni = says_name;
        Arc::new(config)
    }

    async fn close(mut self) {
        self.authority.kill().await.expect("it ends");
    }
}

fn name() -> ServerName<'static> {
    ServerName::try_from(NAME).expect("a name")
}

/// Shakes hands at this port.
fn greet(port: u16, config: Arc<ClientConfig>) -> Result<(ClientConnection, TcpStream), Error> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    socket.set_read_timeout(Some(DEADLINE)).expect("an option");
    let mut connection = ClientConnection::new(config, name())?;
    while connection.is_handshaking() {
        if let Err(error) = connection.complete_io(&mut socket) {
            let kind = error.kind();
            let inner = error.into_inner().and_then(|inner| inner.downcast::<Error>().ok());
            return Err(inner.map_or_else(|| Error::General(format!("{kind:?}")), |inner| *inner));
        }
    }
    Ok((connection, socket))
}

/// Lets a native caller, who speaks no TLS, come by it: connections to the port that it returns are those to the other.
async fn tunnel(to: u16, config: Arc<ClientConfig>) -> (u16, JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let passing = tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let socket = tokio::net::TcpStream::connect(("127.0.0.1", to)).await.expect("the server");
            let mut far = TlsConnector::from(config.clone()).connect(name(), socket).await.expect("a handshake");
            tokio::spawn(async move { copy_bidirectional(&mut near, &mut far).await });
        }
    });
    (port, passing)
}

async fn call(port: u16) -> [Call; 2] {
    let mut callers = Vec::new();
    for hertz in [440, 880] {
        let options = Options { voice: tone(hertz), ..Options::default() };
        let mut caller = Caller::connect(&format!("ws://127.0.0.1:{port}/ws"), options).await.expect("a welcome");
        let languages = Languages::new(vec!["en".to_owned()]).expect("a language");
        caller.join(languages, Role::Either, false).await.expect("a place in the queue");
        callers.push(caller);
    }
    let (other, one) = (callers.pop().expect("two"), callers.pop().expect("two"));
    let (mut one, mut other) = tokio::try_join!(one.call(DEADLINE), other.call(DEADLINE)).expect("a partner");
    tokio::try_join!(one.connected(), other.connected()).expect("connected");
    [one, other]
}

async fn hear_each_other([one, other]: &mut [Call; 2]) {
    let counts = [one.heard().count + 50, other.heard().count + 50];
    let (heard, also) =
        tokio::try_join!(one.hear(counts[0], DEADLINE), other.hear(counts[1], DEADLINE)).expect("heard");
    assert!(strength(&heard.last, 880) > strength(&heard.last, 440), "the other's tone");
    assert!(strength(&also.last, 440) > strength(&also.last, 880), "the other's tone");
}

async fn healthcheck(port: u16) -> (bool, String) {
    let mut check = Command::new(env!("CARGO_BIN_EXE_sotto"));
    let done = check.args(["healthcheck", "--listen", &format!("127.0.0.1:{port}")]).output().await.expect("it runs");
    (done.status.success(), String::from_utf8(done.stderr).expect("a text"))
}

async fn start(options: &[String]) -> TestServer {
    TestServer::start_with(&options.iter().map(String::as_str).collect::<Vec<_>>()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_gets_a_certificate_and_renews_it_and_no_call_notices() {
    let place = Place::new(free());
    let cache = Folder::new();
    let port_http = free();
    let mut options = place.options();
    let kept = cache.0.join("kept");
    options.extend(["--acme-cache".to_owned(), kept.display().to_string()]);
    options.extend(["--listen-http".to_owned(), format!("127.0.0.1:{port_http}")]);
    // One value is enough for anybody.
    let none = options.iter().position(|option| option == "none").expect("an option");
    options.drain(none - 1..=none);
    let server = start(&options).await;
    assert_eq!(server.url(), format!("https://{NAME}:{}/", server.port));
    let port = server.port;

    // Nobody is there who could give one: everybody is told so who can be.
    let line = server.said("there is no certificate yet, which is tried again").await;
    assert!(
        line.contains("the authority cannot be reached: ConnectionRefused") && line.contains("seconds=5"),
        "{line}"
    );
    let answer = get(&server, "/healthz", "").await;
    assert_eq!((answer.status, answer.body.as_slice()), (503, &b"no certificate yet\n"[..]));
    assert_eq!(healthcheck(port).await, (false, "sotto: not well: no certificate yet\n".to_owned()));
    for at in [port, port_http] {
        let answer = get_from(at, "/", "").await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("60")));
    }
    let refusal = greet(port, tls::config(&["http/1.1"])).err();
    assert_eq!(refusal, Some(Error::AlertReceived(AlertDescription::AccessDenied)));

    let pebble = place.open("127.0.0.1", 0).await;
    server.said("the certificate is new").await;
    assert!(healthcheck(port).await.0);
    assert_eq!(get(&server, "/healthz", "").await.status, 200);

    // Browsers, and TURN clients that say neither a name nor a protocol.
    for (protocols, says_name) in [(&["h2", "http/1.1"][..], true), (&["stun.turn"], true), (&[], true), (&[], false)] {
        let (mut connection, mut socket) = greet(port, pebble.believer(protocols, says_name)).expect("a handshake");
        let chosen = connection.alpn_protocol().map(<[u8]>::to_vec);
        assert_eq!(chosen.as_deref(), protocols.last().map(|name| name.as_bytes()));
        let mut stream = Stream::new(&mut connection, &mut socket);
        if protocols.contains(&"http/1.1") {
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: talk.example.org\r\nConnection: close\r\n\r\n")
                .expect("written");
            let mut answer = [0; 15];
            stream.read_exact(&mut answer).expect("an answer");
            assert_eq!(&answer, b"HTTP/1.1 200 OK");
        } else {
            // A Binding request, and the success that answers it (RFC 8489).
            stream.write_all(b"\x00\x01\x00\x00\x21\x12\xa4\x42twelve bytes").expect("written");
            let mut answer = [0; 2];
            stream.read_exact(&mut answer).expect("an answer");
            assert_eq!(answer, [0x01, 0x01]);
        }
    }
    // Whoever comes as the authority does finds nothing where nothing is asked.
    assert!(greet(port, pebble.believer(&["acme-tls/1"], true)).is_err());
    http_is_sent_on(port, port_http).await;

    // A call, with the sockets of both through TLS, while the certificate is renewed.
    let (through, passing) = tunnel(port, pebble.believer(&["http/1.1"], true)).await;
    let mut both = call(through).await;
    hear_each_other(&mut both).await;
    let before = tls::shown(port);
    let renewed = server.said_times("the certificate is new", 1 + server.said_so_far("the certificate is new")).await;
    assert!(renewed.contains("INFO"), "{renewed}");
    assert!(tls::shown(port) != before, "the same certificate");
    greet(port, pebble.believer(&[], true)).expect("a handshake with the new one");
    hear_each_other(&mut both).await;
    let [one, other] = both;
    let idle = one.leave().await.expect("the socket is still there");
    idle.close().await;
    drop(other);
    passing.abort();

    // The authority is gone, and the server starts anew: with what it has kept, where nobody else can read it.
    pebble.close().await;
    let before = tls::shown(port);
    server.stop_at_once().await;
    assert_private(&kept);
    let server = start(&options).await;
    server.said("the certificate is the one that was kept").await;
    assert_eq!(tls::shown(port), before);
    // And goes on when it cannot be renewed.
    server.said("the certificate is not renewed yet, which is tried again").await;
    assert_eq!(tls::shown(port), before);
    assert!(healthcheck(port).await.0);
    server.stop().await;
}

fn assert_private(folder: &Path) {
    use std::os::unix::fs::MetadataExt;
    let mode = |path: &Path| std::fs::metadata(path).expect("there").mode() & 0o777;
    let files: Vec<_> = std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path()).collect();
    assert_eq!((mode(folder), files.len()), (0o700, 2), "{files:?}");
    assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
}

/// The second port has a way to the first and nothing else.
async fn http_is_sent_on(port: u16, port_http: u16) {
    let location = |answer: &Answer| answer.header("location").map(ToOwned::to_owned);
    let answer = get_from(port_http, "/rules?a=b", "").await;
    assert_eq!((answer.status, location(&answer)), (308, Some(format!("https://localhost:{port}/rules?a=b"))));
    let answer = get_from(port, "/rules", "").await;
    assert_eq!((answer.status, location(&answer)), (308, Some("https://localhost/rules".to_owned())));
    assert_eq!(get_from(port_http, "/healthz", "").await.status, 200);
    for beginning in [&b"\x16\x03\x01\x00\x05hello"[..], b"\x00\x01\x00\x00\x21\x12\xa4\x42twelve bytes"] {
        let mut socket = TcpStream::connect(("127.0.0.1", port_http)).expect("somebody listens");
        socket.set_read_timeout(Some(DEADLINE)).expect("an option");
        socket.write_all(beginning).expect("written");
        match socket.read(&mut [0; 1]) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("{beginning:?} gets {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_gives_none_is_asked_again_and_the_server_stays_up() {
    for (found_at, rejects, words) in [
        // Nobody answers there: the name leads elsewhere.
        ("127.0.0.2", 0, "on TCP port 443, and did not find this server ("),
        ("127.0.0.1", 100, "the authority refused (badNonce)"),
    ] {
        let place = Place::new(free());
        let pebble = place.open(found_at, rejects).await;
        let server = start(&place.options()).await;
        let line = server.said("there is no certificate yet, which is tried again").await;
        assert!(line.contains(words), "{line}");
        server.said_times("there is no certificate yet, which is tried again", 2).await;
        assert_eq!(get(&server, "/healthz", "").await.status, 503);
        server.stop().await;
        pebble.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_nobody_vouches_for_is_not_asked() {
    let place = Place::new(free());
    let pebble = place.open("127.0.0.1", 0).await;
    let stranger = Identity::signed("localhost");
    let mut options = place.options();
    let root = options.iter().position(|option| option == "--acme-root").expect("an option");
    options[root + 1] = stranger.authority.display().to_string();
    let server = start(&options).await;
    let line = server.said("there is no certificate yet, which is tried again").await;
    assert!(line.contains("the authority's own certificate is not believed"), "{line}");
    server.stop().await;
    pebble.close().await;
}
