//! Runs a pipeline again, one record at a time.

use std::time::Duration;

use crate::checkpoint::ShardState;
use crate::config::Config;
use crate::dataflow::{Ask, Gave, Pipeline, Plan};
use crate::error::{ConfigError, Result};
use crate::metrics::Counters;
use crate::shard::{Lockstep, Snapshot};
use crate::sim::rerun::{At, Digest, OutputLog};
use crate::sim::world;
use crate::time::{ManualClock, Timestamp, ms};

/// Runs a pipeline again over what has been, in virtual time: the same journal, config and
/// checkpoint give the same log to the byte and the same state, on any number of runs, and on
/// another number of shards the same results of each record.
///
/// All shards run on the caller's thread. One record is given, and the next one when nothing is
/// left to do; its own timestamp is the time of the step. So every result is known by the record
/// that it came of, and two builds can be [compared](crate::sim::compare) result by result.
///
/// The pipeline is the user's own, with the journal as its source and a
/// [sink of the log](OutputLog::sink) in the place of its sinks.
///
/// ```
/// use millstream::io::journal::{Journal, JournalSource, Settings};
/// use millstream::io::{Source, codec};
/// use millstream::sim::{OutputLog, Rerun, SimDisk};
/// use millstream::{Pipeline, Result, Timestamp, Tumbling, aggregates::count, ns};
///
/// // What runs live, and is run again.
/// fn build(p: Pipeline<'_>, digits: impl Source<Out = u8>, log: &OutputLog) {
///     p.source(digits)
///         .key_by(|digit| digit % 2)
///         .window(Tumbling::of(ns(10)))
///         .aggregate(count())
///         .sink(log.sink(|window, text| *text = format!("{:?}", window.value)));
/// }
/// # fn main() -> Result<()> {
/// # let settings = Settings { segment_bytes: 1 << 20, slot_bytes: 8192, ..Settings::default() };
/// # let mut disk = SimDisk::new(7);
/// # let storage = disk.storage(&settings);
/// # let (mut journal, _) = Journal::open(&mut disk, storage, settings, 1, Timestamp(0))?;
/// # for n in 0..100u8 {
/// #     journal.append(Timestamp(n.into()), &[n]).unwrap();
/// #     journal.poll(Timestamp(0))?;
/// # }
/// # journal.close(&mut disk)?;
/// let digits = || {
///     codec(
///         1,
///         |digit: &u8, into: &mut Vec<u8>| into.push(*digit),
///         |bytes: &[u8]| bytes.first().copied().ok_or("no byte".into()),
///     )
/// };
/// let run = |shards| {
///     let log = OutputLog::in_memory();
///     let reran = Rerun::new(shards).until(57).run(&log, |p| {
///         let first = p.shard() == 0;
///         let journal = first.then(|| JournalSource::open(disk.clone(), digits())).transpose()?;
///         build(p, journal, &log);
///         Ok(())
///     })?;
///     assert_eq!((reran.records, reran.last, reran.results), (58, Some(57), 10));
///     Ok::<_, millstream::Error>((log.text(), reran.state))
/// };
/// assert_eq!(run(2)?, run(2)?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Rerun {
    config: Config,
    until: Option<u64>,
    from: Option<Vec<Snapshot>>,
    state_every: Option<u64>,
}

/// What a rerun came to.
pub struct Reran {
    /// How many records were given.
    pub records: u64,
    /// Where the last one stands in its input.
    pub last: Option<u64>,
    /// How many results the log has.
    pub results: u64,
    /// The digest of all results.
    pub output: Digest,
    /// The digest of all that the shards hold, if there can be a snapshot of them.
    pub state: Option<Digest>,
    /// Counters summed over the shards.
    pub counters: Counters,
    /// What the shards hold, to go on from.
    pub snapshots: Result<Vec<Snapshot>>,
    /// The drawing of the pipeline.
    pub plan: Plan,
}

/// Where no source has a record and some have not ended, so much time goes by before they are asked
/// again; and after how often there is nothing more to wait for.
const WAIT: Duration = ms(1);
const WAITS_MAX: u32 = 10_000;

/// After so many turns of all shards for one record they count as stuck.
const ROUNDS_MAX: u64 = 10_000_000;

impl Rerun {
    /// On so many shards.
    pub fn new(shards: usize) -> Self {
        Self::with_config(Config::simulation(shards))
    }

    /// With this config; its seed of hashes must be that of the checkpoint, if there is one.
    pub fn with_config(config: Config) -> Self {
        Self { config, until: None, from: None, state_every: None }
    }

    /// Stops behind the record that stands at this position in its input: in a journal, the record
    /// of this sequence. Windows stay open then, as they were at that moment. Otherwise it runs to
    /// the end of the input, which closes them.
    pub fn until(self, position: u64) -> Self {
        Self { until: Some(position), ..self }
    }

    /// Goes on from a checkpoint: what each shard held. One of a live pipeline will do, where the
    /// source was [`Journalled`](crate::io::journal::Journalled) and is the journal now; sinks
    /// of the log stand [instead of](crate::sim::LogSink::instead_of) its sinks.
    pub fn from(self, snapshots: Vec<Snapshot>) -> Self {
        Self { from: Some(snapshots), ..self }
    }

    /// Puts a digest of all that the shards hold into the log every so many records. It takes as
    /// long as there is state, and shows where two builds part long before their results do.
    pub fn state_every(self, records: u64) -> Self {
        Self { state_every: Some(records.max(1)), ..self }
    }

    /// Runs it, and writes what comes of it to the log.
    ///
    /// # Errors
    /// What building returned, a checkpoint of something else, what stopped a shard: damage in the
    /// journal, after all that comes of the records before it.
    pub fn run(
        &self,
        log: &OutputLog,
        build_pipeline: impl Fn(Pipeline<'_>) -> Result<()>,
    ) -> Result<Reran> {
        self.config.check()?;
        let clock = ManualClock::default();
        let mut shards = world::shards(&self.config, &clock, &build_pipeline)?;
        let mut now = Timestamp(0);
        if let Some(snapshots) = &self.from {
            self.check(snapshots)?;
            for (shard, snapshot) in shards.iter_mut().zip(snapshots) {
                shard.restore(snapshot)?;
                now = now.max(snapshot.now());
            }
        }
        let ask = Ask { until: self.until, at_its_time: true, ..Ask::default() };
        let lockstep = Lockstep::new(shards).asking(ask);
        log.begin(self.config.shards.count())?;
        let mut course = Course { lockstep, clock, now, log, records: 0, last: None };
        let done = course.run(self.state_every);
        // What came of the records before is of use in any case.
        log.flush()?;
        done?;
        course.finish()
    }

    fn check(&self, snapshots: &[Snapshot]) -> Result<(), ConfigError> {
        let (count, taken) = (self.config.shards.count(), snapshots.len());
        if count != taken {
            let reason = format!("the checkpoint was taken of {taken}");
            return Err(ConfigError::setting("shards", count, reason));
        }
        Ok(())
    }
}

/// A rerun under way.
struct Course<'a> {
    lockstep: Lockstep,
    clock: ManualClock,
    now: Timestamp,
    log: &'a OutputLog,
    records: u64,
    last: Option<u64>,
}

impl Course<'_> {
    fn run(&mut self, state_every: Option<u64>) -> Result<()> {
        self.clock.set(self.now);
        self.lockstep.begin(self.now)?;
        self.settle()?;
        let mut waited = 0;
        loop {
            match self.lockstep.give(self.now)? {
                Gave::Something => waited = 0,
                Gave::Nothing if waited < WAITS_MAX => {
                    (waited, self.now) = (waited + 1, self.now + WAIT);
                    self.clock.set(self.now);
                    self.settle()?;
                    self.seal(None)?;
                    continue;
                }
                _ => return Ok(()),
            }
            self.now = self.lockstep.now();
            self.clock.set(self.now);
            let position = self.lockstep.record().map(|place| place.given.position);
            self.settle()?;
            self.lockstep.tell(self.now)?;
            self.settle()?;
            let at = self.seal(position)?;
            if position.is_some() && state_every.is_some_and(|it| self.records.is_multiple_of(it)) {
                self.log.state(at, digest(&self.snapshots()?))?;
            }
        }
    }

    /// What was done since is the doing of this record; without one, of the one before or of the
    /// end of the input.
    fn seal(&mut self, position: Option<u64>) -> Result<At> {
        if let Some(position) = position {
            (self.records, self.last) = (self.records + 1, Some(position));
        }
        let has_ended = position.is_none() && self.lockstep.has_ended();
        let at = if has_ended { At::End } else { At::Record(self.last.unwrap_or(0)) };
        self.log.seal(at)?;
        Ok(at)
    }

    /// Steps until there is nothing to do.
    fn settle(&mut self) -> Result<()> {
        for _ in 0..ROUNDS_MAX {
            if self.lockstep.round(self.now)?.is_none() {
                return Ok(());
            }
        }
        let after = self.last.map_or("at the beginning".to_owned(), |at| format!("behind {at}"));
        Err(ConfigError::Pipeline(format!("it never comes to rest, {after}")).into())
    }

    fn snapshots(&self) -> Result<Vec<Snapshot>> {
        self.lockstep.shards().iter().map(|shard| shard.snapshot()).collect()
    }

    fn finish(self) -> Result<Reran> {
        let snapshots = self.snapshots();
        let state = snapshots.as_ref().ok().map(|snapshots| digest(snapshots));
        let (results, output) = self.log.finish(state)?;
        let Self { records, last, .. } = self;
        let shards = self.lockstep.shards();
        let counters = shards.iter().map(|shard| shard.counters().snapshot()).sum();
        let plan = shards[0].plan().clone();
        Ok(Reran { records, last, results, output, state, counters, snapshots, plan })
    }
}

/// The digest of all that shards hold.
fn digest(snapshots: &[Snapshot]) -> Digest {
    let mut digest = Digest::default();
    for snapshot in snapshots {
        let state = ShardState::from(snapshot.clone());
        for stage in &state.stages {
            digest.add(&(stage.bytes().len() as u64).to_le_bytes());
            digest.add(stage.bytes());
        }
    }
    digest
}
