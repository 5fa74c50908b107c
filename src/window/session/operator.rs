//! The session operator: what happens to a record.

use std::rc::Rc;

use crate::dataflow::{
    Batch, Checkpoint, Context, KeyColumn, Operator, Pressure, Record, Saved, Shown, Work,
};
use crate::dataflow::{Growth, Progress};
use crate::error::Error;
use crate::exchange::LateRecords;
use crate::exchange::Side;
use crate::metrics::{Counter, Share};
use crate::state::{Cursor, EachBulk, Key, Rescale, Table};
use crate::time::Deadlines;
use crate::time::{Timestamp, Watermark};
use crate::window::deferred::Deferred;
use crate::window::session::chain::{Pool, Reach, Session, Sessions};
use crate::window::session::gap::Gap;
use crate::window::{Aggregate, Span, Timing, Windowed};

/// What a session operator is told.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long after its end a session still takes records, in nanoseconds.
    pub lateness_ns: i64,
    /// Sessions that one key may have at once at most.
    pub sessions_max: u32,
    /// Sessions that fire at most in a slice of work.
    pub fire_max: usize,
    /// Sessions that may be held at most, over all keys.
    pub keys_max: usize,
    /// Records of a batch at most.
    pub batch_max: usize,
    /// Seeds the table's hash.
    pub hash_seed: u64,
}

impl Settings {
    /// When a session is due that ends at `end`: once no record can come any more that touches it.
    #[inline(always)]
    pub const fn due(&self, end: i64) -> i64 {
        end.saturating_add(1)
    }

    /// When a session is closed that ends at `end`.
    #[inline(always)]
    pub const fn closes(&self, end: i64) -> i64 {
        self.due(end).saturating_add(self.lateness_ns)
    }

    /// When there is something to do with a session.
    #[inline]
    pub const fn look<A>(&self, session: &Session<A>) -> i64 {
        if session.fired { self.closes(session.end) } else { self.due(session.end) }
    }
}

/// What became of a record.
enum Taken {
    /// It is in a session.
    Joined,
    /// Its session is closed.
    Late,
    /// It has to wait until what is due has fired.
    Not,
}

/// Keyed sessions with an aggregate.
///
/// Each key has its sessions in a table, the newest beside the key itself, and one place in the
/// deadlines. A record that prolongs a session does not touch the deadlines: when the old one
/// falls due it is set again, so a session costs as many of them as it has gaps. The records of a
/// batch whose session cannot be over are taken side by side; one behind that is taken alone.
pub struct SessionOperator<K, T, G, A: Aggregate<T>, N> {
    pub(super) settings: Settings,
    gap: G,
    pub(super) aggregate: A,
    keys: Rc<dyn KeyColumn<K, T>>,
    /// The keys of the batch in hand, and where each record reaches.
    column: Vec<K>,
    ends: Vec<i64>,
    pub(super) table: Table<K, Sessions<A::Acc>>,
    pub(super) pool: Pool<A::Acc>,
    pub(super) deadlines: Deadlines<K>,
    /// Sessions over all keys.
    pub(super) held: usize,
    /// How far event time has come here.
    pub(super) watermark: Watermark,
    pub(super) firing: Progress,
    growth: Growth,
    deferred: Deferred<T>,
    late: LateRecords<T>,
    pub(super) held_keys: Share,
    pub(super) next: N,
}

impl<K: Key, T, G, A: Aggregate<T>, N> SessionOperator<K, T, G, A, N> {
    /// Takes over the sessions of the keys that are this shard's now.
    fn take_share(&mut self, to: &Rescale, from: &mut Saved) {
        let tables: Vec<(usize, Table<K, Sessions<A::Acc>>)> = from.take_shares("session");
        let pools: Vec<Pool<A::Acc>> = from.take_all("session");
        from.take_unless_shared("session", &mut self.deadlines);
        from.take_unless_shared("session", &mut self.held);
        for (shard, table) in tables {
            let Some(pool) = pools.get(shard) else { continue };
            table.visit(&mut Cursor::default(), usize::MAX, |key, sessions| {
                if to.owns(key) {
                    *self.table.entry(key) = self.pool.take_over(pool, sessions);
                    self.deadlines.set(sessions.armed, key);
                    self.held += sessions.count as usize;
                }
            });
        }
    }
}

impl<K, T, G, A, N> SessionOperator<K, T, G, A, N>
where
    K: Key,
    T: 'static,
    G: Gap<T>,
    A: Aggregate<T>,
    N: Operator<Windowed<K, A::Out>>,
{
    /// An operator without any session yet.
    pub fn new(
        settings: Settings,
        gap: G,
        aggregate: A,
        keys: Rc<dyn KeyColumn<K, T>>,
        late: Option<Side<T>>,
        next: N,
    ) -> Self {
        Self {
            settings,
            gap,
            aggregate,
            keys,
            column: Vec::with_capacity(settings.batch_max),
            ends: Vec::with_capacity(settings.batch_max),
            table: Table::new(settings.hash_seed),
            pool: Pool::new(),
            deadlines: Deadlines::new(),
            held: 0,
            watermark: Watermark::START,
            firing: Progress::new(),
            growth: Growth::default(),
            deferred: Deferred::new(settings.batch_max),
            late: LateRecords::new(late, settings.batch_max),
            held_keys: Share::of(Counter::Keys),
            next,
        }
    }

    /// Takes records, side by side where their sessions are not over; returns how many, stopping
    /// at one that must wait.
    fn take(&mut self, records: &[Record<T>], cx: &mut Context) -> usize {
        self.keys.extract(records, &mut self.column);
        self.ends.clear();
        let gap = &self.gap;
        let end = |record: &Record<T>| record.at.0.saturating_add(gap.after(&record.value));
        self.ends.extend(records.iter().map(end));
        let mut taken = 0;
        while taken < records.len() {
            let run = self.ahead(&records[taken..], taken);
            self.take_run(&records[taken..taken + run], taken, cx);
            taken += run;
            let Some(record) = records.get(taken) else { break };
            match self.take_one(record, taken, cx) {
                Taken::Joined => {}
                Taken::Late => self.late.note(taken),
                Taken::Not => break,
            }
            taken += 1;
        }
        taken
    }

    /// How many records from here on can neither be late nor make a session fire again. While
    /// sessions are still to fire, those are the records that cannot touch one of them.
    #[inline]
    fn ahead(&self, records: &[Record<T>], from: usize) -> usize {
        let watermark = self.watermark.at.0;
        if self.firing.is_pending() {
            return records.iter().take_while(|record| record.at.0 >= watermark).count();
        }
        let ends = &self.ends[from..];
        ends.iter().take_while(|end| self.settings.due(**end) > watermark).count()
    }

    /// Takes records side by side. The inner loop of sessions.
    #[inline]
    fn take_run(&mut self, run: &[Record<T>], from: usize, cx: &mut Context) {
        let Self { settings, aggregate, column, ends, table, pool, deadlines, held, .. } = self;
        let (keys, ends) = (&column[from..from + run.len()], &ends[from..from + run.len()]);
        let closed_before = closed_before(settings, self.watermark);
        let (mut index, mut most) = (0, 0);
        table.update_batch(run, keys, |sessions, record| {
            let (at, end, key) = (record.at.0, ends[index], keys[index]);
            index += 1;
            let newest = &mut sessions.newest;
            let alone = sessions.count == 1 || newest.start <= at;
            let goes_on = sessions.count > 0 && alone && !newest.fired;
            if goes_on && at <= newest.end && newest.start <= end {
                newest.start = newest.start.min(at);
                newest.end = newest.end.max(end);
                aggregate.accumulate(&mut newest.acc, record.at, &record.value);
                return;
            }
            let before = sessions.count;
            let reach = Reach { at, end, closed_before };
            let session = join(pool, sessions, reach, aggregate, record);
            session.fired = false;
            let due = settings.due(session.end);
            arm(sessions, due, before == 0, |at| deadlines.set(at, key));
            *held = *held + sessions.count as usize - before as usize;
            most = most.max(sessions.count);
        });
        self.check_count(most, cx);
    }

    /// Takes one record that may be late, or late but allowed: its session fires again then.
    #[cold]
    fn take_one(&mut self, record: &Record<T>, place: usize, cx: &mut Context) -> Taken {
        let (key, watermark) = (self.column[place], self.watermark.at.0);
        let settings = self.settings;
        let reach = Reach {
            at: record.at.0,
            end: self.ends[place],
            closed_before: closed_before(&settings, self.watermark),
        };
        let known = self.table.get(key);
        if let Some(sessions) = known
            && settings.lateness_ns > 0
            && self.firing.is_pending()
        {
            let due = |session: &Session<A::Acc>| settings.due(session.end) <= watermark;
            if self.pool.iter(sessions).any(|session| !session.fired && due(session)) {
                return Taken::Not;
            }
        }
        let touches = known.is_some_and(|sessions| self.pool.touches(sessions, reach));
        if !touches && settings.closes(reach.end) <= watermark {
            return Taken::Late;
        }
        let sessions = self.table.entry(key);
        let before = sessions.count;
        let session = join(&mut self.pool, sessions, reach, &self.aggregate, record);
        session.fired = settings.due(session.end) <= watermark;
        if session.fired {
            session.late += 1;
            let timing = Timing::Late(session.late);
            let fired = result(&self.aggregate, key, session, timing);
            cx.count(Counter::WindowsFired, 1);
            self.next.on_record(fired, cx);
        }
        let look = settings.look(session);
        arm(sessions, look, before == 0, |at| self.deadlines.set(at, key));
        let count = sessions.count;
        self.held = self.held + count as usize - before as usize;
        self.check_count(count, cx);
        Taken::Joined
    }

    #[inline]
    fn check_count(&self, most: u32, cx: &mut Context) {
        if most > self.settings.sessions_max {
            cx.fail(Error::Limit {
                operator: "session",
                what: "sessions of one key at once",
                limit: self.settings.sessions_max as usize,
                setting: "sessions_max",
            });
        }
        if self.held > self.settings.keys_max {
            cx.fail(Error::Limit {
                operator: "session",
                what: "open sessions",
                limit: self.settings.keys_max,
                setting: "keys_max",
            });
        }
    }

    /// Once nothing fires any more: takes what had to wait, if there is room for what it leads to.
    fn take_deferred(&mut self, cx: &mut Context) -> Work {
        if self.deferred.is_empty() || self.firing.is_pending() {
            return Work::NONE;
        }
        if self.late.pressure().max(self.next.pressure()) == Pressure::Full {
            return Work::NONE;
        }
        let mut waited = self.deferred.take();
        self.on_batch(waited.drain(..), cx);
        if let Some(watermark) = self.deferred.give_back(waited) {
            self.on_watermark(watermark, cx);
        }
        self.publish(cx);
        Work::ONE
    }

    /// Event time has come this far: for what is late, and for results to 1 ns before. A session
    /// that ends at the watermark itself is still to fire, with the last instant of its span.
    pub(super) fn tell(&mut self, watermark: Watermark, cx: &mut Context) {
        self.late.on_watermark(watermark);
        let at = if watermark.is_end() { watermark.at } else { watermark.at.offset(-1) };
        self.next.on_watermark(Watermark { at, ..watermark }, cx);
        self.publish(cx);
    }

    /// Whether too many windows were opened while others fire.
    #[inline]
    fn is_behind(&self) -> bool {
        self.firing.is_pending() && self.growth.is_too_much(self.held)
    }

    /// Ends a batch downstream and in the late output.
    pub(super) fn publish(&mut self, cx: &mut Context) {
        self.late.on_batch_end(cx);
        self.next.on_batch_end(cx);
    }
}

impl<K, T, G, A, N> Operator<T> for SessionOperator<K, T, G, A, N>
where
    K: Key,
    T: 'static,
    G: Gap<T>,
    A: Aggregate<T>,
    N: Operator<Windowed<K, A::Out>>,
{
    fn on_record(&mut self, record: Record<T>, cx: &mut Context) {
        self.on_batch(vec![record].drain(..), cx); // tidy: edges deliver batches; this is for tests only
    }

    fn on_batch(&mut self, mut batch: Batch<'_, T>, cx: &mut Context) {
        let count = batch.len();
        let taken = self.take(batch.as_slice(), cx);
        cx.reached_state(taken as u64);
        if self.late.is_empty() && taken == count {
            return;
        }
        self.late.put_aside(batch.by_ref().take(taken), cx);
        self.deferred.defer(batch);
    }

    fn on_watermark(&mut self, watermark: Watermark, cx: &mut Context) {
        if self.deferred.holds_records() {
            self.deferred.defer_watermark(watermark);
            return;
        }
        self.watermark = watermark;
        if !self.firing.is_pending() {
            self.growth = Growth::from(self.held);
        }
        self.firing.begin(watermark, cx);
    }

    fn on_batch_end(&mut self, cx: &mut Context) {
        if self.firing.is_pending() {
            self.fire(cx);
        }
        self.publish(cx);
    }

    fn resume(&mut self, cx: &mut Context) -> Work {
        let mut work = self.next.resume(cx);
        work += self.late.resume(cx);
        if self.firing.is_pending() {
            work += self.fire(cx);
        }
        work += self.take_deferred(cx);
        work
    }

    #[inline]
    fn pressure(&self) -> Pressure {
        let here = match () {
            () if !self.deferred.is_empty() => Pressure::Full,
            () if self.is_behind() => Pressure::Full,
            () if self.firing.is_pending() => Pressure::Pending,
            () => Pressure::Clear,
        };
        here.max(self.late.pressure()).max(self.next.pressure())
    }

    /// Each session that is open, with what it would yield now.
    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        self.table.visit(&mut Cursor::default(), usize::MAX, |key, sessions| {
            for session in self.pool.iter(sessions) {
                let slice = (Timestamp(session.start), Timestamp(session.end));
                let value = self.aggregate.finish(&session.acc);
                each(Shown::in_slice("session", slice, &key, &value));
            }
        });
        self.next.inspect(each);
    }

    fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context) {
        self.late.on_checkpoint(checkpoint, cx);
        self.next.on_checkpoint(checkpoint, cx);
    }

    fn save(&self, out: &mut Saved) {
        out.at_rest("session", self.deferred.is_empty() && !self.firing.is_pending(), "fires");
        out.put("session", &self.table);
        out.put("session", &self.pool);
        out.put("session", &self.deadlines);
        out.put("session", &self.held);
        out.put("session", &self.watermark);
        out.put("session", &self.firing);
        self.late.save(out);
        self.next.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        match from.shares() {
            Some(to) => self.take_share(&to, from),
            None => {
                from.take("session", &mut self.table);
                from.take("session", &mut self.pool);
                from.take("session", &mut self.deadlines);
                from.take("session", &mut self.held);
            }
        }
        from.rescale_watermark("session", &mut self.watermark);
        from.rescale_alike("session", &mut self.firing);
        self.late.load(from);
        self.next.load(from);
    }

    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        each(&mut self.table);
        self.next.bulk(each);
    }
}

/// Sessions that end before this take no record any more.
fn closed_before(settings: &Settings, watermark: Watermark) -> i64 {
    // A session that ends at `end` is open while the watermark is at most `end` plus the lateness.
    watermark.at.0.saturating_sub(settings.lateness_ns)
}

/// Joins a record with the sessions of its key that it touches.
fn join<'a, T, A: Aggregate<T>>(
    pool: &'a mut Pool<A::Acc>,
    sessions: &'a mut Sessions<A::Acc>,
    reach: Reach,
    aggregate: &A,
    record: &Record<T>,
) -> &'a mut Session<A::Acc> {
    let add = |acc: &mut A::Acc| aggregate.accumulate(acc, record.at, &record.value);
    pool.join(sessions, reach, add, |acc, later| aggregate.combine(acc, later))
}

/// Sees to it that somebody looks at a key at `at`, unless somebody does so before.
#[inline]
fn arm<A>(sessions: &mut Sessions<A>, at: i64, new: bool, set: impl FnOnce(i64)) {
    if new || at < sessions.armed {
        sessions.armed = at;
        set(at);
    }
}

/// The result of a session as it stands.
pub(super) fn result<K, T, A: Aggregate<T>>(
    aggregate: &A,
    key: K,
    session: &Session<A::Acc>,
    timing: Timing,
) -> Record<Windowed<K, A::Out>> {
    let span = Span { start: Timestamp(session.start), end: Timestamp(session.end) };
    let value = aggregate.finish(&session.acc);
    Record::new(span.end.offset(-1), Windowed { key, span, value, timing })
}
