//! Finding records by sequence and by time, and reading behind a writer.

use millstream::Timestamp;
use millstream::error::JournalError;
use millstream::io::journal::{BLOCK, End, Reader, Sequence, Settings};

use super::world::{World, small};

fn some(settings: Settings, records: usize) -> World {
    let mut world = World::new(6, settings);
    world.open().unwrap();
    for n in 0..records {
        world.append(100 + (n * 37) % 2500).unwrap();
        if n % 3 == 0 {
            world.settle();
        }
    }
    world.settle();
    world
}

#[test]
fn every_sequence_is_found() {
    let world = some(Settings { bytes_max: Some(200 << 10), ..small() }, 300);
    let first = world.journal.as_ref().unwrap().first();
    assert!(first > Sequence(50));
    let mut reader = Reader::open(world.disk.clone()).unwrap();
    for n in (first.0..300).rev().chain(first.0..300) {
        reader.seek(Sequence(n)).unwrap();
        assert_eq!(reader.position(), Sequence(n));
        let found = reader.read().unwrap().unwrap();
        assert_eq!((found.sequence.0, found.bytes), (n, &world.known[n as usize].1[..]));
    }
    reader.seek(Sequence(300)).unwrap();
    assert_eq!(reader.read().unwrap(), None);
    assert_eq!(reader.position(), Sequence(300));
    for gone in [0, first.0 - 1, 301, u64::MAX] {
        match reader.seek(Sequence(gone)) {
            Err(JournalError::Gone { wanted, first: from, end: 300 }) => {
                assert_eq!((wanted, from <= first.0 || gone > 300), (gone, true));
            }
            other => panic!("{gone}: {other:?}"),
        }
    }
}

#[test]
fn every_time_is_found() {
    let world = some(small(), 200);
    let times: Vec<i64> = world.known.iter().map(|(at, _)| *at).collect();
    let mut reader = Reader::open(world.disk.clone()).unwrap();
    let (least, most) = (*times.iter().min().unwrap(), *times.iter().max().unwrap());
    let around = times.iter().flat_map(|at| [at - 1, *at, at + 1]);
    for at in around.chain([i64::MIN, least - 1, most + 1, i64::MAX]) {
        reader.seek_time(Timestamp(at)).unwrap();
        let want = times.iter().position(|time| *time >= at);
        let found = reader.read().unwrap().map(|found| found.sequence.0 as usize);
        assert_eq!(found, want, "at {at}");
    }
}

#[test]
fn behind_a_writer_only_what_was_durable_is_read() {
    let mut world = World::new(8, Settings { slots: 4, in_flight: 4, ..small() });
    world.open().unwrap();
    world.disk.set_slow(3);
    let mut reader = Reader::open(world.disk.clone()).unwrap().follow();
    let mut read = 0;
    for n in 0..2_000usize {
        if world.append(200 + n % 900).is_err() {
            world.poll().unwrap();
            continue;
        }
        world.poll().unwrap();
        while let Some(found) = reader.read().unwrap() {
            assert_eq!((found.sequence.0, found.bytes), (read, &world.known[read as usize].1[..]));
            read += 1;
            assert!(read <= world.journal().durable().0, "{read} is not durable");
        }
    }
    let durable = world.settle().0;
    // The mark of a pause gives the last ones free.
    world.now = world.now + world.settings.mark_after;
    (0..50).for_each(|_| _ = world.poll().unwrap());
    while let Some(found) = reader.read().unwrap() {
        assert_eq!(found.sequence.0, read);
        read += 1;
    }
    assert_eq!(read, durable);
    assert!(world.journal().segments().0 > 5);
}

#[test]
fn a_follower_of_an_empty_directory_sees_what_comes() {
    let mut world = World::new(8, small());
    let mut reader = Reader::open(world.disk.clone()).unwrap().follow();
    assert_eq!(reader.read().unwrap(), None);
    world.open().unwrap();
    assert_eq!(reader.read().unwrap(), None);
    (0..3).for_each(|_| _ = world.append(20).unwrap());
    world.settle();
    world.append(20).unwrap();
    world.settle();
    for n in 0..3 {
        let found = reader.read().unwrap().unwrap();
        assert_eq!((found.sequence.0, found.bytes), (n, &world.known[n as usize].1[..]));
    }
    assert_eq!(reader.read().unwrap(), None, "nothing says that the last is durable");
}

#[test]
fn a_follower_passes_a_torn_tail_into_what_was_written_after_it() {
    for seed in 0..40 {
        let mut world = World::new(seed, Settings { slots: 2, slot_bytes: 16 << 10, ..small() });
        world.open().unwrap();
        let mut reader = Reader::open(world.disk.clone()).unwrap().follow();
        world.append(3000).unwrap();
        world.settle();
        (0..10).for_each(|_| _ = world.append(1400).unwrap());
        world.poll().unwrap();
        while reader.read().unwrap().is_some() {}
        world.journal = None;
        world.disk.crash();
        let next = world.open().unwrap().next;
        (0..2).for_each(|_| {
            world.append(5).unwrap();
            world.settle();
        });
        let mut read = reader.position().0;
        while let Some(found) = reader.read().unwrap() {
            assert_eq!((found.sequence.0, found.bytes), (read, &world.known[read as usize].1[..]));
            read += 1;
        }
        assert_eq!(read, next.0 + 1, "all but the last, which nothing proves yet");
    }
}

/// Whoever looks into a journal at any moment finds it whole.
#[test]
fn behind_a_writer_nothing_is_torn() {
    let mut world = World::new(8, Settings { slots: 4, in_flight: 4, ..small() });
    world.open().unwrap();
    world.disk.set_slow(3);
    let mut torn = 0;
    for n in 0..600usize {
        _ = world.append(200 + n % 900);
        world.poll().unwrap();
        let mut reader = Reader::open(world.disk.clone()).unwrap().follow();
        while reader.read().unwrap().is_some() {}
        assert!(reader.position() <= world.journal().durable());
        assert_eq!(reader.end().unwrap(), End::Open);
        let mut reader = Reader::open(world.disk.clone()).unwrap();
        while reader.read().unwrap().is_some() {}
        torn += u32::from(matches!(reader.end(), Ok(End::Torn { .. })));
    }
    assert!(torn > 10, "writes came in any order, as {torn} others saw");
}

#[test]
fn behind_a_writer_damage_is_still_found() {
    let mut world = some(Settings { bytes_max: None, ..small() }, 60);
    world.disk.flip("000000000000.segment", 3 * BLOCK + 100, 1).unwrap();
    let mut reader = Reader::open(world.disk.clone()).unwrap().follow();
    while reader.read().unwrap().is_some() {}
    assert!(matches!(reader.end(), Err(JournalError::Damaged { .. })), "{:?}", reader.end());
    world.close().unwrap();
}
