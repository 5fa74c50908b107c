//! The journal as its writer sees it.

use std::io;

use crate::error::{ConfigError, IoError, JournalError, Result};
use crate::io::journal::flight::Flight;
use crate::io::journal::format::{GROUP_HEADER, frame_bytes};
use crate::io::journal::group::Group;
use crate::io::journal::names::segment_name;
use crate::io::journal::notice::{Durable, Notice, Stats};
use crate::io::journal::places::Places;
use crate::io::journal::recover::{Recovered, recover};
use crate::io::journal::sequence::Sequence;
use crate::io::journal::settings::{OnFull, Settings, Sync};
use crate::io::storage::{Done, Files, Storage, is_full};
use crate::time::{Timestamp, nanos};

/// A journal open for writing. See the [module](super) for what it is and an example.
pub struct Journal<S> {
    pub(super) storage: S,
    pub(super) settings: Settings,
    /// What the last poll was told.
    pub(super) now: Timestamp,
    next: Sequence,
    latest: Timestamp,
    group: Option<Group>,
    pub(super) flight: Flight,
    pub(super) places: Places,
    hold: Option<Sequence>,
    /// Without a sync of each write: everything before it was made durable, a segment at a time.
    synced: Sequence,
    /// Sequences given since the last group that were not written.
    skipped: u64,
    /// What the last group that was written says is durable, and when that was.
    marked: (Sequence, Timestamp),
    is_full: bool,
    /// When writes that the disk had no room for are tried again.
    write_again: Timestamp,
    /// When the disk became full, what had been shed and skipped.
    full_from: (u64, u64),
    pub(super) failure: Option<String>,
    pub(super) stats: Stats,
    durable: Durable,
    notify: Option<Box<dyn FnMut(&Notice)>>,
}

/// Why a record was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// All buffers are being written, or the next segment is being made. Poll, then try again.
    Full,
    /// The disk is full, and records are shed: [`OnFull::Shed`].
    Shed,
    /// It is longer than this.
    TooLong(usize),
    /// The journal has failed; [`poll`](Journal::poll) says why.
    Failed,
}

impl<S: Storage> Journal<S> {
    /// Recovers what is there, cuts off a torn tail, and goes on behind it in a segment of its own.
    /// May block. `nonce` becomes the id of a journal that is not there yet.
    ///
    /// # Errors
    /// An impossible setting; a journal that is damaged, of another format or not whole; what the
    /// disk said, also where it is full.
    pub fn open(
        files: &mut impl Files,
        storage: S,
        settings: Settings,
        nonce: u64,
        now: Timestamp,
    ) -> Result<(Self, Recovered)> {
        settings.check()?;
        let (slots, bytes) = (storage.slots(), storage.slot_bytes());
        if (slots, bytes) != (settings.slots, settings.slot_bytes) {
            let reason = format!("the storage has {slots} of {bytes} bytes");
            return Err(ConfigError::setting("slots", settings.slots, reason).into());
        }
        let recovered = recover(files)?;
        let (id, next) = (recovered.journal.unwrap_or(nonce), recovered.next);
        let durable = Durable::default();
        durable.set(next);
        durable.take(next);
        let mut journal = Self {
            places: Places::new(id, recovered.epoch + 1, &recovered.segments, &settings),
            flight: Flight::new(slots, next),
            storage,
            settings,
            now,
            next,
            latest: recovered.latest,
            group: None,
            // Until it is open: whoever opened it may yet say what to hold.
            hold: Some(Sequence(0)),
            synced: next,
            skipped: 0,
            marked: (next, now),
            is_full: false,
            write_again: Timestamp::MIN,
            full_from: (0, 0),
            failure: None,
            stats: Stats::default(),
            durable,
            notify: None,
        };
        journal.wait_for_segment()?;
        journal.hold = None;
        Ok((journal, recovered))
    }

    fn wait_for_segment(&mut self) -> Result<(), JournalError> {
        while !self.places.roll(self.next, self.now) {
            self.poll(self.now)?;
            if self.is_full {
                let full = io::ErrorKind::StorageFull.into();
                return Err(IoError::new("make", "the first segment", full).into());
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Calls `notify` with everything that nobody may miss.
    pub fn on_notice(mut self, notify: impl FnMut(&Notice) + 'static) -> Self {
        self.notify = Some(Box::new(notify));
        self
    }

    /// Takes a record, unless there is no room for it now. Nothing is written before the next
    /// [`poll`](Self::poll), unless a buffer is full.
    ///
    /// # Errors
    /// Why it was not taken.
    #[inline]
    pub fn append(&mut self, at: Timestamp, bytes: &[u8]) -> Result<Sequence, Refused> {
        let frame = frame_bytes(bytes.len());
        if self.group.as_ref().is_none_or(|group| group.room() < frame)
            && let Some(taken) = self.make_room(bytes.len())
        {
            return taken;
        }
        let Some(group) = &mut self.group else { return Err(Refused::Failed) };
        let sequence = self.next;
        group.push(self.storage.buffer(group.slot), sequence, at, bytes);
        self.next = sequence.plus(1);
        self.durable.take(self.next);
        self.latest = self.latest.max(at);
        self.stats.records += 1;
        Ok(sequence)
    }

    /// Begins another group; or else what becomes of the record.
    #[cold]
    fn make_room(&mut self, bytes: usize) -> Option<Result<Sequence, Refused>> {
        if self.failure.is_some() {
            return Some(Err(Refused::Failed));
        }
        if bytes > self.settings.record_max() {
            return Some(Err(Refused::TooLong(self.settings.record_max())));
        }
        self.seal(false);
        if self.begin(frame_bytes(bytes)) {
            return None;
        }
        if !self.is_full {
            self.stats.full += 1;
            return Some(Err(Refused::Full));
        }
        match self.settings.on_full {
            OnFull::Stop => {
                self.fail("write", &io::ErrorKind::StorageFull.into());
                Some(Err(Refused::Failed))
            }
            OnFull::Shed => {
                self.stats.shed += 1;
                Some(Err(Refused::Shed))
            }
            OnFull::GoOn => {
                let sequence = self.next;
                self.next = sequence.plus(1);
                self.durable.take(self.next);
                self.skipped += 1;
                self.stats.skipped += 1;
                Some(Ok(sequence))
            }
        }
    }

    /// Begins a group in a free slot, in this segment or the next.
    fn begin(&mut self, frame: usize) -> bool {
        let Some(slot) = self.flight.free_slot() else { return false };
        let mut place = self.places.place(&self.settings, frame);
        if place.is_none() {
            if !self.places.roll(Sequence(self.next.0 - self.skipped), self.now) {
                return false;
            }
            place = self.places.place(&self.settings, frame);
        }
        let Some((header, offset, capacity)) = place else { return false };
        self.group = Some(Group {
            slot,
            segment: header.number,
            offset,
            salt: header.salt,
            capacity,
            first: self.next,
            latest: self.latest,
            skipped: self.skipped,
            since: self.now,
            used: GROUP_HEADER,
            records: 0,
        });
        self.skipped = 0;
        true
    }

    /// Writes the group that is being filled. One without records is written only to close.
    fn seal(&mut self, closed: bool) {
        let Some(group) = self.group.take_if(|group| group.records > 0 || closed) else { return };
        self.write(&group, closed);
    }

    /// Everything before it will be there after a crash of the host.
    fn proven(&self) -> Sequence {
        if self.settings.sync == Sync::None { self.synced } else { self.flight.durable() }
    }

    fn write(&mut self, group: &Group, closed: bool) {
        let is_synced = self.settings.sync != Sync::None;
        let durable = self.proven();
        let buffer = self.storage.buffer(group.slot);
        let header = group.seal(buffer, durable, self.now, closed);
        let write = group.write(is_synced || closed);
        self.places.took(write.bytes);
        self.flight.begin(write, header.end());
        self.storage.write(write);
        self.marked = (durable, self.now);
        self.stats.groups += 1;
        self.stats.bytes += write.bytes as u64;
    }

    /// Hands over what is due, takes in what is done, and returns how much that was. To be called
    /// in every step.
    ///
    /// # Errors
    /// Why the journal has failed. It does not recover from that: open it again.
    pub fn poll(&mut self, now: Timestamp) -> Result<usize, JournalError> {
        self.now = now;
        self.storage.drive();
        let mut work = 0;
        while let Some(done) = self.storage.next_done() {
            self.on_done(done);
            work += 1;
        }
        self.write_if_due();
        self.mark_if_due();
        if let Some(header) = self.places.next_to_make(&self.settings, now) {
            self.storage.make(header);
        }
        if self.settings.sync == Sync::None
            && let Some(segment) = self.places.next_to_sync(self.flight.durable())
        {
            self.storage.sync(segment);
        }
        let (hold, durable) = (self.hold, self.proven());
        if let Some(segment) = self.places.next_to_remove(&self.settings, hold, durable, now) {
            self.storage.remove(segment);
        }
        self.look_at_the_disk();
        self.durable.set(self.released());
        match &self.failure {
            Some(why) => Err(IoError::new("write", "the journal", io::Error::other(&**why)).into()),
            None => Ok(work),
        }
    }

    fn on_done(&mut self, done: Done) {
        let again = self.now + self.settings.retry_after;
        match done {
            Done::Written { slot, result: Ok(()) } => _ = self.flight.done(slot),
            Done::Written { slot, result: Err(error) } if is_full(&error) => {
                self.flight.refused(slot);
                self.write_again = again;
            }
            Done::Written { result: Err(error), .. } => self.fail("write a group", &error),
            Done::Made { result: Ok(()), .. } => {
                self.places.made();
                self.stats.segments_made += 1;
            }
            Done::Made { result: Err(error), .. } if is_full(&error) => self.places.not_made(again),
            Done::Made { result: Err(error), .. } => self.fail("make a segment", &error),
            Done::Synced { result: Ok(()), .. } => {
                self.synced = self.places.synced().unwrap_or(self.synced);
            }
            Done::Synced { result: Err(error), .. } => self.fail("sync a segment", &error),
            Done::Removed { result: Ok(()), .. } => {
                self.places.removed();
                self.stats.segments_removed += 1;
            }
            Done::Removed { .. } => self.places.not_removed(again),
        }
    }

    fn write_if_due(&mut self) {
        let Some(group) = self.group.as_ref().filter(|group| group.records > 0) else { return };
        let is_due = match self.settings.sync {
            Sync::None => self.flight.flying() == 0,
            Sync::EveryRecord => self.flight.flying() < self.settings.in_flight,
            Sync::Every(span) => {
                self.now.0.saturating_sub(group.since.0) >= nanos(span)
                    && self.flight.flying() < self.settings.in_flight
            }
        };
        if is_due && self.failure.is_none() {
            self.seal(false);
        }
    }

    /// Writes down that the last records are durable, once nothing more has come for a while.
    fn mark_if_due(&mut self) {
        let (marked, when) = self.marked;
        let is_due = self.flight.is_empty()
            && self.group.is_none()
            && marked < self.flight.durable()
            && self.settings.sync != Sync::None
            && self.now.0.saturating_sub(when.0) >= nanos(self.settings.mark_after);
        // Not for a mark alone does the journal go on to another segment.
        let has_room = is_due && self.places.place(&self.settings, 0).is_some();
        if has_room && self.failure.is_none() && self.begin(0) {
            let group = self.group.take();
            group.iter().for_each(|group| self.write(group, false));
        }
    }

    /// Notices when the disk becomes full and when it no longer is, and tries again.
    fn look_at_the_disk(&mut self) {
        let is_full = self.places.is_full() || self.flight.waiting() > 0;
        if is_full && !self.is_full {
            self.stats.disk_full += 1;
            self.full_from = (self.stats.shed, self.stats.skipped);
            self.tell(&Notice::DiskFull(self.settings.on_full));
        }
        if self.is_full && !is_full {
            let (shed, skipped) = self.full_from;
            let (shed, skipped) = (self.stats.shed - shed, self.stats.skipped - skipped);
            self.tell(&Notice::Resumed { shed, skipped });
        }
        self.is_full = is_full;
        if is_full && self.flight.flying() == 0 && self.now >= self.write_again {
            while let Some(write) = self.flight.again() {
                self.storage.write(write);
            }
        }
    }

    #[cold]
    fn tell(&mut self, notice: &Notice) {
        if let Some(notify) = &mut self.notify {
            notify(notice);
        }
    }

    #[cold]
    fn fail(&mut self, action: &str, error: &io::Error) {
        if self.failure.is_none() {
            self.failure = Some(format!("{action}: {error}"));
            self.tell(&Notice::Failed);
        }
    }

    /// The sequence of the next record.
    pub fn next(&self) -> Sequence {
        self.next
    }

    /// Every record before this one is durable: it will be there, in its place, after any crash.
    /// But for those skipped under [`OnFull::GoOn`], which are nowhere.
    pub fn durable(&self) -> Sequence {
        self.flight.durable()
    }

    /// Up to where a gate that waits for the journal may open: as far as records are durable, and
    /// all the way while the disk is full and records go on without ([`OnFull::GoOn`]).
    pub fn released(&self) -> Sequence {
        let goes_on = self.is_full && self.settings.on_full == OnFull::GoOn;
        if goes_on { self.next } else { self.durable() }
    }

    /// The same as [`released`](Self::released) at the last poll, to be looked at from anywhere.
    pub fn watch(&self) -> Durable {
        self.durable.clone()
    }

    /// Whether the disk is full.
    pub fn is_disk_full(&self) -> bool {
        self.is_full
    }

    /// Keeps retention from removing this record or any later one; a later call replaces it.
    pub fn hold(&mut self, from: Option<Sequence>) {
        self.hold = from;
    }

    /// The first record that is still kept.
    pub fn first(&self) -> Sequence {
        self.places.kept().0.unwrap_or(self.next)
    }

    /// How many segments with records there are, and how long they are together.
    pub fn segments(&self) -> (usize, u64) {
        let (_, segments, bytes) = self.places.kept();
        (segments, bytes)
    }

    /// What it has done.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// What it was told.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The disk below.
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// How many records of at most `bytes` would be taken now, whatever else happens.
    pub fn room(&self, bytes: usize) -> usize {
        if self.failure.is_some() || bytes > self.settings.record_max() {
            return 0;
        }
        if self.is_full && self.settings.on_full != OnFull::Stop {
            return usize::MAX;
        }
        let frame = frame_bytes(bytes);
        let (here, free) = match &self.group {
            Some(group) => (group.room() / frame, self.flight.free().saturating_sub(1)),
            None => (0, self.flight.free()),
        };
        let unused = self.group.as_ref().map_or(0, |group| group.capacity);
        here + self.places.room(&self.settings, unused, free, frame)
    }

    /// Makes everything durable, says so in the journal, and cuts off what is not used. May block.
    ///
    /// # Errors
    /// What the disk said. The journal is then as if the process had been killed.
    pub fn close(mut self, files: &mut impl Files) -> Result<(), JournalError> {
        self.seal(false);
        self.settle()?;
        if self.settings.sync == Sync::None {
            let failed = |error| IoError::new("sync", "the journal", error);
            for number in self.places.numbers() {
                files.sync(&segment_name(number)).map_err(failed)?;
            }
            self.synced = self.flight.durable();
        }
        // Where there is no room for it, the journal ends without saying so.
        if self.places.place(&self.settings, 0).is_some() && self.begin(0) {
            self.seal(true);
            self.settle()?;
        }
        self.cut(files).map_err(|error| IoError::new("close", "the journal", error).into())
    }

    /// Polls until nothing is under way.
    fn settle(&mut self) -> Result<(), JournalError> {
        loop {
            self.poll(self.now)?;
            if self.is_full && self.flight.waiting() > 0 {
                let full = io::ErrorKind::StorageFull.into();
                return Err(IoError::new("write", "the journal", full).into());
            }
            if self.flight.is_empty() && !self.places.is_busy() {
                return Ok(());
            }
            std::thread::yield_now();
        }
    }

    fn cut(&mut self, files: &mut impl Files) -> io::Result<()> {
        let (next, current) = self.places.ends();
        if let Some(next) = next {
            files.remove(&segment_name(next))?;
            files.sync_directory()?;
        }
        if let Some((number, used)) = current {
            files.truncate(&segment_name(number), used)?;
            files.sync(&segment_name(number))?;
        }
        Ok(())
    }
}
