//! One connection as the gate sees it: with TLS, or plain.

use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, recv};
use rustls::Connection;

use crate::net::counts::Count;
use crate::net::gate::hello::LONGEST;
use crate::trust::{Fault, names_of};

/// Why somebody is not let in, and what that is counted as.
#[derive(Debug)]
pub struct Failure {
    pub count: Count,
    pub reason: String,
}

impl Failure {
    pub fn new(count: Count, reason: impl Into<String>) -> Self {
        Self { count, reason: reason.into() }
    }

    /// The connection is over, by the system's word.
    fn broken(error: &io::Error) -> Self {
        Self::new(Count::Broken, error.to_string())
    }
}

/// How something stands that does not wait.
#[derive(Debug)]
pub enum Stands<T> {
    Done(T),
    /// More must come from the other end, or be taken by it.
    Waits,
}

/// Reads no further than to the end of a record of TLS, so that what is behind it stays where the
/// kernel finds it when it takes over.
#[derive(Default)]
struct Records {
    header: [u8; 5],
    have: usize,
    left: usize,
}

impl Records {
    /// One call's worth.
    fn read(&mut self, mut from: &TcpStream, into: &mut [u8]) -> io::Result<usize> {
        if self.left > 0 {
            let most = self.left.min(into.len());
            let read = from.read(&mut into[..most])?;
            self.left -= read;
            return Ok(read);
        }
        let most = (self.header.len() - self.have).min(into.len());
        let read = from.read(&mut into[..most])?;
        self.header[self.have..self.have + read].copy_from_slice(&into[..read]);
        self.have += read;
        if self.have == self.header.len() {
            self.have = 0;
            self.left = u16::from_be_bytes([self.header[3], self.header[4]]).into();
        }
        Ok(read)
    }

    fn is_between(&self) -> bool {
        self.have == 0 && self.left == 0
    }
}

/// A connection with TLS.
pub struct Sealed {
    pub tls: Connection,
    records: Records,
}

/// A connection, and what protects it.
pub struct Session {
    pub stream: TcpStream,
    pub sealed: Option<Box<Sealed>>,
}

impl Session {
    /// Without protection.
    pub fn plain(stream: TcpStream) -> Self {
        Self { stream, sealed: None }
    }

    /// With TLS, which is to begin.
    pub fn sealed(stream: TcpStream, tls: impl Into<Connection>) -> Self {
        let sealed = Sealed { tls: tls.into(), records: Records::default() };
        Self { stream, sealed: Some(Box::new(sealed)) }
    }

    /// Goes on with the handshake.
    pub fn shake_hands(&mut self) -> Result<Stands<()>, Failure> {
        let Self { stream, sealed } = self;
        let Some(sealed) = sealed else { return Ok(Stands::Done(())) };
        loop {
            match flush(&mut sealed.tls, stream) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Stands::Waits),
                Err(error) => return Err(Failure::broken(&error)),
            }
            if !sealed.tls.is_handshaking() {
                return Ok(Stands::Done(()));
            }
            if let Stands::Waits = sealed.read_record(stream)? {
                return Ok(Stands::Waits);
            }
        }
    }

    /// The names in the certificate that was shown; none if there was none.
    pub fn names(&self) -> Vec<String> {
        let shown = self.sealed.as_ref().and_then(|it| it.tls.peer_certificates());
        shown.and_then(<[_]>::first).map(names_of).unwrap_or_default()
    }

    /// Reads up to the end of a line, and not beyond it.
    pub fn read_line(&mut self, line: &mut Vec<u8>) -> Result<Stands<()>, Failure> {
        loop {
            let seen = line.len();
            let read = match &mut self.sealed {
                None => read_plain(&self.stream, line),
                Some(sealed) => match sealed.read_some(&self.stream, line)? {
                    Stands::Done(read) => Ok(read),
                    Stands::Waits => return Ok(Stands::Waits),
                },
            };
            match read {
                Ok(0) => {
                    return Err(Failure::new(Count::CutShort, "it ends before its first line"));
                }
                Ok(_) if line.last() == Some(&b'\n') => {
                    line.pop();
                    return Ok(Stands::Done(()));
                }
                Ok(_) if line.len() >= LONGEST => {
                    return Err(Failure::new(Count::NoHello, "its first line has no end"));
                }
                Ok(_) if line.len() == seen => return Ok(Stands::Waits),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Stands::Waits),
                Err(error) => return Err(Failure::broken(&error)),
            }
        }
    }

    /// Sends a few bytes, for which there is room: nothing has been sent since the handshake.
    ///
    /// # Errors
    /// What the system said; that there is no room is an error too.
    pub fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.sealed {
            None => self.stream.write_all(bytes),
            Some(sealed) => {
                sealed.tls.writer().write_all(bytes)?;
                flush(&mut sealed.tls, &self.stream)
            }
        }
    }

    /// Says no more, as far as there is room for that.
    pub fn say_goodbye(&mut self) {
        if let Some(sealed) = &mut self.sealed {
            sealed.tls.send_close_notify();
            let _ = flush(&mut sealed.tls, &self.stream);
        }
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Whether something has been read that nobody has taken.
    pub fn has_more(&mut self) -> bool {
        self.sealed.as_mut().is_some_and(|it| {
            let unread = it.tls.reader().fill_buf().is_ok_and(|bytes| !bytes.is_empty());
            unread || !it.records.is_between()
        })
    }
}

impl Sealed {
    /// Reads at most a record.
    fn read_record(&mut self, stream: &TcpStream) -> Result<Stands<()>, Failure> {
        let records = &mut self.records;
        let mut from = Through(|into: &mut [u8]| records.read(stream, into));
        let read = loop {
            match self.tls.read_tls(&mut from) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        match read {
            Ok(0) => return Err(Failure::new(Count::CutShort, "it ends within the handshake")),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Stands::Waits),
            Err(error) => return Err(Failure::broken(&error)),
        }
        match self.tls.process_new_packets() {
            Ok(_) => Ok(Stands::Done(())),
            Err(error) => {
                // The other end is told too, if it listens.
                let _ = flush(&mut self.tls, stream);
                Err(Failure::new(counted_as(Fault::of(&error)), error.to_string()))
            }
        }
    }

    /// Adds what came up to the end of a line; returns how much that is.
    fn read_some(
        &mut self,
        stream: &TcpStream,
        line: &mut Vec<u8>,
    ) -> Result<Stands<usize>, Failure> {
        loop {
            let mut reader = self.tls.reader();
            match reader.fill_buf() {
                Ok(bytes) => {
                    let took = take_line(bytes, line);
                    reader.consume(took);
                    return Ok(Stands::Done(took));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(Failure::broken(&error)),
            }
            if let Stands::Waits = self.read_record(stream)? {
                return Ok(Stands::Waits);
            }
        }
    }
}

/// Reads by calling something.
struct Through<F>(F);

impl<F: FnMut(&mut [u8]) -> io::Result<usize>> Read for Through<F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0(into)
    }
}

/// Adds bytes up to the end of a line, as far as they fit; returns how many.
fn take_line(bytes: &[u8], line: &mut Vec<u8>) -> usize {
    let bytes = &bytes[..bytes.len().min(LONGEST.saturating_sub(line.len()))];
    let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
    line.extend_from_slice(&bytes[..end]);
    end
}

/// Looks first, so that what is behind the line stays in the socket.
fn read_plain(mut stream: &TcpStream, line: &mut Vec<u8>) -> io::Result<usize> {
    let mut seen = [0; LONGEST];
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    let count = recv(stream.as_raw_fd(), &mut seen, flags)?;
    let took = take_line(&seen[..count], line);
    stream.read_exact(&mut seen[..took])?;
    Ok(took)
}

/// Sends all that waits to be.
///
/// # Errors
/// What the system said, also that there is no room for all of it.
pub fn flush(tls: &mut Connection, mut stream: &TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        match tls.write_tls(&mut stream) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => _ = other?,
        }
    }
    Ok(())
}

/// What an end of the handshake is counted as.
fn counted_as(fault: Fault) -> Count {
    match fault {
        Fault::CutShort => Count::CutShort,
        Fault::NoCertificate => Count::NoCertificate,
        Fault::Expired => Count::Expired,
        Fault::Foreign => Count::ForeignCertificate,
        Fault::Declined => Count::Declined,
        Fault::NotTls => Count::NotTls,
    }
}
