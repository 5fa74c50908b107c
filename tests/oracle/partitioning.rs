//! Ways of spreading records over shards: which shard got what, in which order, and under which
//! watermarks.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use millstream::dataflow::Edge;
use millstream::metrics::Counter;
use millstream::{Pipeline, Simulation, Stage, Stream, ns};
use proptest::prelude::*;

use crate::support::model::{disorder_of, grouped, sorted, watermarks, windows, windows_under};
use crate::support::world::{
    all, at, disordered, memory, results, values, window_of, without_order,
};
use crate::support::{Cut, Fired, Open, Row, Seen, World, watch};
use crate::{Result, by_time, cases, cut, on_time, rows, timed};

/// How records are spread.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Broadcast,
    Rebalance,
    Global,
    Shuffle,
    LocalOrShuffle,
    Custom,
    Direct,
    PartialKey,
}

impl Way {
    const ALL: [Self; 8] = [
        Self::Broadcast,
        Self::Rebalance,
        Self::Global,
        Self::Shuffle,
        Self::LocalOrShuffle,
        Self::Custom,
        Self::Direct,
        Self::PartialKey,
    ];

    fn any() -> impl Strategy<Value = Self> {
        prop::sample::select(&Self::ALL[..])
    }

    fn spread<'p>(
        self,
        stream: Stream<'p, impl Stage<Out = Row>>,
        shards: usize,
    ) -> Stream<'p, Edge<Row>> {
        match self {
            Self::Broadcast => stream.broadcast(),
            Self::Rebalance => stream.rebalance(),
            Self::Global => stream.global(),
            Self::Shuffle => stream.shuffle(),
            Self::LocalOrShuffle => stream.local_or_shuffle(),
            Self::Custom => stream.partition_custom(chosen),
            Self::Direct => stream.map(move |row| (chosen(&row, shards), row)).direct().boxed(),
            Self::PartialKey => {
                let newest = stream.partial_key_by(|row| row.key).reduce(|old, new| *old = new);
                newest.map(|(_, row)| row).boxed()
            }
        }
    }

    /// Which of so many shards get a row, the `n`th of shard `from`, if that is fixed.
    fn fixed(self, row: &Row, (from, n): (usize, usize), shards: usize) -> Option<Vec<usize>> {
        match self {
            Self::Broadcast => Some((0..shards).collect()),
            Self::Rebalance => Some(vec![(from + n) % shards]),
            Self::Global => Some(vec![0]),
            Self::Custom | Self::Direct => Some(vec![chosen(row, shards)]),
            Self::Shuffle | Self::LocalOrShuffle | Self::PartialKey => None,
        }
    }
}

fn chosen(row: &Row, shards: usize) -> usize {
    (row.key as usize * 7 + 1) % shards
}

/// One probe for each shard.
type Shards<T> = Vec<Rc<RefCell<Seen<T>>>>;

fn shards<T>(world: &World) -> Shards<T> {
    (0..world.shards).map(|_| Seen::new()).collect()
}

/// Rows whose value is their number.
fn numbered(rows: Vec<Row>) -> Vec<Row> {
    (0..).zip(rows).map(|(n, row)| Row { value: n, ..row }).collect()
}

/// Windows on each shard over the rows that it got of one source, and those rows in their order.
fn windows_of_shards(
    world: &World,
    way: Way,
    rows: &[Row],
    cut: Cut,
    disorder: i64,
) -> (Vec<Vec<Row>>, Shards<Result>) {
    let windows = shards::<Result>(world);
    let got: Vec<_> = windows.iter().map(|_| Rc::new(RefCell::new(Vec::new()))).collect();
    world.run(|p| {
        let here = got[p.shard()].clone();
        here.borrow_mut().clear();
        let spread = way.spread(timed(p, world, rows, disorder), p.shards());
        let spread = spread.inspect(move |record| here.borrow_mut().push(record.value));
        let keyed = spread.partitioned_by(|row| row.key).window(window_of(cut));
        let fired = keyed.allowed_lateness(ns(cut.lateness as u64)).aggregate(all());
        watch(fired, &windows[p.shard()], world);
        Ok(())
    });
    (got.iter().map(|rows| rows.borrow().clone()).collect(), windows)
}

proptest! {
    #![proptest_config(cases(250))]

    /// One source: who gets what where that is fixed, and each row once where it is not; in order;
    /// and on each shard the windows over its rows, late ones too, are those that the watermarks of
    /// the source make.
    #[test]
    fn each_shard_gets_its_share_and_its_watermarks(
        world in World::any(),
        way in Way::any(),
        rows in rows(80).prop_map(numbered),
        cut in cut(),
        disorder in 0..60i64,
    ) {
        let (got, fired) = windows_of_shards(&world, way, &rows, cut, disorder);
        for (n, row) in rows.iter().enumerate() {
            let has = |shard: &usize| got[*shard].contains(row);
            let shards: Vec<_> = (0..world.shards).filter(has).collect();
            match way.fixed(row, (world.home, n), world.shards) {
                Some(want) => prop_assert_eq!(shards, want, "{:?}", row),
                None => prop_assert_eq!(shards.len(), 1, "{:?} comes once", row),
            }
        }
        let before = watermarks(&rows, disorder);
        for (got, fired) in got.iter().zip(&fired) {
            prop_assert!(got.is_sorted_by(|a, b| a.value < b.value), "in order, and none twice");
            let with = got.iter().map(|row| (*row, before[row.value as usize]));
            let want = windows_under(with, cut).fired;
            prop_assert_eq!(grouped(&results(fired), |r| r.key), grouped(&want, |r| r.key));
        }
    }

    /// All shards send: none is lost, none comes twice, what goes from one shard to another is in
    /// order, and the same seed gives the same bytes.
    #[test]
    fn every_shard_spreads(
        world in World::any(),
        way in Way::any(),
        parts in prop::collection::vec(rows(30).prop_map(numbered), 5),
    ) {
        let parts = &parts[..world.shards];
        let run = || {
            let seen = shards::<Row>(&world);
            world.run(|p: Pipeline<'_>| {
                let from = p.shard();
                let source = p.source(memory(&parts[from])).event_time(at, disordered(60));
                // The number tells where it came from, too.
                let tagged = move |row: Row| Row { value: row.value * 8 + from as i64, ..row };
                let source = source.map(tagged);
                watch(way.spread(source, p.shards()), &seen[from], &world);
                Ok(())
            });
            seen.iter().map(values).collect::<Vec<_>>()
        };
        let got = run();
        prop_assert_eq!(&run(), &got, "it replays");
        let each = |(from, part): (usize, &Vec<Row>)| {
            let sent = |row: &Row| Row { value: row.value * 8 + from as i64, ..*row };
            part.iter().map(sent).collect::<Vec<_>>()
        };
        let sent: Vec<Row> = parts.iter().enumerate().flat_map(each).collect();
        let copies = if way == Way::Broadcast { world.shards } else { 1 };
        prop_assert_eq!(sorted(&got.concat()), sorted(&vec![sent; copies].concat()));
        for got in got {
            let from = grouped(&got, |row| row.value as u64 % 8);
            prop_assert!(from.values().all(|rows| rows.is_sorted_by(|a, b| a.value < b.value)));
        }
    }

    /// A key has two shards at most, and each of its records goes to the one with fewer so far.
    #[test]
    fn two_choices_take_the_lesser(world in World::any(), rows in rows(150).prop_map(numbered)) {
        let cut = Cut::tumbling(1_000);
        let (got, _) = windows_of_shards(&world, Way::PartialKey, &rows, cut, 0);
        let home = |row: &Row| got.iter().position(|rows| rows.contains(row)).expect("it came");
        let homes = rows.iter().map(|row| (row.key, home(row)));
        let mut choices: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
        homes.clone().for_each(|(key, shard)| _ = choices.entry(key).or_default().insert(shard));
        prop_assert!(choices.values().all(|shards| shards.len() <= 2));
        let mut sent = vec![0u32; world.shards];
        for (key, shard) in homes {
            prop_assert!(choices[&key].iter().all(|other| sent[shard] <= sent[*other]));
            sent[shard] += 1;
        }
    }

    /// The two stages together: partial windows on two shards, combined by the owner of the key.
    #[test]
    fn shared_keys_are_combined(
        world in World::any(),
        parts in prop::collection::vec(rows(50), 5),
        cut in cut().prop_map(on_time),
    ) {
        let parts = &parts[..world.shards];
        let disorder = parts.iter().map(|part| disorder_of(part)).max().unwrap_or(0);
        let seen = Seen::<Result>::new();
        let outcome = world.run(|p| {
            let source = p.source(memory(&parts[p.shard()])).event_time(at, disordered(disorder));
            let keyed = source.partial_key_by(|row| row.key);
            let windows = keyed.window(window_of(cut)).precombine().aggregate(all());
            watch(windows.map(without_order), &seen, &world);
            Ok(())
        });
        prop_assert_eq!(outcome.counters.get(Counter::Late), 0);
        let want = windows(&by_time(parts), cut, 0).fired.into_iter().map(Fired::without_order);
        prop_assert_eq!(sorted(&results(&seen)), sorted(&want.collect::<Vec<_>>()));
    }
}

fn ticks(count: i64) -> Vec<Row> {
    (0..count).map(|n| Row { at: n, key: 0, value: n }).collect()
}

/// One key with all the records: two shards have half of them each.
#[test]
fn a_hot_key_is_halved() {
    for seed in 0..20 {
        let world = World { shards: 5, home: 0, ..World::random(seed) };
        let cut = Cut::tumbling(10);
        let (got, _) = windows_of_shards(&world, Way::PartialKey, &ticks(100), cut, 0);
        let shares: Vec<_> = got.iter().map(Vec::len).filter(|share| *share > 0).collect();
        assert_eq!(shares, [50, 50]);
    }
}

/// What a slow shard does not take goes to others, and not a record more.
#[test]
fn records_leave_a_shard_that_does_not_keep_up() {
    for (way, slow_share) in [(Way::Shuffle, 0..450), (Way::LocalOrShuffle, 300..950)] {
        let mut total = 0;
        for seed in 0..10 {
            let home = seed as usize % 3;
            let small = World { shards: 3, home, seed, ring: 8, batch: 4, ..World::random(seed) };
            let seen = shards::<Row>(&small);
            small.run(|p| {
                let here = p.shard();
                let open = if here == home { Open::Sometimes } else { Open::Always };
                let spread = way.spread(timed(p, &small, &ticks(1_000), 0), 3);
                watch(spread, &seen[here], &World { open, ..small.clone() });
                Ok(())
            });
            let counts: Vec<_> = seen.iter().map(|seen| values(seen).len()).collect();
            assert_eq!(counts.iter().sum::<usize>(), 1_000);
            assert!(counts.iter().all(|count| *count > 0), "{way:?} {counts:?}");
            total += counts[home];
        }
        assert!(slow_share.contains(&(total / 10)), "{way:?}: {} of 1000", total / 10);
    }
}

/// An answer out of range is an error that names the step and the answer.
#[test]
fn a_shard_that_there_is_not() {
    let refusal = |build: fn(Pipeline<'_>)| {
        let outcome = Simulation::new(2, 0).run(|p| {
            build(p);
            Ok(())
        });
        outcome.err().map(|error| error.to_string())
    };
    let custom = refusal(|p| {
        let source = p.source(memory(&ticks(9)));
        source.partition_custom(|row, shards| (row.value / 8) as usize * shards).for_each(drop);
    });
    let golden = "`partition_custom` sends a record to shard 2, and there are 2, counted from 0";
    assert_eq!(custom.as_deref(), Some(golden));
    let direct = refusal(|p| {
        p.source(memory(&ticks(9))).map(|row| (row.value as usize, row)).direct().for_each(drop);
    });
    let golden = "`direct` sends a record to shard 2, and there are 2, counted from 0";
    assert_eq!(direct.as_deref(), Some(golden));
}

/// The plan says how records are spread.
#[test]
fn the_plan_names_the_ways() {
    let world = World { shards: 2, ..World::random(0) };
    let names = Way::ALL.map(|way| {
        let outcome = world.run(|p| {
            way.spread(p.source(memory(&[])), 2).for_each(drop);
            Ok(())
        });
        let plan = outcome.plan.to_string();
        let name = |line: &str| line.trim_start_matches(|c: char| !c.is_alphabetic()).to_owned();
        plan.lines().map(name).collect::<Vec<_>>().join(", ")
    });
    println!("{names:#?}");
    let wanted = [
        "broadcast",
        "rebalance",
        "global (all to shard 0)",
        "shuffle",
        "local_or_shuffle",
        "partition_custom",
        "direct",
        "partial_key_by",
    ];
    for (plan, name) in names.iter().zip(wanted) {
        assert!(plan.contains(name), "{plan}");
    }
}
