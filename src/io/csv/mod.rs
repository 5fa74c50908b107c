//! CSV files: records out of lines, and lines out of records.
//!
//! A line that does not decode stops nothing: it is counted, and handed to the dead-letter callback
//! with file, line and reason. The `csv` crate is used here and nowhere else, for lines that hold
//! quotes; a line without any is cut at its commas. Start with `source.rs`.

mod columns;
mod lines;
mod number;
mod row;
mod rows;
mod sink;
mod source;

pub use columns::{Column, Columns, Header};
pub use number::TimeUnit;
pub use row::Row;
pub use sink::{CsvSink, Line};
pub use source::{CsvSource, DeadLetter};
