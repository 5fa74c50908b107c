//! The operator behind a window join.

use std::rc::Rc;

use crate::dataflow::{
    Batch, Checkpoint, Context, KeyColumn, Operator, Pace, Pressure, Reached, Record, Saved, Shown,
    TwoInput, Work,
};
use crate::error::Error;
use crate::exchange::LateRecords;
use crate::join::{FanOut, Inputs};
use crate::metrics::Counter;
use crate::state::{Chunks, Cursor, EachBulk, Key, Pane, Panes, Queue, Stored};
use crate::time::{Timestamp, Watermark};
use crate::window::{Cuts, Stretch};
use crate::window_join::Kind;
use crate::window_join::turn::{Next, Pair, Turn};

/// What the operator is told.
pub struct Settings {
    pub cuts: Rc<dyn Cuts>,
    pub kind: Kind,
    pub fan_out: FanOut,
    pub fire_max: usize,
    pub batch_max: usize,
    pub records_max: usize,
    pub hash_seed: u64,
}

/// One input: how it is keyed, and what becomes of its late records.
struct Input<K, T: Copy> {
    keys: Rc<dyn KeyColumn<K, T>>,
    /// The keys of the batch in hand.
    column: Vec<K>,
    late: LateRecords<T>,
    /// The records of all windows.
    kept: Chunks<T>,
    /// Windows that end up to here take no record of this input any more.
    closed: Timestamp,
}

impl<K: Key, T: Copy + Stored> Input<K, T> {
    fn new(keys: Rc<dyn KeyColumn<K, T>>, late: LateRecords<T>, batch_max: usize) -> Self {
        let column = Vec::with_capacity(batch_max);
        Self { keys, column, late, kept: Chunks::new(), closed: Timestamp::MIN }
    }

    /// Puts the records of a batch into the windows that still take them; `side` says which queue
    /// of a key it is.
    fn take(
        &mut self,
        batch: Batch<'_, T>,
        cuts: &dyn Cuts,
        panes: &mut Panes<K, Pair>,
        side: fn(&mut Pair) -> &mut Queue,
        cx: &mut Context,
    ) {
        self.keys.extract(batch.as_slice(), &mut self.column);
        for (&key, record) in self.column.iter().zip(batch) {
            let slice = match cuts.stretch(record.at.as_nanos()) {
                Stretch::Slice(slice) => slice.start.as_nanos(),
                Stretch::Gap(_) => {
                    self.late.send(record, cx);
                    continue;
                }
            };
            let last = cuts.last_end(slice);
            if last <= self.closed.as_nanos() {
                self.late.count_and_send(record, cx);
                continue;
            }
            let first = cuts.first_end(slice);
            let mut end = match first > self.closed.as_nanos() {
                true => first,
                false => cuts.end_after(self.closed.as_nanos()),
            };
            loop {
                let pair = window(panes, end).table.entry(key);
                self.kept.push(side(pair), record.value);
                if end >= last {
                    break;
                }
                end = cuts.end_after(end);
            }
        }
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

/// Keeps the records of both inputs by window and key, and pairs them when the window closes.
pub struct WindowJoinOperator<K: Key, L: Copy, R: Copy, F, N> {
    settings: Settings,
    lateness_ns: i64,
    panes: Panes<K, Pair>,
    left: Input<K, L>,
    right: Input<K, R>,
    select: F,
    /// Windows that end up to here fire.
    reached: Timestamp,
    /// Where the window that fires is being walked, and the key whose turn it is.
    cursor: Cursor,
    turn: Option<Turn>,
    pace: Pace,
    next: N,
}

impl<K: Key, L: Copy + Stored, R: Copy + Stored, F, N> WindowJoinOperator<K, L, R, F, N> {
    /// An operator that keeps nothing yet.
    pub fn new(settings: Settings, inputs: Inputs<K, L, R>, select: F, next: N) -> Self {
        let Inputs { keys, late, lateness_ns } = inputs;
        let Settings { batch_max, hash_seed, .. } = settings;
        let (left, right) =
            (LateRecords::new(late.0, batch_max), LateRecords::new(late.1, batch_max));
        Self {
            lateness_ns,
            panes: Panes::new(hash_seed),
            left: Input::new(keys.0, left, batch_max),
            right: Input::new(keys.1, right, batch_max),
            settings,
            select,
            reached: Timestamp::MIN,
            cursor: Cursor::default(),
            turn: None,
            pace: Pace::new(),
            next,
        }
    }

    /// Records were kept.
    fn check(&mut self, records: usize, cx: &mut Context) {
        cx.reached_state(records as u64);
        let (kept, limit) =
            (self.left.kept.len() + self.right.kept.len(), self.settings.records_max);
        if kept > limit {
            let (operator, what) = ("window join", "records in windows");
            cx.fail(Error::Limit { operator, what, limit, setting: "records_max" });
        }
    }

    /// What is to come that counts as event time: `at`, less the lateness, unless that is an end
    /// of time.
    fn less_lateness(&self, at: Timestamp) -> Timestamp {
        match at {
            Timestamp::MIN | Timestamp::MAX => at,
            _ => at.offset(-self.lateness_ns),
        }
    }
}

impl<K, L, R, F, Out, N> WindowJoinOperator<K, L, R, F, N>
where
    K: Key,
    L: Copy + Stored,
    R: Copy + Stored,
    F: FnMut(Option<&L>, Option<&R>) -> Option<Out>,
    N: Operator<Out>,
{
    /// Fires windows that are due, a slice of them, while there is room.
    fn fire(&mut self, cx: &mut Context) -> Work {
        let Self { settings, panes, left, right, select, cursor, turn, pace, next, .. } = self;
        let reached = self.reached.as_nanos();
        let slice = [settings.fire_max, settings.batch_max];
        pace.fire(slice, next, cx, |next, cx| {
            let Some(end) = panes.iter().next().map(|pane| pane.end).filter(|end| *end <= reached)
            else {
                return panes.clean_slice(1);
            };
            let Some(now) = turn else {
                let is_over = panes.get(0).table.visit(cursor, 1, |_, pair| {
                    *turn = Some(Turn::of(*pair));
                });
                if is_over && turn.is_none() {
                    panes.retire_oldest();
                    *cursor = Cursor::default();
                }
                return true;
            };
            match now.next(settings.kind, &mut left.kept, &mut right.kept) {
                Next::Out(l, r, number) if settings.fan_out.allows("window join", number, cx) => {
                    if let Some(value) = select(l.as_ref(), r.as_ref()) {
                        next.on_record(Record::new(Timestamp(end - 1), value), cx);
                    }
                }
                Next::Out(..) => {
                    let others = now.skip_partners(&left.kept);
                    cx.count(Counter::PairsDropped, 1 + u64::from(others));
                }
                Next::Dropped => {}
                Next::Over => *turn = None,
            }
            true
        })
    }
}

impl<K, L, R, F, Out, N> TwoInput<L, R> for WindowJoinOperator<K, L, R, F, N>
where
    K: Key,
    L: Copy + Stored,
    R: Copy + Stored,
    Out: 'static,
    F: FnMut(Option<&L>, Option<&R>) -> Option<Out> + 'static,
    N: Operator<Out>,
{
    fn on_left(&mut self, batch: Batch<'_, L>, cx: &mut Context) {
        self.pace.on_batch();
        let records = batch.len();
        let Self { settings, panes, left, .. } = self;
        left.take(batch, &*settings.cuts, panes, |pair| &mut pair.left, cx);
        self.check(records, cx);
    }

    fn on_right(&mut self, batch: Batch<'_, R>, cx: &mut Context) {
        self.pace.on_batch();
        let records = batch.len();
        let Self { settings, panes, right, .. } = self;
        right.take(batch, &*settings.cuts, panes, |pair| &mut pair.right, cx);
        self.check(records, cx);
    }

    fn on_reached(&mut self, reached: Reached, cx: &mut Context) {
        self.left.closed = self.less_lateness(reached.left);
        self.right.closed = self.less_lateness(reached.right);
        self.reached = self.less_lateness(reached.both.at);
        let watermark = Watermark { at: self.reached, idle: reached.both.idle };
        self.pace.on_work(watermark, cx);
        self.left.late.on_watermark(reached.both);
        self.right.late.on_watermark(reached.both);
    }

    fn on_batch_end(&mut self, cx: &mut Context) {
        self.left.late.on_batch_end(cx);
        self.right.late.on_batch_end(cx);
        self.fire(cx);
    }

    fn resume(&mut self, cx: &mut Context) -> Work {
        let mut work = self.next.resume(cx);
        work += self.left.late.resume(cx);
        work += self.right.late.resume(cx);
        work += self.fire(cx);
        work
    }

    fn pressure(&self) -> Pressure {
        let late = self.left.late.pressure().max(self.right.late.pressure());
        self.pace.pressure().max(late).max(self.next.pressure())
    }

    fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context) {
        self.left.late.on_checkpoint(checkpoint, cx);
        self.right.late.on_checkpoint(checkpoint, cx);
        self.next.on_checkpoint(checkpoint, cx);
    }

    /// How many records each window holds of each key, on either side.
    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        for pane in self.panes.iter() {
            let span = self.settings.cuts.window(pane.end);
            pane.table.visit(&mut Cursor::default(), usize::MAX, |key, pair| {
                let held = (pair.left.len(), pair.right.len());
                each(Shown::in_slice("window join", (span.start, span.end), &key, &held));
            });
        }
        self.next.inspect(each);
    }

    fn save(&self, out: &mut Saved) {
        out.at_rest("window join", !self.pace.is_pending(), "fires");
        out.unseen::<F>("window join");
        out.put("window join", &self.panes);
        out.put("window join", &self.left.kept);
        out.put("window join", &self.right.kept);
        out.put("window join", &[self.left.closed, self.right.closed, self.reached]);
        out.put("window join", &self.pace);
        self.left.late.save(out);
        self.right.late.save(out);
        self.next.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        from.take("window join", &mut self.panes);
        from.take("window join", &mut self.left.kept);
        from.take("window join", &mut self.right.kept);
        let mut times = [self.left.closed, self.right.closed, self.reached];
        from.take("window join", &mut times);
        [self.left.closed, self.right.closed, self.reached] = times;
        from.take("window join", &mut self.pace);
        self.left.late.load(from);
        self.right.late.load(from);
        self.next.load(from);
    }

    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        self.panes.bulk(each);
        self.left.kept.bulk(each);
        self.right.kept.bulk(each);
        self.next.bulk(each);
    }
}
