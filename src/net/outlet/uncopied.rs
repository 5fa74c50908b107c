//! Long sends, which the kernel reads where they are.

use crate::io::{Codec, Framing};
use crate::net::counts::Count;
use crate::net::outlet::Outlet;
use crate::net::sink::ZeroCopy;
use crate::net::wire::Event;

/// From so many bytes on a send is a long one: to copy fewer is cheaper than to have the kernel say
/// when it has read them.
pub const LONG: usize = 8 << 10;

impl<F: Framing, C: Codec> Outlet<F, C> {
    /// Whether they can be sent so.
    pub fn sends_uncopied(&self) -> bool {
        self.wire.knows_uncopied() && self.settings.zero_copy != ZeroCopy::Never
    }

    /// Begins the send of what comes next for one peer, which is a long one; returns how many bytes
    /// that is.
    pub(super) fn begin_long(&mut self, slot: usize) -> usize {
        let kept = self.keep_for(slot);
        let peer = &mut self.peers[slot];
        let bytes = self.log.rest(&mut peer.cursor);
        peer.sending = bytes.len();
        match kept {
            // SAFETY: the log keeps what is there until it hears that it is released; if it does
            // not, it leaves that memory to the kernel for ever.
            Some(kept) => unsafe { self.wire.send_uncopied(slot, bytes, kept) },
            // SAFETY: nothing is added to the log before `settle` has heard of it, or ever if it
            // does not; and the wire goes first.
            None => unsafe { self.wire.send(slot, bytes) },
        }
        bytes.len()
    }

    /// Keeps what comes next for him, if it can be sent uncopied.
    fn keep_for(&mut self, slot: usize) -> Option<u32> {
        let always = self.settings.zero_copy == ZeroCopy::Always;
        if !self.sends_uncopied() || !self.wire.takes_uncopied(slot, always) {
            return None;
        }
        let has_room = self.wire.has_room_for_uncopied();
        let kept = has_room.then(|| self.log.keep(self.peers[slot].cursor)).flatten();
        self.counts.add(Count::CopiedFull, u64::from(kept.is_none()));
        kept
    }

    /// The kernel reads it no more.
    pub(super) fn on_released(&mut self, kept: u32, copied: Option<bool>) {
        self.log.release(kept);
        match copied {
            Some(true) => self.counts.add(Count::CopiedAnyway, 1),
            Some(false) => self.counts.add(Count::Uncopied, 1),
            None => {}
        }
    }

    /// What the wire has counted since.
    pub(super) fn count_calls(&mut self) {
        self.counts.add(Count::Calls, self.wire.take_calls());
        self.counts.add(Count::CopiedRefused, self.wire.take_refused());
    }
}

impl<F, C: Codec> Drop for Outlet<F, C> {
    /// Closes all connections and hears what the kernel has read meanwhile. What it has not is left
    /// to it when the log goes.
    fn drop(&mut self) {
        for slot in std::mem::take(&mut self.live) {
            self.wire.close(slot);
        }
        if self.log.keeps_any() {
            self.wire.flush();
            while let Some(event) = self.wire.next() {
                if let Event::Released { kept, .. } = event {
                    self.log.release(kept);
                }
            }
        }
    }
}
