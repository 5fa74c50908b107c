//! Memory for pieces of state, used again and again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

/// How many bytes are handed over together.
pub const PIECE: usize = 256 << 10;

/// Pieces that have served: given back by whoever has written them to a disk, and taken by the
/// shard that fills them.
///
/// Fresh memory is slow where it counts: the system clears each page when it is touched first, some
/// allocators ask for huge pages, and a host with little memory left compacts it meanwhile. So a
/// shard holds on to as many as were out at once in its largest checkpoint, and to no more.
#[derive(Clone, Default)]
pub struct Spare(Arc<Pool>);

#[derive(Default)]
struct Pool {
    pieces: Mutex<Vec<Vec<u8>>>,
    /// How many are out, and how many have been at the most.
    out: AtomicUsize,
    most: AtomicUsize,
}

impl Spare {
    /// An empty piece: one that was given back, or a new one. Never waits: if somebody gives one
    /// back at this moment, it is a new one.
    pub fn take(&self) -> Vec<u8> {
        let out = self.0.out.fetch_add(1, Ordering::Relaxed) + 1;
        self.0.most.fetch_max(out, Ordering::Relaxed);
        let spare = self.0.pieces.try_lock().ok().and_then(|mut pieces| pieces.pop());
        spare.unwrap_or_else(|| Vec::with_capacity(PIECE + PIECE / 8))
    }

    /// Lets a piece be shared; when the last who has a share drops it, it comes back. What is too
    /// small to have been taken from here goes for good.
    pub fn lend(&self, piece: Vec<u8>) -> Bytes {
        if piece.capacity() < PIECE {
            return piece.into();
        }
        Bytes::from_owner(Lent { piece, home: self.clone() })
    }

    /// Takes back a piece that was taken. Never waits: if somebody takes one at this moment, it
    /// goes for good.
    pub fn give_back(&self, mut piece: Vec<u8>) {
        piece.clear();
        let Pool { pieces, out, most } = &*self.0;
        let less = |out: usize| Some(out.saturating_sub(1));
        let before = out.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).unwrap_or(0);
        if let Ok(mut pieces) = pieces.try_lock()
            && pieces.len() + before <= most.load(Ordering::Relaxed)
        {
            pieces.push(piece);
        }
    }

    /// How many wait to be taken.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.0.pieces.lock().unwrap().len()
    }
}

/// A piece that comes back.
struct Lent {
    piece: Vec<u8>,
    home: Spare,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.piece
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.home.give_back(std::mem::take(&mut self.piece));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_back_when_nobody_has_them_any_more() {
        let spare = Spare::default();
        let mut piece = spare.take();
        piece.extend_from_slice(b"state");
        let at = piece.as_ptr();
        let (one, other) = {
            let lent = spare.lend(piece);
            (lent.slice(1..), lent)
        };
        drop(other);
        let fresh = spare.take();
        assert_ne!(fresh.as_ptr(), at);
        assert_eq!(&one[..], b"tate");
        std::thread::spawn(move || drop(one)).join().unwrap();
        let again = spare.take();
        assert_eq!((again.as_ptr(), again.len()), (at, 0));
        assert_eq!(spare.lend(vec![7]), [7][..]);
    }
}
