//! A journalled source in a process that is killed: what was durable comes again, once, in order.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use millstream::disk;
use millstream::io::journal::Journalled;
use millstream::io::{Directory, Source};
use millstream::{Record, Timestamp};

use super::real::{FOLDER, folder};
use super::sources::{Live, numbers};
use super::world::small;

/// The process that is killed, run by the test below: sees everything again, and goes on. By itself
/// it does so twice, with some hundred numbers more.
#[test]
fn child() {
    if let Some(path) = std::env::var_os(FOLDER) {
        go_on(PathBuf::from(path), u64::MAX);
    } else {
        let path = folder("journalled");
        assert_eq!(go_on(path.clone(), 500), 500);
        assert_eq!(go_on(path, 900), 900);
    }
}

/// Numbers come live from where the journal ends, so that each must be its own sequence.
fn go_on(path: PathBuf, last: u64) -> u64 {
    let (journal, recovered) = disk::open(&path, small(), Timestamp(0)).unwrap();
    let live = Live { next: Rc::new(recovered.next.0.into()), last };
    let files = Directory::open(&path).unwrap();
    let mut source = Journalled::new(live, numbers(), journal, files).unwrap();
    let mut seen = 0;
    let mut see = |record: Record<u64>| {
        assert_eq!(record.value, seen, "after {}", recovered.next);
        seen += 1;
    };
    let mut said = 0;
    loop {
        let polled = source.poll(0, Timestamp(0), 50, &mut see).unwrap();
        let durable = source.journal().durable().0;
        if durable > said && source.position() == source.journal().next() {
            println!("durable {durable}");
            said = durable;
        }
        if polled.ended {
            return seen;
        }
    }
}

#[test]
fn nothing_that_went_on_durably_is_lost_to_a_kill() {
    let path = folder("journalled-killed");
    let (mut rng, mut last) = (Rng::with_seed(12), 0);
    for round in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "real_source::child", "--nocapture"])
            .env(FOLDER, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let durable = |line: String| line.strip_prefix("durable ")?.parse::<u64>().ok();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut durables = lines.map_while(Result::ok).filter_map(durable);
        // Every other time not before something is durable, however slow the host is.
        let first = if round % 2 == 0 { durables.next() } else { None };
        let wait = rng.u64(5_000..80_000);
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(wait));
            child.kill().unwrap();
            child.wait().unwrap()
        });
        let durable = durables.last().or(first).unwrap_or(last);
        assert!(!killer.join().unwrap().success(), "it was killed, and did not fail before");
        let (journal, recovered) = disk::open(&path, small(), Timestamp(0)).unwrap();
        assert!(recovered.next.0 >= durable, "{durable} were durable, of {}", recovered.next);
        last = recovered.next.0;
        drop(journal);
        assert_eq!(go_on(path.clone(), last), last);
    }
    assert!(last > 0, "nothing came");
}
