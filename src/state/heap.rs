//! State of any type, each value in a place that does not move.

use crate::memory::Blocks;

/// Values of a type that is not [`State`](super::State), by the places they were given.
///
/// The slower tier of state: a value is one more cache miss away than what is in a table, and what
/// it owns on the heap is more of them. Taking memory is up to the values.
///
/// ```
/// use millstream::state::Heap;
/// let mut names = Heap::new();
/// let place = names.put(vec!["first"]);
/// names.get_mut(place).expect("it is there").push("second");
/// assert_eq!(names.take(place), Some(vec!["first", "second"]));
/// assert_eq!(names.get_mut(place), None);
/// ```
pub struct Heap<V> {
    cells: Blocks<Cell<V>>,
    /// The first cell that is empty.
    free: Option<HeapPlace>,
    len: usize,
}

/// Where a value is in a [`Heap`]: of use while it is there, as others get the place afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeapPlace(usize);

struct Cell<V> {
    value: Option<V>,
    /// The next that is empty, if this one is.
    next: Option<HeapPlace>,
}

impl<V> Default for Heap<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> Heap<V> {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { cells: Blocks::new(), free: None, len: 0 }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts a value in a place.
    pub fn put(&mut self, value: V) -> HeapPlace {
        self.len += 1;
        let value = Some(value);
        match self.free {
            Some(place) => {
                let cell = &mut self.cells[place.0];
                self.free = cell.next;
                cell.value = value;
                place
            }
            None => HeapPlace(self.cells.push(Cell { value, next: None })),
        }
    }

    /// The value in a place, to change it; one that has no place yet gets one, as the default.
    #[inline]
    pub fn entry(&mut self, place: &mut Option<HeapPlace>) -> &mut V
    where
        V: Default,
    {
        let HeapPlace(number) = *place.get_or_insert_with(|| self.put(V::default()));
        self.cells[number].value.get_or_insert_default()
    }

    /// The value in a place, to change it.
    #[inline]
    pub fn get_mut(&mut self, place: HeapPlace) -> Option<&mut V> {
        self.cells.get_mut(place.0)?.value.as_mut()
    }

    /// Takes the value out of its place.
    pub fn take(&mut self, place: HeapPlace) -> Option<V> {
        let cell = self.cells.get_mut(place.0)?;
        let value = cell.value.take()?;
        cell.next = self.free.replace(place);
        self.len -= 1;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_used_again() {
        let mut heap = Heap::new();
        let mut places: Vec<_> = (0..3_000).map(|n| heap.put(n.to_string())).collect();
        for (n, place) in places.iter().enumerate().step_by(2) {
            assert_eq!((heap.take(*place), heap.take(*place)), (Some(n.to_string()), None));
        }
        assert_eq!(heap.len(), 1_500);
        for place in places.iter_mut().step_by(2) {
            *place = heap.put("new".to_owned());
        }
        for (n, place) in places.iter().enumerate() {
            let want = if n % 2 == 0 { "new".to_owned() } else { n.to_string() };
            assert_eq!(heap.get_mut(*place), Some(&mut want.clone()));
        }
        assert_eq!((heap.len(), heap.cells.len()), (3_000, 3_000));
    }
}
