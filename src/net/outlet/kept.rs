//! What a sink keeps for the one whom it connects to until he has it: while he is away, and over a
//! crash.

use std::collections::VecDeque;

use crate::dataflow::Saved;
use crate::error::IoError;
use crate::io::{Codec, Framing};
use crate::net::counts::Count;
use crate::net::line::Target;
use crate::net::log::{Cursor, Log};
use crate::net::outlet::Outlet;
use crate::net::outlet::overtaken::longer_than_said;
use crate::net::sink::Slow;

/// A count as it is said: eight bytes, the least significant first.
const COUNT: usize = 8;

/// How far the one who is connected to has said that he has what he was sent.
#[derive(Default)]
pub struct Acknowledged {
    /// Behind the last frame that he has.
    at: Cursor,
    /// How many frames of this connection that is.
    frames: u64,
    /// A count that has come in part.
    carry: [u8; COUNT],
    carried: usize,
}

impl Acknowledged {
    /// He is connected to anew, and counts from there.
    fn begin(&mut self) {
        *self = Self { at: self.at, ..Self::default() };
    }

    /// Takes in what he says. False if he has been sent less than he says that he has.
    fn on_said(&mut self, bytes: &[u8], log: &Log, sent: Cursor) -> bool {
        for byte in bytes {
            self.carry[self.carried] = *byte;
            self.carried = (self.carried + 1) % COUNT;
            if self.carried > 0 {
                continue;
            }
            let frames = u64::from_le_bytes(self.carry);
            let mut at = self.at;
            let more = frames.checked_sub(self.frames);
            if !more.is_some_and(|more| log.skip(&mut at, more)) || at > sent {
                return false;
            }
            (self.at, self.frames) = (at, frames);
        }
        true
    }
}

/// What is kept beside the log.
#[derive(Default)]
pub struct Kept {
    /// Only if he says what he has.
    acknowledged: Option<Acknowledged>,
    /// Frames from a snapshot that are not in the log yet, oldest first.
    restored: VecDeque<Vec<u8>>,
}

impl Kept {
    /// Whether all that a snapshot held is in the log.
    pub fn is_back(&self) -> bool {
        self.restored.is_empty()
    }

    /// Behind what must not be forgotten, whoever is there.
    pub fn acknowledged(&mut self) -> Option<&mut Cursor> {
        self.acknowledged.as_mut().map(|it| &mut it.at)
    }

    /// Whether he has all, as far as he says it.
    pub fn is_at(&self, end: Cursor, log: &Log) -> bool {
        self.acknowledged.as_ref().is_none_or(|it| {
            let mut at = it.at;
            log.rest(&mut at);
            at == end
        })
    }
}

impl<F: Framing, C: Codec> Outlet<F, C> {
    /// Frames are kept until he says that he has them.
    pub fn await_acknowledgements(&mut self) {
        self.kept.acknowledged = Some(Acknowledged::default());
    }

    pub fn is_acknowledged(&self) -> bool {
        self.kept.acknowledged.is_some()
    }

    /// He is being connected to.
    pub(super) fn on_begun(&mut self) {
        if let Some(acknowledged) = &mut self.kept.acknowledged {
            acknowledged.begin();
        }
    }

    /// Bytes came from a peer.
    pub(super) fn on_said(&mut self, slot: usize, buffer: u16, bytes: usize) {
        let mut is_sound = true;
        if let Some(acknowledged) = &mut self.kept.acknowledged {
            let peer = &self.peers[slot];
            let mut sent = peer.cursor;
            Log::advance(&mut sent, peer.sending);
            self.log.rest(&mut sent);
            is_sound = acknowledged.on_said(self.wire.received(buffer, bytes), &self.log, sent);
        }
        if self.keyed.is_some() && matches!(self.target, Target::Subscribers) {
            is_sound = self.peers[slot].wish.on_said(self.wire.received(buffer, bytes));
        }
        self.wire.give_back(buffer);
        if !is_sound {
            self.counts.add(Count::Garbage, 1);
            self.lose(slot);
        }
    }

    /// Where he goes on who is lost: with the first frame that he has not been sent whole, or has
    /// not said that he has.
    pub(super) fn resume(&self, mut sent: Cursor) -> Cursor {
        match &self.kept.acknowledged {
            Some(acknowledged) => acknowledged.at,
            None => {
                self.log.rewind(&mut sent);
                sent
            }
        }
    }

    /// Brings frames of a snapshot back into the log, where there is room.
    pub(super) fn bring_back(&mut self) -> Result<u64, IoError> {
        let mut brought = 0;
        while self.open
            && brought < self.batch_max as u64
            && let Some(frame) = self.kept.restored.pop_front()
        {
            if self.log.is_block_full() {
                self.turn_over()?;
            }
            if !self.log.append(|into, _| into.extend_from_slice(&frame)) {
                self.counts.add(Count::Malformed, 1);
            }
            brought += 1;
        }
        Ok(brought)
    }

    /// What he says that he has must not be behind the oldest block.
    pub(super) fn check_acknowledged(&mut self) -> Result<(), IoError> {
        let Some(at) = self.kept.acknowledged() else { return Ok(()) };
        self.log.rest(at);
        if self.log.is_oldest(*at) { Err(longer_than_said()) } else { Ok(()) }
    }

    /// One who is away and too far behind meets the policy.
    pub(super) fn skip_while_away(&mut self) -> Result<(), IoError> {
        let Some(resume) = self.target.resume() else { return Ok(()) };
        self.log.rest(resume);
        if self.log.is_oldest(*resume) {
            if self.settings.slow == Slow::Block {
                return Err(longer_than_said());
            }
            let dropped = self.log.pass(resume).frames;
            self.counts.add(Count::Dropped, dropped);
        }
        Ok(())
    }

    /// Puts in what the one who is connected to would miss, and whether the stream is over.
    pub fn save(&self, out: &mut Saved) {
        let from = match &self.target {
            Target::Subscribers => None,
            Target::Address(line) => Some(match line.slot() {
                Some(slot) => self.resume(self.peers[slot].cursor),
                None => line.away_at(),
            }),
        };
        let frames = from.into_iter().flat_map(|from| self.log.frames(from)).map(<[u8]>::to_vec);
        let frames: Vec<Vec<u8>> = frames.chain(self.kept.restored.iter().cloned()).collect();
        out.put("tcp sink", &frames);
        out.put("tcp sink", &self.ended);
    }

    /// Takes that out. The stream does not end a second time. What shards kept that there are no
    /// more is shared out among those that there are.
    pub fn load(&mut self, from: &mut Saved) {
        let to = from.to();
        let frames: Vec<Vec<Vec<u8>>> = from.take_all("tcp sink");
        let ended: Vec<bool> = from.take_all("tcp sink");
        let is_mine = |shard: usize| to.as_ref().is_none_or(|to| shard % to.shards == to.shard);
        let mine = frames.into_iter().enumerate().filter(|(shard, _)| is_mine(*shard));
        self.kept.restored = mine.flat_map(|(_, frames)| frames).collect();
        self.ended = !ended.is_empty() && ended.into_iter().all(|ended| ended);
    }
}
