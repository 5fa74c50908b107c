//! A row answers all who ask for it.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::dataflow::{Change, Others, Saved};
use crate::operators::{Either, KeyContext, Moved, Process, Timer};
use crate::state::{Key, Root, Sorted, State};
use crate::table::group::check_rows;
use crate::table::join::foreign::ask::Asked;
use crate::time::Timestamp;

/// Answers from one call, at most: what is left over has calls of its own.
const SLICE: usize = 16;

/// Is always due: what it is set for comes before the next record, in slices, however many steps
/// that takes.
const AT_ONCE: Timestamp = Timestamp::MIN;

/// What the row that was named is now.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Answer<K, R> {
    pub key: K,
    /// The number of the question that it answers.
    pub question: u64,
    pub row: Option<R>,
}

/// Keeps each right row beside those who ask for it.
pub(super) struct Answering<F, K, R> {
    /// The numbers of questions, by who asks.
    askers: Sorted<K, u64>,
    /// Those of other shards, while their rows move.
    others: Others<Sorted<K, u64>>,
    askers_max: usize,
    /// Answers from one call.
    slice: usize,
    types: PhantomData<fn(F) -> R>,
}

/// A right row, there or not, and who asks for it.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Named<K, R> {
    row: Option<R>,
    askers: Root,
    /// When it last changed, and who is told of that next, if somebody is still to be told.
    changed: Timestamp,
    next: Option<K>,
}

impl<K, R> Default for Named<K, R> {
    fn default() -> Self {
        let changed = Timestamp::MIN;
        Self { row: None, askers: Root::default(), changed, next: None }
    }
}

impl<F: Key, K: Key, R: State> Answering<F, K, R> {
    /// Nobody asks yet.
    pub fn new(config: &Config) -> Self {
        let askers = Sorted::new(config.hash_seed);
        let slice = SLICE.min(config.emits_max);
        let (others, askers_max) = (Others::default(), config.records_max);
        Self { askers, others, askers_max, slice, types: PhantomData }
    }

    /// Takes a question down and answers it, or takes it out.
    fn on_asked(&mut self, asked: Asked<F, K>, ctx: &mut KeyContext<'_, Self>) {
        let Asked { key, question, .. } = asked;
        let Self { askers, askers_max, .. } = self;
        let named = ctx.state();
        match question {
            Some(question) => {
                askers.set(&mut named.askers, key, question, &mut |_, _, _| ());
                let row = named.row;
                ctx.emit(Answer { key, question, row });
                check_rows(ctx, askers.len(), *askers_max);
            }
            None => _ = askers.remove(&mut named.askers, key, &mut |_, _, _| ()),
        }
    }

    /// Tells a slice of those who ask what the row is now.
    fn tell(&mut self, ctx: &mut KeyContext<'_, Self>) {
        let Named { row, askers, changed, mut next } = *ctx.state();
        let (from, mut left) = (next.take(), self.slice);
        self.askers.visit(askers, from, &mut |key, question| {
            if left == 0 {
                next = Some(key);
                return false;
            }
            left -= 1;
            ctx.emit_at(changed, Answer { key, question: *question, row });
            true
        });
        ctx.state().next = next;
        if next.is_some() {
            ctx.set_timer(AT_ONCE);
        }
    }
}

impl<F: Key, K: Key, R: State> Process for Answering<F, K, R> {
    type Key = F;
    type In = Either<Asked<F, K>, (F, Change<R>)>;
    type State = Named<K, R>;
    type Out = Answer<K, R>;

    const NAME: &'static str = "foreign_answer";

    fn on_record(&mut self, record: Self::In, ctx: &mut KeyContext<'_, Self>) {
        match record {
            Either::Left(asked) => self.on_asked(asked, ctx),
            Either::Right((_, change)) => {
                let changed = ctx.at();
                let named = ctx.state();
                (named.row, named.changed) = (change.after().copied(), changed);
                self.tell(ctx);
            }
        }
        let named = ctx.state();
        if named.row.is_none() && named.askers.is_empty() {
            ctx.clear();
        }
    }

    fn on_timer(&mut self, _: Timer, ctx: &mut KeyContext<'_, Self>) {
        self.tell(ctx);
    }

    fn save(&self, out: &mut Saved) {
        out.put(Self::NAME, &self.askers);
    }

    fn load(&mut self, from: &mut Saved) {
        self.others = from.take_pool(Self::NAME, &mut self.askers);
    }

    fn on_moved(&mut self, rows: &mut Moved<'_, Self>) {
        let others = std::mem::take(&mut self.others);
        rows.each(|shard, _, named| {
            let Some(other) = others.of(shard) else { return };
            named.askers = self.askers.take_over(other, named.askers, &mut |_, _, _| ());
        });
    }
}
