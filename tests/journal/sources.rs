//! A journal as a source, and a source that is journalled.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;

use fastrand::Rng;
use millstream::dataflow::{Epoch, Saved};
use millstream::disk;
use millstream::error::IoError;
use millstream::io::journal::{
    Journal, JournalSource, Journalled, OnFull, Sequence, Settings, Sync,
};
use millstream::io::{Codec, Directory, Files, Polled, Source, Storage, codec};
use millstream::sim::{SimDisk, SimStorage};
use millstream::{Record, Timestamp, ms, secs, us};

use super::real::folder;
use super::world::{World, each_seed, settings, small};

/// Numbers, of some length.
pub fn numbers() -> impl Codec<Value = u64> {
    codec(
        64,
        |number: &u64, into: &mut Vec<u8>| {
            into.extend(number.to_le_bytes());
            into.resize(8 + (number % 56) as usize, 0);
        },
        |bytes: &[u8]| match bytes.first_chunk() {
            Some(eight) => Ok(u64::from_le_bytes(*eight)),
            None => Err("shorter than a number".to_owned()),
        },
    )
}

/// Says each number once, to whoever asks: what nobody takes is not lost, what is taken is gone.
pub struct Live {
    pub next: Rc<Cell<u64>>,
    pub last: u64,
}

impl Source for Live {
    type Out = u64;

    fn poll(
        &mut self,
        _partition: usize,
        now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<u64>),
    ) -> Result<Polled, IoError> {
        for _ in 0..budget {
            let number = self.next.get();
            if number >= self.last {
                return Ok(Polled::ended());
            }
            self.next.set(number + 1);
            emit(Record::new(now, number));
        }
        Ok(Polled::open())
    }
}

type Wrapped = Journalled<Live, Box<dyn Codec<Value = u64>>, SimStorage, SimDisk>;

/// A journalled source on a simulated disk, and all that ever came out of it.
struct Run {
    disk: SimDisk,
    settings: Settings,
    live: Rc<Cell<u64>>,
    now: Timestamp,
    seen: Vec<u64>,
    source: Option<Wrapped>,
}

impl Run {
    fn new(seed: u64, settings: Settings) -> Self {
        let (live, seen, now) = (Rc::default(), Vec::new(), Timestamp(1_000));
        Self { disk: SimDisk::new(seed), settings, live, now, seen, source: None }
    }

    /// Opens it anew, from a snapshot if there is one: what was seen after that is forgotten.
    fn open(&mut self, snapshot: Option<&(Saved, usize)>) -> millstream::Result<()> {
        let (storage, mut files) = (self.disk.storage(&self.settings), self.disk.clone());
        let (journal, _) = Journal::open(&mut files, storage, self.settings, 7, self.now)?;
        let live = Live { next: Rc::clone(&self.live), last: u64::MAX };
        let codec: Box<dyn Codec<Value = u64>> = Box::new(numbers());
        let mut source = Journalled::new(live, codec, journal, files)?;
        self.seen.truncate(snapshot.map_or(0, |(_, seen)| *seen));
        if let Some((saved, _)) = snapshot {
            let mut saved = saved.clone();
            source.load(&mut saved);
            saved.finish()?;
        }
        self.source = Some(source);
        Ok(())
    }

    fn source(&mut self) -> &mut Wrapped {
        self.source.as_mut().unwrap()
    }

    fn poll(&mut self, budget: usize) -> Result<Polled, IoError> {
        self.now = self.now + us(20);
        let Self { source, seen, now, .. } = self;
        let source = source.as_mut().unwrap();
        source.drive(*now)?;
        source.poll(0, *now, budget, &mut |record| seen.push(record.value))
    }

    /// A snapshot, if one can be taken now.
    fn snapshot(&mut self) -> Option<(Saved, usize)> {
        let mut saved = Saved::new();
        self.source().save(&mut saved);
        let seen = self.seen.len();
        saved.checked().ok().map(|saved| (saved, seen))
    }
}

/// What comes is what came before the crash, in the same order, and then what is new.
fn live(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let settings = Settings { bytes_max: None, ..settings(&mut rng) };
    let mut run = Run::new(seed, settings);
    run.disk.set_slow(rng.u32(0..4));
    let (mut snapshot, mut durable, mut known) = (None, 0, Vec::new());
    for _ in 0..rng.usize(1..6) {
        if rng.u8(..3) == 0 {
            run.disk.fail_after(rng.u64(1..300));
        }
        let before = durable;
        if run.open(snapshot.as_ref()).is_ok() {
            use_it(&mut run, &mut rng, &mut durable, &mut snapshot);
            assert!(run.seen.is_sorted_by(|one, other| one < other), "twice: {:?}", run.seen);
            let again = run.seen.len().min(before);
            assert_eq!(run.seen[..again], known[..again], "another order");
            if run.seen.len() >= durable {
                known.clone_from(&run.seen);
            }
        }
        run.source = None;
        run.disk.crash();
    }
    run.open(snapshot.as_ref()).unwrap();
    while run.source().position() < run.source().journal().next() {
        run.poll(7).unwrap();
    }
    assert!(run.seen.len() >= durable, "{} of {durable}", run.seen.len());
    assert_eq!(run.seen[..durable], known[..durable]);
}

/// Polls until the host goes down or it has been enough, and takes a snapshot now and then.
fn use_it(
    run: &mut Run,
    rng: &mut Rng,
    durable: &mut usize,
    snapshot: &mut Option<(Saved, usize)>,
) {
    let is_synced = run.settings.sync != Sync::None;
    for _ in 0..rng.usize(..200) {
        if run.poll(rng.usize(..20)).is_err() {
            return assert!(run.disk.is_down());
        }
        // Without syncs, nothing is promised of a crash.
        if is_synced {
            *durable = (*durable).max(run.source().journal().durable().0 as usize);
            if rng.u8(..20) == 0 {
                *snapshot = run.snapshot().or(snapshot.take());
            }
        }
    }
}

#[test]
fn after_a_crash_what_was_journalled_comes_again_and_then_what_is_new() {
    each_seed(200, live);
}

#[test]
fn a_snapshot_waits_until_what_went_on_is_durable() {
    let mut run = Run::new(3, small());
    run.disk.set_slow(50);
    run.open(None).unwrap();
    while run.seen.is_empty() {
        run.poll(5).unwrap();
    }
    assert!(run.snapshot().is_none());
    while run.source().journal().durable() < Sequence(5) {
        run.poll(0).unwrap();
    }
    let snapshot = run.snapshot().unwrap();
    run.disk.set_slow(0);
    (0..9).for_each(|_| _ = run.poll(5).unwrap());
    let after = run.seen.clone();
    run.source = None;
    run.open(Some(&snapshot)).unwrap();
    assert_eq!((run.seen.len(), run.source().position()), (5, Sequence(5)));
    (0..9).for_each(|_| _ = run.poll(3).unwrap());
    assert!(run.seen.len() >= 27 && run.seen[..27] == after[..27], "{:?}", run.seen);
}

#[test]
fn retention_keeps_what_the_last_two_snapshots_go_on_from() {
    let mut run = Run::new(3, Settings { bytes_max: Some(128 << 10), ..small() });
    run.open(None).unwrap();
    let mut snapshots = Vec::new();
    for _ in 0..4 {
        (0..400).for_each(|_| _ = run.poll(100).unwrap());
        snapshots.push(loop {
            run.poll(0).unwrap();
            if let Some(snapshot) = run.snapshot() {
                break snapshot;
            }
        });
    }
    (0..400).for_each(|_| _ = run.poll(100).unwrap());
    let seen = run.seen.clone();
    for (number, snapshot) in snapshots.iter().enumerate() {
        run.source = None;
        run.seen.clone_from(&seen);
        run.open(Some(snapshot)).unwrap();
        let polled = run.poll(100);
        assert_eq!(polled.is_ok(), number >= 2, "of the last two, number {number}: {polled:?}");
        let again = run.seen.len().min(seen.len());
        assert_eq!(run.seen[..again], seen[..again]);
    }
}

/// After a crash sinks hear once more that the checkpoint is complete, and sources with them.
#[test]
fn retention_keeps_what_the_checkpoint_goes_on_from_that_was_restored() {
    let mut run = Run::new(3, Settings { bytes_max: Some(128 << 10), ..small() });
    run.open(None).unwrap();
    (0..50).for_each(|_| _ = run.poll(100).unwrap());
    let snapshot = loop {
        run.poll(0).unwrap();
        if let Some(snapshot) = run.snapshot() {
            break snapshot;
        }
    };
    for _ in 0..2 {
        run.source = None;
        run.open(Some(&snapshot)).unwrap();
        run.source().on_complete(Epoch(1));
        (0..1_000).for_each(|_| _ = run.poll(100).unwrap());
        assert!(run.seen.len() > snapshot.1, "it goes on");
    }
}

#[test]
fn a_snapshot_that_is_ahead_of_its_journal_is_refused() {
    let mut saved = Saved::new();
    saved.put("journal", &9u64);
    let mut run = Run::new(3, small());
    run.open(Some(&(saved, 0))).unwrap();
    let error = run.poll(5).unwrap_err().to_string();
    assert!(error.contains("record 9 is not in the journal"), "{error}");
}

#[test]
fn a_source_is_not_polled_while_its_journal_has_no_room() {
    let mut run = Run::new(3, small());
    run.open(None).unwrap();
    run.disk.set_slow(u32::MAX - 1);
    (0..100).for_each(|_| _ = run.poll(1_000).unwrap());
    let taken = run.live.get();
    assert!((100..2_000).contains(&taken), "{taken}");
    (0..100).for_each(|_| _ = run.poll(1_000).unwrap());
    assert_eq!((run.live.get(), run.seen.len() as u64), (taken, taken));
    run.disk.set_slow(0);
    (0..1_000).for_each(|_| _ = run.poll(1_000).unwrap());
    assert!(run.live.get() > 10 * taken);
    assert!(run.seen.iter().copied().eq(0..run.live.get()), "nothing taken is lost");
}

#[test]
fn on_a_full_disk_it_stops_or_sheds() {
    for on_full in [OnFull::Stop, OnFull::Shed] {
        let settings = Settings { on_full, ..small() };
        let mut run = Run::new(3, settings);
        run.disk.set_room(3 * settings.segment_bytes);
        run.open(None).unwrap();
        let ended = (0..5_000).map(|_| run.poll(100)).find_map(Result::err);
        let shed = run.source().journal().stats().shed;
        match on_full {
            OnFull::Stop => assert!(ended.unwrap().to_string().contains("storage space")),
            _ => assert!(ended.is_none() && shed > 0 && run.live.get() > shed),
        }
        assert!(run.seen.is_sorted() && run.seen.len() as u64 + shed == run.live.get());
    }
}

/// Everything that a source gives until it ends, some records a poll.
fn drain<F: Files + 'static, C: Codec<Value = u64>>(
    source: &mut JournalSource<F, C>,
) -> Vec<(i64, u64)> {
    let mut seen = Vec::new();
    while !source.poll(0, Timestamp(0), 7, &mut |r| seen.push((r.at.0, r.value))).unwrap().ended {}
    seen
}

fn append<S: Storage>(journal: &mut Journal<S>, numbers_: std::ops::Range<u64>) {
    let (mut codec, mut bytes) = (numbers(), Vec::new());
    for number in numbers_ {
        bytes.clear();
        codec.encode(&number, &mut bytes);
        while journal.append(Timestamp(10 * number as i64), &bytes).is_err() {
            journal.poll(Timestamp(0)).unwrap();
        }
    }
}

fn written(path: &Path, numbers: std::ops::Range<u64>) -> Directory {
    let (mut journal, _) = disk::open(path, small(), Timestamp(0)).unwrap();
    append(&mut journal, numbers);
    let mut files = Directory::open(path).unwrap();
    journal.close(&mut files).unwrap();
    files
}

#[test]
fn a_journal_is_a_source_from_any_sequence_and_time() {
    let files = written(&folder("source"), 0..5_000);
    let want = |from: u64| (from..5_000).map(|n| (10 * n as i64, n)).collect::<Vec<_>>();
    let open = || JournalSource::open(Directory::open(files.path()).unwrap(), numbers()).unwrap();
    assert_eq!(drain(&mut open()), want(0));
    for from in [0, 1, 1_234, 4_999, 5_000] {
        assert_eq!(drain(&mut open().from(Sequence(from)).unwrap()), want(from));
        let since = Timestamp(10 * from as i64 - 3);
        assert_eq!(drain(&mut open().since(since).unwrap()), want(from));
    }
    assert!(open().from(Sequence(5_001)).is_err());
}

#[test]
fn a_restored_journal_source_goes_on_exactly_there() {
    let files = written(&folder("source-restored"), 0..700);
    let open = || JournalSource::open(Directory::open(files.path()).unwrap(), numbers()).unwrap();
    let mut rng = Rng::with_seed(5);
    for _ in 0..50 {
        let (mut seen, mut source) = (Vec::new(), open());
        let mut take = |r: Record<u64>| seen.push(r.value);
        for _ in 0..rng.usize(..20) {
            source.poll(0, Timestamp(0), rng.usize(..60), &mut take).unwrap();
        }
        let mut saved = Saved::new();
        source.save(&mut saved);
        let mut saved = saved.checked().unwrap();
        let mut source = open();
        source.load(&mut saved);
        saved.finish().unwrap();
        seen.extend(drain(&mut source).iter().map(|(_, number)| number));
        assert!(seen.into_iter().eq(0..700));
    }
}

#[test]
fn a_follower_sees_what_is_durable_and_does_not_end() {
    let mut world = World::new(4, small());
    world.open().unwrap();
    let source = JournalSource::open(world.disk.clone(), numbers()).unwrap();
    let mut source = source.follow().look_every(us(50));
    let mut seen = Vec::new();
    for n in 0..301 {
        append(world.journal(), n..n + 1);
        world.poll().unwrap();
        let now = world.now;
        let polled = source.poll(0, now, 4, &mut |r| seen.push(r.value)).unwrap();
        assert!(!polled.ended && seen.len() as u64 <= world.journal().durable().0);
    }
    world.settle();
    world.now = world.now + world.settings.mark_after;
    for _ in 0..300 {
        world.poll().unwrap();
        let now = world.now;
        source.poll(0, now, 4, &mut |r| seen.push(r.value)).unwrap();
    }
    assert_eq!(seen, (0..301).collect::<Vec<_>>());
}

#[test]
fn a_follower_does_not_stand_before_damage_for_ever() {
    for damage in [4096 + 40, 4096 + 100] {
        let mut world = World::new(4, small());
        world.open().unwrap();
        for n in 0..60 {
            append(world.journal(), n..n + 1);
            world.settle();
        }
        world.disk.flip("000000000001.segment", damage, 1).unwrap();
        let mut source = JournalSource::open(world.disk.clone(), numbers()).unwrap().follow();
        let (mut seen, mut now) = (0, Timestamp(0));
        let error = loop {
            now = now + ms(5);
            match source.poll(0, now, 4, &mut |_| seen += 1) {
                Ok(polled) => assert!(!polled.ended && now < Timestamp(0) + secs(3)),
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.contains("000000000001.segment: damaged at byte"), "{damage}: {error}");
        assert_eq!(seen, 15, "all before it");
    }
}

#[test]
fn what_does_not_decode_is_counted_and_damage_is_an_error() {
    let mut world = World::new(4, small());
    world.open().unwrap();
    append(world.journal(), 0..3);
    world.journal().append(Timestamp(0), b"odd").unwrap();
    append(world.journal(), 4..6);
    world.settle();
    append(world.journal(), 6..7);
    world.settle();
    world.close().unwrap();
    let mut source = JournalSource::open(world.disk.clone(), numbers()).unwrap();
    let mut seen = Vec::new();
    let polled = source.poll(0, Timestamp(0), 9, &mut |r| seen.push(r.value)).unwrap();
    assert_eq!((polled.rejected, polled.ended, seen), (1, true, vec![0, 1, 2, 4, 5, 6]));
    world.disk.flip("000000000000.segment", 4096 + 70, 1).unwrap();
    let mut source = JournalSource::open(world.disk.clone(), numbers()).unwrap();
    let error = source.poll(0, Timestamp(0), 9, &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("damaged at byte"), "{error}");
}
