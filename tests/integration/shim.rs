//! Lets a native caller, whose TURN client speaks UDP alone, come by TCP and by TLS.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional, split};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

use sotto::caller::{Call, Caller, Options};
use sotto::protocol::{Languages, Role};

use crate::server::{DEADLINE, TestServer};
use crate::tls::{self, Identity};
use crate::voice::{strength, tone};

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

async fn connect(port: u16, encrypted: bool) -> Box<dyn Stream> {
    let socket = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
    socket.set_nodelay(true).expect("an option");
    if !encrypted {
        return Box::new(socket);
    }
    Box::new(TlsConnector::from(tls::config(&[])).connect(tls::name(), socket).await.expect("a handshake"))
}

/// Has what comes to this socket sent on by TCP or TLS, with a connection for every client.
pub async fn pass_on(socket: UdpSocket, port: u16, encrypted: bool) {
    let socket = Arc::new(socket);
    let mut clients: HashMap<SocketAddr, mpsc::Sender<Vec<u8>>> = HashMap::new();
    let mut datagram = [0; 2_048];
    while let Ok((length, client)) = socket.recv_from(&mut datagram).await {
        let mut message = datagram[..length].to_vec();
        message.resize(length.next_multiple_of(4), 0);
        let to = clients.entry(client).or_insert_with(|| {
            let (to, messages) = mpsc::channel(64);
            tokio::spawn(serve(socket.clone(), client, port, encrypted, messages));
            to
        });
        let _ = to.try_send(message);
    }
}

async fn serve(
    socket: Arc<UdpSocket>,
    client: SocketAddr,
    port: u16,
    encrypted: bool,
    mut messages: mpsc::Receiver<Vec<u8>>,
) {
    let (mut from, mut to) = split(connect(port, encrypted).await);
    let back = tokio::spawn(async move {
        loop {
            let mut message = vec![0; 4];
            from.read_exact(&mut message).await?;
            let length = usize::from(u16::from_be_bytes([message[2], message[3]]));
            let whole = if message[0] & 0xC0 == 0x40 { 4 + length } else { 20 + length };
            message.resize(whole.next_multiple_of(4), 0);
            from.read_exact(&mut message[4..]).await?;
            socket.send_to(&message[..whole], client).await?;
        }
        #[allow(unreachable_code)]
        Ok::<_, std::io::Error>(())
    });
    while let Some(message) = messages.recv().await {
        if to.write_all(&message).await.is_err() || to.flush().await.is_err() {
            break;
        }
    }
    back.abort();
}

/// Lets somebody who speaks no TLS through to a server that does.
pub async fn tunnel(listener: TcpListener, port: u16) {
    while let Ok((mut socket, _)) = listener.accept().await {
        tokio::spawn(async move { copy_bidirectional(&mut socket, &mut connect(port, true).await).await });
    }
}

async fn caller(url: &str, hertz: u16) -> Caller {
    let mut caller =
        Caller::connect(url, Options { voice: tone(hertz), ..Options::default() }).await.expect("a welcome");
    let languages = Languages::new(vec!["en".to_owned()]).expect("a language");
    caller.join(languages, Role::Either, false).await.expect("a place in the queue");
    caller
}

/// Two native callers who hear each other.
pub async fn talk(url: &str) {
    let (first, second) = (caller(url, 440).await, caller(url, 880).await);
    let (mut first, mut second) = tokio::try_join!(first.call(DEADLINE), second.call(DEADLINE)).expect("a partner");
    tokio::try_join!(first.connected(), second.connected()).expect("connected");
    hears(&mut first, 880, 440).await;
    hears(&mut second, 440, 880).await;
    first.leave().await.expect("idle").close().await;
    second.ended().await;
}

async fn hears(call: &mut Call, partners: u16, own: u16) {
    let heard = call.hear(60, DEADLINE).await.expect("60 packets");
    let (partners, own) = (strength(&heard.last, partners), strength(&heard.last, own));
    assert!(partners > 0.1 && own < 0.02, "own {own}, partner's {partners}");
}

#[tokio::test(flavor = "multi_thread")]
async fn native_callers_talk_over_tcp() {
    let shim = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let host = shim.local_addr().expect("an address").to_string();
    let server = TestServer::start_with(&["--allow-native", "--relay-host", &host]).await;
    let passing = tokio::spawn(pass_on(shim, server.port, false));
    talk(&server.ws()).await;
    passing.abort();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn native_callers_talk_over_tls_and_nothing_is_logged_of_it() {
    let identity = Identity::new();
    let shim = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let host = shim.local_addr().expect("an address").to_string();
    let arguments = [&["--allow-native", "--relay-host", &host][..], &identity.flags()].concat();
    let server = TestServer::start_with(&arguments).await;
    let door = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("ws://{}/ws", door.local_addr().expect("an address"));
    let passing = tokio::spawn(pass_on(shim, server.port, true));
    let tunnelling = tokio::spawn(tunnel(door, server.port));
    talk(&url).await;
    passing.abort();
    tunnelling.abort();
    server.stop().await;
}
