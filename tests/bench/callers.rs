//! Both sides of many calls, on one socket: every caller has a loopback address of his own, and the socket all of
//! them. So the generator costs little beside a server, and every datagram's arrival is stamped by the kernel, not
//! by a thread that may be late.

use std::{
    io::{IoSlice, IoSliceMut},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket},
    os::fd::AsRawFd,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, bail, ensure};
use nix::{
    cmsg_space,
    errno::Errno,
    libc::{in_addr, in_pktinfo},
    sys::{
        prctl::set_timerslack,
        socket::{
            ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrIn, recvmmsg, sendmsg,
            setsockopt, sockopt,
        },
        time::TimeSpec,
    },
};
use socket2::SockRef;
use sotto::{
    protocol::{CallId, Side},
    relay::{Credentials, Secret},
};
use stun_types::{
    attribute::{ErrorCode, Nonce, Realm, Username},
    message::{
        IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageClass, MessageIntegrityCredentials, MessageWrite,
        MessageWriteExt, MessageWriteVec, Method,
    },
};
use turn_types::{
    attribute::{ChannelNumber, RequestedTransport, XorPeerAddress, XorRelayedAddress},
    message::{ALLOCATE, CHANNEL_BIND},
};

use crate::servers::{INTRODUCTION, Running, SECRET};

/// A packet of 48 kbit/s Opus, every 20 ms.
const PAYLOAD: usize = 120;
const INTERVAL: Duration = Duration::from_millis(20);

/// The header of ChannelData; the forwarder gets as many bytes.
const HEADER: usize = 4;
const CHANNEL: u16 = 0x4000;

/// Before the measurement begins, and after it for what is still on its way.
const WARM_UP: Duration = Duration::from_millis(700);
const COOL_DOWN: Duration = Duration::from_millis(300);

/// How long an answer may take, and how often it is asked for.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
const TRIES: usize = 5;

/// Received at a time, and the longest pause between two looks: the socket's buffer holds what comes in some 20 ms.
const BATCH: usize = 64;
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What sleeping may be late.
const SLACK: Duration = Duration::from_micros(40);

/// What came of a conversation.
pub struct Heard {
    pub sent: u64,
    pub received: u64,
    /// Received while it was measured.
    pub in_window: u64,
    /// Received by somebody else than the partner.
    pub strayed: u64,
    /// From before a packet was sent until it was in the receiver's socket, in nanoseconds, while it was measured.
    pub delays: Vec<u32>,
}

/// All callers; each one's partner is his neighbour.
pub struct Callers {
    socket: UdpSocket,
    port: u16,
    server: SockaddrIn,
    count: usize,
    /// Of which the addresses differ, so that two sets of callers can meet one server.
    network: u8,
}

impl Callers {
    /// Gets the callers of so many calls ready to talk.
    pub fn connect(server: &Running, calls: usize) -> anyhow::Result<Self> {
        Self::connect_from(server, calls, 16)
    }

    /// The same, with addresses of their own.
    pub fn connect_from(server: &Running, calls: usize, network: u8) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        let _ = SockRef::from(&socket).set_recv_buffer_size(16 * 1024 * 1024);
        let port = socket.local_addr()?.port();
        let callers = Self { socket, port, server: server.address.into(), count: 2 * calls, network };
        if server.kind.is_turn() {
            callers.allocate_all()?
        } else {
            callers.introduce_all()?
        }
        setsockopt(&callers.socket, sockopt::ReceiveTimestampns, &true)?;
        callers.socket.set_nonblocking(true)?;
        Ok(callers)
    }

    fn address(&self, caller: usize) -> Ipv4Addr {
        let [high, middle, low] = [caller >> 14, caller >> 7 & 127, caller & 127].map(|part| part as u8);
        Ipv4Addr::new(127, self.network + high, middle, 1 + low)
    }

    pub fn send(&self, caller: usize, bytes: &[u8]) -> nix::Result<()> {
        let source = in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: in_addr { s_addr: u32::from_ne_bytes(self.address(caller).octets()) },
            ipi_addr: in_addr { s_addr: 0 },
        };
        let control = [ControlMessage::Ipv4PacketInfo(&source)];
        let contents = [IoSlice::new(bytes)];
        sendmsg(self.socket.as_raw_fd(), &contents, &control, MsgFlags::empty(), Some(&self.server)).map(drop)
    }

    fn introduce_all(&self) -> anyhow::Result<()> {
        for caller in 0..self.count {
            let [a, b, c, d] = self.address(caller ^ 1).octets();
            let [p0, p1] = self.port.to_be_bytes();
            self.send(caller, &[INTRODUCTION, a, b, c, d, p0, p1])?;
        }
        Ok(())
    }

    fn allocate_all(&self) -> anyhow::Result<()> {
        self.socket.set_read_timeout(Some(ANSWER_WITHIN))?;
        let secret = Secret::new(SECRET.as_bytes());
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        for call in 0..self.count / 2 {
            let id = CallId::from_u128((u128::from(self.network) << 64) + call as u128);
            let side = |side, caller| Turn::allocate(self, caller, secret.mint(id, side, unix));
            let (a, b) = (side(Side::A, 2 * call)?, side(Side::B, 2 * call + 1)?);
            a.bind(b.relayed)?;
            b.bind(a.relayed)?;
        }
        Ok(())
    }

    /// Has everybody talk for so many seconds. `mark` is called when the measurement begins and when it ends.
    pub fn talk(&mut self, seconds: u64, mut mark: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Heard> {
        let _ = set_timerslack(1);
        let mut ear = Ear::new(self, seconds);
        // Random, but the same for every server.
        let mut order: Vec<(Duration, usize)> = (0..self.count)
            .map(|caller| {
                let phase = (caller as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
                (INTERVAL.mul_f64(phase as f64 / (1_u64 << 24) as f64), caller)
            })
            .collect();
        order.sort_unstable();
        let mut bytes = [0; HEADER + PAYLOAD];
        bytes[..2].copy_from_slice(&CHANNEL.to_be_bytes());
        bytes[2..4].copy_from_slice(&(PAYLOAD as u16).to_be_bytes());

        let start = Instant::now();
        let (begin, end) = (WARM_UP, WARM_UP + Duration::from_secs(seconds));
        let mut sent = 0;
        let mut last_look = start;
        let due =
            (0_u32..).flat_map(|cycle| order.iter().map(move |(phase, caller)| (INTERVAL * cycle + *phase, *caller)));
        for (due, caller) in due {
            loop {
                let now = Instant::now();
                let left = (start + due).saturating_duration_since(now);
                if now.duration_since(last_look) > LOOK_EVERY {
                    ear.listen(self)?;
                    last_look = now;
                } else if left > SLACK * 2 {
                    std::thread::sleep(left.min(LOOK_EVERY) - SLACK);
                }
                if left.is_zero() {
                    break;
                }
            }
            if due >= begin && !ear.is_measuring {
                ear.listen(self)?;
                mark()?;
                ear.is_measuring = true;
            }
            if due >= end {
                break;
            }
            bytes[4..12].copy_from_slice(&nanoseconds().to_be_bytes());
            bytes[12..16].copy_from_slice(&(caller as u32).to_be_bytes());
            match self.send(caller, &bytes) {
                Ok(()) => sent += 1,
                Err(Errno::EAGAIN) => {}
                Err(error) => bail!("sending: {error}"),
            }
        }
        ear.listen(self)?;
        mark()?;
        ear.is_measuring = false;
        let done = Instant::now();
        while done.elapsed() < COOL_DOWN {
            ear.listen(self)?;
            std::thread::sleep(LOOK_EVERY);
        }
        let Ear { received, in_window, strayed, delays, .. } = ear;
        Ok(Heard { sent, received, in_window, strayed, delays })
    }
}

/// What receives.
struct Ear {
    headers: MultiHeaders<SockaddrIn>,
    room: Vec<[u8; 256]>,
    is_measuring: bool,
    received: u64,
    in_window: u64,
    strayed: u64,
    delays: Vec<u32>,
}

impl Ear {
    fn new(callers: &Callers, seconds: u64) -> Self {
        Self {
            headers: MultiHeaders::preallocate(BATCH, Some(cmsg_space!(in_pktinfo, TimeSpec))),
            room: vec![[0; 256]; BATCH],
            is_measuring: false,
            received: 0,
            in_window: 0,
            strayed: 0,
            delays: Vec::with_capacity(callers.count * 51 * seconds as usize),
        }
    }

    /// Takes all there is.
    fn listen(&mut self, callers: &Callers) -> anyhow::Result<()> {
        loop {
            let mut came: [Option<(Duration, Ipv4Addr)>; BATCH] = [None; BATCH];
            {
                let mut slices: Vec<_> = self.room.iter_mut().map(|room| [IoSliceMut::new(room)]).collect();
                let fd = callers.socket.as_raw_fd();
                match recvmmsg(fd, &mut self.headers, &mut slices, MsgFlags::MSG_DONTWAIT, None) {
                    Ok(messages) => {
                        for (came, message) in came.iter_mut().zip(messages) {
                            *came = Some(arrival(&message).context("no time of arrival")?);
                        }
                    }
                    Err(Errno::EAGAIN | Errno::EINTR) => return Ok(()),
                    Err(error) => bail!("receiving: {error}"),
                }
            }
            for (bytes, (arrived, at)) in self.room.iter().zip(came.into_iter().flatten()) {
                let [stamp, sender] = [&bytes[4..12], &bytes[12..16]]
                    .map(|bytes| bytes.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte)));
                self.received += 1;
                self.strayed += u64::from(callers.address(sender as usize ^ 1) != at);
                if self.is_measuring {
                    self.in_window += 1;
                    let delay = (arrived.as_nanos() as u64).saturating_sub(stamp);
                    self.delays.push(u32::try_from(delay).unwrap_or(u32::MAX));
                }
            }
        }
    }
}

/// When a datagram came, and to which address.
fn arrival(message: &RecvMsg<'_, '_, SockaddrIn>) -> Option<(Duration, Ipv4Addr)> {
    let (mut at, mut to) = (None, None);
    for control in message.cmsgs().ok()? {
        match control {
            ControlMessageOwned::ScmTimestampns(time) => at = Some(Duration::from(time)),
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                to = Some(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes()));
            }
            _ => {}
        }
    }
    Some((at?, to?))
}

/// On the clock that the kernel stamps with.
fn nanoseconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// One caller's allocation.
struct Turn<'a> {
    callers: &'a Callers,
    caller: usize,
    credentials: Credentials,
    realm: String,
    nonce: String,
    relayed: SocketAddrV4,
}

impl<'a> Turn<'a> {
    fn allocate(callers: &'a Callers, caller: usize, credentials: Credentials) -> anyhow::Result<Self> {
        let relayed = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        let mut turn = Self { callers, caller, credentials, realm: String::new(), nonce: String::new(), relayed };
        let udp = RequestedTransport::new(RequestedTransport::UDP);
        let mut first = Message::builder_request(ALLOCATE, MessageWriteVec::new());
        first.add_attribute(&udp)?;
        let answer = turn.exchange(first)?;
        let challenge = Message::from_bytes(&answer)?;
        turn.realm = challenge.attribute::<Realm>()?.realm().to_owned();
        turn.nonce = challenge.attribute::<Nonce>()?.nonce().to_owned();

        let mut request = Message::builder_request(ALLOCATE, MessageWriteVec::new());
        request.add_attribute(&udp)?;
        let answer = turn.signed(request)?;
        let response = Message::from_bytes(&answer)?;
        let relayed = response.attribute::<XorRelayedAddress>()?.addr(response.transaction_id());
        let SocketAddr::V4(relayed) = relayed else { bail!("not IPv4") };
        turn.relayed = relayed;
        Ok(turn)
    }

    fn bind(&self, peer: SocketAddrV4) -> anyhow::Result<()> {
        let mut request = Message::builder_request(CHANNEL_BIND, MessageWriteVec::new());
        let peer = XorPeerAddress::new(peer.into(), request.transaction_id());
        request.add_attribute(&ChannelNumber::new(CHANNEL))?;
        request.add_attribute(&peer)?;
        self.signed(request).map(drop)
    }

    fn signed(&self, mut request: MessageWriteVec) -> anyhow::Result<Vec<u8>> {
        let method: Method = request.method();
        let Credentials { username, credential } = self.credentials.clone();
        let user = Username::new(&username)?;
        request.add_attribute(&user)?;
        request.add_attribute(&Realm::new(&self.realm)?)?;
        request.add_attribute(&Nonce::new(&self.nonce)?)?;
        let key: MessageIntegrityCredentials =
            LongTermKeyCredentials::new(username, credential, self.realm.clone()).into();
        request.add_message_integrity(&key, IntegrityAlgorithm::Sha1)?;
        let answer = self.exchange(request)?;
        let response = Message::from_bytes(&answer)?;
        if !response.has_class(MessageClass::Success) {
            let code = response.attribute::<ErrorCode>().map_or(0, |code| code.code());
            bail!("{method}: {code}");
        }
        Ok(answer)
    }

    fn exchange(&self, request: MessageWriteVec) -> anyhow::Result<Vec<u8>> {
        let transaction = request.transaction_id();
        let request = request.finish();
        for _ in 0..TRIES {
            self.callers.send(self.caller, &request)?;
            let mut answer = vec![0; 2_048];
            while let Ok(length) = self.callers.socket.recv(&mut answer) {
                let response = Message::from_bytes(&answer[..length]);
                if response.is_ok_and(|response| response.transaction_id() == transaction) {
                    answer.truncate(length);
                    return Ok(answer);
                }
            }
        }
        ensure!(false, "no answer");
        unreachable!()
    }
}
