//! Matches per second of one, two and three nodes that share a Redis, and what each costs: `cargo bench --bench cluster`.
//! Everything is on this machine; a node is what a server has of matchmaking, without its sockets.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::{Client, Cmd, Connection};
use sotto::clock::thread_cpu;
use sotto::mailbox::{Mail, RelayAt, mailbox};
use sotto::matchmaking::redis::{Hooks, Settings};
use sotto::matchmaking::{Matchmaker, Memory, Redis, Ticket};
use sotto::protocol::{EndReason, Languages, Role, Side, Struggling, Transport};
use tokio::process::{Child, Command};
use tokio::runtime::Builder;
use tokio::time::{sleep, timeout};

/// How long each is measured, after as long a start.
const SPAN: Duration = Duration::from_secs(5);

/// How many visitors each node has, who go from one match into the next.
const VISITORS: usize = 400;

/// How many wait besides, in a language that nobody else has.
const WAITING: usize = 1_000;

async fn start_redis(port: u16) -> Child {
    let child = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", "/tmp"])
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("redis-server");
    let client = Client::open(format!("redis://127.0.0.1:{port}")).expect("a URL");
    let up = async {
        while client.get_connection().is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(10), up).await.expect("it starts");
    child
}

/// The CPU time that the engine has had, in seconds.
fn cpu(connection: &mut Connection) -> f64 {
    let info: String = Cmd::new().arg(&["INFO", "cpu"]).query(connection).expect("an answer");
    let value = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        line.trim().parse::<f64>().expect("seconds")
    };
    value("used_cpu_sys:") + value("used_cpu_user:")
}

fn ticket(maker: &dyn Matchmaker, language: &str) -> Ticket {
    Ticket {
        id: maker.new_ticket(),
        visitor: maker.new_visitor(),
        whence: None,
        languages: Languages::new(vec![language.to_owned()]).expect("a language"),
        role: Role::Either,
        avoid_recent: true,
        struggling: Struggling(false),
        joined: Instant::now(),
    }
}

/// One visitor, from match to match.
async fn visit(maker: Arc<dyn Matchmaker>, matches: Arc<AtomicU64>, over: Arc<AtomicBool>) {
    while !over.load(Ordering::Relaxed) {
        let (mailbox, mut inbox) = mailbox();
        maker.join(ticket(&*maker, "en"), mailbox, Instant::now());
        while let Some(mail) = inbox.next().await {
            if let Mail::Matched(_, matched) = mail {
                // One of the two ends it, and the other is told.
                if matched.side == Side::A {
                    matches.fetch_add(1, Ordering::Relaxed);
                    matched.mailbox.send(Mail::Gone { call: matched.call, why: EndReason::Left });
                    break;
                }
            } else {
                break;
            }
        }
    }
}

/// Runs one node in a thread of its own until it is over; returns the CPU time it has had while it was measured.
fn node(
    redis: Option<(String, usize)>,
    matches: Arc<AtomicU64>,
    measuring: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
) -> Duration {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let maker: Arc<dyn Matchmaker> = match redis {
            Some((url, number)) => {
                let relay = RelayAt { host: format!("relay{number}.example"), transports: vec![Transport::Udp] };
                let settings = Settings::new(&url, vec![7; 32], relay).expect("settings");
                let hooks = Hooks { revoke: Box::new(|_| {}), reported: Box::new(|_| {}), keys: Box::new(|_, _| {}) };
                let node = Arc::new(Redis::new(settings, hooks).expect("random bytes"));
                let run = Arc::clone(&node);
                tokio::spawn(async move { run.run().await });
                while !node.is_online() {
                    sleep(Duration::from_millis(5)).await;
                }
                node
            }
            None => Arc::new(Memory::default()),
        };
        let mut inboxes = Vec::new();
        for _ in 0..WAITING {
            let (mailbox, inbox) = mailbox();
            inboxes.push(inbox);
            // They would not meet each other either, once they have talked; so each has a language of its own.
            let number = maker.new_ticket().0 as usize + inboxes.len();
            let letters = [number / 676 % 26, number / 26 % 26, number % 26];
            let tag: String = letters.iter().map(|letter| char::from(b'a' + *letter as u8)).collect();
            maker.join(ticket(&*maker, &tag), mailbox, Instant::now());
        }
        for _ in 0..VISITORS {
            tokio::spawn(visit(Arc::clone(&maker), Arc::clone(&matches), Arc::clone(&over)));
        }
        while !measuring.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(1)).await;
        }
        let before = thread_cpu();
        while !over.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(1)).await;
        }
        thread_cpu() - before
    })
}

fn main() {
    let runtime = Builder::new_multi_thread().enable_all().build().expect("a runtime");
    println!("| nodes | matches a second | of a node's core, µs a match | of Redis' core, µs a match | Redis' core |");
    println!("|---|---:|---:|---:|---:|");
    for nodes in 0..=3_usize {
        let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let url = format!("redis://127.0.0.1:{port}");
        let engine = (nodes > 0).then(|| {
            let child = runtime.block_on(start_redis(port));
            (child, Client::open(url.clone()).expect("a URL").get_connection().expect("a connection"))
        });
        let (matches, measuring, over) = (Arc::new(AtomicU64::new(0)), Arc::default(), Arc::default());
        let threads: Vec<_> = (0..nodes.max(1))
            .map(|number| {
                let redis = (nodes > 0).then(|| (url.clone(), number));
                let (matches, measuring, over) = (Arc::clone(&matches), Arc::clone(&measuring), Arc::clone(&over));
                std::thread::spawn(move || node(redis, matches, measuring, over))
            })
            .collect();
        std::thread::sleep(SPAN);
        let mut engine = engine;
        let before = engine.as_mut().map_or(0.0, |(_, connection)| cpu(connection));
        let (began, count) = (Instant::now(), matches.load(Ordering::Relaxed));
        measuring.store(true, Ordering::Relaxed);
        std::thread::sleep(SPAN);
        over.store(true, Ordering::Relaxed);
        let (span, count) = (began.elapsed().as_secs_f64(), matches.load(Ordering::Relaxed) - count);
        let engines = engine.as_mut().map_or(0.0, |(_, connection)| cpu(connection)) - before;
        let own: f64 = threads.into_iter().map(|thread| thread.join().expect("no panic").as_secs_f64()).sum();
        let each = |time: f64| time / count.max(1) as f64 * 1e6;
        let name = if nodes == 0 { "one, in memory".to_owned() } else { nodes.to_string() };
        println!(
            "| {name} | {:.0} | {:.0} | {:.0} | {:.0} % |",
            count as f64 / span,
            each(own),
            each(engines),
            engines / span * 100.0
        );
    }
}
