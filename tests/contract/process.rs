//! Process functions and expiring state through the tester.

use millstream::{KeyContext, Process, SideOutput, Stage, Stream, Timer, Timestamp, Ttl, ns};

use super::support::machine::{
    Life, Machine, Told, by_marks, is_record, machine, machine_by_time, mark,
    said as said_with_marks,
};
use super::support::model::watermarks;
use super::support::tester::Tester;
use super::support::world::{at, disordered};
use super::support::{Row, Said};
use super::{rows, said};
use crate::case;

/// Rows that give every order, and marks of which some are too far ahead.
fn orders() -> Vec<Row> {
    let mut all = Vec::new();
    for (n, row) in rows().into_iter().enumerate() {
        all.push(Row { value: row.value * 7 + row.at, ..row });
        if n % 4 == 3 {
            all.push(mark(row.at + [-30, 5, 0][n % 3]));
        }
    }
    all
}

fn check(case: impl super::support::tester::Case<In = Row, Out = Told>, life: Option<Life>) {
    let rows = orders();
    Tester::new(case, said_with_marks(&rows), machine(&rows, life)).by(|told| told.0).check();
}

#[test]
fn process() {
    let steps = case!(Row => Told, |s| {
        let timed = s.event_time(at, by_marks()).filter(is_record);
        timed.key_by(|row| row.key).process(Machine::<false>)
    });
    check(steps, None);
}

#[test]
fn process_with_ttl() {
    let steps = case!(Row => Told, |s| {
        let timed = s.event_time(at, by_marks()).filter(is_record);
        timed.key_by(|row| row.key).ttl(Ttl::of(ns(25)).on_read()).process(Machine::<false>)
    });
    check(steps, Some(Life { span: 25, on_read: true }));
}

#[test]
fn process_with_state_on_the_heap() {
    let steps = case!(Row => Told, |s| {
        let timed = s.event_time(at, by_marks()).filter(is_record);
        timed.key_by(|row| row.key).process_heap(Machine::<false>)
    });
    check(steps, None);
}

#[test]
fn process_in_the_order_of_time() {
    let steps = case!(Row => Told, |s| {
        let timed = s.event_time(at, disordered(20));
        timed.key_by(|row| row.key).process(Machine::<true>)
    });
    let rows: Vec<_> = orders().into_iter().filter(is_record).collect();
    let before = watermarks(&rows, 20);
    let want = machine_by_time(rows.iter().copied().zip(before), None);
    Tester::new(steps, said(&rows), want).by(|told| told.0).check();
}

/// Divides numbers among two side outputs and the main one; a timer tells how many came.
struct Sorting {
    even: SideOutput<(u64, i64)>,
    names: SideOutput<String>,
}

impl Process for Sorting {
    type Key = u64;
    type In = Row;
    type State = i64;
    type Out = i64;

    fn on_record(&mut self, row: Row, ctx: &mut KeyContext<'_, Self>) {
        *ctx.state() += 1;
        ctx.set_timer(Timestamp(1_000));
        match row.value {
            n if n % 2 == 0 => ctx.emit_to(&self.even, (ctx.key(), n)),
            n if n % 3 == 0 => {
                ctx.emit_to(&self.names, format!("{n}"));
                ctx.emit_to(&self.names, format!("{n} again"));
            }
            n => ctx.emit(n),
        }
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyContext<'_, Self>) {
        let count = *ctx.state();
        ctx.emit_to(&self.even, (ctx.key(), count));
        ctx.emit(timer.at.0);
    }
}

/// Which output, and what came out.
type Out = (u8, String);

fn sorted_apart<'p>(
    stream: Stream<'p, impl Stage<Out = Row>>,
) -> Stream<'p, impl Stage<Out = Out>> {
    // One key, so that each output has an order.
    let keyed = stream.event_time(at, disordered(100)).key_by(|_| 4u64);
    let (main, (even, names)) = keyed.process_with(|outputs| {
        let (even, evens) = outputs.side("even");
        let (names, all_names) = outputs.side("names");
        (Sorting { even, names }, (evens, all_names))
    });
    let main = main.map(|n| (0, n.to_string()));
    let even = even.map(|(key, n)| (1, format!("{key}: {n}")));
    main.union(even).union(names.map(|name| (2, name)))
}

#[test]
fn side_outputs_of_a_process_function() {
    let mut want: Vec<(i64, Out)> = Vec::new();
    for row in rows() {
        match row.value {
            n if n % 2 == 0 => want.push((row.at, (1, format!("4: {n}")))),
            n if n % 3 == 0 => {
                want.extend(["", " again"].map(|s| (row.at, (2, format!("{n}{s}")))))
            }
            n => want.push((row.at, (0, n.to_string()))),
        }
    }
    want.extend([(1_000, (0, "1000".to_owned())), (1_000, (1, "4: 60".to_owned()))]);
    let steps = case!(Row => Out, |s| sorted_apart(s));
    Tester::new(steps, said(&rows()), want).by(|out| out.0.into()).check();
}

/// Without a key: one state on each shard.
struct Numbered;

impl Process for Numbered {
    type Key = ();
    type In = u64;
    type State = u64;
    type Out = (u64, u64);

    fn on_record(&mut self, n: u64, ctx: &mut KeyContext<'_, Self>) {
        *ctx.state() += 1;
        let count = *ctx.state();
        (0..n % 3).for_each(|_| ctx.emit((count, n)));
    }
}

#[test]
fn process_without_key() {
    let steps = case!(u64 => (u64, u64), |s| s.process(Numbered));
    let said: Vec<_> = (0..40).map(|n| Said::Record(n, n as u64)).collect();
    let want = (0..40).flat_map(|n| {
        let times = n as usize % 3;
        std::iter::repeat_n((n, (n as u64 + 1, n as u64)), times)
    });
    Tester::new(steps, said, want).check();
}

#[test]
fn reduce_with_ttl() {
    let steps = case!(Row => (u64, i64), |s| {
        let timed = s.event_time(at, disordered(46)).map(|row| (row.key, row.value));
        let keyed = timed.key_by(|pair| pair.0).ttl(Ttl::of(ns(60)));
        keyed.reduce(|sum, pair| sum.1 += pair.1).map(|(key, sum)| (key, sum.1))
    });
    let mut sums = std::collections::BTreeMap::<u64, (i64, i64)>::new();
    let want: Vec<_> = rows()
        .iter()
        .map(|row| {
            let (sum, end) = sums
                .get(&row.key)
                .copied()
                .filter(|(_, end)| row.at < *end)
                .unwrap_or((0, i64::MIN));
            let sum = (sum + row.value, end.max(row.at + 60));
            sums.insert(row.key, sum);
            (row.at, (row.key, sum.0))
        })
        .collect();
    Tester::new(steps, said(&rows()), want).by(|sum| sum.0).check();
}

#[test]
fn deduplicate() {
    let steps = case!(Row => Row, |s| s.key_by(|row| row.key).deduplicate());
    let mut seen = std::collections::BTreeSet::new();
    let want = rows().into_iter().filter(|row| seen.insert(row.key)).map(|row| (row.at, row));
    Tester::new(steps, said(&rows()), want.collect::<Vec<_>>()).by(|row| row.key).check();
}
