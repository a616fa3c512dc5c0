//! Who has to stay out of conversations for a while, because several people have reported conversations with them.
//!
//! A network is cooled down, since nothing else is known of somebody who has reloaded the page, by how many *different*
//! networks have reported it within a day. One is none: nobody is cooled down by one person, however angry and with
//! however many tabs. An IPv6 reporter's network is the /48. With each further one it takes longer, and each is
//! forgotten after a day.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::{mailbox::Whence, protocol::Category};

/// How long a report counts.
pub const FADES_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest that anybody is cooled down for.
pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// More networks than are reported in a day; the one whose last report is the oldest goes.
const MAX_REPORTED: usize = 16 * 1024;

/// Beyond these nothing changes.
const MAX_REPORTERS: usize = 4;

/// What so many different reporters come to.
fn cool_down(reporters: usize) -> Option<Duration> {
    match reporters {
        0 | 1 => None,
        2 => Some(Duration::from_secs(10 * 60)),
        3 => Some(Duration::from_secs(60 * 60)),
        _ => Some(LONGEST),
    }
}

struct Report {
    /// The reporter's network.
    site: u64,
    category: Category,
    at: Instant,
}

#[derive(Default)]
struct Reported {
    /// Oldest first.
    reports: Vec<Report>,
    until: Option<Instant>,
}

impl Reported {
    fn fade(&mut self, now: Instant) {
        self.reports.retain(|report| now < report.at + FADES_AFTER);
        self.until = self.until.filter(|until| now < *until);
    }

    /// Takes in what was said of the same network under the key before.
    fn merge(&mut self, before: Self) {
        self.until = self.until.max(before.until);
        self.reports.extend(before.reports);
        self.reports.sort_by_key(|report| report.at);
        self.reports.truncate(MAX_REPORTERS);
    }

    fn is_over(&self) -> bool {
        self.reports.is_empty() && self.until.is_none()
    }

    /// What was reported most, and of that what was reported last.
    fn category(&self) -> Option<Category> {
        let count = |category| self.reports.iter().filter(|report| report.category == category).count();
        self.reports.iter().map(|report| report.category).max_by_key(|category| count(*category))
    }
}

/// All networks that were reported within a day.
#[derive(Default)]
pub struct Reports(HashMap<u64, Reported>);

impl Reports {
    /// Counts one report. A second one of the same two networks within a day changes nothing.
    pub fn add(&mut self, reporter: &Whence, reported: &Whence, category: Category, now: Instant) {
        let [current, previous] = reported.network;
        // The key has changed since the last report.
        if let Some(before) = self.0.remove(&previous) {
            self.0.entry(current).or_default().merge(before);
        }
        if self.0.len() >= MAX_REPORTED && !self.0.contains_key(&current) {
            self.make_room(now);
        }
        let entry = self.0.entry(current).or_default();
        entry.fade(now);
        if entry.reports.len() < MAX_REPORTERS
            && !entry.reports.iter().any(|report| reporter.site.contains(&report.site))
        {
            entry.reports.push(Report { site: reporter.site[0], category, at: now });
            let until = cool_down(entry.reports.len()).map(|time| now + time);
            entry.until = entry.until.max(until);
        }
    }

    /// How long somebody of this network has to stay out of conversations still, and for what.
    pub fn cooling(&self, whence: &Whence, now: Instant) -> Option<(Duration, Category)> {
        let entries = whence.network.iter().filter_map(|network| self.0.get(network));
        let entry = entries.max_by_key(|entry| entry.until)?;
        let left = entry.until?.checked_duration_since(now).filter(|left| !left.is_zero())?;
        Some((left, entry.category()?))
    }

    /// Drops what no longer counts, whether or not anybody asks.
    pub fn fade(&mut self, now: Instant) {
        self.0.retain(|_, entry| {
            entry.fade(now);
            !entry.is_over()
        });
    }

    fn make_room(&mut self, now: Instant) {
        self.fade(now);
        if self.0.len() >= MAX_REPORTED {
            let last = |entry: &Reported| entry.reports.last().map(|report| report.at);
            let oldest = self.0.iter().min_by_key(|(_, entry)| last(entry)).map(|(network, _)| *network);
            oldest.map(|network| self.0.remove(&network));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn whence(network: u64) -> Whence {
        Whence { network: [network, network + 1_000_000], site: [network, network + 1_000_000] }
    }

    fn cooling(reports: &Reports, network: u64, now: Instant) -> Option<u64> {
        reports.cooling(&whence(network), now).map(|(left, _)| left.as_secs() / 60)
    }

    #[test]
    fn it_takes_two_and_grows_and_fades() {
        let (mut reports, start) = (Reports::default(), Instant::now());
        let mut now = start;
        for (reporter, minutes) in [(1, None), (2, Some(10)), (3, Some(60)), (4, Some(24 * 60)), (5, Some(24 * 60 - 1))]
        {
            reports.add(&whence(reporter), &whence(9), Category::Other, now);
            assert_eq!(cooling(&reports, 9, now), minutes, "after {reporter}");
            now += MINUTE;
        }
        assert_eq!(cooling(&reports, 8, now), None);
        // A day after the fourth it is over, and what comes then is the first again.
        now = start + 3 * MINUTE + LONGEST;
        assert_eq!(cooling(&reports, 9, now), None);
        reports.add(&whence(1), &whence(9), Category::Other, now);
        assert_eq!(cooling(&reports, 9, now), None);
    }

    #[test]
    fn one_angry_person_is_one_however_often() {
        let (mut reports, now) = (Reports::default(), Instant::now());
        for minute in 0..1_000 {
            reports.add(&whence(1), &whence(9), Category::Sexual, now + MINUTE * minute);
            assert_eq!(cooling(&reports, 9, now + MINUTE * minute), None);
        }
        // All /64 of one site.
        let (mut reports, site) = (Reports::default(), [5, 6]);
        (1..100)
            .for_each(|network| reports.add(&Whence { site, ..whence(network) }, &whence(9), Category::Sexual, now));
        assert_eq!(cooling(&reports, 9, now), None);
    }

    #[test]
    fn a_new_key_forgives_nothing_and_counts_nobody_twice() {
        let (mut reports, now) = (Reports::default(), Instant::now());
        reports.add(&whence(1), &whence(9), Category::Hateful, now);
        reports.add(&whence(2), &whence(9), Category::Other, now);
        let later = |network: u64| Whence { network: [network + 500, network], site: [network + 500, network] };
        assert!(reports.cooling(&later(9), now).is_some());
        reports.add(&later(1), &later(9), Category::Hateful, now);
        assert_eq!(reports.cooling(&later(9), now).expect("still").0, 10 * MINUTE);
        reports.add(&later(3), &later(9), Category::Hateful, now);
        assert_eq!(reports.cooling(&later(9), now), Some((60 * MINUTE, Category::Hateful)));
    }

    /// Sockets that were opened before and after the key's change are of one network; and nothing is lost of either.
    #[test]
    fn what_was_said_under_either_key_counts() {
        let (mut reports, now) = (Reports::default(), Instant::now());
        let before = Whence { network: [1, 0], site: [1, 0] };
        let after = Whence { network: [2, 1], site: [2, 1] };
        for reporter in [50, 51, 52] {
            reports.add(&whence(reporter), &after, Category::Other, now);
        }
        reports.add(&whence(53), &before, Category::Other, now);
        assert_eq!(reports.cooling(&after, now), Some((60 * MINUTE, Category::Other)));
        reports.add(&whence(50), &after, Category::Other, now);
        assert_eq!(reports.cooling(&after, now), Some((60 * MINUTE, Category::Other)), "and not forgiven");
        reports.add(&whence(54), &after, Category::Other, now);
        assert!(reports.cooling(&after, now).is_some());
    }

    #[test]
    fn nothing_is_left_a_day_after_the_last_report() {
        let (mut reports, now) = (Reports::default(), Instant::now());
        for number in 0..4 {
            reports.add(&whence(number), &whence(9), Category::Young, now + MINUTE * number as u32);
        }
        reports.add(&whence(1), &whence(8), Category::Other, now);
        reports.fade(now + FADES_AFTER);
        assert_eq!(reports.0.keys().collect::<Vec<_>>(), [&9]);
        reports.fade(now + 3 * MINUTE + FADES_AFTER.max(LONGEST));
        assert_eq!(reports.0.len(), 0);
    }

    #[test]
    fn memory_is_bounded_and_the_last_are_kept() {
        let (mut reports, now) = (Reports::default(), Instant::now());
        for number in 0..MAX_REPORTED as u64 + 9 {
            let at = now + Duration::from_millis(number);
            reports.add(&whence(1), &whence(number), Category::Other, at);
            reports.add(&whence(2), &whence(number), Category::Other, at);
        }
        assert_eq!(reports.0.len(), MAX_REPORTED);
        assert!(cooling(&reports, MAX_REPORTED as u64 + 8, now + MINUTE).is_some());
        reports.add(&whence(1), &whence(99_999), Category::Other, now + 2 * FADES_AFTER);
        assert_eq!(reports.0.len(), 1);
    }

    proptest! {
        /// Against the list of all reports: a network is out exactly as long as the reports of different others say.
        #[test]
        fn the_rule_holds_in_every_history(steps in prop::collection::vec((0..6_u64, 0..3_u64, 0..600_u32), 1..120)) {
            let mut now = Instant::now();
            let mut reports = Reports::default();
            let mut counted: BTreeMap<u64, Vec<(u64, Instant)>> = BTreeMap::new();
            let mut until: BTreeMap<u64, Instant> = BTreeMap::new();
            for (reporter, reported, minutes) in steps {
                now += MINUTE * minutes;
                let list = counted.entry(reported).or_default();
                list.retain(|(_, at)| now < *at + FADES_AFTER);
                if !list.iter().any(|(who, _)| *who == reporter) && list.len() < MAX_REPORTERS {
                    list.push((reporter, now));
                    if let Some(time) = cool_down(list.len()) {
                        let before = until.get(&reported).copied().unwrap_or(now);
                        until.insert(reported, before.max(now + time));
                    }
                }
                reports.add(&whence(reporter), &whence(reported), Category::Other, now);
                for network in 0..3 {
                    let left = until.get(&network).and_then(|until| until.checked_duration_since(now)).filter(|left| !left.is_zero());
                    prop_assert_eq!(reports.cooling(&whence(network), now).map(|(left, _)| left), left);
                }
            }
        }
    }
}
