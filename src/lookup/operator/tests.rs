//! The operator by itself, under random answers, time and room: nothing is lost, doubled, mixed up
//! or out of place.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use fastrand::Rng;

use super::*;
use crate::error::LookupError;
use crate::lookup::cache::{Cache, Cached, NoCache};
use crate::lookup::retry::Retry;
use crate::testing::{Attempt, ScriptedLookup};
use crate::time::{ManualClock, ms, ns};

/// What came out, in order.
#[derive(Clone, Debug, PartialEq)]
enum Out {
    Record(u64, Answer<u64>),
    Watermark(i64),
}

/// What follows: it notes what comes, and has room when the test says so.
struct Log {
    out: Rc<RefCell<Vec<Out>>>,
    room: Rc<Cell<bool>>,
}

impl Operator<(u64, Answer<u64>)> for Log {
    fn on_record(&mut self, record: Record<(u64, Answer<u64>)>, _cx: &mut Context) {
        assert!(self.room.get(), "there is no room");
        let (value, answer) = record.value;
        self.out.borrow_mut().push(Out::Record(value, answer));
    }
    fn on_watermark(&mut self, watermark: Watermark, _cx: &mut Context) {
        self.out.borrow_mut().push(Out::Watermark(watermark.at.0));
    }
    fn on_batch_end(&mut self, _cx: &mut Context) {}
    fn on_checkpoint(&mut self, _: Checkpoint, _cx: &mut Context) {}
    fn resume(&mut self, _cx: &mut Context) -> Work {
        Work::NONE
    }
    fn pressure(&self) -> Pressure {
        if self.room.get() { Pressure::Clear } else { Pressure::Full }
    }
    fn save(&self, _out: &mut Saved) {}
}

const TIMEOUT_NS: u64 = 500;
/// An answer that must never be seen: it comes too late.
const POISON: u64 = u64::MAX;

/// How the attempts for a request go, and what comes of them.
fn attempt(request: u64, number: u32, seed: u64) -> Attempt<u64> {
    let mut rng = Rng::with_seed(request ^ seed << 32 ^ u64::from(number) << 60);
    let after = rng.u64(..TIMEOUT_NS);
    match rng.u32(..20) {
        0 => Attempt::Silent,
        2 => Attempt::Answers(TIMEOUT_NS + rng.u64(1_000_000..2_000_000), Some(POISON)),
        3 => Attempt::Fails(after, LookupError::Unavailable("busy".to_owned())),
        4 => Attempt::Fails(after, LookupError::Refused("no".to_owned())),
        5 => Attempt::Answers(after, None),
        _ => Attempt::Answers(after / 4, Some(request * 3)),
    }
}

fn outcome(request: u64, retries: u32, seed: u64) -> Answer<u64> {
    let mut last = Ok(None);
    for number in 0..=retries {
        last = match attempt(request, number, seed) {
            Attempt::Answers(after, found) if after < TIMEOUT_NS => return Ok(found),
            Attempt::Fails(_, error) if !error.may_pass() => return Err(error),
            Attempt::Fails(_, error) => Err(error),
            _ => Err(LookupError::TimedOut(ns(TIMEOUT_NS))),
        };
    }
    last
}

type Request = fn(&u64) -> u64;
type Tried<M> = LookupOperator<u64, Request, ScriptedLookup<u64, u64>, M, Log>;

fn request(value: &u64) -> u64 {
    *value
}

/// Some records share a key.
fn key(value: &u64) -> u64 {
    *value % 13
}

#[derive(Clone, Copy)]
struct Trial {
    seed: u64,
    capacity: usize,
    order: Order,
    retries: u32,
    fire_max: usize,
    /// Questions are refused now and then.
    balks: bool,
}

fn operator<M: Memo<u64, u64>>(trial: Trial, request_of: Request, memo: M, next: Log) -> Tried<M> {
    let Trial { seed, capacity, order, retries, fire_max, .. } = trial;
    let (shares, mut asked) = (request_of(&13) == 0, 0);
    let lookup = ScriptedLookup::new(move |request: &u64, number| {
        asked += 1;
        match () {
            () if trial.balks && asked % 5 < 2 => Attempt::Full,
            // For keys every attempt goes the same way, or the count of all before would matter.
            () if shares => attempt(*request, 0, seed),
            () => attempt(*request, number, seed),
        }
    });
    let retry = Retry::exponential(retries, ns(40)).jitter(0.5);
    let settings = Settings { capacity, order, batch_max: 8, fire_max };
    LookupOperator {
        request_of,
        calls: Calls::new(lookup, memo, capacity, ns(TIMEOUT_NS), retry, seed),
        line: Line::new(settings.room()),
        records: 0,
        turn: NOWHERE,
        last_segment: 0,
        first_segment: 0,
        search: NOWHERE,
        ready: VecDeque::with_capacity(settings.room()),
        settings,
        oldest: None,
        next,
    }
}

/// Runs an operator to the end; returns what went in and what came out.
fn run<M: Memo<u64, u64>>(
    trial: Trial,
    request_of: Request,
    memo: impl Fn() -> M,
    restores: bool,
) -> (Vec<Out>, Vec<Out>) {
    let mut rng = Rng::with_seed(trial.seed);
    let (out, room) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(true)));
    let log = || Log { out: out.clone(), room: room.clone() };
    let mut cx = Context::new(Rc::new(ManualClock::default()), Default::default());
    (cx.now, cx.ingress) = (Timestamp(0), Timestamp(0));
    let mut tried = operator(trial, request_of, memo(), log());
    let (mut went_in, mut value) = (Vec::new(), 0);
    let mut feed = |tried: &mut Tried<M>, rng: &mut Rng, cx: &mut Context| {
        for _ in 0..rng.usize(0..8) {
            went_in.push(Out::Record(value, Ok(None)));
            // Room may go away in the middle of a batch: what follows waits.
            tried.on_record(Record::new(Timestamp(value as i64), value), cx);
            value += 1;
        }
        if rng.u32(..3) == 0 {
            went_in.push(Out::Watermark(value as i64));
            tried.on_watermark(Watermark::at(Timestamp(value as i64)), cx);
        }
        tried.on_batch_end(cx);
    };
    for turn in 0.. {
        let is_over = turn > 300;
        cx.now = cx.now + ns(rng.u64(..200));
        room.set(is_over || rng.u32(..4) > 0);
        tried.resume(&mut cx);
        assert!(tried.records < trial.capacity + 8, "{} records wait", tried.records);
        if !is_over && tried.pressure() != Pressure::Full {
            feed(&mut tried, &mut rng, &mut cx);
        }
        if restores && rng.u32(..20) == 0 {
            let mut saved = Saved::new();
            tried.save(&mut saved);
            tried = operator(trial, request_of, memo(), log());
            let mut saved = saved.checked().unwrap();
            tried.load(&mut saved);
            assert_eq!(saved.finish(), Ok(()));
        }
        if is_over && tried.pressure() == Pressure::Clear {
            break;
        }
        assert!(turn < 200_000, "it never ends");
    }
    assert!(cx.failure().is_none());
    (went_in, out.take())
}

/// Cuts at the watermarks.
fn segments(all: &[Out]) -> Vec<(Option<i64>, Vec<u64>)> {
    let mut segments = vec![(None, Vec::new())];
    for one in all {
        match one {
            Out::Watermark(at) => segments.push((Some(*at), Vec::new())),
            Out::Record(value, _) => segments.last_mut().unwrap().1.push(*value),
        }
    }
    segments
}

/// The same records between the same watermarks. Of watermarks with no record between them the
/// last is enough.
fn check_places(went_in: &[Out], came_out: &[Out], order: Order) {
    let tidy = |all: &[Out]| {
        let mut segments = segments(all);
        if order == Order::Any {
            segments.iter_mut().for_each(|(_, values)| values.sort_unstable());
        }
        let last = segments.len() - 1;
        let keeps = |n: usize| n == last || !segments[n].1.is_empty() || n == 0;
        (0..=last).filter(|n| keeps(*n)).map(|n| segments[n].clone()).collect::<Vec<_>>()
    };
    assert_eq!(tidy(came_out), tidy(went_in));
}

fn trials(count: u64) -> impl Iterator<Item = Trial> {
    (0..count).map(|seed| {
        let mut rng = Rng::with_seed(seed * 31 + 7);
        Trial {
            seed,
            capacity: [1, 2, 5, 40][rng.usize(..4)],
            order: if rng.bool() { Order::Any } else { Order::Input },
            retries: rng.u32(..4),
            fire_max: [1, 3, 100][rng.usize(..3)],
            balks: false,
        }
    })
}

#[test]
fn every_record_has_its_answer_and_its_place() {
    for trial in trials(400) {
        let (went_in, came_out) = run(trial, request, || NoCache, false);
        check_places(&went_in, &came_out, trial.order);
        for one in &came_out {
            if let Out::Record(value, answer) = one {
                assert_eq!(*answer, outcome(*value, trial.retries, trial.seed), "{value}");
            }
        }
    }
}

/// Answers, and that there is nothing, are the same for all who ask for a key, however many calls
/// it took.
#[test]
fn records_that_share_calls_have_the_same_answers() {
    for trial in trials(400) {
        let trial = Trial { retries: trial.retries.min(1), ..trial };
        let memo = || Cached::new(Cache::of(5, ns(3_000)).missing(ns(700)), trial.seed);
        let (went_in, came_out) = run(trial, key, memo, false);
        check_places(&went_in, &came_out, trial.order);
        for one in &came_out {
            if let Out::Record(value, answer) = one {
                assert_eq!(*answer, outcome(key(value), 0, trial.seed), "{value}");
            }
        }
    }
}

/// What waits is asked about again; a record comes out once all the same.
#[test]
fn a_restored_operator_goes_on_with_every_record() {
    for trial in trials(300) {
        let (went_in, came_out) = run(trial, request, || NoCache, true);
        check_places(&went_in, &came_out, trial.order);
        let memo = || Cached::new(Cache::of(5, ms(1)), trial.seed);
        let (went_in, came_out) = run(trial, key, memo, true);
        check_places(&went_in, &came_out, trial.order);
        assert!(!came_out.contains(&Out::Record(0, Ok(Some(POISON)))));
    }
}

/// A question that is refused is asked again until its time is over.
#[test]
fn a_lookup_without_room_makes_records_wait_and_loses_none() {
    for trial in trials(200).map(|trial| Trial { balks: true, ..trial }) {
        let (went_in, came_out) = run(trial, request, || NoCache, false);
        check_places(&went_in, &came_out, trial.order);
        for one in &came_out {
            if let Out::Record(value, Ok(Some(found))) = one {
                assert_eq!(*found, value * 3);
            }
        }
    }
}

#[test]
fn the_order_of_the_input_is_kept_exactly() {
    for trial in trials(100).filter(|trial| trial.order == Order::Input) {
        let (_, came_out) = run(trial, request, || NoCache, true);
        let values = came_out.iter().filter_map(|one| match one {
            Out::Record(value, _) => Some(*value),
            Out::Watermark(_) => None,
        });
        assert!(values.enumerate().all(|(n, value)| value == n as u64));
    }
}

/// What waits on a shard goes to one of those that there are then, in its order, and is asked about
/// there; where there are more of them, the others begin with nothing.
#[test]
fn records_that_wait_move_to_one_shard_each() {
    let trial = Trial {
        seed: 3,
        capacity: 40,
        order: Order::Input,
        retries: 0,
        fire_max: 100,
        balks: false,
    };
    let (out, room) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(false)));
    let log = || Log { out: out.clone(), room: room.clone() };
    let mut cx = Context::new(Rc::new(ManualClock::default()), Default::default());
    let memo = || Cached::new(Cache::of(5, ms(1)), 1);
    let held = |shard: u64, cx: &mut Context| {
        let (mut tried, mut saved) = (operator(trial, request, memo(), log()), Saved::new());
        for value in 10 * shard..10 * shard + 4 {
            tried.on_record(Record::new(Timestamp(value as i64), value), cx);
            tried.on_watermark(Watermark::at(Timestamp(value as i64 + 1)), cx);
        }
        tried.save(&mut saved);
        saved.checked().unwrap()
    };
    let all: Vec<Saved> = (0..3).map(|shard| held(shard, &mut cx)).collect();
    room.set(true);
    for shards in [1, 2, 5] {
        let mut moved = Vec::new();
        for shard in 0..shards {
            let to = Rescale { shard, shards, before: 3, hash_seed: 0 };
            let mut saved = Saved::rescaling(all.clone(), to);
            let mut tried = operator(trial, request, memo(), log());
            tried.load(&mut saved);
            assert_eq!(saved.finish(), Ok(()));
            tried.on_batch_end(&mut cx);
            while tried.pressure() != Pressure::Clear {
                cx.now = cx.now + ns(50);
                tried.resume(&mut cx);
            }
            let value = |one| match one {
                Out::Record(value, _) => value,
                Out::Watermark(at) => panic!("{at} is told by whoever comes before"),
            };
            let values: Vec<u64> = out.take().into_iter().map(value).collect();
            let of = (0..3u64).filter(|it| to.follows(*it as usize));
            assert_eq!(values, of.flat_map(|it| 10 * it..10 * it + 4).collect::<Vec<_>>());
            moved.extend(values);
        }
        assert_eq!(moved.len(), 12);
    }
}
