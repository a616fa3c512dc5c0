//! What one join costs while many wait who do not fit: `cargo bench --bench pairing`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use sotto::mailbox::{TicketId, VisitorId};
use sotto::matchmaking::Ticket;
use sotto::matchmaking::pairing::Pool;
use sotto::protocol::{Languages, Role, Struggling};

/// How many joins are timed at each size.
const JOINS: u64 = 20_000;

fn ticket(id: u64, languages: Languages, role: Role, joined: Instant) -> Ticket {
    Ticket {
        id: TicketId(id),
        visitor: VisitorId(id),
        whence: None,
        languages,
        role,
        avoid_recent: true,
        struggling: Struggling(id.is_multiple_of(10)),
        joined,
    }
}

fn languages(tags: &[&str]) -> Languages {
    Languages::new(tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>()).expect("languages")
}

fn main() {
    println!("| waiting | ns for a join that waits, and its leave | ns for a join that is paired at once |");
    println!("|---:|---:|---:|");
    let start = Instant::now();
    for waiting in [0, 100, 1_000, 10_000, 100_000] {
        let mut pool = Pool::default();
        let now = start + Duration::from_secs(1);
        let (english, german, both) = (languages(&["en"]), languages(&["de"]), languages(&["en", "de"]));
        for id in 0..waiting {
            // All of them talkers in one language: everybody who comes has to be looked up among them.
            pool.join(ticket(id, english.clone(), Role::Talk, start), start);
        }
        let began = Instant::now();
        for id in waiting..waiting + JOINS {
            black_box(pool.join(ticket(id, both.clone(), Role::Talk, now), now));
            pool.leave(TicketId(id));
        }
        let waits = began.elapsed();
        // One waits in German and is met at once, again and again.
        let began = Instant::now();
        for id in (waiting + JOINS..waiting + 3 * JOINS).step_by(2) {
            pool.join(ticket(id, german.clone(), Role::Listen, now), now);
            assert_eq!(black_box(pool.join(ticket(id + 1, german.clone(), Role::Talk, now), now)).len(), 1);
        }
        let met = began.elapsed();
        println!("| {waiting} | {} | {} |", waits.as_nanos() / u128::from(JOINS), met.as_nanos() / u128::from(JOINS));
    }
}
