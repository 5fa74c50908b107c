//! Tables read from outside, while the pipeline runs.
//!
//! A [`View`] is a handle that any thread may hold. The shards keep, beside the pipeline, a copy of
//! the rows in the order of their keys, and answer what is asked through it.
//!
//! # As of a watermark
//!
//! What is shown is the table as of a watermark: all changes before it, and none that is not. A
//! change ahead of the watermark waits until the watermark has passed it; one behind it (a late
//! one) is shown from the next watermark on; and no change of a row is shown before those that came
//! before it. So a shard that answers twice as of the same watermark answers the same, and what it
//! answers is a matter of the records alone, not of how they were batched.
//!
//! # Off the hot path
//!
//! Records go on downstream before anything is done for the view: on their way they cost an entry
//! in a timer wheel and one in a hash table. The copy is brought up to the watermark, and questions
//! are answered, in slices of [`fire_max`](crate::Config::fire_max) rows (or twice the records of
//! the batch, if that is more), one slice a step and a batch. The copy stands still while a
//! question is being answered, and is brought up to date between two.
//!
//! A question waits in a bounded queue of each shard that may know. Readers take turns at its lock;
//! a shard that finds it taken looks again in its next step, and when nothing is asked it reads one
//! word that nobody writes. The answer goes into memory that the reader has provided, so answering
//! allocates nothing, and the reader is woken.
//!
//! A shard whose input has ended answers what waits and closes; a question that it would have to
//! answer is refused then.
//!
//! Rejected: a seqlock or left-right copy that readers walk by themselves. Readers would need no
//! help from the shard, but each would then see rows move under it and start over, or hold up the
//! one writer, and the shard would pay for every change twice.

mod ask;
mod desk;
mod operator;

use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, OnceLock};
use std::thread;

use crate::dataflow::{Change, NodeId, Pipeline, Stage};
use crate::error::{ConfigError, QueryError};
use crate::state::{Key, State, hash, key_group, owner};
use crate::table::Changes;
use desk::{Ask, Desk, Serving};
use operator::ViewStage;

pub use ask::{Answer, Asked, Part};

/// A handle through which any thread reads a table while the pipeline runs; cloning it is cheap.
///
/// Made before the pipeline, as a [`MemorySink`](crate::io::MemorySink) is, since the build closure
/// runs once on every shard; [`Changes::view`] connects it. See the module for what is shown and
/// what it costs.
///
/// ```
/// use millstream::table::View;
/// use millstream::{Config, Shard, Timestamp};
/// # fn main() -> millstream::Result<()> {
/// let prices = View::new();
/// let (mut shard, mut quotes) = Shard::embed(Config::embedded(), |p| {
///     let (input, quotes) = p.input::<(u32, u64)>();
///     let table = quotes.key_by(|quote| quote.0).table(|quote| Some(quote.1));
///     table.view(&prices).to_stream().for_each(drop);
///     Ok(input)
/// })?;
/// quotes.push(Timestamp(5), (7, 100))?;
/// quotes.advance_to(Timestamp(10));
/// while !shard.step(Timestamp(0)).is_none() {}
///
/// // Here the shard is in the same thread, so asking and waiting are two things.
/// let mut asked = prices.range(.., 100)?;
/// shard.step(Timestamp(0));
/// let answer = asked.poll()?.expect("it has been answered");
/// assert_eq!((answer.as_of(), answer.rows().as_slice()), (Timestamp(10), &[(7, 100)][..]));
/// # Ok(())
/// # }
/// ```
pub struct View<K, V>(Arc<OnceLock<Place<K, V>>>);

impl<K, V> Clone for View<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V> Default for View<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// Where the shards take questions.
struct Place<K, V> {
    /// One of each shard.
    desks: Vec<Arc<Desk<K, V>>>,
    hash_seed: u64,
    /// Whether each key is on the shard that owns its hash.
    by_hash: bool,
}

impl<K: Key, V: State> View<K, V> {
    /// A handle to a table that is still to be built.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for the row of a key: of the shard that owns it, where that can be told, else of all.
    ///
    /// # Errors
    /// Too many questions wait, or no pipeline shows the table now.
    pub fn key(&self, key: K) -> Result<Asked<K, V>, QueryError> {
        let place = self.place()?;
        let group = key_group(hash(key, place.hash_seed));
        let shards = match place.by_hash {
            true => {
                let owner = owner(group, place.desks.len());
                owner..owner + 1
            }
            false => 0..place.desks.len(),
        };
        self.ask((Bound::Included(key), Bound::Included(key)), 1, shards)
    }

    /// Asks for the rows of a range of keys: the first `rows_max` of it on each shard, all shards
    /// being asked, each of which answers as of its own watermark.
    ///
    /// A table of windows has their key and start for its key, and a range of it is a range of
    /// windows: `view.range((key, from)..(key, to), 100)`.
    ///
    /// # Errors
    /// Too many questions wait, or no pipeline shows the table now.
    pub fn range(
        &self,
        keys: impl RangeBounds<K>,
        rows_max: usize,
    ) -> Result<Asked<K, V>, QueryError> {
        let keys = (keys.start_bound().cloned(), keys.end_bound().cloned());
        self.ask(keys, rows_max, 0..self.place()?.desks.len())
    }

    fn place(&self) -> Result<&Place<K, V>, QueryError> {
        self.0.get().ok_or(QueryError::Closed)
    }

    fn ask(
        &self,
        keys: (Bound<K>, Bound<K>),
        rows_max: usize,
        shards: std::ops::Range<usize>,
    ) -> Result<Asked<K, V>, QueryError> {
        let place = self.place()?;
        let mut asked = Asked::new();
        for shard in shards {
            let (desk, slot) = (&place.desks[shard], Arc::default());
            asked.wait_for(shard, desk.clone(), Arc::clone(&slot));
            let rows = Vec::with_capacity(rows_max);
            desk.ask(Ask { keys, rows, rows_max, slot, reader: thread::current() })?;
        }
        Ok(asked)
    }

    /// Connects the shard that is being built.
    fn serve(
        &self,
        p: Pipeline<'_>,
        step: NodeId,
        by_hash: bool,
    ) -> Result<Serving<K, V>, ConfigError> {
        let (shards, hash_seed) = (p.shards(), p.config().hash_seed);
        let place = self.0.get_or_init(|| {
            let desks = (0..shards).map(|_| Arc::new(Desk::new())).collect();
            Place { desks, hash_seed, by_hash }
        });
        if (place.desks.len(), place.hash_seed, place.by_hash) != (shards, hash_seed, by_hash) {
            return Err(twice());
        }
        Serving::begin(&place.desks[p.shard()], p, step)
    }
}

fn twice() -> ConfigError {
    ConfigError::Pipeline("a view shows one table: this one shows another already".to_owned())
}

impl<'p, K: Key, V: State, S: Stage<Out = (K, Change<V>)>> Changes<'p, K, V, S> {
    /// Lets the table be read from outside through `view`; the changes go on as they are.
    ///
    /// Holds a copy of the rows: at most [`keys_max`](crate::Config::keys_max) on one shard, and as
    /// many changes ahead of the watermark as [`timers_max`](crate::Config::timers_max). See
    /// [`View`] for an example.
    pub fn view(
        self,
        view: &View<K, V>,
    ) -> Changes<'p, K, V, impl Stage<Out = (K, Change<V>)> + use<'p, K, V, S>> {
        let Self { stream, by_hash, .. } = self;
        let serving = view.serve(stream.pipeline, stream.node, by_hash);
        let serving = serving.map_err(|error| stream.pipeline.reject(error));
        let (config, types) = (stream.pipeline.config(), PhantomData);
        let stream = stream.then("view", |stage| ViewStage { stage, serving, config, types });
        Changes::new(stream, by_hash)
    }
}
