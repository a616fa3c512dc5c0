//! Real reverse proxies in front, with what `sotto print` says, but for names, ports and certificates.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Stdio;

use tokio::net::UdpSocket;
use tokio::process::{Child, Command};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use tokio_rustls::rustls::{ClientConnection, Stream};

use crate::http::get_from;
use crate::server::{DEADLINE, TestServer};
use crate::sheets::printed;
use crate::shim::{pass_on, talk, tunnel};
use crate::tls::{self, Identity};

/// More requests than a network gets at once (4,096, and 100 a second), by so much that a slow machine's are still too many.
const TOO_MANY: usize = 12_000;

/// Requests on their way at once.
const BATCH: usize = 100;

fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

#[derive(Debug, Clone, Copy)]
enum Program {
    Nginx,
    Haproxy,
    Caddy,
}

/// A proxy in front of a server; it ends when this is dropped.
struct Proxy {
    child: Child,
    folder: PathBuf,
    _identity: Identity,
    https: u16,
    http: u16,
}

/// Puts what this machine has in the place of what is printed, all of which has to be there.
fn replaced(mut text: String, pairs: &[(&str, String)]) -> String {
    for (from, to) in pairs {
        assert!(text.contains(from), "{from} is not in it");
        text = text.replace(from, to);
    }
    text
}

impl Proxy {
    async fn start(program: Program, server: u16) -> Self {
        let (https, http) = (free(), free());
        let identity = Identity::signed("localhost");
        let folder = std::env::temp_dir().join(format!("sotto-proxy-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let (certificate, key) = (identity.certificate.display(), identity.key.display());
        let sotto = ("127.0.0.1:8080", format!("127.0.0.1:{server}"));
        let put = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).expect("a file");
            path
        };
        let mut command;
        match program {
            Program::Nginx => {
                let site = replaced(
                    printed("nginx"),
                    &[
                        sotto,
                        ("    listen [::]:80;\n", String::new()),
                        ("    listen [::]:443 ssl;\n", String::new()),
                        ("listen 80;", format!("listen 127.0.0.1:{http};")),
                        ("listen 443 ssl;", format!("listen 127.0.0.1:{https} ssl;")),
                        ("/etc/letsencrypt/live/talk.example.org/fullchain.pem", certificate.to_string()),
                        ("/etc/letsencrypt/live/talk.example.org/privkey.pem", key.to_string()),
                        ("server_name talk.example.org;", "server_name localhost;".to_owned()),
                    ],
                );
                let site = put("sotto.conf", &site);
                let whole = format!(
                    "daemon off;\npid {0}/pid;\nevents {{}}\nhttp {{\nclient_body_temp_path {0}/body;\nproxy_temp_path \
                     {0}/proxy;\nfastcgi_temp_path {0}/f;\nuwsgi_temp_path {0}/u;\nscgi_temp_path {0}/s;\ninclude {1};\n}}\n",
                    folder.display(),
                    site.display()
                );
                let whole = put("nginx.conf", &whole);
                let check = Command::new("nginx").args(["-t", "-q", "-e", "stderr", "-c"]).arg(&whole).output().await;
                let check = check.expect("nginx is installed");
                assert!(
                    check.status.success() && check.stderr.is_empty(),
                    "{}",
                    String::from_utf8_lossy(&check.stderr)
                );
                command = Command::new("nginx");
                command.args(["-e", "stderr", "-c"]).arg(whole);
            }
            Program::Haproxy => {
                let both =
                    [&identity.certificate, &identity.key].map(|file| std::fs::read_to_string(file).expect("a file"));
                let both = put("both.pem", &both.concat());
                let config = replaced(
                    printed("haproxy"),
                    &[
                        sotto,
                        ("bind :::80 v4v6", format!("bind 127.0.0.1:{http}")),
                        ("bind :::443 v4v6", format!("bind 127.0.0.1:{https}")),
                        ("/etc/haproxy/talk.example.org.pem", both.display().to_string()),
                    ],
                );
                let config = put("haproxy.cfg", &config);
                let check = Command::new("haproxy").args(["-c", "-dW", "-f"]).arg(&config).output().await;
                let check = check.expect("HAProxy is installed");
                assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
                command = Command::new("haproxy");
                command.args(["-db", "-f"]).arg(config);
            }
            Program::Caddy => {
                // The native callers say no name to TLS and the address to HTTP, where browsers say the name.
                let config = replaced(
                    printed("caddy"),
                    &[
                        sotto,
                        (
                            "\n{\n",
                            format!(
                                "\n{{\n\tadmin off\n\tdefault_sni localhost\n\tdefault_bind 127.0.0.1\n\thttp_port {http}\n\thttps_port {https}\n"
                            ),
                        ),
                        ("\ntalk.example.org {\n", format!("\nlocalhost, 127.0.0.1 {{\n\ttls {certificate} {key}\n")),
                    ],
                );
                let config = put("Caddyfile", &config);
                let caddy = |word: &str| {
                    let mut command = Command::new("caddy");
                    command.args([word, "--adapter", "caddyfile", "--config"]).arg(&config);
                    command.env("HOME", &folder).env("XDG_DATA_HOME", &folder).env("XDG_CONFIG_HOME", &folder);
                    command
                };
                let check = caddy("validate").output().await.expect("Caddy is installed");
                assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
                command = caddy("run");
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().expect("it starts");
        let proxy = Self { child, folder, _identity: identity, https, http };
        let end = Instant::now() + DEADLINE;
        while TcpStream::connect(("127.0.0.1", https)).is_err() || TcpStream::connect(("127.0.0.1", http)).is_err() {
            assert!(Instant::now() < end, "{program:?} does not listen");
            sleep(std::time::Duration::from_millis(20)).await;
        }
        proxy
    }

    /// Ends it as its service would, which nginx's workers need.
    async fn stop(mut self) {
        let pid = self.child.id().expect("it runs").to_string();
        let kill = Command::new("kill").args(["-TERM", &pid]).status().await;
        assert!(kill.is_ok_and(|status| status.success()), "kill runs");
        self.child.wait().await.expect("it ends");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A visitor's connection to the proxy, from an address of this machine.
struct Visitor {
    connection: ClientConnection,
    socket: TcpStream,
}

impl Visitor {
    fn from(address: Ipv4Addr, port: u16) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from((address, 0)).into()).expect("an address of this machine");
        socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()).expect("somebody listens");
        socket.set_read_timeout(Some(DEADLINE)).expect("an option");
        let mut config = (*tls::config(&["http/1.1"])).clone();
        config.enable_sni = true;
        let connection = ClientConnection::new(config.into(), tls::name()).expect("a connection");
        Self { connection, socket: socket.into() }
    }

    /// Sends all that, and returns what comes back until there are so many answers, or an end.
    fn ask(&mut self, requests: &str, count: usize) -> String {
        let mut stream = Stream::new(&mut self.connection, &mut self.socket);
        if stream.write_all(requests.as_bytes()).is_err() {
            return String::new();
        }
        let mut said = Vec::new();
        let mut piece = [0; 16 * 1_024];
        while said.windows(9).filter(|nine| nine == b"HTTP/1.1 ").count() < count {
            match stream.read(&mut piece) {
                Ok(0) => break,
                Ok(length) => said.extend(&piece[..length]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock) => panic!("no answer in time"),
                Err(_) => break,
            }
        }
        String::from_utf8_lossy(&said).into_owned()
    }
}

/// Asks once, from there, and reads to the end.
fn ask_from(address: Ipv4Addr, port: u16, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    Visitor::from(address, port).ask(&request, usize::MAX)
}

/// The status of what a browser gets that opens the socket from a page of this origin.
fn socket_of_page(port: u16, origin: &str) -> String {
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: \
         {origin}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let said = Visitor::from(Ipv4Addr::LOCALHOST, port).ask(&request, 1);
    said.get(9..12).unwrap_or_default().to_owned()
}

/// Asks until it is too often, and says somebody else's address each time.
fn ask_too_often(address: Ipv4Addr, port: u16) {
    let mut asked = 0;
    while asked < TOO_MANY {
        let mut visitor = Visitor::from(address, port);
        loop {
            let requests: String = (0..BATCH)
                .map(|index| {
                    let other = Ipv4Addr::from(0x0A00_0000 + u32::try_from(asked + index).expect("few"));
                    format!(
                        "HEAD /settings.json HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {other}\r\nForwarded: \
                         for={other}\r\n\r\n"
                    )
                })
                .collect();
            let said = visitor.ask(&requests, BATCH);
            let answers = said.matches("HTTP/1.1 ").count();
            asked += answers;
            if said.contains("HTTP/1.1 429 ") {
                return;
            }
            assert!(!said.contains("HTTP/1.1 5"), "{said}");
            if answers < BATCH || asked >= TOO_MANY {
                break;
            }
        }
    }
    panic!("{TOO_MANY} requests are not too many");
}

/// All that has to get through a proxy.
async fn stands_in_front(program: Program) {
    for by_tcp in [false, true] {
        let port = free();
        let listen = format!("127.0.0.1:{port}");
        // The native caller's TURN client speaks UDP alone: by TCP it goes through somebody who passes it on.
        let shim = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let relay_host = if by_tcp { shim.local_addr().expect("an address").to_string() } else { listen.clone() };
        let passing = tokio::spawn(pass_on(shim, port, false));
        // As the head of what is printed has it.
        let server = TestServer::start_with(&[
            "--allow-native",
            "--listen",
            &listen,
            "--trusted-proxies",
            "127.0.0.1,::1",
            "--relay-host",
            &relay_host,
        ])
        .await;
        let proxy = Proxy::start(program, port).await;

        // The page, and the way to it.
        let https = proxy.https;
        let page = spawn_blocking(move || ask_from(Ipv4Addr::LOCALHOST, https, "/")).await.expect("no panic");
        assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("<title>"), "{page}");
        assert!(page.to_ascii_lowercase().contains("strict-transport-security: max-age="), "{program:?}: {page}");
        let answer = get_from(proxy.http, "/rules", "").await;
        assert_eq!(answer.status, 308, "{program:?}");
        assert!(
            answer.header("location").is_some_and(|to| to.starts_with("https://localhost") && to.ends_with("/rules"))
        );

        // The socket of our own page, as it was loaded, and of no other.
        for (origin, status) in [
            (format!("https://localhost:{https}"), "101"),
            (format!("http://localhost:{https}"), "403"),
            ("https://evil.example".to_owned(), "403"),
        ] {
            let got = spawn_blocking(move || (socket_of_page(https, &origin), origin)).await.expect("no panic");
            assert_eq!(got.0, status, "{program:?}, {}", got.1);
        }

        // A conversation: the WebSockets through the proxy, the voices past it.
        let door = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("ws://{}/ws", door.local_addr().expect("an address"));
        let tunnelling = tokio::spawn(tunnel(door, https));
        talk(&url).await;
        tunnelling.abort();
        passing.abort();

        if !by_tcp {
            // Each visitor's own limits, whoever they say that they are.
            let [one, other] = [2, 3].map(|last| Ipv4Addr::new(127, 0, 0, last));
            spawn_blocking(move || ask_too_often(one, https)).await.expect("it is too often");
            let answer = spawn_blocking(move || ask_from(other, https, "/settings.json")).await.expect("no panic");
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
        proxy.stop().await;
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_stands_in_front() {
    stands_in_front(Program::Nginx).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn haproxy_stands_in_front() {
    stands_in_front(Program::Haproxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn caddy_stands_in_front() {
    stands_in_front(Program::Caddy).await;
}
