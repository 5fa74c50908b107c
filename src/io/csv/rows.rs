//! Lines cut into fields.

use std::io::{Cursor, Read, SeekFrom};
use std::ops::Range;

use super::lines::{LINE_MAX, Lines, Read1};

/// How far a quoted field may reach over the ends of lines before it counts as not closed. Without
/// a limit, one stray quote would swallow the rest of the file.
const QUOTED_MAX: usize = 64 << 10;

/// What came of asking for a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A row; its fields are in the `Rows`.
    Row,
    /// An empty line, which is nothing.
    Blank,
    /// A line that is no row, and why.
    Malformed(&'static str),
    /// There are no more lines.
    End,
}

/// Reads rows: lines, or several lines where a quoted field goes over the end of one.
#[derive(Debug)]
pub(super) struct Rows<R> {
    lines: Lines<R>,
    /// The row as it is in the file.
    raw: Vec<u8>,
    /// The line that the row starts on, counted from 1.
    line: u64,
    /// Where the fields are in `text()`.
    bounds: Vec<Range<usize>>,
    /// Fields from this one on are not looked for.
    fields_max: usize,
    quoted: Quoted,
    is_quoted: bool,
}

impl<R: Read> Rows<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            lines: Lines::new(input),
            raw: Vec::new(),
            line: 0,
            bounds: Vec::new(),
            fields_max: usize::MAX,
            quoted: Quoted::new(),
            is_quoted: false,
        }
    }

    /// Stops looking for fields after the first `fields` of a row.
    pub(super) fn limit(&mut self, fields: usize) {
        self.fields_max = fields;
    }

    /// Whether the next row has to be waited for.
    #[inline]
    pub(super) fn is_drained(&self) -> bool {
        self.lines.is_drained()
    }

    /// The line that the row starts on, counted from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The row as it is in the file, without the end of its line.
    pub(super) fn raw(&self) -> &[u8] {
        trim_end(&self.raw)
    }

    /// What `bounds` cuts into fields.
    #[inline]
    pub(super) fn text(&self) -> &[u8] {
        if self.is_quoted { self.quoted.record.as_slice() } else { &self.raw }
    }

    /// Where the fields are in `text`.
    #[inline]
    pub(super) fn bounds(&self) -> &[Range<usize>] {
        &self.bounds
    }

    /// The fields of the row.
    pub(super) fn fields(&self) -> impl Iterator<Item = &[u8]> {
        self.bounds.iter().map(|bounds| &self.text()[bounds.clone()])
    }

    /// Has the row read again by the next call of `next`.
    pub(super) fn give_back(&mut self) {
        self.lines.give_back(&self.raw);
    }

    /// Reads the next row.
    #[inline]
    pub(super) fn next(&mut self) -> std::io::Result<Found> {
        self.raw.clear();
        let read = self.lines.read(&mut self.raw)?;
        self.line = self.lines.number();
        match read {
            Read1::End => return Ok(Found::End),
            Read1::TooLong => return Ok(Found::Malformed("longer than 1 MiB")),
            Read1::Line => {}
        }
        if self.line == 1 && self.raw.starts_with(b"\xef\xbb\xbf") {
            self.raw.drain(..3);
        }
        self.is_quoted = self.raw.contains(&b'"');
        if self.is_quoted {
            return self.next_quoted();
        }
        let line = trim_end(&self.raw);
        if line.is_empty() {
            return Ok(Found::Blank);
        }
        split(line, self.fields_max, &mut self.bounds);
        Ok(Found::Row)
    }

    /// Goes on with a row of whose first line is read and holds a quote.
    fn next_quoted(&mut self) -> std::io::Result<Found> {
        let first = self.raw.len();
        loop {
            if let Some(len) = self.quoted.parse(&self.raw, &mut self.bounds) {
                if !closes_cleanly(&self.raw[..len]) {
                    return Ok(self.only_first(first, "text after a closing quote"));
                }
                self.lines.give_back(&self.raw[len..]);
                self.raw.truncate(len);
                return Ok(Found::Row);
            }
            let more = self.read_more()?;
            if more == Read1::TooLong {
                // Its end is gone, so it cannot be read again: it goes with the first.
                return Ok(Found::Malformed("quote not closed before a line longer than 1 MiB"));
            }
            if more == Read1::End || self.raw.len() > QUOTED_MAX.max(first) {
                return Ok(self.only_first(first, "quote not closed"));
            }
        }
    }

    /// Reads one more line, or if there is much already, as much again: every attempt parses from
    /// the start, and the attempts must not add up to a square.
    fn read_more(&mut self) -> std::io::Result<Read1> {
        let until = if self.raw.len() < 4096 { 0 } else { 2 * self.raw.len() };
        loop {
            let more = self.lines.read(&mut self.raw)?;
            if more != Read1::Line || self.raw.len() >= until {
                return Ok(more);
            }
        }
    }

    /// Gives back what was read after the first line, so that a stray quote costs one line.
    fn only_first(&mut self, first: usize, reason: &'static str) -> Found {
        self.lines.give_back(&self.raw[first..]);
        self.raw.truncate(first);
        self.is_quoted = false;
        split(trim_end(&self.raw), self.fields_max, &mut self.bounds);
        Found::Malformed(reason)
    }
}

/// The line without its end.
#[inline]
fn trim_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Cuts a line that holds no quotes.
#[inline]
fn split(line: &[u8], fields_max: usize, bounds: &mut Vec<Range<usize>>) {
    bounds.clear();
    let mut start = 0;
    for (at, byte) in line.iter().enumerate() {
        if *byte == b',' {
            bounds.push(start..at);
            start = at + 1;
            if bounds.len() == fields_max {
                return;
            }
        }
    }
    bounds.push(start..line.len());
}

/// Whether every closing quote ends its field. The `csv` crate takes what follows for a part of the
/// field; but it is the mark of a stray quote, whose "field" reached up to the next one.
fn closes_cleanly(row: &[u8]) -> bool {
    let (mut quoted, mut at, mut start) = (false, 0, true);
    while let Some(byte) = row.get(at) {
        let next = row.get(at + 1).copied();
        match (byte, quoted) {
            (b'"', true) if next == Some(b'"') => at += 1,
            (b'"', true) => {
                if !matches!(next, None | Some(b',' | b'\n' | b'\r')) {
                    return false;
                }
                quoted = false;
            }
            (b'"', false) => quoted = start,
            _ => {}
        }
        start = *byte == b',' && !quoted;
        at += 1;
    }
    true
}

/// The rules of quoting, as the `csv` crate has them.
#[derive(Debug)]
struct Quoted {
    /// Reads the one row that is put into it; made once, as making it allocates.
    reader: csv::Reader<Cursor<Vec<u8>>>,
    record: csv::ByteRecord,
}

impl Quoted {
    fn new() -> Self {
        let mut builder = csv::ReaderBuilder::new();
        let builder = builder.has_headers(false).flexible(true).buffer_capacity(4096);
        let reader = builder.from_reader(Cursor::new(Vec::new()));
        Self { reader, record: csv::ByteRecord::new() }
    }

    /// Cuts the row that `raw` starts with and returns its length, line end included; `None` if
    /// `raw` ends inside quotes.
    fn parse(&mut self, raw: &[u8], bounds: &mut Vec<Range<usize>>) -> Option<usize> {
        debug_assert!(raw.len() <= 2 * (LINE_MAX + QUOTED_MAX));
        let input = self.reader.get_mut().get_mut();
        input.clear();
        input.extend_from_slice(raw);
        // A row that is complete does not touch this; one that is not takes it in.
        input.extend_from_slice(b"\n.");
        self.reader.seek_raw(SeekFrom::Start(0), csv::Position::new()).ok()?;
        self.reader.read_byte_record(&mut self.record).ok()?;
        let end = usize::try_from(self.reader.position().byte()).ok()?;
        let unfinished = end > raw.len() + 1;
        bounds.clear();
        bounds.extend((0..self.record.len()).filter_map(|field| self.record.range(field)));
        // The reader is done at a carriage return and leaves the line feed, which is ours.
        let len = if raw.get(end) == Some(&b'\n') { end + 1 } else { end.min(raw.len()) };
        (!unfinished).then_some(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(text: &str) -> Vec<(u64, Result<Vec<String>, &'static str>)> {
        let mut rows = Rows::new(text.as_bytes());
        let mut all = Vec::new();
        loop {
            match rows.next().unwrap() {
                Found::Blank => {}
                Found::End => return all,
                Found::Malformed(reason) => all.push((rows.line(), Err(reason))),
                Found::Row => {
                    let fields = rows.fields().map(|f| String::from_utf8_lossy(f).into_owned());
                    all.push((rows.line(), Ok(fields.collect())));
                }
            }
        }
    }

    fn row(fields: &[&str]) -> Result<Vec<String>, &'static str> {
        Ok(fields.iter().map(|f| f.to_string()).collect())
    }

    #[test]
    fn ends_of_lines_of_every_kind() {
        for end in ["\n", "\r\n"] {
            let text = format!("a,b{end}{end}\"c\",{end}d,\"e{end}f\"{end}g,h");
            let joined = format!("e{end}f");
            let want = [
                (1, row(&["a", "b"])),
                (3, row(&["c", ""])),
                (4, row(&["d", &joined])),
                (6, row(&["g", "h"])),
            ];
            assert_eq!(read_all(&text), want);
            assert_eq!(read_all(&(text + end)), want);
        }
        assert_eq!(read_all(""), []);
        assert_eq!(read_all("\u{feff}a\n"), [(1, row(&["a"]))]);
    }

    #[test]
    fn a_stray_quote_costs_one_line() {
        let tail = "x,y\n".repeat(40_000);
        let all = read_all(&format!("a,b\nc,\"d\ne,f\n{tail}"));
        assert_eq!(all[1], (2, Err("quote not closed")));
        assert_eq!(all[2], (3, row(&["e", "f"])));
        assert_eq!((all.len(), all.last().map(|(line, _)| *line)), (40_003, Some(40_003)));
        let all = read_all("\"a\nb,\"c\"\n\"");
        let after = "text after a closing quote";
        assert_eq!(all, [(1, Err(after)), (2, row(&["b", "c"])), (3, Err("quote not closed")),]);
    }

    #[test]
    fn fields_are_those_of_the_csv_crate() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..4_000 {
            let bytes = (0..random.usize(0..24)).map(|_| *random.choice(b",,\"\"\nab").unwrap());
            let text: String = bytes.map(char::from).collect();
            // An open quote at the end is where we differ, on purpose.
            let ours = read_all(&text);
            if ours.iter().any(|(_, row)| row.is_err()) {
                continue;
            }
            let mut builder = csv::ReaderBuilder::new();
            let builder = builder.has_headers(false).flexible(true);
            let theirs = builder.from_reader(text.as_bytes()).into_records();
            let theirs: Vec<Vec<String>> =
                theirs.map(|r| r.unwrap().iter().map(str::to_owned).collect()).collect();
            let ours: Vec<_> = ours.into_iter().filter_map(|(_, row)| row.ok()).collect();
            assert_eq!(ours, theirs, "{text:?}");
        }
    }
}
