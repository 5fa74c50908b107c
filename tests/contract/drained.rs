//! When both inputs have ended, at different times, no join holds anything any more; nor does a
//! table whose rows have all been deleted.

use std::time::Duration;

use millstream::aggregates::{count, max, sum};
use millstream::dataflow::Edge;
use millstream::join::{after, before, same_time};
use millstream::table::Suppress;
use millstream::testing::{TestDriver, TestInput};
use millstream::{Cumulative, Keyed, Sliding, Stream, Timestamp, Tumbling, Versions, ns};

use super::rows;
use super::support::joins::is_left;
use super::support::model::Row;
use super::support::tables::{names, upsert};

const FOR_EVER: Duration = Duration::MAX;

/// Some steps behind two streams, to a sink.
type Build = for<'p> fn(Stream<'p, Edge<Row>>, Stream<'p, Edge<Row>>);

fn keyed<'p>(stream: Stream<'p, Edge<Row>>) -> Keyed<'p, u64, Row> {
    stream.key_by(|row| row.key)
}

/// Says all rows, and shows that something is held of them.
fn filled(build: Build) -> (TestDriver, [TestInput<Row>; 2]) {
    let (mut driver, inputs) = TestDriver::new(|p| {
        let ((left, l), (right, r)) = (p.test_input::<Row>(), p.test_input::<Row>());
        build(l.boxed(), r.boxed());
        Ok([left, right])
    })
    .expect("it builds");
    for row in rows() {
        inputs[usize::from(!is_left(&row))].push(Timestamp(row.at), row);
        driver.settle().expect("nothing fails");
    }
    // Joins in one order of time hold nothing of records that still wait for their turn.
    inputs.iter().for_each(|input| input.watermark(Timestamp(300)));
    driver.settle().expect("nothing fails");
    assert!(!driver.holds().is_empty(), "there is something to be drained");
    (driver, inputs)
}

/// Ends one input and then the other; nothing is held in the end.
fn ends_with_nothing(name: &str, build: Build) {
    for first in [0, 1] {
        let (mut driver, inputs) = filled(build);
        inputs[first].close();
        driver.settle().expect("nothing fails");
        let (other, last) = (&inputs[1 - first], Row { at: 500, key: 3, value: 77 });
        other.watermark(Timestamp(450));
        other.push(Timestamp(last.at), last);
        driver.settle().expect("nothing fails");
        other.close();
        driver.settle().expect("nothing fails");
        assert!(driver.is_done(), "{name}");
        assert_eq!(driver.holds(), [""; 0], "{name}, when input {first} ended first");
    }
}

#[test]
fn joins_end_with_nothing() {
    let kinds: [(&str, Build); 9] = [
        ("inner", |l, r| {
            let join = keyed(l).interval_join(keyed(r)).between(before(ns(90)), after(ns(90)));
            join.select(|l, r| l.value + r.value).for_each(drop);
        }),
        ("left", |l, r| {
            let join = keyed(l).interval_join(keyed(r)).between(before(ns(90)), after(ns(9)));
            join.select_left(|l, r| (l.value, r.is_some())).for_each(drop);
        }),
        ("right, late", |l, r| {
            let join = keyed(l).interval_join(keyed(r)).between(before(ns(9)), after(ns(90)));
            let join = join.allowed_lateness(ns(50));
            join.select_right(|l, r| (r.value, l.is_some())).for_each(drop);
        }),
        ("full, for ever", |l, r| {
            let join = keyed(l).interval_join(keyed(r)).between(before(FOR_EVER), after(FOR_EVER));
            join.select_full(|l, r| (l.is_some(), r.is_some())).for_each(drop);
        }),
        ("semi", |l, r| {
            let join = keyed(l).interval_join(keyed(r)).between(before(ns(3)), after(ns(90)));
            join.semi().for_each(drop);
        }),
        ("anti", |l, r| {
            let join = keyed(l).interval_join(keyed(r)).between(before(ns(90)), same_time());
            join.anti().for_each(drop);
        }),
        ("window, sliding", |l, r| {
            let windows = Sliding::of(ns(60)).every(ns(20));
            let join = keyed(l).window_join(keyed(r)).window(windows);
            join.select_full(|l, r| (l.is_some(), r.is_some())).for_each(drop);
        }),
        ("window, growing, late", |l, r| {
            let windows = Cumulative::of(ns(60)).every(ns(20));
            let join = keyed(l).window_join(keyed(r)).window(windows).allowed_lateness(ns(30));
            join.anti().for_each(drop);
        }),
        ("cross", |l, r| {
            let join = l.cross_join(r).between(before(ns(90)), after(ns(90)));
            join.select_left(|l, r| (l.value, r.is_some())).for_each(drop);
        }),
    ];
    for (name, build) in kinds {
        ends_with_nothing(name, build);
    }
}

#[test]
fn joins_in_one_order_end_with_nothing() {
    let kinds: [(&str, Build); 9] = [
        ("as-of", |l, r| {
            keyed(l).asof_join(keyed(r)).select(|l, r| l.value + r.value).for_each(drop);
        }),
        ("as-of, near", |l, r| {
            let join = keyed(l).asof_join(keyed(r)).tolerance(ns(30));
            join.select_left(|l, r| (l.value, r.is_some())).for_each(drop);
        }),
        ("as-of, ahead", |l, r| {
            let join = keyed(l).asof_join(keyed(r)).forward();
            join.select_left(|l, r| (l.value, r.is_some())).for_each(drop);
        }),
        ("as-of, nearest", |l, r| {
            let join = keyed(l).asof_join(keyed(r)).nearest();
            join.select_left(|l, r| (l.value, r.is_some())).for_each(drop);
        }),
        ("temporal", |l, r| {
            let join = keyed(l).temporal_join(keyed(r), |row| row.value % 3 == 0);
            join.select_left(|l, r| (l.value, r.is_some())).for_each(drop);
        }),
        ("window around", |l, r| {
            let windows = keyed(l).window_around(keyed(r)).between(before(ns(40)), after(ns(40)));
            windows.apply(|l, around| (l.value, around.count())).for_each(drop);
        }),
        ("window around, for ever", |l, r| {
            let windows = keyed(l).window_around(keyed(r)).between(before(FOR_EVER), same_time());
            windows.apply(|l, around| (l.value, around.count())).for_each(drop);
        }),
        ("window around, in force", |l, r| {
            let windows = keyed(l).window_around(keyed(r)).between(before(ns(40)), same_time());
            let windows = windows.prevailing();
            windows.apply(|l, around| (l.value, around.count())).for_each(drop);
        }),
        ("broadcast state", |l, r| {
            l.with_broadcast(r).select(|l, r| l.value + r.value).for_each(drop);
        }),
    ];
    for (name, build) in kinds {
        ends_with_nothing(name, build);
    }
}

/// Deletes all rows on both sides, one side after the other.
fn tombstones_leave_nothing(name: &str, build: Build) {
    for first in [0, 1] {
        let (mut driver, inputs) = filled(build);
        for side in [first, 1 - first] {
            for key in 0..5 {
                inputs[side].push(Timestamp(600), Row { at: 600, key, value: 0 });
            }
            inputs[side].watermark(Timestamp(1_000));
            driver.settle().expect("nothing fails");
            inputs[side].close();
            driver.settle().expect("nothing fails");
        }
        assert!(driver.is_done(), "{name}");
        assert_eq!(driver.holds(), [""; 0], "{name}, when input {first} ended first");
    }
}

#[test]
fn tables_whose_rows_are_deleted_hold_nothing() {
    let kinds: [(&str, Build); 12] = [
        ("table", |l, r| {
            keyed(l).table(upsert).to_stream().for_each(drop);
            let versions = Versions::by_event_time();
            keyed(r).table_of(versions, upsert).to_stream().for_each(drop);
        }),
        ("inner join", |l, r| {
            let join = keyed(l).table(upsert).join(keyed(r).table(upsert));
            join.select(|l, r| l + r).to_stream().for_each(drop);
        }),
        ("left join", |l, r| {
            let join = keyed(l).table(upsert).join(keyed(r).table(upsert));
            join.select_left(|l, r| l + r.unwrap_or(&0)).to_stream().for_each(drop);
        }),
        ("full join", |l, r| {
            let join = keyed(l).table(upsert).join(keyed(r).table(upsert));
            join.select_full(|l, r| (l.is_some(), r.is_some())).to_stream().for_each(drop);
        }),
        ("join by foreign key", |l, r| {
            let (left, right) = (keyed(l).table(upsert), keyed(r).table(upsert));
            let join = left.join_foreign(right, |_, row| names(row));
            join.select(|l, r| l + r).to_stream().for_each(drop);
        }),
        ("left join by foreign key", |l, r| {
            let (left, right) = (keyed(l).table(upsert), keyed(r).table(upsert));
            let join = left.join_foreign(right, |_, row| names(row));
            join.select_left(|l, r| l + r.unwrap_or(&0)).to_stream().for_each(drop);
        }),
        ("stream with table", |l, r| {
            let join = keyed(l).join_table(keyed(r).table(upsert));
            join.select_left(|l, r| (l.value, r.is_some())).for_each(drop);
        }),
        ("stream with global table", |l, r| {
            let join = l.join_global(r.global_table(|row| row.key, upsert), |row| row.key);
            join.select_left(|l, r| (l.value, r.is_some())).for_each(drop);
        }),
        ("groups", |l, r| {
            let groups = |rows| keyed(rows).table(upsert).group_by(|_, row| row % 3);
            groups(l).aggregate((count(), sum(|row: &i64| *row))).to_stream().for_each(drop);
            groups(r).aggregate(max(|row: &i64| *row)).to_stream().for_each(drop);
        }),
        ("first rows", |l, r| {
            let groups = |rows| keyed(rows).table(upsert).group_by(|_, row| row % 2);
            groups(l).top_n(2, |_, row| *row).to_stream().for_each(drop);
            groups(r).top_n(100, |_, row| *row).to_stream().for_each(drop);
        }),
        ("distinct rows", |l, r| {
            let distinct = |rows| keyed(rows).table(upsert).distinct(|_, row| *row);
            distinct(l).to_stream().for_each(drop);
            distinct(r).to_stream().for_each(drop);
        }),
        ("suppress", |l, r| {
            let table = keyed(l).table(upsert).suppress(Suppress::after(ns(50)));
            table.to_stream().for_each(drop);
            let windows = keyed(r).window(Tumbling::of(ns(40))).allowed_lateness(ns(20));
            windows.aggregate(count()).until_closed(ns(20)).for_each(drop);
        }),
    ];
    for (name, build) in kinds {
        tombstones_leave_nothing(name, build);
    }
}

/// Rows that expire need no tombstones.
#[test]
fn tables_whose_rows_expire_end_with_nothing() {
    ends_with_nothing("tables", |l, r| {
        let versions = Versions::by_event_time().expiring(ns(40));
        keyed(l).table_of(versions, upsert).to_stream().for_each(drop);
        let versions = Versions::by_arrival().expiring(ns(40));
        keyed(r).table_of(versions, upsert).to_stream().for_each(drop);
    });
    ends_with_nothing("a join", |l, r| {
        let table = |rows| {
            let versions = Versions::by_arrival().expiring(ns(40));
            keyed(rows).table_of(versions, upsert)
        };
        let join = table(l).join(table(r));
        join.select_full(|l, r| (l.is_some(), r.is_some())).to_stream().for_each(drop);
    });
}
