//! What a man in the middle can do, tried out in full. He plays the answerer to an honest offerer and the offerer to
//! an honest answerer, both of whom are the real [`Run`]; he sends what he likes in the order that suits him best, and
//! wins when both show the same. Values are of eight bits, so that all of them can be tried, and are made so that
//! nothing but the rules protects: the commitment is an ideal one (a one-time pad, which tells those who have not the
//! pad nothing, and can be opened in one way only), and the emoji are uniform in either nonce.

use std::ops::Range;
use std::thread;

use super::*;

/// What there is of everything.
const ALL: usize = 256;

/// What one half of his call is made of.
#[derive(Clone, Copy)]
struct Half {
    /// Of the one-time pad; the honest offerer's is its secret.
    pad: u8,
    /// Stands for the fingerprints, which are different ones in the two halves.
    transcript: u8,
    /// Whether there is a commitment; without one, what stands in its place is the same for every nonce.
    commits: bool,
}

impl Values for Half {
    type Value = [u8; 1];
    type Emoji = u8;

    fn commitment(&self, [nonce]: &[u8; 1]) -> [u8; 1] {
        [if self.commits { nonce ^ self.pad } else { 0 }]
    }

    fn emoji(&self, [commitment]: &[u8; 1], [offerers]: &[u8; 1], [answerers]: &[u8; 1]) -> u8 {
        let mixed = offerers.wrapping_mul(0xB5).wrapping_add(answerers.rotate_left(3).wrapping_mul(0x4F));
        mixed.wrapping_add(self.transcript).wrapping_add(commitment.wrapping_mul(0x1D))
    }
}

/// What the honest offerer shows, whose commitment he has seen, when he answers with this nonce. `None` where it ends
/// the call.
fn offerer_shows(half: Half, nonce: u8, his: u8) -> Option<u8> {
    let (mut run, _) = Run::offer(half, [nonce]);
    run.receive(&[ANSWER, his]).ok()?.emoji
}

/// What the honest answerer shows when he commits to one nonce and then opens another.
fn answerer_shows(half: Half, nonce: u8, committed: u8, opened: u8) -> Option<u8> {
    let mut run = Run::answer(half, [nonce]);
    let [commitment] = half.commitment(&[committed]);
    run.receive(&[COMMITMENT, commitment]).ok()?;
    run.receive(&[OPENING, opened]).ok()?.emoji
}

fn all() -> impl Iterator<Item = u8> {
    0..=u8::MAX
}

/// A sum over a range of things, by as many threads as there are processors.
fn sum(over: Range<usize>, one: impl Fn(u8) -> u64 + Sync) -> u64 {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let one = &one;
    thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|part| {
                let mine = over.clone().skip(part).step_by(threads);
                scope.spawn(move || mine.map(|index| one(u8::try_from(index).unwrap())).sum::<u64>())
            })
            .collect();
        parts.into_iter().map(|part| part.join().unwrap()).sum()
    })
}

/// How often each emoji is shown, over all nonces of somebody honest.
fn tally(shown: impl Iterator<Item = Option<u8>>) -> [u64; ALL] {
    let mut tally = [0; ALL];
    shown.flatten().for_each(|emoji| tally[usize::from(emoji)] += 1);
    tally
}

/// His chance when he is through with the answerer, whose emoji he therefore knows, before he sends his nonce to the
/// offerer: of the offerer's nonce he knows the commitment. Over everything that he can see, at his best.
fn answerer_first(commits: bool) -> f64 {
    let won = sum(0..ALL, |seen| {
        let mut best = [0; ALL];
        for his in all() {
            // Every nonce that may stand behind the commitment he sees, each with the pad that makes it so.
            let shown = all().map(|nonce| {
                let half = Half { pad: nonce ^ seen, transcript: 17, commits };
                offerer_shows(half, nonce, his)
            });
            for (best, times) in best.iter_mut().zip(tally(shown)) {
                *best = times.max(*best);
            }
        }
        // What the answerer shows is any of them, as often as any other.
        best.iter().sum()
    });
    won as f64 / (ALL * ALL * ALL) as f64
}

/// His chance when he is through with the offerer before he commits to anything towards the answerer.
fn offerer_first(commits: bool) -> f64 {
    let half = Half { pad: 99, transcript: 200, commits };
    let mut best = [0; ALL];
    for his in all() {
        let shown = all().map(|nonce| answerer_shows(half, nonce, his, his));
        for (best, times) in best.iter_mut().zip(tally(shown)) {
            *best = times.max(*best);
        }
    }
    best.iter().sum::<u64>() as f64 / (ALL * ALL) as f64
}

/// His chance when he has both honest nonces before he has to open what he committed to: he opens whatever makes the
/// answerer show what the offerer shows, if it is let pass.
fn both_before_the_opening(commits: bool) -> f64 {
    let half = Half { pad: 99, transcript: 200, commits };
    // The best commitment is worth as much as the best of them.
    let shown_by_offerer = |his| tally(all().map(|nonce| offerer_shows(Half { transcript: 17, ..half }, nonce, his)));
    let offerer = shown_by_offerer(42);
    let most = |committed| {
        all()
            .map(|nonce| {
                let within_reach = tally(all().map(|opened| answerer_shows(half, nonce, committed, opened)));
                within_reach.iter().zip(offerer).filter(|(ways, _)| **ways > 0).map(|(_, times)| times).sum::<u64>()
            })
            .sum::<u64>()
    };
    // A sum over all he may commit to, which is the mean of what they are worth.
    sum(0..ALL, most) as f64 / (ALL * ALL * ALL) as f64
}

#[test]
fn a_man_in_the_middle_has_one_guess() {
    for (order, chance) in [
        ("the answerer first", answerer_first(true)),
        ("the offerer first", offerer_first(true)),
        ("both before the opening", both_before_the_opening(true)),
    ] {
        println!("{order}: {:.3} in 256", chance * 256.0);
        assert!((0.9 / 256.0..=1.0 / 256.0).contains(&chance), "{order}: {chance}");
    }
}

#[test]
fn without_the_commitment_he_nearly_always_wins() {
    let chance = both_before_the_opening(false);
    println!("{chance:.4}");
    assert!(chance > 0.98, "{chance}");
    // It is the commitment, and not the order alone: whoever moves before he knows has one guess with and without it.
    assert!(offerer_first(false) <= 1.0 / 256.0);
}
