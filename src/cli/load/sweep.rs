//! Latency against load: one measurement for each of several rates.

use std::str::FromStr;

use super::Probe;
use crate::cli::failure::Result;
use crate::cli::values;

/// Rates of a sweep, evenly from one to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sweep {
    from: f64,
    to: f64,
    points: u32,
}

/// Rates unless the flag says so.
const POINTS: u32 = 8;

impl Sweep {
    /// The rates, ascending; both ends are among them.
    pub fn rates(self) -> Vec<f64> {
        let step = (self.to - self.from) / f64::from(self.points - 1);
        (0..self.points).map(|at| self.from + step * f64::from(at)).collect()
    }

    /// How many rates.
    pub fn points(self) -> u32 {
        self.points
    }

    /// Probes all rates, `repeat` times each: every time in another order, so that a host whose
    /// mood changes does not bend the curve. Ends early when there is nothing from a probe.
    ///
    /// # Errors
    /// Those of a probe.
    pub fn run(
        self,
        seed: u64,
        repeat: u32,
        mut probe: impl FnMut(f64) -> Result<Option<Probe>>,
    ) -> Result<Vec<Probe>> {
        let rates = self.rates();
        let mut found: Vec<Vec<Probe>> = vec![Vec::new(); rates.len()];
        let mut chance = fastrand::Rng::with_seed(seed);
        'all: for _ in 0..repeat {
            let mut order: Vec<usize> = (0..rates.len()).collect();
            chance.shuffle(&mut order);
            for at in order {
                match probe(rates[at])? {
                    Some(probe) => found[at].push(probe),
                    None => break 'all,
                }
            }
        }
        Ok(found.into_iter().filter_map(Probe::of_repeats).collect())
    }
}

impl FromStr for Sweep {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (range, points) = match text.split_once('/') {
            Some((range, points)) => (range, points.trim().parse().ok()),
            None => (text, Some(POINTS)),
        };
        let Some((from, to)) = range.split_once("..") else {
            return Err("a sweep is two rates and how many: 100k..2M/8".to_owned());
        };
        let rate = |text: &str| {
            let text = text.trim();
            values::rate(text).map_err(|error| format!("`{text}` is no rate: {error}"))
        };
        let (from, to) = (rate(from)?, rate(to)?);
        if from >= to {
            return Err("a sweep goes from a rate up to a higher one".to_owned());
        }
        match points {
            Some(points @ 2..=100) => Ok(Self { from, to, points }),
            _ => Err("a sweep has from 2 to 100 rates".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::report::LatencyNs;

    #[test]
    fn sweeps_are_read() {
        let sweep: Sweep = "100k..500k/5".parse().unwrap();
        assert_eq!(sweep.rates(), [100e3, 200e3, 300e3, 400e3, 500e3]);
        assert_eq!("1 .. 2".parse::<Sweep>().unwrap().points(), POINTS);
        for (text, word) in [
            ("100k", "two rates"),
            ("2M..1M/4", "up to a higher one"),
            ("1M..1M", "up to a higher one"),
            ("x..1M/4", "`x` is no rate"),
            ("1k..0/4", "`0` is no rate"),
            ("1k..2k/1", "from 2 to 100"),
            ("1k..2k/x", "from 2 to 100"),
            ("1k..2k/1000", "from 2 to 100"),
        ] {
            let error = text.parse::<Sweep>().unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn rates_come_in_any_order_and_are_reported_in_theirs() {
        let sweep: Sweep = "1..6/6".parse().unwrap();
        let mut asked = Vec::new();
        let found = sweep.run(3, 3, |rate| {
            asked.push(rate);
            let latency_ns =
                LatencyNs { p50: asked.len() as u64, samples: 1, ..Default::default() };
            Ok(Some(Probe { offered_per_s: rate, latency_ns, kept_up: true, ..Probe::default() }))
        });
        let found = found.unwrap();
        assert!(asked.len() == 18 && !asked[..6].is_sorted(), "{asked:?}");
        let rates: Vec<f64> = found.iter().map(|probe| probe.offered_per_s).collect();
        assert_eq!(rates, sweep.rates());
        assert!(found.iter().all(|probe| probe.runs == 3));
        // The median is that of the second round.
        assert!(found.iter().all(|probe| (7..=12).contains(&probe.latency_ns.p50)));
    }

    #[test]
    fn what_is_interrupted_reports_what_there_is() {
        let mut left = 2;
        let found = "1..6/6".parse::<Sweep>().unwrap().run(1, 1, |rate| {
            left -= 1;
            Ok((left >= 0).then(|| Probe { offered_per_s: rate, ..Probe::default() }))
        });
        assert_eq!(found.unwrap().len(), 2);
    }
}
