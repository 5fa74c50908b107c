//! A connection whose TLS is done here: bytes go both ways, and no more are taken than there is
//! room for.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;

use rustls::Connection;

use crate::net::counts::Count;
use crate::net::gate::relay::{PIECE, TURN, Turn};
use crate::net::gate::session::{Failure, flush};
use crate::time::Timestamp;

/// A connection, and the socket to the shard whose it is.
pub struct Pair {
    tls: Connection,
    pub outer: TcpStream,
    pub inner: UnixStream,
    pub remote: SocketAddr,
    /// What came and the shard has not taken.
    piece: Box<[u8; PIECE]>,
    start: usize,
    end: usize,
    /// Nothing more comes from outside.
    heard_all: bool,
    /// Nothing more comes from the shard.
    pub inner_ended: bool,
    /// All that the shard sent is gone out, the goodbye too.
    is_said: bool,
    /// When it is over even if the other end is not done.
    pub ends_by: Option<Timestamp>,
    pub is_busy: bool,
}

impl Pair {
    pub fn new(tls: Connection, outer: TcpStream, inner: UnixStream, remote: SocketAddr) -> Self {
        Self {
            tls,
            outer,
            inner,
            remote,
            piece: Box::new([0; PIECE]),
            start: 0,
            end: 0,
            heard_all: false,
            inner_ended: false,
            is_said: false,
            ends_by: None,
            is_busy: false,
        }
    }

    /// Passes on what there is, both ways.
    pub fn turn(&mut self) -> Result<Turn, Failure> {
        let outward = self.pass_out()?;
        let inward = self.pass_in()?;
        if self.is_said && self.heard_all && self.start == self.end {
            return Ok(Turn::Over);
        }
        let is_cut = matches!(outward, Turn::Cut) || matches!(inward, Turn::Cut);
        Ok(if is_cut { Turn::Cut } else { Turn::Waits })
    }

    fn pass_out(&mut self) -> Result<Turn, Failure> {
        let mut piece = [0; PIECE];
        for _ in 0..TURN {
            match flush(&mut self.tls, &self.outer) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Turn::Waits),
                Err(error) => return Err(Failure::new(Count::Broken, error.to_string())),
            }
            if self.inner_ended {
                if !std::mem::replace(&mut self.is_said, true) {
                    let _ = self.outer.shutdown(Shutdown::Write);
                }
                return Ok(Turn::Waits);
            }
            match self.inner.read(&mut piece) {
                Ok(0) => {
                    self.inner_ended = true;
                    self.tls.send_close_notify();
                }
                Ok(read) => {
                    let written = self.tls.writer().write_all(&piece[..read]);
                    written.map_err(|error| Failure::new(Count::Broken, error.to_string()))?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Turn::Waits),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // It closed without having read all: that is an end too.
                Err(_) => {
                    self.inner_ended = true;
                    self.tls.send_close_notify();
                }
            }
        }
        Ok(Turn::Cut)
    }

    fn pass_in(&mut self) -> Result<Turn, Failure> {
        for _ in 0..TURN {
            while self.start < self.end {
                match self.inner.write(&self.piece[self.start..self.end]) {
                    Ok(written) => self.start += written,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Turn::Waits),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    // Nobody is there to read it.
                    Err(_) => self.start = self.end,
                }
            }
            if self.heard_all {
                return Ok(Turn::Waits);
            }
            (self.start, self.end) = (0, 0);
            match self.tls.reader().read(&mut self.piece[..]) {
                Ok(0) => self.on_heard_all(),
                Ok(read) => self.end = read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if let Turn::Waits = self.read_more()? {
                        return Ok(Turn::Waits);
                    }
                }
                Err(_) => {
                    self.on_heard_all();
                    // Who has been told goodbye may go without a word.
                    if !self.inner_ended {
                        let reason = "it ended without a goodbye: somebody may have cut it";
                        return Err(Failure::new(Count::Broken, reason));
                    }
                }
            }
        }
        Ok(Turn::Cut)
    }

    fn on_heard_all(&mut self) {
        self.heard_all = true;
        let _ = self.inner.shutdown(Shutdown::Write);
    }

    fn read_more(&mut self) -> Result<Turn, Failure> {
        match self.tls.read_tls(&mut self.outer) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Turn::Waits),
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(Turn::Cut),
            Err(error) => return Err(Failure::new(Count::Broken, error.to_string())),
        }
        match self.tls.process_new_packets() {
            Ok(_) => Ok(Turn::Cut),
            Err(error) => {
                let _ = flush(&mut self.tls, &self.outer);
                Err(Failure::new(Count::Broken, error.to_string()))
            }
        }
    }
}
