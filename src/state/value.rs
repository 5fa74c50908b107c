//! What an operator may keep.

use serde::{Serialize, de::DeserializeOwned};

/// A value that a snapshot can hold.
///
/// It is implemented for every type that is `Serialize + DeserializeOwned + 'static`; nobody
/// implements it by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a snapshot",
    label = "what is kept must be `Serialize + DeserializeOwned + 'static`",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it"
)]
pub trait Stored: Serialize + DeserializeOwned + 'static {}

impl<V: Serialize + DeserializeOwned + 'static> Stored for V {}

/// A value the engine can keep per key: small, copied as bytes, with a default to start from.
///
/// It is implemented for every type that is `Copy + Default + Send` and [`Stored`]; nobody
/// implements it by hand. `Copy` keeps heap pointers out, so that a sub-table splits by copying
/// bytes, and is cleared by forgetting them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be operator state",
    label = "state must be `Copy + Default + Send + Serialize + DeserializeOwned`",
    note = "state lives in the shard's tables and is copied as bytes: derive `Clone, Copy, \
            Default, Serialize, Deserialize`, no heap pointers"
)]
pub trait State: Copy + Default + Send + Stored {}

impl<V: Copy + Default + Send + Stored> State for V {}
