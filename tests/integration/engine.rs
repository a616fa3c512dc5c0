//! A Redis of our own, from Debian: started on a port of its own, stopped, emptied and made slow.

use std::process::Stdio;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::browser::Scratch;
use crate::server::DEADLINE;
use crate::tls::Identity;

/// Keeps nothing on disk. Ends when dropped.
pub struct Engine {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    child: Option<Child>,
    folder: Scratch,
    /// Where it speaks TLS, and asks for [`PASSWORD`].
    identity: Option<Identity>,
}

/// What an engine with TLS asks for.
const PASSWORD: &str = "open-sesame";

impl Engine {
    /// Starts one on a free port.
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// Starts one that speaks TLS alone, with this certificate for localhost.
    pub async fn start_tls(identity: Identity) -> Self {
        Self::start_with(Some(identity)).await
    }

    async fn start_with(identity: Option<Identity>) -> Self {
        let port = free_port().await;
        let mut engine = Self { port, child: None, folder: Scratch::new(), identity };
        engine.begin().await;
        engine
    }

    /// Starts it again where it was, with nothing in it.
    pub async fn begin(&mut self) {
        let port = self.port.to_string();
        let mut command = Command::new("redis-server");
        match &self.identity {
            None => command.args(["--port", &port]),
            Some(identity) => command
                .args(["--port", "0", "--tls-port", &port, "--requirepass", PASSWORD, "--tls-auth-clients", "no"])
                .arg("--tls-cert-file")
                .arg(&identity.certificate)
                .arg("--tls-key-file")
                .arg(&identity.key)
                .arg("--tls-ca-cert-file")
                .arg(&identity.authority),
        };
        let mut child = command
            // What lies in it is to be read as it is.
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--rdbcompression", "no", "--dir"])
            .arg(&self.folder.0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("redis-server, which tests/run installs");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let ready = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if line.contains("Ready to accept connections") {
                    return true;
                }
            }
            false
        };
        assert!(timeout(DEADLINE, ready).await.expect("it starts in time"), "it starts");
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        self.child = Some(child);
    }

    /// Ends it without a warning.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.expect("it ends");
        }
    }

    /// For `--redis`.
    pub fn url(&self) -> String {
        match self.identity {
            None => format!("redis://127.0.0.1:{}", self.port),
            Some(_) => format!("rediss://:{PASSWORD}@localhost:{}", self.port),
        }
    }

    /// Asks it for something.
    pub async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = Cmd::new();
        command.arg(words);
        command.query_async(&mut self.connect().await).await.expect("an answer")
    }

    /// All that lies in it once these words are among it: the name of each key and its text.
    pub async fn everything_with(&self, words: &[&str]) -> String {
        let all = async {
            loop {
                let all = self.everything().await;
                if words.iter().all(|word| all.contains(word)) {
                    return all;
                }
            }
        };
        timeout(DEADLINE, all).await.unwrap_or_else(|_| panic!("not all of {words:?} in time"))
    }

    /// All that lies in it: the name of each key and its text.
    async fn everything(&self) -> String {
        let keys: Vec<String> = self.ask(&["KEYS", "*"]).await;
        let mut all = String::new();
        for key in keys {
            let dump: Vec<u8> = self.ask(&["DUMP", &key]).await;
            all = format!("{all}{key} {}\n", String::from_utf8_lossy(&dump));
        }
        all
    }

    async fn connect(&self) -> MultiplexedConnection {
        let client = Client::open(self.url()).expect("a URL");
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(DEADLINE));
        client.get_multiplexed_async_connection_with_config(&config).await.expect("a connection")
    }
}

/// A port that nobody has, neither by TCP nor by UDP.
pub async fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = tcp.local_addr().expect("an address");
        if tokio::net::UdpSocket::bind(address).await.is_ok() {
            return address.port();
        }
    }
}
