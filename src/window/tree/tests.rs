//! Trees against brute force, and what an insertion, a departure and a query cost.

use super::nodes::WIDTH;
use super::*;
use crate::window::affine::{Affine, Compose};

/// A record of which nothing is to be aggregated twice by chance.
fn value(rng: &mut fastrand::Rng) -> Affine {
    Affine { scale: rng.u64(..), shift: rng.u64(..) }
}

type Model = Vec<(i64, Affine)>;

fn check(nodes: &Nodes<Affine, Affine>, tree: &Tree, model: &Model) {
    let aggregate = Compose::default();
    let mut want = Affine::default();
    model.iter().for_each(|(_, value)| aggregate.combine(&mut want, value));
    assert_eq!(tree.total(nodes, &aggregate), want);
    let front = tree.front(nodes).map(|(at, value)| (at.0, value));
    assert_eq!(front, model.first().copied());
    assert_eq!(tree.is_empty(), model.is_empty());
}

/// Trees that share nodes, with insertions up to `disorder` before the end and departures of every
/// kind. Times are often equal.
fn against_brute_force(seed: u64, disorder: i64, steps: i64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let (aggregate, mut nodes) = (Compose::default(), Nodes::new());
    let mut keys: Vec<(Tree, Model)> = vec![Default::default(); 3];
    for step in 0..steps {
        let (tree, model) = &mut keys[rng.usize(..3)];
        let shrinks = step / 700 % 2 == 1;
        match rng.u32(..100) {
            0..4 => {
                let at = rng.i64(step - 3 * disorder - 90..step + 2);
                tree.evict(&mut nodes, &aggregate, Timestamp(at));
                model.retain(|(time, _)| *time > at);
            }
            n if n < if shrinks { 70 } else { 25 } => {
                let popped = tree.pop(&mut nodes, &aggregate).map(|(at, value)| (at.0, value));
                assert_eq!(popped, (!model.is_empty()).then(|| model.remove(0)));
            }
            _ => {
                let (at, value) = (step - rng.i64(0..=disorder), value(&mut rng));
                tree.insert(&mut nodes, &aggregate, Timestamp(at), value);
                model.insert(model.partition_point(|(time, _)| *time <= at), (at, value));
            }
        }
        check(&nodes, tree, model);
    }
}

#[test]
fn random_trees_agree_with_sorted_lists() {
    for seed in 0..6 {
        against_brute_force(seed, 0, 4_000);
        against_brute_force(seed, 30, 4_000);
        against_brute_force(seed, 2_000, 4_000);
    }
}

#[test]
fn any_order_comes_out_in_order() {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut orders = [Vec::from_iter(0..5_000i64), (0..5_000).rev().collect(), vec![7; 5_000]];
    orders[1].extend(0..5_000);
    let shuffled = std::iter::repeat_with(|| rng.i64(0..900)).take(9_000).collect();
    for order in orders.into_iter().chain([shuffled]) {
        let (aggregate, mut nodes, mut tree) = (Compose::default(), Nodes::new(), Tree::default());
        for (n, &at) in (0..).zip(&order) {
            tree.insert(&mut nodes, &aggregate, Timestamp(at), Affine { scale: 3, shift: n });
        }
        let mut want: Vec<(i64, u64)> = order.into_iter().zip(0..).collect();
        want.sort();
        let out = std::iter::from_fn(|| tree.pop(&mut nodes, &aggregate));
        assert_eq!(out.map(|(at, value)| (at.0, value.shift)).collect::<Vec<_>>(), want);
    }
}

/// What was cut off serves again: a tree that fills and empties over and over needs no more nodes.
#[test]
fn nodes_are_used_again() {
    let (aggregate, mut nodes, mut tree) = (Compose::default(), Nodes::new(), Tree::default());
    let mut most = [0; 2];
    for round in 0..20i64 {
        for n in 0..3_000 {
            let at = round * 10_000 + n * 7 % 3_000;
            tree.insert(&mut nodes, &aggregate, Timestamp(at), Affine::default());
        }
        let fresh = nodes.taken();
        assert!(round == 0 || fresh == most, "{fresh:?} after {most:?}");
        most = fresh;
        tree.evict(&mut nodes, &aggregate, Timestamp(round * 10_000 + 5_000));
        assert!(tree.is_empty());
    }
}

/// The most combinations that an insertion in order, one out of order, a departure, a departure of
/// many, and a query took.
fn worst(len: i64) -> [u64; 5] {
    let mut rng = fastrand::Rng::with_seed(2);
    let (aggregate, mut nodes, mut tree) = (Compose::default(), Nodes::new(), Tree::default());
    let mut worst = [0; 5];
    let mut note = |what: usize| worst[what] = aggregate.combined.take().max(worst[what]);
    for n in 0..len * 2 {
        let value = Affine { scale: 3, shift: n as u64 };
        tree.insert(&mut nodes, &aggregate, Timestamp(10 * n), value);
        note(0);
        if n % 8 == 0 {
            let at = 10 * (n - rng.i64(0..len.min(n + 1)));
            tree.insert(&mut nodes, &aggregate, Timestamp(at), value);
            note(1);
        }
        if n >= len && n % 3 > 0 {
            tree.pop(&mut nodes, &aggregate);
            note(2);
        }
        if n >= len && n % (len / 10) == 0 {
            tree.evict(&mut nodes, &aggregate, Timestamp(10 * (n - len)));
            note(3);
        }
        tree.total(&nodes, &aggregate);
        note(4);
    }
    worst
}

/// `TREE_LENGTH_MAX=10000000` looks at longer ones.
#[test]
fn costs_grow_with_the_logarithm_of_the_length() {
    let asked = std::env::var("TREE_LENGTH_MAX").ok().and_then(|most| most.parse().ok());
    let most = asked.unwrap_or(100_000);
    for len in (2..8).map(|digits| 10i64.pow(digits)).take_while(|len| *len <= most) {
        // Half-full nodes are the thinnest that stay; the thin ones at the ends add a level each.
        let levels = u64::from(len.ilog(WIDTH as i64 / 2)) + 2;
        let width = WIDTH as u64;
        let [in_order, anywhere, pop, evict, query] = worst(len);
        assert!(in_order <= 3 * width * levels, "{len}: {in_order}");
        assert!(anywhere <= 3 * width * levels, "{len}: {anywhere}");
        assert!(pop <= width * levels && evict <= width * levels, "{len}: {pop} {evict}");
        assert!(query <= width, "{len}: {query}");
    }
}
