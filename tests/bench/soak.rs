//! Half an hour of visitors who come, meet, talk, report and go, or vanish; of callers who are heard by way of the relay;
//! and of everybody who means harm: the memory of the real binary has to stay what it was.
//!
//! ```sh
//! cargo bench --bench soak                        # thirty minutes, a tenth of a core
//! cargo bench --bench soak -- --minutes 3
//! ```

#![cfg(target_os = "linux")]

#[path = "crowd/fire.rs"]
mod fire;
#[allow(dead_code)]
mod process;
#[allow(dead_code)]
#[path = "crowd/servers.rs"]
mod servers;
#[allow(dead_code)]
#[path = "crowd/visitors.rs"]
mod visitors;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use sotto::caller::{Caller, Options};
use sotto::protocol::{Languages, Role};
use tokio::time::{interval, sleep, timeout};

use self::servers::{Kind, Load, Running};
use self::visitors::Visitor;

/// The part of 127.0.0.0/8 that the visitors come from.
const PART: u8 = 64;

/// How much of the fire of `crowd --fire`.
const FIRE: f64 = 0.02;

/// By how much the last sixth may be above the one before. In half an hour that is after twenty minutes: where both of a
/// call vanish, it is ten until they are given up, and ten more for which they are known.
const FLAT: f64 = 1.05;

/// So many parts of the time are compared.
const PARTS: usize = 6;

/// One visit in so many of those who talk ends with a report: what is kept of them for a day is meant to grow.
const REPORT_ONE_OF: u32 = 400;

#[derive(Parser)]
struct Arguments {
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Visits a second
    #[arg(long, default_value_t = 4.0)]
    rate: f64,
    /// Cargo says this
    #[arg(long, hide = true)]
    bench: bool,
    /// Be the fire, in a process of its own
    #[arg(long, hide = true)]
    fire: Option<SocketAddr>,
}

/// What the visitors have lived through.
#[derive(Default)]
struct Tally {
    visits: AtomicU64,
    begun: AtomicU64,
    reports: AtomicU64,
    vanished: AtomicU64,
    /// Calls whose voices came through, and those that failed.
    heard: AtomicU64,
    unheard: AtomicU64,
}

fn one(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    process::allow_many_files()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match arguments.fire {
        Some(server) => runtime.block_on(fire::fire(server, FIRE)),
        None => runtime.block_on(soak(&arguments)),
    }
}

async fn soak(arguments: &Arguments) -> anyhow::Result<()> {
    let server = Running::start_here(Kind::Sotto)?;
    let address = server.address;
    let mut fire = Load::start(&["--fire", &address.to_string()], 15)?;
    ensure!(fire.line()? == "ready", "no fire");
    let tally = Arc::<Tally>::default();
    for language in ["epo", "vol"] {
        tokio::spawn(talk(address, language, Arc::clone(&tally)));
    }
    let visiting = Arc::clone(&tally);
    let mut visits = interval(Duration::from_secs_f64(1.0 / arguments.rate));
    tokio::spawn(async move {
        for number in 0.. {
            visits.tick().await;
            tokio::spawn(visit(address, number, Arc::clone(&visiting)));
        }
    });
    let (began, length) = (Instant::now(), Duration::from_secs_f64(arguments.minutes * 60.0));
    let mut samples = Vec::new();
    let mut looks = interval(Duration::from_secs(5));
    while began.elapsed() < length {
        looks.tick().await;
        samples.push((began.elapsed().as_secs_f64() / 3_600.0, server.memory()? as f64));
        if samples.len() % 60 == 1 {
            let (at, kilobytes) = samples[samples.len() - 1];
            eprintln!("{:3.0} min: {kilobytes} KB, CPU {:.1} s", at * 60.0, server.cpu()?.as_secs_f64());
        }
    }
    let cpu = server.cpu()?.as_secs_f64() / began.elapsed().as_secs_f64() * 100.0;
    let harm = fire.stop()?;
    let part = |which: usize| {
        let range = samples.len() * which / PARTS..samples.len() * (which + 1) / PARTS;
        let mut part: Vec<f64> = samples[range].iter().map(|sample| sample.1).collect();
        part.sort_by(f64::total_cmp);
        part[part.len() / 2]
    };
    let parts: Vec<f64> = (0..PARTS).map(part).collect();
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    println!(
        "{:.0} minutes: {} visits, {} conversations, {} reports, {} that vanished; {} calls heard, {} not; CPU {cpu:.1} %",
        arguments.minutes,
        of(&tally.visits),
        of(&tally.begun),
        of(&tally.reports),
        of(&tally.vanished),
        of(&tally.heard),
        of(&tally.unheard)
    );
    let kinds = fire::KINDS.iter().zip(harm.split(' ')).map(|(kind, count)| format!("{count} {kind}"));
    println!("The fire: {}", kinds.collect::<Vec<_>>().join(", "));
    println!(
        "Memory by sixths, medians: {parts:.0?} KB; slope of the last two: {:+.0} KB an hour",
        slope(&samples[samples.len() * (PARTS - 2) / PARTS..])
    );
    ensure!(of(&tally.heard) > 0 && of(&tally.unheard) == 0, "calls failed");
    let [.., before, last] = parts[..] else { return Ok(()) };
    ensure!(last <= before * FLAT, "memory grows: {before} KB, and then {last} KB");
    Ok(())
}

/// By least squares.
fn slope(samples: &[(f64, f64)]) -> f64 {
    let count = samples.len() as f64;
    let mean = |value: fn(&(f64, f64)) -> f64| samples.iter().map(value).sum::<f64>() / count;
    let (x, y) = (mean(|sample| sample.0), mean(|sample| sample.1));
    let covariance: f64 = samples.iter().map(|sample| (sample.0 - x) * (sample.1 - y)).sum();
    covariance / samples.iter().map(|sample| (sample.0 - x).powi(2)).sum::<f64>()
}

/// Two callers who talk for half a minute, again and again, and hear each other by way of the relay.
async fn talk(server: SocketAddr, language: &str, tally: Arc<Tally>) {
    loop {
        match timeout(Duration::from_secs(90), conversation(server, language)).await {
            Ok(Ok(())) => one(&tally.heard),
            Ok(Err(error)) => {
                eprintln!("a call failed: {error:#}");
                one(&tally.unheard);
            }
            Err(_) => {
                eprintln!("a call took too long");
                one(&tally.unheard);
            }
        }
        sleep(Duration::from_secs(1)).await;
    }
}

async fn conversation(server: SocketAddr, language: &str) -> anyhow::Result<()> {
    let url = format!("ws://{server}/ws");
    let mut callers = Vec::new();
    for _ in 0..2 {
        let mut caller = Caller::connect(&url, Options::default()).await?;
        let languages = Languages::new(vec![language.to_owned()]).context("a language")?;
        caller.join(languages, Role::Either, false).await?;
        callers.push(caller);
    }
    let within = Duration::from_secs(20);
    let (Some(first), Some(second)) = (callers.pop(), callers.pop()) else { return Ok(()) };
    let (mut first, mut second) = tokio::try_join!(first.call(within), second.call(within))?;
    tokio::try_join!(first.connected(), second.connected())?;
    // Half a minute, and the time that a busy machine takes for it.
    let long = Duration::from_secs(45);
    tokio::try_join!(first.hear(1_500, long), second.hear(1_500, long))?;
    let first = first.leave().await?;
    second.ended().await;
    first.close().await;
    drop(second);
    Ok(())
}

/// Comes, waits for somebody for a while, describes itself and talks for a moment; then leaves, vanishes, or reports.
async fn visit(server: SocketAddr, number: u32, tally: Arc<Tally>) {
    one(&tally.visits);
    // Whoever is turned away is counted by nothing else than what it has not lived through.
    let _ = timeout(Duration::from_secs(60), live(server, number, &tally)).await;
}

async fn live(server: SocketAddr, number: u32, tally: &Tally) -> anyhow::Result<()> {
    let mut random = StdRng::seed_from_u64(u64::from(number));
    let from = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, PART, 0, 1)) + number % 4_000_000);
    let mut visitor = Visitor::connect(Kind::Sotto, server, from, 0, 0).await?;
    visitor.hello().await?;
    visitor.told("\"welcome\"").await?;
    visitor.join(["en", "de", "es", "fr", "pt", "ar"][random.random_range(0..6)]).await?;
    let Ok(matched) = visitor.told("\"matched\"").await else {
        visitor.leave().await?;
        visitor.reset();
        return Ok(());
    };
    let matched: Value = serde_json::from_str(&matched)?;
    let (call, offers) = (&matched["call"], matched["offerer"] == true);
    let describe = |setup: &str| {
        let description = json!({
            "ufrag": "abcd", "pwd": "abcdefghijklmnopqrstuv", "fingerprint": "0".repeat(64), "setup": setup,
            "payload_type": 111,
        });
        json!({ "type": "describe", "call": call, "description": description }).to_string()
    };
    if offers {
        visitor.say(describe("actpass")).await?;
        visitor.told("\"describe\"").await?;
    } else {
        visitor.told("\"describe\"").await?;
        visitor.say(describe("active")).await?;
    }
    visitor.say(json!({ "type": "connected", "call": call }).to_string()).await?;
    for port in 0..3 {
        visitor.say(json!({ "type": "candidate", "call": call, "port": 50_000 + port }).to_string()).await?;
    }
    one(&tally.begun);
    let patience = Duration::from_secs_f64(random.random_range(0.0..9.0));
    let _ = timeout(patience, visitor.told("\"ended\"")).await;
    match random.random_range(0..REPORT_ONE_OF) {
        0 => {
            one(&tally.reports);
            visitor.say(json!({ "type": "report", "call": call, "category": "other" }).to_string()).await?;
        }
        of if of % 2 == 0 => visitor.leave().await?,
        _ => one(&tally.vanished),
    }
    visitor.reset();
    Ok(())
}
