//! The pool of many machines, in a Redis (or Valkey) that they share.
//!
//! ```text
//!  visitor's task ─▶ Redis ──order──▶ one session ══script══▶ the pool's queues
//!        ▲                               ▲                        │
//!        └──────── Matched ──────────────┴──── offer, made ◀──────┘  hint by pub/sub; the truth lies in the inbox
//! ```
//!
//! - The rule is that of [`super::pairing`], in one script (`rule.lua`, `bars.lua`, `pool.lua`), so that each step is whole.
//!   The moment is passed in, on the engine's clock; only leases go by what the engine itself says.
//! - A node has a lease of [`LEASE`], renewed every [`BEAT_EVERY`]. Its tickets lie in one hash that expires with it. Every
//!   registration is a new session with a name of its own: what an earlier one asked for is refused, however late it comes.
//! - Two of one node are paired by the script. Two of different nodes are *offered* to both, and either agrees only while
//!   its visitor still waits and has no other offer: the node that holds the socket has the last word. A second match is
//!   refused, and the other is put back with the original time. A node that says nothing for [`AGREE_WITHIN`] loses its places;
//!   if it lives, it puts everybody in again.
//! - Hints are lost with a connection: so each node reads its inbox again when it is back, and every [`LOOK_EVERY`], and
//!   counts whether all who wait here wait there.
//! - What the two of a call tell each other goes by [`link`], through pub/sub and never into a key.
//! - The engine gone: everybody of this node goes into a [`Pool`] of its own until it is back. An offer that was agreed to, and
//!   of which nothing more is known, is taken back by mail.
//! - Networks are known by marks under a key of two halves: the operator's secret, and a random one that Redis has for two
//!   days. Neither leads anywhere without the other, and afterwards nobody has both.

pub mod link;
mod word;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, Value};
use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout};
use tracing::{info, warn};
use uuid::Uuid;

use self::link::{Heard, Link};
pub use self::word::Report;
use self::word::{Word, from_frame, hex, pack, ticket_id, to_frame, unpack, vanished};
use super::bars::{KEPT, NEVER};
use super::pairing::{DROPS, Pair, Pool, RECENT_FOR, Ticket, WIDEN_AFTER};
use super::{Matchmaker, introduce};
use crate::mailbox::{Mail, Mailbox, Match, Person, RelayAt, TicketId, VisitorId};
use crate::protocol::{CallId, Category, Role, ServerMessage, Side, Transport};

/// How long a node counts as there after it was last heard of.
pub const LEASE: Duration = Duration::from_secs(15);

/// How often a node renews its lease.
pub const BEAT_EVERY: Duration = Duration::from_secs(5);

/// How often a node looks whether it has missed a hint.
pub const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How long the other node may take to agree to a match.
pub const AGREE_WITHIN: Duration = Duration::from_secs(3);

/// How long the engine may take to answer. Past it, it counts as gone.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// How long to wait before the next try to reach the engine; doubles up to the second.
const RECONNECT: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];

/// How many orders go to the engine at once.
const BATCH: usize = 256;

/// How many names of words a script takes at once.
const MAX_HEARD: usize = 4_000;

/// How many notes are kept while the engine is gone.
const MAX_NOTES: usize = 16 * 1024;

/// More bars than honest reports make in a day, from both ends; the oldest goes.
const MAX_BARS: usize = 128 * 1024;

/// How far the two clocks may drift apart before everything is put in anew by the engine's.
const MAX_DRIFT: Duration = Duration::from_secs(1);

/// How long a node is without a lease before nothing more is kept for it.
const ABSENT_FOR: Duration = Duration::from_secs(60);

/// All keys have it as their hash tag, and so are in one slot of a cluster.
const PREFIX: &str = "{sotto}";

/// What a cluster's node has to be told.
pub struct Settings {
    /// Where the engine is.
    pub client: Client,
    /// The same on all nodes, and known to nobody else.
    pub secret: Vec<u8>,
    /// Where pages reach this node's relay.
    pub relay: RelayAt,
}

impl Settings {
    /// What is reached at `url` (`redis://`, or `rediss://` with TLS).
    ///
    /// # Errors
    ///
    /// When it is no such URL.
    pub fn new(url: &str, secret: Vec<u8>, relay: RelayAt) -> anyhow::Result<Self> {
        use ::redis::IntoConnectionInfo;
        let info = url.into_connection_info()?;
        let speaks = info.redis_settings().clone().set_protocol(::redis::ProtocolVersion::RESP3);
        Ok(Self { client: Client::open(info.set_redis_settings(speaks))?, secret, relay })
    }
}

/// What the rest of the house is told.
pub struct Hooks {
    /// A call of another node has ended whose relay may be here.
    pub revoke: Box<dyn Fn(CallId) + Send + Sync>,
    /// Somebody has reported somebody, on another node.
    pub reported: Box<dyn Fn(&Report) + Send + Sync>,
    /// The keys that networks are marked with, this day's and the one's before, and how long this day is still.
    pub keys: Box<dyn Fn([[u8; 32]; 2], Duration) + Send + Sync>,
}

/// Pairs the visitors of this process with those of others.
pub struct Redis(Arc<Inner>);

struct Inner {
    /// This process, as others know it.
    node: String,
    settings: Settings,
    hooks: Hooks,
    script: ::redis::Script,
    /// The last number that was given to a visitor or a ticket.
    number: AtomicU64,
    orders: mpsc::UnboundedSender<Order>,
    queue: tokio::sync::Mutex<mpsc::UnboundedReceiver<Order>>,
    /// Rung when the next event may have changed.
    changed: Notify,
    /// Held for microseconds, and never across an `await`.
    state: Mutex<State>,
}

struct State {
    /// Whether there is a session, and orders go to it.
    online: bool,
    /// Since when there is one, or none.
    since: Instant,
    /// Whose ticket has been offered which call.
    offers: HashMap<CallId, TicketId>,
    /// Who has met whom, always; and who waits, while alone.
    pool: Pool,
    waits: HashMap<TicketId, Wait>,
    by_visitor: HashMap<VisitorId, TicketId>,
    /// When whose ticket has to be looked at again: a widening, or the end of a meeting's fading between these two.
    schedule: BTreeSet<(Instant, u8, u64, u64, TicketId)>,
    /// The visitors of this node who are in a call with somebody of another.
    calls: HashMap<CallId, Elsewhere>,
    links: HashMap<String, Link>,
    /// Whose mail has been read and not been acknowledged.
    unread: BTreeSet<String>,
    /// What was said of visitors while alone.
    backlog: VecDeque<Note>,
    /// The reports of a day, for an engine that has lost them.
    reports: VecDeque<(Note, Note)>,
    /// A moment on both clocks, the other one in microseconds.
    clock: (Instant, u64),
    /// What has been heard and still lies in the inbox.
    heard: HashSet<String>,
    /// The random halves of the keys, by day.
    salts: BTreeMap<u64, String>,
}

struct Wait {
    ticket: Ticket,
    mailbox: Mailbox,
    /// What this node has agreed to.
    offer: Option<Offer>,
    /// When it came to this node.
    since: Instant,
}

struct Offer {
    call: CallId,
    side: Side,
    partner: Person,
    peer: String,
    relay: RelayAt,
    since: Instant,
}

/// A call with somebody of another node.
struct Elsewhere {
    mailbox: Mailbox,
    peer: String,
}

#[derive(Debug)]
enum Order {
    Join(TicketId, Instant),
    Retry(TicketId, Instant),
    Leave(TicketId),
    Accept(CallId, Side, TicketId),
    Refuse(CallId, Side, Instant),
    Resolve(CallId, Side, TicketId, Instant),
    Note(Note),
    /// A link has something to send.
    Flush,
    /// Say so when there is nothing left to do.
    Settle(oneshot::Sender<()>),
    Close(oneshot::Sender<()>),
}

/// What is said of visitors, and holds whether or not there is an engine just now.
#[derive(Debug, Clone)]
enum Note {
    /// Until when.
    Apart(VisitorId, VisitorId, Instant),
    Forget(VisitorId),
    /// Until when, and when it was said.
    Strict(VisitorId, VisitorId, Instant),
    Never(Person, Person, VisitorId, Instant),
    Drop(Person, Person, Instant),
    Report(Box<Report>),
}

/// Why a session is over. Names nothing that could hold an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Lost {
    #[error("it cannot be reached")]
    Unreachable,
    #[error("it does not answer in time")]
    Slow,
    #[error("the connection is lost")]
    Disconnected,
    #[error("it refuses what is asked of it")]
    Refused,
    #[error("it has forgotten this node")]
    Fenced,
    #[error("the clocks are too far apart")]
    Drifted,
}

/// One registration.
struct Session {
    name: String,
    connection: MultiplexedConnection,
    pushes: mpsc::UnboundedReceiver<PushInfo>,
}

impl Redis {
    /// A node that is not connected yet: [`Matchmaker::run`] does that.
    ///
    /// # Errors
    ///
    /// When the system has no random bytes.
    pub fn new(settings: Settings, hooks: Hooks) -> Result<Self, getrandom::Error> {
        let (orders, queue) = mpsc::unbounded_channel();
        let now = Instant::now();
        let state = State {
            online: false,
            since: now,
            offers: HashMap::new(),
            pool: Pool::default(),
            waits: HashMap::new(),
            by_visitor: HashMap::new(),
            schedule: BTreeSet::new(),
            calls: HashMap::new(),
            links: HashMap::new(),
            unread: BTreeSet::new(),
            backlog: VecDeque::new(),
            reports: VecDeque::new(),
            clock: (now, unix_micros()),
            heard: HashSet::new(),
            salts: BTreeMap::new(),
        };
        Ok(Self(Arc::new(Inner {
            node: hex(getrandom::u64()?),
            settings,
            hooks,
            script: ::redis::Script::new(&script()),
            number: AtomicU64::new(getrandom::u64()? >> 54 << 12),
            orders,
            queue: tokio::sync::Mutex::new(queue),
            changed: Notify::new(),
            state: Mutex::new(state),
        })))
    }

    /// Returns once everything has been done that was asked for, and what came of it. Also while alone.
    pub async fn settled(&self) {
        let (done, is_done) = oneshot::channel();
        let _ = self.0.orders.send(Order::Settle(done));
        let _ = is_done.await;
    }

    /// Whether there is an engine.
    pub fn is_online(&self) -> bool {
        self.0.lock().online
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redis(…)")
    }
}

/// The one script, with our numbers in it.
fn script() -> String {
    let milliseconds = |name: &str, time: Duration| format!("local {name} = {}\n", time.as_millis());
    let numbers = [
        format!("local WIDEN = {}\n", WIDEN_AFTER.as_micros()),
        milliseconds("LEASE", LEASE),
        milliseconds("ANSWER", AGREE_WITHIN),
        milliseconds("RECENT", RECENT_FOR),
        milliseconds("NEVER", NEVER),
        milliseconds("KEPT", NEVER + KEPT),
        format!("local MAX_BARS = {MAX_BARS}\nlocal DROPS = {DROPS}\n"),
        "local P, SESSION, NODE = KEYS[1] .. ':', ARGV[1], ARGV[2]\n".to_owned(),
    ];
    let rules = [include_str!("redis/bars.lua"), include_str!("redis/rule.lua"), include_str!("redis/pool.lua")];
    numbers.concat() + &rules.concat()
}

fn unix_micros() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

#[async_trait]
impl Matchmaker for Redis {
    fn new_visitor(&self) -> VisitorId {
        VisitorId(self.0.next_number())
    }

    fn new_ticket(&self) -> TicketId {
        TicketId(self.0.next_number())
    }

    fn join(&self, ticket: Ticket, mailbox: Mailbox, now: Instant) {
        let state = &mut *self.0.lock();
        if let Some(old) = state.by_visitor.get(&ticket.visitor).copied() {
            self.0.leave(state, old, now);
        }
        let id = ticket.id;
        state.by_visitor.insert(ticket.visitor, id);
        state.waits.insert(id, Wait { ticket: ticket.clone(), mailbox, offer: None, since: Instant::now() });
        if state.online {
            self.0.retry_due(state, now);
            state.plan(&ticket, now);
            self.0.order(Order::Join(id, now));
        } else {
            let pairs = state.pool.join(ticket, now);
            state.pair(pairs);
        }
        self.0.changed.notify_one();
    }

    fn leave(&self, ticket: TicketId) {
        self.0.leave(&mut self.0.lock(), ticket, Instant::now());
    }

    fn keep_apart(&self, one: VisitorId, other: VisitorId, now: Instant) {
        let state = &mut *self.0.lock();
        state.pool.keep_apart(one, other, now);
        let until = now + RECENT_FOR;
        for visitor in [one, other] {
            if let Some(ticket) = state.by_visitor.get(&visitor) {
                state.schedule.insert((until, 1, one.0.min(other.0), one.0.max(other.0), *ticket));
            }
        }
        self.0.note(state, Note::Apart(one, other, until));
        self.0.changed.notify_one();
    }

    fn never_again(&self, one: Person, other: Person, counts: bool, now: Instant) {
        let newcomer = self.new_visitor();
        let state = &mut *self.0.lock();
        if counts {
            state.pool.never_again(one, other, newcomer, now);
            self.0.note(state, Note::Never(one, other, newcomer, now));
        } else {
            state.pool.keep_strictly_apart(one.visitor, other.visitor, now);
            self.0.note(state, Note::Strict(one.visitor, other.visitor, now));
        }
    }

    fn share_report(&self, by: Person, of: Person, category: Category, at: Instant) {
        let newcomer = self.new_visitor();
        let state = &mut *self.0.lock();
        let report = Note::Report(Box::new(Report { by, of, category, newcomer, at }));
        state.reports.push_back((Note::Never(by, of, newcomer, at), report.clone()));
        state.reports.truncate(MAX_NOTES);
        self.0.note(state, report);
    }

    fn drop_match(&self, left_by: Person, other: Person, now: Instant) {
        let state = &mut *self.0.lock();
        state.pool.drop_match(left_by, other, now);
        self.0.note(state, Note::Drop(left_by, other, now));
    }

    fn fade(&self, now: Instant) {
        let state = &mut *self.0.lock();
        state.pool.fade(now);
        let over = |(note, _): &(Note, Note)| matches!(note, Note::Never(.., at) if *at + NEVER <= now);
        while state.reports.pop_front_if(|report| over(report)).is_some() {}
    }

    fn has_met(&self, visitor: VisitorId) -> bool {
        self.0.lock().pool.has_met(visitor)
    }

    fn forget(&self, visitor: VisitorId) {
        let state = &mut *self.0.lock();
        if let Some(ticket) = state.by_visitor.get(&visitor).copied() {
            self.0.leave(state, ticket, Instant::now());
        }
        if state.pool.has_met(visitor) {
            self.0.note(state, Note::Forget(visitor));
        }
        state.pool.forget(visitor);
    }

    fn waiting(&self) -> usize {
        self.0.lock().waits.len()
    }

    async fn run(&self) {
        let inner = &self.0;
        let mut queue = inner.queue.lock().await;
        let mut pause = RECONNECT[0];
        let mut name = String::new();
        let mut gone = None;
        loop {
            let connected = tokio::select! {
                // First, so that nothing is taken out of the queue that is for the session.
                biased;
                connected = inner.connect(&mut name) => connected,
                () = inner.alone(None, &mut queue) => Err(Lost::Unreachable),
            };
            let lost = match connected {
                Ok(session) => {
                    info!("connected to the engine");
                    (pause, gone) = (RECONNECT[0], None);
                    inner.serve(session, &mut queue).await
                }
                Err(lost) => lost,
            };
            if gone.replace(lost) != Some(lost) {
                warn!(reason = %lost, "the engine is gone: pairing alone");
            }
            inner.stand_alone(&mut queue);
            inner.alone(Some(pause), &mut queue).await;
            pause = (pause * 2).min(RECONNECT[1]);
        }
    }

    fn advance(&self, now: Instant) {
        self.0.advance(&mut self.0.lock(), now);
    }

    async fn close(&self) {
        let (done, is_done) = oneshot::channel();
        if self.0.orders.send(Order::Close(done)).is_ok() {
            let _ = timeout(ANSWER_WITHIN, is_done).await;
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock would be a bug of ours; what is known is still the best there is.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds, ten bits of this process's own, and a count: later ones are higher on all nodes, as far as their
    /// clocks agree.
    fn next_number(&self) -> u64 {
        let time = (unix_micros() / 1_000) << 22;
        let next = |last: u64| (last + 1).max(time | last & 0x3F_F000);
        let last = self.number.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        next(last.unwrap_or_else(|last| last))
    }

    fn order(&self, order: Order) {
        // An error would mean that this is being dropped.
        let _ = self.orders.send(order);
    }

    fn note(&self, state: &mut State, note: Note) {
        if state.online {
            self.order(Order::Note(note));
        } else {
            state.keep(note);
        }
    }

    /// Takes a ticket out, wherever it is.
    fn leave(&self, state: &mut State, ticket: TicketId, now: Instant) {
        let Some(wait) = state.take(ticket) else { return };
        if !state.online {
            return;
        }
        self.order(match wait.offer {
            Some(offer) => Order::Refuse(offer.call, offer.side, now),
            None => Order::Leave(ticket),
        });
    }

    fn advance(&self, state: &mut State, now: Instant) {
        if state.online {
            self.retry_due(state, now);
            // Nobody is in it; only meetings fade.
            state.pool.advance(now);
        } else {
            let pairs = state.pool.advance(now);
            state.pair(pairs);
        }
    }

    fn retry_due(&self, state: &mut State, now: Instant) {
        while let Some((at, .., ticket)) = state.schedule.first().copied().filter(|first| first.0 <= now) {
            state.schedule.pop_first();
            if state.waits.get(&ticket).is_some_and(|wait| wait.offer.is_none()) {
                self.order(Order::Retry(ticket, at));
            }
        }
    }

    /// Reaches the engine and registers, in place of the session of this name.
    async fn connect(self: &Arc<Self>, name: &mut String) -> Result<Session, Lost> {
        let (pushed, pushes) = mpsc::unbounded_channel();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER_WITHIN))
            .set_response_timeout(Some(ANSWER_WITHIN))
            .set_push_sender(pushed);
        let reach = self.settings.client.get_multiplexed_async_connection_with_config(&config);
        let mut connection =
            timeout(2 * ANSWER_WITHIN, reach).await.map_err(|_| Lost::Slow)?.map_err(|_| Lost::Unreachable)?;
        connection.subscribe(&[self.channel(&self.node), format!("{PREFIX}:all")]).await.map_err(lost)?;
        self.script.load_async(&mut connection).await.map_err(lost)?;
        let before = std::mem::replace(name, hex(getrandom::u64().map_err(|_| Lost::Refused)?));
        let mut session = Session { name: name.clone(), connection, pushes };
        let (known, since) = {
            let state = self.lock();
            (state.known_salts()?, state.micros(Instant::now()).saturating_sub(60_000_000))
        };
        // All of them, for a process that has just begun.
        let since = if before.is_empty() { 0 } else { since };
        let RelayAt { host, transports } = &self.settings.relay;
        let tls = u8::from(transports.contains(&Transport::Tls)).to_string();
        let asked = Instant::now();
        let arguments = ["register", &before, host, &tls, &since.to_string(), &known];
        let mut pipe = ::redis::pipe();
        self.call(&mut pipe, &session.name, arguments.map(str::to_owned).to_vec());
        let answer = session.ask(&pipe).await?.pop().ok_or(Lost::Refused)?;
        let mut fields = answer.into_iter().skip(1);
        let state = &mut *self.lock();
        let nodes = self.beaten(state, asked, &mut fields, true)?;
        let emptied = fields.next().is_some_and(|emptied| emptied == "1");
        for text in fields {
            self.hear_report(state, &text);
        }
        self.go_online(state, emptied, &nodes);
        Ok(session)
    }

    /// What every beat is answered with: the time, the day, what is left of it, two salts, and who is there.
    fn beaten(
        &self,
        state: &mut State,
        asked: Instant,
        fields: &mut impl Iterator<Item = String>,
        begins: bool,
    ) -> Result<HashSet<String>, Lost> {
        let mut number = || fields.next().and_then(|text| text.parse::<u64>().ok()).ok_or(Lost::Refused);
        let (time, day, left) = (number()?, number()?, number()?);
        let [salt, salt_before] = [(); 2].map(|()| fields.next().ok_or(Lost::Refused));
        let (salt, salt_before) = (salt?, salt_before?);
        let now = Instant::now();
        let middle = asked + now.saturating_duration_since(asked) / 2;
        if begins {
            state.clock = (middle, time);
        } else if state.micros(middle).abs_diff(time) > MAX_DRIFT.as_micros() as u64 {
            return Err(Lost::Drifted);
        }
        let salts = BTreeMap::from([(day, salt), (day.saturating_sub(1), salt_before)]);
        if state.salts != salts {
            let keys = [day, day.saturating_sub(1)].map(|day| self.key(salts.get(&day).map_or("", String::as_str)));
            (self.hooks.keys)(keys, Duration::from_micros(left));
            state.salts = salts;
        }
        Ok(fields.next().unwrap_or_default().split(',').map(str::to_owned).collect())
    }

    /// The key of a day, of which Redis has one half and the operator the other.
    fn key(&self, salt: &str) -> [u8; 32] {
        let mac = Hmac::<Sha256>::new_from_slice(&self.settings.secret).expect("HMAC takes keys of every length");
        mac.chain_update(b"sotto whence of a cluster").chain_update(salt).finalize().into_bytes().into()
    }

    fn channel(&self, node: &str) -> String {
        format!("{PREFIX}:to:{node}")
    }

    /// Puts everybody in who waits, and sends what has lain.
    fn go_online(&self, state: &mut State, emptied: bool, nodes: &HashSet<String>) {
        let now = Instant::now();
        (state.online, state.since) = (true, now);
        if emptied {
            for (one, other, until) in state.pool.recents().collect::<Vec<_>>() {
                self.order(Order::Note(Note::Apart(one, other, until)));
            }
            for (never, report) in &state.reports {
                self.order(Order::Note(never.clone()));
                self.order(Order::Note(report.clone()));
            }
        }
        for note in std::mem::take(&mut state.backlog) {
            self.order(Order::Note(note));
        }
        let mut all: Vec<Ticket> = state.waits.values().map(|wait| wait.ticket.clone()).collect();
        all.sort_by_key(|ticket| (ticket.joined, ticket.id));
        for ticket in all {
            state.pool.leave(ticket.id);
            state.plan(&ticket, now);
            self.order(Order::Join(ticket.id, now));
        }
        for link in state.links.values_mut() {
            link.rewind();
        }
        self.meet_nodes(state, nodes, now);
        self.order(Order::Flush);
    }

    /// Whoever has a partner on a node that is gone need not wait for a description. Nothing is kept for a node for ever.
    fn meet_nodes(&self, state: &mut State, nodes: &HashSet<String>, now: Instant) {
        // After an outage they come back one by one.
        if state.since + LEASE <= now {
            state.give_up_on(|peer| !nodes.contains(peer));
        }
        for (node, link) in &mut state.links {
            link.absent = if nodes.contains(node) { None } else { Some(link.absent.unwrap_or(now)) };
        }
        state.links.retain(|_, link| link.absent.is_none_or(|since| now < since + ABSENT_FOR));
    }

    /// From now on everybody of this node has only each other.
    fn stand_alone(&self, queue: &mut mpsc::UnboundedReceiver<Order>) {
        let now = Instant::now();
        let state = &mut *self.lock();
        if std::mem::take(&mut state.online) {
            state.since = now;
        }
        state.schedule.clear();
        state.offers.clear();
        // They are in nobody's pool but ours now. What was agreed to may have been made.
        let taken_back: Vec<Offer> = state.waits.values_mut().filter_map(|wait| wait.offer.take()).collect();
        for offer in taken_back {
            state.post(&offer.peer, vanished(offer.call), now);
        }
        while let Ok(order) = queue.try_recv() {
            state.drop_order(order);
        }
        let mut all: Vec<Ticket> = state.waits.values().map(|wait| wait.ticket.clone()).collect();
        all.sort_by_key(|ticket| (ticket.joined, ticket.id));
        for ticket in all {
            let pairs = state.pool.join(ticket, now);
            state.pair(pairs);
        }
    }

    /// Pairs this node's own visitors, for so long or until it is dropped.
    async fn alone(&self, pause: Option<Duration>, queue: &mut mpsc::UnboundedReceiver<Order>) {
        let over = pause.map(|pause| Instant::now() + pause);
        loop {
            let now = Instant::now();
            let next = {
                let state = &mut *self.lock();
                self.advance(state, now);
                if state.since + LEASE <= now {
                    // To the others we are gone.
                    state.give_up_on(|_| true);
                }
                let next = state.pool.next_event().into_iter().chain(over).min();
                next.map_or(now + LOOK_EVERY, |next| next.min(now + LOOK_EVERY))
            };
            if over.is_some_and(|over| over <= now) {
                return;
            }
            tokio::select! {
                () = sleep_until(next.into()) => {}
                () = self.changed.notified() => {}
                Some(order) = queue.recv() => self.lock().drop_order(order),
            }
        }
    }

    /// Carries orders out and hears what comes, until the engine is gone.
    async fn serve(self: &Arc<Self>, mut session: Session, queue: &mut mpsc::UnboundedReceiver<Order>) -> Lost {
        let [mut beats, mut looks] = [BEAT_EVERY, LOOK_EVERY].map(interval);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beats.reset();
        loop {
            let next = self.lock().schedule.first().map(|first| first.0);
            let done = tokio::select! {
                Some(order) = queue.recv() => self.carry_out(&mut session, order, queue).await,
                Some(push) = session.pushes.recv() => self.pushed(push),
                _ = beats.tick() => self.beat(&mut session).await,
                _ = looks.tick() => self.look(&mut session).await,
                () = async {
                    match next {
                        Some(at) => sleep_until(at.into()).await,
                        None => std::future::pending().await,
                    }
                } => {
                    self.advance(&mut self.lock(), Instant::now());
                    Ok(())
                }
                () = self.changed.notified() => Ok(()),
            };
            if let Err(lost) = done {
                return lost;
            }
        }
    }

    /// Adds a call of the script.
    fn call(&self, pipe: &mut ::redis::Pipeline, session: &str, arguments: Vec<String>) {
        pipe.cmd("EVALSHA").arg(self.script.get_hash()).arg(1).arg(PREFIX).arg(session).arg(&self.node).arg(arguments);
    }

    /// Carries out an order, and those that have come meanwhile.
    async fn carry_out(
        self: &Arc<Self>,
        session: &mut Session,
        first: Order,
        queue: &mut mpsc::UnboundedReceiver<Order>,
    ) -> Result<(), Lost> {
        let mut pipe = ::redis::pipe();
        let (mut settling, mut closing, mut notes, mut asked) = (Vec::new(), None, Vec::new(), 0);
        let mut next = Some(first);
        {
            let state = &mut *self.lock();
            while let Some(order) = next {
                match order {
                    Order::Settle(done) => {
                        // What the engine has said until now comes before its answer.
                        pipe.cmd("PING").ignore();
                        settling.push(done);
                    }
                    Order::Close(done) => {
                        self.call(&mut pipe, &session.name, vec!["close".to_owned()]);
                        closing = Some(done);
                        break;
                    }
                    Order::Flush => {}
                    order => {
                        if let Some(arguments) = state.arguments(&order, self) {
                            self.call(&mut pipe, &session.name, arguments);
                            asked += 1;
                        }
                        if let Order::Note(note) = order {
                            notes.push(note);
                        }
                    }
                }
                next = if asked < BATCH { queue.try_recv().ok() } else { None };
            }
            self.flush(state, &mut pipe);
        }
        let answers = if pipe.is_empty() { Ok(Vec::new()) } else { session.ask(&pipe).await };
        if let Some(done) = closing {
            // This process is about to end.
            let _ = done.send(());
            return std::future::pending().await;
        }
        let answers = match answers {
            Ok(answers) => answers,
            Err(lost) => {
                let state = &mut *self.lock();
                notes.into_iter().for_each(|note| state.keep(note));
                return Err(lost);
            }
        };
        for answer in answers {
            self.answered(answer)?;
        }
        for done in settling {
            // What has come of it may be to do still.
            if queue.is_empty() && session.pushes.is_empty() {
                let _ = done.send(());
            } else {
                self.order(Order::Settle(done));
            }
        }
        Ok(())
    }

    /// Sends what the links have.
    fn flush(&self, state: &mut State, pipe: &mut ::redis::Pipeline) {
        let now = Instant::now();
        let mut publish = |node: &str, word: &Word| {
            // Every word is made of strings and numbers: there is nothing in it that JSON cannot say.
            if let Ok(text) = serde_json::to_string(word) {
                pipe.cmd("PUBLISH").arg(self.channel(node)).arg(text).ignore();
            }
        };
        for (node, link) in state.links.iter_mut().filter(|(_, link)| link.wants_to_send()) {
            for (epoch, number, mail) in link.unsent(now) {
                publish(node, &Word::Mail { from: self.node.clone(), epoch, number, mail });
            }
        }
        for node in std::mem::take(&mut state.unread) {
            if let Some((epoch, next)) = state.links.get(&node).map(Link::awaits) {
                publish(&node, &Word::Read { from: self.node.clone(), epoch, next });
            }
        }
    }

    async fn beat(&self, session: &mut Session) -> Result<(), Lost> {
        let known = self.lock().known_salts()?;
        let mut pipe = ::redis::pipe();
        self.call(&mut pipe, &session.name, vec!["beat".to_owned(), known]);
        let asked = Instant::now();
        let mut fields = session.ask_one(&pipe).await?;
        let state = &mut *self.lock();
        let nodes = self.beaten(state, asked, &mut fields, false)?;
        self.meet_nodes(state, &nodes, Instant::now());
        Ok(())
    }

    /// Reads what hints there have been, and sees whether everybody waits.
    async fn look(self: &Arc<Self>, session: &mut Session) -> Result<(), Lost> {
        let heard: Vec<String> = self.lock().heard.iter().cloned().collect();
        let mut pipe = ::redis::pipe();
        for some in heard.chunks(MAX_HEARD) {
            self.call(&mut pipe, &session.name, [&["heard".to_owned()], some].concat());
        }
        self.call(&mut pipe, &session.name, vec!["look".to_owned()]);
        let asked = Instant::now();
        let mut fields = session.ask_one(&pipe).await?;
        let count = fields.next().and_then(|count| count.parse().ok());
        for text in fields {
            self.hear(&text, true);
        }
        let differs = {
            let state = &mut *self.lock();
            for field in heard {
                state.heard.remove(&field);
            }
            Some(state.waits.values().filter(|wait| wait.offer.is_none()).count()) != count
        };
        if differs {
            let mut pipe = ::redis::pipe();
            self.call(&mut pipe, &session.name, vec!["list".to_owned()]);
            let there: HashSet<String> = session.ask_one(&pipe).await?.collect();
            let now = Instant::now();
            let state = self.lock();
            for (id, wait) in &state.waits {
                // Those who have just come may be on their way.
                if wait.offer.is_none() && wait.since + LOOK_EVERY <= asked && !there.contains(&hex(id.0)) {
                    self.order(Order::Join(*id, now));
                }
            }
        }
        let now = Instant::now();
        let state = &mut *self.lock();
        for (id, offer) in state.waits.iter().filter_map(|(id, wait)| Some((*id, wait.offer.as_ref()?))) {
            if offer.since + AGREE_WITHIN <= now {
                self.order(Order::Resolve(offer.call, offer.side, id, now));
            }
        }
        let mut overdue = false;
        for link in state.links.values_mut() {
            overdue |= link.is_overdue(now);
        }
        if overdue {
            self.order(Order::Flush);
        }
        Ok(())
    }

    fn answered(self: &Arc<Self>, answer: Vec<String>) -> Result<(), Lost> {
        let mut words = answer.into_iter();
        if words.next().as_deref() != Some("ok") {
            return Err(Lost::Fenced);
        }
        for word in words {
            self.hear(&word, false);
        }
        Ok(())
    }

    fn pushed(self: &Arc<Self>, push: PushInfo) -> Result<(), Lost> {
        match push.kind {
            PushKind::Disconnection => Err(Lost::Disconnected),
            PushKind::Message => {
                let mut texts = push.data.into_iter().filter_map(|value| match value {
                    Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
                    Value::SimpleString(text) => Some(text),
                    _ => None,
                });
                if let (Some(channel), Some(text)) = (texts.next(), texts.next()) {
                    if channel == self.channel(&self.node) {
                        self.hear(&text, true);
                    } else {
                        self.hear_report(&mut self.lock(), &text);
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Another node's report; our own has been counted.
    fn hear_report(&self, state: &mut State, text: &str) {
        let read = Report::read(text, |micros| state.instant(micros));
        let Some((_, report)) = read.filter(|(node, _)| *node != self.node) else { return };
        state.pool.never_again(report.by, report.of, report.newcomer, report.at);
        (self.hooks.reported)(&report);
    }

    /// Does what a word says. What is no word is nothing, and what lies in the inbox is heard once.
    fn hear(self: &Arc<Self>, text: &str, lies: bool) {
        let Ok(word) = serde_json::from_str::<Word>(text) else { return };
        let now = Instant::now();
        let state = &mut *self.lock();
        if lies
            && let Some(field) = word.field()
            && !state.heard.insert(field)
        {
            return;
        }
        match word {
            Word::Both { older, newer, .. } => self.both(state, ticket_id(older), ticket_id(newer), now),
            Word::Offer { call, side, ticket, partner, host, tls } => {
                let ticket = ticket_id(ticket);
                let mut transports = vec![Transport::Udp, Transport::Tcp];
                transports.extend(tls.then_some(Transport::Tls));
                let offer = unpack(&partner).map(|(peer, partner)| Offer {
                    call,
                    side,
                    partner,
                    peer,
                    relay: RelayAt { host, transports },
                    since: now,
                });
                match (state.waits.get_mut(&ticket), offer) {
                    (Some(wait), Some(offer)) if wait.offer.is_none() => {
                        wait.offer = Some(offer);
                        state.offers.insert(call, ticket);
                        self.order(Order::Accept(call, side, ticket));
                    }
                    _ => self.order(Order::Refuse(call, side, now)),
                }
            }
            Word::Made { call, ticket, peer } => self.made(state, call, ticket_id(ticket), peer, now),
            Word::Void { call, ticket, placed } => {
                let ticket = ticket_id(ticket);
                if state.give_up(ticket, call) && !placed {
                    self.order(Order::Join(ticket, now));
                }
            }
            Word::Mail { from, epoch, number, mail } => self.mail(state, from, epoch, number, mail, now),
            Word::Read { from, epoch, next } => {
                if let Some(link) = state.links.get_mut(&from) {
                    link.acknowledged(epoch, next, now);
                    if link.wants_to_send() {
                        self.order(Order::Flush);
                    }
                }
            }
        }
    }

    /// Two of this node are paired. Whoever is left when the other has gone is put in again.
    fn both(&self, state: &mut State, older: TicketId, newer: TicketId, now: Instant) {
        let is_free = |ticket: &TicketId| state.waits.get(ticket).is_some_and(|wait| wait.offer.is_none());
        let free: Vec<TicketId> = [older, newer].into_iter().filter(is_free).collect();
        if free.len() < 2 {
            free.into_iter().for_each(|ticket| self.order(Order::Join(ticket, now)));
            return;
        }
        if let (Some(older), Some(newer)) = (state.take(older), state.take(newer)) {
            introduce(&Pair { older: older.ticket, newer: newer.ticket }, &older.mailbox, &newer.mailbox);
        }
    }

    /// A match with somebody of another node is made. If its visitor has moved on, the partner is told.
    fn made(self: &Arc<Self>, state: &mut State, call: CallId, ticket: TicketId, peer: String, now: Instant) {
        if state.calls.contains_key(&call) {
            return;
        }
        let agreed = |wait: &&mut Wait| wait.offer.as_ref().is_some_and(|offer| offer.call == call);
        state.offers.remove(&call);
        let Some(offer) = state.waits.get_mut(&ticket).filter(agreed).and_then(|wait| wait.offer.take()) else {
            state.post(&peer, vanished(call), now);
            return self.order(Order::Flush);
        };
        let Some(wait) = state.take(ticket) else { return };
        let matched = Match {
            call,
            side: offer.side,
            offerer: offer.side == Side::B,
            partner: Some(offer.partner),
            mailbox: self.mailbox(call, offer.peer.clone()),
            relay: Some(offer.relay),
        };
        state.calls.insert(call, Elsewhere { mailbox: wait.mailbox.clone(), peer: offer.peer });
        if !wait.mailbox.send(Mail::Matched(ticket, matched)) {
            state.calls.remove(&call);
            state.post(&peer, vanished(call), now);
            self.order(Order::Flush);
        }
    }

    /// The partner's mailbox, on another node.
    fn mailbox(self: &Arc<Self>, call: CallId, peer: String) -> Mailbox {
        let inner = Arc::clone(self);
        Mailbox::elsewhere(move |mail| {
            let state = &mut *inner.lock();
            if matches!(mail, Mail::Gone { .. }) {
                state.calls.remove(&call);
            }
            let is_posted = to_frame(mail).is_some_and(|frame| state.post(&peer, frame, Instant::now()));
            inner.order(Order::Flush);
            is_posted
        })
    }

    fn mail(
        self: &Arc<Self>,
        state: &mut State,
        from: String,
        epoch: u64,
        number: u64,
        frame: ServerMessage,
        now: Instant,
    ) {
        let heard = state.link(&from, now).heard(epoch, number);
        state.unread.insert(from.clone());
        self.order(Order::Flush);
        let Some((call, mail)) = from_frame(frame).filter(|_| heard == Heard::Next) else { return };
        let is_end = matches!(mail, Mail::Gone { .. });
        if let Some(ticket) = state.offers.get(&call).copied() {
            // The other has heard before us that it is made; or takes it back.
            if is_end {
                state.give_up(ticket, call);
                return self.order(Order::Join(ticket, now));
            }
            self.made(state, call, ticket, from.clone(), now);
        }
        match state.calls.get(&call).filter(|elsewhere| elsewhere.peer == from) {
            Some(elsewhere) => {
                elsewhere.mailbox.send(mail);
                if is_end {
                    state.calls.remove(&call);
                }
            }
            None if !is_end => {
                state.post(&from, vanished(call), now);
            }
            None => {}
        }
        if is_end {
            (self.hooks.revoke)(call);
        }
    }
}

impl State {
    /// Out of what waits here, whether or not somewhere else.
    fn take(&mut self, ticket: TicketId) -> Option<Wait> {
        let wait = self.waits.remove(&ticket)?;
        self.by_visitor.remove(&wait.ticket.visitor);
        wait.offer.as_ref().map(|offer| self.offers.remove(&offer.call));
        self.pool.leave(ticket);
        Some(wait)
    }

    /// Tells those whom our own pool has paired.
    fn pair(&mut self, pairs: Vec<Pair>) {
        for pair in pairs {
            if let (Some(older), Some(newer)) = (self.take(pair.older.id), self.take(pair.newer.id)) {
                introduce(&pair, &older.mailbox, &newer.mailbox);
            }
        }
    }

    /// When a ticket has to be looked at again.
    fn plan(&mut self, ticket: &Ticket, now: Instant) {
        let widens = ticket.joined + WIDEN_AFTER;
        if ticket.role != Role::Either && widens > now {
            self.schedule.insert((widens, 0, ticket.id.0, 0, ticket.id));
        }
        for (partner, until) in self.pool.met(ticket.visitor) {
            let (low, high) = (ticket.visitor.0.min(partner.0), ticket.visitor.0.max(partner.0));
            self.schedule.insert((until, 1, low, high, ticket.id));
        }
    }

    /// The offer to this ticket has come to nothing. False when there was no such offer.
    fn give_up(&mut self, ticket: TicketId, call: CallId) -> bool {
        self.offers.remove(&call);
        let agreed = |wait: &&mut Wait| wait.offer.as_ref().is_some_and(|offer| offer.call == call);
        self.waits.get_mut(&ticket).filter(agreed).map(|wait| wait.offer = None).is_some()
    }

    /// Whoever waits for a description from one of these nodes need not any more.
    fn give_up_on(&mut self, is_gone: impl Fn(&str) -> bool) {
        for (call, elsewhere) in self.calls.iter().filter(|(_, elsewhere)| is_gone(&elsewhere.peer)) {
            elsewhere.mailbox.send(Mail::Unreachable { call: *call });
        }
    }

    fn link(&mut self, node: &str, now: Instant) -> &mut Link {
        self.links.entry(node.to_owned()).or_insert_with(|| Link::new(unix_micros(), now))
    }

    fn post(&mut self, node: &str, mail: ServerMessage, now: Instant) -> bool {
        self.link(node, now).push(mail)
    }

    fn keep(&mut self, note: Note) {
        if self.backlog.len() == MAX_NOTES {
            self.backlog.pop_front();
        }
        self.backlog.push_back(note);
    }

    /// An order for which there is no session. Who waits is known without it.
    fn drop_order(&mut self, order: Order) {
        match order {
            Order::Note(note) => self.keep(note),
            Order::Settle(done) | Order::Close(done) => drop(done.send(())),
            _ => {}
        }
    }

    /// A moment on the engine's clock, in microseconds.
    fn micros(&self, at: Instant) -> u64 {
        let (anchor, micros) = self.clock;
        let span = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        match at.checked_duration_since(anchor) {
            Some(after) => micros.saturating_add(span(after)),
            None => micros.saturating_sub(span(anchor - at)),
        }
    }

    /// A moment on ours; as early as there can be, for one before that.
    fn instant(&self, micros: u64) -> Instant {
        let (anchor, here) = self.clock;
        let span = Duration::from_micros(micros.abs_diff(here));
        if micros >= here { anchor + span } else { anchor.checked_sub(span).unwrap_or(anchor) }
    }

    fn known_salts(&self) -> Result<String, Lost> {
        let mut known: BTreeMap<String, String> =
            self.salts.iter().map(|(day, salt)| (day.to_string(), salt.clone())).collect();
        for fresh in ["fresh1", "fresh2"] {
            let mut bytes = [0; 32];
            getrandom::fill(&mut bytes).map_err(|_| Lost::Refused)?;
            known.insert(fresh.to_owned(), bytes.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        serde_json::to_string(&known).map_err(|_| Lost::Refused)
    }

    /// What the script is asked for; nothing when it has become pointless.
    fn arguments(&self, order: &Order, node: &Inner) -> Option<Vec<String>> {
        let micros = |at: &Instant| self.micros(*at).to_string();
        let fresh = || Uuid::new_v4().to_string();
        let side = |side: &Side| if *side == Side::A { "a".to_owned() } else { "b".to_owned() };
        let visitor = |visitor: &VisitorId| hex(visitor.0);
        Some(match order {
            Order::Join(id, now) => {
                let wait = self.waits.get(id).filter(|wait| wait.offer.is_none())?;
                let packed = pack(&wait.ticket, &node.node, self.micros(wait.ticket.joined));
                vec!["join".to_owned(), hex(id.0), packed, micros(now), fresh()]
            }
            Order::Retry(id, at) => {
                let wait = self.waits.get(id).filter(|wait| wait.offer.is_none())?;
                // As the script reckons: the sum of two truncated times may be later than the truncated sum.
                let widens = self.micros(wait.ticket.joined) + WIDEN_AFTER.as_micros() as u64;
                let at = self.micros(*at);
                let at = if at.abs_diff(widens) <= 1 { at.max(widens) } else { at };
                vec!["retry".to_owned(), hex(id.0), at.to_string(), fresh()]
            }
            Order::Leave(id) => vec!["leave".to_owned(), hex(id.0)],
            Order::Accept(call, of, id) => vec!["accept".to_owned(), call.to_string(), side(of), hex(id.0)],
            Order::Refuse(call, of, now) => {
                vec!["refuse".to_owned(), call.to_string(), side(of), micros(now), fresh()]
            }
            Order::Resolve(call, of, id, now) => {
                vec!["resolve".to_owned(), call.to_string(), side(of), hex(id.0), micros(now), fresh()]
            }
            Order::Note(note) => match note {
                Note::Apart(one, other, until) => {
                    vec!["apart".to_owned(), visitor(one), visitor(other), micros(until)]
                }
                Note::Forget(one) => vec!["forget".to_owned(), visitor(one)],
                Note::Strict(one, other, at) => {
                    vec!["strict".to_owned(), visitor(one), visitor(other), micros(&(*at + NEVER)), micros(at)]
                }
                Note::Never(one, other, newcomer, at) => {
                    let network = |person: &Person| person.whence.map(|whence| hex(whence.network[0]));
                    let same = one.whence.zip(other.whence).is_some_and(|(near, far)| near.is_near(&far));
                    vec![
                        "never".to_owned(),
                        visitor(&one.visitor),
                        visitor(&other.visitor),
                        network(one).unwrap_or_default(),
                        network(other).unwrap_or_default(),
                        u8::from(same).to_string(),
                        visitor(newcomer),
                        micros(&(*at + NEVER)),
                        micros(at),
                    ]
                }
                Note::Drop(by, other, at) => {
                    let whence = by.whence?;
                    // Without a network of the other's there is nothing to tell it apart from.
                    let same = other.whence.is_none_or(|far| whence.is_near(&far));
                    let network = hex(whence.network[0]);
                    let until = micros(&(*at + RECENT_FOR));
                    vec![
                        "drop".to_owned(),
                        network,
                        visitor(&other.visitor),
                        u8::from(same).to_string(),
                        until,
                        micros(at),
                    ]
                }
                Note::Report(report) => vec!["report".to_owned(), report.write(&node.node, self.micros(report.at))],
            },
            Order::Flush | Order::Settle(_) | Order::Close(_) => return None,
        })
    }
}

impl Session {
    /// Sends, and returns what each call of the script has answered.
    async fn ask(&mut self, pipe: &::redis::Pipeline) -> Result<Vec<Vec<String>>, Lost> {
        pipe.query_async(&mut self.connection).await.map_err(lost)
    }

    /// The same, where only the last answer matters.
    async fn ask_one(&mut self, pipe: &::redis::Pipeline) -> Result<impl Iterator<Item = String> + use<>, Lost> {
        let mut answer = self.ask(pipe).await?.pop().ok_or(Lost::Refused)?.into_iter();
        if answer.next().as_deref() != Some("ok") {
            return Err(Lost::Fenced);
        }
        Ok(answer)
    }
}

fn lost(error: ::redis::RedisError) -> Lost {
    if error.is_timeout() {
        Lost::Slow
    } else if error.is_io_error() || error.is_connection_dropped() {
        Lost::Disconnected
    } else {
        Lost::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_number_is_higher() {
        let settings =
            Settings::new("redis://localhost", vec![1; 16], RelayAt { host: "a".to_owned(), transports: vec![] });
        let hooks = Hooks { revoke: Box::new(|_| {}), reported: Box::new(|_| {}), keys: Box::new(|_, _| {}) };
        let redis = Redis::new(settings.expect("a URL"), hooks).expect("random bytes");
        let numbers: Vec<u64> = (0..9_000).map(|_| redis.new_visitor().0).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next));
        assert!(numbers[0] >> 22 > 1_700_000_000_000);
        assert_eq!(format!("{redis:?}"), "Redis(…)");
    }
}
