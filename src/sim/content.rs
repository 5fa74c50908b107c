//! What is in a file of the simulated disk, and what a crash leaves of it.

use std::collections::BTreeSet;

use fastrand::Rng;

/// What is written as a whole or not at all.
const SECTOR: usize = 512;

/// A file: as a reader sees it, and as it is on the disk.
#[derive(Debug, Default)]
pub struct Content {
    /// What a reader sees.
    pub now: Vec<u8>,
    /// What is on the disk.
    pub durable: Vec<u8>,
    /// Sectors that differ.
    dirty: BTreeSet<usize>,
    /// What is on the disk may have been cut off here since.
    cut: Option<usize>,
}

impl Content {
    /// Writes over what is there, or behind it.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.now.len() < end {
            self.now.resize(end, 0);
        }
        self.now[offset..end].copy_from_slice(bytes);
        self.dirty.extend(offset / SECTOR..end.div_ceil(SECTOR));
    }

    /// Cuts it off, as far as a reader sees; the disk follows when it likes.
    pub fn truncate(&mut self, bytes: usize) {
        self.now.truncate(bytes);
        self.dirty.retain(|sector| sector * SECTOR < bytes);
        self.cut = Some(self.cut.map_or(bytes, |cut| cut.min(bytes)));
    }

    /// Makes the sectors of a write durable, and with them how long the file is.
    pub fn settle(&mut self, offset: usize, bytes: usize) {
        self.cut_off();
        for sector in offset / SECTOR..(offset + bytes).div_ceil(SECTOR) {
            self.keep(sector);
            self.dirty.remove(&sector);
        }
    }

    /// Makes it durable that the file was cut off.
    fn cut_off(&mut self) {
        if let Some(bytes) = self.cut.take() {
            self.durable.truncate(bytes);
        }
    }

    /// Makes a sector durable as it is now.
    fn keep(&mut self, sector: usize) {
        let start = sector * SECTOR;
        let end = (start + SECTOR).min(self.now.len());
        if start < end {
            if self.durable.len() < end {
                self.durable.resize(end, 0);
            }
            self.durable[start..end].copy_from_slice(&self.now[start..end]);
        }
    }

    /// Makes all of it durable.
    pub fn sync(&mut self) {
        self.durable.clone_from(&self.now);
        self.dirty.clear();
        self.cut = None;
    }

    /// What a crash leaves: of each sector that was not durable what was before, or what came.
    pub fn crash(&mut self, rng: &mut Rng) {
        if rng.bool() {
            self.cut_off();
        }
        self.cut = None;
        let odds = [0.0, 0.5, 0.9, 1.0][rng.usize(..4)];
        for sector in std::mem::take(&mut self.dirty) {
            if rng.f64() < odds {
                self.keep(sector);
            }
        }
        self.now.clone_from(&self.durable);
    }
}
