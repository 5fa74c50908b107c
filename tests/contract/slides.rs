//! What a slide costs does not depend on how long the window is.

use std::cell::Cell;

use millstream::window::Aggregate;
use millstream::{Config, Shard, Sliding, Timestamp, Watermarks, ns};

thread_local! {
    static DONE: Cell<u64> = const { Cell::new(0) };
}

fn count_one() {
    DONE.set(DONE.get() + 1);
}

/// The sum, counting what is combined and deducted.
struct Counted<const INVERTIBLE: bool>;

impl<const INVERTIBLE: bool> Aggregate<u64> for Counted<INVERTIBLE> {
    type Acc = u64;
    type Out = u64;
    const INVERTIBLE: bool = INVERTIBLE;

    fn accumulate(&self, acc: &mut u64, _at: Timestamp, value: &u64) {
        *acc += value;
    }

    fn combine(&self, acc: &mut u64, other: &u64) {
        count_one();
        *acc += other;
    }

    fn deduct(&self, acc: &mut u64, other: &u64) {
        count_one();
        *acc -= other;
    }

    fn finish(&self, acc: &u64) -> u64 {
        *acc
    }
}

const KEYS: u64 = 40;

/// What is combined and deducted a key and slide, over windows of so many slices.
fn work_of<const INVERTIBLE: bool>(slices: u64) -> f64 {
    let slide = KEYS;
    let (mut shard, mut input) = Shard::embed(Config::embedded(), |p| {
        let (input, stream) = p.input::<u64>();
        stream
            .event_time(|n| Timestamp(*n as i64), Watermarks::monotonic())
            .key_by(|n| n % KEYS)
            .window(Sliding::of(ns(slide * slices)).every(ns(slide)))
            .aggregate(Counted::<INVERTIBLE>)
            .for_each(|window| assert!(window.value.value > 0));
        Ok(input)
    })
    .expect("it can be built");
    let mut run = |slides: std::ops::Range<u64>| {
        DONE.set(0);
        for n in slides.start * slide..slides.end * slide {
            while input.push(Timestamp(0), n + 1).is_err() {
                shard.step(Timestamp(0));
            }
        }
        while !shard.step(Timestamp(0)).is_none() {}
        DONE.get() as f64 / ((slides.end - slides.start) * KEYS) as f64
    };
    run(0..slices);
    run(slices..2 * slices + 10)
}

#[test]
fn a_slide_does_not_cost_the_windows_length() {
    for (name, short, long) in [
        ("deducted", work_of::<true>(10), work_of::<true>(1_000)),
        ("not deducted", work_of::<false>(10), work_of::<false>(1_000)),
    ] {
        println!("{name}: {short:.2} a key and slide over 10 slices, {long:.2} over 1000");
        assert!(long < 2.0 * short, "{name}: {short} a key and slide, then {long}");
        assert!(long < 5.0, "{name}: {long} a key and slide");
    }
}
