//! What a fuzzer of another make (zzuf, from Debian) makes of good messages, sent to the real server by UDP and TCP
//! while a call goes on.

use std::{
    fs,
    io::Write,
    net::{Shutdown, TcpStream, UdpSocket},
    path::Path,
    process::{Command, Stdio},
    thread,
};

use super::{client::Received, house::House};
use crate::{browser::turn, server::DEADLINE, tls::Identity};

/// What browsers and programs begin with that are no TURN clients.
const OTHERS: [&[u8]; 4] = [
    b"GET / HTTP/1.1\r\nHost: here\r\nAccept-Encoding: gzip\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
      Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n\x81\x84\0\0\0\0{}{}",
    b"POST /healthz HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"\x16\x03\x01\0\x2f\x01\0\0\x2b\x03\x03abcdefghijklmnopqrstuvwxyz012345\0\0\x02\x13\x01\x01\0\0\0",
];

/// Good messages, and those that our own fuzzer has found to reach something.
fn good() -> Vec<Vec<u8>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus/datagrams");
    let mut messages: Vec<Vec<u8>> = OTHERS.iter().map(|bytes| bytes.to_vec()).collect();
    for entry in fs::read_dir(corpus).unwrap() {
        // Each input is several, with their lengths before them.
        let input = fs::read(entry.unwrap().path()).unwrap();
        let mut rest = &input[..];
        while let [length, tail @ ..] = rest {
            let (message, tail) = tail.split_at(tail.len().min(usize::from(*length)));
            rest = tail;
            messages.push(message.to_vec());
        }
    }
    messages.sort_unstable();
    messages.dedup();
    messages
}

/// Has zzuf change some bits in a thousand.
fn mutate(messages: &[Vec<u8>], seed: u32) -> Vec<Vec<u8>> {
    let ratio = ["0.001", "0.004", "0.02", "0.1"][seed as usize % 4];
    let mut zzuf = Command::new("zzuf")
        .args(["-s", &seed.to_string(), "-r", ratio])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("zzuf, which ./tests/run installs");
    let (mut input, all) = (zzuf.stdin.take().unwrap(), messages.concat());
    let writing = thread::spawn(move || input.write_all(&all));
    let output = zzuf.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success());
    let mut rest = &output.stdout[..];
    let mutated = messages.iter().map(|message| {
        let (changed, tail) = rest.split_at(message.len());
        rest = tail;
        changed.to_vec()
    });
    mutated.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_fuzzer_sends_does_no_harm() {
    const SEEDS: u32 = 60;
    let _turn = turn().await;
    let identity = Identity::new();
    let house = House::start(&identity.flags()).await;
    let messages = good();
    assert!(messages.len() > 100, "{}", messages.len());
    let call = house.pair(1, false);
    let by_tcp = house.pair(2, true);
    // Somebody who has an allocation, and somebody who has not.
    let (caller, partner) = house.pair(3, false);
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.connect(house.address).unwrap();
    let (mut sent, mut changed) = (0, 0);
    for seed in 0..SEEDS {
        let mutated = mutate(&messages, seed);
        changed += mutated.iter().zip(&messages).filter(|(after, before)| after != before).count();
        for (number, message) in mutated.iter().enumerate() {
            stranger.send(message).unwrap();
            caller.write(message).unwrap();
            // A connection for some of them, another part each time.
            if number % 8 == seed as usize % 8 {
                let mut socket = TcpStream::connect(house.address).unwrap();
                socket.set_write_timeout(Some(DEADLINE)).unwrap();
                let _ = socket.write_all(message);
                let _ = socket.shutdown(Shutdown::Write);
            }
            // So that no buffer of the system overflows: everything before this has been handled.
            if number % 32 == 0 {
                let (a, b) = if number % 64 == 0 { &call } else { &by_tcp };
                a.send(b.relayed, message);
                assert_eq!(b.receive(), Received::from_peer(a.relayed, message));
            }
            sent += 1;
        }
    }
    assert!(changed > sent / 4, "{changed} of {sent}");
    println!(
        "{sent} messages, {changed} of them changed, by UDP from a stranger and from a caller, every eighth by TCP"
    );
    drop(partner);
    house.server.stop().await;
}
