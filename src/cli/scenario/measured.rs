//! What one run of a scenario found.

use std::time::{Duration, SystemTime};

use crate::cli::html::{CLOSED_LOOP, NOISE_FLOOR, OPEN_LOOP, Plots};
use crate::cli::noise::{CoreNoise, Noise};
use crate::cli::report::{Goal, Piece, Report, StageUnits, Step};
use crate::cli::run::Ran;
use crate::metrics::{Breakdown, Latency};
use crate::shard::{StageWork, WorstStep};

/// What one run found: the report, and the distributions behind its percentiles.
pub struct Measured {
    /// The numbers.
    pub report: Report,
    /// The drawings.
    pub plots: Plots,
    /// Whole distributions by tag, for the log.
    pub latencies: Vec<(&'static str, Latency)>,
    /// When it began.
    pub started: SystemTime,
    /// How long was measured.
    pub lasted: Duration,
    /// The noise floor of each core.
    cores: Vec<CoreNoise>,
}

/// Where the time went, without the distributions behind it: those take megabytes.
pub struct Pieces {
    all: Vec<Piece>,
    /// Records and results of which it is not known.
    unknown: u64,
}

impl Pieces {
    /// What a report has of it.
    pub fn of(Breakdown { records, results, unknown }: &Breakdown) -> Self {
        let of_records = Breakdown::RECORDS.iter().zip(records).map(|it| ("records", it));
        let of_results = Breakdown::RESULTS.iter().zip(results).map(|it| ("results", it));
        let piece = |(of, (span, latency)): (&str, (&&str, &Latency))| Piece {
            of: of.to_owned(),
            span: (*span).to_owned(),
            latency_ns: latency.percentiles().into(),
        };
        let all = of_records.chain(of_results).filter(|(_, (_, it))| it.samples() > 0);
        Self { all: all.map(piece).collect(), unknown: *unknown }
    }
}

impl Measured {
    /// Nothing yet, of a scenario of this name.
    pub fn new(scenario: &str) -> Self {
        Self {
            report: Report::new(scenario),
            plots: Plots::default(),
            latencies: Vec::new(),
            started: SystemTime::now(),
            lasted: Duration::ZERO,
            cores: Vec::new(),
        }
    }

    /// Takes in the noise floor.
    pub fn noise(&mut self, noise: Noise) {
        self.report.noise_floor = Some(noise.latency.percentiles().into());
        self.plots = std::mem::take(&mut self.plots).curve(NOISE_FLOOR, &noise.latency);
        self.latencies.push(("noise_floor", noise.latency));
        self.cores = noise.cores;
    }

    /// Takes in what an engine's run came to.
    pub fn ran(&mut self, ran: &Ran) {
        self.rates(ran);
        let latencies = &ran.summary.latencies;
        if latencies.to_state.samples() > 0 {
            self.records(&latencies.to_state);
        }
        if latencies.to_sink.samples() > 0 {
            self.results(&latencies.to_sink);
        }
    }

    /// Takes in what a run came to, but for its latencies.
    pub fn rates(&mut self, ran: &Ran) {
        let report = &mut self.report;
        report.records_per_s = ran.records_per_s;
        report.seconds = ran.seconds;
        report.counters = ran.counters;
        report.allocations_per_step = ran.allocations_per_step;
        report.disturbance = report.disturbance + ran.disturbance;
        self.lasted = Duration::from_secs_f64(ran.seconds);
        self.steps(ran.summary.worst_step.clone(), &ran.summary.stage_work);
        if let Some(breakdown) = &ran.summary.latencies.breakdown {
            self.pieces(Pieces::of(breakdown));
        }
        if ran.was_interrupted {
            let done = ran.seconds;
            self.note(format!("Stopped by Ctrl-C after {done:.1} s: this is what there was."));
        }
    }

    /// Takes in where the time went.
    pub fn pieces(&mut self, Pieces { all, unknown }: Pieces) {
        self.report.breakdown = all;
        if unknown > 0 {
            self.note(format!(
                "Where the time of {unknown} records and results went is not known: an operator \
                 held them back."
            ));
        }
    }

    /// Takes in the worst step, beside what an empty loop saw on its core, and the most work of
    /// each stage. The noise floor comes first.
    pub fn steps(&mut self, worst: Option<WorstStep>, stages: &[StageWork]) {
        self.report.worst_step = worst.map(|WorstStep { ns, work, stage, cpu }| {
            let core = self.cores.iter().find(|core| Some(core.cpu) == cpu);
            let stall_ns = core.map(|core| core.percentiles.max);
            Step { ns, work: work.0, stage, cpu, stall_ns }
        });
        let units = |of: &StageWork| StageUnits { stage: of.stage.clone(), work: of.most.0 };
        self.report.stage_work = stages.iter().map(units).collect();
    }

    /// Takes in the latency of records.
    pub fn records(&mut self, latency: &Latency) {
        self.report.record_latency_ns = Some(latency.percentiles().into());
        self.keep("records", latency);
    }

    /// Takes in the latency of results: what the scenario is about.
    pub fn results(&mut self, latency: &Latency) {
        self.report.latency_ns = Some(latency.percentiles().into());
        self.keep("results", latency);
    }

    /// Takes in a latency that stands beside the others.
    pub fn beside(&mut self, name: &str, latency: &Latency) {
        self.report.beside_ns.insert(name.to_owned(), latency.percentiles().into());
    }

    /// Takes in the latency of records as an open loop saw it, with what a closed loop saw beside
    /// it: in one chart by percentile, and in a chart each over time.
    pub fn two_loops(&mut self, open: &Latency, closed: &Latency) {
        self.report.record_latency_ns = Some(open.percentiles().into());
        self.report.beside_ns.insert(CLOSED_LOOP.to_owned(), closed.percentiles().into());
        let plots = std::mem::take(&mut self.plots);
        let plots = plots.curve(CLOSED_LOOP, closed).curve(OPEN_LOOP, open);
        self.plots = plots.over_time(OPEN_LOOP, open).and_over_time(CLOSED_LOOP, closed);
        self.latencies.extend([("records", open.clone()), ("closed_loop", closed.clone())]);
    }

    fn keep(&mut self, name: &'static str, latency: &Latency) {
        let plots = std::mem::take(&mut self.plots);
        self.plots = plots.curve(name, latency).over_time(name, latency);
        self.latencies.push((name, latency.clone()));
    }

    /// Adds a ratio under a name that stays, and what it ought to be.
    pub fn ratio(&mut self, name: &str, value: f64, goal: Option<Goal>) {
        self.report.ratios.insert(name.to_owned(), value);
        if let Some(goal) = goal {
            self.report.goals.insert(name.to_owned(), goal);
        }
    }

    /// Adds what a reader must know beside the numbers.
    pub fn note(&mut self, text: impl Into<String>) {
        self.report.notes.push(text.into());
    }
}
