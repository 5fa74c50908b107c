//! The buffers that sockets are read into.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// What the kernel wants a ring of buffers aligned to.
const PAGE: usize = 4096;

/// Zeroed memory, aligned to pages.
pub struct Pages {
    start: NonNull<u8>,
    layout: Layout,
}

impl Pages {
    /// At least so many bytes.
    pub fn new(bytes: usize) -> Self {
        let bytes = bytes.max(1).next_multiple_of(PAGE);
        let layout = Layout::from_size_align(bytes, PAGE).unwrap_or(Layout::new::<u64>());
        assert_eq!(layout.size(), bytes, "so much memory there is not");
        // SAFETY: the layout is of at least one page.
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        Self { start, layout }
    }

    /// Where it begins.
    pub fn pointer(&self) -> *mut u8 {
        self.start.as_ptr()
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, once.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

/// Buffers of one length, each known by its number. Whoever reads sockets is lent them one by one,
/// and gets them back when what is in them is decoded: so what is received and not yet decoded
/// never takes more memory than this.
pub struct Pool {
    pages: Pages,
    count: u16,
    each: usize,
}

impl Pool {
    /// So many buffers of so many bytes.
    pub fn new(count: u16, each: usize) -> Self {
        Self { pages: Pages::new(usize::from(count).saturating_mul(each)), count, each }
    }

    /// How many there are.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// How long each is.
    pub fn each(&self) -> usize {
        self.each
    }

    /// Where a buffer begins.
    pub fn pointer(&self, buffer: u16) -> *mut u8 {
        assert!(buffer < self.count, "buffer {buffer} of {}", self.count);
        // SAFETY: within the allocation.
        unsafe { self.pages.pointer().add(usize::from(buffer) * self.each) }
    }

    /// The first bytes of a buffer.
    ///
    /// # Safety
    /// Nobody may be writing into it.
    pub unsafe fn get(&self, buffer: u16, bytes: usize) -> &[u8] {
        let start = self.pointer(buffer);
        // SAFETY: within the allocation, which was zeroed; the caller's promise is passed on.
        unsafe { std::slice::from_raw_parts(start, bytes.min(self.each)) }
    }

    /// A whole buffer, to be read into.
    ///
    /// # Safety
    /// Nobody else may have it.
    pub unsafe fn get_mut(&mut self, buffer: u16) -> &mut [u8] {
        let start = self.pointer(buffer);
        // SAFETY: within the allocation, which was zeroed; the caller's promise is passed on.
        unsafe { std::slice::from_raw_parts_mut(start, self.each) }
    }
}
