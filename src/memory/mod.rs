//! Where bytes live and how cores hand them to each other.
//!
//! May not know what the bytes mean.

mod bell;
mod blocks;
mod prefetch;

pub use bell::Bell;
pub(crate) use blocks::Blocks;
pub(crate) use prefetch::prefetch;
