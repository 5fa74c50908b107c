//! One stream out of several lines that carry the same datagrams.
//!
//! Pure: what comes, by which line and when, is told; what is to be done is asked for. Every number
//! is given once and in order, by whichever line brings it first, or told as lost.

use std::collections::VecDeque;
use std::time::Duration;

use crate::net::line_counts::LineCounts;
use crate::time::Timestamp;

/// Ranges that were given up, by which what comes late is told from what comes twice.
const LOST_MAX: usize = 64;

/// How often the lines are looked at before a number is given up, at least, while they bring
/// something.
const LOOKS: u64 = 16;

/// Of so many numbers it is remembered when they came first, and by which lines.
const ARRIVALS: usize = 1 << 12;

/// Where a datagram stands among the others, as its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which session its numbers are of; 0 where there are none.
    pub session: u128,
    /// The number of its first record; of the next one, if it has none.
    pub first: u64,
    /// How many records it has. A datagram without any says that its line is there, and how far the
    /// numbers have come.
    pub count: u64,
    /// The bytes of the header.
    pub header: usize,
}

/// How the header of a datagram is read. Every `FnMut(&[u8]) -> Result<Place, String>` is one.
///
/// ```
/// use millstream::net::{Place, Sequence};
///
/// // As of MoldUDP64: ten bytes of session, a number, a count.
/// let mut header = |datagram: &[u8]| match datagram.split_first_chunk::<20>() {
///     Some((header, _)) => Ok(Place {
///         session: header[..10].iter().fold(0, |all, byte| all << 8 | u128::from(*byte)),
///         first: header[10..18].iter().fold(0, |all, byte| all << 8 | u64::from(*byte)),
///         count: u64::from(header[18]) << 8 | u64::from(header[19]),
///         header: 20,
///     }),
///     None => Err(format!("{} bytes are no header", datagram.len())),
/// };
/// let place = header.place(b"SESSION-42\0\0\0\0\0\0\x01\x02\0\x03...").unwrap();
/// assert_eq!((place.first, place.count), (258, 3));
/// ```
pub trait Sequence: 'static {
    /// Where a datagram stands.
    ///
    /// # Errors
    /// Why its header cannot be one, in words.
    fn place(&mut self, datagram: &[u8]) -> Result<Place, String>;
}

impl<F: FnMut(&[u8]) -> Result<Place, String> + 'static> Sequence for F {
    #[inline]
    fn place(&mut self, datagram: &[u8]) -> Result<Place, String> {
        self(datagram)
    }
}

/// The rules by which lines are made one.
#[derive(Clone, Copy, Debug)]
pub struct Arbitration {
    /// How long a number may be missing when a later one is there; then it is lost. Of the time
    /// between two steps a sixteenth of it counts at most if datagrams had come meanwhile: what is
    /// missing may wait among them, where a shard was kept from its work.
    pub gap_max: Duration,
    /// How far numbers may be ahead of the one that is missing: what is further makes it lost at
    /// once. A datagram that is ahead so far, or of another session, is not believed before a
    /// second one that goes with it.
    pub window: u64,
    /// A line is silent that brings nothing for so long.
    pub silent_max: Duration,
    /// The first number of a session; without it, whatever comes first.
    pub starts: Option<u64>,
}

impl Default for Arbitration {
    fn default() -> Self {
        Self {
            gap_max: Duration::from_millis(5),
            window: 1 << 14,
            silent_max: Duration::from_secs(3),
            starts: None,
        }
    }
}

/// What there is to be told of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// These numbers came by no line in time.
    Lost {
        /// Of which session.
        session: u128,
        /// The first of them.
        first: u64,
        /// How many there are.
        count: u64,
    },
    /// These came after they had been told as lost, all or some of them. They are not given: that
    /// would be out of order.
    Late {
        /// Of which session.
        session: u128,
        /// The first of the datagram.
        first: u64,
        /// How many the datagram has.
        count: u64,
        /// Which line brought them, from 0.
        line: usize,
    },
    /// Another session has begun. What follows of the one before is left out.
    Session {
        /// The one before.
        from: u128,
        /// The new one.
        to: u128,
    },
    /// A line brings nothing any more.
    Silent {
        /// Which, from 0.
        line: usize,
    },
    /// It brings something again.
    Back {
        /// Which, from 0.
        line: usize,
    },
}

/// Why a datagram is not wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its numbers have been given, or will be.
    Duplicate,
    /// Its numbers have been told as lost.
    Late,
    /// It is of the session before.
    Stale,
    /// It is too far ahead, or of another session, and nothing went with it.
    Unbelieved,
    /// It has no records.
    Empty,
    /// Its numbers go beyond what there can be.
    Impossible,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<B> {
    /// The records of a datagram, so many, but for the first ones.
    Take { datagram: B, skip: u64, count: u64 },
    /// A datagram that is not wanted.
    Drop(B, Why),
    /// Something to be told.
    Told(Notice),
}

/// A datagram that waits, or the mere knowledge that there are numbers before `first`.
struct Held<B> {
    first: u64,
    end: u64,
    /// Since when it is known that there are numbers beyond the ones before it, on the clock of
    /// gaps.
    known: Timestamp,
    datagram: Option<B>,
}

/// When a datagram came first, and by which lines it has come.
#[derive(Clone, Copy)]
struct Arrival {
    first: u64,
    at: Timestamp,
    line: usize,
    lines: u64,
}

struct Line {
    heard: Option<Timestamp>,
    is_silent: bool,
}

/// One stream out of several lines. `B` is whatever a datagram is known by.
pub struct Arbiter<B> {
    rules: Arbitration,
    held_max: usize,
    session: Option<u128>,
    before: Option<u128>,
    /// The number that is to be given next.
    expected: u64,
    /// By number.
    held: VecDeque<Held<B>>,
    /// What is not believed yet, and of which session it is.
    doubt: Option<(u128, Held<B>)>,
    /// What begins the next session, as soon as nothing of this one is held.
    successor: Option<(u128, Held<B>, Option<Held<B>>)>,
    /// Ranges that were given up lately.
    lost: VecDeque<(u64, u64)>,
    arrivals: Vec<Option<Arrival>>,
    lines: Vec<Line>,
    unwanted: VecDeque<(B, Why)>,
    told: Option<Notice>,
    is_over: bool,
    clock: Clock,
    counts: LineCounts,
}

/// The clock by which gaps are given up. It stands still while nobody looks at what comes.
#[derive(Default)]
struct Clock {
    now: Timestamp,
    /// When it was looked at last.
    looked: Option<Timestamp>,
    /// What has passed since the time before that and does not count yet, in nanoseconds.
    rest: u64,
}

impl Clock {
    fn pass(&mut self, now: Timestamp, most: u64) {
        let passed = self.looked.replace(now).map_or(0, |before| now.since(before));
        self.rest = passed.saturating_sub(most);
        self.add(passed - self.rest);
    }

    fn add(&mut self, ns: u64) {
        self.now = self.now.offset(i64::try_from(ns).unwrap_or(i64::MAX));
    }
}

impl<B> Arbiter<B> {
    /// For as many lines as are counted, holding so many datagrams at most.
    pub fn new(rules: Arbitration, held_max: usize, counts: &LineCounts) -> Self {
        let line = |_| Line { heard: None, is_silent: false };
        Self {
            rules,
            held_max,
            session: None,
            before: None,
            expected: 0,
            held: VecDeque::with_capacity(held_max + 4),
            doubt: None,
            successor: None,
            lost: VecDeque::with_capacity(LOST_MAX + 1),
            arrivals: vec![None; ARRIVALS],
            lines: (0..counts.lines()).map(line).collect(),
            unwanted: VecDeque::with_capacity(4),
            told: None,
            is_over: false,
            clock: Clock::default(),
            counts: counts.clone(),
        }
    }

    /// Time has passed, and the lines are about to be looked at.
    pub fn pass(&mut self, now: Timestamp) {
        self.clock.pass(now, self.rules.gap_max.as_nanos() as u64 / LOOKS);
    }

    /// Nothing had come by any of them: all of that time counts.
    pub fn on_quiet(&mut self) {
        let rest = std::mem::take(&mut self.clock.rest);
        self.clock.add(rest);
    }

    /// A datagram came by a line: when, by the clock by which lines are compared, and by the
    /// shard's. Afterwards [`next`](Self::next) must be asked until it has nothing more.
    pub fn offer(
        &mut self,
        line: usize,
        place: Place,
        datagram: B,
        came: Timestamp,
        now: Timestamp,
    ) {
        self.lines[line].heard = Some(now);
        self.counts.came(line);
        let Place { session, first, count, .. } = place;
        let Some(end) = first.checked_add(count) else {
            return self.refuse(Some(datagram), Why::Impossible);
        };
        let mut held = Held { first, end, known: self.clock.now, datagram: Some(datagram) };
        if count == 0 {
            self.refuse(held.datagram.take(), Why::Empty);
        }
        if self.session.is_none() {
            self.begin(session, first);
        }
        if self.before == Some(session) {
            self.refuse(held.datagram, Why::Stale);
        } else if self.session != Some(session) || self.is_beyond(end) {
            self.doubt(session, held);
        } else {
            if count > 0 {
                self.arrived(line, first, came);
            }
            self.hold(held, line);
        }
    }

    fn is_beyond(&self, end: u64) -> bool {
        end.saturating_sub(self.expected) > self.rules.window
    }

    fn begin(&mut self, session: u128, first: u64) {
        self.session = Some(session);
        self.expected = self.rules.starts.unwrap_or(first);
        self.lost.clear();
        self.arrivals.fill(None);
    }

    fn refuse(&mut self, datagram: Option<B>, why: Why) {
        if let Some(datagram) = datagram {
            self.counts.refused(why);
            self.unwanted.push_back((datagram, why));
        }
    }

    /// Takes what is out of the ordinary only with a second one that goes with it.
    fn doubt(&mut self, session: u128, held: Held<B>) {
        let Some((other, first)) = self.doubt.take() else {
            return self.doubt = Some((session, held));
        };
        if other != session || first.end.abs_diff(held.first) > self.rules.window {
            self.refuse(first.datagram, Why::Unbelieved);
            return self.doubt = Some((session, held));
        }
        let (one, two) = if held.first < first.first { (held, first) } else { (first, held) };
        // As a rule the other line's of the same.
        let two = match two.end <= one.end && one.datagram.is_some() {
            true => {
                self.refuse(two.datagram, Why::Duplicate);
                None
            }
            false => Some(two),
        };
        if self.session != Some(session) {
            return self.successor = Some((session, one, two));
        }
        // They are beyond the window, so that what is missing before them is given up.
        self.insert(one);
        two.into_iter().for_each(|two| self.insert(two));
    }

    /// Keeps it until its turn comes, which may be now.
    fn hold(&mut self, held: Held<B>, line: usize) {
        if held.end > self.expected || held.datagram.is_none() {
            return self.insert(held);
        }
        let is_lost = |(from, to): &(u64, u64)| held.first < *to && *from < held.end;
        if !self.lost.iter().any(is_lost) {
            return self.refuse(held.datagram, Why::Duplicate);
        }
        let (session, first) = (self.session.unwrap_or(0), held.first);
        self.told = Some(Notice::Late { session, first, count: held.end - first, line });
        self.refuse(held.datagram, Why::Late);
    }

    fn insert(&mut self, mut held: Held<B>) {
        if held.datagram.is_none() && held.first <= self.expected {
            return;
        }
        let at = self.held.partition_point(|other| other.first < held.first);
        if let Some(other) = self.held.get(at) {
            let is_there = other.first == held.first && other.end >= held.end;
            if is_there && (other.datagram.is_some() || held.datagram.is_none()) {
                return self.refuse(held.datagram, Why::Duplicate);
            }
            held.known = other.known.min(held.known);
        }
        self.held.insert(at, held);
    }

    /// Notes who was first, and by how much.
    fn arrived(&mut self, line: usize, first: u64, at: Timestamp) {
        let bit = 1 << line;
        let slot = first as usize % ARRIVALS;
        match &mut self.arrivals[slot] {
            // One that brings it twice is no line more.
            Some(other) if other.first == first && other.lines & bit != 0 => {}
            Some(other) if other.first == first => {
                other.lines |= bit;
                if at < other.at {
                    self.counts.was_first(line, other.at.since(at));
                    (other.at, other.line) = (at, line);
                } else {
                    self.counts.was_first(other.line, at.since(other.at));
                }
            }
            Some(other) if other.first > first => {}
            other => {
                let Some(old) = other.replace(Arrival { first, at, line, lines: bit }) else {
                    return;
                };
                let is_missing = |line: &usize| old.lines & (1 << line) == 0;
                (0..self.lines.len()).filter(is_missing).for_each(|it| self.counts.has_missed(it));
            }
        }
    }

    /// What is to be done next; nothing if it must wait for what comes, or for time to pass.
    pub fn next(&mut self) -> Option<Next<B>> {
        if let Some((datagram, why)) = self.unwanted.pop_front() {
            return Some(Next::Drop(datagram, why));
        }
        if let Some(told) = self.told.take() {
            return Some(Next::Told(told));
        }
        while let Some(front) = self.held.front() {
            if front.first > self.expected {
                return self.give_up();
            }
            let Some(Held { first, end, datagram, .. }) = self.held.pop_front() else { break };
            let Some(datagram) = datagram else { continue };
            if end <= self.expected {
                self.counts.refused(Why::Duplicate);
                return Some(Next::Drop(datagram, Why::Duplicate));
            }
            let skip = self.expected - first;
            self.expected = end;
            return Some(Next::Take { datagram, skip, count: end - first });
        }
        let (to, one, two) = self.successor.take()?;
        let from = self.session.unwrap_or(0);
        self.before = Some(from);
        self.begin(to, one.first);
        self.insert(one);
        two.into_iter().for_each(|two| self.insert(two));
        Some(Next::Told(Notice::Session { from, to }))
    }

    /// Tells what is missing as lost, if it is time, or there is no more room to wait.
    fn give_up(&mut self) -> Option<Next<B>> {
        let (front, back) = (self.held.front()?, self.held.back()?);
        let is_time = self.clock.now.since(front.known) >= self.rules.gap_max.as_nanos() as u64;
        let is_full = self.held.len() > self.held_max || self.is_beyond(back.end);
        if !is_time && !is_full && self.successor.is_none() && !self.is_over {
            return None;
        }
        let (first, end) = (self.expected, front.first);
        self.expected = end;
        self.lost.push_back((first, end));
        if self.lost.len() > LOST_MAX {
            self.lost.pop_front();
        }
        self.counts.has_lost(end - first, !is_time && is_full);
        let session = self.session.unwrap_or(0);
        Some(Next::Told(Notice::Lost { session, first, count: end - first }))
    }

    /// Nothing more will come: what is missing is given up.
    pub fn end(&mut self) {
        self.is_over = true;
    }

    /// A line that has fallen silent, or is back.
    pub fn watch(&mut self, now: Timestamp) -> Option<Notice> {
        let most = self.rules.silent_max.as_nanos() as u64;
        for (line, it) in self.lines.iter_mut().enumerate() {
            let is_silent = now.since(*it.heard.get_or_insert(now)) >= most;
            if is_silent == it.is_silent {
                continue;
            }
            it.is_silent = is_silent;
            if !is_silent {
                return Some(Notice::Back { line });
            }
            self.counts.is_silent(line);
            return Some(Notice::Silent { line });
        }
        None
    }
}

#[cfg(test)]
mod oracle;
