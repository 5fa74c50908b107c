//! Windows that keep their records: lists in blocks that grow.

use serde::{Deserialize, Serialize};

use crate::dataflow::{Others, Record, Saved, Shown};
use crate::error::ConfigError;
use crate::state::{Key, Stored};
use crate::window::Span;
use crate::window::trigger::contents::Contents;
use crate::window::trigger::evictors::{Evictor, Newest};

/// Records that are allocated together.
const BLOCK: usize = 256;

/// The records of a window, as places in a [`Buffer`] counted from 1; 0 is none.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct List {
    first: u32,
    last: u32,
    len: u32,
}

/// Where the lists live: blocks that grow, a free list, nothing given back.
#[derive(Clone, Serialize, Deserialize)]
struct Buffer<T> {
    blocks: Vec<Box<[Node<T>]>>,
    free: u32,
    used: usize,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Node<T> {
    record: Record<T>,
    next: u32,
}

/// The records of a window in the order in which they came.
pub struct Records<'a, T> {
    buffer: &'a Buffer<T>,
    next: u32,
    left: u32,
}

impl<T> Clone for Records<'_, T> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<'a, T> Iterator for Records<'a, T> {
    type Item = &'a Record<T>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let node = self.buffer.node(self.next)?;
        self.next = node.next;
        Some(&node.record)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl<T> ExactSizeIterator for Records<'_, T> {}

impl<T> Buffer<T> {
    fn records(&self, list: List) -> Records<'_, T> {
        Records { buffer: self, next: list.first, left: list.len }
    }

    #[inline(always)]
    fn node(&self, place: u32) -> Option<&Node<T>> {
        let index = (place as usize).checked_sub(1)?;
        self.blocks.get(index / BLOCK)?.get(index % BLOCK)
    }

    #[inline(always)]
    fn node_mut(&mut self, place: u32) -> Option<&mut Node<T>> {
        let index = (place as usize).checked_sub(1)?;
        self.blocks.get_mut(index / BLOCK)?.get_mut(index % BLOCK)
    }

    /// Hands a whole list back: one link, however long it is.
    fn give(&mut self, list: List) {
        let free = self.free;
        if let Some(node) = self.node_mut(list.last) {
            node.next = free;
            self.free = list.first;
            self.used -= list.len as usize;
        }
    }
}

impl<T: Copy> Buffer<T> {
    fn push(&mut self, list: &mut List, record: Record<T>) {
        if self.free == 0 {
            self.add_block(record);
        }
        let place = self.free;
        let Some(node) = self.node_mut(place) else { return };
        let free = std::mem::replace(node, Node { record, next: 0 }).next;
        self.free = free;
        match self.node_mut(list.last) {
            Some(last) => last.next = place,
            None => list.first = place,
        }
        list.last = place;
        list.len += 1;
        self.used += 1;
    }

    #[cold]
    fn add_block(&mut self, record: Record<T>) {
        let first = self.blocks.len() * BLOCK + 1;
        let node = |index| {
            let next = if index + 1 == BLOCK { 0 } else { first + index + 1 };
            Node { record, next: next as u32 }
        };
        self.blocks.push((0..BLOCK).map(node).collect());
        self.free = first as u32;
    }

    /// Keeps those for which `keeps` says so, given how many come behind them.
    fn retain(&mut self, list: &mut List, keeps: impl Fn(&Record<T>, usize) -> bool) {
        let all = std::mem::take(list);
        let mut gone = List::default();
        let mut place = all.first;
        for behind in (0..all.len as usize).rev() {
            let Some(&Node { record, next }) = self.node(place) else { break };
            let to = if keeps(&record, behind) { &mut *list } else { &mut gone };
            match self.node_mut(to.last) {
                Some(last) => last.next = place,
                None => to.first = place,
            }
            (to.last, to.len) = (place, to.len + 1);
            place = next;
        }
        self.give(gone);
    }
}

/// Keeps the records, drops some before each result, and calls a function on the others.
pub struct Buffered<T, E, F> {
    buffer: Buffer<T>,
    evictor: E,
    function: F,
    /// Those of other shards, while their windows are taken over.
    others: Others<Buffer<T>>,
}

impl<T, E, F> Buffered<T, E, F> {
    /// Nothing is kept yet.
    pub fn new(evictor: E, function: F) -> Self {
        let (buffer, others) = (Buffer { blocks: Vec::new(), free: 0, used: 0 }, Others::default());
        Self { buffer, evictor, function, others }
    }

    /// Why there can be no such evictor.
    pub fn check(&self) -> Result<(), ConfigError>
    where
        E: Evictor<T>,
    {
        self.evictor.check()
    }
}

impl<K, T, E, F, R> Contents<K, T> for Buffered<T, E, F>
where
    K: 'static,
    T: Copy + Stored,
    E: Evictor<T>,
    F: FnMut(&K, Span, Records<'_, T>) -> R + 'static,
    R: 'static,
{
    type Held = List;
    type Out = R;

    #[inline]
    fn add(&mut self, list: &mut List, record: &Record<T>) {
        self.buffer.push(list, *record);
    }

    fn result(&mut self, key: &K, span: Span, list: &mut List) -> R {
        let Self { buffer, evictor, function, .. } = self;
        if E::EVICTS
            && let Some(&Node { record, .. }) = buffer.node(list.last)
        {
            let latest = buffer.records(*list).map(|record| record.at).max();
            let last = Newest { record, latest: latest.unwrap_or(record.at) };
            buffer.retain(list, |record, behind| evictor.keeps(record, behind, &last));
        }
        function(key, span, buffer.records(*list))
    }

    fn show(&self, key: &K, span: Span, list: &List, each: &mut dyn FnMut(Shown<'_>))
    where
        K: Key,
    {
        for record in self.buffer.records(*list) {
            each(Shown::in_slice("window", (span.start, span.end), key, &record.value));
        }
    }

    fn clear(&mut self, list: &mut List) {
        self.buffer.give(std::mem::take(list));
    }

    fn kept(&self) -> usize {
        self.buffer.used
    }

    fn save(&self, out: &mut Saved) {
        out.unseen::<F>("apply");
        out.put("window", &self.buffer);
    }

    fn load(&mut self, from: &mut Saved) {
        self.others = from.take_pool("window", &mut self.buffer);
    }

    fn take_over(&mut self, list: &mut List, shard: usize) {
        let there = std::mem::take(list);
        let Some(other) = self.others.of(shard) else { return };
        other.records(there).for_each(|record| self.buffer.push(list, *record));
    }

    fn has_moved(&mut self) {
        self.others = Others::default();
    }
}
