//! A full disk does what was chosen, says so, and ends when there is room again.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use millstream::error::{Error, JournalError};
use millstream::io::journal::{
    End, Journal, Notice, OnFull, Reader, Refused, SegmentHeader, Sequence, Settings,
};
use millstream::io::{Done, Storage, Write};
use millstream::sim::{SimDisk, SimStorage};
use millstream::{Timestamp, ms, us};

use super::world::{World, small};

type Told = Rc<RefCell<Vec<Notice>>>;

/// A journal with room for one segment more than it begins with.
fn nearly_full(on_full: OnFull) -> (World, Told) {
    let settings = Settings { on_full, retry_after: us(200), ..small() };
    let mut world = World::new(9, settings);
    world.disk.set_room(2 * settings.segment_bytes + 512);
    world.open().unwrap();
    let told = Told::default();
    let keep = Rc::clone(&told);
    let journal = world.journal.take().unwrap();
    world.journal = Some(journal.on_notice(move |notice| keep.borrow_mut().push(*notice)));
    (world, told)
}

/// Appends until the journal says something else than yes or later.
fn fill(world: &mut World) -> Refused {
    loop {
        match world.append(1000) {
            Ok(_) | Err(Refused::Full) => {
                world.poll().unwrap();
                assert!(world.known.len() < 1000, "it is never full");
            }
            Err(refused) => return refused,
        }
    }
}

#[test]
fn stopping_is_an_error_and_loses_nothing() {
    let (mut world, told) = nearly_full(OnFull::Stop);
    assert_eq!(fill(&mut world), Refused::Failed);
    let error = world.poll().unwrap_err();
    assert!(error.to_string().contains("no storage space"), "{error}");
    assert_eq!(*told.borrow(), [Notice::DiskFull(OnFull::Stop), Notice::Failed]);
    let durable = world.journal().durable().0;
    assert!(durable >= 30, "both segments were used: {durable}");
    world.journal = None;
    world.disk.crash();
    assert!(world.check().1 >= durable);
}

#[test]
fn shedding_refuses_and_counts_until_there_is_room() {
    let (mut world, told) = nearly_full(OnFull::Shed);
    assert_eq!(fill(&mut world), Refused::Shed);
    for _ in 0..9 {
        assert_eq!(world.append(1000), Err(Refused::Shed));
    }
    assert_eq!((world.journal().stats().shed, world.journal().stats().disk_full), (10, 1));
    assert!(world.journal().is_disk_full());
    world.disk.set_room(u64::MAX);
    while world.journal().is_disk_full() {
        world.poll().unwrap();
    }
    let before = world.known.len() as u64;
    while world.append(1000).is_err() {
        world.poll().unwrap();
    }
    world.settle();
    let resumed = Notice::Resumed { shed: 10, skipped: 0 };
    assert_eq!(*told.borrow(), [Notice::DiskFull(OnFull::Shed), resumed]);
    assert_eq!(world.check(), (0, before + 1), "no gap: what was shed has no sequence");
}

#[test]
fn going_on_takes_records_says_so_and_writes_the_gap_down() {
    let (mut world, told) = nearly_full(OnFull::GoOn);
    while world.journal().stats().skipped < 25 {
        _ = world.append(1000);
        world.poll().unwrap();
    }
    let (durable, next) = (world.journal().durable(), world.journal().next());
    assert_eq!(next.0 - durable.0, 25, "what is not written is not said to be durable");
    assert_eq!(world.journal().released(), next, "but gates are open");
    assert_eq!(world.journal().watch().get(), next);
    assert_eq!(*told.borrow(), [Notice::DiskFull(OnFull::GoOn)]);
    world.disk.set_room(u64::MAX);
    while world.journal().is_disk_full() {
        world.poll().unwrap();
    }
    world.append(30).unwrap();
    world.settle();
    assert_eq!(told.borrow().last(), Some(&Notice::Resumed { shed: 0, skipped: 25 }));
    assert_eq!(world.journal().released(), world.journal().durable());
    world.journal = None;
    world.disk.crash();
    let mut reader = Reader::open(world.disk.clone()).unwrap();
    let mut read = Vec::new();
    let mut skipped = 0;
    while let Some(found) = reader.read().unwrap().map(|found| found.sequence.0) {
        if read.last().is_some_and(|last| last + 1 < found) {
            skipped += reader.group().unwrap().skipped;
        }
        read.push(found);
    }
    assert_eq!((reader.end().unwrap(), skipped), (End::Open, 25));
    let want: Vec<u64> = (0..durable.0).chain([next.0]).collect();
    assert_eq!(read, want);
    assert_eq!(world.open().unwrap().next, Sequence(next.0 + 1));
}

#[test]
fn a_write_without_room_is_tried_again() {
    for on_full in [OnFull::Stop, OnFull::Shed, OnFull::GoOn] {
        let mut world = World::new(4, Settings { on_full, ..small() });
        world.open().unwrap();
        world.append(10).unwrap();
        world.disk.set_full(true);
        (0..50).for_each(|_| _ = world.poll().unwrap());
        assert!(world.journal().is_disk_full() && world.journal().durable().0 == 0);
        world.disk.set_full(false);
        world.settle();
        assert!(!world.journal().is_disk_full());
        assert_eq!(world.check(), (0, 1));
    }
}

/// A disk that has no room for any write, and counts how often it is asked.
struct Full(SimStorage, Rc<Cell<u32>>);

impl Storage for Full {
    fn slots(&self) -> usize {
        self.0.slots()
    }
    fn slot_bytes(&self) -> usize {
        self.0.slot_bytes()
    }
    fn buffer(&mut self, slot: usize) -> &mut [u8] {
        self.0.buffer(slot)
    }
    fn write(&mut self, write: Write) {
        self.1.set(self.1.get() + 1);
        self.0.write(write);
    }
    fn make(&mut self, header: SegmentHeader) {
        self.0.make(header);
    }
    fn sync(&mut self, segment: u64) {
        Storage::sync(&mut self.0, segment);
    }
    fn remove(&mut self, segment: u64) {
        Storage::remove(&mut self.0, segment);
    }
    fn drive(&mut self) {
        self.0.drive();
    }
    fn next_done(&mut self) -> Option<Done> {
        self.0.next_done()
    }
}

#[test]
fn a_write_without_room_waits_before_it_is_tried_again() {
    let settings = Settings { retry_after: ms(1), ..small() };
    let (mut disk, tries) = (SimDisk::new(4), Rc::default());
    let storage = Full(disk.storage(&settings), Rc::clone(&tries));
    let (mut journal, _) = Journal::open(&mut disk, storage, settings, 1, Timestamp(0)).unwrap();
    journal.append(Timestamp(0), b"one").unwrap();
    disk.set_full(true);
    for step in 0..1_000 {
        journal.poll(Timestamp(0) + us(10) * step).unwrap();
    }
    assert!((5..=11).contains(&tries.get()), "{} tries in 10 ms", tries.get());
    disk.set_full(false);
    for step in 1_000..1_200 {
        journal.poll(Timestamp(0) + us(10) * step).unwrap();
    }
    assert_eq!(journal.durable(), Sequence(1));
}

#[test]
fn a_failed_write_fails_the_journal_for_good() {
    let mut world = World::new(4, small());
    world.open().unwrap();
    world.append(10).unwrap();
    world.settle();
    world.append(10).unwrap();
    world.disk.fail_next_write();
    let error = loop {
        if let Err(error) = world.poll() {
            break error;
        }
    };
    assert!(error.to_string().contains("worn out"), "{error}");
    assert!(matches!(error, Error::Journal(JournalError::Io(_))));
    assert_eq!(world.append(10), Err(Refused::Failed));
    assert_eq!(world.journal().durable(), Sequence(1));
    assert!(world.close().is_err());
    assert_eq!(world.check(), (0, 1));
}

#[test]
fn a_full_disk_at_the_beginning_is_an_error() {
    let mut world = World::new(4, small());
    world.disk.set_room(4096);
    let error = world.open().unwrap_err();
    assert!(error.to_string().contains("first segment"), "{error}");
    world.disk.set_room(u64::MAX);
    assert_eq!(world.open().unwrap().next, Sequence(0));
    assert_eq!(world.journal().append(Timestamp(0), &[]), Ok(Sequence(0)));
}
