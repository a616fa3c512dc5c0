//! What a crowd costs: thousands who wait, and those who come, meet and go among them; Sotto beside two open servers
//! that a developer would otherwise pick, and the floor; and Sotto under fire.
//!
//! ```sh
//! cargo bench --bench crowd                # installs the others into target/peers; five minutes a round
//! cargo bench --bench crowd -- --top       # the highest rate that each carries
//! cargo bench --bench crowd -- --fire      # Sotto, under fire
//! ```

#![cfg(target_os = "linux")]

#[path = "crowd/fire.rs"]
mod fire;
mod process;
#[path = "crowd/servers.rs"]
mod servers;
#[path = "crowd/visitors.rs"]
mod visitors;

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::{Parser, ValueEnum};

use self::servers::{Kind, Load, Running};
use self::visitors::Outcome;

/// Joins a second, from what everybody carries to what nobody does.
const LADDER: [usize; 10] = [500, 750, 1_000, 1_500, 2_000, 3_000, 4_000, 6_000, 8_000, 12_000];

/// A rate is carried when 99 of 100 meet within this.
const IN_TIME: f64 = 100_000.0;

/// What a crowd costs, beside others.
#[derive(Parser)]
struct Arguments {
    /// How many wait
    #[arg(long, default_value_t = 15_000)]
    waiting: usize,
    /// Joins a second among them
    #[arg(long, default_value_t = 500)]
    rate: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 8.0)]
    seconds: f64,
    /// How often everything is measured
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// What to measure
    #[arg(long, value_enum, value_delimiter = ',',
        default_values_t = [Kind::Sotto, Kind::Matchbox, Kind::Peerjs, Kind::Floor])]
    servers: Vec<Kind>,
    /// Measure instead how many joins a second each carries at the most
    #[arg(long)]
    top: bool,
    /// Measure instead what those who mean harm do to the others
    #[arg(long)]
    fire: bool,
    /// Cargo says this
    #[arg(long, hide = true)]
    bench: bool,
    /// Be the floor, in a process of its own
    #[arg(long, hide = true)]
    floor: Option<SocketAddr>,
    /// Be a load, in a process of its own
    #[arg(long, hide = true, value_enum)]
    load: Option<Job>,
    #[arg(long, hide = true)]
    server: Option<SocketAddr>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Job {
    Hold,
    Arrivals,
    Pairs,
    Fire,
}

impl Job {
    /// Starts it as a process of its own.
    fn start(self, kind: Kind, server: &Running, arguments: &Arguments, rate: usize) -> anyhow::Result<Load> {
        let name = |it: Option<clap::builder::PossibleValue>| it.map(|it| it.get_name().to_owned()).unwrap_or_default();
        let [job, kind] = [name(self.to_possible_value()), name(kind.to_possible_value())];
        let numbers = [server.address.to_string(), rate.to_string(), arguments.waiting.to_string()];
        let seconds = arguments.seconds.to_string();
        let all = ["--load", &job, "--servers", &kind, "--server", &numbers[0], "--rate", &numbers[1]];
        let rest = ["--waiting", &numbers[2], "--seconds", &seconds];
        // Those who mean harm share the callers' core, and are not to make honest ones slow there.
        Load::start(&[&all[..], &rest[..]].concat(), if matches!(self, Self::Fire) { 15 } else { 0 })
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    process::allow_many_files()?;
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    if let Some(address) = arguments.floor {
        return tokio::runtime::Runtime::new()?.block_on(servers::floor(address));
    }
    if let Some(job) = arguments.load {
        let server = arguments.server.context("no server")?;
        let (kind, rate, seconds) = (arguments.servers[0], arguments.rate, arguments.seconds);
        return runtime()?.block_on(async {
            match job {
                Job::Hold => visitors::hold(kind, server, arguments.waiting).await,
                Job::Arrivals => visitors::arrivals(kind, server, rate, seconds).await,
                Job::Pairs => visitors::pairs(server, rate, seconds).await,
                Job::Fire => fire::fire(server, 1.0).await,
            }
        });
    }
    if cfg!(debug_assertions) {
        eprintln!("without optimisation, this measures nothing");
    }
    for kind in &arguments.servers {
        servers::install(*kind)?;
    }
    match (arguments.fire, arguments.top) {
        (true, _) => under_fire(&arguments),
        (false, true) => at_the_most(&arguments),
        (false, false) => beside_others(&arguments),
    }
}

/// One measurement of one server.
struct Measured {
    kind: Kind,
    /// Kilobytes for each who waits.
    memory: f64,
    /// Per cent of a core for a thousand who wait.
    idle: f64,
    arrivals: Joins,
    /// Of those who are there already: Sotto alone tells joining from coming.
    pairs: Option<Joins>,
    twice: Option<Joins>,
}

struct Joins {
    outcome: Outcome,
    /// Milliseconds of CPU time for each.
    cost: f64,
}

/// Runs a load, and the server's CPU time meanwhile.
fn joins(job: Job, kind: Kind, server: &Running, arguments: &Arguments, rate: usize) -> anyhow::Result<Joins> {
    let mut load = job.start(kind, server, arguments, rate)?;
    ensure!(load.line()? == "begin", "the load does not begin");
    let before = server.cpu()?;
    let outcome = Outcome::read(&load.line()?)?;
    let cost = (server.cpu()? - before).as_secs_f64() * 1e3 / outcome.joins as f64;
    Ok(Joins { outcome, cost })
}

fn measure(kind: Kind, arguments: &Arguments) -> anyhow::Result<Measured> {
    let server = Running::start(kind)?;
    let fresh = server.memory()?;
    let mut hold = Job::Hold.start(kind, &server, arguments, arguments.rate)?;
    ensure!(hold.line()? == "ready", "{kind} does not take so many");
    // A round of pings, and what it has cost in memory.
    let (before, began) = (server.cpu()?, Instant::now());
    sleep(Duration::from_secs(20));
    let idle = (server.cpu()? - before).as_secs_f64() / began.elapsed().as_secs_f64();
    let memory = (server.memory()? - fresh) as f64 / arguments.waiting as f64;
    let arrivals = joins(Job::Arrivals, kind, &server, arguments, arguments.rate)?;
    let pairs = |rate| (kind == Kind::Sotto).then(|| joins(Job::Pairs, kind, &server, arguments, rate)).transpose();
    let (pairs, twice) = (pairs(arguments.rate)?, pairs(arguments.rate * 2)?);
    let lost: usize = hold.stop()?.parse()?;
    ensure!(lost == 0, "{kind} has lost {lost} of those who wait");
    let idle = idle * 100.0 * 1_000.0 / arguments.waiting as f64;
    Ok(Measured { kind, memory, idle, arrivals, pairs, twice })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn beside_others(arguments: &Arguments) -> anyhow::Result<()> {
    let mut all: Vec<Measured> = Vec::new();
    for round in 0..arguments.rounds {
        for turn in 0..arguments.servers.len() {
            let kind = arguments.servers[(turn + round) % arguments.servers.len()];
            let measured = measure(kind, arguments)?;
            let Outcome { lost, p50, p99, .. } = measured.arrivals.outcome;
            eprintln!(
                "round {round}, {kind}: {:.1} KiB, {:.3} % a thousand, {:.3} ms, {p50:.0} {p99:.0} µs, {lost} lost",
                measured.memory, measured.idle, measured.arrivals.cost
            );
            all.push(measured);
        }
    }
    let of = |kind: Kind, value: &dyn Fn(&Measured) -> f64| {
        median(all.iter().filter(|measured| measured.kind == kind).map(value).collect())
    };
    println!(
        "| server | KiB for each who waits | % of a core for a thousand who wait | ms of CPU a join | times Sotto's \
         | p50 µs | p99 µs | lost |\n|---|--:|--:|--:|--:|--:|--:|--:|"
    );
    for kind in &arguments.servers {
        let cost = of(*kind, &|it| it.arrivals.cost);
        println!(
            "| {kind} | {:.1} | {:.3} | {cost:.3} | {:.1} | {:.0} | {:.0} | {:.0} |",
            of(*kind, &|it| it.memory),
            of(*kind, &|it| it.idle),
            cost / of(Kind::Sotto, &|it| it.arrivals.cost),
            of(*kind, &|it| it.arrivals.outcome.p50),
            of(*kind, &|it| it.arrivals.outcome.p99),
            of(*kind, &|it| it.arrivals.outcome.lost as f64),
        );
    }
    for (words, joins) in [
        ("joins and leaves", (|it: &Measured| it.pairs.as_ref()) as fn(&Measured) -> Option<&Joins>),
        ("twice as many", |it| it.twice.as_ref()),
    ] {
        let of = |value: fn(&Joins) -> f64| median(all.iter().filter_map(joins).map(value).collect());
        println!(
            "\nOn open sockets, {words}: {:.0} a second, {:.3} ms of CPU each, p50 {:.0} µs, p99 {:.0} µs, {:.0} lost",
            of(|it| it.outcome.joins as f64 / it.outcome.seconds),
            of(|it| it.cost),
            of(|it| it.outcome.p50),
            of(|it| it.outcome.p99),
            of(|it| it.outcome.lost as f64),
        );
    }
    Ok(())
}

/// Arrivals a second, more and more, until somebody is lost or has to wait.
fn at_the_most(arguments: &Arguments) -> anyhow::Result<()> {
    let mut top = vec![Vec::new(); arguments.servers.len()];
    for _ in 0..arguments.rounds {
        for (kind, top) in arguments.servers.iter().zip(&mut top) {
            let mut most = 0.0;
            for rate in LADDER {
                // Once more where it was too much: others may have had the core.
                let mut carried = None;
                for _ in 0..2 {
                    let server = Running::start(*kind)?;
                    let Joins { outcome, cost } = joins(Job::Arrivals, *kind, &server, arguments, rate)?;
                    let Outcome { joins, lost, p50, p99, seconds } = outcome;
                    eprintln!("{kind}, {rate}: {cost:.3} ms, {p50:.0} {p99:.0} µs, {lost} lost, in {seconds:.1} s");
                    if lost == 0 && p99 <= IN_TIME && seconds <= arguments.seconds * 1.1 {
                        carried = Some(joins as f64 / seconds);
                        break;
                    }
                }
                let Some(carried) = carried else { break };
                most = carried;
            }
            top.push(most);
        }
    }
    println!("| server | joins a second at the most, each on a new connection |\n|---|--:|");
    for (kind, top) in arguments.servers.iter().zip(top) {
        println!("| {kind} | {:.0} |", median(top));
    }
    Ok(())
}

/// Those who behave, alone and under fire, in turns.
fn under_fire(arguments: &Arguments) -> anyhow::Result<()> {
    println!(
        "| | joins a second | lost | p50 µs | p99 µs | arrivals: lost | p50 µs | p99 µs | those who wait: lost | CPU |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    let mut ratios = Vec::new();
    let mut harm = Vec::new();
    for _ in 0..arguments.rounds {
        let mut times = Vec::new();
        for hostile in [false, true] {
            let server = Running::start(Kind::Sotto)?;
            let mut hold = Job::Hold.start(Kind::Sotto, &server, arguments, 0)?;
            ensure!(hold.line()? == "ready", "not so many");
            let fire = hostile.then(|| Job::Fire.start(Kind::Sotto, &server, arguments, 0)).transpose()?;
            let began = Instant::now();
            let fire = match fire {
                Some(mut fire) => {
                    ensure!(fire.line()? == "ready", "no fire");
                    sleep(Duration::from_secs(2));
                    Some(fire)
                }
                None => None,
            };
            let (before, since) = (server.cpu()?, Instant::now());
            let pairs = joins(Job::Pairs, Kind::Sotto, &server, arguments, arguments.rate)?.outcome;
            let arrivals = joins(Job::Arrivals, Kind::Sotto, &server, arguments, arguments.rate)?.outcome;
            let cpu = (server.cpu()? - before).as_secs_f64() / since.elapsed().as_secs_f64();
            if let Some(fire) = fire {
                let counts = fire.stop()?;
                let counts = counts.split(' ').map(str::parse).collect::<Result<Vec<f64>, _>>()?;
                harm.push(counts.iter().map(|count| count / began.elapsed().as_secs_f64()).collect::<Vec<_>>());
            }
            let lost = hold.stop()?;
            println!(
                "| {} | {:.0} | {} | {:.0} | {:.0} | {} | {:.0} | {:.0} | {lost} of {} | {:.0} % |",
                if hostile { "under fire" } else { "alone" },
                pairs.joins as f64 / pairs.seconds,
                pairs.lost,
                pairs.p50,
                pairs.p99,
                arrivals.lost,
                arrivals.p50,
                arrivals.p99,
                arguments.waiting,
                cpu * 100.0,
            );
            times.push([pairs.p50, pairs.p99, arrivals.p50, arrivals.p99]);
        }
        ratios.push([0, 1, 2, 3].map(|index| times[1][index] / times[0][index]));
    }
    let ratio = |index: usize| median(ratios.iter().map(|ratios| ratios[index]).collect());
    println!(
        "\nUnder fire / alone, medians: joins p50 {:.2}, p99 {:.2}; arrivals p50 {:.2}, p99 {:.2}",
        ratio(0),
        ratio(1),
        ratio(2),
        ratio(3)
    );
    let each = fire::KINDS.iter().enumerate();
    let each = each.map(|(kind, name)| format!("{name} {:.0}", median(harm.iter().map(|it| it[kind]).collect())));
    println!("The fire, a second: {}", each.collect::<Vec<_>>().join(", "));
    Ok(())
}
