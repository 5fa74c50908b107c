//! What the steps of a pipeline hear of a checkpoint.

/// The number of a checkpoint. Later ones have greater numbers.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Epoch(pub u64);

/// What becomes of a checkpoint, in the order in which a step hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checkpoint {
    /// All that came before belongs to it, and nothing that comes after. What a step keeps has just
    /// been saved; what it has emitted so far is in front of the barrier, which travels behind it.
    Barrier(Epoch),
    /// It is kept where it will be found after a crash: nothing before its barrier will ever come
    /// again. Not in band, since nothing in the pipeline depends on it: only sinks hear of it.
    Complete(Epoch),
}
