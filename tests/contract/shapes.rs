//! Windows of all shapes, through the tester.

use millstream::window::TimeOfDay;
use millstream::{Calendar, Cumulative, Sliding, TradingSessions, ns};

use crate::case;
use crate::support::model::{Answer, windows, windows_of_shape};
use crate::support::tester::Tester;
use crate::support::world::{all, at, disordered, fired, invertible, window_of, with_zeros};
use crate::support::{Cut, Fired, Row};
use crate::{LATENESS, SLIDING, results, rows, said};

fn with_watermarks(disorder: i64) -> impl Iterator<Item = (Row, i64)> {
    rows().into_iter().zip(crate::support::model::watermarks(&rows(), disorder))
}

fn invertible_of(answer: Answer) -> Vec<(i64, Fired)> {
    results(answer).into_iter().map(|(at, result)| (at, result.invertible())).collect()
}

#[test]
fn what_slides_out_is_deducted() {
    let steps = case!(Row => Fired, |s| {
        let keyed = s.event_time(at, disordered(2)).key_by(|row| row.key);
        let windows = keyed.window(window_of(LATENESS)).allowed_lateness(ns(15));
        windows.aggregate(invertible()).map(with_zeros).map(fired)
    });
    let want = invertible_of(windows(&rows(), LATENESS, 2));
    Tester::new(steps, said(&rows()), want).by(|result| result.key).check();
}

#[test]
fn windows_that_grow() {
    let steps = case!(Row => Fired, |s| {
        let keyed = s.event_time(at, disordered(4)).key_by(|row| row.key);
        let windows = keyed.window(Cumulative::of(ns(60)).every(ns(20))).allowed_lateness(ns(9));
        windows.aggregate(all()).map(fired)
    });
    let want = windows_of_shape(with_watermarks(4), 9, |at| {
        let base = i128::from(at - at.rem_euclid(60));
        let ends = [20, 40, 60].map(|step| base + step).into_iter();
        ends.filter(|end| i128::from(at) < *end).map(|end| (end, base)).collect()
    });
    Tester::new(steps, said(&rows()), results(want)).by(|result| result.key).check();
}

#[test]
fn windows_with_gaps_and_what_falls_between() {
    let steps = case!(Row => (bool, u64, i64), |s| {
        let keyed = s.event_time(at, disordered(46)).key_by(|row| row.key);
        let windows = keyed.window(Sliding::of(ns(10)).every(ns(25)).with_gaps());
        let (results, between) = windows.aggregate_with_late(all());
        let results = results.map(|window| (true, window.key, window.value.1));
        results.union(between.map(|row| (false, row.key, row.value)))
    });
    let answer = windows_of_shape(with_watermarks(46), 0, |at| {
        let start = at - at.rem_euclid(25);
        let window = (i128::from(start) + 10, i128::from(start));
        (at < start + 10).then_some(window).into_iter().collect()
    });
    assert!(answer.late.len() > 10);
    let fired = answer.fired.iter().map(|f| (f.end - 1, (true, f.key, f.value.1)));
    let between = answer.late.iter().map(|row| (row.at, (false, row.key, row.value)));
    let want: Vec<_> = fired.chain(between).collect();
    Tester::new(steps, said(&rows()), want).by(|(ok, key, _)| 2 * key + u64::from(*ok)).check();
}

#[test]
fn window_all_reduced() {
    let steps = case!(Row => (i64, i64), |s| {
        let windows = s.event_time(at, disordered(46)).window_all(window_of(SLIDING));
        let sums = windows.reduce(|sum, row| sum.value += row.value);
        sums.map(|window| (window.span.end.0, window.value.value))
    });
    let one_key: Vec<Row> = rows().into_iter().map(|row| Row { key: 0, ..row }).collect();
    let answer = windows(&one_key, SLIDING, 46);
    let want = answer.fired.iter().map(|f| (f.end - 1, (f.end, f.value.1)));
    Tester::new(steps, said(&rows()), want.collect::<Vec<_>>()).check();
}

#[test]
fn windows_folded_in_the_order_of_arrival() {
    let steps = case!(Row => (u64, i64), |s| {
        let keyed = s.event_time(at, disordered(46)).key_by(|row| row.key);
        let windows = keyed.window(window_of(Cut::tumbling(50)));
        let folded = windows.fold(1, |all: &mut i64, row| {
            *all = all.wrapping_mul(31).wrapping_add(row.value);
        });
        folded.map(|window| (window.key, window.value))
    });
    let mut want: Vec<((i64, u64), i64)> = Vec::new();
    for row in rows() {
        let window = (row.at.div_euclid(50) * 50 + 49, row.key);
        let add = |all: i64| all.wrapping_mul(31).wrapping_add(row.value);
        match want.iter_mut().find(|(known, _)| *known == window) {
            Some((_, all)) => *all = add(*all),
            None => want.push((window, add(1))),
        }
    }
    want.sort();
    let want = want.into_iter().map(|((at, key), all)| (at, (key, all)));
    Tester::new(steps, said(&rows()), want).by(|(key, _)| *key).check();
}

/// An hour of Greenwich is no day, so everything falls into one day, and into no session at night.
#[test]
fn days_and_sessions() {
    let steps = case!(Row => (u64, u64), |s| {
        let timed = s.event_time(at, disordered(46));
        let (days, nights) = timed.split(|row| row.key < 3);
        let days = days.key_by(|row| row.key).window(Calendar::days("Europe/London"));
        let (nine, five) = (TimeOfDay::new(9, 0), TimeOfDay::new(17, 0));
        let market = TradingSessions::in_zone("Asia/Tokyo").weekdays(nine, five);
        let nights = nights.key_by(|row| row.key).window(market.fold_into_next());
        let days = days.aggregate(all()).map(|window| (window.key, window.value.0));
        days.union(nights.aggregate(all()).map(|window| (window.key, window.value.0)))
    });
    let hour = 3_600_000_000_000;
    // The epoch is 09:00 on a Thursday in Tokyo, where what came before it folds to 17:00; in
    // London it is one o'clock: clocks stayed an hour ahead that winter.
    let end = |key: u64| if key < 3 { 23 * hour } else { 8 * hour };
    let keys = (0..5u64).map(|key| (key, rows().iter().filter(|row| row.key == key).count()));
    let want = keys.filter(|(_, n)| *n > 0).map(|(key, n)| (end(key) - 1, (key, n as u64)));
    Tester::new(steps, said(&rows()), want.collect::<Vec<_>>()).by(|(key, _)| *key).check();
}
