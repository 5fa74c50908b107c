//! State that may be large: saved behind a barrier, in slices, as it was when the barrier came.

use crate::memory::Spare;

/// Takes the pieces that a slice has finished: the number of the state they are of, and the bytes.
pub type Pieces<'a> = dyn FnMut(u32, Vec<u8>) + 'a;

/// Is shown each state of a stage that may be large.
pub type EachBulk<'a> = dyn FnMut(&mut dyn Bulk) + 'a;

/// A copy of something large: the checkpoint that it was made for, and its number there among those
/// of its stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The number of the checkpoint.
    pub epoch: u64,
    /// Its own.
    pub id: u32,
}

/// State that may be large, such as a table.
///
/// A checkpoint may not copy it at one go: a gigabyte takes a second. So it is *frozen* when the
/// barrier comes, which takes as long however large it is, and copied a slice at a time while
/// records go on. Whatever a record is about to change is copied just before, unless it was copied
/// already; so the pieces together are what there was at the barrier.
///
/// Between [`freeze`](Self::freeze) and the first change after it, its `Serialize` writes only what
/// it is, without what is in it; restored from that, it waits for [`fill`](Self::fill).
pub trait Bulk {
    /// From here on what changes is copied first, into pieces that come from `spare`. The `id` of
    /// the copy tells it from the others of its stage.
    ///
    /// Where it was frozen before, what was not yet copied for that checkpoint is given up.
    fn freeze(&mut self, copy: Copied, spare: &Spare);

    /// The last copy that was begun of it, if nothing has changed since.
    fn unchanged(&self) -> Option<Copied>;

    /// Is frozen as `id`, and hands nothing over: the copy is there already.
    fn refer(&mut self, id: u32);

    /// Whether it is frozen, and as what.
    fn frozen(&self) -> Option<u32>;

    /// Copies on, each key for one unit of budget, and hands over what has been copied, in pieces.
    /// True when there is nothing more, and it is not frozen any longer.
    ///
    /// # Errors
    /// A value that does not let itself be written; it is not frozen any longer then.
    fn slice(&mut self, budget: &mut usize, pieces: &mut Pieces<'_>) -> Result<bool, String>;

    /// Which pieces it waits for, if it was restored from what was saved while it was frozen.
    fn awaits(&self) -> Option<u32>;

    /// Takes the pieces that it waits for, all of them, in any order.
    ///
    /// # Errors
    /// What is wrong with them.
    fn fill(&mut self, pieces: &[&[u8]]) -> Result<(), String>;
}
