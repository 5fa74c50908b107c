//! Putting a record into one window of its key.

use crate::dataflow::Record;
use crate::time::Deadlines;
use crate::time::Timestamp;
use crate::window::Windowed;
use crate::window::trigger::condition::{Moment, Trigger};
use crate::window::trigger::contents::Contents;
use crate::window::trigger::operator::Settings;
use crate::window::trigger::slot::{Slot, Wall};

/// What a record needs, beside the window itself, to be put into it.
pub struct Putting<'a, K, G, C> {
    /// What the operator is told.
    pub settings: &'a Settings,
    /// The trigger to ask.
    pub trigger: &'a G,
    /// What keeps the record.
    pub contents: &'a mut C,
    /// The ends of windows.
    pub ends: &'a mut Deadlines<(K, i64)>,
    /// What triggers ask for by processing time.
    pub wall: &'a mut Wall<K>,
    /// How far event time has come.
    pub watermark: Timestamp,
    /// Processing time.
    pub now: Timestamp,
}

impl<K: Copy, G, C> Putting<'_, K, G, C> {
    /// Puts a record into the window of its key that ends at `end`; returns the result if the
    /// trigger says so.
    #[inline]
    pub fn put<T>(
        &mut self,
        slot: &mut Slot<C::Held, G::State>,
        record: &Record<T>,
        (key, end): (K, i64),
    ) -> Option<Record<Windowed<K, C::Out>>>
    where
        G: Trigger<T>,
        C: Contents<K, T>,
    {
        let Self { settings, trigger, contents, .. } = self;
        let span = settings.shape.window(end);
        let moment = Moment { span, watermark: self.watermark, now: self.now };
        if !slot.is_open {
            (slot.is_open, slot.is_over) = (true, moment.is_over());
            (slot.armed, slot.latest) = (i64::MAX, record.at.0);
            let due = if slot.is_over { settings.closes(end) } else { end };
            self.ends.set(due, (key, end));
        }
        contents.add(&mut slot.held, record);
        slot.records += 1;
        slot.latest = slot.latest.max(record.at.0);
        let mut verdict = trigger.on_record(&mut slot.state, record, &moment);
        verdict.fire |= settings.fires_at_end && slot.is_over;
        let is_global = settings.shape.is_global();
        let result = slot.settle(verdict, false, *contents, key, &moment, is_global);
        self.wall.arm(*trigger, slot, (key, end), &moment);
        result
    }
}
