//! What a row asks for: the row that it names.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::dataflow::{Change, Saved};
use crate::operators::{KeyContext, Process, SideOutput};
use crate::state::{Key, Rescale, State};

/// A left row asks for the row that it names, or no longer does.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Asked<F, K> {
    pub named: F,
    pub key: K,
    /// The number of the question; none if it is asked no more.
    pub question: Option<u64>,
}

/// What has become of a left row.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Told<K, L> {
    pub key: K,
    pub row: Option<L>,
    pub names: Names,
}

/// What a left row names, beside what it named before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Names {
    /// The same.
    Same,
    /// Nothing, or there is no row.
    Nothing,
    /// Something else, and this is the number of the question.
    Other(u64),
}

/// On another number of shards all go on from the greatest number of any: each question of a row
/// has a greater one than those before. No answer is under way, since a barrier comes behind all.
pub(super) fn greatest(all: Vec<u64>, _to: &Rescale) -> u64 {
    all.into_iter().max().unwrap_or(0)
}

/// Numbers the questions of all left rows of a shard.
pub(super) struct Asking<K, L, F, N> {
    pub names: N,
    /// How many questions were asked so far: the number of the last.
    pub asked: u64,
    pub told: SideOutput<Told<K, L>>,
    pub types: PhantomData<fn(F)>,
}

impl<K, L, F, N> Process for Asking<K, L, F, N>
where
    K: Key,
    L: State,
    F: Key,
    N: Fn(&K, &L) -> Option<F> + 'static,
{
    type Key = ();
    type In = (K, Change<L>);
    type State = ();
    type Out = Asked<F, K>;

    const NAME: &'static str = "foreign_ask";

    fn on_record(&mut self, (key, change): (K, Change<L>), ctx: &mut KeyContext<'_, Self>) {
        let of = |row: Option<&L>| row.and_then(|row| (self.names)(&key, row));
        let (from, to) = (of(change.before()), of(change.after()));
        let is_update = matches!(change, Change::Update { .. });
        let names = match to {
            _ if is_update && from == to => Names::Same,
            None => Names::Nothing,
            Some(_) => {
                self.asked += 1;
                Names::Other(self.asked)
            }
        };
        ctx.emit_to(&self.told, Told { key, row: change.after().copied(), names });
        if names == Names::Same {
            return;
        }
        if let Some(named) = from {
            ctx.emit(Asked { named, key, question: None });
        }
        if let Some(named) = to {
            ctx.emit(Asked { named, key, question: Some(self.asked) });
        }
    }

    fn save(&self, out: &mut Saved) {
        out.unseen::<N>(Self::NAME);
        out.put(Self::NAME, &self.asked);
    }

    fn load(&mut self, from: &mut Saved) {
        from.rescale_by(Self::NAME, &mut self.asked, greatest);
    }
}
