//! The thread that does TLS where the kernel does not: it passes bytes on between the sockets of
//! the network and those of the shards.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::Connection;

use crate::net::counts::Count;
use crate::net::gate::beside::Beside;
use crate::net::gate::poller::{BELL, Poller, Ringer};
use crate::net::gate::session::{Failure, flush};
use crate::net::gate::teller::Teller;
use crate::time::{Clock, SystemClock, Timestamp};

/// Bytes that are passed on at a time: what a record of TLS has at most.
const PIECE: usize = 16 << 10;

/// Pieces of one connection before it is the next one's turn.
const TURN: usize = 16;

/// How long a connection that is over on this side waits for the other end to be done too. Closed
/// before that, it would be reset by what still comes, and what is under way be lost.
const LINGER_NS: i64 = 5_000_000_000;

/// How often connections that are over on this side are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// The thread, to whoever gives it connections. Dropped, it waits until what is left is sent, for a
/// few seconds at most.
pub struct Relay {
    give: Option<Sender<Pair>>,
    bell: Ringer,
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
            pairs: Vec::new(),
            busy: VecDeque::new(),
            clock: SystemClock::new(),
            look_at: Timestamp::MIN,
            teller,
            beside,
        };
        let named = thread::Builder::new().name("tls".to_owned());
        let thread = named.spawn(move || desk.run())?;
        Ok(Self { give: Some(give), bell, thread: Some(thread) })
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
        let pair = Pair {
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
        };
        let gone = || io::Error::from(ErrorKind::BrokenPipe);
        self.give.as_ref().ok_or_else(gone)?.send(pair).map_err(|_| gone())?;
        self.bell.ring();
        // The type only holds it: what is done with it is the same for all streams.
        Ok(TcpStream::from(OwnedFd::from(theirs)))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.give = None;
        self.bell.ring();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A connection, and the socket to the shard whose it is.
struct Pair {
    tls: Connection,
    outer: TcpStream,
    inner: UnixStream,
    remote: SocketAddr,
    /// What came and the shard has not taken.
    piece: Box<[u8; PIECE]>,
    start: usize,
    end: usize,
    /// Nothing more comes from outside.
    heard_all: bool,
    /// Nothing more comes from the shard.
    inner_ended: bool,
    /// All that the shard sent is gone out, the goodbye too.
    is_said: bool,
    /// When it is over even if the other end is not done.
    ends_by: Option<Timestamp>,
    is_busy: bool,
}

/// What came of a turn.
enum Turn {
    /// There may be more.
    Cut,
    /// More must come, or be taken.
    Waits,
    Over,
}

/// Everything the thread has.
struct Desk {
    poller: Poller,
    given: Receiver<Pair>,
    is_closing: bool,
    pairs: Vec<Option<Box<Pair>>>,
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
        while !self.is_closing || self.pairs.iter().any(Option::is_some) {
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
        loop {
            match self.given.try_recv() {
                Ok(pair) => self.begin(pair),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.is_closing = true;
                    return;
                }
            }
        }
    }

    fn begin(&mut self, pair: Pair) {
        let at = self.pairs.iter().position(Option::is_none).unwrap_or(self.pairs.len());
        let key = 2 * at as u64;
        let added = self.poller.add(&pair.outer, key);
        if added.and_then(|()| self.poller.add(&pair.inner, key + 1)).is_err() {
            return self.teller.count(Count::NotAccepted);
        }
        if at == self.pairs.len() {
            self.pairs.push(None);
        }
        self.pairs[at] = Some(Box::new(pair));
        self.queue(at);
    }

    fn queue(&mut self, at: usize) {
        if let Some(Some(pair)) = self.pairs.get_mut(at)
            && !std::mem::replace(&mut pair.is_busy, true)
        {
            self.busy.push_back(at);
        }
    }

    fn turn(&mut self, at: usize) {
        let Some(Some(pair)) = self.pairs.get_mut(at) else { return };
        pair.is_busy = false;
        match pair.turn() {
            Ok(Turn::Cut) => self.queue(at),
            Ok(Turn::Waits) => {}
            Ok(Turn::Over) => self.pairs[at] = None,
            Err(failure) => {
                self.teller.on_failure(pair.remote, failure, self.clock.now());
                self.pairs[at] = None;
            }
        }
    }

    /// Ends those who take too long.
    fn look(&mut self, now: Timestamp) {
        for slot in &mut self.pairs {
            let Some(pair) = slot else { continue };
            if pair.inner_ended || self.is_closing {
                let ends_by = *pair.ends_by.get_or_insert(now.offset(LINGER_NS));
                if now >= ends_by {
                    *slot = None;
                }
            }
        }
    }
}

impl Pair {
    /// Passes on what there is, both ways.
    fn turn(&mut self) -> Result<Turn, Failure> {
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
