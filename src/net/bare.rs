//! A bare ring that serves one peer and does nothing else: what the wire is measured beside.
//! It is what a careful programmer writes by hand, with all that he is told to use.

use std::collections::VecDeque;
use std::io;
use std::net::TcpStream;
use std::ops::Range;
use std::os::fd::AsRawFd;

use io_uring::types::{CancelBuilder, Fd};
use io_uring::{IoUring, cqueue, opcode, squeue};
use nix::libc;

use crate::net::lent::{GROUP, Lent};

/// What a receive is known by; a send is known by its buffer.
const RECEIVE: u64 = u64::MAX;

/// A connection on a ring of its own, for the thread that makes it.
pub struct Bare {
    ring: IoUring,
    lent: Lent,
    from: TcpStream,
    receiving: bool,
    /// What is still to be sent, the first of which is being sent: a buffer, and which bytes of it.
    /// One at a time: of several under way one that has to wait is overtaken.
    unsent: VecDeque<(u16, Range<usize>)>,
    /// How often the kernel was entered.
    calls: u64,
}

impl Bare {
    /// # Errors
    /// What the system said.
    pub fn new(from: TcpStream, buffers: u16, buffer_bytes: usize) -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_cqsize(1024)
            .build(256)?;
        // SAFETY: they live until the ring has nothing under way: see `drop`.
        let lent = unsafe { Lent::to(&ring, buffers, buffer_bytes)? };
        let unsent = VecDeque::with_capacity(buffers.into());
        Ok(Self { ring, lent, from, receiving: false, unsent, calls: 0 })
    }

    fn put(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: what it points to is a buffer that is not given back before the entry is done.
        let put = unsafe { self.ring.submission().push(entry) };
        put.map_err(|_| io::Error::other("the ring is full"))
    }

    fn receive(&mut self) -> io::Result<()> {
        self.receiving = true;
        let entry = opcode::RecvMulti::new(Fd(self.from.as_raw_fd()), GROUP).build();
        self.put(&entry.user_data(RECEIVE))
    }

    /// Sends the first of what is still to be sent.
    fn send(&mut self, to: &TcpStream) -> io::Result<()> {
        let Some((buffer, bytes)) = self.unsent.front().cloned() else { return Ok(()) };
        let rest = &self.lent.get(buffer, bytes.end)[bytes.start..];
        let (start, length) = (rest.as_ptr(), rest.len() as u32);
        let entry = opcode::Send::new(Fd(to.as_raw_fd()), start, length);
        let entry = entry.flags(libc::MSG_NOSIGNAL).build();
        self.put(&entry.user_data(buffer.into()))
    }

    /// So many bytes of the first were sent; goes on with what is left.
    fn on_sent(&mut self, sent: usize, to: &TcpStream) -> io::Result<()> {
        if let Some((buffer, bytes)) = self.unsent.front_mut() {
            bytes.start += sent;
            if bytes.start == bytes.end {
                self.lent.give_back(*buffer);
                self.unsent.pop_front();
            }
        }
        self.send(to)
    }

    /// The next thing done, spun for.
    fn next(&mut self) -> io::Result<cqueue::Entry> {
        loop {
            if let Some(entry) = self.ring.completion().next() {
                return Ok(entry);
            }
            if !self.receiving {
                self.receive()?;
            }
            let submission = self.ring.submission();
            let is_pending = !submission.is_empty() || submission.taskrun();
            drop(submission);
            if is_pending {
                self.calls += 1;
                self.ring.submit()?;
            }
        }
    }

    /// What was received next: a buffer, and how many bytes of it; nothing at the end.
    fn received(&mut self, to: Option<&TcpStream>) -> io::Result<Option<(u16, usize)>> {
        loop {
            let entry = self.next()?;
            if let Some(to) = to.filter(|_| entry.user_data() != RECEIVE) {
                if entry.result() < 0 {
                    return Err(io::Error::from_raw_os_error(-entry.result()));
                }
                self.on_sent(entry.result() as usize, to)?;
                continue;
            }
            self.receiving = cqueue::more(entry.flags());
            match (entry.result(), self.lent.take(&entry)) {
                (bytes @ 1.., Some(buffer)) => return Ok(Some((buffer, bytes as usize))),
                (code, _) if code == -libc::ENOBUFS => {}
                (0.., _) => return Ok(None),
                (code, _) => return Err(io::Error::from_raw_os_error(-code)),
            }
        }
    }

    /// Sends on what comes, from where it is, until the peer says no more.
    ///
    /// # Errors
    /// What the system said.
    pub fn echo(mut self, to: &TcpStream) -> io::Result<()> {
        to.set_nodelay(true)?;
        while let Some((buffer, bytes)) = self.received(Some(to))? {
            self.unsent.push_back((buffer, 0..bytes));
            if self.unsent.len() == 1 {
                self.send(to)?;
            }
        }
        Ok(())
    }

    /// Counts what comes until the peer says no more; returns how many bytes that was, and how
    /// often the kernel was entered.
    ///
    /// # Errors
    /// What the system said.
    pub fn count(mut self) -> io::Result<(u64, u64)> {
        let mut count = 0;
        while let Some((buffer, bytes)) = self.received(None)? {
            count += bytes as u64;
            self.lent.give_back(buffer);
        }
        Ok((count, self.calls))
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.ring.submitter().register_sync_cancel(None, CancelBuilder::any());
        let _ = self.ring.submit();
        self.lent.take_back(&self.ring);
    }
}
