//! The servers that are measured, each in a process of its own.

use std::{
    collections::HashMap,
    env, fmt, fs,
    io::{BufRead, BufReader, IoSlice, IoSliceMut, Write},
    net::{SocketAddr, SocketAddrV4, UdpSocket},
    os::fd::AsRawFd,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::Context;
use clap::ValueEnum;
use foldhash::fast::RandomState;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use sotto::relay::{self, Secret};

use crate::process::{self, Core};

/// What the relays' credentials are made with.
pub const SECRET: &str = "a secret of the bench";

/// Datagrams that the forwarder takes at a time: as many as the relay does.
const BATCH: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Our relay
    Sotto,
    /// The same after it has been full, with two threads; both on the one core
    TwoThreads,
    /// Debian's coturn
    Coturn,
    /// recvmmsg, one look-up, sendmmsg: the floor
    Forwarder,
}

impl Kind {
    /// Whether it speaks TURN.
    pub fn is_turn(self) -> bool {
        self != Self::Forwarder
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sotto => "Sotto",
            Self::TwoThreads => "two threads",
            Self::Coturn => "coturn",
            Self::Forwarder => "forwarder",
        })
    }
}

/// A server that runs; it ends when this is dropped.
pub struct Running {
    child: Child,
    pub kind: Kind,
    pub address: SocketAddrV4,
    configuration: Option<PathBuf>,
}

impl Running {
    /// Starts one on the servers' core.
    pub fn start(kind: Kind) -> anyhow::Result<Self> {
        process::stay_on(Core::Server)?;
        if kind == Kind::Coturn { Self::start_coturn() } else { Self::start_ours(kind) }
    }

    fn start_ours(kind: Kind) -> anyhow::Result<Self> {
        let name = kind.to_possible_value().context("a name")?;
        let mut child = Command::new(env::current_exe()?)
            .args(["--serve", name.get_name()])
            .stdout(Stdio::piped())
            .stdin(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let said = child.stdout.take().context("a pipe")?;
        BufReader::new(said).read_line(&mut line)?;
        let address = line.trim().parse().context("no address")?;
        Ok(Self { child, kind, address, configuration: None })
    }

    /// As for production: no log, nothing that is not needed for UDP, no limit that could be hit. One relay thread,
    /// because it has one core.
    fn start_coturn() -> anyhow::Result<Self> {
        let SocketAddr::V4(address) = UdpSocket::bind("127.0.0.1:0")?.local_addr()? else {
            anyhow::bail!("no IPv4");
        };
        let configuration = env::temp_dir().join(format!("sotto-bench-{}", address.port()));
        fs::create_dir_all(&configuration)?;
        let text = format!(
            "listening-ip=127.0.0.1\nrelay-ip=127.0.0.1\nlistening-port={port}\nmin-port=10000\nmax-port=65535\n\
             use-auth-secret\nstatic-auth-secret={SECRET}\nrealm={realm}\nrelay-threads=1\n\
             log-file=/dev/null\nno-stdout-log\nsimple-log\nno-software-attribute\nno-rfc5780\n\
             no-tcp\nno-tls\nno-dtls\nno-tcp-relay\nno-cli\nno-multicast-peers\nallow-loopback-peers\n\
             no-dynamic-ip-list\nno-dynamic-realms\nno-stun-backward-compatibility\n\
             pidfile={directory}/pid\nuserdb={directory}/db\n",
            port = address.port(),
            realm = relay::REALM,
            directory = configuration.display(),
        );
        let file = configuration.join("turnserver.conf");
        fs::write(&file, text)?;
        let mut coturn = Command::new("turnserver");
        coturn.arg("-c").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
        let child = coturn.spawn().context("coturn does not start; apt-get install coturn")?;
        let running = Self { child, kind: Kind::Coturn, address, configuration: Some(configuration) };
        running.wait_until_it_answers()?;
        Ok(running)
    }

    fn wait_until_it_answers(&self) -> anyhow::Result<()> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(self.address)?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let mut binding = [0; 20];
        binding[1] = 1;
        binding[4..8].copy_from_slice(&0x2112_A442_u32.to_be_bytes());
        for _ in 0..100 {
            let _ = socket.send(&binding);
            if socket.recv(&mut [0; 512]).is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        anyhow::bail!("{} does not answer", self.kind)
    }

    pub fn cpu(&self) -> anyhow::Result<Duration> {
        process::cpu(self.child.id())
    }

    pub fn memory(&self) -> anyhow::Result<u64> {
        process::memory(self.child.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(directory) = &self.configuration {
            let _ = fs::remove_dir_all(directory);
        }
    }
}

/// In the process of a server: says its address, and serves until it is killed or its parent ends.
pub fn serve(kind: Kind) -> anyhow::Result<()> {
    let socket = socket("127.0.0.1:0".parse()?, kind == Kind::TwoThreads)?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", socket.local_addr()?)?;
    stdout.flush()?;
    thread::spawn(|| {
        let _ = std::io::stdin().read_line(&mut String::new());
        std::process::exit(0);
    });
    match kind {
        Kind::Sotto | Kind::TwoThreads => {
            let mut sockets = vec![socket];
            if kind == Kind::TwoThreads {
                sockets.push(self::socket(sockets[0].local_addr()?, true)?);
            }
            let (_handle, threads) = relay::start_on(sockets, Secret::new(SECRET.as_bytes()))?;
            threads.join();
            Ok(())
        }
        Kind::Coturn => anyhow::bail!("coturn serves itself"),
        Kind::Forwarder => forward(&socket),
    }
}

fn socket(address: SocketAddr, is_shared: bool) -> anyhow::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    setsockopt(&socket, sockopt::ReusePort, &is_shared)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// The first byte of a datagram that is no packet, but says where those of its sender go.
pub const INTRODUCTION: u8 = 0xFF;

/// The floor: nothing but receiving, a look-up, and sending.
fn forward(socket: &UdpSocket) -> anyhow::Result<()> {
    let _ = SockRef::from(socket).set_recv_buffer_size(16 * 1024 * 1024);
    let fd = socket.as_raw_fd();
    let mut partners: HashMap<SocketAddrV4, SocketAddrV4, RandomState> = HashMap::default();
    let mut room = vec![[0; 2_048]; BATCH];
    let mut received = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut sent = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut came: Vec<(usize, SocketAddrV4)> = Vec::with_capacity(BATCH);
    loop {
        came.clear();
        {
            let mut slices: Vec<_> = room.iter_mut().map(|room| [IoSliceMut::new(room)]).collect();
            let messages = recvmmsg(fd, &mut received, &mut slices, MsgFlags::MSG_WAITFORONE, None)?;
            came.extend(messages.filter_map(|message| Some((message.bytes, SocketAddrV4::from(message.address?)))));
        }
        let mut slices = Vec::with_capacity(BATCH);
        let mut addresses = Vec::with_capacity(BATCH);
        for ((length, from), bytes) in came.iter().zip(&room) {
            if bytes[0] == INTRODUCTION {
                let [_, a, b, c, d, p0, p1, ..] = *bytes;
                partners.insert(*from, SocketAddrV4::new([a, b, c, d].into(), u16::from_be_bytes([p0, p1])));
            } else if let Some(partner) = partners.get(from) {
                slices.push([IoSlice::new(&bytes[..*length])]);
                addresses.push(Some(SockaddrIn::from(*partner)));
            }
        }
        let mut done = 0;
        while done < slices.len() {
            let sent = sendmmsg(fd, &mut sent, &slices[done..], &addresses[done..], [], MsgFlags::empty());
            done += sent.map_or(1, |sent| sent.count().max(1));
        }
    }
}
