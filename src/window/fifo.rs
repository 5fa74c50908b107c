//! The aggregate of a queue, whatever its length, at a constant cost for each push and pop.

use serde::{Deserialize, Serialize};

use crate::state::{Chunks, Place, Queue, State};
use crate::window::Aggregate;

/// One entry of a queue: the accumulator of a record, and what else is to be kept of it.
///
/// The accumulator of an entry inside a [`Fifo`] may stand for its neighbours too; `tag` is never
/// touched.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Entry<Acc, Tag> {
    acc: Acc,
    /// What is kept beside the accumulator.
    pub tag: Tag,
}

/// A queue of one key with the aggregate of all that is in it, in order of arrival.
///
/// An invertible aggregate is kept as one running accumulator: a push combines, a pop deducts. For
/// all others this is DABA Lite (Tangwongsan, Hirzel, Schneider, "In-order sliding-window
/// aggregation in worst-case constant time", VLDB Journal 2021): at most three combinations a push,
/// two a pop and one a query, at worst and not merely on the average, with one accumulator an
/// entry and two more. Nobody ever pays for turning the whole queue over.
///
/// The front part of the queue, up to `b`, is what the last turn left; each entry of it will in
/// time hold the aggregate of itself and all that follow in that part, which is what a query needs
/// when that entry is the oldest. The back part, from `b` on, holds records as they came, and
/// `back` their aggregate. When both parts are of a length, the back one is made part of the front
/// (which takes moving four places) and its entries are turned over two at a time, one by each push
/// or pop, so that all is done before the front entries that still need it run out:
///
/// | entries | hold the aggregate of |
/// |---|---|
/// | front to `l` | themselves and all up to `b` |
/// | `l` to `r` | themselves and all up to `r` |
/// | `r` to `a` | themselves |
/// | `a` to `b` | themselves and all up to `b` |
/// | `b` to end | themselves |
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Fifo<Acc> {
    queue: Queue,
    l: Place,
    r: Place,
    a: Place,
    b: Place,
    /// The aggregate from `r` to `b`, while `l` is not `r`.
    mid: Acc,
    /// The aggregate from `b` to the end; of the whole queue if the aggregate is invertible.
    back: Acc,
}

impl<Acc: State> Default for Fifo<Acc> {
    fn default() -> Self {
        let queue = Queue::default();
        let end = queue.end();
        let (mid, back) = (Acc::default(), Acc::default());
        Self { queue, l: end, r: end, a: end, b: end, mid, back }
    }
}

impl<Acc: State> Fifo<Acc> {
    /// How many entries it holds.
    #[inline(always)]
    pub fn len(&self) -> u32 {
        self.queue.len()
    }

    /// Whether it holds none.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The same in other chunks, where all that is in it is taken over from those where it is.
    pub fn in_other<Tag: Copy>(
        &self,
        there: &Chunks<Entry<Acc, Tag>>,
        chunks: &mut Chunks<Entry<Acc, Tag>>,
    ) -> Self {
        let (mut here, was) = (*self, [self.l, self.r, self.a, self.b]);
        let mut found = was;
        let mut find = |place: Place, is: Place| {
            let marks = was.iter().zip(&mut found).filter(|(was, _)| **was == place);
            marks.for_each(|(_, found)| *found = is);
        };
        here.queue = chunks.take_over(there, &self.queue, &mut find);
        find(self.queue.end(), here.queue.end());
        [here.l, here.r, here.a, here.b] = found;
        here
    }

    /// What was kept beside the oldest entry.
    #[inline]
    pub fn front<Tag: Copy>(&self, chunks: &Chunks<Entry<Acc, Tag>>) -> Option<Tag> {
        (!self.is_empty()).then(|| chunks[self.queue.front()].tag)
    }

    /// Adds an entry behind the newest. O(1): at most three combinations.
    #[inline]
    pub fn push<T, A: Aggregate<T, Acc = Acc>, Tag: Copy>(
        &mut self,
        chunks: &mut Chunks<Entry<Acc, Tag>>,
        aggregate: &A,
        acc: Acc,
        tag: Tag,
    ) {
        let was_empty = self.is_empty();
        chunks.push(&mut self.queue, Entry { acc, tag });
        aggregate.combine(&mut self.back, &acc);
        if A::INVERTIBLE {
            return;
        }
        if was_empty {
            self.b = self.queue.front();
        }
        self.turn(chunks, aggregate);
    }

    /// Takes the oldest entry out and returns what was kept beside it. O(1): at most two
    /// combinations.
    #[inline]
    pub fn pop<T, A: Aggregate<T, Acc = Acc>, Tag: Copy>(
        &mut self,
        chunks: &mut Chunks<Entry<Acc, Tag>>,
        aggregate: &A,
    ) -> Option<Tag> {
        let Entry { acc, tag } = chunks.pop(&mut self.queue)?;
        if self.is_empty() {
            *self = Self::default();
        } else if A::INVERTIBLE {
            aggregate.deduct(&mut self.back, &acc);
        } else {
            self.turn(chunks, aggregate);
        }
        Some(tag)
    }

    /// The aggregate of all entries. O(1): at most one combination.
    #[inline]
    pub fn total<T, A: Aggregate<T, Acc = Acc>, Tag: Copy>(
        &self,
        chunks: &Chunks<Entry<Acc, Tag>>,
        aggregate: &A,
    ) -> Acc {
        if A::INVERTIBLE || self.is_empty() {
            return self.back;
        }
        let mut total = chunks[self.queue.front()].acc;
        aggregate.combine(&mut total, &self.back);
        total
    }

    /// After each push and pop: one more step of turning entries over.
    #[inline]
    fn turn<T, A: Aggregate<T, Acc = Acc>, Tag: Copy>(
        &mut self,
        chunks: &mut Chunks<Entry<Acc, Tag>>,
        aggregate: &A,
    ) {
        let (front, end) = (self.queue.front(), self.queue.end());
        if front == self.b {
            // One entry, which is its own aggregate.
            debug_assert_eq!(self.len(), 1);
            (self.l, self.r, self.a, self.b) = (end, end, end, end);
            self.back = Acc::default();
            return;
        }
        if self.l == self.b {
            // The front part is all turned and as long as the back: that becomes part of it.
            (self.l, self.a, self.b) = (front, end, end);
            self.mid = std::mem::take(&mut self.back);
        }
        if self.l == self.r {
            // `a` to `b` is what front to `l` is: one entry changes hands.
            self.l = chunks.after(self.l);
            (self.r, self.a) = (self.l, self.l);
            return;
        }
        aggregate.combine(&mut chunks[self.l].acc, &self.mid);
        self.l = chunks.after(self.l);
        let before = chunks.before(self.a);
        if self.a != self.b {
            let rest = chunks[self.a].acc;
            aggregate.combine(&mut chunks[before].acc, &rest);
        }
        self.a = before;
    }
}

#[cfg(test)]
mod tests;
