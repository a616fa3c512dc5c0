//! What a caller with good credentials can do to others by sending as much as he can.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    callers::{Callers, Heard},
    process::{self, Core},
    servers::{Kind, Running},
};

/// Others, who talk.
const CALLS: usize = 200;

/// What the hostile one sends, a second: ten times what all others together do.
const FLOOD: u64 = 200_000;

pub fn run(rounds: usize, seconds: u64) -> anyhow::Result<()> {
    println!("| {CALLS} calls | lost | p50 µs | p99 µs | CPU of the relay | flood packets a second |");
    println!("|---|--:|--:|--:|--:|--:|");
    for _ in 0..rounds {
        for is_hostile in [false, true] {
            let server = Running::start(Kind::Sotto)?;
            process::stay_on(Core::Callers)?;
            let mut callers = Callers::connect(&server, CALLS)?;
            let stopped = Arc::new(AtomicBool::new(false));
            let flooded = Arc::new(AtomicU64::new(0));
            let flood = is_hostile.then(|| flood(&server, &stopped, &flooded)).transpose()?;
            let mut cpu = Vec::new();
            let Heard { sent, received, mut delays, .. } = callers.talk(seconds, || {
                cpu.push((server.cpu()?, flooded.load(Ordering::Relaxed)));
                Ok(())
            })?;
            stopped.store(true, Ordering::Relaxed);
            if let Some(flood) = flood {
                let _ = flood.join();
            }
            delays.sort_unstable();
            let delay = |part: f64| f64::from(delays[((delays.len() - 1) as f64 * part) as usize]) / 1_000.0;
            println!(
                "| {} | {:.2} % | {:.0} | {:.0} | {:.0} % | {} |",
                if is_hostile { "with a flood" } else { "alone" },
                (1.0 - received as f64 / sent as f64) * 100.0,
                delay(0.5),
                delay(0.99),
                (cpu[1].0 - cpu[0].0).as_secs_f64() / seconds as f64 * 100.0,
                (cpu[1].1 - cpu[0].1) / seconds,
            );
        }
    }
    Ok(())
}

/// Both sides of a call of their own; one sends on its channel as fast as it can, up to [`FLOOD`].
fn flood(
    server: &Running,
    stopped: &Arc<AtomicBool>,
    flooded: &Arc<AtomicU64>,
) -> anyhow::Result<thread::JoinHandle<()>> {
    let hostile = Callers::connect_from(server, 1, 200)?;
    let (stopped, flooded) = (Arc::clone(stopped), Arc::clone(flooded));
    Ok(thread::spawn(move || {
        let bytes = [0x40, 0x00, 0x00, 0x78].into_iter().chain([7; 0x78]).collect::<Vec<u8>>();
        let start = Instant::now();
        while !stopped.load(Ordering::Relaxed) {
            let sent = flooded.load(Ordering::Relaxed);
            if sent > start.elapsed().as_micros() as u64 * FLOOD / 1_000_000 {
                thread::sleep(Duration::from_micros(200));
            } else if hostile.send(0, &bytes).is_ok() {
                flooded.fetch_add(1, Ordering::Relaxed);
            }
        }
    }))
}
