//! What no output shows: how much a step does, and what happens at the limits.

mod limits;

use super::{AtEnd, KeyContext, Order, Process, Timer};
use crate::config::Config;
use crate::dataflow::Record;
use crate::error::{Error, IoError, Result};
use crate::io::{Sink, callback};
use crate::metrics::Counter;
use crate::shard::{Input, Shard};
use crate::state::Ttl;
use crate::time::{Timestamp, ms, ns};
use std::cell::RefCell;
use std::rc::Rc;

const fn t(n: i64) -> Timestamp {
    Timestamp(n)
}

type Log<T> = Rc<RefCell<Vec<(i64, T)>>>;

/// An embedded shard with one process function on numbers keyed by themselves.
fn embed<P: Process<Key = u64, In = u64>>(
    config: Config,
    process: P,
) -> (Shard, Input<u64>, Log<P::Out>) {
    let log = Log::default();
    let seen = log.clone();
    let (shard, input) = Shard::embed(config, |p| {
        let (input, numbers) = p.input::<u64>();
        let sink = callback(move |r: Record<P::Out>| seen.borrow_mut().push((r.at.0, r.value)));
        numbers.key_by(|n| *n).process(process).sink(sink);
        Ok(input)
    })
    .expect("it can be built");
    (shard, input, log)
}

/// Steps until everything pushed is in.
fn feed(shard: &mut Shard, input: &mut Input<u64>, records: impl Iterator<Item = (i64, u64)>) {
    for (at, n) in records {
        while input.push(t(at), n).is_err() {
            shard.step(t(0));
        }
    }
    while !shard.step(t(0)).is_none() {}
}

fn failure(shard: &Shard) -> String {
    shard.failure().map_or_else(|| "none".to_owned(), Error::to_string)
}

/// Every key has a timer at one and the same instant.
struct AtOnce;

impl Process for AtOnce {
    type Key = u64;
    type In = u64;
    type State = ();
    type Out = u64;

    fn on_record(&mut self, n: u64, ctx: &mut KeyContext<'_, Self>) {
        ctx.set_timer(t(1 << 40).offset(i64::from(n.is_multiple_of(2))));
    }

    fn on_timer(&mut self, _: Timer, ctx: &mut KeyContext<'_, Self>) {
        let key = ctx.key();
        ctx.emit(key);
    }
}

/// Feeds `count` records, moves the watermark past everything, and checks that no step does more
/// than two slices: one for the batch that brings the watermark, and one for itself.
fn in_slices<P: Process<Key = u64, In = u64, Out = u64>>(process: P, count: u64) -> Vec<u64> {
    const FIRE_MAX: usize = 100;
    let config = Config { fire_max: FIRE_MAX, ..Config::embedded() };
    let (mut shard, mut input, log) = embed(config, process);
    feed(&mut shard, &mut input, (0..count).map(|n| (0, n)));
    assert!(log.borrow().is_empty());
    input.advance_to(t(1 << 41));
    let mut before = 0;
    while before < count as usize {
        shard.step(t(0));
        let done = log.borrow().len();
        assert!(done - before <= 2 * FIRE_MAX, "{} in one step", done - before);
        assert!(done > before, "each step does some");
        before = done;
    }
    assert_eq!(shard.counters().get(Counter::Keys), 0, "no key is kept");
    log.take().into_iter().map(|(_, key)| key).collect()
}

#[test]
fn a_million_timers_due_at_one_instant_fire_a_slice_a_step() {
    let fired = in_slices(AtOnce, 1_000_000).into_iter();
    let want = (0..500_000).map(|n| 2 * n + 1).chain((0..500_000).map(|n| 2 * n));
    assert!(fired.eq(want), "by time, then by when they were set");
}

/// Passes records on in the order of time.
struct InOrder;

impl Process for InOrder {
    type Key = u64;
    type In = u64;
    type State = ();
    type Out = u64;

    const ORDER: Order = Order::Time;

    fn on_record(&mut self, n: u64, ctx: &mut KeyContext<'_, Self>) {
        ctx.emit(n);
    }
}

#[test]
fn records_that_waited_for_the_watermark_come_a_slice_a_step() {
    assert!(in_slices(InOrder, 30_000).into_iter().eq(0..30_000));
}

/// Counts the records of keys that a record of the time 0 has opened.
struct Opened;

impl Process for Opened {
    type Key = u64;
    type In = u64;
    type State = u64;
    type Out = u64;

    fn on_record(&mut self, _: u64, ctx: &mut KeyContext<'_, Self>) {
        if ctx.at() == t(0) {
            ctx.state();
        } else if let Some(count) = ctx.get_mut() {
            *count += 1;
            let count = *count;
            ctx.emit(count);
        }
    }
}

#[test]
fn a_key_that_is_only_asked_for_takes_no_place() {
    let (mut shard, mut input, log) = embed(Config::embedded(), Opened);
    feed(&mut shard, &mut input, [(0, 7), (1, 7), (2, 8), (3, 7), (4, 9)].into_iter());
    assert_eq!(log.take(), [(1, 1), (3, 2)]);
    assert_eq!(shard.counters().get(Counter::Keys), 1);
}

/// A sink that notes watermarks between the records.
struct Noting(Log<Option<u64>>);

impl Sink<u64> for Noting {
    fn accept(&mut self, record: Record<u64>) -> Result<(), IoError> {
        self.0.borrow_mut().push((record.at.0, Some(record.value)));
        Ok(())
    }

    fn on_watermark(&mut self, watermark: Timestamp) -> Result<(), IoError> {
        self.0.borrow_mut().push((watermark.0, None));
        Ok(())
    }
}

#[test]
fn the_watermark_goes_on_when_all_timers_have_fired() -> Result<()> {
    let log = Log::default();
    let noting = Noting(log.clone());
    let config = Config { fire_max: 2, batch_max: 3, ..Config::embedded() };
    let (mut shard, mut input) = Shard::embed(config, |p| {
        let (input, numbers) = p.input::<u64>();
        numbers.key_by(|n| *n).process(AtOnce).sink(noting);
        Ok(input)
    })?;
    let due = 1 << 40;
    (0..7).try_for_each(|n| input.push(t(0), n))?;
    (0..9).for_each(|_| _ = shard.step(t(0)));
    input.advance_to(t(due + 9));
    (0..9).for_each(|_| _ = shard.step(t(0)));
    let odd = [1, 3, 5].map(|key| (due, Some(key)));
    let even = [0, 2, 4, 6].map(|key| (due + 1, Some(key)));
    let log = log.take();
    assert_eq!(log[0], (0, None));
    assert_eq!(log[1..], [&odd[..], &even[..], &[(due + 9, None)]].concat());
    Ok(())
}

/// Sets timers by the clock; fires them one period later.
struct Clocked<const FIRE: bool>;

impl<const FIRE: bool> Process for Clocked<FIRE> {
    type Key = u64;
    type In = u64;
    type State = u32;
    type Out = (u64, i64, u16);

    const AT_END: AtEnd = if FIRE { AtEnd::Fire } else { AtEnd::Drop };

    fn on_record(&mut self, _: u64, ctx: &mut KeyContext<'_, Self>) {
        let timer = Timer::processing(ctx.now() + ns(100));
        assert!(ctx.set_timer(timer) && !ctx.set_timer(timer));
        ctx.set_timer(Timer::processing(ctx.now() + ns(500)).tagged(7));
        ctx.set_timer(Timer::processing(ctx.now() + ns(400)));
        assert!(ctx.cancel_timer(Timer::processing(ctx.now() + ns(400))));
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyContext<'_, Self>) {
        let key = ctx.key();
        ctx.emit((key, timer.at.0, timer.tag));
    }
}

#[test]
fn timers_by_processing_time_fire_when_a_step_has_reached_them() {
    let (mut shard, mut input, log) = embed(Config::embedded(), Clocked::<false>);
    input.push(t(77), 3).expect("room");
    shard.step(t(1_000));
    assert!(log.borrow().is_empty());
    shard.step(t(1_099));
    assert!(log.borrow().is_empty());
    shard.step(t(1_100));
    assert_eq!(log.take(), [(77, (3, 1_100, 0))], "with the time of the watermark");
    input.push(t(78), 4).expect("room");
    shard.step(t(1_200));
    shard.step(t(10_000));
    assert_eq!(log.take(), [(78, (4, 1_300, 0)), (78, (3, 1_500, 7)), (78, (4, 1_700, 7))]);
}

#[test]
fn timers_by_processing_time_at_the_end_of_the_input() {
    let (mut shard, mut input, log) = embed(Config::embedded(), Clocked::<false>);
    input.push(t(77), 3).expect("room");
    input.close();
    (0..4).for_each(|_| _ = shard.step(t(1_000)));
    assert!(shard.is_done() && log.borrow().is_empty(), "their time had not come");
    let config = Config { fire_max: 1, ..Config::embedded() };
    let (mut shard, mut input, log) = embed(config, Clocked::<true>);
    input.push(t(77), 3).expect("room");
    input.push(t(76), 2).expect("room");
    input.close();
    (0..8).for_each(|_| _ = shard.step(t(1_000)));
    assert!(shard.is_done());
    let want = [(3, 1_100, 0), (2, 1_100, 0), (3, 1_500, 7), (2, 1_500, 7)];
    assert!(log.borrow().iter().map(|(_, told)| *told).eq(want), "{:?}", log.borrow());
}

/// Does as many of each as the record says.
struct Greedy {
    timers: i64,
    emits: u64,
}

impl Process for Greedy {
    type Key = u64;
    type In = u64;
    type State = u8;
    type Out = u64;

    fn on_record(&mut self, n: u64, ctx: &mut KeyContext<'_, Self>) {
        ctx.state();
        (0..self.timers).for_each(|m| _ = ctx.set_timer(t(1_000 + m)));
        (0..self.emits).for_each(|_| ctx.emit(n));
    }
}

#[test]
fn limits_are_errors_that_name_their_setting() {
    let run = |config: Config, timers, emits| {
        let (mut shard, mut input, _) = embed(config, Greedy { timers, emits });
        (0..4).for_each(|n| input.push(t(0), n).expect("room"));
        (0..9).for_each(|_| _ = shard.step(t(0)));
        failure(&shard)
    };
    let with = |timers_max, emits_max, keys_max| Config {
        timers_max,
        emits_max,
        keys_max,
        ..Config::embedded()
    };
    assert_eq!(run(with(40, 10, 4), 10, 10), "none");
    assert_eq!(
        run(with(39, 10, 4), 10, 10),
        "process: 39 timers is the limit; raise `timers_max` or bound the input"
    );
    assert_eq!(
        run(with(40, 9, 4), 10, 10),
        "process: 9 records from one call is the limit; raise `emits_max` or bound the input"
    );
    assert_eq!(
        run(with(40, 10, 3), 10, 10),
        "process: 3 keys is the limit; raise `keys_max` or bound the input"
    );
}

#[test]
fn nothing_lives_for_no_time() {
    let built = Shard::embed(Config::embedded(), |p| {
        let (input, numbers) = p.input::<u64>();
        numbers.key_by(|n| *n).ttl(Ttl::of(ms(0))).deduplicate().for_each(drop);
        Ok(input)
    });
    let refused = built.map_or_else(|error| error.to_string(), |_| "accepted".to_owned());
    assert_eq!(refused, "ttl = 0 ns: nothing would live to be seen");
}

/// By the clock of the steps, state is gone to the nanosecond, and its place is used again.
#[test]
fn state_expires_by_processing_time() -> Result<()> {
    let log = Log::<u64>::default();
    let seen = log.clone();
    let config = Config { keys_max: 300, ..Config::embedded() };
    let (mut shard, mut input) = Shard::embed(config, |p| {
        let (input, numbers) = p.input::<u64>();
        let keyed = numbers.key_by(|n| *n).ttl(Ttl::of(ns(100)).processing_time());
        keyed.deduplicate().for_each(move |r| seen.borrow_mut().push((r.at.0, r.value)));
        Ok(input)
    })?;
    for (now, n) in [(0, 7), (99, 7), (100, 7), (199, 7), (200, 7)] {
        input.push(t(now), n)?;
        shard.step(t(now));
    }
    assert_eq!(log.take(), [(0, 7), (100, 7), (200, 7)]);
    for n in 0..10_000 {
        input.push(t(1_000 + n), n as u64)?;
        shard.step(t(1_000 + n));
    }
    assert_eq!((log.borrow().len(), failure(&shard)), (10_000, "none".to_owned()));
    Ok(())
}
