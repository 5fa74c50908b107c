//! Finding records by sequence and by time, and reading behind a writer.

use millstream::Timestamp;
use millstream::error::JournalError;
use millstream::io::journal::{Reader, Sequence, Settings};

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
