//! Lines of a file into trades.

use serde::{Deserialize, Serialize};

use crate::cli::args::BenchArgs;
use crate::cli::values::TradeColumns;
use crate::dataflow::Record;
use crate::error::ConfigError;
use crate::io::csv::{Columns, Row};
use crate::state::Text;
use crate::time::Timestamp;

use super::trade::Trade;

/// What was traded. 23 bytes hold the 21 of an option by the OCC's naming and the 20 of an option
/// on a crypto exchange, and with their length fill three words.
pub type Symbol = Text<23>;

/// Where a recorded trade comes from.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Origin {
    /// When it happened.
    pub at: Timestamp,
    /// Which record of the file it is, from 1; malformed ones count, blank lines do not.
    pub number: u64,
}

/// The columns in the order in which `decode` takes them: time, price, key or keys, quantity.
pub fn columns(wanted: &TradeColumns) -> Columns {
    let all = [&wanted.ts, &wanted.price].into_iter().chain(&wanted.key).chain(&wanted.qty);
    Columns::of(all.cloned())
}

/// What makes a trade of a row of these columns.
///
/// # Errors
/// A constant key that is too long, or a key given twice or not at all.
pub fn decode(
    args: &BenchArgs,
    wanted: &TradeColumns,
) -> Result<
    impl FnMut(&Row<'_>) -> Result<Record<Trade<Symbol, Origin>>, String> + use<>,
    ConfigError,
> {
    let (unit, scale) = (args.unit()?, Scale::of(args.price_scale));
    let constant = constant_key(args, wanted)?;
    let keys = 2..2 + wanted.key.len();
    let qty = wanted.qty.as_ref().map(|_| keys.end);
    let (mut joined, mut number) = (String::new(), 0);
    Ok(move |row: &Row<'_>| {
        number += 1;
        let at = row.time(0, unit)?;
        let price = scale.apply(row.finite(1)?);
        if !price.is_finite() {
            return Err("price: no finite number after --price-scale".to_owned());
        }
        let key = match constant {
            Some(key) => key,
            None if keys.len() == 1 => symbol(row.text(keys.start)?)?,
            None => symbol(join(row, keys.clone(), &mut joined)?)?,
        };
        let qty = qty.map_or(Ok(1.0), |field| row.finite(field))?;
        Ok(Record::new(at, Trade { key, price, qty, origin: Origin { at, number } }))
    })
}

/// The key of all records, if `--key-const` gives one.
fn constant_key(args: &BenchArgs, wanted: &TradeColumns) -> Result<Option<Symbol>, ConfigError> {
    match (&args.key_const, wanted.key.is_empty()) {
        (None, false) => Ok(None),
        (None, true) => {
            let reason = "add `key=..` to it, or give --key-const for a file of one key";
            Err(ConfigError::setting("columns", "without key", reason))
        }
        (Some(key), true) => {
            symbol(key).map(Some).map_err(|reason| ConfigError::setting("--key-const", key, reason))
        }
        (Some(key), false) => {
            let reason = "--columns names a key already; give one of the two";
            Err(ConfigError::setting("--key-const", key, reason))
        }
    }
}

#[inline]
fn symbol(text: &str) -> Result<Symbol, String> {
    Symbol::new(text).ok_or_else(|| too_long(text))
}

#[cold]
fn too_long(text: &str) -> String {
    let (length, most) = (text.len(), Symbol::CAPACITY);
    format!("key: {text:?} is {length} bytes long, at most {most} are taken")
}

/// Several fields as one, with `+` between them.
fn join<'b>(
    row: &Row<'_>,
    fields: std::ops::Range<usize>,
    joined: &'b mut String,
) -> Result<&'b str, String> {
    joined.clear();
    for field in fields {
        if !joined.is_empty() {
            joined.push('+');
        }
        joined.push_str(row.text(field)?);
    }
    Ok(joined)
}

/// What a price is multiplied by.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scale {
    By(f64),
    /// The inverse is a whole number, and dividing by it rounds once instead of twice: 5853300 by
    /// 10000 is 585.33, times 0.0001 it is 585.3300000000001.
    Over(f64),
}

impl Scale {
    fn of(factor: Option<f64>) -> Self {
        let factor = factor.unwrap_or(1.0);
        let inverse = (1.0 / factor).round();
        if 1.0 / inverse == factor { Self::Over(inverse) } else { Self::By(factor) }
    }

    #[inline]
    fn apply(self, price: f64) -> f64 {
        match self {
            Self::By(factor) => price * factor,
            Self::Over(inverse) => price / inverse,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaled_prices_print_as_they_are_quoted() {
        assert_eq!(Scale::of(Some(1e-4)).apply(5_853_300.0).to_string(), "585.33");
        assert_eq!(Scale::of(None).apply(61_800.3).to_string(), "61800.3");
        assert_eq!(Scale::of(Some(0.3)), Scale::By(0.3));
        assert_eq!(Scale::of(Some(100.0)).apply(1.5), 150.0);
        for ticks in 1..100_000u32 {
            let price = Scale::of(Some(0.01)).apply(ticks.into());
            let want: f64 = format!("{}.{:02}", ticks / 100, ticks % 100).parse().unwrap();
            assert_eq!(price, want);
        }
    }

    #[test]
    fn long_symbols_say_how_long() {
        assert!(symbol("AAPL  261218C00150000").is_ok());
        let reason = symbol("a symbol that is much too long").unwrap_err();
        assert!(reason.contains("30 bytes long, at most 23"), "{reason}");
    }
}
