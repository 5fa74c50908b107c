//! Two lines that carry the same, with real sockets: what one loses the other brings.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::rc::Rc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use millstream::io::LengthPrefixed;
use millstream::net::{
    Arbitration, Count, Counts, Datagram, Datagrams, LineCounts, Notice, Place, Problem, Rung,
    Stamps, UdpLines, Why,
};
use millstream::{Config, Pipeline, Shard, Timestamp};

use super::world::{PATIENCE, Pair, RUNGS, framed, pairs, step};

const LO: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Session, number and count, the most significant byte first, and pairs of the session and number.
pub fn datagram(session: u32, first: u64, count: u16) -> Vec<u8> {
    let mut bytes = u64::from(session).to_be_bytes().to_vec();
    bytes.extend(first.to_be_bytes());
    bytes.extend(count.to_be_bytes());
    bytes.extend(framed((first..first + u64::from(count)).map(|n| (session, n as u32))));
    bytes
}

fn header(datagram: &[u8]) -> Result<Place, String> {
    let Some((header, _)) = datagram.split_first_chunk::<18>() else {
        return Err(format!("{} bytes are no header", datagram.len()));
    };
    let word = |at: usize| u64::from_be_bytes(header[at..at + 8].try_into().unwrap());
    let count = u16::from_be_bytes([header[16], header[17]]).into();
    Ok(Place { session: word(0).into(), first: word(8), count, header: 18 })
}

pub struct Heard {
    pub shard: Shard,
    pub records: Rc<RefCell<Vec<Pair>>>,
    /// The timestamps of the records.
    pub times: Rc<RefCell<Vec<Timestamp>>>,
    pub notices: Rc<RefCell<Vec<Notice>>>,
    pub problems: Rc<RefCell<Vec<Problem>>>,
    pub counts: Counts,
    pub lines: LineCounts,
    pub since: Instant,
}

pub fn hear(lines: &[Datagrams], from: Rung, rules: Arbitration, stamps: Option<Stamps>) -> Heard {
    let (records, notices, problems): (Rc<RefCell<Vec<_>>>, Rc<RefCell<Vec<_>>>, Rc<RefCell<_>>) =
        Default::default();
    let times: Rc<RefCell<Vec<Timestamp>>> = Rc::default();
    let (counts, line_counts) = (Counts::default(), LineCounts::of(lines.len()));
    let limits = Datagram { bytes_max: 1_200, buffers: 64, from };
    let build = |p: Pipeline<'_>| {
        let (told, noted) = (problems.clone(), notices.clone());
        let codec = (LengthPrefixed::new(8), pairs());
        let source = UdpLines::new(p, lines, header, codec, limits, rules)?
            .counting_into(&counts)
            .counting_lines_into(&line_counts)
            .on_notice(move |notice| noted.borrow_mut().push(*notice))
            .on_problem(move |problem: &Problem| {
                let told: &RefCell<Vec<_>> = &told;
                told.borrow_mut().push(problem.clone());
            });
        let source = match stamps {
            Some(stamps) => source.stamped(stamps)?,
            None => source,
        };
        let (kept, at) = (records.clone(), times.clone());
        p.source(source).for_each(move |record| {
            kept.borrow_mut().push(record.value);
            at.borrow_mut().push(record.at);
        });
        Ok(())
    };
    let (shard, ()) = Shard::embed(Config::embedded(), build).unwrap();
    let (lines, since) = (line_counts, Instant::now());
    Heard { shard, records, times, notices, problems, counts, lines, since }
}

impl Heard {
    pub fn step(&mut self) {
        step(&mut self.shard, self.since);
    }

    pub fn until(&mut self, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            self.step();
        }
    }

    /// How many numbers came or were told as lost.
    fn told(&self) -> u64 {
        self.records.borrow().len() as u64 + self.lines.lost()
    }

    /// The numbers that came, and those that were told as lost, together and in order.
    pub fn all(&self) -> Vec<u32> {
        let mut all: Vec<u32> = self.records.borrow().iter().map(|pair| pair.1).collect();
        for notice in &*self.notices.borrow() {
            if let Notice::Lost { first, count, .. } = notice {
                all.extend((*first..first + count).map(|n| n as u32));
            }
        }
        all.sort_unstable();
        all
    }
}

fn groups() -> [SocketAddrV4; 2] {
    let port = || UdpSocket::bind((LO, 0)).unwrap().local_addr().unwrap().port();
    [1, 2].map(|line| SocketAddrV4::new(Ipv4Addr::new(239, 77, 4, line), port()))
}

fn joined(groups: [SocketAddrV4; 2]) -> [Datagrams; 2] {
    groups.map(|group| Datagrams::of_group(group, LO, None).unwrap())
}

/// Longer than a host is away as a rule.
fn patient() -> Arbitration {
    Arbitration { gap_max: Duration::from_millis(200), starts: Some(0), ..Arbitration::default() }
}

/// Sends numbers by two lines that lose, repeat and reorder; returns those that both lost.
fn play(heard: &mut Heard, to: [SocketAddr; 2], rounds: u64, seed: u64) -> Vec<u32> {
    let (peer, mut rng) = (UdpSocket::bind((LO, 0)).unwrap(), Rng::with_seed(seed));
    let (mut next, mut lost) = (0, Vec::new());
    let mut kept: [Option<Vec<u8>>; 2] = [None, None];
    for round in 0..rounds {
        let count = rng.u16(1..20);
        let bytes = datagram(7, next, count);
        // What is missing at the end is not missed by anybody.
        let loses = [0, 1].map(|_| rng.u8(..100) < 10 && round + 2 < rounds);
        for line in [0, 1] {
            if !loses[line] {
                peer.send_to(&bytes, to[line]).unwrap();
                if rng.u8(..100) < 5 {
                    kept[line] = Some(bytes.clone());
                }
            }
            // One that was sent before, again.
            if let Some(again) = kept[line].take_if(|_| rng.u8(..100) < 30) {
                peer.send_to(&again, to[line]).unwrap();
            }
        }
        if loses == [true; 2] {
            lost.extend((next..next + u64::from(count)).map(|n| n as u32));
        }
        next += u64::from(count);
        // No more than the kernel holds in any case.
        if round % 16 == 0 {
            heard.step();
        }
    }
    heard.until(|heard| heard.told() == next);
    lost
}

#[test]
fn what_one_line_loses_the_other_brings() {
    for rung in RUNGS {
        let groups = groups();
        let mut heard = hear(&joined(groups), rung, patient(), None);
        let lost = play(&mut heard, groups.map(SocketAddr::from), 3_000, 11);
        let records = heard.records.borrow();
        assert!(records.is_sorted() && records.windows(2).all(|two| two[0] < two[1]), "{rung}");
        let all = heard.all();
        assert!(all.iter().copied().eq(0..all.len() as u32), "{rung}");
        let given: Vec<u32> = records.iter().map(|pair| pair.1).collect();
        let missing: Vec<u32> =
            all.into_iter().filter(|n| given.binary_search(n).is_err()).collect();
        assert!(!lost.is_empty() && missing == lost, "{missing:?} {lost:?}, {rung}");
        assert_eq!(heard.lines.lost(), lost.len() as u64);
        // Much is under way while one is waited for, and half of the buffers may be full of it.
        assert!(heard.lines.given_up() <= lost.len() as u64);
        assert_eq!(heard.counts.get(Count::Lost), 0);
        assert!(heard.lines.refused_as(Why::Duplicate) > 2_000);
        assert!(heard.problems.borrow().is_empty());
        assert!(heard.lines.missed(0) > 20 && heard.lines.missed(1) > 20);
    }
}

/// By a clock of the test's own: a shard that is kept from its work for long.
#[test]
fn what_waits_while_nobody_looks_is_not_lost() {
    const GAP: i64 = 1_000_000;
    let rules = Arbitration { gap_max: Duration::from_nanos(GAP as u64), ..patient() };
    for rung in RUNGS {
        let here = || Datagrams::at((LO, 0).into()).unwrap();
        let lines = [here(), here()];
        let mut heard = hear(&lines, rung, rules, None);
        let peer = UdpSocket::bind((LO, 0)).unwrap();
        let send = |line: usize, n: u64| {
            peer.send_to(&datagram(7, n, 1), lines[line].address()).unwrap();
        };
        let at = |heard: &mut Heard, at: i64| _ = heard.shard.step(Timestamp(at));
        let until_came = |heard: &mut Heard, now: i64, count: u64| {
            while heard.lines.datagrams(0) + heard.lines.datagrams(1) < count {
                assert!(heard.since.elapsed() < PATIENCE, "{count} do not come, {rung}");
                at(heard, now);
            }
        };
        send(0, 0);
        send(0, 2);
        until_came(&mut heard, 0, 2);
        // More than come at once stand before the one that is missing.
        (0..100).for_each(|_| send(1, 0));
        send(1, 1);
        until_came(&mut heard, 100 * GAP, 103);
        at(&mut heard, 100 * GAP);
        assert_eq!((heard.lines.lost(), heard.records.borrow().len()), (0, 3), "{rung}");
        // Nothing waits: it is lost when its time is over, and not before.
        send(0, 4);
        until_came(&mut heard, 101 * GAP, 104);
        at(&mut heard, 102 * GAP - 1);
        assert_eq!(heard.lines.lost(), 0, "{rung}");
        at(&mut heard, 102 * GAP);
        assert_eq!(heard.lines.lost(), 1, "{rung}");
        // Lines that are never quiet put it off a little, not for ever.
        send(0, 6);
        until_came(&mut heard, 103 * GAP, 105);
        for n in 1..=16 {
            send(1, 0);
            until_came(&mut heard, (103 + n) * GAP, 105 + n as u64);
        }
        assert_eq!(heard.lines.lost(), 2, "{rung}");
    }
}

#[test]
fn what_is_no_datagram_of_the_lines_is_told_with_its_line_and_place() {
    for rung in RUNGS {
        let here = || Datagrams::at((LO, 0).into()).unwrap();
        let lines = [here(), here()];
        let mut heard = hear(&lines, rung, patient(), None);
        let peer = UdpSocket::bind((LO, 0)).unwrap();
        let send = |line: usize, bytes: &[u8]| {
            peer.send_to(bytes, lines[line].address()).unwrap();
        };
        send(0, &datagram(7, 0, 2));
        send(1, b"short");
        send(1, &[0; 1_201]);
        // It says more than it has, and less.
        let mut more = datagram(7, 2, 2);
        more[17] = 3;
        send(0, &more);
        let mut less = datagram(7, 5, 3);
        less[17] = 1;
        send(0, &less);
        send(0, &datagram(7, 6, 1));
        heard.until(|heard| heard.records.borrow().len() == 6);
        heard.until(|heard| heard.problems.borrow().len() == 4);
        let numbers: Vec<u32> = heard.records.borrow().iter().map(|pair| pair.1).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 5, 6], "{rung}");
        let problems = heard.problems.borrow();
        let of_line = |line: usize| {
            let peer = format!("datagrams to {}", lines[line].address());
            let of = problems.iter().filter(move |it| it.peer.to_string() == peer);
            of.map(|it| (it.count, it.offset)).collect::<Vec<_>>()
        };
        assert_eq!(of_line(1), [(Count::Garbage, 0), (Count::TooLong, 5)], "{problems:?}");
        assert_eq!(of_line(0), [(Count::CutShort, 84), (Count::Garbage, 114)], "{problems:?}");
    }
}

#[test]
fn a_line_that_falls_silent_is_told_and_the_other_goes_on() {
    let here = || Datagrams::at((LO, 0).into()).unwrap();
    let lines = [here(), here()];
    let rules = Arbitration { silent_max: Duration::from_millis(300), ..patient() };
    let mut heard = hear(&lines, Rung::Ring, rules, None);
    let peer = UdpSocket::bind((LO, 0)).unwrap();
    let mut next = 0;
    while heard.lines.silences(1) == 0 {
        peer.send_to(&datagram(7, next, 1), lines[0].address()).unwrap();
        next += 1;
        heard.step();
        std::thread::sleep(Duration::from_millis(1));
    }
    heard.until(|heard| heard.records.borrow().len() as u64 == next);
    peer.send_to(&datagram(7, next, 0), lines[1].address()).unwrap();
    heard.until(|heard| heard.notices.borrow().contains(&Notice::Back { line: 1 }));
    assert_eq!(heard.notices.borrow()[0], Notice::Silent { line: 1 });
    lines.iter().for_each(Datagrams::stop);
    heard.until(|heard| heard.shard.is_done());
    assert_eq!((heard.lines.lost(), heard.lines.datagrams(0)), (0, next));
}

#[test]
fn what_the_kernel_stamps_says_which_line_was_first() {
    for rung in RUNGS {
        let here = || Datagrams::at((LO, 0).into()).unwrap();
        let lines = [here(), here()];
        let mut heard = hear(&lines, rung, patient(), Some(Stamps::Kernel));
        let peer = UdpSocket::bind((LO, 0)).unwrap();
        for n in 0..20 {
            // The second line is first, though it is looked at after the first.
            peer.send_to(&datagram(7, n, 1), lines[1].address()).unwrap();
            std::thread::sleep(Duration::from_millis(2));
            peer.send_to(&datagram(7, n, 1), lines[0].address()).unwrap();
            std::thread::sleep(Duration::from_micros(100));
            heard.until(|heard| heard.lines.datagrams(0) == n + 1);
        }
        heard.until(|heard| heard.records.borrow().len() == 20);
        assert_eq!((heard.lines.first(0), heard.lines.first(1)), (0, 20), "{rung}");
        let lead = heard.lines.lead_ns(1, 0.5);
        assert!(lead >= 2_000_000, "{lead}, {rung}");
        assert!(heard.times.borrow().is_sorted());
    }
}

/// Runs a command in the network namespace of this thread; false if it does not work.
fn works(words: &str) -> bool {
    let mut words = words.split(' ');
    let mut command = std::process::Command::new(words.next().unwrap());
    let done = command.args(words).stderr(std::process::Stdio::null()).status();
    done.is_ok_and(|status| status.success())
}

/// A network of its own, which is gone with its thread, and where each datagram has its own delay
/// and one in twenty is lost: those of one line overtake each other, too.
#[test]
fn lines_with_loss_and_delay_in_a_network_of_their_own() {
    let in_it = || {
        let own = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).is_ok();
        let netem = "tc qdisc add dev lo root netem loss 5% delay 1ms 500us";
        if !own || !works("ip link set lo up") || !works(netem) {
            eprintln!("skipped: no network namespace, or no netem in it");
            return;
        }
        for rung in RUNGS {
            let here = || Datagrams::at((LO, 0).into()).unwrap();
            let lines = [here(), here()];
            let mut heard = hear(&lines, rung, patient(), Some(Stamps::Kernel));
            let peer = UdpSocket::bind((LO, 0)).unwrap();
            const ALL: u64 = 5_000;
            for n in 0..ALL {
                for line in &lines {
                    peer.send_to(&datagram(7, n, 1), line.address()).unwrap();
                }
                heard.step();
            }
            // The last one may be lost, and then nothing tells of it but this.
            while heard.told() < ALL {
                lines.iter().for_each(|line| {
                    peer.send_to(&datagram(7, ALL, 0), line.address()).unwrap();
                });
                heard.step();
            }
            assert!(heard.all().into_iter().eq(0..ALL as u32), "{rung}");
            assert!(heard.records.borrow().is_sorted(), "{rung}");
            // One in four hundred is lost on both, or was overtaken by too many.
            let lost = heard.lines.lost() - heard.lines.given_up();
            assert!(lost > 0 && lost < 60, "{lost}, {rung}");
            assert!(heard.lines.first(0) > 1_000 && heard.lines.first(1) > 1_000, "{rung}");
        }
    };
    std::thread::spawn(in_it).join().unwrap();
}
