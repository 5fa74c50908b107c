//! Where a table's sub-tables live: blocks that grow, a free list, nothing given back.

use super::sub::Sub;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// The most one block holds, in bytes: small enough that the system hands it over in microseconds.
const BLOCK: usize = 256 << 10;

/// The memory of one table.
pub struct Arena<K, V> {
    blocks: Vec<(NonNull<u8>, Layout)>,
    /// Sub-tables handed back, linked by `next`.
    free: Option<Sub<K, V>>,
    /// The unused rest of the newest block: where, and room for how many sub-tables.
    fresh: NonNull<u8>,
    left: usize,
    bytes: usize,
}

impl<K, V> Arena<K, V> {
    /// An arena that holds nothing yet.
    pub fn new() -> Self {
        Self { blocks: Vec::new(), free: None, fresh: NonNull::dangling(), left: 0, bytes: 0 }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes + self.blocks.capacity() * size_of::<(NonNull<u8>, Layout)>()
    }

    /// An empty sub-table, from the free list if it can be.
    pub fn take(&mut self, depth: u32) -> Sub<K, V> {
        if let Some(sub) = self.free {
            self.free = sub.next();
            sub.reset(depth);
            return sub;
        }
        if self.left == 0 {
            self.add_block();
        }
        self.left -= 1;
        let base = self.fresh;
        // SAFETY: the block had room for at least one more, so this stays within it or ends it.
        self.fresh = unsafe { base.add(Sub::<K, V>::BYTES) };
        // SAFETY: this piece is inside a block, aligned, handed out once and freed on drop only.
        unsafe { Sub::new(base, depth) }
    }

    /// Takes back one sub-table (not the links behind it).
    pub fn give(&mut self, sub: Sub<K, V>) {
        sub.set_next(self.free);
        self.free = Some(sub);
    }

    /// Takes over another with all that was taken from it, and what was not to be taken here.
    pub fn join(&mut self, mut other: Self) {
        while other.free.is_some() || other.left > 0 {
            self.give(other.take(0));
        }
        self.blocks.append(&mut other.blocks);
        self.bytes += other.bytes;
    }

    /// Gets a block: as many sub-tables as are held already, up to `BLOCK` bytes.
    #[cold]
    fn add_block(&mut self) {
        let size = Sub::<K, V>::BYTES;
        let count = (self.bytes / size).clamp(1, (BLOCK / size).max(1));
        let Ok(layout) = Layout::from_size_align(count * size, Sub::<K, V>::ALIGN) else {
            unreachable!("a block is at most {BLOCK} bytes or one sub-table")
        };
        // SAFETY: the size is not 0: a sub-table has tags.
        let Some(block) = NonNull::new(unsafe { alloc(layout) }) else {
            handle_alloc_error(layout)
        };
        self.blocks.push((block, layout));
        self.bytes += layout.size();
        (self.fresh, self.left) = (block, count);
    }
}

impl<K, V> Drop for Arena<K, V> {
    fn drop(&mut self) {
        for &(block, layout) in &self.blocks {
            // SAFETY: allocated above with this layout, and freed once.
            unsafe { dealloc(block.as_ptr(), layout) };
        }
    }
}
