//! One of the two inputs of an interval join.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::dataflow::{Batch, Context, KeyColumn, Operator, Record, Saved};
use crate::exchange::{LateRecords, Side};
use crate::join::bound::Interval;
use crate::join::interval::FanOut;
use crate::join::interval::operator::Settings;
use crate::join::kept::{Kept, Look, Place, Seen};
use crate::join::outlet::Outlet;
use crate::join::pane::Entry;
use crate::metrics::Counter;
use crate::state::{Key, Stored, TOGETHER};
use crate::time::{Deadlines, Popped, Timestamp};

/// How an input takes part in the join.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Where its partners are, after the time of a record of it.
    pub partners: Interval,
    /// Whether its records without partner are results.
    pub alone: bool,
    /// Whether one partner is enough for a record of it.
    pub one_is_enough: bool,
}

/// What one input keeps, and where it looks for partners in the other.
pub struct Input<K: Key, T: Copy> {
    /// How the join is called in errors.
    name: &'static str,
    part: Part,
    lateness_ns: i64,
    fan_out: FanOut,
    keys: Rc<dyn KeyColumn<K, T>>,
    /// The keys of the batch in hand.
    column: Vec<K>,
    /// The runs that the next records are about.
    runs: Vec<(K, i64)>,
    pub kept: Kept<K, T>,
    /// When it is known of a record that it stays alone, by its time. Empty where nobody wants to
    /// know.
    alone: Deadlines<u32>,
    /// Records up to here can meet no more partners.
    past: Timestamp,
    /// One of those has come since.
    has_past: bool,
    pub late: LateRecords<T>,
    /// A record that has not met all its partners yet.
    open: Option<Open<K>>,
    /// Those that arrived behind it.
    waiting: VecDeque<(K, Record<T>)>,
}

/// A record on the look-out for partners.
struct Open<K> {
    place: Place,
    look: Look<K>,
    /// Pairs it has made.
    pairs: usize,
}

impl<K: Key, T: Copy + Stored> Input<K, T> {
    /// An input that keeps nothing yet.
    pub fn new(
        settings: &Settings,
        part: Part,
        lateness_ns: i64,
        keys: Rc<dyn KeyColumn<K, T>>,
        late: Option<Side<T>>,
    ) -> Self {
        Self {
            name: settings.name,
            part,
            lateness_ns,
            fan_out: settings.fan_out,
            keys,
            column: Vec::with_capacity(settings.batch_max),
            runs: Vec::with_capacity(TOGETHER),
            kept: Kept::new(settings.hash_seed, part.partners.length(), part.partners.reach()),
            alone: Deadlines::new(),
            past: Timestamp::MIN,
            has_past: false,
            late: LateRecords::new(late, settings.batch_max),
            open: None,
            waiting: VecDeque::with_capacity(settings.batch_max),
        }
    }

    /// Whether what arrives has to wait.
    #[inline(always)]
    pub fn holds(&self) -> bool {
        self.open.is_some() || !self.waiting.is_empty()
    }

    /// The other input has come to `other`, and so some records can meet no more partners. Returns
    /// the first time at which one still can.
    #[inline]
    pub fn other_reached(&mut self, other: Timestamp) -> Timestamp {
        if other == Timestamp::MIN || other == Timestamp::MAX {
            self.past = other;
            return other;
        }
        let first = other.0.saturating_sub(self.lateness_ns).saturating_sub(self.part.partners.to);
        self.past = Timestamp(first.saturating_sub(1));
        Timestamp(first)
    }

    /// Whether records have come, since this was asked last, that can meet no partner any more.
    #[inline]
    pub fn takes_past(&mut self) -> bool {
        std::mem::take(&mut self.has_past)
    }

    /// Takes a batch: each record is kept and looks for partners.
    pub fn take<O: Copy + Stored, Out, N: Operator<Out>>(
        &mut self,
        batch: Batch<'_, T>,
        reached: Timestamp,
        other: &mut Input<K, O>,
        out: &mut Outlet<N>,
        cx: &mut Context,
        mut meet: impl FnMut(&mut Entry<T>, &mut Entry<O>) -> Option<Record<Out>>,
    ) {
        let mut column = std::mem::take(&mut self.column);
        self.keys.extract(batch.as_slice(), &mut column);
        for (keys, records) in column.chunks(TOGETHER).zip(batch.as_slice().chunks(TOGETHER)) {
            self.warm(keys, records, other);
            for (&key, &record) in keys.iter().zip(records) {
                if self.holds() {
                    self.waiting.push_back((key, record));
                } else {
                    self.open(key, record, reached, other, cx);
                    self.look(other, out, cx, &mut meet);
                }
            }
        }
        self.column = column;
    }

    /// Goes on with what was cut short; returns how many records were opened.
    pub fn go_on<O: Copy + Stored, Out, N: Operator<Out>>(
        &mut self,
        reached: Timestamp,
        other: &mut Input<K, O>,
        out: &mut Outlet<N>,
        cx: &mut Context,
        mut meet: impl FnMut(&mut Entry<T>, &mut Entry<O>) -> Option<Record<Out>>,
    ) -> u64 {
        let mut opened = 0;
        while self.look(other, out, cx, &mut meet) {
            let Some((key, record)) = self.waiting.pop_front() else { break };
            self.open(key, record, reached, other, cx);
            opened += 1;
        }
        opened
    }

    /// Starts loading the runs that the next records will be kept in, and those they will look
    /// through.
    fn warm<O: Copy + Stored>(&mut self, keys: &[K], records: &[Record<T>], other: &Input<K, O>) {
        let Self { runs, kept, part: Part { partners, .. }, .. } = self;
        let pairs = || keys.iter().copied().zip(records.iter().map(|record| record.at));
        kept.warm(pairs(), runs);
        for end in [partners.from, partners.to] {
            other.kept.warm(pairs().map(|(key, at)| (key, at.offset(end))), runs);
        }
    }

    /// Keeps a record and lets it begin to look for partners, unless it is late.
    #[inline]
    fn open<O: Copy + Stored>(
        &mut self,
        key: K,
        record: Record<T>,
        reached: Timestamp,
        other: &Input<K, O>,
        cx: &mut Context,
    ) {
        let Record { at, value } = record;
        if at.0 < reached.0.saturating_sub(self.lateness_ns) {
            self.late.count_and_send(record, cx);
            return;
        }
        let place = self.kept.add(key, at, value);
        self.has_past |= at <= self.past;
        if self.part.alone {
            self.alone.set(at.0, place.entry());
        }
        let Interval { from, to } = self.part.partners;
        let look = other.kept.look(key, at.offset(from), at.offset(to));
        self.open = Some(Open { place, look, pairs: 0 });
    }

    /// Lets the open record meet its partners; true when it has met them all.
    #[inline]
    fn look<O: Copy + Stored, Out, N: Operator<Out>>(
        &mut self,
        other: &mut Input<K, O>,
        out: &mut Outlet<N>,
        cx: &mut Context,
        meet: &mut impl FnMut(&mut Entry<T>, &mut Entry<O>) -> Option<Record<Out>>,
    ) -> bool {
        let Some(open) = &mut self.open else { return true };
        let own = self.kept.entry_mut(open.place);
        loop {
            if !out.has_room(cx) || !out.may_work() {
                return false;
            }
            match other.kept.see(&mut open.look) {
                Seen::Passed => {}
                Seen::End => break,
                Seen::Record(place) => {
                    if let Some(pair) = meet(own, other.kept.entry_mut(place)) {
                        open.pairs += 1;
                        match self.fan_out.allows(self.name, open.pairs, cx) {
                            true => out.emit(pair, cx),
                            false => cx.count(Counter::PairsDropped, 1),
                        }
                    }
                    if self.part.one_is_enough {
                        break;
                    }
                }
            }
        }
        self.open = None;
        true
    }

    /// One unit of work on what is past: a record that stayed alone, or one that is dropped. Says
    /// whether there was any.
    pub fn act(&mut self, mut stays_alone: impl FnMut(Timestamp, &T)) -> bool {
        let past = self.past;
        if past == Timestamp::MIN {
            return false;
        }
        if self.part.alone {
            match self.alone.pop(past.0) {
                Popped::Due(at, entry) => {
                    let entry = self.kept.entry_at(Timestamp(at), entry);
                    if !entry.matched {
                        stays_alone(entry.at, &entry.value);
                    }
                    return true;
                }
                Popped::Moved => return true,
                Popped::Nothing => {}
            }
        }
        self.kept.drop_past(past)
    }

    /// Puts into a snapshot what it keeps; nothing may wait.
    pub fn save(&self, out: &mut Saved) {
        out.at_rest("interval join", !self.holds(), "looks for partners");
        out.put("interval join", &self.kept);
        out.put("interval join", &self.alone);
        out.put("interval join", &self.past);
        self.late.save(out);
    }

    /// Takes it from a snapshot.
    pub fn load(&mut self, from: &mut Saved) {
        from.rescale("interval join", &mut self.kept);
        from.take_unless_shared("interval join", &mut self.alone);
        from.rescale_alike("interval join", &mut self.past);
        if from.shares().is_some() && self.part.alone {
            let Self { kept, alone, past, .. } = self;
            let ahead = kept.numbered().filter(|(_, entry)| !entry.matched && entry.at > *past);
            ahead.for_each(|(number, entry)| alone.set(entry.at.0, number));
        }
        self.late.load(from);
    }
}
