//! A plain HTTP client: what a server's answer is, byte for byte.

use std::process::{Output, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use crate::server::{DEADLINE, TestServer};

/// An answer, taken out of its chunks (RFC 9112 §7.1) but still compressed if it came so.
pub struct Answer {
    /// The status code.
    pub status: u16,
    head: String,
    /// The content.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// What a browser would make of it.
    pub async fn content(&self) -> Vec<u8> {
        match self.header("content-encoding") {
            None => self.body.clone(),
            Some("gzip") => {
                let done = piped(Command::new("gzip").arg("-dc"), &self.body).await;
                assert!(done.status.success(), "gzip reads it");
                done.stdout
            }
            Some("br") => {
                let read = "process.stdin.pipe(require('zlib').createBrotliDecompress()).pipe(process.stdout)";
                let done = piped(Command::new("node").args(["-e", read]), &self.body).await;
                assert!(done.status.success(), "Brotli reads it");
                done.stdout
            }
            Some(other) => panic!("nobody asked for {other}"),
        }
    }
}

/// Asks for a path with further header lines.
pub async fn get(server: &TestServer, path: &str, headers: &str) -> Answer {
    get_from(server.port, path, headers).await
}

/// Asks whoever is at this port of this machine.
pub async fn get_from(port: u16, path: &str, headers: &str) -> Answer {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.expect("the server");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    socket.write_all(request.as_bytes()).await.expect("a request");
    let mut bytes = Vec::new();
    timeout(DEADLINE, socket.read_to_end(&mut bytes)).await.expect("an answer in time").expect("an answer");
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8(bytes[..end].to_vec()).expect("a text");
    let status = head.get(9..12).and_then(|code| code.parse().ok()).expect("a status");
    let mut answer = Answer { status, head, body: bytes[end + 4..].to_vec() };
    if answer.header("transfer-encoding").is_some() {
        answer.body = unchunked(&answer.body);
    }
    answer
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").expect("a chunk's size");
        let size = std::str::from_utf8(&rest[..end]).ok().and_then(|hex| usize::from_str_radix(hex, 16).ok());
        let size = size.expect("a chunk's size");
        if size == 0 {
            return whole;
        }
        whole.extend(&rest[end + 2..][..size]);
        rest = &rest[end + 2 + size + 2..];
    }
}

/// Runs a program to its end with this input.
pub async fn piped(command: &mut Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("the program");
    let mut stdin = child.stdin.take().expect("a pipe");
    let write = async {
        stdin.write_all(input).await.expect("it reads");
        drop(stdin);
    };
    let (done, ()) = tokio::join!(child.wait_with_output(), write);
    done.expect("it ends")
}
