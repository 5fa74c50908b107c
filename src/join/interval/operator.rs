//! The operator behind an interval join.

use crate::dataflow::{
    Batch, Checkpoint, Context, Operator, Pace, Pressure, Reached, Record, Saved, Shown, TwoInput,
    Work,
};
use crate::error::Error;
use crate::join::bound::Interval;
use crate::join::interval::input::{Input, Part};
use crate::join::interval::{FanOut, Pairs, Rules};
use crate::join::outlet::Outlet;
use crate::join::pane::Entry;
use crate::join::sides::Inputs;
use crate::state::{EachBulk, Key, Rescaled, Stored};
use crate::time::{Timestamp, Watermark};

/// What the operator is told.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub name: &'static str,
    pub interval: Interval,
    pub rules: Rules,
    pub fan_out: FanOut,
    pub fire_max: usize,
    pub batch_max: usize,
    pub records_max: usize,
    pub hash_seed: u64,
}

/// Units of work for each record of a batch: it has its look-ups and mostly fewer partners.
const UNITS: usize = 8;

/// Pairs each record with those of the other input that are near in time.
///
/// A record is kept, then it looks for partners among what the other input keeps: so each pair is
/// found once, by whichever of the two comes later. A look that finds more than there is room for
/// stops where it is, and what is behind it waits.
pub struct IntervalOperator<K: Key, L: Copy, R: Copy, F, N> {
    settings: Settings,
    lateness_ns: i64,
    left: Input<K, L>,
    right: Input<K, R>,
    select: F,
    /// How far event time has come for the record in hand.
    reached: Reached,
    /// How far it has come behind the records that wait.
    told: Reached,
    pace: Pace,
    /// The ingress of the batch in hand.
    ingress: Timestamp,
    out: Outlet<N>,
}

/// What becomes of two records that belong together.
#[inline(always)]
fn meet<L, R, Out>(
    pairs: Pairs,
    select: &mut impl FnMut(Option<&L>, Option<&R>) -> Option<Out>,
    left: &mut Entry<L>,
    right: &mut Entry<R>,
) -> Option<Record<Out>> {
    let is_first = !left.matched;
    (left.matched, right.matched) = (true, true);
    match pairs {
        Pairs::All => {
            let value = select(Some(&left.value), Some(&right.value))?;
            Some(Record::new(left.at.max(right.at), value))
        }
        Pairs::First if is_first => Some(Record::new(left.at, select(Some(&left.value), None)?)),
        Pairs::First | Pairs::None => None,
    }
}

impl<K, L, R, F, N> IntervalOperator<K, L, R, F, N>
where
    K: Key,
    L: Copy + Stored,
    R: Copy + Stored,
{
    /// An operator that keeps nothing yet.
    pub fn new(settings: Settings, inputs: Inputs<K, L, R>, select: F, next: N) -> Self {
        let Inputs { keys, late, lateness_ns } = inputs;
        let Settings { interval, rules: Rules { pairs, left, right }, .. } = settings;
        let one_is_enough = pairs != Pairs::All;
        let left = Part { partners: interval, alone: left, one_is_enough };
        let right =
            Part { partners: interval.seen_from_right(), alone: right, one_is_enough: false };
        Self {
            left: Input::new(&settings, left, lateness_ns, keys.0, late.0),
            right: Input::new(&settings, right, lateness_ns, keys.1, late.1),
            lateness_ns,
            settings,
            select,
            reached: Reached::START,
            told: Reached::START,
            pace: Pace::new(),
            ingress: Timestamp::MIN,
            out: Outlet::new(next, settings.batch_max),
        }
    }

    /// Whether what arrives has to wait.
    #[inline(always)]
    fn holds(&self) -> bool {
        self.left.holds() || self.right.holds()
    }

    /// A batch of so many records comes.
    fn begin(&mut self, records: usize, cx: &Context) {
        self.pace.on_batch();
        self.out.begin(UNITS * self.settings.fire_max.max(records));
        self.ingress = cx.ingress;
    }

    /// Event time has come to where it was told to.
    fn reach(&mut self, cx: &Context) {
        self.reached = self.told;
        let watermark = self.watermark();
        self.pace.on_work(watermark, cx);
    }

    /// Nothing before this will be emitted any more.
    fn watermark(&mut self) -> Watermark {
        let Reached { left, right, both } = self.reached;
        let rules = self.settings.rules;
        let (left, right) = (self.left.other_reached(right), self.right.other_reached(left));
        if both.is_end() {
            return both;
        }
        let mut at = both.at;
        // A pair is as late as the later of the two, which may come as late as is allowed.
        if at != Timestamp::MIN {
            at = at.offset(-self.lateness_ns);
        }
        if rules.left || rules.pairs == Pairs::First {
            at = at.min(left);
        }
        if rules.right {
            at = at.min(right);
        }
        Watermark { at, idle: both.idle }
    }

    /// Records were kept.
    fn end(&mut self, cx: &mut Context) {
        if self.left.takes_past() | self.right.takes_past() {
            self.pace.on_work(self.pace.target(), cx);
        }
        if self.left.kept.len() + self.right.kept.len() > self.settings.records_max {
            cx.fail(Error::Limit {
                operator: self.settings.name,
                what: "records that wait for partners",
                limit: self.settings.records_max,
                setting: "records_max",
            });
        }
    }
}

impl<K, L, R, F, Out, N> IntervalOperator<K, L, R, F, N>
where
    K: Key,
    L: Copy + Stored,
    R: Copy + Stored,
    F: FnMut(Option<&L>, Option<&R>) -> Option<Out>,
    N: Operator<Out>,
{
    /// Emits what stays alone and drops what is past, a slice of it, while there is room.
    fn fire(&mut self, cx: &mut Context) -> Work {
        if self.holds() {
            return Work::NONE;
        }
        let Self { settings, left, right, select, reached, pace, out, .. } = self;
        let slice = [settings.fire_max, settings.batch_max];
        let work = pace.fire(slice, &mut out.next, cx, |next, cx| {
            left.act(|at, value| {
                if let Some(value) = select(Some(value), None) {
                    next.on_record(Record::new(at, value), cx);
                }
            }) || right.act(|at, value| {
                if let Some(value) = select(None, Some(value)) {
                    next.on_record(Record::new(at, value), cx);
                }
            })
        });
        if !pace.is_pending() && !work.is_none() {
            left.late.on_watermark(reached.both);
            left.late.on_batch_end(cx);
            right.late.on_watermark(reached.both);
            right.late.on_batch_end(cx);
        }
        work
    }

    /// Goes on with looks that were cut short.
    fn go_on(&mut self, cx: &mut Context) -> Work {
        if !self.holds() {
            return Work::NONE;
        }
        cx.ingress = self.ingress;
        let units = UNITS * self.settings.fire_max;
        let Self { settings, left, right, select, out, .. } = self;
        let pairs = settings.rules.pairs;
        out.begin(units);
        let mut opened = left.go_on(right, out, cx, |left, right| meet(pairs, select, left, right));
        opened += right.go_on(left, out, cx, |right, left| meet(pairs, select, left, right));
        out.publish(cx);
        let work = Work(opened + (units - out.left()) as u64);
        if !self.holds() && self.told != self.reached {
            self.reach(cx);
        }
        self.end(cx);
        work
    }
}

impl<K, L, R, F, Out, N> TwoInput<L, R> for IntervalOperator<K, L, R, F, N>
where
    K: Key,
    L: Copy + Stored,
    R: Copy + Stored,
    Out: 'static,
    F: FnMut(Option<&L>, Option<&R>) -> Option<Out> + 'static,
    N: Operator<Out>,
{
    fn on_left(&mut self, batch: Batch<'_, L>, cx: &mut Context) {
        let (records, pairs) = (batch.len(), self.settings.rules.pairs);
        self.begin(records, cx);
        let Self { left, right, select, reached, out, .. } = self;
        left.take(batch, reached.left, right, out, cx, |left, right| {
            meet(pairs, select, left, right)
        });
        cx.reached_state(records as u64);
        self.end(cx);
    }

    fn on_right(&mut self, batch: Batch<'_, R>, cx: &mut Context) {
        let (records, pairs) = (batch.len(), self.settings.rules.pairs);
        self.begin(records, cx);
        let Self { left, right, select, reached, out, .. } = self;
        right.take(batch, reached.right, left, out, cx, |right, left| {
            meet(pairs, select, left, right)
        });
        cx.reached_state(records as u64);
        self.end(cx);
    }

    fn on_reached(&mut self, reached: Reached, cx: &mut Context) {
        self.told = reached;
        if !self.holds() {
            self.reach(cx);
        }
    }

    fn on_batch_end(&mut self, cx: &mut Context) {
        self.out.publish(cx);
        self.left.late.on_batch_end(cx);
        self.right.late.on_batch_end(cx);
        self.fire(cx);
    }

    fn resume(&mut self, cx: &mut Context) -> Work {
        let mut work = self.out.next.resume(cx);
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
        self.pace.pressure().max(late).max(self.out.next.pressure())
    }

    fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context) {
        self.left.late.on_checkpoint(checkpoint, cx);
        self.right.late.on_checkpoint(checkpoint, cx);
        self.out.next.on_checkpoint(checkpoint, cx);
    }

    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        let name = self.settings.name;
        self.left.kept.visit(|key, value| each(Shown::value(name, &key, value)));
        self.right.kept.visit(|key, value| each(Shown::value(name, &key, value)));
        self.out.next.inspect(each);
    }

    fn save(&self, out: &mut Saved) {
        let name = self.settings.name;
        out.at_rest(name, !self.pace.is_pending(), "fires");
        out.unseen::<F>(name);
        out.put(name, &self.reached);
        out.put(name, &self.pace);
        self.left.save(out);
        self.right.save(out);
        self.out.next.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        // At rest all shards have come equally far.
        let name = self.settings.name;
        from.rescale_alike(name, &mut self.reached);
        from.rescale_alike(name, &mut self.pace);
        self.told = self.reached;
        self.left.load(from);
        self.right.load(from);
        self.out.next.load(from);
    }

    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        self.left.kept.bulk(each);
        self.right.kept.bulk(each);
        self.out.next.bulk(each);
    }
}
