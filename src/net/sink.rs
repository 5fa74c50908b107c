//! Records to whoever subscribes, or to one who listens.

use std::cell::RefCell;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use crate::dataflow::{Pipeline, Record, Saved};
use crate::error::{ConfigError, IoError, Result};
use crate::io::{Codec, Driven, Framing, Sink};
use crate::net::counts::Counts;
#[cfg(feature = "tls")]
use crate::net::gate::{Call, Caller};
use crate::net::line::{Line, Target};
use crate::net::listener::{Listens, Way, loopback_only};
use crate::net::network::Network;
use crate::net::outlet::{Keyed, Outlet};
use crate::net::wire::{Rung, Shape, Wire};
use crate::time::Timestamp;

/// What becomes of records for a subscriber who does not read fast enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slow {
    /// The sink takes none until he has: he holds everybody up, and the sources with them.
    Block,
    /// He does not get the oldest, which are counted. A record that he has been sent in part he
    /// gets whole.
    DropOldest,
    /// Of a sink by [keys](TcpSink::keyed): when he can take something again he gets the latest
    /// record of each key that has changed meanwhile, the keys in turn, and then what is new. What
    /// he did not get since a later one of its key had come is counted as
    /// [`Count::Conflated`](crate::net::Count::Conflated), and takes no memory; records of keys of
    /// which the latest is not kept are dropped. Without keys, the same as
    /// [`DropOldest`](Self::DropOldest).
    Conflate,
    /// He is disconnected.
    Disconnect,
}

/// What becomes of records while the peer that a sink connects to is away or slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Away {
    /// The sink takes none until he is back.
    Block,
    /// The oldest are dropped and counted.
    Drop,
}

/// Whether the kernel copies long sends before it sends them. Where it does not, it reads them
/// where they are, and says later that it has: memory is set aside for as long, up to half of
/// [`buffer_bytes`](Sending::buffer_bytes), and beyond that it copies. Short ones, those of chosen
/// keys, and those to anything but TCP always are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZeroCopy {
    /// It always copies.
    Never,
    /// It copies for those peers only for whom it has been seen to do so all the same: those on
    /// this host are among them.
    WhereItHelps,
    /// It copies none that it can do without.
    Always,
}

/// How a [`TcpSink`] sends, on each shard.
#[derive(Clone, Copy, Debug)]
pub struct Sending {
    /// Subscribers at a time; one more is closed at once.
    pub subscribers_max: usize,
    /// What a subscriber may be behind, in bytes, of which each record counts as 16 at least, and
    /// as a 2048th of the longest that there may be; made up to a few batches. All share it.
    pub buffer_bytes: usize,
    /// What becomes of one who is further behind.
    pub slow: Slow,
    /// Closes one who takes nothing for so long although there is something for him, whatever the
    /// policy: without it, one who is gone without a word can hold everybody up for a quarter of an
    /// hour, which is when the kernel gives up.
    pub stalled_max: Option<Duration>,
    /// How long the end of the stream waits for those who have not been sent everything.
    pub linger: Duration,
    /// The first pause after a failed attempt to connect; it doubles with each one more.
    pub pause_min: Duration,
    /// The longest such pause.
    pub pause_max: Duration,
    /// Whether long sends are copied.
    pub zero_copy: ZeroCopy,
    /// The best way to serve sockets that is tried.
    pub from: Rung,
}

impl Default for Sending {
    fn default() -> Self {
        Self {
            subscribers_max: 64,
            buffer_bytes: 1 << 20,
            slow: Slow::Disconnect,
            stalled_max: None,
            linger: Duration::from_secs(5),
            pause_min: Duration::from_millis(10),
            pause_max: Duration::from_secs(2),
            zero_copy: ZeroCopy::WhereItHelps,
            from: Rung::Ring,
        }
    }
}

/// Buffers for what subscribers say, which nobody reads.
const BUFFERS: u16 = 8;

/// What to do where records go beyond this host.
const IN_THE_CLEAR: &str = "and whoever is on the way can read what is sent: use \
                            `connect_secured` (feature `tls`), or say `connect_anywhere` where it \
                            may be read";

/// Connections of one who is connected to: one that is closed may still be held by the kernel when
/// the next one begins.
const CALLS_MAX: usize = 4;

/// A sink that sends records by TCP: to everybody who connects, or to one address.
///
/// A batch is encoded once, and sent from where it is to each peer. A subscriber gets what comes
/// after he has connected, of the shard that he is connected to: where there are several, lead the
/// stream to one first. What peers say is not heeded, unless they may ask for
/// [keys](Self::keyed).
///
/// A connection that breaks is made again, and what had been sent in part comes again whole. What
/// the kernel had taken is lost with the connection, unless the peer says what he has:
/// [`acknowledged`](Self::acknowledged). Records that a peer who is connected to was not sent when
/// a checkpoint was taken are in it, and are sent by whoever restores it.
///
/// ```
/// use std::io::{BufRead, BufReader, Write};
///
/// use millstream::io::{Lines, MemorySource, codec};
/// use millstream::net::{Listener, Sending, TcpSink};
/// use millstream::{Config, Record, Shard, Timestamp};
///
/// let there = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// let address = there.local_addr().unwrap();
/// let (mut shard, ()) = Shard::embed(Config::embedded(), |p| {
///     let numbers = codec(
///         20,
///         |number: &u64, into: &mut Vec<u8>| _ = write!(into, "{number}"),
///         |_: &[u8]| Err(String::new()),
///     );
///     let sink = TcpSink::connect(p, address, Lines::new(20), numbers, Sending::default())?;
///     let records = [7, 42].map(|n| Record::new(Timestamp(n as i64), n));
///     p.source(MemorySource::new(records.to_vec())).sink(sink);
///     Ok(())
/// })?;
/// for now in 0.. {
///     shard.step(Timestamp(now));
///     if shard.is_done() {
///         break;
///     }
/// }
/// drop(shard);
/// let lines = BufReader::new(there.accept().unwrap().0).lines();
/// assert_eq!(lines.map(Result::unwrap).collect::<Vec<_>>(), ["7", "42"]);
/// # Ok::<(), millstream::Error>(())
/// ```
pub struct TcpSink<F, C: Codec> {
    outlet: Rc<RefCell<Outlet<F, C>>>,
}

impl<F: Framing, C: Codec> TcpSink<F, C> {
    /// Sends to everybody who connects to the listener's socket of this shard.
    ///
    /// # Errors
    /// A setting that cannot be, or what the system said.
    pub fn serve(
        p: Pipeline<'_>,
        listener: &impl Listens,
        framing: F,
        codec: C,
        sending: Sending,
    ) -> Result<Self> {
        listener.check(Way::Subscribe)?;
        let wire = listener.wire(p.shard(), shape(sending.subscribers_max), sending.from)?;
        Self::new(p, wire, Target::Subscribers, framing, codec, sending)
    }

    /// Sends to whoever listens at this address of this host.
    ///
    /// # Errors
    /// An address beyond this host, a setting that cannot be, or what the system said. That nobody
    /// listens is none.
    pub fn connect(
        p: Pipeline<'_>,
        address: SocketAddr,
        framing: F,
        codec: C,
        sending: Sending,
    ) -> Result<Self> {
        loopback_only(address, IN_THE_CLEAR)?;
        Self::connect_anywhere(p, address, framing, codec, sending)
    }

    /// The same, to any address, for peers who do no TLS: whoever is on the way can read it.
    ///
    /// # Errors
    /// A setting that cannot be, or what the system said.
    pub fn connect_anywhere(
        p: Pipeline<'_>,
        address: SocketAddr,
        framing: F,
        codec: C,
        sending: Sending,
    ) -> Result<Self> {
        Self::call(p, Line::to(address), address.to_string(), framing, codec, sending)
    }

    /// Sends to whoever listens at a Unix socket.
    ///
    /// # Errors
    /// A path that cannot be one, a setting that cannot be, or what the system said. That nobody
    /// listens is none.
    pub fn connect_local(
        p: Pipeline<'_>,
        path: impl AsRef<Path>,
        framing: F,
        codec: C,
        sending: Sending,
    ) -> Result<Self> {
        let (path, name) = (path.as_ref(), path.as_ref().display().to_string());
        let line = Line::to_path(path).map_err(|cause| IoError::new("connect to", &name, cause))?;
        Self::call(p, line, name, framing, codec, sending)
    }

    /// Sends to a server that does TLS, or asks who connects. A thread of its own does all that
    /// before records are sent, and TLS itself where the kernel does not.
    ///
    /// # Errors
    /// A setting that cannot be, or what the system said. That nobody listens, or that he does not
    /// take it in, is none: see [`Call::telling`].
    #[cfg(feature = "tls")]
    pub fn connect_secured(
        p: Pipeline<'_>,
        call: &Call,
        framing: F,
        codec: C,
        sending: Sending,
    ) -> Result<Self> {
        let name = call.address().to_string();
        let caller = Caller::start(call.clone());
        let caller = caller.map_err(|cause| IoError::new("connect to", &name, cause))?;
        Self::call(p, Line::by(caller), name, framing, codec, sending)
    }

    /// Sends to whoever listens at an address of a network that is not the kernel's.
    ///
    /// # Errors
    /// A setting that cannot be. That nobody listens is none.
    pub fn connect_by(
        p: Pipeline<'_>,
        network: &dyn Network,
        address: SocketAddr,
        framing: F,
        codec: C,
        sending: Sending,
    ) -> Result<Self> {
        let wire = Wire::plugged(network.sockets(shape(CALLS_MAX)));
        Self::call_by(p, wire, Line::to_plugged(address), framing, codec, sending)
    }

    fn call(
        p: Pipeline<'_>,
        line: Line,
        name: String,
        framing: F,
        codec: C,
        sending: Sending,
    ) -> Result<Self> {
        let wire = Wire::new(shape(CALLS_MAX), sending.from)
            .map_err(|cause| IoError::new("connect to", name, cause))?;
        Self::call_by(p, wire, line, framing, codec, sending)
    }

    fn call_by(
        p: Pipeline<'_>,
        wire: Wire,
        line: Line,
        framing: F,
        codec: C,
        sending: Sending,
    ) -> Result<Self> {
        let sending = Sending { slow: Slow::Block, ..sending };
        Self::new(p, wire, Target::Address(line), framing, codec, sending)
    }

    /// What becomes of records while the peer that it connects to is away or slow: without this,
    /// they wait for him. Those of whom it is [`acknowledged`](Self::acknowledged) what they have
    /// always do.
    pub fn while_away(self, away: Away) -> Self {
        let is_acknowledged = self.outlet.borrow().is_acknowledged();
        self.outlet.borrow_mut().set_slow(match away {
            Away::Drop if !is_acknowledged => Slow::DropOldest,
            _ => Slow::Block,
        });
        self
    }

    /// Keeps each record until the peer that it connects to has said that he has it, also over a
    /// crash: nothing is lost with a connection, and what he may not have comes again. With
    /// [`AtOnce`](crate::io::AtOnce) in front he knows what he has had.
    ///
    /// On each connection he says, as often as he likes, how many records of it he has had so far:
    /// eight bytes, the least significant first. He who says nothing blocks it when
    /// [`buffer_bytes`](Sending::buffer_bytes) are full, and the end of the stream waits for his
    /// word as long as it [lingers](Sending::linger).
    pub fn acknowledged(self) -> Self {
        self.outlet.borrow_mut().set_slow(Slow::Block);
        self.outlet.borrow_mut().await_acknowledgements();
        self
    }

    /// Lets subscribers ask for records by key, by lines: one who says `SUBSCRIBE A,B` is sent the
    /// latest record of each of these keys, in their order, and from then on no others. `SUBSCRIBE`
    /// by itself is for all keys; one who says nothing gets what comes. He may say it again for
    /// others; what he was not sent by then is left out. One who says anything else is
    /// disconnected, and counted as [`Count::Garbage`](crate::net::Count::Garbage).
    ///
    /// A copy of the latest record of up to `keys_max` keys is kept on each shard; records of other
    /// keys, and of those longer than 64 bytes, are in no snapshot. Many keys are sent some at a
    /// time, whatever comes in between: of each key first the latest, and then every record. All
    /// that takes memory, for as many keys and subscribers as there may be, is counted with the
    /// queues of the pipeline; [`Slow::Conflate`] takes 16 bytes for each of both. Of no
    /// consequence for a sink that connects.
    ///
    /// ```sh
    /// (echo 'SUBSCRIBE MSFT,AAPL'; sleep 1000) | nc 127.0.0.1 7002
    /// ```
    pub fn keyed<K: Display>(
        self,
        keys_max: usize,
        key: impl FnMut(&C::Value) -> K + 'static,
    ) -> Self {
        self.outlet.borrow_mut().set_keyed(Keyed::new(keys_max, key));
        self
    }

    /// Adds to these counts, which may be those of several shards.
    pub fn counting_into(self, counts: &Counts) -> Self {
        self.outlet.borrow_mut().set_counts(counts.clone());
        self
    }

    /// How sockets are served.
    pub fn rung(&self) -> Rung {
        self.outlet.borrow().wire().rung()
    }

    /// Why they are not served by a better way; none if there is none, or none was wanted.
    pub fn refused(&self) -> Option<String> {
        self.outlet.borrow().wire().refused().map(str::to_owned)
    }

    /// Whether long sends can go without being copied: where sockets are served by io_uring, and
    /// the kernel knows how.
    pub fn sends_uncopied(&self) -> bool {
        self.outlet.borrow().sends_uncopied()
    }

    fn new(
        p: Pipeline<'_>,
        wire: Wire,
        target: Target,
        framing: F,
        codec: C,
        sending: Sending,
    ) -> Result<Self> {
        let frame_max = framing.frame_max();
        let record_max = codec.bytes_max() + framing.around();
        if record_max > frame_max {
            let reason = format!("the codec writes records that take up to {record_max}");
            return Err(ConfigError::setting("bytes of a frame", frame_max, reason).into());
        }
        let outlet = Outlet::new(wire, target, framing, codec, sending, p.config().batch_max);
        Ok(Self { outlet: Rc::new(RefCell::new(outlet)) })
    }
}

fn shape(slots: usize) -> Shape {
    Shape { slots: slots.max(1), buffers: BUFFERS, buffer_bytes: 4096 }
}

impl<F: Framing, C: Codec> Sink<C::Value> for TcpSink<F, C> {
    fn is_open(&self) -> bool {
        self.outlet.borrow().is_open()
    }

    #[inline]
    fn accept(&mut self, record: Record<C::Value>) -> Result<(), IoError> {
        self.outlet.borrow_mut().accept(&record.value)
    }

    fn end_of_batch(&mut self) -> Result<(), IoError> {
        self.outlet.borrow_mut().send().map(drop)
    }

    fn end_of_stream(&mut self) -> Result<(), IoError> {
        self.outlet.borrow_mut().end()
    }

    fn driven(&mut self) -> Option<Box<dyn Driven>> {
        Some(Box::new(Shared(self.outlet.clone())))
    }

    fn save(&self, out: &mut Saved) {
        self.outlet.borrow().save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        self.outlet.borrow_mut().load(from);
    }
}

/// What the shard drives of it.
struct Shared<F, C: Codec>(Rc<RefCell<Outlet<F, C>>>);

impl<F: Framing, C: Codec> Driven for Shared<F, C> {
    fn drive(&mut self, now: Timestamp) -> Result<u64, IoError> {
        self.0.borrow_mut().drive(now)
    }

    fn is_done(&self) -> bool {
        self.0.borrow().is_done()
    }

    fn bytes(&self) -> usize {
        self.0.borrow().bytes()
    }
}
