//! A queue from the middle of which things may leave.

/// No place.
pub const NOWHERE: u32 = u32::MAX;

/// A queue in the order of arrival, of which any place can be taken out, in places that are used
/// again. It takes memory for as many as ever waited together, which its user bounds.
pub struct Line<I> {
    places: Vec<Place<I>>,
    free: u32,
    first: u32,
    last: u32,
}

struct Place<I> {
    /// `None` if the place is free; `after` then leads to the next free one.
    item: Option<I>,
    before: u32,
    after: u32,
}

impl<I> Line<I> {
    /// Nobody waits; there is room for so many.
    pub fn new(room: usize) -> Self {
        Self { places: Vec::with_capacity(room), free: NOWHERE, first: NOWHERE, last: NOWHERE }
    }

    /// Bytes that room for so many takes.
    pub const fn bytes(room: usize) -> usize {
        room.saturating_mul(size_of::<Place<I>>())
    }

    /// Whether nobody waits.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.first == NOWHERE
    }

    /// The place of the one who came first; [`NOWHERE`] if nobody waits.
    #[inline(always)]
    pub fn first(&self) -> u32 {
        self.first
    }

    /// The place of the one who came last.
    #[inline(always)]
    pub fn last(&self) -> u32 {
        self.last
    }

    /// The place of the one who came next.
    #[inline(always)]
    pub fn after(&self, place: u32) -> u32 {
        self.places.get(place as usize).map_or(NOWHERE, |place| place.after)
    }

    /// Who waits there.
    #[inline(always)]
    pub fn get(&self, place: u32) -> Option<&I> {
        self.places.get(place as usize)?.item.as_ref()
    }

    /// Who waits there, to be changed.
    #[inline(always)]
    pub fn get_mut(&mut self, place: u32) -> Option<&mut I> {
        self.places.get_mut(place as usize)?.item.as_mut()
    }

    /// Adds one at the end; returns its place.
    pub fn push(&mut self, item: I) -> u32 {
        let new = Place { item: Some(item), before: self.last, after: NOWHERE };
        let at = match self.places.get_mut(self.free as usize) {
            Some(place) => {
                let at = std::mem::replace(&mut self.free, place.after);
                *place = new;
                at
            }
            None => {
                self.places.push(new);
                self.places.len() as u32 - 1
            }
        };
        match self.places.get_mut(self.last as usize) {
            Some(last) => last.after = at,
            None => self.first = at,
        }
        self.last = at;
        at
    }

    /// Takes one out, wherever it is.
    pub fn remove(&mut self, at: u32) -> Option<I> {
        let place = self.places.get_mut(at as usize)?;
        let item = place.item.take()?;
        let (before, after) = (place.before, place.after);
        place.after = std::mem::replace(&mut self.free, at);
        match self.places.get_mut(before as usize) {
            Some(before) => before.after = after,
            None => self.first = after,
        }
        match self.places.get_mut(after as usize) {
            Some(after) => after.before = before,
            None => self.last = before,
        }
        Some(item)
    }

    /// All who wait, in order.
    pub fn iter(&self) -> impl Iterator<Item = &I> {
        let mut at = self.first;
        std::iter::from_fn(move || {
            let item = self.get(at)?;
            at = self.after(at);
            Some(item)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_place_can_leave_and_is_used_again() {
        let mut random = fastrand::Rng::with_seed(3);
        let (mut line, mut model) = (Line::new(4), Vec::<(u32, u64)>::new());
        for n in 0..20_000u64 {
            if model.is_empty() || random.u32(..100) < 50 && model.len() < 9 {
                model.push((line.push(n), n));
            } else {
                let (place, item) = model.remove(random.usize(..model.len()));
                assert_eq!(line.remove(place), Some(item));
                assert_eq!(line.remove(place), None);
            }
            assert!(line.iter().copied().eq(model.iter().map(|(_, item)| *item)));
            assert_eq!(line.is_empty(), model.is_empty());
            assert_eq!(line.last(), model.last().map_or(NOWHERE, |(place, _)| *place));
        }
        assert!(line.places.len() <= 9);
    }
}
