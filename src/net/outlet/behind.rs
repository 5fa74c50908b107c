//! Subscribers who are too slow for every record, and get the latest of each key instead.
//!
//! Nothing is done for them while records come: each key knows where in the log its latest record
//! is. When one of them can take something again the keys are gone round, and he is sent the latest
//! of each that has changed since it was his; then he goes on in the log, from where it begins by
//! then. If he is overtaken on the way, it is gone round once more, from the key that is next: so
//! each has its turn, however often others change.

use crate::io::{Codec, Framing};
use crate::net::counts::Count;
use crate::net::log::{Cursor, Log, Passed};
use crate::net::outlet::given::Given;
use crate::net::outlet::keyed::{GATHERED, Keyed, LOOKS_MAX, NO_PLACE, Wish};
use crate::net::outlet::{Outlet, Peer};

/// What one has been sent who is too far behind.
#[derive(Default)]
pub struct Behind {
    is_on: bool,
    /// Everything before that he was sent, of the keys that he had been given by then.
    from: Cursor,
    given: Given,
    /// The same for each key that has had its turn; the beginning of all if he has had nothing.
    seen: Vec<Cursor>,
    /// The key whose turn is next, and how many there are to go.
    next: usize,
    left: usize,
    /// Records that he was not sent, less those that he was sent before their turn.
    owed: i64,
}

impl Behind {
    /// The memory that so many keys take.
    pub fn bytes(keys: usize) -> usize {
        keys.saturating_mul(size_of::<Cursor>())
    }

    /// With room for so many keys.
    pub fn reserve(&mut self, keys: usize) {
        self.seen.reserve(keys);
    }

    /// Somebody else is sent to.
    pub fn clear(&mut self) {
        self.seen.clear();
        *self = Self { seen: std::mem::take(&mut self.seen), ..Self::default() };
    }

    /// Whether he is.
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// He will not be sent what he was overtaken by; returns how many of those have no place among
    /// the keys, and are lost.
    fn on_passed<T: 'static>(
        &mut self,
        passed: &Passed<'_>,
        wish: &mut Wish,
        keyed: &Keyed<T>,
    ) -> u64 {
        if !self.is_on {
            self.clear();
            (self.is_on, self.from) = (true, passed.from);
            self.given = std::mem::take(&mut wish.given);
        }
        self.left = keyed.latest.len();
        let (mut kept, mut lost) = (0, 0);
        for mark in passed.marks.iter().filter(|mark| wish.wants(mark.key)) {
            if mark.place == NO_PLACE {
                lost += 1;
            } else if keyed.is_given(*mark, &self.given) || self.has_had(mark.place as usize) {
                kept += 1;
            }
        }
        self.owed += kept;
        lost
    }

    /// Whether a key has had its turn, and he has been sent it.
    fn has_had(&self, place: usize) -> bool {
        self.seen.get(place).is_some_and(|seen| *seen > Cursor::default())
    }

    /// Up to where he has been sent what has this key.
    fn seen<T: 'static>(&mut self, place: usize, keyed: &Keyed<T>) -> &mut Cursor {
        while self.seen.len() <= place {
            let is_given = self.given.has(&keyed.latest[self.seen.len()].name);
            self.seen.push(if is_given { self.from } else { Cursor::default() });
        }
        &mut self.seen[place]
    }

    /// How many records have surely been left out since this was last asked.
    fn take_left_out(&mut self) -> u64 {
        let sure = (self.owed - self.left as i64).max(0);
        self.owed -= sure;
        sure as u64
    }

    /// The same at the end, when none of them comes any more.
    fn end(&mut self) -> u64 {
        let left_out = self.owed.max(0) as u64;
        (self.is_on, self.owed, self.left) = (false, 0, 0);
        left_out
    }

    /// Goes round the keys.
    fn go_round<T: 'static>(&mut self, keyed: &Keyed<T>, wish: &Wish, into: &mut Vec<u8>) {
        let mut looks = LOOKS_MAX;
        while self.left > 0 && looks > 0 && into.len() < GATHERED {
            let place = if self.next < keyed.latest.len() { self.next } else { 0 };
            let latest = &keyed.latest[place];
            // What is given is not in the place of another.
            let is_all = self.given.is_all();
            let seen = self.seen(place, keyed);
            let is_another = is_all || *seen > Cursor::default();
            if latest.at >= *seen {
                *seen = latest.at.behind();
                if wish.wants(latest.key) {
                    into.extend_from_slice(&latest.frame);
                    self.owed -= i64::from(is_another);
                }
            }
            self.next = place + 1;
            self.left -= 1;
            looks -= 1;
        }
    }

    /// Goes on in the log, where only what is new to him and the latest of its key is for him; true
    /// at its end.
    fn go_on<T: 'static>(
        &mut self,
        keyed: &Keyed<T>,
        wish: &Wish,
        (log, cursor): (&Log, &mut Cursor),
        into: &mut Vec<u8>,
    ) -> bool {
        for _ in 0..LOOKS_MAX {
            if into.len() >= GATHERED {
                return false;
            }
            let Some((frame, mark, at)) = log.next_frame(cursor) else { return true };
            if !wish.wants(mark.key) {
                continue;
            }
            if mark.place != NO_PLACE {
                let place = mark.place as usize;
                let seen = self.seen(place, keyed);
                if at < *seen || at < keyed.latest[place].at {
                    self.owed += 1;
                    continue;
                }
                *seen = at.behind();
            }
            into.extend_from_slice(frame);
        }
        false
    }
}

impl<F: Framing, C: Codec> Outlet<F, C> {
    /// He gets the latest of each key when he can take something. Of a sink without keys, what is
    /// the latest nobody knows.
    pub(super) fn leave_behind(&mut self, slot: usize) {
        let Peer { cursor, spill, spilled, wish, behind, .. } = &mut self.peers[slot];
        let passed = self.log.pass(cursor);
        let lost = match &self.keyed {
            Some(keyed) => behind.on_passed(&passed, wish, keyed),
            None => passed.frames,
        };
        if *spilled == spill.len() {
            spill.clear();
            *spilled = 0;
        }
        spill.extend_from_slice(passed.left);
        self.counts.add(Count::Dropped, lost);
        self.counts.add(Count::Conflated, behind.take_left_out());
    }

    /// Gathers what comes next for one who is behind.
    pub(super) fn catch_up(&mut self, slot: usize) {
        let Some(keyed) = &self.keyed else { return };
        let Peer { cursor, spill, wish, behind, .. } = &mut self.peers[slot];
        behind.go_round(keyed, wish, spill);
        let mut is_there = false;
        if behind.left == 0 {
            is_there = behind.go_on(keyed, wish, (&self.log, cursor), spill);
        }
        let left_out = if is_there { behind.end() } else { behind.take_left_out() };
        // There may be something for him behind what he does not want.
        self.searches |= !is_there && spill.is_empty();
        self.counts.add(Count::Conflated, left_out);
    }

    /// He is sent something else, or nothing any more.
    pub(super) fn stop_catching_up(&mut self, slot: usize) {
        let left_out = self.peers[slot].behind.end();
        self.counts.add(Count::Conflated, left_out);
    }
}
