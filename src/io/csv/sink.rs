//! Lines out of records.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use crate::dataflow::Record;
use crate::error::IoError;
use crate::io::Sink;
use crate::time::Timestamp;

/// A buffer that holds this much is written without waiting for the end of the batch.
const WRITE_BYTES: usize = 64 << 10;

/// A line under construction: fields are added in order, commas and quotes come by themselves.
#[derive(Debug)]
pub struct Line<'a> {
    buffer: &'a mut Vec<u8>,
    start: usize,
    is_first: bool,
}

impl Line<'_> {
    /// Adds text, quoted if it holds a comma, a quote or the end of a line.
    #[inline]
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.comma();
        if !text.bytes().any(|b| matches!(b, b',' | b'"' | b'\n' | b'\r')) {
            self.buffer.extend_from_slice(text.as_bytes());
            return self;
        }
        self.buffer.push(b'"');
        for byte in text.bytes() {
            let doubled = if byte == b'"' { &b"\"\""[..] } else { &[byte] };
            self.buffer.extend_from_slice(doubled);
        }
        self.buffer.push(b'"');
        self
    }

    /// Adds a number as `Display` writes it: integers in full, floats with the fewest digits that
    /// read back as the same float.
    ///
    /// Nothing is quoted, so what is displayed must hold no comma, quote or line end.
    #[inline]
    pub fn number(&mut self, number: impl Display) -> &mut Self {
        self.comma();
        // Writing into a Vec does not fail.
        let _ = write!(self.buffer, "{number}");
        self
    }

    /// Adds a time, in nanoseconds since the epoch.
    #[inline]
    pub fn time(&mut self, time: Timestamp) -> &mut Self {
        self.number(time.0)
    }

    #[inline]
    fn comma(&mut self) {
        if !self.is_first {
            self.buffer.push(b',');
        }
        self.is_first = false;
    }

    fn end(self) {
        if self.buffer.len() == self.start {
            // A blank line would be no record.
            self.buffer.extend_from_slice(b"\"\"");
        }
        self.buffer.push(b'\n');
    }
}

/// A sink that writes one line of CSV a record.
///
/// Lines are built whole in memory and written once a batch, or every 64 KiB. When a file cannot
/// take all of them (the disk is full) it is cut back to the end of its last whole line, and the
/// error names it; the lines that it lacks are kept, and a later call tries again. A pipe cannot be
/// cut: whoever reads it may find the last line broken. Writing may block. Nothing is synced: what
/// the sink wrote survives the process, not the machine.
///
/// ```
/// use millstream::io::Sink;
/// use millstream::io::csv::{CsvSink, Line};
/// use millstream::{Record, Timestamp};
///
/// let path = std::env::temp_dir().join("millstream-doc-sink.csv");
/// let mut sink = CsvSink::create(&path, "key,at,price", |bar: &Record<f64>, line: &mut Line| {
///     line.text("AAPL, Inc.").time(bar.at).number(bar.value);
/// })?;
/// sink.accept(Record::new(Timestamp(7), 585.33))?;
/// sink.end_of_stream()?;
/// assert_eq!(std::fs::read_to_string(&path)?, "key,at,price\n\"AAPL, Inc.\",7,585.33\n");
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct CsvSink<E> {
    place: String,
    out: Out,
    /// Whole lines that are not yet written.
    buffer: Vec<u8>,
    encode: E,
}

enum Out {
    File {
        file: File,
        /// The length of the file up to the end of its last whole line.
        whole: u64,
    },
    Stream(Box<dyn Write>),
}

impl<E> CsvSink<E> {
    /// Creates the file, or empties it, and writes `header` as its first line unless that is empty.
    ///
    /// The path `-` is standard output. `encode` adds the fields of a record to a [`Line`].
    ///
    /// # Errors
    /// If the file cannot be created or written.
    pub fn create<T>(path: impl AsRef<Path>, header: &str, encode: E) -> Result<Self, IoError>
    where
        E: FnMut(&Record<T>, &mut Line<'_>),
    {
        let path = path.as_ref();
        if path.as_os_str() == "-" {
            return Self::to_writer("standard output", io::stdout(), header, encode);
        }
        let place = path.display().to_string();
        let file = File::create(path).map_err(|e| IoError::new("create", &place, e))?;
        // Only a plain file has a length that can be cut back.
        let out = match file.metadata() {
            Ok(metadata) if metadata.is_file() => Out::File { file, whole: 0 },
            _ => Out::Stream(Box::new(file)),
        };
        Self::new(place, out, header, encode)
    }

    /// Writes to anything that can be written to; `place` is what errors call it.
    ///
    /// # Errors
    /// If the header cannot be written.
    pub fn to_writer<T>(
        place: impl Into<String>,
        out: impl Write + 'static,
        header: &str,
        encode: E,
    ) -> Result<Self, IoError>
    where
        E: FnMut(&Record<T>, &mut Line<'_>),
    {
        Self::new(place.into(), Out::Stream(Box::new(out)), header, encode)
    }

    fn new(place: String, out: Out, header: &str, encode: E) -> Result<Self, IoError> {
        // Room for a line beyond the mark, so that the buffer does not grow in the hot loop.
        let buffer = Vec::with_capacity(WRITE_BYTES + (WRITE_BYTES >> 2));
        let mut sink = Self { place, out, buffer, encode };
        if !header.is_empty() {
            sink.buffer.extend_from_slice(header.as_bytes());
            sink.buffer.push(b'\n');
            sink.write()?;
        }
        Ok(sink)
    }

    /// Writes the buffer; on failure keeps what is not written.
    fn write(&mut self) -> Result<(), IoError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let (done, result) = match &mut self.out {
            Out::File { file, whole } => write_file(file, whole, &self.buffer),
            Out::Stream(out) => write_some(out, &self.buffer),
        };
        self.buffer.drain(..done);
        result.map_err(|e| IoError::new("write", &self.place, e))
    }

    fn flush(&mut self) -> Result<(), IoError> {
        self.write()?;
        let flushed = match &mut self.out {
            Out::File { file, .. } => file.flush(),
            Out::Stream(out) => out.flush(),
        };
        flushed.map_err(|e| IoError::new("write", &self.place, e))
    }
}

/// Writes lines and says how many bytes of them are there to stay: all of them or whole lines.
fn write_file(file: &mut File, whole: &mut u64, lines: &[u8]) -> (usize, io::Result<()>) {
    let (got, result) = write_some(file, lines);
    let kept = if result.is_ok() { got } else { whole_lines(&lines[..got]) };
    *whole += kept as u64;
    if result.is_err() {
        // If even this fails there is nothing left to do; the first error is the one to report.
        let _ = file.set_len(*whole).and_then(|()| file.seek(SeekFrom::Start(*whole)));
    }
    (kept, result)
}

/// Writes until all is written or the system refuses, and says how much is written.
fn write_some(out: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut done = 0;
    while done < bytes.len() {
        match out.write(&bytes[done..]) {
            Ok(0) => return (done, Err(io::ErrorKind::WriteZero.into())),
            Ok(n) => done += n.min(bytes.len() - done),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return (done, Err(e)),
        }
    }
    (done, Ok(()))
}

/// The length of the whole lines that these bytes start with. A line feed inside quotes ends none.
fn whole_lines(bytes: &[u8]) -> usize {
    let (mut quoted, mut whole) = (false, 0);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => whole = at + 1,
            _ => {}
        }
    }
    whole
}

impl<T, E: FnMut(&Record<T>, &mut Line<'_>) + 'static> Sink<T> for CsvSink<E> {
    #[inline]
    fn accept(&mut self, record: Record<T>) -> Result<(), IoError> {
        if self.buffer.len() >= WRITE_BYTES {
            self.write()?;
        }
        let start = self.buffer.len();
        let mut line = Line { buffer: &mut self.buffer, start, is_first: true };
        (self.encode)(&record, &mut line);
        line.end();
        Ok(())
    }

    fn end_of_batch(&mut self) -> Result<(), IoError> {
        self.flush()
    }

    fn end_of_stream(&mut self) -> Result<(), IoError> {
        self.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    /// A writer that takes `step` bytes a call and `room` in all.
    #[derive(Clone)]
    struct Tight {
        step: usize,
        room: usize,
        got: Rc<RefCell<Vec<u8>>>,
    }

    impl Write for Tight {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = bytes.len().min(self.step).min(self.room - self.got.borrow().len());
            if n == 0 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.got.borrow_mut().extend_from_slice(&bytes[..n]);
            Ok(n)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn tight(step: usize, room: usize) -> Tight {
        Tight { step, room, got: Rc::default() }
    }

    fn text(record: &Record<&'static str>, line: &mut Line<'_>) {
        line.time(record.at).text(record.value);
    }

    #[test]
    fn short_writes_are_gone_on_with() {
        let out = tight(3, 1000);
        let mut sink = CsvSink::to_writer("t", out.clone(), "at,text", text).unwrap();
        for value in ["plain", "a,b", "say \"hi\"", "two\nlines", ""] {
            sink.accept(Record::new(Timestamp(-1), value)).unwrap();
        }
        sink.end_of_batch().unwrap();
        let want = "at,text\n-1,plain\n-1,\"a,b\"\n-1,\"say \"\"hi\"\"\"\n-1,\"two\nlines\"\n-1,\n";
        assert_eq!(String::from_utf8_lossy(&out.got.borrow()), want);
    }

    #[test]
    fn a_reader_that_is_gone_is_named() {
        let mut sink = CsvSink::to_writer("pipe", tight(2, 11), "at,text", text).unwrap();
        sink.accept(Record::new(Timestamp(1), "one")).unwrap();
        let error = sink.end_of_stream().unwrap_err();
        assert_eq!((error.action, error.place.as_str()), ("write", "pipe"));
        assert_eq!(error.cause.kind(), io::ErrorKind::BrokenPipe);
        let header = CsvSink::to_writer("pipe", tight(2, 3), "at,text", text);
        assert!(header.is_err(), "the header is written at once");
    }

    #[test]
    fn a_full_buffer_is_written_within_a_batch_and_stays_bounded() {
        let out = tight(usize::MAX, usize::MAX);
        let mut sink = CsvSink::to_writer("t", out.clone(), "", text).unwrap();
        let capacity = sink.buffer.capacity();
        for _ in 0..50_000 {
            sink.accept(Record::new(Timestamp(0), "0123456789")).unwrap();
        }
        assert!(out.got.borrow().len() > 500_000);
        assert_eq!(sink.buffer.capacity(), capacity);
    }

    #[test]
    fn a_line_is_never_blank() {
        let out = tight(9, 99);
        let nothing = |_: &Record<u8>, _: &mut Line<'_>| ();
        let mut sink = CsvSink::to_writer("t", out.clone(), "", nothing).unwrap();
        sink.accept(Record::new(Timestamp(0), 0)).unwrap();
        sink.end_of_batch().unwrap();
        assert_eq!(*out.got.borrow(), b"\"\"\n");
    }

    #[test]
    fn whole_lines_only() {
        assert_eq!(whole_lines(b"a,b\nc"), 4);
        assert_eq!(whole_lines(b"a,\"b\nc"), 0);
        assert_eq!(whole_lines(b"a,\"b\nc\"\nd,\"\"\"\n"), 8);
        assert_eq!(whole_lines(b""), 0);
    }

    #[test]
    fn a_full_disk_is_an_error_before_and_after_the_start() {
        if !Path::new("/dev/full").exists() {
            return;
        }
        assert!(CsvSink::create("/dev/full", "at,text", text).is_err());
        let mut sink = CsvSink::create("/dev/full", "", text).unwrap();
        sink.accept(Record::new(Timestamp(0), "x")).unwrap();
        let error = sink.end_of_batch().unwrap_err();
        assert_eq!(error.place, "/dev/full");
        assert_eq!(error.cause.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn what_is_refused_is_kept_and_tried_again() {
        // A file that was opened for reading refuses every write: as a full disk does, but here.
        let path = std::env::temp_dir().join(format!("millstream-sink-{}", std::process::id()));
        let mut sink = CsvSink::create(&path, "at,text", text).unwrap();
        let refusing = File::open(&path).unwrap();
        let Out::File { file, .. } = &mut sink.out else { panic!("a plain file") };
        let writable = std::mem::replace(file, refusing);
        sink.accept(Record::new(Timestamp(1), "a")).unwrap();
        assert!(sink.end_of_batch().is_err());
        let Out::File { file, .. } = &mut sink.out else { panic!("a plain file") };
        *file = writable;
        sink.end_of_stream().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "at,text\n1,a\n");
        std::fs::remove_file(&path).unwrap();
    }
}
