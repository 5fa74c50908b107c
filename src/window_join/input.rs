//! How the records of one input of a window join get into their windows.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::dataflow::{Batch, Context, KeyColumn, Record};
use crate::exchange::{LateRecords, Side};
use crate::state::{Key, List, Lists, Pane, Panes, Stored};
use crate::time::Timestamp;
use crate::window::{Cuts, Span, Stretch};
use crate::window_join::turn::Pair;

/// One input: how it is keyed, and what becomes of its records.
pub struct Input<K, T: Copy> {
    keys: Rc<dyn KeyColumn<K, T>>,
    /// The keys of the batch in hand.
    column: Vec<K>,
    pub late: LateRecords<T>,
    /// The records of all windows.
    pub kept: Lists<T>,
    /// Nobody asks what they are, but only whether there are any.
    counts: bool,
    /// Which list of a key and window they are in.
    list: fn(&mut Pair) -> &mut List,
    /// Windows that end up to here take no record of this input any more.
    pub closed: Timestamp,
    /// The slice of the last record, and when the first and the last window that holds it end.
    slice: (Span, i64, i64),
    /// A record that is not in all its windows yet.
    open: Option<Open<K, T>>,
    /// Those that arrived behind it.
    waiting: VecDeque<(K, Record<T>)>,
}

/// A record on its way into its windows.
struct Open<K, T> {
    key: K,
    value: T,
    /// The end of the next window that it goes into, and that of the last.
    next: i64,
    last: i64,
}

impl<K: Key, T: Copy + Stored> Input<K, T> {
    /// Nothing has arrived; `list` is the place of its records, which are only counted if it
    /// `counts`.
    pub fn new(
        keys: Rc<dyn KeyColumn<K, T>>,
        late: Option<Side<T>>,
        batch_max: usize,
        counts: bool,
        list: fn(&mut Pair) -> &mut List,
    ) -> Self {
        Self {
            keys,
            column: Vec::with_capacity(batch_max),
            late: LateRecords::new(late, batch_max),
            kept: Lists::new(),
            counts,
            list,
            closed: Timestamp::MIN,
            slice: (Span { start: Timestamp::MIN, end: Timestamp::MIN }, 0, 0),
            open: None,
            waiting: VecDeque::with_capacity(batch_max),
        }
    }

    /// Whether what arrives has to wait.
    pub fn holds(&self) -> bool {
        self.open.is_some()
    }

    /// Puts the records of a batch into the windows that still take them. A window of a record is a
    /// unit of work; what there are no units left for waits.
    pub fn take(
        &mut self,
        batch: Batch<'_, T>,
        cuts: &dyn Cuts,
        panes: &mut Panes<K, Pair>,
        units: &mut usize,
        cx: &mut Context,
    ) {
        let mut column = std::mem::take(&mut self.column);
        self.keys.extract(batch.as_slice(), &mut column);
        let (mut records, mut keys) = (batch.as_slice(), &column[..]);
        while let (&[record, ..], &[key, ..]) = (records, keys) {
            let together = self.together(records, *units);
            if together > 0 {
                self.put_together(&records[..together], &keys[..together], panes);
                *units -= together;
            } else if self.holds() {
                self.waiting.push_back((key, record));
            } else {
                self.open(key, record, cuts, cx);
                self.put(cuts, panes, units);
            }
            let done = together.max(1);
            (records, keys) = (&records[done..], &keys[done..]);
        }
        self.column = column;
    }

    /// How many of these records, from the first on, go into the one window of the slice in hand.
    #[inline]
    fn together(&self, records: &[Record<T>], units: usize) -> usize {
        let (span, first, last) = self.slice;
        if first != last || last <= self.closed.as_nanos() || self.holds() {
            return 0;
        }
        let is_here = |record: &&Record<T>| span.start <= record.at && record.at < span.end;
        records.iter().take(units).take_while(is_here).count()
    }

    /// Puts records into that window, with the cache misses of different keys overlapped.
    #[inline]
    fn put_together(&mut self, records: &[Record<T>], keys: &[K], panes: &mut Panes<K, Pair>) {
        let Self { kept, counts, list, slice: (_, end, _), .. } = self;
        let table = &mut window(panes, *end).table;
        match counts {
            true => table.update_batch(records, keys, |pair, _| kept.count(list(pair))),
            false => table.update_batch(records, keys, |pair, record| {
                kept.push(list(pair), record.value);
            }),
        }
    }

    /// Goes on with what was cut short.
    pub fn go_on(
        &mut self,
        cuts: &dyn Cuts,
        panes: &mut Panes<K, Pair>,
        units: &mut usize,
        cx: &mut Context,
    ) {
        while self.put(cuts, panes, units) {
            let Some((key, record)) = self.waiting.pop_front() else { return };
            self.open(key, record, cuts, cx);
        }
    }

    /// Finds the windows that still take a record, if there are any.
    fn open(&mut self, key: K, record: Record<T>, cuts: &dyn Cuts, cx: &mut Context) {
        let (span, ..) = self.slice;
        if record.at < span.start || record.at >= span.end {
            let Stretch::Slice(span) = cuts.stretch(record.at.as_nanos()) else {
                // It never had a window to be late for.
                return self.late.send(record, cx);
            };
            let start = span.start.as_nanos();
            self.slice = (span, cuts.first_end(start), cuts.last_end(start));
        }
        let ((_, first, last), closed) = (self.slice, self.closed.as_nanos());
        if last <= closed {
            return self.late.count_and_send(record, cx);
        }
        let next = if first > closed { first } else { cuts.end_after(closed) };
        self.open = Some(Open { key, value: record.value, next, last });
    }

    /// Puts the open record into its windows; true when it is in all of them.
    #[inline]
    fn put(&mut self, cuts: &dyn Cuts, panes: &mut Panes<K, Pair>, units: &mut usize) -> bool {
        let Some(open) = &mut self.open else { return true };
        loop {
            if *units == 0 {
                return false;
            }
            *units -= 1;
            let pair = window(panes, open.next).table.entry(open.key);
            match self.counts {
                true => self.kept.count((self.list)(pair)),
                false => self.kept.push((self.list)(pair), open.value),
            }
            if open.next >= open.last {
                break;
            }
            open.next = cuts.end_after(open.next);
        }
        self.open = None;
        true
    }
}

/// The pane of the window that ends at `end`, which is its name here: windows of one beginning may
/// have several ends.
fn window<K: Key>(panes: &mut Panes<K, Pair>, end: i64) -> &mut Pane<K, Pair> {
    match panes.find(end) {
        Some(index) => panes.get_mut(index),
        None => {
            let index = panes.open(end, end, end, end);
            panes.get_mut(index)
        }
    }
}
