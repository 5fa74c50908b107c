//! The memory of a ring: a file without a name, which both sides have mapped.

use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::fcntl::{FcntlArg, SealFlag, fcntl, posix_fallocate};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::stat::fstat;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::net::shared::plain::words;
use crate::net::shared::ring::Common;

/// What a ring's memory begins with.
const MAGIC: u64 = u64::from_ne_bytes(*b"MILLRING");

/// The version of what is in the memory and of what is said when it is handed over.
const VERSION: u64 = 1;

/// Where the writer's words are, the reader's, and the first slot: on cache lines of their own, in
/// pairs, since some processors fetch two at a time.
const TAIL: usize = 256;
const OVER: usize = TAIL + 8;
const HEAD: usize = 512;
const SLOTS: usize = 4096;

/// Neither side can make it shorter, so that no access can ever miss it.
const SEALS: SealFlag =
    SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW).union(SealFlag::F_SEAL_SEAL);

/// What a ring is made of. The memory begins with it, and so does what each side says to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Header {
    magic: u64,
    version: u64,
    /// The bytes of a record's value.
    record_bytes: u64,
    /// What the user calls the layout of a record.
    format: u64,
    /// For how many records there is room.
    pub capacity: u64,
}

/// The words of a header.
const HEADER: usize = size_of::<Header>() / 8;

impl Header {
    /// Of a ring for values of this type.
    pub const fn of<T>(format: u64, capacity: u64) -> Self {
        Self {
            magic: MAGIC,
            version: VERSION,
            record_bytes: size_of::<T>() as u64,
            format,
            capacity,
        }
    }

    /// # Errors
    /// In what the other's differs, but for the capacity.
    pub fn agree(&self, theirs: &Self) -> Result<(), String> {
        let differ = |what: &str, ours: u64, theirs: u64| {
            Err(format!("{what} {theirs} there and {ours} here"))
        };
        if theirs.magic != self.magic {
            return Err("it is no ring of records".to_owned());
        }
        if theirs.version != self.version {
            return differ("the version is", self.version, theirs.version);
        }
        if theirs.record_bytes != self.record_bytes {
            return differ("the bytes of a record are", self.record_bytes, theirs.record_bytes);
        }
        if theirs.format != self.format {
            return differ("the format is", self.format, theirs.format);
        }
        Ok(())
    }

    /// # Errors
    /// It has room for more than that.
    pub fn fits(&self, most: u64) -> Result<(), String> {
        match self.capacity > most {
            true => {
                Err(format!("there is room for {} records, at most {most} may be", self.capacity))
            }
            false => Ok(()),
        }
    }
}

/// The memory of one ring, mapped.
pub struct Memory {
    start: NonNull<c_void>,
    bytes: NonZeroUsize,
    capacity: u64,
    slot_words: usize,
}

impl Memory {
    /// Its length, if there can be one.
    pub fn bytes_for<T>(capacity: u64) -> Option<usize> {
        let slots = usize::try_from(capacity).ok()?.checked_mul(words::<T>() * 8)?;
        slots.checked_add(SLOTS).filter(|bytes| *bytes <= isize::MAX as usize)
    }

    /// A ring of its own, and the file to be handed over. All of it is there from now on: a page
    /// that the system had no room for later would end the process.
    ///
    /// # Errors
    /// What the system said.
    pub fn create<T>(header: &Header) -> io::Result<(Self, OwnedFd)> {
        let bytes = Self::bytes_for::<T>(header.capacity).ok_or(io::ErrorKind::OutOfMemory)?;
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let file = memfd_create("millstream-ring", flags)?;
        posix_fallocate(&file, 0, bytes as i64)?;
        fcntl(&file, FcntlArg::F_ADD_SEALS(SEALS))?;
        let memory = Self::map::<T>(file.as_fd(), bytes, header.capacity)?;
        let words = header.as_bytes().as_chunks::<8>().0;
        for (at, word) in words.iter().enumerate() {
            memory.word(at * 8).store(u64::from_ne_bytes(*word), Ordering::Relaxed);
        }
        Ok((memory, file))
    }

    /// A ring that the other side has made, and says to be so.
    ///
    /// # Errors
    /// It is not, or could be made shorter under our hands.
    pub fn open<T>(file: &OwnedFd, header: &Header) -> Result<Self, String> {
        let said = |error: nix::Error| format!("its memory cannot be had: {error}");
        let seals = fcntl(file, FcntlArg::F_GET_SEALS).map_err(said)?;
        if !SealFlag::from_bits_truncate(seals).contains(SealFlag::F_SEAL_SHRINK) {
            return Err("its memory can be made shorter".to_owned());
        }
        // After the seals: from now on it does not change.
        let length = fstat(file).map_err(said)?.st_size;
        let wanted =
            Self::bytes_for::<T>(header.capacity).filter(|_| header.capacity.is_power_of_two());
        let Some(bytes) = wanted.filter(|bytes| *bytes as i64 == length) else {
            return Err(format!("{length} bytes are no ring for {} records", header.capacity));
        };
        let memory = Self::map::<T>(file.as_fd(), bytes, header.capacity)
            .map_err(|error| format!("its memory cannot be mapped: {error}"))?;
        let there =
            std::array::from_fn::<u64, HEADER, _>(|at| memory.word(at * 8).load(Ordering::Relaxed));
        match there.as_bytes() == header.as_bytes() {
            true => Ok(memory),
            false => Err("its memory begins with another header than was said".to_owned()),
        }
    }

    fn map<T>(file: BorrowedFd<'_>, bytes: usize, capacity: u64) -> io::Result<Self> {
        let length = NonZeroUsize::new(bytes).ok_or(io::ErrorKind::InvalidInput)?;
        let rights = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // Populated: no page is faulted in when records cross.
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_POPULATE;
        // SAFETY: a new mapping, of which nobody here knows yet. It is never seen but as atomics,
        // so whatever the other side writes is a value.
        let start = unsafe { mmap(None, length, rights, flags, file, 0)? };
        Ok(Self { start, bytes: length, capacity, slot_words: words::<T>() })
    }

    /// A word of the header or of the indices.
    #[inline(always)]
    fn word(&self, at: usize) -> &AtomicU64 {
        debug_assert!(at.is_multiple_of(8) && at < SLOTS);
        // SAFETY: within the mapping, which is longer than SLOTS, and aligned.
        unsafe { self.start.byte_add(at).cast::<AtomicU64>().as_ref() }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: mapped once, so long, and nothing is left that was borrowed from it.
        let _ = unsafe { munmap(self.start, self.bytes.get()) };
    }
}

impl Common for Memory {
    type Word = AtomicU64;

    #[inline(always)]
    fn capacity(&self) -> u64 {
        self.capacity
    }

    #[inline(always)]
    fn tail(&self) -> &AtomicU64 {
        self.word(TAIL)
    }

    #[inline(always)]
    fn head(&self) -> &AtomicU64 {
        self.word(HEAD)
    }

    #[inline(always)]
    fn over(&self) -> &AtomicU64 {
        self.word(OVER)
    }

    #[inline(always)]
    fn slot(&self, number: u64) -> &[AtomicU64] {
        let at = (number & (self.capacity - 1)) as usize;
        // SAFETY: there are as many slots of as many words behind SLOTS, and a capacity is a power
        // of two: the slot is within the mapping, and aligned.
        unsafe {
            let first = self.start.byte_add(SLOTS).cast::<AtomicU64>().add(at * self.slot_words);
            std::slice::from_raw_parts(first.as_ptr(), self.slot_words)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::ftruncate;

    const OURS: Header = Header::of::<u64>(7, 4);

    #[test]
    fn both_sides_see_the_same_words_and_nobody_can_make_it_shorter() {
        let (ours, file) = Memory::create::<u64>(&OURS).unwrap();
        let theirs = Memory::open::<u64>(&file, &OURS).unwrap();
        ours.slot(6)[1].store(77, Ordering::Relaxed);
        assert_eq!(theirs.slot(2)[1].load(Ordering::Relaxed), 77);
        ours.tail().store(5, Ordering::Relaxed);
        let seen = [theirs.tail(), theirs.head(), theirs.over()];
        assert_eq!(seen.map(|word| word.load(Ordering::Relaxed)), [5, 0, 0]);
        assert_eq!(ftruncate(&file, 4096), Err(nix::Error::EPERM));
        assert_eq!(ftruncate(&file, 1 << 20), Err(nix::Error::EPERM));
    }

    #[test]
    fn what_is_no_such_ring_is_not_mapped() {
        let refused = |file: &OwnedFd, header: &Header| {
            Memory::open::<u64>(file, header).map(drop).unwrap_err()
        };
        let unsealed = memfd_create("ring", MFdFlags::MFD_ALLOW_SEALING).unwrap();
        ftruncate(&unsealed, Memory::bytes_for::<u64>(4).unwrap() as i64).unwrap();
        assert!(refused(&unsealed, &OURS).contains("shorter"));
        fcntl(&unsealed, FcntlArg::F_ADD_SEALS(SEALS)).unwrap();
        assert!(refused(&unsealed, &OURS).contains("another header"));
        let file = OwnedFd::from(std::fs::File::open("/proc/self/exe").unwrap());
        assert!(refused(&file, &OURS).contains("cannot be had"));
        let (_, file) = Memory::create::<u64>(&OURS).unwrap();
        for capacity in [0, 3, 8, 1 << 40, u64::MAX] {
            let header = Header { capacity, ..OURS };
            assert!(refused(&file, &header).contains("are no ring"), "{capacity}");
        }
    }

    #[test]
    fn headers_that_differ_say_in_what() {
        assert_eq!(OURS.agree(&Header { capacity: 64, ..OURS }), Ok(()));
        let differs = |theirs: Header| OURS.agree(&theirs).unwrap_err();
        assert!(differs(Header { magic: 1, ..OURS }).contains("no ring"));
        assert!(differs(Header { version: 9, ..OURS }).contains("version is 9 there and 1 here"));
        assert!(differs(Header::of::<[u8; 3]>(7, 4)).contains("3 there and 8 here"));
        assert!(differs(Header { format: 8, ..OURS }).contains("format is 8"));
    }
}
