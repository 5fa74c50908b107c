//! Windows of a market: from the opening to the close of each day on which there is trading.

use std::fmt;
use std::rc::Rc;

use crate::error::ConfigError;
use crate::window::zone::{self, Day, Zone};
use crate::window::{Cuts, Date, Disjoint, Period, Periods, TimeOfDay, Weekday, Window};

/// How many days to look for a session, back and forth. A market that is closed for longer has one
/// gap behind another, and folds into a session what comes at most so many days before it.
const DAYS_MAX: Day = 400;

/// Trading sessions: one window for each day with trading, from its opening to its close as the
/// clocks of the market show it.
///
/// What happens outside of all sessions belongs to no window: such a record goes where late records
/// go (see [`aggregate_with_late`](crate::window::WindowedStream::aggregate_with_late)), or is
/// counted as dropped. With [`fold_into_next`](Self::fold_into_next) it belongs to the next session
/// instead, as an order placed overnight does; the window itself still begins at the opening.
///
/// A close that is not after the opening is on the next day: `18:00` to `17:00` is a session of 23
/// hours, and belongs to the day of its opening.
///
/// ```
/// use millstream::window::{Date, TimeOfDay, Weekday};
/// use millstream::TradingSessions;
///
/// let (open, close) = (TimeOfDay::new(9, 30), TimeOfDay::new(16, 0));
/// let nyse = TradingSessions::in_zone("America/New_York")
///     .weekdays(open, close)
///     .holiday(Date::new(2024, 7, 4))
///     .special(Date::new(2024, 7, 3), open, TimeOfDay::new(13, 0));
/// let futures = TradingSessions::in_zone("America/Chicago")
///     .on(Weekday::Sunday, TimeOfDay::new(17, 0), TimeOfDay::new(16, 0))
///     .on(Weekday::Monday, TimeOfDay::new(17, 0), TimeOfDay::new(16, 0))
///     .fold_into_next();
/// ```
#[derive(Clone, Debug)]
pub struct TradingSessions {
    zone: String,
    week: [Option<Hours>; 7],
    /// Days that are not as the others of their weekday.
    special: Vec<(Date, Option<Hours>)>,
    folds: bool,
}

/// When a session opens and closes.
#[derive(Clone, Copy, Debug)]
struct Hours {
    open: TimeOfDay,
    close: TimeOfDay,
}

impl Hours {
    /// How many days after the opening the close is.
    fn days(self) -> Day {
        Day::from(self.close <= self.open)
    }
}

impl TradingSessions {
    /// No session yet, in the zone of this name in the IANA database.
    pub fn in_zone(zone: impl Into<String>) -> Self {
        Self { zone: zone.into(), week: [None; 7], special: Vec::new(), folds: false }
    }

    /// A session on each Monday to Friday.
    pub fn weekdays(mut self, open: TimeOfDay, close: TimeOfDay) -> Self {
        self.week[..=Weekday::Friday as usize].fill(Some(Hours { open, close }));
        self
    }

    /// A session on each such day of the week.
    pub fn on(mut self, weekday: Weekday, open: TimeOfDay, close: TimeOfDay) -> Self {
        self.week[weekday as usize] = Some(Hours { open, close });
        self
    }

    /// No session on this day.
    pub fn holiday(mut self, date: Date) -> Self {
        self.special.push((date, None));
        self
    }

    /// Other hours on this day: half a day, or a session where there would be none. What was said
    /// of it before does not hold any more.
    pub fn special(mut self, date: Date, open: TimeOfDay, close: TimeOfDay) -> Self {
        self.special.push((date, Some(Hours { open, close })));
        self
    }

    /// Records outside of all sessions belong to the next one.
    pub fn fold_into_next(self) -> Self {
        Self { folds: true, ..self }
    }
}

impl Window for TradingSessions {
    fn cuts(&self) -> Result<Rc<dyn Cuts>, ConfigError> {
        let mut special = Vec::new();
        for (date, hours) in &self.special {
            let day = date.number()?;
            special.retain(|(other, _)| *other != day);
            special.push((day, *hours));
        }
        special.sort_by_key(|(day, _)| *day);
        let zone = Zone::named(&self.zone)?;
        let Self { week, folds, .. } = *self;
        let market = Market { name: self.zone.clone(), zone, week, special, folds };
        market.check()?;
        Ok(Rc::new(Disjoint::new(market)))
    }
}

/// Sessions whose zone and days have been found.
struct Market {
    name: String,
    zone: Zone,
    week: [Option<Hours>; 7],
    /// In order of time.
    special: Vec<(Day, Option<Hours>)>,
    folds: bool,
}

impl Market {
    /// Refuses times that there are not, a week without a session, and sessions that overlap.
    fn check(&self) -> Result<(), ConfigError> {
        let all = self.week.iter().chain(self.special.iter().map(|(_, hours)| hours));
        for hours in all.clone().flatten() {
            hours.open.check()?;
            hours.close.check()?;
        }
        if all.flatten().next().is_none() {
            let reason = "there is no session: say `weekdays`, `on` or `special`";
            return Err(ConfigError::setting("sessions", 0, reason));
        }
        // Any week will do for the regular ones, if no special day is near.
        let quiet = self.special.last().map_or(0, |(day, _)| day + 2);
        let near_special = self.special.iter().flat_map(|(day, _)| [day - 1, *day]);
        for day in (quiet..quiet + 7).chain(near_special) {
            let two = self.session(day).zip(self.session(day + 1));
            if two.is_some_and(|((_, close), (open, _))| open < close) {
                let reason = "the session of one day begins before that of the day before ends";
                return Err(ConfigError::setting("sessions", &self.name, reason));
            }
        }
        Ok(())
    }

    /// When the session of a day opens and closes, if it has one.
    fn session(&self, day: Day) -> Option<(i64, i64)> {
        let hours = match self.special.binary_search_by_key(&day, |(day, _)| *day) {
            Ok(index) => self.special[index].1?,
            Err(_) => self.week[zone::weekday(day)]?,
        };
        let open = self.zone.instant(day, hours.open);
        let close = self.zone.instant(day + hours.days(), hours.close);
        // Where the clocks skip all of it there was no trading.
        (open < close).then_some((open, close))
    }

    /// The close of the session before that of a day.
    fn closed_since(&self, day: Day) -> i64 {
        let before = (day - DAYS_MAX..day).rev().find_map(|day| self.session(day));
        before.map_or_else(|| self.day_begins(day - DAYS_MAX), |(_, close)| close)
    }

    fn day_begins(&self, day: Day) -> i64 {
        self.zone.instant(day, TimeOfDay::MIDNIGHT)
    }
}

impl Periods for Market {
    fn period(&self, at: i64) -> Period {
        let today = self.zone.day_of(at);
        let in_hand_or_next = (today - 1..=today + DAYS_MAX)
            .find_map(|day| self.session(day).filter(|(_, close)| at < *close).zip(Some(day)));
        let Some(((open, close), day)) = in_hand_or_next else {
            return Period::gap(at, self.day_begins(today + DAYS_MAX));
        };
        if open <= at && !self.folds {
            return Period::window(open, close);
        }
        let since = self.closed_since(day);
        if self.folds && since <= at {
            let takes = Period::window(since, close).takes;
            return Period { takes, ..Period::window(open, close) };
        }
        Period::gap(since.min(at), if self.folds { since } else { open })
    }
}

impl fmt::Display for Market {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trading sessions in {}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;
    use crate::window::Stretch;

    const HOUR: i64 = 3_600_000_000_000;
    const ZONE: &str = "America/New_York";

    fn at(month: u8, day: u8, hour: u8, minute: u8) -> i64 {
        let day = Date::new(2024, month, day).number().unwrap();
        Zone::named(ZONE).unwrap().instant(day, TimeOfDay::new(hour, minute))
    }

    fn stock() -> TradingSessions {
        TradingSessions::in_zone(ZONE)
            .weekdays(TimeOfDay::new(9, 30), TimeOfDay::new(16, 0))
            .holiday(Date::new(2024, 7, 4))
            .special(Date::new(2024, 7, 3), TimeOfDay::new(9, 30), TimeOfDay::new(13, 0))
    }

    #[test]
    fn sessions_holidays_and_half_days() {
        let cuts = stock().cuts().unwrap();
        let half = Stretch::slice(at(7, 3, 9, 30), at(7, 3, 13, 0));
        assert_eq!(cuts.stretch(at(7, 3, 9, 30)), half);
        assert_eq!(cuts.stretch(at(7, 3, 12, 59)), half);
        let closed = Stretch::gap(at(7, 3, 13, 0), at(7, 5, 9, 30));
        for instant in [at(7, 3, 13, 0), at(7, 4, 10, 0), at(7, 5, 9, 29)] {
            assert_eq!(cuts.stretch(instant), closed);
        }
        assert_eq!(cuts.end_after(at(7, 4, 10, 0)), at(7, 5, 16, 0));
        assert_eq!(cuts.end_after(at(7, 5, 16, 0)), at(7, 8, 16, 0), "over the weekend");
        assert_eq!(cuts.window(at(7, 8, 16, 0)).start, Timestamp(at(7, 8, 9, 30)));
    }

    /// The clocks change on Sundays: nothing moves on the wall, one hour moves in between.
    #[test]
    fn sessions_follow_the_clock_on_the_wall() {
        let cuts = stock().cuts().unwrap();
        for (friday, monday, weekend) in [
            (at(3, 8, 12, 0), at(3, 11, 12, 0), 71),
            (at(11, 1, 12, 0), at(11, 4, 12, 0), 73),
            (at(4, 5, 12, 0), at(4, 8, 12, 0), 72),
        ] {
            let (end, next) = (cuts.end_after(friday), cuts.end_after(monday));
            assert_eq!((next - end) / HOUR, weekend);
            let hours = [end, next].map(|end| cuts.window(end)).map(|span| span.end - span.start);
            assert_eq!(hours.map(|length| length.as_secs()), [23_400; 2]);
        }
    }

    #[test]
    fn folded_records_belong_to_the_next_session() {
        let cuts = stock().fold_into_next().cuts().unwrap();
        let takes = Stretch::slice(at(7, 3, 13, 0), at(7, 5, 16, 0));
        for instant in [at(7, 3, 13, 0), at(7, 4, 10, 0), at(7, 5, 15, 59)] {
            assert_eq!(cuts.stretch(instant), takes);
        }
        assert_eq!(cuts.first_end(at(7, 3, 13, 0)), at(7, 5, 16, 0));
        assert_eq!(cuts.window(at(7, 5, 16, 0)).start.0, at(7, 5, 9, 30));
    }

    #[test]
    fn sessions_overnight() {
        let (open, close) = (TimeOfDay::new(18, 0), TimeOfDay::new(17, 0));
        let futures = [Weekday::Sunday, Weekday::Monday, Weekday::Tuesday]
            .into_iter()
            .fold(TradingSessions::in_zone(ZONE), |all, day| all.on(day, open, close));
        let cuts = futures.cuts().unwrap();
        // Summer time begins in the night from Saturday to Sunday, 2024-03-10.
        assert_eq!(
            cuts.stretch(at(3, 10, 17, 59)),
            Stretch::gap(at(3, 6, 17, 0), at(3, 10, 18, 0))
        );
        let first = Stretch::slice(at(3, 10, 18, 0), at(3, 11, 17, 0));
        assert_eq!(cuts.stretch(at(3, 11, 16, 59)), first);
        assert_eq!(
            cuts.stretch(at(3, 11, 17, 30)),
            Stretch::gap(at(3, 11, 17, 0), at(3, 11, 18, 0))
        );
    }

    #[test]
    fn one_session_and_then_none_for_ever() {
        let (open, close) = (TimeOfDay::new(9, 0), TimeOfDay::new(10, 0));
        for folds in [false, true] {
            let once = TradingSessions::in_zone("UTC").special(Date::new(2024, 1, 1), open, close);
            let once = if folds { once.fold_into_next() } else { once };
            let cuts = once.cuts().unwrap();
            for instant in [i64::MIN, 0, i64::MAX - 1, i64::MAX] {
                let Stretch::Gap(gap) = cuts.stretch(instant) else { panic!("no session there") };
                assert!(gap.start.0 <= instant && (instant < gap.end.0 || instant == i64::MAX));
            }
            let end = cuts.end_after(i64::MIN);
            assert_eq!(cuts.window(end).end - cuts.window(end).start, crate::time::secs(3_600));
            assert_eq!(cuts.end_after(end), i64::MAX);
        }
    }

    #[test]
    fn what_no_market_has_is_refused() {
        let (nine, ten) = (TimeOfDay::new(9, 0), TimeOfDay::new(10, 0));
        let market = TradingSessions::in_zone(ZONE);
        assert!(market.clone().cuts().is_err(), "no session");
        assert!(market.clone().weekdays(nine, TimeOfDay::new(24, 0)).cuts().is_err());
        assert!(market.clone().weekdays(nine, ten).holiday(Date::new(2024, 2, 30)).cuts().is_err());
        assert!(market.clone().weekdays(ten, ten).cuts().is_ok(), "round the clock");
        let overlap = market.clone().weekdays(ten, nine).special(Date::new(2024, 7, 3), ten, ten);
        assert!(overlap.clone().cuts().is_ok());
        let early = overlap.special(Date::new(2024, 7, 4), TimeOfDay::new(8, 0), nine);
        assert!(early.cuts().is_err());
        assert!(TradingSessions::in_zone("Nowhere").weekdays(nine, ten).cuts().is_err());
    }
}
