//! Buffers that the kernel is lent and fills by itself.

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;
use io_uring::{IoUring, cqueue};

use crate::net::pool::{Pages, Pool};

/// The one group of buffers that a ring has.
pub const GROUP: u16 = 0;

/// Buffers, and the entries by which the kernel is told which of them it may fill.
pub struct Lent {
    pool: Pool,
    /// What the kernel takes buffers from: entries, of which the tail is ours.
    entries: Pages,
    tail: u16,
    /// How many buffers the kernel has.
    free: u16,
}

impl Lent {
    /// So many buffers, made up to a power of two, all of them lent to this ring.
    ///
    /// # Safety
    /// They must not be dropped before the ring has nothing under way and knows them no more: see
    /// [`take_back`](Self::take_back).
    ///
    /// # Errors
    /// What the system said.
    pub unsafe fn to(ring: &IoUring, count: u16, each: usize) -> io::Result<Self> {
        let count = count.max(1).next_power_of_two();
        let entries = Pages::new(usize::from(count) * size_of::<BufRingEntry>());
        let address = entries.pointer() as u64;
        // SAFETY: the caller's promise.
        unsafe { ring.submitter().register_buf_ring_with_flags(address, count, GROUP, 0)? };
        let mut lent = Self { pool: Pool::new(count, each), entries, tail: 0, free: 0 };
        (0..count).for_each(|buffer| lent.give_back(buffer));
        Ok(lent)
    }

    /// The ring knows none of them any more.
    pub fn take_back(&mut self, ring: &IoUring) {
        let _ = ring.submitter().unregister_buf_ring(GROUP);
    }

    /// Whether the kernel has none.
    pub fn is_empty(&self) -> bool {
        self.free == 0
    }

    /// Whether the kernel has more than a quarter of them.
    pub fn is_plenty(&self) -> bool {
        self.free > self.pool.count() / 4
    }

    /// The buffer that the kernel has filled, if it says so.
    #[inline]
    pub fn take(&mut self, entry: &cqueue::Entry) -> Option<u16> {
        let buffer = cqueue::buffer_select(entry.flags())?;
        self.free -= 1;
        Some(buffer)
    }

    /// The first bytes of a buffer that was taken and not given back.
    #[inline]
    pub fn get(&self, buffer: u16, bytes: usize) -> &[u8] {
        // SAFETY: the kernel has filled it and does not have it until it is given back.
        unsafe { self.pool.get(buffer, bytes) }
    }

    /// The kernel may fill it again.
    pub fn give_back(&mut self, buffer: u16) {
        let at = self.tail & (self.pool.count() - 1);
        let first: *mut BufRingEntry = self.entries.pointer().cast();
        // SAFETY: there is an entry for each buffer, and this one is behind the tail: ours.
        let entry = unsafe { &mut *first.add(usize::from(at)) };
        entry.set_addr(self.pool.pointer(buffer) as u64);
        entry.set_len(self.pool.each() as u32);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        self.free += 1;
        // SAFETY: the tail is within the first entry, aligned, and both sides know it for an
        // atomic.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(first).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}
