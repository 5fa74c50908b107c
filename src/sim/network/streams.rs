//! The ends of a simulated network that tests hold.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::net::Datagrams;
use crate::net::network::{Network, Plugged, Shape, Sockets};
use crate::sim::network::ether::{End, Ether, Struck};
use crate::sim::network::faults::NetFaults;
use crate::sim::network::sockets::SimSockets;
use crate::time::Timestamp;

/// A network in memory, under a seed: clones are the same.
///
/// Its time is its own, and goes on when it is told: see
/// [`Simulation::run_beside`](crate::Simulation::run_beside).
///
/// ```
/// use millstream::sim::{NetFaults, SimNetwork};
/// use millstream::{Timestamp, us};
///
/// let network = SimNetwork::new(7, NetFaults::none());
/// let here = "10.0.0.1:80".parse().unwrap();
/// let (listener, mut caller) = (network.listener(here).unwrap(), network.call(here));
/// network.advance(Timestamp(0) + us(100));
/// let mut called = listener.accept().unwrap();
/// assert_eq!(caller.write(b"hello").unwrap(), 5);
/// network.advance(Timestamp(0) + us(200));
/// let mut bytes: Vec<u8> = Vec::new();
/// while bytes.len() < 5 {
///     let mut some = [0; 8];
///     let read = called.read(&mut some).unwrap();
///     bytes.extend(&some[..read]);
/// }
/// assert_eq!(bytes, b"hello");
/// ```
#[derive(Clone)]
pub struct SimNetwork(Arc<Mutex<Ether>>);

impl fmt::Debug for SimNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimNetwork")
    }
}

impl SimNetwork {
    /// Nobody is there yet.
    pub fn new(seed: u64, faults: NetFaults) -> Self {
        Self(Arc::new(Mutex::new(Ether::new(seed, faults))))
    }

    pub(super) fn ether(&self) -> MutexGuard<'_, Ether> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is that time now; whatever happens by chance may happen.
    pub fn advance(&self, now: Timestamp) {
        self.ether().advance(now);
    }

    /// Nothing goes wrong from now on that has not gone wrong.
    pub fn heal(&self) {
        self.ether().heal();
    }

    /// What has happened.
    pub fn struck(&self) -> Struck {
        self.ether().struck
    }

    /// As a source or a sink wants it.
    pub fn network(&self) -> Arc<dyn Network> {
        Arc::new(self.clone())
    }

    /// An address for a source or a sink to listen at.
    pub fn plugged(&self, at: SocketAddr) -> Plugged {
        Plugged::at(self.network(), at)
    }

    /// An address for a source to take datagrams in at.
    pub fn datagrams(&self, at: SocketAddr) -> Datagrams {
        Datagrams::plugged(self.network(), at)
    }

    /// An address for a test to listen at.
    ///
    /// # Errors
    /// Somebody does.
    pub fn listener(&self, at: SocketAddr) -> io::Result<SimListener> {
        self.ether().listen(at)?;
        Ok(SimListener { network: self.clone(), at })
    }

    /// Connects to an address; what is read and written says whether it has.
    pub fn call(&self, to: SocketAddr) -> SimStream {
        let end = self.ether().call(to);
        SimStream { network: self.clone(), end }
    }

    /// An address for a test to take datagrams in at: from now on they come.
    pub fn hear(&self, at: SocketAddr) {
        self.ether().inboxes.entry(at).or_default();
    }

    /// The next datagram that has come to an address.
    pub fn next_datagram(&self, at: SocketAddr) -> Option<Vec<u8>> {
        self.ether().next_datagram(at)
    }

    /// Sends a datagram.
    pub fn send_datagram_to(&self, to: SocketAddr, bytes: &[u8]) {
        self.ether().send_datagram(to, bytes);
    }

    /// Whether no datagram is on its way to an address, or waits there.
    pub fn is_quiet(&self, at: SocketAddr) -> bool {
        self.ether().is_quiet(at)
    }
}

impl Network for SimNetwork {
    fn sockets(&self, shape: Shape) -> Box<dyn Sockets> {
        Box::new(SimSockets::new(self.clone(), shape))
    }

    fn send_datagram(&self, to: SocketAddr, bytes: &[u8]) -> io::Result<usize> {
        self.ether().send_datagram(to, bytes);
        Ok(bytes.len())
    }

    fn datagrams_lost(&self, at: SocketAddr) -> u64 {
        self.ether().inboxes.get(&at).map_or(0, |inbox| inbox.lost)
    }
}

/// An address that a test listens at, until it is dropped.
#[derive(Debug)]
pub struct SimListener {
    network: SimNetwork,
    at: SocketAddr,
}

impl SimListener {
    /// The next one who has connected.
    pub fn accept(&self) -> Option<SimStream> {
        let end = self.network.ether().accept(self.at)?;
        Some(SimStream { network: self.network.clone(), end })
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        self.network.ether().stop_listening(self.at);
    }
}

/// An end of a connection that a test holds, until it is dropped, which closes it.
#[derive(Debug)]
pub struct SimStream {
    network: SimNetwork,
    end: End,
}

impl SimStream {
    /// Reads some of what has come, of any length; nothing at the end.
    ///
    /// # Errors
    /// Nothing has come ([`ErrorKind::WouldBlock`]), nobody was there, or it broke.
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.network.ether().read(self.end, into)
    }

    /// Writes some of this, as much as there is room for at most.
    ///
    /// # Errors
    /// There is no room, or no connection yet ([`ErrorKind::WouldBlock`]); or it broke.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut ether = self.network.ether();
        if !ether.is_writable(self.end) {
            return Err(ErrorKind::WouldBlock.into());
        }
        ether.send(self.end, bytes)
    }

    /// Says that no more will come.
    pub fn finish(&mut self) {
        self.network.ether().finish(self.end);
    }

    /// Breaks it, somewhere within what it carries.
    pub fn reset(self) {
        self.network.ether().reset(self.end);
    }

    /// Goes without a word: the other end is told nothing, until it finds out.
    pub fn vanish(self) {
        self.network.ether().vanish(self.end);
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        self.network.ether().close(self.end);
    }
}
