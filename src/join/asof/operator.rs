//! The operator behind an as-of join.

use std::rc::Rc;

use crate::dataflow::{
    Batch, Context, KeyColumn, Operator, Pace, Pressure, Reached, Record, Saved, Shown, TwoInput,
    Work,
};
use crate::error::Error;
use crate::exchange::Side;
use crate::join::arrivals::Arrivals;
use crate::join::asof::Rules;
use crate::join::asof::known::{Answer, Keys};
use crate::join::in_order::{InOrder, Next};
use crate::state::Key;
use crate::time::{Timestamp, Watermark};

/// What the operator is told.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub rules: Rules,
    pub lateness_ns: i64,
    pub fire_max: usize,
    pub batch_max: usize,
    pub keys_max: usize,
    pub records_max: usize,
    pub hash_seed: u64,
}

/// Gives each left record the right one that belongs to it.
///
/// Records of both inputs wait until the watermarks have passed them, and are looked at in one
/// order of time. So a look back is the latest record there was, a look ahead the next that comes,
/// and what comes out depends on nothing but the records.
pub struct AsofOperator<K: Key, L: Copy, R: Copy, F, N> {
    settings: Settings,
    left: Arrivals<K, L>,
    right: Arrivals<K, R>,
    order: InOrder<(K, L), (K, R)>,
    known: Keys<K, L, R>,
    /// Everything before this has been looked at, or is about to be.
    passed: Watermark,
    pace: Pace,
    select: F,
    next: N,
}

impl<K, L, R, F, N> AsofOperator<K, L, R, F, N>
where
    K: Key,
    L: Copy + 'static,
    R: Copy + 'static,
{
    /// An operator that knows nothing yet.
    pub fn new(
        settings: Settings,
        keys: (Rc<dyn KeyColumn<K, L>>, Rc<dyn KeyColumn<K, R>>),
        late: (Option<Side<L>>, Option<Side<R>>),
        select: F,
        next: N,
    ) -> Self {
        let Settings { rules, batch_max, hash_seed, .. } = settings;
        Self {
            settings,
            left: Arrivals::new(keys.0, late.0, batch_max),
            right: Arrivals::new(keys.1, late.1, batch_max),
            order: InOrder::new(rules.left_first()),
            known: Keys::new(rules, hash_seed),
            passed: Watermark::START,
            pace: Pace::new(),
            select,
            next,
        }
    }

    fn check(&self, cx: &mut Context) {
        let Settings { keys_max, records_max, .. } = self.settings;
        let mut limit = |what, held, limit, setting| {
            if held > limit {
                cx.fail(Error::Limit { operator: "as-of join", what, limit, setting });
            }
        };
        let waiting = self.order.len() + self.known.waiting();
        limit("records that wait for the other stream", waiting, records_max, "records_max");
        limit("keys", self.known.len(), keys_max, "keys_max");
    }
}

impl<K, L, R, F, Out, N> AsofOperator<K, L, R, F, N>
where
    K: Key,
    L: Copy + 'static,
    R: Copy + 'static,
    F: FnMut(&L, Option<&R>) -> Option<Out>,
    N: Operator<Out>,
{
    /// Looks at what the watermarks have passed, a slice of it, while there is room.
    fn fire(&mut self, cx: &mut Context) -> Work {
        let Self { settings, left, right, order, known, passed, pace, select, next } = self;
        let slice = [settings.fire_max, settings.batch_max];
        let passed = *passed;
        let work = pace.fire(slice, next, cx, |next, cx| {
            let mut emit = |at: Timestamp, answer: Answer<'_, L, R>| {
                if let Some(value) = select(&answer.left, answer.right) {
                    next.on_record(Record::new(at, value), cx);
                }
            };
            act(order, known, passed, &mut emit)
        });
        if !pace.is_pending() && !work.is_none() {
            left.late.on_watermark(passed);
            left.late.on_batch_end(cx);
            right.late.on_watermark(passed);
            right.late.on_batch_end(cx);
        }
        work
    }
}

/// One unit of work; false when there is none.
#[inline(always)]
fn act<K: Key, L: Copy + 'static, R: Copy + 'static>(
    order: &mut InOrder<(K, L), (K, R)>,
    known: &mut Keys<K, L, R>,
    passed: Watermark,
    emit: &mut impl FnMut(Timestamp, Answer<'_, L, R>),
) -> bool {
    if !known.is_settled() {
        if let Some((now, answer)) = known.settle() {
            // The last instant says that the input has ended; a record has the one before.
            emit(Timestamp(now.min(i64::MAX - 1)), answer);
        }
        return true;
    }
    match order.peek() {
        Next::Moved => {}
        Next::Left(at) | Next::Right(at) if known.seek_due(at.saturating_sub(1)) => {}
        Next::Left(at) => {
            if let Some((key, left)) = order.take_left()
                && let Some(answer) = known.show_left(key, at, left)
            {
                emit(answer.at, answer);
            }
        }
        Next::Right(at) => {
            if let Some((key, right)) = order.take_right() {
                known.show_right(key, at, right);
            }
        }
        Next::Nothing => {
            let before = if passed.is_end() { i64::MAX } else { passed.at.0.saturating_sub(1) };
            return known.seek_due(before);
        }
    }
    true
}

impl<K, L, R, F, Out, N> TwoInput<L, R> for AsofOperator<K, L, R, F, N>
where
    K: Key,
    L: Copy + 'static,
    R: Copy + 'static,
    Out: 'static,
    F: FnMut(&L, Option<&R>) -> Option<Out> + 'static,
    N: Operator<Out>,
{
    fn on_left(&mut self, batch: Batch<'_, L>, cx: &mut Context) {
        self.pace.on_batch();
        let (records, order) = (batch.len() as u64, &mut self.order);
        self.left.take(batch, cx, |at, left| order.push_left(at, left));
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
        let allowed = |at: Timestamp| match at {
            Timestamp::MIN | Timestamp::MAX => at,
            _ => at.offset(-self.settings.lateness_ns),
        };
        let (left, right) = (allowed(reached.left), allowed(reached.right));
        (self.left.reached, self.right.reached) = (left, right);
        self.order.advance(left, right);
        let at = if reached.is_end() { reached.both.at } else { allowed(reached.both.at) };
        self.passed = Watermark { at: at.min(left.min(right)), idle: reached.both.idle };
        self.pace.on_work(self.passed, cx);
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
        self.known.visit(|key, held| match held {
            Ok(left) => each(Shown::value("as-of join", &key, left)),
            Err(right) => each(Shown::value("as-of join", &key, right)),
        });
        self.next.inspect(each);
    }

    fn save(&self, out: &mut Saved) {
        out.at_rest("as-of join", !self.pace.is_pending(), "looks back");
        out.unseen::<F>("as-of join");
        out.put("as-of join", self.order.clone());
        out.put("as-of join", self.known.clone());
        out.put("as-of join", self.passed);
        out.put("as-of join", [self.left.reached, self.right.reached]);
        out.put("as-of join", self.pace.clone());
        self.left.late.save(out);
        self.right.late.save(out);
        self.next.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        from.take("as-of join", &mut self.order);
        from.take("as-of join", &mut self.known);
        from.take("as-of join", &mut self.passed);
        let mut reached = [self.left.reached, self.right.reached];
        from.take("as-of join", &mut reached);
        [self.left.reached, self.right.reached] = reached;
        from.take("as-of join", &mut self.pace);
        self.left.late.load(from);
        self.right.late.load(from);
        self.next.load(from);
    }
}
