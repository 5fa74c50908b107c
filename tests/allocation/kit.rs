//! The tester of the public kit, with the allocator that counts.

use millstream::aggregates::sum;
use millstream::testing::{Said, Tester};
use millstream::{Tumbling, case, ns};

use super::calls::CALLS;

fn allocator_calls() -> u64 {
    CALLS.get()
}

/// A record in each nanosecond; a window of ten closes at every tenth.
fn numbers() -> impl Iterator<Item = Said<u64>> {
    (0..400).map(|n| Said::Record(n, n as u64))
}

#[test]
fn a_window_keeps_the_contract_without_allocating() {
    let steps = case!(u64 => u64, |stream| {
        let windows = stream.key_by(|_| ()).window(Tumbling::of(ns(10)));
        windows.aggregate(sum(|n: &u64| *n)).map(|window| window.value)
    });
    let want = (0..40).map(|w| (10 * w + 9, (10 * w..10 * w + 10).sum::<i64>() as u64));
    Tester::new(steps, numbers(), want).allocating(200, allocator_calls).check();
}

#[test]
fn a_step_that_allocates_breaks_the_contract() {
    let steps = case!(u64 => usize, |stream| stream.map(|n| format!("{n}").len()));
    let want = (0..400).map(|n: i64| (n, n.to_string().len()));
    let tester = Tester::new(steps, numbers(), want).allocating(300, allocator_calls);
    let golden = "embedded, one record at a time, after the first 300:\n\
                  steps called the allocator 200 times";
    assert_eq!(tester.run().unwrap_err().to_string(), golden);
}
