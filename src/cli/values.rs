//! Values of flags: spans of time, rates, columns by role.

use std::time::Duration;

use crate::io::csv::Column;

/// Units of time, longest name first where one begins another.
const UNITS: [(&str, f64); 6] =
    [("ns", 1.0), ("us", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];

/// A span of time: `5ms`, `1s`, `500us`, `1.5h`. Written here, because it is shorter than the
/// reasons for a dependency.
///
/// # Errors
/// A number without a unit or the other way round, a negative one, one beyond 292 years.
pub fn span(text: &str) -> Result<Duration, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let (number, unit) = (number.trim(), text[number.len()..].trim());
    let Some((_, unit_ns)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err("a span of time is a number and one of ns, us, ms, s, m, h: 5ms".to_owned());
    };
    // Whole numbers do not go through a float, so that they stay exact.
    if let Ok(whole) = number.parse::<u64>() {
        let ns = u128::from(whole) * *unit_ns as u128;
        return within_bounds(u64::try_from(ns).unwrap_or(u64::MAX));
    }
    match number.parse::<f64>() {
        Ok(number) if number >= 0.0 => within_bounds((number * unit_ns).round() as u64),
        _ => Err(format!("`{number}` is not a number that a span of time can have")),
    }
}

fn within_bounds(ns: u64) -> Result<Duration, String> {
    if ns > i64::MAX as u64 {
        return Err("longer than 292 years, which is what 64 bits of nanoseconds hold".to_owned());
    }
    Ok(Duration::from_nanos(ns))
}

/// A span of time that is not zero.
///
/// # Errors
/// As [`span`], and zero.
pub fn length(text: &str) -> Result<Duration, String> {
    match span(text)? {
        Duration::ZERO => Err("a window needs a length".to_owned()),
        span => Ok(span),
    }
}

/// A number of seconds above zero; the unit may be said.
///
/// # Errors
/// What is no number above zero.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let span = if text.ends_with(|c: char| c.is_ascii_alphabetic()) {
        span(text)
    } else {
        span(&format!("{text}s"))
    };
    match span? {
        Duration::ZERO => Err("a run needs some time".to_owned()),
        span => Ok(span),
    }
}

/// A number above zero, with `k`, `M` or `G` behind it if that is shorter: `1000000`, `1M`, `1e6`.
///
/// # Errors
/// What is no finite number, or below a millionth.
pub fn rate(text: &str) -> Result<f64, String> {
    let (number, factor) = match text.strip_suffix(['k', 'M', 'G']) {
        Some(number) if text.ends_with('k') => (number, 1e3),
        Some(number) if text.ends_with('M') => (number, 1e6),
        Some(number) => (number, 1e9),
        None => (text, 1.0),
    };
    match positive(number)? * factor {
        rate if rate < SLOWEST => Err(format!("below {SLOWEST} a second nothing would happen")),
        rate => Ok(rate),
    }
}

/// Records a second, one in eleven days: the time between two is still a number of nanoseconds.
const SLOWEST: f64 = 1e-6;

/// A finite number above zero.
///
/// # Errors
/// Anything else.
pub fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err("not a number above zero".to_owned()),
    }
}

/// Which columns of a file are a trade's time, key, price and quantity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TradeColumns {
    /// The time.
    pub ts: Column,
    /// What makes the key, joined by `+`; empty if the key is a constant.
    pub key: Vec<Column>,
    /// The price.
    pub price: Column,
    /// The quantity; 1 for each record without it.
    pub qty: Option<Column>,
}

impl std::str::FromStr for TradeColumns {
    type Err = String;

    /// From `ts=trade_ms,key=symbol,price=price,qty=qty`: a header's names, or positions from 0.
    fn from_str(text: &str) -> Result<Self, String> {
        let [mut ts, mut key, mut price, mut qty] = [const { None::<&str> }; 4];
        for part in text.split(',') {
            let (role, column) =
                part.split_once('=').ok_or(format!("`{part}` is not ROLE=COLUMN"))?;
            let slot = match role.trim() {
                "ts" => &mut ts,
                "key" => &mut key,
                "price" => &mut price,
                "qty" => &mut qty,
                other => return Err(format!("`{other}` is none of ts, key, price, qty")),
            };
            if column.trim().is_empty() {
                return Err(format!("`{role}=` names no column"));
            }
            if slot.replace(column.trim()).is_some() {
                return Err(format!("`{role}` is given twice"));
            }
        }
        let need = |role: Option<&str>, name: &str| {
            role.map(Column::from).ok_or(format!("`{name}=..` is missing"))
        };
        Ok(Self {
            ts: need(ts, "ts")?,
            key: key.iter().flat_map(|all| all.split('+')).map(Column::from).collect(),
            price: need(price, "price")?,
            qty: qty.map(Column::from),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{ms, ns, secs, us};

    #[test]
    fn spans_of_time() {
        let good = [
            ("5ms", ms(5)),
            ("1s", secs(1)),
            ("500us", us(500)),
            ("0s", ns(0)),
            ("1.5 h", secs(5400)),
            ("22h", secs(22 * 3600)),
            ("0.25us", ns(250)),
            ("9007199254740993ns", ns(9_007_199_254_740_993)),
        ];
        for (text, want) in good {
            assert_eq!(span(text), Ok(want), "{text}");
        }
        for text in ["", "5", "ms", "-1s", "1 day", "1e400s", "300000000h", "5 5ms", "NaNs", "1S"] {
            assert!(span(text).is_err(), "{text}");
        }
        assert_eq!(
            [seconds("20"), seconds("0.5"), seconds("2m")],
            [Ok(secs(20)), Ok(ms(500)), Ok(secs(120))]
        );
        assert!(seconds("0").is_err() && length("0ns").is_err());
    }

    #[test]
    fn rates() {
        let texts = ["1000000", "1M", "250k", "1e6", "2.5G"];
        assert_eq!(texts.map(|text| rate(text).unwrap()), [1e6, 1e6, 250e3, 1e6, 2.5e9]);
        assert!(
            ["0", "-1", "NaN", "inf", "", "M", "1 M", "1e-20"]
                .iter()
                .all(|text| rate(text).is_err())
        );
    }

    #[test]
    fn columns_by_role() {
        let columns: TradeColumns = "ts=0,key=origin+carrier,price=price".parse().unwrap();
        assert_eq!(columns.ts, Column::Position(0));
        assert_eq!(columns.key, ["origin", "carrier"].map(Column::from));
        assert_eq!(columns.qty, None);
        for (text, reason) in [
            ("key=a,price=b", "`ts=..` is missing"),
            ("ts=a,ts=b,price=c", "`ts` is given twice"),
            ("ts=a,cost=b", "`cost` is none of ts, key, price, qty"),
            ("ts=a,price", "`price` is not ROLE=COLUMN"),
            ("ts=,price=b", "`ts=` names no column"),
        ] {
            assert_eq!(text.parse::<TradeColumns>(), Err(reason.to_owned()));
        }
    }
}
