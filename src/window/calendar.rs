//! Windows of the calendar: days, weeks and months, as the clocks of some place show them.

use std::fmt;
use std::rc::Rc;

use crate::error::ConfigError;
use crate::window::zone::{self, Day, Zone};
use crate::window::{Cuts, Disjoint, Period, Periods, TimeOfDay, Weekday, Window};

/// Days, weeks or months in a time zone, end to end.
///
/// A day on which the clocks change has 23 or 25 hours. The zones come with the program; the host's
/// own files are not asked, so that a replay gives the same windows everywhere.
///
/// ```
/// use millstream::aggregates::count;
/// use millstream::window::Date;
/// use millstream::{io::IterSource, secs, Calendar, Record, Simulation, Timestamp};
/// # fn main() -> millstream::Result<()> {
/// Simulation::new(1, 0).run(|p| {
///     // A record a minute around the end of March 2024, when summer time begins.
///     let start = Timestamp::from_millis(1_711_700_000_000);
///     let minutes = (0..5_000).map(move |n| Record::new(start + secs(60 * n), n));
///     p.source(IterSource::new(minutes))
///         .window_all(Calendar::days("Europe/Berlin"))
///         .aggregate(count())
///         .for_each(|day| assert!(day.value.value <= 24 * 60));
///     Ok(())
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: String,
    unit: Unit,
    begins: TimeOfDay,
}

#[derive(Clone, Copy, Debug)]
enum Unit {
    Day,
    /// A week, and the day it begins on.
    Week(Weekday),
    Month,
}

impl Calendar {
    /// Days in the zone of this name in the IANA database, as "America/New_York".
    pub fn days(zone: impl Into<String>) -> Self {
        Self::of(zone.into(), Unit::Day)
    }

    /// Weeks that begin on this day.
    pub fn weeks(zone: impl Into<String>, first: Weekday) -> Self {
        Self::of(zone.into(), Unit::Week(first))
    }

    /// Months.
    pub fn months(zone: impl Into<String>) -> Self {
        Self::of(zone.into(), Unit::Month)
    }

    fn of(zone: String, unit: Unit) -> Self {
        Self { zone, unit, begins: TimeOfDay::MIDNIGHT }
    }

    /// Each day, and so each week and month, begins at this time instead of midnight.
    pub fn begins_at(self, begins: TimeOfDay) -> Self {
        Self { begins, ..self }
    }
}

impl Window for Calendar {
    fn cuts(&self) -> Result<Rc<dyn Cuts>, ConfigError> {
        self.begins.check()?;
        let zone = Zone::named(&self.zone)?;
        Ok(Rc::new(Disjoint::new(InZone { calendar: self.clone(), zone })))
    }
}

/// A calendar whose zone has been found.
struct InZone {
    calendar: Calendar,
    zone: Zone,
}

impl InZone {
    /// The first day of the unit that a day is in, and that of the next unit.
    fn around(&self, day: Day) -> (Day, Day) {
        match self.calendar.unit {
            Unit::Day => (day, day + 1),
            Unit::Week(first) => {
                let start = day - (zone::weekday(day) as i64 - first as i64).rem_euclid(7);
                (start, start + 7)
            }
            Unit::Month => zone::month(day),
        }
    }
}

impl Periods for InZone {
    fn period(&self, at: i64) -> Period {
        let begins = self.calendar.begins;
        let on_the_wall = self.zone.day_of(at);
        // Before a day has begun it is still the day before.
        let begun = self.zone.instant(on_the_wall, begins) <= at;
        let (first, next) = self.around(if begun { on_the_wall } else { on_the_wall - 1 });
        Period::window(self.zone.instant(first, begins), self.zone.instant(next, begins))
    }
}

impl fmt::Display for InZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.calendar.unit {
            Unit::Day => "days",
            Unit::Week(_) => "weeks",
            Unit::Month => "months",
        };
        write!(f, "{unit} in {}", self.calendar.zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::{Date, Stretch};

    const HOUR: i64 = 3_600_000_000_000;

    fn at(zone: &str, (year, month, day): (i16, u8, u8), hour: u8) -> i64 {
        let day = Date::new(year, month, day).number().unwrap();
        Zone::named(zone).unwrap().instant(day, TimeOfDay::new(hour, 0))
    }

    /// The hours of the window around an instant; all its answers must agree.
    fn hours(shape: &Calendar, at: i64) -> i64 {
        let cuts = shape.cuts().unwrap();
        let Stretch::Slice(span) = cuts.stretch(at) else { panic!("a calendar has no gaps") };
        let (start, end) = (span.start.0, span.end.0);
        assert!(start <= at && at < end);
        assert_eq!((cuts.first_end(start), cuts.last_end(start)), (end, end));
        assert_eq!((cuts.end_after(at), cuts.end_after(start - 1)), (end, start));
        assert_eq!(cuts.window(end), span);
        assert_eq!((end - start) % HOUR, 0);
        (end - start) / HOUR
    }

    #[test]
    fn days_of_23_and_25_hours() {
        let berlin = Calendar::days("Europe/Berlin");
        let days = [((2024, 3, 30), 24), ((2024, 3, 31), 23), ((2024, 10, 27), 25)];
        for (day, length) in days {
            for hour in [0, 1, 4, 23] {
                assert_eq!(hours(&berlin, at("Europe/Berlin", day, hour)), length, "{day:?}");
            }
        }
        let new_york = Calendar::days("America/New_York");
        let days = [((2024, 3, 10), 23), ((2024, 3, 11), 24), ((2024, 11, 3), 25)];
        for (day, length) in days {
            assert_eq!(hours(&new_york, at("America/New_York", day, 12)), length, "{day:?}");
        }
    }

    #[test]
    fn a_day_may_begin_in_the_afternoon_and_in_an_hour_that_is_skipped() {
        let zone = "America/New_York";
        let currencies = Calendar::days(zone).begins_at(TimeOfDay::new(17, 0));
        assert_eq!(hours(&currencies, at(zone, (2024, 3, 9), 18)), 23);
        assert_eq!(hours(&currencies, at(zone, (2024, 3, 10), 16)), 23);
        assert_eq!(hours(&currencies, at(zone, (2024, 3, 10), 17)), 24);
        let early = Calendar::days(zone).begins_at(TimeOfDay::new(2, 0));
        // At three, since there is no two o'clock: a day of 24 hours, then one of 23.
        assert_eq!(hours(&early, at(zone, (2024, 3, 9), 12)), 24);
        assert_eq!(hours(&early, at(zone, (2024, 3, 10), 12)), 23);
    }

    #[test]
    fn weeks_and_months() {
        let weeks = Calendar::weeks("Europe/Berlin", Weekday::Monday);
        assert_eq!(hours(&weeks, at("Europe/Berlin", (2024, 3, 28), 5)), 7 * 24 - 1);
        let sundays = Calendar::weeks("Europe/Berlin", Weekday::Sunday);
        assert_eq!(hours(&sundays, at("Europe/Berlin", (2024, 3, 30), 5)), 7 * 24);
        assert_eq!(hours(&sundays, at("Europe/Berlin", (2024, 3, 31), 5)), 7 * 24 - 1);
        let months = Calendar::months("America/New_York");
        assert_eq!(hours(&months, at("America/New_York", (2024, 2, 29), 5)), 29 * 24);
        assert_eq!(hours(&months, at("America/New_York", (2024, 11, 30), 23)), 30 * 24 + 1);
        assert_eq!(hours(&months, at("America/New_York", (1969, 12, 31), 23)), 31 * 24);
    }

    /// Samoa went from the 29th of December 2011 to the 31st.
    #[test]
    fn a_day_that_there_was_not() {
        let apia = Calendar::days("Pacific/Apia");
        let last = at("Pacific/Apia", (2011, 12, 29), 23);
        assert_eq!(hours(&apia, last), 24);
        assert_eq!(hours(&apia, last + 2 * HOUR), 24);
        assert_eq!(at("Pacific/Apia", (2011, 12, 31), 1), last + 2 * HOUR);
    }

    #[test]
    fn the_ends_of_time_are_days_too() {
        let cuts = Calendar::months("Asia/Tokyo").cuts().unwrap();
        for at in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
            let Stretch::Slice(span) = cuts.stretch(at) else { panic!("a calendar has no gaps") };
            assert!(span.start.0 <= at && (at < span.end.0 || at == i64::MAX));
            assert!(cuts.end_after(at) > at || at == i64::MAX);
        }
    }

    #[test]
    fn what_no_calendar_has_is_refused() {
        assert!(Calendar::days("Nowhere").cuts().is_err());
        assert!(Calendar::days("UTC").begins_at(TimeOfDay::new(25, 0)).cuts().is_err());
    }
}
