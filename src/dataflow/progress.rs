//! How far firing has come behind the watermark.

use serde::{Deserialize, Serialize};

use crate::dataflow::Context;
use crate::metrics::Stamps;
use crate::state::Rescale;
use crate::time::{Timestamp, Watermark};

/// Results between two looks at the clock and at the room downstream. With half as many a batch is
/// published sooner, and pre-combined windows send a twentieth fewer records a second.
pub const BETWEEN_LOOKS: usize = 128;

/// Entries that may come nearer for the time that one window takes to fire.
pub const MOVES: usize = 8;

/// Windows that may always be opened while others are still to fire.
const OPENED_MIN: usize = 1 << 16;

/// How far firing has come.
#[derive(Clone, Serialize, Deserialize)]
pub struct Progress {
    /// The last watermark that went on downstream.
    told: Watermark,
    /// The watermark up to which windows are to fire.
    target: Watermark,
    /// The ingress of the batch that moved the target.
    ingress: Timestamp,
    /// When that batch passed the places on its way. Not kept in a snapshot: what is measured
    /// begins anew with a restore.
    #[serde(skip)]
    stamps: Stamps,
}

impl Progress {
    /// Nothing has fired.
    pub const fn new() -> Self {
        let (told, target) = (Watermark::START, Watermark::START);
        let (intended, received, dequeued) = (Timestamp::MIN, Timestamp::MIN, Timestamp::MIN);
        let stamps = Stamps { intended, received, dequeued };
        Self { told, target, ingress: Timestamp::MIN, stamps }
    }

    /// That of several shards at rest: as far as all of them have come.
    pub fn earliest(all: Vec<Self>) -> Option<Self> {
        let told: Vec<Watermark> = all.iter().map(|one| one.told).collect();
        let told = Watermark::earliest(&told);
        all.into_iter().next().map(|one| Self { told, target: told, ..one })
    }

    /// The same, of at least one.
    pub fn of_all(all: Vec<Self>, _to: &Rescale) -> Self {
        Self::earliest(all).unwrap_or_else(Self::new)
    }

    /// Windows up to `watermark` are to fire, because of the batch in hand. While others still fire
    /// their older ingress stays, so that latency is never under-reported.
    #[inline]
    pub fn begin(&mut self, watermark: Watermark, cx: &Context) {
        if !self.is_pending() {
            (self.ingress, self.stamps) = (cx.ingress, cx.stamps);
        }
        self.target = watermark;
    }

    /// The watermark up to which windows are to fire.
    #[inline(always)]
    pub const fn target(&self) -> Watermark {
        self.target
    }

    /// What is emitted from now on is because of the batch that made them fire.
    #[inline(always)]
    pub fn blame(&self, cx: &mut Context) {
        (cx.ingress, cx.stamps) = (self.ingress, self.stamps);
    }

    /// Nothing is left to fire; returns the watermark that goes on downstream.
    pub fn finish(&mut self) -> Watermark {
        self.told = self.target;
        self.told
    }

    /// Whether windows are still to fire, or a watermark is still to be told.
    #[inline(always)]
    pub fn is_pending(&self) -> bool {
        self.told != self.target
    }
}

/// How many windows are held, compared with when firing began.
#[derive(Clone, Copy, Default)]
pub struct Growth {
    before: usize,
}

impl Growth {
    /// So many are held when firing begins.
    #[inline]
    pub const fn from(before: usize) -> Self {
        Self { before }
    }

    /// Whether so many windows were opened since that input has to wait: what is still to fire may
    /// double them, and not more.
    #[inline]
    pub fn is_too_much(self, held: usize) -> bool {
        held > (2 * self.before).max(self.before + OPENED_MIN)
    }
}
