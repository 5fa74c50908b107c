//! Peers who take nothing.

use crate::io::{Codec, Framing};
use crate::net::counts::Count;
use crate::net::outlet::Outlet;

/// Peers who are looked at in one turn for whether they take anything.
const LOOKS: usize = 4;

impl<F: Framing, C: Codec> Outlet<F, C> {
    /// Closes some of those who have taken nothing for too long; returns how many.
    pub(super) fn look_for_stalls(&mut self) -> u64 {
        let Some(most) = self.settings.stalled_max else { return 0 };
        let mut closed = 0;
        for _ in 0..LOOKS {
            self.look = if self.look + 1 < self.live.len() { self.look + 1 } else { 0 };
            let Some(slot) = self.live.get(self.look).copied() else { break };
            let (blocked, took) = (self.peers[slot].blocked, self.peers[slot].took);
            if blocked && self.now.since(took) >= most.as_nanos() as u64 {
                self.counts.add(Count::TooSlow, 1);
                self.lose(slot);
                closed += 1;
            }
        }
        closed
    }
}
