//! Queues against brute force, and what a push and a pop cost.

use std::cell::Cell;
use std::collections::VecDeque;

use super::*;
use crate::time::Timestamp;
use crate::window::affine::{Affine, Compose, Undo};

type Model = VecDeque<(Affine, u64)>;

fn check<A: Aggregate<Affine, Acc = Affine>>(
    aggregate: &A,
    chunks: &Chunks<Entry<Affine, u64>>,
    fifo: &Fifo<Affine>,
    model: &Model,
) {
    let mut want = Affine::default();
    for (value, _) in model {
        aggregate.accumulate(&mut want, Timestamp(0), value);
    }
    assert_eq!(fifo.total(chunks, aggregate), want);
    assert_eq!(fifo.len() as usize, model.len());
    assert_eq!(fifo.front(chunks), model.front().map(|(_, tag)| *tag));
}

/// Queues of several keys in one pool; each grows and shrinks by chance.
fn against_brute_force<A: Aggregate<Affine, Acc = Affine>>(aggregate: &A, seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut chunks = Chunks::new();
    let mut keys: Vec<(Fifo<Affine>, Model)> = vec![Default::default(); 5];
    for n in 0..6_000u64 {
        let (fifo, model) = &mut keys[rng.usize(..5)];
        let grows = rng.u64(..100) < 35 + 30 * (n / 1_000 % 2);
        if grows {
            let value = Affine { scale: rng.u64(..) | 1, shift: rng.u64(..) };
            fifo.push(&mut chunks, aggregate, value, n);
            model.push_back((value, n));
        } else {
            let popped = fifo.pop(&mut chunks, aggregate);
            assert_eq!(popped, model.pop_front().map(|(_, tag)| tag));
        }
        check(aggregate, &chunks, fifo, model);
    }
}

#[test]
fn totals_are_those_of_brute_force() {
    for seed in 0..8 {
        against_brute_force(&Compose::default(), seed);
        against_brute_force(&Undo(Compose::default()), seed);
    }
}

#[test]
fn every_window_length_agrees_from_empty_to_full_and_back() {
    let aggregate = Compose::default();
    for len in 1..70u64 {
        let (mut chunks, mut fifo, mut model) =
            (Chunks::new(), Fifo::<Affine>::default(), Model::new());
        for n in 0..3 * len {
            let value = Affine { scale: 2 * n + 3, shift: n };
            fifo.push(&mut chunks, &aggregate, value, n);
            model.push_back((value, n));
            if model.len() as u64 > len {
                fifo.pop(&mut chunks, &aggregate);
                model.pop_front();
            }
            check(&aggregate, &chunks, &fifo, &model);
        }
        while model.pop_front().is_some() {
            fifo.pop(&mut chunks, &aggregate);
            check(&aggregate, &chunks, &fifo, &model);
        }
        assert!(chunks.is_empty());
    }
}

/// The most combinations that one push, one pop, and one query took.
fn worst<A: Aggregate<Affine, Acc = Affine>>(
    aggregate: &A,
    combined: &Cell<u64>,
    len: u64,
) -> [u64; 3] {
    let (mut chunks, mut fifo) = (Chunks::new(), Fifo::<Affine>::default());
    let mut worst = [0; 3];
    let mut note = |what: usize, combined: &Cell<u64>| {
        worst[what] = combined.take().max(worst[what]);
    };
    for n in 0..len * 5 / 2 {
        fifo.push(&mut chunks, aggregate, Affine { scale: 3, shift: n }, n);
        note(0, combined);
        if u64::from(fifo.len()) > len {
            fifo.pop(&mut chunks, aggregate);
            note(1, combined);
        }
        fifo.total(&chunks, aggregate);
        note(2, combined);
    }
    while fifo.pop(&mut chunks, aggregate).is_some() {
        note(1, combined);
    }
    worst
}

/// `FIFO_LENGTH_MAX=10000000` looks at longer ones.
#[test]
fn a_push_and_a_pop_cost_the_same_at_any_length() {
    let asked = std::env::var("FIFO_LENGTH_MAX").ok().and_then(|most| most.parse().ok());
    let most = asked.unwrap_or(100_000);
    for len in (2..8).map(|digits| 10u64.pow(digits)).take_while(|len| *len <= most) {
        let compose = Compose::default();
        assert_eq!(worst(&compose, &compose.combined, len), [3, 2, 1], "{len} entries");
        let undo = Undo(Compose::default());
        assert_eq!(worst(&undo, &undo.0.combined, len), [1, 1, 0], "{len} entries");
    }
}
