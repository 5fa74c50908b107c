//! The operator of windows by time or count.

use std::rc::Rc;

use crate::config::Config;
use crate::dataflow::Pace;
use crate::dataflow::{
    Batch, Checkpoint, Context, KeyColumn, Operator, Pressure, Record, Saved, Shown, Work,
};
use crate::error::Error;
use crate::exchange::LateRecords;
use crate::exchange::Side;
use crate::metrics::{Counter, Share};
use crate::state::{Cursor, EachBulk, Key, Rescale, Table};
use crate::time::Watermark;
use crate::time::{Deadlines, Popped};
use crate::window::Windowed;
use crate::window::time_or_count::open::{Open, Taken};
use crate::window::trigger::Contents;

/// What the operator is told.
pub struct Settings {
    /// How long a window is open, in nanoseconds.
    after: i64,
    /// Records of a full window.
    records: u32,
    fire_max: usize,
    keys_max: usize,
    records_max: usize,
    batch_max: usize,
    hash_seed: u64,
}

impl Settings {
    /// From the pipeline's config.
    pub fn new(config: &Config, after: i64, records: u32) -> Self {
        let Config { fire_max, keys_max, records_max, batch_max, hash_seed, .. } = *config;
        Self { after, records, fire_max, keys_max, records_max, batch_max, hash_seed }
    }
}

/// Keyed windows that fire when they are full or when their time is up.
///
/// A record leads to at most one result: it ends a window that is over, or fills one. So records
/// pass through a batch at a time, side by side, while windows that the watermark has ended still
/// fire in slices: a record that finds one of those ends it there and then, with the same result.
///
/// A key has one place in the deadlines however many of its windows are full before their time.
pub struct TimeOrCountOperator<K, T, C: Contents<K, T>, N> {
    settings: Settings,
    contents: C,
    keys: Rc<dyn KeyColumn<K, T>>,
    /// The keys of the batch in hand.
    column: Vec<K>,
    /// Those of them of which nothing need be kept, unless a window has been opened since.
    spent: Vec<K>,
    table: Table<K, Open<C::Held>>,
    deadlines: Deadlines<K>,
    pace: Pace,
    late: LateRecords<T>,
    held_keys: Share,
    next: N,
}

impl<K, T, C, N> TimeOrCountOperator<K, T, C, N>
where
    K: Key,
    T: 'static,
    C: Contents<K, T>,
    N: Operator<Windowed<K, C::Out>>,
{
    /// An operator without any window yet.
    pub fn new(
        settings: Settings,
        contents: C,
        keys: Rc<dyn KeyColumn<K, T>>,
        late: Option<Side<T>>,
        next: N,
    ) -> Self {
        let [column, spent] = [0; 2].map(|_| Vec::with_capacity(settings.batch_max));
        Self {
            contents,
            keys,
            column,
            spent,
            table: Table::new(settings.hash_seed),
            deadlines: Deadlines::new(),
            pace: Pace::new(),
            late: LateRecords::new(late, settings.batch_max),
            held_keys: Share::of(Counter::Keys),
            settings,
            next,
        }
    }

    /// Takes over the windows of the keys that are this shard's now.
    fn take_share(&mut self, to: &Rescale, from: &mut Saved) {
        let tables: Vec<(usize, Table<K, Open<C::Held>>)> = from.take_shares("time_or_count");
        self.contents.load(from);
        let deadlines = from.take_shares_of("time_or_count", |_: &mut Deadlines<K>, _| ());
        let contents = &mut self.contents;
        for (shard, table) in &tables {
            let take_over =
                |_, open: &mut Open<C::Held>| contents.take_over(&mut open.held, *shard);
            self.table.take_over(table, |key| to.owns(key), take_over);
        }
        contents.has_moved();
        let deadlines = deadlines.into_iter().map(|(_, deadlines)| deadlines);
        self.deadlines = Deadlines::of(deadlines, |key| to.owns(*key));
    }

    /// Takes records, side by side.
    fn take(&mut self, records: &[Record<T>], cx: &mut Context) {
        self.keys.extract(records, &mut self.column);
        let Self { settings, contents, column, spent, table, deadlines, late, next, .. } = self;
        let (watermark, mut place, mut fired) = (self.pace.target().at.0, 0, 0);
        let bounds = [settings.after, watermark];
        table.update_batch(records, column, |open, record| {
            let key = column[place];
            if open.is_over(record.at, watermark) {
                fired += 1;
                next.on_record(open.end(contents, key), cx);
            }
            match open.take(contents, record, bounds, settings.records) {
                Taken::Joined => {}
                Taken::Opened => arm(open, deadlines, key),
                Taken::Filled => {
                    fired += 1;
                    next.on_record(open.fill(contents, key), cx);
                }
                Taken::Late => late.note(place),
            }
            if !open.is_open() && open.armed.is_none() {
                spent.push(key);
            }
            place += 1;
        });
        cx.count(Counter::WindowsFired, fired);
        for key in spent.drain(..) {
            if table.get(key).is_some_and(|open| !open.is_open() && open.armed.is_none()) {
                table.remove(key);
            }
        }
        self.check(cx);
    }

    fn check(&mut self, cx: &mut Context) {
        self.held_keys.show(&cx.counters, self.table.len() as u64);
        let Settings { keys_max, records_max, .. } = self.settings;
        let limits = [
            (self.table.len(), "keys", keys_max, "keys_max"),
            (self.contents.kept(), "records in windows", records_max, "records_max"),
        ];
        for (held, what, limit, setting) in limits {
            if held > limit {
                cx.fail(Error::Limit { operator: "time_or_count", what, limit, setting });
            }
        }
    }

    /// Fires what the watermark has ended, a slice of it, while there is room.
    fn fire(&mut self, cx: &mut Context) -> Work {
        let Self { settings, contents, table, deadlines, pace, late, next, .. } = self;
        let watermark = pace.target();
        let work = pace.fire([settings.fire_max, settings.batch_max], next, cx, |next, cx| {
            match deadlines.pop(watermark.at.0) {
                Popped::Nothing => return false,
                Popped::Moved => {}
                Popped::Due(at, key) => {
                    if let Some(result) = look_at(at, key, table, deadlines, contents) {
                        cx.count(Counter::WindowsFired, 1);
                        next.on_record(result, cx);
                    }
                }
            }
            true
        });
        if !pace.is_pending() && !work.is_none() {
            late.on_watermark(watermark);
            late.on_batch_end(cx);
            self.held_keys.show(&cx.counters, self.table.len() as u64);
        }
        work
    }
}

/// Sees to it that somebody looks at a key when its new window ends, or before.
#[inline]
fn arm<K: Copy, H>(open: &mut Open<H>, deadlines: &mut Deadlines<K>, key: K) {
    if open.armed.is_none_or(|armed| open.end < armed) {
        open.armed = Some(open.end);
        deadlines.set(open.end, key);
    }
}

/// Does what there is to do with a key at `at`: ends its window, waits for the end of one that
/// began later, or forgets it.
fn look_at<K: Key, T, C: Contents<K, T>>(
    at: i64,
    key: K,
    table: &mut Table<K, Open<C::Held>>,
    deadlines: &mut Deadlines<K>,
    contents: &mut C,
) -> Option<Record<Windowed<K, C::Out>>> {
    let open = table.get_mut(key).filter(|open| open.armed == Some(at))?;
    open.armed = None;
    if open.is_open() && open.end > at {
        arm(open, deadlines, key);
        return None;
    }
    let result = open.is_open().then(|| open.end(contents, key));
    table.remove(key);
    result
}

impl<K, T, C, N> Operator<T> for TimeOrCountOperator<K, T, C, N>
where
    K: Key,
    T: 'static,
    C: Contents<K, T>,
    N: Operator<Windowed<K, C::Out>>,
{
    fn on_record(&mut self, record: Record<T>, cx: &mut Context) {
        self.on_batch(vec![record].drain(..), cx); // tidy: edges deliver batches; this is for tests only
    }

    fn on_batch(&mut self, batch: Batch<'_, T>, cx: &mut Context) {
        self.pace.on_batch();
        self.take(batch.as_slice(), cx);
        cx.reached_state(batch.len() as u64);
        if !self.late.is_empty() {
            self.late.put_aside(batch, cx);
        }
    }

    fn on_watermark(&mut self, watermark: Watermark, cx: &mut Context) {
        self.pace.on_watermark(watermark, cx);
    }

    fn on_batch_end(&mut self, cx: &mut Context) {
        self.late.on_batch_end(cx);
        self.next.on_batch_end(cx);
        self.fire(cx);
    }

    fn resume(&mut self, cx: &mut Context) -> Work {
        let mut work = self.next.resume(cx);
        work += self.late.resume(cx);
        work += self.fire(cx);
        work
    }

    #[inline]
    fn pressure(&self) -> Pressure {
        self.pace.pressure().max(self.late.pressure()).max(self.next.pressure())
    }

    /// The open window of each key, with what it would yield now, or each record that it keeps.
    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        self.table.visit(&mut Cursor::default(), usize::MAX, |key, open| {
            if open.is_open() {
                self.contents.show(&key, open.span(), &open.held, each);
            }
        });
        self.next.inspect(each);
    }

    fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context) {
        self.late.on_checkpoint(checkpoint, cx);
        self.next.on_checkpoint(checkpoint, cx);
    }

    fn save(&self, out: &mut Saved) {
        out.at_rest("time_or_count", !self.pace.is_pending(), "fires");
        out.put("time_or_count", &self.table);
        self.contents.save(out);
        out.put("time_or_count", &self.deadlines);
        out.put("time_or_count", &self.pace);
        self.late.save(out);
        self.next.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        match from.shares() {
            Some(to) => self.take_share(&to, from),
            None => {
                from.take("time_or_count", &mut self.table);
                self.contents.load(from);
                from.take("time_or_count", &mut self.deadlines);
            }
        }
        from.rescale_alike("time_or_count", &mut self.pace);
        self.late.load(from);
        self.next.load(from);
    }

    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        each(&mut self.table);
        self.next.bulk(each);
    }
}
