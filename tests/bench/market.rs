//! How long people wait for each other, by a discrete-event simulation of the pool that the server runs:
//! `cargo bench --bench market`, and with `-- --picture tests/bench/market.svg` the picture.
//!
//! Visitors come as a Poisson process, each with a language, a wish for a role and an exponential patience. Time is a
//! number that is passed in, so that months take seconds. The same seed gives the same table.

#[path = "market/crowd.rs"]
mod crowd;
#[path = "market/picture.rs"]
mod picture;
#[path = "market/simulation.rs"]
mod simulation;

use std::time::Duration;

use self::crowd::{Crowd, Roles};
use self::simulation::{Outcome, simulate};

/// Arrivals a minute, from a quiet night to a busy evening.
const RATES: [f64; 7] = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0];

/// How many languages they spread over.
const LANGUAGES: [usize; 4] = [1, 2, 5, 10];

/// For how long a wish for a role may be held, in seconds.
const WIDENINGS: [u64; 7] = [0, 5, 10, 15, 30, 60, 600];

/// What is simulated for one line.
const ARRIVALS: usize = 100_000;

fn main() {
    the_theory_holds();
    let waits = by_rate();
    let wishes = by_widening();
    if let Some(path) = std::env::args().skip_while(|argument| argument != "--picture").nth(1) {
        std::fs::write(path, picture::draw(&waits, &wishes)).expect("the picture's file");
    }
}

/// Where the answer is known on paper, the simulation has to give it.
///
/// With one language and no wishes at most one visitor waits. Whoever waits is met at rate `λ` or gives up at rate `θ`,
/// so that somebody waits for the share `λ / (2λ + θ)` of the time, which is `L`; the mean wait is `L / λ` by Little's law.
fn the_theory_holds() {
    for rate in RATES {
        let crowd = Crowd { rate, languages: 1, roles: Roles::NONE };
        let outcome = simulate(&crowd, Duration::from_secs(15), ARRIVALS);
        let (arriving, giving_up) = (rate / 60.0, 1.0 / crowd::PATIENCE.as_secs_f64());
        let expected = arriving / (2.0 * arriving + giving_up);
        let error = outcome.waiting / expected - 1.0;
        assert!(error.abs() < 0.03, "{rate} a minute: {} wait, {expected} expected", outcome.waiting);
    }
}

/// Waiting time against arrivals.
fn by_rate() -> Vec<(usize, Vec<(f64, Outcome)>)> {
    println!("| arrivals a minute | languages | median wait, s | nine in ten within, s | gave up | Little: L / λW |");
    println!("|---:|---:|---:|---:|---:|---:|");
    let mut lines = Vec::new();
    for languages in LANGUAGES {
        let mut line = Vec::new();
        for rate in RATES {
            let crowd = Crowd { rate, languages, roles: Roles::EVEN };
            let outcome = simulate(&crowd, sotto::matchmaking::WIDEN_AFTER, ARRIVALS);
            let little = little(&outcome, rate);
            println!(
                "| {rate} | {languages} | {:.1} | {:.1} | {:.1} % | {little:.3} |",
                outcome.median,
                outcome.ninth_decile,
                100.0 * outcome.gave_up
            );
            line.push((rate, outcome));
        }
        lines.push((languages, line));
    }
    lines
}

/// What holding a wish for longer brings and costs, where most want to talk and few want to listen.
fn by_widening() -> Vec<(f64, Vec<(u64, Outcome)>)> {
    println!();
    println!(
        "| arrivals a minute | a wish is held, s | met as wished | median wait, s | nine in ten within, s | gave up |"
    );
    println!("|---:|---:|---:|---:|---:|---:|");
    let mut lines = Vec::new();
    for rate in [0.3, 3.0, 30.0] {
        let mut line = Vec::new();
        for held in WIDENINGS {
            let crowd = Crowd { rate, languages: 2, roles: Roles::SKEWED };
            let outcome = simulate(&crowd, Duration::from_secs(held), ARRIVALS);
            little(&outcome, rate);
            println!(
                "| {rate} | {held} | {:.1} % | {:.1} | {:.1} | {:.1} % |",
                100.0 * outcome.as_wished,
                outcome.median,
                outcome.ninth_decile,
                100.0 * outcome.gave_up
            );
            line.push((held, outcome));
        }
        lines.push((rate, line));
    }
    lines
}

/// Little's law: as many wait on average as come in the time that one waits. What is measured as the first is integrated
/// over time, the second summed over visitors: a visitor who was lost or counted twice would show.
fn little(outcome: &Outcome, rate: f64) -> f64 {
    let ratio = outcome.waiting / (rate / 60.0 * outcome.mean);
    assert!((ratio - 1.0).abs() < 0.02, "Little's law does not hold: {ratio}");
    ratio
}
