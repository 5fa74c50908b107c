//! Memory of a log that the kernel still reads from: nothing in it may change until it does not.

/// Memory that takes the place of such memory, at most.
const SPARE_MAX: usize = 16;

/// The bytes of a block, by a number that stays theirs.
pub struct Memory {
    pub number: u32,
    pub bytes: Vec<u8>,
}

/// Which memory is read by the kernel, and what there is instead of it.
///
/// So much is kept at a time as there is to take its place, no more: so a log goes round whether or
/// not the kernel ever says that it has read something.
#[derive(Default)]
pub struct Kept {
    /// How often each is being read, and where it was at first.
    reads: Vec<(u32, usize)>,
    /// How many of them are.
    count: usize,
    spare: Vec<Memory>,
    /// What is being read and has been replaced.
    aside: Vec<Memory>,
    /// How many may be.
    most: usize,
}

impl Kept {
    /// For these blocks: half as many may be kept, within bounds.
    pub fn of<'a>(blocks: impl Iterator<Item = &'a Memory>, block_bytes: usize) -> Self {
        let place = |memory: &Memory| (0, memory.bytes.as_ptr() as usize);
        let mut reads: Vec<_> = blocks.map(place).collect();
        let first = reads.len() as u32;
        let most = (reads.len() / 2).clamp(1, SPARE_MAX);
        let memory = |number| Memory { number, bytes: Vec::with_capacity(block_bytes) };
        let spare: Vec<_> = (first..first + most as u32).map(memory).collect();
        reads.extend(spare.iter().map(place));
        Self { reads, count: 0, spare, aside: Vec::with_capacity(most), most }
    }

    /// How many there are to take the place of others.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Whether any is being read.
    #[inline]
    pub fn is_any(&self) -> bool {
        self.count > 0
    }

    /// Whether this one is.
    #[inline]
    pub fn has(&self, number: u32) -> bool {
        self.count > 0 && self.reads[number as usize].0 > 0
    }

    /// It is going to be read: false if too many others are. What has been moved, since a codec
    /// wrote more than it said, is never taken: it may move again.
    pub fn keep(&mut self, memory: &Memory) -> bool {
        let Some((reads, home)) = self.reads.get_mut(memory.number as usize) else { return false };
        if (*reads == 0 && self.count == self.most) || *home != memory.bytes.as_ptr() as usize {
            return false;
        }
        self.count += usize::from(*reads == 0);
        *reads += 1;
        true
    }

    /// One read of it is over.
    pub fn release(&mut self, number: u32) {
        let reads = &mut self.reads[number as usize].0;
        *reads -= 1;
        if *reads > 0 {
            return;
        }
        self.count -= 1;
        if let Some(at) = self.aside.iter().position(|memory| memory.number == number) {
            self.spare.push(self.aside.swap_remove(at));
        }
    }

    /// Puts other memory in the place of what is being read.
    pub fn replace(&mut self, memory: &mut Memory) {
        if self.has(memory.number)
            && let Some(spare) = self.spare.pop()
        {
            self.aside.push(std::mem::replace(memory, spare));
        }
    }

    /// The log goes: what the kernel still reads stays for ever. It belongs to connections that are
    /// closed and not yet over, and whoever is at their other end reads what is there.
    pub fn leave<'a>(&mut self, blocks: impl Iterator<Item = &'a mut Memory>) {
        let aside = std::mem::take(&mut self.aside);
        let blocks = blocks.filter(|memory| self.has(memory.number));
        let left = aside.into_iter().map(|it| it.bytes);
        left.chain(blocks.map(|it| std::mem::take(&mut it.bytes))).for_each(std::mem::forget);
    }
}
