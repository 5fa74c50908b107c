//! Lines that lose, repeat and reorder, against a slow and obvious model.

use std::collections::BTreeSet;

use fastrand::Rng;

use super::*;

const GAP_MAX: u64 = 40;

/// What comes: when, by which line, and which numbers; a datagram is known by its numbers.
#[derive(Clone, Copy, Debug)]
struct Came {
    at: i64,
    line: usize,
    first: u64,
    count: u64,
}

/// A number, and whether it was given or told as lost, and when.
type Told = (i64, u64, bool);

fn rules() -> Arbitration {
    let gap_max = Duration::from_nanos(GAP_MAX);
    Arbitration { gap_max, window: 1 << 40, silent_max: Duration::MAX, starts: Some(1) }
}

fn place(session: u128, first: u64, count: u64) -> Place {
    Place { session, first, count, header: 0 }
}

/// Two lines that carry the numbers from 1 on, in datagrams that they cut each for itself or alike.
fn traffic(rng: &mut Rng) -> Vec<Came> {
    let (alike, losses) = (rng.bool(), rng.f64() * 0.4);
    let seeds = [rng.u64(..), rng.u64(..)];
    let (numbers, mut all) = (rng.u64(1..100), Vec::new());
    for line in 0..2 {
        let mut cut = Rng::with_seed(seeds[if alike { 0 } else { line }]);
        let (mut next, lag) = (1, rng.i64(0..30));
        while next <= numbers {
            let count = cut.u64(0..5).min(numbers + 1 - next);
            let mut at = next as i64 * 3 + lag;
            if rng.f64() < 0.2 {
                at += rng.i64(0..120);
            }
            let times = if rng.f64() < losses { 0 } else { 1 + usize::from(rng.u8(..) < 25) };
            for again in 0..times {
                let at = at + again as i64 * rng.i64(0..60);
                all.push(Came { at, line, first: next, count });
            }
            next += count;
        }
    }
    all.sort_by_key(|came| came.at);
    all
}

/// Number by number, and looking at everything that came each time.
fn model(all: &[Came], until: i64) -> Vec<Told> {
    let (mut told, mut expected) = (Vec::new(), 1);
    for now in 0..until {
        let here = all.iter().filter(|came| came.at <= now);
        let numbers: BTreeSet<u64> =
            here.clone().flat_map(|came| came.first..came.first + came.count).collect();
        loop {
            if numbers.contains(&expected) {
                told.push((now, expected, true));
                expected += 1;
                continue;
            }
            let beyond = here.clone().filter(|came| came.first > expected);
            let Some(since) = beyond.clone().map(|came| came.at).min() else { break };
            if now - since < GAP_MAX as i64 {
                break;
            }
            // Up to the next that is there, or is known to have been.
            let next = beyond.map(|came| came.first).min().unwrap_or(expected);
            told.extend((expected..next).map(|number| (now, number, false)));
            expected = next;
        }
    }
    told
}

/// What the arbiter does with what comes.
struct Arbitrated {
    arbiter: Arbiter<(u64, u64)>,
    counts: LineCounts,
    told: Vec<Told>,
    notices: Vec<Notice>,
    dropped: Vec<Why>,
    /// Datagrams that were offered and neither taken nor dropped.
    kept: usize,
}

impl Arbitrated {
    fn new(rules: Arbitration, held_max: usize) -> Self {
        let counts = LineCounts::of(2);
        let arbiter = Arbiter::new(rules, held_max, &counts);
        let (told, notices, dropped) = (Vec::new(), Vec::new(), Vec::new());
        Self { arbiter, counts, told, notices, dropped, kept: 0 }
    }

    fn offer(&mut self, session: u128, came: Came) {
        let Came { at, line, first, count } = came;
        let (place, now) = (place(session, first, count), Timestamp(at));
        self.pass(at);
        self.arbiter.offer(line, place, (first, count), now, now);
        self.kept += 1;
        self.drain(at);
    }

    /// All of the time counts.
    fn pass(&mut self, at: i64) {
        self.arbiter.pass(Timestamp(at));
        self.arbiter.on_quiet();
    }

    fn drain(&mut self, at: i64) {
        self.pass(at);
        while let Some(next) = self.arbiter.next() {
            match next {
                Next::Take { datagram: (first, its), skip, count } => {
                    assert_eq!(its, count);
                    self.told.extend((first + skip..first + count).map(|it| (at, it, true)));
                    self.kept -= 1;
                }
                Next::Drop(_, why) => {
                    self.dropped.push(why);
                    self.kept -= 1;
                }
                Next::Told(notice) => {
                    if let Notice::Lost { first, count, .. } = notice {
                        self.told.extend((first..first + count).map(|it| (at, it, false)));
                    }
                    self.notices.push(notice);
                }
            }
        }
    }

    fn numbers(&self) -> Vec<(u64, bool)> {
        self.told.iter().map(|(_, number, given)| (*number, *given)).collect()
    }
}

#[test]
fn numbers_are_given_and_lost_as_by_the_model() {
    for seed in 0..150 {
        let all = traffic(&mut Rng::with_seed(seed));
        let until = all.last().map_or(0, |came| came.at) + 2 * GAP_MAX as i64;
        let mut ours = Arbitrated::new(rules(), usize::MAX >> 40);
        let mut left = &all[..];
        for now in 0..until {
            while let Some((came, rest)) = left.split_first().filter(|(came, _)| came.at == now) {
                ours.offer(0, *came);
                left = rest;
            }
            ours.drain(now);
        }
        // Within an instant the order of the one and the other is the same.
        assert_eq!(ours.told, model(&all, until), "seed {seed}");
        assert!(ours.told.iter().map(|(_, number, _)| *number).eq(1..=ours.told.len() as u64));
        assert_eq!(ours.kept, 0, "seed {seed}");
        let lost = ours.told.iter().filter(|(.., given)| !given).count() as u64;
        assert_eq!((ours.counts.lost(), ours.counts.given_up()), (lost, 0), "seed {seed}");
    }
}

/// With hardly any room nothing is given twice or out of order, and no more is held than may be.
#[test]
fn bounds_are_kept_and_every_number_is_told_once() {
    for seed in 0..600 {
        let mut rng = Rng::with_seed(seed);
        let all = traffic(&mut rng);
        let (window, held_max) = (rng.u64(8..40), rng.usize(1..6));
        let mut ours = Arbitrated::new(Arbitration { window, ..rules() }, held_max);
        for came in &all {
            ours.offer(0, *came);
            // One more is what is not believed.
            assert!(ours.kept <= held_max + 1, "{} held, seed {seed}", ours.kept);
        }
        ours.arbiter.end();
        ours.drain(i64::MAX / 2);
        let numbers = ours.told.iter().map(|(_, number, _)| *number);
        assert!(numbers.eq(1..=ours.told.len() as u64), "seed {seed}");
        let lost = ours.told.iter().filter(|(.., given)| !given).count() as u64;
        assert_eq!(ours.counts.lost(), lost, "seed {seed}");
    }
}

fn came(at: i64, line: usize, first: u64, count: u64) -> Came {
    Came { at, line, first, count }
}

#[test]
fn what_comes_after_it_was_lost_is_told_and_not_given() {
    let mut ours = Arbitrated::new(rules(), 100);
    ours.offer(0, came(0, 0, 1, 2));
    ours.offer(0, came(1, 0, 6, 1));
    ours.drain(GAP_MAX as i64 + 1);
    ours.offer(0, came(60, 1, 4, 2));
    ours.offer(0, came(61, 1, 1, 2));
    let given = [(1, true), (2, true), (3, false), (4, false), (5, false), (6, true)];
    assert_eq!(ours.numbers(), given);
    let late = Notice::Late { session: 0, first: 4, count: 2, line: 1 };
    assert_eq!(ours.notices, [Notice::Lost { session: 0, first: 3, count: 3 }, late]);
    assert_eq!(ours.dropped, [Why::Late, Why::Duplicate]);
}

#[test]
fn a_number_that_is_wild_is_not_believed_and_two_that_agree_are() {
    let mut ours = Arbitrated::new(Arbitration { window: 100, ..rules() }, 100);
    ours.offer(0, came(0, 0, 1, 1));
    ours.offer(0, came(1, 0, 1 << 60, 1));
    ours.offer(0, came(2, 1, u64::MAX, 1));
    ours.offer(7, came(3, 1, 5, 1));
    ours.offer(0, came(4, 0, 2, 1));
    assert_eq!(ours.numbers(), [(1, true), (2, true)]);
    assert_eq!(ours.dropped, [Why::Impossible, Why::Unbelieved]);
    // The line goes on after a long silence of both.
    ours.offer(0, came(5, 0, 1_000, 2));
    ours.offer(0, came(6, 0, 1_002, 1));
    assert_eq!(ours.numbers().len(), 1_002);
    assert_eq!((ours.counts.lost(), ours.counts.given_up()), (997, 997));
    assert_eq!(ours.dropped[2..], [Why::Unbelieved]);
    assert_eq!(ours.kept, 0);
}

#[test]
fn another_session_begins_with_two_datagrams_and_ends_the_one_before() {
    let mut ours = Arbitrated::new(rules(), 100);
    ours.offer(1, came(0, 0, 1, 1));
    ours.offer(1, came(1, 0, 4, 1));
    ours.offer(2, came(2, 0, 1, 1));
    assert_eq!(ours.numbers(), [(1, true)]);
    // The other line's of the same.
    ours.offer(2, came(3, 1, 1, 1));
    let of_both = [(1, true), (2, false), (3, false), (4, true), (1, true)];
    assert_eq!(ours.numbers(), of_both);
    ours.offer(1, came(4, 1, 2, 1));
    ours.offer(2, came(5, 1, 2, 1));
    assert_eq!(ours.numbers()[5..], [(2, true)]);
    let lost = Notice::Lost { session: 1, first: 2, count: 2 };
    assert_eq!(ours.notices, [lost, Notice::Session { from: 1, to: 2 }]);
    assert_eq!(ours.dropped, [Why::Duplicate, Why::Stale]);
    assert_eq!((ours.kept, ours.counts.refused_as(Why::Stale)), (0, 1));
}

#[test]
fn a_stream_that_is_joined_late_begins_where_the_rules_say() {
    let mut ours = Arbitrated::new(Arbitration { starts: None, ..rules() }, 100);
    ours.offer(0, came(0, 0, 500, 0));
    ours.offer(0, came(1, 0, 500, 1));
    ours.offer(0, came(2, 1, 499, 2));
    assert_eq!(
        (ours.numbers(), ours.dropped),
        (vec![(500, true)], vec![Why::Empty, Why::Duplicate])
    );
    let mut ours = Arbitrated::new(Arbitration { window: 100, ..rules() }, 100);
    ours.offer(0, came(0, 0, 500, 1));
    ours.offer(0, came(1, 1, 500, 1));
    assert_eq!((ours.counts.lost(), ours.numbers().last()), (499, Some(&(500, true))));
}

#[test]
fn who_is_first_is_counted_and_by_how_much() {
    let mut ours = Arbitrated::new(rules(), 100);
    for n in 0..100 {
        ours.offer(0, came(n * 1_000, 0, n as u64 + 1, 1));
        // A tenth is missing; what comes twice counts once.
        for _ in 0..if n % 10 == 0 { 0 } else { 2 } {
            ours.offer(0, came(n * 1_000 + 300, 1, n as u64 + 1, 1));
        }
    }
    // Seen later, and stamped earlier.
    ours.kept += 2;
    let (late, early) = (Timestamp(200_000), Timestamp(199_000));
    ours.arbiter.offer(0, place(0, 101, 1), (101, 1), late, late);
    ours.arbiter.offer(1, place(0, 101, 1), (101, 1), early, late);
    let counts = ours.counts.clone();
    assert_eq!((counts.first(0), counts.first(1)), (90, 1));
    assert!((300..340).contains(&counts.lead_ns(0, 0.5)), "{}", counts.lead_ns(0, 0.5));
    assert!((1_000..1_130).contains(&counts.lead_ns(1, 0.5)), "{}", counts.lead_ns(1, 0.5));
    for n in 101..ARRIVALS as u64 + 300 {
        ours.offer(0, came(300_000 + n as i64, 0, n, 1));
    }
    assert_eq!((counts.missed(0), counts.missed(1)), (0, 10 + 198));
    assert_eq!(counts.datagrams(1), 181);
}

#[test]
fn a_line_that_falls_silent_is_told_once_and_when_it_is_back() {
    let silent_max = Duration::from_nanos(50);
    let mut ours = Arbitrated::new(Arbitration { silent_max, ..rules() }, 100);
    let mut told = Vec::new();
    for now in 0..200 {
        if now % 10 == 0 {
            ours.offer(0, came(now, 0, 1 + now as u64 / 10, 1));
        }
        if now == 120 {
            ours.offer(0, came(now, 1, 13, 0));
        }
        told.extend(ours.arbiter.watch(Timestamp(now)).map(|notice| (now, notice)));
    }
    let [silent, back] = [Notice::Silent { line: 1 }, Notice::Back { line: 1 }];
    assert_eq!(told, [(50, silent), (120, back), (170, silent)]);
    assert_eq!((ours.counts.silences(0), ours.counts.silences(1)), (0, 2));
}
