//! Writes in flight on an io_uring, which the thread that began them looks after without waiting.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;

use io_uring::{IoUring, opcode, squeue, types};
use nix::libc;

use crate::disk::buffers::Buffers;
use crate::io::Write;
use crate::io::journal::BLOCK;

/// How many segments can be written at a time: what is in flight fits into half of one, so two are
/// written at most, and one is ready.
const FILES: usize = 4;

/// What an entry of the ring was.
const WRITE: u64 = 0;
const SYNC: u64 = 1;

/// How a write is made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By the write itself: `RWF_DSYNC`. One round to a disk that can do it, and where it cannot
    /// the kernel syncs behind the write, on a thread of the core that the disk interrupts. If a
    /// shard spins on that core, this waits for the scheduler's tick, 4 ms on most hosts.
    Dsync,
    /// By a sync linked behind it, which any core may do.
    Sync,
}

/// A write under way.
struct Flying {
    write: Write,
    /// How much of it is in the file.
    written: usize,
    /// What it still waits for: the write, the sync.
    awaits: u8,
    /// Nothing more has to be done for it to be durable.
    synced: bool,
    failed: Option<io::Error>,
}

/// The ring, its registered buffers and files. Belongs to the thread that made it, and cannot be
/// sent to another.
pub struct Ring {
    ring: IoUring,
    buffers: Buffers,
    /// Whether the kernel knows the buffers; there may be a limit to how much memory it takes.
    registered: bool,
    way: Way,
    flying: Vec<Option<Flying>>,
    done: VecDeque<(usize, io::Result<()>)>,
}

impl Ring {
    /// A ring with so many buffers of so many bytes.
    ///
    /// # Errors
    /// What the system said: it may know no io_uring, an older one, or not allow it.
    pub fn new(slots: usize, slot_bytes: usize, way: Way) -> io::Result<Self> {
        // One thread enters, only it runs what completes, and a flag says when there is any.
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .build((2 * slots as u32).next_power_of_two())?;
        ring.submitter().register_files(&[-1; FILES])?;
        let buffers = Buffers::new(slots, slot_bytes);
        let known: Vec<libc::iovec> = (0..slots)
            .map(|slot| libc::iovec { iov_base: buffers.pointer(slot).cast(), iov_len: slot_bytes })
            .collect();
        // SAFETY: the buffers live until nothing is in flight any more: see `drop`.
        let registered = unsafe { ring.submitter().register_buffers(&known) }.is_ok();
        Ok(Self {
            ring,
            buffers,
            registered,
            way,
            flying: (0..slots).map(|_| None).collect(),
            done: VecDeque::with_capacity(slots),
        })
    }

    /// How writes are made durable.
    pub fn way(&self) -> Way {
        self.way
    }

    /// How many buffers there are, and how long they are.
    pub fn shape(&self) -> (usize, usize) {
        (self.buffers.slots(), self.buffers.each())
    }

    /// Takes in the file of a segment, which stays open as long as it may be written.
    ///
    /// # Errors
    /// What the system said.
    pub fn install(&mut self, segment: u64, file: &File) -> io::Result<()> {
        let place = (segment % FILES as u64) as u32;
        self.ring.submitter().register_files_update(place, &[file.as_raw_fd()]).map(|_| ())
    }

    /// The buffer of a slot; empty while that is being written.
    pub fn buffer(&mut self, slot: usize) -> &mut [u8] {
        match self.flying.get(slot) {
            // SAFETY: nothing is in flight for this slot.
            Some(None) => unsafe { self.buffers.get_mut(slot) },
            _ => &mut [],
        }
    }

    /// Begins a write.
    pub fn write(&mut self, write: Write) {
        let Some(place @ None) = self.flying.get_mut(write.slot) else { return };
        *place = Some(Flying { write, written: 0, awaits: 0, synced: false, failed: None });
        self.begin(write.slot);
        self.enter();
    }

    /// Puts what is left of a write into the ring.
    fn begin(&mut self, slot: usize) {
        let Self { ring, buffers, registered, way, flying, .. } = self;
        let Some(flying) = flying.get_mut(slot).and_then(Option::as_mut) else { return };
        let (write, left) = (flying.write, flying.write.bytes - flying.written);
        let file = types::Fixed((write.segment % FILES as u64) as u32);
        // SAFETY: what is left lies within the slot's buffer, which no write is longer than.
        let from = unsafe { buffers.pointer(slot).add(flying.written) };
        let offset = write.offset + flying.written as u64;
        let by_write = write.durable && *way == Way::Dsync;
        let flags = if by_write { libc::RWF_DSYNC } else { 0 };
        let (bytes, data) = (left as u32, 2 * slot as u64);
        let entry = match registered {
            true => opcode::WriteFixed::new(file, from, bytes, slot as u16)
                .offset(offset)
                .rw_flags(flags)
                .build(),
            false => opcode::Write::new(file, from, bytes).offset(offset).rw_flags(flags).build(),
        };
        let entry = entry.user_data(data + WRITE);
        let is_linked = write.durable && !by_write;
        flying.synced = !is_linked;
        let sync = opcode::Fsync::new(file).flags(types::FsyncFlags::DATASYNC);
        let entries = [
            if is_linked { entry.flags(squeue::Flags::IO_LINK) } else { entry },
            sync.build().user_data(data + SYNC),
        ];
        let entries = &entries[..1 + usize::from(is_linked)];
        flying.awaits = entries.len() as u8;
        // There is room for both entries of each slot, and each slot has one write at most.
        // SAFETY: the buffer stays where it is and is not lent out while the slot is in flight.
        if unsafe { ring.submission().push_multiple(entries) }.is_err() {
            flying.awaits = 0;
            flying.failed = Some(ErrorKind::QuotaExceeded.into());
        }
    }

    /// Enters the kernel, if there is anything to be begun or to be run there.
    fn enter(&mut self) {
        let submission = self.ring.submission();
        let pending = !submission.is_empty() || submission.taskrun() || submission.cq_overflow();
        drop(submission);
        if pending {
            // What it does not take now it is offered again at the next turn.
            let _ = self.ring.submit();
        }
    }

    /// Looks what is done.
    pub fn drive(&mut self) {
        self.enter();
        let Self { ring, flying, done, .. } = self;
        let mut again = false;
        for entry in ring.completion() {
            let (slot, what) = ((entry.user_data() / 2) as usize, entry.user_data() % 2);
            let Some(place) = flying.get_mut(slot) else { continue };
            let Some(it) = place else { continue };
            it.on_done(what, entry.result());
            if it.awaits > 0 {
                continue;
            }
            match it.failed.take() {
                Some(error) => done.push_back((slot, Err(error))),
                None if it.is_complete() => done.push_back((slot, Ok(()))),
                None => {
                    again = true;
                    continue;
                }
            }
            *place = None;
        }
        if again {
            self.go_on();
        }
    }

    /// Begins anew what was done in part only.
    #[cold]
    fn go_on(&mut self) {
        for slot in 0..self.flying.len() {
            if self.flying.get(slot).is_some_and(|it| it.as_ref().is_some_and(|it| it.awaits == 0))
            {
                self.begin(slot);
            }
        }
        self.enter();
    }

    /// The next write that is done, by its slot.
    pub fn next_done(&mut self) -> Option<(usize, io::Result<()>)> {
        self.done.pop_front()
    }
}

impl Flying {
    fn is_complete(&self) -> bool {
        self.written == self.write.bytes && self.synced
    }

    /// Takes in how a write or a sync ended.
    fn on_done(&mut self, what: u64, result: i32) {
        self.awaits -= 1;
        match (what, result) {
            (_, error @ ..0) => {
                let error = io::Error::from_raw_os_error(-error);
                // What was linked behind something that failed is not to blame.
                let passes = [libc::ECANCELED, libc::EAGAIN, libc::EINTR];
                if error.raw_os_error().is_none_or(|error| !passes.contains(&error)) {
                    self.failed.get_or_insert(error);
                }
            }
            (WRITE, 0) => _ = self.failed.get_or_insert(ErrorKind::WriteZero.into()),
            (WRITE, bytes) => {
                let written = (self.written + bytes as usize).min(self.write.bytes);
                // What is left must begin with a block.
                self.written =
                    if written < self.write.bytes { written & !(BLOCK - 1) } else { written };
            }
            _ => self.synced = true,
        }
        if self.awaits == 0 && self.written == self.write.bytes && !self.synced {
            // Written and not synced: both once more.
            self.written = 0;
        }
    }
}

impl Drop for Ring {
    /// Waits for what is in flight: the kernel reads the buffers, and nobody may write behind the
    /// back of who opens the journal next.
    fn drop(&mut self) {
        while self.flying.iter().any(Option::is_some) {
            let waited = self.ring.submit_and_wait(1);
            if waited.is_err_and(|error| error.kind() != ErrorKind::Interrupted) {
                std::thread::yield_now();
            }
            self.drive();
        }
    }
}
