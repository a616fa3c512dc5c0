//! Several servers that share a Redis: everybody is paired across them, whatever becomes of a server or of the Redis nobody
//! is lost or paired twice, and a call that has begun does not notice.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sotto::caller::signalling::{Signalling, SignallingError};
use sotto::caller::{Caller, Ending, Options};
use sotto::protocol::{
    CallId, Category, ClientMessage, Description, EndReason, Languages, Port, ProblemCode, Relay, Role, ServerMessage,
    Setup, Side, Struggling,
};
use sotto::relay::Credentials;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::browser::Scratch;
use crate::engine::{Engine, free_port};
use crate::line::{Line, Way, Weather};
use crate::relay::client::Client;
use crate::server::{DEADLINE, TestServer};
use crate::signalling::description;
use crate::tls::Identity;

/// What takes a lease (15 s), a beat (5 s) and some more.
const LEASE: Duration = Duration::from_secs(40);

/// What a node says that has come.
const ONLINE: &str = "connected to the engine";

/// And one that has only itself.
const ALONE: &str = "pairing alone";

/// Servers of one cluster.
struct Cluster {
    engine: Engine,
    nodes: Vec<TestServer>,
    secret: PathBuf,
    /// Who has signed the Redis' certificate, if it has one.
    authority: Option<PathBuf>,
    _folder: Scratch,
}

impl Cluster {
    async fn of(count: usize) -> Self {
        Self::with(Engine::start().await, count, None).await
    }

    async fn with(engine: Engine, count: usize, authority: Option<PathBuf>) -> Self {
        let folder = Scratch::new();
        let secret = folder.0.join("secret");
        std::fs::write(&secret, "a secret that all of them have").expect("a file");
        let mut cluster = Self { engine, nodes: Vec::new(), secret, authority, _folder: folder };
        for _ in 0..count {
            cluster.add(&cluster.engine.url()).await;
        }
        cluster
    }

    /// One more, which finds the Redis here.
    async fn add(&mut self, redis: &str) {
        let port = free_port().await;
        let mut command = Command::new(env!("CARGO_BIN_EXE_sotto"));
        command
            .args(["--allow-native", "--redis", redis, "--relay-host", &format!("localhost:{port}"), "--secret-file"])
            .arg(&self.secret)
            .env("SOTTO_LISTEN", format!("127.0.0.1:{port}"))
            .envs(self.authority.iter().map(|authority| ("SSL_CERT_FILE", authority)));
        let node = TestServer::start_as(&mut command).await;
        node.said(ONLINE).await;
        self.nodes.push(node);
    }
}

/// A visitor of whom only the socket is real.
struct Guest(Signalling);

/// What it is told of a match.
struct Matched {
    call: CallId,
    side: Side,
    relay: Relay,
}

impl Guest {
    async fn arrive(node: &TestServer) -> Self {
        let mut socket = Signalling::connect(&node.ws(), None, None).await.expect("a socket");
        socket.hello(None).await.expect("a welcome");
        Self(socket)
    }

    async fn waiting(node: &TestServer, language: &str) -> Self {
        let mut guest = Self::arrive(node).await;
        guest.join(language).await;
        assert_eq!(guest.next().await, ServerMessage::Waiting { usual: None });
        guest
    }

    async fn join(&mut self, language: &str) {
        let languages = Languages::new(vec![language.to_owned()]).expect("a language");
        self.say(ClientMessage::Join {
            languages,
            role: Role::Either,
            avoid_recent: true,
            struggling: Struggling(false),
            proof: None,
        })
        .await;
    }

    async fn say(&mut self, message: ClientMessage) {
        self.0.send(&message).await.expect("sent");
    }

    async fn next(&mut self) -> ServerMessage {
        timeout(LEASE, self.0.next()).await.expect("a frame in time").expect("a frame")
    }

    async fn matched(&mut self) -> Matched {
        loop {
            match self.next().await {
                ServerMessage::Matched { call, side, relay, .. } => return Matched { call, side, relay },
                ServerMessage::Waiting { .. } => {}
                other => panic!("not a match: {other:?}"),
            }
        }
    }

    /// Fails unless the match has come to nothing, and one waits again.
    async fn back(&mut self, call: CallId) {
        assert_eq!(self.next().await, ServerMessage::Ended { call, why: EndReason::Vanished });
        assert_eq!(self.next().await, ServerMessage::Waiting { usual: None });
    }

    /// Whoever has left the queue hears no more; the answer to a frame that is refused shows that it was read.
    async fn until_idle(&mut self) {
        self.say(ClientMessage::Hello { resume: None }).await;
        while !matches!(self.next().await, ServerMessage::Problem { .. }) {}
    }

    /// Fails unless this one is in a call, or waits; nothing that was said before the answer is left unread.
    async fn is(&mut self, code: ProblemCode) {
        self.join("en").await;
        match self.next().await {
            ServerMessage::Problem { code: found, .. } => assert_eq!(found, code),
            other => panic!("not a problem: {other:?}"),
        }
    }
}

fn described(call: CallId, setup: Setup) -> (ClientMessage, ServerMessage) {
    let description: Description = description(setup);
    (ClientMessage::Describe { call, description: description.clone() }, ServerMessage::Describe { call, description })
}

/// The two are in a call, in which nobody has said anything; what the first was told. Two servers' clocks agree to some
/// milliseconds (each has Redis' own, and half of the way to it), so either may be taken for the one who waited longer.
async fn met(older: &mut Guest, newer: &mut Guest) -> Matched {
    let (one, other) = (older.matched().await, newer.matched().await);
    assert_eq!((one.call, one.side), (other.call, other.side.other()));
    assert_eq!((&one.relay.host, &one.relay.transports), (&other.relay.host, &other.relay.transports));
    one
}

/// And these have said all that there is to say, and talk.
async fn talk(older: &mut Guest, newer: &mut Guest) -> CallId {
    let Matched { call, side, .. } = met(older, newer).await;
    let (offerer, answerer) = if side == Side::A { (newer, older) } else { (older, newer) };
    let (said, heard) = described(call, Setup::Actpass);
    offerer.say(said).await;
    assert_eq!(answerer.next().await, heard);
    let (said, heard) = described(call, Setup::Active);
    answerer.say(said).await;
    assert_eq!(offerer.next().await, heard);
    for side in [answerer, offerer] {
        side.say(ClientMessage::Connected { call }).await;
        side.is(ProblemCode::AlreadyInCall).await;
    }
    call
}

/// One on each of two nodes, who talk; the first has waited longer.
async fn talking(cluster: &Cluster, nodes: [usize; 2], language: &str) -> (Guest, Guest, CallId) {
    let mut older = Guest::waiting(&cluster.nodes[nodes[0]], language).await;
    let mut newer = Guest::waiting(&cluster.nodes[nodes[1]], language).await;
    let call = talk(&mut older, &mut newer).await;
    (older, newer, call)
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_paired_across_three_nodes_and_none_twice() {
    let cluster = Cluster::of(3).await;
    let arrive = (0..60).map(|number| Guest::arrive(&cluster.nodes[number % 3]));
    let mut guests = join_all(arrive).await;
    join_all(guests.iter_mut().map(|guest| guest.join("en"))).await;
    let matches = join_all(guests.iter_mut().map(Guest::matched)).await;
    let mut calls: HashMap<CallId, Vec<&Matched>> = HashMap::new();
    for matched in &matches {
        calls.entry(matched.call).or_default().push(matched);
    }
    assert_eq!(calls.len(), 30);
    let mut hosts = HashSet::new();
    for both in calls.values() {
        let [one, other] = both[..] else { panic!("{} in one call", both.len()) };
        assert_ne!(one.side, other.side);
        assert_eq!(one.relay.host, other.relay.host);
        hosts.insert(one.relay.host.clone());
    }
    for node in &cluster.nodes {
        node.said("listening").await;
    }
    assert!(hosts.len() > 1, "the relays share the calls: {hosts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_on_two_nodes_hear_each_other_and_leave() {
    let cluster = Cluster::of(2).await;
    let mut callers = Vec::new();
    for node in &cluster.nodes {
        let mut caller = Caller::connect(&node.ws(), Options::default()).await.expect("a welcome");
        caller
            .join(Languages::new(vec!["en".to_owned()]).expect("a language"), Role::Either, false)
            .await
            .expect("sent");
        callers.push(caller);
    }
    let (newer, older) = (callers.pop().expect("two"), callers.pop().expect("two"));
    let (mut older, mut newer) = tokio::try_join!(older.call(DEADLINE), newer.call(DEADLINE)).expect("a partner");
    tokio::try_join!(older.hear(20, DEADLINE), newer.hear(20, DEADLINE)).expect("packets");
    let (emoji, partners) = tokio::try_join!(older.emoji(), newer.emoji()).expect("six emoji");
    assert_eq!(emoji, partners);
    let _idle = older.leave().await.expect("an idle caller");
    assert_eq!(timeout(DEADLINE, newer.ended()).await.expect("an end"), Ending::Server(EndReason::Left));
}

/// Wherever the relay is, and whoever leaves: nobody gets anything of a call that is over.
#[tokio::test(flavor = "multi_thread")]
async fn the_relays_node_knows_when_a_call_is_over() {
    let cluster = Cluster::of(2).await;
    let mut seen = HashSet::new();
    let mut number = 0;
    while seen.len() < 4 {
        number += 1;
        let mut older = Guest::waiting(&cluster.nodes[0], "en").await;
        let mut newer = Guest::waiting(&cluster.nodes[1], "en").await;
        let Matched { call, relay, .. } = met(&mut older, &mut newer).await;
        let port = relay.host.as_ref().and_then(|host| host.rsplit_once(':')?.1.parse::<u16>().ok()).expect("a port");
        let allocate = || {
            let credentials = Credentials { username: relay.username.clone(), credential: relay.credential.clone() };
            let [local, server] = [0, port].map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
            tokio::task::block_in_place(|| Client::new(local, server, credentials).allocate())
        };
        assert_eq!(allocate(), 0);
        let leaves = number % 2;
        let (leaver, left) = if leaves == 0 { (&mut older, &mut newer) } else { (&mut newer, &mut older) };
        leaver.say(ClientMessage::Leave {}).await;
        assert_eq!(left.next().await, ServerMessage::Ended { call, why: EndReason::Vanished });
        assert_eq!(allocate(), 403);
        left.say(ClientMessage::Leave {}).await;
        left.until_idle().await;
        seen.insert((leaves, port));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_reached_by_tls_with_a_password_that_nobody_prints() {
    let identity = Identity::signed("localhost");
    let authority = identity.authority.clone();
    let cluster = Cluster::with(Engine::start_tls(identity).await, 2, Some(authority)).await;
    let mut older = Guest::waiting(&cluster.nodes[0], "en").await;
    let mut newer = Guest::waiting(&cluster.nodes[1], "en").await;
    met(&mut older, &mut newer).await;
    for node in cluster.nodes {
        let said = node.stop_at_once().await;
        assert!(said.contains(ONLINE) && !said.contains("sesame"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_has_nobodys_address_and_no_description_and_nothing_for_ever() {
    let cluster = Cluster::of(2).await;
    let (mut older, mut newer, call) = talking(&cluster, [0, 1], "en").await;
    let port = Port::new(50_000_u16).expect("a port");
    newer.say(ClientMessage::Candidate { call, port: port.clone() }).await;
    assert_eq!(older.next().await, ServerMessage::Candidate { call, port });
    let waiting = Guest::waiting(&cluster.nodes[0], "de").await;
    older.say(ClientMessage::Report { call, category: Category::Other }).await;
    assert_eq!(newer.next().await, ServerMessage::Ended { call, why: EndReason::Left });
    let there = ["tickets:", "queue:de", "recent:", "reports", "salt:", "late:n"];
    let everything = cluster.engine.everything_with(&there).await;
    // The relays' own names are `localhost`. All visitors come from one address, and their description has these.
    for not_there in ["127.0.0.1", "abcdefghijklmnopqrstuv", &"0".repeat(64), "candidate", "secret"] {
        assert!(!everything.contains(not_there), "{not_there} in {everything}");
    }
    let keys: Vec<String> = cluster.engine.ask(&["KEYS", "*"]).await;
    for key in keys {
        assert!(key.starts_with("{sotto}:"), "{key}");
        let left: i64 = cluster.engine.ask(&["PTTL", &key]).await;
        assert!(left > 0 || left == -2, "{key} is for ever");
    }
    drop(waiting);
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_and_their_cool_downs_are_known_on_every_node() {
    let cluster = Cluster::of(2).await;
    let (mut older, mut newer, call) = talking(&cluster, [0, 1], "en").await;
    older.say(ClientMessage::Report { call, category: Category::Hateful }).await;
    assert_eq!(newer.next().await, ServerMessage::Ended { call, why: EndReason::Left });
    // Of one network: it is the two, and who comes afterwards, whichever node they come to.
    newer.join("en").await;
    assert_eq!(newer.next().await, ServerMessage::Waiting { usual: None });
    older.join("en").await;
    assert_eq!(older.next().await, ServerMessage::Waiting { usual: None });
    let mut reloaded = Guest::waiting(&cluster.nodes[0], "en").await;
    let mut somebody = Guest::waiting(&cluster.nodes[1], "en").await;
    met(&mut reloaded, &mut somebody).await;
    newer.is(ProblemCode::AlreadyWaiting).await;
    older.is(ProblemCode::AlreadyWaiting).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_killed_in_mid_call_in_mid_match_and_while_people_wait() {
    let mut cluster = Cluster::of(3).await;
    let (mut caller, _partner, _) = talking(&cluster, [0, 2], "en").await;
    let mut matched = Guest::waiting(&cluster.nodes[0], "de").await;
    let mut partner = Guest::waiting(&cluster.nodes[2], "de").await;
    let Matched { call, .. } = met(&mut matched, &mut partner).await;
    let _ghost = Guest::waiting(&cluster.nodes[2], "fr").await;
    cluster.nodes.remove(2).kill().await;
    // Whoever waited there comes back elsewhere, and so does whoever would be paired with a ghost: at once.
    let mut first = Guest::waiting(&cluster.nodes[0], "fr").await;
    let mut second = Guest::waiting(&cluster.nodes[1], "fr").await;
    met(&mut first, &mut second).await;
    // Within the lease whoever was about to talk is back in their place.
    matched.back(call).await;
    let mut other = Guest::waiting(&cluster.nodes[1], "de").await;
    met(&mut matched, &mut other).await;
    // And a call is a matter of the two in it.
    caller.is(ProblemCode::AlreadyInCall).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_killed_and_comes_back_empty() {
    let mut cluster = Cluster::of(2).await;
    let (mut older, mut newer, call) = talking(&cluster, [0, 1], "en").await;
    let mut early = Guest::waiting(&cluster.nodes[0], "de").await;
    let mut match_of_two = Guest::waiting(&cluster.nodes[0], "pt").await;
    let mut partner = Guest::waiting(&cluster.nodes[1], "pt").await;
    let Matched { call: begun, side, .. } = met(&mut match_of_two, &mut partner).await;
    let (mut offerer, mut answerer) = if side == Side::A { (partner, match_of_two) } else { (match_of_two, partner) };
    cluster.engine.kill().await;
    for node in &cluster.nodes {
        node.said(ALONE).await;
    }
    // Each node pairs its own.
    let mut own = Guest::waiting(&cluster.nodes[0], "fr").await;
    let mut next = Guest::waiting(&cluster.nodes[0], "fr").await;
    let local = talk(&mut own, &mut next).await;
    // What is said meanwhile arrives afterwards, and nobody is told that anything was lost.
    let (said, heard) = described(begun, Setup::Actpass);
    offerer.say(said).await;
    cluster.engine.begin().await;
    for node in &cluster.nodes {
        node.said_times(ONLINE, 2).await;
    }
    assert_eq!(answerer.next().await, heard);
    // Who has waited all the time is the first.
    let mut late = Guest::waiting(&cluster.nodes[1], "de").await;
    met(&mut early, &mut late).await;
    for guest in [&mut older, &mut newer, &mut own, &mut next] {
        guest.is(ProblemCode::AlreadyInCall).await;
    }
    newer.say(ClientMessage::Leave {}).await;
    assert_eq!(older.next().await, ServerMessage::Ended { call, why: EndReason::Left });
    own.say(ClientMessage::Leave {}).await;
    assert_eq!(next.next().await, ServerMessage::Ended { call: local, why: EndReason::Left });
    // Those who have just talked are still kept apart, although Redis has forgotten it.
    for guest in [&mut older, &mut newer] {
        guest.join("en").await;
        assert_eq!(guest.next().await, ServerMessage::Waiting { usual: None });
    }
    let mut third = Guest::waiting(&cluster.nodes[0], "en").await;
    let call = third.matched().await.call;
    // Their servers may disagree by milliseconds on who of them came first.
    let waits = tokio::select! {
        matched = older.matched() => {
            assert_eq!(matched.call, call);
            &mut newer
        }
        matched = newer.matched() => {
            assert_eq!(matched.call, call);
            &mut older
        }
    };
    waits.is(ProblemCode::AlreadyWaiting).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_emptied_while_people_wait() {
    let cluster = Cluster::of(2).await;
    let mut first = Guest::waiting(&cluster.nodes[0], "en").await;
    let mut other = Guest::waiting(&cluster.nodes[0], "de").await;
    let (mut older, mut newer, call) = talking(&cluster, [0, 1], "fr").await;
    let _: () = cluster.engine.ask(&["FLUSHALL"]).await;
    let mut second = Guest::waiting(&cluster.nodes[1], "en").await;
    let mut another = Guest::waiting(&cluster.nodes[1], "de").await;
    met(&mut first, &mut second).await;
    met(&mut other, &mut another).await;
    newer.say(ClientMessage::Leave {}).await;
    assert_eq!(older.next().await, ServerMessage::Ended { call, why: EndReason::Left });
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_does_not_answer_for_a_while() {
    let cluster = Cluster::of(2).await;
    let mut first = Guest::waiting(&cluster.nodes[0], "en").await;
    let (mut older, mut newer, _) = talking(&cluster, [0, 1], "fr").await;
    let _: () = cluster.engine.ask(&["CLIENT", "PAUSE", "12000", "ALL"]).await;
    // They were about to be paired, on two nodes, and neither knows what has become of it.
    let mut second = Guest::waiting(&cluster.nodes[1], "en").await;
    for node in &cluster.nodes {
        node.said(ALONE).await;
    }
    // Now each has somebody of their own node, and once all is said again nobody has two.
    let mut third = Guest::waiting(&cluster.nodes[0], "en").await;
    let mut fourth = Guest::waiting(&cluster.nodes[1], "en").await;
    talk(&mut first, &mut third).await;
    talk(&mut second, &mut fourth).await;
    for node in &cluster.nodes {
        node.said_times(ONLINE, 2).await;
    }
    let mut fifth = Guest::waiting(&cluster.nodes[0], "en").await;
    let mut sixth = Guest::waiting(&cluster.nodes[1], "en").await;
    met(&mut fifth, &mut sixth).await;
    for guest in [&mut older, &mut newer, &mut first, &mut second, &mut third, &mut fourth] {
        guest.is(ProblemCode::AlreadyInCall).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_does_not_reach_redis_and_the_others_do() {
    let mut cluster = Cluster::of(2).await;
    let line = Line::to(cluster.engine.port, 1).await;
    cluster.add(&format!("redis://{}", line.host)).await;
    let (mut caller, mut partner, call) = talking(&cluster, [0, 2], "fr").await;
    let mut matched = Guest::waiting(&cluster.nodes[0], "de").await;
    let mut cut_off = Guest::waiting(&cluster.nodes[2], "de").await;
    let Matched { call: begun, .. } = met(&mut matched, &mut cut_off).await;
    let mut early = Guest::waiting(&cluster.nodes[2], "en").await;
    line.turn(Weather { tcp: Way::cut(), ..Weather::default() });
    cluster.nodes[2].said(ALONE).await;
    // Whoever is paired with somebody who is cut off has another partner soon.
    let mut first = Guest::waiting(&cluster.nodes[0], "en").await;
    let mut second = Guest::waiting(&cluster.nodes[1], "en").await;
    met(&mut first, &mut second).await;
    // Those who were about to talk to each other are back in their places, on both sides.
    matched.back(begun).await;
    cut_off.back(begun).await;
    let mut own = Guest::waiting(&cluster.nodes[2], "de").await;
    met(&mut cut_off, &mut own).await;
    for guest in [&mut caller, &mut partner] {
        guest.is(ProblemCode::AlreadyInCall).await;
    }
    line.turn(Weather::default());
    cluster.nodes[2].said_times(ONLINE, 2).await;
    let mut third = Guest::waiting(&cluster.nodes[1], "en").await;
    met(&mut early, &mut third).await;
    let mut other = Guest::waiting(&cluster.nodes[1], "de").await;
    met(&mut matched, &mut other).await;
    partner.say(ClientMessage::Leave {}).await;
    assert_eq!(caller.next().await, ServerMessage::Ended { call, why: EndReason::Left });
}

/// A visitor of the page's kind: whose socket is lost comes back, to whichever server there is, and waits; once both have
/// described themselves it stays. Returns what it heard of last, still open.
async fn insist(servers: Servers, calls: Calls, number: usize) -> Guest {
    loop {
        let url = {
            let servers = servers.lock().expect("no panic");
            servers[number % servers.len()].clone()
        };
        let come = async {
            let mut socket = Signalling::connect(&url, None, None).await?;
            socket.hello(None).await?;
            let languages = Languages::new(vec!["en".to_owned()]).expect("a language");
            socket
                .send(&ClientMessage::Join {
                    languages,
                    role: Role::Either,
                    avoid_recent: true,
                    struggling: Struggling(false),
                    proof: None,
                })
                .await?;
            loop {
                match socket.next().await? {
                    ServerMessage::Matched { call, side, offerer, .. } => {
                        let before = calls.lock().expect("no panic").insert((call, side == Side::A), number);
                        assert_eq!(before, None, "two on one side of a call");
                        if offerer {
                            socket.send(&described(call, Setup::Actpass).0).await?;
                        }
                    }
                    ServerMessage::Describe { call, description } => {
                        if description.setup == Setup::Actpass {
                            socket.send(&described(call, Setup::Active).0).await?;
                        }
                        socket.send(&ClientMessage::Connected { call }).await?;
                        return Ok::<_, SignallingError>(socket);
                    }
                    // Back in one's place, or never away from it.
                    ServerMessage::Waiting { .. } | ServerMessage::Ended { why: EndReason::Vanished, .. } => {}
                    other => panic!("{other:?}"),
                }
            }
        };
        match come.await {
            Ok(socket) => return Guest(socket),
            // The server is gone, and another is about to come.
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

type Servers = Arc<Mutex<Vec<String>>>;

/// Who is on which side of which call.
type Calls = Arc<Mutex<HashMap<(CallId, bool), usize>>>;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_in_whatever_order_nobody_is_lost_or_paired_twice() {
    const FAULTS: usize = 8;
    let seed = rand::random();
    println!("seed {seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    let mut cluster = Cluster::of(0).await;
    let mut lines = Vec::new();
    for number in 0..3 {
        let line = Line::to(cluster.engine.port, number).await;
        cluster.add(&format!("redis://{}", line.host)).await;
        lines.push(line);
    }
    let urls = |cluster: &Cluster| cluster.nodes.iter().map(TestServer::ws).collect::<Vec<_>>();
    let (servers, calls) = (Servers::new(Mutex::new(urls(&cluster))), Calls::default());
    let mut guests = JoinSet::new();
    let mut count = 0;
    let mut come = |guests: &mut JoinSet<Guest>, more: usize| {
        for _ in 0..more {
            guests.spawn(insist(Arc::clone(&servers), Arc::clone(&calls), count));
            count += 1;
        }
    };
    let mut talking = Vec::new();
    for fault in 0..FAULTS {
        let kind = chance.random_range(0..5);
        let node = chance.random_range(0..3);
        println!("{fault}: {kind} on {node}");
        come(&mut guests, 7);
        let pause = Duration::from_millis(chance.random_range(100..5_000));
        match kind {
            0 => {
                cluster.nodes.remove(node).kill().await;
                *servers.lock().expect("no panic") = urls(&cluster);
                come(&mut guests, 4);
                sleep(pause).await;
                let line = lines.remove(node);
                cluster.add(&format!("redis://{}", line.host)).await;
                lines.push(line);
                *servers.lock().expect("no panic") = urls(&cluster);
            }
            1 => {
                cluster.engine.kill().await;
                come(&mut guests, 4);
                sleep(pause).await;
                cluster.engine.begin().await;
            }
            2 => {
                let _: () = cluster.engine.ask(&["FLUSHALL"]).await;
                come(&mut guests, 4);
            }
            3 => {
                let _: () = cluster.engine.ask(&["CLIENT", "PAUSE", &pause.as_millis().to_string(), "ALL"]).await;
                come(&mut guests, 4);
            }
            _ => {
                lines[node].turn(Weather { tcp: Way::cut(), ..Weather::default() });
                come(&mut guests, 4);
                sleep(pause).await;
                lines[node].turn(Weather::default());
            }
        }
        sleep(Duration::from_millis(chance.random_range(0..1_500))).await;
    }
    // Somebody may be left over whose partner's server was killed: so there is always somebody else.
    let all = async {
        loop {
            match timeout(Duration::from_secs(1), guests.join_next()).await {
                Ok(Some(guest)) => talking.push(guest.expect("no panic")),
                Ok(None) => return,
                Err(_) => {
                    let odd = guests.len() % 2;
                    come(&mut guests, odd);
                }
            }
        }
    };
    timeout(2 * LEASE, all).await.expect("everybody talks to somebody");
    println!("{} have talked", talking.len());
    assert!(talking.len() >= 9 * FAULTS);
}

#[tokio::test]
async fn a_cluster_that_lacks_something_does_not_start() {
    let without = async |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_sotto")).args(arguments).output().await.expect("it runs");
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(!said.contains("hidden"), "{said}");
        said
    };
    let redis = "redis://:hidden@127.0.0.1:1";
    assert!(without(&["--redis", redis]).await.contains("--redis needs --relay-host"));
    assert!(without(&["--redis", redis, "--relay-host", "a"]).await.contains("--redis needs --secret-file"));
    assert!(without(&["--redis", "http://:hidden@127.0.0.1"]).await.contains("a Redis is at redis://"));
}
