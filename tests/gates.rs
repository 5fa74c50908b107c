//! Results that are shown at once or when their input is durable, whatever crashes: a receiver that
//! drops what it has seen has each of them once, and what it has seen was never of a lost record.

mod support;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use fastrand::Rng;
use millstream::error::IoError;
use millstream::io::journal::{Journal, Journalled, Reader, Settings};
use millstream::io::{
    AtOnce, CodecOf, Journals, MemorySource, Numbered, Origin, Polled, Seen, Sink, Source, Token,
    codec,
};
use millstream::sim::SimDisk;
use millstream::{Pipeline, Record, Stage, Stream, Timestamp};

use support::{World, each_seed};

/// Key, what has come of it so far, and which of several results it is.
type Value = (u64, u64, u64);

/// Somebody out in the world, who keeps what crashes here do not touch.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Received>>);

#[derive(Default)]
struct Received {
    seen: Seen,
    /// What came first under a token.
    values: BTreeMap<Token, Value>,
    again: usize,
}

impl Sink<(Token, (Origin, Value))> for Receiver {
    fn accept(&mut self, record: Record<(Token, (Origin, Value))>) -> Result<(), IoError> {
        let (token, (_, value)) = record.value;
        let received = &mut *self.0.lock().unwrap();
        if received.seen.is_new(&token) {
            assert_eq!(received.values.insert(token, value), None, "{token:?} was taken for new");
        } else {
            received.again += 1;
            assert_eq!(received.values.get(&token), Some(&value), "{token:?} was another result");
        }
        Ok(())
    }
}

impl Receiver {
    fn values(&self) -> Vec<Value> {
        let mut all: Vec<_> = self.0.lock().unwrap().values.values().copied().collect();
        all.sort_unstable();
        all
    }

    fn again(&self) -> usize {
        self.0.lock().unwrap().again
    }
}

/// Keys of its own for each shard's source, so that their sums do not depend on other shards.
fn key_of(shard: usize, number: u64) -> u64 {
    number % 5 * 10 + shard as u64
}

/// Sums by key, on whatever shard owns it, and none to two results of each.
fn sums<'p>(
    p: Pipeline<'p>,
    numbers: impl Source<Out = u64>,
) -> Stream<'p, impl Stage<Out = (Origin, Value)>> {
    p.source(Numbered::new(numbers, p.shard() as u32))
        .key_by(|(origin, number)| key_of(origin.source as usize, *number))
        .reduce(|sum, (origin, number)| *sum = (origin, sum.1 + number))
        .flat_map(|(key, (origin, sum))| (0..sum % 3).map(move |n| (origin, (key, sum, n))))
}

/// The same, worked out from the numbers of each shard.
fn want(inputs: &[Vec<u64>]) -> Vec<Value> {
    let (mut sums, mut all) = (BTreeMap::new(), Vec::new());
    for (shard, numbers) in inputs.iter().enumerate() {
        for number in numbers {
            let key = key_of(shard, *number);
            let sum: &mut u64 = sums.entry(key).or_default();
            *sum += number;
            all.extend((0..*sum % 3).map(|n| (key, *sum, n)));
        }
    }
    all.sort_unstable();
    all
}

fn compare(found: &[Value], want: &[Value]) {
    let missing: Vec<_> = want.iter().filter(|it| !found.contains(it)).take(5).collect();
    let invented: Vec<_> = found.iter().filter(|it| !want.contains(it)).take(5).collect();
    assert!(found == want, "missing {missing:?}, invented {invented:?}");
}

fn inputs(rng: &mut Rng, shards: usize) -> Vec<Vec<u64>> {
    (0..shards).map(|_| (0..rng.u64(1..400)).map(|_| rng.u64(..1_000)).collect()).collect()
}

#[test]
fn what_is_shown_at_once_has_the_same_token_again() {
    let again = RefCell::new(0);
    each_seed(60, |seed| {
        let (world, mut rng) = (World::random(seed), Rng::with_seed(seed));
        let (inputs, receiver) = (inputs(&mut rng, world.shards), Receiver::default());
        let run = world.simulation().crashing(rng.u32(1..6)).run(|p| {
            let numbers = inputs[p.shard()].iter();
            let records = numbers.map(|number| Record::new(Timestamp(0), *number));
            let gate = AtOnce::new(receiver.clone(), p.shard(), |it: &(Origin, Value)| it.0);
            sums(p, MemorySource::new(records.collect::<Vec<_>>())).sink(gate);
            Ok(())
        });
        run.unwrap_or_else(|error| panic!("{error}"));
        compare(&receiver.values(), &want(&inputs));
        *again.borrow_mut() += receiver.again();
    });
    println!("{} results were shown again", again.borrow());
    assert!(*again.borrow() > 0 || std::env::var_os("MILLSTREAM_SEED").is_some());
}

/// Says everything once, now and then; and what it has said and nobody has kept is gone.
#[derive(Clone)]
struct Once(Rc<RefCell<(VecDeque<u64>, Rng)>>);

/// It has something to say in one of so many polls.
const SILENCE: u32 = 10;

impl Source for Once {
    type Out = u64;

    fn poll(
        &mut self,
        _partition: usize,
        now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<u64>),
    ) -> Result<Polled, IoError> {
        let (left, rng) = &mut *self.0.borrow_mut();
        let some = match rng.u32(..SILENCE) {
            0 => budget.min(left.len()).min(rng.usize(1..4)),
            _ => 0,
        };
        left.drain(..some).for_each(|number| emit(Record::new(now, number)));
        Ok(if left.is_empty() { Polled::ended() } else { Polled::open() })
    }
}

fn number(bytes: &[u8]) -> Result<u64, String> {
    bytes.try_into().map(u64::from_le_bytes).map_err(|_| "not eight bytes".to_owned())
}

type Encode = fn(&u64, &mut Vec<u8>);
type Decode = fn(&[u8]) -> Result<u64, String>;

fn numbers() -> CodecOf<Encode, Decode> {
    codec(8, |number: &u64, into: &mut Vec<u8>| into.extend(number.to_le_bytes()), number)
}

/// A shard's journal: its disk, and what has not been said yet.
struct Host {
    disk: SimDisk,
    left: Once,
}

impl Host {
    /// What was journalled, in order.
    fn journalled(&self) -> Vec<u64> {
        let mut reader = Reader::open(self.disk.clone()).unwrap();
        let mut all = Vec::new();
        while let Some(entry) = reader.read().unwrap() {
            all.push(number(entry.bytes).unwrap());
        }
        all
    }
}

fn settings() -> Settings {
    Settings { segment_bytes: 64 << 10, slots: 3, slot_bytes: 8 << 10, ..Settings::default() }
}

/// Runs it on hosts whose power goes at each crash, and returns what was journalled in the end.
fn on_hosts(world: &World, rng: &mut Rng, receiver: &Receiver) -> Vec<Vec<u64>> {
    let inputs = inputs(rng, world.shards);
    let hosts = inputs.iter().map(|numbers| {
        let mut disk = SimDisk::new(rng.u64(..));
        disk.set_slow(rng.u32(..40));
        let left = (numbers.iter().copied().collect(), rng.fork());
        Host { disk, left: Once(Rc::new(RefCell::new(left))) }
    });
    let (hosts, journals) = (hosts.collect::<Vec<_>>(), Journals::new());
    let run = world.simulation().crashing(rng.u32(1..6)).run(|p| {
        let Host { disk, left } = &hosts[p.shard()];
        let mut disk = disk.clone();
        disk.crash();
        let storage = disk.storage(&settings());
        let (journal, _) = Journal::open(&mut disk, storage, settings(), 7, Timestamp(0))?;
        let source = Journalled::new(left.clone(), numbers(), journal, disk)?;
        journals.watch(p.shard(), "numbers", source.watch());
        let tokens = AtOnce::new(receiver.clone(), p.shard(), |it: &(Origin, Value)| it.0);
        sums(p, source).sink(journals.gate(tokens, 50));
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
    hosts.iter().map(Host::journalled).collect()
}

/// A record that was lost with the power has shown nothing: another one stands in its place in the
/// journal, and the receiver would have been told two results under one token.
#[test]
fn nothing_is_shown_of_a_record_that_is_not_durable() {
    let (lost, again) = (RefCell::new(0), RefCell::new(0));
    each_seed(25, |seed| {
        let (world, mut rng) = (World::random(seed), Rng::with_seed(seed));
        let (said, receiver) = (inputs(&mut rng.clone(), world.shards), Receiver::default());
        let journalled = on_hosts(&world, &mut rng, &receiver);
        compare(&receiver.values(), &want(&journalled));
        let count = |all: &[Vec<u64>]| all.iter().map(Vec::len).sum::<usize>();
        *lost.borrow_mut() += count(&said) - count(&journalled);
        *again.borrow_mut() += receiver.again();
    });
    println!("{} records were lost, {} results shown again", lost.borrow(), again.borrow());
    let is_one = std::env::var_os("MILLSTREAM_SEED").is_some();
    assert!(is_one || *lost.borrow() > 0 && *again.borrow() > 0);
}
