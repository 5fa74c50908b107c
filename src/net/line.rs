//! Who a sink sends to, and the way to one who is connected to.

use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, UnixAddr, connect, socket,
};

#[cfg(feature = "tls")]
use crate::net::gate::Caller;
use crate::net::log::Cursor;
use crate::net::sink::Sending;
use crate::net::wire::{Connection, Wire};
use crate::time::Timestamp;

/// Who is sent to.
pub enum Target {
    /// Everybody who connects.
    Subscribers,
    /// Who listens there.
    Address(Line),
}

impl Target {
    /// Where one who is away goes on when he is back.
    pub fn resume(&mut self) -> Option<&mut Cursor> {
        match self {
            Self::Address(Line { slot: None, resume, .. }) => Some(resume),
            _ => None,
        }
    }

    /// Whether nobody is away who has not been sent everything before `end`.
    pub fn is_at(&self, end: Cursor) -> bool {
        match self {
            Self::Address(Line { slot: None, resume, .. }) => *resume == end,
            _ => true,
        }
    }
}

/// Where he listens.
enum Address {
    Net(AddressFamily, SockaddrStorage),
    Path(UnixAddr),
    /// On a network that was plugged in.
    Plugged(SocketAddr),
    /// By a thread that does what is to be done before records are sent.
    #[cfg(feature = "tls")]
    Called(Caller),
}

/// The way to the one who is connected to.
pub struct Line {
    address: Address,
    /// The connection, made or in the making.
    slot: Option<usize>,
    /// Where the next one begins.
    resume: Cursor,
    retry_at: Timestamp,
    pause: Duration,
}

impl Line {
    /// To an address.
    pub fn to(address: SocketAddr) -> Self {
        let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        Self::new(Address::Net(family, address.into()))
    }

    /// To a Unix socket.
    ///
    /// # Errors
    /// A path that is too long.
    pub fn to_path(path: &Path) -> std::io::Result<Self> {
        Ok(Self::new(Address::Path(UnixAddr::new(path)?)))
    }

    /// To an address of the network that the wire is plugged into.
    pub fn to_plugged(address: SocketAddr) -> Self {
        Self::new(Address::Plugged(address))
    }

    /// By way of a thread.
    #[cfg(feature = "tls")]
    pub fn by(caller: Caller) -> Self {
        Self::new(Address::Called(caller))
    }

    /// Nobody has been connected to yet.
    fn new(address: Address) -> Self {
        let (retry_at, pause) = (Timestamp::MIN, Duration::ZERO);
        Self { address, slot: None, resume: Cursor::default(), retry_at, pause }
    }

    /// The connection, made or in the making.
    pub fn slot(&self) -> Option<usize> {
        self.slot
    }

    /// Where the next connection begins, as long as there is none.
    pub fn away_at(&self) -> Cursor {
        self.resume
    }

    /// Whether it is time to connect.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.slot.is_none() && now >= self.retry_at
    }

    /// A socket that connects, or has; returns its slot. Nothing if there is none yet: it is to be
    /// asked for again.
    pub fn begin(&mut self, wire: &mut Wire) -> Option<std::io::Result<usize>> {
        #[cfg(feature = "tls")]
        if let Address::Called(caller) = &mut self.address {
            let connection = caller.poll()?.ok_or(std::io::ErrorKind::NotConnected.into());
            return Some(connection.and_then(|it| wire.adopt(Connection::Admitted(it))));
        }
        Some(self.connect(wire))
    }

    /// A socket that connects, or has; returns its slot.
    ///
    /// # Errors
    /// What the system said.
    fn connect(&self, wire: &mut Wire) -> std::io::Result<usize> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let family = match &self.address {
            Address::Net(family, _) => *family,
            Address::Path(_) => AddressFamily::Unix,
            Address::Plugged(address) => return wire.connect(*address),
            #[cfg(feature = "tls")]
            Address::Called(_) => return Err(std::io::ErrorKind::NotConnected.into()),
        };
        let socket = socket(family, SockType::Stream, flags, None)?;
        let begun = match &self.address {
            Address::Net(_, address) => connect(socket.as_raw_fd(), address),
            Address::Path(path) => connect(socket.as_raw_fd(), path),
            Address::Plugged(_) => Ok(()),
            #[cfg(feature = "tls")]
            Address::Called(_) => Ok(()),
        };
        match begun {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let slot = wire.adopt(Connection::Socket(TcpStream::from(socket)))?;
        wire.prepare(slot);
        Ok(slot)
    }

    /// It is being connected to; returns where sending goes on.
    pub fn on_begun(&mut self, slot: usize) -> Cursor {
        self.slot = Some(slot);
        self.resume
    }

    /// It is there.
    pub fn on_connected(&mut self) {
        self.pause = Duration::ZERO;
    }

    /// It is not there any more, or was not to be had.
    pub fn on_lost(&mut self, resume: Cursor, now: Timestamp, settings: &Sending) {
        (self.slot, self.resume) = (None, resume);
        self.pause(now, settings);
    }

    /// Waits before the next attempt, longer each time.
    pub fn pause(&mut self, now: Timestamp, settings: &Sending) {
        let Sending { pause_min, pause_max, .. } = *settings;
        self.pause = (self.pause * 2).clamp(pause_min, pause_max.max(pause_min));
        self.retry_at = now.offset(self.pause.as_nanos() as i64);
    }
}
