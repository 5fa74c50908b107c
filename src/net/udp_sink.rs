//! Records into datagrams.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::Arc;

use crate::dataflow::{Pipeline, Record};
use crate::error::{ConfigError, IoError, Result};
use crate::io::{Codec, Framing, Sink};
use crate::net::counts::{Count, Counts};
use crate::net::flight::{Flight, Gone};
use crate::net::listener::loopback_only;
use crate::net::network::Network;

/// The longest datagram there is.
pub const LONGEST: usize = 65_507;

/// A sink that sends records by UDP to an address or to a multicast group. From each shard come
/// those that it has: where there are several, lead the stream to one first.
///
/// A datagram holds as many whole records of a batch as there is room for. When the batch ends all
/// of its datagrams go out, up to 64 of them by one call. Nobody answers, and nobody is waited for:
/// what the kernel does not take is dropped, and counted by records.
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
    flight: Flight,
    /// How many records there are in the datagram that is being filled.
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
        let (flight, counts) = (Flight::of(bytes_max), Counts::default());
        p.reserve_bytes(flight.capacity());
        Ok(Self { way, framing, codec, bytes_max, flight, records: 0, counts })
    }

    /// Adds to these counts, which may be those of several shards.
    pub fn counting_into(self, counts: &Counts) -> Self {
        Self { counts: counts.clone(), ..self }
    }

    /// Sends the datagrams that are whole.
    fn send(&mut self) {
        while !self.flight.is_over() {
            self.counts.add(Count::Calls, 1);
            let gone = match &self.way {
                Way::Kernel(socket) => self.flight.send(socket),
                Way::Plugged(network, to) => {
                    self.flight.send_one(|datagram| network.send_datagram(*to, datagram))
                }
            };
            match gone {
                Gone::Sent(datagrams, bytes) => {
                    self.counts.add(Count::DatagramsOut, datagrams as u64);
                    self.counts.add(Count::BytesOut, bytes as u64);
                }
                Gone::Lost(error, records) => {
                    // One that was sent before may have found nobody, which is told now.
                    let is_full = error.kind() == ErrorKind::WouldBlock;
                    self.counts.add(if is_full { Count::TooSlow } else { Count::Broken }, 1);
                    self.counts.add(Count::Dropped, records);
                }
            }
        }
    }
}

impl<F: Framing, C: Codec> Sink<C::Value> for UdpSink<F, C> {
    #[inline]
    fn accept(&mut self, record: Record<C::Value>) -> std::result::Result<(), IoError> {
        let Self { framing, codec, flight, bytes_max, .. } = self;
        let bytes = flight.bytes();
        let from = bytes.len();
        framing.begin(bytes);
        codec.encode(&record.value, bytes);
        framing.end(bytes, from);
        let end = bytes.len();
        if end - from > *bytes_max {
            // Longer than the codec said.
            self.counts.add(Count::Malformed, 1);
            bytes.truncate(from);
            return Ok(());
        }
        if end - flight.start() > *bytes_max {
            let is_full = flight.close(from, std::mem::take(&mut self.records));
            if is_full {
                self.send();
            }
        }
        self.records += 1;
        Ok(())
    }

    fn end_of_batch(&mut self) -> std::result::Result<(), IoError> {
        let end = self.flight.bytes().len();
        self.flight.close(end, std::mem::take(&mut self.records));
        self.send();
        Ok(())
    }

    fn end_of_stream(&mut self) -> std::result::Result<(), IoError> {
        self.end_of_batch()
    }
}
