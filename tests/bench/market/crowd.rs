//! Who comes, when, and what they want.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use sotto::protocol::{Languages, Role};

/// How long somebody waits for somebody else before they give up, on average: a few minutes beside a quiet page.
pub const PATIENCE: Duration = Duration::from_secs(3 * 60);

/// Of how many one also speaks the most common language.
const BILINGUAL: f64 = 0.25;

/// The tags that are spoken, the most common first.
const TAGS: [&str; 10] = ["en", "es", "de", "fr", "pt", "ar", "it", "pl", "tr", "ja"];

/// Of all who come, how many would rather talk, and how many listen. The rest has no wish.
#[derive(Clone, Copy)]
pub struct Roles {
    pub talk: f64,
    pub listen: f64,
}

impl Roles {
    /// Nobody has a wish.
    pub const NONE: Self = Self { talk: 0.0, listen: 0.0 };
    /// As many talk as listen.
    pub const EVEN: Self = Self { talk: 0.25, listen: 0.25 };
    /// Six times as many want to be heard as want to hear.
    pub const SKEWED: Self = Self { talk: 0.6, listen: 0.1 };
}

/// A population.
pub struct Crowd {
    /// Arrivals a minute.
    pub rate: f64,
    /// How many languages they have; the one of rank `k` is spoken by a share in proportion to `1 / k` (Zipf).
    pub languages: usize,
    pub roles: Roles,
}

/// One who comes.
pub struct Arrival {
    /// After the one before, in seconds.
    pub after: f64,
    pub languages: Languages,
    pub role: Role,
    /// Gives up after so many seconds.
    pub patience: f64,
}

impl Crowd {
    pub fn arrival(&self, random: &mut StdRng) -> Arrival {
        let rank = self.rank(random.random());
        let mut tags = vec![TAGS[rank].to_owned()];
        if rank > 0 && random.random::<f64>() < BILINGUAL {
            tags.push(TAGS[0].to_owned());
        }
        let wish: f64 = random.random();
        let role = match wish {
            wish if wish < self.roles.talk => Role::Talk,
            wish if wish < self.roles.talk + self.roles.listen => Role::Listen,
            _ => Role::Either,
        };
        Arrival {
            after: exponential(random) * 60.0 / self.rate,
            languages: Languages::new(tags).expect("different languages"),
            role,
            patience: exponential(random) * PATIENCE.as_secs_f64(),
        }
    }

    fn rank(&self, mut share: f64) -> usize {
        let weight = |rank: usize| 1.0 / (rank + 1) as f64;
        share *= (0..self.languages).map(weight).sum::<f64>();
        (0..self.languages - 1)
            .find(|rank| {
                share -= weight(*rank);
                share < 0.0
            })
            .unwrap_or(self.languages - 1)
    }
}

/// With mean 1.
fn exponential(random: &mut StdRng) -> f64 {
    -(1.0 - random.random::<f64>()).ln()
}
