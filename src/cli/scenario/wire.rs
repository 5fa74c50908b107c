//! `wire`: records in by TCP, through a keyed window, and out by TCP, beside a bare ring that sends
//! back what it receives.

use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::Duration;

use super::bars::CLOSED;
use super::client::{Client, Paced, ROW, connect, readings};
use super::measured::Pieces;
use super::open_loop::{OpenLoop, Sample, Times};
use super::trial::{failed, interrupted};
use super::{Measured, Scenario, Takes};
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
use crate::error::IoError;
use crate::io::{Arrival, Codec, Fixed};
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
    takes: &[Takes::Rate, Takes::Arrival, Takes::ClosedLoop, Takes::Breakdown],
    plan,
    run,
};

/// Any rate of its open loop.
pub const OPEN_LOOP: OpenLoop =
    OpenLoop { name: SCENARIO.name, rate: RATE, generator: alone, sample };

/// Records a second of the open loop unless the command line says so.
const RATE: f64 = 200_000.0;

/// Records a second where calls to the system are counted, and how many of them come at once.
const BURSTS: (f64, Arrival) = (1e6, Arrival::Burst { size: 64, duty: 0.0 });

/// A rate that nothing can keep up with.
const FASTEST: f64 = 1e8;

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
        _ => {
            let reason = "one core is for the shard, and one for who sends to it";
            Err(args.refuse_shards(reason).into())
        }
    }
}

fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    let (config, cpus) = on_two_cores(args)?;
    let times = args.schedule();
    let mut measured = Measured::new(SCENARIO.name);
    measured.noise(run::noise_floor(&cpus, times.noise, progress));
    let rounds = ROUNDS as u32;
    let part = Times {
        lead: Duration::ZERO,
        warm_up: times.warm_up / rounds / 9,
        measured: times.measured / rounds / 9,
    };
    let load = Load { rate: args.rate.unwrap_or(RATE), arrival: args.load.arrival() };
    let mut all = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        progress.phase("bare ring", None);
        let game = move |client: Client, counts: &Counts| play(client, load, part, counts);
        let (one, two) = (echo(cpus, Ways::One, game)?, echo(cpus, Ways::Two, game)?);
        progress.phase("engine", None);
        let (engine, ran) = through(config.clone(), cpus, progress, game)?;
        measured.rates(&ran);
        all.push(Round { one, two, engine });
    }
    if interrupt::is_seen() {
        return Err(interrupted());
    }
    measured.report.setup = in_words(cpus);
    report(&mut measured, args, load, &all);
    Ok(measured)
}

fn in_words(cpus: [usize; 2]) -> String {
    format!("one shard on CPU {}, its client on CPU {}", cpus[0], cpus[1])
}

/// The open loop that is asked for.
#[derive(Clone, Copy)]
struct Load {
    rate: f64,
    arrival: Arrival,
}

/// What each of them did in one turn.
struct Round {
    /// The bare ring, on one connection.
    one: Played,
    /// The bare ring, on two.
    two: Played,
    engine: Played,
}

fn report(measured: &mut Measured, args: &BenchArgs, load: Load, all: &[Round]) {
    let median = |of: &dyn Fn(&Round) -> f64| {
        let mut each: Vec<f64> = all.iter().map(of).collect();
        each.sort_by(f64::total_cmp);
        each[each.len() / 2]
    };
    let ratio = |one: &Latency, other: &Latency, at| one.at(at) as f64 / other.at(at).max(1) as f64;
    let alone = median(&|it| ratio(&it.engine.alone, &it.two.alone, 0.5));
    let on_one = median(&|it| ratio(&it.engine.alone, &it.one.alone, 0.5));
    let paced = |at| median(&|it| ratio(&it.engine.paced.latency, &it.two.paced.latency, at));
    let calls = median(&|it| it.engine.calls_per_record);
    let at_most = |goal| Some(Goal::AtMost(goal));
    // Those of the open loop are set for this load and no other.
    let is_usual = load.rate == RATE && load.arrival == Arrival::Constant;
    let if_usual = |goal| at_most(goal).filter(|_| is_usual);
    measured.ratio("wire_vs_echo", alone, at_most(1.3));
    measured.ratio("wire_vs_echo_on_one", on_one, None);
    measured.ratio("wire_paced_p99_vs_echo", paced(0.99), if_usual(1.5));
    measured.ratio("wire_paced_p99_9_vs_echo", paced(0.999), if_usual(1.5));
    measured.ratio("wire_calls_per_record", calls, at_most(0.05));
    latencies(measured, args.load.closed_loop, all);
    if args.load.closed_loop {
        measured.report.pace = "closed loop of one record in flight".to_owned();
        measured.note(CLOSED);
    } else {
        measured.report.offered_per_s = Some(load.rate);
        measured.report.records_per_s = median(&|it| it.engine.paced.per_s);
        measured.report.pace = args.load.pace();
    }
    measured.note(format!(
        "Latency is that of the whole way there and back of a record of {ROW} bytes, taken by the \
         client. wire_vs_echo compares medians of a closed loop, one record in flight: both have \
         one connection for each way; wire_vs_echo_on_one is beside a bare ring with a single \
         one, whose answers carry the acknowledgements along. The others are of open loops. Ratios \
         are medians of {ROUNDS} rounds in which engine and bare ring take turns."
    ));
    let (rate, arrival) = BURSTS;
    measured.note(format!(
        "{calls:.4} calls to the system for each record, in and out, at {rate} records/s in \
         {arrival}."
    ));
}

/// All that was measured, by name. What the run is about comes last.
fn latencies(measured: &mut Measured, is_closed: bool, all: &[Round]) {
    let merged = |what: &dyn Fn(&Round) -> &Latency| {
        let mut merged = Latency::new();
        all.iter().for_each(|round| merged.merge(what(round)));
        merged
    };
    let (alone, paced) = (merged(&|it| &it.engine.alone), merged(&|it| &it.engine.paced.latency));
    if is_closed {
        measured.beside("ring, closed", &merged(&|it| &it.two.alone));
        measured.beside("one, closed", &merged(&|it| &it.one.alone));
        measured.results(&alone);
    } else {
        measured.beside("bare ring", &merged(&|it| &it.two.paced.latency));
        measured.beside("in bursts", &merged(&|it| &it.engine.bursts));
        measured.results(&paced);
    }
}

/// Measures one rate of the open loop, without a bare ring beside it.
fn sample(args: &BenchArgs, rate: f64, span: Times, progress: &mut Progress) -> Result<Sample> {
    let (config, cpus) = on_two_cores(args)?;
    let arrival = args.load.arrival();
    let game = move |mut client: Client, _: &Counts| client.open_loop(rate, arrival, span);
    let (Paced { latency, per_s, kept_up }, ran) = through(config, cpus, progress, game)?;
    let pieces = ran.summary.latencies.breakdown.as_deref().map(Pieces::of);
    Ok(Sample { setup: in_words(cpus), achieved_per_s: per_s, kept_up, latency, pieces })
}

/// Records a second that the client sends and gets back where a bare ring is all there is.
fn alone(args: &BenchArgs, span: Times) -> Result<f64> {
    let (_, cpus) = on_two_cores(args)?;
    let arrival = args.load.arrival();
    let game = move |mut client: Client, _: &Counts| client.open_loop(FASTEST, arrival, span);
    Ok(echo(cpus, Ways::Two, game)?.per_s)
}

/// What a client measured.
struct Played {
    /// With one record in flight: a closed loop.
    alone: Latency,
    /// In the open loop.
    paced: Paced,
    /// Where records come many at once.
    bursts: Latency,
    calls_per_record: f64,
}

fn play(mut client: Client, load: Load, part: Times, counts: &Counts) -> io::Result<Played> {
    let alone = client.one_at_a_time(part)?;
    let paced = client.open_loop(load.rate, load.arrival, part)?;
    let (rate, burst) = BURSTS;
    let before = counts.get(Count::Calls);
    let unwarmed = Times { warm_up: Duration::ZERO, ..part };
    let bursts = client.open_loop(rate, burst, unwarmed)?.latency;
    let calls = counts.get(Count::Calls) - before;
    let calls_per_record = calls as f64 / bursts.samples().max(1) as f64;
    Ok(Played { alone, paced, bursts, calls_per_record })
}

/// A game against a bare ring.
fn echo<T: Send + 'static>(
    cpus: [usize; 2],
    ways: Ways,
    game: impl FnOnce(Client, &Counts) -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let talk = move |from, to| game(Client::new(to, from)?, &Counts::default());
    let done = sockets::beside(cpus, ways, |bare, to| bare.echo(&to), talk);
    let ((), played) = done.map_err(|error| IoError::new("talk to", "a bare ring", error))?;
    Ok(played)
}

/// A game against the engine.
fn through<T: Send + 'static>(
    config: Config,
    [_, cpu]: [usize; 2],
    progress: &mut Progress,
    game: impl FnOnce(Client, &Counts) -> io::Result<T> + Send + 'static,
) -> Result<(T, Ran)> {
    let ports = Ports::open()?;
    let (inlet, outlet, its) =
        (ports.inlet.address(), ports.outlet.address(), ports.counts.clone());
    let client = thread::spawn(move || {
        pin::this_thread(cpu);
        let from = connect(outlet, &its)?;
        game(Client::new(TcpStream::connect(inlet)?, from)?, &its)
    });
    let build = move |p: Pipeline<'_>| ports.build(p);
    let ran = run::engine(Engine::new(config)?, Timing::default(), progress, build)?;
    let played = client.join().map_err(|_| failed("the client panicked"))?;
    Ok((played.map_err(|error| IoError::new("talk to", "the engine", error))?, ran))
}

/// Where records come in and go out.
pub(super) struct Ports {
    pub inlet: Listener,
    pub outlet: Listener,
    pub counts: Counts,
}

impl Ports {
    pub fn open() -> Result<Self> {
        let here = || Listener::on((Ipv4Addr::LOCALHOST, 0).into(), 1);
        Ok(Self { inlet: here()?, outlet: here()?, counts: Counts::default() })
    }

    fn build(&self, p: Pipeline<'_>) -> crate::error::Result<()> {
        let receiving = Receiving { ends_after: Some(1), ..Receiving::default() };
        self.updates(p, receiving, Sending::default(), readings)
    }

    /// An update for each record: an hour is never over.
    pub fn updates<C: Codec<Value = Reading> + 'static>(
        &self,
        p: Pipeline<'_>,
        receiving: Receiving,
        sending: Sending,
        codec: impl Fn() -> C,
    ) -> crate::error::Result<()> {
        let source = TcpSource::new(p, &self.inlet, Fixed::new(ROW), codec(), receiving)?;
        let sink = TcpSink::serve(p, &self.outlet, Fixed::new(ROW), codec(), sending)?;
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
