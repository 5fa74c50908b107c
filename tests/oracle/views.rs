//! Tables read while the pipeline runs, against plain maps: each answer is the model's table as of
//! the watermark that the answer states.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

use fastrand::Rng;
use millstream::error::QueryError;
use millstream::state::{hash, key_group, owner};
use millstream::table::{Asked, Part, View};
use proptest::prelude::*;

use super::support::model::{Row, watermarks};
use super::support::tables::{BY_ARRIVAL, folded, upsert};
use super::support::{Seen, World, watch};
use super::{cases, rows, timed};

/// A question, and what was heard of it.
struct Question {
    keys: (Bound<u64>, Bound<u64>),
    rows_max: usize,
    asked: Asked<u64, i64>,
}

type Questions = Rc<RefCell<Vec<Question>>>;

/// Asks for something at random, most often for a row that has just come.
fn ask(view: &View<u64, i64>, key: u64, rng: &mut Rng, into: &Questions) {
    let other = if rng.bool() { key } else { rng.u64(..60) };
    let (low, high) = (key.min(other), key.max(other));
    let keys = match rng.u8(..4) {
        0 => (Bound::Unbounded, Bound::Unbounded),
        1 => (Bound::Included(low), Bound::Excluded(high)),
        2 => (Bound::Excluded(low), Bound::Included(high)),
        _ => (Bound::Included(key), Bound::Included(key)),
    };
    let is_key = keys == (Bound::Included(key), Bound::Included(key)) && rng.bool();
    let rows_max = if is_key { 1 } else { [1, 3, 100][rng.usize(..3)] };
    let asked = if is_key { view.key(key) } else { view.range(keys, rows_max) };
    match asked {
        Ok(asked) => into.borrow_mut().push(Question { keys, rows_max, asked }),
        // Closed: the input of a shard that was asked has ended.
        Err(error) => assert!([QueryError::Full, QueryError::Closed].contains(&error)),
    }
}

/// Each row of the table with the times from which on it is shown, in the order of arrival.
type History = BTreeMap<u64, Vec<(i64, Option<i64>)>>;

fn history(rows: &[Row], disorder: i64) -> History {
    let mut history = History::new();
    for (row, watermark) in rows.iter().zip(watermarks(rows, disorder)) {
        let of_key = history.entry(row.key).or_default();
        let new = upsert(row);
        if of_key.last().and_then(|last| last.1) == new {
            continue;
        }
        let before = of_key.last().map_or(i64::MIN, |last| last.0);
        of_key.push((row.at.max(watermark).max(before), new));
    }
    history
}

/// The rows of a shard as of a watermark.
fn rows_at(history: &History, world: &World, part: &Part<u64, i64>) -> Vec<(u64, i64)> {
    let is_shown = |from: i64| from < part.as_of.0 || part.as_of.0 == i64::MAX;
    let is_here =
        |key: u64| owner(key_group(hash(key, world.hash_seed)), world.shards) == part.shard;
    let row = |(key, all): (&u64, &Vec<(i64, Option<i64>)>)| {
        let shown = all.iter().rev().find(|(from, _)| is_shown(*from))?;
        shown.1.filter(|_| is_here(*key)).map(|row| (*key, row))
    };
    history.iter().filter_map(row).collect()
}

fn check(question: &mut Question, history: &History, world: &World) -> usize {
    let answer = match question.asked.poll() {
        Ok(answer) => answer.expect("nothing waits when all is over"),
        // It was asked when the pipeline was as good as over.
        Err(error) => {
            assert_eq!(error, QueryError::Closed);
            return 0;
        }
    };
    for part in answer.parts() {
        let rows = rows_at(history, world, part).into_iter();
        let mut want: Vec<_> =
            rows.filter(|row| std::ops::RangeBounds::contains(&question.keys, &row.0)).collect();
        assert_eq!(part.is_whole, want.len() <= question.rows_max, "{part:?} of {want:?}");
        want.truncate(question.rows_max);
        assert_eq!(part.rows, want, "{part:?} for {:?}", question.keys);
    }
    let least = answer.parts().iter().map(|part| part.as_of).min();
    assert_eq!(Some(answer.as_of()), least);
    answer.rows().len()
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn answers_are_the_table_as_of_their_watermark(
        world in World::any(),
        rows in rows(150),
        disorder in 0..60i64,
        seed in any::<u64>(),
    ) {
        let (view, questions) = (View::new(), Questions::default());
        let seen = Seen::new();
        world.run(|p| {
            let (view, questions) = (view.clone(), questions.clone());
            let mut rng = Rng::with_seed(seed ^ p.shard() as u64);
            let table = timed(p, &world, &rows, disorder).key_by(|row| row.key).table(upsert);
            let shown = table.view(&view).to_changes().inspect(move |record| {
                if rng.u8(..3) == 0 {
                    ask(&view, record.value.0, &mut rng, &questions);
                }
            });
            watch(shown, &seen, &world);
            Ok(())
        });
        // The changes went on as they came.
        let want = folded(rows.iter().copied().zip(watermarks(&rows, disorder)), BY_ARRIVAL).0;
        prop_assert_eq!(seen.borrow().records.len(), want.len());
        let history = history(&rows, disorder);
        for question in questions.borrow_mut().iter_mut() {
            check(question, &history, &world);
        }
        prop_assert_eq!(view.range(.., 9).map(drop), Err(QueryError::Closed));
    }
}

/// Questions are answered with something, and while there is still something to come.
#[test]
fn answers_come_while_the_pipeline_runs() {
    let row = |n: i64| Row { at: n, key: (n * n) as u64 % 40, value: n + 5 };
    let rows: Vec<_> = (0..3_000).map(row).collect();
    let (mut found, mut early) = (0, 0);
    for seed in 0..20 {
        let world = World { batch: 7, ring: 7, fire: 3, ..World::random(seed) };
        let (view, questions) = (View::new(), Questions::default());
        world.run(|p| {
            let (view, questions) = (view.clone(), questions.clone());
            let mut rng = Rng::with_seed(seed);
            let table = timed(p, &world, &rows, 0).key_by(|row| row.key).table(upsert);
            table.view(&view).to_stream().for_each(move |record| {
                if rng.u8(..20) == 0 {
                    ask(&view, record.value.0, &mut rng, &questions);
                }
            });
            Ok(())
        });
        let history = history(&rows, 0);
        for question in questions.borrow_mut().iter_mut() {
            found += check(question, &history, &world);
            let answer = question.asked.poll().ok().flatten();
            early += usize::from(answer.is_some_and(|answer| answer.as_of().0 < 2_900));
        }
    }
    assert!(found > 2_000 && early > 500, "{found} rows in answers, {early} early ones");
}
