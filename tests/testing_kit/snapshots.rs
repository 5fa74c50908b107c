//! Snapshots as their users see them: a run goes on elsewhere as if nothing had been, and whatever
//! cannot be saved or does not fit is an error that says why.

use millstream::aggregates::{count, sum};
use millstream::dataflow::Saved;
use millstream::io::{Generator, IterSource, MemorySource};
use millstream::testing::{Said, Script, TestDriver, TestInput, TestOutput, Tester};
use millstream::{
    Config, KeyContext, Process, Record, Result, Timer, Timestamp, Tumbling, case, ms, ns,
};

use super::at;

/// Says how long a key has been silent, by processing time.
struct Silence;

impl Process for Silence {
    type Key = u32;
    type In = u32;
    type State = u64;
    type Out = (u32, u64);

    fn on_record(&mut self, _: u32, ctx: &mut KeyContext<'_, Self>) {
        *ctx.state() += 1;
        ctx.set_timer(Timer::processing(ctx.now() + ms(5)));
    }

    fn on_timer(&mut self, _: Timer, ctx: &mut KeyContext<'_, Self>) {
        let records = *ctx.state();
        ctx.emit((ctx.key(), records));
    }
}

fn silences() -> Result<(TestDriver, (TestInput<u32>, TestOutput<(u32, u64)>))> {
    TestDriver::new(|p| {
        let (input, stream) = p.test_input::<u32>();
        Ok((input, stream.key_by(|n| *n).process(Silence).test_output()))
    })
}

#[test]
fn clock_timers_state_and_watermarks_come_along() -> Result<()> {
    let (mut driver, (input, _out)) = silences()?;
    driver.advance(ms(100))?;
    input.push(at(1), 7);
    input.watermark(at(2));
    driver.settle()?;
    let snapshot = driver.snapshot()?;
    assert_eq!(snapshot.now(), at(100));
    for wait in [4, 5] {
        let (mut driver, (input, out)) = silences()?;
        driver.restore(&snapshot)?;
        assert_eq!((driver.now(), out.watermark()), (at(100), at(2)));
        assert_eq!(driver.state::<u32, u64>("process")?, [(7, 1)]);
        assert_eq!(driver.timers::<u32>("process")?, [(at(105), 7)]);
        driver.advance(ms(wait))?;
        assert_eq!(out.take_values().len(), usize::from(wait == 5));
        input.watermark(at(2));
        let back = std::panic::AssertUnwindSafe(|| input.watermark(at(1)));
        assert!(std::panic::catch_unwind(back).is_err(), "the input knows how far it has come");
    }
    Ok(())
}

#[test]
fn an_input_that_has_ended_stays_ended() -> Result<()> {
    let (mut driver, (input, _out)) = silences()?;
    input.close();
    driver.settle()?;
    let snapshot = driver.snapshot()?.clone();
    let (mut other, (_input, out)) = silences()?;
    assert!(!other.is_done());
    other.restore(&snapshot)?;
    assert!(other.is_done() && out.has_ended());
    Ok(())
}

#[test]
fn what_is_in_flight_is_named() -> Result<()> {
    let config = Config { fire_max: 1, ..Config::embedded() };
    let (mut driver, (input, counts)) = TestDriver::with_config(config, |p| {
        let (input, stream) = p.test_input::<u32>();
        let windows = stream.key_by(|n| *n).window(Tumbling::of(ms(10)));
        Ok((input, windows.aggregate(count()).test_output()))
    })?;
    (0..5).for_each(|n| input.push(at(1), n));
    let error = driver.snapshot().unwrap_err().to_string();
    let golden = "a snapshot is taken at rest, and `test input` has not taken all it was told: \
                  step until it is done";
    assert_eq!(error, golden);
    driver.settle()?;
    driver.snapshot()?;
    input.watermark(at(10));
    driver.step()?;
    let error = driver.snapshot().unwrap_err().to_string();
    assert!(error.contains("`window` fires"), "{error}");
    driver.settle()?;
    driver.snapshot()?;
    assert_eq!(counts.take().len(), 5);
    Ok(())
}

#[test]
fn a_snapshot_of_another_pipeline_is_refused() -> Result<()> {
    let (mut driver, (input, _out)) = silences()?;
    input.push(at(1), 7);
    driver.settle()?;
    let snapshot = driver.snapshot()?;
    let (mut other, _) = TestDriver::new(|p| {
        let (input, stream) = p.test_input::<u32>();
        Ok((input, stream.key_by(|n| *n).reduce(|_, _| ()).test_output()))
    })?;
    let error = other.restore(&snapshot).unwrap_err().to_string();
    let golden = "a snapshot of another pipeline: step 2 is `process` there and `reduce` here";
    assert_eq!(error, golden);
    Ok(())
}

#[test]
fn other_types_under_the_same_plan_are_refused() -> Result<()> {
    let (mut driver, (input, _out)) = TestDriver::new(|p| {
        let (input, stream) = p.test_input::<u32>();
        Ok((input, stream.key_by(|n| *n).reduce(|_, _| ()).test_output()))
    })?;
    input.push(at(1), 7);
    driver.settle()?;
    let snapshot = driver.snapshot()?;
    let (mut other, _) = TestDriver::new(|p| {
        let (input, stream) = p.test_input::<u32>();
        Ok((input, stream.key_by(|n| u64::from(*n)).reduce(|_, _| ()).test_output()))
    })?;
    let error = other.restore(&snapshot).unwrap_err().to_string();
    assert!(error.starts_with("`reduce` wants ") && error.contains("Table<u64,"), "{error}");
    assert!(error.contains("holds ") && error.contains("Table<u32,"), "{error}");
    assert!(other.settle().is_err(), "what is half restored does not run");
    Ok(())
}

/// A driver of a source that adds up numbers, and what it has added up to.
macro_rules! sums_of {
    ($source:expr) => {{
        let config = Config { batch_max: 2, ..Config::embedded() };
        TestDriver::with_config(config, |p| {
            let numbers = p.source($source).key_by(|_| ());
            Ok(numbers.reduce(|sum, n| *sum += n).map(|(_, sum)| sum).test_output())
        })
    }};
}

#[test]
fn sources_with_a_position_go_on_from_there() -> Result<()> {
    let numbers = || (1..6u64).map(|n| Record::new(Timestamp(n as i64), n)).collect::<Vec<_>>();
    let said = || (1..6).flat_map(|n| [Said::Record(n, n as u64), Said::Silence(2)]);
    let made = || Ok::<_, millstream::Error>(Generator::flat_out(1e9, |n, _| n + 1)?.count(5));
    for kind in 0..3 {
        let build = || match kind {
            0 => sums_of!(MemorySource::new(numbers())),
            1 => sums_of!(Script::new(said())),
            _ => sums_of!(made()?),
        };
        let (mut driver, mut sums) = build()?;
        let mut all = Vec::new();
        for _ in 0..40 {
            driver.step()?;
            all.extend(sums.take_values());
            let snapshot = driver.snapshot()?;
            (driver, sums) = build()?;
            driver.restore(&snapshot)?;
        }
        assert!(driver.is_done());
        assert_eq!(all, [1, 3, 6, 10, 15], "source {kind}");
    }
    Ok(())
}

#[test]
fn a_source_without_a_position_is_named() -> Result<()> {
    let (driver, _sums) = sums_of!(IterSource::new([Record::new(at(0), 1u64)].into_iter()))?;
    let error = driver.snapshot().unwrap_err().to_string();
    assert!(error.contains("IterSource`: it has no position to go on from"), "{error}");
    Ok(())
}

#[test]
fn a_shard_that_has_failed_has_no_snapshot() -> Result<()> {
    let config = Config { keys_max: 1, ..Config::embedded() };
    let (mut shard, (mut input, _out)) = millstream::Shard::embed(config, |p| {
        let (input, stream) = p.input::<u32>();
        Ok((input, stream.key_by(|n| *n).reduce(|_, _| ()).output()))
    })?;
    input.push(at(0), 1)?;
    input.push(at(0), 2)?;
    shard.step(at(0));
    let error = shard.snapshot().unwrap_err().to_string();
    assert!(error.contains("an error has stopped: reduce: 1 keys is the limit"), "{error}");
    Ok(())
}

/// Numbers the records of all keys, and saves the number or forgets to.
struct Numbered<const SAVES: bool> {
    count: u64,
}

impl<const SAVES: bool> Process for Numbered<SAVES> {
    type Key = u8;
    type In = u64;
    type State = ();
    type Out = u64;

    fn on_record(&mut self, _: u64, ctx: &mut KeyContext<'_, Self>) {
        self.count += 1;
        ctx.emit(self.count);
    }

    fn save(&self, out: &mut Saved) {
        if SAVES {
            out.put("numbered", &self.count);
        } else {
            out.unseen::<Self>("process");
        }
    }

    fn load(&mut self, from: &mut Saved) {
        if SAVES {
            from.take("numbered", &mut self.count);
        }
    }
}

#[test]
fn the_tester_says_which_step_does_not_save_what_it_keeps() {
    let said = || (0..6).map(|n| Said::Record(n, n as u64));
    let want = || (0..6).map(|n| (n, n as u64 + 1));
    let saving = case!(u64 => u64, |stream| {
        stream.key_by(|_| 0).process(Numbered::<true> { count: 0 })
    });
    Tester::new(saving, said(), want()).check();
    let forgetting = case!(u64 => u64, |stream| {
        stream.key_by(|_| 0).process(Numbered::<false> { count: 0 })
    });
    let broken = Tester::new(forgetting, said(), want()).run().unwrap_err();
    assert!(broken.way.starts_with("embedded and restored after each record"), "{broken}");
    assert!(broken.what.contains("in no snapshot: process ("), "{broken}");
    assert!(broken.what.contains("Numbered)"), "{broken}");
    let counting = case!(u64 => u64, |stream| {
        let mut n = 0;
        let numbers = stream.filter(|_| true).map(move |_| {
            n += 1;
            n
        });
        numbers.key_by(|_| 0u8).window(Tumbling::of(ns(1))).aggregate(sum(|n: &u64| *n))
            .map(|window| window.value)
    });
    let broken = Tester::new(counting, said(), want()).run().unwrap_err();
    assert!(broken.what.contains("in no snapshot: map ("), "{broken}");
    assert!(!broken.what.contains("filter"), "{broken}");
}

#[test]
fn steps_that_keep_something_out_of_sight_can_be_tried_without_restoring() {
    let said = (0..6).map(|n| Said::Record(n, n as u64));
    let steps = case!(u64 => u64, |stream| {
        let mut n = 0;
        stream.map(move |_| {
            n += 1;
            n
        })
    });
    Tester::new(steps, said, (0..6).map(|n| (n, n as u64 + 1))).without_restoring().check();
}

#[test]
fn how_far_each_of_several_inputs_has_come_is_known() -> Result<()> {
    let build = || {
        TestDriver::new(|p| {
            let ((left, one), (right, other)) = (p.test_input::<u32>(), p.test_input::<u32>());
            let windows = one.union(other).key_by(|n| *n).window(Tumbling::of(ms(10)));
            let counts = windows.aggregate(count()).map(|window| window.value);
            Ok((left, right, counts.test_output()))
        })
    };
    let (mut driver, (left, right, _)) = build()?;
    left.push(at(1), 7);
    left.watermark(at(9));
    right.watermark(at(20));
    driver.settle()?;
    let snapshot = driver.snapshot()?;
    let (mut driver, (left, _right, counts)) = build()?;
    driver.restore(&snapshot)?;
    driver.settle()?;
    assert_eq!((counts.take_values(), counts.watermark()), (vec![], at(9)));
    left.watermark(at(10));
    driver.settle()?;
    assert_eq!((counts.take_values(), counts.watermark()), (vec![1], at(10)));
    Ok(())
}
