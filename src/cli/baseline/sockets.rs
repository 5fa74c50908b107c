//! Connections of this host served by a bare ring: what sockets do when nothing else is done.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use crate::cli::pin;
use crate::net::bare::Bare;

/// Buffers that a bare ring receives into, and how long each is: as many as a source has.
const BUFFERS: (u16, usize) = (256, 16 << 10);

/// How a peer is talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    /// Both ways by one connection: what is sent back carries the acknowledgement along.
    One,
    /// There by one and back by another, as by a source and a sink.
    Two,
}

/// Serves a peer on a thread bound to one CPU, while the peer talks on a thread bound to the other.
/// Each is given what it reads from, and what it writes to.
///
/// # Errors
/// What the system said to either.
pub fn beside<S: Send + 'static, C: Send + 'static>(
    [server, client]: [usize; 2],
    ways: Ways,
    serve: impl FnOnce(Bare, TcpStream) -> io::Result<S> + Send + 'static,
    talk: impl FnOnce(TcpStream, TcpStream) -> io::Result<C> + Send + 'static,
) -> io::Result<(S, C)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let connect =
        || io::Result::Ok((TcpStream::connect(listener.local_addr()?)?, listener.accept()?.0));
    let (there, heard) = connect()?;
    let (back, said) = match ways {
        Ways::One => (there.try_clone()?, heard.try_clone()?),
        Ways::Two => connect()?,
    };
    let served = thread::spawn(move || {
        pin::this_thread(server);
        let (count, each) = BUFFERS;
        serve(Bare::new(heard, count, each)?, said)
    });
    let talked = thread::spawn(move || {
        pin::this_thread(client);
        talk(back, there)
    });
    let panicked = |_| io::Error::other("a thread panicked");
    // Whoever ends first ends the connection, and so the other.
    let (served, talked) = (served.join().map_err(panicked)?, talked.join().map_err(panicked)?);
    Ok((served?, talked?))
}
