//! `journal`: records made durable, many and one at a time, beside raw writes to the same disk.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::gate::to_sink;
use super::trial::{failed, interrupted, on_core};
use super::{Measured, Scenario};
use crate::cli::args::BenchArgs;
use crate::cli::baseline::disk::Raw;
use crate::cli::failure::Result;
use crate::cli::folder::Folder;
use crate::cli::progress::Progress;
use crate::cli::report::Goal;
use crate::cli::{interrupt, run};
use crate::dataflow::{Pipeline, Plan};
use crate::disk::{self, DiskStorage};
use crate::error::{Error, IoError};
use crate::io::Generator;
use crate::io::journal::{Journal, Refused, Settings, Stats, Sync};
use crate::metrics::Latency;
use crate::runtime::Engine;
use crate::time::{Clock, SystemClock, us};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "journal",
    about: "durable records a second and the wait for one, beside raw writes to the same disk",
    takes: &[],
    plan,
    run,
};

/// What a record has.
const RECORD: usize = 64;

/// How many are appended between two polls: a batch.
const BATCH: usize = 256;

/// How much is written at once.
const BYTES: usize = 512 << 10;

/// How often the journal and raw writes take turns.
const ROUNDS: u32 = 6;

/// Segments are small here, so that after a second they are all written over and none is new.
const SEGMENT: u64 = 32 << 20;
const SEGMENTS: u64 = 4;

fn plan(args: &BenchArgs) -> Result<Plan> {
    Ok(Engine::new(args.config()?)?.plan(build)?)
}

/// The pipeline that such a journal feeds. What is measured is the journal alone.
fn build(p: Pipeline<'_>) -> crate::error::Result<()> {
    let records = Generator::flat_out(1e6, |index, _at| [index; RECORD / 8])?.count(1);
    p.source(records.share(p.shard(), p.shards())).for_each(drop);
    Ok(())
}

fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    let cpu = *Engine::new(args.config()?)?.cpus().last().unwrap_or(&0);
    let times = args.schedule();
    let folder = Folder::create(SCENARIO.name)?;
    let mut measured = Measured::new(SCENARIO.name);
    measured.noise(run::noise_floor(&[cpu], times.noise, progress));
    let third = times.measured / 3;
    let (path, warm_up) = (folder.path().to_owned(), times.warm_up);
    let failed = |error| IoError::new("make a file in", path.display().to_string(), error);
    let raw = Raw::create(&path.join("raw"), SEGMENT * SEGMENTS).map_err(failed)?;
    let bench = Bench { path, raw, cpu, warm_up, lasts: third };
    let settings = Settings { sync: Sync::Every(us(500)), ..settings() };
    progress.phase("journalled records and raw writes, in turn", None);
    let (ingest, raw) = bench.in_turn(settings)?;
    progress.phase("one record in flight", None);
    let alone = bench.alone()?;
    progress.phase("one raw write in flight", None);
    let dsync = bench.raw(|raw, lasts| raw.one_at_a_time(true, lasts / 4))?;
    let sync = bench.raw(|raw, lasts| raw.one_at_a_time(false, lasts / 4))?;
    progress.phase("one record through a gate", None);
    let [gated, open] = [bench.to_sink("gated", true)?, bench.to_sink("open", false)?];
    if interrupt::is_seen() {
        return Err(interrupted());
    }
    report(&mut measured, &ingest, raw);
    waits(&mut measured, &alone, &dsync, &sync);
    added(&mut measured, (&gated, &open), &dsync, &sync);
    measured.report.setup = format!("one thread on CPU {cpu}; {}", ingest.storage);
    measured.report.pace = "flat out, then closed loop".to_owned();
    measured.note(format!(
        "In {}, which TMPDIR chooses. Raw writes are the same records, nothing between them, past \
         the page cache, by threads that wait: {} in flight, of {} KiB, each durable.",
        folder.path().display(),
        settings.in_flight,
        BYTES >> 10
    ));
    Ok(measured)
}

fn settings() -> Settings {
    Settings {
        segment_bytes: SEGMENT,
        slot_bytes: BYTES,
        bytes_max: Some(SEGMENT * SEGMENTS),
        ..Settings::default()
    }
}

fn report(measured: &mut Measured, ingest: &Ingest, raw: f64) {
    let rate = ingest.records as f64 / ingest.lasted.as_secs_f64();
    let payload = rate * RECORD as f64;
    let written = ingest.bytes as f64 / ingest.lasted.as_secs_f64();
    measured.report.records_per_s = rate;
    measured.report.seconds = ingest.lasted.as_secs_f64();
    measured.lasted = ingest.lasted;
    measured.ratio("journal_vs_raw_writes", written / raw, Some(Goal::AtLeast(0.7)));
    // Of 80 bytes that a record takes, 64 are its own.
    measured.ratio("journal_records_vs_raw_writes", payload / raw, None);
    measured.note(format!(
        "{:.0} MB/s of records of {RECORD} bytes, {:.0} MB/s written with headers, {:.0} KiB a \
         write; raw {:.0} MB/s.",
        payload / 1e6,
        written / 1e6,
        ingest.bytes as f64 / ingest.groups.max(1) as f64 / 1024.0,
        raw / 1e6
    ));
}

fn waits(measured: &mut Measured, alone: &Latency, dsync: &Latency, sync: &Latency) {
    measured.results(alone);
    let raw = if dsync.at(0.5) < sync.at(0.5) { dsync } else { sync };
    let ratio = alone.at(0.5) as f64 / raw.at(0.5).max(1) as f64;
    measured.ratio("journal_wait_vs_raw_write", ratio, Some(Goal::AtMost(1.5)));
    let us = |latency: &Latency, quantile| latency.at(quantile) as f64 / 1e3;
    measured.note(format!(
        "Latency is from append to durable, one record in flight. Microseconds, p50 and p99: {:.0} \
         and {:.0}; a raw write of 4 KiB with O_DSYNC {:.0} and {:.0}, with fdatasync {:.0} and \
         {:.0}.",
        us(alone, 0.5),
        us(alone, 0.99),
        us(dsync, 0.5),
        us(dsync, 0.99),
        us(sync, 0.5),
        us(sync, 0.99)
    ));
}

/// What a gate adds to the way of a record to its sink, in the median.
fn added(
    measured: &mut Measured,
    (gated, open): (&Latency, &Latency),
    dsync: &Latency,
    sync: &Latency,
) {
    let raw = dsync.at(0.5).min(sync.at(0.5)).max(1);
    let added = gated.at(0.5).saturating_sub(open.at(0.5));
    measured.ratio("gate_adds_vs_raw_write", added as f64 / raw as f64, Some(Goal::AtMost(1.5)));
    measured.note(format!(
        "A sink sees a journalled record after {:.1} us, behind a gate that waits for the journal \
         after {:.1} us (p50, one in flight).",
        open.at(0.5) as f64 / 1e3,
        gated.at(0.5) as f64 / 1e3
    ));
}

/// Where and for how long is measured.
#[derive(Clone)]
struct Bench {
    path: PathBuf,
    raw: Raw,
    cpu: usize,
    warm_up: Duration,
    lasts: Duration,
}

/// What was journalled.
struct Ingest {
    storage: String,
    records: u64,
    bytes: u64,
    groups: u64,
    lasted: Duration,
}

impl Ingest {
    fn of(journal: &Journal<DiskStorage>) -> Self {
        let storage = journal.storage().to_string();
        Self { storage, records: 0, bytes: 0, groups: 0, lasted: Duration::ZERO }
    }

    fn add(&mut self, before: Stats, after: Stats, lasted: Duration) {
        self.records += after.records - before.records;
        self.bytes += after.bytes - before.bytes;
        self.groups += after.groups - before.groups;
        self.lasted += lasted;
    }
}

impl Bench {
    /// Runs something over a file as long as the journal.
    fn raw<T: Send + 'static>(
        &self,
        measure: impl FnOnce(&Raw, Duration) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (raw, lasts) = (self.raw.clone(), self.lasts);
        let done = on_core(self.cpu, move || measure(&raw, lasts))?;
        Ok(done.map_err(|error| IoError::new("write", self.path.display().to_string(), error))?)
    }

    /// Appends as fast as the journal takes it, and writes raw, by turns: a disk that others use
    /// too has its moods. Returns what was journalled, and the bytes a second of raw writes.
    fn in_turn(&self, settings: Settings) -> Result<(Ingest, f64)> {
        let bench = self.clone();
        on_core(self.cpu, move || {
            let clock = SystemClock::new();
            let mut journal = bench.open("many", settings)?;
            append_for(&mut journal, &clock, bench.warm_up)?;
            let mut ingest = Ingest::of(&journal);
            let (lasts, mut raw) = (bench.lasts / ROUNDS, 0.0);
            for _ in 0..ROUNDS {
                let written = bench.raw.stream::<RECORD>(BYTES, settings.in_flight, lasts);
                raw += written.map_err(|error| IoError::new("write", "raw", error))?;
                let (before, started) = (journal.stats(), Instant::now());
                append_for(&mut journal, &clock, lasts)?;
                while journal.durable() < journal.next() {
                    journal.poll(clock.now()).map_err(Error::from)?;
                }
                ingest.add(before, journal.stats(), started.elapsed());
            }
            Ok((ingest, raw / f64::from(ROUNDS)))
        })?
    }

    /// How long a record waits to be durable when there is no other.
    fn alone(&self) -> Result<Latency> {
        let bench = self.clone();
        on_core(self.cpu, move || {
            let (clock, mut latency) = (SystemClock::new(), Latency::new());
            let mut journal = bench.open("one", settings())?;
            let begun = clock.now();
            loop {
                let start = clock.now();
                if start.since(begun) > bench.lasts.as_nanos() as u64 / 2 {
                    return Ok(latency);
                }
                let Ok(sequence) = journal.append(start, &[7; RECORD]) else {
                    return Err(failed("a journal with one record in flight had no room"));
                };
                while journal.durable() <= sequence {
                    journal.poll(clock.now()).map_err(Error::from)?;
                }
                let now = clock.now();
                latency.record(now, now.since(start), 1);
            }
        })?
    }

    /// How long a record takes to a sink, with a gate or without.
    fn to_sink(&self, name: &str, gated: bool) -> Result<Latency> {
        let (path, lasts) = (self.path.join(name), self.lasts / 4);
        on_core(self.cpu, move || to_sink(&path, settings(), gated, lasts))?
    }

    fn open(&self, name: &str, settings: Settings) -> Result<Journal<DiskStorage>> {
        Ok(disk::open(self.path.join(name), settings, SystemClock::new().now())?.0)
    }
}

/// Appends a batch and polls, again and again.
fn append_for(
    journal: &mut Journal<DiskStorage>,
    clock: &SystemClock,
    lasts: Duration,
) -> Result<()> {
    let (started, mut number) = (clock.now(), 0u64);
    loop {
        let now = clock.now();
        if now.since(started) > lasts.as_nanos() as u64 {
            return Ok(());
        }
        for _ in 0..BATCH {
            match journal.append(now, [number; RECORD / 8].map(u64::to_le_bytes).as_flattened()) {
                Ok(_) => number += 1,
                Err(Refused::Full) => break,
                Err(refused) => return Err(failed(&format!("a record was refused: {refused:?}"))),
            }
        }
        journal.poll(now).map_err(Error::from)?;
    }
}
