//! When the kernel, or the network card, has received a datagram, and how many it had to drop.
//!
//! Where that is asked for, a buffer begins with four words of 32 bits (the length of a name, of
//! what there is beside the datagram, of the datagram, and flags), then comes what there is beside
//! it, then the datagram. That is how io_uring lays it out; for epoll it is laid out alike.

use std::io;
use std::mem::size_of_val;
use std::os::fd::{AsRawFd, RawFd};

use nix::libc;

use crate::time::Timestamp;

/// Whose clock says when a datagram was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamps {
    /// The kernel's, as the datagram came out of the driver.
    Kernel,
    /// The network card's where it has stamped, else the kernel's. Somebody must have told the card
    /// to, and keep its clock in step with the host's.
    Hardware,
}

/// The four words.
const WORDS: usize = 16;

/// The bytes for what there is beside a datagram: three times, and a count of drops.
const BESIDE: usize = 128;

/// Where the datagram begins.
pub const START: usize = WORDS + BESIDE;

/// What the kernel is told of a receive, for io_uring.
pub fn wish() -> libc::msghdr {
    // SAFETY: all zeros are such a header: no name, no buffers, nothing beside.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_controllen = BESIDE as _;
    header
}

/// Has the kernel say when it received each datagram, and how many it dropped.
///
/// # Errors
/// What the system said.
pub fn ask_for(socket: &impl AsRawFd, stamps: Stamps) -> io::Result<()> {
    let software = libc::SOF_TIMESTAMPING_RX_SOFTWARE | libc::SOF_TIMESTAMPING_SOFTWARE;
    let flags = match stamps {
        Stamps::Kernel => software,
        Stamps::Hardware => {
            software | libc::SOF_TIMESTAMPING_RX_HARDWARE | libc::SOF_TIMESTAMPING_RAW_HARDWARE
        }
    };
    for (option, value) in [(libc::SO_TIMESTAMPING, flags), (libc::SO_RXQ_OVFL, 1)] {
        // SAFETY: the value is as long as said, and is copied.
        let done = unsafe {
            let (fd, value) = (socket.as_raw_fd(), &raw const value);
            let length = size_of::<libc::c_uint>() as libc::socklen_t;
            libc::setsockopt(fd, libc::SOL_SOCKET, option, value.cast(), length)
        };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Receives a datagram as io_uring does; returns how many bytes of the buffer are filled.
///
/// # Errors
/// What the system said: `WouldBlock` if there is none.
pub fn receive(socket: RawFd, buffer: &mut [u8]) -> io::Result<usize> {
    let Some((head, payload)) = buffer.split_at_mut_checked(START) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let (words, beside) = head.split_at_mut(WORDS);
    let mut into =
        libc::iovec { iov_base: payload.as_mut_ptr().cast(), iov_len: size_of_val(payload) };
    let mut header = wish();
    (header.msg_iov, header.msg_iovlen) = (&raw mut into, 1 as _);
    header.msg_control = beside.as_mut_ptr().cast();
    // SAFETY: the header points to what is ours alone, as long as said.
    let got = unsafe { libc::recvmsg(socket, &raw mut header, libc::MSG_DONTWAIT) };
    let Ok(got) = usize::try_from(got) else { return Err(io::Error::last_os_error()) };
    let said = [0, header.msg_controllen as u32, got as u32, header.msg_flags.cast_unsigned()];
    words.copy_from_slice(said.map(u32::to_ne_bytes).as_flattened());
    Ok(START + got)
}

/// What came with a datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// When it was received, by the host's clock of the day.
    pub at: Option<Timestamp>,
    /// How many the kernel has dropped of this socket's until then.
    pub dropped: Option<u32>,
}

/// Reads what came with the datagram that begins at [`START`].
pub fn read(bytes: &[u8], stamps: Stamps) -> Stamp {
    let mut stamp = Stamp::default();
    let word = |at: usize| bytes.get(at..at + 4)?.first_chunk().copied().map(u32::from_ne_bytes);
    let length = word(4).unwrap_or(0) as usize;
    let Some(mut beside) = bytes.get(WORDS..WORDS + length.min(BESIDE)) else { return stamp };
    // Each has a header: its length with the header, whose option it is, and which.
    while let Some((header, _)) = beside.split_first_chunk::<16>() {
        let (length, kind) = header.split_at(8);
        let length = usize::from_ne_bytes(length.try_into().unwrap_or_default());
        let Some(data) = beside.get(16..length) else { break };
        let level = i32::from_ne_bytes(kind[..4].try_into().unwrap_or_default());
        let option = i32::from_ne_bytes(kind[4..].try_into().unwrap_or_default());
        match (level, option) {
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING) => stamp.at = time(data, stamps),
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                stamp.dropped = data.first_chunk().copied().map(u32::from_ne_bytes);
            }
            _ => {}
        }
        let Some(rest) = beside.get(length.next_multiple_of(8)..) else { break };
        beside = rest;
    }
    stamp
}

/// The kernel's time, one that is not used any more, and the card's: seconds and nanoseconds each.
fn time(data: &[u8], stamps: Stamps) -> Option<Timestamp> {
    let (words, _) = data.as_chunks::<8>();
    let at = |which: usize| {
        let [seconds, ns] = [0, 1].map(|it| words.get(2 * which + it).copied());
        let whole = i64::from_ne_bytes(seconds?).saturating_mul(1_000_000_000);
        let ns = whole.saturating_add(i64::from_ne_bytes(ns?));
        (ns != 0).then_some(Timestamp(ns))
    };
    at(2).filter(|_| stamps == Stamps::Hardware).or_else(|| at(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beside(option: i32, data: &[u8]) -> Vec<u8> {
        let mut bytes = (16 + data.len()).to_ne_bytes().to_vec();
        bytes.extend([libc::SOL_SOCKET, option].map(i32::to_ne_bytes).as_flattened());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    fn laid_out(beside: &[u8]) -> Vec<u8> {
        let words = [0, beside.len() as u32, 3, 0];
        let mut bytes = words.map(u32::to_ne_bytes).as_flattened().to_vec();
        bytes.extend(beside);
        bytes.resize(START, 0);
        bytes.extend(b"abc");
        bytes
    }

    #[test]
    fn both_clocks_and_drops_are_read() {
        let times = [[7i64, 8], [0, 0], [9, 10]].as_flattened().iter();
        let times: Vec<u8> = times.flat_map(|word| word.to_ne_bytes()).collect();
        let drops = beside(libc::SO_RXQ_OVFL, &42u32.to_ne_bytes());
        let both = [drops, beside(libc::SCM_TIMESTAMPING, &times)].concat();
        let (bytes, dropped) = (laid_out(&both), Some(42));
        let kernel = Stamp { at: Some(Timestamp(7_000_000_008)), dropped };
        let card = Stamp { at: Some(Timestamp(9_000_000_010)), dropped };
        assert_eq!(read(&bytes, Stamps::Kernel), kernel);
        assert_eq!(read(&bytes, Stamps::Hardware), card);
        assert_eq!(read(&laid_out(&[]), Stamps::Kernel), Stamp::default());
    }

    #[test]
    fn whatever_the_bytes_are_nothing_goes_wrong() {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..20_000 {
            let length = rng.usize(..2 * START);
            let bytes: Vec<u8> = (0..length).map(|_| rng.u8(..20)).collect();
            read(&bytes, Stamps::Hardware);
        }
    }
}
