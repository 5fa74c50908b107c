//! What a contestant is told on its command line.

use std::fmt;
use std::str::FromStr;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Count and sum by key, windows of a second, end to end.
    Tumbling,
    /// Count and sum by key, windows of ten seconds, one each second.
    Sliding,
    /// Two streams, joined by key and interval of time.
    Join,
    /// A query of NEXMark.
    Query(u8),
    /// Count and sum by key, windows of ten milliseconds, at a given rate.
    Latency,
}

/// The queries that are asked.
pub const QUERIES: [u8; 7] = [1, 2, 3, 4, 5, 7, 8];

impl FromStr for Workload {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let query = name.strip_prefix('q').and_then(|number| number.parse().ok());
        match (name, query) {
            ("tumbling", _) => Ok(Self::Tumbling),
            ("sliding", _) => Ok(Self::Sliding),
            ("join", _) => Ok(Self::Join),
            ("latency", _) => Ok(Self::Latency),
            (_, Some(query)) if QUERIES.contains(&query) => Ok(Self::Query(query)),
            _ => Err(format!("`{name}` is none of tumbling, sliding, join, latency, q1 to q8")),
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tumbling => write!(f, "tumbling"),
            Self::Sliding => write!(f, "sliding"),
            Self::Join => write!(f, "join"),
            Self::Query(query) => write!(f, "q{query}"),
            Self::Latency => write!(f, "latency"),
        }
    }
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Args {
    /// What is to be done.
    pub workload: Workload,
    /// On which cores, one thread to each.
    pub cpus: Vec<usize>,
    /// How many records a pass has; unused where a rate is given.
    pub records: u64,
    /// How long passes go on.
    pub seconds: f64,
    /// Records a second of an open loop.
    pub rate: u64,
    /// A variant of the contestant's own.
    pub way: String,
}

impl Args {
    /// Reads the command line.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn read() -> Result<Self, String> {
        Self::of(std::env::args().skip(1))
    }

    fn of(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let workload = words.next().ok_or_else(usage)?.parse()?;
        let mut args = Self {
            workload,
            cpus: vec![0],
            records: 1 << 20,
            seconds: 1.0,
            rate: 100_000,
            way: String::new(),
        };
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(usage)?;
            let bad = |_| format!("`{value}` is no value of {name}");
            match name.as_str() {
                "--cpus" => {
                    let numbers = value.split(',').map(str::parse);
                    args.cpus = numbers.collect::<Result<_, _>>().map_err(bad)?;
                }
                "--records" => args.records = value.parse().map_err(bad)?,
                "--rate" => args.rate = value.parse().map_err(bad)?,
                "--seconds" => {
                    args.seconds = value.parse().map_err(|_| format!("`{value}`: no seconds"))?;
                }
                "--way" => args.way = value,
                _ => return Err(usage()),
            }
        }
        if args.rate == 0 || 1_000_000_000 % args.rate != 0 {
            return Err(format!("a rate of {}: no whole number of ns between two", args.rate));
        }
        Ok(args)
    }

    /// How many threads there are to be.
    pub fn threads(&self) -> usize {
        self.cpus.len()
    }
}

fn usage() -> String {
    "usage: CONTESTANT WORKLOAD [--cpus 0,1] [--records N] [--seconds S] [--rate R] [--way W]"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str) -> Result<Args, String> {
        Args::of(words.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn words_are_read_and_what_is_wrong_with_them_is_said() {
        let args = read("q5 --cpus 1,3 --records 7 --seconds 0.5 --way odd").unwrap();
        assert_eq!((args.workload, args.threads(), args.records), (Workload::Query(5), 2, 7));
        assert_eq!((args.seconds, args.way.as_str()), (0.5, "odd"));
        for (words, expected) in [
            ("", "usage"),
            ("q6", "`q6` is none of tumbling"),
            ("join --cpus", "usage"),
            ("join --cpus 1,x", "`1,x` is no value of --cpus"),
            ("join --records -1", "`-1` is no value of --records"),
            ("join --seconds soon", "`soon`: no seconds"),
            ("join --colour blue", "usage"),
            ("latency --rate 0", "a rate of 0"),
            ("latency --rate 3", "no whole number of ns"),
        ] {
            let error = read(words).unwrap_err();
            assert!(error.contains(expected), "{words}: {error}");
        }
    }
}
