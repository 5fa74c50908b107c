//! Windows of all shapes: growing, with gaps, of the calendar, of a market; without a key; reduced
//! and folded.

use std::rc::Rc;

use millstream::aggregates::{count, sum};
use millstream::error::ConfigError;
use millstream::io::MemorySource;
use millstream::metrics::Counter;
use millstream::window::{Cuts, Date, TimeOfDay};
use millstream::{
    Calendar, Cumulative, Simulation, Sliding, TradingSessions, Window, Windowed, ns,
};
use proptest::prelude::*;

use crate::support::model::{finals, grouped, watermarks, windows, windows_of_shape};
use crate::support::world::{all, invertible, results, values, window_of, with_zeros};
use crate::support::{Cut, Fired, Row, Seen, World, watch};
use crate::{Result, cases, cut, on_time, rows, timed};

const MINUTE: i64 = 60_000_000_000;

/// Rows come in steps of this, where days are cut.
const STEP: i64 = 10 * MINUTE;

/// 2024-03-28 in Berlin begins, and 2024-10-30 in Greenwich, in days since the epoch.
const BERLIN: i64 = (19_809 * 24 + 23) * 60 * MINUTE;
const NEW_YORK: i64 = 20_026 * 24 * 60 * MINUTE;

/// When days begin in Berlin, in hours: the fourth has 23.
const DAYS: [i64; 12] = [-24, 0, 24, 48, 72, 95, 119, 143, 167, 191, 215, 239];

/// Openings and closes in New York, in minutes of Greenwich: summer time ends over the weekend, one
/// day is a half, the one after it a holiday.
const SESSIONS: [(i64, i64); 8] = [
    (-1_440 + 810, -1_440 + 1_200),
    (810, 1_200),
    (1_440 + 810, 1_440 + 1_200),
    (2 * 1_440 + 810, 2 * 1_440 + 1_200),
    (5 * 1_440 + 870, 5 * 1_440 + 1_260),
    (6 * 1_440 + 870, 6 * 1_440 + 1_260),
    (7 * 1_440 + 870, 7 * 1_440 + 1_080),
    (9 * 1_440 + 870, 9 * 1_440 + 1_260),
];

#[derive(Clone, Copy, Debug)]
pub enum Shape {
    Growing { step: i64, steps: i64, offset: i64 },
    Gapped { size: i64, slide: i64, offset: i64 },
    Days,
    Market { folds: bool },
}

impl Window for Shape {
    fn cuts(&self) -> std::result::Result<Rc<dyn Cuts>, ConfigError> {
        let [open, close, noon] = [(9, 30), (16, 0), (13, 0)].map(|(h, m)| TimeOfDay::new(h, m));
        match *self {
            Self::Growing { step, steps, offset } => {
                let [most, step, offset] = [step * steps, step, offset].map(|n| ns(n as u64));
                Cumulative::of(most).every(step).offset(offset).cuts()
            }
            Self::Gapped { size, slide, offset } => {
                let [size, slide, offset] = [size, slide, offset].map(|n| ns(n as u64));
                Sliding::of(size).every(slide).offset(offset).with_gaps().cuts()
            }
            Self::Days => Calendar::days("Europe/Berlin").cuts(),
            Self::Market { folds } => {
                let market = TradingSessions::in_zone("America/New_York")
                    .weekdays(open, close)
                    .special(Date::new(2024, 11, 6), open, noon)
                    .holiday(Date::new(2024, 11, 7));
                if folds { market.fold_into_next().cuts() } else { market.cuts() }
            }
        }
    }
}

impl Shape {
    /// The windows that hold an instant, as (end, start), in order of time.
    pub fn windows_of(self, at: i64) -> Vec<(i128, i128)> {
        let wide = |end: i64, start: i64| (i128::from(end), i128::from(start));
        match self {
            Self::Growing { step, steps, offset } => {
                let base = at - (at - offset).rem_euclid(step * steps);
                let ends = (1..=steps).map(|n| base + n * step).filter(|end| at < *end);
                ends.map(|end| wide(end, base)).collect()
            }
            Self::Gapped { size, slide, offset } => {
                let start = at - (at - offset).rem_euclid(slide);
                (at < start + size).then(|| wide(start + size, start)).into_iter().collect()
            }
            Self::Days => {
                let hours = DAYS.map(|hours| BERLIN + hours * 60 * MINUTE);
                let day = hours.windows(2).find(|day| at < day[1]).expect("it is in the table");
                vec![wide(day[1], day[0])]
            }
            Self::Market { folds } => {
                let sessions = SESSIONS
                    .map(|(open, close)| (NEW_YORK + open * MINUTE, NEW_YORK + close * MINUTE));
                let next = sessions.into_iter().find(|(_, close)| at < *close);
                let next = next.filter(|(open, _)| folds || *open <= at);
                next.map(|(open, close)| wide(close, open)).into_iter().collect()
            }
        }
    }
}

/// Rows of some days, in steps back and forth.
fn days(base: i64) -> impl Strategy<Value = Vec<Row>> {
    let steps = prop::collection::vec((-60..30i64, 0..4u64, -100..100i64), 0..100);
    steps.prop_map(move |steps| {
        let mut clock = 0;
        let row = |(step, key, value): (i64, u64, i64)| {
            clock += step.max(0);
            Row { at: base + (clock + step.min(0)).clamp(0, 1_300) * STEP, key, value }
        };
        steps.into_iter().map(row).collect()
    })
}

/// A shape, rows for it, and the unit of its disorder and lateness.
pub fn case() -> impl Strategy<Value = (Shape, Vec<Row>, i64)> {
    let growing = (1..20i64, 1..8i64, 0..50i64).prop_map(|(step, steps, offset)| Shape::Growing {
        step,
        steps,
        offset,
    });
    let gapped = (1..20i64, 1..40i64, 0..50i64).prop_map(|(size, gap, offset)| Shape::Gapped {
        size,
        slide: size + gap,
        offset,
    });
    let market = any::<bool>().prop_map(|folds| Shape::Market { folds });
    prop_oneof![
        3 => (growing, rows(100), Just(1i64)),
        2 => (gapped, rows(100), Just(1i64)),
        1 => (Just(Shape::Days), days(BERLIN), Just(STEP)),
        2 => (market, days(NEW_YORK), Just(STEP)),
    ]
}

proptest! {
    #![proptest_config(cases(300))]

    /// The results, the late records and those of no window, and what is counted.
    #[test]
    fn all_shapes_are_the_models(
        world in World::any(),
        (shape, rows, unit) in case(),
        (disorder, lateness) in (0..50i64, prop_oneof![Just(0i64), 1..80i64]),
    ) {
        let (disorder, lateness) = (disorder * unit, lateness * unit);
        let (seen, late) = (Seen::<Result>::new(), Seen::<Row>::new());
        let outcome = world.run(|p| {
            let (results, gone) = timed(p, &world, &rows, disorder)
                .key_by(|row| row.key)
                .window(shape)
                .allowed_lateness(ns(lateness as u64))
                .aggregate_with_late(all());
            watch(results, &seen, &world);
            watch(gone, &late, &world);
            Ok(())
        });
        let with = rows.iter().copied().zip(watermarks(&rows, disorder));
        let want = windows_of_shape(with, lateness, |at| shape.windows_of(at));
        let key = |result: &Fired| result.key;
        prop_assert_eq!(grouped(&results(&seen), key), grouped(&want.fired, key));
        let key = |row: &Row| row.key;
        prop_assert_eq!(grouped(&values(&late), key), grouped(&want.late, key));
        let had_one = |row: &&Row| !shape.windows_of(row.at).is_empty();
        let late = want.late.iter().filter(had_one).count() as u64;
        prop_assert_eq!(outcome.counters.get(Counter::Late), late);
        prop_assert_eq!(outcome.counters.get(Counter::Dropped), 0);
    }

    /// Aggregating on each shard first changes nothing, and what is in no window is dropped there.
    #[test]
    fn all_shapes_precombined(
        world in World::any(),
        (shape, rows, unit) in case(),
        disorder in 0..50i64,
    ) {
        let disorder = disorder * unit;
        let seen = Seen::<Result>::new();
        let outcome = world.run(|p| {
            let windows = timed(p, &world, &rows, disorder)
                .key_by(|row| row.key)
                .window(shape)
                .precombine()
                .aggregate(invertible());
            watch(windows.map(with_zeros), &seen, &world);
            Ok(())
        });
        let with = rows.iter().copied().zip(watermarks(&rows, disorder));
        let want = windows_of_shape(with, 0, |at| shape.windows_of(at));
        let fired: Vec<Fired> = want.fired.into_iter().map(Fired::invertible).collect();
        prop_assert_eq!(finals(&results(&seen)), finals(&fired));
        prop_assert_eq!(outcome.counters.get(Counter::Dropped), want.late.len() as u64);
    }

    /// Without a key all records share their windows.
    #[test]
    fn window_all_is_one_key(
        world in World::any(),
        rows in rows(80),
        cut in cut(),
        disorder in 0..60i64,
    ) {
        let seen = Seen::<Result>::new();
        world.run(|p| {
            let windows = timed(p, &world, &rows, disorder)
                .window_all(window_of(cut))
                .allowed_lateness(ns(cut.lateness as u64))
                .aggregate(all());
            let windows = windows.map(|w| {
                let (span, value, timing) = (w.span, w.value, w.timing);
                Windowed { key: 0, span, value, timing }
            });
            watch(windows, &seen, &world);
            Ok(())
        });
        let rows: Vec<Row> = rows.iter().map(|row| Row { key: 0, ..*row }).collect();
        prop_assert_eq!(results(&seen), windows(&rows, cut, disorder).fired);
    }

    /// A closure that keeps the sum in a record, and one that folds into something else.
    #[test]
    fn reduced_and_folded(
        world in World::any(),
        rows in rows(80),
        cut in cut().prop_map(on_time),
        disorder in 0..60i64,
    ) {
        let (reduced, folded) = (Seen::<(i64, u64, i64)>::new(), Seen::<(i64, u64, i64)>::new());
        let tumbling = Cut { slide: cut.size, ..cut };
        world.run(|p| {
            let keyed = || timed(p, &world, &rows, disorder).key_by(|row| row.key);
            let sums = keyed()
                .window(window_of(cut))
                .reduce(|sum, row| sum.value += row.value)
                .map(|w| (w.span.end.0, w.key, w.value.value));
            watch(sums, &reduced, &world);
            let sums = keyed()
                .window(window_of(tumbling))
                .fold((7, 0), |sum: &mut (i64, i64), row| sum.1 += row.value)
                .map(|w| (w.span.end.0, w.key, w.value.1 + w.value.0 - 7));
            watch(sums, &folded, &world);
            Ok(())
        });
        for (cut, seen) in [(cut, reduced), (tumbling, folded)] {
            let want = windows(&rows, cut, disorder).fired;
            let want: Vec<_> = want.iter().map(|f| (f.end, f.key, f.value.1)).collect();
            prop_assert_eq!(grouped(&values(&seen), |v| v.1), grouped(&want, |v| v.1));
        }
    }
}

/// What cannot be cut or folded is an error before anything runs.
#[test]
fn impossible_shapes_are_refused() {
    let refusal = |build: fn(millstream::Pipeline<'_>)| {
        let outcome = Simulation::new(1, 0).run(|p| {
            build(p);
            Ok(())
        });
        outcome.err().map(|error| error.to_string()).expect("it must be refused")
    };
    let slides = refusal(|p| {
        let none = p.source(MemorySource::<Row>::empty()).key_by(|row| row.key);
        none.window(Sliding::of(ns(5)).every(ns(6))).aggregate(count()).for_each(drop);
    });
    assert!(slides.starts_with("slide = 6ns") && slides.contains("with_gaps"), "{slides}");
    let folds = refusal(|p| {
        let none = p.source(MemorySource::<Row>::empty()).key_by(|row| row.key);
        let windows = none.window(Sliding::of(ns(6)).every(ns(3)));
        windows.fold(0u64, |n: &mut u64, _| *n += 1).for_each(drop);
    });
    assert!(folds.starts_with("window = 6ns every 3ns: its windows share slices"), "{folds}");
    let steps = refusal(|p| {
        let none = p.source(MemorySource::<Row>::empty());
        let windows = none.window_all(Cumulative::of(ns(6)).every(ns(4)));
        windows.aggregate(sum(|row: &Row| row.value)).for_each(drop);
    });
    assert!(steps.starts_with("step = 4ns: does not divide"), "{steps}");
    let zone = refusal(|p| {
        let none = p.source(MemorySource::<Row>::empty());
        none.window_all(Calendar::days("Mars/Olympus")).aggregate(count()).for_each(drop);
    });
    assert!(zone.starts_with("zone = Mars/Olympus"), "{zone}");
}
