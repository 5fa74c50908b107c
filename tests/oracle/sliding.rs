//! Windows of records: by count.

use std::cell::RefCell;
use std::rc::Rc;

use millstream::{Aggregate, Windowed};
use proptest::prelude::*;

use crate::support::model::grouped;
use crate::support::sliding::{Digest, Digesting, Slid, count_windows, slid};
use crate::support::{Row, Seen, World, watch};
use crate::{cases, rows, timed};

type Result = Windowed<u64, Digest>;

fn results(seen: &Rc<RefCell<Seen<Result>>>) -> Vec<Slid> {
    let seen = seen.borrow();
    seen.check_over();
    seen.records.iter().map(|(at, result)| slid(*at, result)).collect()
}

/// The same results, and those of one key in the same order.
fn assert_same_by_key(got: &[Slid], want: &[Slid]) {
    assert_eq!(grouped(got, |result| result.1), grouped(want, |result| result.1));
}

/// Windows by count, as the engine makes them with an aggregate that is invertible or is not.
fn counted<A: Aggregate<Row, Out = Digest>>(
    world: &World,
    rows: &[Row],
    (size, every): (usize, usize),
    incomplete: bool,
    aggregate: fn() -> A,
) -> Vec<Slid> {
    let seen = Seen::<Result>::new();
    world.run(|p| {
        let keyed = timed(p, world, rows, 0).key_by(|row| row.key);
        let mut windows = keyed.count_window(size as u32).every(every as u32);
        if incomplete {
            windows = windows.emit_incomplete();
        }
        watch(windows.aggregate(aggregate()), &seen, world);
        Ok(())
    });
    results(&seen)
}

proptest! {
    #![proptest_config(cases(200))]

    /// End to end and overlapping, with gaps too; incomplete windows or not.
    #[test]
    fn windows_by_count_are_the_models(
        world in World::any(),
        rows in rows(150),
        size in 1..20usize,
        every in prop_oneof![1..20usize, Just(0)],
        incomplete in any::<bool>(),
    ) {
        let every = if every == 0 { size } else { every };
        let want = count_windows(&rows, size, every, incomplete);
        let cut = (size, every);
        let got = counted(&world, &rows, cut, incomplete, || Digesting::<false>);
        assert_same_by_key(&got, &want);
        let got = counted(&world, &rows, cut, incomplete, || Digesting::<true>);
        assert_same_by_key(&got, &want);
    }
}
