//! Windows with triggers after warm-up: early, on time, late, by the clock, with records kept.

use millstream::aggregates::{count, sum};
use millstream::metrics::Counter;
use millstream::window::{evictors, triggers};
use millstream::{Config, Shard, Sliding, Timestamp, Tumbling, Watermarks, ms, us};

use super::{Trade, calls, trades};

#[test]
fn triggers_and_evictors_do_not_allocate() {
    let (mut shard, ()) = Shard::embed(Config::embedded(), |p| {
        let timed = |rate| {
            let source = p.source(trades(p, rate)?);
            let watermarks = Watermarks::bounded_disorder(us(20));
            Ok::<_, millstream::Error>(source.event_time(|t: &Trade| Timestamp(t.at), watermarks))
        };
        let early = triggers::any(triggers::count(3), triggers::silence(us(700)));
        let windows = timed(1e6)?.key_by(|trade| trade.symbol).window(Tumbling::of(ms(2)));
        let windows = windows.trigger(triggers::event_time().early(early)).allowed_lateness(ms(1));
        let (results, late) = windows.aggregate_with_late((count(), sum(|t: &Trade| t.qty)));
        results.for_each(drop);
        late.for_each(drop);
        let keyed = timed(1e6)?.key_by(|trade| trade.symbol % 40);
        let windows = keyed.window(Sliding::of(ms(1)).every(us(250)));
        let windows = windows.trigger(triggers::every(us(300))).evict(evictors::count(9));
        windows.apply(|_, _, records| records.map(|r| r.value.qty).max()).for_each(drop);
        let global = timed(1e6)?.key_by(|trade| trade.symbol).global_window();
        let global = global.trigger(triggers::purging(triggers::count(20)));
        global.apply(|_, _, records| records.len()).for_each(drop);
        Ok(())
    })
    .expect("it builds");
    let mut now = 0;
    let mut run = |steps: i64| {
        for _ in 0..steps {
            now += 10_000;
            shard.step(Timestamp(now));
        }
        [Counter::WindowsFired, Counter::Late].map(|counter| shard.counters().get(counter))
    };
    let warm = run(8_000);
    let mut after = warm;
    assert_eq!(calls(|| after = run(6_000)), 0);
    assert!(after[0] > warm[0] + 10_000, "windows did fire: {warm:?}, {after:?}");
    assert!(after[1] > warm[1] + 500, "records were late: {warm:?}, {after:?}");
    assert!(shard.failure().is_none());
}
