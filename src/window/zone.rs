//! Local time: days, times of day and the time zones that make instants of them.

use jiff::civil;
use jiff::tz::TimeZone;
use jiff::{Span as Shift, Timestamp as Instant};

use crate::error::ConfigError;

/// A day of the calendar (Gregorian, also for days before there was one).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// The year.
    pub year: i16,
    /// The month, counted from 1.
    pub month: u8,
    /// The day of the month, counted from 1.
    pub day: u8,
}

impl Date {
    /// This day; whether there is such a day is checked when the pipeline is built.
    pub const fn new(year: i16, month: u8, day: u8) -> Self {
        Self { year, month, day }
    }

    /// The number of this day.
    pub(super) fn number(self) -> Result<Day, ConfigError> {
        civil::Date::new(self.year, self.month as i8, self.day as i8).map(number).map_err(|error| {
            let Self { year, month, day } = self;
            ConfigError::setting("date", format!("{year}-{month}-{day}"), error.to_string())
        })
    }
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "their names say it")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// A time of the day as the clock on the wall shows it.
///
/// Where a change of the clocks skips it, it is as much later as they skip; where they show it
/// twice, it is the first of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay {
    /// The hour, from 0 to 23.
    pub hour: u8,
    /// The minute, from 0 to 59.
    pub minute: u8,
}

impl TimeOfDay {
    /// The first instant of a day.
    pub const MIDNIGHT: Self = Self::new(0, 0);

    /// This hour and minute; whether there is such a time is checked when the pipeline is built.
    pub const fn new(hour: u8, minute: u8) -> Self {
        Self { hour, minute }
    }

    /// Refuses what no clock shows.
    pub(super) fn check(self) -> Result<(), ConfigError> {
        if self.hour < 24 && self.minute < 60 {
            return Ok(());
        }
        let value = format!("{}:{:02}", self.hour, self.minute);
        Err(ConfigError::setting("time of day", value, "no clock shows that"))
    }
}

/// A day by its number, counted from 1970-01-01.
pub(super) type Day = i64;

/// The day of the week of a day, counted from Monday, which is 0.
pub(super) fn weekday(day: Day) -> usize {
    // Day 0 was a Thursday.
    (day + Weekday::Thursday as i64).rem_euclid(7) as usize
}

/// A time zone, out of those that are compiled in.
#[derive(Clone, Debug)]
pub(super) struct Zone(TimeZone);

impl Zone {
    /// The zone of this name in the IANA database: "Europe/Berlin", "UTC".
    pub fn named(name: &str) -> Result<Self, ConfigError> {
        let zone = TimeZone::get(name);
        zone.map(Self).map_err(|error| ConfigError::setting("zone", name, error.to_string()))
    }

    /// The day on the wall's calendar at an instant, in nanoseconds.
    pub fn day_of(&self, at: i64) -> Day {
        // Any 64 bits of nanoseconds are within what the calendar knows.
        let instant = Instant::from_nanosecond(at.into()).unwrap_or_default();
        number(self.0.to_datetime(instant).date())
    }

    /// When the clock on the wall shows this time of this day; saturates.
    pub fn instant(&self, day: Day, time: TimeOfDay) -> i64 {
        let wall = date(day).at(time.hour as i8, time.minute as i8, 0, 0);
        let instant = self.0.to_ambiguous_timestamp(wall).compatible();
        let far = if day < 0 { i64::MIN } else { i64::MAX };
        instant.map_or(far, |at| at.as_nanosecond().clamp(i64::MIN.into(), i64::MAX.into()) as i64)
    }
}

/// The first day of the month of a day, and that of the next month.
pub(super) fn month(day: Day) -> (Day, Day) {
    let date = date(day);
    let next = date.last_of_month().saturating_add(Shift::new().days(1));
    (number(date.first_of_month()), number(next))
}

const EPOCH: civil::Date = civil::Date::constant(1970, 1, 1);

fn date(day: Day) -> civil::Date {
    // Beyond the years that fit 64 bits of nanoseconds nobody asks.
    EPOCH.saturating_add(Shift::new().days(day.clamp(-200_000, 200_000)))
}

fn number(date: civil::Date) -> Day {
    date.duration_since(EPOCH).as_hours() / 24
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000_000;

    #[test]
    fn days_have_numbers_and_names() {
        let leap = Date::new(2024, 2, 29).number().unwrap();
        assert_eq!((leap, weekday(leap)), (19_782, Weekday::Thursday as usize));
        assert_eq!(month(leap), (19_782 - 28, 19_783));
        assert_eq!((weekday(0), weekday(-1), weekday(4)), (3, 2, 0));
        assert!(Date::new(2023, 2, 29).number().is_err());
        assert!(Date::new(2023, 200, 1).number().is_err());
        assert!(TimeOfDay::new(24, 0).check().is_err());
        assert!(Zone::named("Europe/Atlantis").is_err());
    }

    /// The clocks skip 02:00 to 03:00 on 2024-03-31 and show it twice on 2024-10-27.
    #[test]
    fn what_the_clocks_skip_is_later_and_what_they_repeat_is_the_first() {
        let zone = Zone::named("Europe/Berlin").unwrap();
        let spring = Date::new(2024, 3, 31).number().unwrap();
        let midnight = zone.instant(spring, TimeOfDay::MIDNIGHT);
        assert_eq!(zone.instant(spring, TimeOfDay::new(2, 30)), midnight + 5 * HOUR / 2);
        assert_eq!(zone.instant(spring, TimeOfDay::new(3, 30)), midnight + 5 * HOUR / 2);
        let autumn = Date::new(2024, 10, 27).number().unwrap();
        let midnight = zone.instant(autumn, TimeOfDay::MIDNIGHT);
        assert_eq!(zone.instant(autumn, TimeOfDay::new(2, 30)), midnight + 5 * HOUR / 2);
        assert_eq!(zone.instant(autumn, TimeOfDay::new(3, 0)), midnight + 4 * HOUR);
        assert_eq!((zone.day_of(midnight), zone.day_of(midnight - 1)), (autumn, autumn - 1));
        for at in [i64::MIN, i64::MAX] {
            assert!(zone.instant(zone.day_of(at), TimeOfDay::MIDNIGHT) <= at);
        }
    }
}
