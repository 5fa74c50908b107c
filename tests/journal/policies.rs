//! When records are written, how many share a write, and what retention removes.

use millstream::io::Storage;
use millstream::io::journal::{BLOCK, End, Refused, Sequence, Settings, Sync};
use millstream::{Timestamp, ms, us};

use super::world::{World, small};

#[test]
fn records_appended_between_two_polls_share_a_write() {
    let mut world = World::new(1, small());
    world.open().unwrap();
    for n in 1..=5 {
        (0..10).for_each(|_| _ = world.append(20).unwrap());
        world.settle();
        assert_eq!(world.journal().stats().groups, n);
    }
    assert_eq!(world.journal().stats().bytes, 5 * BLOCK as u64);
}

#[test]
fn every_so_often_waits_so_long_and_no_longer() {
    let settings = Settings { sync: Sync::Every(us(300)), ..small() };
    let mut world = World::new(1, settings);
    world.open().unwrap();
    let start = world.now;
    world.append(20).unwrap();
    for late in (0..300).step_by(50) {
        world.journal().poll(start + us(late)).unwrap();
        world.append(1).unwrap();
        assert_eq!(world.journal().stats().groups, 0, "after {late} us");
    }
    world.journal().poll(start + us(300)).unwrap();
    assert_eq!(world.journal().stats().groups, 1);
    world.settle();
    assert_eq!(world.check(), (0, 7));
}

#[test]
fn records_that_come_while_enough_writes_are_under_way_share_the_next() {
    let settings = Settings { slots: 4, in_flight: 2, ..small() };
    let mut world = World::new(1, settings);
    world.disk.set_slow(1_000_000);
    world.open().unwrap();
    for _ in 0..50 {
        world.append(20).unwrap();
        world.poll().unwrap();
    }
    assert_eq!(world.journal().stats().groups, 2);
    world.disk.set_slow(0);
    world.settle();
    assert_eq!(world.journal().stats().groups, 3);
}

#[test]
fn what_does_not_fit_is_refused_and_room_says_so_before() {
    let mut world = World::new(1, small());
    world.disk.set_slow(1_000_000);
    world.open().unwrap();
    world.disk.set_slow(u32::MAX - 1);
    let mut taken = 0;
    while world.journal().room(1000) > 0 {
        let room = world.journal().room(1000);
        world.append(1000).unwrap();
        taken += 1;
        assert!(world.journal().room(1000) + 1 >= room, "room for {room} was said");
        world.poll().unwrap();
    }
    assert!(taken >= 10, "{taken}");
    assert_eq!(world.append(8000), Err(Refused::Full));
    assert_eq!(world.journal().stats().full, 1);
    let most = world.settings.record_max();
    assert_eq!(world.append(most + 1), Err(Refused::TooLong(most)));
    assert_eq!(world.journal().room(most + 1), 0);
    world.disk.set_slow(0);
    world.settle();
    world.append(most).unwrap();
    world.settle();
    assert_eq!(world.check(), (0, taken + 1));
}

#[test]
fn room_is_kept_whatever_the_sizes() {
    for seed in 0..40 {
        let mut world = World::new(seed, small());
        world.open().unwrap();
        for _ in 0..300 {
            let bytes = world.rng.usize(..world.settings.record_max());
            let room = world.journal().room(bytes);
            for _ in 0..room.min(world.rng.usize(..20)) {
                world.append(bytes).expect("room was said");
            }
            world.poll().unwrap();
        }
        world.settle();
        world.check();
    }
}

#[test]
fn retention_by_size_keeps_what_is_held() {
    let settings = Settings { bytes_max: Some(128 << 10), ..small() };
    let mut world = World::new(1, settings);
    world.open().unwrap();
    let run = |world: &mut World, records: usize| {
        for _ in 0..records {
            world.append(3000).unwrap();
            world.settle();
        }
    };
    world.journal().hold(Some(Sequence(5)));
    run(&mut world, 150);
    assert!(world.journal().first() <= Sequence(5) && world.journal().segments().0 > 9);
    world.journal().hold(Some(Sequence(100)));
    run(&mut world, 20);
    let first = world.journal().first();
    assert!(first > Sequence(80) && first <= Sequence(100), "{first}");
    world.journal().hold(None);
    run(&mut world, 20);
    let (segments, bytes) = world.journal().segments();
    assert!(segments <= 3 && bytes <= 3 * settings.segment_bytes, "{segments}, {bytes}");
    let first = world.journal().first().0;
    assert_eq!(world.check(), (first, 190));
}

#[test]
fn retention_by_age_goes_by_when_records_were_written() {
    let settings = Settings { age_max: Some(ms(100)), ..small() };
    let mut world = World::new(1, settings);
    world.open().unwrap();
    for _ in 0..60 {
        world.append(3000).unwrap();
        world.settle();
    }
    assert_eq!(world.journal().first(), Sequence(0));
    world.now = world.now + ms(101);
    (0..200).for_each(|_| _ = world.poll().unwrap());
    let (segments, _) = world.journal().segments();
    assert_eq!(segments, 1, "all but the one that is written");
    let first = world.journal().first().0;
    assert_eq!(world.check(), (first, 60));
}

#[test]
fn a_pause_makes_a_mark_and_no_more_than_one() {
    let mut world = World::new(1, small());
    world.open().unwrap();
    world.append(10).unwrap();
    world.settle();
    assert_eq!(world.journal().stats().groups, 1);
    for pauses in 0..5 {
        world.now = world.now + ms(50);
        (0..20).for_each(|_| _ = world.poll().unwrap());
        assert_eq!(world.journal().stats().groups, 2, "after {pauses}");
    }
    // The mark says that the record had been durable, so a flip in it is damage.
    world.disk.flip("000000000000.segment", BLOCK + 70, 0).unwrap();
    world.journal = None;
    assert!(world.open().unwrap_err().to_string().contains("damaged"));
}

#[test]
fn without_syncs_a_segment_is_synced_when_it_is_full() {
    let settings = Settings { sync: Sync::None, ..small() };
    let mut world = World::new(1, settings);
    world.open().unwrap();
    for _ in 0..100 {
        world.append(3000).unwrap();
        world.settle();
    }
    world.journal = None;
    world.disk.crash();
    let (first, next) = world.check();
    assert!(first == 0 && (60..=100).contains(&next), "{next}");
    assert_eq!(world.open().unwrap().next.0, next);
    world.append(5).unwrap();
    world.close().unwrap();
    assert_eq!(world.open().unwrap().end, End::Closed);
    assert_eq!(world.check(), (0, next + 1));
}

#[test]
fn a_slot_in_flight_has_no_buffer() {
    let world = World::new(1, small());
    let mut storage = world.disk.storage(&small());
    assert_eq!(storage.buffer(0).len(), storage.slot_bytes());
    assert_eq!((storage.buffer(3).len(), storage.slots()), (0, 3));
    let write =
        millstream::io::Write { slot: 1, segment: 0, offset: 0, bytes: 4096, durable: true };
    storage.write(write);
    assert_eq!((storage.buffer(1).len(), storage.buffer(2).len()), (0, 8192));
    assert_eq!(Timestamp(0) + us(1), Timestamp(1000));
}
