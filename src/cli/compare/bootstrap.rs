//! How far two lots of runs are apart: by the bootstrap (Efron, 1979).
//!
//! What is drawn again and again are whole runs: samples within a run know of each other, and ten
//! million of them are no ten million witnesses.

/// How often runs are drawn.
const DRAWS: usize = 5_000;

/// The ratio of two medians, and between which values it lies.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Interval {
    /// Median of the second over that of the first.
    pub ratio: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// How far apart the medians of two lots of runs are, with a chance of `error` that the interval
/// misses. Values are above zero. The same seed gives the same interval.
pub fn ratio_of_medians(first: &[f64], second: &[f64], error: f64, seed: u64) -> Option<Interval> {
    let (mut first, mut second) = (Lot::new(first)?, Lot::new(second)?);
    let mut chance = fastrand::Rng::with_seed(seed);
    let ratio = second.median() / first.median();
    let mut draw = || second.draw(&mut chance) / first.draw(&mut chance);
    let mut ratios: Vec<f64> = (0..DRAWS).map(|_| draw()).collect();
    ratios.sort_by(f64::total_cmp);
    let left_out = (DRAWS as f64 * error / 2.0).floor() as usize;
    let (low, high) = (ratios[left_out], ratios[DRAWS - 1 - left_out]);
    (ratio.is_finite() && high.is_finite()).then_some(Interval { ratio, low, high })
}

/// Values in order, and how often each was drawn.
struct Lot {
    sorted: Vec<f64>,
    times: Vec<usize>,
}

impl Lot {
    fn new(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let times = vec![1; sorted.len()];
        (!sorted.is_empty()).then_some(Self { sorted, times })
    }

    /// The median of as many as there are, drawn from them.
    fn draw(&mut self, chance: &mut fastrand::Rng) -> f64 {
        let count = self.times.len();
        self.times.fill(0);
        (0..count).for_each(|_| self.times[chance.usize(..count)] += 1);
        self.median()
    }

    /// The median of what was drawn; of an even number, the mean of the two in the middle.
    fn median(&self) -> f64 {
        let count = self.times.len();
        let at = |place: usize| {
            let mut seen = 0;
            let reaches = |(_, times): &(&f64, &usize)| {
                seen += **times;
                seen > place
            };
            self.sorted.iter().zip(&self.times).find(reaches).map_or(f64::NAN, |it| *it.0)
        };
        (at((count - 1) / 2) + at(count / 2)) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_hold_what_they_should() {
        let first: Vec<f64> = (0..20).map(|at| 100.0 + f64::from(at)).collect();
        let second: Vec<f64> = first.iter().map(|value| value * 1.5).collect();
        let found = ratio_of_medians(&first, &second, 0.01, 1).unwrap();
        assert!((found.ratio - 1.5).abs() < 1e-9, "{found:?}");
        assert!(found.low < 1.5 && found.high > 1.5 && found.low > 1.3 && found.high < 1.7);
        assert_eq!(ratio_of_medians(&first, &second, 0.01, 1), Some(found), "the seed is all");
        let narrower = ratio_of_medians(&first, &second, 0.2, 1).unwrap();
        assert!(narrower.low >= found.low && narrower.high <= found.high);
        let equal = ratio_of_medians(&[5.0; 8], &[5.0; 8], 0.01, 1).unwrap();
        assert_eq!((equal.ratio, equal.low, equal.high), (1.0, 1.0, 1.0));
        assert_eq!(ratio_of_medians(&[], &[1.0], 0.01, 1), None);
        assert_eq!(ratio_of_medians(&[0.0], &[1.0], 0.01, 1), None, "infinite");
    }

    /// The interval of the ratio of two samples of one distribution holds 1 about as often as it
    /// says.
    #[test]
    fn intervals_are_as_sure_as_they_say() {
        let mut chance = fastrand::Rng::with_seed(11);
        let mut normal = || (0..12).map(|_| chance.f64()).sum::<f64>() - 6.0;
        let mut missed = 0;
        for pair in 0..200 {
            let mut runs = || -> Vec<f64> { (0..12).map(|_| (0.05 * normal()).exp()).collect() };
            let (first, second) = (runs(), runs());
            let found = ratio_of_medians(&first, &second, 0.1, pair).unwrap();
            missed += usize::from(found.low > 1.0 || found.high < 1.0);
        }
        assert!(missed <= 30, "{missed} of 200 intervals of 90 % missed");
    }
}
