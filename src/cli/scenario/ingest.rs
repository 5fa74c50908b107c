//! `ingest`: records in by TCP as fast as they come, into a keyed window, beside a bare ring that
//! only counts bytes.

use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::Duration;

use super::client::{CONGESTION, KEYS, ROW, flood, readings};
use super::open_loop::Times;
use super::trial::{failed, interrupted};
use super::wire::on_two_cores;
use super::{Measured, Scenario, Takes};
use crate::cli::args::BenchArgs;
use crate::cli::baseline::sockets::{self, Ways};
use crate::cli::failure::Result;
use crate::cli::progress::Progress;
use crate::cli::report::Goal;
use crate::cli::run::{self, Ran, Timing};
use crate::cli::workload::Reading;
use crate::cli::{interrupt, pin, table};
use crate::config::Config;
use crate::dataflow::{Pipeline, Plan};
use crate::error::IoError;
use crate::io::Fixed;
use crate::net::{Count, Counts, Listener, Receiving, TcpSource};
use crate::runtime::Engine;
use crate::time::ms;
use crate::window::Tumbling;
use crate::window::aggregates::{count, sum};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "ingest",
    about: "TCP into a keyed window, flat out, beside a bare io_uring that only counts bytes",
    takes: &[Takes::Breakdown],
    plan,
    run,
};

/// How often the engine and the bare ring take turns: a host has its moods, and they change in
/// seconds.
const ROUNDS: usize = 7;

/// Records of a batch unless `--batch-max` says so: throughput is asked for here, not latency.
const BATCH_MAX: usize = 1024;

fn plan(args: &BenchArgs) -> Result<Plan> {
    let (config, _) = on_two_cores(args)?;
    let inlet = Inlet::open()?;
    Ok(Engine::new(config)?.plan(move |p| inlet.build(p))?)
}

fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    let (config, cpus) = on_two_cores(args)?;
    let config = Config { batch_max: args.batch_max.unwrap_or(BATCH_MAX), ..config };
    let times = args.schedule();
    let mut measured = Measured::new(SCENARIO.name);
    measured.noise(run::noise_floor(&cpus, times.noise, progress));
    let part = Times {
        lead: Duration::ZERO,
        warm_up: times.warm_up / ROUNDS as u32 / 2,
        measured: times.measured / ROUNDS as u32 / 2,
    };
    let (mut bare, mut engine) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        progress.phase("bare ring", None);
        bare.push(raw(cpus, part)?);
        progress.phase("engine", None);
        let (taken, ran) = through(config.clone(), cpus, part, progress)?;
        engine.push(taken);
        measured.rates(&ran);
    }
    if interrupt::is_seen() {
        return Err(interrupted());
    }
    measured.report.setup = format!(
        "one shard on CPU {}, who sends to it on CPU {}; records of {ROW} bytes, {KEYS} keys",
        cpus[0], cpus[1]
    );
    measured.report.pace = "flat out".to_owned();
    report(&mut measured, &bare, &engine);
    Ok(measured)
}

fn report(measured: &mut Measured, bare: &[Taken], engine: &[Taken]) {
    let median = |each: &mut dyn Iterator<Item = f64>| {
        let mut each: Vec<f64> = each.collect();
        each.sort_by(f64::total_cmp);
        each[each.len() / 2]
    };
    let ratios = engine.iter().zip(bare);
    let ratio = median(&mut ratios.map(|(engine, bare)| engine.per_s / bare.per_s));
    let calls = median(&mut engine.iter().map(|taken| taken.calls));
    let [rate, floor] = [engine, bare].map(|all| median(&mut all.iter().map(|it| it.per_s)));
    measured.report.records_per_s = rate;
    measured.ratio("ingest_vs_bare_ring", ratio, Some(Goal::AtLeast(0.6)));
    measured.ratio("ingest_calls_per_record", calls, Some(Goal::AtMost(0.05)));
    measured.note(format!(
        "Medians of {ROUNDS} rounds in which they take turns: engine {} and {calls:.4} calls to \
         the system for each record, bare ring {} and {:.4} calls. Who sends does so under \
         {CONGESTION}, whatever the host's default is: bbr paces by its model of a path, and this \
         host itself is none.",
        table::rate(rate),
        table::rate(floor),
        median(&mut bare.iter().map(|taken| taken.calls))
    ));
}

/// How fast records were taken, and by how many calls each.
struct Taken {
    per_s: f64,
    calls: f64,
}

/// Sends to a bare ring that counts.
fn raw(cpus: [usize; 2], part: Times) -> Result<Taken> {
    let talk = move |_, to| flood(to, part);
    let done = sockets::beside(cpus, Ways::One, |bare, _| bare.count(), talk);
    let ((bytes, calls), (per_s, records)) =
        done.map_err(|error| IoError::new("send to", "a bare ring", error))?;
    if bytes != records * ROW as u64 {
        return Err(failed("the bare ring did not count what was sent"));
    }
    Ok(Taken { per_s, calls: calls as f64 / records.max(1) as f64 })
}

/// Sends to the engine.
fn through(
    config: Config,
    [_, cpu]: [usize; 2],
    part: Times,
    progress: &mut Progress,
) -> Result<(Taken, Ran)> {
    let inlet = Inlet::open()?;
    let (address, counts) = (inlet.listener.address(), inlet.counts.clone());
    let client = thread::spawn(move || {
        pin::this_thread(cpu);
        flood(TcpStream::connect(address)?, part)
    });
    let build = move |p: Pipeline<'_>| inlet.build(p);
    let ran = run::engine(Engine::new(config)?, Timing::default(), progress, build)?;
    let flooded = client.join().map_err(|_| failed("the sender panicked"))?;
    let (per_s, records) = flooded.map_err(|error| IoError::new("send to", "the engine", error))?;
    let came = ran.summary.counters.get(crate::metrics::Counter::RecordsIn);
    if came != records {
        return Err(failed(&format!("the engine took {came} records of {records}")));
    }
    let calls = counts.get(Count::Calls) as f64 / records.max(1) as f64;
    Ok((Taken { per_s, calls }, ran))
}

/// Where records come in.
struct Inlet {
    listener: Listener,
    counts: Counts,
}

impl Inlet {
    fn open() -> Result<Self> {
        let listener = Listener::on((Ipv4Addr::LOCALHOST, 0).into(), 1)?;
        Ok(Self { listener, counts: Counts::default() })
    }

    fn build(&self, p: Pipeline<'_>) -> crate::error::Result<()> {
        let receiving = Receiving { ends_after: Some(1), ..Receiving::default() };
        let source = TcpSource::new(p, &self.listener, Fixed::new(ROW), readings(), receiving)?;
        p.source(source.counting_into(&self.counts))
            .key_by(|reading| reading.key)
            .window(Tumbling::of(ms(100)))
            .aggregate((count(), sum(|reading: &Reading| reading.value)))
            .for_each(drop);
        Ok(())
    }
}
