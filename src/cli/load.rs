//! The load that a scenario is put under: how records arrive, which rates are tried.
//!
//! The flags are here; `load/probe.rs` says what one rate came to, `load/search.rs` looks for the
//! highest rate that holds an objective, `load/sweep.rs` goes through a range of them.

pub mod probe;
pub mod search;
pub mod slo;
pub mod sweep;

use std::fmt;
use std::str::FromStr;

use clap::Args;

pub use probe::{Limit, Probe};
pub use search::Found;
pub use slo::Slo;
pub use sweep::Sweep;

use crate::error::ConfigError;
use crate::io::Arrival;

/// The flags about the load, beside the rate.
#[derive(Args, Clone, Debug)]
pub struct LoadArgs {
    /// How the intended times of the open loop are spread around the rate: `constant`, `poisson`
    /// (exponential gaps), `burst:N` (N records at once), `burst:N/DUTY` (N records within that
    /// share of the time), or `replay` (the gaps of --input, scaled by --speed)
    /// [default: constant, with --speed replay].
    #[arg(long, value_name = "HOW", help_heading = "Load", conflicts_with = "flat_out")]
    pub arrival: Option<ArrivalArg>,
    /// What chance is drawn from: the gaps of `poisson`, the order of a sweep. The same seed gives
    /// the same times.
    #[arg(long, value_name = "N", help_heading = "Load", default_value_t = 1)]
    pub seed: u64,
    /// Wait for each record before the next one is made, and count its latency from then. It hides
    /// stalls (coordinated omission); `bench stall` shows by how much.
    #[arg(long, help_heading = "Load")]
    #[arg(conflicts_with_all = ["flat_out", "input", "arrival", "slo", "sweep"])]
    pub closed_loop: bool,
    /// Find the highest rate that keeps a percentile of the latency below a span: 'p99.9<100us'.
    ///
    /// From --rate up by doubling, then by bisection to within 5 %; each probe takes a tenth of
    /// --seconds, and those at the boundary are repeated. Percentiles are p50, p90, p99, p99.9,
    /// p99.99 and max.
    #[arg(long, value_name = "P<SPAN", help_heading = "Load")]
    #[arg(conflicts_with_all = ["flat_out", "input", "output", "sweep", "repeat"])]
    pub slo: Option<Slo>,
    /// Measure at N rates, evenly from one to another: 100k..2M/8. In random order; each takes its
    /// share of --seconds, and is repeated by --repeat.
    #[arg(long, value_name = "FROM..TO/N", help_heading = "Load")]
    #[arg(conflicts_with_all = ["flat_out", "input", "output", "rate"])]
    pub sweep: Option<Sweep>,
}

impl LoadArgs {
    /// How records arrive; the recorded gaps are not among it.
    pub fn arrival(&self) -> Arrival {
        match self.arrival {
            None | Some(ArrivalArg::Constant | ArrivalArg::Replay) => Arrival::Constant,
            Some(ArrivalArg::Poisson) => Arrival::Poisson { seed: self.seed },
            Some(ArrivalArg::Burst { size, duty }) => Arrival::Burst { size, duty },
        }
    }

    /// How the load came, in words, for the report of an open loop.
    pub fn pace(&self) -> String {
        match self.arrival() {
            Arrival::Constant => "open loop".to_owned(),
            arrival => format!("open loop, {arrival}"),
        }
    }

    /// Whether rates are tried, and not one run made.
    pub fn is_probed(&self) -> bool {
        self.slo.is_some() || self.sweep.is_some()
    }

    /// Whether the arrivals fit where the records come from.
    ///
    /// # Errors
    /// Recorded gaps without a recording, or arrivals at a rate that nothing gives.
    pub fn check(&self, input: bool, speed: bool, rate: bool) -> Result<(), ConfigError> {
        let Some(arrival) = self.arrival else { return Ok(()) };
        let reason = match arrival {
            ArrivalArg::Replay if !input => "the gaps of a recording: needs --input",
            ArrivalArg::Replay if rate => "has the rate of the recording: --speed scales it",
            ArrivalArg::Replay => return Ok(()),
            _ if speed => "--speed has the gaps of the recording: give --rate instead",
            _ if input && !rate => "a recording is spread anew by --rate",
            _ => return Ok(()),
        };
        Err(ConfigError::setting("arrival", arrival, reason))
    }
}

/// How records arrive, as the command line says it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ArrivalArg {
    /// Evenly.
    Constant,
    /// With exponential gaps.
    Poisson,
    /// In bursts.
    Burst {
        /// Records of a burst.
        size: u32,
        /// The share of the time that it takes.
        duty: f64,
    },
    /// As recorded.
    Replay,
}

impl fmt::Display for ArrivalArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant => write!(f, "constant"),
            Self::Poisson => write!(f, "poisson"),
            Self::Burst { size, duty: 0.0 } => write!(f, "burst:{size}"),
            Self::Burst { size, duty } => write!(f, "burst:{size}/{duty}"),
            Self::Replay => write!(f, "replay"),
        }
    }
}

impl FromStr for ArrivalArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let burst = match text {
            "constant" => return Ok(Self::Constant),
            "poisson" => return Ok(Self::Poisson),
            "replay" => return Ok(Self::Replay),
            _ => text.strip_prefix("burst:"),
        };
        let Some(burst) = burst else {
            return Err("none of constant, poisson, burst:N, burst:N/DUTY, replay".to_owned());
        };
        let (size, duty) = burst.split_once('/').unwrap_or((burst, "0"));
        let size: u32 =
            size.parse().ok().filter(|size| *size > 0).ok_or(format!(
                "`{size}` is no number of records that a burst can have: burst:64"
            ))?;
        let duty: f64 = duty.parse().ok().filter(|duty| (0.0..1.0).contains(duty)).ok_or(
            format!("`{duty}` is no share of the time, from 0 to less than 1: burst:64/0.1"),
        )?;
        Ok(Self::Burst { size, duty })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_read_and_said_alike() {
        for text in ["constant", "poisson", "replay", "burst:64", "burst:8/0.25"] {
            assert_eq!(text.parse::<ArrivalArg>().unwrap().to_string(), text);
        }
        for (text, word) in [
            ("even", "none of constant"),
            ("burst", "none of constant"),
            ("burst:", "`` is no number of records"),
            ("burst:0", "`0` is no number"),
            ("burst:-1", "`-1`"),
            ("burst:8/1", "`1` is no share"),
            ("burst:8/x", "`x` is no share"),
            ("burst:8/NaN", "`NaN` is no share"),
        ] {
            let error = text.parse::<ArrivalArg>().unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
