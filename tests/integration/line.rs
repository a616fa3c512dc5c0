//! The line between the visitors and the server: with a tap on it, which shows what anybody on the way can see, and with
//! weather, which loses, delays, reorders and cuts what is on it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sotto::protocol::{CallId, Side};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, sleep_until};

use crate::server::TestServer;

/// What a TCP sender first waits for an answer before it sends again (Linux; RFC 6298 §2.4 has a second). It doubles.
const RETRANSMIT_AFTER: Duration = Duration::from_millis(200);

/// The same for the first packet of a connection (RFC 6298 §2.1).
const CONNECT_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Chunks of bytes on their way in one direction of a connection: a window.
const WINDOW: usize = 64;

/// One datagram of a visitor to the relay.
#[derive(Clone)]
pub struct Datagram {
    /// When it came by.
    pub at: Instant,
    /// The visitor's socket.
    pub from: SocketAddr,
    /// As it was, with the framing of TURN.
    pub bytes: Vec<u8>,
}

/// What a datagram has for the partner (RFC 7983 tells them apart by the first byte).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inner<'a> {
    /// Connectivity checks.
    Stun(&'a [u8]),
    /// Keys and the data channel.
    Dtls(&'a [u8]),
    /// A packet of the voice, encrypted but for its header.
    Rtp(&'a [u8]),
    /// What the two tell each other of the voice's way, encrypted but for the first eight bytes.
    Rtcp(&'a [u8]),
}

impl Datagram {
    /// What it has for the partner; `None` when it is for the relay alone.
    pub fn inner(&self) -> Option<Inner<'_>> {
        let bytes = &self.bytes[..];
        let data = match bytes.first()? {
            0x40..=0x4F => {
                let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
                &bytes[4..4 + length]
            }
            // A Send indication and its DATA.
            0x00 if bytes[1] == 0x16 => attributes(bytes).find(|(kind, _)| *kind == 0x0013)?.1,
            _ => return None,
        };
        Some(match (data.first()?, data.get(1)?) {
            (0..=3, _) => Inner::Stun(data),
            (20..=63, _) => Inner::Dtls(data),
            (128..=191, 192..=223) => Inner::Rtcp(data),
            (128..=191, _) => Inner::Rtp(data),
            _ => return None,
        })
    }
}

/// The attributes of a STUN message (RFC 8489 §5).
pub fn attributes(message: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = message.get(20..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (head, after) = rest.split_at_checked(4)?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let value = after.get(..length)?;
        rest = after.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_be_bytes([head[0], head[1]]), value))
    })
}

/// What one direction of a way does to what is on it. The default is a perfect one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lane {
    /// The share that is lost, 0 to 1. What TCP loses it sends again, and all that follows waits for it.
    pub loss: f64,
    /// How many datagrams in a row are lost, on average; 1 or more (Gilbert 1960).
    pub burst: f64,
    /// How long everything takes.
    pub delay: Duration,
    /// Up to how much longer some of it takes, every time as likely as the next. Datagrams that follow each other by less
    /// overtake each other; bytes of TCP cannot.
    pub jitter: Duration,
    /// Nothing gets through, and nobody is told.
    pub cut: bool,
}

impl Default for Lane {
    fn default() -> Self {
        Self { loss: 0.0, burst: 1.0, delay: Duration::ZERO, jitter: Duration::ZERO, cut: false }
    }
}

/// Both directions of a way.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Way {
    /// From the visitor to the server.
    pub up: Lane,
    /// And back.
    pub down: Lane,
}

impl Way {
    /// The same in both directions.
    pub fn both(lane: Lane) -> Self {
        Self { up: lane, down: lane }
    }

    /// Nothing gets through.
    pub fn cut() -> Self {
        Self::both(Lane { cut: true, ..Lane::default() })
    }
}

/// Everything between a visitor and the server, who have one port for it all.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Weather {
    /// The relay by UDP.
    pub udp: Way,
    /// The relay by TCP.
    pub tcp: Way,
    /// The page and the WebSocket.
    pub web: Way,
    /// What is open to the relay by TCP is closed, and so is whatever comes.
    pub tcp_down: bool,
    /// The same for the page and the WebSocket.
    pub web_down: bool,
}

impl Weather {
    /// The relay by every way, and the page's own way as ever.
    pub fn relay(way: Way) -> Self {
        Self { udp: way, tcp: way, ..Self::default() }
    }

    /// Everything.
    pub fn all(way: Way) -> Self {
        Self { web: way, ..Self::relay(way) }
    }
}

/// Which of the two directions.
#[derive(Debug, Clone, Copy)]
enum Direction {
    Up,
    Down,
}

impl Direction {
    fn of(self, way: Way) -> Lane {
        match self {
            Self::Up => way.up,
            Self::Down => way.down,
        }
    }
}

/// What all on one line share.
#[derive(Clone)]
struct Sky {
    weather: watch::Receiver<Weather>,
    chance: Arc<Mutex<StdRng>>,
    seen: Arc<Mutex<Vec<Datagram>>>,
}

impl Sky {
    fn chance(&self) -> f64 {
        self.chance.lock().expect("no panic").random()
    }

    fn takes(&self, lane: Lane) -> Duration {
        lane.delay + lane.jitter.mul_f64(self.chance())
    }
}

/// A forwarder that remembers what the visitors send, and treats it as it is told to.
pub struct Line {
    socket: Option<UdpSocket>,
    /// For `--relay-host`, or for the browser that comes by this line.
    pub host: String,
    weather: watch::Sender<Weather>,
    sky: Sky,
    tasks: Vec<JoinHandle<()>>,
}

impl Line {
    /// Takes a port; nothing passes yet.
    pub async fn new() -> Self {
        Self::on(UdpSocket::bind("127.0.0.1:0").await.expect("a free port"), 0)
    }

    fn on(socket: UdpSocket, seed: u64) -> Self {
        let host = socket.local_addr().expect("an address").to_string();
        let weather = watch::Sender::new(Weather::default());
        let chance = Arc::new(Mutex::new(StdRng::seed_from_u64(seed)));
        let sky = Sky { weather: weather.subscribe(), chance, seen: Arc::default() };
        Self { socket: Some(socket), host, weather, sky, tasks: Vec::new() }
    }

    /// A server that has native callers in and its relay at the other end of this line; by UDP alone.
    pub async fn server(&mut self) -> TestServer {
        let server = TestServer::start_with(&["--allow-native", "--relay-host", &self.host]).await;
        let socket = self.socket.take().expect("one server");
        self.tasks.push(tokio::spawn(pass_datagrams(socket, server.port, self.sky.clone())));
        server
    }

    /// The whole way to the server on this port: whoever opens the page by this line finds all else by it as well. What
    /// becomes of what is on it is drawn from the seed.
    pub async fn to(port: u16, seed: u64) -> Self {
        // The same number for both, as servers have.
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().expect("an address")).await {
                break (tcp, udp);
            }
        };
        let mut line = Self::on(udp, seed);
        let socket = line.socket.take().expect("it is new");
        line.tasks.push(tokio::spawn(pass_datagrams(socket, port, line.sky.clone())));
        line.tasks.push(tokio::spawn(pass_connections(tcp, port, line.sky.clone())));
        line
    }

    /// Where the page is by this line.
    pub fn url(&self) -> String {
        format!("http://{}/", self.host)
    }

    /// Other weather from now on.
    pub fn turn(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Everything so far, in order.
    pub fn seen(&self) -> Vec<Datagram> {
        self.sky.seen.lock().expect("no panic").clone()
    }

    /// What this side of this call has sent so far. Its sockets are known by their credentials.
    pub fn sent_by(&self, call: CallId, side: Side) -> Vec<Datagram> {
        let seen = self.seen();
        let side = match side {
            Side::A => "a",
            Side::B => "b",
        };
        let name = format!(":{call}:{side}");
        let own: Vec<_> = seen
            .iter()
            .filter(|datagram| datagram.bytes.first() == Some(&0) && datagram.bytes.get(1) == Some(&3))
            .filter(|datagram| {
                attributes(&datagram.bytes).any(|(kind, value)| kind == 6 && value.ends_with(name.as_bytes()))
            })
            .map(|datagram| datagram.from)
            .collect();
        seen.into_iter().filter(|datagram| own.contains(&datagram.from)).collect()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// A socket of our own stands for each client's at the relay.
async fn pass_datagrams(socket: UdpSocket, port: u16, sky: Sky) {
    let socket = Arc::new(socket);
    let mut clients: HashMap<SocketAddr, mpsc::UnboundedSender<Vec<u8>>> = HashMap::new();
    let mut tasks = JoinSet::new();
    let mut buffer = [0; 2_048];
    loop {
        // An error is about what was sent before to a client who is gone.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        let at = Instant::now();
        let bytes = buffer[..length].to_vec();
        let way = match clients.get(&from) {
            Some(way) => way,
            None => {
                let out = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("a free port"));
                let (up, ahead) = mpsc::unbounded_channel();
                let (down, back) = mpsc::unbounded_channel();
                tasks.spawn(hear(Arc::clone(&out), down));
                let server = SocketAddr::from(([127, 0, 0, 1], port));
                tasks.spawn(carry(ahead, Direction::Up, sky.clone(), (out, server)));
                tasks.spawn(carry(back, Direction::Down, sky.clone(), (Arc::clone(&socket), from)));
                clients.entry(from).or_insert(up)
            }
        };
        let _ = way.send(bytes.clone());
        sky.seen.lock().expect("no panic").push(Datagram { at, from, bytes });
    }
}

/// What comes back for one client.
async fn hear(out: Arc<UdpSocket>, down: mpsc::UnboundedSender<Vec<u8>>) {
    let mut buffer = [0; 2_048];
    // An error is about a server that was away, and may be back.
    while match out.recv(&mut buffer).await {
        Ok(length) => down.send(buffer[..length].to_vec()).is_ok(),
        Err(_) => true,
    } {}
}

/// Carries datagrams one way, each when it is due; those due at the same moment in order.
async fn carry(
    mut from: mpsc::UnboundedReceiver<Vec<u8>>,
    direction: Direction,
    sky: Sky,
    (socket, to): (Arc<UdpSocket>, SocketAddr),
) {
    let mut under_way = BinaryHeap::<Reverse<(Instant, u64, Vec<u8>)>>::new();
    let mut count = 0_u64;
    let mut losing = false;
    loop {
        let due = under_way.peek().map(|Reverse((due, ..))| *due);
        tokio::select! {
            bytes = from.recv() => {
                let Some(bytes) = bytes else { return };
                let lane = direction.of(sky.weather.borrow().udp);
                losing = loses(lane, losing, sky.chance());
                if !losing && !lane.cut {
                    count += 1;
                    under_way.push(Reverse((Instant::now() + sky.takes(lane), count, bytes)));
                }
            }
            () = async { sleep_until(due.expect("there is one").into()).await }, if due.is_some() => {
                if let Some(Reverse((_, _, bytes))) = under_way.pop() {
                    // Refused where the server is not: as lost as by any other end.
                    let _ = socket.send_to(&bytes, to).await;
                }
            }
        }
    }
}

/// Whether the next one is lost, after one that was or was not: two probabilities that make the share and the length of
/// bursts what they are to be.
fn loses(Lane { loss, burst, .. }: Lane, losing: bool, chance: f64) -> bool {
    let stay = 1.0 - 1.0 / burst;
    let begin = if loss < 1.0 { loss * (1.0 - stay) / (1.0 - loss) } else { 1.0 };
    chance < if losing { stay } else { begin }
}

/// Everything by TCP: the relay, the page and the WebSocket.
async fn pass_connections(listener: TcpListener, port: u16, sky: Sky) {
    let mut tasks = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        let sky = sky.clone();
        tasks.spawn(async move {
            // However it ends: the one side is closed with the other.
            let _ = pass_connection(near, port, sky).await;
        });
    }
}

async fn pass_connection(near: TcpStream, port: u16, mut sky: Sky) -> io::Result<()> {
    near.set_nodelay(true)?;
    let mut first = [0];
    if near.peek(&mut first).await? == 0 {
        return Ok(());
    }
    // A connection to the relay begins with a request (RFC 8489 §5), any other with a word.
    let web = first[0] >= 0x40;
    let way: fn(&Weather) -> Way = if web { |weather| weather.web } else { |weather| weather.tcp };
    let down: fn(&Weather) -> bool = if web { |weather| weather.web_down } else { |weather| weather.tcp_down };
    if down(&sky.weather.borrow()) {
        return near.set_zero_linger();
    }
    let mut wait = CONNECT_AGAIN_AFTER;
    while way(&sky.weather.borrow()).up.cut || way(&sky.weather.borrow()).down.cut {
        sleep(wait).await;
        wait *= 2;
    }
    let far = match TcpStream::connect(("127.0.0.1", port)).await {
        Ok(far) => far,
        Err(_) => return near.set_zero_linger(),
    };
    far.set_nodelay(true)?;
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    let up = flow(near_read, far_write, sky.clone(), move |weather| way(weather).up);
    let back = flow(far_read, near_write, sky.clone(), move |weather| way(weather).down);
    tokio::select! {
        done = async { tokio::try_join!(up, back) } => done.map(|_| ()),
        _ = sky.weather.wait_for(down) => Ok(()),
    }
}

/// Carries bytes one way, in order, and then the end of them.
async fn flow(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    sky: Sky,
    lane: impl Fn(&Weather) -> Lane,
) -> io::Result<()> {
    let (send, mut under_way) = mpsc::channel::<(Instant, Vec<u8>)>(WINDOW);
    let read = async {
        let mut buffer = [0; 1_400];
        loop {
            let length = from.read(&mut buffer).await?;
            let now = Instant::now();
            let lane = lane(&sky.weather.borrow());
            if length == 0 || send.send((now + sky.takes(lane), buffer[..length].to_vec())).await.is_err() {
                drop(send);
                return Ok(());
            }
        }
    };
    let write = async {
        while let Some((due, bytes)) = under_way.recv().await {
            sleep_until(due.into()).await;
            let mut wait = RETRANSMIT_AFTER;
            loop {
                let lane = lane(&sky.weather.borrow());
                if !lane.cut && sky.chance() >= lane.loss {
                    break;
                }
                sleep(wait + lane.delay).await;
                wait *= 2;
            }
            to.write_all(&bytes).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(read, write).map(|_| ())
}

#[tokio::test]
async fn the_weather_is_what_it_is_said_to_be() {
    let far = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let line = Line::to(far.local_addr().expect("an address").port(), 7).await;
    let near = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    near.connect(&line.host).await.expect("a way");
    const COUNT: u16 = 2_000;
    // What of so many numbers comes, in which order, and how long after it was sent.
    let send = async |lane: Lane| {
        line.turn(Weather { udp: Way { up: lane, ..Way::default() }, ..Weather::default() });
        let begun = Instant::now();
        let sending = async {
            let mut sent = Vec::new();
            for number in 0..COUNT {
                sent.push(begun.elapsed());
                near.send(&number.to_be_bytes()).await.expect("sent");
                if number % 20 == 0 {
                    sleep(Duration::from_millis(1)).await;
                }
            }
            sent
        };
        let receiving = async {
            let (mut came, mut buffer) = (Vec::new(), [0; 2]);
            let patience = lane.delay + lane.jitter + Duration::from_secs(1);
            while let Ok(Ok(_)) = tokio::time::timeout(patience, far.recv(&mut buffer)).await {
                came.push((u16::from_be_bytes(buffer), begun.elapsed()));
            }
            came
        };
        let (sent, came) = tokio::join!(sending, receiving);
        came.into_iter().map(|(number, at)| (number, at - sent[usize::from(number)])).collect::<Vec<_>>()
    };
    let in_order = |came: &[(u16, Duration)]| came.is_sorted_by_key(|(number, _)| *number);

    let all = send(Lane::default()).await;
    assert!(all.len() == usize::from(COUNT) && in_order(&all), "{} came", all.len());
    assert!(send(Lane { cut: true, ..Lane::default() }).await.is_empty());

    let lossy = send(Lane { loss: 0.05, ..Lane::default() }).await;
    assert!((60..=140).contains(&(usize::from(COUNT) - lossy.len())), "{} came", lossy.len());
    let bursts = send(Lane { loss: 0.05, burst: 10.0, ..Lane::default() }).await;
    let runs = bursts.windows(2).filter(|pair| pair[1].0 > pair[0].0 + 1).count();
    let lost = usize::from(COUNT) - bursts.len();
    assert!((20..=250).contains(&lost) && (5 * runs..=20 * runs).contains(&lost), "{lost} lost in {runs} runs");

    let slow = send(Lane { delay: Duration::from_millis(200), ..Lane::default() }).await;
    assert!(slow.len() == usize::from(COUNT) && in_order(&slow));
    assert!(slow.iter().all(|(_, taken)| *taken >= Duration::from_millis(195)));
    let shaken = send(Lane { jitter: Duration::from_millis(50), ..Lane::default() }).await;
    assert!(shaken.len() == usize::from(COUNT) && !in_order(&shaken), "nothing was overtaken");
}

#[tokio::test]
async fn bytes_come_late_and_whole() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let line = Line::to(listener.local_addr().expect("an address").port(), 7).await;
    let mut near = TcpStream::connect(&line.host).await.expect("a way");
    near.write_all(b"GET ").await.expect("written");
    let (mut far, _) = listener.accept().await.expect("a connection");
    let mut four = [0; 4];
    far.read_exact(&mut four).await.expect("it arrives");
    let delay = Duration::from_millis(50);
    line.turn(Weather::all(Way::both(Lane { loss: 0.3, delay, jitter: delay, ..Lane::default() })));
    let sent: Vec<u8> = (0..=u8::MAX).cycle().take(4_096).collect();
    let (begun, mut came) = (Instant::now(), vec![0; sent.len()]);
    near.write_all(&sent).await.expect("written");
    far.read_exact(&mut came).await.expect("it arrives");
    assert!(came == sent && begun.elapsed() >= delay);

    line.turn(Weather::all(Way::cut()));
    far.write_all(b"back").await.expect("written");
    assert!(tokio::time::timeout(delay * 2, near.read(&mut four)).await.is_err(), "cut");
    line.turn(Weather::default());
    near.read_exact(&mut four).await.expect("it was sent again");
    line.turn(Weather { web_down: true, ..Weather::default() });
    assert!(matches!(near.read(&mut four).await, Ok(0) | Err(_)));
}
