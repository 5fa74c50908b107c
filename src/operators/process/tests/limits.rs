//! Limits are settings of the run that there is: what was saved under others is held to them.

use std::ops::Range;

use super::*;
use crate::dataflow::Saved;
use crate::io::{Polled, Source};
use crate::shard::Snapshot;
use crate::state::Rescale;

fn with(timers_max: usize) -> Config {
    Config { timers_max, ..Config::embedded() }
}

/// Of nine keys, each with a record that sets one timer, or waits.
fn saved<P: Process<Key = u64, In = u64>>(config: Config, process: P) -> Snapshot {
    let (mut shard, mut input, _) = embed(config, process);
    feed(&mut shard, &mut input, (0..9).map(|n| (0, n)));
    shard.snapshot().expect("it is at rest")
}

/// What happens to so many more keys.
fn more(shard: &mut Shard, input: &mut Input<u64>, count: u64) -> String {
    feed(shard, input, (1_000..1_000 + count).map(|n| (0, n)));
    failure(shard)
}

/// What may be there of is limited by who restores it, upwards and downwards.
fn holds_to_its_own_limit<P: Process<Key = u64, In = u64>>(process: fn() -> P, what: &str) {
    let snapshot = saved(with(10), process());
    for (limit, room) in [(10, 1), (20, 11), (9, 0), (5, 0)] {
        let go_on = |count| {
            let (mut shard, mut input, _) = embed(with(limit), process());
            shard.restore(&snapshot).expect("it is of this pipeline");
            more(&mut shard, &mut input, count)
        };
        assert_eq!(go_on(room), "none", "{limit} {what}");
        let golden =
            format!("process: {limit} {what} is the limit; raise `timers_max` or bound the input");
        assert_eq!(go_on(room + 1), golden);
    }
}

#[test]
fn timers_are_limited_by_who_restores_them() {
    holds_to_its_own_limit(|| AtOnce, "timers");
}

#[test]
fn records_that_wait_are_limited_by_who_restores_them() {
    holds_to_its_own_limit(|| InOrder, "records ahead of the watermark");
}

/// Gives these numbers, and then no others for as long as anybody looks.
struct Quiet(Range<u64>);

impl Source for Quiet {
    type Out = u64;

    fn poll(
        &mut self,
        _partition: usize,
        _now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<u64>),
    ) -> Result<Polled, IoError> {
        self.0.by_ref().take(budget).for_each(|n| emit(Record::new(t(0), n)));
        Ok(Polled::open())
    }

    fn save(&self, _: &mut Saved) {}
}

/// A shard with a process function on such numbers.
fn quiet<P: Process<Key = u64, In = u64>>(config: Config, process: P, keys: Range<u64>) -> Shard {
    let built = Shard::embed(config, |p| {
        p.source(Quiet(keys)).key_by(|n| *n).process(process).for_each(drop);
        Ok(())
    });
    built.expect("it can be built").0
}

/// Four shards come together on one, which may have more of them than each of the four.
fn comes_together<P: Process<Key = u64, In = u64>>(process: fn() -> P, what: &str) {
    let each = |n: u64| {
        let mut shard = quiet(with(5), process(), 10 * n..10 * n + 4);
        while !shard.step(t(0)).is_none() {}
        shard.snapshot().expect("it is at rest")
    };
    let snapshots: Vec<_> = (0..4).map(each).collect();
    let go_on = |limit, count: u64| {
        let config = with(limit);
        let to = Rescale { shard: 0, shards: 1, before: 4, hash_seed: config.hash_seed };
        let mut shard = quiet(config, process(), 1_000..1_000 + count);
        if let Err(error) = shard.restore_rescaled(&snapshots, to) {
            return error.to_string();
        }
        while !shard.step(t(0)).is_none() {}
        failure(&shard)
    };
    assert_eq!(go_on(16, 0), "none");
    assert_eq!(go_on(20, 4), "none");
    let golden = format!("process: 20 {what} is the limit; raise `timers_max` or bound the input");
    assert_eq!(go_on(20, 5), golden);
    let golden = "`process` cannot be restored onto another number of shards: more timers than \
                  `timers_max` for one shard";
    assert_eq!(go_on(15, 0), golden);
}

#[test]
fn timers_of_several_shards_come_together_on_one() {
    comes_together(|| AtOnce, "timers");
}

#[test]
fn records_that_wait_on_several_shards_come_together_on_one() {
    comes_together(|| InOrder, "records ahead of the watermark");
}

/// Opens a key, or closes it.
struct Turning<const BY_TIME: bool>;

impl<const BY_TIME: bool> Process for Turning<BY_TIME> {
    type Key = u64;
    type In = u64;
    type State = u8;
    type Out = u64;

    const ORDER: Order = if BY_TIME { Order::Time } else { Order::Arrival };

    fn on_record(&mut self, n: u64, ctx: &mut KeyContext<'_, Self>) {
        match ctx.get() {
            Some(_) => ctx.clear(),
            None => _ = ctx.state(),
        }
        ctx.emit(n);
    }
}

const KEYS: &str = "process: 3 keys is the limit; raise `keys_max` or bound the input";

/// However many of them leave their wait at a time, when the watermark comes or later.
#[test]
fn keys_of_records_that_have_waited_are_counted() {
    for (fire_max, closes) in [(1, false), (2, false), (256, false), (1, true), (256, true)] {
        let run = |keys| {
            let config = Config { keys_max: 3, fire_max, timers_max: 1_000, ..Config::embedded() };
            let (mut shard, mut input, _) = embed(config, Turning::<true>);
            feed(&mut shard, &mut input, (0..keys).map(|n| (0, n)));
            assert_eq!(failure(&shard), "none", "no key has a place yet");
            match closes {
                true => input.close(),
                false => input.advance_to(t(1)),
            }
            (0..20).for_each(|_| _ = shard.step(t(0)));
            failure(&shard)
        };
        assert_eq!((run(3), run(4)), ("none".to_owned(), KEYS.to_owned()), "{fire_max}");
    }
}

/// How many keys there are at the end of a batch does not matter.
#[test]
fn one_key_too_many_is_found_where_it_comes() {
    let run = |keys: u64| {
        let config = Config { keys_max: 3, batch_max: 64, ..Config::embedded() };
        let (mut shard, mut input, _) = embed(config, Turning::<false>);
        feed(&mut shard, &mut input, (0..keys).chain(0..keys).map(|n| (0, n)));
        failure(&shard)
    };
    assert_eq!((run(3), run(4)), ("none".to_owned(), KEYS.to_owned()));
}

/// Keys that have expired make room, also for records that have waited; others do not.
#[test]
fn expired_keys_make_room_for_records_that_have_waited() -> Result<()> {
    for (span, golden) in [(100, "none"), (100_000, "process: 300 keys is the limit")] {
        let config = Config { keys_max: 300, ..Config::embedded() };
        let (mut shard, mut input) = Shard::embed(config, |p| {
            let (input, numbers) = p.input::<u64>();
            let keyed = numbers.key_by(|n| *n).ttl(Ttl::of(ns(span)));
            keyed.process(Turning::<true>).for_each(drop);
            Ok(input)
        })?;
        for n in 0..1_000 {
            // Some wait for the next step, and the watermark of some comes without a batch.
            input.push(t(n), n as u64)?;
            if n % 3 == 0 {
                shard.step(t(0));
            }
            input.advance_to(t(n));
            shard.step(t(0));
        }
        assert!(failure(&shard).starts_with(golden), "{span}: {}", failure(&shard));
    }
    Ok(())
}

/// Only where records wait is there room for those that pass.
#[test]
fn room_for_records_that_wait_is_counted() {
    fn bytes<P: Process<Key = u64, In = u64>>(process: P) -> usize {
        let config = Config { batch_max: 100, ..Config::embedded() };
        embed(config, process).0.plan().queue_bytes()
    }
    let record = size_of::<(Timestamp, u64, u64)>();
    assert_eq!(bytes(InOrder) - bytes(AtOnce), 4 * 2 * 100 * record);
}
