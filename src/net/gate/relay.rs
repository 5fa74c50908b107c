//! The thread that does TLS where the kernel does not: it passes bytes on between the sockets of
//! the network and those of the shards. And where the kernel does, it waits for the end.

mod pair;
mod parted;

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::Connection;

use crate::net::counts::Count;
use crate::net::gate::beside::Beside;
use crate::net::gate::poller::{BELL, Poller, Ringer};
use crate::net::gate::relay::pair::Pair;
use crate::net::gate::relay::parted::Parted;
use crate::net::gate::teller::Teller;
use crate::time::{Clock, SystemClock, Timestamp};

/// Bytes that are passed on at a time: what a record of TLS has at most.
const PIECE: usize = 16 << 10;

/// Pieces of one connection before it is the next one's turn.
const TURN: usize = 16;

/// What came of a turn.
enum Turn {
    /// There may be more.
    Cut,
    /// More must come, or be taken.
    Waits,
    Over,
}

/// How long a connection that is over on this side waits for the other end to be done too. Closed
/// before that, it would be reset by what still comes, and what is under way be lost.
const LINGER_NS: i64 = 5_000_000_000;

/// How often connections that are over on this side are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// The thread, to whoever gives it connections. Dropped, it waits until what is left is sent, for a
/// few seconds at most.
pub struct Relay {
    parting: Parting,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// # Errors
    /// What the system said.
    pub fn start(teller: Teller, beside: Beside) -> io::Result<Self> {
        let poller = Poller::new()?;
        let (bell, (give, given)) = (poller.bell(), channel());
        let mut desk = Desk {
            poller,
            given,
            is_closing: false,
            kept: Vec::new(),
            busy: VecDeque::new(),
            clock: SystemClock::new(),
            look_at: Timestamp::MIN,
            teller,
            beside,
        };
        let named = thread::Builder::new().name("tls".to_owned());
        let thread = named.spawn(move || desk.run())?;
        Ok(Self { parting: Parting { give, bell }, thread: Some(thread) })
    }

    /// Where sockets go in the end on which the kernel does TLS.
    pub fn parting(&self) -> Parting {
        self.parting.clone()
    }

    /// Takes a connection over; returns the other end of what it is for a shard.
    ///
    /// # Errors
    /// What the system said.
    pub fn take(
        &self,
        tls: Connection,
        outer: TcpStream,
        remote: SocketAddr,
    ) -> io::Result<TcpStream> {
        let (inner, theirs) = UnixStream::pair()?;
        inner.set_nonblocking(true)?;
        let pair = Pair::new(tls, outer, inner, remote);
        self.parting.give(Given::Pair(Box::new(pair)));
        // The type only holds it: what is done with it is the same for all streams.
        Ok(TcpStream::from(OwnedFd::from(theirs)))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.parting.give(Given::Close);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread is given.
enum Given {
    Pair(Box<Pair>),
    Parted(TcpStream),
    /// Nothing more.
    Close,
}

/// Where sockets go in the end on which the kernel does TLS. Clones are the same.
#[derive(Clone, Debug)]
pub struct Parting {
    give: Sender<Given>,
    bell: Ringer,
}

impl Parting {
    /// Sends what is left, says goodbye and closes it.
    pub fn take(&self, socket: TcpStream) {
        self.give(Given::Parted(socket));
    }

    fn give(&self, given: Given) {
        let _ = self.give.send(given);
        self.bell.ring();
    }
}

/// What the thread looks after.
enum Kept {
    Pair(Box<Pair>),
    Parted(Parted),
}

/// Everything the thread has.
struct Desk {
    poller: Poller,
    given: Receiver<Given>,
    is_closing: bool,
    kept: Vec<Option<Kept>>,
    /// Those who have not done all they can.
    busy: VecDeque<usize>,
    clock: SystemClock,
    /// When connections that are over on this side are looked at next.
    look_at: Timestamp,
    teller: Teller,
    beside: Beside,
}

impl Desk {
    fn run(&mut self) {
        let mut ready = Vec::new();
        while !self.is_closing || self.kept.iter().any(Option::is_some) {
            self.beside.apply();
            let most = if self.busy.is_empty() { LOOK } else { Duration::ZERO };
            self.poller.wait(most, &mut ready);
            for key in ready.drain(..) {
                match key {
                    BELL => self.take_in(),
                    // Two for each: what is outside, and what is inside.
                    key => self.queue((key / 2) as usize),
                }
            }
            for _ in 0..self.busy.len() {
                let Some(at) = self.busy.pop_front() else { break };
                self.turn(at);
            }
            let now = self.clock.now();
            if now >= self.look_at {
                self.look_at = now.offset(LOOK.as_nanos() as i64);
                self.look(now);
            }
        }
    }

    fn take_in(&mut self) {
        while let Ok(given) = self.given.try_recv() {
            match given {
                Given::Pair(pair) => self.begin(Kept::Pair(pair)),
                Given::Parted(socket) => {
                    self.begin(Kept::Parted(Parted::new(socket)));
                }
                Given::Close => self.is_closing = true,
            }
        }
    }

    fn begin(&mut self, kept: Kept) {
        let at = self.kept.iter().position(Option::is_none).unwrap_or(self.kept.len());
        let key = 2 * at as u64;
        let added = match &kept {
            Kept::Parted(parted) => self.poller.add(&parted.socket, key),
            Kept::Pair(pair) => {
                let outer = self.poller.add(&pair.outer, key);
                outer.and_then(|()| self.poller.add(&pair.inner, key + 1))
            }
        };
        if added.is_err() {
            return self.teller.count(Count::NotAccepted);
        }
        if at == self.kept.len() {
            self.kept.push(None);
        }
        self.kept[at] = Some(kept);
        self.queue(at);
    }

    fn queue(&mut self, at: usize) {
        let Some(Some(kept)) = self.kept.get_mut(at) else { return };
        if !std::mem::replace(kept.is_busy(), true) {
            self.busy.push_back(at);
        }
    }

    fn turn(&mut self, at: usize) {
        let Some(Some(kept)) = self.kept.get_mut(at) else { return };
        *kept.is_busy() = false;
        let turn = match kept {
            Kept::Parted(parted) => parted.turn(),
            Kept::Pair(pair) => match pair.turn() {
                Ok(turn) => turn,
                Err(failure) => {
                    self.teller.on_failure(pair.remote, failure, self.clock.now());
                    Turn::Over
                }
            },
        };
        match turn {
            Turn::Cut => self.queue(at),
            Turn::Waits => {}
            Turn::Over => self.kept[at] = None,
        }
    }

    /// Ends those who take too long.
    fn look(&mut self, now: Timestamp) {
        for slot in &mut self.kept {
            let ends_by = match slot {
                Some(Kept::Parted(parted)) => &mut parted.ends_by,
                Some(Kept::Pair(pair)) if pair.inner_ended || self.is_closing => &mut pair.ends_by,
                _ => continue,
            };
            if now >= *ends_by.get_or_insert(now.offset(LINGER_NS)) {
                *slot = None;
            }
        }
    }
}

impl Kept {
    fn is_busy(&mut self) -> &mut bool {
        match self {
            Self::Pair(pair) => &mut pair.is_busy,
            Self::Parted(parted) => &mut parted.is_busy,
        }
    }
}
