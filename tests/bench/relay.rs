//! What a forwarded packet costs: Sotto's relay, coturn, and a bare forwarder that does nothing else, in one run.
//!
//! Each server runs as a process of its own on one core and gets the same traffic from the other: N calls of 120
//! bytes, 50 a second and direction, at random phases. Rounds take turns, so that what else the machine does hits
//! all of them; the table has medians.
//!
//! ```sh
//! apt-get install coturn
//! cargo bench --bench relay
//! cargo bench --bench relay -- --curve tests/bench/cost.svg
//! ```

#![cfg(target_os = "linux")]

mod callers;
mod hostile;
mod picture;
mod process;
mod servers;
mod table;

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Parser;

use self::{
    callers::{Callers, Heard},
    process::Core,
    servers::{Kind, Running},
};

/// The loads of the curve: from where a single call is nearly alone to what a core carries.
const CURVE: [usize; 10] = [10, 20, 50, 100, 200, 300, 500, 700, 1_000, 1_500];

/// What the relay costs, beside coturn and a bare forwarder.
#[derive(Parser)]
struct Arguments {
    /// Numbers of calls
    #[arg(long, value_delimiter = ',', default_values_t = [50, 200, 500, 1_000])]
    calls: Vec<usize>,
    /// How often everything is measured
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// What to measure
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Kind::Sotto, Kind::Coturn, Kind::Forwarder])]
    servers: Vec<Kind>,
    /// Measure from 10 to 1,500 calls and draw this picture as well
    #[arg(long, value_name = "FILE")]
    curve: Option<PathBuf>,
    /// Measure instead what a hostile caller does to 200 others
    #[arg(long)]
    hostile: bool,
    /// Cargo says this
    #[arg(long, hide = true)]
    bench: bool,
    /// Be that server, in a process of its own
    #[arg(long, hide = true, value_enum)]
    serve: Option<Kind>,
}

/// One measurement of one server.
#[derive(Clone, Copy)]
struct Measured {
    kind: Kind,
    calls: usize,
    /// Microseconds of the server's CPU time for each packet.
    cost: f64,
    /// Of all that was sent.
    lost: f64,
    /// Microseconds.
    p50: f64,
    p99: f64,
    /// Resident memory in kilobytes: at the start, with all calls allocated, with all calls talking.
    memory: [u64; 3],
}

fn main() -> anyhow::Result<()> {
    let mut arguments = Arguments::parse();
    if let Some(kind) = arguments.serve {
        return servers::serve(kind);
    }
    if cfg!(debug_assertions) {
        eprintln!("without optimisation, this measures nothing");
    }
    process::allow_many_files()?;
    if arguments.hostile {
        return hostile::run(arguments.rounds, arguments.seconds);
    }
    if arguments.curve.is_some() {
        arguments.calls = CURVE.to_vec();
    }
    let mut all = Vec::new();
    for round in 0..arguments.rounds {
        for calls in &arguments.calls {
            for turn in 0..arguments.servers.len() {
                let kind = arguments.servers[(turn + round) % arguments.servers.len()];
                let measured = measure(kind, *calls, arguments.seconds)?;
                let Measured { cost, lost, p50, p99, .. } = measured;
                let lost = lost * 100.0;
                eprintln!(
                    "round {round}, {calls:5} calls, {kind:9}: {cost:6.2} µs, {lost:.2} % lost, {p50:6.0} {p99:6.0} µs"
                );
                all.push(measured);
            }
        }
    }
    println!("{}", table::render(&all, &arguments.calls, &arguments.servers));
    if let Some(file) = arguments.curve {
        let picture = picture::draw(&all, &arguments.calls, &arguments.servers);
        std::fs::write(&file, picture).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}

fn measure(kind: Kind, calls: usize, seconds: u64) -> anyhow::Result<Measured> {
    let server = Running::start(kind)?;
    process::stay_on(Core::Callers)?;
    let fresh = server.memory()?;
    let mut callers = Callers::connect(&server, calls)?;
    let idle = server.memory()?;
    let mut cpu = Vec::new();
    let heard = callers.talk(seconds, || {
        cpu.push(server.cpu()?);
        Ok(())
    })?;
    let talking = server.memory()?;
    let Heard { sent, received, in_window, strayed, mut delays } = heard;
    ensure!(strayed == 0, "{strayed} packets came to somebody else");
    ensure!(in_window > 0, "nothing came through");
    let spent = cpu[1] - cpu[0];
    delays.sort_unstable();
    let delay = |part: f64| f64::from(delays[((delays.len() - 1) as f64 * part) as usize]) / 1_000.0;
    Ok(Measured {
        kind,
        calls,
        cost: spent.as_secs_f64() * 1e6 / in_window as f64,
        lost: 1.0 - received as f64 / sent as f64,
        p50: delay(0.5),
        p99: delay(0.99),
        memory: [fresh, idle, talking],
    })
}
