//! The keyed window operator: what happens to a late record that is still allowed. Windows that
//! have fired fire again for its key.

use crate::dataflow::{Context, Operator, Pressure, Record, Work};
use crate::metrics::Counter;
use crate::state::Key;
use crate::window::operator::WindowOperator;
use crate::window::{Aggregate, Timing, Windowed};

/// The windows that a late record falls into and that have fired already, from the first that has
/// not fired again.
#[derive(Clone, Copy)]
pub struct Again<K> {
    /// The key of the record.
    pub key: K,
    /// Where the next of them ends.
    pub end: i64,
    /// Where the last of them ends.
    pub last: i64,
}

impl<K, T, A, N> WindowOperator<K, T, A, N>
where
    K: Key,
    T: 'static,
    A: Aggregate<T>,
    N: Operator<Windowed<K, A::Out>>,
{
    /// Late but allowed: the windows that have fired already fire again for the key of the record,
    /// while there is room and some budget of slices to look at is left.
    #[cold]
    pub(super) fn fire_again(&mut self, cx: &mut Context) -> Work {
        let watermark = self.watermark.at.0;
        let (mut fired, mut left) = (0, self.settings.fire_max);
        while let Some(Again { key, end, last }) = self.again {
            if left == 0 || self.next.pressure() == Pressure::Full {
                break;
            }
            if end.saturating_add(self.settings.lateness_ns) > watermark {
                left = left.saturating_sub(self.emit_again(key, end, cx));
                fired += 1;
            }
            let following = self.settings.cuts.end_after(end);
            let more = following != end && following <= watermark && following <= last;
            self.again = more.then_some(Again { key, end: following, last });
        }
        Work(fired)
    }

    /// Emits the window that ends at `end` for one key; says how many slices it has.
    fn emit_again(&mut self, key: K, end: i64, cx: &mut Context) -> usize {
        let span = self.settings.cuts.window(end);
        let mut acc = A::Acc::default();
        let panes = self.panes.due_at(end);
        for index in panes.clone() {
            if let Some(part) = self.panes.get(index).table.get(key) {
                self.aggregate.combine(&mut acc, part);
            }
        }
        let value = self.aggregate.finish(&acc);
        cx.count(Counter::WindowsFired, 1);
        let timing = Timing::Late(self.revision(key, end));
        let record = Record::new(span.end.offset(-1), Windowed { key, span, value, timing });
        self.next.on_record(record, cx);
        panes.len()
    }

    /// The number of this revision of a window and key, counted from 1.
    fn revision(&mut self, key: K, end: i64) -> u32 {
        if self.revisions.find(end).is_none() {
            self.revisions.open(end, end, end, end);
        }
        let table = &mut self.revisions.recent_mut().table;
        let before = table.len();
        let revisions = table.entry(key);
        *revisions = revisions.saturating_add(1);
        let number = *revisions;
        self.held += table.len() - before;
        number
    }

    /// Forgets the revisions of windows that will not have another.
    pub(super) fn retire_revisions(&mut self) {
        while let Some(end) = self.revisions.oldest_expires()
            && self.is_expired(end)
        {
            self.held -= self.revisions.retire_oldest();
        }
    }
}
