//! Records into datagrams.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::Arc;

use crate::dataflow::{Pipeline, Record};
use crate::error::{ConfigError, IoError, Result};
use crate::io::{Codec, Framing, Sink};
use crate::net::counts::{Count, Counts};
use crate::net::listener::loopback_only;
use crate::net::network::Network;

/// The longest datagram there is.
pub const LONGEST: usize = 65_507;

/// A sink that sends records by UDP to an address or to a multicast group. From each shard come
/// those that it has: where there are several, lead the stream to one first.
///
/// A datagram holds as many whole records of a batch as there is room for, and goes out when it is
/// full or the batch ends. Nobody answers, and nobody is waited for: what the kernel does not take
/// is dropped, and counted by records.
///
/// ```
/// use millstream::io::{Fixed, MemorySource, codec};
/// use millstream::net::UdpSink;
/// use millstream::{Config, Record, Shard, Timestamp};
///
/// let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
/// let address = peer.local_addr().unwrap();
/// let (mut shard, ()) = Shard::embed(Config::embedded(), |p| {
///     let encode = |n: &u8, into: &mut Vec<u8>| into.push(*n);
///     let byte = codec(1, encode, |bytes: &[u8]| Ok(bytes[0]));
///     let records = [7, 8, 9].map(|n| Record::new(Timestamp(0), n));
///     let sink = UdpSink::to(p, address, Fixed::new(1), byte, 1_400)?;
///     p.source(MemorySource::new(records.to_vec())).sink(sink);
///     Ok(())
/// })?;
/// for now in 0.. {
///     shard.step(Timestamp(now));
///     if shard.is_done() {
///         break;
///     }
/// }
/// let mut datagram = [0; 100];
/// let bytes = peer.recv(&mut datagram).unwrap();
/// assert_eq!(datagram[..bytes], [7, 8, 9]);
/// # Ok::<(), millstream::Error>(())
/// ```
pub struct UdpSink<F, C> {
    way: Way,
    framing: F,
    codec: C,
    bytes_max: usize,
    /// The datagram that is being filled, and how many records it holds.
    datagram: Vec<u8>,
    records: u64,
    counts: Counts,
}

/// What to do where they go beyond this host.
const IN_THE_CLEAR: &str = "and whoever is on the way can read what is sent: use a loopback \
                            address, or say `to_anywhere` where it may be read";

/// Who brings them there.
enum Way {
    Kernel(UdpSocket),
    Plugged(Arc<dyn Network>, SocketAddr),
}

impl<F: Framing, C: Codec> UdpSink<F, C> {
    /// Sends to an address of this host, in datagrams of at most so many bytes.
    ///
    /// # Errors
    /// An address beyond this host, records that do not fit into a datagram, or what the system
    /// said.
    pub fn to(
        p: Pipeline<'_>,
        address: SocketAddr,
        framing: F,
        codec: C,
        bytes_max: usize,
    ) -> Result<Self> {
        loopback_only(address, IN_THE_CLEAR)?;
        Self::new(p, (address.ip(), 0).into(), address, framing, codec, bytes_max)
    }

    /// The same, to any address: whoever is on the way can read it.
    ///
    /// # Errors
    /// Records that do not fit into a datagram, or what the system said.
    pub fn to_anywhere(
        p: Pipeline<'_>,
        address: SocketAddr,
        framing: F,
        codec: C,
        bytes_max: usize,
    ) -> Result<Self> {
        let from: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        Self::new(p, from, address, framing, codec, bytes_max)
    }

    /// Sends to a multicast group by an interface of this host: nobody else hears it.
    ///
    /// # Errors
    /// An interface that others can hear, records that do not fit into a datagram, or what the
    /// system said.
    pub fn to_group(
        p: Pipeline<'_>,
        group: SocketAddrV4,
        interface: Ipv4Addr,
        framing: F,
        codec: C,
        bytes_max: usize,
    ) -> Result<Self> {
        loopback_only((interface, 0).into(), IN_THE_CLEAR)?;
        Self::to_group_anywhere(p, group, interface, framing, codec, bytes_max)
    }

    /// The same, by any interface: the one that has this address. What is sent does not leave the
    /// local network.
    ///
    /// # Errors
    /// Records that do not fit into a datagram, or what the system said.
    pub fn to_group_anywhere(
        p: Pipeline<'_>,
        group: SocketAddrV4,
        interface: Ipv4Addr,
        framing: F,
        codec: C,
        bytes_max: usize,
    ) -> Result<Self> {
        // The kernel chooses the interface by the address that is sent from.
        Self::new(p, (interface, 0).into(), group.into(), framing, codec, bytes_max)
    }

    /// Sends to an address of a network that is not the kernel's.
    ///
    /// # Errors
    /// Records that do not fit into a datagram.
    pub fn to_plugged(
        p: Pipeline<'_>,
        network: Arc<dyn Network>,
        address: SocketAddr,
        framing: F,
        codec: C,
        bytes_max: usize,
    ) -> Result<Self> {
        Self::by(p, Way::Plugged(network, address), framing, codec, bytes_max)
    }

    fn new(
        p: Pipeline<'_>,
        from: SocketAddr,
        to: SocketAddr,
        framing: F,
        codec: C,
        bytes_max: usize,
    ) -> Result<Self> {
        let connected = || {
            let socket = UdpSocket::bind(from)?;
            socket.set_nonblocking(true)?;
            socket.connect(to)?;
            Ok(socket)
        };
        let socket = connected().map_err(|cause| IoError::new("send to", to.to_string(), cause))?;
        Self::by(p, Way::Kernel(socket), framing, codec, bytes_max)
    }

    fn by(p: Pipeline<'_>, way: Way, framing: F, codec: C, bytes_max: usize) -> Result<Self> {
        let record_max = codec.bytes_max().saturating_add(framing.around()).max(framing.least());
        if record_max > bytes_max || bytes_max > LONGEST {
            let reason = format!("a record takes up to {record_max}, a datagram at most {LONGEST}");
            return Err(ConfigError::setting("bytes of a datagram", bytes_max, reason).into());
        }
        p.reserve_bytes(2 * bytes_max);
        let datagram = Vec::with_capacity(2 * bytes_max);
        let counts = Counts::default();
        Ok(Self { way, framing, codec, bytes_max, datagram, records: 0, counts })
    }

    /// Adds to these counts, which may be those of several shards.
    pub fn counting_into(self, counts: &Counts) -> Self {
        Self { counts: counts.clone(), ..self }
    }

    /// Sends the first bytes of what is written, which are so many records.
    fn send(&mut self, bytes: usize, records: u64) {
        if bytes == 0 {
            return;
        }
        self.counts.add(Count::Calls, 1);
        let datagram = &self.datagram[..bytes];
        let sent = match &self.way {
            Way::Kernel(socket) => socket.send(datagram),
            Way::Plugged(network, to) => network.send_datagram(*to, datagram),
        };
        match sent {
            Ok(sent) => self.counts.add(Count::BytesOut, sent as u64),
            Err(error) => {
                // One that was sent before may have found nobody, which is told now.
                let is_full = error.kind() == ErrorKind::WouldBlock;
                self.counts.add(if is_full { Count::TooSlow } else { Count::Broken }, 1);
                self.counts.add(Count::Dropped, records);
            }
        }
        self.datagram.drain(..bytes);
        self.records -= records;
    }
}

impl<F: Framing, C: Codec> Sink<C::Value> for UdpSink<F, C> {
    #[inline]
    fn accept(&mut self, record: Record<C::Value>) -> std::result::Result<(), IoError> {
        let from = self.datagram.len();
        self.framing.begin(&mut self.datagram);
        self.codec.encode(&record.value, &mut self.datagram);
        self.framing.end(&mut self.datagram, from);
        if self.datagram.len() - from > self.bytes_max {
            // Longer than the codec said.
            self.counts.add(Count::Malformed, 1);
            self.datagram.truncate(from);
            return Ok(());
        }
        self.records += 1;
        if self.datagram.len() > self.bytes_max {
            self.send(from, self.records - 1);
        }
        Ok(())
    }

    fn end_of_batch(&mut self) -> std::result::Result<(), IoError> {
        self.send(self.datagram.len(), self.records);
        Ok(())
    }

    fn end_of_stream(&mut self) -> std::result::Result<(), IoError> {
        self.end_of_batch()
    }
}
