//! Cases as text: what goes in and what comes out, to be read at a glance.

mod compare;
mod parse;
mod span;
mod word;

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::config::Config;
use crate::dataflow::{Pipeline, Record, Stage, Stream};
use crate::error::Result as BuildResult;
use crate::testing::{TestDriver, TestHead, TestInput, TestOutput};
use crate::time::Timestamp;
use compare::Row;
use parse::{Line, Place, Said, parse};

pub use word::{FromWord, ToWord};

/// A case as text: a line for each thing that is said to an input or wanted of an output, from top
/// to bottom.
///
/// ```
/// use millstream::aggregates::sum;
/// use millstream::testing::Marbles;
/// use millstream::{ms, Tumbling};
///
/// let case = "
///     trades  @1ms a:10  b:1  @9ms a:20     # windows of ten milliseconds, by key
///     trades  @10ms a:5                     # of the next window
///     trades  |wm 10ms
///     bars    @10ms- a:30  b:1
///
///     trades  @3ms b:7                      # its window has gone
///     late    @3ms b:7
///     trades  |end
///     bars    @20ms- a:5
/// ";
/// Marbles::check(case, |p, board| {
///     let trades = board.input::<(char, u64)>(p, "trades");
///     let windows = trades.key_by(|trade| trade.0).window(Tumbling::of(ms(10)));
///     let (bars, late) = windows.aggregate_with_late(sum(|trade: &(char, u64)| trade.1));
///     board.output("bars", bars);
///     board.output("late", late);
///     Ok(())
/// });
/// ```
///
/// # The notation
///
/// A line begins with the name of an input or an output; `#` begins a comment; white space is free.
///
/// | word | to an input | of an output |
/// |---|---|---|
/// | `@10ms` | the time of the values that follow on this line | the same |
/// | `a:10` | a record, read by [`FromWord`] | a record, written by [`ToWord`] |
/// | `\|wm 10ms` | a watermark | |
/// | `\|idle` | nothing comes for now | |
/// | `\|end` | the input ends | |
///
/// `wait 5ms` on a line by itself lets processing time pass. Times are whole or decimal numbers of
/// `ns`, `us`, `ms` or `s`; `10ms-` is the nanosecond before it, which is the timestamp of a window
/// that ends at 10 ms.
///
/// Lines of inputs are said in their order, and after each the pipeline runs until nothing is left
/// to do. At the lines of outputs that follow them, and at the end of the text, everything that
/// has come out must be what these lines say: of an output without a line, nothing. Results of the
/// same time may come in any order unless they have the same key, which is the word up to its
/// first `:`.
pub struct Marbles {
    lines: Vec<Line>,
}

impl Marbles {
    /// Reads the text of a case.
    ///
    /// # Errors
    /// The first line and column that make no sense, and why.
    pub fn parse(text: &str) -> Result<Self, MarbleError> {
        Ok(Self { lines: parse(text)? })
    }

    /// Builds a pipeline, says what the text says, and compares what comes out.
    ///
    /// # Errors
    /// The line at which something else came out, and what; a name that is no input or output, a
    /// value that cannot be read; a pipeline that could not be built or failed.
    pub fn run(
        &self,
        build: impl for<'p> FnOnce(Pipeline<'p>, &mut Board) -> BuildResult<()>,
    ) -> Result<(), MarbleError> {
        self.run_with(Config::embedded(), build)
    }

    /// Like [`run`](Self::run), with a config.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_with(
        &self,
        config: Config,
        build: impl for<'p> FnOnce(Pipeline<'p>, &mut Board) -> BuildResult<()>,
    ) -> Result<(), MarbleError> {
        let mut board = Board::default();
        let built = TestDriver::with_config(config, |p| build(p, &mut board));
        let at = Place { line: 1, column: 1 };
        let (mut driver, ()) = built.map_err(|error| at.error(error.to_string()))?;
        board.play(&self.lines, &mut driver)
    }

    /// Reads a case and runs it, for a test.
    ///
    /// # Panics
    /// With what [`parse`](Self::parse) or [`run`](Self::run) found wrong.
    #[track_caller]
    pub fn check(
        text: &str,
        build: impl for<'p> FnOnce(Pipeline<'p>, &mut Board) -> BuildResult<()>,
    ) {
        if let Err(error) = Self::parse(text).and_then(|case| case.run(build)) {
            panic!("{error}");
        }
    }
}

/// What was wrong with a case, or came out of it: it names the line and the column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarbleError {
    /// The line of the text, from 1.
    pub line: usize,
    /// The letter in that line, from 1.
    pub column: usize,
    /// What was wrong.
    pub reason: String,
}

impl fmt::Display for MarbleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "marbles:{}:{}: {}", self.line, self.column, self.reason)
    }
}

impl std::error::Error for MarbleError {}

/// The named inputs and outputs of a pipeline that a case is played on.
#[derive(Default)]
pub struct Board {
    inputs: BTreeMap<String, Box<dyn Say>>,
    outputs: BTreeMap<String, Box<dyn Fn() -> Vec<Row>>>,
}

impl Board {
    /// A [`test_input`](Pipeline::test_input) of this name.
    pub fn input<'p, T: FromWord>(
        &mut self,
        pipeline: Pipeline<'p>,
        name: &str,
    ) -> Stream<'p, TestHead<T>> {
        let (input, stream) = pipeline.test_input::<T>();
        self.inputs.insert(name.to_owned(), Box::new(input));
        stream
    }

    /// Ends a stream in a [`test_output`](Stream::test_output) of this name.
    pub fn output<T: ToWord + 'static>(
        &mut self,
        name: &str,
        stream: Stream<'_, impl Stage<Out = T>>,
    ) {
        let output: Rc<TestOutput<T>> = Rc::new(stream.test_output());
        let written = |record: Record<T>| Row { at: record.at, word: record.value.to_word() };
        let take = move || output.take().into_iter().map(written).collect();
        self.outputs.insert(name.to_owned(), Box::new(take));
    }

    /// Says the lines of inputs and compares at the lines of outputs.
    fn play(&self, lines: &[Line], driver: &mut TestDriver) -> Result<(), MarbleError> {
        let mut at = 0;
        while at < lines.len() {
            let begin = at;
            while let Some(line) = lines.get(at)
                && !self.outputs.contains_key(&line.name)
            {
                self.say(line, driver)?;
                driver.settle().map_err(|error| line.place.error(error.to_string()))?;
                at += 1;
            }
            let wanted = at;
            while lines.get(at).is_some_and(|line| self.outputs.contains_key(&line.name)) {
                at += 1;
            }
            // Where nothing is wanted, the last thing said is to blame.
            let last = lines[wanted.max(begin + 1) - 1].place;
            self.compare(&lines[wanted..at], last)?;
        }
        Ok(())
    }

    fn say(&self, line: &Line, driver: &mut TestDriver) -> Result<(), MarbleError> {
        if let Some(time) = line.wait() {
            let passed = driver.advance(Duration::from_nanos(time));
            return passed.map_err(|error| line.place.error(error.to_string()));
        }
        let Some(input) = self.inputs.get(&line.name) else {
            let names: Vec<&str> =
                self.inputs.keys().chain(self.outputs.keys()).map(String::as_str).collect();
            let (name, names) = (&line.name, names.join(", "));
            let what = format!("no input or output is named `{name}`; there are: {names}");
            return Err(line.place.error(what));
        };
        line.said.iter().try_for_each(|(place, said)| input.say(*place, said))
    }

    /// Compares everything that has come out with the lines of outputs, of which there may be none.
    fn compare(&self, wanted: &[Line], last: Place) -> Result<(), MarbleError> {
        for (name, take) in &self.outputs {
            let (got, lines) = (take(), wanted.iter().filter(|line| line.name == *name));
            let mut place = last;
            let mut want = Vec::new();
            for line in lines.clone() {
                want.extend(line.results()?);
            }
            if let Some(line) = lines.clone().next() {
                place = line.place;
            }
            if let Some(difference) = compare::difference(name, want, got) {
                return Err(place.error(difference));
            }
        }
        Ok(())
    }
}

/// An input whose type has been forgotten.
trait Say {
    fn say(&self, place: Place, said: &Said) -> Result<(), MarbleError>;
}

impl<T: FromWord> Say for TestInput<T> {
    fn say(&self, place: Place, said: &Said) -> Result<(), MarbleError> {
        if self.is_closed() {
            return Err(place.error("the input has ended".to_owned()));
        }
        match said {
            Said::Value { at: None, .. } => Err(place.error("a value needs a time: @1ms".into())),
            Said::Value { at: Some(at), word } => match T::from_word(word) {
                Some(value) => {
                    self.push(*at, value);
                    Ok(())
                }
                None => {
                    let kind = std::any::type_name::<T>();
                    Err(place.error(format!("`{word}` cannot be read as {kind}")))
                }
            },
            Said::Watermark(at) if *at < self.last_watermark() => {
                let before = span::text(self.last_watermark());
                Err(place.error(format!("a watermark never goes back: it was at {before}")))
            }
            Said::Watermark(at) => {
                self.watermark(*at);
                Ok(())
            }
            Said::Idle => {
                self.idle();
                Ok(())
            }
            Said::End => {
                self.close();
                Ok(())
            }
        }
    }
}

impl Line {
    /// The results that a line of an output wants.
    fn results(&self) -> Result<Vec<Row>, MarbleError> {
        let result = |(place, said): &(Place, Said)| match said {
            Said::Value { at: Some(at), word } => Ok(Row { at: *at, word: word.clone() }),
            Said::Value { at: None, .. } => {
                Err(place.error("a result needs a time: @1ms".to_owned()))
            }
            _ => Err(place.error("this is something to say to an input".to_owned())),
        };
        self.said.iter().map(result).collect()
    }

    /// How long to wait, if that is what the line says.
    fn wait(&self) -> Option<u64> {
        match (self.name.as_str(), &self.said[..]) {
            (parse::WAIT, [(_, Said::Watermark(Timestamp(time)))]) => u64::try_from(*time).ok(),
            _ => None,
        }
    }
}
