//! Process functions and expiring state against the model.

use millstream::{Ttl, ns};
use proptest::prelude::*;

use super::support::machine::{
    Life, Machine, Told, by_marks, is_record, machine, machine_by_time, mark, said,
};
use super::support::model::{disorder_of, grouped, watermarks};
use super::support::world::at;
use super::support::{Row, Script, Seen, World, watch};
use super::{cases, rows, timed};

/// Rows with marks between them: some promise too much, and records come late; some go back.
pub fn marked_rows(most: usize) -> impl Strategy<Value = Vec<Row>> {
    let marks =
        prop::collection::vec(prop_oneof![3 => Just(None), 1 => (-80..40i64).prop_map(Some)], most);
    (rows(most), marks).prop_map(|(rows, marks)| {
        let (mut all, mut furthest) = (Vec::new(), i64::MIN);
        for (row, promise) in rows.into_iter().zip(marks) {
            furthest = furthest.max(row.at);
            all.push(Row { value: row.value + row.at, ..row });
            all.extend(promise.map(|ahead| mark(furthest.saturating_add(ahead))));
        }
        all
    })
}

pub fn life() -> impl Strategy<Value = Option<Life>> {
    let some = (1..200i64, any::<bool>()).prop_map(|(span, on_read)| Life { span, on_read });
    prop::option::weighted(0.7, some)
}

pub fn ttl(life: Life) -> Ttl {
    let ttl = Ttl::of(ns(life.span as u64));
    if life.on_read { ttl.on_read() } else { ttl.on_write() }
}

/// What matters of a key: what it was told, in order.
fn key(told: &(i64, Told)) -> u64 {
    told.1.0
}

/// The machine on the engine.
fn run(world: &World, rows: &[Row], life: Option<Life>, on_heap: bool) -> Vec<(i64, Told)> {
    let seen = Seen::new();
    world.run(|p| {
        let here = p.shard() == world.home;
        let script = if here { Script::new(said(rows)) } else { Script::empty() };
        let keyed =
            p.source(script).event_time(at, by_marks()).filter(is_record).key_by(|row| row.key);
        match life {
            None if on_heap => watch(keyed.process_heap(Machine::<false>), &seen, world),
            None => watch(keyed.process(Machine::<false>), &seen, world),
            Some(life) => watch(keyed.ttl(ttl(life)).process(Machine::<false>), &seen, world),
        }
        Ok(())
    });
    seen.borrow().check_over();
    seen.borrow().records.clone()
}

proptest! {
    #![proptest_config(cases(300))]

    /// State, timers of all kinds, late records, timers of the past, state that expires.
    #[test]
    fn process_functions_are_the_models(
        world in World::any(),
        rows in marked_rows(100),
        life in life(),
        on_heap in any::<bool>(),
    ) {
        prop_assert_eq!(
            grouped(&run(&world, &rows, life, on_heap), key),
            grouped(&machine(&rows, life), key)
        );
    }
}

proptest! {
    #![proptest_config(cases(300))]

    /// In the order of time, what comes out is a matter of the records alone, wherever the
    /// watermark was when they came.
    #[test]
    fn process_functions_in_the_order_of_time_do_not_see_batches(
        world in World::any(),
        rows in rows(100),
        disorder in 0..60i64,
        life in life(),
    ) {
        let rows: Vec<_> =
            rows.into_iter().map(|row| Row { value: row.value + row.at, ..row }).collect();
        let seen = Seen::new();
        world.run(|p| {
            let keyed = timed(p, &world, &rows, disorder).key_by(|row| row.key);
            match life {
                None => watch(keyed.process(Machine::<true>), &seen, &world),
                Some(life) => watch(keyed.ttl(ttl(life)).process(Machine::<true>), &seen, &world),
            }
            Ok(())
        });
        seen.borrow().check_over();
        let before = watermarks(&rows, disorder);
        let want = machine_by_time(rows.iter().copied().zip(before), life);
        prop_assert_eq!(grouped(&seen.borrow().records, key), grouped(&want, key));
    }
}

proptest! {
    #![proptest_config(cases(200))]

    /// What has expired for a record is a matter of its time and the watermark's, whatever the
    /// batches.
    #[test]
    fn a_reduced_key_expires_and_begins_anew(
        world in World::any(),
        rows in rows(120),
        span in 1..300i64,
        disorder in 0..60i64,
    ) {
        let seen = Seen::<(u64, i64)>::new();
        world.run(|p| {
            let pairs = timed(p, &world, &rows, disorder).map(|row| (row.key, row.value));
            let keyed = pairs.key_by(|pair| pair.0).ttl(Ttl::of(ns(span as u64)));
            let sums = keyed.reduce(|sum, pair| sum.1 += pair.1);
            watch(sums.map(|(_, sum)| sum), &seen, &world);
            Ok(())
        });
        seen.borrow().check_over();
        let mut sums = std::collections::BTreeMap::<u64, (i64, i64)>::new();
        let mut want = Vec::new();
        for (row, watermark) in rows.iter().zip(watermarks(&rows, disorder)) {
            let now = row.at.max(watermark);
            let (sum, end) = sums.get(&row.key).copied().filter(|(_, end)| now < *end)
                .unwrap_or((0, i64::MIN));
            let sum = (sum + row.value, end.max(now + span));
            sums.insert(row.key, sum);
            want.push((row.at, (row.key, sum.0)));
        }
        let key = |record: &(i64, (u64, i64))| record.1.0;
        prop_assert_eq!(grouped(&seen.borrow().records, key), grouped(&want, key));
    }

    /// The first record of a key, and the first after its time is over.
    #[test]
    fn duplicates_are_those_within_the_time(
        world in World::any(),
        rows in rows(120),
        life in life(),
    ) {
        let disorder = disorder_of(&rows);
        let seen = Seen::<Row>::new();
        world.run(|p| {
            let keyed = timed(p, &world, &rows, disorder).key_by(|row| row.key);
            match life {
                None => watch(keyed.deduplicate(), &seen, &world),
                Some(life) => watch(keyed.ttl(ttl(life)).deduplicate(), &seen, &world),
            }
            Ok(())
        });
        seen.borrow().check_over();
        let mut ends = std::collections::BTreeMap::<u64, i64>::new();
        let mut want = Vec::new();
        for row in &rows {
            let end = ends.entry(row.key).or_insert(i64::MIN);
            let known = row.at < *end;
            let span = life.map_or(i64::MAX, |life| life.span);
            if !known {
                want.push((row.at, *row));
            }
            if !known || life.is_some_and(|life| life.on_read) {
                *end = (*end).max(row.at.saturating_add(span));
            }
        }
        let key = |record: &(i64, Row)| record.1.key;
        prop_assert_eq!(grouped(&seen.borrow().records, key), grouped(&want, key));
    }
}

/// Nothing else than the marks moves the watermark.
#[test]
fn the_model_itself() {
    let row = |at, value| Row { at, key: 1, value };
    // Orders 0 + n: a timer n later; marks in between.
    let rows = [row(5, 18), mark(22), row(30, 9), mark(23), row(20, 1)];
    let told: Vec<_> = machine(&rows, None).into_iter().map(|(at, told)| (at, told.1)).collect();
    assert_eq!(told, [(5, 10), (30, 10), (23, 20), (20, 10), (19, 21), (39, 20)]);
}
