//! Datagrams, from anybody and from multicast groups.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::rc::Rc;
use std::time::Instant;

use millstream::io::LengthPrefixed;
use millstream::net::{
    Count, Counts, Datagram, Datagrams, Problem, Rung, Stamps, UdpSink, UdpSource,
};
use millstream::{Config, Shard, Timestamp};

use super::world::{PATIENCE, Pair, RUNGS, framed, pairs, step, unframed};

const LO: Ipv4Addr = Ipv4Addr::LOCALHOST;

struct Heard {
    shard: Shard,
    records: Rc<RefCell<Vec<Pair>>>,
    problems: Rc<RefCell<Vec<Problem>>>,
    counts: Counts,
    since: Instant,
}

fn hear(datagrams: &Datagrams, from: Rung) -> Heard {
    let (records, problems): (Rc<RefCell<Vec<_>>>, Rc<RefCell<Vec<_>>>) = Default::default();
    let (kept, told, counts) = (records.clone(), problems.clone(), Counts::default());
    let limits = Datagram { bytes_max: 1_200, buffers: 16, from };
    let (shard, ()) = Shard::embed(Config::embedded(), |p| {
        let source = UdpSource::new(p, datagrams, LengthPrefixed::new(8), pairs(), limits)?
            .counting_into(&counts)
            .on_problem(move |problem| told.borrow_mut().push(problem.clone()));
        assert_eq!(source.rung(), from);
        p.source(source).for_each(move |record| kept.borrow_mut().push(record.value));
        Ok(())
    })
    .unwrap();
    Heard { shard, records, problems, counts, since: Instant::now() }
}

impl Heard {
    fn until(&mut self, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            step(&mut self.shard, self.since);
        }
    }
}

fn sender() -> UdpSocket {
    UdpSocket::bind((LO, 0)).unwrap()
}

#[test]
fn datagrams_of_any_number_of_records_come_in_order() {
    for rung in RUNGS {
        let datagrams = Datagrams::at((LO, 0).into()).unwrap();
        let mut heard = hear(&datagrams, rung);
        let (peer, to) = (sender(), datagrams.address());
        let mut sent = 0;
        for round in 0..2_000 {
            let count = 1 + round % 100;
            peer.send_to(&framed((sent..sent + count).map(|n| (1, n))), to).unwrap();
            sent += count;
            // No more than the kernel holds in any case.
            heard.until(|heard| heard.records.borrow().len() as u32 + 1_000 > sent);
        }
        heard.until(|heard| heard.records.borrow().len() as u32 == sent);
        assert!(*heard.records.borrow() == (0..sent).map(|n| (1, n)).collect::<Vec<_>>(), "{rung}");
        datagrams.stop();
        heard.until(|heard| heard.shard.is_done());
        assert_eq!(heard.counts.get(Count::Lost), 0);
    }
}

#[test]
fn what_is_not_as_it_should_be_is_told_and_the_rest_taken() {
    for rung in RUNGS {
        let datagrams = Datagrams::at((LO, 0).into()).unwrap();
        let mut heard = hear(&datagrams, rung);
        let (peer, to) = (sender(), datagrams.address());
        let send = |bytes: &[u8]| assert_eq!(peer.send_to(bytes, to).unwrap(), bytes.len());
        send(&framed([(1, 0)]));
        send(&[]);
        send(&framed([(1, 1), (1, 2)])[..20]);
        send(&[&b"\x02\0\0\0xx"[..], &framed([(1, 3)])].concat());
        send(&framed((0..500).map(|n| (9, n))));
        send(&[255; 100]);
        send(&framed((0..100).map(|n| (2, n))));
        heard.until(|heard| heard.records.borrow().len() == 103);
        let whole = [(1, 0), (1, 1), (1, 3)];
        assert_eq!(heard.records.borrow()[..3], whole, "{rung}");
        let problems = heard.problems.borrow();
        let mut told: Vec<_> = problems.iter().map(|it| (it.count as usize, it.offset)).collect();
        told.sort_unstable();
        let at = |count: Count, offset: u64| (count as usize, offset);
        assert_eq!(told[0], at(Count::CutShort, 24), "{problems:?}");
        assert_eq!(told[1], at(Count::Garbage, 50), "{problems:?}");
        assert_eq!(told[2], at(Count::Malformed, 32), "{problems:?}");
        assert_eq!((told.len(), told[3].0), (4, Count::TooLong as usize), "{problems:?}");
        assert!(problems[0].to_string().starts_with("datagrams to 127.0.0.1:"), "{problems:?}");
    }
}

#[test]
fn what_the_kernel_has_no_room_for_is_counted() {
    const ALL: u32 = 20_000;
    for rung in RUNGS {
        let datagrams = Datagrams::at((LO, 0).into()).unwrap();
        let mut heard = hear(&datagrams, rung);
        let (peer, to) = (sender(), datagrams.address());
        for n in 0..ALL {
            peer.send_to(&framed((0..90).map(|_| (1, n))), to).unwrap();
        }
        heard.until(|heard| {
            let taken = heard.records.borrow().len() as u64 / 90;
            taken + heard.counts.get(Count::Lost) == u64::from(ALL)
        });
        assert!(heard.counts.get(Count::Lost) > 0, "{rung}");
        assert!(heard.records.borrow().is_sorted());
    }
}

#[test]
fn a_group_is_heard_by_all_who_join_and_from_whom_they_want() {
    let free = UdpSocket::bind((LO, 0)).unwrap().local_addr().unwrap().port();
    let group = SocketAddrV4::new(Ipv4Addr::new(239, 77, 3, 1), free);
    for rung in RUNGS {
        let join = |from| Datagrams::of_group(group, LO, from).unwrap();
        let other = Ipv4Addr::new(127, 0, 0, 2);
        let joined = [join(None), join(Some(LO)), join(Some(other))];
        let [mut all, mut ours, mut theirs] = joined.each_ref().map(|it| hear(it, rung));
        let (one, two) = (sender(), UdpSocket::bind((other, 0)).unwrap());
        for n in 0..100 {
            one.send_to(&framed([(1, n)]), group).unwrap();
            two.send_to(&framed([(2, n)]), group).unwrap();
        }
        all.until(|heard| heard.records.borrow().len() == 200);
        ours.until(|heard| heard.records.borrow().len() == 100);
        theirs.until(|heard| heard.records.borrow().len() == 100);
        assert!(ours.records.borrow().iter().all(|pair| pair.0 == 1), "{rung}");
        assert!(theirs.records.borrow().iter().all(|pair| pair.0 == 2), "{rung}");
    }
}

#[test]
fn groups_that_are_none_and_interfaces_that_others_reach_are_refused() {
    let refused = |group: &str, interface: &str| {
        let (group, interface) = (group.parse().unwrap(), interface.parse().unwrap());
        Datagrams::of_group(group, interface, None).unwrap_err().to_string()
    };
    assert!(refused("10.1.2.3:0", "127.0.0.1").contains("no multicast group"));
    assert!(refused("239.1.2.3:0", "0.0.0.0").contains("beyond this host"));
    let taken = UdpSocket::bind((LO, 0)).unwrap();
    let in_use = Datagrams::at(taken.local_addr().unwrap()).unwrap_err().to_string();
    assert!(in_use.contains("in use"), "{in_use}");
}

#[test]
fn what_goes_out_by_a_group_comes_in_by_it() {
    let free = UdpSocket::bind((LO, 0)).unwrap().local_addr().unwrap().port();
    let group = SocketAddrV4::new(Ipv4Addr::new(239, 77, 3, 2), free);
    for rung in RUNGS {
        let mut heard = hear(&Datagrams::of_group(group, LO, None).unwrap(), rung);
        let counts = Counts::default();
        let (mut shard, mut input) = Shard::embed(Config::embedded(), |p| {
            let sink = UdpSink::to_group(p, group, LO, LengthPrefixed::new(8), pairs(), 1_000)?;
            let (input, stream) = p.input();
            stream.sink(sink.counting_into(&counts));
            Ok(input)
        })
        .unwrap();
        let mut sent = 0;
        for round in 0..300 {
            for _ in 0..round {
                input.push(Timestamp(0), (1, sent)).unwrap();
                sent += 1;
            }
            while (heard.records.borrow().len() as u32) < sent {
                step(&mut shard, heard.since);
                step(&mut heard.shard, heard.since);
            }
        }
        assert!(*heard.records.borrow() == (0..sent).map(|n| (1, n)).collect::<Vec<_>>(), "{rung}");
        assert_eq!(counts.get(Count::BytesOut), u64::from(sent) * 12);
        // Up to 83 records fit into a datagram, and a batch ends one.
        assert!(counts.get(Count::Calls) < u64::from(sent) / 50, "{}", counts.get(Count::Calls));
        assert_eq!(counts.get(Count::Dropped), 0);
    }
}

#[test]
fn the_datagrams_of_a_batch_go_out_by_one_call() {
    // So many datagrams, by so many calls: each of them takes 64 at most.
    for (records, calls) in [(1, 1), (2, 1), (64, 1), (65, 2), (150, 3)] {
        let (peer, counts) = (UdpSocket::bind((LO, 0)).unwrap(), Counts::default());
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        let to = peer.local_addr().unwrap();
        let config = Config { batch_max: 256, ..Config::embedded() };
        let (mut shard, mut input) = Shard::embed(config, |p| {
            // There is room for one record each.
            let sink = UdpSink::to(p, to, LengthPrefixed::new(8), pairs(), 20)?;
            let (input, stream) = p.input();
            stream.sink(sink.counting_into(&counts));
            Ok(input)
        })
        .unwrap();
        for n in 0..records {
            input.push(Timestamp(0), (1, n)).unwrap();
        }
        let since = Instant::now();
        while counts.get(Count::DatagramsOut) < u64::from(records) {
            step(&mut shard, since);
        }
        assert_eq!(counts.get(Count::Calls), calls, "{records}");
        assert_eq!(counts.get(Count::BytesOut), u64::from(records) * 12);
        let mut datagram = [0; 100];
        for n in 0..records {
            let bytes = peer.recv(&mut datagram).unwrap();
            assert_eq!(unframed(&datagram[..bytes]), [(1, n)]);
        }
    }
}

#[test]
fn datagrams_that_nobody_takes_are_counted_and_stop_nothing() {
    // The port is taken, for datagrams of somebody else.
    let held = UdpSocket::bind((LO, 0)).unwrap();
    held.connect((LO, 9)).unwrap();
    let nobody = held.local_addr().unwrap();
    let counts = Counts::default();
    let (mut shard, mut input) = Shard::embed(Config::embedded(), |p| {
        let sink = UdpSink::to(p, nobody, LengthPrefixed::new(8), pairs(), 12)?;
        let (input, stream) = p.input();
        stream.sink(sink.counting_into(&counts));
        Ok(input)
    })
    .unwrap();
    let since = Instant::now();
    for n in 0..100 {
        input.push(Timestamp(0), (1, n)).unwrap();
        step(&mut shard, since);
    }
    assert!(counts.get(Count::Broken) > 0);
    assert_eq!(counts.get(Count::Dropped), counts.get(Count::Broken));
    assert_eq!(counts.get(Count::BytesOut), (100 - counts.get(Count::Dropped)) * 12);
}

/// The clock by which the kernel stamps.
fn now() -> Timestamp {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    Timestamp(since.as_nanos() as i64)
}

#[test]
fn stamps_are_between_sending_and_seeing() {
    for rung in RUNGS {
        let datagrams = Datagrams::at((LO, 0).into()).unwrap();
        let times: Rc<RefCell<Vec<_>>> = Rc::default();
        let (kept, counts) = (times.clone(), Counts::default());
        let limits = Datagram { bytes_max: 1_200, buffers: 16, from: rung };
        let (mut shard, ()) = Shard::embed(Config::embedded(), |p| {
            let source = UdpSource::new(p, &datagrams, LengthPrefixed::new(8), pairs(), limits)?
                .counting_into(&counts)
                .stamped(Stamps::Kernel)?;
            p.source(source)
                .for_each(move |record| kept.borrow_mut().push((record.at, record.value)));
            Ok(())
        })
        .unwrap();
        let (peer, since) = (sender(), Instant::now());
        // Not yet received from: only from the first step on is there a buffer.
        shard.step(now());
        for n in 0..200 {
            let before = now();
            peer.send_to(&framed([(1, n), (2, n)]), datagrams.address()).unwrap();
            let after = now();
            // It lies there for a while.
            std::thread::sleep(std::time::Duration::from_micros(500));
            while times.borrow().len() < 2 * n as usize + 2 {
                shard.step(now());
                assert!(since.elapsed() < super::world::PATIENCE, "it does not come");
            }
            let seen = now();
            for (at, (_, number)) in &times.borrow()[2 * n as usize..] {
                assert_eq!(*number, n, "{rung}");
                assert!(*at >= before && *at < seen, "{before:?} {at:?} {seen:?}, {rung}");
                // Within this host it is received as it is sent, but for what else the host does.
                assert!(at.since(after) < 400_000 || n < 2, "{at:?} {after:?}, {rung}");
            }
        }
        peer.send_to(&[], datagrams.address()).unwrap();
        peer.send_to(&framed((0..500).map(|n| (9, n))), datagrams.address()).unwrap();
        peer.send_to(&framed([(1, 200)])[..7], datagrams.address()).unwrap();
        peer.send_to(&framed([(1, 200)]), datagrams.address()).unwrap();
        while times.borrow().len() < 401 {
            shard.step(now());
        }
        let counted = [Count::TooLong, Count::CutShort].map(|count| counts.get(count));
        assert_eq!((counted, counts.get(Count::Lost)), ([1, 1], 0), "{rung}");
    }
}
