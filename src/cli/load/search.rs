//! The highest rate that holds an objective, by bisection.

use serde::{Serialize, Serializer};

use super::{Limit, Probe, Slo};
use crate::cli::failure::Result;

/// The boundary is found to within this factor.
const CLOSE: f64 = 1.05;
/// Where nothing holds at this share of the first rate, nothing is looked for any more.
const LOWEST: f64 = 1.0 / 1024.0;
/// Runs of each side of the boundary, the one that found it included.
const RUNS: usize = 3;
/// How far down the search goes where a rate does not hold again.
const BACK: f64 = 0.9;
/// How often it goes down.
const BACK_MAX: usize = 5;

/// What was found.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Found {
    /// The objective.
    #[serde(serialize_with = "as_text")]
    pub slo: Slo,
    /// Every probe, in the order in which it was made.
    pub probes: Vec<Probe>,
    /// What the generator makes in a second by itself; more is not asked for.
    pub generator_per_s: f64,
    /// The highest rate that held the objective; nothing if none did.
    pub highest: Option<Boundary>,
    /// The lowest rate above it that did not; nothing if there is no such rate.
    pub next: Option<Boundary>,
    /// What keeps it from being higher; nothing if nothing was found.
    pub limited_by: Option<Limit>,
}

/// A rate at the boundary, and how often it held.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Boundary {
    /// Records a second.
    pub per_s: f64,
    /// In so many runs the objective was held.
    pub held: usize,
    /// Of so many.
    pub runs: usize,
}

fn as_text<S: Serializer>(slo: &Slo, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.collect_str(slo)
}

/// Looks for the highest rate that holds `slo`, from `first` on: up by doubling, or down by
/// halving, then by bisection, and then both sides of the boundary again. Ends with what it has
/// when there is nothing from a probe.
///
/// # Errors
/// Those of a probe.
pub fn search(
    slo: Slo,
    first: f64,
    generator_per_s: f64,
    probe: impl FnMut(f64) -> Result<Option<Probe>>,
) -> Result<Found> {
    let mut search = Search { slo, generator_per_s, probes: Vec::new(), probe };
    let bounds = search.bracket(first.min(generator_per_s))?;
    let bounds = match bounds {
        Bounds { low: Some(low), high: Some(high) } => search.bisect(low, high)?,
        bounds => bounds,
    };
    let Bounds { low, high } = search.confirm(bounds)?;
    let boundary = |per_s| search.boundary(per_s);
    let (highest, next) = (low.map(boundary), high.map(boundary));
    let limited_by = highest.and_then(|_| search.limit(high));
    let Search { probes, .. } = search;
    Ok(Found { slo, probes, generator_per_s, highest, next, limited_by })
}

/// The highest rate known to hold, and the lowest known not to.
#[derive(Clone, Copy)]
struct Bounds {
    low: Option<f64>,
    high: Option<f64>,
}

struct Search<P> {
    slo: Slo,
    generator_per_s: f64,
    probes: Vec<Probe>,
    probe: P,
}

impl<P: FnMut(f64) -> Result<Option<Probe>>> Search<P> {
    /// Whether a rate holds; nothing when there is nothing more to learn.
    fn holds(&mut self, rate: f64) -> Result<Option<bool>> {
        let Some(probe) = (self.probe)(rate)? else { return Ok(None) };
        let probe = probe.limited(self.generator_per_s).judged(self.slo);
        let held = probe.held;
        self.probes.push(probe);
        Ok(held)
    }

    fn bracket(&mut self, first: f64) -> Result<Bounds> {
        let mut rate = first;
        let mut bounds = Bounds { low: None, high: None };
        loop {
            match self.holds(rate)? {
                Some(true) => bounds.low = Some(rate),
                Some(false) => bounds.high = Some(rate),
                None => return Ok(bounds),
            }
            rate = match bounds {
                Bounds { low: Some(_), high: Some(_) } => return Ok(bounds),
                // More than the generator makes is not asked for: nothing would be learnt.
                Bounds { low: Some(low), .. } if low >= self.generator_per_s => return Ok(bounds),
                Bounds { low: Some(low), .. } => (low * 2.0).min(self.generator_per_s),
                _ if rate <= first * LOWEST => return Ok(bounds),
                _ => rate / 2.0,
            };
        }
    }

    fn bisect(&mut self, mut low: f64, mut high: f64) -> Result<Bounds> {
        while high / low > CLOSE {
            let middle = (low * high).sqrt();
            match self.holds(middle)? {
                Some(true) => low = middle,
                Some(false) => high = middle,
                None => break,
            }
        }
        Ok(Bounds { low: Some(low), high: Some(high) })
    }

    /// Probes both sides of the boundary again. What does not hold in most runs is the new upper
    /// side; a rate that has not run says nothing.
    fn confirm(&mut self, mut bounds: Bounds) -> Result<Bounds> {
        for _ in 0..=BACK_MAX {
            let Some(low) = bounds.low else { return Ok(bounds) };
            let has_run = self.again(low)?;
            let found = self.boundary(low);
            if found.is_held() {
                if let Some(high) = bounds.high.filter(|_| has_run) {
                    self.again(high)?;
                }
                return Ok(bounds);
            }
            if found.runs > 0 {
                bounds = Bounds { low: Some(low * BACK), high: Some(low) };
            }
            if !has_run {
                break;
            }
        }
        Ok(Bounds { low: None, ..bounds })
    }

    /// Runs a rate until it has run often enough; returns whether it has.
    fn again(&mut self, rate: f64) -> Result<bool> {
        while self.boundary(rate).runs < RUNS {
            if self.holds(rate)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn boundary(&self, per_s: f64) -> Boundary {
        let of_rate = self.probes.iter().filter(|probe| probe.offered_per_s == per_s);
        let held = of_rate.clone().filter(|probe| probe.held == Some(true)).count();
        Boundary { per_s, held, runs: of_rate.count() }
    }

    /// What most of the failed runs above the boundary failed by.
    fn limit(&self, high: Option<f64>) -> Option<Limit> {
        let Some(high) = high else {
            let at_end = |probe: &Probe| probe.offered_per_s >= self.generator_per_s;
            return self.probes.iter().any(at_end).then_some(Limit::Generator);
        };
        let failed = self
            .probes
            .iter()
            .filter(|probe| probe.offered_per_s == high && probe.held == Some(false));
        let limits = failed.map(|probe| probe.limited_by.unwrap_or(Limit::Slo));
        let count = |limit| limits.clone().filter(|other| *other == limit).count();
        [Limit::Slo, Limit::Pipeline, Limit::Generator]
            .into_iter()
            .filter(|limit| count(*limit) > 0)
            .max_by_key(|limit| count(*limit))
    }
}

impl Boundary {
    /// Whether most runs held.
    pub fn is_held(self) -> bool {
        2 * self.held > self.runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::report::LatencyNs;

    /// A host whose p99 is 10 us up to `knee`, and which falls behind from `capacity` on.
    fn host(knee: f64, capacity: f64) -> impl FnMut(f64) -> Result<Option<Probe>> {
        move |rate| Ok(Some(at(rate, if rate <= knee { 10_000 } else { 900_000 }, capacity)))
    }

    fn at(rate: f64, p99: u64, capacity: f64) -> Probe {
        let latency_ns = LatencyNs { p99, samples: 1_000_000, ..LatencyNs::default() };
        let (achieved_per_s, kept_up) = (rate.min(capacity), rate <= capacity);
        Probe { offered_per_s: rate, achieved_per_s, kept_up, latency_ns, ..Probe::default() }
    }

    fn slo() -> Slo {
        "p99<100us".parse().unwrap()
    }

    #[test]
    fn finds_the_knee_from_below_and_from_above() {
        for first in [1e3, 1e5, 1e6, 1e7] {
            let found = search(slo(), first, 1e9, host(777_000.0, 5e6)).unwrap();
            let (highest, next) = (found.highest.unwrap(), found.next.unwrap());
            assert!(highest.per_s <= 777_000.0 && next.per_s > 777_000.0, "{found:?}");
            assert!(next.per_s / highest.per_s <= CLOSE);
            assert_eq!((highest.held, highest.runs, next.held, next.runs), (3, 3, 0, 3));
            assert_eq!(found.limited_by, Some(Limit::Slo));
            assert!(found.probes.len() < 26, "{}", found.probes.len());
        }
    }

    #[test]
    fn says_what_limits() {
        let found = search(slo(), 1e5, 1e9, host(f64::MAX, 2e6)).unwrap();
        assert_eq!(found.limited_by, Some(Limit::Pipeline));
        let found = search(slo(), 1e5, 3e6, host(f64::MAX, f64::MAX)).unwrap();
        assert_eq!((found.limited_by, found.next), (Some(Limit::Generator), None));
        assert_eq!(found.highest.unwrap().per_s, 3e6, "as much as it makes");
        // More than the generator makes is not even asked for.
        let found = search(slo(), 1e12, 3e6, host(f64::MAX, 2.9e6)).unwrap();
        assert_eq!(found.limited_by, Some(Limit::Generator));
        assert!(found.probes.iter().all(|probe| probe.offered_per_s <= 3e6));
    }

    #[test]
    fn where_nothing_holds_it_says_so() {
        let found = search(slo(), 1e6, 1e9, host(1.0, 1e9)).unwrap();
        assert_eq!((found.highest, found.limited_by), (None, None));
        assert!(found.next.unwrap().per_s <= 1e6 * LOWEST);
    }

    #[test]
    fn what_held_by_luck_is_found_out() {
        // Between 500 k and a million a second one run in three holds, by its number.
        let mut runs = 0;
        let found = search(slo(), 1e5, 1e9, |rate| {
            runs += 1;
            let lucky = rate <= 500e3 || rate < 1e6 && runs % 3 == 0;
            Ok(Some(at(rate, if lucky { 10_000 } else { 900_000 }, 1e9)))
        });
        let found = found.unwrap();
        let highest = found.highest.unwrap();
        assert!(highest.is_held() && highest.runs >= RUNS, "{found:?}");
        assert!(highest.per_s < 600e3, "{highest:?}");
    }

    #[test]
    fn what_is_tried_last_counts() {
        // A million held once by luck; what always holds comes after the last step down but one.
        for (steps, holds) in [(BACK_MAX, true), (BACK_MAX + 1, false)] {
            let knee = 1e6 * BACK.powi(steps as i32) * 1.001;
            let mut runs = 0;
            let found = search(slo(), 1e6, 1e9, |rate| {
                runs += 1;
                let held = rate <= knee || runs == 1;
                Ok(Some(at(rate, if held { 10_000 } else { 900_000 }, 1e9)))
            });
            let found = found.unwrap();
            assert_eq!(found.highest.map(|at| (at.held, at.runs)), holds.then_some((3, 3)));
            let next = found.next.unwrap();
            assert!(next.held == 0 || next.per_s == 1e6, "{next:?}");
            assert_eq!(next.runs, 3, "{next:?}");
        }
    }

    #[test]
    fn what_is_interrupted_reports_what_there_is() {
        for most in 0..8 {
            let mut left = most;
            let mut host = host(777_000.0, 5e6);
            let found = search(slo(), 1e5, 1e9, |rate| {
                left -= 1;
                if left < 0 { Ok(None) } else { host(rate) }
            });
            let found = found.unwrap();
            assert_eq!(found.probes.len(), most as usize);
            assert!(most < 1 || found.highest.is_some());
        }
    }
}
