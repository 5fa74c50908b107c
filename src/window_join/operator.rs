//! The operator behind a window join.

use std::rc::Rc;

use crate::dataflow::{
    Batch, Checkpoint, Context, Operator, Pace, Pressure, Reached, Record, Saved, Shown, TwoInput,
    Work,
};
use crate::error::Error;
use crate::join::{FanOut, Inputs};
use crate::metrics::Counter;
use crate::state::{Cursor, EachBulk, Key, Lists, Panes, Rescale, Rescaled, Stored};
use crate::time::{Timestamp, Watermark};
use crate::window::Cuts;
use crate::window_join::Kind;
use crate::window_join::firing::Firing;
use crate::window_join::input::Input;
use crate::window_join::turn::Pair;

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

/// Units of work for each record of a batch: mostly there are fewer windows that hold it.
const UNITS: usize = 8;

/// Keeps the records of both inputs by window and key, and pairs them when the window closes.
///
/// A record of more windows than there is work for in one step goes into the others later; what is
/// behind it, and event time, wait for that.
pub struct WindowJoinOperator<K: Key, L: Copy, R: Copy, F, N> {
    settings: Settings,
    lateness_ns: i64,
    panes: Panes<K, Pair>,
    left: Input<K, L>,
    right: Input<K, R>,
    select: F,
    /// Windows that end up to here fire.
    reached: Timestamp,
    /// What was told of event time behind records that wait.
    told: Option<Reached>,
    firing: Firing,
    pace: Pace,
    next: N,
}

impl<K: Key, L: Copy + Stored, R: Copy + Stored, F, N> WindowJoinOperator<K, L, R, F, N> {
    /// An operator that keeps nothing yet.
    pub fn new(settings: Settings, inputs: Inputs<K, L, R>, select: F, next: N) -> Self {
        let Inputs { keys, late, lateness_ns } = inputs;
        let Settings { batch_max, hash_seed, kind, .. } = settings;
        let asks_right = kind.pairs || kind.right;
        Self {
            lateness_ns,
            panes: Panes::new(hash_seed),
            left: Input::new(keys.0, late.0, batch_max, false, |pair| &mut pair.left),
            right: Input::new(keys.1, late.1, batch_max, !asks_right, |pair| &mut pair.right),
            settings,
            select,
            reached: Timestamp::MIN,
            told: None,
            firing: Firing::new(),
            pace: Pace::new(),
            next,
        }
    }

    /// Takes over the windows of the keys that are this shard's now.
    fn take_share(&mut self, to: &Rescale, from: &mut Saved) {
        let all: Vec<(usize, Panes<K, Pair>)> = from.take_shares("window join");
        let lefts = from.take_shares_of("window join", Lists::<L>::bulk);
        let rights = from.take_shares_of("window join", Lists::<R>::bulk);
        let Self { panes, left, right, .. } = self;
        for (((_, other), (_, lefts)), (_, rights)) in all.iter().zip(&lefts).zip(&rights) {
            let mut take_over = |_, pair: &mut Pair| {
                pair.left = left.kept.take_over(lefts, &pair.left);
                pair.right = right.kept.take_over(rights, &pair.right);
            };
            panes.take_over(other, |table, other| {
                table.take_over(other, |key| to.owns(key), &mut take_over);
            });
        }
    }

    /// Whether what arrives has to wait.
    fn holds(&self) -> bool {
        self.left.holds() || self.right.holds()
    }

    /// Units of work for a batch of so many records.
    fn units(&self, records: usize) -> usize {
        UNITS * self.settings.fire_max.max(records)
    }

    /// Puts records into windows that are still to be put there, a slice of them.
    fn go_on(&mut self, cx: &mut Context) -> Work {
        if !self.holds() {
            return Work::NONE;
        }
        let units = self.units(0);
        let Self { settings, panes, left, right, .. } = self;
        let mut left_over = units;
        left.go_on(&*settings.cuts, panes, &mut left_over, cx);
        right.go_on(&*settings.cuts, panes, &mut left_over, cx);
        if !self.holds()
            && let Some(told) = self.told.take()
        {
            self.reach(told, cx);
        }
        self.left.late.on_batch_end(cx);
        self.right.late.on_batch_end(cx);
        self.check(cx);
        Work((units - left_over) as u64 + 1)
    }

    /// Event time has come this far, and no record is left that came before that was told.
    fn reach(&mut self, reached: Reached, cx: &Context) {
        self.left.closed = self.less_lateness(reached.left);
        self.right.closed = self.less_lateness(reached.right);
        self.reached = self.less_lateness(reached.both.at);
        let watermark = Watermark { at: self.reached, idle: reached.both.idle };
        self.pace.on_work(watermark, cx);
        self.left.late.on_watermark(reached.both);
        self.right.late.on_watermark(reached.both);
    }

    /// Records were kept.
    fn check(&mut self, cx: &mut Context) {
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
        let Self { settings, panes, left, right, select, firing, pace, next, .. } = self;
        let (lefts, rights) = (&mut left.kept, &mut right.kept);
        let reached = self.reached.as_nanos();
        let slice = [settings.fire_max, settings.batch_max];
        pace.fire(slice, next, cx, |next, cx| {
            let Some(turn) = &mut firing.turn else {
                return firing.find_turn(settings.kind, panes, reached, lefts, rights);
            };
            let (left, right, number) = turn.now(lefts, rights);
            let is_over = if settings.fan_out.allows("window join", number, cx) {
                if let Some(value) = select(left, right) {
                    next.on_record(Record::new(Timestamp(firing.end - 1), value), cx);
                }
                turn.pass(lefts, rights)
            } else {
                cx.count(Counter::PairsDropped, turn.partners_left().into());
                turn.pass_left(lefts)
            };
            if is_over {
                firing.end_turn(lefts, rights);
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
        let (records, mut units) = (batch.len(), self.units(batch.len()));
        let Self { settings, panes, left, .. } = self;
        left.take(batch, &*settings.cuts, panes, &mut units, cx);
        cx.reached_state(records as u64);
        self.check(cx);
    }

    fn on_right(&mut self, batch: Batch<'_, R>, cx: &mut Context) {
        self.pace.on_batch();
        let (records, mut units) = (batch.len(), self.units(batch.len()));
        let Self { settings, panes, right, .. } = self;
        right.take(batch, &*settings.cuts, panes, &mut units, cx);
        cx.reached_state(records as u64);
        self.check(cx);
    }

    fn on_reached(&mut self, reached: Reached, cx: &mut Context) {
        match self.holds() {
            true => self.told = Some(reached),
            false => self.reach(reached, cx),
        }
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
        work += self.go_on(cx);
        work += self.fire(cx);
        work
    }

    fn pressure(&self) -> Pressure {
        if self.holds() {
            return Pressure::Full;
        }
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
        out.at_rest("window join", !self.holds(), "puts records into windows");
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
        match from.shares() {
            Some(to) => self.take_share(&to, from),
            None => {
                from.take("window join", &mut self.panes);
                from.take("window join", &mut self.left.kept);
                from.take("window join", &mut self.right.kept);
            }
        }
        let mut times = [self.left.closed, self.right.closed, self.reached];
        from.rescale_alike("window join", &mut times);
        [self.left.closed, self.right.closed, self.reached] = times;
        from.rescale_alike("window join", &mut self.pace);
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
