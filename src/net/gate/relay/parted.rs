//! The end of a connection for which the kernel does TLS. What the kernel has been given and has
//! not yet encrypted and sent is lost when the socket is closed, so it is not closed at once.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;

use crate::net::gate::kernel::{self, Stray};
use crate::net::gate::relay::{PIECE, TURN, Turn};
use crate::time::Timestamp;

/// A socket on which the kernel does TLS, and which no shard has any more.
pub struct Parted {
    pub socket: TcpStream,
    is_said: bool,
    /// When it is over even if the other end is not done.
    pub ends_by: Option<Timestamp>,
    pub is_busy: bool,
}

impl Parted {
    pub fn new(socket: TcpStream) -> Self {
        let _ = socket.set_nonblocking(true);
        Self { socket, is_said: false, ends_by: None, is_busy: false }
    }

    /// Says goodbye when there is room, and waits for the other end to be done: the kernel has sent
    /// all by then.
    pub fn turn(&mut self) -> Turn {
        if !self.is_said {
            match kernel::say_goodbye(&self.socket) {
                Ok(()) => self.is_said = true,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Turn::Waits,
                Err(_) => return Turn::Over,
            }
        }
        let mut piece = [0; PIECE];
        for _ in 0..TURN {
            match self.socket.read(&mut piece) {
                Ok(0) => return Turn::Over,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Turn::Waits,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => match kernel::stray(&self.socket) {
                    Stray::Nothing => {}
                    _ => return Turn::Over,
                },
            }
        }
        Turn::Cut
    }
}
