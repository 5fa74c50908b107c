//! A journal on a simulated disk, and what it must hold.

pub use super::seeds::each_seed;
use fastrand::Rng;
use millstream::io::journal::{Journal, Reader, Recovered, Refused, Sequence, Settings, Sync};
use millstream::sim::{SimDisk, SimStorage};
use millstream::{Result, Timestamp, ms, us};

/// A record as the test knows it.
pub type Known = (i64, Vec<u8>);

/// Small, so that every limit is met.
pub fn small() -> Settings {
    Settings {
        segment_bytes: 64 << 10,
        slots: 3,
        slot_bytes: 8 << 10,
        in_flight: 2,
        ..Settings::default()
    }
}

/// Settings under a seed.
pub fn settings(rng: &mut Rng) -> Settings {
    let slots = rng.usize(2..6);
    let slot_bytes = 4096 * rng.usize(1..4);
    let window = (2 * slots * slot_bytes) as u64;
    let sync = [Sync::EveryRecord, Sync::EveryRecord, Sync::Every(us(50)), Sync::None];
    Settings {
        segment_bytes: window + 4096 * rng.u64(0..8),
        slots,
        slot_bytes,
        in_flight: rng.usize(1..5),
        sync: sync[rng.usize(..4)],
        bytes_max: [None, Some(window), Some(4 * window)][rng.usize(..3)],
        mark_after: [us(1), ms(1), ms(1_000)][rng.usize(..3)],
        ..Settings::default()
    }
}

/// A journal, the disk under it, and everything that was ever given to it.
pub struct World {
    pub disk: SimDisk,
    pub settings: Settings,
    pub journal: Option<Journal<SimStorage>>,
    /// By sequence.
    pub known: Vec<Known>,
    pub now: Timestamp,
    pub rng: Rng,
}

impl World {
    pub fn new(seed: u64, settings: Settings) -> Self {
        Self {
            disk: SimDisk::new(seed),
            settings,
            journal: None,
            known: Vec::new(),
            now: Timestamp(1_000),
            rng: Rng::with_seed(seed ^ 0xfeed),
        }
    }

    /// Opens it, and forgets of what it knows whatever is not there any more.
    pub fn open(&mut self) -> Result<Recovered> {
        let (storage, mut files) = (self.disk.storage(&self.settings), self.disk.clone());
        let opened = Journal::open(&mut files, storage, self.settings, 77, self.now)?;
        self.journal = Some(opened.0);
        self.known.truncate(opened.1.next.0 as usize);
        Ok(opened.1)
    }

    pub fn journal(&mut self) -> &mut Journal<SimStorage> {
        self.journal.as_mut().unwrap()
    }

    /// Appends a record of `bytes` random bytes.
    pub fn append(&mut self, bytes: usize) -> Result<Sequence, Refused> {
        let at = self.now.0 + self.rng.i64(-500..500);
        let bytes: Vec<u8> = (0..bytes).map(|_| self.rng.u8(..)).collect();
        let taken = self.journal.as_mut().unwrap().append(Timestamp(at), &bytes);
        if let Ok(sequence) = taken {
            assert_eq!(sequence.0, self.known.len() as u64);
            self.known.push((at, bytes));
        }
        taken
    }

    /// Polls once, a little later.
    pub fn poll(&mut self) -> Result<usize> {
        self.now = self.now + us(self.rng.u64(1..100));
        let now = self.now;
        Ok(self.journal().poll(now)?)
    }

    /// Polls until everything is durable.
    pub fn settle(&mut self) -> Sequence {
        while self.journal().durable() < self.journal().next() {
            self.poll().unwrap();
        }
        self.journal().durable()
    }

    /// Everything that a reader finds is what is known; returns how far it comes.
    pub fn check(&mut self) -> (u64, u64) {
        let mut reader = Reader::open(self.disk.clone()).unwrap();
        let (mut first, mut next) = (None, None);
        while let Some(found) = reader.read().unwrap() {
            let sequence = found.sequence.0;
            assert!(next.is_none_or(|next| next == sequence), "{next:?}, then {sequence}");
            let (at, bytes) = &self.known[sequence as usize];
            assert_eq!((found.at.0, found.bytes), (*at, &bytes[..]), "{sequence}");
            first.get_or_insert(sequence);
            next = Some(sequence + 1);
        }
        reader.end().unwrap();
        (first.unwrap_or(0), next.unwrap_or(0))
    }

    pub fn close(&mut self) -> Result<()> {
        Ok(self.journal.take().unwrap().close(&mut self.disk.clone())?)
    }
}
