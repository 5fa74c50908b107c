//! Windows with triggers in every way in which records may come, by the clock, and what is refused.

use millstream::aggregates::{count, sum};
use millstream::window::{Timing, Trigger, evictors, triggers};
use millstream::{
    Config, Input, Output, Shard, Timestamp, Tumbling, Watermarks, Window, Windowed, ns,
};

use super::support::Cut;
use super::support::model::{Row, value_of, watermarks, windows};
use super::support::sessions::{Visit, visit};
use super::support::tester::Tester;
use super::support::triggers::{Evict, Spec, Triggered, triggered_under};
use super::support::world::{all, at, disordered, window_of};
use super::{LATENESS, OVERLAPPING, SLIDING, TUMBLING, case, rows, said};

fn model(cut: Option<Cut>, spec: Spec, evict: Evict, disorder: i64) -> Vec<(i64, Visit)> {
    let rows = rows();
    let before = watermarks(&rows, disorder);
    triggered_under(rows.into_iter().zip(before), &Triggered { cut, spec, evict }).0
}

/// Results of one window and key are in order.
fn lane((fired, _): &Visit) -> u64 {
    fired.key << 44 ^ fired.end as u64
}

macro_rules! trigger_cases {
    ($($name:ident: $cut:expr, $trigger:expr, $spec:expr, $disorder:expr;)*) => {$(
        #[test]
        fn $name() {
            let steps = case!(Row => Visit, |s| {
                let keyed = s.event_time(at, disordered($disorder)).key_by(|row| row.key);
                let windows = keyed.window(window_of($cut)).trigger($trigger);
                let windows = windows.allowed_lateness(ns($cut.lateness as u64));
                windows.aggregate(all()).map(visit)
            });
            let want = model(Some($cut), $spec, Evict::Nothing, $disorder);
            Tester::new(steps, said(&rows()), want).by(lane).check();
        }
    )*};
}

trigger_cases! {
    every_third_record: TUMBLING, triggers::count(3), Spec::Count(3), 46;
    every_second_record_of_many_windows: OVERLAPPING, triggers::count(2), Spec::Count(2), 5;
    in_pieces: SLIDING, triggers::purging(triggers::count(2)), Spec::Count(2).purging(), 10;
    every_seven_nanoseconds:
        LATENESS, triggers::continuous(ns(7)), Spec::Continuous(7), 2;
    early_and_late:
        LATENESS,
        triggers::event_time().early(triggers::count(2)).late(triggers::count(2)),
        Spec::event_time(Spec::Count(2), Spec::Count(2)),
        2;
}

#[test]
fn global_window_with_evictor() {
    let steps = case!(Row => Visit, |s| {
        let windows = s.key_by(|row| row.key).global_window().trigger(triggers::count(2));
        let results = windows.evict(evictors::count(3)).apply(|key, span, records| {
            assert!(*key < 5 && span.end == Timestamp::MAX);
            value_of(&records.map(|record| record.value).collect::<Vec<_>>())
        });
        results.map(visit)
    });
    let want = model(None, Spec::Count(2), Evict::Count(3), 0);
    Tester::new(steps, said(&rows()), want).by(lane).check();
}

/// What no window takes goes to a stream of its own where windows keep their records or fold them.
#[test]
fn late_output_of_windows_that_apply_and_fold() {
    const CUT: Cut = Cut { size: 20, slide: 20, offset: 5, lateness: 15 };
    let applied = case!(Row => (bool, u64, i64), |s| {
        let keyed = s.event_time(at, disordered(3)).key_by(|row| row.key);
        let windows = keyed.window(window_of(CUT)).allowed_lateness(ns(15));
        let windows = windows.trigger(triggers::event_time());
        let (results, late) = windows.apply_with_late(|_, _, records| {
            records.map(|record| record.value.value).sum::<i64>()
        });
        let results = results.map(|window| (true, window.key, window.value));
        results.union(late.map(|row| (false, row.key, row.value)))
    });
    let folded = case!(Row => (bool, u64, i64), |s| {
        let keyed = s.event_time(at, disordered(3)).key_by(|row| row.key);
        let windows = keyed.window(window_of(CUT)).allowed_lateness(ns(15));
        let (results, late) = windows.fold_with_late(0, |sum: &mut i64, row| *sum += row.value);
        let results = results.map(|window| (true, window.key, window.value));
        results.union(late.map(|row| (false, row.key, row.value)))
    });
    let answer = windows(&rows(), CUT, 3);
    assert!(!answer.late.is_empty());
    let fired = answer.fired.iter().map(|f| (f.end - 1, (true, f.key, f.value.1)));
    let late = answer.late.iter().map(|row| (row.at, (false, row.key, row.value)));
    let want: Vec<_> = fired.chain(late).collect();
    let lane = |(ok, key, _): &(bool, u64, i64)| 2 * key + u64::from(*ok);
    Tester::new(applied, said(&rows()), want.clone()).by(lane).check();
    Tester::new(folded, said(&rows()), want).by(lane).check();
}

/// A pipeline of one window of 100 ns that is fed and asked by hand.
struct ByHand {
    shard: Shard,
    input: Input<u64>,
    output: Output<Windowed<u8, u64>>,
}

impl ByHand {
    fn new<G: Trigger<u64>>(trigger: G) -> Self {
        let (shard, (input, output)) = Shard::embed(Config::embedded(), |p| {
            let (input, stream) = p.input::<u64>();
            let stream = stream.event_time(|at| Timestamp(*at as i64), Watermarks::monotonic());
            let windows = stream.key_by(|_| 0u8).window(Tumbling::of(ns(100))).trigger(trigger);
            Ok((input, windows.allowed_lateness(ns(50)).aggregate(count()).output()))
        })
        .unwrap();
        Self { shard, input, output }
    }

    /// Pushes a record, if there is one, and steps; returns counts and timings.
    fn step(&mut self, now: i64, record: Option<u64>) -> Vec<(u64, Timing)> {
        if let Some(at) = record {
            self.input.push(Timestamp(0), at).unwrap();
        }
        (0..3).for_each(|_| _ = self.shard.step(Timestamp(now)));
        std::iter::from_fn(|| self.output.pop()).map(|w| (w.value.value, w.value.timing)).collect()
    }
}

#[test]
fn silence_closes_a_window() {
    let mut windows = ByHand::new(triggers::silence(ns(1_000)));
    assert_eq!(windows.step(0, Some(10)), []);
    assert_eq!(windows.step(600, Some(20)), []);
    assert_eq!(windows.step(1_599, None), []);
    assert_eq!(windows.step(1_600, None), [(2, Timing::Early(0))]);
    assert_eq!(windows.step(9_000, None), []);
    assert_eq!(windows.step(9_001, Some(30)), []);
    assert_eq!(windows.step(10_001, None), [(3, Timing::Early(1))]);
    // The watermark still closes it, and late records count as such.
    assert_eq!(windows.step(10_002, Some(120)), [(3, Timing::OnTime)]);
    assert_eq!(windows.step(10_003, Some(99)), [(4, Timing::Late(1))]);
    // Both windows have got a record since.
    assert_eq!(windows.step(11_003, None), [(1, Timing::Early(0)), (4, Timing::Late(2))]);
}

#[test]
fn every_so_often_by_the_clock() {
    let mut windows = ByHand::new(triggers::every(ns(500)));
    assert_eq!(windows.step(100, Some(1)), []);
    assert_eq!(windows.step(499, Some(2)), []);
    assert_eq!(windows.step(500, None), [(2, Timing::Early(0))]);
    assert_eq!(windows.step(1_700, None), [], "nothing has come since");
    assert_eq!(windows.step(1_700, Some(3)), []);
    // What is due by the clock comes before the records of the step.
    assert_eq!(windows.step(2_100, Some(4)), [(3, Timing::Early(1))]);
    assert_eq!(windows.step(2_499, None), []);
    assert_eq!(windows.step(2_500, None), [(4, Timing::Early(2))]);
}

#[test]
fn the_clock_ends_a_window() {
    let mut windows = ByHand::new(triggers::purging(triggers::processing_time()));
    assert_eq!(windows.step(40, Some(1)), []);
    assert_eq!(windows.step(99, Some(2)), []);
    assert_eq!(windows.step(100, None), [(2, Timing::Early(0))]);
    assert_eq!(windows.step(130, Some(3)), [(1, Timing::Early(1))]);
    assert_eq!(windows.step(140, Some(100)), [], "all has been purged");
    assert_eq!(windows.step(141, Some(77)), [(1, Timing::Late(1))]);
}

/// An input that ends leaves nothing behind, whatever was asked for.
#[test]
fn the_end_of_the_input_is_the_end() {
    let ByHand { mut shard, input, output } = ByHand::new(triggers::silence(ns(1 << 60)));
    let mut windows = ByHand { shard, input, output };
    assert_eq!(windows.step(0, Some(5)), []);
    drop(windows.input);
    shard = windows.shard;
    (0..9).for_each(|now| _ = shard.step(Timestamp(now)));
    assert!(shard.is_done());
    assert_eq!(windows.output.pop().map(|window| window.value.timing), Some(Timing::OnTime));
}

/// What is said of a pipeline with this trigger: the error, or the warnings.
fn said_of<G: Trigger<u64>>(window: Option<Tumbling>, trigger: G) -> String {
    let built = Shard::embed(Config::embedded(), |p| {
        let (input, stream) = p.input::<u64>();
        let keyed = stream.key_by(|n| *n);
        let windows = match window {
            Some(window) => keyed.window(window).trigger(trigger),
            None => keyed.global_window().trigger(trigger),
        };
        Ok((input, windows.aggregate(sum(|n: &u64| *n)).output()))
    });
    match built {
        Ok((shard, _)) => shard.plan().warnings().join("; "),
        Err(error) => error.to_string(),
    }
}

#[test]
fn triggers_that_never_fire_are_refused() {
    let window = Some(Tumbling::of(ns(5)));
    assert!(window.as_ref().is_some_and(|window| window.cuts().is_ok()));
    let never = "trigger = of a global window: it could never fire before the end of the input";
    assert_eq!(said_of(None, triggers::event_time()), never);
    assert_eq!(said_of(None, triggers::processing_time()), never);
    let both = triggers::all(triggers::count(2), triggers::event_time());
    assert_eq!(said_of(None, both), never);
    let none = "count trigger = 0: it could never fire";
    assert_eq!(said_of(window, triggers::any(triggers::event_time(), triggers::count(0))), none);
    let far = triggers::delta(f64::INFINITY, |n: &u64| *n as f64);
    assert_eq!(said_of(window, far), "delta trigger = inf: no value moves further than that");
    let at_once = "there is no time between two results";
    for said in [
        said_of(window, triggers::continuous(ns(0))),
        said_of(window, triggers::purging(triggers::every(ns(0)))),
        said_of(window, triggers::event_time().early(triggers::silence(ns(0)))),
    ] {
        assert!(said.ends_with(at_once), "{said}");
    }
    let zero = Some(Tumbling::of(ns(0)));
    assert_eq!(said_of(zero, triggers::count(1)), "window = 0 ns: a window needs a length");
}

#[test]
fn what_is_probably_not_meant_is_warned_of() {
    let window = Some(Tumbling::of(ns(5)));
    assert_eq!(said_of(window, triggers::count(2)), "");
    assert_eq!(said_of(window, triggers::event_time()), "");
    let both = triggers::all(triggers::event_time(), triggers::count(3));
    let lost = "the trigger may let a window end without a result, and its records be lost";
    assert_eq!(said_of(window, both), format!("window (5ns): {lost}"));
    let part = triggers::any(triggers::processing_time(), triggers::count(3));
    let idle = "window (global): a part of the trigger can never fire";
    assert_eq!(said_of(None, part), idle);
    let (shard, _) = Shard::embed(Config::embedded(), |p| {
        let (input, stream) = p.input::<u64>();
        let windows = stream.key_by(|n| *n).global_window().trigger(triggers::count(2));
        Ok((input, windows.evict(evictors::count(2)).apply(|_, _, all| all.len()).output()))
    })
    .unwrap();
    let kept = "the evictor keeps every record of a window until it closes";
    assert!(shard.plan().warnings()[0].starts_with(kept));
    assert!(shard.plan().to_string().contains(&format!("warning: {kept}")));
}

#[test]
fn limits_of_triggers_and_evictors() {
    let failure = |keys_max| {
        let config = Config { keys_max, ..Config::embedded() };
        let (mut shard, (mut input, _output)) = Shard::embed(config, |p| {
            let (input, stream) = p.input::<u64>();
            let windows = stream.key_by(|n| n % 4).global_window().trigger(triggers::count(9));
            Ok((input, windows.apply(|_, _, records| records.len()).output()))
        })
        .unwrap();
        (0..8).for_each(|n| input.push(Timestamp(0), n).unwrap());
        shard.step(Timestamp(0));
        shard.failure().map(ToString::to_string).unwrap_or_default()
    };
    assert!(failure(3).starts_with("window: 3 keys in open windows is the limit"));
    assert!(failure(7).starts_with("window: 7 records in open windows is the limit"));
    assert_eq!(failure(8), "");
    let none = Shard::embed(Config::embedded(), |p| {
        let (input, stream) = p.input::<u64>();
        let windows = stream.key_by(|n| *n).global_window().trigger(triggers::count(2));
        Ok((input, windows.evict(evictors::count(0)).apply(|_, _, all| all.len()).output()))
    });
    let error = none.map(|_| ()).unwrap_err().to_string();
    assert_eq!(error, "evictor = 0: nothing would be left of a window");
}
