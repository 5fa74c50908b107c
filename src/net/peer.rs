//! One connection of a source: what has come and is not yet decoded.

use std::io;

use crate::io::{Codec, Framing, Malformed, Split};
use crate::net::counts::Count;
use crate::net::local::Remote;
use crate::net::wire::Wire;
use crate::time::Timestamp;

/// What is added to a record that is in two buffers, at least: more than once a buffer is rare.
const CARRY: usize = 256;

/// Up to which length of frames there is room from the start for one that comes in pieces, so that
/// the first cut, which may be hours away, costs no call of the allocator.
const ROOM_MAX: usize = 16 << 10;

/// What was received into one buffer.
#[derive(Clone, Copy, Default)]
pub struct Chunk {
    pub start: usize,
    pub end: usize,
    pub at: Timestamp,
    /// The buffer with what came next on the same connection.
    pub next: Option<u16>,
}

/// One connection.
pub struct Peer {
    pub address: Remote,
    pub open: bool,
    /// The first and the last buffer of what is not decoded.
    chunks: Option<(u16, u16)>,
    /// It is among those that have something to be decoded.
    pub queued: bool,
    /// The beginning of a record whose end is in another buffer, or has not come.
    carry: Vec<u8>,
    /// Where the frame begins that comes next.
    pub offset: u64,
    /// When something came last.
    pub heard: Timestamp,
    /// When the record began that is not whole.
    pub began: Option<Timestamp>,
    /// Nothing more will come, and why.
    pub ended: Option<Option<io::Error>>,
}

/// How far decoding came.
pub enum Decoded {
    /// As far as it was let.
    Cut,
    /// All that there was.
    All,
    /// No record could be found, and why.
    Lost(String),
}

/// A record that was in several buffers, and the length of its frame.
type Finished<T> = (Result<Option<T>, Malformed>, usize);

/// What decoding needs beside the connection.
pub struct Desk<'a, F, C> {
    pub wire: &'a mut Wire,
    pub chunks: &'a mut [Chunk],
    pub framing: &'a mut F,
    pub codec: &'a mut C,
    /// Records that the codec left out.
    pub skipped: u64,
}

impl Peer {
    pub fn new() -> Self {
        Self {
            address: Remote::Process(0),
            open: false,
            chunks: None,
            queued: false,
            carry: Vec::new(),
            offset: 0,
            heard: Timestamp::MIN,
            began: None,
            ended: None,
        }
    }

    /// The room that each connection has for a frame that comes in pieces, in bytes, if none is
    /// longer than this.
    pub fn room(frame_max: usize) -> usize {
        frame_max.min(ROOM_MAX) + CARRY
    }

    /// Somebody new has this place, whose frames take at most so many bytes.
    pub fn begin(&mut self, address: Remote, frame_max: usize, now: Timestamp) {
        let (mut carry, queued) = (std::mem::take(&mut self.carry), self.queued);
        carry.clear();
        carry.reserve(Self::room(frame_max));
        *self = Self { address, open: true, carry, queued, heard: now, ..Self::new() };
    }

    /// Bytes came.
    pub fn push(&mut self, buffer: u16, chunk: Chunk, chunks: &mut [Chunk]) {
        self.heard = chunk.at;
        chunks[usize::from(buffer)] = chunk;
        match &mut self.chunks {
            Some((_, last)) => {
                chunks[usize::from(*last)].next = Some(buffer);
                *last = buffer;
            }
            none => *none = Some((buffer, buffer)),
        }
    }

    /// When what is to be decoded next came.
    pub fn came_at(&self, chunks: &[Chunk]) -> Option<Timestamp> {
        self.chunks.map(|(first, _)| chunks[usize::from(first)].at)
    }

    /// Whether a record has begun that is not whole.
    pub fn is_within_a_record(&self) -> bool {
        !self.carry.is_empty()
    }

    /// Gives back the first buffer.
    fn pop(&mut self, wire: &mut Wire, chunks: &[Chunk]) {
        if let Some((first, last)) = self.chunks {
            self.chunks = chunks[usize::from(first)].next.map(|next| (next, last));
            wire.give_back(first);
        }
    }

    /// Forgets what has come.
    pub fn clear(&mut self, wire: &mut Wire, chunks: &[Chunk]) {
        while self.chunks.is_some() {
            self.pop(wire, chunks);
        }
        self.carry.clear();
        (self.open, self.ended, self.began) = (false, None, None);
    }

    /// Decodes at most `left` records. Of one that does not decode, `reject` is told why, and where
    /// it begins.
    pub fn decode<F: Framing, C: Codec>(
        &mut self,
        desk: &mut Desk<'_, F, C>,
        left: &mut usize,
        emit: &mut impl FnMut(C::Value),
        reject: &mut dyn FnMut(Malformed, u64),
    ) -> Decoded {
        while let Some((buffer, _)) = self.chunks {
            let Chunk { start, end, at, .. } = desk.chunks[usize::from(buffer)];
            let bytes = &desk.wire.received(buffer, end)[start..];
            if bytes.is_empty() {
                self.pop(desk.wire, desk.chunks);
                continue;
            }
            if *left == 0 {
                return Decoded::Cut;
            }
            let (framing, codec) = (&mut *desk.framing, &mut *desk.codec);
            let skipped = &mut desk.skipped;
            match self.decode_some(bytes, at, framing, codec, left, emit, reject, skipped) {
                Ok(used) => desk.chunks[usize::from(buffer)].start += used,
                Err(reason) => return Decoded::Lost(reason),
            }
        }
        Decoded::All
    }

    /// Decodes what is whole where it is, and carries the rest; returns how much that is.
    #[inline]
    #[allow(clippy::too_many_arguments)]
    fn decode_some<F: Framing, C: Codec>(
        &mut self,
        bytes: &[u8],
        at: Timestamp,
        framing: &mut F,
        codec: &mut C,
        left: &mut usize,
        emit: &mut impl FnMut(C::Value),
        reject: &mut dyn FnMut(Malformed, u64),
        skipped: &mut u64,
    ) -> Result<usize, String> {
        let (mut used, mut finished) = (0, None);
        if !self.carry.is_empty() {
            (used, finished) = self.finish(bytes, framing, codec)?;
        }
        let (mut turn, mut offset) = (*left, self.offset);
        let outcome = loop {
            // Only one place emits, so that what becomes of a record is inlined there.
            let (decoded, total) = match finished.take() {
                Some(finished) => finished,
                None => {
                    let rest = &bytes[used..];
                    if turn == 0 || rest.is_empty() {
                        break Ok(used);
                    }
                    match framing.split(rest, 0) {
                        Ok(Split::Frame { start, end, total }) => {
                            used += total;
                            (codec.decode(&rest[start..end]), total)
                        }
                        Ok(Split::More(_)) => {
                            self.carry.extend_from_slice(rest);
                            self.began = Some(at);
                            break Ok(bytes.len());
                        }
                        Err(reason) => break Err(reason),
                    }
                }
            };
            match decoded {
                Ok(Some(value)) => emit(value),
                Ok(None) => *skipped += 1,
                Err(malformed) => reject(malformed, offset),
            }
            offset += total as u64;
            turn -= 1;
        };
        (*left, self.offset) = (turn, offset);
        outcome
    }

    /// Goes on with the record that has begun; returns how many of these bytes it took, and the
    /// record with its length if that made it whole. Once for each buffer at most.
    #[inline(never)]
    fn finish<F: Framing, C: Codec>(
        &mut self,
        bytes: &[u8],
        framing: &mut F,
        codec: &mut C,
    ) -> Result<(usize, Option<Finished<C::Value>>), String> {
        let (before, mut used) = (self.carry.len(), 0);
        let mut wanted = CARRY;
        loop {
            let seen = self.carry.len();
            let more = &bytes[used..bytes.len().min(used + wanted)];
            self.carry.extend_from_slice(more);
            used += more.len();
            match framing.split(&self.carry, seen)? {
                Split::Frame { start, end, total } => {
                    let decoded = codec.decode(&self.carry[start..end]);
                    self.carry.clear();
                    self.began = None;
                    return Ok((total - before, Some((decoded, total))));
                }
                Split::More(_) if used == bytes.len() => return Ok((used, None)),
                Split::More(more) => wanted = more.max(CARRY),
            }
        }
    }
}

/// How the end of a connection is counted.
pub fn counted_end(error: &Option<io::Error>, within: bool) -> (Option<Count>, String) {
    match error {
        Some(error) => (Some(Count::Broken), error.to_string()),
        None if within => (Some(Count::CutShort), "it ends within a record".to_owned()),
        None => (None, String::new()),
    }
}
