//! Writes in flight on an io_uring, which the thread that began them looks after without waiting.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;

use io_uring::{IoUring, opcode, squeue, types};
use nix::libc;
use nix::sched::CpuSet;

use crate::disk::buffers::Buffers;
use crate::io::Write;
use crate::io::journal::BLOCK;
use crate::memory::affinity;

/// How many segments can be written at a time: what is in flight fits into half of one, so two are
/// written at most, and one is ready.
const FILES: usize = 4;

/// Marks an entry of the ring that syncs a file; the others write a slot.
const SYNC: u64 = 1 << 32;

/// How a write is made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By the write itself: `RWF_DSYNC`. Best where the disk can do that. Where it cannot, the
    /// kernel syncs behind each write, on a thread of the core that the disk interrupts: if a shard
    /// spins on that core, this waits for the scheduler's tick, 4 ms on most hosts.
    Dsync,
    /// By a sync behind it, one at a time for each file, which all writes share that were done
    /// when it began. Any core may do it.
    Sync,
}

/// A write under way.
#[derive(Clone, Copy, Debug)]
struct Flying {
    write: Write,
    /// How much of it is in the file.
    written: usize,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The kernel writes it.
    Writing,
    /// What is left of it has to be begun anew.
    Cut,
    /// It is written, and waits for a sync to begin.
    Written,
    /// A sync is under way that began after it was written.
    Syncing,
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
    /// Whether a sync of each file is under way.
    syncing: [bool; FILES],
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
            .build((slots + FILES).next_power_of_two() as u32)?;
        ring.submitter().register_files(&[-1; FILES])?;
        if let Some(cpus) = affinity::beside_this_thread() {
            // The kernel's workers for this ring, which sync: an older kernel does not bind them.
            let _ = ring.submitter().register_iowq_aff(&as_known_to_c(&cpus));
        }
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
            flying: vec![None; slots],
            syncing: [false; FILES],
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
        let place = place_of(segment) as u32;
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
        *place = Some(Flying { write, written: 0, stage: Stage::Writing });
        self.begin(write.slot);
        self.enter();
    }

    /// Puts what is left of a write into the ring.
    fn begin(&mut self, slot: usize) {
        let Some(Some(Flying { write, written, stage })) = self.flying.get_mut(slot) else {
            return;
        };
        *stage = Stage::Writing;
        let file = types::Fixed(place_of(write.segment) as u32);
        // SAFETY: what is left lies within the slot's buffer, which no write is longer than.
        let from = unsafe { self.buffers.pointer(slot).add(*written) };
        let (offset, bytes) = (write.offset + *written as u64, (write.bytes - *written) as u32);
        let by_itself = write.durable && self.way == Way::Dsync;
        let flags = if by_itself { libc::RWF_DSYNC } else { 0 };
        let entry = if self.registered {
            let entry = opcode::WriteFixed::new(file, from, bytes, slot as u16);
            entry.offset(offset).rw_flags(flags).build()
        } else {
            opcode::Write::new(file, from, bytes).offset(offset).rw_flags(flags).build()
        };
        self.put(&entry.user_data(slot as u64));
    }

    /// Begins a sync of each file with writes that wait for one, if none is under way.
    fn sync_what_waits(&mut self) {
        for place in 0..FILES {
            let waits = |it: &&mut Flying| {
                it.stage == Stage::Written && place_of(it.write.segment) == place
            };
            let mut begins = false;
            if !self.syncing[place] {
                for waiting in self.flying.iter_mut().flatten().filter(waits) {
                    waiting.stage = Stage::Syncing;
                    begins = true;
                }
            }
            if begins {
                self.syncing[place] = true;
                let sync = opcode::Fsync::new(types::Fixed(place as u32));
                let sync = sync.flags(types::FsyncFlags::DATASYNC).build();
                self.put(&sync.user_data(SYNC | place as u64));
            }
        }
    }

    /// Puts an entry into the ring, which has room for one of each slot and one of each file.
    fn put(&mut self, entry: &squeue::Entry) {
        // SAFETY: the buffer stays where it is and is not lent out while its slot is in flight.
        let put = unsafe { self.ring.submission().push(entry) };
        debug_assert!(put.is_ok(), "the ring is full");
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
        let mut seen = false;
        while let Some(entry) = { self.ring.completion().next() } {
            seen = true;
            let (data, result) = (entry.user_data(), entry.result());
            match data & SYNC {
                0 => self.on_written(data as usize, result),
                _ => self.on_synced((data & !SYNC) as usize, result),
            }
        }
        if seen {
            self.go_on();
        }
    }

    fn on_written(&mut self, slot: usize, result: i32) {
        let Some(place @ Some(_)) = self.flying.get_mut(slot) else { return };
        let Some(flying) = place else { return };
        match cause(result) {
            Ok(0) => {
                *place = None;
                self.done.push_back((slot, Err(ErrorKind::WriteZero.into())));
            }
            Ok(bytes) => {
                flying.written += bytes;
                if flying.written < flying.write.bytes {
                    // What is left must begin with a block.
                    (flying.written, flying.stage) = (flying.written & !(BLOCK - 1), Stage::Cut);
                } else if flying.write.durable && self.way == Way::Sync {
                    flying.stage = Stage::Written;
                } else {
                    *place = None;
                    self.done.push_back((slot, Ok(())));
                }
            }
            Err(error) if passes(&error) => flying.stage = Stage::Cut,
            Err(error) => {
                *place = None;
                self.done.push_back((slot, Err(error)));
            }
        }
    }

    /// A sync has ended: all writes that it was for are durable, or have failed with it.
    fn on_synced(&mut self, file: usize, result: i32) {
        self.syncing[file] = false;
        for (slot, place) in self.flying.iter_mut().enumerate() {
            let was_for =
                |it: &mut Flying| it.stage == Stage::Syncing && place_of(it.write.segment) == file;
            let Some(synced) = place.take_if(was_for) else { continue };
            match cause(result) {
                Err(error) if passes(&error) => {
                    *place = Some(Flying { stage: Stage::Written, ..synced });
                }
                result => self.done.push_back((slot, result.map(|_| ()))),
            }
        }
    }

    /// Begins what follows from what is done.
    fn go_on(&mut self) {
        for slot in 0..self.flying.len() {
            if matches!(self.flying.get(slot), Some(Some(Flying { stage: Stage::Cut, .. }))) {
                self.begin(slot);
            }
        }
        self.sync_what_waits();
        self.enter();
    }

    /// The next write that is done, by its slot.
    pub fn next_done(&mut self) -> Option<(usize, io::Result<()>)> {
        self.done.pop_front()
    }
}

fn as_known_to_c(cpus: &CpuSet) -> libc::cpu_set_t {
    // SAFETY: a set of bits, of which none is one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for cpu in (0..CpuSet::count()).filter(|cpu| cpus.is_set(*cpu).unwrap_or(false)) {
        // SAFETY: as many CPUs as the set has bits.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    set
}

/// The place of a segment's file among those that the ring knows.
fn place_of(segment: u64) -> usize {
    (segment % FILES as u64) as usize
}

/// How much was written, or why nothing was.
fn cause(result: i32) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))
}

/// Whether it is only to be tried again.
fn passes(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

impl Drop for Ring {
    /// Waits for what is in flight: the kernel reads the buffers, and nobody may write behind the
    /// back of who opens the journal next.
    fn drop(&mut self) {
        while self.flying.iter().any(Option::is_some) {
            if self.ring.submit_and_wait(1).is_err() {
                std::thread::yield_now();
            }
            self.drive();
        }
        // Now, not when the kernel comes round to the ring: the file system may be unmounted next.
        let _ = self.ring.submitter().unregister_files();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    fn write(slot: usize, offset: u64, durable: bool) -> Write {
        Write { slot, segment: 6, offset, bytes: 2 * BLOCK, durable }
    }

    /// What became of the writes under way, by slot; none if there is no ring on this host.
    fn after(file: &File, way: Way, registered: bool) -> Option<Vec<(usize, Option<ErrorKind>)>> {
        let mut ring = Ring::new(3, 2 * BLOCK, way).ok()?;
        ring.registered &= registered;
        ring.install(6, file).unwrap();
        for slot in 0..3 {
            ring.buffer(slot).fill(slot as u8 + 1);
            ring.write(write(slot, (2 * slot * BLOCK) as u64, slot != 1));
            assert!(ring.buffer(slot).is_empty(), "it is in flight");
        }
        let mut done = Vec::new();
        while done.len() < 3 {
            ring.drive();
            while let Some((slot, result)) = ring.next_done() {
                assert_eq!(ring.buffer(slot).len(), 2 * BLOCK);
                done.push((slot, result.err().map(|error| error.kind())));
            }
        }
        done.sort_by_key(|(slot, _)| *slot);
        Some(done)
    }

    #[test]
    fn every_buffer_comes_to_its_place() {
        let path = std::env::temp_dir().join(format!("millstream-ring-{}", std::process::id()));
        let want: Vec<u8> = (0..6 * BLOCK).map(|at| (at / (2 * BLOCK)) as u8 + 1).collect();
        for (way, registered) in [Way::Dsync, Way::Sync].map(|way| (way, way == Way::Sync)) {
            std::fs::write(&path, vec![0; 6 * BLOCK]).unwrap();
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            let Some(done) = after(&file, way, registered) else { return println!("skipped") };
            assert_eq!(done, [(0, None), (1, None), (2, None)]);
            assert_eq!(std::fs::read(&path).unwrap(), want, "{way:?}");
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_fails_says_why() {
        for way in [Way::Dsync, Way::Sync] {
            let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
            let Some(done) = after(&full, way, true) else { return println!("skipped") };
            let why = Some(ErrorKind::StorageFull);
            assert_eq!(done, [(0, why), (1, why), (2, why)]);
            // What cannot be synced is not durable, though it could be written.
            let null = OpenOptions::new().write(true).open("/dev/null").unwrap();
            let done = after(&null, way, true).unwrap();
            let is_durable = way == Way::Dsync;
            assert_eq!((done[0].1.is_none(), done[1].1), (is_durable, None), "{done:?}");
        }
    }

    /// As if the kernel had written the first block and some bytes, or nothing for now.
    #[test]
    fn what_is_written_in_part_goes_on_from_a_whole_block() {
        let path = std::env::temp_dir().join(format!("millstream-part-{}", std::process::id()));
        for (result, from) in [(5000, BLOCK), (-libc::EINTR, 0)] {
            std::fs::write(&path, vec![0; 2 * BLOCK]).unwrap();
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            let Ok(mut ring) = Ring::new(1, 2 * BLOCK, Way::Sync) else { return };
            ring.install(6, &file).unwrap();
            ring.buffer(0).fill(9);
            let (write, stage) = (write(0, 0, true), Stage::Writing);
            ring.flying[0] = Some(Flying { write, written: 0, stage });
            ring.on_written(0, result);
            ring.go_on();
            let done = loop {
                ring.drive();
                if let Some(done) = ring.next_done() {
                    break done;
                }
            };
            assert!(matches!(done, (0, Ok(()))), "{done:?}");
            let mut want = vec![0; 2 * BLOCK];
            want[from..].fill(9);
            assert_eq!(std::fs::read(&path).unwrap(), want);
        }
        std::fs::remove_file(path).unwrap();
    }
}
