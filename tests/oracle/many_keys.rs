//! Windows of so many keys that they fire by parts: every slice and the running values are of many
//! sub-tables, some of more than others.

use millstream::ns;
use proptest::prelude::*;

use crate::support::model::windows;
use crate::support::world::{all, invertible, results, window_of, with_zeros};
use crate::support::{Cut, Fired, Row, Seen, World, watch};
use crate::windows::{Result, assert_same_by_key};
use crate::{cases, cut, timed};

/// Rows that come fifty at an instant, some late, of many keys at first and of few in between.
fn crowds() -> impl Strategy<Value = Vec<Row>> {
    let crowd = (prop_oneof![8 => 1..9i64, 1 => 60..200i64], any::<u64>(), any::<bool>());
    prop::collection::vec(crowd, 1..50).prop_map(|crowds| {
        let mut clock = 0;
        let rows = crowds.into_iter().flat_map(|(step, seed, many)| {
            clock += step;
            let (mut random, keys) =
                (fastrand::Rng::with_seed(seed), if many { 5_000 } else { 90 });
            let row = |_| {
                let at = clock - if random.u8(..20) == 0 { random.i64(..60) } else { 0 };
                Row { at, key: random.u64(..keys), value: random.i64(-100..100) }
            };
            (0..50).map(row).collect::<Vec<_>>()
        });
        rows.collect()
    })
}

/// Runs both kinds of aggregates, and compares them with the model.
fn agree(world: &World, rows: &[Row], cut: Cut, disorder: i64) {
    let (seen, deducted) = (Seen::<Result>::new(), Seen::<Result>::new());
    world.run(|p| {
        let (one, other) = timed(p, world, rows, disorder).tee();
        let one = one.key_by(|row| row.key).window(window_of(cut));
        watch(one.allowed_lateness(ns(cut.lateness as u64)).aggregate(all()), &seen, world);
        let other = other.key_by(|row| row.key).window(window_of(cut));
        let other = other.allowed_lateness(ns(cut.lateness as u64)).aggregate(invertible());
        watch(other.map(with_zeros), &deducted, world);
        Ok(())
    });
    let want = windows(rows, cut, disorder).fired;
    assert_same_by_key(&results(&seen), &want);
    let want: Vec<Fired> = want.into_iter().map(Fired::invertible).collect();
    assert_same_by_key(&results(&deducted), &want);
}

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn windows_of_many_keys_are_the_models(
        world in World::any(),
        rows in crowds(),
        cut in cut(),
        disorder in 0..30i64,
    ) {
        agree(&world, &rows, cut, disorder);
    }
}
