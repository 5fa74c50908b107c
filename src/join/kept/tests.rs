//! What is kept, against a list of it; and how many panes it takes.

use std::cell::Cell;

use super::*;

/// So many records of a pane are many: 128, or 256, .., or 1024.
fn new(seed: u64, length: u64, reach: u64) -> Kept<u64, u32> {
    Kept::new(seed, length, reach, 1024 << (seed % 4))
}

/// That there are not too many panes: at most two for as many records, once held, as are worth one,
/// and one for every time that the gap may double.
fn check_panes(kept: &Kept<u64, u32>, most: usize) {
    let panes = kept.panes.len();
    assert!(panes < 70 + 2 * most / kept.pane_min, "{panes} panes of {most} records");
}

/// Against a list of all records: sparse and dense stretches, gaps, steps back, and clocks
/// that are far ahead.
#[test]
fn looks_find_what_a_list_holds() {
    for seed in 0..40 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let length = 1 << rng.u32(1..24);
        let mut kept = new(seed, length, 8 * length);
        let mut list: Vec<(u64, i64, u32)> = Vec::new();
        let (mut now, mut past, mut most) = (rng.i64(-1_000_000..1_000_000), i64::MIN, 0);
        for number in 0..4_000u32 {
            let far = if rng.u8(..) == 0 { 40 } else { rng.u32(1..14) };
            let ahead = rng.u16(..) == 0 || (number == 0 && seed % 2 == 0);
            now += if ahead { 0 } else { rng.i64(0..1 << far) };
            let at = if ahead { now + (1 << 50) } else { now - rng.i64(0..2 * length as i64) };
            let key = rng.u64(..3);
            let entry = kept.add(key, Timestamp(at), number);
            assert_eq!(kept.entry_at(Timestamp(at), entry).value, number);
            list.push((key, at, number));
            most = most.max(kept.len());
            check_panes(&kept, most);
            let from = now - rng.i64(0..2 * length as i64);
            let to = from + rng.i64(0..length as i64);
            let mut got = Vec::new();
            let mut look = kept.look(key, Timestamp(from), Timestamp(to));
            let mut units = 0;
            loop {
                units += 1;
                match kept.see(&mut look) {
                    Seen::Record(entry) => got.push(entry.value),
                    Seen::Passed => {}
                    Seen::End => break,
                }
            }
            let is_found = |&(k, at, _): &(u64, i64, u32)| k == key && from <= at && at <= to;
            let held = list.iter().filter(|one| is_found(one) && one.1 > past);
            got.retain(|number| list[*number as usize].1 > past);
            let mut want: Vec<u32> = held.map(|one| one.2).collect();
            got.sort_unstable();
            want.sort_unstable();
            assert_eq!(got, want);
            assert!(units <= list.len() + 4);
            if rng.u8(..) < 8 {
                past = past.max(now - 4 * length as i64);
                while kept.drop_past(Timestamp(past)) {}
            }
        }
        past = i64::MAX;
        while kept.drop_past(Timestamp(past)) {}
        assert_eq!(kept.len(), 0, "drained to nothing");
    }
}

/// Batches of any kind are kept as they are one by one, and looks that begin together see what
/// those do that begin alone.
#[test]
fn together_is_as_one_by_one() {
    for seed in 0..30 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let length = 1 << rng.u32(1..24);
        let (mut some, mut each) = (new(seed, length, 8 * length), new(seed, length, 8 * length));
        let (mut runs, mut looks, mut together) = (Vec::new(), Vec::new(), 0usize);
        let (keys, far) = (1 << rng.u32(0..12), rng.u32(1..16));
        let mut now = 0;
        for number in 0..200u32 {
            let count = rng.usize(1..=64);
            let is_jump = rng.u8(..) < 10;
            now += if is_jump { rng.i64(-200..200) * length as i64 } else { 0 };
            let key: Vec<u64> = (0..count).map(|_| rng.u64(..keys)).collect();
            let mut time = || {
                now += rng.i64(0..1 << far);
                Timestamp(now - if rng.u8(..) == 0 { rng.i64(0..2 * length as i64) } else { 0 })
            };
            let records: Vec<_> = (0..count).map(|_| Record::new(time(), number)).collect();
            let times = records.iter().map(|record| record.at);
            let ends = (times.clone().min().unwrap(), times.max().unwrap());
            let pairs = || key.iter().zip(&records);
            let alone: Vec<u32> = pairs().map(|(key, r)| each.add(*key, r.at, r.value)).collect();
            let numbers = match some.add_all(&key, &records, ends, &mut runs) {
                Some(first) => {
                    together += 1;
                    (first..first + count as u32).collect()
                }
                None => pairs().map(|(key, r)| some.add(*key, r.at, r.value)).collect::<Vec<_>>(),
            };
            assert_eq!(numbers, alone);
            let wanted: Vec<_> = (0..count)
                .map(|_| {
                    let from = now - rng.i64(-100..3 * length as i64);
                    let to = from + rng.i64(0..length as i64);
                    (rng.u64(..keys), Timestamp(from), Timestamp(to))
                })
                .collect();
            some.begin(wanted.iter().copied(), &mut looks, &mut runs);
            for (mut look, (key, from, to)) in looks.iter().copied().zip(wanted) {
                let mut other = each.look(key, from, to);
                assert_eq!(all(&mut some, &mut look), all(&mut each, &mut other));
            }
            if rng.u8(..) < 20 {
                let past = Timestamp(now - 3 * length as i64);
                while some.drop_past(past) | each.drop_past(past) {}
            }
        }
        assert_eq!((some.len(), some.panes.len()), (each.len(), each.panes.len()));
        assert!(together > 0, "no batch was kept as one");
    }
}

/// The time and the value of all that a look sees.
fn all(kept: &mut Kept<u64, u32>, look: &mut Look<u64>) -> Vec<(Timestamp, u32)> {
    let mut found = Vec::new();
    assert!(!look.is_at_end() || matches!(kept.see(look), Seen::End));
    loop {
        match kept.see(look) {
            Seen::Record(entry) => found.push((entry.at, entry.value)),
            Seen::Passed => {}
            Seen::End => return found,
        }
    }
}

/// One record with a clock far ahead keeps nothing else from being dropped.
#[test]
fn a_clock_that_is_ahead_holds_up_nobody() {
    for first in [true, false] {
        let mut kept = new(3, 1_000, 1_000);
        if !first {
            (0..10).for_each(|n| _ = kept.add(0, Timestamp(n), 0));
        }
        kept.add(0, Timestamp(1 << 50), 0);
        for n in 0..100_000 {
            kept.add(n as u64 % 7, Timestamp(n * 10), 0);
            while kept.drop_past(Timestamp(n * 10 - 5_000)) {}
        }
        assert!(kept.len() < 5_000, "{} are kept", kept.len());
        assert!(kept.panes.len() < 20, "in {} panes", kept.panes.len());
    }
}

/// Records far from each other are kept together where there would be too many panes.
#[test]
fn sparse_records_have_few_panes() {
    for apart in [10_000, 200_000, 40_000_000] {
        let mut kept = new(7, 2_001, 1_000);
        let mut most = 0;
        for n in 0..30_000 {
            kept.add(n as u64 % 7, Timestamp(n * apart), 0);
            while kept.drop_past(Timestamp((n - 5_000) * apart)) {}
            most = most.max(kept.panes.len());
            assert!(kept.len() < 7_100, "{} are kept", kept.len());
        }
        assert!(most < 50, "{most} panes, {apart} ns apart");
    }
}

/// A page of records that begins with the newest, behind many or few.
#[test]
fn newest_first_is_few_panes() {
    for (before, apart) in [(2_000, 2_048), (2_000, 500_000), (10, 2_048), (10, 500_000)] {
        let mut kept = new(7, 2_001, 1_000);
        (0..before).for_each(|n| _ = kept.add(n as u64 % 7, Timestamp(n), 0));
        (1..=3_000).rev().for_each(|n| _ = kept.add(n as u64 % 7, Timestamp(n * apart), 0));
        let panes = kept.panes.len();
        assert!(panes < 50, "{panes} panes, {before} before and {apart} ns apart");
    }
}

/// Clocks that are ahead by anything from nothing to for ever.
#[test]
fn many_clocks_ahead_are_few_panes() {
    for seed in 0..20 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut kept, mut most) = (new(seed, 2_001, 1_000), 0);
        let share = 1 << (seed % 8);
        for n in 0..20_000 {
            let far = 1 << rng.u32(1..62);
            let ahead = if rng.u32(..share) == 0 { rng.i64(0..far) } else { 0 };
            let at = Timestamp(n * 500 + ahead);
            let number = kept.add(0, at, n as u32);
            assert_eq!(kept.entry_at(at, number).value, n as u32);
            while kept.drop_past(Timestamp(n * 500 - 1_000_000)) {}
            most = most.max(kept.len());
            check_panes(&kept, most);
        }
    }
}

/// What is far from the end is found in few steps.
#[test]
fn what_is_far_back_is_asked_for_by_halves() {
    for places in [0, 1, 2, 5, 6, 7, 100, 10_000] {
        for wanted in 0..places.max(1) {
            let asked = Cell::new(0);
            let after = |place| {
                asked.set(asked.get() + 1);
                place > wanted
            };
            assert_eq!(last_not(places, after), wanted, "of {places}");
            assert!(asked.get() <= PANES_NEAR + 16, "{} of {places} are asked", asked.get());
            assert!(wanted + 1 != places || asked.get() <= 1, "the last is asked first");
        }
    }
}
