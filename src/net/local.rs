//! A path of this host that is listened at: a Unix socket.

use std::fmt;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::sys::socket::{getsockopt, sockopt};

use crate::error::{IoError, Result};
use crate::net::listener::{Listens, State, accepting, once_free};
use crate::net::wire::{Connection, Rung, Shape, Wire};

/// A Unix socket that is listened at, for programs of this host. All shards accept from it.
///
/// Made before the engine starts; clones are the same. Only programs of the same user may connect:
/// that is what the rights of its file say. The file goes with the last clone. One that a program
/// left behind that ended badly is taken over; one that somebody listens at is not.
///
/// ```
/// use std::io::Write;
///
/// use millstream::io::{Fixed, codec};
/// use millstream::net::{LocalListener, Receiving, TcpSource};
/// use millstream::{Config, Shard, Timestamp};
///
/// let path = std::env::temp_dir().join(format!("millstream-doc-{}", std::process::id()));
/// let listener = LocalListener::at(&path)?;
/// let bytes = codec(1, |n: &u8, into: &mut Vec<u8>| into.push(*n), |bytes: &[u8]| Ok(bytes[0]));
/// let receiving = Receiving { ends_after: Some(1), ..Receiving::default() };
/// let (mut shard, mut output) = Shard::embed(Config::embedded(), |p| {
///     Ok(p.source(TcpSource::new(p, &listener, Fixed::new(1), bytes, receiving)?).output())
/// })?;
/// let mut peer = std::os::unix::net::UnixStream::connect(&path).unwrap();
/// peer.write_all(&[7]).unwrap();
/// drop(peer);
/// for now in 0.. {
///     shard.step(Timestamp(now));
///     if shard.is_done() {
///         break;
///     }
/// }
/// assert_eq!(output.pop().map(|record| record.value), Some(7));
/// # Ok::<(), millstream::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LocalListener(Arc<Bound>);

#[derive(Debug)]
struct Bound {
    socket: UnixListener,
    path: PathBuf,
    state: Arc<State>,
}

impl LocalListener {
    /// Listens at a path.
    ///
    /// # Errors
    /// What the system said: somebody listens there, it may not be written there, or the path is
    /// longer than such a path may be.
    pub fn at(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let failed = |cause| IoError::new("listen at", path.display().to_string(), cause);
        let bind = || {
            if is_left_behind(&path) {
                std::fs::remove_file(&path)?;
            }
            UnixListener::bind(&path)
        };
        let socket = once_free(bind).map_err(failed)?;
        let ours = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, ours).map_err(failed)?;
        Ok(Self(Arc::new(Bound { socket, path, state: Arc::default() })))
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Ends it: nobody is accepted any more, and sources end what they read when all that has come
    /// is decoded.
    pub fn stop(&self) {
        self.0.state.stop();
    }
}

/// Whether there is a socket, and nobody listens at it.
fn is_left_behind(path: &Path) -> bool {
    let is_socket = path.symlink_metadata().is_ok_and(|it| it.file_type().is_socket());
    let is_refused = |error: std::io::Error| error.kind() == ErrorKind::ConnectionRefused;
    is_socket && UnixStream::connect(path).is_err_and(is_refused)
}

impl Drop for Bound {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Listens for LocalListener {
    fn place(&self) -> String {
        self.0.path.display().to_string()
    }

    fn wire(&self, _shard: usize, shape: Shape, from: Rung) -> Result<Wire> {
        // The type only holds it: what is done with it is the same for all streams.
        let socket = self.0.socket.try_clone();
        accepting(self, socket.map(|it| TcpListener::from(OwnedFd::from(it))), shape, from)
    }

    fn state(&self) -> &Arc<State> {
        &self.0.state
    }
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remote {
    /// By TCP: its address.
    Address(SocketAddr),
    /// By a Unix socket: its process, as it was when it connected.
    Process(i32),
    /// Whoever sends datagrams to this address.
    Anybody(SocketAddr),
}

impl Remote {
    /// Who it is.
    ///
    /// # Errors
    /// It is gone already.
    pub(super) fn of(connection: &Connection) -> std::io::Result<Self> {
        let stream = match connection {
            Connection::Socket(stream) => stream,
            Connection::Plugged(incoming) => return Ok(Self::Address(incoming.remote())),
            #[cfg(feature = "tls")]
            Connection::Admitted(admitted) => return Ok(Self::Address(admitted.remote)),
        };
        match stream.peer_addr() {
            Ok(address) => Ok(Self::Address(address)),
            Err(error) if error.raw_os_error().is_some() => Err(error),
            // It has an address, but not one of the internet.
            Err(_) => Ok(Self::Process(getsockopt(stream, sockopt::PeerCredentials)?.pid())),
        }
    }
}

impl PartialEq<SocketAddr> for Remote {
    fn eq(&self, other: &SocketAddr) -> bool {
        *self == Self::Address(*other)
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Process(pid) => write!(f, "process {pid}"),
            Self::Anybody(address) => write!(f, "datagrams to {address}"),
        }
    }
}
