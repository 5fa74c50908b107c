//! Connecting to a server that does TLS, or asks who connects.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, socket};
use rustls::ClientConnection;

use crate::error::{ConfigError, Result};
use crate::net::counts::{Count, Counts, Problem};
use crate::net::gate::TlsRung;
use crate::net::gate::admitted::Admitted;
use crate::net::gate::beside::Beside;
use crate::net::gate::handing::Handing;
use crate::net::gate::hello::{Hello, REFUSED, WELCOME};
use crate::net::gate::kernel::Kernel;
use crate::net::gate::poller::{Poller, Ringer};
use crate::net::gate::session::{Failure, Session, Stands};
use crate::net::gate::teller::Teller;
use crate::net::listener::loopback_only;
use crate::net::wire::prepare;
use crate::time::{Clock, SystemClock, Timestamp};
use crate::trust::ClientTls;

/// How a [`TcpSink`](crate::net::TcpSink) connects to a server with TLS, or with a
/// [`Gate`](crate::net::Gate). Each sink does so on a thread of its own.
///
/// With a [`Hello`] nothing is sent before the server has answered it by `ok`. Without one, records
/// are sent after the handshake; a server that then finds that it does not know the certificate
/// closes, and what had been sent to it is lost like all that is under way on a connection.
///
/// ```no_run
/// use millstream::net::{Call, ClientTls, Hello};
///
/// let tls = ClientTls::to("prices.example", "roots.pem")?;
/// let hello = Hello::publish("prices").token("0f7e5c1b9a3d4826");
/// let call = Call::to("192.0.2.7:7001".parse().unwrap(), tls).saying(hello)?;
/// # Ok::<(), millstream::Error>(())
/// ```
#[derive(Clone)]
pub struct Call {
    address: SocketAddr,
    tls: Option<ClientTls>,
    hello: Option<Hello>,
    patience: Duration,
    from: TlsRung,
    teller: Teller,
}

impl Call {
    /// To whoever listens there, with TLS.
    pub fn to(address: SocketAddr, tls: ClientTls) -> Self {
        Self::new(address, Some(tls))
    }

    /// To whoever listens there on this host, without TLS.
    ///
    /// # Errors
    /// An address beyond this host.
    pub fn plain(address: SocketAddr) -> Result<Self> {
        loopback_only(address, "and so needs TLS: say `to`, with a `ClientTls`")?;
        Ok(Self::new(address, None))
    }

    fn new(address: SocketAddr, tls: Option<ClientTls>) -> Self {
        let teller = Teller::new(Counts::default(), None);
        let (patience, from) = (Duration::from_secs(5), TlsRung::Kernel);
        Self { address, tls, hello: None, patience, from, teller }
    }

    /// Says this first, and waits for the answer.
    ///
    /// # Errors
    /// A stream or a secret that is no word.
    pub fn saying(self, hello: Hello) -> Result<Self> {
        if !hello.is_whole() {
            let reason = "its words have 1 to 256 printable characters, and no space";
            return Err(ConfigError::setting("hello", format!("{hello:?}"), reason).into());
        }
        Ok(Self { hello: Some(hello), ..self })
    }

    /// Gives up an attempt that takes longer; without this, 5 seconds.
    pub fn within(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Has TLS done by this way at best.
    pub fn by(self, from: TlsRung) -> Self {
        Self { from, ..self }
    }

    /// Adds what comes of attempts to these counts, and tells why some fail: ten times a second at
    /// most, on the thread that connects.
    pub fn telling(
        self,
        counts: &Counts,
        on_problem: impl FnMut(&Problem) + Send + 'static,
    ) -> Self {
        Self { teller: Teller::new(counts.clone(), Some(Box::new(on_problem))), ..self }
    }

    /// Where to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("address", &self.address)
            .field("tls", &self.tls)
            .field("hello", &self.hello)
            .finish_non_exhaustive()
    }
}

/// The thread that connects, to whoever asks it to.
pub struct Caller {
    ask: Option<Sender<()>>,
    answers: Receiver<Option<Admitted>>,
    is_asked: bool,
    is_closed: Arc<AtomicBool>,
    bell: Ringer,
    thread: Option<JoinHandle<()>>,
}

impl Caller {
    /// # Errors
    /// What the system said.
    pub fn start(call: Call) -> io::Result<Self> {
        let poller = Poller::new()?;
        let (bell, is_closed) = (poller.bell(), Arc::new(AtomicBool::new(false)));
        let ((ask, asked), (answer, answers)) = (channel(), channel());
        let beside = Beside::default();
        beside.on_shard();
        let kernel = match call.from {
            TlsRung::Kernel if call.tls.is_some() => Kernel::tried(),
            _ => Kernel::unwanted(),
        };
        let handing = Handing::new(kernel, call.teller.clone(), beside.clone());
        let (is_closed_too, clock) = (is_closed.clone(), SystemClock::new());
        let mut line = Line { call, poller, handing, clock, is_closed: is_closed_too };
        let named = thread::Builder::new().name("call".to_owned());
        let thread = named.spawn(move || {
            { beside }.apply();
            for () in asked {
                if answer.send(line.attempt()).is_err() {
                    break;
                }
            }
        })?;
        let thread = Some(thread);
        Ok(Self { ask: Some(ask), answers, is_asked: false, is_closed, bell, thread })
    }

    /// The connection, when it is there; none says that it could not be had. Asks for it if that
    /// has not been done. Never waits.
    pub fn poll(&mut self) -> Option<Option<Admitted>> {
        if !std::mem::replace(&mut self.is_asked, true)
            && let Some(ask) = &self.ask
        {
            let _ = ask.send(());
        }
        let answer = match self.answers.try_recv() {
            Ok(answer) => answer,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => None,
        };
        self.is_asked = false;
        Some(answer)
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::Release);
        self.ask = None;
        self.bell.ring();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread has.
struct Line {
    call: Call,
    poller: Poller,
    handing: Handing,
    clock: SystemClock,
    is_closed: Arc<AtomicBool>,
}

impl Line {
    /// Connects and says who it is; none, and why is told, if that does not succeed.
    fn attempt(&mut self) -> Option<Admitted> {
        let by = self.clock.now().offset(self.call.patience.as_nanos() as i64);
        match self.connect(by) {
            Ok(admitted) => Some(admitted),
            Err(failure) => {
                self.call.teller.on_failure(self.call.address, failure, self.clock.now());
                None
            }
        }
    }

    fn connect(&mut self, by: Timestamp) -> std::result::Result<Admitted, Failure> {
        let gone = |error: io::Error| Failure::new(Count::NotConnected, error.to_string());
        let stream = begin(self.call.address).map_err(gone)?;
        self.poller.add(&stream, 0).map_err(gone)?;
        self.wait(by, || is_connected(&stream).map_err(gone))?;
        prepare(&stream);
        let mut session = match &self.call.tls {
            None => Session::plain(stream),
            Some(tls) => {
                let (config, name) = tls.config();
                let tls = ClientConnection::new(config, name);
                let tls = tls.map_err(|e| Failure::new(Count::Declined, e.to_string()))?;
                Session::sealed(stream, tls)
            }
        };
        self.wait(by, || session.shake_hands())?;
        if let Some(hello) = &self.call.hello {
            session.say(hello.line().as_bytes()).map_err(gone)?;
            let mut line = Vec::new();
            self.wait(by, || session.read_line(&mut line))?;
            is_welcome(&line)?;
        }
        self.poller.remove(&session.stream);
        self.handing.hand(session, self.call.address)
    }

    /// Goes on with something until it is done.
    fn wait(
        &mut self,
        by: Timestamp,
        mut go_on: impl FnMut() -> std::result::Result<Stands<()>, Failure>,
    ) -> std::result::Result<(), Failure> {
        let mut ready = Vec::new();
        while let Stands::Waits = go_on()? {
            let left = by.since(self.clock.now());
            if left == 0 || self.is_closed.load(Ordering::Acquire) {
                return Err(Failure::new(Count::Unready, "it takes too long"));
            }
            ready.clear();
            self.poller.wait(Duration::from_nanos(left).max(Duration::from_millis(1)), &mut ready);
        }
        Ok(())
    }
}

/// A socket that connects.
fn begin(address: SocketAddr) -> io::Result<TcpStream> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Stream, flags, None)?;
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(address)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(TcpStream::from(socket)),
        Err(error) => Err(error.into()),
    }
}

fn is_connected(stream: &TcpStream) -> io::Result<Stands<()>> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(Stands::Done(())),
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(Stands::Waits),
        Err(error) => Err(error),
    }
}

/// # Errors
/// What was answered instead.
fn is_welcome(line: &[u8]) -> std::result::Result<(), Failure> {
    if WELCOME.strip_suffix(b"\n") == Some(line) {
        return Ok(());
    }
    let said = String::from_utf8_lossy(line);
    let reason = match said.strip_prefix(REFUSED) {
        Some(why) => format!("refused by the other end: {why}"),
        None => format!("answered by {said:?} instead of ok"),
    };
    Err(Failure::new(Count::Declined, reason))
}
