//! Peers who have not been sent what makes way for something new.

use crate::error::IoError;
use crate::io::{Codec, Framing};
use crate::net::counts::Count;
use crate::net::outlet::{Outlet, Peer};
use crate::net::sink::Slow;

impl<F: Framing, C: Codec> Outlet<F, C> {
    /// Makes room for more; those who are too far behind meet the policy.
    pub(super) fn turn_over(&mut self) -> Result<(), IoError> {
        if self.log.forgets() {
            self.check_acknowledged()?;
            self.skip_while_away()?;
            // From the last on: one who is lost on the way makes place for one who was looked at.
            for at in (0..self.live.len()).rev() {
                let slot = self.live[at];
                self.bring_forward(slot);
                if self.log.is_oldest(self.peers[slot].cursor) {
                    self.on_overtaken(slot)?;
                }
            }
        }
        self.log.turn_over();
        Ok(())
    }

    /// The cursor of one who has been sent a whole block is at the end of it.
    fn bring_forward(&mut self, slot: usize) {
        self.log.rest(&mut self.peers[slot].cursor);
    }

    fn on_overtaken(&mut self, slot: usize) -> Result<(), IoError> {
        match self.settings.slow {
            Slow::Block => Err(longer_than_said()),
            Slow::Disconnect => {
                self.counts.add(Count::TooSlow, 1);
                self.lose(slot);
                Ok(())
            }
            Slow::DropOldest => {
                let Peer { cursor, spill, spilled, wish, .. } = &mut self.peers[slot];
                let passed = self.log.pass(cursor);
                let dropped = match &self.keyed {
                    // He gets no others, and of keys that he is still to be given the latest.
                    Some(keyed) => {
                        let his = passed.marks.iter().filter(|mark| wish.wants(mark.key));
                        his.filter(|mark| keyed.is_given(**mark, &wish.given)).count() as u64
                    }
                    None => passed.frames,
                };
                if *spilled == spill.len() {
                    spill.clear();
                    *spilled = 0;
                }
                spill.extend_from_slice(passed.left);
                self.counts.add(Count::Dropped, dropped);
                Ok(())
            }
            Slow::Conflate => {
                self.leave_behind(slot);
                Ok(())
            }
        }
    }
}

/// More came than there is room for.
pub fn longer_than_said() -> IoError {
    let cause = std::io::Error::other("a batch has more records than `batch_max`");
    IoError::new("send to", "subscribers", cause)
}
