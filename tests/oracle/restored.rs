//! A run that is interrupted again and again, each time going on from a snapshot in a fresh
//! instance, against the same run undisturbed: the same records, with the same times, in the same
//! order.

use std::fmt::Debug;

use millstream::join::{after, before};
use millstream::testing::{Case, TestDriver};
use millstream::window::triggers::{any as either, continuous, count, purging};
use millstream::{
    Config, KeyContext, Process, Session, Sliding, Snapshot, Stage, Stream, Timer, Timestamp, Ttl,
    ns,
};
use proptest::prelude::*;

use super::process::{life, marked_rows, ttl};
use super::sliding::back;
use super::support::joins::is_left;
use super::support::machine::{Life, Machine, by_marks, is_record};
use super::support::sessions::Gap;
use super::support::sliding::Back;
use super::support::tables::{names, upsert};
use super::support::world::{all, at, disordered, invertible, window_of};
use super::support::{Cut, Row};
use super::{cases, cut, rows};

/// How a run goes: what is said between two moments of rest, and after which of them it is
/// restored.
#[derive(Clone, Debug)]
struct Course {
    config: Config,
    /// For each record: whether the pipeline comes to rest after it, and whether it is restored.
    marks: Vec<(bool, bool)>,
}

fn course() -> impl Strategy<Value = Course> {
    let sizes = (prop::sample::select(&[1, 2, 7, 256][..]), prop::sample::select(&[1, 3, 256][..]));
    let marks = prop::collection::vec((any::<bool>(), any::<bool>()), 1..40);
    (sizes, any::<u64>(), marks).prop_map(|((batch_max, fire_max), hash_seed, marks)| {
        let config = Config { batch_max, fire_max, hash_seed, ..Config::embedded() };
        Course { config, marks }
    })
}

/// What has come out so far.
type Came<T> = Vec<(i64, T)>;

/// Says it all to a pipeline of these steps and, if it is to be restored, to one after the other.
/// Processing time passes with the records.
fn run<C: Case>(steps: &C, course: &Course, rows: &[(i64, C::In)], restores: bool) -> Came<C::Out> {
    let build = |from: Option<&Snapshot>| {
        let config = course.config.clone();
        let built = TestDriver::with_config(config, |p| {
            let (input, stream) = p.test_input();
            Ok((input, steps.build(stream).test_output()))
        });
        let (mut driver, handles) = built.unwrap();
        if let Some(snapshot) = from {
            driver.restore(snapshot).unwrap();
        }
        (driver, handles)
    };
    let mut came = Vec::new();
    let (mut driver, (mut input, mut output)) = build(None);
    for ((at, row), (rests, is_restored)) in rows.iter().zip(course.marks.iter().cycle()) {
        input.push(Timestamp(*at), row.clone());
        if !*rests {
            continue;
        }
        driver.advance(ns(10)).unwrap();
        came.extend(output.take());
        if restores && *is_restored {
            let snapshot = driver.snapshot().unwrap();
            (driver, (input, output)) = build(Some(&snapshot));
        }
    }
    input.close();
    driver.settle().unwrap();
    assert!(driver.is_done() && output.has_ended());
    came.extend(output.take());
    came.into_iter().map(|record| (record.at.0, record.value)).collect()
}

/// The run with restores is the run without.
fn check<C: Case<In = Row>>(steps: &C, course: &Course, rows: &[Row]) -> Result<(), TestCaseError> {
    let rows: Vec<_> = rows.iter().map(|row| (row.at, *row)).collect();
    let (want, got) = (run(steps, course, &rows, false), run(steps, course, &rows, true));
    prop_assert_eq!(got, want);
    Ok(())
}

fn told(what: &impl Debug) -> String {
    format!("{what:?}")
}

/// Windows, and what was too late for them.
#[derive(Debug)]
struct Windows {
    cut: Cut,
    disorder: i64,
    inverts: bool,
}

impl Case for Windows {
    type In = Row;
    type Out = String;

    fn build<'p, S: Stage<Out = Row>>(
        &self,
        stream: Stream<'p, S>,
    ) -> Stream<'p, impl Stage<Out = String>> {
        let inverts = self.inverts;
        let (some, others) =
            stream.event_time(at, disordered(self.disorder)).split(move |_| inverts);
        let (cut, lateness) = (self.cut, ns(self.cut.lateness as u64));
        let windows = |keyed: millstream::Keyed<'p, u64, Row>| {
            keyed.window(window_of(cut)).allowed_lateness(lateness)
        };
        let (sums, gone) = windows(some.key_by(|row| row.key)).aggregate_with_late(invertible());
        let (all, late) = windows(others.key_by(|row| row.key)).aggregate_with_late(all());
        let results = sums.map(|sum| told(&sum)).union(all.map(|result| told(&result)));
        results.union(gone.union(late).map(|row| told(&row)))
    }
}

/// Sessions, and what was too late for them.
struct Sessions {
    gap: Gap,
    lateness: i64,
    disorder: i64,
}

impl Case for Sessions {
    type In = Row;
    type Out = String;

    fn build<'p, S: Stage<Out = Row>>(
        &self,
        stream: Stream<'p, S>,
    ) -> Stream<'p, impl Stage<Out = String>> {
        let gap = self.gap;
        let keyed = stream.event_time(at, disordered(self.disorder)).key_by(|row| row.key);
        let sessions = keyed.session(Session::gap_by(move |row: &Row| gap.said(row)));
        let sessions = sessions.allowed_lateness(ns(self.lateness as u64));
        let (results, late) = sessions.aggregate_with_late(all());
        results.map(|result| told(&result)).union(late.map(|row| told(&row)))
    }
}

/// Windows that end at each record, and what was too late for them.
struct Rolled {
    back: Back,
    disorder: i64,
}

impl Case for Rolled {
    type In = Row;
    type Out = String;

    fn build<'p, S: Stage<Out = Row>>(
        &self,
        stream: Stream<'p, S>,
    ) -> Stream<'p, impl Stage<Out = String>> {
        let keyed = stream.event_time(at, disordered(self.disorder)).key_by(|row| row.key);
        let (results, late) = keyed.rolling(self.back.rolling()).aggregate_with_late(all());
        results.map(|result| told(&result)).union(late.map(|row| told(&row)))
    }
}

/// The machine, with its memory in a table, for a while, and on the heap, and timers of both
/// clocks.
struct Machines {
    life: Option<Life>,
}

/// Tells of silence by processing time.
#[derive(Clone, Copy)]
struct Silent;

impl Process for Silent {
    type Key = u64;
    type In = Row;
    type State = i64;
    type Out = (u64, i64);

    fn on_record(&mut self, row: Row, ctx: &mut KeyContext<'_, Self>) {
        *ctx.state() += row.value;
        ctx.set_timer(Timer::processing(ctx.now() + ns(row.value.unsigned_abs())));
    }

    fn on_timer(&mut self, _: Timer, ctx: &mut KeyContext<'_, Self>) {
        let sum = *ctx.state();
        ctx.emit((ctx.key(), sum));
    }
}

impl Case for Machines {
    type In = Row;
    type Out = String;

    fn build<'p, S: Stage<Out = Row>>(
        &self,
        stream: Stream<'p, S>,
    ) -> Stream<'p, impl Stage<Out = String>> {
        let timed = stream.event_time(at, by_marks()).filter(is_record);
        let (some, others) = timed.split(|row| row.key % 2 == 0);
        let (heap, wall) = others.split(|row| row.key % 3 == 0);
        let life = self.life.map_or(Ttl::of(ns(1 << 60)), ttl);
        let machine = some.key_by(|row| row.key).ttl(life).process(Machine::<false>);
        let heap = heap.key_by(|row| row.key).process_heap(Machine::<true>);
        let wall = wall.key_by(|row| row.key).process(Silent).map(|told| (told.0, 0, told.1, 0, 0));
        machine.union(heap).union(wall).map(|what| told(&what))
    }
}

/// What else keeps something: running values that expire, first records, counted windows, windows
/// with triggers and records, all in one order.
struct Others {
    life: Option<Life>,
    disorder: i64,
}

impl Case for Others {
    type In = Row;
    type Out = String;

    fn build<'p, S: Stage<Out = Row>>(
        &self,
        stream: Stream<'p, S>,
    ) -> Stream<'p, impl Stage<Out = String>> {
        let life = self.life.map_or(Ttl::of(ns(1 << 60)), ttl);
        let timed = stream.event_time(at, disordered(self.disorder));
        let (running, rest) = timed.split(|row| row.key % 4 == 0);
        let (first, rest) = rest.split(|row| row.key % 4 == 1);
        let (counted, triggered) = rest.split(|row| row.key % 4 == 2);
        let running = running.key_by(|row| row.key).ttl(life).reduce(|sum, row| {
            sum.value += row.value;
        });
        let first = first.key_by(|row| row.key).ttl(life).deduplicate();
        let counted = counted.key_by(|row| row.key).count_window(5).every(2).emit_incomplete();
        let windows = window_of(Cut { size: 40, slide: 20, offset: 3, lateness: 0 });
        let trigger = either(count(3), purging(continuous(ns(30))));
        let triggered = triggered.key_by(|row| row.key).window(windows).trigger(trigger);
        let triggered = triggered.apply(|key, span, rows| told(&(*key, span, rows.len())));
        let results = running.map(|row| told(&row)).union(first.map(|row| told(&row)));
        let windows = counted.aggregate(all()).map(|result| told(&result));
        results
            .union(windows)
            .union(triggered.map(|result| told(&result)))
            .ordered(|told| std::cmp::Reverse(told.clone()))
    }
}

/// Joins of all kinds that keep something, all in one order.
struct Joins {
    disorder: i64,
    lateness: i64,
}

impl Case for Joins {
    type In = Row;
    type Out = String;

    fn build<'p, S: Stage<Out = Row>>(
        &self,
        stream: Stream<'p, S>,
    ) -> Stream<'p, impl Stage<Out = String>> {
        let (near, rest) =
            stream.event_time(at, disordered(self.disorder)).split(|row| row.key % 4 == 0);
        let (windows, rest) = rest.split(|row| row.key % 4 == 1);
        let (asof, tables) = rest.split(|row| row.key % 4 == 2);
        let lateness = ns(self.lateness as u64);
        let key = |row: &Row| row.key;
        let (left, right) = near.split(is_left);
        let join = left.key_by(key).interval_join(right.key_by(key));
        let join = join.between(before(ns(30)), after(ns(20))).allowed_lateness(lateness);
        let near = join.select_full(|l, r| told(&(l, r)));
        let (left, right) = windows.split(is_left);
        let join = left.key_by(key).window_join(right.key_by(key));
        let join = join.window(Sliding::of(ns(40)).every(ns(2))).allowed_lateness(lateness);
        let windows = join.select_full(|l, r| told(&(l, r)));
        let (left, right) = asof.split(is_left);
        let join = left.key_by(key).asof_join(right.key_by(key)).nearest().tolerance(ns(50));
        let asof = join.allowed_lateness(lateness).select_left(|l, r| told(&(l, r)));
        let (left, right) = tables.split(is_left);
        let left = left.key_by(key).table(upsert);
        let join = left.join_foreign(right.key_by(key).table(upsert), |_, row| names(row));
        let tables = join.select_left(|l, r| (*l, r.copied())).to_changes();
        let results = near.union(windows).union(asof).union(tables.map(|change| told(&change)));
        results.ordered(|told| std::cmp::Reverse(told.clone()))
    }
}

proptest! {
    #![proptest_config(cases(80))]

    #[test]
    fn windows_go_on_as_if_nothing_had_been(
        course in course(),
        rows in rows(100),
        cut in cut(),
        disorder in 0..60i64,
        inverts in any::<bool>(),
    ) {
        check(&Windows { cut, disorder, inverts }, &course, &rows)?;
    }

    #[test]
    fn sessions_go_on_as_if_nothing_had_been(
        course in course(),
        rows in rows(100),
        gap in prop_oneof![(1..80i64).prop_map(Gap::Fixed), (2..80i64).prop_map(Gap::ByValue)],
        lateness in prop_oneof![Just(0i64), 1..200i64],
        disorder in 0..60i64,
    ) {
        check(&Sessions { gap, lateness, disorder }, &course, &rows)?;
    }

    #[test]
    fn rolling_windows_go_on_as_if_nothing_had_been(
        course in course(),
        rows in rows(100),
        back in back(),
        disorder in 0..60i64,
    ) {
        check(&Rolled { back, disorder }, &course, &rows)?;
    }

    #[test]
    fn process_functions_go_on_as_if_nothing_had_been(
        course in course(),
        rows in marked_rows(100),
        life in life(),
    ) {
        check(&Machines { life }, &course, &rows)?;
    }

    #[test]
    fn everything_else_goes_on_as_if_nothing_had_been(
        course in course(),
        rows in rows(100),
        life in life(),
        disorder in 0..60i64,
    ) {
        check(&Others { life, disorder }, &course, &rows)?;
    }

    #[test]
    fn joins_go_on_as_if_nothing_had_been(
        course in course(),
        rows in rows(100),
        disorder in 0..60i64,
        lateness in prop_oneof![Just(0i64), 1..60i64],
    ) {
        check(&Joins { disorder, lateness }, &course, &rows)?;
    }
}
