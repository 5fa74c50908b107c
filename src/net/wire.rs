//! The sockets of one source or sink, by whichever way works here.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

use nix::sys::socket::{setsockopt, sockopt};

use crate::net::epoll::Epoll;
#[cfg(feature = "tls")]
use crate::net::gate::{Admitted, Sealed, is_stray};
use crate::net::network::{Incoming, Sockets};
use crate::net::ring::Ring;
use crate::time::Timestamp;

/// How long a peer may say nothing before the kernel asks whether he is there, how long it waits
/// for an answer, in seconds, and how often it asks: after half a minute one who is gone is found.
const KEEP_ALIVE: [u32; 3] = [15, 5, 3];

/// Has the kernel find out when a peer is gone without a word, and send what is to be sent at once.
/// A socket of another kind than TCP has none of that.
pub fn prepare(stream: &TcpStream) {
    let [idle, between, times] = KEEP_ALIVE;
    let _ = stream.set_nodelay(true);
    let _ = setsockopt(stream, sockopt::KeepAlive, &true);
    let _ = setsockopt(stream, sockopt::TcpKeepIdle, &idle);
    let _ = setsockopt(stream, sockopt::TcpKeepInterval, &between);
    let _ = setsockopt(stream, sockopt::TcpKeepCount, &times);
}

/// A way to serve sockets, from the best down. Each works where the one before it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// io_uring: connections and bytes come by themselves, and many sends go with one call. The
    /// kernel knows the sockets beforehand.
    Ring,
    /// The same, but the kernel looks each socket up: for hosts that allow no sockets to be
    /// registered, or not so many.
    PlainRing,
    /// epoll and a call for each read and write: for hosts that have no io_uring, one before Linux
    /// 6.1, or do not allow it.
    Epoll,
    /// Neither: a [`Network`](crate::net::network::Network) that is not the kernel's.
    Plugged,
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ring => "io_uring with registered sockets and multishot receive",
            Self::PlainRing => "io_uring with multishot receive",
            Self::Epoll => "epoll",
            Self::Plugged => "a network that was plugged in",
        })
    }
}

/// A connection that was accepted and not yet taken in. Dropped, it is closed.
#[derive(Debug)]
pub enum Connection {
    /// Of the kernel's.
    Socket(TcpStream),
    /// Of a network that was plugged in.
    Plugged(Box<dyn Incoming>),
    /// Let in at a gate.
    #[cfg(feature = "tls")]
    Admitted(Admitted),
}

/// What happened to a socket. A connection is known by its slot.
#[derive(Debug)]
#[allow(missing_docs)] // What the fields are is what they are called.
pub enum Event {
    /// Somebody connected.
    Accepted(Connection),
    /// Nobody can be accepted for now, by the system's word.
    NotAccepted,
    /// Bytes came, into this buffer.
    Received { slot: usize, buffer: u16, bytes: usize },
    /// No more will come: the peer said so, or the connection broke.
    Ended { slot: usize, error: Option<io::Error> },
    /// A send is over; fewer bytes than were to be sent mean that there is no room for the rest.
    Sent { slot: usize, result: io::Result<usize> },
    /// The kernel reads the bytes no more that were sent uncopied and are kept by this number; and
    /// whether it copied them after all, if it had anything to do with them.
    Released { kept: u32, copied: Option<bool> },
    /// There is room again, or the socket is of no use any more.
    Writable { slot: usize },
}

/// How many connections there may be, and what they are read into.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Connections at a time.
    pub slots: usize,
    /// Buffers in all.
    pub buffers: u16,
    /// How long each is.
    pub buffer_bytes: usize,
}

/// The sockets of one source or sink. Belongs to the thread that made it.
///
/// Everything it is asked to do happens at the next [`drive`](Self::drive) or
/// [`flush`](Self::flush), and [`next`](Self::next) says what came of it. Neither waits.
pub struct Wire {
    kind: Kind,
    rung: Rung,
    refused: Option<String>,
    #[cfg(feature = "tls")]
    pub(super) sealed: Sealed,
}

/// One of a kind each: nothing is gained by making them as long as one another.
#[allow(clippy::large_enum_variant)]
enum Kind {
    Ring(Ring),
    Epoll(Epoll),
    Plugged(Box<dyn Sockets>),
}

impl Wire {
    /// By the first way that works, from this one down.
    ///
    /// # Errors
    /// What the system said where not even the last one could be had.
    pub fn new(shape: Shape, from: Rung) -> io::Result<Self> {
        let mut refused = None;
        if from <= Rung::PlainRing {
            match Ring::new(shape, from == Rung::Ring) {
                Ok(ring) => {
                    let (rung, refused) = match ring.registers() {
                        Ok(true) => (Rung::Ring, None),
                        Ok(false) => (Rung::PlainRing, None),
                        Err(error) => (Rung::PlainRing, Some(format!("{from}: {error}"))),
                    };
                    return Ok(Self::of(Kind::Ring(ring), rung, refused));
                }
                Err(error) => refused = Some(format!("{from}: {error}")),
            }
        }
        let kind = Kind::Epoll(Epoll::new(shape)?);
        Ok(Self::of(kind, Rung::Epoll, refused))
    }

    /// On a network that is not the kernel's.
    pub fn plugged(sockets: Box<dyn Sockets>) -> Self {
        Self::of(Kind::Plugged(sockets), Rung::Plugged, None)
    }

    fn of(kind: Kind, rung: Rung, refused: Option<String>) -> Self {
        Self {
            kind,
            rung,
            refused,
            #[cfg(feature = "tls")]
            sealed: Sealed::default(),
        }
    }

    /// How it serves sockets.
    pub fn rung(&self) -> Rung {
        self.rung
    }

    /// Why it does not by a better way; none if there is none, or none was wanted.
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }
}

/// Passes a call on to whichever kind it is.
macro_rules! either {
    ($self:ident, $each:ident => $call:expr) => {
        match &mut $self.kind {
            Kind::Ring($each) => $call,
            Kind::Epoll($each) => $call,
            Kind::Plugged($each) => $call,
        }
    };
}

impl Wire {
    /// Accepts connections from now on.
    pub fn listen(&mut self, listener: TcpListener) -> io::Result<()> {
        match &mut self.kind {
            Kind::Ring(ring) => ring.listen(listener),
            Kind::Epoll(epoll) => epoll.listen(listener),
            Kind::Plugged(_) => Err(not_of_this_network()),
        }
    }

    /// Accepts none any more.
    pub fn stop_listening(&mut self) {
        either!(self, kind => kind.stop_listening());
        #[cfg(feature = "tls")]
        self.sealed.shut();
    }

    /// Takes a connection in; returns its slot.
    ///
    /// # Errors
    /// What the system said, or that all slots are taken.
    pub fn adopt(&mut self, connection: Connection) -> io::Result<usize> {
        match (&mut self.kind, connection) {
            (Kind::Ring(ring), Connection::Socket(stream)) => ring.adopt(stream),
            (Kind::Epoll(epoll), Connection::Socket(stream)) => epoll.adopt(stream),
            (Kind::Plugged(sockets), Connection::Plugged(incoming)) => sockets.adopt(incoming),
            #[cfg(feature = "tls")]
            (_, Connection::Admitted(admitted)) => self.adopt_admitted(admitted),
            _ => Err(not_of_this_network()),
        }
    }

    /// What a socket of the kernel is told before it is used.
    pub fn prepare(&self, slot: usize) {
        if let Some(stream) = self.stream(slot) {
            prepare(stream);
        }
    }

    /// Begins to connect on a network that was plugged in; returns the slot.
    ///
    /// # Errors
    /// What that network said, or that it is the kernel's.
    pub fn connect(&mut self, to: SocketAddr) -> io::Result<usize> {
        match &mut self.kind {
            Kind::Plugged(sockets) => sockets.connect(to),
            _ => Err(not_of_this_network()),
        }
    }

    /// Whether a connection that was being made is there.
    pub fn is_connected(&self, slot: usize) -> bool {
        if let Kind::Plugged(sockets) = &self.kind {
            return sockets.is_connected(slot);
        }
        matches!(self.stream(slot).map(TcpStream::take_error), Some(Ok(None)))
    }

    /// The socket of a connection, if it is one of the kernel's.
    pub(super) fn stream(&self, slot: usize) -> Option<&TcpStream> {
        match &self.kind {
            Kind::Ring(ring) => ring.stream(slot),
            Kind::Epoll(epoll) => epoll.stream(slot),
            Kind::Plugged(_) => None,
        }
    }

    /// Receives from a connection from now on, as long as there are buffers.
    pub fn receive(&mut self, slot: usize) {
        either!(self, kind => kind.receive(slot));
    }

    /// The same, and with what the kernel says beside each datagram: see `stamp.rs`.
    pub fn receive_stamped(&mut self, slot: usize) {
        match &mut self.kind {
            Kind::Ring(ring) => ring.receive_stamped(slot),
            Kind::Epoll(epoll) => epoll.receive_stamped(slot),
            // Stamps of such a network are refused before.
            Kind::Plugged(sockets) => sockets.receive(slot),
        }
    }

    /// What was received into a buffer that has not been given back.
    #[inline]
    pub fn received(&self, buffer: u16, bytes: usize) -> &[u8] {
        match &self.kind {
            Kind::Ring(ring) => ring.received(buffer, bytes),
            Kind::Epoll(epoll) => epoll.received(buffer, bytes),
            Kind::Plugged(sockets) => sockets.received(buffer, bytes),
        }
    }

    /// Gives a buffer back.
    pub fn give_back(&mut self, buffer: u16) {
        either!(self, kind => kind.give_back(buffer));
    }

    /// Sends what there is room for. One send of a connection at a time.
    ///
    /// # Safety
    /// The bytes must stay where they are until [`sends`](Self::sends) says that no send is under
    /// way, or the wire is dropped.
    pub unsafe fn send(&mut self, slot: usize, bytes: &[u8]) {
        match &mut self.kind {
            // SAFETY: the caller's promise is passed on.
            Kind::Ring(ring) => unsafe { ring.send(slot, bytes) },
            // SAFETY: and here.
            Kind::Epoll(epoll) => unsafe { epoll.send(slot, bytes) },
            Kind::Plugged(sockets) => sockets.send(slot, bytes),
        }
    }

    /// Whether it can send without copying.
    pub fn knows_uncopied(&self) -> bool {
        matches!(&self.kind, Kind::Ring(ring) if ring.knows_uncopied())
    }

    /// Whether that may be of use for a connection; `always` means also where it has not been.
    pub fn takes_uncopied(&self, slot: usize, always: bool) -> bool {
        matches!(&self.kind, Kind::Ring(ring) if ring.takes_uncopied(slot, always))
    }

    /// Whether one more may be sent so.
    pub fn has_room_for_uncopied(&self) -> bool {
        matches!(&self.kind, Kind::Ring(ring) if ring.has_room_for_uncopied())
    }

    /// Sends that were copied since the kernel did not take them otherwise, since this was last
    /// asked.
    pub fn take_refused(&mut self) -> u64 {
        if let Kind::Ring(ring) = &mut self.kind { ring.take_refused() } else { 0 }
    }

    /// The same as [`send`](Self::send), but the kernel may read the bytes where they are, also
    /// after that: [`Event::Released`] says with this number, below 2^24, that it does no more.
    ///
    /// # Safety
    /// The bytes must stay as they are until then, even if the wire is dropped.
    pub unsafe fn send_uncopied(&mut self, slot: usize, bytes: &[u8], kept: u32) {
        if let Kind::Ring(ring) = &mut self.kind {
            // SAFETY: the caller's promise is passed on.
            unsafe { ring.send_uncopied(slot, bytes, kept) }
        }
    }

    /// How many sends there are whose end has not been heard of, those of closed connections among
    /// them: the bytes of each are still read.
    pub fn sends(&self) -> usize {
        match &self.kind {
            Kind::Ring(ring) => ring.sends(),
            Kind::Epoll(epoll) => epoll.sends(),
            Kind::Plugged(sockets) => sockets.sends(),
        }
    }

    /// Calls to the system since this was last asked.
    pub fn take_calls(&mut self) -> u64 {
        match &mut self.kind {
            Kind::Ring(ring) => ring.take_calls(),
            Kind::Epoll(epoll) => epoll.take_calls(),
            Kind::Plugged(_) => 0,
        }
    }

    /// Asks for [`Event::Writable`].
    pub fn await_writable(&mut self, slot: usize) {
        either!(self, kind => kind.await_writable(slot));
    }

    /// Closes a connection. Nothing is heard of it any more, and its slot is free when the kernel
    /// has let go of it.
    pub fn close(&mut self, slot: usize) {
        #[cfg(feature = "tls")]
        if self.part(slot) {
            return;
        }
        either!(self, kind => kind.close(slot));
    }

    /// Lets go of a connection as it is, and hands its socket out.
    #[cfg(feature = "tls")]
    pub(super) fn release(&mut self, slot: usize) -> Option<TcpStream> {
        match &mut self.kind {
            Kind::Ring(ring) => ring.release(slot),
            Kind::Epoll(epoll) => epoll.release(slot),
            Kind::Plugged(_) => None,
        }
    }

    /// Begins what was asked for and looks what came.
    pub fn drive(&mut self, now: Timestamp) {
        match &mut self.kind {
            Kind::Ring(ring) => ring.drive(now),
            Kind::Epoll(epoll) => epoll.drive(),
            Kind::Plugged(sockets) => sockets.drive(),
        }
    }

    /// Begins what was asked for.
    pub fn flush(&mut self) {
        match &mut self.kind {
            Kind::Ring(ring) => ring.flush(),
            Kind::Epoll(_) => {}
            Kind::Plugged(sockets) => sockets.flush(),
        }
    }

    /// What came since.
    #[inline]
    pub fn next(&mut self) -> Option<Event> {
        let next = either!(self, kind => kind.next());
        #[cfg(feature = "tls")]
        let next = next.or_else(|| self.sealed.next());
        next
    }

    /// The end of a connection, and why it came, if it is one: nothing is what came beside the data
    /// of one whose TLS the kernel does.
    pub fn end_of(&mut self, slot: usize, error: Option<io::Error>) -> Option<Option<io::Error>> {
        #[cfg(feature = "tls")]
        if self.sealed.has(slot) && error.as_ref().is_some_and(is_stray) {
            return self.look_at_stray(slot);
        }
        let _ = slot;
        Some(error)
    }
}

fn not_of_this_network() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "a socket of another network")
}
