//! What is sent: encoded once, and sent from where it is to everybody.

/// The least length of a block.
const BLOCK: usize = 32 << 10;

/// The last frames, in blocks that are used again and again. A frame is in one block.
pub struct Log {
    blocks: Vec<Block>,
    /// The oldest block, and the one that is being filled, counted from the first ever.
    first: u64,
    last: u64,
    block_bytes: usize,
    frame_max: usize,
}

struct Block {
    bytes: Vec<u8>,
    /// Where frames begin.
    starts: Vec<u32>,
    /// What stands for their keys, if they have any.
    keys: Vec<u64>,
}

/// How far somebody has been sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    block: u64,
    at: usize,
}

impl Log {
    /// Of about so many bytes, and of at least twice so many frames.
    pub fn new(bytes: usize, frame_max: usize, frames: usize) -> Self {
        let block_bytes = BLOCK.max(frame_max);
        let least = 2 + 2 * frames.div_ceil(block_bytes / frame_max.max(1));
        let bytes_of = || Vec::with_capacity(block_bytes);
        let block = |_| Block { bytes: bytes_of(), starts: Vec::new(), keys: Vec::new() };
        let blocks = (0..least.max(bytes / block_bytes)).map(block).collect();
        Self { blocks, first: 0, last: 0, block_bytes, frame_max }
    }

    /// The longest that a frame may be.
    pub fn frame_max(&self) -> usize {
        self.frame_max
    }

    /// The memory it takes.
    pub fn bytes(&self) -> usize {
        self.blocks.len() * self.block_bytes
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
        Cursor { block: self.last, at: self.block(self.last).bytes.len() }
    }

    /// Whether the next frame needs a new block.
    pub fn is_block_full(&self) -> bool {
        self.block(self.last).bytes.len() + self.frame_max > self.block_bytes
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
        let block = self.current();
        block.bytes.clear();
        block.starts.clear();
        block.keys.clear();
    }

    /// Says what stands for the key of the newest frame.
    pub fn mark(&mut self, key: u64) {
        self.current().keys.push(key);
    }

    /// The newest frame.
    pub fn newest(&self) -> &[u8] {
        let block = self.block(self.last);
        block.starts.last().map_or(&[], |start| &block.bytes[*start as usize..])
    }

    /// The frame that begins there and what stands for its key; goes behind it.
    pub fn next_frame(&self, cursor: &mut Cursor) -> Option<(&[u8], u64)> {
        self.rest(cursor);
        let block = self.block(cursor.block);
        let at = block.starts.partition_point(|start| (*start as usize) < cursor.at);
        let start = *block.starts.get(at)? as usize;
        cursor.at = block.starts.get(at + 1).map_or(block.bytes.len(), |next| *next as usize);
        Some((&block.bytes[start..cursor.at], block.keys.get(at).copied().unwrap_or(0)))
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
        let end = block.starts.get(next).map_or(block.bytes.len(), |start| *start as usize);
        &block.bytes[cursor.at..end]
    }

    /// Adds a frame. There must be room for it; a longer one than was said is left out, and false
    /// is returned.
    pub fn append(&mut self, write: impl FnOnce(&mut Vec<u8>, usize)) -> bool {
        let most = self.frame_max;
        let block = self.current();
        let from = block.bytes.len();
        write(&mut block.bytes, from);
        let fits = block.bytes.len() - from <= most;
        match fits {
            true => block.starts.push(from as u32),
            false => block.bytes.truncate(from),
        }
        fits
    }

    /// What is to be sent next, of one block; nothing if all has been.
    pub fn rest(&self, cursor: &mut Cursor) -> &[u8] {
        if cursor.at == self.block(cursor.block).bytes.len() && cursor.block < self.last {
            *cursor = Cursor { block: cursor.block + 1, at: 0 };
        }
        &self.block(cursor.block).bytes[cursor.at..]
    }

    /// So many bytes of that were sent.
    pub fn advance(cursor: &mut Cursor, bytes: usize) {
        cursor.at += bytes;
    }

    /// Goes to the block behind the oldest; returns what is left of a frame that was sent in part,
    /// and how many frames were left out.
    pub fn overtake(&self, cursor: &mut Cursor) -> (&[u8], u64) {
        let block = self.block(cursor.block);
        let next = block.starts.partition_point(|start| (*start as usize) < cursor.at);
        let whole = block.starts.get(next).map_or(block.bytes.len(), |start| *start as usize);
        let left = &block.bytes[cursor.at..whole];
        *cursor = Cursor { block: cursor.block + 1, at: 0 };
        (left, (block.starts.len() - next) as u64)
    }

    /// Back to where the frame begins that was sent in part.
    pub fn rewind(&self, cursor: &mut Cursor) {
        let block = self.block(cursor.block);
        if cursor.at < block.bytes.len() {
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
            cursor.at = block.bytes.len();
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
            let end = |at: usize| block.starts.get(at).map_or(block.bytes.len(), |it| *it as usize);
            (first..block.starts.len()).map(move |at| &block.bytes[end(at)..end(at + 1)])
        })
    }

    /// How many frames there surely is room for, if nothing that somebody at `cursor` was not sent
    /// is to be lost.
    pub fn room(&self, cursor: Cursor) -> usize {
        let taken = (self.last - cursor.block + 1) as usize;
        (self.blocks.len() - taken) * (self.block_bytes / self.frame_max.max(1))
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
        let (left, dropped) = log.overtake(&mut cursor);
        assert_eq!((left.len(), left[0], dropped), (9 << 10, 1, 1));
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
    fn a_frame_that_is_longer_than_was_said_is_left_out() {
        let mut log = Log::new(0, 100, 1);
        assert!(!log.append(|into, from| into.resize(from + 101, 1)));
        assert_eq!(log.end(), Cursor::default());
    }
}
