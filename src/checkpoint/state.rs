//! What one shard has brought, and the bytes of its file.

use bytes::Bytes;

use crate::checkpoint::manifest::StageParts;
use crate::dataflow::{Piece, Plan, Saved};
use crate::io::journal::crc::crc;
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

impl ShardState {
    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        self.stages.iter().map(Saved::len).sum()
    }

    /// The contents of its file, and what they are: of each stage its parts, and then what was
    /// copied behind the barrier.
    pub(super) fn encode(&self) -> (Vec<u8>, Vec<StageParts>) {
        let mut bytes = Vec::with_capacity(self.bytes());
        let mut stages = Vec::new();
        for saved in &self.stages {
            bytes.extend_from_slice(saved.bytes());
            let mut bulk: Vec<(u32, u64, u32)> = Vec::new();
            for Piece { of, bytes: piece } in saved.pieces() {
                bytes.extend_from_slice(piece);
                match bulk.last_mut() {
                    Some((last, length, sum)) if last == of => {
                        *length += piece.len() as u64;
                        *sum = crc(*sum, piece);
                    }
                    _ => bulk.push((*of, piece.len() as u64, crc(0, piece))),
                }
            }
            let (length, parts) = (saved.bytes().len() as u64, saved.parts().to_vec());
            stages.push(StageParts { bytes: length, parts, bulk, elsewhere: Vec::new() });
        }
        (bytes, stages)
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
