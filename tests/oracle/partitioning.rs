//! Ways of spreading records over shards: which shard got what, in which order, and under which
//! watermarks.

use std::cell::RefCell;
use std::rc::Rc;

use millstream::{Pipeline, ns};
use proptest::prelude::*;

use crate::support::model::{grouped, watermarks, windows_under};
use crate::support::world::{all, at, disordered, memory, results, values, window_of};
use crate::support::{Cut, Row, Seen, World, watch};
use crate::{Result, cases, cut, rows, timed};

/// One probe for each shard.
type Shards<T> = Vec<Rc<RefCell<Seen<T>>>>;

fn shards<T>(world: &World) -> Shards<T> {
    (0..world.shards).map(|_| Seen::new()).collect()
}

/// What each shard got, as it came.
fn got<T: Clone>(shards: &Shards<T>) -> Vec<Vec<T>> {
    shards.iter().map(values).collect()
}

/// Windows on each shard over the rows that it got, each with the watermark before it.
fn assert_windows(got: &Shards<Result>, want: Vec<Vec<(Row, i64)>>, cut: Cut) {
    for (shard, rows) in want.into_iter().enumerate() {
        let (got, want) = (results(&got[shard]), windows_under(rows, cut).fired);
        assert_eq!(grouped(&got, |r| r.key), grouped(&want, |r| r.key), "shard {shard}");
    }
}

proptest! {
    #![proptest_config(cases(150))]

    /// Every shard gets all rows of the one source in their order, and the same of them are late.
    #[test]
    fn broadcast_gives_all_to_all(
        world in World::any(),
        rows in rows(80),
        cut in cut(),
        disorder in 0..60i64,
    ) {
        let (all_rows, windows) = (shards::<Row>(&world), shards::<Result>(&world));
        world.run(|p| {
            watch(timed(p, &world, &rows, disorder).broadcast(), &all_rows[p.shard()], &world);
            let here = timed(p, &world, &rows, disorder).broadcast().partitioned_by(|r| r.key);
            let cuts = here.window(window_of(cut)).allowed_lateness(ns(cut.lateness as u64));
            watch(cuts.aggregate(all()), &windows[p.shard()], &world);
            Ok(())
        });
        prop_assert!(got(&all_rows).iter().all(|got| *got == rows));
        let with: Vec<_> = rows.iter().copied().zip(watermarks(&rows, disorder)).collect();
        assert_windows(&windows, vec![with; world.shards], cut);
    }

    /// All shards send to all: none is lost, none comes twice, each source stays in order.
    #[test]
    fn broadcast_from_everywhere(
        world in World::any(),
        parts in prop::collection::vec(rows(30), 5),
    ) {
        let seen = shards::<(usize, Row)>(&world);
        world.run(|p: Pipeline<'_>| {
            let from = p.shard();
            let source = p.source(memory(&parts[from])).event_time(at, disordered(60));
            watch(source.map(move |row| (from, row)).broadcast(), &seen[from], &world);
            Ok(())
        });
        let each = |(from, part): (usize, &Vec<Row>)| part.iter().map(move |r| (from, *r)).collect::<Vec<_>>();
        let sent: Vec<_> = parts[..world.shards].iter().enumerate().flat_map(each).collect();
        for got in got(&seen) {
            prop_assert_eq!(grouped(&got, |(from, _)| *from as u64), grouped(&sent, |(from, _)| *from as u64));
        }
    }
}
