//! Two streams as one in every way in which records may come.

use millstream::operators::{Either, Order};
use millstream::window::triggers;
use millstream::{KeyContext, Process, Tumbling, ns};

use super::support::joins::is_left;
use super::support::model::Row;
use super::support::tester::Tester;
use super::support::world::{at, disordered};
use super::{case, rows, said};

/// The difference of both sides so far, by key and in the order of time.
struct Balance;

impl Process for Balance {
    type Key = u64;
    type In = Either<Row, Row>;
    type State = i64;
    type Out = (u64, i64);
    const ORDER: Order = Order::Time;

    fn on_record(&mut self, record: Self::In, ctx: &mut KeyContext<'_, Self>) {
        let key = ctx.key();
        *ctx.state() += match record {
            Either::Left(row) => row.value,
            Either::Right(row) => -row.value,
        };
        let balance = *ctx.state();
        ctx.emit((key, balance));
    }
}

#[test]
fn a_function_of_two_inputs() {
    let steps = case!(Row => (u64, i64), |s| {
        let (left, right) = s.event_time(at, disordered(46)).split(is_left);
        let (left, right) = (left.key_by(|row| row.key), right.key_by(|row| row.key));
        left.connect(right).process(Balance)
    });
    // Two of one time and key would have no order between the two streams.
    let (mut rows, mut seen) = (rows(), std::collections::BTreeSet::new());
    rows.retain(|row| seen.insert((row.at, row.key)));
    let mut sorted = rows.clone();
    sorted.sort_by_key(|row| row.at);
    let mut balances = std::collections::BTreeMap::new();
    let want = sorted.into_iter().map(|row| {
        let balance = balances.entry(row.key).or_insert(0);
        *balance += if is_left(&row) { row.value } else { -row.value };
        (row.at, (row.key, *balance))
    });
    let want: Vec<_> = want.collect();
    Tester::new(steps, said(&rows), want).by(|(key, _)| *key).check();
}

#[test]
fn streams_without_key() {
    let steps = case!(u64 => (bool, u64), |s| {
        let (even, odd) = s.split(|n| n % 2 == 0);
        even.connect(odd.map(|n| (n, n))).map(|either| match either {
            Either::Left(n) => (true, n),
            Either::Right((n, _)) => (false, n),
        })
    });
    let said = super::numbers();
    let want: Vec<_> =
        super::records(&said).into_iter().map(|(at, n)| (at, (n % 2 == 0, n))).collect();
    Tester::new(steps, said, want).by(|(is_even, _)| u64::from(*is_even)).check();
}

/// All that three streams have of a key in a window, as sums.
#[test]
fn a_co_group_of_three() {
    let steps = case!(Row => (u64, [i64; 3]), |s| {
        let (third, rest) = s.event_time(at, disordered(46)).split(|row| row.value % 3 == 0);
        let (left, right) = rest.split(is_left);
        let both = left.key_by(|row| row.key).connect(right.key_by(|row| row.key));
        let windows = both.connect(third.key_by(|row| row.key)).window(Tumbling::of(ns(40)));
        let windows = windows.trigger(triggers::event_time()).apply(|_, _, records| {
            let mut sums = [0; 3];
            for record in records {
                match record.value {
                    Either::Left(Either::Left(row)) => sums[0] += row.value,
                    Either::Left(Either::Right(row)) => sums[1] += row.value,
                    Either::Right(row) => sums[2] += row.value,
                }
            }
            sums
        });
        windows.map(|window| (window.key, window.value))
    });
    let mut want = std::collections::BTreeMap::<(i64, u64), [i64; 3]>::new();
    for row in rows() {
        let side = if row.value % 3 == 0 { 2 } else { usize::from(!is_left(&row)) };
        let end = (row.at.div_euclid(40) + 1) * 40;
        want.entry((end - 1, row.key)).or_default()[side] += row.value;
    }
    let want = want.into_iter().map(|((at, key), sums)| (at, (key, sums)));
    Tester::new(steps, said(&rows()), want.collect::<Vec<_>>()).by(|group| group.0).check();
}
