//! A model of the whole: the real rules of every visitor, the real matchmaker and the real mailboxes, with pages,
//! sockets and a clock of the test's own. Sockets are lost with what is in flight, mail between tasks is late, tabs sleep,
//! pages crash. A week passes in seconds, and after every step it must hold that nobody is lost, paired wrongly,
//! paired twice, or paired with whoever they have reported.
//!
//! What is modelled of [`sotto::web`] is its pump: what comes in goes to the rules, what they want is carried out, and
//! the end of a task undoes everything.

#[path = "model/page.rs"]
mod page;
#[path = "model/world.rs"]
mod world;

use std::time::Duration;

use world::World;

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

#[test]
fn a_week_of_strangers_on_bad_lines() {
    for seed in [1, 2] {
        let mut world = World::new(seed);
        world.live(WEEK);
        let tally = world.close();
        println!("seed {seed}: {tally:?}");
        // It was a week in which things happened, and not only the ones that are easy.
        assert!(tally.visits > 10_000 && tally.begun > 5_000, "{tally:?}");
        assert!(
            tally.sockets_lost > 1_000 && tally.resumed > 300 && tally.kept > 300 && tally.vanished > 300,
            "{tally:?}"
        );
        assert!(tally.crashes > 300 && tally.refused > 0, "{tally:?}");
        assert!(tally.reported > 300 && tally.parted > 0, "{tally:?}");
        assert!(tally.struggling > 1_000 && tally.spared > 0, "{tally:?}");
    }
}
