//! Subscribers who ask for keys, and get the latest record of each first.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::io::{Codec, Framing};
use crate::net::log::{Cursor, Log};
use crate::net::outlet::Outlet;

/// The longest that a subscriber may say.
const SAID_MAX: usize = 4096;

/// What is gathered for one who wants some keys at a time, in bytes.
const GATHERED: usize = 16 << 10;

/// The keys of records, and the latest frame of each.
pub struct Keyed<T> {
    write_key: Box<dyn FnMut(&T, &mut String)>,
    key: String,
    latest: BTreeMap<Box<str>, Vec<u8>>,
    keys_max: usize,
}

impl<T: 'static> Keyed<T> {
    /// By a function; of so many keys the latest frame is kept.
    pub fn new<K: Display>(keys_max: usize, mut key: impl FnMut(&T) -> K + 'static) -> Self {
        let write_key = move |value: &T, into: &mut String| _ = write!(into, "{}", key(value));
        let (key, latest) = (String::new(), BTreeMap::new());
        Self { write_key: Box::new(write_key), key, latest, keys_max }
    }

    /// A record has just been put into the log.
    pub fn on_frame(&mut self, value: &T, log: &mut Log) {
        self.key.clear();
        (self.write_key)(value, &mut self.key);
        log.mark(number(&self.key));
        let frame = log.newest();
        if let Some(latest) = self.latest.get_mut(self.key.as_str()) {
            latest.clear();
            latest.extend_from_slice(frame);
        } else if self.latest.len() < self.keys_max {
            self.latest.insert(self.key.as_str().into(), frame.to_vec());
        }
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
        for (key, frame) in &keyed.latest {
            if wanted.as_ref().is_none_or(|wanted| wanted.binary_search(&number(key)).is_ok()) {
                peer.spill.extend_from_slice(frame);
            }
        }
        peer.wish.wanted = wanted;
        peer.cursor = self.log.end();
    }

    /// Gathers what comes next for one who wants some keys; false for one who wants all.
    pub(super) fn gather(&mut self, slot: usize) -> bool {
        let peer = &mut self.peers[slot];
        let Some(wanted) = &peer.wish.wanted else { return false };
        if peer.spilled == peer.spill.len() {
            peer.spill.clear();
            peer.spilled = 0;
            let is_wanted = |key: u64| wanted.binary_search(&key).is_ok();
            self.log.gather(&mut peer.cursor, GATHERED, &mut peer.spill, is_wanted);
        }
        true
    }
}

impl Log {
    /// Copies the frames of keys that are wanted, from one that begins there on, until that are so
    /// many bytes.
    fn gather(
        &self,
        cursor: &mut Cursor,
        most: usize,
        into: &mut Vec<u8>,
        is_wanted: impl Fn(u64) -> bool,
    ) {
        while into.len() < most
            && let Some((frame, key)) = self.next_frame(cursor)
        {
            if is_wanted(key) {
                into.extend_from_slice(frame);
            }
        }
    }
}
