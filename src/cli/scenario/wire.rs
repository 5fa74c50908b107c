//! `wire`: records in by TCP, through a keyed window, and out by TCP, beside a bare ring that sends
//! back what it receives.

use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::Duration;

use super::client::{Client, ROW, Times, connect, readings};
use super::trial::{failed, interrupted};
use super::{Measured, Scenario};
use crate::cli::args::BenchArgs;
use crate::cli::baseline::sockets::{self, Ways};
use crate::cli::failure::Result;
use crate::cli::progress::Progress;
use crate::cli::report::Goal;
use crate::cli::run::{self, Ran, Timing};
use crate::cli::workload::Reading;
use crate::cli::{interrupt, pin};
use crate::config::{Config, Idle, Shards};
use crate::dataflow::{Pipeline, Plan};
use crate::error::{ConfigError, IoError};
use crate::io::Fixed;
use crate::metrics::Latency;
use crate::net::{Count, Counts, Listener, Receiving, Sending, TcpSink, TcpSource};
use crate::runtime::Engine;
use crate::time::secs;
use crate::window::aggregates::{count, max};
use crate::window::{Tumbling, triggers};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "wire",
    about: "TCP in, keyed window update, TCP out, beside a bare io_uring echo on the same cores",
    takes_trades: false,
    plan,
    run,
};

/// Records a second of the open loop.
const RATE: f64 = 200_000.0;

/// Records a second where calls to the system are counted, and how many of them come at once.
const BURSTS: (f64, u64) = (1e6, 64);

/// How often the engine and the bare ring take turns: a host has its moods, and they change in
/// seconds.
const ROUNDS: usize = 5;

fn plan(args: &BenchArgs) -> Result<Plan> {
    let (config, _) = on_two_cores(args)?;
    let ports = Ports::open()?;
    Ok(Engine::new(config)?.plan(move |p| ports.build(p))?)
}

/// A shard on the first core; the other one is for its client.
///
/// # Errors
/// There are not two cores.
pub fn on_two_cores(args: &BenchArgs) -> Result<(Config, [usize; 2])> {
    let config = Config { idle: Idle::Spin, ..args.config()? };
    match Engine::new(config.clone())?.cpus()[..] {
        [first, second] => {
            Ok((Config { shards: Shards::Pinned(vec![first]), ..config }, [first, second]))
        }
        ref cpus => {
            let reason = "one core is for the shard, and one for who sends to it";
            Err(ConfigError::setting("shards", cpus.len(), reason).into())
        }
    }
}

fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    let (config, cpus) = on_two_cores(args)?;
    let times = args.schedule();
    let mut measured = Measured::new(SCENARIO.name);
    measured.noise(run::noise_floor(&cpus, times.noise, progress));
    let rounds = ROUNDS as u32;
    let part = Times { warm_up: times.warm_up / rounds / 9, measured: times.measured / rounds / 9 };
    let mut all = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        progress.phase("bare ring", None);
        let (one, two) = (echo(cpus, Ways::One, part)?, echo(cpus, Ways::Two, part)?);
        progress.phase("engine", None);
        let (engine, ran) = through(config.clone(), cpus, part, progress)?;
        measured.rates(&ran);
        all.push(Round { one, two, engine });
    }
    if interrupt::is_seen() {
        return Err(interrupted());
    }
    measured.report.setup = format!("one shard on CPU {}, its client on CPU {}", cpus[0], cpus[1]);
    measured.report.pace = "closed loop, then open loop".to_owned();
    report(&mut measured, &all);
    Ok(measured)
}

/// What each of them did in one turn.
struct Round {
    /// The bare ring, on one connection.
    one: Played,
    /// The bare ring, on two.
    two: Played,
    engine: Played,
}

fn report(measured: &mut Measured, all: &[Round]) {
    let median = |of: &dyn Fn(&Round) -> f64| {
        let mut each: Vec<f64> = all.iter().map(of).collect();
        each.sort_by(f64::total_cmp);
        each[each.len() / 2]
    };
    let ratio = |one: &Latency, other: &Latency, at| one.at(at) as f64 / other.at(at).max(1) as f64;
    let alone = median(&|it| ratio(&it.engine.alone, &it.two.alone, 0.5));
    let on_one = median(&|it| ratio(&it.engine.alone, &it.one.alone, 0.5));
    let paced = |at| median(&|it| ratio(&it.engine.paced, &it.two.paced, at));
    let calls = median(&|it| it.engine.calls_per_record);
    let at_most = |goal| Some(Goal::AtMost(goal));
    measured.ratio("wire_vs_echo", alone, at_most(1.3));
    measured.ratio("wire_vs_echo_on_one", on_one, None);
    measured.ratio("wire_paced_p99_vs_echo", paced(0.99), at_most(1.5));
    measured.ratio("wire_paced_p99_9_vs_echo", paced(0.999), at_most(1.5));
    measured.ratio("wire_calls_per_record", calls, at_most(0.05));
    let merged = |what: &dyn Fn(&Round) -> &Latency| {
        let mut merged = Latency::new();
        all.iter().for_each(|round| merged.merge(what(round)));
        merged
    };
    let ours = merged(&|it| &it.engine.alone);
    measured.results(&ours);
    measured.note(format!(
        "Latency is that of the whole way there and back, taken by the client. One record of {ROW} \
         bytes in flight: engine {}; bare ring {}. Both have one connection for each way; on a \
         single one, whose answers carry the acknowledgements along, the bare ring needs {}.",
        in_words(&ours),
        in_words(&merged(&|it| &it.two.alone)),
        in_words(&merged(&|it| &it.one.alone))
    ));
    measured.note(format!(
        "Open loop of {RATE} records/s: engine {}; bare ring {}. Ratios are medians of {ROUNDS} \
         rounds in which they take turns.",
        in_words(&merged(&|it| &it.engine.paced)),
        in_words(&merged(&|it| &it.two.paced))
    ));
    let (rate, burst) = BURSTS;
    measured.note(format!(
        "At {rate} records/s, {burst} at once: engine {}; {calls:.4} calls to the system for each \
         record, in and out.",
        in_words(&merged(&|it| &it.engine.bursts))
    ));
}

/// Percentiles in microseconds.
fn in_words(latency: &Latency) -> String {
    let us = |quantile| latency.at(quantile) as f64 / 1e3;
    let samples = latency.samples();
    format!(
        "p50 {:.1} us, p99 {:.1}, p99.9 {:.1} ({samples} samples)",
        us(0.5),
        us(0.99),
        us(0.999)
    )
}

/// What a client measured.
struct Played {
    /// With one record in flight.
    alone: Latency,
    /// In the open loop.
    paced: Latency,
    /// Where records come many at once.
    bursts: Latency,
    calls_per_record: f64,
}

fn play(to: TcpStream, from: TcpStream, part: Times, counts: &Counts) -> std::io::Result<Played> {
    let mut client = Client::new(to, from)?;
    let alone = client.one_at_a_time(part)?;
    let paced = client.open_loop(RATE, 1, part)?;
    let (rate, burst) = BURSTS;
    let before = counts.get(Count::Calls);
    let bursts = client.open_loop(rate, burst, Times { warm_up: Duration::ZERO, ..part })?;
    let calls = counts.get(Count::Calls) - before;
    let calls_per_record = calls as f64 / bursts.samples().max(1) as f64;
    Ok(Played { alone, paced, bursts, calls_per_record })
}

/// The game against a bare ring.
fn echo(cpus: [usize; 2], ways: Ways, part: Times) -> Result<Played> {
    let talk = move |from, to| play(to, from, part, &Counts::default());
    let done = sockets::beside(cpus, ways, |bare, to| bare.echo(&to), talk);
    let ((), played) = done.map_err(|error| IoError::new("talk to", "a bare ring", error))?;
    Ok(played)
}

/// The game against the engine.
fn through(
    config: Config,
    [_, cpu]: [usize; 2],
    part: Times,
    progress: &mut Progress,
) -> Result<(Played, Ran)> {
    let ports = Ports::open()?;
    let (inlet, outlet, its) =
        (ports.inlet.address(), ports.outlet.address(), ports.counts.clone());
    let client = thread::spawn(move || {
        pin::this_thread(cpu);
        let from = connect(outlet, &its)?;
        play(TcpStream::connect(inlet)?, from, part, &its)
    });
    let build = move |p: Pipeline<'_>| ports.build(p);
    let ran = run::engine(Engine::new(config)?, Timing::default(), progress, build)?;
    let played = client.join().map_err(|_| failed("the client panicked"))?;
    Ok((played.map_err(|error| IoError::new("talk to", "the engine", error))?, ran))
}

/// Where records come in and go out.
struct Ports {
    inlet: Listener,
    outlet: Listener,
    counts: Counts,
}

impl Ports {
    fn open() -> Result<Self> {
        let here = || Listener::on((Ipv4Addr::LOCALHOST, 0).into(), 1);
        Ok(Self { inlet: here()?, outlet: here()?, counts: Counts::default() })
    }

    fn build(&self, p: Pipeline<'_>) -> crate::error::Result<()> {
        let receiving = Receiving { ends_after: Some(1), ..Receiving::default() };
        let source = TcpSource::new(p, &self.inlet, Fixed::new(ROW), readings(), receiving)?;
        let sink =
            TcpSink::serve(p, &self.outlet, Fixed::new(ROW), readings(), Sending::default())?;
        // An hour is never over: what is sent is an update for each record.
        let each = triggers::event_time().early(triggers::count(1));
        p.source(source.counting_into(&self.counts))
            .key_by(|reading| reading.key)
            .window(Tumbling::of(secs(3_600)))
            .trigger(each)
            .aggregate((count(), max(|reading: &Reading| reading.value)))
            .map(|window| Reading { key: window.key, value: window.value.1 })
            .sink(sink.counting_into(&self.counts));
        Ok(())
    }
}
