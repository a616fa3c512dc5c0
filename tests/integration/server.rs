//! The real binary as a child process: its address, all its output, and its end.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::wire::addresses_in;

/// The one line that names an address: the operator's own.
const LISTENING: &str = "listening on http";

/// How long anything that should happen may take. Failing is slow, passing is not.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A running server, killed when dropped. Its output is searched for addresses however it ends.
pub struct TestServer {
    child: Child,
    /// Its address as a browser writes it, with `http` or `https` before it.
    origin: String,
    /// The port it got.
    pub port: u16,
    /// Everything it has said so far.
    output: watch::Sender<String>,
    readers: Vec<JoinHandle<()>>,
}

impl TestServer {
    /// Starts it on a free port of 127.0.0.1, logging as much as it can, and lets native callers in.
    pub async fn start() -> Self {
        Self::start_with(&["--allow-native"]).await
    }

    /// Starts it with these arguments.
    pub async fn start_with(arguments: &[&str]) -> Self {
        Self::start_as(Command::new(env!("CARGO_BIN_EXE_sotto")).args(arguments).env("SOTTO_LISTEN", "127.0.0.1:0"))
            .await
    }

    /// Starts it by a command that ends in it.
    pub async fn start_as(command: &mut Command) -> Self {
        let mut child = command
            .env("SOTTO_LOG", "trace")
            // What is not about calls that outlive it does not wait for them.
            .env("SOTTO_DRAIN", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        let output = watch::Sender::new(String::new());
        let readers = vec![
            tokio::spawn(read(child.stdout.take().expect("a pipe"), output.clone())),
            tokio::spawn(read(child.stderr.take().expect("a pipe"), output.clone())),
        ];
        let mut server = Self { child, origin: String::new(), port: 0, output, readers };
        let line = server.said(LISTENING).await;
        server.origin = line.trim_start_matches("listening on ").to_owned();
        server.port = line.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port in the line");
        server
    }

    /// Waits until it has said a line with these words, and returns that line.
    pub async fn said(&self, words: &str) -> String {
        self.said_times(words, 1).await
    }

    /// Waits until it has said so many lines with these words, and returns the first.
    pub async fn said_times(&self, words: &str, times: usize) -> String {
        let mut output = self.output.subscribe();
        let text = timeout(DEADLINE, output.wait_for(|text| text.matches(words).count() >= times)).await;
        let text = text.unwrap_or_else(|_| panic!("the server did not say {words}")).expect("the readers live");
        text.lines().find(|line| line.contains(words)).unwrap_or_default().to_owned()
    }

    /// How often it has said these words until now.
    pub fn said_so_far(&self, words: &str) -> usize {
        self.output.borrow().matches(words).count()
    }

    /// Where a browser finds the page.
    pub fn url(&self) -> String {
        format!("{}/", self.origin)
    }

    /// Where a native caller finds the socket.
    pub fn ws(&self) -> String {
        format!("ws://127.0.0.1:{}/ws", self.port)
    }

    /// The process, for `/proc`.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("a running process")
    }

    /// Ends it without a warning, as the system does when memory is short.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it ends");
    }

    /// Ends it as an operator does, and looks through everything it has said.
    pub async fn stop(self) -> String {
        self.ask_to_stop().await;
        self.ended().await
    }

    /// Ends it whoever is still in a call.
    pub async fn stop_at_once(self) -> String {
        self.ask_to_stop().await;
        self.stop().await
    }

    /// Asks it to end.
    pub async fn ask_to_stop(&self) {
        let kill = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().await;
        assert!(kill.is_ok_and(|status| status.success()), "kill runs");
    }

    /// Waits until it has ended well, and looks through everything it has said.
    pub async fn ended(mut self) -> String {
        let status = timeout(DEADLINE, self.child.wait()).await.expect("it ends").expect("a status");
        assert!(status.success(), "a clean end, not {status}");
        for reader in self.readers.drain(..) {
            timeout(DEADLINE, reader).await.expect("the pipes end").expect("a reader");
        }
        self.check_output();
        self.output.borrow().clone()
    }

    /// Fails when it has named an address, or panicked.
    fn check_output(&self) {
        let text = self.output.borrow();
        let mut lines = text.lines().filter(|line| !line.starts_with(LISTENING));
        if let Some(line) = lines.find(|line| !addresses_in(line).is_empty() || line.contains("panicked")) {
            panic!("the server said: {line}");
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.check_output();
        }
    }
}

async fn read(from: impl AsyncRead + Unpin, output: watch::Sender<String>) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        output.send_modify(|text| {
            text.push_str(&line);
            text.push('\n');
        });
    }
}
