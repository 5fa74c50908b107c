//! Sends that the kernel does not copy first: it reads the bytes where they are, and says later
//! when it has.

use std::ptr;

use io_uring::{IoUring, Probe, cqueue, opcode};
use nix::libc;

use crate::net::ring::{AT_ONCE, Ring, SEND, UNCOPIED};
use crate::net::wire::Event;

/// Sends of which the kernel has yet to say that it has read them, at most.
pub const NOTICES_MAX: usize = 256;

/// So many in a row that the kernel copied after all, and it always does so for this connection:
/// the peer may be on this host.
const COPIED_MAX: u8 = 8;

/// Have it say whether it copied them after all (`IORING_SEND_ZC_REPORT_USAGE`).
const REPORT_USAGE: u16 = 8;

/// It did (`IORING_NOTIF_USAGE_ZC_COPIED`).
const USAGE_COPIED: i32 = i32::MIN;

/// Where the number begins by which the sender knows the bytes.
const KEPT_SHIFT: u32 = 40;

/// What there is of it on one connection.
pub struct Waits {
    bytes: *const u8,
    length: u32,
    /// It is of no use there: the kernel does not do it, or copies after all.
    refused: bool,
    copied: u8,
    /// Notices to come of sends that came to nothing.
    vain: u32,
}

impl Default for Waits {
    fn default() -> Self {
        Self { bytes: ptr::null(), length: 0, refused: false, copied: 0, vain: 0 }
    }
}

impl Waits {
    /// The kernel has read a send; returns whether it copied that, if it sent it at all.
    fn on_notice(&mut self, copied: bool) -> Option<bool> {
        if let Some(less) = self.vain.checked_sub(1) {
            self.vain = less;
            return None;
        }
        self.copied = if copied { self.copied.saturating_add(1) } else { 0 };
        Some(copied)
    }
}

/// What there is of it on a ring.
pub struct Uncopied {
    is_known: bool,
    /// Sends of which it has not been said that they have been read.
    notices: usize,
    /// What has been read, or never was, and nobody has been told.
    over: Vec<Event>,
    /// Sends that were copied instead, and nobody was told of.
    refused: u64,
}

impl Uncopied {
    /// Asks the kernel whether it knows how.
    pub fn of(ring: &IoUring) -> Self {
        let mut probe = Probe::new();
        let asked = ring.submitter().register_probe(&mut probe);
        let is_known = asked.is_ok() && probe.is_supported(opcode::SendZc::CODE);
        Self { is_known, notices: 0, over: Vec::with_capacity(NOTICES_MAX), refused: 0 }
    }

    /// One that nobody has been told of.
    #[inline]
    pub fn next(&mut self) -> Option<Event> {
        self.over.pop()
    }
}

impl Ring {
    /// Whether the kernel can send without copying at all.
    pub fn knows_uncopied(&self) -> bool {
        self.uncopied.is_known
    }

    /// Whether it may be of use on a connection; `always` means also where the kernel has been seen
    /// to copy after all.
    pub fn takes_uncopied(&self, slot: usize, always: bool) -> bool {
        let Some(it) = self.slots.get(slot) else { return false };
        let is_vain = it.uncopied.copied >= COPIED_MAX && !always;
        self.uncopied.is_known && !it.uncopied.refused && !is_vain
    }

    /// Whether one more may be begun.
    pub fn has_room_for_uncopied(&self) -> bool {
        self.uncopied.notices < NOTICES_MAX
    }

    /// Sends that were copied since the kernel did not take them otherwise, since this was last
    /// asked.
    pub fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.uncopied.refused)
    }

    /// Sends, and says by [`Event::Released`] with the number when the bytes are not read any more.
    ///
    /// # Safety
    /// The bytes must stay as they are until then, also when the ring is dropped.
    pub unsafe fn send_uncopied(&mut self, slot: usize, bytes: &[u8], kept: u32) {
        let Some(it) = self.slots.get_mut(slot) else { return };
        let Some(stream) = &it.stream else { return };
        debug_assert!(!it.sending, "one send at a time");
        it.sending = true;
        self.sends += 1;
        self.uncopied.notices += 1;
        let length = bytes.len().min(i32::MAX as usize) as u32;
        (it.uncopied.bytes, it.uncopied.length) = (bytes.as_ptr(), length);
        let (fd, flags) = self.files.get(slot, stream);
        let entry = opcode::SendZc::new(fd, bytes.as_ptr(), length)
            .flags(AT_ONCE)
            .zc_flags(REPORT_USAGE)
            .build();
        let kept = u64::from(kept) << KEPT_SHIFT;
        self.put(&entry.flags(flags).user_data(kept | UNCOPIED | slot as u64));
    }

    /// Such a send is over, or the kernel has read what it sent: the latter is said later, if the
    /// former promises it.
    pub(super) fn on_uncopied(&mut self, slot: usize, entry: &cqueue::Entry) -> Option<Event> {
        let (result, flags) = (entry.result(), entry.flags());
        let kept = (entry.user_data() >> KEPT_SHIFT) as u32;
        if cqueue::notif(flags) {
            self.uncopied.notices -= 1;
            let copied = self.slots[slot].uncopied.on_notice(result & USAGE_COPIED != 0);
            return Some(Event::Released { kept, copied });
        }
        if !cqueue::more(flags) {
            self.uncopied.notices -= 1;
            self.uncopied.over.push(Event::Released { kept, copied: None });
        } else if result < 0 {
            self.slots[slot].uncopied.vain += 1;
        }
        if is_refused(result) {
            self.copy_instead(slot, result);
            return None;
        }
        self.on_sent(slot, result)
    }

    /// The kernel does not, or not now: it is sent as everything else is.
    fn copy_instead(&mut self, slot: usize, result: i32) {
        self.uncopied.refused += 1;
        let it = &mut self.slots[slot];
        // Of memory there may be enough later.
        it.uncopied.refused |= result != -libc::ENOMEM && result != -libc::ENOBUFS;
        let Some(stream) = it.stream.as_ref().filter(|_| !it.closing) else {
            let _ = self.on_sent(slot, result);
            return;
        };
        let (fd, flags) = self.files.get(slot, stream);
        let (bytes, length) = (it.uncopied.bytes, it.uncopied.length);
        let entry = opcode::Send::new(fd, bytes, length).flags(AT_ONCE).build();
        // The caller of `send_uncopied` keeps the bytes until he has heard that the send is over.
        self.put(&entry.flags(flags).user_data(SEND | slot as u64));
    }
}

/// Whether this says that bytes must be copied, of whatever socket or host, and nothing else.
fn is_refused(result: i32) -> bool {
    let codes = [
        libc::EOPNOTSUPP,
        libc::EINVAL,
        libc::EPERM,
        libc::EACCES,
        libc::EFAULT,
        libc::ENOMEM,
        libc::ENOBUFS,
    ];
    codes.contains(&-result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_does_is_no_reason_to_copy() {
        let is_of_the_peer = [libc::EPIPE, libc::ECONNRESET, libc::EAGAIN, libc::ETIMEDOUT];
        assert!(is_of_the_peer.iter().all(|code| !is_refused(-code)));
        assert!(!is_refused(0) && !is_refused(7) && is_refused(-libc::EOPNOTSUPP));
    }
}
