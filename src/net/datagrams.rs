//! An address or a multicast group that datagrams are sent to.

use std::fmt;
use std::mem::size_of_val;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::libc;
use nix::sys::socket::sockopt::{RcvBuf, ReuseAddr};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket,
};

use crate::error::{ConfigError, IoError, Result};
use crate::net::listener::{loopback_only, once_free};
use crate::net::network::Network;
use crate::net::stamp::{self, Stamps};
use crate::net::wire::{Connection, Rung, Shape, Wire};

/// What the kernel is asked to hold for a socket; it may allow less.
const HELD: usize = 4 << 20;

/// What to do where they may come from beyond this host.
const NOBODY_ASKED: &str = "and datagrams cannot say who sends them: use a loopback address, or \
                            say `on_trusted_network` where nobody but friends is";

/// A UDP address, or a multicast group, that is listened at. Clones are the same.
///
/// Made before the engine starts. There is no telling who sends: anybody who can reach it does, so
/// what can be reached from beyond this host is refused unless the network is said to be trusted.
///
/// ```
/// use millstream::net::Datagrams;
///
/// let here = Datagrams::at("127.0.0.1:0".parse().unwrap())?;
/// assert_ne!(here.address().port(), 0);
/// let (group, lo) = ("239.1.2.3:0".parse().unwrap(), "127.0.0.1".parse().unwrap());
/// assert!(Datagrams::of_group(group, lo, None).is_ok());
/// let refused = Datagrams::at("0.0.0.0:0".parse().unwrap()).unwrap_err().to_string();
/// assert!(refused.contains("beyond this host"), "{refused}");
/// # Ok::<(), millstream::Error>(())
/// ```
#[derive(Clone)]
pub struct Datagrams {
    from: From,
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
}

/// Who brings them.
#[derive(Clone)]
enum From {
    Kernel(Arc<UdpSocket>),
    Plugged(Arc<dyn Network>),
}

impl fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagrams").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Datagrams {
    /// Those that are sent to an address of this host, by this host. Port 0 takes a free one.
    ///
    /// # Errors
    /// An address that others can reach, and what the system said.
    pub fn at(address: SocketAddr) -> Result<Self> {
        loopback_only(address, NOBODY_ASKED)?;
        Self::on_trusted_network(address)
    }

    /// The same, and others may send too. Who does is believed: datagrams cannot say who sends
    /// them, so nobody but friends may be able to.
    ///
    /// # Errors
    /// What the system said.
    pub fn on_trusted_network(address: SocketAddr) -> Result<Self> {
        let failed = |cause| IoError::new("listen at", address.to_string(), cause);
        Ok(Self::of(once_free(|| UdpSocket::bind(address)).map_err(failed)?).map_err(failed)?)
    }

    /// Those that are sent to a multicast group by this host: the interface must be its own. With
    /// `from`, only those of this sender. Other programs may listen to the same group.
    ///
    /// # Errors
    /// An interface that others can reach, and what the system said: the group may be none.
    pub fn of_group(
        group: SocketAddrV4,
        interface: Ipv4Addr,
        from: Option<Ipv4Addr>,
    ) -> Result<Self> {
        loopback_only((interface, 0).into(), NOBODY_ASKED)?;
        Self::of_group_on_trusted_network(group, interface, from)
    }

    /// The same, by any interface, so that others may send too. Who does is believed.
    ///
    /// # Errors
    /// What the system said.
    pub fn of_group_on_trusted_network(
        group: SocketAddrV4,
        interface: Ipv4Addr,
        from: Option<Ipv4Addr>,
    ) -> Result<Self> {
        if !group.ip().is_multicast() {
            let reason = "is no multicast group: they are 224.0.0.0 to 239.255.255.255";
            return Err(ConfigError::setting("group", group.ip(), reason).into());
        }
        let failed = |cause| IoError::new("listen to", group.to_string(), cause);
        let join = || {
            let socket = shared(group)?;
            match from {
                None => socket.join_multicast_v4(group.ip(), &interface)?,
                Some(from) => join_source(&socket, *group.ip(), interface, from)?,
            }
            Self::of(socket)
        };
        Ok(join().map_err(failed)?)
    }

    fn of(socket: UdpSocket) -> std::io::Result<Self> {
        let _ = setsockopt(&socket, RcvBuf, &HELD);
        let address = socket.local_addr()?;
        let from = From::Kernel(Arc::new(socket));
        Ok(Self { from, address, stopped: Arc::default() })
    }

    /// Those that are sent to an address of a network that is not the kernel's.
    pub fn plugged(network: Arc<dyn Network>, address: SocketAddr) -> Self {
        Self { from: From::Plugged(network), address, stopped: Arc::default() }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it: sources end when what they have taken is decoded.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// A wire that takes them in, and its slot where it does so.
    pub(super) fn wire(
        &self,
        shape: Shape,
        from: Rung,
        hears: bool,
    ) -> std::io::Result<(Wire, Option<usize>)> {
        match &self.from {
            From::Kernel(socket) => {
                let mut wire = Wire::new(shape, from)?;
                // The type only holds it: what is received is the same bytes.
                let mut hear = || {
                    let socket = TcpStream::from(OwnedFd::from(socket.try_clone()?));
                    wire.adopt(Connection::Socket(socket))
                };
                let slot = hears.then(&mut hear).transpose()?;
                Ok((wire, slot))
            }
            From::Plugged(network) => {
                let mut sockets = network.sockets(shape);
                let slot = hears.then(|| sockets.hear(self.address)).transpose()?;
                Ok((Wire::plugged(sockets), slot))
            }
        }
    }

    /// Has the kernel say when it received each.
    pub(super) fn ask_for_stamps(&self, stamps: Stamps) -> std::io::Result<()> {
        match &self.from {
            From::Kernel(socket) => stamp::ask_for(&**socket, stamps),
            From::Plugged(_) => Err(std::io::ErrorKind::Unsupported.into()),
        }
    }

    /// How many the kernel has dropped because nobody took them.
    pub(super) fn dropped(&self) -> Option<u64> {
        /// What the kernel tells of a socket's memory; the last is the drops.
        const TOLD: usize = 9;
        let socket = match &self.from {
            From::Kernel(socket) => socket,
            From::Plugged(network) => return Some(network.datagrams_lost(self.address)),
        };
        let mut told = [0u32; TOLD];
        let mut length = size_of_val(&told) as libc::socklen_t;
        let fd = socket.as_raw_fd();
        // SAFETY: there is room for as much as is said.
        let done = unsafe {
            let into = told.as_mut_ptr().cast();
            libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_MEMINFO, into, &raw mut length)
        };
        let is_whole = done == 0 && length as usize == size_of_val(&told);
        is_whole.then_some(told[TOLD - 1].into())
    }
}

/// A socket at a group's address, which others may have too.
fn shared(group: SocketAddrV4) -> std::io::Result<UdpSocket> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket: OwnedFd = socket(AddressFamily::Inet, SockType::Datagram, flags, None)?;
    setsockopt(&socket, ReuseAddr, &true)?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(group))?;
    Ok(UdpSocket::from(socket))
}

/// Joins a group for one sender alone.
fn join_source(
    socket: &UdpSocket,
    group: Ipv4Addr,
    interface: Ipv4Addr,
    from: Ipv4Addr,
) -> std::io::Result<()> {
    let address = |it: Ipv4Addr| libc::in_addr { s_addr: u32::from_ne_bytes(it.octets()) };
    let wish = libc::ip_mreq_source {
        imr_multiaddr: address(group),
        imr_interface: address(interface),
        imr_sourceaddr: address(from),
    };
    // SAFETY: the wish is as long as said, and is copied.
    let done = unsafe {
        let (option, value) = (libc::IP_ADD_SOURCE_MEMBERSHIP, (&raw const wish).cast());
        let length = size_of_val(&wish) as libc::socklen_t;
        libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_IP, option, value, length)
    };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}
