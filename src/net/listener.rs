//! An address that is listened at.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::socket::sockopt::{ReuseAddr, ReusePort};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, setsockopt, socket,
};
use std::os::fd::AsRawFd;

use crate::error::{ConfigError, IoError, Result};
use crate::net::wire::{Rung, Shape, Wire};

pub use crate::trust::Way;

/// Connections that the kernel holds before they are accepted.
const BACKLOG: i32 = 1024;

/// A TCP address that is listened at, on so many shards: the kernel spreads connections over them.
///
/// Made before the engine starts; clones are the same. It outlives the pipeline, so that a restart
/// finds the address again.
///
/// ```
/// use millstream::net::Listener;
///
/// let listener = Listener::on("127.0.0.1:0".parse().unwrap(), 1)?;
/// assert_ne!(listener.address().port(), 0);
/// let refused = Listener::on("0.0.0.0:0".parse().unwrap(), 1).unwrap_err().to_string();
/// assert!(refused.contains("beyond this host"), "{refused}");
/// # Ok::<(), millstream::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Listener {
    sockets: Arc<Vec<TcpListener>>,
    address: SocketAddr,
    state: Arc<State>,
}

/// What all shards know of it.
#[derive(Debug, Default)]
pub struct State {
    pub stopped: AtomicBool,
    /// Connections that have come and gone.
    pub gone: AtomicU64,
}

impl State {
    /// Nobody is to be accepted any more.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }
}

impl Listener {
    /// Listens at an address of this host, on so many shards. Port 0 takes a free one.
    ///
    /// # Errors
    /// An address that others can reach, since nobody is asked who he is: a `Gate` asks. And what
    /// the system said, which may be that the port is in use.
    pub fn on(address: SocketAddr, shards: usize) -> Result<Self> {
        loopback_only(address, NOBODY_ASKED)?;
        let failed = |cause| IoError::new("listen at", address.to_string(), cause);
        // Alone first: sockets that share a port would also share it with another process.
        let alone = once_free(|| TcpListener::bind(address)).map_err(failed)?;
        let address = alone.local_addr().map_err(failed)?;
        let sockets = match shards {
            0 | 1 => {
                // More than the standard library asks for.
                listen(&alone, backlog().map_err(failed)?).map_err(|e| failed(e.into()))?;
                vec![alone]
            }
            _ => {
                drop(alone);
                let shared = (0..shards).map(|_| listen_together(address));
                shared.collect::<std::io::Result<_>>().map_err(failed)?
            }
        };
        Ok(Self { sockets: Arc::new(sockets), address, state: Arc::default() })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it: nobody is accepted any more, and sources end what they read when all that has come
    /// is decoded.
    pub fn stop(&self) {
        self.state.stop();
    }
}

/// What sources and sinks accept from: a [`Listener`], a
/// [`LocalListener`](crate::net::LocalListener), a stream of a `Gate`, or an address of a network
/// that was plugged in.
pub trait Listens: Clone + Send + Sync + 'static {
    /// # Errors
    /// Records go the other way there.
    fn check(&self, _way: Way) -> Result<(), ConfigError> {
        Ok(())
    }

    /// Where that is, in words.
    fn place(&self) -> String;

    /// A wire that accepts from the socket of one shard.
    ///
    /// # Errors
    /// There is none for it, or what the system said.
    fn wire(&self, shard: usize, shape: Shape, from: Rung) -> Result<Wire>;

    /// What all shards know of it.
    fn state(&self) -> &Arc<State>;
}

impl Listens for Listener {
    fn place(&self) -> String {
        self.address.to_string()
    }

    fn wire(&self, shard: usize, shape: Shape, from: Rung) -> Result<Wire> {
        let Some(socket) = self.sockets.get(shard) else {
            let reason = format!("it was made for {}", self.sockets.len());
            return Err(ConfigError::setting("shard of a listener", shard, reason).into());
        };
        accepting(self, socket.try_clone(), shape, from)
    }

    fn state(&self) -> &Arc<State> {
        &self.state
    }
}

/// A wire that accepts from a socket of the kernel's.
pub fn accepting(
    listener: &impl Listens,
    socket: std::io::Result<TcpListener>,
    shape: Shape,
    from: Rung,
) -> Result<Wire> {
    let accepting = || {
        let mut wire = Wire::new(shape, from)?;
        wire.listen(socket?)?;
        Ok(wire)
    };
    Ok(accepting().map_err(|cause| failed_to_listen(listener, cause))?)
}

pub fn failed_to_listen(listener: &impl Listens, cause: std::io::Error) -> IoError {
    IoError::new("listen at", listener.place(), cause)
}

/// What to do where a listening address is not this host's own.
const NOBODY_ASKED: &str = "and whoever connects is not asked who he is: use a loopback address, \
                            or a `Gate` (feature `tls`) with TLS and an `access`";

/// # Errors
/// An address that is not this host's own, with what is wrong with that and what to do.
pub fn loopback_only(address: SocketAddr, advice: &str) -> Result<(), ConfigError> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    let reason = format!("reaches beyond this host, {advice}");
    Err(ConfigError::setting("address", address, reason))
}

/// How often a place that is in use is tried again, and after how long.
const TRIES: u32 = 200;
const BETWEEN_TRIES: Duration = Duration::from_millis(5);

/// Binds, if need be a second later. The sockets of a process that was killed are closed when the
/// kernel has taken apart the rings that they were registered with, which can be some time behind
/// its end; whoever begins again at once is not to be refused for that.
pub(super) fn once_free<T>(mut bind: impl FnMut() -> std::io::Result<T>) -> std::io::Result<T> {
    for _ in 0..TRIES {
        match bind() {
            Err(error) if error.kind() == ErrorKind::AddrInUse => std::thread::sleep(BETWEEN_TRIES),
            bound => return bound,
        }
    }
    bind()
}

/// One of several sockets at one port.
fn listen_together(address: SocketAddr) -> std::io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket: OwnedFd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, ReuseAddr, &true)?;
    setsockopt(&socket, ReusePort, &true)?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    listen(&socket, backlog()?)?;
    Ok(TcpListener::from(socket))
}

fn backlog() -> std::io::Result<Backlog> {
    Ok(Backlog::new(BACKLOG)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::LocalListener;

    /// As of a process that was killed, whose sockets the kernel closes a little later.
    #[test]
    fn a_place_that_is_given_up_a_little_later_is_free() {
        let later = |held: Box<dyn Send>| {
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(60));
                drop(held);
            })
        };
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = held.local_addr().unwrap();
        let thread = later(Box::new(held));
        assert_eq!(Listener::on(address, 2).unwrap().address(), address);
        thread.join().unwrap();
        let path = std::env::temp_dir().join(format!("millstream-held-{}", std::process::id()));
        let thread = later(Box::new(std::os::unix::net::UnixListener::bind(&path).unwrap()));
        LocalListener::at(&path).unwrap();
        thread.join().unwrap();
    }

    #[test]
    fn a_place_that_stays_in_use_is_refused() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let refused = Listener::on(held.local_addr().unwrap(), 1).unwrap_err().to_string();
        assert!(refused.contains("listen at 127.0.0.1:"), "{refused}");
    }
}
