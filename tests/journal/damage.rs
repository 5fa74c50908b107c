//! Every kind of damage is told from the others, and everything before it is read.

use fastrand::Rng;
use millstream::Timestamp;
use millstream::error::{Error, JournalError};
use millstream::io::Files;
use millstream::io::journal::{
    BLOCK, Catalog, End, FirstKept, Journal, KEPT, Reader, SegmentHeader, Settings, Walk, recover,
    segment_name,
};
use millstream::sim::SimDisk;

use super::world::{World, small};

/// A journal of three segments, closed.
fn closed(records: usize) -> World {
    let mut world = World::new(3, small());
    world.open().unwrap();
    for n in 0..records {
        world.append(1500 + n % 7).unwrap();
        world.settle();
    }
    world.close().unwrap();
    world
}

/// What can be read before the damage, checked, and what the damage is.
fn read(world: &World) -> (u64, Result<End, JournalError>) {
    let mut reader = match Reader::open(world.disk.clone()) {
        Ok(reader) => reader,
        Err(error) => return (0, Err(error)),
    };
    let mut read = 0;
    while let Some(found) = reader.read().unwrap() {
        let (at, bytes) = &world.known[found.sequence.0 as usize];
        assert_eq!((found.sequence.0, found.at.0, found.bytes), (read, *at, &bytes[..]));
        read += 1;
    }
    (read, reader.end())
}

fn sizes(disk: &SimDisk) -> Vec<(String, u64)> {
    let all = disk.clone().list().unwrap();
    all.into_iter().filter(|(name, _)| name.ends_with(".segment")).collect()
}

/// How much of a segment groups take.
fn used(disk: &SimDisk, segment: &str) -> usize {
    let mut files = disk.clone();
    let mut walk = Walk::new(Catalog::read(&mut files).unwrap(), 0);
    let mut used = BLOCK;
    while let Some(found) = walk.next(&mut files).unwrap() {
        if segment_name(found.segment) == segment {
            used = found.offset as usize + found.header.span();
        }
    }
    used
}

#[test]
fn a_bit_flipped_in_any_byte_is_seen_and_what_is_before_is_read() {
    let world = closed(40);
    let segments = sizes(&world.disk);
    assert_eq!(segments.len(), 3, "{segments:?}");
    let (mut disk, total) = (world.disk.clone(), world.known.len() as u64);
    let mut last = 0;
    for (name, _) in &segments {
        let length = used(&world.disk, name);
        // Every byte of what comes first, some of the others.
        let step = if *name == segments[2].0 { 3 } else { 37 };
        let beginning = 0..BLOCK + 100;
        for at in (0..length).filter(|at| at % step == 0 || beginning.contains(at)) {
            disk.flip(name, at, (at % 8) as u32).unwrap();
            let (read, end) = read(&world);
            match end {
                Err(JournalError::Damaged { file, offset, sequence, .. }) => {
                    assert_eq!((&file, sequence), (name, read), "byte {at}");
                    assert!(offset <= at as u64, "byte {at}: said {offset}");
                }
                // Nothing behind says that the last group, which closes it, had been durable.
                Ok(End::Torn { .. }) => assert_eq!(read, total, "byte {at} of {name}"),
                other => panic!("byte {at} of {name}: {other:?}"),
            }
            assert!(read >= last || at < BLOCK, "byte {at} of {name}: only {read} read");
            last = if at < BLOCK { last } else { read };
            disk.flip(name, at, (at % 8) as u32).unwrap();
        }
    }
    assert_eq!(read(&world).0, total);
}

#[test]
fn a_flip_keeps_the_journal_from_being_opened_and_changes_nothing() {
    let mut world = closed(40);
    let (name, _) = sizes(&world.disk)[2].clone();
    world.disk.flip(&name, BLOCK + 200, 3).unwrap();
    let before = sizes(&world.disk);
    match world.open() {
        Err(Error::Journal(JournalError::Damaged { file, .. })) => assert_eq!(file, name),
        other => panic!("{other:?}"),
    }
    assert_eq!(sizes(&world.disk), before);
}

#[test]
fn a_missing_segment_is_named() {
    let mut world = closed(40);
    world.disk.remove(&segment_name(1)).unwrap();
    let (read, end) = read(&world);
    match end {
        Err(JournalError::Missing { file, sequence }) => {
            assert_eq!((file, sequence), (segment_name(1), read));
        }
        other => panic!("{other:?}"),
    }
    assert!(read > 0 && world.open().is_err());
}

#[test]
fn first_segments_that_retention_did_not_remove_are_missing() {
    let mut world = closed(40);
    world.disk.remove(&segment_name(0)).unwrap();
    let mut reader = Reader::open(world.disk.clone()).unwrap();
    let first = reader.read().unwrap().unwrap().sequence.0;
    assert!(first > 0, "what is left can be read");
    while reader.read().unwrap().is_some() {}
    match reader.end() {
        Err(JournalError::Missing { file, sequence: 0 }) => assert_eq!(file, segment_name(0)),
        other => panic!("{other:?}"),
    }
    assert!(matches!(world.open(), Err(Error::Journal(JournalError::Missing { .. }))));
}

#[test]
fn first_segments_are_told_from_those_that_retention_removed() {
    let mut world = World::new(3, Settings { bytes_max: Some(128 << 10), ..small() });
    world.open().unwrap();
    for n in 0..120 {
        world.append(3000 + n % 7).unwrap();
        world.settle();
    }
    world.close().unwrap();
    world.open().unwrap();
    world.close().unwrap();
    let (first, next) = world.check();
    assert!(first > 0);
    let kept = FirstKept::read(&mut world.disk.clone()).unwrap().unwrap();
    assert_eq!(kept.sequence.0, first);
    world.disk.remove(&segment_name(kept.number)).unwrap();
    match Reader::open(world.disk.clone()).unwrap().end() {
        Err(JournalError::Missing { file, sequence }) => {
            assert_eq!((file, sequence), (segment_name(kept.number), first));
        }
        other => panic!("{other:?}"),
    }
    for (name, _) in sizes(&world.disk) {
        world.disk.remove(&name).unwrap();
    }
    let end = Reader::open(world.disk.clone()).unwrap().end();
    assert!(matches!(end, Err(JournalError::Missing { .. })), "all are gone: {end:?}, to {next}");
    world.disk.flip(KEPT, 9, 1).unwrap();
    let damaged = Reader::open(world.disk.clone()).map(drop).unwrap_err().to_string();
    assert!(damaged.starts_with("kept: damaged at byte 0"), "{damaged}");
}

#[test]
fn a_journal_that_never_said_which_segment_is_its_first_says_so_from_now_on() {
    let mut world = World::new(3, Settings { bytes_max: Some(128 << 10), ..small() });
    world.open().unwrap();
    for n in 0..120 {
        world.append(3000 + n % 7).unwrap();
        world.settle();
    }
    world.close().unwrap();
    world.disk.remove(KEPT).unwrap();
    let (first, _) = world.check();
    world.open().unwrap();
    world.journal = None;
    let kept = FirstKept::read(&mut world.disk.clone()).unwrap().unwrap();
    assert!(kept.number > 0 && kept.sequence.0 == first, "{kept:?}, from {first}");
}

#[test]
fn a_segment_of_another_journal_is_refused() {
    let mut world = closed(40);
    let header = SegmentHeader::new(78, 1, 1, 64 << 10);
    world.disk.write_at(&segment_name(1), 0, &header.encode()).unwrap();
    match read(&world).1 {
        Err(JournalError::Foreign { file, found: 78, journal: 77 }) => {
            assert_eq!(file, segment_name(1));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_under_another_number_is_damage() {
    let mut world = closed(40);
    world.disk.rename(&segment_name(1), &segment_name(3)).unwrap();
    world.disk.rename(&segment_name(2), &segment_name(1)).unwrap();
    match read(&world).1 {
        Err(JournalError::Damaged { file, offset: 0, .. }) => assert_eq!(file, segment_name(1)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_tail_torn_at_any_sector_is_cut_off_and_the_journal_goes_on() {
    let settings = Settings { slots: 2, slot_bytes: 16 << 10, ..small() };
    for seed in 0..60 {
        let mut world = World::new(seed, settings);
        world.open().unwrap();
        world.append(3000).unwrap();
        world.settle();
        // One group of many sectors, under way when the power goes.
        (0..10).for_each(|_| _ = world.append(1400).unwrap());
        world.poll().unwrap();
        world.journal = None;
        world.disk.crash();
        let (_, next) = world.check();
        let recovered = world.open().unwrap();
        assert_eq!(recovered.next.0, next);
        assert!((1..=11).contains(&next));
        match recovered.end {
            End::Torn { segment: 0, offset, groups: 0 } => assert!(offset >= 8192, "{offset}"),
            End::Open => assert!(next == 1 || next == 11, "{next}"),
            other => panic!("{other:?}"),
        }
        world.append(5).unwrap();
        world.settle();
        assert_eq!(world.check(), (0, next + 1), "it goes on behind the tear");
        world.close().unwrap();
        assert_eq!(world.open().unwrap().end, End::Closed);
    }
}

#[test]
fn what_an_earlier_segment_left_in_a_file_is_no_record() {
    let settings = Settings { bytes_max: Some(128 << 10), ..small() };
    for seed in 0..30 {
        let mut world = World::new(seed, settings);
        world.open().unwrap();
        let mut rng = Rng::with_seed(seed);
        // All groups alike, so that only the salt tells old ones from new ones.
        for _ in 0..120 + rng.usize(..20) {
            let at = world.now;
            let sequence = loop {
                match world.journal().append(at, &[7; 4000]) {
                    Ok(sequence) => break sequence,
                    Err(_) => _ = world.poll().unwrap(),
                }
            };
            world.known.push((at.0, vec![7; 4000]));
            assert_eq!(sequence.0 + 1, world.known.len() as u64);
        }
        world.settle();
        assert!(world.journal().stats().segments_removed > 3);
        world.journal = None;
        world.disk.crash();
        let (first, next) = world.check();
        assert!(first > 0 && next == world.known.len() as u64);
        assert_eq!(world.open().unwrap().next.0, next);
    }
}

#[test]
fn an_empty_directory_is_an_empty_journal() {
    let mut disk = SimDisk::new(1);
    let found = recover(&mut disk).unwrap();
    assert_eq!((found.journal, found.next.0, found.end), (None, 0, End::Closed));
    let mut reader = Reader::open(disk).unwrap();
    assert_eq!(reader.read().unwrap(), None);
    assert_eq!(reader.end().unwrap(), End::Closed);
}

#[test]
fn a_storage_of_another_size_is_refused() {
    let (mut disk, now) = (SimDisk::new(1), Timestamp(0));
    let storage = disk.storage(&Settings { slots: 4, ..small() });
    let error = Journal::open(&mut disk, storage, small(), 1, now).map(drop).unwrap_err();
    assert!(error.to_string().starts_with("slots = 3: the storage has 4"), "{error}");
}
