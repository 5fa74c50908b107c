//! Power cuts and killed processes at any instant, under thousands of seeds.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;
use millstream::io::journal::{End, Refused, Sync};

use super::world::{World, each_seed, settings};

/// Some life of a journal, with crashes; everything is checked after each.
fn live(seed: u64, lies: bool) {
    let mut rng = Rng::with_seed(seed);
    let mut world = World::new(seed, settings(&mut rng));
    world.disk.set_slow(rng.u32(0..4));
    if lies {
        world.disk.set_lies();
    }
    let mut durable = 0;
    for _ in 0..rng.usize(1..8) {
        // Another life may have other settings, and a host that goes down at any operation.
        if rng.bool() {
            world.settings = settings(&mut rng);
        }
        if rng.u8(..4) > 0 {
            world.disk.fail_after(rng.u64(1..400));
        }
        let opened = world.open();
        if let Ok(recovered) = &opened {
            assert!(recovered.next.0 >= durable, "{} of {durable}", recovered.next);
            durable = recovered.next.0;
            use_it(&mut world, &mut rng, &mut durable);
        } else {
            assert!(world.disk.is_down(), "{}", opened.unwrap_err());
        }
        let is_closed = rng.u8(..4) == 0 && !world.disk.is_down() && world.journal.is_some();
        if is_closed && world.close().is_ok() {
            durable = world.known.len() as u64;
        }
        world.journal = None;
        if rng.u8(..3) > 0 {
            world.disk.crash()
        } else {
            world.disk.kill()
        }
        let (_, next) = world.check();
        assert!(next >= durable || durable == 0, "only up to {next}, and {durable} were durable");
    }
    let recovered = world.open().unwrap();
    assert!(recovered.next.0 >= durable);
    world.close().unwrap();
    assert_eq!(world.open().unwrap().end, End::Closed);
}

/// Appends and polls until the host goes down or it has been enough.
fn use_it(world: &mut World, rng: &mut Rng, durable: &mut u64) {
    let most = world.settings.record_max().min(5000);
    let longest = [1, 64, most][rng.usize(..3)];
    for _ in 0..rng.usize(..600) {
        for _ in 0..rng.usize(..4) {
            match world.append(rng.usize(..=longest)) {
                Ok(_) | Err(Refused::Full | Refused::Failed) => {}
                Err(refused) => panic!("{refused:?}"),
            }
        }
        let polled = world.poll();
        if world.disk.is_down() {
            return;
        }
        polled.unwrap();
        // Without syncs, nothing is promised of a crash.
        if world.settings.sync != Sync::None {
            *durable = world.journal().durable().0;
        }
    }
}

#[test]
fn seeds_lose_nothing_and_invent_nothing() {
    each_seed(200, |seed| live(seed, false));
}

#[test]
fn the_same_seed_is_the_same_life() {
    let life = |seed| {
        let mut world = World::new(seed, settings(&mut Rng::with_seed(seed)));
        world.open().unwrap();
        use_it(&mut world, &mut Rng::with_seed(seed), &mut 0);
        (format!("{:?}", world.journal().stats()), world.known)
    };
    assert_eq!(life(5), life(5));
    assert_ne!(life(5), life(6));
}

#[test]
fn a_disk_that_says_durable_and_is_not_is_found_out() {
    let caught =
        (0..40).filter(|seed| catch_unwind(AssertUnwindSafe(|| live(*seed, true))).is_err());
    assert!(caught.count() > 10, "the checks are blind");
}
