//! When people come here, as the operator says it: information, and not a door that is shut. Rules without I/O, but for
//! the time zone's own, which are read once.

use std::str::FromStr;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use thiserror::Error;

/// The most openings that a page is told of: it shows one, and goes on to the next while it is open.
pub const MAX_OPENINGS: usize = 8;

/// How many days ahead they are looked for: a week, so that hours on one day of it are always found.
const DAYS_AHEAD: i64 = 7;

/// `20:00-23:00 Europe/Berlin`, every day or with the days in front: `mon-fri 20:00-23:00 Europe/Berlin`. Hours that end
/// before they begin end on the next day, which is the same evening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    /// The first day and how many follow it.
    days: (Weekday, u8),
    from: Time,
    /// Midnight is the next day's.
    to: Time,
    zone: TimeZone,
}

/// Why a text is no [`Hours`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoHours {
    /// Not written as they are.
    #[error("hours are such as `20:00-23:00 Europe/Berlin` or `mon-fri 20:00-23:00 Europe/Berlin`")]
    Shape,
    /// From a moment until the same one.
    #[error("hours have to end at another time than they begin; for all day, say 00:00-24:00")]
    Empty,
    /// Not in the IANA database.
    #[error("no time zone has this name; it is one such as Europe/Berlin or UTC")]
    Zone,
}

/// From when until when people come, in seconds since the Unix epoch.
pub type Opening = (i64, i64);

impl Hours {
    /// Those of some hours that are not over at `now`, in order and without overlaps, [`MAX_OPENINGS`] at the most.
    pub fn openings(all: &[Self], now: u64) -> Vec<Opening> {
        let Some(now) = i64::try_from(now).ok().and_then(|now| Timestamp::from_second(now).ok()) else {
            return Vec::new();
        };
        let mut openings: Vec<Opening> = all.iter().flat_map(|hours| hours.around(now)).collect();
        openings.sort_unstable();
        let mut merged: Vec<Opening> = Vec::new();
        for (from, to) in openings {
            match merged.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => merged.push((from, to)),
            }
        }
        merged.truncate(MAX_OPENINGS);
        merged
    }

    fn around(&self, now: Timestamp) -> impl Iterator<Item = Opening> + '_ {
        let today = now.to_zoned(self.zone.clone()).date();
        // Yesterday's may go on.
        (-1..=DAYS_AHEAD)
            .filter_map(move |ahead| today.checked_add(ahead.days()).ok())
            .filter(|date| self.is_on(*date))
            .filter_map(|date| self.on(date))
            .filter(move |(_, to)| *to > now.as_second())
    }

    fn is_on(&self, date: Date) -> bool {
        let (first, more) = self.days;
        date.weekday().since(first) <= more as i8
    }

    /// The opening that begins on a day. A local time that the clock leaves out is taken for the one an hour later, and
    /// one that comes twice for the first (RFC 5545 §3.3.5).
    fn on(&self, date: Date) -> Option<Opening> {
        let end = if self.to > self.from { date } else { date.tomorrow().ok()? };
        let second =
            |date: Date, time: Time| Some(date.to_datetime(time).to_zoned(self.zone.clone()).ok()?.timestamp());
        let (from, to) = (second(date, self.from)?.as_second(), second(end, self.to)?.as_second());
        (from < to).then_some((from, to))
    }
}

impl FromStr for Hours {
    type Err = NoHours;

    fn from_str(text: &str) -> Result<Self, NoHours> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (days, hours, zone) = match words[..] {
            [hours, zone] => ((Weekday::Monday, 6), hours, zone),
            [days, hours, zone] => (named(days).ok_or(NoHours::Shape)?, hours, zone),
            _ => return Err(NoHours::Shape),
        };
        let (from, to) = hours.split_once('-').ok_or(NoHours::Shape)?;
        let whole_day = (from, to) == ("00:00", "24:00");
        let (from, to) = (time(from)?, if to == "24:00" { Time::midnight() } else { time(to)? });
        if from == to && !whole_day {
            return Err(NoHours::Empty);
        }
        // Without a name for it, the machine's own would be another on every machine.
        let zone = TimeZone::get(zone).map_err(|_| NoHours::Zone)?;
        Ok(Self { days, from, to, zone })
    }
}

/// `mon`, or `mon-fri`: the first, and how many follow it.
fn named(days: &str) -> Option<(Weekday, u8)> {
    const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let day = |name: &str| {
        let index = NAMES.iter().position(|known| known.eq_ignore_ascii_case(name))?;
        Weekday::from_monday_zero_offset(i8::try_from(index).ok()?).ok()
    };
    let (first, last) = days.split_once('-').unwrap_or((days, days));
    let (first, last) = (day(first)?, day(last)?);
    Some((first, u8::try_from(last.since(first)).ok()?))
}

/// `20:00`.
fn time(text: &str) -> Result<Time, NoHours> {
    let number = |digits: &str| {
        let fits = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| digits.parse().ok()).flatten()
    };
    let (hour, minute) = text.split_once(':').ok_or(NoHours::Shape)?;
    let (hour, minute) = number(hour).zip(number(minute)).ok_or(NoHours::Shape)?;
    Time::new(hour, minute, 0, 0).map_err(|_| NoHours::Shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(texts: &[&str]) -> Vec<Hours> {
        texts.iter().map(|text| text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))).collect()
    }

    fn unix(text: &str) -> i64 {
        text.parse::<Timestamp>().expect("a moment").as_second()
    }

    /// What there is at a moment, as texts in UTC.
    fn at(texts: &[&str], now: &str) -> Vec<String> {
        let text = |second| Timestamp::from_second(second).expect("a moment").strftime("%a %d %H:%M").to_string();
        let openings = Hours::openings(&hours(texts), unix(now).try_into().expect("after 1970"));
        openings.into_iter().map(|(from, to)| format!("{}, {}", text(from), text(to))).collect()
    }

    #[test]
    fn every_evening_and_the_one_that_has_begun() {
        let evening = ["20:00-23:00 Europe/Berlin"];
        // A Sunday.
        let openings = at(&evening, "2026-11-22T12:00:00Z");
        assert_eq!(openings.len(), MAX_OPENINGS);
        assert_eq!(openings[..2], ["Sun 22 19:00, Sun 22 22:00", "Mon 23 19:00, Mon 23 22:00"]);
        assert_eq!(at(&evening, "2026-11-22T21:59:59Z")[0], "Sun 22 19:00, Sun 22 22:00");
        assert_eq!(at(&evening, "2026-11-22T22:00:00Z")[0], "Mon 23 19:00, Mon 23 22:00");
        assert!(Hours::openings(&[], 0).is_empty() && Hours::openings(&hours(&evening), u64::MAX).is_empty());
    }

    #[test]
    fn an_evening_may_end_in_the_morning_and_belongs_to_the_day_it_began() {
        let night = ["sat 22:00-02:00 Europe/Berlin"];
        assert_eq!(at(&night, "2026-11-22T00:30:00Z"), ["Sat 21 21:00, Sun 22 01:00", "Sat 28 21:00, Sun 29 01:00"]);
        assert_eq!(at(&night, "2026-11-22T01:00:00Z"), ["Sat 28 21:00, Sun 29 01:00"]);
        // The day is the zone's: Saturday begins in Auckland when it is Friday in Greenwich.
        assert_eq!(at(&["sat 00:00-24:00 Pacific/Auckland"], "2026-11-22T01:00:00Z"), ["Fri 27 11:00, Sat 28 11:00"]);
        // The day before a week is over is found, and what is on it is not over.
        assert_eq!(at(&["sun 10:00-11:00 UTC"], "2026-11-22T11:00:00Z"), ["Sun 29 10:00, Sun 29 11:00"]);
    }

    #[test]
    fn days_are_a_range_that_may_run_into_the_next_week() {
        let now = "2026-11-23T00:00:00Z";
        let days = |texts: &[&str]| at(texts, now).iter().map(|text| text[..3].to_owned()).collect::<Vec<_>>();
        assert_eq!(days(&["mon-fri 20:00-21:00 UTC"]), ["Mon", "Tue", "Wed", "Thu", "Fri", "Mon"]);
        assert_eq!(days(&["SAT-Mon 20:00-21:00 UTC"]), ["Mon", "Sat", "Sun", "Mon"]);
        assert_eq!(days(&["wed 20:00-21:00 UTC", "sun 09:00-10:00 UTC"]), ["Wed", "Sun"]);
    }

    #[test]
    fn what_overlaps_or_touches_is_one_opening() {
        let now = "2026-11-23T00:00:00Z";
        let both = at(&["mon 20:00-22:00 UTC", "mon 21:00-23:00 UTC", "mon 23:00-24:00 UTC"], now);
        assert_eq!(both[0], "Mon 23 20:00, Tue 24 00:00");
        let inside = at(&["mon 20:00-23:00 UTC", "mon 21:00-22:00 UTC"], now);
        assert_eq!(inside[0], "Mon 23 20:00, Mon 23 23:00");
        // Always, as long as anybody looks ahead.
        assert_eq!(at(&["00:00-24:00 UTC"], now), ["Mon 23 00:00, Tue 01 00:00"]);
    }

    #[test]
    fn the_clock_is_the_one_on_the_wall_before_and_after_it_changes() {
        // Europe's winter begins on 25 October 2026 at three, which is two again; its summer on 29 March 2026 at two.
        let evening = ["20:00-23:00 Europe/Berlin"];
        assert_eq!(
            at(&evening, "2026-10-24T20:00:00Z")[..2],
            ["Sat 24 18:00, Sat 24 21:00", "Sun 25 19:00, Sun 25 22:00"]
        );
        // What the clock leaves out is an hour later, and what comes twice begins the first time.
        assert_eq!(at(&["sun 02:30-05:00 Europe/Berlin"], "2026-03-28T12:00:00Z")[0], "Sun 29 01:30, Sun 29 03:00");
        assert_eq!(at(&["sun 02:30-05:00 Europe/Berlin"], "2026-10-24T12:00:00Z")[0], "Sun 25 00:30, Sun 25 04:00");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (text, why) in [
            ("", NoHours::Shape),
            ("20:00-23:00", NoHours::Shape),
            ("Europe/Berlin", NoHours::Shape),
            ("20-23 Europe/Berlin", NoHours::Shape),
            ("8:00-9:00 Europe/Berlin", NoHours::Shape),
            ("20:00-25:00 Europe/Berlin", NoHours::Shape),
            ("20:00-23:60 Europe/Berlin", NoHours::Shape),
            ("24:00-02:00 Europe/Berlin", NoHours::Shape),
            ("20:00-+3:00 Europe/Berlin", NoHours::Shape),
            ("20:00–23:00 Europe/Berlin", NoHours::Shape),
            ("20:00-23:00 Europe/Berlin daily", NoHours::Shape),
            ("someday 20:00-23:00 Europe/Berlin", NoHours::Shape),
            ("mon-tue-wed 20:00-23:00 Europe/Berlin", NoHours::Shape),
            ("20:00-20:00 Europe/Berlin", NoHours::Empty),
            ("20:00-23:00 Europe/Belin", NoHours::Zone),
            ("20:00-23:00 ../../etc/passwd", NoHours::Zone),
        ] {
            assert_eq!(text.parse::<Hours>(), Err(why), "{text}");
        }
    }

    #[test]
    fn a_zone_is_known_on_a_machine_that_has_none() {
        assert!(jiff::tz::TimeZoneDatabase::bundled().get("Europe/Berlin").is_ok());
    }
}
