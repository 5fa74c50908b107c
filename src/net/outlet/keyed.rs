//! Subscribers who ask for keys, and get the latest record of each first.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::io::{Codec, Framing};
use crate::net::log::{Cursor, Log, Mark};
use crate::net::outlet::Outlet;

/// The longest that a subscriber may say.
const SAID_MAX: usize = 4096;

/// What is gathered for one who wants some keys at a time, in bytes.
pub const GATHERED: usize = 16 << 10;

/// What there is instead of a place where there are as many keys as there may be.
pub const NO_PLACE: u32 = u32::MAX;

/// The keys of records, and the latest frame of each.
pub struct Keyed<T> {
    write_key: Box<dyn FnMut(&T, &mut String)>,
    key: String,
    /// The places of keys, in their order.
    places: BTreeMap<Box<str>, u32>,
    pub latest: Vec<Latest>,
    keys_max: usize,
}

/// The latest frame of a key.
pub struct Latest {
    pub frame: Vec<u8>,
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
        let (key, places, latest) = (String::new(), BTreeMap::new(), Vec::new());
        Self { write_key, key, places, latest, keys_max }
    }
}

impl<T> Keyed<T> {
    /// Of how many keys the latest frame is kept.
    pub fn keys_max(&self) -> usize {
        self.keys_max
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
                latest.frame.extend_from_slice(frame);
                latest.at = at;
                *place
            }
            None if self.latest.len() < self.keys_max => {
                let place = self.latest.len() as u32;
                self.latest.push(Latest { frame: frame.to_vec(), key, at });
                self.places.insert(self.key.as_str().into(), place);
                place
            }
            None => NO_PLACE,
        };
        log.mark(Mark { key, place });
    }

    /// The latest frames, in the order of their keys.
    fn in_order(&self) -> impl Iterator<Item = &Latest> {
        self.places.values().map(|place| &self.latest[*place as usize])
    }
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
}

impl Wish {
    /// Whether he wants what has this key.
    pub fn wants(&self, key: u64) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.binary_search(&key).is_ok())
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
        self.keyed = Some(keyed);
    }

    /// Gives one what he has asked for, when all that was begun for him is sent: the latest frames,
    /// and from now on what he wants.
    pub(super) fn heed(&mut self, slot: usize) {
        let (Some(keyed), peer) = (&self.keyed, &mut self.peers[slot]) else { return };
        if peer.spilled < peer.spill.len() {
            return;
        }
        let Some(wanted) = peer.wish.asked.take() else { return };
        peer.spill.clear();
        peer.spilled = 0;
        peer.spill.extend_from_slice(self.log.finish(peer.cursor));
        peer.wish.wanted = wanted;
        for latest in keyed.in_order().filter(|latest| peer.wish.wants(latest.key)) {
            peer.spill.extend_from_slice(&latest.frame);
        }
        peer.cursor = self.log.end();
        self.stop_catching_up(slot);
    }

    /// Gathers what comes next for one who wants some keys, or is behind; false for others.
    pub(super) fn gather(&mut self, slot: usize) -> bool {
        let peer = &mut self.peers[slot];
        let is_behind = peer.behind.is_on();
        if !is_behind && peer.wish.wanted.is_none() {
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
            self.log.gather(&mut peer.cursor, GATHERED, &mut peer.spill, &peer.wish);
        }
        true
    }
}

impl Log {
    /// Copies the frames of keys that are wanted, from one that begins there on, until that are so
    /// many bytes.
    fn gather(&self, cursor: &mut Cursor, most: usize, into: &mut Vec<u8>, wish: &Wish) {
        while into.len() < most
            && let Some((frame, mark, _)) = self.next_frame(cursor)
        {
            if wish.wants(mark.key) {
                into.extend_from_slice(frame);
            }
        }
    }
}
