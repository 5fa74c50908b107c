//! What the threads of a gate wait at.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

/// What the bell is known by.
pub const BELL: u64 = u64::MAX;

/// Descriptors that are ready, heard of at one time.
const HEARD: usize = 64;

/// Descriptors, each known by a number, and a bell that other threads ring.
pub struct Poller {
    epoll: Epoll,
    bell: Ringer,
    events: Vec<EpollEvent>,
}

/// Wakes a thread that waits. Clones are the same.
#[derive(Clone, Debug)]
pub struct Ringer(Arc<EventFd>);

impl Ringer {
    pub fn ring(&self) {
        let _ = self.0.write(1);
    }
}

impl Poller {
    /// # Errors
    /// What the system said.
    pub fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let bell = Ringer(Arc::new(EventFd::from_flags(flags)?));
        epoll.add(&*bell.0, EpollEvent::new(EpollFlags::EPOLLIN, BELL))?;
        Ok(Self { epoll, bell, events: vec![EpollEvent::empty(); HEARD] })
    }

    pub fn bell(&self) -> Ringer {
        self.bell.clone()
    }

    /// Hears of a listening socket as long as somebody waits there.
    ///
    /// # Errors
    /// What the system said.
    pub fn listen(&self, socket: impl AsFd, key: u64) -> io::Result<()> {
        Ok(self.epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, key))?)
    }

    /// Hears of a socket each time that something changes.
    ///
    /// # Errors
    /// What the system said.
    pub fn add(&self, socket: impl AsFd, key: u64) -> io::Result<()> {
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP;
        Ok(self.epoll.add(socket, EpollEvent::new(flags | EpollFlags::EPOLLET, key))?)
    }

    /// Hears no more of a socket, which may live on elsewhere.
    pub fn remove(&self, socket: impl AsFd) {
        let _ = self.epoll.delete(socket);
    }

    /// Waits until something is ready, at most so long, and adds the numbers of what is.
    pub fn wait(&mut self, most: Duration, ready: &mut Vec<u64>) {
        let timeout = EpollTimeout::try_from(most).unwrap_or(EpollTimeout::ZERO);
        let count = match self.epoll.wait(&mut self.events, timeout) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            // None that can come of a descriptor that is ours; it is asked again.
            Err(_) => 0,
        };
        for event in &self.events[..count] {
            if event.data() == BELL {
                let _ = self.bell.0.read();
            }
            ready.push(event.data());
        }
    }
}
