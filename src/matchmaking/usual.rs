//! How it usually is at an hour of the day: how waits have ended there on other days, coarsely, and of nobody. Pure; the
//! moment is passed in, and the hours are those of UTC.
//!
//! It is shown to people who wait, so it has to be true, also where somebody would like it to be something else. So a
//! network counts once an hour, whatever it does; a day counts only when [`NETWORKS`] were heard of in that hour, and no
//! more than [`DAY_AT_MOST`] of them; it takes [`ENOUGH_DAYS`] of these; and two thirds have to say the same. Leaving
//! and joining again moves nothing: only the two hearing each other is a wait that found somebody, and whoever
//! leaves within [`SOON`] has not waited.
//!
//! Its memory is fixed: five numbers for each hour, and marks of [`NETWORKS_AT_MOST`] networks that count in the present one
//! already, which are gone when it is over.

use std::time::Duration;

use crate::mailbox::Whence;
use crate::protocol::Usual;

/// Up to here a wait was short; who leaves before it has not given up on anybody.
pub const SOON: Duration = Duration::from_secs(60);

/// Up to here it was some minutes: as long as somebody stays who is told so.
pub const MINUTES: Duration = Duration::from_secs(10 * 60);

/// A wait that lasts longer is a tab that nobody sits at, and says nothing.
pub const FORGOTTEN: Duration = Duration::from_secs(60 * 60);

/// From how many networks something has to be heard in an hour for the day to count. One person may have four: IPv4 and
/// IPv6 at home, and both on the phone; then the fifth is somebody else.
pub const NETWORKS: usize = 5;

/// So many are heard of in an hour. A sample of more would say the same.
pub const NETWORKS_AT_MOST: usize = 64;

/// One day has the weight of so many at the most, so that a single evening, when a newspaper wrote of it, is not what is
/// usual.
const DAY_AT_MOST: f32 = 8.0;

/// After so long what was counted has half its weight: a habit of two weekends ago is fading, and is not gone.
const HALF_LIFE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// So many days have to speak, less what has faded of them: four of the last week.
const ENOUGH_DAYS: f32 = 3.0;

/// Such a part of them is what "usually" means.
const MOST: f32 = 2.0 / 3.0;

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Soon,
    Minutes,
    Never,
}

/// What is known of one hour of the day.
#[derive(Debug, Clone, Copy, Default)]
struct Hour {
    /// The weights of each [`End`], as of [`Self::day`].
    ends: [f32; 3],
    /// The weight of the days they are from.
    days: f32,
    /// The last of these, counted from the Unix epoch.
    day: u64,
}

impl Hour {
    /// As it is on a later day.
    fn on(self, day: u64) -> Self {
        let left = 0.5_f32.powf((day.saturating_sub(self.day) * DAY) as f32 / HALF_LIFE.as_secs_f32());
        Self { ends: self.ends.map(|weight| weight * left), days: self.days * left, day }
    }

    /// The same with one day more.
    fn with(self, ends: [u16; 3], day: u64) -> Self {
        if day < self.day {
            // The clock was wrong, and what was counted by it may be.
            return Self::default().with(ends, day);
        }
        let mut hour = self.on(day);
        let share = (DAY_AT_MOST / ends.iter().map(|count| f32::from(*count)).sum::<f32>()).min(1.0);
        hour.ends.iter_mut().zip(ends).for_each(|(weight, count)| *weight += f32::from(count) * share);
        hour.days += 1.0;
        hour
    }

    fn usual(self) -> Option<Usual> {
        if self.days < ENOUGH_DAYS {
            return None;
        }
        let [soon, minutes, never] = self.ends;
        let most = MOST * (soon + minutes + never);
        if soon >= most {
            Some(Usual::Soon)
        } else if soon + minutes >= most {
            Some(Usual::Minutes)
        } else {
            (never >= most).then_some(Usual::Quiet)
        }
    }
}

/// What is counted of all hours.
#[derive(Debug, Default)]
pub struct Counts {
    hours: [Hour; 24],
    /// The present hour, counted from the Unix epoch.
    present: u64,
    /// Who counts in it already.
    networks: Vec<[u64; 2]>,
    /// And how many for what.
    ends: [u16; 3],
}

impl Counts {
    /// Two have found each other, of whom this one waited for so long. Where both are of one network it may be one
    /// person with two windows, and counts for nothing.
    pub fn found(&mut self, took: Duration, own: &Whence, other: &Whence, unix: u64) {
        if own.site.iter().any(|site| other.site.contains(site)) {
            return;
        }
        match took {
            took if took <= SOON => self.count(End::Soon, own, unix),
            took if took <= MINUTES => self.count(End::Minutes, own, unix),
            took if took <= FORGOTTEN => self.count(End::Never, own, unix),
            _ => {}
        }
    }

    /// Somebody has left who waited for so long.
    pub fn gave_up(&mut self, took: Duration, own: &Whence, unix: u64) {
        if (SOON..=FORGOTTEN).contains(&took) {
            self.count(End::Never, own, unix);
        }
    }

    /// How it usually is at this hour, where that is known.
    pub fn usual(&mut self, unix: u64) -> Option<Usual> {
        self.turn(unix);
        let (day, hour) = date(self.present);
        self.hours[hour].on(day).usual()
    }

    /// Lets time pass: when an hour is over, it is added to what is known of it if enough was heard, and the marks go.
    pub fn turn(&mut self, unix: u64) {
        let present = unix / HOUR;
        if present == self.present {
            return;
        }
        let (day, hour) = date(self.present);
        // The same hour twice is a clock that was set back in it.
        if self.networks.len() >= NETWORKS && self.hours[hour].day != day {
            self.hours[hour] = self.hours[hour].with(self.ends, day);
        }
        (self.present, self.ends) = (present, [0; 3]);
        self.networks.clear();
    }

    fn count(&mut self, end: End, own: &Whence, unix: u64) {
        self.turn(unix);
        let counts = |site: &u64| self.networks.iter().any(|known| known.contains(site));
        if self.networks.len() < NETWORKS_AT_MOST && !own.site.iter().any(counts) {
            self.networks.push(own.site);
            self.ends[end as usize] += 1;
        }
    }
}

/// The day and its hour, of an hour since the Unix epoch.
fn date(hour: u64) -> (u64, usize) {
    (hour / 24, (hour % 24) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Sunday at eight in the evening.
    const EVENING: u64 = 1_795_377_600;

    fn whence(number: u64) -> Whence {
        let marks = [2 * number, 2 * number + 1];
        Whence { network: marks, site: marks }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// So many networks, each with a wait of so many seconds that found somebody.
    fn found(counts: &mut Counts, networks: u64, took: u64, unix: u64) {
        for number in 0..networks {
            counts.found(seconds(took), &whence(number), &whence(1_000), unix);
        }
    }

    /// The same where nobody came.
    fn gave_up(counts: &mut Counts, networks: u64, took: u64, unix: u64) {
        for number in 0..networks {
            counts.gave_up(seconds(took), &whence(number + 500), unix);
        }
    }

    /// What is said on the evening after so many in a row like this one.
    fn after(days: u64, mut evening: impl FnMut(&mut Counts, u64)) -> Option<Usual> {
        let mut counts = Counts::default();
        for day in 0..days {
            let unix = EVENING + day * DAY;
            evening(&mut counts, unix);
            assert!(day > 2 || counts.usual(unix).is_none(), "too early");
        }
        counts.usual(EVENING + days * DAY)
    }

    #[test]
    fn what_most_waits_were_on_enough_days_is_usual() {
        let most = |networks, took| after(4, |counts, unix| found(counts, networks, took, unix));
        assert_eq!(most(5, 0), Some(Usual::Soon));
        assert_eq!(most(5, 60), Some(Usual::Soon));
        assert_eq!(most(5, 61), Some(Usual::Minutes));
        assert_eq!(most(5, 600), Some(Usual::Minutes));
        assert_eq!(most(5, 601), Some(Usual::Quiet), "it was longer than anybody is told");
        assert_eq!(after(4, |counts, unix| gave_up(counts, 5, 60, unix)), Some(Usual::Quiet));
        // Every other one is there when somebody comes: within minutes is true of all.
        let both = after(4, |counts, unix| {
            for number in 0..8 {
                counts.found(seconds(number % 2 * 200), &whence(number), &whence(1_000), unix);
            }
        });
        assert_eq!(both, Some(Usual::Minutes));
        // As many find somebody as do not: there is nothing that is usual.
        let neither = after(4, |counts, unix| {
            found(counts, 4, 0, unix);
            gave_up(counts, 4, 300, unix);
        });
        assert_eq!(neither, None);
    }

    #[test]
    fn it_takes_enough_days_and_enough_networks_on_each() {
        let on = |days, networks| after(days, |counts, unix| found(counts, networks, 0, unix));
        assert_eq!(on(3, 60), None, "however many came");
        assert_eq!(on(4, NETWORKS as u64), Some(Usual::Soon));
        assert_eq!(on(60, NETWORKS as u64 - 1), None, "a few are not enough on any day");
        // One evening that was like no other.
        let fair = after(
            12,
            |counts, unix| if unix == EVENING { gave_up(counts, 64, 300, unix) } else { found(counts, 5, 0, unix) },
        );
        assert_eq!(fair, Some(Usual::Soon));
    }

    #[test]
    fn an_hour_is_like_the_same_hour_of_other_days_and_not_like_the_next() {
        let mut counts = Counts::default();
        for day in 0..5 {
            found(&mut counts, 6, 0, EVENING + day * DAY);
            gave_up(&mut counts, 6, 400, EVENING + 8 * HOUR + day * DAY);
        }
        let next = EVENING + 5 * DAY;
        for (unix, usual) in [
            (next - 1, None),
            (next, Some(Usual::Soon)),
            (next + HOUR - 1, Some(Usual::Soon)),
            (next + HOUR, None),
            (next + 8 * HOUR, Some(Usual::Quiet)),
        ] {
            assert_eq!(counts.usual(unix), usual, "{unix}");
        }
        // The hour that has begun says nothing of itself yet.
        gave_up(&mut counts, 60, 400, next);
        assert_eq!(counts.usual(next), Some(Usual::Soon));
    }

    #[test]
    fn it_fades_and_changes_with_what_people_do() {
        let mut counts = Counts::default();
        for day in 0..10 {
            found(&mut counts, 6, 0, EVENING + day * DAY);
        }
        assert_eq!(counts.usual(EVENING + 20 * DAY), Some(Usual::Soon));
        assert_eq!(counts.usual(EVENING + 60 * DAY), None, "nobody has come for two months");
        let mut counts = Counts::default();
        let mut heard = Vec::new();
        for day in 0..80 {
            if day < 30 {
                found(&mut counts, 6, 0, EVENING + day * DAY)
            } else {
                gave_up(&mut counts, 6, 400, EVENING + day * DAY)
            }
            heard.push(counts.usual(EVENING + (day + 1) * DAY));
        }
        heard.dedup();
        assert_eq!(heard, [None, Some(Usual::Soon), None, Some(Usual::Quiet)]);
    }

    #[test]
    fn nobody_can_make_it_up_alone() {
        // Fifty presses in one night, on as many nights as they like, from all the networks that one person has.
        let one = |counts: &mut Counts, unix| {
            for press in 0..50 {
                for network in 0..4 {
                    counts.found(seconds(0), &whence(network), &whence((network + 1) % 4), unix + press);
                    counts.gave_up(seconds(400), &whence(network), unix + press);
                }
            }
        };
        assert_eq!(after(60, one), None);
        // Where others are, it changes nothing that is true of them: who leaves and joins counts as often as anybody.
        let among = |others| {
            after(20, |counts, unix| {
                for press in 0..50 {
                    counts.gave_up(seconds(60 + press), &whence(900), unix + press);
                }
                found(counts, others, 0, unix);
            })
        };
        assert_eq!(among(5), Some(Usual::Soon));
        // Nor do two windows of one network meet, or does anything count twice when the key of its mark changes.
        let mut counts = Counts::default();
        counts.found(seconds(0), &whence(1), &whence(1), EVENING);
        assert!(counts.networks.is_empty());
        let (before, after) = (Whence { network: [1, 0], site: [1, 0] }, Whence { network: [2, 1], site: [2, 1] });
        counts.found(seconds(0), &before, &whence(50), EVENING);
        counts.found(seconds(0), &after, &whence(50), EVENING);
        assert_eq!((counts.networks.len(), counts.ends), (1, [1, 0, 0]));
    }

    #[test]
    fn whoever_has_not_waited_or_has_forgotten_that_they_do_says_nothing() {
        for (found, took) in [(false, 0), (false, 59), (false, 3_601), (true, 3_601)] {
            let mut counts = Counts::default();
            let own = whence(1);
            if found {
                counts.found(seconds(took), &own, &whence(2), EVENING)
            } else {
                counts.gave_up(seconds(took), &own, EVENING)
            }
            assert!(counts.networks.is_empty(), "{took}");
        }
    }

    #[test]
    fn its_memory_is_fixed_and_the_marks_are_gone_with_the_hour() {
        let mut counts = Counts::default();
        found(&mut counts, 10_000, 0, EVENING);
        assert_eq!(counts.networks.len(), NETWORKS_AT_MOST);
        assert!(counts.networks.capacity() <= NETWORKS_AT_MOST);
        counts.turn(EVENING + HOUR - 1);
        assert!(!counts.networks.is_empty());
        counts.turn(EVENING + HOUR);
        assert!(counts.networks.is_empty() && counts.ends == [0; 3]);
    }

    #[test]
    fn a_clock_that_jumps_counts_no_day_twice_and_none_for_ever() {
        // Set back and forth within an evening: it is one.
        let mut counts = Counts::default();
        for _ in 0..9 {
            found(&mut counts, 6, 0, EVENING);
            counts.turn(EVENING + HOUR);
        }
        assert_eq!(counts.usual(EVENING + DAY), None);
        // A year ahead, and right again: what comes then counts.
        found(&mut counts, 6, 0, EVENING + 365 * DAY);
        for day in 2..7 {
            gave_up(&mut counts, 6, 400, EVENING + day * DAY);
        }
        assert_eq!(counts.usual(EVENING + 7 * DAY), Some(Usual::Quiet));
        assert_eq!(counts.usual(u64::MAX), None);
    }
}
