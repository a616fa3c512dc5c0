//! The servers that are measured, each in a process of its own: Sotto's own binary, two that a developer would otherwise
//! pick, and the floor.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{env, fmt, fs, thread};

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::oneshot;
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::process::{self, Core};

/// The versions that the others are installed in.
const MATCHBOX: &str = "0.15.0";
const PEERJS: &str = "1.0.2";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// This server: `target/release/sotto`
    Sotto,
    /// crates.io's matchbox_server, whose rooms of two pair whoever comes
    Matchbox,
    /// npm's `peer`, the PeerJS server, which passes offers on and leaves it to the pages whom to call
    Peerjs,
    /// tungstenite and a map of rooms: the floor
    Floor,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sotto => "Sotto",
            Self::Matchbox => "matchbox_server",
            Self::Peerjs => "PeerJS server",
            Self::Floor => "bare tungstenite",
        })
    }
}

/// Where the others are installed.
fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers")
}

/// Installs the others, once.
pub fn install(kind: Kind) -> anyhow::Result<()> {
    let peers = peers();
    fs::create_dir_all(&peers)?;
    let mut command = match kind {
        Kind::Matchbox if !peers.join("bin/matchbox_server").exists() => {
            let mut cargo = Command::new("cargo");
            cargo.args(["install", "--quiet", "--locked", "matchbox_server", "--version", MATCHBOX, "--root"]);
            cargo.arg(&peers).arg("--target-dir").arg(peers.join("build"));
            cargo
        }
        Kind::Peerjs if !peers.join("node_modules/peer").exists() => {
            let mut npm = Command::new("npm");
            npm.args(["install", "--silent", "--ignore-scripts", "--no-save", "--no-audit", "--no-fund", "--prefix"]);
            npm.arg(&peers).arg(format!("peer@{PEERJS}"));
            npm
        }
        _ => return Ok(()),
    };
    ensure!(command.status()?.success(), "{kind} cannot be installed");
    Ok(())
}

/// A server that runs; it ends when this is dropped.
pub struct Running {
    child: Child,
    pub address: SocketAddr,
}

impl Running {
    /// Starts one on the servers' core, with nothing to say.
    pub fn start(kind: Kind) -> anyhow::Result<Self> {
        process::stay_on(Core::Server)?;
        let started = Self::start_here(kind);
        process::stay_on(Core::Callers)?;
        started
    }

    /// Starts one on any core.
    pub fn start_here(kind: Kind) -> anyhow::Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut command = match kind {
            Kind::Sotto => {
                let mut sotto = Command::new(env!("CARGO_BIN_EXE_sotto"));
                sotto.args(["--allow-native", "--log", "error", "--drain", "0", "--listen", &address.to_string()]);
                sotto
            }
            Kind::Matchbox => {
                let mut matchbox = Command::new(peers().join("bin/matchbox_server"));
                matchbox.arg(address.to_string()).env("RUST_LOG", "off");
                matchbox
            }
            Kind::Peerjs => {
                let mut node = Command::new("node");
                node.arg(peers().join("node_modules/peer/dist/bin/peerjs.js")).args(["--port", &port.to_string()]);
                node.args(["--host", "127.0.0.1", "--concurrent_limit", "100000", "--alive_timeout", "600000"]);
                node
            }
            Kind::Floor => {
                let mut floor = Command::new(env::current_exe()?);
                floor.args(["--floor", &address.to_string()]);
                floor
            }
        };
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let running = Self { child: child.with_context(|| format!("{kind} does not start"))?, address };
        for _ in 0..200 {
            if TcpStream::connect(address).is_ok() {
                return Ok(running);
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!("{kind} does not listen");
    }

    pub fn cpu(&self) -> anyhow::Result<Duration> {
        process::cpu(self.child.id())
    }

    /// In kilobytes.
    pub fn memory(&self) -> anyhow::Result<u64> {
        process::memory(self.child.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process of this program that loads a server, and what it says, line by line.
pub struct Load {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Load {
    /// Starts one with these arguments.
    pub fn start(arguments: &[&str], nice: u8) -> anyhow::Result<Self> {
        let mut command = Command::new("nice");
        command.args(["-n", &nice.to_string()]).arg(env::current_exe()?).args(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let lines = BufReader::new(child.stdout.take().context("a pipe")?).lines();
        Ok(Self { child, lines })
    }

    /// The next line.
    pub fn line(&mut self) -> anyhow::Result<String> {
        Ok(self.lines.next().context("the load has ended")??)
    }

    /// Asks it to end, and returns the last thing it says.
    pub fn stop(mut self) -> anyhow::Result<String> {
        drop(self.child.stdin.take());
        let line = self.line();
        let _ = self.child.wait();
        line
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The floor: whoever comes second to a path is told, and the first as well.
pub async fn floor(address: SocketAddr) -> anyhow::Result<()> {
    let rooms: Arc<Mutex<HashMap<String, oneshot::Sender<()>>>> = Arc::default();
    let listener = tokio::net::TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let rooms = Arc::clone(&rooms);
        tokio::spawn(async move {
            let mut path = String::new();
            #[allow(clippy::result_large_err)]
            let read = |request: &Request, response: Response| {
                path = request.uri().path().to_owned();
                Ok(response)
            };
            let config = WebSocketConfig::default().read_buffer_size(4 * 1024).write_buffer_size(0);
            let Ok(mut socket) = accept_hdr_async_with_config(stream, read, Some(config)).await else { return };
            let (tell, mut told) = oneshot::channel();
            let first = {
                let mut rooms = rooms.lock().unwrap_or_else(PoisonError::into_inner);
                match rooms.remove(&path) {
                    Some(first) => Some(first),
                    None => {
                        rooms.insert(path.clone(), tell);
                        None
                    }
                }
            };
            let mut waits = first.is_none();
            if let Some(first) = first {
                let _ = first.send(());
                let _ = socket.send(Message::text("matched")).await;
            }
            loop {
                tokio::select! {
                    _ = &mut told, if waits => {
                        waits = false;
                        let _ = socket.send(Message::text("matched")).await;
                    }
                    heard = socket.next() => if !matches!(heard, Some(Ok(_))) { break },
                }
            }
            if waits {
                rooms.lock().unwrap_or_else(PoisonError::into_inner).remove(&path);
            }
        });
    }
}
