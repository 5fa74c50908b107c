//! The operator of joins that look at both inputs in one order of time.

use crate::config::Config;
use crate::dataflow::{
    Batch, Checkpoint, Context, Meets, Operator, Pace, Pressure, Reached, Record, Saved, Shown,
    TwoInput, Work,
};
use crate::error::Error;
use crate::join::arrivals::Arrivals;
use crate::join::in_order::{InOrder, Next};
use crate::join::sides::Inputs;
use crate::state::{EachBulk, Key, Stored};
use crate::time::{Timestamp, Watermark};

/// What a join does with records whose turn has come: those of both inputs in one order of time.
///
/// Each call of [`go_on`](Self::go_on), [`seek_due`](Self::seek_due) and
/// [`forget`](Self::forget) is one unit of work, and emits at most once.
pub trait InTurn<K, L, R>: 'static {
    /// How it is called in errors and snapshots.
    const NAME: &'static str;
    /// What comes out.
    type Out: 'static;

    /// Whether of equal times the left record is first.
    fn left_first(&self) -> bool;

    /// How long after its time a left record has its turn, in nanoseconds.
    fn wait_ns(&self) -> i64;

    /// Goes on with what the last record has led to; false when nothing is left of it.
    fn go_on(&mut self, emit: &mut impl FnMut(Timestamp, Self::Out)) -> bool;

    /// Looks for what is due at `now` or before; false when there is nothing.
    fn seek_due(&mut self, now: i64) -> bool;

    /// Drops what is kept of one key, now that both inputs have ended; false when nothing is left.
    fn forget(&mut self) -> bool;

    /// A left record has its turn.
    fn on_left(
        &mut self,
        key: K,
        at: Timestamp,
        left: L,
        emit: &mut impl FnMut(Timestamp, Self::Out),
    );

    /// A right record has its turn.
    fn on_right(&mut self, key: K, at: Timestamp, right: R);

    /// How many keys it knows.
    fn keys(&self) -> usize;

    /// How many records it holds, but for one a key.
    fn records(&self) -> usize;

    /// Shows what it holds.
    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>));

    /// Puts what it holds into a snapshot.
    fn save(&self, out: &mut Saved);

    /// Takes it from a snapshot.
    fn load(&mut self, from: &mut Saved);

    /// Shows what of it may be large.
    fn bulk(&mut self, each: &mut EachBulk<'_>);
}

/// A join in the making.
pub struct MakeInTurn<K, L, R, J> {
    inputs: Inputs<K, L, R>,
    join: J,
    limits: Limits,
}

/// What the engine's config says.
#[derive(Clone, Copy)]
struct Limits {
    fire_max: usize,
    batch_max: usize,
    keys_max: usize,
    records_max: usize,
}

impl<K, L, R, J> MakeInTurn<K, L, R, J> {
    /// A join of these inputs.
    pub fn new(inputs: Inputs<K, L, R>, join: J, config: &Config) -> Self {
        let Config { fire_max, batch_max, keys_max, records_max, .. } = *config;
        Self { inputs, join, limits: Limits { fire_max, batch_max, keys_max, records_max } }
    }
}

impl<K, L, R, J> Meets<L, R> for MakeInTurn<K, L, R, J>
where
    K: Key,
    L: Copy + Stored,
    R: Copy + Stored,
    J: InTurn<K, L, R>,
{
    type Out = J::Out;

    fn operator<N: Operator<J::Out>>(self, next: N) -> impl TwoInput<L, R> {
        let Self { inputs: Inputs { keys, late, lateness_ns }, join, limits } = self;
        InTurnOperator {
            left: Arrivals::new(keys.0, late.0, limits.batch_max),
            right: Arrivals::new(keys.1, late.1, limits.batch_max),
            lateness_ns,
            order: InOrder::new(join.left_first()),
            passed: Timestamp::MIN,
            pace: Pace::new(),
            limits,
            join,
            next,
        }
    }
}

/// Left records by the time of their turn, with their own; and right ones.
type Waiting<K, L, R> = InOrder<(K, Timestamp, L), (K, R)>;

/// Lets the records of both inputs wait until the watermarks have passed them, and shows them to a
/// join in one order of time: what comes of it depends on nothing but the records.
struct InTurnOperator<K: Key, L: Copy, R: Copy, J, N> {
    left: Arrivals<K, L>,
    right: Arrivals<K, R>,
    lateness_ns: i64,
    order: Waiting<K, L, R>,
    /// Everything before this has had its turn, or is about to.
    passed: Timestamp,
    pace: Pace,
    limits: Limits,
    join: J,
    next: N,
}

/// So much later; the ends of time stay where they are.
fn moved(at: Timestamp, by: i64) -> Timestamp {
    if at == Timestamp::MIN || at == Timestamp::MAX { at } else { at.offset(by) }
}

impl<K, L, R, J, N> InTurnOperator<K, L, R, J, N>
where
    K: Key,
    L: Copy + Stored,
    R: Copy + Stored,
    J: InTurn<K, L, R>,
    N: Operator<J::Out>,
{
    /// Gives records their turn, a slice of them, while there is room.
    fn fire(&mut self, cx: &mut Context) -> Work {
        let Self { left, right, order, passed, pace, limits, join, next, .. } = self;
        let (passed, ends) = (*passed, pace.target().is_end());
        let work = pace.fire([limits.fire_max, limits.batch_max], next, cx, |next, cx| {
            let mut emit = |at, value| next.on_record(Record::new(at, value), cx);
            act(order, join, passed, &mut emit) || (ends && join.forget())
        });
        if !pace.is_pending() && !work.is_none() {
            left.tell(pace.target(), cx);
            right.tell(pace.target(), cx);
        }
        work
    }

    fn check(&self, cx: &mut Context) {
        let mut limit = |what, held, limit, setting| {
            if held > limit {
                cx.fail(Error::Limit { operator: J::NAME, what, limit, setting });
            }
        };
        let records = self.order.len() + self.join.records();
        limit("records that wait or are held", records, self.limits.records_max, "records_max");
        limit("keys", self.join.keys(), self.limits.keys_max, "keys_max");
    }
}

/// One unit of work; false when there is none.
#[inline(always)]
fn act<K: Key, L: Copy, R: Copy, J: InTurn<K, L, R>>(
    order: &mut Waiting<K, L, R>,
    join: &mut J,
    passed: Timestamp,
    emit: &mut impl FnMut(Timestamp, J::Out),
) -> bool {
    if join.go_on(emit) {
        return true;
    }
    match order.peek() {
        Next::Moved => {}
        // What is due before a record comes before it.
        Next::Left(at) | Next::Right(at) if join.seek_due(at.saturating_sub(1)) => {}
        Next::Left(_) => {
            if let Some((key, at, left)) = order.take_left() {
                join.on_left(key, at, left, emit);
            }
        }
        Next::Right(at) => {
            if let Some((key, right)) = order.take_right() {
                join.on_right(key, Timestamp(at), right);
            }
        }
        Next::Nothing => return join.seek_due(moved(passed, -1).0),
    }
    true
}

impl<K, L, R, J, N> TwoInput<L, R> for InTurnOperator<K, L, R, J, N>
where
    K: Key,
    L: Copy + Stored,
    R: Copy + Stored,
    J: InTurn<K, L, R>,
    N: Operator<J::Out>,
{
    fn on_left(&mut self, batch: Batch<'_, L>, cx: &mut Context) {
        self.pace.on_batch();
        let (records, order, wait) = (batch.len() as u64, &mut self.order, self.join.wait_ns());
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
        let wait = self.join.wait_ns();
        let allowed = |at| moved(at, -self.lateness_ns);
        let (left, right) = (allowed(reached.left), allowed(reached.right));
        (self.left.reached, self.right.reached) = (left, right);
        let turns = moved(left, wait);
        self.order.advance(turns, right);
        self.passed = turns.min(right);
        // Of an input that ended while the other sleeps nobody is told the end.
        let at = moved(self.passed, -wait).min(allowed(reached.both.at));
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

    fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context) {
        self.left.late.on_checkpoint(checkpoint, cx);
        self.right.late.on_checkpoint(checkpoint, cx);
        self.next.on_checkpoint(checkpoint, cx);
    }

    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        self.join.inspect(each);
        self.next.inspect(each);
    }

    fn save(&self, out: &mut Saved) {
        out.at_rest(J::NAME, !self.pace.is_pending(), "has records whose turn has come");
        out.put(J::NAME, &self.order);
        out.put(J::NAME, &[self.left.reached, self.right.reached, self.passed]);
        out.put(J::NAME, &self.pace);
        self.join.save(out);
        self.left.late.save(out);
        self.right.late.save(out);
        self.next.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        match from.shares() {
            Some(to) => {
                let all: Vec<(usize, Waiting<K, L, R>)> = from.take_shares_of(J::NAME, |_, _| ());
                for (_, order) in all {
                    let is_left_here = |(key, ..): &(K, Timestamp, L)| to.owns(*key);
                    self.order.take_over(order, is_left_here, |(key, _)| to.owns(*key));
                }
            }
            None => from.take(J::NAME, &mut self.order),
        }
        let mut times = [self.left.reached, self.right.reached, self.passed];
        from.rescale_alike(J::NAME, &mut times);
        [self.left.reached, self.right.reached, self.passed] = times;
        from.rescale_alike(J::NAME, &mut self.pace);
        self.join.load(from);
        self.left.late.load(from);
        self.right.late.load(from);
        self.next.load(from);
    }

    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        self.join.bulk(each);
        self.next.bulk(each);
    }
}
