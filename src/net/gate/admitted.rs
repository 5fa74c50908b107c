//! Connections on their way from the gate to a shard.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::net::gate::relay::Parting;

/// Connections that wait for one shard, at most.
const ROOM: usize = 256;

/// A connection that was let in: plain bytes for whoever reads and writes it.
#[derive(Debug)]
pub struct Admitted {
    /// Its socket, or one to the thread that does TLS for it: for a shard they are the same.
    pub stream: TcpStream,
    /// The other end.
    pub remote: SocketAddr,
    /// Where the socket goes in the end if the kernel does TLS on it.
    pub parting: Option<Parting>,
}

/// Those who wait for one shard.
#[derive(Debug, Default)]
pub struct Admissions {
    count: AtomicUsize,
    queue: Mutex<VecDeque<Admitted>>,
}

impl Admissions {
    /// One more; he comes back if there are too many.
    pub fn push(&self, admitted: Admitted) -> Result<(), Admitted> {
        let Ok(mut queue) = self.queue.lock() else { return Err(admitted) };
        if queue.len() >= ROOM {
            return Err(admitted);
        }
        queue.push_back(admitted);
        self.count.store(queue.len(), Ordering::Release);
        Ok(())
    }

    /// The first of them, if nobody is being added right now: never waits.
    #[inline]
    pub fn pop(&self) -> Option<Admitted> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut queue = self.queue.try_lock().ok()?;
        let first = queue.pop_front();
        self.count.store(queue.len(), Ordering::Release);
        first
    }

    /// Nobody waits any more.
    pub fn clear(&self) {
        if let Ok(mut queue) = self.queue.lock() {
            queue.clear();
            self.count.store(0, Ordering::Release);
        }
    }
}
