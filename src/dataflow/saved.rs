//! What the operators of a pipeline hold, copied between two steps, and given back to others like
//! them.

use std::any::{Any, type_name};
use std::rc::Rc;

use crate::error::SnapshotError;

/// What the steps of a shard hold, part by part, in the order in which they are asked.
///
/// An operator puts in by [`Operator::save`] and takes out by [`Operator::load`], the same parts in
/// the same order: a part is known by its place, the name of the operator and its type. What is
/// wrong is noted and ends the matter; neither side has to look.
///
/// Nothing is saved of what only passes: a snapshot is taken at rest, and an operator that is in
/// the middle of something says so by [`in_flight`](Self::in_flight).
///
/// ```
/// use millstream::dataflow::Saved;
///
/// let mut saved = Saved::new();
/// saved.put("counter", 7u64);
/// let mut saved = saved.checked()?;
/// let mut count = 0u64;
/// saved.take("counter", &mut count);
/// saved.finish()?;
/// assert_eq!(count, 7);
/// # Ok::<(), millstream::error::SnapshotError>(())
/// ```
///
/// [`Operator::save`]: crate::dataflow::Operator::save
/// [`Operator::load`]: crate::dataflow::Operator::load
#[derive(Clone, Default)]
pub struct Saved {
    parts: Vec<Part>,
    /// The part that is taken out next.
    next: usize,
    /// What steps keep of their own, beyond what an operator can see.
    unseen: Vec<String>,
    /// What was wrong first.
    wrong: Option<SnapshotError>,
}

/// One thing that an operator holds. Snapshots share it and never change it.
#[derive(Clone)]
struct Part {
    operator: &'static str,
    type_name: &'static str,
    value: Rc<dyn Any>,
}

impl Saved {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts in a copy of what an operator holds.
    pub fn put<V: 'static>(&mut self, operator: &'static str, value: V) {
        let part = Part { operator, type_name: type_name::<V>(), value: Rc::new(value) };
        self.parts.push(part);
    }

    /// Takes the next part out, and puts a copy of it in the place of `into`. If it is not of this
    /// operator and type, `into` stays as it is and the restore has failed.
    pub fn take<V: Clone + 'static>(&mut self, operator: &'static str, into: &mut V) {
        if self.wrong.is_some() {
            return;
        }
        let wanted = type_name::<V>();
        let Some(part) = self.parts.get(self.next) else {
            let held = "nothing more".to_owned();
            return self.note(SnapshotError::OtherType { operator, held, wanted });
        };
        match part.value.downcast_ref::<V>().filter(|_| part.operator == operator) {
            Some(value) => {
                *into = value.clone();
                self.next += 1;
            }
            None => {
                let held = format!("{} of `{}`", part.type_name, part.operator);
                self.note(SnapshotError::OtherType { operator, held, wanted });
            }
        }
    }

    /// Unless `is_at_rest`, no snapshot can be taken now: the operator is in the middle of `what`.
    pub fn at_rest(&mut self, operator: &'static str, is_at_rest: bool, what: &'static str) {
        if !is_at_rest {
            self.in_flight(operator, what);
        }
    }

    /// No snapshot can be taken now: the operator is in the middle of `what`.
    pub fn in_flight(&mut self, operator: &'static str, what: &'static str) {
        self.note(SnapshotError::InFlight { operator, what });
    }

    /// No snapshot can ever be taken of a step of type `V`.
    pub fn refuse<V: ?Sized>(&mut self, reason: &'static str) {
        self.note(SnapshotError::Unsaved { step: plain_name::<V>().to_owned(), reason });
    }

    /// Notes that a step has something of its own that is not saved: what a closure has captured,
    /// the fields of a process function. Settings, as like as not; but where a run goes another way
    /// after a restore, it is the first thing to look at.
    pub fn unseen<V>(&mut self, step: &'static str) {
        if size_of::<V>() > 0 {
            self.unseen.push(format!("{step} ({})", plain_name::<V>()));
        }
    }

    /// What [`unseen`](Self::unseen) noted.
    pub fn unseen_steps(&self) -> &[String] {
        &self.unseen
    }

    /// Once all is put in: whether that is a snapshot.
    ///
    /// # Errors
    /// What was wrong first.
    pub fn checked(self) -> Result<Self, SnapshotError> {
        match self.wrong {
            Some(wrong) => Err(wrong),
            None => Ok(self),
        }
    }

    /// Once all is taken out: whether every part found its place.
    ///
    /// # Errors
    /// What was wrong first; a part that is left over is wrong too.
    pub fn finish(self) -> Result<(), SnapshotError> {
        let left = self.checked()?;
        match left.parts.get(left.next) {
            Some(Part { operator, type_name, .. }) => {
                let what = format!("nothing takes the {type_name} of `{operator}`");
                Err(SnapshotError::OtherPipeline(what))
            }
            None => Ok(()),
        }
    }

    #[cold]
    fn note(&mut self, wrong: SnapshotError) {
        self.wrong.get_or_insert(wrong);
    }
}

/// The name of a type without those that it is made of, which in a fused stage are all that follow.
fn plain_name<V: ?Sized>() -> &'static str {
    let name = type_name::<V>();
    name.split('<').find(|part| !part.is_empty()).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back_in_order_and_are_not_used_up() {
        let mut saved = Saved::new();
        saved.put("reduce", 7u64);
        saved.put("window", vec!['a']);
        let saved = saved.checked().unwrap();
        for _ in 0..2 {
            let (mut n, mut letters, mut saved) = (0u64, Vec::<char>::new(), saved.clone());
            saved.take("reduce", &mut n);
            saved.take("window", &mut letters);
            assert_eq!((n, letters), (7, vec!['a']));
            assert_eq!(saved.finish(), Ok(()));
        }
    }

    #[test]
    fn what_does_not_fit_is_named_with_both_types() {
        let mut saved = Saved::new();
        saved.put("reduce", 7u64);
        let take = |operator, wanted: &mut dyn FnMut(&mut Saved, &'static str)| {
            let mut saved = saved.clone();
            wanted(&mut saved, operator);
            saved.finish().unwrap_err().to_string()
        };
        let mut small = 1u8;
        let error = take("reduce", &mut |saved, name| saved.take(name, &mut small));
        assert_eq!(error, "`reduce` wants u8, and the snapshot holds u64 of `reduce` there");
        assert_eq!(small, 1, "it stays as it was");
        let mut right = 1u64;
        let error = take("window", &mut |saved, name| saved.take(name, &mut right));
        assert_eq!(error, "`window` wants u64, and the snapshot holds u64 of `reduce` there");
        let error = take("reduce", &mut |saved, name| {
            (0..2).for_each(|_| saved.take(name, &mut right));
        });
        assert_eq!(error, "`reduce` wants u64, and the snapshot holds nothing more there");
        let error = take("", &mut |_, _| ());
        assert_eq!(error, "a snapshot of another pipeline: nothing takes the u64 of `reduce`");
    }

    #[test]
    fn what_was_wrong_first_is_what_is_told() {
        let mut saved = Saved::new();
        saved.at_rest("window", true, "fires");
        saved.at_rest("window", false, "fires");
        saved.refuse::<Option<u8>>("nobody knows why");
        let error = saved.checked().err().map(|error| error.to_string());
        let golden = "a snapshot is taken at rest, and `window` fires: step until it is done";
        assert_eq!(error.as_deref(), Some(golden));
    }

    #[test]
    fn what_is_of_no_size_keeps_nothing() {
        let mut saved = Saved::new();
        saved.unseen::<()>("map");
        saved.unseen::<Option<u8>>("filter");
        assert_eq!(saved.unseen_steps(), ["filter (core::option::Option)"]);
    }
}
