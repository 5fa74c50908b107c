//! How the memory of a ring goes from one process to the other: over a Unix socket with a name that
//! is in no file system, and so is gone with whoever has it, however he ends.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr,
    connect, getsockopt, recvmsg, sendmsg, socket, sockopt,
};
use nix::unistd::getuid;
use zerocopy::{FromBytes, IntoBytes};

use crate::net::shared::memory::Header;

/// The bytes of a header.
const BYTES: usize = size_of::<Header>();

/// As many descriptors as one message can bring. All are taken, since what does not fit is lost.
const FDS: usize = 253;

fn full_name(name: &str) -> String {
    format!("millstream/ring/{name}")
}

/// Listens at a name.
///
/// # Errors
/// What the system said: the name is taken, or too long.
pub fn listen(name: &str) -> io::Result<UnixListener> {
    let address = SocketAddr::from_abstract_name(full_name(name))?;
    let listener = UnixListener::bind_addr(&address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Where to connect to who listens at a name.
///
/// # Errors
/// The name is too long.
pub fn address(name: &str) -> io::Result<UnixAddr> {
    Ok(UnixAddr::new_abstract(full_name(name).as_bytes())?)
}

/// Connects to who listens there, without waiting for him.
///
/// # Errors
/// What the system said: nobody listens, or he is too busy.
pub fn call(address: &UnixAddr) -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket: OwnedFd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(socket.as_raw_fd(), address)?;
    Ok(UnixStream::from(socket))
}

/// The process at the other end.
///
/// # Errors
/// It is another user's, whose memory is not to be had and who is to have none.
pub fn process(stream: &UnixStream) -> io::Result<i32> {
    let other = getsockopt(stream, sockopt::PeerCredentials)?;
    match other.uid() == getuid().as_raw() {
        true => Ok(other.pid()),
        false => Err(io::Error::new(ErrorKind::PermissionDenied, "it is another user's")),
    }
}

/// Says what a ring is made of, and hands over its memory if there is any to be handed over.
///
/// # Errors
/// What the system said.
pub fn say(stream: &UnixStream, header: &Header, memory: Option<&OwnedFd>) -> io::Result<()> {
    let fds: Vec<RawFd> = memory.iter().map(|memory| memory.as_raw_fd()).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let control = if fds.is_empty() { &[][..] } else { &rights[..] };
    let (bytes, flags) = ([IoSlice::new(header.as_bytes())], MsgFlags::MSG_NOSIGNAL);
    match sendmsg::<()>(stream.as_raw_fd(), &bytes, control, flags, None)? {
        BYTES => Ok(()),
        _ => Err(ErrorKind::WriteZero.into()),
    }
}

/// What the other end has said, if it has said anything yet.
///
/// # Errors
/// It is gone, or says something else.
pub fn hear(stream: &UnixStream) -> io::Result<Option<(Header, Option<OwnedFd>)>> {
    let (mut bytes, mut control) = ([0; BYTES], nix::cmsg_space!([RawFd; FDS]));
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let mut into = [IoSliceMut::new(&mut bytes)];
    let said = match recvmsg::<()>(stream.as_raw_fd(), &mut into, Some(&mut control), flags) {
        Ok(said) => said,
        Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let length = said.bytes;
    let mut fds = Vec::new();
    for message in said.cmsgs()? {
        if let ControlMessageOwned::ScmRights(came) = message {
            // SAFETY: the kernel has just made them, and nobody else knows of them. More than are
            // wanted are closed with the list.
            fds.extend(came.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    match (length, Header::read_from_bytes(&bytes)) {
        (0, _) => Err(ErrorKind::UnexpectedEof.into()),
        (BYTES, Ok(header)) => Ok(Some((header, fds.into_iter().next()))),
        _ => Err(io::Error::new(ErrorKind::InvalidData, "it does not say what a ring is made of")),
    }
}

/// Whether the other end is gone. It has nothing more to say; what it says all the same is not
/// looked at.
pub fn is_gone(mut stream: &UnixStream) -> bool {
    match stream.read(&mut [0; 64]) {
        Ok(bytes) => bytes == 0,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
    }
}
