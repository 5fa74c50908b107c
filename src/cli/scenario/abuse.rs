//! `abuse`: a connection that behaves beside many that do not, and the same without them.
//!
//! Those who do not are on the client's core, since there may be no third one, and take time from
//! the client there. So that no more is measured than what they do to the engine, they do the same
//! to somebody else's door where it is measured without them.

use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::client::{Client, KEYS, Paced, ROW, connect};
use super::open_loop::Times;
use super::trial::{failed, interrupted};
use super::wire::{Ports, on_two_cores};
use super::{Measured, Scenario, Takes};
use crate::cli::args::BenchArgs;
use crate::cli::failure::Result;
use crate::cli::progress::Progress;
use crate::cli::report::Goal;
use crate::cli::run::{self, Timing};
use crate::cli::workload::Reading;
use crate::cli::{interrupt, pin};
use crate::config::Config;
use crate::dataflow::{Pipeline, Plan};
use crate::error::IoError;
use crate::io::{Arrival, Codec, codec};
use crate::metrics::Latency;
use crate::net::{Count, Counts, Receiving, Sending};
use crate::runtime::Engine;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "abuse",
    about: "TCP in and out beside garbage, half records and peers that never read, and without",
    takes: &[Takes::Rate, Takes::Breakdown],
    plan,
    run,
};

/// Records a second of the connection that behaves.
const RATE: f64 = 20_000.0;

/// How often they take turns.
const ROUNDS: usize = 5;

/// Those who misbehave at a time, and how long each pauses between two things that he does.
const ABUSERS: usize = 4;
const PAUSE: Duration = Duration::from_millis(2);

/// What each of them holds on to, at most: connections that say nothing, or half a record.
const HELD: usize = 64;

fn plan(args: &BenchArgs) -> Result<Plan> {
    let (config, _) = on_two_cores(args)?;
    let ports = Ports::open()?;
    Ok(Engine::new(config)?.plan(move |p| build(&ports, p))?)
}

fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    let (config, cpus) = on_two_cores(args)?;
    let times = args.schedule();
    let mut measured = Measured::new(SCENARIO.name);
    measured.noise(run::noise_floor(&cpus, times.noise, progress));
    let rounds = ROUNDS as u32 * 2;
    let part = Times {
        lead: Duration::ZERO,
        warm_up: times.warm_up / rounds,
        measured: times.measured / rounds,
    };
    let rate = args.rate.unwrap_or(RATE);
    let mut all = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let mut played = |at| -> Result<Played> {
            progress.phase("engine", None);
            let done = through(config.clone(), cpus, (rate, part), at, progress)?;
            measured.rates(&done.ran);
            Ok(done)
        };
        all.push((played(Door::Another)?, played(Door::Ours)?));
    }
    if interrupt::is_seen() {
        return Err(interrupted());
    }
    measured.report.setup =
        format!("one shard on CPU {}, all its peers on CPU {}", cpus[0], cpus[1]);
    measured.report.pace = args.load.pace();
    measured.report.offered_per_s = Some(rate);
    report(&mut measured, &all);
    Ok(measured)
}

/// Whom those who misbehave come to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    Ours,
    Another,
}

/// What became of one turn.
struct Played {
    paced: Paced,
    ran: run::Ran,
    counts: Counts,
}

fn report(measured: &mut Measured, all: &[(Played, Played)]) {
    let ratio = |at: f64| {
        let of = |played: &Played| played.paced.latency.at(at).max(1) as f64;
        let mut each: Vec<f64> = all.iter().map(|(one, other)| of(other) / of(one)).collect();
        each.sort_by(f64::total_cmp);
        each[each.len() / 2]
    };
    measured.ratio("abuse_p50", ratio(0.5), None);
    measured.ratio("abuse_p99", ratio(0.99), None);
    measured.ratio("abuse_p99_9", ratio(0.999), Some(Goal::AtMost(1.5)));
    let (mut without, mut beside) = (Latency::new(), Latency::new());
    for (one, other) in all {
        without.merge(&one.paced.latency);
        beside.merge(&other.paced.latency);
    }
    measured.report.records_per_s = all[0].1.paced.per_s;
    measured.beside("without", &without);
    measured.results(&beside);
    let reasons = [Count::Accepted, Count::Refused, Count::Malformed, Count::Slow, Count::TooSlow];
    let told = reasons.map(|reason| {
        let sum: u64 = all.iter().map(|(_, other)| other.counts.get(reason)).sum();
        format!("{sum} {}", reason.name())
    });
    measured.note(format!(
        "Latency is that of the whole way there and back of a record of {ROW} bytes on a \
         connection that behaves, open loop. abuse_p99_9 is its p99.9 while {ABUSERS} threads send \
         garbage, half records and nothing, and subscribe without reading, over what it is while \
         they do so at another door: medians of {ROUNDS} rounds that take turns. It came to this: \
         {}.",
        told.join(", ")
    ));
}

/// Talks to the engine, while others do too.
fn through(
    config: Config,
    [_, cpu]: [usize; 2],
    (rate, part): (f64, Times),
    at: Door,
    progress: &mut Progress,
) -> Result<Played> {
    let ports = Ports::open()?;
    let (inlet, outlet, counts) =
        (ports.inlet.clone(), ports.outlet.address(), ports.counts.clone());
    let its = counts.clone();
    let client = thread::spawn(move || {
        pin::this_thread(cpu);
        let played = (|| {
            let from = connect(outlet, &its)?;
            let mut client = Client::new(TcpStream::connect(inlet.address())?, from)?;
            let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let to = match at {
                Door::Ours => [inlet.address(), outlet],
                Door::Another => [door.local_addr()?; 2],
            };
            let crowd = Crowd::start(to, door)?;
            let paced = client.open_loop(rate, Arrival::Constant, part);
            crowd.end();
            paced
        })();
        inlet.stop();
        played
    });
    let build = move |p: Pipeline<'_>| build(&ports, p);
    let ran = run::engine(Engine::new(config)?, Timing::default(), progress, build)?;
    let played = client.join().map_err(|_| failed("the client panicked"))?;
    let paced = played.map_err(|error| IoError::new("talk to", "the engine", error))?;
    Ok(Played { paced, ran, counts })
}

/// Those who misbehave.
struct Crowd {
    is_over: Arc<AtomicBool>,
    all: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// At an inlet and an outlet. Somebody shuts the other door at whoever comes.
    fn start(to: [SocketAddr; 2], door: TcpListener) -> io::Result<Self> {
        door.set_nonblocking(true)?;
        let is_over = Arc::new(AtomicBool::new(false));
        let mut all = Vec::with_capacity(ABUSERS + 1);
        for first in 0..ABUSERS {
            let is_over = is_over.clone();
            all.push(thread::spawn(move || {
                let mut held = Vec::with_capacity(HELD);
                for what in (first..).take_while(|_| !is_over.load(Ordering::Relaxed)) {
                    if held.len() == HELD {
                        held.clear();
                    }
                    held.extend(misbehave(what, to).ok());
                    thread::sleep(PAUSE);
                }
            }));
        }
        let until = is_over.clone();
        all.push(thread::spawn(move || {
            let mut held = Vec::with_capacity(ABUSERS * HELD);
            while !until.load(Ordering::Relaxed) {
                match door.accept() {
                    Ok((stream, _)) if held.len() < ABUSERS * HELD => held.push(stream),
                    Ok(_) => held.clear(),
                    Err(_) => thread::sleep(PAUSE),
                }
            }
        }));
        Ok(Self { is_over, all })
    }

    fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        for one in self.all {
            let _ = one.join();
        }
    }
}

/// One of the things that should not be done.
fn misbehave(what: usize, [inlet, outlet]: [SocketAddr; 2]) -> io::Result<TcpStream> {
    let to = if what % 5 == 4 { outlet } else { inlet };
    let mut stream = TcpStream::connect(to)?;
    stream.set_nonblocking(true)?;
    let garbage = [0xff; 16 * ROW];
    let said = match what % 5 {
        // Says nothing, or subscribes and does not read.
        0 | 4 => Ok(()),
        1 => stream.write_all(&garbage),
        2 => stream.write_all(&garbage[..ROW / 2]),
        _ => stream.write_all(&garbage).and_then(|()| Err(ErrorKind::ConnectionAborted.into())),
    };
    said.map(|()| stream)
}

/// The pipeline of `wire`, with limits that are met.
fn build(ports: &Ports, p: Pipeline<'_>) -> crate::error::Result<()> {
    // Fewer than come, so that some are refused; and half a record is not waited for.
    let receiving = Receiving {
        connections_max: ABUSERS * HELD / 2,
        record_max: Some(Duration::from_millis(20)),
        ..Receiving::default()
    };
    let linger = Duration::from_millis(100);
    let sending = Sending { linger, subscribers_max: ABUSERS * HELD / 8, ..Sending::default() };
    ports.updates(p, receiving, sending, checked)
}

/// A record as bytes, and back, if it is one.
fn checked() -> impl Codec<Value = Reading> {
    codec(
        16,
        |reading: &Reading, into: &mut Vec<u8>| {
            let words = [reading.key, reading.value.into()];
            into.extend(words.map(u64::to_le_bytes).as_flattened());
        },
        |bytes: &[u8]| match bytes.as_chunks() {
            ([key, number, ..], _) if u64::from_le_bytes(*key) < KEYS => {
                let value = u64::from_le_bytes(*number) as u32;
                Ok(Reading { key: u64::from_le_bytes(*key), value })
            }
            _ => Err("no record".to_owned()),
        },
    )
}
