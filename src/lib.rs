//! Sotto: anonymous one-on-one voice. A visitor opens a page, presses one button, is paired with somebody
//! else who pressed it, and they talk. No account, no profile, nothing stored.
//!
//! ```text
//!  visitor's page ──ws──▶ web ──▶ visitor ──▶ matchmaking    (pairs two tickets, then is out of the way)
//!        ▲                          │  ▲        │
//!        │                          ▼  └────────┘ Matched { call, side, partner's mailbox }
//!        └─ descriptions, credentials ─ visitor ◀─mailbox─▶ partner's visitor
//!  visitor's page ──udp, tcp, tls──▶ relay ──▶ partner's page  (DTLS-SRTP, opaque to us)
//! ```
//!
//! - [`door`] is the one TCP port: it tells pages from TURN clients, and has TLS where the operator wants it, with a certificate
//!   that it is given or gets by itself.
//! - [`web`] accepts a socket, checks its Origin, and runs one task for its visitor. The task pumps; its `Drop`
//!   undoes everything once.
//! - [`visitor`] is one visitor's rules, pure: `(state, input, now) -> effects`.
//! - [`matchmaking`] decides who meets whom; its rule, [`matchmaking::pairing`], is pure as well.
//!   Where several servers share a Redis, so do they the pool; then a call's relay may be another's.
//! - [`mailbox`] is how one visitor's task is told something by another's, here or on another server.
//! - [`relay`] is a TURN server that can reach nobody but the partner. Each visitor's task makes its own
//!   side's credentials from the call's name, so that the relay and the rest share a secret and no table.
//! - [`guard`] is what anybody gets: limits by the network a visitor comes from, which keep no address.
//! - [`protocol`] is the wire between page and server, [`clock`] the moment that is passed in, `prefix` what limits count
//!   by in place of an address, and `throttle` how fast a connection is read.
//! - [`caller`] is a visitor without a browser, for the tests and later for probes; [`echo`] is one that the server itself
//!   is, for somebody who wants to hear themself before a call.
//! - [`config`] is what an operator can set, [`hours`] what of it is about the time of day, [`check`] says in words what
//!   would come of it, and [`print`] has the files for the programs around it. `port` is what the door and the relay stand
//!   on, and how it goes to the next server.
//!
//! Imports point one way: `main → {lib, check} → web → {door, echo} → config → {visitor, caller} → {matchmaking, relay, guard}
//! → mailbox → protocol`. A call is two symmetric values, one owned by each side's visitor; there is no call table.

pub mod caller;
pub mod check;
pub mod clock;
pub mod config;
pub mod door;
pub mod echo;
pub mod guard;
pub mod hours;
pub mod mailbox;
pub mod matchmaking;
mod port;
mod prefix;
pub mod print;
pub mod protocol;
pub mod relay;
mod throttle;
pub mod visitor;
pub mod web;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

use crate::clock::Now;
use crate::config::{Config, Domain, ListenHttp};
use crate::door::{Arrival, Door, tls};
use crate::guard::Guard;
use crate::mailbox::RelayAt;
use crate::matchmaking::redis::{Hooks, Settings};
use crate::matchmaking::{Matchmaker, Memory, Redis};
use crate::web::{House, Leaving};

/// How many files a process may have open where nobody has said otherwise.
const USUAL_FILES: usize = 1_024;

/// How often it is told how often limits were hit, and what no longer counts is forgotten.
const COUNT_EVERY: Duration = Duration::from_secs(60);

/// How long sockets may take to close when the server stops.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);

/// How long the health check waits for an answer.
const HEALTH_WITHIN: Duration = Duration::from_secs(3);

/// The most of an answer to it that is read, in bytes: it has a head and a few words.
const MAX_HEALTH_BYTES: u64 = 4 * 1024;

/// Page, signalling and relay on one port.
pub struct Server {
    door: Door,
    address: SocketAddr,
    domain: Option<Domain>,
    tls: Option<Arc<tls::Identity>>,
    house: Arc<House>,
    threads: relay::Threads,
    drain: Duration,
    handover: bool,
}

impl Server {
    /// Takes the port, TCP and UDP, and starts the relay.
    ///
    /// # Errors
    ///
    /// When the port is taken or not permitted, a file that the configuration names is not what it should be, or the
    /// system has no random bytes for the relay's secret.
    pub async fn bind(config: Config) -> anyhow::Result<Self> {
        let secret = match config.secret()? {
            Some(bytes) => relay::Secret::new(&bytes),
            None => relay::Secret::random()?,
        };
        let tls = match (config.tls()?, config.acme()) {
            (Some((certificates, key)), _) => Some(Arc::new(tls::Identity::read(certificates, key)?)),
            (None, Some(acme)) => Some(Arc::new(tls::Identity::from_authority(acme)?)),
            (None, None) => None,
        };
        let descriptors = raise_file_limit();
        let (tcp, udp) = port::take(config.listen, config.handover)?;
        let address = tcp.local_addr()?;
        let listener = tokio::net::TcpListener::from_std(tcp)?;
        let http = match config.listen_http.and_then(ListenHttp::address) {
            Some(listen) => {
                let http = port::take_tcp(listen, config.handover).context("--listen-http none does without it")?;
                info!(port = http.local_addr()?.port(), "plain HTTP is sent on to HTTPS");
                Some(tokio::net::TcpListener::from_std(http)?)
            }
            None => None,
        };
        let (relay, threads) = relay::start_as(udp, secret, config.handover)?;
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        let (drain, handover) = (Duration::from_secs(config.drain.into()), config.handover);
        let now = Instant::now();
        let guard = Guard::new(seed, descriptors, config.trusted_proxies.clone(), now);
        let guard = Arc::new(guard.asking_for_work_above(config.work_above, now));
        let door = Door::new(listener, tls.clone(), relay.clone(), Arc::clone(&guard))?.with_http(http);
        let domain = config.domains.first().cloned();
        let matchmaker: Arc<dyn Matchmaker> = match config.cluster()? {
            Some(cluster) => {
                let transports = config.transports();
                let relay_at = RelayAt { host: cluster.relay_host, transports };
                let settings = Settings::new(cluster.url.as_str(), cluster.secret, relay_at)?;
                Arc::new(Redis::new(settings, hooks(&relay, &guard))?)
            }
            None => Arc::new(Memory::default()),
        };
        let house = Arc::new(House::new(config, relay, guard, tls.clone(), matchmaker));
        Ok(Self { door, address, domain, tls, house, threads, drain, handover })
    }

    /// The address that was taken, with the port if it was left to the system.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where a browser finds the page: by its name, or on this machine. `localhost` for a wildcard address: browsers give the microphone
    /// to secure contexts only, and without TLS that is `localhost` or a loopback address.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        if let Some(domain) = &self.domain {
            let port = if self.address.port() == 443 { String::new() } else { format!(":{}", self.address.port()) };
            format!("https://{}{port}", domain.as_str())
        } else if self.address.ip().is_unspecified() {
            format!("{scheme}://localhost:{}", self.address.port())
        } else {
            format!("{scheme}://{}", self.address)
        }
    }

    /// Serves until it is `asked` to stop, or until nobody can ask any more. Then pairs nobody, tells those who wait, and
    /// lets calls go on until none is left, [`Config::drain`] is over, or it is asked once more; then closes every socket
    /// and stops the relay.
    ///
    /// # Errors
    ///
    /// When the relay or accepting connections fails for good. Then, too, every page is told before.
    pub async fn run(self, asked: mpsc::Receiver<()>) -> anyhow::Result<()> {
        let Self { door, tls, house, threads, drain, handover, .. } = self;
        let relay = house.relay.clone();
        let counting = tokio::spawn(count_and_forget(Arc::clone(&house)));
        let matching = tokio::spawn({
            let house = Arc::clone(&house);
            async move { house.matchmaker.run().await }
        });
        let following = tls.map(|tls| tokio::spawn(tls.follow()));
        let leaving = house.leaving.clone();
        let matchmaker = Arc::clone(&house.matchmaker);
        let port = if handover { Some((door.key()?, relay.clone())) } else { None };
        let (closing, is_closing) = oneshot::channel();
        let serving = axum::serve(door, web::router(house).into_make_service_with_connect_info::<Arrival>())
            .with_graceful_shutdown({
                let (leaving, failed) = (leaving.clone(), threads.failed());
                async move {
                    tokio::select! {
                        () = linger(drain, &leaving, asked, port) => {}
                        () = failed => {}
                    }
                    info!("closing");
                    leaving.send_replace(Leaving::Now);
                    let _ = closing.send(());
                }
            });
        let overdue = async {
            // An error would mean that nobody serves any more, which is as good.
            let _ = is_closing.await;
            tokio::time::sleep(CLOSE_WITHIN).await;
        };
        let served = tokio::select! {
            served = async {
                serving.await?;
                // Every visitor's task holds a receiver until it has told its page.
                leaving.closed().await;
                Ok(())
            } => served,
            () = overdue => Ok::<_, std::io::Error>(()),
        };
        matchmaker.close().await;
        matching.abort();
        counting.abort();
        following.inspect(JoinHandle::abort);
        let has_failed = threads.have_failed();
        relay.stop();
        let _ = tokio::task::spawn_blocking(|| threads.join()).await;
        served.context("serving failed")?;
        if has_failed {
            // Half a server would look well and connect nobody. Whoever has started it can start it again.
            bail!("the relay has failed");
        }
        Ok(())
    }
}

/// What the house hears of other servers.
fn hooks(relay: &relay::Handle, guard: &Arc<Guard>) -> Hooks {
    let (relay, guard, keys) = (relay.clone(), Arc::clone(guard), Arc::clone(guard));
    Hooks {
        revoke: Box::new(move |call| relay.revoke(call)),
        reported: Box::new(move |report| {
            if let (Some(by), Some(of)) = (report.by.whence, report.of.whence) {
                guard.learn(&by, &of, report.category, report.at);
            }
        }),
        keys: Box::new(move |both, left| keys.share_keys(both, left, Instant::now())),
    }
}

/// Waits until the server is asked to stop, and then for its calls to end, for as long as they may.
async fn linger(
    drain: Duration,
    leaving: &watch::Sender<Leaving>,
    mut asked: mpsc::Receiver<()>,
    port: Option<(door::Key, relay::Handle)>,
) {
    asked.recv().await;
    info!(seconds = drain.as_secs(), "asked to stop: calls may go on for a while");
    let end = Instant::now() + drain;
    if let Some((key, relay)) = port {
        // First, so that those who are sent away find the next server.
        relay.hand_over();
        key.turn();
    }
    leaving.send_replace(Leaving::After(end));
    tokio::select! {
        // Every visitor's task holds a receiver, and goes as soon as it has no call.
        () = leaving.closed() => {}
        () = tokio::time::sleep_until(end.into()) => {}
        _ = asked.recv() => {}
    }
}

/// Tells the operator now and then how often limits were hit since, and how much was reported: how often, and never who.
/// Forgets what is over of that, also when nobody comes any more.
async fn count_and_forget(house: Arc<House>) {
    let House { guard, matchmaker, lobby, relay, .. } = &*house;
    let counts = || {
        let relayed = relay.counts().all().map(|(what, count)| (what.to_owned(), count));
        guard.counts().into_iter().chain(relayed).collect::<Vec<_>>()
    };
    let mut before = counts();
    loop {
        tokio::time::sleep(COUNT_EVERY).await;
        guard.fade(Instant::now());
        matchmaker.fade(Instant::now());
        lobby.fade(Instant::now());
        house.usual().turn(Now::read().unix);
        let now = counts();
        for ((what, count), (_, before)) in now.iter().zip(&before) {
            if count > before {
                info!(what, times = count - before, "counted");
            }
        }
        before = now;
    }
}

/// Asks the server that listens on `listen` whether it is well.
///
/// # Errors
///
/// When it does not answer in time, or not with 200.
pub fn healthcheck(listen: SocketAddr) -> anyhow::Result<()> {
    let loopback = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => vec![IpAddr::from(Ipv4Addr::LOCALHOST)],
        // The server may have found no IPv6.
        IpAddr::V6(ip) if ip.is_unspecified() => vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()],
        ip => vec![ip],
    };
    let mut last = None;
    for ip in loopback {
        match TcpStream::connect_timeout(&SocketAddr::new(ip, listen.port()), HEALTH_WITHIN) {
            Ok(stream) => return ask(stream),
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) => Err(error).context("nobody listens"),
        None => bail!("nobody listens"),
    }
}

fn ask(mut stream: TcpStream) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(HEALTH_WITHIN))?;
    stream.set_write_timeout(Some(HEALTH_WITHIN))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(MAX_HEALTH_BYTES).read_to_end(&mut answer).context("no answer")?;
    if answer.starts_with(b"HTTP/1.1 200") {
        return Ok(());
    }
    let answer = String::from_utf8_lossy(&answer);
    match answer.split_once("\r\n\r\n") {
        Some((_, why)) => bail!("not well: {}", why.lines().next().unwrap_or_default()),
        None => bail!("not well"),
    }
}

/// Takes as many sockets as the system lets it: the usual 1,024 are for programs that use select(2), and a call over
/// TCP has up to eight. Returns how many that are.
#[cfg(target_os = "linux")]
fn raise_file_limit() -> usize {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most).map(|()| most));
    match raised {
        Ok(most) => {
            debug!(most, "open files");
            usize::try_from(most).unwrap_or(usize::MAX)
        }
        Err(error) => {
            warn!(%error, "the limit of open files stays what it is");
            USUAL_FILES
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn raise_file_limit() -> usize {
    USUAL_FILES
}
