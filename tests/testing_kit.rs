//! The testing kit as its users see it: a driver, cases as text, and the contract.

#[path = "testing_kit/snapshots.rs"]
mod snapshots;

use std::panic::catch_unwind;

use millstream::aggregates::{count, sum};
use millstream::metrics::Counter;
use millstream::testing::{FromWord, Marbles, Said, TestDriver, Tester, ToWord};
use millstream::window::triggers::{count as every, event_time};
use millstream::{Config, Session, Timestamp, Tumbling, Watermarks, case, ms, ns, us};

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

#[test]
fn a_driver_pushes_watermarks_and_reads_outputs() -> millstream::Result<()> {
    let (mut driver, (input, sums, late)) = TestDriver::new(|p| {
        let (input, stream) = p.test_input::<(char, u64)>();
        let windows = stream.key_by(|pair| pair.0).window(Tumbling::of(ms(10)));
        let (sums, late) = windows.aggregate_with_late(sum(|pair: &(char, u64)| pair.1));
        let sums = sums.map(|window| (window.key, window.value));
        Ok((input, sums.test_output(), late.test_output()))
    })?;
    for n in 0..5 {
        input.push(at(n * 4), ('a', n as u64));
    }
    driver.settle()?;
    assert_eq!((sums.take().len(), sums.watermark()), (0, Timestamp::MIN));
    input.watermark(at(10));
    driver.settle()?;
    let first = sums.take();
    assert_eq!((first[0].at, first[0].value), (at(10).offset(-1), ('a', 3)));
    assert_eq!(sums.watermark(), at(10));
    input.push(at(9), ('b', 1));
    driver.settle()?;
    assert_eq!(late.take_values(), [('b', 1)]);
    assert_eq!(driver.counter(Counter::Late), 1);
    assert!(!driver.is_done() && !sums.has_ended());
    input.close();
    driver.settle()?;
    assert_eq!(sums.take_values(), [('a', 7)]);
    assert!(driver.is_done() && sums.has_ended());
    Ok(())
}

/// Each operator adds its own keys, and takes them back.
#[test]
fn keys_are_counted_over_all_operators() -> millstream::Result<()> {
    let (mut driver, (input, _outputs)) = TestDriver::new(|p| {
        let (input, stream) = p.test_input::<u64>();
        let (small, large) = stream.split(|n| *n < 100);
        let newest = small.key_by(|n| n % 10).reduce(|newest, n| *newest = n);
        let windows = large.key_by(|n| n % 10).window(Tumbling::of(ms(10))).aggregate(count());
        let sessions = windows.key_by(|window| window.key).session(Session::gap(ms(5)));
        Ok((input, (newest.test_output(), sessions.aggregate(count()).test_output())))
    })?;
    let mut keys = |time: i64, numbers: &[u64]| {
        numbers.iter().for_each(|n| input.push(at(time), *n));
        input.watermark(at(time));
        driver.settle()?;
        Ok::<u64, millstream::Error>(driver.counter(Counter::Keys))
    };
    assert_eq!(keys(1, &[1, 2, 3, 13])?, 3);
    assert_eq!(keys(3, &[101, 102])?, 5);
    assert_eq!(keys(11, &[4, 105])?, 4 + 1 + 2, "two windows are two sessions now");
    assert_eq!(keys(90, &[])?, 4, "the sessions are over");
    Ok(())
}

#[test]
fn state_is_read_by_type_and_in_order() -> millstream::Result<()> {
    let (mut driver, (input, _sums, _counts)) = TestDriver::new(|p| {
        let (input, stream) = p.test_input::<(u32, u64)>();
        let (some, rest) = stream.split(|pair| pair.0 < 100);
        let sums = some.key_by(|pair| pair.0).reduce(|sum, pair| sum.1 += pair.1);
        let windows = rest.flat_map(|pair| [pair; 2]).key_by(|pair| pair.0);
        let counts = windows.window(Tumbling::of(ns(10))).aggregate(count());
        Ok((input, sums.test_output(), counts.ordered(|window| window.key).test_output()))
    })?;
    for (key, value) in [(30, 1), (7, 2), (30, 3), (500, 0), (400, 0), (500, 0)] {
        input.push(Timestamp(i64::from(key) / 100), (key, value));
    }
    input.push(Timestamp(15), (400, 0));
    driver.settle()?;
    let held = driver.state::<u32, (u32, u64)>("reduce")?;
    assert_eq!(held, [(7, (7, 2)), (30, (30, 4))]);
    let panes = driver.panes::<u32, u64>("window")?;
    let panes: Vec<_> = panes.iter().map(|(span, key, n)| (span.start.0, *key, *n)).collect();
    assert_eq!(panes, [(0, 400, 2), (0, 500, 4), (10, 400, 2)]);
    assert_eq!(driver.timers::<u32>("window")?, []);
    assert_eq!(driver.state::<u32, u64>("nobody")?, []);
    let lines = driver.holds();
    assert_eq!((lines.len(), lines[0].as_str()), (5, "reduce 30: (u32, u64)"));
    assert_eq!(lines[2], "window 400 [0ns, 10ns): u64");
    Ok(())
}

#[test]
fn windows_of_every_kind_show_what_they_hold() -> millstream::Result<()> {
    type Pair = (u32, u64);
    let value = || sum(|pair: &Pair| pair.1);
    let (mut driver, (input, _all)) = TestDriver::new(|p| {
        let (input, stream) = p.test_input::<Pair>();
        let (sessions, rest) = stream.split(|pair| pair.0 == 1);
        let (counts, rest) = rest.split(|pair| pair.0 == 2);
        let (triggers, kept) = rest.split(|pair| pair.0 == 3);
        let sessions =
            sessions.key_by(|pair| pair.0).session(Session::gap(ns(10))).aggregate(value());
        let counts = counts.key_by(|pair| pair.0).count_window(3).aggregate(value());
        let triggers = triggers.key_by(|pair| pair.0).global_window().trigger(every(2));
        let kept = kept.key_by(|pair| pair.0).window(Tumbling::of(ns(10)));
        let kept = kept.trigger(event_time()).apply(|_, _, records| records.count());
        let triggers = triggers.aggregate(value()).test_output();
        Ok((input, (sessions.test_output(), counts.test_output(), triggers, kept.test_output())))
    })?;
    for (at, key, value) in
        [(0, 1, 5), (30, 1, 7), (4, 2, 1), (6, 2, 2), (7, 3, 3), (8, 4, 8), (2, 4, 9)]
    {
        input.push(Timestamp(at), (key, value));
    }
    driver.settle()?;
    let flat = |panes: Vec<(millstream::Span, u32, u64)>| -> Vec<_> {
        panes.iter().map(|(span, _, sum)| (span.start.0, span.end.0, *sum)).collect()
    };
    assert_eq!(flat(driver.panes("session")?), [(0, 10, 5), (30, 40, 7)]);
    assert_eq!(flat(driver.panes("count_window")?), [(4, 7, 3)]);
    let lines = driver.holds();
    let all_time = format!("window 3 [{:?}, {:?}): u64", Timestamp::MIN, Timestamp::MAX);
    assert!(lines.contains(&all_time), "{lines:?}");
    let kept = lines.iter().filter(|line| line.starts_with("window 4 [0ns, 10ns): "));
    assert_eq!(kept.count(), 2, "{lines:?}");
    Ok(())
}

#[test]
fn the_wrong_type_is_an_error_that_names_the_right_one() -> millstream::Result<()> {
    let (mut driver, (input, _sums)) = TestDriver::new(|p| {
        let (input, stream) = p.test_input::<u64>();
        Ok((input, stream.key_by(|_| 1u8).reduce(|sum, n| *sum += n).test_output()))
    })?;
    input.push(at(0), 5);
    driver.settle()?;
    let value = driver.state::<u8, i64>("reduce").unwrap_err();
    assert_eq!(value.to_string(), "pipeline: `reduce` holds u64, not i64");
    let key = driver.state::<u16, u64>("reduce").unwrap_err();
    assert_eq!(key.to_string(), "pipeline: the key 1 of `reduce` is no u16");
    Ok(())
}

/// The second of two inputs holds back the first until it is idle, and again when it wakes.
#[test]
fn an_idle_input_holds_nothing_back() -> millstream::Result<()> {
    let (mut driver, (fast, slow, all)) = TestDriver::new(|p| {
        let (fast, left) = p.test_input::<u8>();
        let (slow, right) = p.test_input::<u8>();
        Ok((fast, slow, left.union(right).test_output()))
    })?;
    fast.watermark(at(10));
    slow.watermark(at(1));
    driver.settle()?;
    assert_eq!(all.watermark(), at(1));
    slow.idle();
    driver.settle()?;
    assert_eq!(all.watermark(), at(10));
    slow.watermark(at(12));
    driver.settle()?;
    fast.watermark(at(30));
    driver.settle()?;
    assert_eq!(all.watermark(), at(12));
    Ok(())
}

/// Processing time is what the test says: silence is counted to the nanosecond.
#[test]
fn silence_in_virtual_time_makes_an_input_idle() -> millstream::Result<()> {
    let (mut driver, (fast, slow, all)) = TestDriver::new(|p| {
        let watermarks = || Watermarks::monotonic().idle_after(us(500));
        let (fast, left) = p.test_input::<i64>();
        let (slow, right) = p.test_input::<i64>();
        let left = left.event_time(|n| Timestamp(*n), watermarks());
        let right = right.event_time(|n| Timestamp(*n), watermarks());
        Ok((fast, slow, left.union(right).test_output()))
    })?;
    fast.push(at(0), 100);
    slow.push(at(0), 1);
    driver.settle()?;
    driver.advance(us(499))?;
    fast.push(at(0), 101);
    driver.settle()?;
    assert_eq!(all.watermark(), Timestamp(1));
    driver.advance(us(1))?;
    assert_eq!(all.watermark(), Timestamp(101));
    slow.push(at(0), 2);
    fast.push(at(0), 200);
    driver.settle()?;
    slow.idle();
    driver.settle()?;
    assert_eq!(all.watermark(), Timestamp(200));
    Ok(())
}

#[test]
fn slices_can_be_watched_step_by_step() -> millstream::Result<()> {
    let config = Config { fire_max: 1, ..Config::embedded() };
    let (mut driver, (input, counts)) = TestDriver::with_config(config, |p| {
        let (input, stream) = p.test_input::<u64>();
        let windows = stream.key_by(|n| *n).window(Tumbling::of(ms(1)));
        Ok((input, windows.aggregate(count()).test_output()))
    })?;
    (0..20).for_each(|key| input.push(at(0), key));
    driver.settle()?;
    input.watermark(at(1));
    let mut steps = 0;
    while driver.step()? {
        steps += 1;
        assert!(counts.take().len() <= 2, "a step is bounded work");
    }
    assert!(steps >= 10, "{steps}");
    Ok(())
}

#[test]
fn failures_and_restlessness_are_errors() -> millstream::Result<()> {
    let config = Config { keys_max: 2, ..Config::embedded() };
    let (mut driver, (input, _out)) = TestDriver::with_config(config, |p| {
        let (input, stream) = p.test_input::<u64>();
        Ok((input, stream.key_by(|n| *n).reduce(|_, _| ()).test_output()))
    })?;
    (0..3).for_each(|key| input.push(at(0), key));
    let failure = driver.settle().unwrap_err();
    assert!(failure.to_string().starts_with("reduce: 2 keys is the limit"), "{failure}");
    let (driver, (input, _out)) = TestDriver::new(|p| {
        let (input, stream) = p.test_input::<u64>();
        Ok((input, stream.flat_map(|_| 0..).test_output()))
    })?;
    input.push(at(0), 1);
    let restless = driver.steps_max(100).settle().unwrap_err().to_string();
    assert_eq!(restless, "pipeline: it still finds something to do after 100 steps in a row");
    Ok(())
}

/// A window's life at a glance.
const LATENESS: &str = "
    in    @1ms a:1  b:1   @12ms a:5
    in    |wm 10ms
    out   @10ms- a:1  b:1

    in    @2ms a:10                      # late, and still allowed
    out   @10ms- a:11~late1

    in    |wm 15ms  @3ms a:100           # too late
    late  @3ms a:100

    in    |end
    out   @20ms- a:5
";

fn lateness(text: &str) -> Result<(), millstream::testing::MarbleError> {
    Marbles::parse(text)?.run(|p, board| {
        let keyed = board.input::<(char, u64)>(p, "in").key_by(|pair| pair.0);
        let windows = keyed.window(Tumbling::of(ms(10))).allowed_lateness(ms(5));
        let (sums, late) = windows.aggregate_with_late(sum(|pair: &(char, u64)| pair.1));
        board.output("out", sums);
        board.output("late", late);
        Ok(())
    })
}

#[test]
fn marbles_of_a_window_with_lateness() {
    lateness(LATENESS).unwrap();
}

#[test]
fn what_differs_is_shown_where_it_stands() {
    let error = lateness(&LATENESS.replace("a:11~late1", "a:12~late1  b:1")).unwrap_err();
    let golden = "marbles:7:5: `out` is not as wanted\n\
                  \x20 want  @10ms- a:12~late1  b:1\n\
                  \x20 got   @10ms- a:11~late1  -\n\
                  \x20       ^^^^^^^^^^^^^^^^^";
    assert_eq!(error.to_string(), golden);
    // Nobody said that something comes there.
    let error = lateness(&LATENESS.replace("late  @3ms a:100", "")).unwrap_err();
    let golden = "marbles:12:5: `late` is not as wanted\n\
                  \x20 want  -\n\
                  \x20 got   @3ms a:100\n\
                  \x20       ^^^^^^^^^^";
    assert_eq!(error.to_string(), golden);
}

#[test]
fn what_cannot_be_played_is_named_with_its_place() {
    let cases = [
        ("im @1ms a:1", "marbles:1:1: no input or output is named `im`; there are: in, late, out"),
        ("in a:1", "marbles:1:4: a value needs a time: @1ms"),
        ("in @1ms a:x", "marbles:1:9: `a:x` cannot be read as (char, u64)"),
        ("in |wm 2ms |wm 1ms", "marbles:1:12: a watermark never goes back: it was at 2ms"),
        ("in |end @1ms a:1", "marbles:1:14: the input has ended"),
        ("in |idle\nout |idle", "marbles:2:5: this is something to say to an input"),
    ];
    for (text, reason) in cases {
        assert_eq!(lateness(text).unwrap_err().to_string(), reason, "{text}");
    }
}

#[test]
fn marbles_of_two_inputs_and_silence() {
    let case = "
        left   @1ms 1   |wm 20ms
        right  @2ms 2   |wm 5ms
        all    @10ms- ():0         # nothing: the right one holds it back
    ";
    let merged = |p: millstream::Pipeline<'_>, board: &mut millstream::testing::Board| {
        let left = board.input::<u64>(p, "left");
        let all = left.union(board.input::<u64>(p, "right")).key_by(|_| ());
        board.output("all", all.window(Tumbling::of(ms(10))).aggregate(sum(|n: &u64| *n)));
        Ok(())
    };
    let error = Marbles::parse(case).unwrap().run(merged).unwrap_err();
    assert!(error.reason.ends_with("got   -\n        ^^^^^^^^^^^"), "{error}");
    Marbles::check(
        "
        left   @1ms 1   |wm 20ms
        right  @2ms 2   |wm 5ms
        right  |idle
        all    @10ms- ():3
        ",
        merged,
    );
    Marbles::check(
        "
        left   @1ms 1   |end
        right  @2ms 2
        right  |end
        all    @10ms- ():3
        ",
        merged,
    );
}

#[test]
fn marbles_let_processing_time_pass() {
    let quiet = |p: millstream::Pipeline<'_>, board: &mut millstream::testing::Board| {
        let watermarks = || Watermarks::monotonic().idle_after(ms(5));
        let of = |stamp: &i64| at(*stamp);
        let left = board.input::<i64>(p, "left").event_time(of, watermarks());
        let right = board.input::<i64>(p, "right").event_time(of, watermarks());
        let windows = left.union(right).key_by(|_| 'k').window(Tumbling::of(ms(10)));
        board.output("counts", windows.aggregate(count()));
        Ok(())
    };
    Marbles::check(
        "
        right   @0ms 1
        wait    4ms
        left    @0ms 2 25
        wait    1ms                    # now the right one has been silent for long enough
        counts  @10ms- k:2
        ",
        quiet,
    );
}

/// A record of one's own.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Quote {
    bid: i64,
    ask: i64,
}

impl FromWord for Quote {
    fn from_word(word: &str) -> Option<Self> {
        let (bid, ask) = word.split_once('/')?;
        Some(Self { bid: bid.parse().ok()?, ask: ask.parse().ok()? })
    }
}

impl ToWord for Quote {
    fn to_word(&self) -> String {
        format!("{}/{}", self.bid, self.ask)
    }
}

#[test]
fn marbles_of_ones_own_records() {
    let case = "quotes @1us 9/11 8/7 10/12\n  good @1us 9/11 10/12\n  bad @1us 8/7";
    Marbles::check(case, |p, board| {
        let quotes = board.input::<Quote>(p, "quotes");
        let (good, bad) = quotes.split(|quote| quote.bid <= quote.ask);
        board.output("good", good);
        board.output("bad", bad);
        Ok(())
    });
}

fn numbers() -> Vec<Said<u64>> {
    (0..6).map(|n| Said::Record(n, n as u64)).collect()
}

#[test]
fn a_contract_that_is_kept() {
    let doubled = numbers().len() as u64;
    let want = (0..doubled).map(|n| (n as i64, 2 * n));
    Tester::new(case!(u64 => u64, |s| s.map(|n| 2 * n)), numbers(), want).check();
}

#[test]
fn a_contract_that_is_broken_says_in_which_way_and_how() {
    let want = (0..6).map(|n| (n, 2 * n as u64 + u64::from(n == 4)));
    let tester = Tester::new(case!(u64 => u64, |s| s.map(|n| 2 * n)), numbers(), want);
    let golden = "embedded, one record at a time, batches of 1, slices of 1 and room for 1024:\n\
                  result 5 of 6 differs\n\
                  \x20 both  2ns 4\n\
                  \x20 both  3ns 6\n\
                  \x20 want  4ns 9\n\
                  \x20 got   4ns 8";
    assert_eq!(tester.run().unwrap_err().to_string(), golden);
    let panic = catch_unwind(|| tester.check()).unwrap_err();
    assert_eq!(panic.downcast_ref::<String>().map(String::as_str), Some(golden));
}

/// Order between keys holds on one shard and by luck: several shards tell.
#[test]
fn a_contract_that_only_several_shards_break() {
    let steps = case!(u64 => (u64, u64), |s| s.key_by(|n| *n).reduce(|_, _| ()));
    let want = || (0..6).map(|n| (n, (n as u64, n as u64)));
    let broken = Tester::new(steps, numbers(), want()).run().unwrap_err();
    assert!(broken.way.contains("simulated shards under seed"), "{broken}");
    assert!(broken.what.contains("\n  want  "), "{broken}");
    let steps = case!(u64 => (u64, u64), |s| s.key_by(|n| *n).reduce(|_, _| ()));
    Tester::new(steps, numbers(), want()).by(|result| result.0).check();
}
