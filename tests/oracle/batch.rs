//! Batches against a model that cuts a list: exactly where the number decides, and in what must
//! hold for any cut where the clock does.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream::operators::Batched;
use millstream::{Stage, Stream, ns, secs};
use proptest::prelude::*;

use super::support::batch::{Mode, batches, changed};
use super::support::model::{grouped, sorted};
use super::support::world::values;
use super::support::{Row, Seen, World, watch};
use super::{cases, rows, timed};

/// What is in the batches of a stream, with the shard that each comes from.
fn gathered<'p>(
    stream: Stream<'p, impl Stage<Out = Row>>,
    shard: usize,
    records: usize,
    wait: Duration,
    mode: Mode,
) -> Stream<'p, impl Stage<Out = (usize, Vec<Row>)>> {
    let batches = stream.batch(records, wait);
    let told = move |batch: Batched<Row>| {
        (shard, batch.iter().map(|record| record.value).collect::<Vec<_>>())
    };
    match mode {
        Mode::Append => batches.append().map(told).boxed(),
        Mode::Update => batches.update(|row| row.key).map(told).boxed(),
        Mode::Complete => batches.complete(|row| row.key).map(told).boxed(),
    }
}

fn mode() -> impl Strategy<Value = Mode> {
    prop::sample::select(&[Mode::Append, Mode::Update, Mode::Complete][..])
}

proptest! {
    #![proptest_config(cases(300))]

    /// On the one shard that reads, cut by the number of records alone.
    #[test]
    fn batches_by_number_are_the_models(
        world in World::any(),
        rows in rows(150),
        records in 1..40usize,
        mode in mode(),
    ) {
        let seen = Seen::<(usize, Vec<Row>)>::new();
        world.run(|p| {
            let rows = timed(p, &world, &rows, 60);
            watch(gathered(rows, p.shard(), records, secs(1 << 30), mode), &seen, &world);
            Ok(())
        });
        let got = seen.borrow();
        got.check_over();
        let row = |(at, (_, rows)): &(i64, (usize, Vec<Row>))| match mode {
            Mode::Complete => (*at, sorted(rows)),
            _ => (*at, rows.clone()),
        };
        let got: Vec<_> = got.records.iter().map(row).collect();
        prop_assert_eq!(got, batches(&rows, records, mode));
    }

    /// Running values of keys on all shards, cut by the clock: whatever the cuts, no record is lost
    /// and none is twice, what has changed is there with its last value, and a table is of one
    /// moment.
    #[test]
    fn batches_by_the_clock_lose_nothing(
        world in World::any(),
        rows in rows(150),
        records in 1..40usize,
        wait in 0..3_000u64,
        mode in mode(),
    ) {
        let (seen, all) = (Seen::<(usize, Vec<Row>)>::new(), Seen::<(usize, Row)>::new());
        world.run(|p| {
            let shard = p.shard();
            let keyed = timed(p, &world, &rows, 60).key_by(|row| row.key);
            let sums = keyed.reduce(|sum, row| *sum = Row { value: sum.value + row.value, ..row });
            let sums = sums.map(|(_, row)| row);
            // The same records go by, so it is known in which order they came to each shard.
            let tapped = all.clone();
            let sums = sums.inspect(move |record| {
                tapped.borrow_mut().records.push((record.at.0, (shard, record.value)));
            });
            watch(gathered(sums, shard, records, ns(wait), mode), &seen, &world);
            Ok(())
        });
        let mut arrived: BTreeMap<usize, Vec<Row>> = BTreeMap::new();
        for (_, (shard, row)) in &all.borrow().records {
            arrived.entry(*shard).or_default().push(*row);
        }
        let per_shard = grouped(&values(&seen), |(shard, _)| *shard as u64);
        for (shard, rows) in &arrived {
            let batches = &per_shard[&(*shard as u64)];
            let got: Vec<Vec<Row>> = batches.iter().map(|(_, batch)| batch.clone()).collect();
            prop_assert!(is_cut_of(&got, rows, records, mode), "{mode:?}: {got:?} of {rows:?}");
        }
        prop_assert_eq!(per_shard.len(), arrived.len());
    }
}

/// Whether there are cuts of the rows, at most `records` apart, that these batches come of.
fn is_cut_of(got: &[Vec<Row>], rows: &[Row], records: usize, mode: Mode) -> bool {
    // For each batch, after how many rows it may have been cut.
    let mut cuts = vec![0];
    for batch in got {
        let mut next: Vec<usize> = Vec::new();
        for from in cuts {
            let to = (from + 1)..=(from + records).min(rows.len());
            next.extend(to.filter(|to| {
                let part = &rows[from..*to];
                match mode {
                    Mode::Append => part == batch,
                    Mode::Update => changed(part) == *batch,
                    Mode::Complete => sorted(&changed(&rows[..*to])) == sorted(batch),
                }
            }));
        }
        next.sort_unstable();
        next.dedup();
        cuts = next;
    }
    cuts.contains(&rows.len())
}
