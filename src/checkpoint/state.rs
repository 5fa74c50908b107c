//! What one shard has brought, and the bytes of its file.

use bytes::Bytes;

use crate::checkpoint::manifest::StageParts;
use crate::dataflow::{Piece, Plan, Saved};
use crate::io::journal::crc::{crc, crc_of_both};
use crate::time::Timestamp;

/// What one shard has brought.
#[derive(Clone)]
pub struct ShardState {
    /// The pipeline as it has built it.
    pub plan: Plan,
    /// The time of its step.
    pub now: Timestamp,
    /// What each of its stages holds.
    pub stages: Vec<Saved>,
}

/// The file of a shard, in pieces that lie where they were copied to.
#[derive(Default)]
pub(super) struct Encoded<'a> {
    /// One behind the other.
    pub pieces: Vec<&'a [u8]>,
    /// How long they are together.
    pub bytes: u64,
    /// The CRC-32C of all.
    pub crc32c: u32,
    /// What they are.
    pub stages: Vec<StageParts>,
}

impl<'a> Encoded<'a> {
    /// Puts a piece behind the others, and returns the CRC-32C of that alone.
    fn push(&mut self, piece: &'a [u8]) -> u32 {
        let sum = crc(0, piece);
        self.crc32c = crc_of_both(self.crc32c, sum, piece.len());
        self.bytes += piece.len() as u64;
        self.pieces.push(piece);
        sum
    }
}

impl ShardState {
    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        self.stages.iter().map(Saved::len).sum()
    }

    /// The contents of its file, and what they are: of each stage its parts, and then what was
    /// copied behind the barrier.
    pub(super) fn encode(&self) -> Encoded<'_> {
        let mut encoded = Encoded::default();
        for saved in &self.stages {
            encoded.push(saved.bytes());
            let mut bulk: Vec<(u32, u64, u32)> = Vec::new();
            for Piece { of, bytes } in saved.pieces() {
                let sum = encoded.push(bytes);
                match bulk.last_mut() {
                    Some((last, length, sums)) if last == of => {
                        *length += bytes.len() as u64;
                        *sums = crc_of_both(*sums, sum, bytes.len());
                    }
                    _ => bulk.push((*of, bytes.len() as u64, sum)),
                }
            }
            let (length, parts) = (saved.bytes().len() as u64, saved.parts().to_vec());
            encoded.stages.push(StageParts { bytes: length, parts, bulk, elsewhere: Vec::new() });
        }
        encoded
    }

    /// What a file holds, without a copy of what is large; `elsewhere` is what each of its stages
    /// has in others.
    ///
    /// # Errors
    /// What does not fit.
    pub(super) fn decode(
        plan: Plan,
        now: Timestamp,
        bytes: Vec<u8>,
        stages: &[StageParts],
        elsewhere: Vec<Vec<Piece>>,
    ) -> Result<Self, &'static str> {
        let mut rest = Bytes::from(bytes);
        let mut cut = |length: u64| {
            let length = usize::try_from(length).ok().filter(|length| *length <= rest.len());
            length.map(|length| rest.split_to(length)).ok_or("its stages are longer than it is")
        };
        let mut saved = Vec::new();
        for (StageParts { bytes, parts, bulk, .. }, mut others) in stages.iter().zip(elsewhere) {
            let own = cut(*bytes)?.to_vec();
            let pieces = bulk.iter().map(|&(of, length, _)| Ok(Piece { of, bytes: cut(length)? }));
            let mut pieces = pieces.collect::<Result<Vec<_>, &'static str>>()?;
            pieces.append(&mut others);
            let stage = Saved::of(own, parts.clone(), pieces);
            saved.push(stage.ok_or("the parts of a stage are longer than it is")?);
        }
        Ok(Self { plan, now, stages: saved })
    }
}
