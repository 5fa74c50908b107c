//! What an operator shows of itself to whoever asks between two steps.

use std::any::{Any, type_name};
use std::fmt::Debug;

use crate::time::Timestamp;

/// One thing that an operator holds for a key: see [`Operator::inspect`].
///
/// State need not be `Debug`, so values travel as [`Any`] and whoever asks says of which type they
/// are; [`type_name`](Held::Value) is for the message when that was wrong.
///
/// [`Operator::inspect`]: crate::dataflow::Operator::inspect
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// The operator, by the name that it has in errors: `reduce`, `window`.
    pub operator: &'static str,
    /// The key, to be printed.
    pub key: &'a dyn Debug,
    /// The key, for whoever knows its type.
    pub typed_key: &'a dyn Any,
    /// What is held for it.
    pub held: Held<'a>,
}

/// What is held for a key.
#[derive(Clone, Copy)]
pub enum Held<'a> {
    /// A value.
    Value {
        /// For whoever knows its type.
        value: &'a dyn Any,
        /// The name of that type.
        type_name: &'static str,
        /// The slice of event time that it belongs to, from and up to; none if it is of all time.
        slice: Option<(Timestamp, Timestamp)>,
    },
    /// A timer, and when it is due.
    Timer(Timestamp),
}

impl<'a> Shown<'a> {
    /// A value held for a key.
    pub fn value<K: Debug + 'static, V: 'static>(
        operator: &'static str,
        key: &'a K,
        value: &'a V,
    ) -> Self {
        let held = Held::Value { value, type_name: type_name::<V>(), slice: None };
        Self { operator, key, typed_key: key, held }
    }

    /// A value held for a key and a slice of event time, from `start` up to `end`.
    pub fn in_slice<K: Debug + 'static, V: 'static>(
        operator: &'static str,
        (start, end): (Timestamp, Timestamp),
        key: &'a K,
        value: &'a V,
    ) -> Self {
        let slice = Some((start, end));
        let held = Held::Value { value, type_name: type_name::<V>(), slice };
        Self { operator, key, typed_key: key, held }
    }

    /// A timer of a key.
    pub fn timer<K: Debug + 'static>(operator: &'static str, key: &'a K, due: Timestamp) -> Self {
        Self { operator, key, typed_key: key, held: Held::Timer(due) }
    }
}
