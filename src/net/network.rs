//! A network other than the kernel's, for whoever plugs one in: the simulator does.
//!
//! What is plugged in does what `Ring` and `Epoll` do, no more: buffers, framing, policies and
//! limits are those of the sources and sinks above it.

use std::any::Any;
use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::error::Result;
use crate::net::listener::{Listens, State, failed_to_listen};
use crate::net::wire::Wire;

pub use crate::net::wire::{Connection, Event, Rung, Shape};

/// Where sockets come from.
pub trait Network: Send + Sync + 'static {
    /// The sockets of one source or sink, for the thread that asks.
    fn sockets(&self, shape: Shape) -> Box<dyn Sockets>;

    /// Sends a datagram, or does not; returns how many bytes were taken.
    ///
    /// # Errors
    /// There is no room for it, or nobody is there.
    fn send_datagram(&self, to: SocketAddr, bytes: &[u8]) -> io::Result<usize>;

    /// How many datagrams to an address there was no room for.
    fn datagrams_lost(&self, at: SocketAddr) -> u64;
}

/// The sockets of one source or sink, by the number of their slot. Nothing waits.
///
/// Of a slot that was closed nothing is heard any more. What it is asked to do may happen at the
/// next [`drive`](Self::drive) or [`flush`](Self::flush). Dropped, it closes all of them.
pub trait Sockets {
    /// Accepts connections from now on.
    ///
    /// # Errors
    /// Somebody listens there.
    fn listen(&mut self, at: SocketAddr) -> io::Result<()>;

    /// Accepts none any more.
    fn stop_listening(&mut self);

    /// Begins to connect. [`Event::Writable`] says, once it is awaited, that it is decided.
    ///
    /// # Errors
    /// All slots are taken, or it is known already that nobody is there.
    fn connect(&mut self, to: SocketAddr) -> io::Result<usize>;

    /// Takes in what is sent to an address: each datagram is an [`Event::Received`] of its own.
    ///
    /// # Errors
    /// All slots are taken, or somebody has that address.
    fn hear(&mut self, at: SocketAddr) -> io::Result<usize>;

    /// Takes in a connection that was accepted.
    ///
    /// # Errors
    /// All slots are taken.
    fn adopt(&mut self, incoming: Box<dyn Incoming>) -> io::Result<usize>;

    /// Whether a connection is there.
    fn is_connected(&self, slot: usize) -> bool;

    /// Receives from now on, as long as there are buffers.
    fn receive(&mut self, slot: usize);

    /// What was received into a buffer.
    fn received(&self, buffer: u16, bytes: usize) -> &[u8];

    /// A buffer is free again.
    fn give_back(&mut self, buffer: u16);

    /// Takes what it sends of these bytes before it returns; [`Event::Sent`] says how many.
    fn send(&mut self, slot: usize, bytes: &[u8]);

    /// How many sends there are whose end has not been heard of.
    fn sends(&self) -> usize;

    /// Asks for [`Event::Writable`].
    fn await_writable(&mut self, slot: usize);

    /// Closes a connection.
    fn close(&mut self, slot: usize);

    /// Begins what was asked for and looks what came.
    fn drive(&mut self);

    /// Begins what was asked for.
    fn flush(&mut self);

    /// What came since.
    fn next(&mut self) -> Option<Event>;
}

/// A connection that was accepted and not taken in. Dropped, it is closed.
pub trait Incoming: Any + Debug {
    /// The other end.
    fn remote(&self) -> SocketAddr;
}

/// An address of such a network that is listened at, by one shard. Clones are the same.
#[derive(Clone)]
pub struct Plugged {
    network: Arc<dyn Network>,
    address: SocketAddr,
    state: Arc<State>,
}

impl Plugged {
    /// It is listened at from when a source or a sink is made of it.
    pub fn at(network: Arc<dyn Network>, address: SocketAddr) -> Self {
        Self { network, address, state: Arc::default() }
    }

    /// Ends it: nobody is accepted any more, and sources end what they read when all that has come
    /// is decoded.
    pub fn stop(&self) {
        self.state.stop();
    }
}

impl Listens for Plugged {
    fn place(&self) -> String {
        self.address.to_string()
    }

    fn wire(&self, _shard: usize, shape: Shape, _from: Rung) -> Result<Wire> {
        let mut sockets = self.network.sockets(shape);
        sockets.listen(self.address).map_err(|cause| failed_to_listen(self, cause))?;
        Ok(Wire::plugged(sockets))
    }

    fn state(&self) -> &Arc<State> {
        &self.state
    }
}
