//! Subscribers who ask for keys, and get the latest record of each first.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Bound;
use std::rc::Rc;

use crate::io::{Codec, Framing};
use crate::net::log::{Cursor, Log, Mark};
use crate::net::outlet::behind::Behind;
use crate::net::outlet::given::Given;
use crate::net::outlet::{Outlet, Peer};
use crate::net::sink::Slow;

/// The longest that a subscriber may say.
const SAID_MAX: usize = 4096;

/// What a subscriber has said, and the numbers of keys of two lines of it, each of a letter and a
/// comma, in bytes.
const SAID_BYTES: usize = SAID_MAX + 2 * (SAID_MAX / 2) * size_of::<u64>();

/// The longest that a key may be of which the latest frame is kept.
const KEY_MAX: usize = 64;

/// What a key takes beside its frame, in bytes: its name, once, with its counts; and its share of
/// the tree, whose nodes may be half empty.
const KEY_BYTES: usize =
    size_of::<Latest>() + KEY_MAX + 2 * size_of::<usize>() + 3 * size_of::<(Rc<str>, u32)>();

/// The least room for the latest frame of a key, if frames may be as long.
const FRAME_ROOM: usize = 64;

/// What is gathered for one who wants some keys at a time, in bytes.
pub const GATHERED: usize = 16 << 10;

/// Keys and frames that are looked at in one go, at most.
pub const LOOKS_MAX: usize = 1024;

/// What there is instead of a place where there are as many keys as there may be.
pub const NO_PLACE: u32 = u32::MAX;

/// The keys of records, and the latest frame of each.
pub struct Keyed<T> {
    write_key: Box<dyn FnMut(&T, &mut String)>,
    key: String,
    /// The places of keys, in their order.
    places: BTreeMap<Rc<str>, u32>,
    pub latest: Vec<Latest>,
    keys_max: usize,
}

/// The latest frame of a key.
pub struct Latest {
    pub frame: Vec<u8>,
    pub name: Rc<str>,
    /// What stands for the key.
    pub key: u64,
    /// Where in the log it is, or was.
    pub at: Cursor,
}

impl<T: 'static> Keyed<T> {
    /// By a function; of so many keys the latest frame is kept.
    pub fn new<K: Display>(keys_max: usize, mut key: impl FnMut(&T) -> K + 'static) -> Self {
        let write_key = move |value: &T, into: &mut String| _ = write!(into, "{}", key(value));
        let (write_key, keys_max) = (Box::new(write_key), keys_max.min(NO_PLACE as usize));
        let key = String::with_capacity(KEY_MAX);
        let (places, latest) = (BTreeMap::new(), Vec::new());
        Self { write_key, key, places, latest, keys_max }
    }
}

impl<T> Keyed<T> {
    /// Of how many keys the latest frame is kept.
    pub fn keys_max(&self) -> usize {
        self.keys_max
    }

    /// The memory that they take at most, if frames are no longer than this.
    pub fn bytes(&self, frame_max: usize) -> usize {
        self.keys_max.saturating_mul(frame_max.saturating_add(KEY_BYTES))
    }

    /// Takes the room for all of them, so that none is moved when there are more.
    pub fn prepare(&mut self) {
        self.latest.reserve_exact(self.keys_max - self.latest.len());
    }

    /// A record has just been put into the log.
    pub fn on_frame(&mut self, value: &T, log: &mut Log) {
        self.key.clear();
        (self.write_key)(value, &mut self.key);
        let key = number(&self.key);
        let (frame, at) = log.newest();
        let place = match self.places.get(self.key.as_str()) {
            Some(place) => {
                let latest = &mut self.latest[*place as usize];
                latest.frame.clear();
                if latest.frame.capacity() < frame.len() {
                    latest.frame.reserve_exact(room(frame, log));
                }
                latest.frame.extend_from_slice(frame);
                latest.at = at;
                *place
            }
            None if self.latest.len() < self.keys_max && self.key.len() <= KEY_MAX => {
                let (place, name) = (self.latest.len() as u32, Rc::<str>::from(&*self.key));
                let mut own = Vec::with_capacity(room(frame, log));
                own.extend_from_slice(frame);
                self.latest.push(Latest { frame: own, name: name.clone(), key, at });
                self.places.insert(name, place);
                place
            }
            None => NO_PLACE,
        };
        log.mark(Mark { key, place });
    }

    /// The latest frames of some keys, in their order, from behind one on.
    pub fn behind(&self, name: Option<&str>) -> impl Iterator<Item = &Latest> + use<'_, T> {
        let from = name.map_or(Bound::Unbounded, Bound::Excluded);
        let keys = self.places.range::<str, _>((from, Bound::Unbounded));
        keys.map(|(_, place)| &self.latest[*place as usize])
    }

    /// Whether one has been given the key of a frame, or will not be.
    pub fn is_given(&self, mark: Mark, given: &Given) -> bool {
        mark.place == NO_PLACE || given.has(&self.latest[mark.place as usize].name)
    }
}

/// What the latest frame of a key gets: a number that has one digit more the next time is no reason
/// to move it.
fn room(frame: &[u8], log: &Log) -> usize {
    log.frame_max().min(FRAME_ROOM.max(2 * frame.len()))
}

/// What stands for a key in the log.
fn number(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// The numbers of the keys that somebody wants, in order; all without it.
type Wanted = Option<Vec<u64>>;

/// What a subscriber has said.
#[derive(Default)]
pub struct Wish {
    /// A line that has come in part.
    said: Vec<u8>,
    /// What he has asked for and has not been given.
    asked: Option<Wanted>,
    wanted: Wanted,
    /// Which keys he has been given the latest frame of.
    pub given: Given,
}

impl Wish {
    /// Whether he wants what has this key.
    pub fn wants(&self, key: u64) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.binary_search(&key).is_ok())
    }

    /// Somebody else's, who may say something.
    pub fn begin_again(&mut self) {
        let mut said = std::mem::take(&mut self.said);
        said.clear();
        said.reserve_exact(SAID_MAX + 1);
        *self = Self { said, ..Self::default() };
    }

    /// Takes in what he says; false if nobody can make sense of it.
    pub fn on_said(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            if *byte != b'\n' {
                self.said.push(*byte);
                if self.said.len() > SAID_MAX {
                    return false;
                }
                continue;
            }
            match parse(&self.said) {
                Some(wanted) => self.asked = Some(wanted),
                None => return false,
            }
            self.said.clear();
        }
        true
    }
}

/// `SUBSCRIBE A,B`, or `SUBSCRIBE` for all.
fn parse(line: &[u8]) -> Option<Wanted> {
    let list = std::str::from_utf8(line).ok()?.trim_end().strip_prefix("SUBSCRIBE")?;
    if !list.is_empty() && !list.starts_with(' ') {
        return None;
    }
    let keys = list.split(',').map(str::trim).filter(|key| !key.is_empty());
    let mut numbers: Vec<u64> = keys.map(number).collect();
    numbers.sort_unstable();
    Some((!numbers.is_empty()).then_some(numbers))
}

impl<F: Framing, C: Codec> Outlet<F, C> {
    /// Lets subscribers ask for keys.
    pub fn set_keyed(&mut self, keyed: Keyed<C::Value>) {
        self.log.allow_marks();
        self.keyed = Some(keyed);
    }

    /// What subscribers and their keys take at most, in bytes.
    pub(super) fn bytes_of_keys(&self) -> usize {
        let Some(keyed) = &self.keyed else { return 0 };
        let frame_max = self.log.frame_max();
        let behind = match self.settings.slow {
            Slow::Conflate => Behind::bytes(keyed.keys_max()),
            _ => 0,
        };
        let each = (SAID_BYTES + GATHERED).saturating_add(2 * frame_max).saturating_add(behind);
        keyed.bytes(frame_max).saturating_add(self.peers.len().saturating_mul(each))
    }

    /// Begins to give one what he has asked for, when all that was begun for him is sent.
    pub(super) fn heed(&mut self, slot: usize) {
        let peer = &mut self.peers[slot];
        if self.keyed.is_none() || peer.spilled < peer.spill.len() {
            return;
        }
        let Some(wanted) = peer.wish.asked.take() else { return };
        peer.spill.clear();
        peer.spilled = 0;
        peer.spill.extend_from_slice(self.log.finish(peer.cursor));
        (peer.wish.wanted, peer.wish.given) = (wanted, Given::nothing());
        peer.cursor = self.log.end();
        self.stop_catching_up(slot);
    }

    /// Gathers what comes next for one who wants some keys, or has not been given them, or is
    /// behind; false for others.
    pub(super) fn gather(&mut self, slot: usize) -> bool {
        let peer = &mut self.peers[slot];
        let (is_behind, is_given) = (peer.behind.is_on(), peer.wish.given.is_all());
        if !is_behind && is_given && peer.wish.wanted.is_none() {
            return false;
        }
        if peer.spilled < peer.spill.len() {
            return true;
        }
        peer.spill.clear();
        peer.spilled = 0;
        if is_behind {
            self.catch_up(slot);
        } else {
            self.give(slot);
        }
        true
    }

    /// Gathers the frames of keys that are wanted and have been given, and at the end of the log
    /// gives some more keys.
    fn give(&mut self, slot: usize) {
        let Some(keyed) = &self.keyed else { return };
        let Peer { cursor, spill, wish, .. } = &mut self.peers[slot];
        let (mut looks, mut is_over) = (LOOKS_MAX, false);
        while !is_over && looks > 0 && spill.len() < GATHERED {
            match self.log.next_frame(cursor) {
                Some((frame, mark, _)) => {
                    if wish.wants(mark.key) && keyed.is_given(mark, &wish.given) {
                        spill.extend_from_slice(frame);
                    }
                    looks -= 1;
                }
                None if wish.given.is_all() => is_over = true,
                None => wish.give(keyed, &mut looks, spill),
            }
        }
        self.searches |= !is_over && spill.is_empty();
    }
}
