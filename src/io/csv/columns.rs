//! Which columns of a file are meant, and where they are.

use crate::error::ConfigError;

/// One column of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// The column that the header calls so, letter by letter.
    Name(String),
    /// The column at this place, counted from 0.
    Position(usize),
}

impl From<usize> for Column {
    fn from(position: usize) -> Self {
        Self::Position(position)
    }
}

impl From<&str> for Column {
    /// Digits are a position, anything else is a name. For a column whose name is digits, say
    /// [`Column::Name`].
    fn from(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Position)
    }
}

impl std::fmt::Display for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Position(position) => write!(f, "{position}"),
        }
    }
}

/// Whether the first line of a file names its columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// It does if a column is asked for by name, or if none of its fields starts like a number.
    #[default]
    Auto,
    /// It does.
    Present,
    /// It is a record already.
    Absent,
}

/// The columns that a decoder wants, in the order in which it wants them.
///
/// ```
/// use millstream::io::csv::{Columns, Header};
///
/// // Field 0 of a row is then the time, field 1 the price, wherever they are in the file.
/// let by_name = Columns::of(["trade_ms", "price"]);
/// let by_position = Columns::of([0, 4]).header(Header::Absent);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// `None` means all of the file, in its own order.
    wanted: Option<Vec<Column>>,
    header: Header,
}

impl Columns {
    /// These columns, by name or by position.
    pub fn of<C: Into<Column>>(columns: impl IntoIterator<Item = C>) -> Self {
        let wanted = columns.into_iter().map(Into::into).collect();
        Self { wanted: Some(wanted), header: Header::Auto }
    }

    /// All columns of the file, in the order of the file.
    pub fn all() -> Self {
        Self::default()
    }

    /// Says whether the first line is a header.
    pub fn header(mut self, header: Header) -> Self {
        self.header = header;
        self
    }

    /// Whether a file that starts with these fields starts with a header.
    pub(super) fn is_header<'a>(&self, mut first: impl Iterator<Item = &'a [u8]>) -> bool {
        self.need_header() || self.header == Header::Auto && !first.any(starts_like_a_number)
    }

    /// Whether a file must have a header.
    pub(super) fn need_header(&self) -> bool {
        let named = self.wanted.iter().flatten().any(|column| matches!(column, Column::Name(_)));
        self.header == Header::Present || self.header == Header::Auto && named
    }

    /// Finds the columns in a file whose first line has these fields.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] for a column that is not there, with the file, the column and the
    /// columns that are there.
    pub(super) fn resolve(
        &self,
        place: &str,
        first: Vec<String>,
        has_header: bool,
    ) -> Result<Layout, ConfigError> {
        let names = if has_header { first.clone() } else { Vec::new() };
        let Some(wanted) = &self.wanted else { return Ok(Layout { positions: None, names }) };
        let positions = wanted.iter().map(|column| {
            let found = match column {
                Column::Name(name) => names.iter().position(|n| n == name),
                Column::Position(position) => (*position < first.len()).then_some(*position),
            };
            found.ok_or_else(|| missing(place, column, &first, has_header))
        });
        Ok(Layout { positions: Some(positions.collect::<Result<_, _>>()?), names })
    }
}

fn starts_like_a_number(field: &[u8]) -> bool {
    let field = field.trim_ascii();
    let digits = field.strip_prefix(b"-").or_else(|| field.strip_prefix(b"+")).unwrap_or(field);
    digits.strip_prefix(b".").unwrap_or(digits).first().is_some_and(u8::is_ascii_digit)
}

fn missing(place: &str, column: &Column, first: &[String], has_header: bool) -> ConfigError {
    let there = first.len();
    let reason = if has_header {
        format!("{place} has no such column; its {there} are: {}", first.join(", "))
    } else {
        format!("{place} has no such column; it has no header and {there} columns, from 0")
    };
    ConfigError::setting("columns", column, reason)
}

/// Where the wanted columns are in one file.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    /// The position in the file of every wanted column; `None` if all are wanted.
    positions: Option<Vec<usize>>,
    /// The names of the file's columns, if it has a header.
    names: Vec<String>,
}

impl Layout {
    /// The position in the file of wanted column `index`.
    #[inline]
    pub(super) fn position(&self, index: usize) -> Option<usize> {
        match &self.positions {
            Some(positions) => positions.get(index).copied(),
            None => Some(index),
        }
    }

    /// How many fields of a line it takes to have all that are wanted.
    pub(super) fn fields(&self) -> usize {
        match &self.positions {
            Some(positions) => positions.iter().max().map_or(0, |last| last + 1),
            None => usize::MAX,
        }
    }

    /// What a message calls wanted column `index`.
    pub(super) fn name(&self, index: usize) -> String {
        let position = self.position(index).unwrap_or(index);
        self.names.get(position).map_or_else(|| format!("column {position}"), |n| format!("`{n}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(line: &str) -> Vec<String> {
        line.split(',').map(str::to_owned).collect()
    }

    fn is_header(columns: Columns, line: &str) -> bool {
        columns.is_header(line.split(',').map(str::as_bytes))
    }

    #[test]
    fn a_header_is_told_from_a_record() {
        assert!(is_header(Columns::of([0]), "time,price"));
        assert!(!is_header(Columns::of([0]), "34200.5,AAPL"));
        assert!(!is_header(Columns::all(), "AAPL,-.5"));
        assert!(is_header(Columns::of(["1st"]), "1st,2nd"), "a name needs a header");
        assert!(is_header(Columns::of([0]).header(Header::Present), "1,2"));
        assert!(!is_header(Columns::of([0]).header(Header::Absent), "time,price"));
    }

    #[test]
    fn columns_are_found_by_name_and_by_position() {
        let columns = Columns::of(["price", "0"]);
        let layout = columns.resolve("f", fields("ts,qty,price"), true).unwrap();
        assert_eq!((layout.position(0), layout.position(1)), (Some(2), Some(0)));
        assert_eq!((layout.position(2), layout.fields()), (None, 3));
        assert_eq!(layout.name(0), "`price`");
    }

    #[test]
    fn a_missing_column_is_named_with_those_there_are() {
        let error = Columns::of(["prize"]).resolve("t.csv", fields("ts,price"), true).unwrap_err();
        let text = "columns = prize: t.csv has no such column; its 2 are: ts, price";
        assert_eq!(error.to_string(), text);
        let error = Columns::of([2]).resolve("t.csv", fields("1,2"), false).unwrap_err();
        let text = "columns = 2: t.csv has no such column; it has no header and 2 columns, from 0";
        assert_eq!(error.to_string(), text);
    }
}
