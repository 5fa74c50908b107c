//! Process functions and expiring state allocate nothing once warm.

use std::rc::Rc;

use millstream::dataflow::{Fabric, build};
use millstream::metrics::Counter;
use millstream::operators::Order;
use millstream::time::ManualClock;
use millstream::{
    Config, KeyContext, Pipeline, Process, Result, Shard, Shards, SideOutput, Timer, Timestamp,
    Ttl, Watermarks, us,
};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Trade, calls, counted, step_all, trades};

/// One timer a record: set, cancelled by the next record, or fired.
struct Rearmed {
    side: SideOutput<u64>,
}

/// How often a key traded, and its timer.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Last {
    count: u64,
    alarm: Timestamp,
}

impl Process for Rearmed {
    type Key = u32;
    type In = Trade;
    type State = Last;
    type Out = (u32, u64);

    fn on_record(&mut self, trade: Trade, ctx: &mut KeyContext<'_, Self>) {
        let Last { count, alarm } = *ctx.state();
        ctx.cancel_timer(alarm);
        let alarm = ctx.at() + us(200);
        ctx.set_timer(alarm);
        ctx.set_timer(Timer::processing(ctx.now() + us(30)).tagged(1));
        *ctx.state() = Last { count: count + trade.qty, alarm };
        ctx.emit((ctx.key(), count));
        if trade.qty == 3 {
            ctx.emit_to(&self.side, count);
        }
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyContext<'_, Self>) {
        let count = ctx.get().map_or(0, |last| last.count);
        (0..2).for_each(|_| ctx.emit((timer.tag.into(), count)));
        if timer.tag == 0 {
            ctx.clear();
        }
    }
}

/// Numbers the trades of a key in the order of time.
struct Numbered;

impl Process for Numbered {
    type Key = u32;
    type In = Trade;
    type State = u64;
    type Out = u64;

    const ORDER: Order = Order::Time;

    fn on_record(&mut self, _: Trade, ctx: &mut KeyContext<'_, Self>) {
        *ctx.state() += 1;
        let count = *ctx.state();
        ctx.emit(count);
    }
}

fn everything(p: Pipeline<'_>) -> Result<()> {
    let timed = |rate| -> Result<_> {
        let source = p.source(trades(p, rate)?);
        Ok(source.event_time(|trade| Timestamp(trade.at), Watermarks::bounded_disorder(us(1))))
    };
    let (main, side) = timed(5e5)?.key_by(|trade| trade.symbol).process_with(|outputs| {
        let (side, threes) = outputs.side("threes");
        (Rearmed { side }, threes)
    });
    main.for_each(drop);
    side.for_each(drop);
    timed(5e5)?.key_by(|trade| trade.symbol).process(Numbered).for_each(drop);
    let keyed = timed(5e5)?.key_by(|trade| (trade.symbol, trade.qty));
    keyed.ttl(Ttl::of(us(500)).on_read()).deduplicate().for_each(drop);
    let keyed = timed(5e5)?.key_by(|trade| (trade.symbol, trade.qty));
    let sums = keyed.ttl(Ttl::of(us(500))).reduce(|sum, trade| sum.qty += trade.qty);
    sums.for_each(drop);
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
    step_all(&mut shards, 8_000, &mut now);
    let out = counted(&shards, Counter::RecordsOut);
    assert_eq!(calls(|| step_all(&mut shards, 8_000, &mut now)), 0, "on {count} shards");
    assert!(counted(&shards, Counter::RecordsOut) > out + 100_000, "much came out");
    assert_eq!(shards.iter().find_map(|shard| shard.failure().map(ToString::to_string)), None);
}

#[test]
fn process_functions_do_not_allocate() {
    check(1, Config::default());
    check(2, Config::default());
}
