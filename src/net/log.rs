//! What is sent: encoded once, and sent from where it is to everybody.

mod kept;

use kept::{Kept, Memory};

/// The least length of a block.
const BLOCK: usize = 32 << 10;

/// What a frame takes of the shortest block at the least, in bytes: that many frames have their
/// places noted in each block, in memory that is there from the start.
const LEAST: usize = 16;

/// The last frames, in blocks that are used again and again. A frame is in one block.
pub struct Log {
    blocks: Vec<Block>,
    /// The oldest block, and the one that is being filled, counted from the first ever.
    first: u64,
    last: u64,
    block_bytes: usize,
    /// The most frames of a block.
    frames_max: usize,
    frame_max: usize,
    kept: Kept,
    /// Where a frame is written that goes behind what is being read.
    beside: Vec<u8>,
}

struct Block {
    memory: Memory,
    /// Where frames begin.
    starts: Vec<u32>,
    /// Of each, if they have keys.
    marks: Vec<Mark>,
}

/// What is known of the key of a frame.
#[derive(Clone, Copy, Default)]
pub struct Mark {
    /// What stands for it.
    pub key: u64,
    /// Its place among those that are kept.
    pub place: u32,
}

/// What somebody has been overtaken by.
pub struct Passed<'a> {
    /// What is left of a frame that was sent in part.
    pub left: &'a [u8],
    /// Where the first frame begins that was left out, and how many there were.
    pub from: Cursor,
    pub frames: u64,
    /// Of each of those, if they have keys.
    pub marks: &'a [Mark],
}

/// How far somebody has been sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    block: u64,
    at: usize,
}

impl Cursor {
    /// Behind what begins there, and before what comes next.
    pub fn behind(self) -> Self {
        Self { at: self.at + 1, ..self }
    }
}

impl Log {
    /// Of about so many bytes, and of at least twice so many frames.
    pub fn new(bytes: usize, frame_max: usize, frames: usize) -> Self {
        let block_bytes = BLOCK.max(frame_max);
        let long = block_bytes / frame_max.max(1);
        let (least, frames_max) = (2 + 2 * frames.div_ceil(long), long.max(BLOCK / LEAST));
        let block = |number| {
            let memory = Memory { number, bytes: Vec::with_capacity(block_bytes) };
            Block { memory, starts: Vec::with_capacity(frames_max), marks: Vec::new() }
        };
        let blocks = (0..least.max(bytes / block_bytes) as u32).map(block).collect();
        let (kept, beside) = (Kept::default(), Vec::new());
        Self { blocks, first: 0, last: 0, block_bytes, frames_max, frame_max, kept, beside }
    }

    /// Takes the room for what is known of keys.
    pub fn allow_marks(&mut self) {
        self.blocks.iter_mut().for_each(|block| block.marks.reserve_exact(self.frames_max));
    }

    /// Lets blocks be kept: for that there is more memory.
    pub fn allow_keeping(&mut self) {
        self.kept = Kept::of(self.blocks.iter().map(|block| &block.memory), self.block_bytes);
        self.beside.reserve(self.frame_max);
    }

    /// Keeps what is at a cursor as it is until it is [released](Self::release) by the number that
    /// is returned; nothing if too much else is kept.
    pub fn keep(&mut self, cursor: Cursor) -> Option<u32> {
        let count = self.blocks.len() as u64;
        let memory = &self.blocks[(cursor.block % count) as usize].memory;
        self.kept.keep(memory).then_some(memory.number)
    }

    /// It was kept once less.
    pub fn release(&mut self, number: u32) {
        self.kept.release(number);
    }

    /// Whether anything is kept.
    pub fn keeps_any(&self) -> bool {
        self.kept.is_any()
    }

    /// The longest that a frame may be.
    pub fn frame_max(&self) -> usize {
        self.frame_max
    }

    /// The memory it takes.
    pub fn bytes(&self) -> usize {
        let of_block = |block: &Block| {
            block.starts.capacity() * size_of::<u32>() + block.marks.capacity() * size_of::<Mark>()
        };
        let places: usize = self.blocks.iter().map(of_block).sum();
        (self.blocks.len() + self.kept.most()) * self.block_bytes + places
    }

    fn block(&self, number: u64) -> &Block {
        &self.blocks[(number % self.blocks.len() as u64) as usize]
    }

    fn current(&mut self) -> &mut Block {
        let count = self.blocks.len() as u64;
        &mut self.blocks[(self.last % count) as usize]
    }

    /// Behind all that there is.
    pub fn end(&self) -> Cursor {
        Cursor { block: self.last, at: self.block(self.last).memory.bytes.len() }
    }

    /// Whether the next frame needs a new block.
    pub fn is_block_full(&self) -> bool {
        let block = self.block(self.last);
        block.memory.bytes.len() + self.frame_max > self.block_bytes
            || block.starts.len() == self.frames_max
    }

    /// Whether a new block takes the place of the oldest.
    pub fn forgets(&self) -> bool {
        self.last - self.first + 1 == self.blocks.len() as u64
    }

    /// Whether somebody who is at `cursor` would lose what he has not been sent.
    pub fn is_oldest(&self, cursor: Cursor) -> bool {
        cursor.block == self.first
    }

    /// Begins a new block.
    pub fn turn_over(&mut self) {
        self.first += u64::from(self.forgets());
        self.last += 1;
        let count = self.blocks.len() as u64;
        let block = &mut self.blocks[(self.last % count) as usize];
        self.kept.replace(&mut block.memory);
        block.memory.bytes.clear();
        block.starts.clear();
        block.marks.clear();
    }

    /// Says what is known of the key of the newest frame.
    pub fn mark(&mut self, mark: Mark) {
        self.current().marks.push(mark);
    }

    /// The newest frame, and where it begins.
    pub fn newest(&self) -> (&[u8], Cursor) {
        let block = self.block(self.last);
        let at = block.starts.last().map_or(block.memory.bytes.len(), |start| *start as usize);
        (&block.memory.bytes[at..], Cursor { block: self.last, at })
    }

    /// The frame that begins there, what is known of its key, and where that is; goes behind it.
    pub fn next_frame(&self, cursor: &mut Cursor) -> Option<(&[u8], Mark, Cursor)> {
        self.rest(cursor);
        let block = self.block(cursor.block);
        let at = block.starts.partition_point(|start| (*start as usize) < cursor.at);
        let start = *block.starts.get(at)? as usize;
        cursor.at =
            block.starts.get(at + 1).map_or(block.memory.bytes.len(), |next| *next as usize);
        let mark = block.marks.get(at).copied().unwrap_or_default();
        let from = Cursor { block: cursor.block, at: start };
        Some((&block.memory.bytes[start..cursor.at], mark, from))
    }

    /// What is left of a frame that was sent in part.
    pub fn finish(&self, cursor: Cursor) -> &[u8] {
        let mut start = cursor;
        self.rewind(&mut start);
        if start.at == cursor.at {
            return &[];
        }
        let block = self.block(cursor.block);
        let next = block.starts.partition_point(|start| (*start as usize) < cursor.at);
        let end = block.starts.get(next).map_or(block.memory.bytes.len(), |start| *start as usize);
        &block.memory.bytes[cursor.at..end]
    }

    /// Adds a frame. There must be room for it; a longer one than was said is left out, and false
    /// is returned.
    pub fn append(&mut self, write: impl FnOnce(&mut Vec<u8>, usize)) -> bool {
        let (most, count) = (self.frame_max, self.blocks.len() as u64);
        let block = &mut self.blocks[(self.last % count) as usize];
        let bytes = &mut block.memory.bytes;
        let start = bytes.len();
        // A codec may do with these bytes what it likes, and move them.
        let is_beside = self.kept.has(block.memory.number);
        let into = if is_beside { &mut self.beside } else { &mut *bytes };
        let from = into.len();
        write(into, from);
        let fits = into.len() - from <= most;
        if !fits {
            into.truncate(from);
        }
        if is_beside {
            bytes.append(&mut self.beside);
        }
        if fits {
            block.starts.push(start as u32);
        }
        fits
    }

    /// What is to be sent next, of one block; nothing if all has been.
    pub fn rest(&self, cursor: &mut Cursor) -> &[u8] {
        if cursor.at == self.block(cursor.block).memory.bytes.len() && cursor.block < self.last {
            *cursor = Cursor { block: cursor.block + 1, at: 0 };
        }
        &self.block(cursor.block).memory.bytes[cursor.at..]
    }

    /// So many bytes of that were sent.
    pub fn advance(cursor: &mut Cursor, bytes: usize) {
        cursor.at += bytes;
    }

    /// Goes to the block behind the oldest; returns what is known of what was left out.
    pub fn pass(&self, cursor: &mut Cursor) -> Passed<'_> {
        let block = self.block(cursor.block);
        let next = block.starts.partition_point(|start| (*start as usize) < cursor.at);
        let whole = block.starts.get(next).map_or(block.memory.bytes.len(), |it| *it as usize);
        let left = &block.memory.bytes[cursor.at..whole];
        let from = Cursor { block: cursor.block, at: whole };
        *cursor = Cursor { block: cursor.block + 1, at: 0 };
        let marks = block.marks.get(next..).unwrap_or(&[]);
        Passed { left, from, frames: (block.starts.len() - next) as u64, marks }
    }

    /// Back to where the frame begins that was sent in part.
    pub fn rewind(&self, cursor: &mut Cursor) {
        let block = self.block(cursor.block);
        if cursor.at < block.memory.bytes.len() {
            let behind = block.starts.partition_point(|start| (*start as usize) <= cursor.at);
            let start = behind.checked_sub(1).and_then(|at| block.starts.get(at));
            cursor.at = start.map_or(0, |start| *start as usize);
        }
    }

    /// So many frames on from where one begins; false if there are not so many.
    pub fn skip(&self, cursor: &mut Cursor, mut frames: u64) -> bool {
        loop {
            let block = self.block(cursor.block);
            let next = block.starts.partition_point(|start| (*start as usize) < cursor.at);
            let left = (block.starts.len() - next) as u64;
            if frames < left {
                cursor.at = block.starts[next + frames as usize] as usize;
                return true;
            }
            frames -= left;
            cursor.at = block.memory.bytes.len();
            if cursor.block == self.last {
                return frames == 0;
            }
            *cursor = Cursor { block: cursor.block + 1, at: 0 };
        }
    }

    /// The frames from one that begins there on.
    pub fn frames(&self, from: Cursor) -> impl Iterator<Item = &[u8]> {
        (from.block..=self.last).flat_map(move |number| {
            let block = self.block(number);
            let least = if number == from.block { from.at } else { 0 };
            let first = block.starts.partition_point(|start| (*start as usize) < least);
            let end = |at: usize| {
                block.starts.get(at).map_or(block.memory.bytes.len(), |it| *it as usize)
            };
            (first..block.starts.len()).map(move |at| &block.memory.bytes[end(at)..end(at + 1)])
        })
    }

    /// How many frames there surely is room for, if nothing that somebody at `cursor` was not sent
    /// is to be lost.
    pub fn room(&self, cursor: Cursor) -> usize {
        let taken = (self.last - cursor.block + 1) as usize;
        (self.blocks.len() - taken) * (self.block_bytes / self.frame_max.max(1))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.kept.leave(self.blocks.iter_mut().map(|block| &mut block.memory));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(log: &mut Log, byte: u8, bytes: usize) {
        if log.is_block_full() {
            log.turn_over();
        }
        assert!(log.append(|into, from| into.resize(from + bytes, byte)));
    }

    #[test]
    fn everybody_is_sent_everything_from_his_place_on() {
        let mut log = Log::new(0, 20 << 10, 1);
        let mut cursor = log.end();
        (0..3).for_each(|byte| add(&mut log, byte, 20 << 10));
        let mut got: Vec<u8> = Vec::new();
        loop {
            let rest = log.rest(&mut cursor).to_vec();
            if rest.is_empty() {
                break;
            }
            let part = rest.len().min(7000);
            got.extend(&rest[..part]);
            Log::advance(&mut cursor, part);
        }
        let want: Vec<u8> = (0..3).flat_map(|byte| vec![byte; 20 << 10]).collect();
        assert_eq!(got, want);
        assert_eq!(cursor, log.end());
    }

    #[test]
    fn who_is_overtaken_gets_the_rest_of_a_frame_and_whole_ones_after() {
        let mut log = Log::new(0, 10 << 10, 1);
        let mut cursor = log.end();
        (0..3).for_each(|byte| add(&mut log, byte, 10 << 10));
        assert_eq!(log.rest(&mut cursor).len(), 30 << 10);
        Log::advance(&mut cursor, 11 << 10);
        let mut again = cursor;
        let Passed { left, frames, .. } = log.pass(&mut cursor);
        assert_eq!((left.len(), left[0], frames), (9 << 10, 1, 1));
        log.rewind(&mut again);
        assert_eq!(log.rest(&mut again).len(), 20 << 10);
    }

    #[test]
    fn frames_are_counted_over_blocks() {
        let mut log = Log::new(0, 20 << 10, 2);
        (0..3).for_each(|byte| add(&mut log, byte, 20 << 10));
        let all: Vec<u8> = log.frames(Cursor::default()).map(|frame| frame[7]).collect();
        assert_eq!(all, [0, 1, 2]);
        let mut cursor = Cursor::default();
        assert!(log.skip(&mut cursor, 2));
        assert_eq!(log.frames(cursor).map(|frame| frame[0]).collect::<Vec<_>>(), [2]);
        assert!(log.skip(&mut cursor, 1));
        assert_eq!(cursor, log.end());
        assert!(!log.skip(&mut cursor, 1));
    }

    #[test]
    fn short_frames_fill_a_block_before_it_has_no_room_for_their_places() {
        let mut log = Log::new(0, 1 << 10, 1);
        log.allow_marks();
        let (bytes, frames) = (log.bytes(), BLOCK / LEAST);
        for n in 0..2 * frames {
            add(&mut log, n as u8, 1);
            log.mark(Mark::default());
        }
        assert_eq!(log.end(), Cursor { block: 1, at: frames });
        assert_eq!(log.frames(Cursor::default()).count(), 2 * frames);
        assert_eq!(log.bytes(), bytes, "it took more memory");
    }

    #[test]
    fn a_frame_that_is_longer_than_was_said_is_left_out() {
        let mut log = Log::new(0, 100, 1);
        assert!(!log.append(|into, from| into.resize(from + 101, 1)));
        assert_eq!(log.end(), Cursor::default());
    }
}
