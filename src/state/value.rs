//! What an operator may keep for a key.

/// A value the engine can keep per key: small, copied as bytes, with a default to start from.
///
/// It is implemented for every type that is `Copy + Default + Send + 'static`; nobody implements
/// it by hand. `Copy` keeps heap pointers out, so that a sub-table splits by copying bytes,
/// and is cleared by forgetting them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be operator state",
    label = "state must be `Copy + Default + Send + 'static`",
    note = "state lives in the shard's tables and is copied as bytes: derive `Clone, Copy, \
            Default`, no heap pointers"
)]
pub trait State: Copy + Default + Send + 'static {}

impl<V: Copy + Default + Send + 'static> State for V {}
