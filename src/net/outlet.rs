//! The peers of a sink, and how far each has been sent what is in the log.

mod behind;
mod given;
mod kept;
mod keyed;
mod overtaken;
mod stalls;
mod uncopied;

use std::io::ErrorKind;

use crate::error::IoError;
use crate::io::{Codec, Framing};
use crate::net::counts::{Count, Counts};
use crate::net::line::Target;
use crate::net::log::{Cursor, Log};
use crate::net::outlet::behind::Behind;
use crate::net::outlet::kept::Kept;
use crate::net::outlet::keyed::{GATHERED, Wish};
use crate::net::outlet::uncopied::LONG;
use crate::net::sink::{Sending, Slow, ZeroCopy};
use crate::net::wire::{Connection, Event, Wire};
use crate::time::Timestamp;

pub use keyed::Keyed;

/// What is sent in one turn, at most, in bytes; a little more when the last send is a long one.
const TURN: usize = 256 << 10;

/// What a send costs beside its bytes, in bytes.
const CALL: usize = 1 << 10;

/// What happened to sockets, looked at in one turn at most.
const EVENTS_MAX: usize = 256;

/// How often the system is asked to take sends before that is an error. It takes them at once,
/// unless it has no memory.
const TRIES: usize = 1_000;

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
    /// When he took something last, or came.
    took: Timestamp,
    wish: Wish,
    /// How far he is behind, if that is so far that he gets the latest only.
    behind: Behind,
}

/// The log, and those it is sent to.
pub struct Outlet<F, C: Codec> {
    // Goes first, so that nothing is being sent when the log goes.
    wire: Wire,
    log: Log,
    framing: F,
    codec: C,
    target: Target,
    peers: Vec<Peer>,
    /// The slots of those who are there, or are connected to.
    live: Vec<usize>,
    /// The one of them whose turn it is.
    turn: usize,
    /// The one who is looked at next for whether he takes anything.
    look: usize,
    settings: Sending,
    batch_max: usize,
    /// There may be something to be sent that has room.
    more: bool,
    /// Something was looked for and not found yet.
    searches: bool,
    open: bool,
    kept: Kept,
    /// Only if subscribers may ask for keys.
    keyed: Option<Keyed<C::Value>>,
    now: Timestamp,
    /// Nothing more comes.
    ended: bool,
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
        let mut log = Log::new(settings.buffer_bytes, frame_max, batch_max);
        if wire.knows_uncopied() && settings.zero_copy != ZeroCopy::Never {
            log.allow_keeping();
        }
        Self {
            wire,
            log,
            framing,
            codec,
            target,
            peers: (0..slots).map(|_| Peer::default()).collect(),
            live: Vec::with_capacity(slots),
            turn: 0,
            look: 0,
            settings,
            batch_max,
            more: false,
            searches: false,
            open: true,
            kept: Kept::default(),
            keyed: None,
            now: Timestamp::MIN,
            ended: false,
            ends_by: None,
            counts: Counts::default(),
        }
    }

    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// The memory that waits to be sent, and that of keys.
    pub fn bytes(&self) -> usize {
        self.log.bytes().saturating_add(self.bytes_of_keys())
    }

    pub fn set_slow(&mut self, slow: Slow) {
        self.settings.slow = slow;
    }

    pub fn set_counts(&mut self, counts: Counts) {
        self.counts = counts;
    }

    pub fn is_open(&self) -> bool {
        self.open && self.kept.is_back()
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
        } else if let Some(keyed) = &mut self.keyed {
            keyed.on_frame(value, log);
        }
        Ok(())
    }

    /// Sends to everybody what he has not been sent and has room for, as far as that is not too
    /// much for one turn; returns how many sends there were.
    ///
    /// # Errors
    /// The system takes no sends.
    pub fn send(&mut self) -> Result<u64, IoError> {
        let (mut left, mut sends) = (TURN, 0);
        (self.more, self.searches) = (true, false);
        while left > 0 {
            let before = sends;
            self.begin_round(&mut left, &mut sends);
            if sends == before {
                self.more = self.searches;
                break;
            }
            self.settle()?;
        }
        self.count_calls();
        self.look();
        Ok(sends)
    }

    /// Begins one send for each who is there, from where the last round ended.
    fn begin_round(&mut self, left: &mut usize, sends: &mut u64) {
        for _ in 0..self.live.len() {
            if *left == 0 {
                break;
            }
            self.turn = if self.turn + 1 < self.live.len() { self.turn + 1 } else { 0 };
            let bytes = self.begin(self.live[self.turn]);
            if bytes > 0 {
                *left = left.saturating_sub(bytes + CALL);
                *sends += 1;
            }
        }
    }

    /// Begins the send of what comes next for one peer; returns how many bytes that is.
    fn begin(&mut self, slot: usize) -> usize {
        let peer = &self.peers[slot];
        if peer.stage != Stage::Up || peer.blocked || peer.sending > 0 {
            return 0;
        }
        self.heed(slot);
        let is_gathered = self.gather(slot);
        let Peer { cursor, spill, spilled, sending, .. } = &mut self.peers[slot];
        let bytes = match spill.get(*spilled..) {
            Some(left @ [_, ..]) => left,
            _ if is_gathered => return 0,
            _ if self.log.rest(cursor).len() >= LONG => return self.begin_long(slot),
            _ => self.log.rest(cursor),
        };
        if !bytes.is_empty() {
            *sending = bytes.len();
            // SAFETY: nothing is added to the log, or to what was spilled, before `settle` has
            // heard of it, or ever if it does not; and the wire goes first.
            unsafe { self.wire.send(slot, bytes) };
        }
        bytes.len()
    }

    /// Hears of every send that is under way, also of those to peers who are lost meanwhile. They
    /// do not wait, so neither does this.
    fn settle(&mut self) -> Result<(), IoError> {
        for _ in 0..TRIES {
            self.wire.flush();
            while self.wire.sends() > 0
                && let Some(event) = self.wire.next()
            {
                self.on_event(event);
            }
            if self.wire.sends() == 0 {
                return Ok(());
            }
        }
        let cause = std::io::Error::from(ErrorKind::OutOfMemory);
        Err(IoError::new("send to", "subscribers", cause))
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Accepted(connection) => self.on_accepted(connection),
            Event::NotAccepted => self.counts.add(Count::NotAccepted, 1),
            Event::Received { slot, buffer, bytes } => self.on_said(slot, buffer, bytes),
            Event::Ended { slot, error } => self.on_ended(slot, error),
            Event::Writable { slot } => self.on_writable(slot),
            Event::Sent { slot, result } => self.on_sent(slot, result),
            Event::Released { kept, copied } => self.on_released(kept, copied),
        }
    }

    fn on_accepted(&mut self, connection: Connection) {
        match self.wire.adopt(connection) {
            Ok(slot) => {
                self.wire.prepare(slot);
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
        let mut behind = std::mem::take(&mut self.peers[slot].behind);
        spill.clear();
        behind.clear();
        match (self.settings.slow, &self.keyed) {
            (slow, Some(keyed)) => {
                spill.reserve(GATHERED + 2 * self.log.frame_max());
                behind.reserve(if slow == Slow::Conflate { keyed.keys_max() } else { 0 });
            }
            (Slow::Conflate | Slow::DropOldest, None) => spill.reserve(self.log.frame_max()),
            _ => {}
        }
        let (took, mut wish) = (self.now, std::mem::take(&mut self.peers[slot].wish));
        if self.keyed.is_some() {
            wish.begin_again();
        }
        self.peers[slot] = Peer { stage, cursor, spill, behind, took, wish, ..Peer::default() };
        self.live.push(slot);
    }

    /// A subscriber who says no more may still listen. One who is connected to is gone when he ends
    /// his side: what is sent to him now would be lost.
    fn on_ended(&mut self, slot: usize, error: Option<std::io::Error>) {
        match self.wire.end_of(slot, error) {
            Some(Some(_)) => self.on_broken(slot),
            Some(None) if matches!(self.target, Target::Address(_)) => self.lose(slot),
            _ => {}
        }
    }

    fn on_sent(&mut self, slot: usize, result: std::io::Result<usize>) {
        let peer = &mut self.peers[slot];
        let asked = std::mem::take(&mut peer.sending);
        let sent = match result {
            Ok(sent) => sent,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) if error.kind() == ErrorKind::Interrupted => return,
            Err(_) => return self.on_broken(slot),
        };
        self.counts.add(Count::BytesOut, sent as u64);
        if sent > 0 {
            peer.took = self.now;
        }
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
        if !self.wire.is_connected(slot) {
            return self.on_broken(slot);
        }
        self.counts.add(Count::Accepted, 1);
        self.peers[slot].stage = Stage::Up;
        self.wire.receive(slot);
        if let Target::Address(line) = &mut self.target {
            line.on_connected();
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
        let resume = self.resume(self.peers[slot].cursor);
        let peer = &mut self.peers[slot];
        if std::mem::take(&mut peer.stage) == Stage::Nobody {
            return;
        }
        peer.sending = 0;
        self.live.retain(|other| *other != slot);
        self.counts.add(Count::Closed, 1);
        self.wire.close(slot);
        self.stop_catching_up(slot);
        let peer = &self.peers[slot];
        if let Target::Address(line) = &mut self.target {
            // What was spilled is not in the log any more.
            self.counts.add(Count::Dropped, u64::from(peer.spilled < peer.spill.len()));
            line.on_lost(resume, self.now, &self.settings);
        }
    }

    /// Connects to who is away, if it is time.
    fn connect(&mut self) {
        let Target::Address(line) = &mut self.target else { return };
        if !line.is_due(self.now) {
            return;
        }
        match line.begin(&mut self.wire) {
            None => {}
            Some(Ok(slot)) => {
                let resume = line.on_begun(slot);
                self.on_begun();
                self.start(slot, Stage::Connecting, resume);
                self.wire.await_writable(slot);
            }
            Some(Err(_)) => {
                self.counts.add(Count::NotConnected, 1);
                line.pause(self.now, &self.settings);
            }
        }
    }

    /// Whether a batch can be taken. Not if one who has room would lose what he was not sent: he is
    /// not slow, it was not his turn.
    fn look(&mut self) {
        let blocks = self.settings.slow == Slow::Block;
        let mut room = usize::MAX;
        for slot in &self.live {
            let peer = &mut self.peers[*slot];
            if blocks || (peer.stage == Stage::Up && !peer.blocked && !peer.behind.is_on()) {
                self.log.rest(&mut peer.cursor);
                room = room.min(self.log.room(peer.cursor));
            }
        }
        if blocks && let Some(resume) = self.target.resume() {
            self.log.rest(resume);
            room = room.min(self.log.room(*resume));
        }
        if let Some(at) = self.kept.acknowledged() {
            self.log.rest(at);
            room = room.min(self.log.room(*at));
        }
        self.open = room >= self.batch_max;
    }

    /// Looks after everything that goes on without records; returns how much there was.
    ///
    /// # Errors
    /// The system takes no sends.
    pub fn drive(&mut self, now: Timestamp) -> Result<u64, IoError> {
        if self.now == Timestamp::MIN
            && let Some(keyed) = &mut self.keyed
        {
            keyed.prepare();
        }
        self.now = now;
        if self.ended && self.ends_by.is_none() {
            self.ends_by = Some(now.offset(self.settings.linger.as_nanos() as i64));
        }
        self.connect();
        self.wire.drive(now);
        let mut done = 0;
        while done < EVENTS_MAX as u64
            && let Some(event) = self.wire.next()
        {
            self.on_event(event);
            done += 1;
        }
        done += self.look_for_stalls() + self.bring_back()?;
        if done > 0 || self.more {
            done += self.send()?;
        }
        self.count_calls();
        Ok(done)
    }

    /// Nothing more comes.
    ///
    /// # Errors
    /// The system takes no sends.
    pub fn end(&mut self) -> Result<(), IoError> {
        self.ended = true;
        self.send().map(drop)
    }

    /// Whether the stream is over, and everybody has been sent all of it or took too long.
    pub fn is_done(&self) -> bool {
        let Some(ends_by) = self.ends_by else { return false };
        let end = self.log.end();
        let has_all = |peer: &Peer| {
            let is_sent = peer.cursor == end && peer.spilled == peer.spill.len();
            peer.stage == Stage::Up && is_sent && !peer.behind.is_on() && peer.wish.given.is_all()
        };
        let is_sent = self.live.iter().all(|slot| has_all(&self.peers[*slot]));
        let is_kept = self.kept.is_back() && self.kept.is_at(end, &self.log);
        // What the kernel has not read is not sent, and it must stay where it is until then.
        let is_read = !self.log.keeps_any();
        self.now >= ends_by || (is_sent && is_kept && is_read && self.target.is_at(end))
    }
}
