//! Two streams as one: a function of both inputs with state, and a co-group in windows, each
//! against the model.

use std::collections::BTreeMap;

use millstream::operators::{Either, Order};
use millstream::window::triggers;
use millstream::{KeyContext, Keyed, Pipeline, Process, Tumbling, ns};
use proptest::prelude::*;

use super::support::joins::is_left;
use super::support::model::disorder_of;
use super::support::{Row, Seen, World, watch};
use super::{cases, rows, timed};

type Both = Either<Row, Row>;

fn connected<'p>(
    p: Pipeline<'p>,
    world: &World,
    rows: &[Row],
    disorder: i64,
) -> Keyed<'p, u64, Both> {
    let (left, right) = timed(p, world, rows, disorder).split(is_left);
    left.key_by(|row| row.key).connect(right.key_by(|row| row.key))
}

/// Each left record with the sum of the right ones before it, in the order of time.
struct SumBefore;

impl Process for SumBefore {
    type Key = u64;
    type In = Both;
    type State = i64;
    type Out = (Row, i64);
    const ORDER: Order = Order::Time;

    fn on_record(&mut self, record: Both, ctx: &mut KeyContext<'_, Self>) {
        match record {
            Either::Left(row) => {
                let sum = *ctx.state();
                ctx.emit((row, sum));
            }
            Either::Right(row) => *ctx.state() += row.value,
        }
    }
}

/// Rows at times of their own: what is at one time has no order between two streams.
fn apart(mut rows: Vec<Row>) -> Vec<Row> {
    let mut seen = std::collections::BTreeSet::new();
    rows.retain(|row| seen.insert((row.key, row.at)));
    rows
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn a_function_of_two_inputs_is_the_models(
        world in World::any(),
        rows in rows(100).prop_map(apart),
    ) {
        let (seen, disorder) = (Seen::<(Row, i64)>::new(), disorder_of(&rows));
        world.run(|p| {
            watch(connected(p, &world, &rows, disorder).process(SumBefore), &seen, &world);
            Ok(())
        });
        let before = |left: &Row| {
            let same = rows.iter().filter(|row| !is_left(row) && row.key == left.key);
            same.filter(|row| row.at < left.at).map(|row| row.value).sum::<i64>()
        };
        let left = rows.iter().filter(|row| is_left(row));
        let mut want: Vec<_> = left.map(|row| (row.at, (*row, before(row)))).collect();
        let mut got = seen.borrow().records.clone();
        want.sort();
        got.sort();
        prop_assert_eq!(got, want);
    }

    #[test]
    fn a_window_over_two_streams_is_a_co_group(
        world in World::any(),
        rows in rows(100),
        size in 1..80i64,
    ) {
        type Group = (u64, i64, [i64; 2]);
        let (seen, disorder) = (Seen::<Group>::new(), disorder_of(&rows));
        world.run(|p| {
            let both = connected(p, &world, &rows, disorder);
            let windows = both.window(Tumbling::of(ns(size as u64)));
            let windows = windows.trigger(triggers::event_time()).apply(|_, _, records| {
                let of = |side: fn(&Both) -> Option<&Row>| {
                    let side = records.clone().filter_map(move |record| side(&record.value));
                    side.map(|row| row.value).sum::<i64>()
                };
                [of(Either::left), of(Either::right)]
            });
            let group = windows.map(|window| (window.key, window.span.start.0, window.value));
            watch(group, &seen, &world);
            Ok(())
        });
        let mut want = BTreeMap::<(u64, i64), [i64; 2]>::new();
        for row in &rows {
            let start = row.at.div_euclid(size) * size;
            let sums = want.entry((row.key, start)).or_default();
            sums[usize::from(!is_left(row))] += row.value;
        }
        let group = |(_, (key, start, sums)): &(i64, Group)| ((*key, *start), *sums);
        let mut got: Vec<_> = seen.borrow().records.iter().map(group).collect();
        got.sort();
        prop_assert_eq!(got, want.into_iter().collect::<Vec<_>>());
    }

    /// Three streams are two, one of which is two: a window over them is a co-group of all three.
    #[test]
    fn a_window_over_three_streams_is_a_co_group(
        world in World::any(),
        rows in rows(100),
        size in 1..80i64,
    ) {
        type Group = (u64, i64, [i64; 3]);
        let side = |row: &Row| if row.value % 3 == 0 { 2 } else { usize::from(!is_left(row)) };
        let (seen, disorder) = (Seen::<Group>::new(), disorder_of(&rows));
        world.run(|p| {
            let (third, rest) = timed(p, &world, &rows, disorder).split(|row| row.value % 3 == 0);
            let (left, right) = rest.split(is_left);
            let key = |row: &Row| row.key;
            let both = left.key_by(key).connect(right.key_by(key));
            let windows = both.connect(third.key_by(key)).window(Tumbling::of(ns(size as u64)));
            let windows = windows.trigger(triggers::event_time()).apply(|_, _, records| {
                let mut sums = [0; 3];
                for record in records {
                    match record.value {
                        Either::Left(Either::Left(row)) => sums[0] += row.value,
                        Either::Left(Either::Right(row)) => sums[1] += row.value,
                        Either::Right(row) => sums[2] += row.value,
                    }
                }
                sums
            });
            let group = windows.map(|window| (window.key, window.span.start.0, window.value));
            watch(group, &seen, &world);
            Ok(())
        });
        let mut want = BTreeMap::<(u64, i64), [i64; 3]>::new();
        for row in &rows {
            let start = row.at.div_euclid(size) * size;
            want.entry((row.key, start)).or_default()[side(row)] += row.value;
        }
        let group = |(_, (key, start, sums)): &(i64, Group)| ((*key, *start), *sums);
        let mut got: Vec<_> = seen.borrow().records.iter().map(group).collect();
        got.sort();
        prop_assert_eq!(got, want.into_iter().collect::<Vec<_>>());
    }
}
