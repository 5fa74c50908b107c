//! A process function whose records say what it is to do, and a model of everything around it:
//! plain maps, one thing after the other.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use millstream::operators::{HeapContext, Order, ProcessHeap};
use millstream::time::WatermarkStrategy;
use millstream::{KeyContext, Process, Timer, Timestamp, Watermarks};

use super::Said;
use super::model::Row;

/// Rows of this key are no records: each is a watermark.
pub const MARK: u64 = u64::MAX;

pub fn mark(at: i64) -> Row {
    Row { at, key: MARK, value: 0 }
}

pub fn is_record(row: &Row) -> bool {
    row.key != MARK
}

/// Watermarks where the marks are.
pub fn by_marks() -> Watermarks<impl WatermarkStrategy<Row>> {
    Watermarks::punctuated(|row: &Row| (!is_record(row)).then_some(Timestamp(row.at)))
}

/// A script in which each mark ends its batch, so that the watermark comes right behind it.
pub fn said(rows: &[Row]) -> Vec<Said<Row>> {
    let mut said = Vec::new();
    for row in rows {
        said.push(Said::Record(row.at, *row));
        if !is_record(row) {
            said.push(Said::Watermark(row.at));
        }
    }
    said
}

/// What the machine keeps for a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    pub count: i64,
    pub sum: i64,
    pub last: i64,
}

/// Key, what happened, a number that goes with it, and the count and the sum of the key.
pub type Told = (u64, u8, i64, i64, i64);

/// What the machine can ask for: of the engine, or of the model.
pub trait Power {
    fn key(&self) -> u64;
    fn at(&self) -> i64;
    fn watermark(&self) -> i64;
    fn get(&mut self) -> Option<Memory>;
    fn state(&mut self) -> &mut Memory;
    fn clear(&mut self);
    fn set(&mut self, at: i64, tag: u16) -> bool;
    fn cancel(&mut self, at: i64, tag: u16) -> bool;
    fn is_set(&mut self, at: i64, tag: u16) -> bool;
    fn emit(&mut self, told: Told);
}

fn tell(power: &mut impl Power, what: u8, number: i64) {
    let Memory { count, sum, .. } = power.get().unwrap_or_default();
    power.emit((power.key(), what, number, count, sum));
}

/// What the machine does for a record: its value is the order.
pub fn obey(power: &mut impl Power, row: Row) {
    let (order, n) = (row.value.rem_euclid(9), row.value.rem_euclid(64));
    let before = power.get();
    match order {
        0 => _ = power.set(row.at.saturating_add(n), 0),
        1 => _ = power.set(row.at.saturating_sub(n), 1),
        2 => {
            let last = before.unwrap_or_default().last;
            let cancelled = power.cancel(last, 0);
            tell(power, 2, i64::from(cancelled));
            power.set(row.at.saturating_add(20), 0);
        }
        3 => power.clear(),
        4 => {
            // The same timer twice, and one that differs in its tag.
            let at = row.at.saturating_add(10);
            let new = [power.set(at, 0), power.set(at, 0), power.set(at, 2)];
            tell(power, 4, new.iter().map(|new| i64::from(*new)).sum());
        }
        5 => (0..3).for_each(|m| tell(power, 5, m)),
        6 => (0..n).for_each(|m| _ = power.set(row.at.saturating_add(3 * m), 3)),
        7 => {
            let gone = (0..64).filter(|m| power.cancel(row.at.saturating_add(*m), 3)).count();
            let left = (0..64).filter(|m| power.is_set(row.at.saturating_add(-*m), 3)).count();
            tell(power, 7, (gone * 100 + left) as i64);
        }
        _ => (),
    }
    if order != 3 && order != 5 {
        let memory = power.state();
        memory.count += 1;
        memory.last = row.at.saturating_add(n);
    }
    let watermark = power.watermark();
    tell(power, 10, watermark);
}

/// What the machine does when a timer fires.
pub fn wake(power: &mut impl Power, at: i64, tag: u16) {
    let memory = power.state();
    memory.sum += 1;
    let sum = memory.sum;
    assert_eq!(power.at(), at);
    tell(power, 20 + tag as u8, at);
    if sum % 5 == 0 {
        power.set(at.saturating_add(7), 0);
    }
    if sum % 7 == 0 {
        power.set(at.saturating_sub(3), 1);
    }
    if sum % 11 == 0 {
        power.clear();
    }
}

/// The machine as the engine runs it, with its memory in a table or on the heap; its records may
/// come in the order of time.
pub struct Machine<const BY_TIME: bool>;

impl<const BY_TIME: bool> Process for Machine<BY_TIME> {
    type Key = u64;
    type In = Row;
    type State = Memory;
    type Out = Told;

    const ORDER: Order = if BY_TIME { Order::Time } else { Order::Arrival };

    fn on_record(&mut self, row: Row, ctx: &mut KeyContext<'_, Self>) {
        assert_eq!((ctx.key(), ctx.at().0), (row.key, row.at));
        obey(ctx, row);
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyContext<'_, Self>) {
        assert!(!KeyContext::is_set(ctx, timer), "one that fires is no longer set");
        wake(ctx, timer.at.0, timer.tag);
    }
}

impl<const BY_TIME: bool> Power for KeyContext<'_, Machine<BY_TIME>> {
    fn key(&self) -> u64 {
        KeyContext::key(self)
    }
    fn at(&self) -> i64 {
        KeyContext::at(self).0
    }
    fn watermark(&self) -> i64 {
        // In the order of time all but the watermark is exact.
        if BY_TIME { 0 } else { KeyContext::watermark(self).0 }
    }
    fn get(&mut self) -> Option<Memory> {
        KeyContext::get(self).copied()
    }
    fn state(&mut self) -> &mut Memory {
        KeyContext::state(self)
    }
    fn clear(&mut self) {
        KeyContext::clear(self);
    }
    fn set(&mut self, at: i64, tag: u16) -> bool {
        self.set_timer(Timer::at(Timestamp(at)).tagged(tag))
    }
    fn cancel(&mut self, at: i64, tag: u16) -> bool {
        self.cancel_timer(Timer::at(Timestamp(at)).tagged(tag))
    }
    fn is_set(&mut self, at: i64, tag: u16) -> bool {
        KeyContext::is_set(self, Timer::at(Timestamp(at)).tagged(tag))
    }
    fn emit(&mut self, told: Told) {
        KeyContext::emit(self, told);
    }
}

impl<const BY_TIME: bool> ProcessHeap for Machine<BY_TIME> {
    type Key = u64;
    type In = Row;
    type State = Box<Memory>;
    type Out = Told;

    const ORDER: Order = if BY_TIME { Order::Time } else { Order::Arrival };

    fn on_record(&mut self, row: Row, ctx: &mut HeapContext<'_, '_, Self>) {
        obey(ctx, row);
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut HeapContext<'_, '_, Self>) {
        wake(ctx, timer.at.0, timer.tag);
    }
}

impl<const BY_TIME: bool> Power for HeapContext<'_, '_, Machine<BY_TIME>> {
    fn key(&self) -> u64 {
        KeyContext::key(self)
    }
    fn at(&self) -> i64 {
        KeyContext::at(self).0
    }
    fn watermark(&self) -> i64 {
        if BY_TIME { 0 } else { KeyContext::watermark(self).0 }
    }
    fn get(&mut self) -> Option<Memory> {
        HeapContext::get(self).map(|memory| **memory)
    }
    fn state(&mut self) -> &mut Memory {
        HeapContext::state(self)
    }
    fn clear(&mut self) {
        HeapContext::clear(self);
    }
    fn set(&mut self, at: i64, tag: u16) -> bool {
        self.set_timer(Timer::at(Timestamp(at)).tagged(tag))
    }
    fn cancel(&mut self, at: i64, tag: u16) -> bool {
        self.cancel_timer(Timer::at(Timestamp(at)).tagged(tag))
    }
    fn is_set(&mut self, at: i64, tag: u16) -> bool {
        KeyContext::is_set(self, Timer::at(Timestamp(at)).tagged(tag))
    }
    fn emit(&mut self, told: Told) {
        KeyContext::emit(self, told);
    }
}

/// How long state lives in the model.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    pub span: i64,
    pub on_read: bool,
}

/// Everything around the machine.
#[derive(Default)]
struct Model {
    life: Option<Life>,
    /// The state of a key, and the first instant at which it is gone.
    memory: BTreeMap<u64, (Memory, i128)>,
    /// In the order in which they fire: by time, then by when they were set.
    timers: BTreeMap<(i64, u64), (u64, u16)>,
    set: BTreeSet<(u64, i64, u16)>,
    ever_set: u64,
    /// Records that wait, if they come in the order of time; ties as they came.
    early: BTreeMap<(i64, usize), Row>,
    by_time: bool,
    /// The key in hand, its time, and the time that lives are counted by.
    call: (u64, i64, i64),
    watermark: i64,
    /// The watermark before the timers that fire.
    before: i64,
    out: Vec<(i64, Told)>,
}

impl Model {
    fn renew(&mut self) {
        let (key, _, now) = self.call;
        let end = self.life.map_or(i128::MAX, |life| i128::from(now) + i128::from(life.span));
        if let Some((_, until)) = self.memory.get_mut(&key) {
            *until = end.max(*until);
        }
    }

    fn expire(&mut self) {
        let (key, _, now) = self.call;
        if self.memory.get(&key).is_some_and(|(_, until)| *until <= now.into()) {
            self.memory.remove(&key);
        }
    }

    /// Does all that the watermark has passed, in the order of time, timers before records.
    fn settle(&mut self) {
        loop {
            let timer = self.timers.first_key_value().map(|(timer, what)| (*timer, *what));
            let timer = timer.filter(|((at, _), _)| *at <= self.watermark);
            let record = self.early.first_key_value().map(|(place, row)| (*place, *row));
            let is_end = self.watermark == i64::MAX;
            let record = record.filter(|((at, _), _)| *at < self.watermark || is_end);
            match (timer, record) {
                (Some(((at, number), what)), record) if record.is_none_or(|r| at <= r.0.0) => {
                    self.timers.remove(&(at, number));
                    self.fire(at, what);
                }
                (_, Some((place, row))) => {
                    self.early.remove(&place);
                    self.take(row);
                }
                _ => break,
            }
        }
        self.before = self.watermark;
    }

    fn fire(&mut self, at: i64, (key, tag): (u64, u16)) {
        self.set.remove(&(key, at, tag));
        self.call = (key, at, at.max(self.before));
        wake(self, at, tag);
    }

    fn take(&mut self, row: Row) {
        self.call = (row.key, row.at, row.at.max(self.before));
        obey(self, row);
    }

    fn advance(&mut self, watermark: i64) {
        self.watermark = self.watermark.max(watermark);
        self.settle();
    }
}

impl Power for Model {
    fn key(&self) -> u64 {
        self.call.0
    }
    fn at(&self) -> i64 {
        self.call.1
    }
    fn watermark(&self) -> i64 {
        if self.by_time { 0 } else { self.watermark }
    }
    fn get(&mut self) -> Option<Memory> {
        self.expire();
        if self.life.is_some_and(|life| life.on_read) {
            self.renew();
        }
        self.memory.get(&self.call.0).map(|(memory, _)| *memory)
    }
    fn state(&mut self) -> &mut Memory {
        self.expire();
        self.memory.entry(self.call.0).or_insert((Memory::default(), i128::MIN));
        self.renew();
        &mut self.memory.entry(self.call.0).or_default().0
    }
    fn clear(&mut self) {
        self.memory.remove(&self.call.0);
    }
    fn set(&mut self, at: i64, tag: u16) -> bool {
        let key = self.call.0;
        let new = self.set.insert((key, at, tag));
        if new {
            self.timers.insert((at, self.ever_set), (key, tag));
            self.ever_set += 1;
        }
        new
    }
    fn cancel(&mut self, at: i64, tag: u16) -> bool {
        let key = self.call.0;
        self.timers.retain(|(when, _), what| (*when, *what) != (at, (key, tag)));
        self.set.remove(&(key, at, tag))
    }
    fn is_set(&mut self, at: i64, tag: u16) -> bool {
        self.set.contains(&(self.call.0, at, tag))
    }
    fn emit(&mut self, told: Told) {
        self.out.push((self.call.1, told));
    }
}

/// What the machine makes of rows and marks.
pub fn machine(rows: &[Row], life: Option<Life>) -> Vec<(i64, Told)> {
    let (watermark, before) = (i64::MIN, i64::MIN);
    let mut model = Model { life, watermark, before, ..Model::default() };
    for row in rows {
        if is_record(row) {
            model.take(*row);
            model.settle();
        } else {
            model.advance(row.at);
        }
    }
    model.advance(i64::MAX);
    model.out
}

/// What it makes of rows, each with the watermark before it, when they come in the order of time.
pub fn machine_by_time(
    rows: impl IntoIterator<Item = (Row, i64)>,
    life: Option<Life>,
) -> Vec<(i64, Told)> {
    let (watermark, before) = (i64::MIN, i64::MIN);
    let mut model = Model { life, watermark, before, by_time: true, ..Model::default() };
    for (number, (row, watermark)) in rows.into_iter().enumerate() {
        model.advance(watermark);
        if row.at < watermark {
            model.take(row);
            model.settle();
        } else {
            model.early.insert((row.at, number), row);
        }
    }
    model.advance(i64::MAX);
    model.out
}
