//! What peers do that they should not: each is answered by policy, counted, and told by name and
//! place, and the others do not notice.

use std::io::{Read, Write};
use std::time::Duration;

use millstream::io::LengthPrefixed;
use millstream::net::{Count, Listener, Receiving};

use super::world::{RUNGS, connected, framed, hear, here};

/// Whether a process has the socket at this port that is connected to that one: one of which only
/// the kernel knows, until its peer has closed it too, has no inode.
fn is_held(here: u16, there: u16) -> bool {
    let all = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let is_it = |line: &&str| {
        let ports = [1, 2].map(|at| line.split_whitespace().nth(at).unwrap_or("").to_owned());
        ports[0].ends_with(&format!(":{here:04X}")) && ports[1].ends_with(&format!(":{there:04X}"))
    };
    let line = all.lines().find(is_it);
    line.is_some_and(|line| line.split_whitespace().nth(9) != Some("0"))
}

#[test]
fn garbage_half_records_and_strangers_are_told_and_leave_the_others_alone() {
    for rung in RUNGS {
        let listener = here();
        let receiving = Receiving {
            connections_max: 3,
            record_max: Some(Duration::from_millis(50)),
            from: rung,
            ..Receiving::default()
        };
        let mut heard = hear(&listener, LengthPrefixed::new(8), receiving);
        assert_eq!(heard.rung, rung);
        let mut good = connected(listener.address());
        let mut garbage = connected(listener.address());
        let mut half = connected(listener.address());
        heard.until(|heard| heard.counts.get(Count::Accepted) == 3);
        let mut refused = connected(listener.address());
        heard.until(|heard| heard.counts.get(Count::Refused) == 1);
        assert_eq!(refused.read(&mut [0]).unwrap(), 0, "closed at once");
        garbage.write_all(&framed([(1, 1)])).unwrap();
        garbage.write_all(&[255; 100]).unwrap();
        half.write_all(&framed([(2, 2)])[..7]).unwrap();
        good.write_all(&framed((0..50).map(|n| (3, n)))).unwrap();
        // A record of the wrong length: it is whole, so the next one can be found.
        good.write_all(b"\x02\0\0\0xx").unwrap();
        good.write_all(&framed((50..100).map(|n| (3, n)))).unwrap();
        let has = |count| move |heard: &super::world::Heard| heard.counts.get(count) == 1;
        for count in [Count::Garbage, Count::Slow, Count::Malformed] {
            heard.until(has(count));
        }
        // It is closed, and not only shut: nobody holds it any more.
        while is_held(listener.address().port(), half.local_addr().unwrap().port()) {
            heard.step();
        }
        heard.until(|heard| heard.records.borrow().len() == 101);
        let ours: Vec<u32> =
            heard.records.borrow().iter().filter(|pair| pair.0 == 3).map(|p| p.1).collect();
        assert_eq!(ours, (0..100).collect::<Vec<u32>>());
        let mut told: Vec<_> =
            heard.problems.borrow().iter().map(|it| (it.offset, it.reason.clone())).collect();
        told.sort();
        let at_most = "a record of 4294967295 bytes, at most 8 are allowed".to_owned();
        let want =
            [(0, "a record takes too long".to_owned()), (12, at_most), (600, "2 bytes".to_owned())];
        assert_eq!(told, want);
        let peer = garbage.local_addr().unwrap();
        assert!(heard.problems.borrow().iter().any(|problem| problem.peer == peer));
        drop(good);
        heard.until(|heard| heard.counts.get(Count::Closed) == 3);
    }
}

#[test]
fn an_address_beyond_this_host_and_a_port_in_use_are_refused_at_the_start() {
    let refused = |address: &str, shards| {
        Listener::on(address.parse().unwrap(), shards).unwrap_err().to_string()
    };
    assert!(refused("0.0.0.0:0", 1).contains("beyond this host"));
    let taken = here().address();
    let held = Listener::on(taken, 2).unwrap();
    assert!(refused(&held.address().to_string(), 2).contains("in use"));
}
