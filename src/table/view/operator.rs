//! The step that keeps a copy of the rows and answers.

use std::marker::PhantomData;
use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::dataflow::{
    Change, Checkpoint, Context, Operator, Pressure, Record, Runnable, Saved, Shown, Stage, Work,
};
use crate::error::Error;
use crate::state::{Key, Root, Sorted, State, Table};
use crate::table::view::desk::{Ask, Serving};
use crate::time::{TimerWheel, Timestamp, Watermark, us};

const NAME: &str = "view";

pub struct ViewStage<S, K, V> {
    pub stage: S,
    /// An error has been reported.
    pub serving: Result<Serving<K, V>, ()>,
    pub config: Arc<Config>,
    pub types: PhantomData<fn(K, V)>,
}

impl<K: Key, V: State, S: Stage<Out = (K, Change<V>)>> Stage for ViewStage<S, K, V> {
    type Out = (K, Change<V>);

    fn close<N: Operator<Self::Out>>(self, next: N) -> Box<dyn Runnable> {
        let Self { stage, serving, config, .. } = self;
        stage.close(Viewing {
            serving: serving.ok(),
            rows: Sorted::new(config.hash_seed),
            root: Root::default(),
            ahead: TimerWheel::new(config.timers_max, us(1)),
            waits: Table::new(config.hash_seed),
            watermark: Watermark::START,
            shown: Watermark::START,
            towards: Watermark::START,
            open: None,
            arrived: 0,
            config,
            next,
        })
    }
}

/// How many changes of a row wait, and until when the last of them does.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Waits {
    until: Timestamp,
    count: u32,
}

/// A question that is being answered.
struct Open<K, V> {
    ask: Ask<K, V>,
    /// Where to go on.
    from: Option<K>,
}

struct Viewing<K, V, N> {
    serving: Option<Serving<K, V>>,
    /// The rows as of `shown`, or on their way to `towards`.
    rows: Sorted<K, V>,
    root: Root,
    /// Changes that are not shown yet.
    ahead: TimerWheel<(K, Option<V>)>,
    waits: Table<K, Waits>,
    /// How far event time has come.
    watermark: Watermark,
    shown: Watermark,
    towards: Watermark,
    open: Option<Open<K, V>>,
    /// Records since the last slice.
    arrived: usize,
    config: Arc<Config>,
    next: N,
}

impl<K: Key, V: State, N> Viewing<K, V, N> {
    /// A change waits until the watermark has passed it and all before it of the same row.
    #[inline]
    fn defer(&mut self, at: Timestamp, key: K, row: Option<V>, cx: &mut Context) {
        let waits = self.waits.entry(key);
        let until = match waits.count {
            0 => at.max(self.watermark.at),
            _ => at.max(self.watermark.at).max(waits.until),
        };
        *waits = Waits { until, count: waits.count + 1 };
        self.arrived += 1;
        if self.ahead.set(until, (key, row)).is_err() {
            let (what, limit) = ("changes ahead of the watermark", self.config.timers_max);
            cx.fail(Error::Limit { operator: NAME, what, limit, setting: "timers_max" });
        }
    }

    /// Brings the rows up to the watermark and answers, within the budget of a slice.
    fn slice(&mut self, cx: &mut Context) -> Work {
        let mut budget = self.config.fire_max.max(2 * std::mem::take(&mut self.arrived));
        let whole = budget;
        while budget > 0 && (self.answers(&mut budget) || self.catches_up(&mut budget, cx)) {}
        Work((whole - budget) as u64)
    }

    /// Goes on with a question, or takes the next if the rows are up to date; says whether there is
    /// any.
    fn answers(&mut self, budget: &mut usize) -> bool {
        if self.open.is_none() && self.shown == self.watermark {
            let ask = self.serving.as_ref().and_then(Serving::next);
            self.open = ask.map(|ask| Open { ask, from: None });
        }
        let Some(mut open) = self.open.take() else { return false };
        let before = *budget;
        let filled = self.fill(&mut open, budget);
        if *budget == before {
            *budget -= 1;
        }
        match filled {
            Some(is_whole) => {
                let Ask { rows, slot, reader, .. } = open.ask;
                // Only this shard has it to set.
                let _ = slot.set((self.shown.at, rows, is_whole));
                reader.unpark();
            }
            None => self.open = Some(open),
        }
        true
    }

    /// Goes on with the rows of an answer; when it is complete, says whether it is whole.
    fn fill(&self, open: &mut Open<K, V>, budget: &mut usize) -> Option<bool> {
        let Open { ask: Ask { keys: (start, end), rows, rows_max, .. }, from } = open;
        let first = match start {
            Bound::Included(key) | Bound::Excluded(key) => Some(*key),
            Bound::Unbounded => None,
        };
        let (mut paused, mut is_cut) = (None, false);
        self.rows.visit(self.root, from.or(first), &mut |key, row| {
            let is_over = match end {
                Bound::Included(end) => key > *end,
                Bound::Excluded(end) => key >= *end,
                Bound::Unbounded => false,
            };
            is_cut = !is_over && rows.len() == *rows_max;
            if is_over || is_cut {
                return false;
            }
            if *budget == 0 {
                paused = Some(key);
                return false;
            }
            *budget -= 1;
            if *start != Bound::Excluded(key) {
                rows.push((key, *row));
            }
            true
        });
        *from = paused;
        paused.is_none().then_some(!is_cut)
    }

    /// Shows one change that the watermark has passed; says whether there was anything to do.
    fn catches_up(&mut self, budget: &mut usize, cx: &mut Context) -> bool {
        if self.open.is_some() || self.shown == self.watermark {
            return false;
        }
        if self.shown == self.towards {
            self.towards = self.watermark;
        }
        let to = self.towards;
        let is_due = self.ahead.next().is_some_and(|at| at < to.at || to.is_end());
        match if is_due { self.ahead.pop(to.at) } else { None } {
            Some((_, (key, row))) => self.show(key, row, cx),
            None => self.shown = to,
        }
        *budget -= 1;
        true
    }

    fn show(&mut self, key: K, row: Option<V>, cx: &mut Context) {
        let waits = self.waits.entry(key);
        waits.count -= 1;
        if waits.count == 0 {
            self.waits.remove(key);
        }
        match row {
            Some(row) => _ = self.rows.set(&mut self.root, key, row, &mut |_, _, _| ()),
            None => _ = self.rows.remove(&mut self.root, key, &mut |_, _, _| ()),
        }
        if self.rows.len() > self.config.keys_max {
            let limit = self.config.keys_max;
            cx.fail(Error::Limit { operator: NAME, what: "keys", limit, setting: "keys_max" });
        }
    }

    /// Nothing is left to show or to answer.
    fn is_over(&self) -> bool {
        self.shown.is_end() && self.open.is_none()
    }
}

impl<K: Key, V: State, N> Operator<(K, Change<V>)> for Viewing<K, V, N>
where
    N: Operator<(K, Change<V>)>,
{
    #[inline]
    fn on_record(&mut self, record: Record<(K, Change<V>)>, cx: &mut Context) {
        let (at, (key, change)) = (record.at, &record.value);
        let (key, row) = (*key, change.after().copied());
        self.next.on_record(record, cx);
        self.defer(at, key, row, cx);
    }

    #[inline]
    fn on_watermark(&mut self, watermark: Watermark, cx: &mut Context) {
        self.watermark = watermark;
        self.next.on_watermark(watermark, cx);
    }

    #[inline]
    fn on_batch_end(&mut self, cx: &mut Context) {
        self.next.on_batch_end(cx);
        self.slice(cx);
    }

    fn resume(&mut self, cx: &mut Context) -> Work {
        let mut work = self.next.resume(cx);
        let done = self.slice(cx);
        if done.is_none() && self.is_over() {
            self.serving = None;
        }
        work += done;
        work
    }

    fn is_at_rest(&self) -> bool {
        self.open.is_none() && self.next.is_at_rest()
    }

    /// It has to be asked in every step, as long as somebody may have a question.
    fn pressure(&self) -> Pressure {
        let here = match self.is_over() && self.serving.is_none() {
            true => Pressure::Clear,
            false => Pressure::Pending,
        };
        here.max(self.next.pressure())
    }

    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        self.rows.visit(self.root, None, &mut |key, row| {
            each(Shown::value(NAME, &key, row));
            true
        });
        self.next.inspect(each);
    }

    fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context) {
        self.next.on_checkpoint(checkpoint, cx);
    }

    fn save(&self, out: &mut Saved) {
        out.at_rest(NAME, self.open.is_none(), "answers a question");
        out.put(NAME, &self.rows);
        out.put(NAME, &self.root);
        out.put(NAME, &self.ahead);
        out.put(NAME, &self.waits);
        out.put(NAME, &(self.watermark, self.shown, self.towards));
        self.next.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        from.take(NAME, &mut self.rows);
        from.take(NAME, &mut self.root);
        from.take(NAME, &mut self.ahead);
        self.ahead.set_capacity(self.config.timers_max);
        from.take(NAME, &mut self.waits);
        let mut times = (self.watermark, self.shown, self.towards);
        from.take(NAME, &mut times);
        (self.watermark, self.shown, self.towards) = times;
        self.next.load(from);
    }
}
