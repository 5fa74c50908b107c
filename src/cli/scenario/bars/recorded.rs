//! Recorded trades, out of a CSV file on the first shard.

use std::fs::File;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::columns::{Origin, Symbol, columns, decode};
use super::letters::{Letters, keep};
use super::trade::{HEADER, Trade, figures, fold, line};
use super::{FLAT_OUT, SCENARIO, compare, setup, window};
use crate::cli::args::BenchArgs;
use crate::cli::failure::{Failure, Result};
use crate::cli::load::ArrivalArg;
use crate::cli::output::Csv;
use crate::cli::progress::Progress;
use crate::cli::run::{self, Timing};
use crate::cli::scenario::Measured;
use crate::cli::shard_thread;
use crate::dataflow::{Edge, Pipeline, Plan, Record, Stage, Stream};
use crate::error::{ConfigError, IoError};
use crate::io::csv::{CsvSource, Line};
use crate::io::{Pace, Replay, Source};
use crate::runtime::{Engine, Monitor};
use crate::time::{Timestamp, Watermarks};

type Tick = Trade<Symbol, Origin>;

/// The columns of a late record in a CSV file.
const LATE_HEADER: &str = "record,ts_ns,key,price,qty";

/// How many dead letters are shown.
const SHOWN: usize = 3;

/// Time for the noise floor beside a replay, which has no length of its own; flat out, where it
/// says less, a part of it.
const NOISE: Duration = Duration::from_secs(1);

/// What the shards build, on all of them alike.
#[derive(Clone)]
struct Recorded {
    args: BenchArgs,
    letters: Arc<Letters>,
    monitor: Monitor,
}

pub fn plan(args: &BenchArgs) -> Result<Plan> {
    let engine = Engine::new(args.config()?)?;
    Recorded::new(args, &engine).plan(&engine)
}

pub fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    let config = args.config()?;
    let engine = Engine::new(config.clone())?;
    let recorded = Recorded::new(args, &engine);
    recorded.plan(&engine)?;
    for path in [&args.output, &args.late, &args.dead_letters].into_iter().flatten() {
        Csv::<()>::check(path)?;
    }
    let mut measured = Measured::new(SCENARIO.name);
    let file = args.input.as_deref().unwrap_or(Path::new("")).display().to_string();
    measured.report.setup = setup(args, &config, engine.cpus(), &file);
    let usual = if pace(args) == Pace::FlatOut { NOISE / 5 } else { NOISE };
    let noise = args.seconds.map_or(usual, |_| args.schedule().noise);
    measured.noise(run::noise_floor(engine.cpus(), noise, progress));
    let most = args.seconds.map(|seconds| seconds - noise);
    let timing = Timing { measured: most, stop: Some(Duration::ZERO), ..Timing::default() };
    let letters = recorded.letters.clone();
    let ran = run::engine(engine, timing, progress, move |pipeline| recorded.build(pipeline))?;
    letters.check()?;
    measured.ran(&ran);
    match pace(args) {
        Pace::FlatOut => {
            measured.report.pace = "flat out".to_owned();
            measured.note(FLAT_OUT);
        }
        Pace::Rate(rate) => {
            (measured.report.offered_per_s, measured.report.pace) = (Some(rate), args.load.pace());
            compare(&mut measured, &ran, false);
        }
        Pace::Speed(speed) => {
            measured.report.pace = format!("open loop at {speed} times the recorded speed");
            compare(&mut measured, &ran, false);
        }
    }
    letters.shown(SHOWN).into_iter().for_each(|note| measured.note(note));
    Ok(measured)
}

/// How the records come.
fn pace(args: &BenchArgs) -> Pace {
    match (args.rate, args.speed) {
        (Some(rate), _) => Pace::Rate(rate),
        (_, Some(speed)) => Pace::Speed(speed),
        _ if args.load.arrival == Some(ArrivalArg::Replay) => Pace::Speed(1.0),
        _ => Pace::FlatOut,
    }
}

impl Recorded {
    fn new(args: &BenchArgs, engine: &Engine) -> Self {
        Self { args: args.clone(), letters: Arc::default(), monitor: engine.monitor() }
    }

    /// Finds out before any thread starts what is wrong with the file, its columns, the windows.
    fn plan(&self, engine: &Engine) -> Result<Plan> {
        engine.plan(|pipeline| self.build(pipeline)).map_err(Failure::refused)
    }

    fn build(&self, p: Pipeline<'_>) -> crate::error::Result<()> {
        let args = &self.args;
        let disorder = Watermarks::bounded_disorder(args.disorder.unwrap_or_default());
        let trades = p.source(self.source(p)?).event_time(|tick: &Tick| tick.origin.at, disorder);
        let windows = trades.key_by(|tick| tick.key).window(window(args));
        match &args.late {
            None => self.finish(p, windows.aggregate(figures())),
            Some(path) => {
                let (bars, late) = windows.aggregate_with_late(figures());
                write_late(p, late, path)?;
                self.finish(p, bars)
            }
        }
    }

    /// Ends the bars in a file, or in nothing.
    fn finish<'p>(
        &self,
        p: Pipeline<'p>,
        bars: Stream<'p, impl Stage<Out = super::trade::Bar<Symbol>>>,
    ) -> crate::error::Result<()> {
        match &self.args.output {
            Some(path) => {
                let encode = line(|key: &Symbol, line| _ = line.text(key.as_str()));
                let sink = Csv::on_first(p, path, HEADER, encode)?;
                bars.ordered(|bar| bar.key).sink(sink);
            }
            None => {
                let mut sum = 0.0;
                bars.for_each(move |bar| sum = black_box(fold(sum, &bar.value)));
            }
        }
        Ok(())
    }

    /// The file on the first shard; on the others nothing.
    fn source(
        &self,
        p: Pipeline<'_>,
    ) -> crate::error::Result<Option<impl Source<Out = Tick> + use<>>> {
        let args = &self.args;
        let (Some(path), Some(wanted)) = (&args.input, &args.columns) else {
            let reason = "needs --columns and --time-unit";
            return Err(ConfigError::setting("--input", "", reason).into());
        };
        let (columns, decode) = (columns(wanted), decode(args, wanted)?);
        if p.shard() > 0 || !shard_thread::is_here() && is_stream(path) {
            return Ok(None);
        }
        let place = path.display().to_string();
        let file = File::open(path).map_err(|error| IoError::new("open", &place, error))?;
        let source = CsvSource::from_reader(place, file, columns, decode)?;
        let letters = keep(&self.letters, args.dead_letters.as_deref(), self.monitor.clone())?;
        let source = source.on_dead_letter(letters);
        Ok(Some(Replay::new(source, pace(args))?.arrival(args.load.arrival())?))
    }
}

/// Whether it can be read only once, and so not to look at its header before the run.
fn is_stream(path: &Path) -> bool {
    path.metadata().is_ok_and(|it| !it.is_file() && !it.is_dir())
}

/// Writes late records in the order of the input.
///
/// They are behind the watermark, so event time does not order them; their numbers do, which on
/// each shard only grow.
fn write_late(
    p: Pipeline<'_>,
    late: Stream<'_, Edge<Tick>>,
    path: &Path,
) -> crate::error::Result<()> {
    let encode = |record: &Record<Tick>, line: &mut Line<'_>| {
        let Trade { key, price, qty, origin } = &record.value;
        line.number(origin.number).time(origin.at).text(key.as_str()).number(price).number(qty);
    };
    let sink = Csv::on_first(p, path, LATE_HEADER, encode)?;
    late.event_time(|tick| Timestamp(tick.origin.number as i64), Watermarks::monotonic())
        .ordered(|tick| tick.origin.number)
        .sink(sink);
    Ok(())
}
