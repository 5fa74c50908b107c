//! Records by shared memory between real processes: whole, in order, and whoever dies.

use std::cell::RefCell;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use millstream::io::{Polled, Source};
use millstream::net::{
    Count, Counts, Gone, Problem, SharedListener, SharedSink, SharedSource, Sharing, Taking,
    WhenFull,
};
use millstream::{Config, Input, Pipeline, Record, Shard, Timestamp, error::IoError};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::world::{PATIENCE, step};

/// What the other process is told to be: this, a name, and how many records there are.
const ROLE: &str = "MILLSTREAM_SHARED_ROLE";

/// What a record takes: its timestamp and itself.
const SLOT: u64 = 8 + 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Tick {
    number: u64,
    /// The number, mixed: a record that is torn does not fit.
    mixed: u64,
    odd: [u8; 13],
    even: [u8; 3],
}

impl Tick {
    fn new(number: u64) -> Self {
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        Self { number, mixed, odd: [number as u8; 13], even: [mixed as u8; 3] }
    }

    fn record(number: u64) -> Record<Self> {
        Record::new(Timestamp(number as i64 * 3), Self::new(number))
    }
}

fn name(what: &str) -> String {
    format!("test-{what}-{}", std::process::id())
}

/// This program again, in a role.
fn other(role: &str, name: &str, count: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "shared::the_other_process", "--nocapture"])
        .env(ROLE, format!("{role} {name} {count}"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Numbers in order, as many as there is room for; after them it goes on, or not.
struct Numbers {
    next: u64,
    count: u64,
    ends: bool,
}

impl Source for Numbers {
    type Out = Tick;

    fn poll(
        &mut self,
        _: usize,
        _: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<Tick>),
    ) -> Result<Polled, IoError> {
        let last = self.count.min(self.next + budget as u64);
        (self.next..last).for_each(|number| emit(Tick::record(number)));
        self.next = last;
        Ok(Polled { ended: self.ends && last == self.count, ..Polled::open() })
    }
}

fn writes(name: &str, count: u64, ends: bool, sharing: Sharing) -> Shard {
    let build = |p: Pipeline<'_>| {
        let sink = SharedSink::new(p, name, sharing)?;
        p.source(Numbers { next: 0, count, ends }).sink(sink);
        Ok(())
    };
    Shard::embed(Config::embedded(), build).unwrap().0
}

/// What a source gave: how many records, the first that was not the next one, and problems.
#[derive(Default)]
struct Seen {
    next: u64,
    wrong: Option<(u64, Tick)>,
    problems: Vec<Problem>,
}

struct Reads {
    shard: Shard,
    seen: Rc<RefCell<Seen>>,
    counts: Counts,
    since: Instant,
}

fn reads_from(listener: &SharedListener, taking: Taking) -> Reads {
    let (seen, counts) = (Rc::<RefCell<Seen>>::default(), Counts::default());
    let (into, told) = (seen.clone(), seen.clone());
    let build = |p: Pipeline<'_>| {
        let source = SharedSource::<Tick>::new(p, listener, taking)?
            .counting_into(&counts)
            .on_problem(move |problem| told.borrow_mut().problems.push(problem.clone()));
        p.source(source).for_each(move |record| {
            let mut seen = into.borrow_mut();
            if record != Tick::record(seen.next) && seen.wrong.is_none() {
                seen.wrong = Some((seen.next, record.value));
            }
            seen.next = record.value.number + 1;
        });
        Ok(())
    };
    let shard = Shard::embed(Config::embedded(), build).unwrap().0;
    Reads { shard, seen, counts, since: Instant::now() }
}

impl Reads {
    fn step(&mut self) {
        step(&mut self.shard, self.since);
    }

    fn until(&mut self, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            self.step();
        }
    }

    /// How many records came, all of them as they should be.
    fn seen(&self) -> u64 {
        let seen = self.seen.borrow();
        assert_eq!(seen.wrong, None, "record, and what came in its place");
        seen.next
    }
}

/// What the tests start as another process; by itself it does nothing.
#[test]
fn the_other_process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let words: Vec<&str> = role.split(' ').collect();
    let (name, count) = (words[1], words[2].parse().unwrap());
    let since = Instant::now();
    match words[0] {
        "writes" => {
            let mut shard = writes(name, count, true, Sharing::default());
            while !shard.is_done() {
                step(&mut shard, since);
            }
        }
        "writes-for-ever" => {
            let mut shard = writes(name, count, false, Sharing::default());
            loop {
                step(&mut shard, since);
            }
        }
        // Says how far it has come by what it takes; nobody hears it.
        "reads" => {
            let listener = SharedListener::at(name).unwrap();
            let mut reads = reads_from(&listener, Taking::default());
            while reads.seen() < count {
                reads.step();
            }
        }
        "reads-for-ever" => {
            let listener = SharedListener::at(name).unwrap();
            let mut reads = reads_from(&listener, Taking::default());
            loop {
                reads.seen();
                reads.step();
            }
        }
        role => panic!("no such role: {role}"),
    }
}

#[test]
fn millions_of_records_come_whole_and_in_order_from_another_process() {
    const ALL: u64 = 3_000_000;
    let name = name("millions");
    let listener = SharedListener::at(&name).unwrap();
    let mut reads = reads_from(&listener, Taking::default());
    let mut writer = other("writes", &name, ALL);
    reads.until(|it| it.shard.is_done());
    assert_eq!(reads.seen(), ALL);
    assert!(writer.wait().unwrap().success());
    assert_eq!((reads.counts.get(Count::Accepted), reads.counts.get(Count::Closed)), (1, 1));
    assert_eq!(reads.counts.get(Count::Broken), 0);
    assert_eq!(reads.counts.get(Count::BytesIn), ALL * SLOT);
}

#[test]
fn records_go_to_another_process_as_well() {
    const ALL: u64 = 1_000_000;
    let name = name("away");
    let mut reader = other("reads", &name, ALL);
    let (mut shard, since) = (writes(&name, ALL, true, Sharing::default()), Instant::now());
    while !shard.is_done() {
        step(&mut shard, since);
    }
    drop(shard);
    assert!(reader.wait().unwrap().success());
}

#[test]
fn a_writer_that_is_killed_is_noticed_and_what_it_had_published_is_read() {
    for gone in [Gone::End, Gone::Fail, Gone::Wait] {
        let name = name("killed-writer");
        let listener = SharedListener::at(&name).unwrap();
        let mut reads = reads_from(&listener, Taking { gone, ..Taking::default() });
        let mut writer = other("writes-for-ever", &name, u64::MAX);
        reads.until(|it| it.seen() > 100_000);
        writer.kill().unwrap();
        writer.wait().unwrap();
        let (before, killed) = (reads.seen(), Instant::now());
        while reads.counts.get(Count::Broken) == 0 {
            reads.shard.step(Timestamp(reads.since.elapsed().as_nanos() as i64));
            assert!(killed.elapsed() < PATIENCE, "it is not noticed");
        }
        // It fills its ring faster than this process reads, as a rule.
        let after = reads.seen();
        assert!(after >= before && after <= before + (1 << 14), "{before} {after}");
        match gone {
            Gone::End => reads.until(|it| it.shard.is_done()),
            Gone::Fail => {
                let failure = reads.shard.failure().unwrap().to_string();
                assert!(failure.contains(&format!("gone after {after} records")), "{failure}");
                continue;
            }
            Gone::Wait => {
                let mut again = other("writes", &name, 1_000);
                reads.seen.borrow_mut().next = 0;
                reads.until(|it| it.shard.is_done());
                assert_eq!(reads.seen(), 1_000);
                assert!(again.wait().unwrap().success());
                assert_eq!(reads.counts.get(Count::Accepted), 2);
            }
        }
        let problems = &reads.seen.borrow().problems;
        assert!(problems[0].to_string().contains("without a word"), "{problems:?}");
        assert_eq!((problems.len(), problems[0].count), (1, Count::Broken));
    }
}

/// A shard that writes what is pushed.
struct Writes {
    shard: Shard,
    input: Input<Tick>,
    counts: Counts,
    since: Instant,
}

fn writes_what_is_pushed(name: &str, sharing: Sharing) -> Writes {
    let counts = Counts::default();
    let (shard, input) = Shard::embed(Config::embedded(), |p| {
        let (input, stream) = p.input();
        stream.sink(SharedSink::new(p, name, sharing)?.counting_into(&counts));
        Ok(input)
    })
    .unwrap();
    Writes { shard, input, counts, since: Instant::now() }
}

impl Writes {
    fn push(&mut self, number: u64) -> bool {
        self.input.push(Timestamp(number as i64 * 3), Tick::new(number)).is_ok()
    }

    fn push_all(&mut self, numbers: std::ops::Range<u64>) {
        for number in numbers {
            while !self.push(number) {
                self.step();
            }
        }
    }

    fn step(&mut self) {
        step(&mut self.shard, self.since);
    }
}

#[test]
fn a_reader_that_is_killed_is_noticed_and_the_next_goes_on_where_it_was() {
    let (name, sharing) = (name("killed-reader"), Sharing { capacity: 512, ..Sharing::default() });
    let mut writes = writes_what_is_pushed(&name, sharing);
    let mut reader = other("reads-for-ever", &name, 0);
    writes.push_all(0..100_000);
    while writes.counts.get(Count::BytesOut) < 100_000 * SLOT {
        writes.step();
    }
    reader.kill().unwrap();
    reader.wait().unwrap();
    while writes.counts.get(Count::Closed) == 0 {
        writes.step();
    }
    // It is full, and the input behind it, and nothing is lost.
    let (mut pushed, mut refused) = (100_000, 0);
    while refused < 1_000 {
        match writes.push(pushed) {
            true => (pushed, refused) = (pushed + 1, 0),
            false => refused += 1,
        }
        writes.step();
    }
    assert_eq!(writes.counts.get(Count::Dropped), 0);
    let listener = SharedListener::at(&name).unwrap();
    let mut reads = reads_from(&listener, Taking::default());
    while reads.seen.borrow().next < pushed {
        writes.step();
        reads.step();
    }
    // The first that came is one that the other had not taken.
    let (at, first) = reads.seen.borrow().wrong.unwrap();
    assert_eq!(at, 0);
    assert!(first.number >= 100_000 - 512 && first.number <= 100_000, "{first:?}");
    assert_eq!(writes.counts.get(Count::BytesOut), pushed * SLOT);
    assert_eq!(reads.counts.get(Count::BytesIn), (pushed - first.number) * SLOT);
}

#[test]
fn what_there_is_no_room_for_waits_or_is_dropped_and_counted() {
    let (name, full) = (name("full"), WhenFull::Drop);
    let sharing = Sharing { capacity: 512, full, ..Sharing::default() };
    let mut writes = writes_what_is_pushed(&name, sharing);
    writes.push_all(0..10_000);
    while writes.counts.get(Count::Dropped) + 512 < 10_000 {
        writes.step();
    }
    assert!(writes.counts.get(Count::NotConnected) > 0);
    let listener = SharedListener::at(&name).unwrap();
    let mut reads = reads_from(&listener, Taking::default());
    writes.push_all(10_000..10_001);
    let Writes { mut shard, input, counts, since } = writes;
    input.close();
    while !reads.shard.is_done() {
        step(&mut shard, since);
        reads.step();
    }
    // The first are kept, the one behind them came before there was room, or after.
    let seen = reads.counts.get(Count::BytesIn) / SLOT;
    assert_eq!(seen + counts.get(Count::Dropped), 10_001);
    assert!((512..514).contains(&seen), "{seen}");
    // What is left is his, or taken.
    while !shard.is_done() {
        step(&mut shard, since);
    }
}

/// Steps both until one of them says something.
fn failure(writes: &mut Writes, reads: &mut Reads) -> String {
    loop {
        let now = Timestamp(writes.since.elapsed().as_nanos() as i64);
        writes.shard.step(now);
        reads.shard.step(now);
        if let Some(failure) = writes.shard.failure() {
            return failure.to_string();
        }
        assert!(writes.since.elapsed() < PATIENCE, "they agree");
    }
}

#[test]
fn sides_that_mean_other_records_hear_of_it() {
    let name = name("other");
    let listener = SharedListener::at(&name).unwrap();
    let wants = [
        (Taking { format: 4, ..Taking::default() }, "the format is 4 there and 0 here"),
        (Taking { capacity_max: 256, ..Taking::default() }, "room for 16384 records, at most 256"),
    ];
    for (taking, why) in wants {
        let mut reads = reads_from(&listener, taking);
        let mut writes = writes_what_is_pushed(&name, Sharing::default());
        let failure = failure(&mut writes, &mut reads);
        assert!(failure.contains(why) && failure.contains(&name), "{failure}");
        assert_eq!(reads.counts.get(Count::Refused), 1);
        assert_eq!(reads.counts.get(Count::Accepted), 0);
        let problems = &reads.seen.borrow().problems;
        assert_eq!((problems.len(), problems[0].count), (1, Count::Refused), "{problems:?}");
    }
}

#[test]
fn one_who_says_nothing_or_garbage_keeps_nobody_out() {
    use std::io::Write;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixStream};
    let name = name("garbage");
    let listener = SharedListener::at(&name).unwrap();
    let mut reads = reads_from(&listener, Taking::default());
    let address = SocketAddr::from_abstract_name(format!("millstream/ring/{name}")).unwrap();
    let silent = UnixStream::connect_addr(&address).unwrap();
    let mut wrong = UnixStream::connect_addr(&address).unwrap();
    wrong.write_all(&[7; 40]).unwrap();
    let mut short = UnixStream::connect_addr(&address).unwrap();
    short.write_all(&[7; 3]).unwrap();
    drop(UnixStream::connect_addr(&address).unwrap());
    let mut writes = writes_what_is_pushed(&name, Sharing::default());
    writes.push_all(0..10);
    while reads.seen() < 10 {
        writes.step();
        reads.step();
    }
    drop(silent);
    assert_eq!(reads.counts.get(Count::Refused), 4);
    let reasons =
        reads.seen.borrow().problems.iter().map(|it| it.reason.clone()).collect::<Vec<_>>();
    assert_eq!(reasons[0], "nothing comes");
    assert_eq!(reasons[1], "it is no ring of records");
    assert!(reasons[2].contains("made of"), "{reasons:?}");
}

#[test]
fn a_reader_that_is_stopped_ends_when_it_has_given_everything() {
    let name = name("stopped");
    let listener = SharedListener::at(&name).unwrap();
    let mut reads = reads_from(&listener, Taking::default());
    let mut writes = writes_what_is_pushed(&name, Sharing::default());
    writes.push_all(0..1_000);
    while reads.counts.get(Count::Accepted) == 0
        || writes.counts.get(Count::BytesOut) < 1_000 * SLOT
    {
        writes.step();
        reads.step();
    }
    listener.stop();
    reads.until(|it| it.shard.is_done());
    assert_eq!(reads.seen(), 1_000);
    // The end of the stream waits for a reader, and not for ever.
    drop(reads);
    let sharing = Sharing { linger: Duration::from_millis(20), ..Sharing::default() };
    let mut shard = writes_to_nobody(&name, sharing);
    let since = Instant::now();
    while !shard.0.is_done() {
        step(&mut shard.0, since);
    }
    assert_eq!(shard.1.get(Count::Dropped), 10);
}

fn writes_to_nobody(name: &str, sharing: Sharing) -> (Shard, Counts) {
    let mut writes = writes_what_is_pushed(&format!("{name}-nobody"), sharing);
    writes.push_all(0..10);
    let Writes { shard, input, counts, .. } = writes;
    input.close();
    (shard, counts)
}
