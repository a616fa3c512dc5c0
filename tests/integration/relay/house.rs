//! The real server in a process of its own, whose secret the test knows.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::SystemTime,
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use sotto::{
    caller::{Caller, Options},
    protocol::{CallId, Languages, Role, Side},
    relay::{Credentials, Secret},
};

use super::client::Client;
use crate::{
    server::{DEADLINE, TestServer},
    voice::tone,
};

const SECRET: &str = "a secret of the floods";

/// A server whose credentials can be made here, and its process.
pub struct House {
    pub server: TestServer,
    pub address: SocketAddr,
}

impl House {
    /// A new one, with further arguments.
    pub async fn start(arguments: &[&str]) -> Self {
        // Both ends of every connection are in two processes of this machine.
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
        let file = std::env::temp_dir().join(format!("sotto-secret-{}", uuid::Uuid::new_v4()));
        fs::write(&file, SECRET).unwrap();
        let own = ["--allow-native", "--secret-file", file.to_str().unwrap()];
        let server = TestServer::start_with(&[&own, arguments].concat()).await;
        fs::remove_file(&file).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port));
        Self { server, address }
    }

    fn mint(&self, call: u128, side: Side) -> Credentials {
        let unix = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        Secret::new(SECRET.as_bytes()).mint(CallId::from_u128(call), side, unix)
    }

    /// Both sides of a call, by UDP or TCP.
    pub fn pair(&self, call: u128, by_tcp: bool) -> (Client, Client) {
        let client = |side| {
            let credentials = self.mint(call, side);
            let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let mut client = if by_tcp {
                Client::tcp(self.address, credentials)
            } else {
                Client::new(local, self.address, credentials)
            };
            assert_eq!(client.allocate(), 0);
            client
        };
        let (a, b) = (client(Side::A), client(Side::B));
        assert_eq!(a.permit(b.relayed), 0);
        assert_eq!(b.permit(a.relayed), 0);
        (a, b)
    }

    /// What the server has of the machine's memory, in bytes.
    pub fn memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.server.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").trim().parse::<usize>().unwrap() * 1_024
    }

    /// A visitor loads the page.
    pub fn page(&self) {
        let mut socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.write_all(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").unwrap();
        let mut page = String::new();
        socket.read_to_string(&mut page).unwrap();
        assert!(page.starts_with("HTTP/1.1 200") && page.ends_with("</html>\n"), "{page}");
    }

    /// Two visitors meet by WebSocket and hear each other.
    pub async fn meeting(&self) {
        let join = async || {
            let options = Options { voice: tone(880), ..Options::default() };
            let mut caller = Caller::connect(&self.server.ws(), options).await.expect("a welcome");
            let languages = Languages::new(vec!["en".to_owned()]).expect("a language");
            caller.join(languages, Role::Either, true).await.expect("a place in the queue");
            caller
        };
        let (first, second) = (join().await, join().await);
        let (first, second) = tokio::join!(first.call(DEADLINE), second.call(DEADLINE));
        let (mut first, mut second) = (first.expect("a partner"), second.expect("a partner"));
        let (one, other) = tokio::join!(first.connected(), second.connected());
        one.expect("connected");
        other.expect("connected");
        let (one, other) = tokio::join!(first.hear(25, DEADLINE), second.hear(25, DEADLINE));
        one.expect("a voice");
        other.expect("a voice");
        first.leave().await.expect("idle").close().await;
        drop(second);
    }
}
