//! Records out of the lines of a file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::columns::{Columns, Layout};
use super::lines::LINE_MAX;
use super::row::Row;
use super::rows::{Found, Rows};
use crate::dataflow::Record;
use crate::error::{CodecError, Error, IoError};
use crate::io::{Polled, Source};
use crate::time::Timestamp;

/// A line that did not decode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// File, line and reason.
    pub error: CodecError,
    /// The line as it is in the file, without its end; of a line longer than 1 MiB its beginning.
    pub bytes: Vec<u8>,
}

/// A source of one record a line of a CSV file, in the order of the file.
///
/// `decode` makes a record out of a [`Row`], or says why not: then the line is counted in
/// [`Polled::rejected`] and handed to [`on_dead_letter`](Self::on_dead_letter), and the next line
/// follows. The same happens to a line that is longer than 1 MiB, or whose quotes are not closed
/// within 64 KiB, or closed with text after them: a stray quote costs one line, not the file.
/// Fields are cut by commas and may be quoted, lines end with LF or CRLF, the last need not end;
/// blank lines are passed over, and a byte order mark at the start is ignored. A file that is empty
/// or has only a header ends at once. No line allocates, once the longest has been seen, unless it
/// is malformed.
///
/// Reads block: 64 KiB at a time, for a file usually out of the page cache. A poll gives up its
/// budget rather than wait twice, so a pipe's lines come when they are written. A source has one
/// partition and makes no promise about timestamps.
///
/// ```
/// use millstream::io::csv::{Columns, CsvSource, TimeUnit};
/// use millstream::io::Source;
/// use millstream::{Record, Timestamp};
///
/// let file = "time,price,symbol\n34200.000000007,585.33,AAPL\n34200.5,?,AAPL\n";
/// let columns = Columns::of(["time", "price"]);
/// let source = CsvSource::from_reader("trades.csv", file.as_bytes(), columns, |row| {
///     Ok(Record::new(row.time(0, TimeUnit::S)?, row.finite(1)?))
/// })?;
/// let mut source = source.on_dead_letter(|letter| {
///     let text = "trades.csv:3: `price`: \"?\" is not a number";
///     assert_eq!(letter.error.to_string(), text);
/// });
///
/// let mut seen = Vec::new();
/// let polled = source.poll(0, Timestamp(0), 64, &mut |r| seen.push(r))?;
/// assert_eq!(seen, [Record::new(Timestamp(34_200_000_000_007), 585.33)]);
/// assert_eq!(polled.rejected, 1);
/// # Ok::<(), millstream::error::Error>(())
/// ```
pub struct CsvSource<D, R = File> {
    place: String,
    rows: Rows<R>,
    layout: Layout,
    decode: D,
    on_dead_letter: Option<Box<dyn FnMut(DeadLetter)>>,
}

impl<D> CsvSource<D, File> {
    /// Opens a file and finds the columns in its first line.
    ///
    /// # Errors
    /// [`IoError`] if it cannot be opened or read; [`ConfigError`](crate::error::ConfigError) for a
    /// column that it does not have; [`CodecError`] for a header that is no row, or a first line
    /// longer than 1 MiB. An empty file has no columns to lack.
    pub fn open<T>(path: impl AsRef<Path>, columns: Columns, decode: D) -> Result<Self, Error>
    where
        D: FnMut(&Row<'_>) -> Result<Record<T>, String>,
    {
        let place = path.as_ref().display().to_string();
        let file = File::open(path).map_err(|e| IoError::new("open", &place, e))?;
        Self::from_reader(place, file, columns, decode)
    }
}

impl<D, R: Read> CsvSource<D, R> {
    /// Reads anything that can be read; `place` is what errors call it. Brings its own buffer.
    ///
    /// # Errors
    /// As [`open`](CsvSource::open).
    pub fn from_reader<T>(
        place: impl Into<String>,
        input: R,
        columns: Columns,
        decode: D,
    ) -> Result<Self, Error>
    where
        D: FnMut(&Row<'_>) -> Result<Record<T>, String>,
    {
        let (place, mut rows) = (place.into(), Rows::new(input));
        let layout = find_columns(&place, &mut rows, &columns)?;
        rows.limit(layout.fields());
        Ok(Self { place, rows, layout, decode, on_dead_letter: None })
    }

    /// Calls `keep` with every malformed line, in the step that reads it. Without it they are only
    /// counted.
    pub fn on_dead_letter(mut self, keep: impl FnMut(DeadLetter) + 'static) -> Self {
        self.on_dead_letter = Some(Box::new(keep));
        self
    }

    #[cold]
    fn reject(&mut self, reason: String) {
        let Some(keep) = &mut self.on_dead_letter else { return };
        let error = CodecError { place: self.place.clone(), line: self.rows.line(), reason };
        keep(DeadLetter { error, bytes: self.rows.raw().to_vec() });
    }
}

/// Reads up to the first line that is not blank, and leaves it unread if it is no header.
fn find_columns<R: Read>(
    place: &str,
    rows: &mut Rows<R>,
    columns: &Columns,
) -> Result<Layout, Error> {
    loop {
        let found = rows.next().map_err(|e| IoError::new("read", place, e))?;
        let has_header = match found {
            Found::Blank => continue,
            Found::End => return Ok(Layout::default()),
            Found::Row => columns.is_header(rows.fields()),
            // A bad header names nothing, and so long a line is no CSV file.
            Found::Malformed(reason) if columns.need_header() || rows.raw().len() >= LINE_MAX => {
                let (place, line) = (place.to_owned(), rows.line());
                return Err(CodecError { place, line, reason: reason.to_owned() }.into());
            }
            Found::Malformed(_) => false,
        };
        let first = rows.fields().map(|f| String::from_utf8_lossy(f).into_owned()).collect();
        let layout = columns.resolve(place, first, has_header)?;
        if !has_header {
            rows.give_back();
        }
        return Ok(layout);
    }
}

impl<T, D, R> Source for CsvSource<D, R>
where
    T: 'static,
    D: FnMut(&Row<'_>) -> Result<Record<T>, String> + 'static,
    R: Read + 'static,
{
    type Out = T;

    fn poll(
        &mut self,
        _partition: usize,
        _now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<T>),
    ) -> Result<Polled, IoError> {
        let mut polled = Polled::open();
        // Malformed and blank lines use up budget as well: they are work, and a poll is bounded.
        for turn in 0..budget {
            if turn > 0 && self.rows.is_drained() {
                break;
            }
            let found = self.rows.next().map_err(|e| IoError::new("read", &self.place, e))?;
            let decoded = match found {
                Found::Blank => continue,
                Found::End => return Ok(Polled { ended: true, ..polled }),
                Found::Malformed(reason) => Err(reason.to_owned()),
                Found::Row => {
                    let (text, bounds) = (self.rows.text(), self.rows.bounds());
                    (self.decode)(&Row { text, bounds, layout: &self.layout })
                }
            };
            match decoded {
                Ok(record) => emit(record),
                Err(reason) => {
                    polled.rejected += 1;
                    self.reject(reason);
                }
            }
        }
        Ok(polled)
    }

    /// The line, if it is the last that was given.
    fn write_down(&mut self, _value: &T, into: &mut Vec<u8>) {
        into.extend_from_slice(self.rows.raw());
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;
    use crate::io::csv::TimeUnit;

    type Seen = Vec<(i64, String)>;

    fn decode(row: &Row<'_>) -> Result<Record<String>, String> {
        Ok(Record::new(row.time(0, TimeUnit::Ns)?, row.text(1)?.to_owned()))
    }

    /// Reads all of it, some lines a poll; the records, and the dead letters as text.
    fn read(text: &[u8], columns: Columns) -> (Seen, Vec<String>) {
        let (mut seen, dead) = (Vec::new(), Rc::new(RefCell::new(Vec::new())));
        let keep = Rc::clone(&dead);
        let input = std::io::Cursor::new(text.to_vec());
        let source = CsvSource::from_reader("t.csv", input, columns, decode).unwrap();
        let mut source = source.on_dead_letter(move |letter: DeadLetter| {
            let bytes = String::from_utf8_lossy(&letter.bytes).into_owned();
            keep.borrow_mut().push(format!("{} <{bytes}>", letter.error));
        });
        let mut rejected = 0;
        for _ in 0..10_000 {
            let emit = &mut |r: Record<String>| seen.push((r.at.0, r.value));
            let polled = source.poll(0, Timestamp(0), 3, emit).unwrap();
            rejected += polled.rejected as usize;
            if polled.ended {
                break;
            }
        }
        let dead = dead.take();
        assert_eq!(rejected, dead.len());
        (seen, dead)
    }

    fn seen(records: &[(i64, &str)]) -> Seen {
        records.iter().map(|(at, text)| (*at, text.to_string())).collect()
    }

    #[test]
    fn malformed_lines_are_named_and_the_rest_goes_on() {
        let text = b"ts,name\n1,a\nx,b\n\n3\n4,\xff\n5,\"e\"\"\n6,f\n7,\"g,\n h\"\n8,i,extra\n9,j";
        let (records, dead) = read(text, Columns::of(["ts", "name"]));
        assert_eq!(records, seen(&[(1, "a"), (6, "f"), (7, "g,\n h"), (8, "i"), (9, "j")]));
        assert_eq!(
            dead,
            [
                "t.csv:3: `ts`: \"x\" is not a time: digits, with a decimal point at most <x,b>",
                "t.csv:5: no field for `name`: the line has 1 <3>",
                "t.csv:6: `name`: \"\u{fffd}\" is not UTF-8 <4,\u{fffd}>",
                "t.csv:7: text after a closing quote <5,\"e\"\">",
            ]
        );
    }

    #[test]
    fn a_file_may_have_no_header_and_crlf() {
        let (records, dead) = read(b"7,a,1\r\n8,\"b\",2\r\n", Columns::of([2, 1]));
        assert_eq!((records, dead.len()), (seen(&[(1, "a"), (2, "b")]), 0));
        let (records, dead) = read(b"t,n\r\n8,b\r\n\r\nx", Columns::all());
        assert_eq!(records, seen(&[(8, "b")]));
        assert_eq!(dead.len(), 1);
        assert!(dead[0].starts_with("t.csv:4: `t`: "), "{}", dead[0]);
    }

    #[test]
    fn a_bad_first_line_is_an_error_only_as_a_header() {
        let (records, dead) = read(b"1,\"a\n2,b\n", Columns::of([0, 1]));
        assert_eq!((records, dead.len()), (seen(&[(2, "b")]), 1));
        let input = &b"ts,\"name\n2,b\n"[..];
        let source = CsvSource::from_reader("t.csv", input, Columns::of(["ts"]), decode);
        let error = source.map(|_| ()).unwrap_err().to_string();
        assert_eq!(error, "t.csv:1: quote not closed");
    }

    #[test]
    fn nothing_but_a_header_or_nothing_at_all_ends_at_once() {
        for text in ["", "\n", "ts,name", "ts,name\n", "ts,name\r\n\r\n"] {
            let (records, dead) = read(text.as_bytes(), Columns::of(["ts", "name"]));
            assert_eq!((records.len(), dead.len()), (0, 0), "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_opened_is_named() {
        let open = |path: &str| CsvSource::open(path, Columns::all(), decode).map(|_| ());
        let error = open("no-such.csv").unwrap_err().to_string();
        assert!(error.starts_with("open no-such.csv: "), "{error}");
        let directory = std::env::temp_dir().display().to_string();
        let error = open(&directory).unwrap_err().to_string();
        assert!(error.starts_with(&format!("read {directory}: ")), "{error}");
    }

    #[test]
    fn a_pipe_gives_what_it_has() {
        struct Dribble(Vec<&'static [u8]>);
        impl Read for Dribble {
            fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
                let Some(next) = self.0.pop() else { return Err(std::io::Error::other("broken")) };
                into[..next.len()].copy_from_slice(next);
                Ok(next.len())
            }
        }
        let input = Dribble(vec![b"3,c\n", b"1,a\n2,b\n"]);
        let mut source = CsvSource::from_reader("-", input, Columns::all(), decode).unwrap();
        let mut poll = |want| {
            let mut n = 0;
            let polled = source.poll(0, Timestamp(0), 100, &mut |_| n += 1);
            assert_eq!(n, want);
            polled.map_err(|e| e.to_string())
        };
        assert_eq!(poll(2), Ok(Polled::open()));
        assert_eq!(poll(1), Ok(Polled::open()));
        assert_eq!(poll(0), Err("read -: broken".to_owned()));
    }
}
