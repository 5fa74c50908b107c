//! One stream becomes two.

use super::{case, numbers, records};
use crate::support::tester::Tester;

#[test]
fn split_and_union() {
    let steps = case!(u64 => u64, |s| {
        let (even, odd) = s.split(|n| n % 2 == 0);
        even.union(odd.map(|n| n + 100))
    });
    let both = |(at, n): (i64, u64)| (at, n + 100 * (n % 2));
    let want = records(&numbers()).into_iter().map(both);
    Tester::new(steps, numbers(), want).by(|n| n % 2).check();
}

#[test]
fn side_output() {
    let steps = case!(u64 => (bool, String), |s| {
        let (main, side) = s.side_output(|n| if n < 4 { Ok(n) } else { Err(n.to_string()) });
        main.map(|n| (true, n.to_string())).union(side.map(|text| (false, text)))
    });
    let want = records(&numbers()).into_iter().map(|(at, n)| (at, (n < 4, n.to_string())));
    Tester::new(steps, numbers(), want).by(|text| text.0.into()).check();
}

#[test]
fn tee() {
    let steps = case!(u64 => (bool, u64), |s| {
        let (main, side) = s.tee();
        main.map(|n| (true, n)).union(side.map(|n| (false, n)))
    });
    let both = |(at, n)| [(at, (true, n)), (at, (false, n))];
    let want = records(&numbers()).into_iter().flat_map(both);
    Tester::new(steps, numbers(), want).by(|of| of.0.into()).check();
}
