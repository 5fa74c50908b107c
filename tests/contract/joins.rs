//! Interval joins in every way in which records may come, and what is refused.

use millstream::join::{FanOut, after, before, same_time};
use millstream::testing::TestDriver;
use millstream::{Config, Record, Shard, Simulation, Sliding, Timestamp, ns};

use super::support::joins::{Joined, Kind, Near, Pair, Within, is_left, joined, joined_in_windows};
use super::support::model::{Row, watermarks};
use super::support::tester::Tester;
use super::support::world::{at, disordered};
use super::{case, rows, said};

fn model(near: Near, disorder: i64) -> Joined {
    joined(&rows(), &watermarks(&rows(), disorder), near)
}

/// Pairs come in no order but that of time, where the watermark says so.
fn lane((left, right): &Pair) -> u64 {
    let code = |row: &Option<Row>| row.map_or(0, |row| (row.value + 1000) as u64);
    code(left) << 32 | code(right)
}

/// Joins of both halves of one stream; with a disorder below 45 some records are late.
macro_rules! join_cases {
    ($($name:ident: $kind:ident, $from:expr, $to:expr, $lateness:expr, $disorder:expr,
        |$join:ident| $select:expr;)*) => {$(
        #[test]
        fn $name() {
            let steps = case!(Row => Pair, |s| {
                let (left, right) = s.event_time(at, disordered($disorder)).split(is_left);
                let right = right.key_by(|row| row.key);
                let $join = left.key_by(|row| row.key).interval_join(right);
                let $join = $join.between(before(ns($from)), after(ns($to)));
                let $join = $join.allowed_lateness(ns($lateness));
                $select
            });
            let (kind, lateness) = (Kind::$kind, $lateness);
            let near = Near { kind, from: -$from, to: $to, lateness };
            let want = model(near, $disorder).pairs;
            assert!(want.len() > 3, "{want:?}");
            Tester::new(steps, said(&rows()), want).by(lane).check();
        }
    )*};
}

join_cases! {
    inner_join: Inner, 20, 30, 0, 46, |join| join.select(|l, r| (Some(*l), Some(*r)));
    inner_join_with_late_records: Inner, 50, 0, 0, 3,
        |join| join.select(|l, r| (Some(*l), Some(*r)));
    left_join: Left, 9, 12, 0, 46, |join| join.select_left(|l, r| (Some(*l), r.copied()));
    left_join_with_lateness: Left, 9, 12, 30, 5,
        |join| join.select_left(|l, r| (Some(*l), r.copied()));
    right_join: Right, 10, 3, 0, 46, |join| join.select_right(|l, r| (l.copied(), Some(*r)));
    full_join: Full, 7, 7, 0, 46, |join| join.select_full(|l, r| (l.copied(), r.copied()));
    full_join_with_lateness: Full, 7, 7, 9, 0,
        |join| join.select_full(|l, r| (l.copied(), r.copied()));
    semi_join: Semi, 20, 10, 0, 46, |join| join.semi().map(|l| (Some(l), None));
    anti_join: Anti, 5, 2, 0, 46, |join| join.anti().map(|l| (Some(l), None));
}

/// Window joins of both halves of one stream; with a disorder below 45 some records are late.
macro_rules! window_join_cases {
    ($($name:ident: $kind:ident, $size:expr, $slide:expr, $lateness:expr, $disorder:expr,
        |$join:ident| $select:expr;)*) => {$(
        #[test]
        fn $name() {
            let steps = case!(Row => Pair, |s| {
                let (left, right) = s.event_time(at, disordered($disorder)).split(is_left);
                let right = right.key_by(|row| row.key);
                let $join = left.key_by(|row| row.key).window_join(right);
                let $join = $join.window(Sliding::of(ns($size)).every(ns($slide)));
                let $join = $join.allowed_lateness(ns($lateness));
                $select
            });
            let (kind, lateness) = (Kind::$kind, $lateness);
            let within = Within { kind, size: $size, slide: $slide, lateness };
            let want = joined_in_windows(&rows(), &watermarks(&rows(), $disorder), within).pairs;
            assert!(want.len() > 3, "{want:?}");
            Tester::new(steps, said(&rows()), want).by(lane).check();
        }
    )*};
}

window_join_cases! {
    inner_window_join: Inner, 30, 30, 0, 46, |join| join.select(|l, r| (Some(*l), Some(*r)));
    inner_window_join_that_slides: Inner, 30, 10, 0, 3,
        |join| join.select(|l, r| (Some(*l), Some(*r)));
    left_window_join: Left, 20, 20, 0, 46, |join| join.select_left(|l, r| (Some(*l), r.copied()));
    right_window_join_with_lateness: Right, 20, 10, 30, 5,
        |join| join.select_right(|l, r| (l.copied(), Some(*r)));
    full_window_join: Full, 15, 15, 0, 46, |join| join.select_full(|l, r| (l.copied(), r.copied()));
    semi_window_join: Semi, 40, 40, 0, 46, |join| join.semi().map(|l| (Some(l), None));
    anti_window_join: Anti, 10, 10, 0, 46, |join| join.anti().map(|l| (Some(l), None));
}

/// All with all that are near: on one shard or on many, where the right ones are on each.
#[test]
fn cross_join() {
    let steps = case!(Row => Pair, |s| {
        let (left, right) = s.event_time(at, disordered(46)).split(is_left);
        let join = left.cross_join(right).between(before(ns(20)), after(ns(10)));
        join.select_left(|l, r| (Some(*l), r.copied()))
    });
    let of_one_key = |row: &Row| Row { key: 0, ..*row };
    let alike: Vec<Row> = rows().iter().map(of_one_key).collect();
    let near = Near { kind: Kind::Left, from: -20, to: 10, lateness: 0 };
    let want = joined(&alike, &watermarks(&alike, 46), near).pairs;
    assert!(want.len() > 10);
    let key_of: std::collections::BTreeMap<i64, u64> =
        rows().iter().map(|row| (row.value, row.key)).collect();
    assert_eq!(key_of.len(), rows().len(), "values tell rows apart");
    let keyed = |row: Option<Row>| row.map(|row| Row { key: key_of[&row.value], ..row });
    let want: Vec<_> = want.iter().map(|(at, (l, r))| (*at, (keyed(*l), keyed(*r)))).collect();
    Tester::new(steps, said(&rows()), want).by(lane).check();
}

#[test]
fn late_records_of_joins() {
    let steps = case!(Row => (i64, i64), |s| {
        let (left, right) = s.event_time(at, disordered(2)).split(is_left);
        let (left, right) = (left.key_by(|row| row.key), right.key_by(|row| row.key));
        let join = left.interval_join(right).between(before(ns(10)), after(ns(10)));
        let (join, late_left, late_right) = join.with_late();
        let pairs = join.select(|l, r| (l.value, r.value));
        let late_left = late_left.map(|row| (row.value, 0));
        pairs.union(late_left).union(late_right.map(|row| (0, row.value)))
    });
    let near = Near { kind: Kind::Inner, from: -10, to: 10, lateness: 0 };
    Tester::new(steps, said(&rows()), with_late(model(near, 2))).by(ends).check();
}

/// Pairs of values, and the late ones with nothing beside them.
fn with_late(Joined { pairs, late }: Joined) -> Vec<(i64, (i64, i64))> {
    assert!(late.iter().any(is_left) && !late.iter().all(is_left));
    let pairs = pairs.iter().filter_map(|(at, (l, r))| Some((*at, ((*l)?.value, (*r)?.value))));
    let alone = |row: &Row| if is_left(row) { (row.value, 0) } else { (0, row.value) };
    pairs.chain(late.iter().map(|row| (row.at, alone(row)))).collect()
}

fn ends((left, right): &(i64, i64)) -> u64 {
    ((left + 1000) << 32 | (right + 1000)) as u64
}

#[test]
fn late_records_of_window_joins() {
    let steps = case!(Row => (i64, i64), |s| {
        let (left, right) = s.event_time(at, disordered(2)).split(is_left);
        let (left, right) = (left.key_by(|row| row.key), right.key_by(|row| row.key));
        let join = left.window_join(right).window(Sliding::of(ns(20)).every(ns(10)));
        let (join, late_left, late_right) = join.with_late();
        let pairs = join.select(|l, r| (l.value, r.value));
        let late_left = late_left.map(|row| (row.value, 0));
        pairs.union(late_left).union(late_right.map(|row| (0, row.value)))
    });
    let within = Within { kind: Kind::Inner, size: 20, slide: 10, lateness: 0 };
    let joined = joined_in_windows(&rows(), &watermarks(&rows(), 2), within);
    Tester::new(steps, said(&rows()), with_late(joined)).by(ends).check();
}

/// Outer results come only once no partner can come: nothing before window and grace are over.
#[test]
fn nothing_is_alone_too_soon() {
    let (mut shard, (mut input, mut output)) = Shard::embed(Config::embedded(), |p| {
        let (input, stream) = p.input::<char>();
        let (left, right) = stream.split(|letter| letter.is_uppercase());
        let (left, right) = (left.key_by(|_| ()), right.key_by(|_| ()));
        let join = left.interval_join(right).between(before(ns(15)), after(ns(15)));
        let join = join.allowed_lateness(ns(5));
        Ok((input, join.select_left(|l, r| (*l, r.copied())).output()))
    })
    .unwrap();
    input.push(Timestamp(40), 'E').unwrap();
    let mut step = |input: &mut millstream::Input<char>, to: i64| {
        input.advance_to(Timestamp(to));
        for _ in 0..9 {
            shard.step(Timestamp(0));
        }
        output.pop().map(|record| (record.at.0, record.value))
    };
    assert_eq!(step(&mut input, 60), None, "a partner at 55, late by 5, is still allowed");
    assert_eq!(step(&mut input, 61), Some((40, ('E', None))));
}

/// What the other input had passed before it came is alone as soon as it comes, many together too.
#[test]
fn whoever_comes_behind_the_other_input_is_alone_at_once() {
    let (mut driver, (orders, trades, all)) = TestDriver::new(|p| {
        let (orders, left) = p.test_input::<(u8, i64)>();
        let (trades, right) = p.test_input::<(u8, i64)>();
        let join = left.key_by(|order| order.0).interval_join(right.key_by(|trade| trade.0));
        let join = join.between(before(ns(10)), after(ns(10)));
        Ok((
            orders,
            trades,
            join.select_left(|order, trade| (order.1, trade.copied())).test_output(),
        ))
    })
    .unwrap();
    trades.watermark(Timestamp(1_000));
    orders.push(Timestamp(995), (7, 0));
    driver.settle().unwrap();
    assert_eq!(all.take_values(), [], "a partner may still come");
    for some in [[1, 2, 3], [4, 5, 6]] {
        some.iter().for_each(|n| orders.push(Timestamp(100), (7, *n)));
        driver.settle().unwrap();
        assert_eq!(all.take_values(), some.map(|n| (n, None)));
    }
}

/// Which pairs a cap lets through depends on the records alone: those of the earlier piece of time
/// first, which is 2048 ns long here, within one the oldest arrivals.
#[test]
fn the_cap_takes_partners_by_pieces_of_time() {
    let (mut driver, (left, right, pairs)) = TestDriver::new(|p| {
        let ((left, l), (right, r)) = (p.test_input::<u32>(), p.test_input::<u32>());
        let join = l.key_by(|_| ()).interval_join(r.key_by(|_| ()));
        let join = join.between(before(ns(1_000)), after(ns(1_000))).fan_out(FanOut::AtMost(3));
        Ok((left, right, join.select(|_, r| *r).test_output()))
    })
    .unwrap();
    let rights = [3_000, 2_100, 1_900, 3_100, 1_600];
    rights.iter().for_each(|at| right.push(Timestamp(*at), *at as u32));
    driver.settle().unwrap();
    left.push(Timestamp(2_500), 0);
    driver.settle().unwrap();
    assert_eq!(pairs.take_values(), [1_900, 1_600, 3_000]);
}

#[test]
fn what_is_refused() {
    let build = |from, to, fan_out| {
        let run = Simulation::new(1, 0).run(|p| {
            let (left, right) = p.source(super::memory(&rows())).split(is_left);
            let (left, right) = (left.key_by(|row| row.key), right.key_by(|row| row.key));
            let join = left.interval_join(right).between(from, to).fan_out(fan_out);
            join.select(|l, r| l.value + r.value).for_each(drop);
            Ok(())
        });
        run.err().map(|error| error.to_string())
    };
    let error = build(after(ns(2)), before(ns(1)), FanOut::Any);
    assert!(error.is_some_and(|error| error.starts_with("between = +2ns to -1ns: ")));
    assert!(build(same_time().exclusive(), same_time(), FanOut::Any).is_some());
    assert!(build(before(ns(1)), same_time(), FanOut::AtMost(0)).is_some());
    assert_eq!(build(before(ns(1)), same_time(), FanOut::Any), None);
    let error = build(before(ns(500)), after(ns(500)), FanOut::FailAbove(2));
    let golden = "interval join: 2 pairs of one record is the limit; raise `fan_out` or bound the \
                  input";
    assert_eq!(error.as_deref(), Some(golden));
}

#[test]
fn what_never_ends_is_warned_of() {
    let warnings = |from, to| {
        let (shard, ()) = Shard::embed(Config::embedded(), |p| {
            let (left, right) = p.source(super::memory(&rows())).split(is_left);
            let (left, right) = (left.key_by(|row| row.key), right.key_by(|row| row.key));
            let join = left.interval_join(right).between(from, to);
            join.semi().for_each(|_: Record<Row>| ());
            Ok(())
        })
        .unwrap();
        shard.plan().warnings().to_vec()
    };
    assert!(warnings(before(ns(9)), after(ns(9))).is_empty());
    let for_ever = warnings(before(ns(9)), after(std::time::Duration::MAX));
    assert_eq!(for_ever.len(), 1, "{for_ever:?}");
    assert!(for_ever[0].contains("left records are kept for ever"), "{for_ever:?}");
}
