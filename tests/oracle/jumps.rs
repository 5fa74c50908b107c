//! One poisoned clock does not make everything after it late.

use millstream::metrics::Counter;
use millstream::{Watermarks, ns};
use proptest::prelude::*;

use crate::support::model::windows_under;
use crate::support::world::{all, at, results, window_of};
use crate::support::{Cut, Row, Seen, World, watch};
use crate::{Result, assert_same_by_key, cases, cut, rows};

/// The watermark before each record and whether the record was too far ahead, written out.
fn wary(rows: &[Row], disorder: i64, most: i64) -> (Vec<i64>, u64) {
    let (mut before, mut ahead, mut watermark) = (Vec::new(), 0, None);
    let mut doubted: Vec<i64> = Vec::new();
    for row in rows {
        before.push(watermark.unwrap_or(i64::MIN));
        let reached = row.at - disorder;
        let Some(from) = watermark else {
            watermark = Some(reached);
            continue;
        };
        if reached > from + most {
            if doubted.last().is_some_and(|last| (last - reached).abs() > most) {
                doubted.clear();
            }
            doubted.push(reached);
            if doubted.len() < 8 {
                ahead += 1;
                continue;
            }
        }
        if reached > from {
            watermark = Some(reached);
            doubted.clear();
        }
    }
    (before, ahead)
}

proptest! {
    #![proptest_config(cases(200))]

    /// Rows of which some have a clock far ahead, one by one or many together.
    #[test]
    fn a_poisoned_clock_does_not_move_the_watermark(
        world in World::any(),
        rows in rows(100),
        poison in prop::collection::vec(prop_oneof![5 => Just(0i64), 1 => 1..3i64], 1..100),
        cut in cut(),
        disorder in 0..60i64,
        most in 1..300i64,
    ) {
        let poisoned = rows.iter().zip(poison.iter().cycle());
        let rows: Vec<Row> =
            poisoned.map(|(row, p)| Row { at: row.at + p * 1_000_000, ..*row }).collect();
        let cut = Cut { lateness: cut.lateness.min(1_000), ..cut };
        let (before, ahead) = wary(&rows, disorder, most);
        let seen = Seen::<Result>::new();
        let watermarks = Watermarks::bounded_disorder(ns(disorder as u64));
        let outcome = world.run(|p| {
            let windows = p
                .source(world.source(p, &rows))
                .event_time(at, watermarks.clone().jump_at_most(ns(most as u64)))
                .key_by(|row| row.key)
                .window(window_of(cut))
                .allowed_lateness(ns(cut.lateness as u64))
                .aggregate(all());
            watch(windows, &seen, &world);
            Ok(())
        });
        let want = windows_under(rows.iter().copied().zip(before), cut);
        assert_same_by_key(&results(&seen), &want.fired);
        prop_assert_eq!(outcome.counters.get(Counter::Ahead), ahead);
        prop_assert_eq!(outcome.counters.get(Counter::Late), want.late.len() as u64);
    }
}
