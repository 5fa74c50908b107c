//! Sockets on epoll: the kernel says which are ready, and each is read and written by a call.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};

use nix::errno::Errno;
use nix::sys::epoll::{
    Epoll as Descriptor, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout,
};
use nix::sys::socket::{MsgFlags, SockFlag, accept4, send};

use crate::net::pool::Pool;
use crate::net::stamp;
use crate::net::wire::{Connection, Event, Shape};

/// What the listening socket is known by.
const LISTENER: u64 = u64::MAX;

/// Connections accepted, and sockets read, at most in one turn.
const TURN: usize = 64;

/// A connection, and what is known of it.
#[derive(Default)]
struct Slot {
    stream: Option<TcpStream>,
    receives: bool,
    /// With what the kernel says beside each datagram.
    stamped: bool,
    /// There may be bytes that were not read.
    readable: bool,
    /// It is among those that are to be read.
    queued: bool,
    waits_to_write: bool,
}

/// The sockets, and what they are read into.
pub struct Epoll {
    epoll: Descriptor,
    ready: Vec<EpollEvent>,
    pool: Pool,
    free: Vec<u16>,
    slots: Vec<Slot>,
    vacant: Vec<usize>,
    readable: VecDeque<usize>,
    events: VecDeque<Event>,
    /// Ends of sends that nobody has been told.
    sends: usize,
    /// Calls to the system that nobody was told of.
    calls: u64,
    listener: Option<TcpListener>,
}

impl Epoll {
    /// # Errors
    /// What the system said.
    pub fn new(shape: Shape) -> io::Result<Self> {
        let buffers = shape.buffers.max(1);
        Ok(Self {
            epoll: Descriptor::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            ready: vec![EpollEvent::empty(); TURN],
            pool: Pool::new(buffers, shape.buffer_bytes),
            free: (0..buffers).collect(),
            slots: (0..shape.slots).map(|_| Slot::default()).collect(),
            vacant: (0..shape.slots).rev().collect(),
            readable: VecDeque::with_capacity(shape.slots),
            events: VecDeque::with_capacity(shape.slots + 3 * TURN),
            sends: 0,
            calls: 0,
            listener: None,
        })
    }

    pub fn listen(&mut self, listener: TcpListener) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        self.epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        self.listener = Some(listener);
        Ok(())
    }

    pub fn stop_listening(&mut self) {
        if let Some(listener) = self.listener.take() {
            let _ = self.epoll.delete(&listener);
        }
    }

    pub fn adopt(&mut self, stream: TcpStream) -> io::Result<usize> {
        let slot = self.vacant.pop().ok_or(ErrorKind::QuotaExceeded)?;
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP;
        let event = EpollEvent::new(flags | EpollFlags::EPOLLET, slot as u64);
        let added = stream.set_nonblocking(true);
        if let Err(error) = added.and_then(|()| Ok(self.epoll.add(&stream, event)?)) {
            self.vacant.push(slot);
            return Err(error);
        }
        let queued = self.slots[slot].queued;
        self.slots[slot] = Slot { stream: Some(stream), queued, ..Slot::default() };
        Ok(slot)
    }

    pub fn stream(&self, slot: usize) -> Option<&TcpStream> {
        self.slots.get(slot)?.stream.as_ref()
    }

    pub fn receive(&mut self, slot: usize) {
        if let Some(it) = self.slots.get_mut(slot) {
            (it.receives, it.readable) = (true, true);
            self.queue(slot);
        }
    }

    pub fn receive_stamped(&mut self, slot: usize) {
        if let Some(it) = self.slots.get_mut(slot) {
            it.stamped = true;
        }
        self.receive(slot);
    }

    fn queue(&mut self, slot: usize) {
        if !std::mem::replace(&mut self.slots[slot].queued, true) {
            self.readable.push_back(slot);
        }
    }

    #[inline]
    pub fn received(&self, buffer: u16, bytes: usize) -> &[u8] {
        // SAFETY: nothing is read into a buffer before it is given back.
        unsafe { self.pool.get(buffer, bytes) }
    }

    pub fn give_back(&mut self, buffer: u16) {
        self.free.push(buffer);
    }

    /// # Safety
    /// None is needed: the bytes are sent, or not, before it returns.
    pub unsafe fn send(&mut self, slot: usize, bytes: &[u8]) {
        let Some(stream) = self.stream(slot) else { return };
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        let result = send(stream.as_raw_fd(), bytes, flags).map_err(io::Error::from);
        self.calls += 1;
        self.events.push_back(Event::Sent { slot, result });
        self.sends += 1;
    }

    pub fn take_calls(&mut self) -> u64 {
        std::mem::take(&mut self.calls)
    }

    pub fn sends(&self) -> usize {
        self.sends
    }

    pub fn await_writable(&mut self, slot: usize) {
        if let Some(it) = self.slots.get_mut(slot) {
            it.waits_to_write = true;
        }
    }

    /// What had come for it is forgotten.
    pub fn close(&mut self, slot: usize) {
        if let Some(stream) = self.release(slot) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// The same, but it is not shut down: somebody else will end it.
    pub fn release(&mut self, slot: usize) -> Option<TcpStream> {
        let stream = self.slots.get_mut(slot)?.stream.take()?;
        let _ = self.epoll.delete(&stream);
        for _ in 0..self.events.len() {
            let Some(event) = self.events.pop_front() else { break };
            match event {
                Event::Received { slot: its, buffer, .. } if its == slot => self.free.push(buffer),
                Event::Sent { slot: its, .. } if its == slot => self.sends -= 1,
                Event::Ended { slot: its, .. } | Event::Writable { slot: its } if its == slot => {}
                other => self.events.push_back(other),
            }
        }
        self.vacant.push(slot);
        Some(stream)
    }

    pub fn drive(&mut self) {
        self.calls += 1;
        let ready = self.epoll.wait(&mut self.ready, EpollTimeout::ZERO).unwrap_or(0);
        for at in 0..ready {
            let event = self.ready[at];
            match event.data() {
                LISTENER => self.accept(),
                slot => self.on_ready(slot as usize, event.events()),
            }
        }
        // In turns: one that was read goes to the end, until there is no more in it.
        for _ in 0..TURN {
            if self.free.is_empty() {
                break;
            }
            let Some(slot) = self.readable.pop_front() else { break };
            self.slots[slot].queued = false;
            self.read(slot);
        }
    }

    fn accept(&mut self) {
        for _ in 0..TURN {
            self.calls += 1;
            let Some(listener) = &self.listener else { return };
            let accepted = accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC);
            // SAFETY: a socket that the kernel has just made, and nobody else knows.
            match accepted.map(|fd| unsafe { TcpStream::from_raw_fd(fd) }) {
                Ok(stream) => self.events.push_back(Event::Accepted(Connection::Socket(stream))),
                Err(Errno::EAGAIN) => return,
                Err(_) => return self.events.push_back(Event::NotAccepted),
            }
        }
    }

    fn on_ready(&mut self, slot: usize, flags: EpollFlags) {
        let Some(it) = self.slots.get_mut(slot) else { return };
        let broken = EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP;
        if flags.intersects(EpollFlags::EPOLLOUT | broken) && it.waits_to_write {
            it.waits_to_write = false;
            self.events.push_back(Event::Writable { slot });
        }
        if flags.intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | broken) && it.receives {
            it.readable = true;
            self.queue(slot);
        }
    }

    fn read(&mut self, slot: usize) {
        let it = &mut self.slots[slot];
        let (Some(stream), true, true) = (&mut it.stream, it.receives, it.readable) else { return };
        let Some(buffer) = self.free.pop() else { return };
        self.calls += 1;
        // SAFETY: it was free.
        let into = unsafe { self.pool.get_mut(buffer) };
        let result = match it.stamped {
            true => stamp::receive(stream.as_raw_fd(), into),
            false => stream.read(into),
        };
        if !matches!(result, Ok(1..)) {
            self.free.push(buffer);
            it.readable = false;
        }
        let event = match result {
            Ok(0) => Event::Ended { slot, error: None },
            Ok(bytes) => Event::Received { slot, buffer, bytes },
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) if error.kind() == ErrorKind::Interrupted => return self.receive(slot),
            Err(error) => Event::Ended { slot, error: Some(error) },
        };
        if matches!(event, Event::Received { .. }) {
            self.queue(slot);
        } else {
            it.receives = false;
        }
        self.events.push_back(event);
    }

    #[inline]
    pub fn next(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        self.sends -= usize::from(matches!(event, Some(Event::Sent { .. })));
        event
    }
}
