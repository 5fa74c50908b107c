//! What a journal can be told.

use std::time::Duration;

use crate::error::ConfigError;
use crate::io::journal::format::{BLOCK, GROUP_HEADER, GROUP_MAX, RECORD_HEADER};
use crate::time::{ms, secs};

/// When records are written, and whether they are made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Written as soon as no other write is under way, and made durable only a segment at a time,
    /// when that is full or the journal is closed. A crash of the process loses what was not
    /// written yet, one of the host anything of the last segments.
    /// [`durable`](super::Journal::durable) then says what has been written.
    None,
    /// A record waits at most this long for others to be made durable with it.
    Every(Duration),
    /// Whatever was appended between two polls is made durable at once, in one write. Records that
    /// come while [`Settings::in_flight`] writes are under way share the next one.
    EveryRecord,
}

/// What happens to records when the disk is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFull {
    /// The journal fails, and with it the pipeline.
    Stop,
    /// Records are refused and counted, until there is room again.
    Shed,
    /// Records are taken and counted, and are not in the journal; it says so, and the gap is
    /// written down once there is room again. Until then gates stand open: see
    /// [`released`](super::Journal::released).
    GoOn,
}

/// What a journal can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a segment's file is made. A multiple of 4096, and at least twice `slots` times
    /// `slot_bytes`.
    pub segment_bytes: u64,
    /// How many buffers there are to fill and write. At least 2.
    pub slots: usize,
    /// How long each buffer is, which bounds a write and a record. A multiple of 4096.
    pub slot_bytes: usize,
    /// How many writes may be under way before records are held back to share the next one. At
    /// least 1; a full buffer is written in any case.
    pub in_flight: usize,
    /// When records are made durable.
    pub sync: Sync,
    /// What happens when the disk is full.
    pub on_full: OnFull,
    /// The oldest segments are removed while all together are longer; the one being written stays.
    /// The next one, made ahead, and one kept for its blocks come on top.
    pub bytes_max: Option<u64>,
    /// Segments are removed whose last record was written longer ago.
    pub age_max: Option<Duration>,
    /// How many segments there may be at most; one more is a full disk.
    pub segments_max: usize,
    /// After so long without a record, that the last ones are durable is written down as well, so
    /// that damage to them can be told from a torn tail. Costs a block.
    pub mark_after: Duration,
    /// How long to wait before trying a full disk again.
    pub retry_after: Duration,
}

impl Default for Settings {
    /// Segments of 64 MiB, 16 buffers of 256 KiB, every record durable, nothing removed.
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            slots: 16,
            slot_bytes: 256 << 10,
            in_flight: 8,
            sync: Sync::EveryRecord,
            on_full: OnFull::Stop,
            bytes_max: None,
            age_max: None,
            segments_max: 16_384,
            mark_after: ms(10),
            retry_after: secs(1),
        }
    }
}

impl Settings {
    /// The longest record that fits.
    pub const fn record_max(&self) -> usize {
        (self.slot_bytes - GROUP_HEADER - RECORD_HEADER) & !7
    }

    /// Whether this can be.
    ///
    /// # Errors
    /// The first setting that cannot.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |setting, value: &dyn std::fmt::Display, reason: &str| {
            Err(ConfigError::setting(setting, value, reason))
        };
        let is_odd = |bytes: u64| bytes == 0 || !bytes.is_multiple_of(BLOCK as u64);
        if self.slots < 2 || self.slots > 1024 {
            return wrong("slots", &self.slots, "2 to 1024 are supported");
        }
        if is_odd(self.slot_bytes as u64) || self.slot_bytes > GROUP_MAX {
            return wrong("slot_bytes", &self.slot_bytes, "a multiple of 4096, at most 64 MiB");
        }
        let window = 2 * self.slots as u64 * self.slot_bytes as u64;
        if is_odd(self.segment_bytes) || self.segment_bytes < window {
            let reason = "a multiple of 4096, at least twice what all slots hold";
            return wrong("segment_bytes", &self.segment_bytes, reason);
        }
        if self.in_flight == 0 {
            return wrong("in_flight", &self.in_flight, "at least 1");
        }
        if self.segments_max < 2 {
            return wrong("segments_max", &self.segments_max, "at least 2");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_settings_are_named() {
        let default = Settings::default();
        assert!(default.check().is_ok());
        for (setting, settings) in [
            ("slots", Settings { slots: 1, ..default }),
            ("slot_bytes", Settings { slot_bytes: 1000, ..default }),
            ("slot_bytes", Settings { slot_bytes: 0, ..default }),
            ("segment_bytes", Settings { segment_bytes: 1 << 20, ..default }),
            ("in_flight", Settings { in_flight: 0, ..default }),
            ("segments_max", Settings { segments_max: 1, ..default }),
        ] {
            let error = settings.check().unwrap_err().to_string();
            assert!(error.starts_with(setting), "{error}");
        }
    }
}
