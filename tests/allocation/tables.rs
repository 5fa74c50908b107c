//! Tables and what is made of their changes allocate nothing once warm.

use std::rc::Rc;
use std::sync::Arc;

use millstream::aggregates::{count, max, sum};
use millstream::dataflow::{Fabric, build};
use millstream::metrics::Counter;
use millstream::table::{Suppress, View, WhenFull};
use millstream::time::ManualClock;
use millstream::{
    Config, Pipeline, Result, Shard, Shards, Timestamp, Tumbling, Versions, Watermarks, us,
};

use super::{Trade, calls, counted, step_all, trades};

/// What of a trade is a row: some are tombstones.
fn row(trade: &Trade) -> Option<u64> {
    (trade.qty > 2).then_some(trade.qty)
}

fn everything(p: Pipeline<'_>) -> Result<()> {
    let keyed = || -> Result<_> {
        let source = p.source(trades(p, 5e5)?);
        let timed =
            source.event_time(|trade| Timestamp(trade.at), Watermarks::bounded_disorder(us(1)));
        Ok(timed.key_by(|trade| trade.symbol))
    };
    let table = keyed()?.table(row).filter(|_, qty| qty % 5 > 0).map_values(|_, qty| qty / 2);
    table.to_stream().for_each(drop);
    let versions = Versions::by_event_time().expiring(us(500));
    keyed()?.table_of(versions, row).to_changes().for_each(drop);
    let table = || keyed().map(|keyed| keyed.table(row));
    let groups = table()?.group_by(|_, qty| *qty);
    groups.aggregate((count(), sum(|qty: &u64| *qty))).to_changes().for_each(drop);
    let groups = table()?.group_by(|_, qty| *qty % 3);
    groups.aggregate(max(|qty: &u64| *qty)).to_changes().for_each(drop);
    let groups = table()?.group_by(|symbol, _| *symbol % 7);
    groups.top_n(5, |_, qty| *qty).to_changes().for_each(drop);
    table()?.distinct(|symbol, qty| (*symbol % 5, *qty)).to_changes().for_each(drop);
    table()?.view(&View::new()).to_changes().for_each(drop);
    table()?.suppress(Suppress::after(us(70))).to_changes().for_each(drop);
    let calm = Suppress::after(us(70)).processing_time().at_most(50, WhenFull::EmitEarly);
    table()?.suppress(calm).to_changes().for_each(drop);
    let join = table()?.join(table()?.filter(|_, qty| qty % 3 > 0));
    join.select_full(|l, r| (l.copied(), r.copied())).to_changes().for_each(drop);
    let join = table()?.join_foreign(table()?, |symbol, qty| Some(symbol / 2 + *qty as u32 % 2));
    join.select_left(|l, r| (*l, r.copied())).to_changes().for_each(drop);
    let names = p.source(trades(p, 5e5)?).global_table(|trade| trade.symbol, row);
    let asks = p.source(trades(p, 5e5)?).join_global(names, |trade| trade.symbol);
    asks.select(|trade, qty| trade.qty + qty).for_each(drop);
    keyed()?.join_table(table()?).select(|trade, qty| trade.qty + qty).for_each(drop);
    let windows = keyed()?.window(Tumbling::of(us(50))).allowed_lateness(us(50));
    windows.aggregate(count()).until_closed(us(50)).for_each(drop);
    Ok(())
}

fn check(count: usize, config: Config) {
    let config = Arc::new(Config { shards: Shards::Count(count), ..config });
    let fabric = Arc::new(Fabric::new(count));
    let mut shards: Vec<Shard> = (0..count)
        .map(|index| {
            let (built, ()) = build(index, &config, &fabric, everything).expect("it builds");
            Shard::new(built, Rc::new(ManualClock::default()))
        })
        .collect();
    let mut now = Timestamp(0);
    step_all(&mut shards, 3_000, &mut now);
    let out = counted(&shards, Counter::RecordsOut);
    assert_eq!(calls(|| step_all(&mut shards, 3_000, &mut now)), 0, "on {count} shards");
    assert!(counted(&shards, Counter::RecordsOut) > out + 10_000, "much came out");
    assert_eq!(shards.iter().find_map(|shard| shard.failure().map(ToString::to_string)), None);
}

#[test]
fn tables_do_not_allocate() {
    check(1, Config::default());
}

#[test]
fn tables_of_two_shards_do_not_allocate() {
    check(2, Config::default());
}

#[test]
fn an_answer_does_not_allocate() {
    let view = View::new();
    let (mut shard, mut input) = Shard::embed(Config::embedded(), |p| {
        let (input, rows) = p.input::<u64>();
        rows.key_by(|n| n % 500).table(|n| Some(*n)).view(&view).to_stream().for_each(drop);
        Ok(input)
    })
    .expect("it can be built");
    let mut found = 0;
    for n in 0..2_000u64 {
        input.push(Timestamp(n as i64), n).expect("there is room");
        let mut asked = view.range(n % 500.., 1_000).expect("it is open");
        let in_steps = calls(|| (0..8).for_each(|_| _ = shard.step(Timestamp(n as i64))));
        assert!(n < 1_000 || in_steps == 0, "{n}: {in_steps}");
        found += asked.poll().expect("it is open").map_or(0, |answer| answer.rows().len());
    }
    assert!(found > 100_000, "{found}");
}
