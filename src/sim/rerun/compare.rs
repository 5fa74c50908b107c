//! Where two reruns part.

use std::io::BufRead;

use crate::error::Result;
use crate::sim::rerun::{At, Entry, LogReader};

/// What a comparison of two logs comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// All results are the same, so many of them; and the states, where they can be compared.
    Same {
        /// How many results there are.
        results: u64,
    },
    /// They differ, here first.
    Differ(Difference),
}

/// The first difference of two logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Up to this record they agree; none if they differ from the start.
    pub after: Option<At>,
    /// The record by which they differ: what is behind it is this record or one that came since
    /// [`after`](Self::after), if it is not older still.
    pub at: At,
    /// What differs is not a result but what the shards hold.
    pub is_state: bool,
    /// What the first log says there, if it says anything.
    pub first: Option<String>,
    /// What the second log says there, if it says anything.
    pub second: Option<String>,
}

/// Finds the first difference of two logs: of two builds on one journal, or of two runs that should
/// be the same.
///
/// Logs of different numbers of shards agree if the results of each record are the same, in
/// whatever order; what the shards hold is not compared then.
///
/// ```
/// use millstream::io::MemorySource;
/// use millstream::sim::{At, Comparison, LogReader, OutputLog, Rerun, compare};
/// use millstream::{Record, Timestamp};
/// # fn main() -> millstream::Result<()> {
/// let squares = |wrong: i64| {
///     let log = OutputLog::in_memory();
///     Rerun::new(1).run(&log, |p| {
///         let numbers = (0..10).map(|n| Record::new(Timestamp(n), n)).collect::<Vec<_>>();
///         p.source(MemorySource::new(numbers))
///             .map(move |n| if n == wrong { 0 } else { n * n })
///             .sink(log.sink(|square, text| *text = format!("{}", square.value)));
///         Ok(())
///     })?;
///     Ok::<_, millstream::Error>(log.text())
/// };
/// let (old, new) = (squares(99)?, squares(7)?);
/// let reader = |name: &str, text| LogReader::new(name, std::io::Cursor::new(text));
/// let Comparison::Differ(first) = compare(reader("old", old)?, reader("new", new)?)? else {
///     panic!("they differ");
/// };
/// assert_eq!((first.after, first.at), (Some(At::Record(6)), At::Record(7)));
/// assert_eq!((first.first.as_deref(), first.second.as_deref()), (Some("49"), Some("0")));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// A log that is damaged or cut off; what the system said.
pub fn compare(
    first: LogReader<impl BufRead>,
    second: LogReader<impl BufRead>,
) -> Result<Comparison> {
    let is_in_order = first.shards() == second.shards();
    let (mut first, mut second) = (Groups::new(first)?, Groups::new(second)?);
    let (mut after, mut results) = (None, 0);
    while let Some(at) = [first.at(), second.at()].into_iter().flatten().min() {
        let (ours, theirs) = (first.take(at, is_in_order)?, second.take(at, is_in_order)?);
        if let Some((is_state, first, second)) = first_of(&ours, &theirs) {
            return Ok(Comparison::Differ(Difference { after, at, is_state, first, second }));
        }
        results += ours.iter().filter(|(is_state, _)| !is_state).count() as u64;
        after = Some(at);
    }
    let (ours, theirs) = (first.state, second.state);
    if is_in_order && ours != theirs {
        let (at, is_state) = (At::End, true);
        return Ok(Comparison::Differ(Difference {
            after,
            at,
            is_state,
            first: ours,
            second: theirs,
        }));
    }
    Ok(Comparison::Same { results })
}

/// What a log says of one record: whether it is a state, and the text.
type Said = Vec<(bool, String)>;

/// The first place where they differ.
fn first_of(ours: &Said, theirs: &Said) -> Option<(bool, Option<String>, Option<String>)> {
    let place = (0..ours.len().max(theirs.len())).find(|&at| ours.get(at) != theirs.get(at))?;
    let (ours, theirs) = (ours.get(place), theirs.get(place));
    let is_state = ours.or(theirs).is_some_and(|(is_state, _)| *is_state);
    let text = |said: Option<&(bool, String)>| said.map(|(_, text)| text.clone());
    Some((is_state, text(ours), text(theirs)))
}

/// A log, record by record.
struct Groups<R> {
    reader: LogReader<R>,
    next: Option<(At, bool, String)>,
    /// What the shards held in the end.
    state: Option<String>,
}

impl<R: BufRead> Groups<R> {
    fn new(reader: LogReader<R>) -> Result<Self> {
        let mut groups = Self { reader, next: None, state: None };
        groups.advance()?;
        Ok(groups)
    }

    fn at(&self) -> Option<At> {
        self.next.as_ref().map(|(at, ..)| *at)
    }

    fn advance(&mut self) -> Result<()> {
        self.next = None;
        match self.reader.next_entry()? {
            Some(Entry::ResultOf(at, text)) => self.next = Some((at, false, text)),
            Some(Entry::StateBehind(at, text)) => self.next = Some((at, true, text)),
            Some(Entry::Over(state)) => {
                self.state = Some(state);
                // Nothing may follow.
                self.reader.next_entry()?;
            }
            None => {}
        }
        Ok(())
    }

    /// All that is said of this record; in an order of its own and without states, if the order
    /// means nothing.
    fn take(&mut self, at: At, is_in_order: bool) -> Result<Said> {
        let mut said = Said::new();
        while self.at() == Some(at) {
            let (_, is_state, text) = self.next.take().unwrap_or((at, false, String::new()));
            if is_in_order || !is_state {
                said.push((is_state, text));
            }
            self.advance()?;
        }
        if !is_in_order {
            said.sort_unstable();
        }
        Ok(said)
    }
}
