//! Writes under way: begun in order, done in any, and durable up to the first that is not.

use crate::io::journal::sequence::Sequence;
use crate::io::storage::Write;

/// A write of one group.
#[derive(Clone, Copy, Debug)]
struct Flown {
    write: Write,
    end: Sequence,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Flying,
    /// The disk had no room for it; it will be written again.
    Refused,
    Done,
}

/// The groups between the oldest that is not done and the one that is being filled. The slots go
/// round: the group after that of the last slot uses the first.
#[derive(Debug)]
pub struct Flight {
    flown: Vec<Option<Flown>>,
    /// The oldest group that is not done, and the one after the youngest, counted from 0.
    head: u64,
    tail: u64,
    flying: usize,
    refused: usize,
    durable: Sequence,
}

impl Flight {
    /// No write yet; everything before `durable` is.
    pub fn new(slots: usize, durable: Sequence) -> Self {
        let flown = vec![None; slots];
        Self { flown, head: 0, tail: 0, flying: 0, refused: 0, durable }
    }

    /// The slot that the next group would be filled in, if one is free.
    pub fn free_slot(&self) -> Option<usize> {
        let slots = self.flown.len() as u64;
        (self.tail - self.head < slots).then_some((self.tail % slots) as usize)
    }

    /// How many slots are free.
    pub fn free(&self) -> usize {
        self.flown.len() - (self.tail - self.head) as usize
    }

    /// Takes in a write that begins now, of a group that ends before `end`.
    pub fn begin(&mut self, write: Write, end: Sequence) {
        if let Some(place) = self.flown.get_mut(write.slot) {
            *place = Some(Flown { write, end, state: State::Flying });
            self.tail += 1;
            self.flying += 1;
        }
    }

    /// A write is done. Returns whether that made anything durable.
    pub fn done(&mut self, slot: usize) -> bool {
        self.land(slot, State::Done);
        let before = self.head;
        while self.head < self.tail {
            let slots = self.flown.len() as u64;
            let place = self.flown.get_mut((self.head % slots) as usize);
            let Some(landed) = place.filter(|it| it.is_some_and(|it| it.state == State::Done))
            else {
                break;
            };
            self.durable = landed.take().map_or(self.durable, |landed| landed.end);
            self.head += 1;
        }
        self.head > before
    }

    /// A write for which there was no room.
    pub fn refused(&mut self, slot: usize) {
        self.land(slot, State::Refused);
        self.refused += 1;
    }

    /// A write to be tried again, which then counts as begun.
    pub fn again(&mut self) -> Option<Write> {
        let is_refused = |it: &&mut Flown| it.state == State::Refused;
        let flown = self.flown.iter_mut().flatten().find(is_refused)?;
        flown.state = State::Flying;
        self.flying += 1;
        self.refused -= 1;
        Some(flown.write)
    }

    fn land(&mut self, slot: usize, state: State) {
        if let Some(Some(flown)) = self.flown.get_mut(slot)
            && flown.state == State::Flying
        {
            flown.state = state;
            self.flying -= 1;
        }
    }

    /// How many writes are under way.
    pub fn flying(&self) -> usize {
        self.flying
    }

    /// How many wait for room on the disk.
    pub fn waiting(&self) -> usize {
        self.refused
    }

    /// Whether all that was begun is done.
    pub fn is_empty(&self) -> bool {
        self.head == self.tail
    }

    /// Every record before this one is durable.
    pub fn durable(&self) -> Sequence {
        self.durable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(slot: usize) -> Write {
        Write { slot, segment: 0, offset: 4096, bytes: 4096, durable: true }
    }

    #[test]
    fn durable_is_what_has_no_gap() {
        let mut flight = Flight::new(3, Sequence(10));
        for end in [11, 15, 16] {
            let slot = flight.free_slot().unwrap();
            flight.begin(write(slot), Sequence(end));
        }
        assert_eq!((flight.free_slot(), flight.free(), flight.flying()), (None, 0, 3));
        assert!(!flight.done(2) && flight.durable() == Sequence(10));
        assert!(flight.done(0) && flight.durable() == Sequence(11));
        assert_eq!((flight.free_slot(), flight.flying()), (Some(0), 1));
        flight.refused(1);
        assert_eq!((flight.waiting(), flight.flying(), flight.is_empty()), (1, 0, false));
        assert_eq!(flight.again(), Some(write(1)));
        assert_eq!(flight.again(), None);
        assert!(flight.done(1) && flight.durable() == Sequence(16) && flight.is_empty());
        assert!(!flight.done(1), "done twice is done once");
        assert_eq!(flight.durable(), Sequence(16));
    }
}
