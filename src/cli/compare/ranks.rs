//! Whether two lots of runs differ at all: by their ranks (Mann and Whitney, 1947).
//!
//! Under the hypothesis that both are of the same thing, every way to deal the runs out is as
//! likely, whatever their distribution: what is said here holds for six runs as for a hundred, and
//! one disturbed run in ten does not turn it.

/// Above so many pairs the distribution is as good as normal.
const EXACT_MAX: usize = 10_000;

/// The chance that two lots of the same thing are as unequally mixed as these, or more.
pub fn chance(first: &[f64], second: &[f64]) -> f64 {
    let pairs = first.len() * second.len();
    // In halves: a tie is half above and half below. Ties make the true distribution narrower, so
    // what is said with them errs towards seeing nothing.
    let mut above = 0;
    for (a, b) in first.iter().flat_map(|a| second.iter().map(move |b| (a, b))) {
        above += if b > a { 2 } else { usize::from(b == a) };
    }
    let fewer = above.min(2 * pairs - above);
    let tail = match pairs {
        ..=EXACT_MAX => exact(first.len(), second.len(), fewer.div_ceil(2)),
        _ => normal(first.len() as f64, second.len() as f64, fewer as f64 / 2.0),
    };
    (2.0 * tail).min(1.0)
}

/// The share of all ways to deal out with at most `most` pairs in the wrong order.
fn exact(first: usize, second: usize, most: usize) -> f64 {
    // Coefficients of the Gaussian binomial up to the power asked for: the product of
    // (1 - q^(first + k)) / (1 - q^k).
    let mut ways = vec![0.0; most + 1];
    ways[0] = 1.0;
    let mut all = 1.0;
    for k in 1..=second {
        all *= (first + k) as f64 / k as f64;
        for power in (first + k..=most).rev() {
            ways[power] -= ways[power - first - k];
        }
        for power in k..=most {
            ways[power] += ways[power - k];
        }
    }
    ways.iter().sum::<f64>() / all
}

/// The same where there are so many that it is as good as normal (with a bound on the tail that
/// errs towards seeing nothing).
fn normal(first: f64, second: f64, most: f64) -> f64 {
    let deviation = (first * second * (first + second + 1.0) / 12.0).sqrt();
    let far = ((first * second / 2.0 - most - 0.5) / deviation).max(0.0);
    0.5 * (-far * far / 2.0).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_tables_are_as_printed() {
        // All ways of 3 of 6: 20, with 1 1 2 3 3 3 3 2 1 1 of 0 to 9 pairs in the wrong order.
        let of = [1.0, 2.0, 4.0, 7.0, 10.0, 13.0, 16.0, 18.0, 19.0, 20.0];
        for (most, ways) in of.iter().enumerate() {
            assert!((exact(3, 3, most) - ways / 20.0).abs() < 1e-12, "{most}");
        }
        // The critical values of the tables for 5 % of two sides.
        for (n, critical) in [(5, 2), (8, 13), (10, 23), (20, 127)] {
            let at = |most| 2.0 * exact(n, n, most);
            assert!(at(critical) <= 0.05 && at(critical + 1) > 0.05, "{n}");
        }
        let (by_ways, by_size) = (exact(60, 60, 1300), normal(60.0, 60.0, 1300.0));
        assert!(by_ways < by_size && by_size < 5.0 * by_ways, "{by_ways}, {by_size}");
    }

    #[test]
    fn what_lies_apart_is_unlikely_and_what_is_equal_is_not() {
        let low = [1.0, 2.0, 3.0, 4.0, 5.0];
        let high = low.map(|value| value + 10.0);
        assert!((chance(&low, &high) - 2.0 / 252.0).abs() < 1e-12);
        assert_eq!(chance(&low, &high), chance(&high, &low));
        assert_eq!(chance(&low, &low), 1.0);
        assert_eq!(chance(&[7.0; 9], &[7.0; 9]), 1.0);
        let [many, more] =
            [0.0, 500.0].map(|from| (0..200).map(|at| from + f64::from(at)).collect::<Vec<f64>>());
        assert!(chance(&many, &more) < 1e-9 && chance(&many, &many) == 1.0);
    }
}
