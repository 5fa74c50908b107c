//! One of the two inputs of an interval join.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::dataflow::{Batch, Context, KeyColumn, Operator, Record, Saved};
use crate::exchange::{LateRecords, Side};
use crate::join::bound::Interval;
use crate::join::interval::FanOut;
use crate::join::interval::operator::Settings;
use crate::join::kept::{Kept, Look, Seen};
use crate::join::outlet::Outlet;
use crate::join::pane::Entry;
use crate::metrics::Counter;
use crate::state::{Key, NONE, Stored, TOGETHER};
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
    /// The runs that the next records are about, and their looks.
    runs: Vec<(K, i64)>,
    looks: Vec<Look<K>>,
    /// Their numbers among what is kept; [`NONE`] of one that is late.
    numbers: Vec<u32>,
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
    /// Those that arrived behind it: key, time and number among what is kept.
    waiting: VecDeque<(K, Timestamp, u32)>,
}

/// A record on the look-out for partners.
struct Open<K> {
    at: Timestamp,
    /// Its number among what is kept.
    number: u32,
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
        let Settings { hash_seed, records_max, .. } = *settings;
        let reach = part.partners.reach().saturating_add(lateness_ns.unsigned_abs());
        Self {
            name: settings.name,
            part,
            lateness_ns,
            fan_out: settings.fan_out,
            keys,
            column: Vec::with_capacity(settings.batch_max),
            runs: Vec::with_capacity(TOGETHER),
            looks: Vec::with_capacity(TOGETHER),
            numbers: Vec::with_capacity(TOGETHER),
            kept: Kept::new(hash_seed, part.partners.length(), reach, records_max),
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

    /// Takes a batch: each record that is not late is kept and looks for partners.
    ///
    /// Records are kept some together, before the first of them looks: the other input takes none
    /// before all have looked, so each pair is still found once.
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
            self.begin(keys, records, other);
            self.keep(keys, records, reached, cx);
            for (place, (&key, &Record { at, .. })) in keys.iter().zip(records).enumerate() {
                let (number, look) = (self.numbers[place], &self.looks[place]);
                if number == NONE || look.is_at_end() {
                    continue;
                }
                if self.holds() {
                    self.waiting.push_back((key, at, number));
                } else {
                    let open = Open { at, number, look: *look, pairs: 0 };
                    self.look(open, other, out, cx, &mut meet);
                }
            }
        }
        self.column = column;
    }

    /// Goes on with what was cut short; returns how many records were opened.
    pub fn go_on<O: Copy + Stored, Out, N: Operator<Out>>(
        &mut self,
        other: &mut Input<K, O>,
        out: &mut Outlet<N>,
        cx: &mut Context,
        mut meet: impl FnMut(&mut Entry<T>, &mut Entry<O>) -> Option<Record<Out>>,
    ) -> u64 {
        let mut opened = 0;
        let Interval { from, to } = self.part.partners;
        let mut next = self.open.take();
        while let Some(open) = next {
            self.look(open, other, out, cx, &mut meet);
            if self.open.is_some() {
                break;
            }
            next = self.waiting.pop_front().map(|(key, at, number)| {
                opened += 1;
                let look = other.kept.look(key, at.offset(from), at.offset(to));
                Open { at, number, look, pairs: 0 }
            });
        }
        opened
    }

    /// Begins the looks of the next records.
    fn begin<O: Copy + Stored>(&mut self, keys: &[K], records: &[Record<T>], other: &Input<K, O>) {
        let Interval { from, to } = self.part.partners;
        let wanted = keys.iter().zip(records).map(|(key, record)| {
            let at = record.at;
            (*key, at.offset(from), at.offset(to))
        });
        other.kept.begin(wanted, &mut self.looks, &mut self.runs);
    }

    /// Keeps the next records, but those that are late.
    fn keep(&mut self, keys: &[K], records: &[Record<T>], reached: Timestamp, cx: &mut Context) {
        let least = Timestamp(reached.0.saturating_sub(self.lateness_ns));
        let times = records.iter().map(|record| record.at);
        let (first, last) = times.fold((Timestamp::MAX, Timestamp::MIN), |(first, last), at| {
            (first.min(at), last.max(at))
        });
        self.numbers.clear();
        let begin = match first >= least {
            true => self.kept.add_all(keys, records, (first, last), &mut self.runs),
            false => None,
        };
        match begin {
            Some(begin) => {
                self.numbers.extend(begin..begin + records.len() as u32);
                self.has_past |= first <= self.past;
            }
            None => self.keep_each(keys, records, least, cx),
        }
        if self.part.alone {
            let numbered = records.iter().zip(&self.numbers).filter(|(_, number)| **number != NONE);
            numbered.for_each(|(record, number)| self.alone.set(record.at.0, *number));
        }
    }

    /// One by one: some are late, or do not belong with the others.
    fn keep_each(&mut self, keys: &[K], records: &[Record<T>], least: Timestamp, cx: &mut Context) {
        let pairs = keys.iter().copied().zip(records.iter().map(|record| record.at));
        self.kept.warm(pairs, &mut self.runs);
        for (&key, &record) in keys.iter().zip(records) {
            let number = if record.at < least {
                self.late.count_and_send(record, cx);
                NONE
            } else {
                self.has_past |= record.at <= self.past;
                self.kept.add(key, record.at, record.value)
            };
            self.numbers.push(number);
        }
    }

    /// Lets a record meet its partners; if there is no room for all it stays open.
    #[inline]
    fn look<O: Copy + Stored, Out, N: Operator<Out>>(
        &mut self,
        mut open: Open<K>,
        other: &mut Input<K, O>,
        out: &mut Outlet<N>,
        cx: &mut Context,
        meet: &mut impl FnMut(&mut Entry<T>, &mut Entry<O>) -> Option<Record<Out>>,
    ) {
        let own = self.kept.entry_at(open.at, open.number);
        loop {
            if !out.has_room(cx) || !out.may_work() {
                self.open = Some(open);
                return;
            }
            match other.kept.see(&mut open.look) {
                Seen::Passed => {}
                Seen::End => return,
                Seen::Record(partner) => {
                    if let Some(pair) = meet(own, partner) {
                        open.pairs += 1;
                        match self.fan_out.allows(self.name, open.pairs, cx) {
                            true => out.emit(pair, cx),
                            false => cx.count(Counter::PairsDropped, 1),
                        }
                    }
                    if self.part.one_is_enough {
                        return;
                    }
                }
            }
        }
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
        out.at_rest(self.name, !self.holds(), "looks for partners");
        out.put(self.name, &self.kept);
        out.put(self.name, &self.alone);
        out.put(self.name, &self.past);
        self.late.save(out);
    }

    /// Takes it from a snapshot.
    pub fn load(&mut self, from: &mut Saved) {
        let pane_min = self.kept.pane_min;
        from.rescale(self.name, &mut self.kept);
        self.kept.pane_min = pane_min;
        from.take_unless_shared(self.name, &mut self.alone);
        from.rescale_alike(self.name, &mut self.past);
        if from.shares().is_some() && self.part.alone {
            let Self { kept, alone, past, .. } = self;
            let ahead = kept.numbered().filter(|(_, entry)| !entry.matched && entry.at > *past);
            ahead.for_each(|(number, entry)| alone.set(entry.at.0, number));
        }
        self.late.load(from);
    }
}
