//! The events in order: somebody comes, somebody gives up, a wish widens.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use sotto::mailbox::{TicketId, VisitorId};
use sotto::matchmaking::Ticket;
use sotto::matchmaking::pairing::{Pair, Pool};
use sotto::protocol::{Role, Struggling};

use super::crowd::Crowd;

/// What came of it. Times are in seconds, shares of all who came.
#[derive(Clone)]
pub struct Outcome {
    /// How many waited, on average over time: `L`.
    pub waiting: f64,
    /// How long one waited, whether met or not: `W`.
    pub mean: f64,
    /// How long half of those who were met had waited at most.
    pub median: f64,
    /// How long nine tenths of those who were met had waited at most.
    pub ninth_decile: f64,
    /// How many gave up.
    pub gave_up: f64,
    /// Of those who were met and had a wish, how many met somebody whom it fits.
    pub as_wished: f64,
}

/// Lets so many visitors come, and the last of them go.
pub fn simulate(crowd: &Crowd, widen_after: Duration, arrivals: usize) -> Outcome {
    let mut random = StdRng::seed_from_u64(7);
    let start = Instant::now();
    let mut market = Market {
        pool: Pool::widening_after(widen_after),
        start,
        now: start,
        area: 0.0,
        met: Vec::new(),
        lost: Vec::new(),
        wishes: (0, 0),
    };
    // In nanoseconds, so that they have an order.
    let mut givings_up: BinaryHeap<Reverse<(Instant, TicketId)>> = BinaryHeap::new();
    let mut joined: HashMap<TicketId, Instant> = HashMap::new();
    let mut next = start;
    let mut number = 0;
    while number < arrivals as u64 || !market.pool.is_empty() {
        let come = (number < arrivals as u64).then_some(next);
        let give_up = givings_up.peek().map(|Reverse((at, _))| *at);
        let widen = market.pool.next_event();
        let Some(at) = [come, give_up, widen].into_iter().flatten().min() else { break };
        market.pass(at);
        if come == Some(at) {
            let arrival = crowd.arrival(&mut random);
            let (id, patience) = (TicketId(number), Duration::from_secs_f64(arrival.patience));
            let ticket = Ticket {
                id,
                visitor: VisitorId(number),
                whence: None,
                languages: arrival.languages,
                role: arrival.role,
                avoid_recent: true,
                struggling: Struggling(false),
                joined: at,
            };
            joined.insert(id, at);
            givings_up.push(Reverse((at + patience, id)));
            let pairs = market.pool.join(ticket, at);
            market.meet(pairs);
            next = at + Duration::from_secs_f64(arrival.after);
            number += 1;
        } else if give_up == Some(at) {
            if let Some(Reverse((_, id))) = givings_up.pop()
                && market.pool.leave(id)
                && let Some(joined) = joined.get(&id)
            {
                market.lost.push((at - *joined).as_secs_f64());
            }
        } else {
            let pairs = market.pool.advance(at);
            market.meet(pairs);
        }
    }
    market.outcome(arrivals)
}

struct Market {
    pool: Pool,
    start: Instant,
    now: Instant,
    /// Visitor-seconds of waiting, integrated over time.
    area: f64,
    met: Vec<f64>,
    lost: Vec<f64>,
    /// Of those with a wish who were met: fitting, all.
    wishes: (usize, usize),
}

impl Market {
    fn pass(&mut self, to: Instant) {
        self.area += self.pool.len() as f64 * (to - self.now).as_secs_f64();
        self.now = to;
    }

    fn meet(&mut self, pairs: Vec<Pair>) {
        for Pair { older, newer } in pairs {
            for (own, other) in [(&older, &newer), (&newer, &older)] {
                self.met.push((self.now - own.joined).as_secs_f64());
                if own.role != Role::Either {
                    self.wishes.0 += usize::from(other.role != own.role);
                    self.wishes.1 += 1;
                }
            }
        }
    }

    fn outcome(mut self, arrivals: usize) -> Outcome {
        assert_eq!(self.met.len() + self.lost.len(), arrivals, "everybody is met or gives up, once");
        self.met.sort_by(f64::total_cmp);
        let at = |share: f64| self.met.get((self.met.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
        let waited: f64 = self.met.iter().chain(&self.lost).sum();
        Outcome {
            waiting: self.area / (self.now - self.start).as_secs_f64(),
            mean: waited / arrivals as f64,
            median: at(0.5),
            ninth_decile: at(0.9),
            gave_up: self.lost.len() as f64 / arrivals as f64,
            as_wished: self.wishes.0 as f64 / self.wishes.1.max(1) as f64,
        }
    }
}
