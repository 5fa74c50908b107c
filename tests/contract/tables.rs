//! Tables and what is made of their changes, through the tester.

use millstream::aggregates::{count, max, sum};
use millstream::error::QueryError;
use millstream::table::{Suppress, View, WhenFull};
use millstream::{Change, Config, Error, Input, Shard, Timestamp, Tumbling, Versions, case, ns};

use super::support::model::{Row, watermarks};
use super::support::tables::{
    BY_ARRIVAL, Changed, Keeps, Show, any_row, first_three, folded, group_of, regrouped, sums,
    suppressed, totals, upsert,
};
use super::support::tester::Tester;
use super::support::world::{at, disordered};
use super::{rows, said};

type Out = (u64, Change<i64>);

fn table(rows: &[Row], disorder: i64, keeps: Keeps) -> Vec<Changed> {
    folded(rows.iter().copied().zip(watermarks(rows, disorder)), keeps).0
}

#[test]
fn a_table_by_arrival() {
    let steps = case!(Row => Out, |s| s.key_by(|row| row.key).table(upsert).to_changes());
    let want = table(&rows(), 1_000, BY_ARRIVAL);
    assert!(want.iter().any(|change| matches!(change.1.1, Change::Delete(_))));
    Tester::new(steps, said(&rows()), want).by(|out| out.0).check();
}

#[test]
fn a_table_by_event_time_whose_rows_expire() {
    let steps = case!(Row => Out, |s| {
        let versions = Versions::by_event_time().expiring(ns(60)).keeping_equal();
        let keyed = s.event_time(at, disordered(20)).key_by(|row| row.key);
        keyed.table_of(versions, upsert).to_changes()
    });
    let keeps = Keeps { by_event_time: true, equal: true, life: Some(60) };
    Tester::new(steps, said(&rows()), table(&rows(), 20, keeps)).by(|out| out.0).check();
}

#[test]
fn filter_and_map_values() {
    let steps = case!(Row => Out, |s| {
        let table = s.key_by(|row| row.key).table(upsert);
        table.filter(|_, row| row % 3 > 0).map_values(|_, row| row / 2).to_changes()
    });
    let want = table(&rows(), 1_000, BY_ARRIVAL).into_iter().filter_map(|(at, (key, change))| {
        let change = change.filter_map(|row| (row % 3 > 0).then_some(row / 2))?;
        change.is_visible().then_some((at, (key, change)))
    });
    Tester::new(steps, said(&rows()), want.collect::<Vec<_>>()).by(|out| out.0).check();
}

#[test]
fn upserts_out_of_a_table() {
    let steps = case!(Row => (u64, Option<i64>), |s| {
        s.key_by(|row| row.key).table(upsert).boxed().to_stream()
    });
    let want = table(&rows(), 1_000, BY_ARRIVAL);
    let want = want.into_iter().map(|(at, (key, change))| (at, (key, change.after().copied())));
    Tester::new(steps, said(&rows()), want.collect::<Vec<_>>()).by(|out| out.0).check();
}

/// What groups of the rows show, by the model.
fn groups<O: Copy + PartialEq>(show: Show<O>) -> Vec<(i64, ((u64, u64), Change<O>))> {
    regrouped(&table(&rows(), 1_000, BY_ARRIVAL), group_of, show)
}

// All rows of these tables are on one shard, so that a group sees their changes in one order.

#[test]
fn aggregates_of_groups() {
    let steps = case!(Row => (u64, Change<(u64, i64)>), |s| {
        let table = s.partitioned_by(|row| row.key).table(upsert);
        let groups = table.group_by(|key, row| group_of(*key, *row));
        groups.aggregate((count(), sum(|row: &i64| *row))).to_changes()
    });
    let want = groups(sums as Show<_>).into_iter().map(|(at, ((g, _), c))| (at, (g, c)));
    Tester::new(steps, said(&rows()), want.collect::<Vec<_>>()).by(|out| out.0).check();
    let steps = case!(Row => (u64, Change<(u64, i64, i64)>), |s| {
        let table = s.partitioned_by(|row| row.key).table(upsert);
        let groups = table.group_by(|key, row| group_of(*key, *row));
        groups.aggregate((count(), sum(|row: &i64| *row), max(|row: &i64| *row))).to_changes()
    });
    let want = groups(totals as Show<_>).into_iter().map(|(at, ((g, _), c))| (at, (g, c)));
    Tester::new(steps, said(&rows()), want.collect::<Vec<_>>()).by(|out| out.0).check();
}

#[test]
fn the_first_rows_of_groups() {
    let steps = case!(Row => ((u64, u64), Change<i64>), |s| {
        let table = s.partitioned_by(|row| row.key).table(upsert);
        let groups = table.group_by(|key, row| group_of(*key, *row));
        groups.top_n(3, |_, row| *row).to_changes()
    });
    let want = groups(first_three as Show<_>);
    Tester::new(steps, said(&rows()), want).by(|out| out.0.0).check();
}

#[test]
fn distinct_rows() {
    let steps = case!(Row => (u64, Change<()>), |s| {
        let table = s.partitioned_by(|row| row.key).table(upsert);
        table.distinct(|key, row| group_of(*key, *row)).to_changes()
    });
    let want = groups(any_row as Show<_>).into_iter().map(|(at, ((g, _), c))| (at, (g, c)));
    Tester::new(steps, said(&rows()), want.collect::<Vec<_>>()).by(|out| out.0).check();
}

#[test]
fn suppressed_changes() {
    let steps = case!(Row => Out, |s| {
        let table = s.event_time(at, disordered(20)).key_by(|row| row.key).table(upsert);
        table.suppress(Suppress::after(ns(30))).to_changes()
    });
    let rows = rows();
    let want = suppressed(rows.iter().copied().zip(watermarks(&rows, 20)), 30);
    assert!(want.len() < table(&rows, 20, BY_ARRIVAL).len() * 2 / 3, "much was held back");
    Tester::new(steps, said(&rows), want).by(|out| out.0).check();
}

#[test]
fn windows_until_they_are_closed() {
    let steps = case!(Row => (u64, i64, u64), |s| {
        let keyed = s.event_time(at, disordered(20)).key_by(|row| row.key);
        let windows = keyed.window(Tumbling::of(ns(40))).allowed_lateness(ns(25));
        let last = windows.aggregate(count()).until_closed(ns(25));
        last.map(|window| (window.key, window.span.end.0, window.value))
    });
    let (rows, mut counts) = (rows(), std::collections::BTreeMap::<(u64, i64), u64>::new());
    for (row, watermark) in rows.iter().zip(watermarks(&rows, 20)) {
        let end = (row.at.div_euclid(40) + 1) * 40;
        if end + 25 > watermark {
            *counts.entry((row.key, end)).or_default() += 1;
        }
    }
    let want = counts.into_iter().map(|((key, end), count)| (end - 1, (key, end, count)));
    Tester::new(steps, said(&rows), want).by(|out| out.0).check();
}

/// What comes out when rows 0 to 3 are put in at the same time, two may be held back, and then the
/// first changes once more.
fn held_back(suppress: Suppress) -> (Vec<u64>, Option<String>) {
    let (mut shard, (mut input, mut output)) = Shard::embed(Config::embedded(), |p| {
        let (input, rows) = p.input::<(u64, u64)>();
        let table = rows.key_by(|row| row.0).table(|row| Some(row.1));
        Ok((input, table.suppress(suppress).to_stream().map(|row| row.0).output()))
    })
    .expect("it can be built");
    let mut out = Vec::new();
    for (now, row) in (0..).zip([(0, 0), (1, 0), (2, 0), (3, 0), (0, 1)]) {
        input.push(Timestamp(0), row).expect("there is room");
        while !shard.step(Timestamp(now)).is_none() {}
        out.extend(std::iter::from_fn(|| output.pop()).map(|record| record.value));
    }
    for now in 5..120 {
        shard.step(Timestamp(now));
        out.extend(std::iter::from_fn(|| output.pop()).map(|record| record.value));
    }
    (out, shard.failure().map(ToString::to_string))
}

#[test]
fn what_may_not_be_held_back_goes_on_or_is_an_error() {
    let suppress = Suppress::after(ns(100)).processing_time();
    assert_eq!(held_back(suppress), (vec![0, 1, 2, 3], None), "in order, each once");
    let early = suppress.at_most(2, WhenFull::EmitEarly);
    assert_eq!(held_back(early), (vec![2, 3, 0, 1], None));
    let golden = "suppress: 2 rows is the limit; raise `at_most` or bound the input";
    let (_, failure) = held_back(suppress.at_most(2, WhenFull::Fail));
    assert_eq!(failure.as_deref(), Some(golden));
}

#[test]
fn impossible_suppression_is_named() {
    let refused = |suppress| {
        let built = Shard::embed(Config::embedded(), |p| {
            let (_, rows) = p.input::<Row>();
            let table = rows.key_by(|row| row.key).table(upsert);
            table.suppress(suppress).to_stream().for_each(drop);
            Ok(())
        });
        built.map_or_else(|error| error.to_string(), |_| "accepted".to_owned())
    };
    assert_eq!(refused(Suppress::after(ns(0))), "suppress = 0 ns: nothing would be held back");
    let none = Suppress::after(ns(1)).at_most(0, WhenFull::Fail);
    assert_eq!(refused(none), "at_most = 0: nothing could be held back");
    assert_eq!(refused(Suppress::after(ns(1))), "accepted");
}

#[test]
fn a_table_that_is_read_from_outside() {
    let steps = case!(Row => Out, |s| {
        let table = s.event_time(at, disordered(20)).key_by(|row| row.key).table(upsert);
        table.view(&View::new()).to_changes()
    });
    Tester::new(steps, said(&rows()), table(&rows(), 20, BY_ARRIVAL)).by(|out| out.0).check();
}

#[test]
fn windows_are_read_by_key_and_start() {
    let view = View::new();
    let (mut shard, mut input) = Shard::embed(Config::embedded(), |p| {
        let (input, rows) = p.input::<u64>();
        let counts = rows.key_by(|n| n % 2).window(Tumbling::of(ns(10))).aggregate(count());
        let table = counts.key_by(|window| (window.key, window.span.start));
        table.table(|window| Some(window.value)).view(&view).to_stream().for_each(drop);
        Ok(input)
    })
    .expect("it can be built");
    for n in 0..40 {
        input.push(Timestamp(n), n as u64).expect("there is room");
    }
    input.advance_to(Timestamp(40));
    while !shard.step(Timestamp(0)).is_none() {}
    // A result has the last instant of its window, and is shown once the watermark is past it.
    let windows = (1, Timestamp(10))..(1, Timestamp(30));
    let mut asked = view.range(windows, 9).expect("it is open");
    assert_eq!(asked.poll(), Ok(None));
    shard.step(Timestamp(0));
    let answer = asked.poll().expect("it is open").expect("it was answered");
    assert_eq!((answer.as_of(), answer.is_whole()), (Timestamp(40), true));
    assert_eq!(answer.rows(), [((1, Timestamp(10)), 5), ((1, Timestamp(20)), 5)]);
    // As many questions wait as may.
    let asked: Vec<_> = (0..64).map(|_| view.range(.., 9).expect("there is room")).collect();
    assert_eq!(view.range(.., 9).map(drop), Err(QueryError::Full));
    drop(shard);
    for mut asked in asked {
        assert_eq!(asked.poll(), Err(QueryError::Closed));
    }
    assert_eq!(view.key((1, Timestamp(0))).map(drop), Err(QueryError::Closed));
}

#[test]
fn a_view_shows_one_table() {
    let view = View::new();
    let built = Shard::embed(Config::embedded(), |p| {
        for _ in 0..2 {
            let (_, rows) = p.input::<Row>();
            rows.key_by(|row| row.key).table(upsert).view(&view).to_stream().for_each(drop);
        }
        Ok(())
    });
    let golden = "pipeline: a view shows one table: this one shows another already";
    assert_eq!(built.map_or_else(|error| error.to_string(), |_| "accepted".to_owned()), golden);
}

/// Builds and says why that was refused.
fn refused(versions: Versions) -> String {
    let built = Shard::embed(Config::embedded(), |p| {
        let (_, rows) = p.input::<Row>();
        rows.key_by(|row| row.key).table_of(versions, upsert).to_stream().for_each(drop);
        Ok(())
    });
    built.map_or_else(|error| error.to_string(), |_| "accepted".to_owned())
}

#[test]
fn impossible_versions_are_named() {
    let never = Versions::by_arrival().expiring(ns(0));
    assert_eq!(refused(never), "expiring = 0 ns: no row would live to be seen");
    assert_eq!(refused(Versions::by_event_time().expiring(ns(1))), "accepted");
}

#[test]
fn more_rows_than_there_may_be_are_an_error() {
    let config = Config { keys_max: 10, ..Config::embedded() };
    let (mut shard, mut input) = Shard::embed(config, |p| {
        let (input, rows) = p.input::<u64>();
        rows.key_by(|n| *n).table(|n| (*n < 1_000).then_some(*n)).to_stream().for_each(drop);
        Ok(input)
    })
    .expect("it can be built");
    // Tombstones take no place, nor do rows that are there already.
    for n in (0..500).map(|n| if n % 2 == 0 { n / 2 % 10 } else { 1_000 + n }).chain([10]) {
        assert!(shard.failure().is_none(), "{n}");
        input.push(Timestamp(0), n).expect("there is room");
        shard.step(Timestamp(0));
    }
    let golden = "table: 10 keys is the limit; raise `keys_max` or bound the input";
    assert_eq!(shard.failure().map(ToString::to_string).as_deref(), Some(golden));
}

#[test]
fn a_top_of_nothing_is_refused() {
    let built = Shard::embed(Config::embedded(), |p| {
        let (_, rows) = p.input::<Row>();
        let groups = rows.key_by(|row| row.key).table(upsert).group_by(|_, row| *row);
        groups.top_n(0, |_, row| *row).to_stream().for_each(drop);
        Ok(())
    });
    let golden = "top_n = 0: there would be no row";
    assert_eq!(built.map_or_else(|error| error.to_string(), |_| "accepted".to_owned()), golden);
}

#[test]
fn more_rows_in_groups_than_there_may_be_are_an_error() {
    let config = Config { records_max: 3, ..Config::embedded() };
    let (mut shard, mut input) = Shard::embed(config, |p| {
        let (input, rows) = p.input::<u64>();
        let groups = rows.key_by(|n| *n).table(|n| Some(*n)).group_by(|_, _| ());
        groups.aggregate(max(|n: &u64| *n)).to_stream().for_each(drop);
        Ok(input)
    })
    .expect("it can be built");
    for n in 0..4 {
        assert!(shard.failure().is_none(), "{n}");
        input.push(Timestamp(0), n).expect("there is room");
        while !shard.step(Timestamp(0)).is_none() {}
    }
    let golden = "group_aggregate: 3 rows is the limit; raise `records_max` or bound the input";
    assert_eq!(shard.failure().map(ToString::to_string).as_deref(), Some(golden));
}

/// Changes that a view has not shown yet are limited by who restores them.
#[test]
fn a_view_holds_to_the_limit_of_who_restores_it() {
    let build = |timers_max| {
        let config = Config { timers_max, ..Config::embedded() };
        let built = Shard::embed(config, |p| {
            let (input, rows) = p.input::<Row>();
            let table = rows.key_by(|row| row.key).table(upsert);
            table.view(&View::new()).to_stream().for_each(drop);
            Ok(input)
        });
        built.expect("it can be built")
    };
    let feed = |shard: &mut Shard, input: &mut Input<Row>, keys: std::ops::Range<u64>| {
        for key in keys {
            input.push(Timestamp(5), Row { key, at: 5, value: 4 }).expect("there is room");
        }
        while !shard.step(Timestamp(0)).is_none() {}
        shard.failure().map_or_else(|| "none".to_owned(), Error::to_string)
    };
    let (mut shard, mut input) = build(10);
    assert_eq!(feed(&mut shard, &mut input, 0..9), "none");
    let snapshot = shard.snapshot().expect("it is at rest");
    for (limit, room) in [(10, 1), (20, 11), (9, 0), (5, 0)] {
        let go_on = |count: u64| {
            let (mut shard, mut input) = build(limit);
            shard.restore(&snapshot).expect("it is of this pipeline");
            feed(&mut shard, &mut input, 100..100 + count)
        };
        assert_eq!(go_on(room), "none", "{limit}");
        let golden = format!(
            "view: {limit} changes ahead of the watermark is the limit; raise `timers_max` or \
             bound the input"
        );
        assert_eq!(go_on(room + 1), golden);
    }
}
