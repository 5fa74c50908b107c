//! Memory that a disk can read from directly.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use crate::io::journal::BLOCK;

/// The buffers of all slots, one behind the other, aligned to blocks.
///
/// A buffer that the kernel reads from must not be lent out: whoever has one keeps that rule, so
/// the pointers here are handed out raw.
pub struct Buffers {
    start: NonNull<u8>,
    layout: Layout,
    each: usize,
}

impl Buffers {
    /// Zeros. `each` is a multiple of the block and not 0, nor are `slots`.
    pub fn new(slots: usize, each: usize) -> Self {
        let bytes = slots.max(1).saturating_mul(each.max(BLOCK));
        let layout = Layout::from_size_align(bytes, BLOCK).unwrap_or(Layout::new::<u64>());
        assert_eq!(layout.size(), bytes, "so much memory there is not");
        // SAFETY: the layout is of at least one block.
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        Self { start, layout, each: each.max(BLOCK) }
    }

    /// How long each is.
    pub fn each(&self) -> usize {
        self.each
    }

    /// How many there are.
    pub fn slots(&self) -> usize {
        self.layout.size() / self.each
    }

    /// Where a slot's buffer begins.
    pub fn pointer(&self, slot: usize) -> *mut u8 {
        assert!(slot < self.slots(), "slot {slot} of {}", self.slots());
        // SAFETY: within the allocation.
        unsafe { self.start.as_ptr().add(slot * self.each) }
    }

    /// A slot's buffer.
    ///
    /// # Safety
    /// The kernel must not be reading from it.
    pub unsafe fn get_mut(&mut self, slot: usize) -> &mut [u8] {
        let start = self.pointer(slot);
        // SAFETY: `each` bytes from there on are within the allocation, were zeroed, and are
        // borrowed from `self` alone.
        unsafe { std::slice::from_raw_parts_mut(start, self.each) }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, once.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}
