//! The scenarios whose load can be chosen, and how one rate of it is measured.

use std::hint::black_box;
use std::time::Duration;

use super::feed::Feed;
use super::measured::Pieces;
use super::trial::on_core;
use super::{
    Measured, asof, bars, checkpoint, hop, hotkey, join, nexmark, process, sessions, sliding,
    tablejoin, window, yahoo,
};
use crate::cli::args::BenchArgs;
use crate::cli::failure::Result;
use crate::cli::interrupt;
use crate::cli::load::{Found, Limit, Probe, Slo, Sweep, search};
use crate::cli::progress::Progress;
use crate::cli::report::LatencyNs;
use crate::cli::run::{self, Ran, Timing};
use crate::dataflow::Pipeline;
use crate::io::Source;
use crate::metrics::Latency;
use crate::runtime::Engine;
use crate::time::{Clock, SystemClock, Timestamp};

/// All of them, the default one first.
pub const OPEN_LOOPS: &[OpenLoop] = &[
    bars::OPEN_LOOP,
    hop::OPEN_LOOP,
    window::OPEN_LOOP,
    sliding::OPEN_LOOP,
    sessions::OPEN_LOOP,
    join::OPEN_LOOP,
    asof::OPEN_LOOP,
    tablejoin::OPEN_LOOP,
    process::OPEN_LOOP,
    hotkey::OPEN_LOOP,
    checkpoint::OPEN_LOOP,
    nexmark::OPEN_LOOP,
    yahoo::OPEN_LOOP,
    #[cfg(feature = "net")]
    super::wire::OPEN_LOOP,
];

/// The scenario of this name, if its load can be chosen.
pub fn find(name: &str) -> Option<&'static OpenLoop> {
    OPEN_LOOPS.iter().find(|it| it.name == name)
}

/// A scenario whose load can be chosen.
pub struct OpenLoop {
    /// What it is called on the command line.
    pub name: &'static str,
    /// Records a second unless the command line says so.
    pub rate: f64,
    /// Records a second that whatever makes them makes by itself on these cores.
    pub generator: fn(&BenchArgs, Times) -> Result<f64>,
    /// Measures one rate.
    pub sample: fn(&BenchArgs, f64, Times, &mut Progress) -> Result<Sample>,
}

impl OpenLoop {
    /// Of a scenario that is flat out by itself.
    pub const fn beside(
        name: &'static str,
        generator: fn(&BenchArgs, Times) -> Result<f64>,
        sample: fn(&BenchArgs, f64, Times, &mut Progress) -> Result<Sample>,
    ) -> Self {
        Self { name, rate: RATE, generator, sample }
    }
}

/// How long a rate is measured, and how long not before that.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// From now until the first record is due: shards must have been built by then.
    pub lead: Duration,
    /// Not measured.
    pub warm_up: Duration,
    /// Measured.
    pub measured: Duration,
}

/// What one rate came to.
pub struct Sample {
    /// What ran on which cores, in words.
    pub setup: String,
    /// Records a second that went through.
    pub achieved_per_s: f64,
    /// Whether every record was sent by the end of its time.
    pub kept_up: bool,
    /// From intended times on.
    pub latency: Latency,
    /// Where the time went, if it was asked for.
    pub pieces: Option<Pieces>,
}

/// From now until the first record is due, where shards need no more than to be built.
pub const LEAD: Duration = Duration::from_millis(50);
/// How much later than at the end of its time a run may end before it counts as behind.
const GRACE: Duration = Duration::from_millis(20);
/// Records a second where a search begins, unless a scenario or the command line says so.
pub const RATE: f64 = 100_000.0;
/// Keys where the flat out run of a scenario has so many that few had a second record in a probe.
pub const KEYS: u32 = 1_000;
/// A rate that nothing can keep up with.
pub const FASTEST: f64 = 1e12;

/// The shortest time that a rate is measured.
const SPAN_MIN: Duration = Duration::from_millis(20);
/// A probe takes this part of the time of a run.
const PROBES: u32 = 10;

/// How long a run may go on after its time: one that is far behind by then will not catch up.
pub fn patience(span: Duration) -> Duration {
    (span / 2).max(Duration::from_secs(1))
}

impl Times {
    /// A fifth of it for the warm-up.
    pub fn of(whole: Duration) -> Self {
        let whole = whole.max(SPAN_MIN);
        Self { lead: LEAD, warm_up: whole / 5, measured: whole - whole / 5 }
    }

    /// How long records come.
    pub fn whole(self) -> Duration {
        self.warm_up + self.measured
    }
}

/// Runs a pipeline whose records begin [`Times::lead`] after it was made, and come for all of
/// `span`; returns whether every record was sent by the end of its time.
///
/// # Errors
/// What kept it from running.
pub fn paced(
    engine: Engine,
    span: Times,
    progress: &mut Progress,
    build: impl Fn(Pipeline<'_>) -> crate::error::Result<()> + Send + Sync + 'static,
) -> Result<(Ran, bool)> {
    let whole = span.whole();
    // What is not through by then never will be: the rate is too high, and it is known by how much.
    let timing = Timing {
        warm_up: span.lead + span.warm_up,
        measured: Some(span.measured),
        stop: Some(span.measured / 4 + GRACE),
    };
    let ran = run::engine(engine, timing, progress, build)?;
    let most = span.lead + whole + (whole / 100).max(GRACE);
    let kept_up = ran.summary.elapsed <= most;
    Ok((ran, kept_up))
}

/// Measures one rate of such a pipeline.
///
/// # Errors
/// What kept it from running.
pub fn sample(
    engine: Engine,
    setup: String,
    span: Times,
    progress: &mut Progress,
    build: impl Fn(Pipeline<'_>) -> crate::error::Result<()> + Send + Sync + 'static,
) -> Result<Sample> {
    let (ran, kept_up) = paced(engine, span, progress, build)?;
    Ok(Sample {
        setup,
        achieved_per_s: ran.records_per_s,
        kept_up,
        pieces: ran.summary.latencies.breakdown.as_deref().map(Pieces::of),
        latency: ran.summary.latencies.to_sink,
    })
}

/// Measures one rate of a pipeline that is fed by a [`Feed`], with the shards asked for.
///
/// # Errors
/// What kept it from running.
pub fn fed(
    args: &BenchArgs,
    words: &str,
    rate: f64,
    span: Times,
    progress: &mut Progress,
    build: impl Fn(Pipeline<'_>, Feed) -> crate::error::Result<()> + Send + Sync + 'static,
) -> Result<Sample> {
    let engine = Engine::new(args.config()?)?;
    let setup = format!("{words}, CPUs {:?}", engine.cpus());
    let feed = Feed::due(args, rate, span);
    sample(engine, setup, span, progress, move |p| build(p, feed))
}

/// Records a second that the shards make where nobody takes them: the generator alone, on the first
/// of the cores, times the shards.
///
/// # Errors
/// Shards or arrivals that cannot be.
pub fn made<T: 'static>(
    args: &BenchArgs,
    span: Times,
    make: impl FnMut(u64, Timestamp) -> T + Send + 'static,
) -> Result<f64> {
    let engine = Engine::new(args.config()?)?;
    let (shards, cpu) = (engine.cpus().len(), engine.cpus().first().copied().unwrap_or(0));
    let feed = Feed::fastest(args);
    let source = move || Ok(feed.share((0, shards), make)?);
    Ok(alone(cpu, span.measured, source)? * shards as f64)
}

/// Records a second that a source makes, on a core by itself, while it owes more than it can make.
///
/// # Errors
/// What the source said.
pub fn alone<S: Source>(
    cpu: usize,
    span: Duration,
    source: impl FnOnce() -> Result<S> + Send + 'static,
) -> Result<f64> {
    on_core(cpu, move || {
        let (mut source, clock, mut made) = (source()?, SystemClock::new(), 0u64);
        let begun = clock.now();
        loop {
            source.poll(0, Timestamp::MAX, 256, &mut |record| {
                black_box(record);
                made += 1;
            })?;
            let passed = clock.now().since(begun);
            if passed >= span.as_nanos() as u64 {
                return Ok(made as f64 * 1e9 / passed as f64);
            }
        }
    })?
}

/// Looks for the highest rate that holds an objective.
///
/// # Errors
/// What kept the scenario from running.
pub fn find_rate(
    open_loop: &OpenLoop,
    args: &BenchArgs,
    slo: Slo,
    progress: &mut Progress,
) -> Result<Measured> {
    let times = args.schedule();
    let span = Times::of((times.warm_up + times.measured) / PROBES);
    let (mut measured, mut probes) = begin(open_loop, args, span, progress)?;
    let first = args.rate.unwrap_or(open_loop.rate);
    let generator = probes.generator_per_s;
    let found = search::search(slo, first, generator, |rate| probes.probe(rate, progress))?;
    let shown = found.highest.or(found.next).map(|it| it.per_s);
    probes.end(&mut measured, shown);
    if let Some(rate) = args.rate.filter(|rate| *rate > generator) {
        measured.note(beyond(rate, generator));
    }
    measured.note(sides(&found, span));
    if let Some(rate) = shown {
        let which = match found.highest {
            Some(_) => "the highest rate that held",
            None => "the lowest rate that was tried",
        };
        measured.note(of_one(rate, which, args));
    }
    measured.report.slo = Some(found);
    Ok(measured)
}

/// Goes through a range of rates.
///
/// # Errors
/// What kept the scenario from running.
pub fn go_through(
    open_loop: &OpenLoop,
    args: &BenchArgs,
    sweep: Sweep,
    progress: &mut Progress,
) -> Result<Measured> {
    let times = args.schedule();
    let span = Times::of((times.warm_up + times.measured) / sweep.points());
    let (mut measured, mut probes) = begin(open_loop, args, span, progress)?;
    let generator = probes.generator_per_s;
    let found = sweep.run(args.load.seed, args.repeat, |rate| probes.probe(rate, progress))?;
    let found: Vec<Probe> = found.into_iter().map(|probe| probe.limited(generator)).collect();
    let highest = found.iter().filter(|probe| probe.kept_up).map(|probe| probe.offered_per_s);
    let highest = highest.reduce(f64::max);
    let shown = highest.or(found.first().map(|probe| probe.offered_per_s));
    probes.end(&mut measured, shown);
    measured.note(format!(
        "Rates were tried in random order (seed {}), each for {:.2?} after {:.2?} of warm-up.",
        args.load.seed, span.measured, span.warm_up
    ));
    if let Some(rate) = shown {
        let which = match highest {
            Some(_) => "the highest rate that was kept up with",
            None => "the lowest rate: none was kept up with",
        };
        measured.note(of_one(rate, which, args));
    }
    let behind = |probe: &&Probe| probe.limited_by == Some(Limit::Generator);
    if let Some(probe) = found.iter().find(behind) {
        measured.note(beyond(probe.offered_per_s, generator));
    }
    measured.report.sweep = found;
    Ok(measured)
}

/// Which of several rates it is that a report shows more of than a row.
fn of_one(rate: f64, which: &str, args: &BenchArgs) -> String {
    let rate = crate::cli::table::rate(rate);
    let where_to = if args.breakdown { ", and where the time went," } else { "" };
    format!("The latency of results by percentile{where_to} is that at {rate}, {which}.")
}

/// Why a rate was not reached, or not asked for.
fn beyond(rate: f64, generator: f64) -> String {
    format!(
        "{} is more than the generator makes by itself on these cores, which is {}: what is \
         measured there says nothing of the pipeline.",
        crate::cli::table::rate(rate),
        crate::cli::table::rate(generator)
    )
}

/// What stands beside an answer.
fn sides(found: &Found, span: Times) -> String {
    let few = found.probes.iter().any(|probe| found.slo.has_few_samples(&probe.latency_ns));
    let few = match few {
        true => format!(
            " Some had fewer than ten samples above {}, which makes it an accident: give it more \
             --seconds.",
            found.slo.percentile()
        ),
        false => String::new(),
    };
    format!(
        "Each probe is {:.2?} after {:.2?} of warm-up. A rate holds where most of its runs do; one \
         that was not kept up with does not, whatever its percentiles.{few}",
        span.measured, span.warm_up
    )
}

/// Measures what all probes have in common.
fn begin<'a>(
    open_loop: &'a OpenLoop,
    args: &'a BenchArgs,
    span: Times,
    progress: &mut Progress,
) -> Result<(Measured, Probes<'a>)> {
    let engine = Engine::new(args.config()?)?;
    let mut measured = Measured::new(open_loop.name);
    measured.noise(run::noise_floor(engine.cpus(), args.schedule().noise, progress));
    progress.phase("generator", None);
    let generator_per_s = (open_loop.generator)(args, span)?;
    Ok((measured, Probes { open_loop, args, span, generator_per_s, samples: Vec::new() }))
}

/// Probes, and what is drawn of them.
struct Probes<'a> {
    open_loop: &'a OpenLoop,
    args: &'a BenchArgs,
    span: Times,
    generator_per_s: f64,
    samples: Vec<(f64, Sample)>,
}

impl Probes<'_> {
    /// Measures one rate; nothing after Ctrl-C.
    fn probe(&mut self, rate: f64, progress: &mut Progress) -> Result<Option<Probe>> {
        if interrupt::is_seen() {
            return Ok(None);
        }
        let sample = (self.open_loop.sample)(self.args, rate, self.span, progress)?;
        if interrupt::is_seen() {
            return Ok(None);
        }
        let latency_ns: LatencyNs = sample.latency.percentiles().into();
        let Sample { achieved_per_s, kept_up, .. } = sample;
        // One of a rate is enough to draw, and a search probes a few dozen.
        match self.samples.iter_mut().find(|(known, _)| *known == rate) {
            Some((_, known)) => *known = sample,
            None => self.samples.push((rate, sample)),
        }
        let runs = 1;
        let probe =
            Probe { offered_per_s: rate, achieved_per_s, kept_up, latency_ns, ..Probe::default() };
        Ok(Some(Probe { runs, ..probe }))
    }

    /// Shows what the probe of a rate came to as what the run came to.
    fn end(self, measured: &mut Measured, shown: Option<f64>) {
        let pace = self.args.load.pace();
        let seconds = (self.span.warm_up + self.span.measured).as_secs_f64();
        let found = self.samples.into_iter().find(|(rate, _)| Some(*rate) == shown);
        let Some((rate, sample)) = found else { return };
        let report = &mut measured.report;
        (report.setup, report.pace, report.seconds) = (sample.setup, pace, seconds);
        (report.offered_per_s, report.records_per_s) = (Some(rate), sample.achieved_per_s);
        measured.lasted = self.span.measured;
        measured.results(&sample.latency);
        if let Some(pieces) = sample.pieces {
            measured.pieces(pieces);
        }
    }
}
