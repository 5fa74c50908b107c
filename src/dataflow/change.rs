//! What happened to a row of a table.

use serde::{Deserialize, Serialize};

/// What happened to a row. What was there before is carried along, so that whatever follows can
/// take it back exactly: a group that the row leaves, a join that the row was part of.
///
/// The changes of one key are a chain: the `old` of each is the `new` of the one before, an insert
/// comes where there was nothing and a delete leaves nothing.
///
/// ```
/// use millstream::Change;
/// let change = Change::Update { old: 3, new: 4 };
/// assert_eq!((change.before(), change.after()), (Some(&3), Some(&4)));
/// assert_eq!(Change::between(Some(3), None), Some(Change::Delete(3)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change<V> {
    /// There was no row, and now there is.
    Insert(V),
    /// There was a row, and now it is another.
    Update {
        /// What it was.
        old: V,
        /// What it is now.
        new: V,
    },
    /// There was a row, and now there is none.
    Delete(V),
}

impl<V> Change<V> {
    /// What makes one into the other; nothing if there was no row and is none.
    #[inline]
    pub fn between(old: Option<V>, new: Option<V>) -> Option<Self> {
        match (old, new) {
            (None, Some(new)) => Some(Self::Insert(new)),
            (Some(old), Some(new)) => Some(Self::Update { old, new }),
            (Some(old), None) => Some(Self::Delete(old)),
            (None, None) => None,
        }
    }

    /// The row before it.
    #[inline]
    pub fn before(&self) -> Option<&V> {
        match self {
            Self::Insert(_) => None,
            Self::Update { old, .. } | Self::Delete(old) => Some(old),
        }
    }

    /// The row after it.
    #[inline]
    pub fn after(&self) -> Option<&V> {
        match self {
            Self::Insert(new) | Self::Update { new, .. } => Some(new),
            Self::Delete(_) => None,
        }
    }

    /// The same change of what `f` makes of the row. A row of which it makes nothing is not there:
    /// an update to such a row is a delete, one from such a row an insert.
    #[inline]
    pub fn filter_map<U>(&self, mut f: impl FnMut(&V) -> Option<U>) -> Option<Change<U>> {
        let old = self.before().and_then(&mut f);
        Change::between(old, self.after().and_then(f))
    }

    /// Whether there is a difference between before and after.
    #[inline]
    pub fn is_visible(&self) -> bool
    where
        V: PartialEq,
    {
        !matches!(self, Self::Update { old, new } if old == new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_filtered_out_is_not_there() {
        let even = |n: &i32| (n % 2 == 0).then_some(n * 10);
        let update = |old, new| Change::Update { old, new }.filter_map(even);
        assert_eq!(update(2, 4), Some(Change::Update { old: 20, new: 40 }));
        assert_eq!(update(2, 3), Some(Change::Delete(20)));
        assert_eq!(update(3, 4), Some(Change::Insert(40)));
        assert_eq!(update(3, 5), None);
        assert_eq!(Change::Insert(3).filter_map(even), None);
        assert_eq!(Change::Delete(4).filter_map(even), Some(Change::Delete(40)));
        assert!(!Change::Update { old: 1, new: 1 }.is_visible());
    }
}
