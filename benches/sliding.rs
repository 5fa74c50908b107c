//! What a slide costs by how many records the window holds: one record comes, the oldest goes, and
//! the aggregate of all that are left is asked for.
//!
//! | name | how it is done |
//! |---|---|
//! | `fifo sum` | `window::Fifo` with an aggregate that can deduct |
//! | `fifo max` | `window::Fifo` with one that cannot: DABA Lite |
//! | `tree in order` | `window::Tree`, maximum, records in order of time |
//! | `tree disordered` | the same, each record up to 64 places late |
//! | `two stacks` | baseline, maximum: constant on the average, all of the window at worst |
//! | `recompute` | baseline, maximum: goes over the window each time; with 100 records only |
//!
//! With 100, 10 000 and 1 000 000 records; 10 000 000 too if `MILLSTREAM_BENCH_LONG` is set. First
//! it prints the most combinations that any single push, pop or question took: what the averages
//! hide, and the same on every machine.
//!
//! Run it with `cargo bench --bench sliding`; `cargo bench --bench sliding -- --test` runs each
//! once.

mod rooms;

use std::cell::Cell;
use std::rc::Rc;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion};
use millstream::Timestamp;
use millstream::window::Aggregate;
use rooms::slices::{
    DISORDER, OneKey, Queue, Recompute, Records, Sliding, Sorted, TwoStacks, fifo_max, fifo_sum,
    recompute, tree_disordered, tree_in_order, two_stacks,
};

/// Records of the windows whose worst operation is looked for.
const COUNTED: i64 = 1_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    print_worst();
    let mut lengths = vec![100, 10_000, 1_000_000];
    if std::env::var_os("MILLSTREAM_BENCH_LONG").is_some() {
        lengths.push(10_000_000);
    }
    let mut group = criterion.benchmark_group("slide");
    for length in lengths {
        slide(&mut group, "fifo sum", length, fifo_sum);
        slide(&mut group, "fifo max", length, fifo_max);
        slide(&mut group, "tree in order", length, tree_in_order);
        slide(&mut group, "tree disordered", length, tree_disordered);
        slide(&mut group, "two stacks", length, two_stacks);
        if length == 100 {
            slide(&mut group, "recompute", length, recompute);
        }
    }
    group.finish();
    criterion.final_summary();
}

fn slide<W: OneKey>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    length: i64,
    full: impl Fn(i64) -> Sliding<W>,
) {
    group.bench_function(BenchmarkId::new(name, length), |bencher| {
        let mut window = full(length);
        bencher.iter(|| window.slide());
    });
}

/// Prints what the worst operation of each window was; all must have the same totals.
fn print_worst() {
    println!("most combinations of one operation, with {COUNTED} records in the window:");
    let totals = [
        worst("fifo sum", 0, |calls| Queue::new(Counted::<true>(calls))),
        worst("fifo max", 0, |calls| Queue::new(Counted::<false>(calls))),
        worst("tree in order", 0, |calls| Sorted::new(Counted::<false>(calls))),
        worst("two stacks", 0, |calls| TwoStacks::new(Counted::<false>(calls))),
        worst("recompute", 0, |calls| Recompute::new(Counted::<false>(calls))),
    ];
    assert_eq!(totals, [totals[0]; 5]);
    worst("tree disordered", DISORDER, |calls| Sorted::new(Counted::<false>(calls)));
}

/// Prints the most combinations of one operation and returns a checksum of all totals.
fn worst<W: OneKey<Acc = i64>>(name: &str, disorder: i64, new: impl Fn(Rc<Cell<u64>>) -> W) -> i64 {
    let calls = Rc::new(Cell::new(0));
    let (mut window, mut records) = (new(calls.clone()), Records::new(disorder));
    let (mut most, mut totals) = (0, 0i64);
    for n in 0..4 * COUNTED {
        records.push_into(&mut window);
        most = most.max(calls.take());
        if n >= COUNTED {
            window.pop();
            most = most.max(calls.take());
        }
        totals = totals.wrapping_mul(31).wrapping_add(window.total());
        most = most.max(calls.take());
    }
    println!("  {name:<16} {most:>5}");
    totals
}

/// An aggregate that counts how often it is asked to combine or deduct.
struct Counted<const INVERSE: bool>(Rc<Cell<u64>>);

impl<const INVERSE: bool> Aggregate<i64> for Counted<INVERSE> {
    type Acc = i64;
    type Out = i64;
    const INVERTIBLE: bool = INVERSE;

    fn accumulate(&self, acc: &mut i64, _at: Timestamp, value: &i64) {
        *acc += value;
    }

    fn combine(&self, acc: &mut i64, other: &i64) {
        self.0.set(self.0.get() + 1);
        *acc += other;
    }

    fn deduct(&self, acc: &mut i64, other: &i64) {
        self.0.set(self.0.get() + 1);
        *acc -= other;
    }

    fn finish(&self, acc: &i64) -> i64 {
        *acc
    }
}
