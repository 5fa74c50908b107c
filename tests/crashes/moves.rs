//! Operators that keep more than a table by key, each of which goes on with another number of
//! shards after each crash.
//!
//! What is shown is of one type, and pipelines are built by plain functions: so the engine is
//! compiled once for all of them.

use millstream::io::Partitioned;
use millstream::lookup::Cache;
use millstream::operators::{HeapContext, ProcessHeap};
use millstream::table::Suppress;
use millstream::testing::{Attempt, ScriptedLookup};
use millstream::window::triggers;
use millstream::{Change, Changes, HotKeys, Record, Rolling, Timing, Versions};

use super::*;

/// Partitions of the input, whatever the number of shards.
const PARTITIONS: usize = 4;

/// As many shards as there may be at most: some of them read nothing.
const SHARDS_MAX: usize = 6;

/// What is shown of anything.
type Shown = (i64, i64, i64);

type Rows<'p> = Stream<'p, Edge<Row>>;

/// Those for which `is` says so, and the others.
fn split<'p>(rows: Rows<'p>, is: fn(&Row) -> bool) -> (Rows<'p>, Rows<'p>) {
    let (some, others) = rows.split(is);
    (some.boxed(), others)
}

type Build = for<'p> fn(Rows<'p>) -> Stream<'p, Edge<Shown>>;

/// What a pipeline shows, in an order of its own.
fn shown(
    world: &World,
    inputs: &[Vec<Row>],
    crashes: u32,
    build: Build,
) -> Vec<(Timestamp, Shown)> {
    let commits = MemoryCommits::new();
    let simulation = world.simulation().crashing(crashes).rescaling(SHARDS_MAX);
    let outcome = simulation.run(|p: Pipeline<'_>| {
        let read = |partition| Ok::<_, Error>(memory(&inputs[partition as usize]));
        let rows = p.source(Partitioned::new(PARTITIONS as u32, p.shard(), p.shards(), read)?);
        let rows = rows.event_time(at, disordered(DISORDER)).boxed();
        build(rows).sink(AtCheckpoint::new(commits.of(p.shard()), 100_000));
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    let mut all: Vec<_> = commits.records().into_iter().map(|r| (r.at, r.value)).collect();
    all.sort();
    all
}

/// Rows of which all of one key are in one partition: they come in one order.
fn in_order(rng: &mut Rng) -> Vec<Vec<Row>> {
    let mut inputs = inputs(rng, PARTITIONS);
    for (partition, rows) in inputs.iter_mut().enumerate() {
        rows.truncate(200);
        rows.iter_mut().for_each(|row| row.key = row.key * PARTITIONS as u64 + partition as u64);
    }
    inputs
}

fn moves(default: u64, build: Build) {
    each_seed(default, |seed| {
        let (world, mut rng) = (World::random(seed), Rng::with_seed(seed));
        let inputs = in_order(&mut rng);
        let want = shown(&world, &inputs, 0, build);
        let got = shown(&world, &inputs, rng.u32(1..6), build);
        assert!(!want.is_empty());
        // Thousands of results say less than the first that is another.
        let differs = got.iter().zip(&want).find(|(got, want)| got != want);
        assert_eq!((differs, got.len()), (None, want.len()));
    });
}

#[test]
fn windows_with_triggers_move() {
    moves(10, |rows| {
        let (some, others) = split(rows, |row| row.value % 2 == 0);
        let counts = some
            .key_by(|row| row.key)
            .window(Sliding::of(ns(60)).every(ns(30)))
            .trigger(triggers::count(4))
            .aggregate(count());
        let counts = counts.map(|it| (it.key as i64, it.span.start.0, it.value as i64));
        let sums = others
            .key_by(|row| row.key)
            .window(Tumbling::of(ns(50)))
            .trigger(triggers::count(5))
            .apply(|_, _, records| records.map(|it| it.value.value).sum::<i64>());
        let early = |timing| i64::from(timing != Timing::OnTime);
        counts.union(sums.map(move |it| (it.key as i64, early(it.timing), it.value))).boxed()
    });
}

#[test]
fn windows_by_time_or_count_move() {
    moves(10, |rows| {
        let (some, others) = split(rows, |row| row.value % 2 == 0);
        let sums = some
            .key_by(|row| row.key)
            .time_or_count(ns(70), 5)
            .aggregate((count(), sum(|row: &Row| row.value)));
        let sums = sums.map(|it| (it.key as i64, it.value.0 as i64, it.value.1));
        let firsts = others
            .key_by(|row| row.key)
            .time_or_count(ns(40), 3)
            .apply(|_, _, mut records| records.next().map_or(0, |it| it.value.value));
        sums.union(firsts.map(|it| (it.key as i64, -1, it.value))).boxed()
    });
}

#[test]
fn joins_as_of_times_and_in_windows_move() {
    moves(10, |rows| Meetings::build(rows).map(|(met, up, down)| (met.into(), up, down)).boxed());
}

#[test]
fn joins_that_look_ahead_and_around_move() {
    moves(10, |rows| {
        let (ahead, others) = split(rows, |row| row.key % 3 == 0);
        let (around, versions) = split(others, |row| row.key % 3 == 1);
        let [(a, b), (c, d), (e, f)] = [ahead, around, versions].map(|rows| {
            let (ups, downs) = split(rows, |row| row.value >= 0);
            (ups.key_by(|row| row.key), downs.key_by(|row| row.key))
        });
        let ahead = a.asof_join(b).forward().strict().tolerance(ns(30)).select_left(met);
        let around = c.window_around(d).between(before(ns(9)), after(ns(4))).prevailing();
        let around = around.apply(|up, downs| (1, up.value, downs.map(|down| down.value.at).sum()));
        let versions = e.temporal_join(f, |down| down.value % 5 == 0).select_left(met);
        ahead.union(around).union(versions)
    });
}

/// A row, and when the one that it has met was.
fn met(up: &Row, down: Option<&Row>) -> Shown {
    (0, up.value, down.map_or(-1, |down| down.at))
}

#[test]
fn windows_that_end_at_each_record_move() {
    moves(10, |rows| {
        let (some, others) = split(rows, |row| row.value % 2 == 0);
        let spans = some.key_by(|row| row.key).rolling(Rolling::of(ns(40)));
        let spans = spans.aggregate((count(), max(|row: &Row| row.value)));
        let spans = spans.map(|it| (it.key as i64, it.value.0 as i64, it.value.1));
        let lasts = others.key_by(|row| row.key).rolling(Rolling::last(5));
        let lasts = lasts.aggregate((count(), sum(|row: &Row| row.value)));
        spans.union(lasts.map(|it| (it.key as i64, it.value.0 as i64, it.value.1)))
    });
}

#[test]
fn sliding_windows_by_count_move() {
    moves(10, |rows| {
        let (some, others) = split(rows, |row| row.value % 2 == 0);
        let most = some.key_by(|row| row.key).count_window(11).every(2).emit_incomplete();
        let most =
            most.aggregate(max(|row: &Row| row.value)).map(|it| (it.key as i64, 0, it.value));
        let sums = others.key_by(|row| row.key).count_window(7).every(3);
        let sums = sums.aggregate(sum(|row: &Row| row.value));
        most.union(sums.map(|it| (it.key as i64, 1, it.value)))
    });
}

/// The values of each key since it was last shown, in the order of time.
struct Lately;

impl ProcessHeap for Lately {
    type Key = u64;
    type In = Row;
    type State = Vec<i64>;
    type Out = Shown;

    const ORDER: Order = Order::Time;

    fn on_record(&mut self, row: Row, ctx: &mut HeapContext<'_, '_, Self>) {
        ctx.state().push(row.value);
        if ctx.state().len() == 1 {
            ctx.set_timer(Timestamp(row.at + 40));
        }
    }

    fn on_timer(&mut self, _: Timer, ctx: &mut HeapContext<'_, '_, Self>) {
        let values = ctx.clear().unwrap_or_default();
        let mixed = values.iter().fold(0, |mixed, value| (mixed * 31 + value) % 1_000_003);
        let key = ctx.key() as i64;
        ctx.emit((key, values.len() as i64, mixed));
    }
}

#[test]
fn state_on_the_heap_moves() {
    moves(10, |rows| rows.key_by(|row| row.key).process_heap(Lately).boxed());
}

/// What a table has come to, since what it is on its way there depends on which shard is first.
struct Finally;

impl Process for Finally {
    type Key = (i64, i64);
    type In = (Self::Key, Option<i64>);
    type State = Option<i64>;
    type Out = Shown;

    fn on_record(&mut self, (_, row): Self::In, ctx: &mut KeyContext<'_, Self>) {
        *ctx.state() = row;
        ctx.set_timer(Timestamp::MAX);
    }

    fn on_timer(&mut self, _: Timer, ctx: &mut KeyContext<'_, Self>) {
        if let Some(row) = *ctx.state() {
            ctx.emit((ctx.key().0, ctx.key().1, row));
        }
    }
}

type RowsOf<'p> = Changes<'p, (i64, i64), i64, Edge<((i64, i64), Change<i64>)>>;

fn finally(tables: RowsOf<'_>) -> Stream<'_, Edge<Shown>> {
    tables.to_stream().key_by(|row| row.0).process(Finally).boxed()
}

/// The last row of each key, if its value is no multiple of 7.
fn table(rows: Rows<'_>) -> Changes<'_, u64, Row, Edge<(u64, Change<Row>)>> {
    rows.key_by(|row| row.key).table(|row| (row.value % 7 != 0).then_some(*row)).boxed()
}

#[test]
fn tables_and_what_is_held_back_of_them_move() {
    moves(10, |rows| {
        let (some, others) = split(rows, |row| row.value % 2 == 0);
        let calm = table(some).suppress(Suppress::after(ns(35))).to_changes();
        let value = |row: Option<&Row>| row.map_or(-1, |row| row.value);
        let calm = calm.map(move |(_, change)| (0, value(change.before()), value(change.after())));
        let newest = Versions::by_event_time().expiring(ns(30));
        let newest = others.key_by(|row| row.key).table_of(newest, |row| Some(row.value));
        let newest = newest.to_stream().map(|(key, row)| (1, key as i64, row.unwrap_or(-1)));
        calm.union(newest)
    });
}

#[test]
fn groups_of_rows_move() {
    moves(10, |rows| {
        let (some, others) = split(rows, |row| row.value % 2 == 0);
        let (tops, others) = split(others, |row| row.value % 3 == 0);
        // Sums of floats cannot deduct: all rows are kept.
        let sums = table(some).group_by(|key, _| (0, *key as i64 % 3));
        let sums = sums.aggregate(sum(|row: &Row| row.value as f64));
        let sums = sums.map_values(|_, sum| *sum as i64).boxed();
        let kinds = table(others).distinct(|_, row| (1, row.value % 10)).map_values(|_, ()| 1);
        let tops = table(tops).group_by(|key, _| key % 5).top_n(3, |_, row| row.value);
        let tops = tops
            .to_stream()
            .map(|((group, key), row)| ((2 + group as i64, key as i64), row.map(|row| row.value)));
        let tops = tops.key_by(|row| row.0).table(|row| row.1);
        finally(sums).union(finally(kinds.boxed())).union(finally(tops.boxed()))
    });
}

#[test]
fn tables_that_are_joined_move() {
    moves(10, |rows| {
        let (some, others) = split(rows, |row| row.key % 2 == 0);
        let (a, b) = split(some, |row| row.value % 3 > 0);
        let (c, d) = split(others, |row| row.at < 200);
        let both = table(a).join(table(b));
        let both = both.select_full(|a, b| {
            let value = |row: Option<&Row>| row.map_or(0, |row| row.value);
            1_000 * value(a) + value(b)
        });
        // Rows that stay name rows of a few other keys, which change for as long as there are any.
        let named = d.key_by(|row| row.key % 8).table(|row| Some(row.value));
        let met = table(c).join_foreign(named, |_, row| Some(row.value.unsigned_abs() % 8));
        let met = met.select_left(|row, named| 1_000 * row.value + named.unwrap_or(&0));
        let all = both.to_stream().union(met.to_stream()).map(|(key, row)| ((0, key as i64), row));
        all.key_by(|row| row.0).process(Finally).boxed()
    });
}

/// Records of each key come from all partitions, and are aggregated before they meet.
#[test]
fn windows_that_are_aggregated_where_records_come_move() {
    moves(10, |rows| {
        let (some, others) = split(rows, |row| row.value % 2 == 0);
        let aggregate = || (count(), sum(|row: &Row| row.value));
        let all = some.key_by(|row| row.key / 4).window(Sliding::of(ns(60)).every(ns(20)));
        let all = all.precombine().aggregate(aggregate());
        let all = all.map(|it| (it.key as i64, it.value.0 as i64, it.value.1));
        let hot = others.key_by(|row| row.key / 4).window(Tumbling::of(ns(80)));
        let hot = hot.split_hot_keys(HotKeys::above(0.2).sample_every(1).decide_after(10));
        let hot = hot.aggregate(aggregate());
        all.union(hot.map(|it| (-1 - it.key as i64, it.value.0 as i64, it.value.1)))
    });
}

#[test]
fn lookups_and_batches_move() {
    moves(10, |rows| {
        let (some, others) = split(rows, |row| row.value % 2 == 0);
        let mut rng = Rng::with_seed(7);
        let double = move |key: &u64, _| Attempt::Answers(rng.u64(..40_000), Some(key * 2));
        let found = some
            .key_by(|row| row.key)
            .lookup(ScriptedLookup::new(double), |row| row.key)
            .cache(Cache::of(9, millstream::us(200)))
            .left();
        let found =
            found.map(|(row, found)| (row.key as i64, row.value, found.map_or(0, |n| n as i64)));
        let batches = others.batch(7, millstream::us(30)).append();
        let batches = batches.flat_map(|batch| {
            let shown = |row: &Record<Row>| (row.value.key as i64, row.at.0, row.value.value);
            batch.iter().map(shown).collect::<Vec<_>>()
        });
        // A batch has the time of its latest record, whichever that is.
        found.union(batches.key_by(|row| row.0).process(Each)).boxed()
    });
}

/// Each with its own time.
struct Each;

impl Process for Each {
    type Key = i64;
    type In = Shown;
    type State = ();
    type Out = Shown;

    fn on_record(&mut self, row: Shown, ctx: &mut KeyContext<'_, Self>) {
        ctx.emit_at(Timestamp(row.1), row);
    }
}

/// Each shard finds the row of whatever key in its own copy of the table, and after a crash in the
/// copy that it has taken over: what is written there comes at the beginning, and only then.
#[test]
fn tables_that_all_shards_have_move() {
    each_seed(20, |seed| {
        let world = World { batch: 1, ..World::random(seed) };
        let mut rng = Rng::with_seed(seed);
        let inputs = in_order(&mut rng);
        let got = shown(&world, &inputs, rng.u32(0..6), |rows| {
            let (first, others) = split(rows, |row| row.at < 60);
            let table = first.global_table(|row| row.value % 2, |row| Some(row.key));
            let join = others.join_global(table, |row| row.value % 2);
            join.select_left(|row, found| (row.at, row.value, found.is_some().into())).boxed()
        });
        assert_eq!(got.len(), inputs.iter().flatten().filter(|row| row.at >= 60).count());
        let lost = got.iter().find(|(_, (at, _, found))| *at > 300 && *found == 0);
        assert_eq!(lost, None);
    });
}
