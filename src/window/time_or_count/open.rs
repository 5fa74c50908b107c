//! The open window of a key: by how much it is full, and when it ends.

use serde::{Deserialize, Serialize};

use crate::dataflow::Record;
use crate::time::Timestamp;
use crate::window::trigger::Contents;
use crate::window::{Span, Timing, Windowed};

/// The window of a key, while there is one, and when somebody looks at the key.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub struct Open<H> {
    /// What is kept of its records.
    pub held: H,
    /// Records in it; 0 where there is no window.
    count: u32,
    earliest: Timestamp,
    latest: Timestamp,
    /// When it is over, full or not.
    pub end: i64,
    /// When somebody looks at the key: not later than its window ends, often earlier, because a
    /// window that was full before does not take its own time back.
    pub armed: Option<i64>,
}

/// What became of a record.
pub enum Taken {
    /// It is in the window, which was open.
    Joined,
    /// It has opened a window.
    Opened,
    /// It was the last one that the window wanted.
    Filled,
    /// It was late.
    Late,
}

impl<H: Copy + Default> Open<H> {
    /// Whether there is a window.
    #[inline(always)]
    pub const fn is_open(&self) -> bool {
        self.count > 0
    }

    /// Whether there is a window whose time is up, for a record at `at` or by the watermark. At the
    /// end of time a window holds its last instant too.
    #[inline(always)]
    pub fn is_over(&self, at: Timestamp, watermark: i64) -> bool {
        let passed = at.0.max(watermark);
        self.is_open() && self.end <= passed && (self.end < i64::MAX || watermark == i64::MAX)
    }

    /// Takes a record into the window, or opens one, unless it is late: then one that begins with
    /// it would be over.
    #[inline]
    pub fn take<K, T, C: Contents<K, T, Held = H>>(
        &mut self,
        contents: &mut C,
        record: &Record<T>,
        [after, watermark]: [i64; 2],
        records: u32,
    ) -> Taken {
        let is_new = !self.is_open();
        if is_new {
            let end = record.at.0.saturating_add(after);
            if end <= watermark {
                return Taken::Late;
            }
            self.end = end;
            (self.earliest, self.latest) = (record.at, record.at);
        }
        self.count += 1;
        self.earliest = self.earliest.min(record.at);
        self.latest = self.latest.max(record.at);
        contents.add(&mut self.held, record);
        match () {
            () if self.count >= records => Taken::Filled,
            () if is_new => Taken::Opened,
            () => Taken::Joined,
        }
    }

    /// The result of a window that is full; there is none any more.
    #[inline]
    pub fn fill<K, T, C>(&mut self, contents: &mut C, key: K) -> Record<Windowed<K, C::Out>>
    where
        C: Contents<K, T, Held = H>,
    {
        let span = Span { start: self.earliest, end: self.latest.offset(1) };
        self.close(contents, key, span)
    }

    /// The result of a window whose time is up; there is none any more.
    #[inline]
    pub fn end<K, T, C>(&mut self, contents: &mut C, key: K) -> Record<Windowed<K, C::Out>>
    where
        C: Contents<K, T, Held = H>,
    {
        self.close(contents, key, self.span())
    }

    /// From its earliest record to its end.
    pub const fn span(&self) -> Span {
        Span { start: self.earliest, end: Timestamp(self.end) }
    }

    #[inline]
    fn close<K, T, C>(
        &mut self,
        contents: &mut C,
        key: K,
        span: Span,
    ) -> Record<Windowed<K, C::Out>>
    where
        C: Contents<K, T, Held = H>,
    {
        let value = contents.result(&key, span, &mut self.held);
        contents.clear(&mut self.held);
        self.count = 0;
        Record::new(span.end.offset(-1), Windowed { key, span, value, timing: Timing::OnTime })
    }
}
