//! The `millstream` command.
//!
//! Its allocator is mimalloc, told never to give memory back to the system: a page that was purged
//! has to be faulted in again, by a shard, at some 0.5 us each.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::{c_int, c_long};
use std::process::ExitCode;

use millstream::cli::{self, shard_thread};
use mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc 3, which the binding does not name: milliseconds until
/// unused memory is purged. A test below holds the number to the default that mimalloc documents
/// for it.
const PURGE_DELAY: c_int = 15;

/// What `PURGE_DELAY` takes for "never".
const NEVER: c_long = -1;

fn main() -> ExitCode {
    // SAFETY: sets an integer inside mimalloc, which is read again at each purge. No other thread
    // runs yet.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, NEVER) }; // tidy: no safe way to say it
    shard_thread::allocations_are_counted();
    cli::main()
}

/// mimalloc, and a count of what is allocated on the threads of shards.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: passes every call on as it is; counting neither allocates nor unwinds.
// tidy: an allocator cannot be written without
unsafe impl GlobalAlloc for Counting {
    #[inline]
    // tidy: as above
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        shard_thread::on_allocation();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { MiMalloc.alloc(layout) } // tidy: as above
    }

    #[inline]
    // tidy: as above
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        shard_thread::on_allocation();
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { MiMalloc.alloc_zeroed(layout) } // tidy: as above
    }

    #[inline]
    // tidy: as above
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { MiMalloc.dealloc(memory, layout) } // tidy: as above
    }

    #[inline]
    // tidy: as above
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        shard_thread::on_allocation();
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { MiMalloc.realloc(memory, layout, size) } // tidy: as above
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purging_is_what_is_turned_off() {
        // SAFETY: reads and sets an integer inside mimalloc.
        // tidy: no safe way to say it
        unsafe {
            assert_eq!(libmimalloc_sys::mi_option_get(PURGE_DELAY), 1000, "mimalloc's default");
            libmimalloc_sys::mi_option_set(PURGE_DELAY, NEVER);
            assert_eq!(libmimalloc_sys::mi_option_get(PURGE_DELAY), NEVER);
        }
    }
}
