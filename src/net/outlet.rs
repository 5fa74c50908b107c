//! The peers of a sink, and how far each has been sent what is in the log.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, connect, setsockopt, socket, sockopt,
};

use crate::error::IoError;
use crate::io::{Codec, Framing};
use crate::net::counts::{Count, Counts};
use crate::net::log::{Cursor, Log};
use crate::net::sink::{Sending, Slow};
use crate::net::wire::{Event, Wire};
use crate::time::Timestamp;

/// Sends of one peer in one turn, at most.
const ROUNDS: usize = 4;

/// Who is sent to.
pub enum Target {
    /// Everybody who connects.
    Subscribers,
    /// Who listens there.
    Address(Line),
}

/// The way to the one who is connected to.
pub struct Line {
    address: SocketAddr,
    /// The connection, made or in the making.
    slot: Option<usize>,
    /// Where the next one begins.
    resume: Cursor,
    retry_at: Timestamp,
    pause: Duration,
}

impl Target {
    /// Nobody has been connected to yet.
    pub fn address(address: SocketAddr) -> Self {
        let (retry_at, pause) = (Timestamp::MIN, Duration::ZERO);
        Self::Address(Line { address, slot: None, resume: Cursor::default(), retry_at, pause })
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Nobody,
    Connecting,
    Up,
}

/// One who is sent to.
#[derive(Default)]
struct Peer {
    stage: Stage,
    cursor: Cursor,
    /// The rest of a frame that went out of the log before it was sent whole.
    spill: Vec<u8>,
    spilled: usize,
    /// How many bytes are to be sent by the send under way.
    sending: usize,
    /// There was no room for more.
    blocked: bool,
}

/// The log, and those it is sent to.
pub struct Outlet<F, C> {
    // Goes first, so that nothing is being sent when the log goes.
    wire: Wire,
    log: Log,
    framing: F,
    codec: C,
    target: Target,
    peers: Vec<Peer>,
    settings: Sending,
    batch_max: usize,
    /// Sends under way.
    sending: usize,
    /// There may be something to be sent that has room.
    more: bool,
    open: bool,
    now: Timestamp,
    /// When the end of the stream waits no longer; nothing before the stream ends.
    ends_by: Option<Timestamp>,
    counts: Counts,
}

impl<F: Framing, C: Codec> Outlet<F, C> {
    pub fn new(
        wire: Wire,
        target: Target,
        framing: F,
        codec: C,
        settings: Sending,
        batch_max: usize,
    ) -> Self {
        let frame_max = codec.bytes_max().saturating_add(framing.around()).max(framing.least());
        let slots = settings.subscribers_max.max(4);
        Self {
            wire,
            log: Log::new(settings.buffer_bytes, frame_max, batch_max),
            framing,
            codec,
            target,
            peers: (0..slots).map(|_| Peer::default()).collect(),
            settings,
            batch_max,
            sending: 0,
            more: false,
            open: true,
            now: Timestamp::MIN,
            ends_by: None,
            counts: Counts::default(),
        }
    }

    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// The memory that waits to be sent.
    pub fn bytes(&self) -> usize {
        self.log.bytes()
    }

    pub fn set_slow(&mut self, slow: Slow) {
        self.settings.slow = slow;
    }

    pub fn set_counts(&mut self, counts: Counts) {
        self.counts = counts;
    }

    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Encodes a record behind the others.
    #[inline]
    pub fn accept(&mut self, value: &C::Value) -> Result<(), IoError> {
        if self.log.is_block_full() {
            self.turn_over()?;
        }
        let Self { log, framing, codec, .. } = self;
        let fits = log.append(|into, from| {
            framing.begin(into);
            codec.encode(value, into);
            framing.end(into, from);
        });
        if !fits {
            self.counts.add(Count::Malformed, 1);
        }
        Ok(())
    }

    /// Makes room for more; those who are too far behind meet the policy.
    fn turn_over(&mut self) -> Result<(), IoError> {
        if self.log.forgets() {
            self.skip_while_away()?;
            for slot in 0..self.peers.len() {
                self.bring_forward(slot);
                if self.peers[slot].stage != Stage::Nobody
                    && self.log.is_oldest(self.peers[slot].cursor)
                {
                    self.on_overtaken(slot)?;
                }
            }
        }
        self.log.turn_over();
        Ok(())
    }

    /// The cursor of one who has been sent a whole block is at the end of it.
    fn bring_forward(&mut self, slot: usize) {
        self.log.rest(&mut self.peers[slot].cursor);
    }

    fn on_overtaken(&mut self, slot: usize) -> Result<(), IoError> {
        match self.settings.slow {
            Slow::Block => Err(longer_than_said()),
            Slow::Disconnect => {
                self.counts.add(Count::TooSlow, 1);
                self.lose(slot);
                Ok(())
            }
            Slow::DropOldest => {
                let Peer { cursor, spill, spilled, .. } = &mut self.peers[slot];
                let (left, dropped) = self.log.overtake(cursor);
                if *spilled == spill.len() {
                    spill.clear();
                    *spilled = 0;
                }
                spill.extend_from_slice(left);
                self.counts.add(Count::Dropped, dropped);
                Ok(())
            }
        }
    }

    fn skip_while_away(&mut self) -> Result<(), IoError> {
        let Target::Address(line) = &mut self.target else { return Ok(()) };
        if line.slot.is_some() {
            return Ok(());
        }
        self.log.rest(&mut line.resume);
        if self.log.is_oldest(line.resume) {
            if self.settings.slow == Slow::Block {
                return Err(longer_than_said());
            }
            let (_, dropped) = self.log.overtake(&mut line.resume);
            self.counts.add(Count::Dropped, dropped);
        }
        Ok(())
    }

    /// Sends to everybody what he has not been sent and has room for.
    pub fn send(&mut self) {
        self.more = true;
        for _ in 0..ROUNDS {
            let begun = (0..self.peers.len()).filter(|slot| self.begin(*slot)).count();
            if begun == 0 {
                self.more = false;
                break;
            }
            self.settle();
        }
        self.look();
    }

    /// Begins the send of what comes next for one peer; returns whether there is any.
    fn begin(&mut self, slot: usize) -> bool {
        let Peer { stage, cursor, spill, spilled, sending, blocked } = &mut self.peers[slot];
        if *stage != Stage::Up || *blocked || *sending > 0 {
            return false;
        }
        let bytes = match spill.get(*spilled..) {
            Some(left @ [_, ..]) => left,
            _ => self.log.rest(cursor),
        };
        if bytes.is_empty() {
            return false;
        }
        *sending = bytes.len();
        self.sending += 1;
        // SAFETY: nothing is added to the log, or to what was spilled, before `settle` has heard of
        // it; and the wire goes first.
        unsafe { self.wire.send(slot, bytes) };
        true
    }

    /// Hears of every send that is under way. They do not wait, so neither does this.
    fn settle(&mut self) {
        while self.sending > 0 {
            self.wire.flush();
            while let Some(event) = self.wire.next() {
                self.on_event(event);
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Accepted(stream) => self.on_accepted(stream),
            Event::NotAccepted => self.counts.add(Count::NotAccepted, 1),
            Event::Received { buffer, .. } => self.wire.give_back(buffer),
            // Who says no more may still listen.
            Event::Ended { error: None, .. } => {}
            Event::Ended { slot, error: Some(_) } => self.on_broken(slot),
            Event::Writable { slot } => self.on_writable(slot),
            Event::Sent { slot, result } => self.on_sent(slot, result),
        }
    }

    fn on_accepted(&mut self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let _ = setsockopt(&stream, sockopt::KeepAlive, &true);
        match self.wire.adopt(stream) {
            Ok(slot) => {
                self.counts.add(Count::Accepted, 1);
                let end = self.log.end();
                self.start(slot, Stage::Up, end);
                self.wire.receive(slot);
            }
            Err(_) => self.counts.add(Count::Refused, 1),
        }
    }

    fn start(&mut self, slot: usize, stage: Stage, cursor: Cursor) {
        let mut spill = std::mem::take(&mut self.peers[slot].spill);
        spill.clear();
        self.peers[slot] = Peer { stage, cursor, spill, ..Peer::default() };
    }

    fn on_sent(&mut self, slot: usize, result: std::io::Result<usize>) {
        let peer = &mut self.peers[slot];
        let asked = std::mem::take(&mut peer.sending);
        self.sending = self.sending.saturating_sub(1);
        let sent = match result {
            Ok(sent) => sent,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) if error.kind() == ErrorKind::Interrupted => return,
            Err(_) => return self.on_broken(slot),
        };
        self.counts.add(Count::BytesOut, sent as u64);
        match peer.spilled < peer.spill.len() {
            true => peer.spilled += sent,
            false => Log::advance(&mut peer.cursor, sent),
        }
        if sent < asked {
            peer.blocked = true;
            self.wire.await_writable(slot);
        }
    }

    fn on_writable(&mut self, slot: usize) {
        if self.peers[slot].stage != Stage::Connecting {
            self.peers[slot].blocked = false;
            return;
        }
        let error = self.wire.stream(slot).map(TcpStream::take_error);
        let Some(Ok(None)) = error else { return self.on_broken(slot) };
        self.counts.add(Count::Accepted, 1);
        self.peers[slot].stage = Stage::Up;
        self.wire.receive(slot);
        if let Target::Address(line) = &mut self.target {
            line.pause = Duration::ZERO;
        }
    }

    fn on_broken(&mut self, slot: usize) {
        let count = match self.peers[slot].stage {
            Stage::Connecting => Count::NotConnected,
            _ => Count::Broken,
        };
        self.counts.add(count, 1);
        self.lose(slot);
    }

    /// Nobody is there any more.
    fn lose(&mut self, slot: usize) {
        let peer = &mut self.peers[slot];
        if std::mem::take(&mut peer.stage) == Stage::Nobody {
            return;
        }
        if std::mem::take(&mut peer.sending) > 0 {
            self.sending -= 1;
        }
        self.counts.add(Count::Closed, 1);
        self.wire.close(slot);
        if let Target::Address(line) = &mut self.target {
            line.slot = None;
            line.resume = self.peers[slot].cursor;
            self.log.rewind(&mut line.resume);
            let Sending { pause_min, pause_max, .. } = self.settings;
            line.pause = (line.pause * 2).clamp(pause_min, pause_max.max(pause_min));
            line.retry_at = self.now.offset(line.pause.as_nanos() as i64);
        }
    }

    /// Connects to who is away, if it is time.
    fn connect(&mut self) {
        let Target::Address(line) = &mut self.target else { return };
        if line.slot.is_some() || self.now < line.retry_at {
            return;
        }
        let adopted = begin_to_connect(line.address).and_then(|stream| self.wire.adopt(stream));
        if let Ok(slot) = adopted {
            line.slot = Some(slot);
            let resume = line.resume;
            self.start(slot, Stage::Connecting, resume);
            self.wire.await_writable(slot);
        } else {
            self.counts.add(Count::NotConnected, 1);
            line.retry_at = self.now.offset(self.settings.pause_max.as_nanos() as i64);
        }
    }

    /// Whether a batch can be taken.
    fn look(&mut self) {
        if self.settings.slow != Slow::Block {
            self.open = true;
            return;
        }
        let mut room = usize::MAX;
        for peer in self.peers.iter_mut().filter(|peer| peer.stage != Stage::Nobody) {
            self.log.rest(&mut peer.cursor);
            room = room.min(self.log.room(peer.cursor));
        }
        if let Target::Address(Line { slot: None, resume, .. }) = &mut self.target {
            self.log.rest(resume);
            room = room.min(self.log.room(*resume));
        }
        self.open = room >= self.batch_max;
    }

    /// Looks after everything that goes on without records; returns how much there was.
    pub fn drive(&mut self, now: Timestamp) -> u64 {
        self.now = now;
        self.connect();
        self.wire.drive(now);
        let mut done = 0;
        while let Some(event) = self.wire.next() {
            self.on_event(event);
            done += 1;
        }
        if done > 0 || self.more {
            self.send();
        }
        done
    }

    /// Nothing more comes.
    pub fn end(&mut self) {
        self.send();
        self.ends_by = Some(self.now.offset(self.settings.linger.as_nanos() as i64));
    }

    /// Whether the stream is over, and everybody has been sent all of it or took too long.
    pub fn is_done(&self) -> bool {
        let Some(ends_by) = self.ends_by else { return false };
        let end = self.log.end();
        let has_all = |peer: &Peer| {
            peer.stage == Stage::Nobody
                || (peer.stage == Stage::Up
                    && peer.cursor == end
                    && peer.spilled == peer.spill.len())
        };
        let is_away = match &self.target {
            Target::Address(Line { slot: None, resume, .. }) => *resume != end,
            _ => false,
        };
        self.now >= ends_by || (self.peers.iter().all(has_all) && !is_away)
    }
}

fn longer_than_said() -> IoError {
    let cause = std::io::Error::other("a batch has more records than `batch_max`");
    IoError::new("send to", "subscribers", cause)
}

/// A socket that connects, or has.
fn begin_to_connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(family, SockType::Stream, flags, None)?;
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(address)) {
        Ok(()) | Err(Errno::EINPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    Ok(stream)
}
