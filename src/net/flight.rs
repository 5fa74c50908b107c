//! Datagrams that go out by one call.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::ptr;

use nix::libc;

/// Datagrams of one call, at most.
const MOST: usize = 64;

/// What they may take together, in bytes; two of the longest are more.
const BYTES: usize = 256 << 10;

/// A datagram that is whole: where it ends, and how many records it holds.
#[derive(Clone, Copy)]
struct Whole {
    end: usize,
    records: u64,
}

/// What became of the first of them.
pub enum Gone {
    /// So many were sent, of so many bytes.
    Sent(usize, usize),
    /// One was not, which held so many records.
    Lost(io::Error, u64),
}

/// Datagrams that are written one behind another, and the one that is being filled.
pub struct Flight {
    bytes: Vec<u8>,
    whole: Vec<Whole>,
    most: usize,
    /// How many of them are gone, and where those end.
    gone: usize,
    gone_bytes: usize,
    /// What the kernel is told of them.
    parts: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl Flight {
    /// Of datagrams of at most so many bytes, and as many records more as fit into one.
    pub fn of(bytes_max: usize) -> Self {
        let most = (BYTES / bytes_max.max(1)).clamp(2, MOST);
        Self {
            bytes: Vec::with_capacity((most + 2) * bytes_max),
            whole: Vec::with_capacity(most),
            most,
            gone: 0,
            gone_bytes: 0,
            parts: Vec::with_capacity(most),
            headers: Vec::with_capacity(most),
        }
    }

    /// The memory it takes.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Where records are written.
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Where the one begins that is being filled.
    pub fn start(&self) -> usize {
        self.whole.last().map_or(0, |last| last.end)
    }

    /// What has been written up to there is whole; true if there is room for no more.
    pub fn close(&mut self, end: usize, records: u64) -> bool {
        if end > self.start() {
            self.whole.push(Whole { end, records });
        }
        self.whole.len() == self.most
    }

    /// Whether all that are whole are gone; then what has been written behind them comes first.
    pub fn is_over(&mut self) -> bool {
        let is_over = self.gone == self.whole.len();
        if is_over {
            self.bytes.drain(..self.start());
            self.whole.clear();
            (self.gone, self.gone_bytes) = (0, 0);
        }
        is_over
    }

    /// Sends by one call what has not gone and the kernel takes. There is something.
    pub fn send(&mut self, socket: &UdpSocket) -> Gone {
        let rest = &self.whole[self.gone..];
        self.parts.clear();
        self.headers.clear();
        let mut start = self.gone_bytes;
        for whole in rest {
            let datagram = &self.bytes[start..whole.end];
            let (iov_base, iov_len) = (datagram.as_ptr().cast_mut().cast(), datagram.len());
            self.parts.push(libc::iovec { iov_base, iov_len });
            start = whole.end;
        }
        for part in &mut self.parts {
            // SAFETY: zeros are a header of nothing, for the one whom the socket is connected to.
            let mut msg_hdr: libc::msghdr = unsafe { std::mem::zeroed() };
            (msg_hdr.msg_iov, msg_hdr.msg_iovlen) = (ptr::from_mut(part), 1);
            self.headers.push(libc::mmsghdr { msg_hdr, msg_len: 0 });
        }
        let (headers, count) = (self.headers.as_mut_ptr(), self.headers.len() as u32);
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: there are so many headers, and what they point to lives until it returns.
        let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers, count, flags) };
        match usize::try_from(sent) {
            Ok(sent) => self.on_gone(sent),
            Err(_) => self.lose(io::Error::last_os_error()),
        }
    }

    /// Has each go by itself.
    pub fn send_one(&mut self, by: impl FnOnce(&[u8]) -> io::Result<usize>) -> Gone {
        let end = self.whole[self.gone].end;
        match by(&self.bytes[self.gone_bytes..end]) {
            Ok(_) => self.on_gone(1),
            Err(error) => self.lose(error),
        }
    }

    fn on_gone(&mut self, count: usize) -> Gone {
        let before = self.gone_bytes;
        self.gone += count;
        self.gone_bytes = self.whole[self.gone - 1].end;
        Gone::Sent(count, self.gone_bytes - before)
    }

    /// The first of the rest is given up.
    fn lose(&mut self, error: io::Error) -> Gone {
        let records = self.whole[self.gone].records;
        self.on_gone(1);
        Gone::Lost(error, records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_taken_is_lost_alone_and_what_is_behind_goes_on() {
        let mut flight = Flight::of(10);
        let add = |flight: &mut Flight, byte: u8| {
            flight.bytes().extend([byte; 7]);
            let end = flight.bytes().len();
            flight.close(end, u64::from(byte))
        };
        assert!(!(1..=3).any(|byte| add(&mut flight, byte)));
        flight.bytes().push(9);
        let mut seen = Vec::new();
        while !flight.is_over() {
            let gone = flight.send_one(|datagram| match datagram[0] {
                2 => Err(io::ErrorKind::WouldBlock.into()),
                byte => {
                    seen.push(byte);
                    Ok(datagram.len())
                }
            });
            if let Gone::Lost(_, records) = gone {
                seen.push(100 + records as u8);
            }
        }
        assert_eq!(seen, [1, 102, 3]);
        assert_eq!(flight.start(), 0);
        assert_eq!(flight.bytes().as_slice(), [9]);
    }
}
