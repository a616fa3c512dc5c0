//! Visitors of whom only the socket is real, thousands in one process.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt, TryStreamExt, stream};
use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::servers::Kind;

/// Past this somebody who should have been paired is lost.
const LOST_AFTER: Duration = Duration::from_secs(10);

/// How many connect at a time.
const AT_ONCE: usize = 64;

/// Networks that those come from who wait, who are paired, and who arrive: a part of 127.0.0.0/8 for each.
pub const HOLD: u8 = 16;
const PAIRS: u8 = 32;
const ARRIVALS: u8 = 48;

/// A network of one's own, out of `many`.
fn home(part: u8, number: usize, many: usize) -> Ipv4Addr {
    let number = number % many + 1;
    Ipv4Addr::new(127, part + (number >> 16) as u8, (number >> 8) as u8, number as u8)
}

/// A language that nobody else speaks, as long as there are no more than 17,576 of them.
fn language(number: usize) -> String {
    let letter = |place: u32| char::from(b'a' + (number / 26_usize.pow(place) % 26) as u8);
    [letter(2), letter(1), letter(0)].iter().collect()
}

/// A socket.
pub struct Visitor {
    kind: Kind,
    name: usize,
    socket: WebSocketStream<TcpStream>,
}

impl Visitor {
    /// Connects. `room` is where the partner will come as well, where it is the path that says so.
    pub async fn connect(
        kind: Kind,
        server: SocketAddr,
        from: Ipv4Addr,
        room: usize,
        name: usize,
    ) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        let stream = socket.connect(server).await?;
        stream.set_nodelay(true)?;
        let path = match kind {
            Kind::Sotto => "ws".to_owned(),
            Kind::Matchbox => format!("room{room}?next=2"),
            Kind::Peerjs => format!("peerjs?key=peerjs&id=v{name}&token=t{name}&version=1.5.5"),
            Kind::Floor => format!("room{room}"),
        };
        let request = format!("ws://{server}/{path}").into_client_request()?;
        let config = WebSocketConfig::default().read_buffer_size(1_024).write_buffer_size(0);
        let (socket, _) = client_async_with_config(request, stream, Some(config)).await?;
        Ok(Self { kind, name, socket })
    }

    pub async fn say(&mut self, text: String) -> anyhow::Result<()> {
        Ok(self.socket.send(Message::text(text)).await?)
    }

    /// Waits for a text with these words.
    pub async fn told(&mut self, words: &str) -> anyhow::Result<String> {
        let told = async {
            while let Some(message) = self.socket.next().await {
                match message? {
                    Message::Text(text) if text.contains(words) => return Ok(text.as_str().to_owned()),
                    Message::Close(frame) => bail!("closed: {frame:?}"),
                    _ => {}
                }
            }
            bail!("closed")
        };
        timeout(LOST_AFTER, told).await.with_context(|| format!("no {words}"))?
    }

    pub async fn hello(&mut self) -> anyhow::Result<()> {
        self.say(r#"{"type":"hello"}"#.to_owned()).await
    }

    pub async fn join(&mut self, language: &str) -> anyhow::Result<()> {
        let join = r#"{"type":"join","languages":["L"],"role":"either","avoid_recent":false}"#;
        self.say(join.replace('L', language)).await
    }

    pub async fn leave(&mut self) -> anyhow::Result<()> {
        self.say(r#"{"type":"leave"}"#.to_owned()).await
    }

    /// Asks for a partner in this room, and is in it when this returns, or when the server has read it.
    async fn come(&mut self, room: usize) -> anyhow::Result<()> {
        if self.kind == Kind::Sotto {
            self.hello().await?;
            self.join(&language(room)).await?;
        }
        Ok(())
    }

    /// What tells somebody that they wait.
    fn waiting(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Sotto => Some("\"waiting\""),
            Kind::Matchbox => Some("IdAssigned"),
            Kind::Peerjs => Some("\"OPEN\""),
            Kind::Floor => None,
        }
    }

    /// Waits for the partner, as the one who came first.
    async fn meet(&mut self) -> anyhow::Result<()> {
        let words = match self.kind {
            Kind::Sotto => "\"matched\"",
            Kind::Matchbox => "NewPeer",
            Kind::Peerjs => "\"OFFER\"",
            Kind::Floor => "matched",
        };
        self.told(words).await.map(drop)
    }

    /// Comes to somebody who waits, and has done so when this returns.
    async fn follow(&mut self, room: usize, first: usize) -> anyhow::Result<()> {
        self.come(room).await?;
        match self.kind {
            Kind::Sotto | Kind::Floor => self.meet().await,
            // The first one is told, and makes an offer.
            Kind::Matchbox => Ok(()),
            Kind::Peerjs => {
                self.told("\"OPEN\"").await?;
                let payload = r#"{"sdp":"v=0","type":"data","connectionId":"c"}"#;
                self.say(format!(r#"{{"type":"OFFER","dst":"v{first}","payload":{payload}}}"#)).await
            }
        }
    }

    /// The socket's end, without a TIME_WAIT.
    pub fn reset(self) {
        let _ = SockRef::from(self.socket.get_ref()).set_linger(Some(Duration::ZERO));
    }
}

fn say(line: &str) {
    use std::io::Write;
    let mut stdout = std::io::stdout();
    // Nobody listens any more.
    if writeln!(stdout, "{line}").and_then(|()| stdout.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Waits for the parent to close the pipe.
async fn asked_to_end() {
    let mut stdin = tokio::io::stdin();
    while stdin.read_u8().await.is_ok() {}
}

/// So many wait, each alone, until asked to end; says how many were lost meanwhile.
pub async fn hold(kind: Kind, server: SocketAddr, count: usize) -> anyhow::Result<()> {
    let (lost, mut losses) = mpsc::unbounded_channel();
    stream::iter(0..count)
        .map(|number| {
            let lost = lost.clone();
            async move {
                let mut visitor = Visitor::connect(kind, server, home(HOLD, number, count), number, number).await?;
                visitor.come(number).await?;
                if let Some(words) = visitor.waiting() {
                    visitor.told(words).await?;
                }
                tokio::spawn(async move {
                    while let Some(Ok(message)) = visitor.socket.next().await {
                        if matches!(message, Message::Text(_) | Message::Close(_)) {
                            break;
                        }
                    }
                    let _ = lost.send(());
                });
                anyhow::Ok(())
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    say("ready");
    asked_to_end().await;
    say(&std::iter::from_fn(|| losses.try_recv().ok()).count().to_string());
    std::process::exit(0);
}

/// What came of so many joins.
pub struct Outcome {
    pub joins: usize,
    pub lost: usize,
    /// Microseconds.
    pub p50: f64,
    pub p99: f64,
    pub seconds: f64,
}

impl Outcome {
    fn of(mut delays: Vec<Option<Duration>>, seconds: f64) -> Self {
        delays.sort_unstable();
        let lost = delays.iter().filter(|delay| delay.is_none()).count();
        let met: Vec<Duration> = delays.iter().copied().flatten().collect();
        let part = |part: f64| {
            let index = (met.len().saturating_sub(1) as f64 * part) as usize;
            met.get(index).map_or(f64::NAN, |delay| delay.as_secs_f64() * 1e6)
        };
        Self { joins: delays.len() * 2, lost: lost * 2, p50: part(0.5), p99: part(0.99), seconds }
    }

    fn say(&self) {
        say(&format!("{} {} {} {} {}", self.joins, self.lost, self.p50, self.p99, self.seconds));
    }

    /// Reads what [`Self::say`] has written.
    pub fn read(line: &str) -> anyhow::Result<Self> {
        let numbers = line.split(' ').map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        let [joins, lost, p50, p99, seconds] = numbers[..] else { bail!("not an outcome: {line}") };
        Ok(Self { joins: joins as usize, lost: lost as usize, p50, p99, seconds })
    }
}

/// Two come and meet, so many joins a second, each on a new connection: from the moment at which the second begins to
/// connect until both are told, or the first where only that one is.
pub async fn arrivals(kind: Kind, server: SocketAddr, rate: usize, seconds: f64) -> anyhow::Result<()> {
    let pairs = (rate as f64 / 2.0 * seconds) as usize;
    let delays = paced(pairs, rate, move |pair| async move {
        let names = [1_000_000 + 2 * pair, 1_000_001 + 2 * pair];
        // A language that none of those has who wait.
        let room = if kind == Kind::Sotto { 17_575 - pair % 2_000 } else { 1_000_000 + pair };
        let from = |side: usize| home(ARRIVALS, 2 * pair + side, 60_000);
        let mut first = Visitor::connect(kind, server, from(0), room, names[0]).await.ok()?;
        first.come(room).await.ok()?;
        if let Some(words) = first.waiting() {
            first.told(words).await.ok()?;
        }
        let began = Instant::now();
        let second = async {
            let mut second = Visitor::connect(kind, server, from(1), room, names[1]).await.ok()?;
            second.follow(room, names[0]).await.ok()?;
            Some(second)
        };
        let (met, second) = tokio::join!(first.meet(), second);
        let delay = began.elapsed();
        met.ok()?;
        let second = second?;
        debug_assert_ne!(first.name, second.name);
        first.reset();
        second.reset();
        Some(delay)
    })
    .await;
    delays.say();
    std::process::exit(0);
}

/// Sotto alone: visitors who are there already join, meet and leave, so many joins a second; from the second one's `join`
/// until both are told.
pub async fn pairs(server: SocketAddr, rate: usize, seconds: f64) -> anyhow::Result<()> {
    // Nobody is paired with anybody for the third time, nor joins more often than every two seconds.
    let count = (rate * 2).max(600);
    let visitors: Vec<Visitor> = stream::iter(0..count)
        .map(|number| async move {
            let mut visitor = Visitor::connect(Kind::Sotto, server, home(PAIRS, number, count), number, number).await?;
            visitor.hello().await?;
            visitor.told("\"welcome\"").await?;
            anyhow::Ok(visitor)
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let mut halves = [VecDeque::new(), VecDeque::new()];
    for (number, visitor) in visitors.into_iter().enumerate() {
        halves[number % 2].push_back(visitor);
    }
    // One half moves on by one each time around, so that everybody meets somebody else.
    let lines = std::sync::Arc::new(std::sync::Mutex::new(halves));
    let pairs = (rate as f64 / 2.0 * seconds) as usize;
    let around = count / 2;
    let outcome = paced(pairs, rate, move |pair| {
        let lines = std::sync::Arc::clone(&lines);
        let taken = {
            let mut halves = lines.lock().expect("no panic");
            if pair % around == around - 1
                && let Some(moved) = halves[0].pop_front()
            {
                halves[0].push_back(moved);
            }
            halves[0].pop_front().zip(halves[1].pop_front())
        };
        async move {
            let (mut first, mut second) = taken?;
            // One that none of those has who wait.
            let language = language(17_575 - pair % 2_000);
            let delay = async {
                first.join(&language).await?;
                first.told("\"waiting\"").await?;
                let began = Instant::now();
                second.join(&language).await?;
                tokio::try_join!(first.told("\"matched\""), second.told("\"matched\""))?;
                let delay = began.elapsed();
                // The second is put back into the queue, and leaves it.
                first.leave().await?;
                second.told("\"ended\"").await?;
                second.told("\"waiting\"").await?;
                second.leave().await?;
                anyhow::Ok(delay)
            };
            let delay = delay.await.ok();
            if delay.is_some() {
                let mut halves = lines.lock().expect("no panic");
                halves[0].push_back(first);
                halves[1].push_back(second);
            }
            delay
        }
    })
    .await;
    outcome.say();
    std::process::exit(0);
}

/// Says that it begins, and begins so many pairs at an even pace, however long those before take.
async fn paced<F>(pairs: usize, rate: usize, mut pair: impl FnMut(usize) -> F) -> Outcome
where
    F: Future<Output = Option<Duration>> + Send + 'static,
{
    say("begin");
    let began = Instant::now();
    let mut ticks = interval(Duration::from_secs(2) / rate as u32);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut tasks = Vec::with_capacity(pairs);
    for number in 0..pairs {
        ticks.tick().await;
        tasks.push(tokio::spawn(pair(number)));
    }
    let mut delays = Vec::with_capacity(pairs);
    for task in tasks {
        delays.push(task.await.ok().flatten());
    }
    Outcome::of(delays, began.elapsed().as_secs_f64())
}
