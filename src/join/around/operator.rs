//! The operator behind windows around records.

use std::rc::Rc;

use crate::dataflow::{
    Batch, Context, KeyColumn, Operator, Pace, Pressure, Reached, Record, Saved, Shown, TwoInput,
    Work,
};
use crate::error::Error;
use crate::exchange::Side;
use crate::join::around::held::{Held, Rights};
use crate::join::arrivals::Arrivals;
use crate::join::bound::Interval;
use crate::join::in_order::{InOrder, Next};
use crate::state::Key;
use crate::time::{Timestamp, Watermark};

const NAME: &str = "window around";

/// What the operator is told.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub interval: Interval,
    /// Whether the record that is in force when the interval begins counts too.
    pub prevailing: bool,
    pub lateness_ns: i64,
    pub fire_max: usize,
    pub batch_max: usize,
    pub keys_max: usize,
    pub records_max: usize,
    pub hash_seed: u64,
}

impl Settings {
    /// How long after a left record its window is over.
    fn wait(&self) -> i64 {
        self.interval.to.max(0)
    }
}

/// Shows each left record the right ones around it.
///
/// A left record waits until its window is over, and its turn comes in the order of those times;
/// right records come in between, in the order of theirs. So those of a window are the last that
/// are held of its key.
pub struct AroundOperator<K: Key, L: Copy, R: Copy, F, N> {
    settings: Settings,
    left: Arrivals<K, L>,
    right: Arrivals<K, R>,
    /// Left records by the time at which their window is over, with their own time.
    order: InOrder<(K, Timestamp, L), (K, R)>,
    held: Held<K, R>,
    /// Everything before this has been looked at, or is about to be.
    passed: Timestamp,
    pace: Pace,
    apply: F,
    next: N,
}

impl<K, L, R, F, N> AroundOperator<K, L, R, F, N>
where
    K: Key,
    L: Copy + 'static,
    R: Copy + 'static,
{
    /// An operator that holds nothing yet.
    pub fn new(
        settings: Settings,
        keys: (Rc<dyn KeyColumn<K, L>>, Rc<dyn KeyColumn<K, R>>),
        late: (Option<Side<L>>, Option<Side<R>>),
        apply: F,
        next: N,
    ) -> Self {
        let Settings { interval, prevailing, batch_max, hash_seed, .. } = settings;
        Self {
            left: Arrivals::new(keys.0, late.0, batch_max),
            right: Arrivals::new(keys.1, late.1, batch_max),
            order: InOrder::new(false),
            held: Held::new(interval, prevailing, hash_seed),
            passed: Timestamp::MIN,
            pace: Pace::new(),
            settings,
            apply,
            next,
        }
    }

    fn check(&self, cx: &mut Context) {
        let Settings { keys_max, records_max, .. } = self.settings;
        let mut limit = |what, held, limit, setting| {
            if held > limit {
                cx.fail(Error::Limit { operator: NAME, what, limit, setting });
            }
        };
        let records = self.order.len() + self.held.records();
        limit("records that wait or are looked back on", records, records_max, "records_max");
        limit("keys", self.held.keys(), keys_max, "keys_max");
    }
}

impl<K, L, R, F, Out, N> AroundOperator<K, L, R, F, N>
where
    K: Key,
    L: Copy + 'static,
    R: Copy + 'static,
    F: FnMut(&L, Rights<'_, R>) -> Out,
    N: Operator<Out>,
{
    /// Shows what is due, a slice of it, while there is room.
    fn fire(&mut self, cx: &mut Context) -> Work {
        let Self { settings, left, right, order, held, passed, pace, apply, next } = self;
        let slice = [settings.fire_max, settings.batch_max];
        let passed = *passed;
        let work = pace.fire(slice, next, cx, |next, cx| {
            if held.drop_one() {
                return true;
            }
            match order.peek() {
                Next::Moved => true,
                Next::Left(at) | Next::Right(at) if held.seek_past(at.saturating_sub(1)) => true,
                Next::Left(_) => {
                    if let Some((key, at, left)) = order.take_left() {
                        let out = apply(&left, held.around(key, at));
                        next.on_record(Record::new(at, out), cx);
                    }
                    true
                }
                Next::Right(at) => {
                    if let Some((key, right)) = order.take_right() {
                        held.add(key, Timestamp(at), right);
                    }
                    true
                }
                Next::Nothing => {
                    let is_end = passed == Timestamp::MAX;
                    held.seek_past(if is_end { i64::MAX } else { passed.0.saturating_sub(1) })
                }
            }
        });
        if !pace.is_pending() && !work.is_none() {
            let told = pace.target();
            left.late.on_watermark(told);
            left.late.on_batch_end(cx);
            right.late.on_watermark(told);
            right.late.on_batch_end(cx);
        }
        work
    }
}

impl<K, L, R, F, Out, N> TwoInput<L, R> for AroundOperator<K, L, R, F, N>
where
    K: Key,
    L: Copy + 'static,
    R: Copy + 'static,
    Out: 'static,
    F: FnMut(&L, Rights<'_, R>) -> Out + 'static,
    N: Operator<Out>,
{
    fn on_left(&mut self, batch: Batch<'_, L>, cx: &mut Context) {
        self.pace.on_batch();
        let (records, order, wait) = (batch.len() as u64, &mut self.order, self.settings.wait());
        let push = |at: Timestamp, (key, left)| order.push_left(at.offset(wait), (key, at, left));
        self.left.take(batch, cx, push);
        cx.reached_state(records);
        self.check(cx);
    }

    fn on_right(&mut self, batch: Batch<'_, R>, cx: &mut Context) {
        self.pace.on_batch();
        let (records, order) = (batch.len() as u64, &mut self.order);
        self.right.take(batch, cx, |at, right| order.push_right(at, right));
        cx.reached_state(records);
        self.check(cx);
    }

    fn on_reached(&mut self, reached: Reached, cx: &mut Context) {
        let moved = |at: Timestamp, by: i64| match at {
            Timestamp::MIN | Timestamp::MAX => at,
            _ => at.offset(by),
        };
        let (lateness, wait) = (self.settings.lateness_ns, self.settings.wait());
        let (left, right) = (moved(reached.left, -lateness), moved(reached.right, -lateness));
        (self.left.reached, self.right.reached) = (left, right);
        self.order.advance(moved(left, wait), right);
        self.passed = moved(left, wait).min(right);
        let at = if reached.is_end() { Timestamp::MAX } else { moved(self.passed, -wait) };
        // Of an input that ended while the other sleeps nobody is told the end.
        let at = at.min(moved(reached.both.at, -lateness));
        self.pace.on_work(Watermark { at, idle: reached.both.idle }, cx);
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

    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        self.held.visit(|key, right| each(Shown::value(NAME, &key, right)));
        self.next.inspect(each);
    }

    fn save(&self, out: &mut Saved) {
        out.at_rest(NAME, !self.pace.is_pending(), "looks around");
        out.unseen::<F>(NAME);
        out.put(NAME, self.order.clone());
        out.put(NAME, self.held.clone());
        out.put(NAME, [self.left.reached, self.right.reached, self.passed]);
        out.put(NAME, self.pace.clone());
        self.left.late.save(out);
        self.right.late.save(out);
        self.next.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        from.take(NAME, &mut self.order);
        from.take(NAME, &mut self.held);
        let mut times = [self.left.reached, self.right.reached, self.passed];
        from.take(NAME, &mut times);
        [self.left.reached, self.right.reached, self.passed] = times;
        from.take(NAME, &mut self.pace);
        self.left.late.load(from);
        self.right.late.load(from);
        self.next.load(from);
    }
}
