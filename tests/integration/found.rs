//! What the fuzzer has found about frames and headers, replayed: every input in `tests/fuzz/corpus` reached something that
//! no other did.

use std::{fs, path::Path};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http::get;
use crate::server::{DEADLINE, TestServer};

#[path = "../fuzz/web.rs"]
mod rules;

fn corpus(target: &str, least: usize) -> Vec<Vec<u8>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let inputs: Vec<_> = fs::read_dir(corpus).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
    assert!(inputs.len() >= least, "{}", inputs.len());
    inputs
}

#[test]
fn visits_of_every_kind() {
    corpus("visits", 200).iter().for_each(|input| rules::visits(input));
}

#[test]
fn heads_of_every_kind() {
    corpus("heads", 40).iter().for_each(|input| rules::heads(input));
}

/// The same to the real server, which believes us to be a proxy, as heads of requests, and from the first byte on.
#[tokio::test]
async fn a_server_that_is_sent_them_stays_well() {
    let server = TestServer::start_with(&["--allow-native", "--trusted-proxies", "127.0.0.1"]).await;
    for input in corpus("heads", 40).into_iter().chain(corpus("visits", 200)) {
        let lines = || input.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let names = ["Forwarded: ", "X-Forwarded-For: ", "X-Forwarded-Proto: "];
        let headers = lines().flat_map(|line| {
            [names[usize::from(line[0]) % 3].as_bytes(), &line[1..], b"\r\n"].into_iter().flatten().copied()
        });
        let head = b"GET /settings.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
        let whole: Vec<u8> = head.iter().copied().chain(headers).chain(*b"\r\n").collect();
        for bytes in [&whole, &input] {
            let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await.expect("a connection");
            // It may be closed before everything is sent.
            let _ = stream.write_all(bytes).await;
            // Whoever asks and goes is not answered; whoever begins something else is not waited for.
            if bytes != &whole {
                let _ = stream.shutdown().await;
            }
            let mut answer = Vec::new();
            let _ = timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("an answer, or a close");
            let text = String::from_utf8_lossy(&answer);
            let known = ["HTTP/1.1 200", "HTTP/1.1 400", "HTTP/1.1 404", "HTTP/1.1 405", "HTTP/1.1 431"];
            assert!(text.is_empty() || known.iter().any(|known| text.starts_with(known)), "{text}");
            assert!(bytes != &whole || !text.is_empty(), "no answer to a request");
        }
    }
    assert_eq!(get(&server, "/healthz", "").await.status, 200);
    server.stop().await;
}
