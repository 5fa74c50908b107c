//! To whichever shard has room.

use fastrand::Rng;

use crate::dataflow::{Context, Placement, Record, Saved};
use crate::exchange::partition::Route;
use crate::exchange::ports::Ports;
use crate::state::hash;

/// Of two random shards to the one that is less behind.
///
/// How far the shards are behind is looked up once a batch; what the batch adds is counted on top.
/// Two choices are enough to keep all shards about equally far behind, and unlike the best of all
/// of them they do not send every sender to the same shard at the same time.
pub struct Shuffle {
    random: Rng,
    /// How much waits for each shard.
    backlog: Vec<usize>,
    /// Whether that was looked up for this batch.
    looked: bool,
}

impl Shuffle {
    /// Over this many shards, with random choices that follow from `seed` and the sending shard.
    pub fn new(shards: usize, here: usize, seed: u64) -> Self {
        let random = Rng::with_seed(hash(here as u64, seed));
        Self { random, backlog: vec![0; shards], looked: false }
    }

    #[inline]
    fn choose<T>(&mut self, ports: &mut Ports<T>) -> usize {
        let shards = self.backlog.len();
        if shards == 1 {
            return 0;
        }
        if !self.looked {
            self.looked = true;
            for (shard, backlog) in self.backlog.iter_mut().enumerate() {
                *backlog = ports.to(shard).backlog();
            }
        }
        let one = self.random.usize(..shards);
        let other = (one + 1 + self.random.usize(..shards - 1)) % shards;
        let shard = if self.backlog[other] < self.backlog[one] { other } else { one };
        self.backlog[shard] += 1;
        shard
    }
}

impl<T: 'static> Route<T> for Shuffle {
    #[inline]
    fn send(&mut self, record: Record<T>, ports: &mut Ports<T>, _cx: &mut Context) {
        let shard = self.choose(ports);
        ports.push(shard, record);
    }

    #[inline]
    fn on_batch_end(&mut self) {
        self.looked = false;
    }

    fn save(&self, out: &mut Saved) {
        out.put("shuffle", &self.random.get_seed());
    }

    fn load(&mut self, from: &mut Saved) {
        let mut seed = self.random.get_seed();
        from.take_unless_rescaled("shuffle", &mut seed);
        self.random = Rng::with_seed(seed);
    }

    fn placement(&self) -> Placement {
        Placement::Anywhere
    }
}

/// To this shard, unless it had no room for all of what it was given before; then as [`Shuffle`].
pub struct LocalOrShuffle {
    shuffle: Shuffle,
    /// Whether this batch may leave, once its first record has come.
    leaves: Option<bool>,
}

impl LocalOrShuffle {
    /// See [`Shuffle::new`].
    pub fn new(shards: usize, here: usize, seed: u64) -> Self {
        Self { shuffle: Shuffle::new(shards, here, seed), leaves: None }
    }
}

impl<T: 'static> Route<T> for LocalOrShuffle {
    #[inline]
    fn send(&mut self, record: Record<T>, ports: &mut Ports<T>, cx: &mut Context) {
        let here = ports.here();
        let leaves = *self.leaves.get_or_insert_with(|| ports.to(here).take_left_over());
        match leaves {
            false => ports.push(here, record),
            true => self.shuffle.send(record, ports, cx),
        }
    }

    #[inline]
    fn on_batch_end(&mut self) {
        self.leaves = None;
        Route::<T>::on_batch_end(&mut self.shuffle);
    }

    fn save(&self, out: &mut Saved) {
        Route::<T>::save(&self.shuffle, out);
    }

    fn load(&mut self, from: &mut Saved) {
        Route::<T>::load(&mut self.shuffle, from);
    }

    fn placement(&self) -> Placement {
        Placement::Anywhere
    }
}
