//! An engine with over a gigabyte of state, with a checkpoint every second and without.

use std::time::Duration;

use super::{Amount, beside_a_core, sums};
use crate::checkpoint;
use crate::cli::args::{BenchArgs, Schedule};
use crate::cli::failure::Result;
use crate::cli::folder::Folder;
use crate::cli::progress::Progress;
use crate::cli::report::Goal;
use crate::cli::run::{self, Ran, Timing};
use crate::cli::scenario::Measured;
use crate::cli::scenario::feed::Feed;
use crate::cli::scenario::open_loop::{self, Sample, Times};
use crate::cli::table;
use crate::cli::workload::mix;
use crate::config::Config;
use crate::dataflow::{Pipeline, Record};
use crate::error::{Error, IoError};
use crate::io::{Generator, Polled, Source};
use crate::runtime::{Checkpoints, Engine};
use crate::time::Timestamp;
use crate::window::Tumbling;
use crate::window::aggregates::sum;

/// Records a second where latency is measured.
const RATE: f64 = 100_000.0;
/// How often each of the two takes its turn.
const ROUNDS: u32 = 2;
/// Accounts where rates are tried, each of which begins by filling them.
const KEYS: u32 = 1_000_000;
/// More than it takes to fill one of them.
const FILLING: Duration = Duration::from_nanos(250);
/// Bars are of this many accounts each.
const SYMBOLS: u64 = 1_000;

/// What is run, and for how long.
pub struct Live {
    pub config: Config,
    pub keys: u32,
    /// How long filling the state took elsewhere.
    pub filled: Duration,
    pub times: Schedule,
    pub folder: Folder,
}

/// What runs came to.
#[derive(Default)]
struct Sum {
    records_per_s: f64,
    p99_9_us: f64,
}

impl Live {
    /// Measures throughput and then latency.
    pub fn measure(
        &self,
        args: &BenchArgs,
        measured: &mut Measured,
        progress: &mut Progress,
    ) -> Result<()> {
        let rate = args.rate.unwrap_or(RATE);
        let mut sums: [[Sum; 2]; 2] = Default::default();
        let mut checkpoints = 0;
        for _ in 0..ROUNDS {
            for (paced, sums) in sums.iter_mut().enumerate() {
                for (with, sum) in sums.iter_mut().enumerate() {
                    let rate = (paced == 1).then_some(rate);
                    let ran = self.run(rate, with == 1, progress)?;
                    sum.records_per_s += ran.records_per_s / f64::from(ROUNDS);
                    let p99_9 = ran.summary.latencies.to_sink.at(0.999) as f64 / 1e3;
                    sum.p99_9_us += p99_9 / f64::from(ROUNDS);
                    checkpoints += u64::from(with == 1) * self.kept()?;
                    if (paced, with) == (1, 1) {
                        measured.ran(&ran);
                    }
                }
            }
        }
        let [[flat, flat_with], [paced, paced_with]] = &sums;
        let ratio = flat_with.records_per_s / flat.records_per_s;
        measured.ratio("checkpoint_throughput", ratio, Some(Goal::AtLeast(0.9)));
        let ratio = paced_with.p99_9_us / paced.p99_9_us;
        measured.ratio("checkpoint_p999", ratio, Some(Goal::AtMost(1.5)));
        measured.report.pace = format!("flat out, and open loop at {rate:.0} records/s");
        measured.note(format!(
            "{} shards. A checkpoint begins a second after the one before was on the disk: \
             {checkpoints} in all. Flat out {:.2} M records/s, without {:.2} M. Bars at {rate:.0} \
             records/s: p99.9 {:.0} us, without {:.0} us.",
            self.config.shards.count(),
            flat_with.records_per_s / 1e6,
            flat.records_per_s / 1e6,
            paced_with.p99_9_us,
            paced.p99_9_us,
        ));
        Ok(())
    }

    /// The number of the last checkpoint that was kept.
    fn kept(&self) -> Result<u64> {
        let mut store = checkpoint::open(self.folder.path(), 3).map_err(Error::from)?;
        let all = store.list().map_err(Error::from)?;
        let epochs = all.into_iter().filter_map(|(_, manifest)| Some(manifest.ok()?.epoch.0));
        Ok(epochs.max().unwrap_or(0))
    }

    /// Fills the state, and then runs: at a rate, or flat out.
    fn run(&self, rate: Option<f64>, with: bool, progress: &mut Progress) -> Result<Ran> {
        progress.phase(if with { "with checkpoints" } else { "without checkpoints" }, None);
        let (keys, shards) = (u64::from(self.keys), self.config.shards.count() as u64);
        let mut engine = Engine::new(self.config.clone())?;
        if with {
            self.folder.empty()?;
            let every = Duration::from_secs(1).min(self.times.measured / 10);
            engine = engine.checkpoints(Checkpoints::in_directory(self.folder.path(), every)?);
        }
        let warm_up = self.filled * 2 + self.times.warm_up;
        let lasts = Some(self.times.measured / (4 * ROUNDS));
        let timing = Timing { warm_up, measured: lasts, stop: Some(Duration::ZERO) };
        run::engine(engine, timing, progress, move |p| {
            let (own, amount) = (keys / shards, amount(keys / shards));
            let then = match rate {
                Some(rate) => Generator::at_rate(rate / shards as f64, amount),
                None => Generator::flat_out(1e6, amount),
            };
            build(p, own, then?)
        })
    }
}

/// One rate while a checkpoint is taken every second, or ten times in a probe that is shorter.
pub fn sample(args: &BenchArgs, rate: f64, span: Times, progress: &mut Progress) -> Result<Sample> {
    let (config, keys) = (beside_a_core(args)?, u64::from(args.keys.unwrap_or(KEYS)));
    let shards = config.shards.count() as u64;
    let span = Times { lead: span.lead + FILLING * (keys / shards) as u32, ..span };
    let (folder, every) = (Folder::create("checkpoint")?, Duration::from_secs(1));
    let every = every.min(span.measured / 10);
    let checkpoints = Checkpoints::in_directory(folder.path(), every)?;
    let engine = Engine::new(config)?.checkpoints(checkpoints);
    let setup = format!(
        "{} accounts, a checkpoint every {every:?}, CPUs {:?}",
        table::count(keys),
        engine.cpus()
    );
    let feed = Feed::due(args, rate, span);
    open_loop::sample(engine, setup, span, progress, move |p| {
        let then = feed.share((p.shard(), p.shards()), amount(keys / shards))?;
        build(p, keys / shards, then)
    })
}

/// Amounts a second that the shards make where nobody takes them.
pub fn alone(args: &BenchArgs, span: Times) -> Result<f64> {
    let config = beside_a_core(args)?;
    let args = BenchArgs { shards: Some(config.shards.count()), ..args.clone() };
    open_loop::made(&args, span, amount(KEYS.into()))
}

/// An amount for one of so many accounts, at random.
fn amount(keys: u64) -> impl FnMut(u64, Timestamp) -> (Timestamp, u64) + Clone + Send + 'static {
    move |index, at| (at, ((u128::from(mix(index)) * u128::from(keys)) >> 64) as u64)
}

/// Each shard has accounts of its own. Their sums go into bars.
fn build(
    p: Pipeline<'_>,
    keys: u64,
    then: impl Source<Out = (Timestamp, u64)> + 'static,
) -> crate::error::Result<()> {
    let source = Filled { left: keys, then, shard: p.shard() as u64 };
    sums(p.source(source))
        .key_by(|(account, _)| account % SYMBOLS)
        .window(Tumbling::of(Duration::from_millis(10)))
        .aggregate(sum(|(_, (_, sum)): &(u64, Amount)| *sum))
        .for_each(drop);
    Ok(())
}

/// Gives each account an amount, as fast as it can, and then goes on with a generator.
struct Filled<G> {
    left: u64,
    then: G,
    shard: u64,
}

impl<G: Source<Out = (Timestamp, u64)>> Source for Filled<G> {
    type Out = Amount;

    fn poll(
        &mut self,
        partition: usize,
        now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<Amount>),
    ) -> std::result::Result<Polled, IoError> {
        let name = |account: u64| account << 8 | self.shard;
        if self.left == 0 {
            let mut give = |record: Record<(Timestamp, u64)>| {
                emit(Record::new(record.at, (name(record.value.1), 1)));
            };
            return self.then.poll(partition, now, budget, &mut give);
        }
        for _ in 0..self.left.min(budget as u64) {
            self.left -= 1;
            emit(Record::new(Timestamp(0), (name(self.left), 1)));
        }
        Ok(Polled::open())
    }

    fn save(&self, out: &mut crate::dataflow::Saved) {
        out.put("filled", &self.left);
        self.then.save(out);
    }

    fn load(&mut self, from: &mut crate::dataflow::Saved) {
        from.take("filled", &mut self.left);
        self.then.load(from);
    }
}
