//! Sockets on an io_uring: connections and bytes come by themselves, into buffers that the kernel
//! chooses.

mod files;
mod uncopied;

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};

use io_uring::types::CancelBuilder;
use io_uring::{IoUring, cqueue, opcode, squeue};
use nix::libc;
use nix::sys::socket::shutdown;

use crate::net::lent::{GROUP, Lent};
use crate::net::ring::files::Files;
use crate::net::ring::uncopied::{NOTICES_MAX, Uncopied, Waits};
use crate::net::stamp;
use crate::net::wire::{Connection, Event, Shape};
use crate::time::Timestamp;

/// Entries that wait to be taken by the kernel, at most; more are taken earlier.
const ENTRIES: u32 = 256;

/// How long nobody is accepted after the system could not.
const ACCEPT_PAUSE_NS: u64 = 10_000_000;

/// What an entry is about; the slot is in the lower half. What is above is of whoever sends.
const ACCEPT: u64 = 1 << 32;
const RECEIVE: u64 = 2 << 32;
const SEND: u64 = 3 << 32;
const POLL: u64 = 4 << 32;
#[cfg(feature = "tls")]
const CANCEL: u64 = 5 << 32;
const UNCOPIED: u64 = 6 << 32;
const KIND: u64 = 0xff << 32;
const SLOT: u64 = u32::MAX as u64;

/// A send is over when it is begun: what there is no room for is not waited for.
const AT_ONCE: i32 = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;

/// A connection, and what the kernel has under way for it.
#[derive(Default)]
struct Slot {
    stream: Option<TcpStream>,
    receiving: bool,
    /// With what the kernel says beside each datagram.
    stamped: bool,
    sending: bool,
    polling: bool,
    /// Nobody wants to hear of it any more.
    closing: bool,
    /// It is among those that wait for buffers.
    waits: bool,
    /// What is sent without being copied, if that is under way.
    uncopied: Waits,
}

/// The ring, and the buffers that the kernel fills. Belongs to the thread that made it.
pub struct Ring {
    ring: IoUring,
    lent: Lent,
    slots: Vec<Slot>,
    vacant: Vec<usize>,
    /// Connections that were to be received from when there was no buffer.
    waiting: VecDeque<usize>,
    /// Sends that are not over.
    sends: usize,
    uncopied: Uncopied,
    files: Files,
    /// Times that the kernel was entered, and nobody was told of.
    calls: u64,
    /// What the kernel is told of receives with something beside; it looks when they are begun.
    stamps: Box<libc::msghdr>,
    listener: Option<TcpListener>,
    accepting: bool,
    /// When accepting may begin again.
    accept_at: Timestamp,
}

impl Ring {
    /// With sockets registered, if that is wanted and works.
    ///
    /// # Errors
    /// What the system said: it may know no io_uring, an older one, or not allow it.
    pub fn new(shape: Shape, registers: bool) -> io::Result<Self> {
        let buffers = shape.buffers.max(1).next_power_of_two();
        // Each connection can have three things under way, and each buffer can be on its way.
        let completions = 3 * shape.slots + usize::from(buffers) + NOTICES_MAX;
        let completions = completions.next_power_of_two() as u32;
        // One thread enters, only it runs what completes, and a flag says when there is any.
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_cqsize(completions.clamp(2 * ENTRIES, 1 << 16))
            .build(ENTRIES)?;
        // A host may allow to make one and not to enter it.
        ring.submit()?;
        // SAFETY: they live until the ring has nothing under way: see `drop`.
        let lent = unsafe { Lent::to(&ring, buffers, shape.buffer_bytes)? };
        Ok(Self {
            uncopied: Uncopied::of(&ring),
            files: Files::of(&ring, shape.slots, registers),
            ring,
            lent,
            slots: (0..shape.slots).map(|_| Slot::default()).collect(),
            vacant: (0..shape.slots).rev().collect(),
            waiting: VecDeque::with_capacity(shape.slots),
            sends: 0,
            calls: 0,
            stamps: Box::new(stamp::wish()),
            listener: None,
            accepting: false,
            accept_at: Timestamp::MIN,
        })
    }

    /// Whether the kernel knows the sockets beforehand; if it was to and does not, why.
    pub fn registers(&self) -> Result<bool, &io::Error> {
        self.files.is_there()
    }

    pub fn listen(&mut self, listener: TcpListener) -> io::Result<()> {
        self.files.put(&self.ring, self.slots.len(), &listener)?;
        self.listener = Some(listener);
        Ok(())
    }

    /// What is under way ends by itself: the kernel holds the socket until then.
    pub fn stop_listening(&mut self) {
        if let Some(listener) = self.listener.take() {
            let _ = shutdown(listener.as_raw_fd(), nix::sys::socket::Shutdown::Both);
            self.files.clear(&self.ring, self.slots.len());
        }
    }

    pub fn adopt(&mut self, stream: TcpStream) -> io::Result<usize> {
        let slot = self.vacant.pop().ok_or(ErrorKind::QuotaExceeded)?;
        if let Err(error) = self.files.put(&self.ring, slot, &stream) {
            self.vacant.push(slot);
            return Err(error);
        }
        self.calls += u64::from(self.files.is_used());
        self.slots[slot] =
            Slot { stream: Some(stream), waits: self.slots[slot].waits, ..Slot::default() };
        Ok(slot)
    }

    pub fn stream(&self, slot: usize) -> Option<&TcpStream> {
        self.slots.get(slot)?.stream.as_ref()
    }

    pub fn receive(&mut self, slot: usize) {
        let Some(it) = self.slots.get_mut(slot) else { return };
        if it.receiving || it.closing || it.waits {
            return;
        }
        if self.lent.is_empty() {
            it.waits = true;
            self.waiting.push_back(slot);
            return;
        }
        let Some(stream) = &it.stream else { return };
        it.receiving = true;
        let (fd, flags) = self.files.get(slot, stream);
        let entry = match it.stamped {
            true => opcode::RecvMsgMulti::new(fd, &raw const *self.stamps, GROUP).build(),
            false => opcode::RecvMulti::new(fd, GROUP).build(),
        };
        self.put(&entry.flags(flags).user_data(RECEIVE | slot as u64));
    }

    pub fn receive_stamped(&mut self, slot: usize) {
        if let Some(it) = self.slots.get_mut(slot) {
            it.stamped = true;
        }
        self.receive(slot);
    }

    #[inline]
    pub fn received(&self, buffer: u16, bytes: usize) -> &[u8] {
        self.lent.get(buffer, bytes)
    }

    pub fn give_back(&mut self, buffer: u16) {
        self.lent.give_back(buffer);
    }

    /// # Safety
    /// The bytes must stay where they are until the send is over or the ring is dropped.
    pub unsafe fn send(&mut self, slot: usize, bytes: &[u8]) {
        let Some(it) = self.slots.get_mut(slot) else { return };
        let Some(stream) = &it.stream else { return };
        debug_assert!(!it.sending, "one send at a time");
        it.sending = true;
        self.sends += 1;
        let (fd, flags) = self.files.get(slot, stream);
        let length = bytes.len().min(i32::MAX as usize) as u32;
        let entry = opcode::Send::new(fd, bytes.as_ptr(), length).flags(AT_ONCE).build();
        self.put(&entry.flags(flags).user_data(SEND | slot as u64));
    }

    pub fn take_calls(&mut self) -> u64 {
        std::mem::take(&mut self.calls)
    }

    pub fn sends(&self) -> usize {
        self.sends
    }

    pub fn await_writable(&mut self, slot: usize) {
        let Some(it) = self.slots.get_mut(slot) else { return };
        let Some(stream) = &it.stream else { return };
        if !std::mem::replace(&mut it.polling, true) {
            let (fd, flags) = self.files.get(slot, stream);
            let entry = opcode::PollAdd::new(fd, libc::POLLOUT as u32).build();
            self.put(&entry.flags(flags).user_data(POLL | slot as u64));
        }
    }

    /// Shuts it down, whereupon all that is under way ends.
    pub fn close(&mut self, slot: usize) {
        let Some(it) = self.slots.get_mut(slot) else { return };
        if let Some(stream) = &it.stream
            && !std::mem::replace(&mut it.closing, true)
        {
            let _ = stream.shutdown(Shutdown::Both);
            self.let_go(slot);
        }
    }

    /// Lets go of it as it is, and hands it out: somebody else will end it.
    #[cfg(feature = "tls")]
    pub fn release(&mut self, slot: usize) -> Option<TcpStream> {
        let it = self.slots.get_mut(slot).filter(|it| !it.closing)?;
        let stream = it.stream.as_ref()?.try_clone().ok()?;
        it.closing = true;
        for (is_under_way, kind) in [(it.receiving, RECEIVE), (it.polling, POLL)] {
            if is_under_way {
                let cancel = opcode::AsyncCancel::new(kind | slot as u64).build();
                self.put(&cancel.user_data(CANCEL));
            }
        }
        self.let_go(slot);
        Some(stream)
    }

    /// Frees the slot of a connection that is closed and has nothing under way.
    fn let_go(&mut self, slot: usize) {
        let it = &mut self.slots[slot];
        if it.closing && !it.receiving && !it.sending && !it.polling && it.stream.take().is_some() {
            // Before it is somebody else's: the socket is closed when the kernel has let go of it.
            self.files.clear(&self.ring, slot);
            self.calls += u64::from(self.files.is_used());
            self.vacant.push(slot);
        }
    }

    /// Puts an entry into the ring.
    fn put(&mut self, entry: &squeue::Entry) {
        // SAFETY: what it points to stays where it is: the caller of `send` promised.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            self.calls += 1;
            if self.ring.submit().is_err() {
                std::thread::yield_now();
            }
        }
    }

    /// Enters the kernel, if there is anything to be begun or to be run there.
    pub fn flush(&mut self) {
        let submission = self.ring.submission();
        let pending = !submission.is_empty() || submission.taskrun() || submission.cq_overflow();
        drop(submission);
        if pending {
            self.calls += 1;
            // What it does not take now it is offered again at the next turn.
            let _ = self.ring.submit();
        }
    }

    pub fn drive(&mut self, now: Timestamp) {
        if self.accept_at == Timestamp::MAX {
            self.accept_at = now.offset(ACCEPT_PAUSE_NS as i64);
        }
        if let Some(listener) = &self.listener
            && !self.accepting
            && now >= self.accept_at
        {
            self.accepting = true;
            let (fd, flags) = self.files.get(self.slots.len(), listener);
            let entry = opcode::AcceptMulti::new(fd).flags(libc::SOCK_CLOEXEC).build();
            self.put(&entry.flags(flags).user_data(ACCEPT));
        }
        // Not for a single buffer: a connection that is begun anew for each gains nothing.
        if self.lent.is_plenty() {
            for _ in 0..self.waiting.len() {
                let Some(slot) = self.waiting.pop_front() else { break };
                self.slots[slot].waits = false;
                self.receive(slot);
            }
        }
        self.flush();
    }

    #[inline]
    pub fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.uncopied.next() {
                return Some(event);
            }
            let entry = { self.ring.completion().next() }?;
            let slot = (entry.user_data() & SLOT) as usize;
            let event = match entry.user_data() & KIND {
                ACCEPT => self.on_accepted(&entry),
                RECEIVE => self.on_received(slot, &entry),
                SEND => self.on_sent(slot, entry.result()),
                POLL => self.on_writable(slot),
                UNCOPIED => self.on_uncopied(slot, &entry),
                _ => None,
            };
            if event.is_some() {
                return event;
            }
        }
    }

    fn on_accepted(&mut self, entry: &cqueue::Entry) -> Option<Event> {
        self.accepting &= cqueue::more(entry.flags());
        if entry.result() >= 0 {
            // SAFETY: a socket that the kernel has just made, and nobody else knows.
            let stream = unsafe { TcpStream::from_raw_fd(entry.result()) };
            return Some(Event::Accepted(Connection::Socket(stream)));
        }
        // Begins again after a pause: there may be no descriptors left.
        self.accept_at = Timestamp::MAX;
        self.listener.is_some().then_some(Event::NotAccepted)
    }

    #[inline]
    fn on_received(&mut self, slot: usize, entry: &cqueue::Entry) -> Option<Event> {
        let it = &mut self.slots[slot];
        it.receiving = cqueue::more(entry.flags());
        let (goes_on, closing) = (it.receiving, it.closing);
        let buffer = self.lent.take(entry);
        if let Some(buffer) = buffer
            && (closing || entry.result() <= 0)
        {
            self.give_back(buffer);
        }
        if closing {
            self.let_go(slot);
            return None;
        }
        match (entry.result(), buffer) {
            (bytes @ 1.., Some(buffer)) => {
                if !goes_on {
                    self.receive(slot);
                }
                Some(Event::Received { slot, buffer, bytes: bytes as usize })
            }
            (code, _) if code == -libc::ENOBUFS => {
                self.slots[slot].waits = true;
                self.waiting.push_back(slot);
                None
            }
            (0.., _) => Some(Event::Ended { slot, error: None }),
            (code, _) => {
                Some(Event::Ended { slot, error: Some(io::Error::from_raw_os_error(-code)) })
            }
        }
    }

    fn on_sent(&mut self, slot: usize, result: i32) -> Option<Event> {
        let it = &mut self.slots[slot];
        it.sending = false;
        self.sends -= 1;
        if it.closing {
            self.let_go(slot);
            return None;
        }
        let result = usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result));
        Some(Event::Sent { slot, result })
    }

    fn on_writable(&mut self, slot: usize) -> Option<Event> {
        let it = &mut self.slots[slot];
        it.polling = false;
        if it.closing {
            self.let_go(slot);
            return None;
        }
        Some(Event::Writable { slot })
    }
}

impl Drop for Ring {
    /// Cancels what is under way, so that the kernel writes into no buffer that is gone, and closes
    /// the sockets that were accepted and not yet heard of.
    fn drop(&mut self) {
        self.listener = None;
        (0..self.slots.len()).for_each(|slot| self.close(slot));
        let _ = self.ring.submitter().register_sync_cancel(None, CancelBuilder::any());
        self.flush();
        while self.next().is_some() {}
        self.files.take_back(&self.ring);
        self.lent.take_back(&self.ring);
    }
}
