//! The writing side of a ring: its memory, and whoever reads it.

use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use nix::sys::socket::UnixAddr;

use crate::error::IoError;
use crate::net::counts::{Count, Counts};
use crate::net::shared::memory::{Header, Memory};
use crate::net::shared::plain::{Plain, words, write};
use crate::net::shared::ring::{Wild, Writer};
use crate::net::shared::sink::{Sharing, WhenFull};
use crate::net::shared::{LOOK_EVERY_NS, handover};
use crate::time::Timestamp;

/// Whoever reads.
enum Peer {
    Nobody,
    /// Called, and has not answered.
    Called(UnixStream),
    Reads(UnixStream),
}

/// The writing side.
pub struct Outgoing<T> {
    name: String,
    address: UnixAddr,
    writer: Writer<Memory>,
    /// What is handed over, to each reader.
    memory: OwnedFd,
    header: Header,
    sharing: Sharing,
    peer: Peer,
    /// Calls a reader although there is nothing for him yet.
    eager: bool,
    /// When the socket is looked at next, and what time that was.
    look_at: Timestamp,
    now: Timestamp,
    /// No more will come; the end waits until then for a reader.
    ends_by: Option<Timestamp>,
    done: bool,
    /// What the reader said that cannot be.
    wild: Option<Wild>,
    counts: Counts,
    values: PhantomData<fn(T)>,
}

impl<T: Plain> Outgoing<T> {
    /// # Errors
    /// What the system said.
    pub fn new(name: &str, capacity: u64, sharing: Sharing, eager: bool) -> Result<Self, IoError> {
        let header = Header::of::<T>(sharing.format, capacity);
        let (common, memory) = Memory::create::<T>(&header)
            .map_err(|cause| IoError::new("make shared ring", name, cause))?;
        let address = handover::address(name)
            .map_err(|cause| IoError::new("make shared ring", name, cause))?;
        Ok(Self {
            name: name.to_owned(),
            address,
            writer: Writer::new(common),
            memory,
            header,
            sharing,
            peer: Peer::Nobody,
            eager,
            look_at: Timestamp::MIN,
            now: Timestamp::MIN,
            ends_by: None,
            done: false,
            wild: None,
            counts: Counts::default(),
            values: PhantomData,
        })
    }

    pub fn set_counts(&mut self, counts: &Counts) {
        self.counts = counts.clone();
    }

    /// For how many records there is room.
    #[inline]
    fn room(&mut self, wanted: u64) -> u64 {
        self.writer.room(wanted).unwrap_or_else(|wild| {
            self.wild = Some(wild);
            0
        })
    }

    /// Whether a batch of so many records will be taken.
    pub fn is_open(&mut self, batch: u64) -> bool {
        self.sharing.full == WhenFull::Drop || self.room(batch) >= batch
    }

    /// Writes a record; drops it if there is no room.
    #[inline]
    pub fn write(&mut self, at: Timestamp, value: &T) {
        if self.room(1) == 0 {
            return self.counts.add(Count::Dropped, 1);
        }
        self.writer.put(|slot| write(slot, at, value));
    }

    /// The reader may see what was written.
    #[inline]
    pub fn publish(&mut self) {
        let more = self.writer.publish();
        self.counts.add(Count::BytesOut, more * words::<T>() as u64 * 8);
    }

    /// No more will come.
    pub fn end(&mut self) {
        self.publish();
        self.writer.end();
        self.ends_by = Some(self.now.offset(self.sharing.linger.as_nanos() as i64));
    }

    fn failed(&self, cause: std::io::Error) -> IoError {
        IoError::new("write shared ring", self.name.as_str(), cause)
    }

    /// Looks after the reader; returns whether one came or went.
    ///
    /// # Errors
    /// He wants other records, is another user's, or says that he is where he cannot be.
    pub fn drive(&mut self, now: Timestamp) -> Result<u64, IoError> {
        self.now = now;
        if let Some(Wild { ours, theirs }) = self.wild {
            let text = format!("the reader says it is at {theirs}, and the writer is at {ours}");
            return Err(self.failed(std::io::Error::other(text)));
        }
        if now < self.look_at {
            return Ok(0);
        }
        self.look_at = now.offset(LOOK_EVERY_NS);
        self.look()?;
        self.look_for_the_end();
        Ok(0)
    }

    fn look(&mut self) -> Result<(), IoError> {
        self.peer = match std::mem::replace(&mut self.peer, Peer::Nobody) {
            Peer::Nobody if self.eager || self.is_waited_for() => self.call()?,
            Peer::Nobody => Peer::Nobody,
            Peer::Called(stream) => match handover::hear(&stream) {
                Ok(None) => Peer::Called(stream),
                Ok(Some((theirs, _))) => {
                    let fits = self.header.agree(&theirs);
                    let fits = fits.and_then(|()| self.header.fits(theirs.capacity));
                    fits.map_err(|reason| self.failed(std::io::Error::other(reason)))?;
                    self.counts.add(Count::Accepted, 1);
                    Peer::Reads(stream)
                }
                Err(_) => Peer::Nobody,
            },
            Peer::Reads(stream) if handover::is_gone(&stream) => {
                self.counts.add(Count::Closed, 1);
                Peer::Nobody
            }
            reads => reads,
        };
        Ok(())
    }

    /// Whether something waits for a reader.
    fn is_waited_for(&mut self) -> bool {
        // More than there ever is: so the reader is looked at.
        let _ = self.room(u64::MAX);
        self.writer.waiting() > 0
    }

    fn call(&mut self) -> Result<Peer, IoError> {
        let Ok(stream) = handover::call(&self.address) else {
            self.counts.add(Count::NotConnected, 1);
            return Ok(Peer::Nobody);
        };
        handover::process(&stream).map_err(|cause| self.failed(cause))?;
        Ok(match handover::say(&stream, &self.header, Some(&self.memory)) {
            Ok(()) => Peer::Called(stream),
            Err(_) => Peer::Nobody,
        })
    }

    fn look_for_the_end(&mut self) {
        let Some(by) = self.ends_by else { return };
        if self.done {
            return;
        }
        // A reader has the memory for as long as he wants.
        self.done = matches!(self.peer, Peer::Reads(_)) || !self.is_waited_for();
        if !self.done && self.now >= by {
            self.counts.add(Count::Dropped, self.writer.waiting());
            self.done = true;
        }
    }

    /// Whether the end has been told, and there is somebody who reads what is left.
    pub fn is_done(&self) -> bool {
        self.done
    }
}
