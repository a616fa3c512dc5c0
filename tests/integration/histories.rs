//! Random histories against the real server: pages that come, wait, meet, talk, leave, lose their sockets, come back,
//! reload, report, dawdle and break every rule, many at once, and an oracle that checks every frame.
//!
//! Nobody is lost: whoever waits and fits another who waits meets, and whoever is left is told, with the right reason. Nobody is
//! in two calls, or paired with somebody they are kept apart from. A token works once.
//!
//! ```sh
//! SOTTO_HISTORIES=10000 cargo test --release --test integration histories -- --nocapture
//! SOTTO_SEED=… SOTTO_HISTORY=… cargo test --test integration histories    # one of them again
//! ```

#[path = "histories/page.rs"]
mod page;
#[path = "histories/world.rs"]
mod world;

use std::env;
use std::time::{Instant, SystemTime};

use tokio::task::JoinSet;

use self::world::{Tally, World};
use crate::server::TestServer;

/// How many are lived through where nobody asks for more.
const USUAL: u32 = 1_000;

/// How many at once.
const AT_ONCE: u32 = 40;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_lost_paired_twice_or_again() {
    let of_the_clock = || SystemTime::UNIX_EPOCH.elapsed().map_or(1, |since| since.as_secs());
    let seed = number("SOTTO_SEED").unwrap_or_else(of_the_clock);
    let histories = number("SOTTO_HISTORIES").map_or(USUAL, |count| u32::try_from(count).expect("a count"));
    let one = number("SOTTO_HISTORY").map(|number| u32::try_from(number).expect("a number"));
    println!("SOTTO_SEED={seed}");
    let server = TestServer::start().await;
    let began = Instant::now();
    let mut coming = one.map_or(0..histories, |one| one..one + 1);
    let mut worlds = JoinSet::new();
    let mut tally = Tally::default();
    loop {
        while worlds.len() < AT_ONCE as usize
            && let Some(number) = coming.next()
        {
            let port = server.port;
            worlds.spawn(async move {
                let mut world = World::new(port, seed, number);
                world.live().await;
                world.tally
            });
        }
        let Some(lived) = worlds.join_next().await else { break };
        // What went wrong, and in which of them, has been said by the one that ended.
        tally.add(lived.unwrap_or_else(|_| panic!("SOTTO_SEED={seed}")));
    }
    println!("{histories} histories in {:.1?}: {tally:?}", began.elapsed());
    if one.is_none() {
        // They were histories in which things happen, and not only those that are easy.
        let least = |count: usize, of_a_hundred: u32| count * 100 >= (histories * of_a_hundred) as usize;
        assert!(least(tally.matches, 200) && least(tally.begun, 25) && least(tally.vanished, 20), "{tally:?}");
        assert!(least(tally.resumed, 20) && least(tally.reports, 8) && least(tally.breaches, 10), "{tally:?}");
    }
    server.stop().await;
}
