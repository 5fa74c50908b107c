//! A disk in memory that loses whatever a disk may lose.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::rc::Rc;

use fastrand::Rng;

use crate::io::journal::{SegmentHeader, Settings, make_segment, remove_segment, segment_name};
use crate::io::{Done, Files, Storage, Write};
use crate::sim::content::Content;

/// A directory on a simulated disk, under a seed: clones are the same directory.
///
/// Writes reach the disk in any order. Until one was made durable, a [crash](SimDisk::crash) keeps
/// any of its sectors and loses the others; names that were not made durable come and go as well.
/// Durable is what [`Files::sync`] has returned from, and a write whose completion was seen.
#[derive(Clone, Debug)]
pub struct SimDisk(Rc<RefCell<Platter>>);

#[derive(Debug)]
struct Platter {
    rng: Rng,
    contents: BTreeMap<u64, Content>,
    /// Names as they are now, and as a crash would leave them but for the operations pending.
    names: BTreeMap<String, u64>,
    durable: BTreeMap<String, u64>,
    pending: Vec<Naming>,
    /// Writes under way.
    flying: Vec<Flying>,
    contents_made: u64,
    operations: u64,
    crash_at: u64,
    room: u64,
    faults: Faults,
}

#[derive(Clone, Copy, Debug, Default)]
struct Faults {
    /// Writes fail for want of room.
    is_full: bool,
    /// The next write fails.
    fails_next: bool,
    /// One drive in so many hands a write over; 0 is each.
    slow: u32,
    /// A write counts as durable and is not.
    lies: bool,
}

#[derive(Debug)]
enum Naming {
    Set(String, u64),
    Unset(String),
}

#[derive(Debug)]
struct Flying {
    write: Write,
    bytes: Vec<u8>,
}

impl Platter {
    fn find(&mut self, name: &str) -> io::Result<&mut Content> {
        let number = self.names.get(name).copied().ok_or(ErrorKind::NotFound)?;
        self.contents.get_mut(&number).ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// A new file without contents.
    fn make(&mut self, name: &str) -> &mut Content {
        self.contents_made += 1;
        let number = self.contents_made;
        self.names.insert(name.to_owned(), number);
        self.pending.push(Naming::Set(name.to_owned(), number));
        self.contents.entry(number).or_default()
    }

    /// Counts an operation; after the last before the crash there is none.
    fn operate(&mut self) -> io::Result<()> {
        self.operations += 1;
        if self.operations > self.crash_at {
            return Err(io::Error::other("the simulated host is down"));
        }
        Ok(())
    }

    fn used(&self) -> u64 {
        self.names
            .values()
            .filter_map(|number| self.contents.get(number))
            .fold(0, |sum, it| sum + it.now.len() as u64)
    }

    fn land(&mut self, flying: &Flying) {
        let Flying { write, bytes } = flying;
        let (lies, name) = (self.faults.lies, segment_name(write.segment));
        let Ok(content) = self.find(&name) else { return };
        let offset = write.offset as usize;
        content.write(offset, bytes);
        if write.durable && !lies {
            content.settle(offset, bytes.len());
        }
    }

    fn lose_power(&mut self) {
        let mut rng = self.rng.fork();
        for naming in std::mem::take(&mut self.pending) {
            if rng.bool() {
                match naming {
                    Naming::Set(name, number) => _ = self.durable.insert(name, number),
                    Naming::Unset(name) => _ = self.durable.remove(&name),
                }
            }
        }
        self.contents.values_mut().for_each(|content| content.crash(&mut rng));
        self.names.clone_from(&self.durable);
    }
}

impl SimDisk {
    /// An empty directory, under this seed.
    pub fn new(seed: u64) -> Self {
        Self(Rc::new(RefCell::new(Platter {
            rng: Rng::with_seed(seed),
            contents: BTreeMap::new(),
            names: BTreeMap::new(),
            durable: BTreeMap::new(),
            pending: Vec::new(),
            flying: Vec::new(),
            contents_made: 0,
            operations: 0,
            crash_at: u64::MAX,
            room: u64::MAX,
            faults: Faults::default(),
        })))
    }

    /// A way to write segments without blocking, with as many slots as these settings say.
    pub fn storage(&self, settings: &Settings) -> SimStorage {
        SimStorage {
            disk: self.clone(),
            buffers: vec![(vec![0xa5; settings.slot_bytes], false); settings.slots],
            making: None,
            syncing: None,
            removing: None,
            spare: None,
            done: VecDeque::with_capacity(settings.slots + 3),
        }
    }

    /// The power goes: what was not durable is kept or lost, sector by sector. The disk can be used
    /// again at once; whatever used it before must not be.
    pub fn crash(&mut self) {
        self.end(true);
    }

    /// The process that used the disk ends: writes under way may or may not be made, and nothing
    /// else is lost.
    pub fn kill(&mut self) {
        self.end(false);
    }

    fn end(&mut self, power: bool) {
        let platter = &mut *self.0.borrow_mut();
        platter.crash_at = u64::MAX;
        for mut flying in std::mem::take(&mut platter.flying) {
            // Under way, so torn anywhere: it is on its way to the disk and not there.
            flying.write.durable = false;
            if power || platter.rng.bool() {
                platter.land(&flying);
            }
        }
        if power {
            platter.lose_power();
        }
    }

    /// The host goes down after so many more operations: all fail from then on.
    pub fn fail_after(&mut self, operations: u64) {
        let platter = &mut *self.0.borrow_mut();
        platter.crash_at = platter.operations.saturating_add(operations);
    }

    /// Whether the host is down.
    pub fn is_down(&self) -> bool {
        let platter = self.0.borrow();
        platter.operations > platter.crash_at
    }

    /// Sets how many bytes all files together may have.
    pub fn set_room(&mut self, bytes: u64) {
        self.0.borrow_mut().room = bytes;
    }

    /// Whether writes into segments fail for want of room, as on a file system that copies.
    pub fn set_full(&mut self, is_full: bool) {
        self.0.borrow_mut().faults.is_full = is_full;
    }

    /// The next write into a segment fails, as a worn disk would.
    pub fn fail_next_write(&mut self) {
        self.0.borrow_mut().faults.fails_next = true;
    }

    /// How slow it is: a write is done in one of so many drives.
    pub fn set_slow(&mut self, drives: u32) {
        self.0.borrow_mut().faults.slow = drives;
    }

    /// Makes it a disk that says durable when it is not: what must be found out.
    pub fn set_lies(&mut self) {
        self.0.borrow_mut().faults.lies = true;
    }

    /// Flips a bit of a file, on the disk.
    ///
    /// # Errors
    /// If there is no such file or byte.
    pub fn flip(&mut self, name: &str, offset: usize, bit: u32) -> io::Result<()> {
        let mut platter = self.0.borrow_mut();
        let content = platter.find(name)?;
        for bytes in [&mut content.now, &mut content.durable] {
            *bytes.get_mut(offset).ok_or(ErrorKind::UnexpectedEof)? ^= 1 << bit;
        }
        Ok(())
    }
}

impl Files for SimDisk {
    fn list(&mut self) -> io::Result<Vec<(String, u64)>> {
        let platter = &mut *self.0.borrow_mut();
        platter.operate()?;
        let length = |number| platter.contents.get(number).map_or(0, |it| it.now.len() as u64);
        Ok(platter.names.iter().map(|(name, number)| (name.clone(), length(number))).collect())
    }

    fn read_at(&mut self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let platter = &mut *self.0.borrow_mut();
        platter.operate()?;
        let content = &platter.find(name)?.now;
        let rest = content.get(offset as usize..).unwrap_or(&[]);
        let read = rest.len().min(into.len());
        into[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn create(&mut self, name: &str, bytes: u64) -> io::Result<()> {
        self.write(name, &[&vec![0; bytes as usize]])
    }

    fn write(&mut self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        let platter = &mut *self.0.borrow_mut();
        platter.operate()?;
        let bytes = parts.concat();
        if platter.used() + bytes.len() as u64 > platter.room {
            return Err(ErrorKind::StorageFull.into());
        }
        let content = match platter.names.contains_key(name) {
            // The same file, as `open` with `O_TRUNC` has it.
            true => platter.find(name)?,
            false => platter.make(name),
        };
        content.truncate(0);
        content.write(0, &bytes);
        Ok(())
    }

    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let platter = &mut *self.0.borrow_mut();
        platter.operate()?;
        platter.find(name)?.write(offset as usize, bytes);
        Ok(())
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let platter = &mut *self.0.borrow_mut();
        platter.operate()?;
        platter.find(name)?.sync();
        Ok(())
    }

    fn truncate(&mut self, name: &str, bytes: u64) -> io::Result<()> {
        let platter = &mut *self.0.borrow_mut();
        platter.operate()?;
        platter.find(name)?.truncate(bytes as usize);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let platter = &mut *self.0.borrow_mut();
        platter.operate()?;
        let number = platter.names.remove(from).ok_or(ErrorKind::NotFound)?;
        platter.names.insert(to.to_owned(), number);
        platter.pending.push(Naming::Set(to.to_owned(), number));
        platter.pending.push(Naming::Unset(from.to_owned()));
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let platter = &mut *self.0.borrow_mut();
        platter.operate()?;
        platter.names.remove(name).ok_or(ErrorKind::NotFound)?;
        platter.pending.push(Naming::Unset(name.to_owned()));
        Ok(())
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        let platter = &mut *self.0.borrow_mut();
        platter.operate()?;
        platter.pending.clear();
        platter.durable.clone_from(&platter.names);
        Ok(())
    }
}

/// The slots of one journal on a [`SimDisk`].
#[derive(Debug)]
pub struct SimStorage {
    disk: SimDisk,
    /// Each buffer, and whether it is being written.
    buffers: Vec<(Vec<u8>, bool)>,
    making: Option<SegmentHeader>,
    syncing: Option<u64>,
    removing: Option<u64>,
    spare: Option<u64>,
    done: VecDeque<Done>,
}

impl SimStorage {
    /// A write that is under way, taken out at random, and how it went.
    fn land(&self) -> Option<(usize, io::Result<()>)> {
        let platter = &mut *self.disk.0.borrow_mut();
        if platter.flying.is_empty() || platter.rng.u32(..=platter.faults.slow) > 0 {
            return None;
        }
        let pick = platter.rng.usize(..platter.flying.len());
        let flying = platter.flying.swap_remove(pick);
        let slot = flying.write.slot;
        let result = platter.operate().and_then(|()| {
            if platter.faults.is_full {
                return Err(ErrorKind::StorageFull.into());
            }
            if std::mem::take(&mut platter.faults.fails_next) {
                return Err(io::Error::other("the simulated disk is worn out"));
            }
            platter.land(&flying);
            Ok(())
        });
        Some((slot, result))
    }
}

impl Storage for SimStorage {
    fn slots(&self) -> usize {
        self.buffers.len()
    }

    fn slot_bytes(&self) -> usize {
        self.buffers.first().map_or(0, |(buffer, _)| buffer.len())
    }

    fn buffer(&mut self, slot: usize) -> &mut [u8] {
        match self.buffers.get_mut(slot) {
            Some((buffer, false)) => buffer,
            _ => &mut [],
        }
    }

    fn write(&mut self, write: Write) {
        if let Some((buffer, is_flying)) = self.buffers.get_mut(write.slot) {
            let bytes = buffer[..write.bytes].to_vec();
            *is_flying = true;
            self.disk.0.borrow_mut().flying.push(Flying { write, bytes });
        }
    }

    fn make(&mut self, header: SegmentHeader) {
        self.making = Some(header);
    }

    fn sync(&mut self, segment: u64) {
        self.syncing = Some(segment);
    }

    fn remove(&mut self, segment: u64) {
        self.removing = Some(segment);
    }

    fn drive(&mut self) {
        let turns = self.disk.0.borrow_mut().rng.usize(1..3);
        for _ in 0..turns {
            if let Some((slot, result)) = self.land() {
                if let Some((_, is_flying)) = self.buffers.get_mut(slot) {
                    *is_flying = false;
                }
                self.done.push_back(Done::Written { slot, result });
            }
        }
        self.file();
    }

    fn next_done(&mut self) -> Option<Done> {
        self.done.pop_front()
    }
}

impl SimStorage {
    /// What is asked of whole files, each after a while.
    fn file(&mut self) {
        let (makes, syncs, removes) = {
            let rng = &mut self.disk.0.borrow_mut().rng;
            (rng.bool(), rng.bool(), rng.bool())
        };
        if let Some(header) = self.making.take_if(|_| makes) {
            let result = make_segment(&mut self.disk, &header, &mut self.spare);
            self.done.push_back(Done::Made { segment: header.number, result });
        }
        if let Some(segment) = self.syncing.take_if(|_| syncs) {
            let result = Files::sync(&mut self.disk, &segment_name(segment));
            self.done.push_back(Done::Synced { segment, result });
        }
        if let Some(segment) = self.removing.take_if(|_| removes) {
            let name = segment_name(segment);
            let length = self.disk.0.borrow_mut().find(&name).map(|it| it.now.len() as u64).ok();
            let result = remove_segment(&mut self.disk, segment, length, &mut self.spare);
            self.done.push_back(Done::Removed { segment, result });
        }
    }
}
