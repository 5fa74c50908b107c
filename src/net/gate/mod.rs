//! Ports for others than this host's own programs: TLS, who may connect, and for what.
//!
//! A [`Gate`] is an address with a thread of its own, which accepts, shakes hands and asks who it
//! is. Who is let in is handed to a shard, whose source or sink has then a socket like any other;
//! so a shard never does cryptography to get to know somebody, and a port without a gate pays
//! nothing for it.
//!
//! Once somebody is let in, TLS is done for him by whichever of two works, and plain bytes are what
//! the shard reads and writes:
//!
//! | [`TlsRung`] | how |
//! |---|---|
//! | `Kernel` | the kernel does it: the shard has the very socket, on its ring |
//! | `Thread` | a thread of the gate does, and passes bytes on: a copy and two calls more |
//!
//! The kernel must have been built with TLS, know the cipher, and is given TLS 1.3 only; and a
//! client that sends records without waiting for the answer to its first line is served by the
//! thread.
//!
//! What a connection begins with is its [`Hello`]: one line that names the stream, and may have a
//! secret. Start with `porter.rs`, then `session.rs`.

mod admitted;
mod beside;
mod call;
mod door;
mod handing;
mod hello;
mod kernel;
mod poller;
mod porter;
mod relay;
mod sealed;
mod session;
mod teller;

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::{ConfigError, IoError, Result};
use crate::net::counts::{Counts, Problem};
use crate::net::gate::admitted::Admissions;
use crate::net::gate::beside::Beside;
use crate::net::gate::kernel::Kernel;
use crate::net::gate::poller::{Poller, Ringer};
use crate::net::gate::porter::Porter;
use crate::net::gate::teller::Teller;
use crate::net::listener::{State, once_free};
use crate::trust::{Access, ServerTls, Way};

pub(super) use admitted::Admitted;
pub use call::Call;
pub(super) use call::Caller;
pub use door::Door;
pub use hello::Hello;
pub(super) use sealed::{Sealed, is_stray};

/// A way to do TLS for a connection that was let in, from the best down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsRung {
    /// The kernel does.
    Kernel,
    /// A thread beside the shards does.
    Thread,
}

impl fmt::Display for TlsRung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernel => "TLS by the kernel",
            Self::Thread => "TLS on a thread beside the shards",
        })
    }
}

/// Who is let in at a [`Gate`], and how long that may take.
pub struct Gating {
    /// TLS. Only on loopback can there be none.
    pub tls: Option<ServerTls>,
    /// Who may what.
    pub access: Access,
    /// Whether each connection begins with a line that says what it wants: see [`Hello`]. Without
    /// one it brings or gets the one stream there is, and is known by its certificate.
    pub hello: bool,
    /// Connections that are not let in yet, at a time; for one more the one of them makes room that
    /// has taken longest.
    pub visits_max: usize,
    /// How long the handshake and the first line may take together.
    pub patience: Duration,
    /// The best way to do TLS that is tried.
    pub from: TlsRung,
    /// What happens at the gate is added to these.
    pub counts: Counts,
    /// Is told who was not let in, and why: ten times a second at most, the rest is only counted.
    /// Called on the thread of the gate.
    pub on_problem: Option<Box<dyn FnMut(&Problem) + Send>>,
}

impl Default for Gating {
    fn default() -> Self {
        Self {
            tls: None,
            access: Access::nobody(),
            hello: true,
            visits_max: 256,
            patience: Duration::from_secs(5),
            from: TlsRung::Kernel,
            counts: Counts::default(),
            on_problem: None,
        }
    }
}

impl Gating {
    fn check(&self, address: SocketAddr) -> Result<(), ConfigError> {
        let refused = |reason: &str| Err(ConfigError::setting("gate", address, reason));
        let access = &self.access;
        let by_certificate = self.tls.as_ref().is_some_and(ServerTls::asks);
        let is_beyond = !address.ip().is_loopback();
        if is_beyond && self.tls.is_none() {
            return refused("reaches beyond this host, and so needs `tls`");
        }
        if is_beyond && access.is_open() {
            return refused(
                "reaches beyond this host, and so anybody may not come in: say in `access` who \
                 may, by a `token` or a `certificate`",
            );
        }
        let by_name = by_certificate && access.has_names();
        let by_token = self.hello && access.has_tokens();
        if !access.is_open() && !by_name && !by_token {
            return refused(
                "lets nobody in: `access` wants a `token` and a `hello`, or a `certificate` and \
                 `tls` that asks for it, or `anybody` on loopback",
            );
        }
        if !(1..=1 << 16).contains(&self.visits_max) {
            let reason = "must be 1 to 65536";
            return Err(ConfigError::setting("visits_max", self.visits_max, reason));
        }
        access.check()
    }
}

/// A stream that is brought or got at a gate, and the shards that have it.
#[derive(Debug)]
struct Served {
    way: Way,
    stream: String,
    state: Arc<State>,
    shards: Vec<Admissions>,
    turn: AtomicUsize,
}

impl Served {
    /// The shard whose turn it is.
    fn next(&self) -> &Admissions {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        &self.shards[turn % self.shards.len()]
    }
}

/// What the thread goes by.
struct Rules {
    tls: Option<ServerTls>,
    access: Access,
    hello: bool,
    visits_max: usize,
    patience: Duration,
    kernel: Kernel,
    teller: Teller,
    beside: Beside,
    served: Mutex<Vec<Arc<Served>>>,
    is_stopped: AtomicBool,
    is_closed: AtomicBool,
}

/// The thread, and what ends it.
struct Keeper {
    address: SocketAddr,
    rules: Arc<Rules>,
    bell: Ringer,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.rules.is_closed.store(true, Ordering::Release);
        self.bell.ring();
        // Nobody will take them in any more.
        for served in self.rules.served.lock().iter().flat_map(|all| all.iter()) {
            served.shards.iter().for_each(Admissions::clear);
        }
        if let Some(thread) = self.thread.lock().ok().and_then(|mut thread| thread.take()) {
            let _ = thread.join();
        }
    }
}

/// A TCP address at which whoever connects is asked who he is. Clones are the same.
///
/// Made before the engine starts; it outlives the pipeline, so that a restart finds the address
/// again. Who publishes reaches sources by [`inlet`](Self::inlet), who subscribes reaches sinks by
/// [`outlet`](Self::outlet): each is one stream, known by its name. Connections are spread over the
/// shards in turn. With the last clone, source and sink of it, it is closed: that waits a few
/// seconds for what is still to be sent.
///
/// ```
/// use std::io::{BufRead, BufReader, Write};
///
/// use millstream::io::{Lines, codec};
/// use millstream::net::{Access, Gate, Gating, Receiving, TcpSource};
/// use millstream::{Config, Shard, Timestamp};
///
/// let access = Access::nobody().token("feed", "0f7e5c1b9a3d4826").may_publish("feed", "trades");
/// let anywhere = "0.0.0.0:0".parse().unwrap();
/// let refused = Gate::open(anywhere, Gating { access: access.clone(), ..Gating::default() });
/// assert!(refused.unwrap_err().to_string().contains("needs `tls`"));
///
/// let here = "127.0.0.1:0".parse().unwrap();
/// let gate = Gate::open(here, Gating { access, ..Gating::default() })?;
/// let trades = gate.inlet("trades", 1)?;
/// let bytes = codec(80, |_: &usize, _: &mut Vec<u8>| {}, |line: &[u8]| Ok(line.len()));
/// let receiving = Receiving { ends_after: Some(1), ..Receiving::default() };
/// let (mut shard, mut lengths) = Shard::embed(Config::embedded(), |p| {
///     Ok(p.source(TcpSource::new(p, &trades, Lines::new(80), bytes, receiving)?).output())
/// })?;
///
/// let mut peer = std::net::TcpStream::connect(gate.address()).unwrap();
/// peer.write_all(b"publish trades 0f7e5c1b9a3d4826\nMSFT\n").unwrap();
/// let mut answer = String::new();
/// BufReader::new(&peer).read_line(&mut answer).unwrap();
/// assert_eq!(answer, "ok\n");
/// drop(peer);
/// for now in 0.. {
///     shard.step(Timestamp(now));
///     if shard.is_done() {
///         break;
///     }
/// }
/// assert_eq!(lengths.pop().map(|record| record.value), Some(4));
/// # Ok::<(), millstream::Error>(())
/// ```
#[derive(Clone)]
pub struct Gate(Arc<Keeper>);

impl Gate {
    /// Listens at an address. Port 0 takes a free one.
    ///
    /// # Errors
    /// An address beyond this host without TLS, or where nobody is asked who he is; a setting that
    /// cannot be; and what the system said, which may be that the port is in use.
    pub fn open(address: SocketAddr, gating: Gating) -> Result<Self> {
        gating.check(address)?;
        let failed = |cause| IoError::new("listen at", address.to_string(), cause);
        let listener = once_free(|| TcpListener::bind(address)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let kernel = match gating.from {
            TlsRung::Kernel if gating.tls.is_some() => Kernel::tried(),
            _ => Kernel::unwanted(),
        };
        let Gating { tls, access, hello, visits_max, patience, counts, on_problem, .. } = gating;
        let rules = Arc::new(Rules {
            tls,
            access,
            hello,
            visits_max,
            patience,
            kernel,
            teller: Teller::new(counts, on_problem),
            beside: Beside::default(),
            served: Mutex::default(),
            is_stopped: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
        });
        let poller = Poller::new().map_err(failed)?;
        let bell = poller.bell();
        let mut porter = Porter::new(poller, listener, rules.clone()).map_err(failed)?;
        let named = std::thread::Builder::new().name(format!("gate {}", address.port()));
        let thread = named.spawn(move || porter.run()).map_err(failed)?;
        let thread = Mutex::new(Some(thread));
        Ok(Self(Arc::new(Keeper { address, rules, bell, thread })))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// A stream that others may publish, for the sources of so many shards.
    ///
    /// # Errors
    /// A name that cannot be one, or is taken; a second stream where connections do not say which.
    pub fn inlet(&self, stream: &str, shards: usize) -> Result<Door> {
        self.serve(Way::Publish, stream, shards)
    }

    /// A stream that others may subscribe to, from the sinks of so many shards.
    ///
    /// # Errors
    /// A name that cannot be one, or is taken; a second stream where connections do not say which.
    pub fn outlet(&self, stream: &str, shards: usize) -> Result<Door> {
        self.serve(Way::Subscribe, stream, shards)
    }

    fn serve(&self, way: Way, stream: &str, shards: usize) -> Result<Door> {
        let refused = |reason: &str| Err(ConfigError::setting("stream", stream, reason).into());
        if !Hello::publish(stream).is_whole() {
            return refused("a name has 1 to 256 printable characters, and no space");
        }
        let Ok(mut all) = self.0.rules.served.lock() else { return refused("the gate is broken") };
        if all.iter().any(|it| it.way == way && it.stream == stream) {
            return refused("is there already");
        }
        if !self.0.rules.hello && !all.is_empty() {
            return refused("is the second, and without a `hello` nobody can say which he wants");
        }
        let served = Arc::new(Served {
            way,
            stream: stream.to_owned(),
            state: Arc::default(),
            shards: (0..shards.max(1)).map(|_| Admissions::default()).collect(),
            turn: AtomicUsize::new(0),
        });
        all.push(served.clone());
        Ok(Door::new(self.clone(), served))
    }

    /// How TLS is done for those who are let in, at best; none where there is none.
    pub fn rung(&self) -> Option<TlsRung> {
        let rules = &self.0.rules;
        let best = if rules.kernel.is_there() { TlsRung::Kernel } else { TlsRung::Thread };
        rules.tls.is_some().then_some(best)
    }

    /// Why the kernel does not do TLS, or not by every cipher; none if it does, or was not asked.
    pub fn refused(&self) -> Option<&str> {
        self.0.rules.kernel.refused()
    }

    /// Ends it: nobody is let in any more, and sources end what they read when all that has come is
    /// decoded.
    pub fn stop(&self) {
        self.0.rules.is_stopped.store(true, Ordering::Release);
        self.0.bell.ring();
        for served in self.0.rules.served.lock().iter().flat_map(|all| all.iter()) {
            served.state.stop();
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("address", &self.0.address).finish_non_exhaustive()
    }
}
